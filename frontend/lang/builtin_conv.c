/* Built-ins, group 3: convolutions, poolings, resampling. Dims are batch, channels, then spatial ones, by position. */
#include <math.h>
#include <string.h>

#include "frontend/lang/builtin.h"
#include "ir/ops/compose.h"
#include "ir/ops/pooling.h"

/* Arguments k, stride, pad, dilation at these positions of the signature; UINT32_MAX: there is none. */
typedef struct window_args {
  uint32_t k, stride, pad, dilation;
} window_args;

static bool read_window(tn_call *call, const tn_datum *x, window_args at, tn_pooling *p) {
  tn_ctx *ctx = call->s->ctx;
  const char *pad = at.pad != UINT32_MAX ? tn_call_word(call, at.pad) : NULL;
  int64_t pads[TN_MAX_NDIM] = {0};
  *p = (tn_pooling){.n = tn_datum_ndim(x) - 2};
  if (!tn_call_ints(call, at.k, p->n, 1, p->kernel)) return false;
  for (uint32_t i = 0; i < p->n; i++) {
    p->stride[i] = p->kernel[i];
    p->dilate[i] = 1;
  }
  if (call->args[at.stride] && !tn_call_ints(call, at.stride, p->n, 1, p->stride)) return false;
  if (at.dilation != UINT32_MAX && !tn_call_ints(call, at.dilation, p->n, 1, p->dilate)) return false;
  if (!pad && !tn_call_ints(call, at.pad, p->n, 0, pads)) return false;
  for (uint32_t i = 0; i < p->n; i++) {
    p->lo[i] = p->hi[i] = tn_dim_const(ctx, pads[i]);
    if (pad) tn_pooling_pad_same(ctx, x->tensor.axes[i + 2].extent, tn_dim_const(ctx, p->kernel[i]), true, i, p);
  }
  return true;
}

/* A window must fit into what it slides over. */
static bool window_fits(tn_call *call, const tn_datum *x, const tn_pooling *p) {
  tn_ctx *ctx = call->s->ctx;
  for (uint32_t i = 0; i < p->n; i++) {
    const tn_axis *axis = &x->tensor.axes[i + 2];
    const tn_dim *padded = tn_dim_add(ctx, tn_dim_add(ctx, axis->extent, p->lo[i]), p->hi[i]);
    const tn_dim *window = tn_dim_const(ctx, (p->kernel[i] - 1) * p->dilate[i] + 1);
    if (tn_dim_compare(ctx, window, padded) != TN_DIM_GREATER) continue;
    tn_call_error(call, TN_E_SHAPE, "a window of %s does not fit into dim %s of %s", tn_dim_text(call->s, window),
                  tn_axis_describe(call->s, axis), tn_datum_describe(call->s, x));
    tn_axis_note(call->s, axis);
    return false;
  }
  return true;
}

/* Batch, channels, then the spatial dims of y; one whose extent has not changed is the same dim. */
static tn_datum *spatial_result(const tn_call *call, tn_value *y, const tn_datum *x, tn_axis channels) {
  tn_axis axes[TN_MAX_NDIM];
  if (!y) return NULL;
  axes[0] = x->tensor.axes[0];
  axes[1] = channels;
  for (uint32_t i = 2; i < y->type->ndim; i++) {
    bool same = y->type->dims[i] == x->tensor.axes[i].extent;
    axes[i] = same ? x->tensor.axes[i] : tn_axis_plain(y->type->dims[i], call->loc);
    if (!same)
      tn_axis_trace(call->s, &axes[i], &x->tensor.axes[i], call->loc, "%s makes %s of %s", call->builtin->name,
                    tn_dim_text(call->s, axes[i].extent), tn_dim_text(call->s, x->tensor.axes[i].extent));
  }
  return tn_datum_tensor(call->s, y, axes, call->loc);
}

static double product_of(const int64_t *list, uint32_t n) {
  double product = 1;
  for (uint32_t i = 0; i < n; i++) product *= (double)list[i];
  return product;
}

static bool divides(tn_call *call, const tn_axis *axis, int64_t groups, tn_axis *out) {
  tn_ctx *ctx = call->s->ctx;
  const tn_dim *by = tn_dim_const(ctx, groups), *extent, *label = NULL;
  if (groups < 1 || !tn_dim_divide_exact(ctx, axis->extent, by, &extent))
    return tn_call_error(call, TN_E_LANG_DIVIDE, "%lld groups do not part dim %s", (long long)groups,
                         tn_axis_describe(call->s, axis));
  if (axis->label && !tn_dim_divide_exact(ctx, axis->label, by, &label)) label = tn_dim_floordiv(ctx, axis->label, by);
  *out = (tn_axis){.extent = extent, .label = label, .loc = axis->loc, .trace = axis->trace};
  return true;
}

