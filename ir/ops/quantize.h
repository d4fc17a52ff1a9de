/* What the quantisation operators share: how scales and zero points lie along a tensor. */
#ifndef TN_IR_OPS_QUANTIZE_H
#define TN_IR_OPS_QUANTIZE_H

#include "ir/ops/compose.h"

/* Types that hold quantised values: integers up to 16 bits, i32, and the small floats. */
#define TN_SET_QUANTIZED                                                                                              \
  (TN_DTYPE_BIT(TN_I8) | TN_DTYPE_BIT(TN_U8) | TN_DTYPE_BIT(TN_I16) | TN_DTYPE_BIT(TN_U16) | TN_DTYPE_BIT(TN_I4) |    \
   TN_DTYPE_BIT(TN_U4) | TN_DTYPE_BIT(TN_I2) | TN_DTYPE_BIT(TN_U2) | TN_DTYPE_BIT(TN_I32) | TN_DTYPE_BIT(TN_F8E4M3) | \
   TN_DTYPE_BIT(TN_F8E5M2) | TN_DTYPE_BIT(TN_F8E4M3UZ) | TN_DTYPE_BIT(TN_F8E5M2UZ) | TN_DTYPE_BIT(TN_F4E2M1))

/* Checks operand `index` (a scale or zero point) against x: one number, one along axis, or one a block of `block`
 * elements of axis. */
bool tn_infer_quant_parameter(const tn_infer *infer, uint32_t index, uint32_t axis, int64_t block);
/* A scale or zero point repeated to x's dims. */
tn_value *tn_build_quant_spread(tn_build *b, tn_value *parameter, const tn_value *x, uint32_t axis, int64_t block);

/* import: axis and block_size; a parameter of one element counts as one number, whatever its rank. */
bool tn_foreign_quant_axis(tn_foreign_node *node, const tn_value *x, tn_value **scale, tn_value **zero, int64_t *axis,
                           int64_t *block);

#endif
