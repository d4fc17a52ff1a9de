/* lstm: a layer of long short-term memory cells in one direction (Hochreiter and Schmidhuber, 1997; Gers and
 * Schmidhuber, 2000, for the peepholes); gates in the order input, output, forget, cell. */
#include "ir/ops/onnx.h"
#include "ir/ops/recurrent.h"

enum { INPUT_FORGET = TN_RNN_N_ATTRS };
enum { C = TN_RNN_N_OPERANDS, P };                 /* operands */
enum { R, PEEP_INPUT, PEEP_OUTPUT, PEEP_FORGET };  /* fixed values */
enum { GATE_INPUT, GATE_OUTPUT, GATE_FORGET, GATE_CELL };

static const char defaults[] = "sigmoid tanh tanh";

static bool infer_lstm(tn_infer *infer) {
  if (!tn_infer_recurrent(infer, 4, 2, defaults, 3) || !tn_infer_state(infer, C)) return false;
  const tn_value *peepholes = infer->n_operands > P ? infer->operands[P] : NULL;
  if (peepholes == NULL) return true;
  const tn_dim *wanted = tn_dim_mul_i(infer->ctx, infer->operands[TN_RNN_R]->type->dims[1], 3);
  return tn_infer_rank(infer, P, 1) && tn_func_require_eq(infer->func, peepholes->type->dims[0], wanted, infer->loc,
                                                          "'lstm': extent of the peepholes");
}

/* A gate's sum, with the peephole at the cell where there are any. */
static tn_value *gate(const tn_recurrent *layer, tn_build *b, tn_value *sums, int64_t number, tn_value *const *fixed,
                      uint32_t peephole, tn_value *at) {
  tn_value *sum = tn_cell_gate(layer, b, sums, number);
  if (layer->n_fixed > PEEP_INPUT) sum = tn_cell_add(b, sum, tn_cell_mul(b, tn_cell_along(b, fixed[peephole], at), at));
  return tn_cell_activate(layer, b, 0, sum);
}

static bool cell(const tn_recurrent *layer, tn_build *b, tn_value *input, tn_value *const *states,
                 tn_value *const *fixed, tn_value **next) {
  tn_value *h = states[0], *c = states[1];
  tn_value *sums = tn_cell_add(b, tn_cell_dot(b, h, fixed[R]), input);
  tn_value *i = gate(layer, b, sums, GATE_INPUT, fixed, PEEP_INPUT, c);
  bool coupled = layer->node->attrs[INPUT_FORGET].u.i != 0;
  tn_value *f = coupled ? tn_build_binary(b, TN_SUB, tn_build_fill_like(b, i, 1), i)
                        : gate(layer, b, sums, GATE_FORGET, fixed, PEEP_FORGET, c);
  tn_value *g = tn_cell_activate(layer, b, 1, tn_cell_gate(layer, b, sums, GATE_CELL));
  next[1] = tn_cell_add(b, tn_cell_mul(b, f, c), tn_cell_mul(b, i, g));
  tn_value *o = gate(layer, b, sums, GATE_OUTPUT, fixed, PEEP_OUTPUT, next[1]);
  /* clip is for the gates: what runtimes do, though ONNX' text could be read to mean the cell, too. */
  next[0] = tn_cell_mul(b, o, tn_activation_build(b, &layer->activations[2], next[1]));
  return next[0] != NULL;
}

static bool expand_lstm(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_recurrent layer = {.cell = cell};
  if (!tn_recurrent_begin(&layer, b, node, operands, defaults, 3)) return false;
  layer.states[layer.n_states++] =
      tn_recurrent_state(&layer, b, tn_recurrent_operand(b, operands, node->n_operands, C), layer.fixed[R]);
  tn_value *bias = tn_recurrent_operand(b, operands, node->n_operands, TN_RNN_B);
  if (bias != NULL)
    bias = tn_cell_add(b, tn_recurrent_bias(&layer, b, bias, 0, 4), tn_recurrent_bias(&layer, b, bias, 4, 4));
  tn_value *peepholes = tn_recurrent_operand(b, operands, node->n_operands, P);
  for (int64_t k = 0; peepholes != NULL && k < 3; k++)
    layer.fixed[layer.n_fixed++] = tn_recurrent_bias(&layer, b, peepholes, k, 1);
  return tn_recurrent_end(&layer, b, operands, bias, out);
}

static const tn_operand_def operand_defs[] = {TN_RNN_OPERAND_DEFS,
                                              {"c", TN_OPTIONAL, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0},
                                              {"p", TN_OPTIONAL, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attrs[] = {TN_RNN_ATTR_DEFS, {.name = "input_forget", .kind = TN_ATTR_BOOL}};
static const tn_onnx_row onnx[] = {
    {"", "LSTM", 1, 0, tn_import_lstm},
    {"com.microsoft", "DynamicQuantizeLSTM", 1, 0, tn_import_dynamic_quantize_lstm},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3,2,4]", "f32[20,4]", "f32[20,5]", "f32[40]"), NULL, 0, 0, "f32[3,2,5], f32[2,5], f32[2,5]"},
    {TN_TYPES("f64[B,2,2]", "f64[12,2]", "f64[12,3]", "f64[24]", "i32[2]", "f64[2,3]", "f64[2,3]", "f64[9]"),
     "{reverse=true, clip=1}", 0, 0, "f64[B,2,3], f64[2,3], f64[2,3]"},
    {TN_TYPES("f16[2,B,2]", "f16[4,2]", "f16[4,1]"),
     "{activations=\"hard_sigmoid affine(0.5,0.25) relu\", input_forget=true}", 0, 0, "f16[2,B,1], f16[B,1], f16[B,1]"},
    {TN_TYPES("f32[3,2,4]", "f32[20,3]", "f32[20,5]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[3,2,4]", "f32[20,4]", "f32[20,5]", "-", "-", "-", "-", "f32[5]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[3,2,4]", "f32[20,4]", "f32[20,5]"), "{activations=\"sigmoid tanh\"}", 0, 0, NULL},
};

const tn_opdef tn_op_lstm = {
    .name = "lstm",
    .kind = TN_OP_COMPOSITE,
    .doc = "A layer of long short-term memory, y [T,B,H] and the last h and c; gates i, o, f, g: "
           "i, f, o = f(x w^T + h r^T + b + p c), g = g(..), c = f c + i g, h = o h(c), where o sees the new c; "
           "input_forget makes f = 1 - i. p are the peepholes of i, o, f. lengths, reverse and clip (of the "
           "gates) as in rnn.",
    TN_OPERANDS(operand_defs),
    .n_results = 0,
    TN_ATTRS(attrs),
    .infer = infer_lstm,
    .expand = expand_lstm,
    TN_ONNX(onnx),
    .export = tn_export_recurrent,
    TN_SAMPLES(samples),
};
