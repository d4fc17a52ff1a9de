/* The scheduler of tn_cuda_shim.h. State is global: there is one device. */
#include "tn_cuda_shim.h"

#include <stdio.h>
#include <stdlib.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#define MAX_THREADS 1024
#define WARP 32
#define STACK_BYTES (64 << 10)
#define MAX_EXCHANGED 8

typedef enum thread_state { RUNS, AT_BARRIER, AT_SHUFFLE, ENDED } thread_state;

typedef struct thread {
  thread_state state;
  int line; /* where it waits */
  unsigned int mask;
  int distance;
  size_t bytes;
  unsigned char value[MAX_EXCHANGED];
#if defined(__x86_64__)
  void *stack_pointer;
#else
  ucontext_t context;
#endif
} thread;

shim_place threadIdx, blockIdx;

static thread threads[MAX_THREADS];
static unsigned char *stacks;
static int n_threads, current;
static uint64_t random_state;
static char fault[256];
static shim_kernel kernel;
static void *const *kernel_pointers;
static const long long *kernel_sizes;
static int *kernel_status;

extern unsigned char __start_shim_shared[] __attribute__((weak)), __stop_shim_shared[] __attribute__((weak));

/* --- Fibers --- */

static void enter(void);

#if defined(__x86_64__)
static void *scheduler_stack;

/* Saves what a function must keep and goes on where the other stack left off. */
void shim_switch(void **from, void *to);
__asm__(".text\n"
        ".type shim_switch, @function\n"
        "shim_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size shim_switch, .-shim_switch\n");

static void prepare(int i) {
  void **top = (void **)(stacks + (size_t)(i + 1) * STACK_BYTES);
  void (*first)(void) = enter;
  *--top = NULL; /* as after a call, the stack is 8 off a multiple of 16 */
  memcpy(--top, &first, sizeof(first));
  for (int k = 0; k < 6; k++) *--top = NULL;
  threads[i].stack_pointer = top;
}
static void to_thread(int i) { shim_switch(&scheduler_stack, threads[i].stack_pointer); }
static void to_scheduler(void) { shim_switch(&threads[current].stack_pointer, scheduler_stack); }
#else
static ucontext_t scheduler;

static void prepare(int i) {
  getcontext(&threads[i].context);
  threads[i].context.uc_stack.ss_sp = stacks + (size_t)i * STACK_BYTES;
  threads[i].context.uc_stack.ss_size = STACK_BYTES;
  threads[i].context.uc_link = NULL;
  makecontext(&threads[i].context, enter, 0);
}
static void to_thread(int i) { swapcontext(&scheduler, &threads[i].context); }
static void to_scheduler(void) { swapcontext(&threads[current].context, &scheduler); }
#endif

static void enter(void) {
  kernel(kernel_pointers, kernel_sizes, kernel_status);
  threads[current].state = ENDED;
  to_scheduler();
}

static void wait_at(thread_state state, int line) {
  threads[current].state = state;
  threads[current].line = line;
  to_scheduler();
}

void shim_barrier(int line) { wait_at(AT_BARRIER, line); }

void shim_exchange(int line, unsigned int mask, void *value, size_t bytes, int distance) {
  thread *self = &threads[current];
  self->mask = mask;
  self->distance = distance;
  self->bytes = bytes;
  memcpy(self->value, value, bytes);
  wait_at(AT_SHUFFLE, line);
  memcpy(value, self->value, bytes);
}

/* --- Meeting --- */

static int waiting_at(thread_state state, int line, int first, int end) {
  int n = 0;
  for (int i = first; i < end; i++) n += threads[i].state == state && threads[i].line == line;
  return n;
}

static void release(int first, int end) {
  for (int i = first; i < end; i++) threads[i].state = RUNS;
}

