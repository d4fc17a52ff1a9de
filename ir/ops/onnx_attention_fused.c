/* onnxruntime's attention operators (domain com.microsoft): Attention, MultiHeadAttention, GroupQueryAttention and
 * RotaryEmbedding, brought to the ops attention and rotary_embedding. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

#include <math.h>
#include <string.h>

/* One node: heads [B,H,S,D], what is added to the scores, and how they are scaled. */
typedef struct heads {
  tn_foreign_node *node;
  int64_t n_heads, n_kv_heads;
  tn_value *q, *k, *v, *bias;
  const tn_dim *n_past;
  double scale, softcap, masked; /* masked: what is added where a mask forbids */
} heads;

static const char of_heads[] = "the last extent, a multiple of num_heads";

/* [B,S,H*D] as [B,H,S,D]. */
static tn_value *split_heads(heads *h, tn_value *x, int64_t n, const char *what) {
  tn_build *b = h->node->build;
  if (x == NULL) return NULL;
  if (x->type->ndim != 3) {
    tn_foreign_error(h->node, TN_E_RANK, "%s: expected 3 dimensions, found %u", what, x->type->ndim);
    return NULL;
  }
  const tn_dim *size = tn_foreign_quotient(h->node, x->type->dims[2], tn_dim_const(b->ctx, n), what);
  if (size == NULL) return NULL;
  const tn_dim *dims[] = {x->type->dims[0], x->type->dims[1], tn_dim_const(b->ctx, n), size};
  return tn_build_transpose(b, tn_build_reshape(b, x, dims, 4), (int64_t[]){0, 2, 1, 3});
}

/* [B,H,S,D] as [B,S,H*D]. */
static tn_value *join_heads(tn_build *b, tn_value *x) {
  if (x == NULL) return NULL;
  const tn_dim *const *d = x->type->dims, *dims[] = {d[0], d[2], tn_dim_mul(b->ctx, d[1], d[3])};
  return tn_build_reshape(b, tn_build_transpose(b, x, (int64_t[]){0, 2, 1, 3}), dims, 3);
}

/* Elements [start, start + size) of the last axis. */
static tn_value *cut(tn_build *b, tn_value *x, const tn_dim *start, const tn_dim *size) {
  return x == NULL ? NULL : tn_build_slice_axis(b, x, x->type->ndim - 1, start, size, 1);
}

static bool add_bias(heads *h, tn_value *term) {
  tn_build *b = h->node->build;
  if (term == NULL) return false;
  tn_value *both[] = {term, h->bias};
  if (h->bias == NULL) h->bias = term;
  else if (!tn_build_broadcast_all(b, both, 2)) return false;
  else h->bias = tn_build_binary(b, TN_ADD, both[0], both[1]);
  return h->bias != NULL;
}

/* 0 where allowed, else what masks add; allowed has dims that broadcast to [B,H,S,T]. */
static bool allow(heads *h, tn_value *allowed, double forbidden) {
  tn_build *b = h->node->build;
  if (allowed == NULL) return false;
  tn_dtype dtype = h->q->type->dtype;
  tn_value *zero = tn_compose_repeat(b, tn_build_splat_f(b, dtype, 0), allowed);
  tn_value *below = tn_compose_repeat(b, tn_build_splat_f(b, dtype, forbidden), allowed);
  return add_bias(h, tn_build_select(b, allowed, zero, below));
}

/* v [B] as [B,1,1,1] over dims. */
static tn_value *by_batch(tn_build *b, tn_value *v, const tn_dim *const *dims) {
  v = tn_build_reshape(b, v, dims, 1); /* a list, or a column */
  return tn_build_broadcast_map(b, tn_build_cast(b, v, TN_I64), dims, 4, (int64_t[]){0});
}

/* Keys inside [start, end) of each batch; start may be NULL. */
static bool allow_range(heads *h, tn_value *end, tn_value *start) {
  tn_build *b = h->node->build;
  const tn_dim *one = tn_dim_const(b->ctx, 1), *dims[] = {h->q->type->dims[0], one, one, h->k->type->dims[2]};
  tn_value *key = tn_build_iota(b, dims, 4, 3, TN_I64);
  tn_value *in = tn_build_binary(b, TN_LT, key, by_batch(b, end, dims));
  if (start != NULL) in = tn_build_binary(b, TN_AND, in, tn_build_binary(b, TN_GE, key, by_batch(b, start, dims)));
  return allow(h, in, h->masked);
}

