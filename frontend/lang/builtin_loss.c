/* Losses, which train blocks alone see: one number of a batch each, f32, added up in f32 or wider; the mean over all
 * leading dims, or the sum. Formulas are those of torch.nn.functional: cross_entropy, binary_cross_entropy_with_logits,
 * mse_loss, l1_loss, huber_loss, multi_margin_loss, kl_div (batchmean). */
#include <string.h>

#include "frontend/lang/builtin_loss.h"
#include "ir/ops/compose.h"

/* The sum over the weights, as f32; weights NULL: each is 1, so over the number of elements. reduce: its argument. */
static tn_datum *reduced(tn_call *call, uint32_t reduce, tn_value *each, tn_value *weights) {
  tn_build *b = call->b;
  tn_value *loss = tn_sum_all(b, each);
  if (!loss) return NULL;
  if (strcmp(tn_call_word(call, reduce), "mean") == 0)
    loss = tn_build_binary(b, TN_DIV, loss,
                           weights ? tn_sum_all(b, weights) : tn_count_all(b, each, loss->type->dtype));
  return tn_datum_tensor(call->s, tn_build_cast(b, loss, TN_F32), NULL, call->loc);
}

/* --- Of several scores --- */

/* The numbers of a tuple as f32[n]; NULL when one is none (not reported). */
static tn_value *tuple_weights(tn_call *call, const tn_datum *given) {
  tn_sema *s = call->s;
  float *numbers = TN_NEW_N(s->arena, float, given->tuple.n);
  const tn_dim *n = tn_dim_const(s->ctx, given->tuple.n);
  for (uint32_t k = 0; k < given->tuple.n; k++) {
    const tn_datum *d = given->tuple.parts[k];
    bool is_int = d->kind == TN_DATUM_INT && tn_dim_is_const(d->integer.extent);
    if (!is_int && d->kind != TN_DATUM_FLOAT) return NULL;
    numbers[k] = is_int ? (float)tn_dim_value(d->integer.extent) : (float)d->number;
  }
  const tn_type *type = tn_type_tensor(s->ctx, TN_F32, 1, &n);
  return tn_build_const(call->b, tn_const_data(s->module, "weight", type, numbers));
}

/* One number a class: a vector, or a tuple of numbers. *out stays NULL when none is given. */
static bool class_weights(tn_call *call, const tn_value *x, tn_value **out) {
  const tn_datum *given = call->args[3];
  tn_value *weight = NULL;
  if (!given) return true;
  if (given->kind == TN_DATUM_TENSOR && tn_datum_ndim(given) == 1) weight = given->tensor.value;
  if (given->kind == TN_DATUM_TUPLE) weight = tuple_weights(call, given);
  bool one_each = weight && tn_dtype_is_float(weight->type->dtype) &&
                  tn_extents_agree(call->s, weight->type->dims[0], x->type->dims[1], call->loc, "weight");
  if (one_each) return (*out = tn_build_cast(call->b, weight, x->type->dtype)) != NULL;
  return tn_call_error(call, TN_E_SHAPE, "weight has one number a class, found %s",
                       tn_datum_describe(call->s, given));
}

/* What the terms of a cross-entropy share. */
typedef struct entropy {
  tn_scores s;
  tn_value *log_p, *weight; /* weight: one a class, or NULL */
  tn_value *counted;        /* whether a label is not to be ignored; NULL: all are */
  const int64_t *ignore;
} entropy;

static tn_value *or_zero(tn_call *call, const entropy *e, tn_value *x) {
  if (!e->counted || !x) return x;
  return tn_build_select(call->b, e->counted, x, tn_build_fill_like(call->b, x, 0));
}

/* What each label counts: its class' weight, or 1. NULL when all count the same. */
static tn_value *label_weights(tn_call *call, const entropy *e) {
  tn_build *b = call->b;
  if (!e->weight && !e->counted) return NULL;
  tn_value *label = or_zero(call, e, e->s.y);
  tn_value *w = e->weight ? tn_build_gather_axis(b, e->weight, label, 0)
                          : tn_build_cast(b, tn_build_fill_like(b, label, 1), e->s.x->type->dtype);
  return or_zero(call, e, w);
}

