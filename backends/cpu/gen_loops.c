/* The par loops: each axis is cut into segments in which the register tile has one shape: equal tiles that cover a
 * static extent exactly, tiles at the borders of padded operands apart from those in the interior, a last tile moved
 * back to overlap when the extent is known at run time only, masked vectors at the end. See gen.h. */
#include "backends/cpu/gen.h"

#define MAX_SINGLE_TILES 6

typedef struct loops {
  void (*body)(tn_gen *gen);
} loops;

typedef struct segment {
  const tn_dim *start; /* position of the first tile */
  const tn_dim *tiles; /* how many */
  int64_t step;        /* positions from tile to tile */
  uint32_t instances;
  const tn_dim *last;  /* tiles past this position are moved back to it; NULL = none */
  const tn_dim *first_unit; /* of the part axis: tile i belongs to unit first_unit + i */
  const tn_dim *units;      /* NULL, or how many there are: tiles past the last belong to it, so that those moved back
                               over others are the work of one part */
  const tn_dim *mask_from;  /* lanes at positions >= this are inactive; NULL = all active */
  bool past_lo, before_hi;  /* all positions are at or past the interior's lo, before its hi */
} segment;

static void par_level(tn_gen *gen, const loops *l, uint32_t level);

/* --- Parts --- */

static tn_tile_value *part_value(tn_gen *gen, tn_tile_op op) {
  tn_tile_value proto = {.op = op, .type = TN_I64, .lanes = 1};
  return tn_tile_value_of(&gen->b, &proto);
}

static bool is_divided(const tn_gen *gen, uint32_t axis) {
  return gen->plan->parts > 1 && (gen->plan->part_axes >> axis & 1);
}

/* Units in a tile of the axis: the tiles of the part axes inside of it. */
static int64_t units_inside(const tn_gen *gen, uint32_t axis) {
  const tn_plan *plan = gen->plan;
  int64_t n = 1;
  for (uint32_t i = plan->n_order; i-- > 0 && plan->order[i] != axis;)
    if (is_divided(gen, plan->order[i])) n *= tn_plan_tiles(plan, plan->order[i]);
  return n;
}

/* The units [part_lo, part_hi) that belong to the parts of this call, of an axis with n tiles. */
static void divide_units(tn_gen *gen, uint32_t axis, const tn_dim *n) {
  if (gen->is_inside_unit) return;
  n = tn_dim_mul_i(gen->ctx, n, units_inside(gen, axis));
  tn_tile_value *units = tn_gen_int(gen, n), *parts = tn_tile_const_i(&gen->b, gen->plan->parts);
  tn_tile_value *lo = tn_tile_int(&gen->b, TN_T_IMUL, part_value(gen, TN_T_PART_LO), units);
  tn_tile_value *hi = tn_tile_int(&gen->b, TN_T_IMUL, part_value(gen, TN_T_PART_HI), units);
  gen->part_lo = tn_tile_int(&gen->b, TN_T_IFLOORDIV, lo, parts);
  gen->part_hi = tn_tile_int(&gen->b, TN_T_IFLOORDIV, hi, parts);
}

/* Tiles of the axis that have units of this call. */
static tn_tile_value *first_tile(tn_gen *gen, uint32_t axis) {
  return tn_tile_int(&gen->b, TN_T_IFLOORDIV, gen->part_lo, tn_tile_const_i(&gen->b, units_inside(gen, axis)));
}

static tn_tile_value *end_tile(tn_gen *gen, uint32_t axis) {
  int64_t inside = units_inside(gen, axis);
  tn_tile_value *up = tn_tile_int(&gen->b, TN_T_IADD, gen->part_hi, tn_tile_const_i(&gen->b, inside - 1));
  return tn_tile_int(&gen->b, TN_T_IFLOORDIV, up, tn_tile_const_i(&gen->b, inside));
}

