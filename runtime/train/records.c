/* Records of files; see records.h. */
#include "runtime/train/records.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/core/dtype.h"
#include "runtime/train/json.h"
#include "runtime/train/memory.h"
#include "runtime/train/place.h"
#include "runtime/train/shards.h"

static tnrt_status no_memory(const tnrt_records *r) {
  return tnrt_fail(r->message, TNRT_NO_MEMORY, "no memory for the records of the data");
}

/* ---- files ---- */

/* The files of a split: those that the command line names, else the plan's. */
static tnrt_status find_paths(tnrt_records *r, const tnrt_data_paths *paths, uint32_t split) {
  uint32_t n = paths->paths[split] ? 1 : r->plan->source.n_paths[split];
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++)
    status = tnrt_paths_add(&r->paths[split], r->message, r->alloc, paths->paths[split] ? paths->paths[split]
                            : tnrt_plan_item(r->plan, r->plan->source.paths[split], i));
  return status;
}

static const char *file_name(const tnrt_records *r) {
  return r->tables ? r->tables[0].path : tnrt_plan_text(r->plan, r->plan->source.name);
}

static uint32_t n_columns(const tnrt_records *r, uint32_t file) {
  if (r->streams) return 0;
  return r->tables ? r->tables[file].n_columns : r->arrays[file].n;
}

static const char *column_name(const tnrt_records *r, uint32_t file, uint32_t i) {
  return r->tables ? r->tables[file].names[i] : r->arrays[file].columns[i].name;
}

/* Names that the plan gives take the place of the file's. */
static tnrt_status name_columns(tnrt_records *r) {
  const tnrt_source *source = &r->plan->source;
  r->n_columns = n_columns(r, 0);
  r->names = tnrt_take(r->alloc, r->n_columns, sizeof *r->names);
  if (!r->names) return no_memory(r);
  if (source->n_columns && source->n_columns != r->n_columns)
    return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s has %u columns, the file of the model names %u", file_name(r),
                     r->n_columns, source->n_columns);
  for (uint32_t i = 0; i < r->n_columns; i++)
    r->names[i] = source->n_columns ? tnrt_plan_item(r->plan, source->columns, i) : column_name(r, 0, i);
  return TNRT_OK;
}

/* All files have the columns of the first. */
static tnrt_status check_columns(const tnrt_records *r, uint32_t file, const char *path) {
  if (n_columns(r, file) != n_columns(r, 0))
    return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s has %u columns, %.200s has %u", path, n_columns(r, file),
                     file_name(r), n_columns(r, 0));
  for (uint32_t i = 0; i < n_columns(r, 0); i++)
    if (strcmp(column_name(r, file, i), column_name(r, 0, i)) != 0)
      return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:1: column %u is '%.100s', in %.200s it is '%.100s'", path,
                       i + 1, column_name(r, file, i), file_name(r), column_name(r, 0, i));
  return TNRT_OK;
}

static tnrt_status read_table(tnrt_records *r, const char *path, tnrt_table *table) {
  const tnrt_source *source = &r->plan->source;
  tnrt_table_format format = {(char)source->separator, source->has_header != 0, source->drops_bad != 0,
                              source->kind == TNRT_SOURCE_JSONL};
  tnrt_status status = tnrt_shards_many(r->world)
                           ? tnrt_table_share(r->message, r->alloc, r->world, path, &format, table)
                           : tnrt_table_read(r->message, r->alloc, path, &format, &r->room, table);
  if (status == TNRT_OK && table->n_dropped && r->n_dropped == 0) r->first_dropped = *r->message;
  if (status == TNRT_OK) r->n_dropped += table->n_dropped;
  return status;
}

static const tnrt_link *first_link(const tnrt_records *r, const tnrt_field *field) {
  return field->n_links ? tnrt_plan_table(r->plan, field->links) : NULL;
}

static bool is_window(const tnrt_records *r, const tnrt_field *field) {
  const tnrt_link *link = first_link(r, field);
  return link && link->kind == TNRT_LINK_WINDOW;
}

