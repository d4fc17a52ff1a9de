/* Built-ins, group 2: reductions and scans. Float sums are in f32 or wider. */
#include <string.h>

#include "frontend/lang/builtin.h"
#include "ir/ops/compose.h"

/* What a reduction works on: x, its axes that go, and whether they stay as 1. */
typedef struct folding {
  tn_datum *x;
  int64_t axes[TN_MAX_NDIM];
  uint32_t n;
  bool keep;
} folding;

/* Arguments x, over, ... keep at position `keep`. */
static bool read_folding(tn_call *call, uint32_t keep, folding *out) {
  out->x = tn_call_tensor(call, 0);
  out->keep = tn_call_bool(call, keep);
  return out->x && tn_call_axes(call, 1, out->x, out->axes, &out->n);
}

static bool goes(const folding *f, uint32_t axis) {
  for (uint32_t i = 0; i < f->n; i++)
    if (f->axes[i] == axis) return true;
  return false;
}

/* y, which lacks the axes, as the result. */
static tn_datum *finish(const tn_call *call, const folding *f, tn_value *y) {
  tn_axis axes[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < tn_datum_ndim(f->x); i++) {
    if (goes(f, i) && !f->keep) continue;
    axes[n] = goes(f, i) ? tn_axis_number(call->s, 1, call->loc) : f->x->tensor.axes[i];
    dims[n] = axes[n].extent;
    n++;
  }
  return tn_datum_tensor(call->s, tn_build_reshape(call->b, y, dims, n), axes, call->loc);
}

static tn_datum *make_fold(tn_call *call) {
  folding f;
  if (!read_folding(call, 2, &f)) return NULL;
  return finish(call, &f, tn_build_reduce(call->b, call->builtin->op, f.x->tensor.value, f.axes, f.n, false));
}

static tn_datum *make_mean(tn_call *call) {
  folding f;
  if (!read_folding(call, 2, &f)) return NULL;
  tn_value *wide = tn_compose_wide(call->b, f.x->tensor.value);
  return finish(call, &f, tn_compose_narrow(call->b, tn_compose_mean(call->b, wide, f.axes, f.n), f.x->tensor.value));
}

/* Sum of squared differences from the mean over n - correction. */
static tn_datum *make_var(tn_call *call) {
  folding f;
  int64_t correction;
  tn_build *b = call->b;
  if (!read_folding(call, 3, &f) || !tn_call_int(call, 2, &correction)) return NULL;
  tn_value *x = tn_compose_wide(b, f.x->tensor.value), *mean = tn_compose_mean(b, x, f.axes, f.n);
  tn_value *d = tn_build_binary(b, TN_SUB, x, tn_compose_spread(b, mean, x, f.axes, f.n));
  tn_value *sum = tn_build_reduce(b, "sum", tn_build_binary(b, TN_MUL, d, d), f.axes, f.n, false);
  tn_value *count = sum ? tn_compose_count(b, x, f.axes, f.n, sum) : NULL;
  tn_value *y = tn_build_binary(b, TN_DIV, sum, tn_build_binary_f(b, TN_SUB, count, (double)correction));
  if (strcmp(call->builtin->name, "std") == 0) y = tn_build_unary(b, TN_SQRT, y);
  return finish(call, &f, tn_compose_narrow(b, y, f.x->tensor.value));
}

static tn_datum *make_norm(tn_call *call) {
  folding f;
  tn_build *b = call->b;
  if (!read_folding(call, 3, &f)) return NULL;
  double p = tn_call_float(call, 2);
  tn_value *x = tn_compose_wide(b, f.x->tensor.value), *magnitude = tn_build_unary(b, TN_ABS, x), *y;
  if (p == 1) y = tn_build_reduce(b, "sum", magnitude, f.axes, f.n, false);
  else if (p == 2)
    y = tn_build_unary(b, TN_SQRT, tn_build_reduce(b, "sum", tn_build_binary(b, TN_MUL, x, x), f.axes, f.n, false));
  else if (p > 1e308) y = tn_build_reduce(b, "max", magnitude, f.axes, f.n, false);
  else return tn_call_error(call, TN_E_ATTR, "p is 1, 2 or inf"), NULL;
  return finish(call, &f, tn_compose_narrow(b, y, f.x->tensor.value));
}

/* max + log(sum(exp(x - max))); an infinite max is not subtracted. */
static tn_datum *make_logsumexp(tn_call *call) {
  folding f;
  tn_build *b = call->b;
  if (!read_folding(call, 2, &f)) return NULL;
  tn_value *x = tn_compose_wide(b, f.x->tensor.value);
  tn_value *max = tn_build_reduce(b, "max", x, f.axes, f.n, false);
  tn_value *shift = max ? tn_build_select(b, tn_build_unary(b, TN_IS_FINITE, max), max, tn_build_fill_like(b, max, 0))
                        : NULL;
  tn_value *e = tn_build_unary(b, TN_EXP, tn_build_binary(b, TN_SUB, x, tn_compose_spread(b, shift, x, f.axes, f.n)));
  tn_value *y = tn_build_unary(b, TN_LOG, tn_build_reduce(b, "sum", e, f.axes, f.n, false));
  return finish(call, &f, tn_compose_narrow(b, tn_build_binary(b, TN_ADD, y, shift), f.x->tensor.value));
}