static tn_value *add_channel_bias(tn_call *call, tn_value *y, const tn_datum *bias) {
  int64_t map[] = {1};
  if (!y || !bias) return NULL;
  return tn_build_binary(call->b, TN_ADD, y, tn_build_broadcast_map(call->b, bias->tensor.value, y->type->dims,
                                                                   y->type->ndim, map));
}

/* weight [first, second / groups, ..k] and, where it is wanted, bias. */
static bool conv_weights(tn_call *call, const tn_datum *x, const tn_pooling *p, tn_axis first, tn_axis second,
                         tn_axis out, uint32_t bias_at, uint32_t init_at, tn_datum **w, tn_datum **bias) {
  tn_axis shape[TN_MAX_NDIM] = {first, second};
  tn_init zeros = tn_init_const(0);
  double taps = product_of(p->kernel, p->n);
  bool known = tn_dim_is_const(first.extent) && tn_dim_is_const(second.extent);
  double fan_in = known ? (double)tn_dim_value(second.extent) * taps : 1;
  double fan_out = known ? (double)tn_dim_value(first.extent) * taps : 1;
  for (uint32_t i = 0; i < p->n; i++) shape[i + 2] = tn_axis_number(call->s, p->kernel[i], call->loc);
  *bias = NULL;
  *w = tn_call_weight(call, "weight", tn_datum_dtype(x), shape, p->n + 2, &call->args[init_at]->init, fan_in, fan_out,
                      false);
  if (!*w || !tn_call_bool(call, bias_at)) return *w != NULL;
  *bias = tn_call_weight(call, "bias", tn_datum_dtype(x), &out, 1, &zeros, 1, 1, false);
  return *bias != NULL;
}

/* x, out, k, stride, pad, dilation, groups, bias, init */
static tn_datum *make_conv(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0), *w, *bias;
  tn_build *b = call->b;
  tn_axis out = call->args[1]->integer, in, per_group;
  int64_t groups;
  tn_pooling p;
  out.loc = call->loc;
  if (!x || !tn_call_rank(call, x, 3, 5) || !read_window(call, x, (window_args){2, 3, 4, 5}, &p) ||
      !window_fits(call, x, &p) || !tn_call_int(call, 6, &groups) || !divides(call, &x->tensor.axes[1], groups, &in) ||
      !divides(call, &out, groups, &per_group) || !conv_weights(call, x, &p, out, in, out, 7, 8, &w, &bias))
    return NULL;
  tn_value *operands[] = {x->tensor.value, w->tensor.value};
  tn_named_attr attrs[] = {{"stride", tn_attr_ints(b->module, p.stride, p.n)},
                           {"dilate", tn_attr_ints(b->module, p.dilate, p.n)},
                           {"lo", tn_attr_dims(b->module, p.lo, p.n)},
                           {"hi", tn_attr_dims(b->module, p.hi, p.n)},
                           {"groups", tn_attr_int(groups)}};
  tn_value *y = tn_call_op(call, "conv", operands, 2, attrs, 5);
  return spatial_result(call, bias ? add_channel_bias(call, y, bias) : y, x, out);
}

