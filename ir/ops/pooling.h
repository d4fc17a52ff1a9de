/* The attributes that ONNX's convolutions and poolings share: kernel_shape, strides, dilations, pads, auto_pad,
 * ceil_mode. */
#ifndef TN_IR_OPS_POOLING_H
#define TN_IR_OPS_POOLING_H

#include "ir/ops/ops.h"

typedef struct tn_pooling {
  uint32_t n; /* spatial axes */
  int64_t kernel[TN_MAX_NDIM]; /* 0 where symbolic (convolutions only) */
  int64_t stride[TN_MAX_NDIM], dilate[TN_MAX_NDIM];
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
} tn_pooling;

/* The attribute called name: `expected` integers in [fallback, INT32_MAX], all of them fallback when it is absent. */
bool tn_pooling_list(tn_foreign_node *node, const char *name, uint32_t expected, int64_t fallback, int64_t *out);
/* kernel: the spatial extents of the weights, checked against kernel_shape; NULL: kernel_shape is required. auto_pad
 * and ceil_mode are resolved into lo and hi. */
bool tn_pooling_read(tn_foreign_node *node, const tn_value *x, const tn_dim *const *kernel, tn_pooling *out);
/* As above, but auto_pad is left to the caller: lo and hi are those of `pads`. */
bool tn_pooling_read_explicit(tn_foreign_node *node, const tn_value *x, const tn_dim *const *kernel, tn_pooling *out);
/* hi of each axis extended so that ceil_mode's last, partial windows exist. */
void tn_pooling_ceil(tn_ctx *ctx, const tn_value *x, tn_pooling *p);
/* lo and hi of spatial axis i such that the result has ceil(extent / stride) elements; the odd element of padding goes
 * to the end for upper, else to the start. */
void tn_pooling_pad_same(tn_ctx *ctx, const tn_dim *extent, const tn_dim *kernel, bool upper, uint32_t i,
                         tn_pooling *p);
/* Mean over windows of the axes from 2 on. plain: p before ceil_mode extended it. count_pads: padding counts as zeros,
 * but never what ceil_mode adds behind it. */
tn_value *tn_pooling_average(tn_build *b, tn_value *x, const tn_pooling *p, const tn_pooling *plain, bool count_pads);
/* y + bias along axis 1; y itself without a bias. */
tn_value *tn_pooling_add_bias(tn_build *b, tn_value *y, tn_value *bias);

#endif
