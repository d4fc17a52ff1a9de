/* Dims: what can be proved for all values of the symbols; see dim.h.
 *
 * p >= 0 is tried in turn by: the interval of p; the signs of its coefficients once every symbol is written as its
 * lower bound plus something nonnegative; and replacing one atom by a bound that makes p smaller (an axis by an end of
 * its range, floordiv by its rational bounds, a divisor times its quotient by the dividend, min and max by an operand),
 * up to a depth. What that does not show is tried once more without pairs min(a, x) - min(a, y), y <= x. */
#include "ir/dim_internal.h"

#define MAX_DEPTH 8
#define MAX_STEPS 400 /* both sides of many min, max and bcast atoms would take exponential time */

static bool proves(tn_ctx *ctx, const tn_dim *p, int depth, int *steps);

/* p with every atom a that has a finite lower bound written as lo + a', a' >= 0: then no negative coefficient is
 * enough. a' reuses a's name, which is only looked at for signs. */
static bool signs_prove(tn_ctx *ctx, const tn_dim *p) {
  const tn_dim *shifted = tn_dim_const(ctx, 0);
  if (p->n_terms > 32) return false;
  for (uint32_t i = 0; i < p->n_terms; i++) {
    const tn_term *term = &p->terms[i];
    const tn_dim *product = tn_dim_const(ctx, term->coefficient);
    if (term->n_atoms > 8) return false;
    for (uint32_t k = 0; k < term->n_atoms; k++) {
      const tn_atom *atom = term->atoms[k];
      if (atom->lo == TN_DIM_MINUS_INF || atom->lo > INT32_MAX || atom->lo < INT32_MIN) return false;
      tn_term single = {1, 1, &term->atoms[k]};
      product = tn_dim_mul(ctx, product, tn_dim_add_i(ctx, tn_dim_of_terms(ctx, &single, 1), atom->lo));
    }
    shifted = tn_dim_add(ctx, shifted, product);
  }
  for (uint32_t i = 0; i < shifted->n_terms; i++)
    if (shifted->terms[i].coefficient < 0) return false;
  return true;
}

/* p as c * atom + rest where no other term holds atom; false when atom stands in a product with others. */
static bool isolate(tn_ctx *ctx, const tn_dim *p, const tn_atom *atom, int64_t *out_coefficient,
                    const tn_dim **out_rest) {
  *out_coefficient = 0;
  *out_rest = p;
  for (uint32_t i = 0; i < p->n_terms; i++) {
    const tn_term *term = &p->terms[i];
    bool holds = false;
    for (uint32_t k = 0; k < term->n_atoms; k++) holds |= term->atoms[k] == atom;
    if (!holds) continue;
    if (term->n_atoms != 1) return false;
    tn_term single = *term;
    *out_coefficient = term->coefficient;
    *out_rest = tn_dim_sub(ctx, p, tn_dim_of_terms(ctx, &single, 1));
  }
  return true;
}

/* The least and the greatest that a symbol of a range may be: an axis 0 and extent - 1, what is found while running its
 * own bounds. */
static const tn_dim *least_of(tn_ctx *ctx, const tn_symbol *symbol) {
  return tn_dim_const(ctx, tn_symbol_is_late(symbol) ? symbol->lo : 0);
}

static const tn_dim *greatest_of(tn_ctx *ctx, const tn_symbol *symbol) {
  if (!tn_symbol_is_late(symbol)) return tn_dim_add_i(ctx, symbol->extent, -1);
  return symbol->extent ? symbol->extent : tn_dim_const(ctx, symbol->hi);
}

/* The symbol at its least where p grows with it, at its greatest where it falls; needs a coefficient of known sign. */
static bool range_proves(tn_ctx *ctx, const tn_dim *p, const tn_symbol *symbol, int depth, int *steps) {
  const tn_dim *coefficient, *rest;
  if (!tn_dim_linear(ctx, p, symbol, &coefficient, &rest)) return false;
  if (coefficient->lo < 0 && coefficient->hi > 0) return false;
  const tn_dim *end = coefficient->lo >= 0 ? least_of(ctx, symbol) : greatest_of(ctx, symbol);
  return proves(ctx, tn_dim_add(ctx, rest, tn_dim_mul(ctx, coefficient, end)), depth, steps);
}

/* (x - (q-1)) / q <= floordiv(x, q) <= x / q; p is an integer, so q*p > -q is enough. */
static bool floordiv_proves(tn_ctx *ctx, const tn_dim *p, const tn_atom *atom, int depth, int *steps) {
  int64_t c;
  const tn_dim *rest;
  if (!tn_dim_is_const(atom->q) || atom->q->lo < 1 || atom->q->lo > INT32_MAX) return false;
  if (!isolate(ctx, p, atom, &c, &rest)) return false;
  int64_t q = atom->q->lo;
  const tn_dim *bound = c > 0 ? tn_dim_add_i(ctx, atom->p, 1 - q) : atom->p;
  const tn_dim *scaled = tn_dim_add(ctx, tn_dim_mul_i(ctx, rest, q), tn_dim_mul_i(ctx, bound, c));
  return proves(ctx, tn_dim_add_i(ctx, scaled, q - 1), depth, steps);
}

