/* Dims with symbols that are found while running: their bounds over what is known before. */
#include "ir/dim_internal.h"

bool tn_symbol_is_late(const tn_symbol *symbol) {
  return symbol->kind == TN_SYM_READ || symbol->kind == TN_SYM_COUNT || symbol->kind == TN_SYM_JOIN;
}

static void look(void *user, const tn_symbol *symbol) {
  bool *late = user;
  if (tn_symbol_is_late(symbol)) *late = true;
  if (symbol->kind == TN_SYM_LOOP) tn_dim_symbols(symbol->extent, look, late);
}

bool tn_dim_is_late(const tn_dim *dim) {
  bool late = false;
  if (!tn_dim_is_const(dim)) tn_dim_symbols(dim, look, &late);
  return late;
}

static const tn_dim *smaller(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  if (!p || !q) return p ? p : q;
  return tn_dim_proves_le(ctx, p, q) ? p : q;
}

static const tn_dim *bound_of_atom(tn_ctx *ctx, const tn_atom *atom) {
  const tn_dim *p = NULL, *q = NULL;
  if (atom->kind == TN_ATOM_SYMBOL) {
    const tn_symbol *symbol = atom->symbol;
    if (tn_symbol_is_late(symbol) && symbol->extent) return symbol->extent;
    return symbol->hi == TN_DIM_INF ? NULL : tn_dim_const(ctx, symbol->hi);
  }
  if (atom->kind != TN_ATOM_MOD) p = tn_dim_bound(ctx, atom->p);
  if (atom->kind != TN_ATOM_FLOORDIV) q = tn_dim_bound(ctx, atom->q);
  switch (atom->kind) {
    case TN_ATOM_FLOORDIV:
      return p && tn_dim_is_const(atom->q) && atom->q->lo > 0 ? tn_dim_floordiv(ctx, p, atom->q) : NULL;
    case TN_ATOM_MOD: return q && atom->q->lo > 0 ? tn_dim_add_i(ctx, q, -1) : NULL;
    case TN_ATOM_MIN: return smaller(ctx, p, q);
    case TN_ATOM_MAX: return p && q ? tn_dim_max(ctx, p, q) : NULL;
    case TN_ATOM_BCAST: return p && q ? tn_dim_max(ctx, p, q) : NULL;
    case TN_ATOM_SYMBOL: break;
  }
  return NULL;
}

/* A product of atoms that are not negative, of which those that are known stay, or a multiple of one atom; NULL when it
 * has no bound. */
static const tn_dim *bound_of_term(tn_ctx *ctx, const tn_term *term) {
  const tn_dim *product = tn_dim_const(ctx, term->coefficient);
  for (uint32_t k = 0; k < term->n_atoms; k++) {
    const tn_atom *atom = term->atoms[k];
    const tn_dim *one = tn_dim_of_atom(ctx, atom->kind, atom->symbol, atom->p, atom->q);
    const tn_dim *bound = tn_dim_is_late(one) ? bound_of_atom(ctx, atom) : one;
    bool one_grows = term->n_atoms == 1 && term->coefficient > 0;
    if (!bound || (atom->lo < 0 && !one_grows)) return NULL;
    product = tn_dim_mul(ctx, product, bound);
  }
  return product;
}

/* Terms that are known stay, those below 0 are at most 0. */
static const tn_dim *bound_of_terms(tn_ctx *ctx, const tn_dim *dim) {
  const tn_dim *sum = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    tn_term single = dim->terms[i];
    const tn_dim *term = tn_dim_of_terms(ctx, &single, 1), *bound = term;
    if (tn_dim_is_late(term)) bound = term->hi <= 0 ? tn_dim_const(ctx, 0) : bound_of_term(ctx, &dim->terms[i]);
    if (!bound) return NULL;
    sum = tn_dim_add(ctx, sum, bound);
  }
  return sum;
}

const tn_dim *tn_dim_bound(tn_ctx *ctx, const tn_dim *dim) {
  if (!tn_dim_is_late(dim)) return dim;
  size_t n_errors = ctx->n_errors, n_diags = ctx->diags.n;
  const tn_dim *bound = bound_of_terms(ctx, dim);
  if (ctx->n_errors != n_errors) bound = NULL; /* too large to say is no bound */
  ctx->n_errors = n_errors;
  ctx->diags.n = n_diags;
  const tn_dim *number = dim->hi == TN_DIM_INF ? NULL : tn_dim_const(ctx, dim->hi);
  return smaller(ctx, bound, number);
}
