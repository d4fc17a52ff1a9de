/* batch_norm_training: normalisation by the statistics of the batch, one a channel (axis 1), which also move the
 * running ones (Ioffe and Szegedy, arXiv:1502.03167). */
#include "ir/gradient.h"
#include "ir/ops/compose.h"
#include "ir/ops/export.h"

enum { EPSILON, MOMENTUM, UNBIASED };

static bool infer_batch_norm_training(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  if (!tn_infer_channels(infer, 5)) return false;
  infer->types[0] = x;
  infer->types[1] = infer->operands[3]->type;
  infer->types[2] = infer->operands[4]->type;
  return true;
}

/* All axes but the channels'. */
static uint32_t batch_axes(const tn_type *x, int64_t *axes) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->ndim; i++)
    if (i != 1) axes[n++] = i;
  return n;
}

static tn_dtype compute_dtype(tn_value *const *operands) {
  for (int i = 0; i < 5; i++)
    if (operands[i]->type->dtype == TN_F64) return TN_F64;
  return TN_F32;
}

/* How much more the running variance counts than the batch's own: n / (n - 1), or 1. */
static tn_value *unbias(tn_build *b, const tn_value *x, const int64_t *axes, uint32_t n, tn_value *like) {
  tn_value *count = tn_compose_count(b, x, axes, n, like);
  tn_value *others = tn_build_binary_f(b, TN_MAX, tn_build_binary_f(b, TN_SUB, count, 1), 1);
  return tn_build_binary(b, TN_DIV, count, others);
}

/* old + momentum (new - old), as (1 - momentum) old + momentum new. */
static tn_value *moved(tn_build *b, tn_value *old, tn_value *new, double momentum) {
  return tn_build_binary(b, TN_ADD, tn_build_binary_f(b, TN_MUL, old, 1 - momentum),
                         tn_build_binary_f(b, TN_MUL, new, momentum));
}

static bool expand_batch_norm_training(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  int64_t axes[TN_MAX_NDIM];
  tn_dtype dtype = compute_dtype(operands);
  double momentum = tn_attr_f(node, MOMENTUM);
  tn_value *v[5], *mean, *variance;
  for (int i = 0; i < 5; i++) v[i] = tn_build_cast(b, operands[i], dtype);
  uint32_t n = batch_axes(v[0]->type, axes);
  tn_value *y = tn_compose_normalize(b, v[0], axes, n, tn_attr_f(node, EPSILON), &mean, &variance, NULL);
  y = tn_build_binary(b, TN_MUL, y, tn_compose_along(b, v[1], v[0], 1));
  y = tn_build_binary(b, TN_ADD, y, tn_compose_along(b, v[2], v[0], 1));
  if (y == NULL) return false;
  if (node->attrs[UNBIASED].u.i != 0)
    variance = tn_build_binary(b, TN_MUL, variance, unbias(b, v[0], axes, n, variance));
  out[0] = tn_compose_narrow(b, y, operands[0]);
  out[1] = tn_compose_narrow(b, moved(b, v[3], mean, momentum), operands[3]);
  out[2] = tn_compose_narrow(b, moved(b, v[4], variance, momentum), operands[4]);
  return out[0] != NULL && out[1] != NULL && out[2] != NULL;
}

/* What the running statistics add to the gradient of x: momentum / n of the mean's, and momentum times that of the mean
 * of squared differences. */
static tn_value *of_statistics(tn_vjp *v, tn_value *x, tn_value *mean, const int64_t *axes, uint32_t n) {
  tn_build *b = v->build;
  double momentum = tn_attr_f(v->node, MOMENTUM);
  tn_value *dx = NULL, *part[2] = {NULL, NULL};
  for (int i = 0; i < 2; i++) {
    if (v->dy[i + 1] == NULL) continue;
    tn_value *dy = tn_build_binary_f(b, TN_MUL, tn_build_cast(b, v->dy[i + 1], x->type->dtype), momentum);
    part[i] = tn_build_binary(b, TN_DIV, dy, tn_compose_count(b, x, axes, n, dy));
  }
  if (part[0] != NULL) dx = tn_compose_spread(b, part[0], x, axes, n);
  if (part[1] == NULL) return dx;
  if (v->node->attrs[UNBIASED].u.i != 0)
    part[1] = tn_build_binary(b, TN_MUL, part[1], unbias(b, x, axes, n, part[1]));
  tn_value *centred = tn_build_binary(b, TN_SUB, x, tn_compose_spread(b, mean, x, axes, n));
  tn_value *slope = tn_compose_spread(b, tn_build_binary_f(b, TN_MUL, part[1], 2), x, axes, n);
  tn_value *of_variance = tn_build_binary(b, TN_MUL, centred, slope);
  return dx == NULL ? of_variance : tn_build_binary(b, TN_ADD, dx, of_variance);
}

