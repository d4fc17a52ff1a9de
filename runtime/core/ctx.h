/* Inside of a context; for the files of the runtime that make up one. */
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

struct tnrt_ctx {
  const tnrt_model *model;
  tnrt_alloc alloc;
  tnrt_message message;
  tnrt_status usable; /* TNRT_OK, or why no run is possible */
  const uint8_t *weights;
  bool arena_is_callers;
  tnrt_slab arena;
  tnrt_pool *pool; /* NULL: one thread */
  /* Set together with pool, so that a program of one thread need not contain the pool. */
  tnrt_parallel_fn parallel;
  void (*pool_destroy)(tnrt_pool *pool);
  int64_t *step_ns;
  /* Tables inside the context's own block. */
  int64_t *symbols;     /* n_symbols */
  int64_t **in_extents; /* n_inputs, each ndim long */
  int64_t *out_extents; /* of all outputs, one after the other */
  const void **in_data; /* n_inputs */
  void **out_data;      /* n_outputs */
  tnrt_slab *outs;      /* n_outputs: memory of views */
};

#endif
