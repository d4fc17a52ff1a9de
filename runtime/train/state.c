/* What a checkpoint holds; see state.h. */
#include "runtime/train/state.h"

#include <stdio.h>
#include <string.h>

#include "runtime/train/json.h"
#include "runtime/train/memory.h"

/* ---- names ---- */

/* "optimizer.fitted.x.0": the numbers that link k of a field learned; "words.x.0": its texts. */
static void fitted_name(const tnrt_training *plan, const char *prefix, uint32_t field, uint32_t k, char *out,
                        size_t bytes) {
  snprintf(out, bytes, "%s%s.%u", prefix, tnrt_plan_text(plan, tnrt_plan_fields(plan)[field].name), k);
}

static const char *keep_name(tnrt_state *st, const char *text) {
  size_t bytes = strlen(text) + 1;
  char *kept = tnrt_take(st->alloc, 1, bytes);
  if (!kept) return NULL;
  memcpy(kept, text, bytes);
  return st->names[st->n_names++] = kept;
}

/* ---- tensors ---- */

static bool add_tensor(tnrt_state *st, const char *name, uint32_t dtype, uint32_t ndim, const int64_t *extents,
                       uint64_t bytes, void *data) {
  if (!name) return false;
  st->contents.tensors[st->contents.n_tensors++] = (tnrt_saved){name, dtype, ndim, extents, bytes, data};
  return true;
}

/* f64[n] */
static bool add_numbers(tnrt_state *st, const char *name, double *numbers, int64_t n) {
  int64_t *extent = &st->extents[st->n_extents++];
  *extent = n;
  return add_tensor(st, keep_name(st, name), TNRT_F64, 1, extent, (uint64_t)n * sizeof(double), numbers);
}

static bool add_weights(tnrt_state *st) {
  const tnrt_session *s = st->session;
  bool ok = true;
  for (uint32_t i = 0; i < s->plan->n_weights && ok; i++) {
    const tnrt_weight *w = &s->weights[i];
    ok = add_tensor(st, tnrt_plan_text(s->plan, w->name), w->dtype, w->ndim, w->extents, w->bytes, s->values[i]);
  }
  return ok;
}

static bool add_states(tnrt_state *st) {
  const tnrt_session *s = st->session;
  char name[1024];
  uint32_t at = 0;
  bool ok = true;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    const tnrt_weight *w = &s->weights[i];
    if (w->role != TNRT_WEIGHT_TRAINED) continue;
    for (uint32_t k = 0; k < s->plan->n_states && ok; k++, at++) {
      snprintf(name, sizeof name, "optimizer.%s.%s", tnrt_plan_item(s->plan, s->plan->state_names, k),
               tnrt_plan_text(s->plan, w->name));
      ok = add_tensor(st, keep_name(st, name), tnrt_state_dtype(w), w->ndim, w->extents, tnrt_state_bytes(w),
                      s->states[at]);
    }
  }
  return ok;
}

/* "[1,2.5]", in a block of the allocator; NULL: no memory. */
static char *numbers_json(const tnrt_alloc *alloc, const double *numbers, int64_t n) {
  enum { EACH = 26 };
  size_t room = (size_t)n * EACH + 3, used = 1;
  char *json = tnrt_take(alloc, 1, room);
  if (!json) return NULL;
  json[0] = '[';
  for (int64_t i = 0; i < n; i++)
    used += (size_t)snprintf(json + used, room - used, "%s%.17g", i ? "," : "", numbers[i]);
  memcpy(json + used, "]", 2);
  return json;
}

/* json: a block of the allocator, or NULL: there was no memory. */
static bool add_text(tnrt_state *st, const char *key, char *json) {
  const char *kept = keep_name(st, key);
  if (!json) return false;
  st->names[st->n_names++] = json;
  st->texts[st->contents.n_texts++] = (tnrt_saved_text){kept, json};
  return kept != NULL;
}

