/* Code generation in forked processes, one unit each, a bounded number at a time. A child is single-threaded, inherits
 * everything read-only by copy-on-write and sends its object, or its diagnostics, through a pipe. It has limits of time
 * and memory and does not outlive its parent. When it dies, the parent says on which unit. */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <llvm-c/ErrorHandling.h>

#include "backends/cpu/llvm/batch.h"

/* Records of a child: a header, then bytes. An object ends the stream. */
typedef struct record {
  enum { RECORD_OBJECT = 1, RECORD_DIAG, RECORD_FATAL } kind;
  uint32_t severity, code, loc;
  uint64_t bytes, stack_bytes;
} record;

#define MAX_GROWTH_BYTES ((rlim_t)4 << 30) /* address space of a child beyond what the parent has */
#define KILL_AFTER_SECONDS 5               /* for a child that ignores that its time is over */

enum { CHILD_FAULT = 70, CHILD_RESOURCE = 71 };

typedef struct child {
  pid_t pid; /* 0: none */
  int fd;
  const tn_batch_plan *plan;
  uint32_t unit;
  tn_object_part *out;
  TN_VEC(char) input;
} child;

/* The units of several plans, in order. */
typedef struct work {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_batch_plan *plans;
  uint32_t n_units;
  tn_object_part *out; /* n_units */
} work;

static bool write_all(int fd, const void *data, size_t bytes) {
  const char *at = data;
  while (bytes > 0) {
    ssize_t n = write(fd, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    bytes -= (size_t)n;
  }
  return true;
}

static bool send(int fd, record head, const void *data) {
  return write_all(fd, &head, sizeof(head)) && write_all(fd, data, head.bytes);
}

/* LLVM gives this no argument, so the child's pipe is its standard output. */
static void on_fatal_error(const char *reason) {
  send(STDOUT_FILENO, (record){.kind = RECORD_FATAL, .bytes = strlen(reason)}, reason);
  _exit(CHILD_FAULT);
}

/* What C++ calls when it has no memory to give, instead of ending in abort. */
static void on_growth(void) { on_fatal_error("it asked for more memory than a unit may take"); }
static void on_no_memory(void) { _exit(CHILD_RESOURCE); }

static void set_new_handler(void (*handler)(void)) {
  void *(*set)(void (*)(void));
  void *symbol = dlsym(RTLD_DEFAULT, "_ZSt15set_new_handlerPFvvE"); /* std::set_new_handler; LLVM's C API has none */
  if (!symbol) return;
  memcpy(&set, &symbol, sizeof(set));
  set(handler);
}

/* Pages of address space that this process has; 0 when the system does not tell. */
static rlim_t address_space_pages(void) {
  char text[64];
  FILE *file = fopen("/proc/self/statm", "re");
  if (!file) return 0;
  bool ok = fgets(text, sizeof(text), file) != NULL;
  fclose(file);
  return ok ? strtoul(text, NULL, 10) : 0; /* the first of its numbers */
}

/* Never above the limits that tenon was started with. */
static void limit_memory(void) {
  struct rlimit limit;
  rlim_t have = address_space_pages() * (rlim_t)sysconf(_SC_PAGESIZE);
  if (have == 0 || getrlimit(RLIMIT_AS, &limit) != 0) return;
  bool ours = limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > have + MAX_GROWTH_BYTES;
  if (ours) limit.rlim_cur = have + MAX_GROWTH_BYTES;
  setrlimit(RLIMIT_AS, &limit);
  set_new_handler(ours ? on_growth : on_no_memory);
}

static void limit_time(rlim_t seconds) {
  struct rlimit limit;
  if (seconds == 0 || getrlimit(RLIMIT_CPU, &limit) != 0) return;
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > seconds) limit.rlim_cur = seconds;
  rlim_t last = limit.rlim_cur + KILL_AFTER_SECONDS;
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > last) limit.rlim_max = last;
  setrlimit(RLIMIT_CPU, &limit);
}

static void limit_child(const tn_emit_options *options, pid_t parent) {
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  limit_memory();
  limit_time(options->unit_seconds);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(CHILD_RESOURCE); /* it was gone before that was asked for */
}

