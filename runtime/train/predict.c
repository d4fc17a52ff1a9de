/* Predictions for records of a file, or for inputs given as .npy; see predict.h. */
#include "runtime/train/predict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/core/array.h"
#include "runtime/core/dtype.h"
#include "runtime/core/file.h"
#include "runtime/train/memory.h"

enum { MAX_PORTS = 64 };

typedef struct prediction {
  const tnrt_predicted *of;
  const tnrt_training *plan;
  tnrt_samples *samples;
  const tnrt_model *model;
  const tnrt_alloc *alloc;
  tnrt_message *message;
  int64_t n;                          /* samples */
  uint32_t n_inputs, n_outputs;
  const uint8_t *inputs[MAX_PORTS];   /* of all samples */
  size_t input_bytes[MAX_PORTS];      /* of one */
  tnrt_array arrays[MAX_PORTS];       /* of --input */
  uint8_t *files[MAX_PORTS];
  uint8_t *outputs[MAX_PORTS];
  size_t output_bytes[MAX_PORTS];     /* of one sample */
  int64_t extents[MAX_PORTS][TNRT_MAX_NDIM];
} prediction;

/* ---- inputs ---- */

/* The field that an input is; n_fields: none. */
static uint32_t field_of(const prediction *p, uint32_t input) {
  uint32_t i = 0;
  while (i < p->plan->n_fields &&
         strcmp(tnrt_plan_text(p->plan, p->samples->plan_fields[i].name), p->model->inputs[input].name) != 0)
    i++;
  return i;
}

static tnrt_status load_records(prediction *p) {
  uint8_t *is_needed = tnrt_take(p->alloc, p->plan->n_fields, 1);
  if (!is_needed) return tnrt_fail(p->message, TNRT_NO_MEMORY, "no memory for the inputs");
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < p->n_inputs; i++) {
    uint32_t field = field_of(p, i);
    if (field < p->plan->n_fields) is_needed[field] = 1;
    else
      status = tnrt_fail(p->message, TNRT_BAD_INPUT, "input '%.100s' is no field of the data: --input gives it",
                         p->model->inputs[i].name);
  }
  if (status == TNRT_OK) status = tnrt_samples_load_new(p->samples, p->of->data, is_needed);
  p->alloc->give(p->alloc->user, is_needed);
  for (uint32_t i = 0; i < p->n_inputs && status == TNRT_OK; i++) {
    uint32_t field = field_of(p, i);
    p->inputs[i] = p->samples->fields[field];
    p->input_bytes[i] = p->samples->bytes[field];
  }
  p->n = tnrt_samples_count(p->samples, TNRT_SPLIT_TRAIN);
  return status;
}

static uint32_t find_input(const prediction *p, const tnrt_given_input *given) {
  for (uint32_t i = 0; i < p->n_inputs && given->name; i++)
    if (strlen(p->model->inputs[i].name) == given->name_bytes &&
        strncmp(p->model->inputs[i].name, given->name, given->name_bytes) == 0)
      return i;
  if (!given->name) return p->n_inputs == 1 ? 0 : p->n_inputs;
  char *end;
  unsigned long number = strtoul(given->name, &end, 10);
  return end == given->name + given->name_bytes && number < p->n_inputs ? (uint32_t)number : p->n_inputs;
}

/* The array is [samples, as the port says]. */
static tnrt_status check_array(prediction *p, uint32_t i) {
  const tnrt_port *port = &p->model->inputs[i];
  const tnrt_array *a = &p->arrays[i];
  bool fits = a->ndim == port->ndim && a->ndim > 0;
  for (uint32_t k = 1; k < port->ndim && fits; k++)
    fits = port->extents[k].text || port->extents[k].value == a->extents[k];
  if (fits && (i == 0 || p->n == a->extents[0])) {
    p->n = a->extents[0];
    p->inputs[i] = a->data;
    p->input_bytes[i] = a->extents[0] ? (size_t)(a->bytes / a->extents[0]) : 0;
    return TNRT_OK;
  }
  char shape[128];
  return tnrt_fail(p->message, TNRT_BAD_INPUT, "input '%.100s' is %s, the model takes %.100s", port->name,
                   tnrt_shape_text(shape, sizeof shape, a->ndim, a->extents), port->shape);
}

static tnrt_status load_array(prediction *p, const tnrt_given_input *given) {
  tnrt_message *message = p->message;
  uint32_t i = find_input(p, given);
  size_t bytes;
  char who[128];
  if (i == p->n_inputs || p->files[i])
    return tnrt_fail(message, TNRT_BAD_INPUT, "--input %.*s: %s", given->name ? (int)given->name_bytes : 0,
                     given->name ? given->name : "", i == p->n_inputs ? "the model has no such input" : "given twice");
  tnrt_status status = tnrt_file_read(message, p->alloc, given->path, &p->files[i], &bytes);
  if (status != TNRT_OK) return status;
  status = tnrt_npy_read(message, p->alloc, p->files[i], bytes, &p->arrays[i]);
  tnrt_message said = *message;
  if (status != TNRT_OK) return tnrt_fail(message, status, "%.200s: %.250s", given->path, said.text);
  snprintf(who, sizeof who, "input '%.100s'", p->model->inputs[i].name);
  return tnrt_array_become(message, who, &p->arrays[i], p->model->inputs[i].dtype);
}

