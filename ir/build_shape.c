/* The builder's structural half: broadcasting, reshaping, slicing, folds and products. */
#include "ir/build.h"

#include "ir/primitives.h"

#define MAX_ATTRS 8

typedef struct named_attr {
  const char *name;
  tn_attr attr;
} named_attr;

/* A node whose attributes are given by name; all others take their default. */
static tn_value *build(tn_build *b, const tn_opdef *op, tn_value *const *operands, uint32_t n_operands,
                       const named_attr *named, uint32_t n_named) {
  tn_attr attrs[MAX_ATTRS] = {0};
  TN_ASSERT(op->n_attrs <= MAX_ATTRS);
  for (uint32_t i = 0; i < n_named; i++) {
    uint32_t index = tn_op_attr_index(op, named[i].name);
    TN_ASSERT(index != UINT32_MAX);
    attrs[index] = named[i].attr;
  }
  return tn_build_op(b, op, operands, n_operands, attrs);
}

static bool rank_is_allowed(tn_build *b, uint32_t ndim) {
  if (ndim <= TN_MAX_NDIM) return true;
  return tn_error(b->ctx, tn_loc_current(b->ctx), TN_E_LIMIT, "a result of rank %u is above the limit of %u", ndim,
                  TN_MAX_NDIM);
}

/* Broadcasting. */

tn_value *tn_build_broadcast_map(tn_build *b, tn_value *x, const tn_dim *const *dims, uint32_t n,
                                 const int64_t *map) {
  if (!x || !rank_is_allowed(b, n)) return NULL;
  bool same = x->type->ndim == n;
  for (uint32_t i = 0; i < n && same; i++) same = x->type->dims[i] == dims[i];
  if (same) return x;
  return build(b, &tn_op_broadcast, &x, 1,
               (named_attr[]){{"dims", tn_attr_dims(b->module, dims, n)},
                              {"map", tn_attr_ints(b->module, map, x->type->ndim)}},
               2);
}

tn_value *tn_build_broadcast_to(tn_build *b, tn_value *x, const tn_dim *const *dims, uint32_t n) {
  if (!x) return NULL;
  uint32_t ndim = x->type->ndim;
  if (ndim > n) {
    tn_error(b->ctx, tn_loc_current(b->ctx), TN_E_RANK, "broadcast of rank %u to rank %u", ndim, n);
    return NULL;
  }
  int64_t map[TN_MAX_NDIM];
  for (uint32_t i = 0; i < ndim; i++) map[i] = (int64_t)(n - ndim + i);
  return tn_build_broadcast_map(b, x, dims, n, map);
}

/* What is left of a number of elements where a reshape says -1: the quotient of two formulas. */
static bool is_remainder(const tn_dim *dim) {
  const tn_atom *atom = tn_dim_lone_atom(dim);
  return atom && atom->kind == TN_ATOM_FLOORDIV && !tn_dim_is_const(atom->q);
}

/* An extent that an input brings may turn out to be 1, and then is broadcast, and so may what a reshape leaves and what
 * is never more than 1 (a slice [k:k+1] of an axis that may end before). One that the model computes otherwise (of a
 * strided convolution, a resize) is taken to be meant as it stands: two such must be equal, or are refused. */
static bool may_be_one(tn_ctx *ctx, const tn_dim *dim) {
  if (dim->lo > 1 || dim->hi < 1) return false;
  return tn_dim_lone_symbol(dim) || is_remainder(dim) || tn_dim_proves_le(ctx, dim, tn_dim_const(ctx, 1));
}

/* The extent two operands of one elementwise operation share on an axis; NULL when they never agree (reported). Where
 * either may turn out to be 1, the guard is the polynomial (p-q)*(p-1)*(q-1) == 0. */
static const tn_dim *common_extent(tn_build *b, const tn_dim *p, const tn_dim *q) {
  if (tn_dim_is(q, 1) || tn_func_dims_equal(b->func, p, q)) return p;
  if (tn_dim_is(p, 1)) return q;
  tn_loc loc = tn_loc_current(b->ctx);
  bool p_may_be_1 = may_be_one(b->ctx, p), q_may_be_1 = may_be_one(b->ctx, q);
  if (!p_may_be_1 && !q_may_be_1)
    return tn_func_require_eq(b->func, q, p, loc, "extents of one broadcast") ? p : NULL;
  const tn_dim *either = tn_dim_sub(b->ctx, p, q);
  if (p_may_be_1) either = tn_dim_mul(b->ctx, either, tn_dim_add_i(b->ctx, p, -1));
  if (q_may_be_1) either = tn_dim_mul(b->ctx, either, tn_dim_add_i(b->ctx, q, -1));
  if (!tn_func_require_eq(b->func, either, tn_dim_const(b->ctx, 0), loc, "extents of one broadcast")) return NULL;
  if (!p_may_be_1) return p;
  return q_may_be_1 ? tn_dim_bcast(b->ctx, p, q) : q;
}

