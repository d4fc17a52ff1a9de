/* Text as data; see words.h. */
#include "runtime/train/words.h"

#include <string.h>

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

/* Two-byte characters that are capitals: ranges of code points, and what is added; 1: each even one to the next. */
static uint32_t lower_code(uint32_t c) {
  if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9 && c != 0x3a2) || (c >= 0x410 && c <= 0x42f))
    return c + 0x20;
  if (c >= 0x400 && c <= 0x40f) return c + 0x50;
  bool even_is_capital = (c >= 0x100 && c <= 0x12f) || (c >= 0x132 && c <= 0x137) || (c >= 0x14a && c <= 0x177) ||
                         (c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x52f);
  bool odd_is_capital = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e);
  if ((even_is_capital && c % 2 == 0) || (odd_is_capital && c % 2 == 1)) return c + 1;
  return c;
}

tnrt_status tnrt_words_lower(tnrt_message *message, tnrt_value *value) {
  tnrt_status status = check_text(message, value, "lower");
  if (status != TNRT_OK) return status;
  size_t n = strlen(value->texts[0]);
  if (value->texts[0] != value->text) {
    if (!make_text_room(value, n + 1)) return no_memory(message);
    memcpy(value->text, value->texts[0], n + 1);
    value->texts[0] = value->text;
  }
  for (unsigned char *c = (unsigned char *)value->text; *c; c++) {
    if (*c >= 'A' && *c <= 'Z') *c = (unsigned char)(*c + 32);
    if (*c < 0xc2 || *c > 0xdf || (c[1] & 0xc0) != 0x80) continue;
    uint32_t code = lower_code((uint32_t)(*c & 0x1f) << 6 | (c[1] & 0x3f));
    *c++ = (unsigned char)(0xc0 | code >> 6);
    *c = (unsigned char)(0x80 | (code & 0x3f));
  }
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