/* The furthest that a field's window is behind the record's begin. */
static int64_t last_offset(const tnrt_records *r) {
  const tnrt_field *fields = tnrt_plan_fields(r->plan);
  int64_t last = 0;
  for (uint32_t i = 0; i < r->plan->n_fields; i++)
    if (is_window(r, &fields[i]) && first_link(r, &fields[i])->integers[0] > last)
      last = first_link(r, &fields[i])->integers[0];
  return last;
}

/* All windows are as long as each other. */
static tnrt_status find_window(tnrt_records *r) {
  const tnrt_field *fields = tnrt_plan_fields(r->plan);
  for (uint32_t i = 0; i < r->plan->n_fields; i++) {
    if (!is_window(r, &fields[i]) || fields[i].count < 1 || (r->window && r->window != fields[i].count))
      return tnrt_fail(r->message, TNRT_BAD_INPUT, "field '%.100s': fields of a stream are windows of one length",
                       tnrt_plan_text(r->plan, fields[i].name));
    r->window = fields[i].count;
  }
  return TNRT_OK;
}

static tnrt_status read_stream(tnrt_records *r, const char *path, tnrt_stream *stream) {
  bool is_text = r->plan->source.kind == TNRT_SOURCE_TEXT;
  uint64_t none = 0;
  tnrt_status status = tnrt_stream_open(r->message, r->alloc, path, is_text ? TNRT_U8 : r->plan->source.token_dtype,
                                        tnrt_shards_many(r->world) ? &none : &r->room, stream);
  if (status != TNRT_OK || stream->n - last_offset(r) >= r->window) return status;
  return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.300s has %lld tokens, a sample takes %lld", path,
                   (long long)stream->n, (long long)(r->window + last_offset(r)));
}

/* A file of a split, or the n files of its arrays. */
static tnrt_status read_file(tnrt_records *r, uint32_t split, const char *const *paths, uint32_t n) {
  uint32_t file = r->n_files++; /* counted, so that it is freed */
  int64_t before = file ? r->ends[file - 1] : 0;
  tnrt_status status = r->tables    ? read_table(r, paths[0], &r->tables[file])
                       : r->streams ? read_stream(r, paths[0], &r->streams[file])
                                    : tnrt_columns_read(r->message, r->alloc, r->world, r->plan->source.kind,
                                                        paths, n, &r->room, &r->arrays[file]);
  r->ends[file] = before;
  if (status == TNRT_OK) status = file == 0 ? name_columns(r) : check_columns(r, file, paths[0]);
  if (status != TNRT_OK) return status;
  int64_t more = r->tables    ? r->tables[file].n_rows
                 : r->streams ? (r->streams[file].n - last_offset(r)) / r->window
                              : r->arrays[file].columns[0].n;
  r->n[split] += more;
  r->ends[file] = before + more;
  return TNRT_OK;
}

static bool is_text(uint32_t kind) { return kind == TNRT_SOURCE_TABLE || kind == TNRT_SOURCE_JSONL; }

/* A name of the model's file is one in the folder that the program runs in. */
static tnrt_status check_there(const tnrt_records *r, uint32_t split, const char *path) {
  const char *option = split == TNRT_SPLIT_TRAIN ? "data" : tnrt_split_name(split);
  struct stat st;
  bool is_there = strcmp(path, "-") == 0 || stat(path, &st) == 0;
  if (is_there && tnrt_shards_many(r->world) &&
      (strcmp(path, "-") == 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))))
    return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.300s is no file, which is what several processes can share out",
                     path);
  if (is_there) return TNRT_OK;
  tnrt_fail(r->message, TNRT_BAD_INPUT, "there is no %.200s, which the data '%.100s' are read from (--%s FILE reads "
            "another)", path, tnrt_plan_text(r->plan, r->plan->source.name), option);
  return tnrt_place_add(r->message, TNRT_BAD_INPUT, r->plan, r->plan->source.place);
}

/* Files that belong together: the pair of npy and of idx. */
static bool is_pair(const tnrt_records *r) {
  return r->plan->source.kind == TNRT_SOURCE_NPY || r->plan->source.kind == TNRT_SOURCE_IDX;
}

