/* relu: max(x, 0). */
#include "ir/gradient.h"
#include "ir/ops/compose.h"

static bool expand_relu(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  (void)node;
  *out = tn_build_binary_f(b, TN_MAX, operands[0], 0);
  return *out != NULL;
}

/* 0 at 0, as everywhere below. */
static bool vjp_relu(tn_vjp *v) {
  tn_build *b = v->build;
  tn_value *above = tn_build_binary_f(b, TN_GT, v->results[0], 0);
  return (v->dx[0] = tn_build_select(b, above, v->dy[0], tn_build_fill_like(b, v->dy[0], 0))) != NULL;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0}};
static const tn_onnx_row onnx[] = {{"", "Relu", 1, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), NULL, -9, 9, "f32[2,3]"},
    {TN_TYPES("f64[B,1]"), NULL, -9, 9, "f64[B,1]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_TYPES("bf16[]"), NULL, 0, 0, "bf16[]"},
    {TN_TYPES("bool[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_relu = {
    .name = "relu",
    .kind = TN_OP_COMPOSITE,
    .doc = "max(x, 0); NaN stays NaN.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_relu,
    .vjp = vjp_relu,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
