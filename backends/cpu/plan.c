/* The plan of a nest: which axis the lanes run over, the register tile, the order of loops, what is packed, what is
 * kept in scratch, and how the work divides. Pure arithmetic on the nest; generation follows it blindly.
 *
 * Register rule of contractions (Goto-style outer product): MR rows x NV vectors of accumulators, NV vectors of the
 * packed operand and one broadcast must fit the register file; LLVM then allocates without a spill. */
#include <math.h>
#include <limits.h>
#include <string.h>

#include "backends/cpu/plan.h"

#define LINE_BYTES 64 /* of a cache */
#define LINE_ELEMENTS (LINE_BYTES / 4)

/* --- Estimates --- */

static bool bind_guess(const void *user, const tn_symbol *symbol, int64_t *out) {
  (void)user;
  *out = symbol->lo > 64 ? symbol->lo : symbol->hi < 64 ? symbol->hi : 64;
  return true;
}

/* The dim's value with unknown sizes taken as 64 (or their nearest bound). */
static double guess(const tn_dim *dim) {
  int64_t v;
  return tn_dim_evaluate(dim, bind_guess, NULL, &v) ? (double)v : 64.0;
}

static double guess_extent(const tn_nest *nest, uint32_t axis) {
  double v = nest->axes[axis].count >= 0 ? (double)nest->axes[axis].count : guess(nest->axes[axis].extent);
  return v < 1 ? 1 : v;
}

static double guess_points(const tn_nest *nest, uint32_t axes) {
  double n = 1;
  for (uint32_t i = 0; i < nest->n_axes; i++)
    if (axes >> i & 1) n *= guess_extent(nest, i);
  return n;
}

/* --- The vector axis --- */

static bool index_allows(const tn_nest *nest, const tn_knode *node, uint32_t axis) {
  const tn_dim *coefficient, *rest, *index = nest->index[node->id][0];
  if (!tn_dim_uses(index, nest->axes[axis].symbol)) return !tn_dim_uses_kind(index, TN_SYM_VALUE);
  return tn_dim_linear(nest->ctx, index, nest->axes[axis].symbol, &coefficient, &rest) &&
         tn_dim_is_const(coefficient) && !tn_dim_uses_kind(rest, TN_SYM_VALUE);
}

/* Lanes of an update must be elements next to each other, so that none is updated twice at once. */
static bool update_allows(const tn_nest *nest, const tn_knode *node, uint32_t axis) {
  return has_axis(nest->accesses[node->id]->axes, axis) && tn_access_stride(nest->accesses[node->id], axis) == 1;
}

/* Lanes may run over axis when every address is linear in it. */
static bool can_vectorise(const tn_nest *nest, uint32_t axis) {
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = node_at(nest, i);
    if (node->kind == TN_K_UPDATE && !update_allows(nest, node, axis)) return false;
    if (!has_axis(nest->node_axes[i] | nest->node_over[i], axis)) continue;
    if (node->dtype == TN_STR || (node->kind == TN_K_ARGFOLD && has_axis(nest->node_over[i], axis))) return false;
    if (node->kind == TN_K_INDEX && !index_allows(nest, node, axis)) return false;
    const tn_access *access = nest->accesses[i];
    if (!access) continue;
    if (has_axis(access->nonlinear, axis)) return false;
    for (uint32_t k = 0; k < access->n_bounds; k++)
      if (has_axis(access->bounds[k].nonlinear, axis) ||
          (access->bounds[k].is_clamped && has_axis(access->bounds[k].axes, axis)))
        return false;
  }
  return true;
}

static double lane_efficiency(const tn_nest *nest, uint32_t axis, uint32_t lanes) {
  double n = guess_extent(nest, axis), vectors = (double)(int64_t)((n + lanes - 1) / lanes);
  return n / vectors; /* useful lanes per vector */
}

/* How often an access with lanes is made: an operand of a contraction again for every few rows of the other. */
static double times_made(const tn_nest *nest, const tn_access *access) {
  double times = guess_points(nest, nest->node_axes[access->node->id]);
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = node_at(nest, i);
    if (node->kind != TN_K_CONTRACT) continue;
    if (tn_plan_operand(nest, node->in[0]) != access && tn_plan_operand(nest, node->in[1]) != access) continue;
    double points = guess_points(nest, nest->node_axes[i] | nest->node_over[i]) / 8;
    if (points > times) times = points;
  }
  return times;
}

/* Bytes that a read brings in; windows overlap. */
static double bytes_read(const tn_nest *nest, const tn_access *access) {
  const tn_type *type = nest->kernel->args.data[access->node->arg].type;
  double points = guess_points(nest, access->axes), all = 1;
  for (uint32_t i = 0; i < type->ndim; i++) all *= guess(type->dims[i]);
  return (points < all ? points : all) * (double)tn_dtype_bytes(type->dtype);
}

/* A product's operand without the lanes is read again for every panel of the other: the lines that come from beyond the
 * second-level cache then. */
static double lines_again(const tn_nest *nest, const tn_knode *contract, uint32_t axis, double per_vector) {
  double lines = 0;
  for (int i = 0; i < 2; i++) {
    const tn_access *access = tn_plan_operand(nest, contract->in[i]);
    if (!access || has_axis(access->axes, axis) || !has_axis(nest->node_axes[contract->id], axis)) continue;
    double bytes = bytes_read(nest, access), panels = guess_extent(nest, axis) / (2 * per_vector);
    if (bytes > (double)nest->target->l2_bytes / 2 && panels > 1) lines += bytes / LINE_BYTES * panels;
  }
  return lines;
}

