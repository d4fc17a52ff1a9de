/* ONNX operators that read images between pixels or at places that data choose: DeformConv and RoiAlign; and the ways
 * back from patches and poolings: Col2Im and MaxUnpool. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/ops/pooling.h"
#include "ir/primitives.h"

#include <string.h>

/* ---- bilinear reading */

/* Where to read x [N,C,H,W]: batch, channel (i64) and the place in rows and columns (floats), all of equal dims. */
typedef struct spot {
  tn_value *batch, *channel, *at[2];
} spot;

static tn_value *extent_like(tn_build *b, const tn_value *x, uint32_t axis, const tn_value *like) {
  return like == NULL ? NULL : tn_compose_repeat(b, tn_compose_dim(b, x->type->dims[axis], like->type->dtype), like);
}

/* v inside [0, extent - 1]. */
static tn_value *clamped(tn_build *b, tn_value *v, tn_value *extent) {
  return tn_build_binary(b, TN_MAX, tn_build_binary(b, TN_MIN, v, tn_build_binary_f(b, TN_SUB, extent, 1)),
                         tn_build_fill_like(b, v, 0));
}

/* x at whole places, which are brought inside first. */
static tn_value *read_at(tn_build *b, tn_value *x, const spot *s, tn_value *const *at) {
  tn_value *indices[] = {s->batch, s->channel, NULL, NULL};
  for (uint32_t i = 0; i < 2; i++) {
    tn_value *inside = at[i] == NULL ? NULL : clamped(b, at[i], extent_like(b, x, 2 + i, at[i]));
    if (inside == NULL) return NULL;
    indices[2 + i] = tn_build_cast(b, inside, TN_I64);
  }
  return tn_build_gather_axes(b, x, indices, (int64_t[]){0, 1, 2, 3}, 4);
}

/* 1 where 0 <= v < extent, else 0. */
static tn_value *is_inside(tn_build *b, tn_value *v, tn_value *extent) {
  tn_value *in = tn_build_binary(b, TN_AND, tn_build_binary_f(b, TN_GE, v, 0), tn_build_binary(b, TN_LT, v, extent));
  return in == NULL ? NULL : tn_build_cast(b, in, v->type->dtype);
}

/* The values of the four pixels around each place times their weights: [4]. Pixels outside count as zero. */
static bool four_terms(tn_build *b, tn_value *x, const spot *s, tn_value **out) {
  tn_value *low[2], *part[2];
  for (uint32_t i = 0; i < 2; i++) {
    low[i] = tn_build_unary(b, TN_FLOOR, s->at[i]);
    part[i] = tn_build_binary(b, TN_SUB, s->at[i], low[i]);
    if (part[i] == NULL) return false;
  }
  for (uint32_t k = 0; k < 4; k++) {
    tn_value *at[2], *weight = NULL;
    for (uint32_t i = 0; i < 2; i++) {
      bool high = (i == 0 ? k >> 1 : k & 1) != 0;
      at[i] = high ? tn_build_binary_f(b, TN_ADD, low[i], 1) : low[i];
      tn_value *w = high ? part[i] : tn_build_binary(b, TN_SUB, tn_build_fill_like(b, part[i], 1), part[i]);
      w = tn_build_binary(b, TN_MUL, w, is_inside(b, at[i], extent_like(b, x, 2 + i, at[i])));
      weight = weight == NULL ? w : tn_build_binary(b, TN_MUL, weight, w);
    }
    out[k] = tn_build_binary(b, TN_MUL, read_at(b, x, s, at), weight);
    if (out[k] == NULL) return false;
  }
  return true;
}

static tn_value *sum_of_four(tn_build *b, tn_value *const *v) {
  return tn_build_binary(b, TN_ADD, tn_build_binary(b, TN_ADD, v[0], v[1]), tn_build_binary(b, TN_ADD, v[2], v[3]));
}

/* ---- DeformConv, of two spatial axes */

typedef struct deform {
  tn_value *x, *w, *offset, *mask;
  int64_t groups, offset_groups;
  tn_pooling p;
  const tn_dim *outputs; /* of a group */
  const tn_dim *dims[7]; /* batch, offset groups, channels of one, kernel rows and columns, result rows and columns */
} deform;

