/* Log files (logfile.h). */
#include "runtime/train/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 16384 };

static tnrt_status fail(tnrt_message *message, const tnrt_logfile *file) {
  return tnrt_fail(message, TNRT_IO, "cannot write the log '%.300s': %s", file->path, strerror(errno));
}

static tnrt_status put_all(tnrt_logfile *file, tnrt_message *message, const char *text, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = write(file->fd, text, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(message, file);
    text += n;
    bytes -= (size_t)n;
  }
  return TNRT_OK;
}

/* The first line is `header`. */
static tnrt_status check_header(tnrt_logfile *file, tnrt_message *message, const char *header) {
  char block[BLOCK_BYTES];
  size_t n = strlen(header);
  for (size_t at = 0; at < n;) {
    size_t wanted = n - at < sizeof block ? n - at : sizeof block;
    ssize_t got = pread(file->fd, block, wanted, (off_t)at);
    if (got <= 0 || memcmp(block, header + at, (size_t)got) != 0)
      return tnrt_fail(message, TNRT_BAD_INPUT,
                       "the log '%.300s' has other columns than this training writes: it cannot "
                       "go on there",
                       file->path);
    at += (size_t)got;
  }
  return TNRT_OK;
}

tnrt_status tnrt_logfile_open(tnrt_logfile *file, tnrt_message *message, const char *path, const char *header,
                              bool appends) {
  *file = (tnrt_logfile){.path = path, .fd = -1, .is_csv = header != NULL, .must_cut = appends};
  file->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND | (appends ? 0 : O_TRUNC), 0666);
  if (file->fd < 0) return fail(message, file);
  tnrt_status status = TNRT_OK;
  bool is_empty = lseek(file->fd, 0, SEEK_END) <= 0;
  struct stat info;
  file->is_regular = fstat(file->fd, &info) == 0 && S_ISREG(info.st_mode);
  if (header) status = is_empty ? put_all(file, message, header, strlen(header)) : check_header(file, message, header);
  if (status != TNRT_OK) tnrt_logfile_close(file);
  return status;
}

/* Where a row stands in the reading of a file. */
typedef struct row {
  int64_t step;
  int matched; /* bytes of what stands before the step; -1: something else, or the step is over */
} row;

static void look(row *r, const char *before, char c) {
  if (r->matched < 0) return;
  if (before[r->matched]) {
    r->matched = c == before[r->matched] ? r->matched + 1 : -1;
  } else if (c < '0' || c > '9') {
    r->matched = -1;
  } else if (r->step > (INT64_MAX - 9) / 10) {
    r->matched = -1;
  } else {
    r->step = (r->step < 0 ? 0 : 10 * r->step) + (c - '0');
  }
}

/* Bytes before the first row of `step` or a later one, or before a row without end. */
static off_t kept_bytes(const tnrt_logfile *file, int64_t step) {
  const char *before = file->is_csv ? "" : "{\"step\":";
  char block[BLOCK_BYTES];
  off_t at = 0, line = 0;
  row r = {-1, 0};
  for (ssize_t n; (n = pread(file->fd, block, sizeof block, at)) > 0;)
    for (ssize_t i = 0; i < n; i++, at++) {
      if (block[i] != '\n') {
        look(&r, before, block[i]);
        continue;
      }
      if (r.step >= step) return line;
      line = at + 1;
      r = (row){-1, 0};
    }
  return line;
}

tnrt_status tnrt_logfile_put(tnrt_logfile *file, tnrt_message *message, int64_t step, const char *text, size_t bytes) {
  int64_t from = file->must_cut ? step : INT64_MAX;
  if (file->is_regular && (file->must_cut || file->is_torn) && ftruncate(file->fd, kept_bytes(file, from)) != 0)
    return fail(message, file);
  file->must_cut = false;
  tnrt_status status = put_all(file, message, text, bytes);
  file->is_torn = status != TNRT_OK;
  return status;
}

void tnrt_logfile_close(tnrt_logfile *file) {
  if (file->fd >= 0) close(file->fd);
  file->fd = -1;
}
