/* stop_gradient: x itself, through which no gradient goes. */
#include "ir/ops/onnx.h"

static bool expand_stop_gradient(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  (void)b;
  (void)node;
  *out = operands[0];
  return *out != NULL;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_onnx_row onnx[] = {{"ai.onnx.preview.training", "Gradient", 1, 0, tn_import_gradient}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), NULL, 0, 0, "f32[2,3]"},
    {TN_TYPES("i64[B]"), NULL, 0, 0, "i64[B]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_NO_TYPES, NULL, 0, 0, NULL},
};

const tn_opdef tn_op_stop_gradient = {
    .name = "stop_gradient",
    .kind = TN_OP_COMPOSITE,
    .doc = "x, taken as a constant by differentiation.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    .traits = TN_TRAIT_ELEMENTWISE | TN_TRAIT_STOPS_GRADIENT,
    .expand = expand_stop_gradient,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
