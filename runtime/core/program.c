/* An executable's model with its inputs: opened, loaded from files of any kind, run (program.h). */
#include "runtime/core/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/core/file.h"

static void *get_zeroed(const tnrt_alloc *alloc, size_t bytes) {
  void *memory = alloc->get(alloc->user, bytes + 1, 64);
  return memory ? memset(memory, 0, bytes + 1) : NULL;
}

/* ---- symbols ---- */

static tnrt_status set_symbol(tnrt_program *p, const tnrt_pair *dim) {
  if (!dim->name) return tnrt_fail(&p->message, TNRT_BAD_INPUT, "--dim: expected NAME=N, found '%s'", dim->value);
  for (uint32_t s = 0; s < p->model->n_symbols; s++) {
    const tnrt_symbol *symbol = &p->model->symbols[s];
    if (strlen(symbol->name) != dim->name_bytes || memcmp(symbol->name, dim->name, dim->name_bytes) != 0) continue;
    char *end;
    errno = 0;
    long long value = strtoll(dim->value, &end, 10);
    if (errno || end == dim->value || *end || value < symbol->lo || value > symbol->hi)
      return tnrt_fail(&p->message, TNRT_BAD_SHAPE, "--dim %s: expected %lld to %lld, found '%s'", symbol->name,
                       (long long)symbol->lo, (long long)symbol->hi, dim->value);
    p->symbols[s] = value;
    return TNRT_OK;
  }
  return tnrt_fail(&p->message, TNRT_BAD_INPUT, "--dim: the model has no symbol '%.*s'", (int)dim->name_bytes,
                   dim->name);
}

/* ---- life ---- */

tnrt_status tnrt_program_open(tnrt_program *p, const tnrt_model *model, const tnrt_alloc *alloc,
                              const tnrt_options *options) {
  *p = (tnrt_program){.model = model, .variants = model->variants, .alloc = alloc, .options = options};
  tnrt_status status = tnrt_ctx_create_from(&p->ctx, model, options->weights, alloc, NULL, 0);
  if (status == TNRT_OK) p->model = model = tnrt_ctx_model(p->ctx);
  if (status == TNRT_OK) status = tnrt_ctx_set_threads(p->ctx, (int)options->threads);
  if (status != TNRT_OK) return tnrt_fail(&p->message, status, "%s", tnrt_ctx_message(p->ctx));
  p->symbols = get_zeroed(alloc, model->n_symbols * sizeof *p->symbols);
  p->given = get_zeroed(alloc, model->n_inputs * sizeof *p->given);
  p->inputs = get_zeroed(alloc, model->n_inputs * sizeof *p->inputs);
  p->outputs = get_zeroed(alloc, model->n_outputs * sizeof *p->outputs);
  if (!p->symbols || !p->given || !p->inputs || !p->outputs)
    return tnrt_fail(&p->message, TNRT_NO_MEMORY, "out of memory");
  for (uint32_t s = 0; s < model->n_symbols; s++) p->symbols[s] = -1;
  for (uint32_t i = 0; i < options->n_dims && status == TNRT_OK; i++) status = set_symbol(p, &options->dims[i]);
  return status;
}

void tnrt_program_close(tnrt_program *p) {
  const tnrt_alloc *alloc = p->alloc;
  for (uint32_t i = 0; p->given && i < p->model->n_inputs; i++) {
    tnrt_array_free(alloc, &p->given[i].array);
    if (p->given[i].file) alloc->give(alloc->user, p->given[i].file);
  }
  void *tables[] = {p->symbols, p->given, p->inputs, p->outputs};
  for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
    if (tables[i]) alloc->give(alloc->user, tables[i]);
  tnrt_ctx_destroy(p->ctx);
}

/* ---- files ---- */

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

