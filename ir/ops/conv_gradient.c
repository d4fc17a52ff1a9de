/* The gradient of a convolution's weights is a convolution again: x's channels become the batch, its batch the summed
 * channels, y the kernel, and stride and dilation change places. */
#include "ir/ops/conv_gradient.h"

enum { STRIDE, DILATE, LO, HI, GROUPS, ACC };

/* Images are summed in blocks, each small enough for a near cache, since every pair of channels and every tap reads
 * all of them; the blocks' sums are added up. */
#define NEAR_BYTES (1 << 20)
#define MOST_BLOCKS 64

static double bytes_of(const tn_type *type) {
  int64_t count = tn_type_static_count(type);
  return count < 0 ? 0 : (double)count * (double)tn_dtype_bytes(type->dtype);
}

/* How many blocks: a divisor of the batch. The sums of blocks must not become larger than what is read. */
static int64_t count_blocks(const tn_type *x, const tn_type *y, const tn_type *w) {
  double bytes = bytes_of(x) + bytes_of(y), sums = bytes_of(w);
  if (!tn_dim_is_const(x->dims[0]) || tn_dim_value(x->dims[0]) < 2 || sums == 0) return 1;
  int64_t n = tn_dim_value(x->dims[0]), blocks = 1;
  for (int64_t k = 2; k <= n && k <= MOST_BLOCKS && bytes > (double)blocks * NEAR_BYTES; k++)
    if (n % k == 0 && (double)k * sums <= bytes) blocks = k;
  return blocks;
}

/* [N, G*c, S..] with N in blocks: [B, N/B, G, c, S..], its first four axes in this order and
 * then as two, the first of n_first. */
static tn_value *in_blocks(tn_build *b, tn_value *x, int64_t groups, int64_t blocks, const int64_t *order,
                           uint32_t n_first) {
  if (x == NULL) return NULL;
  const tn_type *type = x->type;
  uint32_t n = type->ndim - 2;
  const tn_dim *dims[TN_MAX_NDIM], *front[2] = {tn_dim_const(b->ctx, 1), tn_dim_const(b->ctx, 1)};
  int64_t perm[TN_MAX_NDIM];
  dims[0] = tn_dim_const(b->ctx, blocks);
  dims[1] = blocks == 1 ? type->dims[0] : tn_dim_floordiv(b->ctx, type->dims[0], dims[0]);
  dims[2] = tn_dim_const(b->ctx, groups);
  dims[3] = groups == 1 ? type->dims[1] : tn_dim_floordiv(b->ctx, type->dims[1], dims[2]);
  for (uint32_t i = 0; i < 4; i++) {
    perm[i] = order[i];
    uint32_t at = i < n_first ? 0 : 1;
    front[at] = tn_dim_mul(b->ctx, front[at], dims[order[i]]);
  }
  for (uint32_t i = 0; i < n; i++) {
    dims[i + 4] = type->dims[i + 2];
    perm[i + 4] = i + 4;
  }
  tn_value *y = tn_build_transpose(b, tn_build_reshape(b, x, dims, n + 4), perm);
  for (uint32_t i = 0; i < n; i++) dims[i + 2] = type->dims[i + 2];
  dims[0] = front[0];
  dims[1] = front[1];
  return tn_build_reshape(b, y, dims, n + 2);
}

/* [c, G*B*o, K..] summed over B, as [G*o, c, K..]. */
static tn_value *sum_blocks(tn_build *b, tn_value *x, int64_t groups, int64_t blocks, const tn_type *w) {
  if (x == NULL) return NULL;
  uint32_t n = w->ndim - 2;
  const tn_dim *dims[TN_MAX_NDIM];
  int64_t perm[TN_MAX_NDIM] = {1, 2, 0}, axis = 2;
  dims[0] = x->type->dims[0];
  dims[1] = tn_dim_const(b->ctx, groups);
  dims[2] = tn_dim_const(b->ctx, blocks);
  dims[3] = groups == 1 ? w->dims[0] : tn_dim_floordiv(b->ctx, w->dims[0], dims[1]);
  for (uint32_t i = 0; i < n; i++) {
    dims[i + 4] = x->type->dims[i + 2];
    perm[i + 3] = i + 3;
  }
  tn_value *y = tn_build_reduce(b, "sum", tn_build_reshape(b, x, dims, n + 4), &axis, 1, false);
  return tn_build_reshape(b, tn_build_transpose(b, y, perm), w->dims, w->ndim);
}

tn_value *tn_conv_weight_gradient(tn_build *b, tn_value *x, tn_value *y, const tn_type *w, const tn_attr *attrs) {
  if (x == NULL || y == NULL) return NULL;
  tn_ctx *ctx = b->ctx;
  uint32_t n = x->type->ndim - 2;
  const tn_dim *hi[TN_MAX_NDIM];
  if (n + 4 > TN_MAX_NDIM) {
    tn_error(ctx, TN_LOC_NONE, TN_E_LIMIT, "the gradient of a convolution of rank %u", n + 2);
    return NULL;
  }
  for (uint32_t i = 0; i < n; i++) { /* as much padding at the end as makes the result's extents those of w */
    const tn_dim *reach = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, w->dims[i + 2], -1), attrs[DILATE].u.list.ints[i]);
    const tn_dim *spread = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, y->type->dims[i + 2], -1), attrs[STRIDE].u.list.ints[i]);
    hi[i] = tn_dim_sub(ctx, tn_dim_add_i(ctx, tn_dim_add(ctx, reach, spread), 1),
                       tn_dim_add(ctx, x->type->dims[i + 2], attrs[LO].u.list.dims[i]));
  }
  static const int64_t of_x[4] = {3, 2, 0, 1}, of_y[4] = {2, 0, 3, 1};
  int64_t groups = attrs[GROUPS].u.i, blocks = count_blocks(x->type, y->type, w);
  /* channels | groups, blocks, images; groups, blocks, channels | images */
  tn_value *in[2] = {in_blocks(b, x, groups, blocks, of_x, 1), in_blocks(b, y, groups, blocks, of_y, 3)};
  tn_attr swapped[6] = {attrs[DILATE], attrs[STRIDE], attrs[LO], tn_attr_dims(b->module, hi, n),
                        tn_attr_int(groups * blocks), attrs[ACC]};
  return sum_blocks(b, tn_build_op(b, tn_op_find("conv"), in, 2, swapped), groups, blocks, w);
}
