/* What guards say is used: where a guard makes two extents equal, one of its atoms is replaced everywhere by what the
 * guard makes it equal to. So extents that the model computes in different ways become one dim, which fusion, views and
 * the verifier then see as equal. Guards on formulas stay as they are and are checked before anything runs; a symbol
 * that is replaced goes from the arguments' types, too, whose extents are then checked against what it equals. */
#include "ir/primitives.h"
#include "passes/passes.h"

typedef struct substitution {
  const tn_atom *atom;
  const tn_dim *by;
} substitution;

/* All that are known, in the order they were found: each is free of the atoms that those before it replace. */
typedef struct substitutions {
  substitution *data;
  size_t n;
} substitutions;

/* Late symbols are defined by nodes, so guards on them stay. */
static bool is_late_atom(const tn_atom *atom) {
  if (atom->kind == TN_ATOM_SYMBOL) return tn_symbol_is_late(atom->symbol);
  return tn_dim_is_late(atom->p) || tn_dim_is_late(atom->q);
}

static const tn_dim *apply(tn_ctx *ctx, const substitutions *all, const tn_dim *dim) {
  for (size_t i = 0; i < all->n; i++) dim = tn_dim_substitute_atom(ctx, dim, all->data[i].atom, all->data[i].by);
  return dim;
}

/* What is found while running is replaced first, formulas rather than symbols, and the younger symbol rather than the
 * older. */
static bool is_better(const tn_atom *a, const tn_atom *than) {
  if (!than) return true;
  bool is_late = is_late_atom(a), than_is_late = is_late_atom(than);
  if (is_late != than_is_late) return is_late;
  if ((a->kind == TN_ATOM_SYMBOL) != (than->kind == TN_ATOM_SYMBOL)) return a->kind != TN_ATOM_SYMBOL;
  if (a->kind == TN_ATOM_SYMBOL) return a->symbol->id > than->symbol->id;
  return false;
}

/* Bounds of what is found while running are part of the symbols, so they stay as they are. */
static bool bounds_something(const tn_module *module, const tn_atom *atom) {
  for (size_t i = 0; i < module->symbols.n; i++) {
    const tn_symbol *symbol = module->symbols.data[i];
    if (tn_symbol_is_late(symbol) && symbol->extent && tn_dim_uses_atom(symbol->extent, atom)) return true;
  }
  return false;
}

/* An atom that p - q == 0 can be solved for: alone in a term with coefficient 1 or -1, and nowhere else. */
static bool solve(const tn_module *module, const tn_guard *guard, substitution *out) {
  tn_ctx *ctx = module->ctx;
  const tn_dim *zero = tn_dim_sub(ctx, guard->p, guard->q);
  *out = (substitution){NULL, zero};
  for (uint32_t i = 0; i < zero->n_terms; i++) {
    const tn_term *term = &zero->terms[i];
    bool single = term->n_atoms == 1 && (term->coefficient == 1 || term->coefficient == -1);
    if (!single || !is_better(term->atoms[0], out->atom)) continue;
    const tn_dim *atom = tn_dim_sub(ctx, zero, tn_dim_substitute_atom(ctx, zero, term->atoms[0], tn_dim_const(ctx, 0)));
    const tn_dim *rest = tn_dim_sub(ctx, zero, atom);
    if (atom->n_terms != 1 || atom->terms[0].n_atoms != 1 || tn_dim_uses_atom(rest, term->atoms[0])) continue;
    const tn_dim *by = term->coefficient == 1 ? tn_dim_mul_i(ctx, rest, -1) : rest;
    if (tn_dim_is_late(by)) continue; /* it may be found later than what it would replace is used */
    /* A symbol's own range is checked where it is bound; it is not given up for a wider one. */
    bool is_symbol = term->atoms[0]->kind == TN_ATOM_SYMBOL;
    if (is_symbol && bounds_something(module, term->atoms[0])) continue;
    if (is_symbol && (by->lo < term->atoms[0]->lo || by->hi > term->atoms[0]->hi)) continue;
    out->atom = term->atoms[0];
    out->by = by;
  }
  return out->atom != NULL;
}

static const tn_type *apply_to_type(tn_ctx *ctx, const substitutions *all, const tn_type *type) {
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++) dims[i] = apply(ctx, all, type->dims[i]);
  return tn_type_tensor(ctx, type->dtype, type->ndim, dims);
}

