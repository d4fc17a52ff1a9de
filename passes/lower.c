/* Lowering: each group becomes one kernel and one step, each kept value a buffer.
 *
 * Results of the entry are written where the caller wants them. A concat is a buffer that its producers write parts of;
 * only operands that cannot (arguments, constants, values that lie elsewhere already) are copied into it. */
#include <ctype.h>
#include <string.h>

#include "passes/emission.h"
#include "passes/lowering.h"
#include "passes/passes.h"

static const tn_storage *storage_of(tn_lowering *l, const tn_value *value) {
  return value->storage ? value->storage : tn_storage_row_major(l->module, value->type->ndim);
}

tn_placement *tn_lower_place(tn_lowering *l, const tn_value *value, tn_buffer *buffer) {
  tn_placement *p = TN_NEW(l->scratch, tn_placement);
  p->buffer = buffer;
  tn_map_set(&l->placements, value, p);
  return p;
}

static bool find_base(void *user, const tn_value *value, tn_memory_view *out) {
  tn_lowering *l = user;
  if (tn_value_const(value)) {
    out->type = value->type;
    out->storage = tn_storage_row_major(l->module, value->type->ndim);
    return true;
  }
  const tn_placement *p = tn_map_get(&l->placements, value);
  if (!p) return false;
  out->type = p->buffer->type;
  out->storage = p->buffer->storage;
  out->is_part = p->is_part;
  memcpy(out->shift, p->shift, sizeof(p->shift));
  return true;
}

tn_buffer *tn_lower_constant(tn_lowering *l, const tn_const *constant) {
  tn_buffer *buffer = tn_map_get(&l->constant_buffers, constant);
  if (buffer) return buffer;
  buffer = tn_program_add_buffer(l->program, TN_BUFFER_CONST, constant->name, constant->type,
                                 tn_storage_row_major(l->module, constant->type->ndim));
  buffer->constant = (tn_const *)constant;
  tn_map_set(&l->constant_buffers, constant, buffer);
  return buffer;
}

/* The model's own name for what a node computes, as an identifier. */
static const char *kernel_name(tn_lowering *l, const tn_value *value, tn_loc loc) {
  const tn_loc_info *info = tn_loc_get(l->ctx, loc);
  while (info->kind == TN_LOC_KIND_FROM) info = tn_loc_get(l->ctx, info->origins[0]);
  const char *wish = value->name && *value->name                                ? value->name
                     : info->kind == TN_LOC_KIND_ONNX && *info->node_name ? info->node_name
                     : value->def                                         ? value->def->op->name
                                                                          : "copy";
  char text[64];
  size_t n = 0;
  if (!isalpha((unsigned char)*wish)) text[n++] = 'k';
  for (; *wish && n + 1 < sizeof(text); wish++) text[n++] = isalnum((unsigned char)*wish) ? *wish : '_';
  return tn_intern(l->ctx->strings, text, n);
}

/* Axes that a fold removes and something then uses again, in a write or in another fold, are rows. */
static void mark_rows(tn_kernel *kernel) {
  uint32_t folded = 0, written = 0, again = 0;
  uint32_t *below = TN_NEW_N(kernel->module->arena, uint32_t, kernel->nodes.n);
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    for (uint32_t k = 0; k < node->n_in; k++) below[i] |= below[node->in[k]->id];
    again |= below[i] & node->over;
    folded |= node->over;
    below[i] |= node->over;
    if (!tn_knode_is_write(node)) continue;
    for (uint32_t k = 0; k < node->n_index; k++)
      for (uint32_t axis = 0; axis < kernel->space.n; axis++)
        if (tn_dim_uses(node->index[k], kernel->space.data[axis].symbol)) written |= 1u << axis;
  }
  for (uint32_t axis = 0; axis < kernel->space.n; axis++) {
    uint32_t bit = 1u << axis;
    kernel->space.data[axis].kind = (folded & bit) && ((written | again) & bit) ? TN_AXIS_ROW
                                    : (folded & bit)                            ? TN_AXIS_SUM
                                                                                : TN_AXIS_PAR;
  }
}

