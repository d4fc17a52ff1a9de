/* ONNX operators that cut and extend: Slice, Split, Pad. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <string.h>

/* Starts and ends at run time are clamped to this first, so that INT64_MAX takes part in arithmetic on extents. */
#define FAR ((int64_t)1 << 40)

/* Numbers of a list held in [-FAR, FAR], as i64. */
static tn_value *near_values(tn_build *b, tn_value *list) {
  list = tn_build_cast(b, list, TN_I64);
  return tn_build_binary_f(b, TN_MAX, tn_build_binary_f(b, TN_MIN, list, (double)FAR), -(double)FAR);
}

#define ANY_LENGTH UINT32_MAX

/* A list from an attribute (before opset since) or an input, as dims in [-FAR, FAR]. Of an input known only at run time
 * the length must be `length`. */
static bool read_list(tn_foreign_node *node, const char *name, uint32_t index, int64_t since, uint32_t length,
                      const tn_dim **out, uint32_t *out_n) {
  tn_ctx *ctx = node->build->ctx;
  if (node->version < since) {
    const int64_t *ints;
    if (!tn_foreign_ints(node, name, &ints, out_n)) return false;
    if (*out_n > TN_MAX_INDEX) return tn_foreign_error(node, TN_E_LIMIT, "%s: %u elements", name, *out_n);
    for (uint32_t i = 0; i < *out_n; i++) out[i] = tn_dim_const(ctx, ints[i]);
  } else {
    tn_value *value = tn_foreign_need(node, index);
    if (value == NULL) return false;
    if (value->index == NULL) {
      if (length != ANY_LENGTH && (value = tn_foreign_list(node, index, length)) == NULL) return false;
      value = near_values(node->build, value);
      if (!tn_build_read_dims(node->build, value, -FAR, FAR, out, out_n)) return false;
    } else {
      *out_n = value->n_index;
      for (uint32_t i = 0; i < *out_n; i++) out[i] = value->index[i];
    }
  }
  for (uint32_t i = 0; i < *out_n; i++) {
    if (!tn_dim_is_const(out[i])) continue;
    int64_t v = tn_dim_value(out[i]);
    out[i] = tn_dim_const(ctx, v > FAR ? FAR : v < -FAR ? -FAR : v);
  }
  return true;
}

/* s counted from the end when negative. */
static const tn_dim *from_end(tn_ctx *ctx, const tn_dim *s, const tn_dim *extent) {
  if (s->lo >= 0) return s;
  if (s->hi < 0) return tn_dim_add(ctx, s, extent);
  const tn_dim *zero = tn_dim_const(ctx, 0), *one = tn_dim_const(ctx, 1);
  const tn_dim *negative = tn_dim_min(ctx, tn_dim_max(ctx, tn_dim_mul_i(ctx, s, -1), zero), one);
  return tn_dim_add(ctx, s, tn_dim_mul(ctx, negative, extent));
}

static const tn_dim *clamp(tn_ctx *ctx, const tn_dim *v, const tn_dim *lo, const tn_dim *hi) {
  return tn_dim_max(ctx, tn_dim_min(ctx, v, hi), lo);
}

/* ONNX (and NumPy) bounds of one axis as a start in range and a size. */
static void resolve_bounds(tn_ctx *ctx, const tn_dim *extent, const tn_dim **start, const tn_dim **size, int64_t step) {
  const tn_dim *lo = tn_dim_const(ctx, step > 0 ? 0 : -1), *hi = tn_dim_add_i(ctx, extent, step > 0 ? 0 : -1);
  const tn_dim *zero = tn_dim_const(ctx, 0);
  const tn_dim *least = step > 0 || extent->lo >= 1 ? zero : tn_dim_min(ctx, zero, hi); /* -1 of an empty axis */
  const tn_dim *first = clamp(ctx, from_end(ctx, *start, extent), least, hi);
  const tn_dim *end = clamp(ctx, from_end(ctx, *size, extent), lo, hi);
  const tn_dim *span = step > 0 ? tn_dim_sub(ctx, end, first) : tn_dim_sub(ctx, first, end);
  *start = first;
  *size = tn_dim_max(ctx, tn_dim_ceildiv(ctx, span, step > 0 ? step : -step), zero);
}

static tn_value *filled(tn_build *b, const tn_dim *length, int64_t v) {
  return tn_build_broadcast_map(b, tn_build_splat_i(b, TN_I64, v), &length, 1, NULL);
}

