/* The contents of small integer values of any rank as dims, followed through the ops that only move elements. Index
 * contents are kept for ranks 0 and 1 (graph.h); exporters take shapes through matrices, too: a list of pads is made
 * [n,2], turned round, transposed and flattened again. */
#include "ir/ops/ops.h"
#include "ir/primitives.h"

#define MAX_DEPTH 16

static bool small_extents(const tn_type *type, int64_t *out, int64_t *out_count) {
  *out_count = 1;
  for (uint32_t i = 0; i < type->ndim; i++) {
    if (!tn_dim_is_const(type->dims[i])) return false;
    out[i] = tn_dim_value(type->dims[i]);
    if (out[i] < 1 || out[i] > TN_MAX_INDEX || (*out_count *= out[i]) > TN_MAX_INDEX) return false;
  }
  return true;
}

/* Where the element at `index` of node's result lies in its operand; false when that is not known. */
static bool source(const tn_node *node, const int64_t *index, int64_t *out) {
  uint32_t ndim = node->results[0]->type->ndim;
  if (node->op == &tn_op_transpose) {
    for (uint32_t i = 0; i < ndim; i++) out[tn_node_attr(node, "perm")->u.list.ints[i]] = index[i];
    return true;
  }
  if (node->op == &tn_op_slice) {
    const tn_attr *start = tn_node_attr(node, "start"), *step = tn_node_attr(node, "step");
    for (uint32_t i = 0; i < ndim; i++) {
      if (!tn_dim_is_const(start->u.list.dims[i])) return false;
      out[i] = tn_dim_value(start->u.list.dims[i]) + index[i] * (i < step->u.list.n ? step->u.list.ints[i] : 1);
    }
    return true;
  }
  return false;
}

static bool trace(const tn_value *value, const tn_dim **out, int64_t *out_count, int depth) {
  int64_t extents[TN_MAX_NDIM], from[TN_MAX_NDIM], n_from, index[TN_MAX_NDIM] = {0}, at[TN_MAX_NDIM];
  const tn_node *def = value->def;
  if (!tn_dtype_is_integer(value->type->dtype) || !small_extents(value->type, extents, out_count)) return false;
  if (value->index != NULL) {
    for (uint32_t i = 0; i < value->n_index; i++) out[i] = value->index[i];
    return value->n_index == *out_count;
  }
  if (def == NULL || def->n_operands != 1 || def->operands[0].value == NULL || depth == 0) return false;
  const tn_dim *inner[TN_MAX_INDEX];
  const tn_type *type = def->operands[0].value->type;
  if (type->dtype != value->type->dtype || !trace(def->operands[0].value, inner, &n_from, depth - 1)) return false;
  if (def->op == &tn_op_reshape) {
    for (int64_t k = 0; k < *out_count; k++) out[k] = inner[k];
    return n_from == *out_count;
  }
  if (!small_extents(type, from, &n_from)) return false;
  for (int64_t k = 0; k < *out_count; k++) {
    int64_t flat = 0;
    if (!source(def, index, at)) return false;
    for (uint32_t i = 0; i < type->ndim; i++) {
      if (at[i] < 0 || at[i] >= from[i]) return false;
      flat = flat * from[i] + at[i];
    }
    out[k] = inner[flat];
    tn_index_next(index, extents, value->type->ndim);
  }
  return true;
}

bool tn_index_trace(const tn_value *value, const tn_dim **out, uint32_t *out_n) {
  int64_t count;
  if (!trace(value, out, &count, MAX_DEPTH)) return false;
  *out_n = (uint32_t)count;
  return true;
}
