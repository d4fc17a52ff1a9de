/* Emission of nodes that open axes: reductions, contractions, pooling; and the choice of the space a group is computed
 * over. See emission.h. */
#include <string.h>

#include "ir/eval.h"
#include "passes/emission.h"
#include "passes/passes.h"

static bool index_uses(const tn_dim *const *index, uint32_t n, const tn_symbol *axis) {
  for (uint32_t i = 0; i < n; i++)
    if (tn_dim_uses(index[i], axis)) return true;
  return false;
}

/* A new axis; an axis of one position is the constant 0. */
static const tn_dim *new_axis(emission *e, const char *name, const tn_dim *extent, tn_axis_kind kind) {
  if (tn_dim_is(extent, 1)) return tn_dim_const(e->ctx, 0);
  if (e->kernel->space.n == TN_KERNEL_MAX_AXES) {
    tn_error(e->ctx, tn_loc_current(e->ctx), TN_E_LIMIT, "kernel '%s' needs more than %d axes", e->kernel->name,
             TN_KERNEL_MAX_AXES);
    e->failed = true;
    return tn_dim_const(e->ctx, 0);
  }
  const char *unique = tn_namef(e->ctx, "%s%u", name, (unsigned)e->kernel->space.n);
  return tn_dim_symbol(e->ctx, tn_kernel_add_axis(e->kernel, unique, extent, kind));
}

static const tn_symbol *axis_of(const emission *e, const tn_dim *index) {
  for (uint32_t i = 0; i < e->kernel->space.n; i++)
    if (tn_dim_symbol(e->ctx, e->kernel->space.data[i].symbol) == index) return e->kernel->space.data[i].symbol;
  return NULL;
}

/* The axis to fold over: one of the kernel's with this extent that the result's index does not use, so that what is
 * computed over it is shared; else a new one. `taken` are slots used by this fold already. */
static const tn_dim *fold_axis(emission *e, const tn_dim *extent, const tn_dim *const *index, uint32_t n_index,
                               uint32_t *taken) {
  for (uint32_t i = 0; i < e->kernel->space.n; i++) {
    tn_axis *axis = &e->kernel->space.data[i];
    if (axis->extent != extent || (*taken >> i & 1) || index_uses(index, n_index, axis->symbol)) continue;
    *taken |= 1u << i;
    return tn_dim_symbol(e->ctx, axis->symbol);
  }
  const tn_dim *made = new_axis(e, "k", extent, TN_AXIS_SUM);
  const tn_symbol *symbol = axis_of(e, made);
  if (symbol) *taken |= 1u << symbol->slot;
  return made;
}

static tn_fold fold_of(const tn_attr *op, const tn_opdef *def) {
  static const struct {
    const char *name;
    tn_fold fold;
  } folds[] = {{"sum", TN_FOLD_SUM}, {"prod", TN_FOLD_PROD}, {"max", TN_FOLD_MAX},
               {"min", TN_FOLD_MIN}, {"and", TN_FOLD_AND},   {"or", TN_FOLD_OR}};
  const tn_attr_def *attr = &def->attrs[tn_op_attr_index(def, "op")];
  const char *name = attr->names[op->u.i];
  for (size_t i = 0; i < TN_ARRAY_LEN(folds); i++)
    if (strcmp(folds[i].name, name) == 0) return folds[i].fold;
  TN_ASSERT(!"a fold of the op record is unknown to kernels");
  return TN_FOLD_SUM;
}

static tn_dtype accumulator(const tn_node *node, tn_dtype dtype) {
  uint32_t at = tn_op_attr_index(node->op, "acc");
  if (at != UINT32_MAX && node->attrs[at].present) return (tn_dtype)node->attrs[at].u.i;
  return tn_dtype_acc(dtype);
}

