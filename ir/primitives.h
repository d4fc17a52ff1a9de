/* The structural primitives by name (ir/IR.md section 4), for code that treats them one by one: the builder, passes and
 * the reference. Composites are never named outside their own file. */
#ifndef TN_IR_PRIMITIVES_H
#define TN_IR_PRIMITIVES_H

#include "ir/op.h"

extern const tn_opdef tn_op_reshape, tn_op_transpose, tn_op_broadcast, tn_op_slice, tn_op_pad, tn_op_concat;
extern const tn_opdef tn_op_gather, tn_op_scatter, tn_op_dot, tn_op_conv, tn_op_conv_dx, tn_op_window, tn_op_reduce;
extern const tn_opdef tn_op_argreduce, tn_op_argwindow, tn_op_cumulate, tn_op_argsort, tn_op_iota, tn_op_bitcast;
extern const tn_opdef tn_op_const;
extern const tn_opdef tn_op_dim_read, tn_op_dim_value, tn_op_fence, tn_op_return, tn_op_yield;
extern const tn_opdef tn_op_if, tn_op_loop, tn_op_scan;

#endif
