/* Events, conditions, what is done about steps without a number, and requirements. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/train/loop_parts.h"
#include "runtime/train/text.h"
#include "runtime/train/trace.h"

enum { MAX_NANS = 100 }; /* steps in a row without a number: it will not get better */

tnrt_report tnrt_loop_report(const tnrt_loop *l) {
  return (tnrt_report){
      .step = l->step,
      .epoch = l->epoch + (l->cursor > 0 || l->step == 0),
      .n_steps = l->n_steps,
      .n_epochs = l->end_epochs,
      .epoch_step = (l->cursor + l->plan->batch - 1) / l->plan->batch,
      .epoch_steps = l->per_epoch,
      .n_samples = l->trained,
      .loss = l->session.loss,
      .norm = l->session.norm,
      .loss_scale = l->session.loss_scale,
      .rates = l->lrs,
      .measures = l->measures,
  };
}

/* ---- checkpoints ---- */

tnrt_status tnrt_loop_save(tnrt_loop *l, const tnrt_keep *keep) {
  tnrt_message message;
  double begin = tnrt_timeline_now(l->session.timeline);
  tnrt_status status = tnrt_slices_gather(&l->session);
  if (status != TNRT_OK) return status;
  tnrt_loop_pack(l);
  status = !tnrt_loop_writes(l) ? TNRT_OK : tnrt_store_write(l->store, &message, &l->state.contents, keep);
  tnrt_timeline_span(l->session.timeline, "checkpoint", 0, l->step, begin);
  if (status == TNRT_OK) l->saved_at = l->step;
  else tnrt_logs_note(l->logs, "step %lld: no checkpoint: %s", (long long)l->step, message.text);
  return TNRT_OK;
}

/* ---- measuring ---- */

tnrt_status tnrt_loop_measure(tnrt_loop *l, uint32_t split, int64_t n_batches) {
  const tnrt_training *p = l->plan;
  double *values = l->measures + split * (1 + p->n_metrics);
  if (tnrt_samples_count(&l->samples, split) == 0)
    return tnrt_fail(l->message, TNRT_BAD_INPUT, "the data has no split '%s' to measure", tnrt_split_name(split));
  double begin = tnrt_timeline_now(l->session.timeline);
  int asked;
  tnrt_status status = tnrt_session_evaluate(&l->session, &l->samples, split, n_batches, values, &asked);
  l->is_cut = status == TNRT_OK && asked != 0;
  tnrt_timeline_span(l->session.timeline, "evaluation", 0, l->step, begin);
  return status;
}

/* New measures of a split are there: schedules and conditions that watch it. */
static void watch(tnrt_loop *l, uint32_t split) {
  const tnrt_training *p = l->plan;
  const tnrt_schedule *schedules = tnrt_plan_table(p, p->schedules);
  l->measured_at[split] = l->step;
  tnrt_conditions_watch(p, p->stops, p->n_stops, l->measures, split, l->stalls);
  for (uint32_t i = 0; i < p->n_groups; i++)
    if (schedules[i].kind == TNRT_SCHEDULE_PLATEAU && schedules[i].watch.split == split)
      tnrt_schedule_watch(&schedules[i], &l->plateaus[i], tnrt_measured(p, l->measures, schedules[i].watch));
}

static tnrt_status evaluate(tnrt_loop *l, uint32_t split, int64_t n_batches) {
  tnrt_status status = tnrt_loop_measure(l, split, n_batches);
  if (status != TNRT_OK || l->is_cut) return status;
  watch(l, split);
  tnrt_report report = tnrt_loop_report(l);
  tnrt_logs_eval(l->logs, &report, split);
  return TNRT_OK;
}

/* The best needs its number, also where no eval was at this step. */
static tnrt_status save_as(tnrt_loop *l, const tnrt_action *action) {
  double value = NAN;
  if (action->has_best) {
    bool is_measured = l->measured_at[action->best.split] == l->step;
    value = tnrt_measured(l->plan, l->measures, action->best);
    tnrt_status status = is_measured && !isnan(value) ? TNRT_OK : evaluate(l, action->best.split, 0);
    if (status != TNRT_OK || l->is_cut) return status;
    value = tnrt_measured(l->plan, l->measures, action->best);
  }
  l->keep = (tnrt_keep){.last = action->n > 0 ? action->n : 1, .is_max = action->is_max != 0, .value = value};
  l->keep.has_value = !isnan(value);
  return tnrt_loop_save(l, &l->keep);
}

