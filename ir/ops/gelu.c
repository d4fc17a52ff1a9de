/* gelu: x times the normal distribution function, exact or by tanh (Hendrycks and Gimpel, arXiv:1606.08415). */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

enum { APPROXIMATE };
static const char *const ways[] = {"none", "tanh", NULL};

static bool expand_gelu(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *x = tn_compose_wide(b, operands[0]), *inner;
  if (node->attrs[APPROXIMATE].u.i == 0) {
    inner = tn_build_unary(b, TN_ERF, tn_build_binary_f(b, TN_MUL, x, 0.70710678118654752440));
  } else {
    tn_value *cube = tn_build_binary(b, TN_MUL, tn_build_binary(b, TN_MUL, x, x), x);
    tn_value *poly = tn_build_binary(b, TN_ADD, x, tn_build_binary_f(b, TN_MUL, cube, 0.044715));
    inner = tn_build_unary(b, TN_TANH, tn_build_binary_f(b, TN_MUL, poly, 0.79788456080286535588));
  }
  tn_value *half = tn_build_binary_f(b, TN_MUL, x, 0.5);
  tn_value *y = tn_build_binary(b, TN_MUL, half, tn_build_binary_f(b, TN_ADD, inner, 1));
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "approximate", .kind = TN_ATTR_NAME, .names = ways}};
static const tn_onnx_row onnx[] = {{"", "Gelu", 20, 0, NULL}, {"com.microsoft", "Gelu", 1, 0, NULL},
                                   {"com.microsoft", "FastGelu", 1, 0, tn_import_bias_gelu},
                                   {"com.microsoft", "BiasGelu", 1, 0, tn_import_bias_gelu}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), NULL, -9, 9, "f32[2,3]"},
    {TN_TYPES("f32[B]"), "{approximate=tanh}", -9, 9, "f32[B]"},
    {TN_TYPES("f16[0,1]"), NULL, 0, 0, "f16[0,1]"},
    {TN_TYPES("i32[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_gelu = {
    .name = "gelu",
    .kind = TN_OP_COMPOSITE,
    .doc = "0.5 * x * (1 + erf(x / sqrt(2))), or with approximate=tanh 0.5 * x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 "
           "x^3))).",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_gelu,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
