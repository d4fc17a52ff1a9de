/* Guards: what a rule needs of extents and cannot prove is recorded in the function and checked when it is entered
 * (ir/IR.md section 2). */
#include <stdarg.h>

#include "ir/graph.h"

const tn_symbol *tn_dim_lone_symbol(const tn_dim *dim) {
  if (dim->n_terms != 1) return NULL;
  const tn_term *term = &dim->terms[0];
  if (term->coefficient != 1 || term->n_atoms != 1 || term->atoms[0]->kind != TN_ATOM_SYMBOL) return NULL;
  return term->atoms[0]->symbol;
}

const tn_dim *tn_guards_reduce(tn_ctx *ctx, const tn_guard *guards, size_t n, const tn_dim *dim) {
  for (size_t i = 0; i < n; i++) {
    const tn_guard *guard = &guards[i];
    if (guard->kind != TN_GUARD_EQ) continue;
    const tn_symbol *symbol = tn_dim_lone_symbol(guard->p);
    const tn_dim *other = guard->q;
    if (!symbol || tn_dim_uses(other, symbol)) {
      symbol = tn_dim_lone_symbol(guard->q);
      other = guard->p;
    }
    if (symbol && !tn_dim_uses(other, symbol) && tn_dim_uses(dim, symbol))
      dim = tn_dim_substitute(ctx, dim, symbol, other);
  }
  return dim;
}

bool tn_func_dims_equal(const tn_func *func, const tn_dim *p, const tn_dim *q) {
  tn_ctx *ctx = func->module->ctx;
  if (p == q || tn_dim_compare(ctx, p, q) == TN_DIM_EQUAL) return true;
  if (func->guards.n == 0) return false;
  for (size_t i = 0; i < func->guards.n; i++) {
    const tn_guard *guard = &func->guards.data[i];
    if (guard->kind == TN_GUARD_EQ && ((guard->p == p && guard->q == q) || (guard->p == q && guard->q == p)))
      return true;
  }
  const tn_dim *reduced_p = tn_guards_reduce(ctx, func->guards.data, func->guards.n, p);
  const tn_dim *reduced_q = tn_guards_reduce(ctx, func->guards.data, func->guards.n, q);
  return reduced_p == reduced_q || tn_dim_compare(ctx, reduced_p, reduced_q) == TN_DIM_EQUAL;
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
  TN_VEC_PUSH(func->module->arena, &func->guards, guard);
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
  for (size_t i = 0; i < func->guards.n; i++) {
    const tn_guard *guard = &func->guards.data[i];
    if (guard->kind == TN_GUARD_LE && guard->p == p && guard->q == q) return true;
  }
  va_list args;
  va_start(args, format);
  const char *text = guard_text(func, format, args);
  va_end(args);
  if (tn_dim_compare(ctx, p, q) == TN_DIM_GREATER)
    return tn_error(ctx, loc, TN_E_SHAPE, "%s: expected at most %s, found %s", text, dim_text(ctx, q),
                    dim_text(ctx, p));
  record(func, TN_GUARD_LE, p, q, text, loc);
  return true;
}
