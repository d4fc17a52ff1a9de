/* softmax, log_softmax and hardmax along one axis. */
#include "ir/gradient.h"
#include "ir/ops/compose.h"
#include "ir/ops/export.h"

enum { AXIS };

static bool infer_axis_kept(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  infer->types[0] = x;
  return tn_infer_axis(infer, "axis", infer->attrs[AXIS].u.i, x->ndim);
}

/* The maximum is taken out first, so nothing overflows. */
static bool expand_softmax(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  int64_t axis = node->attrs[AXIS].u.i;
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *power = tn_build_unary(b, TN_EXP, tn_build_binary(b, TN_SUB, x, tn_compose_fold(b, "max", x, &axis, 1)));
  tn_value *y = tn_build_binary(b, TN_DIV, power, tn_compose_fold(b, "sum", power, &axis, 1));
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

static bool expand_log_softmax(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  int64_t axis = node->attrs[AXIS].u.i;
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *shifted = tn_build_binary(b, TN_SUB, x, tn_compose_fold(b, "max", x, &axis, 1));
  tn_value *sum = tn_build_reduce(b, "sum", tn_build_unary(b, TN_EXP, shifted), &axis, 1, false);
  tn_value *log = tn_compose_spread(b, tn_build_unary(b, TN_LOG, sum), x, &axis, 1);
  *out = tn_compose_narrow(b, tn_build_binary(b, TN_SUB, shifted, log), operands[0]);
  return *out != NULL;
}

static bool expand_hardmax(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  int64_t axis = node->attrs[AXIS].u.i;
  tn_value *x = operands[0];
  const tn_opdef *op = tn_op_find("argreduce");
  tn_attr attrs[] = {tn_attr_name(op, "op", "max"), tn_attr_int(axis), tn_attr_bool(false)};
  tn_value *winner = tn_compose_spread(b, tn_build_op(b, op, &x, 1, attrs), x, &axis, 1);
  tn_value *position = tn_build_iota(b, x->type->dims, x->type->ndim, (uint32_t)axis, TN_I64);
  tn_value *hit = tn_build_binary(b, TN_EQ, position, winner);
  *out = tn_build_cast(b, hit, x->type->dtype);
  return *out != NULL;
}

static const char *op_name(const tn_foreign_node *node) {
  if (node->op[0] == 'L') return "log_softmax";
  return node->op[0] == 'S' ? "softmax" : "hardmax";
}

/* From opset 13 along one axis (default -1). Before, x is taken as a matrix whose rows are all axes from `axis`
 * (default 1) on. */
static bool import_softmax(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t axis;
  bool rows = node->version < 13;
  if (x == NULL || !tn_foreign_int(node, "axis", rows ? 1 : -1, &axis)) return false;
  uint32_t at, ndim = x->type->ndim;
  const tn_opdef *op = tn_op_find(op_name(node));
  if (rows && axis == (int64_t)ndim) { /* rows of one element */
    tn_value *one = tn_build_insert_axis(b, x, ndim);
    tn_attr attr = tn_attr_int(ndim);
    return tn_foreign_set(node, 0, tn_build_reshape(b, tn_build_op(b, op, &one, 1, &attr), x->type->dims, ndim));
  }
  if (!tn_build_axis(b, axis, ndim, "axis", &at)) return false;
  tn_attr attr = tn_attr_int(at);
  if (!rows || at + 1 == ndim) return tn_foreign_build(node, op, &x, 1, &attr);
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < at; i++) dims[i] = x->type->dims[i];
  dims[at] = tn_dim_product(b->ctx, x->type->dims + at, ndim - at);
  tn_value *flat = tn_build_reshape(b, x, dims, at + 1);
  return tn_foreign_set(node, 0, tn_build_reshape(b, tn_build_op(b, op, &flat, 1, &attr), x->type->dims, ndim));
}

