/* Reading tables: cells are unquoted in place. Own code because libcsv's license would bind every training program. */
#include "runtime/train/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/file.h"

typedef struct reader {
  tnrt_message *message;
  const tnrt_table_format *format;
  const char *path;
  char *at, *end;
  int64_t line;
  char **cells; /* of all rows, the header included */
  int64_t *lines;
  size_t n_cells, n_rows;
  uint32_t n_columns;
  int64_t n_dropped;
} reader;

static tnrt_status fail_at(reader *r, int64_t line, uint32_t column, const char *what) {
  return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:%lld: column %u: %s", r->path, (long long)line, column, what);
}

static bool ends_cell(const reader *r) {
  return r->at == r->end || *r->at == r->format->separator || *r->at == '\n' || *r->at == '\r';
}

/* One cell: its text ends in a zero afterwards; *out_last: the row ends behind it. */
static tnrt_status read_cell(reader *r, uint32_t column, char **out, bool *out_last) {
  char *to = r->at;
  int64_t line = r->line;
  *out = to;
  if (r->at < r->end && *r->at == '"') {
    r->at++;
    for (;;) {
      if (r->at == r->end) return fail_at(r, line, column, "a quote is not closed");
      if (*r->at == '"' && (r->at + 1 == r->end || r->at[1] != '"')) break;
      if (*r->at == '"') r->at++;
      if (*r->at == '\n') r->line++;
      *to++ = *r->at++;
    }
    r->at++;
    if (!ends_cell(r)) return fail_at(r, r->line, column, "text behind a closing quote");
  } else {
    while (!ends_cell(r)) {
      if (!*r->at) return fail_at(r, line, column, "a byte of zero: this is no text");
      r->at++;
    }
    to = r->at;
  }
  *out_last = r->at == r->end || *r->at != r->format->separator;
  if (r->at < r->end) {
    if (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n') r->at++;
    r->at++;
  }
  *to = 0; /* the file has room for one zero behind its last byte */
  return TNRT_OK;
}

/* Cells and rows that the file has at most, for the tables. */
static void count(const reader *r, size_t *out_cells, size_t *out_rows) {
  *out_cells = *out_rows = 1;
  for (const char *c = r->at; c < r->end; c++) {
    bool is_end = *c == '\n' || *c == '\r';
    *out_cells += *c == r->format->separator || is_end;
    *out_rows += is_end;
  }
}

static tnrt_status read_row(reader *r) {
  size_t first = r->n_cells;
  bool last = false;
  int64_t line = r->line;
  for (uint32_t column = 1; !last; column++) {
    tnrt_status status = read_cell(r, column, &r->cells[r->n_cells], &last);
    if (status != TNRT_OK) return status;
    r->n_cells++;
  }
  r->line++;
  uint32_t n = (uint32_t)(r->n_cells - first);
  if (r->n_rows == 0) r->n_columns = n;
  if (n == r->n_columns) {
    r->lines[r->n_rows++] = line;
    return TNRT_OK;
  }
  if (r->n_dropped == 0)
    tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:%lld: expected %u cells as in the first row, found %u", r->path,
              (long long)line, r->n_columns, n);
  if (!r->format->drops_bad) return TNRT_BAD_INPUT;
  r->n_cells = first;
  r->n_dropped++;
  return TNRT_OK;
}

static tnrt_status read_rows(reader *r) {
  while (r->at < r->end) {
    if (*r->at == '\n' || *r->at == '\r') { /* an empty line */
      r->line += *r->at == '\n' || r->at + 1 == r->end || r->at[1] != '\n';
      r->at++;
      continue;
    }
    tnrt_status status = read_row(r);
    if (status != TNRT_OK) return status;
  }
  return r->n_rows > 0 ? TNRT_OK : tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s: the file has no row", r->path);
}

/* "c1", "c2", ... */
static tnrt_status make_names(reader *r, const tnrt_alloc *alloc, tnrt_table *out) {
  enum { ROOM = 12 };
  out->names = alloc->get(alloc->user, r->n_columns * sizeof *out->names, 8);
  out->made = alloc->get(alloc->user, (size_t)r->n_columns * ROOM, 1);
  if (!out->names || !out->made)
    return tnrt_fail(r->message, TNRT_NO_MEMORY, "no memory for the columns of %.200s", r->path);
  for (uint32_t i = 0; i < r->n_columns; i++) {
    out->names[i] = out->made + (size_t)i * ROOM;
    snprintf(out->names[i], ROOM, "c%u", i + 1);
  }
  return TNRT_OK;
}

tnrt_status tnrt_table_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path,
                            const tnrt_table_format *format, tnrt_table *out) {
  size_t bytes, cells, rows;
  memset(out, 0, sizeof *out);
  out->path = path;
  tnrt_status status = tnrt_file_read(message, alloc, path, &out->file, &bytes);
  if (status != TNRT_OK) return status;
  reader r = {.message = message, .format = format, .path = path, .at = (char *)out->file, .line = 1};
  r.end = r.at + bytes;
  if (bytes >= 3 && memcmp(r.at, "\xef\xbb\xbf", 3) == 0) r.at += 3; /* a byte order mark */
  count(&r, &cells, &rows);
  r.cells = out->texts = alloc->get(alloc->user, cells * sizeof *r.cells, 8);
  r.lines = out->lines = alloc->get(alloc->user, rows * sizeof *r.lines, 8);
  if (!r.cells || !r.lines) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the cells of %.200s", path);
  status = read_rows(&r);
  if (status != TNRT_OK) return status;
  out->n_columns = r.n_columns;
  out->n_dropped = r.n_dropped;
  out->n_rows = (int64_t)r.n_rows - format->has_header;
  out->cells = out->texts + (format->has_header ? r.n_columns : 0);
  out->names = out->texts;
  if (!format->has_header) return make_names(&r, alloc, out);
  memmove(r.lines, r.lines + 1, (r.n_rows - 1) * sizeof *r.lines);
  return TNRT_OK;
}

void tnrt_table_free(const tnrt_alloc *alloc, tnrt_table *table) {
  if (table->made) alloc->give(alloc->user, table->names);
  void *const blocks[] = {table->file, table->texts, table->made, table->lines};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) alloc->give(alloc->user, blocks[i]);
  memset(table, 0, sizeof *table);
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