static tn_datum *make_arg(tn_call *call) {
  folding f = {.n = 1, .x = tn_call_tensor(call, 0), .keep = tn_call_bool(call, 2)};
  uint32_t axis = f.x ? tn_call_axis(call, 1, f.x) : UINT32_MAX;
  if (axis == UINT32_MAX) return NULL;
  f.axes[0] = axis;
  tn_named_attr attrs[] = {{"op", tn_attr_name(tn_op_find("argreduce"), "op", call->builtin->op)},
                           {"axis", tn_attr_int(axis)}};
  return finish(call, &f, tn_call_op(call, "argreduce", &f.x->tensor.value, 1, attrs, 2));
}

static tn_datum *make_cumsum(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  uint32_t axis = x ? tn_call_axis(call, 1, x) : UINT32_MAX;
  if (axis == UINT32_MAX) return NULL;
  tn_named_attr attrs[] = {{"op", tn_attr_name(tn_op_find("cumulate"), "op", "sum")},
                           {"axis", tn_attr_int(axis)},
                           {"exclusive", tn_attr_bool(tn_call_bool(call, 2))},
                           {"reverse", tn_attr_bool(tn_call_bool(call, 3))}};
  return tn_call_like(call, tn_call_op(call, "cumulate", &x->tensor.value, 1, attrs, 4), x);
}

/* Sorted values and where they were; top NULL: all. */
static tn_datum *sorted(tn_call *call, const tn_datum *x, uint32_t axis, bool descending, const tn_axis *top) {
  tn_build *b = call->b;
  const tn_type *type = x->tensor.value->type;
  tn_axis axes[TN_MAX_NDIM];
  tn_named_attr attrs[] = {{"axis", tn_attr_int(axis)}, {"descending", tn_attr_bool(descending)}, {"top", {0}}};
  if (top) attrs[2].attr = tn_attr_dims(b->module, &top->extent, 1);
  tn_value *order = tn_call_op(call, "argsort", &x->tensor.value, 1, attrs, top ? 3 : 2);
  tn_value *values = tn_compose_take_along(b, x->tensor.value, order, axis);
  if (!values) return NULL;
  for (uint32_t i = 0; i < type->ndim; i++) axes[i] = i == axis && top ? *top : x->tensor.axes[i];
  tn_datum *parts[] = {tn_datum_tensor(call->s, values, axes, call->loc),
                       tn_datum_tensor(call->s, order, axes, call->loc)};
  return tn_datum_tuple(call->s, parts, 2, call->loc);
}

static tn_datum *make_top_k(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  uint32_t axis = x ? tn_call_axis(call, 2, x) : UINT32_MAX;
  if (axis == UINT32_MAX) return NULL;
  tn_axis top = call->args[1]->integer;
  top.loc = call->loc;
  if (tn_dim_compare(call->s->ctx, top.extent, x->tensor.axes[axis].extent) == TN_DIM_GREATER)
    return tn_call_error(call, TN_E_SHAPE, "k = %s is more than dim %s has", tn_dim_text(call->s, top.extent),
                         tn_axis_describe(call->s, &x->tensor.axes[axis])), NULL;
  return sorted(call, x, axis, true, &top);
}

static tn_datum *make_sort(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  uint32_t axis = x ? tn_call_axis(call, 1, x) : UINT32_MAX;
  return axis == UINT32_MAX ? NULL : sorted(call, x, axis, tn_call_bool(call, 2), NULL);
}

static const tn_builtin rows[] = {
    {"sum", "x: n[], over: axes = all, keep: bool = false", "sum", make_fold, "sum"},
    {"mean", "x: f[], over: axes = all, keep: bool = false", "mean", make_mean, NULL},
    {"prod", "x: n[], over: axes = all, keep: bool = false", "product", make_fold, "prod"},
    {"amax", "x: n[], over: axes = all, keep: bool = false", "largest element", make_fold, "max"},
    {"amin", "x: n[], over: axes = all, keep: bool = false", "smallest element", make_fold, "min"},
    {"any", "x: bool[], over: axes = all, keep: bool = false", "whether one is true", make_fold, "or"},
    {"all", "x: bool[], over: axes = all, keep: bool = false", "whether all are true", make_fold, "and"},
    {"var", "x: f[], over: axes = all, correction: int = 0, keep: bool = false", "variance, in two passes", make_var,
     NULL},
    {"std", "x: f[], over: axes = all, correction: int = 0, keep: bool = false", "standard deviation", make_var, NULL},
    {"norm", "x: f[], over: axes = all, p: float = 2, keep: bool = false", "the p-norm, p 1, 2 or inf", make_norm,
     NULL},
    {"logsumexp", "x: f[], over: axes, keep: bool = false", "log(sum(exp(x))) without overflow", make_logsumexp, NULL},
    {"argmax", "x: n[], axis: axis = -1, keep: bool = false", "i64 position of the largest, the first of equals",
     make_arg, "max"},
    {"argmin", "x: n[], axis: axis = -1, keep: bool = false", "i64 position of the smallest, the first of equals",
     make_arg, "min"},
    {"cumsum", "x: n[], axis: axis = -1, exclusive: bool = false, reverse: bool = false", "running sum", make_cumsum,
     NULL},
    {"top_k", "x: n[], k: int, axis: axis = -1", "the k largest and their positions, lower position first on ties",
     make_top_k, NULL},
    {"sort", "x: n[], axis: axis = -1, descending: bool = false", "stable; the sorted elements and their positions",
     make_sort, NULL},
};

const tn_builtin_group tn_builtins_reduce = TN_BUILTINS("Reductions and scans", rows);