static void run_child(tn_ctx *ctx, const tn_batch_plan *plan, uint32_t unit, int fd, pid_t parent) {
  limit_child(plan->options, parent);
  if (dup2(fd, STDOUT_FILENO) < 0) _exit(CHILD_RESOURCE);
  LLVMInstallFatalErrorHandler(on_fatal_error);
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  size_t first = ctx->diags.n;
  tn_object_part part = {0};
  bool ok = tn_batch_compile(ctx, plan, unit, arena, &part);
  for (size_t i = first; i < ctx->diags.n; i++) {
    const tn_diag *d = &ctx->diags.data[i];
    record said = {.kind = RECORD_DIAG, .severity = d->severity, .code = d->code, .loc = d->loc,
                   .bytes = strlen(d->text)};
    if (!send(STDOUT_FILENO, said, d->text)) _exit(CHILD_RESOURCE);
  }
  record head = {.kind = RECORD_OBJECT, .bytes = part.bytes, .stack_bytes = part.stack_bytes};
  if (ok && !send(STDOUT_FILENO, head, part.data)) _exit(CHILD_RESOURCE);
  /* The parent's buffers and handlers are copies here: leave them alone. */
  _exit(0);
}

/* The plan of unit number `index` of all, and its number there. */
static const tn_batch_plan *find_unit(const work *w, uint32_t index, uint32_t *out_unit) {
  const tn_batch_plan *plan = w->plans;
  for (; index > plan->n_batches; plan++) index -= plan->n_batches + 1;
  *out_unit = index;
  return plan;
}

static bool start(const work *w, uint32_t index, child *c) {
  tn_ctx *ctx = w->ctx;
  uint32_t unit;
  const tn_batch_plan *plan = find_unit(w, index, &unit);
  int ends[2];
  if (pipe(ends) != 0) return tn_error(ctx, TN_LOC_NONE, TN_E_RESOURCE, "cannot make a pipe: %s", strerror(errno));
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    close(ends[0]);
    run_child(ctx, plan, unit, ends[1], parent);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return tn_error(ctx, TN_LOC_NONE, TN_E_RESOURCE, "cannot start a process: %s", strerror(errno));
  }
  *c = (child){.pid = pid, .fd = ends[0], .plan = plan, .unit = unit, .out = &w->out[index]};
  return true;
}

static void repeat_diag(tn_ctx *ctx, const record *head, const char *text) {
  tn_loc loc = head->loc < ctx->locs.n ? head->loc : TN_LOC_NONE;
  int length = (int)head->bytes;
  if (head->severity == TN_ERROR) tn_error(ctx, loc, head->code, "%.*s", length, text);
  else if (head->severity == TN_WARNING) tn_warning(ctx, loc, head->code, "%.*s", length, text);
  else tn_note(ctx, loc, "%.*s", length, text);
}

/* Takes apart what a child sent. True when it sent an object. */
static bool read_records(tn_ctx *ctx, const child *c, tn_arena *arena, bool *out_explained) {
  size_t at = 0;
  record head;
  while (c->input.n - at >= sizeof(head)) {
    memcpy(&head, c->input.data + at, sizeof(head));
    at += sizeof(head);
    if (head.bytes > c->input.n - at) return false;
    const char *data = c->input.data + at;
    at += head.bytes;
    if (head.kind == RECORD_OBJECT) {
      *c->out = (tn_object_part){tn_arena_copy(arena, data, head.bytes), head.bytes, head.stack_bytes};
      return true;
    }
    *out_explained = true;
    if (head.kind == RECORD_DIAG) repeat_diag(ctx, &head, data);
    else tn_error(ctx, TN_LOC_NONE, TN_E_BACKEND, "%s: LLVM gave up: %.*s", tn_batch_title(c->plan, c->unit, arena),
                  (int)head.bytes, data);
  }
  return false;
}

