/* Shared by rnn, gru and lstm; see recurrent.h. */
#include "ir/ops/export.h"
#include "ir/ops/recurrent.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ir/primitives.h"

/* Activations. */

static const struct {
  const char *onnx, *name;
  uint32_t n_parameters;
  double alpha, beta; /* defaults, as the ONNX operators have them */
} rows[] = {
    {"Sigmoid", "sigmoid", 0, 0, 0},
    {"Tanh", "tanh", 0, 0, 0},
    {"Relu", "relu", 0, 0, 0},
    {"Affine", "affine", 2, 1, 0},
    {"LeakyRelu", "leaky_relu", 1, 0.01, 0},
    {"ThresholdedRelu", "thresholded_relu", 1, 1, 0},
    {"ScaledTanh", "scaled_tanh", 2, 1, 1},
    {"HardSigmoid", "hard_sigmoid", 2, 0.2, 0.5},
    {"Elu", "elu", 1, 1, 0},
    {"Softsign", "softsign", 0, 0, 0},
    {"Softplus", "softplus", 0, 0, 0},
};

const char *tn_activation_of_onnx(const char *name, uint32_t *out_n_parameters) {
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
    if (strcasecmp(rows[i].onnx, name) == 0) {
      *out_n_parameters = rows[i].n_parameters;
      return rows[i].name;
    }
  return NULL;
}

/* One "name", "name(a)" or "name(a,b)"; *at is behind it. */
static bool read_one(const char **at, tn_activation *out) {
  size_t length = strcspn(*at, " (");
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++) {
    if (strlen(rows[i].name) != length || strncmp(rows[i].name, *at, length) != 0) continue;
    *out = (tn_activation){rows[i].name, rows[i].alpha, rows[i].beta};
    *at += length;
    if (**at != '(') return true;
    for (uint32_t k = 0; k < rows[i].n_parameters && (**at == '(' || **at == ','); k++) {
      char *end;
      *(k == 0 ? &out->alpha : &out->beta) = strtod(*at + 1, &end);
      if (end == *at + 1) return false;
      *at = end;
    }
    return *(*at)++ == ')';
  }
  return false;
}

bool tn_activations_read(const char *text, const char *defaults, uint32_t n, tn_activation *out) {
  const char *at = text[0] != '\0' ? text : defaults;
  for (uint32_t i = 0; i < n; i++) {
    if (!read_one(&at, &out[i])) return false;
    if (*at == ' ' && i + 1 < n) at++;
    else if (i + 1 < n) return false;
  }
  return *at == '\0';
}

tn_value *tn_activation_build(tn_build *b, const tn_activation *activation, tn_value *x) {
  const char *name = activation->name;
  if (strcmp(name, "tanh") == 0) return tn_build_unary(b, TN_TANH, x);
  if (strcmp(name, "affine") == 0)
    return tn_build_binary_f(b, TN_ADD, tn_build_binary_f(b, TN_MUL, x, activation->alpha), activation->beta);
  if (strcmp(name, "scaled_tanh") == 0)
    return tn_build_binary_f(b, TN_MUL, tn_build_unary(b, TN_TANH, tn_build_binary_f(b, TN_MUL, x, activation->beta)),
                             activation->alpha);
  const tn_opdef *op = tn_op_find(name);
  tn_attr attrs[4] = {{0}};
  uint32_t alpha = tn_op_attr_index(op, "alpha"), beta = tn_op_attr_index(op, "beta");
  TN_ASSERT(op->n_attrs <= TN_ARRAY_LEN(attrs));
  if (alpha != UINT32_MAX) attrs[alpha] = tn_attr_float(activation->alpha);
  if (beta != UINT32_MAX) attrs[beta] = tn_attr_float(activation->beta);
  return tn_build_op(b, op, &x, 1, attrs);
}

/* Inference. */

static bool same_extent(const tn_infer *infer, const tn_dim *found, const tn_dim *expected, const char *what) {
  return tn_func_require_eq(infer->func, found, expected, infer->loc, "'%s': %s", infer->node->op->name, what);
}

