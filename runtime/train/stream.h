/* Files that are one stream of tokens: binary ones of 8, 16 or 32 bits, or the bytes of a text. They are mapped, so
 * that files larger than memory are read as they are used. */
#ifndef TNRT_TRAIN_STREAM_H
#define TNRT_TRAIN_STREAM_H

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

typedef struct tnrt_stream {
  const char *path;
  const uint8_t *data; /* mapped */
  uint64_t bytes;
  uint32_t dtype;      /* TNRT_U8, TNRT_U16 or TNRT_U32, little-endian */
  int64_t n;           /* tokens */
} tnrt_stream;

tnrt_status tnrt_stream_open(tnrt_message *message, const char *path, uint32_t dtype, tnrt_stream *out);
void tnrt_stream_close(tnrt_stream *stream);

/* n tokens from position at on, as doubles. */
void tnrt_stream_read(const tnrt_stream *stream, int64_t at, int64_t n, double *out);

#endif
