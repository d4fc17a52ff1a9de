/* JSON, an object a line; see jsonl.h. Cells are unescaped in place. */
#include "runtime/train/jsonl.h"

#include <string.h>

#include "runtime/core/file.h"
#include "runtime/train/dictionary.h"
#include "runtime/train/json.h"

enum { MAX_DEPTH = 16, MAX_NAME = 1024 };

typedef struct reader {
  tnrt_message *message;
  const tnrt_alloc *alloc;
  const char *path;
  bool drops_bad;
  char *at, *end;
  int64_t line;
  tnrt_dictionary keys;
  tnrt_table *out;
} reader;

/* What stands between two keys: called for each leaf of a line. */
typedef bool (*leaf_fn)(reader *r, tnrt_json *json, const char *name);

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
static bool walk(reader *r, tnrt_json *json, leaf_fn leaf) {
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
    if (!leaf(r, json, name)) return false;
  }
}

/* First pass: which keys there are. */
static bool count_key(reader *r, tnrt_json *json, const char *name) {
  return tnrt_dictionary_add(&r->keys, name, strlen(name)) >= 0 && tnrt_json_skip(json);
}

/* Second pass: where each value begins and ends. The zero behind it is written once the whole line was read. */
static bool put_cell(reader *r, tnrt_json *json, const char *name) {
  char **row = r->out->cells + (size_t)r->out->n_rows * r->out->n_columns;
  int64_t column = tnrt_dictionary_find(&r->keys, name, strlen(name));
  if (tnrt_json_peek(json) == 0) return false;
  row[column] = (char *)(uintptr_t)json->at;
  return tnrt_json_skip(json);
}

/* The text of a cell, from the value that begins at it. */
static char *end_cell(char *cell, const char *end) {
  tnrt_json json = tnrt_json_over(cell, (size_t)(end - cell));
  static const char *const words[] = {"true", "false", "null"}, *const texts[] = {"1", "0", ""};
  if (*cell == '"') {
    tnrt_json_text(&json, cell, (size_t)(end - cell), NULL);
    return cell;
  }
  for (size_t i = 0; i < 3; i++)
    if (strncmp(cell, words[i], strlen(words[i])) == 0) return memcpy(cell, texts[i], strlen(texts[i]) + 1);
  tnrt_json_skip(&json);
  cell[json.at - cell] = 0;
  return cell;
}

/* The next line that is not blank; false: none is left. */
static bool next_line(reader *r, char **out, char **out_end) {
  while (r->at < r->end) {
    char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    *out = r->at;
    *out_end = end ? end : r->end;
    r->at = end ? end + 1 : r->end;
    r->line++;
    if ((size_t)(*out_end - *out) > strspn(*out, " \t\r")) return true;
  }
  return false;
}

static tnrt_status fail_line(reader *r, const tnrt_json *json) {
  r->out->n_dropped++;
  if (r->out->n_dropped == 1)
    tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:%lld: expected an object of JSON: %s", r->path, (long long)r->line,
              json->error ? json->error : "this is something else");
  return r->drops_bad ? TNRT_OK : TNRT_BAD_INPUT;
}

static tnrt_status no_memory(reader *r) {
  return tnrt_fail(r->message, TNRT_NO_MEMORY, "no memory for the lines of %.200s", r->path);
}

static tnrt_status find_keys(reader *r, size_t *out_rows) {
  char *line, *end;
  char *first = r->at;
  for (*out_rows = 0; next_line(r, &line, &end); ++*out_rows) {
    tnrt_json json = tnrt_json_over(line, (size_t)(end - line));
    if (walk(r, &json, count_key)) continue;
    tnrt_status status = fail_line(r, &json);
    if (status != TNRT_OK) return status;
    --*out_rows;
  }
  r->at = first;
  r->line = 0;
  if (r->keys.n) return TNRT_OK;
  return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s has no object", r->path);
}

static void read_rows(reader *r) {
  tnrt_table *t = r->out;
  char *line, *end;
  while (next_line(r, &line, &end)) {
    char **row = t->cells + (size_t)t->n_rows * t->n_columns;
    tnrt_json json = tnrt_json_over(line, (size_t)(end - line));
    for (uint32_t i = 0; i < t->n_columns; i++) row[i] = NULL;
    if (!walk(r, &json, put_cell)) continue;
    for (uint32_t i = 0; i < t->n_columns; i++) row[i] = row[i] ? end_cell(row[i], end) : r->end;
    t->lines[t->n_rows++] = r->line;
  }
}

static tnrt_status read_lines(reader *r) {
  tnrt_table *t = r->out;
  size_t rows, cells;
  tnrt_status status = find_keys(r, &rows);
  if (status != TNRT_OK) return status;
  uint32_t n = r->keys.n;
  if (__builtin_mul_overflow(rows + 1, (size_t)n, &cells) || cells > SIZE_MAX / 16) return no_memory(r);
  t->names = r->alloc->get(r->alloc->user, n * sizeof *t->names, 8);
  t->texts = t->cells = r->alloc->get(r->alloc->user, cells * sizeof *t->cells, 8);
  t->lines = r->alloc->get(r->alloc->user, (rows + 1) * sizeof *t->lines, 8);
  t->made = r->keys.texts; /* the names lie in it; the table frees it */
  if (!t->names || !t->cells || !t->lines) return no_memory(r);
  for (uint32_t i = 0; i < n; i++) t->names[i] = r->keys.texts + r->keys.words[i].at;
  t->n_columns = n;
  int64_t dropped = t->n_dropped;
  read_rows(r);
  t->n_dropped = dropped;
  return TNRT_OK;
}

tnrt_status tnrt_jsonl_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, bool drops_bad,
                            tnrt_table *out) {
  size_t bytes;
  *out = (tnrt_table){.path = path};
  tnrt_status status = tnrt_file_read(message, alloc, path, &out->file, &bytes);
  if (status != TNRT_OK) return status;
  reader r = {.message = message, .alloc = alloc, .path = path, .drops_bad = drops_bad, .at = (char *)out->file,
              .end = (char *)out->file + bytes, .keys = tnrt_dictionary_start(alloc), .out = out};
  *r.end = 0; /* the file has room for one zero behind its last byte: the cell of what is missing */
  status = read_lines(&r);
  if (out->made) r.keys.texts = NULL;
  tnrt_dictionary_free(&r.keys);
  return status;
}
