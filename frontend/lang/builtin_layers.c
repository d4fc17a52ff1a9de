/* Built-ins, group 3: contractions and layers without windows. */
#include "frontend/lang/builtin.h"
#include "frontend/lang/steps.h"

static tn_datum *make_dot(tn_call *call) {
  tn_datum *a = tn_call_tensor(call, 0), *b = tn_call_tensor(call, 1), *over = call->args[2];
  if (!a || !b) return NULL;
  bool tuple = over->kind == TN_DATUM_TUPLE;
  tn_datum *y = tn_match_dot(call->s, a, b, tuple ? over->tuple.parts : &over, tuple ? over->tuple.n : 1, call->loc);
  if (!y) tn_frame_note_calls(call->frame);
  return y;
}

/* y + bias along the last axis. */
static tn_value *add_bias(tn_call *call, tn_value *y, const tn_datum *bias) {
  if (!y || !bias) return NULL;
  return tn_build_binary(call->b, TN_ADD, y,
                         tn_build_broadcast_to(call->b, bias->tensor.value, y->type->dims, y->type->ndim));
}

static tn_datum *make_linear(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  if (!x || !tn_call_rank(call, x, 1, TN_MAX_NDIM)) return NULL;
  uint32_t last = tn_datum_ndim(x) - 1;
  tn_axis out = call->args[1]->integer, axes[TN_MAX_NDIM];
  out.loc = call->loc;
  tn_axis shape[] = {out, x->tensor.axes[last]};
  double fan_in = tn_dim_is_const(shape[1].extent) ? (double)tn_dim_value(shape[1].extent) : 1;
  double fan_out = tn_dim_is_const(out.extent) ? (double)tn_dim_value(out.extent) : 1;
  tn_datum *w =
      tn_call_weight(call, "weight", tn_datum_dtype(x), shape, 2, &call->args[3]->init, fan_in, fan_out, false);
  if (!w) return NULL;
  int64_t sum[] = {last, 1};
  tn_value *y = tn_build_dot(call->b, x->tensor.value, w->tensor.value, NULL, 0, sum, 1);
  if (tn_call_bool(call, 2)) {
    tn_init zeros = tn_init_const(0);
    y = add_bias(call, y, tn_call_weight(call, "bias", tn_datum_dtype(x), &out, 1, &zeros, fan_in, fan_out, false));
  }
  for (uint32_t i = 0; i < last; i++) axes[i] = x->tensor.axes[i];
  axes[last] = out;
  return tn_datum_tensor(call->s, y, axes, call->loc);
}

static tn_datum *table(tn_call *call, const char *name, uint32_t rows_at, const tn_init *init) {
  tn_axis shape[] = {call->args[rows_at]->integer, call->args[rows_at + 1]->integer};
  shape[0].loc = shape[1].loc = call->loc;
  return tn_call_weight(call, name, TN_F32, shape, 2, init, 0, 0, false);
}

static tn_datum *make_embed(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0), *w = x ? table(call, "weight", 1, &call->args[3]->init) : NULL;
  tn_axis axes[TN_MAX_NDIM];
  if (!w || !tn_call_rank(call, x, 0, TN_MAX_NDIM - 1)) return NULL;
  uint32_t n = tn_datum_ndim(x);
  tn_value *index = tn_datum_dtype(x) == TN_I64 ? x->tensor.value : tn_build_cast(call->b, x->tensor.value, TN_I32);
  for (uint32_t i = 0; i < n; i++) axes[i] = x->tensor.axes[i];
  axes[n] = w->tensor.axes[1];
  return tn_datum_tensor(call->s, tn_build_gather_axis(call->b, w->tensor.value, index, 0), axes, call->loc);
}

static tn_datum *make_positions(tn_call *call) {
  tn_datum *w = table(call, "weight", 0, &call->args[2]->init);
  return w ? tn_call_like(call, w->tensor.value, w) : NULL;
}

/* The axis that counts the samples. */
static uint32_t batch_axis(const tn_sema *s, const tn_datum *x) {
  for (uint32_t i = 0; i < tn_datum_ndim(x); i++)
    if (x->tensor.axes[i].label == s->batch) return i;
  return 0;
}

static tn_datum *make_dropout(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_sema *s = call->s;
  double p = tn_call_float(call, 1);
  if (x && !(p >= 0 && p < 1)) return tn_call_error(call, TN_E_ATTR, "p is from 0 to below 1"), NULL;
  if (!x || !s->training || p == 0) return x; /* a model that runs does not drop */
  tn_value *operands[] = {x->tensor.value, tn_training_noise(s)};
  tn_named_attr attrs[] = {{"p", tn_attr_float(p)}, {"stream", tn_attr_int(s->training->n_streams++)},
                           {"axis", tn_attr_int(batch_axis(s, x))}};
  return tn_call_like(call, tn_call_op(call, "dropout", operands, 2, attrs, 3), x);
}

static const tn_builtin rows[] = {
    {"dot", "a: n[], b: n[], over: axes", "sum of products over the labels given; other labels of both are batch dims",
     make_dot, NULL},
    {"linear", "x: f[], out: int, bias: bool = true, init: init = he_normal",
     "x times weight [out, in] transposed, plus bias [out], along the last dim", make_linear, NULL},
    {"embed", "x: i[], vocab: int, width: int, init: init = normal(0.02)", "rows of weight [vocab, width]", make_embed,
     NULL},
    {"positions", "T: int, width: int, init: init = normal(0.02)", "a learned weight [T, width]", make_positions, NULL},
    {"dropout", "x: f[], p: float", "x; in training elements are dropped with probability p", make_dropout, NULL},
};

const tn_builtin_group tn_builtins_layers = TN_BUILTINS("Contractions and layers", rows);
