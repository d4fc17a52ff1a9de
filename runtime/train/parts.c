/* See parts.h. */
#include "runtime/train/parts.h"

#include <math.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/share.h"
#include "runtime/train/bind.h"
#include "runtime/train/memory.h"
#include "runtime/train/vector.h"


/* What processes share at each step, beside the losses of a tree's parts. */
enum {
  SHARED_LOSS,  /* without a tree: times its share of the batch */
  SHARED_VOTES, /* processes that ask for an end, */
  SHARED_VOTE,  /* and the sum of their signals */
  SHARED_VOID,  /* processes that have no samples */
  N_SHARED
};

void tnrt_parts_share(const tnrt_session *s, int64_t n, int64_t *out_first, int64_t *out_n) {
  int64_t unit = s->parts.unit, end;
  *out_first = 0;
  *out_n = n;
  if (unit == 0) return;
  tnrt_tree_share((n + unit - 1) / unit, s->world->rank, s->world->size, out_first, &end);
  *out_first *= unit;
  *out_n = (end * unit < n ? end * unit : n) - *out_first;
  if (*out_n < 0) *out_n = 0;
}

/* ---- memory ---- */

static tnrt_status no_memory(const tnrt_session *s) {
  return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for gradients");
}

uint64_t tnrt_parts_bytes(const tnrt_session *s) {
  uint64_t each = 0;
  int64_t unit = tnrt_share_unit(s->plan, s->world->size);
  for (uint32_t i = 0; i < s->plan->n_weights && unit > 0; i++) {
    const tnrt_weight *w = &s->weights[i];
    bool is_summed = w->role == TNRT_WEIGHT_TRAINED || w->role == TNRT_WEIGHT_RUNNING;
    if (is_summed) each += tnrt_buckets_room((size_t)tnrt_count_of(w->ndim, w->extents));
  }
  if (s->plan->reproducible != TNRT_REPRODUCIBLE_WORLD) return 2 * each * sizeof(float);
  return unit > 0 ? tnrt_share_buffers((s->plan->batch + unit - 1) / unit, s->world->size) * each * sizeof(float) : 0;
}

tnrt_status tnrt_parts_plan(tnrt_session *s) {
  tnrt_parts *p = &s->parts;
  p->unit = tnrt_share_unit(s->plan, s->world->size);
  if (p->unit == 0 || !s->program->grad.model) return TNRT_OK;
  p->is_tree = s->plan->reproducible == TNRT_REPRODUCIBLE_WORLD;
  tnrt_status status = tnrt_buckets_open(&p->buckets, s->message, s->alloc, s->plan, s->program->grad.model,
                                         s->world->size);
  return status == TNRT_OK ? tnrt_slices_plan(s) : status;
}

tnrt_status tnrt_parts_open(tnrt_session *s) {
  tnrt_parts *p = &s->parts;
  tnrt_status status = TNRT_OK;
  if (p->unit == 0) return TNRT_OK;
  int64_t n_parts = (s->plan->batch + p->unit - 1) / p->unit;
  p->shared = tnrt_take(s->alloc, N_SHARED + (size_t)n_parts, sizeof *p->shared);
  if (!p->shared) return no_memory(s);
  if (p->is_tree)
    status = tnrt_tree_open(&p->tree, s->world, s->alloc, n_parts, p->buckets.count);
  if (!p->is_tree) {
    p->part = tnrt_take(s->alloc, p->buckets.count, sizeof *p->part);
    p->sum = tnrt_take(s->alloc, p->buckets.count, sizeof *p->sum);
    if (!p->part || !p->sum) status = no_memory(s);
  }
  bool is_shared_out = p->slices.is_on && !p->is_tree;
  if (status == TNRT_OK)
    status = tnrt_exchange_open(&p->exchange, s->world, s->alloc, &p->buckets, p->is_tree ? &p->tree : NULL, p->sum,
                                is_shared_out);
  if (status == TNRT_OK) tnrt_slices_open(s);
  return status;
}

void tnrt_parts_close(tnrt_session *s) {
  tnrt_parts *p = &s->parts;
  tnrt_exchange_close(&p->exchange);
  tnrt_slices_close(s);
  tnrt_tree_close(&p->tree);
  tnrt_buckets_close(&p->buckets);
  void *const blocks[] = {p->shared, p->part, p->sum};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) s->alloc->give(s->alloc->user, blocks[i]);
  *p = (tnrt_parts){0};
}

/* ---- one part ---- */

typedef struct batch {
  tnrt_samples *samples;
  const int64_t *positions;
  int64_t n, n_parts;
  int64_t first, end; /* this process's parts */
} batch;