/* v [N, G*KH*KW (* 2), OH, OW] as [N,G,C,KH,KW,OH,OW], repeated along C; part of the last pair when there is one. */
static tn_value *spread_offsets(tn_build *b, const deform *d, tn_value *v, int64_t part) {
  const tn_dim *const *n = d->dims, *two = tn_dim_const(b->ctx, 2);
  if (part >= 0) {
    const tn_dim *pairs[] = {n[0], n[1], n[3], n[4], two, n[5], n[6]};
    v = tn_build_slice_axis(b, tn_build_reshape(b, v, pairs, 7), 4, tn_dim_const(b->ctx, part), tn_dim_const(b->ctx, 1),
                            1);
  }
  const tn_dim *plain[] = {n[0], n[1], n[3], n[4], n[5], n[6]};
  v = tn_build_reshape(b, v, plain, 6);
  return tn_build_broadcast_map(b, v, n, 7, (int64_t[]){0, 1, 3, 4, 5, 6});
}

/* out * stride - lo + k * dilate + offset, of rows (0) or columns (1). */
static tn_value *deform_place(tn_build *b, const deform *d, uint32_t i) {
  tn_value *offset = spread_offsets(b, d, d->offset, i);
  if (offset == NULL) return NULL;
  tn_value *out = tn_build_iota(b, d->dims, 7, 5 + i, TN_I64), *k = tn_build_iota(b, d->dims, 7, 3 + i, TN_I64);
  tn_value *at = tn_build_binary(b, TN_ADD, tn_build_binary_f(b, TN_MUL, out, (double)d->p.stride[i]),
                                 tn_build_binary_f(b, TN_MUL, k, (double)d->p.dilate[i]));
  at = tn_build_binary(b, TN_SUB, at, tn_compose_repeat(b, tn_compose_dim(b, d->p.lo[i], TN_I64), at));
  return at == NULL ? NULL : tn_build_binary(b, TN_ADD, tn_build_cast(b, at, offset->type->dtype), offset);
}

/* The samples [N,G,C,KH,KW,OH,OW] summed with the weights [O, C/groups, KH, KW]. */
static tn_value *deform_product(tn_build *b, const deform *d, tn_value *samples) {
  tn_ctx *ctx = b->ctx;
  const tn_dim *const *n = d->dims, *const *w = d->w->type->dims, *groups = tn_dim_const(ctx, d->groups);
  const tn_dim *split[] = {n[0], groups, w[1], n[3], n[4], n[5], n[6]};
  const tn_dim *kernels[] = {groups, d->outputs, w[1], n[3], n[4]};
  static const int64_t batch[] = {1, 0}, sum[] = {2, 2, 3, 3, 4, 4};
  tn_value *y = tn_build_dot(b, tn_build_reshape(b, samples, split, 7), tn_build_reshape(b, d->w, kernels, 5), batch, 1,
                             sum, 3); /* [groups, N, OH, OW, outputs] */
  const tn_dim *dims[] = {n[0], w[0], n[5], n[6]};
  return tn_build_reshape(b, tn_build_transpose(b, y, (int64_t[]){1, 0, 4, 2, 3}), dims, 4);
}

static bool deform_dims(tn_foreign_node *node, deform *d) {
  tn_ctx *ctx = node->build->ctx;
  const tn_dim *const *x = d->x->type->dims, *const *w = d->w->type->dims;
  const tn_dim *groups = tn_dim_const(ctx, d->offset_groups);
  const tn_dim *per_group = tn_foreign_quotient(node, x[1], groups, "channels, a multiple of offset_group");
  d->outputs = tn_foreign_quotient(node, w[0], tn_dim_const(ctx, d->groups), "outputs, a multiple of group");
  if (per_group == NULL || d->outputs == NULL) return false;
  const tn_dim *dims[] = {x[0], groups, per_group, w[2], w[3], d->offset->type->dims[2], d->offset->type->dims[3]};
  memcpy(d->dims, dims, sizeof dims);
  for (uint32_t i = 0; i < 2; i++) {
    const tn_dim *reach = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, w[2 + i], -1), d->p.dilate[i]);
    const tn_dim *room = tn_dim_sub(ctx, tn_dim_add(ctx, tn_dim_add(ctx, x[2 + i], d->p.lo[i]), d->p.hi[i]), reach);
    const tn_dim *out = tn_dim_floordiv(ctx, tn_dim_add_i(ctx, room, d->p.stride[i] - 1),
                                        tn_dim_const(ctx, d->p.stride[i]));
    if (!tn_func_require_eq(node->build->func, dims[5 + i], out, node->loc, "'DeformConv': offsets, spatial axis %u",
                            i))
      return false;
  }
  return tn_func_require_eq(node->build->func, tn_dim_mul_i(ctx, w[1], d->groups), x[1], node->loc,
                            "'DeformConv': channels of the weights");
}

