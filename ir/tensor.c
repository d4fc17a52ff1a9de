/* Tensors of the reference: one tn_number an element, row-major (ir/eval.h). */
#include <string.h>

#include "ir/eval.h"

int64_t tn_tensor_count_of(uint32_t ndim, const int64_t *extents) {
  int64_t count = 1;
  for (uint32_t i = 0; i < ndim; i++)
    if (extents[i] < 0 || !tn_mul_i64(count, extents[i], &count)) return -1;
  return count;
}

tn_tensor *tn_tensor_create(tn_arena *arena, tn_dtype dtype, uint32_t ndim, const int64_t *extents) {
  TN_ASSERT(ndim <= TN_MAX_NDIM);
  tn_tensor *tensor = TN_NEW(arena, tn_tensor);
  tensor->dtype = dtype;
  tensor->ndim = ndim;
  for (uint32_t i = 0; i < ndim; i++) tensor->extents[i] = extents[i];
  tensor->count = tn_tensor_count_of(ndim, extents);
  TN_ASSERT(tensor->count >= 0);
  tensor->data = TN_NEW_N(arena, tn_number, (size_t)tensor->count);
  return tensor;
}

static void load_all(tn_tensor *tensor, const void *bytes) {
  size_t step = tn_dtype_bytes(tensor->dtype);
  if (tensor->dtype == TN_F32) {
    const char *p = bytes;
    for (int64_t i = 0; i < tensor->count; i++) {
      float f;
      memcpy(&f, p + (size_t)i * sizeof f, sizeof f);
      tensor->data[i].f = f;
    }
    return;
  }
  for (int64_t i = 0; i < tensor->count; i++)
    tensor->data[i] = tn_number_load(tensor->dtype, (const char *)bytes + (size_t)i * step);
}

tn_tensor *tn_tensor_from_bytes(tn_arena *arena, tn_dtype dtype, uint32_t ndim, const int64_t *extents,
                                const void *bytes) {
  tn_tensor *tensor = tn_tensor_create(arena, dtype, ndim, extents);
  load_all(tensor, bytes);
  return tensor;
}

tn_tensor *tn_tensor_of_const(tn_arena *arena, const tn_const *constant) {
  int64_t extents[TN_MAX_NDIM];
  const tn_type *type = constant->type;
  for (uint32_t i = 0; i < type->ndim; i++) extents[i] = tn_dim_value(type->dims[i]);
  tn_tensor *tensor = tn_tensor_create(arena, type->dtype, type->ndim, extents);
  if (constant->kind == TN_CONST_SPLAT) {
    tn_number v = tn_number_load(type->dtype, constant->data);
    for (int64_t i = 0; i < tensor->count; i++) tensor->data[i] = v;
    return tensor;
  }
  tn_arena *scratch = tn_arena_create_scratch(arena);
  load_all(tensor, tn_const_read(constant, scratch));
  tn_arena_destroy(scratch);
  return tensor;
}

void *tn_tensor_to_bytes(tn_arena *arena, const tn_tensor *tensor, size_t *out_bytes) {
  size_t step = tn_dtype_bytes(tensor->dtype);
  char *bytes = tn_arena_alloc_n(arena, (size_t)tensor->count, step);
  for (int64_t i = 0; i < tensor->count; i++)
    tn_number_store(tensor->dtype, tensor->data[i], bytes + (size_t)i * step);
  *out_bytes = (size_t)tensor->count * step;
  return bytes;
}

void tn_tensor_unravel(const tn_tensor *tensor, int64_t flat, int64_t *out_index) {
  for (uint32_t i = tensor->ndim; i-- > 0;) {
    out_index[i] = tensor->extents[i] > 0 ? flat % tensor->extents[i] : 0;
    flat = tensor->extents[i] > 0 ? flat / tensor->extents[i] : 0;
  }
}

int64_t tn_tensor_ravel(const tn_tensor *tensor, const int64_t *index) {
  int64_t flat = 0;
  for (uint32_t i = 0; i < tensor->ndim; i++) flat = flat * tensor->extents[i] + index[i];
  return flat;
}

void tn_tensor_strides(const tn_tensor *tensor, int64_t *out_strides) {
  int64_t stride = 1;
  for (uint32_t i = tensor->ndim; i-- > 0;) {
    out_strides[i] = stride;
    stride *= tensor->extents[i];
  }
}

bool tn_index_next(int64_t *index, const int64_t *extents, uint32_t n) {
  for (uint32_t i = n; i-- > 0;) {
    if (++index[i] < extents[i]) return true;
    index[i] = 0;
  }
  return false;
}

void tn_tensor_view(tn_tensor *out, const tn_tensor *from, int64_t base, const int64_t *strides) {
  if (out->count == 0) return;
  if (out->ndim == 0) {
    out->data[0] = from->data[base];
    return;
  }
  /* the last axis is a plain loop, the others an odometer */
  uint32_t last = out->ndim - 1;
  int64_t index[TN_MAX_NDIM] = {0};
  int64_t n = out->extents[last], step = strides[last], at = 0;
  do {
    int64_t offset = base;
    for (uint32_t i = 0; i < last; i++) offset += index[i] * strides[i];
    for (int64_t k = 0; k < n; k++) out->data[at++] = from->data[offset + k * step];
  } while (tn_index_next(index, out->extents, last));
}
