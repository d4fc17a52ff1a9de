/* Folds: which are made when, the walk over fold axes (runtime loops, unrolled taps, lanes with a masked tail, ranges
 * cut to what lies inside the operand), and the accumulators. See gen.h. */
#include <math.h>
#include <string.h>

#include "backends/cpu/gen.h"
#include "ir/eval.h"

/* Of none, both may be NULL. */
static void copy_values(tn_tile_value **to, tn_tile_value *const *from, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) to[i] = from[i];
}

#define MAX_SIBLINGS 8
#define MAX_UNROLLED_TAPS 16
#define SUM_BLOCK 32 /* positions one chain of a sum adds up */
#define PRODUCT_BLOCK 128 /* and of a product, where the tile's sums leave their registers for each block */
#define WINDOW_BLOCK 256 /* and of a product over several axes (convolutions), whose loops are shorter */
#define LONG_PRODUCT 2048 /* products of fewer positions have one chain */

/* --- What is needed --- */

static void mark_needed(tn_gen *gen, const tn_knode *node, bool *needed) {
  static const tn_instance none;
  const tn_kernel *kernel = gen->nest->kernel;
  if (needed[node->id]) return;
  needed[node->id] = true;
  if (tn_gen_is_kept(gen, node)) return;
  if (tn_gen_n_instances(gen, gen->nest->node_axes[node->id]) == 1 &&
      tn_gen_recall(gen, 0, node->id, gen->nest->node_axes[node->id], &none))
    return;
  for (uint32_t i = 0; i < node->n_in; i++) mark_needed(gen, node->in[i], needed);
  for (uint32_t k = 0; k < node->n_index; k++) {
    if (!tn_dim_uses_kind(node->index[k], TN_SYM_VALUE)) continue;
    for (size_t i = 0; i < kernel->nodes.n; i++)
      if (kernel->nodes.data[i]->value_symbol && tn_dim_uses(node->index[k], kernel->nodes.data[i]->value_symbol))
        mark_needed(gen, kernel->nodes.data[i], needed);
  }
}

static bool is_fold(const tn_knode *node) {
  return node->kind == TN_K_FOLD || node->kind == TN_K_CONTRACT || node->kind == TN_K_ARGFOLD;
}

static bool is_bound(const tn_gen *gen, uint32_t axes) {
  for (uint32_t i = 0; i < gen->nest->n_axes; i++)
    if ((axes >> i & 1) && !gen->bind[i]) return false;
  return true;
}

static bool is_made(tn_gen *gen, const tn_knode *node) {
  static const tn_instance none;
  return tn_gen_is_kept(gen, node) || tn_gen_recall(gen, 0, node->id, gen->nest->node_axes[node->id], &none);
}

/* Whether node needs a fold that could be made here and is not yet. */
static bool waits(tn_gen *gen, const tn_knode *node) {
  const tn_kernel *kernel = gen->nest->kernel;
  bool *needed = TN_NEW_N(gen->arena, bool, kernel->nodes.n);
  mark_needed(gen, node, needed);
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *other = kernel->nodes.data[i];
    if (other != node && needed[i] && is_fold(other) && is_bound(gen, gen->nest->node_axes[i]) && !is_made(gen, other))
      return true;
  }
  return false;
}

/* --- Operations --- */

static tn_scalar fold_scalar(tn_fold fold) {
  switch (fold) {
    case TN_FOLD_SUM: return TN_ADD;
    case TN_FOLD_PROD: return TN_MUL;
    case TN_FOLD_MAX: return TN_MAX;
    case TN_FOLD_MIN: return TN_MIN;
    case TN_FOLD_AND: return TN_AND;
    case TN_FOLD_OR: return TN_OR;
  }
  return TN_ADD;
}

static tn_fold fold_of(const tn_knode *node) { return node->kind == TN_K_CONTRACT ? TN_FOLD_SUM : node->fold; }

static tn_dtype accumulator_type(const tn_knode *node) {
  return tn_nest_compute_type(node->kind == TN_K_ARGFOLD ? node->in[0]->dtype : node->dtype);
}

static bool is_number(const tn_tile_value *v, tn_number n) { return v->op == TN_T_CONST && v->constant.u == n.u; }
static bool is_zero(const tn_tile_value *v) {
  return v->op == TN_T_CONST && (v->constant.u == 0 || (v->type <= TN_F4E2M1 && v->constant.f == 0));
}

/* --- The walk over fold axes --- */

