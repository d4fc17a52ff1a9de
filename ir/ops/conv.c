/* conv: cross-correlation of x[N,C,S..] with w[O,C/groups,K..], zero padding. The import handles Conv with its
 * automatic padding, bias and any number of spatial axes. */
#include "ir/ops/conv_gradient.h"
#include "ir/ops/export.h"
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
  const tn_tensor *x;
  tn_accumulator sum;
  uint32_t n; /* spatial axes */
  tn_taps taps[TN_MAX_NDIM];
  int64_t x_strides[TN_MAX_NDIM];
  int64_t kernel;  /* positions of the whole kernel */
  int64_t inputs, outputs; /* channels of one group */
  const tn_number *w; /* [group, input channel, kernel position, output channel] */
  int64_t *offsets, *positions; /* of the taps inside x: where in a channel, and which of the kernel's */
} job;

/* w[O, C, K..] with the outputs of a group innermost, so that a row of them is summed at a time. */
static const tn_number *arrange(tn_arena *arena, const tn_tensor *w, int64_t groups) {
  int64_t outputs = w->extents[0] / groups, rest = w->extents[0] == 0 ? 0 : w->count / w->extents[0];
  tn_number *out = TN_NEW_N(arena, tn_number, (size_t)w->count);
  for (int64_t g = 0; g < groups; g++)
    for (int64_t o = 0; o < outputs; o++)
      for (int64_t k = 0; k < rest; k++)
        out[(g * rest + k) * outputs + o] = w->data[(g * outputs + o) * rest + k];
  return out;
}

/* Lists the taps of one output position that lie inside x, in row-major order of the kernel. */
static int64_t list_taps(job *j, uint32_t axis, const int64_t *out_at, int64_t offset, int64_t position, int64_t n) {
  if (axis == j->n) {
    j->offsets[n] = offset;
    j->positions[n] = position;
    return n + 1;
  }
  const tn_taps *t = &j->taps[axis];
  int64_t first, end, base = out_at[axis] * t->stride - t->lo;
  tn_taps_range(t, out_at[axis], &first, &end);
  for (int64_t k = first; k < end; k++)
    n = list_taps(j, axis + 1, out_at, offset + (base + k * t->dilate) * j->x_strides[axis + 2],
                  position * t->kernel + k, n);
  return n;
}

/* All outputs of one group at one position. */
static void sum_position(const job *j, int64_t batch, int64_t group, int64_t n_taps, tn_number *totals) {
  for (int64_t o = 0; o < j->outputs; o++) totals[o] = tn_fold_identity(TN_FOLD_SUM, j->sum.acc);
  const tn_number *x = j->x->data + batch * j->x_strides[0] + group * j->inputs * j->x_strides[1];
  const tn_number *w = j->w + group * j->inputs * j->kernel * j->outputs;
  for (int64_t c = 0; c < j->inputs; c++, x += j->x_strides[1], w += j->kernel * j->outputs)
    for (int64_t t = 0; t < n_taps; t++)
      tn_accumulate_row(&j->sum, totals, x[j->offsets[t]], w + j->positions[t] * j->outputs, j->outputs);
}

static bool prepare(tn_eval *eval, const tn_node *node, job *j, const tn_tensor *w, const tn_tensor *out) {
  const tn_attr *attrs = node->attrs;
  j->sum = tn_accumulator_of(eval, j->x->dtype, &attrs[ACC], out->dtype);
  j->n = j->x->ndim - 2;
  j->inputs = w->extents[1];
  j->outputs = w->extents[0] / attrs[GROUPS].u.i;
  j->kernel = 1;
  tn_tensor_strides(j->x, j->x_strides);
  for (uint32_t i = 0; i < j->n; i++) {
    j->kernel *= w->extents[i + 2];
    j->taps[i] = (tn_taps){j->x->extents[i + 2], out->extents[i + 2], w->extents[i + 2], attrs[STRIDE].u.list.ints[i],
                           attrs[DILATE].u.list.ints[i], 0};
    if (!tn_eval_dim(eval, attrs[LO].u.list.dims[i], &j->taps[i].lo)) return false;
  }
  return true;
}

static bool eval_conv(tn_eval *eval, const tn_node *node) {
  job j = {.x = tn_eval_operand(eval, node, 0)};
  const tn_tensor *w = tn_eval_operand(eval, node, 1);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL || !prepare(eval, node, &j, w, out)) return false;
  if (out->count == 0) return true;
  tn_arena *scratch = tn_arena_create_scratch(eval->arena);
  int64_t groups = node->attrs[GROUPS].u.i, plane = out->count / (out->extents[0] * out->extents[1]);
  tn_number *totals = TN_NEW_N(scratch, tn_number, (size_t)j.outputs);
  j.w = arrange(scratch, w, groups);
  j.offsets = TN_NEW_N(scratch, int64_t, (size_t)j.kernel);
  j.positions = TN_NEW_N(scratch, int64_t, (size_t)j.kernel);
  int64_t index[TN_MAX_NDIM] = {0};
  for (int64_t p = 0; p < plane; p++) {
    int64_t n_taps = list_taps(&j, 0, index, 0, 0, 0);
    for (int64_t b = 0; b < out->extents[0]; b++)
      for (int64_t g = 0; g < groups; g++) {
        sum_position(&j, b, g, n_taps, totals);
        tn_number *to = out->data + (b * out->extents[1] + g * j.outputs) * plane + p;
        for (int64_t o = 0; o < j.outputs; o++) to[o * plane] = tn_accumulate_end(&j.sum, totals[o]);
      }
    tn_index_next(index, out->extents + 2, j.n);
  }
  tn_arena_destroy(scratch);
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

