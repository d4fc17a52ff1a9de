/* Import of ONNX' RNN, GRU and LSTM: one or two layers of one direction each, with the axis of directions and the
 * layout around them. */
#include <string.h>

#include "ir/ops/onnx.h"
#include "ir/ops/recurrent.h"

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P, N_IN };

typedef struct recurrent_import {
  tn_foreign_node *node;
  const tn_opdef *op;
  uint32_t n_states, n_activations, n_directions;
  bool is_reverse, batch_first;
  tn_attr attrs[TN_RNN_N_ATTRS + 1];
} recurrent_import;

static bool read_direction(recurrent_import *r) {
  const char *direction;
  if (!tn_foreign_string(r->node, "direction", "forward", &direction)) return false;
  r->is_reverse = strcmp(direction, "reverse") == 0;
  r->n_directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
  if (r->is_reverse || r->n_directions == 2 || strcmp(direction, "forward") == 0) return true;
  return tn_foreign_error(r->node, TN_E_ATTR, "direction: expected forward, reverse or bidirectional, found '%s'",
                          direction);
}

static bool floats_of(const recurrent_import *r, const char *name, const double **out, uint32_t *out_n) {
  const tn_foreign_attr *attr = tn_foreign_find(r->node, name);
  *out = attr ? attr->floats : NULL;
  *out_n = attr ? attr->n : 0;
  return !attr || attr->kind == TN_FOREIGN_FLOATS || attr->n == 0 ||
         tn_foreign_error(r->node, TN_E_ATTR, "%s: expected a list of floats", name);
}

/* The activations of all directions; the values of activation_alpha and _beta go in order to those that take them. */
static bool read_activations(recurrent_import *r, const char **out) {
  const tn_foreign_attr *names = tn_foreign_find(r->node, "activations");
  const double *alpha, *beta;
  uint32_t n_alpha, n_beta, next_alpha = 0, next_beta = 0;
  for (uint32_t d = 0; d < r->n_directions; d++) out[d] = "";
  if (!floats_of(r, "activation_alpha", &alpha, &n_alpha) || !floats_of(r, "activation_beta", &beta, &n_beta))
    return false;
  if (!names || names->n == 0) return true;
  if (names->kind != TN_FOREIGN_STRINGS || names->n != r->n_activations * r->n_directions)
    return tn_foreign_error(r->node, TN_E_ATTR, "activations: expected %u names",
                            r->n_activations * r->n_directions);
  for (uint32_t d = 0; d < r->n_directions; d++) {
    tn_buf text = tn_buf_create(r->node->build->module->arena);
    for (uint32_t i = 0; i < r->n_activations; i++) {
      uint32_t n;
      const char *given = names->strings[d * r->n_activations + i], *name = tn_activation_of_onnx(given, &n);
      if (!name) return tn_foreign_error(r->node, TN_E_ATTR, "activations: '%s' is none", given);
      tn_buf_printf(&text, "%s%s", i > 0 ? " " : "", name);
      if (n > 0 && next_alpha < n_alpha) {
        tn_buf_printf(&text, "(%.9g", alpha[next_alpha++]);
        if (n > 1 && next_beta < n_beta) tn_buf_printf(&text, ",%.9g", beta[next_beta++]);
        tn_buf_putc(&text, ')');
      }
    }
    out[d] = text.data;
  }
  return true;
}

/* Input `index` for direction d: x[d, ...] without that axis; NULL when omitted. */
static bool for_direction(recurrent_import *r, uint32_t index, uint32_t d, uint32_t ndim, tn_value **out) {
  tn_build *b = r->node->build;
  tn_value *x = tn_foreign_input(r->node, index);
  *out = NULL;
  if (!x) return true;
  if (x->type->ndim != ndim)
    return tn_foreign_error(r->node, TN_E_RANK, "input %u: expected %u dimensions, found %u", index, ndim,
                            x->type->ndim);
  uint32_t axis = r->batch_first && (index == IN_H || index == IN_C) ? 1 : 0;
  const tn_dim *one = tn_dim_const(b->ctx, 1);
  if (!tn_func_require_eq(b->func, x->type->dims[axis], tn_dim_const(b->ctx, r->n_directions), r->node->loc,
                          "input %u of '%s' has one part for each direction", index, r->node->op))
    return false;
  if (r->n_directions > 1) x = tn_build_slice_axis(b, x, axis, tn_dim_const(b->ctx, d), one, 1);
  *out = tn_build_drop_axis(b, x, axis);
  return *out != NULL;
}

