/* Code for several processors in one program: which of it runs here. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/cpu.h"
#include "runtime/core/runtime.h"

/* Appends to message, cutting what does not fit. */
static void add(char *message, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(char *message, size_t capacity, const char *format, ...) {
  size_t used = strlen(message);
  va_list args;
  va_start(args, format);
  if (used + 1 < capacity) vsnprintf(message + used, capacity - used, format, args);
  va_end(args);
}

static bool suits(const tnrt_variants *v, uint32_t i, char *message, size_t capacity) {
  const char *missing;
  size_t length;
  if (tnrt_cpu_offers(v->models[i]->cpu_needs, &missing, &length)) return true;
  add(message, capacity, "; for %s it lacks '%.*s'", v->names[i], (int)length, missing);
  return false;
}

static int32_t forced(const tnrt_variants *v, const char *name, char *message, size_t capacity) {
  for (uint32_t i = 0; i < v->n; i++) {
    if (strcmp(v->names[i], name) != 0) continue;
    add(message, capacity, "this processor cannot run the code that TENON_CPU names");
    return suits(v, i, message, capacity) ? (int32_t)i : -(int32_t)TNRT_CPU;
  }
  add(message, capacity, "TENON_CPU: there is no code for '%.100s', only for", name);
  for (uint32_t i = 0; i < v->n; i++) add(message, capacity, "%s %s", i ? "," : "", v->names[i]);
  return -(int32_t)TNRT_BAD_INPUT;
}

int32_t tnrt_variants_choose(const tnrt_variants *v, char *message, size_t capacity) {
  char text[256] = "";
  const char *name = getenv("TENON_CPU");
  int32_t chosen = -(int32_t)TNRT_CPU;
  if (name && *name) {
    chosen = forced(v, name, text, sizeof text);
  } else {
    add(text, sizeof text, "this processor is none that the model was compiled for");
    for (uint32_t i = 0; i < v->n && chosen < 0; i++)
      if (suits(v, i, text, sizeof text)) chosen = (int32_t)i;
  }
  if (chosen < 0 && capacity > 0) snprintf(message, capacity, "%s", text);
  return chosen;
}
