/* ONNX operators that carry a state from call to call: LinearAttention and CausalConvWithState. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

#include <math.h>
#include <string.h>

/* LinearAttention. All is computed in f32 (f64 for f64); a head of keys serves `group` heads of queries. */
typedef struct linear_attention {
  tn_foreign_node *node;
  bool gated, delta;
  int64_t q_heads, kv_heads, group;
  double scale;
  const tn_dim *batch, *time, *key, *value; /* extents; key and value of one head */
} linear_attention;

enum { LA_Q, LA_K, LA_V, LA_STATE, LA_DECAY, LA_BETA, LA_N };

static bool read_linear(linear_attention *a) {
  tn_foreign_node *node = a->node;
  const char *rule;
  if (!tn_foreign_string(node, "update_rule", "gated_delta", &rule) ||
      !tn_foreign_int(node, "q_num_heads", 0, &a->q_heads) ||
      !tn_foreign_int(node, "kv_num_heads", 0, &a->kv_heads) || !tn_foreign_float(node, "scale", 0, &a->scale))
    return false;
  a->gated = strncmp(rule, "gated", 5) == 0;
  a->delta = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
  if (!a->delta && strcmp(rule, "linear") != 0 && strcmp(rule, "gated") != 0)
    return tn_foreign_error(node, TN_E_ATTR, "update_rule: '%s'", rule);
  if (a->kv_heads < 1 || a->q_heads < 1 || a->q_heads % a->kv_heads != 0)
    return tn_foreign_error(node, TN_E_ATTR, "q_num_heads %lld is no multiple of kv_num_heads %lld",
                            (long long)a->q_heads, (long long)a->kv_heads);
  a->group = a->q_heads / a->kv_heads;
  if ((tn_foreign_input(node, LA_DECAY) != NULL) != a->gated || (tn_foreign_input(node, LA_BETA) != NULL) != a->delta)
    return tn_foreign_error(node, TN_E_ARITY, "update_rule '%s' takes %s decay and %s beta", rule,
                            a->gated ? "a" : "no", a->delta ? "a" : "no");
  return true;
}

/* Input `index` [B,T,heads*size] as [B,T,heads,size], wide. */
static tn_value *by_heads(linear_attention *a, uint32_t index, int64_t heads, const tn_dim **out_size) {
  tn_build *b = a->node->build;
  tn_value *x = tn_compose_wide(b, tn_foreign_need(a->node, index));
  if (x == NULL) return NULL;
  if (x->type->ndim != 3) {
    tn_foreign_error(a->node, TN_E_RANK, "input %u: expected 3 dimensions, found %u", index, x->type->ndim);
    return NULL;
  }
  *out_size = tn_foreign_quotient(a->node, x->type->dims[2], tn_dim_const(b->ctx, heads),
                                  "the last extent, a multiple of the heads");
  if (*out_size == NULL) return NULL;
  const tn_dim *dims[] = {x->type->dims[0], x->type->dims[1], tn_dim_const(b->ctx, heads), *out_size};
  return tn_build_reshape(b, x, dims, 4);
}

/* x with axis as long as extent, which it is or has one element. */
static tn_value *spread(linear_attention *a, tn_value *x, uint32_t axis, const tn_dim *extent) {
  tn_build *b = a->node->build;
  if (x == NULL || x->type->dims[axis] == extent) return x;
  const tn_dim *dims[4], *last = tn_dim_add_i(b->ctx, x->type->dims[axis], -1), *zero = tn_dim_const(b->ctx, 0);
  const tn_dim *either = tn_dim_mul(b->ctx, last, tn_dim_sub(b->ctx, x->type->dims[axis], extent));
  for (uint32_t i = 0; i < 4; i++) dims[i] = i == axis ? extent : x->type->dims[i];
  if (tn_dim_is(last, 0)) return tn_build_broadcast_to(b, x, dims, 4);
  if (!tn_func_require_eq(b->func, either, zero, a->node->loc, "'LinearAttention': a factor a head or one for all"))
    return NULL;
  tn_value *at = tn_build_iota(b, &extent, 1, 0, TN_I64);
  at = tn_build_binary(b, TN_MIN, at, tn_compose_repeat(b, tn_compose_dim(b, last, TN_I64), at));
  return tn_compose_take_axis(b, x, at, axis);
}

