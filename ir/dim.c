/* Dims: interning, symbols and polynomial arithmetic; see dim.h. */
#include "ir/dim.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ir/dim_internal.h"

/* Ranges: saturating interval arithmetic. */

static int64_t saturating_add(int64_t a, int64_t b) {
  int64_t sum;
  if (a == TN_DIM_INF || b == TN_DIM_INF) return TN_DIM_INF;
  if (a == TN_DIM_MINUS_INF || b == TN_DIM_MINUS_INF) return TN_DIM_MINUS_INF;
  if (tn_add_i64(a, b, &sum)) return sum;
  return a > 0 ? TN_DIM_INF : TN_DIM_MINUS_INF;
}

static int64_t saturating_mul(int64_t a, int64_t b) {
  int64_t product;
  if (a == 0 || b == 0) return 0;
  bool unbounded = a == TN_DIM_INF || a == TN_DIM_MINUS_INF || b == TN_DIM_INF || b == TN_DIM_MINUS_INF;
  if (!unbounded && tn_mul_i64(a, b, &product)) return product;
  return (a > 0) == (b > 0) ? TN_DIM_INF : TN_DIM_MINUS_INF;
}

tn_range tn_range_add(tn_range a, tn_range b) {
  return (tn_range){
      a.lo == TN_DIM_MINUS_INF || b.lo == TN_DIM_MINUS_INF ? TN_DIM_MINUS_INF : saturating_add(a.lo, b.lo),
      saturating_add(a.hi, b.hi)};
}

tn_range tn_range_mul(tn_range a, tn_range b) {
  int64_t ends[] = {saturating_mul(a.lo, b.lo), saturating_mul(a.lo, b.hi), saturating_mul(a.hi, b.lo),
                    saturating_mul(a.hi, b.hi)};
  tn_range result = {ends[0], ends[0]};
  for (int i = 1; i < 4; i++) {
    if (ends[i] < result.lo) result.lo = ends[i];
    if (ends[i] > result.hi) result.hi = ends[i];
  }
  return result;
}

tn_range tn_range_scale(tn_range a, int64_t c) { return tn_range_mul(a, (tn_range){c, c}); }

/* Structural order. */

static int compare_i64(int64_t a, int64_t b) { return a < b ? -1 : a > b; }

int tn_atom_compare_structure(const tn_atom *a, const tn_atom *b) {
  if (a == b) return 0;
  if (a->kind != b->kind) return compare_i64(a->kind, b->kind);
  if (a->kind == TN_ATOM_SYMBOL) return compare_i64(a->symbol->id, b->symbol->id);
  int order = tn_dim_compare_structure(a->p, b->p);
  return order ? order : tn_dim_compare_structure(a->q, b->q);
}

/* Higher degrees first, the constant last. */
static int compare_monomials(const tn_term *a, const tn_term *b) {
  if (a->n_atoms != b->n_atoms) return a->n_atoms > b->n_atoms ? -1 : 1;
  for (uint32_t i = 0; i < a->n_atoms; i++) {
    int order = tn_atom_compare_structure(a->atoms[i], b->atoms[i]);
    if (order) return order;
  }
  return 0;
}

int tn_dim_compare_structure(const tn_dim *p, const tn_dim *q) {
  if (p == q) return 0;
  for (uint32_t i = 0; i < p->n_terms && i < q->n_terms; i++) {
    int order = compare_monomials(&p->terms[i], &q->terms[i]);
    if (!order) order = compare_i64(p->terms[i].coefficient, q->terms[i].coefficient);
    if (order) return order;
  }
  return compare_i64(p->n_terms, q->n_terms);
}

static int sort_terms(const void *a, const void *b) { return compare_monomials(a, b); }

static int sort_atoms(const void *a, const void *b) {
  return tn_atom_compare_structure(*(const tn_atom *const *)a, *(const tn_atom *const *)b);
}

/* Interning. */

