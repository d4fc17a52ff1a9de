/* ONNX operators that rename, regroup, repeat or state extents. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <string.h>

bool tn_foreign_dims(tn_foreign_node *node, uint32_t index, int64_t lo, int64_t hi, const tn_dim **out,
                     uint32_t *out_n) {
  tn_value *value = tn_foreign_need(node, index);
  if (value == NULL) return false;
  if (value->index == NULL && tn_type_static_count(value->type) < 0)
    return tn_foreign_unsupported(node, "a shape of unknown length (input %u), which decides the rank of the result,",
                                  index);
  if (!tn_dtype_is_integer(value->type->dtype))
    return tn_foreign_error(node, TN_E_DTYPE, "input %u: expected integers, found %s", index,
                            tn_dtype_name(value->type->dtype));
  return tn_build_read_dims(node->build, value, lo, hi, out, out_n);
}

bool tn_foreign_axes(tn_foreign_node *node, uint32_t index, int64_t since_input, uint32_t ndim, int64_t *out,
                     uint32_t *out_n, bool *given) {
  const int64_t *axes;
  uint32_t n;
  bool known = true;
  if (node->version < since_input) {
    if (!tn_foreign_ints(node, "axes", &axes, &n)) return false;
    *given = tn_foreign_find(node, "axes") != NULL;
  } else {
    *given = tn_foreign_input(node, index) != NULL;
    if (!tn_foreign_const_ints(node, index, &axes, &n, &known)) return false;
    if (*given && !known) return tn_foreign_unsupported(node, "axes computed at run time");
  }
  uint32_t seen = 0, unused = 0;
  if (!*given) n = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t axis;
    if (!tn_build_axis(node->build, axes[i], ndim, "axes", &axis)) return false;
    if ((seen >> axis & 1) != 0) return tn_foreign_error(node, TN_E_ATTR, "axes: %u occurs twice", axis);
    seen |= (uint32_t)1 << axis;
  }
  for (uint32_t i = 0; i < ndim; i++)
    if ((seen >> i & 1) != 0) out[unused++] = i;
  *out_n = unused;
  return true;
}

bool tn_foreign_old_broadcast(tn_foreign_node *node, tn_value **pair) {
  int64_t broadcast, axis, map[TN_MAX_NDIM];
  tn_build *b = node->build;
  const tn_type *x = pair[0]->type, *y = pair[1]->type;
  int64_t usual = (int64_t)x->ndim - y->ndim;
  if (!tn_foreign_int(node, "broadcast", 0, &broadcast) || !tn_foreign_int(node, "axis", usual, &axis)) return false;
  if (broadcast == 0 && x->ndim != y->ndim)
    return tn_foreign_error(node, TN_E_RANK, "without `broadcast`: expected %u dimensions, found %u", x->ndim, y->ndim);
  bool one = broadcast != 0;
  for (uint32_t i = 0; i < y->ndim; i++) one = one && tn_dim_is(y->dims[i], 1);
  if (one) pair[1] = tn_compose_repeat(b, tn_build_reshape(b, pair[1], NULL, 0), pair[0]);
  if (one) return pair[1] != NULL;
  if (axis < 0) axis += x->ndim;
  if (axis < 0 || axis > usual)
    return tn_foreign_error(node, TN_E_ATTR, "axis: %lld, with %u and %u dimensions", (long long)axis, x->ndim,
                            y->ndim);
  for (uint32_t i = 0; i < y->ndim; i++) {
    map[i] = axis + i;
    if (y->dims[i]->lo <= 1 && y->dims[i]->hi >= 1) continue; /* the definition leaves 1 out, exporters wrote it */
    if (!tn_func_require_eq(b->func, y->dims[i], x->dims[axis + i], node->loc, "'%s': axis %u of the second operand",
                            node->op, i))
      return false;
  }
  pair[1] = tn_build_broadcast_map(b, pair[1], x->dims, x->ndim, map);
  return pair[1] != NULL;
}

