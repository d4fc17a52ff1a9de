/* Scheduling: the backend says how it will make each kernel: scratch, parts, and the formats of packed constants. A
 * constant that kernels want in different formats gets a buffer for each. */
#include <string.h>

#include "passes/passes.h"

static bool same_format(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

/* The buffer of the same constant in this format; made when it is the first. */
static tn_buffer *buffer_in_format(tn_program *program, tn_buffer *buffer, const char *format) {
  if (same_format(buffer->format, format)) return buffer;
  for (size_t i = 0; i < program->buffers.n; i++) {
    tn_buffer *other = program->buffers.data[i];
    if (other->kind == TN_BUFFER_CONST && other->constant == buffer->constant && same_format(other->format, format))
      return other;
  }
  tn_buffer *made = tn_program_add_buffer(program, TN_BUFFER_CONST, buffer->name, buffer->type, buffer->storage);
  made->constant = buffer->constant;
  made->format = format;
  return made;
}

static bool schedule_step(tn_pass_context *context, tn_step *step) {
  tn_program *program = context->program;
  tn_schedule schedule = {0};
  if (!context->backend->schedule(context->target, step->kernel, context->module->arena, &schedule)) return false;
  step->scratch_bytes = schedule.scratch_bytes;
  step->parts = schedule.parts ? schedule.parts : 1;
  step->strategy = schedule.strategy;
  for (size_t i = 0; i < step->args.n; i++)
    if (schedule.formats && schedule.formats[i] && step->args.data[i]->kind == TN_BUFFER_CONST)
      step->args.data[i] = buffer_in_format(program, step->args.data[i], schedule.formats[i]);
  if (schedule.scratch_bytes && !tn_dim_is(schedule.scratch_bytes, 0)) {
    /* One piece a worker, each on cache lines of its own. */
    const tn_dim *lines = tn_dim_ceildiv(context->ctx, schedule.scratch_bytes, 64);
    const tn_dim *elements = tn_dim_mul_i(context->ctx, lines, 16 * (int64_t)context->max_workers);
    const tn_type *type = tn_type_tensor(context->ctx, TN_F32, 1, &elements);
    step->scratch =
        tn_program_add_buffer(program, TN_BUFFER_ARENA, tn_namef(context->ctx, "scratch.%s", step->kernel->name), type,
                              tn_storage_row_major(context->module, 1));
  }
  return true;
}

/* Constants that no step reads any more (all its readers took packed ones) are not placed. */
static void drop_unused_constants(tn_program *program, const tn_steps *steps, tn_arena *scratch) {
  bool *used = TN_NEW_N(scratch, bool, program->buffers.n);
  for (size_t s = 0; s < steps->n; s++)
    for (size_t a = 0; a < steps->data[s]->args.n; a++) used[steps->data[s]->args.data[a]->id] = true;
  for (size_t i = 0; i < program->buffers.n; i++)
    if (program->buffers.data[i]->kind == TN_BUFFER_VIEW) used[program->buffers.data[i]->owner->id] = true;
  size_t kept = 0;
  for (size_t i = 0; i < program->buffers.n; i++) {
    tn_buffer *buffer = program->buffers.data[i];
    if (buffer->kind == TN_BUFFER_CONST && !used[buffer->id]) continue;
    buffer->id = (uint32_t)kept;
    program->buffers.data[kept++] = buffer;
  }
  program->buffers.n = kept;
}

bool tn_pass_schedule(tn_pass_context *context) {
  tn_program *program = context->program;
  program->target = context->target->cpu_resolved;
  bool ok = true;
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  tn_steps steps = tn_program_all_steps(program, scratch);
  for (size_t i = 0; i < steps.n; i++)
    if (steps.data[i]->kind == TN_STEP_KERNEL) ok &= schedule_step(context, steps.data[i]);
  drop_unused_constants(program, &steps, scratch);
  tn_arena_destroy(scratch);
  return ok;
}
