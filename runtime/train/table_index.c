/* The index of a table: its columns, and where its rows begin (table.h). Several processes each find the rows of one
 * part of the file. Where a part's first row begins a process cannot see, for a line may end inside of quotes: it
 * counts the quotes before its part, which tells all but for files with quotes inside of cells that have none around
 * them. So where a process's rows begin is compared with where those before it end, and what does not fit is done
 * again, from the first that is wrong on; in the end all rows are what one process would have found. */
#include <stdio.h>
#include <string.h>

#include "runtime/train/memory.h"
#include "runtime/train/shards.h"
#include "runtime/train/table.h"
#include "runtime/train/tree.h"

enum { MARK_BYTES = 1024 /* between marks, at least */, FIRST_BLOCK = 1 << 18, LOOK = 1 << 16 };

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

/* The rows that begin before `limit`. message: the first row that is dropped, or why it failed; *out_bad: where that
 * is. */
static tnrt_status find_rows(tnrt_table *t, tnrt_message *message, tnrt_row *row, uint64_t limit, tnrt_mark *out_bad) {
  tnrt_message later;
  tnrt_status status = TNRT_OK;
  while (row->next.at < limit) {
    tnrt_mark mark = row->next;
    tnrt_found found = tnrt_row_step(row, t->n_dropped ? &later : message, t, false, &status);
    if (found == TNRT_FOUND_END) break;
    if (found == TNRT_FOUND_WRONG || (found == TNRT_FOUND_BAD && t->n_dropped == 0)) *out_bad = mark;
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

/* The file, and the columns of one that is not of JSON: row->next is then where its rows begin. */
static tnrt_status begin(tnrt_table *t, tnrt_message *message, const tnrt_alloc *alloc, const char *path,
                         const tnrt_table_format *format, uint64_t *room, tnrt_row *row) {
  static const char order_mark[3] = {'\xef', '\xbb', '\xbf'};
  char first[sizeof order_mark];
  *t = (tnrt_table){.path = path, .format = *format, .keys = tnrt_dictionary_start(alloc)};
  t->ends[0] = t->ends['\n'] = t->ends['\r'] = t->ends[(unsigned char)format->separator] = true;
  *row = (tnrt_row){.alloc = alloc, .next = {.line = 1}, .want = FIRST_BLOCK};
  if (format->is_json) row->learns = &t->keys;
  tnrt_status status = tnrt_bytes_open(message, alloc, path, room, &t->bytes);
  if (status == TNRT_OK && t->bytes.n >= sizeof first)
    status = tnrt_bytes_read(message, &t->bytes, 0, sizeof first, first);
  if (status == TNRT_OK && t->bytes.n >= sizeof first && memcmp(first, order_mark, sizeof first) == 0)
    row->next.at = sizeof first;
  return status == TNRT_OK && !format->is_json ? read_names(t, message, row) : status;
}

tnrt_status tnrt_table_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path,
                            const tnrt_table_format *format, uint64_t *room, tnrt_table *out) {
  tnrt_row row;
  tnrt_mark bad;
  tnrt_status status = begin(out, message, alloc, path, format, room, &row);
  if (status == TNRT_OK) status = find_rows(out, message, &row, UINT64_MAX, &bad);
  if (status == TNRT_OK && format->is_json) status = name_keys(out, message, alloc);
  tnrt_row_free(&row);
  return status;
}

/* ---- several processes ---- */

/* What a process has found of its part, as the others hear of it. Lines and rows are counted from its begin on. */
typedef struct part {
  uint64_t first, limit; /* the part: bytes in which its rows begin */
  uint64_t begin, end;   /* of its rows */
  int64_t n_rows, n_lines, n_dropped, status;
  tnrt_mark bad;         /* the first row that is dropped, or why it failed */
} part;

typedef struct sharing {
  tnrt_table *table;
  tnrt_world *world;
  tnrt_message *message;
  tnrt_row row;
  part own, *all; /* all: of each process */
} sharing;

/* What is at hand for looking: up to LOOK bytes at `at`. */
static tnrt_status look(const sharing *s, uint64_t at, uint64_t end, char *out, size_t *out_bytes) {
  *out_bytes = end - at < LOOK ? (size_t)(end - at) : LOOK;
  return tnrt_bytes_read(s->message, &s->table->bytes, at, *out_bytes, out);
}

static tnrt_status count_quotes(const sharing *s, char *block, int64_t *out) {
  size_t n;
  *out = 0;
  for (uint64_t at = s->own.first; at < s->own.limit; at += n) {
    tnrt_status status = look(s, at, s->own.limit, block, &n);
    if (status != TNRT_OK) return status;
    for (const char *c = block; (c = memchr(c, '"', n - (size_t)(c - block))); c++) ++*out;
  }
  return TNRT_OK;
}

/* Behind the first end of a line, outside of quotes, from the byte before the part on. */
static tnrt_status find_begin(sharing *s, char *block, bool is_quoted) {
  uint64_t all = s->table->bytes.n;
  bool ends = false; /* a line by \r, which a \n may follow */
  size_t n;
  s->own.begin = all;
  for (uint64_t at = s->own.first - 1; at < all; at += n) {
    tnrt_status status = look(s, at, all, block, &n);
    if (status != TNRT_OK) return status;
    for (size_t i = 0; i < n; i++) {
      if (ends || (!is_quoted && block[i] == '\n')) return s->own.begin = at + i + (block[i] == '\n'), TNRT_OK;
      is_quoted ^= block[i] == '"' && !s->table->format.is_json && at + i >= s->own.first;
      ends = !is_quoted && block[i] == '\r' && !s->table->format.is_json;
    }
  }
  return TNRT_OK;
}

/* The rows of the part, from own.begin on. */
static void find_own(sharing *s) {
  tnrt_table *t = s->table;
  tnrt_message message;
  t->n_marks = 0;
  t->n_rows = t->n_dropped = 0;
  s->row.next = (tnrt_mark){.at = s->own.begin};
  if (t->format.is_json) tnrt_dictionary_free(&t->keys);
  s->own.status = find_rows(t, &message, &s->row, s->own.limit, &s->own.bad);
  if (s->own.status != TNRT_OK) *s->message = message;
  s->own.end = s->row.next.at;
  s->own.n_rows = t->n_rows;
  s->own.n_lines = s->row.next.line;
  s->own.n_dropped = t->n_dropped;
}

/* Whether the rows of process r begin where those before it end. */
static bool fits(const sharing *s, int r) { return r == 0 || s->all[r].begin == s->all[r - 1].end; }

/* The first process whose rows are not sure to be right, or that could not read its own; size: there is none. */
static int first_unsure(const sharing *s) {
  int r = 0;
  while (r < s->world->size && fits(s, r) && s->all[r].status == TNRT_OK) r++;
  return r;
}

static tnrt_status tell_parts(sharing *s) {
  int counts[TNRT_COMM_RANKS];
  for (int r = 0; r < s->world->size; r++) counts[r] = (int)sizeof *s->all;
  s->all[s->world->rank] = s->own;
  return tnrt_world_gather(s->world, s->all, counts, "the rows of a file");
}

/* Until all parts fit, or the first that does has failed. Each round makes one more process sure at least. */
static tnrt_status find_all(sharing *s) {
  int self = s->world->rank, unsure;
  for (;;) {
    tnrt_status status = tell_parts(s);
    if (status != TNRT_OK) return status;
    unsure = first_unsure(s);
    if (unsure == s->world->size || fits(s, unsure)) return TNRT_OK;
    if (self < unsure || fits(s, self) || s->all[self - 1].status != TNRT_OK) continue;
    s->own.begin = s->all[self - 1].end;
    find_own(s);
  }
}

/* What went wrong at a row, with its true line. */
static tnrt_status tell_bad(sharing *s, int64_t lines) {
  tnrt_status status = TNRT_OK;
  if (s->own.status == TNRT_NO_MEMORY || s->own.status == TNRT_IO) return (tnrt_status)s->own.status;
  s->row.next = s->own.bad;
  s->row.next.line += lines;
  tnrt_found found = tnrt_row_step(&s->row, s->message, s->table, false, &status);
  return found == TNRT_FOUND_WRONG ? status : (tnrt_status)s->own.status;
}

/* Rows and lines are counted from the file's begin on; the marks of all processes become one table. */
static tnrt_status join_marks(sharing *s, const tnrt_mark *before) {
  tnrt_table *t = s->table;
  uint64_t bytes = t->n_marks * sizeof *t->marks;
  uint8_t *all = NULL;
  for (size_t i = 0; i < t->n_marks; i++) {
    t->marks[i].row += before->row;
    t->marks[i].line += before->line;
  }
  tnrt_status status =
      tnrt_shards_collect(s->world, s->message, s->row.alloc, TNRT_OK, t->marks, &bytes, &all, NULL);
  if (t->marks) s->row.alloc->give(s->row.alloc->user, t->marks);
  t->marks = (tnrt_mark *)(void *)all;
  t->n_marks = t->marks_room = (size_t)(bytes / sizeof *t->marks);
  return status;
}

/* What all parts are together. first_line: of the first row. */
static tnrt_status join_parts(sharing *s, int64_t first_line) {
  tnrt_table *t = s->table;
  tnrt_mark before = {.line = first_line};
  int dropping = -1;
  t->n_rows = t->n_dropped = 0;
  for (int r = 0; r < s->world->size; r++) {
    if (r < s->world->rank) before.row += s->all[r].n_rows, before.line += s->all[r].n_lines;
    t->n_rows += s->all[r].n_rows;
    t->n_dropped += s->all[r].n_dropped;
    if (dropping < 0 && s->all[r].n_dropped) dropping = r;
  }
  bool is_bad = s->own.status != TNRT_OK && first_unsure(s) == s->world->rank;
  tnrt_status status = tnrt_shards_agree(s->world, s->message, is_bad ? tell_bad(s, before.line) : TNRT_OK);
  if (status == TNRT_OK && dropping == s->world->rank) tell_bad(s, before.line);
  if (status == TNRT_OK && dropping >= 0)
    status = tnrt_world_broadcast(s->world, s->message, sizeof *s->message, dropping, "the first bad row");
  if (status == TNRT_OK) status = join_marks(s, &before);
  return status == TNRT_OK && t->format.is_json ? tnrt_dictionary_share(&t->keys, s->message, s->world) : status;
}

/* Where this process's part begins and its rows do: those behind `at`, in equal parts. */
static tnrt_status find_part(sharing *s, uint64_t at) {
  char *block = tnrt_take(s->row.alloc, LOOK, 1);
  int64_t counts[TNRT_COMM_RANKS], quotes = 0, first, end;
  int sizes[TNRT_COMM_RANKS];
  tnrt_tree_share((int64_t)(s->table->bytes.n - at), s->world->rank, s->world->size, &first, &end);
  s->own = (part){.first = at + (uint64_t)first, .limit = at + (uint64_t)end, .begin = at};
  tnrt_status status = block ? TNRT_OK : tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory to read a table");
  if (status == TNRT_OK && !s->table->format.is_json) status = count_quotes(s, block, &counts[s->world->rank]);
  status = tnrt_shards_agree(s->world, s->message, status);
  for (int r = 0; r < s->world->size; r++) sizes[r] = (int)sizeof *counts;
  if (status == TNRT_OK && !s->table->format.is_json)
    status = tnrt_world_gather(s->world, counts, sizes, "the quotes of a file");
  for (int r = 0; r < s->world->rank && !s->table->format.is_json; r++) quotes += counts[r];
  if (status == TNRT_OK && s->world->rank > 0) status = find_begin(s, block, quotes % 2);
  if (block) s->row.alloc->give(s->row.alloc->user, block);
  return tnrt_shards_agree(s->world, s->message, status);
}

tnrt_status tnrt_table_share(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, const char *path,
                             const tnrt_table_format *format, tnrt_table *out) {
  uint64_t none = 0;
  sharing s = {.table = out, .world = world, .message = message};
  tnrt_status status = begin(out, message, alloc, path, format, &none, &s.row);
  if (status == TNRT_OK && !(s.all = tnrt_take(alloc, (size_t)world->size, sizeof *s.all)))
    status = tnrt_fail(message, TNRT_NO_MEMORY, "no memory to share out %.200s", path);
  int64_t first_line = s.row.next.line;
  status = tnrt_shards_same(world, message, status, out->bytes.n, path);
  if (status == TNRT_OK) status = find_part(&s, s.row.next.at);
  if (status == TNRT_OK) find_own(&s);
  if (status == TNRT_OK) status = find_all(&s);
  if (status == TNRT_OK) status = join_parts(&s, first_line);
  if (status == TNRT_OK && format->is_json) status = name_keys(out, message, alloc);
  if (s.all) alloc->give(alloc->user, s.all);
  tnrt_row_free(&s.row);
  return status;
}
