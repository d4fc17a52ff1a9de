/* Constants of a function become its parameters. */
#include "ir/primitives.h"
#include "train/train.h"

static void replace_constant(tn_block *block, const tn_const *constant, tn_value *param) {
  for (tn_node *node = block->first, *next; node != NULL; node = next) {
    next = node->next;
    if (node->op != &tn_op_const || tn_value_const(node->results[0]) != constant) continue;
    tn_value_replace(node->results[0], param);
    tn_node_remove(node);
  }
}

/* Regions see nothing of the outside, so a constant inside one stays a constant. */
static bool is_used_inside(const tn_block *block, const tn_const *constant) {
  for (const tn_node *node = block->first; node != NULL; node = node->next)
    for (uint32_t i = 0; i < node->n_regions; i++)
      for (const tn_node *inner = node->regions[i]->first; inner != NULL; inner = inner->next) {
        if (inner->op == &tn_op_const && tn_value_const(inner->results[0]) == constant) return true;
        if (inner->n_regions > 0 && is_used_inside(node->regions[i], constant)) return true;
      }
  return false;
}

bool tn_train_lift(tn_func *func, const tn_train_weight *weights, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    if (is_used_inside(func->body, weights[i].constant))
      return tn_error(func->module->ctx, weights[i].constant->loc, TN_E_VERIFY,
                      "weight '%s' is a constant inside a region", weights[i].path);
    tn_value *param = tn_block_add_param(func->body, weights[i].constant->type, weights[i].path);
    replace_constant(func->body, weights[i].constant, param);
  }
  return true;
}
