/* Conditions; see condition.h. */
#include "runtime/train/condition.h"

#include <stdio.h>

#include "runtime/term.h"
#include "runtime/train/schedule.h"

enum { MAX_DEPTH = 64 };

static const tnrt_term *terms_of(const tnrt_training *plan, const tnrt_condition *c) {
  return tnrt_plan_table(plan, c->terms);
}

uint32_t tnrt_condition_stalls(const tnrt_training *plan, const tnrt_condition *c) {
  uint32_t stalls = 0;
  for (uint32_t i = 0; i < c->n_terms; i++) stalls += terms_of(plan, c)[i].kind == TNRT_TERM_STALLED;
  return stalls;
}

uint32_t tnrt_conditions_stalls(const tnrt_training *plan, uint32_t conditions, uint32_t n) {
  const tnrt_condition *c = tnrt_plan_table(plan, conditions);
  uint32_t stalls = 0;
  for (uint32_t i = 0; i < n; i++) stalls += tnrt_condition_stalls(plan, &c[i]);
  return stalls;
}

static void watch(tnrt_stall *stall, const tnrt_term *term, double value) {
  if (stall->has_best == 0 || tnrt_is_better(value, stall->best, term->is_max != 0)) {
    *stall = (tnrt_stall){.best = value, .has_best = 1};
    return;
  }
  stall->count++;
}

void tnrt_conditions_watch(const tnrt_training *plan, uint32_t conditions, uint32_t n, const double *measures,
                           uint32_t split, tnrt_stall *stalls) {
  const tnrt_condition *c = tnrt_plan_table(plan, conditions);
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = 0; k < c[i].n_terms; k++) {
      const tnrt_term *term = &terms_of(plan, &c[i])[k];
      if (term->kind != TNRT_TERM_STALLED) continue;
      if (term->watch.split == split) watch(stalls, term, tnrt_measured(plan, measures, term->watch));
      stalls++;
    }
}

tnrt_status tnrt_condition_holds(const tnrt_training *plan, tnrt_message *message, const tnrt_condition *c,
                                 const double *measures, const tnrt_stall *stalls, bool *out) {
  double stack[MAX_DEPTH];
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->n_terms; i++) {
    const tnrt_term *term = &terms_of(plan, c)[i];
    bool is_unary = term->kind == TNRT_TERM_NEG || term->kind == TNRT_TERM_NOT;
    uint32_t takes = term->kind <= TNRT_TERM_STALLED ? 0 : is_unary ? 1 : 2;
    if (n < takes || n - takes == MAX_DEPTH)
      return tnrt_fail(message, TNRT_BAD_INPUT, "line %u: this condition is too long: %.200s", c->line,
                       tnrt_plan_text(plan, c->text));
    n -= takes;
    if (term->kind == TNRT_TERM_NUMBER) stack[n] = term->number;
    else if (term->kind == TNRT_TERM_MEASURE) stack[n] = tnrt_measured(plan, measures, term->watch);
    else if (term->kind == TNRT_TERM_STALLED) stack[n] = (stalls++)->count >= (double)term->patience;
    else if (term->kind == TNRT_TERM_NEG) stack[n] = -stack[n];
    else if (term->kind == TNRT_TERM_NOT) stack[n] = stack[n] == 0;
    else stack[n] = tnrt_term_apply(term->kind, stack[n], stack[n + 1]);
    n++;
  }
  *out = n == 1 && stack[0] != 0;
  return TNRT_OK;
}

void tnrt_condition_values(const tnrt_training *plan, const tnrt_condition *c, const double *measures, char *out,
                           size_t bytes) {
  size_t used = 0;
  *out = 0;
  for (uint32_t i = 0; i < c->n_terms; i++) {
    const tnrt_term *term = &terms_of(plan, c)[i];
    if (term->kind != TNRT_TERM_MEASURE && term->kind != TNRT_TERM_STALLED) continue;
    int n = snprintf(out + used, bytes - used, "%s%s.%s = %.6g", used ? ", " : "", tnrt_split_name(term->watch.split),
                     tnrt_measure_name(plan, term->watch.metric), tnrt_measured(plan, measures, term->watch));
    if (n < 0 || (size_t)n >= bytes - used) return;
    used += (size_t)n;
  }
}

bool tnrt_condition_needs(const tnrt_training *plan, const tnrt_condition *c, uint32_t split) {
  for (uint32_t i = 0; i < c->n_terms; i++) {
    const tnrt_term *term = &terms_of(plan, c)[i];
    bool measures = term->kind == TNRT_TERM_MEASURE || term->kind == TNRT_TERM_STALLED;
    if (measures && term->watch.split == split) return true;
  }
  return false;
}
