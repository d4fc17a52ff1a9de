/* The functions behind the rows of structure.c, and what they share. */
#ifndef TN_PASSES_RULES_APPLY_H
#define TN_PASSES_RULES_APPLY_H

#include "passes/rules/rules.h"

/* Parts of tensors (parts.c). */
tn_value *tn_rule_slice_of_concat(tn_build *b, tn_node *node);
tn_value *tn_rule_concat_of_slices(tn_build *b, tn_node *node);
tn_value *tn_rule_merge_concats(tn_build *b, tn_node *node);
tn_value *tn_rule_gather_of_constant(tn_build *b, tn_node *node);
tn_value *tn_rule_merge_pads(tn_build *b, tn_node *node);
tn_value *tn_rule_pad_into_window(tn_build *b, tn_node *node);

/* Arithmetic that needs more than a pattern (arithmetic.c). */
tn_value *tn_rule_merge_casts(tn_build *b, tn_node *node);
tn_value *tn_rule_divide_by_power(tn_build *b, tn_node *node);
tn_value *tn_rule_subtract_constant(tn_build *b, tn_node *node);
tn_value *tn_rule_compute_before_broadcast(tn_build *b, tn_node *node);
tn_value *tn_rule_cube(tn_build *b, tn_node *node);
tn_value *tn_rule_reduce_of_transpose(tn_build *b, tn_node *node);
tn_value *tn_rule_merge_reduces(tn_build *b, tn_node *node);

/* Views that undo each other across elementwise operations (cancel.c). */
tn_value *tn_rule_cancel_transposes(tn_build *b, tn_node *node);
tn_value *tn_rule_cancel_reshapes(tn_build *b, tn_node *node);

/* Constant tables: products with one-hot matrices, computing on rows (table.c). */
tn_value *tn_rule_one_hot_product(tn_build *b, tn_node *node);
tn_value *tn_rule_compute_before_gather(tn_build *b, tn_node *node);

/* Scales and offsets into weights (scale.c). */
tn_value *tn_rule_scale_weights(tn_build *b, tn_node *node);
tn_value *tn_rule_scale_offset(tn_build *b, tn_node *node);
tn_value *tn_rule_join_offsets(tn_build *b, tn_node *node);
tn_value *tn_rule_invert_scale(tn_build *b, tn_node *node);

/* The node of op that defines operand i, or NULL. */
const tn_node *tn_rule_operand_def(const tn_node *node, uint32_t i, const tn_opdef *op);
/* value as a constant, looking through one broadcast; *out_broadcast is that node or NULL. */
tn_const *tn_rule_const(const tn_value *value, const tn_node **out_broadcast);
/* Node's op with its attributes on other operands. */
tn_value *tn_rule_rebuild(tn_build *b, const tn_node *node, tn_value *const *operands);
/* The name that the NAME attribute of node has. */
const char *tn_rule_attr_name(const tn_node *node, const char *attr);

#endif
