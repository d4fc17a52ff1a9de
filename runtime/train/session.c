/* Steps and evaluations; see session.h. Nothing is allocated after tnrt_session_open but what contexts take at their
 * first run. */
#include "runtime/train/session.h"

#include <math.h>
#include <string.h>

#include "runtime/core/dtype.h"

static void *take(tnrt_session *s, size_t bytes) {
  void *memory = s->alloc->get(s->alloc->user, bytes ? bytes : 1, 64);
  if (memory) memset(memory, 0, bytes);
  return memory;
}

static tnrt_status no_memory(tnrt_session *s) {
  return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for the weights and states");
}

static size_t sample_bytes(const tnrt_field *field) { return 4 * (size_t)field->count; }

static bool make_tables(tnrt_session *s) {
  const tnrt_training *p = s->plan;
  uint32_t n_states = s->n_trained * p->n_states;
  size_t n_in = p->n_fields + p->n_weights + n_states + 1, n_out = 1 + p->n_metrics + s->n_trained + n_states;
  size_t batch = 0;
  for (uint32_t i = 0; i < p->n_fields; i++)
    batch += ((size_t)p->batch * sample_bytes(&s->fields[i]) + 63) & ~(size_t)63;
  s->values = take(s, p->n_weights * sizeof *s->values);
  s->others = take(s, p->n_weights * sizeof *s->others);
  s->states = take(s, n_states * sizeof *s->states);
  s->other_states = take(s, n_states * sizeof *s->other_states);
  s->inputs = take(s, n_in * sizeof *s->inputs);
  s->outputs = take(s, n_out * sizeof *s->outputs);
  s->batch = take(s, batch);
  return s->values && s->others && s->states && s->other_states && s->inputs && s->outputs && s->batch;
}

static bool make_weights(tnrt_session *s) {
  uint32_t state = 0;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    const tnrt_weight *w = &s->weights[i];
    s->values[i] = take(s, w->bytes);
    if (!s->values[i]) return false;
    if (w->init) memcpy(s->values[i], tnrt_plan_table(s->plan, w->init), w->bytes);
    if (w->role != TNRT_WEIGHT_TRAINED) continue;
    if (!(s->others[i] = take(s, w->bytes))) return false;
    for (uint32_t k = 0; k < s->plan->n_states; k++, state++)
      if (!(s->states[state] = take(s, w->bytes)) || !(s->other_states[state] = take(s, w->bytes))) return false;
  }
  return true;
}

static tnrt_status open_model(tnrt_session *s, tnrt_ctx **out, const tnrt_model *model, int n_threads) {
  tnrt_status status = tnrt_ctx_create(out, model, s->alloc, NULL, 0);
  if (status == TNRT_OK && n_threads > 1) status = tnrt_ctx_set_threads(*out, n_threads);
  return status == TNRT_OK ? status : tnrt_fail(s->message, status, "%s", tnrt_ctx_message(*out));
}

tnrt_status tnrt_session_open(tnrt_session *s, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training *plan, const tnrt_model *step, const tnrt_model *eval,
                              int n_threads) {
  memset(s, 0, sizeof *s);
  s->plan = plan;
  s->fields = tnrt_plan_table(plan, plan->fields);
  s->weights = tnrt_plan_table(plan, plan->weights);
  s->alloc = alloc;
  s->message = message;
  for (uint32_t i = 0; i < plan->n_weights; i++) s->n_trained += s->weights[i].role == TNRT_WEIGHT_TRAINED;
  if (!make_tables(s) || !make_weights(s)) return no_memory(s);
  tnrt_status status = open_model(s, &s->step, step, n_threads);
  return status == TNRT_OK ? open_model(s, &s->eval, eval, n_threads) : status;
}

static void give_all(tnrt_session *s, uint8_t **buffers, uint32_t n) {
  for (uint32_t i = 0; buffers && i < n; i++)
    if (buffers[i]) s->alloc->give(s->alloc->user, buffers[i]);
  if (buffers) s->alloc->give(s->alloc->user, buffers);
}

void tnrt_session_close(tnrt_session *s) {
  if (!s->plan) return;
  tnrt_ctx_destroy(s->step);
  tnrt_ctx_destroy(s->eval);
  give_all(s, s->values, s->plan->n_weights);
  give_all(s, s->others, s->plan->n_weights);
  give_all(s, s->states, s->n_trained * s->plan->n_states);
  give_all(s, s->other_states, s->n_trained * s->plan->n_states);
  if (s->inputs) s->alloc->give(s->alloc->user, s->inputs);
  if (s->outputs) s->alloc->give(s->alloc->user, s->outputs);
  if (s->batch) s->alloc->give(s->alloc->user, s->batch);
  memset(s, 0, sizeof *s);
}