static tn_node *build_direction(recurrent_import *r, uint32_t d, tn_value *x, const char *activations) {
  static const uint32_t ndim[N_IN] = {0, 3, 3, 2, 1, 3, 3, 2};
  tn_value *operands[N_IN] = {x};
  uint32_t n = r->n_states > 1 ? N_IN : IN_C;
  for (uint32_t i = IN_W; i < n; i++) {
    if (i == IN_LENGTHS) operands[i] = tn_foreign_input(r->node, i);
    else if (!for_direction(r, i, d, ndim[i], &operands[i])) return NULL;
  }
  if (!operands[IN_W] || !operands[IN_R]) {
    tn_foreign_error(r->node, TN_E_ARITY, "needs inputs %u and %u", IN_W, IN_R);
    return NULL;
  }
  r->attrs[TN_RNN_ACTIVATIONS] = (tn_attr){.present = true, .u.s = activations};
  r->attrs[TN_RNN_REVERSE] = tn_attr_bool(r->is_reverse || d == 1);
  return tn_build_node(r->node->build, r->op, operands, n, r->attrs);
}

/* Output number `output` from those of the directions, which lack their axis. */
static bool set_output(recurrent_import *r, uint32_t output, tn_node *const *layers) {
  tn_build *b = r->node->build;
  tn_value *parts[2];
  if (output >= r->node->n_outputs || !r->node->wanted[output]) return true;
  /* y: [T,D,B,H], or [B,T,D,H]; states: [D,B,H], or [B,D,H]. */
  uint32_t axis = output == 0 ? (r->batch_first ? 2 : 1) : r->batch_first ? 1 : 0;
  for (uint32_t d = 0; d < r->n_directions; d++) {
    tn_value *part = layers[d]->results[output];
    int64_t batch_first[] = {1, 0, 2};
    if (output == 0 && r->batch_first) part = tn_build_transpose(b, part, batch_first);
    parts[d] = part ? tn_build_insert_axis(b, part, axis) : NULL;
  }
  return tn_foreign_set(r->node, output, r->n_directions == 1 ? parts[0] : tn_build_concat(b, parts, 2, axis));
}

static bool import_recurrent(recurrent_import *r) {
  tn_value *x = tn_foreign_need(r->node, IN_X);
  const char *activations[2];
  tn_node *layers[2];
  int64_t layout;
  double clip;
  if (!x || !read_direction(r) || !read_activations(r, activations) ||
      !tn_foreign_int(r->node, "layout", 0, &layout) || !tn_foreign_float(r->node, "clip", 0, &clip))
    return false;
  r->batch_first = layout != 0;
  r->attrs[TN_RNN_CLIP] = tn_attr_float(clip);
  if (x->type->ndim != 3)
    return tn_foreign_error(r->node, TN_E_RANK, "input 0: expected 3 dimensions, found %u", x->type->ndim);
  int64_t time_first[] = {1, 0, 2};
  if (r->batch_first && !(x = tn_build_transpose(r->node->build, x, time_first))) return false;
  for (uint32_t d = 0; d < r->n_directions; d++)
    if (!(layers[d] = build_direction(r, d, x, activations[d]))) return false;
  bool ok = true;
  for (uint32_t i = 0; i <= r->n_states; i++) ok &= set_output(r, i, layers);
  return ok;
}

bool tn_import_rnn(tn_foreign_node *node) {
  recurrent_import r = {.node = node, .op = tn_op_find("rnn"), .n_states = 1, .n_activations = 1};
  return import_recurrent(&r);
}

static bool read_flag(recurrent_import *r, const char *name) {
  int64_t flag;
  if (!tn_foreign_int(r->node, name, 0, &flag)) return false;
  r->attrs[TN_RNN_N_ATTRS] = tn_attr_bool(flag != 0);
  return true;
}

bool tn_import_gru(tn_foreign_node *node) {
  recurrent_import r = {.node = node, .op = tn_op_find("gru"), .n_states = 1, .n_activations = 2};
  return read_flag(&r, "linear_before_reset") && import_recurrent(&r);
}

bool tn_import_lstm(tn_foreign_node *node) {
  recurrent_import r = {.node = node, .op = tn_op_find("lstm"), .n_states = 2, .n_activations = 3};
  return read_flag(&r, "input_forget") && import_recurrent(&r);
}
