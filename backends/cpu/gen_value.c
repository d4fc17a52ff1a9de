/* Values of kernel nodes for one instance of the register tile: reads with their addresses, bounds and masks, scalar
 * ops, indices, writes, and values kept in scratch. See gen.h. */
#include <string.h>

#include "backends/cpu/gen.h"
#include "ir/eval.h"

/* --- Positions --- */

static int64_t instance_offset(const tn_gen *gen, uint32_t axis, const tn_instance *at) {
  return (int64_t)at->at[axis] * ((int32_t)axis == gen->plan->vector ? gen->plan->lanes : 1);
}

const tn_dim *tn_gen_place(tn_gen *gen, const tn_dim *dim, const tn_instance *at) {
  for (uint32_t i = 0; i < gen->nest->n_axes; i++) {
    const tn_symbol *symbol = gen->nest->axes[i].symbol;
    if (!tn_dim_uses(dim, symbol)) continue;
    TN_ASSERT(gen->bind[i]);
    const tn_dim *position = at ? tn_dim_add_i(gen->ctx, gen->bind[i], instance_offset(gen, i, at)) : gen->bind[i];
    dim = tn_dim_substitute(gen->ctx, dim, symbol, position);
  }
  return dim;
}

tn_tile_value *tn_gen_int(tn_gen *gen, const tn_dim *placed) { return tn_tile_dim(&gen->b, placed, gen->locals.data); }

/* Value symbols in dim stand for these nodes' values now. */
static void bind_values(tn_gen *gen, const tn_dim *dim, const tn_instance *at) {
  const tn_kernel *kernel = gen->nest->kernel;
  if (!tn_dim_uses_kind(dim, TN_SYM_VALUE)) return;
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    tn_knode *node = kernel->nodes.data[i];
    if (!node->value_symbol || !tn_dim_uses(dim, node->value_symbol)) continue;
    tn_tile_value *v = tn_gen_value(gen, node, at);
    gen->locals.data[node->id] = v->type == TN_I64 ? v : tn_tile_unary(&gen->b, TN_T_TO_I64, TN_I64, v->lanes, v);
  }
}

/* --- Conversions --- */

tn_tile_value *tn_gen_widen(tn_gen *gen, tn_tile_value *v, uint32_t lanes) {
  if (v->lanes == lanes) return v;
  TN_ASSERT(v->lanes == 1);
  if (v->op == TN_T_CONST) return tn_tile_number(&gen->b, v->type, lanes, v->constant);
  if (v->op == TN_T_LOAD && v->n_in == 1 && v->type != TN_BOOL && v->arg != TN_TILE_SCRATCH)
    return tn_tile_load(&gen->b, TN_T_LOAD_SPLAT, v->type, lanes, v->arg, v->in[0], v->displacement, NULL);
  return tn_tile_unary(&gen->b, TN_T_SPLAT, v->type, lanes, v);
}

tn_tile_value *tn_gen_cast(tn_gen *gen, tn_tile_value *v, tn_dtype type) {
  if (v->type == type) return v;
  if (v->op == TN_T_CONST) return tn_tile_number(&gen->b, type, v->lanes, tn_number_cast(v->type, type, v->constant));
  return tn_tile_scalar(&gen->b, TN_CAST, type, v->lanes, &v, 1);
}

/* --- Bounds --- */

