/* nll_loss: what log-probabilities give to the right classes, negated (ONNX NegativeLogLikelihoodLoss and, after
 * log_softmax, SoftmaxCrossEntropyLoss). */
#include <string.h>

#include "ir/gradient.h"
#include "ir/ops/compose.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

extern const tn_opdef tn_op_nll_loss;

enum { REDUCTION, IGNORE, N_ATTRS };

static const char *const reductions[] = {"mean", "sum", "none", NULL};

static bool infer_nll_loss(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type, *target = infer->operands[1]->type;
  if (!tn_infer_min_rank(infer, 0, 2) || !tn_infer_rank(infer, 1, x->ndim - 1)) return false;
  bool ok = true;
  for (uint32_t i = 0; i < target->ndim; i++)
    ok = tn_func_require_eq(infer->func, target->dims[i], x->dims[i == 0 ? 0 : i + 1], infer->loc,
                            "'nll_loss': target, axis %u", i) && ok;
  if (infer->n_operands > 2 && infer->operands[2] != NULL) {
    if (!tn_infer_rank(infer, 2, 1)) return false;
    ok = tn_func_require_eq(infer->func, infer->operands[2]->type->dims[0], x->dims[1], infer->loc,
                            "'nll_loss': a weight for each class") && ok;
  }
  bool is_scalar = infer->attrs[REDUCTION].u.i != 2;
  return ok && tn_infer_result(infer, 0, x->dtype, is_scalar ? 0 : target->ndim, target->dims);
}

/* x[n, target[n, d..], d..] */
static tn_value *pick(tn_build *b, tn_value *x, tn_value *target) {
  tn_value *indices[TN_MAX_NDIM];
  int64_t axes[TN_MAX_NDIM];
  const tn_type *type = target->type;
  for (uint32_t i = 0; i <= type->ndim; i++) {
    axes[i] = i;
    indices[i] = i == 1 ? target : tn_build_iota(b, type->dims, type->ndim, i == 0 ? 0 : i - 1, type->dtype);
    if (indices[i] == NULL) return NULL;
  }
  return tn_build_gather_axes(b, x, indices, axes, type->ndim + 1);
}

/* The weight of each target: its class', or 1, and 0 where the target is to be ignored. */
static tn_value *weights_of(tn_build *b, tn_value *weight, tn_value *target, tn_value *is_counted,
                            const tn_value *like) {
  int64_t axis = 0;
  tn_value *w = tn_build_fill_like(b, like, 1);
  if (weight != NULL) w = tn_build_gather_axes(b, tn_build_cast(b, weight, like->type->dtype), &target, &axis, 1);
  return is_counted == NULL ? w : tn_build_select(b, is_counted, w, tn_build_fill_like(b, like, 0));
}

/* What the loss and its derivative share: x at each target, the target's weight, and which class that is (0 where it is
 * to be ignored; is_counted NULL: all count). */
typedef struct targets {
  tn_value *x, *target, *is_counted, *picked, *weight;
} targets;

static bool read_targets(tn_build *b, const tn_node *node, tn_value *const *operands, targets *t) {
  *t = (targets){.x = tn_compose_wide(b, operands[0]), .target = operands[1]};
  tn_value *weight = node->n_operands > 2 ? operands[2] : NULL;
  if (node->attrs[IGNORE].present) {
    tn_value *ignored = tn_build_splat_i(b, t->target->type->dtype, node->attrs[IGNORE].u.i);
    t->is_counted = tn_build_binary(b, TN_NE, t->target, tn_compose_repeat(b, ignored, t->target));
    t->target = tn_build_select(b, t->is_counted, t->target, tn_build_fill_like(b, t->target, 0));
  }
  t->picked = t->target == NULL || t->x == NULL ? NULL : pick(b, t->x, t->target);
  if (t->picked == NULL) return false;
  t->weight = weights_of(b, weight, t->target, t->is_counted, t->picked);
  return t->weight != NULL;
}

