/* Programs: plain constructors. */
#include "ir/program.h"

tn_program *tn_program_create(tn_module *module, tn_func *func, const char *name) {
  tn_program *program = TN_NEW(module->arena, tn_program);
  program->module = module;
  program->func = func;
  program->name = tn_name(module->ctx, name);
  program->buffer_names = tn_map_create(module->arena);
  TN_VEC_PUSH(module->arena, &module->programs, program);
  return program;
}

tn_buffer *tn_program_add_buffer(tn_program *program, tn_buffer_kind kind, const char *name, const tn_type *type,
                                 const tn_storage *storage) {
  tn_module *module = program->module;
  tn_buffer *buffer = TN_NEW(module->arena, tn_buffer);
  const char *base = tn_name(module->ctx, name && name[0] ? name : "buf");
  buffer->kind = kind;
  buffer->name = base;
  for (uint32_t i = 2; tn_map_has(&program->buffer_names, buffer->name); i++)
    buffer->name = tn_namef(module->ctx, "%s_%u", base, i);
  tn_map_set(&program->buffer_names, buffer->name, buffer);
  buffer->id = (uint32_t)program->buffers.n;
  buffer->type = type;
  buffer->storage = storage ? storage : tn_storage_row_major(module, type->ndim);
  TN_VEC_PUSH(module->arena, &program->buffers, buffer);
  return buffer;
}

tn_step *tn_program_add_step(tn_program *program, tn_step_kind kind, tn_loc loc) {
  tn_step *step = TN_NEW(program->module->arena, tn_step);
  step->kind = kind;
  step->loc = loc;
  step->parts = 1;
  TN_VEC_PUSH(program->module->arena, &program->steps, step);
  return step;
}
