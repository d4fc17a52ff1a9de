/* The memory plan: offsets of buffers in the arena and of constants in the weights.
 *
 * Static sizes: buffers are placed largest first into the smallest gap between those alive at the same time ("greedy by
 * size for offset calculation", Pisarchyk and Lee, arXiv:2001.03288), in several orders, and the best is kept. Sizes
 * that depend on symbols: buffers share slots ("greedy by size for shared objects", same source), a slot being as large
 * as its largest member for any value of the symbols, so that the plan is right for all of them; which buffers share is
 * decided at a representative size. ir/verify_program.c proves the result by other means. */
#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"

#define ALIGN_BYTES 64
#define REPRESENTATIVE_EXTENT 64
#define N_LARGEST 5
#define MAX_ROUNDS 200
#define MAX_PLACEMENTS 40000000 /* pairs of blocks that are looked at in the search for a better order */
/* A buffer whose size is found while running lies in the arena when its bound is over other sizes, or is a number of at
 * most so many bytes; else in memory that grows. */
#define MAX_BOUND_BYTES ((int64_t)64 << 20)

typedef struct block {
  tn_buffer *buffer;
  int64_t bytes;  /* static, or at the representative size; rounded to ALIGN_BYTES */
  int64_t offset; /* -1 = not placed */
} block;

typedef struct slot {
  const tn_dim *bytes;
  TN_VEC(tn_buffer *) members;
} slot;
typedef TN_VEC(slot) slots;

typedef struct plan {
  tn_pass_context *context;
  tn_ctx *ctx;
  tn_program *program;
  tn_arena *scratch;
  block *blocks;  /* in the arena */
  size_t n;
  block *growing; /* in slots */
  size_t n_growing;
  bool is_static;
  bool has_inner; /* guards that only some steps need: what these compute may have negative extents where they do not
                     run */
  tn_steps steps; /* all */
} plan;

static void see(tn_buffer *buffer, uint32_t step) {
  if (buffer && buffer->kind == TN_BUFFER_VIEW) buffer = buffer->owner;
  if (!buffer || !tn_buffer_is_planned(buffer)) return;
  if (buffer->live_first == UINT32_MAX) buffer->live_first = step;
  buffer->live_last = step;
}

/* What steps behind a loop's end or before its start share with those inside lives as long as the loop. Loops are
 * visited inside out, so that a life that grows is seen by the loops around. */
static void outlive_loop(tn_program *program, uint32_t first, uint32_t last) {
  for (size_t i = 0; i < program->buffers.n; i++) {
    tn_buffer *buffer = program->buffers.data[i];
    bool apart = buffer->live_first == UINT32_MAX || buffer->live_last < first || buffer->live_first > last;
    bool inside = buffer->live_first > first && buffer->live_last <= last;
    if (!tn_buffer_is_planned(buffer) || apart || inside) continue;
    if (buffer->live_first > first) buffer->live_first = first;
    if (buffer->live_last < last) buffer->live_last = last;
  }
}

/* The number of the step behind the last of those in steps, the first of which has the number `next`. */
static uint32_t visit_loops(tn_program *program, const tn_steps *steps, uint32_t next) {
  for (size_t s = 0; s < steps->n; s++) {
    uint32_t first = next;
    next = visit_loops(program, &steps->data[s]->body, next + 1);
    next = visit_loops(program, &steps->data[s]->otherwise, next);
    if (tn_step_is_loop(steps->data[s])) outlive_loop(program, first, next - 1);
  }
  return next;
}

static void find_lives(plan *p) {
  for (size_t i = 0; i < p->program->buffers.n; i++) p->program->buffers.data[i]->live_first = UINT32_MAX;
  for (size_t s = 0; s < p->steps.n; s++) {
    const tn_step *step = p->steps.data[s];
    for (size_t a = 0; a < step->args.n; a++) see(step->args.data[a], (uint32_t)s);
    see(step->scratch, (uint32_t)s);
  }
  visit_loops(p->program, &p->program->steps, 0);
  for (size_t i = 0; i < p->program->buffers.n; i++) { /* results are looked at behind the last step */
    tn_buffer *buffer = p->program->buffers.data[i];
    bool is_kept = buffer->kind == TN_BUFFER_OUTPUT && buffer->live_first != UINT32_MAX;
    if (is_kept && tn_buffer_is_planned(buffer)) buffer->live_last = (uint32_t)p->steps.n - 1;
  }
}