/* Elements that a read without lanes takes one by one; of a product's operand at most one for two multiply-adds counts,
 * since they are read beside these. */
static double splats_made(const tn_nest *nest, const tn_access *access, uint32_t axis, double per_vector) {
  double times = guess_points(nest, nest->node_axes[access->node->id]);
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = node_at(nest, i);
    if (node->kind != TN_K_CONTRACT || !has_axis(nest->node_axes[i], axis)) continue;
    if (tn_plan_operand(nest, node->in[0]) != access && tn_plan_operand(nest, node->in[1]) != access) continue;
    double products = guess_points(nest, nest->node_axes[i] | nest->node_over[i]) / (2 * per_vector);
    if (products < times) times = products;
  }
  return times;
}

/* Estimated vector instructions when lanes run over axis (UINT32_MAX: none do). */
static double vector_cost(const tn_nest *nest, uint32_t axis, uint32_t lanes) {
  double per_vector = axis == UINT32_MAX ? 1 : lane_efficiency(nest, axis, lanes), cost = 0;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = node_at(nest, i);
    uint32_t axes = nest->node_axes[i] | nest->node_over[i];
    double points = guess_points(nest, axes);
    bool in = axis != UINT32_MAX && has_axis(axes, axis);
    if (node->kind == TN_K_CONST) continue;
    const tn_access *access = nest->accesses[i];
    if (in && access && tn_access_stride(access, axis) != 1 && !tn_plan_is_packable(nest, access))
      cost += times_made(nest, access) * 1.5;
    else if (!in && access && axis != UINT32_MAX)
      cost += splats_made(nest, access, axis, per_vector);
    else
      cost += in ? points / per_vector : points;
    if (in && node->kind == TN_K_CONTRACT) cost += lines_again(nest, node, axis, per_vector);
    if (!in || !has_axis(nest->node_over[i], axis)) continue;
    cost += guess_points(nest, nest->node_axes[i]) * 6; /* lanes are folded at the end */
    if (node->kind == TN_K_CONTRACT) cost += 2 * points / per_vector; /* two loads for each multiply-add */
  }
  return cost;
}

/* Of the values that would be vectors; at least 32, so that bytes are widened without splitting. */
static uint32_t widest_bits(const tn_nest *nest, uint32_t axis) {
  uint32_t bits = 32;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = node_at(nest, i);
    unsigned own = (unsigned)tn_dtype_bytes(tn_nest_compute_type(node->dtype)) * 8;
    if (has_axis(nest->node_axes[i] | nest->node_over[i], axis) && own > bits) bits = own;
  }
  return bits;
}

static void choose_vector(tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  double best = vector_cost(nest, UINT32_MAX, 1);
  plan->vector = -1;
  plan->lanes = 1;
  for (uint32_t i = nest->n_axes; i-- > 0;) {
    if (!nest->axes[i].is_live || (nest->axes[i].count >= 0 && nest->axes[i].count < 2) || !can_vectorise(nest, i))
      continue;
    uint32_t lanes = nest->target->vector_bits / widest_bits(nest, i);
    double cost = vector_cost(nest, i, lanes);
    if (cost >= best * 0.999) continue;
    best = cost;
    plan->vector = (int32_t)i;
    plan->lanes = lanes;
  }
}

/* --- Loop orders --- */

static double access_stride_guess(const tn_access *access, uint32_t axis) {
  if (!access || !has_axis(access->axes, axis)) return 0;
  if (!access->coefficient[axis]) return 1e9;
  double v = guess(access->coefficient[axis]);
  return v < 0 ? -v : v;
}

/* Sorts axes by falling stride in access; the vector axis last; stable. */
static void sort_axes(const tn_plan *plan, const tn_access *access, uint8_t *axes, uint32_t n) {
  for (uint32_t i = 1; i < n; i++) {
    uint8_t axis = axes[i];
    uint32_t at = i;
    double stride = (int32_t)axis == plan->vector ? -1 : access_stride_guess(access, axis);
    for (; at > 0; at--) {
      uint8_t before = axes[at - 1];
      double other = (int32_t)before == plan->vector ? -1 : access_stride_guess(access, before);
      if (other >= stride) break;
      axes[at] = before;
    }
    axes[at] = axis;
  }
}

static void list_axes(tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  for (uint32_t i = 0; i < nest->n_axes; i++) {
    plan->tile[i] = 1;
    if (!nest->axes[i].is_live) continue;
    if (nest->axes[i].kind == TN_AXIS_PAR)
      plan->order[plan->n_order++] = (uint8_t)i;
    else
      plan->fold_order[plan->n_fold_order++] = (uint8_t)i;
  }
}

static const tn_access *first_write(const tn_nest *nest) {
  for (size_t i = 0; i < nest->kernel->nodes.n; i++)
    if (tn_knode_is_write(node_at(nest, i))) return nest->accesses[i];
  return NULL;
}