/* The lowest and highest coordinate that the instance (all its lanes) reaches, as dims. */
static bool bound_range(tn_gen *gen, const tn_bound *bound, const tn_instance *at, const tn_dim **out_lo,
                        const tn_dim **out_hi) {
  const tn_dim *index = tn_gen_place(gen, bound->index, at);
  int32_t v = gen->plan->vector;
  *out_lo = *out_hi = index;
  if (tn_dim_uses_kind(index, TN_SYM_VALUE)) return false;
  if (!tn_gen_has(bound->axes, v)) return true;
  if (tn_gen_has(bound->nonlinear, v)) return false;
  int64_t c = bound->coefficient[v];
  const tn_dim *span = tn_dim_const(gen->ctx, (int64_t)gen->plan->lanes - 1);
  if (gen->mask_end && gen->mask[at->at[v]]) { /* inactive lanes read nothing */
    const tn_dim *first = tn_dim_add_i(gen->ctx, gen->bind[v], instance_offset(gen, (uint32_t)v, at));
    span = tn_dim_sub(gen->ctx, tn_dim_add_i(gen->ctx, gen->mask_end, -1), first);
  }
  span = tn_dim_mul_i(gen->ctx, span, c);
  if (c > 0) *out_hi = tn_dim_add(gen->ctx, index, span);
  if (c < 0) *out_lo = tn_dim_add(gen->ctx, index, span);
  return true;
}

tn_bound_state tn_gen_bound(tn_gen *gen, const tn_bound *bound, const tn_instance *at) {
  const tn_dim *lo, *hi, *zero = tn_dim_const(gen->ctx, 0);
  if (bound->assumed) return TN_BOUND_IN;
  if (!bound_range(gen, bound, at, &lo, &hi)) return TN_BOUND_OPEN;
  if (hi->hi < 0 || tn_dim_proves_le(gen->ctx, bound->extent, lo)) return TN_BOUND_OUT;
  bool is_low = (bound->axes & gen->past_lo) || lo->lo >= 0 || tn_dim_proves_le(gen->ctx, zero, lo);
  if (!is_low) return TN_BOUND_OPEN;
  bool is_high =
      (bound->axes & gen->before_hi) || tn_dim_proves_le(gen->ctx, tn_dim_add_i(gen->ctx, hi, 1), bound->extent);
  return is_high ? TN_BOUND_IN : TN_BOUND_OPEN;
}

static tn_tile_value *and_masks(tn_gen *gen, tn_tile_value *a, tn_tile_value *b) {
  if (!a || !b) return a ? a : b;
  if (a->lanes == 1 && b->lanes == 1) return tn_tile_int(&gen->b, TN_T_IAND, a, b);
  uint32_t lanes = gen->plan->lanes;
  tn_tile_value *in[] = {tn_gen_widen(gen, a, lanes), tn_gen_widen(gen, b, lanes)};
  return in[0] == in[1] ? in[0] : tn_tile_scalar(&gen->b, TN_AND, TN_BOOL, lanes, in, 2);
}

/* base + lane * coefficient as i64 lanes. */
static tn_tile_value *lane_index(tn_gen *gen, tn_tile_value *base, int64_t coefficient) {
  uint32_t lanes = gen->plan->lanes;
  tn_tile_value proto = {.op = TN_T_LANES, .type = TN_I64, .lanes = lanes};
  tn_tile_value *lane = tn_tile_value_of(&gen->b, &proto);
  if (coefficient != 1) {
    tn_tile_value *in[] = {lane, tn_tile_number(&gen->b, TN_I64, lanes, (tn_number){.i = coefficient})};
    lane = tn_tile_scalar(&gen->b, TN_MUL, TN_I64, lanes, in, 2);
  }
  tn_tile_value *in[] = {tn_gen_widen(gen, base, lanes), lane};
  return tn_tile_scalar(&gen->b, TN_ADD, TN_I64, lanes, in, 2);
}

/* Whether the coordinate is inside its extent, as a scalar or a lane mask. */
static tn_tile_value *bound_condition(tn_gen *gen, const tn_bound *bound, const tn_instance *at) {
  const tn_dim *index = tn_gen_place(gen, bound->index, at);
  bind_values(gen, index, at);
  tn_tile_value *base = tn_gen_int(gen, index), *extent = tn_gen_int(gen, bound->extent);
  tn_tile_value *zero = tn_tile_const_i(&gen->b, 0);
  if (!tn_gen_has(bound->axes, gen->plan->vector))
    return tn_tile_int(&gen->b, TN_T_IAND, tn_tile_int(&gen->b, TN_T_ILE, zero, base),
                       tn_tile_int(&gen->b, TN_T_ILT, base, extent));
  uint32_t lanes = gen->plan->lanes;
  tn_tile_value *position = lane_index(gen, base, bound->coefficient[gen->plan->vector]);
  tn_tile_value *low[] = {position, tn_gen_widen(gen, zero, lanes)};
  tn_tile_value *high[] = {position, tn_gen_widen(gen, extent, lanes)};
  return and_masks(gen, tn_tile_scalar(&gen->b, TN_GE, TN_BOOL, lanes, low, 2),
                   tn_tile_scalar(&gen->b, TN_LT, TN_BOOL, lanes, high, 2));
}

