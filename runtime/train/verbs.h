/* What a training program does besides training. */
#ifndef TNRT_TRAIN_VERBS_H
#define TNRT_TRAIN_VERBS_H

#include "runtime/train/loop.h"

/* A trained model: a checkpoint's weights in a session, and samples with what the checkpoint learned. */
typedef struct tnrt_trained {
  const tnrt_training_program *program;
  const tnrt_training *plan;
  const tnrt_command *command;
  const tnrt_alloc *alloc;
  tnrt_message *message;
  tnrt_session session;
  tnrt_samples samples;
  tnrt_state state;
  tnrt_reading *reading;
  char warning[400]; /* what is done all the same; "": nothing */
} tnrt_trained;

/* Opens the checkpoint that the command means, restores the chains and the weights. After a failure it is closed all
 * the same. */
tnrt_status tnrt_trained_open(tnrt_trained *trained, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training_program *program, const tnrt_command *command, tnrt_use use);
void tnrt_trained_close(tnrt_trained *trained);

tnrt_status tnrt_verb_eval_training(tnrt_trained *trained);
tnrt_status tnrt_verb_run_training(tnrt_trained *trained);
tnrt_status tnrt_verb_export_training(tnrt_trained *trained);
tnrt_status tnrt_verb_info_training(tnrt_message *message, const tnrt_alloc *alloc,
                                    const tnrt_training_program *program, const tnrt_command *command);

#endif
