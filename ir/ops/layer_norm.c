/* layer_norm: normalisation over the last axes (Ba et al., arXiv:1607.06450), and rms_norm, which leaves the mean in
 * (Zhang and Sennrich, arXiv:1910.07467). */
#include "ir/gradient.h"
#include "ir/ops/compose.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

enum { AXIS, EPSILON };

static bool infer_norm(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  int64_t axis = infer->attrs[AXIS].u.i;
  infer->types[0] = x;
  bool ok = tn_infer_axis(infer, "axis", axis, x->ndim);
  for (uint32_t k = 1; ok && k < infer->n_operands; k++) {
    if (infer->operands[k] == NULL) continue;
    if (!tn_infer_rank(infer, k, x->ndim - (uint32_t)axis)) return false;
    for (uint32_t i = 0; i < infer->operands[k]->type->ndim; i++)
      ok = tn_func_require_eq(infer->func, infer->operands[k]->type->dims[i], x->dims[axis + i], infer->loc,
                              "'%s': %s, axis %u against %s", infer->node->op->name, tn_infer_operand(infer, k), i,
                              tn_infer_operand(infer, 0)) && ok;
  }
  return ok;
}

static uint32_t axes_from(const tn_node *node, int64_t *axes) {
  uint32_t n = 0;
  for (int64_t i = node->attrs[AXIS].u.i; i < (int64_t)node->results[0]->type->ndim; i++) axes[n++] = i;
  return n;
}

/* v, whose axes are the last ones of x. */
static tn_value *along_last(tn_build *b, tn_value *v, const tn_value *x) {
  return tn_build_broadcast_to(b, tn_compose_wide(b, v), x->type->dims, x->type->ndim);
}

