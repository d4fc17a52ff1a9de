/* window: max, min or sum over sliding windows; padding gives the identity. The import handles MaxPool; average pooling
 * and LpPool are composed of it in onnx_pool.c. */
#include "ir/ops/fold.h"
#include "ir/ops/onnx.h"
#include "ir/ops/pooling.h"
#include "ir/ops/spatial.h"

enum { OP, AXES, SIZE, STRIDE, DILATE, LO, HI, INDEX, N_ATTRS };
static const char *const ops[] = {"max", "min", "sum", NULL};
static const tn_fold folds[] = {TN_FOLD_MAX, TN_FOLD_MIN, TN_FOLD_SUM};

static bool infer_window(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  const tn_attr *attrs = infer->attrs, *axes = &attrs[AXES];
  static const char *const names[] = {"", "", "size", "stride", "dilate", "lo", "hi"};
  bool ok = tn_infer_axes(infer, "axes", axes, x->ndim);
  for (uint32_t i = SIZE; i <= HI; i++) ok = tn_infer_length(infer, names[i], &attrs[i], axes->u.list.n) && ok;
  if (attrs[INDEX].u.i != 0 && attrs[OP].u.i == 2) ok = tn_infer_error(infer, TN_E_ATTR, "index: a sum has no winner");
  if (!ok) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) dims[i] = x->dims[i];
  for (uint32_t i = 0; i < axes->u.list.n; i++) {
    int64_t axis = axes->u.list.ints[i];
    dims[axis] = tn_spatial_extent(infer, x->dims[axis], attrs[LO].u.list.dims[i], attrs[HI].u.list.dims[i],
                                   tn_dim_const(infer->ctx, attrs[SIZE].u.list.ints[i]), attrs[STRIDE].u.list.ints[i],
                                   attrs[DILATE].u.list.ints[i], i);
    if (dims[axis] == NULL) ok = false;
  }
  if (!ok || !tn_infer_result(infer, 0, x->dtype, x->ndim, dims)) return false;
  infer->n_results = attrs[INDEX].u.i != 0 ? 2 : 1;
  if (infer->n_results == 2) return tn_infer_result(infer, 1, TN_I64, x->ndim, dims);
  return true;
}

static bool wins(tn_fold fold, tn_dtype dtype, tn_number v, tn_number best) {
  tn_number args[2] = {v, best};
  if (tn_dtype_is_float(dtype) && best.f != best.f) return false;
  if (tn_dtype_is_float(dtype) && v.f != v.f) return true;
  return tn_scalar_apply(fold == TN_FOLD_MAX ? TN_GT : TN_LT, dtype, TN_BOOL, true, args).i != 0;
}

typedef struct job {
  const tn_tensor *x;
  tn_fold fold;
  tn_dtype acc;
  bool exact;
  uint32_t n;
  const int64_t *axes, *size, *stride, *dilate;
  int64_t lo[TN_MAX_NDIM], strides[TN_MAX_NDIM];
} job;

/* Folds the window at out_index; *out_winner = flat position of the winner over the axes, or -1. */
static tn_number fold_window(const job *j, const int64_t *out_index, int64_t *out_winner) {
  int64_t fixed = 0, k[TN_MAX_NDIM] = {0};
  for (uint32_t i = 0; i < j->x->ndim; i++) fixed += out_index[i] * j->strides[i];
  for (uint32_t i = 0; i < j->n; i++) fixed -= out_index[j->axes[i]] * j->strides[j->axes[i]];
  tn_number total = tn_fold_identity(j->fold, j->acc);
  *out_winner = -1;
  do {
    int64_t at = fixed, flat = 0;
    bool inside = true;
    for (uint32_t i = 0; i < j->n && inside; i++) {
      int64_t axis = j->axes[i], extent = j->x->extents[axis];
      int64_t position = out_index[axis] * j->stride[i] - j->lo[i] + k[i] * j->dilate[i];
      inside = position >= 0 && position < extent;
      at += position * j->strides[axis];
      flat = flat * extent + position;
    }
    if (!inside) continue;
    tn_number v = j->x->data[at];
    if (j->fold == TN_FOLD_SUM) total = tn_fold_step(TN_FOLD_SUM, j->acc, j->exact, total, v);
    else if (*out_winner < 0 || wins(j->fold, j->x->dtype, v, total)) {
      total = v;
      *out_winner = flat;
    }
  } while (tn_index_next(k, j->size, j->n));
  return total;
}

