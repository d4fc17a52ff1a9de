/* Which elements a kernel writes: each write is shown to fill a box, each element once, by reading every coordinate as
 * a number in mixed radix over the axes (c0 + a + |a|*b + |a|*|b|*c ...). Boxes are then shown to be disjoint and to
 * fill the whole. */
#include "ir/dim_internal.h"
#include "ir/verify_internal.h"

static const tn_dim *reduced(tn_ctx *ctx, tn_guards guards, const tn_dim *dim) {
  return tn_guards_reduce(ctx, guards.data, guards.n, dim);
}

/* An extent e that may turn out to be 1 makes the index a*min(e-1, 1), a running over bcast(e, ..): the cases e = 1 and
 * e > 1 are told apart. NULL when there is no such atom. */
static const tn_dim *broadcast_extent(tn_ctx *ctx, const tn_dim *dim) {
  for (uint32_t i = 0; i < dim->n_terms; i++)
    for (uint32_t k = 0; k < dim->terms[i].n_atoms; k++) {
      const tn_atom *atom = dim->terms[i].atoms[k];
      if (atom->kind != TN_ATOM_MIN) continue;
      const tn_dim *other = tn_dim_is(atom->p, 1) ? atom->q : tn_dim_is(atom->q, 1) ? atom->p : NULL;
      if (other) return tn_dim_add_i(ctx, other, 1);
    }
  return NULL;
}

static const tn_dim *map_extents(tn_ctx *ctx, const tn_dim *dim, const tn_dim *extent);

/* Given extent > 1, which the broadcast's guard makes the extent of the result as well: min(extent-1, 1) is 1, and
 * bcast(extent, ..) is extent. */
static const tn_dim *map_atom(tn_ctx *ctx, const tn_atom *atom, const tn_dim *extent) {
  switch (atom->kind) {
    case TN_ATOM_SYMBOL: {
      const tn_symbol *symbol = atom->symbol;
      if (symbol->kind != TN_SYM_AXIS || !symbol->extent) return tn_dim_symbol(ctx, symbol);
      const tn_dim *mapped = map_extents(ctx, symbol->extent, extent);
      if (mapped == symbol->extent) return tn_dim_symbol(ctx, symbol);
      return tn_dim_symbol(ctx, tn_symbol_axis(ctx, symbol->name, mapped, symbol->slot));
    }
    case TN_ATOM_BCAST:
      if (atom->p == extent || atom->q == extent) return extent;
      return tn_dim_bcast(ctx, map_extents(ctx, atom->p, extent), map_extents(ctx, atom->q, extent));
    case TN_ATOM_MIN:
      if (tn_dim_is(atom->p, 1) && tn_dim_add_i(ctx, atom->q, 1) == extent) return atom->p;
      if (tn_dim_is(atom->q, 1) && tn_dim_add_i(ctx, atom->p, 1) == extent) return atom->q;
      return tn_dim_min(ctx, map_extents(ctx, atom->p, extent), map_extents(ctx, atom->q, extent));
    case TN_ATOM_MAX: return tn_dim_max(ctx, map_extents(ctx, atom->p, extent), map_extents(ctx, atom->q, extent));
    case TN_ATOM_FLOORDIV:
      return tn_dim_floordiv(ctx, map_extents(ctx, atom->p, extent), map_extents(ctx, atom->q, extent));
    case TN_ATOM_MOD: return tn_dim_mod(ctx, map_extents(ctx, atom->p, extent), map_extents(ctx, atom->q, extent));
  }
  return NULL;
}

static const tn_dim *map_extents(tn_ctx *ctx, const tn_dim *dim, const tn_dim *extent) {
  const tn_dim *sum = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    const tn_dim *product = tn_dim_const(ctx, dim->terms[i].coefficient);
    for (uint32_t k = 0; k < dim->terms[i].n_atoms; k++)
      product = tn_dim_mul(ctx, product, map_atom(ctx, dim->terms[i].atoms[k], extent));
    sum = tn_dim_add(ctx, sum, product);
  }
  return sum;
}

/* Axes whose extents the guards write otherwise are replaced by axes of those extents. */
static const tn_dim *reduce_axes(tn_ctx *ctx, tn_guards guards, const tn_kernel *kernel, const tn_dim *dim) {
  for (size_t i = 0; kernel && i < kernel->space.n; i++) {
    const tn_axis *axis = &kernel->space.data[i];
    const tn_dim *extent = reduced(ctx, guards, axis->extent);
    if (extent == axis->extent || !tn_dim_uses(dim, axis->symbol)) continue;
    const tn_symbol *symbol = tn_symbol_axis(ctx, axis->symbol->name, extent, axis->symbol->slot);
    dim = tn_dim_substitute(ctx, dim, axis->symbol, tn_dim_symbol(ctx, symbol));
  }
  return dim;
}

