/* reduce: axes folded away. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/fold.h"
#include "ir/ops/onnx.h"

enum { OP, AXES, ACC, ORDER };
static const char *const orders[] = {"free", "tree", NULL};

static bool infer_reduce(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  bool ok = tn_infer_axes(infer, "axes", &infer->attrs[AXES], x->ndim);
  ok = tn_infer_fold(infer, (tn_fold)infer->attrs[OP].u.i, x->dtype) && ok;
  if (x->dtype != TN_BOOL) ok = tn_infer_acc(infer, &infer->attrs[ACC], x->dtype) && ok;
  if (!ok) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->ndim; i++)
    if (!tn_ints_have(&infer->attrs[AXES], i)) dims[n++] = x->dims[i];
  return tn_infer_result(infer, 0, x->dtype, n, dims);
}

static void reduce_index(tn_ctx *ctx, tn_node *node) {
  const tn_dim *const *index = tn_index_of(node, 0);
  if (index == NULL || node->operands[0].value->type->ndim != 1 || node->attrs[AXES].u.list.n != 1) return;
  tn_fold fold = (tn_fold)node->attrs[OP].u.i;
  uint32_t n = node->operands[0].value->n_index;
  if (n == 0 && fold != TN_FOLD_SUM && fold != TN_FOLD_PROD) return;
  const tn_dim *total = n == 0 ? tn_dim_const(ctx, fold == TN_FOLD_PROD) : index[0];
  for (uint32_t i = 1; i < n; i++) {
    if (fold == TN_FOLD_SUM) total = tn_dim_add(ctx, total, index[i]);
    else if (fold == TN_FOLD_PROD) total = tn_dim_mul(ctx, total, index[i]);
    else if (fold == TN_FOLD_MAX) total = tn_dim_max(ctx, total, index[i]);
    else if (fold == TN_FOLD_MIN) total = tn_dim_min(ctx, total, index[i]);
    else return;
  }
  tn_index_set(node, &total, 1);
}

/* The balanced binary tree over n values `stride` apart, left-complete: the left half has the larger power of two. */
static tn_number fold_tree(tn_fold fold, tn_dtype acc, bool exact, const tn_number *data, int64_t n, int64_t stride) {
  if (n == 1) return data[0];
  int64_t left = 1;
  while (2 * left < n) left *= 2;
  tn_number p = fold_tree(fold, acc, exact, data, left, stride);
  tn_number q = fold_tree(fold, acc, exact, data + left * stride, n - left, stride);
  return tn_fold_step(fold, acc, exact, p, q);
}

static bool eval_reduce(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  const tn_attr *axes = &node->attrs[AXES];
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  tn_fold fold = (tn_fold)node->attrs[OP].u.i;
  bool exact = eval->mode == TN_EVAL_EXACT;
  tn_dtype acc = x->dtype == TN_BOOL ? TN_BOOL : tn_acc_dtype(x->dtype, &node->attrs[ACC]);
  /* x with the folded axes last */
  int64_t from[TN_MAX_NDIM], strides[TN_MAX_NDIM], extents[TN_MAX_NDIM], count = 1;
  uint32_t n = 0;
  tn_tensor_strides(x, from);
  for (int folded = 0; folded < 2; folded++)
    for (uint32_t i = 0; i < x->ndim; i++) {
      if (tn_ints_have(axes, i) != (folded == 1)) continue;
      if (folded == 1) count *= x->extents[i];
      strides[n] = from[i];
      extents[n++] = x->extents[i];
    }
  tn_arena *scratch = tn_arena_create_scratch(eval->arena);
  tn_tensor *moved = tn_tensor_create(scratch, x->dtype, n, extents);
  tn_tensor_view(moved, x, 0, strides);
  for (int64_t k = 0; k < out->count; k++) {
    tn_number total = tn_fold_identity(fold, acc);
    const tn_number *data = moved->data + k * count;
    if (node->attrs[ORDER].u.i == 1 && count > 0) total = fold_tree(fold, acc, exact, data, count, 1);
    else
      for (int64_t i = 0; i < count; i++) total = tn_fold_step(fold, acc, exact, total, data[i]);
    out->data[k] = tn_eval_round(eval, out->dtype, total);
  }
  tn_arena_destroy(scratch);
  return true;
}