static void add_write(tn_lowering *l, emission *e, const tn_placement *to, const tn_value *value,
                      const tn_dim *const *index, tn_knode *node) {
  const tn_buffer *buffer = to->buffer;
  uint32_t arg = tn_kernel_add_arg(e->kernel, "out", buffer->type, buffer->storage, true);
  tn_karg *karg = &e->kernel->args.data[arg];
  karg->part_axis = to->is_part ? (int32_t)to->part_axis : -1;
  const tn_dim *at[TN_MAX_NDIM];
  for (uint32_t i = 0; i < value->type->ndim; i++)
    at[i] = to->shift[i] ? tn_dim_add(l->ctx, index[i], to->shift[i]) : index[i];
  if (to->is_part) {
    const tn_dim *zero = tn_dim_const(l->ctx, 0), *shift = to->shift[to->part_axis];
    karg->part_lo = shift ? shift : zero;
    karg->part_hi = tn_dim_add(l->ctx, karg->part_lo, value->type->dims[to->part_axis]);
  }
  tn_kernel_write(e->kernel, arg, at, node);
}

/* to: where the kernel's results go, in the order of its arguments. */
static void add_step(tn_lowering *l, emission *e, const tn_placement *const *to, uint32_t n, tn_loc loc) {
  tn_step *step = tn_step_add(l->program, l->steps, TN_STEP_KERNEL, loc);
  step->kernel = e->kernel;
  step->parts = 1;
  for (size_t i = 0; i < e->arg_keys.n; i++) {
    const tn_const *constant = e->constants.data[i];
    tn_buffer *buffer;
    if (constant) {
      buffer = tn_lower_constant(l, constant);
    } else {
      const tn_placement *p = tn_map_get(&l->placements, e->arg_values.data[i]);
      buffer = p->buffer;
    }
    TN_VEC_PUSH(l->module->arena, &step->args, buffer);
  }
  for (uint32_t i = 0; i < n; i++) TN_VEC_PUSH(l->module->arena, &step->args, to[i]->buffer);
}

static emission start_emission(tn_lowering *l, const tn_group *group, const char *name, tn_loc loc) {
  emission e = {.module = l->module, .ctx = l->ctx, .scratch = l->scratch, .groups = &l->groups,
                .group = group, .memo = tn_map_create(l->scratch), .base = find_base,
                .base_user = l};
  e.kernel = tn_kernel_create(l->module, name);
  e.kernel->loc = loc;
  return e;
}

static tn_loc group_loc(tn_lowering *l, const tn_group *group) {
  tn_loc loc = group->root->loc;
  for (uint32_t i = group->n_nodes - 1; i-- > 0;) loc = tn_loc_join(l->ctx, group->nodes[i]->loc, loc);
  return loc;
}

/* What one kernel writes. */
typedef struct written {
  uint32_t n;
  const tn_value **values;
  const tn_placement **to;
  tn_knode **nodes;
} written;

static void emit_one(emission *e, const tn_value *value, const tn_placement *to, const tn_dim *const *index,
                     written *all) {
  tn_knode *node = tn_emit(e, value, index);
  if (!node) e->failed = true;
  all->values[all->n] = value;
  all->to[all->n] = to;
  all->nodes[all->n++] = node;
}

/* value, and what else its group keeps, which has the same dims, at the same coordinates. */
static void emit_kept(tn_lowering *l, emission *e, const tn_group *group, const tn_value *value,
                      const tn_placement *to, const tn_dim *const *index, written *all) {
  uint32_t n = group ? group->n_kept : 0;
  all->values = TN_NEW_N(l->scratch, const tn_value *, (size_t)n + 1);
  all->to = TN_NEW_N(l->scratch, const tn_placement *, (size_t)n + 1);
  all->nodes = TN_NEW_N(l->scratch, tn_knode *, (size_t)n + 1);
  for (uint32_t i = 0; i < n; i++) {
    const tn_value *other = group->kept[i];
    if (other->def != group->root) emit_one(e, other, tn_map_get(&l->placements, other), index, all);
  }
  emit_one(e, value, to, index, all);
}

