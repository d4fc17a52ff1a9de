/* Preloaded into tenon, does harm in a process that generates code, when it has taken its pipe (dup2) and so has its
 * limits. TENON_CHILD=ACTION[:SECONDS]: abort, segv, exit, loop, memory (through C++'s new, as LLVM does), malloc
 * (through C's), kill, sleep:SECONDS (and goes on). */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void take_all_of(const char *allocator, const char *library) {
  void *(*get)(size_t);
  void *symbol = dlsym(dlopen(library, RTLD_LAZY | RTLD_NOLOAD), allocator);
  memcpy(&get, &symbol, sizeof(get));
  for (int i = 0; i < 1 << 20; i++)
    if (!get((size_t)64 << 20)) abort(); /* as LLVM does when malloc gives nothing */
}

static void act(const char *action) {
  if (strcmp(action, "abort") == 0) abort();
  if (strcmp(action, "segv") == 0) raise(SIGSEGV);
  if (strcmp(action, "exit") == 0) _exit(3);
  if (strcmp(action, "kill") == 0) raise(SIGKILL);
  if (strcmp(action, "memory") == 0) take_all_of("_Znwm", "libstdc++.so.6");
  if (strcmp(action, "malloc") == 0) take_all_of("malloc", "libc.so.6");
  if (strncmp(action, "sleep:", 6) == 0) sleep((unsigned)atoi(action + 6));
  for (volatile unsigned i = 0; strcmp(action, "loop") == 0;) i++;
}

int dup2(int from, int to) {
  const char *action = getenv("TENON_CHILD");
  int result = (int)syscall(SYS_dup2, from, to);
  if (action && to == STDOUT_FILENO) act(action);
  return result;
}
