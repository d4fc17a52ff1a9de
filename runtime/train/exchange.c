/* See exchange.h. */
#include "runtime/train/exchange.h"

#include "runtime/train/memory.h"
#include "runtime/train/vector.h"

enum { WINDOW = 16 }; /* buckets on their way at a time */

tnrt_status tnrt_exchange_open(tnrt_exchange *x, tnrt_world *world, const tnrt_alloc *alloc,
                               const tnrt_buckets *buckets, const tnrt_tree *tree, float *sum, bool is_shared_out) {
  *x = (tnrt_exchange){.world = world, .alloc = alloc, .buckets = buckets->rows, .n = buckets->n, .tree = tree,
                       .sum = sum};
  x->transfers = tnrt_take(alloc, (size_t)x->n + 1, sizeof *x->transfers);
  if (is_shared_out) x->slices = tnrt_take(alloc, (size_t)world->size, sizeof *x->slices);
  bool ok = x->transfers && (x->slices || !is_shared_out);
  return ok ? TNRT_OK : tnrt_fail(world->message, TNRT_NO_MEMORY, "no memory for sums of gradients");
}

void tnrt_exchange_close(tnrt_exchange *x) {
  if (x->transfers) x->alloc->give(x->alloc->user, x->transfers);
  if (x->slices) x->alloc->give(x->alloc->user, x->slices);
  *x = (tnrt_exchange){0};
}

void tnrt_exchange_start(tnrt_exchange *x, double *shared, size_t n_shared) {
  x->shared = shared;
  x->n_shared = n_shared;
  x->n_ready = x->n_begun = x->n_whole = x->n_done = 0;
  for (uint32_t i = 0; i <= x->n; i++) x->transfers[i] = (tnrt_transfer){.request = -1};
}

static const char *name_of(const tnrt_exchange *x, uint32_t i) {
  return i < x->n ? x->buckets[i].what : "the sum of losses";
}

/* ---- one bucket ---- */

/* The part of a tree's buffer that is the bucket's. */
static float *part_of(const tnrt_exchange *x, uint32_t buffer, uint32_t i) {
  return x->tree->buffers[buffer] + x->buckets[i].place;
}

static tnrt_status begin_action(tnrt_exchange *x, uint32_t i) {
  tnrt_transfer *t = &x->transfers[i];
  const tnrt_tree_action *a = &x->tree->actions[t->n_done];
  size_t bytes = x->buckets[i].count * sizeof(float);
  int tag = TNRT_WORLD_TAGS + (int)i;
  if (a->deed == TNRT_TREE_SEND)
    return tnrt_world_send_begin(x->world, part_of(x, a->from, i), bytes, a->peer, tag, &t->request);
  if (a->deed == TNRT_TREE_TAKE)
    return tnrt_world_receive_begin(x->world, part_of(x, a->from, i), bytes, a->peer, tag, &t->request);
  return TNRT_OK;
}

static void end_action(tnrt_exchange *x, uint32_t i) {
  const tnrt_tree_action *a = &x->tree->actions[x->transfers[i].n_done++];
  if (a->deed != TNRT_TREE_SEND)
    tnrt_vector_add(part_of(x, a->to, i), part_of(x, a->from, i), x->buckets[i].count);
}

/* What all processes take part in, in the order of the buckets. */
static tnrt_status begin_whole(tnrt_exchange *x, uint32_t i) {
  tnrt_transfer *t = &x->transfers[i];
  const tnrt_bucket *b = &x->buckets[i];
  t->is_whole = true;
  x->n_whole++;
  if (i == x->n) return tnrt_world_sum_begin(x->world, x->shared, x->n_shared, TNRT_COMM_F64, &t->request);
  if (x->tree)
    return tnrt_world_broadcast_begin(x->world, tnrt_tree_sum(x->tree) + b->place, b->count * sizeof(float), 0,
                                      &t->request);
  if (!x->slices || b->is_running)
    return tnrt_world_sum_begin(x->world, x->sum + b->place, b->count, TNRT_COMM_F32, &t->request);
  for (int r = 0; r < x->world->size; r++) x->slices[r] = (int)(b->count / (size_t)x->world->size);
  return tnrt_world_sum_parts_begin(x->world, x->sum + b->place, x->slices, TNRT_COMM_F32, &t->request);
}

/* *out_done: the sum is there; else it waits for others, or for the buckets before it. */
static tnrt_status carry_on(tnrt_exchange *x, uint32_t i, bool *out_done) {
  tnrt_transfer *t = &x->transfers[i];
  uint32_t n_actions = x->tree && i < x->n ? x->tree->n_actions : 0;
  tnrt_status status = TNRT_OK;
  *out_done = false;
  while (status == TNRT_OK) {
    bool came = true;
    if (t->request >= 0) status = tnrt_world_test(x->world, t->request, &came);
    if (status != TNRT_OK || !came) return status;
    if (t->request >= 0 && t->n_done < n_actions) end_action(x, i);
    t->request = -1;
    if (t->is_whole) {
      *out_done = true;
      tnrt_timeline_span(x->timeline, name_of(x, i), 1 + i, x->world->step, t->begin);
      return TNRT_OK;
    }
    while (t->n_done < n_actions && x->tree->actions[t->n_done].deed == TNRT_TREE_JOIN) end_action(x, i);
    if (t->n_done < n_actions) status = begin_action(x, i);
    else if (x->n_whole == i) status = begin_whole(x, i);
    else return TNRT_OK;
  }
  return status;
}

/* ---- all ---- */

tnrt_status tnrt_exchange_progress(tnrt_exchange *x) {
  bool is_first = true;
  while (x->n_begun < x->n_ready && x->n_begun - x->n_done < WINDOW)
    x->transfers[x->n_begun++].begin = tnrt_timeline_now(x->timeline);
  for (uint32_t i = x->n_done; i < x->n_begun; i++) {
    bool done = x->transfers[i].is_whole && x->transfers[i].request < 0;
    tnrt_status status = done ? TNRT_OK : carry_on(x, i, &done);
    if (status != TNRT_OK) return status;
    is_first = is_first && done;
    if (is_first) x->n_done++;
  }
  return TNRT_OK;
}

tnrt_status tnrt_exchange_finish(tnrt_exchange *x) {
  tnrt_patience patience = {0};
  tnrt_status status = TNRT_OK;
  if (x->world->size == 1) return TNRT_OK;
  tnrt_world_enter(x->world);
  x->n_ready = x->n + 1;
  while (status == TNRT_OK) {
    uint32_t before = x->n_done;
    status = tnrt_exchange_progress(x);
    if (status != TNRT_OK || x->n_done > x->n) break;
    if (x->n_done > before) patience = (tnrt_patience){0};
    status = tnrt_world_idle(x->world, &patience, name_of(x, x->n_done));
  }
  return status;
}
