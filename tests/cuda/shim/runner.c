/* Runs a program of `tenon --target=cuda --emit=cuda`, which is included here, with the shim. It has the command line
 * of a compiled program's `run`, so that scripts can drive both:
 *   runner run [--threads N] [--input NAME=FILE.npy]... --output-dir DIR
 * SHIM_SEED chooses the order of threads. Exit status 0; 1 with a message when inputs do not fit, an index points
 * outside its tensor, or threads diverge.
 *   UNIT: the file; TABLE: its table; WEIGHTS: the file of its constants. */
#include UNIT

#include <stdio.h>
#include <stdlib.h>

#include "runtime/core/array.h"
#include "runtime/core/file.h"

static const tn_table *const table = &TABLE;
static long long *symbols, *sizes;
static void **memory;        /* by buffer */
static tnrt_array *arrays;   /* by buffer: inputs */
static tnrt_message message;

static int fail(const char *what, const char *which) {
  fprintf(stderr, "error: %s%s%s\n", what, *which ? ": " : "", which);
  return 1;
}

/* Exactly as many bytes, so that an access beyond them is seen by a sanitizer; poisoned. */
static void *allocate(long long bytes) {
  void *data = malloc(bytes > 0 ? (size_t)bytes : 1);
  if (data) memset(data, 0xff, bytes > 0 ? (size_t)bytes : 1);
  return data;
}

static void *copy(const void *from, long long bytes) {
  void *data = allocate(bytes);
  if (data && bytes > 0) memcpy(data, from, (size_t)bytes);
  return data;
}

static uint32_t number_of_type(const char *name) {
  static const char *const names[] = {
#define X(enumerator, text, bits, class) text,
#include "ir/dtype.def"
#undef X
  };
  uint32_t i = 0;
  while (strcmp(names[i], name) != 0) i++;
  return i;
}

/* NAME=FILE, split at the last '='. */
static int read_input(char *argument) {
  char *file = strrchr(argument, '=');
  uint8_t *bytes;
  size_t n;
  if (!file) return fail("expected NAME=FILE", argument);
  *file++ = 0;
  for (int i = 0; i < table->n_buffers; i++) {
    const tn_table_buffer *buffer = &table->buffers[i];
    if (buffer->kind != TN_INPUT || strcmp(buffer->name, argument) != 0) continue;
    if (tnrt_file_read(&message, &tnrt_alloc_libc, file, &bytes, &n) != TNRT_OK ||
        tnrt_npy_read(&message, &tnrt_alloc_libc, bytes, n, &arrays[i]) != TNRT_OK ||
        tnrt_array_become(&message, argument, &arrays[i], number_of_type(buffer->type)) != TNRT_OK)
      return fail(message.text, "");
    return 0;
  }
  return fail("no input is called", argument);
}

static int bind_symbols(void) {
  for (int i = 0; i < table->n_symbols; i++) {
    const tn_table_symbol *symbol = &table->symbols[i];
    for (int k = 0; k < table->n_buffers; k++)
      if (table->buffers[k].kind == TN_INPUT && table->buffers[k].index == symbol->input &&
          symbol->axis < (int)arrays[k].ndim)
        symbols[i] = arrays[k].extents[symbol->axis];
    if (symbols[i] < symbol->least || symbols[i] > symbol->most) return fail("out of range", symbol->name);
  }
  return 0;
}

static int check_sizes(void) {
  if (!table->find_sizes(symbols, sizes)) return fail("sizes overflow", "");
  for (int i = 0; i < table->n_guards; i++) {
    const tn_table_guard *guard = &table->guards[i];
    long long p = sizes[guard->p], q = sizes[guard->q];
    if (guard->is_equal ? p != q : p > q) return fail("refused", guard->text);
  }
  for (int i = 0; i < table->n_buffers; i++) {
    const tn_table_buffer *buffer = &table->buffers[i];
    if (buffer->kind != TN_INPUT) continue;
    int same = arrays[i].data != NULL && (int)arrays[i].ndim == buffer->n_dims;
    for (int k = 0; same && k < buffer->n_dims; k++) same = arrays[i].extents[k] == sizes[buffer->dims[k]];
    if (!same) return fail("missing, or of other extents", buffer->name);
  }
  return 0;
}

