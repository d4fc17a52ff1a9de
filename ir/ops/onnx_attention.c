/* ONNX Attention: inputs of rank 3 or 4, caches of past keys and values, and masks of several kinds, which all become
 * one bias that is added to the scores. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <math.h>

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS, N_INPUTS };
enum { SCALE, SOFTCAP, PRECISION, SCORES, N_ATTRS }; /* of op attention */

tn_value *tn_foreign_split_heads(tn_foreign_node *node, tn_value *x, const char *attr) {
  tn_build *b = node->build;
  int64_t heads;
  if (!tn_foreign_int(node, attr, 0, &heads)) return NULL;
  if (heads < 1 || heads > INT32_MAX) {
    tn_foreign_error(node, TN_E_ATTR, "%s: %lld", attr, (long long)heads);
    return NULL;
  }
  const tn_dim *size = tn_foreign_quotient(node, x->type->dims[2], tn_dim_const(b->ctx, heads),
                                             tn_namef(b->ctx, "the last extent, a multiple of %s", attr));
  if (size == NULL) return NULL;
  const tn_dim *dims[] = {x->type->dims[0], x->type->dims[1], tn_dim_const(b->ctx, heads), size};
  return tn_build_transpose(b, tn_build_reshape(b, x, dims, 4), (int64_t[]){0, 2, 1, 3});
}

/* Where pred is false: -inf, else 0. */
static tn_value *forbid(tn_build *b, tn_value *pred, tn_dtype dtype) {
  if (pred == NULL) return NULL;
  tn_value *zero = tn_compose_repeat(b, tn_build_splat_f(b, dtype, 0), pred);
  return tn_build_select(b, pred, zero, tn_compose_repeat(b, tn_build_splat_f(b, dtype, -INFINITY), pred));
}

/* *bias gets term added; NULL stands for nothing yet. */
static bool add_bias(tn_build *b, tn_value **bias, tn_value *term) {
  if (term == NULL) return false;
  tn_value *both[] = {term, *bias};
  if (*bias != NULL) {
    if (!tn_build_broadcast_all(b, both, 2)) return false;
    term = tn_build_binary(b, TN_ADD, both[1], both[0]);
  }
  *bias = term;
  return term != NULL;
}

/* The mask of the node as a bias; keys past its end are forbidden. */
static tn_value *mask_bias(tn_build *b, tn_value *mask, const tn_dim *n_keys, tn_dtype dtype) {
  mask = mask->type->dtype == TN_BOOL ? forbid(b, mask, dtype) : tn_build_cast(b, mask, dtype);
  if (mask == NULL || mask->type->ndim == 0) return mask;
  uint32_t last = mask->type->ndim - 1;
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM], *missing = tn_dim_sub(b->ctx, n_keys, mask->type->dims[last]);
  if (tn_dim_is(missing, 0)) return mask;
  for (uint32_t i = 0; i <= last; i++) lo[i] = hi[i] = tn_dim_const(b->ctx, 0);
  hi[last] = missing;
  return tn_build_pad(b, mask, tn_build_splat_f(b, dtype, -INFINITY), lo, hi);
}

/* How far each query is past each key: i + offset - j, where offset is what lies before the queries: the cache, or,
 * with lengths for each batch, that length less the queries. i64 [S,T] or [B,1,S,T]. */
static tn_value *distances(tn_build *b, const tn_value *q, const tn_value *k, const tn_dim *n_past, tn_value *lengths) {
  tn_ctx *ctx = b->ctx;
  const tn_dim *dims[] = {q->type->dims[2], k->type->dims[2]};
  tn_value *row = tn_build_iota(b, dims, 2, 0, TN_I64), *column = tn_build_iota(b, dims, 2, 1, TN_I64);
  tn_value *d = tn_build_binary(b, TN_SUB, row, column);
  tn_value *offset = tn_compose_dim(b, lengths != NULL ? tn_dim_mul_i(ctx, dims[0], -1) : n_past, TN_I64);
  d = d == NULL ? NULL : tn_build_binary(b, TN_ADD, d, tn_compose_repeat(b, offset, d));
  if (lengths == NULL || d == NULL) return d;
  const tn_dim *one = tn_dim_const(ctx, 1), *column_dims[] = {q->type->dims[0], one, one, one};
  tn_value *both[] = {d, tn_build_reshape(b, lengths, column_dims, 4)};
  return both[1] != NULL && tn_build_broadcast_all(b, both, 2) ? tn_build_binary(b, TN_ADD, both[0], both[1]) : NULL;
}

static tn_value *compare(tn_build *b, tn_scalar scalar, tn_value *d, int64_t limit) {
  return d == NULL ? NULL
                   : tn_build_binary(b, scalar, d, tn_compose_repeat(b, tn_build_splat_i(b, TN_I64, limit), d));
}

/* Causality and windows, by distance. */
static bool add_order(tn_foreign_node *node, tn_value *const *in, const tn_dim *n_past, tn_value **bias) {
  tn_build *b = node->build;
  tn_dtype dtype = in[Q]->type->dtype;
  int64_t causal, left, right;
  if (!tn_foreign_int(node, "is_causal", 0, &causal) || !tn_foreign_int(node, "left_window_size", -1, &left) ||
      !tn_foreign_int(node, "right_window_size", -1, &right))
    return false;
  if (left < -1 || right < -1 || left == INT64_MAX || right == INT64_MAX)
    return tn_foreign_error(node, TN_E_ATTR, "a window size is below -1 or too large");
  if (causal == 0 && left < 0 && right < 0) return true;
  tn_value *d = distances(b, in[Q], in[K], n_past, in[LENGTHS]);
  bool ok = causal == 0 || add_bias(b, bias, forbid(b, compare(b, TN_GE, d, 0), dtype));
  ok = ok && (left < 0 || add_bias(b, bias, forbid(b, compare(b, TN_LE, d, left), dtype)));
  return ok && (right < 0 || add_bias(b, bias, forbid(b, compare(b, TN_GE, d, -right), dtype)));
}

