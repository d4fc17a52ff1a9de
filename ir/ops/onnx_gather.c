/* ONNX operators that read or write at indices. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <string.h>

/* Whether every element is known to be at least 0. */
static bool is_nonnegative(const tn_value *value) {
  if (value->index != NULL) {
    for (uint32_t i = 0; i < value->n_index; i++)
      if (value->index[i]->lo < 0) return false;
    return true;
  }
  const tn_const *constant = tn_value_const(value);
  if (constant == NULL) return false;
  tn_arena *scratch = tn_arena_create_scratch(constant->module->arena);
  int64_t n = tn_type_static_count(constant->type);
  const char *bytes = tn_const_read(constant, scratch);
  bool all = true;
  for (int64_t i = 0; i < n && all; i++)
    all = tn_number_load(constant->type->dtype, bytes + (size_t)i * tn_dtype_bytes(constant->type->dtype)).i >= 0;
  tn_arena_destroy(scratch);
  return all;
}

tn_value *tn_build_wrap_index(tn_build *b, tn_value *index, const tn_dim *extent) {
  if (index == NULL) return NULL;
  if (index->type->dtype != TN_I32) index = tn_build_cast(b, index, TN_I64);
  if (index == NULL || is_nonnegative(index)) return index;
  tn_value *d = tn_compose_repeat(b, tn_compose_dim(b, extent, index->type->dtype), index);
  return tn_build_select(b, tn_build_binary_f(b, TN_LT, index, 0), tn_build_binary(b, TN_ADD, index, d), index);
}

tn_value *tn_build_gather_axes(tn_build *b, tn_value *x, tn_value *const *indices, const int64_t *axes, uint32_t n) {
  tn_value *operands[TN_MAX_NDIM + 1] = {x};
  for (uint32_t i = 0; i < n; i++) operands[i + 1] = indices[i];
  tn_attr attr = tn_attr_ints(b->module, axes, n);
  return tn_build_op(b, tn_op_find("gather"), operands, n + 1, &attr);
}

/* The index' axes come first in our gather; ONNX puts them where the axis was. */
/* Input 1, which must hold integers. */
static tn_value *indices_of(tn_foreign_node *node) {
  tn_value *index = tn_foreign_need(node, 1);
  if (index == NULL || tn_dtype_is_integer(index->type->dtype)) return index;
  tn_foreign_error(node, TN_E_DTYPE, "indices: expected i32 or i64, found %s", tn_dtype_name(index->type->dtype));
  return NULL;
}

bool tn_import_gather(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *index = indices_of(node);
  int64_t axis;
  uint32_t at;
  if (x == NULL || index == NULL || !tn_foreign_int(node, "axis", 0, &axis) ||
      !tn_build_axis(b, axis, x->type->ndim, "axis", &at))
    return false;
  index = tn_build_wrap_index(b, index, x->type->dims[at]);
  if (index == NULL) return false;
  uint32_t n_index = index->type->ndim, n_rest = x->type->ndim - 1;
  if (n_index + n_rest > TN_MAX_NDIM)
    return tn_foreign_error(node, TN_E_LIMIT, "a result of rank %u", n_index + n_rest);
  int64_t axes[1] = {at}, perm[TN_MAX_NDIM];
  tn_value *y = tn_build_gather_axes(b, x, &index, axes, 1);
  for (uint32_t i = 0; i < n_index + n_rest; i++)
    perm[i] = i < at ? n_index + i : i < at + n_index ? i - at : i;
  return tn_foreign_set(node, 0, tn_build_transpose(b, y, perm));
}

/* Indices of every axis of x for the elements of index: its own along `axis`, positions along the others. */
static bool element_indices(tn_foreign_node *node, tn_value *x, tn_value *index, uint32_t axis, tn_value **out,
                            int64_t *axes) {
  tn_build *b = node->build;
  if (index->type->ndim != x->type->ndim)
    return tn_foreign_error(node, TN_E_RANK, "indices: expected %u dimensions, found %u", x->type->ndim,
                            index->type->ndim);
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    axes[i] = i;
    if (i == axis) out[i] = tn_build_wrap_index(b, index, x->type->dims[i]);
    else out[i] = tn_build_iota(b, index->type->dims, index->type->ndim, i, TN_I64);
    if (i != axis && !tn_func_require_le(b->func, index->type->dims[i], x->type->dims[i], node->loc,
                                         "'%s': indices, axis %u", node->op, i))
      return false;
  }
  return true;
}