bool tn_foreign_is_data(const tn_foreign_node *node, uint32_t index) {
  const int64_t *ints;
  uint32_t n;
  bool known;
  return tn_foreign_input(node, index) != NULL && tn_foreign_const_ints(node, index, &ints, &n, &known) && !known;
}

tn_value *tn_foreign_list(tn_foreign_node *node, uint32_t index, uint32_t n) {
  tn_build *b = node->build;
  tn_value *list = tn_foreign_need(node, index);
  const tn_dim *length = tn_dim_const(b->ctx, n);
  if (list == NULL) return NULL;
  if (list->type->ndim > 1) {
    tn_foreign_error(node, TN_E_RANK, "input %u: expected a list, found rank %u", index, list->type->ndim);
    return NULL;
  }
  const tn_dim *count = tn_type_count(b->ctx, list->type);
  if (!tn_func_require_eq(b->func, count, length, node->loc, "'%s': length of input %u", node->op, index)) return NULL;
  return list->type->ndim == 1 ? tn_build_reshape(b, list, &length, 1) : list;
}

bool tn_foreign_dims_of(tn_foreign_node *node, uint32_t index, uint32_t length, int64_t lo, int64_t hi,
                        const tn_dim **out, uint32_t *out_n) {
  const tn_value *value = tn_foreign_need(node, index);
  if (value == NULL) return false;
  if (value->index != NULL || tn_type_static_count(value->type) >= 0)
    return tn_foreign_dims(node, index, lo, hi, out, out_n);
  return tn_build_read_dims(node->build, tn_foreign_list(node, index, length), lo, hi, out, out_n);
}

/* A target extent that may say 0 (as x's) or -1 (what remains), known only at run time: flags in {0, 1} choose. */
typedef struct target {
  const tn_dim *fixed;  /* the extent unless it is inferred */
  const tn_dim *infer;  /* 1 when it is what remains, else 0 */
} target;

static target read_target(tn_ctx *ctx, const tn_dim *s, const tn_dim *same, bool allow_zero) {
  const tn_dim *zero = tn_dim_const(ctx, 0), *one = tn_dim_const(ctx, 1);
  if (tn_dim_is(s, -1)) return (target){zero, one};
  if (tn_dim_is(s, 0) && !allow_zero) return (target){same == NULL ? zero : same, zero};
  /* An extent of an input that may be 0 is an extent all the same; only numbers read at run time are flags. */
  bool is_extent = !tn_dim_uses_kind(s, TN_SYM_READ);
  if (s->lo >= 0 && (s->lo > 0 || allow_zero || is_extent || same == NULL)) return (target){s, zero};
  const tn_dim *minus = tn_dim_max(ctx, tn_dim_mul_i(ctx, s, -1), zero), *plus = tn_dim_max(ctx, s, zero);
  if (allow_zero || same == NULL) return (target){plus, minus};
  const tn_dim *some = tn_dim_min(ctx, tn_dim_add(ctx, plus, minus), one);
  return (target){tn_dim_add(ctx, plus, tn_dim_mul(ctx, tn_dim_sub(ctx, one, some), same)), minus};
}

static const tn_dim *quotient(tn_ctx *ctx, const tn_dim *total, const tn_dim *part) {
  const tn_dim *exact;
  if (tn_dim_is(part, 0)) return tn_dim_const(ctx, 0);
  return tn_dim_divide_exact(ctx, total, part, &exact) ? exact : tn_dim_floordiv(ctx, total, part);
}

/* An attribute before opset 5, then an input. */
static bool target_shape(tn_foreign_node *node, const tn_dim **out, uint32_t *out_n) {
  const int64_t *ints;
  if (node->version >= 5) return tn_foreign_dims(node, 1, -1, TN_DIM_INF, out, out_n);
  if (!tn_foreign_ints(node, "shape", &ints, out_n)) return false;
  if (*out_n > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "a shape of rank %u is above the limit", *out_n);
  for (uint32_t i = 0; i < *out_n; i++) out[i] = tn_dim_const(node->build->ctx, ints[i]);
  return true;
}

