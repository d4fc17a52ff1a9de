/* Modules, functions, blocks, values and nodes: creation, uses and positions. Inference is in infer.c, guards in
 * guard.c, constants in const.c, storages in storage.c. */
#include "ir/graph.h"

#include <string.h>

#include "ir/op.h"
#include "ir/primitives.h"

tn_module *tn_module_create(tn_ctx *ctx) {
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  tn_module *module = TN_NEW(arena, tn_module);
  module->ctx = ctx;
  module->arena = arena;
  module->const_names = tn_map_create(arena);
  module->const_suffixes = tn_map_create(arena);
  module->kernel_names = tn_map_create(arena);
  module->kernel_suffixes = tn_map_create(arena);
  module->source = "";
  return module;
}

void tn_module_destroy(tn_module *module) {
  if (module) tn_arena_destroy(module->arena);
}

tn_block *tn_block_create(tn_func *func, tn_node *owner) {
  tn_block *block = TN_NEW(func->module->arena, tn_block);
  block->func = func;
  block->owner = owner;
  return block;
}

tn_func *tn_func_create(tn_module *module, const char *name, bool is_entry) {
  tn_func *func = TN_NEW(module->arena, tn_func);
  func->module = module;
  func->name = tn_name(module->ctx, name);
  func->is_entry = is_entry;
  func->body = tn_block_create(func, NULL);
  TN_VEC_PUSH(module->arena, &module->funcs, func);
  return func;
}

tn_func *tn_func_find(const tn_module *module, const char *name) {
  for (size_t i = 0; i < module->funcs.n; i++)
    if (strcmp(module->funcs.data[i]->name, name) == 0) return module->funcs.data[i];
  return NULL;
}

static tn_value *value_create(tn_func *func, const tn_type *type, const char *name) {
  tn_value *value = TN_NEW(func->module->arena, tn_value);
  value->type = type;
  value->name = name && name[0] ? tn_name(func->module->ctx, name) : "";
  value->id = func->next_value_id++;
  return value;
}

tn_value *tn_block_add_param(tn_block *block, const tn_type *type, const char *name) {
  tn_value *value = value_create(block->func, type, name);
  value->block = block;
  value->def_index = (uint32_t)block->params.n;
  TN_VEC_PUSH(block->func->module->arena, &block->params, value);
  return value;
}

/* Uses: the tn_use structs lie in the user's operand array and are linked into the value's list. */

static void use_link(tn_use *use, tn_value *value) {
  use->value = value;
  use->previous = NULL;
  use->next = NULL;
  if (!value) return;
  use->next = value->uses;
  if (value->uses) value->uses->previous = use;
  value->uses = use;
  value->n_uses++;
}

static void use_unlink(tn_use *use) {
  tn_value *value = use->value;
  if (!value) return;
  if (use->previous) use->previous->next = use->next;
  else value->uses = use->next;
  if (use->next) use->next->previous = use->previous;
  TN_ASSERT(value->n_uses > 0);
  value->n_uses--;
  use->value = NULL;
}

void tn_node_set_operand(tn_node *node, uint32_t index, tn_value *value) {
  TN_ASSERT(index < node->n_operands);
  use_unlink(&node->operands[index]);
  use_link(&node->operands[index], value);
}

void tn_node_add_fixed(tn_node *node, tn_value *value) {
  uint32_t n = node->n_operands;
  tn_use *operands = TN_NEW_N(node->block->func->module->arena, tn_use, (size_t)n + 1);
  for (uint32_t i = 0; i < n; i++) {
    tn_value *operand = node->operands[i].value;
    use_unlink(&node->operands[i]);
    operands[i] = (tn_use){.user = node, .index = i};
    use_link(&operands[i], operand);
  }
  operands[n] = (tn_use){.user = node, .index = n};
  use_link(&operands[n], value);
  node->operands = operands;
  node->n_operands++;
  for (uint32_t i = 0; i < node->n_regions; i++) {
    tn_value *param = tn_block_add_param(node->regions[i], value->type, value->name);
    param->index = value->index;
    param->n_index = value->n_index;
  }
}

static void drop_param(tn_block *block, uint32_t index) {
  TN_ASSERT(block->params.data[index]->n_uses == 0);
  block->params.n--;
  for (uint32_t i = index; i < block->params.n; i++) {
    block->params.data[i] = block->params.data[i + 1];
    block->params.data[i]->def_index = i;
  }
}

void tn_node_drop_operand(tn_node *node, uint32_t index, uint32_t param) {
  TN_ASSERT(index < node->n_operands);
  node->n_operands--;
  for (uint32_t i = index; i <= node->n_operands; i++) {
    tn_value *next = i < node->n_operands ? node->operands[i + 1].value : NULL;
    use_unlink(&node->operands[i]);
    if (i < node->n_operands) use_link(&node->operands[i], next);
  }
  for (uint32_t i = 0; i < node->n_regions; i++) drop_param(node->regions[i], param);
}

void tn_value_replace(tn_value *old, tn_value *replacement) {
  TN_ASSERT(old != replacement);
  while (old->uses) {
    tn_use *use = old->uses;
    use_unlink(use);
    use_link(use, replacement);
  }
}

static void node_link(tn_node *node, tn_block *block, tn_node *before) {
  TN_ASSERT(!before || before->block == block);
  node->block = block;
  node->next = before;
  node->previous = before ? before->previous : block->last;
  if (node->previous) node->previous->next = node;
  else block->first = node;
  if (before) before->previous = node;
  else block->last = node;
}

static void node_unlink(tn_node *node) {
  if (node->previous) node->previous->next = node->next;
  else node->block->first = node->next;
  if (node->next) node->next->previous = node->previous;
  else node->block->last = node->previous;
  node->next = node->previous = NULL;
}

