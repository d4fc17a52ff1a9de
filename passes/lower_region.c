/* Lowering of nodes with regions: a step that holds the region's steps.
 *
 * A carried value has one buffer, filled before the loop; the region reads it there, computes the next contents
 * elsewhere, and the last steps of an iteration move them in. A sequence is read, and a stacked result written, through
 * a view at the iteration's position: the pass `regions` has made their axis the first. */
#include "passes/lowering.h"

/* One scan or loop while it is lowered. Operand and yield k < carried are of carried value k; those of a loop begin
 * with its condition, which is hidden: it has neither parameter nor result. */
typedef struct loop_lowering {
  tn_lowering *l;
  const tn_node *node;
  const tn_block *body;
  const tn_node *yield;
  uint32_t carried, hidden, seq;
  const tn_symbol *symbol;
  tn_buffer **carried_buffers, **stacked_views;
} loop_lowering;

/* Where iteration `symbol` stands along sequence or stacked result number k. */
static const tn_dim *position(const loop_lowering *s, uint32_t k) {
  const tn_attr *reverse = tn_node_attr(s->node, "reverse");
  const tn_dim *iteration = tn_dim_symbol(s->l->ctx, s->symbol);
  if (k >= reverse->u.list.n || reverse->u.list.ints[k] == 0) return iteration;
  return tn_dim_sub(s->l->ctx, tn_dim_add_i(s->l->ctx, s->symbol->extent, -1), iteration);
}

static void make_symbol(loop_lowering *s) {
  tn_lowering *l = s->l;
  const tn_dim *trip = s->node->operands[s->carried].value->type->dims[0];
  s->symbol = tn_symbol_loop(l->ctx, tn_symbol_fresh_name(l->ctx, "it"), trip);
  TN_VEC_PUSH(l->module->arena, &l->module->symbols, s->symbol);
}

/* The buffer of carried value k, holding its first contents. */
static bool place_carried(loop_lowering *s, uint32_t k) {
  tn_lowering *l = s->l;
  const tn_value *first = s->node->operands[k].value;
  tn_placement hidden = {0}, *place = &hidden;
  if (k < s->hidden)
    hidden.buffer = tn_program_add_buffer(l->program, TN_BUFFER_ARENA, "condition", first->type,
                                          tn_storage_row_major(l->module, first->type->ndim));
  else
    place = tn_map_get(&l->placements, s->node->results[k - s->hidden]);
  s->carried_buffers[k] = place->buffer;
  if (k >= s->hidden) tn_lower_place(l, s->body->params.data[k - s->hidden], place->buffer);
  return tn_lower_value(l, NULL, first, place);
}

/* What a region reads where it lies. */
static void place_fixed(tn_lowering *l, const tn_value *operand, const tn_value *param) {
  if (tn_value_const(operand)) tn_lower_place(l, param, tn_lower_constant(l, tn_value_const(operand)));
  else tn_map_set(&l->placements, param, tn_map_get(&l->placements, operand));
}

/* Steps before the loop, and the places of what the region takes. */
static bool place_params(loop_lowering *s) {
  tn_lowering *l = s->l;
  bool ok = true;
  for (uint32_t i = 0; i < s->node->n_operands; i++) {
    const tn_value *operand = s->node->operands[i].value;
    if (i < s->carried) {
      ok &= place_carried(s, i);
    } else if (i < s->carried + s->seq) {
      const tn_value *param = s->body->params.data[i];
      if (param->n_uses == 0) continue;
      tn_buffer *whole = tn_lower_whole_buffer(l, operand, &ok);
      tn_lower_place(l, param, tn_program_add_view(l->program, whole, position(s, i - s->carried)));
    } else {
      place_fixed(l, operand, s->body->params.data[i - s->hidden]);
    }
  }
  return ok;
}

/* Of a scan that never runs: the carried values stay what they are at first, and nothing is stacked. */
static bool place_first_alone(loop_lowering *s) {
  bool ok = true;
  for (uint32_t k = 0; k < s->carried; k++) ok &= place_carried(s, k);
  return ok;
}

