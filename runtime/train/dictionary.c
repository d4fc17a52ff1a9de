/* Texts by number; see dictionary.h. */
#include "runtime/train/dictionary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/train/json.h"

void tnrt_dictionary_free(tnrt_dictionary *d) {
  void *const blocks[] = {d->texts, d->words, d->slots};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) d->alloc->give(d->alloc->user, blocks[i]);
  *d = tnrt_dictionary_start(d->alloc);
}

/* FNV-1a, its high bits folded in. */
static size_t hash(const char *text, size_t bytes) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < bytes; i++) h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
  return (size_t)(h ^ h >> 32);
}

/* The slot of a text, or the free one where it belongs. There is always a free one. */
static size_t slot_of(const tnrt_dictionary *d, const char *text, size_t bytes) {
  size_t slot = hash(text, bytes) & d->slot_mask;
  for (; d->slots[slot]; slot = (slot + 1) & d->slot_mask) {
    const tnrt_word *word = &d->words[d->slots[slot] - 1];
    if (word->bytes == bytes && memcmp(d->texts + word->at, text, bytes) == 0) break;
  }
  return slot;
}

static void *larger(tnrt_dictionary *d, void *old, size_t bytes, size_t room) {
  void *memory = d->alloc->get(d->alloc->user, room, 8);
  if (!memory) return NULL;
  if (bytes) memcpy(memory, old, bytes);
  if (old) d->alloc->give(d->alloc->user, old);
  return memory;
}

static void fill_slots(tnrt_dictionary *d) {
  memset(d->slots, 0, (d->slot_mask + 1) * sizeof *d->slots);
  for (uint32_t i = 0; i < d->n; i++)
    d->slots[slot_of(d, d->texts + d->words[i].at, d->words[i].bytes)] = i + 1;
}

static bool make_room(tnrt_dictionary *d, size_t bytes) {
  if (d->n == d->room) {
    uint32_t room = d->room ? 2 * d->room : 16;
    if (room > UINT32_MAX / 4) return false;
    tnrt_word *words = larger(d, d->words, d->n * sizeof *words, room * sizeof *words);
    if (!words) return false;
    d->words = words;
    uint32_t *slots = d->alloc->get(d->alloc->user, 2 * (size_t)room * sizeof *slots, 8);
    if (!slots) return false;
    if (d->slots) d->alloc->give(d->alloc->user, d->slots);
    d->slots = slots;
    d->slot_mask = 2 * (size_t)room - 1;
    d->room = room;
    fill_slots(d);
  }
  if (d->text_room - d->text_bytes > bytes) return true;
  size_t room = 2 * d->text_room + bytes + 256;
  char *texts = larger(d, d->texts, d->text_bytes, room);
  if (!texts) return false;
  d->texts = texts;
  d->text_room = room;
  return true;
}

int64_t tnrt_dictionary_find(const tnrt_dictionary *d, const char *text, size_t bytes) {
  return d->n ? (int64_t)d->slots[slot_of(d, text, bytes)] - 1 : -1;
}

int64_t tnrt_dictionary_add(tnrt_dictionary *d, const char *text, size_t bytes) {
  int64_t found = tnrt_dictionary_find(d, text, bytes);
  if (found < 0) {
    if (!make_room(d, bytes)) return -1;
    found = d->n++;
    d->words[found] = (tnrt_word){d->text_bytes, bytes, 0};
    memcpy(d->texts + d->text_bytes, text, bytes);
    d->texts[d->text_bytes + bytes] = 0;
    d->text_bytes += bytes + 1;
    d->slots[slot_of(d, text, bytes)] = (uint32_t)found + 1;
  }
  d->words[found].count++;
  return found;
}

bool tnrt_integer_read(const char *text, int64_t *out) {
  char *end;
  errno = 0;
  *out = strtoll(text, &end, 10);
  return end != text && !*end && errno == 0 && text[0] != ' ' && text[0] != '+';
}

static int by_bytes(const void *p, const void *q, void *user) {
  const tnrt_word *a = p, *b = q;
  const char *texts = user;
  size_t n = a->bytes < b->bytes ? a->bytes : b->bytes;
  int order = memcmp(texts + a->at, texts + b->at, n);
  return order ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static int by_value(const void *p, const void *q, void *user) {
  const tnrt_word *a = p, *b = q;
  int64_t x = 0, y = 0;
  tnrt_integer_read((const char *)user + a->at, &x);
  tnrt_integer_read((const char *)user + b->at, &y);
  return x != y ? (x > y) - (x < y) : by_bytes(p, q, user);
}

static int by_count(const void *p, const void *q, void *user) {
  const tnrt_word *a = p, *b = q;
  return a->count != b->count ? (a->count < b->count) - (a->count > b->count) : by_bytes(p, q, user);
}

void tnrt_dictionary_sort(tnrt_dictionary *d, tnrt_sorting sorting, uint32_t most) {
  bool are_integers = true;
  int64_t value;
  for (uint32_t i = 0; i < d->n; i++)
    are_integers = are_integers && tnrt_integer_read(tnrt_dictionary_text(d, i), &value);
  if (d->n)
    qsort_r(d->words, d->n, sizeof *d->words,
            sorting == TNRT_SORT_FREQUENT ? by_count : are_integers ? by_value : by_bytes, d->texts);
  if (d->n > most) d->n = most;
  if (d->slots) fill_slots(d);
}

static size_t escape(char *out, unsigned char c) {
  if (c == '"' || c == '\\') return (size_t)snprintf(out, 7, "\\%c", c);
  if (c < 0x20 || c == 0x7f) return (size_t)snprintf(out, 7, "\\u%04x", c);
  *out = (char)c;
  return 1;
}

char *tnrt_dictionary_json(const tnrt_dictionary *d) {
  char *text = d->alloc->get(d->alloc->user, 6 * d->text_bytes + 3 * (size_t)d->n + 8, 1), *to = text;
  if (!text) return NULL;
  *to++ = '[';
  for (uint32_t i = 0; i < d->n; i++) {
    if (i) *to++ = ',';
    *to++ = '"';
    for (size_t k = 0; k < d->words[i].bytes; k++) to += escape(to, (unsigned char)tnrt_dictionary_text(d, i)[k]);
    *to++ = '"';
  }
  *to++ = ']';
  *to = 0;
  return text;
}

tnrt_status tnrt_dictionary_read(tnrt_message *message, tnrt_dictionary *d, const char *json, const char *who) {
  size_t room = strlen(json) + 1, bytes;
  tnrt_json j = tnrt_json_over(json, room - 1);
  char *text = d->alloc->get(d->alloc->user, room, 1);
  bool has_memory = text != NULL;
  if (has_memory && tnrt_json_enter(&j, '['))
    while (has_memory && tnrt_json_more(&j) && tnrt_json_text(&j, text, room, &bytes))
      has_memory = tnrt_dictionary_add(d, text, bytes) >= 0;
  if (text) d->alloc->give(d->alloc->user, text);
  if (!has_memory) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the texts of %.200s", who);
  return j.error ? tnrt_fail(message, TNRT_BAD_INPUT, "%.200s is no list of texts: %.100s", who, j.error) : TNRT_OK;
}
