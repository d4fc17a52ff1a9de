/* trilu: the upper or lower triangle of matrices (ONNX Trilu). */
#include "ir/ops/indexing.h"

extern const tn_opdef tn_op_trilu;

enum { UPPER };

static bool infer_trilu(tn_infer *infer) {
  if (!tn_infer_min_rank(infer, 0, 2)) return false;
  if (infer->n_operands > 1 && infer->operands[1] != NULL && !tn_infer_rank(infer, 1, 0)) return false;
  infer->types[0] = infer->operands[0]->type;
  return true;
}

static bool expand_trilu(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  const tn_type *type = operands[0]->type;
  const tn_dim *const *matrix = type->dims + type->ndim - 2;
  tn_value *row = tn_build_iota(b, matrix, 2, 0, TN_I64), *column = tn_build_iota(b, matrix, 2, 1, TN_I64);
  tn_value *k = node->n_operands > 1 && operands[1] != NULL ? operands[1] : tn_build_splat_i(b, TN_I64, 0);
  tn_value *diagonal = tn_build_binary(b, TN_SUB, column, row);
  k = tn_build_spread(b, k, matrix, 2);
  tn_value *keep = tn_build_binary(b, node->attrs[UPPER].u.i ? TN_GE : TN_LE, diagonal, k);
  keep = tn_build_broadcast_to(b, keep, type->dims, type->ndim);
  out[0] = tn_build_select(b, keep, operands[0], tn_build_fill_like(b, operands[0], 0));
  return out[0] != NULL;
}

static bool import_trilu(tn_foreign_node *node) {
  int64_t upper;
  tn_value *operands[] = {tn_foreign_need(node, 0), tn_foreign_input(node, 1)};
  if (operands[0] == NULL || !tn_foreign_int(node, "upper", 1, &upper)) return false;
  if (operands[1] != NULL) operands[1] = tn_build_reshape(node->build, operands[1], NULL, 0);
  tn_attr attr = tn_attr_bool(upper != 0);
  return tn_foreign_build(node, &tn_op_trilu, operands, operands[1] != NULL ? 2 : 1, &attr);
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                          {"k", TN_OPTIONAL, TN_DTYPE_BIT(TN_I64), TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "upper", .kind = TN_ATTR_BOOL, .default_i = 1}};
static const tn_onnx_row onnx[] = {{"", "Trilu", 14, 0, import_trilu}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3,4]"), NULL, 0, 0, "f32[3,4]"},
    {TN_TYPES("i32[2,B,3]", "i64[]"), "{upper=false}", 0, 0, "i32[2,B,3]"},
    {TN_TYPES("bool[0,3]"), NULL, 0, 0, "bool[0,3]"},
    {TN_TYPES("f32[3]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_trilu = {
    .name = "trilu",
    .kind = TN_OP_COMPOSITE,
    .doc = "Of each matrix in the last two axes, what lies on and above (upper) or on and below the k-th diagonal (default "
           "0); zero elsewhere.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_trilu,
    .expand = expand_trilu,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
