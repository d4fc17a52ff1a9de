/* Extents in an export: a dim is a polynomial (ir/dim.h), written as arithmetic on i64[1] tensors. Symbols of inputs
 * are read from the inputs' shapes; what depends on those alone is computed once, in front of everything. */
#include "ir/export.h"

static const char *find(const tn_export_graph *graph, const tn_dim *dim) {
  for (; graph; graph = graph->outer) {
    const char *name = tn_map_get(&graph->dims, dim);
    if (name) return name;
  }
  return NULL;
}

void tn_export_bind_dim(tn_export *x, const tn_dim *dim, const char *name) {
  tn_map_set(&x->graph->dims, dim, (void *)(uintptr_t)name);
}

static const char *constant(tn_export *x, int64_t i) { return tn_export_ints(x, &i, 1); }

/* Of an input that has the symbol as an extent. */
static const char *input_symbol(tn_export *x, const tn_symbol *symbol) {
  const tn_block *body = x->func->body;
  for (size_t i = 0; i < body->params.n; i++) {
    const tn_type *type = body->params.data[i]->type;
    for (uint32_t k = 0; k < type->ndim; k++)
      if (tn_dim_lone_symbol(type->dims[k]) == symbol)
        return tn_export_emit(x, "Shape", 0, TN_NAMES(tn_export_value(x, body->params.data[i])),
                              TN_FOREIGN(tn_foreign_of_int("start", k), tn_foreign_of_int("end", k + 1)),
                              tn_export_fresh(x, symbol->label ? symbol->label : symbol->name));
  }
  return NULL;
}

static const char *symbol_name(tn_export *x, const tn_symbol *symbol) {
  const char *name = find(x->graph, tn_dim_symbol(x->ctx, symbol));
  if (!name && symbol->kind == TN_SYM_INPUT) name = input_symbol(x, symbol);
  if (!name)
    tn_error(x->ctx, tn_loc_current(x->ctx), TN_E_ONNX_EXPORT, "the size '%s' is not known where it is needed",
             symbol->name);
  return name;
}

/* Rounded down; ONNX divides toward zero. */
static const char *floordiv(tn_export *x, const tn_atom *atom, const char *p, const char *q) {
  if (atom->p->lo < 0 || atom->q->lo < 1)
    p = tn_export_binary(x, "Sub", p, tn_export_binary(x, "Mod", p, q, NULL), NULL);
  return tn_export_binary(x, "Div", p, q, NULL);
}

static const char *atom_name(tn_export *x, const tn_atom *atom) {
  if (atom->kind == TN_ATOM_SYMBOL) return symbol_name(x, atom->symbol);
  const char *p = tn_export_dim(x, atom->p), *q = tn_export_dim(x, atom->q);
  if (!p || !q) return NULL;
  switch (atom->kind) {
    case TN_ATOM_SYMBOL: break;
    case TN_ATOM_FLOORDIV: return floordiv(x, atom, p, q);
    case TN_ATOM_MOD: return tn_export_binary(x, "Mod", p, q, NULL);
    case TN_ATOM_MIN: return tn_export_binary(x, "Min", p, q, NULL);
    case TN_ATOM_MAX: return tn_export_binary(x, "Max", p, q, NULL);
    case TN_ATOM_BCAST:
      return tn_export_where(x, tn_export_binary(x, "Equal", p, constant(x, 1), NULL), q, p, NULL);
  }
  return NULL;
}

/* Without its sign. */
static const char *term_name(tn_export *x, const tn_term *term) {
  int64_t size = term->coefficient < 0 ? -term->coefficient : term->coefficient;
  const char *name = size != 1 || term->n_atoms == 0 ? constant(x, size) : NULL;
  for (uint32_t i = 0; i < term->n_atoms; i++) {
    const char *factor = atom_name(x, term->atoms[i]);
    if (!factor) return NULL;
    name = name ? tn_export_binary(x, "Mul", factor, name, NULL) : factor;
  }
  return name;
}

