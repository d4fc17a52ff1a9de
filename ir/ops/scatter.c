/* scatter: x with u[I, R] combined in at the places gather would read, in ascending row-major order of I. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

#include <string.h>

enum { AXES, MODE, UNIQUE };
static const char *const modes[] = {"set", "add", "mul", "min", "max", NULL};

static bool check_updates(tn_infer *infer, const tn_type *x, const tn_type *index) {
  const tn_type *u = infer->operands[1]->type;
  const tn_attr *axes = &infer->attrs[AXES];
  if (!tn_infer_rank(infer, 1, index->ndim + x->ndim - axes->u.list.n)) return false;
  bool ok = true;
  uint32_t at = 0;
  for (; at < index->ndim; at++)
    ok = tn_func_require_eq(infer->func, u->dims[at], index->dims[at], infer->loc,
                            "'scatter': %s axis %u against the indices", tn_infer_operand(infer, 1), at) && ok;
  for (uint32_t i = 0; i < x->ndim; i++) {
    if (tn_ints_have(axes, i)) continue;
    ok = tn_func_require_eq(infer->func, u->dims[at], x->dims[i], infer->loc, "'scatter': %s axis %u against x axis %u",
                            tn_infer_operand(infer, 1), at, i) && ok;
    at++;
  }
  return ok;
}

static bool infer_scatter(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type, *first = infer->operands[2]->type;
  const tn_attr *axes = &infer->attrs[AXES];
  bool ok = tn_infer_length(infer, "axes", axes, infer->n_operands - 2);
  ok = tn_infer_axes(infer, "axes", axes, x->ndim) && ok;
  if (!ok) return false;
  if (x->dtype == TN_BOOL && infer->attrs[MODE].u.i != 0)
    ok = tn_infer_error(infer, TN_E_DTYPE, "mode '%s' needs numbers, found bool", modes[infer->attrs[MODE].u.i]);
  for (uint32_t k = 3; k < infer->n_operands; k++) {
    const tn_type *type = infer->operands[k]->type;
    if (!tn_infer_rank(infer, k, first->ndim)) return false;
    for (uint32_t i = 0; i < first->ndim; i++)
      ok = tn_func_require_eq(infer->func, type->dims[i], first->dims[i], infer->loc, "'scatter': index %u, axis %u",
                              k - 2, i) && ok;
  }
  ok = check_updates(infer, x, first) && ok;
  infer->types[0] = x;
  return ok;
}

static tn_number combine(const tn_eval *eval, int64_t mode, tn_dtype dtype, tn_number old, tn_number v) {
  static const tn_scalar scalars[] = {TN_ADD, TN_ADD, TN_MUL, TN_MIN, TN_MAX};
  if (mode == 0) return v;
  tn_number args[2] = {old, v};
  return tn_scalar_apply(scalars[mode], dtype, dtype, eval->mode == TN_EVAL_EXACT, args);
}

static bool eval_scatter(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0), *u = tn_eval_operand(eval, node, 1);
  const tn_attr *axes = &node->attrs[AXES];
  const tn_tensor *indices[TN_MAX_NDIM];
  for (uint32_t i = 0; i < axes->u.list.n; i++) indices[i] = tn_eval_operand(eval, node, i + 2);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  memcpy(out->data, x->data, (size_t)x->count * sizeof *x->data);
  if (out->count == 0 || u->count == 0) return true;
  int64_t strides[TN_MAX_NDIM], rest_extents[TN_MAX_NDIM], rest_strides[TN_MAX_NDIM];
  tn_tensor_strides(x, strides);
  uint32_t n_rest = 0;
  for (uint32_t i = 0; i < x->ndim; i++)
    if (!tn_ints_have(axes, i)) {
      rest_extents[n_rest] = x->extents[i];
      rest_strides[n_rest++] = strides[i];
    }
  int64_t at = 0;
  for (int64_t k = 0; k < indices[0]->count; k++) {
    int64_t base = 0, index[TN_MAX_NDIM] = {0};
    for (uint32_t i = 0; i < axes->u.list.n; i++) {
      int64_t axis = axes->u.list.ints[i], v = indices[i]->data[k].i, extent = x->extents[axis];
      base += (v < 0 ? 0 : v >= extent ? extent - 1 : v) * strides[axis];
    }
    do {
      int64_t offset = base;
      for (uint32_t i = 0; i < n_rest; i++) offset += index[i] * rest_strides[i];
      out->data[offset] = combine(eval, node->attrs[MODE].u.i, x->dtype, out->data[offset], u->data[at++]);
    } while (tn_index_next(index, rest_extents, n_rest));
  }
  return true;
}

static tn_value *gather_like(tn_vjp *v, tn_value *from) {
  tn_value *in[TN_MAX_NDIM + 1] = {from};
  uint32_t n = v->node->n_operands;
  for (uint32_t i = 2; i < n; i++) in[i - 1] = v->operands[i];
  return tn_build_op(v->build, tn_op_find("gather"), in, n - 1, &v->node->attrs[AXES]);
}

static tn_value *scatter_as(tn_vjp *v, tn_value *x, tn_value *u, const char *mode) {
  const tn_opdef *op = tn_op_find("scatter");
  tn_value *in[TN_MAX_NDIM + 2] = {x, u};
  uint32_t n = v->node->n_operands;
  for (uint32_t i = 2; i < n; i++) in[i] = v->operands[i];
  tn_attr attrs[3] = {v->node->attrs[AXES], tn_attr_name(op, "mode", mode), v->node->attrs[UNIQUE]};
  return tn_build_op(v->build, op, in, n, attrs);
}

/* Of the updates that were set at one place only the last got there: the one whose number is found there. */
static tn_value *of_updates(tn_vjp *v) {
  tn_build *b = v->build;
  const tn_type *u = v->operands[1]->type, *x = v->operands[0]->type;
  tn_value *taken = gather_like(v, v->dy[0]);
  if (v->node->attrs[UNIQUE].u.i != 0 || u->ndim == 0) return taken;
  const tn_dim *count = tn_dim_product(b->ctx, u->dims, u->ndim);
  tn_value *number = tn_build_reshape(b, tn_build_iota(b, &count, 1, 0, TN_I64), u->dims, u->ndim);
  tn_value *none = tn_build_broadcast_to(b, tn_build_splat_i(b, TN_I64, -1), x->dims, x->ndim);
  tn_value *last = tn_build_binary(b, TN_EQ, gather_like(v, scatter_as(v, none, number, "set")), number);
  return tn_build_select(b, last, taken, taken == NULL ? NULL : tn_build_fill_like(b, taken, 0));
}

