/* Simplification: the rules of passes/rules, applied until none matches.
 *
 * Nodes are visited in order, in rounds. Where a rule fires, its new nodes are visited next, so that chains of rules
 * need no round of their own; nodes of constants that rules make are folded at once. Dead nodes go between rounds:
 * until then they only count as users, which can delay a rule but never let it fire wrongly. */
#include "passes/fold.h"
#include "passes/passes.h"
#include "passes/rules/rules.h"

/* Rules only go forward, so that rounds end by themselves; the limits bound what a fault in a rule can cost. */
#define MAX_ROUNDS 64
#define MAX_FIRED_PER_NODE 64

typedef struct simplifier {
  tn_ctx *ctx;
  uint32_t allowed;
  tn_pattern **patterns, **replacements; /* parallel to tn_rules; NULL for classes that are off */
  uint32_t first_new;                    /* values of at least this id were made here */
  uint32_t n_fired, max_fired;
  bool ok;
} simplifier;

static bool is_allowed(const simplifier *s, tn_rule_class class) { return (s->allowed & TN_RULE_BIT(class)) != 0; }

static void read_rules(simplifier *s, tn_arena *scratch) {
  s->patterns = TN_NEW_N(scratch, tn_pattern *, tn_n_rules);
  s->replacements = TN_NEW_N(scratch, tn_pattern *, tn_n_rules);
  for (uint32_t i = 0; i < tn_n_rules; i++) {
    if (!is_allowed(s, tn_rules[i].class)) continue;
    s->patterns[i] = tn_pattern_parse(scratch, tn_rules[i].pattern);
    s->replacements[i] = tn_pattern_parse(scratch, tn_rules[i].replacement);
  }
}

/* Takes what was made for node's result; false when it does not fit: its dims may be equal only by a guard, or wait for
 * a later round. */
static bool replace(simplifier *s, tn_node *node, tn_value *made) {
  tn_value *result = node->results[0];
  if (!made || made == result || made->type != result->type) return false;
  if (made->def && (!made->name || !*made->name)) made->name = result->name;
  tn_value_replace(result, made);
  tn_node_remove(node);
  s->n_fired++;
  return true;
}

/* Nodes that lost their last use with node live on in what replaced it, and so do their places. */
static void keep_places(simplifier *s, tn_node *made, tn_value *const *operands, uint32_t n) {
  if (!made || made->results[0]->id < s->first_new) return;
  for (uint32_t i = 0; i < n; i++)
    if (operands[i] && operands[i]->def && operands[i]->n_uses == 0)
      made->loc = tn_loc_join(s->ctx, made->loc, operands[i]->def->loc);
}

static tn_value *try_algebra(simplifier *s, tn_build *b, tn_node *node) {
  for (uint32_t i = 0; i < tn_n_rules; i++) {
    tn_bindings bindings = {{0}};
    if (!s->patterns[i] || s->patterns[i]->op != node->op) continue;
    if (tn_pattern_match(s->patterns[i], node->results[0], &bindings))
      return tn_pattern_build(b, s->replacements[i], &bindings, node->results[0]);
  }
  return NULL;
}

static tn_value *try_structure(simplifier *s, tn_build *b, tn_node *node) {
  for (uint32_t i = 0; i < tn_n_structural_rules; i++) {
    if (!is_allowed(s, tn_structural_rules[i].class)) continue;
    tn_value *made = tn_structural_rules[i].apply(b, node);
    if (made) return made;
  }
  return NULL;
}

#define MAX_PLACES 8

/* True when node was replaced (and removed). */
static bool simplify_node(simplifier *s, tn_node *node) {
  if (node->op->kind == TN_OP_TERMINATOR || node->n_results != 1 || node->n_regions) return false;
  if (node->results[0]->n_uses == 0) return false;
  size_t n_errors = tn_diag_n_errors(s->ctx);
  bool folded = false;
  if (node->results[0]->id >= s->first_new) s->ok &= tn_fold_node(node, &folded);
  if (folded || !s->ok) return folded;
  tn_value *operands[MAX_PLACES];
  uint32_t n = node->n_operands < MAX_PLACES ? node->n_operands : MAX_PLACES;
  for (uint32_t i = 0; i < n; i++) operands[i] = node->operands[i].value;
  tn_build build = tn_build_before(node);
  tn_loc_push(s->ctx, node->loc);
  tn_value *made = node->op->kind == TN_OP_SCALAR ? try_algebra(s, &build, node) : NULL;
  bool fired = replace(s, node, made);
  if (!fired) fired = replace(s, node, made = try_structure(s, &build, node));
  tn_loc_pop(s->ctx);
  if (fired) keep_places(s, made->def, operands, n);
  if (tn_diag_n_errors(s->ctx) != n_errors) s->ok = false;
  return fired;
}

static bool simplify_block(simplifier *s, tn_block *block) {
  bool changed = false;
  for (tn_node *node = block->first, *next; node && s->ok; node = next) {
    tn_node *previous = node->previous;
    for (uint32_t i = 0; i < node->n_regions; i++) changed |= simplify_block(s, node->regions[i]);
    next = node->next;
    if (s->n_fired >= s->max_fired || !simplify_node(s, node)) continue;
    changed = true;
    next = previous ? previous->next : block->first;
  }
  return changed;
}

static uint32_t count_nodes(const tn_block *block) {
  uint32_t n = 0;
  for (const tn_node *node = block->first; node; node = node->next) {
    n++;
    for (uint32_t i = 0; i < node->n_regions; i++) n += count_nodes(node->regions[i]);
  }
  return n;
}

bool tn_rules_run(tn_func *func, uint32_t allowed_classes) {
  tn_ctx *ctx = func->module->ctx;
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  simplifier s = {.ctx = ctx, .allowed = allowed_classes, .first_new = func->next_value_id, .ok = true};
  s.max_fired = (count_nodes(func->body) + 1) * MAX_FIRED_PER_NODE;
  read_rules(&s, scratch);
  for (int round = 0; round < MAX_ROUNDS && s.ok; round++) {
    bool changed = simplify_block(&s, func->body);
    tn_dce_block(func->body);
    if (!changed) break;
  }
  tn_arena_destroy(scratch);
  return s.ok;
}

bool tn_pass_simplify(tn_pass_context *context) {
  bool ok = true;
  for (size_t f = 0; f < context->module->funcs.n; f++)
    ok &= tn_rules_run(context->module->funcs.data[f], TN_RULES_DEFAULT);
  return ok;
}
