/* What the loop needs before its first step: samples, session, checkpoints, logs; and where it begins. */
#include <math.h>
#include <string.h>

#include "runtime/train/loop_parts.h"
#include "runtime/train/memory.h"
#include "runtime/train/safetensors.h"

/* ---- numbers ---- */

static tnrt_status open_numbers(tnrt_loop *l) {
  const tnrt_training *p = l->plan;
  size_t own = sizeof *l->own / sizeof(double), plateau = sizeof *l->plateaus / sizeof(double);
  size_t stall = sizeof *l->stalls / sizeof(double), n_stalls = tnrt_conditions_stalls(p, p->stops, p->n_stops);
  size_t n_measures = (size_t)TNRT_N_SPLITS * (1 + p->n_metrics);
  size_t n = own + plateau * p->n_groups + stall * n_stalls + n_measures;
  l->numbers = tnrt_take(l->alloc, n, sizeof *l->numbers);
  l->lrs = tnrt_take(l->alloc, p->n_groups, sizeof *l->lrs);
  l->positions = tnrt_take(l->alloc, (size_t)p->batch, sizeof *l->positions);
  l->next_positions = tnrt_take(l->alloc, (size_t)p->batch, sizeof *l->next_positions);
  if (!l->numbers || !l->lrs || !l->positions || !l->next_positions)
    return tnrt_fail(l->message, TNRT_NO_MEMORY, "no memory for the loop of training");
  l->n_numbers = (int64_t)n;
  l->own = (tnrt_loop_numbers *)(void *)l->numbers;
  l->plateaus = (tnrt_plateau *)(void *)(l->numbers + own);
  l->stalls = (tnrt_stall *)(void *)(l->numbers + own + plateau * p->n_groups);
  l->measures = l->numbers + n - n_measures;
  l->own->lr_factor = 1;
  for (uint32_t i = 0; i < p->n_groups; i++) l->plateaus[i] = tnrt_plateau_start();
  for (size_t i = 0; i < n_measures; i++) l->measures[i] = NAN;
  return TNRT_OK;
}

void tnrt_loop_pack(tnrt_loop *l) {
  l->own->n_updates = (double)l->session.n_updates;
  l->own->good_steps = (double)l->session.good_steps;
  l->own->loss_scale = l->session.loss_scale;
  l->state.contents.step = l->step;
  l->state.contents.epoch = l->epoch;
  l->state.contents.cursor = l->cursor;
  tnrt_state_bind(&l->state);
}

void tnrt_loop_unpack(tnrt_loop *l) {
  l->session.n_updates = (int64_t)l->own->n_updates;
  l->session.good_steps = (int64_t)l->own->good_steps;
  l->session.loss_scale = l->own->loss_scale;
  l->step = l->state.contents.step;
  l->epoch = l->state.contents.epoch;
  l->cursor = l->state.contents.cursor;
}

/* ---- several processes ---- */

bool tnrt_loop_writes(const tnrt_loop *l) { return l->world->rank == 0; }

tnrt_status tnrt_loop_broadcast(tnrt_loop *l, bool weights_only) {
  tnrt_checkpoint *c = &l->state.contents;
  int64_t place[3] = {c->step, c->epoch, c->cursor};
  tnrt_status status = TNRT_OK;
  if (l->world->size == 1) return TNRT_OK;
  tnrt_state_bind(&l->state);
  for (uint32_t i = 0; i < (weights_only ? l->plan->n_weights : c->n_tensors) && status == TNRT_OK; i++)
    status = tnrt_world_broadcast(l->world, c->tensors[i].data, c->tensors[i].bytes, 0, c->tensors[i].name);
  if (status == TNRT_OK) status = tnrt_world_broadcast(l->world, place, sizeof place, 0, "the position");
  c->step = place[0];
  c->epoch = place[1];
  c->cursor = place[2];
  return status;
}

/* ---- where it ends ---- */