/* A factor a head, or one for all heads; or (decay) one a head and key: [B,T,H,size], size 1 or key. */
static tn_value *factors(linear_attention *a, uint32_t index) {
  tn_build *b = a->node->build;
  const tn_value *x = tn_foreign_need(a->node, index);
  const tn_dim *size, *heads = tn_dim_const(b->ctx, a->kv_heads);
  if (x == NULL) return NULL;
  if (index == LA_DECAY) {
    tn_value *y = by_heads(a, index, a->kv_heads, &size);
    return y != NULL && tn_dim_is(size, 1) ? y : spread(a, y, 3, a->key);
  }
  tn_value *y = by_heads(a, index, 1, &size);
  return y == NULL ? NULL : spread(a, tn_build_transpose(b, y, (int64_t[]){0, 1, 3, 2}), 2, heads);
}

static tn_value *first_state(linear_attention *a, tn_dtype dtype) {
  tn_build *b = a->node->build;
  tn_value *past = tn_foreign_input(a->node, LA_STATE);
  const tn_dim *dims[] = {a->batch, tn_dim_const(b->ctx, a->kv_heads), a->key, a->value};
  if (past == NULL) return tn_build_broadcast_map(b, tn_build_splat_f(b, dtype, 0), dims, 4, NULL);
  if (past->type->ndim != 4) {
    tn_foreign_error(a->node, TN_E_RANK, "past_state: expected 4 dimensions, found %u", past->type->ndim);
    return NULL;
  }
  for (uint32_t i = 0; i < 4; i++)
    if (!tn_func_require_eq(b->func, past->type->dims[i], dims[i], a->node->loc, "'LinearAttention': past_state, axis "
                            "%u", i))
      return NULL;
  return tn_build_cast(b, past, dtype);
}

/* v [B,H,n] (or [B,H,1]) along axis 2 of like [B,H,n,m]. */
static tn_value *over_columns(tn_build *b, tn_value *v, const tn_value *like) {
  if (v == NULL || like == NULL) return NULL;
  return tn_build_broadcast_map(b, v, like->type->dims, 4, (int64_t[]){0, 1, 2});
}

/* One token: p holds the state [B,H,K,V], then q [B,H,G,K], k, v, decay and beta as far as there are any. Gives the
 * next state and the output [B,H,G,V]. */
static bool linear_step(const linear_attention *a, tn_build *b, tn_value *const *p, tn_value **out) {
  tn_value *state = p[0], *q = p[1], *k = p[2], *v = p[3], *decay = a->gated ? p[4] : NULL;
  if (decay != NULL)
    state = tn_build_binary(b, TN_MUL, state, over_columns(b, tn_build_unary(b, TN_EXP, decay), state));
  static const int64_t heads[] = {0, 0, 1, 1}, keys[] = {2, 2}, query_keys[] = {3, 2};
  if (a->delta) {
    tn_value *beta = p[a->gated ? 5 : 4], *known = tn_build_dot(b, state, k, heads, 2, keys, 1);
    v = tn_build_binary(b, TN_SUB, v, known);
    if (v == NULL) return false;
    v = tn_build_binary(b, TN_MUL, v, tn_build_broadcast_to(b, beta, v->type->dims, 3));
  }
  if (state == NULL || v == NULL) return false;
  tn_value *row = tn_build_broadcast_map(b, v, state->type->dims, 4, (int64_t[]){0, 1, 3});
  state = tn_build_binary(b, TN_ADD, state, tn_build_binary(b, TN_MUL, over_columns(b, k, state), row));
  out[0] = state;
  out[1] = tn_build_binary_f(b, TN_MUL, tn_build_dot(b, q, state, heads, 2, query_keys, 1), a->scale);
  return out[0] != NULL && out[1] != NULL;
}

static tn_value *root_of(tn_build *b, const tn_dim *dim, const tn_value *like) {
  tn_value *number = tn_compose_dim(b, dim, like->type->dtype);
  return number == NULL ? NULL : tn_compose_repeat(b, tn_build_unary(b, TN_SQRT, number), like);
}