/* An extreme's gradient is shared equally among those that reach it, as that of reduce. */
static bool of_extreme(tn_vjp *v) {
  tn_build *b = v->build;
  tn_value *x = v->operands[0], *u = v->operands[1], *y = v->results[0];
  tn_value *x_wins = tn_build_cast(b, tn_build_binary(b, TN_EQ, x, y), x->type->dtype);
  tn_value *u_wins = tn_build_cast(b, tn_build_binary(b, TN_EQ, u, gather_like(v, y)), x->type->dtype);
  tn_value *count = scatter_as(v, x_wins, u_wins, "add");
  tn_value *share = tn_build_binary(b, TN_DIV, v->dy[0], count);
  if (v->needed[0]) v->dx[0] = tn_build_binary(b, TN_MUL, x_wins, share);
  if (v->needed[1]) v->dx[1] = tn_build_binary(b, TN_MUL, u_wins, gather_like(v, share));
  return true;
}

/* A factor's gradient is the product of the others: what the factors other than 0 give, divided by it; where one factor
 * is 0 that one gets the product, and no other gets anything. */
static bool of_product(tn_vjp *v) {
  tn_build *b = v->build;
  tn_value *x = v->operands[0], *u = v->operands[1];
  tn_value *none_x = tn_build_fill_like(b, x, 0), *none_u = tn_build_fill_like(b, u, 0);
  tn_value *one_x = tn_build_fill_like(b, x, 1), *one_u = tn_build_fill_like(b, u, 1);
  tn_value *is_zero = tn_build_binary_f(b, TN_EQ, u, 0), *factor = tn_build_select(b, is_zero, one_u, u);
  if (v->needed[0]) v->dx[0] = tn_build_binary(b, TN_MUL, v->dy[0], scatter_as(v, one_x, u, "mul"));
  if (!v->needed[1]) return true;
  tn_value *zeros = gather_like(v, scatter_as(v, none_x, tn_build_select(b, is_zero, one_u, none_u), "add"));
  tn_value *product = gather_like(v, tn_build_binary(b, TN_MUL, v->dy[0], scatter_as(v, x, factor, "mul")));
  tn_value *others = tn_build_binary(b, TN_SUB, zeros, tn_build_select(b, is_zero, one_u, none_u));
  v->dx[1] = tn_build_select(b, tn_build_binary_f(b, TN_EQ, others, 0), tn_build_binary(b, TN_DIV, product, factor),
                             none_u);
  return true;
}

