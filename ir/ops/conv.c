/* conv: cross-correlation of x[N,C,S..] with w[O,C/groups,K..], zero padding. The import handles Conv with its automatic
 * padding, bias and any number of spatial axes. */
#include "ir/ops/fold.h"
#include "ir/ops/onnx.h"
#include "ir/ops/pooling.h"
#include "ir/ops/spatial.h"

enum { STRIDE, DILATE, LO, HI, GROUPS, ACC, N_ATTRS };

static bool check_lists(tn_infer *infer, uint32_t n) {
  bool ok = tn_infer_length(infer, "stride", &infer->attrs[STRIDE], n);
  ok = tn_infer_length(infer, "dilate", &infer->attrs[DILATE], n) && ok;
  ok = tn_infer_length(infer, "lo", &infer->attrs[LO], n) && ok;
  return tn_infer_length(infer, "hi", &infer->attrs[HI], n) && ok;
}

static bool infer_conv(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type, *w = infer->operands[1]->type;
  const tn_attr *attrs = infer->attrs;
  tn_ctx *ctx = infer->ctx;
  int64_t groups = attrs[GROUPS].u.i;
  if (!tn_infer_min_rank(infer, 0, 2) || !tn_infer_rank(infer, 1, x->ndim)) return false;
  uint32_t n = x->ndim - 2;
  bool ok = check_lists(infer, n);
  ok = tn_infer_acc(infer, &attrs[ACC], x->dtype) && ok;
  ok = tn_func_require_eq(infer->func, tn_dim_mul_i(ctx, w->dims[1], groups), x->dims[1], infer->loc,
                          "'conv': channels of %s against %s with %lld groups", tn_infer_operand(infer, 1),
                          tn_infer_operand(infer, 0), (long long)groups) && ok;
  ok = tn_func_require_eq(infer->func, tn_dim_mod(ctx, w->dims[0], tn_dim_const(ctx, groups)), tn_dim_const(ctx, 0),
                          infer->loc, "'conv': outputs of %s are a multiple of %lld groups", tn_infer_operand(infer, 1),
                          (long long)groups) && ok;
  if (!ok) return false;
  const tn_dim *dims[TN_MAX_NDIM] = {x->dims[0], w->dims[0]};
  for (uint32_t i = 0; i < n; i++) {
    dims[i + 2] = tn_spatial_extent(infer, x->dims[i + 2], attrs[LO].u.list.dims[i], attrs[HI].u.list.dims[i],
                                    w->dims[i + 2], attrs[STRIDE].u.list.ints[i], attrs[DILATE].u.list.ints[i], i);
    if (dims[i + 2] == NULL) ok = false;
  }
  return ok && tn_infer_result(infer, 0, tn_product_dtype(x->dtype, &attrs[ACC]), x->ndim, dims);
}

typedef struct job {
  const tn_tensor *x, *w;
  tn_accumulator sum;
  uint32_t n; /* spatial axes */
  tn_taps taps[TN_MAX_NDIM];
  int64_t x_strides[TN_MAX_NDIM], w_strides[TN_MAX_NDIM];
} job;

/* Adds the products of one channel at one output position. */
static void add_channel(const job *j, uint32_t axis, int64_t x_at, int64_t w_at, const int64_t *out_at,
                        tn_number *total) {
  int64_t first, end;
  const tn_taps *t = &j->taps[axis];
  if (axis == j->n) {
    tn_accumulate_product(&j->sum, total, j->x->data[x_at], j->w->data[w_at]);
    return;
  }
  tn_taps_range(t, out_at[axis], &first, &end);
  int64_t base = out_at[axis] * t->stride - t->lo, xs = j->x_strides[axis + 2], ws = j->w_strides[axis + 2];
  if (axis + 1 < j->n || !j->sum.exact || j->sum.acc != TN_F32) {
    for (int64_t k = first; k < end; k++)
      add_channel(j, axis + 1, x_at + (base + k * t->dilate) * xs, w_at + k * ws, out_at, total);
    return;
  }
  float f = (float)total->f; /* the common case, without a call a product */
  for (int64_t k = first; k < end; k++)
    f = (float)((double)f + j->x->data[x_at + base + k * t->dilate].f * j->w->data[w_at + k].f);
  total->f = f;
}