/* Keys at and after a batch's length are padding. */
static bool add_padding(tn_build *b, tn_value *const *in, tn_value **bias) {
  if (in[LENGTHS] == NULL) return true;
  const tn_dim *one = tn_dim_const(b->ctx, 1), *dims[] = {in[Q]->type->dims[0], one, one, in[K]->type->dims[2]};
  const tn_dim *column_dims[] = {dims[0], one, one, one};
  tn_value *key = tn_build_iota(b, dims, 4, 3, TN_I64);
  tn_value *length = tn_build_reshape(b, tn_build_cast(b, in[LENGTHS], TN_I64), column_dims, 4);
  tn_value *is_real = tn_build_binary(b, TN_LT, key, tn_build_broadcast_to(b, length, dims, 4));
  return add_bias(b, bias, forbid(b, is_real, in[Q]->type->dtype));
}

/* k or v with the cache before it; the result is also the node's output. */
static bool extend(tn_foreign_node *node, tn_value **x, tn_value *past, uint32_t output) {
  if (past != NULL) *x = tn_build_concat(node->build, (tn_value *[]){past, *x}, 2, 2);
  return *x != NULL && (output >= node->n_outputs || tn_foreign_set(node, output, *x));
}

static bool read_attrs(tn_foreign_node *node, const tn_dim *head_size, tn_attr *out) {
  double scale, softcap;
  int64_t precision, mode;
  if (!tn_foreign_float(node, "scale", 0, &scale) || !tn_foreign_float(node, "softcap", 0, &softcap) ||
      !tn_foreign_int(node, "softmax_precision", 0, &precision) ||
      !tn_foreign_int(node, "qk_matmul_output_mode", 0, &mode))
    return false;
  bool given = tn_foreign_find(node, "scale") != NULL;
  if (given && scale == 0) return tn_foreign_error(node, TN_E_ATTR, "scale: 0 leaves nothing of the scores");
  if (!given && tn_dim_is_const(head_size)) scale = 1 / sqrt((double)tn_dim_value(head_size));
  tn_dtype dtype = precision != 0 ? tn_dtype_of_onnx(precision) : TN_F32;
  if (!tn_dtype_is_float(dtype) || mode < 0 || mode > 3)
    return tn_foreign_error(node, TN_E_ATTR, "softmax_precision %lld, qk_matmul_output_mode %lld", (long long)precision,
                            (long long)mode);
  out[SCALE] = tn_attr_float(scale);
  out[SOFTCAP] = tn_attr_float(softcap);
  out[PRECISION] = (tn_attr){.present = precision != 0, .u.i = dtype};
  out[SCORES] = tn_attr_int(mode);
  return true;
}

bool tn_import_attention(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *in[N_INPUTS], *bias = NULL;
  tn_attr attrs[N_ATTRS];
  for (uint32_t i = 0; i < N_INPUTS; i++) in[i] = i <= V ? tn_foreign_need(node, i) : tn_foreign_input(node, i);
  if (in[Q] == NULL || in[K] == NULL || in[V] == NULL) return false;
  uint32_t ndim = in[Q]->type->ndim;
  if ((ndim != 3 && ndim != 4) || in[K]->type->ndim != ndim || in[V]->type->ndim != ndim)
    return tn_foreign_error(node, TN_E_RANK, "q, k and v must all have 3 or all 4 dimensions");
  for (uint32_t i = Q; i <= V && ndim == 3; i++) {
    in[i] = tn_foreign_split_heads(node, in[i], i == Q ? "q_num_heads" : "kv_num_heads");
    if (in[i] == NULL) return false;
  }
  const tn_dim *n_past = tn_dim_const(b->ctx, 0);
  if (in[PAST_KEY] != NULL && in[PAST_KEY]->type->ndim == 4) n_past = in[PAST_KEY]->type->dims[2];
  if (!extend(node, &in[K], in[PAST_KEY], 1) || !extend(node, &in[V], in[PAST_VALUE], 2)) return false;
  if (in[MASK] != NULL && !add_bias(b, &bias, mask_bias(b, in[MASK], in[K]->type->dims[2], in[Q]->type->dtype)))
    return false;
  if (!add_order(node, in, n_past, &bias) || !add_padding(b, in, &bias) ||
      !read_attrs(node, in[Q]->type->dims[3], attrs))
    return false;
  tn_value *operands[] = {in[Q], in[K], in[V], bias};
  tn_node *made = tn_build_node(b, tn_op_find("attention"), operands, bias != NULL ? 4 : 3, attrs);
  if (made == NULL) return false;
  tn_value *y = made->results[0];
  if (ndim == 3) {
    const tn_dim *const *d = y->type->dims, *dims[] = {d[0], d[2], tn_dim_mul(b->ctx, d[1], d[3])};
    y = tn_build_reshape(b, tn_build_transpose(b, y, (int64_t[]){0, 2, 1, 3}), dims, 3);
  }
  if (node->n_outputs > 3) node->outputs[3] = made->results[1];
  return tn_foreign_set(node, 0, y);
}