/* y (dy - sum y dy). */
static bool vjp_softmax(tn_vjp *v) {
  tn_build *b = v->build;
  int64_t axis = v->node->attrs[AXIS].u.i;
  tn_value *y = tn_compose_wide(b, v->results[0]), *dy = tn_compose_wide(b, v->dy[0]);
  tn_value *sum = tn_compose_fold(b, "sum", tn_build_binary(b, TN_MUL, y, dy), &axis, 1);
  tn_value *dx = tn_build_binary(b, TN_MUL, y, tn_build_binary(b, TN_SUB, dy, sum));
  return (v->dx[0] = tn_compose_narrow(b, dx, v->operands[0])) != NULL;
}

/* dy - exp(y) sum dy. */
static bool vjp_log_softmax(tn_vjp *v) {
  tn_build *b = v->build;
  int64_t axis = v->node->attrs[AXIS].u.i;
  tn_value *y = tn_compose_wide(b, v->results[0]), *dy = tn_compose_wide(b, v->dy[0]);
  tn_value *share = tn_build_binary(b, TN_MUL, tn_build_unary(b, TN_EXP, y), tn_compose_fold(b, "sum", dy, &axis, 1));
  tn_value *dx = tn_build_binary(b, TN_SUB, dy, share);
  return (v->dx[0] = tn_compose_narrow(b, dx, v->operands[0])) != NULL;
}

static bool export_softmax(tn_export *x, const tn_node *node) {
  const char *op = node->op->name[0] == 'l' ? "LogSoftmax" : node->op->name[0] == 's' ? "Softmax" : "Hardmax";
  tn_export_emit(x, op, 0, TN_NAMES(tn_export_operand(x, node, 0)),
                 TN_FOREIGN(tn_foreign_of_int("axis", node->attrs[AXIS].u.i)), tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "axis", .kind = TN_ATTR_INT, .required = true}};
static const tn_onnx_row onnx_softmax[] = {{"", "Softmax", 1, 0, import_softmax}};
static const tn_onnx_row onnx_log_softmax[] = {{"", "LogSoftmax", 1, 0, import_softmax}};
static const tn_onnx_row onnx_hardmax[] = {{"", "Hardmax", 1, 0, import_softmax}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,4]"), "{axis=1}", -9, 9, "f32[2,3,4]"},
    {TN_TYPES("f16[B,5]"), "{axis=1}", 0, 0, "f16[B,5]"},
    {TN_TYPES("f64[3,1]"), "{axis=1}", 0, 0, "f64[3,1]"},
    {TN_TYPES("f32[0,3]"), "{axis=1}", 0, 0, "f32[0,3]"},
    {TN_TYPES("f32[3]"), "{axis=1}", 0, 0, NULL},
    {TN_TYPES("f32[3]"), NULL, 0, 0, NULL},
};

#define BASE                                                                                                \
  TN_OPERANDS(operand_defs), .n_results = 1, TN_ATTRS(attrs), .infer = infer_axis_kept, .export = export_softmax, \
      TN_SAMPLES(samples)

const tn_opdef tn_op_softmax = {
    .name = "softmax",
    .kind = TN_OP_COMPOSITE,
    .doc = "exp(x - max) / sum(exp(x - max)) along axis.",
    BASE,
    .expand = expand_softmax,
    .vjp = vjp_softmax,
    TN_ONNX(onnx_softmax),
};

const tn_opdef tn_op_log_softmax = {
    .name = "log_softmax",
    .kind = TN_OP_COMPOSITE,
    .doc = "x - max - log(sum(exp(x - max))) along axis.",
    BASE,
    .expand = expand_log_softmax,
    .vjp = vjp_log_softmax,
    TN_ONNX(onnx_log_softmax),
};

const tn_opdef tn_op_hardmax = {
    .name = "hardmax",
    .kind = TN_OP_COMPOSITE,
    .doc = "1 at the first largest element along axis, else 0.",
    BASE,
    .expand = expand_hardmax,
    .no_gradient = "it is constant between its jumps",
    TN_ONNX(onnx_hardmax),
};
