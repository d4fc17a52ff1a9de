/* Inside of the executables' main: the command line, the model with its inputs, the verbs. */
#ifndef TNRT_CORE_PROGRAM_H
#define TNRT_CORE_PROGRAM_H

#include <stdbool.h>

#include "runtime/core/array.h"

/* NAME=VALUE as given; name NULL when there was no '='. */
typedef struct tnrt_pair {
  const char *name;
  size_t name_bytes;
  const char *value;
} tnrt_pair;

typedef struct tnrt_options {
  const char *verb;
  tnrt_pair *inputs, *dims;
  uint32_t n_inputs, n_dims;
  const char *output_dir, *expect, *trace, *weights;
  const char *data, *output; /* files of records, and of what is predicted for them */
  double rtol, atol;
  int64_t iterations; /* 0: about a second's worth */
  int64_t threads;
  bool json, help;
} tnrt_options;

/* Allocates inputs and dims. Unknown options and wrong values are refused. */
tnrt_status tnrt_options_parse(tnrt_message *message, const tnrt_alloc *alloc, int argc, char **argv,
                               tnrt_options *out);
void tnrt_options_free(const tnrt_alloc *alloc, tnrt_options *options);

/* The table the parser reads, as text for --help. */
void tnrt_options_describe(const char *verb);

/* One input of the model as it was given. */
typedef struct tnrt_given {
  const char *path; /* NULL: not given */
  uint8_t *file;    /* the file's bytes */
  size_t file_bytes;
  bool is_raw; /* elements without a header: the size must come from the model */
  tnrt_array array;
} tnrt_given;

typedef struct tnrt_program {
  const tnrt_model *model;       /* that runs */
  const tnrt_variants *variants; /* it was chosen from, or NULL */
  const tnrt_alloc *alloc;
  const tnrt_options *options;
  tnrt_ctx *ctx;
  tnrt_message message;
  int64_t *symbols;     /* from --dim; -1 where not given */
  tnrt_given *given;    /* n_inputs */
  tnrt_tensor *inputs;  /* n_inputs; shape points into given's arrays */
  tnrt_tensor *outputs; /* n_outputs, views */
  char warning[640];    /* what is done all the same; "": nothing */
} tnrt_program;

/* Memory for the tables, the context and its threads, symbols from --dim. After a failure the message stands in the
 * program, which is closed all the same. */
tnrt_status tnrt_program_open(tnrt_program *program, const tnrt_model *model, const tnrt_alloc *alloc,
                              const tnrt_options *options);
void tnrt_program_close(tnrt_program *program);

/* Reads the files of --input. invent: inputs that are not given are made up (for bench), else they are an error. */
tnrt_status tnrt_program_load(tnrt_program *program, bool invent);

tnrt_status tnrt_program_run(tnrt_program *program);

tnrt_status tnrt_verb_run(tnrt_program *program);
tnrt_status tnrt_verb_bench(tnrt_program *program);
tnrt_status tnrt_verb_info(tnrt_program *program);
tnrt_status tnrt_verb_profile(tnrt_program *program);

/* Compares the outputs with DIR/NAME.npy or DIR/output_K.pb; prints a line for each. */
tnrt_status tnrt_program_compare(tnrt_program *program, const char *dir);

/* "text" with the escapes of JSON, to stdout. */
void tnrt_json_string(const char *text);

#endif
