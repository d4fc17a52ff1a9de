/* resize: resampling along one axis; ONNX's Resize and Upsample are one of them an axis. Coordinates and weights follow
 * the formulas of ONNX Resize-19, computed in double; with `antialias` the filter is widened as in PIL. */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

#include <math.h>
#include <string.h>

enum {
  AXIS, SIZE, SCALE, MODE, COORDINATES, NEAREST, CUBIC_A, EXCLUDE_OUTSIDE, ANTIALIAS, EXTRAPOLATION, ROI_START, ROI_END,
  TAPS, N_ATTRS
};
enum { X, X_SCALE, X_START, X_END, N_OPERANDS };
enum { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC };
enum { HALF_PIXEL, HALF_PIXEL_SYMMETRIC, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC, TF_HALF_PIXEL, TF_CROP };
enum { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL };
static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
static const char *const coordinates[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                          "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", NULL};
static const char *const nearest_modes[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
#define MAX_TAPS 256

static double support(const tn_attr *attrs) {
  double scale = attrs[ANTIALIAS].u.i != 0 && attrs[SCALE].u.f < 1 ? attrs[SCALE].u.f : 1;
  return (attrs[MODE].u.i == MODE_CUBIC ? 2 : 1) / scale;
}

static bool infer_resize(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  const tn_attr *attrs = infer->attrs;
  int64_t axis = attrs[AXIS].u.i;
  double scale = attrs[SCALE].u.f;
  if (!tn_infer_axis(infer, "axis", axis, x->ndim) || !tn_infer_length(infer, "size", &attrs[SIZE], 1)) return false;
  bool ok = tn_infer_extent(infer, "size", attrs[SIZE].u.list.dims[0]);
  if (!(scale >= 0) || isinf(scale)) return tn_infer_error(infer, TN_E_ATTR, "scale: expected a positive number or 0");
  bool counted = attrs[TAPS].present, filters = attrs[MODE].u.i != MODE_NEAREST;
  if (filters && attrs[ANTIALIAS].u.i != 0 && scale == 0 && !counted)
    return tn_infer_error(infer, TN_E_ATTR, "antialias needs a scale, or taps");
  if (counted && (!tn_infer_length(infer, "taps", &attrs[TAPS], 1) || x->ndim + 1 > TN_MAX_NDIM)) return false;
  for (uint32_t i = X_SCALE; i < infer->n_operands; i++)
    if (infer->operands[i] != NULL) ok = tn_infer_rank(infer, i, 0) && ok;
  if (filters && !counted && !(support(attrs) * 2 <= MAX_TAPS))
    return tn_infer_error(infer, TN_E_LIMIT, "antialias: scale %g needs more than %d taps", scale, MAX_TAPS);
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) dims[i] = x->dims[i];
  dims[axis] = attrs[SIZE].u.list.dims[0];
  return tn_infer_result(infer, 0, x->dtype, x->ndim, dims) && ok;
}

/* What one expansion works with; all values are f64. */
typedef struct job {
  tn_build *b;
  const tn_attr *attrs;
  const tn_dim *in, *out;
  tn_value *scale, *resized; /* scalars: the scale, and in * scale, which need not be an integer */
  tn_value *start, *end;     /* scalars: of the region, in parts of the axis */
  bool is_read;              /* some of these are operands */
} job;

static tn_value *like(const job *j, tn_value *scalar, const tn_value *x) { return tn_compose_repeat(j->b, scalar, x); }
static tn_value *op2(const job *j, tn_scalar scalar, tn_value *x, tn_value *y) {
  return tn_build_binary(j->b, scalar, x, y);
}
static tn_value *op2_f(const job *j, tn_scalar scalar, tn_value *x, double y) {
  return tn_build_binary_f(j->b, scalar, x, y);
}
static tn_value *number(const job *j, const tn_dim *dim) { return tn_compose_dim(j->b, dim, TN_F64); }

/* numerator / (resized - 1) where resized is not 1, else `single`: a scalar. */
static tn_value *per_step(const job *j, tn_value *numerator, tn_value *single) {
  tn_value *one = op2_f(j, TN_EQ, j->resized, 1);
  tn_value *step = op2(j, TN_DIV, numerator, op2_f(j, TN_SUB, j->resized, 1));
  return tn_build_select(j->b, one, single, step);
}

