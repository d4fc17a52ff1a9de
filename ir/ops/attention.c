/* attention: softmax(q k' * scale + bias) v over heads, keys and values shared by groups of query heads. The ONNX
 * operator of that name, with its caches and masks, is put together in onnx_attention.c. */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

#include <math.h>

enum { SCALE, SOFTCAP, PRECISION, SCORES, N_ATTRS };

static const char *const scores_names[] = {"raw", "capped", "biased", "probabilities", NULL};

/* How many query heads share one of the keys', as an extent. */
static const tn_dim *sharing(tn_ctx *ctx, const tn_type *q, const tn_type *k) {
  const tn_dim *exact;
  return tn_dim_divide_exact(ctx, q->dims[1], k->dims[1], &exact) ? exact
                                                                   : tn_dim_floordiv(ctx, q->dims[1], k->dims[1]);
}

static bool infer_attention(tn_infer *infer) {
  const tn_type *q = infer->operands[0]->type, *k = infer->operands[1]->type, *v = infer->operands[2]->type;
  const tn_dim *one = tn_dim_const(infer->ctx, 1);
  if (!tn_infer_rank(infer, 0, 4) || !tn_infer_rank(infer, 1, 4) || !tn_infer_rank(infer, 2, 4)) return false;
  const tn_dim *heads = tn_dim_mul(infer->ctx, sharing(infer->ctx, q, k), k->dims[1]);
  if (tn_dim_is_const(q->dims[1]) && tn_dim_is_const(heads) && heads != q->dims[1])
    return tn_infer_error(infer, TN_E_SHAPE, "heads of %s are no multiple of those of %s", tn_infer_operand(infer, 0),
                          tn_infer_operand(infer, 1));
  const struct { const tn_dim *p, *q; const char *what; } equal[] = {
      {k->dims[0], q->dims[0], "batch of k"}, {v->dims[0], q->dims[0], "batch of v"},
      {v->dims[1], k->dims[1], "heads of v"}, {v->dims[2], k->dims[2], "length of v"},
      {k->dims[3], q->dims[3], "head size of k"}, {heads, q->dims[1], "heads of q, a multiple of those of k"}};
  bool ok = true;
  for (size_t i = 0; i < TN_ARRAY_LEN(equal); i++)
    ok = tn_func_require_eq(infer->func, equal[i].p, equal[i].q, infer->loc, "'attention': %s", equal[i].what) && ok;
  const tn_dim *scores[] = {q->dims[0], q->dims[1], q->dims[2], k->dims[2]};
  const tn_type *bias = infer->n_operands > 3 && infer->operands[3] != NULL ? infer->operands[3]->type : NULL;
  if (bias != NULL && bias->ndim > 4) return tn_infer_error(infer, TN_E_RANK, "a bias of more than 4 dimensions");
  for (uint32_t i = 0; bias != NULL && i < bias->ndim; i++)
    if (bias->dims[i] != one) ok = tn_infer_spread(infer, "bias", i, bias->dims[i], scores[4 - bias->ndim + i]) && ok;
  const tn_dim *result[] = {q->dims[0], q->dims[1], q->dims[2], v->dims[3]};
  return ok && tn_infer_result(infer, 0, q->dtype, 4, result) && tn_infer_result(infer, 1, q->dtype, 4, scores);
}

/* x[B,H,S,..] as [B,G,H/G,S,..] for the products with what has G heads. */
static tn_value *grouped(tn_build *b, tn_value *x, const tn_dim *groups, const tn_dim *share) {
  if (x == NULL) return NULL;
  const tn_dim *dims[] = {x->type->dims[0], groups, share, x->type->dims[2], x->type->dims[3]};
  return tn_build_reshape(b, x, dims, 5);
}

/* The product of x [B,H,S,n] with y's axis `axis` of extent n, head by head. */
static tn_value *head_product(tn_build *b, tn_value *x, tn_value *y, const tn_dim *share, int64_t axis) {
  static const int64_t batch[] = {0, 0, 1, 1};
  if (x == NULL || y == NULL) return NULL;
  if (tn_dim_is(share, 1)) return tn_build_dot(b, x, y, batch, 2, (int64_t[]){3, axis}, 1);
  tn_value *z = tn_build_dot(b, grouped(b, x, y->type->dims[1], share), y, batch, 2, (int64_t[]){4, axis}, 1);
  if (z == NULL) return NULL;
  const tn_dim *dims[] = {x->type->dims[0], x->type->dims[1], x->type->dims[2], z->type->dims[4]};
  return tn_build_reshape(b, z, dims, 4);
}

/* Probabilities; rows whose bias forbids every key are all zero. Their scores are made 0 too: a NaN of the softmax
 * would reach gradients. */
static tn_value *probabilities(tn_build *b, const tn_node *node, tn_value *scores, tn_value *bias) {
  static const int64_t last = 3;
  tn_attr axis = tn_attr_int(last);
  tn_dtype dtype = scores->type->dtype;
  tn_value *is_dead = NULL;
  if (bias != NULL) {
    tn_value *most = tn_compose_fold(b, "max", bias, &last, 1);
    is_dead = tn_build_binary(b, TN_EQ, most, tn_build_fill_like(b, bias, -INFINITY));
    scores = tn_build_select(b, is_dead, tn_build_fill_like(b, scores, 0), scores);
    if (scores == NULL) return NULL;
  }
  if (node->attrs[PRECISION].present) scores = tn_build_cast(b, scores, (tn_dtype)node->attrs[PRECISION].u.i);
  tn_value *p = tn_build_op(b, tn_op_find("softmax"), &scores, 1, &axis);
  p = tn_build_cast(b, p, dtype);
  if (is_dead == NULL || p == NULL) return p;
  return tn_build_select(b, is_dead, tn_build_fill_like(b, p, 0), p);
}