/* The member of that name, or the only one. */
static tnrt_status read_npz(tnrt_program *p, tnrt_given *g, const char *name) {
  tnrt_npz npz;
  tnrt_npz_member m, only = {0};
  bool found;
  uint64_t n = 0;
  tnrt_status status = tnrt_npz_open(&p->message, g->file, g->file_bytes, &npz);
  while (status == TNRT_OK) {
    status = tnrt_npz_next(&p->message, &npz, &m, &found);
    if (status != TNRT_OK || !found) break;
    if (m.name_bytes == strlen(name) && memcmp(m.name, name, m.name_bytes) == 0)
      return tnrt_npz_read(&p->message, p->alloc, &npz, &m, &g->array);
    only = m;
    n++;
  }
  if (status != TNRT_OK) return status;
  if (n == 1) return tnrt_npz_read(&p->message, p->alloc, &npz, &only, &g->array);
  return tnrt_fail(&p->message, TNRT_BAD_INPUT, "npz: none of its %llu arrays is called '%s'", (unsigned long long)n,
                   name);
}

/* The format is told by the first bytes; a TensorProto has no mark and goes by its name. */
static tnrt_status read_given(tnrt_program *p, uint32_t input) {
  tnrt_given *g = &p->given[input];
  const tnrt_port *port = &p->model->inputs[input];
  tnrt_status status = tnrt_file_read(&p->message, p->alloc, g->path, &g->file, &g->file_bytes);
  if (status != TNRT_OK) return status;
  const char *unused;
  size_t unused_bytes;
  if (g->file_bytes >= 6 && memcmp(g->file, "\x93NUMPY", 6) == 0)
    status = tnrt_npy_read(&p->message, p->alloc, g->file, g->file_bytes, &g->array);
  else if (g->file_bytes >= 4 && memcmp(g->file, "PK\3\4", 4) == 0)
    status = read_npz(p, g, port->name);
  else if (ends_with(g->path, ".pb"))
    status = tnrt_pb_read(&p->message, p->alloc, g->file, g->file_bytes, &g->array, &unused, &unused_bytes);
  else if (ends_with(g->path, ".npy") || ends_with(g->path, ".npz"))
    status = tnrt_fail(&p->message, TNRT_BAD_INPUT, "does not begin as its name says");
  else
    g->is_raw = true;
  if (status != TNRT_OK) {
    tnrt_message inner = p->message;
    return tnrt_fail(&p->message, status, "input '%s': %.200s: %.250s", port->name, g->path, inner.text);
  }
  return TNRT_OK;
}

/* ---- sizes of inputs without a header ---- */

/* Every symbol that a file's shape tells, unless --dim did. */
static void learn_symbols(tnrt_program *p) {
  for (uint32_t s = 0; s < p->model->n_symbols; s++) {
    const tnrt_symbol *symbol = &p->model->symbols[s];
    const tnrt_given *g = symbol->input < p->model->n_inputs ? &p->given[symbol->input] : NULL;
    if (p->symbols[s] < 0 && g && g->path && !g->is_raw && symbol->axis < g->array.ndim)
      p->symbols[s] = g->array.extents[symbol->axis];
  }
}

/* The one symbol of this input that is still unknown; -1 none, -2 several. */
static int64_t unknown_symbol(const tnrt_program *p, uint32_t input) {
  int64_t found = -1;
  for (uint32_t s = 0; s < p->model->n_symbols; s++)
    if (p->symbols[s] < 0 && p->model->symbols[s].input == input) found = found == -1 ? (int64_t)s : -2;
  return found;
}

