/* Which evaluations become lines: one in ten seconds, the best and the last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/train/told.h"

static const int64_t second = 1000000000;

/* An evaluation each second with these losses; what was said. elsewhere: no terminal. */
static const char *say(const double *losses, int n, bool elsewhere, char *out, size_t capacity) {
  static const tnrt_training plan = {.n_metrics = 0};
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  tnrt_progress progress = {.fd = ends[1], .terminal = {.is_drawn_over = !elsewhere}};
  tnrt_told told;
  tnrt_told_start(&told, &plan, TNRT_SPLIT_VALID, 0);
  for (int i = 0; i < n; i++) {
    double measures[TNRT_N_SPLITS] = {0, losses[i], 0};
    char line[32];
    snprintf(line, sizeof line, "%d", i + 1);
    tnrt_told_add(&told, &progress, &plan, measures, line, (i + 1) * second);
  }
  tnrt_told_finish(&told, &progress);
  close(ends[1]);
  ssize_t got = read(ends[0], out, capacity - 1);
  out[got > 0 ? got : 0] = 0;
  close(ends[0]);
  return out;
}

static void test_lines(void **state) {
  (void)state;
  char text[512];
  double falls[25], rises[25];
  for (int i = 0; i < 25; i++) {
    falls[i] = 1.0 / (i + 1);
    rises[i] = i == 3 ? 0 : i;
  }
  assert_string_equal(say(falls, 0, true, text, sizeof text), "");
  assert_string_equal(say(falls, 1, true, text, sizeof text), "1\n");
  assert_string_equal(say(falls, 8, true, text, sizeof text), "8 (best)\n");
  assert_string_equal(say(rises + 1, 8, true, text, sizeof text), "3 (best)\n8\n");
  assert_string_equal(say(falls, 25, true, text, sizeof text), "10\n20\n25 (best)\n");
  assert_string_equal(say(rises + 1, 20, true, text, sizeof text), "10\n20\n3 (best)\n");
  assert_string_equal(say(rises + 1, 24, false, text, sizeof text), "3 (best)\n24\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
