/* Programs: constructors, and the tree of steps as a list. */
#include "ir/program.h"

tn_program *tn_program_create(tn_module *module, tn_func *func, const char *name) {
  tn_program *program = TN_NEW(module->arena, tn_program);
  program->module = module;
  program->func = func;
  program->name = tn_name(module->ctx, name);
  program->buffer_names = tn_map_create(module->arena);
  program->buffer_suffixes = tn_map_create(module->arena);
  TN_VEC_PUSH(module->arena, &module->programs, program);
  return program;
}

tn_buffer *tn_program_add_buffer(tn_program *program, tn_buffer_kind kind, const char *name, const tn_type *type,
                                 const tn_storage *storage) {
  tn_module *module = program->module;
  tn_buffer *buffer = TN_NEW(module->arena, tn_buffer);
  const char *base = tn_name(module->ctx, name && name[0] ? name : "buf");
  buffer->kind = kind;
  buffer->name = tn_name_fresh(module->ctx, &program->buffer_names, &program->buffer_suffixes, base);
  tn_map_set(&program->buffer_names, buffer->name, buffer);
  buffer->id = (uint32_t)program->buffers.n;
  buffer->type = type;
  buffer->slot = TN_NO_SLOT;
  buffer->storage = storage ? storage : tn_storage_row_major(module, type->ndim);
  TN_VEC_PUSH(module->arena, &program->buffers, buffer);
  return buffer;
}

tn_step *tn_step_add(tn_program *program, tn_steps *steps, tn_step_kind kind, tn_loc loc) {
  tn_step *step = TN_NEW(program->module->arena, tn_step);
  step->kind = kind;
  step->loc = loc;
  step->parts = 1;
  TN_VEC_PUSH(program->module->arena, steps, step);
  return step;
}

tn_buffer *tn_program_add_view(tn_program *program, tn_buffer *owner, const tn_dim *at) {
  const tn_type *whole = owner->type;
  TN_ASSERT(owner->kind != TN_BUFFER_VIEW && whole->ndim > 0 && owner->storage->order[0] == 0);
  const tn_type *type = tn_type_tensor(program->module->ctx, whole->dtype, whole->ndim - 1, whole->dims + 1);
  tn_storage storage = *owner->storage;
  storage.ndim--;
  for (uint32_t k = 0; k < storage.ndim; k++) storage.order[k] = (uint8_t)(owner->storage->order[k + 1] - 1);
  storage.order[storage.ndim] = 0;
  tn_buffer *view = tn_program_add_buffer(program, TN_BUFFER_VIEW, owner->name, type,
                                          tn_storage_intern(program->module, &storage));
  view->owner = owner;
  view->at = at;
  return view;
}

const tn_dim *tn_view_offset(tn_ctx *ctx, const tn_buffer *view) {
  const tn_dim *strides[TN_MAX_NDIM], *total;
  tn_storage_strides(ctx, view->owner->type, view->owner->storage, strides, &total);
  return tn_dim_mul(ctx, view->at, tn_dim_mul_i(ctx, strides[0], (int64_t)tn_dtype_bytes(view->type->dtype)));
}

bool tn_step_is_loop(const tn_step *step) { return step->kind == TN_STEP_LOOP || step->kind == TN_STEP_WHILE; }

const char *tn_step_name(const tn_step *step) {
  switch (step->kind) {
    case TN_STEP_KERNEL: return step->kernel->name;
    case TN_STEP_COPY: return "copy";
    case TN_STEP_LOOP: return "loop";
    case TN_STEP_WHILE: return "while";
    case TN_STEP_IF: return "if";
    case TN_STEP_READ: return "read";
    case TN_STEP_CHECK: return "check";
  }
  return "";
}

static void append(tn_steps *all, const tn_steps *steps, tn_arena *arena) {
  for (size_t i = 0; i < steps->n; i++) {
    TN_VEC_PUSH(arena, all, steps->data[i]);
    append(all, &steps->data[i]->body, arena);
    append(all, &steps->data[i]->otherwise, arena);
  }
}

uint32_t tn_steps_count(const tn_steps *steps) {
  uint32_t n = 0;
  for (size_t i = 0; i < steps->n; i++)
    n += 1 + tn_steps_count(&steps->data[i]->body) + tn_steps_count(&steps->data[i]->otherwise);
  return n;
}

tn_steps tn_program_all_steps(const tn_program *program, tn_arena *arena) {
  tn_steps all = {0};
  append(&all, &program->steps, arena);
  return all;
}
