/* Dims: extents, starts, sizes and indices as interned integer expressions in normal form (ir/IR.md section 2).
 *
 * A dim is a polynomial with int64 coefficients over atoms; an atom is a symbol or floordiv, mod, min, max of two
 * dims. Normal form: terms sorted, no zero coefficients, equal monomials merged, powers of an atom in [0, 1] taken as
 * the atom, atoms simplified by constant folding and by ranges. Equal dims are one pointer. Arithmetic that overflows
 * int64 reports TN_E_LIMIT at the current location and gives the constant 0. */
#ifndef TN_IR_DIM_H
#define TN_IR_DIM_H

#include "ir/ctx.h"

typedef struct tn_dim tn_dim;

#define TN_DIM_INF INT64_MAX /* "no upper bound" */
#define TN_DIM_MINUS_INF INT64_MIN

typedef enum tn_symbol_kind {
  TN_SYM_INPUT, /* bound by an axis of an entry argument: known at entry; at least 0 */
  TN_SYM_READ,  /* ?n, dim_read of an integer tensor */
  TN_SYM_COUNT, /* ?n, number of rows or iterations found at run time */
  TN_SYM_JOIN,  /* ?n, differs between branches or iterations */
  TN_SYM_LOOP,  /* number of the present iteration of a loop step: 0 <= it < extent; programs only */
  TN_SYM_AXIS,  /* a loop axis of one kernel: 0 <= axis < extent */
  TN_SYM_VALUE  /* inside one kernel: the value of an integer node (gather) */
} tn_symbol_kind;

typedef struct tn_symbol {
  const char *name;  /* unique in the module ("B", "?3"); axes and values are unique in their kernel */
  const char *label; /* the user's own spelling, e.g. the ONNX dim_param; NULL = none */
  tn_symbol_kind kind;
  uint32_t id;       /* in order of creation, over the session; the order of normal form */
  int64_t lo, hi;    /* inclusive; hi may be TN_DIM_INF; for AXIS: 0 .. sup of extent - 1 */
  const tn_dim *extent; /* AXIS, LOOP: its extent; READ, COUNT, JOIN: it is at most this, if it is there; else NULL */
  uint32_t slot;     /* AXIS, VALUE: index of axis or node in the kernel; else the symbol's run-time slot */
} tn_symbol;

typedef enum tn_atom_kind {
  TN_ATOM_SYMBOL,
  TN_ATOM_FLOORDIV,
  TN_ATOM_MOD,
  TN_ATOM_MIN,
  TN_ATOM_MAX,
  TN_ATOM_BCAST /* extent of a broadcast of p and q: q where p is 1, else p */
} tn_atom_kind;

typedef struct tn_atom {
  tn_atom_kind kind;
  const tn_symbol *symbol;
  const tn_dim *p, *q;
  int64_t lo, hi; /* range, as of tn_dim */
  uint64_t hash;
  const struct tn_atom *next_same_hash;
} tn_atom;

typedef struct tn_term {
  int64_t coefficient;
  uint32_t n_atoms; /* 0 for the constant term; a square repeats its atom */
  const tn_atom *const *atoms;
} tn_term;

struct tn_dim {
  uint32_t n_terms; /* 0 is the constant 0 */
  const tn_term *terms;
  int64_t lo, hi;   /* range, inclusive, from the ranges of the symbols; saturated to +-inf */
  bool is_constant; /* then lo == hi */
  uint64_t hash;
  uint32_t id;
  const tn_dim *next_same_hash;
};

/* Symbols of the module level: name must not exist yet (asserted); lo <= hi. */
const tn_symbol *tn_symbol_create(tn_ctx *ctx, tn_symbol_kind kind, const char *name, const char *label,
                                  int64_t lo, int64_t hi);
const tn_symbol *tn_symbol_find(const tn_ctx *ctx, const char *name);
/* A name of the form prefix or prefix_2, prefix_3 ... that no symbol has. Non-identifier bytes become '_'. */
const char *tn_symbol_fresh_name(tn_ctx *ctx, const char *prefix);
/* A READ symbol in [0, bound], bound over symbols known at entry; name must not exist yet. */
const tn_symbol *tn_symbol_count(tn_ctx *ctx, const char *name, const tn_dim *bound);
/* A LOOP symbol with extent iterations; name must not exist yet. */
const tn_symbol *tn_symbol_loop(tn_ctx *ctx, const char *name, const tn_dim *extent);
/* Kernel-level symbols; not entered in ctx->symbols. */
const tn_symbol *tn_symbol_axis(tn_ctx *ctx, const char *name, const tn_dim *extent, uint32_t slot);
const tn_symbol *tn_symbol_value(tn_ctx *ctx, const char *name, int64_t lo, int64_t hi, uint32_t slot);