static bool expand_layer_norm(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  int64_t axes[TN_MAX_NDIM];
  uint32_t n = axes_from(node, axes);
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *y = tn_compose_normalize(b, x, axes, n, tn_attr_f(node, EPSILON), NULL, NULL, NULL);
  if (operands[1] != NULL) y = tn_build_binary(b, TN_MUL, y, along_last(b, operands[1], x));
  if (operands[2] != NULL) y = tn_build_binary(b, TN_ADD, y, along_last(b, operands[2], x));
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

static bool expand_rms_norm(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  int64_t axes[TN_MAX_NDIM];
  uint32_t n = axes_from(node, axes);
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *square = tn_compose_mean(b, tn_build_binary(b, TN_MUL, x, x), axes, n);
  tn_value *root = tn_build_unary(b, TN_SQRT, tn_build_binary_f(b, TN_ADD, square, tn_attr_f(node, EPSILON)));
  tn_value *y = tn_build_binary(b, TN_DIV, x, tn_compose_spread(b, root, x, axes, n));
  if (operands[1] != NULL) y = tn_build_binary(b, TN_MUL, y, along_last(b, operands[1], x));
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

/* Gradients of scale and bias: over all axes in front. */
static tn_value *sum_front(tn_build *b, tn_value *x, const tn_node *node) {
  int64_t axes[TN_MAX_NDIM];
  for (int64_t i = 0; i < node->attrs[AXIS].u.i; i++) axes[i] = i;
  return tn_build_reduce(b, "sum", x, axes, (uint32_t)node->attrs[AXIS].u.i, false);
}

static bool narrow_all(tn_vjp *v) {
  for (uint32_t i = 0; i < v->node->n_operands; i++)
    if (v->needed[i] && (v->dx[i] = tn_compose_narrow(v->build, v->dx[i], v->operands[i])) == NULL) return false;
  return true;
}

/* dy times scale, with what scale and bias get. */
static tn_value *through_scale(tn_vjp *v, tn_value *dy, tn_value *y) {
  tn_build *b = v->build;
  uint32_t n = v->node->n_operands;
  if (n > 1 && v->needed[1]) v->dx[1] = sum_front(b, tn_build_binary(b, TN_MUL, dy, y), v->node);
  if (n > 2 && v->needed[2]) v->dx[2] = sum_front(b, dy, v->node);
  return n > 1 && v->operands[1] != NULL ? tn_build_binary(b, TN_MUL, dy, along_last(b, v->operands[1], y)) : dy;
}

static bool vjp_layer_norm(tn_vjp *v) {
  tn_build *b = v->build;
  int64_t axes[TN_MAX_NDIM];
  uint32_t n = axes_from(v->node, axes);
  tn_value *x = tn_compose_wide(b, v->operands[0]), *dy = tn_compose_wide(b, v->dy[0]), *inverse;
  tn_value *y = tn_compose_normalize(b, x, axes, n, tn_attr_f(v->node, EPSILON), NULL, NULL, &inverse);
  if (y == NULL || dy == NULL || (dy = through_scale(v, dy, y)) == NULL) return false;
  if (v->needed[0]) {
    tn_value *sum = tn_build_reduce(b, "sum", dy, axes, n, false);
    tn_value *slope = tn_build_reduce(b, "sum", tn_build_binary(b, TN_MUL, dy, y), axes, n, false);
    v->dx[0] = tn_compose_normalize_vjp(b, dy, y, inverse, sum, slope, axes, n);
  }
  return narrow_all(v);
}

/* v broadcast to the normalised axes of x. */
static tn_value *normalised_part(tn_build *b, tn_value *v, const tn_value *x, uint32_t axis) {
  if (v == NULL) return NULL;
  return tn_build_broadcast_to(b, v, x->type->dims + axis, x->type->ndim - axis);
}

/* The mean and inverse deviation that LayerNormalization may also give, of type stash_type, with the normalised axes
 * kept as 1. */
static bool set_statistics(tn_foreign_node *node, tn_value *x, uint32_t axis, double epsilon) {
  tn_build *b = node->build;
  int64_t stash;
  if (!tn_foreign_int(node, "stash_type", 1, &stash)) return false;
  tn_dtype dtype = tn_dtype_of_onnx(stash);
  if (dtype == TN_N_DTYPES || !tn_dtype_is_float(dtype))
    return tn_foreign_error(node, TN_E_ATTR, "stash_type: %lld is no float type", (long long)stash);
  int64_t axes[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = axis; i < x->type->ndim; i++) axes[n++] = i;
  tn_value *part[2];
  if (tn_compose_normalize(b, tn_compose_wide(b, x), axes, n, epsilon, &part[0], NULL, &part[1]) == NULL) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->type->ndim; i++) dims[i] = i < axis ? x->type->dims[i] : tn_dim_const(b->ctx, 1);
  for (uint32_t i = 0; i < 2; i++) {
    tn_value *statistic = tn_build_cast(b, tn_build_reshape(b, part[i], dims, x->type->ndim), dtype);
    if (!tn_foreign_set(node, i + 1, statistic)) return false;
  }
  return true;
}

static bool import_norm(tn_foreign_node *node) {
  tn_build *b = node->build;
  bool rms = node->op[0] != 'L'; /* RMSNormalization, and onnxruntime's SimplifiedLayerNormalization */
  tn_value *x = tn_foreign_need(node, 0);
  int64_t axis;
  uint32_t at;
  double epsilon;
  if (x == NULL || !tn_foreign_int(node, "axis", -1, &axis) || !tn_foreign_float(node, "epsilon", 1e-5, &epsilon) ||
      !tn_build_axis(b, axis, x->type->ndim, "axis", &at))
    return false;
  tn_value *in[3] = {x, NULL, NULL};
  for (uint32_t i = 1; i < (rms ? 2u : 3u); i++) {
    tn_value *given = tn_foreign_input(node, i);
    if (given != NULL && given->type->dtype != x->type->dtype) given = tn_build_cast(b, given, x->type->dtype);
    in[i] = normalised_part(b, given, x, at);
    if (given != NULL && in[i] == NULL) return false;
  }
  tn_attr attrs[2] = {tn_attr_int(at), tn_attr_float(epsilon)};
  bool statistics = !rms && ((node->n_outputs > 1 && node->wanted[1]) || (node->n_outputs > 2 && node->wanted[2]));
  if (statistics && !set_statistics(node, x, at, epsilon)) return false;
  return tn_foreign_set(node, 0, tn_build_op(b, tn_op_find(rms ? "rms_norm" : "layer_norm"), in, rms ? 2 : 3, attrs));
}

/* ONNX wants a scale. */
static const char *scale_of(tn_export *x, const tn_node *node) {
  const tn_type *type = node->operands[0].value->type;
  if (node->n_operands > 1 && node->operands[1].value) return tn_export_operand(x, node, 1);
  const char *shape =
      tn_export_dims(x, type->dims + node->attrs[AXIS].u.i, type->ndim - (uint32_t)node->attrs[AXIS].u.i);
  return shape ? tn_export_binary(x, "Expand", tn_export_number(x, type->dtype, 1), shape, NULL) : NULL;
}

static bool export_norm(tn_export *x, const tn_node *node) {
  bool is_rms = node->op->name[0] == 'r';
  const char *scale = scale_of(x, node);
  if (!scale) return false;
  tn_export_emit(x, is_rms ? "RMSNormalization" : "LayerNormalization", is_rms ? 23 : 0,
                 TN_NAMES(tn_export_operand(x, node, 0), scale, is_rms ? "" : tn_export_operand(x, node, 2)),
                 TN_FOREIGN(tn_foreign_of_int("axis", node->attrs[AXIS].u.i),
                            tn_foreign_of_float("epsilon", node->attrs[EPSILON].u.f)),
                 tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                              {"scale", TN_OPTIONAL, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0},
                                              {"bias", TN_OPTIONAL, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0}};
static const tn_operand_def rms_operands[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                              {"scale", TN_OPTIONAL, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attrs[] = {{.name = "axis", .kind = TN_ATTR_INT, .required = true},
                                    {.name = "epsilon", .kind = TN_ATTR_FLOAT, .default_f = 1e-5}};
static const tn_onnx_row onnx[] = {
    {"", "LayerNormalization", 1, 0, import_norm},
    {"com.microsoft", "SkipLayerNormalization", 1, 0, tn_import_skip_layer_norm},
    {"com.microsoft", "EmbedLayerNormalization", 1, 0, tn_import_embed_layer_norm},
};
static const tn_onnx_row onnx_rms[] = {
    {"", "RMSNormalization", 23, 0, import_norm},
    {"", "SimplifiedLayerNormalization", 1, 0, import_norm},
    {"com.microsoft", "SkipSimplifiedLayerNormalization", 1, 0, tn_import_skip_layer_norm},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,4]", "f32[4]", "f32[4]"), "{axis=2}", 0, 0, "f32[2,3,4]"},
    {TN_TYPES("f32[B,3,4]", "-", "f32[3,4]"), "{axis=1, epsilon=0.001}", 0, 0, "f32[B,3,4]"},
    {TN_TYPES("f16[2,8]"), "{axis=0}", 0, 0, "f16[2,8]"},
    {TN_TYPES("f64[0,3]", "f64[3]"), "{axis=1}", 0, 0, "f64[0,3]"},
    {TN_TYPES("f32[2,3]", "f32[2]"), "{axis=1}", 0, 0, NULL},
    {TN_TYPES("f32[2,3]"), "{axis=2}", 0, 0, NULL},
};
static const tn_op_sample rms_samples[] = {
    {TN_TYPES("f32[2,3,4]", "f32[4]"), "{axis=2}", 0, 0, "f32[2,3,4]"},
    {TN_TYPES("f32[B,3,4]"), "{axis=1, epsilon=0.001}", 0, 0, "f32[B,3,4]"},
    {TN_TYPES("bf16[1,8]"), "{axis=1}", 0, 0, "bf16[1,8]"},
    {TN_TYPES("f32[2,3]", "f32[2]"), "{axis=1}", 0, 0, NULL},
};

const tn_opdef tn_op_layer_norm = {
    .name = "layer_norm",
    .kind = TN_OP_COMPOSITE,
    .doc = "(x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from axis on; scale and bias have "
           "those axes. Computed in f32 or wider.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_norm,
    .expand = expand_layer_norm,
    .vjp = vjp_layer_norm,
    TN_ONNX(onnx),
    .export = export_norm,
    TN_SAMPLES(samples),
};

const tn_opdef tn_op_rms_norm = {
    .name = "rms_norm",
    .kind = TN_OP_COMPOSITE,
    .doc = "x / sqrt(mean(x^2) + epsilon) * scale over the axes from axis on. Computed in f32 or wider.",
    TN_OPERANDS(rms_operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_norm,
    .expand = expand_rms_norm,
    TN_ONNX(onnx_rms),
    .export = export_norm,
    TN_SAMPLES(rms_samples),
};