bool tn_lower_value(tn_lowering *l, const tn_group *group, const tn_value *value, const tn_placement *to) {
  const tn_node *end = l->block->last;
  tn_loc loc = group ? group_loc(l, group) : value->def ? value->def->loc : end->loc;
  emission e = start_emission(l, group, kernel_name(l, value, loc), loc);
  tn_loc_push(l->ctx, loc);
  const tn_dim *index[TN_MAX_NDIM];
  tn_emit_space(&e, group, value, index);
  written all = {0};
  emit_kept(l, &e, group, value, to, index, &all);
  for (uint32_t i = 0; i < all.n && !e.failed; i++) add_write(l, &e, all.to[i], all.values[i], index, all.nodes[i]);
  if (!e.failed) {
    tn_kernel_finish(e.kernel);
    mark_rows(e.kernel);
    tn_kernel_finish(e.kernel); /* the anchor depends on which axes are rows */
    add_step(l, &e, all.to, all.n, loc);
  }
  tn_loc_pop(l->ctx);
  return !e.failed;
}

/* An update of `to`, which holds x already, at each point of u. */
static bool emit_scatter(emission *e, const tn_node *node, const tn_placement *to) {
  static const tn_scalar scalars[] = {TN_K_SET, TN_ADD, TN_MUL, TN_MIN, TN_MAX}; /* by the op's modes */
  const tn_type *type = node->results[0]->type;
  const tn_value *u = node->operands[1].value;
  const tn_attr *axes = tn_node_attr(node, "axes");
  const tn_dim *index[TN_MAX_NDIM], *at[TN_MAX_NDIM] = {0};
  uint32_t next = node->operands[2].value->type->ndim;
  tn_emit_space(e, NULL, u, index);
  for (uint32_t k = 0; k < axes->u.list.n; k++) {
    int64_t axis = axes->u.list.ints[k];
    at[axis] = tn_emit_position(e, node->operands[2 + k].value, index, type->dims[axis]);
    if (!at[axis]) return false;
  }
  for (uint32_t i = 0; i < type->ndim; i++)
    if (!at[i]) at[i] = index[next++];
  tn_knode *value = tn_emit(e, u, index);
  if (!value || e->failed) return false;
  uint32_t arg = tn_kernel_add_arg(e->kernel, "out", to->buffer->type, to->buffer->storage, true);
  e->kernel->args.data[arg].part_axis = -1;
  tn_kernel_update(e->kernel, scalars[tn_node_attr(node, "mode")->u.i], arg, at, value);
  tn_kernel_finish(e->kernel);
  return true;
}

/* A copy of x, then its update. */
static bool lower_scatter(tn_lowering *l, const tn_group *group) {
  const tn_node *node = group->root;
  const tn_placement *to = tn_map_get(&l->placements, node->results[0]);
  tn_loc loc = group_loc(l, group);
  if (!tn_lower_value(l, NULL, node->operands[0].value, to)) return false;
  emission e = start_emission(l, group, kernel_name(l, node->results[0], loc), loc);
  tn_loc_push(l->ctx, loc);
  bool ok = emit_scatter(&e, node, to);
  if (ok) add_step(l, &e, &to, 1, loc);
  tn_loc_pop(l->ctx);
  return ok;
}

tn_buffer *tn_lower_whole_buffer(tn_lowering *l, const tn_value *value, bool *ok) {
  if (tn_value_const(value)) return tn_lower_constant(l, tn_value_const(value));
  const tn_placement *p = tn_map_get(&l->placements, value);
  if (p && !p->is_part && p->buffer->kind != TN_BUFFER_VIEW) return p->buffer;
  tn_placement to = {.buffer = tn_program_add_buffer(l->program, TN_BUFFER_ARENA, value->name, value->type,
                                                     tn_storage_row_major(l->module, value->type->ndim))};
  *ok &= tn_lower_value(l, NULL, value, &to);
  return to.buffer;
}

