/* Metrics; see measures.h. */
#include "runtime/train/measures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *take(tnrt_tally *t, size_t n, size_t bytes) {
  size_t all;
  if (__builtin_mul_overflow(n, bytes, &all)) return NULL;
  void *memory = t->alloc->get(t->alloc->user, all ? all : 1, 64);
  if (memory) memset(memory, 0, all);
  return memory;
}

static bool take_rows(tnrt_tally *t) {
  size_t rows = (size_t)t->room * t->n_auc, batch = (size_t)t->most * t->n_auc;
  if (t->n_auc == 0) return true;
  t->scores = take(t, rows, sizeof *t->scores);
  t->labels = take(t, rows, sizeof *t->labels);
  t->batch_scores = take(t, batch, sizeof *t->batch_scores);
  t->batch_labels = take(t, batch, sizeof *t->batch_labels);
  t->order = take(t, (size_t)t->room, sizeof *t->order);
  return t->scores && t->labels && t->batch_scores && t->batch_labels && t->order;
}

tnrt_status tnrt_tally_open(tnrt_tally *t, tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                            int64_t room, int64_t most) {
  *t = (tnrt_tally){.plan = plan, .metrics = tnrt_plan_metrics(plan), .alloc = alloc, .room = room, .most = most};
  if (room > UINT32_MAX) return tnrt_fail(message, TNRT_BAD_INPUT, "a split of more than 2^32 - 1 samples");
  t->sums = take(t, plan->n_metrics, sizeof *t->sums);
  t->batch = take(t, plan->n_metrics, sizeof *t->batch);
  bool ok = t->sums && t->batch;
  for (uint32_t i = 0; i < plan->n_metrics && ok; i++) {
    t->n_auc += t->metrics[i].kind == TNRT_METRIC_AUC;
    t->sums[i] = take(t, t->metrics[i].count, sizeof(double));
    t->batch[i] = take(t, t->metrics[i].count, sizeof(double));
    ok = t->sums[i] && t->batch[i];
  }
  return ok && take_rows(t) ? TNRT_OK : tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the metrics");
}

void tnrt_tally_close(tnrt_tally *t) {
  if (!t->plan) return;
  for (uint32_t i = 0; i < t->plan->n_metrics; i++) {
    if (t->sums && t->sums[i]) t->alloc->give(t->alloc->user, t->sums[i]);
    if (t->batch && t->batch[i]) t->alloc->give(t->alloc->user, t->batch[i]);
  }
  void *const blocks[] = {t->sums, t->batch, t->scores, t->labels, t->batch_scores, t->batch_labels, t->order};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) t->alloc->give(t->alloc->user, blocks[i]);
  *t = (tnrt_tally){0};
}

/* ---- sums ---- */

void tnrt_tally_start(tnrt_tally *t) {
  for (uint32_t i = 0; i < t->plan->n_metrics; i++) memset(t->sums[i], 0, t->metrics[i].count * sizeof(double));
  t->n = 0;
  t->loss = 0;
}

uint32_t tnrt_tally_bind(tnrt_tally *t, void **outputs) {
  uint32_t n = 0, auc = 0;
  for (uint32_t i = 0; i < t->plan->n_metrics; i++) {
    if (t->metrics[i].kind == TNRT_METRIC_AUC) {
      outputs[n++] = t->batch_scores + (size_t)t->most * auc;
      outputs[n++] = t->batch_labels + (size_t)t->most * auc++;
    } else {
      outputs[n++] = t->batch[i];
    }
  }
  return n;
}

static void keep_rows(tnrt_tally *t, uint32_t auc, int64_t n) {
  size_t to = (size_t)t->room * auc + (size_t)t->n, from = (size_t)t->most * auc;
  memcpy(t->scores + to, t->batch_scores + from, (size_t)n * sizeof *t->scores);
  memcpy(t->labels + to, t->batch_labels + from, (size_t)n * sizeof *t->labels);
}

void tnrt_tally_add(tnrt_tally *t, double loss, int64_t n) {
  uint32_t auc = 0;
  for (uint32_t i = 0; i < t->plan->n_metrics; i++) {
    if (t->metrics[i].kind == TNRT_METRIC_AUC) keep_rows(t, auc++, n);
    else
      for (uint32_t k = 0; k < t->metrics[i].count; k++) t->sums[i][k] += t->batch[i][k];
  }
  t->loss += loss * (double)n;
  t->n += n;
}

