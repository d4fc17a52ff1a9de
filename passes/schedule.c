/* Scheduling: the backend says how it will make each kernel: scratch, parts, and the formats of packed constants. A
 * constant that kernels want in different formats gets a buffer for each. */
#include <string.h>

#include "passes/passes.h"

static bool same_format(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

/* The packed buffers of a constant, one a format. */
typedef struct formats {
  TN_VEC(tn_buffer *) buffers;
} formats;

typedef struct scheduling {
  tn_pass_context *context;
  tn_program *program;
  tn_arena *scratch;
  tn_map formats; /* tn_const -> formats */
} scheduling;

/* The buffer of the same constant in this format; made when it is the first. */
static tn_buffer *buffer_in_format(scheduling *s, tn_buffer *buffer, const char *format) {
  if (same_format(buffer->format, format)) return buffer;
  formats *known = tn_map_get(&s->formats, buffer->constant);
  if (!known) {
    known = TN_NEW(s->scratch, formats);
    tn_map_set(&s->formats, buffer->constant, known);
  }
  for (size_t i = 0; i < known->buffers.n; i++)
    if (same_format(known->buffers.data[i]->format, format)) return known->buffers.data[i];
  tn_buffer *made = tn_program_add_buffer(s->program, TN_BUFFER_CONST, buffer->name, buffer->type, buffer->storage);
  made->constant = buffer->constant;
  made->format = format;
  TN_VEC_PUSH(s->scratch, &known->buffers, made);
  return made;
}

static bool schedule_step(scheduling *s, tn_step *step) {
  tn_pass_context *context = s->context;
  tn_program *program = s->program;
  tn_schedule schedule = {0};
  if (!context->backend->schedule(context->target, step->kernel, context->module->arena, &schedule)) return false;
  step->scratch_bytes = schedule.scratch_bytes;
  step->parts = schedule.parts ? schedule.parts : 1;
  step->strategy = schedule.strategy;
  for (size_t i = 0; i < step->args.n; i++)
    if (schedule.formats && schedule.formats[i] && step->args.data[i]->kind == TN_BUFFER_CONST)
      step->args.data[i] = buffer_in_format(s, step->args.data[i], schedule.formats[i]);
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
  scheduling s = {context, program, scratch, tn_map_create(scratch)};
  for (size_t i = 0; i < steps.n; i++)
    if (steps.data[i]->kind == TN_STEP_KERNEL) ok &= schedule_step(&s, steps.data[i]);
  drop_unused_constants(program, &steps, scratch);
  tn_arena_destroy(scratch);
  return ok;
}
