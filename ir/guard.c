/* Guards: what a rule needs of extents and cannot prove is recorded in the function, or in the branch of an `if`, and
 * checked when that is entered (ir/IR.md section 2). */
#include <stdarg.h>

#include "ir/graph.h"
#include "ir/primitives.h"

/* The innermost branch of an `if` that block is or lies in, else NULL; *out_is_detached: it lies in no function's body
 * yet. */
static tn_block *branch_of(tn_block *block, bool *out_is_detached) {
  for (; block; block = block->owner->block) {
    if (block->owner && block->owner->op == &tn_op_if) break;
    *out_is_detached = block != block->func->body && !block->owner;
    if (!block->owner) return NULL;
  }
  return block;
}

tn_block *tn_func_enter(tn_func *func, tn_block *block) {
  tn_block *around = func->branch;
  bool is_detached = false;
  tn_block *branch = branch_of(block, &is_detached);
  if (!is_detached) func->branch = branch;
  return around;
}

void tn_func_leave(tn_func *func, tn_block *around) { func->branch = around; }

tn_guard_list *tn_func_guards_here(tn_func *func) { return func->branch ? &func->branch->guards : &func->guards; }

/* The branch around a branch. */
static tn_block *outer_branch(const tn_block *branch) {
  bool is_detached = false;
  return branch_of(branch->owner->block, &is_detached);
}

static const tn_guard_list *guards_of(const tn_func *func, const tn_block *branch) {
  return branch ? &branch->guards : &func->guards;
}

static void append_known(const tn_func *func, const tn_block *branch, tn_arena *arena, tn_guard_list *out) {
  if (branch) append_known(func, outer_branch(branch), arena, out);
  const tn_guard_list *own = guards_of(func, branch);
  for (size_t i = 0; i < own->n; i++) TN_VEC_PUSH(arena, out, own->data[i]);
}

tn_guard_list tn_block_known_guards(const tn_block *block, tn_arena *arena) {
  tn_guard_list all = {0};
  bool is_detached = false;
  append_known(block->func, branch_of((tn_block *)block, &is_detached), arena, &all);
  return all;
}

static bool uses_atom(const tn_dim *dim, const tn_atom *atom) {
  for (uint32_t i = 0; i < dim->n_terms; i++)
    for (uint32_t k = 0; k < dim->terms[i].n_atoms; k++) {
      const tn_atom *at = dim->terms[i].atoms[k];
      if (at == atom || (at->kind != TN_ATOM_SYMBOL && (uses_atom(at->p, atom) || uses_atom(at->q, atom)))) return true;
    }
  return false;
}

static const tn_dim *replace_atom(tn_ctx *ctx, const tn_dim *dim, const tn_atom *atom, const tn_dim *by);

static const tn_dim *replace_in_atom(tn_ctx *ctx, const tn_atom *at, const tn_atom *atom, const tn_dim *by) {
  if (at == atom) return by;
  if (at->kind == TN_ATOM_SYMBOL) return tn_dim_symbol(ctx, at->symbol);
  const tn_dim *p = replace_atom(ctx, at->p, atom, by), *q = replace_atom(ctx, at->q, atom, by);
  switch (at->kind) {
    case TN_ATOM_FLOORDIV: return tn_dim_floordiv(ctx, p, q);
    case TN_ATOM_MOD: return tn_dim_mod(ctx, p, q);
    case TN_ATOM_MIN: return tn_dim_min(ctx, p, q);
    case TN_ATOM_MAX: return tn_dim_max(ctx, p, q);
    default: return tn_dim_bcast(ctx, p, q);
  }
}

static const tn_dim *replace_atom(tn_ctx *ctx, const tn_dim *dim, const tn_atom *atom, const tn_dim *by) {
  if (!uses_atom(dim, atom)) return dim;
  const tn_dim *sum = tn_dim_const(ctx, 0);
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    const tn_dim *product = tn_dim_const(ctx, dim->terms[i].coefficient);
    for (uint32_t k = 0; k < dim->terms[i].n_atoms; k++)
      product = tn_dim_mul(ctx, product, replace_in_atom(ctx, dim->terms[i].atoms[k], atom, by));
    sum = tn_dim_add(ctx, sum, product);
  }
  return sum;
}

