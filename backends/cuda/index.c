/* Dims as expressions: index expressions inside kernels, and sizes on the host with checked arithmetic. */
#include "backends/cuda/cuda.h"

typedef struct printer {
  tn_cuda_gen *gen;          /* inside a kernel, or NULL */
  const tn_program *program; /* on the host */
  tn_buf *out;
} printer;

static void put_dim(printer *p, const tn_dim *dim);

/* --- Inside kernels --- */

static void put_kernel_symbol(printer *p, const tn_symbol *symbol) {
  const tn_cuda_gen *gen = p->gen;
  if (symbol->kind == TN_SYM_AXIS) {
    TN_ASSERT(gen->position[symbol->slot] != NULL);
    tn_buf_puts(p->out, gen->position[symbol->slot]);
    return;
  }
  if (symbol->kind == TN_SYM_VALUE) {
    for (size_t i = 0; i < gen->kernel->nodes.n; i++) {
      const tn_knode *node = gen->kernel->nodes.data[i];
      if (node->value_symbol == symbol) tn_buf_printf(p->out, "(long long)%s", tn_cuda_recall(gen, node));
    }
    return;
  }
  for (size_t i = 0; i < gen->kernel->symbols.n; i++)
    if (gen->kernel->symbols.data[i] == symbol) tn_buf_printf(p->out, "s%zu", i);
}

static void put_call(printer *p, const char *function, const tn_atom *atom) {
  tn_buf_printf(p->out, "%s(", function);
  put_dim(p, atom->p);
  tn_buf_puts(p->out, ", ");
  put_dim(p, atom->q);
  tn_buf_putc(p->out, ')');
}

/* C's own / and % truncate, which is the same where neither side is negative. */
static void put_division(printer *p, const char *op, const char *function, const tn_atom *atom) {
  if (atom->p->lo < 0 || atom->q->lo <= 0) {
    put_call(p, function, atom);
    return;
  }
  tn_buf_puts(p->out, "((");
  put_dim(p, atom->p);
  tn_buf_printf(p->out, ") %s (", op);
  put_dim(p, atom->q);
  tn_buf_puts(p->out, "))");
}

static void put_kernel_atom(printer *p, const tn_atom *atom) {
  /* A value may be anything when it runs, and is clamped only after this. */
  bool has_value = atom->kind != TN_ATOM_SYMBOL &&
                   (tn_dim_uses_kind(atom->p, TN_SYM_VALUE) || tn_dim_uses_kind(atom->q, TN_SYM_VALUE));
  bool is_wide = p->gen->plan->is_wide || has_value;
  switch (atom->kind) {
    case TN_ATOM_SYMBOL: put_kernel_symbol(p, atom->symbol); break;
    case TN_ATOM_FLOORDIV: put_division(p, "/", is_wide ? "tn_floordiv_i64" : "tn_floordiv_i32", atom); break;
    case TN_ATOM_MOD: put_division(p, "%", is_wide ? "tn_floormod_i64" : "tn_floormod_i32", atom); break;
    case TN_ATOM_MIN: put_call(p, is_wide ? "tn_least_i64" : "tn_least_i32", atom); break;
    case TN_ATOM_MAX: put_call(p, is_wide ? "tn_most_i64" : "tn_most_i32", atom); break;
    case TN_ATOM_BCAST: put_call(p, is_wide ? "tn_bcast_i64" : "tn_bcast_i32", atom); break;
  }
}

static void put_kernel_dim(printer *p, const tn_dim *dim) {
  const char *tail = p->gen->plan->is_wide ? "ll" : "";
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    const tn_term *term = &dim->terms[i];
    long long c = term->coefficient, size = c < 0 && c != INT64_MIN ? -c : c;
    if (i > 0 || c < 0) tn_buf_puts(p->out, i == 0 ? "-" : c < 0 ? " - " : " + ");
    for (uint32_t k = 0; k < term->n_atoms; k++) {
      if (k > 0) tn_buf_putc(p->out, '*');
      put_kernel_atom(p, term->atoms[k]);
    }
    if (size == 1 && term->n_atoms > 0) continue;
    if (term->n_atoms > 0) tn_buf_putc(p->out, '*');
    tn_buf_printf(p->out, "%lld%s", size, tail);
  }
  if (dim->n_terms == 0) tn_buf_putc(p->out, '0');
}

const char *tn_cuda_index(tn_cuda_gen *gen, const tn_dim *dim) {
  tn_buf out = tn_buf_create(gen->arena);
  printer p = {.gen = gen, .out = &out};
  put_dim(&p, dim);
  return out.data;
}

/* --- On the host --- */

static void put_host_symbol(printer *p, const tn_symbol *symbol) {
  for (size_t i = 0; i < p->program->bindings.n; i++)
    if (p->program->bindings.data[i].symbol == symbol) {
      tn_buf_printf(p->out, "s[%zu]", i);
      return;
    }
  TN_ASSERT(!"a size of the program is bound by no input");
}

static void put_host_atom(printer *p, const tn_atom *atom) {
  static const char *const names[] = {[TN_ATOM_FLOORDIV] = "tn_host_floordiv(bad, ",
                                      [TN_ATOM_MOD] = "tn_host_mod(bad, ", [TN_ATOM_MIN] = "tn_host_min(",
                                      [TN_ATOM_MAX] = "tn_host_max(", [TN_ATOM_BCAST] = "tn_host_bcast("};
  if (atom->kind == TN_ATOM_SYMBOL) {
    put_host_symbol(p, atom->symbol);
    return;
  }
  tn_buf_puts(p->out, names[atom->kind]);
  put_dim(p, atom->p);
  tn_buf_puts(p->out, ", ");
  put_dim(p, atom->q);
  tn_buf_putc(p->out, ')');
}

static void put_host_term(printer *p, const tn_term *term) {
  bool has_factor = term->coefficient != 1 || term->n_atoms == 0;
  uint32_t n_calls = term->n_atoms + has_factor - 1;
  for (uint32_t i = 0; i < n_calls; i++) tn_buf_puts(p->out, "tn_host_mul(bad, ");
  for (uint32_t i = 0; i < term->n_atoms; i++) {
    put_host_atom(p, term->atoms[i]);
    if (i > 0) tn_buf_putc(p->out, ')');
    if (i < n_calls) tn_buf_puts(p->out, ", ");
  }
  if (!has_factor) return;
  long long c = term->coefficient; /* the least number has no literal of its own */
  if (c < 0) tn_buf_printf(p->out, "(%lldll - 1)", c + 1);
  else tn_buf_printf(p->out, "%lldll", c);
  if (n_calls > 0) tn_buf_putc(p->out, ')');
}

static void put_host_dim(printer *p, const tn_dim *dim) {
  for (uint32_t i = 1; i < dim->n_terms; i++) tn_buf_puts(p->out, "tn_host_add(bad, ");
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    put_host_term(p, &dim->terms[i]);
    if (i > 0) tn_buf_putc(p->out, ')');
    if (i + 1 < dim->n_terms) tn_buf_puts(p->out, ", ");
  }
  if (dim->n_terms == 0) tn_buf_putc(p->out, '0');
}

const char *tn_cuda_host_dim(tn_arena *arena, const tn_program *program, const tn_dim *dim) {
  tn_buf out = tn_buf_create(arena);
  printer p = {.program = program, .out = &out};
  put_dim(&p, dim);
  return out.data;
}

static void put_dim(printer *p, const tn_dim *dim) {
  if (p->gen != NULL) put_kernel_dim(p, dim);
  else put_host_dim(p, dim);
}
