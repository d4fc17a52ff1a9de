/* The thread that loads; see loader.h. */
#include "runtime/train/loader.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "runtime/train/memory.h"

enum { STACK = 1 << 19 /* bytes: of what the system gives by itself a small machine has not many */ };

typedef enum loader_state { IDLE, ASKED, DONE } loader_state;

struct tnrt_loader {
  const tnrt_alloc *alloc;
  tnrt_samples view; /* the samples, with a message and scratch of their own */
  tnrt_message message;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool has_thread, ends;
  loader_state state;
  tnrt_status status;
  tnrt_draw draw;
  int64_t *positions, n;
  uint8_t **sets[2]; /* n_fields buffers each */
  int set;           /* that is filled next */
};

/* Without the lock: nobody else touches what was asked for. */
static tnrt_status fill(tnrt_loader *l) {
  tnrt_status status = TNRT_OK;
  for (int64_t k = 0; k < l->n && status == TNRT_OK; k++) /* all of a record while it is at hand */
    for (uint32_t i = 0; i < l->view.plan->n_fields && status == TNRT_OK; i++)
      status = tnrt_samples_gather(&l->view, i, &l->draw, l->positions + k, 0, 1,
                                   l->sets[l->set][i] + (size_t)k * l->view.bytes[i]);
  return status;
}

static void *work(void *argument) {
  tnrt_loader *l = argument;
  pthread_mutex_lock(&l->lock);
  while (!l->ends) {
    if (l->state != ASKED) {
      pthread_cond_wait(&l->changed, &l->lock);
      continue;
    }
    pthread_mutex_unlock(&l->lock);
    tnrt_status status = fill(l);
    pthread_mutex_lock(&l->lock);
    l->status = status;
    l->state = DONE;
    pthread_cond_broadcast(&l->changed);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

static bool make_buffers(tnrt_loader *l, int64_t most) {
  const tnrt_samples *s = &l->view;
  l->positions = tnrt_take(l->alloc, (size_t)most, sizeof *l->positions);
  for (int k = 0; k < 2; k++) {
    l->sets[k] = tnrt_take(l->alloc, s->plan->n_fields, sizeof **l->sets);
    for (uint32_t i = 0; l->sets[k] && i < s->plan->n_fields; i++)
      if (!(l->sets[k][i] = tnrt_take(l->alloc, (size_t)most, s->bytes[i]))) return false;
  }
  return l->positions && l->sets[0] && l->sets[1];
}

tnrt_status tnrt_loader_open(tnrt_loader **out, tnrt_message *message, const tnrt_alloc *alloc,
                             const tnrt_samples *samples, int64_t most) {
  bool makes = false;
  *out = NULL;
  for (uint32_t i = 0; i < samples->plan->n_fields; i++) makes = makes || !samples->fields[i];
  if (!makes) return TNRT_OK;
  tnrt_loader *l = tnrt_take(alloc, 1, sizeof *l);
  if (!l) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to load samples");
  l->alloc = alloc;
  l->view = *samples;
  l->view.message = l->view.records.message = &l->message;
  l->view.value = (tnrt_value){.alloc = alloc};
  l->view.at_hand = tnrt_record_start(alloc);
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->changed, NULL);
  pthread_attr_t attributes;
  bool ok = make_buffers(l, most) && pthread_attr_init(&attributes) == 0;
  if (ok) {
    ok = pthread_attr_setstacksize(&attributes, STACK) == 0 && pthread_create(&l->thread, &attributes, work, l) == 0;
    l->has_thread = ok;
    pthread_attr_destroy(&attributes);
  }
  if (ok) return *out = l, TNRT_OK;
  tnrt_loader_close(l);
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory or no thread to load samples");
}

void tnrt_loader_close(tnrt_loader *l) {
  if (!l) return;
  pthread_mutex_lock(&l->lock);
  l->ends = true;
  pthread_cond_broadcast(&l->changed);
  pthread_mutex_unlock(&l->lock);
  if (l->has_thread) pthread_join(l->thread, NULL);
  pthread_cond_destroy(&l->changed);
  pthread_mutex_destroy(&l->lock);
  tnrt_value_free(&l->view.value);
  tnrt_record_free(&l->view.at_hand);
  for (int k = 0; k < 2; k++) {
    for (uint32_t i = 0; l->sets[k] && i < l->view.plan->n_fields; i++)
      if (l->sets[k][i]) l->alloc->give(l->alloc->user, l->sets[k][i]);
    if (l->sets[k]) l->alloc->give(l->alloc->user, l->sets[k]);
  }
  if (l->positions) l->alloc->give(l->alloc->user, l->positions);
  l->alloc->give(l->alloc->user, l);
}

/* With the lock. */
static void wait_done(tnrt_loader *l) {
  while (l->state == ASKED) pthread_cond_wait(&l->changed, &l->lock);
}

/* The same, unless the world is asked to end, which is looked at fifty times a second. */
static bool wait_or_end(tnrt_loader *l, tnrt_world *world) {
  while (l->state == ASKED && !tnrt_world_asked(world)) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 20000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&l->changed, &l->lock, &until);
  }
  return l->state != ASKED;
}

static void ask(tnrt_loader *l, const tnrt_draw *draw, const int64_t *positions, int64_t n) {
  wait_done(l);
  l->draw = *draw;
  l->n = n;
  memcpy(l->positions, positions, (size_t)n * sizeof *positions);
  l->state = ASKED;
  pthread_cond_broadcast(&l->changed);
}

void tnrt_loader_ask(tnrt_loader *l, const tnrt_draw *draw, const int64_t *positions, int64_t n) {
  pthread_mutex_lock(&l->lock);
  ask(l, draw, positions, n);
  pthread_mutex_unlock(&l->lock);
}

tnrt_status tnrt_loader_take(tnrt_loader *l, tnrt_message *message, tnrt_world *world, const tnrt_draw *draw,
                             const int64_t *positions, int64_t n, uint8_t *const **out_fields) {
  *out_fields = NULL;
  pthread_mutex_lock(&l->lock);
  if (!wait_or_end(l, world)) return pthread_mutex_unlock(&l->lock), TNRT_OK;
  bool is_it = l->state == DONE && l->n == n && l->draw.seed == draw->seed && l->draw.epoch == draw->epoch &&
               l->draw.split == draw->split && memcmp(l->positions, positions, (size_t)n * sizeof *positions) == 0;
  if (!is_it) ask(l, draw, positions, n);
  if (!wait_or_end(l, world)) return pthread_mutex_unlock(&l->lock), TNRT_OK;
  l->state = IDLE;
  *out_fields = l->sets[l->set];
  l->set = !l->set;
  tnrt_status status = l->status;
  if (status != TNRT_OK) *message = l->message;
  pthread_mutex_unlock(&l->lock);
  return status;
}
