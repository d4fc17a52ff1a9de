/* The smallest backend: it accepts every kernel, packs nothing and makes no code. A skeleton to copy for a new backend,
 * and a way to run all passes without one. */
#include <stddef.h>

#include "backends/backend.h"

/* Fills in what passes look at: vectors of 128 bits, the least that any backend has. */
static bool probe(tn_ctx *ctx, const char *cpu, const char *triple, tn_target *out) {
  (void)cpu, (void)triple, (void)ctx;
  *out = (tn_target){.backend = "null", .triple = "none", .cpu = "none", .cpu_resolved = "none", .features = "",
                     .vector_bits = 128, .n_vector_registers = 16, .l1_bytes = 32 << 10, .l2_bytes = 256 << 10};
  return true;
}

/* Pure: no scratch, one part, constants as they are stored. */
static bool schedule(const tn_target *target, const tn_kernel *kernel, tn_arena *arena, tn_schedule *out) {
  (void)target, (void)kernel, (void)arena;
  *out = (tn_schedule){.strategy = "none", .parts = 1};
  return true;
}

static bool emit(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                 tn_arena *arena, tn_object_part **out_parts, uint32_t *out_n_parts) {
  (void)target, (void)options, (void)arena, (void)out_parts, (void)out_n_parts;
  return tn_error(ctx, TN_LOC_NONE, TN_E_TARGET, "the backend 'null' makes no code for '%s'", program->name);
}

static bool emit_text(tn_ctx *ctx, const tn_target *target, const tn_program *program,
                      const tn_emit_options *options, uint32_t level, tn_buf *out) {
  (void)target, (void)options, (void)level, (void)out;
  return tn_error(ctx, TN_LOC_NONE, TN_E_TARGET, "the backend 'null' has no text for '%s'", program->name);
}

const tn_backend tn_null_backend = {
    .name = "null",
    .doc = "makes no code; a skeleton",
    .probe = probe,
    .schedule = schedule,
    .packed_bytes = tn_backend_stored_bytes,
    .pack = tn_backend_store,
    .emit = emit,
    .emit_text = emit_text,
};