/* The position in x of each result position: f64[out]. */
static tn_value *positions(const job *j) {
  tn_build *b = j->b;
  tn_value *i = tn_build_iota(b, &j->out, 1, 0, TN_F64), *zero = tn_build_splat_f(b, TN_F64, 0);
  tn_value *half = op2_f(j, TN_SUB, op2(j, TN_DIV, op2_f(j, TN_ADD, i, 0.5), like(j, j->scale, i)), 0.5);
  tn_value *last = op2_f(j, TN_SUB, number(j, j->in), 1);
  switch (j->attrs[COORDINATES].u.i) {
    case HALF_PIXEL: return half;
    case HALF_PIXEL_SYMMETRIC: {
      tn_value *adjust = op2(j, TN_DIV, number(j, j->out), j->resized);
      tn_value *centre = op2_f(j, TN_MUL, number(j, j->in), 0.5);
      tn_value *shift = op2(j, TN_SUB, centre, op2(j, TN_MUL, centre, adjust));
      return op2(j, TN_ADD, half, like(j, shift, i));
    }
    case PYTORCH_HALF_PIXEL: {
      tn_value *several = op2_f(j, TN_GT, j->resized, 1);
      return tn_build_select(b, like(j, several, i), half, like(j, zero, i));
    }
    case ALIGN_CORNERS: return op2(j, TN_MUL, i, like(j, per_step(j, last, zero), i));
    case ASYMMETRIC: return op2(j, TN_DIV, i, like(j, j->scale, i));
    case TF_HALF_PIXEL: return op2(j, TN_DIV, op2_f(j, TN_ADD, i, 0.5), like(j, j->scale, i));
    default: break;
  }
  tn_value *several = op2_f(j, TN_GT, j->resized, 1);
  tn_value *middle = op2_f(j, TN_MUL, op2(j, TN_ADD, j->start, j->end), 0.5);
  tn_value *first = tn_build_select(b, several, op2(j, TN_MUL, last, j->start), op2(j, TN_MUL, last, middle));
  tn_value *step = per_step(j, op2(j, TN_MUL, last, op2(j, TN_SUB, j->end, j->start)), zero);
  return op2(j, TN_ADD, op2(j, TN_MUL, i, like(j, step, i)), like(j, first, i));
}

/* x read along the axis at positions (f64, any), clamped. */
static tn_value *read_at(const job *j, tn_value *x, tn_value *at) {
  tn_build *b = j->b;
  tn_value *last = like(j, op2_f(j, TN_SUB, number(j, j->in), 1), at);
  tn_value *index = tn_build_cast(b, op2_f(j, TN_MAX, op2(j, TN_MIN, at, last), 0), TN_I64);
  return tn_compose_take_axis(b, x, index, (uint32_t)j->attrs[AXIS].u.i);
}

/* at where only its whole part matters, which is constant between jumps. */
static tn_value *held(const job *j, tn_value *at) { return j->is_read ? tn_compose_constant(j->b, at) : at; }

static tn_value *nearest(const job *j, tn_value *x, tn_value *at) {
  tn_build *b = j->b;
  at = held(j, at);
  switch (j->attrs[NEAREST].u.i) {
    case PREFER_FLOOR: at = tn_build_unary(b, TN_CEIL, op2_f(j, TN_SUB, at, 0.5)); break;
    case PREFER_CEIL: at = tn_build_unary(b, TN_FLOOR, op2_f(j, TN_ADD, at, 0.5)); break;
    case FLOOR: at = tn_build_unary(b, TN_FLOOR, at); break;
    default: at = tn_build_unary(b, TN_CEIL, at); break;
  }
  return read_at(j, x, at);
}

/* The filter at distance d >= 0: a triangle, or Keys' cubic convolution with parameter a. */
static tn_value *filter(const job *j, tn_value *d) {
  tn_build *b = j->b;
  if (j->attrs[MODE].u.i == MODE_LINEAR)
    return op2_f(j, TN_MAX, op2(j, TN_SUB, tn_build_fill_like(b, d, 1), d), 0);
  double a = j->attrs[CUBIC_A].u.f;
  /* ((a+2) d - (a+3)) d^2 + 1 up to 1; ((a d - 5a) d + 8a) d - 4a up to 2 */
  tn_value *inner = op2_f(j, TN_SUB, op2_f(j, TN_MUL, d, a + 2), a + 3);
  inner = op2_f(j, TN_ADD, op2(j, TN_MUL, op2(j, TN_MUL, inner, d), d), 1);
  tn_value *outer = op2_f(j, TN_SUB, op2_f(j, TN_MUL, d, a), 5 * a);
  outer = op2_f(j, TN_ADD, op2(j, TN_MUL, outer, d), 8 * a);
  outer = op2_f(j, TN_SUB, op2(j, TN_MUL, outer, d), 4 * a);
  tn_value *far = tn_build_select(b, op2_f(j, TN_LT, d, 2), outer, tn_build_fill_like(b, d, 0));
  return tn_build_select(b, op2_f(j, TN_LE, d, 1), inner, far);
}

static tn_value *tap_weight(const job *j, tn_value *at, tn_value *tap) {
  tn_value *d = tn_build_unary(j->b, TN_ABS, op2(j, TN_SUB, at, tap));
  if (j->attrs[TAPS].present) d = op2(j, TN_MUL, d, like(j, op2_f(j, TN_MIN, j->scale, 1), d));
  else if (j->attrs[ANTIALIAS].u.i != 0 && j->attrs[SCALE].u.f < 1) d = op2_f(j, TN_MUL, d, j->attrs[SCALE].u.f);
  tn_value *w = filter(j, d);
  if (j->attrs[EXCLUDE_OUTSIDE].u.i == 0) return w;
  tn_value *last = like(j, op2_f(j, TN_SUB, number(j, j->in), 1), tap);
  tn_value *inside = op2(j, TN_AND, op2_f(j, TN_GE, tap, 0), op2(j, TN_LE, tap, last));
  return tn_build_select(j->b, inside, w, tn_build_fill_like(j->b, w, 0));
}

