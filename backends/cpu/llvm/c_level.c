/* The C functions of the header that backends/object writes, and the record for programs that do not know the model
 * (runtime/tenon.h). Each hands over to the runtime, with the descriptor where there is no context yet. */
#include "backends/cpu/llvm/entry.h"
#include "runtime/abi.h"

enum { MODEL_VERSION = 1, MODEL_BYTES = 112 }; /* of runtime/tenon.h; a test compares */

/* A call of a function of the runtime. */
static LLVMValueRef call_runtime(tn_entry *e, const char *name, LLVMTypeRef result, LLVMValueRef *args, unsigned n) {
  LLVMTypeRef types[8];
  TN_ASSERT(n <= TN_ARRAY_LEN(types));
  for (unsigned i = 0; i < n; i++) types[i] = LLVMTypeOf(args[i]);
  LLVMTypeRef type = LLVMFunctionType(result, types, n, false);
  LLVMValueRef function = LLVMGetNamedFunction(e->l->module, name);
  if (function == NULL) function = LLVMAddFunction(e->l->module, name, type);
  return LLVMBuildCall2(e->l->builder, type, function, args, n, "");
}

/* A function that calls one of the runtime with its own parameters. */
static LLVMValueRef emit_forward(tn_entry *e, const char *name, bool is_public, const char *callee, LLVMTypeRef result,
                                 LLVMTypeRef *types, unsigned n) {
  LLVMValueRef args[8];
  LLVMValueRef f = tn_entry_function(e, name, LLVMFunctionType(result, types, n, false), is_public);
  LLVMGetParams(f, args);
  LLVMValueRef value = call_runtime(e, callee, result, args, n);
  if (result == e->l->nothing) LLVMBuildRetVoid(e->l->builder);
  else LLVMBuildRet(e->l->builder, value);
  return f;
}

/* n parameters from `first` on as an array of 8-byte elements. */
static LLVMValueRef parameter_array(tn_entry *e, LLVMValueRef function, unsigned first, unsigned n) {
  LLVMValueRef array = LLVMBuildAlloca(e->l->builder, LLVMArrayType2(e->l->i64, n == 0 ? 1 : n), "");
  for (unsigned i = 0; i < n; i++) tn_entry_store(e->l, LLVMGetParam(function, first + i), array, 8 * (uint64_t)i);
  return array;
}

/* size_t sized_arena(const int64_t *symbols) */
static LLVMValueRef emit_sized_arena(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMValueRef f = tn_entry_function(e, "sized_arena", LLVMFunctionType(l->i64, &l->ptr, 1, false), false);
  LLVMValueRef args[2] = {e->model, LLVMGetParam(f, 0)};
  LLVMBuildRet(l->builder, call_runtime(e, "tnrt_ctx_arena_bytes", l->i64, args, 2));
  return f;
}

/* size_t arena_bytes(int64_t...) */
static void emit_arena_bytes(tn_entry *e) {
  tn_lower *l = e->l;
  unsigned n = (unsigned)e->program->bindings.n;
  LLVMTypeRef *types = TN_NEW_N(l->arena, LLVMTypeRef, n);
  for (unsigned i = 0; i < n; i++) types[i] = l->i64;
  LLVMValueRef f = tn_entry_function(e, "arena_bytes", LLVMFunctionType(l->i64, types, n, false), true);
  LLVMValueRef args[2] = {e->model, parameter_array(e, f, 0, n)};
  LLVMBuildRet(l->builder, call_runtime(e, "tnrt_ctx_arena_bytes", l->i64, args, 2));
}

static LLVMValueRef runtime_constant(tn_entry *e, const char *name) {
  LLVMValueRef global = LLVMAddGlobal(e->l->module, e->l->i8, name);
  LLVMSetVisibility(global, LLVMHiddenVisibility);
  LLVMSetGlobalConstant(global, true);
  return global;
}

/* What a context may use, a tnrt_services. */
static LLVMValueRef emit_services(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMTypeRef set_threads = LLVMFunctionType(l->i32, (LLVMTypeRef[]){l->ptr, l->i32}, 2, false);
  LLVMValueRef none = LLVMConstNull(l->ptr);
  LLVMValueRef fields[2] = {
      e->options->no_heap ? none : runtime_constant(e, "tnrt_alloc_libc"),
      e->options->n_threads == 1 ? none : LLVMAddFunction(l->module, "tnrt_ctx_set_threads", set_threads)};
  LLVMValueRef value = LLVMConstStructInContext(l->llvm, fields, 2, false);
  LLVMValueRef global = tn_entry_constant(l, "services", value);
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  return global;
}

/* int create_from(ctx **out, const char *weights, void *arena, size_t arena_bytes, int n_threads) */
static LLVMValueRef emit_create_from(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMTypeRef types[5] = {l->ptr, l->ptr, l->ptr, l->i64, l->i32};
  LLVMValueRef services = emit_services(e);
  LLVMTypeRef type = LLVMFunctionType(l->i32, types, 5, false);
  LLVMValueRef f = tn_entry_function(e, "create_from", type, e->options->external != NULL), own[5];
  LLVMGetParams(f, own);
  LLVMValueRef args[7] = {own[0], e->model, services, own[1], own[2], own[3], own[4]};
  LLVMBuildRet(l->builder, call_runtime(e, "tnrt_level_create", l->i32, args, 7));
  return f;
}

