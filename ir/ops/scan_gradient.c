/* The derivative of scan: a scan that runs backwards. It reads what the carried values were at the start of every
 * iteration and what the iteration's products and costly functions were, which the forward scan stacks, and computes
 * the rest anew. What a value fixed for all iterations gets from each is summed: where these are products or sums over
 * values of the iteration, the values are stacked and one product over all iterations stands behind the loop. */
#include "ir/ops/region_gradient.h"

#include "ir/ops/compose.h"
#include "ir/ops/scan.h"
#include "ir/primitives.h"

typedef struct backward {
  tn_vjp *v;
  tn_arena *arena;
  const tn_node *node;
  uint32_t n_carried, n_seq, n_fixed, n_stacked, n_kept;
  tn_value **history; /* the carried values at the start of every iteration, stacked on axis 0 */
  tn_value **kept;    /* products and costly functions of every iteration, stacked likewise */
  tn_value **dy;      /* of the node's own results */
  /* The backward scan. */
  tn_value **carried, **sequences;
  uint32_t n_back_carried, n_back_sequences, n_back_stacked;
  int64_t *axes, *reverse; /* of its sequences, then of what it stacks */
  bool *wanted;            /* of the region's parameters: float carried values, and what v needs of the others */
} backward;

static bool is_float(const tn_value *value) { return tn_dtype_is_float(value->type->dtype); }
static bool is_product(const tn_node *node) {
  return node->op == &tn_op_dot || node->op == &tn_op_conv || node->op == &tn_op_conv_dx;
}
static bool is_moved_only(const tn_node *node) {
  return node->op == &tn_op_transpose || node->op == &tn_op_reshape || node->op == &tn_op_broadcast;
}

/* --- What the forward scan keeps --- */

/* Ops whose derivatives do not read their operands. */
static bool is_linear(const tn_node *node) {
  if (node->op->kind == TN_OP_SCALAR)
    return node->op->scalar == TN_ADD || node->op->scalar == TN_SUB || node->op->scalar == TN_NEG;
  return is_moved_only(node) || node->op == &tn_op_slice || node->op == &tn_op_concat;
}

#define MAX_DEPTH 32

/* Costly functions whose derivatives read their results alone: what they were computed from is then not read. */
static bool is_kept_function(const tn_node *node) {
  if (node->op == &tn_op_sigmoid) return is_float(node->results[0]);
  bool is_costly = node->op->kind == TN_OP_SCALAR && (node->op->scalar == TN_TANH || node->op->scalar == TN_EXP);
  return is_costly && is_float(node->results[0]);
}

/* seen: values found not to be read. */
static bool is_read_backwards(tn_map *seen, tn_value *value, int depth) {
  if (tn_map_get(seen, value) != NULL) return false;
  for (const tn_use *use = value->uses; use != NULL; use = use->next) {
    if (use->user->op->kind == TN_OP_TERMINATOR || is_kept_function(use->user)) continue;
    if (depth > MAX_DEPTH || !is_linear(use->user)) return true;
    for (uint32_t i = 0; i < use->user->n_results; i++)
      if (is_read_backwards(seen, use->user->results[i], depth + 1)) return true;
  }
  tn_map_set(seen, value, value);
  return false;
}

/* What the way back reads of the region that is not computed anew: results of costly functions, and products, each with
 * the sums it goes into alone. */
static uint32_t find_kept(const tn_block *region, tn_value **out, uint32_t most, tn_arena *arena) {
  uint32_t n = 0;
  tn_map seen = tn_map_create(arena);
  for (const tn_node *node = region->first; node != region->last && n < most; node = node->next) {
    tn_value *value = node->results[0];
    if (is_kept_function(node) && value->type->ndim < TN_MAX_NDIM) out[n++] = value;
    if (!is_product(node) || !is_float(value)) continue;
    while (value->n_uses == 1 && value->uses->user->op->kind == TN_OP_SCALAR && is_linear(value->uses->user))
      value = value->uses->user->results[0];
    if (value->type->ndim < TN_MAX_NDIM && is_read_backwards(&seen, value, 0)) out[n++] = value;
  }
  return n;
}