static tn_value *sum_all(tn_build *b, tn_value *x) {
  int64_t axes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < TN_MAX_NDIM; i++) axes[i] = i;
  return x == NULL ? NULL : tn_build_reduce(b, "sum", x, axes, x->type->ndim, false);
}

static tn_value *reduced(tn_build *b, const tn_node *node, const targets *t) {
  tn_value *loss = tn_build_unary(b, TN_NEG, tn_build_binary(b, TN_MUL, t->picked, t->weight));
  if (node->attrs[REDUCTION].u.i != 2) loss = sum_all(b, loss);
  return node->attrs[REDUCTION].u.i == 0 ? tn_build_binary(b, TN_DIV, loss, sum_all(b, t->weight)) : loss;
}

static bool expand_nll_loss(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  targets t;
  if (!read_targets(b, node, operands, &t)) return false;
  out[0] = tn_compose_narrow(b, reduced(b, node, &t), operands[0]);
  return out[0] != NULL;
}

/* x's gradient is minus the weighted dy at each target's class, else 0: a comparison for each element instead of a
 * scatter, so that it fuses with the gradient of the softmax below. */
static tn_value *of_x(tn_build *b, const targets *t, tn_value *dy) {
  const tn_type *x = t->x->type;
  int64_t axis = 1;
  tn_value *each = tn_build_unary(b, TN_NEG, tn_build_binary(b, TN_MUL, dy, t->weight));
  tn_value *class = tn_build_iota(b, x->dims, x->ndim, 1, t->target->type->dtype);
  tn_value *hit = tn_build_binary(b, TN_EQ, class, tn_compose_spread(b, t->target, t->x, &axis, 1));
  return tn_build_select(b, hit, tn_compose_spread(b, each, t->x, &axis, 1), tn_build_fill_like(b, t->x, 0));
}

/* A class' weight moves the losses of its targets, and with reduction=mean the sum that all are divided by. */
static tn_value *of_weight(tn_vjp *v, const targets *t, tn_value *dy) {
  tn_build *b = v->build;
  const tn_opdef *scatter = tn_op_find("scatter");
  tn_value *each = tn_build_unary(b, TN_NEG, t->picked);
  if (v->node->attrs[REDUCTION].u.i == 0) {
    tn_value *loss = tn_compose_repeat(b, reduced(b, v->node, t), each);
    each = tn_build_binary(b, TN_SUB, each, loss);
  }
  each = tn_build_binary(b, TN_MUL, each, dy);
  if (t->is_counted != NULL && each != NULL)
    each = tn_build_select(b, t->is_counted, each, tn_build_fill_like(b, each, 0));
  int64_t axis = 0;
  tn_attr attrs[3] = {tn_attr_ints(b->module, &axis, 1), tn_attr_name(scatter, "mode", "add"), tn_attr_bool(false)};
  tn_value *none = tn_build_fill_like(b, tn_build_cast(b, v->operands[2], t->x->type->dtype), 0);
  return tn_build_op(b, scatter, (tn_value *[]){none, each, t->target}, 3, attrs);
}

static bool vjp_nll_loss(tn_vjp *v) {
  tn_build *b = v->build;
  targets t;
  if (!read_targets(b, v->node, v->operands, &t)) return false;
  tn_value *dy = tn_compose_wide(b, v->dy[0]);
  if (v->node->attrs[REDUCTION].u.i == 0) dy = tn_build_binary(b, TN_DIV, dy, sum_all(b, t.weight));
  if (v->node->attrs[REDUCTION].u.i != 2) dy = tn_compose_repeat(b, dy, t.picked);
  if (v->needed[0] && (v->dx[0] = tn_compose_narrow(b, of_x(b, &t, dy), v->operands[0])) == NULL) return false;
  if (v->node->n_operands < 3 || !v->needed[2]) return true;
  return (v->dx[2] = tn_compose_narrow(b, of_weight(v, &t, dy), v->operands[2])) != NULL;
}