/* A stacked value that nothing placed before is computed where it belongs. */
static void place_stacked(loop_lowering *s) {
  tn_lowering *l = s->l;
  for (uint32_t k = s->carried; k < s->yield->n_operands; k++) {
    const tn_value *value = s->yield->operands[k].value;
    const tn_placement *whole = tn_map_get(&l->placements, s->node->results[k]);
    tn_buffer *view = tn_program_add_view(l->program, whole->buffer, position(s, s->seq + k - s->carried));
    s->stacked_views[k] = view;
    bool in_place = value->def && !tn_value_const(value) && value->def->n_regions == 0 &&
                    !tn_map_has(&l->placements, value);
    if (in_place) tn_lower_place(l, value, view);
  }
}

static bool lower_stacked(loop_lowering *s) {
  tn_lowering *l = s->l;
  bool ok = true;
  for (uint32_t k = s->carried; k < s->yield->n_operands; k++) {
    const tn_value *value = s->yield->operands[k].value;
    const tn_placement *p = tn_value_const(value) ? NULL : tn_map_get(&l->placements, value);
    if (p && p->buffer == s->stacked_views[k]) continue;
    ok &= tn_lower_value(l, NULL, value, &(tn_placement){.buffer = s->stacked_views[k]});
  }
  return ok;
}

/* The next contents, all of them, before the first is moved: one may be what another was. */
static bool lower_carried(loop_lowering *s) {
  tn_lowering *l = s->l;
  tn_buffer **next = TN_NEW_N(l->scratch, tn_buffer *, s->carried);
  bool ok = true;
  for (uint32_t k = 0; k < s->carried; k++) {
    const tn_value *value = s->yield->operands[k].value;
    const tn_placement *p = tn_value_const(value) ? NULL : tn_map_get(&l->placements, value);
    if (k >= s->hidden && value == s->body->params.data[k - s->hidden]) continue;
    bool is_own = p && value->def && !p->is_part && p->buffer->type->ndim == value->type->ndim;
    if (is_own) {
      next[k] = p->buffer;
      continue;
    }
    next[k] = tn_program_add_buffer(l->program, TN_BUFFER_ARENA, "next", value->type, s->carried_buffers[k]->storage);
    ok &= tn_lower_value(l, NULL, value, &(tn_placement){.buffer = next[k]});
  }
  for (uint32_t k = 0; k < s->carried; k++) {
    if (!next[k]) continue;
    tn_step *move = tn_step_add(l->program, l->steps, TN_STEP_COPY, s->yield->loc);
    TN_VEC_PUSH(l->module->arena, &move->args, next[k]);
    TN_VEC_PUSH(l->module->arena, &move->args, s->carried_buffers[k]);
  }
  return ok;
}

/* Moves to the region's block until leave. */
static tn_lowering enter(tn_lowering *l, const tn_block *region, tn_steps *steps) {
  tn_lowering around = *l;
  l->block = region;
  l->steps = steps;
  l->groups = tn_groups_of(region, l->scratch);
  return around;
}

static void leave(tn_lowering *l, const tn_lowering *around) {
  l->block = around->block;
  l->steps = around->steps;
  l->groups = around->groups;
}

static bool lower_body(loop_lowering *s, tn_steps *steps) {
  tn_lowering *l = s->l, around = enter(l, s->body, steps);
  place_stacked(s);
  tn_lower_place_roots(l);
  bool ok = tn_lower_groups(l) && lower_stacked(s) && lower_carried(s);
  leave(l, &around);
  return ok;
}

static loop_lowering begin_loop(tn_lowering *l, const tn_node *node, uint32_t carried) {
  loop_lowering s = {.l = l, .node = node, .body = node->regions[0], .yield = node->regions[0]->last,
                     .carried = carried};
  s.carried_buffers = TN_NEW_N(l->scratch, tn_buffer *, s.carried);
  s.stacked_views = TN_NEW_N(l->scratch, tn_buffer *, s.yield->n_operands);
  return s;
}