/* What resolve_bounds does, on vectors with an entry for each axis. *size: -1 where the step is 0. */
static void resolve_values(tn_build *b, tn_value *extent, tn_value **start, tn_value **size, tn_value **step) {
  tn_value *zero = tn_build_fill_like(b, extent, 0), *back = tn_build_binary(b, TN_LT, *step, zero);
  tn_value *first = *start, *end = *size, *stride = tn_build_unary(b, TN_ABS, *step);
  first = tn_build_select(b, tn_build_binary(b, TN_LT, first, zero), tn_build_binary(b, TN_ADD, first, extent), first);
  end = tn_build_select(b, tn_build_binary(b, TN_LT, end, zero), tn_build_binary(b, TN_ADD, end, extent), end);
  tn_value *one = tn_build_cast(b, back, TN_I64), *hi = tn_build_binary(b, TN_SUB, extent, one);
  first = tn_build_binary(b, TN_MAX, tn_build_binary(b, TN_MIN, first, hi), zero);
  end = tn_build_binary(b, TN_MAX, tn_build_binary(b, TN_MIN, end, hi), tn_build_unary(b, TN_NEG, one));
  tn_value *forward = tn_build_binary(b, TN_SUB, end, first), *span;
  span = tn_build_select(b, back, tn_build_unary(b, TN_NEG, forward), forward);
  /* (span + stride - 1) / stride truncates to the ceiling, or to 0 or less */
  span = tn_build_binary_f(b, TN_SUB, tn_build_binary(b, TN_ADD, span, stride), 1);
  tn_value *count = tn_build_binary_f(b, TN_MAX, tn_build_binary(b, TN_DIV, span, stride), 0);
  count = tn_build_binary(b, TN_MIN, count, extent); /* an empty axis has no last element to begin at */
  *start = first;
  *size = tn_build_select(b, tn_build_binary(b, TN_EQ, *step, zero), tn_build_fill_like(b, count, -1), count);
}

/* Slice with axes, steps or the number of starts known only at run time: each axis is read at start + step * i. */
static tn_value *slice_read(tn_foreign_node *node, tn_value *x) {
  tn_build *b = node->build;
  tn_value *starts = tn_foreign_need(node, 1), *ends = tn_foreign_need(node, 2), *axes = tn_foreign_input(node, 3),
           *steps = tn_foreign_input(node, 4);
  uint32_t ndim = x->type->ndim;
  const tn_dim *length = tn_dim_const(b->ctx, ndim), *flags[TN_MAX_NDIM], *sizes[TN_MAX_NDIM];
  if (starts == NULL || ends == NULL) return NULL;
  if (ndim == 0) return x;
  const tn_dim *count = tn_type_count(b->ctx, starts->type);
  if (!tn_func_require_le(b->func, count, length, node->loc, "'Slice': number of starts")) return NULL;
  tn_value *lists[4] = {starts, ends, axes, steps};
  for (int i = 1; i < 4; i++)
    if (lists[i] != NULL && !tn_func_require_eq(b->func, tn_type_count(b->ctx, lists[i]->type), count, node->loc,
                                                "'Slice': starts and input %d differ in length", i + 1))
      return NULL;
  tn_value *hits = tn_axes_hits(node, axes, count, ndim), *extent = tn_build_dim_value(b, x->type->dims, ndim);
  if (axes != NULL && !tn_axes_read_flags(b, tn_axes_counts(b, hits), flags)) return NULL;
  tn_value *start = tn_axes_place(b, hits, near_values(b, starts), filled(b, length, 0));
  tn_value *size = tn_axes_place(b, hits, near_values(b, ends), filled(b, length, FAR));
  tn_value *step = filled(b, length, 1);
  if (steps != NULL) step = tn_axes_place(b, hits, near_values(b, steps), step);
  if (extent == NULL || start == NULL || size == NULL || step == NULL) return NULL;
  resolve_values(b, extent, &start, &size, &step);
  int64_t lo[TN_MAX_NDIM] = {0}, hi[TN_MAX_NDIM];
  for (uint32_t i = 0; i < ndim; i++) hi[i] = x->type->dims[i]->hi;
  if (!tn_build_read_dims_within(b, size, lo, hi, sizes)) return NULL;
  for (uint32_t i = 0; i < ndim; i++) {
    tn_value *at = tn_build_iota(b, &sizes[i], 1, 0, TN_I64);
    at = tn_build_binary(b, TN_MUL, at, tn_compose_repeat(b, tn_compose_entry(b, step, i), at));
    at = tn_build_binary(b, TN_ADD, at, tn_compose_repeat(b, tn_compose_entry(b, start, i), at));
    x = tn_compose_take_axis(b, x, at, i);
  }
  return x;
}