static bool add_fitted(tnrt_state *st, bool has_numbers) {
  const tnrt_training *plan = st->session->plan;
  char name[1024];
  bool ok = true;
  for (uint32_t f = 0; f < plan->n_fields && ok; f++) {
    tnrt_chain *chain = &st->samples->chains[f];
    for (uint32_t k = 0; k < chain->n_links && ok; k++) {
      tnrt_fitted *fitted = &chain->fitted[k];
      fitted_name(plan, "optimizer.fitted.", f, k, name, sizeof name);
      if (fitted->numbers && has_numbers) ok = add_numbers(st, name, fitted->numbers, fitted->n_numbers);
      fitted_name(plan, TNRT_FITTED_KEY, f, k, name, sizeof name);
      if (fitted->numbers && !has_numbers)
        ok = add_text(st, name, numbers_json(st->alloc, fitted->numbers, fitted->n_numbers));
      fitted_name(plan, "words.", f, k, name, sizeof name);
      if (fitted->words.n && ok) ok = add_text(st, name, tnrt_dictionary_json(&fitted->words));
    }
    snprintf(name, sizeof name, TNRT_LABELS_KEY "%s", tnrt_plan_text(plan, chain->field->name));
    if (ok && chain->labels.n) ok = add_text(st, name, tnrt_dictionary_json(&chain->labels));
    snprintf(name, sizeof name, TNRT_COLUMNS_KEY "%s", tnrt_plan_text(plan, chain->field->name));
    if (ok && chain->columns.n) ok = add_text(st, name, tnrt_dictionary_json(&chain->columns));
  }
  return ok;
}

/* Of samples that are all there: those of a training. */
static bool add_parts(tnrt_state *st) {
  char text[160];
  if (!st->samples->rows) return true;
  tnrt_samples_parts(st->samples, text, sizeof text);
  const char *kept = keep_name(st, text);
  st->texts[st->contents.n_texts++] = (tnrt_saved_text){TNRT_PARTS_KEY, kept};
  return kept != NULL;
}

tnrt_status tnrt_state_open(tnrt_state *st, tnrt_session *session, tnrt_samples *samples, double *numbers,
                            int64_t n_numbers) {
  const tnrt_training *plan = session->plan;
  size_t links = 2;
  *st = (tnrt_state){.session = session, .samples = samples, .alloc = session->alloc, .message = session->message,
                     .contents = {.plan = plan, .seed = session->seed}};
  for (uint32_t i = 0; i < plan->n_fields; i++) links += session->fields[i].n_links + 2;
  size_t tensors = plan->n_weights + (size_t)session->n_trained * plan->n_states + links;
  st->contents.tensors = tnrt_take(st->alloc, tensors, sizeof *st->contents.tensors);
  st->contents.texts = st->texts = tnrt_take(st->alloc, links, sizeof *st->texts);
  st->names = tnrt_take(st->alloc, tensors + 3 * links, sizeof *st->names);
  st->extents = tnrt_take(st->alloc, links, sizeof *st->extents);
  bool ok = st->contents.tensors && st->texts && st->names && st->extents && add_weights(st);
  if (ok && numbers) ok = add_states(st) && add_numbers(st, "optimizer.loop", numbers, n_numbers);
  if (ok) ok = add_fitted(st, numbers != NULL) && add_parts(st);
  return ok ? TNRT_OK : tnrt_fail(st->message, TNRT_NO_MEMORY, "no memory for a checkpoint");
}

void tnrt_state_close(tnrt_state *st) {
  if (!st->alloc) return;
  for (uint32_t i = 0; st->names && i < st->n_names; i++) st->alloc->give(st->alloc->user, st->names[i]);
  void *const blocks[] = {st->contents.tensors, st->texts, st->names, st->extents};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) st->alloc->give(st->alloc->user, blocks[i]);
  *st = (tnrt_state){0};
}

void tnrt_state_bind(tnrt_state *st) {
  const tnrt_session *s = st->session;
  uint32_t at = s->plan->n_weights, n = s->n_trained * s->plan->n_states;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) st->contents.tensors[i].data = s->values[i];
  for (uint32_t i = 0; i < n && at + i < st->contents.n_tensors; i++) st->contents.tensors[at + i].data = s->states[i];
}

/* ---- restoring ---- */

static tnrt_status missing(tnrt_samples *s, const char *name) {
  return tnrt_fail(s->message, TNRT_BAD_INPUT, "the checkpoint has no '%.200s'", name);
}

/* reading NULL: of the plan's own. */
static const char *text_of(const tnrt_samples *s, const tnrt_reading *reading, const char *key) {
  if (reading) return tnrt_reading_text(reading, key);
  for (uint32_t i = 0; i < s->plan->n_fitted; i++)
    if (strcmp(tnrt_plan_item(s->plan, s->plan->fitted, 2 * i), key) == 0)
      return tnrt_plan_item(s->plan, s->plan->fitted, 2 * i + 1);
  return NULL;
}