/* A step that reads the symbols; what the node computes, the same numbers, is computed from them where it is used. */
static bool lower_read(tn_lowering *l, const tn_group *group) {
  const tn_node *node = group->root;
  const tn_attr *dims = tn_node_attr(node, "dims");
  bool ok = true;
  tn_buffer *from = tn_lower_whole_buffer(l, node->operands[0].value, &ok);
  tn_step *step = tn_step_add(l->program, l->steps, TN_STEP_READ, node->loc);
  TN_VEC_PUSH(l->module->arena, &step->args, from);
  for (uint32_t i = 0; i < dims->u.list.n; i++)
    tn_step_add_read(l->program, step, tn_dim_lone_symbol(dims->u.list.dims[i]));
  const tn_value *result = node->results[0];
  return ok && (result->n_uses == 0 || tn_lower_value(l, group, result, tn_map_get(&l->placements, result)));
}

static bool is_concat_root(const tn_lowering *l, const tn_node *node) {
  return node->op == &tn_op_concat && node->group >= 0 && l->groups.groups[node->group].root == node;
}

/* What regions keep from run to run, or read a slice at a time, has a buffer of its own. */
static bool needs_own_buffer(const tn_value *value) {
  for (const tn_use *use = value->uses; use; use = use->next)
    if (use->user->n_regions > 0) return true;
  return value->def->n_regions > 0;
}

/* An extent that may turn out to be 1 is read at an index that depends on it. */
static bool repeats_by_chance(const tn_node *broadcast) {
  const tn_type *from = broadcast->operands[0].value->type, *to = broadcast->results[0]->type;
  const int64_t *map = tn_node_attr(broadcast, "map")->u.list.ints;
  for (uint32_t i = 0; i < from->ndim; i++)
    if (from->dims[i] != to->dims[map[i]] && from->dims[i]->lo <= 1 && !tn_dim_is(from->dims[i], 1)) return true;
  return false;
}

static bool reads_where_it_says(const tn_node *node, bool is_static) {
  const tn_opdef *op = node->op;
  if (op == &tn_op_broadcast) return !repeats_by_chance(node);
  if (op->kind == TN_OP_SCALAR || op == &tn_op_transpose || op == &tn_op_slice ||
      op == &tn_op_concat || op == &tn_op_dot || op == &tn_op_conv || op == &tn_op_conv_dx || op == &tn_op_window ||
      op == &tn_op_reduce || op == &tn_op_pad || op == &tn_op_fence || op == &tn_op_return || op == &tn_op_yield)
    return true;
  return is_static && op != &tn_op_gather && op != &tn_op_scatter && node->n_regions == 0;
}

/* Whether it can be proved of every reader that it stays inside the value: the buffer that the value is a part of goes
 * on beside it. A gather's index is in range only because it is checked against the whole buffer; where extents are
 * symbols, a reshape's quotients and remainders have no bounds that show it. */
static bool readers_stay_inside(const tn_lowering *l, const tn_value *value, tn_map *seen) {
  if (tn_map_has(seen, value)) return true;
  tn_map_set(seen, value, (void *)value);
  for (const tn_use *use = value->uses; use; use = use->next) {
    const tn_node *user = use->user;
    if (!reads_where_it_says(user, tn_type_is_static(value->type))) return false;
    for (uint32_t i = 0; i < user->n_results; i++)
      if (user->op != &tn_op_concat && !tn_groups_materialised(&l->groups, user->results[i]) &&
          !readers_stay_inside(l, user->results[i], seen))
        return false;
  }
  return true;
}

typedef struct early {
  const tn_type *part;
  bool ok;
} early;

static void find_later(void *user, const tn_symbol *symbol) {
  early *e = user;
  bool found = !tn_symbol_is_late(symbol);
  for (uint32_t i = 0; i < e->part->ndim && !found; i++) found = tn_dim_uses(e->part->dims[i], symbol);
  e->ok &= found;
}

/* Whether the whole's extents are known when the part is written: what is found while running has its part too. */
static bool is_known_with(const tn_type *part, const tn_type *whole) {
  early e = {part, true};
  for (uint32_t i = 0; i < whole->ndim; i++) tn_dim_symbols(whole->dims[i], find_later, &e);
  return e.ok;
}