static bool linear_inputs(linear_attention *a, tn_value **sequences, uint32_t *out_n) {
  tn_build *b = a->node->build;
  const tn_dim *size;
  tn_value *q = by_heads(a, LA_Q, a->q_heads, &a->key), *k = by_heads(a, LA_K, a->kv_heads, &size);
  tn_value *v = by_heads(a, LA_V, a->kv_heads, &a->value);
  if (q == NULL || k == NULL || v == NULL) return false;
  a->batch = q->type->dims[0];
  a->time = q->type->dims[1];
  if (!tn_func_require_eq(b->func, size, a->key, a->node->loc, "'LinearAttention': keys as long as queries"))
    return false;
  const tn_dim *dims[] = {a->batch, a->time, tn_dim_const(b->ctx, a->kv_heads), tn_dim_const(b->ctx, a->group), a->key};
  uint32_t n = 0;
  sequences[n++] = tn_build_reshape(b, q, dims, 5);
  sequences[n++] = k;
  sequences[n++] = v;
  if (a->gated) sequences[n++] = factors(a, LA_DECAY);
  if (a->delta) sequences[n++] = factors(a, LA_BETA);
  for (uint32_t i = 0; i < n; i++)
    if (sequences[i] == NULL) return false;
  *out_n = n;
  if (a->scale != 0) return true;
  a->scale = 1;
  if (tn_dim_is_const(a->key)) a->scale = 1 / sqrt((double)tn_dim_value(a->key));
  else sequences[0] = tn_build_binary(b, TN_DIV, sequences[0], root_of(b, a->key, sequences[0]));
  return sequences[0] != NULL;
}

bool tn_import_linear_attention(tn_foreign_node *node) {
  tn_build *b = node->build;
  linear_attention a = {.node = node};
  tn_value *sequences[5], *results[2];
  uint32_t n;
  if (!read_linear(&a) || !linear_inputs(&a, sequences, &n)) return false;
  tn_value *state = first_state(&a, sequences[0]->type->dtype);
  static const int64_t axes[] = {1, 1, 1, 1, 1, 1};
  tn_build_scan scan = {.carried = &state, .sequences = sequences, .n_carried = 1, .n_sequences = n, .n_stacked = 1};
  int64_t scan_axes[6];
  memcpy(scan_axes, axes, sizeof scan_axes);
  scan.axes = scan_axes;
  tn_node *made = state == NULL ? NULL : tn_build_begin_scan(b, &scan);
  if (made == NULL) return false;
  tn_build in = tn_build_region(made, 0);
  if (!linear_step(&a, &in, in.block->params.data, results)) return false;
  tn_build_return(&in, results, 2);
  if (!tn_build_end(made)) return false;
  const tn_value *like = node->inputs[LA_Q], *past = tn_foreign_input(node, LA_STATE);
  const tn_dim *dims[] = {a.batch, a.time, tn_dim_mul_i(b->ctx, a.value, a.q_heads)};
  tn_value *y = tn_build_reshape(b, made->results[1], dims, 3);
  return tn_foreign_set(node, 0, tn_compose_narrow(b, y, like)) &&
         (node->n_outputs < 2 ||
          tn_foreign_set(node, 1, tn_compose_narrow(b, made->results[0], past != NULL ? past : like)));
}

/* What comes before the first element: the state, or zeros. */
static tn_value *history(tn_foreign_node *node, const tn_value *x, const tn_dim *length) {
  tn_build *b = node->build;
  tn_value *past = tn_foreign_input(node, 3);
  const tn_dim *dims[] = {x->type->dims[0], x->type->dims[1], length};
  if (past == NULL) return tn_build_broadcast_map(b, tn_build_splat_f(b, x->type->dtype, 0), dims, 3, NULL);
  if (past->type->ndim != 3) {
    tn_foreign_error(node, TN_E_RANK, "past_state: expected 3 dimensions, found %u", past->type->ndim);
    return NULL;
  }
  return tn_func_require_eq(b->func, past->type->dims[2], length, node->loc, "'CausalConvWithState': past_state holds "
                            "one element less than the kernel") ? past : NULL;
}

