/* Steps and evaluations; see session.h. */
#include "runtime/train/session.h"

#include <math.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/initial.h"
#include "runtime/share.h"
#include "runtime/train/bind.h"
#include "runtime/train/generate.h"
#include "runtime/train/memory.h"

/* As PyTorch's GradScaler: the loss scale doubles after so many steps without overflow. */
enum { GROWTH_STEPS = 2000, ALIGNED = 64 };

/* ---- memory ---- */

static tnrt_status no_memory(tnrt_session *s) {
  return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for the weights and states");
}

static bool make_tables(tnrt_session *s, int64_t most) {
  const tnrt_training *p = s->plan;
  /* The most that any of the models takes or gives. */
  size_t n = p->n_fields + 2 * (size_t)p->n_weights + 2 * (size_t)tnrt_bind_n_states(s) + 2 * (size_t)p->n_metrics + 8;
  s->values = tnrt_take(s->alloc, p->n_weights, sizeof *s->values);
  s->others = tnrt_take(s->alloc, p->n_weights, sizeof *s->others);
  s->states = tnrt_take(s->alloc, tnrt_bind_n_states(s), sizeof *s->states);
  s->other_states = tnrt_take(s->alloc, tnrt_bind_n_states(s), sizeof *s->other_states);
  s->kept = tnrt_take(s->alloc, p->n_weights, sizeof *s->kept);
  s->inputs = tnrt_take(s->alloc, n, sizeof *s->inputs);
  s->outputs = tnrt_take(s->alloc, n, sizeof *s->outputs);
  s->batch = tnrt_take(s->alloc, p->n_fields, sizeof *s->batch);
  s->rates = tnrt_take(s->alloc, TNRT_RATES + p->n_groups, sizeof *s->rates);
  bool ok = s->values && s->others && s->states && s->other_states && s->kept && s->inputs && s->outputs && s->batch &&
            s->rates;
  for (uint32_t i = 0; i < p->n_fields && ok; i++) {
    size_t sample = (size_t)s->fields[i].count * tnrt_dtype_find(s->fields[i].dtype)->bytes;
    s->batch[i] = tnrt_take(s->alloc, (size_t)most, sample);
    ok = s->batch[i] != NULL;
  }
  return ok;
}

/* The next place in the persistent arena; only its size is counted while there is none. */
static void place(tnrt_session *s, uint8_t **out, uint64_t bytes) {
  if (s->persistent) *out = s->persistent + s->bytes.persistent;
  s->bytes.persistent += (bytes + ALIGNED - 1) / ALIGNED * ALIGNED;
}

/* first: the number of the result that is the next value of the weight's first state. */
static void place_states(tnrt_session *s, const tnrt_weight *w, uint32_t at, uint32_t first) {
  for (uint32_t k = 0; k < s->plan->n_states; k++, at++) {
    place(s, &s->states[at], tnrt_state_bytes(w));
    if (!tnrt_bind_is_in_place(s, first + k)) place(s, &s->other_states[at], tnrt_state_bytes(w));
  }
}

/* The row of all trained weights, and this process's states. */
static void place_slices(tnrt_session *s) {
  tnrt_slices *sh = &s->parts.slices;
  uint32_t trained = 0;
  place(s, &sh->weights, s->parts.buckets.n_summed * sh->bytes);
  for (uint32_t i = 0; i < s->plan->n_weights && sh->weights; i++)
    if (s->weights[i].role == TNRT_WEIGHT_TRAINED)
      s->values[i] = sh->weights + s->parts.buckets.places[trained++] * sh->bytes;
  for (uint32_t k = 0; k < s->plan->n_states; k++) place(s, &sh->states[k], sh->count * sizeof(float));
  for (uint32_t k = 0; k <= s->plan->n_states; k++) place(s, &sh->made[k], sh->most * sizeof(float));
}