static bool representative(const void *user, const tn_symbol *symbol, int64_t *out) {
  (void)user;
  *out = symbol->lo > REPRESENTATIVE_EXTENT   ? symbol->lo
         : symbol->hi < REPRESENTATIVE_EXTENT ? symbol->hi
                                              : REPRESENTATIVE_EXTENT;
  return true;
}

/* Sets buffer->bytes: what it takes, in the arena at most. True when it lies there. */
static bool lies_in_arena(plan *p, tn_buffer *buffer) {
  const tn_dim *bound = tn_dim_bound(p->ctx, buffer->bytes);
  bool is_late = bound != buffer->bytes;
  bool is_large = bound && tn_dim_is_const(bound) && bound->lo > MAX_BOUND_BYTES && !p->context->no_heap;
  if (!bound || (is_late && is_large)) return false;
  if (p->context->at_bound && bound->hi != TN_DIM_INF) bound = tn_dim_const(p->ctx, bound->hi);
  buffer->bytes = tn_dim_mul_i(p->ctx, tn_dim_ceildiv(p->ctx, bound, ALIGN_BYTES), ALIGN_BYTES);
  return true;
}

/* Where the first step stands that has buffer among its arguments. */
static tn_loc place_of(const plan *p, const tn_buffer *buffer) {
  tn_steps steps = tn_program_all_steps(p->program, p->ctx->arena);
  for (size_t i = 0; i < steps.n; i++)
    for (size_t k = 0; k < steps.data[i]->args.n; k++)
      if (steps.data[i]->args.data[k] == buffer) return steps.data[i]->loc;
  return TN_LOC_NONE;
}

static bool size_buffer(plan *p, tn_buffer *buffer) {
  const tn_dim *strides[TN_MAX_NDIM], *total;
  tn_storage_strides(p->ctx, buffer->type, buffer->storage, strides, &total);
  const tn_dim *bytes = tn_dim_mul_i(p->ctx, total, (int64_t)tn_dtype_bytes(buffer->type->dtype));
  buffer->bytes = tn_dim_mul_i(p->ctx, tn_dim_ceildiv(p->ctx, bytes, ALIGN_BYTES), ALIGN_BYTES);
  bool in_arena = lies_in_arena(p, buffer);
  if (p->has_inner && buffer->bytes->lo < 0)
    buffer->bytes = tn_dim_max(p->ctx, buffer->bytes, tn_dim_const(p->ctx, 0));
  block *b = in_arena ? &p->blocks[p->n++] : &p->growing[p->n_growing++];
  *b = (block){buffer, 0, -1};
  if (in_arena && !tn_dim_is_const(buffer->bytes)) p->is_static = false;
  if (!tn_dim_evaluate(buffer->bytes, representative, NULL, &b->bytes) || b->bytes < 0)
    return tn_error(p->ctx, place_of(p, buffer), TN_E_LIMIT, "buffer '%s' is larger than 63 bits can say",
                    buffer->name);
  return true;
}

static bool overlap(const tn_buffer *a, const tn_buffer *b) {
  return a->live_first <= b->live_last && b->live_first <= a->live_last;
}

/* The lowest end of the smallest gap that holds b between the placed blocks that live with it; placed: by offset. */
static int64_t best_gap(block *const *placed, size_t n_placed, const block *b) {
  int64_t end = 0, best = -1, best_size = INT64_MAX;
  for (size_t i = 0; i < n_placed; i++) {
    if (!overlap(placed[i]->buffer, b->buffer)) continue;
    int64_t gap = placed[i]->offset - end;
    if (gap >= b->bytes && gap < best_size) {
      best = end;
      best_size = gap;
    }
    if (placed[i]->offset + placed[i]->bytes > end) end = placed[i]->offset + placed[i]->bytes;
  }
  return best >= 0 ? best : end;
}