static bool eval_conv(tn_eval *eval, const tn_node *node) {
  job j = {.x = tn_eval_operand(eval, node, 0), .w = tn_eval_operand(eval, node, 1)};
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  const tn_attr *attrs = node->attrs;
  j.sum = tn_accumulator_of(eval, j.x->dtype, &attrs[ACC], out->dtype);
  j.n = j.x->ndim - 2;
  tn_tensor_strides(j.x, j.x_strides);
  tn_tensor_strides(j.w, j.w_strides);
  for (uint32_t i = 0; i < j.n; i++) {
    j.taps[i] = (tn_taps){j.x->extents[i + 2], out->extents[i + 2], j.w->extents[i + 2], attrs[STRIDE].u.list.ints[i],
                          attrs[DILATE].u.list.ints[i], 0};
    if (!tn_eval_dim(eval, attrs[LO].u.list.dims[i], &j.taps[i].lo)) return false;
  }
  if (out->count == 0) return true;
  int64_t per_group = j.w->extents[1], outputs = j.w->extents[0] / attrs[GROUPS].u.i;
  int64_t index[TN_MAX_NDIM] = {0}, at = 0;
  do {
    int64_t group = index[1] / outputs;
    tn_number total = tn_fold_identity(TN_FOLD_SUM, j.sum.acc);
    for (int64_t c = 0; c < per_group; c++)
      add_channel(&j, 0, index[0] * j.x_strides[0] + (group * per_group + c) * j.x_strides[1],
                  index[1] * j.w_strides[0] + c * j.w_strides[1], index + 2, &total);
    out->data[at++] = tn_accumulate_end(&j.sum, total);
  } while (tn_index_next(index, out->extents, out->ndim));
  return true;
}

/* Conv: x, w, b; kernel_shape follows from w and is checked against it. */
bool tn_import_conv(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *w = tn_foreign_need(node, 1), *bias = tn_foreign_input(node, 2);
  if (x == NULL || w == NULL) return false;
  if (x->type->ndim < 3 || w->type->ndim != x->type->ndim)
    return tn_foreign_error(node, TN_E_RANK, "expected inputs of one rank of at least 3, found %u and %u",
                            x->type->ndim, w->type->ndim);
  int64_t groups;
  tn_pooling p;
  if (!tn_foreign_int(node, "group", 1, &groups) || !tn_pooling_read(node, x, w->type->dims + 2, &p)) return false;
  if (groups < 1) return tn_foreign_error(node, TN_E_ATTR, "group: expected at least 1, found %lld", (long long)groups);
  tn_attr attrs[N_ATTRS] = {tn_attr_ints(b->module, p.stride, p.n), tn_attr_ints(b->module, p.dilate, p.n),
                            tn_attr_dims(b->module, p.lo, p.n), tn_attr_dims(b->module, p.hi, p.n),
                            tn_attr_int(groups), {0}};
  tn_value *y = tn_build_op(b, tn_op_find("conv"), (tn_value *[]){x, w}, 2, attrs);
  return tn_foreign_set(node, 0, tn_pooling_add_bias(b, y, bias));
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0},
                                          {"w", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attr_defs[] = {
    TN_SPATIAL_ATTRS,
    {.name = "groups", .kind = TN_ATTR_INT, .default_i = 1, .min_i = 1, .max_i = INT32_MAX},
    {.name = "acc", .kind = TN_ATTR_DTYPE, .no_default = true}};
static const tn_onnx_row onnx[] = {{"", "Conv", 1, 0, tn_import_conv}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[1,2,5,5]", "f32[3,2,3,3]"), "{stride=[1,2], dilate=[1,1], lo=[1,1], hi=[1,0]}", 0, 0, "f32[1,3,5,2]"},
    {TN_TYPES("f32[B,4,7]", "f32[4,1,3]"), "{stride=[1], dilate=[2], lo=[2], hi=[2], groups=4}", 0, 0, "f32[B,4,7]"},
    {TN_TYPES("f64[2,1,4,1]", "f64[2,1,2,1]"), "{stride=[2,1], dilate=[1,1], lo=[0,0], hi=[0,0]}", 0, 0, "f64[2,2,2,1]"},
    {TN_TYPES("f32[0,1,4]", "f32[2,1,2]"), "{stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, "f32[0,2,3]"},
    {TN_TYPES("i8[1,2,4]", "i8[2,2,3]"), "{stride=[1], dilate=[1], lo=[1], hi=[1]}", -128, 127, "i32[1,2,4]"},
    {TN_TYPES("f32[1,3,5]", "f32[2,2,3]"), "{stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, NULL},
    {TN_TYPES("f32[1,2,2]", "f32[2,2,5]"), "{stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, NULL},
    {TN_TYPES("f32[1,2,5]", "f32[2,2,3]"), "{stride=[0], dilate=[1], lo=[0], hi=[0]}", 0, 0, NULL},
};

const tn_opdef tn_op_conv = {
    .name = "conv",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Cross-correlation of x[N,C,S..] with w[O,C/groups,K..]: y[n,o,p] = sum over c, k of x[n,c,p*stride - lo + "
           "k*dilate] * w[o,c,k], zero outside; extents floordiv(S + lo + hi - dilate*(K-1) - 1, stride) + 1. Types as dot.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attr_defs),
    .infer = infer_conv,
    .eval = eval_conv,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