/* The share `smoothing` of the label goes to all classes alike: the mean over the classes of -weight log p. */
static tn_value *smoothed(tn_call *call, const entropy *e, tn_value *each, double smoothing) {
  tn_build *b = call->b;
  int64_t axis = 1;
  tn_value *all = e->log_p;
  if (smoothing == 0) return each;
  if (e->weight) all = tn_build_binary(b, TN_MUL, all, tn_compose_along(b, e->weight, all, 1));
  all = or_zero(call, e, tn_compose_mean(b, all, &axis, 1));
  return tn_build_binary(b, TN_SUB, tn_build_binary_f(b, TN_MUL, each, 1 - smoothing),
                         tn_build_binary_f(b, TN_MUL, all, smoothing));
}

static bool check_share(tn_call *call, uint32_t i, double hi, const char *name) {
  double value = tn_call_float(call, i);
  if (value >= 0 && value < hi) return true;
  return tn_call_error(call, TN_E_LANG_VALUE, "'%s' is at least 0 and below %g, found %g", name, hi, value);
}

/* logits, y, smoothing, weight, ignore, reduce */
static tn_datum *make_cross_entropy(tn_call *call) {
  tn_build *b = call->b;
  entropy e = {0};
  int64_t ignore = 0;
  if (!tn_scores_read(call, &e.s) || !check_share(call, 2, 1, "smoothing") || !class_weights(call, e.s.x, &e.weight))
    return NULL;
  if (call->args[4] && !tn_call_int(call, 4, &ignore)) return NULL;
  if (call->args[4]) {
    tn_value *ignored = tn_build_splat_i(b, e.s.y->type->dtype, ignore);
    e.ignore = &ignore;
    e.counted = tn_build_binary(b, TN_NE, e.s.y, tn_compose_repeat(b, ignored, e.s.y));
  }
  e.log_p = tn_scores_log_p(call, &e.s);
  tn_value *each = tn_scores_entropy(call, &e.s, e.log_p, e.weight, e.ignore);
  return reduced(call, 5, smoothed(call, &e, each, tn_call_float(call, 2)), label_weights(call, &e));
}

/* max(0, 1 - score of the label + score) of each other class, over the number of classes. */
static tn_datum *make_hinge(tn_call *call) {
  tn_build *b = call->b;
  tn_scores s;
  int64_t axis = 1;
  if (!tn_scores_read(call, &s)) return NULL;
  const tn_type *type = s.x->type;
  tn_value *class = tn_build_iota(b, type->dims, 2, 1, s.y->type->dtype);
  tn_value *is_label = tn_build_binary(b, TN_EQ, class, tn_compose_spread(b, s.y, s.x, &axis, 1));
  tn_value *none = tn_build_fill_like(b, s.x, 0);
  tn_value *right = tn_compose_fold(b, "sum", tn_build_select(b, is_label, s.x, none), &axis, 1);
  tn_value *margin = tn_build_binary_f(b, TN_ADD, tn_build_binary(b, TN_SUB, s.x, right), 1);
  margin = tn_build_select(b, is_label, none, tn_build_binary_f(b, TN_MAX, margin, 0));
  return reduced(call, 2, tn_compose_mean(b, margin, &axis, 1), NULL);
}

/* --- Of one score --- */

/* log(1 + exp(x)) - x y */
static tn_datum *make_bce(tn_call *call) {
  tn_scores s;
  if (!tn_score_read(call, &s)) return NULL;
  tn_value *plus = tn_call_op(call, "softplus", &s.x, 1, NULL, 0);
  return reduced(call, 2, tn_build_binary(call->b, TN_SUB, plus, tn_build_binary(call->b, TN_MUL, s.x, s.y)), NULL);
}

/* --- Of pairs --- */

static tn_value *difference(tn_call *call) {
  tn_value *x, *y;
  return tn_pair_read(call, &x, &y) ? tn_build_binary(call->b, TN_SUB, x, y) : NULL;
}

