/* Runs a model that this program knows nothing about, out of a library that it opens:
 *   tenon -shared model.onnx -o model.so
 *   host ./model.so model_model [SIZE=N...] <inputs >outputs
 * The inputs are read one after the other as they lie in memory; the outputs are written in the same way, and what they
 * are to standard error. cc -std=c99 host.c -o host -ldl, with tenon.h or the header of any model. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tenon.h"

enum { MOST_PORTS = 16, MOST_DIMS = 16 };

static int refuse(const char *what, const char *why) {
  fprintf(stderr, "host: %s: %s\n", what, why);
  return 1;
}

/* The value that the command line gives a size; one that it does not name gets the least. */
static int64_t value_of(const tn_model *m, const char *name, char **sizes) {
  for (; *sizes; sizes++)
    if (strncmp(*sizes, name, strlen(name)) == 0 && (*sizes)[strlen(name)] == '=')
      return strtoll(*sizes + strlen(name) + 1, NULL, 10);
  for (uint32_t i = 0; i < m->n_symbols; i++)
    if (strcmp(m->symbols[i].name, name) == 0) return m->symbols[i].lo > 0 ? m->symbols[i].lo : 1;
  return 1;
}

static size_t bytes_of(const tn_tensor *t) {
  size_t n = t->dtype.bits / 8u;
  for (int32_t i = 0; i < t->ndim; i++) n *= (size_t)t->shape[i];
  return n;
}

static int read_input(const tn_model *m, const tn_port *port, char **sizes, int64_t *shape, tn_tensor *out) {
  tn_tensor t = {NULL, {1, 0}, (int32_t)port->ndim, port->dtype, shape, NULL, 0};
  for (uint32_t i = 0; i < port->ndim; i++)
    shape[i] = port->extents[i].text ? value_of(m, port->extents[i].text, sizes) : port->extents[i].value;
  t.data = malloc(bytes_of(&t) + 1);
  *out = t;
  return t.data && fread(t.data, 1, bytes_of(&t), stdin) == bytes_of(&t);
}

static int run(const tn_model *m, void *ctx, char **sizes) {
  tn_tensor in[MOST_PORTS], out[MOST_PORTS] = {{0}}; /* outputs without data become views into the context */
  int64_t shapes[MOST_PORTS][MOST_DIMS];
  uint32_t n_read = 0;
  while (n_read < m->n_inputs && read_input(m, &m->inputs[n_read], sizes, shapes[n_read], &in[n_read])) n_read++;
  int status = n_read < m->n_inputs ? refuse(m->inputs[n_read].name, "standard input is too short") : 0;
  if (status == 0 && m->run(ctx, in, out) != 0) status = refuse(m->name, m->message(ctx));
  for (uint32_t i = 0; i < m->n_outputs && status == 0; i++) {
    fprintf(stderr, "%s %s %s: %zu bytes\n", m->outputs[i].name, m->outputs[i].type, m->outputs[i].shape,
            bytes_of(&out[i]));
    fwrite(out[i].data, 1, bytes_of(&out[i]), stdout);
  }
  for (uint32_t i = 0; i < m->n_inputs && i <= n_read; i++) free(in[i].data);
  return status;
}

int main(int argc, char **argv) {
  if (argc < 3) return refuse("usage", "host LIBRARY SYMBOL [SIZE=N...]");
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  const tn_model *m = library ? (const tn_model *)dlsym(library, argv[2]) : NULL;
  if (!m) return refuse(argv[1], dlerror());
  if (m->size < sizeof *m || m->n_inputs > MOST_PORTS || m->n_outputs > MOST_PORTS)
    return refuse(argv[2], "is older than this program, or too large for it");
  void *ctx;
  int status = m->create(&ctx, NULL, NULL, 0, 1);
  status = status ? refuse(m->name, m->message(ctx)) : run(m, ctx, argv + 3);
  m->destroy(ctx);
  dlclose(library);
  return status;
}