bool tn_infer_state(tn_infer *infer, uint32_t operand) {
  const tn_value *state = operand < infer->n_operands ? infer->operands[operand] : NULL;
  if (state == NULL) return true;
  if (!tn_infer_rank(infer, operand, 2)) return false;
  return same_extent(infer, state->type->dims[0], infer->operands[TN_RNN_X]->type->dims[1], "batch of a state") &&
         same_extent(infer, state->type->dims[1], infer->operands[TN_RNN_R]->type->dims[1], "width of a state");
}

static bool infer_weights(tn_infer *infer, uint32_t n_gates) {
  const tn_type *x = infer->operands[TN_RNN_X]->type, *w = infer->operands[TN_RNN_W]->type;
  const tn_type *r = infer->operands[TN_RNN_R]->type;
  const tn_value *bias = infer->n_operands > TN_RNN_B ? infer->operands[TN_RNN_B] : NULL;
  const tn_dim *all = tn_dim_mul_i(infer->ctx, r->dims[1], n_gates);
  bool ok = same_extent(infer, w->dims[1], x->dims[2], "features of x and w") &&
            same_extent(infer, w->dims[0], all, "gates of w") && same_extent(infer, r->dims[0], all, "gates of r");
  if (ok && bias != NULL)
    ok = tn_infer_rank(infer, TN_RNN_B, 1) &&
         same_extent(infer, bias->type->dims[0], tn_dim_mul_i(infer->ctx, all, 2), "extent of b");
  return ok;
}

bool tn_infer_recurrent(tn_infer *infer, uint32_t n_gates, uint32_t n_states, const char *activations,
                        uint32_t n_activations) {
  tn_activation read[TN_RNN_MAX_ACTIVATIONS];
  if (!tn_infer_rank(infer, TN_RNN_X, 3) || !tn_infer_rank(infer, TN_RNN_W, 2) || !tn_infer_rank(infer, TN_RNN_R, 2))
    return false;
  if (!tn_activations_read(infer->attrs[TN_RNN_ACTIVATIONS].u.s, activations, n_activations, read))
    return tn_infer_error(infer, TN_E_ATTR, "activations: expected %u as in \"%s\", found \"%s\"", n_activations,
                          activations, infer->attrs[TN_RNN_ACTIVATIONS].u.s);
  const tn_type *x = infer->operands[TN_RNN_X]->type;
  const tn_value *lengths = infer->n_operands > TN_RNN_LENGTHS ? infer->operands[TN_RNN_LENGTHS] : NULL;
  bool ok = infer_weights(infer, n_gates) && tn_infer_state(infer, TN_RNN_H);
  if (ok && lengths != NULL)
    ok = tn_infer_rank(infer, TN_RNN_LENGTHS, 1) &&
         same_extent(infer, lengths->type->dims[0], x->dims[1], "number of lengths");
  const tn_dim *dims[] = {x->dims[0], x->dims[1], infer->operands[TN_RNN_R]->type->dims[1]};
  infer->n_results = 1 + n_states;
  ok = ok && tn_infer_result(infer, 0, x->dtype, 3, dims);
  for (uint32_t i = 0; i < n_states && ok; i++) ok = tn_infer_result(infer, 1 + i, x->dtype, 2, dims + 1);
  return ok;
}

/* Expansion. */

tn_value *tn_recurrent_operand(tn_build *b, tn_value *const *operands, uint32_t n, uint32_t index) {
  return index < n && operands[index] != NULL ? tn_compose_wide(b, operands[index]) : NULL;
}

tn_value *tn_recurrent_state(const tn_recurrent *layer, tn_build *b, tn_value *operand, const tn_value *like) {
  if (operand != NULL) return operand;
  const tn_dim *dims[] = {layer->batch, layer->hidden};
  return tn_build_broadcast_to(b, tn_build_splat_f(b, like->type->dtype, 0), dims, 2);
}

