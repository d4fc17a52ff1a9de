/* Constants of a function become its parameters. */
#include "ir/build.h"
#include "ir/primitives.h"
#include "train/train.h"

static bool is_of(const tn_node *node, const tn_const *constant) {
  return node->op == &tn_op_const && tn_value_const(node->results[0]) == constant;
}

static bool is_inside(const tn_block *block, const tn_const *constant) {
  for (const tn_node *node = block->first; node != NULL; node = node->next) {
    if (is_of(node, constant)) return true;
    for (uint32_t i = 0; i < node->n_regions; i++)
      if (is_inside(node->regions[i], constant)) return true;
  }
  return false;
}

/* Regions see nothing of the outside: where one uses the constant, its node is given the value. */
static void replace(tn_block *block, const tn_const *constant, tn_value *value) {
  for (tn_node *node = block->first, *next; node != NULL; node = next) {
    next = node->next;
    if (is_of(node, constant)) {
      tn_value_replace(node->results[0], value);
      tn_node_remove(node);
      continue;
    }
    bool any = false;
    for (uint32_t i = 0; i < node->n_regions; i++) any |= is_inside(node->regions[i], constant);
    if (any) tn_node_add_fixed(node, value);
    for (uint32_t i = 0; any && i < node->n_regions; i++) {
      tn_block *region = node->regions[i];
      replace(region, constant, region->params.data[region->params.n - 1]);
    }
  }
}

/* In front of everything, as the constant's uses may be anywhere. */
static tn_value *widened(tn_func *func, tn_value *param, const tn_const *constant) {
  tn_build b = tn_build_at_end(func->body);
  b.before = func->body->first;
  tn_loc_push(b.ctx, constant->loc);
  tn_value *value = tn_build_cast(&b, param, constant->type->dtype);
  tn_loc_pop(b.ctx);
  return value;
}

bool tn_train_lift(tn_func *func, const tn_train_weight *weights, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    const tn_const *constant = weights[i].constant;
    const tn_type *type = weights[i].kept != NULL ? weights[i].kept : constant->type;
    tn_value *value = tn_block_add_param(func->body, type, weights[i].path);
    if (type != constant->type) value = widened(func, value, constant);
    if (value == NULL) return false;
    replace(func->body, constant, value);
  }
  return true;
}
