/* What all readers of arrays share (array.h). */
#include "runtime/core/array.h"

#include "runtime/core/dtype.h"

void tnrt_array_free(const tnrt_alloc *alloc, tnrt_array *array) {
  if (array->owned) alloc->give(alloc->user, array->owned);
  array->owned = array->data = NULL;
}

/* The type in which elements of `dtype` travel in files. */
static uint32_t travelling(uint32_t dtype) {
  switch (dtype) {
    case TNRT_BF16:
      return TNRT_U16;
    case TNRT_F8E4M3:
    case TNRT_F8E5M2:
    case TNRT_F8E4M3UZ:
    case TNRT_F8E5M2UZ:
    case TNRT_F8E8M0:
    case TNRT_F4E2M1:
    case TNRT_U4:
    case TNRT_U2:
      return TNRT_U8;
    case TNRT_I4:
    case TNRT_I2:
      return TNRT_I8;
    default:
      return dtype;
  }
}

/* Values of types below 8 bits must lie in their range: kernels rely on it. */
static tnrt_status check_range(tnrt_message *message, const char *who, const tnrt_array *array, uint32_t dtype) {
  const tnrt_dtype_info *info = tnrt_dtype_find(dtype);
  bool is_signed = info->npy_kind == 'i';
  int hi = is_signed ? (1 << (info->bits - 1)) - 1 : (1 << info->bits) - 1, lo = is_signed ? -hi - 1 : 0;
  for (int64_t i = 0; i < array->bytes; i++) {
    int value = is_signed ? (int8_t)array->data[i] : array->data[i];
    if (value < lo || value > hi)
      return tnrt_fail(message, TNRT_BAD_INPUT, "%s: element %lld is %d, outside of %s (%d to %d)", who, (long long)i,
                       value, info->name, lo, hi);
  }
  return TNRT_OK;
}

tnrt_status tnrt_array_become(tnrt_message *message, const char *who, tnrt_array *array, uint32_t dtype) {
  const tnrt_dtype_info *info = tnrt_dtype_find(dtype);
  if (array->dtype != dtype && array->dtype != travelling(dtype))
    return tnrt_fail(message, TNRT_BAD_INPUT, "%s: expected %s%s%s, found %s", who, tnrt_dtype_name(dtype),
                     travelling(dtype) == dtype ? "" : ", which travels as ",
                     travelling(dtype) == dtype ? "" : tnrt_dtype_name(travelling(dtype)),
                     tnrt_dtype_name(array->dtype));
  if (info->bits < 8) {
    tnrt_status status = check_range(message, who, array, dtype);
    if (status != TNRT_OK) return status;
  }
  if (dtype == TNRT_BOOL)
    for (int64_t i = 0; i < array->bytes; i++) array->data[i] = array->data[i] != 0;
  array->dtype = dtype;
  return TNRT_OK;
}
