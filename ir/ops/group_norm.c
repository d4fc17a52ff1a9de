/* group_norm: normalisation over groups of channels and all that follows (Wu and He, arXiv:1803.08494); one channel a
 * group is instance normalisation (Ulyanov et al., arXiv:1607.08022). */
#include "ir/gradient.h"
#include "ir/ops/compose.h"
#include "ir/ops/export.h"

#include <string.h>

enum { GROUPS, EPSILON };

static bool infer_group_norm(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  infer->types[0] = x;
  if (!tn_infer_channels(infer, 3)) return false;
  int64_t groups = infer->attrs[GROUPS].u.i;
  if (groups == 0) return true;
  tn_ctx *ctx = infer->ctx;
  return tn_func_require_eq(infer->func, tn_dim_mod(ctx, x->dims[1], tn_dim_const(ctx, groups)), tn_dim_const(ctx, 0),
                            infer->loc, "'group_norm': the channels of %s are a multiple of %lld groups",
                            tn_infer_operand(infer, 0), (long long)groups);
}

/* x as [N, groups, C / groups, S..] in the type that is computed in, and the axes from the third on. */
typedef struct parted {
  tn_value *x;
  int64_t axes[TN_MAX_NDIM];
  uint32_t n_axes;
} parted;

static bool part(tn_build *b, const tn_node *node, tn_value *operand, parted *out) {
  tn_value *x = tn_compose_wide(b, operand);
  const tn_type *type = operand->type;
  int64_t groups = node->attrs[GROUPS].u.i;
  bool split = groups != 0;
  if (type->ndim + split > TN_MAX_NDIM)
    return tn_error(b->ctx, node->loc, TN_E_LIMIT, "'group_norm': rank %u", type->ndim);
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  dims[n++] = type->dims[0];
  if (split) {
    dims[n++] = tn_dim_const(b->ctx, groups);
    dims[n++] = tn_dim_floordiv(b->ctx, type->dims[1], dims[1]);
  } else {
    dims[n++] = type->dims[1];
  }
  for (uint32_t i = 2; i < type->ndim; i++) dims[n++] = type->dims[i];
  out->n_axes = 0;
  for (uint32_t i = 2; i < n; i++) out->axes[out->n_axes++] = i;
  out->x = tn_build_reshape(b, x, dims, n);
  return out->x != NULL;
}

