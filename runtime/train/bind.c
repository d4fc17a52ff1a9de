/* See bind.h. */
#include "runtime/train/bind.h"

#include "runtime/share.h"

uint32_t tnrt_bind_n_states(const tnrt_session *s) { return s->n_trained * s->plan->n_states; }

bool tnrt_bind_has(const uint8_t *mask, uint32_t i) { return !mask || mask[i]; }

tnrt_status tnrt_bind_fields(tnrt_session *s, const tnrt_training_model *model, tnrt_samples *samples,
                             const int64_t *positions, int64_t first, int64_t n, uint32_t *out_in) {
  const tnrt_draw draw = {s->seed, s->epoch, TNRT_SPLIT_TRAIN};
  tnrt_status status = TNRT_OK;
  *out_in = 0;
  for (uint32_t i = 0; i < s->plan->n_fields; i++) {
    if (!tnrt_bind_has(model->fields, i)) continue;
    const uint8_t *all = !positions ? samples->fields[i] : s->loaded ? s->loaded[i] : NULL;
    int64_t at = positions ? first - s->loaded_first : first;
    s->inputs[(*out_in)++] = all ? all + (size_t)at * samples->bytes[i] : s->batch[i];
  }
  for (int64_t k = 0; k < n && status == TNRT_OK; k++) /* all fields of a record while it is at hand */
    for (uint32_t i = 0, in = 0; i < s->plan->n_fields && status == TNRT_OK; i++) {
      if (!tnrt_bind_has(model->fields, i) || s->inputs[in++] != s->batch[i]) continue;
      status = tnrt_samples_gather(samples, i, positions ? &draw : NULL, positions ? positions + first + k : NULL,
                                   first + k, 1, s->batch[i] + (size_t)k * samples->bytes[i]);
    }
  return status;
}

uint32_t tnrt_bind_weights(tnrt_session *s, const tnrt_training_model *model, uint32_t in) {
  for (uint32_t i = 0; i < s->plan->n_weights; i++)
    if (tnrt_bind_has(model->weights, i)) s->inputs[in++] = s->values[i];
  return in;
}

uint32_t tnrt_bind_first_next(const tnrt_session *s) {
  return tnrt_share_unit(s->plan, s->world->size) == 0 ? 2 : 1;
}

bool tnrt_bind_is_in_place(const tnrt_session *s, uint32_t result) {
  bool is_whole = tnrt_share_unit(s->plan, s->world->size) == 0;
  const uint8_t *in_place = is_whole ? s->program->step.in_place : s->program->update.in_place;
  return in_place && in_place[result];
}

uint32_t tnrt_bind_others(tnrt_session *s, uint32_t role, uint32_t out) {
  for (uint32_t i = 0; i < s->plan->n_weights; i++)
    if (s->weights[i].role == role) s->outputs[out++] = s->others[i] ? s->others[i] : s->values[i];
  return out;
}

uint32_t tnrt_bind_states(tnrt_session *s, uint32_t in) {
  for (uint32_t i = 0; i < tnrt_bind_n_states(s); i++) s->inputs[in++] = s->states[i];
  return in;
}

void tnrt_bind_rates(tnrt_session *s, uint32_t in) {
  s->inputs[in++] = s->rates;
  if (s->plan->has_noise) s->inputs[in] = s->noise;
}

void tnrt_swap_weights(tnrt_session *s, uint32_t role) {
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    if (s->weights[i].role != role || !s->others[i]) continue;
    uint8_t *kept = s->values[i];
    s->values[i] = s->others[i];
    s->others[i] = kept;
  }
}

void tnrt_swap_states(tnrt_session *s) {
  for (uint32_t i = 0; i < tnrt_bind_n_states(s); i++) {
    uint8_t *kept = s->states[i];
    if (!s->other_states[i]) continue;
    s->states[i] = s->other_states[i];
    s->other_states[i] = kept;
  }
}

tnrt_status tnrt_bind_run(tnrt_session *s, tnrt_ctx *ctx, int64_t n) {
  tnrt_status status = tnrt_ctx_run_sized(ctx, &n, s->inputs, s->outputs);
  return status == TNRT_OK ? status : tnrt_fail(s->message, status, "%s", tnrt_ctx_message(ctx));
}

/* norm, [running..,] trained.., states.. */
void tnrt_bind_updated(tnrt_session *s, uint32_t out, float *norm, bool has_running) {
  s->outputs[out++] = norm;
  if (has_running) out = tnrt_bind_others(s, TNRT_WEIGHT_RUNNING, out);
  out = tnrt_bind_others(s, TNRT_WEIGHT_TRAINED, out);
  for (uint32_t i = 0; i < tnrt_bind_n_states(s); i++)
    s->outputs[out++] = s->other_states[i] ? s->other_states[i] : s->states[i];
}
