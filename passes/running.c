/* Running folds along many positions. A kernel computes each element as a fold over the positions before it, which is
 * quick where they are few and quadratic in their number; a scan carries the total on from one to the next. */
#include "ir/build.h"
#include "ir/eval.h"
#include "ir/primitives.h"
#include "passes/passes.h"

#define MAX_FOLDED 512

static bool is_long(const tn_node *node) {
  if (node->op != &tn_op_cumulate || tn_node_attr(node, "op")->u.i > 1) return false; /* sum, prod */
  return node->results[0]->type->dims[tn_node_attr(node, "axis")->u.i]->hi > MAX_FOLDED;
}

/* The identity, without the axis. */
static tn_value *first_total(tn_build *b, const tn_node *node, tn_dtype acc) {
  const tn_type *type = node->results[0]->type;
  const tn_dim *rest[TN_MAX_NDIM];
  uint32_t n = 0, axis = (uint32_t)tn_node_attr(node, "axis")->u.i;
  for (uint32_t i = 0; i < type->ndim; i++)
    if (i != axis) rest[n++] = type->dims[i];
  return tn_build_broadcast_map(b, tn_build_splat_i(b, acc, tn_node_attr(node, "op")->u.i), rest, n, NULL);
}

static bool make_scan(tn_node *node) {
  tn_build b = tn_build_before(node);
  tn_value *x = node->operands[0].value;
  tn_dtype acc = tn_dtype_acc(x->type->dtype);
  int64_t axis = tn_node_attr(node, "axis")->u.i, reverse = tn_node_attr(node, "reverse")->u.i;
  const int64_t axes[2] = {axis, axis}, ways[2] = {reverse, reverse};
  tn_value *total = first_total(&b, node, acc);
  tn_build_scan scan = {.carried = &total, .sequences = &x, .n_carried = 1, .n_sequences = 1, .n_stacked = 1,
                        .axes = axes, .reverse = ways};
  tn_node *made = tn_build_begin_scan(&b, &scan);
  if (!made) return false;
  tn_build in = tn_build_region(made, 0);
  tn_value **params = in.block->params.data, *yields[2];
  bool is_sum = tn_node_attr(node, "op")->u.i == 0, is_exclusive = tn_node_attr(node, "exclusive")->u.i != 0;
  yields[0] = tn_build_binary(&in, is_sum ? TN_ADD : TN_MUL, params[0], tn_build_cast(&in, params[1], acc));
  yields[1] = tn_build_cast(&in, is_exclusive ? params[0] : yields[0], x->type->dtype);
  if (!yields[0] || !yields[1]) return false;
  tn_build_return(&in, yields, 2);
  if (!tn_build_end(made)) return false;
  made->results[1]->name = node->results[0]->name;
  tn_value_replace(node->results[0], made->results[1]);
  tn_node_remove(node);
  return true;
}

static bool visit(tn_block *block) {
  bool ok = true;
  for (tn_node *node = block->first, *next; node; node = next) {
    next = node->next;
    for (uint32_t i = 0; i < node->n_regions; i++) ok &= visit(node->regions[i]);
    if (!is_long(node)) continue;
    tn_loc_push(block->func->module->ctx, node->loc);
    ok &= make_scan(node);
    tn_loc_pop(block->func->module->ctx);
  }
  return ok;
}

bool tn_pass_running(tn_pass_context *context) {
  bool ok = true;
  for (size_t f = 0; f < context->module->funcs.n; f++) ok &= visit(context->module->funcs.data[f]->body);
  return ok;
}