bool tn_import_deform_conv(tn_foreign_node *node) {
  tn_build *b = node->build;
  deform d = {.x = tn_foreign_need(node, 0), .w = tn_foreign_need(node, 1), .offset = tn_foreign_need(node, 2),
              .mask = tn_foreign_input(node, 4)};
  if (d.x == NULL || d.w == NULL || d.offset == NULL || !tn_foreign_int(node, "group", 1, &d.groups) ||
      !tn_foreign_int(node, "offset_group", 1, &d.offset_groups))
    return false;
  if (d.x->type->ndim != 4) return tn_foreign_unsupported(node, "%u dimensions", d.x->type->ndim);
  if (d.w->type->ndim != 4 || d.offset->type->ndim != 4 || d.groups < 1 || d.offset_groups < 1)
    return tn_foreign_error(node, TN_E_RANK, "expected weights and offsets of 4 dimensions, and groups of at least 1");
  tn_value *input = d.x, *terms[4];
  d.x = tn_compose_wide(b, d.x);
  d.w = tn_compose_wide(b, d.w);
  d.offset = tn_compose_wide(b, d.offset);
  if (!tn_pooling_read(node, input, d.w->type->dims + 2, &d.p) || !deform_dims(node, &d)) return false;
  tn_value *group = tn_build_iota(b, d.dims, 7, 1, TN_I64), *channel = tn_build_iota(b, d.dims, 7, 2, TN_I64);
  tn_value *per_group = group == NULL ? NULL : tn_compose_repeat(b, tn_compose_dim(b, d.dims[2], TN_I64), group);
  spot s = {tn_build_iota(b, d.dims, 7, 0, TN_I64),
            tn_build_binary(b, TN_ADD, tn_build_binary(b, TN_MUL, group, per_group), channel),
            {deform_place(b, &d, 0), deform_place(b, &d, 1)}};
  if (!four_terms(b, d.x, &s, terms)) return false;
  tn_value *samples = sum_of_four(b, terms);
  if (d.mask != NULL)
    samples = tn_build_binary(b, TN_MUL, samples, spread_offsets(b, &d, tn_compose_wide(b, d.mask), -1));
  tn_value *y = samples == NULL ? NULL : tn_compose_narrow(b, deform_product(b, &d, samples), input);
  return tn_foreign_set(node, 0, tn_pooling_add_bias(b, y, tn_foreign_input(node, 3)));
}

/* ---- RoiAlign */

typedef struct roi_align {
  tn_value *x, *rois; /* wide */
  int64_t size[2], ratio;
  double scale;
  bool half_pixel, is_max;
  const tn_dim *dims[6]; /* rois, channels, rows, columns, samples of a bin */
} roi_align;

/* Column `at` of the rois, scaled, as [rois]. */
static tn_value *roi_side(tn_build *b, const roi_align *r, int64_t at) {
  tn_value *v = tn_build_slice_axis(b, r->rois, 1, tn_dim_const(b->ctx, at), tn_dim_const(b->ctx, 1), 1);
  v = tn_build_binary_f(b, TN_MUL, tn_build_drop_axis(b, v, 1), r->scale);
  return r->half_pixel ? tn_build_binary_f(b, TN_SUB, v, 0.5) : v;
}