static tn_knode *emit_reduce(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value;
  const tn_attr *axes = tn_node_attr(node, "axes");
  const tn_dim *at[TN_MAX_NDIM] = {0};
  uint32_t taken = 0, over = 0, next = 0;
  for (uint32_t i = 0; i < axes->u.list.n; i++) {
    int64_t axis = axes->u.list.ints[i];
    at[axis] = fold_axis(e, x->type->dims[axis], index, node->results[0]->type->ndim, &taken);
    const tn_symbol *symbol = axis_of(e, at[axis]);
    if (symbol) over |= 1u << symbol->slot;
  }
  for (uint32_t i = 0; i < x->type->ndim; i++)
    if (!at[i]) at[i] = index[next++];
  tn_fold fold = fold_of(tn_node_attr(node, "op"), node->op);
  tn_dtype dtype = x->type->dtype;
  tn_dtype acc = fold == TN_FOLD_SUM || fold == TN_FOLD_PROD ? accumulator(node, dtype) : dtype;
  tn_knode *value = tn_emit_cast(e, tn_emit(e, x, at), acc);
  if (!value) return NULL;
  if (over) value = tn_kernel_fold(e->kernel, fold, acc, value, over);
  return tn_emit_cast(e, value, node->results[0]->type->dtype);
}

static uint32_t bit_of(const emission *e, const tn_dim *axis) {
  const tn_symbol *symbol = axis_of(e, axis);
  return symbol ? 1u << symbol->slot : 0;
}

static tn_knode *contract(emission *e, const tn_node *node, tn_dtype acc, tn_knode *a, tn_knode *b, uint32_t over) {
  a = tn_emit_cast(e, a, acc);
  b = tn_emit_cast(e, b, acc);
  if (!a || !b) return NULL;
  tn_knode *product = over ? tn_kernel_contract(e->kernel, acc, a, b, over) : tn_emit_scalar2(e, TN_MUL, acc, a, b);
  return tn_emit_cast(e, product, node->results[0]->type->dtype);
}

static bool in_pairs(const tn_attr *pairs, uint32_t side, int64_t axis, uint32_t *out_k) {
  for (uint32_t k = 0; k < pairs->u.list.n; k++)
    if (pairs->u.list.ints[2 * k + side] == axis) {
      *out_k = k;
      return true;
    }
  return false;
}

static tn_knode *emit_dot(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_attr *batch = tn_node_attr(node, "batch"), *sum = tn_node_attr(node, "sum");
  const tn_dim *sums[TN_MAX_NDIM], *at[2][TN_MAX_NDIM];
  uint32_t over = 0, next = batch->u.list.n, k;
  for (uint32_t i = 0; i < sum->u.list.n; i++) {
    sums[i] = new_axis(e, "k", node->operands[0].value->type->dims[sum->u.list.ints[2 * i]], TN_AXIS_SUM);
    over |= bit_of(e, sums[i]);
  }
  for (uint32_t side = 0; side < 2; side++)
    for (uint32_t i = 0; i < node->operands[side].value->type->ndim; i++)
      at[side][i] = in_pairs(batch, side, i, &k) ? index[k] : in_pairs(sum, side, i, &k) ? sums[k] : index[next++];
  tn_knode *a = tn_emit(e, node->operands[0].value, at[0]), *b = tn_emit(e, node->operands[1].value, at[1]);
  return contract(e, node, accumulator(node, node->operands[0].value->type->dtype), a, b, over);
}

static int64_t int_at(const tn_attr *list, uint32_t i, int64_t fallback) {
  return i < list->u.list.n ? list->u.list.ints[i] : fallback;
}

/* Input channel of output channel o and position c within its group. */
static const tn_dim *group_channel(emission *e, const tn_dim *o, const tn_dim *n_out, int64_t groups, const tn_dim *c,
                                   const tn_dim *per_group) {
  if (groups == 1) return c;
  const tn_dim *out_per_group = tn_dim_floordiv(e->ctx, n_out, tn_dim_const(e->ctx, groups));
  return tn_dim_add(e->ctx, tn_dim_mul(e->ctx, tn_dim_floordiv(e->ctx, o, out_per_group), per_group), c);
}