static int64_t part_samples(const tnrt_session *s, const batch *b, int64_t i) {
  int64_t from = i * s->parts.unit;
  return b->n - from < s->parts.unit ? b->n - from : s->parts.unit;
}

/* A pass over one part, whose gradients are taken one by one as they are there. */
typedef struct pass {
  tnrt_session *s;
  float *to;
  float share;
  bool is_first, is_last; /* of this process's parts */
  uint32_t next;          /* gradient in the order in which they come */
  tnrt_status status;
} pass;

/* Elements of what the part gave become part of the sum. */
static void take(pass *w, size_t place, size_t count) {
  tnrt_parts *p = &w->s->parts;
  if (p->is_tree) tnrt_tree_add_part(&p->tree, w->share, place, count);
  else if (!w->is_first) tnrt_vector_add_scaled(p->sum + place, w->to + place, w->share, count);
  else if (w->share != 1) tnrt_vector_scale(p->sum + place, w->share, count);
}

static void take_next(pass *w) {
  tnrt_parts *p = &w->s->parts;
  const tnrt_gradient *g = &p->buckets.order[w->next++];
  take(w, g->place, g->count);
  if (w->is_last && w->next == p->buckets.rows[g->bucket].end) tnrt_exchange_ready(&p->exchange);
}

/* Between two steps of the pass: gradients that are whole now. */
static void watch(tnrt_call *call, int64_t step) {
  pass *w = call->watcher;
  const tnrt_buckets *b = &w->s->parts.buckets;
  if (step == w->s->program->grad.model->n_steps) return;
  while (w->next < b->n_gradients && b->order[w->next].step == step) take_next(w);
  if (w->status == TNRT_OK) w->status = tnrt_exchange_progress(&w->s->parts.exchange);
}

/* Results: the loss, running weights to the sum of a tree or else to their second buffers, and the gradients. */
static void bind_results(tnrt_session *s, float *to, float *loss) {
  const tnrt_parts *p = &s->parts;
  const size_t *places = p->buckets.places;
  uint32_t out = 0, n = p->buckets.n_gradients;
  s->outputs[out++] = loss;
  if (!p->is_tree) out = tnrt_bind_others(s, TNRT_WEIGHT_RUNNING, out);
  for (uint32_t k = 0; k < p->buckets.n_running && p->is_tree; k++) s->outputs[out++] = to + places[n + k];
  for (uint32_t k = 0; k < n; k++) s->outputs[out++] = to + places[k];
}

static tnrt_status run_part(tnrt_session *s, const batch *b, int64_t i, float *out_loss) {
  const tnrt_training_model *model = &s->program->grad;
  tnrt_parts *p = &s->parts;
  int64_t from = i * p->unit, n = part_samples(s, b, i);
  pass w = {.s = s, .is_first = i == b->first, .is_last = i + 1 == b->end, .share = (float)n / (float)b->n};
  uint32_t in;
  w.to = p->is_tree ? tnrt_tree_leaf(&p->tree) : w.is_first ? p->sum : p->part;
  s->noise[2] = (uint64_t)from;
  tnrt_status status = tnrt_bind_fields(s, model, b->samples, b->positions, from, n, &in);
  if (status != TNRT_OK) return status;
  tnrt_bind_rates(s, tnrt_bind_weights(s, model, in));
  bind_results(s, w.to, out_loss);
  bool is_watched = w.is_last && s->world->size > 1 && s->plan->has_overlap && model->model->last_uses;
  if (is_watched) tnrt_ctx_watch(s->grad, watch, &w);
  double begin = tnrt_timeline_now(s->timeline);
  status = tnrt_bind_run(s, s->grad, n);
  tnrt_timeline_span(s->timeline, "forward and backward", 0, s->world->step, begin);
  tnrt_ctx_watch(s->grad, NULL, NULL);
  if (status == TNRT_OK) status = w.status;
  while (w.next < p->buckets.n_gradients) take_next(&w);
  const tnrt_bucket *running = &p->buckets.rows[p->buckets.n - 1];
  if (p->is_tree && running->is_running) take(&w, running->place, running->count);
  if (p->is_tree) tnrt_tree_added(&p->tree);
  else tnrt_swap_weights(s, TNRT_WEIGHT_RUNNING);
  return status;
}

/* Running weights to the end of a sum, times share; or from there. */
static void move_running(tnrt_session *s, float *sum, float share, bool back) {
  const tnrt_buckets *b = &s->parts.buckets;
  for (uint32_t i = 0; i < b->n_running; i++) {
    const tnrt_gradient *row = &b->order[b->n_gradients + i];
    float *place = sum + row->place, *value = (float *)(void *)s->values[row->weight];
    if (back) memcpy(value, place, row->count * sizeof *value);
    for (size_t k = 0; k < row->count && !back; k++) place[k] = share * value[k];
  }
}

