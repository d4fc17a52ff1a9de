/* A library to preload: counts calls of the allocator and writes the sum to the file MALLOC_COUNT_FILE at exit. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);

static atomic_long count;

void *malloc(size_t bytes) {
  atomic_fetch_add(&count, 1);
  return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes) {
  atomic_fetch_add(&count, 1);
  return __libc_calloc(n, bytes);
}

void *realloc(void *old, size_t bytes) {
  atomic_fetch_add(&count, 1);
  return __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t align, size_t bytes) {
  atomic_fetch_add(&count, 1);
  return __libc_memalign(align, bytes);
}

int posix_memalign(void **out, size_t align, size_t bytes) {
  atomic_fetch_add(&count, 1);
  *out = __libc_memalign(align, bytes);
  return *out ? 0 : ENOMEM;
}

__attribute__((destructor)) static void report(void) {
  long seen = atomic_load(&count);
  const char *path = getenv("MALLOC_COUNT_FILE");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%ld\n", seen);
  fclose(file);
}