static tnrt_status find_end(tnrt_loop *l) {
  const tnrt_training *p = l->plan;
  const tnrt_schedule *schedules = tnrt_plan_table(p, p->schedules);
  tnrt_status status = TNRT_OK;
  l->n_samples = tnrt_samples_count(&l->samples, TNRT_SPLIT_TRAIN);
  l->per_epoch = p->drops_last ? l->n_samples / p->batch : (l->n_samples + p->batch - 1) / p->batch;
  l->end_steps = l->command->steps ? l->command->steps : p->steps;
  l->end_epochs = l->command->epochs ? l->command->epochs : p->epochs;
  if (l->per_epoch == 0)
    return tnrt_fail(l->message, TNRT_BAD_INPUT, "the training split has %lld samples, not one full batch of %lld "
                     "(last = drop)", (long long)l->n_samples, (long long)p->batch);
  int64_t by_epochs;
  if (__builtin_mul_overflow(l->end_epochs, l->per_epoch, &by_epochs)) by_epochs = INT64_MAX;
  l->n_steps = by_epochs && (!l->end_steps || by_epochs < l->end_steps) ? by_epochs : l->end_steps;
  for (uint32_t i = 0; i < p->n_groups && status == TNRT_OK; i++)
    status = tnrt_schedule_check(l->message, &schedules[i], l->n_steps);
  for (uint32_t i = 0; i < p->n_groups && status == TNRT_OK && l->n_steps; i++)
    if (schedules[i].warmup >= l->n_steps)
      tnrt_logs_note(l->logs, "a warm-up of %lld steps is not over when the training ends, at step %lld: its learning "
                     "rate is never reached", (long long)schedules[i].warmup, (long long)l->n_steps);
  return status;
}

/* ---- resuming ---- */

/* The checkpoint to go on from; *out NULL: there is none. */
static tnrt_status open_resumed(tnrt_loop *l, tnrt_reading **out) {
  char path[2048];
  *out = NULL;
  if (!l->resumes) return TNRT_OK;
  tnrt_message notes = {{0}};
  memset(path, 0, sizeof path);
  tnrt_status status =
      tnrt_checkpoint_find(l->message, l->alloc, l->folder, l->resumes_best ? TNRT_WHICH_BEST : TNRT_WHICH_LAST, path,
                           sizeof path, &notes);
  if (status == TNRT_OK) status = tnrt_world_broadcast(l->world, path, sizeof path, 0, "the checkpoint's path");
  if (notes.text[0]) tnrt_logs_note(l->logs, "%s", notes.text);
  return status == TNRT_OK ? tnrt_reading_open(out, l->message, l->alloc, path) : status;
}

/* What may differ from the training that goes on, and should be known. */
static void tell_differences(tnrt_loop *l, const tnrt_reading *reading) {
  char text[TNRT_DIGEST_TEXT], parts[400];
  const char *digest = tnrt_reading_text(reading, "digest");
  tnrt_digest_text(text, l->plan->digest);
  if (digest && strcmp(digest, text) != 0)
    tnrt_logs_note(l->logs, "another optimizer goes on than that of the checkpoint, whose moments are left");
  if (!tnrt_state_is_parted_so(&l->samples, reading, parts, sizeof parts)) tnrt_logs_note(l->logs, "%s", parts);
}

static tnrt_status resume(tnrt_loop *l, const tnrt_reading *reading) {
  tnrt_state_bind(&l->state);
  tnrt_status status =
      tnrt_reading_fill(l->message, reading, l->state.contents.tensors, l->state.contents.n_tensors);
  if (status != TNRT_OK) return status;
  tnrt_slices_take(&l->session);
  l->state.contents.step = tnrt_reading_integer(reading, "step", 0);
  l->state.contents.epoch = tnrt_reading_integer(reading, "epoch", 0);
  l->state.contents.cursor = tnrt_reading_integer(reading, "cursor", 0);
  tnrt_loop_unpack(l);
  l->saved_at = l->step;
  if (l->step < 0 || l->epoch < 0 || l->cursor < 0 || l->cursor >= l->n_samples)
    return tnrt_fail(l->message, TNRT_BAD_INPUT, "the checkpoint is at sample %lld of an epoch, the training split has "
                     "%lld samples: is this the same data?", (long long)l->cursor, (long long)l->n_samples);
  tnrt_logs_note(l->logs, "resumed at step %lld", (long long)l->step);
  tell_differences(l, reading);
  return TNRT_OK;
}

