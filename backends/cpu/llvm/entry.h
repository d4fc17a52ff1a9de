/* The entry of a program: the functions and the descriptor of runtime/abi.h, and the typed C functions of the header
 * that backends/object writes. */
#ifndef TN_BACKENDS_CPU_LLVM_ENTRY_H
#define TN_BACKENDS_CPU_LLVM_ENTRY_H

#include "backends/cpu/llvm/lower.h"

/* One check of bind, and one row of the descriptor's guards. */
typedef struct tn_entry_check {
  enum { TN_CHECK_AT_LEAST, TN_CHECK_AT_MOST, TN_CHECK_EXTENT, TN_CHECK_EQ, TN_CHECK_GE, TN_CHECK_LE } kind;
  uint32_t input, axis; /* EXTENT */
  uint32_t slot;        /* AT_LEAST, AT_MOST: of the symbol; late ones stand behind the bindings */
  int64_t bound;
  const tn_dim *p, *q;  /* EQ, LE; EXTENT: q is what is expected */
  const char *text, *place;
  bool is_late;         /* decided by a READ or CHECK step, not by bind */
} tn_entry_check;

typedef struct tn_entry {
  tn_lower *l;
  const tn_program *program;
  const tn_emit_options *options;
  const char *const *kernel_names; /* one a step (tn_program_all_steps); NULL for others than kernels */
  uint32_t n_inputs, n_outputs;
  uint32_t n_steps; /* those inside others included */
  tn_value *const *inputs;
  const tn_type **outputs;
  TN_VEC(tn_entry_check) checks;
  uint32_t first_guard;      /* in checks: the program's, in order */
  const tn_completion *news; /* one a step */
  LLVMValueRef bind, check_sizes, out_extents, arena_bytes, run, guards, model;
  LLVMValueRef costs; /* executables only; else NULL */
  LLVMValueRef name, producer, target_text, symbols, input_ports, output_ports; /* parts of model */
  LLVMValueRef weights, external; /* the one or the other; NULL */
  LLVMValueRef variants;          /* of the descriptor that stands for several programs; NULL */
} tn_entry;

/* Code for dims over a program's symbols. Values are computed once, so code must only go on in blocks that those before
 * dominate. */
typedef struct tn_dim_code {
  tn_lower *l;
  const tn_program *program;
  LLVMValueRef *symbols;  /* one a binding, then one a late symbol: right where that has been read */
  bool is_checked;        /* keep overflow */
  LLVMValueRef overflow;  /* i1: some result so far did not fit */
  tn_map values;
  const struct tn_dim_code *outer; /* of code inside a loop: what was computed before the loop; else NULL */
  const tn_symbol *loop;           /* the loop's symbol, and its value */
  LLVMValueRef iteration;
} tn_dim_code;

/* dims.c. Symbols are loaded where the builder stands, from `array`, an int64_t[n]; NULL: the caller fills
 * code->symbols. Checked code runs before sizes are found, so late symbols are not there for it. */
tn_dim_code tn_dim_code_start(tn_lower *l, const tn_program *program, LLVMValueRef array, bool is_checked);
/* For code that does not always run, or runs again and again: sees what outer computed, outer sees nothing of it. loop
 * may be NULL. outer must stay where it is. */
tn_dim_code tn_dim_code_inside(const tn_dim_code *outer, const tn_symbol *loop, LLVMValueRef iteration);
LLVMValueRef tn_dim_code_value(tn_dim_code *code, const tn_dim *dim);

/* Fills entry->inputs, outputs. */
void tn_entry_find_ports(tn_entry *e);
/* Fills entry->checks and what tells of them. */
void tn_entry_find_checks(tn_entry *e);
/* Found and expected of a check; *out_predicate is how found must stand to expected. extents: those of bind, for
 * EXTENT. */
void tn_entry_check_sides(tn_entry *e, tn_dim_code *code, LLVMValueRef extents, const tn_entry_check *check,
                          LLVMValueRef *out_found, LLVMValueRef *out_expected, LLVMIntPredicate *out_predicate);
void tn_entry_emit_bind(tn_entry *e);
/* int32 check_sizes(symbols, out_expected, out_found): those checks of bind that need no extents. */
void tn_entry_emit_check_sizes(tn_entry *e);
void tn_entry_emit_extents(tn_entry *e);
void tn_entry_emit_arena_bytes(tn_entry *e);
/* costs.c */
void tn_entry_emit_costs(tn_entry *e);
void tn_entry_emit_run(tn_entry *e);
void tn_entry_emit_model(tn_entry *e);
void tn_entry_emit_c_level(tn_entry *e);

/* choice.c: what stands for programs of one model for several processors; see backend.h. */
void tn_entry_emit_choice(tn_lower *l, const tn_program *program, const tn_emit_options *options,
                          const char *const *prefixes, const char *const *names, uint32_t n);

/* Small helpers of all of these (entry.c). */
/* A new function with its entry block; the builder stands in it. */
LLVMValueRef tn_entry_function(tn_entry *e, const char *name, LLVMTypeRef type, bool is_public);
LLVMValueRef tn_entry_at(tn_lower *l, LLVMValueRef base, uint64_t offset_bytes);
LLVMValueRef tn_entry_load(tn_lower *l, LLVMValueRef base, uint64_t offset_bytes, LLVMTypeRef type);
void tn_entry_store(tn_lower *l, LLVMValueRef value, LLVMValueRef base, uint64_t offset_bytes);
/* A constant of the module, aligned to 8. */
LLVMValueRef tn_entry_constant(tn_lower *l, const char *name, LLVMValueRef value);
/* A private string constant. */
LLVMValueRef tn_entry_text(tn_lower *l, const char *text);

/* The features the code needs: "avx2,fma" of "+avx2,+fma". describe.c */
const char *tn_entry_needs(tn_entry *e);

/* The module of a program's entry: everything above. kernel_names: one a step. */
void tn_entry_emit(tn_lower *l, const tn_program *program, const tn_emit_options *options,
                   const char *const *kernel_names);

#endif
