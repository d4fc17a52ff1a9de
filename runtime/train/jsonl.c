/* JSON, an object a line, as a table (table.h): its columns are the keys of all objects, in the order they come first;
 * what lies in an object inside is called OUTER.INNER. Texts come without their escapes, numbers and arrays as they
 * stand, null and what is missing as an empty cell, true and false as 1 and 0. A line that is no object is
 * TNRT_BAD_INPUT with its place, or dropped. */
#include <string.h>

#include "runtime/train/json.h"
#include "runtime/train/table.h"

enum { MAX_DEPTH = 16, MAX_NAME = 1024 };

typedef struct walker {
  const tnrt_table *table;
  tnrt_row *row;
  bool has_memory;
} walker;

/* What is done with each leaf of a line; false: the line is wrong. */
typedef bool (*leaf_fn)(walker *w, tnrt_json *json, const char *name);

/* Keys of the objects around a value, one after the other with dots between. */
static bool push_name(char *name, size_t *length, const char *key) {
  size_t n = strlen(key), dot = *length > 0;
  if (*length + dot + n >= MAX_NAME) return false;
  if (dot) name[*length] = '.';
  memcpy(name + *length + dot, key, n + 1);
  *length += dot + n;
  return true;
}

/* All leaves of one object. Arrays are leaves. */
static bool walk(walker *w, tnrt_json *json, leaf_fn leaf) {
  size_t lengths[MAX_DEPTH] = {0}, length = 0;
  char name[MAX_NAME] = "", key[MAX_NAME];
  int depth = 0;
  if (tnrt_json_peek(json) != '{' || !tnrt_json_enter(json, '{')) return false;
  for (;;) {
    if (!tnrt_json_more(json)) {
      if (json->error || depth == 0) return !json->error && tnrt_json_peek(json) == 0;
      depth--;
      continue;
    }
    length = lengths[depth];
    if (!tnrt_json_key(json, key, sizeof key) || !push_name(name, &length, key)) return false;
    if (tnrt_json_peek(json) == '{') {
      if (++depth == MAX_DEPTH || !tnrt_json_enter(json, '{')) return false;
      lengths[depth] = length;
      continue;
    }
    if (!leaf(w, json, name)) return false;
  }
}

/* While the file is indexed: which keys there are. */
static bool learn_key(walker *w, tnrt_json *json, const char *name) {
  w->has_memory = w->has_memory && tnrt_dictionary_add(w->row->learns, name, strlen(name)) >= 0;
  return tnrt_json_skip(json);
}

static bool skip_value(walker *w, tnrt_json *json, const char *name) {
  (void)w, (void)name;
  return tnrt_json_skip(json);
}

/* Where each value begins, as text of the row. The zero behind it is written once the whole line was read. */
static bool put_cell(walker *w, tnrt_json *json, const char *name) {
  int64_t column = tnrt_dictionary_find(&w->table->keys, name, strlen(name));
  if (column < 0 || tnrt_json_peek(json) == 0) return false;
  w->row->cells[column] = (size_t)(json->at - w->row->text);
  return tnrt_json_skip(json);
}

/* The text of a cell, from the value that begins at it. */
static void end_cell(char *cell, const char *end) {
  tnrt_json json = tnrt_json_over(cell, (size_t)(end - cell));
  static const char *const words[] = {"true", "false", "null"}, *const texts[] = {"1", "0", ""};
  if (*cell == '"') {
    tnrt_json_text(&json, cell, (size_t)(end - cell), NULL);
    return;
  }
  for (size_t i = 0; i < 3; i++)
    if (strncmp(cell, words[i], strlen(words[i])) == 0) {
      memcpy(cell, texts[i], strlen(texts[i]) + 1);
      return;
    }
  tnrt_json_skip(&json);
  cell[json.at - cell] = 0;
}

/* ---- lines ---- */

static bool is_blank(const char *text, size_t bytes) {
  while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t' || text[bytes - 1] == '\r')) bytes--;
  return bytes == 0;
}

/* The next line that is not blank. */
static tnrt_found find_line(tnrt_cursor *c, const char **out, size_t *out_bytes) {
  while (c->at < c->end) {
    const char *end = memchr(c->at, '\n', (size_t)(c->end - c->at));
    if (!end && !c->is_whole) return TNRT_FOUND_CUT;
    *out = c->at;
    *out_bytes = (size_t)((end ? end : c->end) - c->at);
    c->at = end ? end + 1 : c->end;
    c->first = c->line++;
    if (!is_blank(*out, *out_bytes)) return TNRT_FOUND_ROW;
  }
  return c->is_whole ? TNRT_FOUND_END : TNRT_FOUND_CUT;
}

/* A copy of the line becomes the row's cells; what is missing is the zero behind it. */
static bool keep_line(walker *w, const char *line, size_t bytes) {
  tnrt_row *row = w->row;
  w->has_memory = tnrt_row_reserve(row, bytes + 1, w->table->n_columns);
  if (!w->has_memory) return false;
  memcpy(row->text, line, bytes);
  row->text[bytes] = 0;
  row->text_bytes = bytes + 1;
  for (uint32_t i = 0; i < w->table->n_columns; i++) row->cells[i] = bytes;
  tnrt_json json = tnrt_json_over(row->text, bytes);
  if (!walk(w, &json, put_cell)) return false;
  for (uint32_t i = 0; i < w->table->n_columns; i++)
    if (row->cells[i] < bytes) end_cell(row->text + row->cells[i], row->text + bytes);
  return true;
}

tnrt_found tnrt_json_find(const tnrt_table *t, tnrt_message *message, tnrt_cursor *c, tnrt_row *row, bool keeps,
                          tnrt_status *status) {
  walker w = {t, row, true};
  const char *line = NULL;
  size_t bytes = 0;
  tnrt_found found = find_line(c, &line, &bytes);
  if (found != TNRT_FOUND_ROW) return found;
  tnrt_json json = tnrt_json_over(line, bytes);
  bool is_checked = !keeps && !row->learns && !t->n_dropped; /* by the index */
  bool ok = is_checked || (keeps ? keep_line(&w, line, bytes) : walk(&w, &json, row->learns ? learn_key : skip_value));
  if (!w.has_memory) {
    *status = tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the lines of %.200s", t->path);
    return TNRT_FOUND_WRONG;
  }
  if (ok) return TNRT_FOUND_ROW;
  tnrt_fail(message, TNRT_BAD_INPUT, "%.200s:%lld: expected an object of JSON: %s", t->path, (long long)c->first,
            json.error ? json.error : "this is something else");
  return TNRT_FOUND_BAD;
}
