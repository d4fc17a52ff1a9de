/* Where gradients lie in a sum over parts of a batch: one behind the other in the order in which the backward pass
 * leaves them, in buckets that travel together; the first one is small, so that something travels early. Behind the
 * gradients, in a bucket of their own, what parts make of running weights. */
#ifndef TNRT_TRAIN_BUCKETS_H
#define TNRT_TRAIN_BUCKETS_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"
#include "runtime/training.h"

typedef struct tnrt_gradient {
  uint32_t weight;     /* number among the plan's weights */
  uint32_t trained;    /* number among those that are trained, or that run */
  uint32_t step;       /* of the model `grad`, behind which it is not touched again */
  uint32_t bucket;
  size_t place, count; /* elements */
} tnrt_gradient;

typedef struct tnrt_bucket {
  size_t place, count; /* elements; the padding behind a tensor counts */
  uint32_t end;        /* one past its last gradient in order */
  bool is_running;
  char what[160];      /* "the sum of gradients of 'a' (mlp.tn:3) to 'b'", for messages */
  uint32_t names;      /* where in it "'a'" is */
} tnrt_bucket;

typedef struct tnrt_buckets {
  const tnrt_alloc *alloc;
  tnrt_gradient *order; /* n_gradients; behind them n_running weights */
  uint32_t n_gradients, n_running;
  size_t *places;       /* of each trained weight, then of each running one */
  tnrt_bucket *rows;
  uint32_t n;
  size_t count;         /* elements in all, and */
  size_t n_summed;      /* of gradients, which are the first ones */
} tnrt_buckets;

/* TNRT_BAD_INPUT: a weight is no f32; TNRT_NO_MEMORY. n_processes: a bucket can be cut into as many equal pieces of
 * whole 64 bytes. */
tnrt_status tnrt_buckets_open(tnrt_buckets *buckets, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training *plan, const tnrt_model *grad, int n_processes);
void tnrt_buckets_close(tnrt_buckets *buckets);
/* Elements that a tensor of so many takes in a bucket. */
size_t tnrt_buckets_room(size_t count);

#endif
