/* Dims: floordiv, mod, min, max and bcast, simplified as far as ranges and divisibility allow; see dim.h. */
#include <string.h>

#include "ir/dim_internal.h"

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a < 0 ? -a : a;
}

/* p = q * *out_multiple + rest, taking into the multiple what divides term by term. For a constant q the rest's
 * coefficients lie in [0, q). Returns the rest. */
static const tn_dim *split_multiple(tn_ctx *ctx, const tn_dim *p, const tn_dim *q, const tn_dim **out_multiple) {
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  tn_term *multiple = TN_NEW_N(scratch, tn_term, p->n_terms), *rest = TN_NEW_N(scratch, tn_term, p->n_terms);
  size_t n_multiple = 0, n_rest = 0;
  for (uint32_t i = 0; i < p->n_terms; i++) {
    const tn_term *term = &p->terms[i];
    if (tn_dim_is_const(q)) {
      int64_t by = tn_dim_value(q);
      multiple[n_multiple] = rest[n_rest] = *term;
      multiple[n_multiple++].coefficient = tn_floordiv_i64(term->coefficient, by);
      rest[n_rest++].coefficient = tn_mod_i64(term->coefficient, by);
    } else if (q->n_terms == 1 && tn_term_divide(scratch, term, &q->terms[0], &multiple[n_multiple])) {
      n_multiple++;
    } else {
      rest[n_rest++] = *term;
    }
  }
  *out_multiple = tn_dim_of_terms(ctx, multiple, n_multiple);
  const tn_dim *result = tn_dim_of_terms(ctx, rest, n_rest);
  tn_arena_destroy(scratch);
  return result;
}

/* 0 <= p < q. */
static bool lies_within(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  return tn_dim_proves_nonnegative(ctx, p) &&
         tn_dim_proves_nonnegative(ctx, tn_dim_add_i(ctx, tn_dim_sub(ctx, q, p), -1));
}

/* Greatest common divisor of the coefficients of the terms that are not constant; 0 when there are none. */
static int64_t common_factor(const tn_dim *p) {
  int64_t factor = 0;
  for (uint32_t i = 0; i < p->n_terms; i++)
    if (p->terms[i].n_atoms && p->terms[i].coefficient != INT64_MIN) factor = gcd(factor, p->terms[i].coefficient);
  return factor;
}

static const tn_dim *floordiv_rest(tn_ctx *ctx, const tn_dim *rest, const tn_dim *q);

/* floordiv(floordiv(x, a) + c, b) = floordiv(x + a*c, a*b), for constants. NULL when rest is not of this form. */
static const tn_dim *nested_floordiv(tn_ctx *ctx, const tn_dim *rest, int64_t by) {
  if (rest->n_terms == 0 || rest->n_terms > 2) return NULL;
  const tn_term *head = &rest->terms[0];
  if (head->coefficient != 1 || head->n_atoms != 1 || head->atoms[0]->kind != TN_ATOM_FLOORDIV) return NULL;
  if (rest->n_terms == 2 && rest->terms[1].n_atoms) return NULL;
  const tn_atom *inner = head->atoms[0];
  int64_t product;
  if (!tn_dim_is_const(inner->q) || inner->q->lo < 1 || !tn_mul_i64(inner->q->lo, by, &product)) return NULL;
  int64_t added = rest->n_terms == 2 ? rest->terms[1].coefficient : 0;
  const tn_dim *x = tn_dim_add(ctx, inner->p, tn_dim_mul_i(ctx, inner->q, added));
  return tn_dim_floordiv(ctx, x, tn_dim_const(ctx, product));
}

/* q a constant > 1 and rest's coefficients in [0, q). */
static const tn_dim *floordiv_by_constant(tn_ctx *ctx, const tn_dim *rest, int64_t by) {
  int64_t factor = gcd(common_factor(rest), by);
  if (factor > 1) { /* floordiv(g*r + c, g*b) = floordiv(r + floordiv(c, g), b) */
    tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
    tn_term *terms = tn_arena_copy(scratch, rest->terms, rest->n_terms * sizeof(*rest->terms));
    for (uint32_t i = 0; i < rest->n_terms; i++)
      terms[i].coefficient = tn_floordiv_i64(terms[i].coefficient, factor);
    const tn_dim *reduced = tn_dim_of_terms(ctx, terms, rest->n_terms);
    tn_arena_destroy(scratch);
    return tn_dim_floordiv(ctx, reduced, tn_dim_const(ctx, by / factor));
  }
  const tn_dim *nested = nested_floordiv(ctx, rest, by);
  return nested ? nested : tn_dim_of_atom(ctx, TN_ATOM_FLOORDIV, NULL, rest, tn_dim_const(ctx, by));
}

