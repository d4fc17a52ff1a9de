/* Interrupted or crashed, tenon leaves no temporary. The one place of the compiler with state that is not in a context:
 * a signal handler has no argument for one. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/driver/driver.h"

#define MAX_TEMPORARIES 8
#define MAX_PATH_BYTES 4096

typedef struct temporary {
  volatile sig_atomic_t used;
  const tn_output *output;
  char path[MAX_PATH_BYTES];
} temporary;

static temporary temporaries[MAX_TEMPORARIES];
static volatile sig_atomic_t running_linker; /* its process group */
static volatile sig_atomic_t owner;          /* our process number: workers inherit the handlers */
static int n_words;
static char **words;
static char crash_path[64];
static char alternate_stack[1 << 16];

volatile sig_atomic_t *tn_driver_running_linker(void) { return &running_linker; }

void tn_driver_remove_temporaries(void) {
  if (getpid() != (pid_t)owner) return;
  if (running_linker > 0) {
    kill(-(pid_t)running_linker, SIGKILL);
    /* What it started may be about to create our temporary. As its orphans become our children, all are waited for. */
    while (waitpid(-(pid_t)running_linker, NULL, 0) > 0 || errno == EINTR) continue;
  }
  for (size_t i = 0; i < MAX_TEMPORARIES; i++)
    if (temporaries[i].used) unlink(temporaries[i].path);
}

static void say(int fd, const char *text) {
  if (write(fd, text, strlen(text)) < 0) { /* nobody is left to tell */
  }
}

static void interrupted(int number) {
  tn_driver_remove_temporaries();
  raise(number); /* the handler is reset on entry: this ends the process in the way its parent expects */
}

/* A crash is a fault of tenon: it leaves the command line in a file to report. */
static void crashed(int number) {
  tn_driver_remove_temporaries();
  if (getpid() != (pid_t)owner) {
    raise(number);
    return;
  }
  int fd = open(crash_path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  for (int i = 0; fd >= 0 && i < n_words; i++) {
    say(fd, words[i]);
    say(fd, "\n");
  }
  say(STDERR_FILENO, "tenon: fault: the compiler crashed; please report it with the model and the command line in ");
  say(STDERR_FILENO, fd >= 0 ? crash_path : "this call");
  say(STDERR_FILENO, "\n");
  _exit(EXIT_FAULT);
}

#if defined(__SANITIZE_ADDRESS__)
#define CRASHES_ARE_OURS 0 /* the sanitizer tells more */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CRASHES_ARE_OURS 0
#endif
#endif
#ifndef CRASHES_ARE_OURS
#define CRASHES_ARE_OURS 1
#endif

void tn_driver_catch_signals(int argc, char **argv) {
  static const int interrupts[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXCPU, SIGXFSZ};
  static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  owner = (sig_atomic_t)getpid();
  n_words = argc;
  words = argv;
  const char *folder = getenv("TMPDIR");
  if (!folder || strlen(folder) > 24) folder = "/tmp";
  snprintf(crash_path, sizeof(crash_path), "%s/tenon-crash-%ld.txt", folder, (long)getpid());
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof(alternate_stack)};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_handler = interrupted, .sa_flags = SA_RESETHAND | SA_NODEFER};
  struct sigaction old;
  for (size_t i = 0; i < TN_ARRAY_LEN(interrupts); i++)
    if (sigaction(interrupts[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(interrupts[i], &action, NULL);
  action.sa_handler = crashed;
  action.sa_flags |= SA_ONSTACK;
  for (size_t i = 0; CRASHES_ARE_OURS && i < TN_ARRAY_LEN(crashes); i++) sigaction(crashes[i], &action, NULL);
}

tn_output *tn_driver_open(tn_driver *driver, const char *path, unsigned mode) {
  const char *name = tn_output_temporary_name(driver->ctx, path);
  size_t slot = 0;
  while (slot < MAX_TEMPORARIES - 1 && temporaries[slot].used) slot++;
  if (name && strlen(name) < MAX_PATH_BYTES) {
    strcpy(temporaries[slot].path, name);
    temporaries[slot].used = 1;
  }
  tn_output *output = tn_output_open(driver->ctx, path, mode);
  temporaries[slot].output = output;
  if (!output) temporaries[slot].used = 0;
  return output;
}

static void forget(const tn_output *output) {
  for (size_t i = 0; i < MAX_TEMPORARIES; i++)
    if (temporaries[i].output == output) temporaries[i].used = 0;
}

bool tn_driver_commit(tn_output *output) {
  bool ok = tn_output_commit(output);
  forget(output);
  return ok;
}

void tn_driver_discard(tn_output *output) {
  tn_output_discard(output);
  forget(output);
}
