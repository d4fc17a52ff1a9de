/* A program as one text of CUDA C: the prelude, each kernel once, and the table. */
#include "backends/cuda/cuda.h"

void tn_cuda_call_print(const tn_cuda_plan *plan, const char *name, tn_buf *out) {
  const tn_kernel *kernel = plan->kernel;
  const char *separator = "";
  tn_buf_printf(out, "static void call_%s(void *const *p, const long long *s, int *status) {\n  %s(", name, name);
  for (size_t i = 0; i < kernel->args.n; i++, separator = ", ") tn_buf_printf(out, "%sp[%zu]", separator, i);
  for (size_t i = 0; i < kernel->symbols.n; i++, separator = ", ") tn_buf_printf(out, "%ss[%zu]", separator, i);
  if (plan->has_status) tn_buf_printf(out, "%sstatus", separator);
  tn_buf_puts(out, ");\n");
  if (kernel->symbols.n == 0) tn_buf_puts(out, "  (void)s;\n");
  if (!plan->has_status) tn_buf_puts(out, "  (void)status;\n");
  tn_buf_puts(out, "}\n");
}

/* One text serves both: what of a plan depends on how large symbols may become is equal too. */
static bool share_text(const tn_cuda_plan *a, const tn_cuda_plan *b) {
  return a->is_wide == b->is_wide && a->team == b->team && a->has_status == b->has_status;
}

/* Plans of all steps; kernels that are equal but for their names, and the names of their symbols, share one. The
 * grid is each step's own, of its own symbols. */
static tn_cuda_launch *plan_steps(tn_ctx *ctx, const tn_program *program, const char *prefix, tn_arena *arena) {
  tn_cuda_launch *launches = TN_NEW_N(arena, tn_cuda_launch, program->steps.n);
  tn_map known = tn_map_create(arena);
  for (size_t i = 0; i < program->steps.n; i++) {
    const tn_step *step = program->steps.data[i];
    if (step->kind != TN_STEP_KERNEL) continue;
    const tn_cuda_launch *former = tn_map_get_u64(&known, step->kernel->signature);
    const tn_cuda_plan *plan = tn_cuda_plan_create(step->kernel, arena);
    launches[i] = (tn_cuda_launch){tn_namef(ctx, "%s_kernel_%s", prefix, step->kernel->name), plan, plan->grid};
    if (former != NULL && share_text(former->plan, plan)) {
      launches[i].name = former->name;
      launches[i].plan = former->plan;
      continue;
    }
    tn_map_set_u64(&known, step->kernel->signature, &launches[i]);
  }
  return launches;
}

/* A table is a list of launches without a way back. */
static bool check_steps(tn_ctx *ctx, const tn_program *program) {
  bool ok = true;
  for (size_t i = 0; i < program->steps.n; i++) {
    const tn_step *step = program->steps.data[i];
    if (step->kind == TN_STEP_READ)
      ok = tn_error(ctx, step->loc, TN_E_LOWER, "the cuda backend reads no sizes while running yet");
    else if (step->kind != TN_STEP_KERNEL && step->kind != TN_STEP_COPY)
      ok = tn_error(ctx, step->loc, TN_E_LOWER, "the cuda backend makes no '%s' over steps yet", tn_step_name(step));
  }
  return ok;
}

bool tn_cuda_unit_print(tn_ctx *ctx, const tn_program *program, const tn_emit_options *options, tn_buf *out) {
  if (!tn_program_check_sizes(ctx, program) || !check_steps(ctx, program)) return false;
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  bool ok = true;
  tn_cuda_launch *launches = plan_steps(ctx, program, options->prefix, arena);
  tn_buf_printf(out, "/* '%s' of %s as CUDA C: kernels for a device, and for the host the table of what it runs. */\n",
                program->name, options->prefix);
  tn_cuda_prelude_print(out);
  tn_map printed = tn_map_create(arena);
  for (size_t i = 0; i < program->steps.n; i++) {
    const tn_cuda_launch *launch = &launches[i];
    if (launch->plan == NULL || tn_map_has(&printed, launch->plan)) continue;
    tn_map_set(&printed, launch->plan, (void *)(uintptr_t)launch->plan);
    ok &= tn_cuda_kernel_print(ctx, launch->plan, launch->name, arena, out);
  }
  if (ok) tn_cuda_table_print(ctx, program, options->prefix, launches, arena, out);
  tn_arena_destroy(arena);
  return ok;
}