/* max(a, b) is at least either; -min(a, b) is at least minus either; the other signs need both. */
static bool extremum_proves(tn_ctx *ctx, const tn_dim *p, const tn_atom *atom, int depth, int *steps) {
  int64_t c;
  const tn_dim *rest;
  if (!isolate(ctx, p, atom, &c, &rest)) return false;
  bool either = (atom->kind == TN_ATOM_MAX) == (c > 0) && atom->kind != TN_ATOM_BCAST;
  bool first = proves(ctx, tn_dim_add(ctx, rest, tn_dim_mul_i(ctx, atom->p, c)), depth, steps);
  if (either && first) return true;
  if (!either && !first) return false;
  return proves(ctx, tn_dim_add(ctx, rest, tn_dim_mul_i(ctx, atom->q, c)), depth, steps);
}

/* q * floordiv(x, q) <= x, for a divisor that is an atom itself: a term that falls with the product is replaced. */
static bool multiple_proves(tn_ctx *ctx, const tn_dim *p, const tn_term *term, const tn_atom *atom, int depth,
                            int *steps) {
  const tn_atom *divisor = tn_dim_lone_atom(atom->q), *rest[8];
  uint32_t n = 0, found = 0;
  if (divisor == NULL || divisor->lo < 0 || term->coefficient >= 0 || term->n_atoms > 8) return false;
  for (uint32_t k = 0; k < term->n_atoms; k++) {
    bool first = (term->atoms[k] == atom && (found & 1) == 0) || (term->atoms[k] == divisor && (found & 2) == 0);
    if (first) found |= term->atoms[k] == atom ? 1 : 2;
    else if (term->atoms[k]->lo < 0) return false;
    else rest[n++] = term->atoms[k];
  }
  if (found != 3) return false;
  tn_term whole = *term, others = {term->coefficient, n, rest};
  const tn_dim *left = tn_dim_sub(ctx, p, tn_dim_of_terms(ctx, &whole, 1));
  return proves(ctx, tn_dim_add(ctx, left, tn_dim_mul(ctx, tn_dim_of_terms(ctx, &others, 1), atom->p)), depth, steps);
}

static bool has_range(const tn_symbol *symbol) {
  if (tn_symbol_is_late(symbol)) return symbol->lo != TN_DIM_MINUS_INF && (symbol->extent || symbol->hi != TN_DIM_INF);
  return (symbol->kind == TN_SYM_AXIS || symbol->kind == TN_SYM_LOOP) && symbol->extent;
}

static bool atom_proves(tn_ctx *ctx, const tn_dim *p, const tn_atom *atom, int depth, int *steps) {
  switch (atom->kind) {
    case TN_ATOM_SYMBOL: return has_range(atom->symbol) && range_proves(ctx, p, atom->symbol, depth, steps);
    case TN_ATOM_FLOORDIV: return floordiv_proves(ctx, p, atom, depth, steps);
    case TN_ATOM_MIN:
    case TN_ATOM_MAX:
    case TN_ATOM_BCAST: return extremum_proves(ctx, p, atom, depth, steps);
    case TN_ATOM_MOD: return false;
  }
  return false;
}

/* What is found while running, where nothing else has a bound: an axis' extent may be of it. */
static bool late_proves(tn_ctx *ctx, const tn_dim *p, int depth, int *steps) {
  for (uint32_t i = 0; i < p->n_terms; i++)
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++) {
      const tn_atom *atom = p->terms[i].atoms[k];
      if (atom->kind != TN_ATOM_SYMBOL || !tn_symbol_is_late(atom->symbol) || !has_range(atom->symbol)) continue;
      if (range_proves(ctx, p, atom->symbol, depth - 1, steps)) return true;
    }
  return false;
}

/* Overflow while proving is no error of the input's: it only means "not proved". */
static bool proves(tn_ctx *ctx, const tn_dim *p, int depth, int *steps) {
  if (p->lo >= 0) return true;
  if (p->hi < 0 || --*steps < 0) return false;
  if (signs_prove(ctx, p)) return true;
  if (depth == 0) return false;
  for (uint32_t i = 0; i < p->n_terms; i++)
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++) {
      const tn_atom *atom = p->terms[i].atoms[k];
      /* The first atom that a bound exists for decides; trying all orders would be exponential. */
      bool has_bound = atom->kind != TN_ATOM_MOD &&
                       (atom->kind != TN_ATOM_SYMBOL || (has_range(atom->symbol) && !tn_symbol_is_late(atom->symbol)));
      if (has_bound && atom_proves(ctx, p, atom, depth - 1, steps)) return true;
      if (atom->kind == TN_ATOM_FLOORDIV && multiple_proves(ctx, p, &p->terms[i], atom, depth - 1, steps)) return true;
      if (has_bound && atom->kind == TN_ATOM_SYMBOL) return false;
    }
  return late_proves(ctx, p, depth, steps);
}

