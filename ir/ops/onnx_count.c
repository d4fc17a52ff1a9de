/* ONNX operators whose results are counted while running: NonZero, Compress, Unique. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

static tn_value *argsort(tn_build *b, tn_value *x) {
  const tn_opdef *op = tn_op_find("argsort");
  tn_attr attrs[3] = {tn_attr_int(0), tn_attr_bool(false), {0}};
  return x == NULL ? NULL : tn_build_op(b, op, &x, 1, attrs);
}

static tn_value *gather(tn_build *b, tn_value *x, tn_value *index) { return tn_build_gather_axis(b, x, index, 0); }

/* x of rank 1, row-major. */
static tn_value *flat(tn_build *b, tn_value *x) {
  if (x == NULL) return NULL;
  const tn_dim *count = tn_type_count(b->ctx, x->type);
  return tn_build_reshape(b, x, &count, 1);
}

static tn_value *count_of(tn_build *b, tn_value *mask) {
  const int64_t axis = 0;
  return tn_build_reduce(b, "sum", tn_build_cast(b, mask, TN_I64), &axis, 1, false);
}

static tn_value *running_count(tn_build *b, tn_value *mask) {
  const tn_opdef *op = tn_op_find("cumulate");
  tn_value *ones = tn_build_cast(b, mask, TN_I64);
  tn_attr attrs[4] = {tn_attr_name(op, "op", "sum"), tn_attr_int(0), tn_attr_bool(false), tn_attr_bool(false)};
  return ones == NULL ? NULL : tn_build_op(b, op, &ones, 1, attrs);
}

/* to with value at the positions index of its axis 0. */
static tn_value *scattered(tn_build *b, tn_value *to, tn_value *value, tn_value *index, bool unique) {
  const tn_opdef *op = tn_op_find("scatter");
  tn_value *operands[3] = {to, value, index};
  const int64_t axis = 0;
  tn_attr attrs[3] = {tn_attr_ints(b->module, &axis, 1), tn_attr_name(op, "mode", "set"), tn_attr_bool(unique)};
  return to == NULL || value == NULL || index == NULL ? NULL : tn_build_op(b, op, operands, 3, attrs);
}

/* Each position goes to where the count up to it says, those where mask does not hold behind the end, and the list is
 * cut to the count. */
tn_value *tn_build_positions(tn_build *b, tn_value *mask) {
  if (mask == NULL) return NULL;
  const tn_dim *n = mask->type->dims[0], *room = tn_dim_add_i(b->ctx, n, 1), *zero = tn_dim_const(b->ctx, 0);
  const tn_dim *count = tn_build_read_count(b, count_of(b, mask), n);
  tn_value *at = tn_build_iota(b, &n, 1, 0, TN_I64), *none = tn_build_splat_i(b, TN_I64, 0);
  tn_value *place = tn_build_binary_f(b, TN_SUB, running_count(b, mask), 1);
  tn_value *behind = tn_compose_repeat(b, tn_compose_dim(b, n, TN_I64), at);
  tn_value *list = scattered(b, tn_build_broadcast_map(b, none, &room, 1, NULL), at,
                             tn_build_select(b, mask, place, behind), false);
  return count == NULL ? NULL : tn_build_slice_axis(b, list, 0, zero, count, 1);
}

/* A row of coordinates for each axis. */
bool tn_import_non_zero(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *rows[TN_MAX_NDIM];
  tn_value *at = tn_build_positions(b, tn_build_cast(b, flat(b, x), TN_BOOL));
  if (at == NULL) return false;
  uint32_t ndim = x->type->ndim;
  const tn_dim *below = tn_dim_const(b->ctx, 1), *dims[2] = {tn_dim_const(b->ctx, 0), at->type->dims[0]};
  for (uint32_t i = ndim; i-- > 0;) {
    tn_value *row = tn_build_binary(b, TN_DIV, at, tn_compose_repeat(b, tn_compose_dim(b, below, TN_I64), at));
    tn_value *extent = tn_compose_repeat(b, tn_compose_dim(b, x->type->dims[i], TN_I64), at);
    if (i > 0) row = tn_build_binary(b, TN_REM, row, extent);
    rows[i] = tn_build_insert_axis(b, row, 0);
    below = tn_dim_mul(b->ctx, below, x->type->dims[i]);
  }
  if (ndim == 0) return tn_foreign_set(node, 0, tn_build_broadcast_to(b, tn_build_splat_i(b, TN_I64, 0), dims, 2));
  return tn_foreign_set(node, 0, tn_build_concat(b, rows, ndim, 0));
}

bool tn_import_compress(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *condition = tn_foreign_need(node, 1);
  int64_t axis = 0;
  uint32_t at = 0;
  if (x == NULL || condition == NULL || !tn_foreign_int(node, "axis", 0, &axis)) return false;
  if (condition->type->ndim != 1 || condition->type->dtype != TN_BOOL)
    return tn_foreign_error(node, TN_E_DTYPE, "condition: expected bool of one dimension");
  if (tn_foreign_find(node, "axis") == NULL) x = flat(b, x);
  else if (!tn_build_axis(b, axis, x->type->ndim, "axis", &at)) return false;
  return tn_foreign_set(node, 0, tn_compose_take_axis(b, x, tn_build_positions(b, condition), at));
}

/* Unique. */

typedef struct uniques {
  tn_build *b;
  tn_value *rows;   /* [n] or [n, k]: what is compared */
  tn_value *order;  /* i64[n]: rows in rising order, stably */
  tn_value *is_new; /* bool[n]: in that order, the first of each kind */
  tn_value *starts; /* i64[count]: where those are */
  tn_value *first;  /* i64[count]: and where in rows */
} uniques;

