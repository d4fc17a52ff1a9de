/* Axes that are data: numbers of axes that a model computes or takes as an input. They end before the graph level
 * (ir/IR.md section 3): what names axes becomes a matrix of zeros and ones, and that becomes extents that are read. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

tn_value *tn_axes_resolve(tn_build *b, tn_value *axes, uint32_t ndim) {
  int64_t *names = tn_arena_alloc(b->module->arena, 2 * ndim * sizeof *names);
  for (uint32_t i = 0; i < 2 * ndim; i++) names[i] = i % ndim;
  const tn_dim *length = tn_dim_const(b->ctx, 2 * ndim);
  const tn_type *type = tn_type_tensor(b->ctx, TN_I64, 1, &length);
  tn_value *table = tn_build_const(b, tn_const_data(b->module, "axes", type, names));
  return tn_build_gather_axis(b, table, tn_build_binary_f(b, TN_ADD, tn_build_cast(b, axes, TN_I64), ndim), 0);
}

/* A list is a vector: a scalar counts as a list of one. */
static tn_value *as_vector(tn_build *b, tn_value *list) {
  const tn_dim *one = tn_dim_const(b->ctx, 1);
  return list != NULL && list->type->ndim == 0 ? tn_build_reshape(b, list, &one, 1) : list;
}

tn_value *tn_axes_hits(tn_foreign_node *node, tn_value *axes, const tn_dim *count, uint32_t ndim) {
  tn_build *b = node->build;
  const tn_dim *dims[2] = {tn_dim_const(b->ctx, ndim), count};
  tn_value *axis = tn_build_iota(b, dims, 2, 0, TN_I64), *named;
  if (axes == NULL) {
    named = tn_build_iota(b, dims, 2, 1, TN_I64);
  } else {
    axes = as_vector(b, axes);
    if (axes == NULL) return NULL;
    if (axes->type->ndim != 1) {
      tn_foreign_error(node, TN_E_RANK, "axes: expected a list, found rank %u", axes->type->ndim);
      return NULL;
    }
    named = tn_build_broadcast_to(b, tn_axes_resolve(b, axes, ndim), dims, 2);
  }
  return tn_build_cast(b, tn_build_binary(b, TN_EQ, axis, named), TN_I64);
}

tn_value *tn_axes_counts(tn_build *b, tn_value *hits) {
  int64_t entries = 1;
  return tn_build_reduce(b, "sum", hits, &entries, 1, false);
}

bool tn_axes_read_flags(tn_build *b, tn_value *counts, const tn_dim **out) {
  uint32_t n;
  if (counts == NULL) return false;
  counts->name = tn_name(b->ctx, "times each axis is named");
  return tn_build_read_dims(b, counts, 0, 1, out, &n);
}

tn_value *tn_axes_place(tn_build *b, tn_value *hits, tn_value *list, tn_value *otherwise) {
  list = as_vector(b, list);
  if (hits == NULL || list == NULL || otherwise == NULL) return NULL;
  tn_value *spread = tn_build_broadcast_to(b, tn_build_cast(b, list, TN_I64), hits->type->dims, 2);
  int64_t entries = 1;
  tn_value *placed = tn_build_reduce(b, "sum", tn_build_binary(b, TN_MUL, hits, spread), &entries, 1, false);
  tn_value *none = tn_build_binary_f(b, TN_EQ, tn_axes_counts(b, hits), 0);
  return tn_build_select(b, none, otherwise, placed);
}

bool tn_axes_read_kept(tn_foreign_node *node, const tn_value *x, tn_value *counts, uint32_t n_axes,
                       const tn_dim **out) {
  tn_build *b = node->build;
  uint32_t ndim = x->type->ndim, n = ndim - n_axes;
  int64_t lo[TN_MAX_NDIM], hi[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n; i++) {
    lo[i] = TN_DIM_INF;
    hi[i] = 0;
    for (uint32_t k = 0; k < ndim; k++) {
      lo[i] = x->type->dims[k]->lo < lo[i] ? x->type->dims[k]->lo : lo[i];
      hi[i] = x->type->dims[k]->hi > hi[i] ? x->type->dims[k]->hi : hi[i];
    }
    lo[i] = lo[i] < 0 ? 0 : lo[i];
    out[i] = tn_dim_const(b->ctx, lo[i]);
  }
  if (n == 0 || lo[0] == hi[0]) return true; /* whichever are kept */
  const tn_opdef *argsort = tn_op_find("argsort");
  const tn_dim *top = tn_dim_const(b->ctx, n);
  tn_attr attrs[] = {tn_attr_int(0), tn_attr_bool(false), tn_attr_dims(b->module, &top, 1)};
  tn_value *kept = tn_build_op(b, argsort, &counts, 1, attrs); /* stable: those named come last */
  tn_value *extents = tn_build_gather_axis(b, tn_build_dim_value(b, x->type->dims, ndim), kept, 0);
  return tn_build_read_dims_within(b, extents, lo, hi, out);
}

/* Formulas over flags double with every symbolic extent, so what becomes of these is read: n or 1. */
static bool read_parts(tn_build *b, const tn_value *x, tn_value *counts, bool named, const tn_dim **out) {
  uint32_t ndim = x->type->ndim, n;
  tn_value *is_named = tn_build_binary_f(b, TN_NE, counts, 0), *extents = tn_build_dim_value(b, x->type->dims, ndim);
  if (is_named == NULL || extents == NULL) return false;
  tn_value *one = tn_build_fill_like(b, extents, 1);
  tn_value *parts = tn_build_select(b, is_named, named ? extents : one, named ? one : extents);
  return tn_build_read_dims(b, parts, 0, TN_DIM_INF, out, &n);
}

tn_value *tn_axes_split(tn_build *b, tn_value *x, tn_value *counts, const tn_dim *const *flags) {
  if (x == NULL) return NULL;
  tn_ctx *ctx = b->ctx;
  const tn_dim *dims[2 * TN_MAX_NDIM], *kept[TN_MAX_NDIM], *folded[TN_MAX_NDIM];
  bool is_static = tn_type_static_count(x->type) >= 0;
  if (!is_static && !(read_parts(b, x, counts, false, kept) && read_parts(b, x, counts, true, folded))) return NULL;
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    const tn_dim *n = x->type->dims[i], *less = tn_dim_mul(ctx, flags[i], tn_dim_add_i(ctx, n, -1));
    bool is_read = !tn_dim_is_const(n);
    dims[2 * i] = is_read ? kept[i] : tn_dim_sub(ctx, n, less);
    dims[2 * i + 1] = is_read ? folded[i] : tn_dim_add_i(ctx, less, 1);
  }
  return tn_build_reshape(b, x, dims, 2 * x->type->ndim);
}