/* This call's units in tile number `tile` of the axis become those of the part axes inside. */
static void enter_tile(tn_gen *gen, uint32_t axis, tn_tile_value *tile) {
  tn_tile_value *inside = tn_tile_const_i(&gen->b, units_inside(gen, axis));
  tn_tile_value *before = tn_tile_int(&gen->b, TN_T_IMUL, tile, inside);
  gen->part_lo = tn_tile_int(&gen->b, TN_T_IMAX, tn_tile_const_i(&gen->b, 0),
                             tn_tile_int(&gen->b, TN_T_ISUB, gen->part_lo, before));
  gen->part_hi = tn_tile_int(&gen->b, TN_T_IMIN, inside, tn_tile_int(&gen->b, TN_T_ISUB, gen->part_hi, before));
  gen->is_inside_unit = true;
}

/* --- One segment --- */

static void set_masks(tn_gen *gen, uint32_t axis, const segment *s) {
  uint32_t lanes = gen->plan->lanes;
  for (uint32_t j = 0; j < TN_PLAN_MAX_VECTORS; j++) gen->mask[j] = NULL;
  gen->mask_end = s->mask_from;
  for (uint32_t j = 0; s->mask_from && j < s->instances; j++) {
    const tn_dim *left =
        tn_dim_sub(gen->ctx, s->mask_from, tn_dim_add_i(gen->ctx, gen->bind[axis], (int64_t)j * lanes));
    if (left->lo >= lanes) continue;
    tn_tile_value proto = {.op = TN_T_MASK, .type = TN_BOOL, .lanes = lanes, .n_in = 1, .in = {tn_gen_int(gen, left)}};
    gen->mask[j] = tn_tile_value_of(&gen->b, &proto);
  }
}

/* tile: its number in the segment, where the axis is divided. */
static void segment_inside(tn_gen *gen, const loops *l, uint32_t level, const segment *s, const tn_dim *position,
                           tn_tile_value *tile) {
  uint32_t axis = gen->plan->order[level];
  tn_tile_value *part_lo = gen->part_lo, *part_hi = gen->part_hi;
  bool is_inside_unit = gen->is_inside_unit;
  if (is_divided(gen, axis) && units_inside(gen, axis) > 1)
    enter_tile(gen, axis, tn_tile_int(&gen->b, TN_T_IADD, tn_gen_int(gen, s->first_unit), tile));
  bool is_vector = gen->plan->vector == (int32_t)axis;
  gen->bind[axis] = position;
  gen->count[axis] = s->instances;
  if (is_vector) set_masks(gen, axis, s);
  if (s->past_lo) gen->past_lo |= 1u << axis;
  if (s->before_hi) gen->before_hi |= 1u << axis;
  tn_gen_frame frame;
  tn_gen_push(gen, &frame);
  par_level(gen, l, level + 1);
  tn_gen_pop(gen);
  gen->part_lo = part_lo;
  gen->part_hi = part_hi;
  gen->is_inside_unit = is_inside_unit;
  gen->past_lo &= ~(1u << axis);
  gen->before_hi &= ~(1u << axis);
  if (is_vector) {
    for (uint32_t j = 0; j < TN_PLAN_MAX_VECTORS; j++) gen->mask[j] = NULL;
    gen->mask_end = NULL;
  }
  gen->bind[axis] = NULL;
  gen->count[axis] = 1;
}

/* Tile numbers [lo, hi) of the segment that this call does. */
static void segment_range(tn_gen *gen, uint32_t axis, const segment *s, tn_tile_value **lo, tn_tile_value **hi) {
  tn_tile_value *zero = tn_tile_const_i(&gen->b, 0), *tiles = tn_gen_int(gen, s->tiles);
  *lo = zero;
  *hi = tiles;
  if (!is_divided(gen, axis)) return;
  tn_tile_value *first = tn_gen_int(gen, s->first_unit);
  *lo = tn_tile_int(&gen->b, TN_T_IMAX, zero, tn_tile_int(&gen->b, TN_T_ISUB, first_tile(gen, axis), first));
  *hi = tn_tile_int(&gen->b, TN_T_IMIN, tiles, tn_tile_int(&gen->b, TN_T_ISUB, end_tile(gen, axis), first));
  if (!s->units) return;
  tn_tile_value *is_last = tn_tile_int(&gen->b, TN_T_IEQ, gen->part_hi, tn_gen_int(gen, s->units));
  tn_tile_value *in[] = {is_last, tiles, *hi};
  *hi = tn_tile_scalar(&gen->b, TN_SELECT, TN_I64, 1, in, 3);
}