/* The constant a node has when `read` is outside; false when it is none. */
static bool outside_constant(const tn_knode *node, const tn_knode *read, tn_number *out) {
  tn_number in[3];
  if (node == read) node = node->in[0];
  if (node->kind == TN_K_CONST) return *out = node->constant, true;
  if (node->kind != TN_K_SCALAR) return false;
  for (uint32_t i = 0; i < node->n_in; i++)
    if (!outside_constant(node->in[i], read, &in[i])) return false;
  *out = tn_scalar_apply(node->scalar, node->in[node->n_in - 1]->dtype, node->dtype, true, in);
  return true;
}

/* Whether a position where `read` is outside adds nothing to the fold. */
static bool adds_nothing(const tn_knode *fold, const tn_knode *read) {
  tn_number n;
  if (fold->kind == TN_K_CONTRACT) {
    for (int i = 0; i < 2; i++) {
      if (!outside_constant(fold->in[i], read, &n)) continue;
      if (tn_dtype_is_float(fold->in[i]->dtype) ? n.f == 0 : n.i == 0) return true;
    }
    return false;
  }
  if (fold->kind != TN_K_FOLD || !outside_constant(fold->in[0], read, &n)) return false;
  n = tn_number_cast(fold->in[0]->dtype, fold->dtype, n);
  return n.u == tn_fold_identity(fold->fold, fold->dtype).u;
}

static bool instances_share(const tn_gen *gen, const tn_bound *bound) {
  for (uint32_t i = 0; i < gen->nest->n_axes; i++)
    if ((bound->axes >> i & 1) && (gen->count[i] > 1 || (int32_t)i == gen->plan->vector)) return false;
  return true;
}

typedef struct axis_range {
  const tn_dim *lo, *hi;
  tn_bound *assumed[32];
  uint32_t n_assumed;
} axis_range;

static void cut_range(tn_gen *gen, tn_bound *bound, uint32_t axis, axis_range *range) {
  tn_ctx *ctx = gen->ctx;
  int64_t d = bound->coefficient[axis];
  const tn_dim *zero = tn_dim_const(ctx, 0), *saved = gen->bind[axis];
  gen->bind[axis] = zero;
  const tn_dim *rest = tn_gen_place(gen, bound->index, NULL), *last = tn_dim_add_i(ctx, bound->extent, -1);
  gen->bind[axis] = saved;
  const tn_dim *first_in, *last_in; /* of the axis, both inclusive */
  if (d > 0) {
    first_in = tn_dim_ceildiv(ctx, tn_dim_sub(ctx, zero, rest), d);
    last_in = tn_dim_floordiv(ctx, tn_dim_sub(ctx, last, rest), tn_dim_const(ctx, d));
  } else {
    first_in = tn_dim_ceildiv(ctx, tn_dim_sub(ctx, rest, last), -d);
    last_in = tn_dim_floordiv(ctx, rest, tn_dim_const(ctx, -d));
  }
  range->lo = tn_dim_max(ctx, range->lo, first_in);
  range->hi = tn_dim_min(ctx, range->hi, tn_dim_add_i(ctx, last_in, 1));
  range->assumed[range->n_assumed++] = bound;
  bound->assumed++;
}

/* Other fold axes of the walk in the bound are not bound yet at this level. */
static bool others_are_bound(const tn_gen *gen, const tn_bound *bound, uint32_t axis) {
  return is_bound(gen, bound->axes & ~(1u << axis)) && !tn_dim_uses_kind(bound->index, TN_SYM_VALUE);
}

static bool every_fold_allows(const tn_walk *walk, const tn_knode *read) {
  for (uint32_t i = 0; i < walk->n_folds; i++)
    if (!adds_nothing(walk->folds[i], read)) return false;
  return walk->n_folds > 0;
}

/* Positions of axis outside of which the folds get nothing: padding is skipped, not computed. */
static axis_range range_of(tn_gen *gen, const tn_walk *walk, uint32_t axis) {
  const tn_kernel *kernel = gen->nest->kernel;
  axis_range range = {.lo = tn_dim_const(gen->ctx, 0), .hi = gen->nest->axes[axis].extent};
  bool *needed = TN_NEW_N(gen->arena, bool, kernel->nodes.n);
  if (gen->plan->kept) return range;
  for (uint32_t i = 0; i < walk->n_goals; i++) mark_needed(gen, walk->goals[i], needed);
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    tn_access *access = gen->nest->accesses[i];
    const tn_knode *node = kernel->nodes.data[i];
    if (!needed[i] || !access || node->kind != TN_K_READ || node->n_in == 0 || !every_fold_allows(walk, node)) continue;
    for (uint32_t k = 0; k < access->n_bounds; k++) {
      tn_bound *bound = &access->bounds[k];
      if (!(bound->axes >> axis & 1) || (bound->nonlinear >> axis & 1) || bound->assumed || range.n_assumed == 32)
        continue;
      if (instances_share(gen, bound) && others_are_bound(gen, bound, axis)) cut_range(gen, bound, axis, &range);
    }
  }
  return range;
}

