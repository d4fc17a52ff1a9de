/* The module's table: objects and texts of programs, and the host's name. */
#include <string.h>

#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>

#include "backends/cpu/code.h"
#include "backends/cpu/llvm/batch.h"
#include "backends/cpu/llvm/entry.h"

static void start_llvm(void) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
}

static const char *take(tn_ctx *ctx, char *message) {
  const char *text = tn_name(ctx, message);
  LLVMDisposeMessage(message);
  return text;
}

static void describe_host(tn_ctx *ctx, const char **out_triple, const char **out_cpu, const char **out_features) {
  *out_triple = take(ctx, LLVMGetDefaultTargetTriple());
  *out_cpu = take(ctx, LLVMGetHostCPUName());
  *out_features = take(ctx, LLVMGetHostCPUFeatures());
}

static bool emit(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                 tn_arena *arena, tn_object_part **out_parts, uint32_t *out_n_parts) {
  if (!tn_program_check_sizes(ctx, program)) return false;
  start_llvm();
  tn_batch_plan plan = tn_batch_plan_of(arena, target, program, options, NULL);
  *out_n_parts = plan.n_batches + 1;
  *out_parts = TN_NEW_N(arena, tn_object_part, *out_n_parts);
  return tn_batch_compile_all(ctx, &plan, 1, arena, *out_parts);
}

/* Code that traces its steps runs once, if ever: what the other programs do not have too is made at -O0. */
static const tn_target *target_of(const tn_target *target, const tn_emit_options *options, tn_arena *arena) {
  if (!options->traces) return target;
  tn_target *quick = TN_NEW(arena, tn_target);
  *quick = *target;
  quick->opt_level = 0;
  return quick;
}

static bool emit_all(tn_ctx *ctx, const tn_target *target, const tn_program *const *programs,
                     const tn_emit_options *options, uint32_t n, const char *prefix, tn_arena *arena,
                     tn_object_part **out_parts, uint32_t *out_n_parts) {
  tn_batch_kernels kernels = {prefix, tn_map_create(arena)};
  tn_batch_plan *plans = TN_NEW_N(arena, tn_batch_plan, n);
  start_llvm();
  *out_n_parts = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (!tn_program_check_sizes(ctx, programs[i])) return false;
    plans[i] = tn_batch_plan_of(arena, target_of(target, &options[i], arena), programs[i], &options[i], &kernels);
    *out_n_parts += plans[i].n_batches + 1;
  }
  *out_parts = TN_NEW_N(arena, tn_object_part, *out_n_parts);
  return tn_batch_compile_all(ctx, plans, n, arena, *out_parts);
}

static bool emit_choice(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                        const char *const *prefixes, const char *const *names, uint32_t n, tn_arena *arena,
                        tn_object_part *out) {
  start_llvm();
  tn_lower l;
  if (!tn_lower_open(&l, ctx, arena, target, options->prefix)) return false;
  tn_entry_emit_choice(&l, program, options, prefixes, names, n);
  bool ok = tn_lower_finish(&l, TN_CODE_OBJECT, "the choice of a processor's code", out);
  tn_lower_close(&l);
  return ok;
}

static bool print_tiles(tn_ctx *ctx, const tn_batch_plan *plan, tn_arena *arena, tn_buf *out) {
  for (size_t i = 0; i < plan->distinct.n; i++) {
    tn_tile_func *tile;
    if (!tn_tile_generate(ctx, plan->target, plan->distinct.data[i]->kernel, arena, &tile)) return false;
    tn_tile_print(tile, out);
  }
  return true;
}

static bool print_unit(tn_ctx *ctx, const tn_batch_plan *plan, uint32_t unit, uint32_t level, tn_arena *arena,
                       tn_buf *out) {
  tn_lower l;
  if (!tn_batch_open(&l, ctx, plan, arena)) return false;
  bool ok = tn_batch_lower(&l, plan, unit);
  if (ok && level == TN_CPU_LLVM) {
    tn_debug_close(&l);
    char *text = LLVMPrintModuleToString(l.module);
    tn_buf_puts(out, text);
    LLVMDisposeMessage(text);
  } else if (ok) {
    tn_object_part part;
    ok = tn_lower_finish(&l, TN_CODE_ASSEMBLY, tn_batch_title(plan, unit, arena), &part);
    if (ok) tn_buf_append(out, part.data, part.bytes);
  }
  tn_lower_close(&l);
  return ok;
}

static bool emit_text(tn_ctx *ctx, const tn_target *target, const tn_program *program,
                      const tn_emit_options *options, uint32_t level, tn_buf *out) {
  start_llvm();
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  tn_batch_plan plan = tn_batch_plan_of(arena, target, program, options, NULL);
  bool ok = level == TN_CPU_TILES || tn_program_check_sizes(ctx, program);
  if (level == TN_CPU_TILES) ok = print_tiles(ctx, &plan, arena, out);
  else
    for (uint32_t unit = 0; unit <= plan.n_batches && ok; unit++)
      ok = print_unit(ctx, &plan, unit, level, arena, out);
  tn_arena_destroy(arena);
  return ok;
}

static bool compile_tile(tn_ctx *ctx, const tn_target *target, const tn_tile_func *tile, const char *symbol,
                         tn_arena *arena, tn_object_part *out) {
  start_llvm();
  tn_lower l;
  if (!tn_lower_open(&l, ctx, arena, target, symbol)) return false;
  LLVMSetVisibility(tn_lower_kernel(&l, tile, symbol), LLVMDefaultVisibility);
  bool ok = tn_lower_finish(&l, TN_CODE_OBJECT, symbol, out);
  tn_lower_close(&l);
  return ok;
}

__attribute__((visibility("default"))) const tn_cpu_code tn_cpu_code_table = {
    .version = TN_CPU_CODE_VERSION, .host = describe_host, .emit = emit, .emit_all = emit_all,
    .emit_text = emit_text, .emit_choice = emit_choice, .compile_tile = compile_tile};
