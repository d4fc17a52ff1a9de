/* The gradient of a convolution's weights is a convolution again: x's channels become the batch, its batch the summed
 * channels, y the kernel, and stride and dilation change places. */
#include "ir/ops/conv_gradient.h"

enum { STRIDE, DILATE, LO, HI, GROUPS, ACC };

/* [N, G*c, S..] as [c, G*N, S..]: group g's channels, its batch as its share of the summed channels. */
static tn_value *channels_first(tn_build *b, tn_value *x, int64_t groups, const tn_dim *per_group) {
  if (x == NULL) return NULL;
  uint32_t n = x->type->ndim - 2;
  const tn_dim *dims[TN_MAX_NDIM + 1] = {x->type->dims[0], tn_dim_const(b->ctx, groups), per_group};
  int64_t perm[TN_MAX_NDIM + 1] = {2, 1, 0};
  for (uint32_t i = 0; i < n; i++) {
    dims[i + 3] = x->type->dims[i + 2];
    perm[i + 3] = i + 3;
  }
  tn_value *y = tn_build_transpose(b, tn_build_reshape(b, x, dims, n + 3), perm);
  dims[0] = per_group;
  dims[1] = tn_dim_mul_i(b->ctx, x->type->dims[0], groups);
  for (uint32_t i = 0; i < n; i++) dims[i + 2] = x->type->dims[i + 2];
  return tn_build_reshape(b, y, dims, n + 2);
}

static tn_value *swap_first_two(tn_build *b, tn_value *x) {
  if (x == NULL) return NULL;
  int64_t perm[TN_MAX_NDIM] = {1, 0};
  for (uint32_t i = 2; i < x->type->ndim; i++) perm[i] = i;
  return tn_build_transpose(b, x, perm);
}

tn_value *tn_conv_weight_gradient(tn_build *b, tn_value *x, tn_value *y, const tn_type *w, const tn_attr *attrs) {
  if (x == NULL || y == NULL) return NULL;
  tn_ctx *ctx = b->ctx;
  uint32_t n = x->type->ndim - 2;
  const tn_dim *hi[TN_MAX_NDIM];
  if (n + 3 > TN_MAX_NDIM) {
    tn_error(ctx, TN_LOC_NONE, TN_E_LIMIT, "the gradient of a convolution of rank %u", n + 2);
    return NULL;
  }
  for (uint32_t i = 0; i < n; i++) { /* as much padding at the end as makes the result's extents those of w */
    const tn_dim *reach = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, w->dims[i + 2], -1), attrs[DILATE].u.list.ints[i]);
    const tn_dim *spread = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, y->type->dims[i + 2], -1), attrs[STRIDE].u.list.ints[i]);
    hi[i] = tn_dim_sub(ctx, tn_dim_add_i(ctx, tn_dim_add(ctx, reach, spread), 1),
                       tn_dim_add(ctx, x->type->dims[i + 2], attrs[LO].u.list.dims[i]));
  }
  int64_t groups = attrs[GROUPS].u.i;
  tn_value *in[2] = {channels_first(b, x, groups, w->dims[1]), swap_first_two(b, y)};
  tn_attr swapped[6] = {attrs[DILATE], attrs[STRIDE], attrs[LO], tn_attr_dims(b->module, hi, n), attrs[GROUPS],
                        attrs[ACC]};
  return swap_first_two(b, tn_build_op(b, tn_op_find("conv"), in, 2, swapped));
}