static tnrt_status read_split(tnrt_records *r, uint32_t split) {
  const char *list[2] = {NULL, NULL};
  uint32_t n = r->paths[split].n, step = is_pair(r) ? n : 1;
  tnrt_status status = TNRT_OK;
  if (is_pair(r) && n > 2)
    return tnrt_fail(r->message, TNRT_BAD_INPUT, "split '%s' has %u files, two at most are taken",
                     tnrt_split_name(split), n);
  for (uint32_t i = 0; i < n && status == TNRT_OK; i += step) {
    for (uint32_t k = 0; k < step; k++) list[k] = r->paths[split].items[i + k];
    status = tnrt_shards_agree(r->world, r->message, check_there(r, split, list[0]));
    if (status == TNRT_OK) status = tnrt_shards_agree(r->world, r->message, read_file(r, split, list, step));
  }
  return status;
}

static bool is_stream(uint32_t kind) { return kind == TNRT_SOURCE_TEXT || kind == TNRT_SOURCE_TOKENS; }

tnrt_status tnrt_records_open(tnrt_records *r, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training *plan, const tnrt_data_paths *paths, tnrt_world *world, bool is_new) {
  *r = (tnrt_records){.plan = plan, .alloc = alloc, .message = message, .world = world,
                      .room = paths->has_memory ? paths->memory : tnrt_memory_share()};
  uint32_t n = 0, n_splits = is_new ? 1 : TNRT_N_SPLITS;
  tnrt_status status = is_stream(plan->source.kind) ? find_window(r) : TNRT_OK;
  uint64_t names = TNRT_SHARDS_MIX;
  for (uint32_t s = 0; s < n_splits && status == TNRT_OK; s++) {
    status = find_paths(r, paths, s);
    for (uint32_t i = 0; i < r->paths[s].n; i++) names = tnrt_shards_mix(names, r->paths[s].items[i]);
    names = tnrt_shards_mix(names, "");
    n += r->paths[s].n;
  }
  status = tnrt_shards_same(world, message, status, names, "the list of files");
  if (status == TNRT_OK) status = tnrt_shards_least(world, &r->room); /* what is held all hold */
  if (status != TNRT_OK) return status;
  if (is_text(plan->source.kind)) r->tables = tnrt_take(alloc, n, sizeof *r->tables);
  else if (is_stream(plan->source.kind)) r->streams = tnrt_take(alloc, n, sizeof *r->streams);
  else r->arrays = tnrt_take(alloc, n, sizeof *r->arrays);
  r->ends = tnrt_take(alloc, n, sizeof *r->ends);
  if ((!r->tables && !r->arrays && !r->streams) || !r->ends) status = no_memory(r);
  status = tnrt_shards_agree(world, message, status);
  for (uint32_t s = 0; s < n_splits && status == TNRT_OK; s++) status = read_split(r, s);
  if (status == TNRT_OK && r->n_files == 0)
    status = tnrt_fail(message, TNRT_BAD_INPUT, "data '%.100s' names no file", tnrt_plan_text(plan, plan->source.name));
  return status;
}

void tnrt_records_close(tnrt_records *r) {
  if (!r->alloc) return;
  for (uint32_t i = 0; i < r->n_files; i++) {
    if (r->tables) tnrt_table_free(r->alloc, &r->tables[i]);
    else if (r->streams) tnrt_stream_close(r->alloc, &r->streams[i]);
    else tnrt_columns_free(r->alloc, &r->arrays[i]);
  }
  if (r->streams) r->alloc->give(r->alloc->user, r->streams);
  if (r->tables) r->alloc->give(r->alloc->user, r->tables);
  if (r->arrays) r->alloc->give(r->alloc->user, r->arrays);
  if (r->ends) r->alloc->give(r->alloc->user, r->ends);
  if (r->names) r->alloc->give(r->alloc->user, r->names);
  for (uint32_t s = 0; s < TNRT_N_SPLITS; s++) tnrt_paths_free(&r->paths[s], r->alloc);
  *r = (tnrt_records){0};
}

