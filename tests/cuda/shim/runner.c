/* Runs a program of `tenon --target=cuda --emit=cuda`, which is included here, with the shim.
 *   runner WEIGHTS SEED OUTPUT_DIR [FILE:EXTENT,EXTENT,...]...
 * One argument an input, in order: raw elements and extents. Each output is written to OUTPUT_DIR/INDEX, and
 * "INDEX TYPE EXTENT,..." is printed. Exit status 0; 1 with a message when inputs do not fit or threads diverge; 3 when
 * an index pointed outside of its tensor. */
#include UNIT

#include <stdio.h>
#include <stdlib.h>

#define MAX_INPUTS 32

static const tn_table *const table = &TABLE;
static long long *symbols, *sizes;
static long long extents[MAX_INPUTS][16];
static int n_extents[MAX_INPUTS];
static void **memory; /* by buffer */

static int fail(const char *what, const char *which) {
  fprintf(stderr, "runner: %s%s%s\n", what, *which ? ": " : "", which);
  return 1;
}

/* Exactly as many bytes, so that an access beyond them is seen by a sanitizer; poisoned. */
static void *allocate(long long bytes) {
  void *data = malloc(bytes > 0 ? (size_t)bytes : 1);
  if (data) memset(data, 0xff, bytes > 0 ? (size_t)bytes : 1);
  return data;
}

static void *read_file(const char *path, long long bytes) {
  void *data = allocate(bytes);
  FILE *file = fopen(path, "rb");
  long long n = file && data ? (long long)fread(data, 1, (size_t)bytes, file) : -1;
  if (file && (n != bytes || fgetc(file) != EOF)) n = -1;
  if (file) fclose(file);
  return n == bytes ? data : NULL;
}

static void parse_extents(char *spec, int input) {
  char *colon = strrchr(spec, ':');
  *colon = 0;
  for (char *at = colon + 1; *at; at += *at == ',') extents[input][n_extents[input]++] = strtoll(at, &at, 10);
}

static int bind_sizes(void) {
  symbols = calloc((size_t)table->n_symbols + 1, sizeof(*symbols));
  sizes = calloc((size_t)table->n_sizes + 1, sizeof(*sizes));
  for (int i = 0; i < table->n_symbols; i++) {
    const tn_table_symbol *symbol = &table->symbols[i];
    symbols[i] = extents[symbol->input][symbol->axis];
    if (symbols[i] < symbol->least || symbols[i] > symbol->most) return fail("out of range", symbol->name);
  }
  if (!table->find_sizes(symbols, sizes)) return fail("sizes overflow", "");
  for (int i = 0; i < table->n_guards; i++) {
    const tn_table_guard *guard = &table->guards[i];
    long long p = sizes[guard->p], q = sizes[guard->q];
    if (guard->is_equal ? p != q : p > q) return fail("refused", guard->text);
  }
  for (int i = 0; i < table->n_buffers; i++) {
    const tn_table_buffer *buffer = &table->buffers[i];
    if (buffer->kind != TN_INPUT) continue;
    int same = n_extents[buffer->index] == buffer->n_dims;
    for (int k = 0; k < buffer->n_dims; k++) same &= extents[buffer->index][k] == sizes[buffer->dims[k]];
    if (!same) return fail("wrong extents", buffer->name);
  }
  return 0;
}

static int place_buffers(const char *weights_path, char *const *inputs) {
  char *weights = read_file(weights_path, table->weights), *arena = allocate(sizes[table->arena]);
  if (!weights) return fail("cannot read the weights", weights_path);
  memory = calloc((size_t)table->n_buffers, sizeof(*memory));
  for (int i = 0; i < table->n_buffers; i++) {
    const tn_table_buffer *buffer = &table->buffers[i];
    switch (buffer->kind) {
      case TN_INPUT: memory[i] = read_file(inputs[buffer->index], sizes[buffer->bytes]); break;
      case TN_OUTPUT: memory[i] = allocate(sizes[buffer->bytes]); break;
      case TN_CONST: memory[i] = weights + sizes[buffer->offset]; break;
      case TN_ARENA: memory[i] = arena + sizes[buffer->offset]; break;
    }
    if (!memory[i]) return fail("no such bytes", buffer->name);
  }
  return 0;
}

static int run_steps(uint64_t seed, int *status) {
  for (int i = 0; i < table->n_steps; i++) {
    const tn_table_step *step = &table->steps[i];
    void **pointers = calloc((size_t)step->n_args + 1, sizeof(*pointers));
    long long *values = calloc((size_t)step->n_symbols + 1, sizeof(*values));
    for (int k = 0; k < step->n_args; k++) pointers[k] = memory[step->args[k]];
    for (int k = 0; k < step->n_symbols; k++) values[k] = symbols[step->symbols[k]];
    const char *wrong = NULL;
    if (!step->kernel) memcpy(pointers[1], pointers[0], (size_t)sizes[table->buffers[step->args[0]].bytes]);
    else if (sizes[step->grid] > 0)
      wrong = shim_run(step->call, pointers, values, status, sizes[step->grid], step->block, seed + (uint64_t)i);
    free(pointers);
    free(values);
    if (wrong) return fail(step->kernel, wrong);
  }
  return 0;
}

static int write_outputs(const char *folder) {
  for (int i = 0; i < table->n_buffers; i++) {
    const tn_table_buffer *buffer = &table->buffers[i];
    char path[4096];
    if (buffer->kind != TN_OUTPUT) continue;
    snprintf(path, sizeof(path), "%s/%d", folder, buffer->index);
    FILE *file = fopen(path, "wb");
    size_t n = file ? fwrite(memory[i], 1, (size_t)sizes[buffer->bytes], file) : 0;
    if (!file || fclose(file) || n != (size_t)sizes[buffer->bytes]) return fail("cannot write", path);
    printf("%d %s ", buffer->index, buffer->type);
    for (int k = 0; k < buffer->n_dims; k++) printf("%s%lld", k ? "," : "", sizes[buffer->dims[k]]);
    printf("\n");
  }
  return 0;
}

int main(int argc, char **argv) {
  int status = 0;
  if (argc < 4 || argc - 4 > MAX_INPUTS) return fail("usage: runner WEIGHTS SEED OUTPUT_DIR [FILE:EXTENTS]...", "");
  for (int i = 4; i < argc; i++) parse_extents(argv[i], i - 4);
  if (bind_sizes() || place_buffers(argv[1], argv + 4) || run_steps(strtoull(argv[2], NULL, 10), &status) ||
      write_outputs(argv[3]))
    return 1;
  return status;
}