static void segment_loop(tn_gen *gen, const loops *l, uint32_t level, const segment *s) {
  uint32_t axis = gen->plan->order[level];
  const char *name = gen->nest->axes[axis].symbol->name;
  tn_tile_value *lo, *hi, *step = tn_tile_const_i(&gen->b, s->step);
  tn_tile_block *saved;
  segment_range(gen, axis, s, &lo, &hi);
  tn_tile_stmt *loop = tn_tile_loop_begin(&gen->b, tn_tile_int(&gen->b, TN_T_IMUL, lo, step),
                                          tn_tile_int(&gen->b, TN_T_IMUL, hi, step), s->step, NULL, 0, &saved);
  const tn_dim *reach =
      tn_dim_add_i(gen->ctx, tn_dim_mul_i(gen->ctx, tn_dim_add_i(gen->ctx, s->tiles, -1), s->step), 1);
  const tn_dim *position;
  if (s->last) {
    const tn_dim *room = tn_dim_sub(gen->ctx, s->last, s->start);
    tn_tile_value *clamped = tn_tile_int(&gen->b, TN_T_IMIN, loop->var, tn_gen_int(gen, room));
    position = tn_gen_symbol(gen, name, tn_dim_add_i(gen->ctx, room, 1), clamped);
  } else {
    position = tn_gen_symbol(gen, name, reach, loop->var);
  }
  segment_inside(gen, l, level, s, tn_dim_add(gen->ctx, s->start, position),
                 tn_tile_int(&gen->b, TN_T_IFLOORDIV, loop->var, step));
  tn_tile_loop_end(&gen->b, loop, NULL, saved);
}

static void emit_segment(tn_gen *gen, const loops *l, uint32_t level, const segment *s) {
  uint32_t axis = gen->plan->order[level];
  if (tn_dim_is(s->tiles, 0)) return;
  if (!tn_dim_is(s->tiles, 1)) {
    segment_loop(gen, l, level, s);
    return;
  }
  if (!is_divided(gen, axis)) {
    segment_inside(gen, l, level, s, s->start, NULL);
    return;
  }
  /* One tile belongs to one part. */
  const tn_dim *owner = s->first_unit;
  if (s->units) owner = tn_dim_min(gen->ctx, owner, tn_dim_add_i(gen->ctx, s->units, -1));
  tn_tile_value *unit = tn_gen_int(gen, owner);
  tn_tile_value *mine = tn_tile_int(&gen->b, TN_T_IAND, tn_tile_int(&gen->b, TN_T_ILE, first_tile(gen, axis), unit),
                                    tn_tile_int(&gen->b, TN_T_ILT, unit, end_tile(gen, axis)));
  tn_tile_block *saved;
  tn_tile_stmt *branch = tn_tile_if_begin(&gen->b, mine, &saved);
  segment_inside(gen, l, level, s, s->start, tn_tile_const_i(&gen->b, 0));
  tn_tile_if_end(&gen->b, branch, saved);
}

/* --- Cutting an axis into segments --- */

static const tn_dim *number(tn_gen *gen, int64_t v) { return tn_dim_const(gen->ctx, v); }

/* Whole tiles of vectors along a static padded axis: those inside form one loop, which then needs no masks. */
static void vector_tiles_by_border(tn_gen *gen, const loops *l, uint32_t level, const tn_interior *in) {
  uint32_t axis = gen->plan->order[level], tile = gen->plan->tile[axis];
  int64_t chunk = (int64_t)gen->plan->lanes * tile, tiles = gen->nest->axes[axis].count / chunk;
  int64_t hi = tn_dim_value(in->hi), first = (in->lo + chunk - 1) / chunk, end = hi / chunk;
  for (int64_t i = 0; i < tiles;) {
    bool is_inside = i >= first && i < end;
    int64_t n = is_inside ? end - i : 1;
    segment s = {.start = number(gen, i * chunk), .tiles = number(gen, n), .step = chunk, .instances = tile,
                 .first_unit = number(gen, i), .past_lo = i >= first, .before_hi = i + n <= end};
    emit_segment(gen, l, level, &s);
    i += n;
  }
}

