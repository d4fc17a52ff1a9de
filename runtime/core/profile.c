/* Times of steps, and who is told of them; apart from the context, which calls nothing of the C library but memory
 * functions. */
#include <time.h>

#include "runtime/core/ctx.h"

static int64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void tnrt_ctx_set_profile(tnrt_ctx *ctx, int64_t *step_ns) {
  ctx->step_ns = step_ns;
  ctx->clock_ns = clock_ns;
}

void tnrt_ctx_set_tracer(tnrt_ctx *ctx, tnrt_tracer *tracer) { ctx->tracer = tracer; }