static bool eval_window(tn_eval *eval, const tn_node *node) {
  const tn_attr *attrs = node->attrs;
  job j = {.x = tn_eval_operand(eval, node, 0), .n = attrs[AXES].u.list.n};
  tn_tensor *out = tn_eval_result(eval, node, 0);
  tn_tensor *winners = node->n_results == 2 ? tn_eval_result(eval, node, 1) : NULL;
  if (out == NULL || (node->n_results == 2 && winners == NULL)) return false;
  j.fold = folds[attrs[OP].u.i];
  j.exact = eval->mode == TN_EVAL_EXACT;
  j.acc = j.fold == TN_FOLD_SUM ? tn_dtype_acc(j.x->dtype) : j.x->dtype;
  j.axes = attrs[AXES].u.list.ints;
  j.size = attrs[SIZE].u.list.ints;
  j.stride = attrs[STRIDE].u.list.ints;
  j.dilate = attrs[DILATE].u.list.ints;
  tn_tensor_strides(j.x, j.strides);
  for (uint32_t i = 0; i < j.n; i++)
    if (!tn_eval_dim(eval, attrs[LO].u.list.dims[i], &j.lo[i])) return false;
  if (out->count == 0) return true;
  int64_t index[TN_MAX_NDIM] = {0}, at = 0;
  do {
    int64_t winner;
    out->data[at] = tn_eval_round(eval, out->dtype, fold_window(&j, index, &winner));
    if (winners != NULL) winners->data[at].i = winner < 0 ? 0 : winner;
    at++;
  } while (tn_index_next(index, out->extents, out->ndim));
  return true;
}

/* MaxPool's second result counts positions over the whole tensor, row-major or (storage_order 1) column-major in the
 * spatial axes: ((n*C + c) * plane) + position. */
static tn_value *onnx_indices(tn_foreign_node *node, tn_value *x, tn_value *winner, const tn_pooling *p,
                              bool column_major) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  const tn_type *type = winner->type;
  const tn_dim *plane = tn_dim_product(ctx, x->type->dims + 2, p->n);
  if (column_major) {
    tn_value *rest = winner, *flipped = NULL;
    const tn_dim *weight = plane;
    for (uint32_t i = p->n; i-- > 0;) { /* the last axis varies fastest in winner and gets the largest weight */
      const tn_dim *extent = x->type->dims[i + 2];
      const tn_dim *exact;
      if (!tn_dim_divide_exact(ctx, weight, extent, &exact)) return NULL;
      weight = exact;
      tn_value *e = tn_build_broadcast_map(b, tn_build_reshape(b, tn_build_dim_value(b, &extent, 1), NULL, 0),
                                           type->dims, type->ndim, NULL);
      tn_value *w = tn_build_broadcast_map(b, tn_build_reshape(b, tn_build_dim_value(b, &weight, 1), NULL, 0),
                                           type->dims, type->ndim, NULL);
      tn_value *term = tn_build_binary(b, TN_MUL, tn_build_binary(b, TN_REM, rest, e), w);
      flipped = flipped == NULL ? term : tn_build_binary(b, TN_ADD, flipped, term);
      rest = tn_build_binary(b, TN_DIV, rest, e);
    }
    winner = flipped;
  }
  tn_value *n = tn_build_iota(b, type->dims, type->ndim, 0, TN_I64),
           *c = tn_build_iota(b, type->dims, type->ndim, 1, TN_I64);
  const tn_dim *scale[2] = {tn_dim_mul(ctx, plane, x->type->dims[1]), plane};
  tn_value *sum = winner, *axis[2] = {n, c};
  for (int i = 0; i < 2; i++) {
    tn_value *w = tn_build_reshape(b, tn_build_dim_value(b, &scale[i], 1), NULL, 0);
    w = tn_build_broadcast_map(b, w, type->dims, type->ndim, NULL);
    sum = tn_build_binary(b, TN_ADD, sum, tn_build_binary(b, TN_MUL, axis[i], w));
  }
  return sum;
}

