/* Conditions over measured numbers: `stop when ...`, `require ...`, in postfix order. */
#ifndef TNRT_TRAIN_CONDITION_H
#define TNRT_TRAIN_CONDITION_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/train/plan.h"

/* What a term `stalled` remembers. */
typedef struct tnrt_stall {
  double best, has_best, count;
} tnrt_stall;

/* Everything measured so far: [split][1 + n_metrics], NaN where nothing was. */
static inline double tnrt_measured(const tnrt_training *plan, const double *measures, tnrt_watch watch) {
  return measures[watch.split * (1 + plan->n_metrics) + watch.metric];
}

/* How many `stalled` the conditions hold, and the state of each after a new evaluation of a split. */
uint32_t tnrt_conditions_stalls(const tnrt_training *plan, uint32_t conditions, uint32_t n);
uint32_t tnrt_condition_stalls(const tnrt_training *plan, const tnrt_condition *condition);
void tnrt_conditions_watch(const tnrt_training *plan, uint32_t conditions, uint32_t n, const double *measures,
                           uint32_t split, tnrt_stall *stalls);

/* Whether a condition holds. stalls: the first of its own. TNRT_BAD_INPUT: the plan's terms make no sense. */
tnrt_status tnrt_condition_holds(const tnrt_training *plan, tnrt_message *message, const tnrt_condition *condition,
                                 const double *measures, const tnrt_stall *stalls, bool *out);

/* "test.acc = 0.91, test.loss = 0.3": what the condition looks at, for messages. */
void tnrt_condition_values(const tnrt_training *plan, const tnrt_condition *condition, const double *measures,
                           char *out, size_t bytes);

/* Whether the condition looks at a split. */
bool tnrt_condition_needs(const tnrt_training *plan, const tnrt_condition *condition, uint32_t split);

#endif
