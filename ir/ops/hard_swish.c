/* hard_swish: x * max(0, min(1, x / 6 + 1 / 2)). */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"

static bool expand_hard_swish(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  (void)node;
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *gate = tn_build_binary_f(b, TN_ADD, tn_build_binary_f(b, TN_MUL, x, 1.0 / 6.0), 0.5);
  gate = tn_build_binary_f(b, TN_MAX, tn_build_binary_f(b, TN_MIN, gate, 1), 0);
  *out = tn_compose_narrow(b, tn_build_binary(b, TN_MUL, x, gate), operands[0]);
  return *out != NULL;
}

/* ONNX' 1/6 is a float. */
static bool export_hard_swish(tn_export *x, const tn_node *node) {
  if (node->results[0]->type->dtype == TN_F64) return false;
  tn_export_unary(x, "HardSwish", tn_export_operand(x, node, 0), tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_onnx_row onnx[] = {{"", "HardSwish", 14, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), NULL, -9, 9, "f32[2,3]"},
    {TN_TYPES("f64[B,1]"), NULL, -9, 9, "f64[B,1]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_TYPES("bf16[]"), NULL, 0, 0, "bf16[]"},
    {TN_TYPES("i32[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_hard_swish = {
    .name = "hard_swish",
    .kind = TN_OP_COMPOSITE,
    .doc = "x * max(0, min(1, x / 6 + 1 / 2)).",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_hard_swish,
    TN_ONNX(onnx),
    .export = export_hard_swish,
    TN_SAMPLES(samples),
};
