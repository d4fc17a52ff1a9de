/* What an executable does: run, info. (bench stands in bench.c, profile in verb_profile.c.) */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/core/dtype.h"
#include "runtime/core/file.h"
#include "runtime/core/program.h"

/* ---- run ---- */

static tnrt_status write_output(tnrt_program *p, uint32_t k) {
  const tnrt_port *port = &p->model->outputs[k];
  const tnrt_tensor *t = &p->outputs[k];
  const char *dir = p->options->output_dir;
  if (strcmp(dir, "-") == 0)
    return tnrt_file_put_npy(&p->message, STDOUT_FILENO, port->name, port->dtype, port->ndim, t->shape, t->data);
  char path[4096];
  if (!tnrt_file_name(path, sizeof path, dir, port->name))
    return tnrt_fail(&p->message, TNRT_IO, "output '%.100s': its file's name is too long", port->name);
  return tnrt_file_write_npy(&p->message, path, port->dtype, port->ndim, t->shape, t->data);
}

/* Without a folder to write to: one line an output, with its first values. */
static void print_output(const tnrt_program *p, uint32_t k) {
  const tnrt_port *port = &p->model->outputs[k];
  const tnrt_tensor *t = &p->outputs[k];
  char shape[160];
  int64_t count = tnrt_count_of(port->ndim, t->shape);
  printf("%s: %s %s:", port->name, tnrt_dtype_name(port->dtype),
         tnrt_shape_text(shape, sizeof shape, port->ndim, t->shape));
  for (int64_t i = 0; i < count && i < 8; i++) printf(" %.7g", tnrt_element(port->dtype, t->data, i));
  printf(count > 8 ? " ...\n" : "\n");
}

tnrt_status tnrt_verb_run(tnrt_program *p) {
  const char *dir = p->options->output_dir;
  tnrt_status status = tnrt_program_load(p, false);
  if (status == TNRT_OK) status = tnrt_program_run(p);
  if (status == TNRT_OK && dir && strcmp(dir, "-") != 0 && mkdir(dir, 0777) != 0 && errno != EEXIST)
    status = tnrt_fail(&p->message, TNRT_IO, "cannot make %s: %s", dir, strerror(errno));
  for (uint32_t k = 0; k < p->model->n_outputs && status == TNRT_OK; k++) {
    if (dir)
      status = write_output(p, k);
    else if (!p->options->expect)
      print_output(p, k);
  }
  return status == TNRT_OK && p->options->expect ? tnrt_program_compare(p, p->options->expect) : status;
}

/* ---- info ---- */

void tnrt_json_string(const char *text) {
  putchar('"');
  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    if (*c == '"' || *c == '\\')
      printf("\\%c", *c);
    else if (*c < 32)
      printf("\\u%04x", *c);
    else
      putchar(*c);
  }
  putchar('"');
}

/* Arena at the symbols of --dim, the others at their lowest value; 0 where those are refused. */
static size_t arena_bytes(tnrt_program *p) {
  for (uint32_t s = 0; s < p->model->n_symbols; s++) {
    int64_t lo = p->model->symbols[s].lo;
    if (p->symbols[s] < 0) p->symbols[s] = lo > 0 ? lo : 0;
  }
  return tnrt_model_arena_bytes(p->model, p->symbols);
}

static void ports_json(const char *key, const tnrt_port *ports, uint32_t n) {
  printf(",\n \"%s\": [", key);
  for (uint32_t i = 0; i < n; i++) {
    printf(i ? ", {\"name\": " : "{\"name\": ");
    tnrt_json_string(ports[i].name);
    printf(", \"dtype\": \"%s\", \"shape\": ", tnrt_dtype_name(ports[i].dtype));
    tnrt_json_string(ports[i].shape);
    printf("}");
  }
  printf("]");
}

static void info_json(tnrt_program *p) {
  const tnrt_model *m = p->model;
  const char *texts[][2] = {
      {"name", m->name}, {"producer", m->producer}, {"target", m->target}, {"cpu_needs", m->cpu_needs}};
  printf("{");
  for (size_t i = 0; i < 4; i++) {
    printf("%s\"%s\": ", i ? ",\n " : "", texts[i][0]);
    tnrt_json_string(texts[i][1] ? texts[i][1] : "");
  }
  for (uint32_t i = 0; p->variants && i < p->variants->n; i++) {
    printf(i ? ", " : ",\n \"variants\": [");
    tnrt_json_string(p->variants->names[i]);
  }
  if (p->variants) printf("]");
  ports_json("inputs", m->inputs, m->n_inputs);
  ports_json("outputs", m->outputs, m->n_outputs);
  printf(",\n \"symbols\": [");
  for (uint32_t s = 0; s < m->n_symbols; s++) {
    printf(s ? ", {\"name\": " : "{\"name\": ");
    tnrt_json_string(m->symbols[s].name);
    printf(", \"lo\": %lld, \"hi\": ", (long long)m->symbols[s].lo);
    if (m->symbols[s].hi == INT64_MAX)
      printf("null}");
    else
      printf("%lld}", (long long)m->symbols[s].hi);
  }
  printf("]");
  if (m->external) {
    printf(",\n \"weights_file\": ");
    tnrt_json_string(m->external->name);
    printf(", \"weights_digest\": \"%016llx\"", (unsigned long long)m->external->digest);
  }
  printf(",\n \"steps\": %u, \"weights_bytes\": %llu, \"arena_bytes\": %zu, \"abi\": %u}\n", m->n_steps,
         (unsigned long long)m->weights_bytes, arena_bytes(p), m->abi);
}

static void info_text(tnrt_program *p) {
  const tnrt_model *m = p->model;
  printf("%s, compiled by %s for %s\n", m->name, m->producer, m->target);
  for (uint32_t i = 0; p->variants && i < p->variants->n; i++)
    printf("variant %s%s\n", p->variants->names[i], p->variants->models[i] == m ? " (runs here)" : "");
  if (m->cpu_needs && *m->cpu_needs) printf("needs   %s\n", m->cpu_needs);
  for (uint32_t i = 0; i < m->n_inputs; i++)
    printf("input   %s: %s %s\n", m->inputs[i].name, tnrt_dtype_name(m->inputs[i].dtype), m->inputs[i].shape);
  for (uint32_t i = 0; i < m->n_outputs; i++)
    printf("output  %s: %s %s\n", m->outputs[i].name, tnrt_dtype_name(m->outputs[i].dtype), m->outputs[i].shape);
  for (uint32_t s = 0; s < m->n_symbols; s++) {
    printf("symbol  %s: at least %lld", m->symbols[s].name, (long long)m->symbols[s].lo);
    if (m->symbols[s].hi != INT64_MAX) printf(", at most %lld", (long long)m->symbols[s].hi);
    printf("\n");
  }
  size_t arena = arena_bytes(p);
  printf("steps   %u\nweights %llu bytes", m->n_steps, (unsigned long long)m->weights_bytes);
  if (m->external) printf(" in '%s', digest %016llx", m->external->name, (unsigned long long)m->external->digest);
  printf("\narena   %zu bytes", arena);
  for (uint32_t s = 0; s < m->n_symbols; s++)
    printf("%s%s = %lld", s ? ", " : " at ", m->symbols[s].name, (long long)p->symbols[s]);
  printf("\n");
}

tnrt_status tnrt_verb_info(tnrt_program *p) {
  if (p->options->json)
    info_json(p);
  else
    info_text(p);
  return TNRT_OK;
}
