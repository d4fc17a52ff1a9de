/* Shared by the files that implement dim.h. */
#ifndef TN_IR_DIM_INTERNAL_H
#define TN_IR_DIM_INTERNAL_H

#include "ir/dim.h"

/* More terms than this is refused (TN_E_LIMIT): products of sums grow without end in hostile input. */
#define TN_DIM_MAX_TERMS 512

typedef struct tn_range {
  int64_t lo, hi; /* TN_DIM_MINUS_INF and TN_DIM_INF = unbounded */
} tn_range;

tn_range tn_range_add(tn_range a, tn_range b);
tn_range tn_range_mul(tn_range a, tn_range b);
tn_range tn_range_scale(tn_range a, int64_t c);

/* The interned atom and the dim that is just it. */
const tn_dim *tn_dim_of_atom(tn_ctx *ctx, tn_atom_kind kind, const tn_symbol *symbol, const tn_dim *p, const tn_dim *q);
/* Interns a polynomial; terms are sorted and merged here. They are copied. */
const tn_dim *tn_dim_of_terms(tn_ctx *ctx, tn_term *terms, size_t n);
/* Structural orders, independent of creation. */
int tn_atom_compare_structure(const tn_atom *a, const tn_atom *b);
int tn_dim_compare_structure(const tn_dim *p, const tn_dim *q);
/* The quotient of two terms when a is a multiple of b (coefficients and atoms); false otherwise. */
bool tn_term_divide(tn_arena *arena, const tn_term *a, const tn_term *b, tn_term *out);
const tn_dim *tn_dim_overflow(tn_ctx *ctx);
/* p >= 0 for all values of its symbols, as far as it can be proved. */
bool tn_dim_proves_nonnegative(tn_ctx *ctx, const tn_dim *p);

#endif