static bool lower_scan(tn_lowering *l, const tn_node *node) {
  loop_lowering s = begin_loop(l, node, (uint32_t)tn_node_attr(node, "n_carried")->u.i);
  s.seq = (uint32_t)tn_node_attr(node, "n_seq")->u.i;
  make_symbol(&s);
  if (tn_dim_is(s.symbol->extent, 0)) return place_first_alone(&s);
  if (!place_params(&s)) return false;
  tn_step *loop = tn_step_add(l->program, l->steps, TN_STEP_LOOP, node->loc);
  loop->symbol = s.symbol;
  return lower_body(&s, &loop->body);
}

static bool lower_loop(tn_lowering *l, const tn_node *node) {
  loop_lowering s = begin_loop(l, node, 1 + (uint32_t)tn_node_attr(node, "n_carried")->u.i);
  s.hidden = 1;
  if (!place_params(&s)) return false;
  tn_step *loop = tn_step_add(l->program, l->steps, TN_STEP_WHILE, node->loc);
  TN_VEC_PUSH(l->module->arena, &loop->args, s.carried_buffers[0]);
  return lower_body(&s, &loop->body);
}

/* One branch: what it yields is computed where the results lie, or copied there. */
static bool lower_branch(tn_lowering *l, const tn_node *node, uint32_t number, tn_steps *steps) {
  const tn_block *region = node->regions[number];
  for (uint32_t i = 0; i < region->params.n; i++)
    if (region->params.data[i]->n_uses > 0)
      place_fixed(l, node->operands[1 + i].value, region->params.data[i]);
  tn_lowering around = enter(l, region, steps);
  if (region->guards.n > 0) {
    tn_step *check = tn_step_add(l->program, l->steps, TN_STEP_CHECK, node->loc);
    for (size_t i = 0; i < region->guards.n; i++) tn_step_add_guard(l->program, check, &region->guards.data[i]);
  }
  for (uint32_t k = 0; k < node->n_results; k++) {
    const tn_value *value = region->last->operands[k].value;
    bool in_place = value->def && !tn_value_const(value) && !tn_lower_is_carried(value) &&
                    !tn_map_has(&l->placements, value);
    if (in_place) tn_map_set(&l->placements, value, tn_map_get(&l->placements, node->results[k]));
  }
  tn_lower_place_roots(l);
  bool ok = tn_lower_groups(l);
  for (uint32_t k = 0; k < node->n_results; k++) {
    const tn_value *value = region->last->operands[k].value;
    const tn_placement *to = tn_map_get(&l->placements, node->results[k]);
    const tn_placement *lies = tn_value_const(value) ? NULL : tn_map_get(&l->placements, value);
    if (!lies || lies->buffer != to->buffer) ok &= tn_lower_value(l, NULL, value, to);
  }
  leave(l, &around);
  return ok;
}

static bool lower_if(tn_lowering *l, const tn_node *node) {
  bool ok = true;
  tn_buffer *condition = tn_lower_whole_buffer(l, node->operands[0].value, &ok);
  tn_step *step = tn_step_add(l->program, l->steps, TN_STEP_IF, node->loc);
  TN_VEC_PUSH(l->module->arena, &step->args, condition);
  ok &= lower_branch(l, node, 0, &step->body);
  return lower_branch(l, node, 1, &step->otherwise) && ok;
}

bool tn_lower_is_carried(const tn_value *value) {
  const tn_node *def = value->def;
  if (!def || (def->op != &tn_op_scan && def->op != &tn_op_loop)) return false;
  return value->def_index < (uint32_t)tn_node_attr(def, "n_carried")->u.i;
}

bool tn_lower_regions(tn_lowering *l, const tn_node *node) {
  if (node->op == &tn_op_if) return lower_if(l, node);
  if (node->op == &tn_op_loop) return lower_loop(l, node);
  TN_ASSERT(node->op == &tn_op_scan);
  return lower_scan(l, node);
}
