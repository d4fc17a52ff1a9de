/* Built-ins, group 4: normalisation and probabilities. */
#include "frontend/lang/builtin.h"
#include "frontend/lang/steps.h"

static tn_datum *channel_weight(tn_call *call, const char *name, const tn_datum *x, uint32_t axis, double value,
                                bool is_buffer) {
  tn_init init = tn_init_const(value);
  return tn_call_weight(call, name, tn_datum_dtype(x), &x->tensor.axes[axis], 1, &init, 1, 1, is_buffer);
}

static tn_datum *make_layernorm(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  bool rms = call->builtin->op[0] == 'r', affine = rms || tn_call_bool(call, 2);
  if (!x || !tn_call_rank(call, x, 1, TN_MAX_NDIM)) return NULL;
  uint32_t last = tn_datum_ndim(x) - 1;
  tn_value *operands[3] = {x->tensor.value};
  tn_datum *w = affine ? channel_weight(call, "weight", x, last, 1, false) : NULL;
  tn_datum *bias = affine && !rms ? channel_weight(call, "bias", x, last, 0, false) : NULL;
  if (affine && (!w || (!rms && !bias))) return NULL;
  if (w) operands[1] = w->tensor.value;
  if (bias) operands[2] = bias->tensor.value;
  tn_named_attr attrs[] = {{"axis", tn_attr_int(last)}, {"epsilon", tn_attr_float(tn_call_float(call, 1))}};
  return tn_call_like(call, tn_call_op(call, call->builtin->op, operands, !affine ? 1 : rms ? 2 : 3, attrs, 2), x);
}

/* Normalised by the batch, whose statistics move the running ones. */
static tn_datum *train_batchnorm(tn_call *call, const tn_datum *x, tn_value *const *operands) {
  double momentum = tn_call_float(call, 2);
  tn_named_attr attrs[] = {{"epsilon", tn_attr_float(tn_call_float(call, 1))}, {"momentum", tn_attr_float(momentum)}};
  tn_sema *s = call->s;
  tn_value *own[5] = {operands[0], operands[1], operands[2]};
  bool is_inside = s->scan != NULL; /* of a scan: what a step adds is taken out of it */
  for (uint32_t i = 3; i < 5; i++)
    own[i] = is_inside ? tn_build_fill_like(call->b, operands[i], 0) : tn_training_running(s, operands[i]);
  tn_node *node = tn_call_node(call, "batch_norm_training", own, 5, attrs, 2);
  for (uint32_t i = 0; node && i < 2; i++) {
    tn_const *weight = tn_value_const(operands[3 + i]);
    tn_running row = {weight, node->results[1 + i]};
    if (is_inside) tn_training_move(s, weight, row.next, 1 - momentum);
    else TN_VEC_PUSH(s->arena, &s->training->running, row);
  }
  return node ? tn_call_like(call, node->results[0], x) : NULL;
}

static tn_datum *make_batchnorm(tn_call *call) {
  static const char *const names[] = {"weight", "bias", "mean", "var"};
  static const double values[] = {1, 0, 0, 1};
  tn_datum *x = tn_call_tensor(call, 0);
  tn_value *operands[5];
  if (!x || !tn_call_rank(call, x, 2, TN_MAX_NDIM)) return NULL;
  operands[0] = x->tensor.value;
  for (uint32_t i = 0; i < 4; i++) {
    tn_datum *w = channel_weight(call, names[i], x, 1, values[i], i >= 2);
    if (!w) return NULL;
    operands[i + 1] = w->tensor.value;
  }
  tn_named_attr epsilon = {"epsilon", tn_attr_float(tn_call_float(call, 1))};
  if (call->s->training) return train_batchnorm(call, x, operands);
  return tn_call_like(call, tn_call_op(call, "batch_norm", operands, 5, &epsilon, 1), x);
}

static tn_datum *make_groupnorm(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  int64_t groups;
  if (!x || !tn_call_rank(call, x, 2, TN_MAX_NDIM) || !tn_call_int(call, 1, &groups)) return NULL;
  if (groups < 1) return tn_call_error(call, TN_E_ATTR, "groups: expected at least 1"), NULL;
  const tn_axis *channels = &x->tensor.axes[1];
  if (tn_dim_is_const(channels->extent) && tn_dim_value(channels->extent) % groups != 0)
    return tn_call_error(call, TN_E_LANG_DIVIDE, "dim %s cannot be parted into %lld equal groups",
                         tn_axis_describe(call->s, channels), (long long)groups), NULL;
  tn_datum *w = channel_weight(call, "weight", x, 1, 1, false), *bias = channel_weight(call, "bias", x, 1, 0, false);
  if (!w || !bias) return NULL;
  tn_value *operands[] = {x->tensor.value, w->tensor.value, bias->tensor.value};
  tn_named_attr attrs[] = {{"groups", tn_attr_int(groups)}, {"epsilon", tn_attr_float(tn_call_float(call, 2))}};
  return tn_call_like(call, tn_call_op(call, "group_norm", operands, 3, attrs, 2), x);
}

