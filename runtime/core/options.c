/* The command line of an executable. One table defines every option: the parser and the help read it. */
#include <stdlib.h>
#include <string.h>

#include "runtime/core/command.h"
#include "runtime/core/program.h"

enum {
  INPUT, OUTPUT_DIR, EXPECT, RTOL, ATOL, DIM, THREADS, ITERATIONS, JSON, TRACE, WEIGHTS, DATA, OUTPUT, HELP, N_OPTIONS
};

static const tnrt_option rows[N_OPTIONS] = {
    [INPUT] = {"--input", "NAME=FILE", " run bench profile ",
               "an input by name or position (0=FILE); .npy, .npz, .pb or raw, '-' is standard input"},
    [OUTPUT_DIR] = {"--output-dir", "DIR", " run ",
                    "write each output to DIR/NAME.npy; '-' writes all to standard output"},
    [EXPECT] = {"--expect", "DIR", " run ", "compare the outputs with DIR/NAME.npy or DIR/output_K.pb"},
    [RTOL] = {"--rtol", "X", " run ", "relative tolerance of --expect (1e-3)"},
    [ATOL] = {"--atol", "X", " run ", "absolute tolerance of --expect (1e-7)"},
    [DIM] = {"--dim", "NAME=N", " run bench info profile ", "value of a symbol, where no input's file tells it"},
    [THREADS] = {"--threads", "N", " run bench profile ", "threads that compute (1)"},
    [ITERATIONS] = {"-n", "N", " bench ", "timed runs (about one second's worth, at least 10)"},
    [JSON] = {"--json", NULL, " bench info ", "print JSON"},
    [TRACE] = {"--trace", "FILE", " profile ",
               "also write the steps as a Chrome trace; '-': nothing but that, to standard output"},
    [WEIGHTS] = {"--weights", "FILE", " run bench info profile ",
                 "the weights of a model that has them in a file (its own name, beside the program)"},
    [DATA] = {"--data", "FILE", " run ", "records as the training's data have them (of models with its weights)"},
    [OUTPUT] = {"--output", "FILE", " run ",
                "where predictions for --data go: .csv (standard output), .npy, or a folder with one .npy an output"},
    [HELP] = {"--help", NULL, " run bench info profile ", "print this text"},
};

void tnrt_options_describe(const char *verb) { tnrt_options_print(rows, N_OPTIONS, verb, 20); }

static tnrt_status take_tolerance(tnrt_message *message, const char *name, const char *text, double *out) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= 0))
    return tnrt_fail(message, TNRT_BAD_INPUT, "%s: expected a number of at least 0, found '%s'", name, text);
  *out = value;
  return TNRT_OK;
}

/* Names of tensors may hold '=', paths seldom do: the last one divides. */
static tnrt_pair split(const char *text) {
  const char *equals = strrchr(text, '=');
  return equals ? (tnrt_pair){text, (size_t)(equals - text), equals + 1} : (tnrt_pair){NULL, 0, text};
}

static tnrt_status take(tnrt_message *message, int which, const char *value, tnrt_options *out) {
  const char *name = rows[which].name;
  switch (which) {
    case INPUT:
      out->inputs[out->n_inputs++] = split(value);
      return TNRT_OK;
    case DIM:
      out->dims[out->n_dims++] = split(value);
      return TNRT_OK;
    case OUTPUT_DIR:
      out->output_dir = value;
      return TNRT_OK;
    case EXPECT:
      out->expect = value;
      return TNRT_OK;
    case TRACE:
      out->trace = value;
      return TNRT_OK;
    case WEIGHTS:
      out->weights = value;
      return TNRT_OK;
    case DATA:
      out->data = value;
      return TNRT_OK;
    case OUTPUT:
      out->output = value;
      return TNRT_OK;
    case RTOL:
      return take_tolerance(message, name, value, &out->rtol);
    case ATOL:
      return take_tolerance(message, name, value, &out->atol);
    case THREADS:
      return tnrt_option_integer(message, name, value, 1, 1024, &out->threads);
    case ITERATIONS:
      return tnrt_option_integer(message, name, value, 1, 1000000000, &out->iterations);
    case JSON:
      out->json = true;
      return TNRT_OK;
    default:
      out->help = true;
      return TNRT_OK;
  }
}

static tnrt_status parse_rest(tnrt_message *message, int argc, char **argv, tnrt_options *out) {
  for (int i = 0; i < argc; i++) {
    const char *value;
    int which;
    tnrt_status status = tnrt_option_read(message, rows, N_OPTIONS, out->verb, argc, argv, &i, &which, &value);
    if (status != TNRT_OK) return status;
    if (which < 0) return tnrt_fail(message, TNRT_BAD_INPUT, "unknown argument '%.100s' (see --help)", argv[i]);
    status = take(message, which, value, out);
    if (status != TNRT_OK) return status;
  }
  return TNRT_OK;
}

tnrt_status tnrt_options_parse(tnrt_message *message, const tnrt_alloc *alloc, int argc, char **argv,
                               tnrt_options *out) {
  *out = (tnrt_options){.rtol = 1e-3, .atol = 1e-7, .threads = 1};
  size_t bytes = (size_t)(argc + 1) * sizeof(tnrt_pair);
  out->inputs = alloc->get(alloc->user, bytes, 16);
  out->dims = alloc->get(alloc->user, bytes, 16);
  if (!out->inputs || !out->dims) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the command line");
  const char *first = argc > 1 ? argv[1] : "--help";
  if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
    out->help = true;
    return TNRT_OK;
  }
  static const char *const verbs[] = {"run", "bench", "info", "profile"};
  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
    if (strcmp(first, verbs[i]) == 0) out->verb = verbs[i];
  if (!out->verb)
    return tnrt_fail(message, TNRT_BAD_INPUT, "'%s' is none of run, bench, info, profile (see --help)", first);
  return parse_rest(message, argc - 2, argv + 2, out);
}

void tnrt_options_free(const tnrt_alloc *alloc, tnrt_options *options) {
  if (options->inputs) alloc->give(alloc->user, options->inputs);
  if (options->dims) alloc->give(alloc->user, options->dims);
}
