/* Built-ins, group 5: dims of a tensor changed, named, joined and parted. */
#include <string.h>

#include "frontend/lang/builtin.h"

/* "256 = 16 * 4 * 4" */
static void trace_product(const tn_call *call, const tn_datum *x, tn_axis *axis) {
  tn_buf factors = tn_buf_create(call->s->arena);
  const tn_axis *from = NULL;
  for (uint32_t i = 1; i < tn_datum_ndim(x); i++) {
    tn_buf_printf(&factors, "%s%s", i > 1 ? " * " : "", tn_dim_text(call->s, x->tensor.axes[i].extent));
    if (!from && x->tensor.axes[i].trace) from = &x->tensor.axes[i];
  }
  if (tn_datum_ndim(x) > 2)
    tn_axis_trace(call->s, axis, from, call->loc, "%s = %s, the dims of %s", tn_dim_text(call->s, axis->extent),
                  factors.data, tn_datum_describe(call->s, x));
}

static tn_datum *make_flatten(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_ctx *ctx = call->s->ctx;
  if (!x || !tn_call_rank(call, x, 1, TN_MAX_NDIM)) return NULL;
  const tn_dim *extent = tn_dim_const(ctx, 1), *label = extent;
  for (uint32_t i = 1; i < tn_datum_ndim(x); i++) {
    const tn_axis *axis = &x->tensor.axes[i];
    extent = tn_dim_mul(ctx, extent, axis->extent);
    label = label && axis->label ? tn_dim_mul(ctx, label, axis->label) : NULL;
  }
  tn_axis axes[] = {x->tensor.axes[0], {.extent = extent, .label = label, .loc = call->loc}};
  trace_product(call, x, &axes[1]);
  const tn_dim *dims[] = {axes[0].extent, extent};
  return tn_datum_tensor(call->s, tn_build_reshape(call->b, x->tensor.value, dims, 2), axes, call->loc);
}

/* The dims that are written as arguments, into axes. */
static bool read_dims(tn_call *call, tn_axis *axes, uint32_t max, uint32_t *n) {
  *n = 0;
  for (size_t i = 0; i < call->rest.n; i++) {
    const tn_given *given = &call->rest.data[i];
    if (given->name) return tn_call_error(call, TN_E_LANG_ARGUMENT, "no argument '%s'", given->name);
    if (*n == max) return tn_call_error(call, TN_E_LIMIT, "a tensor of more than %d dims", TN_MAX_NDIM);
    axes[*n] = given->datum->integer;
    axes[(*n)++].loc = given->loc;
  }
  return true;
}

static tn_datum *make_reshape(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_ctx *ctx = call->s->ctx;
  tn_axis axes[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM], *rest = NULL, *given = tn_dim_const(ctx, 1);
  uint32_t n, open = UINT32_MAX;
  if (!x || !read_dims(call, axes, TN_MAX_NDIM, &n)) return NULL;
  const tn_dim *count = tn_type_count(ctx, x->tensor.value->type);
  for (uint32_t i = 0; i < n; i++) {
    bool is_open = tn_dim_is(axes[i].extent, -1);
    if (is_open && open != UINT32_MAX) return tn_call_error(call, TN_E_ATTR, "-1 may stand once"), NULL;
    if (is_open) open = i;
    else given = tn_dim_mul(ctx, given, axes[i].extent);
  }
  if (open != UINT32_MAX) {
    tn_datum *p = tn_datum_int(call->s, count, NULL, call->loc), *q = tn_datum_int(call->s, given, NULL, call->loc);
    tn_datum *quotient = tn_int_divide(call->s, p, q, call->loc);
    if (!quotient) return tn_frame_note_calls(call->frame), NULL;
    rest = quotient->integer.extent;
    axes[open] = tn_axis_plain(rest, call->loc);
  }
  for (uint32_t i = 0; i < n; i++) dims[i] = axes[i].extent;
  if (!rest && !tn_extents_agree(call->s, count, given, call->loc, "the number of elements of reshape"))
    return tn_call_error(call, TN_E_SHAPE, "%s has %s elements, the new dims have %s", tn_datum_describe(call->s, x),
                         tn_dim_text(call->s, count), tn_dim_text(call->s, given)), NULL;
  return tn_datum_tensor(call->s, tn_build_reshape(call->b, x->tensor.value, dims, n), axes, call->loc);
}