/* ---- given weights ---- */

/* All but the statistics of fields, which are this data's. */
static tnrt_status fill_weights(tnrt_loop *l, const tnrt_reading *reading) {
  uint32_t n = 0;
  tnrt_saved *wanted = tnrt_take(l->alloc, l->plan->n_weights, sizeof *wanted);
  if (!wanted) return tnrt_fail(l->message, TNRT_NO_MEMORY, "no memory for the weights to begin with");
  tnrt_state_bind(&l->state);
  for (uint32_t i = 0; i < l->plan->n_weights; i++)
    if (!tnrt_weight_is_statistic(&l->session.weights[i])) wanted[n++] = l->state.contents.tensors[i];
  tnrt_status status = tnrt_reading_fill(l->message, reading, wanted, n);
  l->alloc->give(l->alloc->user, wanted);
  return status;
}

static tnrt_status begin_with(tnrt_loop *l, const char *path) {
  tnrt_reading *reading = NULL;
  tnrt_status status = tnrt_reading_open(&reading, l->message, l->alloc, path);
  if (status == TNRT_OK) status = fill_weights(l, reading);
  tnrt_reading_close(reading);
  return status;
}

/* ---- the whole ---- */

static tnrt_status open_samples(tnrt_loop *l, const tnrt_reading *reading) {
  tnrt_status status = tnrt_samples_open(&l->samples, l->message, l->alloc, l->plan);
  l->samples.world = l->world;
  if (status == TNRT_OK && reading) status = tnrt_state_restore_samples(&l->samples, reading);
  if (status == TNRT_OK) status = tnrt_samples_load(&l->samples, &l->command->data, reading != NULL);
  char unknown[TNRT_UNKNOWN_BYTES];
  if (status == TNRT_OK && tnrt_samples_unknown(&l->samples, unknown, sizeof unknown))
    tnrt_logs_note(l->logs, "%s", unknown);
  if (status == TNRT_OK && l->samples.n_dropped)
    tnrt_logs_note(l->logs, "%lld wrong records of '%s' are left out; the first: %s", (long long)l->samples.n_dropped,
                   tnrt_plan_text(l->plan, l->plan->source.name), l->samples.first_dropped.text);
  return status;
}

static tnrt_status open_session(tnrt_loop *l, const tnrt_reading *reading) {
  uint64_t seed = l->command->has_seed ? l->command->seed : l->plan->seed;
  if (reading) seed = (uint64_t)tnrt_reading_integer(reading, "seed", (int64_t)seed);
  if (reading && l->command->has_seed && l->command->seed != seed)
    return tnrt_fail(l->message, TNRT_BAD_INPUT, "--seed %llu: what is resumed goes on with its own seed, %llu",
                     (unsigned long long)l->command->seed, (unsigned long long)seed);
  tnrt_status status = tnrt_session_open(&l->session, l->message, l->alloc, l->program, l->world,
                                         TNRT_USE_TRAIN, seed, l->plan->batch, l->command->threads);
  if (status == TNRT_OK) status = tnrt_generator_open(&l->generator, &l->session, &l->samples);
  return status == TNRT_OK ? tnrt_session_measure(&l->session, &l->samples) : status;
}

static bool rolls_back(const tnrt_training *plan) {
  const tnrt_action *actions = tnrt_plan_table(plan, plan->on_nan);
  for (uint32_t i = 0; i < plan->n_on_nan; i++)
    if (actions[i].kind == TNRT_ACTION_ROLLBACK) return true;
  return false;
}

