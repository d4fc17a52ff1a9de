/* See protobuf.h. Source: protobuf.dev, Encoding. */
#include "runtime/train/protobuf.h"

size_t tnrt_put_varint(uint8_t *out, uint64_t value) {
  size_t n = 0;
  for (; value > 127; value >>= 7) out[n++] = (uint8_t)(value | 128);
  out[n++] = (uint8_t)value;
  return n;
}

size_t tnrt_put_key(uint8_t *out, unsigned field, unsigned kind) { return tnrt_put_varint(out, field << 3 | kind); }