void tnrt_record_free(tnrt_record *record) {
  tnrt_row_free(&record->row);
  tnrt_piece_free(&record->piece);
}

int64_t tnrt_records_count(const tnrt_records *r) { return r->n_files ? r->ends[r->n_files - 1] : 0; }

/* ---- columns ---- */

static uint32_t find_column(const tnrt_records *r, const char *name) {
  uint32_t i = 0;
  while (i < r->n_columns && strcmp(r->names[i], name) != 0) i++;
  return i;
}

/* The first file of those that number `file` of r->arrays was read from. */
static const char *array_path(const tnrt_records *r, uint32_t file) {
  for (uint32_t s = 0; s < TNRT_N_SPLITS; s++) {
    uint32_t n = r->paths[s].n, step = is_pair(r) && n ? n : 1;
    if (file * step < n) return r->paths[s].items[file * step];
    file -= n / step;
  }
  return tnrt_plan_text(r->plan, r->plan->source.name);
}

/* A message that ends with the columns that there are. */
static tnrt_status no_column(const tnrt_records *r, const char *name, const tnrt_field *field, const char *takes) {
  char names[160];
  size_t used = 0;
  for (uint32_t i = 0; i < r->n_columns && used < sizeof names; i++)
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", r->names[i]);
  if (used >= sizeof names) memcpy(names + sizeof names - 4, "...", 4);
  tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s%s: there is no %s '%.80s', which field '%.80s' %s; there %s %s",
            r->tables ? file_name(r) : array_path(r, 0), r->tables ? ":1" : "", r->tables ? "column" : "array", name,
            tnrt_plan_text(r->plan, field->name), takes, r->n_columns == 1 ? "is" : "are", names);
  const tnrt_source *source = &r->plan->source;
  bool is_target = source->target && strcmp(tnrt_plan_text(r->plan, source->target), name) == 0;
  return tnrt_place_add(r->message, TNRT_BAD_INPUT, r->plan, is_target ? source->place : field->place);
}