/* --- Addresses --- */

/* An address split so that instances differ by displacements only. */
typedef struct place {
  tn_tile_value *offset;
  int64_t displacement;
} place;

static int64_t split_constant(tn_ctx *ctx, const tn_dim **dim) {
  for (uint32_t i = 0; i < (*dim)->n_terms; i++) {
    if ((*dim)->terms[i].n_atoms) continue;
    int64_t c = (*dim)->terms[i].coefficient;
    *dim = tn_dim_add_i(ctx, *dim, -c);
    return c;
  }
  return 0;
}

static place address_of_dim(tn_gen *gen, const tn_dim *placed) {
  int64_t constant = split_constant(gen->ctx, &placed);
  return (place){tn_gen_int(gen, placed), constant};
}

/* Axes whose instances move the address by a constant. */
static bool is_simple(const tn_gen *gen, const tn_access *access) {
  if (tn_dim_uses_kind(access->address, TN_SYM_VALUE)) return false;
  for (uint32_t i = 0; i < gen->nest->n_axes; i++)
    if ((access->axes >> i & 1) && gen->count[i] > 1 && tn_access_stride(access, i) == INT64_MIN) return false;
  return true;
}

static int64_t instance_displacement(const tn_gen *gen, const tn_access *access, const tn_instance *at) {
  int64_t sum = 0;
  for (uint32_t i = 0; i < gen->nest->n_axes; i++) {
    if (!(access->axes >> i & 1) || !at->at[i]) continue;
    /* Inside a panel vectors follow each other whatever the way from panel to panel. */
    bool in_panel = access->is_packed && (int32_t)i == gen->plan->vector;
    sum += instance_offset(gen, i, at) * (in_panel ? 1 : tn_access_stride(access, i));
  }
  return sum;
}

static place address_of(tn_gen *gen, const tn_access *access, const tn_instance *at) {
  static const tn_instance none;
  uint32_t id = access->node->id;
  if (!is_simple(gen, access)) {
    const tn_dim *placed = tn_gen_place(gen, access->address, at);
    bind_values(gen, placed, at);
    return address_of_dim(gen, placed);
  }
  place *base = tn_gen_recall(gen, 1, id, 0, &none);
  if (!base) {
    base = TN_NEW(gen->arena, place);
    *base = address_of_dim(gen, tn_gen_place(gen, access->address, NULL));
    tn_gen_remember(gen, 1, id, 0, &none, base);
  }
  return (place){base->offset, base->displacement + instance_displacement(gen, access, at)};
}

/* A gathered coordinate, clamped and scaled. */
static tn_tile_value *clamped_part(tn_gen *gen, const tn_access *access, uint32_t k, const tn_instance *at) {
  const tn_bound *bound = &access->bounds[k];
  uint32_t id = access->node->id * 16 + k;
  tn_tile_value *part = tn_gen_recall(gen, 2, id, bound->axes, at);
  if (part) return part;
  const tn_dim *index = tn_gen_place(gen, bound->index, at);
  bind_values(gen, index, at);
  tn_tile_value proto = {.op = TN_T_CLAMP_INDEX, .type = TN_I64, .lanes = 1, .n_in = 2,
                         .in = {tn_gen_int(gen, index), tn_gen_int(gen, bound->extent)}};
  part = tn_tile_int(&gen->b, TN_T_IMUL, tn_tile_value_of(&gen->b, &proto),
                     tn_gen_int(gen, tn_gen_place(gen, bound->stride, at)));
  tn_gen_remember(gen, 2, id, bound->axes, at, part);
  return part;
}

