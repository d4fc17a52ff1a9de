/* ONNX's Fourier transforms DFT and STFT, and MelWeightMatrix. A transform is a product with a matrix of sines and
 * cosines, so every length is served; the angles are reduced as integers and computed in double. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <string.h>

#define TWO_PI 6.283185307179586477

/* What is asked of one transform along the last axis but one of [.., n, 1 or 2]. */
typedef struct fourier {
  const tn_dim *length; /* of the signal after cutting or padding */
  bool inverse, onesided;
} fourier;

static tn_value *dim_like(tn_build *b, const tn_dim *dim, const tn_value *like) {
  return like == NULL ? NULL : tn_compose_repeat(b, tn_compose_dim(b, dim, like->type->dtype), like);
}

/* cos and sin of 2 pi j k / length, [rows, columns]. */
static void waves(tn_build *b, const tn_dim *rows, const tn_dim *columns, const tn_dim *length, tn_value **out_cos,
                  tn_value **out_sin) {
  const tn_dim *dims[] = {rows, columns};
  tn_value *j = tn_build_iota(b, dims, 2, 0, TN_I64), *k = tn_build_iota(b, dims, 2, 1, TN_I64);
  tn_value *turn = tn_build_binary(b, TN_MUL, j, k);
  turn = tn_build_binary(b, TN_MOD, turn, dim_like(b, length, turn));
  turn = turn == NULL ? NULL : tn_build_cast(b, turn, TN_F64);
  turn = tn_build_binary(b, TN_DIV, turn, dim_like(b, length, turn));
  tn_value *angle = tn_build_binary_f(b, TN_MUL, turn, TWO_PI);
  *out_cos = tn_build_unary(b, TN_COS, angle);
  *out_sin = tn_build_unary(b, TN_SIN, angle);
}

/* x cut or padded with zeros to length along axis. */
static tn_value *fit(tn_build *b, tn_value *x, uint32_t axis, const tn_dim *length) {
  if (x == NULL || x->type->dims[axis] == length) return x;
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->type->ndim; i++) lo[i] = hi[i] = tn_dim_const(b->ctx, 0);
  hi[axis] = tn_dim_sub(b->ctx, length, x->type->dims[axis]);
  return tn_build_pad(b, x, tn_build_splat_f(b, x->type->dtype, 0), lo, hi);
}

/* Part 0 (real) or 1 (imaginary) of [.., 2], without that axis. */
static tn_value *part_of(tn_build *b, tn_value *x, int64_t part) {
  uint32_t last = x->type->ndim - 1;
  if (tn_dim_is(x->type->dims[last], 1)) return part == 0 ? tn_build_drop_axis(b, x, last) : NULL;
  x = tn_build_slice_axis(b, x, last, tn_dim_const(b->ctx, part), tn_dim_const(b->ctx, 1), 1);
  return tn_build_drop_axis(b, x, last);
}

/* sum over the last axis of x with the rows of m; NULL for a part that is zero. */
static tn_value *product(tn_build *b, tn_value *x, tn_value *m) {
  if (x == NULL || m == NULL) return NULL;
  int64_t sum[2] = {x->type->ndim - 1, 0};
  return tn_build_dot(b, x, tn_build_cast(b, m, x->type->dtype), NULL, 0, sum, 1);
}

/* x + sign * y, where a missing one is zero. */
static tn_value *combined(tn_build *b, tn_value *x, tn_value *y, bool minus) {
  if (y == NULL) return x;
  if (x == NULL) return minus ? tn_build_unary(b, TN_NEG, y) : y;
  return tn_build_binary(b, minus ? TN_SUB : TN_ADD, x, y);
}

/* Weights of the bins of half a spectrum: those that the other half mirrors count twice. [bins], f64. */
static tn_value *mirror_weights(tn_build *b, const tn_dim *bins, const tn_dim *length) {
  tn_value *k = tn_build_iota(b, &bins, 1, 0, TN_I64);
  tn_value *mirrored = tn_build_binary(b, TN_LT, tn_build_binary_f(b, TN_MUL, k, 2), dim_like(b, length, k));
  mirrored = tn_build_binary(b, TN_AND, mirrored, tn_build_binary_f(b, TN_GT, k, 0));
  return mirrored == NULL ? NULL : tn_build_binary_f(b, TN_ADD, tn_build_cast(b, mirrored, TN_F64), 1);
}

