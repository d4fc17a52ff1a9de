/* softplus: log(1 + exp(x)). */
#include "ir/gradient.h"
#include "ir/ops/compose.h"

static bool expand_softplus(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  (void)node;
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *rest = tn_build_unary(b, TN_EXP, tn_build_unary(b, TN_NEG, tn_build_unary(b, TN_ABS, x)));
  tn_value *y = tn_build_binary(b, TN_ADD, tn_build_binary_f(b, TN_MAX, x, 0), tn_build_unary(b, TN_LOG1P, rest));
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

static bool vjp_softplus(tn_vjp *v) {
  tn_build *b = v->build;
  tn_value *slope = tn_build_op(b, tn_op_find("sigmoid"), &v->operands[0], 1, NULL);
  return (v->dx[0] = tn_build_binary(b, TN_MUL, v->dy[0], slope)) != NULL;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_onnx_row onnx[] = {{"", "Softplus", 1, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), NULL, -9, 9, "f32[2,3]"},
    {TN_TYPES("f64[B,1]"), NULL, -9, 9, "f64[B,1]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_TYPES("bf16[]"), NULL, 0, 0, "bf16[]"},
    {TN_TYPES("i32[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_softplus = {
    .name = "softplus",
    .kind = TN_OP_COMPOSITE,
    .doc = "log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|)), which does not overflow.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_softplus,
    .vjp = vjp_softplus,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
