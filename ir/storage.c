/* Storages: interned per module, and the strides they give (ir/IR.md section 8). */
#include <string.h>

#include "ir/graph.h"

static bool storages_equal(const tn_storage *a, const tn_storage *b) {
  bool same_format = a->format && b->format ? strcmp(a->format, b->format) == 0 : a->format == b->format;
  return same_format && a->ndim == b->ndim && a->align_elements == b->align_elements &&
         a->pad_elements == b->pad_elements && memcmp(a->order, b->order, a->ndim) == 0;
}

const tn_storage *tn_storage_intern(tn_module *module, const tn_storage *storage) {
  TN_ASSERT(storage->ndim <= TN_MAX_NDIM && storage->align_elements >= 1 && storage->pad_elements >= 0);
  for (size_t i = 0; i < module->storages.n; i++)
    if (storages_equal(module->storages.data[i], storage)) return module->storages.data[i];
  tn_storage *copy = tn_arena_copy(module->arena, storage, sizeof(*storage));
  if (copy->format) copy->format = tn_name(module->ctx, copy->format);
  TN_VEC_PUSH(module->arena, &module->storages, copy);
  return copy;
}

const tn_storage *tn_storage_row_major(tn_module *module, uint32_t ndim) {
  tn_storage storage = {.ndim = ndim, .align_elements = 1};
  for (uint32_t i = 0; i < ndim; i++) storage.order[i] = (uint8_t)i;
  return tn_storage_intern(module, &storage);
}

void tn_storage_strides(tn_ctx *ctx, const tn_type *type, const tn_storage *storage, const tn_dim **out_strides,
                        const tn_dim **out_total) {
  TN_ASSERT(!storage || storage->ndim == type->ndim);
  const tn_dim *stride = tn_dim_const(ctx, 1);
  for (uint32_t k = type->ndim; k-- > 0;) {
    uint32_t axis = storage ? storage->order[k] : k;
    const tn_dim *extent = type->dims[axis];
    out_strides[axis] = stride;
    if (k == type->ndim - 1 && storage) { /* the leading dimension */
      if (storage->align_elements > 1)
        extent = tn_dim_mul_i(ctx, tn_dim_ceildiv(ctx, extent, storage->align_elements), storage->align_elements);
      extent = tn_dim_add_i(ctx, extent, storage->pad_elements);
    }
    stride = tn_dim_mul(ctx, stride, extent);
  }
  *out_total = stride;
}