bool tn_verify_le_in(tn_ctx *ctx, tn_guards guards, const tn_kernel *kernel, const tn_dim *p, const tn_dim *q) {
  if (tn_dim_proves_le(ctx, p, q)) return true;
  const tn_dim *zero = tn_dim_const(ctx, 0), *one = tn_dim_const(ctx, 1);
  const tn_dim *room = reduced(ctx, guards, reduce_axes(ctx, guards, kernel, tn_dim_sub(ctx, q, p)));
  if (tn_dim_proves_le(ctx, zero, room)) return true;
  const tn_dim *extent = broadcast_extent(ctx, room);
  const tn_symbol *symbol = extent ? tn_dim_lone_symbol(extent) : NULL;
  if (!symbol || !tn_dim_proves_le(ctx, zero, tn_dim_substitute(ctx, room, symbol, one))) return false;
  return tn_dim_proves_le(ctx, zero, map_extents(ctx, room, extent));
}

/* A guard says just this, as that of a reshape does of products which no rule from one atom to others can rewrite. */
static bool is_guarded(tn_guards guards, const tn_dim *p, const tn_dim *q) {
  for (size_t i = 0; i < guards.n; i++) {
    const tn_guard *guard = &guards.data[i];
    if (guard->kind == TN_GUARD_EQ && ((guard->p == p && guard->q == q) || (guard->p == q && guard->q == p)))
      return true;
  }
  return false;
}

/* How often the first atoms of dim, which rises with them, are in whole; 0 where they are not there. */
static int64_t multiple_of(const tn_dim *dim, const tn_dim *whole) {
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    const tn_term *term = &dim->terms[i];
    if (term->n_atoms == 0) continue;
    if (term->coefficient <= 0) return 0;
    for (uint32_t k = 0; k < whole->n_terms; k++) {
      const tn_term *other = &whole->terms[k];
      bool same = other->n_atoms == term->n_atoms;
      for (uint32_t a = 0; same && a < term->n_atoms; a++) same = other->atoms[a] == term->atoms[a];
      if (same) return other->coefficient / term->coefficient;
    }
    return 0;
  }
  return 0;
}

/* Some guard x <= y, once or n times, has at most the room that p <= q needs: q - p >= n * (y - x). */
static bool is_bounded(tn_ctx *ctx, tn_guards guards, const tn_dim *p, const tn_dim *q) {
  const tn_dim *room = tn_dim_sub(ctx, q, p);
  for (size_t i = 0; i < guards.n; i++) {
    const tn_guard *guard = &guards.data[i];
    if (guard->kind != TN_GUARD_LE) continue;
    const tn_dim *given = tn_dim_sub(ctx, guard->q, guard->p);
    if (tn_dim_proves_le(ctx, given, room)) return true;
    int64_t times = multiple_of(given, room);
    if (times > 1 && tn_dim_proves_le(ctx, tn_dim_mul_i(ctx, given, times), room)) return true;
  }
  return false;
}

bool tn_verify_le(tn_ctx *ctx, tn_guards guards, const tn_dim *p, const tn_dim *q) {
  return is_guarded(guards, p, q) || tn_verify_le_in(ctx, guards, NULL, p, q) || is_bounded(ctx, guards, p, q);
}

bool tn_verify_equal(tn_ctx *ctx, tn_guards guards, const tn_dim *p, const tn_dim *q) {
  if (is_guarded(guards, p, q)) return true;
  const tn_dim *a = reduced(ctx, guards, p), *b = reduced(ctx, guards, q);
  return a == b || tn_dim_compare(ctx, a, b) == TN_DIM_EQUAL;
}

/* The width that a coordinate's axes fill, each value once: takes the axis whose coefficient is the width so far, again
 * and again. index becomes what is left, the start. False when an axis does not fit. */
static bool coordinate_width(tn_ctx *ctx, tn_guards guards, const tn_kernel *kernel, uint32_t axes,
                             const tn_dim **index, const tn_dim **out_width) {
  const tn_dim *width = tn_dim_const(ctx, 1);
  while (axes != 0) {
    uint32_t found = 0, n = (uint32_t)kernel->space.n;
    for (uint32_t k = 0; k < 2 * n && found == 0; k++) { /* first what says so, then what guards equate */
      const tn_dim *coefficient, *rest;
      uint32_t i = k % n;
      if (!(axes >> i & 1)) continue;
      if (!tn_dim_linear(ctx, *index, kernel->space.data[i].symbol, &coefficient, &rest)) return false;
      if (coefficient != width && (k < n || !tn_verify_equal(ctx, guards, coefficient, width))) continue;
      found = (uint32_t)1 << i;
      *index = rest;
      width = tn_dim_mul(ctx, width, kernel->space.data[i].extent);
    }
    if (found == 0) return false;
    axes &= ~found;
  }
  *out_width = width;
  return true;
}

