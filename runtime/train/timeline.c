/* See timeline.h. */
#include "runtime/train/timeline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/core/runtime.h"

struct tnrt_timeline {
  FILE *file;
  char path[1024];
  int rank;
};

static tnrt_status fail(const tnrt_timeline *t, tnrt_message *message) {
  return tnrt_fail(message, TNRT_IO, "cannot write %.300s: %s", t->path, strerror(errno));
}

tnrt_status tnrt_timeline_open(tnrt_timeline **out, tnrt_message *message, const char *path, int rank, int size) {
  *out = NULL;
  if (!path) return TNRT_OK;
  tnrt_timeline *t = tnrt_alloc_libc.get(NULL, sizeof *t, 64);
  if (!t) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for a trace");
  t->rank = rank;
  if (size > 1) snprintf(t->path, sizeof t->path, "%s.%d", path, rank);
  else snprintf(t->path, sizeof t->path, "%s", path);
  t->file = fopen(t->path, "we");
  if (t->file) {
    fprintf(t->file, "[{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": %d, \"args\": {\"name\": \"process %d\"}}",
            rank, rank);
    return *out = t, TNRT_OK;
  }
  tnrt_status status = fail(t, message);
  tnrt_alloc_libc.give(NULL, t);
  return status;
}

tnrt_status tnrt_timeline_close(tnrt_timeline *t, tnrt_message *message) {
  if (!t) return TNRT_OK;
  fputs("\n]\n", t->file);
  bool failed = ferror(t->file) != 0;
  if (fclose(t->file) != 0) failed = true;
  tnrt_status status = failed ? fail(t, message) : TNRT_OK;
  tnrt_alloc_libc.give(NULL, t);
  return status;
}

double tnrt_timeline_now(const tnrt_timeline *t) {
  struct timespec now;
  if (!t) return 0;
  clock_gettime(CLOCK_MONOTONIC, &now); /* one clock for all processes of a machine */
  return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

void tnrt_timeline_span(tnrt_timeline *t, const char *name, uint32_t row, int64_t step, double begin) {
  if (!t) return;
  fprintf(t->file, ",\n{\"name\": \"");
  for (; *name; name++) fprintf(t->file, *name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
  fprintf(t->file, "\", \"ph\": \"X\", \"pid\": %d, \"tid\": %u, \"ts\": %.3f, \"dur\": %.3f, \"args\": {\"step\": "
          "%lld}}", t->rank, row, begin, tnrt_timeline_now(t) - begin, (long long)step);
}
