/* Sums of a step's gradients over all processes, bucket by bucket, in progress while the backward pass goes on: what a
 * caller says is ready begins, and every look at it carries it on. Buckets begin in their order in all processes.
 *
 * The library adds, or with a tree (tree.h) the processes do in its order, and the one that has the first leaf gives
 * the sum to all. Where sums of gradients are shared out, the library gives each process its slice of a bucket alone,
 * as many equal slices as there are processes, in their order; the own one then begins where the bucket does. Last
 * comes a row of doubles of which the library makes the sum. */
#ifndef TNRT_TRAIN_EXCHANGE_H
#define TNRT_TRAIN_EXCHANGE_H

#include "runtime/train/buckets.h"
#include "runtime/train/timeline.h"
#include "runtime/train/tree.h"

/* One bucket on its way. */
typedef struct tnrt_transfer {
  uint32_t n_done; /* actions of the tree */
  int request;     /* -1: none is under way */
  bool is_whole;   /* the last request is under way, or done */
  double begin;    /* of the timeline */
} tnrt_transfer;

typedef struct tnrt_exchange {
  tnrt_world *world;
  const tnrt_alloc *alloc;
  const tnrt_bucket *buckets;
  uint32_t n;           /* buckets; the row of doubles is number n */
  const tnrt_tree *tree; /* or NULL, and */
  float *sum;           /* the row of all buckets */
  int *slices;          /* elements of each process's slice; NULL: sums are not shared out */
  double *shared;
  size_t n_shared;
  tnrt_transfer *transfers; /* n + 1 */
  /* Numbers of buckets, each at most the one before it. */
  uint32_t n_ready, n_begun, n_whole, n_done;
  tnrt_timeline *timeline; /* set by the caller; NULL: none */
} tnrt_exchange;

/* tree: or NULL, and then sum. They and the buckets outlive the exchange. is_shared_out: not with a tree. */
tnrt_status tnrt_exchange_open(tnrt_exchange *exchange, tnrt_world *world, const tnrt_alloc *alloc,
                               const tnrt_buckets *buckets, const tnrt_tree *tree, float *sum, bool is_shared_out);
void tnrt_exchange_close(tnrt_exchange *exchange);

/* Begins a step's sums; a tree was started before. shared: its n elements are read when all buckets are ready. */
void tnrt_exchange_start(tnrt_exchange *exchange, double *shared, size_t n_shared);
/* The next bucket is complete. */
static inline void tnrt_exchange_ready(tnrt_exchange *exchange) { exchange->n_ready++; }
/* Does what can be done without waiting. */
tnrt_status tnrt_exchange_progress(tnrt_exchange *exchange);
/* All buckets are ready: waits until all sums are there, in the sum or tnrt_tree_sum of every process. */
tnrt_status tnrt_exchange_finish(tnrt_exchange *exchange);

#endif