const tn_dim *tn_dim_overflow(tn_ctx *ctx) {
  tn_error(ctx, tn_loc_current(ctx), TN_E_LIMIT, "an extent does not fit 63 bits, or its formula is too large");
  return tn_dim_const(ctx, 0);
}

static tn_range range_of_term(const tn_term *term) {
  tn_range range = {1, 1};
  for (uint32_t i = 0; i < term->n_atoms; i++)
    range = tn_range_mul(range, (tn_range){term->atoms[i]->lo, term->atoms[i]->hi});
  return tn_range_scale(range, term->coefficient);
}

/* 0 or 1, and so its own square. */
static bool is_flag(const tn_atom *atom) { return atom->lo >= 0 && atom->hi <= 1; }

/* A flag that several terms share, or NULL. */
static const tn_atom *shared_flag(const tn_term *terms, size_t n) {
  for (size_t i = 0; i + 1 < n; i++)
    for (uint32_t k = 0; k < terms[i].n_atoms; k++) {
      if (!is_flag(terms[i].atoms[k])) continue;
      for (size_t j = i + 1; j < n; j++)
        for (uint32_t l = 0; l < terms[j].n_atoms; l++)
          if (terms[j].atoms[l] == terms[i].atoms[k]) return terms[i].atoms[k];
    }
  return NULL;
}

/* The terms with flag in the place of 0 or 1. */
static const tn_dim *set_flag(tn_ctx *ctx, const tn_term *terms, size_t n, const tn_atom *flag, bool set) {
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  tn_term *left = TN_NEW_N(scratch, tn_term, n);
  size_t n_left = 0;
  for (size_t i = 0; i < n; i++) {
    const tn_atom **atoms = TN_NEW_N(scratch, const tn_atom *, terms[i].n_atoms);
    tn_term term = {terms[i].coefficient, 0, atoms};
    for (uint32_t k = 0; k < terms[i].n_atoms; k++)
      if (terms[i].atoms[k] != flag) atoms[term.n_atoms++] = terms[i].atoms[k];
    if (set || term.n_atoms == terms[i].n_atoms) left[n_left++] = term;
  }
  const tn_dim *dim = tn_dim_of_terms(ctx, left, n_left);
  tn_arena_destroy(scratch);
  return dim;
}

#define MAX_RANGE_TERMS 64 /* each flag may double the work */

/* The range of a sum of terms. `n - m*n + m` with a flag m is n or 1, which the sum of the terms' ranges does not show:
 * the formula is taken once with the flag 0 and once with it 1. */
static tn_range range_of_terms(tn_ctx *ctx, const tn_term *terms, size_t n) {
  tn_range range = {0, 0};
  for (size_t i = 0; i < n; i++) range = tn_range_add(range, range_of_term(&terms[i]));
  const tn_atom *flag = n > MAX_RANGE_TERMS ? NULL : shared_flag(terms, n);
  if (flag == NULL) return range;
  const tn_dim *off = set_flag(ctx, terms, n, flag, false), *on = set_flag(ctx, terms, n, flag, true);
  int64_t lo = off->lo < on->lo ? off->lo : on->lo, hi = off->hi > on->hi ? off->hi : on->hi;
  return (tn_range){lo > range.lo ? lo : range.lo, hi < range.hi ? hi : range.hi};
}

static uint64_t hash_terms(const tn_term *terms, size_t n) {
  uint64_t hash = tn_hash_bytes(0, &n, sizeof(n));
  for (size_t i = 0; i < n; i++) {
    hash = tn_hash_bytes(hash, &terms[i].coefficient, sizeof(terms[i].coefficient));
    for (uint32_t k = 0; k < terms[i].n_atoms; k++)
      hash = tn_hash_bytes(hash, &terms[i].atoms[k]->hash, sizeof(terms[i].atoms[k]->hash));
  }
  return hash;
}

