/* Kernels to nests: addresses from coordinates and storage, axes of one position dropped, axes merged that every
 * address walks as one (a flat loop over a tensor, the pixels of a 1x1 convolution). See nest.h. */
#include <string.h>

#include "backends/cpu/nest.h"

#define MAX_SPLITS 6

tn_dtype tn_nest_compute_type(tn_dtype dtype) {
  return tn_dtype_is_float(dtype) && dtype != TN_F64 ? TN_F32 : dtype;
}

int64_t tn_access_stride(const tn_access *access, uint32_t axis) {
  if (access->nonlinear >> axis & 1) return INT64_MIN;
  const tn_dim *c = access->coefficient[axis];
  if (!c) return 0;
  return tn_dim_is_const(c) ? tn_dim_value(c) : INT64_MIN;
}

static uint32_t axes_in(const tn_nest *nest, const tn_dim *dim) {
  uint32_t axes = 0;
  for (uint32_t i = 0; i < nest->n_axes; i++)
    if (nest->axes[i].is_live && tn_dim_uses(dim, nest->axes[i].symbol)) axes |= 1u << i;
  return axes;
}

/* Axes that the nodes whose values dim uses vary over: never linear. */
static uint32_t value_axes(const tn_nest *nest, const tn_dim *dim) {
  uint32_t axes = 0;
  if (!tn_dim_uses_kind(dim, TN_SYM_VALUE)) return 0;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = nest->kernel->nodes.data[i];
    if (node->value_symbol && tn_dim_uses(dim, node->value_symbol)) axes |= nest->node_axes[i];
  }
  return axes;
}

void tn_access_analyse(tn_nest *nest, tn_access *access) {
  access->axes = axes_in(nest, access->address);
  access->nonlinear = value_axes(nest, access->address);
  memset(access->coefficient, 0, sizeof(access->coefficient));
  for (uint32_t i = 0; i < nest->n_axes; i++) {
    const tn_dim *rest;
    if (!(access->axes >> i & 1)) continue;
    if (!tn_dim_linear(nest->ctx, access->address, nest->axes[i].symbol, &access->coefficient[i], &rest) ||
        axes_in(nest, access->coefficient[i])) {
      access->coefficient[i] = NULL;
      access->nonlinear |= 1u << i;
    }
  }
  access->axes |= access->nonlinear;
}

static void analyse_bound(tn_nest *nest, tn_bound *bound) {
  uint32_t by_value = value_axes(nest, bound->index);
  bound->axes = axes_in(nest, bound->index);
  bound->nonlinear = by_value;
  for (uint32_t i = 0; i < nest->n_axes; i++) {
    const tn_dim *coefficient, *rest;
    bound->coefficient[i] = 0;
    if (!(bound->axes >> i & 1)) continue;
    if (tn_dim_linear(nest->ctx, bound->index, nest->axes[i].symbol, &coefficient, &rest) &&
        tn_dim_is_const(coefficient))
      bound->coefficient[i] = tn_dim_value(coefficient);
    else
      bound->nonlinear |= 1u << i;
  }
  bound->axes |= by_value;
}

static bool is_proved(const tn_nest *nest, const tn_dim *index, const tn_dim *extent) {
  return index->lo >= 0 && tn_dim_proves_le(nest->ctx, tn_dim_add_i(nest->ctx, index, 1), extent);
}

static tn_access *access_of(tn_nest *nest, const tn_knode *node) {
  const tn_karg *arg = &nest->kernel->args.data[node->arg];
  tn_access *access = TN_NEW(nest->arena, tn_access);
  const tn_dim *strides[TN_MAX_NDIM], *total;
  tn_storage_strides(nest->ctx, arg->type, arg->storage, strides, &total);
  access->node = node;
  access->address = tn_dim_const(nest->ctx, 0);
  access->bounds = TN_NEW_N(nest->arena, tn_bound, node->n_index);
  for (uint32_t i = 0; i < node->n_index; i++) {
    bool has_outside = node->kind == TN_K_READ && node->n_in == 1;
    bool is_gathered = tn_dim_uses_kind(nest->index[node->id][i], TN_SYM_VALUE);
    bool is_clamped = is_gathered && !has_outside;
    if (is_clamped || (has_outside && !is_proved(nest, nest->index[node->id][i], arg->type->dims[i])))
      access->bounds[access->n_bounds++] = (tn_bound){.index = nest->index[node->id][i], .extent = arg->type->dims[i],
                                                      .is_clamped = is_clamped, .stride = strides[i]};
    if (!is_clamped)
      access->address =
          tn_dim_add(nest->ctx, access->address, tn_dim_mul(nest->ctx, nest->index[node->id][i], strides[i]));
  }
  return access;
}

