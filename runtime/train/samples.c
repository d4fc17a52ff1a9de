/* From the rows of a table to the fields of samples. */
#include "runtime/train/samples.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/random.h"

const char *tnrt_plan_text(const tnrt_training *plan, uint32_t at) { return (const char *)plan + at; }
const void *tnrt_plan_table(const tnrt_training *plan, uint64_t at) { return (const uint8_t *)plan + at; }

typedef struct loader {
  tnrt_message *message;
  const tnrt_alloc *alloc;
  const tnrt_training *plan;
  const tnrt_field *fields;
  tnrt_samples *out;
  uint32_t *columns; /* of each field; n_columns for the one that takes the rest */
  uint8_t *is_taken; /* columns with a field of their own */
} loader;

static void *take(loader *l, size_t n, size_t bytes) {
  size_t all;
  if (__builtin_mul_overflow(n, bytes, &all)) return NULL;
  void *memory = l->alloc->get(l->alloc->user, all ? all : 1, 64);
  if (memory) memset(memory, 0, all);
  return memory;
}

static tnrt_status no_memory(loader *l) {
  return tnrt_fail(l->message, TNRT_NO_MEMORY, "no memory for the samples of %.200s", l->out->table.path);
}

/* ---- which column is which field's ---- */

static tnrt_status find_columns(loader *l) {
  const tnrt_table *table = &l->out->table;
  for (uint32_t i = 0; i < l->plan->n_fields; i++) {
    l->columns[i] = table->n_columns;
    if (!l->fields[i].column) continue;
    const char *name = tnrt_plan_text(l->plan, l->fields[i].column);
    l->columns[i] = tnrt_table_column(table, name);
    if (l->columns[i] == table->n_columns)
      return tnrt_fail(l->message, TNRT_BAD_INPUT, "%.200s:1: there is no column '%.100s', which field '%.100s' takes",
                       table->path, name, tnrt_plan_text(l->plan, l->fields[i].name));
    l->is_taken[l->columns[i]] = 1;
  }
  for (uint32_t i = 0; i < l->plan->n_fields; i++) {
    int64_t n = 0;
    if (l->fields[i].column) continue;
    for (uint32_t c = 0; c < table->n_columns; c++) n += !l->is_taken[c];
    if (n != l->fields[i].count)
      return tnrt_fail(l->message, TNRT_BAD_INPUT, "%.200s:1: field '%.100s' has %lld elements, the file has %lld "
                       "columns for it", table->path, tnrt_plan_text(l->plan, l->fields[i].name),
                       (long long)l->fields[i].count, (long long)n);
  }
  return TNRT_OK;
}

/* ---- splits ---- */

/* The training split takes what the others' rounding leaves. */
static tnrt_status split(loader *l) {
  tnrt_samples *s = l->out;
  int64_t n = s->table.n_rows, counts[TNRT_N_SPLITS] = {0}, rest = n;
  for (int i = 1; i < TNRT_N_SPLITS; i++) {
    counts[i] = (int64_t)((double)n * l->plan->fractions[i] + 0.5);
    if (counts[i] > rest) counts[i] = rest;
    rest -= counts[i];
  }
  counts[TNRT_SPLIT_TRAIN] = rest;
  static const char *const names[] = {"train", "valid", "test"};
  for (int i = 0; i < TNRT_N_SPLITS; i++) {
    s->first[i + 1] = s->first[i] + counts[i];
    if ((i == TNRT_SPLIT_TRAIN || l->plan->fractions[i] > 0) && counts[i] == 0)
      return tnrt_fail(l->message, TNRT_BAD_INPUT, "%.200s: of %lld rows, split '%s' gets none", s->table.path,
                       (long long)n, names[i]);
  }
  s->n_rows = n;
  s->rows = take(l, (size_t)n, sizeof *s->rows);
  if (!s->rows) return no_memory(l);
  if (l->plan->is_shuffled) tnrt_shuffle(l->plan->shuffle, 0, s->rows, n);
  else
    for (int64_t i = 0; i < n; i++) s->rows[i] = i;
  return TNRT_OK;
}

/* ---- labels ---- */

static int by_bytes(const void *p, const void *q) { return strcmp(*(const char *const *)p, *(const char *const *)q); }

static int by_value(const void *p, const void *q) {
  long long a = strtoll(*(const char *const *)p, NULL, 10), b = strtoll(*(const char *const *)q, NULL, 10);
  return (a > b) - (a < b);
}

static int is_integer(const char *text) {
  char *end;
  strtoll(text, &end, 10);
  return end != text && !*end;
}

static const char *label_at(const loader *l, int64_t row, uint32_t column) {
  return l->out->table.cells[(size_t)row * l->out->table.n_columns + column];
}