/* Concat operands that their producers may write in place; inner concats come after outer ones (reverse order). */
static void place_parts(tn_lowering *l, const tn_node *concat) {
  const tn_placement *whole = tn_map_get(&l->placements, concat->results[0]);
  uint32_t axis = (uint32_t)tn_node_attr(concat, "axis")->u.i;
  const tn_dim *offset = whole->shift[axis] ? whole->shift[axis] : tn_dim_const(l->ctx, 0);
  for (uint32_t i = 0; i < concat->n_operands; i++) {
    const tn_value *operand = concat->operands[i].value;
    tn_map seen = tn_map_create(l->scratch);
    bool in_place = !l->is_apart && operand->def && !tn_value_const(operand) && operand->def->op != &tn_op_scatter &&
                    tn_groups_materialised(&l->groups, operand) &&
                    !tn_map_has(&l->placements, operand) && !needs_own_buffer(operand) &&
                    is_known_with(operand->type, whole->buffer->type) && readers_stay_inside(l, operand, &seen) &&
                    operand->type->dtype == concat->results[0]->type->dtype;
    if (in_place) {
      tn_placement *part = tn_lower_place(l, operand, whole->buffer);
      memcpy(part->shift, whole->shift, sizeof(part->shift));
      part->is_part = true;
      part->part_axis = axis;
      part->shift[axis] = offset;
    }
    offset = tn_dim_add(l->ctx, offset, operand->type->dims[axis]);
  }
}

static void place_results(tn_lowering *l) {
  const tn_node *end = l->block->last;
  for (uint32_t i = 0; i < end->n_operands; i++) {
    const tn_value *value = end->operands[i].value;
    tn_buffer *buffer = tn_program_add_buffer(l->program, TN_BUFFER_OUTPUT, l->func->result_names.data[i], value->type,
                                              tn_storage_row_major(l->module, value->type->ndim));
    buffer->index = i;
    bool in_place = value->def && !tn_value_const(value) && !tn_map_has(&l->placements, value) &&
                    !tn_lower_is_carried(value);
    if (in_place) tn_lower_place(l, value, buffer);
  }
}

static tn_buffer *output_buffer(tn_lowering *l, uint32_t index) {
  for (size_t i = 0; i < l->program->buffers.n; i++) {
    tn_buffer *buffer = l->program->buffers.data[i];
    if (buffer->kind == TN_BUFFER_OUTPUT && buffer->index == index) return buffer;
  }
  return NULL;
}

static void place_arguments(tn_lowering *l) {
  for (size_t i = 0; i < l->block->params.n; i++) {
    const tn_value *param = l->block->params.data[i];
    tn_buffer *buffer = tn_program_add_buffer(l->program, TN_BUFFER_INPUT, param->name, param->type,
                                              tn_storage_row_major(l->module, param->type->ndim));
    buffer->index = (uint32_t)i;
    tn_lower_place(l, param, buffer);
  }
}

void tn_lower_place_roots(tn_lowering *l) {
  for (uint32_t i = l->groups.n; i-- > 0;) {
    const tn_group *group = &l->groups.groups[i];
    for (uint32_t k = 0; k < group->n_kept; k++) {
      const tn_value *value = group->kept[k];
      bool is_unread = group->root->op == &tn_op_dim_read && value->n_uses == 0;
      if (tn_map_has(&l->placements, value) || is_unread) continue;
      const char *name = value->name && *value->name ? value->name : tn_namef(l->ctx, "v%u", i);
      tn_buffer *buffer = tn_program_add_buffer(l->program, TN_BUFFER_ARENA, name, value->type, storage_of(l, value));
      tn_lower_place(l, value, buffer);
    }
    if (is_concat_root(l, group->root)) place_parts(l, group->root);
  }
}

