/* Nodes with regions, brought to the form that lowering takes and other passes see most in: constants from outside
 * stand inside, operands that no region looks at are gone, an if with a constant condition is the branch it takes, and
 * a scan goes over the first axis of its sequences and stacked results, the others having a transpose before or behind
 * it. */
#include "ir/build.h"
#include "ir/primitives.h"
#include "passes/passes.h"

/* The constant operand that param stands for, made again inside the region. */
static bool move_inside(tn_block *region, tn_value *param, tn_const *constant) {
  if (param->n_uses == 0) return true;
  tn_build b = tn_build_at_end(region);
  b.before = region->first;
  tn_loc_push(b.ctx, constant->loc);
  tn_value *inside = tn_build_const(&b, constant);
  tn_loc_pop(b.ctx);
  if (!inside) return false;
  tn_value_replace(param, inside);
  return true;
}

static bool sink_constants(tn_node *node, tn_arena *scratch) {
  tn_region_param *params = TN_NEW_N(scratch, tn_region_param, (size_t)node->n_operands + 1);
  uint32_t n = 0;
  node->op->params(node, 0, params, &n); /* all regions of a node take the same */
  for (uint32_t i = n; i-- > 0;) {
    if (params[i].role != TN_PARAM_FIXED) continue;
    tn_const *constant = tn_value_const(node->operands[params[i].operand].value);
    uint32_t n_uses = 0;
    for (uint32_t r = 0; r < node->n_regions; r++) {
      if (constant && !move_inside(node->regions[r], node->regions[r]->params.data[i], constant)) return false;
      n_uses += node->regions[r]->params.data[i]->n_uses;
    }
    if (n_uses == 0) tn_node_drop_operand(node, params[i].operand, i);
  }
  return true;
}

/* perm with `axis` brought to the front, or back to where it was. */
static tn_value *move_axis(tn_build *b, tn_value *x, uint32_t axis, bool to_front) {
  int64_t perm[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->type->ndim; i++)
    if (to_front) perm[i] = i == 0 ? axis : i <= axis ? i - 1 : i;
    else perm[i] = i == axis ? 0 : i < axis ? i + 1 : i;
  return tn_build_transpose(b, x, perm);
}

/* Results whose axis has moved: users get them with the axis where it was. */
static bool restore_results(tn_node *scan, const int64_t *axes, uint32_t n_carried, uint32_t n_axes) {
  tn_build b = tn_build_at_end(scan->block);
  b.before = scan->next;
  for (uint32_t k = 0; k < n_axes; k++) {
    if (axes[k] == 0) continue;
    tn_value *result = scan->results[n_carried + k];
    if (result->n_uses == 0) continue;
    tn_value *moved = move_axis(&b, result, (uint32_t)axes[k], false);
    if (!moved) return false;
    tn_value_replace(result, moved);
    tn_node_set_operand(moved->def, 0, result);
    moved->name = result->name;
  }
  return true;
}

static bool normalise_axes(tn_node *scan) {
  tn_attr *axis = &scan->attrs[tn_op_attr_index(scan->op, "axis")];
  uint32_t n_carried = (uint32_t)tn_node_attr(scan, "n_carried")->u.i;
  uint32_t n_seq = (uint32_t)tn_node_attr(scan, "n_seq")->u.i;
  const int64_t *axes = axis->u.list.ints;
  uint32_t n = axis->u.list.n;
  bool moves = false;
  for (uint32_t k = 0; k < n; k++) moves |= axes[k] != 0;
  if (!moves) return true;
  tn_build b = tn_build_before(scan);
  for (uint32_t k = 0; k < n && k < n_seq; k++) {
    tn_value *front = move_axis(&b, scan->operands[n_carried + k].value, (uint32_t)axes[k], true);
    if (!front) return false;
    tn_node_set_operand(scan, n_carried + k, front);
  }
  axis->u.list.n = 0;
  return tn_node_infer(scan) && (n <= n_seq || restore_results(scan, axes + n_seq, n_carried, n - n_seq));
}

/* An if whose condition is constant is one of its regions. False when it is none. */
static bool choose_branch(tn_node *node, tn_arena *scratch) {
  tn_const *condition = node->op == &tn_op_if ? tn_value_const(node->operands[0].value) : NULL;
  if (!condition) return false;
  bool holds = *(const unsigned char *)tn_const_read(condition, scratch) != 0;
  tn_value **args = TN_NEW_N(scratch, tn_value *, node->n_operands);
  for (uint32_t i = 1; i < node->n_operands; i++) args[i - 1] = node->operands[i].value;
  tn_node *last = tn_block_splice(node->block, node, node->regions[holds ? 0 : 1], args);
  for (uint32_t i = 0; i < node->n_results; i++)
    if (node->results[i]->n_uses > 0) tn_value_replace(node->results[i], last->operands[i].value);
  tn_node_remove(last);
  tn_node_remove(node);
  return true;
}

static bool normalise_block(tn_block *block, tn_arena *scratch) {
  bool ok = true;
  for (tn_node *node = block->first, *next; node; node = next) {
    tn_node *before = node->previous;
    next = node->next;
    if (node->n_regions == 0) continue;
    if (choose_branch(node, scratch)) {
      next = before ? before->next : block->first; /* what it held may have regions itself */
      continue;
    }
    tn_loc_push(block->func->module->ctx, node->loc);
    ok &= sink_constants(node, scratch);
    if (node->op == &tn_op_scan) ok &= normalise_axes(node);
    tn_loc_pop(block->func->module->ctx);
    for (uint32_t i = 0; i < node->n_regions; i++) ok &= normalise_block(node->regions[i], scratch);
  }
  return ok;
}

bool tn_pass_regions(tn_pass_context *context) {
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  bool ok = true;
  for (size_t f = 0; f < context->module->funcs.n; f++)
    ok &= normalise_block(context->module->funcs.data[f]->body, scratch);
  tn_arena_destroy(scratch);
  return ok;
}
