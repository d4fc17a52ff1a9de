/* Interned strings and text buffers; see str.h. */
#include "ir/support/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/support/map.h"

typedef struct interned {
  struct interned *next_same_hash;
  size_t length;
  char text[];
} interned;

struct tn_interner {
  tn_arena *arena;
  tn_map by_hash;
};

tn_interner *tn_interner_create(tn_arena *arena) {
  tn_interner *interner = TN_NEW(arena, tn_interner);
  interner->arena = arena;
  interner->by_hash = tn_map_create(arena);
  return interner;
}

const char *tn_intern(tn_interner *interner, const char *text, size_t length) {
  TN_ASSERT(!length || !memchr(text, 0, length));
  uint64_t hash = tn_hash_bytes(0, text, length);
  interned *first = tn_map_get_u64(&interner->by_hash, hash);
  for (interned *s = first; s; s = s->next_same_hash)
    if (s->length == length && (!length || memcmp(s->text, text, length) == 0)) return s->text;
  interned *made = tn_arena_alloc(interner->arena, sizeof(*made) + length + 1);
  made->length = length;
  if (length) memcpy(made->text, text, length);
  made->next_same_hash = first;
  tn_map_set_u64(&interner->by_hash, hash, made);
  return made->text;
}

const char *tn_intern_z(tn_interner *interner, const char *text) { return tn_intern(interner, text, strlen(text)); }

tn_buf tn_buf_create(tn_arena *arena) { return (tn_buf){.arena = arena}; }

static void reserve(tn_buf *buf, size_t more) {
  if (buf->data && buf->capacity - buf->n > more) return;
  size_t capacity = buf->capacity ? buf->capacity : 256;
  while (capacity - buf->n <= more) {
    if (capacity > SIZE_MAX / 4) tn_arena_alloc(buf->arena, SIZE_MAX); /* reports out of memory */
    capacity *= 2;
  }
  char *data = tn_arena_alloc(buf->arena, capacity);
  if (buf->n) memcpy(data, buf->data, buf->n);
  buf->data = data;
  buf->capacity = capacity;
}

void tn_buf_append(tn_buf *buf, const char *text, size_t length) {
  reserve(buf, length);
  if (length) memcpy(buf->data + buf->n, text, length);
  buf->n += length;
  buf->data[buf->n] = 0;
}

void tn_buf_puts(tn_buf *buf, const char *text) { tn_buf_append(buf, text, strlen(text)); }
void tn_buf_putc(tn_buf *buf, char c) { tn_buf_append(buf, &c, 1); }

void tn_buf_vprintf(tn_buf *buf, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  TN_ASSERT(length >= 0);
  reserve(buf, (size_t)length);
  vsnprintf(buf->data + buf->n, (size_t)length + 1, format, again);
  va_end(again);
  buf->n += (size_t)length;
}

void tn_buf_printf(tn_buf *buf, const char *format, ...) {
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(buf, format, args);
  va_end(args);
}

void tn_buf_escape(tn_buf *buf, const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\')
      tn_buf_printf(buf, "\\%c", c);
    else if (c == '\n')
      tn_buf_puts(buf, "\\n");
    else if (c == '\t')
      tn_buf_puts(buf, "\\t");
    else if (c < 0x20 || c == 0x7f)
      tn_buf_printf(buf, "\\x%02x", c);
    else
      tn_buf_putc(buf, (char)c);
  }
}

size_t tn_utf8_bytes(const char *text) {
  unsigned char c = (unsigned char)text[0];
  size_t n = c < 0x80 ? c != 0 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
  for (size_t i = 1; i < n; i++)
    if (((unsigned char)text[i] & 0xc0) != 0x80) return 0;
  unsigned char second = n > 1 ? (unsigned char)text[1] : 0;
  bool wrong = (c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) || (c == 0xf0 && second < 0x90) ||
               (c == 0xf4 && second > 0x8f);
  return wrong ? 0 : n;
}

void tn_buf_double(tn_buf *buf, double v) {
  if (isnan(v)) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    if (bits == 0x7ff8000000000000u)
      tn_buf_puts(buf, "nan");
    else
      tn_buf_printf(buf, "nan(0x%" PRIx64 ")", bits);
    return;
  }
  if (isinf(v)) {
    tn_buf_puts(buf, v < 0 ? "-inf" : "inf");
    return;
  }
  char text[64];
  for (int digits = 1; digits <= 9; digits++) {
    snprintf(text, sizeof(text), "%.*g", digits, v);
    if (strtod(text, NULL) == v) {
      tn_buf_puts(buf, text);
      return;
    }
  }
  snprintf(text, sizeof(text), "%a", v);
  tn_buf_puts(buf, text);
}

#define MAX_NAME 64

static size_t edit_distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b), row[MAX_NAME + 1];
  if (n > MAX_NAME || m > MAX_NAME) return SIZE_MAX;
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
      row[j] = replaced < shorter ? replaced : shorter;
    }
  }
  return row[m];
}

const char *tn_str_nearest(const char *text, const char *const *names, size_t n_names) {
  const char *best = NULL;
  size_t best_distance = 3;
  for (size_t i = 0; i < n_names; i++) {
    size_t distance = edit_distance(text, names[i]);
    if (distance < best_distance) {
      best = names[i];
      best_distance = distance;
    }
  }
  return best;
}