void tnrt_session_fit(tnrt_session *s, const tnrt_samples *samples) {
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    float *to = (float *)(void *)s->values[i];
    if (s->weights[i].role == TNRT_WEIGHT_MEAN) tnrt_samples_fit(samples, s->weights[i].field, to, NULL);
    if (s->weights[i].role == TNRT_WEIGHT_VARIANCE) tnrt_samples_fit(samples, s->weights[i].field, NULL, to);
  }
}

/* The fields of n samples; order NULL: consecutive ones from `first`, which need no copy. */
static void bind_fields(tnrt_session *s, const tnrt_samples *samples, const int64_t *order, int64_t first, int64_t n) {
  uint8_t *to = s->batch;
  for (uint32_t i = 0; i < s->plan->n_fields; i++) {
    size_t bytes = sample_bytes(&s->fields[i]);
    const uint8_t *from = samples->fields[i];
    s->inputs[i] = order ? to : from + (size_t)first * bytes;
    for (int64_t k = 0; order && k < n; k++) memcpy(to + (size_t)k * bytes, from + (size_t)order[k] * bytes, bytes);
    to += ((size_t)s->plan->batch * bytes + 63) & ~(size_t)63;
  }
}

static uint32_t bind_measures(tnrt_session *s) {
  uint32_t n = 1 + s->plan->n_metrics;
  for (uint32_t i = 0; i < n; i++) s->outputs[i] = &s->measures[i];
  return n;
}

tnrt_status tnrt_session_step(tnrt_session *s, const tnrt_samples *samples, const int64_t *order, int64_t n,
                              double lr) {
  const tnrt_training *p = s->plan;
  double t = (double)(s->n_steps + 1);
  float rates[4] = {(float)lr, (float)(lr / (1 - pow(p->beta1, t))), (float)(1 / sqrt(1 - pow(p->beta2, t))), 0};
  uint32_t in = p->n_fields, out = bind_measures(s), n_states = s->n_trained * p->n_states;
  bind_fields(s, samples, order, 0, n);
  for (uint32_t i = 0; i < p->n_weights; i++) {
    s->inputs[in++] = s->values[i];
    if (s->others[i]) s->outputs[out++] = s->others[i];
  }
  for (uint32_t i = 0; i < n_states; i++) {
    s->inputs[in++] = s->states[i];
    s->outputs[out++] = s->other_states[i];
  }
  s->inputs[in] = rates;
  tnrt_status status = tnrt_ctx_run_sized(s->step, &n, s->inputs, s->outputs);
  if (status != TNRT_OK) return tnrt_fail(s->message, status, "%s", tnrt_ctx_message(s->step));
  for (uint32_t i = 0; i < p->n_weights; i++) {
    if (!s->others[i]) continue;
    uint8_t *kept = s->values[i];
    s->values[i] = s->others[i];
    s->others[i] = kept;
  }
  uint8_t **kept = s->states;
  s->states = s->other_states;
  s->other_states = kept;
  s->n_steps++;
  return TNRT_OK;
}

tnrt_status tnrt_session_evaluate(tnrt_session *s, const tnrt_samples *samples, uint32_t split, double *out) {
  const tnrt_training *p = s->plan;
  uint32_t n_measures = bind_measures(s);
  int64_t end = samples->first[split + 1], all = tnrt_samples_count(samples, split);
  for (uint32_t i = 0; i < n_measures; i++) out[i] = 0;
  for (int64_t at = samples->first[split]; at < end; at += p->batch) {
    int64_t n = end - at < p->batch ? end - at : p->batch;
    bind_fields(s, samples, NULL, at, n);
    for (uint32_t i = 0; i < p->n_weights; i++) s->inputs[p->n_fields + i] = s->values[i];
    tnrt_status status = tnrt_ctx_run_sized(s->eval, &n, s->inputs, s->outputs);
    if (status != TNRT_OK) return tnrt_fail(s->message, status, "%s", tnrt_ctx_message(s->eval));
    for (uint32_t i = 0; i < n_measures; i++) out[i] += (double)s->measures[i] * (double)n / (double)all;
  }
  return TNRT_OK;
}