/* Masks of integers: lengths [B], lengths and starts [2B], [B,T], [B,S,T], or [B,1,M,M], of which the rows of the
 * queries and the keys so far count. */
static bool add_mask(heads *h, tn_value *mask) {
  tn_build *b = h->node->build;
  tn_ctx *ctx = b->ctx;
  if (mask == NULL) return true;
  const tn_dim *one = tn_dim_const(ctx, 1), *zero = tn_dim_const(ctx, 0), *batch = h->q->type->dims[0];
  const tn_dim *const *d = mask->type->dims, *keys = h->k->type->dims[2];
  if (mask->type->ndim == 1) {
    if (d[0] == batch) return allow_range(h, mask, NULL);
    if (d[0] != tn_dim_mul_i(ctx, batch, 2)) return tn_foreign_unsupported(h->node, "a mask of this length");
    return allow_range(h, cut(b, mask, zero, batch), cut(b, mask, batch, batch));
  }
  tn_value *on = tn_build_binary_f(b, TN_NE, mask, 0);
  if (mask->type->ndim == 2) {
    const tn_dim *dims[] = {d[0], one, one, d[1]};
    on = tn_build_reshape(b, on, dims, 4);
  } else if (mask->type->ndim == 3) {
    const tn_dim *dims[] = {d[0], one, d[1], d[2]};
    on = tn_build_reshape(b, on, dims, 4);
  } else {
    on = tn_build_slice_axis(b, on, 2, h->n_past, h->q->type->dims[2], 1);
    on = cut(b, on, zero, keys);
  }
  return allow(h, on, h->masked);
}

/* Queries see keys up to their own place. */
static bool add_causality(heads *h) {
  tn_build *b = h->node->build;
  int64_t causal;
  if (!tn_foreign_int(h->node, "unidirectional", 0, &causal)) return false;
  if (causal == 0) return true;
  const tn_dim *dims[] = {h->q->type->dims[2], h->k->type->dims[2]};
  tn_value *row = tn_build_iota(b, dims, 2, 0, TN_I64), *column = tn_build_iota(b, dims, 2, 1, TN_I64);
  row = tn_build_binary(b, TN_ADD, row, tn_compose_repeat(b, tn_compose_dim(b, h->n_past, TN_I64), row));
  return allow(h, tn_build_binary(b, TN_LE, column, row), -INFINITY);
}

/* Attribute scale, else one by the root of the head size. */
static bool read_scale(heads *h) {
  if (!tn_foreign_float(h->node, "scale", 0, &h->scale) ||
      !tn_foreign_float(h->node, "mask_filter_value", -10000, &h->masked))
    return false;
  const tn_dim *size = h->q->type->dims[3];
  if (h->scale != 0) return true;
  if (!tn_dim_is_const(size)) return tn_foreign_unsupported(h->node, "no scale and a head size that is not fixed");
  h->scale = 1 / sqrt((double)tn_dim_value(size));
  return true;
}

static bool set_attention(heads *h) {
  tn_build *b = h->node->build;
  tn_value *operands[] = {h->q, h->k, h->v, h->bias};
  tn_attr attrs[] = {tn_attr_float(h->scale), tn_attr_float(h->softcap), {0}, tn_attr_int(0)};
  if (h->bias != NULL && h->bias->type->dtype != h->q->type->dtype)
    operands[3] = tn_build_cast(b, h->bias, h->q->type->dtype);
  tn_value *y = tn_build_op(b, tn_op_find("attention"), operands, h->bias != NULL ? 4 : 3, attrs);
  return tn_foreign_set(h->node, 0, join_heads(b, y));
}

/* Keys and values behind those of the past, [B,H,T,D]. */
static bool extend(heads *h, tn_value *past_k, tn_value *past_v) {
  tn_build *b = h->node->build;
  h->n_past = tn_dim_const(b->ctx, 0);
  if (past_k == NULL || past_v == NULL) return true;
  if (past_k->type->ndim != 4) return tn_foreign_error(h->node, TN_E_RANK, "past: expected 4 dimensions");
  h->n_past = past_k->type->dims[2];
  h->k = tn_build_concat(b, (tn_value *[]){past_k, h->k}, 2, 2);
  h->v = tn_build_concat(b, (tn_value *[]){past_v, h->v}, 2, 2);
  return h->k != NULL && h->v != NULL;
}