static tnrt_status open_store(tnrt_loop *l) {
  const tnrt_action *action = tnrt_plan_action(l->plan, TNRT_ACTION_CHECKPOINT, false);
  l->keep.last = action && action->n > 0 ? action->n : 1;
  tnrt_loop_pack(l);
  if (!tnrt_loop_writes(l)) return TNRT_OK;
  tnrt_status status = tnrt_store_open(&l->store, l->message, l->alloc, l->folder, &l->state.contents);
  int64_t earlier = status == TNRT_OK ? tnrt_store_newest(l->store) : -1;
  if (earlier >= 0 && !l->resumes)
    tnrt_logs_note(l->logs, "'%s' has an earlier training, at step %lld, which this one replaces (--resume goes on "
                   "with it, --checkpoint-dir keeps it)", l->folder, (long long)earlier);
  if (status == TNRT_OK && action && action->is_async)
    status = tnrt_store_set_async(l->store, l->message, &l->state.contents);
  if (status == TNRT_OK) tnrt_lost_mark(l);
  /* What a rollback goes back to before the first checkpoint. */
  if (status == TNRT_OK && l->step == 0 && rolls_back(l->plan)) status = tnrt_loop_save(l, &l->keep);
  return status;
}

static tnrt_status check_mesh(const tnrt_loop *l) {
  const tnrt_training *p = l->plan;
  if (p->mesh_data == 0 || p->mesh_data == (uint32_t)l->world->size) return TNRT_OK;
  return tnrt_fail(l->message, TNRT_BAD_INPUT, "%.100s:%u: mesh '%.60s' has %u processes, this is a training of %d "
                   "(mpirun -n %u starts as many; data: -1 takes any number)", tnrt_plan_text(p, p->source_text),
                   p->mesh_line, tnrt_plan_text(p, p->mesh), p->mesh_data, l->world->size, p->mesh_data);
}

tnrt_status tnrt_loop_open(tnrt_loop *l) {
  tnrt_reading *reading = NULL;
  tnrt_log_options logs = l->command->logs;
  if (!tnrt_loop_writes(l)) logs = (tnrt_log_options){.is_quiet = true, .is_silent = true};
  for (int i = 0; i < TNRT_N_SPLITS; i++) l->measured_at[i] = -1;
  l->saved_at = l->order_epoch = l->nan_step = -1;
  l->rate_factor = 1;
  tnrt_checkpoint_folder(l->plan, l->command, l->folder, sizeof l->folder);
  tnrt_status status = check_mesh(l);
  if (status == TNRT_OK) status = tnrt_lost_find(l);
  logs.appends = l->resumes;
  if (status == TNRT_OK) status = tnrt_logs_open(&l->logs, l->message, l->alloc, l->plan, &logs);
  if (status == TNRT_OK) tnrt_lost_tell(l);
  if (status == TNRT_OK) status = open_resumed(l, &reading);
  tnrt_world_work(l->world, true);
  if (status == TNRT_OK) status = open_samples(l, reading);
  if (status == TNRT_OK) status = find_end(l);
  if (status == TNRT_OK) status = tnrt_loader_open(&l->loader, l->message, l->alloc, &l->samples, l->plan->batch);
  if (status == TNRT_OK) status = open_session(l, reading);
  if (status == TNRT_OK)
    status = tnrt_timeline_open(&l->session.timeline, l->message, l->command->trace, l->world->rank, l->world->size);
  if (status == TNRT_OK) status = open_numbers(l);
  if (status == TNRT_OK) status = tnrt_state_open(&l->state, &l->session, &l->samples, l->numbers, l->n_numbers);
  if (status == TNRT_OK && reading) status = resume(l, reading);
  if (status == TNRT_OK && l->command->weights) status = begin_with(l, l->command->weights);
  /* Behind those weights, for what is fitted may be computed by some of them. */
  if (status == TNRT_OK && !reading) status = tnrt_session_fit(&l->session, &l->samples);
  tnrt_world_work(l->world, false);
  tnrt_reading_close(reading);
  return status == TNRT_OK ? open_store(l) : status;
}

void tnrt_loop_close(tnrt_loop *l) {
  tnrt_store_close(l->store);
  tnrt_logs_close(l->logs);
  tnrt_state_close(&l->state);
  if (l->session.plan) tnrt_generator_close(&l->generator, &l->session);
  tnrt_session_close(&l->session);
  tnrt_loader_close(l->loader);
  tnrt_samples_close(&l->samples);
  void *const blocks[] = {l->numbers, l->lrs, l->positions, l->next_positions};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) l->alloc->give(l->alloc->user, blocks[i]);
}
