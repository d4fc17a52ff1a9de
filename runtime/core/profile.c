/* Who watches the steps of runs; apart from the context, which calls nothing of the C library but memory functions. */
#include <time.h>

#include "runtime/core/ctx.h"

void tnrt_ctx_watch(tnrt_ctx *ctx, tnrt_after_fn after, void *watcher) {
  ctx->after = after;
  ctx->watcher = watcher;
}

/* The time since the last call is the step's. */
static void take_time(tnrt_call *call, int64_t step) {
  const tnrt_ctx *ctx = call->owner;
  int64_t *step_ns = call->watcher, *last = &step_ns[ctx->model->n_steps];
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
  if (&step_ns[step] != last) step_ns[step] += now - *last;
  *last = now;
}

void tnrt_ctx_set_profile(tnrt_ctx *ctx, int64_t *step_ns) {
  tnrt_ctx_watch(ctx, step_ns ? take_time : NULL, step_ns);
}

void tnrt_ctx_set_tracer(tnrt_ctx *ctx, tnrt_tracer *tracer) { ctx->tracer = tracer; }