/* q times scale, or over the root of the head size. */
static tn_value *scaled(tn_build *b, const tn_node *node, tn_value *q) {
  if (tn_attr_f(node, SCALE) != 0) return tn_build_binary_f(b, TN_MUL, q, tn_attr_f(node, SCALE));
  tn_value *root = tn_build_unary(b, TN_SQRT, tn_compose_dim(b, q->type->dims[3], TN_F64));
  tn_value *scale = root == NULL ? NULL : tn_build_binary(b, TN_DIV, tn_build_splat_f(b, TN_F64, 1), root);
  return tn_build_binary(b, TN_MUL, q, tn_compose_repeat(b, tn_build_cast(b, scale, q->type->dtype), q));
}

static bool expand_attention(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  double cap = tn_attr_f(node, SOFTCAP);
  tn_value *q = operands[0], *bias = node->n_operands > 3 ? operands[3] : NULL;
  const tn_dim *share = sharing(b->ctx, q->type, operands[1]->type);
  q = scaled(b, node, q);
  tn_value *stages[4];
  stages[0] = head_product(b, q, operands[1], share, 3);
  if (stages[0] == NULL) return false;
  stages[1] = stages[0];
  if (cap > 0) {
    stages[1] = tn_build_unary(b, TN_TANH, tn_build_binary_f(b, TN_DIV, stages[0], cap));
    stages[1] = tn_build_binary_f(b, TN_MUL, stages[1], cap);
  }
  stages[2] = stages[1];
  if (bias != NULL) {
    bias = tn_compose_repeat(b, bias, stages[0]);
    stages[2] = tn_build_binary(b, TN_ADD, stages[1], bias);
  }
  stages[3] = stages[2] == NULL ? NULL : probabilities(b, node, stages[2], bias);
  out[0] = head_product(b, stages[3], operands[2], share, 2);
  out[1] = stages[node->attrs[SCORES].u.i];
  return out[0] != NULL && out[1] != NULL;
}

/* With the scores as a second output, computed in a type of its own, or a scale by a size, it is written as what it
 * expands to. */
static bool export_attention(tn_export *x, const tn_node *node) {
  if (node->results[1]->n_uses > 0 || node->attrs[PRECISION].present || tn_attr_f(node, SCALE) == 0) return false;
  tn_export_emit(x, "Attention", 23,
                 TN_NAMES(tn_export_operand(x, node, 0), tn_export_operand(x, node, 1), tn_export_operand(x, node, 2),
                          tn_export_operand(x, node, 3)),
                 TN_FOREIGN(tn_foreign_of_float("scale", node->attrs[SCALE].u.f),
                            tn_foreign_of_float("softcap", node->attrs[SOFTCAP].u.f)),
                 tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"q", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                          {"k", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "q", 0},
                                          {"v", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "q", 0},
                                          {"bias", TN_OPTIONAL, TN_SET_FLOAT, TN_ROLE_DATA, "q", 0}};
static const tn_attr_def attrs[] = {{.name = "scale", .kind = TN_ATTR_FLOAT, .default_f = 1},
                                    {.name = "softcap", .kind = TN_ATTR_FLOAT},
                                    {.name = "precision", .kind = TN_ATTR_DTYPE, .no_default = true},
                                    {.name = "scores", .kind = TN_ATTR_NAME, .names = scores_names}};
static const tn_onnx_row onnx[] = {
    {"", "Attention", 23, 0, tn_import_attention},
    {"com.microsoft", "Attention", 1, 0, tn_import_ms_attention},
    {"com.microsoft", "MultiHeadAttention", 1, 0, tn_import_multi_head_attention},
    {"com.microsoft", "GroupQueryAttention", 1, 0, tn_import_group_query_attention},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,4,8]", "f32[2,3,6,8]", "f32[2,3,6,5]"), "{scale=0.5}", 0, 0, "f32[2,3,4,5], f32[2,3,4,6]"},
    {TN_TYPES("f32[2,4,1,8]", "f32[2,2,B,8]", "f32[2,2,B,8]", "f32[1,B]"), "{softcap=2.0, scores=probabilities}", 0, 0,
     "f32[2,4,1,8], f32[2,4,1,B]"},
    {TN_TYPES("f16[1,1,2,2]", "f16[1,1,3,2]", "f16[1,1,3,2]"), "{precision=f32}", 0, 0, "f16[1,1,2,2], f16[1,1,2,3]"},
    {TN_TYPES("f32[2,3,4,8]", "f32[2,2,6,8]", "f32[2,2,6,8]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[2,3,4,8]", "f32[2,3,6,7]", "f32[2,3,6,7]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[2,3,4,8]", "f32[2,3,6,8]", "f32[2,3,6,8]", "f32[5]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_attention = {
    .name = "attention",
    .kind = TN_OP_COMPOSITE,
    .doc = "y = softmax(cap(q k' * scale) + bias) v for q[B,H,S,D], k[B,G,T,D], v[B,G,T,E], G a divisor of H; cap(s) "
           "is softcap * tanh(s / softcap) when softcap > 0. The second result is the scores [B,H,S,T] at the stage "
           "that `scores` names. scale=0 is 1 / sqrt(D). A row whose bias is -inf everywhere gives zeros.",
    TN_OPERANDS(operands),
    .n_results = 2,
    TN_ATTRS(attrs),
    .infer = infer_attention,
    .expand = expand_attention,
    TN_ONNX(onnx),
    .export = export_attention,
    TN_SAMPLES(samples),
};
