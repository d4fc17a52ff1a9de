/* Streams of tokens; see stream.h. */
#include "runtime/train/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/core/dtype.h"
#include "runtime/train/chain.h"

tnrt_status tnrt_stream_open(tnrt_message *message, const char *path, uint32_t dtype, tnrt_stream *out) {
  struct stat st;
  *out = (tnrt_stream){.path = path, .dtype = dtype};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0) {
    int why = errno;
    if (fd >= 0) close(fd);
    return tnrt_fail(message, TNRT_BAD_INPUT, "cannot open %.300s: %s", path, strerror(why));
  }
  uint64_t each = tnrt_dtype_find(dtype)->bytes, bytes = (uint64_t)st.st_size;
  void *data = bytes ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  close(fd);
  if (bytes == 0) return tnrt_fail(message, TNRT_BAD_INPUT, "%.300s is empty", path);
  if (data == MAP_FAILED) return tnrt_fail(message, TNRT_IO, "cannot map %.300s: %s", path, strerror(errno));
  out->data = data;
  out->bytes = bytes;
  out->n = (int64_t)(bytes / each);
  if (bytes % each == 0) return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%.300s has %llu bytes, which are no tokens of %llu bytes each", path,
                   (unsigned long long)bytes, (unsigned long long)each);
}

void tnrt_stream_close(tnrt_stream *stream) {
  if (stream->data) munmap((void *)(uintptr_t)stream->data, stream->bytes);
  *stream = (tnrt_stream){0};
}

void tnrt_stream_read(const tnrt_stream *stream, int64_t at, int64_t n, double *out) {
  tnrt_elements_read(stream->dtype, stream->data, at, n, out);
}