static bool vjp_batch_norm_training(tn_vjp *v) {
  tn_build *b = v->build;
  int64_t axes[TN_MAX_NDIM];
  tn_dtype dtype = compute_dtype(v->operands);
  tn_value *x = tn_build_cast(b, v->operands[0], dtype), *mean, *inverse, *dx = NULL;
  uint32_t n = batch_axes(x->type, axes);
  tn_value *y = tn_compose_normalize(b, x, axes, n, tn_attr_f(v->node, EPSILON), &mean, NULL, &inverse);
  if (y == NULL) return false;
  if (v->dy[0] != NULL) {
    tn_value *dy = tn_build_cast(b, v->dy[0], dtype), *scale = tn_build_cast(b, v->operands[1], dtype);
    tn_value *shift = tn_build_reduce(b, "sum", dy, axes, n, false);
    tn_value *slope = tn_build_reduce(b, "sum", tn_build_binary(b, TN_MUL, dy, y), axes, n, false);
    if (v->needed[1]) v->dx[1] = slope;
    if (v->needed[2]) v->dx[2] = shift;
    /* scale is one a channel, so it comes out of the sums */
    if (v->needed[0])
      dx = tn_compose_normalize_vjp(b, dy, y, tn_build_binary(b, TN_MUL, inverse, scale), shift, slope, axes, n);
  }
  if (v->needed[0]) {
    tn_value *more = of_statistics(v, x, mean, axes, n);
    v->dx[0] = dx == NULL ? more : more == NULL ? dx : tn_build_binary(b, TN_ADD, dx, more);
  }
  for (int i = 1; i < 3; i++)
    if (v->needed[i + 2] && v->dy[i] != NULL)
      v->dx[i + 2] = tn_build_binary_f(b, TN_MUL, v->dy[i], 1 - tn_attr_f(v->node, MOMENTUM));
  for (int i = 0; i < 5; i++)
    if (v->dx[i] != NULL && (v->dx[i] = tn_compose_narrow(b, v->dx[i], v->operands[i])) == NULL) return false;
  return true;
}

/* ONNX' momentum is what the old statistics keep; its running variance is that of the batch as it is. */
static bool export_batch_norm_training(tn_export *x, const tn_node *node) {
  const char *inputs[5], *outputs[3];
  if (node->attrs[UNBIASED].u.i != 0) return false;
  for (uint32_t i = 0; i < 5; i++) inputs[i] = tn_export_operand(x, node, i);
  for (uint32_t i = 0; i < 3; i++) outputs[i] = tn_export_result(x, node, i);
  tn_export_emit_many(x, "BatchNormalization", 14, inputs, 5,
                      TN_FOREIGN(tn_foreign_of_float("epsilon", node->attrs[EPSILON].u.f),
                                 tn_foreign_of_float("momentum", 1 - node->attrs[MOMENTUM].u.f),
                                 tn_foreign_of_int("training_mode", 1)), outputs, 3);
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                              {"scale", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                              {"bias", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "scale", 0},
                                              {"mean", TN_ONE, TN_SET_FLOAT, TN_ROLE_STATE, NULL, 0},
                                              {"variance", TN_ONE, TN_SET_FLOAT, TN_ROLE_STATE, "mean", 0}};
static const tn_attr_def attrs[] = {{.name = "epsilon", .kind = TN_ATTR_FLOAT, .default_f = 1e-5},
                                    {.name = "momentum", .kind = TN_ATTR_FLOAT, .default_f = 0.1},
                                    {.name = "unbiased", .kind = TN_ATTR_BOOL, .default_i = 1}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[4,3,2]", "f32[3]", "f32[3]", "f32[3]", "f32[3]"), NULL, 0, 0, "f32[4,3,2], f32[3], f32[3]"},
    {TN_TYPES("f64[B,2]", "f64[2]", "f64[2]", "f64[2]", "f64[2]"), "{momentum=0.25, unbiased=false, epsilon=0.5}", 0, 0,
     "f64[B,2], f64[2], f64[2]"},
    {TN_TYPES("f16[3,2,2,2]", "f32[2]", "f32[2]", "f32[2]", "f32[2]"), "{epsilon=0.5}", 0, 0,
     "f16[3,2,2,2], f32[2], f32[2]"},
    {TN_TYPES("f32[2,3]", "f32[3]", "f32[3]", "f32[4]", "f32[3]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[3]", "f32[3]", "f32[3]", "f32[3]", "f32[3]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_batch_norm_training = {
    .name = "batch_norm_training",
    .kind = TN_OP_COMPOSITE,
    .doc = "x normalised by the mean and variance of the batch, one a channel (axis 1), times scale plus bias; then "
           "the running mean and variance moved by `momentum` towards these, with unbiased the variance times "
           "n / (n - 1). Computed in f32 or wider.",
    TN_OPERANDS(operand_defs),
    .n_results = 3,
    TN_ATTRS(attrs),
    .infer = infer_batch_norm_training,
    .expand = expand_batch_norm_training,
    .vjp = vjp_batch_norm_training,
    .export = export_batch_norm_training,
    TN_SAMPLES(samples),
};
