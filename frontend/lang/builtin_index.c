/* Built-ins, group 5: elements chosen by position, and tensors made from nothing. */
#include <string.h>

#include "frontend/lang/builtin.h"

/* x, i, axis: the axis is replaced by the dims of i; a negative index counts from the end. */
static tn_datum *make_gather(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0), *index = call->args[1];
  tn_build *b = call->b;
  uint32_t axis = x ? tn_call_axis(call, 2, x) : UINT32_MAX;
  if (axis == UINT32_MAX) return NULL;
  index = tn_datum_as_tensor(call->s, index, TN_I64, call->loc);
  if (!index) return NULL;
  uint32_t n = tn_datum_ndim(x), m = tn_datum_ndim(index);
  if (n + m > TN_MAX_NDIM + 1) return tn_call_error(call, TN_E_LIMIT, "a result of %u dims", n + m - 1), NULL;
  tn_value *i = tn_build_cast(b, index->tensor.value, TN_I64);
  tn_value *extent = tn_build_reshape(b, tn_build_dim_value(b, &x->tensor.axes[axis].extent, 1), NULL, 0);
  if (!i || !extent) return NULL;
  extent = tn_build_broadcast_to(b, extent, i->type->dims, m);
  i = tn_build_select(b, tn_build_binary_f(b, TN_LT, i, 0), tn_build_binary(b, TN_ADD, i, extent), i);
  tn_value *y = tn_build_gather_axis(b, x->tensor.value, i, axis);
  int64_t perm[TN_MAX_NDIM];
  tn_axis axes[TN_MAX_NDIM];
  uint32_t at = 0;
  for (uint32_t k = 0; k < axis; k++) {
    axes[at] = x->tensor.axes[k];
    perm[at++] = m + k;
  }
  for (uint32_t k = 0; k < m; k++) {
    axes[at] = index->tensor.axes[k];
    perm[at++] = k;
  }
  for (uint32_t k = axis + 1; k < n; k++) {
    axes[at] = x->tensor.axes[k];
    perm[at++] = m + k - 1;
  }
  return tn_datum_tensor(call->s, tn_build_transpose(b, y, perm), axes, call->loc);
}

/* --- pad: x, n, axes, mode, value --- */

typedef struct padding {
  tn_datum *x;
  int64_t axes[TN_MAX_NDIM], before[TN_MAX_NDIM], after[TN_MAX_NDIM]; /* by position in axes */
  uint32_t n;
} padding;

static bool read_padding(tn_call *call, padding *p) {
  const tn_datum *given = call->args[1];
  tn_sema *s = call->s;
  p->x = tn_call_tensor(call, 0);
  if (!p->x) return false;
  if (call->args[2] ? !tn_call_axes(call, 2, p->x, p->axes, &p->n) : false) return false;
  for (uint32_t i = 2; !call->args[2] && i < tn_datum_ndim(p->x); i++) p->axes[p->n++] = i;
  if (p->n == 0) return tn_call_error(call, TN_E_RANK, "%s has no spatial dims: say axes", tn_datum_describe(s, p->x));
  bool each = given->kind == TN_DATUM_TUPLE && given->tuple.n && given->tuple.parts[0]->kind == TN_DATUM_TUPLE;
  if (each && given->tuple.n != p->n)
    return tn_call_error(call, TN_E_LANG_ARGUMENT, "%u pairs for %u axes", given->tuple.n, p->n);
  for (uint32_t i = 0; i < p->n; i++) {
    const tn_datum *one = each ? given->tuple.parts[i] : given;
    bool pair = one->kind == TN_DATUM_TUPLE;
    if (pair && one->tuple.n != 2) return tn_call_error(call, TN_E_LANG_ARGUMENT, "expected n or (before, after)");
    if (!tn_datum_static_int(s, pair ? one->tuple.parts[0] : one, "pad", &p->before[i]) ||
        !tn_datum_static_int(s, pair ? one->tuple.parts[1] : one, "pad", &p->after[i]))
      return false;
    if (p->before[i] < 0 || p->after[i] < 0 || p->before[i] > INT32_MAX || p->after[i] > INT32_MAX)
      return tn_call_error(call, TN_E_ATTR, "pad: expected numbers that are not negative");
  }
  return true;
}