/* int create(ctx **out, void *arena, size_t arena_bytes, int n_threads) */
static void emit_create(tn_entry *e, LLVMValueRef create_from) {
  tn_lower *l = e->l;
  LLVMTypeRef types[4] = {l->ptr, l->ptr, l->i64, l->i32}, type = LLVMFunctionType(l->i32, types, 4, false);
  LLVMValueRef f = tn_entry_function(e, "create", type, true), own[4];
  LLVMGetParams(f, own);
  LLVMValueRef args[5] = {own[0], LLVMConstNull(l->ptr), own[1], own[2], own[3]};
  LLVMBuildRet(l->builder,
               LLVMBuildCall2(l->builder, LLVMGlobalGetValueType(create_from), create_from, args, 5, ""));
  if (e->options->checked_create != NULL) LLVMAddAlias2(l->module, type, 0, f, e->options->checked_create);
}

/* The outputs' pointers from parameter `first` on; a late output has two parameters, and no memory of the caller's. */
static LLVMValueRef output_array(tn_entry *e, LLVMValueRef function, unsigned first) {
  tn_lower *l = e->l;
  LLVMValueRef array = LLVMBuildAlloca(l->builder, LLVMArrayType2(l->ptr, e->n_outputs + 1), "");
  for (uint32_t i = 0; i < e->n_outputs; i++) {
    bool is_late = tn_type_is_late(e->outputs[i]);
    tn_entry_store(l, is_late ? LLVMConstNull(l->ptr) : LLVMGetParam(function, first), array, 8 * (uint64_t)i);
    first += is_late ? 2 : 1;
  }
  return array;
}

/* Unless the run failed, tells the caller where late outputs are, and their extents. */
static void give_outputs(tn_entry *e, LLVMValueRef function, unsigned first, LLVMValueRef status) {
  tn_lower *l = e->l;
  LLVMValueRef is_right = LLVMBuildICmp(l->builder, LLVMIntEQ, status, LLVMConstInt(l->i32, TNRT_OK, false), "");
  LLVMValueRef is_clamped = LLVMBuildICmp(l->builder, LLVMIntEQ, status, LLVMConstInt(l->i32, TNRT_INDEX, false), "");
  LLVMBasicBlockRef give = tn_lower_block(l, "give"), end = tn_lower_block(l, "given");
  LLVMBuildCondBr(l->builder, LLVMBuildOr(l->builder, is_right, is_clamped, ""), give, end);
  LLVMPositionBuilderAtEnd(l->builder, give);
  for (uint32_t i = 0; i < e->n_outputs; i++, first++) {
    if (!tn_type_is_late(e->outputs[i])) continue;
    LLVMValueRef args[4] = {LLVMGetParam(function, 0), LLVMConstInt(l->i32, i, false), LLVMGetParam(function, first),
                            LLVMGetParam(function, first + 1)};
    call_runtime(e, "tnrt_ctx_give_output", l->nothing, args, 4);
    first++;
  }
  LLVMBuildBr(l->builder, end);
  LLVMPositionBuilderAtEnd(l->builder, end);
}

/* int run(ctx, sizes..., inputs..., outputs...); a late output is where its pointer goes, and where its extents go. */
static void emit_run(tn_entry *e) {
  tn_lower *l = e->l;
  unsigned n_symbols = (unsigned)e->program->bindings.n, first = 1 + n_symbols + e->n_inputs, n_late = 0;
  for (uint32_t i = 0; i < e->n_outputs; i++) n_late += tn_type_is_late(e->outputs[i]);
  unsigned n = first + e->n_outputs + n_late;
  LLVMTypeRef *types = TN_NEW_N(l->arena, LLVMTypeRef, n);
  for (unsigned i = 0; i < n; i++) types[i] = i >= 1 && i <= n_symbols ? l->i64 : l->ptr;
  LLVMValueRef f = tn_entry_function(e, "run", LLVMFunctionType(l->i32, types, n, false), true);
  LLVMValueRef args[4] = {LLVMGetParam(f, 0), parameter_array(e, f, 1, n_symbols),
                          parameter_array(e, f, 1 + n_symbols, e->n_inputs), output_array(e, f, first)};
  LLVMValueRef status = call_runtime(e, "tnrt_ctx_run_sized", l->i32, args, 4);
  if (n_late > 0) give_outputs(e, f, first, status);
  LLVMBuildRet(l->builder, status);
}

/* The functions of the record <prefix>_model. */
typedef struct functions {
  LLVMValueRef arena_bytes, create, run, message, destroy;
} functions;

/* The record <prefix>_model; its tables are the descriptor's. */
static void emit_record(tn_entry *e, const functions *f) {
  tn_lower *l = e->l;
  LLVMValueRef fields[] = {
      LLVMConstInt(l->i32, MODEL_BYTES, false), LLVMConstInt(l->i32, MODEL_VERSION, false),
      e->name, e->producer, e->target_text,
      LLVMConstInt(l->i32, e->program->bindings.n, false), LLVMConstInt(l->i32, e->n_inputs, false),
      LLVMConstInt(l->i32, e->n_outputs, false), LLVMConstNull(l->i32),
      e->symbols, e->input_ports, e->output_ports, f->arena_bytes, f->create, f->run, f->message, f->destroy};
  LLVMValueRef value = LLVMConstStructInContext(l->llvm, fields, TN_ARRAY_LEN(fields), false);
  tn_entry_constant(l, tn_arena_printf(l->arena, "%s_model", e->options->prefix), value);
}

void tn_entry_emit_c_level(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMTypeRef ptr = l->ptr, three[3] = {ptr, ptr, ptr};
  functions f = {.arena_bytes = emit_sized_arena(e), .create = emit_create_from(e)};
  emit_arena_bytes(e);
  emit_create(e, f.create);
  emit_run(e);
  f.run = emit_forward(e, "run_tensors", true, "tnrt_ctx_run", l->i32, three, 3);
  f.message = emit_forward(e, "message", true, "tnrt_ctx_message", ptr, three, 1);
  f.destroy = emit_forward(e, "destroy", true, "tnrt_ctx_destroy", l->nothing, three, 1);
  emit_record(e, &f);
}