/* Real signal of half a spectrum. */
static tn_value *inverse_real(tn_build *b, tn_value *re, tn_value *im, const tn_dim *length) {
  const tn_dim *bins = re->type->dims[re->type->ndim - 1];
  tn_value *c, *s, *weights = mirror_weights(b, bins, length);
  waves(b, bins, length, length, &c, &s);
  if (c == NULL || s == NULL || weights == NULL) return NULL;
  c = tn_build_binary(b, TN_MUL, c, tn_compose_along(b, weights, c, 0));
  s = tn_build_binary(b, TN_MUL, s, tn_compose_along(b, weights, s, 0));
  tn_value *y = combined(b, product(b, re, c), product(b, im, s), true);
  return y == NULL ? NULL : tn_build_insert_axis(b, y, y->type->ndim);
}

/* The transform of [.., n, 1 or 2] along the last axis but one: [.., m, 2], or [.., m, 1] of half a spectrum's inverse.
 */
static tn_value *transform(tn_build *b, tn_value *x, const fourier *f) {
  if (x == NULL) return NULL;
  uint32_t axis = x->type->ndim - 2;
  const tn_dim *bins = tn_dim_add_i(b->ctx, tn_dim_floordiv(b->ctx, f->length, tn_dim_const(b->ctx, 2)), 1);
  bool real_result = f->inverse && f->onesided;
  x = fit(b, tn_compose_wide(b, x), axis, real_result ? bins : f->length);
  if (x == NULL) return NULL;
  tn_value *re = part_of(b, x, 0), *im = part_of(b, x, 1), *y;
  if (re == NULL) return NULL;
  if (real_result) {
    y = inverse_real(b, re, im, f->length);
  } else {
    tn_value *c, *s;
    waves(b, f->length, f->onesided ? bins : f->length, f->length, &c, &s);
    tn_value *real = combined(b, product(b, re, c), product(b, im, s), f->inverse);
    tn_value *imaginary = combined(b, product(b, im, c), product(b, re, s), !f->inverse);
    if (real == NULL || imaginary == NULL) return NULL;
    uint32_t last = real->type->ndim;
    tn_value *parts[] = {tn_build_insert_axis(b, real, last), tn_build_insert_axis(b, imaginary, last)};
    y = tn_build_concat(b, parts, 2, last);
  }
  return f->inverse ? tn_build_binary(b, TN_DIV, y, dim_like(b, f->length, y)) : y;
}

/* x with a last extent of 1 (real) or 2 (complex); where only a run shows which, what is missing is zero. */
static tn_value *complex_axis(tn_foreign_node *node, tn_value *x) {
  tn_build *b = node->build;
  if (x == NULL) return NULL;
  uint32_t ndim = x->type->ndim;
  const tn_dim *last = ndim < 2 ? NULL : x->type->dims[ndim - 1], *two = tn_dim_const(b->ctx, 2);
  if (ndim < 2 || (tn_dim_is_const(last) && !tn_dim_is(last, 1) && !tn_dim_is(last, 2))) {
    tn_foreign_error(node, TN_E_SHAPE, "the last extent must be 1 (real) or 2 (complex)");
    return NULL;
  }
  if (tn_dim_is_const(last)) return x;
  const char *what = "'%s': the last extent, 1 (real) or 2 (complex)";
  if (!tn_func_require_le(b->func, tn_dim_const(b->ctx, 1), last, node->loc, what, node->op) ||
      !tn_func_require_le(b->func, last, two, node->loc, what, node->op))
    return NULL;
  return fit(b, x, ndim - 1, two);
}

/* An integer scalar input as a dim. */
static bool scalar_dim(tn_foreign_node *node, uint32_t index, int64_t lo, const tn_dim **out) {
  const tn_dim *dims[TN_MAX_INDEX];
  uint32_t n;
  *out = NULL;
  if (!tn_foreign_dims(node, index, lo, INT32_MAX, dims, &n)) return false;
  if (n != 1) return tn_foreign_error(node, TN_E_SHAPE, "input %u: expected one number, found %u", index, n);
  *out = dims[0];
  return true;
}

/* An attribute before opset 20, then an input; *out_late: its value comes at run time. */
static bool dft_axis(tn_foreign_node *node, uint32_t ndim, uint32_t *out, bool *out_late) {
  int64_t axis = node->version < 20 ? 1 : -2;
  const int64_t *ints;
  uint32_t n;
  bool known = true;
  *out = 0;
  *out_late = false;
  if (node->version < 20) {
    if (!tn_foreign_int(node, "axis", axis, &axis)) return false;
  } else if (tn_foreign_input(node, 2) != NULL) {
    if (!tn_foreign_const_ints(node, 2, &ints, &n, &known)) return false;
    *out_late = !known;
    if (!known) return true;
    if (n != 1) return tn_foreign_error(node, TN_E_SHAPE, "axis: expected one number, found %u", n);
    axis = ints[0];
  }
  if (!tn_build_axis(node->build, axis, ndim, "axis", out)) return false;
  return *out + 1 < ndim || tn_foreign_error(node, TN_E_ATTR, "axis: the last one holds real and imaginary parts");
}