bool tn_recurrent_begin(tn_recurrent *layer, tn_build *b, const tn_node *node, tn_value *const *operands,
                        const char *activations, uint32_t n_activations) {
  layer->node = node;
  layer->clip = tn_attr_f(node, TN_RNN_CLIP);
  layer->batch = operands[TN_RNN_X]->type->dims[1];
  layer->hidden = operands[TN_RNN_R]->type->dims[1];
  tn_activations_read(node->attrs[TN_RNN_ACTIVATIONS].u.s, activations, n_activations, layer->activations);
  layer->fixed[0] = tn_recurrent_operand(b, operands, node->n_operands, TN_RNN_R);
  layer->n_fixed = 1;
  tn_value *h = tn_recurrent_operand(b, operands, node->n_operands, TN_RNN_H);
  layer->states[0] = tn_recurrent_state(layer, b, h, layer->fixed[0]);
  layer->n_states = 1;
  return layer->fixed[0] != NULL && layer->states[0] != NULL;
}

tn_value *tn_recurrent_bias(const tn_recurrent *layer, tn_build *b, tn_value *bias, int64_t gate, int64_t n) {
  if (bias == NULL) return NULL;
  return tn_build_slice_axis(b, bias, 0, tn_dim_mul_i(b->ctx, layer->hidden, gate),
                             tn_dim_mul_i(b->ctx, layer->hidden, n), 1);
}

/* bool [T,B]: the sequence has an element there; NULL without lengths. */
static tn_value *length_mask(tn_build *b, tn_value *const *operands, uint32_t n) {
  tn_value *lengths = n > TN_RNN_LENGTHS ? operands[TN_RNN_LENGTHS] : NULL;
  if (lengths == NULL) return NULL;
  const tn_dim *const *dims = operands[TN_RNN_X]->type->dims;
  tn_value *at = tn_build_iota(b, dims, 2, 0, lengths->type->dtype);
  return tn_build_binary(b, TN_LT, at, tn_build_broadcast_to(b, lengths, dims, 2));
}

static tn_value *mask_along(tn_build *b, tn_value *mask, const tn_value *x) {
  int64_t map = 0;
  return tn_build_broadcast_map(b, mask, x->type->dims, x->type->ndim, &map);
}

/* One step: states keep what they are, and y is 0, where the sequence has ended. */
static bool build_step(const tn_recurrent *layer, tn_build *b, tn_value *const *params, bool has_mask) {
  tn_value *yields[TN_RNN_MAX_STATES + 1];
  tn_value *input = params[layer->n_states], *mask = has_mask ? params[layer->n_states + 1] : NULL;
  if (!layer->cell(layer, b, input, params, params + layer->n_states + 1 + has_mask, yields)) return false;
  yields[layer->n_states] = yields[0];
  for (uint32_t i = 0; mask != NULL && i <= layer->n_states; i++) {
    tn_value *old = i < layer->n_states ? params[i] : tn_build_fill_like(b, yields[0], 0);
    if (i == layer->n_states) yields[i] = yields[0];
    yields[i] = tn_build_select(b, mask_along(b, mask, old), yields[i], old);
    if (yields[i] == NULL) return false;
  }
  tn_build_return(b, yields, layer->n_states + 1);
  return true;
}

bool tn_recurrent_end(const tn_recurrent *layer, tn_build *b, tn_value *const *operands, tn_value *bias,
                      tn_value **out) {
  uint32_t n = layer->node->n_operands;
  tn_value *x = tn_compose_wide(b, operands[TN_RNN_X]), *w = tn_compose_wide(b, operands[TN_RNN_W]);
  int64_t features[] = {2, 1};
  tn_value *sequences[2] = {tn_build_dot(b, x, w, NULL, 0, features, 1), length_mask(b, operands, n)};
  if (sequences[0] != NULL && bias != NULL)
    sequences[0] = tn_build_binary(b, TN_ADD, sequences[0],
                                   tn_build_broadcast_to(b, bias, sequences[0]->type->dims, 3));
  bool has_mask = n > TN_RNN_LENGTHS && operands[TN_RNN_LENGTHS] != NULL;
  int64_t backwards = layer->node->attrs[TN_RNN_REVERSE].u.i, reverse[] = {backwards, backwards, backwards};
  tn_build_scan scan = {.carried = layer->states, .sequences = sequences, .fixed = layer->fixed,
                        .n_carried = layer->n_states, .n_sequences = has_mask ? 2 : 1, .n_fixed = layer->n_fixed,
                        .n_stacked = 1, .reverse = reverse};
  tn_node *node = tn_build_begin_scan(b, &scan);
  if (node == NULL) return false;
  tn_build in = tn_build_region(node, 0);
  if (!build_step(layer, &in, node->regions[0]->params.data, has_mask) || !tn_build_end(node)) return false;
  for (uint32_t i = 0; i <= layer->n_states; i++)
    out[i] = tn_compose_narrow(b, node->results[i == 0 ? layer->n_states : i - 1], operands[TN_RNN_X]);
  return out[0] != NULL;
}