static tn_datum *make_transpose(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  if (!x) return NULL;
  uint32_t n = tn_datum_ndim(x);
  int64_t perm[TN_MAX_NDIM];
  tn_axis axes[TN_MAX_NDIM];
  bool used[TN_MAX_NDIM] = {false};
  if (call->rest.n != n)
    return tn_call_error(call, TN_E_LANG_ARGUMENT, "%zu axes for %s: all are listed", call->rest.n,
                         tn_datum_describe(call->s, x)), NULL;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t axis = tn_axis_find(call->s, x, call->rest.data[i].datum, "transpose");
    if (axis == UINT32_MAX) return NULL;
    if (used[axis])
      return tn_call_error(call, TN_E_LANG_LABEL, "dim %s is listed twice",
                           tn_axis_label_text(call->s, &x->tensor.axes[axis])), NULL;
    used[axis] = true;
    perm[i] = axis;
    axes[i] = x->tensor.axes[axis];
  }
  return tn_datum_tensor(call->s, tn_build_transpose(call->b, x->tensor.value, perm), axes, call->loc);
}

/* A label as it is written: known, or new here with the extent of the dim that it names. */
static bool label_of(tn_call *call, const tn_given *given, const tn_axis *axis, tn_axis *out) {
  tn_datum *d = given->datum;
  if (d->kind == TN_DATUM_WORD) {
    tn_axis unlabelled = *axis;
    unlabelled.label = NULL;
    if (!tn_type_bind_name(call->frame, d->text, unlabelled, given->loc)) return false;
    d = tn_frame_find(call->frame, d->text)->value;
  }
  if (d->kind != TN_DATUM_INT || !tn_axis_is_labelled(&d->integer))
    return tn_call_error(call, TN_E_LANG_KIND, "expected the name of a dim, found %s", tn_datum_describe(call->s, d));
  if (!tn_extents_agree(call->s, d->integer.extent, axis->extent, given->loc, "a dim that gets another name")) {
    tn_call_error(call, TN_E_SHAPE, "%s cannot be called %s", tn_axis_describe(call->s, axis),
                  tn_axis_describe(call->s, &d->integer));
    tn_axis_note(call->s, axis);
    return false;
  }
  *out = (tn_axis){.extent = axis->extent, .label = d->integer.label, .loc = given->loc, .trace = axis->trace};
  return true;
}

static tn_datum *make_rename(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  if (!x) return NULL;
  tn_axis axes[TN_MAX_NDIM];
  memcpy(axes, x->tensor.axes, tn_datum_ndim(x) * sizeof(*axes));
  for (size_t i = 0; i < call->rest.n; i++) {
    const tn_given *given = &call->rest.data[i];
    if (!given->name) return tn_call_error(call, TN_E_LANG_ARGUMENT, "expected OLD: NEW"), NULL;
    tn_ast_expr old = {.kind = TN_AST_NAME, .loc = given->loc, .depth = 1, .name = given->name};
    tn_datum *label = tn_eval_expr(call->frame, &old);
    uint32_t axis = label ? tn_axis_find(call->s, x, label, "rename") : UINT32_MAX;
    if (axis == UINT32_MAX || !label_of(call, given, &x->tensor.axes[axis], &axes[axis])) return NULL;
  }
  tn_datum *y = tn_datum_tensor(call->s, x->tensor.value, axes, call->loc);
  y->tensor.classes = x->tensor.classes;
  return y;
}

/* --- Parts --- */

/* A run of x along axis. */
static tn_datum *part(tn_call *call, const tn_datum *x, uint32_t axis, const tn_dim *start, tn_axis size) {
  tn_axis axes[TN_MAX_NDIM];
  memcpy(axes, x->tensor.axes, tn_datum_ndim(x) * sizeof(*axes));
  axes[axis] = size;
  return tn_datum_tensor(call->s, tn_build_slice_axis(call->b, x->tensor.value, axis, start, size.extent, 1), axes,
                         call->loc);
}

enum { MAX_PARTS = 1024, MAX_UNSTACK = 64 };

