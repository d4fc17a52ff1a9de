/* Threads for one context. A job is cut into chunks that the threads claim from one 64-bit word (generation and the
 * range of chunks that are left), the caller and each second thread from its front, the others from its back: in jobs
 * that follow each other a thread has about the same parts, whose data are in its cache. A thread that wakes late finds
 * nothing instead of holding the others up, and the caller alone can finish a job. Idle threads spin for about 50 us,
 * then sleep on a futex; between jobs that follow each other closely nobody enters the kernel. Which thread runs a part
 * never changes the part's result. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/core/runtime.h"

enum { SPIN_NS = 50000, CHUNKS_PER_THREAD = 4, PARTS_PER_CHUNK = 4 };

typedef struct worker {
  struct tnrt_pool *pool;
  pthread_t thread;
  int64_t index;
} worker;

struct tnrt_pool {
  _Alignas(64) _Atomic uint64_t head; /* generation << 32 | first << 16 | end of the chunks that are left; a claim is
                                       * a compare-and-swap */
  _Alignas(64) _Atomic uint32_t done; /* chunks finished in this generation */
  _Atomic uint32_t caller_sleeps;
  /* The job. Whoever claimed a chunk of it may read it: it is not replaced before that chunk is done. */
  _Alignas(64) tnrt_part_fn fn;
  const void *frame;
  int64_t n_parts;
  uint32_t n_chunks;
  _Alignas(64) _Atomic uint32_t bell; /* rung to wake sleeping workers */
  _Atomic uint32_t sleepers;
  _Atomic bool stop;
  tnrt_alloc alloc;
  int64_t spin_ns;
  int n_threads; /* with the caller */
  worker workers[];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t first_of(uint64_t head) { return (uint32_t)head >> 16; }
static uint32_t end_of(uint64_t head) { return (uint32_t)head & 0xffff; }

static void run_chunk(tnrt_pool *pool, int64_t c, int64_t index) {
  const uint32_t n_chunks = pool->n_chunks;
  int64_t each = pool->n_parts / n_chunks, extra = pool->n_parts % n_chunks;
  int64_t lo = c * each + (c < extra ? c : extra);
  pool->fn(pool->frame, lo, lo + each + (c < extra), index);
  /* Sequentially consistent against caller_sleeps: either the caller sees the count or we see it sleep. */
  if (atomic_fetch_add(&pool->done, 1) + 1 == n_chunks && atomic_load(&pool->caller_sleeps)) futex_wake(&pool->done, 1);
}

/* Runs chunks of generation `generation` until none is left. */
static void take_chunks(tnrt_pool *pool, uint32_t generation, int64_t index) {
  const bool from_back = index % 2 != 0;
  uint64_t head = atomic_load_explicit(&pool->head, memory_order_acquire);
  while ((uint32_t)(head >> 32) == generation && first_of(head) < end_of(head)) {
    uint64_t claimed = from_back ? head - 1 : head + (1u << 16);
    if (!atomic_compare_exchange_weak_explicit(&pool->head, &head, claimed, memory_order_acq_rel,
                                               memory_order_acquire))
      continue;
    run_chunk(pool, from_back ? end_of(head) - 1 : first_of(head), index);
    head = atomic_load_explicit(&pool->head, memory_order_acquire);
  }
}

/* Waits for a generation other than `seen`. False when the pool stops. */
static bool wait_for_job(tnrt_pool *pool, uint32_t seen, uint32_t *out_generation) {
  int64_t until = now_ns() + pool->spin_ns;
  for (uint32_t turn = 1;; turn++) {
    uint32_t bell = atomic_load(&pool->bell);
    uint32_t generation = (uint32_t)(atomic_load(&pool->head) >> 32);
    if (atomic_load(&pool->stop)) return false;
    if (generation != seen) {
      *out_generation = generation;
      return true;
    }
    if (turn % 64 || now_ns() < until) {
      pause_briefly();
      continue;
    }
    /* Counted as a sleeper before the last look, so a caller either rings or is seen. */
    atomic_fetch_add(&pool->sleepers, 1);
    if ((uint32_t)(atomic_load(&pool->head) >> 32) == seen && !atomic_load(&pool->stop)) futex_wait(&pool->bell, bell);
    atomic_fetch_sub(&pool->sleepers, 1);
    until = now_ns() + pool->spin_ns;
  }
}

