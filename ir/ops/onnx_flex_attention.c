/* ONNX' FlexAttention (ai.onnx.preview): attention whose scores and weights the model's own graphs may change. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <math.h>

typedef struct flex {
  tn_foreign_node *node;
  tn_value *q, *k, *v;
  tn_dtype dtype; /* of scores and weights */
  double scale;
  const tn_dim *group; /* heads of queries that share one of keys */
} flex;

static bool read_flex(flex *f) {
  tn_foreign_node *node = f->node;
  int64_t precision;
  if (f->q->type->ndim != 4 || f->k->type->ndim != 4 || f->v->type->ndim != 4)
    return tn_foreign_error(node, TN_E_RANK, "q, k and v must have 4 dimensions");
  const tn_dim *heads = f->k->type->dims[1], *size = f->q->type->dims[3];
  if (!tn_foreign_float(node, "scale", 0, &f->scale) || !tn_foreign_int(node, "softmax_precision", 0, &precision))
    return false;
  if (tn_foreign_find(node, "scale") == NULL) {
    if (!tn_dim_is_const(size)) return tn_foreign_unsupported(node, "no scale and a head size that is not fixed");
    f->scale = 1 / sqrt((double)tn_dim_value(size));
  }
  f->dtype = precision != 0 ? tn_dtype_of_onnx(precision) : f->q->type->dtype == TN_F64 ? TN_F64 : TN_F32;
  if (f->dtype == TN_N_DTYPES || !tn_dtype_is_float(f->dtype))
    return tn_foreign_error(node, TN_E_ATTR, "softmax_precision: %lld", (long long)precision);
  f->group = tn_foreign_quotient(node, f->q->type->dims[1], heads, "the heads of q, a multiple of those of k");
  return f->group != NULL;
}

/* The named graph on x, when there is one. */
static tn_value *modified(const flex *f, const char *name, tn_value *x) {
  const tn_foreign_attr *attr = tn_foreign_find(f->node, name);
  tn_value *y = NULL;
  if (x == NULL || attr == NULL) return x;
  if (attr->kind != TN_FOREIGN_GRAPH) {
    tn_foreign_error(f->node, TN_E_ATTR, "%s: expected a graph", name);
    return NULL;
  }
  if (!tn_foreign_inline(f->node, attr->graph, &x, 1, &y, 1)) return NULL;
  if (y->type == x->type) return y;
  tn_foreign_error(f->node, TN_E_DTYPE, "%s: its output has another type than its input", name);
  return NULL;
}

bool tn_import_flex_attention(tn_foreign_node *node) {
  tn_build *b = node->build;
  flex f = {.node = node, .q = tn_foreign_need(node, 0), .k = tn_foreign_need(node, 1), .v = tn_foreign_need(node, 2)};
  if (f.q == NULL || f.k == NULL || f.v == NULL || !read_flex(&f)) return false;
  const tn_dim *const *q = f.q->type->dims, *const *k = f.k->type->dims;
  const tn_dim *grouped[] = {q[0], k[1], f.group, q[2], q[3]}, *plain[] = {q[0], q[1], q[2], k[2]};
  const tn_dim *weights[] = {q[0], k[1], f.group, q[2], k[2]}, *result[] = {q[0], q[1], q[2], f.v->type->dims[3]};
  static const int64_t heads[] = {0, 0, 1, 1}, by_size[] = {4, 3}, by_key[] = {4, 2};
  /* q and k each take the root of the scale, as the definition has it */
  double root = sqrt(f.scale < 0 ? -f.scale : f.scale);
  tn_value *left = tn_build_binary_f(b, TN_MUL, tn_compose_wide(b, f.q), f.scale < 0 ? -root : root);
  tn_value *right = tn_build_binary_f(b, TN_MUL, tn_compose_wide(b, f.k), root);
  tn_value *scores = tn_build_dot(b, tn_build_reshape(b, left, grouped, 5), right, heads, 2, by_size, 1);
  scores = scores == NULL ? NULL : tn_build_cast(b, tn_build_reshape(b, scores, plain, 4), f.dtype);
  scores = modified(&f, "score_mod", scores);
  tn_attr axis = tn_attr_int(3);
  tn_value *p = scores == NULL ? NULL : tn_build_op(b, tn_op_find("softmax"), &scores, 1, &axis);
  p = modified(&f, "prob_mod", p);
  tn_value *v = tn_build_cast(b, f.v, f.dtype);
  tn_value *y = tn_build_dot(b, tn_build_reshape(b, p, weights, 5), v, heads, 2, by_key, 1);
  return tn_foreign_set(node, 0, tn_compose_narrow(b, tn_build_reshape(b, y, result, 4), f.v));
}
