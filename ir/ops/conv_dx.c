/* conv_dx: the adjoint of conv in its input, which is also the transposed convolution. */
#include "ir/ops/conv_gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/fold.h"
#include "ir/ops/onnx.h"
#include "ir/ops/pooling.h"
#include "ir/ops/spatial.h"

enum { STRIDE, DILATE, LO, HI, GROUPS, ACC, IN, N_ATTRS };

static bool infer_conv_dx(tn_infer *infer) {
  const tn_type *y = infer->operands[0]->type, *w = infer->operands[1]->type;
  const tn_attr *attrs = infer->attrs;
  tn_ctx *ctx = infer->ctx;
  if (!tn_infer_min_rank(infer, 0, 2) || !tn_infer_rank(infer, 1, y->ndim)) return false;
  uint32_t n = y->ndim - 2;
  static const char *const names[] = {"stride", "dilate", "lo", "hi"};
  bool ok = tn_infer_length(infer, "in", &attrs[IN], n);
  for (uint32_t i = 0; i < 4; i++) ok = tn_infer_length(infer, names[i], &attrs[i], n) && ok;
  ok = tn_infer_acc(infer, &attrs[ACC], y->dtype) && ok;
  ok = tn_func_require_eq(infer->func, y->dims[1], w->dims[0], infer->loc, "'conv_dx': channels of %s against %s",
                          tn_infer_operand(infer, 0), tn_infer_operand(infer, 1)) && ok;
  int64_t groups = attrs[GROUPS].u.i;
  ok = tn_func_require_eq(infer->func, tn_dim_mod(ctx, w->dims[0], tn_dim_const(ctx, groups)), tn_dim_const(ctx, 0),
                          infer->loc, "'conv_dx': channels of %s are a multiple of %lld groups",
                          tn_infer_operand(infer, 0), (long long)groups) && ok;
  if (!ok) return false;
  const tn_dim *dims[TN_MAX_NDIM] = {y->dims[0], tn_dim_mul_i(ctx, w->dims[1], groups)};
  for (uint32_t i = 0; i < n; i++) {
    dims[i + 2] = attrs[IN].u.list.dims[i];
    ok = tn_infer_extent(infer, "in", dims[i + 2]) && ok;
    const tn_dim *forward =
        tn_spatial_extent(infer, dims[i + 2], attrs[LO].u.list.dims[i], attrs[HI].u.list.dims[i], w->dims[i + 2],
                          attrs[STRIDE].u.list.ints[i], attrs[DILATE].u.list.ints[i], i);
    if (forward == NULL) return false;
    ok = tn_func_require_eq(infer->func, y->dims[i + 2], forward, infer->loc, "'conv_dx': %s, spatial axis %u",
                            tn_infer_operand(infer, 0), i) && ok;
  }
  return tn_infer_result(infer, 0, tn_product_dtype(y->dtype, &attrs[ACC]), y->ndim, dims) && ok;
}

/* Spreads y[at] * w over the input positions it came from, in the accumulator's type. */
static void spread(const tn_accumulator *sum, const tn_taps *taps, uint32_t n, const int64_t *out_at, tn_number v,
                   const tn_number *w, const int64_t *w_extents, tn_number *x, const int64_t *x_extents) {
  int64_t k[TN_MAX_NDIM] = {0}, w_at = 0;
  do {
    int64_t x_at = 0;
    bool inside = true;
    for (uint32_t i = 0; i < n && inside; i++) {
      int64_t position = out_at[i] * taps[i].stride - taps[i].lo + k[i] * taps[i].dilate;
      inside = position >= 0 && position < x_extents[i];
      x_at = x_at * x_extents[i] + position;
    }
    if (inside) tn_accumulate_product(sum, &x[x_at], v, w[w_at]);
    w_at++;
  } while (tn_index_next(k, w_extents, n));
}