/* True when, in this register tile, some instance leaves a bound for some position of axis: unrolled, each tap of each
 * instance is then known to be inside or outside. */
static bool crosses_border(tn_gen *gen, const tn_walk *walk, uint32_t axis) {
  const tn_kernel *kernel = gen->nest->kernel;
  bool *needed = TN_NEW_N(gen->arena, bool, kernel->nodes.n), crosses = false;
  const tn_dim *saved = gen->bind[axis];
  for (uint32_t i = 0; i < walk->n_goals; i++) mark_needed(gen, walk->goals[i], needed);
  gen->bind[axis] = tn_gen_symbol(gen, "tap", gen->nest->axes[axis].extent, NULL);
  for (size_t i = 0; i < kernel->nodes.n && !crosses; i++) {
    tn_access *access = gen->nest->accesses[i];
    if (!needed[i] || !access || kernel->nodes.data[i]->kind != TN_K_READ) continue;
    for (uint32_t k = 0; k < access->n_bounds && !crosses; k++) {
      tn_bound *bound = &access->bounds[k];
      if (!(bound->axes >> axis & 1) || instances_share(gen, bound) || !others_are_bound(gen, bound, axis)) continue;
      tn_instance at = {0};
      do crosses = tn_gen_bound(gen, bound, &at) != TN_BOUND_IN;
      while (!crosses && tn_gen_next(gen, bound->axes, &at));
    }
  }
  gen->bind[axis] = saved;
  return crosses;
}

static bool is_tap_at_border(tn_gen *gen, const tn_walk *walk, uint32_t axis) {
  int64_t count = gen->nest->axes[axis].count;
  return (walk->axes >> axis & 1) && (int32_t)axis != gen->plan->vector && count >= 0 && count <= MAX_UNROLLED_TAPS &&
         crosses_border(gen, walk, axis);
}

static void walk_level(tn_gen *gen, const tn_walk *walk, uint32_t level, tn_tile_value **accumulators);

static void walk_inside(tn_gen *gen, const tn_walk *walk, uint32_t level, const tn_dim *position,
                        tn_tile_value **accumulators) {
  tn_gen_frame frame;
  uint32_t axis = gen->fold_order[level];
  const tn_dim *saved = gen->bind[axis];
  tn_gen_push(gen, &frame);
  gen->bind[axis] = position;
  tn_gen_prepare(gen, walk->goals, walk->n_goals);
  walk_level(gen, walk, level + 1, accumulators);
  gen->bind[axis] = saved;
  tn_gen_pop(gen);
}

static bool has_inner_loop(const tn_tile_block *block) {
  for (size_t i = 0; i < block->stmts.n; i++)
    if (block->stmts.data[i]->kind == TN_TS_LOOP) return true;
  return false;
}

/* True when the walk is a plain sum in floating point, of which one chain over many terms would lose many digits. */
static bool is_float_sum(const tn_walk *walk) {
  for (uint32_t f = 0; f < walk->n_folds; f++) {
    const tn_knode *fold = walk->folds[f];
    if (fold->kind == TN_K_ARGFOLD || fold_of(fold) != TN_FOLD_SUM || !tn_dtype_is_float(fold->dtype)) return false;
  }
  return walk->n_folds > 0;
}

