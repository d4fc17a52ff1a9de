/* Records of files; see records.h. */
#include "runtime/train/records.h"

#include <stdio.h>
#include <string.h>

static void *take(const tnrt_alloc *alloc, size_t n, size_t bytes) {
  size_t all;
  if (__builtin_mul_overflow(n, bytes, &all)) return NULL;
  void *memory = alloc->get(alloc->user, all ? all : 1, 64);
  if (memory) memset(memory, 0, all);
  return memory;
}

static tnrt_status no_memory(const tnrt_records *r) {
  return tnrt_fail(r->message, TNRT_NO_MEMORY, "no memory for the records of the data");
}

/* ---- files ---- */

/* The files of a split: the one that the command line names, else the plan's. */
static uint32_t n_paths(const tnrt_records *r, const tnrt_data_paths *paths, uint32_t split) {
  return paths->paths[split] ? 1 : r->plan->source.n_paths[split];
}

static const char *path_of(const tnrt_records *r, const tnrt_data_paths *paths, uint32_t split, uint32_t i) {
  return paths->paths[split] ? paths->paths[split] : tnrt_plan_item(r->plan, r->plan->source.paths[split], i);
}

/* Names that the plan gives take the place of the file's. */
static tnrt_status name_columns(tnrt_records *r) {
  const tnrt_table *first = &r->tables[0];
  const tnrt_source *source = &r->plan->source;
  r->n_columns = first->n_columns;
  r->names = take(r->alloc, r->n_columns, sizeof *r->names);
  if (!r->names) return no_memory(r);
  if (source->n_columns && source->n_columns != r->n_columns)
    return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s has %u columns, the file of the model names %u", first->path,
                     r->n_columns, source->n_columns);
  for (uint32_t i = 0; i < r->n_columns; i++)
    r->names[i] = source->n_columns ? tnrt_plan_item(r->plan, source->columns, i) : first->names[i];
  return TNRT_OK;
}

/* All files have the columns of the first. */
static tnrt_status check_columns(const tnrt_records *r, const tnrt_table *table) {
  const tnrt_table *first = &r->tables[0];
  if (table->n_columns != first->n_columns)
    return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s has %u columns, %.200s has %u", table->path, table->n_columns,
                     first->path, first->n_columns);
  for (uint32_t i = 0; i < first->n_columns; i++)
    if (strcmp(table->names[i], first->names[i]) != 0)
      return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:1: column %u is '%.100s', in %.200s it is '%.100s'",
                       table->path, i + 1, table->names[i], first->path, first->names[i]);
  return TNRT_OK;
}

static tnrt_status read_file(tnrt_records *r, uint32_t split, const char *path) {
  const tnrt_source *source = &r->plan->source;
  tnrt_table *table = &r->tables[r->n_files];
  tnrt_table_format format = {(char)source->separator, source->has_header != 0, source->drops_bad != 0};
  int64_t before = r->n_files ? r->ends[r->n_files - 1] : 0;
  tnrt_status status = tnrt_table_read(r->message, r->alloc, path, &format, table);
  r->n_files++; /* so that it is freed */
  if (status == TNRT_OK) status = r->n_files == 1 ? name_columns(r) : check_columns(r, table);
  r->n[split] += table->n_rows;
  if (table->n_dropped && r->n_dropped == 0) r->first_dropped = *r->message;
  r->n_dropped += table->n_dropped;
  r->ends[r->n_files - 1] = before + table->n_rows;
  return status;
}