/* A guard `atom == other` can be used as a rule from atom to other unless other holds the atom again. */
static bool is_rule(const tn_dim *left, const tn_dim *right, const tn_atom **out_atom, const tn_dim **out_by) {
  *out_atom = tn_dim_lone_atom(left);
  *out_by = right;
  return *out_atom && !uses_atom(right, *out_atom);
}

/* Else the guard is solved for a symbol: c * symbol + rest == 0 where c divides the rest. */
static bool is_solved(tn_ctx *ctx, const tn_guard *guard, const tn_atom **out_atom, const tn_dim **out_by) {
  const tn_dim *difference = tn_dim_sub(ctx, guard->p, guard->q);
  for (uint32_t i = 0; i < difference->n_terms; i++) {
    const tn_term *term = &difference->terms[i];
    if (term->n_atoms != 1 || term->atoms[0]->kind != TN_ATOM_SYMBOL) continue;
    const tn_dim *symbol = tn_dim_symbol(ctx, term->atoms[0]->symbol);
    const tn_dim *rest = tn_dim_sub(ctx, tn_dim_mul_i(ctx, symbol, term->coefficient), difference);
    *out_atom = term->atoms[0];
    if (!uses_atom(rest, *out_atom) && tn_dim_divide_exact(ctx, rest, tn_dim_const(ctx, term->coefficient), out_by))
      return true;
  }
  return false;
}

static const tn_dim *reduce_once(tn_ctx *ctx, const tn_guard *guards, size_t n, const tn_dim *dim) {
  for (size_t i = 0; i < n; i++) {
    const tn_atom *atom;
    const tn_dim *by;
    if (guards[i].kind != TN_GUARD_EQ) continue;
    if (!is_rule(guards[i].p, guards[i].q, &atom, &by) && !is_rule(guards[i].q, guards[i].p, &atom, &by) &&
        !is_solved(ctx, &guards[i], &atom, &by))
      continue;
    dim = replace_atom(ctx, dim, atom, by);
  }
  return dim;
}

/* One guard's rule may give what the rule of an earlier one takes; rules that go round end by the count. */
const tn_dim *tn_guards_reduce(tn_ctx *ctx, const tn_guard *guards, size_t n, const tn_dim *dim) {
  const int most = 4;
  for (int round = 0; round < most; round++) {
    const tn_dim *reduced = reduce_once(ctx, guards, n, dim);
    if (reduced == dim) break;
    dim = reduced;
  }
  return dim;
}

static bool equate(tn_ctx *ctx, const tn_guard_list *guards, const tn_dim *p, const tn_dim *q) {
  for (size_t i = 0; i < guards->n; i++) {
    const tn_guard *guard = &guards->data[i];
    if (guard->kind == TN_GUARD_EQ && ((guard->p == p && guard->q == q) || (guard->p == q && guard->q == p)))
      return true;
  }
  const tn_dim *reduced_p = tn_guards_reduce(ctx, guards->data, guards->n, p);
  const tn_dim *reduced_q = tn_guards_reduce(ctx, guards->data, guards->n, q);
  return reduced_p == reduced_q || tn_dim_compare(ctx, reduced_p, reduced_q) == TN_DIM_EQUAL;
}

bool tn_func_dims_equal(const tn_func *func, const tn_dim *p, const tn_dim *q) {
  tn_ctx *ctx = func->module->ctx;
  if (p == q || tn_dim_compare(ctx, p, q) == TN_DIM_EQUAL) return true;
  if (!func->branch) return func->guards.n > 0 && equate(ctx, &func->guards, p, q);
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  tn_guard_list known = tn_block_known_guards(func->branch, scratch);
  bool equal = known.n > 0 && equate(ctx, &known, p, q);
  tn_arena_destroy(scratch);
  return equal;
}

