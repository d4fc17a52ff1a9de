/* Contexts of libraries (<prefix>_create): what they may use was decided when the library was compiled. */
#include "runtime/core/ctx.h"

tnrt_status tnrt_level_create(tnrt_ctx **out, const tnrt_model *model, const tnrt_services *services,
                              const char *weights_path, void *arena, size_t arena_bytes, int n_threads) {
  tnrt_status status = tnrt_ctx_create_from(out, model, weights_path, services->alloc, arena, arena_bytes);
  if (status != TNRT_OK) return status;
  tnrt_ctx *ctx = *out;
  if (n_threads < 1 || n_threads > TNRT_MAX_THREADS)
    return ctx->usable = tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "threads: expected 1 to %d, found %d",
                                   TNRT_MAX_THREADS, n_threads);
  if (n_threads > 1 && services->set_threads) ctx->usable = services->set_threads(ctx, n_threads);
  return ctx->usable;
}
