/* Tables of text: comma- or tab-separated files as RFC 4180 describes them, in memory. */
#ifndef TNRT_TRAIN_TABLE_H
#define TNRT_TRAIN_TABLE_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

typedef struct tnrt_table_format {
  char separator;
  bool has_header; /* the first row names the columns; else they are called c1, c2, ... */
  /* Rows with another number of cells than the first are left out and counted (the message is the first one), else
   * refused. */
  bool drops_bad;
} tnrt_table_format;

typedef struct tnrt_table {
  const char *path;
  uint8_t *file;
  char **texts;   /* the cells of all rows, inside file, ended by zeros */
  char *made;     /* names of columns where the file has none */
  char **names;   /* n_columns */
  char **cells;   /* n_rows * n_columns, without the header */
  int64_t *lines; /* where each row begins, counted from 1 */
  int64_t n_rows, n_dropped;
  uint32_t n_columns;
} tnrt_table;

/* Reads a whole file. Empty lines are skipped. TNRT_BAD_INPUT names line and column: a row with another number of
 * cells, a quote that does not end, text behind one that does. After a failure the table is freed all the same. */
tnrt_status tnrt_table_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path,
                            const tnrt_table_format *format, tnrt_table *out);
void tnrt_table_free(const tnrt_alloc *alloc, tnrt_table *table);

/* The column called name, or n_columns. */
uint32_t tnrt_table_column(const tnrt_table *table, const char *name);

static inline const char *tnrt_table_cell(const tnrt_table *table, int64_t row, uint32_t column) {
  return table->cells[(size_t)row * table->n_columns + column];
}

/* A text as a decimal number with blanks around it: false where it is none. "nan" and "inf" are none. */
bool tnrt_number_read(const char *text, double *out);

#endif