/* Cells. */

tn_value *tn_cell_gate(const tn_recurrent *layer, tn_build *b, tn_value *x, int64_t gate) {
  if (x == NULL) return NULL;
  return tn_build_slice_axis(b, x, 1, tn_dim_mul_i(b->ctx, layer->hidden, gate), layer->hidden, 1);
}

tn_value *tn_cell_activate(const tn_recurrent *layer, tn_build *b, uint32_t activation, tn_value *x) {
  if (layer->clip > 0)
    x = tn_build_binary_f(b, TN_MIN, tn_build_binary_f(b, TN_MAX, x, -layer->clip), layer->clip);
  return tn_activation_build(b, &layer->activations[activation], x);
}

tn_value *tn_cell_add(tn_build *b, tn_value *x, tn_value *y) { return tn_build_binary(b, TN_ADD, x, y); }
tn_value *tn_cell_mul(tn_build *b, tn_value *x, tn_value *y) { return tn_build_binary(b, TN_MUL, x, y); }

tn_value *tn_cell_along(tn_build *b, tn_value *v, const tn_value *x) {
  return x == NULL ? NULL : tn_build_broadcast_to(b, v, x->type->dims, x->type->ndim);
}

tn_value *tn_cell_dot(tn_build *b, tn_value *x, tn_value *r) {
  int64_t widths[] = {1, 1};
  return tn_build_dot(b, x, r, NULL, 0, widths, 1);
}

/* ONNX has an axis of directions: one here. Other activations than the default ones are expanded. */
bool tn_export_recurrent(tn_export *x, const tn_node *node) {
  const tn_attr *attrs = node->attrs;
  const tn_dim *hidden = node->operands[TN_RNN_R].value->type->dims[1];
  const char *inputs[8], *outputs[1 + TN_RNN_MAX_STATES];
  int64_t front = 0, second = 1;
  if ((attrs[TN_RNN_ACTIVATIONS].u.s && attrs[TN_RNN_ACTIVATIONS].u.s[0]) || !tn_dim_is_const(hidden)) return false;
  for (uint32_t i = 0; i < node->n_operands; i++) {
    inputs[i] = tn_export_operand(x, node, i);
    if (!inputs[i][0] || i == TN_RNN_X) continue;
    if (i != TN_RNN_LENGTHS) inputs[i] = tn_export_unsqueeze(x, inputs[i], &front, 1, NULL);
    else if (node->operands[i].value->type->dtype != TN_I32) inputs[i] = tn_export_cast(x, inputs[i], TN_I32, NULL);
  }
  for (uint32_t i = 0; i < node->n_results; i++) outputs[i] = tn_export_fresh(x, i ? "last" : "steps");
  tn_foreign_attr list[4] = {tn_foreign_of_int("hidden_size", tn_dim_value(hidden)),
                             tn_foreign_of_string("direction", attrs[TN_RNN_REVERSE].u.i ? "reverse" : "forward")};
  uint32_t n = 2;
  if (attrs[TN_RNN_CLIP].u.f != 0) list[n++] = tn_foreign_of_float("clip", attrs[TN_RNN_CLIP].u.f);
  if (node->op->n_attrs > TN_RNN_N_ATTRS)
    list[n++] = tn_foreign_of_int(node->op->attrs[TN_RNN_N_ATTRS].name, attrs[TN_RNN_N_ATTRS].u.i);
  const char *op = node->op->name[0] == 'l' ? "LSTM" : node->op->name[0] == 'g' ? "GRU" : "RNN";
  tn_export_emit_many(x, op, 0, inputs, node->n_operands, list, n, outputs, node->n_results);
  for (uint32_t i = 0; i < node->n_results; i++)
    tn_export_squeeze(x, outputs[i], i ? &front : &second, 1, tn_export_result(x, node, i));
  return true;
}
