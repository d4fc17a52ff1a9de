/* See generate.h. */
#include "runtime/train/generate.h"

#include <math.h>
#include <string.h>

#include "runtime/train/memory.h"

/* ---- which actions ---- */

/* Called for each until one fails. */
typedef struct visit {
  tnrt_status (*take)(struct visit *v, const tnrt_action *action);
  tnrt_generator *generator;
  tnrt_message *message;
  int64_t most_prompt, most_new;
  bool any;
} visit;

static tnrt_status take_actions(const tnrt_training *p, uint32_t table, uint32_t n, visit *v) {
  const tnrt_action *actions = tnrt_plan_table(p, table);
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++) {
    if (actions[i].kind != TNRT_ACTION_SAMPLE) continue;
    v->any = true;
    if (v->take) status = v->take(v, &actions[i]);
  }
  return status;
}

static tnrt_status take_all(const tnrt_training *p, visit *v) {
  const tnrt_event *events = tnrt_plan_table(p, p->events);
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < p->n_events && status == TNRT_OK; i++)
    status = take_actions(p, events[i].actions, events[i].n_actions, v);
  if (status == TNRT_OK) status = take_actions(p, p->on_nan, p->n_on_nan, v);
  return status == TNRT_OK ? take_actions(p, p->on_interrupt, p->n_on_interrupt, v) : status;
}

bool tnrt_plan_samples(const tnrt_training *plan) {
  visit v = {0};
  take_all(plan, &v);
  return v.any;
}

/* ---- prompts ---- */

/* A text as tokens, in value->numbers. */
static tnrt_status encode(tnrt_generator *g, tnrt_message *message, const char *text) {
  tnrt_value *v = &g->value;
  size_t bytes = strlen(text);
  if (!tnrt_value_reserve(v, (int64_t)bytes + 2)) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for a prompt");
  v->kind = TNRT_VALUE_TEXTS;
  v->texts[0] = text;
  v->count = 1;
  if (g->tokenizer) return tnrt_tokenizer_tokens(g->tokenizer, message, v);
  if (g->chain) return tnrt_chain_apply(g->chain, message, g->n_links, v);
  for (size_t i = 0; i < bytes; i++) v->numbers[i] = (double)(unsigned char)text[i];
  v->count = (int64_t)bytes;
  return TNRT_OK;
}

/* Where a prompt has no token a line ends, or something that is padding: a text that begins. */
static tnrt_status encode_prompt(tnrt_generator *g, tnrt_message *message, const char *prompt) {
  tnrt_status status = encode(g, message, prompt);
  if (status == TNRT_OK && g->value.count == 0) status = encode(g, message, "\n");
  if (status != TNRT_OK || g->value.count) return status;
  g->value.numbers[0] = g->padding;
  g->value.count = 1;
  return TNRT_OK;
}

/* The buffers that a prompt takes on its way are then there. */
static tnrt_status measure(visit *v, const tnrt_action *action) {
  const char *prompt = tnrt_plan_text(v->generator->plan, action->text);
  tnrt_status status = encode_prompt(v->generator, v->message, prompt);
  if (action->n > INT32_MAX || v->generator->value.count > INT32_MAX)
    return tnrt_fail(v->message, TNRT_NO_MEMORY, "no memory for the samples of text");
  if (v->generator->value.count > v->most_prompt) v->most_prompt = v->generator->value.count;
  if (action->n > v->most_new) v->most_new = action->n;
  return status;
}

/* ---- opening ---- */

static tnrt_status open_tokenizer(tnrt_generator *g, const tnrt_session *s) {
  g->tokenizer = tnrt_take(s->alloc, 1, sizeof *g->tokenizer);
  if (!g->tokenizer) return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for a tokenizer");
  tnrt_status status = tnrt_tokenizer_open(g->tokenizer, s->message, s->alloc,
                                           tnrt_plan_text(s->plan, s->plan->source.tokenizer));
  return status == TNRT_OK ? tnrt_decoder_open_file(&g->decoder, s->message, s->alloc, g->tokenizer) : status;
}

/* The links before a length is chosen, of which the last one makes tokens. */
static tnrt_status open_chain(tnrt_generator *g, const tnrt_session *s, const tnrt_chain *chain) {
  const tnrt_fitted *by = NULL;
  g->chain = chain;
  for (uint32_t k = 0; k < chain->n_links; k++) {
    uint32_t kind = chain->links[k].kind;
    if (kind == TNRT_LINK_PAD_OR_CUT) g->padding = (int32_t)chain->links[k].integers[1];
    if (kind != TNRT_LINK_WORDS && kind != TNRT_LINK_BPE && kind != TNRT_LINK_WORDPIECE) continue;
    g->n_links = k + 1;
    by = &chain->fitted[k];
  }
  if (by && by->tokenizer) return tnrt_decoder_open_file(&g->decoder, s->message, s->alloc, by->tokenizer);
  if (by && by->bpe) return tnrt_decoder_open_pairs(&g->decoder, s->message, s->alloc, by->bpe);
  if (by) return tnrt_decoder_open_words(&g->decoder, s->message, s->alloc, &by->words);
  return tnrt_fail(s->message, TNRT_BAD_INPUT, "sample: nothing makes tokens of a text");
}

