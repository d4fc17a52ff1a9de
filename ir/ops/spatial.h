/* The sliding windows of conv, conv_dx and window: extents and taps along one spatial axis. */
#ifndef TN_IR_OPS_SPATIAL_H
#define TN_IR_OPS_SPATIAL_H

#include "ir/ops/ops.h"

/* floordiv(extent + lo + hi - dilate*(kernel-1) - 1, stride) + 1; guarded to be at least 0. kernel may be symbolic. */
const tn_dim *tn_spatial_extent(tn_infer *infer, const tn_dim *extent, const tn_dim *lo, const tn_dim *hi,
                                const tn_dim *kernel, int64_t stride, int64_t dilate, uint32_t axis);

/* One spatial axis with numbers. */
typedef struct tn_taps {
  int64_t in, out, kernel, stride, dilate, lo;
} tn_taps;

/* The kernel positions whose input position out_at*stride - lo + k*dilate lies in [0, in): k in [*first, *end). */
void tn_taps_range(const tn_taps *taps, int64_t out_at, int64_t *first, int64_t *end);

/* Attributes that all three share, in this order from the first. */
#define TN_SPATIAL_ATTRS                                                                                   \
  {.name = "stride", .kind = TN_ATTR_INTS, .required = true, .min_i = 1, .max_i = INT32_MAX},              \
      {.name = "dilate", .kind = TN_ATTR_INTS, .required = true, .min_i = 1, .max_i = INT32_MAX},          \
      {.name = "lo", .kind = TN_ATTR_DIMS, .required = true}, {.name = "hi", .kind = TN_ATTR_DIMS, .required = true}

#endif
