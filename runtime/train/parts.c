/* See parts.h. */
#include "runtime/train/parts.h"

#include <math.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/bind.h"
#include "runtime/train/memory.h"

enum {
  EIGHTHS = 8, /* parts of a batch, where the bits may not depend on the processes and `micro` says nothing */
  ALIGNED = 16 /* elements: tensors begin at multiples of 64 bytes */
};

int64_t tnrt_parts_unit(const tnrt_training *plan, const tnrt_world *world) {
  bool is_tree = plan->reproducible == TNRT_REPRODUCIBLE_WORLD;
  if (plan->micro == plan->batch && world->size == 1 && !is_tree) return 0;
  if (is_tree && plan->micro < plan->batch) return plan->micro;
  int64_t n = is_tree ? EIGHTHS : world->size, share = (plan->batch + n - 1) / n;
  return share < plan->micro ? share : plan->micro;
}

/* ---- memory ---- */

/* Elements that a weight takes in a sum: its gradient's, which are f32 whatever it is kept in. */
static size_t summed(const tnrt_weight *w) {
  return ((size_t)tnrt_count_of(w->ndim, w->extents) + ALIGNED - 1) / ALIGNED * ALIGNED;
}

static tnrt_status place_role(tnrt_session *s, uint32_t role, uint32_t *at) {
  tnrt_parts *p = &s->parts;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    const tnrt_weight *w = &s->weights[i];
    if (w->role != role) continue;
    bool is_kept_narrow = role == TNRT_WEIGHT_TRAINED && (w->dtype == TNRT_BF16 || w->dtype == TNRT_F16);
    if (w->dtype != TNRT_F32 && !is_kept_narrow)
      return tnrt_fail(s->message, TNRT_BAD_INPUT, "'%.200s' is %s: only f32 is summed over parts of a batch",
                       tnrt_plan_text(s->plan, w->name), tnrt_dtype_name(w->dtype));
    p->places[(*at)++] = p->count;
    p->count += summed(w);
  }
  return TNRT_OK;
}

uint64_t tnrt_parts_bytes(const tnrt_session *s) {
  uint64_t each = 0;
  int64_t unit = tnrt_parts_unit(s->plan, s->world);
  for (uint32_t i = 0; i < s->plan->n_weights && unit > 0; i++) {
    const tnrt_weight *w = &s->weights[i];
    bool is_summed = w->role == TNRT_WEIGHT_TRAINED || w->role == TNRT_WEIGHT_RUNNING;
    if (is_summed) each += summed(w);
  }
  if (s->plan->reproducible != TNRT_REPRODUCIBLE_WORLD) return 2 * each * sizeof(float);
  return unit > 0 ? tnrt_tree_buffers((s->plan->batch + unit - 1) / unit, s->world->size) * each * sizeof(float) : 0;
}

tnrt_status tnrt_parts_open(tnrt_session *s) {
  tnrt_parts *p = &s->parts;
  uint32_t at = 0;
  p->unit = tnrt_parts_unit(s->plan, s->world);
  if (p->unit == 0) return TNRT_OK;
  p->is_tree = s->plan->reproducible == TNRT_REPRODUCIBLE_WORLD;
  int64_t n_parts = (s->plan->batch + p->unit - 1) / p->unit;
  p->places = tnrt_take(s->alloc, s->plan->n_weights, sizeof *p->places);
  p->counts = tnrt_take(s->alloc, (size_t)s->world->size, sizeof *p->counts);
  p->losses = tnrt_take(s->alloc, (size_t)n_parts, sizeof *p->losses);
  if (!p->places || !p->counts || !p->losses) return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for gradients");
  tnrt_status status = place_role(s, TNRT_WEIGHT_TRAINED, &at);
  if (status == TNRT_OK) status = place_role(s, TNRT_WEIGHT_RUNNING, &at);
  if (status != TNRT_OK) return status;
  if (p->is_tree) return tnrt_tree_open(&p->tree, s->world, s->alloc, n_parts, p->count);
  p->part = tnrt_take(s->alloc, p->count, sizeof *p->part);
  p->sum = tnrt_take(s->alloc, p->count, sizeof *p->sum);
  return p->part && p->sum ? TNRT_OK : tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for gradients");
}

void tnrt_parts_close(tnrt_session *s) {
  tnrt_parts *p = &s->parts;
  tnrt_tree_close(&p->tree);
  void *const blocks[] = {p->places, p->counts, p->losses, p->part, p->sum};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) s->alloc->give(s->alloc->user, blocks[i]);
  *p = (tnrt_parts){0};
}

/* ---- one part ---- */

static uint32_t n_running(const tnrt_session *s) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) n += s->weights[i].role == TNRT_WEIGHT_RUNNING;
  return n;
}

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

/* The gradients of part i go to `to`; running weights there too (in_sum) or to their second buffers. */
static tnrt_status run_part(tnrt_session *s, const batch *b, int64_t i, float *to, bool in_sum, float *loss) {
  const tnrt_training_model *model = &s->program->grad;
  const tnrt_parts *p = &s->parts;
  int64_t from = i * p->unit, n = part_samples(s, b, i);
  s->noise[2] = (uint64_t)from;
  uint32_t in, out = 0, running = n_running(s);
  tnrt_status status = tnrt_bind_fields(s, model, b->samples, b->positions, from, n, &in);
  if (status != TNRT_OK) return status;
  tnrt_bind_rates(s, tnrt_bind_weights(s, model, in));
  s->outputs[out++] = loss;
  for (uint32_t k = 0; k < running && in_sum; k++) s->outputs[out++] = to + p->places[s->n_trained + k];
  if (!in_sum) out = tnrt_bind_others(s, TNRT_WEIGHT_RUNNING, out);
  for (uint32_t k = 0; k < s->n_trained; k++) s->outputs[out++] = to + p->places[k];
  return tnrt_bind_run(s, s->grad, n);
}

