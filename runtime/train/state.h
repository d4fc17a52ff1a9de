/* A training as a checkpoint holds it: weights, optimiser states, what the data's functions learned, and the numbers of
 * the loop. */
#ifndef TNRT_TRAIN_STATE_H
#define TNRT_TRAIN_STATE_H

#include "runtime/train/checkpoint.h"
#include "runtime/train/session.h"

typedef struct tnrt_state {
  tnrt_checkpoint contents; /* tensors: the weights first, in order */
  tnrt_session *session;
  tnrt_samples *samples;
  const tnrt_alloc *alloc;
  tnrt_message *message;
  tnrt_saved_text *texts;
  char **names; /* of tensors, keys and texts that were made */
  int64_t *extents;
  uint32_t n_names, n_extents;
} tnrt_state;

/* numbers: n_numbers doubles of the loop, kept as "optimizer.loop"; NULL: weights alone (no states, nothing learned).
 * The samples are fitted by now. After a failure the state is closed all the same. */
tnrt_status tnrt_state_open(tnrt_state *state, tnrt_session *session, tnrt_samples *samples, double *numbers,
                            int64_t n_numbers);
void tnrt_state_close(tnrt_state *state);

/* Points the tensors at the buffers that hold now: before each write and after each read. */
void tnrt_state_bind(tnrt_state *state);

/* Restores the chains of unfitted samples from a checkpoint, or (reading NULL) from the plan. TNRT_BAD_INPUT: it lacks
 * something. */
tnrt_status tnrt_state_restore_samples(tnrt_samples *samples, const tnrt_reading *reading);

/* Whether loaded samples are parted as those of the checkpoint's training were; else a sentence that warns. */
bool tnrt_state_is_parted_so(const tnrt_samples *samples, const tnrt_reading *reading, char *out, size_t bytes);

/* Label tables as entries of a checkpoint, of fitted samples: "labels.FIELD". */
#define TNRT_LABELS_KEY "labels."
/* The numbers that link k of a field learned, where the file is no checkpoint: "fitted.FIELD.k". */
#define TNRT_FITTED_KEY "fitted."
/* The columns that a field took which takes those that are left: "columns.FIELD". */
#define TNRT_COLUMNS_KEY "columns."
/* How many records each split has (tnrt_samples_parts). */
#define TNRT_PARTS_KEY "parts"

#endif
