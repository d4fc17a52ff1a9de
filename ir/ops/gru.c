/* gru: a layer of gated recurrent units in one direction (Cho et al., arXiv:1406.1078); gates in the order update,
 * reset, new. */
#include "ir/ops/onnx.h"
#include "ir/ops/recurrent.h"

enum { LINEAR_BEFORE_RESET = TN_RNN_N_ATTRS };
/* Fixed values: with the reset gate before the product r is in two parts, with it behind the bias of the product is
 * one, when there is a bias. */
enum { R, R_NEW, STATE_BIAS = 1 };

static const char defaults[] = "sigmoid tanh";

static bool infer_gru(tn_infer *infer) { return tn_infer_recurrent(infer, 3, 1, defaults, 2); }

static bool cell(const tn_recurrent *layer, tn_build *b, tn_value *input, tn_value *const *states,
                 tn_value *const *fixed, tn_value **next) {
  tn_value *h = states[0], *candidate;
  bool linear = layer->node->attrs[LINEAR_BEFORE_RESET].u.i != 0;
  tn_value *product = tn_cell_dot(b, h, fixed[R]), *gates[2];
  for (int64_t i = 0; i < 2; i++)
    gates[i] = tn_cell_activate(layer, b, 0, tn_cell_add(b, tn_cell_gate(layer, b, product, i),
                                                         tn_cell_gate(layer, b, input, i)));
  if (linear) {
    candidate = tn_cell_gate(layer, b, product, 2);
    if (layer->n_fixed > STATE_BIAS)
      candidate = tn_cell_add(b, candidate, tn_cell_along(b, fixed[STATE_BIAS], candidate));
    candidate = tn_cell_mul(b, gates[1], candidate);
  } else {
    candidate = tn_cell_dot(b, tn_cell_mul(b, gates[1], h), fixed[R_NEW]);
  }
  candidate = tn_cell_activate(layer, b, 1, tn_cell_add(b, candidate, tn_cell_gate(layer, b, input, 2)));
  /* (1 - z) * n + z * h */
  next[0] = tn_cell_add(b, candidate, tn_cell_mul(b, gates[0], tn_build_binary(b, TN_SUB, h, candidate)));
  return next[0] != NULL;
}

static bool expand_gru(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_recurrent layer = {.cell = cell};
  if (!tn_recurrent_begin(&layer, b, node, operands, defaults, 2)) return false;
  tn_value *given = tn_recurrent_operand(b, operands, node->n_operands, TN_RNN_B), *bias = NULL;
  bool linear = node->attrs[LINEAR_BEFORE_RESET].u.i != 0;
  if (!linear) {
    const tn_dim *two = tn_dim_mul_i(b->ctx, layer.hidden, 2), *zero = tn_dim_const(b->ctx, 0);
    layer.fixed[layer.n_fixed++] = tn_build_slice_axis(b, layer.fixed[R], 0, two, layer.hidden, 1);
    layer.fixed[R] = tn_build_slice_axis(b, layer.fixed[R], 0, zero, two, 1);
  }
  if (given != NULL && !linear)
    bias = tn_cell_add(b, tn_recurrent_bias(&layer, b, given, 0, 3), tn_recurrent_bias(&layer, b, given, 3, 3));
  if (given != NULL && linear) {
    tn_value *parts[] = {tn_cell_add(b, tn_recurrent_bias(&layer, b, given, 0, 2),
                                     tn_recurrent_bias(&layer, b, given, 3, 2)),
                         tn_recurrent_bias(&layer, b, given, 2, 1)};
    bias = tn_build_concat(b, parts, 2, 0);
    layer.fixed[layer.n_fixed++] = tn_recurrent_bias(&layer, b, given, 5, 1);
  }
  return tn_recurrent_end(&layer, b, operands, bias, out);
}

static const tn_operand_def operand_defs[] = {TN_RNN_OPERAND_DEFS};
static const tn_attr_def attrs[] = {TN_RNN_ATTR_DEFS, {.name = "linear_before_reset", .kind = TN_ATTR_BOOL}};
static const tn_onnx_row onnx[] = {{"", "GRU", 3, 0, tn_import_gru}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3,2,4]", "f32[15,4]", "f32[15,5]", "f32[30]"), NULL, 0, 0, "f32[3,2,5], f32[2,5]"},
    {TN_TYPES("f64[B,2,2]", "f64[9,2]", "f64[9,3]", "f64[18]", "i64[2]", "f64[2,3]"),
     "{reverse=true, linear_before_reset=true}", 0, 0, "f64[B,2,3], f64[2,3]"},
    {TN_TYPES("bf16[2,B,2]", "bf16[3,2]", "bf16[3,1]"), "{activations=\"hard_sigmoid(0.25,0.5) softsign\", clip=2}", 0,
     0, "bf16[2,B,1], bf16[B,1]"},
    {TN_TYPES("f32[3,2,4]", "f32[15,4]", "f32[15,5]", "f32[15]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[3,2,4]", "f32[15,4]", "f32[15,5]", "-", "-", "f32[2,4]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_gru = {
    .name = "gru",
    .kind = TN_OP_COMPOSITE,
    .doc = "A layer of gated recurrent units, y [T,B,H] and the last h; gates z, r, n: z, r = f(x w^T + h r^T + b), "
           "n = g(x w^T + (r h) r^T + b), with linear_before_reset g(x w^T + b_w + r (h r^T + b_r)); "
           "h = (1 - z) n + z h. lengths, reverse and clip as in rnn.",
    TN_OPERANDS(operand_defs),
    .n_results = 0,
    TN_ATTRS(attrs),
    .infer = infer_gru,
    .expand = expand_gru,
    TN_ONNX(onnx),
    .export = tn_export_recurrent,
    TN_SAMPLES(samples),
};