/* The read that walks most of the fold axes, and of those the longest way. */
static const tn_access *main_read(const tn_nest *nest, uint32_t folds) {
  const tn_access *best = NULL;
  double most = 0;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_access *access = nest->accesses[i];
    if (!access || node_at(nest, i)->kind != TN_K_READ) continue;
    double points = guess_points(nest, nest->node_axes[i] & folds) + guess_points(nest, nest->node_axes[i]) * 1e-9;
    if (best && points <= most) continue;
    best = access;
    most = points;
  }
  return best;
}

/* --- Contractions --- */

#define STAGED_LEAST_TILES 6 /* of rows */
#define STAGED_LEAST_BYTES 8192

static const tn_knode *main_contract(const tn_nest *nest) {
  const tn_knode *best = NULL;
  double most = -1;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = node_at(nest, i);
    if (node->kind != TN_K_CONTRACT) continue;
    double points = guess_points(nest, nest->node_axes[i] | nest->node_over[i]);
    if (points > most) best = node, most = points;
  }
  return best;
}

/* Contractions that run in the loop of `main`, sharing its accumulator registers. */
static uint32_t count_contracts(const tn_nest *nest, const tn_knode *main) {
  uint32_t n = 0;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++)
    n += node_at(nest, i)->kind == TN_K_CONTRACT && nest->node_over[i] == nest->node_over[main->id] &&
         nest->node_axes[i] == nest->node_axes[main->id];
  return n;
}

typedef struct register_tile {
  int64_t rows, vectors;
  double cost;
} register_tile;

/* Cycles of one step of the contraction loop: multiply-adds and loads at two a cycle, the latency of the chains, and
 * the vectors' way from the second-level cache. */
static double step_cost(double rows, double vectors) {
  double fma = rows * vectors / 2, loads = (rows + vectors) / 2, cost = fma > loads ? fma : loads;
  if (cost < 4) cost = 4;
  return (cost > vectors * 1.5 ? cost : vectors * 1.5) + 0.25;
}

static double rows_cost(int64_t n_rows, int64_t rows, double vectors) {
  int64_t tiles = ceil_div(n_rows, rows), big = n_rows % tiles, small = tiles - big;
  return (double)big * step_cost((double)(n_rows / tiles + 1), vectors) +
         (double)small * step_cost((double)(n_rows / tiles), vectors);
}

/* The register tile for n_rows x n_vectors of output; limits as the register rule says. */
static register_tile choose_tile(int64_t n_rows, int64_t most_rows, int64_t n_vectors, uint32_t registers,
                                 uint32_t n_contracts) {
  register_tile best = {1, 1, 1e300};
  for (int64_t vectors = 1; vectors <= TN_PLAN_MAX_VECTORS && vectors <= n_vectors; vectors++) {
    int64_t wide = vectors * n_contracts, rows = ((int64_t)registers - 1 - wide) / wide;
    if (rows < 1) break;
    if (rows > n_rows) rows = n_rows;
    if (rows > most_rows) rows = most_rows;
    double full = (double)(n_vectors / vectors) * rows_cost(n_rows, rows, (double)vectors);
    double rest = n_vectors % vectors ? rows_cost(n_rows, rows, (double)(n_vectors % vectors)) : 0;
    if (full + rest < best.cost * 0.98) best = (register_tile){rows, vectors, full + rest};
  }
  return best;
}

/* Par axes that the broadcast operand walks and the vector operand does not: their positions share its loads. */
static uint32_t row_axes(const tn_plan *plan, const tn_knode *contract, const tn_access *b) {
  const tn_nest *nest = plan->nest;
  uint32_t axes = 0, all = nest->node_axes[contract->id];
  for (uint32_t i = 0; i < plan->n_order; i++) {
    uint32_t axis = plan->order[i];
    if (has_axis(all, axis) && (int32_t)axis != plan->vector && !(b && has_axis(b->axes, axis))) axes |= 1u << axis;
  }
  return axes;
}

static void split_rows(tn_plan *plan, uint32_t axes, int64_t rows, const tn_access *a) {
  const tn_nest *nest = plan->nest;
  int64_t left = rows;
  uint8_t sorted[TN_KERNEL_MAX_AXES];
  uint32_t n = 0;
  for (uint32_t i = 0; i < nest->n_axes; i++)
    if (has_axis(axes, i)) sorted[n++] = (uint8_t)i;
  sort_axes(plan, a, sorted, n);
  for (uint32_t i = n; i-- > 0 && left > 1;) {
    /* A size that a run brings is most often the largest there is, a batch of a training: tiles are even there. */
    int64_t count = nest->axes[sorted[i]].count < 0 ? nest->axes[sorted[i]].extent->hi : nest->axes[sorted[i]].count;
    if (count <= 0) continue;
    int64_t tiles = count / left + (count % left > 0), tile = count / tiles + (count % tiles > 0);
    plan->tile[sorted[i]] = (uint32_t)tile;
    left /= tile;
    if (nest->axes[sorted[i]].count < 0) break;
  }
}

/* Whether the vector operand b lies in the second-level cache beside what else the loops touch, so that all of it is
 * walked for every tile of rows. It may be larger where the other operand would come from farther away again for every
 * panel, unless that one's rows lie across the sum, where each tile of them touches a line for every term. */