/* A loop over one axis of a sum: blocks of positions have a chain each, and the sums of blocks are added. */
static void walk_blocks(tn_gen *gen, const tn_walk *walk, uint32_t level, const tn_dim *lo, const tn_dim *hi,
                        int64_t block, tn_tile_value **accumulators) {
  uint32_t axis = gen->fold_order[level], n = walk->n_accumulators;
  tn_tile_block *saved, *saved_inner;
  tn_tile_value *end = tn_gen_int(gen, hi), **sums = TN_NEW_N(gen->arena, tn_tile_value *, n);
  tn_tile_stmt *blocks = tn_tile_loop_begin(&gen->b, tn_gen_int(gen, lo), end, block, accumulators, n, &saved);
  copy_values(sums, blocks->carried, n);
  for (uint32_t i = 0; i < n; i++)
    accumulators[i] = tn_tile_number(&gen->b, sums[i]->type, sums[i]->lanes, (tn_number){.f = 0});
  tn_tile_value *step = tn_tile_number(&gen->b, TN_I64, 1, (tn_number){.i = block});
  tn_tile_value *block_end = tn_tile_int(&gen->b, TN_T_IMIN, tn_tile_int(&gen->b, TN_T_IADD, blocks->var, step), end);
  tn_tile_stmt *loop = tn_tile_loop_begin(&gen->b, blocks->var, block_end, 1, accumulators, n, &saved_inner);
  copy_values(accumulators, loop->carried, n);
  const tn_nest_axis *over = &gen->nest->axes[axis];
  walk_inside(gen, walk, level, tn_gen_symbol(gen, over->symbol->name, over->extent, loop->var), accumulators);
  loop->innermost_hot = walk->folds[0]->kind == TN_K_CONTRACT && !has_inner_loop(&loop->body);
  tn_tile_loop_end(&gen->b, loop, accumulators, saved_inner);
  for (uint32_t i = 0; i < n; i++) {
    tn_tile_value *in[] = {sums[i], loop->results[i]};
    accumulators[i] = tn_tile_scalar(&gen->b, TN_ADD, sums[i]->type, sums[i]->lanes, in, 2);
  }
  tn_tile_loop_end(&gen->b, blocks, accumulators, saved);
  copy_values(accumulators, blocks->results, n);
}

static void walk_loop(tn_gen *gen, const tn_walk *walk, uint32_t level, const tn_dim *lo, const tn_dim *hi,
                      int64_t step, tn_tile_value **accumulators) {
  uint32_t axis = gen->fold_order[level];
  tn_tile_block *saved;
  tn_tile_stmt *loop = tn_tile_loop_begin(&gen->b, tn_gen_int(gen, lo), tn_gen_int(gen, hi), step, accumulators,
                                          walk->n_accumulators, &saved);
  const tn_dim *symbol =
      tn_gen_symbol(gen, gen->nest->axes[axis].symbol->name, gen->nest->axes[axis].extent, loop->var);
  if (step > 1 && tn_dim_is_const(hi) && tn_dim_is(lo, 0)) /* whole vectors only */
    symbol = tn_gen_symbol(gen, gen->nest->axes[axis].symbol->name, tn_dim_add_i(gen->ctx, hi, 1 - step), loop->var);
  copy_values(accumulators, loop->carried, walk->n_accumulators);
  walk_inside(gen, walk, level, symbol, accumulators);
  loop->innermost_hot = walk->n_folds && walk->folds[0]->kind == TN_K_CONTRACT && !has_inner_loop(&loop->body);
  tn_tile_loop_end(&gen->b, loop, accumulators, saved);
  copy_values(accumulators, loop->results, walk->n_accumulators);
}

static tn_tile_value *tail_mask(tn_gen *gen, const tn_dim *left) {
  tn_tile_value proto = {.op = TN_T_MASK, .type = TN_BOOL, .lanes = gen->plan->lanes, .n_in = 1,
                         .in = {tn_gen_int(gen, left)}};
  return tn_tile_value_of(&gen->b, &proto);
}