static tn_knode *emit_conv(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value, *w = node->operands[1].value;
  const tn_attr *stride = tn_node_attr(node, "stride"), *dilate = tn_node_attr(node, "dilate");
  const tn_attr *lo = tn_node_attr(node, "lo");
  int64_t groups = tn_node_attr(node, "groups")->u.i;
  const tn_dim *at_x[TN_MAX_NDIM], *at_w[TN_MAX_NDIM];
  const tn_dim *c = new_axis(e, "c", w->type->dims[1], TN_AXIS_SUM);
  uint32_t over = bit_of(e, c);
  at_x[0] = index[0];
  at_x[1] = group_channel(e, index[1], w->type->dims[0], groups, c, w->type->dims[1]);
  at_w[0] = index[1];
  at_w[1] = c;
  for (uint32_t i = 2; i < x->type->ndim; i++) {
    const tn_dim *tap = new_axis(e, "r", w->type->dims[i], TN_AXIS_SUM);
    over |= bit_of(e, tap);
    const tn_dim *from = tn_dim_mul_i(e->ctx, index[i], int_at(stride, i - 2, 1));
    from = tn_dim_add(e->ctx, from, tn_dim_mul_i(e->ctx, tap, int_at(dilate, i - 2, 1)));
    at_x[i] = lo->u.list.n ? tn_dim_sub(e->ctx, from, lo->u.list.dims[i - 2]) : from;
    at_w[i] = tap;
  }
  tn_number zero = {.i = 0};
  tn_knode *a = tn_emit_padded(e, x, at_x, zero), *b = tn_emit(e, w, at_w);
  return contract(e, node, accumulator(node, x->type->dtype), a, b, over);
}

/* The adjoint: output position p takes input (p + lo - tap * dilate) / stride where that divides. */
static tn_knode *emit_conv_dx(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *y = node->operands[0].value, *w = node->operands[1].value;
  const tn_attr *stride = tn_node_attr(node, "stride"), *dilate = tn_node_attr(node, "dilate");
  const tn_attr *lo = tn_node_attr(node, "lo");
  int64_t groups = tn_node_attr(node, "groups")->u.i;
  tn_dtype dtype = y->type->dtype;
  const tn_dim *at_y[TN_MAX_NDIM], *at_w[TN_MAX_NDIM];
  const tn_dim *out_per_group = tn_dim_floordiv(e->ctx, w->type->dims[0], tn_dim_const(e->ctx, groups));
  const tn_dim *o = new_axis(e, "o", out_per_group, TN_AXIS_SUM);
  const tn_dim *group = groups == 1 ? tn_dim_const(e->ctx, 0)
                                    : tn_dim_floordiv(e->ctx, index[1], w->type->dims[1]);
  uint32_t over = bit_of(e, o);
  at_y[0] = index[0];
  at_y[1] = at_w[0] = tn_dim_add(e->ctx, tn_dim_mul(e->ctx, group, out_per_group), o);
  at_w[1] = groups == 1 ? index[1] : tn_dim_sub(e->ctx, index[1], tn_dim_mul(e->ctx, group, w->type->dims[1]));
  tn_knode *divides = NULL;
  for (uint32_t i = 2; i < y->type->ndim; i++) {
    const tn_dim *tap = new_axis(e, "r", w->type->dims[i], TN_AXIS_SUM);
    over |= bit_of(e, tap);
    const tn_dim *from = tn_dim_sub(e->ctx, index[i], tn_dim_mul_i(e->ctx, tap, int_at(dilate, i - 2, 1)));
    if (lo->u.list.n) from = tn_dim_add(e->ctx, from, lo->u.list.dims[i - 2]);
    const tn_dim *period = tn_dim_const(e->ctx, int_at(stride, i - 2, 1));
    const tn_dim *rest = tn_dim_mod(e->ctx, from, period);
    if (!tn_dim_is(rest, 0)) {
      tn_knode *hit = tn_emit_scalar2(e, TN_EQ, TN_BOOL, tn_kernel_index(e->kernel, TN_I64, rest),
                                      tn_emit_number(e, TN_I64, 0, 0));
      divides = divides ? tn_emit_scalar2(e, TN_AND, TN_BOOL, divides, hit) : hit;
    }
    at_y[i] = tn_dim_floordiv(e->ctx, from, period);
    at_w[i] = tap;
  }
  tn_number zero = {.i = 0};
  tn_knode *a = tn_emit_padded(e, y, at_y, zero), *b = tn_emit(e, w, at_w);
  if (!a || !b) return NULL;
  if (divides) {
    tn_knode *in[] = {divides, a, tn_emit_number(e, dtype, 0, 0)};
    a = tn_kernel_scalar(e->kernel, TN_SELECT, dtype, in, 3);
  }
  return contract(e, node, accumulator(node, dtype), a, b, over);
}

