/* What window and argwindow share: extents, and the walk over one window. See sliding.h. */
#include "ir/ops/sliding.h"

#include "ir/ops/spatial.h"

bool tn_sliding_infer(tn_infer *infer, tn_dtype dtype) {
  const tn_type *x = infer->operands[0]->type;
  const tn_attr *attrs = infer->attrs, *axes = &attrs[TN_SLIDING_AXES];
  static const char *const names[] = {"", "", "size", "stride", "dilate", "lo", "hi"};
  bool ok = tn_infer_axes(infer, "axes", axes, x->ndim);
  for (uint32_t i = TN_SLIDING_SIZE; i <= TN_SLIDING_HI; i++)
    ok = tn_infer_length(infer, names[i], &attrs[i], axes->u.list.n) && ok;
  if (!ok) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) dims[i] = x->dims[i];
  for (uint32_t i = 0; i < axes->u.list.n; i++) {
    int64_t axis = axes->u.list.ints[i];
    const tn_dim *size = tn_dim_const(infer->ctx, attrs[TN_SLIDING_SIZE].u.list.ints[i]);
    dims[axis] = tn_spatial_extent(infer, x->dims[axis], attrs[TN_SLIDING_LO].u.list.dims[i],
                                   attrs[TN_SLIDING_HI].u.list.dims[i], size,
                                   attrs[TN_SLIDING_STRIDE].u.list.ints[i], attrs[TN_SLIDING_DILATE].u.list.ints[i],
                                   i);
    if (dims[axis] == NULL) ok = false;
  }
  return ok && tn_infer_result(infer, 0, dtype, x->ndim, dims);
}

static bool wins(tn_fold fold, tn_dtype dtype, tn_number v, tn_number best) {
  tn_number args[2] = {v, best};
  if (tn_dtype_is_float(dtype) && best.f != best.f) return false;
  if (tn_dtype_is_float(dtype) && v.f != v.f) return true;
  return tn_scalar_apply(fold == TN_FOLD_MAX ? TN_GT : TN_LT, dtype, TN_BOOL, true, args).i != 0;
}

bool tn_sliding_start(tn_eval *eval, const tn_node *node, tn_sliding *out) {
  static const tn_fold folds[] = {TN_FOLD_MAX, TN_FOLD_MIN, TN_FOLD_SUM};
  const tn_attr *attrs = node->attrs;
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  tn_fold fold = folds[attrs[TN_SLIDING_OP].u.i];
  *out = (tn_sliding){.x = x, .n = attrs[TN_SLIDING_AXES].u.list.n, .fold = fold,
                      .acc = fold == TN_FOLD_SUM ? tn_dtype_acc(x->dtype) : x->dtype,
                      .exact = eval->mode == TN_EVAL_EXACT, .axes = attrs[TN_SLIDING_AXES].u.list.ints,
                      .size = attrs[TN_SLIDING_SIZE].u.list.ints, .stride = attrs[TN_SLIDING_STRIDE].u.list.ints,
                      .dilate = attrs[TN_SLIDING_DILATE].u.list.ints};
  tn_tensor_strides(x, out->strides);
  for (uint32_t i = 0; i < out->n; i++)
    if (!tn_eval_dim(eval, attrs[TN_SLIDING_LO].u.list.dims[i], &out->lo[i])) return false;
  return true;
}

tn_number tn_sliding_fold(const tn_sliding *j, const int64_t *out_index, int64_t *out_winner) {
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
