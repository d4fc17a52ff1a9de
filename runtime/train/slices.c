/* See slices.h. */
#include "runtime/train/slices.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/bind.h"
#include "runtime/train/memory.h"
#include "runtime/train/vector.h"

enum { WINDOW = 16 }; /* buckets on their way at a time */

/* ---- where things are ---- */

static uint32_t n_buckets(const tnrt_session *s) {
  const tnrt_buckets *b = &s->parts.buckets;
  return b->n > 0 && b->rows[b->n - 1].is_running ? b->n - 1 : b->n;
}

static size_t slice_count(const tnrt_session *s, const tnrt_bucket *b) { return b->count / (size_t)s->world->size; }

/* Elements from the beginning of all buckets; and of all of this process's slices. */
static size_t slice_place(const tnrt_session *s, const tnrt_bucket *b) {
  return b->place + (size_t)s->world->rank * slice_count(s, b);
}
static size_t state_place(const tnrt_session *s, const tnrt_bucket *b) { return b->place / (size_t)s->world->size; }

/* ---- opening ---- */

static tnrt_status check(const tnrt_session *s) {
  const tnrt_buckets *b = &s->parts.buckets;
  bool has_models = s->program->shard.model && (s->program->norm.model || !s->parts.is_tree);
  if (!has_models || s->plan->n_states > TNRT_SLICES_STATES)
    return tnrt_fail(s->message, TNRT_BAD_INPUT, "the program lacks a model that updates some elements of a weight");
  for (uint32_t i = 0; i < n_buckets(s); i++)
    if (b->rows[i].count > INT32_MAX / sizeof(float))
      return tnrt_fail(s->message, TNRT_BAD_INPUT, "%s are more than 2 GiB, which is too long for a message (zero: 0 "
                       "sends none of weights)", b->rows[i].what + b->rows[i].names);
  return TNRT_OK;
}

/* What the slice of its bucket has of a weight, which may be nothing. */
static tnrt_slice_piece piece_of(const tnrt_session *s, const tnrt_gradient *g) {
  const tnrt_bucket *b = &s->parts.buckets.rows[g->bucket];
  size_t first = slice_place(s, b), end = first + slice_count(s, b);
  if (first < g->place) first = g->place;
  if (end > g->place + g->count) end = g->place + g->count;
  return (tnrt_slice_piece){g->weight, g->bucket, first, end > first ? end - first : 0};
}

tnrt_status tnrt_slices_plan(tnrt_session *s) {
  tnrt_slices *sh = &s->parts.slices;
  const tnrt_buckets *b = &s->parts.buckets;
  sh->is_on = s->plan->zero != 0 && s->world->size > 1;
  if (!sh->is_on) return TNRT_OK;
  sh->pieces = tnrt_take(s->alloc, b->n_gradients, sizeof *sh->pieces);
  sh->counts = tnrt_take(s->alloc, (size_t)s->world->size, sizeof *sh->counts);
  sh->requests = tnrt_take(s->alloc, b->n, sizeof *sh->requests);
  if (!sh->pieces || !sh->counts || !sh->requests)
    return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for the shares of weights");
  for (uint32_t i = 0; i < b->n_gradients; i++) {
    tnrt_slice_piece piece = piece_of(s, &b->order[i]);
    if (piece.count > 0) sh->pieces[sh->n_pieces++] = piece;
    sh->bytes = (uint32_t)tnrt_dtype_find(s->weights[piece.weight].dtype)->bytes;
  }
  sh->count = b->n_summed / (size_t)s->world->size;
  sh->most = sh->count < TNRT_SHARD_MOST ? sh->count : TNRT_SHARD_MOST;
  return s->is_planned_only ? TNRT_OK : check(s);
}

void tnrt_slices_open(tnrt_session *s) {
  tnrt_parts *p = &s->parts;
  tnrt_slices *sh = &p->slices;
  float *const sums[TNRT_SLICES_STATES] = {p->is_tree ? p->tree.buffers[0] : p->sum,
                                           p->is_tree ? p->tree.buffers[1] : p->part};
  if (!sh->is_on) return;
  for (uint32_t k = 0; k < s->plan->n_states; k++) {
    sh->whole[k] = sums[k];
    for (uint32_t i = 0; i < s->n_trained; i++)
      s->states[i * s->plan->n_states + k] = (uint8_t *)(sums[k] + p->buckets.places[i]);
  }
  sh->is_whole = true; /* all zero */
}