static bool is_near(const tn_plan *plan, const tn_access *a, const tn_access *b) {
  const tn_nest *nest = plan->nest;
  double l2 = (double)nest->target->l2_bytes;
  bool is_far = a && bytes_read(nest, a) > l2 / 2;
  for (uint32_t i = 0; a && i < plan->n_order; i++)
    is_far &= plan->tile[plan->order[i]] <= 1 || tn_access_stride(a, plan->order[i]) != 1;
  return bytes_read(nest, b) <= l2 / (is_far ? 2 : 4);
}

/* Batch axes of the vector operand, then its panels, then the rows; tiled rows innermost, so that one panel is used for
 * all rows while it lies in a near cache. An operand that lies in the near cache whole is walked innermost, so that
 * rows are read and written once, in the order of memory; so is one whose lanes both operands have. Inside of all are
 * axes along which an operand is read again. */
static void order_contract(tn_plan *plan, const tn_access *a, const tn_access *b, uint32_t rows) {
  uint8_t order[TN_KERNEL_MAX_AXES];
  uint32_t n = 0;
  bool is_inner = plan->staged < 0 && (!b || is_near(plan, a, b));
  sort_axes(plan, a, plan->order, plan->n_order);
  for (int stage = 0; stage < 6; stage++)
    for (uint32_t i = 0; i < plan->n_order; i++) {
      uint32_t axis = plan->order[i];
      bool is_vector = (int32_t)axis == plan->vector, is_row = has_axis(rows, axis);
      bool is_panel = is_vector || (b && has_axis(b->axes, axis) && !(a && has_axis(a->axes, axis)));
      bool again = tn_plan_reads_again(plan->nest, a, axis) || tn_plan_reads_again(plan->nest, b, axis);
      int own = is_panel ? (is_inner ? 4 : 1) : !is_row ? 0 : plan->tile[axis] > 1 ? 3 : 2;
      if (!is_vector && plan->staged < 0 && plan->tile[axis] == 1 && again) own = 5;
      plan->staged_level += stage == 0 && own < 2;
      plan->block_level += stage == 0 && own < 3;
      if (own == stage) order[n++] = (uint8_t)axis;
    }
  memcpy(plan->order, order, n);
}

/* Window axes that tiles at a border unroll come first: each tap is then a loop nest of its own, and what neighbouring
 * pixels share is not held in registers from tap to tap. */
static void taps_outermost(tn_plan *plan, const tn_access *a) {
  uint32_t taps = plan->static_folds, n = 0;
  uint8_t order[TN_KERNEL_MAX_AXES];
  for (uint32_t k = 0; a && k < a->n_bounds; k++)
    for (uint32_t i = 0; i < plan->n_order; i++)
      if (plan->tile[plan->order[i]] > 1 && (int32_t)plan->order[i] != plan->vector &&
          has_axis(a->bounds[k].axes, plan->order[i]))
        taps |= a->bounds[k].axes;
  for (int stage = 0; stage < 2; stage++)
    for (uint32_t i = 0; i < plan->n_fold_order; i++)
      if (has_axis(taps, plan->fold_order[i]) == (stage == 0)) order[n++] = plan->fold_order[i];
  memcpy(plan->fold_order, order, n);
}

static int64_t vector_count(const tn_plan *plan) {
  if (plan->vector < 0) return 1;
  int64_t count = plan->nest->axes[plan->vector].count;
  return count < 0 ? 64 : ceil_div(count, plan->lanes);
}

/* Rows of a product whose both operands have the vector axis (depthwise): accumulators, the window and the weights. */
static int64_t shared_rows(const tn_plan *plan, int64_t n_rows) {
  int64_t most = plan->nest->target->n_vector_registers >= 32 ? 12 : 5;
  int64_t tiles = ceil_div(n_rows, most);
  return ceil_div(n_rows, tiles);
}

/* Rows whose extent and borders are known at run time only: three shapes of tile are made, and shorter rows than three
 * tiles get none, so tiles are smaller. */
static bool has_dynamic_border(const tn_nest *nest, const tn_access *a, uint32_t rows) {
  for (uint32_t k = 0; a && k < a->n_bounds; k++)
    for (uint32_t i = 0; i < nest->n_axes; i++)
      if (has_axis(rows & a->bounds[k].axes, i) && nest->axes[i].count < 0) return true;
  return false;
}

/* Whether the rows of a register tile lie a run-time stride apart, so that each takes a pointer of its own. */
static bool has_row_pointers(const tn_plan *plan, const tn_access *a, uint32_t rows) {
  uint8_t sorted[TN_KERNEL_MAX_AXES];
  uint32_t n = 0;
  for (uint32_t i = 0; a && i < plan->nest->n_axes; i++)
    if (has_axis(rows & a->axes, i)) sorted[n++] = (uint8_t)i;
  if (n == 0) return false;
  sort_axes(plan, a, sorted, n);
  return tn_access_stride(a, sorted[n - 1]) == INT64_MIN;
}

/* With 32 vector registers (AVX-512) masks have registers of their own. */
static bool masks_take_vectors(const tn_plan *plan) { return plan->nest->target->n_vector_registers < 32; }

bool tn_plan_cuts_vectors(const tn_plan *plan, const tn_interior *in) {
  bool is_static = plan->nest->axes[plan->vector].count >= 0 && tn_dim_is_const(in->hi);
  return masks_take_vectors(plan) && in->any_bound && in->exists && is_static && in->lo <= tn_dim_value(in->hi);
}

