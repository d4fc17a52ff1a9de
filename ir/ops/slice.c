/* slice: y[i] = x[start + step * i]. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

enum { START, SIZE, STEP };

static int64_t step_of(const tn_attr *attrs, uint32_t axis) {
  return attrs[STEP].u.list.n == 0 ? 1 : attrs[STEP].u.list.ints[axis];
}

/* The first and the last position lie in [0, extent); written so that an empty slice at either end passes. */
static bool check_axis(tn_infer *infer, const tn_dim *extent, uint32_t axis) {
  tn_ctx *ctx = infer->ctx;
  const tn_dim *start = infer->attrs[START].u.list.dims[axis], *size = infer->attrs[SIZE].u.list.dims[axis];
  int64_t step = step_of(infer->attrs, axis);
  if (step == 0 || step == INT64_MIN) return tn_infer_error(infer, TN_E_ATTR, "axis %u: bad step", axis);
  if (tn_dim_is(size, 0)) return true;
  const tn_dim *last = tn_dim_add(ctx, start, tn_dim_mul_i(ctx, tn_dim_add_i(ctx, size, -1), step));
  const tn_dim *low = step > 0 ? start : last, *high = step > 0 ? last : start;
  const char *text = tn_infer_operand(infer, 0);
  bool ok = tn_infer_extent(infer, "size", size);
  ok = tn_func_require_le(infer->func, tn_dim_const(ctx, 0), low, infer->loc, "'slice': %s axis %u, first element",
                          text, axis) && ok;
  return tn_func_require_le(infer->func, tn_dim_add_i(ctx, high, 1), extent, infer->loc,
                            "'slice': %s axis %u, last element", text, axis) && ok;
}

static bool infer_slice(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  bool ok = tn_infer_length(infer, "start", &infer->attrs[START], x->ndim);
  ok = tn_infer_length(infer, "size", &infer->attrs[SIZE], x->ndim) && ok;
  if (infer->attrs[STEP].u.list.n != 0) ok = tn_infer_length(infer, "step", &infer->attrs[STEP], x->ndim) && ok;
  if (!ok) return false;
  for (uint32_t i = 0; i < x->ndim; i++) ok = check_axis(infer, x->dims[i], i) && ok;
  return tn_infer_result(infer, 0, x->dtype, x->ndim, infer->attrs[SIZE].u.list.dims) && ok;
}

static void slice_index(tn_ctx *ctx, tn_node *node) {
  (void)ctx;
  const tn_dim *const *index = tn_index_of(node, 0);
  const tn_dim *out[TN_MAX_INDEX];
  if (index == NULL || node->results[0]->type->ndim != 1) return;
  const tn_dim *start = node->attrs[START].u.list.dims[0], *size = node->attrs[SIZE].u.list.dims[0];
  if (!tn_dim_is_const(start) || !tn_dim_is_const(size)) return;
  int64_t step = step_of(node->attrs, 0), n = tn_dim_value(size);
  if (n > TN_MAX_INDEX) return;
  for (int64_t i = 0; i < n; i++) {
    int64_t from = tn_dim_value(start) + step * i;
    if (from < 0 || from >= (int64_t)node->operands[0].value->n_index) return;
    out[i] = index[from];
  }
  tn_index_set(node, out, (uint32_t)n);
}

static bool eval_slice(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  if (out->count == 0) return true;
  int64_t from[TN_MAX_NDIM], strides[TN_MAX_NDIM], base = 0;
  tn_tensor_strides(x, from);
  for (uint32_t i = 0; i < x->ndim; i++) {
    int64_t start, step = step_of(node->attrs, i);
    if (!tn_eval_dim(eval, node->attrs[START].u.list.dims[i], &start)) return false;
    int64_t last = start + step * (out->extents[i] - 1);
    if (start < 0 || start >= x->extents[i] || last < 0 || last >= x->extents[i])
      return tn_error(eval->ctx, node->loc, TN_E_SHAPE, "'slice': axis %u: %lld to %lld is outside 0 to %lld", i,
                      (long long)start, (long long)last, (long long)x->extents[i] - 1);
    base += start * from[i];
    strides[i] = step * from[i];
  }
  tn_tensor_view(out, x, base, strides);
  return true;
}

/* dy back at its places, zeros elsewhere: a pad between and around. A negative step is turned round first. */
static bool vjp_slice(tn_vjp *v) {
  tn_build *b = v->build;
  tn_ctx *ctx = b->ctx;
  const tn_attr *attrs = v->node->attrs;
  const tn_type *x = v->operands[0]->type;
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  int64_t inner[TN_MAX_NDIM];
  tn_value *dy = v->dy[0];
  for (uint32_t i = 0; i < x->ndim; i++) {
    const tn_dim *size = attrs[SIZE].u.list.dims[i], *first = attrs[START].u.list.dims[i];
    int64_t step = step_of(attrs, i);
    const tn_dim *last = tn_dim_add_i(ctx, size, -1), *span = tn_dim_mul_i(ctx, last, step);
    if (step < 0) {
      first = tn_dim_add(ctx, first, span);
      dy = tn_build_slice_axis(b, dy, i, last, size, -1);
      step = -step;
      span = tn_dim_mul_i(ctx, last, step);
    }
    inner[i] = step - 1;
    lo[i] = tn_dim_is(size, 0) ? x->dims[i] : first;
    hi[i] = tn_dim_is(size, 0) ? tn_dim_const(ctx, 0)
                               : tn_dim_add_i(ctx, tn_dim_sub(ctx, x->dims[i], tn_dim_add(ctx, first, span)), -1);
  }
  tn_attr pad[3] = {tn_attr_dims(b->module, lo, x->ndim), tn_attr_dims(b->module, hi, x->ndim),
                    tn_attr_ints(b->module, inner, x->ndim)};
  tn_value *in[2] = {dy, tn_build_splat_f(b, x->dtype, 0)};
  return (v->dx[0] = tn_build_op(b, tn_op_find("pad"), in, 2, pad)) != NULL;
}

