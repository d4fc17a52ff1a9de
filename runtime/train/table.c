/* Reading tables: cells are unquoted in place. Own code because libcsv's license would bind every training program. */
#include "runtime/train/table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/file.h"

typedef struct reader {
  tnrt_message *message;
  const char *path;
  char separator;
  char *at, *end;
  int64_t line;
  char **cells; /* of all rows, the first included */
  int64_t *lines;
  size_t n_cells, n_rows;
} reader;

static tnrt_status fail_at(reader *r, const char *what) {
  return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:%lld: %s", r->path, (long long)r->line, what);
}

/* One cell: its text ends in a zero afterwards; *out_last: the row ends behind it. */
static tnrt_status read_cell(reader *r, char **out, int *out_last) {
  char *to = r->at;
  *out = to;
  if (r->at < r->end && *r->at == '"') {
    r->at++;
    for (;;) {
      if (r->at == r->end) return fail_at(r, "a quote is not closed");
      if (*r->at == '"' && (r->at + 1 == r->end || r->at[1] != '"')) break;
      if (*r->at == '"') r->at++;
      if (*r->at == '\n') r->line++;
      *to++ = *r->at++;
    }
    r->at++;
    if (r->at < r->end && *r->at != r->separator && *r->at != '\n' && *r->at != '\r')
      return fail_at(r, "text behind a closing quote");
  } else {
    while (r->at < r->end && *r->at != r->separator && *r->at != '\n' && *r->at != '\r') r->at++;
    to = r->at;
  }
  *out_last = r->at == r->end || *r->at != r->separator;
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
    *out_cells += *c == r->separator || *c == '\n' || *c == '\r';
    *out_rows += *c == '\n' || *c == '\r';
  }
}

static tnrt_status read_rows(reader *r, uint32_t *out_columns) {
  while (r->at < r->end) {
    if (*r->at == '\n' || *r->at == '\r') { /* an empty line */
      r->line += *r->at == '\n';
      r->at++;
      continue;
    }
    size_t first = r->n_cells;
    int last = 0;
    r->lines[r->n_rows++] = r->line;
    while (!last) {
      tnrt_status status = read_cell(r, &r->cells[r->n_cells], &last);
      if (status != TNRT_OK) return status;
      r->n_cells++;
    }
    uint32_t n = (uint32_t)(r->n_cells - first);
    if (r->n_rows == 1) *out_columns = n;
    if (n != *out_columns)
      return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:%lld: expected %u cells as in the first row, found %u",
                       r->path, (long long)r->line, *out_columns, n);
    r->line++;
  }
  return r->n_rows > 0 ? TNRT_OK : fail_at(r, "the file has no row");
}

tnrt_status tnrt_table_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, char separator,
                            tnrt_table *out) {
  size_t bytes, cells, rows;
  memset(out, 0, sizeof *out);
  out->path = path;
  tnrt_status status = tnrt_file_read(message, alloc, path, &out->file, &bytes);
  if (status != TNRT_OK) return status;
  reader r = {message, path, separator, (char *)out->file, (char *)out->file + bytes, 1, NULL, NULL, 0, 0};
  if (bytes >= 3 && memcmp(r.at, "\xef\xbb\xbf", 3) == 0) r.at += 3; /* a byte order mark */
  count(&r, &cells, &rows);
  r.cells = out->names = alloc->get(alloc->user, cells * sizeof *r.cells, 8);
  r.lines = out->lines = alloc->get(alloc->user, rows * sizeof *r.lines, 8);
  if (!r.cells || !r.lines) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the cells of %.200s", path);
  status = read_rows(&r, &out->n_columns);
  out->cells = out->names + out->n_columns;
  out->n_rows = (int64_t)r.n_rows - 1;
  return status;
}

void tnrt_table_free(const tnrt_alloc *alloc, tnrt_table *table) {
  if (table->file) alloc->give(alloc->user, table->file);
  if (table->names) alloc->give(alloc->user, table->names);
  if (table->lines) alloc->give(alloc->user, table->lines);
  memset(table, 0, sizeof *table);
}

uint32_t tnrt_table_column(const tnrt_table *table, const char *name) {
  uint32_t i = 0;
  while (i < table->n_columns && strcmp(table->names[i], name) != 0) i++;
  return i;
}

tnrt_status tnrt_table_number(tnrt_message *message, const tnrt_table *table, int64_t row, uint32_t column,
                              double *out) {
  const char *text = table->cells[(size_t)row * table->n_columns + column];
  char *end;
  *out = strtod(text, &end);
  while (*end == ' ') end++;
  if (end != text && !*end && isfinite(*out)) return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s:%lld: column '%.100s': expected a number, found '%.100s'",
                   table->path, (long long)table->lines[row + 1], table->names[column], text);
}
