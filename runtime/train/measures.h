/* Metrics: sums over the batches of a split, and what comes of them. */
#ifndef TNRT_TRAIN_MEASURES_H
#define TNRT_TRAIN_MEASURES_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"
#include "runtime/train/plan.h"
#include "runtime/train/world.h"

/* The sums of one pass over a split. */
typedef struct tnrt_tally {
  const tnrt_training *plan;
  const tnrt_metric *metrics;
  const tnrt_alloc *alloc;
  double **sums;        /* n_metrics, each `count` */
  double **batch;       /* n_metrics: what a batch gives */
  float *scores, *labels; /* of AUC: n_auc rows of room */
  uint32_t *order;      /* for sorting them */
  float *batch_scores, *batch_labels;
  uint32_t n_auc;
  int64_t room, most;   /* samples of a split, of a batch */
  int64_t n;            /* samples so far, */
  int64_t first;        /* those of other processes before them included */
  double loss;          /* sum of the batches' means times their samples */
  /* With several processes: of each batch what is not counted in whole numbers, so that all add it up in one order. */
  tnrt_world *world;
  double *records;
  size_t width;         /* numbers of a record */
  int64_t at;           /* the record of the next batch */
  int *counts;          /* one a process */
} tnrt_tally;

/* room: samples of the largest split; most: of a batch. After a failure the tally is closed all the same. */
tnrt_status tnrt_tally_open(tnrt_tally *tally, tnrt_message *message, const tnrt_alloc *alloc,
                            const tnrt_training *plan, tnrt_world *world, int64_t room, int64_t most);
void tnrt_tally_close(tnrt_tally *tally);

/* first_batch: the number of the batch that this process adds first; batches but the last one have `most` samples. */
void tnrt_tally_start(tnrt_tally *tally, int64_t first_batch);
/* Where the results of a batch behind the loss go: one buffer a metric, of AUC two. Returns their number. */
uint32_t tnrt_tally_bind(tnrt_tally *tally, void **outputs);
/* A batch of n samples was measured. */
void tnrt_tally_add(tnrt_tally *tally, double loss, int64_t n);
/* After the last batch, all processes, which have added n_batches of n samples, each the share that tnrt_tree_share
 * gives it: now the tally is that of all of them, bit for bit that of one process. */
tnrt_status tnrt_tally_share(tnrt_tally *tally, int64_t n_batches, int64_t n);
/* out[1 + n_metrics]; NaN where nothing can be said (no samples, AUC of one class, a confusion matrix). */
void tnrt_tally_finish(tnrt_tally *tally, double *out);

/* From C x C counts, label by answer; 0/0 counts as 0. BINARY: of class 1. */
double tnrt_measure_counts(const double *counts, uint32_t n_classes, uint32_t kind, uint32_t average);
/* The probability that a sample with label 1 scores higher than one with 0, ties half; NaN where one of them is
 * missing. order: room for n numbers. */
double tnrt_measure_auc(const float *scores, const float *labels, uint32_t *order, int64_t n);

#endif