/* Whole register tiles of vectors, then what is left with masks. */
static void vector_axis(tn_gen *gen, const loops *l, uint32_t level) {
  uint32_t axis = gen->plan->order[level], lanes = gen->plan->lanes, tile = gen->plan->tile[axis];
  int64_t chunk = (int64_t)lanes * tile, count = gen->nest->axes[axis].count;
  const tn_dim *extent = gen->nest->axes[axis].extent;
  const tn_dim *whole = tn_dim_floordiv(gen->ctx, extent, number(gen, chunk));
  const tn_dim *done = tn_dim_mul_i(gen->ctx, whole, chunk), *left = tn_dim_sub(gen->ctx, extent, done);
  segment full = {
      .start = number(gen, 0), .tiles = whole, .step = chunk, .instances = tile, .first_unit = number(gen, 0)};
  segment tail = {.start = done, .mask_from = extent, .first_unit = whole, .step = lanes, .instances = 1,
                  .tiles = tn_dim_ceildiv(gen->ctx, left, lanes)};
  if (count >= 0) {
    int64_t vectors = (count % chunk + lanes - 1) / lanes;
    tail.tiles = number(gen, vectors > 0);
    tail.instances = (uint32_t)vectors;
  }
  if (is_divided(gen, axis)) divide_units(gen, axis, tn_dim_add(gen->ctx, whole, tail.tiles));
  tn_interior in = tn_nest_interior(gen->nest, axis);
  if (tn_plan_cuts_vectors(gen->plan, &in)) vector_tiles_by_border(gen, l, level, &in);
  else emit_segment(gen, l, level, &full);
  emit_segment(gen, l, level, &tail);
}

/* Tiles of nearly equal size, of which the first n_big are one longer. */
typedef struct tiling {
  int64_t tiles, small, n_big;
  bool split; /* some positions are outside [lo, hi), where borders are read */
  int64_t lo, hi;
} tiling;

/* How many tiles from number i on, which is at start, form one loop: of one size, and all inside or all not. */
static int64_t alike(const tiling *t, int64_t i, int64_t start, int64_t size) {
  int64_t most = (i < t->n_big ? t->n_big : t->tiles) - i, n = most;
  if (!t->split) return most;
  int64_t fit = (t->hi - start) / size;
  if (start >= t->lo && fit > 0) return fit < most ? fit : most;
  if (t->tiles <= MAX_SINGLE_TILES) return 1;
  if (start < t->lo) {
    int64_t first = (t->lo - start + size - 1) / size; /* that is past lo */
    if (first < most && start + (first + 1) * size <= t->hi) n = first;
  }
  return n;
}

/* The extent, covered by tiles of nearly equal size. */
static void static_axis(tn_gen *gen, const loops *l, uint32_t level, const tn_interior *in) {
  uint32_t axis = gen->plan->order[level];
  int64_t count = gen->nest->axes[axis].count, tile = gen->plan->tile[axis], tiles = (count + tile - 1) / tile;
  tiling t = {.tiles = tiles, .small = count / tiles, .n_big = count % tiles, .lo = in->lo};
  t.split = in->any_bound && in->exists && tn_dim_is_const(in->hi) && tile > 1;
  t.hi = t.split ? tn_dim_value(in->hi) : 0;
  if (is_divided(gen, axis)) divide_units(gen, axis, number(gen, tiles));
  for (int64_t i = 0; i < tiles;) {
    int64_t size = i < t.n_big ? t.small + 1 : t.small, start = i * t.small + (i < t.n_big ? i : t.n_big);
    int64_t n = alike(&t, i, start, size);
    segment s = {.start = number(gen, start), .tiles = number(gen, n), .step = size, .instances = (uint32_t)size,
                 .first_unit = number(gen, i)};
    emit_segment(gen, l, level, &s);
    i += n;
  }
}

static void plain_axis(tn_gen *gen, const loops *l, uint32_t level) {
  uint32_t axis = gen->plan->order[level];
  segment s = {.start = number(gen, 0), .tiles = gen->nest->axes[axis].extent, .step = 1, .instances = 1,
               .first_unit = number(gen, 0)};
  if (is_divided(gen, axis)) divide_units(gen, axis, s.tiles);
  emit_segment(gen, l, level, &s);
}