/* Trailing optional operands that were not given become NULL entries: every operand of the record has a place. */
static uint32_t padded_operand_count(const tn_opdef *op, uint32_t n_given) {
  uint32_t n_fixed = op->n_operands;
  if (n_fixed > 0 && op->operands[n_fixed - 1].arity == TN_VARIADIC) n_fixed--;
  return n_given > n_fixed ? n_given : n_fixed;
}

tn_node *tn_node_create(tn_block *block, tn_node *before, const tn_opdef *op, tn_value *const *operands,
                        uint32_t n_operands, const tn_attr *attrs) {
  tn_arena *arena = block->func->module->arena;
  tn_node *node = TN_NEW(arena, tn_node);
  node->op = op;
  node->block = block;
  node->loc = tn_loc_current(block->func->module->ctx);
  node->group = -1;
  node->n_operands = padded_operand_count(op, n_operands);
  node->operands = TN_NEW_N(arena, tn_use, node->n_operands);
  for (uint32_t i = 0; i < node->n_operands; i++) {
    node->operands[i].value = i < n_operands ? operands[i] : NULL;
    node->operands[i].user = node;
    node->operands[i].index = i;
  }
  node->attrs = TN_NEW_N(arena, tn_attr, op->n_attrs);
  if (attrs && op->n_attrs > 0) memcpy(node->attrs, attrs, op->n_attrs * sizeof(*attrs));
  /* Uses are linked only once the node is known to be right, so a refused node leaves no trace. */
  if (!tn_node_infer(node)) return NULL;
  for (uint32_t i = 0; i < node->n_operands; i++) use_link(&node->operands[i], node->operands[i].value);
  node_link(node, block, before);
  return node;
}

tn_block *tn_node_add_region(tn_node *node) {
  tn_func *func = node->block->func;
  tn_block **regions = TN_NEW_N(func->module->arena, tn_block *, (size_t)node->n_regions + 1);
  for (uint32_t i = 0; i < node->n_regions; i++) regions[i] = node->regions[i];
  node->regions = regions;
  return node->regions[node->n_regions++] = tn_block_create(func, node);
}

tn_block *tn_node_region(tn_node *node, uint32_t region) {
  tn_arena *arena = node->block->func->module->arena;
  TN_ASSERT(node->op->params && region <= node->n_regions && region < node->op->n_regions);
  bool is_new = region == node->n_regions;
  tn_block *block = is_new ? tn_node_add_region(node) : node->regions[region];
  tn_region_param *params = TN_NEW_N(arena, tn_region_param, (size_t)node->n_operands + 1);
  uint32_t n = 0;
  node->op->params(node, region, params, &n);
  TN_ASSERT(is_new || block->params.n == n);
  for (uint32_t i = 0; i < n; i++) {
    if (is_new) tn_block_add_param(block, params[i].type, "");
    tn_value *param = block->params.data[i];
    param->type = params[i].type;
    if (params[i].role != TN_PARAM_FIXED) continue;
    param->index = node->operands[params[i].operand].value->index;
    param->n_index = node->operands[params[i].operand].value->n_index;
  }
  return block;
}

/* Called by tn_node_infer: makes the results, or gives those that exist their new types. */
/* Results up to number n, behind those that exist. */
static void add_results(tn_node *node, const tn_type *const *types, uint32_t n) {
  tn_func *func = node->block->func;
  tn_value **results = TN_NEW_N(func->module->arena, tn_value *, n);
  for (uint32_t i = 0; i < n; i++) {
    if (i < node->n_results) {
      results[i] = node->results[i];
      continue;
    }
    results[i] = value_create(func, types[i], "");
    results[i]->def = node;
    results[i]->def_index = i;
  }
  node->results = results;
  node->n_results = n;
}

bool tn_node_set_result_types(tn_node *node, const tn_type *const *types, uint32_t n) {
  tn_func *func = node->block->func;
  if (node->n_results == 0 && n > 0) {
    add_results(node, types, n);
    return true;
  }
  if (node->n_regions > 0 && n > node->n_results) add_results(node, types, n); /* its region yields more now */
  if (node->n_results != n)
    return tn_error(func->module->ctx, node->loc, TN_E_ARITY, "'%s' has %u results, expected %u", node->op->name,
                    node->n_results, n);
  for (uint32_t i = 0; i < n; i++) {
    tn_value *result = node->results[i];
    /* A storage describes one rank only; a result of another rank starts without. */
    if (result->storage && result->storage->ndim != types[i]->ndim) result->storage = NULL;
    result->type = types[i];
  }
  return true;
}

tn_node *tn_block_splice(tn_block *into, tn_node *before, tn_block *from, tn_value *const *args) {
  tn_node *last = from->last;
  for (size_t i = 0; i < from->params.n; i++)
    if (from->params.data[i]->n_uses > 0) tn_value_replace(from->params.data[i], args[i]);
  while (from->first) {
    tn_node *node = from->first;
    node_unlink(node);
    node_link(node, into, before);
  }
  tn_block_move_guards(into, from);
  return last;
}

void tn_node_remove(tn_node *node) {
  for (uint32_t i = 0; i < node->n_results; i++) TN_ASSERT(node->results[i]->n_uses == 0);
  for (uint32_t i = 0; i < node->n_operands; i++) use_unlink(&node->operands[i]);
  node_unlink(node);
}

void tn_node_move_before(tn_node *node, tn_node *before) {
  if (node == before || node->next == before) return;
  node_unlink(node);
  node_link(node, before->block, before);
}

tn_const *tn_value_const(const tn_value *value) {
  if (!value || !value->def || value->def->op != &tn_op_const) return NULL;
  return value->def->attrs[0].u.constant;
}