static const char *sum_name(tn_export *x, const tn_dim *dim) {
  const char *sum = NULL;
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    bool is_negative = dim->terms[i].coefficient < 0;
    const char *term = term_name(x, &dim->terms[i]);
    if (!term) return NULL;
    if (sum) sum = tn_export_binary(x, is_negative ? "Sub" : "Add", sum, term, NULL);
    else sum = is_negative ? tn_export_unary(x, "Neg", term, NULL) : term;
  }
  return sum;
}

static bool is_of_inputs(const tn_dim *dim) {
  return !tn_dim_uses_kind(dim, TN_SYM_READ) && !tn_dim_uses_kind(dim, TN_SYM_COUNT) &&
         !tn_dim_uses_kind(dim, TN_SYM_JOIN);
}

const char *tn_export_dim(tn_export *x, const tn_dim *dim) {
  if (tn_dim_is_const(dim)) return constant(x, tn_dim_value(dim));
  const char *name = find(x->graph, dim);
  if (name) return name;
  tn_export_graph *graph = x->graph;
  if (is_of_inputs(dim)) x->graph = x->head;
  name = sum_name(x, dim);
  if (name) tn_export_bind_dim(x, dim, name);
  x->graph = graph;
  return name;
}

const char *tn_export_dims(tn_export *x, const tn_dim *const *dims, uint32_t n) {
  const char **parts = TN_NEW_N(x->arena, const char *, (size_t)n + 1);
  int64_t *run = TN_NEW_N(x->arena, int64_t, n);
  uint32_t n_parts = 0, n_run = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (tn_dim_is_const(dims[i])) {
      run[n_run++] = tn_dim_value(dims[i]);
      continue;
    }
    if (n_run > 0) parts[n_parts++] = tn_export_ints(x, run, n_run);
    n_run = 0;
    if (!(parts[n_parts++] = tn_export_dim(x, dims[i]))) return NULL;
  }
  if (n_run > 0 || n == 0) parts[n_parts++] = tn_export_ints(x, run, n_run);
  if (n_parts == 1) return parts[0];
  return tn_export_emit(x, "Concat", 0, parts, n_parts, TN_FOREIGN(tn_foreign_of_int("axis", 0)), NULL);
}

const char *tn_export_extent(tn_export *x, const tn_dim *dim) {
  if (tn_dim_is_const(dim)) return tn_export_int(x, tn_dim_value(dim));
  const char *name = tn_export_dim(x, dim);
  int64_t axis = 0;
  return name ? tn_export_squeeze(x, name, &axis, 1, NULL) : NULL;
}

/* 0 keeps an extent and one -1 stands for what is left, so that most shapes need no arithmetic. */
static bool static_target(const tn_type *from, const tn_dim *const *dims, uint32_t n, int64_t *out) {
  uint32_t n_open = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (tn_dim_is(dims[i], 0)) return false;
    bool is_kept = i < from->ndim && from->dims[i] == dims[i] && !tn_dim_is_const(dims[i]);
    if (tn_dim_is_const(dims[i])) out[i] = tn_dim_value(dims[i]);
    else if (is_kept) out[i] = 0;
    else {
      out[i] = -1;
      n_open++;
    }
  }
  if (n_open == 0) return true;
  /* What is left cannot be told where an extent that is kept may be 0. */
  for (uint32_t i = 0; i < n; i++)
    if (out[i] == 0 && dims[i]->lo < 1) return false;
  return n_open == 1;
}

const char *tn_export_reshape(tn_export *x, const char *a, const tn_type *from, const tn_dim *const *dims, uint32_t n,
                              const char *result) {
  int64_t target[TN_MAX_NDIM + 1];
  if (static_target(from, dims, n, target))
    return tn_export_binary(x, "Reshape", a, tn_export_ints(x, target, n), result);
  const char *shape = tn_export_dims(x, dims, n);
  if (!shape) return NULL;
  return tn_export_emit(x, "Reshape", 0, TN_NAMES(a, shape), TN_FOREIGN(tn_foreign_of_int("allowzero", 1)), result);
}
