/* Division of a program into units of code generation, and one unit's module. */
#include "backends/cpu/llvm/batch.h"

#include "backends/cpu/llvm/entry.h"

/* <prefix>_kernel_<signature>. With debugging information the kernel's name stands before that, for tools that read the
 * symbol table only. */
static char *kernel_symbol(tn_arena *arena, const tn_batch_plan *plan, const tn_kernel *kernel) {
  const tn_emit_options *options = plan->options;
  tn_buf name = tn_buf_create(arena);
  tn_buf_printf(&name, "%s_kernel_", plan->kernel_prefix);
  for (const char *c = kernel->name; options->debug != NULL && *c != 0; c++) {
    bool is_plain = (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
    tn_buf_putc(&name, is_plain ? *c : '_');
  }
  if (options->debug != NULL) tn_buf_putc(&name, '_');
  tn_buf_printf(&name, "%016llx", (unsigned long long)kernel->signature);
  return name.data;
}

tn_batch_plan tn_batch_plan_of(tn_arena *arena, const tn_target *target, const tn_program *program,
                               const tn_emit_options *options, tn_batch_kernels *kernels) {
  tn_batch_plan plan = {.program = program, .options = options, .target = target,
                        .kernel_prefix = kernels ? kernels->prefix : options->prefix};
  plan.debug = tn_debug_lines_of(arena, program, options->debug);
  tn_steps steps = tn_program_all_steps(program, arena);
  const char **names = TN_NEW_N(arena, const char *, steps.n);
  tn_map own = tn_map_create(arena), *known = kernels ? &kernels->known : &own;
  for (size_t i = 0; i < steps.n; i++) {
    const tn_step *step = steps.data[i];
    if (step->kind != TN_STEP_KERNEL) continue;
    uint64_t signature = step->kernel->signature;
    char *name = tn_map_get_u64(known, signature);
    if (name == NULL) {
      name = kernel_symbol(known->arena, &plan, step->kernel);
      tn_map_set_u64(known, signature, name);
      TN_VEC_PUSH(arena, &plan.distinct, step);
    }
    names[i] = name;
  }
  plan.names = names;
  plan.n_batches = (uint32_t)((plan.distinct.n + TN_BATCH_KERNELS - 1) / TN_BATCH_KERNELS);
  return plan;
}

static size_t batch_end(const tn_batch_plan *plan, uint32_t unit) {
  size_t end = ((size_t)unit + 1) * TN_BATCH_KERNELS;
  return end < plan->distinct.n ? end : plan->distinct.n;
}

const char *tn_batch_title(const tn_batch_plan *plan, uint32_t unit, tn_arena *arena) {
  if (unit == plan->n_batches) return tn_arena_printf(arena, "the entry of '%s'", plan->program->name);
  const tn_kernel *first = plan->distinct.data[(size_t)unit * TN_BATCH_KERNELS]->kernel;
  const tn_kernel *last = plan->distinct.data[batch_end(plan, unit) - 1]->kernel;
  return tn_arena_printf(arena, "kernels '%s' to '%s'", first->name, last->name);
}

static bool lower_kernel(tn_lower *l, const tn_batch_plan *plan, const tn_step *step) {
  tn_tile_func *tile;
  if (!tn_tile_generate(l->ctx, plan->target, step->kernel, l->arena, &tile)) return false;
  tn_lower_kernel(l, tile, kernel_symbol(l->arena, plan, step->kernel));
  return true;
}

bool tn_batch_lower(tn_lower *l, const tn_batch_plan *plan, uint32_t unit) {
  size_t n_errors = l->ctx->n_errors;
  if (unit == plan->n_batches) {
    tn_entry_emit(l, plan->program, plan->options, plan->names);
    return l->ctx->n_errors == n_errors;
  }
  bool ok = true;
  for (size_t i = (size_t)unit * TN_BATCH_KERNELS; i < batch_end(plan, unit); i++)
    ok &= lower_kernel(l, plan, plan->distinct.data[i]);
  return ok;
}

bool tn_batch_open(tn_lower *l, tn_ctx *ctx, const tn_batch_plan *plan, tn_arena *arena) {
  if (!tn_lower_open(l, ctx, arena, plan->target, plan->options->prefix)) return false;
  l->sanitize = plan->options->sanitize;
  tn_debug_open(l, plan->debug);
  return true;
}

bool tn_batch_compile(tn_ctx *ctx, const tn_batch_plan *plan, uint32_t unit, tn_arena *arena, tn_object_part *out) {
  tn_lower l;
  if (!tn_batch_open(&l, ctx, plan, arena)) return false;
  bool ok = tn_batch_lower(&l, plan, unit) &&
            tn_lower_finish(&l, TN_CODE_OBJECT, tn_batch_title(plan, unit, arena), out);
  tn_lower_close(&l);
  return ok;
}