/* ---- text ---- */

enum { LINE = 150 };

/* How many of n bytes go on a line: no character is cut in two. */
static size_t line_of(const char *text, size_t n) {
  size_t bytes = n < LINE ? n : LINE, back = 0;
  while (bytes < n && back < 3 && ((unsigned char)text[bytes - back] & 0xc0) == 0x80) back++;
  return bytes - back;
}

/* "step 200: "Once upon" goes on: " a time"", a line each so many bytes. */
static tnrt_status sample_text(tnrt_loop *l, const tnrt_action *action) {
  size_t bytes = 0, n;
  if (!tnrt_loop_writes(l)) return TNRT_OK;
  tnrt_status status = tnrt_generate(&l->generator, &l->session, action, l->step, &bytes);
  for (size_t i = 0; (i < bytes || i == 0) && status == TNRT_OK; i += n + (n == 0)) {
    char raw[LINE + 1] = {0}, text[6 * LINE + 3];
    n = line_of(l->generator.text + i, bytes - i);
    memcpy(raw, l->generator.text + i, n);
    for (size_t k = 0; k < n; k++)
      if (raw[k] == 0) raw[k] = 0x7f; /* what ends a text here */
    tnrt_writer w = {text, sizeof text - 1, 0};
    tnrt_put_string(&w, raw);
    text[w.n < w.capacity ? w.n : w.capacity] = 0;
    if (i) tnrt_logs_note(l->logs, "  %s", text);
    else tnrt_logs_note(l->logs, "step %lld: '%.100s' goes on: %s", (long long)l->step,
                        tnrt_plan_text(l->plan, action->text), text);
  }
  return status;
}

/* ---- events ---- */

static tnrt_status act(tnrt_loop *l, const tnrt_action *action) {
  tnrt_report report = tnrt_loop_report(l);
  switch (action->kind) {
    case TNRT_ACTION_EVAL: return evaluate(l, action->split, action->n);
    case TNRT_ACTION_CHECKPOINT: return save_as(l, action);
    case TNRT_ACTION_SAMPLE: return sample_text(l, action);
    case TNRT_ACTION_LOG: return tnrt_logs_write(l->logs, action, &report), TNRT_OK;
    default: return TNRT_OK;
  }
}

/* The mean loss of the epoch's steps is what the training split measures at its end. */
static void end_epoch(tnrt_loop *l) {
  double *loss = &l->measures[TNRT_SPLIT_TRAIN * (1 + l->plan->n_metrics)];
  *loss = l->own->loss_weight > 0 ? l->own->loss_sum / l->own->loss_weight : NAN;
  l->own->loss_sum = l->own->loss_weight = 0;
  watch(l, TNRT_SPLIT_TRAIN);
  tnrt_report report = tnrt_loop_report(l);
  tnrt_logs_epoch(l->logs, &report);
}

/* Whether the next action is to be done: it was not before the resumption. */
static bool is_new(tnrt_loop *l) { return l->n_acted++ >= l->n_acted_before; }

tnrt_status tnrt_loop_events(tnrt_loop *l, uint32_t unit) {
  const tnrt_event *events = tnrt_plan_table(l->plan, l->plan->events);
  int64_t now = unit == TNRT_EVERY_STEPS ? l->step : l->epoch;
  tnrt_status status = TNRT_OK;
  if (unit == TNRT_EVERY_EPOCHS && is_new(l)) end_epoch(l);
  for (uint32_t i = 0; i < 2 * l->plan->n_events && status == TNRT_OK && !l->is_cut; i++) {
    const tnrt_event *event = &events[i % l->plan->n_events];
    const tnrt_action *actions = tnrt_plan_table(l->plan, event->actions);
    if (event->unit != unit || now % event->every != 0) continue;
    for (uint32_t k = 0; k < event->n_actions && status == TNRT_OK && !l->is_cut; k++)
      if ((actions[k].kind == TNRT_ACTION_EVAL) == (i < l->plan->n_events) && is_new(l)) status = act(l, &actions[k]);
  }
  return status;
}