/* x, out, k, stride, pad, dilation, groups, bias, init, output_pad: the adjoint of a convolution. */
static tn_datum *make_conv_transpose(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0), *w, *bias;
  tn_build *b = call->b;
  tn_ctx *ctx = call->s->ctx;
  tn_axis out = call->args[1]->integer, per_group, in;
  int64_t groups, output_pad[TN_MAX_NDIM];
  const tn_dim *extents[TN_MAX_NDIM];
  tn_pooling p;
  out.loc = call->loc;
  if (!x || !tn_call_rank(call, x, 3, 5) || !read_window(call, x, (window_args){2, 3, 4, 5}, &p) ||
      !tn_call_int(call, 6, &groups) || !tn_call_ints(call, 9, p.n, 0, output_pad) ||
      !divides(call, &out, groups, &per_group) || !divides(call, &x->tensor.axes[1], groups, &in) ||
      !conv_weights(call, x, &p, x->tensor.axes[1], per_group, out, 7, 8, &w, &bias))
    return NULL;
  for (uint32_t i = 0; i < p.n; i++) {
    if (output_pad[i] >= p.stride[i])
      return tn_call_error(call, TN_E_ATTR, "output_pad must be less than stride"), NULL;
    const tn_dim *e = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, x->tensor.axes[i + 2].extent, -1), p.stride[i]);
    e = tn_dim_sub(ctx, tn_dim_sub(ctx, e, p.lo[i]), p.hi[i]);
    extents[i] = tn_dim_add_i(ctx, e, p.dilate[i] * (p.kernel[i] - 1) + output_pad[i] + 1);
  }
  tn_value *operands[] = {x->tensor.value, w->tensor.value};
  tn_named_attr attrs[] = {{"stride", tn_attr_ints(b->module, p.stride, p.n)},
                           {"dilate", tn_attr_ints(b->module, p.dilate, p.n)},
                           {"lo", tn_attr_dims(b->module, p.lo, p.n)},
                           {"hi", tn_attr_dims(b->module, p.hi, p.n)},
                           {"groups", tn_attr_int(groups)},
                           {"in", tn_attr_dims(b->module, extents, p.n)}};
  tn_value *y = tn_call_op(call, "conv_dx", operands, 2, attrs, 6);
  return spatial_result(call, bias ? add_channel_bias(call, y, bias) : y, x, out);
}

/* --- Poolings: x, k, stride, pad, ceil, count_pad --- */

static tn_datum *make_pool(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_build *b = call->b;
  tn_pooling p, plain;
  if (!x || !tn_call_rank(call, x, 3, 5) || !read_window(call, x, (window_args){1, 2, 3, UINT32_MAX}, &p) ||
      !window_fits(call, x, &p))
    return NULL;
  plain = p;
  if (tn_call_bool(call, 4)) tn_pooling_ceil(call->s->ctx, x->tensor.value, &p);
  if (call->builtin->name[0] == 'a') {
    tn_value *wide = tn_compose_wide(b, x->tensor.value);
    tn_value *y = tn_pooling_average(b, wide, &p, &plain, tn_call_bool(call, 5));
    return spatial_result(call, tn_compose_narrow(b, y, x->tensor.value), x, x->tensor.axes[1]);
  }
  int64_t axes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < p.n; i++) axes[i] = i + 2;
  tn_named_attr attrs[] = {{"op", tn_attr_name(tn_op_find("window"), "op", "max")},
                           {"axes", tn_attr_ints(b->module, axes, p.n)},
                           {"size", tn_attr_ints(b->module, p.kernel, p.n)},
                           {"stride", tn_attr_ints(b->module, p.stride, p.n)},
                           {"dilate", tn_attr_ints(b->module, p.dilate, p.n)},
                           {"lo", tn_attr_dims(b->module, p.lo, p.n)},
                           {"hi", tn_attr_dims(b->module, p.hi, p.n)}};
  return spatial_result(call, tn_call_op(call, "window", &x->tensor.value, 1, attrs, 7), x, x->tensor.axes[1]);
}

static tn_datum *make_global_pool(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_build *b = call->b;
  int64_t axes[TN_MAX_NDIM];
  uint32_t n = 0;
  if (!x || !tn_call_rank(call, x, 3, TN_MAX_NDIM)) return NULL;
  for (uint32_t i = 2; i < tn_datum_ndim(x); i++) axes[n++] = i;
  tn_value *y;
  if (strcmp(call->builtin->name, "global_maxpool") == 0)
    y = tn_build_reduce(b, "max", x->tensor.value, axes, n, false);
  else
    y = tn_compose_narrow(b, tn_compose_mean(b, tn_compose_wide(b, x->tensor.value), axes, n), x->tensor.value);
  return tn_datum_tensor(call->s, y, x->tensor.axes, call->loc);
}

/* --- resize: x, size, scale, mode, align --- */

