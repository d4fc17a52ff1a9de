/* The program around a compiled model: `EXE run`, `bench`, `info`, `profile`. It knows the model only by its
 * descriptor, so one archive serves every executable. Exit status: 0 done, 1 the input is wrong, 71 a resource gave
 * out. */
#include <stdio.h>
#include <string.h>

#include "runtime/core/command.h"
#include "runtime/core/dtype.h"
#include "runtime/core/serving.h"

extern const tnrt_model tnrt_main_model;

typedef struct verb {
  const char *name;
  const char *doc;
  tnrt_status (*run)(tnrt_program *program);
} verb;

static const verb verbs[] = {
    {"run", "computes the outputs from the inputs", tnrt_verb_run},
    {"bench", "measures how long a run takes; inputs not given are made up", tnrt_verb_bench},
    {"info", "prints the signature, the target and the memory it needs", tnrt_verb_info},
    {"profile", "writes how long each step takes; inputs not given are made up", tnrt_verb_profile},
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static void print_ports(const char *title, const tnrt_port *ports, uint32_t n) {
  printf("\n%s\n", title);
  for (uint32_t i = 0; i < n; i++)
    printf("  %u  %s: %s %s\n", i, ports[i].name, tnrt_dtype_name(ports[i].dtype), ports[i].shape);
}

static void print_help(const char *program) {
  const tnrt_model *m = &tnrt_main_model;
  printf("%s: the model '%s', compiled by %s\n\nusage: %s VERB [OPTION]...\n", program, m->name, m->producer, program);
  for (int i = 0; i < N_VERBS; i++) {
    printf("\n  %s  %s\n", verbs[i].name, verbs[i].doc);
    tnrt_options_describe(verbs[i].name);
  }
  print_ports("inputs", m->inputs, m->n_inputs);
  print_ports("outputs", m->outputs, m->n_outputs);
  if (m->n_symbols) printf("\nsymbols\n");
  for (uint32_t s = 0; s < m->n_symbols; s++) {
    printf("  %s: at least %lld", m->symbols[s].name, (long long)m->symbols[s].lo);
    if (m->symbols[s].hi != INT64_MAX) printf(", at most %lld", (long long)m->symbols[s].hi);
    printf("\n");
  }
  printf(
      "\nAn output is written to DIR/NAME.npy; bytes of NAME outside A-Z a-z 0-9 _ . - are written as %%XX.\n"
      "bfloat16 travels as uint16 bits, float8 as uint8 bits, int4 and uint4 as one element a byte.\n");
}

static tnrt_status run_records(tnrt_program *program) {
  if (tnrt_main_serving.plan) return tnrt_main_serving.run(&tnrt_main_serving, program);
  return tnrt_fail(&program->message, TNRT_BAD_INPUT, "--data: this program reads no records: it is not of a model "
                   "with the weights of a training, or of one whose inputs are no fields; --input gives them");
}

static tnrt_status run_verb(const char *name, const tnrt_options *options, tnrt_message *out_message) {
  tnrt_program program;
  tnrt_status status = tnrt_program_open(&program, &tnrt_main_model, &tnrt_alloc_libc, options);
  for (int i = 0; i < N_VERBS && status == TNRT_OK && !options->data; i++)
    if (strcmp(verbs[i].name, options->verb) == 0) status = verbs[i].run(&program);
  if (status == TNRT_OK && options->data) status = run_records(&program);
  if (status == TNRT_OK && program.warning[0]) fprintf(stderr, "%s: %s\n", name, program.warning);
  *out_message = program.message;
  tnrt_program_close(&program);
  return status;
}

int main(int argc, char **argv) {
  const char *slash = argc ? strrchr(argv[0], '/') : NULL, *name = slash ? slash + 1 : argc ? argv[0] : "model";
  tnrt_options options;
  tnrt_message message;
  tnrt_status status = tnrt_options_parse(&message, &tnrt_alloc_libc, argc, argv, &options);
  if (status == TNRT_OK && options.help)
    print_help(name);
  else if (status == TNRT_OK)
    status = run_verb(name, &options, &message);
  tnrt_options_free(&tnrt_alloc_libc, &options);
  if (status == TNRT_OK && fflush(stdout) != 0)
    status = tnrt_fail(&message, TNRT_BAD_INPUT, "cannot write to standard output");
  if (status != TNRT_OK) fprintf(stderr, "%s: error: %s\n", name, message.text);
  return tnrt_exit_status(status);
}