static bool eval_conv_dx(tn_eval *eval, const tn_node *node) {
  const tn_tensor *y = tn_eval_operand(eval, node, 0), *w = tn_eval_operand(eval, node, 1);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  const tn_attr *attrs = node->attrs;
  tn_accumulator sum = tn_accumulator_of(eval, y->dtype, &attrs[ACC], out->dtype);
  uint32_t n = y->ndim - 2;
  tn_taps taps[TN_MAX_NDIM];
  int64_t y_plane = 1, x_plane = 1, w_plane = 1;
  for (uint32_t i = 0; i < n; i++) {
    taps[i] = (tn_taps){out->extents[i + 2], y->extents[i + 2], w->extents[i + 2], attrs[STRIDE].u.list.ints[i],
                        attrs[DILATE].u.list.ints[i], 0};
    if (!tn_eval_dim(eval, attrs[LO].u.list.dims[i], &taps[i].lo)) return false;
    y_plane *= y->extents[i + 2];
    x_plane *= out->extents[i + 2];
    w_plane *= w->extents[i + 2];
  }
  for (int64_t k = 0; k < out->count; k++) out->data[k] = tn_fold_identity(TN_FOLD_SUM, sum.acc);
  int64_t groups = attrs[GROUPS].u.i, per_group = w->extents[1], outputs = w->extents[0] / groups;
  if (y_plane > 0 && w_plane > 0)
    for (int64_t b = 0; b < y->extents[0]; b++)
      for (int64_t o = 0; o < w->extents[0]; o++)
        for (int64_t c = 0; c < per_group; c++) {
          tn_number *x = out->data + (b * out->extents[1] + o / outputs * per_group + c) * x_plane;
          const tn_number *from = y->data + (b * w->extents[0] + o) * y_plane;
          int64_t at[TN_MAX_NDIM] = {0}, flat = 0;
          do
            spread(&sum, taps, n, at, from[flat++], w->data + (o * per_group + c) * w_plane, w->extents + 2, x,
                   out->extents + 2);
          while (tn_index_next(at, y->extents + 2, n));
        }
  for (int64_t k = 0; k < out->count; k++) out->data[k] = tn_accumulate_end(&sum, out->data[k]);
  return true;
}

/* ConvTranspose: w[C, M/group, K..]. output_shape, when given, decides the padding; else it is stride*(S-1) +
 * output_padding + dilate*(K-1) + 1 - pads. */
static bool output_extents(tn_foreign_node *node, const tn_value *x, const tn_value *w, tn_pooling *p,
                           const char *auto_pad, const tn_dim **out) {
  tn_ctx *ctx = node->build->ctx;
  const int64_t *extra, *shape;
  uint32_t n_extra, n_shape;
  if (!tn_foreign_ints(node, "output_padding", &extra, &n_extra) ||
      !tn_foreign_ints(node, "output_shape", &shape, &n_shape))
    return false;
  if ((n_extra != 0 && n_extra != p->n) || (n_shape != 0 && n_shape < p->n))
    return tn_foreign_error(node, TN_E_ATTR, "output_padding, output_shape: expected %u elements", p->n);
  bool same = auto_pad[0] == 'S', upper = auto_pad[0] != 'S' || auto_pad[5] == 'U';
  for (uint32_t i = 0; i < p->n; i++) {
    const tn_dim *full = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, x->type->dims[i + 2], -1), p->stride[i]);
    full = tn_dim_add_i(ctx, full, n_extra == 0 ? 0 : extra[i]);
    full = tn_dim_add(ctx, full, tn_dim_mul_i(ctx, tn_dim_add_i(ctx, w->type->dims[i + 2], -1), p->dilate[i]));
    full = tn_dim_add_i(ctx, full, 1);
    if (n_shape == 0 && !same) {
      out[i] = tn_dim_sub(ctx, tn_dim_sub(ctx, full, p->lo[i]), p->hi[i]);
      continue;
    }
    out[i] = n_shape != 0 ? tn_dim_const(ctx, shape[n_shape - p->n + i])
                          : tn_dim_mul_i(ctx, x->type->dims[i + 2], p->stride[i]);
    /* the padding that gives this extent; the odd element goes to the end for SAME_UPPER, else to the beginning */
    const tn_dim *total = tn_dim_max(ctx, tn_dim_sub(ctx, full, out[i]), tn_dim_const(ctx, 0));
    const tn_dim *half = tn_dim_floordiv(ctx, total, tn_dim_const(ctx, 2));
    bool odd_at_end = same ? upper : false;
    p->lo[i] = odd_at_end ? half : tn_dim_sub(ctx, total, half);
  }
  return true;
}

/* hi such that the forward convolution from `in` has exactly x's extent. */
static const tn_dim *closing_pad(tn_ctx *ctx, const tn_dim *y, const tn_dim *w, const tn_dim *in, const tn_dim *lo,
                                 int64_t stride, int64_t dilate) {
  const tn_dim *used = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, y, -1), stride);
  used = tn_dim_add_i(ctx, tn_dim_add(ctx, used, tn_dim_mul_i(ctx, tn_dim_add_i(ctx, w, -1), dilate)), 1);
  return tn_dim_sub(ctx, tn_dim_sub(ctx, used, in), lo);
}

