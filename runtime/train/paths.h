/* The files that data are read from: a name with '*' in it that is no file means all those that it matches. */
#ifndef TNRT_TRAIN_PATHS_H
#define TNRT_TRAIN_PATHS_H

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

typedef struct tnrt_paths {
  char **items; /* in the order they were added in, those of one pattern by their bytes */
  uint32_t n, room;
} tnrt_paths;

/* A pattern that matches nothing is kept as it is. TNRT_NO_MEMORY is the only failure. */
tnrt_status tnrt_paths_add(tnrt_paths *paths, tnrt_message *message, const tnrt_alloc *alloc, const char *path);
void tnrt_paths_free(tnrt_paths *paths, const tnrt_alloc *alloc);

#endif