/* start + (bin + (sample + 1/2) / ratio) * size of a bin, of rows (0) or columns (1). */
static tn_value *roi_place(tn_build *b, const roi_align *r, uint32_t i) {
  tn_value *start = roi_side(b, r, i == 0 ? 1 : 0), *end = roi_side(b, r, i == 0 ? 3 : 2);
  tn_value *length = tn_build_binary(b, TN_SUB, end, start);
  if (!r->half_pixel) length = tn_build_binary_f(b, TN_MAX, length, 1);
  length = tn_build_binary_f(b, TN_DIV, length, (double)r->size[i]);
  if (length == NULL) return NULL;
  tn_dtype dtype = length->type->dtype;
  tn_value *bin = tn_build_iota(b, r->dims, 6, 2 + i, dtype), *sample = tn_build_iota(b, r->dims, 6, 4 + i, dtype);
  sample = tn_build_binary_f(b, TN_DIV, tn_build_binary_f(b, TN_ADD, sample, 0.5), (double)r->ratio);
  tn_value *at = tn_build_binary(b, TN_ADD, bin, sample);
  at = tn_build_binary(b, TN_MUL, at, tn_compose_along(b, length, bin, 0));
  return tn_build_binary(b, TN_ADD, at, tn_compose_along(b, start, at, 0));
}

/* The place brought inside; *inside gets what lies at most one pixel outside. */
static tn_value *roi_inside(tn_build *b, const roi_align *r, tn_value *at, uint32_t i, tn_value **inside) {
  tn_value *extent = extent_like(b, r->x, 2 + i, at);
  tn_value *in = tn_build_binary(b, TN_AND, tn_build_binary_f(b, TN_GE, at, -1), tn_build_binary(b, TN_LE, at, extent));
  *inside = i == 0 ? in : tn_build_binary(b, TN_AND, *inside, in);
  return at == NULL ? NULL : clamped(b, at, extent);
}

static bool read_roi(tn_foreign_node *node, roi_align *r) {
  const char *mode, *way, *usual = node->version < 16 ? "output_half_pixel" : "half_pixel";
  if (!tn_foreign_string(node, "mode", "avg", &mode) || !tn_foreign_int(node, "output_height", 1, &r->size[0]) ||
      !tn_foreign_int(node, "output_width", 1, &r->size[1]) || !tn_foreign_int(node, "sampling_ratio", 0, &r->ratio) ||
      !tn_foreign_float(node, "spatial_scale", 1, &r->scale) ||
      !tn_foreign_string(node, "coordinate_transformation_mode", usual, &way))
    return false;
  r->half_pixel = strcmp(way, "half_pixel") == 0;
  r->is_max = strcmp(mode, "max") == 0;
  if ((!r->half_pixel && strcmp(way, "output_half_pixel") != 0) || (!r->is_max && strcmp(mode, "avg") != 0))
    return tn_foreign_error(node, TN_E_ATTR, "mode '%s', coordinate_transformation_mode '%s'", mode, way);
  if (r->size[0] < 1 || r->size[1] < 1 || r->size[0] > INT32_MAX || r->size[1] > INT32_MAX || r->ratio > INT16_MAX)
    return tn_foreign_error(node, TN_E_ATTR, "output %lld x %lld, sampling_ratio %lld", (long long)r->size[0],
                            (long long)r->size[1], (long long)r->ratio);
  if (r->ratio <= 0) return tn_foreign_unsupported(node, "sampling_ratio 0, a number of samples that each roi chooses");
  if (r->x->type->ndim != 4 || r->rois->type->ndim != 2)
    return tn_foreign_error(node, TN_E_RANK, "expected 4 and 2 dimensions, found %u and %u", r->x->type->ndim,
                            r->rois->type->ndim);
  return true;
}

