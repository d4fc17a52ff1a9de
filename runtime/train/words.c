/* Text as data; see words.h. */
#include "runtime/train/words.h"

#include <string.h>

#include "runtime/train/unicode.h"

static tnrt_status no_memory(tnrt_message *message) {
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for a text");
}

static bool make_text_room(tnrt_value *value, size_t bytes) {
  if (bytes <= value->text_room) return true;
  char *text = value->alloc->get(value->alloc->user, 2 * bytes, 1);
  if (!text) return false;
  if (value->text) value->alloc->give(value->alloc->user, value->text);
  value->text = text;
  value->text_room = 2 * bytes;
  return true;
}

/* Room for `bytes` of text, the last of which are those of `from`, wherever that stands. */
static bool reserve_apart(tnrt_value *value, size_t bytes, const char *from) {
  size_t n = strlen(from) + 1;
  if (bytes <= value->text_room) return memmove(value->text + bytes - n, from, n) != NULL;
  char *text = value->alloc->get(value->alloc->user, 2 * bytes, 1);
  if (!text) return false;
  memcpy(text + bytes - n, from, n);
  if (value->text) value->alloc->give(value->alloc->user, value->text);
  value->text = text;
  value->text_room = 2 * bytes;
  return true;
}

static tnrt_status check_text(tnrt_message *message, const tnrt_value *value, const char *what) {
  if (value->kind == TNRT_VALUE_TEXTS && value->count == 1) return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%s takes one text", what);
}

tnrt_status tnrt_words_join(tnrt_message *message, tnrt_value *value) {
  size_t bytes = 1;
  if (value->kind != TNRT_VALUE_TEXTS || value->count == 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "join takes texts");
  for (int64_t i = 0; i < value->count; i++) bytes += strlen(value->texts[i]) + 1;
  if (!make_text_room(value, bytes)) return no_memory(message);
  char *to = value->text;
  for (int64_t i = 0; i < value->count; i++) {
    size_t n = strlen(value->texts[i]);
    if (i) *to++ = ' ';
    memcpy(to, value->texts[i], n);
    to += n;
  }
  *to = 0;
  value->texts[0] = value->text;
  value->count = 1;
  return TNRT_OK;
}

/* ---- small letters ---- */

tnrt_status tnrt_words_lower(tnrt_message *message, tnrt_value *value) {
  tnrt_status status = check_text(message, value, "lower");
  if (status != TNRT_OK) return status;
  const char *from = value->texts[0];
  /* A character of two bytes may have a small one of three. What is read stands behind what is written. */
  size_t n = strlen(from), room = n / 2 + 1, code_bytes;
  if (!reserve_apart(value, n + room + 1, from)) return no_memory(message);
  char *to = value->text;
  from = to + room;
  for (uint32_t code; *from; from += code_bytes) {
    code_bytes = (size_t)tnrt_char_read(from, &code);
    if (code_bytes) to += tnrt_char_write(tnrt_char_small(code), to);
    else *to++ = *from, code_bytes = 1;
  }
  *to = 0;
  value->texts[0] = value->text;
  return TNRT_OK;
}

/* ---- tokens ---- */

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool tnrt_words_next(const char **at, const char **out_word, size_t *out_bytes) {
  const char *word = *at;
  while (is_blank(*word)) word++;
  const char *end = word;
  while (*end && !is_blank(*end)) end++;
  *out_word = word;
  *out_bytes = (size_t)(end - word);
  *at = end;
  return end > word;
}

tnrt_status tnrt_words_count(tnrt_message *message, tnrt_dictionary *vocabulary, const tnrt_value *value) {
  const char *word;
  size_t bytes;
  tnrt_status status = check_text(message, value, "words");
  if (status != TNRT_OK) return status;
  for (const char *at = value->texts[0]; tnrt_words_next(&at, &word, &bytes);)
    if (tnrt_dictionary_add(vocabulary, word, bytes) < 0) return no_memory(message);
  return TNRT_OK;
}

tnrt_status tnrt_words_tokens(tnrt_message *message, const tnrt_dictionary *vocabulary, tnrt_value *value) {
  const char *word;
  size_t bytes;
  int64_t n = 0;
  tnrt_status status = check_text(message, value, "words");
  if (status != TNRT_OK) return status;
  for (const char *at = value->texts[0]; tnrt_words_next(&at, &word, &bytes); n++) {
    if (n == (int64_t)value->room && !tnrt_value_reserve(value, 2 * n)) return no_memory(message);
    int64_t found = tnrt_dictionary_find(vocabulary, word, bytes);
    value->numbers[n] = (double)(found < 0 ? TNRT_TOKEN_UNKNOWN : found + TNRT_TOKENS_OWN);
  }
  value->kind = TNRT_VALUE_NUMBERS;
  value->count = value->length = n;
  return TNRT_OK;
}

tnrt_status tnrt_words_fit(tnrt_message *message, int64_t n, int64_t pad, tnrt_value *value) {
  if (value->kind != TNRT_VALUE_NUMBERS) return tnrt_fail(message, TNRT_BAD_INPUT, "pad_or_cut takes tokens");
  if (!tnrt_value_reserve(value, n)) return no_memory(message);
  for (int64_t i = value->count; i < n; i++) value->numbers[i] = (double)pad;
  value->length = value->count < n ? value->count : n;
  value->count = n;
  return TNRT_OK;
}