/* The sum over taps of weight times element. */
static tn_value *interpolate(const job *j, tn_value *x, tn_value *at) {
  tn_build *b = j->b;
  int taps = (int)ceil(support(j->attrs)), axis = (int)j->attrs[AXIS].u.i;
  tn_value *base = tn_build_unary(b, TN_FLOOR, held(j, at)), *weights[2 * MAX_TAPS], *total = NULL, *sum = NULL;
  bool normalise = j->attrs[EXCLUDE_OUTSIDE].u.i != 0 || j->attrs[ANTIALIAS].u.i != 0;
  for (int k = 1 - taps; k <= taps; k++) {
    tn_value *w = weights[k + taps - 1] = tap_weight(j, at, op2_f(j, TN_ADD, base, k));
    total = total == NULL ? w : op2(j, TN_ADD, total, w);
  }
  for (int k = 1 - taps; k <= taps; k++) {
    tn_value *w = weights[k + taps - 1];
    if (normalise) w = op2(j, TN_DIV, w, total);
    tn_value *read = read_at(j, x, op2_f(j, TN_ADD, base, k));
    if (w == NULL || read == NULL) return NULL;
    w = tn_compose_along(b, tn_build_cast(b, w, x->type->dtype), read, (uint32_t)axis);
    tn_value *term = op2(j, TN_MUL, read, w);
    sum = sum == NULL ? term : op2(j, TN_ADD, sum, term);
  }
  return sum;
}

/* The same for a number of taps known only at run time, which are an axis of their own. */
static tn_value *interpolate_taps(const job *j, tn_value *x, tn_value *at) {
  tn_build *b = j->b;
  tn_ctx *ctx = b->ctx;
  uint32_t axis = (uint32_t)j->attrs[AXIS].u.i, ndim = x->type->ndim;
  const tn_dim *taps = j->attrs[TAPS].u.list.dims[0], *dims[2] = {j->out, tn_dim_mul_i(ctx, taps, 2)};
  int64_t along = 0, over = 1, map[2] = {0, 1}, perm[TN_MAX_NDIM];
  tn_value *k = tn_build_iota(b, dims, 2, 1, TN_F64);
  k = op2(j, TN_SUB, k, like(j, number(j, tn_dim_add_i(ctx, taps, -1)), k));
  tn_value *base = tn_build_broadcast_map(b, tn_build_unary(b, TN_FLOOR, held(j, at)), dims, 2, &along);
  tn_value *tap = op2(j, TN_ADD, base, k);
  tn_value *w = tap_weight(j, tn_build_broadcast_map(b, at, dims, 2, &along), tap);
  tn_value *total = tn_build_reduce(b, "sum", w, &over, 1, false);
  w = op2(j, TN_DIV, w, tn_build_broadcast_map(b, total, dims, 2, &along));
  tn_value *last = like(j, op2_f(j, TN_SUB, number(j, j->in), 1), tap);
  tn_value *index = tn_build_cast(b, op2_f(j, TN_MAX, op2(j, TN_MIN, tap, last), 0), TN_I64);
  tn_value *read = tn_build_gather_axis(b, x, index, axis); /* [out, taps, the other axes] */
  if (read == NULL || w == NULL) return NULL;
  w = tn_build_broadcast_map(b, tn_build_cast(b, w, x->type->dtype), read->type->dims, ndim + 1, map);
  tn_value *y = tn_build_reduce(b, "sum", op2(j, TN_MUL, read, w), &over, 1, false);
  for (uint32_t i = 0; i < ndim; i++) perm[i] = i < axis ? i + 1 : i == axis ? 0 : i;
  return tn_build_transpose(b, y, perm);
}

/* An integer scale whose blocks all read their own element: each element repeated, which needs no index. */
static bool is_repeat(const tn_attr *attrs, const tn_dim *in, const tn_dim *out, tn_ctx *ctx) {
  double scale = attrs[SCALE].u.f;
  int64_t way = attrs[COORDINATES].u.i, round = attrs[NEAREST].u.i;
  if (attrs[MODE].u.i != MODE_NEAREST || scale < 1 || scale != floor(scale) || scale > INT32_MAX) return false;
  if (tn_dim_mul_i(ctx, in, (int64_t)scale) != out) return false;
  return (way == ASYMMETRIC && round == FLOOR) ||
         ((way == HALF_PIXEL || way == HALF_PIXEL_SYMMETRIC) && (round == PREFER_FLOOR || round == PREFER_CEIL));
}

static tn_value *repeat(tn_build *b, tn_value *x, uint32_t axis, int64_t times, const tn_type *result) {
  const tn_dim *dims[TN_MAX_NDIM];
  int64_t map[TN_MAX_NDIM];
  uint32_t ndim = x->type->ndim;
  for (uint32_t i = 0; i < ndim; i++) {
    map[i] = i <= axis ? i : i + 1;
    dims[map[i]] = x->type->dims[i];
  }
  dims[axis + 1] = tn_dim_const(b->ctx, times);
  return tn_build_reshape(b, tn_build_broadcast_map(b, x, dims, ndim + 1, map), result->dims, ndim);
}

