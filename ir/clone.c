/* Copies of blocks (the same nodes at another place, over other values), and what composites stand for. */
#include "ir/build.h"

typedef struct copy {
  tn_map values; /* old -> new */
  tn_arena *arena;
} copy;

static tn_value *new_of(const copy *c, tn_value *value) { return value == NULL ? NULL : tn_map_get(&c->values, value); }

static bool clone_into(tn_build *b, copy *c, const tn_block *block, tn_value *const *args);

/* A region's parameters come with the node's operands; its terminator too is copied. */
static bool clone_region(copy *c, tn_node *node, const tn_block *from, uint32_t region) {
  tn_build in = tn_build_region(node, region);
  tn_block *block = node->regions[region];
  for (size_t i = 0; i < from->guards.n; i++)
    TN_VEC_PUSH(block->func->module->arena, &block->guards, from->guards.data[i]);
  if (!clone_into(&in, c, from, block->params.data)) return false;
  uint32_t n = from->last->n_operands;
  tn_value **yields = TN_NEW_N(c->arena, tn_value *, n);
  for (uint32_t i = 0; i < n; i++) yields[i] = new_of(c, from->last->operands[i].value);
  tn_build_return(&in, yields, n);
  return true;
}

static bool clone_node(tn_build *b, copy *c, const tn_node *node) {
  tn_value **operands = TN_NEW_N(c->arena, tn_value *, node->n_operands);
  for (uint32_t i = 0; i < node->n_operands; i++) operands[i] = new_of(c, node->operands[i].value);
  tn_node *made = tn_build_node(b, node->op, operands, node->n_operands, node->attrs);
  if (made == NULL) return false;
  for (uint32_t i = 0; i < node->n_regions; i++)
    if (!clone_region(c, made, node->regions[i], i)) return false;
  if (node->n_regions > 0 && !tn_build_end(made)) return false;
  TN_ASSERT(made->n_results == node->n_results);
  for (uint32_t i = 0; i < node->n_results; i++) {
    made->results[i]->name = node->results[i]->name;
    tn_map_set(&c->values, node->results[i], made->results[i]);
  }
  return true;
}

static bool clone_into(tn_build *b, copy *c, const tn_block *block, tn_value *const *args) {
  for (size_t i = 0; i < block->params.n; i++) tn_map_set(&c->values, block->params.data[i], args[i]);
  for (const tn_node *node = block->first; node != block->last; node = node->next) {
    tn_loc_push(b->ctx, node->loc);
    bool ok = clone_node(b, c, node);
    tn_loc_pop(b->ctx);
    if (!ok) return false;
  }
  return true;
}

bool tn_build_clone(tn_build *b, const tn_block *block, tn_value *const *args, tn_value **out) {
  tn_arena *arena = tn_arena_create_scratch(b->ctx->arena);
  copy c = {tn_map_create(arena), arena};
  bool ok = clone_into(b, &c, block, args);
  for (uint32_t i = 0; ok && i < block->last->n_operands; i++) out[i] = new_of(&c, block->last->operands[i].value);
  tn_arena_destroy(arena);
  return ok;
}

bool tn_build_clone_node(tn_build *b, const tn_node *node, tn_map *values) {
  tn_arena *arena = tn_arena_create_scratch(b->ctx->arena);
  copy c = {*values, arena};
  for (uint32_t i = 0; i < node->n_operands; i++) {
    tn_value *operand = node->operands[i].value;
    if (operand != NULL && !tn_map_has(&c.values, operand)) tn_map_set(&c.values, operand, operand);
  }
  tn_loc_push(b->ctx, node->loc);
  bool ok = clone_node(b, &c, node);
  tn_loc_pop(b->ctx);
  *values = c.values;
  tn_arena_destroy(arena);
  return ok;
}

tn_value **tn_build_expansion(tn_build *b, const tn_node *node) {
  tn_value **operands = TN_NEW_N(b->module->arena, tn_value *, node->n_operands);
  tn_value **results = TN_NEW_N(b->module->arena, tn_value *, node->n_results + 1);
  for (uint32_t i = 0; i < node->n_operands; i++) operands[i] = node->operands[i].value;
  tn_block *around = tn_func_enter(b->func, b->block);
  tn_loc_push(b->ctx, node->loc);
  bool ok = node->op->expand(b, node, operands, results);
  tn_loc_pop(b->ctx);
  tn_func_leave(b->func, around);
  return ok ? results : NULL;
}
