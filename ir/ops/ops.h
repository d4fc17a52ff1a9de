/* What the files of ir/ops share: error texts of infer, index contents, and attribute access by position. Every file
 * lists its attributes in an enum in the order of its table, so `infer->attrs[AXIS]` needs no search. */
#ifndef TN_IR_OPS_OPS_H
#define TN_IR_OPS_OPS_H

#include "ir/build.h"
#include "ir/eval.h"
#include "ir/foreign.h"

/* Records: tables with their lengths. */
#define TN_OPERANDS(table) .operands = (table), .n_operands = TN_ARRAY_LEN(table)
#define TN_ATTRS(table) .attrs = (table), .n_attrs = TN_ARRAY_LEN(table)
#define TN_ONNX(table) .onnx = (table), .n_onnx = TN_ARRAY_LEN(table)
#define TN_SAMPLES(table) .samples = (table), .n_samples = TN_ARRAY_LEN(table)
/* A sample's operand list. */
#define TN_TYPES(...) (const char *const[]){__VA_ARGS__, NULL}
#define TN_NO_TYPES (const char *const[]){NULL}

/* infer: an error at the node, which begins with "'op': "; false. */
bool tn_infer_error(const tn_infer *infer, tn_diag_code code, const char *format, ...) TN_PRINTF(3, 4);
/* "x f32[2,3]", or "x %name f32[2,3]" when the user named the value. */
const char *tn_infer_operand(const tn_infer *infer, uint32_t index);
bool tn_infer_rank(const tn_infer *infer, uint32_t operand, uint32_t ndim);
bool tn_infer_min_rank(const tn_infer *infer, uint32_t operand, uint32_t ndim);
/* 0 <= axis < ndim. */
bool tn_infer_axis(const tn_infer *infer, const char *what, int64_t axis, uint32_t ndim);
/* All inside [0, ndim) and no two equal. */
bool tn_infer_axes(const tn_infer *infer, const char *what, const tn_attr *axes, uint32_t ndim);
/* Whether v is among the elements of a list of integers. */
bool tn_ints_have(const tn_attr *list, int64_t v);
bool tn_infer_length(const tn_infer *infer, const char *what, const tn_attr *list, uint32_t n);
/* The node's regions: their parameters are those that the op says, and they end in `yield`. */
bool tn_infer_regions(const tn_infer *infer);
/* True when types have the same element type and dims, proved or guarded; `what` (and its number) for the error. */
bool tn_infer_same_type(const tn_infer *infer, const tn_type *type, const tn_type *expected, const char *what,
                        uint32_t number);
/* Operand 0 has a rank of 2 or more, operands 1 to n - 1 are vectors, one element for each index of its axis 1. */
bool tn_infer_channels(const tn_infer *infer, uint32_t n);
/* dim >= 0, proved or guarded. */
bool tn_infer_extent(const tn_infer *infer, const char *what, const tn_dim *dim);
/* What an operand's axis is broadcast along: extent is dim, or 1 where a run may show that; guarded. what: for the
 * error, with its axis. */
bool tn_infer_spread(const tn_infer *infer, const char *what, uint32_t axis, const tn_dim *extent, const tn_dim *dim);
/* Sets types[index]; false when the rank is above the limit (reported). */
bool tn_infer_result(tn_infer *infer, uint32_t index, tn_dtype dtype, uint32_t ndim, const tn_dim *const *dims);

/* Sets the contents of result 0 when they are few enough and every dim is there (a NULL one means unknown). */
void tn_index_set(tn_node *node, const tn_dim *const *index, uint32_t n);
/* The operand's contents, or NULL. */
const tn_dim *const *tn_index_of(const tn_node *node, uint32_t operand);
#define TN_MAX_INDEX 64
/* The contents of an integer value of any rank in row-major order, from index contents below the ops that move
 * elements (trace.c); room for TN_MAX_INDEX. False when they are not known. */
bool tn_index_trace(const tn_value *value, const tn_dim **out, uint32_t *out_n);

/* The dtype of an ONNX TensorProto.DataType number, or TN_N_DTYPES. */
tn_dtype tn_dtype_of_onnx(int64_t number);

/* import: sets output 0; false when value is NULL. */
bool tn_foreign_set(tn_foreign_node *node, uint32_t output, tn_value *value);
/* The build of node's outputs by one op with the given attributes. */
bool tn_foreign_build(tn_foreign_node *node, const tn_opdef *op, tn_value *const *operands, uint32_t n_operands,
                      const tn_attr *attrs);
bool tn_foreign_error(const tn_foreign_node *node, tn_diag_code code, const char *format, ...) TN_PRINTF(3, 4);

#endif
