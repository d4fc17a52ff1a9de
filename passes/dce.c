/* Dead code: nodes whose results have no use and that have no effect, last first, so that chains go in one sweep. */
#include "passes/passes.h"

static bool is_dead(const tn_node *node) {
  if (node->op->kind == TN_OP_TERMINATOR || (node->op->traits & TN_TRAIT_EFFECT)) return false;
  for (uint32_t i = 0; i < node->n_results; i++)
    if (node->results[i]->n_uses) return false;
  return true;
}

void tn_dce_block(tn_block *block) {
  for (tn_node *node = block->last, *previous; node; node = previous) {
    previous = node->previous;
    for (uint32_t r = 0; r < node->n_regions; r++) tn_dce_block(node->regions[r]);
    if (is_dead(node)) tn_node_remove(node);
  }
}

bool tn_pass_dce(tn_pass_context *context) {
  for (size_t f = 0; f < context->module->funcs.n; f++) tn_dce_block(context->module->funcs.data[f]->body);
  return true;
}
