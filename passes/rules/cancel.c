/* Views that cancel each other across elementwise operations: in transpose(f(g(transpose(x)))) with perms that undo
 * each other, f and g may as well run on x. The same for reshapes. Models exported from other layouts have many. */
#include "ir/primitives.h"
#include "passes/rules/apply.h"

#define MAX_CHAIN 16

typedef struct chain {
  const tn_node *steps[MAX_CHAIN]; /* elementwise, from the outermost in */
  uint32_t n;
  const tn_node *inner; /* the view below them */
} chain;

/* The operand of an elementwise node that is no splat when all others are; UINT32_MAX when there are several. */
static uint32_t lone_operand(const tn_node *node) {
  uint32_t lone = UINT32_MAX;
  for (uint32_t i = 0; i < node->n_operands; i++) {
    double unused;
    if (tn_value_is_splat(node->operands[i].value, &unused)) continue;
    if (lone != UINT32_MAX) return UINT32_MAX;
    lone = i;
  }
  return lone;
}

/* Follows single uses from value down to a node of op view. */
static bool find_chain(const tn_value *value, const tn_opdef *view, chain *out) {
  out->n = 0;
  for (; value->def && value->n_uses == 1; value = value->def->operands[lone_operand(value->def)].value) {
    if (value->def->op == view) {
      out->inner = value->def;
      return out->n > 0;
    }
    if (value->def->op->kind != TN_OP_SCALAR || out->n == MAX_CHAIN || lone_operand(value->def) == UINT32_MAX)
      return false;
    out->steps[out->n++] = value->def;
  }
  return false;
}

/* The chain's operations on x, whose dims they take. */
static tn_value *replay(tn_build *b, const chain *steps, tn_value *x) {
  for (uint32_t k = steps->n; k-- > 0 && x;) {
    const tn_node *step = steps->steps[k];
    uint32_t lone = lone_operand(step);
    tn_value *operands[3];
    TN_ASSERT(step->n_operands <= TN_ARRAY_LEN(operands));
    for (uint32_t i = 0; i < step->n_operands; i++) {
      operands[i] = x;
      if (i == lone) continue;
      const tn_node *broadcast;
      tn_value *from = step->operands[i].value;
      tn_const *constant = tn_rule_const(from, &broadcast);
      tn_value *scalar = tn_build_const(b, constant);
      if (constant->type->ndim) scalar = tn_build_reshape(b, scalar, NULL, 0);
      operands[i] = tn_build_broadcast_to(b, scalar, x->type->dims, x->type->ndim);
    }
    x = tn_rule_rebuild(b, step, operands);
  }
  return x;
}

/* A splat of several elements, or below further views, would need more nodes. */
static bool splats_are_scalars(const chain *steps) {
  for (uint32_t k = 0; k < steps->n; k++)
    for (uint32_t i = 0; i < steps->steps[k]->n_operands; i++) {
      const tn_node *broadcast;
      const tn_const *constant = tn_rule_const(steps->steps[k]->operands[i].value, &broadcast);
      if (i == lone_operand(steps->steps[k])) continue;
      if (!constant || tn_type_static_count(constant->type) != 1) return false;
    }
  return true;
}

tn_value *tn_rule_cancel_transposes(tn_build *b, tn_node *node) {
  chain steps;
  if (node->op != &tn_op_transpose) return NULL;
  const tn_value *x = node->operands[0].value;
  if (!find_chain(x, &tn_op_transpose, &steps) || !splats_are_scalars(&steps)) return NULL;
  const int64_t *outer = tn_node_attr(node, "perm")->u.list.ints;
  const int64_t *inner = tn_node_attr(steps.inner, "perm")->u.list.ints;
  for (uint32_t i = 0; i < x->type->ndim; i++)
    if (inner[outer[i]] != i) return NULL;
  return replay(b, &steps, steps.inner->operands[0].value);
}

tn_value *tn_rule_cancel_reshapes(tn_build *b, tn_node *node) {
  chain steps;
  if (node->op != &tn_op_reshape) return NULL;
  if (!find_chain(node->operands[0].value, &tn_op_reshape, &steps) || !splats_are_scalars(&steps)) return NULL;
  const tn_type *from = steps.inner->operands[0].value->type, *to = node->results[0]->type;
  if (from->ndim != to->ndim) return NULL;
  for (uint32_t i = 0; i < from->ndim; i++)
    if (from->dims[i] != to->dims[i]) return NULL;
  return replay(b, &steps, steps.inner->operands[0].value);
}