static tn_knode *emit_window(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value;
  const tn_attr *axes = tn_node_attr(node, "axes"), *size = tn_node_attr(node, "size");
  const tn_attr *stride = tn_node_attr(node, "stride"), *dilate = tn_node_attr(node, "dilate");
  const tn_attr *lo = tn_node_attr(node, "lo");
  tn_fold fold = fold_of(tn_node_attr(node, "op"), node->op);
  tn_dtype dtype = x->type->dtype, acc = fold == TN_FOLD_SUM ? accumulator(node, dtype) : dtype;
  const tn_dim *at[TN_MAX_NDIM];
  uint32_t over = 0;
  memcpy(at, index, sizeof(*at) * x->type->ndim);
  for (uint32_t i = 0; i < axes->u.list.n; i++) {
    int64_t axis = axes->u.list.ints[i];
    const tn_dim *tap = new_axis(e, "r", tn_dim_const(e->ctx, size->u.list.ints[i]), TN_AXIS_SUM);
    over |= bit_of(e, tap);
    const tn_dim *from = tn_dim_mul_i(e->ctx, index[axis], int_at(stride, i, 1));
    from = tn_dim_add(e->ctx, from, tn_dim_mul_i(e->ctx, tap, int_at(dilate, i, 1)));
    at[axis] = lo->u.list.n ? tn_dim_sub(e->ctx, from, lo->u.list.dims[i]) : from;
  }
  tn_knode *value = tn_emit_cast(e, tn_emit_padded(e, x, at, tn_fold_identity(fold, dtype)), acc);
  if (!value) return NULL;
  if (over) value = tn_kernel_fold(e->kernel, fold, acc, value, over);
  return tn_emit_cast(e, value, node->results[0]->type->dtype);
}

/* A row of memory along the axis: each coordinate moves with it by a fixed step. */
static bool reads_a_row(tn_ctx *ctx, const tn_knode *read, const tn_dim *axis) {
  const tn_dim *step, *rest;
  for (uint32_t i = 0; i < read->n_index; i++)
    if (!tn_dim_linear(ctx, read->index[i], tn_dim_lone_symbol(axis), &step, &rest)) return false;
  return true;
}

static tn_knode *emit_argsort(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value;
  int64_t axis = tn_node_attr(node, "axis")->u.i;
  const tn_dim *at[TN_MAX_NDIM], *k = new_axis(e, "k", x->type->dims[axis], TN_AXIS_SUM);
  if (!bit_of(e, k)) return tn_emit_number(e, TN_I64, 0, 0);
  memcpy(at, index, sizeof(*at) * x->type->ndim);
  at[axis] = k;
  tn_knode *value = tn_emit(e, x, at);
  if (!value) return NULL;
  if (value->kind != TN_K_READ || value->n_in > 0 || !reads_a_row(e->ctx, value, k)) {
    tn_error(e->ctx, node->loc, TN_E_LOWER, "'argsort' of what lies in no rows of memory has no kernel form yet");
    e->failed = true;
    return NULL;
  }
  return tn_kernel_argsort(e->kernel, value, bit_of(e, k), index[axis], tn_node_attr(node, "descending")->u.i != 0);
}

