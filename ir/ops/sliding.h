/* Sliding windows over axes of a tensor: what window and argwindow share. Their attributes stand in one order. */
#ifndef TN_IR_OPS_SLIDING_H
#define TN_IR_OPS_SLIDING_H

#include "ir/ops/fold.h"
#include "ir/ops/spatial.h"

enum {
  TN_SLIDING_OP, TN_SLIDING_AXES, TN_SLIDING_SIZE, TN_SLIDING_STRIDE, TN_SLIDING_DILATE, TN_SLIDING_LO, TN_SLIDING_HI,
  TN_SLIDING_N_ATTRS
};
#define TN_SLIDING_ATTRS(op_names)                                           \
  {.name = "op", .kind = TN_ATTR_NAME, .required = true, .names = op_names}, \
  {.name = "axes", .kind = TN_ATTR_INTS, .required = true},                  \
  {.name = "size", .kind = TN_ATTR_INTS, .required = true, .min_i = 1, .max_i = INT32_MAX}, TN_SPATIAL_ATTRS

typedef struct tn_sliding {
  const tn_tensor *x;
  tn_fold fold;
  tn_dtype acc;
  bool exact;
  uint32_t n; /* axes that windows slide along */
  const int64_t *axes, *size, *stride, *dilate;
  int64_t lo[TN_MAX_NDIM], strides[TN_MAX_NDIM];
} tn_sliding;

/* The result's type: x's dims, with the number of windows on the axes. */
bool tn_sliding_infer(tn_infer *infer, tn_dtype dtype);
/* False when a dim does not evaluate (reported). */
bool tn_sliding_start(tn_eval *eval, const tn_node *node, tn_sliding *out);
/* Folds the window at out_index; *out_winner = flat row-major position of the winner over the axes (the first of
 * equals, a NaN before all numbers), or -1 when the window has no element. */
tn_number tn_sliding_fold(const tn_sliding *sliding, const int64_t *out_index, int64_t *out_winner);

#endif