static tn_value *choose(tn_build *b, tn_value *condition, tn_value *x, int64_t otherwise) {
  tn_value *other = x == NULL ? NULL : tn_compose_repeat(b, tn_build_splat_i(b, TN_I64, otherwise), x);
  return tn_build_select(b, condition, x, other);
}

/* Reshape by a list known only at run time: the extents are worked out as values and read. What no shape can be becomes
 * -1, which is refused: numbers below, a 0 beyond x's axes, several -1. */
static tn_value *reshape_read(tn_foreign_node *node, tn_value *x, tn_value *shape, bool allow_zero) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  int64_t axis = 0;
  const tn_dim *same[TN_MAX_NDIM], *total = tn_type_count(ctx, x->type), *dims[TN_MAX_INDEX];
  shape = tn_build_cast(b, shape, TN_I64);
  if (shape == NULL) return NULL;
  uint32_t n = (uint32_t)tn_type_static_count(shape->type);
  for (uint32_t i = 0; i < n; i++) same[i] = i < x->type->ndim ? x->type->dims[i] : tn_dim_const(ctx, -1);
  if (shape->type->ndim == 0) shape = tn_build_insert_axis(b, shape, 0);
  if (!allow_zero) {
    tn_value *copies = tn_build_binary_f(b, TN_EQ, shape, 0);
    shape = tn_build_select(b, copies, tn_build_dim_value(b, same, n), shape);
  }
  tn_value *given = tn_build_binary_f(b, TN_NE, shape, -1), *all = tn_compose_dim(b, total, TN_I64);
  tn_value *product = tn_build_reduce(b, "prod", choose(b, given, shape, 1), &axis, 1, false);
  tn_value *rest = tn_build_binary(b, TN_DIV, all, product);
  tn_value *n_given = tn_build_reduce(b, "sum", tn_build_cast(b, given, TN_I64), &axis, 1, false);
  rest = choose(b, n_given == NULL ? NULL : tn_build_binary_f(b, TN_GE, n_given, (double)n - 1), rest, -1);
  shape = rest == NULL ? NULL : tn_build_select(b, given, shape, tn_compose_repeat(b, rest, shape));
  return tn_build_read_dims(b, shape, 0, TN_DIM_INF, dims, &n) ? tn_build_reshape(b, x, dims, n) : NULL;
}

/* Reshape: 0 copies x's extent (unless allowzero), one -1 takes what remains. */
bool tn_import_reshape(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t allow_zero;
  const tn_dim *shape[TN_MAX_INDEX];
  uint32_t n;
  if (x == NULL || !tn_foreign_int(node, "allowzero", 0, &allow_zero)) return false;
  tn_value *list = node->version < 5 ? NULL : tn_foreign_input(node, 1);
  int64_t length = list == NULL || list->index != NULL ? -1 : tn_type_static_count(list->type);
  if (length >= 0 && length <= TN_MAX_NDIM && list->type->ndim <= 1 && tn_dtype_is_integer(list->type->dtype))
    return tn_foreign_set(node, 0, reshape_read(node, x, list, allow_zero != 0));
  if (!target_shape(node, shape, &n)) return false;
  if (n > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "a shape of rank %u is above the limit", n);
  target targets[TN_MAX_NDIM];
  const tn_dim *total = tn_type_count(ctx, x->type), *known = tn_dim_const(ctx, 1);
  uint32_t n_inferred = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (shape[i]->hi < -1) return tn_foreign_error(node, TN_E_SHAPE, "shape: element %u is below -1", i);
    targets[i] = read_target(ctx, shape[i], i < x->type->ndim ? x->type->dims[i] : NULL, allow_zero != 0);
    n_inferred += tn_dim_is(targets[i].infer, 1);
    if (!tn_dim_is(targets[i].infer, 0))
      known = tn_dim_mul(ctx, known, tn_dim_add(ctx, targets[i].fixed, targets[i].infer));
    else known = tn_dim_mul(ctx, known, targets[i].fixed);
  }
  if (n_inferred > 1) return tn_foreign_error(node, TN_E_SHAPE, "shape: -1 occurs %u times", n_inferred);
  const tn_dim *dims[TN_MAX_NDIM], *rest = quotient(ctx, total, known);
  for (uint32_t i = 0; i < n; i++)
    dims[i] = tn_dim_add(ctx, targets[i].fixed, tn_dim_mul(ctx, targets[i].infer, rest));
  return tn_foreign_set(node, 0, tn_build_reshape(b, x, dims, n));
}