/* A value without the folded axes, repeated along them. */
static tn_value *spread(tn_vjp *v, tn_value *value) {
  const tn_type *x = v->operands[0]->type;
  int64_t map[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->ndim; i++)
    if (!tn_ints_have(&v->node->attrs[AXES], i)) map[n++] = i;
  return tn_build_broadcast_map(v->build, value, x->dims, x->ndim, map);
}

/* Each element's derivative is the product of the others, taken without division so that zeros do no harm: of all
 * before it times all behind it, along the folded axes laid out as one. */
static tn_value *product_of_others(tn_vjp *v) {
  tn_build *b = v->build;
  tn_value *x = v->operands[0];
  int64_t perm[TN_MAX_NDIM], back[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM + 1], *folded = tn_dim_const(b->ctx, 1);
  uint32_t n = 0, at = 0;
  for (uint32_t i = 0; i < x->type->ndim; i++)
    if (!tn_ints_have(&v->node->attrs[AXES], i)) perm[n++] = i;
  at = n;
  for (uint32_t i = 0; i < x->type->ndim; i++)
    if (tn_ints_have(&v->node->attrs[AXES], i)) perm[at++] = i;
  for (uint32_t i = 0; i < at; i++) back[perm[i]] = i;
  for (uint32_t i = 0; i < n; i++) dims[i] = x->type->dims[perm[i]];
  for (uint32_t i = n; i < at; i++) folded = tn_dim_mul(b->ctx, folded, x->type->dims[perm[i]]);
  dims[n] = folded;
  tn_value *moved = tn_build_transpose(b, x, perm), *flat = tn_build_reshape(b, moved, dims, n + 1);
  if (flat == NULL) return NULL;
  const tn_opdef *op = tn_op_find("cumulate");
  tn_value *side[2];
  for (int reverse = 0; reverse < 2; reverse++) {
    tn_attr attrs[4] = {tn_attr_name(op, "op", "prod"), tn_attr_int(n), tn_attr_bool(reverse), tn_attr_bool(true)};
    side[reverse] = tn_build_op(b, op, &flat, 1, attrs);
  }
  tn_value *product = tn_build_binary(b, TN_MUL, side[0], side[1]);
  return tn_build_transpose(b, tn_build_reshape(b, product, moved->type->dims, at), back);
}

/* An extreme's gradient is shared equally among the elements that reach it. */
static tn_value *shared_by_winners(tn_vjp *v) {
  tn_build *b = v->build;
  tn_value *x = v->operands[0];
  const tn_attr *axes = &v->node->attrs[AXES];
  tn_value *wins = tn_build_cast(b, tn_build_binary(b, TN_EQ, x, spread(v, v->results[0])), x->type->dtype);
  tn_value *count = tn_build_reduce(b, "sum", wins, axes->u.list.ints, axes->u.list.n, false);
  tn_value *share = tn_build_binary(b, TN_DIV, v->dy[0], count);
  return tn_build_binary(b, TN_MUL, wins, spread(v, share));
}

static bool vjp_reduce(tn_vjp *v) {
  switch ((tn_fold)v->node->attrs[OP].u.i) {
    case TN_FOLD_SUM: v->dx[0] = spread(v, v->dy[0]); break;
    case TN_FOLD_PROD: v->dx[0] = tn_build_binary(v->build, TN_MUL, spread(v, v->dy[0]), product_of_others(v)); break;
    default: v->dx[0] = shared_by_winners(v); break;
  }
  return v->dx[0] != NULL;
}

/* Of truth values: how many are true, or false, is 0 or not; also of none. */
static void export_reduce_bool(tn_export *x, const tn_node *node, const char *name, bool is_and, const char *result) {
  const tn_attr *axes = &node->attrs[AXES];
  if (is_and) name = tn_export_unary(x, "Not", name, NULL);
  name = tn_export_emit(x, "ReduceSum", 0, TN_NAMES(tn_export_cast(x, name, TN_I32, NULL),
                                                    tn_export_ints(x, axes->u.list.ints, axes->u.list.n)),
                        TN_FOREIGN(tn_foreign_of_int("keepdims", 0)), NULL);
  name = tn_export_cast(x, name, TN_BOOL, is_and ? NULL : result);
  if (is_and) tn_export_unary(x, "Not", name, result);
}

/* The type ONNX folds in, for those it does not fold as they are. */
static tn_dtype folded_type(tn_dtype dtype, tn_fold fold) {
  bool is_extreme = fold == TN_FOLD_MAX || fold == TN_FOLD_MIN;
  if (tn_dtype_is_float(dtype)) return tn_dtype_bits(dtype) < 16 ? TN_F32 : dtype;
  if (tn_dtype_bits(dtype) >= 32 || (is_extreme && tn_dtype_bits(dtype) == 8)) return dtype;
  return TN_I32;
}

