/* Constant tables. A product with a one-hot matrix reads rows: dot(cast(eq(index, 0..n-1)), table) is a gather; and
 * what is computed of each gathered row alone can be computed of the table. Embeddings exported from frameworks without
 * a gather look like this, often with an activation behind them.
 *
 * An index outside [0, n) is equal to none and gives a row of zeros, so the table gets one such row at its end, and
 * min(unsigned index, n) leads there. Exact where every element of the table is finite (0 * inf would be NaN) and none
 * is -0 (a sum would make it +0). */
#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "ir/primitives.h"
#include "passes/rules/apply.h"

#define MAX_TABLE_ELEMENTS (1 << 22)

/* value is 0, 1, 2 ... along axis, and does not vary along others. */
static bool counts_along(const tn_value *value, int64_t axis) {
  const tn_node *broadcast;
  const tn_const *constant = tn_rule_const(value, &broadcast);
  if (!constant || !broadcast || constant->type->ndim != 1 || constant->kind != TN_CONST_DATA) return false;
  if (tn_node_attr(broadcast, "map")->u.list.ints[0] != axis) return false;
  int64_t n = tn_type_static_count(constant->type);
  if (!tn_dim_is(value->type->dims[axis], n)) return false;
  size_t element = tn_dtype_bytes(constant->type->dtype);
  for (int64_t i = 0; i < n; i++)
    if (tn_number_load(constant->type->dtype, (const char *)constant->data + (size_t)i * element).i != i) return false;
  return true;
}

/* value without an axis along which it is broadcast, as the index of a gather; NULL when it varies along it. */
static tn_value *without_axis(tn_build *b, const tn_value *value, int64_t axis) {
  const tn_node *broadcast = value->def && value->def->op == &tn_op_broadcast ? value->def : NULL;
  if (!broadcast) return NULL;
  const tn_dim *dims[TN_MAX_NDIM];
  int64_t map[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < value->type->ndim; i++)
    if (i != axis) dims[n++] = value->type->dims[i];
  tn_value *x = broadcast->operands[0].value;
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    map[i] = tn_node_attr(broadcast, "map")->u.list.ints[i];
    if (map[i] == axis) return NULL;
    map[i] -= map[i] > axis;
  }
  return tn_build_broadcast_map(b, x, dims, n, map);
}

/* The table with a row of zeros at its end; NULL when it has elements for which the rule is not exact. */
static tn_value *with_zero_row(tn_build *b, const tn_const *table) {
  const tn_type *type = table->type;
  int64_t count = tn_type_static_count(type), extents[TN_MAX_NDIM];
  if (count <= 0 || count > MAX_TABLE_ELEMENTS) return NULL;
  size_t element = tn_dtype_bytes(type->dtype), bytes = (size_t)count * element;
  for (uint32_t i = 0; i < type->ndim; i++) extents[i] = tn_dim_value(type->dims[i]);
  tn_arena *scratch = tn_arena_create_scratch(b->ctx->arena);
  const char *from = tn_const_read(table, scratch);
  bool exact = true;
  for (int64_t i = 0; i < count && exact; i++) {
    double v = tn_number_load(type->dtype, from + (size_t)i * element).f;
    exact = isfinite(v) && !(v == 0 && signbit(v));
  }
  char *data = exact ? tn_arena_alloc(b->module->arena, bytes + bytes / (size_t)extents[0]) : NULL;
  if (exact) memcpy(data, from, bytes);
  tn_arena_destroy(scratch);
  if (!exact) return NULL;
  extents[0]++;
  const tn_type *longer = tn_type_static(b->ctx, type->dtype, type->ndim, extents);
  return tn_build_const(b, tn_const_data(b->module, tn_namef(b->ctx, "%s.z", table->name), longer, data));
}

/* The comparison below a one-hot matrix, or NULL. */
static const tn_node *one_hot_comparison(const tn_value *value) {
  const tn_node *cast = value->def && value->def->op == tn_op_of_scalar(TN_CAST) ? value->def : NULL;
  return cast ? tn_rule_operand_def(cast, 0, tn_op_of_scalar(TN_EQ)) : NULL;
}