/* Too few positions for one register tile: quarter tiles, then single ones. */
static void short_axis(tn_gen *gen, const loops *l, uint32_t level, bool has_border) {
  uint32_t axis = gen->plan->order[level];
  int64_t quarter = has_border ? 1 : (gen->plan->tile[axis] + 3) / 4;
  const tn_dim *extent = gen->nest->axes[axis].extent, *zero = number(gen, 0);
  const tn_dim *whole = quarter > 1 ? tn_dim_floordiv(gen->ctx, extent, number(gen, quarter)) : zero;
  const tn_dim *done = tn_dim_mul_i(gen->ctx, whole, quarter);
  segment some = {.start = zero, .tiles = whole, .step = quarter, .instances = (uint32_t)quarter, .first_unit = zero};
  segment rest = {.start = done, .tiles = tn_dim_sub(gen->ctx, extent, done), .step = 1, .instances = 1,
                  .first_unit = zero};
  if (is_divided(gen, axis)) { /* all to the first part */
    tn_tile_value *first = tn_tile_int(&gen->b, TN_T_IEQ, part_value(gen, TN_T_PART_LO), tn_tile_const_i(&gen->b, 0));
    tn_tile_value *in[] = {first, tn_gen_int(gen, extent), tn_tile_const_i(&gen->b, 0)};
    gen->part_lo = tn_tile_const_i(&gen->b, 0);
    gen->part_hi = tn_tile_scalar(&gen->b, TN_SELECT, TN_I64, 1, in, 3);
  }
  emit_segment(gen, l, level, &some);
  emit_segment(gen, l, level, &rest);
}

/* Extent known at run time, no padding: the last tile is moved back to end at the extent. */
static void dynamic_axis(tn_gen *gen, const loops *l, uint32_t level) {
  uint32_t axis = gen->plan->order[level];
  int64_t tile = gen->plan->tile[axis];
  const tn_dim *extent = gen->nest->axes[axis].extent;
  const tn_dim *units = tn_dim_floordiv(gen->ctx, extent, number(gen, tile));
  segment s = {.start = number(gen, 0),
               .tiles = tn_dim_ceildiv(gen->ctx, extent, tile),
               .step = tile,
               .instances = (uint32_t)tile,
               .first_unit = number(gen, 0),
               .units = units,
               .last = tn_dim_add_i(gen->ctx, extent, -tile)};
  tn_tile_block *saved;
  tn_tile_value *enough = tn_tile_int(&gen->b, TN_T_ILE, tn_tile_const_i(&gen->b, tile), tn_gen_int(gen, extent));
  tn_tile_stmt *branch = tn_tile_if_begin(&gen->b, enough, &saved);
  if (is_divided(gen, axis)) divide_units(gen, axis, units);
  emit_segment(gen, l, level, &s);
  tn_tile_if_else(&gen->b, branch);
  short_axis(gen, l, level, false);
  tn_tile_if_end(&gen->b, branch, saved);
}

static tn_tile_value *at_most(tn_gen *gen, const tn_dim *p, const tn_dim *q) {
  return tn_tile_int(&gen->b, TN_T_ILE, tn_gen_int(gen, p), tn_gen_int(gen, q));
}

/* Whether a left tile, tiles inside and a right tile can cover the extent: the outer ones each reach one border only,
 * one inside (needed for more than two) has room behind the left one, and at most a third is done twice. */
static tn_tile_value *tiles_fit(tn_gen *gen, const tn_dim *extent, const tn_interior *in, int64_t tile) {
  const tn_dim *twice = number(gen, 2 * tile);
  const tn_dim *room = tn_dim_max(gen->ctx, tn_dim_sub(gen->ctx, in->hi, twice), tn_dim_sub(gen->ctx, twice, extent));
  tn_tile_value *all[] = {at_most(gen, number(gen, tile + in->lo), in->hi),
                          at_most(gen, tn_dim_sub(gen->ctx, extent, in->hi), number(gen, tile)),
                          at_most(gen, number(gen, 0), room),
                          at_most(gen, number(gen, 3 * tile), tn_dim_mul_i(gen->ctx, extent, 2))};
  tn_tile_value *fit = all[0];
  for (int i = 1; i < 4; i++) fit = tn_tile_int(&gen->b, TN_T_IAND, fit, all[i]);
  return fit;
}

