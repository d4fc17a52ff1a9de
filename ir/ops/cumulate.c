/* cumulate: a running fold along an axis. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/fold.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

enum { OP, AXIS, REVERSE, EXCLUSIVE };
static const char *const ops[] = {"sum", "prod", "max", "min", NULL}; /* as the first of tn_fold */

static bool infer_cumulate(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  if (!tn_infer_axis(infer, "axis", infer->attrs[AXIS].u.i, x->ndim)) return false;
  infer->types[0] = x;
  return true;
}

static bool eval_cumulate(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  uint32_t axis = (uint32_t)node->attrs[AXIS].u.i;
  tn_fold fold = (tn_fold)node->attrs[OP].u.i;
  bool reverse = node->attrs[REVERSE].u.i != 0, exclusive = node->attrs[EXCLUSIVE].u.i != 0;
  bool exact = eval->mode == TN_EVAL_EXACT;
  tn_dtype acc = tn_dtype_acc(x->dtype);
  int64_t inner = 1, extent = x->extents[axis];
  for (uint32_t i = axis + 1; i < x->ndim; i++) inner *= x->extents[i];
  if (x->count == 0) return true;
  for (int64_t row = 0; row < x->count / extent; row++) {
    int64_t base = row / inner * inner * extent + row % inner;
    tn_number total = tn_fold_identity(fold, acc);
    for (int64_t i = 0; i < extent; i++) {
      int64_t at = base + (reverse ? extent - 1 - i : i) * inner;
      if (exclusive) out->data[at] = tn_eval_round(eval, out->dtype, total);
      total = tn_fold_step(fold, acc, exact, total, x->data[at]);
      if (!exclusive) out->data[at] = tn_eval_round(eval, out->dtype, total);
    }
  }
  return true;
}

static tn_value *cumulate(tn_foreign_node *node, tn_value *x, uint32_t axis) {
  int64_t reverse, exclusive;
  if (!tn_foreign_int(node, "reverse", 0, &reverse) || !tn_foreign_int(node, "exclusive", 0, &exclusive)) return NULL;
  const tn_opdef *op = tn_op_find("cumulate");
  tn_attr attrs[] = {tn_attr_name(op, "op", node->op[3] == 'S' ? "sum" : "prod"), tn_attr_int(axis),
                     tn_attr_bool(reverse != 0), tn_attr_bool(exclusive != 0)};
  return tn_build_op(node->build, op, &x, 1, attrs);
}

/* An axis known only at run time: each axis is done, and the one that is meant is chosen. */
static tn_value *choose_axis(tn_foreign_node *node, tn_value *x, tn_value *axis) {
  tn_build *b = node->build;
  uint32_t ndim = x->type->ndim;
  axis = tn_axes_resolve(b, tn_build_reshape(b, axis, NULL, 0), ndim);
  tn_value *y = cumulate(node, x, 0);
  for (uint32_t i = 1; i < ndim && axis != NULL; i++) {
    tn_value *here = tn_build_binary_f(b, TN_EQ, axis, i);
    y = tn_build_select(b, tn_build_broadcast_map(b, here, x->type->dims, ndim, NULL), cumulate(node, x, i), y);
  }
  return y;
}

/* CumSum, CumProd: the axis is an input. */
static bool import_cumulate(tn_foreign_node *node) {
  tn_value *x = tn_foreign_need(node, 0), *given = tn_foreign_need(node, 1);
  const int64_t *axes;
  uint32_t n, axis;
  bool known;
  if (x == NULL || given == NULL || !tn_foreign_const_ints(node, 1, &axes, &n, &known)) return false;
  if (x->type->ndim == 0) return tn_foreign_error(node, TN_E_RANK, "a scalar has no axis");
  if (!known) return tn_foreign_set(node, 0, choose_axis(node, x, given));
  if (n != 1) return tn_foreign_error(node, TN_E_SHAPE, "axis: expected one number, found %u", n);
  if (!tn_build_axis(node->build, axes[0], x->type->ndim, "axis", &axis)) return false;
  return tn_foreign_set(node, 0, cumulate(node, x, axis));
}

static bool vjp_cumulate(tn_vjp *v) {
  const tn_attr *attrs = v->node->attrs;
  if (attrs[OP].u.i != 0)
    return tn_error(v->build->ctx, v->node->loc, TN_E_GRADIENT, "'cumulate' has no gradient: none is known for '%s'",
                    ops[attrs[OP].u.i]);
  tn_attr back[4] = {attrs[OP], attrs[AXIS], tn_attr_bool(attrs[REVERSE].u.i == 0), attrs[EXCLUSIVE]};
  return (v->dx[0] = tn_build_op(v->build, &tn_op_cumulate, &v->dy[0], 1, back)) != NULL;
}