/* Lanes over a fold axis: whole register tiles, then single vectors, the last with a mask. */
static void walk_vectors(tn_gen *gen, const tn_walk *walk, uint32_t level, tn_tile_value **accumulators) {
  uint32_t axis = gen->fold_order[level], lanes = gen->plan->lanes, tile = gen->plan->tile[axis];
  int64_t chunk = (int64_t)lanes * tile, count = gen->nest->axes[axis].count;
  const tn_dim *extent = gen->nest->axes[axis].extent, *zero = tn_dim_const(gen->ctx, 0);
  uint32_t saved_count = gen->count[axis];
  const tn_dim *whole = tn_dim_mul_i(gen->ctx, tn_dim_floordiv(gen->ctx, extent, tn_dim_const(gen->ctx, chunk)), chunk);
  gen->count[axis] = tile;
  if (count < 0 || count >= chunk) {
    if (count >= 0 && count < 2 * chunk)
      walk_inside(gen, walk, level, zero, accumulators);
    else
      walk_loop(gen, walk, level, zero, whole, chunk, accumulators);
  }
  if (count >= 0 && count % chunk) {
    int64_t left = count % chunk, vectors = (left + lanes - 1) / lanes;
    gen->count[axis] = (uint32_t)vectors;
    if (left % lanes) gen->mask[vectors - 1] = tail_mask(gen, tn_dim_const(gen->ctx, left % lanes));
    walk_inside(gen, walk, level, whole, accumulators);
    gen->mask[vectors - 1] = NULL;
  } else if (count < 0) {
    gen->count[axis] = 1;
    tn_tile_block *saved;
    tn_tile_stmt *loop = tn_tile_loop_begin(&gen->b, tn_gen_int(gen, whole), tn_gen_int(gen, extent), lanes,
                                            accumulators, walk->n_accumulators, &saved);
    const tn_dim *symbol = tn_gen_symbol(gen, gen->nest->axes[axis].symbol->name, extent, loop->var);
    gen->mask[0] = tail_mask(gen, tn_dim_sub(gen->ctx, extent, symbol));
    copy_values(accumulators, loop->carried, walk->n_accumulators);
    walk_inside(gen, walk, level, symbol, accumulators);
    tn_tile_loop_end(&gen->b, loop, accumulators, saved);
    copy_values(accumulators, loop->results, walk->n_accumulators);
    gen->mask[0] = NULL;
  }
  gen->count[axis] = saved_count;
}

/* Positions of the walk at the levels from `level` on; extents that only a run shows count as 1. */
static double positions_from(const tn_gen *gen, const tn_walk *walk, uint32_t level) {
  double n = 1;
  for (uint32_t i = level; i < gen->plan->n_fold_order; i++) {
    uint32_t axis = gen->fold_order[i];
    if ((walk->axes >> axis & 1) && gen->nest->axes[axis].count > 0) n *= (double)gen->nest->axes[axis].count;
  }
  return n;
}

/* Positions of the axis at this level that share a chain of a sum, with all those of the axes inside; 0: all of them.
 * Of the loops of a long product one is cut, in whose steps a chain is not yet full. */
static int64_t block_of(const tn_gen *gen, const tn_walk *walk, uint32_t level) {
  int64_t count = gen->nest->axes[gen->fold_order[level]].count;
  if (!is_float_sum(walk)) return 0;
  if (walk->folds[0]->kind != TN_K_CONTRACT) return count < 0 || count > 2 * SUM_BLOCK ? SUM_BLOCK : 0;
  double all = positions_from(gen, walk, 0), inside = positions_from(gen, walk, level + 1);
  double block = all == (double)count ? PRODUCT_BLOCK : WINDOW_BLOCK;
  if (all < LONG_PRODUCT || inside >= block || (double)count * inside < 2 * block) return 0;
  return (int64_t)(block / inside);
}

static void walk_level(tn_gen *gen, const tn_walk *walk, uint32_t level, tn_tile_value **accumulators) {
  while (level < gen->plan->n_fold_order && !(walk->axes >> gen->fold_order[level] & 1)) level++;
  if (level == gen->plan->n_fold_order) {
    walk->body(gen, walk->user, accumulators);
    return;
  }
  uint32_t axis = gen->fold_order[level];
  int64_t count = gen->nest->axes[axis].count;
  if ((int32_t)axis == gen->plan->vector) {
    walk_vectors(gen, walk, level, accumulators);
    return;
  }
  bool is_unrolled = walk->n_folds && (gen->plan->static_folds >> axis & 1);
  if (is_unrolled || is_tap_at_border(gen, walk, axis)) {
    for (int64_t i = 0; i < count; i++) walk_inside(gen, walk, level, tn_dim_const(gen->ctx, i), accumulators);
    return;
  }
  axis_range range = range_of(gen, walk, axis);
  if (gen->block_lo && (int32_t)axis == gen->plan->block_axis) range.lo = gen->block_lo, range.hi = gen->block_hi;
  int64_t block = block_of(gen, walk, level);
  if (block)
    walk_blocks(gen, walk, level, range.lo, range.hi, block, accumulators);
  else
    walk_loop(gen, walk, level, range.lo, range.hi, 1, accumulators);
  for (uint32_t i = 0; i < range.n_assumed; i++) range.assumed[i]->assumed--;
}

/* The taps that a tile at a border unrolls come first: each is then a loop of its own over the channels, with one load
 * and at most one mask. Several in one loop body do not find registers where masks take vector registers; where they do
 * not, one body reads the weights once. */
