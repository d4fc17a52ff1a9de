/* Tables by commas or tabs: finding cells, and the index of all tables. Own code because libcsv's license would bind
 * every training program. */
#include "runtime/train/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/train/memory.h"

enum { MARK_BYTES = 1024 /* between marks, at least */, FIRST_BLOCK = 1 << 18 };

/* ---- cells ---- */

typedef struct cell {
  const char *text;
  size_t bytes;
  bool has_quotes, is_last; /* doubled ones inside; the row ends behind it */
} cell;

/* A quoted cell behind its first quote. NULL: what is wrong with it, or *out_cut. */
static const char *find_quoted(tnrt_cursor *c, cell *out, bool *out_cut) {
  const char *at = c->at + 1;
  *out = (cell){.text = at};
  for (;;) {
    const char *quote = memchr(at, '"', (size_t)(c->end - at));
    *out_cut = (!quote || quote + 1 == c->end) && !c->is_whole;
    if (*out_cut) return NULL;
    if (!quote) return "a quote is not closed";
    out->bytes = (size_t)(quote - out->text);
    c->at = quote + 1;
    if (c->at == c->end || *c->at != '"') return NULL;
    out->has_quotes = true;
    at = quote + 2;
  }
}

/* The cell at the cursor, which moves behind it. What is wrong, or NULL; lines: of the cell and where it ends. */
static const char *find_cell(const tnrt_table *t, tnrt_cursor *c, cell *out, bool *out_cut) {
  const char *at = c->at, *wrong = NULL;
  if (at < c->end && *at == '"') {
    wrong = find_quoted(c, out, out_cut);
    if (wrong || *out_cut) return wrong;
    for (at = out->text; (at = memchr(at, '\n', (size_t)(out->text + out->bytes - at))); at++) c->line++;
    at = c->at;
    if (at < c->end && (!t->ends[(unsigned char)*at] || !*at)) return "text behind a closing quote";
    if (memchr(out->text, 0, out->bytes)) return "a byte of zero: this is no text";
  } else {
    while (at < c->end && !t->ends[(unsigned char)*at]) at++;
    *out = (cell){.text = c->at, .bytes = (size_t)(at - c->at)};
    if (at < c->end && !*at) return "a byte of zero: this is no text";
  }
  *out_cut = (at == c->end || (*at == '\r' && at + 1 == c->end)) && !c->is_whole;
  if (*out_cut) return NULL;
  out->is_last = at == c->end || *at != t->format.separator;
  if (at < c->end && *at == '\r' && at + 1 < c->end && at[1] == '\n') at++;
  c->at = at + (at < c->end);
  return NULL;
}

static bool keep_cell(tnrt_row *row, uint32_t i, const cell *found) {
  size_t needed = row->text_bytes + found->bytes + 1;
  if (needed > row->text_room && !tnrt_row_reserve(row, needed, i + 1)) return false;
  char *to = row->text + row->text_bytes;
  row->cells[i] = row->text_bytes;
  if (!found->has_quotes) {
    memcpy(to, found->text, found->bytes);
    to += found->bytes;
  } else
    for (size_t k = 0; k < found->bytes; k++) {
      *to++ = found->text[k];
      k += found->text[k] == '"';
    }
  *to++ = 0;
  row->text_bytes = (size_t)(to - row->text);
  return true;
}

/* Past empty lines. False: the bytes end in one. */
static bool skip_empty(tnrt_cursor *c) {
  while (c->at < c->end && (*c->at == '\n' || *c->at == '\r')) {
    bool is_pair = *c->at == '\r' && c->at + 1 < c->end && c->at[1] == '\n';
    if (*c->at == '\r' && c->at + 1 == c->end && !c->is_whole) return false;
    c->at += 1 + is_pair;
    c->line++;
  }
  return c->at < c->end || c->is_whole;
}

static tnrt_found no_memory(const tnrt_table *t, tnrt_message *message, tnrt_status *status) {
  *status = tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the rows of %.200s", t->path);
  return TNRT_FOUND_WRONG;
}