/* Running weights to the end of a sum, times share, or from there. */
static void move_running(tnrt_session *s, float *sum, float share, bool back) {
  uint32_t at = s->n_trained;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    if (s->weights[i].role != TNRT_WEIGHT_RUNNING) continue;
    float *place = sum + s->parts.places[at++], *value = (float *)(void *)s->values[i];
    size_t count = s->weights[i].bytes / sizeof *place;
    if (back) memcpy(value, place, s->weights[i].bytes);
    for (size_t k = 0; k < count && !back; k++) place[k] = share * value[k];
  }
}

/* ---- sums ---- */

/* One after the other; running weights go from each part to the next, and are a mean of those of the processes. */
static tnrt_status sum_chain(tnrt_session *s, const batch *b, float **out_sum, double *out_loss) {
  tnrt_parts *p = &s->parts;
  int64_t own = 0;
  *out_sum = p->sum;
  *out_loss = 0;
  if (b->first == b->end) memset(p->sum, 0, p->count * sizeof *p->sum);
  for (int64_t i = b->first; i < b->end; i++) {
    float loss, share = (float)part_samples(s, b, i) / (float)b->n;
    float *to = i == b->first ? p->sum : p->part;
    tnrt_status status = run_part(s, b, i, to, false, &loss);
    if (status != TNRT_OK) return status;
    tnrt_swap_weights(s, TNRT_WEIGHT_RUNNING);
    for (size_t k = 0; k < p->count; k++) p->sum[k] = to == p->sum ? share * to[k] : p->sum[k] + share * to[k];
    own += part_samples(s, b, i);
    *out_loss += (double)loss * (double)part_samples(s, b, i) / (double)b->n;
  }
  if (s->world->size == 1) return TNRT_OK;
  move_running(s, p->sum, (float)own / (float)b->n, false);
  tnrt_status status = tnrt_world_sum(s->world, p->sum, p->count, TNRT_COMM_F32, "the sum of gradients");
  if (status == TNRT_OK) move_running(s, p->sum, 1, true);
  return status;
}

static tnrt_status sum_tree(tnrt_session *s, const batch *b, float **out_sum, double *out_loss) {
  tnrt_parts *p = &s->parts;
  tnrt_tree_start(&p->tree, b->n_parts);
  for (int64_t i = b->first; i < b->end; i++) {
    float loss, share = (float)part_samples(s, b, i) / (float)b->n;
    tnrt_status status = run_part(s, b, i, tnrt_tree_leaf(&p->tree), true, &loss);
    if (status != TNRT_OK) return status;
    tnrt_tree_add(&p->tree, share);
    p->losses[i] = (double)loss * (double)part_samples(s, b, i);
  }
  tnrt_status status = tnrt_tree_finish(&p->tree, "the sum of gradients", out_sum);
  if (status != TNRT_OK) return status;
  for (int r = 0; r < s->world->size; r++) {
    int64_t first, end;
    tnrt_tree_share(b->n_parts, r, s->world->size, &first, &end);
    p->counts[r] = (int)((end - first) * (int64_t)sizeof *p->losses);
  }
  status = tnrt_world_gather(s->world, p->losses, p->counts, "the losses of a step");
  *out_loss = 0;
  for (int64_t i = 0; i < b->n_parts; i++) *out_loss += p->losses[i];
  *out_loss /= (double)b->n;
  if (status == TNRT_OK) move_running(s, *out_sum, 1, true);
  return status;
}

/* The losses and the requests to end of all processes. */
static tnrt_status exchange(tnrt_session *s, double *loss) {
  tnrt_parts *p = &s->parts;
  double shared[3] = {*loss, p->vote != 0, p->vote};
  p->voted = p->vote;
  if (s->world->size == 1) return TNRT_OK;
  tnrt_status status = tnrt_world_sum(s->world, shared, 3, TNRT_COMM_F64, "the loss of a step");
  if (!p->is_tree) *loss = shared[0];
  p->voted = shared[1] > 0 ? (int)(shared[2] / shared[1]) : 0; /* one signal, or something between two */
  return status;
}

tnrt_status tnrt_parts_step(tnrt_session *s, tnrt_samples *samples, const int64_t *positions, int64_t n,
                            float *loss, float *norm) {
  tnrt_parts *p = &s->parts;
  batch b = {.samples = samples, .positions = positions, .n = n, .n_parts = (n + p->unit - 1) / p->unit};
  float *sum;
  double mean;
  uint32_t in = 0;
  tnrt_tree_share(b.n_parts, s->world->rank, s->world->size, &b.first, &b.end);
  tnrt_status status = p->is_tree ? sum_tree(s, &b, &sum, &mean) : sum_chain(s, &b, &sum, &mean);
  if (status == TNRT_OK) status = exchange(s, &mean);
  if (status != TNRT_OK) return status;
  *loss = (float)mean;
  if (!isfinite(*loss)) return TNRT_OK;
  for (uint32_t i = 0; i < s->plan->n_weights; i++)
    if (s->weights[i].role == TNRT_WEIGHT_TRAINED) s->inputs[in++] = s->values[i];
  in = tnrt_bind_states(s, in);
  for (uint32_t i = 0; i < s->n_trained; i++) s->inputs[in++] = sum + p->places[i];
  s->inputs[in] = s->rates;
  tnrt_bind_updated(s, 0, norm, false);
  return tnrt_bind_run(s, s->update, 1);
}
