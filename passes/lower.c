/* Lowering: each group becomes one kernel and one step, each kept value a buffer.
 *
 * Results of the entry are written where the caller wants them. A concat is a buffer that its producers write parts of;
 * only operands that cannot (arguments, constants, values that lie elsewhere already) are copied into it. */
#include <ctype.h>
#include <string.h>

#include "ir/program.h"
#include "passes/emission.h"
#include "passes/passes.h"

/* Where a kept value lies: in a buffer, whole or at shift inside it. */
typedef struct placement {
  tn_buffer *buffer;
  bool is_part;
  uint32_t part_axis; /* of the innermost concat */
  const tn_dim *shift[TN_MAX_NDIM];
} placement;

typedef struct lowering {
  tn_module *module;
  tn_ctx *ctx;
  tn_func *func;
  tn_program *program;
  tn_arena *scratch;
  tn_groups groups;
  tn_map placements;       /* tn_value -> placement */
  tn_map constant_buffers; /* tn_const -> tn_buffer */
  tn_map kernel_names;
  bool ok;
} lowering;

static const tn_storage *storage_of(lowering *l, const tn_value *value) {
  return value->storage ? value->storage : tn_storage_row_major(l->module, value->type->ndim);
}

static placement *place(lowering *l, const tn_value *value, tn_buffer *buffer) {
  placement *p = TN_NEW(l->scratch, placement);
  p->buffer = buffer;
  tn_map_set(&l->placements, value, p);
  return p;
}

static bool find_base(void *user, const tn_value *value, tn_memory_view *out) {
  lowering *l = user;
  if (tn_value_const(value)) {
    out->type = value->type;
    out->storage = tn_storage_row_major(l->module, value->type->ndim);
    return true;
  }
  const placement *p = tn_map_get(&l->placements, value);
  if (!p) return false;
  out->type = p->buffer->type;
  out->storage = p->buffer->storage;
  out->is_part = p->is_part;
  memcpy(out->shift, p->shift, sizeof(p->shift));
  return true;
}

static tn_buffer *constant_buffer(lowering *l, const tn_const *constant) {
  tn_buffer *buffer = tn_map_get(&l->constant_buffers, constant);
  if (buffer) return buffer;
  buffer = tn_program_add_buffer(l->program, TN_BUFFER_CONST, constant->name, constant->type,
                                 tn_storage_row_major(l->module, constant->type->ndim));
  buffer->constant = (tn_const *)constant;
  tn_map_set(&l->constant_buffers, constant, buffer);
  return buffer;
}

