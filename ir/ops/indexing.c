/* What operators that compute with positions share; see indexing.h. */
#include "ir/ops/indexing.h"

#include <string.h>

tn_value *tn_build_by_name(tn_build *b, const char *name, tn_value *const *operands, uint32_t n_operands,
                           const tn_named_attr *attrs, uint32_t n_attrs) {
  const tn_opdef *op = tn_op_find(name);
  TN_ASSERT(op != NULL);
  tn_attr *list = TN_NEW_N(b->module->arena, tn_attr, op->n_attrs);
  for (uint32_t i = 0; i < n_attrs; i++) list[tn_op_attr_index(op, attrs[i].name)] = attrs[i].attr;
  return tn_build_op(b, op, operands, n_operands, list);
}

tn_value *tn_build_dim_scalar(tn_build *b, const tn_dim *dim, tn_dtype dtype) {
  if (tn_dim_is_const(dim) && !tn_dtype_is_float(dtype)) return tn_build_splat_i(b, dtype, tn_dim_value(dim));
  if (tn_dim_is_const(dim)) return tn_build_splat_f(b, dtype, (double)tn_dim_value(dim));
  return tn_build_cast(b, tn_build_reshape(b, tn_build_dim_value(b, &dim, 1), NULL, 0), dtype);
}

tn_value *tn_build_spread(tn_build *b, tn_value *scalar, const tn_dim *const *dims, uint32_t n) {
  return tn_build_broadcast_to(b, tn_build_reshape(b, scalar, NULL, 0), dims, n);
}

tn_value *tn_build_from_end(tn_build *b, tn_value *index, const tn_dim *extent) {
  index = tn_build_cast(b, index, TN_I64);
  if (index == NULL) return NULL;
  tn_value *size = tn_build_spread(b, tn_build_dim_scalar(b, extent, TN_I64), index->type->dims, index->type->ndim);
  tn_value *is_negative = tn_build_binary(b, TN_LT, index, tn_build_fill_like(b, index, 0));
  return tn_build_select(b, is_negative, tn_build_binary(b, TN_ADD, index, size), index);
}

tn_value *tn_build_gather(tn_build *b, tn_value *x, tn_value *const *indices, const int64_t *axes, uint32_t n) {
  tn_value *operands[TN_MAX_NDIM + 1] = {x};
  for (uint32_t i = 0; i < n; i++) operands[i + 1] = indices[i];
  return tn_build_by_name(b, "gather", operands, n + 1,
                          &(tn_named_attr){"axes", tn_attr_ints(b->module, axes, n)}, 1);
}

tn_value *tn_build_scatter(tn_build *b, tn_value *x, tn_value *updates, tn_value *const *indices, const int64_t *axes,
                           uint32_t n, const char *mode) {
  tn_value *operands[TN_MAX_NDIM + 2] = {x, updates};
  for (uint32_t i = 0; i < n; i++) operands[i + 2] = indices[i];
  tn_named_attr attrs[] = {{"axes", tn_attr_ints(b->module, axes, n)},
                           {"mode", tn_attr_name(tn_op_find("scatter"), "mode", mode)}};
  return tn_build_by_name(b, "scatter", operands, n + 2, attrs, 2);
}

bool tn_build_elements_index(tn_build *b, tn_value *index, uint32_t axis, const tn_dim *extent, tn_value **indices,
                             int64_t *axes) {
  if (index == NULL) return false;
  const tn_type *type = index->type;
  for (uint32_t i = 0; i < type->ndim; i++) {
    axes[i] = i;
    indices[i] = i == axis ? tn_build_from_end(b, index, extent) : tn_build_iota(b, type->dims, type->ndim, i, TN_I64);
    if (indices[i] == NULL) return false;
  }
  return true;
}

bool tn_build_nd_index(tn_build *b, tn_value *x, tn_value *index, uint32_t n_batch, tn_value **indices, int64_t *axes,
                       uint32_t *out_n) {
  uint32_t last = index->type->ndim - 1;
  uint32_t k = (uint32_t)tn_dim_value(index->type->dims[last]);
  for (uint32_t i = 0; i < n_batch; i++) {
    axes[i] = i;
    indices[i] = tn_build_iota(b, index->type->dims, last, i, TN_I64);
    if (indices[i] == NULL) return false;
  }
  for (uint32_t i = 0; i < k; i++) {
    tn_value *part =
        tn_build_slice_axis(b, index, last, tn_dim_const(b->ctx, i), tn_dim_const(b->ctx, 1), 1);
    axes[n_batch + i] = n_batch + i;
    indices[n_batch + i] = tn_build_from_end(b, tn_build_drop_axis(b, part, last), x->type->dims[n_batch + i]);
    if (indices[n_batch + i] == NULL) return false;
  }
  *out_n = n_batch + k;
  return true;
}

tn_value *tn_build_mean_kept(tn_build *b, tn_value *x, const int64_t *axes, uint32_t n_axes) {
  if (x == NULL) return NULL;
  const tn_dim *count = tn_dim_const(b->ctx, 1);
  for (uint32_t i = 0; i < n_axes; i++) count = tn_dim_mul(b->ctx, count, x->type->dims[axes[i]]);
  tn_value *sum = tn_build_reduce(b, "sum", x, axes, n_axes, true);
  if (sum == NULL) return NULL;
  tn_value *divisor = tn_build_dim_scalar(b, count, x->type->dtype);
  return tn_build_binary(b, TN_DIV, sum, tn_build_spread(b, divisor, sum->type->dims, sum->type->ndim));
}

bool tn_foreign_choice(const tn_foreign_node *node, const char *name, const char *const *names, int64_t fallback,
                       int64_t *out) {
  const char *text;
  if (!tn_foreign_string(node, name, names[fallback], &text)) return false;
  for (*out = 0; names[*out] != NULL; ++*out)
    if (strcmp(names[*out], text) == 0) return true;
  return tn_foreign_error(node, TN_E_ATTR, "attribute '%s': unknown value '%s'", name, text);
}
