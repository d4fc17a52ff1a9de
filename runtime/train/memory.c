/* See memory.h. */
#include "runtime/train/memory.h"

#include <string.h>

void *tnrt_take(const tnrt_alloc *alloc, size_t n, size_t bytes) {
  size_t all;
  if (__builtin_mul_overflow(n, bytes, &all)) return NULL;
  void *memory = alloc->get(alloc->user, all ? all : 1, 64);
  if (memory) memset(memory, 0, all);
  return memory;
}
