/* Requests to stop (signals.h). The signals are blocked in all threads and taken by one that waits for them, so that
 * there is no handler, and nothing global that a handler would write. */
#include "runtime/train/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/core/runtime.h"

struct tnrt_signals {
  pthread_t thread;
  sigset_t waited, before; /* for; the mask that held before */
  struct sigaction pipe_before;
  atomic_int first;
  atomic_bool ends;
};

typedef struct signal_row {
  int number;
  const char *name;
} signal_row;

static const signal_row rows[] = {{SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

const char *tnrt_signal_name(int number) {
  for (int i = 0; i < N_ROWS; i++)
    if (rows[i].number == number) return rows[i].name;
  return "a signal";
}

static void die_of(int number) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  signal(number, SIG_DFL);
  raise(number);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

static void *wait_for_signals(void *user) {
  tnrt_signals *s = user;
  int interrupts = 0, number;
  while (sigwait(&s->waited, &number) == 0 && !atomic_load(&s->ends)) {
    int none = 0;
    atomic_compare_exchange_strong(&s->first, &none, number);
    if (number == SIGINT && ++interrupts == 2) die_of(SIGINT);
  }
  return NULL;
}

/* Those that are ignored (of a program behind '&' in a script) stay so. */
static void choose(sigset_t *out) {
  sigemptyset(out);
  for (int i = 0; i < N_ROWS; i++) {
    struct sigaction now;
    if (sigaction(rows[i].number, NULL, &now) == 0 && now.sa_handler != SIG_IGN) sigaddset(out, rows[i].number);
  }
  /* What tnrt_signals_close wakes the thread by. */
  sigaddset(out, SIGUSR2);
}

tnrt_status tnrt_signals_open(tnrt_signals **out, tnrt_message *message) {
  const struct sigaction ignored = {.sa_handler = SIG_IGN};
  *out = NULL;
  tnrt_signals *s = tnrt_alloc_libc.get(NULL, sizeof *s, 64);
  if (!s) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for signals");
  memset(s, 0, sizeof *s);
  choose(&s->waited);
  pthread_sigmask(SIG_BLOCK, &s->waited, &s->before);
  sigaction(SIGPIPE, &ignored, &s->pipe_before);
  if (pthread_create(&s->thread, NULL, wait_for_signals, s) == 0) return *out = s, TNRT_OK;
  sigaction(SIGPIPE, &s->pipe_before, NULL);
  pthread_sigmask(SIG_SETMASK, &s->before, NULL);
  tnrt_alloc_libc.give(NULL, s);
  return tnrt_fail(message, TNRT_NO_MEMORY, "no thread for signals");
}

void tnrt_signals_close(tnrt_signals *s) {
  if (!s) return;
  atomic_store(&s->ends, true);
  pthread_kill(s->thread, SIGUSR2);
  pthread_join(s->thread, NULL);
  sigaction(SIGPIPE, &s->pipe_before, NULL);
  pthread_sigmask(SIG_SETMASK, &s->before, NULL);
  tnrt_alloc_libc.give(NULL, s);
}

int tnrt_signals_ask(const void *signals) { return signals ? tnrt_signals_pending(signals) : 0; }

int tnrt_signals_pending(const tnrt_signals *s) { return atomic_load_explicit(&s->first, memory_order_relaxed); }
