/* Dims: substitution, linear parts, use, evaluation and printing; see dim.h. */
#include <inttypes.h>
#include <stdlib.h>

#include "ir/dim_internal.h"

static const tn_dim *rebuild_atom(tn_ctx *ctx, const tn_atom *atom, const tn_dim *p, const tn_dim *q) {
  switch (atom->kind) {
    case TN_ATOM_SYMBOL: return tn_dim_symbol(ctx, atom->symbol);
    case TN_ATOM_FLOORDIV: return tn_dim_floordiv(ctx, p, q);
    case TN_ATOM_MOD: return tn_dim_mod(ctx, p, q);
    case TN_ATOM_MIN: return tn_dim_min(ctx, p, q);
    case TN_ATOM_MAX: return tn_dim_max(ctx, p, q);
    case TN_ATOM_BCAST: return tn_dim_bcast(ctx, p, q);
  }
  return p;
}

static const tn_dim *substitute_atom(tn_ctx *ctx, const tn_atom *atom, const tn_symbol *symbol, const tn_dim *by) {
  if (atom->kind == TN_ATOM_SYMBOL) return atom->symbol == symbol ? by : tn_dim_symbol(ctx, atom->symbol);
  return rebuild_atom(ctx, atom, tn_dim_substitute(ctx, atom->p, symbol, by),
                      tn_dim_substitute(ctx, atom->q, symbol, by));
}

const tn_dim *tn_dim_substitute(tn_ctx *ctx, const tn_dim *p, const tn_symbol *symbol, const tn_dim *q) {
  if (!tn_dim_uses(p, symbol)) return p;
  const tn_dim *sum = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < p->n_terms; i++) {
    const tn_dim *product = tn_dim_const(ctx, p->terms[i].coefficient);
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++)
      product = tn_dim_mul(ctx, product, substitute_atom(ctx, p->terms[i].atoms[k], symbol, q));
    sum = tn_dim_add(ctx, sum, product);
  }
  return sum;
}

bool tn_dim_uses_atom(const tn_dim *p, const tn_atom *atom) {
  for (uint32_t i = 0; i < p->n_terms; i++)
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++) {
      const tn_atom *here = p->terms[i].atoms[k];
      if (here == atom) return true;
      if (here->kind != TN_ATOM_SYMBOL && (tn_dim_uses_atom(here->p, atom) || tn_dim_uses_atom(here->q, atom)))
        return true;
    }
  return false;
}

const tn_dim *tn_dim_substitute_atom(tn_ctx *ctx, const tn_dim *p, const tn_atom *atom, const tn_dim *q) {
  if (!tn_dim_uses_atom(p, atom)) return p;
  const tn_dim *sum = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < p->n_terms; i++) {
    const tn_dim *product = tn_dim_const(ctx, p->terms[i].coefficient);
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++) {
      const tn_atom *here = p->terms[i].atoms[k];
      const tn_dim *by = here == atom ? q
                         : here->kind == TN_ATOM_SYMBOL
                             ? tn_dim_symbol(ctx, here->symbol)
                             : rebuild_atom(ctx, here, tn_dim_substitute_atom(ctx, here->p, atom, q),
                                            tn_dim_substitute_atom(ctx, here->q, atom, q));
      product = tn_dim_mul(ctx, product, by);
    }
    sum = tn_dim_add(ctx, sum, product);
  }
  return sum;
}

static bool atom_uses(const tn_atom *atom, const tn_symbol *symbol) {
  if (atom->kind == TN_ATOM_SYMBOL) return atom->symbol == symbol;
  return tn_dim_uses(atom->p, symbol) || tn_dim_uses(atom->q, symbol);
}

const tn_atom *tn_dim_lone_atom(const tn_dim *p) {
  bool lone = p->n_terms == 1 && p->terms[0].coefficient == 1 && p->terms[0].n_atoms == 1;
  return lone ? p->terms[0].atoms[0] : NULL;
}

const tn_symbol *tn_dim_lone_symbol(const tn_dim *p) {
  const tn_atom *atom = tn_dim_lone_atom(p);
  return atom && atom->kind == TN_ATOM_SYMBOL ? atom->symbol : NULL;
}

bool tn_dim_uses(const tn_dim *p, const tn_symbol *symbol) {
  for (uint32_t i = 0; i < p->n_terms; i++)
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++)
      if (atom_uses(p->terms[i].atoms[k], symbol)) return true;
  return false;
}

bool tn_dim_uses_kind(const tn_dim *p, tn_symbol_kind kind) {
  for (uint32_t i = 0; i < p->n_terms; i++)
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++) {
      const tn_atom *atom = p->terms[i].atoms[k];
      if (atom->kind == TN_ATOM_SYMBOL ? atom->symbol->kind == kind
                                       : tn_dim_uses_kind(atom->p, kind) || tn_dim_uses_kind(atom->q, kind))
        return true;
    }
  return false;
}

