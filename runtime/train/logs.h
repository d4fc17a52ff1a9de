/* What a training tells while it runs: the progress line (a bar on a terminal, else a line each ten seconds), lines
 * about evaluations (told.h) and events, and the files and ports that `log(...)` and the options ask for. Nothing is
 * allocated after tnrt_logs_open. A log file that cannot be written any more is told once; training goes on. */
#ifndef TNRT_TRAIN_LOGS_H
#define TNRT_TRAIN_LOGS_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"
#include "runtime/training.h"

typedef struct tnrt_log_options {
  bool is_quiet;                                 /* no progress, no lines of evaluations */
  bool is_silent;                                /* nothing at all: another process tells */
  bool plot;                                     /* draw the curves at the end */
  const char *json, *csv, *tensorboard, *plot_png; /* files, and a folder, that get every evaluation and epoch; NULL */
  int port;                                      /* of Prometheus' text on loopback; 0: none */
  bool appends;                                  /* the training is resumed: files go on */
} tnrt_log_options;

/* Where the training stands. Numbers that were never measured are NaN. */
typedef struct tnrt_report {
  int64_t step, epoch;     /* done so far; epoch counts from 1 while it is trained */
  int64_t n_steps, n_epochs; /* when the training ends at the latest; 0: unknown */
  int64_t epoch_step, epoch_steps; /* steps of this epoch that are done, and all of them */
  int64_t n_samples;       /* trained on since the start of the process */
  double loss;             /* of the last step */
  double norm;             /* of its gradients; NaN: of no step yet */
  double loss_scale;
  const double *rates;     /* n_groups learning rates */
  const double *measures;  /* [split][1 + n_metrics]: what was measured last of each split */
} tnrt_report;

typedef struct tnrt_logs tnrt_logs;

tnrt_status tnrt_logs_open(tnrt_logs **out, tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                           const tnrt_log_options *options);
/* Tells the best and the last evaluations, draws --plot and closes; NULL is fine. */
void tnrt_logs_close(tnrt_logs *logs);

/* After every step; cheap (it looks at the clock and seldom does more). */
void tnrt_logs_step(tnrt_logs *logs, const tnrt_report *report);
/* After a split was measured: report->measures of it are new. A line when it is time for one; the options' files. */
void tnrt_logs_eval(tnrt_logs *logs, const tnrt_report *report, tnrt_split split);
/* At the end of an epoch: measures of TNRT_SPLIT_TRAIN are the means of its steps. The options' files. */
void tnrt_logs_epoch(tnrt_logs *logs, const tnrt_report *report);
/* The action log(...) of the plan: one record to its files, its folder of TensorBoard, its port. */
void tnrt_logs_write(tnrt_logs *logs, const tnrt_action *action, const tnrt_report *report);
/* A line about something that happened ("step 120: the loss is not a number: back to step 100"), also when quiet. */
void tnrt_logs_note(tnrt_logs *logs, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