/* A warp whose threads have all come to one shuffle. */
static int exchange_warp(int first) {
  unsigned char values[WARP][MAX_EXCHANGED];
  const thread *lead = &threads[first];
  if (waiting_at(AT_SHUFFLE, lead->line, first, first + WARP) != WARP || lead->mask != 0xffffffffu) return 0;
  for (int i = 0; i < WARP; i++) {
    if (threads[first + i].distance != lead->distance || threads[first + i].bytes != lead->bytes) return 0;
    memcpy(values[i], threads[first + i].value, MAX_EXCHANGED);
  }
  for (int i = 0; i < WARP; i++) memcpy(threads[first + i].value, values[(i ^ lead->distance) % WARP], MAX_EXCHANGED);
  release(first, first + WARP);
  return 1;
}

/* What stands still goes on where all are there; 0 when nothing does. */
static int meet(void) {
  int went_on = 0;
  for (int first = 0; first + WARP <= n_threads; first += WARP) went_on |= exchange_warp(first);
  if (waiting_at(AT_BARRIER, threads[0].line, 0, n_threads) == n_threads) {
    release(0, n_threads);
    went_on = 1;
  }
  return went_on;
}

static void describe_divergence(void) {
  static const char *const places[] = {"run", "wait at the barrier of line", "wait at the shuffle of line",
                                       "have ended"};
  size_t n = (size_t)snprintf(fault, sizeof(fault), "divergent threads in block %u:", blockIdx.x);
  for (int i = 0; i < n_threads && n < sizeof(fault); i++) {
    int state = threads[i].state, line = state == ENDED ? 0 : threads[i].line, is_new = 1;
    for (int k = 0; k < i; k++)
      if ((int)threads[k].state == state && (state == ENDED || threads[k].line == line)) is_new = 0;
    if (!is_new) continue;
    int count = 0;
    for (int k = i; k < n_threads; k++)
      count += (int)threads[k].state == state && (state == ENDED || threads[k].line == line);
    n += (size_t)snprintf(fault + n, sizeof(fault) - n, line ? " %d %s %d" : " %d %s", count, places[state], line);
  }
}

/* --- Running --- */

static uint64_t next_random(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return random_state >> 33;
}

/* A NaN in every float type, and far outside of every tensor as an index. */
__attribute__((no_sanitize("address"))) static void poison_shared(void) {
  for (volatile unsigned char *at = __start_shim_shared; at < __stop_shim_shared; at++) *at = 0xff;
}

/* Runs every thread that can run once, in an order drawn anew; the number that did. */
static int run_round(void) {
  int order[MAX_THREADS], n = 0;
  for (int i = 0; i < n_threads; i++)
    if (threads[i].state == RUNS) order[n++] = i;
  for (int i = n - 1; i > 0; i--) {
    int k = (int)(next_random() % (uint64_t)(i + 1)), swapped = order[i];
    order[i] = order[k];
    order[k] = swapped;
  }
  for (int i = 0; i < n; i++) {
    current = order[i];
    threadIdx.x = (unsigned int)current;
    to_thread(current);
  }
  return n;
}

static int run_block(void) {
  poison_shared();
  for (int i = 0; i < n_threads; i++) {
    threads[i] = (thread){.state = RUNS};
    prepare(i);
  }
  for (;;) {
    run_round();
    int n_ended = 0;
    for (int i = 0; i < n_threads; i++) n_ended += threads[i].state == ENDED;
    if (n_ended == n_threads) return 1;
    if (!meet()) {
      describe_divergence();
      return 0;
    }
  }
}

static void __attribute__((destructor)) free_stacks(void) { free(stacks); }

const char *shim_run(shim_kernel function, void *const *p, const long long *s, int *status, long long grid, int block,
                     uint64_t seed) {
  if (block <= 0 || block > MAX_THREADS || block % WARP) return "a block has up to 1024 threads in whole warps";
  if (grid > 0x7fffffff) return "a grid has at most 2^31 - 1 blocks";
  if (stacks == NULL) stacks = malloc((size_t)MAX_THREADS * STACK_BYTES);
  if (stacks == NULL) return "no memory for stacks";
  kernel = function, kernel_pointers = p, kernel_sizes = s, kernel_status = status;
  n_threads = block;
  random_state = seed;
  for (long long i = 0; i < grid; i++) {
    blockIdx.x = (unsigned int)i;
    if (!run_block()) return fault;
  }
  return NULL;
}