bool tn_build_broadcast_all(tn_build *b, tn_value **values, uint32_t n) {
  uint32_t ndim = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (!values[i]) return false;
    if (values[i]->type->ndim > ndim) ndim = values[i]->type->ndim;
  }
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t axis = 0; axis < ndim; axis++) {
    dims[axis] = tn_dim_const(b->ctx, 1);
    for (uint32_t i = 0; i < n; i++) {
      const tn_type *type = values[i]->type;
      if (axis < ndim - type->ndim) continue;
      dims[axis] = common_extent(b, dims[axis], type->dims[axis - (ndim - type->ndim)]);
      if (!dims[axis]) return false;
    }
  }
  for (uint32_t i = 0; i < n; i++) {
    values[i] = tn_build_broadcast_to(b, values[i], dims, ndim);
    if (!values[i]) return false;
  }
  return true;
}

/* Reshaping. */

tn_value *tn_build_reshape(tn_build *b, tn_value *x, const tn_dim *const *dims, uint32_t n) {
  if (!x || !rank_is_allowed(b, n)) return NULL;
  bool same = x->type->ndim == n;
  for (uint32_t i = 0; i < n && same; i++) same = x->type->dims[i] == dims[i];
  if (same) return x;
  return build(b, &tn_op_reshape, &x, 1, &(named_attr){"dims", tn_attr_dims(b->module, dims, n)}, 1);
}

tn_value *tn_build_transpose(tn_build *b, tn_value *x, const int64_t *perm) {
  if (!x) return NULL;
  bool identity = true;
  for (uint32_t i = 0; i < x->type->ndim; i++) identity = identity && perm[i] == i;
  if (identity) return x;
  return build(b, &tn_op_transpose, &x, 1, &(named_attr){"perm", tn_attr_ints(b->module, perm, x->type->ndim)}, 1);
}

tn_value *tn_build_insert_axis(tn_build *b, tn_value *x, uint32_t axis) {
  if (!x || !rank_is_allowed(b, x->type->ndim + 1)) return NULL;
  TN_ASSERT(axis <= x->type->ndim);
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < axis; i++) dims[i] = x->type->dims[i];
  dims[axis] = tn_dim_const(b->ctx, 1);
  for (uint32_t i = axis; i < x->type->ndim; i++) dims[i + 1] = x->type->dims[i];
  return tn_build_reshape(b, x, dims, x->type->ndim + 1);
}

tn_value *tn_build_drop_axis(tn_build *b, tn_value *x, uint32_t axis) {
  if (!x) return NULL;
  TN_ASSERT(axis < x->type->ndim);
  if (!tn_func_require_eq(b->func, x->type->dims[axis], tn_dim_const(b->ctx, 1), tn_loc_current(b->ctx),
                          "axis %u that is dropped", axis))
    return NULL;
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->type->ndim; i++)
    if (i != axis) dims[n++] = x->type->dims[i];
  return tn_build_reshape(b, x, dims, n);
}

/* Parts. */

tn_value *tn_build_slice(tn_build *b, tn_value *x, const tn_dim *const *start, const tn_dim *const *size,
                         const int64_t *step) {
  if (!x) return NULL;
  uint32_t n = x->type->ndim;
  int64_t ones[TN_MAX_NDIM];
  bool whole = true;
  for (uint32_t i = 0; i < n; i++) {
    ones[i] = 1;
    whole = whole && tn_dim_is(start[i], 0) && size[i] == x->type->dims[i] && (!step || step[i] == 1);
  }
  if (whole) return x;
  return build(b, &tn_op_slice, &x, 1,
               (named_attr[]){{"start", tn_attr_dims(b->module, start, n)},
                              {"size", tn_attr_dims(b->module, size, n)},
                              {"step", tn_attr_ints(b->module, step ? step : ones, n)}},
               3);
}

