/* A batch in parts: gradients of each, their sum over all parts and all processes, and the update with it. Parts are
 * what `micro` says, or each process's share of the batch where that is less.
 *
 * Without `reproducible = world` a process adds its parts' gradients one after the other, and the library adds those
 * of the processes. With it, the gradients of each part, and what the part makes of running weights, are leaves of a
 * tree (tree.h), and the losses are added in the order of the parts, so that nothing depends on the number of
 * processes; where `micro` says nothing, the parts are eighths of a batch.
 *
 * Gradients of a process's last part are taken as the backward pass leaves them, and travel (exchange.h) while it goes
 * on, unless the plan says that they wait for its end. Where the plan says zero, several processes share out the update
 * (slices.h). */
#ifndef TNRT_TRAIN_PARTS_H
#define TNRT_TRAIN_PARTS_H

#include "runtime/train/exchange.h"
#include "runtime/train/samples.h"
#include "runtime/train/slices.h"

struct tnrt_session;

typedef struct tnrt_parts {
  int64_t unit;       /* tnrt_share_unit */
  bool is_tree;
  tnrt_buckets buckets;
  float *part, *sum;  /* without a tree */
  tnrt_tree tree;
  tnrt_exchange exchange;
  tnrt_slices slices;
  /* TNRT_SHARED numbers, then the loss of each part of a tree times its samples: their sum over the processes. */
  double *shared;
  /* A request to end, from one process to all, rides on each step. */
  int vote, voted;    /* this one's signal or 0; some process's, the same in all */
  bool is_void;       /* the last step: some process had no samples */
} tnrt_parts;

/* Bytes of sums of gradients in this process: what open takes for them. */
uint64_t tnrt_parts_bytes(const struct tnrt_session *session);
/* The samples of a batch of n that this process takes: out_n from number out_first on. */
void tnrt_parts_share(const struct tnrt_session *session, int64_t n, int64_t *out_first, int64_t *out_n);

/* Where gradients lie, before there is memory for weights. */
tnrt_status tnrt_parts_plan(struct tnrt_session *session);
/* After the weights are there. */
tnrt_status tnrt_parts_open(struct tnrt_session *session);
void tnrt_parts_close(struct tnrt_session *session);

/* A step on the whole world's batch of n samples; *loss is its mean, norm as in tnrt_bind_updated. What parts make of
 * running weights holds at once; trained weights and states are to be swapped. Where the loss is not finite nothing is
 * updated. */
tnrt_status tnrt_parts_step(struct tnrt_session *session, tnrt_samples *samples, const int64_t *positions,
                            int64_t n, float *loss, float *norm);

#endif
