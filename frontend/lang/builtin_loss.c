/* Losses and metrics, which train blocks alone see. They check what they are given and tell the type of their result;
 * training, which makes graphs of them, is not there yet. */
#include <string.h>

#include "frontend/lang/builtin.h"

static tn_datum *scalar(tn_call *call) {
  return tn_datum_tensor(call->s, tn_build_splat_f(call->b, TN_F32, 0), NULL, call->loc);
}

static bool is_tensor(tn_call *call, uint32_t i, const char *name) {
  const tn_datum *d = call->args[i];
  if (d && d->kind == TN_DATUM_TENSOR) return true;
  if (d) tn_call_error(call, TN_E_LANG_KIND, "'%s' is a tensor, found %s", name, tn_datum_describe(call->s, d));
  return false;
}

static bool may_be_equal(tn_sema *s, const tn_dim *p, const tn_dim *q) {
  tn_dim_order order = tn_dim_compare(s->ctx, p, q);
  return order == TN_DIM_UNKNOWN || order == TN_DIM_EQUAL;
}

static bool differ(tn_call *call, const tn_datum *a, const tn_datum *b, const char *why) {
  tn_sema *s = call->s;
  tn_call_error(call, TN_E_SHAPE, "%s and %s do not fit: %s", tn_datum_describe(s, a), tn_datum_describe(s, b), why);
  tn_note(s->ctx, a->loc, "%s comes from here", tn_datum_describe(s, a));
  tn_note(s->ctx, b->loc, "%s comes from here", tn_datum_describe(s, b));
  return false;
}

/* The first n dims of a are all of b's. */
static bool leading_agree(tn_call *call, const tn_datum *a, uint32_t n, const tn_datum *b, const char *why) {
  bool ok = tn_datum_ndim(b) == n;
  for (uint32_t i = 0; i < n && ok; i++) ok = may_be_equal(call->s, a->tensor.axes[i].extent, b->tensor.axes[i].extent);
  return ok || differ(call, a, b, why);
}

/* C classes of the label against C scores. */
static bool classes_agree(tn_call *call, const tn_datum *scores, const tn_axis *have, const tn_datum *label) {
  tn_sema *s = call->s;
  const tn_axis *classes = label->tensor.classes;
  if (!classes || may_be_equal(s, have->extent, classes->extent)) return true;
  tn_call_error(call, TN_E_SHAPE, "the scores have %s classes, the label has %s", tn_dim_text(s, have->extent),
                tn_dim_text(s, classes->extent));
  tn_note(s->ctx, scores->loc, "%s comes from here", tn_datum_describe(s, scores));
  tn_note(s->ctx, classes->loc ? classes->loc : label->loc, "class[%s] comes from here",
          tn_axis_label_text(s, classes));
  return false;
}

/* scores [..S, C] and a label of ..S. */
static bool scores_and_label(tn_call *call) {
  if (!is_tensor(call, 0, "logits") || !is_tensor(call, 1, "y")) return false;
  const tn_datum *scores = call->args[0], *label = call->args[1];
  uint32_t n = tn_datum_ndim(scores);
  if (!tn_call_rank(call, scores, 1, TN_MAX_NDIM)) return false;
  if (!tn_dtype_is_integer(tn_datum_dtype(label)))
    return tn_call_error(call, TN_E_DTYPE, "y is class[..S, C] or token[..S], found %s",
                         tn_datum_describe(call->s, label));
  return leading_agree(call, scores, n - 1, label, "y has all dims of the scores but the last") &&
         classes_agree(call, scores, &scores->tensor.axes[n - 1], label);
}

/* One score a sample, [..S] or [..S, 1], and a label of two classes, true or false, or a share. */
static bool score_and_label(tn_call *call) {
  static const char why[] = "one score for each label: [..S] or [..S, 1]";
  if (!is_tensor(call, 0, "logit") || !is_tensor(call, 1, "y")) return false;
  const tn_datum *score = call->args[0], *label = call->args[1];
  uint32_t n = tn_datum_ndim(score), lead = n == tn_datum_ndim(label) + 1 ? n - 1 : n;
  if (lead < n && !may_be_equal(call->s, score->tensor.axes[lead].extent, tn_dim_const(call->s->ctx, 1)))
    return differ(call, score, label, why);
  tn_axis two = tn_axis_number(call->s, 2, score->loc);
  return leading_agree(call, score, lead, label, why) && classes_agree(call, score, &two, label);
}

static bool same_dims(tn_call *call) {
  if (!is_tensor(call, 0, "a") || !is_tensor(call, 1, "b")) return false;
  const tn_datum *a = call->args[0], *b = call->args[1];
  if (tn_datum_dtype(a) != tn_datum_dtype(b))
    return tn_call_error(call, TN_E_DTYPE, "%s and %s: the types differ", tn_datum_describe(call->s, a),
                         tn_datum_describe(call->s, b));
  return leading_agree(call, a, tn_datum_ndim(a), b, "they have the same dims");
}

static bool check_share(tn_call *call, uint32_t i, double hi, const char *name) {
  double value = tn_call_float(call, i);
  if (value >= 0 && value < hi) return true;
  return tn_call_error(call, TN_E_LANG_VALUE, "'%s' is at least 0 and below %g, found %g", name, hi, value);
}

/* logits, y, smoothing, weight, ignore, reduce */
static tn_datum *make_cross_entropy(tn_call *call) {
  const tn_datum *weight = call->args[3];
  if (!scores_and_label(call) || !check_share(call, 2, 1, "smoothing")) return NULL;
  const tn_axis *last = &call->args[0]->tensor.axes[tn_datum_ndim(call->args[0]) - 1];
  bool one_each = !weight || (weight->kind == TN_DATUM_TENSOR && tn_datum_ndim(weight) == 1 &&
                              may_be_equal(call->s, weight->tensor.axes[0].extent, last->extent));
  if (!one_each)
    return tn_call_error(call, TN_E_SHAPE, "weight has one number a class, found %s",
                         tn_datum_describe(call->s, weight)), NULL;
  return scalar(call);
}