static bool export_reduce(tn_export *x, const tn_node *node) {
  static const char *const ops[] = {"ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin"}; /* as the first of tn_fold */
  tn_fold fold = (tn_fold)node->attrs[OP].u.i;
  tn_dtype dtype = node->operands[0].value->type->dtype, to = folded_type(dtype, fold);
  const tn_attr *axes = &node->attrs[AXES];
  const char *name = tn_export_operand(x, node, 0), *result = tn_export_result(x, node, 0);
  if (axes->u.list.n == 0) {
    tn_export_unary(x, "Identity", name, result);
    return true;
  }
  if (dtype == TN_BOOL) {
    bool is_and = fold == TN_FOLD_AND || fold == TN_FOLD_MIN || fold == TN_FOLD_PROD;
    export_reduce_bool(x, node, name, is_and, result);
    return true;
  }
  if (fold > TN_FOLD_MIN) return false;
  if (to != dtype) name = tn_export_cast(x, name, to, NULL);
  name = tn_export_emit(x, ops[fold], 0, TN_NAMES(name, tn_export_ints(x, axes->u.list.ints, axes->u.list.n)),
                        TN_FOREIGN(tn_foreign_of_int("keepdims", 0)), to == dtype ? result : NULL);
  if (to != dtype) tn_export_cast(x, name, dtype, result);
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "op", .kind = TN_ATTR_NAME, .required = true, .names = tn_fold_names},
                                    {.name = "axes", .kind = TN_ATTR_INTS, .required = true},
                                    {.name = "acc", .kind = TN_ATTR_DTYPE, .no_default = true},
                                    {.name = "order", .kind = TN_ATTR_NAME, .names = orders}};
static const tn_onnx_row onnx[] = {
    {"", "ReduceSum", 1, 0, tn_import_reduce},
    {"", "ReduceMean", 1, 0, tn_import_reduce},
    {"", "ReduceMax", 1, 0, tn_import_reduce},
    {"", "ReduceMin", 1, 0, tn_import_reduce},
    {"", "ReduceProd", 1, 0, tn_import_reduce},
    {"", "ReduceL1", 1, 0, tn_import_reduce},
    {"", "ReduceL2", 1, 0, tn_import_reduce},
    {"", "ReduceLogSum", 1, 0, tn_import_reduce},
    {"", "ReduceLogSumExp", 1, 0, tn_import_reduce},
    {"", "ReduceSumSquare", 1, 0, tn_import_reduce},
    {"ai.onnx.ml", "Normalizer", 1, 0, tn_import_normalizer},
    {"", "Sum", 1, 0, tn_import_sum},
    {"", "Mean", 1, 0, tn_import_sum},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,4]"), "{op=sum, axes=[0,2]}", 0, 0, "f32[3]"},
    {TN_TYPES("f32[B,3]"), "{op=max, axes=[1]}", 0, 0, "f32[B]"},
    {TN_TYPES("f32[2,0]"), "{op=min, axes=[1]}", 0, 0, "f32[2]"},
    {TN_TYPES("i8[9]"), "{op=prod, axes=[0]}", -2, 2, "i8[]"},
    {TN_TYPES("bool[2,3]"), "{op=and, axes=[1]}", 0, 1, "bool[2]"},
    {TN_TYPES("f32[7]"), "{op=sum, axes=[0], order=tree}", 0, 0, "f32[]"},
    {TN_TYPES("f32[2]"), "{op=sum, axes=[]}", 0, 0, "f32[2]"},
    {TN_TYPES("f32[2]"), "{op=sum, axes=[1]}", 0, 0, NULL},
    {TN_TYPES("f32[2,2]"), "{op=sum, axes=[1,1]}", 0, 0, NULL},
    {TN_TYPES("bool[2]"), "{op=sum, axes=[0]}", 0, 0, NULL},
};

const tn_opdef tn_op_reduce = {
    .name = "reduce",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Folds axes away (sum, prod, max, min, and, or) in acc; empty axes give the identity. order=tree: the "
           "balanced binary tree over ascending index.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_reduce,
    .index = reduce_index,
    .eval = eval_reduce,
    .vjp = vjp_reduce,
    TN_ONNX(onnx),
    .export = export_reduce,
    TN_SAMPLES(samples),
};