static tn_datum *make_mse(tn_call *call) {
  tn_value *d = difference(call);
  return reduced(call, 2, tn_build_binary(call->b, TN_MUL, d, d), NULL);
}

static tn_datum *make_mae(tn_call *call) {
  return reduced(call, 2, tn_build_unary(call->b, TN_ABS, difference(call)), NULL);
}

/* d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2). */
static tn_datum *make_huber(tn_call *call) {
  tn_build *b = call->b;
  double delta = tn_call_float(call, 2);
  if (!(delta > 0))
    return tn_call_error(call, TN_E_LANG_VALUE, "'delta' is above 0, found %g", delta), NULL;
  tn_value *d = difference(call), *size = tn_build_unary(b, TN_ABS, d);
  tn_value *square = tn_build_binary_f(b, TN_MUL, tn_build_binary(b, TN_MUL, d, d), 0.5);
  tn_value *line = tn_build_binary_f(b, TN_MUL, tn_build_binary_f(b, TN_SUB, size, delta / 2), delta);
  return reduced(call, 3, tn_build_select(b, tn_build_binary_f(b, TN_LE, size, delta), square, line), NULL);
}

/* The sum over the last dim of q (log q - log p), 0 where q is. */
static tn_datum *make_kl(tn_call *call) {
  tn_build *b = call->b;
  tn_value *log_p, *q;
  if (!tn_pair_read(call, &log_p, &q) || !tn_call_rank(call, call->args[0], 1, TN_MAX_NDIM)) return NULL;
  int64_t last = (int64_t)q->type->ndim - 1;
  tn_value *is_some = tn_build_binary_f(b, TN_GT, q, 0), *zero = tn_build_fill_like(b, q, 0);
  tn_value *log_q = tn_build_unary(b, TN_LOG, tn_build_select(b, is_some, q, tn_build_fill_like(b, q, 1)));
  tn_value *own = tn_build_select(b, is_some, tn_build_binary(b, TN_MUL, q, log_q), zero);
  tn_value *each = tn_build_binary(b, TN_SUB, own, tn_build_binary(b, TN_MUL, q, log_p));
  return reduced(call, 2, tn_build_reduce(b, "sum", each, &last, 1, false), NULL);
}

#define REDUCE "reduce: mean|sum = mean"

static const tn_builtin rows[] = {
    {"cross_entropy", "logits: f[], y: any, smoothing: float = 0, weight: any = none, ignore: int = none, " REDUCE,
     "loss of scores [..S, C], never of probabilities, for a label class[..S, C] or token[..S]; weight: one number a "
     "class", make_cross_entropy, NULL},
    {"bce", "logit: f[], y: any, " REDUCE, "binary cross-entropy of one score, with the sigmoid in it", make_bce, NULL},
    {"mse", "a: f[], b: f[], " REDUCE, "squared difference", make_mse, NULL},
    {"mae", "a: f[], b: f[], " REDUCE, "absolute difference", make_mae, NULL},
    {"huber", "a: f[], b: f[], delta: float = 1, " REDUCE, "squared up to delta, then linear", make_huber, NULL},
    {"hinge", "score: f[], y: any, " REDUCE, "margin of 1 between the label's score and the others", make_hinge, NULL},
    {"kl", "logp: f[], q: f[], " REDUCE, "divergence of q from the distribution with these logarithms", make_kl, NULL},
};

const tn_builtin_group tn_builtins_loss = TN_BUILTINS("Losses", rows);

size_t tn_loss_count(void) { return tn_builtins_loss.n + tn_builtins_metric.n; }

const tn_builtin *tn_loss_at(size_t index) {
  return index < tn_builtins_loss.n ? &tn_builtins_loss.rows[index]
                                    : &tn_builtins_metric.rows[index - tn_builtins_loss.n];
}

const tn_builtin *tn_loss_find(const char *name) {
  for (size_t i = 0; i < tn_loss_count(); i++)
    if (strcmp(tn_loss_at(i)->name, name) == 0) return tn_loss_at(i);
  return NULL;
}
