/* What long work shows on standard error, drawn by a timer's signal so that no pass has to think of it. As in
 * signals.c, the state is not in a context: a signal handler has no argument for one. The handler calls
 * async-signal-safe functions only. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "frontend/driver/driver.h"

#define FIRST_BAR_MS 1000
#define BAR_MS 200
#define LINE_MS 10000
#define BAR_CELLS 24
#define LINE_BYTES 256

static const char *_Atomic stage;
static const char *_Atomic input;
static atomic_ullong stage_done, stage_total;
static volatile sig_atomic_t on_terminal, is_drawn;
static struct timespec started;

static void put_text(char *line, size_t *n, const char *text) {
  while (*text && *n < LINE_BYTES - 1) {
    unsigned char c = (unsigned char)*text++;
    line[(*n)++] = (char)(c < ' ' || c == 0x7f ? '?' : c); /* a file's name may hold what moves a cursor */
  }
}

static void put_number(char *line, size_t *n, unsigned long long value) {
  char digits[24];
  size_t at = sizeof(digits) - 1;
  digits[at] = 0;
  do digits[--at] = (char)('0' + value % 10);
  while ((value /= 10) > 0);
  put_text(line, n, digits + at);
}

static void put_bar(char *line, size_t *n, unsigned long long done, unsigned long long total) {
  unsigned long long cells = total ? (unsigned long long)((double)done / (double)total * BAR_CELLS) : 0;
  put_text(line, n, "[");
  for (unsigned long long i = 0; i < BAR_CELLS; i++) put_text(line, n, i < cells ? "#" : ".");
  put_text(line, n, "] ");
}

static void put_state(char *line, size_t *n) {
  struct timespec now;
  unsigned long long done = stage_done, total = stage_total;
  clock_gettime(CLOCK_MONOTONIC, &now);
  put_text(line, n, stage);
  if (total > 0) {
    put_text(line, n, ", ");
    put_number(line, n, done * 100 / total);
    put_text(line, n, " %");
  }
  put_text(line, n, ", ");
  put_number(line, n, (unsigned long long)(now.tv_sec - started.tv_sec - (now.tv_nsec < started.tv_nsec)));
  put_text(line, n, " s");
}

static void draw(int number) {
  char line[LINE_BYTES + 8];
  size_t n = 0;
  int kept = errno;
  (void)number;
  if (on_terminal) {
    line[n++] = '\r';
    put_bar(line, &n, stage_done, stage_total);
    put_state(line, &n);
    memcpy(line + n, "\033[K", 3); /* what a longer line left behind */
    n += 3;
    is_drawn = 1;
  } else {
    put_text(line, &n, "tenon: ");
    put_text(line, &n, input);
    put_text(line, &n, ": ");
    put_state(line, &n);
    line[n++] = '\n';
  }
  if (write(STDERR_FILENO, line, n) < 0) { /* then nobody watches */
  }
  errno = kept;
}

static void tell(const char *what, uint64_t done, uint64_t total) {
  stage_total = 0; /* so that the handler never sees the one with the other's total */
  stage = what;
  stage_done = done;
  stage_total = total;
}

static bool wants_bar(const tn_driver_options *o) {
  const char *terminal = getenv("TERM");
  bool prints = o->verbose || o->time_passes || o->dump_after.n > 0;
  return isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0 && !prints;
}

static void set_timer(long first_ms, long ms) {
  struct itimerval timer = {{ms / 1000, ms % 1000 * 1000}, {first_ms / 1000, first_ms % 1000 * 1000}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

void tn_driver_progress_start(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  struct sigaction action = {.sa_handler = draw, .sa_flags = SA_RESTART};
  if (o->format != FORMAT_TEXT || o->commands) return; /* a program reads what is printed */
  tn_driver_progress_stop(driver);
  clock_gettime(CLOCK_MONOTONIC, &started);
  stage = input = driver->input->path;
  on_terminal = wants_bar(o);
  driver->ctx->progress.tell = tell;
  sigaction(SIGALRM, &action, NULL);
  if (on_terminal) set_timer(FIRST_BAR_MS, BAR_MS);
  else set_timer(LINE_MS, LINE_MS);
}

void tn_driver_progress_stop(tn_driver *driver) {
  static const char erase[] = "\r\033[K";
  if (!driver->ctx->progress.tell) return;
  set_timer(0, 0);
  if (is_drawn && write(STDERR_FILENO, erase, sizeof(erase) - 1) < 0) { /* then nobody watches */
  }
  is_drawn = 0;
  driver->ctx->progress.tell = NULL;
}
