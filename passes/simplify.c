/* Simplification: the rules of passes/rules, applied to every node until none matches. A node that a rule made is looked
 * at again; each rule makes the graph smaller or moves it to a form that no other rule leaves, so this ends, and a limit
 * on rounds makes sure. */
#include "passes/passes.h"
#include "passes/rules/rules.h"

#define MAX_ROUNDS 16

typedef struct simplifier {
  tn_pass_context *context;
  tn_pattern **patterns, **replacements; /* parallel to tn_rules; NULL for classes that are off */
} simplifier;

static void read_rules(simplifier *s, tn_arena *scratch) {
  s->patterns = TN_NEW_N(scratch, tn_pattern *, tn_n_rules);
  s->replacements = TN_NEW_N(scratch, tn_pattern *, tn_n_rules);
  for (uint32_t i = 0; i < tn_n_rules; i++) {
    if (tn_rules[i].class != TN_RULE_EXACT) continue;
    s->patterns[i] = tn_pattern_parse(scratch, tn_rules[i].pattern);
    s->replacements[i] = tn_pattern_parse(scratch, tn_rules[i].replacement);
  }
}

static tn_value *apply_algebra(const simplifier *s, tn_build *b, tn_node *node) {
  for (uint32_t i = 0; i < tn_n_rules; i++) {
    tn_bindings bindings = {{0}};
    if (!s->patterns[i] || s->patterns[i]->op != node->op) continue;
    if (tn_pattern_match(s->patterns[i], node->results[0], &bindings))
      return tn_pattern_build(b, s->replacements[i], &bindings, node->results[0]);
  }
  return NULL;
}

static tn_value *apply_structure(tn_build *b, tn_node *node) {
  for (uint32_t i = 0; i < tn_n_structural_rules; i++) {
    tn_value *made = tn_structural_rules[i].apply(b, node);
    if (made) return made;
  }
  return NULL;
}

/* True when node was replaced (and removed). */
static bool simplify_node(const simplifier *s, tn_node *node) {
  tn_ctx *ctx = s->context->ctx;
  tn_build build = tn_build_before(node);
  tn_value *result = node->results[0];
  tn_loc_push(ctx, node->loc);
  tn_value *made = node->op->kind == TN_OP_SCALAR ? apply_algebra(s, &build, node) : NULL;
  if (!made) made = apply_structure(&build, node);
  tn_loc_pop(ctx);
  if (!made || made == result || made->type != result->type) return false;
  if (made->def && (!made->name || !*made->name)) made->name = result->name;
  tn_value_replace(result, made);
  tn_node_remove(node);
  return true;
}

static bool simplify_block(const simplifier *s, tn_block *block) {
  bool changed = false;
  for (tn_node *node = block->first, *next; node; node = next) {
    next = node->next;
    if (node->op->kind == TN_OP_TERMINATOR || node->n_results != 1 || node->n_regions) continue;
    changed |= simplify_node(s, node);
  }
  return changed;
}

bool tn_pass_simplify(tn_pass_context *context) {
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  simplifier s = {.context = context};
  size_t n_errors = context->ctx->n_errors;
  read_rules(&s, scratch);
  for (size_t f = 0; f < context->module->funcs.n; f++)
    for (int round = 0; round < MAX_ROUNDS; round++)
      if (!simplify_block(&s, context->module->funcs.data[f]->body)) break;
  tn_arena_destroy(scratch);
  return context->ctx->n_errors == n_errors;
}
