/* Prints programs. */
#include "ir/text/print.h"

static void print_dim_field(tn_printer *p, const char *name, const tn_dim *dim) {
  if (!dim) return;
  tn_buf_printf(p->out, " %s ", name);
  tn_dim_print(dim, p->out);
}

static void print_buffer(tn_printer *p, const tn_buffer *buffer) {
  tn_buf_puts(p->out, "  buf ");
  tn_print_name(p, '%', buffer->name);
  tn_buf_puts(p->out, ": ");
  tn_print_type(p, buffer->type, buffer->storage);
  switch (buffer->kind) {
    case TN_BUFFER_INPUT: tn_buf_printf(p->out, " in %u", buffer->index); break;
    case TN_BUFFER_OUTPUT:
      tn_buf_printf(p->out, " out %u", buffer->index);
      if (buffer->donor) {
        tn_buf_puts(p->out, " in_place_of ");
        tn_print_name(p, '%', buffer->donor->name);
      }
      if (buffer->bytes) tn_buf_printf(p->out, " live %u..%u", buffer->live_first, buffer->live_last);
      break;
    case TN_BUFFER_ARENA: tn_buf_printf(p->out, " arena live %u..%u", buffer->live_first, buffer->live_last); break;
    case TN_BUFFER_CONST:
      tn_buf_puts(p->out, " const ");
      tn_print_name(p, '@', buffer->constant->name);
      break;
    case TN_BUFFER_VIEW:
      tn_buf_puts(p->out, " view ");
      tn_print_name(p, '%', buffer->owner->name);
      tn_print_dims(p, &buffer->at, 1);
      break;
  }
  print_dim_field(p, "bytes", buffer->bytes);
  print_dim_field(p, "offset", buffer->offset);
  if (buffer->slot != TN_NO_SLOT) tn_buf_printf(p->out, " slot %u", buffer->slot);
  if (buffer->format) {
    tn_buf_puts(p->out, " packed ");
    tn_print_quoted(p, buffer->format);
  }
  tn_buf_putc(p->out, '\n');
}

static void print_steps(tn_printer *p, const tn_program *program, const tn_steps *steps, uint32_t *number);

/* A step with others inside. */
static void print_outer_step(tn_printer *p, const tn_program *program, const tn_step *step, uint32_t *number) {
  tn_buf_printf(p->out, "%s ", tn_step_name(step));
  if (step->kind == TN_STEP_LOOP) tn_buf_puts(p->out, step->symbol->name);
  else tn_print_name(p, '%', step->args.data[0]->name);
  tn_buf_puts(p->out, " {\n");
  print_steps(p, program, &step->body, number);
  tn_print_indent(p);
  if (step->kind == TN_STEP_IF) {
    tn_buf_puts(p->out, "} else {\n");
    print_steps(p, program, &step->otherwise, number);
    tn_print_indent(p);
  }
  tn_buf_putc(p->out, '}');
  tn_print_loc_ref(p, step->loc);
  tn_buf_putc(p->out, '\n');
}

static void print_read_step(tn_printer *p, const tn_step *step) {
  tn_buf_puts(p->out, "read ");
  tn_print_name(p, '%', step->args.data[0]->name);
  for (size_t i = 0; i < step->reads.n; i++)
    tn_buf_printf(p->out, "%s%s", i > 0 ? ", " : " -> ", step->reads.data[i]->name);
  tn_print_loc_ref(p, step->loc);
  tn_buf_putc(p->out, '\n');
}

static void print_check_step(tn_printer *p, const tn_program *program, const tn_step *step) {
  tn_buf_puts(p->out, "check");
  tn_print_loc_ref(p, step->loc);
  tn_buf_putc(p->out, '\n');
  p->indent++;
  for (size_t i = 0; i < step->guards.n; i++) tn_print_guard(p, &program->guards.data[step->guards.data[i]]);
  p->indent--;
}

static void print_step(tn_printer *p, const tn_program *program, const tn_step *step, uint32_t *number) {
  tn_print_indent(p);
  tn_buf_printf(p->out, "step %u ", (*number)++);
  if (step->kind == TN_STEP_CHECK) {
    print_check_step(p, program, step);
    return;
  }
  if (step->kind == TN_STEP_READ) {
    print_read_step(p, step);
    return;
  }
  if (step->kind != TN_STEP_KERNEL && step->kind != TN_STEP_COPY) {
    print_outer_step(p, program, step, number);
    return;
  }
  if (step->kind == TN_STEP_COPY) tn_buf_puts(p->out, "copy");
  else tn_buf_printf(p->out, "kernel @%s", step->kernel->name);
  tn_buf_puts(p->out, " (");
  for (size_t i = 0; i < step->args.n; i++) {
    if (i > 0) tn_buf_puts(p->out, ", ");
    tn_print_name(p, '%', step->args.data[i]->name);
  }
  tn_buf_printf(p->out, ") parts %u", step->parts);
  if (step->strategy) {
    tn_buf_puts(p->out, " as ");
    tn_print_quoted(p, step->strategy);
  }
  print_dim_field(p, "scratch", step->scratch_bytes);
  if (step->scratch) {
    tn_buf_puts(p->out, " in ");
    tn_print_name(p, '%', step->scratch->name);
  }
  tn_print_loc_ref(p, step->loc);
  tn_buf_putc(p->out, '\n');
}

static void print_steps(tn_printer *p, const tn_program *program, const tn_steps *steps, uint32_t *number) {
  p->indent++;
  for (size_t i = 0; i < steps->n; i++) print_step(p, program, steps->data[i], number);
  p->indent--;
}

void tn_print_program(tn_printer *p, const tn_program *program) {
  tn_buf_puts(p->out, "\nprogram ");
  tn_print_name(p, '@', program->name);
  if (program->func) {
    tn_buf_puts(p->out, " of ");
    tn_print_name(p, '@', program->func->name);
  }
  if (program->target) {
    tn_buf_puts(p->out, " target ");
    tn_print_quoted(p, program->target);
  }
  tn_buf_puts(p->out, " {\n");
  for (size_t i = 0; i < program->bindings.n; i++) {
    const tn_binding *binding = &program->bindings.data[i];
    tn_buf_printf(p->out, "  bind %s = extent(in %u, %u)\n", binding->symbol->name, binding->input, binding->axis);
  }
  p->indent++;
  for (size_t i = 0; i < program->guards.n; i++)
    if (!program->guards.data[i].is_inner) tn_print_guard(p, &program->guards.data[i]);
  p->indent--;
  for (size_t i = 0; i < program->buffers.n; i++) print_buffer(p, program->buffers.data[i]);
  if (program->arena_bytes || program->arena_lower_bound || program->weights_bytes) {
    tn_buf_printf(p->out, "  memory weights %llu", (unsigned long long)program->weights_bytes);
    print_dim_field(p, "arena", program->arena_bytes);
    print_dim_field(p, "least", program->arena_lower_bound);
    tn_buf_putc(p->out, '\n');
  }
  uint32_t number = 0;
  print_steps(p, program, &program->steps, &number);
  tn_buf_puts(p->out, "}\n");
}