static bool import_conv_transpose(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *w = tn_foreign_need(node, 1), *bias = tn_foreign_input(node, 2);
  const char *auto_pad;
  int64_t groups;
  if (x == NULL || w == NULL) return false;
  if (x->type->ndim < 3 || w->type->ndim != x->type->ndim)
    return tn_foreign_error(node, TN_E_RANK, "expected inputs of one rank of at least 3, found %u and %u",
                            x->type->ndim, w->type->ndim);
  tn_pooling p;
  const tn_dim *in[TN_MAX_NDIM];
  if (!tn_foreign_int(node, "group", 1, &groups) || !tn_foreign_string(node, "auto_pad", "NOTSET", &auto_pad) ||
      !tn_pooling_read_explicit(node, x, w->type->dims + 2, &p) || !output_extents(node, x, w, &p, auto_pad, in))
    return false;
  for (uint32_t i = 0; i < p.n; i++)
    p.hi[i] = closing_pad(b->ctx, x->type->dims[i + 2], w->type->dims[i + 2], in[i], p.lo[i], p.stride[i], p.dilate[i]);
  tn_attr attrs[N_ATTRS] = {tn_attr_ints(b->module, p.stride, p.n), tn_attr_ints(b->module, p.dilate, p.n),
                            tn_attr_dims(b->module, p.lo, p.n), tn_attr_dims(b->module, p.hi, p.n),
                            tn_attr_int(groups), {0}, tn_attr_dims(b->module, in, p.n)};
  tn_value *y = tn_build_op(b, tn_op_find("conv_dx"), (tn_value *[]){x, w}, 2, attrs);
  return tn_foreign_set(node, 0, tn_pooling_add_bias(b, y, bias));
}

/* The adjoint's adjoint is conv; its weights see dy where conv's saw x. */
static bool vjp_conv_dx(tn_vjp *v) {
  tn_build *b = v->build;
  const tn_attr *attrs = v->node->attrs;
  tn_value *in[2] = {v->dy[0], v->operands[1]};
  if (v->needed[0] && (v->dx[0] = tn_build_op(b, tn_op_find("conv"), in, 2, attrs)) == NULL) return false;
  if (v->needed[1]) v->dx[1] = tn_conv_weight_gradient(b, v->dy[0], v->operands[0], v->operands[1]->type, attrs);
  return !v->needed[1] || v->dx[1] != NULL;
}

/* What ONNX calls output padding: input positions behind the last that the strides reach. */
static bool output_padding(tn_export *x, const tn_node *node, int64_t *out) {
  const tn_type *y = node->operands[0].value->type, *w = node->operands[1].value->type;
  const tn_attr *attrs = node->attrs;
  for (uint32_t i = 0; i + 2 < y->ndim; i++) {
    int64_t stride = attrs[STRIDE].u.list.ints[i], dilate = attrs[DILATE].u.list.ints[i];
    const tn_dim *reach = tn_dim_mul_i(x->ctx, tn_dim_add_i(x->ctx, y->dims[i + 2], -1), stride);
    reach = tn_dim_add(x->ctx, reach, tn_dim_mul_i(x->ctx, tn_dim_add_i(x->ctx, w->dims[i + 2], -1), dilate));
    reach = tn_dim_sub(x->ctx, tn_dim_add_i(x->ctx, reach, 1), attrs[LO].u.list.dims[i]);
    const tn_dim *rest =
        tn_dim_sub(x->ctx, attrs[IN].u.list.dims[i], tn_dim_sub(x->ctx, reach, attrs[HI].u.list.dims[i]));
    if (!tn_dim_is_const(rest) || tn_dim_value(rest) < 0 || tn_dim_value(rest) >= (stride > dilate ? stride : dilate))
      return false;
    out[i] = tn_dim_value(rest);
  }
  return true;
}

