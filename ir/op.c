/* Look-ups over the op table: the elementwise ops of scalar.def first, then those of the files of ir/ops by name. */
#include "ir/op.h"

#include <string.h>

uint32_t tn_op_count(void) { return TN_N_SCALARS + tn_n_structural_ops; }

const tn_opdef *tn_op_at(uint32_t index) {
  TN_ASSERT(index < tn_op_count());
  return index < TN_N_SCALARS ? &tn_scalar_ops[index] : tn_structural_ops[index - TN_N_SCALARS];
}

const tn_opdef *tn_op_find(const char *name) {
  for (uint32_t i = 0; i < tn_op_count(); i++)
    if (strcmp(tn_op_at(i)->name, name) == 0) return tn_op_at(i);
  return NULL;
}

const tn_opdef *tn_op_of_scalar(tn_scalar scalar) {
  TN_ASSERT(scalar < TN_N_SCALARS);
  return &tn_scalar_ops[scalar];
}

uint32_t tn_scalar_arity(tn_scalar scalar) {
  static const uint8_t arities[TN_N_SCALARS] = {
#define X(enumerator, name, arity, from, to) [enumerator] = arity,
#include "ir/scalar.def"
#undef X
  };
  TN_ASSERT(scalar < TN_N_SCALARS);
  return arities[scalar];
}

uint32_t tn_op_attr_index(const tn_opdef *op, const char *name) {
  for (uint32_t i = 0; i < op->n_attrs; i++)
    if (strcmp(op->attrs[i].name, name) == 0) return i;
  return UINT32_MAX;
}

const tn_attr *tn_node_attr(const tn_node *node, const char *name) {
  uint32_t index = tn_op_attr_index(node->op, name);
  TN_ASSERT(index != UINT32_MAX);
  return &node->attrs[index];
}

bool tn_op_defines_symbols(const tn_opdef *op) {
  static const char *const names[] = {"dim_read", "compact", "if", "loop", "host"};
  for (size_t i = 0; i < TN_ARRAY_LEN(names); i++)
    if (strcmp(op->name, names[i]) == 0) return true;
  return false;
}