/* Extent known at run time, with padding: a left tile, interior tiles of which the last may overlap, and a right tile
 * that ends at the extent and may overlap, too. Where they do not fit, the same with smaller ones. */
static void dynamic_border_axis(tn_gen *gen, const loops *l, uint32_t level, const tn_interior *in,
                                uint32_t instances) {
  uint32_t axis = gen->plan->order[level], fewer = instances > 8 ? (instances + 2) / 3 : (instances + 1) / 2;
  int64_t tile = instances;
  const tn_dim *extent = gen->nest->axes[axis].extent;
  const tn_dim *right = tn_dim_add_i(gen->ctx, extent, -tile), *last = tn_dim_add_i(gen->ctx, in->hi, -tile);
  const tn_dim *room = tn_dim_add_i(gen->ctx, right, -tile), *none = number(gen, 0), *one = number(gen, 1);
  const tn_dim *inner = tn_dim_max(gen->ctx, tn_dim_ceildiv(gen->ctx, room, tile), none);
  const tn_dim *units = tn_dim_max(gen->ctx, inner, one);
  segment left = {.start = none, .tiles = one, .step = tile, .instances = instances, .first_unit = none,
                  .before_hi = true};
  segment middle = {.start = number(gen, tile), .tiles = inner, .step = tile, .instances = instances,
                    .first_unit = one, .units = units, .last = last, .past_lo = true, .before_hi = true};
  segment end = {.start = right, .tiles = one, .step = tile, .instances = instances,
                 .first_unit = tn_dim_add_i(gen->ctx, units, -1), .past_lo = true};
  tn_tile_block *saved;
  tn_tile_stmt *branch = tn_tile_if_begin(&gen->b, tiles_fit(gen, extent, in, tile), &saved);
  /* The last tile inside may lie over the one before it, and the right one over both: all three are one unit. */
  if (is_divided(gen, axis)) divide_units(gen, axis, units);
  emit_segment(gen, l, level, &left);
  emit_segment(gen, l, level, &middle);
  emit_segment(gen, l, level, &end);
  tn_tile_if_else(&gen->b, branch);
  if (instances > 4 && in->lo <= fewer)
    dynamic_border_axis(gen, l, level, in, fewer);
  else
    short_axis(gen, l, level, true);
  tn_tile_if_end(&gen->b, branch, saved);
}

static void par_level(tn_gen *gen, const loops *l, uint32_t level) {
  if (gen->plan->staged >= 0 && level == gen->plan->staged_level && !gen->is_staged) {
    tn_gen_stage(gen);
    gen->is_staged = true;
    par_level(gen, l, level);
    gen->is_staged = false;
    return;
  }
  if (gen->plan->block_axis >= 0 && level == gen->plan->block_level && !gen->block_lo) {
    tn_tile_block *saved;
    tn_tile_stmt *loop = tn_gen_blocks_begin(gen, &saved);
    par_level(gen, l, level);
    tn_gen_blocks_end(gen, loop, saved);
    return;
  }
  if (level == gen->plan->n_order) {
    l->body(gen);
    return;
  }
  uint32_t axis = gen->plan->order[level];
  int64_t count = gen->nest->axes[axis].count;
  if (count == 0) return;
  if ((int32_t)axis == gen->plan->vector) {
    vector_axis(gen, l, level);
  } else if (gen->plan->tile[axis] <= 1) {
    plain_axis(gen, l, level);
  } else {
    tn_interior in = tn_nest_interior(gen->nest, axis);
    if (count > 0)
      static_axis(gen, l, level, &in);
    else if (in.any_bound && in.exists && in.lo <= gen->plan->tile[axis])
      dynamic_border_axis(gen, l, level, &in, gen->plan->tile[axis]);
    else
      dynamic_axis(gen, l, level);
  }
}

void tn_gen_loops(tn_gen *gen, void (*body)(tn_gen *gen)) {
  loops l = {body};
  gen->b.load_floor = NULL;
  par_level(gen, &l, 0);
}
