/* The loop of training; see loop.h. Nothing is allocated in it. */
#include <math.h>

#include "runtime/train/loop_parts.h"

static bool is_skipped(const tnrt_loop *l) {
  for (uint32_t i = 0; i < l->n_skipped; i++)
    if (l->skipped[i] == l->step) return true;
  return false;
}

/* The positions of the batch at the cursor of an epoch; returns their number. */
static int64_t choose_batch(tnrt_loop *l, int64_t epoch, int64_t cursor, int64_t *positions) {
  int64_t left = l->n_samples - cursor, n = left < l->plan->batch ? left : l->plan->batch;
  if (l->order_epoch != epoch) {
    l->order = tnrt_order_start(l->session.seed, TNRT_STREAM_EPOCH, (uint64_t)epoch, l->n_samples);
    l->order_epoch = epoch;
  }
  tnrt_order_span(&l->order, cursor, n, positions);
  for (int64_t i = 0; i < n; i++) positions[i] += l->samples.first[TNRT_SPLIT_TRAIN];
  return n;
}

/* Past n samples, into the next epoch where this one has no batch left. */
static void advance(const tnrt_loop *l, int64_t n, int64_t *epoch, int64_t *cursor) {
  *cursor += n;
  if (l->n_samples - *cursor >= (l->plan->drops_last ? l->plan->batch : 1)) return;
  ++*epoch;
  *cursor = 0;
}

/* The samples of this step, and the thread goes on to those of the next. */
static tnrt_status load_batch(tnrt_loop *l, int64_t n) {
  tnrt_draw draw = {l->session.seed, (uint64_t)l->epoch, TNRT_SPLIT_TRAIN};
  int64_t epoch = l->epoch, cursor = l->cursor;
  int64_t first, own;
  if (!l->loader) return TNRT_OK;
  double begin = tnrt_timeline_now(l->session.timeline);
  tnrt_parts_share(&l->session, n, &l->session.loaded_first, &own);
  tnrt_status status = tnrt_loader_take(l->loader, l->message, l->world, &draw,
                                        l->positions + l->session.loaded_first, own, &l->session.loaded);
  tnrt_timeline_span(l->session.timeline, "waiting for samples", 0, l->step, begin);
  l->session.has_no_samples = l->session.loaded == NULL;
  if (status != TNRT_OK || l->session.has_no_samples) return status;
  advance(l, n, &epoch, &cursor);
  draw.epoch = (uint64_t)epoch;
  tnrt_parts_share(&l->session, choose_batch(l, epoch, cursor, l->next_positions), &first, &own);
  tnrt_loader_ask(l->loader, &draw, l->next_positions + first, own);
  return TNRT_OK;
}

static void set_rates(tnrt_loop *l) {
  const tnrt_schedule *schedules = tnrt_plan_table(l->plan, l->plan->schedules);
  for (uint32_t i = 0; i < l->plan->n_groups; i++)
    l->lrs[i] = l->own->lr_factor * tnrt_schedule_rate(&schedules[i], &l->plateaus[i], l->step, l->n_steps);
}

/* What is due behind a step. *out_stop: a condition holds. */
static tnrt_status follow(tnrt_loop *l, bool *out_stop) {
  l->n_acted = 0;
  l->own->n_begun = 0;
  tnrt_status status = tnrt_loop_events(l, TNRT_EVERY_STEPS);
  if (status == TNRT_OK && l->cursor == 0 && !l->is_cut) status = tnrt_loop_events(l, TNRT_EVERY_EPOCHS);
  l->n_acted_before = 0;
  if (l->is_cut || status != TNRT_OK) l->own->n_begun = (double)l->n_acted;
  return status == TNRT_OK && !l->is_cut ? tnrt_loop_stops(l, out_stop) : status;
}

