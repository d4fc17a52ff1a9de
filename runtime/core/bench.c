/* bench: how long one run takes, as percentiles of wall time, and the median of processor time, which neighbours on the
 * machine disturb less. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/core/program.h"

enum { WARM_UPS = 3, FEWEST = 10, MOST = 100000 };

static int64_t read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int64_t percentile(const int64_t *sorted, int64_t n, int64_t percent) { return sorted[(n - 1) * percent / 100]; }

typedef struct timing {
  int64_t n;
  int64_t *wall_ns, *cpu_ns; /* sorted */
} timing;

/* One thread: its own time; several: the process's. */
static tnrt_status measure(tnrt_program *p, timing *t) {
  clockid_t cpu_clock = p->options->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID;
  for (int64_t i = 0; i < t->n; i++) {
    int64_t cpu = read_clock(cpu_clock), wall = read_clock(CLOCK_MONOTONIC);
    tnrt_status status = tnrt_program_run(p);
    t->wall_ns[i] = read_clock(CLOCK_MONOTONIC) - wall;
    t->cpu_ns[i] = read_clock(cpu_clock) - cpu;
    if (status != TNRT_OK) return status;
  }
  qsort(t->wall_ns, (size_t)t->n, sizeof *t->wall_ns, by_value);
  qsort(t->cpu_ns, (size_t)t->n, sizeof *t->cpu_ns, by_value);
  return TNRT_OK;
}

static void report(const tnrt_program *p, const timing *t) {
  const int64_t *w = t->wall_ns;
  if (!p->options->json) {
    printf("%s: %lld runs, %lld thread%s\n", p->model->name, (long long)t->n, (long long)p->options->threads,
           p->options->threads == 1 ? "" : "s");
    printf("median %.3f us, p10 %.3f us, p90 %.3f us, processor time %.3f us\n", (double)percentile(w, t->n, 50) / 1e3,
           (double)percentile(w, t->n, 10) / 1e3, (double)percentile(w, t->n, 90) / 1e3,
           (double)percentile(t->cpu_ns, t->n, 50) / 1e3);
    return;
  }
  printf("{\"model\": ");
  tnrt_json_string(p->model->name);
  printf(", \"threads\": %lld, \"iterations\": %lld, \"dims\": {", (long long)p->options->threads, (long long)t->n);
  for (uint32_t s = 0; s < p->model->n_symbols; s++) {
    if (s) printf(", ");
    tnrt_json_string(p->model->symbols[s].name);
    printf(": %lld", (long long)p->symbols[s]);
  }
  printf("}, \"median_ns\": %lld, \"p10_ns\": %lld, \"p90_ns\": %lld, \"min_ns\": %lld, \"cpu_median_ns\": %lld}\n",
         (long long)percentile(w, t->n, 50), (long long)percentile(w, t->n, 10), (long long)percentile(w, t->n, 90),
         (long long)w[0], (long long)percentile(t->cpu_ns, t->n, 50));
}

tnrt_status tnrt_verb_bench(tnrt_program *p) {
  tnrt_status status = tnrt_program_load(p, true);
  int64_t fastest = INT64_MAX;
  for (int i = 0; i < WARM_UPS && status == TNRT_OK; i++) {
    int64_t before = read_clock(CLOCK_MONOTONIC);
    status = tnrt_program_run(p);
    int64_t ns = read_clock(CLOCK_MONOTONIC) - before;
    if (ns < fastest) fastest = ns > 0 ? ns : 1;
  }
  if (status != TNRT_OK) return status;
  timing t = {.n = p->options->iterations};
  if (!t.n) {
    t.n = 1000000000 / fastest;
    if (t.n < FEWEST) t.n = FEWEST;
    if (t.n > MOST) t.n = MOST;
  }
  size_t bytes = (size_t)t.n * sizeof(int64_t);
  t.wall_ns = p->alloc->get(p->alloc->user, bytes, 64);
  t.cpu_ns = p->alloc->get(p->alloc->user, bytes, 64);
  if (t.wall_ns && t.cpu_ns)
    status = measure(p, &t);
  else
    status = tnrt_fail(&p->message, TNRT_NO_MEMORY, "no memory for %lld measurements", (long long)t.n);
  if (status == TNRT_OK) report(p, &t);
  if (t.wall_ns) p->alloc->give(p->alloc->user, t.wall_ns);
  if (t.cpu_ns) p->alloc->give(p->alloc->user, t.cpu_ns);
  return status;
}
