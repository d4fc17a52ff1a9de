/* Common subexpressions: nodes of one op with equal operands, attributes and result types become one. Regions, effects,
 * fences and random bits are left alone. */
#include <string.h>

#include "passes/passes.h"

typedef struct seen {
  tn_node *node;
  struct seen *next;
} seen;

static bool may_share(const tn_node *node) {
  const uint32_t never = TN_TRAIT_EFFECT | TN_TRAIT_FENCE | TN_TRAIT_RANDOM;
  return node->n_regions == 0 && node->n_results > 0 && node->op->kind != TN_OP_TERMINATOR &&
         !(node->op->traits & never);
}

static size_t list_bytes(tn_attr_kind kind, const tn_attr *attr) {
  if (kind == TN_ATTR_PAIRS) return attr->u.list.n * 2 * sizeof(int64_t);
  return attr->u.list.n * (kind == TN_ATTR_DIMS ? sizeof(tn_dim *) : sizeof(int64_t));
}

static bool same_attr(tn_attr_kind kind, const tn_attr *a, const tn_attr *b) {
  if (a->present != b->present) return false;
  if (!a->present) return true;
  switch (kind) {
    case TN_ATTR_INT:
    case TN_ATTR_BOOL:
    case TN_ATTR_NAME:
    case TN_ATTR_DTYPE: return a->u.i == b->u.i;
    case TN_ATTR_FLOAT: return memcmp(&a->u.f, &b->u.f, sizeof(a->u.f)) == 0;
    case TN_ATTR_STRING: return strcmp(a->u.s, b->u.s) == 0;
    case TN_ATTR_CONST: return a->u.constant == b->u.constant;
    case TN_ATTR_FUNC: return a->u.func == b->u.func;
    case TN_ATTR_INTS:
    case TN_ATTR_PAIRS:
    case TN_ATTR_DIMS: break;
  }
  size_t bytes = list_bytes(kind, a);
  const void *x = kind == TN_ATTR_DIMS ? (const void *)a->u.list.dims : a->u.list.ints;
  const void *y = kind == TN_ATTR_DIMS ? (const void *)b->u.list.dims : b->u.list.ints;
  return a->u.list.n == b->u.list.n && (!bytes || memcmp(x, y, bytes) == 0);
}

static bool same_node(const tn_node *a, const tn_node *b) {
  if (a->op != b->op || a->n_operands != b->n_operands || a->n_results != b->n_results) return false;
  for (uint32_t i = 0; i < a->n_operands; i++)
    if (a->operands[i].value != b->operands[i].value) return false;
  for (uint32_t i = 0; i < a->n_results; i++)
    if (a->results[i]->type != b->results[i]->type) return false;
  for (uint32_t i = 0; i < a->op->n_attrs; i++)
    if (!same_attr(a->op->attrs[i].kind, &a->attrs[i], &b->attrs[i])) return false;
  return true;
}

static uint64_t hash_node(const tn_node *node) {
  uint64_t hash = tn_hash_bytes(0, &node->op, sizeof(node->op));
  for (uint32_t i = 0; i < node->n_operands; i++)
    hash = tn_hash_bytes(hash, &node->operands[i].value, sizeof(tn_value *));
  for (uint32_t i = 0; i < node->op->n_attrs; i++) /* nodes of constants differ in nothing else */
    if (node->attrs[i].present && node->op->attrs[i].kind == TN_ATTR_CONST)
      hash = tn_hash_bytes(hash, &node->attrs[i].u.constant, sizeof(tn_const *));
  return tn_hash_bytes(hash, &node->results[0]->type, sizeof(tn_type *));
}

static void share_in(tn_ctx *ctx, tn_arena *scratch, tn_block *block) {
  tn_map known = tn_map_create(scratch);
  for (tn_node *node = block->first, *next; node; node = next) {
    next = node->next;
    for (uint32_t i = 0; i < node->n_regions; i++) share_in(ctx, scratch, node->regions[i]);
    if (!may_share(node)) continue;
    uint64_t hash = hash_node(node);
    seen *same = tn_map_get_u64(&known, hash);
    while (same && !same_node(same->node, node)) same = same->next;
    if (!same) {
      seen *entry = TN_NEW(scratch, seen);
      *entry = (seen){node, tn_map_get_u64(&known, hash)};
      tn_map_set_u64(&known, hash, entry);
      continue;
    }
    same->node->loc = tn_loc_join(ctx, same->node->loc, node->loc);
    for (uint32_t i = 0; i < node->n_results; i++) tn_value_replace(node->results[i], same->node->results[i]);
    tn_node_remove(node);
  }
}

bool tn_pass_cse(tn_pass_context *context) {
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  for (size_t f = 0; f < context->module->funcs.n; f++)
    share_in(context->ctx, scratch, context->module->funcs.data[f]->body);
  tn_arena_destroy(scratch);
  return true;
}