bool tn_import_flatten(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t axis;
  if (x == NULL || !tn_foreign_int(node, "axis", 1, &axis)) return false;
  int64_t ndim = x->type->ndim;
  if (axis < -ndim || axis > ndim) return tn_foreign_error(node, TN_E_ATTR, "axis: %lld", (long long)axis);
  if (axis < 0) axis += ndim;
  const tn_dim *dims[2] = {tn_dim_product(b->ctx, x->type->dims, (uint32_t)axis),
                           tn_dim_product(b->ctx, x->type->dims + axis, (uint32_t)(ndim - axis))};
  return tn_foreign_set(node, 0, tn_build_reshape(b, x, dims, 2));
}

/* The number of axes named at run time; it decides the rank of the result. */
static bool count_axes(tn_foreign_node *node, uint32_t index, uint32_t limit, uint32_t *out) {
  int64_t n = tn_type_static_count(tn_foreign_input(node, index)->type);
  if (n < 0) return tn_foreign_unsupported(node, "axes of unknown number, which decide the rank of the result,");
  *out = (uint32_t)n;
  return n <= limit || tn_foreign_error(node, TN_E_ATTR, "axes: %lld axes of at most %u", (long long)n, limit);
}

/* Axes known only at run time are those dropped, which must be of extent 1; the extents that are left are read. */
static tn_value *squeeze_read(tn_foreign_node *node, tn_value *x) {
  tn_build *b = node->build;
  uint32_t ndim = x->type->ndim, n = 0;
  const tn_dim *flags[TN_MAX_NDIM], *dims[TN_MAX_NDIM], *zero = tn_dim_const(b->ctx, 0);
  if (!count_axes(node, 1, ndim, &n)) return NULL;
  tn_value *hits = tn_axes_hits(node, node->inputs[1], tn_dim_const(b->ctx, n), ndim);
  tn_value *counts = tn_axes_counts(b, hits);
  if (!tn_axes_read_flags(b, counts, flags)) return NULL;
  for (uint32_t i = 0; i < ndim; i++) {
    const tn_dim *excess = tn_dim_mul(b->ctx, flags[i], tn_dim_add_i(b->ctx, x->type->dims[i], -1));
    if (!tn_func_require_eq(b->func, excess, zero, node->loc, "'Squeeze': axis %u is named and not of extent 1", i))
      return NULL;
  }
  return tn_axes_read_kept(node, x, counts, n, dims) ? tn_build_reshape(b, x, dims, ndim - n) : NULL;
}

/* Squeeze without axes: those of extent 1. Where an extent may or may not be 1 the rank that the model declares for the
 * result says whether all of these are, and where it declares none, none of them is; what it says is guarded. */
