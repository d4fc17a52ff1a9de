/* The samples of a training program: the fields of each row as arrays, split into training, validation and test. */
#ifndef TNRT_TRAIN_SAMPLES_H
#define TNRT_TRAIN_SAMPLES_H

#include "runtime/train/table.h"
#include "runtime/training.h"

/* The classes of a label field, in their order: by value when all are integers, else by bytes. */
typedef struct tnrt_classes {
  const char **names;
  uint32_t n;
} tnrt_classes;

typedef struct tnrt_samples {
  const tnrt_training *plan;
  tnrt_table table;
  int64_t n_rows;
  int64_t *rows;                  /* rows of the table in the order of the splits */
  int64_t first[TNRT_N_SPLITS + 1]; /* split s is first[s] .. first[s + 1] of rows */
  uint8_t **fields;               /* n_fields arrays over all of rows, in that order */
  tnrt_classes *classes;          /* n_fields; n 0 for numbers */
} tnrt_samples;

/* Text at a place of the plan. */
const char *tnrt_plan_text(const tnrt_training *plan, uint32_t at);
const void *tnrt_plan_table(const tnrt_training *plan, uint64_t at);

/* Reads the plan's file and splits it; label classes come from the training split alone, and their number must be the
 * plan's. path: NULL for the plan's own. Errors name file, line and column. */
tnrt_status tnrt_samples_read(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                              const char *path, tnrt_samples *out);
void tnrt_samples_free(const tnrt_alloc *alloc, tnrt_samples *samples);
static inline int64_t tnrt_samples_count(const tnrt_samples *samples, uint32_t split) {
  return samples->first[split + 1] - samples->first[split];
}

/* Mean and mean squared difference of each element of a field over the training split, in f32. */
void tnrt_samples_fit(const tnrt_samples *samples, uint32_t field, float *mean, float *variance);

#endif