/* Copies the operands that do not lie in the concat's buffer already. */
static bool lower_concat(tn_lowering *l, const tn_node *concat) {
  const tn_placement *whole = tn_map_get(&l->placements, concat->results[0]);
  uint32_t axis = (uint32_t)tn_node_attr(concat, "axis")->u.i;
  const tn_dim *offset = whole->shift[axis] ? whole->shift[axis] : tn_dim_const(l->ctx, 0);
  bool ok = true;
  for (uint32_t i = 0; i < concat->n_operands; i++) {
    const tn_value *operand = concat->operands[i].value;
    const tn_placement *lies = tn_groups_materialised(&l->groups, operand) ? tn_map_get(&l->placements, operand) : NULL;
    bool in_place = lies && lies->is_part && lies->buffer == whole->buffer && lies->shift[axis] == offset;
    if (!in_place && !tn_dim_is(operand->type->dims[axis], 0)) {
      tn_placement to = *whole;
      to.is_part = true;
      to.part_axis = axis;
      to.shift[axis] = offset;
      ok &= tn_lower_value(l, NULL, operand, &to);
    }
    offset = tn_dim_add(l->ctx, offset, operand->type->dims[axis]);
  }
  return ok;
}

static bool lower_results(tn_lowering *l) {
  const tn_node *end = l->block->last;
  bool ok = true;
  for (uint32_t i = 0; i < end->n_operands; i++) {
    const tn_value *value = end->operands[i].value;
    tn_buffer *buffer = output_buffer(l, i);
    const tn_placement *p = tn_value_const(value) ? NULL : tn_map_get(&l->placements, value);
    if (p && p->buffer == buffer) continue;
    tn_placement to = {.buffer = buffer};
    ok &= tn_lower_value(l, NULL, value, &to);
  }
  return ok;
}

/* Each input symbol is bound by the first argument axis that is just this symbol. */
static bool bind_symbols(tn_lowering *l) {
  tn_block *body = l->func->body;
  for (size_t i = 0; i < body->params.n; i++) {
    const tn_type *type = body->params.data[i]->type;
    for (uint32_t axis = 0; axis < type->ndim; axis++) {
      const tn_dim *dim = type->dims[axis];
      if (dim->n_terms != 1 || dim->terms[0].coefficient != 1 || dim->terms[0].n_atoms != 1) continue;
      const tn_atom *atom = dim->terms[0].atoms[0];
      if (atom->kind != TN_ATOM_SYMBOL) continue;
      bool known = false;
      for (size_t k = 0; k < l->program->bindings.n; k++) known |= l->program->bindings.data[k].symbol == atom->symbol;
      tn_binding binding = {atom->symbol, (uint32_t)i, axis};
      if (!known) TN_VEC_PUSH(l->module->arena, &l->program->bindings, binding);
    }
  }
  for (size_t i = 0; i < l->func->guards.n; i++)
    TN_VEC_PUSH(l->module->arena, &l->program->guards, l->func->guards.data[i]);
  return true;
}

bool tn_lower_groups(tn_lowering *l) {
  bool ok = true;
  for (uint32_t i = 0; i < l->groups.n; i++) {
    const tn_group *group = &l->groups.groups[i];
    const tn_value *value = group->root->n_results > 0 ? group->root->results[0] : NULL;
    if (group->root->n_regions > 0) ok &= tn_lower_regions(l, group->root);
    else if (is_concat_root(l, group->root)) ok &= lower_concat(l, group->root);
    else if (group->root->op == &tn_op_scatter) ok &= lower_scatter(l, group);
    else if (group->root->op == &tn_op_dim_read) ok &= lower_read(l, group);
    else ok &= tn_lower_value(l, group, value, tn_map_get(&l->placements, value));
  }
  return ok;
}

bool tn_pass_lower(tn_pass_context *context) {
  tn_lowering l = {.module = context->module, .ctx = context->ctx, .func = context->entry,
                   .block = context->entry->body, .scratch = tn_arena_create_scratch(context->ctx->arena),
                   .is_apart = context->is_apart};
  l.program = tn_program_create(l.module, l.func, l.func->name);
  l.steps = &l.program->steps;
  l.groups = tn_groups_of(l.block, l.scratch);
  l.placements = tn_map_create(l.scratch);
  l.constant_buffers = tn_map_create(l.scratch);
  bool ok = bind_symbols(&l);
  place_arguments(&l);
  place_results(&l);
  tn_lower_place_roots(&l);
  ok &= tn_lower_groups(&l);
  ok &= lower_results(&l);
  context->program = l.program;
  tn_arena_destroy(l.scratch);
  return ok;
}