/* Lets the forward scan stack its carried values and what find_kept finds, too. */
static bool keep_values(backward *s) {
  tn_node *node = (tn_node *)(uintptr_t)s->node;
  tn_block *region = node->regions[0];
  uint32_t n = region->last->n_operands;
  if (n + s->n_carried > TN_MAX_RESULTS)
    return tn_error(s->v->build->ctx, node->loc, TN_E_LIMIT, "the gradient of a scan with %u results: at most %d", n,
                    TN_MAX_RESULTS - (int)s->n_carried);
  tn_value *yields[TN_MAX_RESULTS];
  for (uint32_t i = 0; i < n; i++) yields[i] = region->last->operands[i].value;
  for (uint32_t i = 0; i < s->n_carried; i++) yields[n + i] = region->params.data[i];
  s->n_kept = find_kept(region, yields + n + s->n_carried, TN_MAX_RESULTS - n - s->n_carried, s->arena);
  if (s->n_carried + s->n_kept == 0) return true;
  tn_node_remove(region->last);
  tn_build at_end = tn_build_at_end(region);
  tn_build_return(&at_end, yields, n + s->n_carried + s->n_kept);
  if (!tn_node_infer(node)) return false;
  s->history = node->results + n;
  s->kept = node->results + n + s->n_carried;
  return true;
}

/* --- The backward scan --- */

static void add_sequence(backward *s, tn_value *value, int64_t axis, bool reverse) {
  s->axes[s->n_back_sequences] = axis;
  s->reverse[s->n_back_sequences] = reverse;
  s->sequences[s->n_back_sequences++] = value;
}

/* Carried backwards: the gradient of each float carried value, and the sum for each fixed value. Taken apart: the
 * history, the sequences, what was kept, the gradients of what was stacked; all in the opposite direction. */
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
  for (uint32_t i = 0; i < s->n_kept; i++) add_sequence(s, s->kept[i], 0, true);
  for (uint32_t i = 0; i < s->n_stacked; i++)
    if (s->dy[s->n_carried + i] != NULL)
      add_sequence(s, s->dy[s->n_carried + i], tn_scan_entry(&attrs[TN_SCAN_AXIS], s->n_seq + i),
                   tn_scan_entry(&attrs[TN_SCAN_REVERSE], s->n_seq + i) == 0);
  for (uint32_t i = 0; i < s->n_seq; i++) {
    if (!s->wanted[s->n_carried + i]) continue;
    uint32_t k = s->n_back_sequences + s->n_back_stacked++;
    s->axes[k] = tn_scan_entry(&attrs[TN_SCAN_AXIS], i);
    s->reverse[k] = tn_scan_entry(&attrs[TN_SCAN_REVERSE], i) == 0;
  }
  return true;
}

/* Wherever the way back reads a value that was kept, it reads that one. */
static void read_kept(const backward *s, tn_value *const *made, tn_value *const *slices, tn_value **gradients,
                      uint32_t n_gradients) {
  for (uint32_t i = 0; i < s->n_kept; i++) {
    if (made[i] == slices[i]) continue;
    tn_value_replace(made[i], slices[i]);
    for (uint32_t k = 0; k < n_gradients; k++)
      if (gradients[k] == made[i]) gradients[k] = slices[i];
  }
}