/* Second buffers only where the result that is the next value needs one. */
static void place_weights(tnrt_session *s, tnrt_use use) {
  bool has_parts = tnrt_share_unit(s->plan, s->world->size) > 0, is_step = use == TNRT_USE_TRAIN;
  uint32_t n_running = 0, running = 0, trained = 0, first = tnrt_bind_first_next(s);
  for (uint32_t i = 0; i < s->plan->n_weights; i++) n_running += s->weights[i].role == TNRT_WEIGHT_RUNNING;
  if (has_parts) n_running = 0; /* grad gives them, and never in place */
  if (is_step && s->parts.slices.is_on) place_slices(s);
  for (uint32_t i = 0; i < s->plan->n_weights; i++) {
    const tnrt_weight *w = &s->weights[i];
    if (is_step && w->role == TNRT_WEIGHT_TRAINED && s->parts.slices.is_on) continue;
    place(s, &s->values[i], w->bytes);
    if (is_step && w->role == TNRT_WEIGHT_RUNNING) {
      if (has_parts || !tnrt_bind_is_in_place(s, first + running++)) place(s, &s->others[i], w->bytes);
      if (has_parts) place(s, &s->kept[i], w->bytes);
    }
    if (!is_step || w->role != TNRT_WEIGHT_TRAINED) continue;
    uint32_t next = first + n_running, state = next + s->n_trained + trained * s->plan->n_states;
    if (!tnrt_bind_is_in_place(s, next + trained)) place(s, &s->others[i], w->bytes);
    place_states(s, w, trained * s->plan->n_states, state);
    trained++;
  }
}

static bool make_weights(tnrt_session *s, tnrt_use use) {
  place_weights(s, use);
  s->persistent = tnrt_take(s->alloc, 1, s->bytes.persistent);
  if (!s->persistent) return false;
  s->bytes.persistent = 0;
  place_weights(s, use);
  return true;
}

/* ---- initial weights ---- */

static tnrt_status initialise(tnrt_session *s, uint32_t i) {
  const tnrt_weight *w = &s->weights[i];
  const tnrt_dtype_info *info = tnrt_dtype_find(w->dtype);
  int64_t count = tnrt_count_of(w->ndim, w->extents);
  if (w->data) {
    memcpy(s->values[i], tnrt_plan_table(s->plan, w->data), w->bytes);
    return TNRT_OK;
  }
  if (tnrt_weight_is_statistic(w)) return TNRT_OK;
  tnrt_initial numbers =
      tnrt_initial_start(w->init, w->init_a, w->init_b, s->seed, tnrt_plan_text(s->plan, w->name));
  double *all = tnrt_take(s->alloc, (size_t)count, sizeof *all);
  if (!all) return no_memory(s);
  for (int64_t k = 0; k < count; k++) all[k] = tnrt_initial_next(&numbers);
  if (w->init == TNRT_INITIAL_ORTHOGONAL)
    tnrt_initial_orthogonalise(all, (size_t)count, w->ndim ? (size_t)w->extents[w->ndim - 1] : 1);
  for (int64_t k = 0; k < count; k++) tnrt_element_store(w->dtype, all[k], s->values[i] + (size_t)k * info->bytes);
  s->alloc->give(s->alloc->user, all);
  return TNRT_OK;
}

/* ---- contexts ---- */

/* Memory that serves every number of samples up to most, so that no later run allocates. */
static size_t arena_bytes(const tnrt_model *model, int64_t most) {
  size_t largest = 0;
  for (int64_t n = most; n >= 1; n--) {
    size_t bytes = tnrt_model_arena_bytes(model, &n);
    if (bytes > largest) largest = bytes;
    if (model->n_symbols == 0) break;
  }
  return largest;
}

static tnrt_status open_model(tnrt_session *s, tnrt_ctx **out, const tnrt_training_model *which, int64_t most,
                              int n_threads) {
  if (!which->model) return TNRT_OK;
  size_t bytes = arena_bytes(which->model, most);
  if (bytes > s->bytes.step) s->bytes.step = bytes;
  if (s->is_planned_only) return TNRT_OK;
  tnrt_status status = tnrt_ctx_create(out, which->model, s->alloc, NULL, 0);
  if (status == TNRT_OK && n_threads > 1) status = tnrt_ctx_set_threads(*out, n_threads);
  return status == TNRT_OK ? status : tnrt_fail(s->message, status, "%s", tnrt_ctx_message(*out));
}

static tnrt_status check_program(tnrt_session *s, tnrt_use use) {
  const tnrt_training_program *p = s->program;
  const tnrt_training_model *needed[TNRT_N_USES][4] = {
      [TNRT_USE_TRAIN] = {&p->step, &p->eval}, [TNRT_USE_EVAL] = {&p->eval}, [TNRT_USE_PREDICT] = {&p->predict}};
  if (s->plan->version != TNRT_TRAINING || s->plan->size != sizeof *s->plan)
    return tnrt_fail(s->message, TNRT_BAD_INPUT, "the program was built for version %u of the training runtime, this "
                     "is %u", s->plan->version, TNRT_TRAINING);
  if (tnrt_share_unit(s->plan, s->world->size) > 0) {
    needed[TNRT_USE_TRAIN][0] = &p->grad;
    needed[TNRT_USE_TRAIN][2] = &p->update;
  }
  if (tnrt_plan_samples(s->plan)) needed[TNRT_USE_TRAIN][3] = &p->predict;
  for (int i = 0; i < 4; i++)
    if (needed[use][i] && !needed[use][i]->model)
      return tnrt_fail(s->message, TNRT_BAD_INPUT, "the program lacks a model that it needs");
  return TNRT_OK;
}