/* x read along one axis at positions that leave it by `before`: the nearest element, or mirrored at the ends. */
static tn_value *pad_by_index(tn_call *call, tn_value *x, uint32_t axis, int64_t before, int64_t after, bool reflect) {
  tn_build *b = call->b;
  tn_ctx *ctx = call->s->ctx;
  const tn_dim *last = tn_dim_add_i(ctx, x->type->dims[axis], -1);
  const tn_dim *length = tn_dim_add_i(ctx, x->type->dims[axis], before + after);
  int64_t perm[TN_MAX_NDIM];
  tn_value *i = tn_build_binary_f(b, TN_SUB, tn_build_iota(b, &length, 1, 0, TN_I64), (double)before);
  tn_value *end = tn_build_broadcast_to(b, tn_build_dim_value(b, &last, 1), &length, 1);
  if (reflect) { /* |i|, then end - |end - i| */
    i = tn_build_unary(b, TN_ABS, i);
    i = tn_build_binary(b, TN_SUB, end, tn_build_unary(b, TN_ABS, tn_build_binary(b, TN_SUB, end, i)));
  }
  i = tn_build_binary_f(b, TN_MAX, tn_build_binary(b, TN_MIN, i, end), 0);
  for (uint32_t k = 0; k < x->type->ndim; k++) perm[k] = k < axis ? k + 1 : k == axis ? 0 : k;
  return tn_build_transpose(b, tn_build_gather_axis(b, x, i, axis), perm);
}

static bool reflect_fits(tn_call *call, const padding *p, uint32_t i) {
  const tn_axis *axis = &p->x->tensor.axes[p->axes[i]];
  int64_t most = p->before[i] > p->after[i] ? p->before[i] : p->after[i];
  if (tn_dim_compare(call->s->ctx, axis->extent, tn_dim_const(call->s->ctx, most)) == TN_DIM_GREATER) return true;
  if (tn_dim_is_const(axis->extent))
    return tn_call_error(call, TN_E_SHAPE, "reflect: %lld elements are more than dim %s has besides the end",
                         (long long)most, tn_axis_describe(call->s, axis));
  return tn_func_require_le(call->s->func, tn_dim_const(call->s->ctx, most + 1), axis->extent, call->loc,
                            "dim %s that pad reflects", tn_axis_label_text(call->s, axis));
}

static tn_datum *make_pad(tn_call *call) {
  padding p = {0};
  tn_ctx *ctx = call->s->ctx;
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  tn_axis axes[TN_MAX_NDIM];
  if (!read_padding(call, &p)) return NULL;
  const char *mode = tn_call_word(call, 3);
  bool reflect = strcmp(mode, "reflect") == 0, edge = strcmp(mode, "edge") == 0;
  uint32_t n = tn_datum_ndim(p.x);
  tn_value *y = p.x->tensor.value;
  memcpy(axes, p.x->tensor.axes, n * sizeof(*axes));
  for (uint32_t i = 0; i < n; i++) lo[i] = hi[i] = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < p.n && y; i++) {
    uint32_t axis = (uint32_t)p.axes[i];
    if (p.before[i] || p.after[i]) axes[axis] = (tn_axis){.loc = call->loc};
    lo[axis] = tn_dim_const(ctx, p.before[i]);
    hi[axis] = tn_dim_const(ctx, p.after[i]);
    if (reflect && !reflect_fits(call, &p, i)) return NULL;
    if (reflect || edge) y = pad_by_index(call, y, axis, p.before[i], p.after[i], reflect);
  }
  if (!reflect && !edge) {
    tn_datum *fill = tn_datum_as_tensor(call->s, call->args[4], tn_datum_dtype(p.x), call->loc);
    y = fill ? tn_build_pad(call->b, y, fill->tensor.value, lo, hi) : NULL;
  }
  return tn_datum_tensor(call->s, y, axes, call->loc);
}

static tn_datum *make_flip(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  uint32_t axis = x ? tn_call_axis(call, 1, x) : UINT32_MAX;
  if (axis == UINT32_MAX) return NULL;
  const tn_dim *extent = x->tensor.axes[axis].extent;
  return tn_call_like(call, tn_build_slice_axis(call->b, x->tensor.value, axis,
                                                tn_dim_add_i(call->s->ctx, extent, -1), extent, -1), x);
}

enum { MAX_REPEAT = 1 << 20 };

/* x, n, axis: x n times one after the other. */
static tn_datum *make_repeat(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_ctx *ctx = call->s->ctx;
  uint32_t axis = x ? tn_call_axis(call, 2, x) : UINT32_MAX;
  int64_t times, map[TN_MAX_NDIM];
  tn_axis axes[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM];
  if (axis == UINT32_MAX || !tn_call_int(call, 1, &times)) return NULL;
  uint32_t n = tn_datum_ndim(x);
  if (times < 1 || times > MAX_REPEAT || n == TN_MAX_NDIM)
    return tn_call_error(call, TN_E_ATTR, "n: expected 1 to %d", MAX_REPEAT), NULL;
  memcpy(axes, x->tensor.axes, n * sizeof(*axes));
  for (uint32_t i = 0; i < n; i++) {
    map[i] = i < axis ? i : i + 1;
    dims[map[i]] = axes[i].extent;
  }
  dims[axis] = tn_dim_const(ctx, times);
  tn_value *y = tn_build_broadcast_map(call->b, x->tensor.value, dims, n + 1, map);
  axes[axis] = (tn_axis){.extent = tn_dim_mul_i(ctx, axes[axis].extent, times), .loc = call->loc,
                         .label = axes[axis].label ? tn_dim_mul_i(ctx, axes[axis].label, times) : NULL};
  for (uint32_t i = 0; i < n; i++) dims[i] = axes[i].extent;
  return tn_datum_tensor(call->s, tn_build_reshape(call->b, y, dims, n), axes, call->loc);
}

