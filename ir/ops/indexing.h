/* What operators that compute with positions share: dims as values, indices counted from the end, gather and scatter
 * over many axes, masks. */
#ifndef TN_IR_OPS_INDEXING_H
#define TN_IR_OPS_INDEXING_H

#include "ir/ops/ops.h"

/* An attribute by name, for nodes built by name. */
typedef struct tn_named_attr {
  const char *name;
  tn_attr attr;
} tn_named_attr;

/* A node of op (found by name, which must exist) whose attributes are given by name; its first result. */
tn_value *tn_build_by_name(tn_build *b, const char *op, tn_value *const *operands, uint32_t n_operands,
                           const tn_named_attr *attrs, uint32_t n_attrs);

/* dim as a scalar of an integer or float type. */
tn_value *tn_build_dim_scalar(tn_build *b, const tn_dim *dim, tn_dtype dtype);
/* A scalar (or one element) broadcast to dims. */
tn_value *tn_build_spread(tn_build *b, tn_value *scalar, const tn_dim *const *dims, uint32_t n);
/* Indices with negative ones counted from the end of an axis of this extent; i64. */
tn_value *tn_build_from_end(tn_build *b, tn_value *index, const tn_dim *extent);

/* The primitives; indices[k] goes with axes[k]. */
tn_value *tn_build_gather(tn_build *b, tn_value *x, tn_value *const *indices, const int64_t *axes, uint32_t n);
tn_value *tn_build_scatter(tn_build *b, tn_value *x, tn_value *updates, tn_value *const *indices, const int64_t *axes,
                           uint32_t n, const char *mode);
/* The indices of gather or scatter that move along one axis only: `index` there, own positions elsewhere. Sets
 * indices[i] and axes[i] for each axis of index; false when reported. */
bool tn_build_elements_index(tn_build *b, tn_value *index, uint32_t axis, const tn_dim *extent, tn_value **indices,
                             int64_t *axes);
/* The indices that a last axis of k coordinates holds, for the axes [n_batch, n_batch + k) of x; before them own
 * positions for the n_batch batch axes. Sets n_batch + k entries. */
bool tn_build_nd_index(tn_build *b, tn_value *x, tn_value *index, uint32_t n_batch, tn_value **indices, int64_t *axes,
                       uint32_t *out_n);

/* A string attribute of a foreign node as its place in names; TN_E_ATTR when it is none of them. */
bool tn_foreign_choice(const tn_foreign_node *node, const char *name, const char *const *names, int64_t fallback,
                       int64_t *out);

/* x summed over axes and divided by how many there were; the axes stay with extent 1. */
tn_value *tn_build_mean_kept(tn_build *b, tn_value *x, const int64_t *axes, uint32_t n_axes);

#endif