/* x, n: a number of equal parts, or a tuple of sizes; axis */
static tn_datum *make_split(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0), *n = call->args[1], **parts;
  tn_ctx *ctx = call->s->ctx;
  uint32_t axis = x ? tn_call_axis(call, 2, x) : UINT32_MAX, count;
  int64_t equal = 0;
  if (axis == UINT32_MAX) return NULL;
  tn_axis whole = x->tensor.axes[axis];
  tn_datum *size = NULL;
  if (n->kind == TN_DATUM_TUPLE) count = n->tuple.n;
  else {
    if (!tn_call_int(call, 1, &equal)) return NULL;
    if (equal < 1 || equal > MAX_PARTS)
      return tn_call_error(call, TN_E_ATTR, "expected 1 to %d parts, found %lld", MAX_PARTS, (long long)equal), NULL;
    count = (uint32_t)equal;
    tn_datum *all = tn_datum_int(call->s, whole.extent, whole.label, x->loc);
    all->integer.loc = whole.loc;
    size = tn_int_divide(call->s, all, tn_datum_int_const(call->s, equal, call->loc), call->loc);
    if (!size) return tn_frame_note_calls(call->frame), NULL;
  }
  parts = TN_NEW_N(call->s->arena, tn_datum *, count);
  const tn_dim *at = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < count; i++) {
    tn_axis one = size ? size->integer : n->tuple.parts[i]->integer;
    one.loc = call->loc;
    parts[i] = part(call, x, axis, at, one);
    if (!parts[i]) return NULL;
    at = tn_dim_add(ctx, at, one.extent);
  }
  if (!tn_extents_agree(call->s, at, whole.extent, call->loc, "the sizes of split"))
    return tn_call_error(call, TN_E_SHAPE, "the parts add up to %s, dim %s", tn_dim_text(call->s, at),
                         tn_axis_describe(call->s, &whole)), NULL;
  return tn_datum_tuple(call->s, parts, count, call->loc);
}

/* y without the axis, which has one element. */
static tn_datum *without_axis(tn_call *call, const tn_datum *y, uint32_t axis) {
  tn_axis axes[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < tn_datum_ndim(y); i++) {
    if (i == axis) continue;
    axes[n] = y->tensor.axes[i];
    dims[n] = axes[n].extent;
    n++;
  }
  return tn_datum_tensor(call->s, tn_build_reshape(call->b, y->tensor.value, dims, n), axes, call->loc);
}

static tn_datum *make_unstack(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0), *parts[MAX_UNSTACK];
  uint32_t axis = x ? tn_call_axis(call, 1, x) : UINT32_MAX;
  if (axis == UINT32_MAX) return NULL;
  const tn_axis *whole = &x->tensor.axes[axis];
  int64_t n = tn_dim_is_const(whole->extent) ? tn_dim_value(whole->extent) : -1;
  if (n < 0 || n > MAX_UNSTACK)
    return tn_call_error(call, TN_E_LANG_STATIC, "dim %s must be known and at most %d",
                         tn_axis_describe(call->s, whole), MAX_UNSTACK), NULL;
  for (int64_t i = 0; i < n; i++) {
    tn_datum *one = part(call, x, axis, tn_dim_const(call->s->ctx, i), tn_axis_number(call->s, 1, call->loc));
    parts[i] = one ? without_axis(call, one, axis) : NULL;
    if (!parts[i]) return NULL;
  }
  return tn_datum_tuple(call->s, parts, (uint32_t)n, call->loc);
}

/* --- Joining --- */

/* The tensors that are given, one by one or as a tuple: of one type and rank. */
static bool read_tensors(tn_call *call, tn_datum ***out, uint32_t *n) {
  bool tuple = call->rest.n == 1 && call->rest.data[0].datum->kind == TN_DATUM_TUPLE;
  const tn_datum *list = tuple ? call->rest.data[0].datum : NULL;
  *n = tuple ? list->tuple.n : (uint32_t)call->rest.n;
  *out = TN_NEW_N(call->s->arena, tn_datum *, *n);
  if (*n == 0) return tn_call_error(call, TN_E_LANG_ARGUMENT, "expected at least one tensor");
  for (uint32_t i = 0; i < *n; i++) {
    tn_datum *x = (*out)[i] = tuple ? list->tuple.parts[i] : call->rest.data[i].datum, *first = (*out)[0];
    if (x->kind != TN_DATUM_TENSOR)
      return tn_call_error(call, TN_E_LANG_KIND, "expected tensors, found %s", tn_datum_describe(call->s, x));
    if (tn_datum_dtype(x) != tn_datum_dtype(first) || tn_datum_ndim(x) != tn_datum_ndim(first))
      return tn_call_error(call, TN_E_DTYPE, "%s and %s differ in type or rank", tn_datum_describe(call->s, first),
                           tn_datum_describe(call->s, x));
  }
  return true;
}

/* All dims but one (UINT32_MAX: all) are those of the first. */
static bool others_agree(tn_call *call, tn_datum *const *xs, uint32_t n, uint32_t except) {
  for (uint32_t i = 1; i < n; i++)
    for (uint32_t k = 0; k < tn_datum_ndim(xs[0]); k++) {
      const tn_axis *p = &xs[0]->tensor.axes[k], *q = &xs[i]->tensor.axes[k];
      if (k == except || tn_extents_agree(call->s, p->extent, q->extent, call->loc, "dims of joined tensors")) continue;
      tn_call_error(call, TN_E_SHAPE, "dims %s and %s differ", tn_axis_describe(call->s, p),
                    tn_axis_describe(call->s, q));
      tn_axis_note(call->s, p);
      tn_axis_note(call->s, q);
      return false;
    }
  return true;
}

