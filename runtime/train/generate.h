/* The action sample(prompt, n): a model of text goes on with a prompt, byte by byte. */
#ifndef TNRT_TRAIN_GENERATE_H
#define TNRT_TRAIN_GENERATE_H

#include "runtime/train/session.h"

typedef struct tnrt_generator {
  int64_t length, n_tokens; /* of the model's input; that it tells apart */
  int32_t *window;          /* length */
  float *scores;            /* length * n_tokens */
  uint8_t *text;            /* the prompt of an action, and what comes behind it */
  int64_t most;             /* bytes of text */
} tnrt_generator;

/* Whether the plan has such an action: the session then has the model `predict`. */
bool tnrt_plan_samples(const tnrt_training *plan);

/* Room for all such actions of the plan; nothing where it has none. */
tnrt_status tnrt_generator_open(tnrt_generator *generator, tnrt_session *session);
void tnrt_generator_close(tnrt_generator *generator, const tnrt_session *session);

/* Writes action->n bytes to generator->text, behind the prompt; *out_first is where they begin. Each is drawn from what
 * the model gives the next byte, by the run's seed and the number of the step. */
tnrt_status tnrt_generate(tnrt_generator *generator, tnrt_session *session, const tnrt_action *action, int64_t step,
                          int64_t *out_first);

#endif
