/* The records of a data block's files as they stand there: rows of tables, elements of arrays, images, lines. */
#ifndef TNRT_TRAIN_RECORDS_H
#define TNRT_TRAIN_RECORDS_H

#include "runtime/train/arrays.h"
#include "runtime/train/chain.h"
#include "runtime/train/paths.h"
#include "runtime/train/stream.h"
#include "runtime/train/table.h"

/* What the command line says of the data: files instead of the plan's (NULL: the plan's), and how many bytes of files
 * and samples may be held in memory (has_memory; else a quarter of what there is). */
typedef struct tnrt_data_paths {
  const char *paths[TNRT_N_SPLITS];
  uint64_t memory;
  bool has_memory;
} tnrt_data_paths;

/* What was read of a record, for one thread. All zeros but the allocators at first (tnrt_record_start). */
typedef struct tnrt_record {
  tnrt_row row;
  tnrt_piece piece;
} tnrt_record;

static inline tnrt_record tnrt_record_start(const tnrt_alloc *alloc) {
  return (tnrt_record){.row = {.alloc = alloc}, .piece = {.alloc = alloc}};
}
void tnrt_record_free(tnrt_record *record);

typedef struct tnrt_records {
  const tnrt_training *plan;
  const tnrt_alloc *alloc;
  tnrt_message *message;
  tnrt_world *world;
  tnrt_paths paths[TNRT_N_SPLITS];
  tnrt_table *tables;          /* n_files, of texts; or */
  tnrt_columns *arrays;        /* n_files, of arrays; or */
  tnrt_stream *streams;        /* n_files: record i is tokens i * window + k and on, k being the field's own */
  int64_t window;
  int64_t *ends;               /* records up to the end of each file */
  uint32_t n_files;
  const char **names;          /* of columns */
  uint32_t n_columns;
  int64_t n[TNRT_N_SPLITS];    /* records of each split's own files, one after the other */
  int64_t n_dropped;
  tnrt_message first_dropped;
  uint64_t room;               /* bytes that may still be held */
} tnrt_records;

/* The columns that a field takes. */
typedef struct tnrt_binding {
  uint32_t *columns;
  uint32_t n;
} tnrt_binding;

/* Reads the files: of all splits, or only `paths->paths[TNRT_SPLIT_TRAIN]` where is_new (records that a trained program
 * is given). world: processes that share out what has to be searched or unpacked picture by picture (tables, pictures),
 * and fail together; none of them holds what can be read record by record, for which the system's cache of files serves
 * all of a machine. After a failure the records are closed all the same. */
tnrt_status tnrt_records_open(tnrt_records *records, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training *plan, const tnrt_data_paths *paths, tnrt_world *world, bool is_new);
void tnrt_records_close(tnrt_records *records);
int64_t tnrt_records_count(const tnrt_records *records);

/* Finds each field's columns; those that is_needed leaves out (NULL: none) get none and may be missing in the files.
 * bindings: n_fields, given back by tnrt_bindings_free. Fields of windows and of lengths take no columns. Fields that
 * take the columns which are left keep their names in chains, and take those of the same names where there are some. */
tnrt_status tnrt_records_bind(const tnrt_records *records, const uint8_t *is_needed, tnrt_chain *chains,
                              tnrt_binding *bindings);
void tnrt_bindings_free(const tnrt_alloc *alloc, tnrt_binding *bindings, uint32_t n);

/* What stands in a record for a field: texts, or numbers where the chain takes those or there are arrays. Texts lie in
 * at_hand until another record is read.
 * TNRT_BAD_INPUT: a cell that is no number, or empty where the chain takes no missing ones; the message has file, line
 * and column. */
tnrt_status tnrt_records_value(const tnrt_records *records, int64_t record, const tnrt_chain *chain,
                               const tnrt_binding *binding, tnrt_record *at_hand, tnrt_value *out);

/* "iris.csv:7: column 'species'" or the like; drawn: the line with a caret (place.h), "" where there is none. */
void tnrt_records_place(const tnrt_records *records, int64_t record, const tnrt_binding *binding, char *out,
                        size_t bytes, char *drawn, size_t drawn_bytes);

#endif