tnrt_status tnrt_records_open(tnrt_records *r, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training *plan, const tnrt_data_paths *paths, bool is_new) {
  *r = (tnrt_records){.plan = plan, .alloc = alloc, .message = message};
  uint32_t n = 0, n_splits = is_new ? 1 : TNRT_N_SPLITS;
  if (plan->source.kind != TNRT_SOURCE_TABLE)
    return tnrt_fail(message, TNRT_BAD_INPUT, "data '%.100s': this kind of source is not supported yet",
                     tnrt_plan_text(plan, plan->source.name));
  for (uint32_t s = 0; s < n_splits; s++) n += n_paths(r, paths, s);
  r->tables = take(alloc, n, sizeof *r->tables);
  r->ends = take(alloc, n, sizeof *r->ends);
  if (!r->tables || !r->ends) return no_memory(r);
  tnrt_status status = TNRT_OK;
  for (uint32_t s = 0; s < n_splits; s++)
    for (uint32_t i = 0; i < n_paths(r, paths, s) && status == TNRT_OK; i++)
      status = read_file(r, s, path_of(r, paths, s, i));
  return status;
}

void tnrt_records_close(tnrt_records *r) {
  if (!r->alloc) return;
  for (uint32_t i = 0; i < r->n_files; i++) tnrt_table_free(r->alloc, &r->tables[i]);
  if (r->tables) r->alloc->give(r->alloc->user, r->tables);
  if (r->ends) r->alloc->give(r->alloc->user, r->ends);
  if (r->names) r->alloc->give(r->alloc->user, r->names);
  *r = (tnrt_records){0};
}

int64_t tnrt_records_count(const tnrt_records *r) { return r->n_files ? r->ends[r->n_files - 1] : 0; }

/* ---- columns ---- */

static uint32_t find_column(const tnrt_records *r, const char *name) {
  uint32_t i = 0;
  while (i < r->n_columns && strcmp(r->names[i], name) != 0) i++;
  return i;
}

static tnrt_status bind_named(const tnrt_records *r, const tnrt_field *field, tnrt_binding *binding,
                              uint8_t *is_taken) {
  for (uint32_t i = 0; i < field->n_columns; i++) {
    const char *name = tnrt_plan_item(r->plan, field->columns, i);
    uint32_t column = find_column(r, name);
    if (column == r->n_columns)
      return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:1: there is no column '%.100s', which field '%.100s' takes",
                       r->tables[0].path, name, tnrt_plan_text(r->plan, field->name));
    is_taken[column] = 1;
    if (binding) binding->columns[binding->n++] = column;
  }
  return TNRT_OK;
}

/* Columns of fields that are not needed are taken where the file has them, so that "the rest" is the same. */
static void take_unneeded(const tnrt_records *r, const tnrt_field *field, uint8_t *is_taken) {
  for (uint32_t i = 0; i < field->n_columns; i++) {
    uint32_t column = find_column(r, tnrt_plan_item(r->plan, field->columns, i));
    if (column < r->n_columns) is_taken[column] = 1;
  }
}

static tnrt_status bind_rest(const tnrt_records *r, const tnrt_field *field, tnrt_binding *binding,
                             const uint8_t *is_taken) {
  for (uint32_t c = 0; c < r->n_columns; c++)
    if (!is_taken[c]) binding->columns[binding->n++] = c;
  if (field->n_links || binding->n == field->count) return TNRT_OK;
  return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:1: field '%.100s' has %lld elements, the file has %u columns "
                   "for it", r->tables[0].path, tnrt_plan_text(r->plan, field->name), (long long)field->count,
                   binding->n);
}

static tnrt_status bind_all(const tnrt_records *r, const uint8_t *is_needed, tnrt_binding *bindings,
                            uint8_t *is_taken) {
  const tnrt_field *fields = tnrt_plan_fields(r->plan);
  tnrt_status status = TNRT_OK;
  if (r->plan->source.target) {
    uint32_t target = find_column(r, tnrt_plan_text(r->plan, r->plan->source.target));
    if (target < r->n_columns) is_taken[target] = 1;
  }
  for (uint32_t i = 0; i < r->plan->n_fields && status == TNRT_OK; i++) {
    bool needed = !is_needed || is_needed[i];
    bindings[i].columns = take(r->alloc, r->n_columns + fields[i].n_columns, sizeof *bindings[i].columns);
    if (!bindings[i].columns) return no_memory(r);
    if (needed) status = bind_named(r, &fields[i], &bindings[i], is_taken);
    else take_unneeded(r, &fields[i], is_taken);
  }
  for (uint32_t i = 0; i < r->plan->n_fields && status == TNRT_OK; i++)
    if (!fields[i].n_columns && (!is_needed || is_needed[i]))
      status = bind_rest(r, &fields[i], &bindings[i], is_taken);
  return status;
}