static void *work(void *arg) {
  worker *self = arg;
  uint32_t generation = 0;
  while (wait_for_job(self->pool, generation, &generation)) take_chunks(self->pool, generation, self->index);
  return NULL;
}

static void ring(tnrt_pool *pool) {
  atomic_fetch_add(&pool->bell, 1);
  futex_wake(&pool->bell, TNRT_MAX_THREADS);
}

static void wait_until_done(tnrt_pool *pool, uint32_t n_chunks) {
  int64_t until = now_ns() + pool->spin_ns;
  for (uint32_t turn = 1;; turn++) {
    uint32_t done = atomic_load_explicit(&pool->done, memory_order_acquire);
    if (done == n_chunks) return;
    if (turn % 64 || now_ns() < until) {
      pause_briefly();
      continue;
    }
    atomic_store(&pool->caller_sleeps, 1);
    done = atomic_load(&pool->done);
    if (done != n_chunks) futex_wait(&pool->done, done);
    atomic_store(&pool->caller_sleeps, 0);
  }
}

void tnrt_pool_run(tnrt_pool *pool, tnrt_part_fn fn, const void *frame, int64_t n_parts) {
  if (n_parts <= 0) return;
  if (!pool || pool->n_threads == 1 || n_parts == 1) {
    fn(frame, 0, n_parts, 0);
    return;
  }
  /* More chunks even out what slows a thread down; in jobs of few parts, which are short, claiming them costs more. */
  int64_t each = n_parts / ((int64_t)pool->n_threads * PARTS_PER_CHUNK);
  int64_t most = pool->n_threads * (each < 1 ? 1 : each < CHUNKS_PER_THREAD ? each : CHUNKS_PER_THREAD);
  uint32_t n_chunks = (uint32_t)(n_parts < most ? n_parts : most);
  pool->fn = fn;
  pool->frame = frame;
  pool->n_parts = n_parts;
  pool->n_chunks = n_chunks;
  atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
  uint32_t generation = (uint32_t)(atomic_load_explicit(&pool->head, memory_order_relaxed) >> 32) + 1;
  atomic_store(&pool->head, (uint64_t)generation << 32 | n_chunks);
  if (atomic_load(&pool->sleepers)) ring(pool);
  take_chunks(pool, generation, 0);
  wait_until_done(pool, n_chunks);
}

/* Signals of the host are none of our threads' business: they start with all of them blocked. */
static bool start(worker *w) {
  sigset_t all, before;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
  int failed = pthread_create(&w->thread, NULL, work, w);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed == 0;
}

/* Processors this process may use: spinning for each other on fewer only steals time. */
static int processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

tnrt_pool *tnrt_pool_create(const tnrt_alloc *alloc, int n_threads) {
  if (n_threads < 1 || n_threads > TNRT_MAX_THREADS) return NULL;
  size_t bytes = sizeof(tnrt_pool) + (size_t)n_threads * sizeof(worker);
  tnrt_pool *pool = alloc->get(alloc->user, bytes, 64);
  if (!pool) return NULL;
  atomic_init(&pool->head, 0);
  atomic_init(&pool->done, 0);
  atomic_init(&pool->caller_sleeps, 0);
  atomic_init(&pool->bell, 0);
  atomic_init(&pool->sleepers, 0);
  atomic_init(&pool->stop, false);
  pool->alloc = *alloc;
  pool->spin_ns = n_threads <= processors() ? SPIN_NS : 0;
  pool->n_threads = 1;
  for (; pool->n_threads < n_threads; pool->n_threads++) {
    worker *w = &pool->workers[pool->n_threads - 1];
    w->pool = pool;
    w->index = pool->n_threads;
    if (!start(w)) {
      tnrt_pool_destroy(pool);
      return NULL;
    }
  }
  return pool;
}

void tnrt_pool_destroy(tnrt_pool *pool) {
  if (!pool) return;
  atomic_store(&pool->stop, true);
  ring(pool);
  for (int i = 0; i + 1 < pool->n_threads; i++) pthread_join(pool->workers[i].thread, NULL);
  tnrt_alloc alloc = pool->alloc;
  alloc.give(alloc.user, pool);
}
