/* Atomic output: a temporary in the same folder, fsync, rename, fsync of the folder. What fails or is interrupted
 * leaves the old file as it was. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/object/object.h"

#define BUFFER_BYTES (1u << 16)

struct tn_output {
  tn_ctx *ctx;
  const char *path;      /* as given, for messages */
  const char *final;     /* where the file goes */
  const char *temporary; /* NULL: written in place */
  int fd;
  size_t n; /* bytes waiting in buffer */
  uint8_t buffer[BUFFER_BYTES];
};

static bool failed(tn_output *output, const char *what) {
  int code = errno;
  bool resource = code == ENOSPC || code == EDQUOT || code == EIO || code == EFBIG || code == EMFILE || code == ENOMEM;
  return tn_error(output->ctx, TN_LOC_NONE, resource ? TN_E_RESOURCE : TN_E_FILE, "%s '%s': %s", what,
                  strcmp(output->path, "-") == 0 ? "standard output" : output->path, strerror(code));
}

/* The file that path means after symbolic links, so that a link is not replaced by a file; path itself when there is
 * none yet. NULL: written in place. */
static const char *resolve(tn_ctx *ctx, const char *path) {
  struct stat info;
  if (strcmp(path, "-") == 0) return NULL;
  if (stat(path, &info) != 0) return path;
  if (!S_ISREG(info.st_mode)) return NULL;
  char *real = realpath(path, NULL);
  if (!real) return path;
  const char *kept = tn_name(ctx, real);
  free(real);
  return kept;
}

static const char *temporary_of(tn_ctx *ctx, const char *final) {
  const char *slash = strrchr(final, '/');
  const char *base = slash ? slash + 1 : final;
  /* A name as long as the system allows must leave room for ours. */
  return tn_namef(ctx, "%.*s.%.200s.%ld.tmp", (int)(base - final), final, base, (long)getpid());
}

const char *tn_output_temporary_name(tn_ctx *ctx, const char *path) {
  const char *final = resolve(ctx, path);
  return final ? temporary_of(ctx, final) : NULL;
}

static int open_new(const char *path, unsigned mode) {
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  int fd = open(path, flags, mode);
  if (fd < 0 && errno == EEXIST && unlink(path) == 0)
    fd = open(path, flags, mode); /* of a killed process of our number */
  return fd;
}

tn_output *tn_output_open(tn_ctx *ctx, const char *path, unsigned mode) {
  tn_output *output = TN_NEW(ctx->arena, tn_output);
  output->ctx = ctx;
  output->path = path;
  output->final = resolve(ctx, path);
  if (strcmp(path, "-") == 0) {
    output->fd = STDOUT_FILENO;
  } else if (!output->final) {
    output->fd = open(path, O_WRONLY | O_CLOEXEC);
  } else {
    output->temporary = temporary_of(ctx, output->final);
    output->fd = open_new(output->temporary, mode);
  }
  if (output->fd >= 0) return output;
  failed(output, "cannot write");
  return NULL;
}

static bool write_all(tn_output *output, const uint8_t *data, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = write(output->fd, data, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(output, "cannot write");
    data += n;
    bytes -= (size_t)n;
  }
  return true;
}

bool tn_output_flush(tn_output *output) {
  size_t n = output->n;
  output->n = 0;
  return write_all(output, output->buffer, n);
}

static bool sink_write(void *user, const void *data, size_t bytes) {
  tn_output *output = user;
  if (bytes > BUFFER_BYTES - output->n && !tn_output_flush(output)) return false;
  if (bytes >= BUFFER_BYTES) return write_all(output, data, bytes);
  memcpy(output->buffer + output->n, data, bytes);
  output->n += bytes;
  return true;
}

tn_sink tn_output_sink(tn_output *output) { return (tn_sink){sink_write, output}; }

const char *tn_output_temporary(const tn_output *output) { return output->temporary; }

/* The linker may have put another file in the temporary's place: sync what the name means now. */
static bool sync_path(const char *path, int flags) {
  int fd = open(path, flags | O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool ok = fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
  int code = errno;
  close(fd);
  errno = code;
  return ok;
}

static bool sync_folder(const char *file) {
  char folder[4096];
  const char *slash = strrchr(file, '/');
  snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - file) + (slash == file) : 1, slash ? file : ".");
  return sync_path(folder, O_DIRECTORY);
}

bool tn_output_commit(tn_output *output) {
  if (!tn_output_flush(output)) {
    tn_output_discard(output);
    return false;
  }
  if (!output->temporary) {
    if (output->fd == STDOUT_FILENO) return true;
    int result = close(output->fd);
    output->fd = -1;
    return result == 0 || failed(output, "cannot write");
  }
  int result = close(output->fd);
  output->fd = -1;
  bool ok = result == 0 && sync_path(output->temporary, 0) && rename(output->temporary, output->final) == 0;
  if (!ok) {
    failed(output, "cannot write");
    tn_output_discard(output);
    return false;
  }
  /* The new file stands; whether its name outlives a power cut is all that is left, and no reason to fail. */
  sync_folder(output->final);
  return true;
}

void tn_output_discard(tn_output *output) {
  if (output->fd >= 0 && output->fd != STDOUT_FILENO) close(output->fd);
  output->fd = -1;
  if (output->temporary) unlink(output->temporary);
}
