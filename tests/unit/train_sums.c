/* Sums of samples in blocks (runtime/train/sums.h), held against sums of long doubles in two passes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/train/random.h"
#include "runtime/train/sums.h"

enum { COUNT = 3, MOST = 1000 };

static double numbers[MOST][COUNT];

/* Far from zero, so that squares of the numbers themselves would lose all digits; some are none. */
static void draw(void) {
  for (uint64_t i = 0; i < MOST; i++)
    for (uint64_t k = 0; k < COUNT; k++) {
      uint64_t bits = tnrt_random_bits(1, TNRT_STREAM_FIT, k, i);
      numbers[i][k] = k == 1 && bits % 5 == 0 ? NAN : 1e6 * (double)k + (double)(bits >> 40) * 0x1p-24;
    }
}

static void check_near(double found, long double expected) {
  assert_true(fabsl((long double)found - expected) <= 1e-14L * fabsl(expected) + 1e-15L);
}

static void check_element(const double *sums, int n, int k) {
  long double sum = 0, squares = 0, least = INFINITY, greatest = -INFINITY, seen = 0;
  for (int i = 0; i < n; i++) {
    if (isnan(numbers[i][k])) continue;
    sum += (long double)numbers[i][k];
    seen++;
    least = fminl(least, (long double)numbers[i][k]);
    greatest = fmaxl(greatest, (long double)numbers[i][k]);
  }
  for (int i = 0; i < n; i++) {
    long double difference = isnan(numbers[i][k]) ? 0 : (long double)numbers[i][k] - sum / seen;
    squares += difference * difference;
  }
  assert_true(sums[TNRT_SUM_COUNT] == (double)seen);
  assert_true(sums[TNRT_SUM_LEAST] == (double)least && sums[TNRT_SUM_GREATEST] == (double)greatest);
  check_near(sums[TNRT_SUM_MEAN], sum / seen);
  /* The mean is rounded to 2e-10; sums of the numbers' squares would be wrong by 1e-4. */
  assert_true(fabsl((long double)sums[TNRT_SUM_SQUARES] - squares) <= 1e-9L * (long double)n);
}

static void sums_of_samples(void **state) {
  (void)state;
  tnrt_message m;
  draw();
  for (int n = 1; n <= MOST; n += n < 300 ? 1 : 37) {
    tnrt_sums s = {.alloc = &tnrt_alloc_libc};
    for (int i = 0; i < n; i++) assert_int_equal(tnrt_sums_add(&s, &m, i, numbers[i], COUNT), TNRT_OK);
    assert_int_equal(tnrt_sums_end(&s, &m, NULL), TNRT_OK);
    assert_int_equal(s.n, 1);
    for (int k = 0; k < COUNT; k++)
      if (k != 1 || n > 20) check_element(s.nodes[0].sums + TNRT_N_SUMS * k, n, k);
    tnrt_sums_free(&s);
  }
}

static void other_counts(void **state) {
  (void)state;
  tnrt_message m;
  tnrt_sums s = {.alloc = &tnrt_alloc_libc};
  assert_int_equal(tnrt_sums_add(&s, &m, 0, numbers[0], 2), TNRT_OK);
  assert_int_equal(tnrt_sums_add(&s, &m, 1, numbers[1], 3), TNRT_BAD_INPUT);
  assert_string_equal(m.text, "expected 2 numbers, as many as in the records before, found 3");
  tnrt_sums_free(&s);
}

/* Whole blocks, one process behind the other. */
static void shares(void **state) {
  (void)state;
  for (int64_t n = 0; n < 1000; n += 7)
    for (int size = 1; size < 12; size++) {
      int64_t next = 0, first, end;
      for (int r = 0; r < size; r++, next = end) {
        tnrt_sums_share(n, r, size, &first, &end);
        assert_int_equal(first, next);
        assert_true(end >= first && (end == n || end % TNRT_SUMS_BLOCK == 0));
      }
      assert_int_equal(next, n);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sums_of_samples), cmocka_unit_test(other_counts),
                                     cmocka_unit_test(shares)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
