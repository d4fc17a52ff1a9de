/* profile: the time of each step, what it does in it, and how near that is to what the machine can do. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/core/ctx.h"
#include "runtime/core/program.h"
#include "runtime/core/roofline.h"

enum { WARM_UPS = 2, RUNS = 10 };

typedef struct profile {
  const tnrt_model *model;
  double *us;       /* one a step, of one run, steps inside included */
  tnrt_cost *costs; /* one a step */
  bool has_costs;
  double n_threads, total_us;
  tnrt_roofline roofline;
} profile;

/* Of the fastest run; steps that hold others get the times of these too. */
static void take_times(profile *p, const int64_t *ns) {
  double total_us = 0;
  for (uint32_t i = 0; i < p->model->n_steps; i++) total_us += (double)ns[i] / 1e3;
  if (p->total_us > 0 && total_us >= p->total_us) return;
  p->total_us = total_us;
  for (uint32_t i = p->model->n_steps; i-- > 0;) {
    p->us[i] = (double)ns[i] / 1e3;
    for (uint32_t k = 0, n = p->model->steps[i].n_inside; k < n; k += 1 + p->model->steps[i + 1 + k].n_inside)
      p->us[i] += p->us[i + 1 + k];
  }
}

static bool is_known(const profile *p, uint32_t i) {
  return p->has_costs && p->costs[i].flops >= 0 && p->costs[i].bytes > 0 && p->us[i] > 0;
}

/* GFLOP/s, GB/s and percent of the roofline. */
static void rates(const profile *p, uint32_t i, double *out) {
  double flops = (double)p->costs[i].flops, bytes = (double)p->costs[i].bytes;
  out[0] = flops / p->us[i] / 1e3;
  out[1] = bytes / p->us[i] / 1e3;
  out[2] = 100e6 * tnrt_roofline_seconds(&p->roofline, p->n_threads, flops, bytes) / p->us[i];
}

static const char *title(const tnrt_step *step) { return step->place && *step->place ? step->place : step->name; }

static void print_table(const profile *p) {
  const tnrt_model *m = p->model;
  uint32_t ends[16], depth = 0;
  printf("%s: %.1f us in %u steps, %.0f thread%s\n", m->name, p->total_us, m->n_steps, p->n_threads,
         p->n_threads == 1 ? "" : "s");
  if (p->has_costs)
    printf("at best %.1f GFLOP/s (f32), %.1f GB/s in caches (%lld bytes), %.1f GB/s in memory\n",
           p->roofline.flops * p->n_threads / 1e9, p->roofline.cache_bytes / 1e9, (long long)p->roofline.cache_size,
           p->roofline.memory_bytes / 1e9);
  printf("%12s %6s %9s %8s %6s  step\n", "us", "%", "GFLOP/s", "GB/s", "roof%");
  for (uint32_t i = 0; i < m->n_steps; i++) {
    double r[3];
    while (depth > 0 && ends[depth - 1] <= i) depth--;
    printf("%12.3f %6.1f ", p->us[i], p->total_us > 0 ? 100 * p->us[i] / p->total_us : 0);
    if (is_known(p, i)) {
      rates(p, i, r);
      printf("%9.2f %8.2f %6.1f", r[0], r[1], r[2]);
    } else {
      printf("%9s %8s %6s", "-", "-", "-");
    }
    printf("  %*s%s", (int)(2 * depth), "", title(&m->steps[i]));
    if (title(&m->steps[i]) != m->steps[i].name) printf(" (%s)", m->steps[i].name);
    printf("\n");
    if (m->steps[i].n_inside && depth < 16) ends[depth++] = i + 1 + m->steps[i].n_inside;
  }
}

/* Text that stands between quotes in JSON. */
static void put_safe(FILE *to, const char *text) {
  for (const char *c = text ? text : ""; *c; c++)
    fputc(*c == '"' || *c == '\\' || (unsigned char)*c < 32 ? '_' : *c, to);
}

/* Chrome's trace event format: a complete event a step, times in microseconds; those inside follow each other in the
 * time of the one around them. */