static void apply_to_attrs(tn_module *module, const substitutions *all, tn_node *node) {
  for (uint32_t i = 0; i < node->op->n_attrs; i++) {
    tn_attr *attr = &node->attrs[i];
    if (node->op == &tn_op_dim_read) continue; /* it defines them */
    if (node->op->attrs[i].kind != TN_ATTR_DIMS || !attr->present || attr->u.list.n == 0) continue;
    const tn_dim **dims = TN_NEW_N(module->arena, const tn_dim *, attr->u.list.n);
    for (uint32_t k = 0; k < attr->u.list.n; k++) dims[k] = apply(module->ctx, all, attr->u.list.dims[k]);
    attr->u.list.dims = dims;
  }
}

static void apply_to_guards(tn_ctx *ctx, tn_guard_list *guards, const substitutions *all) {
  for (size_t i = 0; i < guards->n; i++) {
    guards->data[i].p = apply(ctx, all, guards->data[i].p);
    guards->data[i].q = apply(ctx, all, guards->data[i].q);
  }
}

/* The guards of branches only hold there: they are read with the others and not applied. */
static bool apply_to_block(tn_block *block, const substitutions *all) {
  tn_module *module = block->func->module;
  bool ok = true;
  for (size_t i = 0; i < block->params.n; i++)
    block->params.data[i]->type = apply_to_type(module->ctx, all, block->params.data[i]->type);
  for (tn_node *node = block->first; node; node = node->next) {
    if (node->op->kind == TN_OP_TERMINATOR) continue;
    apply_to_attrs(module, all, node);
    for (uint32_t i = 0; i < node->n_regions; i++) {
      apply_to_guards(module->ctx, &tn_node_region(node, i)->guards, all);
      ok &= apply_to_block(node->regions[i], all);
    }
    ok &= tn_node_infer(node);
    for (uint32_t i = 0; i < node->n_results; i++)
      node->results[i]->type = apply_to_type(module->ctx, all, node->results[i]->type);
  }
  return ok;
}

/* What two operators need may be at odds, which only shows when one guard is read with the other. */
static bool can_hold(tn_ctx *ctx, const substitutions *all, const tn_guard *guard) {
  const tn_dim *p = apply(ctx, all, guard->p), *q = apply(ctx, all, guard->q);
  tn_dim_order order = tn_dim_compare(ctx, p, q);
  if (order == TN_DIM_UNKNOWN || order == TN_DIM_EQUAL) return true;
  bool is_equal = guard->kind == TN_GUARD_EQ;
  if (!is_equal && order != TN_DIM_GREATER) return true;
  tn_buf expected = tn_buf_create(ctx->arena), found = tn_buf_create(ctx->arena);
  tn_dim_print(q, &expected);
  tn_dim_print(p, &found);
  return tn_error(ctx, guard->loc, TN_E_SHAPE, "%s: expected %s%s, found %s by what other operators need", guard->text,
                  is_equal ? "" : "at most ", expected.data, found.data);
}

/* Guards are taken in order; each is read with what those before it said. */
bool tn_pass_apply_guards(tn_pass_context *context) {
  tn_func *func = context->entry;
  tn_ctx *ctx = context->ctx;
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  substitutions all = {TN_NEW_N(scratch, substitution, func->guards.n), 0};
  for (size_t i = 0; i < func->guards.n; i++) {
    tn_guard guard = func->guards.data[i];
    guard.p = apply(ctx, &all, guard.p);
    guard.q = apply(ctx, &all, guard.q);
    if (guard.kind != TN_GUARD_EQ || !solve(context->module, &guard, &all.data[all.n])) continue;
    const tn_atom *atom = all.data[all.n].atom; /* a symbol that is gone from the arguments goes from guards, too */
    if (atom->kind == TN_ATOM_SYMBOL && !is_late_atom(atom))
      apply_to_guards(ctx, &func->guards, &(substitutions){&all.data[all.n], 1});
    all.n++;
  }
  bool ok = true;
  for (size_t i = 0; i < func->guards.n; i++) ok = can_hold(ctx, &all, &func->guards.data[i]) && ok;
  ok = ok && (all.n == 0 || apply_to_block(func->body, &all));
  tn_arena_destroy(scratch);
  return ok;
}