/* One iteration backwards: the forward region anew, then the way back over it. */
static bool fill_region(backward *s, tn_node *made) {
  tn_build in = tn_build_region(made, 0);
  tn_value *const *params = made->regions[0]->params.data;
  tn_value *const *slices = params + s->n_back_carried;
  uint32_t first_fixed = s->n_carried + s->n_seq, n_args = first_fixed + s->n_fixed, at = 0;
  uint32_t n_results = s->n_carried + s->n_stacked, n_yields = n_results + s->n_carried + s->n_kept;
  tn_value **args = TN_NEW_N(s->arena, tn_value *, n_args), **gradients = TN_NEW_N(s->arena, tn_value *, n_args);
  tn_value **dys = TN_NEW_N(s->arena, tn_value *, n_yields), **results = TN_NEW_N(s->arena, tn_value *, n_yields);
  tn_value **yields = TN_NEW_N(s->arena, tn_value *, n_args);
  for (uint32_t i = 0; i < n_args; i++)
    args[i] = i < first_fixed ? slices[i] : slices[s->n_back_sequences + i - first_fixed];
  for (uint32_t i = 0; i < s->n_carried; i++)
    if (s->wanted[i]) dys[i] = params[at++];
  uint32_t slice = first_fixed + s->n_kept;
  for (uint32_t i = s->n_carried; i < n_results; i++)
    if (s->dy[i] != NULL) dys[i] = slices[slice++];
  if (!tn_region_gradient(&in, s->node->regions[0], args, s->wanted, n_args, dys, results, gradients)) return false;
  read_kept(s, results + n_results + s->n_carried, slices + first_fixed, gradients, n_args);
  uint32_t n = 0, first_stacked = s->n_back_carried;
  at = 0;
  for (uint32_t i = 0; i < n_args; i++) {
    if (!s->wanted[i]) continue;
    tn_value *gradient = gradients[at++];
    if (i < s->n_carried) yields[n++] = gradient;
    else if (i < first_fixed) yields[first_stacked++] = gradient;
    else {
      yields[n] = tn_build_binary(&in, TN_ADD, params[n], gradient);
      if (yields[n++] == NULL) return false;
    }
  }
  tn_build_return(&in, yields, first_stacked);
  return tn_build_end(made);
}

/* --- Sums over all iterations behind the loop --- */

typedef struct hoisting {
  backward *s;
  tn_node *draft;  /* the backward scan that carries all sums */
  bool *is_hoisted; /* of its carried values */
  tn_value *stacked[TN_MAX_RESULTS]; /* values of its region, to be stacked */
  uint32_t n_stacked, most;
  tn_value **also; /* by what the draft stacks already: the value, when a sum needs it */
  tn_map outside;  /* value of the region -> all iterations of it, on axis 0, outside */
  tn_map fixed;    /* values of the region that are the same in every iteration */
  tn_map hoistable; /* values whose sum can be made behind the loop; then, that sum */
  tn_map visited;   /* values whose operands are stacked */
} hoisting;

static bool varies(hoisting *h, tn_value *value, int depth) {
  const tn_block *region = h->draft->regions[0];
  uint32_t n_varying = h->s->n_back_carried + h->s->n_back_sequences;
  if (tn_map_get(&h->fixed, value) != NULL) return false;
  for (uint32_t i = 0; value->def == NULL && i < n_varying; i++)
    if (region->params.data[i] == value) return true;
  if (depth > MAX_DEPTH) return true;
  for (uint32_t i = 0; value->def != NULL && i < value->def->n_operands; i++)
    if (value->def->operands[i].value != NULL && varies(h, value->def->operands[i].value, depth + 1)) return true;
  tn_map_set(&h->fixed, value, value);
  return false;
}

static bool is_sum(const tn_node *node) {
  return node->op == &tn_op_reduce && tn_node_attr(node, "op")->u.i == 0 && tn_node_attr(node, "order")->u.i == 0;
}