static void print_trace(const profile *p, FILE *to) {
  const tnrt_model *m = p->model;
  double starts[16], ts = 0;
  uint32_t ends[16], depth = 0;
  fprintf(to, "{\"traceEvents\": [");
  for (uint32_t i = 0; i < m->n_steps; i++) {
    while (depth > 0 && ends[depth - 1] <= i) ts = starts[--depth];
    fprintf(to, "%s\n{\"name\": \"", i ? "," : "");
    put_safe(to, title(&m->steps[i]));
    fprintf(to, "\", \"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"ts\": %.3f, \"dur\": %.3f, \"args\": {\"kernel\": \"", ts,
            p->us[i]);
    put_safe(to, m->steps[i].name);
    fprintf(to, "\", \"strategy\": \"");
    put_safe(to, m->steps[i].strategy);
    fprintf(to, "\"");
    if (is_known(p, i)) {
      double r[3];
      rates(p, i, r);
      fprintf(to, ", \"flops\": %lld, \"bytes\": %lld, \"gflops\": %.3f, \"gbytes\": %.3f, \"roofline_percent\": %.2f",
              (long long)p->costs[i].flops, (long long)p->costs[i].bytes, r[0], r[1], r[2]);
    }
    fprintf(to, "}}");
    if (m->steps[i].n_inside && depth < 16) {
      ends[depth] = i + 1 + m->steps[i].n_inside;
      starts[depth++] = ts + p->us[i];
    } else {
      ts += p->us[i];
    }
  }
  fprintf(to, "\n]}\n");
}

static tnrt_status write_trace(tnrt_program *program, const profile *p) {
  const char *path = program->options->trace;
  bool to_stdout = strcmp(path, "-") == 0;
  FILE *to = to_stdout ? stdout : fopen(path, "w");
  if (to) print_trace(p, to);
  bool failed = !to || ferror(to) != 0;
  if (to && !to_stdout && fclose(to) != 0) failed = true;
  return failed ? tnrt_fail(&program->message, TNRT_IO, "cannot write %s: %s", path, strerror(errno)) : TNRT_OK;
}

/* The first runs warm caches up. */
static tnrt_status measure(tnrt_program *program, profile *p, int64_t *ns, size_t ns_bytes) {
  tnrt_status status = TNRT_OK;
  tnrt_ctx_set_profile(program->ctx, ns);
  for (int i = 0; i < WARM_UPS + RUNS && status == TNRT_OK; i++) {
    memset(ns, 0, ns_bytes);
    status = tnrt_program_run(program);
    if (status == TNRT_OK && i >= WARM_UPS) take_times(p, ns);
  }
  tnrt_ctx_set_profile(program->ctx, NULL);
  return status;
}

tnrt_status tnrt_verb_profile(tnrt_program *program) {
  const tnrt_model *m = program->model;
  const tnrt_alloc *alloc = program->alloc;
  tnrt_status status = tnrt_program_load(program, true);
  if (status != TNRT_OK) return status;
  profile p = {.model = m, .n_threads = (double)program->options->threads};
  size_t ns_bytes = ((size_t)m->n_steps + 1) * sizeof(int64_t);
  int64_t *ns = alloc->get(alloc->user, ns_bytes, 64);
  p.us = alloc->get(alloc->user, (m->n_steps + (size_t)1) * sizeof *p.us, 64);
  p.costs = alloc->get(alloc->user, (m->n_steps + (size_t)1) * sizeof *p.costs, 64);
  bool has_room = ns && p.us && p.costs;
  if (has_room && m->costs) has_room = p.has_costs = tnrt_roofline_measure(alloc, m->cpu_needs, &p.roofline);
  if (has_room) {
    status = measure(program, &p, ns, ns_bytes);
    if (status == TNRT_OK && p.has_costs) m->costs(program->ctx->symbols, p.costs);
    bool only_trace = program->options->trace && strcmp(program->options->trace, "-") == 0;
    if (status == TNRT_OK && !only_trace) print_table(&p);
    if (status == TNRT_OK && program->options->trace) status = write_trace(program, &p);
  } else {
    status = tnrt_fail(&program->message, TNRT_NO_MEMORY, "out of memory");
  }
  if (ns) alloc->give(alloc->user, ns);
  if (p.us) alloc->give(alloc->user, p.us);
  if (p.costs) alloc->give(alloc->user, p.costs);
  return status;
}