/* --- Reads --- */

static bool is_zero(const tn_tile_value *v) { return v->op == TN_T_CONST && v->constant.u == 0; }

/* One element for each lane of a vector, whose lanes `mask` says are inside. */
static tn_tile_value *load(tn_gen *gen, const tn_access *access, const tn_instance *at, tn_tile_value *mask) {
  const tn_knode *node = access->node;
  tn_dtype type = gen->nest->kernel->args.data[node->arg].type->dtype;
  bool by_lane = mask && mask->lanes > 1, is_vector = by_lane || tn_gen_has(access->axes, gen->plan->vector);
  uint32_t lanes = is_vector ? gen->plan->lanes : 1;
  place address = address_of(gen, access, at);
  for (uint32_t k = 0; k < access->n_bounds; k++)
    if (access->bounds[k].is_clamped)
      address.offset = tn_tile_int(&gen->b, TN_T_IADD, address.offset, clamped_part(gen, access, k, at));
  if (mask) mask = tn_gen_widen(gen, mask, lanes);
  const tn_dim *stride = is_vector && !access->is_packed ? access->coefficient[gen->plan->vector] : NULL;
  if (is_vector && !stride && !access->is_packed) stride = tn_dim_const(gen->ctx, 0);
  if (!stride || tn_dim_is(stride, 1))
    return tn_tile_load(&gen->b, TN_T_LOAD, type, lanes, node->arg, address.offset, address.displacement, mask);
  tn_tile_value proto = {.op = TN_T_LOAD_STRIDED, .type = type, .lanes = lanes, .arg = node->arg,
                         .displacement = address.displacement, .n_in = 3,
                         .in = {address.offset, tn_gen_int(gen, tn_gen_place(gen, stride, at)), mask}};
  return tn_tile_value_of(&gen->b, &proto);
}

static tn_tile_value *read_value(tn_gen *gen, const tn_knode *node, const tn_instance *at) {
  const tn_access *access = gen->nest->accesses[node->id];
  int32_t v = gen->plan->vector;
  tn_tile_value *condition = NULL;
  for (uint32_t k = 0; k < access->n_bounds; k++) {
    if (access->bounds[k].is_clamped) continue;
    tn_bound_state state = tn_gen_bound(gen, &access->bounds[k], at);
    if (state == TN_BOUND_OUT) return tn_gen_value(gen, node->in[0], at);
    if (state == TN_BOUND_OPEN) condition = and_masks(gen, condition, bound_condition(gen, &access->bounds[k], at));
  }
  bool is_vector = tn_gen_has(access->axes, v);
  tn_tile_value *tail = is_vector && !access->is_packed ? gen->mask[at->at[v]] : NULL;
  tn_dtype type = tn_nest_compute_type(node->dtype);
  tn_tile_value *loaded = tn_gen_cast(gen, load(gen, access, at, and_masks(gen, condition, tail)), type);
  if (!condition) return loaded;
  tn_tile_value *outside = tn_gen_cast(gen, tn_gen_value(gen, node->in[0], at), type);
  if (is_zero(outside)) return loaded;
  uint32_t lanes = loaded->lanes > outside->lanes ? loaded->lanes : outside->lanes;
  tn_tile_value *in[] = {tn_gen_widen(gen, condition, lanes), tn_gen_widen(gen, loaded, lanes),
                         tn_gen_widen(gen, outside, lanes)};
  return tn_tile_scalar(&gen->b, TN_SELECT, type, lanes, in, 3);
}

/* --- Other nodes --- */