/* The new extent of spatial dim i, and the factor: 0 where the extents give it. */
static bool new_extent(tn_call *call, const tn_datum *x, uint32_t i, tn_axis *out, double *scale) {
  tn_ctx *ctx = call->s->ctx;
  const tn_datum *given = call->args[call->args[1] ? 1 : 2];
  const tn_datum *one = given->kind == TN_DATUM_TUPLE ? given->tuple.parts[i] : given;
  const tn_axis *old = &x->tensor.axes[i + 2];
  *scale = 0;
  if (call->args[1]) {
    *out = one->integer;
    out->loc = call->loc;
    return true;
  }
  *scale = one->kind == TN_DATUM_FLOAT ? one->number
           : one->kind == TN_DATUM_INT && tn_dim_is_const(one->integer.extent)
               ? (double)tn_dim_value(one->integer.extent)
               : 0;
  if (!(*scale > 0 && *scale <= 65536)) return tn_call_error(call, TN_E_ATTR, "a scale is a positive number");
  const tn_dim *extent = NULL;
  if (*scale == floor(*scale)) extent = tn_dim_mul_i(ctx, old->extent, (int64_t)*scale);
  else if (tn_dim_is_const(old->extent))
    extent = tn_dim_const(ctx, (int64_t)floor((double)tn_dim_value(old->extent) * *scale));
  if (!extent)
    return tn_call_error(call, TN_E_LANG_STATIC, "dim %s is not known and the scale is no whole number",
                         tn_axis_describe(call->s, old));
  *out = tn_axis_plain(extent, call->loc);
  return true;
}

static tn_datum *make_resize(tn_call *call) {
  static const char *const aligns[][2] = {
      {"half_pixel", "half_pixel"}, {"corners", "align_corners"}, {"asymmetric", "asymmetric"}};
  tn_datum *x = tn_call_tensor(call, 0);
  const tn_opdef *op = tn_op_find("resize");
  if (!x || !tn_call_rank(call, x, 3, 5)) return NULL;
  if (!call->args[1] == !call->args[2]) return tn_call_error(call, TN_E_LANG_ARGUMENT, "size or scale is given"), NULL;
  uint32_t n = tn_datum_ndim(x) - 2;
  const tn_datum *given = call->args[call->args[1] ? 1 : 2];
  if (given->kind == TN_DATUM_TUPLE && given->tuple.n != n)
    return tn_call_error(call, TN_E_LANG_ARGUMENT, "expected one number or %u", n), NULL;
  tn_value *y = x->tensor.value;
  tn_axis axes[TN_MAX_NDIM] = {x->tensor.axes[0], x->tensor.axes[1]};
  const char *align = "half_pixel";
  for (size_t i = 0; i < TN_ARRAY_LEN(aligns); i++)
    if (strcmp(aligns[i][0], tn_call_word(call, 4)) == 0) align = aligns[i][1];
  for (uint32_t i = 0; i < n && y; i++) {
    double scale;
    if (!new_extent(call, x, i, &axes[i + 2], &scale)) return NULL;
    tn_named_attr attrs[] = {{"axis", tn_attr_int(i + 2)},
                             {"size", tn_attr_dims(call->b->module, &axes[i + 2].extent, 1)},
                             {"scale", tn_attr_float(scale)},
                             {"mode", tn_attr_name(op, "mode", tn_call_word(call, 3))},
                             {"coordinates", tn_attr_name(op, "coordinates", align)}};
    y = tn_call_op(call, "resize", &y, 1, attrs, 5);
  }
  return tn_datum_tensor(call->s, y, axes, call->loc);
}

#define CONV_ARGS                                                                                                     \
  "x: f[], out: int, k: ints, stride: ints = 1, pad: ints|same = 0, dilation: ints = 1, groups: int = 1, "             \
  "bias: bool = true, init: init = he_normal"

static const tn_builtin rows[] = {
    {"conv", CONV_ARGS, "cross-correlation over the dims behind batch and channels; weight [out, C / groups, ..k]",
     make_conv, NULL},
    {"conv_transpose", CONV_ARGS ", output_pad: ints = 0", "the adjoint of conv; weight [C, out / groups, ..k]",
     make_conv_transpose, NULL},
    {"maxpool", "x: n[], k: ints, stride: ints = none, pad: ints = 0, ceil: bool = false", "largest of each window",
     make_pool, NULL},
    {"avgpool", "x: f[], k: ints, stride: ints = none, pad: ints = 0, ceil: bool = false, count_pad: bool = false",
     "mean of each window", make_pool, NULL},
    {"global_avgpool", "x: f[]", "mean over all dims behind batch and channels", make_global_pool, NULL},
    {"global_maxpool", "x: f[]", "largest over all dims behind batch and channels", make_global_pool, NULL},
    {"resize",
     "x: f[], size: ints = none, scale: any = none, mode: nearest|linear|cubic = linear, "
     "align: half_pixel|corners|asymmetric = half_pixel",
     "resampling of the spatial dims, by ONNX's formulas", make_resize, NULL},
};

const tn_builtin_group tn_builtins_conv = TN_BUILTINS("Convolutions, poolings, resampling", rows);