static bool has_fixed_length(const tn_foreign_node *node, uint32_t index) {
  const tn_value *list = tn_foreign_input(node, index);
  return list == NULL || tn_type_static_count(list->type) >= 0;
}

bool tn_import_slice(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  tn_value *x = tn_foreign_need(node, 0);
  bool is_read = tn_foreign_is_data(node, 3) || tn_foreign_is_data(node, 4) || !has_fixed_length(node, 1) ||
                 !has_fixed_length(node, 2);
  if (x != NULL && node->version >= 10 && is_read) return tn_foreign_set(node, 0, slice_read(node, x));
  const tn_dim *starts[TN_MAX_INDEX], *ends[TN_MAX_INDEX];
  uint32_t n, n_ends, n_axes = 0, n_steps = 0;
  const int64_t *axes = NULL, *steps = NULL;
  bool known = true;
  if (x == NULL || !read_list(node, "starts", 1, 10, ANY_LENGTH, starts, &n) ||
      !read_list(node, "ends", 2, 10, ANY_LENGTH, ends, &n_ends))
    return false;
  if (node->version < 10 ? !tn_foreign_ints(node, "axes", &axes, &n_axes)
                         : !tn_foreign_const_ints(node, 3, &axes, &n_axes, &known))
    return false;
  if (node->version >= 10 && !tn_foreign_const_ints(node, 4, &steps, &n_steps, &known)) return false;
  uint32_t ndim = x->type->ndim, seen = 0;
  if (n_ends != n || n > ndim || (axes != NULL && n_axes != n) || (steps != NULL && n_steps != n))
    return tn_foreign_error(node, TN_E_SHAPE, "starts, ends, axes and steps have different lengths");
  const tn_dim *start[TN_MAX_NDIM], *size[TN_MAX_NDIM];
  int64_t step[TN_MAX_NDIM];
  for (uint32_t i = 0; i < ndim; i++) {
    start[i] = tn_dim_const(ctx, 0);
    size[i] = x->type->dims[i];
    step[i] = 1;
  }
  for (uint32_t i = 0; i < n; i++) {
    uint32_t axis = i;
    if (axes != NULL && !tn_build_axis(b, axes[i], ndim, "axes", &axis)) return false;
    if ((seen >> axis & 1) != 0) return tn_foreign_error(node, TN_E_ATTR, "axes: %u occurs twice", axis);
    seen |= (uint32_t)1 << axis;
    step[axis] = steps == NULL ? 1 : steps[i] > FAR ? FAR : steps[i] < -FAR ? -FAR : steps[i];
    if (step[axis] == 0) return tn_foreign_error(node, TN_E_ATTR, "steps: element %u is 0", i);
    start[axis] = starts[i];
    size[axis] = ends[i];
    resolve_bounds(ctx, x->type->dims[axis], &start[axis], &size[axis], step[axis]);
  }
  return tn_foreign_set(node, 0, tn_build_slice(b, x, start, size, step));
}

/* Sizes of the parts: given, or equal; from opset 18 the last may be smaller (num_outputs). */
static bool split_sizes(tn_foreign_node *node, const tn_dim *extent, const tn_dim **out) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  uint32_t n = node->n_outputs, given = 0;
  int64_t parts;
  bool has_list = node->version < 13 ? tn_foreign_find(node, "split") != NULL : tn_foreign_input(node, 1) != NULL;
  if (has_list) {
    if (!read_list(node, "split", 1, 13, n, out, &given)) return false;
    if (given != n) return tn_foreign_error(node, TN_E_SHAPE, "split: expected %u sizes, found %u", n, given);
    const tn_dim *sum = tn_dim_const(ctx, 0);
    for (uint32_t i = 0; i < n; i++) sum = tn_dim_add(ctx, sum, out[i]);
    return tn_func_require_eq(b->func, sum, extent, node->loc, "'Split': sum of the parts");
  }
  if (!tn_foreign_int(node, "num_outputs", n, &parts)) return false;
  if (parts != (int64_t)n)
    return tn_foreign_error(node, TN_E_ATTR, "num_outputs: expected %u, found %lld", n, (long long)parts);
  if (node->version < 18 && !tn_func_require_eq(b->func, tn_dim_mod(ctx, extent, tn_dim_const(ctx, n)),
                                                tn_dim_const(ctx, 0), node->loc, "'Split': %u equal parts", n))
    return false;
  const tn_dim *part = tn_dim_ceildiv(ctx, extent, n);
  for (uint32_t i = 0; i + 1 < n; i++) out[i] = part;
  out[n - 1] = tn_dim_sub(ctx, extent, tn_dim_mul_i(ctx, part, n - 1));
  return true;
}