static tn_knode *emit_argreduce(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value;
  int64_t axis = tn_node_attr(node, "axis")->u.i;
  const tn_dim *at[TN_MAX_NDIM];
  uint32_t next = 0, taken = 0;
  for (uint32_t i = 0; i < x->type->ndim; i++) at[i] = i == axis ? NULL : index[next++];
  at[axis] = fold_axis(e, x->type->dims[axis], index, node->results[0]->type->ndim, &taken);
  tn_knode *value = tn_emit(e, x, at);
  uint32_t over = bit_of(e, at[axis]);
  if (!value) return NULL;
  if (!over) return tn_emit_number(e, TN_I64, 0, 0);
  bool last = tn_node_attr(node, "last")->u.i != 0;
  return tn_kernel_argfold(e->kernel, fold_of(tn_node_attr(node, "op"), node->op), value, over, last);
}

/* One axis of a window while its winner is looked for. */
typedef struct window_axis {
  const tn_dim *first; /* coordinate of tap 0 */
  const tn_dim *extent;
  int64_t dilate;
} window_axis;

static tn_knode *as_i64(emission *e, const tn_dim *dim) { return tn_kernel_index(e->kernel, TN_I64, dim); }

/* Flat position over the axes of `taps` (one a window axis), and whether all lie inside (NULL: proved). */
static tn_knode *flat_position(emission *e, const window_axis *axes, uint32_t n, tn_knode *const *taps,
                               tn_knode **out_inside) {
  tn_knode *flat = NULL, *inside = NULL;
  for (uint32_t i = 0; i < n; i++) {
    tn_knode *at = tn_emit_scalar2(e, TN_MUL, TN_I64, taps[i], tn_emit_number(e, TN_I64, 0, axes[i].dilate));
    at = tn_emit_scalar2(e, TN_ADD, TN_I64, at, as_i64(e, axes[i].first));
    tn_knode *low = tn_emit_scalar2(e, TN_GE, TN_BOOL, at, tn_emit_number(e, TN_I64, 0, 0));
    tn_knode *high = tn_emit_scalar2(e, TN_LT, TN_BOOL, at, as_i64(e, axes[i].extent));
    low = tn_emit_scalar2(e, TN_AND, TN_BOOL, low, high);
    inside = inside ? tn_emit_scalar2(e, TN_AND, TN_BOOL, inside, low) : low;
    if (flat) flat = tn_emit_scalar2(e, TN_MUL, TN_I64, flat, as_i64(e, axes[i].extent));
    flat = flat ? tn_emit_scalar2(e, TN_ADD, TN_I64, flat, at) : at;
  }
  *out_inside = inside;
  return flat;
}

/* The taps of a window are one axis, which an argfold runs over. Padding is read as the fold's identity; where it wins,
 * all elements are the identity, and the first of them is the answer. */
