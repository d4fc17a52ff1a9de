/* The samples of a training program: the fields of each record as arrays, split into training, validation and test. */
#ifndef TNRT_TRAIN_SAMPLES_H
#define TNRT_TRAIN_SAMPLES_H

#include "runtime/train/augment.h"
#include "runtime/train/random.h"
#include "runtime/train/records.h"

enum { TNRT_UNKNOWN_BYTES = 640 }; /* of a sentence about categories */

typedef struct tnrt_samples {
  const tnrt_training *plan;
  const tnrt_field *plan_fields;
  const tnrt_alloc *alloc;
  tnrt_message *message;
  tnrt_world *world; /* set by the caller before loading: processes that share that out; NULL: this one alone */
  tnrt_records records;
  tnrt_binding *bindings;           /* n_fields */
  tnrt_chain *chains;               /* n_fields */
  int64_t *rows;                    /* records in the order of the splits */
  int64_t first[TNRT_N_SPLITS + 1]; /* split s is first[s] .. first[s + 1] of rows */
  /* n_fields arrays over all of rows, in that order. NULL: a field that is made whenever a sample is taken, as
   * augmented ones, windows of a stream, and what would not fit into memory. */
  uint8_t **fields;
  size_t *bytes;                    /* of a sample of each field */
  int64_t n_dropped;
  tnrt_message first_dropped;       /* why the first of them was */
  int64_t n_unknown;                /* samples with a category that training did not see */
  tnrt_message first_unknown;       /* the first of them, and where */
  /* The record and the value at hand, and room for one sample of the largest field: of one thread. */
  tnrt_record at_hand;
  tnrt_value value;
  uint8_t *sample;
  bool is_open;
} tnrt_samples;

/* Empty samples with their chains, to be fitted or restored. After a failure of this and the following they are closed
 * all the same. */
tnrt_status tnrt_samples_open(tnrt_samples *samples, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training *plan);
void tnrt_samples_close(tnrt_samples *samples);

/* Reads the data, splits it, and makes the fields. is_fitted: the chains were restored from a checkpoint; else they are
 * fitted on the training split alone. Wrong records are dropped or refused as the plan says; errors name file, line and
 * column. Several processes each find, fit and make the records of one part of the files, and tell the others what
 * those need: the result has the same bits for any number of them, and so has an error. */
tnrt_status tnrt_samples_load(tnrt_samples *samples, const tnrt_data_paths *paths, bool is_fitted);

/* New records for a trained program: all of one file, none dropped, only fields that is_needed has. */
tnrt_status tnrt_samples_load_new(tnrt_samples *samples, const char *path, const uint8_t *is_needed);

static inline int64_t tnrt_samples_count(const tnrt_samples *samples, uint32_t split) {
  return samples->first[split + 1] - samples->first[split];
}

/* How the records are parted, "train 105, valid 22, test 23, shuffle 7": the same for the same file and shares. */
void tnrt_samples_parts(const tnrt_samples *samples, char *out, size_t bytes);

/* "warning: new.csv:7: column 'colour': 'pink' is no category of the training split; ..."; false: there are none. */
bool tnrt_samples_unknown(const tnrt_samples *samples, char *out, size_t bytes);

/* A field of the samples at n positions of rows (NULL: consecutive ones from `first`) into to. draw: for augmented
 * fields; NULL: as they are measured. TNRT_BAD_INPUT: one cannot be made, with its place. */
tnrt_status tnrt_samples_gather(tnrt_samples *samples, uint32_t field, const tnrt_draw *draw, const int64_t *positions,
                                int64_t first, int64_t n, uint8_t *to);

/* Mean and mean squared difference of each element of a field over the training split, in double (sums.h), by all
 * processes. */
tnrt_status tnrt_samples_moments(tnrt_samples *samples, uint32_t field, double *mean, double *variance);

/* Where a sample comes from, for messages. */
void tnrt_samples_place(const tnrt_samples *samples, int64_t position, char *out, size_t bytes);

#endif
