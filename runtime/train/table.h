/* Tables of text: comma- or tab-separated files as RFC 4180 describes them, in memory. */
#ifndef TNRT_TRAIN_TABLE_H
#define TNRT_TRAIN_TABLE_H

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

typedef struct tnrt_table {
  const char *path;
  uint8_t *file;
  char **names;     /* n_columns, of the first row */
  char **cells;     /* n_rows * n_columns texts, inside file, ended by zeros */
  int64_t *lines;   /* where each row begins, counted from 1 */
  int64_t n_rows;   /* without the first */
  uint32_t n_columns;
} tnrt_table;

/* Reads a whole file whose first row names the columns. Empty lines are skipped. TNRT_BAD_INPUT names line and column:
 * a row with another number of cells, a quote that does not end, text behind one that does. */
tnrt_status tnrt_table_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, char separator,
                            tnrt_table *out);
void tnrt_table_free(const tnrt_alloc *alloc, tnrt_table *table);

/* The column called name, or n_columns. */
uint32_t tnrt_table_column(const tnrt_table *table, const char *name);

/* A cell as a number; TNRT_BAD_INPUT names file, line and column when it is none or not finite. */
tnrt_status tnrt_table_number(tnrt_message *message, const tnrt_table *table, int64_t row, uint32_t column,
                              double *out);

#endif
