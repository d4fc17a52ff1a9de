/* A session's buffers as the tensors of its models, in the order of runtime/training.h. Functions take the number of
 * the first tensor and return that of the next. */
#ifndef TNRT_TRAIN_BIND_H
#define TNRT_TRAIN_BIND_H

#include "runtime/train/session.h"

/* Whether a model has the i-th field or weight. */
bool tnrt_bind_has(const uint8_t *mask, uint32_t i);
uint32_t tnrt_bind_n_states(const tnrt_session *session);

/* The fields of n samples: positions[first] and on of a step; positions NULL: consecutive ones from `first`, which are
 * measured. */
tnrt_status tnrt_bind_fields(tnrt_session *session, const tnrt_training_model *model, tnrt_samples *samples,
                             const int64_t *positions, int64_t first, int64_t n, uint32_t *out_in);
uint32_t tnrt_bind_weights(tnrt_session *session, const tnrt_training_model *model, uint32_t in);
uint32_t tnrt_bind_states(tnrt_session *session, uint32_t in);
void tnrt_bind_rates(tnrt_session *session, uint32_t in); /* and noise */

/* The number of the first result of the model that updates (step, or update where a batch has parts) that is the next
 * value of something, and whether result i may lie in place of it. */
uint32_t tnrt_bind_first_next(const tnrt_session *session);
bool tnrt_bind_is_in_place(const tnrt_session *session, uint32_t result);

/* Results: the second buffers of weights with this role, the only ones of those in place; and all that step and update
 * give behind the loss. */
uint32_t tnrt_bind_others(tnrt_session *session, uint32_t role, uint32_t out);
void tnrt_bind_updated(tnrt_session *session, uint32_t out, float *norm, bool has_running);

tnrt_status tnrt_bind_run(tnrt_session *session, tnrt_ctx *ctx, int64_t n);

/* The two buffers of weights with this role, or of states, change places: what a model wrote is what holds. */
void tnrt_swap_weights(tnrt_session *session, uint32_t role);
void tnrt_swap_states(tnrt_session *session);

#endif