static int place_buffers(void) {
  uint8_t *bytes;
  size_t n;
  if (tnrt_file_read(&message, &tnrt_alloc_libc, WEIGHTS, &bytes, &n) != TNRT_OK) return fail(message.text, "");
  if ((long long)n != table->weights) return fail("wrong size", WEIGHTS);
  char *weights = copy(bytes, table->weights), *arena = allocate(sizes[table->arena]);
  for (int i = 0; i < table->n_buffers; i++) {
    const tn_table_buffer *buffer = &table->buffers[i];
    switch (buffer->kind) {
      case TN_INPUT: memory[i] = copy(arrays[i].data, sizes[buffer->bytes]); break;
      case TN_OUTPUT: memory[i] = allocate(sizes[buffer->bytes]); break;
      case TN_CONST: memory[i] = weights + sizes[buffer->offset]; break;
      case TN_ARENA: memory[i] = arena + sizes[buffer->offset]; break;
    }
    if (!memory[i]) return fail("no memory", buffer->name);
  }
  return 0;
}

static int run_steps(uint64_t seed) {
  int status = 0;
  for (int i = 0; i < table->n_steps; i++) {
    const tn_table_step *step = &table->steps[i];
    void **pointers = calloc((size_t)step->n_args + 1, sizeof(*pointers));
    long long *values = calloc((size_t)step->n_symbols + 1, sizeof(*values));
    for (int k = 0; k < step->n_args; k++) pointers[k] = memory[step->args[k]];
    for (int k = 0; k < step->n_symbols; k++) values[k] = symbols[step->symbols[k]];
    const char *wrong = NULL;
    if (!step->kernel) memcpy(pointers[1], pointers[0], (size_t)sizes[table->buffers[step->args[0]].bytes]);
    else if (sizes[step->grid] > 0)
      wrong = shim_run(step->call, pointers, values, &status, sizes[step->grid], step->block, seed + (uint64_t)i);
    free(pointers);
    free(values);
    if (wrong) return fail(step->kernel, wrong);
    if (status) return fail(step->place, "an index points outside its tensor");
  }
  return 0;
}

static int write_outputs(const char *folder) {
  for (int i = 0; i < table->n_buffers; i++) {
    const tn_table_buffer *buffer = &table->buffers[i];
    char path[4096];
    int64_t extents[16];
    if (buffer->kind != TN_OUTPUT) continue;
    for (int k = 0; k < buffer->n_dims; k++) extents[k] = sizes[buffer->dims[k]];
    if (!tnrt_file_name(path, sizeof(path), folder, buffer->name)) return fail("path too long", folder);
    if (tnrt_file_write_npy(&message, path, number_of_type(buffer->type), (uint32_t)buffer->n_dims, extents,
                            memory[i]) != TNRT_OK)
      return fail(message.text, "");
  }
  return 0;
}

int main(int argc, char **argv) {
  const char *folder = ".", *seed = getenv("SHIM_SEED");
  symbols = calloc((size_t)table->n_symbols + 1, sizeof(*symbols));
  sizes = calloc((size_t)table->n_sizes + 1, sizeof(*sizes));
  memory = calloc((size_t)table->n_buffers + 1, sizeof(*memory));
  arrays = calloc((size_t)table->n_buffers + 1, sizeof(*arrays));
  for (int i = 2; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--input") == 0 && read_input(argv[i + 1])) return 1;
    if (strcmp(argv[i], "--output-dir") == 0) folder = argv[i + 1];
  }
  if (bind_symbols() || check_sizes() || place_buffers() ||
      run_steps(seed ? strtoull(seed, NULL, 10) : 0) || write_outputs(folder))
    return 1;
  return 0;
}