/* Inputs that only serve buffers shared between calls, and what needs them. */
static bool refuse(tn_foreign_node *node, uint32_t input, const char *what) {
  return tn_foreign_input(node, input) == NULL || tn_foreign_unsupported(node, "%s", what);
}

static bool refuse_flag(tn_foreign_node *node, const char *name) {
  int64_t flag;
  if (!tn_foreign_int(node, name, 0, &flag)) return false;
  return flag == 0 || tn_foreign_unsupported(node, "%s", name);
}

/* ---- Attention: the projection of all three, then as below. */

/* Sizes of q, k and v in the last axis of the weights. */
static bool projected_sizes(tn_foreign_node *node, const tn_value *w, const tn_dim **out) {
  const int64_t *sizes;
  uint32_t n;
  tn_ctx *ctx = node->build->ctx;
  if (!tn_foreign_ints(node, "qkv_hidden_sizes", &sizes, &n)) return false;
  if (n != 0 && n != 3) return tn_foreign_error(node, TN_E_ATTR, "qkv_hidden_sizes: expected 3 elements, found %u", n);
  for (uint32_t i = 0; i < 3; i++) {
    if (n != 0) out[i] = tn_dim_const(ctx, sizes[i]);
    else if (!tn_dim_divide_exact(ctx, w->type->dims[1], tn_dim_const(ctx, 3), &out[i]))
      return tn_foreign_error(node, TN_E_SHAPE, "the weights do not split into three");
  }
  return true;
}

/* past [2,B,H,P,D]: part 0 keys, 1 values. */
static tn_value *past_part(tn_build *b, tn_value *past, int64_t part) {
  if (past == NULL) return NULL;
  past = tn_build_slice_axis(b, past, 0, tn_dim_const(b->ctx, part), tn_dim_const(b->ctx, 1), 1);
  return tn_build_drop_axis(b, past, 0);
}

bool tn_import_ms_attention(tn_foreign_node *node) {
  tn_build *b = node->build;
  heads h = {.node = node};
  tn_value *x = tn_foreign_need(node, 0), *w = tn_foreign_need(node, 1), *bias = tn_foreign_input(node, 2);
  tn_value *past = tn_foreign_input(node, 4), *parts[3], *added = tn_foreign_input(node, 5);
  const tn_dim *sizes[3], *start = tn_dim_const(b->ctx, 0);
  if (x == NULL || w == NULL || !tn_foreign_int(node, "num_heads", 0, &h.n_heads) || !refuse_flag(node, "do_rotary") ||
      !refuse_flag(node, "past_present_share_buffer") || !refuse(node, 6, "past_sequence_length"))
    return false;
  if (x->type->ndim != 3 || w->type->ndim != 2 || h.n_heads < 1)
    return tn_foreign_error(node, TN_E_RANK, "expected 3 and 2 dimensions and at least one head");
  if (!projected_sizes(node, w, sizes)) return false;
  tn_value *all = tn_build_dot(b, x, w, NULL, 0, (int64_t[]){2, 0}, 1);
  if (all != NULL && bias != NULL)
    all = tn_build_binary(b, TN_ADD, all, tn_build_broadcast_to(b, bias, all->type->dims, 3));
  for (uint32_t i = 0; i < 3; i++) {
    parts[i] = split_heads(&h, cut(b, all, start, sizes[i]), h.n_heads, of_heads);
    if (parts[i] == NULL) return false;
    start = tn_dim_add(b->ctx, start, sizes[i]);
  }
  h.q = parts[0];
  h.k = parts[1];
  h.v = parts[2];
  if (past != NULL && past->type->ndim != 5) return tn_foreign_error(node, TN_E_RANK, "past: expected 5 dimensions");
  if (!extend(&h, past_part(b, past, 0), past_part(b, past, 1)) || !read_scale(&h)) return false;
  if (node->n_outputs > 1 && node->wanted[1]) {
    tn_value *both[] = {tn_build_insert_axis(b, h.k, 0), tn_build_insert_axis(b, h.v, 0)};
    if (both[0] == NULL || both[1] == NULL || !tn_foreign_set(node, 1, tn_build_concat(b, both, 2, 0))) return false;
  }
  if (!add_mask(&h, tn_foreign_input(node, 3)) || !add_causality(&h)) return false;
  return (added == NULL || add_bias(&h, added)) && set_attention(&h);
}