/* The model's own name for what a node computes, as an identifier that no other kernel has. */
static const char *kernel_name(lowering *l, const tn_value *value, tn_loc loc) {
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
  const char *name = tn_intern(l->ctx->strings, text, n);
  for (unsigned k = 2; tn_map_has(&l->kernel_names, name); k++) name = tn_namef(l->ctx, "%.*s_%u", (int)n, text, k);
  tn_map_set(&l->kernel_names, name, (void *)name);
  return name;
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
    if (node->kind != TN_K_WRITE) continue;
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

static void add_write(lowering *l, emission *e, const placement *to, const tn_value *value,
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

static void add_step(lowering *l, emission *e, const placement *to, tn_loc loc) {
  tn_step *step = tn_program_add_step(l->program, TN_STEP_KERNEL, loc);
  step->kernel = e->kernel;
  step->parts = 1;
  for (size_t i = 0; i < e->arg_keys.n; i++) {
    const tn_const *constant = e->constants.data[i];
    tn_buffer *buffer;
    if (constant) {
      buffer = constant_buffer(l, constant);
    } else {
      const placement *p = tn_map_get(&l->placements, e->arg_values.data[i]);
      buffer = p->buffer;
    }
    TN_VEC_PUSH(l->module->arena, &step->args, buffer);
  }
  TN_VEC_PUSH(l->module->arena, &step->args, to->buffer);
}

static tn_loc group_loc(lowering *l, const tn_group *group) {
  tn_loc loc = group->root->loc;
  for (const tn_node *node = group->root->previous; node; node = node->previous)
    if (node->group == group->root->group) loc = tn_loc_join(l->ctx, node->loc, loc);
  return loc;
}

/* One kernel that computes value (the group's result, or a copy of what lies elsewhere) into its place. */
static bool lower_value(lowering *l, const tn_group *group, const tn_value *value, const placement *to) {
  emission e = {.module = l->module, .ctx = l->ctx, .scratch = l->scratch, .groups = &l->groups,
                .root = group ? group->root : NULL, .memo = tn_map_create(l->scratch), .base = find_base,
                .base_user = l};
  const tn_node *end = l->func->body->last;
  tn_loc loc = group ? group_loc(l, group) : value->def ? value->def->loc : end->loc;
  e.kernel = tn_kernel_create(l->module, kernel_name(l, value, loc));
  e.kernel->loc = loc;
  tn_loc_push(l->ctx, loc);
  const tn_dim *index[TN_MAX_NDIM];
  tn_emit_space(&e, group, value, index);
  tn_knode *node = tn_emit(&e, value, index);
  if (node && !e.failed) {
    add_write(l, &e, to, value, index, node);
    tn_kernel_finish(e.kernel);
    mark_rows(e.kernel);
    tn_kernel_finish(e.kernel); /* the anchor depends on which axes are rows */
    add_step(l, &e, to, loc);
  }
  tn_loc_pop(l->ctx);
  return node && !e.failed;
}

static bool is_concat_root(const lowering *l, const tn_node *node) {
  return node->op == &tn_op_concat && node->group >= 0 && l->groups.groups[node->group].root == node;
}

/* Concat operands that their producers may write in place; inner concats come after outer ones (reverse order). */
static void place_parts(lowering *l, const tn_node *concat) {
  const placement *whole = tn_map_get(&l->placements, concat->results[0]);
  uint32_t axis = (uint32_t)tn_node_attr(concat, "axis")->u.i;
  const tn_dim *offset = whole->shift[axis] ? whole->shift[axis] : tn_dim_const(l->ctx, 0);
  for (uint32_t i = 0; i < concat->n_operands; i++) {
    const tn_value *operand = concat->operands[i].value;
    bool in_place = operand->def && !tn_value_const(operand) && tn_groups_materialised(&l->groups, operand) &&
                    !tn_map_has(&l->placements, operand) &&
                    operand->type->dtype == concat->results[0]->type->dtype;
    if (in_place) {
      placement *part = place(l, operand, whole->buffer);
      memcpy(part->shift, whole->shift, sizeof(part->shift));
      part->is_part = true;
      part->part_axis = axis;
      part->shift[axis] = offset;
    }
    offset = tn_dim_add(l->ctx, offset, operand->type->dims[axis]);
  }
}

static void place_results(lowering *l) {
  const tn_node *end = l->func->body->last;
  for (uint32_t i = 0; i < end->n_operands; i++) {
    const tn_value *value = end->operands[i].value;
    tn_buffer *buffer = tn_program_add_buffer(l->program, TN_BUFFER_OUTPUT, l->func->result_names.data[i], value->type,
                                              tn_storage_row_major(l->module, value->type->ndim));
    buffer->index = i;
    if (value->def && !tn_value_const(value) && !tn_map_has(&l->placements, value)) place(l, value, buffer);
  }
}

static tn_buffer *output_buffer(lowering *l, uint32_t index) {
  for (size_t i = 0; i < l->program->buffers.n; i++) {
    tn_buffer *buffer = l->program->buffers.data[i];
    if (buffer->kind == TN_BUFFER_OUTPUT && buffer->index == index) return buffer;
  }
  return NULL;
}

static void place_all(lowering *l) {
  for (size_t i = 0; i < l->func->body->params.n; i++) {
    const tn_value *param = l->func->body->params.data[i];
    tn_buffer *buffer = tn_program_add_buffer(l->program, TN_BUFFER_INPUT, param->name, param->type,
                                              tn_storage_row_major(l->module, param->type->ndim));
    buffer->index = (uint32_t)i;
    place(l, param, buffer);
  }
  place_results(l);
  for (uint32_t i = l->groups.n; i-- > 0;) {
    const tn_node *root = l->groups.groups[i].root;
    const tn_value *value = root->results[0];
    if (!tn_map_has(&l->placements, value)) {
      const char *name = value->name && *value->name ? value->name : tn_namef(l->ctx, "v%u", i);
      place(l, value, tn_program_add_buffer(l->program, TN_BUFFER_ARENA, name, value->type, storage_of(l, value)));
    }
    if (is_concat_root(l, root)) place_parts(l, root);
  }
}

/* Copies the operands that do not lie in the concat's buffer already. */
static bool lower_concat(lowering *l, const tn_node *concat) {
  const placement *whole = tn_map_get(&l->placements, concat->results[0]);
  uint32_t axis = (uint32_t)tn_node_attr(concat, "axis")->u.i;
  const tn_dim *offset = whole->shift[axis] ? whole->shift[axis] : tn_dim_const(l->ctx, 0);
  bool ok = true;
  for (uint32_t i = 0; i < concat->n_operands; i++) {
    const tn_value *operand = concat->operands[i].value;
    const placement *lies = tn_groups_materialised(&l->groups, operand) ? tn_map_get(&l->placements, operand) : NULL;
    bool in_place = lies && lies->is_part && lies->buffer == whole->buffer && lies->shift[axis] == offset;
    if (!in_place && !tn_dim_is(operand->type->dims[axis], 0)) {
      placement to = *whole;
      to.is_part = true;
      to.part_axis = axis;
      to.shift[axis] = offset;
      ok &= lower_value(l, NULL, operand, &to);
    }
    offset = tn_dim_add(l->ctx, offset, operand->type->dims[axis]);
  }
  return ok;
}

static bool lower_results(lowering *l) {
  const tn_node *end = l->func->body->last;
  bool ok = true;
  for (uint32_t i = 0; i < end->n_operands; i++) {
    const tn_value *value = end->operands[i].value;
    tn_buffer *buffer = output_buffer(l, i);
    const placement *p = tn_value_const(value) ? NULL : tn_map_get(&l->placements, value);
    if (p && p->buffer == buffer) continue;
    placement to = {.buffer = buffer};
    ok &= lower_value(l, NULL, value, &to);
  }
  return ok;
}

/* Each input symbol is bound by the first argument axis that is just this symbol. */
static bool bind_symbols(lowering *l) {
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

bool tn_pass_lower(tn_pass_context *context) {
  lowering l = {.module = context->module, .ctx = context->ctx, .func = context->entry,
                .scratch = tn_arena_create_scratch(context->ctx->arena)};
  l.program = tn_program_create(l.module, l.func, l.func->name);
  l.groups = tn_groups_of(l.func, l.scratch);
  l.placements = tn_map_create(l.scratch);
  l.constant_buffers = tn_map_create(l.scratch);
  l.kernel_names = tn_map_create(l.scratch);
  bool ok = bind_symbols(&l);
  place_all(&l);
  for (uint32_t i = 0; i < l.groups.n; i++) {
    const tn_group *group = &l.groups.groups[i];
    const tn_value *value = group->root->results[0];
    ok &= is_concat_root(&l, group->root) ? lower_concat(&l, group->root)
                                          : lower_value(&l, group, value, tn_map_get(&l.placements, value));
  }
  ok &= lower_results(&l);
  context->program = l.program;
  tn_arena_destroy(l.scratch);
  return ok;
}
