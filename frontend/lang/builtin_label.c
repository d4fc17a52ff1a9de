/* Scores, labels and pairs: what losses and metrics take. */
#include "frontend/lang/builtin_loss.h"
#include "ir/ops/compose.h"

static bool is_tensor(tn_call *call, uint32_t i, const char *name) {
  const tn_datum *d = call->args[i];
  if (d && d->kind == TN_DATUM_TENSOR) return true;
  if (d) tn_call_error(call, TN_E_LANG_KIND, "'%s' is a tensor, found %s", name, tn_datum_describe(call->s, d));
  return false;
}

static bool agree(tn_call *call, const tn_dim *p, const tn_dim *q) {
  return tn_extents_agree(call->s, p, q, call->loc, call->builtin->name);
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
  for (uint32_t i = 0; i < n && ok; i++) ok = agree(call, a->tensor.axes[i].extent, b->tensor.axes[i].extent);
  return ok || differ(call, a, b, why);
}

/* C classes of the label against C scores. */
static bool classes_agree(tn_call *call, const tn_datum *scores, const tn_axis *have, const tn_datum *label) {
  tn_sema *s = call->s;
  const tn_axis *classes = label->tensor.classes;
  if (!classes || agree(call, have->extent, classes->extent)) return true;
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
  if (lead < n && !agree(call, score->tensor.axes[lead].extent, tn_dim_const(call->s->ctx, 1)))
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
  uint32_t n = tn_datum_ndim(a), m = tn_datum_ndim(b);
  if (leading_agree(call, a, n, b, "they should have the same dims")) return true;
  const tn_datum *longer = n > m ? a : b;
  bool is_one = (n > m ? n - m : m - n) == 1 && tn_dim_is(longer->tensor.axes[n > m ? m : n].extent, 1);
  if (is_one) tn_help(call->s->ctx, "%s has one dim more, of extent 1: a field gets it as f32[1], x[.., 0] drops it",
                      tn_datum_describe(call->s, longer));
  return false;
}

/* --- As vectors and matrices --- */

/* The first n dims of x as one. */
static tn_value *flat(tn_call *call, tn_value *x, uint32_t n) {
  if (!x) return NULL;
  const tn_dim *dims[2] = {tn_dim_product(call->s->ctx, x->type->dims, n)};
  if (n < x->type->ndim) dims[1] = x->type->dims[n];
  return tn_build_reshape(call->b, x, dims, n < x->type->ndim ? 2 : 1);
}

bool tn_scores_read(tn_call *call, tn_scores *out) {
  if (!scores_and_label(call)) return false;
  const tn_datum *scores = call->args[0], *label = call->args[1];
  tn_value *y = label->tensor.value;
  uint32_t lead = tn_datum_ndim(label);
  if (y->type->dtype != TN_I64) y = tn_build_cast(call->b, y, TN_I32);
  *out = (tn_scores){.x = flat(call, tn_compose_wide(call->b, scores->tensor.value), lead), .y = flat(call, y, lead)};
  return out->x && out->y;
}

bool tn_score_read(tn_call *call, tn_scores *out) {
  if (!score_and_label(call)) return false;
  tn_value *x = tn_compose_wide(call->b, call->args[0]->tensor.value), *y = call->args[1]->tensor.value;
  if (!x) return false;
  if (tn_dtype_is_float(y->type->dtype)) y = tn_compose_wide(call->b, y);
  *out = (tn_scores){.x = flat(call, x, x->type->ndim), .is_one = true};
  out->y = flat(call, tn_build_cast(call->b, y, x->type->dtype), y->type->ndim);
  return out->x && out->y;
}

bool tn_scores_read_any(tn_call *call, tn_scores *out) {
  if (!is_tensor(call, 0, "logits") || !is_tensor(call, 1, "y")) return false;
  const tn_datum *scores = call->args[0], *label = call->args[1];
  uint32_t n = tn_datum_ndim(scores);
  bool one = n == tn_datum_ndim(label) || (n > 0 && tn_dim_is(scores->tensor.axes[n - 1].extent, 1));
  return one ? tn_score_read(call, out) : tn_scores_read(call, out);
}

bool tn_pair_read(tn_call *call, tn_value **a, tn_value **b) {
  if (!same_dims(call)) return false;
  *a = tn_compose_wide(call->b, call->args[0]->tensor.value);
  *b = tn_compose_wide(call->b, call->args[1]->tensor.value);
  return *a && *b;
}

/* --- Cross-entropy --- */

tn_value *tn_scores_log_p(tn_call *call, const tn_scores *scores) {
  tn_named_attr axis = {"axis", tn_attr_int(1)};
  return tn_call_op(call, "log_softmax", &scores->x, 1, &axis, 1);
}

tn_value *tn_scores_entropy(tn_call *call, const tn_scores *scores, tn_value *log_p, tn_value *weight,
                            const int64_t *ignore) {
  tn_named_attr attrs[] = {{"reduction", tn_attr_name(tn_op_find("nll_loss"), "reduction", "none")},
                           {"ignore_index", {.present = ignore != NULL, .u.i = ignore ? *ignore : 0}}};
  tn_value *operands[] = {log_p, scores->y, weight};
  return tn_call_op(call, "nll_loss", operands, weight ? 3 : 2, attrs, 2);
}

tn_value *tn_sum_all(tn_build *b, tn_value *x) {
  int64_t axes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < TN_MAX_NDIM; i++) axes[i] = i;
  return x ? tn_build_reduce(b, "sum", x, axes, x->type->ndim, false) : NULL;
}

tn_value *tn_count_all(tn_build *b, const tn_value *x, tn_dtype dtype) {
  return x ? tn_compose_dim(b, tn_dim_product(b->ctx, x->type->dims, x->type->ndim), dtype) : NULL;
}