static void taps_outermost(tn_gen *gen, const tn_walk *walk) {
  uint32_t n = gen->plan->n_fold_order, n_taps = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint8_t axis = gen->fold_order[i];
    if (!is_tap_at_border(gen, walk, axis)) continue;
    memmove(gen->fold_order + n_taps + 1, gen->fold_order + n_taps, i - n_taps);
    gen->fold_order[n_taps++] = axis;
  }
}

void tn_gen_walk(tn_gen *gen, const tn_walk *walk, tn_tile_value **accumulators) {
  uint32_t rows = 0, saved_pass = gen->pass;
  for (uint32_t i = 0; i < gen->nest->n_axes; i++)
    if (gen->nest->axes[i].is_live && gen->nest->axes[i].kind == TN_AXIS_ROW) rows |= 1u << i;
  if (!gen->pass && (walk->axes & rows)) gen->pass = ++gen->n_passes;
  uint8_t saved_order[TN_KERNEL_MAX_AXES];
  memcpy(saved_order, gen->fold_order, sizeof(saved_order));
  if (gen->plan->splits_taps && walk->n_folds && walk->folds[0]->kind == TN_K_CONTRACT) taps_outermost(gen, walk);
  walk_level(gen, walk, 0, accumulators);
  memcpy(gen->fold_order, saved_order, sizeof(saved_order));
  gen->pass = saved_pass;
}

/* --- Accumulators --- */

typedef struct fold_group {
  const tn_knode *folds[MAX_SIBLINGS];
  uint32_t first[MAX_SIBLINGS]; /* accumulator of the fold's first instance */
  uint32_t n;
} fold_group;

/* Vectors along a folded vector axis each have an accumulator. */
static uint32_t chains_of(const tn_gen *gen, const tn_knode *fold) {
  return tn_gen_has(gen->nest->node_over[fold->id], gen->plan->vector) ? gen->plan->tile[gen->plan->vector] : 1;
}

static uint32_t per_instance(const tn_gen *gen, const tn_knode *fold) {
  return chains_of(gen, fold) * (fold->kind == TN_K_ARGFOLD ? 2 : 1);
}

static uint32_t accumulator_lanes(const tn_gen *gen, const tn_knode *fold) {
  bool is_vector = tn_gen_has(gen->nest->node_axes[fold->id] | gen->nest->node_over[fold->id], gen->plan->vector);
  return is_vector ? gen->plan->lanes : 1;
}

static tn_tile_value *select_active(tn_gen *gen, tn_tile_value *mask, tn_tile_value *v, tn_number otherwise) {
  if (!mask) return v;
  tn_tile_value *in[] = {mask, tn_gen_widen(gen, v, mask->lanes),
                         tn_tile_number(&gen->b, v->type, mask->lanes, otherwise)};
  return tn_tile_scalar(&gen->b, TN_SELECT, v->type, mask->lanes, in, 3);
}

static tn_tile_value *add_product(tn_gen *gen, const tn_knode *fold, const tn_instance *at, tn_tile_value *mask,
                                  tn_tile_value *sum) {
  tn_tile_value *in[2];
  for (int i = 0; i < 2; i++) {
    in[i] = tn_gen_cast(gen, tn_gen_value(gen, fold->in[i], at), sum->type);
    if (is_zero(in[i])) return sum;
  }
  tn_number zero = {.u = 0};
  for (int i = 0; i < 2; i++) {
    in[i] = select_active(gen, mask, in[i], zero);
    in[i] = tn_gen_widen(gen, in[i], sum->lanes);
  }
  return tn_tile_fma(&gen->b, in[0], in[1], sum);
}

static tn_tile_value *compare(tn_gen *gen, tn_scalar op, tn_tile_value *x, tn_tile_value *y) {
  tn_tile_value *in[] = {x, y};
  return tn_tile_scalar(&gen->b, op, TN_BOOL, x->lanes, in, op == TN_IS_NAN ? 1 : 2);
}

static tn_tile_value *bool_op(tn_gen *gen, tn_scalar op, tn_tile_value *x, tn_tile_value *y) {
  tn_tile_value *in[] = {x, y};
  return tn_tile_scalar(&gen->b, op, TN_BOOL, x->lanes, in, op == TN_NOT ? 1 : 2);
}

