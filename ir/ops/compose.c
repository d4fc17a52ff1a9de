/* What the expansions of composites share; see compose.h. */
#include "ir/ops/compose.h"

tn_value *tn_compose_wide(tn_build *b, tn_value *x) {
  if (x == NULL) return NULL;
  tn_dtype dtype = x->type->dtype;
  bool narrow = tn_dtype_is_float(dtype) && tn_dtype_bits(dtype) < 32;
  return narrow ? tn_build_cast(b, x, TN_F32) : x;
}

tn_value *tn_compose_narrow(tn_build *b, tn_value *y, const tn_value *like) {
  return y == NULL ? NULL : tn_build_cast(b, y, like->type->dtype);
}

tn_value *tn_compose_spread(tn_build *b, tn_value *y, const tn_value *like, const int64_t *axes, uint32_t n_axes) {
  if (y == NULL || like == NULL) return NULL;
  int64_t map[TN_MAX_NDIM];
  uint32_t n = 0, at = 0;
  for (uint32_t i = 0; i < like->type->ndim; i++) {
    if (at < n_axes && axes[at] == (int64_t)i) at++;
    else map[n++] = i;
  }
  return tn_build_broadcast_map(b, y, like->type->dims, like->type->ndim, map);
}

tn_value *tn_compose_fold(tn_build *b, const char *op, tn_value *x, const int64_t *axes, uint32_t n_axes) {
  return tn_compose_spread(b, tn_build_reduce(b, op, x, axes, n_axes, false), x, axes, n_axes);
}

tn_value *tn_compose_along(tn_build *b, tn_value *v, const tn_value *like, uint32_t axis) {
  if (like == NULL || v == NULL) return NULL;
  int64_t map[1] = {axis};
  if (v->type->ndim != 1) {
    tn_error(b->ctx, tn_loc_current(b->ctx), TN_E_RANK, "expected a vector along axis %u, found rank %u", axis,
             v->type->ndim);
    return NULL;
  }
  return tn_build_broadcast_map(b, v, like->type->dims, like->type->ndim, map);
}

tn_value *tn_compose_dim(tn_build *b, const tn_dim *dim, tn_dtype dtype) {
  if (tn_dim_is_const(dim)) return tn_build_splat_i(b, dtype, tn_dim_value(dim));
  return tn_build_cast(b, tn_build_reshape(b, tn_build_dim_value(b, &dim, 1), NULL, 0), dtype);
}

tn_value *tn_compose_repeat(tn_build *b, tn_value *scalar, const tn_value *like) {
  if (like == NULL) return NULL;
  return tn_build_broadcast_to(b, scalar, like->type->dims, like->type->ndim);
}

tn_value *tn_compose_count(tn_build *b, const tn_value *x, const int64_t *axes, uint32_t n_axes, const tn_value *y) {
  if (x == NULL || y == NULL) return NULL;
  const tn_dim *count = tn_dim_const(b->ctx, 1);
  for (uint32_t i = 0; i < n_axes; i++) count = tn_dim_mul(b->ctx, count, x->type->dims[axes[i]]);
  return tn_compose_repeat(b, tn_compose_dim(b, count, y->type->dtype), y);
}

tn_value *tn_compose_mean(tn_build *b, tn_value *x, const int64_t *axes, uint32_t n_axes) {
  tn_value *sum = tn_build_reduce(b, "sum", x, axes, n_axes, false);
  return tn_build_binary(b, TN_DIV, sum, tn_compose_count(b, x, axes, n_axes, sum));
}

tn_value *tn_compose_take_along(tn_build *b, tn_value *x, tn_value *positions, uint32_t axis) {
  tn_value *operands[TN_MAX_NDIM + 1] = {x};
  int64_t axes[TN_MAX_NDIM];
  if (x == NULL || positions == NULL) return NULL;
  const tn_type *type = positions->type;
  for (uint32_t i = 0; i < type->ndim; i++) {
    axes[i] = i;
    operands[i + 1] = i == axis ? positions : tn_build_iota(b, type->dims, type->ndim, i, TN_I64);
  }
  tn_attr attr = tn_attr_ints(b->module, axes, type->ndim);
  return tn_build_op(b, tn_op_find("gather"), operands, type->ndim + 1, &attr);
}

tn_value *tn_compose_constant(tn_build *b, tn_value *x) {
  return tn_build_op(b, tn_op_find("stop_gradient"), &x, 1, NULL);
}

tn_value *tn_compose_take_axis(tn_build *b, tn_value *x, tn_value *positions, uint32_t axis) {
  if (x == NULL) return NULL;
  int64_t perm[TN_MAX_NDIM]; /* the index' axis comes first */
  for (uint32_t k = 0; k < x->type->ndim; k++) perm[k] = k < axis ? k + 1 : k == axis ? 0 : k;
  return tn_build_transpose(b, tn_build_gather_axis(b, x, positions, axis), perm);
}

tn_value *tn_compose_entry(tn_build *b, tn_value *vector, uint32_t i) {
  const tn_dim *one = tn_dim_const(b->ctx, 1);
  return tn_build_reshape(b, tn_build_slice_axis(b, vector, 0, tn_dim_const(b->ctx, i), one, 1), NULL, 0);
}

double tn_attr_f(const tn_node *node, uint32_t i) { return node->attrs[i].u.f; }

tn_value *tn_compose_normalize(tn_build *b, tn_value *x, const int64_t *axes, uint32_t n_axes, double epsilon,
                               tn_value **out_mean, tn_value **out_variance, tn_value **out_inverse) {
  tn_value *mean = tn_compose_mean(b, x, axes, n_axes);
  tn_value *centred = tn_build_binary(b, TN_SUB, x, tn_compose_spread(b, mean, x, axes, n_axes));
  tn_value *variance = tn_compose_mean(b, tn_build_binary(b, TN_MUL, centred, centred), axes, n_axes);
  tn_value *deviation = tn_build_unary(b, TN_SQRT, tn_build_binary_f(b, TN_ADD, variance, epsilon));
  tn_value *inverse = tn_build_binary(b, TN_DIV, tn_build_fill_like(b, deviation, 1), deviation);
  if (out_mean != NULL) *out_mean = mean;
  if (out_variance != NULL) *out_variance = variance;
  if (out_inverse != NULL) *out_inverse = inverse;
  return tn_build_binary(b, TN_MUL, centred, tn_compose_spread(b, inverse, x, axes, n_axes));
}

tn_value *tn_compose_normalize_vjp(tn_build *b, tn_value *dy, tn_value *y, tn_value *factor, tn_value *sum,
                                   tn_value *slope, const int64_t *axes, uint32_t n_axes) {
  if (y == NULL || sum == NULL) return NULL;
  tn_value *count = tn_compose_count(b, y, axes, n_axes, sum);
  tn_value *shift = tn_compose_spread(b, tn_build_binary(b, TN_DIV, sum, count), y, axes, n_axes);
  tn_value *tilt = tn_compose_spread(b, tn_build_binary(b, TN_DIV, slope, count), y, axes, n_axes);
  tn_value *rest = tn_build_binary(b, TN_SUB, tn_build_binary(b, TN_SUB, dy, shift),
                                   tn_build_binary(b, TN_MUL, y, tilt));
  return tn_build_binary(b, TN_MUL, rest, tn_compose_spread(b, factor, y, axes, n_axes));
}
