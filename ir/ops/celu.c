/* celu: max(0, x) + min(0, alpha * (exp(x / alpha) - 1)). */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"

enum { ALPHA };

static bool expand_celu(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *x = tn_compose_wide(b, operands[0]);
  double alpha = tn_attr_f(node, ALPHA);
  tn_value *below = tn_build_unary(b, TN_EXPM1, tn_build_binary_f(b, TN_DIV, x, alpha));
  below = tn_build_binary_f(b, TN_MIN, tn_build_binary_f(b, TN_MUL, below, alpha), 0);
  tn_value *y = tn_build_binary(b, TN_ADD, tn_build_binary_f(b, TN_MAX, x, 0), below);
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

/* ONNX has it for f32 only. */
static bool export_celu(tn_export *x, const tn_node *node) {
  if (node->results[0]->type->dtype != TN_F32) return false;
  tn_export_emit(x, "Celu", 0, TN_NAMES(tn_export_operand(x, node, 0)),
                 TN_FOREIGN(tn_foreign_of_float("alpha", node->attrs[0].u.f)), tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "alpha", .kind = TN_ATTR_FLOAT, .default_f = 1.0}};
static const tn_onnx_row onnx[] = {{"", "Celu", 12, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), "{alpha=0.75}", -9, 9, "f32[2,3]"},
    {TN_TYPES("f64[B,1]"), NULL, -9, 9, "f64[B,1]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_TYPES("bf16[]"), NULL, 0, 0, "bf16[]"},
    {TN_TYPES("i32[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_celu = {
    .name = "celu",
    .kind = TN_OP_COMPOSITE,
    .doc = "max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_celu,
    TN_ONNX(onnx),
    .export = export_celu,
    TN_SAMPLES(samples),
};
