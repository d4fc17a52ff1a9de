/* The C functions and the descriptor of a model with code for several processors. Each function finds out whose code is
 * meant (create by cpuid, the others by their context) and calls that. It is made for the least processor. */
#include "backends/cpu/llvm/entry.h"
#include "runtime/abi.h"

typedef struct choice {
  tn_entry e;
  const char *const *prefixes, *const *names;
  uint32_t n;
  LLVMValueRef variants; /* the tnrt_variants */
} choice;

static LLVMValueRef constant(tn_lower *l, LLVMTypeRef type, LLVMValueRef value, const char *name) {
  LLVMValueRef global = LLVMAddGlobal(l->module, type, name);
  LLVMSetInitializer(global, value);
  LLVMSetGlobalConstant(global, true);
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  LLVMSetAlignment(global, 8);
  return global;
}

static LLVMValueRef pointers(tn_lower *l, LLVMValueRef *rows, uint32_t n, const char *name) {
  return constant(l, LLVMArrayType2(l->ptr, n), LLVMConstArray2(l->ptr, rows, n), name);
}

static LLVMTypeRef choose_type(tn_lower *l) {
  return LLVMFunctionType(l->i32, (LLVMTypeRef[]){l->ptr, l->ptr, l->i64}, 3, false);
}

static void emit_variants(choice *c) {
  tn_lower *l = c->e.l;
  LLVMValueRef *models = TN_NEW_N(l->arena, LLVMValueRef, c->n), *names = TN_NEW_N(l->arena, LLVMValueRef, c->n);
  for (uint32_t i = 0; i < c->n; i++) {
    models[i] = LLVMAddGlobal(l->module, l->i8, tn_arena_printf(l->arena, "%s_model", c->prefixes[i]));
    LLVMSetVisibility(models[i], LLVMHiddenVisibility);
    names[i] = tn_entry_text(l, c->names[i]);
  }
  LLVMValueRef fields[5] = {LLVMConstInt(l->i32, c->n, false), LLVMConstNull(l->i32),
                            pointers(l, names, c->n, "variant_names"), pointers(l, models, c->n, "variant_models"),
                            LLVMAddFunction(l->module, "tnrt_variants_choose", choose_type(l))};
  LLVMValueRef record = LLVMConstStructInContext(l->llvm, fields, 5, false);
  c->variants = c->e.variants = constant(l, LLVMTypeOf(record), record, "variants");
}

/* i32: the position of the code for this processor, or minus a status. */
static LLVMValueRef choose(choice *c) {
  tn_lower *l = c->e.l;
  LLVMValueRef args[3] = {c->variants, LLVMConstNull(l->ptr), LLVMConstNull(l->i64)};
  LLVMValueRef function = LLVMGetNamedFunction(l->module, "tnrt_variants_choose");
  return LLVMBuildCall2(l->builder, choose_type(l), function, args, 3, "");
}

/* Calls the function `name` of the chosen code with the arguments of this one; goes on behind with its result. */
static LLVMValueRef call_chosen(choice *c, LLVMValueRef function, LLVMTypeRef type, const char *name,
                                LLVMValueRef chosen) {
  tn_lower *l = c->e.l;
  LLVMBuilderRef b = l->builder;
  unsigned n_args = LLVMCountParams(function);
  LLVMValueRef *args = TN_NEW_N(l->arena, LLVMValueRef, n_args);
  LLVMGetParams(function, args);
  LLVMBasicBlockRef end = tn_lower_block(l, "called");
  LLVMValueRef *results = TN_NEW_N(l->arena, LLVMValueRef, c->n);
  LLVMBasicBlockRef *blocks = TN_NEW_N(l->arena, LLVMBasicBlockRef, c->n);
  for (uint32_t i = 0; i < c->n; i++) blocks[i] = tn_lower_block(l, c->names[i]);
  LLVMValueRef choices = LLVMBuildSwitch(b, chosen, blocks[0], c->n);
  for (uint32_t i = 0; i < c->n; i++) {
    LLVMAddCase(choices, LLVMConstInt(LLVMTypeOf(chosen), i, false), blocks[i]);
    LLVMPositionBuilderAtEnd(b, blocks[i]);
    LLVMValueRef callee = LLVMAddFunction(l->module, tn_arena_printf(l->arena, "%s_%s", c->prefixes[i], name), type);
    LLVMSetVisibility(callee, LLVMHiddenVisibility);
    results[i] = LLVMBuildCall2(b, type, callee, args, n_args, "");
    LLVMBuildBr(b, end);
  }
  LLVMPositionBuilderAtEnd(b, end);
  if (LLVMGetReturnType(type) == l->nothing) return NULL;
  LLVMValueRef phi = LLVMBuildPhi(b, LLVMGetReturnType(type), "");
  LLVMAddIncoming(phi, results, blocks, c->n);
  return phi;
}

/* Returns `value` unless the condition holds, and goes on where it does. */
static void return_unless(choice *c, LLVMValueRef holds, LLVMValueRef value) {
  tn_lower *l = c->e.l;
  LLVMBasicBlockRef otherwise = tn_lower_block(l, "otherwise"), go_on = tn_lower_block(l, "go_on");
  LLVMBuildCondBr(l->builder, holds, go_on, otherwise);
  LLVMPositionBuilderAtEnd(l->builder, otherwise);
  if (value == NULL) LLVMBuildRetVoid(l->builder);
  else LLVMBuildRet(l->builder, value);
  LLVMPositionBuilderAtEnd(l->builder, go_on);
}