static bool squeeze_all(tn_foreign_node *node, tn_value *x) {
  tn_build *b = node->build;
  const tn_dim *one = tn_dim_const(b->ctx, 1), *two = tn_dim_const(b->ctx, 2), *dims[TN_MAX_NDIM];
  uint32_t kept = 0, open = 0, first = 0;
  bool is_open[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    const tn_dim *d = x->type->dims[i];
    is_open[i] = !tn_dim_is(d, 1) && d->lo <= 1 && d->hi >= 1;
    if (is_open[i] && open++ == 0) first = i;
    if (!is_open[i] && !tn_dim_is(d, 1)) kept++;
  }
  int64_t rank = open > 0 ? node->declared_rank(node, 0) : 0;
  bool all_go = rank == kept;
  if (open > 0 && !all_go && rank >= 0 && rank != kept + open)
    return tn_foreign_unsupported(node, "no axes and an extent that may or may not be 1 (axis %u, see --dim)",
                                  first);
  kept = 0;
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    const tn_dim *d = x->type->dims[i];
    const char *what = rank < 0 ? "'Squeeze' without axes and a declared rank"
                                : "'Squeeze' without axes to the rank that the model declares";
    bool ok = !is_open[i] || (all_go ? tn_func_require_eq(b->func, d, one, node->loc, "%s: axis %u", what, i)
                                     : tn_func_require_le(b->func, two, d, node->loc, "%s: axis %u", what, i));
    if (!ok) return false;
    if (!tn_dim_is(d, 1) && !(is_open[i] && all_go)) dims[kept++] = d;
  }
  return tn_foreign_set(node, 0, tn_build_reshape(b, x, dims, kept));
}

/* Squeeze. */
bool tn_import_squeeze(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t axes[TN_MAX_NDIM];
  uint32_t n, kept = 0, at = 0;
  bool given;
  if (x == NULL) return false;
  if (node->version >= 13 && tn_foreign_is_data(node, 1)) return tn_foreign_set(node, 0, squeeze_read(node, x));
  if (!tn_foreign_axes(node, 1, 13, x->type->ndim, axes, &n, &given)) return false;
  if (!given) return squeeze_all(node, x);
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    const tn_dim *d = x->type->dims[i];
    bool listed = at < n && axes[at] == (int64_t)i;
    at += listed;
    if (listed && !tn_func_require_eq(b->func, d, tn_dim_const(b->ctx, 1), node->loc, "'Squeeze': axis %u", i))
      return false;
    if (!listed) dims[kept++] = d;
  }
  return tn_foreign_set(node, 0, tn_build_reshape(b, x, dims, kept));
}

/* The result's extent k is 1 where axis k is named, else the extent of x that comes next. */
static tn_value *unsqueeze_read(tn_foreign_node *node, tn_value *x) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  uint32_t from = x->type->ndim, n = 0;
  if (!count_axes(node, 1, TN_MAX_NDIM - from, &n)) return NULL;
  uint32_t ndim = from + n;
  tn_value *hits = tn_axes_hits(node, node->inputs[1], tn_dim_const(ctx, n), ndim);
  tn_value *counts = tn_axes_counts(b, hits);
  const tn_dim *flags[TN_MAX_NDIM], *dims[TN_MAX_NDIM], *one = tn_dim_const(ctx, 1);
  if (!tn_axes_read_flags(b, counts, flags)) return NULL; /* also refuses an axis that is named twice */
  int64_t lo[TN_MAX_NDIM], hi[TN_MAX_NDIM];
  for (uint32_t i = 0; i < ndim; i++) {
    lo[i] = 1;
    hi[i] = 1;
    dims[i] = one;
    for (uint32_t k = 0; k < from; k++) {
      lo[i] = x->type->dims[k]->lo < lo[i] ? x->type->dims[k]->lo : lo[i];
      hi[i] = x->type->dims[k]->hi > hi[i] ? x->type->dims[k]->hi : hi[i];
    }
    lo[i] = lo[i] < 0 ? 0 : lo[i];
  }
  if (from == 0) return tn_build_reshape(b, x, dims, ndim);
  tn_value *kept = tn_build_binary(b, TN_SUB, tn_build_fill_like(b, counts, 1), counts);
  const tn_opdef *cumulate = tn_op_find("cumulate");
  tn_attr attrs[] = {tn_attr_name(cumulate, "op", "sum"), tn_attr_int(0), tn_attr_bool(false), tn_attr_bool(true)};
  tn_value *place = tn_build_op(b, cumulate, &kept, 1, attrs); /* kept before: beyond the last only where named */
  place = tn_build_binary_f(b, TN_MIN, place, from - 1);
  tn_value *extents = tn_build_gather_axis(b, tn_build_dim_value(b, x->type->dims, from), place, 0);
  tn_value *named = tn_build_binary_f(b, TN_NE, counts, 0);
  extents = tn_build_select(b, named, tn_build_fill_like(b, counts, 1), extents);
  return tn_build_read_dims_within(b, extents, lo, hi, dims) ? tn_build_reshape(b, x, dims, ndim) : NULL;
}