static const char *dim_text(tn_ctx *ctx, const tn_dim *dim) {
  tn_buf buf = tn_buf_create(ctx->arena);
  tn_dim_print(dim, &buf);
  return buf.data ? buf.data : "";
}

static const char *guard_text(tn_func *func, const char *format, va_list args) {
  tn_buf buf = tn_buf_create(func->module->arena);
  tn_buf_vprintf(&buf, format, args);
  return buf.data ? buf.data : "";
}

static void record(tn_func *func, int kind, const tn_dim *p, const tn_dim *q, const char *text, tn_loc loc) {
  tn_guard guard = {.kind = kind, .p = p, .q = q, .text = text, .loc = loc};
  TN_VEC_PUSH(func->module->arena, tn_func_guards_here(func), guard);
}

/* Whether a guard p <= q is known where guards belong at present. */
static bool has_le(const tn_func *func, const tn_dim *p, const tn_dim *q) {
  for (const tn_block *branch = func->branch;; branch = outer_branch(branch)) {
    const tn_guard_list *guards = guards_of(func, branch);
    for (size_t i = 0; i < guards->n; i++)
      if (guards->data[i].kind == TN_GUARD_LE && guards->data[i].p == p && guards->data[i].q == q) return true;
    if (!branch) return false;
  }
}

void tn_block_move_guards(tn_block *into, tn_block *from) {
  tn_func *func = into->func;
  tn_block *around = tn_func_enter(func, into);
  for (size_t i = 0; i < from->guards.n; i++) {
    const tn_guard *guard = &from->guards.data[i];
    bool known = guard->kind == TN_GUARD_EQ ? tn_func_dims_equal(func, guard->p, guard->q)
                                            : has_le(func, guard->p, guard->q);
    if (!known) record(func, guard->kind, guard->p, guard->q, guard->text, guard->loc);
  }
  from->guards.n = 0;
  tn_func_leave(func, around);
}

bool tn_func_require_eq(tn_func *func, const tn_dim *p, const tn_dim *q, tn_loc loc, const char *format, ...) {
  tn_ctx *ctx = func->module->ctx;
  if (tn_func_dims_equal(func, p, q)) return true;
  va_list args;
  va_start(args, format);
  const char *text = guard_text(func, format, args);
  va_end(args);
  if (tn_dim_compare(ctx, p, q) != TN_DIM_UNKNOWN)
    return tn_error(ctx, loc, TN_E_SHAPE, "%s: expected %s, found %s", text, dim_text(ctx, q), dim_text(ctx, p));
  record(func, TN_GUARD_EQ, p, q, text, loc);
  return true;
}

bool tn_func_require_le(tn_func *func, const tn_dim *p, const tn_dim *q, tn_loc loc, const char *format, ...) {
  tn_ctx *ctx = func->module->ctx;
  if (tn_dim_proves_le(ctx, p, q) || tn_func_dims_equal(func, p, q)) return true;
  if (has_le(func, p, q)) return true;
  va_list args;
  va_start(args, format);
  const char *text = guard_text(func, format, args);
  va_end(args);
  if (tn_dim_compare(ctx, p, q) == TN_DIM_GREATER) {
    /* Of a number and what it is held against, the latter was found; of two numbers 0 and 1 are no findings. */
    bool is_least = tn_dim_is_const(p) && (!tn_dim_is_const(q) || tn_dim_is(p, 0) || tn_dim_is(p, 1));
    return tn_error(ctx, loc, TN_E_SHAPE, "%s: expected at %s %s, found %s", text, is_least ? "least" : "most",
                    dim_text(ctx, is_least ? p : q), dim_text(ctx, is_least ? q : p));
  }
  record(func, TN_GUARD_LE, p, q, text, loc);
  return true;
}