/* Extents that ONNX' attributes do not say: all that the kernel reaches, then cropped, or zeros put behind it. */
static bool export_cropped(tn_export *x, const tn_node *node, const tn_foreign_attr *attrs, uint32_t n_attrs) {
  const tn_type *y = node->operands[0].value->type, *w = node->operands[1].value->type;
  const tn_dim *pads[2 * TN_MAX_NDIM];
  uint32_t n = y->ndim;
  for (uint32_t i = 0; i < n; i++) {
    pads[i] = pads[n + i] = tn_dim_const(x->ctx, 0);
    if (i < 2) continue;
    const tn_attr *list = node->attrs;
    const tn_dim *whole = tn_dim_mul_i(x->ctx, tn_dim_add_i(x->ctx, y->dims[i], -1), list[STRIDE].u.list.ints[i - 2]);
    whole = tn_dim_add(x->ctx, whole,
                       tn_dim_mul_i(x->ctx, tn_dim_add_i(x->ctx, w->dims[i], -1), list[DILATE].u.list.ints[i - 2]));
    pads[i] = tn_dim_mul_i(x->ctx, list[LO].u.list.dims[i - 2], -1);
    pads[n + i] =
        tn_dim_sub(x->ctx, list[IN].u.list.dims[i - 2], tn_dim_add(x->ctx, tn_dim_add_i(x->ctx, whole, 1), pads[i]));
  }
  const char *amounts = tn_export_dims(x, pads, 2 * n);
  if (!amounts) return false;
  const char *all =
      tn_export_emit(x, "ConvTranspose", 0, TN_NAMES(tn_export_operand(x, node, 0), tn_export_operand(x, node, 1)),
                     attrs, n_attrs, NULL);
  tn_export_emit(x, "Pad", 0, TN_NAMES(all, amounts, tn_export_number(x, node->results[0]->type->dtype, 0)),
                 TN_NO_FOREIGN, tn_export_result(x, node, 0));
  return true;
}

static bool export_conv_dx(tn_export *x, const tn_node *node) {
  const tn_type *type = node->operands[0].value->type;
  const tn_attr *attrs = node->attrs;
  tn_export_spatial s = {.n = type->ndim - 2, .stride = attrs[STRIDE].u.list.ints, .dilate = attrs[DILATE].u.list.ints,
                         .lo = attrs[LO].u.list.dims, .hi = attrs[HI].u.list.dims};
  int64_t padding[TN_MAX_NDIM];
  if (type->ndim < 3 || !tn_dtype_is_float(type->dtype)) return false;
  tn_foreign_attr list[8];
  bool fits = tn_export_pads_fit(&s) && output_padding(x, node, padding);
  uint32_t n = tn_export_spatial_attrs(x, &s, fits, list);
  list[n++] = tn_foreign_of_int("group", attrs[GROUPS].u.i);
  if (!fits) return export_cropped(x, node, list, n);
  list[n++] = tn_foreign_of_ints("output_padding", padding, s.n);
  tn_export_emit(x, "ConvTranspose", 0, TN_NAMES(tn_export_operand(x, node, 0), tn_export_operand(x, node, 1)), list, n,
                 tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"y", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0},
                                          {"w", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, "y", 0}};
static const tn_attr_def attr_defs[] = {
    TN_SPATIAL_ATTRS,
    {.name = "groups", .kind = TN_ATTR_INT, .default_i = 1, .min_i = 1, .max_i = INT32_MAX},
    {.name = "acc", .kind = TN_ATTR_DTYPE, .no_default = true},
    {.name = "in", .kind = TN_ATTR_DIMS, .required = true}};
static const tn_onnx_row onnx[] = {{"", "ConvTranspose", 1, 0, import_conv_transpose},
                                   {"", "Col2Im", 18, 0, tn_import_col2im}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[1,2,3]", "f32[2,3,3]"), "{stride=[2], dilate=[1], lo=[0], hi=[0], in=[7]}", 0, 0, "f32[1,3,7]"},
    {TN_TYPES("f32[B,2,3]", "f32[2,2,3]"), "{stride=[1], dilate=[1], lo=[1], hi=[1], groups=2, in=[3]}", 0, 0,
     "f32[B,4,3]"},
    {TN_TYPES("f32[0,2,3]", "f32[2,1,1]"), "{stride=[1], dilate=[1], lo=[0], hi=[0], in=[3]}", 0, 0, "f32[0,1,3]"},
    {TN_TYPES("f32[1,2,3]", "f32[2,3,3]"), "{stride=[2], dilate=[1], lo=[0], hi=[0], in=[9]}", 0, 0, NULL},
    {TN_TYPES("f32[1,3,3]", "f32[2,3,3]"), "{stride=[1], dilate=[1], lo=[0], hi=[0], in=[5]}", 0, 0, NULL},
};

const tn_opdef tn_op_conv_dx = {
    .name = "conv_dx",
    .kind = TN_OP_PRIMITIVE,
    .doc = "The adjoint of conv in x, also the transposed convolution: y is conv's result, w its weights "
           "[O,C/groups,K..], `in` the spatial extents of its input, which is the result.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attr_defs),
    .infer = infer_conv_dx,
    .eval = eval_conv_dx,
    .vjp = vjp_conv_dx,
    TN_ONNX(onnx),
    .export = export_conv_dx,
    TN_SAMPLES(samples),
};