static tn_knode *emit_argwindow(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value;
  const tn_attr *slide = tn_node_attr(node, "axes"), *size = tn_node_attr(node, "size");
  const tn_attr *stride = tn_node_attr(node, "stride"), *dilate = tn_node_attr(node, "dilate");
  const tn_attr *lo = tn_node_attr(node, "lo");
  tn_fold fold = fold_of(tn_node_attr(node, "op"), node->op);
  tn_number fill = tn_fold_identity(fold, x->type->dtype);
  window_axis axes[TN_MAX_NDIM];
  const tn_dim *at[TN_MAX_NDIM];
  tn_knode *taps[TN_MAX_NDIM], *first[TN_MAX_NDIM], *inside;
  uint32_t n = slide->u.list.n;
  int64_t n_taps = 1;
  memcpy(at, index, sizeof(*at) * x->type->ndim);
  for (uint32_t i = 0; i < n; i++)
    if (!tn_mul_i64(n_taps, size->u.list.ints[i], &n_taps)) {
      e->failed = true;
      tn_error(e->ctx, node->loc, TN_E_LIMIT, "'argwindow': more than 2^63 elements in a window");
      return NULL;
    }
  const tn_dim *tap = new_axis(e, "r", tn_dim_const(e->ctx, n_taps), TN_AXIS_SUM), *rest = tap;
  for (uint32_t i = n; i-- > 0;) {
    int64_t axis = slide->u.list.ints[i];
    const tn_dim *extent = tn_dim_const(e->ctx, size->u.list.ints[i]);
    const tn_dim *from = tn_dim_mul_i(e->ctx, index[axis], int_at(stride, i, 1));
    axes[i] = (window_axis){tn_dim_sub(e->ctx, from, lo->u.list.dims[i]), x->type->dims[axis], int_at(dilate, i, 1)};
    const tn_dim *k = i == 0 ? rest : tn_dim_mod(e->ctx, rest, extent);
    at[axis] = tn_dim_add(e->ctx, axes[i].first, tn_dim_mul_i(e->ctx, k, axes[i].dilate));
    rest = tn_dim_floordiv(e->ctx, rest, extent);
  }
  tn_knode *value = tn_emit_padded(e, x, at, fill), *winner = tn_emit_number(e, TN_I64, 0, 0);
  if (!value) return NULL;
  if (bit_of(e, tap)) winner = tn_kernel_argfold(e->kernel, fold, value, bit_of(e, tap), false);
  for (uint32_t i = n; i-- > 0;) {
    tn_knode *extent = tn_emit_number(e, TN_I64, 0, size->u.list.ints[i]);
    taps[i] = i == 0 ? winner : tn_emit_scalar2(e, TN_REM, TN_I64, winner, extent);
    winner = tn_emit_scalar2(e, TN_DIV, TN_I64, winner, extent);
    /* ceil(-first / dilate) taps lie before the tensor. */
    const tn_dim *skipped = tn_dim_floordiv(e->ctx, tn_dim_add_i(e->ctx, tn_dim_mul_i(e->ctx, axes[i].first, -1),
                                                                axes[i].dilate - 1),
                                            tn_dim_const(e->ctx, axes[i].dilate));
    first[i] = as_i64(e, tn_dim_max(e->ctx, tn_dim_const(e->ctx, 0), skipped));
  }
  tn_knode *flat = flat_position(e, axes, n, taps, &inside), *first_inside;
  tn_knode *first_flat = flat_position(e, axes, n, first, &first_inside);
  tn_knode *none[] = {first_inside, first_flat, tn_emit_number(e, TN_I64, 0, 0)};
  tn_knode *in[] = {inside, flat, tn_kernel_scalar(e->kernel, TN_SELECT, TN_I64, none, 3)};
  return tn_kernel_scalar(e->kernel, TN_SELECT, TN_I64, in, 3);
}

