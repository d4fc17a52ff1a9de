/* See generate.h. */
#include "runtime/train/generate.h"

#include <math.h>
#include <string.h>

#include "runtime/train/memory.h"

enum { N_BYTES = 256 };

/* ---- which actions ---- */

typedef struct visit {
  int64_t most;
  bool any;
} visit;

static void add_actions(const tnrt_training *p, uint32_t table, uint32_t n, visit *out) {
  const tnrt_action *actions = tnrt_plan_table(p, table);
  for (uint32_t i = 0; i < n; i++) {
    if (actions[i].kind != TNRT_ACTION_SAMPLE) continue;
    int64_t bytes = (int64_t)strlen(tnrt_plan_text(p, actions[i].text)) + 1;
    out->any = true;
    if (actions[i].n > INT32_MAX) out->most = INT64_MAX;
    else if (bytes + actions[i].n > out->most) out->most = bytes + actions[i].n;
  }
}

static visit find_actions(const tnrt_training *p) {
  const tnrt_event *events = tnrt_plan_table(p, p->events);
  visit found = {0, false};
  for (uint32_t i = 0; i < p->n_events; i++) add_actions(p, events[i].actions, events[i].n_actions, &found);
  add_actions(p, p->on_nan, p->n_on_nan, &found);
  add_actions(p, p->on_interrupt, p->n_on_interrupt, &found);
  return found;
}

bool tnrt_plan_samples(const tnrt_training *plan) { return find_actions(plan).any; }

tnrt_status tnrt_generator_open(tnrt_generator *g, tnrt_session *s) {
  visit found = find_actions(s->plan);
  *g = (tnrt_generator){0};
  if (!found.any) return TNRT_OK;
  const tnrt_model *model = s->program->predict.model;
  g->length = model->inputs[0].extents[1].value;
  g->n_tokens = model->outputs[0].extents[2].value;
  g->most = found.most;
  g->window = tnrt_take(s->alloc, (size_t)g->length, sizeof *g->window);
  g->scores = tnrt_take(s->alloc, (size_t)(g->length * g->n_tokens), sizeof *g->scores);
  g->text = found.most == INT64_MAX ? NULL : tnrt_take(s->alloc, (size_t)found.most, 1);
  if (g->window && g->scores && g->text) return TNRT_OK;
  return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for the samples of text");
}

void tnrt_generator_close(tnrt_generator *g, const tnrt_session *s) {
  void *const blocks[] = {g->window, g->scores, g->text};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) s->alloc->give(s->alloc->user, blocks[i]);
  *g = (tnrt_generator){0};
}

/* ---- text ---- */

/* One of the bytes, each as likely as its score says; even: in (0, 1). */
static uint8_t draw(const float *scores, int64_t n, double even) {
  double largest = -INFINITY, sum = 0;
  if (n > N_BYTES) n = N_BYTES;
  for (int64_t i = 0; i < n; i++) largest = fmax(largest, (double)scores[i]);
  for (int64_t i = 0; i < n; i++) sum += exp((double)scores[i] - largest);
  double left = even * sum;
  for (int64_t i = 0; i < n; i++) {
    left -= exp((double)scores[i] - largest);
    if (left < 0) return (uint8_t)i;
  }
  return (uint8_t)(n - 1);
}

/* The byte behind the first n of the text: the model sees the last ones, in front, and zeros behind them. */
static tnrt_status next_byte(tnrt_generator *g, tnrt_session *s, int64_t n, uint64_t bits, uint8_t *out) {
  int64_t seen = n < g->length ? n : g->length;
  memset(g->window, 0, (size_t)g->length * sizeof *g->window);
  for (int64_t i = 0; i < seen; i++) g->window[i] = g->text[n - seen + i];
  const void *const inputs[] = {g->window};
  void *const outputs[] = {g->scores};
  tnrt_status status = tnrt_session_predict(s, inputs, 1, outputs);
  if (status == TNRT_OK) *out = draw(g->scores + (seen - 1) * g->n_tokens, g->n_tokens, tnrt_random_even(bits));
  return status;
}

tnrt_status tnrt_generate(tnrt_generator *g, tnrt_session *s, const tnrt_action *action, int64_t step,
                          int64_t *out_first) {
  const char *prompt = tnrt_plan_text(s->plan, action->text);
  int64_t n = (int64_t)strlen(prompt);
  memcpy(g->text, prompt, (size_t)n);
  if (n == 0) g->text[n++] = '\n'; /* a text that begins */
  *out_first = n;
  tnrt_status status = TNRT_OK;
  for (int64_t i = 0; i < action->n && status == TNRT_OK; i++, n++)
    status = next_byte(g, s, n, tnrt_random_bits(s->seed, TNRT_STREAM_SAMPLE, (uint64_t)step, (uint64_t)i),
                       &g->text[n]);
  return status;
}