tnrt_status tnrt_records_bind(const tnrt_records *r, const uint8_t *is_needed, tnrt_binding *bindings) {
  uint8_t *is_taken = take(r->alloc, r->n_columns, 1);
  memset(bindings, 0, r->plan->n_fields * sizeof *bindings);
  if (!is_taken) return no_memory(r);
  tnrt_status status = bind_all(r, is_needed, bindings, is_taken);
  r->alloc->give(r->alloc->user, is_taken);
  return status;
}

void tnrt_bindings_free(const tnrt_alloc *alloc, tnrt_binding *bindings, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (bindings[i].columns) alloc->give(alloc->user, bindings[i].columns);
}

/* ---- cells ---- */

static const tnrt_table *find_row(const tnrt_records *r, int64_t record, int64_t *out_row) {
  uint32_t i = 0;
  while (record >= r->ends[i]) i++;
  *out_row = record - (i ? r->ends[i - 1] : 0);
  return &r->tables[i];
}

static void place(const tnrt_records *r, int64_t record, const char *column, char *out, size_t bytes) {
  int64_t row;
  const tnrt_table *table = find_row(r, record, &row);
  snprintf(out, bytes, "%.200s:%lld%s%.100s%s", table->path, (long long)table->lines[row], column ? ": column '" : "",
           column ? column : "", column ? "'" : "");
}

void tnrt_records_place(const tnrt_records *r, int64_t record, const tnrt_binding *binding, char *out, size_t bytes) {
  place(r, record, binding && binding->n == 1 ? r->names[binding->columns[0]] : NULL, out, bytes);
}

static bool is_missing(const tnrt_records *r, const char *cell) {
  uint32_t missing = r->plan->source.missing;
  return !*cell || (missing && strcmp(cell, tnrt_plan_text(r->plan, missing)) == 0);
}

static tnrt_status fail_cell(const tnrt_records *r, int64_t record, uint32_t column, const char *what,
                             const char *cell) {
  char at[384];
  place(r, record, r->names[column], at, sizeof at);
  return tnrt_fail(r->message, TNRT_BAD_INPUT, cell ? "%s: %s, found '%.60s'" : "%s: %s", at, what, cell);
}

static tnrt_status read_number(const tnrt_records *r, int64_t record, const tnrt_chain *chain, uint32_t column,
                               const char *cell, double *out) {
  if (is_missing(r, cell)) {
    *out = __builtin_nan("");
    return chain->takes_missing ? TNRT_OK : fail_cell(r, record, column, "the cell is empty", *cell ? cell : NULL);
  }
  return tnrt_number_read(cell, out) ? TNRT_OK : fail_cell(r, record, column, "expected a number", cell);
}

tnrt_status tnrt_records_value(const tnrt_records *r, int64_t record, const tnrt_chain *chain,
                               const tnrt_binding *binding, tnrt_value *out) {
  int64_t row;
  const tnrt_table *table = find_row(r, record, &row);
  if (!tnrt_value_reserve(out, binding->n)) return no_memory(r);
  out->count = binding->n;
  out->ndim = 1;
  out->kind = chain->takes_texts ? TNRT_VALUE_TEXTS : TNRT_VALUE_NUMBERS;
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < binding->n && status == TNRT_OK; i++) {
    const char *cell = tnrt_table_cell(table, row, binding->columns[i]);
    if (!chain->takes_texts)
      status = read_number(r, record, chain, binding->columns[i], cell, &out->numbers[i]);
    else if (chain->field->n_classes && is_missing(r, cell))
      status = fail_cell(r, record, binding->columns[i], "the cell is empty", NULL);
    else
      out->texts[i] = cell;
  }
  return status;
}