/* A coordinate that is one digit of an axis: floordiv(axis, unit) mod count, with the last (count NULL) or without. */
typedef struct digit {
  uint32_t coordinate;
  const tn_dim *unit, *count, *start; /* start: what is added to the digit */
} digit;

static bool is_axis(const tn_dim *dim, const tn_symbol *axis) { return tn_dim_lone_symbol(dim) == axis; }

static bool digit_of_atom(tn_ctx *ctx, const tn_atom *atom, const tn_symbol *axis, digit *out) {
  const tn_atom *inner = atom->kind == TN_ATOM_FLOORDIV || atom->kind == TN_ATOM_MOD ? tn_dim_lone_atom(atom->p) : NULL;
  if (inner == NULL) return false;
  bool is_mod = atom->kind == TN_ATOM_MOD;
  if (is_axis(atom->p, axis)) {
    out->unit = is_mod ? tn_dim_const(ctx, 1) : atom->q;
    out->count = is_mod ? atom->q : NULL;
    return true;
  }
  if (inner->kind != (is_mod ? TN_ATOM_FLOORDIV : TN_ATOM_MOD) || !is_axis(inner->p, axis)) return false;
  out->unit = is_mod ? inner->q : atom->q;
  out->count = atom->q;
  return is_mod || tn_dim_divide_exact(ctx, inner->q, atom->q, &out->count);
}

static bool find_digit(tn_ctx *ctx, const tn_dim *index, const tn_symbol *axis, digit *out) {
  for (uint32_t i = 0; i < index->n_terms; i++) {
    if (index->terms[i].coefficient != 1 || index->terms[i].n_atoms != 1) continue;
    const tn_atom *atom = index->terms[i].atoms[0];
    if (!digit_of_atom(ctx, atom, axis, out)) continue;
    const tn_dim *part = atom->kind == TN_ATOM_MOD ? tn_dim_mod(ctx, atom->p, atom->q)
                                                   : tn_dim_floordiv(ctx, atom->p, atom->q);
    out->start = tn_dim_sub(ctx, index, part);
    return !tn_dim_uses(out->start, axis);
  }
  return false;
}

/* The digits of one axis, from the lowest: each begins where the one below ends, and the last takes what remains of the
 * extent, which it divides. Each number of the axis is then one point of the box. */
static bool place_digits(tn_ctx *ctx, tn_guards guards, const tn_dim *extent, const digit *digits, uint32_t n,
                         tn_box *out) {
  const tn_dim *unit = tn_dim_const(ctx, 1), *width;
  for (uint32_t placed = 0; placed < n; placed++) {
    uint32_t i = 0;
    while (i < n && !tn_verify_equal(ctx, guards, digits[i].unit, unit)) i++;
    if (i == n) return false;
    bool is_last = digits[i].count == NULL;
    if (is_last != (placed + 1 == n)) return false;
    if (!is_last) width = digits[i].count;
    else if (!tn_dim_divide_exact(ctx, extent, unit, &width)) return false;
    out->lo[digits[i].coordinate] = digits[i].start;
    out->hi[digits[i].coordinate] = tn_dim_add(ctx, digits[i].start, width);
    unit = tn_dim_mul(ctx, unit, width);
  }
  return true;
}

tn_box tn_verify_whole(tn_ctx *ctx, const tn_type *type) {
  tn_box box;
  for (uint32_t i = 0; i < type->ndim; i++) {
    box.lo[i] = tn_dim_const(ctx, 0);
    box.hi[i] = type->dims[i];
  }
  return box;
}