tnrt_status tnrt_loop_stops(tnrt_loop *l, bool *out) {
  const tnrt_condition *stops = tnrt_plan_table(l->plan, l->plan->stops);
  const tnrt_stall *stalls = l->stalls;
  tnrt_status status = TNRT_OK;
  *out = false;
  for (uint32_t i = 0; i < l->plan->n_stops && status == TNRT_OK && !*out; i++) {
    status = tnrt_condition_holds(l->plan, l->message, &stops[i], l->measures, stalls, out);
    stalls += tnrt_condition_stalls(l->plan, &stops[i]);
    if (*out)
      tnrt_logs_note(l->logs, "step %lld: stops: %s", (long long)l->step, tnrt_plan_text(l->plan, stops[i].text));
  }
  return status;
}

/* Those of an `on`, reactions left out. */
static tnrt_status act_all(tnrt_loop *l, uint32_t table, uint32_t n) {
  const tnrt_action *actions = tnrt_plan_table(l->plan, table);
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++) status = act(l, &actions[i]);
  return status;
}

tnrt_status tnrt_loop_interrupt(tnrt_loop *l) {
  bool is_cut = l->is_cut; /* these are not */
  l->is_cut = false;
  tnrt_status status = act_all(l, l->plan->on_interrupt, l->plan->n_on_interrupt);
  l->is_cut = is_cut;
  return status;
}

/* ---- steps without a number ---- */

/* "iris.csv:7, iris.csv:12, ..." */
static void batch_places(const tnrt_loop *l, int64_t n, char *out, size_t bytes) {
  size_t used = 0;
  *out = 0;
  for (int64_t i = 0; i < n; i++) {
    char at[300];
    if (bytes - used < sizeof at + 8) {
      snprintf(out + used, bytes - used, ", ...");
      return;
    }
    tnrt_samples_place(&l->samples, l->positions[i], at, sizeof at);
    used += (size_t)snprintf(out + used, bytes - used, "%s%s", i ? ", " : "", at);
  }
}

/* cause: where it came from, or "". */
static tnrt_status fail_nan(const tnrt_loop *l, int64_t n, const char *why, const char *cause) {
  char places[420];
  batch_places(l, n, places, sizeof places);
  const char *what = isfinite(l->session.loss) ? "gradient" : "loss";
  return tnrt_fail(l->message, TNRT_BAD_INPUT,
                   "step %lld, epoch %lld: the %s is not a number%s%s; its batch of %lld: %s", (long long)l->step + 1,
                   (long long)l->epoch + 1, what, why, cause, (long long)n, places);
}

static tnrt_status roll_back(tnrt_loop *l) {
  tnrt_message message;
  double factor = l->own->lr_factor;
  tnrt_loop_pack(l);
  tnrt_status status = !tnrt_loop_writes(l) ? TNRT_OK : tnrt_store_restore(l->store, &message, &l->state.contents);
  if (status != TNRT_OK) return tnrt_fail(l->message, TNRT_BAD_INPUT, "no way back: %.400s", message.text);
  l->is_torn = true;
  status = tnrt_loop_broadcast(l, false);
  if (status != TNRT_OK) return status;
  tnrt_slices_take(&l->session);
  l->is_torn = false;
  tnrt_loop_unpack(l);
  l->own->lr_factor = factor; /* what was scaled stays scaled */
  return TNRT_OK;
}