/* A NaN wins over all else; ties go to the first, or to the last when asked. */
static void keep_winner(tn_gen *gen, const tn_knode *fold, const tn_instance *at, tn_tile_value **best) {
  bool is_max = fold->fold == TN_FOLD_MAX, is_float = tn_dtype_is_float(best[0]->type);
  tn_tile_value *x =
      tn_gen_widen(gen, tn_gen_cast(gen, tn_gen_value(gen, fold->in[0], at), best[0]->type), best[0]->lanes);
  tn_tile_value *wins = compare(gen, fold->last ? (is_max ? TN_GE : TN_LE) : (is_max ? TN_GT : TN_LT), x, best[0]);
  if (is_float) {
    tn_tile_value *nan = compare(gen, TN_IS_NAN, x, x), *had = compare(gen, TN_IS_NAN, best[0], best[0]);
    if (!fold->last) nan = bool_op(gen, TN_AND, nan, bool_op(gen, TN_NOT, had, NULL));
    wins = bool_op(gen, TN_OR, wins, nan);
  }
  uint32_t axis = 0;
  while (!(gen->nest->node_over[fold->id] >> axis & 1)) axis++;
  tn_tile_value *position = tn_gen_widen(gen, tn_gen_int(gen, gen->bind[axis]), best[1]->lanes);
  tn_tile_value *value[] = {wins, x, best[0]}, *place[] = {wins, position, best[1]};
  best[0] = tn_tile_scalar(&gen->b, TN_SELECT, best[0]->type, best[0]->lanes, value, 3);
  best[1] = tn_tile_scalar(&gen->b, TN_SELECT, TN_I64, best[1]->lanes, place, 3);
}

static void accumulate_one(tn_gen *gen, const tn_knode *fold, const tn_instance *at, tn_tile_value *mask,
                           tn_tile_value **slot) {
  if (fold->kind == TN_K_CONTRACT) {
    *slot = add_product(gen, fold, at, mask, *slot);
  } else if (fold->kind == TN_K_ARGFOLD) {
    if (gen->nest->node_over[fold->id]) keep_winner(gen, fold, at, slot);
  } else {
    tn_number identity = tn_fold_identity(fold->fold, slot[0]->type);
    tn_tile_value *x = tn_gen_cast(gen, tn_gen_value(gen, fold->in[0], at), slot[0]->type);
    if (is_number(x, identity)) return;
    x = tn_gen_widen(gen, select_active(gen, mask, x, identity), slot[0]->lanes);
    tn_tile_value *in[] = {slot[0], x};
    *slot = tn_tile_scalar(&gen->b, fold_scalar(fold->fold), slot[0]->type, slot[0]->lanes, in, 2);
  }
}

static void accumulate(tn_gen *gen, void *user, tn_tile_value **accumulators) {
  const fold_group *group = user;
  int32_t v = gen->plan->vector;
  for (uint32_t f = 0; f < group->n; f++) {
    const tn_knode *fold = group->folds[f];
    uint32_t slot = group->first[f];
    gen->b.origin = fold->id + 1;
    bool by_lane = tn_gen_has(gen->nest->node_over[fold->id], v);
    tn_instance at = {0};
    do {
      for (uint32_t j = 0; j < (by_lane ? gen->count[v] : 1); j++) {
        if (by_lane) at.at[v] = (uint16_t)j;
        accumulate_one(gen, fold, &at, by_lane ? gen->mask[j] : NULL, &accumulators[slot + j]);
      }
      if (by_lane) at.at[v] = 0;
      slot += per_instance(gen, fold);
    } while (tn_gen_next(gen, gen->nest->node_axes[fold->id], &at));
  }
}

static uint32_t start_accumulators(tn_gen *gen, fold_group *group, tn_tile_value ***out) {
  uint32_t n = 0;
  for (uint32_t f = 0; f < group->n; f++) {
    group->first[f] = n;
    n += tn_gen_n_instances(gen, gen->nest->node_axes[group->folds[f]->id]) * per_instance(gen, group->folds[f]);
  }
  *out = TN_NEW_N(gen->arena, tn_tile_value *, n);
  for (uint32_t f = 0; f < group->n; f++) {
    const tn_knode *fold = group->folds[f];
    uint32_t end = f + 1 < group->n ? group->first[f + 1] : n, lanes = accumulator_lanes(gen, fold);
    tn_number start = tn_fold_identity(fold_of(fold), accumulator_type(fold));
    for (uint32_t i = group->first[f]; i < end; i++) {
      bool is_place = fold->kind == TN_K_ARGFOLD && (i - group->first[f]) % 2;
      (*out)[i] = is_place ? tn_tile_number(&gen->b, TN_I64, lanes, (tn_number){.i = 0})
                           : tn_tile_number(&gen->b, accumulator_type(fold), lanes, start);
    }
  }
  return n;
}

