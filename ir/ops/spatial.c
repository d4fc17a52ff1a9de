/* Sliding windows; see spatial.h. */
#include "ir/ops/spatial.h"

const tn_dim *tn_spatial_extent(tn_infer *infer, const tn_dim *extent, const tn_dim *lo, const tn_dim *hi,
                                const tn_dim *kernel, int64_t stride, int64_t dilate, uint32_t axis) {
  tn_ctx *ctx = infer->ctx;
  const tn_dim *reach = tn_dim_add_i(ctx, tn_dim_mul_i(ctx, tn_dim_add_i(ctx, kernel, -1), dilate), 1);
  const tn_dim *room = tn_dim_sub(ctx, tn_dim_add(ctx, tn_dim_add(ctx, extent, lo), hi), reach);
  if (!tn_func_require_le(infer->func, tn_dim_const(ctx, -stride), room, infer->loc,
                          "'%s': the kernel fits into spatial axis %u", infer->node->op->name, axis))
    return NULL;
  return tn_dim_add_i(ctx, tn_dim_floordiv(ctx, room, tn_dim_const(ctx, stride)), 1);
}

void tn_taps_range(const tn_taps *taps, int64_t out_at, int64_t *first, int64_t *end) {
  int64_t base = out_at * taps->stride - taps->lo;
  *first = base >= 0 ? 0 : (-base + taps->dilate - 1) / taps->dilate;
  int64_t room = taps->in - base; /* k * dilate < room */
  *end = room <= 0 ? 0 : (room + taps->dilate - 1) / taps->dilate;
  if (*end > taps->kernel) *end = taps->kernel;
  if (*first > *end) *first = *end;
}
