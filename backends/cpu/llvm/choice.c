/* The descriptor of a model with code for several processors, and the C functions over it: a context takes the code for
 * the processor it is made on. It is made for the least processor. */
#include "backends/cpu/llvm/entry.h"
#include "runtime/abi.h"

typedef struct choice {
  tn_entry e;
  const char *const *prefixes, *const *names;
  uint32_t n;
  LLVMValueRef variants; /* the tnrt_variants */
} choice;

static LLVMValueRef constant(tn_lower *l, LLVMValueRef value, const char *name) {
  LLVMValueRef global = tn_entry_constant(l, name, value);
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  return global;
}

static LLVMValueRef pointers(tn_lower *l, LLVMValueRef *rows, uint32_t n, const char *name) {
  return constant(l, LLVMConstArray2(l->ptr, rows, n), name);
}

static LLVMTypeRef choose_type(tn_lower *l) {
  return LLVMFunctionType(l->i32, (LLVMTypeRef[]){l->ptr, l->ptr, l->i64}, 3, false);
}

static void emit_variants(choice *c) {
  tn_lower *l = c->e.l;
  LLVMValueRef *models = TN_NEW_N(l->arena, LLVMValueRef, c->n), *names = TN_NEW_N(l->arena, LLVMValueRef, c->n);
  for (uint32_t i = 0; i < c->n; i++) {
    models[i] = LLVMAddGlobal(l->module, l->i8, tn_arena_printf(l->arena, "%s_descriptor", c->prefixes[i]));
    LLVMSetVisibility(models[i], LLVMHiddenVisibility);
    names[i] = tn_entry_text(l, c->names[i]);
  }
  LLVMValueRef fields[5] = {LLVMConstInt(l->i32, c->n, false), LLVMConstNull(l->i32),
                            pointers(l, names, c->n, "variant_names"), pointers(l, models, c->n, "variant_models"),
                            LLVMAddFunction(l->module, "tnrt_variants_choose", choose_type(l))};
  LLVMValueRef record = LLVMConstStructInContext(l->llvm, fields, 5, false);
  c->variants = c->e.variants = constant(l, record, "variants");
}

void tn_entry_emit_choice(tn_lower *l, const tn_program *program, const tn_emit_options *options,
                          const char *const *prefixes, const char *const *names, uint32_t n) {
  choice c = {.e = {.l = l, .program = program, .options = options}, .prefixes = prefixes, .names = names, .n = n};
  tn_entry_find_ports(&c.e);
  tn_entry_find_checks(&c.e);
  emit_variants(&c);
  tn_entry_emit_model(&c.e);
  if (!options->is_variant) tn_entry_emit_c_level(&c.e);
}
