/* The derivative of if: an if of the branches' gradients, which compute the branch anew before they walk back. */
#include "ir/ops/region_gradient.h"

#include "ir/primitives.h"

bool tn_region_gradient(tn_build *in, const tn_block *block, tn_value *const *args, const bool *wanted,
                        uint32_t n_args, tn_value *const *dys, tn_value **results, tn_value **out) {
  tn_arena *arena = tn_arena_create_scratch(in->ctx->arena);
  uint32_t n = block->last->n_operands, n_ys = 0, n_xs = 0;
  tn_value **ys = TN_NEW_N(arena, tn_value *, n), **weights = TN_NEW_N(arena, tn_value *, n);
  tn_value **xs = TN_NEW_N(arena, tn_value *, n_args);
  bool ok = tn_build_clone(in, block, args, results);
  for (uint32_t i = 0; ok && i < n; i++) {
    if (dys[i] == NULL) continue;
    ys[n_ys] = results[i];
    weights[n_ys++] = dys[i];
  }
  for (uint32_t i = 0; i < n_args; i++)
    if (wanted[i]) xs[n_xs++] = args[i];
  ok = ok && tn_gradient(in, ys, weights, n_ys, xs, n_xs, out);
  tn_arena_destroy(arena);
  return ok;
}

/* The operands of the new node: what the old one had, then the gradients that there are. */
static bool build_if(tn_vjp *v, tn_arena *arena) {
  tn_build *b = v->build;
  const tn_node *node = v->node;
  uint32_t n = node->n_operands, n_args = n - 1, n_all = n;
  tn_value **operands = TN_NEW_N(arena, tn_value *, n + node->n_results);
  for (uint32_t i = 0; i < n; i++) operands[i] = v->operands[i];
  for (uint32_t i = 0; i < node->n_results; i++)
    if (v->dy[i] != NULL) operands[n_all++] = v->dy[i];
  tn_node *made = tn_build_begin(b, &tn_op_if, operands, n_all, NULL);
  if (made == NULL) return false;
  tn_value **dys = TN_NEW_N(arena, tn_value *, node->n_results), **out = TN_NEW_N(arena, tn_value *, n_args);
  tn_value **results = TN_NEW_N(arena, tn_value *, node->n_results);
  uint32_t n_out = 0;
  for (uint32_t i = 0; i < n_args; i++) n_out += v->needed[i + 1];
  for (uint32_t region = 0; region < 2; region++) {
    tn_build in = tn_build_region(made, region);
    tn_value *const *params = made->regions[region]->params.data;
    for (uint32_t i = 0, k = n_args; i < node->n_results; i++) dys[i] = v->dy[i] != NULL ? params[k++] : NULL;
    if (!tn_region_gradient(&in, node->regions[region], params, v->needed + 1, n_args, dys, results, out)) return false;
    tn_build_return(&in, out, n_out);
  }
  if (!tn_build_end(made)) return false;
  for (uint32_t i = 0, k = 0; i < n_args; i++)
    if (v->needed[i + 1]) v->dx[i + 1] = made->results[k++];
  return true;
}

bool tn_if_vjp(tn_vjp *v) {
  tn_arena *arena = tn_arena_create_scratch(v->build->ctx->arena);
  bool ok = build_if(v, arena);
  tn_arena_destroy(arena);
  return ok;
}
