/* Weights that are statistics over the training split: of fields, and of values that the model computes from them. */
#include <math.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/bind.h"
#include "runtime/train/memory.h"
#include "runtime/train/plan.h"
#include "runtime/train/shards.h"

static tnrt_status no_memory(tnrt_session *s) {
  return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory to fit the statistics of the training split");
}

/* The numbers go into all weights that are statistics of `source`, which has count elements. */
static tnrt_status store(tnrt_session *s, uint32_t source, const double *mean, const double *variance, int64_t count) {
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    const tnrt_weight *w = &s->weights[i];
    const double *from = w->role == TNRT_WEIGHT_MEAN ? mean : variance;
    if (!tnrt_weight_is_statistic(w) || w->field != source) continue;
    if (count != tnrt_count_of(w->ndim, w->extents))
      return tnrt_fail(s->message, TNRT_BAD_INPUT, "'%.200s' has not the elements of what it is fitted on",
                       tnrt_plan_text(s->plan, w->name));
    size_t bytes = tnrt_dtype_find(w->dtype)->bytes;
    for (int64_t k = 0; k < count; k++) tnrt_element_store(w->dtype, from[k], s->values[i] + (size_t)k * bytes);
  }
  return TNRT_OK;
}

/* ---- what the model computes ---- */

typedef struct fit {
  tnrt_session *session;
  tnrt_ctx *ctx;
  uint32_t n;       /* results of the model */
  int64_t most;     /* samples at once */
  int64_t *counts;  /* n: elements of a sample of each */
  uint8_t **values; /* n: most samples of each */
  double *mean, *variance; /* of one at a time */
} fit;

/* Of a sample of result k: as many as its statistics have. */
static int64_t elements_of(const tnrt_session *s, uint32_t k) {
  for (uint32_t i = 0; i < s->plan->n_weights; i++)
    if (tnrt_weight_is_statistic(&s->weights[i]) && s->weights[i].field == s->plan->n_fields + k)
      return tnrt_count_of(s->weights[i].ndim, s->weights[i].extents);
  return 0;
}

static bool open_fit(fit *f) {
  const tnrt_model *model = f->session->program->fit.model;
  const tnrt_alloc *alloc = f->session->alloc;
  int64_t largest = 1;
  f->counts = tnrt_take(alloc, f->n, sizeof *f->counts);
  f->values = tnrt_take(alloc, f->n, sizeof *f->values);
  if (!f->counts || !f->values) return false;
  for (uint32_t k = 0; k < f->n; k++) {
    f->counts[k] = elements_of(f->session, k);
    if (f->counts[k] > largest) largest = f->counts[k];
    f->values[k] =
        tnrt_take(alloc, (size_t)f->most * (size_t)f->counts[k], tnrt_dtype_find(model->outputs[k].dtype)->bytes);
    if (!f->values[k]) return false;
  }
  f->mean = tnrt_take(alloc, 2 * (size_t)largest, sizeof *f->mean);
  f->variance = f->mean ? f->mean + largest : NULL;
  return f->mean != NULL;
}

static void close_fit(fit *f) {
  const tnrt_alloc *alloc = f->session->alloc;
  for (uint32_t k = 0; k < f->n && f->values; k++)
    if (f->values[k]) alloc->give(alloc->user, f->values[k]);
  void *const blocks[] = {f->counts, f->values, f->mean};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) alloc->give(alloc->user, blocks[i]);
  tnrt_ctx_destroy(f->ctx);
}

/* The model's samples from number `at` of the split on join result k's sums. */
static tnrt_status add_samples(fit *f, uint32_t k, int64_t at, int64_t n, tnrt_sums *sums) {
  uint32_t dtype = f->session->program->fit.model->outputs[k].dtype;
  int64_t count = f->counts[k];
  tnrt_status status = TNRT_OK;
  for (int64_t i = 0; i < n && status == TNRT_OK; i++) {
    for (int64_t e = 0; e < count; e++) f->mean[e] = tnrt_element(dtype, f->values[k], i * count + e);
    status = tnrt_sums_add(sums, f->session->message, at + i, f->mean, count);
  }
  return status;
}

