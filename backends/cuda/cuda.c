/* The CUDA backend: one row of the table in backends/backend.c. Kernels become CUDA C, which the run-time compiler of
 * CUDA, where it is installed, makes PTX and device code of. Nothing launches them yet but the shim of the tests. */
#include <string.h>

#include "backends/cuda/cuda.h"

static const char *const archs[] = {"sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_100", "sm_103", "sm_110",
                                    "sm_120", "sm_121"};

static bool probe(tn_ctx *ctx, const char *cpu, const char *triple, tn_target *out) {
  const char *arch = cpu == NULL || cpu[0] == 0 ? "sm_90" : tn_name(ctx, cpu);
  size_t i = 0;
  if (triple != NULL && triple[0] != 0 && strcmp(triple, "nvptx64-nvidia-cuda") != 0)
    return tn_error(ctx, TN_LOC_NONE, TN_E_TARGET, "the cuda backend makes code for 'nvptx64-nvidia-cuda', not '%s'",
                    triple);
  while (i < TN_ARRAY_LEN(archs) && strcmp(archs[i], arch) != 0) i++;
  if (i == TN_ARRAY_LEN(archs)) {
    const char *near = tn_str_nearest(arch, archs, TN_ARRAY_LEN(archs));
    return tn_error(ctx, TN_LOC_NONE, TN_E_TARGET, "unknown device '%s'%s%s%s", arch, near ? "; did you mean '" : "",
                    near ? near : "", near ? "'?" : ": expected sm_80 to sm_121");
  }
  *out = (tn_target){.backend = "cuda", .triple = "nvptx64-nvidia-cuda", .cpu = arch, .cpu_resolved = arch,
                     .features = "", .vector_bits = 128, .n_vector_registers = 64, .has_fma = true,
                     .l1_bytes = 128 << 10, .l2_bytes = 32 << 20, .opt_level = 2};
  return true;
}

static bool schedule(const tn_target *target, const tn_kernel *kernel, tn_arena *arena, tn_schedule *out) {
  const tn_cuda_plan *plan = tn_cuda_plan_create(kernel, arena);
  (void)target;
  *out = (tn_schedule){.strategy = plan->strategy, .parts = 1, .cost_seconds = plan->cost_seconds};
  return true;
}

static bool emit(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                 tn_arena *arena, tn_object_part **out_parts, uint32_t *out_n_parts) {
  (void)target, (void)options, (void)arena, (void)out_parts, (void)out_n_parts;
  tn_error(ctx, TN_LOC_NONE, TN_E_TARGET, "the cuda backend makes no programs yet: nothing would launch the kernels "
           "of '%s'", program->name);
  tn_note(ctx, TN_LOC_NONE, "--emit=cuda, --emit=ptx and --emit=cubin write them");
  return false;
}

enum { LEVEL_CUDA, LEVEL_PTX, LEVEL_CUBIN, N_LEVELS };

static const tn_emit_level levels[N_LEVELS] = {
    [LEVEL_CUDA] = {.name = "cuda", .suffix = ".cu", .doc = "CUDA C: kernels, and the table of what launches them"},
    [LEVEL_PTX] = {.name = "ptx", .suffix = ".ptx", .doc = "PTX, by NVRTC", .is_assembly = true},
    [LEVEL_CUBIN] = {.name = "cubin", .suffix = ".cubin", .doc = "code of the device, by NVRTC", .is_binary = true},
};

static bool emit_text(tn_ctx *ctx, const tn_target *target, const tn_program *program,
                      const tn_emit_options *options, uint32_t level, tn_buf *out) {
  if (level == LEVEL_CUDA) return tn_cuda_unit_print(ctx, program, options, out);
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  tn_buf text = tn_buf_create(scratch);
  const char *name = tn_namef(ctx, "%s.cu", options->prefix);
  bool ok = tn_cuda_unit_print(ctx, program, options, &text) &&
            tn_cuda_compile(ctx, name, text.data, target->cpu_resolved,
                            level == LEVEL_PTX ? TN_CUDA_PTX : TN_CUDA_CUBIN, options->remarks, out);
  tn_arena_destroy(scratch);
  return ok;
}

const tn_backend tn_cuda_backend = {
    .name = "cuda",
    .doc = "NVIDIA devices through CUDA C: text, PTX and device code; nothing launches it yet",
    .probe = probe,
    .schedule = schedule,
    .packed_bytes = tn_backend_stored_bytes,
    .pack = tn_backend_store,
    .emit = emit,
    .levels = levels,
    .n_levels = N_LEVELS,
    .emit_text = emit_text,
};