static bool expand_resize(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  const tn_attr *attrs = node->attrs;
  uint32_t axis = (uint32_t)attrs[AXIS].u.i;
  tn_value *x = operands[0];
  job j = {.b = b, .attrs = attrs, .in = x->type->dims[axis], .out = attrs[SIZE].u.list.dims[0]};
  if (x->type->ndim < TN_MAX_NDIM && is_repeat(attrs, j.in, j.out, b->ctx)) {
    *out = repeat(b, x, axis, (int64_t)attrs[SCALE].u.f, node->results[0]->type);
    return *out != NULL;
  }
  tn_value *scale = operands[X_SCALE], *start = operands[X_START], *end = operands[X_END];
  j.is_read = scale != NULL || start != NULL || end != NULL;
  if (scale == NULL && attrs[SCALE].u.f != 0) scale = tn_build_splat_f(b, TN_F64, attrs[SCALE].u.f);
  j.start = start != NULL ? start : tn_build_splat_f(b, TN_F64, attrs[ROI_START].u.f);
  j.end = end != NULL ? end : tn_build_splat_f(b, TN_F64, attrs[ROI_END].u.f);
  j.scale = scale != NULL ? scale : op2(&j, TN_DIV, number(&j, j.out), number(&j, j.in));
  j.resized = scale != NULL ? op2(&j, TN_MUL, number(&j, j.in), scale) : number(&j, j.out);
  tn_value *at = positions(&j), *y;
  if (at == NULL) return false;
  if (attrs[MODE].u.i == MODE_NEAREST) {
    y = nearest(&j, x, at);
  } else {
    bool is_float = tn_dtype_is_float(x->type->dtype);
    tn_value *wide = is_float ? tn_compose_wide(b, x) : tn_build_cast(b, x, TN_F32);
    y = attrs[TAPS].present ? interpolate_taps(&j, wide, at) : interpolate(&j, wide, at);
    if (y != NULL && !is_float) y = tn_build_unary(b, TN_ROUND, y);
    y = tn_compose_narrow(b, y, x);
  }
  if (attrs[COORDINATES].u.i == TF_CROP && y != NULL) {
    tn_value *last = like(&j, op2_f(&j, TN_SUB, number(&j, j.in), 1), at);
    tn_value *inside = op2(&j, TN_AND, op2_f(&j, TN_GE, at, 0), op2(&j, TN_LE, at, last));
    y = tn_build_select(b, tn_compose_along(b, inside, y, axis), y, tn_build_fill_like(b, y, attrs[EXTRAPOLATION].u.f));
  }
  *out = y;
  return y != NULL;
}

/* Import. */

typedef struct request {
  tn_value *x;
  tn_attr attrs[N_ATTRS]; /* AXIS, SIZE, SCALE and the roi are set for each axis */
  uint32_t n;
  uint32_t axes[TN_MAX_NDIM];
  double scales[TN_MAX_NDIM]; /* 0: by size */
  tn_value *scale_values[TN_MAX_NDIM]; /* f64[], where known only at run time; else NULL */
  const tn_dim *sizes[TN_MAX_NDIM];
  double roi[2 * TN_MAX_NDIM];
  tn_value *roi_values; /* f64[2 * n] where known only at run time; else NULL */
} request;

/* A list of floats from a constant input, or, when its contents are known only at run time, a value of length
 * elements. */
static bool read_floats(tn_foreign_node *node, uint32_t index, uint32_t length, double *out, tn_value **out_value) {
  tn_value *input = tn_foreign_need(node, index);
  const tn_const *constant = tn_value_const(input);
  *out_value = NULL;
  if (input == NULL) return false;
  if (constant == NULL) return (*out_value = tn_foreign_list(node, index, length)) != NULL;
  int64_t n = tn_type_static_count(constant->type);
  if (n != length)
    return tn_foreign_error(node, TN_E_SHAPE, "input %u: expected %u numbers, found %lld", index, length, (long long)n);
  tn_arena *scratch = tn_arena_create_scratch(node->build->ctx->arena);
  const char *bytes = tn_const_read(constant, scratch);
  tn_dtype dtype = constant->type->dtype;
  for (int64_t i = 0; i < n; i++)
    out[i] = tn_number_cast(dtype, TN_F64, tn_number_load(dtype, bytes + (size_t)i * tn_dtype_bytes(dtype))).f;
  tn_arena_destroy(scratch);
  return true;
}

/* The extents of the axes as f64[n]. */
static tn_value *extents_of(tn_foreign_node *node, const request *r) {
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < r->n; i++) dims[i] = r->x->type->dims[r->axes[i]];
  return tn_build_cast(node->build, tn_build_dim_value(node->build, dims, r->n), TN_F64);
}

/* Sizes from a value of type f64[n] that only a run shows; those below 0 or no number are refused then. */
static bool read_computed(tn_foreign_node *node, request *r, tn_value *sizes) {
  tn_build *b = node->build;
  uint32_t n;
  sizes = tn_build_unary(b, TN_FLOOR, sizes);
  if (sizes == NULL) return false;
  tn_value *good = tn_build_binary(b, TN_AND, tn_build_binary_f(b, TN_GE, sizes, 0),
                                   tn_build_binary_f(b, TN_LT, sizes, 0x1p40));
  tn_value *count = tn_build_select(b, good, sizes, tn_build_fill_like(b, sizes, -1));
  return tn_build_read_dims(b, tn_build_cast(b, count, TN_I64), 0, (int64_t)1 << 40, r->sizes, &n);
}

