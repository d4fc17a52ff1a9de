/* Element types (dtype.h). */
#include "runtime/core/dtype.h"

#include "runtime/core/message.h"

static const tnrt_dtype_info table[] = {
    [TNRT_F64] = {"f64", 8, 64, 2, 'f', false},
    [TNRT_F32] = {"f32", 4, 32, 2, 'f', false},
    [TNRT_F16] = {"f16", 2, 16, 2, 'f', false},
    [TNRT_BF16] = {"bf16", 2, 16, 4, 'u', true},
    [TNRT_F8E4M3] = {"f8e4m3", 1, 8, 10, 'u', true},
    [TNRT_F8E5M2] = {"f8e5m2", 1, 8, 12, 'u', true},
    [TNRT_F8E4M3UZ] = {"f8e4m3uz", 1, 8, 11, 'u', true},
    [TNRT_F8E5M2UZ] = {"f8e5m2uz", 1, 8, 13, 'u', true},
    [TNRT_F8E8M0] = {"f8e8m0", 1, 8, 14, 'u', true},
    [TNRT_F4E2M1] = {"f4e2m1", 1, 4, 1, 'u', true},
    [TNRT_I64] = {"i64", 8, 64, 0, 'i', false},
    [TNRT_I32] = {"i32", 4, 32, 0, 'i', false},
    [TNRT_I16] = {"i16", 2, 16, 0, 'i', false},
    [TNRT_I8] = {"i8", 1, 8, 0, 'i', false},
    [TNRT_I4] = {"i4", 1, 4, 0, 'i', false},
    [TNRT_I2] = {"i2", 1, 2, 0, 'i', false},
    [TNRT_U64] = {"u64", 8, 64, 1, 'u', false},
    [TNRT_U32] = {"u32", 4, 32, 1, 'u', false},
    [TNRT_U16] = {"u16", 2, 16, 1, 'u', false},
    [TNRT_U8] = {"u8", 1, 8, 1, 'u', false},
    [TNRT_U4] = {"u4", 1, 4, 1, 'u', false},
    [TNRT_U2] = {"u2", 1, 2, 1, 'u', false},
    [TNRT_BOOL] = {"bool", 1, 8, 6, 'b', false},
    [TNRT_STR] = {"str", 8, 64, 3, 0, false},
};

const tnrt_dtype_info *tnrt_dtype_find(uint32_t dtype) {
  return dtype < sizeof table / sizeof table[0] ? &table[dtype] : NULL;
}

const char *tnrt_dtype_name(uint32_t dtype) {
  const tnrt_dtype_info *info = tnrt_dtype_find(dtype);
  return info ? info->name : "?";
}

int64_t tnrt_count_of(uint32_t ndim, const int64_t *extents) {
  /* A zero extent makes the product zero even where the others alone would leave 63 bits. */
  bool empty = false;
  for (uint32_t i = 0; i < ndim; i++) {
    if (extents[i] < 0) return -1;
    if (extents[i] == 0) empty = true;
  }
  if (empty) return 0;
  int64_t count = 1;
  for (uint32_t i = 0; i < ndim; i++)
    if (__builtin_mul_overflow(count, extents[i], &count)) return -1;
  return count;
}

int64_t tnrt_bytes_of(uint32_t dtype, uint32_t ndim, const int64_t *extents) {
  const tnrt_dtype_info *info = tnrt_dtype_find(dtype);
  int64_t bytes = tnrt_count_of(ndim, extents);
  if (!info || bytes < 0 || __builtin_mul_overflow(bytes, (int64_t)info->bytes, &bytes)) return -1;
  return bytes;
}

const char *tnrt_shape_text(char *text, size_t text_bytes, uint32_t ndim, const int64_t *extents) {
  size_t used = tnrt_text(text, text_bytes, "[");
  for (uint32_t i = 0; i < ndim; i++)
    used += tnrt_text(text + used, text_bytes - used, i ? ",%lld" : "%lld", (long long)extents[i]);
  tnrt_text(text + used, text_bytes - used, "]");
  return text;
}
