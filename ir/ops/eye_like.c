/* eye_like: ones on a diagonal (ONNX EyeLike). */
#include "ir/ops/indexing.h"

enum { DTYPE, K };

static bool infer_eye_like(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  tn_dtype dtype = infer->attrs[DTYPE].present ? (tn_dtype)infer->attrs[DTYPE].u.i : x->dtype;
  return tn_infer_rank(infer, 0, 2) && tn_infer_result(infer, 0, dtype, 2, x->dims);
}

static bool expand_eye_like(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  const tn_type *type = node->results[0]->type;
  (void)operands;
  tn_value *row = tn_build_iota(b, type->dims, 2, 0, TN_I64), *column = tn_build_iota(b, type->dims, 2, 1, TN_I64);
  tn_value *k = tn_build_spread(b, tn_build_splat_i(b, TN_I64, node->attrs[K].u.i), type->dims, 2);
  tn_value *is_one = tn_build_binary(b, TN_EQ, tn_build_binary(b, TN_SUB, column, row), k);
  out[0] = tn_build_cast(b, is_one, type->dtype);
  return out[0] != NULL;
}

static const tn_operand_def operands[] = {{"like", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "dtype", .kind = TN_ATTR_DTYPE, .no_default = true},
                                    {.name = "k", .kind = TN_ATTR_INT}};
static const tn_onnx_row onnx[] = {{"", "EyeLike", 9, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3,4]"), NULL, 0, 0, "f32[3,4]"},
    {TN_TYPES("f32[B,4]"), "{dtype=i32, k=-1}", 0, 0, "i32[B,4]"},
    {TN_TYPES("i8[0,2]"), NULL, 0, 0, "i8[0,2]"},
    {TN_TYPES("f32[3]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_eye_like = {
    .name = "eye_like",
    .kind = TN_OP_COMPOSITE,
    .doc = "A matrix of like's dims with ones on the k-th diagonal (0: the main one, above it positive), zero elsewhere; of "
           "like's element type when dtype is not given.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_eye_like,
    .expand = expand_eye_like,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