static tn_datum *make_of_scores(tn_call *call) { return scores_and_label(call) ? scalar(call) : NULL; }
static tn_datum *make_of_score(tn_call *call) { return score_and_label(call) ? scalar(call) : NULL; }
static tn_datum *make_of_pair(tn_call *call) { return same_dims(call) ? scalar(call) : NULL; }

/* Several scores, or one with the threshold 0. */
static bool any_scores(tn_call *call) {
  if (!is_tensor(call, 0, "logits") || !is_tensor(call, 1, "y")) return false;
  const tn_datum *scores = call->args[0], *label = call->args[1];
  uint32_t n = tn_datum_ndim(scores);
  bool one = n == tn_datum_ndim(label) || (n > 0 && tn_dim_is(scores->tensor.axes[n - 1].extent, 1));
  return one ? score_and_label(call) : scores_and_label(call);
}

static tn_datum *make_of_any(tn_call *call) { return any_scores(call) ? scalar(call) : NULL; }

/* logits, y, k */
static tn_datum *make_topk(tn_call *call) {
  int64_t k;
  if (!scores_and_label(call) || !tn_call_int(call, 2, &k)) return NULL;
  const tn_axis *last = &call->args[0]->tensor.axes[tn_datum_ndim(call->args[0]) - 1];
  if (k >= 1 && (!tn_dim_is_const(last->extent) || k <= tn_dim_value(last->extent))) return scalar(call);
  return tn_call_error(call, TN_E_LANG_VALUE, "'k' is 1 to %s, found %lld", tn_dim_text(call->s, last->extent),
                       (long long)k), NULL;
}

/* C x C counts. */
static tn_datum *make_confusion(tn_call *call) {
  if (!any_scores(call)) return NULL;
  const tn_datum *scores = call->args[0];
  uint32_t n = tn_datum_ndim(scores);
  bool several = n > tn_datum_ndim(call->args[1]);
  tn_axis classes = several && !tn_dim_is(scores->tensor.axes[n - 1].extent, 1)
                        ? tn_axis_plain(scores->tensor.axes[n - 1].extent, call->loc)
                        : tn_axis_number(call->s, 2, call->loc);
  const tn_dim *dims[] = {classes.extent, classes.extent};
  tn_axis axes[] = {classes, classes};
  tn_value *counts = tn_build_broadcast_to(call->b, tn_build_splat_f(call->b, TN_F32, 0), dims, 2);
  return tn_datum_tensor(call->s, counts, axes, call->loc);
}

#define REDUCE "reduce: mean|sum = mean"

static const tn_builtin rows[] = {
    {"cross_entropy", "logits: f[], y: any, smoothing: float = 0, weight: any = none, ignore: int = none, " REDUCE,
     "loss of scores [..S, C], never of probabilities, for a label class[..S, C] or token[..S]", make_cross_entropy,
     NULL},
    {"bce", "logit: f[], y: any, " REDUCE, "binary cross-entropy of one score, with the sigmoid in it",
     make_of_score, NULL},
    {"mse", "a: f[], b: f[], " REDUCE, "squared difference", make_of_pair, NULL},
    {"mae", "a: f[], b: f[], " REDUCE, "absolute difference", make_of_pair, NULL},
    {"huber", "a: f[], b: f[], delta: float = 1, " REDUCE, "squared up to delta, then linear", make_of_pair, NULL},
    {"hinge", "score: f[], y: any, " REDUCE, "margin of 1 between the label's score and the others",
     make_of_scores, NULL},
    {"kl", "logp: f[], q: f[], " REDUCE, "divergence of q from the distribution with these logarithms",
     make_of_pair, NULL},
    {"accuracy", "logits: f[], y: any", "metric: share of right answers; of one score, threshold 0", make_of_any, NULL},
    {"topk", "logits: f[], y: any, k: int", "metric: share of labels among the k best scores", make_topk, NULL},
    {"precision", "logits: f[], y: any, average: macro|micro|binary = macro",
     "metric; 0/0 counts as 0", make_of_any, NULL},
    {"recall", "logits: f[], y: any, average: macro|micro|binary = macro",
     "metric; 0/0 counts as 0", make_of_any, NULL},
    {"f1", "logits: f[], y: any, average: macro|micro|binary = macro", "metric; 0/0 counts as 0", make_of_any, NULL},
    {"macro_f1", "logits: f[], y: any", "metric: f1 with average: macro", make_of_any, NULL},
    {"auc", "logit: f[], y: any", "metric: area under the ROC curve, exact, ties by rank", make_of_score, NULL},
    {"confusion", "logits: f[], y: any",
     "metric: [C, C] counts, label by answer; told, never compared", make_confusion, NULL},
    {"rmse", "a: f[], b: f[]", "metric: root of the mean square over the split", make_of_pair, NULL},
    {"r2", "a: f[], b: f[]", "metric: explained share of b's variance over the split", make_of_pair, NULL},
    {"perplexity", "logits: f[], y: any", "metric: exp of the mean cross-entropy over the split", make_of_scores, NULL},
};

const tn_builtin_group tn_builtins_loss = TN_BUILTINS("Losses and metrics", rows);

const tn_builtin *tn_loss_find(const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
    if (strcmp(rows[i].name, name) == 0) return &rows[i];
  return NULL;
}