static void analyse_all(tn_nest *nest) {
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    tn_access *access = nest->accesses[i];
    if (!access) continue;
    tn_access_analyse(nest, access);
    for (uint32_t k = 0; k < access->n_bounds; k++) analyse_bound(nest, &access->bounds[k]);
  }
}

/* Every dim in the nest that mentions axes goes through this. */
static const tn_dim *replace(const tn_nest *nest, const tn_dim *dim, const tn_symbol *symbol, const tn_dim *by) {
  return tn_dim_uses(dim, symbol) ? tn_dim_substitute(nest->ctx, dim, symbol, by) : dim;
}

static uint32_t without(uint32_t axes, uint32_t axis) { return axes & ~(1u << axis); }

/* A constant position for the axis in all addresses and bounds; indices of other nodes keep it, bound to 0 when they
 * are evaluated. */
static void drop_axis(tn_nest *nest, uint32_t axis) {
  const tn_dim *zero = tn_dim_const(nest->ctx, 0);
  nest->axes[axis].is_live = false;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    nest->node_axes[i] = without(nest->node_axes[i], axis);
    nest->node_over[i] = without(nest->node_over[i], axis);
    tn_access *access = nest->accesses[i];
    if (!access) continue;
    access->address = replace(nest, access->address, nest->axes[axis].symbol, zero);
    for (uint32_t k = 0; k < access->n_bounds; k++)
      access->bounds[k].index = replace(nest, access->bounds[k].index, nest->axes[axis].symbol, zero);
  }
}

static bool mentions(const tn_nest *nest, const tn_knode *node, uint32_t outer, uint32_t inner) {
  const tn_access *access = nest->accesses[node->id];
  uint32_t both = 1u << outer | 1u << inner;
  if (!access) {
    if (node->kind != TN_K_INDEX && node->kind != TN_K_ARGSORT) return false;
    const tn_dim *index = nest->index[node->id][0];
    return tn_dim_uses(index, nest->axes[outer].symbol) || tn_dim_uses(index, nest->axes[inner].symbol);
  }
  if (access->nonlinear & both) return true;
  for (uint32_t k = 0; k < access->n_bounds; k++)
    if (access->bounds[k].axes & both) return true;
  return false;
}

/* Whether one axis of outer * inner positions can stand for both everywhere. */
static bool can_merge(const tn_nest *nest, uint32_t outer, uint32_t inner) {
  const tn_nest_axis *a = &nest->axes[outer], *b = &nest->axes[inner];
  const tn_dim *zero = tn_dim_const(nest->ctx, 0);
  if (a->kind != b->kind) return false;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = nest->kernel->nodes.data[i];
    uint32_t axes = nest->node_axes[i], over = nest->node_over[i];
    if ((axes >> outer & 1) != (axes >> inner & 1) || (over >> outer & 1) != (over >> inner & 1)) return false;
    bool finds_position = node->kind == TN_K_ARGFOLD || node->kind == TN_K_ARGSORT;
    if ((finds_position && (over >> inner & 1)) || mentions(nest, node, outer, inner)) return false;
    const tn_access *access = nest->accesses[i];
    if (!access) continue;
    const tn_dim *ca = access->coefficient[outer] ? access->coefficient[outer] : zero;
    const tn_dim *cb = access->coefficient[inner] ? access->coefficient[inner] : zero;
    if (ca != tn_dim_mul(nest->ctx, cb, b->extent)) return false;
  }
  return true;
}

static int64_t count_of(const tn_dim *extent) { return tn_dim_is_const(extent) ? tn_dim_value(extent) : -1; }

static void merge(tn_nest *nest, uint32_t outer, uint32_t inner) {
  tn_nest_axis *a = &nest->axes[outer], *b = &nest->axes[inner];
  const tn_dim *zero = tn_dim_const(nest->ctx, 0);
  const tn_dim *extent = tn_dim_mul(nest->ctx, a->extent, b->extent);
  const tn_symbol *symbol = tn_symbol_axis(nest->ctx, b->symbol->name, extent, inner);
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    nest->node_axes[i] = without(nest->node_axes[i], outer);
    nest->node_over[i] = without(nest->node_over[i], outer);
    tn_access *access = nest->accesses[i];
    if (!access) continue;
    access->address = replace(nest, access->address, a->symbol, zero);
    access->address = replace(nest, access->address, b->symbol, tn_dim_symbol(nest->ctx, symbol));
  }
  a->is_live = false;
  b->symbol = symbol;
  b->extent = extent;
  b->count = count_of(extent);
  for (size_t i = 0; i < nest->kernel->nodes.n; i++)
    if (nest->accesses[i]) tn_access_analyse(nest, nest->accesses[i]);
}