/* What works on gradients: all of them, or this process's slices. */
static tnrt_status open_updating(tnrt_session *s, int n_threads) {
  const tnrt_training_program *p = s->program;
  if (!s->parts.slices.is_on) return open_model(s, &s->update, &p->update, 1, n_threads);
  tnrt_status status = open_model(s, &s->shard, &p->shard, (int64_t)s->parts.slices.most, n_threads);
  return status == TNRT_OK && s->parts.is_tree ? open_model(s, &s->norms, &p->norm, 1, n_threads) : status;
}

static tnrt_status open_models(tnrt_session *s, tnrt_use use, int64_t most, int n_threads) {
  const tnrt_training_program *p = s->program;
  tnrt_status status = TNRT_OK;
  if (use == TNRT_USE_PREDICT) return open_model(s, &s->predict, &p->predict, most, n_threads);
  int64_t unit = tnrt_share_unit(s->plan, s->world->size);
  if (use == TNRT_USE_TRAIN && unit == 0)
    status = open_model(s, &s->step, &p->step, most, n_threads);
  if (use == TNRT_USE_TRAIN && unit > 0) {
    status = open_model(s, &s->grad, &p->grad, unit, n_threads);
    if (status == TNRT_OK) status = open_updating(s, n_threads);
  }
  if (status == TNRT_OK) status = open_model(s, &s->eval, &p->eval, most, n_threads);
  bool samples = status == TNRT_OK && use == TNRT_USE_TRAIN && tnrt_plan_samples(s->plan);
  return samples ? open_model(s, &s->predict, &p->predict, 1, n_threads) : status;
}

/* One model runs at a time: all work in the same memory. */
static tnrt_status share_memory(tnrt_session *s) {
  tnrt_ctx *const contexts[] = {s->step, s->grad, s->update, s->shard, s->norms, s->eval, s->predict};
  s->working = tnrt_take(s->alloc, 1, s->bytes.step);
  if (!s->working) return no_memory(s);
  for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++)
    if (contexts[i]) tnrt_ctx_lend(contexts[i], s->working, s->bytes.step);
  return TNRT_OK;
}

static tnrt_session start(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training_program *program) {
  const tnrt_training *plan = program->plan;
  tnrt_session s = {.program = program, .plan = plan, .fields = tnrt_plan_fields(plan),
                    .weights = tnrt_plan_weights(plan), .alloc = alloc, .message = message, .norm = NAN,
                    .loss_scale = plan->loss_scale > 0 ? plan->loss_scale : 1};
  for (uint32_t i = 0; i < plan->n_weights; i++) s.n_trained += s.weights[i].role == TNRT_WEIGHT_TRAINED;
  return s;
}

tnrt_status tnrt_session_open(tnrt_session *s, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training_program *program, tnrt_world *world, tnrt_use use, uint64_t seed,
                              int64_t most, int n_threads) {
  const tnrt_training *plan = program->plan;
  *s = start(message, alloc, program);
  s->seed = seed;
  s->alone = (tnrt_world){.size = 1, .message = message};
  s->world = world ? world : &s->alone;
  tnrt_status status = check_program(s, use);
  if (status != TNRT_OK) return status;
  if (!make_tables(s, most)) return no_memory(s);
  if (use == TNRT_USE_TRAIN) status = tnrt_parts_plan(s);
  if (status != TNRT_OK) return status;
  if (!make_weights(s, use)) return no_memory(s);
  for (uint32_t i = 0; i < plan->n_weights && status == TNRT_OK; i++) status = initialise(s, i);
  if (status == TNRT_OK && use == TNRT_USE_TRAIN) status = tnrt_parts_open(s);
  if (status == TNRT_OK) status = open_models(s, use, most, n_threads);
  return status == TNRT_OK ? share_memory(s) : status;
}

