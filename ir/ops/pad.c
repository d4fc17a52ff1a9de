/* pad: `inner` copies of a value between neighbours, then lo and hi of them at the ends; negative lo and hi crop. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

enum { LO, HI, INNER };

static int64_t inner_of(const tn_attr *attrs, uint32_t axis) {
  return attrs[INNER].u.list.n == 0 ? 0 : attrs[INNER].u.list.ints[axis];
}

static bool infer_pad(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  tn_ctx *ctx = infer->ctx;
  bool ok = tn_infer_length(infer, "lo", &infer->attrs[LO], x->ndim);
  ok = tn_infer_length(infer, "hi", &infer->attrs[HI], x->ndim) && ok;
  ok = tn_infer_rank(infer, 1, 0) && ok;
  if (infer->attrs[INNER].u.list.n != 0) ok = tn_infer_length(infer, "inner", &infer->attrs[INNER], x->ndim) && ok;
  if (!ok) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) {
    int64_t inner = inner_of(infer->attrs, i);
    const tn_dim *d = x->dims[i];
    if (inner != 0) {
      const tn_dim *gaps = tn_dim_max(ctx, tn_dim_add_i(ctx, d, -1), tn_dim_const(ctx, 0));
      d = tn_dim_add(ctx, d, tn_dim_mul_i(ctx, gaps, inner));
    }
    dims[i] = tn_dim_add(ctx, tn_dim_add(ctx, d, infer->attrs[LO].u.list.dims[i]), infer->attrs[HI].u.list.dims[i]);
    ok = tn_infer_extent(infer, "a padded extent", dims[i]) && ok;
  }
  return tn_infer_result(infer, 0, x->dtype, x->ndim, dims) && ok;
}

/* Result position of x's element, or -1 where it is cropped. */
static int64_t place(const tn_tensor *x, const tn_tensor *out, int64_t flat, const int64_t *lo, const tn_attr *attrs) {
  int64_t index[TN_MAX_NDIM];
  tn_tensor_unravel(x, flat, index);
  for (uint32_t i = 0; i < x->ndim; i++) {
    index[i] = lo[i] + index[i] * (1 + inner_of(attrs, i));
    if (index[i] < 0 || index[i] >= out->extents[i]) return -1;
  }
  return tn_tensor_ravel(out, index);
}

static bool eval_pad(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0), *value = tn_eval_operand(eval, node, 1);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  int64_t lo[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++)
    if (!tn_eval_dim(eval, node->attrs[LO].u.list.dims[i], &lo[i])) return false;
  for (int64_t k = 0; k < out->count; k++) out->data[k] = value->data[0];
  for (int64_t k = 0; k < x->count; k++) {
    int64_t to = place(x, out, k, lo, node->attrs);
    if (to >= 0) out->data[to] = x->data[k];
  }
  return true;
}

/* What lies at x's places; the value gets all the rest. Cropping is undone by padding zeros first. */
static bool vjp_pad(tn_vjp *v) {
  tn_build *b = v->build;
  tn_ctx *ctx = b->ctx;
  const tn_attr *attrs = v->node->attrs;
  const tn_type *x = v->operands[0]->type;
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM], *start[TN_MAX_NDIM];
  int64_t step[TN_MAX_NDIM], axes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) {
    lo[i] = tn_dim_mul_i(ctx, attrs[LO].u.list.dims[i], -1);
    hi[i] = tn_dim_mul_i(ctx, attrs[HI].u.list.dims[i], -1);
    start[i] = tn_dim_const(ctx, 0);
    step[i] = inner_of(attrs, i) + 1;
    axes[i] = i;
  }
  tn_value *zero = tn_build_splat_f(b, x->dtype, 0);
  tn_value *inside = tn_build_slice(b, tn_build_pad(b, v->dy[0], zero, lo, hi), start, x->dims, step);
  if (v->needed[0]) v->dx[0] = inside;
  if (!v->needed[1]) return inside != NULL;
  tn_value *all = tn_build_reduce(b, "sum", v->dy[0], axes, x->ndim, false);
  v->dx[1] = tn_build_binary(b, TN_SUB, all, tn_build_reduce(b, "sum", inside, axes, x->ndim, false));
  return v->dx[1] != NULL;
}

