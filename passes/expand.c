/* Expansion: every composite is replaced by what its op record says it is, until only primitives are left. */
#include "ir/build.h"
#include "passes/passes.h"

static bool expand_node(tn_pass_context *context, tn_node *node) {
  tn_build build = tn_build_before(node);
  tn_value **operands = TN_NEW_N(context->module->arena, tn_value *, node->n_operands);
  tn_value **results = TN_NEW_N(context->module->arena, tn_value *, node->n_results);
  for (uint32_t i = 0; i < node->n_operands; i++) operands[i] = node->operands[i].value;
  tn_loc_push(context->ctx, node->loc);
  bool ok = node->op->expand(&build, node, operands, results);
  tn_loc_pop(context->ctx);
  if (!ok) return false;
  for (uint32_t i = 0; i < node->n_results; i++) {
    if (!results[i]) continue;
    if (!results[i]->name || !*results[i]->name) results[i]->name = node->results[i]->name;
    tn_value_replace(node->results[i], results[i]);
  }
  tn_node_remove(node);
  return true;
}

static bool expand_block(tn_pass_context *context, tn_block *block) {
  bool ok = true;
  for (tn_node *node = block->first, *next; node; node = next) {
    next = node->next;
    for (uint32_t i = 0; i < node->n_regions; i++) ok &= expand_block(context, node->regions[i]);
    if (node->op->kind != TN_OP_COMPOSITE) continue;
    tn_node *before = node->previous;
    if (!expand_node(context, node)) {
      ok = false;
      continue;
    }
    /* An expansion may hold composites of its own: go on with its first node. */
    next = before ? before->next : block->first;
  }
  return ok;
}

bool tn_pass_expand(tn_pass_context *context) {
  bool ok = true;
  for (size_t f = 0; f < context->module->funcs.n; f++)
    ok &= expand_block(context, context->module->funcs.data[f]->body);
  return ok;
}
