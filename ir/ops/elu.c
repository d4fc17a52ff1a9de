/* elu: x where x > 0, else alpha * (exp(x) - 1). */
#include "ir/ops/compose.h"

enum { ALPHA };

static bool expand_elu(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *below = tn_build_unary(b, TN_EXPM1, tn_build_binary_f(b, TN_MIN, x, 0));
  below = tn_build_binary_f(b, TN_MUL, below, tn_attr_f(node, ALPHA));
  tn_value *y = tn_build_select(b, tn_build_binary_f(b, TN_GT, x, 0), x, below);
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "alpha", .kind = TN_ATTR_FLOAT, .default_f = 1.0}};
static const tn_onnx_row onnx[] = {{"", "Elu", 1, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), "{alpha=0.75}", -9, 9, "f32[2,3]"},
    {TN_TYPES("f64[B,1]"), NULL, -9, 9, "f64[B,1]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_TYPES("bf16[]"), NULL, 0, 0, "bf16[]"},
    {TN_TYPES("i32[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_elu = {
    .name = "elu",
    .kind = TN_OP_COMPOSITE,
    .doc = "x where x > 0, else alpha * (exp(x) - 1), by expm1 without cancellation.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_elu,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