static tn_datum *make_softmax(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  uint32_t axis = x ? tn_call_axis(call, 1, x) : UINT32_MAX;
  tn_named_attr attr = {"axis", tn_attr_int(axis)};
  if (axis == UINT32_MAX) return NULL;
  return tn_call_like(call, tn_call_op(call, call->builtin->op, &x->tensor.value, 1, &attr, 1), x);
}

/* (x - mean) / sqrt(var) with the statistics of the training split; a constant feature is only shifted. */
static tn_datum *make_standardize(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_build *b = call->b;
  if (!x || !tn_call_rank(call, x, 1, TN_MAX_NDIM)) return NULL;
  tn_init fitted = {.kind = TN_INIT_FITTED, .of = x->tensor.value, .loc = call->loc};
  uint32_t n = tn_datum_ndim(x);
  const tn_axis *axes = x->tensor.axes + 1;
  tn_datum *mean = tn_call_weight(call, "mean", tn_datum_dtype(x), axes, n - 1, &fitted, 1, 1, true);
  fitted.is_variance = true;
  tn_datum *var = tn_call_weight(call, "var", tn_datum_dtype(x), axes, n - 1, &fitted, 1, 1, true);
  if (!mean || !var) return NULL;
  const tn_dim *const *dims = x->tensor.value->type->dims;
  tn_value *v = var->tensor.value;
  v = tn_build_select(b, tn_build_binary_f(b, TN_GT, v, 0), v, tn_build_fill_like(b, v, 1));
  tn_value *y = tn_build_binary(b, TN_SUB, x->tensor.value, tn_build_broadcast_to(b, mean->tensor.value, dims, n));
  y = tn_build_binary(b, TN_DIV, y, tn_build_broadcast_to(b, tn_build_unary(b, TN_SQRT, v), dims, n));
  return tn_call_like(call, y, x);
}

static tn_datum *make_one_hot(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_build *b = call->b;
  const tn_dim *dims[TN_MAX_NDIM];
  tn_axis axes[TN_MAX_NDIM];
  int64_t map[TN_MAX_NDIM];
  if (!x || !tn_call_rank(call, x, 0, TN_MAX_NDIM - 1)) return NULL;
  if (!x->tensor.classes)
    return tn_call_error(call, TN_E_LANG_KIND, "expected class[.., C], found %s", tn_datum_describe(call->s, x)), NULL;
  uint32_t n = tn_datum_ndim(x);
  for (uint32_t i = 0; i < n; i++) {
    axes[i] = x->tensor.axes[i];
    dims[i] = axes[i].extent;
    map[i] = i;
  }
  axes[n] = *x->tensor.classes;
  dims[n] = axes[n].extent;
  tn_value *index = tn_build_iota(b, dims, n + 1, n, tn_datum_dtype(x));
  tn_value *hit = tn_build_binary(b, TN_EQ, index, tn_build_broadcast_map(b, x->tensor.value, dims, n + 1, map));
  return hit ? tn_datum_tensor(call->s, tn_build_cast(b, hit, TN_F32), axes, call->loc) : NULL;
}

static const tn_builtin rows[] = {
    {"layernorm", "x: f[], eps: float = 1e-5, affine: bool = true", "mean 0 and variance 1 along the last dim",
     make_layernorm, "layer_norm"},
    {"rmsnorm", "x: f[], eps: float = 1e-6", "x / sqrt(mean(x^2) + eps) * weight along the last dim", make_layernorm,
     "rms_norm"},
    {"batchnorm", "x: f[], eps: float = 1e-5, momentum: float = 0.1", "each channel by its running statistics",
     make_batchnorm, NULL},
    {"groupnorm", "x: f[], groups: int, eps: float = 1e-5", "mean 0 and variance 1 in each group of channels",
     make_groupnorm, NULL},
    {"softmax", "x: f[], axis: axis = -1", "exp(x) / sum(exp(x))", make_softmax, "softmax"},
    {"log_softmax", "x: f[], axis: axis = -1", "log(softmax(x))", make_softmax, "log_softmax"},
    {"standardize", "x: f[]", "(x - mean) / sqrt(var), the statistics of the training split", make_standardize, NULL},
    {"one_hot", "x: i[]", "1 at the class, 0 elsewhere", make_one_hot, NULL},
};

const tn_builtin_group tn_builtins_norm = TN_BUILTINS("Normalisation and probabilities", rows);
