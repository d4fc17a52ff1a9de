/* Requests to stop: the first signal is remembered, a second SIGINT ends the process, what held before holds again. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/train/signals.h"

static int wait_for(const tnrt_signals *signals) {
  for (int i = 0; i < 5000 && !tnrt_signals_pending(signals); i++)
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  return tnrt_signals_pending(signals);
}

static void remembered(void **state) {
  (void)state;
  static const int numbers[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
  for (int i = 0; i < 4; i++) {
    tnrt_signals *signals;
    tnrt_message message;
    assert_int_equal(tnrt_signals_open(&signals, &message), TNRT_OK);
    assert_int_equal(tnrt_signals_pending(signals), 0);
    kill(getpid(), numbers[i]);
    assert_int_equal(wait_for(signals), numbers[i]);
    kill(getpid(), SIGTERM); /* the first one counts, and this one is taken */
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_int_equal(tnrt_signals_pending(signals), numbers[i]);
    tnrt_signals_close(signals);
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    for (int k = 0; k < 4; k++) assert_false(sigismember(&now, numbers[k]));
  }
}

static void second_interrupt(void **state) {
  (void)state;
  pid_t child = fork();
  if (child == 0) {
    tnrt_signals *signals;
    tnrt_message message;
    if (tnrt_signals_open(&signals, &message) != TNRT_OK) _exit(2);
    kill(getpid(), SIGINT);
    if (wait_for(signals) != SIGINT) _exit(3);
    kill(getpid(), SIGINT);
    sleep(20);
    _exit(4);
  }
  int status;
  waitpid(child, &status, 0);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static void ignored_before(void **state) {
  (void)state;
  tnrt_signals *signals;
  tnrt_message message;
  signal(SIGINT, SIG_IGN);
  assert_int_equal(tnrt_signals_open(&signals, &message), TNRT_OK);
  kill(getpid(), SIGINT);
  kill(getpid(), SIGUSR1);
  assert_int_equal(wait_for(signals), SIGUSR1);
  tnrt_signals_close(signals);
  signal(SIGINT, SIG_DFL);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(remembered), cmocka_unit_test(second_interrupt),
                                     cmocka_unit_test(ignored_before)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