static tn_tile_value *index_value(tn_gen *gen, const tn_knode *node, const tn_instance *at) {
  const tn_dim *coefficient, *rest, *dim = gen->nest->index[node->id][0];
  int32_t v = gen->plan->vector;
  const tn_dim *placed = tn_gen_place(gen, dim, at);
  bind_values(gen, placed, at);
  tn_tile_value *base = tn_gen_int(gen, placed);
  if (v >= 0 && tn_dim_uses(dim, gen->nest->axes[v].symbol)) {
    bool linear = tn_dim_linear(gen->ctx, dim, gen->nest->axes[v].symbol, &coefficient, &rest);
    TN_ASSERT(linear && tn_dim_is_const(coefficient));
    (void)linear;
    base = lane_index(gen, base, tn_dim_value(coefficient));
    return tn_gen_cast(gen, base, node->dtype);
  }
  return node->dtype == TN_I64 ? base : tn_tile_unary(&gen->b, TN_T_FROM_I64, node->dtype, 1, base);
}

static tn_tile_value *folded_scalar(tn_gen *gen, const tn_knode *node, tn_tile_value *const *in) {
  tn_number args[3];
  for (uint32_t i = 0; i < node->n_in; i++) {
    if (in[i]->op != TN_T_CONST) return NULL;
    args[i] = in[i]->constant;
  }
  tn_dtype from = in[node->n_in - 1]->type;
  tn_number v = tn_scalar_apply(node->scalar, from, node->dtype, true, args);
  return tn_tile_number(&gen->b, tn_nest_compute_type(node->dtype), 1, v);
}

static tn_tile_value *cast_value(tn_gen *gen, const tn_knode *node, tn_tile_value *v) {
  tn_dtype type = tn_nest_compute_type(node->dtype);
  tn_dtype from = node->in[0]->dtype;
  /* A cast to a short float rounds, even where values of that type are computed in f32. */
  if (type != node->dtype && from != node->dtype) v = tn_gen_cast(gen, v, node->dtype);
  return tn_gen_cast(gen, v, type);
}

static tn_tile_value *scalar_value(tn_gen *gen, const tn_knode *node, const tn_instance *at) {
  tn_tile_value *in[3];
  uint32_t lanes = 1;
  if (node->scalar == TN_SELECT) { /* what a known condition does not choose is not computed */
    in[0] = tn_gen_value(gen, node->in[0], at);
    if (in[0]->op == TN_T_CONST) return tn_gen_value(gen, node->in[in[0]->constant.i ? 1 : 2], at);
  }
  for (uint32_t i = 0; i < node->n_in; i++) {
    in[i] = tn_gen_value(gen, node->in[i], at);
    if (in[i]->lanes > lanes) lanes = in[i]->lanes;
  }
  tn_tile_value *constant = folded_scalar(gen, node, in);
  if (constant) return constant;
  for (uint32_t i = 0; i < node->n_in; i++) in[i] = tn_gen_widen(gen, in[i], lanes);
  if (node->scalar == TN_CAST) return cast_value(gen, node, in[0]);
  tn_dtype type = tn_nest_compute_type(node->dtype);
  if (node->scalar == TN_FMA) return tn_tile_fma(&gen->b, in[0], in[1], in[2]);
  return tn_tile_scalar(&gen->b, node->scalar, type, lanes, in, node->n_in);
}

/* --- Values kept in scratch --- */

bool tn_gen_is_kept(const tn_gen *gen, const tn_knode *node) {
  return gen->plan->keep[node->id] && gen->kept_by[node->id] && gen->kept_by[node->id] != gen->pass;
}

static tn_tile_value *kept_offset(tn_gen *gen, const tn_knode *node, const tn_instance *at) {
  const tn_plan *plan = gen->plan;
  uint32_t axes = gen->nest->node_axes[node->id];
  bool by_lane = plan->vector >= 0 && gen->nest->axes[plan->vector].kind == TN_AXIS_PAR;
  int64_t instance = 0;
  for (uint32_t i = 0; i < plan->n_order; i++)
    instance = instance * plan->tile[plan->order[i]] + at->at[plan->order[i]];
  const tn_dim *flat = tn_dim_const(gen->ctx, 0);
  for (uint32_t i = 0; i < plan->n_fold_order; i++) {
    uint32_t axis = plan->fold_order[i];
    if (!(axes >> axis & 1) || gen->nest->axes[axis].kind != TN_AXIS_ROW) continue;
    flat = tn_dim_mul(gen->ctx, flat, gen->nest->axes[axis].extent);
    flat = tn_dim_add(gen->ctx, flat, tn_dim_symbol(gen->ctx, gen->nest->axes[axis].symbol));
  }
  flat = tn_dim_mul_i(gen->ctx, tn_gen_place(gen, flat, at), by_lane ? plan->lanes : 1);
  flat = tn_dim_add(gen->ctx, flat,
                    tn_dim_mul_i(gen->ctx, plan->scratch_row, plan->keep_offset[node->id] + instance));
  return tn_gen_int(gen, flat);
}