bool tn_import_unsqueeze(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  const int64_t *list;
  int64_t axes[TN_MAX_NDIM];
  uint32_t n, n_axes, at = 0, from = 0;
  bool known = true, given;
  if (x == NULL) return false;
  if (node->version >= 13 && tn_foreign_is_data(node, 1)) return tn_foreign_set(node, 0, unsqueeze_read(node, x));
  /* the result's rank is needed to read negative axes */
  if (node->version < 13 ? !tn_foreign_ints(node, "axes", &list, &n)
                         : !tn_foreign_const_ints(node, 1, &list, &n, &known))
    return false;
  uint32_t ndim = x->type->ndim + n;
  if (ndim > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "a result of rank %u is above the limit", ndim);
  if (!tn_foreign_axes(node, 1, 13, ndim, axes, &n_axes, &given)) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < ndim; i++) {
    if (at < n_axes && axes[at] == (int64_t)i) {
      dims[i] = tn_dim_const(b->ctx, 1);
      at++;
    } else {
      dims[i] = x->type->dims[from++];
    }
  }
  return tn_foreign_set(node, 0, tn_build_reshape(b, x, dims, ndim));
}

bool tn_import_identity(tn_foreign_node *node) { return tn_foreign_set(node, 0, tn_foreign_need(node, 0)); }

/* Input `index` as a scalar, or a splat of the fallback. */
static tn_value *scalar_or(tn_foreign_node *node, uint32_t index, double fallback) {
  tn_value *x = tn_foreign_input(node, index);
  return x == NULL ? tn_build_splat_f(node->build, TN_F32, fallback) : tn_build_reshape(node->build, x, NULL, 0);
}

/* Whether elements may be dropped: from opset 12 on input 2, before opset 7 attribute is_test; between them never. */
static bool is_training(tn_foreign_node *node, bool *out, tn_value **out_flag) {
  int64_t is_test;
  const int64_t *flag;
  uint32_t n;
  bool known;
  *out_flag = NULL;
  if (!tn_foreign_int(node, "is_test", 0, &is_test)) return false;
  *out = node->version < 7 && is_test == 0;
  if (node->version < 12 || tn_foreign_input(node, 2) == NULL) return true;
  if (!tn_foreign_const_ints(node, 2, &flag, &n, &known)) return false;
  *out = !known || (n == 1 && flag[0] != 0);
  if (!known) *out_flag = tn_build_reshape(node->build, node->inputs[2], NULL, 0);
  return known || *out_flag != NULL;
}

/* Outside of training x itself, and a mask that is true everywhere. */
bool tn_import_dropout(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *flag;
  double ratio;
  bool training;
  if (x == NULL || !is_training(node, &training, &flag) || !tn_foreign_float(node, "ratio", 0.5, &ratio)) return false;
  uint32_t input = node->version < 12 ? UINT32_MAX : 1;
  if (training) return tn_import_dropout_training(node, scalar_or(node, input, ratio), flag);
  if (node->n_outputs > 1 && node->wanted[1]) {
    tn_value *mask = tn_build_splat_i(b, node->version < 10 ? x->type->dtype : TN_BOOL, 1);
    if (!tn_foreign_set(node, 1, tn_compose_repeat(b, mask, x))) return false;
  }
  return tn_foreign_set(node, 0, x);
}