static tnrt_status size_raw(tnrt_program *p, uint32_t input) {
  tnrt_given *g = &p->given[input];
  const tnrt_port *port = &p->model->inputs[input];
  int64_t s = unknown_symbol(p, input), bytes = -1;
  if (s == -2)
    return tnrt_fail(&p->message, TNRT_BAD_INPUT, "input '%s': a raw file does not tell all sizes of %s; give --dim",
                     port->name, port->shape);
  g->array = (tnrt_array){.dtype = port->dtype, .ndim = port->ndim, .data = g->file, .bytes = (int64_t)g->file_bytes};
  if (s >= 0) {
    p->symbols[s] = 1;
    if (tnrt_input_extents(p->model, input, p->symbols, g->array.extents))
      bytes = tnrt_bytes_of(port->dtype, port->ndim, g->array.extents);
    p->symbols[s] = bytes > 0 ? (int64_t)g->file_bytes / bytes : 1;
  }
  bytes = -1;
  if (tnrt_input_extents(p->model, input, p->symbols, g->array.extents))
    bytes = tnrt_bytes_of(port->dtype, port->ndim, g->array.extents);
  if (bytes != (int64_t)g->file_bytes)
    return tnrt_fail(&p->message, TNRT_BAD_SHAPE, "input '%s': %s: %s of %s does not fit a raw file of %zu bytes",
                     port->name, g->path, port->shape, tnrt_dtype_name(port->dtype), g->file_bytes);
  return TNRT_OK;
}

/* ---- made-up inputs ---- */

