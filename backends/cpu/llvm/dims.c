/* Dims as code: polynomials over the size symbols, with or without a record of overflow. */
#include "backends/cpu/llvm/entry.h"

tn_dim_code tn_dim_code_start(tn_lower *l, const tn_program *program, LLVMValueRef array, bool is_checked) {
  tn_dim_code code = {.l = l, .program = program, .is_checked = is_checked};
  size_t n = program->bindings.n + program->late.n;
  code.symbols = TN_NEW_N(l->arena, LLVMValueRef, n);
  code.overflow = LLVMConstInt(l->i1, 0, false);
  code.values = tn_map_create(l->arena);
  size_t n_known = is_checked ? program->bindings.n : n;
  for (size_t i = 0; array != NULL && i < n_known; i++)
    code.symbols[i] = tn_entry_load(l, array, 8 * i, l->i64);
  return code;
}

tn_dim_code tn_dim_code_inside(const tn_dim_code *outer, const tn_symbol *loop, LLVMValueRef iteration) {
  tn_dim_code code = *outer;
  size_t n = outer->program->bindings.n + outer->program->late.n;
  code.symbols = tn_arena_copy(outer->l->arena, outer->symbols, n * sizeof *outer->symbols);
  code.values = tn_map_create(outer->l->arena);
  code.outer = outer;
  code.loop = loop;
  code.iteration = iteration;
  return code;
}

static void note_overflow(tn_dim_code *code, LLVMValueRef happened) {
  code->overflow = LLVMBuildOr(code->l->builder, code->overflow, happened, "");
}

/* x op y, with op add or mul. */
static LLVMValueRef arithmetic(tn_dim_code *code, bool is_product, LLVMValueRef x, LLVMValueRef y) {
  LLVMBuilderRef b = code->l->builder;
  if (!code->is_checked || (LLVMIsConstant(x) && LLVMIsConstant(y)))
    return is_product ? LLVMBuildMul(b, x, y, "") : LLVMBuildAdd(b, x, y, "");
  const char *name = is_product ? "llvm.smul.with.overflow" : "llvm.sadd.with.overflow";
  LLVMValueRef both = tn_lower_binary(code->l, name, x, y);
  note_overflow(code, LLVMBuildExtractValue(b, both, 1, ""));
  return LLVMBuildExtractValue(b, both, 0, "");
}

static LLVMValueRef symbol_value(tn_dim_code *code, const tn_symbol *symbol) {
  for (size_t i = 0; i < code->program->bindings.n; i++)
    if (code->program->bindings.data[i].symbol == symbol) return code->symbols[i];
  for (size_t i = 0; i < code->program->late.n; i++)
    if (code->program->late.data[i] == symbol) return code->symbols[code->program->bindings.n + i];
  for (const tn_dim_code *at = code; at != NULL; at = at->outer)
    if (at->loop == symbol) return at->iteration;
  TN_ASSERT(!"tn_program_check_sizes let an unbound size pass");
  return LLVMConstNull(code->l->i64);
}

/* Toward minus infinity; a divisor that is not positive is replaced by 1 (and counts as overflow). */
static LLVMValueRef divide(tn_dim_code *code, bool wants_rest, LLVMValueRef p, LLVMValueRef q) {
  LLVMBuilderRef b = code->l->builder;
  LLVMValueRef zero = LLVMConstNull(code->l->i64), one = LLVMConstInt(code->l->i64, 1, false);
  LLVMValueRef is_wrong = LLVMBuildICmp(b, LLVMIntSLE, q, zero, "");
  if (code->is_checked) note_overflow(code, is_wrong);
  q = tn_lower_select(code->l, is_wrong, one, q);
  LLVMValueRef rest = LLVMBuildSRem(b, p, q, ""), is_below = LLVMBuildICmp(b, LLVMIntSLT, rest, zero, "");
  if (wants_rest) return tn_lower_select(code->l, is_below, LLVMBuildAdd(b, rest, q, ""), rest);
  return LLVMBuildAdd(b, LLVMBuildSDiv(b, p, q, ""), LLVMBuildSExt(b, is_below, code->l->i64, ""), "");
}

static LLVMValueRef atom_value(tn_dim_code *code, const tn_atom *atom) {
  if (atom->kind == TN_ATOM_SYMBOL) return symbol_value(code, atom->symbol);
  LLVMValueRef p = tn_dim_code_value(code, atom->p), q = tn_dim_code_value(code, atom->q);
  switch (atom->kind) {
    case TN_ATOM_FLOORDIV: return divide(code, false, p, q);
    case TN_ATOM_MOD: return divide(code, true, p, q);
    case TN_ATOM_MIN: return tn_lower_binary(code->l, "llvm.smin", p, q);
    case TN_ATOM_MAX: return tn_lower_binary(code->l, "llvm.smax", p, q);
    default: {
      TN_ASSERT(atom->kind == TN_ATOM_BCAST);
      LLVMValueRef is_one = LLVMBuildICmp(code->l->builder, LLVMIntEQ, p, LLVMConstInt(code->l->i64, 1, false), "");
      return tn_lower_select(code->l, is_one, q, p);
    }
  }
}

LLVMValueRef tn_dim_code_value(tn_dim_code *code, const tn_dim *dim) {
  for (const tn_dim_code *at = code; at != NULL; at = at->outer) {
    LLVMValueRef known = tn_map_get(&at->values, dim);
    if (known != NULL) return known;
  }
  LLVMValueRef sum = NULL;
  for (uint32_t t = 0; t < dim->n_terms; t++) {
    const tn_term *term = &dim->terms[t];
    LLVMValueRef product = term->coefficient == 1 && term->n_atoms > 0
                               ? atom_value(code, term->atoms[0])
                               : tn_lower_constant_i64(code->l, term->coefficient);
    for (uint32_t a = term->coefficient == 1 ? 1 : 0; a < term->n_atoms; a++)
      product = arithmetic(code, true, product, atom_value(code, term->atoms[a]));
    sum = sum == NULL ? product : arithmetic(code, false, sum, product);
  }
  if (sum == NULL) sum = LLVMConstNull(code->l->i64);
  tn_map_set(&code->values, dim, sum);
  return sum;
}
