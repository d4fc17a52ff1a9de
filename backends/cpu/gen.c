/* Generation of tile loops: frames and instances, the body of a register tile, and the entry. See gen.h. */
#include <string.h>

#include "backends/cpu/gen.h"

/* --- Frames and instances --- */

void tn_gen_push(tn_gen *gen, tn_gen_frame *frame) {
  frame->outer = gen->frame;
  frame->values = tn_map_create(gen->arena);
  gen->frame = frame;
}

void tn_gen_pop(tn_gen *gen) { gen->frame = gen->frame->outer; }

static uint64_t key_of(const tn_gen *gen, uint32_t kind, uint32_t id, uint32_t axes, const tn_instance *at) {
  uint64_t place = 0;
  for (uint32_t i = 0; i < gen->nest->n_axes; i++)
    if (axes >> i & 1) place = place * gen->count[i] + at->at[i];
  TN_ASSERT(place < (1u << 24) && id < (1u << 30));
  return (uint64_t)kind << 60 | (uint64_t)id << 24 | place;
}

void *tn_gen_recall(tn_gen *gen, uint32_t kind, uint32_t id, uint32_t axes, const tn_instance *at) {
  uint64_t key = key_of(gen, kind, id, axes, at);
  for (tn_gen_frame *frame = gen->frame; frame; frame = frame->outer) {
    void *what = tn_map_get_u64(&frame->values, key);
    if (what) return what;
  }
  return NULL;
}

void tn_gen_remember(tn_gen *gen, uint32_t kind, uint32_t id, uint32_t axes, const tn_instance *at, void *what) {
  tn_map_set_u64(&gen->frame->values, key_of(gen, kind, id, axes, at), what);
}

static bool step_axis(const tn_gen *gen, uint32_t axes, uint32_t axis, tn_instance *at) {
  if (!(axes >> axis & 1)) return false;
  if (++at->at[axis] < gen->count[axis]) return true;
  at->at[axis] = 0;
  return false;
}

bool tn_gen_next(const tn_gen *gen, uint32_t axes, tn_instance *at) {
  int32_t v = gen->plan->vector;
  if (v >= 0 && step_axis(gen, axes, (uint32_t)v, at)) return true;
  for (uint32_t i = gen->plan->n_order; i-- > 0;)
    if (gen->plan->order[i] != v && step_axis(gen, axes, gen->plan->order[i], at)) return true;
  return false;
}

uint32_t tn_gen_n_instances(const tn_gen *gen, uint32_t axes) {
  uint32_t n = 1;
  for (uint32_t i = 0; i < gen->nest->n_axes; i++)
    if (axes >> i & 1) n *= gen->count[i];
  return n;
}

const tn_dim *tn_gen_symbol(tn_gen *gen, const char *name, const tn_dim *extent, tn_tile_value *v) {
  const tn_symbol *symbol = tn_symbol_axis(gen->ctx, name, extent, (uint32_t)gen->locals.n);
  TN_VEC_PUSH(gen->arena, &gen->locals, v);
  return tn_dim_symbol(gen->ctx, symbol);
}

/* --- The body of a register tile --- */

typedef struct write_set {
  tn_knode *writes[64];
  uint32_t n;
} write_set;

static void store_all(tn_gen *gen, void *user, tn_tile_value **accumulators) {
  const write_set *set = user;
  int32_t v = gen->plan->vector;
  (void)accumulators;
  for (uint32_t i = 0; i < set->n; i++) {
    uint32_t axes = gen->nest->node_axes[set->writes[i]->id];
    bool folded_lanes = tn_gen_has(axes, v) && gen->nest->axes[v].kind != TN_AXIS_PAR;
    tn_instance at = {0};
    do {
      for (uint32_t j = 0; j < (folded_lanes ? gen->count[v] : 1); j++) {
        if (folded_lanes) at.at[v] = (uint16_t)j;
        tn_gen_write(gen, set->writes[i], &at);
      }
      if (folded_lanes) at.at[v] = 0;
    } while (tn_gen_next(gen, folded_lanes ? axes & ~(1u << v) : axes, &at));
  }
}

static uint32_t row_axes(const tn_gen *gen, const tn_knode *node) {
  uint32_t rows = 0;
  for (uint32_t i = 0; i < gen->nest->n_axes; i++)
    if ((gen->nest->node_axes[node->id] >> i & 1) && gen->nest->axes[i].kind != TN_AXIS_PAR) rows |= 1u << i;
  return rows;
}

