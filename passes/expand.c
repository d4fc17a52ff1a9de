/* Expansion: every composite is replaced by what its op record says it is, until only primitives are left. */
#include "ir/build.h"
#include "passes/passes.h"

static bool expand_node(tn_node *node) {
  tn_build build = tn_build_before(node);
  tn_value **results = tn_build_expansion(&build, node);
  if (!results) return false;
  for (uint32_t i = 0; i < node->n_results; i++) {
    if (!results[i]) continue;
    if (!results[i]->name || !*results[i]->name) results[i]->name = node->results[i]->name;
    tn_value_replace(node->results[i], results[i]);
  }
  tn_node_remove(node);
  return true;
}

static bool expand_block(tn_block *block) {
  bool ok = true;
  for (tn_node *node = block->first, *next; node; node = next) {
    next = node->next;
    for (uint32_t i = 0; i < node->n_regions; i++) ok &= expand_block(node->regions[i]);
    if (node->op->kind != TN_OP_COMPOSITE) continue;
    tn_node *before = node->previous;
    if (!expand_node(node)) {
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
    ok &= expand_block(context->module->funcs.data[f]->body);
  return ok;
}