/* Scales known only at run time: as the definition, the product is rounded to f32. */
static bool read_scale_values(tn_foreign_node *node, request *r, tn_value *scales) {
  tn_build *b = node->build;
  scales = tn_build_cast(b, tn_build_cast(b, scales, TN_F32), TN_F64);
  if (scales == NULL) return false;
  tn_value *sizes = tn_build_binary(b, TN_MUL, extents_of(node, r), scales);
  sizes = tn_build_cast(b, tn_build_cast(b, sizes, TN_F32), TN_F64);
  tn_value *good = tn_build_binary_f(b, TN_GT, scales, 0);
  sizes = tn_build_select(b, good, sizes, tn_build_fill_like(b, scales, -1));
  for (uint32_t i = 0; i < r->n; i++) r->scale_values[i] = tn_compose_entry(b, scales, i);
  return read_computed(node, r, sizes);
}

/* floor(extent * scale): of a symbolic extent a formula where the scale is a ratio of small numbers, else read from
 * what the definition says. */
static const tn_dim *scaled(tn_foreign_node *node, const tn_dim *extent, double scale) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  const tn_dim *read;
  uint32_t n;
  if (tn_dim_is_const(extent)) {
    double size = floor((double)((float)tn_dim_value(extent) * (float)scale));
    if (!(size < 0x1p40)) {
      tn_foreign_error(node, TN_E_LIMIT, "a result of %g elements", size);
      return NULL;
    }
    return tn_dim_const(ctx, (int64_t)size);
  }
  for (int64_t q = 1; q <= 256; q++) {
    double p = nearbyint(scale * (double)q);
    if (p >= 1 && p < 0x1p30 && (float)(p / (double)q) == (float)scale)
      return tn_dim_floordiv(ctx, tn_dim_mul_i(ctx, extent, (int64_t)p), tn_dim_const(ctx, q));
  }
  tn_value *product = tn_build_binary_f(b, TN_MUL, tn_compose_dim(b, extent, TN_F32), scale);
  tn_value *floor_of = tn_build_cast(b, tn_build_unary(b, TN_FLOOR, product), TN_I64);
  return tn_build_read_dims(b, floor_of, 0, TN_DIM_INF, &read, &n) ? read : NULL;
}

static bool read_scales(tn_foreign_node *node, request *r, const double *scales, uint32_t n) {
  if (n != r->n) return tn_foreign_error(node, TN_E_SHAPE, "scales: expected %u, found %u", r->n, n);
  for (uint32_t i = 0; i < n; i++) {
    if (!(scales[i] > 0)) return tn_foreign_error(node, TN_E_ATTR, "scales: element %u is %g", i, scales[i]);
    r->scales[i] = scales[i];
    r->sizes[i] = scaled(node, r->x->type->dims[r->axes[i]], scales[i]);
    if (r->sizes[i] == NULL) return false;
  }
  return true;
}

/* keep_aspect_ratio_policy: one scale for all axes, the smallest or largest, with rounded sizes. */
static bool keep_ratio(tn_foreign_node *node, request *r, bool larger) {
  double scale = 0;
  for (uint32_t i = 0; i < r->n; i++) {
    double ratio = (double)tn_dim_value(r->sizes[i]) / (double)tn_dim_value(r->x->type->dims[r->axes[i]]);
    if (i == 0 || (larger ? ratio > scale : ratio < scale)) scale = ratio;
  }
  for (uint32_t i = 0; i < r->n; i++) {
    double size = floor(scale * (double)tn_dim_value(r->x->type->dims[r->axes[i]]) + 0.5);
    r->sizes[i] = tn_dim_const(node->build->ctx, (int64_t)size);
    r->scales[i] = scale;
  }
  return true;
}

/* The same where sizes or extents are known only at run time. */
static bool keep_ratio_read(tn_foreign_node *node, request *r, bool larger) {
  tn_build *b = node->build;
  int64_t axis = 0;
  tn_value *in = extents_of(node, r), *sizes = tn_build_cast(b, tn_build_dim_value(b, r->sizes, r->n), TN_F64);
  tn_value *scale = tn_build_reduce(b, larger ? "max" : "min", tn_build_binary(b, TN_DIV, sizes, in), &axis, 1, false);
  for (uint32_t i = 0; i < r->n; i++) r->scale_values[i] = scale;
  if (in == NULL || scale == NULL) return false;
  tn_value *scaled_in = tn_build_binary(b, TN_MUL, in, tn_compose_repeat(b, scale, in));
  return read_computed(node, r, tn_build_binary_f(b, TN_ADD, scaled_in, 0.5));
}