bool tn_import_gather_elements(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *index = indices_of(node), *indices[TN_MAX_NDIM];
  int64_t axis, axes[TN_MAX_NDIM];
  uint32_t at;
  if (x == NULL || index == NULL || !tn_foreign_int(node, "axis", 0, &axis) ||
      !tn_build_axis(b, axis, x->type->ndim, "axis", &at) || !element_indices(node, x, index, at, indices, axes))
    return false;
  return tn_foreign_set(node, 0, tn_build_gather_axes(b, x, indices, axes, x->type->ndim));
}

/* The last axis of index holds k coordinates, of axes batch .. batch+k-1; the batch axes are positions. */
static bool split_coordinates(tn_foreign_node *node, tn_value *x, tn_value *index, int64_t k, uint32_t batch,
                              tn_value **out, int64_t *axes, uint32_t *out_n) {
  tn_build *b = node->build;
  uint32_t last = index->type->ndim - 1;
  if (k < 0 || k + batch > x->type->ndim || batch > last)
    return tn_foreign_error(node, TN_E_SHAPE, "indices: %lld coordinates after %u batch axes for %u dimensions",
                            (long long)k, batch, x->type->ndim);
  for (uint32_t i = 0; i < batch; i++) {
    axes[i] = i;
    out[i] = tn_build_iota(b, index->type->dims, last, i, TN_I64);
    if (!tn_func_require_eq(b->func, index->type->dims[i], x->type->dims[i], node->loc, "'%s': batch axis %u", node->op,
                            i))
      return false;
  }
  for (uint32_t i = 0; i < k; i++) {
    tn_value *one = tn_build_slice_axis(b, index, last, tn_dim_const(b->ctx, i), tn_dim_const(b->ctx, 1), 1);
    axes[batch + i] = batch + i;
    out[batch + i] = tn_build_wrap_index(b, tn_build_drop_axis(b, one, last), x->type->dims[batch + i]);
    if (out[batch + i] == NULL) return false;
  }
  *out_n = batch + (uint32_t)k;
  return *out_n > 0 || tn_foreign_unsupported(node, "no coordinates");
}

/* The number of coordinates; -1 when it is not known or there is none (reported). */
static int64_t count_coordinates(tn_foreign_node *node, const tn_value *index) {
  uint32_t ndim = index->type->ndim;
  if (ndim == 0) tn_foreign_error(node, TN_E_RANK, "indices: a scalar has no coordinates");
  else if (tn_dim_is_const(index->type->dims[ndim - 1])) return tn_dim_value(index->type->dims[ndim - 1]);
  else tn_foreign_unsupported(node, "a number of coordinates that is not fixed");
  return -1;
}

/* The same where the updates' rank says it. */
static int64_t count_scattered(tn_foreign_node *node, const tn_value *x, const tn_value *index, const tn_value *u) {
  uint32_t ndim = index->type->ndim;
  if (ndim == 0 || tn_dim_is_const(index->type->dims[ndim - 1])) return count_coordinates(node, index);
  int64_t k = (int64_t)x->type->ndim + ndim - 1 - u->type->ndim;
  const tn_dim *last = index->type->dims[ndim - 1];
  bool ok = k >= 0 || tn_foreign_error(node, TN_E_RANK, "updates of rank %u", u->type->ndim);
  return ok && tn_func_require_eq(node->build->func, last, tn_dim_const(node->build->ctx, k), node->loc,
                                  "'%s': number of coordinates", node->op) ? k : -1;
}

bool tn_import_gather_nd(tn_foreign_node *node) {
  tn_value *x = tn_foreign_need(node, 0), *index = indices_of(node), *indices[TN_MAX_NDIM];
  int64_t batch, axes[TN_MAX_NDIM];
  uint32_t n = 0;
  if (x == NULL || index == NULL || !tn_foreign_int(node, "batch_dims", 0, &batch)) return false;
  if (batch < 0 || batch > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_ATTR, "batch_dims: %lld", (long long)batch);
  int64_t k = count_coordinates(node, index);
  if (k < 0 || !split_coordinates(node, x, index, k, (uint32_t)batch, indices, axes, &n)) return false;
  return tn_foreign_set(node, 0, tn_build_gather_axes(node->build, x, indices, axes, n));
}