static LLVMValueRef is_found(choice *c, LLVMValueRef chosen) {
  return LLVMBuildICmp(c->e.l->builder, LLVMIntSGE, chosen, LLVMConstNull(c->e.l->i32), "");
}

/* size_t arena_bytes(int64_t...): of the code that create would choose. */
static void emit_arena_bytes(choice *c) {
  tn_lower *l = c->e.l;
  unsigned n = (unsigned)c->e.program->bindings.n;
  LLVMTypeRef *types = TN_NEW_N(l->arena, LLVMTypeRef, n);
  for (unsigned i = 0; i < n; i++) types[i] = l->i64;
  LLVMTypeRef type = LLVMFunctionType(l->i64, types, n, false);
  LLVMValueRef f = tn_entry_function(&c->e, "arena_bytes", type, true);
  LLVMValueRef chosen = choose(c);
  return_unless(c, is_found(c, chosen), LLVMConstNull(l->i64));
  LLVMBuildRet(l->builder, call_chosen(c, f, type, "arena_bytes", chosen));
}

/* create, and with weights that are a file create_from. */
static void emit_create(choice *c, const char *name, LLVMTypeRef *types, unsigned n) {
  tn_lower *l = c->e.l;
  LLVMBuilderRef b = l->builder;
  LLVMTypeRef type = LLVMFunctionType(l->i32, types, n, false);
  LLVMValueRef f = tn_entry_function(&c->e, name, type, true), out = LLVMGetParam(f, 0);
  tn_entry_store(l, LLVMConstNull(l->ptr), out, 0);
  LLVMValueRef chosen = choose(c);
  return_unless(c, is_found(c, chosen), LLVMBuildNeg(b, chosen, ""));
  LLVMValueRef status = call_chosen(c, f, type, name, chosen);
  LLVMValueRef ctx = tn_entry_load(l, out, 0, l->ptr);
  return_unless(c, LLVMBuildIsNotNull(b, ctx, ""), status);
  tn_entry_store(l, LLVMBuildZExt(b, chosen, l->i64, ""), ctx, CTX_VARIANT);
  LLVMBuildRet(b, status);
}

static LLVMValueRef chosen_of(choice *c, LLVMValueRef ctx) {
  return tn_entry_load(c->e.l, ctx, CTX_VARIANT, c->e.l->i64);
}

static void emit_run(choice *c) {
  tn_lower *l = c->e.l;
  unsigned n_symbols = (unsigned)c->e.program->bindings.n, n = 1 + n_symbols + c->e.n_inputs + c->e.n_outputs;
  LLVMTypeRef *types = TN_NEW_N(l->arena, LLVMTypeRef, n);
  for (unsigned i = 0; i < n; i++) types[i] = i >= 1 && i <= n_symbols ? l->i64 : l->ptr;
  LLVMTypeRef type = LLVMFunctionType(l->i32, types, n, false);
  LLVMValueRef f = tn_entry_function(&c->e, "run", type, true);
  LLVMBuildRet(l->builder, call_chosen(c, f, type, "run", chosen_of(c, LLVMGetParam(f, 0))));
}

static void emit_message(choice *c) {
  tn_lower *l = c->e.l;
  LLVMValueRef f = tn_entry_function(&c->e, "message", LLVMFunctionType(l->ptr, &l->ptr, 1, false), true);
  LLVMValueRef ctx = LLVMGetParam(f, 0);
  LLVMValueRef why = tn_entry_text(l, "no context: the processor lacks what the code needs (or what $TENON_CPU names), "
                                      "memory gave out, or the arena is too small or not aligned to 64 bytes");
  LLVMValueRef is_there = LLVMBuildIsNotNull(l->builder, ctx, "");
  LLVMBuildRet(l->builder, tn_lower_select(l, is_there, tn_entry_at(l, ctx, CTX_MESSAGE), why));
}

static void emit_destroy(choice *c) {
  tn_lower *l = c->e.l;
  LLVMTypeRef type = LLVMFunctionType(l->nothing, &l->ptr, 1, false);
  LLVMValueRef f = tn_entry_function(&c->e, "destroy", type, true), ctx = LLVMGetParam(f, 0);
  return_unless(c, LLVMBuildIsNotNull(l->builder, ctx, ""), NULL);
  call_chosen(c, f, type, "destroy", chosen_of(c, ctx));
  LLVMBuildRetVoid(l->builder);
}

void tn_entry_emit_choice(tn_lower *l, const tn_program *program, const tn_emit_options *options,
                          const char *const *prefixes, const char *const *names, uint32_t n) {
  choice c = {.e = {.l = l, .program = program, .options = options}, .prefixes = prefixes, .names = names, .n = n};
  tn_entry_find_ports(&c.e);
  tn_entry_find_checks(&c.e);
  emit_variants(&c);
  tn_entry_emit_model(&c.e);
  emit_arena_bytes(&c);
  LLVMTypeRef create[4] = {l->ptr, l->ptr, l->i64, l->i32}, from[5] = {l->ptr, l->ptr, l->ptr, l->i64, l->i32};
  emit_create(&c, "create", create, 4);
  if (options->external != NULL) emit_create(&c, "create_from", from, 5);
  emit_run(&c);
  emit_message(&c);
  emit_destroy(&c);
}