/* Vector registers that masks take while a padded operand is read along the lanes: taps at a border have loops of
 * their own, so one where the tile lies at one border, two where both may be near. */
static uint32_t mask_registers(const tn_plan *plan) {
  tn_interior in = tn_nest_interior(plan->nest, (uint32_t)plan->vector);
  if (!in.any_bound || !masks_take_vectors(plan)) return 0;
  return tn_plan_cuts_vectors(plan, &in) ? 1 : 2;
}

static int64_t most_rows(const tn_plan *plan, const tn_access *a, uint32_t rows) {
  if (has_dynamic_border(plan->nest, a, rows)) return 8;
  return has_row_pointers(plan, a, rows) ? 12 : 64; /* of 15 registers, 3 count and walk the vector operand */
}

static bool is_nonlinear_in(const tn_nest *nest, const tn_dim *dim, uint32_t axis) {
  const tn_dim *coefficient, *rest;
  return tn_dim_uses(dim, nest->axes[axis].symbol) &&
         !tn_dim_linear(nest->ctx, dim, nest->axes[axis].symbol, &coefficient, &rest);
}

/* A coordinate in which both axes stand inside a floordiv or mod. */
static bool is_phase_of(const tn_nest *nest, uint32_t phase, uint32_t tap) {
  for (size_t i = 0; i < nest->kernel->nodes.n; i++)
    for (uint32_t k = 0; k < node_at(nest, i)->n_index; k++)
      if (is_nonlinear_in(nest, nest->index[i][k], phase) && is_nonlinear_in(nest, nest->index[i][k], tap)) return true;
  return false;
}

/* Transposed convolutions: which taps meet an element depends on the position modulo the stride. With the positions
 * of a period in one tile and the taps unrolled, each pair is known to meet or not. Returns the positions so bound.
 */
static int64_t bind_phases(tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  int64_t bound = 1;
  for (uint32_t i = 0; i < plan->n_order; i++) {
    uint32_t phase = plan->order[i];
    int64_t count = nest->axes[phase].count, taps = 1;
    uint32_t folds = 0;
    if (count < 2 || count > 4 || (int32_t)phase == plan->vector || bound * count > 16) continue;
    for (uint32_t k = 0; k < plan->n_fold_order; k++) {
      uint32_t tap = plan->fold_order[k];
      if (nest->axes[tap].count < 1 || nest->axes[tap].count > 8 || (int32_t)tap == plan->vector) continue;
      if (!is_phase_of(nest, phase, tap)) continue;
      folds |= 1u << tap;
      taps *= nest->axes[tap].count;
    }
    if (!folds || taps > 8) continue;
    plan->static_folds |= folds;
    plan->tile[phase] = (uint32_t)count;
    bound *= count;
  }
  return bound;
}

static uint32_t bound_phases(const tn_plan *plan) {
  uint32_t axes = 0;
  for (uint32_t i = 0; i < plan->n_order; i++)
    if (plan->tile[plan->order[i]] > 1) axes |= 1u << plan->order[i];
  return axes;
}

static int64_t guess_count(const tn_nest *nest, uint32_t axes) {
  int64_t n = 1;
  for (uint32_t i = 0; i < nest->n_axes; i++) {
    if (!has_axis(axes, i)) continue;
    int64_t count = nest->axes[i].count < 0 ? 1024 : nest->axes[i].count;
    n = n > 100000 ? n : n * (count ? count : 1);
  }
  return n;
}

/* Both operands lie along the lanes: a block of rows of one times rows of the other, whose loads are shared. The block
 * with the fewest loads for each multiply-add whose accumulators, one side and a vector of the other fit. */
static void plan_dots(tn_plan *plan, const tn_knode *contract, const tn_access *a, const tn_access *shared,
                      uint32_t rows, uint32_t n_contracts) {
  const tn_nest *nest = plan->nest;
  uint32_t columns = shared ? shared->axes & nest->node_axes[contract->id] & ~(a ? a->axes : 0) : 0;
  int64_t n_rows = guess_count(nest, rows), n_columns = guess_count(nest, columns), best_rows = 1, best_columns = 1;
  int64_t registers = (int64_t)nest->target->n_vector_registers - 2;
  double best = 1e300;
  for (int64_t r = 1; r <= n_rows && r <= 8; r++)
    for (int64_t c = 1; c <= n_columns && c <= 8; c++) {
      if (r * c * n_contracts + (r < c ? r : c) > registers) break;
      double tiles = (double)ceil_div(n_rows, r) * (double)ceil_div(n_columns, c);
      double loads = (double)(r + c), step = (double)(r * c) > loads ? (double)(r * c) : loads;
      double cost = tiles * ((step > 6 ? step : 6) + (double)r); /* rows come from farther away */
      if (cost < best * 0.999) best = cost, best_rows = r, best_columns = c;
    }
  split_rows(plan, rows, best_rows, a);
  split_rows(plan, columns, best_columns, shared);
  plan->strategy = tn_arena_printf(nest->arena, "dot %dx%d", (int)best_rows, (int)best_columns);
}

/* Values without folds whose reads stay inside their arguments and are not packed. */
static bool is_plain(const tn_nest *nest, const tn_knode *node) {
  const tn_access *access = nest->accesses[node->id];
  if (node->kind == TN_K_READ) return access->n_bounds == 0 && !access->nonlinear && !tn_plan_is_packable(nest, access);
  if (node->kind != TN_K_SCALAR && node->kind != TN_K_CONST) return false;
  for (uint32_t i = 0; i < node->n_in; i++)
    if (!is_plain(nest, node->in[i])) return false;
  return true;
}

