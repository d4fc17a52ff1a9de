/* Tables by commas or tabs: finding cells. Own code because libcsv's license would bind every training program. */
#include "runtime/train/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/train/place.h"

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

void tnrt_row_draw(const tnrt_row *row, uint32_t column, char *out, size_t bytes) {
  const tnrt_table *t = row->table;
  bool is_held = t->bytes.data || (row->at >= row->block_at && row->next.at <= row->block_at + row->block_bytes);
  *out = 0;
  if (!is_held || t->format.is_json) return;
  const char *begin = t->bytes.data ? (const char *)t->bytes.data + row->at : row->block + (row->at - row->block_at);
  tnrt_cursor c = {.at = begin, .end = begin + (row->next.at - row->at), .is_whole = true};
  if (!skip_empty(&c)) return;
  const char *first = c.at, *from = NULL, *end = NULL;
  cell found = {0};
  for (uint32_t i = 0; !found.is_last; i++) {
    bool is_cut = false;
    const char *at = c.at;
    if (find_cell(t, &c, &found, &is_cut) || is_cut) return;
    if (i == column) from = at, end = found.text + found.bytes + (found.text != at);
  }
  const char *last = found.text + found.bytes + (found.text > first && found.text[-1] == '"');
  if (!from || memchr(first, '\n', (size_t)(last - first))) return;
  tnrt_place_draw(first, (size_t)(last - first), (size_t)(from - first), (size_t)(end - first), row->line, out, bytes);
}

/* ---- tables ---- */

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