/* Places all blocks in the given order; returns the arena's size. */
static int64_t place_in_order(plan *p, block **order, block **placed) {
  int64_t total = 0;
  for (size_t i = 0; i < p->n; i++) {
    block *b = order[i];
    b->offset = best_gap(placed, i, b);
    if (b->offset + b->bytes > total) total = b->offset + b->bytes;
    size_t at = i;
    for (; at > 0 && placed[at - 1]->offset > b->offset; at--) placed[at] = placed[at - 1];
    placed[at] = b;
  }
  return total;
}

static int64_t life(const block *b) { return (int64_t)b->buffer->live_last - b->buffer->live_first + 1; }

static int by_number(const block *a, const block *b) { return a->buffer->id < b->buffer->id ? -1 : 1; }

static int by_size(const void *x, const void *y) {
  const block *a = *(block *const *)x, *b = *(block *const *)y;
  return a->bytes != b->bytes ? (a->bytes > b->bytes ? -1 : 1) : by_number(a, b);
}

static int by_area(const void *x, const void *y) {
  const block *a = *(block *const *)x, *b = *(block *const *)y;
  double p = (double)a->bytes * (double)life(a), q = (double)b->bytes * (double)life(b);
  return p != q ? (p > q ? -1 : 1) : by_number(a, b);
}

static int by_time(const void *x, const void *y) {
  const block *a = *(block *const *)x, *b = *(block *const *)y;
  uint32_t p = a->buffer->live_first, q = b->buffer->live_first;
  return p != q ? (p < q ? -1 : 1) : by_size(x, y);
}

static int by_life(const void *x, const void *y) {
  const block *a = *(block *const *)x, *b = *(block *const *)y;
  return life(a) != life(b) ? (life(a) > life(b) ? -1 : 1) : by_size(x, y);
}

/* The last to go first: of a training's step, what its forward pass leaves for the end of the backward pass. */
static int by_end(const void *x, const void *y) {
  const block *a = *(block *const *)x, *b = *(block *const *)y;
  uint32_t p = a->buffer->live_last, q = b->buffer->live_last;
  return p != q ? (p > q ? -1 : 1) : by_size(x, y);
}

static block **pointers(plan *p, block *blocks, size_t n) {
  block **order = TN_NEW_N(p->scratch, block *, n);
  for (size_t i = 0; i < n; i++) order[i] = &blocks[i];
  return order;
}

static block **block_pointers(plan *p) { return pointers(p, p->blocks, p->n); }

/* The best placement so far. */
typedef struct search {
  block **order, **placed;
  int64_t *best, total, bound;
} search;

static int64_t try_order(plan *p, search *s) {
  int64_t total = place_in_order(p, s->order, s->placed);
  if (total >= s->total) return total;
  s->total = total;
  for (size_t i = 0; i < p->n; i++) s->best[i] = p->blocks[i].offset;
  return total;
}

/* What ends highest is placed first the next time, again and again: it finds room that others took without need. */
static void lift_ends(plan *p, search *s) {
  int64_t rounds = p->n > 0 ? MAX_PLACEMENTS / (int64_t)(p->n * p->n) : 0, total = -1;
  if (rounds > MAX_ROUNDS) rounds = MAX_ROUNDS;
  for (int64_t round = 0; round < rounds && s->total > s->bound; round++) {
    if (total < 0) total = try_order(p, s);
    size_t at = 0;
    while (at + 1 < p->n && s->order[at]->offset + s->order[at]->bytes < total) at++;
    block *highest = s->order[at];
    for (; at > 0; at--) s->order[at] = s->order[at - 1];
    s->order[0] = highest;
    total = try_order(p, s);
  }
}