/* Columns from the last to the first, each sorted stably. */
static tn_value *order_of_rows(tn_build *b, tn_value *rows) {
  if (rows->type->ndim == 1) return argsort(b, rows);
  const int64_t perm[2] = {1, 0}, reverse[1] = {1};
  tn_value *columns = tn_build_transpose(b, rows, perm), *start = tn_build_iota(b, rows->type->dims, 1, 0, TN_I64);
  tn_build_scan scan = {.carried = &start, .sequences = &columns, .n_carried = 1, .n_sequences = 1, .reverse = reverse};
  tn_node *made = tn_build_begin_scan(b, &scan);
  if (made == NULL) return NULL;
  tn_build in = tn_build_region(made, 0);
  tn_value *order = in.block->params.data[0], *column = in.block->params.data[1];
  tn_value *next = gather(&in, order, argsort(&in, gather(&in, column, order)));
  if (next == NULL) return NULL;
  tn_build_return(&in, &next, 1);
  return tn_build_end(made) ? made->results[0] : NULL;
}

/* Whether the row before is another; NaN is equal to NaN here, as in NumPy. */
static tn_value *differs(tn_build *b, tn_value *sorted) {
  const tn_dim *n = sorted->type->dims[0];
  tn_value *at = tn_build_iota(b, &n, 1, 0, TN_I64);
  tn_value *before = gather(b, sorted, tn_build_binary_f(b, TN_MAX, tn_build_binary_f(b, TN_SUB, at, 1), 0));
  tn_value *other = tn_build_binary(b, TN_NE, sorted, before);
  if (tn_dtype_is_float(sorted->type->dtype)) {
    tn_value *both = tn_build_binary(b, TN_AND, tn_build_unary(b, TN_IS_NAN, sorted),
                                     tn_build_unary(b, TN_IS_NAN, before));
    other = tn_build_binary(b, TN_AND, other, tn_build_unary(b, TN_NOT, both));
  }
  const int64_t axis = 1;
  if (sorted->type->ndim == 2) other = tn_build_reduce(b, "or", other, &axis, 1, false);
  return tn_build_binary(b, TN_OR, other, tn_build_binary_f(b, TN_EQ, at, 0));
}

/* How many rows there are of each kind: up to where the next begins. */
static tn_value *counts(const uniques *u) {
  tn_build *b = u->b;
  const tn_dim *count = u->starts->type->dims[0];
  tn_value *at = tn_build_binary_f(b, TN_ADD, tn_build_iota(b, &count, 1, 0, TN_I64), 1);
  tn_value *last = tn_compose_repeat(b, tn_compose_dim(b, tn_dim_add_i(b->ctx, count, -1), TN_I64), at);
  tn_value *all = tn_compose_repeat(b, tn_compose_dim(b, u->rows->type->dims[0], TN_I64), at);
  tn_value *next = gather(b, u->starts, tn_build_binary(b, TN_MIN, at, last));
  tn_value *end = tn_build_select(b, tn_build_binary(b, TN_GT, at, last), all, next);
  return tn_build_binary(b, TN_SUB, end, u->starts);
}

/* The number of its kind for each row, kinds numbered in rising order. */
static tn_value *kinds(const uniques *u) {
  tn_build *b = u->b;
  return scattered(b, u->order, tn_build_binary_f(b, TN_SUB, running_count(b, u->is_new), 1), u->order, true);
}

static bool find_uniques(uniques *u) {
  tn_build *b = u->b;
  u->order = order_of_rows(b, u->rows);
  if (u->order == NULL) return false;
  u->is_new = differs(b, gather(b, u->rows, u->order));
  u->starts = tn_build_positions(b, u->is_new);
  u->first = gather(b, u->order, u->starts);
  return u->first != NULL;
}

bool tn_import_unique(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *outputs[4];
  int64_t axis, sorted;
  uint32_t at = 0;
  if (x == NULL || !tn_foreign_int(node, "axis", 0, &axis) || !tn_foreign_int(node, "sorted", 1, &sorted)) return false;
  if (tn_foreign_find(node, "axis") == NULL) x = flat(b, x);
  else if (!tn_build_axis(b, axis, x->type->ndim, "axis", &at)) return false;
  uniques u = {.b = b, .rows = x};
  if (x->type->ndim > 1) {
    int64_t perm[TN_MAX_NDIM];
    for (uint32_t i = 0; i < x->type->ndim; i++) perm[i] = i == 0 ? at : i <= at ? i - 1 : i;
    tn_value *front = tn_build_transpose(b, x, perm);
    if (front == NULL) return false;
    const tn_dim *dims[2] = {front->type->dims[0], tn_dim_product(b->ctx, front->type->dims + 1, x->type->ndim - 1)};
    u.rows = tn_build_reshape(b, front, dims, 2);
  }
  if (u.rows == NULL || !find_uniques(&u)) return false;
  outputs[1] = u.first;
  outputs[2] = kinds(&u);
  outputs[3] = counts(&u);
  if (sorted == 0) { /* kinds in the order of their first rows */
    tn_value *perm = argsort(b, u.first);
    outputs[1] = gather(b, u.first, perm);
    tn_value *ranks = scattered(b, perm, tn_build_iota(b, u.first->type->dims, 1, 0, TN_I64), perm, true);
    outputs[2] = gather(b, ranks, outputs[2]);
    outputs[3] = gather(b, outputs[3], perm);
  }
  outputs[0] = tn_compose_take_axis(b, x, outputs[1], at);
  for (uint32_t i = 0; i < node->n_outputs && i < 4; i++)
    if (node->wanted[i] && !tn_foreign_set(node, i, outputs[i])) return false;
  return true;
}