/* Whether the sum of value over all iterations can be made of stacked values. */
static bool can_hoist(hoisting *h, tn_value *value, int depth) {
  const tn_node *node = value->def;
  if (node == NULL || depth > MAX_DEPTH) return false;
  if (tn_map_get(&h->hoistable, value) != NULL) return true;
  bool is_leaf = node->op == &tn_op_dot || is_sum(node), ok = true;
  bool is_added = node->op->kind == TN_OP_SCALAR && (node->op->scalar == TN_ADD || node->op->scalar == TN_NEG);
  if (!is_leaf && !is_added && !is_moved_only(node)) return false;
  for (uint32_t i = 0; i < node->n_operands && ok; i++) {
    tn_value *operand = node->operands[i].value;
    ok = is_leaf ? operand->type->ndim < TN_MAX_NDIM && varies(h, operand, 0) : can_hoist(h, operand, depth + 1);
  }
  if (ok) tn_map_set(&h->hoistable, value, value);
  return ok;
}

/* A sequence in the order of the forward iterations is there already; all else is stacked in this order. */
static void stack(hoisting *h, tn_value *value) {
  const backward *s = h->s;
  tn_value *const *params = h->draft->regions[0]->params.data + s->n_back_carried;
  if (tn_map_get(&h->outside, value) != NULL || h->n_stacked > h->most) return;
  for (uint32_t i = 0; i < s->n_back_sequences; i++)
    if (params[i] == value && s->axes[i] == 0 && s->reverse[i] != 0) {
      tn_map_set(&h->outside, value, s->sequences[i]);
      return;
    }
  const tn_node *yield = h->draft->regions[0]->last;
  for (uint32_t i = 0; i < s->n_back_stacked; i++) {
    uint32_t k = s->n_back_sequences + i;
    if (yield->operands[s->n_back_carried + i].value != value || s->axes[k] != 0 || s->reverse[k] == 0) continue;
    h->also[i] = value;
    return;
  }
  for (uint32_t i = 0; i < h->n_stacked; i++)
    if (h->stacked[i] == value) return;
  if (h->n_stacked < h->most) h->stacked[h->n_stacked] = value;
  h->n_stacked++;
}

static void stack_for(hoisting *h, const tn_value *value) {
  const tn_node *node = value->def;
  if (tn_map_get(&h->visited, value) != NULL) return;
  tn_map_set(&h->visited, value, h);
  for (uint32_t i = 0; i < node->n_operands; i++) {
    if (node->op == &tn_op_dot || is_sum(node)) stack(h, node->operands[i].value);
    else stack_for(h, node->operands[i].value);
  }
}

static tn_value *sum_of(const hoisting *h, uint32_t carried) {
  return h->draft->regions[0]->last->operands[carried].value->def->operands[1].value;
}

/* Pairs or axes, one further back, with the iterations' own in front. */
static tn_attr with_iterations(const hoisting *h, const tn_attr *list, uint32_t per_entry, bool in_front) {
  int64_t out[2 * TN_MAX_NDIM + 2] = {0};
  uint32_t n = in_front ? per_entry : 0;
  for (uint32_t i = 0; i < list->u.list.n * per_entry; i++) out[n++] = list->u.list.ints[i] + 1;
  tn_module *module = h->s->v->build->module;
  return per_entry == 2 ? tn_attr_pairs(module, out, n / 2) : tn_attr_ints(module, out, n);
}

/* value's sum over all iterations, behind the loop. */
static tn_value *build_sum(hoisting *h, tn_value *value) {
  tn_build *b = h->s->v->build;
  const tn_node *node = value->def;
  tn_value *in[2], *known = tn_map_get(&h->hoistable, value);
  bool is_dot = node->op == &tn_op_dot;
  if (known != value) return known;
  for (uint32_t i = 0; i < node->n_operands; i++) {
    in[i] = is_dot || is_sum(node) ? tn_map_get(&h->outside, node->operands[i].value)
                                   : build_sum(h, node->operands[i].value);
    if (in[i] == NULL) return NULL;
  }
  tn_attr attrs[4];
  TN_ASSERT(node->op->n_attrs <= TN_ARRAY_LEN(attrs));
  for (uint32_t i = 0; i < node->op->n_attrs; i++) attrs[i] = node->attrs[i];
  if (is_dot) {
    uint32_t batch = tn_op_attr_index(node->op, "batch"), sum = tn_op_attr_index(node->op, "sum");
    attrs[batch] = with_iterations(h, &node->attrs[batch], 2, false);
    attrs[sum] = with_iterations(h, &node->attrs[sum], 2, true);
  } else if (is_sum(node)) {
    uint32_t axes = tn_op_attr_index(node->op, "axes");
    attrs[axes] = with_iterations(h, &node->attrs[axes], 1, true);
  }
  tn_value *made = tn_build_op(b, node->op, in, node->n_operands, attrs);
  tn_map_set(&h->hoistable, value, made);
  return made;
}