/* Whether a panel of the vector operand is copied before the loops over rows: where the elements of its vectors are not
 * next to each other, or the tiles of rows are many and each would fetch the panel from afar again, in an order that no
 * prefetcher sees. */
static bool wants_stage(const tn_plan *plan, const tn_knode *node, const tn_access *a, const tn_access *b,
                        int64_t n_rows, int64_t tile) {
  const tn_nest *nest = plan->nest;
  double bytes = 4.0 * (double)plan->tile[plan->vector] * plan->lanes;
  if (tn_nest_compute_type(node->dtype) != TN_F32 || plan->static_folds || !is_plain(nest, node)) return false;
  for (uint32_t i = 0; i < plan->n_fold_order; i++) {
    if (!has_axis(nest->node_axes[node->id], plan->fold_order[i])) continue;
    if (nest->axes[plan->fold_order[i]].count < 0) return false;
    bytes *= (double)nest->axes[plan->fold_order[i]].count;
  }
  if (bytes > (double)nest->target->l2_bytes / 2) return false;
  if (tn_access_stride(b, (uint32_t)plan->vector) != 1) return n_rows >= 2 * tile;
  return bytes >= STAGED_LEAST_BYTES && n_rows >= STAGED_LEAST_TILES * tile && !is_near(plan, a, b);
}

static void plan_contract(tn_plan *plan, const tn_knode *contract) {
  const tn_nest *nest = plan->nest;
  uint32_t v = (uint32_t)plan->vector;
  const tn_access *operands[2] = {tn_plan_operand(nest, contract->in[0]), tn_plan_operand(nest, contract->in[1])};
  bool in[2] = {false, false};
  for (int i = 0; i < 2; i++) in[i] = plan->vector >= 0 && has_axis(nest->node_axes[contract->in[i]->id], v);
  const tn_access *b = in[0] != in[1] ? operands[in[0] ? 0 : 1] : NULL;
  const tn_access *a = in[0] != in[1] ? operands[in[0] ? 1 : 0] : operands[0];
  if (!b && operands[0] && operands[1] && guess_points(nest, operands[0]->axes) < guess_points(nest, operands[1]->axes))
    a = operands[1];
  const tn_access *shared = b; /* the operand that rows share */
  if (!b && in[0] && in[1]) shared = a == operands[0] ? operands[1] : operands[0];
  uint32_t rows = row_axes(plan, contract, shared);
  int64_t n_rows = guess_count(nest, rows);
  uint32_t registers = nest->target->n_vector_registers;
  int64_t phases = bind_phases(plan);
  uint32_t free_rows = rows & ~bound_phases(plan), n_contracts = count_contracts(nest, contract) * (uint32_t)phases;
  if (phases > 1) n_rows = n_rows / phases > 0 ? n_rows / phases : 1;
  if (plan->vector >= 0 && has_axis(nest->node_over[contract->id], v)) {
    plan->tile[v] = 1; /* dot products along contiguous operands */
    plan->strategy = "dot";
    if (phases == 1) plan_dots(plan, contract, a, shared, free_rows, n_contracts);
  } else if (b) {
    registers -= mask_registers(plan);
    register_tile tile = choose_tile(n_rows, most_rows(plan, a, rows), vector_count(plan), registers, n_contracts);
    plan->tile[v] = (uint32_t)tile.vectors;
    split_rows(plan, free_rows, tile.rows, a);
    plan->has_panels = true;
    const tn_knode *operand = contract->in[in[0] ? 0 : 1];
    if (wants_stage(plan, operand, a, b, n_rows, tile.rows)) plan->staged = (int32_t)operand->id;
    plan->splits_taps = masks_take_vectors(plan);
    plan->strategy = tn_arena_printf(nest->arena, "%s %dx%d", a && a->n_bounds ? "conv" : "gemm",
                                     (int)(tile.rows * phases), (int)(tile.vectors * plan->lanes));
  } else {
    int64_t tile = shared_rows(plan, n_rows);
    if (free_rows && phases == 1) split_rows(plan, free_rows, tile, a);
    plan->strategy = plan->vector >= 0 ? "depthwise" : "scalar contraction";
  }
  order_contract(plan, a, b, rows);
  sort_axes(plan, a, plan->fold_order, plan->n_fold_order);
  if (b) taps_outermost(plan, a);
  plan->contract = (int32_t)contract->id;
}

/* --- Maps and reductions --- */

/* An axis that some access walks contiguously across the lanes: a tile over it makes a transpose read whole lines. */
static void tile_transposes(tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_access *access = nest->accesses[i];
    if (!access || plan->vector < 0 || !has_axis(access->axes, (uint32_t)plan->vector)) continue;
    if (tn_access_stride(access, (uint32_t)plan->vector) == 1) continue;
    for (uint32_t k = 0; k < plan->n_order; k++) {
      uint32_t axis = plan->order[k];
      int64_t count = nest->axes[axis].count;
      if ((int32_t)axis == plan->vector || tn_access_stride(access, axis) != 1 || count == 0) continue;
      uint32_t most = nest->kernel->nodes.n <= 2 ? LINE_ELEMENTS : LINE_ELEMENTS / 2; /* of a copy, or of values held */
      plan->tile[axis] = count < 0 || count > most ? most : (uint32_t)count;
      return;
    }
  }
}