void tn_gen_keep(tn_gen *gen, const tn_knode *node, const tn_instance *at, tn_tile_value *v) {
  if (!gen->plan->keep[node->id] || !gen->pass || tn_gen_is_kept(gen, node)) return;
  gen->kept_by[node->id] = gen->pass;
  tn_tile_store(&gen->b, TN_TILE_SCRATCH, kept_offset(gen, node, at), 0, v, TN_F32, NULL);
}

static tn_tile_value *kept_value(tn_gen *gen, const tn_knode *node, const tn_instance *at) {
  uint32_t lanes = tn_gen_has(gen->nest->node_axes[node->id], gen->plan->vector) ? gen->plan->lanes : 1;
  return tn_tile_load(&gen->b, TN_T_LOAD, TN_F32, lanes, TN_TILE_SCRATCH, kept_offset(gen, node, at), 0, NULL);
}

/* --- The staged operand: for each position of the fold axes in the order of the loops, the vectors of a panel --- */

static tn_tile_value *staged_offset(tn_gen *gen, int64_t *out_width) {
  const tn_plan *plan = gen->plan;
  const tn_dim *flat = tn_dim_const(gen->ctx, 0);
  *out_width = (int64_t)plan->tile[plan->vector] * plan->lanes;
  for (uint32_t i = 0; i < plan->n_fold_order; i++) {
    const tn_nest_axis *axis = &gen->nest->axes[plan->fold_order[i]];
    if (!tn_gen_has(gen->nest->node_axes[plan->staged], plan->fold_order[i])) continue;
    flat = tn_dim_add(gen->ctx, tn_dim_mul(gen->ctx, flat, axis->extent), tn_dim_symbol(gen->ctx, axis->symbol));
  }
  return tn_gen_int(gen, tn_gen_place(gen, tn_dim_mul_i(gen->ctx, flat, *out_width), NULL));
}

static tn_tile_value *staged_value(tn_gen *gen, const tn_instance *at) {
  int64_t width, vector = at->at[gen->plan->vector];
  tn_tile_value *offset = staged_offset(gen, &width);
  return tn_tile_load(&gen->b, TN_T_LOAD, TN_F32, gen->plan->lanes, TN_TILE_SCRATCH, offset,
                      vector * gen->plan->lanes, NULL);
}

static void store_staged(tn_gen *gen, void *user, tn_tile_value **accumulators) {
  const tn_knode *node = user;
  int64_t width, lanes = gen->plan->lanes;
  tn_tile_value *offset = staged_offset(gen, &width);
  tn_instance at = {0};
  (void)accumulators;
  do {
    tn_tile_value *v = tn_gen_widen(gen, tn_gen_value(gen, node, &at), (uint32_t)lanes);
    tn_tile_store(&gen->b, TN_TILE_SCRATCH, offset, at.at[gen->plan->vector] * lanes, v, TN_F32, NULL);
  } while (tn_gen_next(gen, 1u << gen->plan->vector, &at));
}

void tn_gen_stage(tn_gen *gen) {
  tn_knode *node = gen->nest->kernel->nodes.data[gen->plan->staged];
  uint32_t axes = 0;
  for (uint32_t i = 0; i < gen->plan->n_fold_order; i++)
    axes |= gen->nest->node_axes[node->id] & 1u << gen->plan->fold_order[i];
  tn_walk walk = {.axes = axes, .goals = &node, .n_goals = 1, .body = store_staged, .user = node};
  tn_gen_frame frame;
  tn_gen_push(gen, &frame);
  tn_gen_walk(gen, &walk, NULL);
  tn_gen_pop(gen);
}