/* ---- MultiHeadAttention */

/* Part `part` of a packed [B,S,H,n,D], as [B,H,S,D]. */
static tn_value *packed_part(tn_build *b, tn_value *x, int64_t part) {
  x = tn_build_slice_axis(b, x, 3, tn_dim_const(b->ctx, part), tn_dim_const(b->ctx, 1), 1);
  return tn_build_transpose(b, tn_build_drop_axis(b, x, 3), (int64_t[]){0, 2, 1, 3});
}

/* Part `part` of the bias of the projection [q + k + v], added to x [B,S,n]. */
static tn_value *with_part(tn_build *b, tn_value *x, tn_value *bias, const tn_dim *start) {
  if (x == NULL || bias == NULL) return x;
  tn_value *part = cut(b, bias, start, x->type->dims[2]);
  return tn_build_binary(b, TN_ADD, x, tn_build_broadcast_to(b, part, x->type->dims, 3));
}

/* q, k and v [B,H,S,D] of inputs 0 to 3 in their forms. */
static bool multi_heads(heads *h) {
  tn_foreign_node *node = h->node;
  tn_build *b = node->build;
  tn_value *q = tn_foreign_need(node, 0), *k = tn_foreign_input(node, 1), *v = tn_foreign_input(node, 2);
  tn_value *bias = tn_foreign_input(node, 3);
  if (q == NULL) return false;
  bool packed = q->type->ndim == 5 || (k != NULL && k->type->ndim == 5), ready = k != NULL && k->type->ndim == 4;
  if (packed && bias != NULL) return tn_foreign_unsupported(node, "packed inputs with a bias");
  if (q->type->ndim == 5) {
    h->q = packed_part(b, q, 0);
    h->k = packed_part(b, q, 1);
    h->v = packed_part(b, q, 2);
    return h->q != NULL && h->k != NULL && h->v != NULL;
  }
  const tn_dim *hidden = q->type->ndim == 3 ? q->type->dims[2] : tn_dim_const(b->ctx, 0);
  h->q = split_heads(h, with_part(b, q, bias, tn_dim_const(b->ctx, 0)), h->n_heads, of_heads);
  if (packed) {
    h->k = packed_part(b, k, 0);
    h->v = packed_part(b, k, 1);
  } else if (ready) {
    h->k = k;
    h->v = tn_foreign_need(node, 2);
  } else {
    if (tn_foreign_need(node, 1) == NULL || tn_foreign_need(node, 2) == NULL) return false;
    h->k = split_heads(h, with_part(b, k, bias, hidden), h->n_heads, of_heads);
    h->v = split_heads(h, with_part(b, v, bias, tn_dim_mul_i(b->ctx, hidden, 2)), h->n_heads, of_heads);
  }
  return h->q != NULL && h->k != NULL && h->v != NULL;
}

bool tn_import_multi_head_attention(tn_foreign_node *node) {
  heads h = {.node = node};
  tn_value *added = tn_foreign_input(node, 5);
  if (!tn_foreign_int(node, "num_heads", 0, &h.n_heads) || !refuse(node, 8, "past_sequence_length") ||
      !refuse(node, 9, "cache_indirection"))
    return false;
  if (h.n_heads < 1) return tn_foreign_error(node, TN_E_ATTR, "num_heads: %lld", (long long)h.n_heads);
  if (!multi_heads(&h) || !extend(&h, tn_foreign_input(node, 6), tn_foreign_input(node, 7)) || !read_scale(&h))
    return false;
  if (node->n_outputs > 1 && !tn_foreign_set(node, 1, h.k)) return false;
  if (node->n_outputs > 2 && !tn_foreign_set(node, 2, h.v)) return false;
  if (!add_mask(&h, tn_foreign_input(node, 4)) || !add_causality(&h)) return false;
  return (added == NULL || add_bias(&h, added)) && set_attention(&h);
}

/* ---- RotaryEmbedding, and as a part of GroupQueryAttention */

