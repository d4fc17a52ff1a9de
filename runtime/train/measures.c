/* Metrics; see measures.h. */
#include "runtime/train/measures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/train/memory.h"
#include "runtime/train/tree.h"

static bool take_rows(tnrt_tally *t) {
  size_t rows = (size_t)t->room * t->n_auc, batch = (size_t)t->most * t->n_auc;
  if (t->n_auc == 0) return true;
  t->scores = tnrt_take(t->alloc, rows, sizeof *t->scores);
  t->labels = tnrt_take(t->alloc, rows, sizeof *t->labels);
  t->batch_scores = tnrt_take(t->alloc, batch, sizeof *t->batch_scores);
  t->batch_labels = tnrt_take(t->alloc, batch, sizeof *t->batch_labels);
  t->order = tnrt_take(t->alloc, (size_t)t->room, sizeof *t->order);
  return t->scores && t->labels && t->batch_scores && t->batch_labels && t->order;
}

/* Whole numbers, whose sums are exact in any order. */
static bool is_counted(const tnrt_metric *metric) {
  switch (metric->kind) {
    case TNRT_METRIC_CONFUSION:
    case TNRT_METRIC_ACCURACY:
    case TNRT_METRIC_PRECISION:
    case TNRT_METRIC_RECALL:
    case TNRT_METRIC_F1: return true;
    default: return false;
  }
}

/* What is added up in the order of the batches. */
static bool is_recorded(const tnrt_metric *metric) {
  return metric->kind != TNRT_METRIC_AUC && !is_counted(metric);
}

static bool take_records(tnrt_tally *t) {
  if (t->world->size == 1) return true;
  t->width = 1;
  for (uint32_t i = 0; i < t->plan->n_metrics; i++)
    if (is_recorded(&t->metrics[i])) t->width += t->metrics[i].count;
  t->records = tnrt_take(t->alloc, (size_t)((t->room + t->most - 1) / t->most), t->width * sizeof *t->records);
  t->counts = tnrt_take(t->alloc, (size_t)t->world->size, sizeof *t->counts);
  return t->records && t->counts;
}

tnrt_status tnrt_tally_open(tnrt_tally *t, tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                            tnrt_world *world, int64_t room, int64_t most) {
  *t = (tnrt_tally){.plan = plan, .metrics = tnrt_plan_metrics(plan), .alloc = alloc, .room = room, .most = most,
                    .world = world};
  if (room > UINT32_MAX) return tnrt_fail(message, TNRT_BAD_INPUT, "a split of more than 2^32 - 1 samples");
  t->sums = tnrt_take(t->alloc, plan->n_metrics, sizeof *t->sums);
  t->batch = tnrt_take(t->alloc, plan->n_metrics, sizeof *t->batch);
  bool ok = t->sums && t->batch;
  for (uint32_t i = 0; i < plan->n_metrics && ok; i++) {
    t->n_auc += t->metrics[i].kind == TNRT_METRIC_AUC;
    t->sums[i] = tnrt_take(t->alloc, t->metrics[i].count, sizeof(double));
    t->batch[i] = tnrt_take(t->alloc, t->metrics[i].count, sizeof(double));
    ok = t->sums[i] && t->batch[i];
  }
  ok = ok && take_rows(t) && take_records(t);
  return ok ? TNRT_OK : tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the metrics");
}

void tnrt_tally_close(tnrt_tally *t) {
  if (!t->plan) return;
  for (uint32_t i = 0; i < t->plan->n_metrics; i++) {
    if (t->sums && t->sums[i]) t->alloc->give(t->alloc->user, t->sums[i]);
    if (t->batch && t->batch[i]) t->alloc->give(t->alloc->user, t->batch[i]);
  }
  void *const blocks[] = {t->sums, t->batch, t->scores, t->labels, t->batch_scores, t->batch_labels, t->order,
                          t->records, t->counts};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) t->alloc->give(t->alloc->user, blocks[i]);
  *t = (tnrt_tally){0};
}

/* ---- sums ---- */

void tnrt_tally_start(tnrt_tally *t, int64_t first_batch) {
  for (uint32_t i = 0; i < t->plan->n_metrics; i++) memset(t->sums[i], 0, t->metrics[i].count * sizeof(double));
  t->n = 0;
  t->at = first_batch;
  t->first = first_batch * t->most;
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
  size_t to = (size_t)t->room * auc + (size_t)(t->first + t->n), from = (size_t)t->most * auc;
  memcpy(t->scores + to, t->batch_scores + from, (size_t)n * sizeof *t->scores);
  memcpy(t->labels + to, t->batch_labels + from, (size_t)n * sizeof *t->labels);
}

static void record(tnrt_tally *t, double loss) {
  double *to = t->records + (size_t)t->at++ * t->width;
  *to++ = loss;
  for (uint32_t i = 0; i < t->plan->n_metrics; i++) {
    if (!is_recorded(&t->metrics[i])) continue;
    for (uint32_t k = 0; k < t->metrics[i].count; k++) *to++ = t->batch[i][k];
  }
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
  if (t->records) record(t, loss * (double)n);
}

/* ---- between processes ---- */

/* A gather of rows, of which each batch brings `each` and the last one fewer. */
static tnrt_status gather(tnrt_tally *t, void *rows, int64_t n_batches, int64_t n_rows, int64_t each, size_t bytes) {
  for (int r = 0; r < t->world->size; r++) {
    int64_t first, end;
    tnrt_tree_share(n_batches, r, t->world->size, &first, &end);
    int64_t from = first * each, to = end * each < n_rows ? end * each : n_rows;
    t->counts[r] = to > from ? (int)((to - from) * (int64_t)bytes) : 0;
  }
  return tnrt_world_gather(t->world, rows, t->counts, "the measures of a split");
}

static void add_records(tnrt_tally *t, int64_t n_batches) {
  t->loss = 0;
  for (int64_t b = 0; b < n_batches; b++) {
    const double *from = t->records + (size_t)b * t->width;
    t->loss += *from++;
    for (uint32_t i = 0; i < t->plan->n_metrics; i++) {
      if (!is_recorded(&t->metrics[i])) continue;
      for (uint32_t k = 0; k < t->metrics[i].count; k++) t->sums[i][k] = (b ? t->sums[i][k] : 0) + *from++;
    }
  }
}

tnrt_status tnrt_tally_share(tnrt_tally *t, int64_t n_batches, int64_t n) {
  uint32_t auc = 0;
  if (t->world->size == 1) return TNRT_OK;
  tnrt_status status = gather(t, t->records, n_batches, n_batches, 1, t->width * sizeof *t->records);
  if (status == TNRT_OK) add_records(t, n_batches);
  for (uint32_t i = 0; i < t->plan->n_metrics && status == TNRT_OK; i++) {
    if (is_counted(&t->metrics[i]))
      status = tnrt_world_sum(t->world, t->sums[i], t->metrics[i].count, TNRT_COMM_F64, "the measures of a split");
    if (t->metrics[i].kind != TNRT_METRIC_AUC) continue;
    size_t row = (size_t)t->room * auc++;
    status = gather(t, t->scores + row, n_batches, n, t->most, sizeof *t->scores);
    if (status == TNRT_OK) status = gather(t, t->labels + row, n_batches, n, t->most, sizeof *t->labels);
  }
  t->first = 0;
  t->n = n;
  return status;
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