static bool same_terms(const tn_dim *dim, const tn_term *terms, size_t n) {
  if (dim->n_terms != n) return false;
  for (size_t i = 0; i < n; i++)
    if (dim->terms[i].coefficient != terms[i].coefficient || compare_monomials(&dim->terms[i], &terms[i]) != 0)
      return false;
  return true;
}

static const tn_dim *intern(tn_ctx *ctx, const tn_term *terms, size_t n) {
  uint64_t hash = hash_terms(terms, n);
  for (const tn_dim *dim = tn_map_get_u64(&ctx->dims, hash); dim; dim = dim->next_same_hash)
    if (same_terms(dim, terms, n)) return dim;
  tn_dim *made = TN_NEW(ctx->arena, tn_dim);
  tn_term *copy = tn_arena_copy(ctx->arena, terms, n * sizeof(*terms));
  for (size_t i = 0; i < n; i++)
    copy[i].atoms = tn_arena_copy(ctx->arena, terms[i].atoms, terms[i].n_atoms * sizeof(*terms[i].atoms));
  tn_range range = range_of_terms(ctx, copy, n);
  made->n_terms = (uint32_t)n;
  made->terms = copy;
  made->lo = range.lo;
  made->hi = range.hi;
  made->is_constant = n == 0 || (n == 1 && terms[0].n_atoms == 0);
  made->hash = hash;
  made->id = (uint32_t)ctx->dims.n;
  made->next_same_hash = tn_map_get_u64(&ctx->dims, hash); /* now: finding the range may have made others */
  tn_map_set_u64(&ctx->dims, hash, made);
  return made;
}

const tn_dim *tn_dim_of_terms(tn_ctx *ctx, tn_term *terms, size_t n) {
  qsort(terms, n, sizeof(*terms), sort_terms);
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (kept && compare_monomials(&terms[kept - 1], &terms[i]) == 0) {
      if (!tn_add_i64(terms[kept - 1].coefficient, terms[i].coefficient, &terms[kept - 1].coefficient))
        return tn_dim_overflow(ctx);
    } else {
      if (kept && terms[kept - 1].coefficient == 0) kept--;
      terms[kept++] = terms[i];
    }
  }
  if (kept && terms[kept - 1].coefficient == 0) kept--;
  return kept > TN_DIM_MAX_TERMS ? tn_dim_overflow(ctx) : intern(ctx, terms, kept);
}

static tn_range range_of_floordiv(const tn_dim *p, const tn_dim *q) {
  tn_range all = {TN_DIM_MINUS_INF, TN_DIM_INF};
  if (q->lo < 0) return all;
  if (tn_dim_is_const(q) && q->lo > 0)
    return (tn_range){p->lo == TN_DIM_MINUS_INF ? p->lo : tn_floordiv_i64(p->lo, q->lo),
                      p->hi == TN_DIM_INF ? p->hi : tn_floordiv_i64(p->hi, q->lo)};
  if (p->lo < 0) return all;
  int64_t least_q = q->lo < 1 ? 1 : q->lo; /* by 0 it has no value */
  return (tn_range){q->hi == TN_DIM_INF || q->hi < 1 ? 0 : p->lo / q->hi,
                    p->hi == TN_DIM_INF ? p->hi : p->hi / least_q};
}