/* Copies between neighbours: an axis of extent 1 behind each is padded, and the two are joined again; what that puts
 * behind the last element comes off with the padding at the end. */
static const char *spread(tn_export *x, const tn_node *node, const char *name, const char *value, uint32_t axis,
                          const tn_dim **dims) {
  uint32_t ndim = node->operands[0].value->type->ndim;
  int64_t inner = inner_of(node->attrs, axis), at = axis + 1, pads[2 * TN_MAX_NDIM + 2] = {0};
  const tn_dim *split[TN_MAX_NDIM + 1], *one = tn_dim_const(x->ctx, 1);
  if (ndim >= TN_MAX_NDIM) return NULL;
  name = tn_export_unsqueeze(x, name, &at, 1, NULL);
  pads[ndim + 1 + (uint32_t)at] = inner;
  name = tn_export_emit(x, "Pad", 0, TN_NAMES(name, tn_export_ints(x, pads, 2 * ndim + 2), value), TN_NO_FOREIGN, NULL);
  for (uint32_t i = 0; i <= ndim; i++) split[i] = i <= axis ? dims[i] : i == axis + 1 ? one : dims[i - 1];
  const tn_type *type = tn_type_tensor(x->ctx, TN_F32, ndim + 1, split);
  dims[axis] = tn_dim_mul_i(x->ctx, dims[axis], inner + 1);
  return tn_export_reshape(x, name, type, dims, ndim, NULL);
}

static bool export_pad(tn_export *x, const tn_node *node) {
  const tn_type *type = node->operands[0].value->type;
  const char *name = tn_export_operand(x, node, 0), *value = tn_export_operand(x, node, 1);
  const tn_dim *pads[2 * TN_MAX_NDIM], *dims[TN_MAX_NDIM];
  uint32_t n = type->ndim;
  for (uint32_t i = 0; i < n; i++) dims[i] = type->dims[i];
  for (uint32_t i = 0; i < n; i++) {
    int64_t inner = inner_of(node->attrs, i);
    pads[i] = node->attrs[LO].u.list.dims[i];
    pads[n + i] = node->attrs[HI].u.list.dims[i];
    if (inner == 0) continue;
    if (type->dims[i]->lo < 1) return false; /* nothing stands behind the last element of none */
    if (!(name = spread(x, node, name, value, i, dims))) return false;
    pads[n + i] = tn_dim_add_i(x->ctx, pads[n + i], -inner);
  }
  const char *list = tn_export_dims(x, pads, 2 * n);
  if (!list) return false;
  tn_export_emit(x, "Pad", 0, TN_NAMES(name, list, value), TN_NO_FOREIGN, tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                          {"value", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attrs[] = {{.name = "lo", .kind = TN_ATTR_DIMS, .required = true},
                                    {.name = "hi", .kind = TN_ATTR_DIMS, .required = true},
                                    {.name = "inner", .kind = TN_ATTR_INTS, .min_i = 0, .max_i = INT32_MAX}};
static const tn_onnx_row onnx[] = {
    {"", "Pad", 1, 0, tn_import_pad},
    {"", "CenterCropPad", 18, 0, tn_import_center_crop_pad},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]", "f32[]"), "{lo=[1,0], hi=[0,2], inner=[0,0]}", 0, 0, "f32[3,5]"},
    {TN_TYPES("f32[B,3]", "f32[]"), "{lo=[0,-1], hi=[2,-1], inner=[0,2]}", 0, 0, "f32[B + 2,5]"},
    {TN_TYPES("i32[0]", "i32[]"), "{lo=[2], hi=[1], inner=[3]}", 0, 0, "i32[3]"},
    {TN_TYPES("f32[2]", "f32[]"), "{lo=[-2], hi=[-1], inner=[0]}", 0, 0, NULL},
    {TN_TYPES("f32[2]", "f32[1]"), "{lo=[1], hi=[1], inner=[0]}", 0, 0, NULL},
};

const tn_opdef tn_op_pad = {
    .name = "pad",
    .kind = TN_OP_PRIMITIVE,
    .doc = "inner copies of value between neighbours, then lo and hi copies at the ends; negative lo and hi crop.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_SHAPE_ONLY,
    .infer = infer_pad,
    .eval = eval_pad,
    .vjp = vjp_pad,
    TN_ONNX(onnx),
    .export = export_pad,
    TN_SAMPLES(samples),
};