/* Both sides broadcast: the target is a value of those dims that nothing uses. */
bool tn_import_expand(tn_foreign_node *node) {
  tn_build *b = node->build;
  const tn_dim *dims[TN_MAX_INDEX];
  uint32_t n;
  tn_value *x = tn_foreign_need(node, 0);
  if (x == NULL || !tn_foreign_dims(node, 1, 0, TN_DIM_INF, dims, &n)) return false;
  if (n > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "a shape of rank %u is above the limit", n);
  tn_value *shape = tn_build_broadcast_map(b, tn_build_splat_i(b, TN_BOOL, 0), dims, n, NULL);
  tn_value *pair[2] = {x, shape};
  return shape != NULL && tn_build_broadcast_all(b, pair, 2) && tn_foreign_set(node, 0, pair[0]);
}

/* Tile: [d0, d1] -> [r0, d0, r1, d1] -> [r0*d0, r1*d1]. */
bool tn_import_tile(tn_foreign_node *node) {
  tn_build *b = node->build;
  const tn_dim *repeats[TN_MAX_INDEX], *dims[TN_MAX_NDIM];
  uint32_t n;
  tn_value *x = tn_foreign_need(node, 0);
  if (x == NULL || !tn_foreign_dims_of(node, 1, x->type->ndim, 0, TN_DIM_INF, repeats, &n)) return false;
  if (n != x->type->ndim) return tn_foreign_error(node, TN_E_SHAPE, "repeats: expected %u, found %u", x->type->ndim, n);
  for (uint32_t i = n; i-- > 0 && x != NULL;) { /* an axis at a time keeps the rank low */
    if (tn_dim_is(repeats[i], 1)) continue;
    const tn_dim *spread[TN_MAX_NDIM + 1];
    int64_t map[TN_MAX_NDIM];
    if (n + 1 > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "rank %u", n);
    for (uint32_t k = 0; k < n; k++) {
      dims[k] = k == i ? tn_dim_mul(b->ctx, x->type->dims[k], repeats[k]) : x->type->dims[k];
      map[k] = k < i ? k : k + 1;
      spread[map[k]] = x->type->dims[k];
    }
    spread[i] = repeats[i];
    x = tn_build_reshape(b, tn_build_broadcast_map(b, x, spread, n + 1, map), dims, n);
  }
  return tn_foreign_set(node, 0, x);
}

bool tn_import_shape(tn_foreign_node *node) {
  tn_value *x = tn_foreign_need(node, 0);
  int64_t start, end;
  if (x == NULL) return false;
  int64_t ndim = x->type->ndim;
  if (!tn_foreign_int(node, "start", 0, &start) || !tn_foreign_int(node, "end", ndim, &end)) return false;
  if (start < 0) start += ndim;
  if (end < 0) end += ndim;
  start = start < 0 ? 0 : start > ndim ? ndim : start;
  end = end < start ? start : end > ndim ? ndim : end;
  return tn_foreign_set(node, 0, tn_build_dim_value(node->build, x->type->dims + start, (uint32_t)(end - start)));
}

bool tn_import_size(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  if (x == NULL) return false;
  const tn_dim *count = tn_type_count(b->ctx, x->type);
  return tn_foreign_set(node, 0, tn_build_reshape(b, tn_build_dim_value(b, &count, 1), NULL, 0));
}

