/* swish: x * sigmoid(alpha * x). */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

enum { ALPHA };

static bool expand_swish(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *power = tn_build_unary(b, TN_EXP, tn_build_binary_f(b, TN_MUL, x, -tn_attr_f(node, ALPHA)));
  tn_value *y = tn_build_binary(b, TN_DIV, x, tn_build_binary_f(b, TN_ADD, power, 1));
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

static bool export_swish(tn_export *x, const tn_node *node) {
  const char *name = tn_export_operand(x, node, 0), *scaled = name;
  double alpha = node->attrs[0].u.f;
  if (alpha != 1)
    scaled = tn_export_binary(x, "Mul", name, tn_export_number(x, node->results[0]->type->dtype, alpha), NULL);
  tn_export_binary(x, "Mul", name, tn_export_unary(x, "Sigmoid", scaled, NULL), tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "alpha", .kind = TN_ATTR_FLOAT, .default_f = 1.0}};
static const tn_onnx_row onnx[] = {{"", "Swish", 24, 0, NULL},
                                   {"com.microsoft", "QuickGelu", 1, 0, tn_import_quick_gelu}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), "{alpha=0.75}", -9, 9, "f32[2,3]"},
    {TN_TYPES("f64[B,1]"), NULL, -9, 9, "f64[B,1]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_TYPES("bf16[]"), NULL, 0, 0, "bf16[]"},
    {TN_TYPES("i32[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_swish = {
    .name = "swish",
    .kind = TN_OP_COMPOSITE,
    .doc = "x / (1 + exp(-alpha * x)).",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_swish,
    TN_ONNX(onnx),
    .export = export_swish,
    TN_SAMPLES(samples),
};
