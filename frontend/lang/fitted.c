/* What the functions of a data block learned from the training split, as a training program stores it beside the
 * weights (runtime/train/state.c): numbers of link k of a field, a tensor "optimizer.fitted.FIELD.k" of a checkpoint or
 * a text "fitted.FIELD.k" of an exported file; texts, "words.FIELD.k"; classes, "labels.FIELD". */
#include "frontend/lang/fitted.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/store.h"

const char *tn_fitted_text(tn_sema *s, const char *key) {
  return tn_map_get(&s->store->texts, tn_name(s->ctx, key));
}

const char *tn_fitted_numbers_text(tn_sema *s, const tn_fitted_numbers *numbers) {
  tn_buf text = tn_buf_create(s->arena);
  tn_buf_putc(&text, '[');
  for (size_t i = 0; i < numbers->n; i++) tn_buf_printf(&text, "%s%.17g", i ? "," : "", numbers->data[i]);
  tn_buf_puts(&text, "]");
  return tn_name(s->ctx, text.data);
}

static bool wrong(tn_sema *s, const char *key) {
  return tn_error(s->ctx, TN_LOC_NONE, TN_E_WEIGHTS_FILE, "'%s': '%s' is damaged", tn_store_path(s->store), key);
}

/* "[1,2.5]" */
static bool parse_numbers(tn_sema *s, const char *key, const char *text, tn_fitted_numbers *out) {
  const char *at = text;
  size_t n = 1;
  for (const char *c = text; *c; c++) n += *c == ',';
  double *numbers = TN_NEW_N(s->arena, double, n);
  *out = (tn_fitted_numbers){numbers, 0};
  if (*at++ != '[') return wrong(s, key);
  while (*at != ']') {
    char *end;
    numbers[out->n++] = strtod(at, &end);
    if (end == at || (*end != ',' && *end != ']') || out->n > n) return wrong(s, key);
    at = *end == ',' ? end + 1 : end;
  }
  return true;
}

bool tn_fitted_numbers_of(tn_sema *s, const char *field, uint32_t link, tn_fitted_numbers *out) {
  const char *tensor = tn_namef(s->ctx, "optimizer.fitted.%s.%u", field, link);
  const tn_stored *stored = tn_map_get(&s->store->fitted, tensor);
  const char *key = tn_namef(s->ctx, "fitted.%s.%u", field, link), *text = tn_fitted_text(s, key);
  *out = (tn_fitted_numbers){NULL, 0};
  if (!stored) return !text || parse_numbers(s, key, text, out);
  if (stored->dtype != TN_F64 || stored->ndim != 1) return wrong(s, tensor);
  out->n = (size_t)stored->extents[0];
  out->data = tn_arena_copy(s->arena, stored->data, out->n * sizeof(double));
  return true;
}

static bool read_words(tn_sema *s, const char *key, tn_fitted_words *out) {
  const char *text = tn_fitted_text(s, key);
  *out = (tn_fitted_words){NULL, 0};
  if (!text) return true;
  json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
  bool ok = json_is_array(json);
  size_t n = ok ? json_array_size(json) : 0;
  out->data = TN_NEW_N(s->arena, const char *, n + 1);
  for (size_t i = 0; i < n && ok; i++) {
    const char *word = json_string_value(json_array_get(json, i));
    ok = word != NULL;
    if (ok) out->data[out->n++] = tn_name(s->ctx, word);
  }
  json_decref(json);
  return ok || wrong(s, key);
}

bool tn_fitted_words_of(tn_sema *s, const char *field, uint32_t link, tn_fitted_words *out) {
  return read_words(s, tn_namef(s->ctx, "words.%s.%u", field, link), out);
}

bool tn_fitted_labels_of(tn_sema *s, const char *field, tn_fitted_words *out) {
  return read_words(s, tn_namef(s->ctx, "labels.%s", field), out);
}