static bool expand_group_norm(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  parted p;
  if (!part(b, node, operands[0], &p)) return false;
  tn_value *y = tn_compose_normalize(b, p.x, p.axes, p.n_axes, tn_attr_f(node, EPSILON), NULL, NULL, NULL);
  y = tn_build_reshape(b, y, operands[0]->type->dims, operands[0]->type->ndim);
  if (y == NULL) return false;
  y = tn_build_binary(b, TN_MUL, y, tn_compose_along(b, tn_compose_wide(b, operands[1]), y, 1));
  y = tn_build_binary(b, TN_ADD, y, tn_compose_along(b, tn_compose_wide(b, operands[2]), y, 1));
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

/* The gradient of one scale or bias a channel. */
static tn_value *sum_channels(tn_build *b, tn_value *x) {
  int64_t axes[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; x != NULL && i < x->type->ndim; i++)
    if (i != 1) axes[n++] = i;
  return tn_build_reduce(b, "sum", x, axes, n, false);
}

static bool vjp_group_norm(tn_vjp *v) {
  tn_build *b = v->build;
  const tn_type *type = v->operands[0]->type;
  tn_value *dy = tn_compose_wide(b, v->dy[0]), *inverse;
  parted p;
  if (!part(b, v->node, v->operands[0], &p)) return false;
  tn_value *y = tn_compose_normalize(b, p.x, p.axes, p.n_axes, tn_attr_f(v->node, EPSILON), NULL, NULL, &inverse);
  if (v->needed[1])
    v->dx[1] = sum_channels(b, tn_build_binary(b, TN_MUL, dy, tn_build_reshape(b, y, type->dims, type->ndim)));
  if (v->needed[2]) v->dx[2] = sum_channels(b, dy);
  if (v->needed[0]) {
    dy = tn_build_binary(b, TN_MUL, dy, tn_compose_along(b, tn_compose_wide(b, v->operands[1]), dy, 1));
    dy = tn_build_reshape(b, dy, p.x->type->dims, p.x->type->ndim);
    tn_value *sum = tn_build_reduce(b, "sum", dy, p.axes, p.n_axes, false);
    tn_value *slope = tn_build_reduce(b, "sum", tn_build_binary(b, TN_MUL, dy, y), p.axes, p.n_axes, false);
    tn_value *dx = tn_compose_normalize_vjp(b, dy, y, inverse, sum, slope, p.axes, p.n_axes);
    v->dx[0] = tn_build_reshape(b, dx, type->dims, type->ndim);
  }
  for (uint32_t i = 0; i < 3; i++)
    if (v->needed[i] && (v->dx[i] = tn_compose_narrow(b, v->dx[i], v->operands[i])) == NULL) return false;
  return true;
}

/* v[groups] -> [groups * repeat], each element repeated. */
static tn_value *repeat_each(tn_build *b, tn_value *v, const tn_dim *repeat) {
  if (v == NULL) return NULL;
  const tn_dim *dims[2] = {v->type->dims[0], repeat}, *flat = tn_dim_mul(b->ctx, dims[0], repeat);
  int64_t map[1] = {0};
  return tn_build_reshape(b, tn_build_broadcast_map(b, v, dims, 2, map), &flat, 1);
}

/* GroupNormalization's scale and bias are one a group in opset 18, one a channel from 21. */
static bool import_norm(tn_foreign_node *node) {
  tn_build *b = node->build;
  int64_t groups = 0;
  double epsilon;
  tn_value *in[3];
  for (uint32_t i = 0; i < 3; i++)
    if ((in[i] = tn_foreign_need(node, i)) == NULL) return false;
  if (!tn_foreign_float(node, "epsilon", 1e-5, &epsilon)) return false;
  if (strcmp(node->op, "GroupNormalization") == 0) {
    if (!tn_foreign_int(node, "num_groups", 0, &groups)) return false;
    if (groups < 1 || in[0]->type->ndim < 2)
      return tn_foreign_error(node, TN_E_ATTR, "num_groups: %lld", (long long)groups);
    const tn_dim *repeat = tn_dim_floordiv(b->ctx, in[0]->type->dims[1], tn_dim_const(b->ctx, groups));
    for (uint32_t i = 1; i < 3 && node->version < 21; i++)
      if ((in[i] = repeat_each(b, in[i], repeat)) == NULL) return false;
  }
  tn_attr attrs[2] = {tn_attr_int(groups), tn_attr_float(epsilon)};
  return tn_foreign_build(node, tn_op_find("group_norm"), in, 3, attrs);
}

static bool export_group_norm(tn_export *x, const tn_node *node) {
  int64_t groups = node->attrs[GROUPS].u.i;
  const char *inputs[3];
  for (uint32_t i = 0; i < 3; i++) inputs[i] = tn_export_operand(x, node, i);
  tn_foreign_attr attrs[] = {tn_foreign_of_float("epsilon", node->attrs[EPSILON].u.f),
                             tn_foreign_of_int("num_groups", groups)};
  if (groups > 0) tn_export_emit(x, "GroupNormalization", 21, inputs, 3, attrs, 2, tn_export_result(x, node, 0));
  else tn_export_emit(x, "InstanceNormalization", 0, inputs, 3, attrs, 1, tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                              {"scale", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0},
                                              {"bias", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attrs[] = {{.name = "groups", .kind = TN_ATTR_INT, .min_i = 0, .max_i = INT32_MAX},
                                    {.name = "epsilon", .kind = TN_ATTR_FLOAT, .default_f = 1e-5}};
static const tn_onnx_row onnx[] = {{"", "GroupNormalization", 18, 0, import_norm},
                                   {"", "InstanceNormalization", 1, 0, import_norm}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,4,3]", "f32[4]", "f32[4]"), "{groups=2}", 0, 0, "f32[2,4,3]"},
    {TN_TYPES("f32[B,3,2,2]", "f32[3]", "f32[3]"), NULL, 0, 0, "f32[B,3,2,2]"},
    {TN_TYPES("f16[0,2,1]", "f16[2]", "f16[2]"), "{groups=1}", 0, 0, "f16[0,2,1]"},
    {TN_TYPES("f32[2,4,3]", "f32[4]", "f32[4]"), "{groups=3}", 0, 0, NULL},
    {TN_TYPES("f32[2,4,3]", "f32[3]", "f32[4]"), "{groups=2}", 0, 0, NULL},
};

const tn_opdef tn_op_group_norm = {
    .name = "group_norm",
    .kind = TN_OP_COMPOSITE,
    .doc = "Each of `groups` equal runs of channels (axis 1), with all following axes, normalised to mean 0 and "
           "variance 1, then times scale plus bias, one a channel. groups=0: one group a channel (instance "
           "normalisation).",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_group_norm,
    .expand = expand_group_norm,
    .vjp = vjp_group_norm,
    TN_ONNX(onnx),
    .export = export_group_norm,
    TN_SAMPLES(samples),
};