static tnrt_status bind_named(const tnrt_records *r, const tnrt_field *field, tnrt_binding *binding,
                              uint8_t *is_taken) {
  for (uint32_t i = 0; i < field->n_columns; i++) {
    const char *name = tnrt_plan_item(r->plan, field->columns, i);
    uint32_t column = find_column(r, name);
    if (column == r->n_columns)
      return no_column(r, name, field, "takes");
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

/* Tables whose columns are called by more than their place. */
static bool has_names(const tnrt_records *r) {
  const tnrt_source *source = &r->plan->source;
  return r->tables && (source->has_header || source->n_columns || source->kind == TNRT_SOURCE_JSONL);
}

/* The columns that it took in the training, wherever they stand now. */
static tnrt_status bind_kept(const tnrt_records *r, const tnrt_chain *chain, tnrt_binding *binding) {
  for (uint32_t i = 0; i < chain->columns.n; i++) {
    uint32_t column = find_column(r, tnrt_dictionary_text(&chain->columns, i));
    if (column == r->n_columns || binding->n == r->n_columns)
      return no_column(r, tnrt_dictionary_text(&chain->columns, i), chain->field, "took in the training");
    binding->columns[binding->n++] = column;
  }
  return TNRT_OK;
}

/* Keeps their names; not of a table that has one name twice, where the place decides. */
static tnrt_status keep_names(const tnrt_records *r, const tnrt_binding *binding, tnrt_dictionary *columns) {
  for (uint32_t i = 0; i < binding->n; i++) {
    const char *name = r->names[binding->columns[i]];
    if (tnrt_dictionary_add(columns, name, strlen(name)) < 0) return no_memory(r);
  }
  if (columns->n != binding->n) tnrt_dictionary_free(columns);
  return TNRT_OK;
}

static tnrt_status bind_rest(const tnrt_records *r, const tnrt_field *field, tnrt_chain *chain, tnrt_binding *binding,
                             const uint8_t *is_taken) {
  if (chain->columns.n) return bind_kept(r, chain, binding);
  for (uint32_t c = 0; c < r->n_columns; c++)
    if (!is_taken[c]) binding->columns[binding->n++] = c;
  if (field->n_links || binding->n == field->count || (binding->n == 1 && !r->tables))
    return has_names(r) ? keep_names(r, binding, &chain->columns) : TNRT_OK;
  tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s:1: field '%.100s' has %lld elements, the file has %u columns for it",
            file_name(r), tnrt_plan_text(r->plan, field->name), (long long)field->count, binding->n);
  return tnrt_place_add(r->message, TNRT_BAD_INPUT, r->plan, field->place);
}

/* Without columns of its own, but not made of something else. */
static bool takes_rest(const tnrt_records *r, const tnrt_field *field) {
  const tnrt_link *link = first_link(r, field);
  return !field->n_columns && !(link && (link->kind == TNRT_LINK_WINDOW || link->kind == TNRT_LINK_LENGTH));
}

static tnrt_status bind_all(const tnrt_records *r, const uint8_t *is_needed, tnrt_chain *chains,
                            tnrt_binding *bindings, uint8_t *is_taken) {
  const tnrt_field *fields = tnrt_plan_fields(r->plan);
  tnrt_status status = TNRT_OK;
  if (r->plan->source.target) {
    uint32_t target = find_column(r, tnrt_plan_text(r->plan, r->plan->source.target));
    if (target < r->n_columns) is_taken[target] = 1;
  }
  for (uint32_t i = 0; i < r->plan->n_fields && status == TNRT_OK; i++) {
    bool needed = !is_needed || is_needed[i];
    bindings[i].columns = tnrt_take(r->alloc, r->n_columns + fields[i].n_columns, sizeof *bindings[i].columns);
    if (!bindings[i].columns) return no_memory(r);
    if (needed) status = bind_named(r, &fields[i], &bindings[i], is_taken);
    else take_unneeded(r, &fields[i], is_taken);
  }
  for (uint32_t i = 0; i < r->plan->n_fields && status == TNRT_OK; i++)
    if (takes_rest(r, &fields[i]) && (!is_needed || is_needed[i]))
      status = bind_rest(r, &fields[i], &chains[i], &bindings[i], is_taken);
  return status;
}

tnrt_status tnrt_records_bind(const tnrt_records *r, const uint8_t *is_needed, tnrt_chain *chains,
                              tnrt_binding *bindings) {
  uint8_t *is_taken = tnrt_take(r->alloc, r->n_columns, 1);
  memset(bindings, 0, r->plan->n_fields * sizeof *bindings);
  if (!is_taken) return no_memory(r);
  tnrt_status status = bind_all(r, is_needed, chains, bindings, is_taken);
  r->alloc->give(r->alloc->user, is_taken);
  return status;
}

void tnrt_bindings_free(const tnrt_alloc *alloc, tnrt_binding *bindings, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (bindings[i].columns) alloc->give(alloc->user, bindings[i].columns);
}

/* ---- places ---- */

static uint32_t find_file(const tnrt_records *r, int64_t record, int64_t *out_row) {
  uint32_t i = 0;
  while (record >= r->ends[i]) i++;
  *out_row = record - (i ? r->ends[i - 1] : 0);
  return i;
}

enum { NO_COLUMN = UINT32_MAX };

/* The row is read once more: lines are asked for where something is wrong. drawn: with this column, "" where there is
 * nothing to draw. */
static int64_t line_of(const tnrt_records *r, uint32_t file, int64_t row, uint32_t column, char *drawn, size_t bytes) {
  tnrt_message ignored;
  tnrt_row at_hand = {.alloc = r->alloc};
  tnrt_status status = tnrt_row_read(&at_hand, &ignored, &r->tables[file], row);
  int64_t line = status == TNRT_OK ? at_hand.line : 0;
  if (status == TNRT_OK && column != NO_COLUMN) tnrt_row_draw(&at_hand, column, drawn, bytes);
  tnrt_row_free(&at_hand);
  return line;
}

/* "d.npz[7]", "pictures/cat/7.png". */
static void put_array_place(const tnrt_records *r, uint32_t file, int64_t row, char *out, size_t bytes) {
  const tnrt_columns *columns = &r->arrays[file];
  const char *path = array_path(r, file), *label = NULL;
  for (uint32_t i = 0; i < columns->n && !label; i++)
    if (columns->columns[i].labels) label = columns->columns[i].labels[row];
  if (label) snprintf(out, bytes, "%.200s/%.80s/%.80s", path, label, label + strlen(label) + 1);
  else snprintf(out, bytes, "%.200s[%lld]", path, (long long)row);
}

static void place(const tnrt_records *r, int64_t record, uint32_t which, char *out, size_t bytes, char *drawn,
                  size_t drawn_bytes) {
  int64_t row;
  uint32_t file = find_file(r, record, &row);
  const char *column = which != NO_COLUMN ? r->names[which] : NULL;
  *drawn = 0;
  long long line = r->tables ? line_of(r, file, row, which, drawn, drawn_bytes) : row;
  if (r->tables) snprintf(out, bytes, "%.200s:%lld", r->tables[file].path, line);
  else if (r->streams) snprintf(out, bytes, "%.200s[%lld]", r->streams[file].path, line);
  else put_array_place(r, file, row, out, bytes);
  size_t used = strlen(out);
  if (column) snprintf(out + used, bytes - used, ": %s '%.100s'", r->tables ? "column" : "array", column);
}

void tnrt_records_place(const tnrt_records *r, int64_t record, const tnrt_binding *binding, char *out, size_t bytes,
                        char *drawn, size_t drawn_bytes) {
  place(r, record, binding && binding->n == 1 ? binding->columns[0] : NO_COLUMN, out, bytes, drawn, drawn_bytes);
}

/* ---- cells ---- */

static bool is_missing(const tnrt_records *r, const char *cell) {
  uint32_t missing = r->plan->source.missing;
  return !*cell || (missing && strcmp(cell, tnrt_plan_text(r->plan, missing)) == 0);
}

static tnrt_status fail_cell(const tnrt_records *r, int64_t record, uint32_t column, const char *what,
                             const char *cell) {
  char at[384], drawn[TNRT_DRAWN_BYTES];
  place(r, record, column, at, sizeof at, drawn, sizeof drawn);
  if (cell) return tnrt_fail(r->message, TNRT_BAD_INPUT, "%s: %s, found '%.60s'%s", at, what, cell, drawn);
  return tnrt_fail(r->message, TNRT_BAD_INPUT, "%s: %s%s", at, what, drawn);
}

/* The numbers of an array of JSON, arrays inside of it one after the other. */
static tnrt_status read_list(const tnrt_records *r, int64_t record, uint32_t column, const char *cell,
                             tnrt_value *out) {
  tnrt_json json = tnrt_json_over(cell, strlen(cell));
  bool is_inside = tnrt_json_enter(&json, '[');
  while (is_inside && !json.error) {
    if (!tnrt_json_more(&json)) {
      is_inside = json.depth > 0;
      continue;
    }
    if (tnrt_json_peek(&json) == '[') {
      tnrt_json_enter(&json, '[');
      continue;
    }
    if (!tnrt_value_reserve(out, out->count + 1 > (int64_t)out->room ? 2 * out->count + 16 : out->count + 1))
      return no_memory(r);
    if (tnrt_json_number(&json, &out->numbers[out->count])) out->count++;
  }
  return json.error ? fail_cell(r, record, column, "expected an array of numbers", cell) : TNRT_OK;
}

static tnrt_status read_number(const tnrt_records *r, int64_t record, const tnrt_chain *chain, uint32_t column,
                               const char *cell, tnrt_value *out) {
  double *to = &out->numbers[out->count];
  if (*cell == '[' && r->plan->source.kind == TNRT_SOURCE_JSONL) return read_list(r, record, column, cell, out);
  out->count++;
  if (is_missing(r, cell)) {
    *to = __builtin_nan("");
    return chain->takes_missing ? TNRT_OK : fail_cell(r, record, column, "the cell is empty", *cell ? cell : NULL);
  }
  return tnrt_number_read(cell, to) ? TNRT_OK : fail_cell(r, record, column, "expected a number", cell);
}

static tnrt_status cells_value(const tnrt_records *r, int64_t record, const tnrt_chain *chain,
                               const tnrt_binding *binding, tnrt_row *at_hand, tnrt_value *out) {
  int64_t row;
  const tnrt_table *table = &r->tables[find_file(r, record, &row)];
  tnrt_status status = tnrt_row_read(at_hand, r->message, table, row);
  out->kind = chain->takes_texts ? TNRT_VALUE_TEXTS : TNRT_VALUE_NUMBERS;
  for (uint32_t i = 0; i < binding->n && status == TNRT_OK; i++) {
    const char *cell = tnrt_row_cell(at_hand, binding->columns[i]);
    if (!tnrt_value_reserve(out, out->count + binding->n - i)) return no_memory(r);
    if (!chain->takes_texts)
      status = read_number(r, record, chain, binding->columns[i], cell, out);
    else if (chain->field->n_classes && is_missing(r, cell))
      status = fail_cell(r, record, binding->columns[i], "the cell is empty", NULL);
    else
      out->texts[out->count++] = cell;
  }
  return status;
}

/* ---- arrays ---- */

static const char *const *labels_of(const tnrt_columns *file) {
  uint32_t i = 0;
  while (i < file->n && !file->columns[i].labels) i++;
  return i < file->n ? file->columns[i].labels : NULL;
}

static tnrt_status array_value(const tnrt_records *r, int64_t record, const tnrt_chain *chain,
                               const tnrt_binding *binding, tnrt_piece *piece, tnrt_value *out) {
  int64_t row;
  const tnrt_columns *file = &r->arrays[find_file(r, record, &row)];
  for (uint32_t i = 0; i < binding->n; i++) {
    const tnrt_column *column = &file->columns[binding->columns[i]];
    tnrt_array array;
    if (column->labels) {
      if (!chain->takes_texts)
        return fail_cell(r, record, binding->columns[i], "expected numbers", column->labels[row]);
      out->kind = TNRT_VALUE_TEXTS;
      out->texts[out->count++] = column->labels[row];
      continue;
    }
    tnrt_status status = tnrt_column_record(r->message, column, labels_of(file), row, piece, &array);
    if (status != TNRT_OK) return status;
    int64_t n = tnrt_count_of(array.ndim, array.extents);
    if (n < 0 || !tnrt_value_reserve(out, out->count + n)) return no_memory(r);
    tnrt_elements_read(array.dtype, array.data, 0, n, out->numbers + out->count);
    out->count += n;
    out->ndim = array.ndim;
    for (uint32_t k = 0; k < array.ndim && k < 4; k++) out->extents[k] = array.extents[k];
  }
  return TNRT_OK;
}

static tnrt_status window_value(const tnrt_records *r, int64_t record, const tnrt_chain *chain, tnrt_piece *piece,
                                tnrt_value *out) {
  int64_t row;
  const tnrt_stream *stream = &r->streams[find_file(r, record, &row)];
  if (!tnrt_value_reserve(out, r->window)) return no_memory(r);
  out->count = out->length = r->window;
  return tnrt_stream_read(r->message, stream, row * r->window + chain->links[0].integers[0], r->window, piece,
                          out->numbers);
}

tnrt_status tnrt_records_value(const tnrt_records *r, int64_t record, const tnrt_chain *chain,
                               const tnrt_binding *binding, tnrt_record *at_hand, tnrt_value *out) {
  if (!tnrt_value_reserve(out, binding->n)) return no_memory(r);
  out->kind = TNRT_VALUE_NUMBERS;
  out->count = 0;
  out->ndim = 1;
  if (r->streams) return window_value(r, record, chain, &at_hand->piece, out);
  return r->tables ? cells_value(r, record, chain, binding, &at_hand->row, out)
                   : array_value(r, record, chain, binding, &at_hand->piece, out);
}