/* Of a child that said nothing itself. */
static bool report_end(tn_ctx *ctx, const tn_batch_plan *plan, const char *title, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RESOURCE)
    return tn_error(ctx, TN_LOC_NONE, TN_E_RESOURCE, "%s: no memory is left to make the code", title);
  if (WIFEXITED(status))
    return tn_error(ctx, TN_LOC_NONE, TN_E_BACKEND, "%s: the process that made the code ended with status %d", title,
                    WEXITSTATUS(status));
  int number = WTERMSIG(status);
  if (number == SIGKILL)
    return tn_error(ctx, TN_LOC_NONE, TN_E_RESOURCE,
                    "%s: the process that made the code was killed, perhaps as memory ran short", title);
  tn_error(ctx, TN_LOC_NONE, TN_E_BACKEND, "%s: the process that made the code died of signal %d (%s)", title, number,
           strsignal(number));
  if (number == SIGXCPU)
    tn_note(ctx, TN_LOC_NONE, "a unit may take %u s of processor time; --unit-seconds changes that",
            plan->options->unit_seconds);
  return false;
}

static bool finish(tn_ctx *ctx, child *c, tn_arena *arena) {
  int status = 0;
  close(c->fd);
  while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) continue;
  c->pid = 0;
  bool explained = false;
  if (read_records(ctx, c, arena, &explained) && WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return true;
  return !explained && report_end(ctx, c->plan, tn_batch_title(c->plan, c->unit, arena), status);
}

/* Reads what is there; false at the end of the stream. */
static bool receive(child *c, tn_arena *arena) {
  char block[65536];
  ssize_t n = read(c->fd, block, sizeof(block));
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  if (n == 0) return false;
  while (c->input.capacity - c->input.n < (size_t)n)
    c->input.data = tn_vec_grow(arena, c->input.data, c->input.n, &c->input.capacity, 1);
  memcpy(c->input.data + c->input.n, block, (size_t)n);
  c->input.n += (size_t)n;
  return true;
}

/* Waits for one child to send or end; those that ended leave their object. */
static bool serve(const work *w, child *children, uint32_t n) {
  struct pollfd *fds = TN_NEW_N(w->arena, struct pollfd, n);
  for (uint32_t i = 0; i < n; i++) fds[i] = (struct pollfd){children[i].pid == 0 ? -1 : children[i].fd, POLLIN, 0};
  if (poll(fds, n, -1) < 0 && errno != EINTR)
    return tn_error(w->ctx, TN_LOC_NONE, TN_E_RESOURCE, "cannot wait for processes: %s", strerror(errno));
  bool ok = true;
  for (uint32_t i = 0; i < n; i++) {
    if (children[i].pid == 0 || fds[i].revents == 0 || receive(&children[i], w->arena)) continue;
    ok &= finish(w->ctx, &children[i], w->arena);
  }
  return ok;
}

static uint32_t count_running(const child *children, uint32_t n) {
  uint32_t running = 0;
  for (uint32_t i = 0; i < n; i++) running += children[i].pid != 0;
  return running;
}

static void tell(const work *w, uint32_t done) { tn_progress_tell(w->ctx, "generating code", done, w->n_units); }

static bool compile_here(const work *w) {
  bool ok = true;
  for (uint32_t index = 0; index < w->n_units; index++) {
    uint32_t unit;
    const tn_batch_plan *plan = find_unit(w, index, &unit);
    tell(w, index);
    ok &= tn_batch_compile(w->ctx, plan, unit, w->arena, &w->out[index]);
  }
  return ok;
}

bool tn_batch_compile_all(tn_ctx *ctx, const tn_batch_plan *plans, uint32_t n_plans, tn_arena *arena,
                          tn_object_part *out) {
  work w = {.ctx = ctx, .arena = arena, .plans = plans, .out = out};
  uint32_t n = plans->options->n_workers, next = 0;
  for (uint32_t i = 0; i < n_plans; i++) w.n_units += plans[i].n_batches + 1;
  if (n == 0) return compile_here(&w);
  child *children = TN_NEW_N(arena, child, n);
  bool ok = true;
  while (next < w.n_units || count_running(children, n) > 0) {
    for (uint32_t i = 0; i < n && next < w.n_units; i++) {
      if (children[i].pid != 0) continue;
      if (start(&w, next, &children[i])) next++;
      else next = w.n_units, ok = false;
    }
    tell(&w, next - count_running(children, n));
    if (count_running(children, n) > 0) ok &= serve(&w, children, n);
  }
  return ok;
}
