/* Threads of a context; apart from it, so that a program that never asks for threads does not contain the pool. */
#include "runtime/core/ctx.h"

tnrt_status tnrt_ctx_set_threads(tnrt_ctx *ctx, int n_threads) {
  if (n_threads < 1 || n_threads > 1024)
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "threads: expected 1 to 1024, found %d", n_threads);
  if (ctx->pool) ctx->pool_destroy(ctx->pool);
  ctx->pool = NULL;
  ctx->parallel = NULL;
  if (n_threads == 1) return TNRT_OK;
  ctx->pool = tnrt_pool_create(&ctx->alloc, n_threads);
  if (!ctx->pool) return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "no %d threads could be started", n_threads);
  ctx->parallel = tnrt_pool_run;
  ctx->pool_destroy = tnrt_pool_destroy;
  return TNRT_OK;
}