static bool read_sizes(tn_foreign_node *node, request *r) {
  const tn_dim *sizes[TN_MAX_INDEX];
  uint32_t n;
  const char *policy;
  bool all_fixed = true;
  if (!tn_foreign_dims_of(node, 3, r->n, 0, TN_DIM_INF, sizes, &n) ||
      !tn_foreign_string(node, "keep_aspect_ratio_policy", "stretch", &policy))
    return false;
  if (n != r->n) return tn_foreign_error(node, TN_E_SHAPE, "sizes: expected %u, found %u", r->n, n);
  for (uint32_t i = 0; i < n; i++) {
    r->sizes[i] = sizes[i];
    const tn_dim *in = r->x->type->dims[r->axes[i]];
    bool fixed = tn_dim_is_const(in) && tn_dim_is_const(sizes[i]) && !tn_dim_is(in, 0);
    r->scales[i] = fixed ? (double)tn_dim_value(sizes[i]) / (double)tn_dim_value(in) : sizes[i] == in ? 1 : 0;
    all_fixed = all_fixed && fixed;
  }
  if (strcmp(policy, "stretch") == 0 || n == 0) return true;
  bool larger = strcmp(policy, "not_smaller") == 0;
  return all_fixed ? keep_ratio(node, r, larger) : keep_ratio_read(node, r, larger);
}

static bool read_axes(tn_foreign_node *node, request *r) {
  const int64_t *axes;
  uint32_t n;
  if (!tn_foreign_ints(node, "axes", &axes, &n)) return false;
  r->n = n == 0 ? r->x->type->ndim : n;
  if (r->n > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_ATTR, "axes: %u elements", n);
  for (uint32_t i = 0; i < r->n; i++) {
    r->axes[i] = i;
    if (n != 0 && !tn_build_axis(node->build, axes[i], r->x->type->ndim, "axes", &r->axes[i])) return false;
  }
  return true;
}

static bool name_attr(tn_foreign_node *node, const char *name, const char *fallback, const char *const *names,
                      tn_attr *out) {
  const char *text;
  if (!tn_foreign_string(node, name, fallback, &text)) return false;
  if (node->version < 7 && strcmp(text, "bilinear") == 0) text = "linear"; /* Upsample's word then */
  for (int64_t i = 0; names[i] != NULL; i++)
    if (strcmp(names[i], text) == 0) {
      *out = tn_attr_int(i);
      return true;
    }
  return tn_foreign_error(node, TN_E_ATTR, "%s: '%s' is not known", name, text);
}

static bool read_ways(tn_foreign_node *node, request *r) {
  bool old = node->version < 11; /* Upsample, and the first Resize */
  double a, extrapolation;
  int64_t exclude, antialias;
  if (!name_attr(node, "mode", "nearest", modes, &r->attrs[MODE]) ||
      !name_attr(node, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel", coordinates,
                 &r->attrs[COORDINATES]) ||
      !name_attr(node, "nearest_mode", old ? "floor" : "round_prefer_floor", nearest_modes, &r->attrs[NEAREST]) ||
      !tn_foreign_float(node, "cubic_coeff_a", -0.75, &a) || !tn_foreign_int(node, "exclude_outside", 0, &exclude) ||
      !tn_foreign_float(node, "extrapolation_value", 0, &extrapolation) ||
      !tn_foreign_int(node, "antialias", 0, &antialias))
    return false;
  r->attrs[CUBIC_A] = tn_attr_float(a);
  r->attrs[EXCLUDE_OUTSIDE] = tn_attr_bool(exclude != 0);
  r->attrs[ANTIALIAS] = tn_attr_bool(antialias != 0);
  r->attrs[EXTRAPOLATION] = tn_attr_float(extrapolation);
  return true;
}

static bool is_empty(const tn_value *value) {
  return value == NULL || (value->type->ndim == 1 && tn_dim_is(value->type->dims[0], 0));
}

/* Scales: two attributes of Upsample before opset 7, one before opset 9, then an input: the second before opset 11, the
 * third from there on. */
static bool read_extents(tn_foreign_node *node, request *r) {
  double scales[2 * TN_MAX_NDIM];
  const tn_foreign_attr *attr = tn_foreign_find(node, "scales");
  if (node->op[0] == 'U' && node->version < 7) {
    scales[0] = scales[1] = 1;
    return tn_foreign_float(node, "height_scale", 0, &scales[2]) &&
           tn_foreign_float(node, "width_scale", 0, &scales[3]) && read_scales(node, r, scales, 4);
  }
  if (node->op[0] == 'U' && node->version < 9) {
    if (attr == NULL || attr->kind != TN_FOREIGN_FLOATS) return tn_foreign_error(node, TN_E_ATTR, "scales is missing");
    return read_scales(node, r, attr->floats, attr->n);
  }
  uint32_t index = node->version < 11 || node->op[0] == 'U' ? 1 : 2;
  if (is_empty(tn_foreign_input(node, index))) return read_sizes(node, r);
  tn_value *value;
  if (!read_floats(node, index, r->n, scales, &value)) return false;
  return value != NULL ? read_scale_values(node, r, value) : read_scales(node, r, scales, r->n);
}

