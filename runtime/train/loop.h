/* The loop of training: epochs and steps, rates, events, conditions, checkpoints, and what is required at the end. */
#ifndef TNRT_TRAIN_LOOP_H
#define TNRT_TRAIN_LOOP_H

#include "runtime/train/condition.h"
#include "runtime/train/generate.h"
#include "runtime/train/loader.h"
#include "runtime/train/options.h"
#include "runtime/train/schedule.h"
#include "runtime/train/signals.h"
#include "runtime/train/state.h"

/* Numbers of the loop that a checkpoint holds, doubles so that they come back as they were; behind them the plateaus of
 * the groups, the stalls of the conditions and the measures. */
typedef struct tnrt_loop_numbers {
  double n_updates, good_steps, loss_scale;
  double lr_factor;             /* of scale_lr */
  double loss_sum, loss_weight; /* of the steps of this epoch */
  double n_begun;               /* actions behind this step, up to the one that a request to end cut off; 0: none was */
} tnrt_loop_numbers;

enum { TNRT_MAX_SKIPPED = 64 };

typedef struct tnrt_loop {
  const tnrt_training_program *program;
  const tnrt_training *plan;
  const tnrt_alloc *alloc;
  tnrt_message *message;
  const tnrt_command *command;
  tnrt_world *world;
  tnrt_session session;
  tnrt_samples samples;
  tnrt_state state;
  tnrt_store *store;
  tnrt_logs *logs;
  double *numbers; /* n_numbers; the pointers that follow point into it */
  int64_t n_numbers;
  tnrt_loop_numbers *own;
  tnrt_plateau *plateaus;
  tnrt_stall *stalls;
  double *measures;
  double *lrs;
  int64_t *positions, *next_positions;   /* of this batch, and of the one behind it */
  tnrt_generator generator;              /* of the action sample */
  tnrt_loader *loader;                   /* NULL: samples are gathered when they are needed */
  int64_t step, epoch, cursor;           /* done; samples done of the epoch that was begun */
  int64_t n_samples, per_epoch;          /* of the training split; steps an epoch */
  int64_t end_steps, end_epochs;         /* 0: none */
  int64_t n_steps;                       /* the last step at the latest; 0: unknown */
  int64_t trained;                       /* samples, by this process */
  int64_t measured_at[TNRT_N_SPLITS];    /* step after which it was measured last; -1: never */
  int64_t saved_at;                      /* step of the last checkpoint; -1: none */
  tnrt_keep keep;                        /* how the last action kept them */
  tnrt_order order;
  int64_t order_epoch;
  int64_t skipped[TNRT_MAX_SKIPPED];     /* steps that are left out since they gave no number */
  uint32_t n_skipped;
  int64_t nan_step, n_nans;              /* the last step that gave none, and how often in a row */
  double rate_factor;                    /* of the rollbacks' scale_lr */
  bool resumes, resumes_best;            /* asked for, or since the last training did not end; from the best */
  bool is_marked;                        /* as one that has not ended (lost.c) */
  bool is_torn;                          /* the state is of no step while it is being replaced */
  bool is_stopped, is_interrupted;       /* by a signal, or --stop-at; by a signal */
  int64_t n_acted, n_acted_before;       /* actions behind this step; those that were done before a resumption */
  bool is_cut;                           /* the last of them ended before it was done, on request */
  char folder[1024];
} tnrt_loop;

/* Trains, together with the other processes of the world: the first one writes checkpoints and tells. *out_stopped:
 * a signal or --stop-at ended it early, a checkpoint being saved. TNRT_BAD_INPUT: among others, a requirement that
 * does not hold, with what was measured. */
tnrt_status tnrt_loop_train(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training_program *program,
                            const tnrt_command *command, tnrt_world *world, const tnrt_signals *signals,
                            bool *out_stopped);

/* The folder of checkpoints: --checkpoint-dir, else that of the plan's checkpoint(dir: ...), else PROGRAM.checkpoints.
 */
void tnrt_checkpoint_folder(const tnrt_training *plan, const tnrt_command *command, char *out, size_t bytes);
/* Opens the checkpoint that --checkpoint says; without it the best where the plan keeps one, else the newest. */
tnrt_status tnrt_checkpoint_open(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                                 const tnrt_command *command, tnrt_reading **out);
/* The first action of this kind among the events, or NULL. */
const tnrt_action *tnrt_plan_action(const tnrt_training *plan, uint32_t kind, bool with_best);

#endif