/* The draft again, without the sums that are hoisted and with the values that these need. */
static tn_node *build_final(hoisting *h) {
  backward *s = h->s;
  tn_block *region = h->draft->regions[0];
  uint32_t n_old = s->n_back_carried, n = 0, n_yields = n_old + s->n_back_stacked, n_lists = s->n_back_sequences;
  tn_value **yields = TN_NEW_N(s->arena, tn_value *, n_yields + h->n_stacked);
  tn_value **carried = TN_NEW_N(s->arena, tn_value *, n_old), **args = TN_NEW_N(s->arena, tn_value *, region->params.n);
  int64_t *axes = TN_NEW_N(s->arena, int64_t, n_lists + s->n_back_stacked + h->n_stacked);
  int64_t *reverse = TN_NEW_N(s->arena, int64_t, n_lists + s->n_back_stacked + h->n_stacked);
  for (uint32_t i = 0; i < n_yields; i++) yields[i] = region->last->operands[i].value;
  for (uint32_t i = 0; i < h->n_stacked; i++) yields[n_yields + i] = h->stacked[i];
  tn_node_remove(region->last);
  tn_build at_end = tn_build_at_end(region);
  tn_build_return(&at_end, yields, n_yields + h->n_stacked);
  for (uint32_t i = 0; i < n_old; i++)
    if (!h->is_hoisted[i]) carried[n++] = s->carried[i];
  n_lists += s->n_back_stacked;
  for (uint32_t i = 0; i < n_lists + h->n_stacked; i++) {
    axes[i] = i < n_lists ? s->axes[i] : 0;
    reverse[i] = i < n_lists ? s->reverse[i] : 1;
  }
  tn_build_scan scan = {.carried = carried, .sequences = s->sequences,
                        .fixed = s->v->operands + s->n_carried + s->n_seq, .n_carried = n,
                        .n_sequences = s->n_back_sequences, .n_fixed = s->n_fixed,
                        .n_stacked = s->n_back_stacked + h->n_stacked, .axes = axes, .reverse = reverse};
  tn_node *made = tn_build_begin_scan(s->v->build, &scan);
  if (made == NULL) return NULL;
  tn_build in = tn_build_region(made, 0);
  tn_value *const *params = made->regions[0]->params.data;
  for (uint32_t i = 0, k = 0; i < region->params.n; i++)
    args[i] = i < n_old && h->is_hoisted[i] ? tn_build_fill_like(&in, region->params.data[i], 0) : params[k++];
  tn_value **results = TN_NEW_N(s->arena, tn_value *, n_yields + h->n_stacked);
  if (!tn_build_clone(&in, region, args, results)) return NULL;
  uint32_t at = 0;
  for (uint32_t i = 0; i < n_yields + h->n_stacked; i++)
    if (i >= n_old || !h->is_hoisted[i]) yields[at++] = results[i];
  tn_build_return(&in, yields, at);
  return tn_build_end(made) ? made : NULL;
}