bool tn_import_split(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t axis;
  uint32_t at;
  if (x == NULL || !tn_foreign_int(node, "axis", 0, &axis) || !tn_build_axis(b, axis, x->type->ndim, "axis", &at))
    return false;
  if (node->n_outputs == 0 || node->n_outputs > TN_MAX_INDEX)
    return tn_foreign_error(node, TN_E_LIMIT, "%u outputs", node->n_outputs);
  const tn_dim *sizes[TN_MAX_INDEX], *start = tn_dim_const(b->ctx, 0);
  if (!split_sizes(node, x->type->dims[at], sizes)) return false;
  for (uint32_t i = 0; i < node->n_outputs; i++) {
    if (node->wanted[i] && !tn_foreign_set(node, i, tn_build_slice_axis(b, x, at, start, sizes[i], 1))) return false;
    start = tn_dim_add(b->ctx, start, sizes[i]);
  }
  return true;
}

/* x along axis read at an index that runs from -lo: clamped, mirrored or wrapped around. */
static tn_value *pad_axis(tn_build *b, tn_value *x, uint32_t axis, const tn_dim *lo, const tn_dim *hi, char mode) {
  if (x == NULL || (tn_dim_is(lo, 0) && tn_dim_is(hi, 0))) return x;
  tn_ctx *ctx = b->ctx;
  const tn_dim *d = x->type->dims[axis], *out = tn_dim_add(ctx, tn_dim_add(ctx, d, lo), hi);
  tn_value *i = tn_build_iota(b, &out, 1, 0, TN_I64);
  if (i == NULL) return NULL;
  i = tn_build_binary(b, TN_SUB, i, tn_compose_repeat(b, tn_compose_dim(b, lo, TN_I64), i));
  tn_value *extent = tn_compose_repeat(b, tn_compose_dim(b, d, TN_I64), i);
  tn_value *last = tn_compose_repeat(b, tn_compose_dim(b, tn_dim_add_i(ctx, d, -1), TN_I64), i);
  if (mode == 'e') {
    i = tn_build_binary(b, TN_MIN, tn_build_binary_f(b, TN_MAX, i, 0), last);
  } else if (mode == 'r') {
    tn_value *period = tn_build_binary_f(b, TN_MUL, last, 2);
    i = tn_build_binary(b, TN_MOD, i, period);
    i = tn_build_binary(b, TN_MIN, i, tn_build_binary(b, TN_SUB, period, i));
  } else {
    i = tn_build_binary(b, TN_MOD, i, extent);
  }
  return tn_compose_take_axis(b, x, i, axis);
}

/* pads for axes known only at run time. */
static bool read_placed_pads(tn_foreign_node *node, uint32_t ndim, const tn_dim **lo, const tn_dim **hi) {
  tn_build *b = node->build;
  tn_value *axes = tn_foreign_need(node, 3), *pads = tn_foreign_need(node, 1);
  const tn_dim *flags[TN_MAX_NDIM];
  uint32_t n;
  if (axes == NULL || pads == NULL) return false;
  const tn_dim *count = tn_type_count(b->ctx, axes->type), *zero = tn_dim_const(b->ctx, 0);
  if (!tn_func_require_eq(b->func, tn_type_count(b->ctx, pads->type), tn_dim_mul_i(b->ctx, count, 2), node->loc,
                          "'Pad': length of pads"))
    return false;
  if (ndim == 0 || pads->type->ndim != 1) return tn_foreign_error(node, TN_E_RANK, "pads and axes must be lists");
  tn_value *hits = tn_axes_hits(node, axes, count, ndim), *none = filled(b, tn_dim_const(b->ctx, ndim), 0);
  pads = near_values(b, pads);
  tn_value *before = tn_axes_place(b, hits, tn_build_slice_axis(b, pads, 0, zero, count, 1), none);
  tn_value *after = tn_axes_place(b, hits, tn_build_slice_axis(b, pads, 0, count, count, 1), none);
  return tn_axes_read_flags(b, tn_axes_counts(b, hits), flags) && tn_build_read_dims(b, before, -FAR, FAR, lo, &n) &&
         tn_build_read_dims(b, after, -FAR, FAR, hi, &n);
}

