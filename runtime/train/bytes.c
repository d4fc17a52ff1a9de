/* The bytes of a file; see bytes.h. */
#include "runtime/train/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/core/file.h"

static tnrt_status hold(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint64_t *room,
                        tnrt_bytes *out) {
  size_t n = 0;
  tnrt_status status = tnrt_file_read(message, alloc, path, &out->data, &n);
  if (status != TNRT_OK) return status;
  out->n = n;
  out->is_open = true;
  *room -= n < *room ? n : *room;
  return TNRT_OK;
}

tnrt_status tnrt_bytes_open(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint64_t *room,
                            tnrt_bytes *out) {
  struct stat st;
  *out = (tnrt_bytes){.path = path, .fd = -1};
  bool is_file = strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
  if (!is_file || (uint64_t)st.st_size <= *room) return hold(message, alloc, path, room, out);
  out->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (out->fd < 0) return tnrt_fail(message, TNRT_BAD_INPUT, "cannot open %.300s: %s", path, strerror(errno));
  out->n = (uint64_t)st.st_size;
  out->is_open = true;
  return TNRT_OK;
}

void tnrt_bytes_close(const tnrt_alloc *alloc, tnrt_bytes *bytes) {
  if (!bytes->is_open) return;
  if (bytes->data) alloc->give(alloc->user, bytes->data);
  else close(bytes->fd);
  *bytes = (tnrt_bytes){.fd = -1};
}

tnrt_status tnrt_bytes_read(tnrt_message *message, const tnrt_bytes *bytes, uint64_t at, size_t n, void *to) {
  uint8_t *next = to;
  if (bytes->data) return memcpy(to, bytes->data + at, n), TNRT_OK;
  while (n > 0) {
    ssize_t got = pread(bytes->fd, next, n, (off_t)at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return tnrt_fail(message, TNRT_IO, "cannot read %.300s: %s", bytes->path,
                       got < 0 ? strerror(errno) : "it is shorter than it was");
    next += got;
    at += (uint64_t)got;
    n -= (size_t)got;
  }
  return TNRT_OK;
}
