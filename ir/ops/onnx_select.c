/* ONNX operators that cut and extend: Slice, Split, Pad. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <string.h>

/* Starts and ends at run time are clamped to this first, so that INT64_MAX takes part in arithmetic on extents. */
#define FAR ((int64_t)1 << 40)

/* A list from an attribute (before opset since) or an input, as dims in [-FAR, FAR]. */
static bool read_list(tn_foreign_node *node, const char *name, uint32_t index, int64_t since, const tn_dim **out,
                      uint32_t *out_n) {
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
      value = tn_build_cast(node->build, value, TN_I64);
      value = tn_build_binary_f(node->build, TN_MAX, tn_build_binary_f(node->build, TN_MIN, value, (double)FAR),
                                -(double)FAR);
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

bool tn_import_slice(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  tn_value *x = tn_foreign_need(node, 0);
  const tn_dim *starts[TN_MAX_INDEX], *ends[TN_MAX_INDEX];
  uint32_t n, n_ends, n_axes = 0, n_steps = 0;
  const int64_t *axes = NULL, *steps = NULL;
  bool known = true;
  if (x == NULL || !read_list(node, "starts", 1, 10, starts, &n) || !read_list(node, "ends", 2, 10, ends, &n_ends))
    return false;
  if (node->version < 10 ? !tn_foreign_ints(node, "axes", &axes, &n_axes)
                         : !tn_foreign_const_ints(node, 3, &axes, &n_axes, &known))
    return false;
  if (!known && tn_foreign_input(node, 3) != NULL) return tn_foreign_unsupported(node, "axes computed at run time");
  if (node->version >= 10 && !tn_foreign_const_ints(node, 4, &steps, &n_steps, &known)) return false;
  if (!known && tn_foreign_input(node, 4) != NULL) return tn_foreign_unsupported(node, "steps computed at run time");
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
    if (!read_list(node, "split", 1, 13, out, &given)) return false;
    if (given != n) return tn_foreign_error(node, TN_E_SHAPE, "split: expected %u sizes, found %u", n, given);
    const tn_dim *sum = tn_dim_const(ctx, 0);
    for (uint32_t i = 0; i < n; i++) sum = tn_dim_add(ctx, sum, out[i]);
    return tn_func_require_eq(b->func, sum, extent, node->loc, "'Split': sum of the parts");
  }
  if (!tn_foreign_int(node, "num_outputs", n, &parts)) return false;
  if (parts != (int64_t)n) return tn_foreign_error(node, TN_E_ATTR, "num_outputs: expected %u", n);
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
  tn_value *y = tn_build_gather_axis(b, x, i, axis); /* the index' axis comes first */
  int64_t perm[TN_MAX_NDIM];
  for (uint32_t k = 0; k < x->type->ndim; k++) perm[k] = k < axis ? k + 1 : k == axis ? 0 : k;
  return tn_build_transpose(b, y, perm);
}

/* pads, constant_value and axes: attributes before opset 11, then inputs. */
static bool read_pads(tn_foreign_node *node, uint32_t ndim, const tn_dim **lo, const tn_dim **hi) {
  tn_ctx *ctx = node->build->ctx;
  const tn_dim *pads[TN_MAX_INDEX];
  const int64_t *axes = NULL;
  uint32_t n, n_axes = 0;
  bool known = true;
  if (!read_list(node, node->version < 2 ? "paddings" : "pads", 1, 11, pads, &n)) return false;
  if (node->version >= 18 && !tn_foreign_const_ints(node, 3, &axes, &n_axes, &known)) return false;
  if (!known && tn_foreign_input(node, 3) != NULL) return tn_foreign_unsupported(node, "axes computed at run time");
  if (axes == NULL) n_axes = ndim;
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
      !tn_foreign_dims(node, 1, 0, INT32_MAX, target, &n))
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
