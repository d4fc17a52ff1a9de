/* Tables of text: comma- or tab-separated files as RFC 4180 describes them, and files of JSON with an object a line
 * (jsonl.c). A table is an index of where its rows begin; rows are read when they are asked for, one after the other or
 * anywhere, so that a file may be larger than memory (bytes.h). */
#ifndef TNRT_TRAIN_TABLE_H
#define TNRT_TRAIN_TABLE_H

#include <stdbool.h>

#include "runtime/train/bytes.h"
#include "runtime/train/dictionary.h"

typedef struct tnrt_table_format {
  char separator;
  bool has_header; /* the first row names the columns; else they are called c1, c2, ... */
  /* Rows with another number of cells than the first are left out and counted (the message is the first one), else
   * refused. */
  bool drops_bad;
  bool is_json;    /* separator and has_header mean nothing */
} tnrt_table_format;

/* Where a row begins: its bytes, its number, its line counted from 1. */
typedef struct tnrt_mark {
  uint64_t at;
  int64_t row, line;
} tnrt_mark;

typedef struct tnrt_table {
  const char *path;
  tnrt_bytes bytes;
  tnrt_table_format format;
  bool ends[256];   /* bytes that a cell without quotes ends at, and zero */
  tnrt_mark *marks; /* about one a kilobyte, the first row's first */
  size_t n_marks, marks_room;
  int64_t n_rows, n_dropped;
  char *texts;      /* what names point into */
  char **names;     /* n_columns */
  uint32_t n_columns;
  tnrt_dictionary keys; /* of JSON: columns by name */
} tnrt_table;

/* A row at hand: one a thread. All zeros but alloc at first. */
typedef struct tnrt_row {
  const tnrt_alloc *alloc;
  const tnrt_table *table;
  int64_t number, line; /* of table: what the cells are of */
  uint64_t at;          /* the byte of the file where it begins, empty lines before it included */
  size_t *cells;        /* n_columns places in text, where zero-ended texts begin */
  char *text;
  size_t cells_room, text_room, text_bytes;
  tnrt_mark next;       /* the row behind it */
  char *block;          /* of a file that is not held */
  size_t block_room, block_bytes, want; /* want: bytes of the next block */
  uint64_t block_at;
  /* While a table is indexed: keys of JSON that are new; cells that the row has. */
  tnrt_dictionary *learns;
  uint32_t n_found;
} tnrt_row;

/* Indexes a whole file; *room as in tnrt_bytes_open. Empty lines are skipped. TNRT_BAD_INPUT names line and column: a
 * row with another number of cells, a quote that does not end, text behind one that does. After a failure the table is
 * freed all the same. */
tnrt_status tnrt_table_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path,
                            const tnrt_table_format *format, uint64_t *room, tnrt_table *out);
/* The same by several processes, each of which reads its part of the file: all get the same index, and the file is not
 * held. */
tnrt_status tnrt_table_share(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, const char *path,
                             const tnrt_table_format *format, tnrt_table *out);
void tnrt_table_free(const tnrt_alloc *alloc, tnrt_table *table);

/* The column called name, or n_columns. */
uint32_t tnrt_table_column(const tnrt_table *table, const char *name);

/* Row `number` of n_rows becomes the one at hand. */
tnrt_status tnrt_row_read(tnrt_row *row, tnrt_message *message, const tnrt_table *table, int64_t number);
void tnrt_row_free(tnrt_row *row);

static inline char *tnrt_row_cell(const tnrt_row *row, uint32_t column) { return row->text + row->cells[column]; }

/* The line of the row at hand with a caret under a cell, drawn as place.h says; "" where it has several lines or is an
 * object of JSON. */
void tnrt_row_draw(const tnrt_row *row, uint32_t column, char *out, size_t bytes);

/* A text as a decimal number with blanks around it: false where it is none. "nan" and "inf" are none. */
bool tnrt_number_read(const char *text, double *out);

/* ---- among the files of tables ---- */

/* Bytes that rows are looked for in. */
typedef struct tnrt_cursor {
  const char *at, *end;
  bool is_whole;       /* the file ends with them */
  int64_t line, first; /* of `at`; of the row that was found */
} tnrt_cursor;

typedef enum tnrt_found {
  TNRT_FOUND_ROW,
  TNRT_FOUND_BAD,   /* a row that is to be dropped: the message says why */
  TNRT_FOUND_CUT,   /* the bytes end before the row does: the cursor is to begin again with more */
  TNRT_FOUND_END,   /* there is none */
  TNRT_FOUND_WRONG  /* *status and the message say why */
} tnrt_found;

/* The next row behind the cursor; its cells go into row where keeps. */
tnrt_found tnrt_csv_find(const tnrt_table *table, tnrt_message *message, tnrt_cursor *cursor, tnrt_row *row,
                         bool keeps, tnrt_status *status);
tnrt_found tnrt_json_find(const tnrt_table *table, tnrt_message *message, tnrt_cursor *cursor, tnrt_row *row,
                          bool keeps, tnrt_status *status);

/* The row at row->next, which moves behind it. */
tnrt_found tnrt_row_step(tnrt_row *row, tnrt_message *message, const tnrt_table *table, bool keeps,
                         tnrt_status *status);

/* Room for so many bytes of text, those that are there kept, and for n cells. */
bool tnrt_row_reserve(tnrt_row *row, size_t bytes, uint32_t n_cells);

#endif
