/* See memory.h. */
#include "runtime/train/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void *tnrt_take(const tnrt_alloc *alloc, size_t n, size_t bytes) {
  size_t all;
  if (__builtin_mul_overflow(n, bytes, &all)) return NULL;
  void *memory = alloc->get(alloc->user, all ? all : 1, 64);
  if (memory) memset(memory, 0, all);
  return memory;
}

static void lower(uint64_t *least, uint64_t value) {
  if (value > 0 && value < *least) *least = value;
}

/* The number in a file of one; "max" and what cannot be read are none. */
static uint64_t number_in(const char *path) {
  char text[32] = "";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  return n > 0 && text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : 0;
}

/* How many processes of this training are on this machine, as their launcher tells them. */
static uint64_t n_processes(void) {
  static const char *const names[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const char *text = getenv(names[i]);
    uint64_t n = text ? strtoull(text, NULL, 10) : 0;
    if (n > 0) return n;
  }
  return 1;
}

uint64_t tnrt_memory_share(void) {
  static const int limits[] = {RLIMIT_AS, RLIMIT_DATA};
  uint64_t least = UINT64_MAX;
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) lower(&least, (uint64_t)pages * (uint64_t)page);
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    struct rlimit limit;
    if (getrlimit((unsigned)limits[i], &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) lower(&least, limit.rlim_cur);
  }
  lower(&least, number_in("/sys/fs/cgroup/memory.max"));
  lower(&least, number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  return least / 4 / n_processes();
}