/* The distinct labels of the training split. */
static tnrt_status find_classes(loader *l, uint32_t field, tnrt_classes *out) {
  const tnrt_samples *s = l->out;
  int64_t n = tnrt_samples_count(s, TNRT_SPLIT_TRAIN);
  int integers = 1;
  out->names = take(l, (size_t)n, sizeof *out->names);
  if (!out->names) return no_memory(l);
  for (int64_t i = 0; i < n; i++) {
    out->names[i] = label_at(l, s->rows[i], l->columns[field]);
    integers &= is_integer(out->names[i]);
  }
  qsort(out->names, (size_t)n, sizeof *out->names, integers ? by_value : by_bytes);
  for (int64_t i = 0; i < n; i++)
    if (out->n == 0 || strcmp(out->names[out->n - 1], out->names[i]) != 0) out->names[out->n++] = out->names[i];
  if (out->n == l->fields[field].n_classes) return TNRT_OK;
  return tnrt_fail(l->message, TNRT_BAD_INPUT, "%.200s: label '%.100s' has %u classes in the training split, the model "
                   "expects %u", s->table.path, s->table.names[l->columns[field]], out->n,
                   l->fields[field].n_classes);
}

static tnrt_status read_label(loader *l, uint32_t field, int64_t row, int32_t *out) {
  const tnrt_classes *classes = &l->out->classes[field];
  const char *text = label_at(l, row, l->columns[field]);
  for (uint32_t i = 0; i < classes->n; i++)
    if (strcmp(classes->names[i], text) == 0) return *out = (int32_t)i, TNRT_OK;
  const tnrt_table *table = &l->out->table;
  return tnrt_fail(l->message, TNRT_BAD_INPUT, "%.200s:%lld: column '%.100s': '%.100s' is no class of the training "
                   "split", table->path, (long long)table->lines[row + 1], table->names[l->columns[field]], text);
}

/* ---- fields ---- */

static tnrt_status read_numbers(loader *l, uint32_t field, int64_t row, float *out) {
  const tnrt_table *table = &l->out->table;
  bool is_rest = !l->fields[field].column;
  for (uint32_t c = is_rest ? 0 : l->columns[field]; c < table->n_columns; c++) {
    double value;
    if (is_rest && l->is_taken[c]) continue;
    tnrt_status status = tnrt_table_number(l->message, table, row, c, &value);
    if (status != TNRT_OK) return status;
    *out++ = (float)value;
    if (!is_rest) break;
  }
  return TNRT_OK;
}

static tnrt_status read_field(loader *l, uint32_t field) {
  tnrt_samples *s = l->out;
  const tnrt_field *f = &l->fields[field];
  s->fields[field] = take(l, (size_t)s->n_rows * (size_t)f->count, 4);
  if (!s->fields[field]) return no_memory(l);
  tnrt_status status = f->n_classes ? find_classes(l, field, &s->classes[field]) : TNRT_OK;
  for (int64_t i = 0; i < s->n_rows && status == TNRT_OK; i++) {
    uint8_t *at = s->fields[field] + 4 * (size_t)(i * f->count);
    status = f->n_classes ? read_label(l, field, s->rows[i], (int32_t *)(void *)at)
                          : read_numbers(l, field, s->rows[i], (float *)(void *)at);
  }
  return status;
}

tnrt_status tnrt_samples_read(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                              const char *path, tnrt_samples *out) {
  memset(out, 0, sizeof *out);
  out->plan = plan;
  if (!path) path = tnrt_plan_text(plan, plan->path);
  tnrt_status status = tnrt_table_read(message, alloc, path, (char)plan->separator, &out->table);
  if (status != TNRT_OK) return status;
  loader l = {message, alloc, plan, tnrt_plan_table(plan, plan->fields), out, NULL, NULL};
  l.columns = take(&l, plan->n_fields, sizeof *l.columns);
  l.is_taken = take(&l, out->table.n_columns, 1);
  out->fields = take(&l, plan->n_fields, sizeof *out->fields);
  out->classes = take(&l, plan->n_fields, sizeof *out->classes);
  status = l.columns && l.is_taken && out->fields && out->classes ? find_columns(&l) : no_memory(&l);
  if (status == TNRT_OK) status = split(&l);
  for (uint32_t i = 0; i < plan->n_fields && status == TNRT_OK; i++) status = read_field(&l, i);
  if (l.columns) alloc->give(alloc->user, l.columns);
  if (l.is_taken) alloc->give(alloc->user, l.is_taken);
  return status;
}

void tnrt_samples_free(const tnrt_alloc *alloc, tnrt_samples *s) {
  for (uint32_t i = 0; s->plan && i < s->plan->n_fields; i++) {
    if (s->fields && s->fields[i]) alloc->give(alloc->user, s->fields[i]);
    if (s->classes && s->classes[i].names) alloc->give(alloc->user, s->classes[i].names);
  }
  if (s->fields) alloc->give(alloc->user, s->fields);
  if (s->classes) alloc->give(alloc->user, s->classes);
  if (s->rows) alloc->give(alloc->user, s->rows);
  tnrt_table_free(alloc, &s->table);
  memset(s, 0, sizeof *s);
}

void tnrt_samples_fit(const tnrt_samples *s, uint32_t field, float *mean, float *variance) {
  const tnrt_field *fields = tnrt_plan_table(s->plan, s->plan->fields);
  const float *x = (const float *)(const void *)s->fields[field];
  int64_t n = tnrt_samples_count(s, TNRT_SPLIT_TRAIN), count = fields[field].count;
  for (int64_t k = 0; k < count; k++) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i * count + k];
    double centre = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
      double d = x[i * count + k] - centre;
      squares += d * d;
    }
    if (mean) mean[k] = (float)centre;
    if (variance) variance[k] = (float)(squares / (double)n);
  }
}