static tnrt_status restore_words(tnrt_samples *s, const tnrt_reading *reading, const char *key,
                                 tnrt_dictionary *words) {
  const char *json = text_of(s, reading, key);
  return json ? tnrt_dictionary_read(s->message, words, json, key) : missing(s, key);
}

/* At most so many numbers stand in the text. */
static int64_t count_numbers(const char *json) {
  int64_t n = 1;
  for (; *json; json++) n += *json == ',';
  return n;
}

static bool read_numbers(const char *text, double *out, int64_t *n) {
  tnrt_json json = tnrt_json_over(text, strlen(text));
  *n = 0;
  for (bool is_inside = tnrt_json_enter(&json, '['); is_inside && tnrt_json_more(&json); (*n)++)
    if (!tnrt_json_number(&json, &out[*n])) return false;
  return !json.error;
}

static tnrt_status restore_link(tnrt_samples *s, const tnrt_reading *reading, uint32_t f, uint32_t k) {
  char name[1024];
  tnrt_fitted *fitted = &s->chains[f].fitted[k];
  if (tnrt_chain_learns_words(&s->chains[f], k)) {
    fitted_name(s->plan, "words.", f, k, name, sizeof name);
    return restore_words(s, reading, name, &fitted->words);
  }
  fitted_name(s->plan, TNRT_FITTED_KEY, f, k, name, sizeof name);
  const char *json = text_of(s, reading, name);
  if (!json) fitted_name(s->plan, "optimizer.fitted.", f, k, name, sizeof name);
  const tnrt_saved *saved = json || !reading ? NULL : tnrt_reading_tensor(reading, name);
  if (!json && (!saved || saved->dtype != TNRT_F64 || saved->ndim != 1)) return missing(s, name);
  fitted->n_numbers = json ? count_numbers(json) : saved->extents[0];
  fitted->numbers = s->alloc->get(s->alloc->user, (size_t)(fitted->n_numbers + 1) * sizeof(double), 64);
  if (!fitted->numbers) return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for '%.200s'", name);
  if (saved) memcpy(fitted->numbers, saved->data, saved->bytes);
  else if (!read_numbers(json, fitted->numbers, &fitted->n_numbers)) return missing(s, name);
  return tnrt_chain_restored(&s->chains[f], s->message, k);
}

bool tnrt_state_is_parted_so(const tnrt_samples *s, const tnrt_reading *reading, char *out, size_t bytes) {
  const char *then = tnrt_reading_text(reading, TNRT_PARTS_KEY);
  char now[160];
  tnrt_samples_parts(s, now, sizeof now);
  if (!then || strcmp(then, now) == 0) return true;
  snprintf(out, bytes, "the data are parted otherwise than in the training: %s; then %s: what is measured may have "
           "been trained on", now, then);
  return false;
}

tnrt_status tnrt_state_restore_samples(tnrt_samples *s, const tnrt_reading *reading) {
  char name[1024];
  tnrt_status status = TNRT_OK;
  for (uint32_t f = 0; f < s->plan->n_fields && status == TNRT_OK; f++) {
    tnrt_chain *chain = &s->chains[f];
    for (uint32_t k = 0; k < chain->n_links && status == TNRT_OK; k++)
      if (tnrt_chain_fits(chain, k)) status = restore_link(s, reading, f, k);
    snprintf(name, sizeof name, TNRT_LABELS_KEY "%s", tnrt_plan_text(s->plan, chain->field->name));
    if (status == TNRT_OK && chain->field->n_classes) status = restore_words(s, reading, name, &chain->labels);
    snprintf(name, sizeof name, TNRT_COLUMNS_KEY "%s", tnrt_plan_text(s->plan, chain->field->name));
    if (status == TNRT_OK && text_of(s, reading, name))
      status = restore_words(s, reading, name, &chain->columns);
    if (status == TNRT_OK && chain->labels.n != chain->field->n_classes)
      status = tnrt_fail(s->message, TNRT_BAD_INPUT, "the checkpoint has %u classes of '%.100s', the program %u",
                         chain->labels.n, tnrt_plan_text(s->plan, chain->field->name), chain->field->n_classes);
  }
  return status;
}