static tn_range range_of_mod(const tn_dim *p, const tn_dim *q) {
  if (q->lo < 0) return (tn_range){TN_DIM_MINUS_INF, TN_DIM_INF};
  int64_t hi = q->hi == TN_DIM_INF ? TN_DIM_INF : q->hi < 1 ? 0 : q->hi - 1;
  return (tn_range){0, p->lo >= 0 && p->hi < hi ? p->hi : hi};
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static tn_range range_of_atom(tn_atom_kind kind, const tn_symbol *symbol, const tn_dim *p, const tn_dim *q) {
  switch (kind) {
    case TN_ATOM_SYMBOL: return (tn_range){symbol->lo, symbol->hi};
    case TN_ATOM_FLOORDIV: return range_of_floordiv(p, q);
    case TN_ATOM_MOD: return range_of_mod(p, q);
    case TN_ATOM_MIN: return (tn_range){least(p->lo, q->lo), least(p->hi, q->hi)};
    case TN_ATOM_MAX: return (tn_range){most(p->lo, q->lo), most(p->hi, q->hi)};
    case TN_ATOM_BCAST: return (tn_range){least(p->lo, q->lo), most(p->hi, q->hi)};
  }
  return (tn_range){TN_DIM_MINUS_INF, TN_DIM_INF};
}

static const tn_atom *intern_atom(tn_ctx *ctx, tn_atom_kind kind, const tn_symbol *symbol, const tn_dim *p,
                                  const tn_dim *q) {
  uint64_t key[] = {kind, symbol ? symbol->id : 0, p ? p->hash : 0, q ? q->hash : 0};
  uint64_t hash = tn_hash_bytes(0, key, sizeof(key));
  const tn_atom *first = tn_map_get_u64(&ctx->atoms, hash);
  for (const tn_atom *atom = first; atom; atom = atom->next_same_hash)
    if (atom->kind == kind && atom->symbol == symbol && atom->p == p && atom->q == q) return atom;
  tn_atom *made = TN_NEW(ctx->arena, tn_atom);
  tn_range range = range_of_atom(kind, symbol, p, q);
  *made = (tn_atom){kind, symbol, p, q, range.lo, range.hi, hash, first};
  tn_map_set_u64(&ctx->atoms, hash, made);
  return made;
}

const tn_dim *tn_dim_of_atom(tn_ctx *ctx, tn_atom_kind kind, const tn_symbol *symbol, const tn_dim *p,
                             const tn_dim *q) {
  const tn_atom *atom = intern_atom(ctx, kind, symbol, p, q);
  tn_term term = {1, 1, &atom};
  return intern(ctx, &term, 1);
}

/* Symbols. */

static tn_symbol *new_symbol(tn_ctx *ctx, tn_symbol_kind kind, const char *name, int64_t lo, int64_t hi) {
  tn_symbol *symbol = TN_NEW(ctx->arena, tn_symbol);
  symbol->name = tn_name(ctx, name);
  symbol->kind = kind;
  symbol->id = ++ctx->n_symbols;
  symbol->lo = lo;
  symbol->hi = hi;
  return symbol;
}

const tn_symbol *tn_symbol_create(tn_ctx *ctx, tn_symbol_kind kind, const char *name, const char *label, int64_t lo,
                                  int64_t hi) {
  TN_ASSERT(lo <= hi);
  tn_symbol *symbol = new_symbol(ctx, kind, name, lo, hi);
  TN_ASSERT(!tn_map_has(&ctx->symbols, symbol->name));
  symbol->label = label ? tn_name(ctx, label) : NULL;
  symbol->slot = (uint32_t)ctx->symbols.n;
  tn_map_set(&ctx->symbols, symbol->name, symbol);
  return symbol;
}

const tn_symbol *tn_symbol_find(const tn_ctx *ctx, const char *name) {
  return tn_map_get(&ctx->symbols, tn_name((tn_ctx *)ctx, name));
}

#define MAX_SYMBOL_NAME 48

const char *tn_symbol_fresh_name(tn_ctx *ctx, const char *prefix) {
  char text[MAX_SYMBOL_NAME + 1];
  size_t n = 0;
  if (!isalpha((unsigned char)*prefix) && *prefix != '?') text[n++] = 'd';
  for (; *prefix && n < MAX_SYMBOL_NAME; prefix++) {
    bool plain = isalnum((unsigned char)*prefix) || (*prefix == '?' && n == 0);
    text[n++] = plain ? *prefix : '_';
  }
  text[n] = 0;
  return tn_name_fresh(ctx, &ctx->symbols, &ctx->symbol_suffixes, text);
}

static int64_t last_of(const tn_dim *extent) { return extent->hi == TN_DIM_INF ? TN_DIM_INF : most(extent->hi - 1, 0); }

const tn_symbol *tn_symbol_count(tn_ctx *ctx, const char *name, const tn_dim *bound) {
  tn_symbol *symbol = (tn_symbol *)tn_symbol_create(ctx, TN_SYM_READ, name, NULL, 0, bound->hi < 0 ? 0 : bound->hi);
  if (!tn_dim_is_const(bound)) symbol->extent = bound;
  return symbol;
}

const tn_symbol *tn_symbol_loop(tn_ctx *ctx, const char *name, const tn_dim *extent) {
  tn_symbol *symbol = (tn_symbol *)tn_symbol_create(ctx, TN_SYM_LOOP, name, NULL, 0, last_of(extent));
  symbol->extent = extent;
  return symbol;
}

const tn_symbol *tn_symbol_axis(tn_ctx *ctx, const char *name, const tn_dim *extent, uint32_t slot) {
  int64_t hi = last_of(extent);
  tn_symbol *symbol = new_symbol(ctx, TN_SYM_AXIS, name, 0, hi);
  symbol->extent = extent;
  symbol->slot = slot;
  return symbol;
}

const tn_symbol *tn_symbol_value(tn_ctx *ctx, const char *name, int64_t lo, int64_t hi, uint32_t slot) {
  tn_symbol *symbol = new_symbol(ctx, TN_SYM_VALUE, name, lo, hi);
  symbol->slot = slot;
  return symbol;
}

/* Arithmetic. */

const tn_dim *tn_dim_const(tn_ctx *ctx, int64_t value) {
  tn_term term = {value, 0, NULL};
  return intern(ctx, &term, value != 0);
}

int64_t tn_dim_value(const tn_dim *p) {
  TN_ASSERT(p->is_constant);
  return p->n_terms ? p->terms[0].coefficient : 0;
}

const tn_dim *tn_dim_symbol(tn_ctx *ctx, const tn_symbol *symbol) {
  return tn_dim_of_atom(ctx, TN_ATOM_SYMBOL, symbol, NULL, NULL);
}

/* p + c * q. */
static const tn_dim *add_scaled(tn_ctx *ctx, const tn_dim *p, const tn_dim *q, int64_t c) {
  tn_term small[32], *terms = small;
  size_t n = (size_t)p->n_terms + q->n_terms;
  tn_arena *scratch = NULL;
  if (n > TN_ARRAY_LEN(small)) {
    scratch = tn_arena_create_scratch(ctx->arena);
    terms = TN_NEW_N(scratch, tn_term, n);
  }
  if (p->n_terms) memcpy(terms, p->terms, p->n_terms * sizeof(*terms));
  bool ok = true;
  for (uint32_t i = 0; i < q->n_terms; i++) {
    terms[p->n_terms + i] = q->terms[i];
    ok &= tn_mul_i64(q->terms[i].coefficient, c, &terms[p->n_terms + i].coefficient);
  }
  const tn_dim *sum = ok ? tn_dim_of_terms(ctx, terms, n) : tn_dim_overflow(ctx);
  tn_arena_destroy(scratch);
  return sum;
}

const tn_dim *tn_dim_add(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) { return add_scaled(ctx, p, q, 1); }
const tn_dim *tn_dim_sub(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) { return add_scaled(ctx, p, q, -1); }
const tn_dim *tn_dim_add_i(tn_ctx *ctx, const tn_dim *p, int64_t c) { return tn_dim_add(ctx, p, tn_dim_const(ctx, c)); }

const tn_dim *tn_dim_mul_i(tn_ctx *ctx, const tn_dim *p, int64_t c) {
  return c == 1 ? p : add_scaled(ctx, tn_dim_const(ctx, 0), p, c);
}

static bool multiply_terms(tn_arena *arena, const tn_term *a, const tn_term *b, tn_term *out) {
  const tn_atom **atoms = TN_NEW_N(arena, const tn_atom *, a->n_atoms + b->n_atoms);
  if (a->n_atoms) memcpy(atoms, a->atoms, a->n_atoms * sizeof(*atoms));
  if (b->n_atoms) memcpy(atoms + a->n_atoms, b->atoms, b->n_atoms * sizeof(*atoms));
  qsort(atoms, a->n_atoms + b->n_atoms, sizeof(*atoms), sort_atoms);
  out->n_atoms = 0;
  for (uint32_t i = 0; i < a->n_atoms + b->n_atoms; i++)
    if (i == 0 || atoms[i] != atoms[i - 1] || !is_flag(atoms[i])) atoms[out->n_atoms++] = atoms[i];
  out->atoms = atoms;
  return out->n_atoms <= 64 && tn_mul_i64(a->coefficient, b->coefficient, &out->coefficient);
}

const tn_dim *tn_dim_mul(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  if (tn_dim_is_const(p)) return tn_dim_mul_i(ctx, q, tn_dim_value(p));
  if (tn_dim_is_const(q)) return tn_dim_mul_i(ctx, p, tn_dim_value(q));
  size_t n = (size_t)p->n_terms * q->n_terms;
  if (n > 16 * TN_DIM_MAX_TERMS) return tn_dim_overflow(ctx);
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  tn_term *terms = TN_NEW_N(scratch, tn_term, n);
  bool ok = true;
  for (uint32_t i = 0; i < p->n_terms; i++)
    for (uint32_t k = 0; k < q->n_terms; k++)
      ok &= multiply_terms(scratch, &p->terms[i], &q->terms[k], &terms[(size_t)i * q->n_terms + k]);
  const tn_dim *product = ok ? tn_dim_of_terms(ctx, terms, n) : tn_dim_overflow(ctx);
  tn_arena_destroy(scratch);
  return product;
}

const tn_dim *tn_dim_product(tn_ctx *ctx, const tn_dim *const *dims, uint32_t n) {
  const tn_dim *product = tn_dim_const(ctx, 1);
  for (uint32_t i = 0; i < n; i++) product = tn_dim_mul(ctx, product, dims[i]);
  return product;
}

bool tn_term_divide(tn_arena *arena, const tn_term *a, const tn_term *b, tn_term *out) {
  if (b->coefficient == 0 || (b->coefficient == -1 && a->coefficient == INT64_MIN)) return false;
  if (a->coefficient % b->coefficient != 0 || a->n_atoms < b->n_atoms) return false;
  const tn_atom **atoms = TN_NEW_N(arena, const tn_atom *, a->n_atoms);
  uint32_t n = 0, k = 0;
  for (uint32_t i = 0; i < a->n_atoms; i++) {
    if (k < b->n_atoms && a->atoms[i] == b->atoms[k])
      k++;
    else
      atoms[n++] = a->atoms[i];
  }
  *out = (tn_term){a->coefficient / b->coefficient, n, atoms};
  return k == b->n_atoms;
}

/* Long division by the leading term. Monomials are ordered by degree first, so that leading terms multiply. */
bool tn_dim_divide_exact(tn_ctx *ctx, const tn_dim *p, const tn_dim *q, const tn_dim **out) {
  if (q->n_terms == 0) return false;
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  const tn_dim *quotient = tn_dim_const(ctx, 0), *rest = p;
  uint32_t rounds = 4 * p->n_terms + 4;
  while (rest->n_terms && rounds-- > 0) {
    tn_term term;
    if (!tn_term_divide(scratch, &rest->terms[0], &q->terms[0], &term)) break;
    const tn_dim *step = tn_dim_of_terms(ctx, &term, 1);
    quotient = tn_dim_add(ctx, quotient, step);
    rest = tn_dim_sub(ctx, rest, tn_dim_mul(ctx, step, q));
  }
  tn_arena_destroy(scratch);
  *out = quotient;
  return rest->n_terms == 0;
}