/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss; the latter also gives the log-probabilities. */
static bool import_loss(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *operands[] = {tn_foreign_need(node, 0), tn_foreign_need(node, 1), tn_foreign_input(node, 2)};
  const tn_foreign_attr *ignore = tn_foreign_find(node, "ignore_index");
  const char *reduction;
  int64_t index, at = 0;
  bool is_softmax = strcmp(node->op, "SoftmaxCrossEntropyLoss") == 0;
  if (operands[0] == NULL || operands[1] == NULL || !tn_foreign_string(node, "reduction", "mean", &reduction) ||
      !tn_foreign_int(node, "ignore_index", 0, &index))
    return false;
  while (reductions[at] != NULL && strcmp(reductions[at], reduction) != 0) at++;
  if (reductions[at] == NULL)
    return tn_foreign_error(node, TN_E_ATTR, "reduction: expected mean, sum or none, found '%s'", reduction);
  if (is_softmax) {
    tn_attr axis = tn_attr_int(1);
    operands[0] = tn_build_op(b, tn_op_find("log_softmax"), operands, 1, &axis);
    if (operands[0] == NULL || (node->n_outputs > 1 && !tn_foreign_set(node, 1, operands[0]))) return false;
  }
  tn_attr attrs[N_ATTRS] = {tn_attr_int(at), {.present = ignore != NULL, .u.i = index}};
  return tn_foreign_set(node, 0, tn_build_op(b, &tn_op_nll_loss, operands, operands[2] != NULL ? 3 : 2, attrs));
}

static bool export_nll_loss(tn_export *x, const tn_node *node) {
  const tn_attr *ignore = &node->attrs[IGNORE];
  tn_foreign_attr attrs[] = {tn_foreign_of_string("reduction", reductions[node->attrs[REDUCTION].u.i]),
                             tn_foreign_of_int("ignore_index", ignore->present ? ignore->u.i : 0)};
  tn_export_emit(x, "NegativeLogLikelihoodLoss", 0,
                 TN_NAMES(tn_export_operand(x, node, 0), tn_export_operand(x, node, 1), tn_export_operand(x, node, 2)),
                 attrs, ignore->present ? 2 : 1, tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                          {"target", TN_ONE, TN_SET_INDEX, TN_ROLE_INDEX, NULL, 0},
                                          {"weight", TN_OPTIONAL, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attrs[] = {{.name = "reduction", .kind = TN_ATTR_NAME, .names = reductions},
                                    {.name = "ignore_index", .kind = TN_ATTR_INT, .no_default = true}};
static const tn_onnx_row onnx[] = {{"", "NegativeLogLikelihoodLoss", 12, 0, import_loss},
                                   {"", "SoftmaxCrossEntropyLoss", 12, 0, import_loss}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[4,3]", "i64[4]"), NULL, 0, 0, "f32[]"},
    {TN_TYPES("f32[B,3,2]", "i32[B,2]", "f32[3]"), "{reduction=none, ignore_index=1}", 0, 0, "f32[B,2]"},
    {TN_TYPES("f16[2,3]", "i64[2]"), "{reduction=sum}", 0, 0, "f16[]"},
    {TN_TYPES("f32[4,3]", "i64[3]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[4,3]", "i64[4]", "f32[4]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[4]", "i64[]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_nll_loss = {
    .name = "nll_loss",
    .kind = TN_OP_COMPOSITE,
    .doc = "-weight[t] * x[n, t, d..] with t = target[n, d..], for x[N,C,D..]; mean divides the sum by the sum of the "
           "weights. Targets equal to ignore_index count for nothing.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_nll_loss,
    .expand = expand_nll_loss,
    .vjp = vjp_nll_loss,
    TN_ONNX(onnx),
    .export = export_nll_loss,
    TN_SAMPLES(samples),
};