/* One step, and what follows from it. *out_stop: a condition holds. */
static tnrt_status make_step(tnrt_loop *l, bool *out_stop) {
  int64_t n = choose_batch(l, l->epoch, l->cursor, l->positions);
  tnrt_step_result result = TNRT_STEP_DONE;
  bool again = false, skipped = is_skipped(l);
  set_rates(l);
  l->session.epoch = (uint64_t)l->epoch;
  l->world->step = l->step;
  tnrt_status status = skipped ? TNRT_OK : load_batch(l, n);
  l->session.parts.vote = tnrt_world_asked(l->world);
  if (status == TNRT_OK && l->session.has_no_samples && l->world->size == 1) return TNRT_OK;
  if (status == TNRT_OK && !skipped)
    status = tnrt_session_step(&l->session, &l->samples, l->positions, n, l->step, l->lrs, &result);
  if (status == TNRT_OK && result == TNRT_STEP_STOPPED) return TNRT_OK;
  if (status == TNRT_OK && result == TNRT_STEP_NAN) status = tnrt_loop_nan(l, n, &again);
  if (status != TNRT_OK || again) return status;
  l->step++;
  if (result == TNRT_STEP_DONE && !skipped) {
    l->n_nans = 0;
    l->trained += n;
    l->own->loss_sum += l->session.loss * (double)n;
    l->own->loss_weight += (double)n;
  }
  advance(l, n, &l->epoch, &l->cursor);
  tnrt_report report = tnrt_loop_report(l);
  tnrt_logs_step(l->logs, &report);
  return follow(l, out_stop);
}

static bool is_over(const tnrt_loop *l) {
  return (l->end_steps && l->step >= l->end_steps) || (l->end_epochs && l->epoch >= l->end_epochs);
}

static bool is_asked_to_stop(tnrt_loop *l) {
  /* One process alone decides at once, several by what they said at the last step. */
  int number = l->world->size == 1 ? tnrt_world_asked(l->world) : l->session.parts.voted;
  l->is_stopped = number || (l->command->stop_at && l->step >= l->command->stop_at);
  l->is_interrupted = l->session.is_ending = number != 0;
  if (l->is_stopped)
    tnrt_logs_note(l->logs, "%s: stops after step %lld (--resume goes on)",
                   number ? tnrt_signal_name(number) : "--stop-at", (long long)l->step);
  return l->is_stopped;
}

static tnrt_status train(tnrt_loop *l) {
  bool stop = false;
  int64_t first = l->step;
  tnrt_status status = TNRT_OK;
  if (l->resumes && is_over(l))
    tnrt_logs_note(l->logs, "nothing is left to do: --epochs or --steps asks for more than the file");
  if (l->own->n_begun > 0) { /* what a request to end cut off behind the last step */
    l->n_acted_before = (int64_t)l->own->n_begun - 1;
    status = follow(l, &stop);
  }
  while (status == TNRT_OK && !stop && !is_over(l) && !is_asked_to_stop(l)) status = make_step(l, &stop);
  if (status == TNRT_OK && l->is_cut && !l->is_stopped) (void)is_asked_to_stop(l);
  if (status != TNRT_OK) return status;
  if (l->is_interrupted) status = tnrt_loop_interrupt(l);
  if (status != TNRT_OK) return status;
  l->keep.has_value = false; /* nothing was measured after the last step but what events saved */
  if (l->saved_at != l->step || l->is_cut) status = tnrt_loop_save(l, &l->keep);
  if (status == TNRT_OK && !l->is_stopped) status = tnrt_loop_require(l);
  l->is_stopped |= l->is_cut;
  if (!tnrt_loop_writes(l)) return status;
  tnrt_status saved = tnrt_store_wait(l->store, l->message);
  if (saved == TNRT_OK && l->step > first && !tnrt_store_has(l->store, l->step))
    saved = tnrt_fail(l->message, TNRT_IO, "the weights of step %lld are not saved", (long long)l->step);
  if (saved == TNRT_OK && l->step > first && !l->command->logs.is_quiet)
    tnrt_logs_note(l->logs, "the weights of step %lld are in '%s'", (long long)l->step, l->folder);
  return status == TNRT_OK ? saved : status;
}

tnrt_status tnrt_loop_train(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training_program *program,
                            const tnrt_command *command, tnrt_world *world, const tnrt_signals *signals,
                            bool *out_stopped) {
  tnrt_loop l = {.program = program, .plan = program->plan, .alloc = alloc, .message = message, .command = command,
                 .world = world};
  world->pending = tnrt_signals_ask;
  world->user = signals;
  tnrt_status status = tnrt_loop_open(&l);
  if (status == TNRT_OK) status = train(&l);
  if (status != TNRT_OK && world->is_lost) tnrt_lost_react(&l);
  tnrt_lost_unmark(&l);
  *out_stopped = l.is_stopped;
  tnrt_message unwritten;
  tnrt_status traced = tnrt_timeline_close(l.session.timeline, &unwritten);
  if (status == TNRT_OK && traced != TNRT_OK) *message = unwritten, status = traced;
  tnrt_loop_close(&l);
  return status;
}
