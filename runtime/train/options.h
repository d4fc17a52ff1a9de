/* The command line of a training program. One table (options.c) defines every option: the parser and the help read it.
 */
#ifndef TNRT_TRAIN_OPTIONS_H
#define TNRT_TRAIN_OPTIONS_H

#include <stdbool.h>

#include "runtime/train/export.h"
#include "runtime/train/logs.h"
#include "runtime/train/records.h"

enum { TNRT_MAX_GIVEN = 64 };

/* --input NAME=FILE; name NULL where there is no '='. */
typedef struct tnrt_given_input {
  const char *name;
  size_t name_bytes;
  const char *path;
} tnrt_given_input;

typedef struct tnrt_command {
  const char *program; /* the name it was called by, without folders */
  const char *verb;    /* NULL with help */
  bool help, resume, json, has_seed;
  uint64_t seed;
  int64_t epochs, steps; /* 0: the plan's */
  int64_t stop_at;       /* 0: not before the end */
  int threads;
  const char *mpi;     /* NULL: by the launcher */
  double comm_timeout; /* seconds; 0: the world's own */
  const char *trace;   /* NULL: none */
  tnrt_data_paths data;
  const char *weights; /* to begin with; NULL: of the initialisers */
  const char *checkpoint, *folder; /* FILE, "best" or "last"; NULL: as the model's file says */
  const char *split, *output;
  const char *log; /* of plot */
  tnrt_given_input inputs[TNRT_MAX_GIVEN];
  uint32_t n_inputs;
  tnrt_log_options logs;
  tnrt_export_targets targets;
} tnrt_command;

/* Unknown options and wrong values are TNRT_BAD_INPUT. */
tnrt_status tnrt_command_parse(tnrt_message *message, int argc, char **argv, tnrt_command *out);
/* The table the parser reads, as text for --help. */
void tnrt_command_describe(const char *verb);

#endif