static void plan_static(plan *p, int64_t bound) {
  static int (*const orders[])(const void *, const void *) = {by_size, by_area, by_time, by_life, by_end};
  search s = {block_pointers(p), block_pointers(p), TN_NEW_N(p->scratch, int64_t, p->n), INT64_MAX, bound};
  for (size_t k = 0; k < TN_ARRAY_LEN(orders) && s.total > bound; k++) {
    qsort(s.order, p->n, sizeof(*s.order), orders[k]);
    try_order(p, &s);
  }
  for (size_t k = 0; k < TN_ARRAY_LEN(orders) && s.total > bound && p->context->at_bound; k++) {
    qsort(s.order, p->n, sizeof(*s.order), orders[k]);
    lift_ends(p, &s);
  }
  for (size_t i = 0; i < p->n; i++) p->blocks[i].buffer->offset = tn_dim_const(p->ctx, s.best[i]);
  p->program->arena_bytes = tn_dim_const(p->ctx, p->n ? s.total : 0);
}

static bool fits_slot(const slot *s, const tn_buffer *buffer) {
  for (size_t i = 0; i < s->members.n; i++)
    if (overlap(s->members.data[i], buffer)) return false;
  return true;
}

/* Blocks that may lie at one place, the largest first. */
static slots share(plan *p, block *blocks, size_t n) {
  block **order = pointers(p, blocks, n);
  if (n > 0) qsort(order, n, sizeof(*order), by_size);
  slots all = {0};
  for (size_t i = 0; i < n; i++) {
    tn_buffer *buffer = order[i]->buffer;
    slot *found = NULL;
    for (size_t s = 0; s < all.n && !found; s++)
      if (fits_slot(&all.data[s], buffer)) found = &all.data[s];
    if (!found) {
      TN_VEC_PUSH(p->scratch, &all, ((slot){.bytes = buffer->bytes}));
      found = &all.data[all.n - 1];
    }
    TN_VEC_PUSH(p->scratch, &found->members, buffer);
  }
  return all;
}

/* Each slot grows by itself while the program runs: as large as what is in it. */
static bool plan_growing(plan *p) {
  slots all = share(p, p->growing, p->n_growing);
  if (all.n > TN_MAX_SLOTS)
    return tn_error(p->ctx, p->program->func->body->last->loc, TN_E_LIMIT,
                    "%zu buffers of sizes found while running live together, at most %d can", all.n, TN_MAX_SLOTS);
  if (all.n > 0 && p->context->no_heap) {
    const tn_buffer *first = p->growing[0].buffer;
    return tn_error(p->ctx, p->steps.data[first->live_first]->loc, TN_E_LOWER,
                    "the size of '%s' is found while running and has no bound: a program without a heap cannot hold it",
                    first->name);
  }
  p->program->n_slots = (uint32_t)all.n;
  for (uint32_t s = 0; s < all.n; s++)
    for (size_t i = 0; i < all.data[s].members.n; i++) all.data[s].members.data[i]->slot = s;
  return true;
}

static void plan_symbolic(plan *p) {
  slots all = share(p, p->blocks, p->n);
  for (size_t s = 0; s < all.n; s++)
    for (size_t i = 0; i < all.data[s].members.n; i++)
      all.data[s].bytes = tn_dim_max(p->ctx, all.data[s].bytes, all.data[s].members.data[i]->bytes);
  const tn_dim *offset = tn_dim_const(p->ctx, 0);
  for (size_t s = 0; s < all.n; s++) {
    for (size_t i = 0; i < all.data[s].members.n; i++) all.data[s].members.data[i]->offset = offset;
    offset = tn_dim_add(p->ctx, offset, all.data[s].bytes);
  }
  p->program->arena_bytes = offset;
}

/* Bytes alive at the step where most are; *out_step is which. */
static int64_t lower_bound(const plan *p, uint32_t *out_step) {
  int64_t most = 0;
  *out_step = 0;
  for (uint32_t s = 0; s < p->steps.n; s++) {
    int64_t sum = 0;
    for (size_t i = 0; i < p->n; i++)
      if (p->blocks[i].buffer->live_first <= s && s <= p->blocks[i].buffer->live_last) sum += p->blocks[i].bytes;
    if (sum <= most) continue;
    most = sum;
    *out_step = s;
  }
  return most;
}