/* x [B,H,S,D] turned by the angles of rows `positions` [B,S] of the tables. */
static tn_value *turned(tn_foreign_node *node, tn_value *x, tn_value *positions, uint32_t tables, bool interleaved) {
  tn_build *b = node->build;
  tn_value *operands[] = {x, NULL, NULL};
  for (uint32_t i = 0; i < 2; i++) {
    tn_value *table = tn_foreign_need(node, tables + i);
    if (table == NULL || positions == NULL) return NULL;
    operands[1 + i] = tn_build_gather_axis(b, tn_build_cast(b, table, x->type->dtype), positions, 0);
  }
  tn_attr attr = tn_attr_bool(interleaved);
  return tn_build_op(b, tn_op_find("rotary_embedding"), operands, 3, &attr);
}

bool tn_import_ms_rotary_embedding(tn_foreign_node *node) {
  tn_build *b = node->build;
  heads h = {.node = node};
  tn_value *x = tn_foreign_need(node, 0), *at = tn_foreign_need(node, 1), *table = tn_foreign_need(node, 2);
  int64_t interleaved;
  double scale;
  if (x == NULL || at == NULL || table == NULL || !tn_foreign_int(node, "num_heads", 0, &h.n_heads) ||
      !tn_foreign_int(node, "interleaved", 0, &interleaved) || !tn_foreign_float(node, "scale", 1, &scale) ||
      !refuse_flag(node, "is_packed_batching"))
    return false;
  if (scale != 1) return tn_foreign_unsupported(node, "a scale");
  bool flat = x->type->ndim == 3;
  if (flat && h.n_heads == 0) { /* heads as long as two rows of the table */
    const tn_dim *n;
    if (!tn_dim_divide_exact(b->ctx, x->type->dims[2], tn_dim_mul_i(b->ctx, table->type->dims[1], 2), &n) ||
        !tn_dim_is_const(n))
      return tn_foreign_unsupported(node, "a number of heads that is not fixed");
    h.n_heads = tn_dim_value(n);
  }
  if (flat) x = split_heads(&h, x, h.n_heads, of_heads);
  if (x == NULL) return false;
  const tn_dim *dims[] = {x->type->dims[0], x->type->dims[2]};
  if (at->type->ndim < 2) { /* where the first token stands */
    tn_value *s = tn_build_iota(b, dims, 2, 1, TN_I64);
    at = tn_build_cast(b, tn_build_reshape(b, at, NULL, 0), TN_I64);
    at = tn_build_binary(b, TN_ADD, s, tn_compose_repeat(b, at, s));
  }
  tn_value *y = turned(node, x, at, 2, interleaved != 0);
  return tn_foreign_set(node, 0, flat ? join_heads(b, y) : y);
}

/* ---- GroupQueryAttention: its cache is a buffer into which the new keys are written behind each batch's own. */

enum { GQA_K = 1, GQA_V, GQA_PAST_K, GQA_PAST_V, GQA_LENGTHS, GQA_TOTAL, GQA_COS, GQA_SIN, GQA_POSITIONS, GQA_BIAS,
       GQA_FURTHER, GQA_N = 16 };

typedef struct group_query {
  heads h;
  int64_t rotary, interleaved, causal, window;
  tn_value *place;     /* of each new token in its sequence, i64 [B,S] */
  const tn_dim *total; /* the extent of the caches after this call */
} group_query;

static bool read_group_query(group_query *g) {
  tn_foreign_node *node = g->h.node;
  int64_t smooth, qk;
  if (!tn_foreign_int(node, "num_heads", 0, &g->h.n_heads) ||
      !tn_foreign_int(node, "kv_num_heads", 0, &g->h.n_kv_heads) || !tn_foreign_int(node, "do_rotary", 0, &g->rotary) ||
      !tn_foreign_int(node, "rotary_interleaved", 0, &g->interleaved) ||
      !tn_foreign_int(node, "causal", 1, &g->causal) || !tn_foreign_int(node, "local_window_size", -1, &g->window) ||
      !tn_foreign_float(node, "softcap", 0, &g->h.softcap) || !tn_foreign_int(node, "smooth_softmax", -1, &smooth) ||
      !tn_foreign_int(node, "qk_output", 0, &qk) || !refuse_flag(node, "sliding_window_cache") ||
      !refuse_flag(node, "kv_cache_bit_width"))
    return false;
  if (g->h.n_heads < 1 || g->h.n_kv_heads < 1 || g->h.n_heads % g->h.n_kv_heads != 0)
    return tn_foreign_error(node, TN_E_ATTR, "num_heads %lld is no multiple of kv_num_heads %lld",
                            (long long)g->h.n_heads, (long long)g->h.n_kv_heads);
  if (smooth > 0 || qk != 0) return tn_foreign_unsupported(node, "smooth_softmax or qk_output");
  for (uint32_t i = GQA_FURTHER; i < GQA_N; i++)
    if (!refuse(node, i, "a sink, scales of the cache or norms of its own")) return false;
  return true;
}

