/* shrink: x - bias above lambd, x + bias below -lambd, else 0. */
#include "ir/ops/compose.h"

enum { LAMBD, BIAS };

static bool expand_shrink(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *x = operands[0];
  double lambd = tn_attr_f(node, LAMBD), bias = tn_attr_f(node, BIAS);
  tn_value *y = tn_build_fill_like(b, x, 0);
  y = tn_build_select(b, tn_build_binary_f(b, TN_GT, x, lambd), tn_build_binary_f(b, TN_SUB, x, bias), y);
  *out = tn_build_select(b, tn_build_binary_f(b, TN_LT, x, -lambd), tn_build_binary_f(b, TN_ADD, x, bias), y);
  return *out != NULL;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "lambd", .kind = TN_ATTR_FLOAT, .default_f = 0.5},
                                    {.name = "bias", .kind = TN_ATTR_FLOAT, .default_f = 0.0}};
static const tn_onnx_row onnx[] = {{"", "Shrink", 9, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), "{lambd=0.75, bias=1.25}", -9, 9, "f32[2,3]"},
    {TN_TYPES("f64[B,1]"), NULL, -9, 9, "f64[B,1]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_TYPES("bf16[]"), NULL, 0, 0, "bf16[]"},
    {TN_TYPES("bool[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_shrink = {
    .name = "shrink",
    .kind = TN_OP_COMPOSITE,
    .doc = "x + bias where x < -lambd, x - bias where x > lambd, else 0.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_shrink,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
