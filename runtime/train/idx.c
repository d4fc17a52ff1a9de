/* IDX files, as MNIST has them. Source: yann.lecun.com/exdb/mnist, "the IDX file format". */
#include "runtime/core/dtype.h"
#include "runtime/train/arrays.h"

static uint32_t idx_dtype(uint8_t type) {
  switch (type) {
    case 0x08: return TNRT_U8;
    case 0x09: return TNRT_I8;
    case 0x0b: return TNRT_I16;
    case 0x0c: return TNRT_I32;
    case 0x0d: return TNRT_F32;
    case 0x0e: return TNRT_F64;
    default: return TNRT_STR;
  }
}

tnrt_status tnrt_idx_open(tnrt_message *message, const char *path, const uint8_t *data, uint64_t bytes, tnrt_npy *out) {
  *out = (tnrt_npy){.swapped = true};
  bool ok = bytes >= 4 && !data[0] && !data[1] && data[3] > 0 && data[3] <= TNRT_MAX_NDIM;
  size_t head = ok ? 4 + 4 * (size_t)data[3] : 0;
  if (!ok || idx_dtype(data[2]) == TNRT_STR || bytes < head)
    return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s is no IDX file", path);
  out->dtype = idx_dtype(data[2]);
  out->ndim = data[3];
  out->data_at = head;
  for (uint32_t i = 0; i < out->ndim; i++) {
    const uint8_t *at = data + 4 + 4 * i;
    out->extents[i] = (int64_t)at[0] << 24 | (int64_t)at[1] << 16 | (int64_t)at[2] << 8 | at[3];
  }
  out->bytes = tnrt_bytes_of(out->dtype, out->ndim, out->extents);
  if (out->bytes >= 0 && (uint64_t)out->bytes == bytes - head) return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: an IDX file of %lld bytes of elements is said, there are %llu",
                   path, (long long)out->bytes, (unsigned long long)(bytes - head));
}