static bool vjp_scatter(tn_vjp *v) {
  const char *mode = modes[v->node->attrs[MODE].u.i];
  bool ok = true;
  if (mode[0] == 's') {
    if (v->needed[0]) v->dx[0] = scatter_as(v, v->dy[0], tn_build_fill_like(v->build, v->operands[1], 0), "set");
    if (v->needed[1]) v->dx[1] = of_updates(v);
  } else if (mode[0] == 'a') {
    if (v->needed[0]) v->dx[0] = v->dy[0];
    if (v->needed[1]) v->dx[1] = gather_like(v, v->dy[0]);
  } else {
    ok = mode[1] == 'u' ? of_product(v) : of_extreme(v);
  }
  for (uint32_t i = 0; i < 2; i++) ok &= !v->needed[i] || v->dx[i] != NULL;
  return ok;
}

/* ScatterND works on leading axes. */
static bool export_scatter(tn_export *x, const tn_node *node) {
  static const char *const reductions[] = {"none", "add", "mul", "min", "max"};
  const tn_attr *axes = &node->attrs[AXES];
  uint32_t ndim = node->results[0]->type->ndim;
  int64_t perm[TN_MAX_NDIM], inverse[TN_MAX_NDIM], mode = node->attrs[MODE].u.i;
  const char *name = tn_export_operand(x, node, 0), *result = tn_export_result(x, node, 0);
  bool in_place = tn_export_axes_first(axes, ndim, perm);
  if (!in_place) name = tn_export_transpose(x, name, perm, ndim, NULL);
  TN_ASSERT(strcmp(modes[mode], mode ? reductions[mode] : "set") == 0);
  name =
      tn_export_emit(x, "ScatterND", 0, TN_NAMES(name, tn_export_index_list(x, node, 2), tn_export_operand(x, node, 1)),
                     TN_FOREIGN(tn_foreign_of_string("reduction", reductions[mode])), in_place ? result : NULL);
  for (uint32_t i = 0; i < ndim; i++) inverse[perm[i]] = i;
  if (!in_place) tn_export_transpose(x, name, inverse, ndim, result);
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                          {"u", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, "x", 0},
                                          {"index", TN_VARIADIC, TN_SET_INDEX, TN_ROLE_INDEX, NULL, 1}};
static const tn_attr_def attrs[] = {{.name = "axes", .kind = TN_ATTR_INTS, .required = true},
                                    {.name = "mode", .kind = TN_ATTR_NAME, .names = modes},
                                    {.name = "unique", .kind = TN_ATTR_BOOL}};
static const tn_onnx_row onnx[] = {
    {"", "Scatter", 9, 0, tn_import_scatter_elements},
    {"", "ScatterElements", 11, 0, tn_import_scatter_elements},
    {"", "ScatterND", 11, 0, tn_import_scatter_nd},
    {"", "MaxUnpool", 9, 0, tn_import_max_unpool},
    {"", "TensorScatter", 24, 0, tn_import_tensor_scatter},
    {"", "TfIdfVectorizer", 9, 0, tn_import_tfidf},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[5,3]", "f32[2,3]", "i64[2]"), "{axes=[0], mode=add}", 0, 0, "f32[5,3]"},
    {TN_TYPES("f32[2,5]", "f32[B]", "i32[B]", "i32[B]"), "{axes=[0,1], mode=set}", 0, 0, "f32[2,5]"},
    {TN_TYPES("i32[4]", "i32[0]", "i64[0]"), "{axes=[0], mode=max}", 0, 0, "i32[4]"},
    {TN_TYPES("f32[4]", "f32[]", "i64[]"), "{axes=[0], mode=mul, unique=true}", 0, 0, "f32[4]"},
    {TN_TYPES("f32[3]", "f32[B,4]", "i64[B,4]"), "{axes=[0], mode=mul}", 0, 0, "f32[3]"},
    {TN_TYPES("f64[3,2]", "f64[7,2]", "i32[7]"), "{axes=[0], mode=min}", 0, 0, "f64[3,2]"},
    {TN_TYPES("f32[4]", "f32[6]", "i64[6]"), "{axes=[0], mode=max}", 0, 0, "f32[4]"},
    {TN_TYPES("f32[4]", "f32[3]", "i64[2]"), "{axes=[0], mode=set}", 0, 0, NULL},
    {TN_TYPES("bool[4]", "bool[2]", "i64[2]"), "{axes=[0], mode=add}", 0, 0, NULL},
};

const tn_opdef tn_op_scatter = {
    .name = "scatter",
    .kind = TN_OP_PRIMITIVE,
    .doc = "x with u[I, R] combined in (set, add, mul, min, max) at [i1[I] .. ik[I] on axes; R on the others], in "
           "ascending row-major order of I. unique promises that no place occurs twice. Indices are clamped.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_scatter,
    .eval = eval_scatter,
    .vjp = vjp_scatter,
    TN_ONNX(onnx),
    .export = export_scatter,
    TN_SAMPLES(samples),
};
