/* Metrics from their statistics, against values worked out by hand (and by scikit-learn's definitions), and sums over
 * several batches. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/train/measures.h"

static void near(double got, double want, double tolerance) { assert_true(fabs(got - want) <= tolerance); }

static double of(const double *counts, uint32_t kind, uint32_t average) {
  return tnrt_measure_counts(counts, 3, kind, average);
}

static void counts_of_classes(void **state) {
  (void)state;
  /* labels down, answers across; no sample has class 2, which is answered once */
  const double counts[9] = {3, 1, 0, 2, 4, 1, 0, 0, 0};
  near(of(counts, TNRT_METRIC_ACCURACY, 0), 7.0 / 11, 1e-15);
  near(of(counts, TNRT_METRIC_PRECISION, TNRT_AVERAGE_MACRO), (3.0 / 5 + 4.0 / 5 + 0) / 3, 1e-15);
  near(of(counts, TNRT_METRIC_RECALL, TNRT_AVERAGE_MACRO), (3.0 / 4 + 4.0 / 7 + 0) / 3, 1e-15);
  near(of(counts, TNRT_METRIC_F1, TNRT_AVERAGE_MACRO), (6.0 / 9 + 8.0 / 12 + 0) / 3, 1e-15);
  near(of(counts, TNRT_METRIC_F1, TNRT_AVERAGE_MICRO), 7.0 / 11, 1e-15);
  near(of(counts, TNRT_METRIC_RECALL, TNRT_AVERAGE_BINARY), 4.0 / 7, 1e-15);
  const double none[9] = {0};
  near(of(none, TNRT_METRIC_ACCURACY, 0), 0, 0);
  near(of(none, TNRT_METRIC_F1, TNRT_AVERAGE_MACRO), 0, 0);
}

static void area_under_the_curve(void **state) {
  (void)state;
  uint32_t order[6];
  const float scores[] = {0.1f, 0.4f, 0.35f, 0.8f}, labels[] = {0, 0, 1, 1}; /* scikit-learn's example: 0.75 */
  near(tnrt_measure_auc(scores, labels, order, 4), 0.75, 1e-15);
  const float ties[] = {1, 1, 2, 2, 2, 3}, of_ties[] = {0, 1, 0, 1, 1, 1};
  /* pairs (one, zero): 1 of (1,2): 0.5+0, 2,2: 1+0.5 each, 3: 1+1; over 4 * 2 */
  near(tnrt_measure_auc(ties, of_ties, order, 6), (0.5 + 1.5 + 1.5 + 2) / 8, 1e-15);
  const float ones[] = {1, 1, 1, 1};
  assert_true(isnan(tnrt_measure_auc(scores, ones, order, 4)));
  const float wrong[] = {0.1f, NAN, 0.35f, 0.8f};
  assert_true(isnan(tnrt_measure_auc(wrong, labels, order, 4)));
}

typedef struct measured {
  tnrt_training head;
  tnrt_metric metrics[5];
  char texts[8];
} measured;

static void sums_batches(void **state) {
  (void)state;
  const measured plan = {
      .head = {.n_metrics = 5, .metrics = offsetof(measured, metrics)},
      .metrics = {{.kind = TNRT_METRIC_MEAN, .count = 2}, {.kind = TNRT_METRIC_AUC, .count = 1},
                  {.kind = TNRT_METRIC_ROOT, .count = 2}, {.kind = TNRT_METRIC_R2, .count = 4},
                  {.kind = TNRT_METRIC_EXP, .count = 2}}};
  tnrt_message message;
  tnrt_tally tally;
  tnrt_world world = {.size = 1};
  void *outputs[6];
  double out[6];
  assert_int_equal(tnrt_tally_open(&tally, &message, &tnrt_alloc_libc, &plan.head, &world, 4, 3), TNRT_OK);
  for (int pass = 0; pass < 2; pass++) { /* the second starts anew */
    tnrt_tally_start(&tally, 0);
    assert_int_equal(tnrt_tally_bind(&tally, outputs), 6);
    const float scores[2][3] = {{0.1f, 0.4f, 0.35f}, {0.8f}}, labels[2][3] = {{0, 0, 1}, {1}};
    /* b = 1, 2, 3 and 4; a = 1, 2, 4 and 4 */
    const double r2[2][4] = {{3, 6, 14, 1}, {1, 4, 16, 0}};
    for (int batch = 0; batch < 2; batch++) {
      int n = batch ? 1 : 3;
      for (int i = 0; i < 6; i += i == 0 ? 3 : 2) memcpy(outputs[i], (const double[]){8, n}, 16);
      memcpy(outputs[1], scores[batch], (size_t)n * sizeof(float));
      memcpy(outputs[2], labels[batch], (size_t)n * sizeof(float));
      memcpy(outputs[4], r2[batch], sizeof r2[batch]);
      tnrt_tally_add(&tally, batch ? 5 : 1, n);
    }
    tnrt_tally_finish(&tally, out);
    near(out[0], (3 * 1 + 1 * 5) / 4.0, 1e-15);
    near(out[1], 16.0 / 4, 1e-15);
    near(out[2], 0.75, 1e-15);
    near(out[3], 2, 1e-15);
    near(out[4], 1 - 1 / 5.0, 1e-15);
    near(out[5], exp(4), 1e-12);
  }
  tnrt_tally_start(&tally, 0);
  tnrt_tally_finish(&tally, out);
  for (int i = 0; i < 6; i++) assert_true(isnan(out[i]));
  tnrt_tally_close(&tally);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_of_classes),
      cmocka_unit_test(area_under_the_curve),
      cmocka_unit_test(sums_batches),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
