/* See trace.h. An operator is blamed when it writes something worse than all that it reads, NaN being worse than an
 * infinity: so masks of minus infinity are none of its faults. Where none is, the first that writes such a value. */
#include "runtime/train/trace.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/bind.h"
#include "runtime/train/memory.h"

enum { FINITE, INFINITE, NONE }; /* how bad a value is: a number, an infinity, no number */
enum { OF_FIELD, OF_WEIGHT, OF_STEP, OF_GRADIENT, OF_NOTHING };

/* Doubles, so that processes can exchange it. */
typedef struct finding {
  double what, index, position; /* OF_FIELD: the sample's */
  double value;                 /* OF_GRADIENT: the size of the largest element of all */
  double is_derivative;         /* OF_STEP: behind the loss */
} finding;

typedef struct watcher {
  tnrt_tracer tracer; /* first: what the code tells */
  const void *loss; /* where the loss is written */
  int read;         /* how bad the step's operands are */
  bool has_loss;
  finding blamed, first;
} watcher;

/* How bad the worst of n elements is, and that element. */
static int worst_of(uint32_t dtype, const void *data, int64_t n, double *out) {
  int worst = FINITE;
  for (int64_t i = 0; i < n && worst < NONE; i++) {
    double x = dtype == TNRT_F32 ? (double)((const float *)data)[i] : tnrt_element(dtype, data, i);
    int bad = isnan(x) ? NONE : isinf(x) ? INFINITE : FINITE;
    if (bad <= worst) continue;
    worst = bad;
    *out = x;
  }
  return worst;
}

static void see(tnrt_tracer *tracer, int64_t step, int64_t what, const void *data, int64_t n, int64_t dtype) {
  watcher *w = (watcher *)(void *)tracer;
  double value = 0;
  if (w->blamed.what < OF_NOTHING) return;
  if (what == TNRT_SEE_START) {
    w->read = (int)n;
    return;
  }
  int bad = worst_of((uint32_t)dtype, data, n, &value);
  if (what == TNRT_SEE_READ) {
    if (bad > w->read) w->read = bad;
    return;
  }
  finding found = {OF_STEP, (double)step, 0, value, w->has_loss};
  if (bad > w->read) w->blamed = found;
  if (bad > FINITE && w->first.what == OF_NOTHING) w->first = found;
  w->has_loss |= data == w->loss;
}

/* ---- what goes in ---- */

static finding find_input(const tnrt_session *s, tnrt_samples *samples, const int64_t *positions, int64_t n) {
  finding found = {.what = OF_NOTHING};
  double value = 0;
  for (uint32_t i = 0; i < s->plan->n_fields; i++) {
    const tnrt_field *field = &s->fields[i];
    const tnrt_draw draw = {s->seed, s->epoch, TNRT_SPLIT_TRAIN};
    bool is_float = field->dtype <= TNRT_BF16;
    for (int64_t k = 0; k < n && is_float; k++) {
      if (tnrt_samples_gather(samples, i, &draw, positions + k, k, 1, s->batch[i]) != TNRT_OK) continue;
      if (worst_of(field->dtype, s->batch[i], field->count, &value))
        return (finding){OF_FIELD, (double)i, (double)positions[k], value, 0};
    }
  }
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    const tnrt_weight *w = &s->weights[i];
    if (w->dtype <= TNRT_BF16 && worst_of(w->dtype, s->values[i], tnrt_count_of(w->ndim, w->extents), &value))
      return (finding){OF_WEIGHT, (double)i, 0, value, 0};
  }
  return found;
}

/* ---- the step once more ---- */

/* Memory for the results: the loss, running weights, gradients; freed by drop_results. */
static bool take_results(tnrt_session *s, float *loss, void **memory) {
  size_t bytes = 0;
  uint32_t out = 0;
  for (int pass = 0; pass < 2; pass++) {
    size_t at = 0;
    if (pass && !(*memory = tnrt_take(s->alloc, 1, bytes))) return false;
    s->outputs[out++] = loss;
    for (int trained = 0; trained < 2; trained++)
      for (uint32_t i = 0; i < s->plan->n_weights; i++) {
        const tnrt_weight *w = &s->weights[i];
        size_t least = (size_t)tnrt_count_of(w->ndim, w->extents) * sizeof(float);
        if (w->role != (trained ? TNRT_WEIGHT_TRAINED : TNRT_WEIGHT_RUNNING)) continue;
        if (pass) s->outputs[out++] = (uint8_t *)*memory + at;
        /* Gradients are f32, whatever the weight is kept in. */
        at += (w->bytes > least ? w->bytes : least) / 64 * 64 + 64;
      }
    bytes = at;
    out = pass ? out : 0;
  }
  return true;
}

/* Samples from .. from + n of the step. */
static bool run(tnrt_session *s, tnrt_samples *samples, tnrt_ctx *ctx, const int64_t *positions, int64_t from,
                int64_t n) {
  const tnrt_training_model *model = &s->program->trace;
  uint32_t in;
  s->noise[2] = (uint64_t)from;
  if (tnrt_bind_fields(s, model, samples, positions, from, n, &in) != TNRT_OK) return false;
  tnrt_bind_rates(s, tnrt_bind_weights(s, model, in));
  return tnrt_ctx_run_sized(ctx, &n, s->inputs, s->outputs) == TNRT_OK;
}

