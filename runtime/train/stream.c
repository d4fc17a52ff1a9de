/* Streams of tokens; see stream.h. */
#include "runtime/train/stream.h"

#include "runtime/core/dtype.h"
#include "runtime/train/chain.h"

tnrt_status tnrt_stream_open(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint32_t dtype,
                             uint64_t *room, tnrt_stream *out) {
  *out = (tnrt_stream){.path = path, .dtype = dtype};
  tnrt_status status = tnrt_bytes_open(message, alloc, path, room, &out->bytes);
  if (status != TNRT_OK) return status;
  uint64_t each = tnrt_dtype_find(dtype)->bytes, bytes = out->bytes.n;
  if (bytes == 0) return tnrt_fail(message, TNRT_BAD_INPUT, "%.300s is empty", path);
  out->n = (int64_t)(bytes / each);
  if (bytes % each == 0) return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%.300s has %llu bytes, which are no tokens of %llu bytes each", path,
                   (unsigned long long)bytes, (unsigned long long)each);
}

void tnrt_stream_close(const tnrt_alloc *alloc, tnrt_stream *stream) {
  tnrt_bytes_close(alloc, &stream->bytes);
  *stream = (tnrt_stream){0};
}

tnrt_status tnrt_stream_read(tnrt_message *message, const tnrt_stream *stream, int64_t at, int64_t n, tnrt_piece *piece,
                             double *out) {
  size_t each = tnrt_dtype_find(stream->dtype)->bytes, bytes = (size_t)n * each;
  if (stream->bytes.data) return tnrt_elements_read(stream->dtype, stream->bytes.data, at, n, out), TNRT_OK;
  uint8_t *raw = tnrt_piece_reserve(piece, bytes);
  if (!raw) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for tokens of %.300s", stream->path);
  tnrt_status status = tnrt_bytes_read(message, &stream->bytes, (uint64_t)at * each, bytes, raw);
  if (status == TNRT_OK) tnrt_elements_read(stream->dtype, raw, 0, n, out);
  return status;
}