/* x, k: what lies on and below (above) diagonal k of the last two dims; 0 elsewhere. */
static tn_datum *make_triangle(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_build *b = call->b;
  int64_t k;
  if (!x || !tn_call_rank(call, x, 2, TN_MAX_NDIM) || !tn_call_int(call, 1, &k)) return NULL;
  const tn_type *type = x->tensor.value->type;
  const tn_dim *const *last = type->dims + type->ndim - 2;
  tn_value *row = tn_build_iota(b, last, 2, 0, TN_I64), *column = tn_build_iota(b, last, 2, 1, TN_I64);
  tn_value *kept = tn_build_binary(b, call->builtin->name[3] == 'l' ? TN_LE : TN_GE, column,
                                   tn_build_binary_f(b, TN_ADD, row, (double)k));
  kept = tn_build_broadcast_to(b, kept, type->dims, type->ndim);
  tn_value *zero = tn_build_broadcast_to(b, tn_build_splat_i(b, type->dtype, 0), type->dims, type->ndim);
  return tn_call_like(call, tn_build_select(b, kept, x->tensor.value, zero), x);
}

/* --- Tensors from nothing --- */

static tn_datum *filled(tn_call *call, tn_value *scalar) {
  tn_axis axes[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  for (size_t i = 0; i < call->rest.n; i++) {
    if (n == TN_MAX_NDIM) return tn_call_error(call, TN_E_LIMIT, "more than %d dims", TN_MAX_NDIM), NULL;
    axes[n] = call->rest.data[i].datum->integer;
    axes[n].loc = call->rest.data[i].loc;
    dims[n] = axes[n].extent;
    if (dims[n++]->hi < 0) return tn_call_error(call, TN_E_SHAPE, "a negative dim"), NULL;
  }
  return scalar ? tn_datum_tensor(call->s, tn_build_broadcast_to(call->b, scalar, dims, n), axes, call->loc) : NULL;
}

static tn_datum *make_zeros(tn_call *call) {
  return filled(call, tn_build_splat_i(call->b, call->args[1]->dtype, call->builtin->name[0] == 'o'));
}

static tn_datum *make_full(tn_call *call) {
  tn_datum *v = call->args[0];
  tn_dtype dtype = call->args[2]  ? call->args[2]->dtype
                   : v->kind == TN_DATUM_INT ? TN_I32
                   : v->kind == TN_DATUM_BOOL ? TN_BOOL
                                              : TN_F32;
  v = tn_datum_as_tensor(call->s, v, dtype, call->loc);
  if (v && tn_datum_ndim(v) != 0) return tn_call_error(call, TN_E_RANK, "the value is one number"), NULL;
  return v ? filled(call, v->tensor.value) : NULL;
}

static tn_datum *make_iota(tn_call *call) {
  tn_axis axis = call->args[0]->integer;
  axis.loc = call->loc;
  return tn_datum_tensor(call->s, tn_build_iota(call->b, &axis.extent, 1, 0, call->args[1]->dtype), &axis, call->loc);
}

static tn_datum *make_same(tn_call *call) { return tn_call_tensor(call, 0); }

static const tn_builtin rows[] = {
    {"gather", "x: *[], i: i[], axis: axis",
     "the elements of x at the indices along axis; a negative index counts from the end", make_gather, NULL},
    {"pad", "x: *[], n: ints, axes: axes = none, mode: zero|value|edge|reflect = zero, value: float = 0",
     "n, or (before, after), elements more at the ends of the spatial dims or of axes", make_pad, NULL},
    {"flip", "x: *[], axis: axis", "backwards along axis", make_flip, NULL},
    {"repeat", "x: *[], n: int, axis: axis", "n times one after the other", make_repeat, NULL},
    {"tril", "x: *[], k: int = 0", "0 above diagonal k of the last two dims", make_triangle, NULL},
    {"triu", "x: *[], k: int = 0", "0 below diagonal k of the last two dims", make_triangle, NULL},
    {"zeros", "dims...: int, dtype: dtype = f32", "all 0", make_zeros, NULL},
    {"ones", "dims...: int, dtype: dtype = f32", "all 1", make_zeros, NULL},
    {"full", "v: any, dims...: int, dtype: dtype = none", "all v", make_full, NULL},
    {"iota", "T: int, dtype: dtype = i32", "0, 1, 2, ...", make_iota, NULL},
    {"stop_gradient", "x: *[]", "x, which gradients do not pass", make_same, NULL},
};

const tn_builtin_group tn_builtins_index = TN_BUILTINS("Index", rows);