static bool box_of_coordinates(tn_ctx *ctx, tn_guards guards, const tn_kernel *kernel, const tn_knode *write,
                               tn_box *out) {
  uint32_t taken = 0;
  digit digits[TN_KERNEL_MAX_AXES][TN_MAX_NDIM];
  uint32_t n_digits[TN_KERNEL_MAX_AXES] = {0};
  for (uint32_t i = 0; i < write->n_index; i++) {
    const tn_dim *start = write->index[i], *width;
    uint32_t axes = tn_kernel_index_axes(kernel, &write->index[i], 1), k = 0;
    if (tn_dim_uses_kind(start, TN_SYM_VALUE)) return false;
    while (axes != 0 && !(axes >> k & 1)) k++;
    bool one_axis = axes != 0 && axes >> k == 1;
    if (one_axis && find_digit(ctx, start, kernel->space.data[k].symbol, &digits[k][n_digits[k]])) {
      digits[k][n_digits[k]++].coordinate = i;
      continue;
    }
    if ((axes & taken) != 0) return false;
    taken |= axes;
    if (!coordinate_width(ctx, guards, kernel, axes, &start, &width)) return false;
    out->lo[i] = start;
    out->hi[i] = tn_dim_add(ctx, start, width);
  }
  for (uint32_t k = 0; k < kernel->space.n; k++) {
    if (n_digits[k] == 0) continue;
    if ((taken >> k & 1) || !place_digits(ctx, guards, kernel->space.data[k].extent, digits[k], n_digits[k], out))
      return false;
    taken |= (uint32_t)1 << k;
  }
  return (write->in[0]->axes & ~taken) == 0;
}

/* The term without its k-th atom. */
static const tn_dim *without_atom(tn_ctx *ctx, const tn_term *term, uint32_t k) {
  const tn_dim *product = tn_dim_const(ctx, term->coefficient);
  for (uint32_t i = 0; i < term->n_atoms; i++) {
    const tn_atom *atom = term->atoms[i];
    if (i != k) product = tn_dim_mul(ctx, product, tn_dim_of_atom(ctx, atom->kind, atom->symbol, atom->p, atom->q));
  }
  return product;
}

/* p with c*q*floordiv(x, q) + c*mod(x, q) as c*x, wherever both are there: two terms become those of x. */
static const tn_dim *rejoined(tn_ctx *ctx, const tn_dim *p) {
  for (uint32_t i = 0; i < p->n_terms; i++)
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++) {
      const tn_atom *atom = p->terms[i].atoms[k];
      if (atom->kind != TN_ATOM_MOD) continue;
      const tn_dim *quotient = tn_dim_floordiv(ctx, atom->p, atom->q);
      const tn_dim *part = tn_dim_sub(ctx, atom->p, tn_dim_mul(ctx, quotient, atom->q));
      part = tn_dim_sub(ctx, part, tn_dim_mod(ctx, atom->p, atom->q));
      const tn_dim *joined = tn_dim_add(ctx, p, tn_dim_mul(ctx, part, without_atom(ctx, &p->terms[i], k)));
      if (joined->n_terms + 2 <= p->n_terms + atom->p->n_terms) return rejoined(ctx, joined);
    }
  return p;
}

/* Coordinates that are digits of a sum of axes (a reshape that no axis follows): all of the result when the flat
 * position takes each value once. That each coordinate lies in its extent is proved with the rest of the kernel. */
static bool writes_all(tn_ctx *ctx, tn_guards guards, const tn_kernel *kernel, const tn_knode *write, tn_box *out) {
  const tn_type *type = kernel->args.data[write->arg].type;
  const tn_dim *flat = tn_dim_const(ctx, 0), *width;
  for (uint32_t i = 0; i < write->n_index; i++) {
    if (tn_dim_uses_kind(write->index[i], TN_SYM_VALUE)) return false;
    flat = tn_dim_add(ctx, tn_dim_mul(ctx, flat, type->dims[i]), write->index[i]);
  }
  flat = rejoined(ctx, flat);
  uint32_t axes = tn_kernel_index_axes(kernel, &flat, 1);
  if ((write->in[0]->axes & ~axes) != 0 || !coordinate_width(ctx, guards, kernel, axes, &flat, &width)) return false;
  if (!tn_dim_is(flat, 0) || !tn_verify_equal(ctx, guards, width, tn_dim_product(ctx, type->dims, type->ndim)))
    return false;
  *out = tn_verify_whole(ctx, type);
  return true;
}

bool tn_verify_write_box(tn_ctx *ctx, tn_guards guards, const tn_kernel *kernel, const tn_knode *write, tn_box *out) {
  return box_of_coordinates(ctx, guards, kernel, write, out) || writes_all(ctx, guards, kernel, write, out);
}

