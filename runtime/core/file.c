/* Files of an executable (file.h). */
#include "runtime/core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/core/array.h"
#include "runtime/core/dtype.h"

enum { FIRST_READ = 1 << 16 };

/* Reads until the end into a block that doubles; `room` bytes at first. */
static tnrt_status read_all(tnrt_message *message, const tnrt_alloc *alloc, const char *path, int fd, size_t room,
                            uint8_t **out, size_t *out_bytes) {
  uint8_t *data = alloc->get(alloc->user, room, 64);
  size_t have = 0;
  while (data) {
    if (have == room) {
      size_t more;
      uint8_t *larger = __builtin_mul_overflow(room, (size_t)2, &more) ? NULL : alloc->get(alloc->user, more, 64);
      if (larger) memcpy(larger, data, have);
      alloc->give(alloc->user, data);
      data = larger;
      room = more;
      continue;
    }
    ssize_t n = read(fd, data + have, room - have);
    if (n > 0) have += (size_t)n;
    if (n == 0) break;
    if (n < 0 && errno != EINTR) {
      alloc->give(alloc->user, data);
      return tnrt_fail(message, TNRT_BAD_INPUT, "cannot read %s: %s", path, strerror(errno));
    }
  }
  *out = data;
  *out_bytes = have;
  return data ? TNRT_OK : tnrt_fail(message, TNRT_NO_MEMORY, "no memory to read %s", path);
}

tnrt_status tnrt_file_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint8_t **out,
                           size_t *out_bytes) {
  if (strcmp(path, "-") == 0)
    return read_all(message, alloc, "standard input", STDIN_FILENO, FIRST_READ, out, out_bytes);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return tnrt_fail(message, TNRT_BAD_INPUT, "cannot open %s: %s", path, strerror(errno));
  struct stat st;
  size_t room = FIRST_READ;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) room = (size_t)st.st_size + 1; /* one more to meet the end */
  tnrt_status status = read_all(message, alloc, path, fd, room, out, out_bytes);
  close(fd);
  return status;
}

int tnrt_file_name(char *path, size_t path_bytes, const char *dir, const char *name) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  size_t used = (size_t)snprintf(path, path_bytes, "%s/", dir);
  for (const char *p = name; *p && used < path_bytes; p++) {
    int as_is = strchr(plain, *p) != NULL && !(*p == '.' && p == name);
    used += (size_t)snprintf(path + used, path_bytes - used, as_is ? "%c" : "%%%02X", (unsigned char)*p);
  }
  if (used < path_bytes) used += (size_t)snprintf(path + used, path_bytes - used, ".npy");
  return used < path_bytes;
}

static tnrt_status put(tnrt_message *message, int fd, const char *what, const void *data, size_t bytes) {
  for (const uint8_t *at = data; bytes > 0;) {
    ssize_t n = write(fd, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return tnrt_fail(message, TNRT_IO, "cannot write %s: %s", what, strerror(errno));
    at += n;
    bytes -= (size_t)n;
  }
  return TNRT_OK;
}

tnrt_status tnrt_file_put_npy(tnrt_message *message, int fd, const char *what, uint32_t dtype, uint32_t ndim,
                              const int64_t *extents, const void *data) {
  char header[1024];
  size_t header_bytes = tnrt_npy_header(header, sizeof header, dtype, ndim, extents);
  int64_t bytes = tnrt_bytes_of(dtype, ndim, extents);
  if (!header_bytes || bytes < 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "%s: elements of type %s have no form in .npy", what,
                     tnrt_dtype_name(dtype));
  tnrt_status status = put(message, fd, what, header, header_bytes);
  return status == TNRT_OK ? put(message, fd, what, data, (size_t)bytes) : status;
}

/* A name beside path that does not exist yet; the descriptor, or -1. */
static int open_beside(const char *path, char *temporary, size_t temporary_bytes) {
  const char *slash = strrchr(path, '/');
  int folder = slash ? (int)(slash - path + 1) : 0;
  for (unsigned i = 0; i < 1000; i++) {
    int n = snprintf(temporary, temporary_bytes, "%.*s.npy-%ld-%u.tmp", folder, path, (long)getpid(), i);
    if (n < 0 || (size_t)n >= temporary_bytes) return errno = ENAMETOOLONG, -1;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

tnrt_status tnrt_file_write_npy(tnrt_message *message, const char *path, uint32_t dtype, uint32_t ndim,
                                const int64_t *extents, const void *data) {
  char temporary[4096];
  int fd = open_beside(path, temporary, sizeof temporary);
  if (fd < 0) return tnrt_fail(message, TNRT_IO, "cannot write %s: %s", path, strerror(errno));
  tnrt_status status = tnrt_file_put_npy(message, fd, path, dtype, ndim, extents, data);
  int failed = status == TNRT_OK && fsync(fd) != 0;
  int why = errno;
  if (close(fd) != 0 && !failed && status == TNRT_OK) {
    failed = 1;
    why = errno;
  }
  if (status == TNRT_OK && !failed && rename(temporary, path) != 0) {
    failed = 1;
    why = errno;
  }
  if (failed) status = tnrt_fail(message, TNRT_IO, "cannot write %s: %s", path, strerror(why));
  if (status != TNRT_OK) unlink(temporary);
  return status;
}