void tnrt_slices_close(tnrt_session *s) {
  tnrt_slices *sh = &s->parts.slices;
  void *const blocks[] = {sh->pieces, sh->counts, sh->requests};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) s->alloc->give(s->alloc->user, blocks[i]);
  *sh = (tnrt_slices){0};
}

/* ---- slices to all ---- */

static tnrt_status begin_bucket(tnrt_session *s, uint8_t *row, size_t bytes, uint32_t i) {
  const tnrt_bucket *b = &s->parts.buckets.rows[i];
  tnrt_slices *sh = &s->parts.slices;
  for (int r = 0; r < s->world->size; r++) sh->counts[r] = (int)(slice_count(s, b) * bytes);
  return tnrt_world_gather_begin(s->world, row + b->place * bytes, sh->counts, &sh->requests[i]);
}

/* Waits for a bucket that was begun. what: "weights". */
static tnrt_status finish_bucket(tnrt_session *s, uint32_t i, const char *what) {
  const tnrt_bucket *b = &s->parts.buckets.rows[i];
  tnrt_patience patience = {0};
  char name[sizeof b->what];
  bool done = false;
  tnrt_text(name, sizeof name, "the %s of %s", what, b->what + b->names);
  tnrt_status status = tnrt_world_test(s->world, s->parts.slices.requests[i], &done);
  while (status == TNRT_OK && !done) {
    status = tnrt_world_idle(s->world, &patience, name);
    if (status == TNRT_OK) status = tnrt_world_test(s->world, s->parts.slices.requests[i], &done);
  }
  return status;
}

/* The slices that stand in their places of a row of all buckets, each made by `make` just before it goes. */
static tnrt_status share(tnrt_session *s, uint8_t *row, size_t bytes, const char *what,
                         tnrt_status (*make)(tnrt_session *s, uint32_t bucket, void *user), void *user) {
  uint32_t n = n_buckets(s), n_done = 0;
  tnrt_status status = TNRT_OK;
  tnrt_world_enter(s->world);
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++) {
    if (i - n_done == WINDOW) status = finish_bucket(s, n_done++, what);
    if (status == TNRT_OK) status = make(s, i, user);
    if (status == TNRT_OK) status = begin_bucket(s, row, bytes, i);
  }
  while (n_done < n && status == TNRT_OK) status = finish_bucket(s, n_done++, what);
  return status;
}

/* ---- the update ---- */

typedef struct update {
  const float *sum;
  float norm;
  uint32_t next; /* piece */
  float rates[TNRT_SHARD_RATES];
} update;

static const float *gradient_of(const tnrt_session *s, const float *sum, const tnrt_slice_piece *piece) {
  const tnrt_bucket *b = &s->parts.buckets.rows[piece->bucket];
  return sum + piece->place - (s->parts.is_tree ? 0 : slice_place(s, b) - b->place);
}

/* At most `most` of its elements. The model reads them and writes elsewhere, where they are still in the cache
 * when they are copied back. */
static tnrt_status update_some(tnrt_session *s, update *u, const tnrt_slice_piece *some) {
  const tnrt_slices *sh = &s->parts.slices;
  const tnrt_bucket *b = &s->parts.buckets.rows[some->bucket];
  size_t state = state_place(s, b) + some->place - slice_place(s, b);
  uint32_t n = s->plan->n_states;
  uint8_t *values[1 + TNRT_SLICES_STATES] = {sh->weights + some->place * sh->bytes};
  for (uint32_t k = 0; k < n; k++) values[1 + k] = sh->states[k] + state * sizeof(float);
  for (uint32_t k = 0; k <= n; k++) {
    s->inputs[k] = values[k];
    s->outputs[k] = sh->made[k];
  }
  s->inputs[n + 1] = gradient_of(s, u->sum, some);
  s->inputs[n + 2] = u->rates;
  s->inputs[n + 3] = &u->norm;
  tnrt_status status = tnrt_bind_run(s, s->shard, (int64_t)some->count);
  for (uint32_t k = 0; k <= n && status == TNRT_OK; k++)
    memcpy(values[k], s->outputs[k], some->count * (k == 0 ? sh->bytes : sizeof(float)));
  return status;
}