static bool vjp_conv(tn_vjp *v) {
  tn_build *b = v->build;
  const tn_type *x = v->operands[0]->type;
  tn_attr attrs[N_ATTRS + 1];
  for (uint32_t i = 0; i < N_ATTRS; i++) attrs[i] = v->node->attrs[i];
  attrs[N_ATTRS] = tn_attr_dims(b->module, x->dims + 2, x->ndim - 2); /* conv_dx's `in` */
  tn_value *in[2] = {v->dy[0], v->operands[1]};
  if (v->needed[0] && (v->dx[0] = tn_build_op(b, tn_op_find("conv_dx"), in, 2, attrs)) == NULL) return false;
  if (v->needed[1]) v->dx[1] = tn_conv_weight_gradient(b, v->operands[0], v->dy[0], v->operands[1]->type, attrs);
  return !v->needed[1] || v->dx[1] != NULL;
}

/* Of 8-bit integers ConvInteger; of 16-bit ones by doubles, which hold their sums. */
static bool export_conv(tn_export *x, const tn_node *node) {
  const tn_type *type = node->operands[0].value->type, *weights = node->operands[1].value->type;
  const tn_attr *attrs = node->attrs;
  tn_dtype from = type->dtype, to = node->results[0]->type->dtype;
  bool is_float = tn_dtype_is_float(from), is_integer8 = (from == TN_I8 || from == TN_U8) && to == TN_I32;
  if (type->ndim < 3 || (!is_float && tn_dtype_bits(from) > 16)) return false;
  tn_export_spatial s = {.n = type->ndim - 2, .stride = attrs[STRIDE].u.list.ints, .dilate = attrs[DILATE].u.list.ints,
                         .lo = attrs[LO].u.list.dims, .hi = attrs[HI].u.list.dims};
  const char *in[2] = {tn_export_operand(x, node, 0), tn_export_operand(x, node, 1)};
  const char *result = tn_export_result(x, node, 0);
  bool is_cast = !is_float && !is_integer8, fits = tn_export_pads_fit(&s);
  for (uint32_t i = 0; i < 2 && is_cast; i++) in[i] = tn_export_cast(x, in[i], TN_F64, NULL);
  if (!fits && !(in[0] = tn_export_padded(x, in[0], is_cast ? TN_F64 : from, 2, &s, 0))) return false;
  tn_foreign_attr list[8];
  int64_t kernel[TN_MAX_NDIM];
  uint32_t n = tn_export_spatial_attrs(x, &s, fits, list);
  bool has_kernel = true;
  for (uint32_t i = 0; i < s.n; i++) {
    has_kernel = has_kernel && tn_dim_is_const(weights->dims[i + 2]);
    kernel[i] = has_kernel ? tn_dim_value(weights->dims[i + 2]) : 0;
  }
  if (has_kernel) list[n++] = tn_foreign_of_ints("kernel_shape", kernel, s.n);
  list[n++] = tn_foreign_of_int("group", attrs[GROUPS].u.i);
  const char *y = tn_export_emit(x, is_integer8 ? "ConvInteger" : "Conv", 0, in, 2, list, n, is_cast ? NULL : result);
  if (is_cast) tn_export_cast(x, y, to, result);
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0},
                                          {"w", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attr_defs[] = {
    TN_SPATIAL_ATTRS,
    {.name = "groups", .kind = TN_ATTR_INT, .default_i = 1, .min_i = 1, .max_i = INT32_MAX},
    {.name = "acc", .kind = TN_ATTR_DTYPE, .no_default = true}};
static const tn_onnx_row onnx[] = {{"", "Conv", 1, 0, tn_import_conv},
                                   {"com.microsoft", "FusedConv", 1, 0, tn_import_fused_conv},
                                   {"", "CausalConvWithState", 27, 0, tn_import_causal_conv}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[1,2,5,5]", "f32[3,2,3,3]"), "{stride=[1,2], dilate=[1,1], lo=[1,1], hi=[1,0]}", 0, 0,
     "f32[1,3,5,2]"},
    {TN_TYPES("f32[B,4,7]", "f32[4,1,3]"), "{stride=[1], dilate=[2], lo=[2], hi=[2], groups=4}", 0, 0, "f32[B,4,7]"},
    {TN_TYPES("f64[2,1,4,1]", "f64[2,1,2,1]"), "{stride=[2,1], dilate=[1,1], lo=[0,0], hi=[0,0]}", 0, 0,
     "f64[2,2,2,1]"},
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
           "k*dilate] * w[o,c,k], zero outside; extents floordiv(S + lo + hi - dilate*(K-1) - 1, stride) + 1. Types as "
           "dot.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attr_defs),
    .infer = infer_conv,
    .eval = eval_conv,
    .vjp = vjp_conv,
    TN_ONNX(onnx),
    .export = export_conv,
    TN_SAMPLES(samples),
};
