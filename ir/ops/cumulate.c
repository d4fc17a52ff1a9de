/* cumulate: a running fold along an axis. */
#include "ir/gradient.h"
#include "ir/ops/compose.h"
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

static tn_value *build_cumulate(tn_build *b, tn_value *x, const char *op, int64_t axis, bool reverse, bool exclusive) {
  tn_attr attrs[4] = {tn_attr_name(&tn_op_cumulate, "op", op), tn_attr_int(axis), tn_attr_bool(reverse),
                      tn_attr_bool(exclusive)};
  return tn_build_op(b, &tn_op_cumulate, &x, 1, attrs);
}

/* The product of all before an element, times what those behind it make of their gradients: walking back, s <- x s + dy
 * (an exclusive product leaves the element itself out). No division, so zeros do no harm. */
static tn_value *of_product(tn_vjp *v, tn_value *x, tn_value *dy) {
  tn_build *b = v->build;
  const tn_attr *attrs = v->node->attrs;
  int64_t axis = attrs[AXIS].u.i;
  bool reverse = attrs[REVERSE].u.i != 0, exclusive = attrs[EXCLUSIVE].u.i != 0;
  const tn_dim *rest[TN_MAX_NDIM];
  for (uint32_t i = 0, n = 0; i < x->type->ndim; i++)
    if ((int64_t)i != axis) rest[n++] = x->type->dims[i];
  tn_value *first =
      tn_build_broadcast_map(b, tn_build_splat_f(b, x->type->dtype, 0), rest, x->type->ndim - 1, NULL);
  tn_value *sequences[2] = {x, dy}, *yields[2];
  const int64_t axes[3] = {axis, axis, axis}, ways[3] = {!reverse, !reverse, !reverse};
  tn_build_scan scan = {.carried = &first, .sequences = sequences, .n_carried = 1, .n_sequences = 2, .n_stacked = 1,
                        .axes = axes, .reverse = ways};
  tn_node *made = first == NULL ? NULL : tn_build_begin_scan(b, &scan);
  if (made == NULL) return NULL;
  tn_build in = tn_build_region(made, 0);
  tn_value **params = in.block->params.data;
  tn_value *behind = params[0], *with_own = tn_build_binary(&in, TN_ADD, behind, params[2]);
  if (exclusive) {
    yields[0] = tn_build_binary(&in, TN_ADD, tn_build_binary(&in, TN_MUL, params[1], behind), params[2]);
    yields[1] = behind;
  } else {
    yields[0] = tn_build_binary(&in, TN_MUL, params[1], with_own);
    yields[1] = with_own;
  }
  if (yields[0] == NULL || yields[1] == NULL) return NULL;
  tn_build_return(&in, yields, 2);
  if (!tn_build_end(made)) return NULL;
  return tn_build_binary(b, TN_MUL, build_cumulate(b, x, "prod", axis, reverse, true), made->results[1]);
}

/* x along axis the other way round. */
static tn_value *flip(tn_build *b, tn_value *x, uint32_t axis, bool really) {
  if (!really || x == NULL) return x;
  const tn_dim *extent = x->type->dims[axis], *last = tn_dim_add_i(b->ctx, extent, -1);
  tn_value *back = tn_build_iota(b, &extent, 1, 0, TN_I64);
  tn_value *end = back == NULL ? NULL : tn_compose_repeat(b, tn_compose_dim(b, last, TN_I64), back);
  return tn_compose_take_axis(b, x, tn_build_binary(b, TN_SUB, end, back), axis);
}

/* Each gradient goes to the element that is the extreme so far, of equal ones the last. */
static tn_value *of_extreme(tn_vjp *v, tn_value *x, tn_value *dy) {
  tn_build *b = v->build;
  const tn_attr *attrs = v->node->attrs;
  uint32_t axis = (uint32_t)attrs[AXIS].u.i;
  bool reverse = attrs[REVERSE].u.i != 0;
  x = flip(b, x, axis, reverse);
  dy = flip(b, dy, axis, reverse);
  if (x == NULL || dy == NULL) return NULL;
  const tn_type *type = x->type;
  tn_value *y = build_cumulate(b, x, ops[attrs[OP].u.i], axis, false, false);
  tn_value *place = tn_build_iota(b, type->dims, type->ndim, axis, TN_I64);
  tn_value *is_extreme = tn_build_binary(b, TN_EQ, x, y);
  place = tn_build_select(b, is_extreme, place, place == NULL ? NULL : tn_build_fill_like(b, place, 0));
  tn_value *winner = build_cumulate(b, place, "max", axis, false, false);
  if (winner == NULL) return NULL;
  if (attrs[EXCLUSIVE].u.i != 0) { /* what stands before an element won there; the first has none */
    const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
    for (uint32_t i = 0; i < type->ndim; i++) {
      lo[i] = hi[i] = tn_dim_const(b->ctx, 0);
      if (i == axis) lo[i] = tn_dim_const(b->ctx, -1), hi[i] = tn_dim_const(b->ctx, 1);
    }
    dy = tn_build_pad(b, dy, tn_build_splat_f(b, type->dtype, 0), lo, hi);
  }
  const tn_opdef *scatter = tn_op_find("scatter");
  tn_value *in[TN_MAX_NDIM + 2] = {tn_build_fill_like(b, x, 0), dy};
  int64_t axes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++) {
    axes[i] = i;
    in[i + 2] = i == axis ? winner : tn_build_iota(b, type->dims, type->ndim, i, TN_I64);
  }
  tn_attr set[3] = {tn_attr_ints(b->module, axes, type->ndim), tn_attr_name(scatter, "mode", "add"),
                    tn_attr_bool(false)};
  return flip(b, tn_build_op(b, scatter, in, type->ndim + 2, set), axis, reverse);
}

static bool vjp_cumulate(tn_vjp *v) {
  tn_build *b = v->build;
  const tn_attr *attrs = v->node->attrs;
  tn_value *x = tn_compose_wide(b, v->operands[0]), *dy = tn_compose_wide(b, v->dy[0]), *dx;
  switch ((tn_fold)attrs[OP].u.i) {
    case TN_FOLD_SUM:
      dx = build_cumulate(b, dy, "sum", attrs[AXIS].u.i, attrs[REVERSE].u.i == 0, attrs[EXCLUSIVE].u.i != 0);
      break;
    case TN_FOLD_PROD: dx = of_product(v, x, dy); break;
    default: dx = of_extreme(v, x, dy); break;
  }
  return (v->dx[0] = tn_compose_narrow(b, dx, v->operands[0])) != NULL;
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
    {TN_TYPES("f32[2,5]"), "{op=prod, axis=1}", 0, 0, "f32[2,5]"},
    {TN_TYPES("f64[4,B]"), "{op=prod, axis=0, reverse=true, exclusive=true}", 0, 0, "f64[4,B]"},
    {TN_TYPES("f32[3,5]"), "{op=min, axis=1, reverse=true}", 0, 0, "f32[3,5]"},
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