bool tn_import_roi_align(tn_foreign_node *node) {
  tn_build *b = node->build;
  roi_align r = {.x = tn_compose_wide(b, tn_foreign_need(node, 0)),
                 .rois = tn_compose_wide(b, tn_foreign_need(node, 1))};
  tn_value *batch = tn_foreign_need(node, 2), *inside = NULL, *terms[4];
  if (r.x == NULL || r.rois == NULL || batch == NULL || !read_roi(node, &r)) return false;
  if (r.rois->type->dtype != r.x->type->dtype) r.rois = tn_build_cast(b, r.rois, r.x->type->dtype);
  const tn_dim *ratio = tn_dim_const(b->ctx, r.ratio);
  const tn_dim *dims[] = {r.rois->type->dims[0], r.x->type->dims[1], tn_dim_const(b->ctx, r.size[0]),
                          tn_dim_const(b->ctx, r.size[1]), ratio, ratio};
  memcpy(r.dims, dims, sizeof dims);
  spot s = {NULL, tn_build_iota(b, dims, 6, 1, TN_I64), {roi_place(b, &r, 0), roi_place(b, &r, 1)}};
  s.batch = tn_compose_along(b, tn_build_cast(b, batch, TN_I64), s.channel, 0);
  for (uint32_t i = 0; i < 2; i++) s.at[i] = roi_inside(b, &r, s.at[i], i, &inside);
  if (s.at[0] == NULL || s.at[1] == NULL || !four_terms(b, r.x, &s, terms)) return false;
  static const int64_t axes[] = {4, 5};
  tn_value *y;
  if (r.is_max) { /* of the weighted pixels, as the definition has it */
    y = tn_build_binary(b, TN_MAX, tn_build_binary(b, TN_MAX, terms[0], terms[1]),
                        tn_build_binary(b, TN_MAX, terms[2], terms[3]));
    y = tn_build_reduce(b, "max", tn_build_select(b, inside, y, tn_build_fill_like(b, y, 0)), axes, 2, false);
  } else {
    y = sum_of_four(b, terms);
    y = tn_build_reduce(b, "sum", tn_build_select(b, inside, y, tn_build_fill_like(b, y, 0)), axes, 2, false);
    y = tn_build_binary_f(b, TN_DIV, y, (double)(r.ratio * r.ratio));
  }
  return tn_foreign_set(node, 0, tn_compose_narrow(b, y, node->inputs[0]));
}

/* ---- Col2Im: the adjoint of taking patches, which is that of a convolution whose kernels pick one element each. */

/* [groups*K, 1, block..]: in each group kernel k is 1 at its element number k. */
static tn_value *picking_kernels(tn_build *b, int64_t groups, const tn_dim *count, const tn_dim *const *block,
                                 uint32_t n, tn_dtype dtype) {
  const tn_dim *cube[] = {tn_dim_const(b->ctx, groups), count, count};
  const tn_dim *dims[TN_MAX_NDIM] = {tn_dim_mul_i(b->ctx, count, groups), tn_dim_const(b->ctx, 1)};
  for (uint32_t i = 0; i < n; i++) dims[2 + i] = block[i];
  tn_value *hit = tn_build_binary(b, TN_EQ, tn_build_iota(b, cube, 3, 1, TN_I64), tn_build_iota(b, cube, 3, 2, TN_I64));
  return hit == NULL ? NULL : tn_build_reshape(b, tn_build_cast(b, hit, dtype), dims, n + 2);
}

