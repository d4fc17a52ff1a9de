/* The derivatives of if and scan: an if of the branches' gradients, and a scan that runs backwards. Both compute a
 * region anew before they walk back over it; a scan also keeps what its carried values were at the start of every
 * iteration. */
#include "ir/ops/region_gradient.h"

#include "ir/ops/scan.h"
#include "ir/primitives.h"

static bool is_float(const tn_value *value) { return tn_dtype_is_float(value->type->dtype); }

/* The gradients of block's float results, of which dys are given (NULL = zero), in those of args for which wanted
 * holds; in order, in out. */
static bool region_gradient(tn_build *in, const tn_block *block, tn_value *const *args, const bool *wanted,
                            uint32_t n_args, tn_value *const *dys, tn_value **out, tn_arena *arena) {
  uint32_t n = block->last->n_operands, n_ys = 0, n_xs = 0;
  tn_value **results = TN_NEW_N(arena, tn_value *, n), **ys = TN_NEW_N(arena, tn_value *, n);
  tn_value **weights = TN_NEW_N(arena, tn_value *, n), **xs = TN_NEW_N(arena, tn_value *, n_args);
  if (!tn_build_clone(in, block, args, results)) return false;
  for (uint32_t i = 0; i < n; i++) {
    if (dys[i] == NULL) continue;
    ys[n_ys] = results[i];
    weights[n_ys++] = dys[i];
  }
  for (uint32_t i = 0; i < n_args; i++)
    if (wanted[i]) xs[n_xs++] = args[i];
  return tn_gradient(in, ys, weights, n_ys, xs, n_xs, out);
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
  uint32_t n_out = 0;
  for (uint32_t i = 0; i < n_args; i++) n_out += v->needed[i + 1];
  for (uint32_t region = 0; region < 2; region++) {
    tn_build in = tn_build_region(made, region);
    tn_value *const *params = made->regions[region]->params.data;
    for (uint32_t i = 0, k = n_args; i < node->n_results; i++) dys[i] = v->dy[i] != NULL ? params[k++] : NULL;
    if (!region_gradient(&in, node->regions[region], params, v->needed + 1, n_args, dys, out, arena)) return false;
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

/* scan */

typedef struct backward {
  tn_vjp *v;
  tn_arena *arena;
  const tn_node *node;
  uint32_t n_carried, n_seq, n_fixed, n_stacked;
  tn_value **history; /* the carried values at the start of every iteration, stacked on axis 0 */
  tn_value **dy;      /* of the node's own results */
  /* The backward scan. */
  tn_value **carried, **sequences;
  uint32_t n_back_carried, n_back_sequences;
  int64_t *axes, *reverse; /* of its sequences, then of what it stacks */
  bool *wanted;            /* of the region's parameters: float carried values, and what v needs of the others */
} backward;

/* Lets the forward scan stack its carried values too. */
static bool keep_history(backward *s) {
  tn_node *node = (tn_node *)(uintptr_t)s->node;
  tn_block *region = node->regions[0];
  uint32_t n = region->last->n_operands;
  if (s->n_carried == 0) return true;
  if (n + s->n_carried > TN_MAX_RESULTS)
    return tn_error(s->v->build->ctx, node->loc, TN_E_LIMIT, "the gradient of a scan with %u results: at most %d", n,
                    TN_MAX_RESULTS - (int)s->n_carried);
  tn_value **yields = TN_NEW_N(s->arena, tn_value *, n + s->n_carried);
  for (uint32_t i = 0; i < n; i++) yields[i] = region->last->operands[i].value;
  for (uint32_t i = 0; i < s->n_carried; i++) yields[n + i] = region->params.data[i];
  tn_node_remove(region->last);
  tn_build at_end = tn_build_at_end(region);
  tn_build_return(&at_end, yields, n + s->n_carried);
  if (!tn_node_infer(node)) return false;
  for (uint32_t i = 0; i < s->n_carried; i++) s->history[i] = node->results[n + i];
  return true;
}

static void add_sequence(backward *s, tn_value *value, int64_t axis, bool reverse) {
  s->axes[s->n_back_sequences] = axis;
  s->reverse[s->n_back_sequences] = reverse;
  s->sequences[s->n_back_sequences++] = value;
}

/* Carried backwards: the gradient of each float carried value, and the sum for each fixed value. Taken apart: the
 * history, the sequences, the gradients of what was stacked; all in the opposite direction. */
static bool collect(backward *s) {
  tn_vjp *v = s->v;
  const tn_attr *attrs = s->node->attrs;
  uint32_t n_params = s->n_carried + s->n_seq + s->n_fixed;
  for (uint32_t i = 0; i < n_params; i++) s->wanted[i] = i < s->n_carried ? is_float(v->operands[i]) : v->needed[i];
  for (uint32_t i = 0; i < n_params; i++) {
    if (!s->wanted[i] || (i >= s->n_carried && i < s->n_carried + s->n_seq)) continue;
    tn_value *first = i < s->n_carried ? s->dy[i] : NULL;
    if (first == NULL) first = tn_build_fill_like(v->build, v->operands[i], 0);
    if (first == NULL) return false;
    s->carried[s->n_back_carried++] = first;
  }
  for (uint32_t i = 0; i < s->n_carried; i++) add_sequence(s, s->history[i], 0, true);
  for (uint32_t i = 0; i < s->n_seq; i++)
    add_sequence(s, v->operands[s->n_carried + i], tn_scan_entry(&attrs[TN_SCAN_AXIS], i),
                 tn_scan_entry(&attrs[TN_SCAN_REVERSE], i) == 0);
  for (uint32_t i = 0; i < s->n_stacked; i++)
    if (s->dy[s->n_carried + i] != NULL)
      add_sequence(s, s->dy[s->n_carried + i], tn_scan_entry(&attrs[TN_SCAN_AXIS], s->n_seq + i),
                   tn_scan_entry(&attrs[TN_SCAN_REVERSE], s->n_seq + i) == 0);
  for (uint32_t i = 0, k = s->n_back_sequences; i < s->n_seq; i++) {
    if (!s->wanted[s->n_carried + i]) continue;
    s->axes[k] = tn_scan_entry(&attrs[TN_SCAN_AXIS], i);
    s->reverse[k++] = tn_scan_entry(&attrs[TN_SCAN_REVERSE], i) == 0;
  }
  return true;
}

/* One iteration backwards: the forward region anew, then the way back over it. */
static bool fill_region(backward *s, tn_node *made) {
  tn_build in = tn_build_region(made, 0);
  tn_value *const *params = made->regions[0]->params.data;
  tn_value *const *slices = params + s->n_back_carried;
  uint32_t n_args = s->n_carried + s->n_seq + s->n_fixed, n_results = s->n_carried + s->n_stacked, at = 0;
  tn_value **args = TN_NEW_N(s->arena, tn_value *, n_args), **gradients = TN_NEW_N(s->arena, tn_value *, n_args);
  tn_value **dys = TN_NEW_N(s->arena, tn_value *, n_results + s->n_carried);
  tn_value **yields = TN_NEW_N(s->arena, tn_value *, n_args);
  for (uint32_t i = 0; i < n_args; i++)
    args[i] = i < s->n_carried + s->n_seq ? slices[i] : slices[s->n_back_sequences + i - s->n_carried - s->n_seq];
  for (uint32_t i = 0; i < s->n_carried; i++)
    if (s->wanted[i]) dys[i] = params[at++];
  uint32_t slice = s->n_carried + s->n_seq;
  for (uint32_t i = s->n_carried; i < n_results; i++)
    if (s->dy[i] != NULL) dys[i] = slices[slice++];
  if (!region_gradient(&in, s->node->regions[0], args, s->wanted, n_args, dys, gradients, s->arena)) return false;
  uint32_t n = 0, first_stacked = s->n_back_carried;
  at = 0;
  for (uint32_t i = 0; i < n_args; i++) {
    if (!s->wanted[i]) continue;
    tn_value *gradient = gradients[at++];
    if (i < s->n_carried) yields[n++] = gradient;
    else if (i < s->n_carried + s->n_seq) yields[first_stacked++] = gradient;
    else {
      yields[n] = tn_build_binary(&in, TN_ADD, params[n], gradient);
      if (yields[n++] == NULL) return false;
    }
  }
  tn_build_return(&in, yields, first_stacked);
  return tn_build_end(made);
}

static bool build_backward(backward *s) {
  tn_vjp *v = s->v;
  uint32_t n_stacked = 0, first_fixed = s->n_carried + s->n_seq;
  for (uint32_t i = s->n_carried; i < first_fixed; i++) n_stacked += s->wanted[i];
  tn_build_scan scan = {.carried = s->carried, .sequences = s->sequences, .fixed = v->operands + first_fixed,
                        .n_carried = s->n_back_carried, .n_sequences = s->n_back_sequences, .n_fixed = s->n_fixed,
                        .n_stacked = n_stacked, .axes = s->axes, .reverse = s->reverse};
  tn_node *made = tn_build_begin_scan(v->build, &scan);
  if (made == NULL || !fill_region(s, made)) return false;
  uint32_t at = 0, stacked = s->n_back_carried;
  for (uint32_t i = 0; i < first_fixed + s->n_fixed; i++) {
    if (!s->wanted[i]) continue;
    bool is_sequence = i >= s->n_carried && i < first_fixed;
    tn_value *result = made->results[is_sequence ? stacked++ : at++];
    if (v->needed[i]) v->dx[i] = result;
  }
  return true;
}

bool tn_scan_vjp(tn_vjp *v) {
  const tn_node *node = v->node;
  tn_arena *arena = tn_arena_create_scratch(v->build->ctx->arena);
  backward s = {.v = v, .arena = arena, .node = node, .n_carried = (uint32_t)node->attrs[TN_SCAN_N_CARRIED].u.i,
                .n_seq = (uint32_t)node->attrs[TN_SCAN_N_SEQ].u.i};
  s.n_fixed = node->n_operands - s.n_carried - s.n_seq;
  s.n_stacked = node->n_results - s.n_carried;
  uint32_t most = node->n_operands + node->n_results + s.n_seq;
  s.dy = TN_NEW_N(arena, tn_value *, node->n_results);
  for (uint32_t i = 0; i < node->n_results; i++) s.dy[i] = v->dy[i];
  s.history = TN_NEW_N(arena, tn_value *, s.n_carried);
  s.carried = TN_NEW_N(arena, tn_value *, most);
  s.sequences = TN_NEW_N(arena, tn_value *, most);
  s.axes = TN_NEW_N(arena, int64_t, most);
  s.reverse = TN_NEW_N(arena, int64_t, most);
  s.wanted = TN_NEW_N(arena, bool, node->n_operands);
  bool ok = keep_history(&s) && collect(&s) && build_backward(&s);
  tn_arena_destroy(arena);
  return ok;
}