/* antialias by a scale known only at run time: the number of taps on each side, ceil(support / scale). */
static bool count_taps(tn_foreign_node *node, request *r, uint32_t i) {
  tn_build *b = node->build;
  const tn_dim *taps;
  uint32_t n;
  if (r->scale_values[i] == NULL) {
    tn_value *in = tn_compose_dim(b, r->x->type->dims[r->axes[i]], TN_F64);
    r->scale_values[i] = tn_build_binary(b, TN_DIV, tn_compose_dim(b, r->sizes[i], TN_F64), in);
  }
  tn_value *scale = tn_build_binary_f(b, TN_MIN, r->scale_values[i], 1);
  if (scale == NULL) return false;
  double reach = r->attrs[MODE].u.i == MODE_CUBIC ? 2 : 1;
  tn_value *count = tn_build_unary(b, TN_CEIL, tn_build_binary(b, TN_DIV, tn_build_fill_like(b, scale, reach), scale));
  if (!tn_build_read_dims(b, tn_build_cast(b, count, TN_I64), 1, INT32_MAX, &taps, &n)) return false;
  r->attrs[TAPS] = tn_attr_dims(b->module, &taps, 1);
  return true;
}

static tn_value *resize_axis(tn_foreign_node *node, request *r, uint32_t i, tn_value *x) {
  tn_build *b = node->build;
  bool by_filter = r->attrs[MODE].u.i != MODE_NEAREST && r->attrs[ANTIALIAS].u.i != 0;
  r->attrs[AXIS] = tn_attr_int(r->axes[i]);
  r->attrs[SIZE] = tn_attr_dims(b->module, &r->sizes[i], 1);
  r->attrs[SCALE] = tn_attr_float(r->scale_values[i] != NULL ? 0 : r->scales[i]);
  r->attrs[ROI_START] = tn_attr_float(r->roi[i]);
  r->attrs[ROI_END] = tn_attr_float(r->attrs[COORDINATES].u.i == TF_CROP ? r->roi[r->n + i] : 1);
  r->attrs[TAPS] = (tn_attr){0};
  if (by_filter && (r->scale_values[i] != NULL || r->scales[i] == 0) && !count_taps(node, r, i)) return NULL;
  tn_value *operands[N_OPERANDS] = {x, r->scale_values[i], NULL, NULL};
  if (r->roi_values != NULL) {
    operands[X_START] = tn_compose_entry(b, r->roi_values, i);
    operands[X_END] = tn_compose_entry(b, r->roi_values, r->n + i);
  }
  uint32_t n = operands[X_START] != NULL ? N_OPERANDS : operands[X_SCALE] != NULL ? 2 : 1;
  return tn_build_op(b, tn_op_find("resize"), operands, n, r->attrs);
}

static bool import_resize(tn_foreign_node *node) {
  request r = {.x = tn_foreign_need(node, 0)};
  if (r.x == NULL || !read_axes(node, &r) || !read_ways(node, &r) || !read_extents(node, &r)) return false;
  bool crop = r.attrs[COORDINATES].u.i == TF_CROP;
  if (crop && !read_floats(node, 1, 2 * r.n, r.roi, &r.roi_values)) return false;
  if (r.roi_values != NULL) r.roi_values = tn_build_cast(node->build, r.roi_values, TN_F64);
  bool chooses = r.x->type->dtype == TN_BOOL && r.attrs[MODE].u.i == MODE_NEAREST; /* bools are chosen as bytes */
  tn_value *x = chooses ? tn_build_cast(node->build, r.x, TN_U8) : r.x;
  for (uint32_t i = 0; i < r.n && x != NULL; i++) {
    bool same = r.sizes[i] == x->type->dims[r.axes[i]] && r.scales[i] == 1;
    if (crop || !same) x = resize_axis(node, &r, i, x);
  }
  if (chooses && x != NULL) x = tn_build_cast(node->build, x, TN_BOOL);
  return tn_foreign_set(node, 0, x);
}

/* Whether ONNX computes the same extent from the scale. */
static bool scale_gives_size(const tn_type *x, const tn_attr *attrs) {
  const tn_dim *extent = x->dims[attrs[AXIS].u.i], *size = attrs[SIZE].u.list.dims[0];
  double scale = attrs[SCALE].u.f;
  if (!tn_dim_is_const(extent) || !tn_dim_is_const(size)) return extent == size && scale == 1;
  return floor((double)tn_dim_value(extent) * (double)(float)scale) == (double)tn_dim_value(size);
}