bool tn_import_constant_of_shape(tn_foreign_node *node) {
  tn_build *b = node->build;
  const tn_dim *dims[TN_MAX_INDEX];
  uint32_t n;
  const tn_foreign_attr *attr = tn_foreign_find(node, "value");
  if (!tn_foreign_dims(node, 0, 0, TN_DIM_INF, dims, &n)) return false;
  if (n > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "a shape of rank %u is above the limit", n);
  if (attr != NULL && (attr->kind != TN_FOREIGN_TENSOR || attr->tensor == NULL ||
                       tn_type_static_count(attr->tensor->type) != 1))
    return tn_foreign_error(node, TN_E_ATTR, "value: expected a tensor of one element");
  tn_value *value = attr == NULL ? tn_build_splat_f(b, TN_F32, 0)
                                 : tn_build_reshape(b, tn_build_const(b, attr->tensor), NULL, 0);
  return tn_foreign_set(node, 0, tn_build_broadcast_map(b, value, dims, n, NULL));
}

/* Both move a block of `blocksize` squared between channels and space. order: where the block's axes lie. */
static bool block_size(tn_foreign_node *node, tn_value *x, int64_t *out) {
  if (x == NULL || !tn_foreign_int(node, "blocksize", 0, out)) return false;
  if (x->type->ndim != 4) return tn_foreign_error(node, TN_E_RANK, "expected 4 dimensions, found %u", x->type->ndim);
  return (*out >= 1 && *out <= INT32_MAX) || tn_foreign_error(node, TN_E_ATTR, "blocksize: %lld", (long long)*out);
}

bool tn_import_depth_to_space(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t size;
  const char *mode;
  if (!block_size(node, x, &size) || !tn_foreign_string(node, "mode", "DCR", &mode)) return false;
  bool depth_first = strcmp(mode, "DCR") == 0;
  if (!depth_first && strcmp(mode, "CRD") != 0) return tn_foreign_error(node, TN_E_ATTR, "mode: '%s'", mode);
  const tn_dim *const *d = x->type->dims, *s = tn_dim_const(ctx, size);
  const tn_dim *c = tn_foreign_quotient(node, d[1], tn_dim_const(ctx, size * size),
                                        "channels, a multiple of blocksize squared");
  if (c == NULL) return false;
  const tn_dim *split_dcr[6] = {d[0], s, s, c, d[2], d[3]}, *split_crd[6] = {d[0], c, s, s, d[2], d[3]};
  static const int64_t perm_dcr[6] = {0, 3, 4, 1, 5, 2}, perm_crd[6] = {0, 1, 4, 2, 5, 3};
  const tn_dim *dims[4] = {d[0], c, tn_dim_mul_i(ctx, d[2], size), tn_dim_mul_i(ctx, d[3], size)};
  tn_value *y = tn_build_reshape(b, x, depth_first ? split_dcr : split_crd, 6);
  y = tn_build_transpose(b, y, depth_first ? perm_dcr : perm_crd);
  return tn_foreign_set(node, 0, tn_build_reshape(b, y, dims, 4));
}

bool tn_import_space_to_depth(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t size;
  const char *mode; /* since opset 27 */
  if (!block_size(node, x, &size) || !tn_foreign_string(node, "mode", "DCR", &mode)) return false;
  const tn_dim *const *d = x->type->dims, *s = tn_dim_const(ctx, size);
  const tn_dim *h = tn_foreign_quotient(node, d[2], s, "rows, a multiple of blocksize");
  const tn_dim *w = tn_foreign_quotient(node, d[3], s, "columns, a multiple of blocksize");
  if (h == NULL || w == NULL) return false;
  const tn_dim *split[6] = {d[0], d[1], h, s, w, s};
  static const int64_t dcr[6] = {0, 3, 5, 1, 2, 4}, crd[6] = {0, 1, 3, 5, 2, 4};
  const tn_dim *dims[4] = {d[0], tn_dim_mul_i(ctx, d[1], size * size), h, w};
  if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
    return tn_foreign_error(node, TN_E_ATTR, "mode: expected DCR or CRD, found '%s'", mode);
  tn_value *y = tn_build_transpose(b, tn_build_reshape(b, x, split, 6), strcmp(mode, "CRD") == 0 ? crd : dcr);
  return tn_foreign_set(node, 0, tn_build_reshape(b, y, dims, 4));
}