/* ---- counts of classes ---- */

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

/* Of one class: true answers, all answers, all labels. */
static double of_class(double hits, double answers, double labels, uint32_t kind) {
  if (kind == TNRT_METRIC_PRECISION) return ratio(hits, answers);
  if (kind == TNRT_METRIC_RECALL) return ratio(hits, labels);
  return ratio(2 * hits, answers + labels); /* f1 */
}

double tnrt_measure_counts(const double *counts, uint32_t n, uint32_t kind, uint32_t average) {
  double hits = 0, all = 0, sum = 0;
  for (uint32_t i = 0; i < n * n; i++) all += counts[i];
  for (uint32_t c = 0; c < n; c++) hits += counts[c * n + c];
  if (kind == TNRT_METRIC_ACCURACY) return ratio(hits, all);
  if (average == TNRT_AVERAGE_MICRO) return of_class(hits, all, all, kind);
  for (uint32_t c = 0; c < n; c++) {
    double answers = 0, labels = 0;
    for (uint32_t k = 0; k < n; k++) {
      answers += counts[k * n + c];
      labels += counts[c * n + k];
    }
    double one = of_class(counts[c * n + c], answers, labels, kind);
    if (average == TNRT_AVERAGE_BINARY && c == 1) return one;
    sum += one;
  }
  return n ? sum / n : 0;
}

/* ---- area under the curve ---- */

static int by_score(const void *p, const void *q, void *user) {
  const float *scores = user;
  float a = scores[*(const uint32_t *)p], b = scores[*(const uint32_t *)q];
  return (a > b) - (a < b);
}

/* Mann and Whitney's U from ranks, equal scores taking their mean rank. */
double tnrt_measure_auc(const float *scores, const float *labels, uint32_t *order, int64_t n) {
  double ranks = 0, ones = 0;
  for (int64_t i = 0; i < n; i++) {
    if (isnan(scores[i])) return NAN;
    order[i] = (uint32_t)i;
  }
  qsort_r(order, (size_t)n, sizeof *order, by_score, (void *)(uintptr_t)scores);
  for (int64_t i = 0; i < n;) {
    int64_t end = i;
    double here = 0;
    for (; end < n && scores[order[end]] == scores[order[i]]; end++) here += labels[order[end]] > 0.5f;
    ranks += here * ((double)(i + 1) + (double)end) / 2;
    ones += here;
    i = end;
  }
  double zeros = (double)n - ones;
  return ones > 0 && zeros > 0 ? (ranks - ones * (ones + 1) / 2) / (ones * zeros) : NAN;
}

/* ---- results ---- */

static uint32_t root_of(uint32_t count) {
  uint32_t n = 0;
  while ((n + 1) * (n + 1) <= count) n++;
  return n;
}

static double finish_sums(const tnrt_metric *metric, const double *s) {
  switch (metric->kind) {
    case TNRT_METRIC_MEAN: return s[1] > 0 ? s[0] / s[1] : NAN;
    case TNRT_METRIC_ROOT: return s[1] > 0 ? sqrt(s[0] / s[1]) : NAN;
    case TNRT_METRIC_EXP: return s[1] > 0 ? exp(s[0] / s[1]) : NAN;
    case TNRT_METRIC_R2: {
      double around = s[0] > 0 ? s[2] - s[1] * s[1] / s[0] : 0;
      return around > 0 ? 1 - s[3] / around : NAN;
    }
    case TNRT_METRIC_CONFUSION: return NAN;
    default: return tnrt_measure_counts(s, root_of(metric->count), metric->kind, metric->average);
  }
}

void tnrt_tally_finish(tnrt_tally *t, double *out) {
  uint32_t auc = 0;
  out[0] = t->n > 0 ? t->loss / (double)t->n : NAN;
  for (uint32_t i = 0; i < t->plan->n_metrics; i++) {
    size_t row = (size_t)t->room * auc;
    if (t->metrics[i].kind != TNRT_METRIC_AUC) {
      out[i + 1] = t->n > 0 ? finish_sums(&t->metrics[i], t->sums[i]) : NAN;
      continue;
    }
    out[i + 1] = tnrt_measure_auc(t->scores + row, t->labels + row, t->order, t->n);
    auc++;
  }
}