tn_value *tn_rule_one_hot_product(tn_build *b, tn_node *node) {
  if (node->op != &tn_op_dot || node->results[0]->type->dtype > TN_BF16) return NULL;
  const tn_attr *sum = tn_node_attr(node, "sum");
  if (sum->u.list.n != 1 || sum->u.list.ints[1] != 0) return NULL;
  if (tn_node_attr(node, "batch")->u.list.n || tn_node_attr(node, "acc")->present) return NULL;
  int64_t axis = sum->u.list.ints[0];
  const tn_node *compared = one_hot_comparison(node->operands[0].value);
  const tn_const *table = tn_value_const(node->operands[1].value);
  if (!compared || !table) return NULL;
  uint32_t counter = counts_along(compared->operands[0].value, axis) ? 0 : 1;
  const tn_value *index = compared->operands[1 - counter].value;
  tn_dtype dtype = index->type->dtype;
  if ((dtype != TN_I32 && dtype != TN_I64) || !counts_along(compared->operands[counter].value, axis)) return NULL;
  tn_value *rows = with_zero_row(b, table), *at = rows ? without_axis(b, index, axis) : NULL;
  if (!at) return NULL;
  tn_value *bits = tn_build_cast(b, at, dtype == TN_I32 ? TN_U32 : TN_U64);
  bits = tn_build_binary_f(b, TN_MIN, bits, (double)tn_dim_value(table->type->dims[0]));
  return tn_build_gather_axis(b, rows, tn_build_cast(b, bits, dtype), 0);
}

#define MAX_COMPUTED_ELEMENTS 32768

/* A gather of whole rows of a constant. */
static const tn_node *row_gather(const tn_value *value) {
  const tn_node *gather = value->def && value->def->op == &tn_op_gather ? value->def : NULL;
  if (!gather || gather->n_operands != 2 || tn_node_attr(gather, "axes")->u.list.ints[0] != 0) return NULL;
  return tn_value_const(gather->operands[0].value) ? gather : NULL;
}

/* A broadcast constant that varies within rows only. *out_map: where its axes lie in the table. */
static bool varies_in_rows(const tn_value *value, uint32_t n_index, int64_t *out_map) {
  const tn_node *broadcast;
  const tn_const *constant = tn_rule_const(value, &broadcast);
  if (!constant || !broadcast) return false;
  for (uint32_t i = 0; i < constant->type->ndim; i++) {
    int64_t axis = tn_node_attr(broadcast, "map")->u.list.ints[i];
    if (axis < (int64_t)n_index) return false;
    out_map[i] = axis - n_index + 1;
  }
  return true;
}

/* The gather that all operands of node agree on, the others being constants within rows; NULL otherwise. */
static const tn_node *common_gather(const tn_node *node) {
  const tn_node *found = NULL;
  int64_t map[TN_MAX_NDIM];
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_node *gather = row_gather(node->operands[i].value);
    if (!gather) continue;
    if (found && (found->operands[1].value != gather->operands[1].value ||
                  found->operands[0].value->type != gather->operands[0].value->type))
      return NULL;
    found = gather;
  }
  for (uint32_t i = 0; found && i < node->n_operands; i++)
    if (!row_gather(node->operands[i].value) &&
        !varies_in_rows(node->operands[i].value, found->operands[1].value->type->ndim, map))
      return NULL;
  return found;
}

/* f(gather(table, index), c) = gather(f(table, c), index), where folding computes f once for each row. */
tn_value *tn_rule_compute_before_gather(tn_build *b, tn_node *node) {
  const tn_node *gather = node->op->kind == TN_OP_SCALAR ? common_gather(node) : NULL;
  if (!gather) return NULL;
  const tn_type *table = gather->operands[0].value->type;
  int64_t n_results = tn_type_static_count(node->results[0]->type), n = tn_type_static_count(table);
  if (n > MAX_COMPUTED_ELEMENTS || (n_results >= 0 && n_results < n)) return NULL;
  tn_value *operands[3];
  TN_ASSERT(node->n_operands <= TN_ARRAY_LEN(operands));
  for (uint32_t i = 0; i < node->n_operands; i++) {
    tn_value *operand = node->operands[i].value;
    int64_t map[TN_MAX_NDIM];
    if (row_gather(operand)) {
      operands[i] = operand->def->operands[0].value;
      continue;
    }
    varies_in_rows(operand, gather->operands[1].value->type->ndim, map);
    operands[i] = tn_build_broadcast_map(b, operand->def->operands[0].value, table->dims, table->ndim, map);
  }
  return tn_build_gather_axis(b, tn_rule_rebuild(b, node, operands), gather->operands[1].value, 0);
}
