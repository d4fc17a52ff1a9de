/* A training in progress: weights, the optimiser's states, and the two models that work on them. */
#ifndef TNRT_TRAIN_SESSION_H
#define TNRT_TRAIN_SESSION_H

#include "runtime/train/samples.h"

enum { TNRT_MAX_MEASURES = 64 }; /* the loss and the metrics */

typedef struct tnrt_session {
  const tnrt_training *plan;
  const tnrt_field *fields;
  const tnrt_weight *weights;
  const tnrt_alloc *alloc;
  tnrt_message *message;
  tnrt_ctx *step, *eval;
  /* Each weight's elements. Those that are trained, and states, have a second buffer: a step reads one and writes the
   * other, then they change places. */
  uint8_t **values, **others;       /* n_weights */
  uint8_t **states, **other_states; /* n_trained * n_states */
  uint32_t n_trained;
  const void **inputs;
  void **outputs;
  uint8_t *batch; /* one batch of all fields */
  float measures[TNRT_MAX_MEASURES];
  int64_t n_steps; /* so far */
} tnrt_session;

/* Weights are what the plan gives; states are zero. After a failure the session is closed all the same. */
tnrt_status tnrt_session_open(tnrt_session *session, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training *plan, const tnrt_model *step, const tnrt_model *eval,
                              int n_threads);
void tnrt_session_close(tnrt_session *session);

/* Weights that are statistics of a field take them from the training split. */
void tnrt_session_fit(tnrt_session *session, const tnrt_samples *samples);

/* One step on the samples at `order` (n of them, positions in samples->rows); session->measures are the batch's. */
tnrt_status tnrt_session_step(tnrt_session *session, const tnrt_samples *samples, const int64_t *order, int64_t n,
                              double lr);

/* Means over a whole split: the loss and each metric. */
tnrt_status tnrt_session_evaluate(tnrt_session *session, const tnrt_samples *samples, uint32_t split, double *out);

#endif
