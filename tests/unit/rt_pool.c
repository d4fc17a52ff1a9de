/* The pool: every part runs exactly once, whatever the number of threads, whether they spin or sleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "runtime/core/runtime.h"

enum { MOST = 1000 };

typedef struct job {
  int counts[MOST]; /* plain on purpose: two threads on one part are a race that TSan sees */
  int64_t n_workers;
  _Atomic int bad_worker;
} job;

static void count(const void *frame, int64_t lo, int64_t hi, int64_t worker) {
  job *j = (job *)(uintptr_t)frame;
  if (worker < 0 || worker >= j->n_workers) atomic_store(&j->bad_worker, 1);
  for (int64_t i = lo; i < hi; i++) j->counts[i]++;
}

static void nap(long us) {
  nanosleep(&(struct timespec){0, us * 1000}, NULL);
}

static void parts_run_once(void **state) {
  (void)state;
  for (int threads = 1; threads <= 5; threads++) {
    tnrt_pool *pool = tnrt_pool_create(&tnrt_alloc_libc, threads);
    assert_non_null(pool);
    job j = {.n_workers = threads};
    int rounds = 2000; /* a job of few parts before one of many once let a late thread claim what was not there */
    for (int round = 0; round < rounds; round++) {
      if (round % 200 == 0) nap(200); /* long enough that the threads sleep */
      tnrt_pool_run(pool, count, &j, 1 + round * 7 % MOST);
    }
    for (int i = 0; i < MOST; i++) {
      int want = 0;
      for (int round = 0; round < rounds; round++) want += i < 1 + round * 7 % MOST;
      assert_int_equal(j.counts[i], want);
    }
    assert_int_equal(j.bad_worker, 0);
    tnrt_pool_destroy(pool);
  }
}

static void starts_and_stops(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    tnrt_pool *pool = tnrt_pool_create(&tnrt_alloc_libc, 4);
    assert_non_null(pool);
    job j = {.n_workers = 4};
    if (i % 2) tnrt_pool_run(pool, count, &j, 10);
    if (i % 3 == 0) nap(100);
    tnrt_pool_destroy(pool);
  }
  assert_null(tnrt_pool_create(&tnrt_alloc_libc, 0));
  tnrt_pool_destroy(NULL);
}

static void nothing_to_do(void **state) {
  (void)state;
  job j = {.n_workers = 1};
  tnrt_pool_run(NULL, count, &j, 0);
  assert_int_equal(j.counts[0], 0);
  tnrt_pool_run(NULL, count, &j, 3);
  assert_int_equal(j.counts[2], 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(parts_run_once), cmocka_unit_test(starts_and_stops),
                                     cmocka_unit_test(nothing_to_do)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