/* The ends of coordinate i of a read over all points of the space; false when it is not affine. */
static bool read_ends(tn_ctx *ctx, const tn_kernel *kernel, const tn_dim *index, const tn_dim **lo, const tn_dim **hi) {
  *lo = *hi = index;
  if (tn_dim_uses_kind(index, TN_SYM_VALUE)) return false;
  for (size_t k = 0; k < kernel->space.n; k++) {
    const tn_axis *axis = &kernel->space.data[k];
    const tn_dim *coefficient, *rest;
    if (!tn_dim_linear(ctx, *lo, axis->symbol, &coefficient, &rest)) return false;
    bool rises = coefficient->lo >= 0;
    if (!rises && coefficient->hi > 0) return false;
    const tn_dim *last = tn_dim_add_i(ctx, axis->extent, -1), *first = tn_dim_const(ctx, 0);
    *lo = tn_dim_substitute(ctx, *lo, axis->symbol, rises ? first : last);
    *hi = tn_dim_substitute(ctx, *hi, axis->symbol, rises ? last : first);
  }
  *hi = tn_dim_add_i(ctx, *hi, 1);
  return true;
}

bool tn_verify_read_ends(tn_ctx *ctx, const tn_kernel *kernel, const tn_knode *read, tn_box *out) {
  for (uint32_t i = 0; i < read->n_index; i++)
    if (!read_ends(ctx, kernel, read->index[i], &out->lo[i], &out->hi[i])) return false;
  return true;
}

void tn_verify_read_box(tn_ctx *ctx, const tn_kernel *kernel, const tn_knode *read, tn_box *out) {
  const tn_type *type = kernel->args.data[read->arg].type;
  const tn_dim *zero = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < read->n_index; i++) {
    const tn_dim *extent = type->dims[i];
    const tn_dim *index = read->index[i];
    bool affine = read_ends(ctx, kernel, index, &out->lo[i], &out->hi[i]);
    if (!affine || (read->n_in && !tn_dim_proves_le(ctx, zero, out->lo[i]))) out->lo[i] = zero;
    if (!affine || (read->n_in && !tn_dim_proves_le(ctx, out->hi[i], extent))) out->hi[i] = extent;
    if (affine || tn_dim_uses_kind(index, TN_SYM_VALUE)) continue;
    const tn_dim *end = index->hi < TN_DIM_INF ? tn_dim_const(ctx, index->hi + 1) : extent;
    if (index->lo > 0) out->lo[i] = tn_dim_const(ctx, index->lo);
    if (index->hi >= 0 && tn_dim_proves_le(ctx, end, extent)) out->hi[i] = end;
  }
}

bool tn_verify_box_inside(tn_ctx *ctx, tn_guards guards, const tn_box *box, const tn_box *whole, uint32_t ndim) {
  for (uint32_t i = 0; i < ndim; i++)
    if (!tn_verify_le(ctx, guards, whole->lo[i], box->lo[i]) || !tn_verify_le(ctx, guards, box->hi[i], whole->hi[i]))
      return false;
  return true;
}

bool tn_verify_boxes_apart(tn_ctx *ctx, tn_guards guards, const tn_box *a, const tn_box *b, uint32_t ndim) {
  for (uint32_t i = 0; i < ndim; i++)
    if (tn_verify_le(ctx, guards, a->hi[i], b->lo[i]) || tn_verify_le(ctx, guards, b->hi[i], a->lo[i])) return true;
  return false;
}

static const tn_dim *volume(tn_ctx *ctx, const tn_box *box, uint32_t ndim) {
  const tn_dim *product = tn_dim_const(ctx, 1);
  for (uint32_t i = 0; i < ndim; i++) product = tn_dim_mul(ctx, product, tn_dim_sub(ctx, box->hi[i], box->lo[i]));
  return product;
}

static bool same_box(tn_ctx *ctx, tn_guards guards, const tn_box *a, const tn_box *b, uint32_t ndim) {
  for (uint32_t i = 0; i < ndim; i++)
    if (!tn_verify_equal(ctx, guards, a->lo[i], b->lo[i]) || !tn_verify_equal(ctx, guards, a->hi[i], b->hi[i]))
      return false;
  return true;
}

/* Boxes inside the whole that share nothing fill it when their volumes add up to its. */
bool tn_verify_boxes_fill(tn_ctx *ctx, tn_guards guards, const tn_box *boxes, size_t n, const tn_box *whole,
                          uint32_t ndim) {
  if (n == 1) return same_box(ctx, guards, boxes, whole, ndim);
  const tn_dim *sum = tn_dim_const(ctx, 0);
  for (size_t i = 0; i < n; i++) {
    if (!tn_verify_box_inside(ctx, guards, &boxes[i], whole, ndim)) return false;
    for (size_t k = 0; k < i; k++)
      if (!tn_verify_boxes_apart(ctx, guards, &boxes[i], &boxes[k], ndim)) return false;
    sum = tn_dim_add(ctx, sum, volume(ctx, &boxes[i], ndim));
  }
  return tn_verify_equal(ctx, guards, sum, volume(ctx, whole, ndim));
}