static bool build_scatter(tn_foreign_node *node, tn_value *x, tn_value *u, tn_value *const *indices,
                          const int64_t *axes, uint32_t n) {
  tn_build *b = node->build;
  static const char *const names[][2] = {
      {"none", "set"}, {"add", "add"}, {"mul", "mul"}, {"min", "min"}, {"max", "max"}};
  const char *reduction, *mode = NULL;
  if (!tn_foreign_string(node, "reduction", "none", &reduction)) return false;
  for (size_t i = 0; i < TN_ARRAY_LEN(names); i++)
    if (strcmp(reduction, names[i][0]) == 0) mode = names[i][1];
  if (mode == NULL) return tn_foreign_error(node, TN_E_ATTR, "reduction: '%s'", reduction);
  const tn_opdef *op = tn_op_find("scatter");
  tn_value *operands[TN_MAX_NDIM + 2] = {x, u};
  for (uint32_t i = 0; i < n; i++) operands[i + 2] = indices[i];
  tn_attr attrs[3] = {tn_attr_ints(b->module, axes, n), tn_attr_name(op, "mode", mode), tn_attr_bool(false)};
  return tn_foreign_build(node, op, operands, n + 2, attrs);
}

bool tn_import_scatter_elements(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *index = indices_of(node), *u = tn_foreign_need(node, 2);
  tn_value *indices[TN_MAX_NDIM];
  int64_t axis, axes[TN_MAX_NDIM];
  uint32_t at;
  if (x == NULL || index == NULL || u == NULL || !tn_foreign_int(node, "axis", 0, &axis) ||
      !tn_build_axis(b, axis, x->type->ndim, "axis", &at) || !element_indices(node, x, index, at, indices, axes))
    return false;
  return build_scatter(node, x, u, indices, axes, x->type->ndim);
}

bool tn_import_scatter_nd(tn_foreign_node *node) {
  tn_value *x = tn_foreign_need(node, 0), *index = indices_of(node), *u = tn_foreign_need(node, 2);
  tn_value *indices[TN_MAX_NDIM];
  int64_t axes[TN_MAX_NDIM];
  uint32_t n = 0;
  if (x == NULL || index == NULL || u == NULL) return false;
  int64_t k = count_scattered(node, x, index, u);
  if (k < 0 || !split_coordinates(node, x, index, k, 0, indices, axes, &n)) return false;
  return build_scatter(node, x, u, indices, axes, n);
}

/* y[t, b] = x[len[b] - 1 - t, b] for t < len[b], else x[t, b]. */
bool tn_import_reverse_sequence(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *lengths = tn_foreign_need(node, 1);
  int64_t time, batch, axes[2];
  if (x == NULL || lengths == NULL || !tn_foreign_int(node, "time_axis", 0, &time) ||
      !tn_foreign_int(node, "batch_axis", 1, &batch))
    return false;
  if (x->type->ndim < 2 || (time != 0 && time != 1) || batch != 1 - time)
    return tn_foreign_error(node, TN_E_ATTR, "time_axis %lld, batch_axis %lld of rank %u", (long long)time,
                            (long long)batch, x->type->ndim);
  const tn_dim *const *dims = x->type->dims;
  tn_value *t = tn_build_iota(b, dims, 2, (uint32_t)time, TN_I64),
           *n = tn_build_iota(b, dims, 2, (uint32_t)batch, TN_I64);
  tn_value *length = tn_compose_along(b, tn_build_cast(b, lengths, TN_I64), t, (uint32_t)batch);
  tn_value *mirrored = tn_build_binary_f(b, TN_SUB, tn_build_binary(b, TN_SUB, length, t), 1);
  tn_value *from = tn_build_select(b, tn_build_binary(b, TN_LT, t, length), mirrored, t);
  axes[0] = time;
  axes[1] = batch;
  tn_value *indices[2] = {from, n};
  return tn_foreign_set(node, 0, tn_build_gather_axes(b, x, indices, axes, 2));
}