static bool is_window(const tn_nest *nest, uint32_t axis) {
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_access *access = nest->accesses[i];
    if (!access) continue;
    for (uint32_t k = 0; k < access->n_bounds; k++)
      if (has_axis(access->bounds[k].axes, axis)) return true;
  }
  return false;
}

/* Points of an update follow each other in the order of the space; the elements next to each other are innermost. */
static void plan_update(tn_plan *plan) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < plan->n_order; i++)
    if ((int32_t)plan->order[i] != plan->vector) plan->order[n++] = plan->order[i];
  plan->strategy = "update";
  if (plan->vector < 0) return;
  plan->order[n] = (uint8_t)plan->vector;
  int64_t vectors = vector_count(plan);
  plan->tile[plan->vector] = (uint32_t)(vectors < 4 ? vectors : 4);
}

static const tn_knode *update_of(const tn_nest *nest) {
  for (size_t i = 0; i < nest->kernel->nodes.n; i++)
    if (node_at(nest, i)->kind == TN_K_UPDATE) return node_at(nest, i);
  return NULL;
}

static const tn_knode *argsort_of(const tn_nest *nest) {
  for (size_t i = 0; i < nest->kernel->nodes.n; i++)
    if (node_at(nest, i)->kind == TN_K_ARGSORT) return node_at(nest, i);
  return NULL;
}

/* One row after the other; the positions asked for are not a loop but what one sort gives. */
static void plan_argsort(tn_plan *plan, const tn_knode *argsort) {
  tn_nest *nest = plan->nest;
  uint32_t n = 0;
  for (uint32_t i = 0; i < plan->n_order; i++)
    if (!tn_dim_uses(nest->index[argsort->id][0], nest->axes[plan->order[i]].symbol)) plan->order[n++] = plan->order[i];
  plan->n_order = n;
  plan->n_fold_order = 0;
  plan->vector = -1;
  plan->lanes = 1;
  plan->strategy = "sort";
  const tn_dim *extent = nest->kernel->space.data[__builtin_ctz(argsort->over)].extent;
  plan->scratch_elements = tn_dim_mul_i(nest->ctx, extent, 8); /* 32 bytes a position, as runtime/abi.h says */
}

static void plan_loops(tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  uint32_t folds = 0;
  for (uint32_t i = 0; i < plan->n_fold_order; i++) folds |= 1u << plan->fold_order[i];
  sort_axes(plan, first_write(nest), plan->order, plan->n_order);
  sort_axes(plan, main_read(nest, folds), plan->fold_order, plan->n_fold_order);
  plan->strategy = plan->vector < 0 ? "scalar" : folds ? "reduce" : "map";
  if (plan->vector < 0) return;
  int64_t vectors = vector_count(plan);
  plan->tile[plan->vector] = (uint32_t)(vectors < 4 ? vectors : nest->kernel->nodes.n > 24 ? 2 : 4);
  if (!folds) tile_transposes(plan);
  if (!has_axis(folds, (uint32_t)plan->vector) && folds) {
    plan->tile[plan->vector] = (uint32_t)(vectors < 2 ? vectors : 2);
    /* More chains for latency, and windows that share what they read. */
    for (uint32_t i = plan->n_order; i-- > 0;) {
      uint32_t axis = plan->order[i];
      if ((int32_t)axis == plan->vector || nest->axes[axis].count == 0) continue;
      if (is_window(nest, axis)) {
        int64_t count = nest->axes[axis].count, tiles = count < 0 ? 1 : ceil_div(count, 4);
        plan->tile[axis] = (uint32_t)(count < 0 ? 4 : ceil_div(count, tiles));
      }
      break;
    }
  }
  uint32_t wide = 1;
  for (uint32_t i = 0; i < plan->n_order; i++) wide *= plan->tile[plan->order[i]];
  if (wide > 16) plan->tile[plan->vector] = 1;
}

/* Padding along this axis can be skipped by the range of a loop: the bound moves with no tiled axis. */
static bool is_better_as_loop(const tn_plan *plan, uint32_t axis) {
  const tn_nest *nest = plan->nest;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_access *access = nest->accesses[i];
    for (uint32_t k = 0; access && k < access->n_bounds; k++) {
      bool is_tiled = false;
      if (!has_axis(access->bounds[k].axes, axis)) continue;
      for (uint32_t p = 0; p < plan->n_order; p++)
        is_tiled |= has_axis(access->bounds[k].axes, plan->order[p]) && plan->tile[plan->order[p]] > 1;
      if (!is_tiled) return true;
    }
  }
  return false;
}

/* Short innermost fold axes are unrolled: taps of pooling and depthwise windows. */
static void choose_static_folds(tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  uint32_t instances = 1;
  if (plan->has_panels) return;
  for (uint32_t i = 0; i < plan->n_order; i++) instances *= plan->tile[plan->order[i]];
  for (uint32_t i = plan->n_fold_order; i-- > 0;) {
    uint32_t axis = plan->fold_order[i];
    int64_t count = nest->axes[axis].count;
    if ((int32_t)axis == plan->vector) continue;
    if (count < 0 || count > 8 || count * instances > 224 || is_better_as_loop(plan, axis)) return;
    plan->static_folds |= 1u << axis;
    instances *= (uint32_t)count;
  }
}

