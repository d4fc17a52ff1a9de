/* Where a number was lost: after a step whose loss or gradients are not finite, the same step once more with the model
 * that tells of each of its steps (tnrt_training_program.trace). Nothing of it is there before a step fails. */
#ifndef TNRT_TRAIN_TRACE_H
#define TNRT_TRAIN_TRACE_H

#include "runtime/train/session.h"

/* Behind tnrt_session_step that gave TNRT_STEP_NAN on these samples, in all processes together. Writes what was first
 * not finite: a field of a record, a weight, or what an operator of the model's file made of finite numbers; where only
 * the norm of the gradients is not, the weight with the largest; "" where the program has no such model, memory gives
 * out or nothing is found. */
void tnrt_trace_step(tnrt_session *session, tnrt_samples *samples, const int64_t *positions, int64_t n, char *out,
                     size_t bytes);

#endif
