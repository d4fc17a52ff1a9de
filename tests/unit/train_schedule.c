/* Learning rates against torch.optim.lr_scheduler (2.x, CPU), whose values stand here as tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/train/schedule.h"

enum { N = 10 };

static void near(double got, double want, double tolerance) { assert_true(fabs(got - want) <= tolerance); }

static void compare(const tnrt_schedule *s, const double *want) {
  tnrt_plateau plateau = tnrt_plateau_start();
  for (int64_t i = 0; i < N; i++)
    near(tnrt_schedule_rate(s, &plateau, i, N), want[i], 1e-15);
  /* The same behind a warm-up that rises evenly from 0. */
  tnrt_schedule late = *s;
  late.warmup = 4;
  for (int64_t i = 0; i < 4; i++)
    near(tnrt_schedule_rate(&late, &plateau, i, N + 4), s->lr * (double)i / 4, 1e-15);
  for (int64_t i = 0; i < N; i++)
    near(tnrt_schedule_rate(&late, &plateau, i + 4, N + 4), want[i], 1e-15);
}

static void follows_torch(void **state) {
  (void)state;
  /* StepLR(3, 0.5), ExponentialLR(0.5^(1/4)), CosineAnnealingLR(10, 0.01), OneCycleLR(0.1, 10, 0.3, 25, 1e30) */
  const double constant[N] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
  const double step[N] = {0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.0125};
  const double exponential[N] = {0.1, 0.084089641525371461, 0.070710678118654752, 0.05946035575013605,
                                 0.049999999999999996, 0.042044820762685724, 0.035355339059327369,
                                 0.029730177875068018, 0.024999999999999991, 0.021022410381342855};
  const double cosine[N] = {0.1, 0.097797543233281922, 0.091405764746872634, 0.08145033635316129,
                            0.068905764746872641, 0.055000000000000007, 0.041094235253127373, 0.028549663646838717,
                            0.01859423525312737, 0.012202456766718092};
  const double one_cycle[N] = {0.0040000000000000036, 0.052000000000000005, 0.1, 0.09504844339512096,
                               0.081174490092936688, 0.061126046697815718, 0.038873953302184287, 0.018825509907063328,
                               0.0049515566048790489, 0};
  compare(&(tnrt_schedule){.kind = TNRT_SCHEDULE_CONSTANT, .lr = 0.1}, constant);
  compare(&(tnrt_schedule){.kind = TNRT_SCHEDULE_STEP, .lr = 0.1, .every = 3, .factor = 0.5}, step);
  compare(&(tnrt_schedule){.kind = TNRT_SCHEDULE_EXPONENTIAL, .lr = 0.1, .every = 4, .factor = 0.5}, exponential);
  compare(&(tnrt_schedule){.kind = TNRT_SCHEDULE_COSINE, .lr = 0.1, .to = 0.01}, cosine);
  compare(&(tnrt_schedule){.kind = TNRT_SCHEDULE_ONE_CYCLE, .lr = 0.1, .peak = 0.3, .start = 0.04}, one_cycle);
}

/* ReduceLROnPlateau(factor=0.1, patience=2, threshold=0); to: no lower than this. */
static void falls_on_a_plateau(void **state) {
  (void)state;
  const double watched[] = {1, 0.9, 0.95, 0.9, 0.91, 0.8, 0.85, 0.85, 0.85, 0.85, 0.85, 0.7, 0.7};
  const double want[] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001, 0.001};
  tnrt_schedule s = {.kind = TNRT_SCHEDULE_PLATEAU, .lr = 0.1, .factor = 0.1, .patience = 2};
  tnrt_plateau down = tnrt_plateau_start(), up = tnrt_plateau_start();
  for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++) {
    s.to = 0;
    near(tnrt_schedule_rate(&s, &down, (int64_t)i, 0), want[i], 1e-15);
    s.to = 0.005;
    near(tnrt_schedule_rate(&s, &down, (int64_t)i, 0), want[i] > 0.005 ? want[i] : 0.005, 1e-15);
    s.is_max = 0;
    tnrt_schedule_watch(&s, &down, watched[i]);
    s.is_max = 1;
    tnrt_schedule_watch(&s, &up, -watched[i]);
    near(up.factor, down.factor, 0);
  }
}

static void knows_what_is_better(void **state) {
  (void)state;
  const double nan = __builtin_nan("");
  assert_true(tnrt_is_better(1, 2, false));
  assert_false(tnrt_is_better(2, 2, false));
  assert_true(tnrt_is_better(3, 2, true));
  assert_false(tnrt_is_better(nan, 2, false));
  assert_true(tnrt_is_better(2, nan, true));
}

static void needs_an_end(void **state) {
  (void)state;
  tnrt_message message;
  tnrt_schedule s = {.kind = TNRT_SCHEDULE_COSINE, .lr = 0.1};
  assert_int_equal(tnrt_schedule_check(&message, &s, 0), TNRT_BAD_INPUT);
  assert_int_equal(tnrt_schedule_check(&message, &s, 1), TNRT_OK);
  s.kind = TNRT_SCHEDULE_PLATEAU;
  assert_int_equal(tnrt_schedule_check(&message, &s, 0), TNRT_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(follows_torch),
      cmocka_unit_test(falls_on_a_plateau),
      cmocka_unit_test(knows_what_is_better),
      cmocka_unit_test(needs_an_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