static uint64_t next_random(uint64_t *state) {
  *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
  uint64_t z = *state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* Floats in [-1, 1), integers and booleans 0 or 1, so that indices stay inside any tensor; other types' bits are zero.
 */
static void invent_values(tnrt_array *a, uint64_t seed) {
  int64_t count = a->bytes / tnrt_dtype_find(a->dtype)->bytes;
  bool is_integer = a->dtype >= TNRT_I64 && a->dtype < TNRT_STR;
  memset(a->data, 0, (size_t)a->bytes);
  for (int64_t i = 0; i < count; i++) {
    uint64_t r = next_random(&seed);
    double unit = (double)(r >> 11) * 0x1p-52 - 1;
    float single = (float)unit;
    if (a->dtype == TNRT_F64) memcpy(a->data + 8 * i, &unit, 8);
    if (a->dtype == TNRT_F32) memcpy(a->data + 4 * i, &single, 4);
    if (a->dtype == TNRT_BF16) memcpy(a->data + 2 * i, (const uint8_t *)&single + 2, 2);
    if (a->dtype == TNRT_F16) { /* sign and ten bits of mantissa under the exponent of [0.5, 1) */
      uint16_t half = (uint16_t)((r & 0x8000) | 14u << 10 | (r >> 20 & 0x3ff));
      memcpy(a->data + 2 * i, &half, 2);
    }
    if (is_integer) a->data[i * (a->bytes / count)] = (uint8_t)(r >> 63);
  }
}

static tnrt_status invent(tnrt_program *p, uint32_t input) {
  tnrt_given *g = &p->given[input];
  const tnrt_port *port = &p->model->inputs[input];
  g->array = (tnrt_array){.dtype = port->dtype, .ndim = port->ndim, .bytes = -1};
  if (tnrt_input_extents(p->model, input, p->symbols, g->array.extents))
    g->array.bytes = tnrt_bytes_of(port->dtype, port->ndim, g->array.extents);
  if (g->array.bytes < 0)
    return tnrt_fail(&p->message, TNRT_BAD_SHAPE, "input '%s': %s cannot be computed; give --input or --dim",
                     port->name, port->shape);
  g->array.data = g->array.owned = p->alloc->get(p->alloc->user, (size_t)g->array.bytes, 64);
  if (!g->array.data)
    return tnrt_fail(&p->message, TNRT_NO_MEMORY, "no memory for input '%s' of %lld bytes", port->name,
                     (long long)g->array.bytes);
  invent_values(&g->array, input + 1);
  return TNRT_OK;
}

/* ---- all together ---- */

/* Index of the input a pair means: by name, else by position. -1: none. */
static int64_t find_input(const tnrt_program *p, const tnrt_pair *pair) {
  for (uint32_t i = 0; i < p->model->n_inputs; i++)
    if (strlen(p->model->inputs[i].name) == pair->name_bytes &&
        memcmp(p->model->inputs[i].name, pair->name, pair->name_bytes) == 0)
      return i;
  int64_t index = 0;
  for (size_t i = 0; i < pair->name_bytes; i++) {
    if (pair->name[i] < '0' || pair->name[i] > '9' || index > 100000000) return -1;
    index = 10 * index + (pair->name[i] - '0');
  }
  return pair->name_bytes && index < p->model->n_inputs ? index : -1;
}

static tnrt_status assign_inputs(tnrt_program *p) {
  for (uint32_t i = 0; i < p->options->n_inputs; i++) {
    const tnrt_pair *pair = &p->options->inputs[i];
    if (!pair->name && p->model->n_inputs != 1)
      return tnrt_fail(&p->message, TNRT_BAD_INPUT, "--input: expected NAME=FILE, found '%s'", pair->value);
    int64_t index = pair->name ? find_input(p, pair) : 0;
    if (index < 0)
      return tnrt_fail(&p->message, TNRT_BAD_INPUT, "the model has no input '%.*s' (see --help)", (int)pair->name_bytes,
                       pair->name);
    if (p->given[index].path)
      return tnrt_fail(&p->message, TNRT_BAD_INPUT, "input '%s' is given twice", p->model->inputs[index].name);
    p->given[index].path = pair->value;
  }
  return TNRT_OK;
}

static tnrt_status report_missing(tnrt_program *p) {
  char names[300] = "";
  uint32_t n = 0;
  for (uint32_t i = 0; i < p->model->n_inputs; i++) {
    if (p->given[i].path) continue;
    size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s'%s'", n ? ", " : "", p->model->inputs[i].name);
    n++;
  }
  return n ? tnrt_fail(&p->message, TNRT_BAD_INPUT, "missing %s %s", n == 1 ? "input" : "inputs", names) : TNRT_OK;
}

static tnrt_status finish_input(tnrt_program *p, uint32_t i) {
  const tnrt_port *port = &p->model->inputs[i];
  tnrt_given *g = &p->given[i];
  char who[300];
  tnrt_status status = TNRT_OK;
  if (!g->path) status = invent(p, i);
  if (g->is_raw) status = size_raw(p, i);
  snprintf(who, sizeof who, "input '%s'", port->name);
  if (status == TNRT_OK) status = tnrt_array_become(&p->message, who, &g->array, port->dtype);
  if (status != TNRT_OK) return status;
  const tnrt_dtype_info *info = tnrt_dtype_find(port->dtype);
  p->inputs[i] = (tnrt_tensor){.data = g->array.data,
                               .device_type = 1,
                               .ndim = (int32_t)g->array.ndim,
                               .dtype_code = info->dl_code,
                               .dtype_bits = (uint8_t)(8 * info->bytes),
                               .dtype_lanes = 1,
                               .shape = g->array.extents};
  return TNRT_OK;
}

tnrt_status tnrt_program_load(tnrt_program *p, bool invent_missing) {
  tnrt_status status = assign_inputs(p);
  if (status == TNRT_OK && !invent_missing) status = report_missing(p);
  for (uint32_t i = 0; i < p->model->n_inputs && status == TNRT_OK; i++)
    if (p->given[i].path) status = read_given(p, i);
  learn_symbols(p);
  for (uint32_t s = 0; s < p->model->n_symbols && invent_missing; s++) {
    const tnrt_symbol *symbol = &p->model->symbols[s];
    if (p->symbols[s] < 0 && !p->given[symbol->input].is_raw) p->symbols[s] = symbol->lo > 1 ? symbol->lo : 1;
  }
  for (uint32_t i = 0; i < p->model->n_inputs && status == TNRT_OK; i++) status = finish_input(p, i);
  return status;
}

tnrt_status tnrt_program_run(tnrt_program *p) {
  for (uint32_t i = 0; i < p->model->n_outputs; i++) p->outputs[i].data = NULL;
  tnrt_status status = tnrt_ctx_run(p->ctx, p->inputs, p->outputs);
  return status == TNRT_OK ? status : tnrt_fail(&p->message, status, "%s", tnrt_ctx_message(p->ctx));
}
