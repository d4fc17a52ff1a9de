/* Learning rates; see schedule.h. The formulas are those of torch.optim.lr_scheduler: StepLR, CosineAnnealingLR,
 * OneCycleLR (cosine), ReduceLROnPlateau (threshold 0), each behind a linear warm-up. */
#include "runtime/train/schedule.h"

#include <math.h>

tnrt_status tnrt_schedule_check(tnrt_message *message, const tnrt_schedule *s, int64_t n_steps) {
  bool needs_end = s->kind == TNRT_SCHEDULE_COSINE || s->kind == TNRT_SCHEDULE_ONE_CYCLE;
  if (needs_end && n_steps == 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "the learning rate falls until the last step: steps or epochs must say "
                     "which that is");
  return TNRT_OK;
}

static double half_cosine(double from, double to, double part) { return to + (from - to) * (1 + cos(M_PI * part)) / 2; }

static double one_cycle(const tnrt_schedule *s, int64_t step, int64_t n_steps) {
  double top = s->peak * (double)n_steps - 1, end = (double)(n_steps - 1), at = (double)step;
  if (at <= top) return half_cosine(s->lr * s->start, s->lr, top > 0 ? at / top : 1);
  return half_cosine(s->lr, s->to, end > top && at < end ? (at - top) / (end - top) : 1);
}

double tnrt_schedule_rate(const tnrt_schedule *s, const tnrt_plateau *plateau, int64_t step, int64_t n_steps) {
  if (step < s->warmup) return s->lr * (double)step / (double)s->warmup;
  step -= s->warmup;
  n_steps -= s->warmup;
  double rate = s->lr;
  switch (s->kind) {
    case TNRT_SCHEDULE_STEP: return s->lr * pow(s->factor, (double)(step / s->every));
    case TNRT_SCHEDULE_EXPONENTIAL: return s->lr * pow(s->factor, (double)step / (double)s->every);
    case TNRT_SCHEDULE_COSINE: return half_cosine(s->lr, s->to, step < n_steps ? (double)step / (double)n_steps : 1);
    case TNRT_SCHEDULE_ONE_CYCLE: return one_cycle(s, step, n_steps);
    case TNRT_SCHEDULE_PLATEAU: rate *= plateau->factor; return rate > s->to ? rate : s->to;
    default: return rate;
  }
}

bool tnrt_is_better(double a, double b, bool is_max) {
  if (isnan(a)) return false;
  return isnan(b) || (is_max ? a > b : a < b);
}

void tnrt_schedule_watch(const tnrt_schedule *s, tnrt_plateau *p, double value) {
  if (p->has_best == 0 || tnrt_is_better(value, p->best, s->is_max != 0)) {
    p->best = value;
    p->has_best = 1;
    p->bad = 0;
    return;
  }
  p->bad++;
  if (p->bad <= (double)s->patience) return;
  p->factor *= s->factor;
  p->bad = 0;
}