tn_tile_value *tn_gen_value(tn_gen *gen, const tn_knode *node, const tn_instance *at) {
  uint32_t axes = gen->nest->node_axes[node->id];
  tn_tile_value *v = tn_gen_recall(gen, 0, node->id, axes, at);
  if (v) return v;
  bool was_kept = tn_gen_is_kept(gen, node);
  uint32_t saved_origin = gen->b.origin;
  gen->b.origin = node->id + 1;
  if (was_kept) {
    v = kept_value(gen, node, at);
  } else if (gen->is_staged && (int32_t)node->id == gen->plan->staged) {
    v = staged_value(gen, at);
  } else {
    switch (node->kind) {
      case TN_K_READ: v = read_value(gen, node, at); break;
      case TN_K_CONST: v = tn_tile_number(&gen->b, tn_nest_compute_type(node->dtype), 1, node->constant); break;
      case TN_K_INDEX: v = index_value(gen, node, at); break;
      case TN_K_SCALAR: v = scalar_value(gen, node, at); break;
      default: TN_ASSERT(!"a fold that was not prepared"); break;
    }
    tn_gen_keep(gen, node, at, v);
  }
  gen->b.origin = saved_origin;
  tn_gen_remember(gen, 0, node->id, axes, at, v);
  return v;
}

/* --- Writes --- */

/* The element the index chooses, combined with the value. An axis without elements takes no update. */
static void update(tn_gen *gen, const tn_knode *node, const tn_instance *at) {
  const tn_access *access = gen->nest->accesses[node->id];
  tn_dtype type = gen->nest->kernel->args.data[node->arg].type->dtype, own = tn_nest_compute_type(type);
  bool is_vector = tn_gen_has(access->axes, gen->plan->vector);
  uint32_t lanes = is_vector ? gen->plan->lanes : 1;
  tn_tile_value *mask = is_vector ? gen->mask[at->at[gen->plan->vector]] : NULL, *some = NULL;
  tn_tile_value *v = tn_gen_widen(gen, tn_gen_cast(gen, tn_gen_value(gen, node->in[0], at), own), lanes);
  place address = address_of(gen, access, at);
  for (uint32_t k = 0; k < access->n_bounds; k++) {
    const tn_dim *extent = access->bounds[k].extent;
    address.offset = tn_tile_int(&gen->b, TN_T_IADD, address.offset, clamped_part(gen, access, k, at));
    if (extent->lo > 0) continue;
    tn_tile_value *any = tn_tile_int(&gen->b, TN_T_ILT, tn_tile_const_i(&gen->b, 0), tn_gen_int(gen, extent));
    some = some ? tn_tile_int(&gen->b, TN_T_IAND, some, any) : any;
  }
  tn_tile_block *saved;
  tn_tile_stmt *branch = some ? tn_tile_if_begin(&gen->b, some, &saved) : NULL;
  if (node->scalar != TN_K_SET) {
    tn_tile_value *old =
        tn_tile_load(&gen->b, TN_T_LOAD, type, lanes, node->arg, address.offset, address.displacement, mask);
    tn_tile_value *in[] = {tn_gen_cast(gen, old, own), v};
    v = tn_tile_scalar(&gen->b, node->scalar, own, lanes, in, 2);
  }
  tn_tile_store(&gen->b, node->arg, address.offset, address.displacement, v, type, mask);
  if (branch) tn_tile_if_end(&gen->b, branch, saved);
}

