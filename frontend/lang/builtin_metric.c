/* Metrics, which train blocks alone see: the statistics of one batch, which the runtime adds up in double over a split
 * (runtime/training.h, tnrt_metric). */
#include <string.h>

#include "frontend/lang/builtin_loss.h"
#include "ir/ops/compose.h"

static tn_datum *metric(tn_call *call, tnrt_metric_kind kind, tnrt_average average, tn_value *const *parts,
                        uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (!parts[i]) return NULL;
  return tn_datum_metric(call->s, kind, average, parts, n, call->loc);
}

/* Scalars as f64[n]. */
static tn_value *vector(tn_call *call, tn_value *const *scalars, uint32_t n) {
  tn_value *parts[4];
  const tn_dim *one = tn_dim_const(call->s->ctx, 1);
  TN_ASSERT(n <= TN_ARRAY_LEN(parts));
  for (uint32_t i = 0; i < n; i++) {
    if (!scalars[i]) return NULL;
    parts[i] = tn_build_reshape(call->b, tn_build_cast(call->b, scalars[i], TN_F64), &one, 1);
  }
  return tn_build_concat(call->b, parts, n, 0);
}

/* (sum, number) of each, which is taken as f64. */
static tn_datum *mean(tn_call *call, tnrt_metric_kind kind, tn_value *each) {
  each = each ? tn_build_cast(call->b, each, TN_F64) : NULL;
  tn_value *parts[] = {tn_sum_all(call->b, each), tn_count_all(call->b, each, TN_F64)};
  tn_value *both = vector(call, parts, 2);
  return metric(call, kind, TNRT_AVERAGE_MACRO, &both, 1);
}

/* The class that is answered, i64[N]: that of the largest score, of one score whether it is above 0. */
static tn_value *answer(tn_call *call, const tn_scores *s) {
  tn_build *b = call->b;
  if (s->is_one) return tn_build_cast(b, tn_build_binary_f(b, TN_GT, s->x, 0), TN_I64);
  tn_named_attr attrs[] = {{"op", tn_attr_name(tn_op_find("argreduce"), "op", "max")}, {"axis", tn_attr_int(1)}};
  return tn_call_op(call, "argreduce", &s->x, 1, attrs, 2);
}

/* The class of the label, i64[N]; a share counts as the nearer one. */
static tn_value *truth(tn_call *call, const tn_scores *s) {
  tn_value *y = s->is_one ? tn_build_binary_f(call->b, TN_GT, s->y, 0.5) : s->y;
  return tn_build_cast(call->b, y, TN_I64);
}

static tn_datum *make_accuracy(tn_call *call) {
  tn_scores s;
  if (!tn_scores_read_any(call, &s)) return NULL;
  return mean(call, TNRT_METRIC_MEAN, tn_build_binary(call->b, TN_EQ, answer(call, &s), truth(call, &s)));
}

/* Whether fewer than k classes come before the label's: a higher score, or the same and a lower number. */
static tn_value *is_among(tn_call *call, const tn_scores *s, int64_t k) {
  tn_build *b = call->b;
  int64_t axis = 1;
  tn_value *label = tn_compose_spread(b, s->y, s->x, &axis, 1), *none = tn_build_fill_like(b, s->x, 0);
  tn_value *class = tn_build_iota(b, s->x->type->dims, 2, 1, s->y->type->dtype);
  tn_value *own = tn_build_select(b, tn_build_binary(b, TN_EQ, class, label), s->x, none);
  own = tn_build_reduce(b, "sum", own, &axis, 1, false);
  tn_value *right = tn_compose_spread(b, own, s->x, &axis, 1);
  tn_value *same = tn_build_binary(b, TN_AND, tn_build_binary(b, TN_EQ, s->x, right),
                                   tn_build_binary(b, TN_LT, class, label));
  tn_value *before = tn_build_binary(b, TN_OR, tn_build_binary(b, TN_GT, s->x, right), same);
  tn_value *n = before ? tn_build_reduce(b, "sum", tn_build_cast(b, before, TN_I32), &axis, 1, false) : NULL;
  tn_value *is_number = tn_build_unary(b, TN_NOT, tn_build_unary(b, TN_IS_NAN, own));
  return tn_build_binary(b, TN_AND, tn_build_binary_f(b, TN_LT, n, (double)k), is_number);
}

/* logits, y, k */
static tn_datum *make_topk(tn_call *call) {
  tn_scores s;
  int64_t k;
  if (!tn_scores_read(call, &s) || !tn_call_int(call, 2, &k)) return NULL;
  const tn_dim *classes = s.x->type->dims[1];
  if (k >= 1 && (!tn_dim_is_const(classes) || k <= tn_dim_value(classes)))
    return mean(call, TNRT_METRIC_MEAN, is_among(call, &s, k));
  return tn_call_error(call, TN_E_LANG_VALUE, "'k' is 1 to %s, found %lld", tn_dim_text(call->s, classes),
                       (long long)k), NULL;
}

/* f64[C * C]: how often the label is a and the answer b. */
static tn_value *counts(tn_call *call, const tn_scores *s) {
  tn_build *b = call->b;
  tn_ctx *ctx = call->s->ctx;
  const tn_dim *classes = s->is_one ? tn_dim_const(ctx, 2) : s->x->type->dims[1];
  const tn_dim *dims[] = {classes, classes}, *all = tn_dim_mul(ctx, classes, classes);
  int64_t axes[] = {0, 1};
  tn_named_attr attrs[] = {{"axes", tn_attr_ints(b->module, axes, 2)},
                           {"mode", tn_attr_name(tn_op_find("scatter"), "mode", "add")}};
  tn_value *label = truth(call, s), *none = tn_build_broadcast_to(b, tn_build_splat_f(b, TN_F64, 0), dims, 2);
  if (!label || !none) return NULL;
  tn_value *ones = tn_build_broadcast_to(b, tn_build_splat_f(b, TN_F64, 1), label->type->dims, 1);
  tn_value *operands[] = {none, ones, label, answer(call, s)};
  return tn_build_reshape(b, tn_call_op(call, "scatter", operands, 4, attrs, 2), &all, 1);
}