static tnrt_status load_arrays(prediction *p) {
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < p->of->n_given && status == TNRT_OK; i++) status = load_array(p, &p->of->given[i]);
  for (uint32_t i = 0; i < p->n_inputs && status == TNRT_OK; i++) {
    if (!p->files[i])
      return tnrt_fail(p->message, TNRT_BAD_INPUT, "input '%.100s' is not given (--input %.100s=FILE)",
                       p->model->inputs[i].name, p->model->inputs[i].name);
    status = check_array(p, i);
  }
  return status;
}

/* ---- outputs ---- */

static tnrt_status make_outputs(prediction *p) {
  int64_t all[MAX_PORTS * TNRT_MAX_NDIM];
  const int64_t *at = all;
  int64_t one = 1;
  p->model->out_extents(&one, all);
  for (uint32_t i = 0; i < p->n_outputs; i++) {
    const tnrt_port *port = &p->model->outputs[i];
    int64_t bytes = port->is_late ? -1 : tnrt_bytes_of(port->dtype, port->ndim, at), size;
    if (bytes < 0 || port->ndim == 0 || *at != 1)
      return tnrt_fail(p->message, TNRT_BAD_INPUT, "output '%.100s' has not one entry a sample", port->name);
    memcpy(p->extents[i], at, port->ndim * sizeof *at);
    p->extents[i][0] = p->n;
    at += port->ndim;
    p->output_bytes[i] = (size_t)bytes;
    if (!__builtin_mul_overflow(p->n, bytes, &size))
      p->outputs[i] = p->alloc->get(p->alloc->user, size ? (size_t)size : 1, 64);
    if (!p->outputs[i]) return tnrt_fail(p->message, TNRT_NO_MEMORY, "no memory for output '%.100s'", port->name);
  }
  return TNRT_OK;
}

static tnrt_status predict(prediction *p) {
  int64_t batch = p->of->batch;
  const void *inputs[MAX_PORTS];
  void *outputs[MAX_PORTS];
  tnrt_status status = TNRT_OK;
  for (int64_t at = 0; at < p->n && status == TNRT_OK; at += batch) {
    int64_t n = p->n - at < batch ? p->n - at : batch;
    for (uint32_t i = 0; i < p->n_inputs; i++) inputs[i] = p->inputs[i] + (size_t)at * p->input_bytes[i];
    for (uint32_t i = 0; i < p->n_outputs; i++) outputs[i] = p->outputs[i] + (size_t)at * p->output_bytes[i];
    status = p->of->run(p->of->user, inputs, n, outputs);
  }
  return status;
}

/* ---- tables ---- */

/* The only label that the model does not take, or NULL. */
static const tnrt_chain *label_of(const prediction *p) {
  const tnrt_chain *found = NULL;
  for (uint32_t i = 0; i < p->plan->n_fields; i++) {
    const tnrt_field *field = &p->samples->plan_fields[i];
    if (!field->n_classes || field->is_input) continue;
    if (found || field->count != 1) return NULL;
    found = &p->samples->chains[i];
  }
  return found;
}

static int64_t width_of(const prediction *p, uint32_t output) {
  return (int64_t)(p->output_bytes[output] / tnrt_dtype_find(p->model->outputs[output].dtype)->bytes);
}

/* Whether an output scores the classes: one number each, or one for two (above 0: the second). */
static bool is_scores(const prediction *p, const tnrt_chain *label, uint32_t output) {
  int64_t width = width_of(p, output), n = label->field->n_classes;
  const char type = *tnrt_dtype_name(p->model->outputs[output].dtype);
  return (type == 'f' || type == 'b') && p->model->outputs[output].ndim <= 2 && (width == n || (width == 1 && n == 2));
}

static uint32_t class_of(const prediction *p, uint32_t output, int64_t row) {
  int64_t width = width_of(p, output), best = 0;
  uint32_t dtype = p->model->outputs[output].dtype;
  const uint8_t *data = p->outputs[output];
  if (width == 1) return tnrt_element(dtype, data, row) > 0;
  for (int64_t i = 1; i < width; i++)
    if (tnrt_element(dtype, data, row * width + i) > tnrt_element(dtype, data, row * width + best)) best = i;
  return (uint32_t)best;
}

/* Quoted where RFC 4180 asks for it. */
static void put_cell(FILE *out, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, out);
    return;
  }
  putc('"', out);
  for (; *text; text++) {
    if (*text == '"') putc('"', out);
    putc(*text, out);
  }
  putc('"', out);
}