static const tn_dim *last_of(tn_ctx *ctx, const tn_dim *start, const tn_dim *size, int64_t step) {
  return tn_dim_add(ctx, start, tn_dim_mul_i(ctx, tn_dim_add_i(ctx, size, -1), step));
}

/* Axes with a negative step: what they pass over is cut out forwards, then taken from its end. */
static bool export_slice(tn_export *x, const tn_node *node) {
  const tn_type *type = node->operands[0].value->type;
  const tn_attr *attrs = node->attrs;
  const tn_dim *starts[TN_MAX_NDIM], *ends[TN_MAX_NDIM];
  int64_t axes[TN_MAX_NDIM], steps[TN_MAX_NDIM], back[TN_MAX_NDIM], from_end[TN_MAX_NDIM], back_steps[TN_MAX_NDIM];
  int64_t to_start[TN_MAX_NDIM];
  uint32_t n = 0, n_back = 0;
  for (uint32_t i = 0; i < type->ndim; i++) {
    const tn_dim *start = attrs[START].u.list.dims[i], *size = attrs[SIZE].u.list.dims[i];
    int64_t step = attrs[STEP].u.list.n ? attrs[STEP].u.list.ints[i] : 1;
    if (step == 1 && tn_dim_is(start, 0) && size == type->dims[i]) continue;
    const tn_dim *last = last_of(x->ctx, start, size, step);
    axes[n] = i;
    steps[n] = step > 0 ? step : 1;
    starts[n] = step > 0 ? start : last;
    ends[n++] = tn_dim_add_i(x->ctx, step == 1 ? tn_dim_add(x->ctx, start, size) : step > 0 ? last : start,
                             step == 1 ? 0 : 1);
    if (step > 0) continue;
    back[n_back] = i;
    from_end[n_back] = -1;
    to_start[n_back] = INT64_MIN;
    back_steps[n_back++] = step;
  }
  const char *name = tn_export_operand(x, node, 0), *result = tn_export_result(x, node, 0);
  if (n == 0) tn_export_unary(x, "Identity", name, result);
  if (n > 0) {
    const char *start = tn_export_dims(x, starts, n), *end = tn_export_dims(x, ends, n);
    if (!start || !end) return false;
    name = tn_export_emit(x, "Slice", 0,
                          TN_NAMES(name, start, end, tn_export_ints(x, axes, n), tn_export_ints(x, steps, n)),
                          TN_NO_FOREIGN, n_back ? NULL : result);
  }
  if (n_back > 0)
    tn_export_emit(x, "Slice", 0,
                   TN_NAMES(name, tn_export_ints(x, from_end, n_back), tn_export_ints(x, to_start, n_back),
                            tn_export_ints(x, back, n_back), tn_export_ints(x, back_steps, n_back)),
                   TN_NO_FOREIGN, result);
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY | TN_DTYPE_BIT(TN_STR), TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "start", .kind = TN_ATTR_DIMS, .required = true},
                                    {.name = "size", .kind = TN_ATTR_DIMS, .required = true},
                                    {.name = "step", .kind = TN_ATTR_INTS}};
static const tn_onnx_row onnx[] = {
    {"", "Slice", 1, 0, tn_import_slice},
    {"", "Split", 2, 0, tn_import_split},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[5,4]"), "{start=[1,0], size=[3,4], step=[1,1]}", 0, 0, "f32[3,4]"},
    {TN_TYPES("f32[B,4]"), "{start=[0,3], size=[B,4], step=[1,-1]}", 0, 0, "f32[B,4]"},
    {TN_TYPES("i32[7]"), "{start=[0], size=[3], step=[3]}", 0, 0, "i32[3]"},
    {TN_TYPES("f32[3]"), "{start=[3], size=[0], step=[1]}", 0, 0, "f32[0]"},
    {TN_TYPES("f32[3]"), "{start=[1], size=[3], step=[1]}", 0, 0, NULL},
    {TN_TYPES("f32[3]"), "{start=[0], size=[2], step=[0]}", 0, 0, NULL},
};

const tn_opdef tn_op_slice = {
    .name = "slice",
    .kind = TN_OP_PRIMITIVE,
    .doc = "y[i] = x[start + step*i] for i < size, on each axis; all in range. step may be negative, not 0; an empty "
           "list means 1 everywhere.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_SHAPE_ONLY,
    .infer = infer_slice,
    .index = slice_index,
    .eval = eval_slice,
    .vjp = vjp_slice,
    TN_ONNX(onnx),
    .export = export_slice,
    TN_SAMPLES(samples),
};