static bool merge_any(tn_nest *nest) {
  for (uint32_t inner = 0; inner < nest->n_axes; inner++)
    for (uint32_t outer = 0; outer < nest->n_axes; outer++)
      if (outer != inner && nest->axes[inner].is_live && nest->axes[outer].is_live && can_merge(nest, outer, inner)) {
        merge(nest, outer, inner);
        return true;
      }
  return false;
}

/* --- Borders --- */

static void cut_interior(const tn_nest *nest, const tn_bound *bound, uint32_t axis, tn_interior *in) {
  tn_ctx *ctx = nest->ctx;
  int64_t c = bound->coefficient[axis];
  if (!(bound->axes >> axis & 1)) return;
  in->any_bound = true;
  if ((bound->nonlinear >> axis & 1) || c <= 0 || tn_dim_uses_kind(bound->index, TN_SYM_VALUE)) {
    in->exists = false;
    return;
  }
  const tn_dim *rest = tn_dim_substitute(ctx, bound->index, nest->axes[axis].symbol, tn_dim_const(ctx, 0));
  if (rest->lo == TN_DIM_MINUS_INF || rest->hi == TN_DIM_INF) {
    in->exists = false;
    return;
  }
  int64_t first = rest->lo >= 0 ? 0 : (-rest->lo + c - 1) / c;
  const tn_dim *room = tn_dim_add_i(ctx, bound->extent, -1 - rest->hi);
  const tn_dim *end = tn_dim_add_i(ctx, tn_dim_floordiv(ctx, room, tn_dim_const(ctx, c)), 1);
  if (first > in->lo) in->lo = first;
  in->hi = tn_dim_min(ctx, in->hi, end);
}

tn_interior tn_nest_interior(const tn_nest *nest, uint32_t axis) {
  tn_interior in = {.exists = true, .lo = 0, .hi = nest->axes[axis].extent};
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_access *access = nest->accesses[i];
    if (!access || nest->kernel->nodes.data[i]->kind != TN_K_READ) continue;
    for (uint32_t k = 0; k < access->n_bounds && in.exists; k++)
      if (!access->bounds[k].is_clamped) cut_interior(nest, &access->bounds[k], axis, &in);
  }
  return in;
}

/* --- Splitting --- */

/* A floordiv or mod that takes an axis apart, as reshapes and upsampling make them: with the axis written as
 * inner * outer part + inner part, both become linear. */
typedef struct split {
  const tn_nest *nest;
  uint32_t axis;
  int64_t inner; /* 0: none found */
  const tn_dim *outer_extent;
} split;

static void find_in_atom(split *s, const tn_atom *atom);

static void find_in_dim(split *s, const tn_dim *dim) {
  for (uint32_t i = 0; i < dim->n_terms && !s->inner; i++)
    for (uint32_t k = 0; k < dim->terms[i].n_atoms && !s->inner; k++) find_in_atom(s, dim->terms[i].atoms[k]);
}

static bool is_argfolded(const tn_nest *nest, uint32_t axis) {
  for (size_t i = 0; i < nest->kernel->nodes.n; i++)
    if (nest->kernel->nodes.data[i]->kind == TN_K_ARGSORT ||
        (nest->kernel->nodes.data[i]->kind == TN_K_ARGFOLD && (nest->node_over[i] >> axis & 1)))
      return true;
  return false;
}

static void find_in_atom(split *s, const tn_atom *atom) {
  const tn_nest *nest = s->nest;
  if (atom->kind == TN_ATOM_SYMBOL) return;
  find_in_dim(s, atom->p);
  find_in_dim(s, atom->q);
  bool is_division = atom->kind == TN_ATOM_FLOORDIV || atom->kind == TN_ATOM_MOD;
  if (s->inner || !is_division || !tn_dim_is_const(atom->q)) return;
  int64_t q = tn_dim_value(atom->q);
  for (uint32_t i = 0; i < nest->n_axes; i++) {
    const tn_dim *coefficient, *rest;
    if (!nest->axes[i].is_live || !tn_dim_uses(atom->p, nest->axes[i].symbol) || is_argfolded(nest, i)) continue;
    if (!tn_dim_linear(nest->ctx, atom->p, nest->axes[i].symbol, &coefficient, &rest)) continue;
    int64_t c = tn_dim_is_const(coefficient) ? tn_dim_value(coefficient) : 0;
    if (c <= 0 || q % c != 0 || q / c < 2 || tn_dim_is(nest->axes[i].extent, q / c)) continue;
    if (!tn_dim_divide_exact(nest->ctx, nest->axes[i].extent, tn_dim_const(nest->ctx, q / c), &s->outer_extent))
      continue;
    s->axis = i;
    s->inner = q / c;
    return;
  }
}