/* Gradients behind the running weights among the results: the weight whose has the largest element. */
static void find_largest(const tnrt_session *s, finding *found) {
  uint32_t out = 1;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) out += s->weights[i].role == TNRT_WEIGHT_RUNNING;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    const tnrt_weight *w = &s->weights[i];
    if (w->role != TNRT_WEIGHT_TRAINED) continue;
    const float *gradient = s->outputs[out++];
    for (int64_t k = 0; k < tnrt_count_of(w->ndim, w->extents); k++)
      if (found->what == OF_NOTHING || (double)fabsf(gradient[k]) > found->value)
        *found = (finding){OF_GRADIENT, (double)i, 0, (double)fabsf(gradient[k]), 0};
  }
}

/* Of this process's samples. */
static finding find_step(tnrt_session *s, tnrt_samples *samples, const int64_t *positions, int64_t n) {
  float loss;
  void *memory = NULL;
  tnrt_ctx *ctx = NULL;
  finding largest = {.what = OF_NOTHING};
  watcher w = {.tracer = {see}, .loss = &loss, .blamed = {.what = OF_NOTHING}, .first = {.what = OF_NOTHING}};
  int64_t unit = s->parts.unit ? s->parts.unit : n, first, end;
  bool ok = take_results(s, &loss, &memory) &&
            tnrt_ctx_create(&ctx, s->program->trace.model, s->alloc, NULL, 0) == TNRT_OK;
  if (ok) tnrt_ctx_set_tracer(ctx, &w.tracer);
  tnrt_tree_share((n + unit - 1) / unit, s->world->rank, s->world->size, &first, &end);
  for (int64_t i = first; ok && i < end && w.blamed.what == OF_NOTHING; i++) {
    int64_t from = i * unit;
    w.has_loss = false;
    ok = run(s, samples, ctx, positions, from, n - from < unit ? n - from : unit);
    if (ok) find_largest(s, &largest);
  }
  tnrt_ctx_destroy(ctx);
  if (memory) s->alloc->give(s->alloc->user, memory);
  if (w.blamed.what == OF_NOTHING) w.blamed = w.first;
  return w.blamed.what == OF_NOTHING && isfinite(s->loss) ? largest : w.blamed;
}

/* In the order of the model; of gradients the largest. */
static bool is_before(const finding *a, const finding *b) {
  if (a->what < b->what || a->what > b->what) return a->what < b->what;
  return a->what >= OF_GRADIENT ? a->value > b->value : a->index < b->index;
}

/* The first of all processes' findings. */
static void share(tnrt_session *s, finding *found) {
  int size = s->world->size;
  if (size == 1) return;
  finding *all = tnrt_take(s->alloc, (size_t)size, sizeof *all);
  int *counts = tnrt_take(s->alloc, (size_t)size, sizeof *counts);
  if (all && counts) {
    for (int i = 0; i < size; i++) counts[i] = (int)sizeof *all;
    all[s->world->rank] = *found;
    if (tnrt_world_gather(s->world, all, counts, "what lost a number") == TNRT_OK)
      for (int i = 0; i < size; i++)
        if (is_before(&all[i], found)) *found = all[i];
  }
  if (all) s->alloc->give(s->alloc->user, all);
  if (counts) s->alloc->give(s->alloc->user, counts);
}

static const char *value_text(double value) { return isnan(value) ? "NaN" : value < 0 ? "-inf" : "inf"; }

static void describe(const tnrt_session *s, tnrt_samples *samples, const finding *found, char *out, size_t bytes) {
  const char *value = value_text(found->value);
  char at[300];
  if (found->what <= OF_FIELD) {
    tnrt_samples_place(samples, (int64_t)found->position, at, sizeof at);
    snprintf(out, bytes, "; field '%.100s' of %s holds %s",
             tnrt_plan_text(s->plan, s->fields[(uint32_t)found->index].name), at, value);
  } else if (found->what <= OF_WEIGHT) {
    snprintf(out, bytes, "; the weight '%.200s' holds %s",
             tnrt_plan_text(s->plan, s->weights[(uint32_t)found->index].name), value);
  } else if (found->what >= OF_GRADIENT) {
    snprintf(out, bytes, "; its elements are, but no f32 holds its norm: the largest, %.3g, is of the weight '%.200s'",
             found->value, tnrt_plan_text(s->plan, s->weights[(uint32_t)found->index].name));
  } else {
    const tnrt_step *step = &s->program->trace.model->steps[(uint32_t)found->index];
    snprintf(out, bytes, "; first %s in %s%s", value, found->is_derivative > 0 ? "the derivative of " : "",
             step->place && *step->place ? step->place : step->name);
  }
}

void tnrt_trace_step(tnrt_session *s, tnrt_samples *samples, const int64_t *positions, int64_t n, char *out,
                     size_t bytes) {
  *out = 0;
  if (!s->program->trace.model) return;
  finding found = find_input(s, samples, positions, n);
  if (found.what == OF_NOTHING) found = find_step(s, samples, positions, n);
  share(s, &found);
  if (found.what < OF_NOTHING) describe(s, samples, &found, out, bytes);
}
