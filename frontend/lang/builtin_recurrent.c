/* Built-ins, group 3: recurrent layers over x [B, T, I], by the graph's own, which are over [T, B, I] and have their
 * gates in ONNX's order. */
#include <string.h>

#include "frontend/lang/builtin.h"

typedef struct layer {
  tn_call *call;
  tn_datum *x;
  uint32_t n_gates;
  const uint32_t *order; /* of the graph's gates in the language's weights */
  tn_axis hidden;
} layer;

/* The gates along axis 0 of a weight, in the graph's order. */
static tn_value *reorder(const layer *l, const tn_datum *w) {
  tn_ctx *ctx = l->call->s->ctx;
  tn_value *parts[4];
  for (uint32_t i = 0; i < l->n_gates && w; i++)
    parts[i] = tn_build_slice_axis(l->call->b, w->tensor.value, 0,
                                   tn_dim_mul_i(ctx, l->hidden.extent, l->order[i]), l->hidden.extent, 1);
  return w ? tn_build_concat(l->call->b, parts, l->n_gates, 0) : NULL;
}

static tn_axis times(const layer *l, tn_axis axis) {
  tn_ctx *ctx = l->call->s->ctx;
  axis.extent = tn_dim_mul_i(ctx, axis.extent, l->n_gates);
  axis.label = axis.label ? tn_dim_mul_i(ctx, axis.label, l->n_gates) : NULL;
  return axis;
}

/* weight_ih [gates H, I], weight_hh [gates H, H], bias [gates H]. The graph has a second bias, of what h gives. */
static bool weights(const layer *l, tn_value **operands) {
  tn_call *call = l->call;
  tn_dtype dtype = tn_datum_dtype(l->x);
  tn_init xavier = {.kind = TN_INIT_XAVIER}, orthogonal = {.kind = TN_INIT_ORTHOGONAL}, zeros = tn_init_const(0);
  tn_axis gates = times(l, l->hidden), ih[] = {gates, l->x->tensor.axes[2]}, hh[] = {gates, l->hidden};
  bool known = tn_dim_is_const(gates.extent) && tn_dim_is_const(ih[1].extent);
  double fan_in = known ? (double)tn_dim_value(ih[1].extent) : 1;
  double fan_out = known ? (double)tn_dim_value(gates.extent) : 1;
  tn_datum *w = tn_call_weight(call, "weight_ih", dtype, ih, 2, &xavier, fan_in, fan_out, false);
  tn_datum *r = tn_call_weight(call, "weight_hh", dtype, hh, 2, &orthogonal, 0, 0, false);
  tn_datum *bias = tn_call_weight(call, "bias", dtype, &gates, 1, &zeros, 1, 1, false);
  operands[1] = reorder(l, w);
  operands[2] = reorder(l, r);
  tn_value *first = reorder(l, bias);
  if (!operands[1] || !operands[2] || !first) return false;
  tn_value *both[] = {first, tn_build_fill_like(call->b, first, 0)};
  operands[3] = tn_build_concat(call->b, both, 2, 0);
  return operands[3] != NULL;
}

/* x, hidden, reverse, length */
static tn_datum *make_recurrent(tn_call *call) {
  static const uint32_t lstm_order[] = {0, 3, 1, 2}; /* i f g o as i o f g */
  static const uint32_t gru_order[] = {1, 0, 2};     /* r z n as z r n */
  bool lstm = strcmp(call->builtin->op, "lstm") == 0;
  layer l = {.call = call, .x = tn_call_tensor(call, 0), .n_gates = lstm ? 4 : 3,
             .order = lstm ? lstm_order : gru_order, .hidden = call->args[1]->integer};
  static const int64_t turn[] = {1, 0, 2};
  tn_value *operands[5] = {NULL};
  l.hidden.loc = call->loc;
  if (!l.x || !tn_call_rank(call, l.x, 3, 3) || !weights(&l, operands)) return NULL;
  operands[0] = tn_build_transpose(call->b, l.x->tensor.value, turn);
  const tn_datum *length = call->args[3];
  if (length && (length->kind != TN_DATUM_TENSOR || tn_datum_ndim(length) != 1 ||
                 !tn_extents_agree(call->s, length->tensor.axes[0].extent, l.x->tensor.axes[0].extent, call->loc,
                                   "the lengths of a recurrent layer")))
    return tn_call_error(call, TN_E_SHAPE, "length is one number a sequence, found %s",
                         tn_datum_describe(call->s, length)), NULL;
  if (length) operands[4] = length->tensor.value;
  tn_named_attr attrs[] = {{"reverse", tn_attr_bool(tn_call_bool(call, 2))},
                           {"linear_before_reset", tn_attr_bool(true)}};
  tn_node *node = tn_call_node(call, call->builtin->op, operands, length ? 5 : 4, attrs, lstm ? 1 : 2);
  if (!node) return NULL;
  tn_axis all[] = {l.x->tensor.axes[0], l.x->tensor.axes[1], l.hidden}, last[] = {all[0], l.hidden};
  tn_datum *parts[] = {tn_datum_tensor(call->s, tn_build_transpose(call->b, node->results[0], turn), all, call->loc),
                       tn_datum_tensor(call->s, node->results[1], last, call->loc),
                       lstm ? tn_datum_tensor(call->s, node->results[2], last, call->loc) : NULL};
  return tn_datum_tuple(call->s, parts, lstm ? 3 : 2, call->loc);
}

static const tn_builtin rows[] = {
    {"lstm", "x: f[], hidden: int, reverse: bool = false, length: i[] = none",
     "(all h [B, T, hidden], the last h, the last c); weight_ih [4 hidden, I], weight_hh, bias, gates i f g o. Behind "
     "length h is 0 in the first and stays in the others", make_recurrent, "lstm"},
    {"gru", "x: f[], hidden: int, reverse: bool = false, length: i[] = none",
     "(all h [B, T, hidden], the last h); weight_ih [3 hidden, I], weight_hh, bias, gates r z n; n = tanh(w x + bias + "
     "r (w_hh h))", make_recurrent, "gru"},
};

const tn_builtin_group tn_builtins_recurrent = TN_BUILTINS("Recurrent layers", rows);