/* Behind the last block, where sums are made block by block. */
static void walk_writes(tn_gen *gen, const tn_walk *walk) {
  if (!gen->block_lo) {
    tn_gen_walk(gen, walk, NULL);
    return;
  }
  tn_gen_frame frame;
  tn_tile_block *saved;
  tn_tile_stmt *branch = tn_tile_if_begin(&gen->b, gen->is_last_block, &saved);
  tn_gen_push(gen, &frame);
  tn_gen_walk(gen, walk, NULL);
  tn_gen_pop(gen);
  tn_tile_if_end(&gen->b, branch, saved);
}

/* Writes over the same row axes share one pass. */
static void write_rows(tn_gen *gen, tn_knode **writes, uint32_t n) {
  bool done[64] = {false};
  for (uint32_t i = 0; i < n; i++) {
    if (done[i]) continue;
    write_set set = {.n = 0};
    tn_knode *goals[64];
    uint32_t axes = row_axes(gen, writes[i]);
    for (uint32_t k = i; k < n; k++) {
      if (row_axes(gen, writes[k]) != axes) continue;
      done[k] = true;
      goals[set.n] = writes[k]->in[0];
      set.writes[set.n++] = writes[k];
    }
    tn_gen_prepare(gen, goals, set.n);
    tn_walk walk = {.axes = axes, .goals = goals, .n_goals = set.n, .body = store_all, .user = &set};
    walk_writes(gen, &walk);
  }
}

/* A kernel that sorts does nothing else. */
static bool sort_body(tn_gen *gen) {
  const tn_kernel *kernel = gen->nest->kernel;
  for (size_t i = 0; i + 1 < kernel->nodes.n; i++) {
    if (kernel->nodes.data[i]->kind != TN_K_ARGSORT) continue;
    tn_gen_frame frame;
    tn_gen_push(gen, &frame);
    tn_gen_argsort(gen, kernel->nodes.data[i], kernel->nodes.data[i + 1]);
    tn_gen_pop(gen);
    return true;
  }
  return false;
}

static void tile_body(tn_gen *gen) {
  const tn_kernel *kernel = gen->nest->kernel;
  if (sort_body(gen)) return;
  tn_knode *writes[64];
  uint32_t n = 0;
  tn_gen_frame frame;
  tn_tile_block *floor = gen->b.load_floor;
  tn_gen_push(gen, &frame);
  memset(gen->kept_by, 0, kernel->nodes.n * sizeof(*gen->kept_by));
  gen->n_passes = 0;
  /* What an epilogue reads must not occupy registers while a contraction runs. */
  if (gen->plan->contract >= 0) gen->b.load_floor = gen->b.block;
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    if (tn_knode_is_write(kernel->nodes.data[i])) writes[n++] = kernel->nodes.data[i];
    if (n < 64 && i + 1 < kernel->nodes.n) continue;
    write_rows(gen, writes, n);
    n = 0;
  }
  gen->b.load_floor = floor;
  tn_gen_pop(gen);
}

/* --- Entry --- */

static bool check_types(tn_ctx *ctx, const tn_kernel *kernel) {
  for (size_t i = 0; i < kernel->args.n; i++)
    if (kernel->args.data[i].type->dtype == TN_STR)
      return tn_error(ctx, kernel->loc, TN_E_LOWER, "kernel '%s': the cpu backend computes no strings", kernel->name);
  return true;
}

bool tn_tile_generate(tn_ctx *ctx, const tn_target *target, const tn_kernel *kernel, tn_arena *arena,
                      tn_tile_func **out) {
  if (!check_types(ctx, kernel)) return false;
  tn_plan *plan = tn_plan_create(kernel, target, arena);
  tn_gen gen = {.ctx = ctx, .arena = arena, .plan = plan, .nest = plan->nest};
  gen.b.func = tn_tile_func_create(arena, kernel, target);
  gen.b.block = &gen.b.func->body;
  gen.kept_by = TN_NEW_N(arena, uint32_t, kernel->nodes.n);
  for (size_t i = 0; i < kernel->nodes.n; i++) TN_VEC_PUSH(arena, &gen.locals, (tn_tile_value *)NULL);
  for (uint32_t i = 0; i < plan->nest->n_axes; i++) {
    gen.count[i] = 1;
    if (!plan->nest->axes[i].is_live) gen.bind[i] = tn_dim_const(ctx, 0);
  }
  memcpy(gen.fold_order, plan->fold_order, sizeof(gen.fold_order));
  gen.b.func->strategy = plan->strategy;
  gen.b.func->formats = plan->formats;
  tn_gen_loops(&gen, tile_body);
  tn_tile_remove_dead(gen.b.func);
  *out = gen.b.func;
  gen.b.func->max_live_vectors = tn_tile_count_live(gen.b.func);
  return true;
}
