/* thresholded_relu: x where x > alpha, else 0. */
#include "ir/ops/compose.h"

enum { ALPHA };

static bool expand_thresholded_relu(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *x = operands[0];
  tn_value *above = tn_build_binary_f(b, TN_GT, x, tn_attr_f(node, ALPHA));
  *out = tn_build_select(b, above, x, tn_build_fill_like(b, x, 0));
  return *out != NULL;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "alpha", .kind = TN_ATTR_FLOAT, .default_f = 1.0}};
static const tn_onnx_row onnx[] = {{"", "ThresholdedRelu", 10, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), "{alpha=0.75}", -9, 9, "f32[2,3]"},
    {TN_TYPES("f64[B,1]"), NULL, -9, 9, "f64[B,1]"},
    {TN_TYPES("f16[0]"), NULL, 0, 0, "f16[0]"},
    {TN_TYPES("bf16[]"), NULL, 0, 0, "bf16[]"},
    {TN_TYPES("i32[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_thresholded_relu = {
    .name = "thresholded_relu",
    .kind = TN_OP_COMPOSITE,
    .doc = "x where x > alpha, else 0.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_thresholded_relu,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
