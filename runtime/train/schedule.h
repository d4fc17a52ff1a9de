/* Learning rates as functions of the steps done. */
#ifndef TNRT_TRAIN_SCHEDULE_H
#define TNRT_TRAIN_SCHEDULE_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/training.h"

/* What `plateau` remembers: doubles, so that a checkpoint holds them as they are. */
typedef struct tnrt_plateau {
  double factor; /* product of the cuts so far; 1 at the start */
  double best, has_best;
  double bad;    /* evaluations in a row that were not better */
} tnrt_plateau;

static inline tnrt_plateau tnrt_plateau_start(void) { return (tnrt_plateau){.factor = 1}; }

/* TNRT_BAD_INPUT: cosine and one_cycle where the number of steps is not known (0), warm-up that does not end. */
tnrt_status tnrt_schedule_check(tnrt_message *message, const tnrt_schedule *schedule, int64_t n_steps);

/* The rate of step number `step` (from 0) of n_steps. Behind the warm-up, which rises evenly from 0 to lr, the other
 * functions begin at their own step 0. */
double tnrt_schedule_rate(const tnrt_schedule *schedule, const tnrt_plateau *plateau, int64_t step, int64_t n_steps);

/* A new value of what is watched: after more than `patience` in a row that are not better, the rate is cut. */
void tnrt_schedule_watch(const tnrt_schedule *schedule, tnrt_plateau *plateau, double value);

/* Whether a is better than b; no number is better than none. */
bool tnrt_is_better(double a, double b, bool is_max);

#endif