/* What is the same for all axes. */
typedef struct dft_request {
  tn_foreign_node *node;
  tn_value *x;
  bool inverse, onesided;
  const tn_dim *length; /* of input 1, or NULL */
} dft_request;

/* Along an axis that is known, in the type computed in. */
static tn_value *dft_along(const dft_request *r, uint32_t axis) {
  tn_build *b = r->node->build;
  tn_ctx *ctx = b->ctx;
  uint32_t ndim = r->x->type->ndim;
  int64_t perm[TN_MAX_NDIM];
  fourier f = {r->x->type->dims[axis], r->inverse, r->onesided};
  const tn_dim *steps = tn_dim_max(ctx, tn_dim_add_i(ctx, f.length, -1), tn_dim_const(ctx, 0));
  if (f.inverse && f.onesided) f.length = tn_dim_mul_i(ctx, steps, 2);
  if (r->length != NULL) f.length = r->length;
  for (uint32_t i = 0; i < ndim; i++) perm[i] = i;
  perm[axis] = ndim - 2;
  perm[ndim - 2] = axis; /* its own inverse */
  return tn_build_transpose(b, transform(b, tn_build_transpose(b, r->x, perm), &f), perm);
}

/* 1 when the axis that comes at run time (a dim of [-ndim, ndim)) is number k, else 0. */
static const tn_dim *is_axis(tn_ctx *ctx, const tn_dim *axis, int64_t k, uint32_t ndim) {
  const tn_dim *one = tn_dim_const(ctx, 1), *flag = tn_dim_const(ctx, 0);
  for (int side = 0; side < 2; side++) { /* as k or as k - ndim */
    const tn_dim *apart = tn_dim_add_i(ctx, axis, side == 0 ? -k : (int64_t)ndim - k);
    apart = tn_dim_max(ctx, apart, tn_dim_mul_i(ctx, apart, -1));
    flag = tn_dim_add(ctx, flag, tn_dim_sub(ctx, one, tn_dim_min(ctx, apart, one)));
  }
  return flag;
}

/* The axis' number as a value; a wrong one is refused when it runs, by the bounds of an index. */
static tn_value *late_axis(tn_foreign_node *node, uint32_t n) {
  tn_build *b = node->build;
  const tn_dim *dim = tn_dim_const(b->ctx, n);
  tn_value *axis = tn_build_cast(b, tn_build_reshape(b, node->inputs[2], NULL, 0), TN_I64);
  if (axis == NULL) return NULL;
  axis = tn_build_wrap_index(b, axis, tn_dim_const(b->ctx, (int64_t)n + 1));
  return tn_build_gather_axis(b, tn_build_iota(b, &dim, 1, 0, TN_I64), axis, 0);
}

/* All axes are transformed along, and the one asked for is taken. Where the results' extents differ, they are brought
 * to those of the one that is taken. */
static tn_value *dft_late(const dft_request *r) {
  tn_build *b = r->node->build;
  tn_ctx *ctx = b->ctx;
  uint32_t n = r->x->type->ndim - 1;
  tn_value *along[TN_MAX_NDIM], *axis = late_axis(r->node, n), *y = NULL;
  const tn_dim *dims[TN_MAX_NDIM], *given = NULL;
  bool alike = true;
  for (uint32_t k = 0; k < n; k++) {
    if ((along[k] = dft_along(r, k)) == NULL) return NULL;
    alike = alike && tn_type_same_dims(along[k]->type, along[0]->type);
  }
  if (!alike && !scalar_dim(r->node, 2, -(int64_t)n - 1, &given)) return NULL;
  for (uint32_t i = 0; i <= n; i++) {
    dims[i] = alike || i == n ? along[0]->type->dims[i] : r->x->type->dims[i];
    if (alike || i == n) continue;
    const tn_dim *more = tn_dim_sub(ctx, along[i]->type->dims[i], dims[i]);
    dims[i] = tn_dim_add(ctx, dims[i], tn_dim_mul(ctx, is_axis(ctx, given, i, n + 1), more));
  }
  for (uint32_t k = 0; k < n; k++) {
    for (uint32_t i = 0; i < n; i++) along[k] = fit(b, along[k], i, dims[i]);
    tn_value *is_k = tn_build_binary(b, TN_EQ, axis, tn_build_splat_i(b, TN_I64, k));
    y = k == 0 ? along[0] : tn_build_select(b, tn_compose_repeat(b, is_k, along[k]), along[k], y);
    if (y == NULL) return NULL;
  }
  return y;
}