/* x[B,C,T] with a kernel for each channel, w[C,1,K]. */
static tn_value *depthwise(tn_build *b, tn_value *x, tn_value *w) {
  static const int64_t one[] = {1};
  const tn_dim *zero = tn_dim_const(b->ctx, 0);
  tn_attr attrs[6] = {tn_attr_ints(b->module, one, 1), tn_attr_ints(b->module, one, 1),
                      tn_attr_dims(b->module, &zero, 1), tn_attr_dims(b->module, &zero, 1),
                      tn_attr_int(tn_dim_value(w->type->dims[0])), {0}};
  return x == NULL ? NULL : tn_build_op(b, &tn_op_conv, (tn_value *[]){x, w}, 2, attrs);
}

/* The same for a number of channels that only a run shows, which conv's groups cannot be. */
static tn_value *depthwise_sum(tn_foreign_node *node, tn_value *x, tn_value *w) {
  tn_build *b = node->build;
  if (x == NULL || !tn_func_require_eq(b->func, w->type->dims[0], x->type->dims[1], node->loc,
                                       "'CausalConvWithState': a kernel for each channel") ||
      (w = tn_build_drop_axis(b, w, 1)) == NULL)
    return NULL;
  const tn_dim *width = w->type->dims[1], *rest = tn_dim_sub(b->ctx, x->type->dims[2], width);
  const tn_dim *dims[] = {tn_dim_add_i(b->ctx, rest, 1), width};
  tn_value *at = tn_build_binary(b, TN_ADD, tn_build_iota(b, dims, 2, 0, TN_I64), tn_build_iota(b, dims, 2, 1, TN_I64));
  tn_value *windows = tn_compose_wide(b, tn_build_gather_axis(b, x, at, 2)); /* [T, K, B, C] */
  static const int64_t channels[] = {3, 0}, taps[] = {1, 1};
  tn_value *y = windows == NULL ? NULL : tn_build_dot(b, windows, tn_compose_wide(b, w), channels, 1, taps, 1);
  y = y == NULL ? NULL : tn_build_transpose(b, y, (int64_t[]){2, 0, 1}); /* of [C, T, B] */
  return y == NULL ? NULL : tn_compose_narrow(b, y, x);
}

/* A depthwise convolution along the last axis, each output of the elements up to it; the last k - 1 of them are the
 * next state. */
bool tn_import_causal_conv(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  tn_value *x = tn_foreign_need(node, 0), *w = tn_foreign_need(node, 1), *bias = tn_foreign_input(node, 2);
  const char *activation;
  if (x == NULL || w == NULL || !tn_foreign_string(node, "activation", "none", &activation)) return false;
  bool silu = strcmp(activation, "silu") == 0 || strcmp(activation, "swish") == 0;
  if (!silu && strcmp(activation, "none") != 0)
    return tn_foreign_error(node, TN_E_ATTR, "activation: '%s'", activation);
  if (x->type->ndim != 3 || w->type->ndim != 3)
    return tn_foreign_error(node, TN_E_RANK, "expected 3 dimensions, found %u and %u", x->type->ndim, w->type->ndim);
  const tn_dim *before = tn_dim_add_i(ctx, w->type->dims[2], -1);
  tn_value *past = history(node, x, before);
  tn_value *all = past == NULL ? NULL : tn_build_concat(b, (tn_value *[]){past, x}, 2, 2);
  tn_value *y = tn_dim_is_const(w->type->dims[0]) ? depthwise(b, all, w) : depthwise_sum(node, all, w);
  if (y != NULL && bias != NULL) y = tn_build_binary(b, TN_ADD, y, tn_compose_along(b, bias, y, 1));
  if (y != NULL && silu) y = tn_build_op(b, tn_op_find("swish"), &y, 1, NULL);
  return tn_foreign_set(node, 0, y) &&
         (node->n_outputs < 2 ||
          tn_foreign_set(node, 1, tn_build_slice_axis(b, all, 2, x->type->dims[2], before, 1)));
}