/* One axis; by its scale, or by its size. */
static bool export_resize(tn_export *x, const tn_node *node) {
  const tn_attr *attrs = node->attrs;
  bool by_size = attrs[SCALE].u.f == 0;
  for (uint32_t i = X_SCALE; i < node->n_operands; i++)
    if (node->operands[i].value != NULL) return false;
  if (attrs[COORDINATES].u.i == TF_CROP) return false;
  if (!by_size && !scale_gives_size(node->operands[0].value->type, attrs)) return false;
  int64_t one = 1;
  const tn_dim *const *size = attrs[SIZE].u.list.dims;
  const char *sizes = by_size ? tn_export_dims(x, size, 1) : "", *scales = "";
  if (!sizes) return false;
  if (!by_size)
    scales = tn_export_binary(x, "Reshape", tn_export_number(x, TN_F32, attrs[SCALE].u.f), tn_export_ints(x, &one, 1),
                              NULL);
  tn_export_emit(x, "Resize", 19, TN_NAMES(tn_export_operand(x, node, 0), "", scales, sizes),
                 TN_FOREIGN(tn_foreign_of_ints("axes", &attrs[AXIS].u.i, 1),
                            tn_foreign_of_string("mode", modes[attrs[MODE].u.i]),
                            tn_foreign_of_string("coordinate_transformation_mode", coordinates[attrs[COORDINATES].u.i]),
                            tn_foreign_of_string("nearest_mode", nearest_modes[attrs[NEAREST].u.i]),
                            tn_foreign_of_float("cubic_coeff_a", attrs[CUBIC_A].u.f),
                            tn_foreign_of_int("exclude_outside", attrs[EXCLUDE_OUTSIDE].u.i),
                            tn_foreign_of_int("antialias", attrs[ANTIALIAS].u.i)),
                 tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0},
                                              {"scale", TN_OPTIONAL, TN_DTYPE_BIT(TN_F64), TN_ROLE_DATA, NULL, 0},
                                              {"start", TN_OPTIONAL, TN_DTYPE_BIT(TN_F64), TN_ROLE_DATA, NULL, 0},
                                              {"end", TN_OPTIONAL, TN_DTYPE_BIT(TN_F64), TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attr_defs[] = {
    {.name = "axis", .kind = TN_ATTR_INT, .required = true},
    {.name = "size", .kind = TN_ATTR_DIMS, .required = true},
    {.name = "scale", .kind = TN_ATTR_FLOAT},
    {.name = "mode", .kind = TN_ATTR_NAME, .names = modes},
    {.name = "coordinates", .kind = TN_ATTR_NAME, .names = coordinates},
    {.name = "nearest", .kind = TN_ATTR_NAME, .names = nearest_modes},
    {.name = "cubic_a", .kind = TN_ATTR_FLOAT, .default_f = -0.75},
    {.name = "exclude_outside", .kind = TN_ATTR_BOOL},
    {.name = "antialias", .kind = TN_ATTR_BOOL},
    {.name = "extrapolation", .kind = TN_ATTR_FLOAT},
    {.name = "roi_start", .kind = TN_ATTR_FLOAT},
    {.name = "roi_end", .kind = TN_ATTR_FLOAT, .default_f = 1.0},
    {.name = "taps", .kind = TN_ATTR_DIMS, .no_default = true}};
static const tn_onnx_row onnx[] = {{"", "Resize", 10, 0, import_resize}, {"", "Upsample", 1, 9, import_resize}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), "{axis=1, size=[6], scale=2, coordinates=asymmetric, nearest=floor}", 0, 0, "f32[2,6]"},
    {TN_TYPES("f32[2,B]"), "{axis=1, size=[4], mode=linear}", 0, 0, "f32[2,4]"},
    {TN_TYPES("f64[1,5]"), "{axis=1, size=[3], mode=cubic, exclude_outside=true}", 0, 0, "f64[1,3]"},
    {TN_TYPES("f32[8]"), "{axis=0, size=[3], scale=0.375, mode=linear, antialias=true}", 0, 0, "f32[3]"},
    {TN_TYPES("f32[1,4]"), "{axis=0, size=[1], mode=linear, coordinates=align_corners}", 0, 0, "f32[1,4]"},
    {TN_TYPES("u8[4]"), "{axis=0, size=[7], mode=linear}", 0, 200, "u8[7]"},
    {TN_TYPES("f32[2,4]", "f64[]"), "{axis=1, size=[6], mode=linear}", 1.5, 1.5, "f32[2,6]"},
    {TN_TYPES("f32[2,8]", "f64[]"), "{axis=1, size=[4], mode=linear, antialias=true, taps=[2]}", 0.5, 0.5, "f32[2,4]"},
    {TN_TYPES("f32[4,0]"), "{axis=0, size=[2]}", 0, 0, "f32[2,0]"},
    {TN_TYPES("f32[4]"), "{axis=1, size=[2]}", 0, 0, NULL},
    {TN_TYPES("f32[4]"), "{axis=0, size=[2], mode=linear, antialias=true}", 0, 0, NULL},
    {TN_TYPES("f32[4]"), "{axis=0, size=[-2]}", 0, 0, NULL},
};

const tn_opdef tn_op_resize = {
    .name = "resize",
    .kind = TN_OP_COMPOSITE,
    .doc = "x resampled along axis to size: the nearest element, or linear or cubic interpolation, at positions given "
           "by `coordinates` and scale (0: size / extent). exclude_outside leaves taps beyond the ends out; antialias "
           "widens the filter by 1 / scale; tf_crop_and_resize gives `extrapolation` outside. The operands stand for "
           "scale, roi_start and roi_end where these are known only at run time; antialias then needs `taps`, at least "
           "ceil(1 / scale) for linear and ceil(2 / scale) for cubic (scale at most 1).",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attr_defs),
    .infer = infer_resize,
    .expand = expand_resize,
    TN_ONNX(onnx),
    .export = export_resize,
    TN_SAMPLES(samples),
};