/* The term's atom where that stands alone, and is a min or a max of something and a constant. */
static const tn_atom *limited_atom(const tn_term *term) {
  const tn_atom *atom = term->n_atoms == 1 ? term->atoms[0] : NULL;
  bool is_limited = atom && (atom->kind == TN_ATOM_MIN || atom->kind == TN_ATOM_MAX) &&
                    (tn_dim_is_const(atom->p) || tn_dim_is_const(atom->q));
  return is_limited ? atom : NULL;
}

/* Whether a is at least b whatever they limit: the same, by a constant that is not smaller. */
static bool limits_no_less(const tn_atom *a, const tn_atom *b) {
  const tn_dim *by_a = tn_dim_is_const(a->p) ? a->p : a->q, *by_b = tn_dim_is_const(b->p) ? b->p : b->q;
  const tn_dim *of_a = by_a == a->p ? a->q : a->p, *of_b = by_b == b->p ? b->q : b->p;
  return a->kind == b->kind && of_a == of_b && tn_dim_value(by_a) >= tn_dim_value(by_b);
}

/* p less c * (a - b), which is not negative, for each pair of such terms. */
static const tn_dim *without_pairs(tn_ctx *ctx, const tn_dim *p) {
  for (uint32_t i = 0; i < p->n_terms; i++)
    for (uint32_t k = 0; k < p->n_terms; k++) {
      const tn_atom *a = limited_atom(&p->terms[i]), *b = limited_atom(&p->terms[k]);
      int64_t rises = p->terms[i].coefficient, falls = p->terms[k].coefficient;
      if (!a || !b || rises <= 0 || falls >= 0 || falls == INT64_MIN || !limits_no_less(a, b)) continue;
      int64_t times = rises < -falls ? rises : -falls;
      tn_term pair[2] = {{times, 1, p->terms[i].atoms}, {times, 1, p->terms[k].atoms}};
      const tn_dim *difference = tn_dim_sub(ctx, tn_dim_of_terms(ctx, &pair[0], 1), tn_dim_of_terms(ctx, &pair[1], 1));
      return without_pairs(ctx, tn_dim_sub(ctx, p, difference));
    }
  return p;
}

bool tn_dim_proves_nonnegative(tn_ctx *ctx, const tn_dim *p) {
  if (p->lo >= 0) return true;
  if (p->hi < 0) return false;
  size_t n_errors = ctx->n_errors, n_diags = ctx->diags.n;
  int steps = MAX_STEPS;
  bool proved = proves(ctx, p, MAX_DEPTH, &steps);
  const tn_dim *less = proved ? p : without_pairs(ctx, p);
  steps = MAX_STEPS;
  if (less != p) proved = proves(ctx, less, MAX_DEPTH, &steps);
  if (ctx->n_errors != n_errors) proved = false;
  ctx->n_errors = n_errors;
  ctx->diags.n = n_diags;
  return proved;
}

bool tn_dim_proves_le(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  if (tn_dim_is_const(p) && tn_dim_is_const(q)) return tn_dim_value(p) <= tn_dim_value(q);
  size_t n_errors = ctx->n_errors, n_diags = ctx->diags.n;
  const tn_dim *difference = tn_dim_sub(ctx, q, p);
  bool fits = ctx->n_errors == n_errors;
  ctx->n_errors = n_errors;
  ctx->diags.n = n_diags;
  return fits && tn_dim_proves_nonnegative(ctx, difference);
}

/* Every coefficient but the constant's is a multiple of some g > 1 that does not divide the constant. */
static bool never_zero_modulo(const tn_dim *p) {
  int64_t factor = 0, constant = 0;
  for (uint32_t i = 0; i < p->n_terms; i++) {
    int64_t c = p->terms[i].coefficient;
    if (!p->terms[i].n_atoms) {
      constant = c;
      continue;
    }
    if (c == INT64_MIN) return false;
    for (int64_t b = c < 0 ? -c : c; b;) {
      int64_t rest = factor % b;
      factor = b;
      b = rest;
    }
  }
  return factor > 1 && constant % factor != 0;
}

tn_dim_order tn_dim_compare(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  if (p == q) return TN_DIM_EQUAL;
  const tn_dim *difference = tn_dim_sub(ctx, p, q);
  if (tn_dim_proves_nonnegative(ctx, tn_dim_add_i(ctx, difference, -1))) return TN_DIM_GREATER;
  if (tn_dim_proves_nonnegative(ctx, tn_dim_add_i(ctx, tn_dim_sub(ctx, q, p), -1))) return TN_DIM_LESS;
  return never_zero_modulo(difference) ? TN_DIM_DIFFERENT : TN_DIM_UNKNOWN;
}