static tnrt_status update_piece(tnrt_session *s, update *u, const tnrt_slice_piece *piece) {
  const tnrt_weight *w = &s->weights[piece->weight];
  size_t most = s->parts.slices.most;
  tnrt_status status = TNRT_OK;
  u->rates[TNRT_SHARD_LR] = s->rates[TNRT_RATES + w->group];
  u->rates[TNRT_SHARD_DECAY] = (float)w->decay;
  u->rates[TNRT_SHARD_L1] = (float)w->l1;
  for (size_t i = 0; i < piece->count && status == TNRT_OK; i += most) {
    tnrt_slice_piece some = *piece;
    some.place += i;
    some.count = piece->count - i < most ? piece->count - i : most;
    status = update_some(s, u, &some);
  }
  return status;
}

static tnrt_status update_bucket(tnrt_session *s, uint32_t bucket, void *user) {
  const tnrt_slices *sh = &s->parts.slices;
  update *u = user;
  tnrt_status status = TNRT_OK;
  while (status == TNRT_OK && u->next < sh->n_pieces && sh->pieces[u->next].bucket == bucket)
    status = update_piece(s, u, &sh->pieces[u->next++]);
  return status;
}

/* All processes have all gradients. */
static tnrt_status find_norm_of_all(tnrt_session *s, const float *sum, float *out) {
  for (uint32_t i = 0; i < s->n_trained; i++) s->inputs[i] = sum + s->parts.buckets.places[i];
  s->inputs[s->n_trained] = s->rates;
  s->outputs[0] = out;
  return tnrt_bind_run(s, s->norms, 1);
}

/* Of all gradients of the loss itself. */
static tnrt_status find_norm(tnrt_session *s, const float *sum, float *out) {
  const tnrt_slices *sh = &s->parts.slices;
  double squares = 0;
  for (uint32_t i = 0; i < sh->n_pieces; i++)
    squares += tnrt_vector_squares(gradient_of(s, sum, &sh->pieces[i]), sh->pieces[i].count);
  tnrt_status status = tnrt_world_sum(s->world, &squares, 1, TNRT_COMM_F64, "the norm of the gradients");
  *out = squares <= FLT_MAX ? (float)(sqrt(squares) / s->loss_scale) : INFINITY; /* as one process finds it */
  return status;
}

tnrt_status tnrt_slices_update(tnrt_session *s, const float *sum, float *norm) {
  tnrt_slices *sh = &s->parts.slices;
  update u = {.sum = sum};
  tnrt_status status = (s->parts.is_tree ? find_norm_of_all : find_norm)(s, sum, &u.norm);
  *norm = u.norm;
  if (status != TNRT_OK || !isfinite(u.norm)) return status;
  memcpy(u.rates, s->rates, TNRT_RATES * sizeof *u.rates);
  return share(s, sh->weights, sh->bytes, "weights", update_bucket, &u);
}

/* ---- states of all ---- */

/* This process's slice of a bucket's states, to its place among those of all, or back. */
static void move_slice(const tnrt_session *s, uint32_t k, uint32_t bucket, bool back) {
  const tnrt_slices *sh = &s->parts.slices;
  const tnrt_bucket *b = &s->parts.buckets.rows[bucket];
  float *whole = sh->whole[k] + slice_place(s, b);
  uint8_t *own = sh->states[k] + state_place(s, b) * sizeof *whole;
  if (back) memcpy(own, whole, slice_count(s, b) * sizeof *whole);
  else memcpy(whole, own, slice_count(s, b) * sizeof *whole);
}

static tnrt_status put_slice(tnrt_session *s, uint32_t bucket, void *user) {
  const uint32_t *k = user;
  move_slice(s, *k, bucket, false);
  return TNRT_OK;
}

tnrt_status tnrt_slices_gather(tnrt_session *s) {
  tnrt_slices *sh = &s->parts.slices;
  tnrt_status status = TNRT_OK;
  if (!sh->is_on || sh->is_whole) return TNRT_OK;
  for (uint32_t k = 0; k < s->plan->n_states && status == TNRT_OK; k++)
    status = share(s, (uint8_t *)sh->whole[k], sizeof(float), "states", put_slice, &k);
  sh->is_whole = status == TNRT_OK;
  return status;
}

void tnrt_slices_take(tnrt_session *s) {
  for (uint32_t k = 0; k < s->plan->n_states && s->parts.slices.is_on; k++)
    for (uint32_t i = 0; i < n_buckets(s); i++) move_slice(s, k, i, true);
}
