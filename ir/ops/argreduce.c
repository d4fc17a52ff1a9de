/* argreduce: the position of the largest or smallest element along an axis. */
#include "ir/ops/export.h"
#include "ir/ops/ops.h"

#include <math.h>

enum { OP, AXIS, LAST };
static const char *const ops[] = {"max", "min", NULL};

static bool infer_argreduce(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  int64_t axis = infer->attrs[AXIS].u.i;
  if (!tn_infer_axis(infer, "axis", axis, x->ndim)) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->ndim; i++)
    if (i != axis) dims[n++] = x->dims[i];
  return tn_infer_result(infer, 0, TN_I64, n, dims);
}

/* NaN wins over every number; equal elements tie. */
static int compare(tn_dtype dtype, bool max, tn_number p, tn_number q) {
  if (tn_dtype_is_float(dtype)) {
    if (isnan(p.f) || isnan(q.f)) return isnan(p.f) - isnan(q.f);
    int order = (p.f > q.f) - (p.f < q.f);
    return max ? order : -order;
  }
  int order = tn_dtype_is_signed(dtype) ? (p.i > q.i) - (p.i < q.i) : (p.u > q.u) - (p.u < q.u);
  return max ? order : -order;
}

static bool eval_argreduce(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  uint32_t axis = (uint32_t)node->attrs[AXIS].u.i;
  bool max = node->attrs[OP].u.i == 0, last = node->attrs[LAST].u.i != 0;
  int64_t inner = 1, extent = x->extents[axis];
  for (uint32_t i = axis + 1; i < x->ndim; i++) inner *= x->extents[i];
  for (int64_t k = 0; k < out->count; k++) {
    const tn_number *data = x->data + k / inner * inner * extent + k % inner;
    int64_t best = 0;
    for (int64_t i = 1; i < extent; i++) {
      int order = compare(x->dtype, max, data[i * inner], data[best * inner]);
      if (order > 0 || (order == 0 && last)) best = i;
    }
    out->data[k].i = best;
  }
  return true;
}

/* ArgMax, ArgMin: keepdims 1, axis 0, select_last_index 0 by default. */
static bool import_arg(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t axis, keep, last;
  uint32_t at;
  if (x == NULL || !tn_foreign_int(node, "axis", 0, &axis) || !tn_foreign_int(node, "keepdims", 1, &keep) ||
      !tn_foreign_int(node, "select_last_index", 0, &last) || !tn_build_axis(b, axis, x->type->ndim, "axis", &at))
    return false;
  const tn_opdef *op = tn_op_find("argreduce");
  tn_attr attrs[] = {tn_attr_name(op, "op", node->op[3] == 'M' && node->op[4] == 'a' ? "max" : "min"),
                     tn_attr_int(at), tn_attr_bool(last != 0)};
  tn_value *y = tn_build_op(b, op, &x, 1, attrs);
  return tn_foreign_set(node, 0, keep != 0 ? tn_build_insert_axis(b, y, at) : y);
}

static bool export_argreduce(tn_export *x, const tn_node *node) {
  tn_export_emit(x, node->attrs[OP].u.i == 0 ? "ArgMax" : "ArgMin", 0,
                 TN_NAMES(tn_export_operand(x, node, 0)),
                 TN_FOREIGN(tn_foreign_of_int("axis", node->attrs[AXIS].u.i), tn_foreign_of_int("keepdims", 0),
                            tn_foreign_of_int("select_last_index", node->attrs[LAST].u.i)),
                 tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "op", .kind = TN_ATTR_NAME, .required = true, .names = ops},
                                    {.name = "axis", .kind = TN_ATTR_INT, .required = true},
                                    {.name = "last", .kind = TN_ATTR_BOOL}};
static const tn_onnx_row onnx[] = {{"", "ArgMax", 1, 0, import_arg}, {"", "ArgMin", 1, 0, import_arg}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,4]"), "{op=max, axis=1}", 0, 0, "i64[2,4]"},
    {TN_TYPES("i32[B,3]"), "{op=min, axis=1, last=true}", -1, 1, "i64[B]"},
    {TN_TYPES("f32[1]"), "{op=max, axis=0}", 0, 0, "i64[]"},
    {TN_TYPES("f32[0,3]"), "{op=max, axis=1}", 0, 0, "i64[0]"},
    {TN_TYPES("f32[2,3]"), "{op=max, axis=2}", 0, 0, NULL},
    {TN_TYPES("bool[2]"), "{op=max, axis=0}", 0, 0, NULL},
};

const tn_opdef tn_op_argreduce = {
    .name = "argreduce",
    .kind = TN_OP_PRIMITIVE,
    .doc = "The i64 position of the largest or smallest element along axis, which is dropped. Ties go to the lowest "
           "index, or the highest with last; a NaN wins. An empty axis gives 0.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_argreduce,
    .eval = eval_argreduce,
    TN_ONNX(onnx),
    .export = export_argreduce,
    TN_SAMPLES(samples),
};