bool tn_import_col2im(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  tn_value *x = tn_foreign_need(node, 0);
  const tn_dim *image[TN_MAX_INDEX], *block[TN_MAX_INDEX], *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM], *channels;
  uint32_t n, n_block;
  int64_t stride[TN_MAX_NDIM], dilate[TN_MAX_NDIM], pads[2 * TN_MAX_NDIM];
  if (x == NULL || !tn_foreign_dims(node, 1, 0, INT32_MAX, image, &n) ||
      !tn_foreign_dims(node, 2, 1, INT32_MAX, block, &n_block))
    return false;
  if (x->type->ndim != 3 || n != n_block || n < 1 || n + 2 > TN_MAX_NDIM)
    return tn_foreign_error(node, TN_E_RANK, "input of %u dimensions, image of %u, block of %u", x->type->ndim, n,
                            n_block);
  if (!tn_pooling_list(node, "strides", n, 1, stride) || !tn_pooling_list(node, "dilations", n, 1, dilate) ||
      !tn_pooling_list(node, "pads", 2 * n, 0, pads))
    return false;
  const tn_dim *count = tn_dim_product(ctx, block, n), *patches[TN_MAX_NDIM], *result[TN_MAX_NDIM];
  channels = tn_foreign_quotient(node, x->type->dims[1], count, "channels, a multiple of the block's elements");
  if (channels == NULL) return false;
  if (tn_dim_is(channels, 0)) return tn_foreign_unsupported(node, "no channels");
  int64_t groups = tn_dim_is_const(channels) ? tn_dim_value(channels) : 1;
  /* channels are groups, or images of their own */
  patches[0] = tn_dim_is_const(channels) ? x->type->dims[0] : tn_dim_mul(ctx, x->type->dims[0], channels);
  patches[1] = tn_dim_mul_i(ctx, count, groups);
  result[0] = x->type->dims[0];
  result[1] = channels;
  for (uint32_t i = 0; i < n; i++) {
    lo[i] = tn_dim_const(ctx, pads[i]);
    hi[i] = tn_dim_const(ctx, pads[n + i]);
    result[2 + i] = image[i];
    const tn_dim *room = tn_dim_sub(ctx, tn_dim_add_i(ctx, image[i], pads[i] + pads[n + i] - 1),
                                    tn_dim_mul_i(ctx, tn_dim_add_i(ctx, block[i], -1), dilate[i]));
    patches[2 + i] = tn_dim_add_i(ctx, tn_dim_floordiv(ctx, room, tn_dim_const(ctx, stride[i])), 1);
  }
  tn_dtype dtype = x->type->dtype, compute = dtype == TN_BOOL ? TN_I32 : dtype;
  tn_value *operands[] = {tn_build_reshape(b, tn_build_cast(b, x, compute), patches, n + 2),
                          picking_kernels(b, groups, count, block, n, compute)};
  tn_attr attrs[] = {tn_attr_ints(b->module, stride, n), tn_attr_ints(b->module, dilate, n),
                     tn_attr_dims(b->module, lo, n), tn_attr_dims(b->module, hi, n), tn_attr_int(groups), {0},
                     tn_attr_dims(b->module, image, n)};
  if (operands[0] == NULL || operands[1] == NULL) return false;
  tn_value *y = tn_build_op(b, &tn_op_conv_dx, operands, 2, attrs);
  y = y == NULL ? NULL : tn_build_reshape(b, tn_build_cast(b, y, dtype), result, n + 2);
  return tn_foreign_set(node, 0, y);
}

/* ---- MaxUnpool: each element at the flat position that MaxPool found it, zero elsewhere. */

bool tn_import_max_unpool(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  tn_value *x = tn_foreign_need(node, 0), *index = tn_foreign_need(node, 1);
  tn_pooling p;
  if (x == NULL || index == NULL || !tn_pooling_read_explicit(node, x, NULL, &p)) return false;
  const tn_dim *dims[TN_MAX_NDIM] = {x->type->dims[0], x->type->dims[1]}, *shape[TN_MAX_INDEX];
  for (uint32_t i = 0; i < p.n; i++) {
    const tn_dim *span = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, x->type->dims[i + 2], -1), p.stride[i]);
    dims[i + 2] = tn_dim_sub(ctx, tn_dim_sub(ctx, tn_dim_add_i(ctx, span, p.kernel[i]), p.lo[i]), p.hi[i]);
  }
  uint32_t ndim = x->type->ndim, n;
  const tn_dim *total = tn_dim_product(ctx, dims, ndim), *count = tn_type_count(ctx, x->type);
  tn_value *zeros = tn_build_broadcast_map(b, tn_build_splat_f(b, x->type->dtype, 0), &total, 1, NULL);
  tn_value *operands[] = {zeros, tn_build_reshape(b, x, &count, 1), tn_build_reshape(b, index, &count, 1)};
  static const int64_t axis[] = {0};
  tn_attr attrs[] = {tn_attr_ints(b->module, axis, 1), tn_attr_name(&tn_op_scatter, "mode", "set"), {0}};
  if (operands[0] == NULL || operands[1] == NULL || operands[2] == NULL) return false;
  tn_value *y = tn_build_reshape(b, tn_build_op(b, &tn_op_scatter, operands, 3, attrs), dims, ndim);
  if (tn_foreign_input(node, 2) == NULL || y == NULL) return tn_foreign_set(node, 0, y);
  if (!tn_foreign_dims_of(node, 2, ndim, 0, TN_DIM_INF, shape, &n)) return false;
  if (n != ndim) return tn_foreign_error(node, TN_E_SHAPE, "output_shape: expected %u extents, found %u", ndim, n);
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n; i++) {
    lo[i] = tn_dim_const(ctx, 0);
    hi[i] = tn_dim_sub(ctx, shape[i], dims[i]);
  }
  return tn_foreign_set(node, 0, tn_build_pad(b, y, tn_build_splat_f(b, x->type->dtype, 0), lo, hi));
}