/* q, k and v [B,H,S,D]; without k all three lie one behind the other in q. */
static bool group_heads(group_query *g) {
  heads *h = &g->h;
  tn_build *b = h->node->build;
  tn_value *q = tn_foreign_need(h->node, 0), *k = tn_foreign_input(h->node, GQA_K);
  tn_value *v = tn_foreign_input(h->node, GQA_V);
  if (q == NULL) return false;
  if (k == NULL && q->type->ndim == 3) {
    const tn_dim *all = tn_dim_const(b->ctx, h->n_heads + 2 * h->n_kv_heads);
    const tn_dim *size = tn_foreign_quotient(h->node, q->type->dims[2], all, "the last extent, of all heads packed");
    if (size == NULL) return false;
    const tn_dim *n_q = tn_dim_mul_i(b->ctx, size, h->n_heads), *n_k = tn_dim_mul_i(b->ctx, size, h->n_kv_heads);
    k = cut(b, q, n_q, n_k);
    v = cut(b, q, tn_dim_add(b->ctx, n_q, n_k), n_k);
    q = cut(b, q, tn_dim_const(b->ctx, 0), n_q);
  }
  h->q = split_heads(h, q, h->n_heads, of_heads);
  h->k = split_heads(h, k, h->n_kv_heads, "the last extent, a multiple of kv_num_heads");
  h->v = split_heads(h, v, h->n_kv_heads, "the last extent, a multiple of kv_num_heads");
  return h->q != NULL && h->k != NULL && h->v != NULL;
}

/* A first prompt, as many new tokens as there are in all, starts at 0; else the new tokens are the last of each
 * sequence's length (input 5 is one less). */
static bool find_places(group_query *g) {
  tn_foreign_node *node = g->h.node;
  tn_build *b = node->build;
  const tn_dim *dims[] = {g->h.q->type->dims[0], g->h.q->type->dims[2]}, *total[TN_MAX_INDEX];
  uint32_t n;
  tn_value *past = tn_foreign_input(node, GQA_PAST_K), *lengths = tn_foreign_need(node, GQA_LENGTHS);
  if (lengths == NULL || !tn_foreign_dims(node, GQA_TOTAL, 0, INT32_MAX, total, &n)) return false;
  if (n != 1) return tn_foreign_error(node, TN_E_SHAPE, "total_sequence_length: expected one number, found %u", n);
  if (past != NULL && past->type->ndim != 4) return tn_foreign_error(node, TN_E_RANK, "past: expected 4 dimensions");
  g->total = past == NULL ? total[0] : tn_dim_max(b->ctx, past->type->dims[2], total[0]);
  tn_value *s = tn_build_iota(b, dims, 2, 1, TN_I64);
  tn_dim_order order = tn_dim_compare(b->ctx, dims[1], total[0]);
  g->place = s;
  if (order == TN_DIM_EQUAL || s == NULL) return s != NULL;
  /* lengths - (S - 1) + s */
  tn_value *first = tn_build_cast(b, tn_build_reshape(b, lengths, dims, 1), TN_I64);
  first = tn_compose_along(b, first, s, 0);
  tn_value *shift = tn_compose_dim(b, tn_dim_add_i(b->ctx, tn_dim_mul_i(b->ctx, dims[1], -1), 1), TN_I64);
  tn_value *later = tn_build_binary(b, TN_ADD, tn_build_binary(b, TN_ADD, first, s), tn_compose_repeat(b, shift, s));
  if (order != TN_DIM_UNKNOWN) {
    g->place = later;
    return later != NULL;
  }
  tn_value *is_first = tn_build_binary(b, TN_EQ, tn_compose_dim(b, dims[1], TN_I64),
                                       tn_compose_dim(b, total[0], TN_I64));
  g->place = tn_build_select(b, tn_compose_repeat(b, is_first, s), s, later);
  return g->place != NULL;
}

