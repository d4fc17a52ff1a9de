/* The update shared out among the processes (`zero: 1`): each has the states of its own slice of each bucket alone
 * (buckets.h), takes the sums of that slice's gradients, updates its weights, and then all give theirs to all. What a
 * slice has of one weight is a piece. Weights lie in the persistent arena as their gradients do in buckets, so that
 * slices travel from where they are made to where they are used.
 *
 * Between steps the memory of sums can hold all states of all processes, as buckets have their gradients: what a
 * checkpoint is written from and read to. */
#ifndef TNRT_TRAIN_SLICES_H
#define TNRT_TRAIN_SLICES_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/train/buckets.h"

struct tnrt_session;

typedef struct tnrt_slice_piece {
  uint32_t weight, bucket; /* numbers in the plan, and among the buckets */
  size_t place, count;     /* elements: where it begins in the row of all buckets */
} tnrt_slice_piece;

enum { TNRT_SLICES_STATES = 2 }; /* of a weight, at most: rows of the buckets' size that there is memory for */

typedef struct tnrt_slices {
  bool is_on;           /* else everything here is 0 */
  bool is_whole;        /* whole has the states as they are */
  size_t count;         /* elements of this process's slices */
  tnrt_slice_piece *pieces;   /* n_pieces, by their places */
  uint32_t n_pieces;
  uint8_t *weights;     /* the row of all trained weights, */
  uint32_t bytes;       /* of one element */
  uint8_t *states[TNRT_SLICES_STATES]; /* count each: slices one behind the other */
  float *whole[TNRT_SLICES_STATES];
  size_t most;          /* elements of one run of `shard`, and */
  uint8_t *made[1 + TNRT_SLICES_STATES]; /* what it gives: a weight's elements, and those of its states */
  int *counts, *requests; /* bytes of each process's slice; of each bucket that is on its way */
} tnrt_slices;

/* Whether this is done, and the pieces; the buckets are there. TNRT_BAD_INPUT: a slice is too long for a message. */
tnrt_status tnrt_slices_plan(struct tnrt_session *session);
/* The memory of sums is there. */
void tnrt_slices_open(struct tnrt_session *session);
void tnrt_slices_close(struct tnrt_session *session);

/* sum: of the gradients: all of them with a tree, else this process's slices, each where its bucket begins. All weights
 * are new then in all processes; norm as in tnrt_bind_updated, and with one that is not finite nothing changes. */
tnrt_status tnrt_slices_update(struct tnrt_session *session, const float *sum, float *norm);

/* Makes `whole` hold the states of all, before a checkpoint; nothing where it does. All processes call it after the
 * same steps. Then, and after others filled it (tnrt_slices_take), session->states point into it. */
tnrt_status tnrt_slices_gather(struct tnrt_session *session);
/* This process's slices of what `whole` was filled with. */
void tnrt_slices_take(struct tnrt_session *session);

#endif
