/* Printing of one kernel: lines, scopes of names, positions of axes, and the function itself. */
#include <string.h>

#include "backends/cuda/cuda.h"

/* --- Lines --- */

static void put_line(tn_cuda_gen *gen, const char *format, va_list args, const char *tail) {
  for (uint32_t i = 0; i < gen->depth; i++) tn_buf_puts(gen->out, "  ");
  tn_buf_vprintf(gen->out, format, args);
  tn_buf_puts(gen->out, tail);
}

void tn_cuda_line(tn_cuda_gen *gen, const char *format, ...) {
  va_list args;
  va_start(args, format);
  put_line(gen, format, args, "\n");
  va_end(args);
}

void tn_cuda_open(tn_cuda_gen *gen, const char *format, ...) {
  va_list args;
  va_start(args, format);
  put_line(gen, format, args, " {\n");
  va_end(args);
  gen->depth++;
}

void tn_cuda_close(tn_cuda_gen *gen) {
  gen->depth--;
  tn_cuda_line(gen, "}");
}

/* --- Scopes --- */

void tn_cuda_push(tn_cuda_gen *gen, tn_cuda_scope *scope) {
  *scope = (tn_cuda_scope){.outer = gen->scope, .names = tn_map_create(gen->arena)};
  gen->scope = scope;
}

void tn_cuda_pop(tn_cuda_gen *gen) { gen->scope = gen->scope->outer; }

const char *tn_cuda_name(tn_cuda_gen *gen, char letter) {
  return tn_arena_printf(gen->arena, "%c%u", letter, gen->n_names++);
}

const char *tn_cuda_recall(const tn_cuda_gen *gen, const tn_knode *node) {
  for (const tn_cuda_scope *scope = gen->scope; scope != NULL; scope = scope->outer) {
    const char *name = tn_map_get(&scope->names, node);
    if (name != NULL) return name;
    if (scope->binds & node->axes) return NULL;
  }
  return NULL;
}

void tn_cuda_remember(tn_cuda_gen *gen, const tn_knode *node, const char *name) {
  tn_map_set(&gen->scope->names, node, (void *)(uintptr_t)name);
}

void tn_cuda_bind(tn_cuda_gen *gen, uint32_t axis, const char *position) {
  gen->position[axis] = position;
  gen->bound |= 1u << axis;
  gen->scope->binds |= 1u << axis;
}

void tn_cuda_unflatten(tn_cuda_gen *gen, const tn_cuda_axes *axes, const char *flat) {
  const char *type = tn_cuda_index_type(gen->plan);
  for (uint32_t i = axes->n; i-- > 0;) {
    uint32_t axis = axes->at[i];
    const char *extent = tn_cuda_index(gen, gen->kernel->space.data[axis].extent);
    const char *position = flat;
    if (i > 0) {
      position = tn_cuda_name(gen, 'i');
      const char *rest = tn_cuda_name(gen, 'r');
      tn_cuda_line(gen, "const %s %s = %s %% (%s), %s = %s / (%s);", type, position, flat, extent, rest, flat, extent);
      flat = rest;
    }
    tn_cuda_bind(gen, axis, position);
  }
}

/* --- The function --- */

static void put_parameters(tn_cuda_gen *gen) {
  const tn_kernel *kernel = gen->kernel;
  const char *separator = "";
  for (size_t i = 0; i < kernel->args.n; i++) {
    const tn_karg *arg = &kernel->args.data[i];
    tn_buf_printf(gen->out, "%s%s%s *__restrict__ a%zu", separator, arg->is_output ? "" : "const ",
                  tn_cuda_type_of(arg->type->dtype)->stored, i);
    separator = ", ";
  }
  for (size_t i = 0; i < kernel->symbols.n; i++, separator = ", ")
    tn_buf_printf(gen->out, "%slong long p%zu", separator, i);
  if (gen->plan->has_status) tn_buf_printf(gen->out, "%sint *status", separator);
}

static void put_head(tn_cuda_gen *gen, const char *name) {
  const tn_kernel *kernel = gen->kernel;
  tn_buf_printf(gen->out, "\n/* %s: %s.", kernel->name, gen->plan->strategy);
  for (size_t i = 0; i < kernel->args.n; i++) {
    tn_buf_printf(gen->out, " a%zu: ", i);
    tn_type_print(kernel->args.data[i].type, gen->out);
  }
  for (size_t i = 0; i < kernel->symbols.n; i++) tn_buf_printf(gen->out, " s%zu: %s", i, kernel->symbols.data[i]->name);
  tn_buf_printf(gen->out, " */\nTN_KERNEL __launch_bounds__(%d) %s(", TN_CUDA_BLOCK, name);
  put_parameters(gen);
  tn_buf_puts(gen->out, ") {\n");
  for (size_t i = 0; i < kernel->symbols.n; i++)
    tn_buf_printf(gen->out, "  const %s s%zu = (%s)p%zu;\n", tn_cuda_index_type(gen->plan), i,
                  tn_cuda_index_type(gen->plan), i);
}

bool tn_cuda_kernel_print(tn_ctx *ctx, const tn_cuda_plan *plan, const char *name, tn_arena *arena, tn_buf *out) {
  if (!tn_cuda_plan_check(ctx, plan->kernel)) return false;
  tn_cuda_gen gen = {.ctx = ctx, .arena = arena, .plan = plan, .kernel = plan->kernel, .out = out, .depth = 1};
  tn_cuda_scope scope;
  tn_cuda_push(&gen, &scope);
  put_head(&gen, name);
  if (plan->contract != NULL) tn_cuda_tile_body(&gen);
  else tn_cuda_team_body(&gen);
  tn_buf_puts(out, "}\n");
  return true;
}