bool tn_dim_linear(tn_ctx *ctx, const tn_dim *p, const tn_symbol *symbol, const tn_dim **out_coefficient,
                   const tn_dim **out_rest) {
  const tn_dim *coefficient = tn_dim_const(ctx, 0), *rest = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < p->n_terms; i++) {
    const tn_term *term = &p->terms[i];
    const tn_dim *product = tn_dim_const(ctx, term->coefficient);
    uint32_t n_found = 0;
    for (uint32_t k = 0; k < term->n_atoms; k++) {
      bool is_symbol = term->atoms[k]->kind == TN_ATOM_SYMBOL && term->atoms[k]->symbol == symbol;
      if (!is_symbol && atom_uses(term->atoms[k], symbol)) return false;
      n_found += is_symbol;
      tn_term single = {1, 1, &term->atoms[k]};
      if (!is_symbol) product = tn_dim_mul(ctx, product, tn_dim_of_terms(ctx, &single, 1));
    }
    if (n_found > 1) return false;
    if (n_found)
      coefficient = tn_dim_add(ctx, coefficient, product);
    else
      rest = tn_dim_add(ctx, rest, product);
  }
  *out_coefficient = coefficient;
  *out_rest = rest;
  return true;
}

/* The distinct symbols of p by rising id: repeatedly the smallest above the last. */
static const tn_symbol *next_symbol(const tn_dim *p, uint32_t above) {
  const tn_symbol *best = NULL;
  for (uint32_t i = 0; i < p->n_terms; i++)
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++) {
      const tn_atom *atom = p->terms[i].atoms[k];
      const tn_symbol *found[2] = {atom->symbol, NULL};
      if (atom->kind != TN_ATOM_SYMBOL) {
        found[0] = next_symbol(atom->p, above);
        found[1] = next_symbol(atom->q, above);
      }
      for (int side = 0; side < 2; side++)
        if (found[side] && found[side]->id > above && (!best || found[side]->id < best->id)) best = found[side];
    }
  return best;
}

void tn_dim_symbols(const tn_dim *p, void (*visit)(void *user, const tn_symbol *symbol), void *user) {
  for (const tn_symbol *s = next_symbol(p, 0); s; s = next_symbol(p, s->id)) visit(user, s);
}

static bool evaluate_pair(const tn_atom *atom, int64_t p, int64_t q, int64_t *out) {
  bool divides = q != 0 && !(p == INT64_MIN && q == -1);
  switch (atom->kind) {
    case TN_ATOM_FLOORDIV: *out = divides ? tn_floordiv_i64(p, q) : 0; return divides;
    case TN_ATOM_MOD: *out = divides ? tn_mod_i64(p, q) : 0; return divides;
    case TN_ATOM_MIN: *out = p < q ? p : q; return true;
    case TN_ATOM_MAX: *out = p > q ? p : q; return true;
    case TN_ATOM_BCAST: *out = p == 1 ? q : p; return true;
    case TN_ATOM_SYMBOL: break;
  }
  return false;
}

static bool evaluate_atom(const tn_atom *atom, tn_dim_bind bind, const void *user, int64_t *out) {
  int64_t p, q;
  if (atom->kind == TN_ATOM_SYMBOL) return bind(user, atom->symbol, out);
  return tn_dim_evaluate(atom->p, bind, user, &p) && tn_dim_evaluate(atom->q, bind, user, &q) &&
         evaluate_pair(atom, p, q, out);
}

bool tn_dim_evaluate(const tn_dim *p, tn_dim_bind bind, const void *user, int64_t *out) {
  int64_t sum = 0;
  for (uint32_t i = 0; i < p->n_terms; i++) {
    int64_t product = p->terms[i].coefficient, value;
    for (uint32_t k = 0; k < p->terms[i].n_atoms; k++)
      if (!evaluate_atom(p->terms[i].atoms[k], bind, user, &value) || !tn_mul_i64(product, value, &product))
        return false;
    if (!tn_add_i64(sum, product, &sum)) return false;
  }
  *out = sum;
  return true;
}

static void print_atom(const tn_atom *atom, tn_buf *out) {
  static const char *const names[] = {"", "floordiv", "mod", "min", "max", "bcast"};
  if (atom->kind == TN_ATOM_SYMBOL) {
    tn_buf_puts(out, atom->symbol->name);
    return;
  }
  tn_buf_printf(out, "%s(", names[atom->kind]);
  tn_dim_print(atom->p, out);
  tn_buf_puts(out, ", ");
  tn_dim_print(atom->q, out);
  tn_buf_putc(out, ')');
}

/* magnitude*a*b; a factor of 1 is left out before atoms. */
static void print_term(const tn_term *term, uint64_t magnitude, tn_buf *out) {
  bool number = term->n_atoms == 0 || magnitude != 1;
  if (number) tn_buf_printf(out, "%" PRIu64, magnitude);
  for (uint32_t k = 0; k < term->n_atoms; k++) {
    if (k || number) tn_buf_putc(out, '*');
    print_atom(term->atoms[k], out);
  }
}

void tn_dim_print(const tn_dim *p, tn_buf *out) {
  if (p->n_terms == 0) tn_buf_putc(out, '0');
  for (uint32_t i = 0; i < p->n_terms; i++) {
    int64_t c = p->terms[i].coefficient;
    uint64_t magnitude = c < 0 ? -(uint64_t)c : (uint64_t)c;
    if (i) tn_buf_puts(out, c < 0 ? " - " : " + ");
    if (!i && c < 0) tn_buf_putc(out, '-');
    print_term(&p->terms[i], magnitude, out);
  }
}