/* ---- a step ---- */

/* This process's parts. Without a tree running weights go from each to the next, and become a mean of those of the
 * processes. */
static tnrt_status run_parts(tnrt_session *s, const batch *b) {
  tnrt_parts *p = &s->parts;
  int64_t own = 0;
  if (!p->is_tree && b->first == b->end) memset(p->sum, 0, p->buckets.count * sizeof *p->sum);
  for (int64_t i = b->first; i < b->end; i++) {
    float loss;
    tnrt_status status = run_part(s, b, i, &loss);
    if (status != TNRT_OK) return status;
    int64_t n = part_samples(s, b, i);
    if (p->is_tree) p->shared[N_SHARED + i] = (double)loss * (double)n;
    else p->shared[SHARED_LOSS] += (double)loss * (double)n / (double)b->n;
    own += n;
  }
  if (!p->is_tree && s->world->size > 1) move_running(s, p->sum, (float)own / (float)b->n, false);
  return TNRT_OK;
}

static double loss_of(const tnrt_parts *p, const batch *b) {
  double sum = 0;
  for (int64_t i = 0; i < b->n_parts && p->is_tree; i++) sum += p->shared[N_SHARED + i];
  return p->is_tree ? sum / (double)b->n : p->shared[SHARED_LOSS];
}

/* The sums over all processes. */
static tnrt_status sum_parts(tnrt_session *s, const batch *b, float **out_sum, float *loss) {
  tnrt_parts *p = &s->parts;
  size_t n_shared = N_SHARED + (p->is_tree ? (size_t)b->n_parts : 0);
  memset(p->shared, 0, n_shared * sizeof *p->shared);
  p->shared[SHARED_VOTES] = p->vote != 0;
  p->shared[SHARED_VOTE] = p->vote;
  p->shared[SHARED_VOID] = s->has_no_samples;
  if (p->is_tree) tnrt_tree_start(&p->tree, b->n_parts);
  tnrt_exchange_start(&p->exchange, p->shared, n_shared);
  p->exchange.timeline = s->timeline;
  tnrt_status status = s->has_no_samples ? TNRT_OK : run_parts(s, b);
  double begin = tnrt_timeline_now(s->timeline);
  if (status == TNRT_OK) status = tnrt_exchange_finish(&p->exchange);
  tnrt_timeline_span(s->timeline, "waiting for sums", 0, s->world->step, begin);
  *out_sum = p->is_tree ? tnrt_tree_sum(&p->tree) : p->sum;
  bool has_running = p->is_tree || s->world->size > 1;
  if (status == TNRT_OK && has_running && p->shared[SHARED_VOID] == 0) move_running(s, *out_sum, 1, true);
  p->is_void = p->shared[SHARED_VOID] > 0;
  double votes = p->shared[SHARED_VOTES];
  p->voted = votes > 0 ? (int)(p->shared[SHARED_VOTE] / votes) : 0; /* one signal, or something between two */
  *loss = (float)loss_of(p, b);
  return status;
}

/* All of all weights, in this process. */
static tnrt_status update(tnrt_session *s, float *sum, float *norm) {
  uint32_t in = 0;
  for (uint32_t i = 0; i < s->plan->n_weights; i++)
    if (s->weights[i].role == TNRT_WEIGHT_TRAINED) s->inputs[in++] = s->values[i];
  in = tnrt_bind_states(s, in);
  for (uint32_t i = 0; i < s->n_trained; i++) s->inputs[in++] = sum + s->parts.buckets.places[i];
  s->inputs[in] = s->rates;
  tnrt_bind_updated(s, 0, norm, false);
  return tnrt_bind_run(s, s->update, 1);
}

tnrt_status tnrt_parts_step(tnrt_session *s, tnrt_samples *samples, const int64_t *positions, int64_t n,
                            float *loss, float *norm) {
  tnrt_parts *p = &s->parts;
  batch b = {.samples = samples, .positions = positions, .n = n, .n_parts = (n + p->unit - 1) / p->unit};
  float *sum;
  p->slices.is_whole = false;
  tnrt_tree_share(b.n_parts, s->world->rank, s->world->size, &b.first, &b.end);
  tnrt_status status = sum_parts(s, &b, &sum, loss);
  if (status != TNRT_OK) return status;
  if (p->is_void || !isfinite(*loss)) return TNRT_OK;
  double begin = tnrt_timeline_now(s->timeline);
  status = p->slices.is_on ? tnrt_slices_update(s, sum, norm) : update(s, sum, norm);
  tnrt_timeline_span(s->timeline, "update", 0, s->world->step, begin);
  return status;
}