/* A running fold as a fold over the positions up to here: quadratic along the axis, and right for any space. */
static tn_knode *emit_cumulate(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value;
  int64_t axis = tn_node_attr(node, "axis")->u.i;
  bool reverse = tn_node_attr(node, "reverse")->u.i != 0, exclusive = tn_node_attr(node, "exclusive")->u.i != 0;
  tn_fold fold = fold_of(tn_node_attr(node, "op"), node->op);
  tn_dtype dtype = x->type->dtype, acc = fold == TN_FOLD_SUM ? tn_dtype_acc(dtype) : dtype;
  const tn_dim *at[TN_MAX_NDIM];
  memcpy(at, index, sizeof(*at) * x->type->ndim);
  at[axis] = new_axis(e, "k", x->type->dims[axis], TN_AXIS_SUM);
  tn_knode *value = tn_emit_cast(e, tn_emit(e, x, at), acc);
  if (!value) return NULL;
  tn_knode *k = tn_kernel_index(e->kernel, TN_I64, at[axis]), *i = tn_kernel_index(e->kernel, TN_I64, index[axis]);
  tn_scalar compare = reverse ? (exclusive ? TN_GT : TN_GE) : (exclusive ? TN_LT : TN_LE);
  tn_knode *in[] = {tn_emit_scalar2(e, compare, TN_BOOL, k, i), value,
                    tn_kernel_const(e->kernel, acc, tn_fold_identity(fold, acc))};
  value = tn_kernel_scalar(e->kernel, TN_SELECT, acc, in, 3);
  uint32_t over = bit_of(e, at[axis]);
  if (over) value = tn_kernel_fold(e->kernel, fold, acc, value, over);
  return tn_emit_cast(e, value, dtype);
}

tn_knode *tn_emit_fold(emission *e, const tn_node *node, const tn_dim *const *index) {
  if (node->n_results == 1) {
    if (node->op == &tn_op_reduce) return emit_reduce(e, node, index);
    if (node->op == &tn_op_dot) return emit_dot(e, node, index);
    if (node->op == &tn_op_conv) return emit_conv(e, node, index);
    if (node->op == &tn_op_conv_dx) return emit_conv_dx(e, node, index);
    if (node->op == &tn_op_window) return emit_window(e, node, index);
    if (node->op == &tn_op_argsort) return emit_argsort(e, node, index);
    if (node->op == &tn_op_argwindow) return emit_argwindow(e, node, index);
    if (node->op == &tn_op_argreduce) return emit_argreduce(e, node, index);
    if (node->op == &tn_op_cumulate) return emit_cumulate(e, node, index);
  }
  tn_error(e->ctx, node->loc, TN_E_LOWER, "'%s' with %u results has no kernel form yet", node->op->name,
           (unsigned)node->n_results);
  e->failed = true;
  return NULL;
}

static const tn_dim *par_axis(emission *e, const tn_dim *extent) { return new_axis(e, "i", extent, TN_AXIS_PAR); }

/* A grouped convolution's output channel is computed as group and channel within it, so that its reads stay affine. */
static void contraction_space(emission *e, const tn_node *anchor, const tn_dim **out) {
  const tn_type *type = anchor->results[0]->type;
  int64_t groups = anchor->op == &tn_op_dot ? 1 : tn_node_attr(anchor, "groups")->u.i;
  for (uint32_t i = 0; i < type->ndim; i++) {
    bool split = i == 1 && groups > 1 && tn_dim_is_const(type->dims[1]);
    if (!split) {
      out[i] = par_axis(e, type->dims[i]);
      continue;
    }
    int64_t per_group = tn_dim_value(type->dims[1]) / groups;
    const tn_dim *group = par_axis(e, tn_dim_const(e->ctx, groups));
    const tn_dim *within = par_axis(e, tn_dim_const(e->ctx, per_group));
    out[i] = tn_dim_add(e->ctx, tn_dim_mul_i(e->ctx, group, per_group), within);
  }
}

void tn_emit_space(emission *e, const tn_group *group, const tn_value *result, const tn_dim **out_index) {
  if (group && group->anchor == TN_GROUP_CONTRACT) {
    const tn_dim *index[TN_MAX_NDIM];
    uint32_t n_before = (uint32_t)e->kernel->space.n;
    contraction_space(e, group->anchor_node, index);
    if (tn_index_follow(e->ctx, group->anchor_node->results[0], index, result, out_index)) return;
    e->kernel->space.n = n_before;
  }
  for (uint32_t i = 0; i < result->type->ndim; i++) out_index[i] = par_axis(e, result->type->dims[i]);
}