tnrt_found tnrt_csv_find(const tnrt_table *t, tnrt_message *message, tnrt_cursor *c, tnrt_row *row, bool keeps,
                         tnrt_status *status) {
  if (!skip_empty(c)) return TNRT_FOUND_CUT;
  if (c->at == c->end) return TNRT_FOUND_END;
  cell found = {0};
  uint32_t n = 0;
  if (keeps && !tnrt_row_reserve(row, 0, t->n_columns)) return no_memory(t, message, status);
  for (c->first = c->line; !found.is_last; n++) {
    bool is_cut = false;
    const char *wrong = find_cell(t, c, &found, &is_cut);
    if (is_cut) return TNRT_FOUND_CUT;
    if (wrong) {
      *status = tnrt_fail(message, TNRT_BAD_INPUT, "%.200s:%lld: column %u: %s", t->path, (long long)c->line, n + 1,
                          wrong);
      return TNRT_FOUND_WRONG;
    }
    if (keeps && n < t->n_columns && !keep_cell(row, n, &found)) return no_memory(t, message, status);
  }
  c->line++;
  row->n_found = n;
  if (t->n_columns == 0 || n == t->n_columns) return TNRT_FOUND_ROW;
  tnrt_fail(message, TNRT_BAD_INPUT, "%.200s:%lld: expected %u cells as in the first row, found %u", t->path,
            (long long)c->first, t->n_columns, n);
  return TNRT_FOUND_BAD;
}

/* ---- names ---- */

/* "c1", "c2", ... */
static size_t make_names(tnrt_table *t) {
  size_t n = 0;
  for (uint32_t i = 0; i < t->n_columns; i++) {
    t->names[i] = t->texts + n;
    n += (size_t)sprintf(t->names[i], "c%u", i + 1) + 1;
  }
  return n;
}

/* The first row tells how many columns there are, and their names or none. */
static tnrt_status read_names(tnrt_table *t, tnrt_message *message, tnrt_row *row) {
  enum { LONGEST = 12 };
  tnrt_status status = TNRT_OK;
  tnrt_mark first = row->next;
  tnrt_found found = tnrt_row_step(row, message, t, false, &status);
  if (found == TNRT_FOUND_WRONG) return status;
  if (found == TNRT_FOUND_END) return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: the file has no row", t->path);
  t->n_columns = row->n_found;
  row->next = first;
  found = tnrt_row_step(row, message, t, true, &status);
  if (found != TNRT_FOUND_ROW) return status;
  size_t bytes = t->format.has_header ? row->text_bytes : (size_t)t->n_columns * LONGEST;
  t->names = tnrt_take(row->alloc, t->n_columns, sizeof *t->names);
  t->texts = tnrt_take(row->alloc, bytes, 1);
  if (!t->names || !t->texts)
    return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the columns of %.200s", t->path);
  if (!t->format.has_header) return make_names(t), row->next = first, TNRT_OK;
  memcpy(t->texts, row->text, bytes);
  for (uint32_t i = 0; i < t->n_columns; i++) t->names[i] = t->texts + row->cells[i];
  row->next.row = 0;
  return TNRT_OK;
}

/* The keys of all objects, in the order they come first. */
static tnrt_status name_keys(tnrt_table *t, tnrt_message *message, const tnrt_alloc *alloc) {
  if (t->keys.n == 0) return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s has no object", t->path);
  t->n_columns = t->keys.n;
  t->names = tnrt_take(alloc, t->n_columns, sizeof *t->names);
  if (!t->names) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the columns of %.200s", t->path);
  for (uint32_t i = 0; i < t->n_columns; i++) t->names[i] = t->keys.texts + t->keys.words[i].at;
  return TNRT_OK;
}

/* ---- the index ---- */

static bool add_mark(tnrt_table *t, const tnrt_alloc *alloc, const tnrt_mark *mark) {
  if (t->n_marks && mark->at - t->marks[t->n_marks - 1].at < MARK_BYTES) return true;
  if (t->n_marks == t->marks_room) {
    size_t room = 2 * t->marks_room + 64;
    tnrt_mark *marks = alloc->get(alloc->user, room * sizeof *marks, 64);
    if (!marks) return false;
    if (t->n_marks) memcpy(marks, t->marks, t->n_marks * sizeof *marks);
    if (t->marks) alloc->give(alloc->user, t->marks);
    t->marks = marks;
    t->marks_room = room;
  }
  t->marks[t->n_marks++] = *mark;
  return true;
}

