/* Inside of a context; for the files of the runtime that make up one. None of those that libraries contain calls
 * anything but memcpy, memset and memcmp of the C library, which -ffreestanding promises; what does is reached by
 * pointers in the context (allocator, threads, clock, weights that are a file). */
#ifndef TNRT_CORE_CTX_H
#define TNRT_CORE_CTX_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

/* Memory that only grows, aligned to 64. */
typedef struct tnrt_slab {
  void *data;
  size_t bytes;
} tnrt_slab;

/* At most TNRT_CTX_BYTES; the tables stand behind it. */
struct tnrt_ctx {
  const tnrt_model *model;
  tnrt_alloc alloc; /* get NULL: none */
  tnrt_message message;
  tnrt_status usable; /* TNRT_OK, or why no run is possible */
  const uint8_t *weights;
  bool arena_is_callers; /* and the context stands in front of it */
  bool arena_is_lent;
  tnrt_slab arena;
  size_t arena_used; /* of a caller's arena, by this run: the working memory and views so far */
  tnrt_pool *pool; /* NULL: one thread */
  /* Set together with pool, so that a program of one thread need not contain the pool. */
  tnrt_parallel_fn parallel;
  void (*pool_destroy)(tnrt_pool *pool);
  tnrt_after_fn after; /* NULL: nobody watches the steps */
  void *watcher;
  tnrt_tracer *tracer;
  /* Tables inside the context's own block. */
  int64_t *symbols;     /* n_symbols + n_late */
  int64_t **in_extents; /* n_inputs, each ndim long */
  int64_t *out_extents; /* of all outputs, one after the other */
  const void **in_data; /* n_inputs */
  void **out_data;      /* n_outputs */
  tnrt_slab *outs;      /* n_outputs: memory of views, where the arena is not the caller's */
  tnrt_slab *grown;     /* n_slots: memories that grow while the code runs, */
  void **slots;         /* and their pointers as the code sees them */
};

/* What an empty tensor points at. */
extern const uint8_t tnrt_nothing[64];

/* ctx.c: what tensors.c, which checks and places the tensors of a run, calls in this order. */
/* Binds ctx->in_extents to ctx->symbols and ctx->out_extents. */
tnrt_status tnrt_ctx_bind(tnrt_ctx *ctx);
/* Memory for the working set of ctx->symbols. */
tnrt_status tnrt_ctx_reserve(tnrt_ctx *ctx);
/* Memory for the view of output i. */
tnrt_status tnrt_ctx_place_view(tnrt_ctx *ctx, uint32_t i, int64_t bytes, void **out);
/* Everything is bound and in place: runs the code. */
tnrt_status tnrt_ctx_execute(tnrt_ctx *ctx);
/* A pointer of the caller's: it is there, and aligned to its element. */
tnrt_status tnrt_ctx_check_pointer(tnrt_ctx *ctx, const char *role, const tnrt_port *port, const void *data);

#endif