bool tn_import_dft(tn_foreign_node *node) {
  dft_request r = {.node = node, .x = tn_foreign_need(node, 0)};
  int64_t inverse, onesided;
  uint32_t axis;
  bool late;
  if ((r.x = complex_axis(node, r.x)) == NULL || !dft_axis(node, r.x->type->ndim, &axis, &late) ||
      !tn_foreign_int(node, "inverse", 0, &inverse) || !tn_foreign_int(node, "onesided", 0, &onesided))
    return false;
  r.inverse = inverse != 0;
  r.onesided = onesided != 0;
  if (tn_foreign_input(node, 1) != NULL && !scalar_dim(node, 1, 1, &r.length)) return false;
  tn_value *y = late ? dft_late(&r) : dft_along(&r, axis);
  return tn_foreign_set(node, 0, y == NULL ? NULL : tn_compose_narrow(node->build, y, r.x));
}

/* STFT: signal [B,L,1 or 2] in frames of `length` elements, `step` apart, times the window. */
bool tn_import_stft(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  tn_value *x = tn_foreign_need(node, 0), *window = tn_foreign_input(node, 2);
  const tn_dim *step, *length = NULL;
  int64_t onesided;
  if (x == NULL || !tn_foreign_int(node, "onesided", 1, &onesided) || !scalar_dim(node, 1, 1, &step)) return false;
  if (x->type->ndim == 2) x = tn_build_insert_axis(b, x, 2);
  if ((x = complex_axis(node, x)) == NULL) return false;
  if (x->type->ndim != 3 || (window != NULL && window->type->ndim != 1))
    return tn_foreign_error(node, TN_E_RANK, "expected a signal of 3 dimensions and a window of 1");
  if (tn_foreign_input(node, 3) != NULL && !scalar_dim(node, 3, 1, &length)) return false;
  if (length == NULL) length = window != NULL ? window->type->dims[0] : x->type->dims[1];
  if (!tn_func_require_le(b->func, length, x->type->dims[1], node->loc, "'STFT': a frame fits into the signal"))
    return false;
  /* at least 1, by the guard; the maximum says so to whoever plans memory */
  const tn_dim *rest = tn_dim_max(ctx, tn_dim_sub(ctx, x->type->dims[1], length), tn_dim_const(ctx, 0));
  const tn_dim *frames = tn_dim_add_i(ctx, tn_dim_floordiv(ctx, rest, step), 1);
  const tn_dim *dims[] = {frames, length};
  tn_value *at = tn_build_iota(b, dims, 2, 0, TN_I64), *within = tn_build_iota(b, dims, 2, 1, TN_I64);
  at = tn_build_binary(b, TN_ADD, tn_build_binary(b, TN_MUL, at, dim_like(b, step, at)), within);
  /* [frames, length, B, 1 or 2] */
  tn_value *y = tn_build_gather_axis(b, x, at, 1);
  y = y == NULL ? NULL : tn_compose_wide(b, tn_build_transpose(b, y, (int64_t[]){2, 0, 1, 3}));
  if (window != NULL && y != NULL)
    y = tn_build_binary(b, TN_MUL, y, tn_compose_along(b, tn_build_cast(b, window, y->type->dtype), y, 2));
  fourier f = {length, false, onesided != 0};
  return tn_foreign_set(node, 0, tn_compose_narrow(b, transform(b, y, &f), node->inputs[0]));
}

/* A float scalar input as f64. */
static tn_value *number_of(tn_foreign_node *node, uint32_t index) {
  tn_value *x = tn_foreign_need(node, index);
  return x == NULL ? NULL : tn_build_cast(node->build, tn_build_reshape(node->build, x, NULL, 0), TN_F64);
}

#define LOG_10 2.302585092994045684

/* Hertz as mel: 2595 log10(1 + f / 700). */
static tn_value *mel_of(tn_build *b, tn_value *hertz) {
  tn_value *mel = tn_build_unary(b, TN_LOG1P, tn_build_binary_f(b, TN_DIV, hertz, 700));
  return tn_build_binary_f(b, TN_DIV, tn_build_binary_f(b, TN_MUL, mel, 2595), LOG_10);
}