/* out[i]: the last contents of the draft's carried value i, then what it stacks. */
static bool hoist(backward *s, tn_node *draft, uint32_t first_sum, tn_value **out) {
  uint32_t n_out = s->n_back_carried + s->n_back_stacked;
  hoisting h = {.s = s, .draft = draft, .most = TN_MAX_RESULTS - n_out, .outside = tn_map_create(s->arena),
                .fixed = tn_map_create(s->arena), .hoistable = tn_map_create(s->arena),
                .visited = tn_map_create(s->arena), .also = TN_NEW_N(s->arena, tn_value *, s->n_back_stacked),
                .is_hoisted = TN_NEW_N(s->arena, bool, s->n_back_carried)};
  bool any = false;
  for (uint32_t i = first_sum; i < s->n_back_carried; i++) {
    h.is_hoisted[i] = can_hoist(&h, sum_of(&h, i), 0);
    if (h.is_hoisted[i]) stack_for(&h, sum_of(&h, i));
    any |= h.is_hoisted[i];
  }
  if (!any || h.n_stacked > h.most) {
    for (uint32_t i = 0; i < n_out; i++) out[i] = draft->results[i];
    return true;
  }
  tn_node *made = build_final(&h);
  if (made == NULL) return false;
  uint32_t at = 0;
  for (uint32_t i = 0; i < n_out; i++)
    if (i >= s->n_back_carried || !h.is_hoisted[i]) out[i] = made->results[at++];
  for (uint32_t i = 0; i < s->n_back_stacked; i++)
    if (h.also[i] != NULL) tn_map_set(&h.outside, h.also[i], out[s->n_back_carried + i]);
  for (uint32_t i = 0; i < h.n_stacked; i++) tn_map_set(&h.outside, h.stacked[i], made->results[at++]);
  for (uint32_t i = 0; i < s->n_back_carried; i++)
    if (h.is_hoisted[i] && (out[i] = build_sum(&h, sum_of(&h, i))) == NULL) return false;
  tn_node_remove(draft);
  return true;
}

static bool build_backward(backward *s) {
  tn_vjp *v = s->v;
  uint32_t first_fixed = s->n_carried + s->n_seq, first_sum = 0;
  tn_build_scan scan = {.carried = s->carried, .sequences = s->sequences, .fixed = v->operands + first_fixed,
                        .n_carried = s->n_back_carried, .n_sequences = s->n_back_sequences, .n_fixed = s->n_fixed,
                        .n_stacked = s->n_back_stacked, .axes = s->axes, .reverse = s->reverse};
  tn_node *draft = tn_build_begin_scan(v->build, &scan);
  if (draft == NULL || !fill_region(s, draft)) return false;
  for (uint32_t i = 0; i < s->n_carried; i++) first_sum += s->wanted[i];
  tn_value **results = TN_NEW_N(s->arena, tn_value *, s->n_back_carried + s->n_back_stacked);
  if (!hoist(s, draft, first_sum, results)) return false;
  uint32_t at = 0, stacked = s->n_back_carried;
  for (uint32_t i = 0; i < first_fixed + s->n_fixed; i++) {
    if (!s->wanted[i]) continue;
    bool is_sequence = i >= s->n_carried && i < first_fixed;
    tn_value *result = results[is_sequence ? stacked++ : at++];
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
  uint32_t most = node->n_operands + TN_MAX_RESULTS + s.n_seq;
  s.dy = TN_NEW_N(arena, tn_value *, node->n_results);
  for (uint32_t i = 0; i < node->n_results; i++) s.dy[i] = v->dy[i];
  s.carried = TN_NEW_N(arena, tn_value *, most);
  s.sequences = TN_NEW_N(arena, tn_value *, most);
  s.axes = TN_NEW_N(arena, int64_t, most);
  s.reverse = TN_NEW_N(arena, int64_t, most);
  s.wanted = TN_NEW_N(arena, bool, node->n_operands);
  bool ok = keep_values(&s) && collect(&s) && build_backward(&s);
  tn_arena_destroy(arena);
  return ok;
}
