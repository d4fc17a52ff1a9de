/* ONNX' Det and TensorScatter. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

#include <string.h>

/* ---- Det: Gaussian elimination with partial pivoting, a column at a time. */

static tn_value *row_at(tn_build *b, tn_value *m, tn_value *batch, tn_value *row) {
  return tn_build_gather_axes(b, m, (tn_value *[]){batch, row}, (int64_t[]){0, 1}, 2);
}

/* p: the matrices [B,N,N] and determinants [B] so far, and the number of the column, i64[]. */
static bool eliminate(tn_build *b, tn_value *const *p, tn_value **out) {
  tn_value *m = p[0], *column_at = p[2];
  const tn_dim *const *d = m->type->dims;
  tn_value *batch = tn_build_iota(b, d, 1, 0, TN_I64), *row = tn_build_iota(b, d, 2, 1, TN_I64);
  tn_value *step = tn_compose_repeat(b, column_at, row), *column = tn_build_gather_axis(b, m, column_at, 2);
  /* the largest element from the diagonal down */
  tn_value *below = tn_build_binary(b, TN_GE, row, step), *size = tn_build_unary(b, TN_ABS, column);
  tn_value *candidates = tn_build_select(b, below, size, tn_build_fill_like(b, column, -1));
  tn_attr attrs[] = {tn_attr_name(&tn_op_argreduce, "op", "max"), tn_attr_int(1), {0}};
  tn_value *pivot_row = candidates == NULL ? NULL : tn_build_op(b, &tn_op_argreduce, &candidates, 1, attrs);
  if (pivot_row == NULL) return false;
  tn_value *here = tn_compose_repeat(b, column_at, pivot_row), *is_same = tn_build_binary(b, TN_EQ, pivot_row, here);
  tn_value *top = row_at(b, m, batch, pivot_row), *old = row_at(b, m, batch, here);
  tn_value *pivot = tn_build_gather_axis(b, top, column_at, 1);
  tn_value *signed_pivot = tn_build_select(b, is_same, pivot, tn_build_unary(b, TN_NEG, pivot));
  out[1] = tn_build_binary(b, TN_MUL, p[1], signed_pivot);
  /* the row of the pivot becomes the one that stood here; the pivot's own is not needed again */
  if (pivot == NULL || old == NULL) return false;
  tn_value *is_pivot = tn_build_binary(b, TN_EQ, row, tn_compose_along(b, pivot_row, row, 0));
  tn_value *moved = tn_build_select(b, tn_build_broadcast_map(b, is_pivot, d, 3, (int64_t[]){0, 1}),
                                    tn_build_broadcast_map(b, old, d, 3, (int64_t[]){0, 2}), m);
  tn_value *is_zero = tn_build_binary_f(b, TN_EQ, pivot, 0);
  tn_value *divisor = tn_build_select(b, is_zero, tn_build_fill_like(b, pivot, 1), pivot);
  tn_value *rest = tn_build_gather_axis(b, moved, column_at, 2);
  tn_value *factor = tn_build_binary(b, TN_DIV, rest, tn_compose_along(b, divisor, rest, 0));
  factor = tn_build_select(b, tn_build_binary(b, TN_GT, row, step), factor, tn_build_fill_like(b, factor, 0));
  tn_value *taken = tn_build_binary(b, TN_MUL, tn_build_broadcast_map(b, factor, d, 3, (int64_t[]){0, 1}),
                                    tn_build_broadcast_map(b, top, d, 3, (int64_t[]){0, 2}));
  out[0] = tn_build_binary(b, TN_SUB, moved, taken);
  return out[0] != NULL && out[1] != NULL;
}

bool tn_import_det(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  if (x == NULL) return false;
  uint32_t ndim = x->type->ndim;
  if (ndim < 2) return tn_foreign_error(node, TN_E_RANK, "expected at least 2 dimensions, found %u", ndim);
  const tn_dim *const *dims = x->type->dims, *n = dims[ndim - 1];
  if (!tn_func_require_eq(b->func, dims[ndim - 2], n, node->loc, "'Det': the matrices are square")) return false;
  const tn_dim *batch = tn_dim_product(b->ctx, dims, ndim - 2), *flat[] = {batch, n, n};
  tn_value *m = tn_build_reshape(b, tn_compose_wide(b, x), flat, 3), *steps = tn_build_iota(b, &n, 1, 0, TN_I64);
  if (m == NULL) return false;
  tn_value *carried[] = {m, tn_build_broadcast_map(b, tn_build_splat_f(b, m->type->dtype, 1), &batch, 1, NULL)};
  tn_build_scan scan = {.carried = carried, .sequences = &steps, .n_carried = 2, .n_sequences = 1};
  tn_node *made = carried[1] == NULL || steps == NULL ? NULL : tn_build_begin_scan(b, &scan);
  if (made == NULL) return false;
  tn_build in = tn_build_region(made, 0);
  tn_value *next[2];
  if (!eliminate(&in, in.block->params.data, next)) return false;
  tn_build_return(&in, next, 2);
  if (!tn_build_end(made)) return false;
  tn_value *y = tn_build_reshape(b, made->results[1], dims, ndim - 2);
  return tn_foreign_set(node, 0, tn_compose_narrow(b, y, x));
}

/* ---- TensorScatter: an update written into a cache along an axis, from a place on that each batch has. */

bool tn_import_tensor_scatter(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *cache = tn_foreign_need(node, 0), *update = tn_foreign_need(node, 1), *start = tn_foreign_input(node, 2);
  int64_t axis, perm[TN_MAX_NDIM];
  const char *mode;
  uint32_t at, n = 2;
  if (cache == NULL || update == NULL || !tn_foreign_int(node, "axis", -2, &axis) ||
      !tn_foreign_string(node, "mode", "linear", &mode) ||
      !tn_build_axis(b, axis, cache->type->ndim, "axis", &at))
    return false;
  uint32_t ndim = cache->type->ndim;
  bool circular = strcmp(mode, "circular") == 0;
  if (!circular && strcmp(mode, "linear") != 0) return tn_foreign_error(node, TN_E_ATTR, "mode: '%s'", mode);
  if (at == 0 || update->type->ndim != ndim)
    return tn_foreign_error(node, TN_E_RANK, "axis %u, and %u and %u dimensions", at, ndim, update->type->ndim);
  perm[0] = 0;
  perm[1] = at;
  for (uint32_t i = 1; i < ndim; i++)
    if (i != at) perm[n++] = i;
  const tn_dim *dims[] = {update->type->dims[0], update->type->dims[at]};
  tn_value *batch = tn_build_iota(b, dims, 2, 0, TN_I64), *place = tn_build_iota(b, dims, 2, 1, TN_I64);
  if (start != NULL && place != NULL)
    place = tn_build_binary(b, TN_ADD, place, tn_compose_along(b, tn_build_cast(b, start, TN_I64), place, 0));
  if (circular && place != NULL)
    place = tn_build_binary(b, TN_MOD, place,
                            tn_compose_repeat(b, tn_compose_dim(b, cache->type->dims[at], TN_I64), place));
  tn_value *operands[] = {cache, tn_build_transpose(b, update, perm), batch, place};
  int64_t axes[] = {0, at};
  tn_attr attrs[] = {tn_attr_ints(b->module, axes, 2), tn_attr_name(&tn_op_scatter, "mode", "set"),
                     tn_attr_bool(true)};
  for (int i = 0; i < 4; i++)
    if (operands[i] == NULL) return false;
  return tn_foreign_set(node, 0, tn_build_op(b, &tn_op_scatter, operands, 4, attrs));
}