static void split_axis(tn_nest *nest, const split *s) {
  tn_nest_axis *axis = &nest->axes[s->axis];
  uint32_t added = nest->n_axes++;
  const tn_dim *inner = tn_dim_const(nest->ctx, s->inner);
  const tn_symbol *hi = tn_symbol_axis(nest->ctx, axis->symbol->name, s->outer_extent, s->axis);
  const tn_symbol *lo = tn_symbol_axis(nest->ctx, axis->symbol->name, inner, added);
  const tn_dim *position = tn_dim_add(nest->ctx, tn_dim_mul(nest->ctx, tn_dim_symbol(nest->ctx, hi), inner),
                                      tn_dim_symbol(nest->ctx, lo));
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = nest->kernel->nodes.data[i];
    if (nest->node_axes[i] >> s->axis & 1) nest->node_axes[i] |= 1u << added;
    if (nest->node_over[i] >> s->axis & 1) nest->node_over[i] |= 1u << added;
    for (uint32_t k = 0; k < node->n_index; k++)
      nest->index[i][k] = replace(nest, nest->index[i][k], axis->symbol, position);
  }
  nest->axes[added] = (tn_nest_axis){lo, inner, axis->kind, true, s->inner};
  axis->symbol = hi;
  axis->extent = s->outer_extent;
  axis->count = count_of(s->outer_extent);
}

static bool split_any(tn_nest *nest) {
  split s = {.nest = nest};
  if (nest->n_axes == TN_KERNEL_MAX_AXES) return false;
  for (size_t i = 0; i < nest->kernel->nodes.n && !s.inner; i++)
    for (uint32_t k = 0; k < nest->kernel->nodes.data[i]->n_index && !s.inner; k++) find_in_dim(&s, nest->index[i][k]);
  if (s.inner) split_axis(nest, &s);
  return s.inner != 0;
}

/* --- Creation --- */

/* Lowering may call an axis PAR, SUM or ROW before it is complete; what the nodes do with it decides. */
static void find_kinds(tn_nest *nest) {
  uint32_t folded = 0;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) folded |= nest->node_over[i];
  for (uint32_t i = 0; i < nest->n_axes; i++) {
    nest->axes[i].kind = nest->kernel->space.data[i].kind;
    if (!(folded >> i & 1)) nest->axes[i].kind = TN_AXIS_PAR;
    else if (nest->axes[i].kind == TN_AXIS_PAR) nest->axes[i].kind = TN_AXIS_ROW;
  }
}

tn_nest *tn_nest_create(const tn_kernel *kernel, const tn_target *target, tn_arena *arena) {
  tn_nest *nest = TN_NEW(arena, tn_nest);
  size_t n = kernel->nodes.n;
  nest->ctx = kernel->module->ctx;
  nest->arena = arena;
  nest->kernel = kernel;
  nest->target = target;
  nest->n_axes = (uint32_t)kernel->space.n;
  nest->node_axes = TN_NEW_N(arena, uint32_t, n);
  nest->node_over = TN_NEW_N(arena, uint32_t, n);
  nest->accesses = TN_NEW_N(arena, tn_access *, n);
  nest->index = TN_NEW_N(arena, const tn_dim **, n);
  for (uint32_t i = 0; i < nest->n_axes; i++) {
    const tn_axis *axis = &kernel->space.data[i];
    nest->axes[i] = (tn_nest_axis){axis->symbol, axis->extent, axis->kind, true, count_of(axis->extent)};
  }
  for (size_t i = 0; i < n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    nest->node_axes[i] = node->axes;
    nest->node_over[i] = node->over;
    nest->index[i] = TN_NEW_N(arena, const tn_dim *, node->n_index);
    for (uint32_t k = 0; k < node->n_index; k++) nest->index[i][k] = node->index[k];
  }
  find_kinds(nest);
  for (int i = 0; i < MAX_SPLITS && split_any(nest);) i++;
  for (size_t i = 0; i < n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    if (node->kind == TN_K_READ || tn_knode_is_write(node)) nest->accesses[i] = access_of(nest, node);
  }
  for (uint32_t i = 0; i < nest->n_axes; i++)
    if (nest->axes[i].count == 1) drop_axis(nest, i);
  analyse_all(nest);
  while (merge_any(nest)) continue;
  return nest;
}