static tn_datum *make_concat(tn_call *call) {
  tn_datum **xs;
  tn_ctx *ctx = call->s->ctx;
  tn_axis axes[TN_MAX_NDIM];
  uint32_t n, axis;
  if (!read_tensors(call, &xs, &n) || (axis = tn_call_axis(call, 1, xs[0])) == UINT32_MAX ||
      !others_agree(call, xs, n, axis))
    return NULL;
  tn_value **values = TN_NEW_N(call->s->arena, tn_value *, n);
  memcpy(axes, xs[0]->tensor.axes, tn_datum_ndim(xs[0]) * sizeof(*axes));
  for (uint32_t i = 0; i < n; i++) {
    const tn_dim *label = xs[i]->tensor.axes[axis].label;
    values[i] = xs[i]->tensor.value;
    if (i) axes[axis].label = axes[axis].label && label ? tn_dim_add(ctx, axes[axis].label, label) : NULL;
  }
  axes[axis].loc = call->loc;
  return tn_datum_tensor(call->s, tn_build_concat(call->b, values, n, axis), axes, call->loc);
}

static tn_datum *make_stack(tn_call *call) {
  tn_datum **xs;
  tn_axis axes[TN_MAX_NDIM];
  uint32_t n;
  int64_t at;
  if (!read_tensors(call, &xs, &n) || !others_agree(call, xs, n, UINT32_MAX) || !tn_call_int(call, 1, &at)) return NULL;
  uint32_t ndim = tn_datum_ndim(xs[0]);
  if (at < -(int64_t)ndim - 1 || at > (int64_t)ndim || ndim == TN_MAX_NDIM)
    return tn_call_error(call, TN_E_ATTR, "axis %lld of %u dims", (long long)at, ndim + 1), NULL;
  uint32_t axis = (uint32_t)(at < 0 ? at + ndim + 1 : at);
  tn_value **values = TN_NEW_N(call->s->arena, tn_value *, n);
  for (uint32_t i = 0; i < n; i++) values[i] = tn_build_insert_axis(call->b, xs[i]->tensor.value, axis);
  for (uint32_t i = 0; i <= ndim; i++) axes[i] = xs[0]->tensor.axes[i < axis ? i : i ? i - 1 : 0];
  axes[axis] = tn_axis_number(call->s, n, call->loc);
  tn_given label = {.datum = call->args[2], .loc = call->loc};
  if (call->args[2] && !label_of(call, &label, &axes[axis], &axes[axis])) return NULL;
  return tn_datum_tensor(call->s, tn_build_concat(call->b, values, n, axis), axes, call->loc);
}

/* New dims in front, along which x is repeated. */
static tn_datum *make_expand(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_axis axes[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n;
  if (!x || !read_dims(call, axes, TN_MAX_NDIM - tn_datum_ndim(x), &n)) return NULL;
  for (uint32_t i = 0; i < tn_datum_ndim(x); i++) axes[n + i] = x->tensor.axes[i];
  for (uint32_t i = 0; i < n + tn_datum_ndim(x); i++) dims[i] = axes[i].extent;
  return tn_datum_tensor(call->s, tn_build_broadcast_to(call->b, x->tensor.value, dims, n + tn_datum_ndim(x)), axes,
                         call->loc);
}

static const tn_builtin rows[] = {
    {"flatten", "x: *[]", "all dims but the first as one", make_flatten, NULL},
    {"reshape", "x: *[], dims...: int", "the same elements in row-major order; one -1 is computed", make_reshape, NULL},
    {"transpose", "x: *[], axes...: axis", "the dims in another order", make_transpose, NULL},
    {"rename", "x: *[], OLD...: label", "dims called by other names: rename(x, OLD: NEW)", make_rename, NULL},
    {"split", "x: *[], n: ints, axis: axis = -1", "n equal parts, or parts of the sizes in a tuple", make_split, NULL},
    {"unstack", "x: *[], axis: axis", "one part for each index of the axis, which goes; at most 64", make_unstack,
     NULL},
    {"stack", "xs...: any, axis: int = 0, label: label = none", "tensors of equal dims along a new axis", make_stack,
     NULL},
    {"concat", "xs...: any, axis: axis = -1", "tensors one after the other", make_concat, NULL},
    {"expand", "x: *[], dims...: int", "new dims in front, along which x is repeated", make_expand, NULL},
};

const tn_builtin_group tn_builtins_shape = TN_BUILTINS("Shape", rows);