static tnrt_status check_finite(fit *f, uint32_t k) {
  tnrt_session *s = f->session;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    const tnrt_weight *w = &s->weights[i];
    if (w->role != TNRT_WEIGHT_MEAN || w->field != s->plan->n_fields + k) continue;
    for (int64_t e = 0; e < f->counts[k]; e++)
      if (!isfinite(f->variance[e]))
        return tnrt_fail(s->message, TNRT_BAD_INPUT, "%.100s:%u: '%.200s': what it is fitted on is not finite for "
                         "every sample of the training split", tnrt_plan_text(s->plan, s->plan->source_text), w->line,
                         tnrt_plan_text(s->plan, w->name));
  }
  return TNRT_OK;
}

/* This process's share of the training split; the same samples go into the model together for any number of them. */
static tnrt_status add_share(fit *f, tnrt_samples *samples, uint32_t k, tnrt_sums *sums) {
  tnrt_session *s = f->session;
  int64_t begin = samples->first[TNRT_SPLIT_TRAIN], all = tnrt_samples_count(samples, TNRT_SPLIT_TRAIN), n, end, at;
  tnrt_status status = TNRT_OK;
  for (tnrt_sums_share(all, s->world->rank, s->world->size, &at, &end); at < end && status == TNRT_OK; at += n) {
    int64_t left = TNRT_SUMS_BLOCK - at % TNRT_SUMS_BLOCK;
    uint32_t in;
    if (left > end - at) left = end - at;
    n = left < f->most ? left : f->most;
    status = tnrt_bind_fields(s, &s->program->fit, samples, NULL, begin + at, n, &in);
    if (status != TNRT_OK) return status;
    tnrt_bind_weights(s, &s->program->fit, in);
    for (uint32_t i = 0; i < f->n; i++) s->outputs[i] = f->values[i];
    status = tnrt_bind_run(s, f->ctx, n);
    if (status == TNRT_OK) status = add_samples(f, k, at, n, sums);
  }
  return status;
}

/* Result k over the training split, with the statistics of those before it in place. */
static tnrt_status fit_result(fit *f, tnrt_samples *samples, uint32_t k) {
  tnrt_session *s = f->session;
  tnrt_sums sums = {.alloc = s->alloc};
  tnrt_status status = tnrt_shards_agree(s->world, s->message, add_share(f, samples, k, &sums));
  if (status == TNRT_OK) status = tnrt_sums_end(&sums, s->message, s->world);
  if (status == TNRT_OK)
    tnrt_sums_moments(&sums, tnrt_samples_count(samples, TNRT_SPLIT_TRAIN), f->mean, f->variance);
  tnrt_sums_free(&sums);
  if (status == TNRT_OK) status = check_finite(f, k);
  return status == TNRT_OK ? store(s, s->plan->n_fields + k, f->mean, f->variance, f->counts[k]) : status;
}

static tnrt_status fit_results(tnrt_session *s, tnrt_samples *samples) {
  const tnrt_model *model = s->program->fit.model;
  fit f = {.session = s, .n = model->n_outputs, .most = s->plan->micro};
  tnrt_status status = open_fit(&f) ? TNRT_OK : no_memory(s);
  if (status == TNRT_OK) {
    status = tnrt_ctx_create(&f.ctx, model, s->alloc, NULL, 0);
    if (status != TNRT_OK) tnrt_fail(s->message, status, "%s", tnrt_ctx_message(f.ctx));
  }
  status = tnrt_shards_agree(s->world, s->message, status);
  for (uint32_t k = 0; k < f.n && status == TNRT_OK; k++) status = fit_result(&f, samples, k);
  close_fit(&f);
  return status;
}

/* ---- fields ---- */

static tnrt_status fit_field(tnrt_session *s, tnrt_samples *samples, uint32_t field) {
  int64_t count = s->fields[field].count;
  double *mean = tnrt_take(s->alloc, 2 * (size_t)count, sizeof *mean);
  if (!mean) return no_memory(s);
  tnrt_status status = tnrt_samples_moments(samples, field, mean, mean + count);
  if (status == TNRT_OK) status = store(s, field, mean, mean + count, count);
  s->alloc->give(s->alloc->user, mean);
  return status;
}

tnrt_status tnrt_session_fit(tnrt_session *s, tnrt_samples *samples) {
  tnrt_status status = TNRT_OK;
  for (uint32_t field = 0; field < s->plan->n_fields && status == TNRT_OK; field++) {
    bool any = false;
    for (uint32_t i = 0; i < s->plan->n_weights; i++)
      any |= tnrt_weight_is_statistic(&s->weights[i]) && s->weights[i].field == field;
    if (any) status = fit_field(s, samples, field);
  }
  return status == TNRT_OK && s->program->fit.model ? fit_results(s, samples) : status;
}
