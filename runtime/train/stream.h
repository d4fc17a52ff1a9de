/* Files that are one stream of tokens: binary ones of 8, 16 or 32 bits, or the bytes of a text. They are held where
 * there is room for them, else read as they are used (bytes.h). */
#ifndef TNRT_TRAIN_STREAM_H
#define TNRT_TRAIN_STREAM_H

#include "runtime/train/arrays.h"

typedef struct tnrt_stream {
  const char *path;
  tnrt_bytes bytes;
  uint32_t dtype; /* TNRT_U8, TNRT_U16 or TNRT_U32, little-endian */
  int64_t n;      /* tokens */
} tnrt_stream;

tnrt_status tnrt_stream_open(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint32_t dtype,
                             uint64_t *room, tnrt_stream *out);
void tnrt_stream_close(const tnrt_alloc *alloc, tnrt_stream *stream);

/* n tokens from position at on, as doubles. */
tnrt_status tnrt_stream_read(tnrt_message *message, const tnrt_stream *stream, int64_t at, int64_t n, tnrt_piece *piece,
                             double *out);

#endif