/* message: the first row that is dropped, or why it failed. */
static tnrt_status find_rows(tnrt_table *t, tnrt_message *message, tnrt_row *row) {
  tnrt_message later;
  tnrt_status status = TNRT_OK;
  for (;;) {
    tnrt_mark mark = row->next;
    tnrt_found found = tnrt_row_step(row, t->n_dropped ? &later : message, t, false, &status);
    if (found == TNRT_FOUND_END) break;
    if (found == TNRT_FOUND_WRONG && t->n_dropped) *message = later;
    if (found == TNRT_FOUND_WRONG) return status;
    if (found == TNRT_FOUND_BAD) {
      t->n_dropped++;
      if (!t->format.drops_bad) return TNRT_BAD_INPUT;
      continue;
    }
    if (!add_mark(t, row->alloc, &mark))
      return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the index of %.200s", t->path);
    t->n_rows++;
  }
  return TNRT_OK;
}

tnrt_status tnrt_table_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path,
                            const tnrt_table_format *format, uint64_t *room, tnrt_table *out) {
  static const char order_mark[3] = {'\xef', '\xbb', '\xbf'};
  char first[sizeof order_mark];
  *out = (tnrt_table){.path = path, .format = *format, .keys = tnrt_dictionary_start(alloc)};
  out->ends[0] = out->ends['\n'] = out->ends['\r'] = out->ends[(unsigned char)format->separator] = true;
  tnrt_status status = tnrt_bytes_open(message, alloc, path, room, &out->bytes);
  if (status != TNRT_OK) return status;
  tnrt_row row = {.alloc = alloc, .next = {.line = 1}, .want = FIRST_BLOCK};
  if (format->is_json) row.learns = &out->keys;
  if (out->bytes.n >= sizeof first) status = tnrt_bytes_read(message, &out->bytes, 0, sizeof first, first);
  if (status == TNRT_OK && out->bytes.n >= sizeof first && memcmp(first, order_mark, sizeof first) == 0)
    row.next.at = sizeof first;
  if (status == TNRT_OK && !format->is_json) status = read_names(out, message, &row);
  if (status == TNRT_OK) status = find_rows(out, message, &row);
  if (status == TNRT_OK && format->is_json) status = name_keys(out, message, alloc);
  tnrt_row_free(&row);
  return status;
}

void tnrt_table_free(const tnrt_alloc *alloc, tnrt_table *table) {
  if (!table->path) return;
  void *const blocks[] = {table->texts, table->names, table->marks};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) alloc->give(alloc->user, blocks[i]);
  tnrt_dictionary_free(&table->keys);
  tnrt_bytes_close(alloc, &table->bytes);
  *table = (tnrt_table){0};
}

uint32_t tnrt_table_column(const tnrt_table *table, const char *name) {
  uint32_t i = 0;
  while (i < table->n_columns && strcmp(table->names[i], name) != 0) i++;
  return i;
}

/* [+-]digits[.digits] of at most 15 digits: integer and power of ten are exact in double, so is one division's rounding
 * (Clinger, How to read floating point numbers accurately, 1990). What is longer goes to strtod. */
static bool read_short(const char *text, const char **out_end, double *out) {
  static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  bool is_negative = *text == '-';
  int64_t digits = 0;
  int n = 0, behind = 0;
  if (*text == '-' || *text == '+') text++;
  for (; *text >= '0' && *text <= '9' && n < 16; text++, n++) digits = 10 * digits + (*text - '0');
  if (*text == '.')
    for (text++; *text >= '0' && *text <= '9' && n < 16; text++, n++, behind++) digits = 10 * digits + (*text - '0');
  if (n == 0 || n > 15 || *text == 'e' || *text == 'E' || *text == 'x' || *text == 'X') return false;
  *out_end = text;
  *out = (double)digits / powers[behind];
  if (is_negative) *out = -*out;
  return true;
}

bool tnrt_number_read(const char *text, double *out) {
  while (*text == ' ') text++;
  const char *end = text;
  if (!read_short(text, &end, out)) {
    bool is_plain = strspn(text, "0123456789.+-eE") == strcspn(text, " ");
    char *stop;
    *out = strtod(text, &stop);
    if (!is_plain || stop == text || !isfinite(*out)) return false;
    end = stop;
  }
  while (*end == ' ') end++;
  return !*end;
}