static const tn_dim *floordiv_rest(tn_ctx *ctx, const tn_dim *rest, const tn_dim *q) {
  if (rest->n_terms == 0 || lies_within(ctx, rest, q)) return tn_dim_const(ctx, 0);
  if (tn_dim_is_const(q) && tn_dim_value(q) > 1) return floordiv_by_constant(ctx, rest, tn_dim_value(q));
  return tn_dim_of_atom(ctx, TN_ATOM_FLOORDIV, NULL, rest, q);
}

const tn_dim *tn_dim_floordiv(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  const tn_dim *multiple;
  if (tn_dim_is(q, 0)) return tn_dim_const(ctx, 0);
  if (tn_dim_is(q, 1)) return p;
  if (tn_dim_is_const(p) && tn_dim_is_const(q)) {
    if (tn_dim_value(p) == INT64_MIN && tn_dim_value(q) == -1) return tn_dim_overflow(ctx);
    return tn_dim_const(ctx, tn_floordiv_i64(tn_dim_value(p), tn_dim_value(q)));
  }
  if (tn_dim_is_const(q) && tn_dim_value(q) < 0) return tn_dim_of_atom(ctx, TN_ATOM_FLOORDIV, NULL, p, q);
  if (!tn_dim_is_const(q) && tn_dim_divide_exact(ctx, p, q, &multiple)) return multiple;
  const tn_dim *rest = split_multiple(ctx, p, q, &multiple);
  return tn_dim_add(ctx, multiple, floordiv_rest(ctx, rest, q));
}

const tn_dim *tn_dim_mod(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  const tn_dim *multiple;
  if (tn_dim_is(q, 0) || tn_dim_is(q, 1)) return tn_dim_const(ctx, 0);
  if (tn_dim_is_const(p) && tn_dim_is_const(q)) {
    if (tn_dim_value(q) == -1) return tn_dim_const(ctx, 0);
    return tn_dim_const(ctx, tn_mod_i64(tn_dim_value(p), tn_dim_value(q)));
  }
  if (tn_dim_is_const(q) && tn_dim_value(q) < 0) return tn_dim_of_atom(ctx, TN_ATOM_MOD, NULL, p, q);
  if (!tn_dim_is_const(q) && tn_dim_divide_exact(ctx, p, q, &multiple)) return tn_dim_const(ctx, 0);
  const tn_dim *rest = split_multiple(ctx, p, q, &multiple);
  if (rest->n_terms == 0 || lies_within(ctx, rest, q)) return rest;
  return tn_dim_of_atom(ctx, TN_ATOM_MOD, NULL, rest, q);
}

const tn_dim *tn_dim_ceildiv(tn_ctx *ctx, const tn_dim *p, int64_t c) {
  TN_ASSERT(c > 0);
  return tn_dim_floordiv(ctx, tn_dim_add_i(ctx, p, c - 1), tn_dim_const(ctx, c));
}

static const tn_dim *ordered_atom(tn_ctx *ctx, tn_atom_kind kind, const tn_dim *p, const tn_dim *q) {
  return tn_dim_compare_structure(p, q) <= 0 ? tn_dim_of_atom(ctx, kind, NULL, p, q)
                                             : tn_dim_of_atom(ctx, kind, NULL, q, p);
}

const tn_dim *tn_dim_min(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  if (tn_dim_proves_le(ctx, p, q)) return p;
  if (tn_dim_proves_le(ctx, q, p)) return q;
  return ordered_atom(ctx, TN_ATOM_MIN, p, q);
}

const tn_dim *tn_dim_max(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  if (tn_dim_proves_le(ctx, p, q)) return q;
  if (tn_dim_proves_le(ctx, q, p)) return p;
  return ordered_atom(ctx, TN_ATOM_MAX, p, q);
}

const tn_dim *tn_dim_bcast(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  if (p == q || tn_dim_is(q, 1)) return p;
  if (tn_dim_is(p, 1)) return q;
  if (p->lo > 1) return p;
  if (q->lo > 1) return q;
  return tn_dim_of_atom(ctx, TN_ATOM_BCAST, NULL, p, q);
}