static void store_value(tn_gen *gen, const tn_knode *write, const tn_instance *at) {
  const tn_access *access = gen->nest->accesses[write->id];
  tn_dtype type = gen->nest->kernel->args.data[write->arg].type->dtype;
  int32_t vector = gen->plan->vector;
  tn_tile_value *v = tn_gen_value(gen, write->in[0], at);
  place address = address_of(gen, access, at);
  if (!tn_gen_has(access->axes, vector)) {
    if (v->lanes > 1) { /* every lane has the same element */
      tn_tile_value proto = {.op = TN_T_EXTRACT, .type = v->type, .lanes = 1, .n_in = 1, .in = {v}};
      v = tn_tile_value_of(&gen->b, &proto);
    }
    tn_tile_store(&gen->b, write->arg, address.offset, address.displacement, v, type, NULL);
    return;
  }
  v = tn_gen_widen(gen, v, gen->plan->lanes);
  tn_tile_value *mask = gen->mask[at->at[vector]];
  const tn_dim *stride = access->coefficient[vector];
  if (tn_dim_is(stride, 1)) {
    tn_tile_store(&gen->b, write->arg, address.offset, address.displacement, v, type, mask);
    return;
  }
  tn_tile_value *step = tn_gen_int(gen, tn_gen_place(gen, stride, at));
  tn_tile_store_strided(&gen->b, write->arg, address.offset, address.displacement, step, v, type, mask);
}

/* Elements from one position of the axis to the next; an axis of one position has none. */
static tn_tile_value *stride_along(tn_gen *gen, const tn_access *access, uint32_t axis) {
  const tn_dim *stride = axis < gen->nest->n_axes ? access->coefficient[axis] : NULL;
  return stride ? tn_gen_int(gen, tn_gen_place(gen, stride, NULL)) : tn_tile_const_i(&gen->b, 0);
}

void tn_gen_argsort(tn_gen *gen, const tn_knode *argsort, const tn_knode *write) {
  static const tn_instance first;
  const tn_access *from = gen->nest->accesses[argsort->in[0]->id], *to = gen->nest->accesses[write->id];
  const tn_dim *zero = tn_dim_const(gen->ctx, 0), *one = tn_dim_const(gen->ctx, 1);
  uint32_t over = (uint32_t)__builtin_ctz(argsort->over), position = TN_KERNEL_MAX_AXES;
  for (uint32_t i = 0; i < gen->nest->n_axes; i++)
    if (gen->nest->axes[i].is_live && tn_dim_uses(gen->nest->index[argsort->id][0], gen->nest->axes[i].symbol))
      position = i;
  gen->bind[over] = zero;
  if (position < TN_KERNEL_MAX_AXES) gen->bind[position] = zero;
  place source = address_of(gen, from, &first), target = address_of(gen, to, &first);
  const tn_dim *top = position < TN_KERNEL_MAX_AXES ? gen->nest->axes[position].extent : one;
  tn_tile_value *n = tn_gen_int(gen, gen->nest->kernel->space.data[over].extent), *count = tn_gen_int(gen, top);
  tn_tile_value *stride = stride_along(gen, from, over), *out_stride = stride_along(gen, to, position);
  tn_tile_value *shift = tn_tile_const_i(&gen->b, target.displacement);
  tn_tile_value *out_offset = tn_tile_int(&gen->b, TN_T_IADD, target.offset, shift);
  tn_tile_stmt *stmt = tn_tile_stmt_add(&gen->b, TN_TS_ARGSORT);
  stmt->arg = argsort->in[0]->arg;
  stmt->offset = source.offset;
  stmt->displacement = source.displacement;
  stmt->stride = stride;
  stmt->hi = n;
  stmt->lo = count;
  stmt->out_arg = write->arg;
  stmt->out_offset = out_offset;
  stmt->out_stride = out_stride;
  stmt->descending = argsort->descending;
  gen->bind[over] = NULL;
  if (position < TN_KERNEL_MAX_AXES) gen->bind[position] = NULL;
}

void tn_gen_write(tn_gen *gen, const tn_knode *write, const tn_instance *at) {
  gen->b.origin = write->id + 1;
  if (write->kind == TN_K_UPDATE) update(gen, write, at);
  else store_value(gen, write, at);
  gen->b.origin = 0;
}