/* Chains combined, and lanes when they ran over a folded axis. */
static tn_tile_value *finish_chain(tn_gen *gen, const tn_knode *fold, tn_tile_value **slot) {
  if (fold->kind == TN_K_ARGFOLD) return slot[1];
  if (!tn_gen_has(gen->nest->node_over[fold->id], gen->plan->vector)) return slot[0];
  uint32_t n = chains_of(gen, fold);
  tn_tile_value *sum = slot[0];
  for (uint32_t i = 1; i < n; i++) {
    tn_tile_value *in[] = {sum, slot[i]};
    sum = tn_tile_scalar(&gen->b, fold_scalar(fold_of(fold)), sum->type, sum->lanes, in, 2);
  }
  if (sum->lanes == 1) return sum;
  tn_tile_value proto = {
      .op = TN_T_HFOLD, .type = sum->type, .lanes = 1, .n_in = 1, .in = {sum}, .fold = fold_of(fold)};
  return tn_tile_value_of(&gen->b, &proto);
}

static void make_group(tn_gen *gen, fold_group *group) {
  uint32_t saved_origin = gen->b.origin;
  gen->b.origin = group->folds[0]->id + 1;
  tn_tile_value **accumulators;
  tn_knode *goals[MAX_SIBLINGS * 2];
  uint32_t n_goals = 0;
  for (uint32_t f = 0; f < group->n; f++)
    for (uint32_t i = 0; i < group->folds[f]->n_in; i++) goals[n_goals++] = group->folds[f]->in[i];
  uint32_t n = start_accumulators(gen, group, &accumulators);
  if (gen->block_lo) tn_gen_load_sums(gen, accumulators);
  tn_walk walk = {.axes = gen->nest->node_over[group->folds[0]->id], .goals = goals, .n_goals = n_goals,
                  .folds = group->folds, .n_folds = group->n, .body = accumulate, .user = group, .n_accumulators = n};
  tn_gen_walk(gen, &walk, accumulators);
  if (gen->block_lo) tn_gen_store_sums(gen, accumulators);
  for (uint32_t f = 0; f < group->n; f++) {
    const tn_knode *fold = group->folds[f];
    uint32_t slot = group->first[f], axes = gen->nest->node_axes[fold->id];
    tn_instance at = {0};
    do {
      tn_tile_value *v = finish_chain(gen, fold, &accumulators[slot]);
      tn_gen_keep(gen, fold, &at, v);
      tn_gen_remember(gen, 0, fold->id, axes, &at, v);
      slot += per_instance(gen, fold);
    } while (tn_gen_next(gen, axes, &at));
  }
  gen->b.origin = saved_origin;
}

/* Folds over the same axes with the same result axes share one walk when neither waits for the other. */
static void add_siblings(tn_gen *gen, fold_group *group, const bool *needed) {
  const tn_kernel *kernel = gen->nest->kernel;
  const tn_knode *first = group->folds[0];
  for (size_t i = first->id + 1; i < kernel->nodes.n && group->n < MAX_SIBLINGS; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    if (!needed[i] || !is_fold(node) || is_made(gen, node)) continue;
    if (gen->nest->node_over[i] != gen->nest->node_over[first->id] ||
        gen->nest->node_axes[i] != gen->nest->node_axes[first->id] || waits(gen, node))
      continue;
    group->folds[group->n++] = node;
  }
}

void tn_gen_prepare(tn_gen *gen, tn_knode *const *nodes, uint32_t n) {
  const tn_kernel *kernel = gen->nest->kernel;
  bool any = false, *needed;
  for (size_t i = 0; i < kernel->nodes.n; i++) any |= is_fold(kernel->nodes.data[i]);
  if (!any) return;
  needed = TN_NEW_N(gen->arena, bool, kernel->nodes.n);
  for (uint32_t i = 0; i < n; i++) mark_needed(gen, nodes[i], needed);
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    if (!needed[i] || !is_fold(node) || !is_bound(gen, gen->nest->node_axes[i]) || is_made(gen, node)) continue;
    fold_group group = {.folds = {node}, .n = 1};
    add_siblings(gen, &group, needed);
    make_group(gen, &group);
  }
}