/* The cache [B,H,P,D], extended to the total, with x [B,H,S,D] at its places. */
static tn_value *cached(group_query *g, tn_value *past, tn_value *x) {
  tn_build *b = g->h.node->build;
  tn_ctx *ctx = b->ctx;
  const tn_dim *const *d = x->type->dims, *zero = tn_dim_const(ctx, 0), *dims[] = {d[0], d[1], g->total, d[3]};
  if (past == NULL && g->total == d[2]) return x;
  tn_value *fill = tn_build_splat_f(b, x->type->dtype, 0), *cache = past;
  if (past == NULL) cache = tn_build_broadcast_map(b, fill, dims, 4, NULL);
  else if (past->type->dims[2] != g->total) {
    const tn_dim *lo[] = {zero, zero, zero, zero};
    const tn_dim *hi[] = {zero, zero, tn_dim_sub(ctx, g->total, past->type->dims[2]), zero};
    cache = tn_build_pad(b, past, fill, lo, hi);
  }
  const tn_dim *rows[] = {d[0], d[2]};
  tn_value *operands[] = {cache, tn_build_transpose(b, x, (int64_t[]){0, 2, 1, 3}),
                          tn_build_iota(b, rows, 2, 0, TN_I64), g->place};
  static const int64_t axes[] = {0, 2};
  tn_attr attrs[] = {tn_attr_ints(b->module, axes, 2), tn_attr_name(&tn_op_scatter, "mode", "set"), tn_attr_bool(true)};
  for (int i = 0; i < 4; i++)
    if (operands[i] == NULL) return NULL;
  return tn_build_op(b, &tn_op_scatter, operands, 4, attrs);
}

/* Keys up to the query's own place, and not further back than the window; or all of the sequence. */
static bool group_mask(group_query *g) {
  heads *h = &g->h;
  tn_build *b = h->node->build;
  const tn_dim *dims[] = {h->q->type->dims[0], tn_dim_const(b->ctx, 1), h->q->type->dims[2], h->k->type->dims[2]};
  tn_value *key = tn_build_iota(b, dims, 4, 3, TN_I64);
  tn_value *place = tn_build_broadcast_map(b, g->place, dims, 4, (int64_t[]){0, 2});
  if (g->causal == 0)
    return allow(h, tn_build_binary(b, TN_LE, key, by_batch(b, tn_foreign_need(h->node, GQA_LENGTHS), dims)),
                 -INFINITY);
  tn_value *in = tn_build_binary(b, TN_LE, key, place);
  if (g->window > 0) {
    tn_value *oldest = tn_build_binary_f(b, TN_SUB, place, (double)g->window);
    in = tn_build_binary(b, TN_AND, in, tn_build_binary(b, TN_GT, key, oldest));
  }
  return allow(h, in, -INFINITY);
}

bool tn_import_group_query_attention(tn_foreign_node *node) {
  tn_build *b = node->build;
  group_query g = {.h = {.node = node}};
  heads *h = &g.h;
  tn_value *added = tn_foreign_input(node, GQA_BIAS), *at = tn_foreign_input(node, GQA_POSITIONS);
  if (!read_group_query(&g) || !group_heads(&g) || !find_places(&g) || !read_scale(h)) return false;
  if (g.rotary != 0) {
    at = at == NULL ? g.place : tn_build_broadcast_to(b, at, g.place->type->dims, 2);
    h->q = turned(node, h->q, at, GQA_COS, g.interleaved != 0);
    h->k = turned(node, h->k, at, GQA_COS, g.interleaved != 0);
  }
  if (h->q == NULL || h->k == NULL) return false;
  h->k = cached(&g, tn_foreign_input(node, GQA_PAST_K), h->k);
  h->v = cached(&g, tn_foreign_input(node, GQA_PAST_V), h->v);
  if (h->k == NULL || h->v == NULL || !group_mask(&g)) return false;
  if (node->n_outputs > 1 && !tn_foreign_set(node, 1, h->k)) return false;
  if (node->n_outputs > 2 && !tn_foreign_set(node, 2, h->v)) return false;
  if (added != NULL && !add_bias(h, cut(b, added, tn_dim_const(b->ctx, 0), h->k->type->dims[2]))) return false;
  return set_attention(h);
}
