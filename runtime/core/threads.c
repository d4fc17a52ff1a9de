/* Threads of a context; apart from it, so that a program that never asks for threads does not contain the pool. */
#include "runtime/core/ctx.h"

tnrt_status tnrt_ctx_set_threads(tnrt_ctx *ctx, int n_threads) {
  if (n_threads < 1 || n_threads > TNRT_MAX_THREADS)
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "threads: expected 1 to %d, found %d", TNRT_MAX_THREADS, n_threads);
  if (ctx->pool) ctx->pool_destroy(ctx->pool);
  ctx->pool = NULL;
  ctx->parallel = NULL;
  /* Scratch is there for so many workers. */
  uint32_t most = ctx->model->max_workers;
  if ((uint32_t)n_threads > most) n_threads = (int)most;
  if (n_threads <= 1) return TNRT_OK;
  ctx->pool = tnrt_pool_create(ctx->alloc.get ? &ctx->alloc : &tnrt_alloc_libc, n_threads);
  if (!ctx->pool) return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "no %d threads could be started", n_threads);
  ctx->parallel = tnrt_pool_run;
  ctx->pool_destroy = tnrt_pool_destroy;
  return TNRT_OK;
}
