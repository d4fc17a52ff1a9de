/* hard_sigmoid: max(0, min(1, alpha * x + beta)). */
#include "ir/ops/compose.h"

enum { ALPHA, BETA };

static bool expand_hard_sigmoid(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *line = tn_build_binary_f(b, TN_ADD, tn_build_binary_f(b, TN_MUL, x, tn_attr_f(node, ALPHA)),
                                     tn_attr_f(node, BETA));
  tn_value *y = tn_build_binary_f(b, TN_MAX, tn_build_binary_f(b, TN_MIN, line, 1), 0);
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "alpha", .kind = TN_ATTR_FLOAT, .default_f = 0.2},
                                    {.name = "beta", .kind = TN_ATTR_FLOAT, .default_f = 0.5}};
static const tn_onnx_row onnx[] = {{"", "HardSigmoid", 1, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), "{alpha=0.75, beta=1.25}", -9, 9, "f32[2,3]"},
    {TN_TYPES("f64[B,1]"), NULL, -9, 9, "f64[B,1]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_TYPES("bf16[]"), NULL, 0, 0, "bf16[]"},
    {TN_TYPES("i32[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_hard_sigmoid = {
    .name = "hard_sigmoid",
    .kind = TN_OP_COMPOSITE,
    .doc = "max(0, min(1, alpha * x + beta)).",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_hard_sigmoid,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