tnrt_status tnrt_loop_nan(tnrt_loop *l, int64_t n, bool *out_again) {
  const tnrt_action *actions = tnrt_plan_table(l->plan, l->plan->on_nan);
  bool rolls = false, scales = false, skips = false;
  double factor = 1;
  int64_t step = l->step;
  for (uint32_t i = 0; i < l->plan->n_on_nan; i++) {
    rolls |= actions[i].kind == TNRT_ACTION_ROLLBACK;
    skips |= actions[i].kind == TNRT_ACTION_SKIP_BATCH;
    scales |= actions[i].kind == TNRT_ACTION_SCALE_LR;
    if (actions[i].kind == TNRT_ACTION_SCALE_LR) factor *= actions[i].factor;
  }
  *out_again = !skips;
  char cause[500];
  tnrt_trace_step(&l->session, &l->samples, l->positions, n, cause, sizeof cause);
  if (l->plan->n_on_nan == 0) return fail_nan(l, n, "", cause);
  if (++l->n_nans > MAX_NANS) return fail_nan(l, n, ", as in the hundred times before", cause);
  if (rolls && !scales && !skips && step == l->nan_step) return fail_nan(l, n, " once more after going back", cause);
  l->nan_step = step;
  if (rolls && skips) {
    if (l->n_skipped == TNRT_MAX_SKIPPED) return fail_nan(l, n, ", after 64 batches were left out", cause);
    l->skipped[l->n_skipped++] = step;
    *out_again = true;
  }
  tnrt_status status = act_all(l, l->plan->on_nan, l->plan->n_on_nan);
  if (status == TNRT_OK && rolls) status = roll_back(l);
  l->own->lr_factor *= factor;
  if (status == TNRT_OK)
    tnrt_logs_note(l->logs, "step %lld: the loss or a gradient is not a number%s%s%s%s", (long long)step + 1,
                   cause, rolls ? ", back to the last checkpoint" : "", scales ? ", smaller learning rate" : "",
                   skips ? ", batch left out" : "");
  return status;
}

/* ---- requirements ---- */

static tnrt_status read_best(tnrt_loop *l) {
  tnrt_reading *reading = NULL;
  tnrt_status status = tnrt_store_wait(l->store, l->message);
  if (status != TNRT_OK) return status;
  status = tnrt_checkpoint_open(l->message, l->alloc, l->plan, l->command, &reading);
  tnrt_state_bind(&l->state);
  if (status == TNRT_OK)
    status = tnrt_reading_fill(l->message, reading, l->state.contents.tensors, l->plan->n_weights);
  int64_t step = status == TNRT_OK ? tnrt_reading_integer(reading, "step", l->step) : l->step;
  tnrt_reading_close(reading);
  if (step != l->step)
    tnrt_logs_note(l->logs, "what is required is measured with the best weights, those of step %lld", (long long)step);
  return status;
}

/* What run, eval and export will use is what is judged: the best checkpoint where one is kept. */
static tnrt_status take_best(tnrt_loop *l) {
  if (!tnrt_plan_action(l->plan, TNRT_ACTION_CHECKPOINT, true)) return TNRT_OK;
  tnrt_status status = tnrt_loop_writes(l) ? read_best(l) : TNRT_OK;
  return status == TNRT_OK ? tnrt_loop_broadcast(l, true) : status;
}

static tnrt_status check_requirement(tnrt_loop *l, const tnrt_condition *condition) {
  char values[256];
  bool holds = false;
  tnrt_status status = tnrt_condition_holds(l->plan, l->message, condition, l->measures, NULL, &holds);
  if (status != TNRT_OK || holds) return status;
  tnrt_condition_values(l->plan, condition, l->measures, values, sizeof values);
  return tnrt_fail(l->message, TNRT_BAD_INPUT, "%.60s:%u: required: %.100s; measured: %s",
                   tnrt_plan_text(l->plan, l->plan->source_text), condition->line,
                   tnrt_plan_text(l->plan, condition->text), values);
}

tnrt_status tnrt_loop_require(tnrt_loop *l) {
  const tnrt_condition *requires = tnrt_plan_table(l->plan, l->plan->requires);
  tnrt_status status = l->plan->n_requires ? take_best(l) : TNRT_OK;
  for (uint32_t split = 0; split < TNRT_N_SPLITS && status == TNRT_OK; split++) {
    bool needed = false;
    for (uint32_t i = 0; i < l->plan->n_requires; i++)
      needed |= tnrt_condition_needs(l->plan, &requires[i], split);
    if (!needed) continue;
    status = tnrt_loop_measure(l, split, 0);
    if (l->is_cut) return status; /* it is asked for again when this is resumed */
    tnrt_report report = tnrt_loop_report(l);
    if (status == TNRT_OK) tnrt_logs_eval(l->logs, &report, split);
  }
  for (uint32_t i = 0; i < l->plan->n_requires && status == TNRT_OK; i++) status = check_requirement(l, &requires[i]);
  return status;
}