/* Sums are CumSum; the others a Scan that carries the running value. */
static bool export_cumulate(tn_export *x, const tn_node *node) {
  static const char *const steps[] = {"Add", "Mul", "Max", "Min"};
  const tn_type *type = node->results[0]->type;
  int64_t axis = node->attrs[AXIS].u.i, op = node->attrs[OP].u.i;
  const char *name = tn_export_operand(x, node, 0), *result = tn_export_result(x, node, 0);
  bool exclusive = node->attrs[EXCLUSIVE].u.i != 0;
  if (op == 0 && tn_dtype_bits(type->dtype) >= 16 &&
      (tn_dtype_is_float(type->dtype) || tn_dtype_bits(type->dtype) >= 32)) {
    tn_export_emit(x, "CumSum", 0, TN_NAMES(name, tn_export_int(x, axis)),
                   TN_FOREIGN(tn_foreign_of_int("exclusive", exclusive),
                              tn_foreign_of_int("reverse", node->attrs[REVERSE].u.i)), result);
    return true;
  }
  const tn_dim *rest[TN_MAX_NDIM];
  for (uint32_t i = 0, k = 0; i < type->ndim; i++)
    if ((int64_t)i != axis) rest[k++] = type->dims[i];
  const tn_type *slice = tn_type_tensor(x->ctx, type->dtype, type->ndim - 1, rest);
  const char *shape = tn_export_dims(x, rest, type->ndim - 1);
  if (!shape) return false;
  tn_number first = tn_number_cast(type->dtype, TN_F64, tn_fold_identity((tn_fold)op, type->dtype));
  const char *start = tn_export_binary(x, "Expand", tn_export_number(x, type->dtype, first.f), shape, NULL);
  tn_export_graph *body = tn_export_begin_body(x, "body");
  const char *total = tn_export_input(x, "total", slice), *element = tn_export_input(x, "element", slice);
  const char *next = tn_export_binary(x, steps[op], total, element, NULL);
  tn_export_output(x, next, slice);
  tn_export_output(x, exclusive ? total : next, slice);
  tn_export_end_body(x);
  int64_t reverse = node->attrs[REVERSE].u.i;
  tn_export_emit_many(x, "Scan", 0, TN_NAMES(start, name),
                      TN_FOREIGN(tn_foreign_of_graph("body", body), tn_foreign_of_int("num_scan_inputs", 1),
                                 tn_foreign_of_ints("scan_input_axes", &axis, 1),
                                 tn_foreign_of_ints("scan_input_directions", &reverse, 1),
                                 tn_foreign_of_ints("scan_output_axes", &axis, 1),
                                 tn_foreign_of_ints("scan_output_directions", &reverse, 1)),
                      TN_NAMES(tn_export_fresh(x, "last"), result));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "op", .kind = TN_ATTR_NAME, .required = true, .names = ops},
                                    {.name = "axis", .kind = TN_ATTR_INT, .required = true},
                                    {.name = "reverse", .kind = TN_ATTR_BOOL},
                                    {.name = "exclusive", .kind = TN_ATTR_BOOL}};
static const tn_onnx_row onnx[] = {{"", "CumSum", 11, 0, import_cumulate}, {"", "CumProd", 26, 0, import_cumulate}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,2]"), "{op=sum, axis=1}", 0, 0, "f32[2,3,2]"},
    {TN_TYPES("i32[B,3]"), "{op=prod, axis=1, reverse=true}", -3, 3, "i32[B,3]"},
    {TN_TYPES("f32[3]"), "{op=max, axis=0, exclusive=true}", 0, 0, "f32[3]"},
    {TN_TYPES("f16[0,3]"), "{op=min, axis=0}", 0, 0, "f16[0,3]"},
    {TN_TYPES("f32[3]"), "{op=sum, axis=1}", 0, 0, NULL},
};

const tn_opdef tn_op_cumulate = {
    .name = "cumulate",
    .kind = TN_OP_PRIMITIVE,
    .doc = "The running sum, prod, max or min along axis, from the end with reverse; exclusive leaves the element "
           "itself out. The running value is kept in the default accumulator type.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_cumulate,
    .eval = eval_cumulate,
    .vjp = vjp_cumulate,
    TN_ONNX(onnx),
    .export = export_cumulate,
    TN_SAMPLES(samples),
};