tn_value *tn_build_slice_axis(tn_build *b, tn_value *x, uint32_t axis, const tn_dim *start, const tn_dim *size,
                              int64_t step) {
  if (!x) return NULL;
  TN_ASSERT(axis < x->type->ndim);
  const tn_dim *starts[TN_MAX_NDIM], *sizes[TN_MAX_NDIM];
  int64_t steps[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    starts[i] = i == axis ? start : tn_dim_const(b->ctx, 0);
    sizes[i] = i == axis ? size : x->type->dims[i];
    steps[i] = i == axis ? step : 1;
  }
  return tn_build_slice(b, x, starts, sizes, steps);
}

tn_value *tn_build_pad(tn_build *b, tn_value *x, tn_value *value, const tn_dim *const *lo, const tn_dim *const *hi) {
  if (!x || !value) return NULL;
  int64_t inner[TN_MAX_NDIM] = {0};
  uint32_t n = x->type->ndim;
  return build(b, &tn_op_pad, (tn_value *[]){x, value}, 2,
               (named_attr[]){{"lo", tn_attr_dims(b->module, lo, n)},
                              {"hi", tn_attr_dims(b->module, hi, n)},
                              {"inner", tn_attr_ints(b->module, inner, n)}},
               3);
}

tn_value *tn_build_concat(tn_build *b, tn_value *const *xs, uint32_t n, uint32_t axis) {
  return build(b, &tn_op_concat, xs, n, &(named_attr){"axis", tn_attr_int(axis)}, 1);
}

tn_value *tn_build_gather_axis(tn_build *b, tn_value *x, tn_value *index, uint32_t axis) {
  int64_t axes[] = {axis};
  return build(b, &tn_op_gather, (tn_value *[]){x, index}, 2, &(named_attr){"axes", tn_attr_ints(b->module, axes, 1)},
               1);
}

tn_value *tn_build_iota(tn_build *b, const tn_dim *const *dims, uint32_t n, uint32_t axis, tn_dtype dtype) {
  return build(b, &tn_op_iota, NULL, 0,
               (named_attr[]){{"dims", tn_attr_dims(b->module, dims, n)},
                              {"axis", tn_attr_int(axis)},
                              {"dtype", tn_attr_dtype(dtype)}},
               3);
}

/* Folds and products. */

tn_value *tn_build_reduce(tn_build *b, const char *op, tn_value *x, const int64_t *axes, uint32_t n_axes, bool keep) {
  if (!x) return NULL;
  tn_value *y = build(b, &tn_op_reduce, &x, 1,
                      (named_attr[]){{"op", tn_attr_name(&tn_op_reduce, "op", op)},
                                     {"axes", tn_attr_ints(b->module, axes, n_axes)}},
                      2);
  if (!y || !keep) return y;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->type->ndim; i++) dims[i] = x->type->dims[i];
  for (uint32_t i = 0; i < n_axes; i++) dims[axes[i]] = tn_dim_const(b->ctx, 1);
  return tn_build_reshape(b, y, dims, x->type->ndim);
}

tn_value *tn_build_dot(tn_build *b, tn_value *x, tn_value *y, const int64_t *batch_pairs, uint32_t n_batch,
                       const int64_t *sum_pairs, uint32_t n_sum) {
  return build(b, &tn_op_dot, (tn_value *[]){x, y}, 2,
               (named_attr[]){{"batch", tn_attr_pairs(b->module, batch_pairs, n_batch)},
                              {"sum", tn_attr_pairs(b->module, sum_pairs, n_sum)}},
               2);
}

tn_value *tn_build_matmul(tn_build *b, tn_value *x, tn_value *y) {
  if (!x || !y) return NULL;
  uint32_t n = x->type->ndim;
  if (n < 2 || y->type->ndim != n) {
    tn_error(b->ctx, tn_loc_current(b->ctx), TN_E_RANK, "a matrix product of ranks %u and %u", n, y->type->ndim);
    return NULL;
  }
  int64_t batch[2 * TN_MAX_NDIM];
  for (uint32_t i = 0; i + 2 < n; i++) batch[2 * i] = batch[2 * i + 1] = i;
  int64_t sum[] = {n - 1, n - 2};
  return tn_build_dot(b, x, y, batch, n - 2, sum, 1);
}

/* Shape values. */

tn_value *tn_build_dim_value(tn_build *b, const tn_dim *const *dims, uint32_t n) {
  return build(b, &tn_op_dim_value, NULL, 0, &(named_attr){"dims", tn_attr_dims(b->module, dims, n)}, 1);
}

