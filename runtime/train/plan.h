/* The tables and texts of a training's plan (runtime/training.h). */
#ifndef TNRT_TRAIN_PLAN_H
#define TNRT_TRAIN_PLAN_H

#include "runtime/training.h"

/* What stands at a place of the plan; a place of 0 is none and must not be asked for. */
static inline const void *tnrt_plan_table(const tnrt_training *plan, uint64_t at) { return (const uint8_t *)plan + at; }
static inline const char *tnrt_plan_text(const tnrt_training *plan, uint32_t at) { return (const char *)plan + at; }

static inline const tnrt_field *tnrt_plan_fields(const tnrt_training *plan) {
  return (const tnrt_field *)tnrt_plan_table(plan, plan->fields);
}
static inline const tnrt_weight *tnrt_plan_weights(const tnrt_training *plan) {
  return (const tnrt_weight *)tnrt_plan_table(plan, plan->weights);
}
static inline const tnrt_metric *tnrt_plan_metrics(const tnrt_training *plan) {
  return (const tnrt_metric *)tnrt_plan_table(plan, plan->metrics);
}

/* Statistics of fields, or of what the model computes from them: fitted (fit.c), not made by an initialiser. */
static inline bool tnrt_weight_is_statistic(const tnrt_weight *w) {
  return w->role == TNRT_WEIGHT_MEAN || w->role == TNRT_WEIGHT_VARIANCE;
}

/* Of the optimiser's states of a weight. */
static inline uint32_t tnrt_state_dtype(const tnrt_weight *w) {
  return w->dtype == TNRT_BF16 || w->dtype == TNRT_F16 ? TNRT_F32 : w->dtype;
}
static inline uint64_t tnrt_state_bytes(const tnrt_weight *w) {
  return tnrt_state_dtype(w) == w->dtype ? w->bytes : 2 * w->bytes;
}

/* The i-th of a table of texts. */
static inline const char *tnrt_plan_item(const tnrt_training *plan, uint32_t table, uint32_t i) {
  return tnrt_plan_text(plan, ((const uint32_t *)tnrt_plan_table(plan, table))[i]);
}

/* "train", "valid", "test". */
static inline const char *tnrt_split_name(uint32_t split) {
  return split == TNRT_SPLIT_TRAIN ? "train" : split == TNRT_SPLIT_VALID ? "valid" : "test";
}

/* Measure 0 is the loss, k + 1 the k-th metric. */
static inline const char *tnrt_measure_name(const tnrt_training *plan, uint32_t measure) {
  return measure ? tnrt_plan_text(plan, tnrt_plan_metrics(plan)[measure - 1].name) : "loss";
}

#endif