const tn_dim *tn_dim_const(tn_ctx *ctx, int64_t value);
const tn_dim *tn_dim_symbol(tn_ctx *ctx, const tn_symbol *symbol);
const tn_dim *tn_dim_add(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);
const tn_dim *tn_dim_sub(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);
const tn_dim *tn_dim_mul(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);
const tn_dim *tn_dim_add_i(tn_ctx *ctx, const tn_dim *p, int64_t c);
const tn_dim *tn_dim_mul_i(tn_ctx *ctx, const tn_dim *p, int64_t c);
/* Toward minus infinity; a constant divisor of 0 gives 0 (callers check). Simplifies what divides exactly, and
 * floordiv(a*c + r, c) = a + floordiv(r, c), also through ranges: 0 <= r < c gives a. */
const tn_dim *tn_dim_floordiv(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);
const tn_dim *tn_dim_mod(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);
const tn_dim *tn_dim_ceildiv(tn_ctx *ctx, const tn_dim *p, int64_t c);
const tn_dim *tn_dim_min(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);
const tn_dim *tn_dim_max(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);
const tn_dim *tn_dim_bcast(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);
/* Product of n dims; 1 for none. */
const tn_dim *tn_dim_product(tn_ctx *ctx, const tn_dim *const *dims, uint32_t n);
/* p == q exactly divisible: *out = p / q as a polynomial and true, else false. */
bool tn_dim_divide_exact(tn_ctx *ctx, const tn_dim *p, const tn_dim *q, const tn_dim **out);

static inline bool tn_dim_is_const(const tn_dim *p) { return p->is_constant; }
static inline bool tn_dim_is(const tn_dim *p, int64_t value) { return p->is_constant && p->lo == value; }
/* The value of a constant dim (asserted). */
int64_t tn_dim_value(const tn_dim *p);

typedef enum tn_dim_order { TN_DIM_UNKNOWN, TN_DIM_EQUAL, TN_DIM_LESS, TN_DIM_GREATER, TN_DIM_DIFFERENT } tn_dim_order;
/* What normal form and ranges prove about p against q, for all values of the symbols; DIFFERENT when they are never
 * equal but neither is always the greater. */
tn_dim_order tn_dim_compare(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);
bool tn_dim_proves_le(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);

/* p with each occurrence of symbol replaced by q. */
const tn_dim *tn_dim_substitute(tn_ctx *ctx, const tn_dim *p, const tn_symbol *symbol, const tn_dim *q);
/* The same for any atom, also where it stands inside others; q must not hold it. */
const tn_dim *tn_dim_substitute_atom(tn_ctx *ctx, const tn_dim *p, const tn_atom *atom, const tn_dim *q);
bool tn_dim_uses_atom(const tn_dim *p, const tn_atom *atom);
/* p = *out_coefficient * symbol + *out_rest, neither containing symbol; false when p is not linear in symbol
 * (for example inside floordiv). Not containing it gives coefficient 0. */
bool tn_dim_linear(tn_ctx *ctx, const tn_dim *p, const tn_symbol *symbol, const tn_dim **out_coefficient,
                   const tn_dim **out_rest);
/* The atom, or the symbol, that p consists of, or NULL. */
const tn_atom *tn_dim_lone_atom(const tn_dim *p);
const tn_symbol *tn_dim_lone_symbol(const tn_dim *p);
bool tn_dim_uses(const tn_dim *p, const tn_symbol *symbol);
/* True when some symbol that p uses satisfies test. */
bool tn_dim_uses_kind(const tn_dim *p, tn_symbol_kind kind);
/* True for READ, COUNT and JOIN: found while running. */
bool tn_symbol_is_late(const tn_symbol *symbol);
/* True when p depends on something that is found while running. */
bool tn_dim_is_late(const tn_dim *p);
/* An upper bound of p over symbols known at entry (p itself when it has only such); NULL: none was found. */
const tn_dim *tn_dim_bound(tn_ctx *ctx, const tn_dim *p);
/* Calls visit for each distinct symbol in p, in order of id. */
void tn_dim_symbols(const tn_dim *p, void (*visit)(void *user, const tn_symbol *symbol), void *user);

/* Evaluates with values[symbol->slot] for each symbol looked up by bind (false = unbound). False on overflow,
 * unbound symbols or division by zero. */
typedef bool (*tn_dim_bind)(const void *user, const tn_symbol *symbol, int64_t *out);
bool tn_dim_evaluate(const tn_dim *p, tn_dim_bind bind, const void *user, int64_t *out);

/* "3", "B", "2*B + 1", "floordiv(H - 1, 2) + 1": operators + - *, calls, no spaces inside products; the text form. */
void tn_dim_print(const tn_dim *p, tn_buf *out);

#endif
