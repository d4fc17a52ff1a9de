/* Rows of tables, one at hand: out of memory, or out of a block of the file that is read anew where it does not have
 * the row; see table.h. */
#include <string.h>

#include "runtime/train/table.h"

enum { BLOCK = 1 << 18 /* read at once where rows come one after the other */ };

void tnrt_row_free(tnrt_row *row) {
  void *const blocks[] = {row->cells, row->text, row->block};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) row->alloc->give(row->alloc->user, blocks[i]);
  *row = (tnrt_row){.alloc = row->alloc};
}

bool tnrt_row_reserve(tnrt_row *row, size_t bytes, uint32_t n_cells) {
  if (bytes > row->text_room) {
    size_t room = 2 * bytes + 4096;
    char *text = row->alloc->get(row->alloc->user, room, 1);
    if (!text) return false;
    if (row->text_bytes) memcpy(text, row->text, row->text_bytes);
    if (row->text) row->alloc->give(row->alloc->user, row->text);
    row->text = text;
    row->text_room = room;
  }
  if (n_cells > row->cells_room) {
    size_t *cells = row->alloc->get(row->alloc->user, n_cells * sizeof *cells, 64);
    if (!cells) return false;
    if (row->cells) row->alloc->give(row->alloc->user, row->cells);
    row->cells = cells;
    row->cells_room = n_cells;
  }
  return true;
}

/* ---- blocks ---- */

/* The block at row->next, of at least `bytes` where the file has them. */
static tnrt_status load(tnrt_row *row, tnrt_message *message, const tnrt_table *t, size_t bytes) {
  uint64_t left = t->bytes.n - row->next.at;
  if (bytes > left) bytes = (size_t)left;
  row->block_bytes = 0;
  if (bytes > row->block_room) {
    if (row->block) row->alloc->give(row->alloc->user, row->block);
    size_t room = bytes > BLOCK ? bytes : BLOCK; /* for all rows that are shorter, so that it is asked for once */
    row->block_room = 0;
    row->block = row->alloc->get(row->alloc->user, room, 64);
    if (!row->block) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for a row of %.200s", t->path);
    row->block_room = room;
  }
  tnrt_status status = tnrt_bytes_read(message, &t->bytes, row->next.at, bytes, row->block);
  row->block_at = row->next.at;
  row->block_bytes = status == TNRT_OK ? bytes : 0;
  return status;
}

/* What is at hand of the file from row->next on. */
static size_t at_hand(const tnrt_row *row) {
  uint64_t at = row->next.at;
  bool is_inside = at >= row->block_at && at < row->block_at + row->block_bytes;
  return is_inside ? (size_t)(row->block_at + row->block_bytes - at) : 0;
}

static tnrt_cursor cursor_at(const tnrt_row *row, const tnrt_table *t) {
  size_t n = t->bytes.data ? (size_t)(t->bytes.n - row->next.at) : at_hand(row);
  const char *data = t->bytes.data ? (const char *)t->bytes.data + row->next.at
                     : n           ? row->block + (row->next.at - row->block_at)
                                   : "";
  return (tnrt_cursor){.at = data, .end = data + n, .is_whole = row->next.at + n == t->bytes.n, .line = row->next.line};
}

tnrt_found tnrt_row_step(tnrt_row *row, tnrt_message *message, const tnrt_table *t, bool keeps, tnrt_status *status) {
  for (;;) {
    tnrt_cursor c = cursor_at(row, t);
    const char *begin = c.at;
    row->at = row->next.at;
    row->text_bytes = 0;
    tnrt_found found = c.at == c.end && !c.is_whole ? TNRT_FOUND_CUT
                       : t->format.is_json          ? tnrt_json_find(t, message, &c, row, keeps, status)
                                                    : tnrt_csv_find(t, message, &c, row, keeps, status);
    if (found == TNRT_FOUND_CUT) {
      size_t had = at_hand(row);
      *status = load(row, message, t, 2 * had > row->want ? 2 * had : row->want);
      if (*status != TNRT_OK) return TNRT_FOUND_WRONG;
      continue;
    }
    row->next.at += (uint64_t)(c.at - begin);
    row->next.line = c.line;
    row->next.row += found == TNRT_FOUND_ROW;
    row->line = c.first;
    return found;
  }
}

/* ---- any row ---- */

/* The last mark that is not behind the row. */
static size_t find_mark(const tnrt_table *t, int64_t number) {
  size_t low = 0, high = t->n_marks;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (t->marks[middle].row <= number) low = middle;
    else high = middle;
  }
  return low;
}

static void seek(tnrt_row *row, const tnrt_table *t, int64_t number) {
  size_t i = find_mark(t, number);
  if (row->table == t && row->next.row <= number && row->next.row >= t->marks[i].row) return;
  uint64_t end = i + 1 < t->n_marks ? t->marks[i + 1].at : t->bytes.n, bytes = end - t->marks[i].at;
  row->next = t->marks[i];
  row->want = bytes < BLOCK ? (size_t)bytes : BLOCK;
}

tnrt_status tnrt_row_read(tnrt_row *row, tnrt_message *message, const tnrt_table *t, int64_t number) {
  tnrt_status status = TNRT_OK;
  if (row->table == t && row->number == number) return TNRT_OK;
  if (row->table == t && row->next.row == number) row->want = BLOCK;
  else seek(row, t, number);
  if (row->table != t) row->block_bytes = 0;
  row->table = t;
  row->number = -1;
  while (row->next.row <= number) {
    tnrt_found found = tnrt_row_step(row, message, t, row->next.row == number, &status);
    if (found == TNRT_FOUND_END)
      return tnrt_fail(message, TNRT_IO, "%.300s has changed since it was indexed", t->path);
    if (found == TNRT_FOUND_WRONG) return status;
  }
  row->number = number;
  return TNRT_OK;
}