static tn_datum *of_counts(tn_call *call, tnrt_metric_kind kind, tnrt_average average) {
  tn_scores s;
  if (!tn_scores_read_any(call, &s)) return NULL;
  if (average == TNRT_AVERAGE_BINARY && !s.is_one && !tn_dim_is(s.x->type->dims[1], 2))
    return tn_call_error(call, TN_E_LANG_VALUE, "average: binary is for two classes, there are %s",
                         tn_dim_text(call->s, s.x->type->dims[1])), NULL;
  tn_value *all = counts(call, &s);
  return metric(call, kind, average, &all, 1);
}

/* logits, y, average */
static tnrt_average average_of(const tn_call *call) {
  const char *word = tn_call_word(call, 2);
  return strcmp(word, "micro") == 0    ? TNRT_AVERAGE_MICRO
         : strcmp(word, "binary") == 0 ? TNRT_AVERAGE_BINARY
                                       : TNRT_AVERAGE_MACRO;
}

static tn_datum *make_precision(tn_call *call) {
  return of_counts(call, TNRT_METRIC_PRECISION, average_of(call));
}
static tn_datum *make_recall(tn_call *call) { return of_counts(call, TNRT_METRIC_RECALL, average_of(call)); }
static tn_datum *make_f1(tn_call *call) { return of_counts(call, TNRT_METRIC_F1, average_of(call)); }
static tn_datum *make_macro_f1(tn_call *call) { return of_counts(call, TNRT_METRIC_F1, TNRT_AVERAGE_MACRO); }
static tn_datum *make_confusion(tn_call *call) {
  return of_counts(call, TNRT_METRIC_CONFUSION, TNRT_AVERAGE_MACRO);
}

/* Scores and labels 0 or 1, f32[N] each. */
static tn_datum *make_auc(tn_call *call) {
  tn_scores s;
  if (!tn_score_read(call, &s)) return NULL;
  tn_value *label = truth(call, &s);
  tn_value *parts[] = {tn_build_cast(call->b, s.x, TN_F32), label ? tn_build_cast(call->b, label, TN_F32) : NULL};
  return metric(call, TNRT_METRIC_AUC, TNRT_AVERAGE_MACRO, parts, 2);
}

/* The squared difference in double. */
static tn_value *square_error(tn_call *call, tn_value *x, tn_value *y) {
  tn_value *d = tn_build_binary(call->b, TN_SUB, tn_build_cast(call->b, x, TN_F64), tn_build_cast(call->b, y, TN_F64));
  return tn_build_binary(call->b, TN_MUL, d, d);
}

static tn_datum *make_rmse(tn_call *call) {
  tn_value *x, *y;
  return tn_pair_read(call, &x, &y) ? mean(call, TNRT_METRIC_ROOT, square_error(call, x, y)) : NULL;
}

static tn_datum *make_r2(tn_call *call) {
  tn_build *b = call->b;
  tn_value *x, *y;
  if (!tn_pair_read(call, &x, &y)) return NULL;
  tn_value *wide = tn_build_cast(b, y, TN_F64);
  tn_value *parts[] = {tn_count_all(b, wide, TN_F64), tn_sum_all(b, wide),
                       tn_sum_all(b, tn_build_binary(b, TN_MUL, wide, wide)), tn_sum_all(b, square_error(call, x, y))};
  tn_value *all = vector(call, parts, 4);
  return metric(call, TNRT_METRIC_R2, TNRT_AVERAGE_MACRO, &all, 1);
}

static tn_datum *make_perplexity(tn_call *call) {
  tn_scores s;
  if (!tn_scores_read(call, &s)) return NULL;
  return mean(call, TNRT_METRIC_EXP, tn_scores_entropy(call, &s, tn_scores_log_p(call, &s), NULL, NULL));
}

#define AVERAGE "average: macro|micro|binary = macro"

static const tn_builtin rows[] = {
    {"accuracy", "logits: f[], y: any", "metric: share of right answers; of one score, threshold 0", make_accuracy,
     NULL},
    {"topk", "logits: f[], y: any, k: int", "metric: share of labels among the k best scores", make_topk, NULL},
    {"precision", "logits: f[], y: any, " AVERAGE, "metric; 0/0 counts as 0", make_precision, NULL},
    {"recall", "logits: f[], y: any, " AVERAGE, "metric; 0/0 counts as 0", make_recall, NULL},
    {"f1", "logits: f[], y: any, " AVERAGE, "metric; 0/0 counts as 0", make_f1, NULL},
    {"macro_f1", "logits: f[], y: any", "metric: f1 with average: macro", make_macro_f1, NULL},
    {"auc", "logit: f[], y: any", "metric: area under the ROC curve, exact, ties by rank", make_auc, NULL},
    {"confusion", "logits: f[], y: any", "metric: [C, C] counts, label by answer; told, never compared",
     make_confusion, NULL},
    {"rmse", "a: f[], b: f[]", "metric: root of the mean square over the split", make_rmse, NULL},
    {"r2", "a: f[], b: f[]", "metric: explained share of b's variance over the split", make_r2, NULL},
    {"perplexity", "logits: f[], y: any", "metric: exp of the mean cross-entropy over the split", make_perplexity,
     NULL},
};

const tn_builtin_group tn_builtins_metric = TN_BUILTINS("Metrics", rows);