/* pads, constant_value and axes: attributes before opset 11, then inputs. */
static bool read_pads(tn_foreign_node *node, uint32_t ndim, const tn_dim **lo, const tn_dim **hi) {
  tn_ctx *ctx = node->build->ctx;
  const tn_dim *pads[TN_MAX_INDEX];
  const int64_t *axes = NULL;
  uint32_t n, n_axes = 0;
  bool known = true;
  if (node->version >= 18 && tn_foreign_is_data(node, 3)) return read_placed_pads(node, ndim, lo, hi);
  if (node->version >= 18 && !tn_foreign_const_ints(node, 3, &axes, &n_axes, &known)) return false;
  if (axes == NULL) n_axes = ndim;
  const char *name = node->version < 2 ? "paddings" : "pads";
  if (!read_list(node, name, 1, 11, 2 * n_axes, pads, &n)) return false;
  if (n != 2 * n_axes) return tn_foreign_error(node, TN_E_SHAPE, "pads: expected %u, found %u", 2 * n_axes, n);
  for (uint32_t i = 0; i < ndim; i++) lo[i] = hi[i] = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < n_axes; i++) {
    uint32_t axis = i;
    if (axes != NULL && !tn_build_axis(node->build, axes[i], ndim, "axes", &axis)) return false;
    lo[axis] = pads[i];
    hi[axis] = pads[n_axes + i];
  }
  return true;
}

/* d / 2 toward zero. */
static const tn_dim *half_of(tn_ctx *ctx, const tn_dim *d) {
  const tn_dim *zero = tn_dim_const(ctx, 0), *two = tn_dim_const(ctx, 2);
  const tn_dim *up = tn_dim_floordiv(ctx, tn_dim_max(ctx, d, zero), two);
  return tn_dim_sub(ctx, up, tn_dim_floordiv(ctx, tn_dim_max(ctx, tn_dim_mul_i(ctx, d, -1), zero), two));
}

/* Each axis cut or padded with zeros to its target, half of the difference before, rounded toward zero. */
bool tn_import_center_crop_pad(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM], *target[TN_MAX_INDEX];
  const int64_t *axes;
  uint32_t n, n_axes;
  if (x == NULL || !tn_foreign_ints(node, "axes", &axes, &n_axes) ||
      !tn_foreign_dims_of(node, 1, axes != NULL ? n_axes : x->type->ndim, 0, INT32_MAX, target, &n))
    return false;
  uint32_t ndim = x->type->ndim, want = axes != NULL ? n_axes : ndim;
  if (n != want) return tn_foreign_error(node, TN_E_SHAPE, "shape: expected %u extents, found %u", want, n);
  for (uint32_t i = 0; i < ndim; i++) lo[i] = hi[i] = tn_dim_const(b->ctx, 0);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t axis = i;
    if (axes != NULL && !tn_build_axis(b, axes[i], ndim, "axes", &axis)) return false;
    const tn_dim *difference = tn_dim_sub(b->ctx, target[i], x->type->dims[axis]);
    lo[axis] = half_of(b->ctx, difference);
    hi[axis] = tn_dim_sub(b->ctx, difference, lo[axis]);
  }
  return tn_foreign_set(node, 0, tn_build_pad(b, x, tn_build_splat_f(b, x->type->dtype, 0), lo, hi));
}

bool tn_import_pad(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  const char *mode;
  double number;
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  if (x == NULL || !tn_foreign_string(node, "mode", "constant", &mode) ||
      !tn_foreign_float(node, "value", 0, &number) || !read_pads(node, x->type->ndim, lo, hi))
    return false;
  if (strcmp(mode, "constant") != 0) {
    if (strcmp(mode, "reflect") != 0 && strcmp(mode, "edge") != 0 && strcmp(mode, "wrap") != 0)
      return tn_foreign_error(node, TN_E_ATTR, "mode: '%s' is no way of padding", mode);
    for (uint32_t i = 0, n = x->type->ndim; i < n; i++) x = pad_axis(b, x, i, lo[i], hi[i], mode[0]);
    return tn_foreign_set(node, 0, x);
  }
  tn_value *value = node->version >= 11 ? tn_foreign_input(node, 2) : NULL;
  if (value == NULL) value = tn_build_splat_f(b, x->type->dtype, number);
  else value = tn_build_reshape(b, value, NULL, 0);
  return tn_foreign_set(node, 0, tn_build_pad(b, x, value, lo, hi));
}