static void put_header(const prediction *p, FILE *out, const tnrt_chain *label, uint32_t scores) {
  const tnrt_training *plan = p->plan;
  if (label)
    put_cell(out, label->field->n_columns == 1 ? tnrt_plan_item(plan, label->field->columns, 0)
                                               : tnrt_plan_text(plan, label->field->name));
  for (uint32_t i = 0; i < p->n_outputs; i++) {
    int64_t width = width_of(p, i);
    for (int64_t k = 0; k < width; k++) {
      char name[512];
      if (i == scores && width > 1)
        snprintf(name, sizeof name, "%.200s.%.200s", p->model->outputs[i].name,
                 tnrt_dictionary_text(&label->labels, (uint32_t)k));
      else if (width > 1) snprintf(name, sizeof name, "%.200s.%lld", p->model->outputs[i].name, (long long)k);
      else snprintf(name, sizeof name, "%.200s", p->model->outputs[i].name);
      if (label || i || k) putc(',', out);
      put_cell(out, name);
    }
  }
  putc('\n', out);
}

static void put_table(const prediction *p, FILE *out) {
  const tnrt_chain *label = label_of(p);
  uint32_t scores = 0;
  while (label && scores < p->n_outputs && !is_scores(p, label, scores)) scores++;
  if (!label || scores == p->n_outputs) {
    label = NULL;
    scores = p->n_outputs;
  }
  put_header(p, out, label, scores);
  for (int64_t row = 0; row < p->n; row++) {
    if (label) put_cell(out, tnrt_dictionary_text(&label->labels, class_of(p, scores, row)));
    for (uint32_t i = 0; i < p->n_outputs; i++) {
      int64_t width = width_of(p, i);
      for (int64_t k = 0; k < width; k++)
        fprintf(out, "%s%.9g", label || i || k ? "," : "",
                tnrt_element(p->model->outputs[i].dtype, p->outputs[i], row * width + k));
    }
    putc('\n', out);
  }
}

/* ---- files ---- */

static bool ends_in(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static tnrt_status write_npy(const prediction *p, uint32_t i, const char *path) {
  const tnrt_port *port = &p->model->outputs[i];
  return tnrt_file_write_npy(p->message, path, port->dtype, port->ndim, p->extents[i], p->outputs[i]);
}

static tnrt_status write_folder(const prediction *p, const char *folder) {
  char path[4096];
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < p->n_outputs && status == TNRT_OK; i++) {
    if (!tnrt_file_name(path, sizeof path, folder, p->model->outputs[i].name))
      return tnrt_fail(p->message, TNRT_BAD_INPUT, "--output: the path of '%.100s' is too long",
                       p->model->outputs[i].name);
    status = write_npy(p, i, path);
  }
  return status;
}

static tnrt_status write_table(const prediction *p, const char *path) {
  FILE *out = fopen(path, "we");
  if (!out) return tnrt_fail(p->message, TNRT_IO, "cannot write %.300s", path);
  put_table(p, out);
  bool failed = ferror(out) != 0;
  if (fclose(out) != 0 || failed) return tnrt_fail(p->message, TNRT_IO, "cannot write %.300s", path);
  return TNRT_OK;
}

static tnrt_status write_outputs(const prediction *p) {
  const char *path = p->of->output;
  struct stat st;
  if (!path || strcmp(path, "-") == 0) return put_table(p, stdout), TNRT_OK;
  if (ends_in(path, ".csv")) return write_table(p, path);
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return write_folder(p, path);
  if (ends_in(path, ".npy") && p->n_outputs == 1) return write_npy(p, 0, path);
  return tnrt_fail(p->message, TNRT_BAD_INPUT, "--output: '%.200s' is none of a .csv, %s", path,
                   p->n_outputs == 1 ? "a .npy, a folder" : "a folder (the model has several outputs)");
}

tnrt_status tnrt_predict(const tnrt_predicted *of) {
  prediction p = {.of = of, .plan = of->plan, .samples = of->samples, .model = of->model, .alloc = of->alloc,
                  .message = of->message, .n_inputs = of->n_inputs, .n_outputs = of->model->n_outputs};
  tnrt_status status = TNRT_OK;
  if (p.n_inputs > MAX_PORTS || p.n_outputs > MAX_PORTS)
    return tnrt_fail(p.message, TNRT_BAD_INPUT, "the model has more than %d inputs or outputs", MAX_PORTS);
  status = of->n_given ? load_arrays(&p) : load_records(&p);
  if (status == TNRT_OK) status = make_outputs(&p);
  if (status == TNRT_OK) status = predict(&p);
  if (status == TNRT_OK) status = write_outputs(&p);
  for (uint32_t i = 0; i < MAX_PORTS; i++) {
    tnrt_array_free(p.alloc, &p.arrays[i]);
    if (p.files[i]) p.alloc->give(p.alloc->user, p.files[i]);
    if (p.outputs[i]) p.alloc->give(p.alloc->user, p.outputs[i]);
  }
  return status;
}
