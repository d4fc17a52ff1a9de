/* Extents of an input from its port's text "[B,3,n + 1]": each entry is a number or the name of a symbol. */
#include <string.h>

#include "runtime/core/runtime.h"

static int entry(const tnrt_model *model, const char *text, size_t length, const int64_t *symbols, int64_t *out) {
  for (uint32_t s = 0; s < model->n_symbols; s++) {
    const char *name = model->symbols[s].name;
    if (strlen(name) == length && memcmp(name, text, length) == 0) {
      *out = symbols[s];
      return 1;
    }
  }
  int64_t value = 0;
  for (size_t i = 0; i < length; i++)
    if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, (int64_t)10, &value) ||
        __builtin_add_overflow(value, (int64_t)(text[i] - '0'), &value))
      return 0;
  *out = value;
  return length > 0;
}

/* Length of the entry at text: up to the next ',' or the closing ']', but a symbol's name may hold either, so the
 * longest symbol that fits wins. */
static size_t entry_length(const tnrt_model *model, const char *text) {
  size_t best = strcspn(text, ",]");
  for (uint32_t s = 0; s < model->n_symbols; s++) {
    size_t n = strlen(model->symbols[s].name);
    if (n > best && strncmp(model->symbols[s].name, text, n) == 0 && (text[n] == ',' || text[n] == ']')) best = n;
  }
  return best;
}

int tnrt_input_extents(const tnrt_model *model, uint32_t input, const int64_t *symbols, int64_t *out) {
  const tnrt_port *port = &model->inputs[input];
  const char *at = port->shape;
  if (*at != '[') return 0;
  at++;
  for (uint32_t i = 0; i < port->ndim; i++) {
    size_t length = entry_length(model, at);
    if (!entry(model, at, length, symbols, &out[i])) return 0;
    at += length;
    if (*at != (i + 1 < port->ndim ? ',' : ']')) return 0;
    at++;
    while (*at == ' ') at++;
  }
  return 1;
}
