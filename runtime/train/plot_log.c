/* Curves from a log (plot.h). */
#include <stdlib.h>
#include <string.h>

#include "runtime/core/file.h"
#include "runtime/train/json.h"
#include "runtime/train/plot.h"

enum { MAX_CURVES = 192, KEY_BYTES = 128, STEP = -1, OTHER = -2 };

typedef struct named_curve {
  char key[KEY_BYTES];
  int rank; /* among those of its chart */
  tnrt_curve curve;
} named_curve;

typedef struct reader {
  tnrt_message *message;
  const tnrt_alloc *alloc;
  const char *path;
  int64_t line;
  named_curve *curves[MAX_CURVES];
  uint32_t n;
  int columns[MAX_CURVES]; /* of CSV: the curve, STEP or OTHER */
  uint32_t n_columns;
} reader;

static tnrt_status wrong(const reader *r, const char *what) {
  return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.300s:%lld: %s", r->path, (long long)r->line, what);
}

/* The curve of a key: "valid.acc" is "valid" in the chart "acc"; the numbers of the last step are charts of their own.
 * OTHER: none. */
static int find_curve(reader *r, const char *key, size_t bytes) {
  static const char *const alone[] = {"loss", "norm", "lr"}, *const splits[] = {"train.", "valid.", "test."};
  bool is_drawn = false;
  if (bytes == 4 && memcmp(key, "step", 4) == 0) return STEP;
  for (int i = 0; i < 3; i++)
    is_drawn |= (bytes == strlen(alone[i]) && memcmp(key, alone[i], bytes) == 0) ||
                (bytes > strlen(splits[i]) && memcmp(key, splits[i], strlen(splits[i])) == 0);
  if (!is_drawn || bytes >= KEY_BYTES) return OTHER;
  for (uint32_t i = 0; i < r->n; i++)
    if (strncmp(r->curves[i]->key, key, bytes) == 0 && !r->curves[i]->key[bytes]) return (int)i;
  named_curve *c = r->n < MAX_CURVES ? r->alloc->get(r->alloc->user, sizeof *c, 64) : NULL;
  if (!c) return OTHER;
  memcpy(c->key, key, bytes);
  c->key[bytes] = 0;
  char *dot = strchr(c->key, '.');
  tnrt_curve_start(&c->curve, dot ? dot + 1 : c->key, dot ? c->key : "step");
  r->curves[r->n++] = c;
  return (int)r->n - 1;
}

static tnrt_status read_json(reader *r, const char *text, size_t bytes) {
  tnrt_json json = tnrt_json_over(text, bytes);
  double step = 0, value;
  tnrt_json_enter(&json, '{');
  while (tnrt_json_more(&json)) {
    const char *key;
    size_t key_bytes;
    if (!tnrt_json_raw(&json, &key, &key_bytes)) break;
    int curve = find_curve(r, key, key_bytes);
    if (tnrt_json_peek(&json) != '0' || curve == OTHER) {
      tnrt_json_skip(&json);
    } else if (tnrt_json_number(&json, &value)) {
      if (curve == STEP)
        step = value;
      else
        tnrt_curve_add(&r->curves[curve]->curve, step, value);
    }
  }
  return json.error || tnrt_json_peek(&json) ? wrong(r, json.error ? json.error : "text behind the row") : TNRT_OK;
}

static tnrt_status read_cells(reader *r, const char *text, size_t bytes) {
  double step = 0;
  uint32_t column = 0;
  const char *end = text + bytes;
  for (const char *at = text; at <= end; column++) {
    const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
    size_t n = (size_t)(stop - at);
    if (r->line == 1 && column < MAX_CURVES) r->columns[r->n_columns++] = find_curve(r, at, n);
    if (r->line > 1 && column < r->n_columns && r->columns[column] != OTHER && n > 0) {
      char cell[64], *behind;
      size_t kept = n < sizeof cell - 1 ? n : sizeof cell - 1;
      memcpy(cell, at, kept);
      cell[kept] = 0;
      double value = strtod(cell, &behind);
      if (*behind) return wrong(r, "a cell that is no number");
      if (r->columns[column] == STEP)
        step = value;
      else
        tnrt_curve_add(&r->curves[r->columns[column]]->curve, step, value);
    }
    at = stop + 1;
  }
  return r->line == 1 || column == r->n_columns || column > MAX_CURVES ? TNRT_OK
                                                                       : wrong(r, "a row of another number of cells");
}

static tnrt_status read_lines(reader *r, const char *text, size_t bytes) {
  bool is_json = bytes && *text == '{';
  tnrt_status status = TNRT_OK;
  for (const char *at = text, *end = text + bytes; at < end && status == TNRT_OK;) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t n = (size_t)((stop ? stop : end) - at);
    r->line++;
    if (n > 0) status = is_json ? read_json(r, at, n) : read_cells(r, at, n);
    at += n + 1;
  }
  return status;
}

/* In the order in which logs.c draws them. */
static int rank_of(const named_curve *c) {
  static const char *const names[] = {"step", "train", "valid", "test"};
  int i = 0;
  while (i < 4 && strcmp(c->curve.name, names[i]) != 0) i++;
  return i;
}

/* Chart by chart, each where its first curve stood. */
static tnrt_status draw(reader *r, int fd, const char *png) {
  const tnrt_curve *sorted[MAX_CURVES];
  uint32_t n = 0, first = 0;
  while (n < r->n) {
    while (r->curves[first]->rank < 0) first++;
    const char *chart = r->curves[first]->curve.chart;
    for (int at = 0; at <= 4; at++)
      for (uint32_t i = first; i < r->n; i++)
        if (r->curves[i]->rank == at && strcmp(r->curves[i]->curve.chart, chart) == 0) {
          sorted[n++] = &r->curves[i]->curve;
          r->curves[i]->rank = -1; /* taken */
        }
  }
  tnrt_status status = tnrt_plot_show(r->message, r->alloc, sorted, n, fd);
  return status == TNRT_OK && png ? tnrt_plot_png(r->message, sorted, n, png) : status;
}

tnrt_status tnrt_plot_log(tnrt_message *message, const tnrt_alloc *alloc, const char *path, int fd, const char *png) {
  uint8_t *file = NULL;
  size_t bytes = 0;
  reader *r = alloc->get(alloc->user, sizeof *r, 64);
  if (!r) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to read '%.300s'", path);
  *r = (reader){.message = message, .alloc = alloc, .path = path};
  tnrt_status status = tnrt_file_read(message, alloc, path, &file, &bytes);
  if (status == TNRT_OK) status = read_lines(r, (const char *)file, bytes);
  if (status == TNRT_OK) {
    for (uint32_t i = 0; i < r->n; i++) {
      char *dot = strchr(r->curves[i]->key, '.');
      if (dot) *dot = 0; /* the split is the curve's name from here on */
      r->curves[i]->rank = rank_of(r->curves[i]);
    }
    status = r->n ? draw(r, fd, png) : tnrt_fail(message, TNRT_BAD_INPUT, "'%.300s' has no numbers to draw", path);
  }
  for (uint32_t i = 0; i < r->n; i++) alloc->give(alloc->user, r->curves[i]);
  if (file) alloc->give(alloc->user, file);
  alloc->give(alloc->user, r);
  return status;
}
