/* Any bytes as an ONNX model that is compiled: loaded, taken through all passes with the verifier after each, planned,
 * its weights packed and its kernels made into tile loops (all but LLVM). What was accepted must end in a program or in
 * a diagnostic; a fault of a pass is a finding. */
#include <stdlib.h>

#include "backends/cpu/tile.h"
#include "frontend/onnx/onnx.h"
#include "ir/verify.h"
#include "passes/pass.h"

#define MEMORY_BYTES ((uint64_t)1 << 26)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static bool drop(void *user, const void *data, size_t bytes) {
  (void)user, (void)data, (void)bytes;
  return true;
}

static tn_func *entry_of(const tn_module *module) {
  for (size_t i = 0; i < module->funcs.n; i++)
    if (module->funcs.data[i]->is_entry) return module->funcs.data[i];
  abort();
}

static void make_tiles(tn_ctx *ctx, const tn_target *target, const tn_step *step) {
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  tn_tile_func *tile;
  size_t before = ctx->n_errors;
  if (!tn_tile_generate(ctx, target, step->kernel, scratch, &tile) && ctx->n_errors == before) abort();
  tn_arena_destroy(scratch);
}

static void compile(tn_ctx *ctx, tn_module *module) {
  tn_target target;
  const tn_backend *cpu = tn_backend_find("cpu");
  if (!cpu->probe(ctx, "haswell", "x86_64-pc-linux-gnu", &target)) abort();
  tn_pass_context context = {.ctx = ctx, .module = module, .entry = entry_of(module), .backend = cpu,
                             .target = &target, .opt_level = 2, .max_workers = 4};
  tn_pipeline_options options = {.verify_each = true};
  const char *pass = NULL;
  bool is_fault = false, ok = tn_pipeline_run(&context, &options, &pass, &is_fault);
  if (is_fault || ok != (ctx->n_errors == 0)) abort();
  if (!ok) return;
  for (size_t i = 0; i < context.program->buffers.n; i++) {
    const tn_buffer *buffer = context.program->buffers.data[i];
    tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
    if (buffer->kind == TN_BUFFER_CONST) cpu->pack(&target, buffer, scratch, (tn_sink){drop, NULL});
    tn_arena_destroy(scratch);
  }
  for (size_t i = 0; i < context.program->steps.n; i++) {
    const tn_step *step = context.program->steps.data[i];
    if (step->kind == TN_STEP_KERNEL) make_tiles(ctx, &target, step);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  ctx->memory_limit = MEMORY_BYTES;
  tn_module *module = tn_onnx_load_bytes(ctx, "fuzz.onnx", data, bytes, NULL);
  if (module != NULL) compile(ctx, module);
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return 0;
}