tnrt_status tnrt_session_plan(tnrt_arenas *out, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training_program *program, int n_processes) {
  tnrt_session s = start(message, alloc, program);
  s.alone = (tnrt_world){.size = n_processes, .message = message};
  s.world = &s.alone;
  s.is_planned_only = true;
  tnrt_status status = make_tables(&s, 1) ? TNRT_OK : no_memory(&s);
  if (status == TNRT_OK) status = tnrt_parts_plan(&s);
  if (status == TNRT_OK) place_weights(&s, TNRT_USE_TRAIN);
  if (status == TNRT_OK) status = open_models(&s, TNRT_USE_TRAIN, s.plan->batch, 1);
  s.bytes.comm = tnrt_parts_bytes(&s);
  *out = s.bytes;
  tnrt_session_close(&s);
  return status;
}

void tnrt_session_close(tnrt_session *s) {
  if (!s->plan) return;
  tnrt_ctx *const contexts[] = {s->step, s->grad, s->update, s->shard, s->norms, s->eval, s->predict};
  for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++) tnrt_ctx_destroy(contexts[i]);
  tnrt_parts_close(s);
  for (uint32_t i = 0; s->batch && i < s->plan->n_fields; i++)
    if (s->batch[i]) s->alloc->give(s->alloc->user, s->batch[i]);
  void *const blocks[] = {s->values, s->others, s->states, s->other_states, s->kept, s->batch, s->inputs, s->outputs,
                          s->rates, s->persistent, s->working};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) s->alloc->give(s->alloc->user, blocks[i]);
  tnrt_tally_close(&s->tally);
  *s = (tnrt_session){0};
}

/* ---- a step ---- */

static void set_rates(tnrt_session *s, const double *lrs) {
  const tnrt_training *p = s->plan;
  double t = (double)(s->n_updates + 1);
  s->rates[TNRT_RATE_BIAS1] = (float)(p->beta1 > 0 ? 1 / (1 - pow(p->beta1, t)) : 1);
  s->rates[TNRT_RATE_BIAS2] = (float)(p->beta2 > 0 ? 1 / sqrt(1 - pow(p->beta2, t)) : 1);
  s->rates[TNRT_RATE_LOSS_SCALE] = (float)s->loss_scale;
  for (uint32_t i = 0; i < p->n_groups; i++) s->rates[TNRT_RATES + i] = (float)lrs[i];
}

static tnrt_status step_whole(tnrt_session *s, tnrt_samples *samples, const int64_t *positions, int64_t n,
                              float *loss, float *norm) {
  const tnrt_training_model *model = &s->program->step;
  uint32_t in;
  tnrt_status status = tnrt_bind_fields(s, model, samples, positions, 0, n, &in);
  if (status != TNRT_OK) return status;
  tnrt_bind_rates(s, tnrt_bind_states(s, tnrt_bind_weights(s, model, in)));
  s->outputs[0] = loss;
  tnrt_bind_updated(s, 1, norm, true);
  return tnrt_bind_run(s, s->step, n);
}

/* What a step with parts has made of running weights is kept aside, or comes back. */
static void keep_running(tnrt_session *s, bool back) {
  for (uint32_t i = 0; i < s->plan->n_weights; i++)
    if (s->kept[i]) memcpy(back ? s->values[i] : s->kept[i], back ? s->kept[i] : s->values[i], s->weights[i].bytes);
}

/* A static scale stays; a dynamic one halves at once and doubles after a while. */
static void adapt_scale(tnrt_session *s, bool has_overflow) {
  if (!s->plan->is_scale_dynamic) return;
  s->good_steps = has_overflow ? 0 : s->good_steps + 1;
  if (has_overflow && s->loss_scale > 1) s->loss_scale /= 2;
  if (s->good_steps < GROWTH_STEPS) return;
  s->good_steps = 0;
  if (s->loss_scale < 0x1p30) s->loss_scale *= 2;
}

tnrt_status tnrt_session_step(tnrt_session *s, tnrt_samples *samples, const int64_t *positions, int64_t n,
                              int64_t step, const double *lrs, tnrt_step_result *out) {
  float loss = NAN, norm = NAN;
  bool is_whole = s->step != NULL;
  set_rates(s, lrs);
  s->noise[0] = s->seed;
  s->noise[1] = (uint64_t)step;
  s->noise[2] = 0;
  keep_running(s, false);
  double begin = tnrt_timeline_now(s->timeline);
  tnrt_status status = is_whole ? step_whole(s, samples, positions, n, &loss, &norm)
                                : tnrt_parts_step(s, samples, positions, n, &loss, &norm);
  if (is_whole) tnrt_timeline_span(s->timeline, "step", 0, s->world->step, begin);
  if (status != TNRT_OK) return keep_running(s, true), status;
  if (s->parts.is_void) return keep_running(s, true), *out = TNRT_STEP_STOPPED, TNRT_OK;
  s->loss = (double)loss;
  s->norm = (double)norm;
  bool has_overflow = !isfinite(norm);
  *out = !isfinite(loss) ? TNRT_STEP_NAN : !has_overflow ? TNRT_STEP_DONE
         : s->plan->is_scale_dynamic && s->loss_scale > 1 ? TNRT_STEP_OVERFLOW : TNRT_STEP_NAN;
  adapt_scale(s, *out == TNRT_STEP_OVERFLOW);
  if (*out != TNRT_STEP_DONE) return keep_running(s, true), TNRT_OK;
  if (is_whole) tnrt_swap_weights(s, TNRT_WEIGHT_RUNNING);
  tnrt_swap_weights(s, TNRT_WEIGHT_TRAINED);
  tnrt_swap_states(s);
  s->n_updates++;
  return TNRT_OK;
}