/* A node of this block that has read x within these bounds already. */
static tn_value *former_read(const tn_build *b, const tn_value *x, const int64_t *lo, const int64_t *hi) {
  for (const tn_use *use = x->uses; use; use = use->next) {
    if (use->user->op != &tn_op_dim_read || use->user->block != b->block || b->before) continue;
    const tn_attr *dims = tn_node_attr(use->user, "dims");
    bool fits = use->user->n_results == 1;
    for (uint32_t i = 0; i < dims->u.list.n; i++)
      fits &= dims->u.list.dims[i]->lo >= lo[i] && dims->u.list.dims[i]->hi <= hi[i];
    if (fits) return use->user->results[0];
  }
  return NULL;
}

/* Memory is planned at the bound of what is read: one that is larger than this would only waste it. */
#define MAX_READ_BOUND ((int64_t)1 << 24)

bool tn_build_read_dims_within(tn_build *b, tn_value *x, const int64_t *lo, const int64_t *hi, const tn_dim **out) {
  int64_t most[64];
  if (!x) return false;
  for (int64_t i = 0; !x->index && i < tn_type_static_count(x->type); i++)
    most[i] = hi[i] > MAX_READ_BOUND ? TN_DIM_INF : hi[i];
  tn_value *former = x->index ? NULL : former_read(b, x, lo, most);
  if (former) x = former;
  if (!x->index) {
    uint32_t n = (uint32_t)tn_type_static_count(x->type);
    const tn_dim *dims[64];
    for (uint32_t i = 0; i < n; i++) {
      const char *name = tn_namef(b->ctx, "?%u", b->ctx->n_symbols);
      const tn_symbol *symbol = tn_symbol_create(b->ctx, TN_SYM_READ, name, NULL, lo[i], most[i]);
      TN_VEC_PUSH(b->module->arena, &b->module->symbols, symbol);
      dims[i] = tn_dim_symbol(b->ctx, symbol);
    }
    x = build(b, &tn_op_dim_read, &x, 1, &(named_attr){"dims", tn_attr_dims(b->module, dims, n)}, 1);
    if (!x) return false;
    TN_ASSERT(x->index);
  }
  for (uint32_t i = 0; i < x->n_index; i++) out[i] = x->index[i];
  return true;
}

const tn_dim *tn_build_read_count(tn_build *b, tn_value *count, const tn_dim *bound) {
  if (!count) return NULL;
  if (count->index && count->n_index == 1) return count->index[0];
  const tn_dim *known = tn_dim_bound(b->ctx, bound);
  const char *name = tn_namef(b->ctx, "?%u", b->ctx->n_symbols);
  const tn_symbol *symbol = known ? tn_symbol_count(b->ctx, name, known)
                                  : tn_symbol_create(b->ctx, TN_SYM_READ, name, NULL, 0, TN_DIM_INF);
  TN_VEC_PUSH(b->module->arena, &b->module->symbols, symbol);
  const tn_dim *dim = tn_dim_symbol(b->ctx, symbol);
  if (!build(b, &tn_op_dim_read, &count, 1, &(named_attr){"dims", tn_attr_dims(b->module, &dim, 1)}, 1)) return NULL;
  bool fits = tn_func_require_le(b->func, dim, bound, tn_loc_current(b->ctx), "a number that was counted");
  return fits ? dim : NULL;
}

bool tn_build_read_dims(tn_build *b, tn_value *x, int64_t lo, int64_t hi, const tn_dim **out, uint32_t *out_n) {
  if (!x) return false;
  int64_t n = x->index ? x->n_index : tn_type_static_count(x->type);
  if (n < 0 || n > 64 || (!x->index && x->type->ndim > 1))
    return tn_error(b->ctx, tn_loc_current(b->ctx), TN_E_SHAPE,
                    "a list of extents computed at run time must have a fixed length of at most 64");
  int64_t los[64], his[64];
  for (int64_t i = 0; i < n; i++) {
    los[i] = lo;
    his[i] = hi;
  }
  *out_n = (uint32_t)n;
  return tn_build_read_dims_within(b, x, los, his, out);
}

bool tn_build_axis(tn_build *b, int64_t axis, uint32_t ndim, const char *what, uint32_t *out) {
  if (axis < -(int64_t)ndim || axis >= (int64_t)ndim)
    return tn_error(b->ctx, tn_loc_current(b->ctx), TN_E_ATTR, "%s: expected -%u to %d, found %lld", what, ndim,
                    (int)ndim - 1, (long long)axis);
  *out = (uint32_t)(axis < 0 ? axis + ndim : axis);
  return true;
}
