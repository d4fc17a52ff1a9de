/* rnn: a layer of simple recurrent cells in one direction: h' = f(x w^T + h r^T + b). */
#include "ir/ops/onnx.h"
#include "ir/ops/recurrent.h"

static const char defaults[] = "tanh";

static bool infer_rnn(tn_infer *infer) { return tn_infer_recurrent(infer, 1, 1, defaults, 1); }

static bool cell(const tn_recurrent *layer, tn_build *b, tn_value *input, tn_value *const *states,
                 tn_value *const *fixed, tn_value **next) {
  next[0] = tn_cell_activate(layer, b, 0, tn_cell_add(b, tn_cell_dot(b, states[0], fixed[0]), input));
  return next[0] != NULL;
}

static bool expand_rnn(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_recurrent layer = {.cell = cell};
  if (!tn_recurrent_begin(&layer, b, node, operands, defaults, 1)) return false;
  tn_value *bias = tn_recurrent_operand(b, operands, node->n_operands, TN_RNN_B);
  if (bias != NULL)
    bias = tn_cell_add(b, tn_recurrent_bias(&layer, b, bias, 0, 1), tn_recurrent_bias(&layer, b, bias, 1, 1));
  return tn_recurrent_end(&layer, b, operands, bias, out);
}

static const tn_operand_def operand_defs[] = {TN_RNN_OPERAND_DEFS};
static const tn_attr_def attrs[] = {TN_RNN_ATTR_DEFS};
static const tn_onnx_row onnx[] = {{"", "RNN", 1, 0, tn_import_rnn}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3,2,4]", "f32[5,4]", "f32[5,5]", "f32[10]"), NULL, 0, 0, "f32[3,2,5], f32[2,5]"},
    {TN_TYPES("f64[B,1,2]", "f64[3,2]", "f64[3,3]", "-", "i32[1]", "f64[1,3]"), "{reverse=true}", 0, 0,
     "f64[B,1,3], f64[1,3]"},
    {TN_TYPES("f16[2,B,2]", "f16[3,2]", "f16[3,3]"), "{activations=\"leaky_relu(0.25)\", clip=1}", 0, 0,
     "f16[2,B,3], f16[B,3]"},
    {TN_TYPES("f32[3,2,4]", "f32[5,4]", "f32[6,5]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[3,2,4]", "f32[5,4]", "f32[5,5]"), "{activations=\"tan\"}", 0, 0, NULL},
    {TN_TYPES("f32[3,2,4]", "f32[5,4]", "f32[5,5]"), "{activations=\"tanh tanh\"}", 0, 0, NULL},
};

const tn_opdef tn_op_rnn = {
    .name = "rnn",
    .kind = TN_OP_COMPOSITE,
    .doc = "A recurrent layer, y [T,B,H] and the last h: h = f(x w^T + h r^T + b_w + b_r) from the first step to the "
           "last, or with reverse from the last to the first. lengths: steps of each sequence, behind which y is 0 "
           "and h stays. clip bounds what f is applied to; 0 is no bound.",
    TN_OPERANDS(operand_defs),
    .n_results = 0,
    TN_ATTRS(attrs),
    .infer = infer_rnn,
    .expand = expand_rnn,
    TN_ONNX(onnx),
    .export = tn_export_recurrent,
    TN_SAMPLES(samples),
};