/* ---- evaluation and prediction ---- */

tnrt_status tnrt_session_measure(tnrt_session *s, const tnrt_samples *samples) {
  int64_t most = 0;
  for (uint32_t i = 0; i < TNRT_N_SPLITS; i++)
    if (tnrt_samples_count(samples, i) > most) most = tnrt_samples_count(samples, i);
  return tnrt_tally_open(&s->tally, s->message, s->alloc, s->plan, s->world, most, s->plan->micro);
}

/* What all processes say of a request to end. */
static tnrt_status agree(tnrt_session *s, int *out_asked) {
  double votes[2] = {s->world->asked != 0, s->world->asked};
  tnrt_status status = tnrt_world_sum(s->world, votes, 2, TNRT_COMM_F64, "a request to end");
  *out_asked = s->parts.voted = votes[0] > 0 ? (int)(votes[1] / votes[0]) : 0;
  return status;
}

tnrt_status tnrt_session_evaluate(tnrt_session *s, tnrt_samples *samples, uint32_t split, int64_t n_batches,
                                  double *out, int *out_asked) {
  const tnrt_training_model *model = &s->program->eval;
  int64_t all = tnrt_samples_count(samples, split), batch = s->plan->micro, first, end;
  int64_t n_all = (all + batch - 1) / batch;
  if (n_batches > 0 && n_batches < n_all) n_all = n_batches;
  if (n_all * batch < all) all = n_all * batch;
  tnrt_tree_share(n_all, s->world->rank, s->world->size, &first, &end);
  tnrt_tally_start(&s->tally, first);
  for (int64_t i = first; i < end && (s->is_ending || !tnrt_world_asked(s->world)); i++) {
    int64_t n = all - i * batch < batch ? all - i * batch : batch;
    float loss;
    uint32_t in;
    tnrt_status status = tnrt_bind_fields(s, model, samples, NULL, samples->first[split] + i * batch, n, &in);
    if (status != TNRT_OK) return status;
    tnrt_bind_weights(s, model, in);
    s->outputs[0] = &loss;
    tnrt_tally_bind(&s->tally, s->outputs + 1);
    status = tnrt_bind_run(s, s->eval, n);
    if (status != TNRT_OK) return status;
    tnrt_tally_add(&s->tally, (double)loss, n);
  }
  *out_asked = 0;
  tnrt_status status = s->is_ending ? TNRT_OK : agree(s, out_asked);
  if (status != TNRT_OK || *out_asked) return status;
  status = tnrt_tally_share(&s->tally, n_all, all);
  if (status == TNRT_OK) tnrt_tally_finish(&s->tally, out);
  return status;
}

uint32_t tnrt_session_n_inputs(const tnrt_session *s) {
  uint32_t n = s->program->predict.model->n_inputs;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) n -= tnrt_bind_has(s->program->predict.weights, i);
  return n;
}

uint32_t tnrt_session_input_field(const tnrt_session *s, uint32_t input) {
  uint32_t i = 0;
  while (i < s->plan->n_fields &&
         strcmp(tnrt_plan_text(s->plan, s->fields[i].name), s->program->predict.model->inputs[input].name) != 0)
    i++;
  return i;
}

tnrt_status tnrt_session_predict(tnrt_session *s, const void *const *inputs, int64_t n, void *const *outputs) {
  uint32_t n_inputs = tnrt_session_n_inputs(s);
  for (uint32_t i = 0; i < n_inputs; i++) s->inputs[i] = inputs[i];
  tnrt_bind_weights(s, &s->program->predict, n_inputs);
  tnrt_status status = tnrt_ctx_run_sized(s->predict, &n, s->inputs, outputs);
  return status == TNRT_OK ? status : tnrt_fail(s->message, status, "%s", tnrt_ctx_message(s->predict));
}