static bool check_budget(plan *p, uint32_t step) {
  uint64_t budget = p->context->memory_budget;
  const tn_dim *total = p->program->arena_bytes;
  bool grows = p->program->n_slots > 0;
  if (!budget || (!grows && total->hi != TN_DIM_INF && (uint64_t)total->hi <= budget)) return true;
  if (grows)
    tn_error(p->ctx, p->program->func->body->last->loc, TN_E_BUDGET,
             "'%s' and others have sizes without a bound that are found while running: no budget can hold",
             p->growing[0].buffer->name);
  else if (total->hi == TN_DIM_INF)
    tn_error(p->ctx, p->program->func->body->last->loc, TN_E_BUDGET,
             "the memory plan has no upper bound: bound the symbolic dims with --dim to use a budget of %llu bytes",
             (unsigned long long)budget);
  else
    tn_error(p->ctx, p->program->func->body->last->loc, TN_E_BUDGET,
             "the memory plan needs %lld bytes, the budget is %llu", (long long)total->hi, (unsigned long long)budget);
  block **order = block_pointers(p);
  qsort(order, p->n, sizeof(*order), by_size);
  for (size_t i = 0, shown = 0; i < p->n && shown < N_LARGEST; i++) {
    const tn_buffer *buffer = order[i]->buffer;
    if (buffer->live_first > step || buffer->live_last < step) continue;
    tn_note(p->ctx, p->steps.data[buffer->live_first]->loc, "'%s' takes %lld bytes at the fullest step",
            buffer->name, (long long)order[i]->bytes);
    shown++;
  }
  return false;
}

static bool place_constants(plan *p) {
  int64_t offset = 0;
  for (size_t i = 0; i < p->program->buffers.n; i++) {
    tn_buffer *buffer = p->program->buffers.data[i];
    if (buffer->kind != TN_BUFFER_CONST) continue;
    uint64_t bytes = p->context->backend->packed_bytes(p->context->target, buffer);
    buffer->bytes = tn_dim_const(p->ctx, (int64_t)bytes);
    buffer->offset = tn_dim_const(p->ctx, offset);
    uint64_t rounded = (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    if (rounded > INT64_MAX || !tn_add_i64(offset, (int64_t)rounded, &offset))
      return tn_error(p->ctx, TN_LOC_NONE, TN_E_LIMIT, "the constants together are larger than 63 bits can say");
  }
  p->program->weights_bytes = (uint64_t)offset;
  return true;
}

bool tn_pass_plan(tn_pass_context *context) {
  plan p = {.context = context, .ctx = context->ctx, .program = context->program, .is_static = true,
            .scratch = tn_arena_create_scratch(context->ctx->arena)};
  p.steps = tn_program_all_steps(p.program, p.scratch);
  for (size_t i = 0; i < p.program->guards.n; i++) p.has_inner |= p.program->guards.data[i].is_inner;
  find_lives(&p);
  p.blocks = TN_NEW_N(p.scratch, block, p.program->buffers.n);
  p.growing = TN_NEW_N(p.scratch, block, p.program->buffers.n);
  bool ok = place_constants(&p);
  for (size_t i = 0; i < p.program->buffers.n; i++)
    if (tn_buffer_is_planned(p.program->buffers.data[i])) ok &= size_buffer(&p, p.program->buffers.data[i]);
  if (ok) {
    uint32_t step;
    int64_t bound = lower_bound(&p, &step);
    if (p.is_static)
      plan_static(&p, bound);
    else
      plan_symbolic(&p);
    p.program->arena_lower_bound = p.is_static ? tn_dim_const(p.ctx, bound) : NULL;
    ok = plan_growing(&p) && check_budget(&p, step);
  }
  tn_arena_destroy(p.scratch);
  return ok;
}