static bool import_max_pool(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t ceil_mode, storage_order, axes[TN_MAX_NDIM];
  tn_pooling p;
  if (x == NULL || !tn_foreign_int(node, "ceil_mode", 0, &ceil_mode) ||
      !tn_foreign_int(node, "storage_order", 0, &storage_order) || !tn_pooling_read(node, x, NULL, &p))
    return false;
  const char *auto_pad;
  if (!tn_foreign_string(node, "auto_pad", "NOTSET", &auto_pad)) return false;
  if (ceil_mode != 0 && auto_pad[0] != 'S') tn_pooling_ceil(b->ctx, x, &p);
  for (uint32_t i = 0; i < p.n; i++) axes[i] = i + 2;
  bool index = node->n_outputs > 1 && node->wanted[1];
  const tn_opdef *op = tn_op_find("window");
  tn_attr attrs[N_ATTRS] = {tn_attr_name(op, "op", "max"), tn_attr_ints(b->module, axes, p.n),
                            tn_attr_ints(b->module, p.kernel, p.n), tn_attr_ints(b->module, p.stride, p.n),
                            tn_attr_ints(b->module, p.dilate, p.n), tn_attr_dims(b->module, p.lo, p.n),
                            tn_attr_dims(b->module, p.hi, p.n), tn_attr_bool(index)};
  tn_node *made = tn_build_node(b, op, &x, 1, attrs);
  if (made == NULL) return false;
  if (index && !tn_foreign_set(node, 1, onnx_indices(node, x, made->results[1], &p, storage_order != 0))) return false;
  return tn_foreign_set(node, 0, made->results[0]);
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attr_defs[] = {
    {.name = "op", .kind = TN_ATTR_NAME, .required = true, .names = ops},
    {.name = "axes", .kind = TN_ATTR_INTS, .required = true},
    {.name = "size", .kind = TN_ATTR_INTS, .required = true, .min_i = 1, .max_i = INT32_MAX},
    TN_SPATIAL_ATTRS,
    {.name = "index", .kind = TN_ATTR_BOOL}};
static const tn_onnx_row onnx[] = {
    {"", "MaxPool", 1, 0, import_max_pool},
    {"", "AveragePool", 1, 0, tn_import_average_pool},
    {"", "LpPool", 1, 0, tn_import_lp_pool},
    {"", "GlobalAveragePool", 1, 0, tn_import_global_pool},
    {"", "GlobalMaxPool", 1, 0, tn_import_global_pool},
    {"", "GlobalLpPool", 1, 0, tn_import_global_pool},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[1,2,5,5]"), "{op=max, axes=[2,3], size=[3,2], stride=[2,1], dilate=[1,1], lo=[1,0], hi=[1,1]}", 0, 0,
     "f32[1,2,3,5]"},
    {TN_TYPES("f32[B,6]"), "{op=sum, axes=[1], size=[2], stride=[2], dilate=[2], lo=[0], hi=[0]}", 0, 0, "f32[B,2]"},
    {TN_TYPES("i8[2,4]"), "{op=min, axes=[1], size=[2], stride=[1], dilate=[1], lo=[0], hi=[0], index=true}", -9, 9,
     "i8[2,3], i64[2,3]"},
    {TN_TYPES("f32[0,4]"), "{op=max, axes=[1], size=[4], stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, "f32[0,1]"},
    {TN_TYPES("f32[4]"), "{op=max, axes=[0], size=[0], stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, NULL},
    {TN_TYPES("f32[4]"), "{op=max, axes=[0], size=[9], stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, NULL},
    {TN_TYPES("f32[4]"), "{op=sum, axes=[0], size=[2], stride=[1], dilate=[1], lo=[0], hi=[0], index=true}", 0, 0,
     NULL},
};

const tn_opdef tn_op_window = {
    .name = "window",
    .kind = TN_OP_PRIMITIVE,
    .doc = "max, min or sum over sliding windows on axes, extents as conv; padding gives the identity. index adds the "
           "flat row-major position of the winner over the axes; the first wins, a NaN wins over numbers.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attr_defs),
    .infer = infer_window,
    .eval = eval_window,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