/* The spectrogram bin of each of the n + 2 points that lie equally far apart in mel: whole numbers in f64. */
static tn_value *mel_bins(tn_foreign_node *node, const tn_dim *n, const tn_dim *length) {
  tn_build *b = node->build;
  tn_value *rate = number_of(node, 2), *low = mel_of(b, number_of(node, 3)), *high = mel_of(b, number_of(node, 4));
  const tn_dim *points = tn_dim_add_i(b->ctx, n, 2);
  tn_value *i = tn_build_iota(b, &points, 1, 0, TN_F64);
  tn_value *step = tn_build_binary(b, TN_DIV, tn_build_binary(b, TN_SUB, high, low), tn_compose_dim(b, points, TN_F64));
  if (rate == NULL || step == NULL || i == NULL) return NULL;
  tn_value *mel = tn_build_binary(b, TN_ADD, tn_build_binary(b, TN_MUL, i, tn_compose_repeat(b, step, i)),
                                  tn_compose_repeat(b, low, i));
  /* 700 (10^(mel / 2595) - 1) */
  mel = tn_build_binary_f(b, TN_MUL, tn_build_binary_f(b, TN_DIV, mel, 2595), LOG_10);
  tn_value *hertz = tn_build_binary_f(b, TN_MUL, tn_build_unary(b, TN_EXPM1, mel), 700);
  hertz = tn_build_binary(b, TN_MUL, hertz, dim_like(b, tn_dim_add_i(b->ctx, length, 1), hertz));
  return tn_build_unary(b, TN_FLOOR, tn_build_binary(b, TN_DIV, hertz, tn_compose_repeat(b, rate, i)));
}

/* Column i rises from 0 at bin i to 1 at bin i + 1 and falls to 0 at bin i + 2. */
bool tn_import_mel_weight_matrix(tn_foreign_node *node) {
  tn_build *b = node->build;
  const tn_dim *n, *length;
  int64_t to;
  if (!scalar_dim(node, 0, 0, &n) || !scalar_dim(node, 1, 1, &length) ||
      !tn_foreign_int(node, "output_datatype", 1, &to))
    return false;
  tn_dtype dtype = tn_dtype_of_onnx(to);
  if (dtype == TN_N_DTYPES || dtype == TN_STR || dtype == TN_BOOL)
    return tn_foreign_error(node, TN_E_ATTR, "output_datatype: %lld", (long long)to);
  tn_value *bins = mel_bins(node, n, length), *point[3];
  if (bins == NULL) return false;
  const tn_dim *dims[] = {tn_dim_add_i(b->ctx, tn_dim_floordiv(b->ctx, length, tn_dim_const(b->ctx, 2)), 1), n};
  for (int64_t i = 0; i < 3; i++) {
    point[i] = tn_build_slice_axis(b, bins, 0, tn_dim_const(b->ctx, i), n, 1);
    point[i] = tn_build_broadcast_map(b, point[i], dims, 2, (int64_t[]){1});
  }
  tn_value *at = tn_build_iota(b, dims, 2, 0, TN_F64);
  tn_value *rise = tn_build_binary(b, TN_SUB, point[1], point[0]);
  tn_value *fall = tn_build_binary(b, TN_SUB, point[2], point[1]);
  tn_value *up = tn_build_binary(b, TN_DIV, tn_build_binary(b, TN_SUB, at, point[0]), rise);
  tn_value *down = tn_build_binary(b, TN_DIV, tn_build_binary(b, TN_SUB, point[2], at), fall);
  tn_value *zero = tn_build_fill_like(b, at, 0);
  tn_value *in_rise = tn_build_binary(b, TN_AND, tn_build_binary(b, TN_GE, at, point[0]),
                                      tn_build_binary(b, TN_LT, at, point[1]));
  tn_value *in_fall = tn_build_binary(b, TN_AND, tn_build_binary(b, TN_GE, at, point[1]),
                                      tn_build_binary(b, TN_LT, at, point[2]));
  tn_value *peak = tn_build_binary(b, TN_EQ, at, point[1]);
  tn_value *y = tn_build_select(b, in_rise, up, tn_build_select(b, in_fall, down, zero));
  y = tn_build_select(b, peak, tn_build_fill_like(b, at, 1), y);
  return tn_foreign_set(node, 0, y == NULL ? NULL : tn_build_cast(b, y, dtype));
}
