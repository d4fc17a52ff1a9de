/* A training in progress: weights, the optimiser's states, and the models that work on them. */
#ifndef TNRT_TRAIN_SESSION_H
#define TNRT_TRAIN_SESSION_H

#include "runtime/train/measures.h"
#include "runtime/train/parts.h"

typedef enum tnrt_use { TNRT_USE_TRAIN, TNRT_USE_EVAL, TNRT_USE_PREDICT, TNRT_N_USES } tnrt_use;

/* Bytes of a process's arenas. */
typedef struct tnrt_arenas {
  uint64_t persistent; /* weights, states, statistics, and second buffers of those not made in place */
  uint64_t step;       /* activations, gradients, workspace */
  uint64_t comm;       /* sums of gradients over parts of a batch and over processes */
} tnrt_arenas;

typedef struct tnrt_session {
  const tnrt_training_program *program;
  const tnrt_training *plan;
  const tnrt_field *fields;
  const tnrt_weight *weights;
  const tnrt_alloc *alloc;
  tnrt_message *message;
  tnrt_ctx *step, *grad, *update, *shard, *norms, *eval, *predict; /* NULL: not opened */
  /* Memory of the whole run: what is kept from step to step, and what one model at a time works in. What travels
   * between processes is the third arena (parts.h). */
  tnrt_arenas bytes;
  uint8_t *persistent, *working;
  bool is_planned_only; /* sizes are found and nothing is taken */
  /* Each weight's elements. Those that are trained or running, and states, have a second buffer where the model that
   * makes their next values cannot do so in place: a step reads one and writes the other, then they change places. */
  uint8_t **values, **others;       /* n_weights; others NULL: in place */
  uint8_t **states, **other_states; /* n_trained * n_states; those of shares: slices.h */
  uint8_t **kept;                   /* n_weights: running ones as they were before the parts */
  uint32_t n_trained;
  const void **inputs;
  void **outputs;
  uint8_t **batch; /* n_fields: room for one batch */
  /* n_fields: this process's samples of the next step, which begin at number loaded_first of the batch (set by the
   * caller: tnrt_parts_share); NULL: they are to be gathered. */
  uint8_t *const *loaded;
  int64_t loaded_first;
  bool has_no_samples; /* of the next step, which it ends for all processes (TNRT_STEP_STOPPED); set by the caller */
  bool is_ending;      /* requests to end are not heard any more; set by the caller */
  float *rates;
  uint64_t seed;
  uint64_t noise[3];
  double loss_scale;
  uint64_t epoch;     /* set by the caller: what augmentation is drawn for */
  int64_t n_updates; /* of weights: what the bias corrections count */
  int64_t good_steps; /* in a row without overflow, since the loss scale last changed */
  double loss, norm; /* of the last step; of none: NaN */
  tnrt_tally tally;  /* opened by tnrt_session_measure */
  tnrt_world alone, *world;
  tnrt_parts parts;
  tnrt_timeline *timeline; /* set by the caller; NULL: none */
} tnrt_session;


/* Contexts for what the use needs (training evaluates too), with working memory for batches of `most` samples at
 * most: nothing is allocated after this. world: NULL: this process alone. Weights are what they are before training
 * (MEAN and VARIANCE zero); states are zero. After a failure the session is closed all the same. */
tnrt_status tnrt_session_open(tnrt_session *session, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training_program *program, tnrt_world *world, tnrt_use use, uint64_t seed,
                              int64_t most, int n_threads);
void tnrt_session_close(tnrt_session *session);
/* What the first of so many processes takes, without taking it. */
tnrt_status tnrt_session_plan(tnrt_arenas *out, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training_program *program, int n_processes);

/* Weights that are statistics of a field, or of what the model computes, take them from the training split (fit.c). */
tnrt_status tnrt_session_fit(tnrt_session *session, tnrt_samples *samples);

typedef enum tnrt_step_result {
  TNRT_STEP_DONE,
  TNRT_STEP_OVERFLOW, /* gradients left the range of their type: nothing changed but the loss scale */
  TNRT_STEP_NAN,      /* the loss or a gradient is no number: nothing changed */
  TNRT_STEP_STOPPED   /* some process is asked to end and has no samples: nothing changed */
} tnrt_step_result;

/* One step, which is number `step` (from 0), on the samples at positions (n of them, at most plan->batch), the same in
 * all processes. lrs: n_groups learning rates. */
tnrt_status tnrt_session_step(tnrt_session *session, tnrt_samples *samples, const int64_t *positions, int64_t n,
                              int64_t step, const double *lrs, tnrt_step_result *out);

/* Room for measuring these samples; before the first evaluation. */
tnrt_status tnrt_session_measure(tnrt_session *session, const tnrt_samples *samples);
/* The loss and each metric over the first n_batches (0: all) of a split: out[1 + n_metrics]. *out_asked: 0, or a signal
 * asked some process to end meanwhile (parts.voted has it in all of them), and nothing was measured. */
tnrt_status tnrt_session_evaluate(tnrt_session *session, tnrt_samples *samples, uint32_t split,
                                  int64_t n_batches, double *out, int *out_asked);

/* The model's outputs for n samples. inputs: of the model in its order; outputs: dense buffers of the caller's. */
tnrt_status tnrt_session_predict(tnrt_session *session, const void *const *inputs, int64_t n, void *const *outputs);
/* Which field the model's i-th input is; n_fields: none. */
uint32_t tnrt_session_input_field(const tnrt_session *session, uint32_t input);
uint32_t tnrt_session_n_inputs(const tnrt_session *session); /* of the model, without weights */

#endif