static tnrt_status open_texts(tnrt_generator *g, const tnrt_session *s, const tnrt_samples *samples) {
  const tnrt_source *source = &s->plan->source;
  if (source->kind == TNRT_SOURCE_TOKENS && source->tokenizer) return open_tokenizer(g, s);
  if (source->kind == TNRT_SOURCE_TEXT) return tnrt_decoder_open_bytes(&g->decoder, s->message, s->alloc);
  return open_chain(g, s, &samples->chains[tnrt_session_input_field(s, 0)]);
}

tnrt_status tnrt_generator_open(tnrt_generator *g, tnrt_session *s, const tnrt_samples *samples) {
  *g = (tnrt_generator){.plan = s->plan, .value = {.alloc = s->alloc}};
  if (!tnrt_plan_samples(s->plan)) return TNRT_OK;
  visit v = {measure, g, s->message, 0, 0, false};
  tnrt_status status = open_texts(g, s, samples);
  if (status == TNRT_OK) status = take_all(s->plan, &v);
  if (status != TNRT_OK) return status;
  const tnrt_model *model = s->program->predict.model;
  g->length = model->inputs[0].extents[1].value;
  g->n_tokens = model->outputs[0].extents[2].value;
  g->window = tnrt_take(s->alloc, (size_t)g->length, sizeof *g->window);
  g->scores = tnrt_take(s->alloc, (size_t)(g->length * g->n_tokens), sizeof *g->scores);
  g->tokens = tnrt_take(s->alloc, (size_t)(v.most_prompt + v.most_new), sizeof *g->tokens);
  g->text = tnrt_take(s->alloc, tnrt_decoder_room(&g->decoder, v.most_new) + 1, 1);
  if (g->window && g->scores && g->tokens && g->text) return TNRT_OK;
  return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for the samples of text");
}

void tnrt_generator_close(tnrt_generator *g, const tnrt_session *s) {
  if (!g->plan) return;
  if (g->tokenizer) tnrt_tokenizer_close(g->tokenizer);
  void *const blocks[] = {g->window, g->scores, g->tokens, g->text, g->tokenizer};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) s->alloc->give(s->alloc->user, blocks[i]);
  tnrt_decoder_close(&g->decoder);
  tnrt_value_free(&g->value);
  *g = (tnrt_generator){0};
}

/* ---- text ---- */

/* One of n tokens, each as likely as its score says; even: in (0, 1). */
static int32_t draw(const float *scores, int64_t n, double even) {
  double largest = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++) largest = fmax(largest, (double)scores[i]);
  for (int64_t i = 0; i < n; i++) sum += exp((double)scores[i] - largest);
  double left = even * sum;
  for (int64_t i = 0; i < n; i++) {
    left -= exp((double)scores[i] - largest);
    if (left < 0) return (int32_t)i;
  }
  return (int32_t)(n - 1);
}

/* The token behind the first n: the model sees the last ones, in front, and padding behind them. */
static tnrt_status next_token(tnrt_generator *g, tnrt_session *s, int64_t n, uint64_t bits, int32_t *out) {
  int64_t seen = n < g->length ? n : g->length, known = g->decoder.n;
  for (int64_t i = 0; i < g->length; i++) g->window[i] = i < seen ? g->tokens[n - seen + i] : g->padding;
  const void *const inputs[] = {g->window};
  void *const outputs[] = {g->scores};
  tnrt_status status = tnrt_session_predict(s, inputs, 1, outputs);
  const float *scores = g->scores + (seen - 1) * g->n_tokens;
  if (status == TNRT_OK) *out = draw(scores, g->n_tokens < known ? g->n_tokens : known, tnrt_random_even(bits));
  return status;
}

tnrt_status tnrt_generate(tnrt_generator *g, tnrt_session *s, const tnrt_action *action, int64_t step,
                          size_t *out_bytes) {
  tnrt_status status = encode_prompt(g, s->message, tnrt_plan_text(s->plan, action->text));
  int64_t first = g->value.count;
  for (int64_t i = 0; i < first && status == TNRT_OK; i++) g->tokens[i] = (int32_t)g->value.numbers[i];
  for (int64_t i = 0; i < action->n && status == TNRT_OK; i++)
    status = next_token(g, s, first + i, tnrt_random_bits(s->seed, TNRT_STREAM_SAMPLE, (uint64_t)step, (uint64_t)i),
                        &g->tokens[first + i]);
  if (status == TNRT_OK) *out_bytes = tnrt_decode(&g->decoder, g->tokens + first, action->n, false, g->text);
  return status;
}