/* --- Parts --- */

static double flops_of(const tn_nest *nest) { return guess(tn_kernel_flops(nest->kernel)); }

/* Other threads take about a microsecond to come. */
#define LEAST_CYCLES 12288
#define LEAST_CYCLES_OF_PART 2048

static double cycles_of(const tn_plan *plan, const tn_knode *node) {
  uint32_t axes = plan->nest->node_axes[node->id] | plan->nest->node_over[node->id];
  double points = guess_points(plan->nest, axes);
  bool is_vector = plan->vector >= 0 && has_axis(axes, (uint32_t)plan->vector);
  bool is_costly = node->kind == TN_K_SCALAR && node->scalar >= TN_EXP && node->scalar <= TN_POW;
  return points * (is_costly ? 16 : 1) / (is_vector ? plan->lanes : 1);
}

#define MANY_UNITS 16 /* enough for threads to share evenly */

int64_t tn_plan_tiles(const tn_plan *plan, uint32_t axis) {
  int64_t each = (int64_t)plan->tile[axis] * ((int32_t)axis == plan->vector ? plan->lanes : 1);
  return ceil_div(plan->nest->axes[axis].count, each);
}

/* The outer axes whose tiles together are many, or 0 where the extent of one of them is only known while running. */
static uint32_t joined_axes(const tn_plan *plan, double *out_units) {
  uint32_t axes = 0;
  *out_units = 1;
  for (uint32_t i = 0; i < plan->n_order && *out_units < MANY_UNITS; i++) {
    uint32_t axis = plan->order[i];
    if (plan->nest->axes[axis].count <= 0) return 0;
    if (tn_plan_tiles(plan, axis) < 2) continue;
    axes |= 1u << axis;
    *out_units *= (double)tn_plan_tiles(plan, axis);
  }
  return axes;
}

static void choose_parts(tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  double most = 1, work = 0, joined;
  plan->part_axes = 0;
  plan->parts = 1;
  if (update_of(nest)) return;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) work += cycles_of(plan, node_at(nest, i));
  if (work < LEAST_CYCLES) return;
  for (uint32_t i = 0; i < plan->n_order; i++) {
    uint32_t axis = plan->order[i];
    double per = (double)plan->tile[axis] * ((int32_t)axis == plan->vector ? plan->lanes : 1);
    double units = floor(guess_extent(nest, axis) / per);
    if (units < most * (most >= MANY_UNITS ? 1e9 : 1.5)) continue;
    most = units;
    plan->part_axes = 1u << axis;
  }
  uint32_t axes = most < MANY_UNITS ? joined_axes(plan, &joined) : 0;
  if (axes && joined >= most * 1.5) most = joined, plan->part_axes = axes;
  double parts = work / LEAST_CYCLES_OF_PART < most ? work / LEAST_CYCLES_OF_PART : most;
  plan->parts = parts < 64 ? (uint32_t)parts : 64;
  if (plan->parts < 2) plan->parts = 1, plan->part_axes = 0;
}

tn_plan *tn_plan_create(const tn_kernel *kernel, const tn_target *target, tn_arena *arena) {
  tn_plan *plan = TN_NEW(arena, tn_plan);
  plan->nest = tn_nest_create(kernel, target, arena);
  plan->contract = plan->staged = plan->block_axis = -1;
  list_axes(plan);
  choose_vector(plan);
  const tn_knode *contract = main_contract(plan->nest);
  if (contract)
    plan_contract(plan, contract);
  else if (update_of(plan->nest))
    plan_update(plan);
  else if (!argsort_of(plan->nest))
    plan_loops(plan);
  choose_static_folds(plan);
  tn_plan_keep(plan);
  if (argsort_of(plan->nest)) plan_argsort(plan, argsort_of(plan->nest));
  tn_plan_pack(plan);
  tn_plan_block(plan);
  choose_parts(plan);
  return plan;
}

/* --- What the rest of the compiler asks --- */

/* Bytes that the kernel's arguments hold, each counted once. */
static double bytes_of(const tn_kernel *kernel) {
  double bytes = 0;
  for (size_t i = 0; i < kernel->args.n; i++) {
    double n = (double)tn_dtype_bytes(kernel->args.data[i].type->dtype);
    for (uint32_t k = 0; k < kernel->args.data[i].type->ndim; k++) n *= guess(kernel->args.data[i].type->dims[k]);
    bytes += n;
  }
  return bytes;
}

bool tn_cpu_schedule(const tn_target *target, const tn_kernel *kernel, tn_arena *arena, tn_schedule *out) {
  tn_plan *plan = tn_plan_create(kernel, target, arena);
  double per_second = 3.0e9 * (plan->vector >= 0 ? 2.0 * plan->lanes : 1.0);
  double compute = flops_of(plan->nest) / per_second, memory = bytes_of(kernel) / 20e9;
  out->strategy = plan->strategy;
  out->scratch_bytes = tn_dim_mul_i(plan->nest->ctx, plan->scratch_elements, 4);
  out->parts = plan->parts;
  out->formats = plan->formats;
  out->cost_seconds = compute > memory ? compute : memory;
  return true;
}
