/* The C library as an allocator: the only place of the runtime that calls it. */
#include <stdlib.h>

#include "runtime/core/runtime.h"

static void *libc_get(void *user, size_t bytes, size_t align) {
  (void)user;
  void *memory = NULL;
  if (align < sizeof(void *)) align = sizeof(void *);
  return posix_memalign(&memory, align, bytes ? bytes : 1) == 0 ? memory : NULL;
}

static void libc_give(void *user, void *memory) {
  (void)user;
  free(memory);
}

const tnrt_alloc tnrt_alloc_libc = {libc_get, libc_give, NULL};
