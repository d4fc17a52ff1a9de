/* Evaluations in lines (told.h). */
#include "runtime/train/told.h"

#include <math.h>

#include "runtime/train/condition.h"

static const int64_t line_ns = INT64_C(10000000000);

/* The first that the plan names of this split. */
static bool find_kept(const tnrt_training *p, uint32_t split, tnrt_told *out) {
  const tnrt_event *events = tnrt_plan_table(p, p->events);
  for (uint32_t i = 0; i < p->n_events; i++) {
    const tnrt_action *actions = tnrt_plan_table(p, events[i].actions);
    for (uint32_t k = 0; k < events[i].n_actions; k++) {
      if (actions[k].kind != TNRT_ACTION_CHECKPOINT || !actions[k].has_best || actions[k].best.split != split) continue;
      out->by = actions[k].best;
      out->is_max = actions[k].is_max != 0;
      return true;
    }
  }
  return false;
}

static void find_awaited(const tnrt_training *p, uint32_t split, tnrt_told *out) {
  const tnrt_condition *stops = tnrt_plan_table(p, p->stops);
  for (uint32_t i = p->n_stops; i-- > 0;) {
    const tnrt_term *terms = tnrt_plan_table(p, stops[i].terms);
    for (uint32_t k = stops[i].n_terms; k-- > 0;) {
      if (terms[k].kind != TNRT_TERM_STALLED || terms[k].watch.split != split) continue;
      out->by = terms[k].watch;
      out->is_max = terms[k].is_max != 0;
    }
  }
}

void tnrt_told_start(tnrt_told *t, const tnrt_training *plan, uint32_t split, int64_t now_ns) {
  *t = (tnrt_told){.by = {split, 0}, .next_ns = now_ns + line_ns, .value = NAN};
  if (!find_kept(plan, split, t)) find_awaited(plan, split, t);
}

void tnrt_told_add(tnrt_told *t, tnrt_progress *progress, const tnrt_training *plan, const double *measures,
                   const char *line, int64_t now_ns) {
  double value = tnrt_measured(plan, measures, t->by);
  t->n++;
  tnrt_text(t->last, sizeof t->last, "%s", line);
  t->is_last_best = isnan(t->value) || (t->is_max ? value > t->value : value < t->value);
  if (t->is_last_best) {
    t->value = value;
    tnrt_text(t->best, sizeof t->best, "%s", line);
  }
  t->is_last_told = now_ns >= t->next_ns && !progress->terminal.is_drawn_over;
  if (!t->is_last_told) return;
  t->next_ns = now_ns + line_ns;
  tnrt_progress_say(progress, progress->fd, line);
}

void tnrt_told_finish(tnrt_told *t, tnrt_progress *progress) {
  char line[TNRT_PROGRESS_BYTES + 16];
  if (t->n > 1) {
    tnrt_text(line, sizeof line, "%s (best)", t->best);
    tnrt_progress_say(progress, progress->fd, line);
  }
  if (t->n == 1 || (t->n > 1 && !t->is_last_best))
    if (!t->is_last_told) tnrt_progress_say(progress, progress->fd, t->last);
  t->n = 0;
}
