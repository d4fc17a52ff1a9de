/* The typed C functions of the header that backends/object writes: <prefix>_arena_bytes, _create, _run, _message and
 * _destroy, for one thread; with weights that are a file also _create_from. Of the C library they use malloc and
 * free where the caller gave no arena. */
#include <stddef.h>

#include "backends/cpu/llvm/entry.h"
#include "runtime/abi.h"

enum { MESSAGE_BYTES = TN_C_CONTEXT_BYTES - CTX_MESSAGE };

static LLVMValueRef number(tn_entry *e, int64_t v) { return tn_lower_constant_i64(e->l, v); }
static LLVMValueRef status(tn_entry *e, tnrt_status s) { return LLVMConstInt(e->l->i32, s, false); }
static LLVMValueRef null(tn_entry *e) { return LLVMConstNull(e->l->ptr); }
static LLVMValueRef field(tn_entry *e, LLVMValueRef ctx, uint64_t at) { return tn_entry_at(e->l, ctx, at); }

/* A call of a function of the C library or the runtime. */
static LLVMValueRef library(tn_entry *e, const char *name, LLVMTypeRef result, LLVMValueRef *args, unsigned n) {
  LLVMTypeRef types[8];
  TN_ASSERT(n <= TN_ARRAY_LEN(types));
  for (unsigned i = 0; i < n; i++) types[i] = LLVMTypeOf(args[i]);
  LLVMTypeRef type = LLVMFunctionType(result, types, n, false);
  LLVMValueRef function = LLVMGetNamedFunction(e->l->module, name);
  if (function == NULL) function = LLVMAddFunction(e->l->module, name, type);
  return LLVMBuildCall2(e->l->builder, type, function, args, n, "");
}

/* Goes on in a new block when the condition holds; the builder is left in the one for the case that it does not. */
static LLVMBasicBlockRef unless(tn_entry *e, LLVMValueRef holds) {
  LLVMBasicBlockRef otherwise = tn_lower_block(e->l, "unless"), go_on = tn_lower_block(e->l, "then");
  LLVMBuildCondBr(e->l->builder, holds, go_on, otherwise);
  LLVMPositionBuilderAtEnd(e->l->builder, otherwise);
  return go_on;
}

static void resume(tn_entry *e, LLVMBasicBlockRef block) { LLVMPositionBuilderAtEnd(e->l->builder, block); }

/* The function's i64 parameters from `first` on as an array. */
static LLVMValueRef symbol_array(tn_entry *e, LLVMValueRef function, unsigned first) {
  size_t n = e->program->bindings.n;
  LLVMValueRef array = LLVMBuildAlloca(e->l->builder, LLVMArrayType2(e->l->i64, n == 0 ? 1 : n), "");
  for (size_t i = 0; i < n; i++) tn_entry_store(e->l, LLVMGetParam(function, first + (unsigned)i), array, 8 * i);
  return array;
}

static LLVMValueRef call_check(tn_entry *e, LLVMValueRef symbols, LLVMValueRef expected, LLVMValueRef found) {
  LLVMTypeRef ptr = e->l->ptr;
  LLVMTypeRef type = LLVMFunctionType(e->l->i32, (LLVMTypeRef[]){ptr, ptr, ptr}, 3, false);
  return LLVMBuildCall2(e->l->builder, type, e->check_sizes, (LLVMValueRef[]){symbols, expected, found}, 3, "");
}

static LLVMValueRef plan_bytes(tn_entry *e, LLVMValueRef symbols) {
  LLVMTypeRef type = LLVMFunctionType(e->l->i64, &e->l->ptr, 1, false);
  return LLVMBuildCall2(e->l->builder, type, e->arena_bytes, &symbols, 1, "");
}

/* size_t arena_bytes(int64_t...) */
static void emit_arena_bytes(tn_entry *e) {
  tn_lower *l = e->l;
  unsigned n = (unsigned)e->program->bindings.n;
  LLVMTypeRef *types = TN_NEW_N(l->arena, LLVMTypeRef, n);
  for (unsigned i = 0; i < n; i++) types[i] = l->i64;
  LLVMValueRef f = tn_entry_function(e, "arena_bytes", LLVMFunctionType(l->i64, types, n, false), true);
  LLVMValueRef symbols = symbol_array(e, f, 0);
  LLVMValueRef expected = LLVMBuildAlloca(l->builder, l->i64, ""), found = LLVMBuildAlloca(l->builder, l->i64, "");
  LLVMValueRef failed = call_check(e, symbols, expected, found);
  LLVMBasicBlockRef go_on = unless(e, LLVMBuildICmp(l->builder, LLVMIntEQ, failed, LLVMConstNull(l->i32), ""));
  LLVMBuildRet(l->builder, number(e, 0));
  resume(e, go_on);
  LLVMValueRef bytes = plan_bytes(e, symbols);
  LLVMValueRef limit = number(e, INT64_MAX - TN_C_CONTEXT_BYTES);
  LLVMValueRef fits = LLVMBuildAnd(l->builder, LLVMBuildICmp(l->builder, LLVMIntSGE, bytes, number(e, 0), ""),
                                   LLVMBuildICmp(l->builder, LLVMIntSLE, bytes, limit, ""), "");
  LLVMValueRef all = LLVMBuildAdd(l->builder, bytes, number(e, TN_C_CONTEXT_BYTES), "");
  LLVMBuildRet(l->builder, tn_lower_select(l, fits, all, number(e, 0)));
}

static void start_context(tn_entry *e, LLVMValueRef ctx, LLVMValueRef arena, LLVMValueRef capacity, bool is_owned) {
  tn_lower *l = e->l;
  tn_entry_store(l, arena, ctx, CTX_ARENA);
  tn_entry_store(l, capacity, ctx, CTX_CAPACITY);
  tn_entry_store(l, null(e), ctx, CTX_BLOCK);
  tn_entry_store(l, number(e, is_owned), ctx, CTX_IS_OWNED);
  tn_entry_store(l, null(e), ctx, CTX_WEIGHTS);
  tn_entry_store(l, number(e, TNRT_OK), ctx, CTX_STATUS);
  LLVMBuildStore(l->builder, LLVMConstNull(l->i8), field(e, ctx, CTX_MESSAGE));
}

/* A processor that lacks something is refused before it meets code for it. */
static void refuse_processor(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMBuilderRef b = l->builder;
  LLVMTypeRef type = LLVMFunctionType(l->i1, (LLVMTypeRef[]){l->ptr, l->ptr, l->ptr}, 3, false);
  LLVMValueRef offers = LLVMAddFunction(l->module, "tnrt_cpu_offers", type);
  LLVMValueRef missing = LLVMBuildAlloca(b, l->ptr, ""), bytes = LLVMBuildAlloca(b, l->i64, "");
  LLVMBasicBlockRef go_on = tn_lower_block(l, "create");
  LLVMValueRef args[3] = {tn_entry_text(l, tn_entry_needs(e)), missing, bytes};
  LLVMBasicBlockRef refuse = tn_lower_block(l, "refuse");
  LLVMBuildCondBr(b, LLVMBuildCall2(b, type, offers, args, 3, ""), go_on, refuse);
  LLVMPositionBuilderAtEnd(b, refuse);
  LLVMBuildRet(b, status(e, TNRT_CPU));
  LLVMPositionBuilderAtEnd(b, go_on);
}

/* Ends create: the context stands, and where its weights are a file, they are mapped. A context without them remains
 * for its message. */
static void return_context(tn_entry *e, LLVMValueRef ctx, LLVMValueRef path) {
  tn_lower *l = e->l;
  LLVMBuilderRef b = l->builder;
  if (e->external == NULL) {
    LLVMBuildRet(b, status(e, TNRT_OK));
    return;
  }
  LLVMTypeRef types[5] = {l->ptr, l->ptr, l->ptr, l->ptr, l->i64};
  LLVMTypeRef type = LLVMFunctionType(l->i32, types, 5, false);
  LLVMValueRef args[5] = {e->model, path, field(e, ctx, CTX_WEIGHTS), field(e, ctx, CTX_MESSAGE),
                          number(e, MESSAGE_BYTES)};
  LLVMValueRef open = LLVMGetNamedFunction(l->module, "tnrt_weights_open");
  LLVMValueRef result = LLVMBuildCall2(b, type, open, args, 5, "");
  tn_entry_store(l, LLVMBuildZExt(b, result, l->i64, ""), ctx, CTX_STATUS);
  LLVMBuildRet(b, result);
}

/* create is create_from without a path. */
static void emit_create_default(tn_entry *e, LLVMValueRef create_from) {
  tn_lower *l = e->l;
  LLVMTypeRef types[5] = {l->ptr, l->ptr, l->ptr, l->i64, l->i32};
  LLVMTypeRef type = LLVMFunctionType(l->i32, (LLVMTypeRef[]){l->ptr, l->ptr, l->i64, l->i32}, 4, false);
  LLVMValueRef f = tn_entry_function(e, "create", type, true);
  LLVMValueRef args[5] = {LLVMGetParam(f, 0), null(e), LLVMGetParam(f, 1), LLVMGetParam(f, 2), LLVMGetParam(f, 3)};
  LLVMTypeRef from = LLVMFunctionType(l->i32, types, 5, false);
  LLVMBuildRet(l->builder, LLVMBuildCall2(l->builder, from, create_from, args, 5, ""));
}

/* The context itself in memory of the heap, which grows on the first run. */
static void create_on_heap(tn_entry *e, LLVMValueRef out, LLVMValueRef size, LLVMValueRef path) {
  tn_lower *l = e->l;
  LLVMBuilderRef b = l->builder;
  LLVMValueRef own = library(e, "malloc", l->ptr, &size, 1);
  LLVMBasicBlockRef allocated = unless(e, LLVMBuildIsNotNull(b, own, ""));
  LLVMBuildRet(b, status(e, TNRT_NO_MEMORY));
  resume(e, allocated);
  start_context(e, own, null(e), number(e, 0), true);
  tn_entry_store(l, own, out, 0);
  return_context(e, own, path);
}

/* int create(ctx **out, void *arena, size_t arena_bytes, int n_threads), or where weights are a file
 * int create_from(ctx **out, const char *weights, void *arena, size_t arena_bytes, int n_threads). */
static LLVMValueRef emit_create(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMBuilderRef b = l->builder;
  bool from = e->external != NULL;
  LLVMTypeRef types[5] = {l->ptr, l->ptr, l->ptr, l->i64, l->i32};
  if (!from) types[2] = l->i64, types[3] = l->i32;
  LLVMTypeRef type = LLVMFunctionType(l->i32, types, from ? 5 : 4, false);
  LLVMValueRef f = tn_entry_function(e, from ? "create_from" : "create", type, true);
  LLVMValueRef out = LLVMGetParam(f, 0), arena = LLVMGetParam(f, 1 + from), bytes = LLVMGetParam(f, 2u + from);
  LLVMValueRef path = from ? LLVMGetParam(f, 1) : NULL;
  tn_entry_store(l, null(e), out, 0);
  refuse_processor(e);
  LLVMBasicBlockRef given = unless(e, LLVMBuildIsNotNull(b, arena, ""));
  LLVMValueRef size = number(e, TN_C_CONTEXT_BYTES);
  if (e->options->no_heap) LLVMBuildRet(b, status(e, TNRT_NO_MEMORY));
  else create_on_heap(e, out, size, path);
  resume(e, given);
  LLVMValueRef low = LLVMBuildAnd(b, LLVMBuildPtrToInt(b, arena, l->i64, ""), number(e, 63), "");
  LLVMValueRef usable = LLVMBuildAnd(b, LLVMBuildICmp(b, LLVMIntEQ, low, number(e, 0), ""),
                                     LLVMBuildICmp(b, LLVMIntUGE, bytes, size, ""), "");
  LLVMBasicBlockRef good = unless(e, usable);
  LLVMBuildRet(b, status(e, TNRT_NO_MEMORY));
  resume(e, good);
  start_context(e, arena, field(e, arena, TN_C_CONTEXT_BYTES), LLVMBuildSub(b, bytes, size, ""), false);
  tn_entry_store(l, arena, out, 0);
  return_context(e, arena, path);
  return f;
}

/* found: a pointer to the number that was found, or NULL. */
static void set_message(tn_entry *e, LLVMValueRef ctx, LLVMValueRef text, LLVMValueRef found) {
  LLVMValueRef args[4] = {field(e, ctx, CTX_MESSAGE), number(e, MESSAGE_BYTES), text, found == NULL ? null(e) : found};
  library(e, "tnrt_level_text", e->l->nothing, args, 4);
}

static void refuse_sizes(tn_entry *e, LLVMValueRef ctx, LLVMValueRef failed, LLVMValueRef found) {
  tn_lower *l = e->l;
  if (e->checks.n > 0) {
    LLVMValueRef row = LLVMBuildSub(l->builder, LLVMBuildZExt(l->builder, failed, l->i64, ""), number(e, 1), "");
    LLVMValueRef at = LLVMBuildMul(l->builder, row, number(e, sizeof(tnrt_guard)), "");
    LLVMValueRef guard = LLVMBuildGEP2(l->builder, l->i8, e->guards, &at, 1, "");
    LLVMValueRef text = tn_entry_load(l, guard, offsetof(tnrt_guard, text), l->ptr);
    set_message(e, ctx, text, found);
  }
  LLVMBuildRet(l->builder, status(e, TNRT_BAD_SHAPE));
}

/* A larger block of the heap in place of the old one. */
static void grow(tn_entry *e, LLVMValueRef ctx, LLVMValueRef bytes) {
  tn_lower *l = e->l;
  LLVMBuilderRef b = l->builder;
  LLVMValueRef old = tn_entry_load(l, ctx, CTX_BLOCK, l->ptr);
  library(e, "free", l->nothing, &old, 1);
  tn_entry_store(l, number(e, 0), ctx, CTX_CAPACITY);
  LLVMValueRef wanted = LLVMBuildAdd(b, bytes, number(e, 64), "");
  LLVMValueRef block = library(e, "malloc", l->ptr, &wanted, 1);
  tn_entry_store(l, block, ctx, CTX_BLOCK);
  LLVMBasicBlockRef allocated = unless(e, LLVMBuildIsNotNull(b, block, ""));
  set_message(e, ctx, tn_entry_text(l, "out of memory"), NULL);
  LLVMBuildRet(b, status(e, TNRT_NO_MEMORY));
  resume(e, allocated);
  LLVMValueRef up = LLVMBuildAdd(b, LLVMBuildPtrToInt(b, block, l->i64, ""), number(e, 63), "");
  up = LLVMBuildAnd(b, up, number(e, -64), "");
  tn_entry_store(l, LLVMBuildIntToPtr(b, up, l->ptr, ""), ctx, CTX_ARENA);
  tn_entry_store(l, bytes, ctx, CTX_CAPACITY);
}

/* Memory of at least `bytes` in the context: the caller's, or our own that grows. */
static void reserve(tn_entry *e, LLVMValueRef ctx, LLVMValueRef bytes) {
  tn_lower *l = e->l;
  LLVMBuilderRef b = l->builder;
  LLVMValueRef capacity = tn_entry_load(l, ctx, CTX_CAPACITY, l->i64);
  LLVMBasicBlockRef enough = unless(e, LLVMBuildICmp(b, LLVMIntSLE, bytes, capacity, ""));
  LLVMBasicBlockRef grows = NULL;
  if (!e->options->no_heap) {
    LLVMValueRef owned = tn_entry_load(l, ctx, CTX_IS_OWNED, l->i64);
    grows = unless(e, LLVMBuildICmp(b, LLVMIntNE, owned, number(e, 0), ""));
  }
  set_message(e, ctx, tn_entry_text(l, "the arena is smaller than these sizes need"), NULL);
  LLVMBuildRet(b, status(e, TNRT_NO_MEMORY));
  if (grows != NULL) {
    resume(e, grows);
    grow(e, ctx, bytes);
    LLVMBuildBr(b, enough);
  }
  resume(e, enough);
}

static LLVMValueRef pointer_array(tn_entry *e, LLVMValueRef function, unsigned first, unsigned n) {
  LLVMValueRef array = LLVMBuildAlloca(e->l->builder, LLVMArrayType2(e->l->ptr, n == 0 ? 1 : n), "");
  for (unsigned i = 0; i < n; i++) tn_entry_store(e->l, LLVMGetParam(function, first + i), array, 8 * (uint64_t)i);
  return array;
}

static LLVMValueRef build_call(tn_entry *e, LLVMValueRef ctx, LLVMValueRef symbols, LLVMValueRef inputs,
                               LLVMValueRef outputs) {
  tn_lower *l = e->l;
  LLVMValueRef call = LLVMBuildAlloca(l->builder, LLVMArrayType2(l->i64, sizeof(tnrt_call) / 8), "");
  LLVMSetAlignment(call, 8);
  tn_entry_store(l, symbols, call, offsetof(tnrt_call, symbols));
  tn_entry_store(l, inputs, call, offsetof(tnrt_call, inputs));
  tn_entry_store(l, outputs, call, offsetof(tnrt_call, outputs));
  tn_entry_store(l, tn_entry_load(l, ctx, CTX_ARENA, l->ptr), call, offsetof(tnrt_call, arena));
  LLVMValueRef weights = e->weights == NULL ? null(e) : e->weights;
  if (e->external != NULL) weights = tn_entry_load(l, ctx, CTX_WEIGHTS, l->ptr);
  tn_entry_store(l, weights, call, offsetof(tnrt_call, weights));
  tn_entry_store(l, null(e), call, offsetof(tnrt_call, pool));
  tn_entry_store(l, null(e), call, offsetof(tnrt_call, parallel));
  tn_entry_store(l, null(e), call, offsetof(tnrt_call, step_ns));
  tn_entry_store(l, null(e), call, offsetof(tnrt_call, clock_ns));
  return call;
}

static LLVMValueRef declare_run(tn_entry *e) {
  tn_lower *l = e->l;
  unsigned n_symbols = (unsigned)e->program->bindings.n, n = 1 + n_symbols + e->n_inputs + e->n_outputs;
  LLVMTypeRef *types = TN_NEW_N(l->arena, LLVMTypeRef, n);
  for (unsigned i = 0; i < n; i++) types[i] = i >= 1 && i <= n_symbols ? l->i64 : l->ptr;
  return tn_entry_function(e, "run", LLVMFunctionType(l->i32, types, n, false), true);
}

/* A context that create_from left without weights runs nothing. */
static void refuse_unusable(tn_entry *e, LLVMValueRef ctx) {
  tn_lower *l = e->l;
  if (e->external == NULL) return;
  LLVMValueRef why = tn_entry_load(l, ctx, CTX_STATUS, l->i64);
  LLVMBasicBlockRef usable = unless(e, LLVMBuildICmp(l->builder, LLVMIntEQ, why, number(e, TNRT_OK), ""));
  LLVMBuildRet(l->builder, LLVMBuildTrunc(l->builder, why, l->i32, ""));
  resume(e, usable);
}

/* int run(ctx, sizes..., inputs..., outputs...) */
static void emit_run(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMBuilderRef b = l->builder;
  LLVMValueRef f = declare_run(e), ctx = LLVMGetParam(f, 0);
  unsigned first = 1 + (unsigned)e->program->bindings.n;
  refuse_unusable(e, ctx);
  LLVMValueRef symbols = symbol_array(e, f, 1);
  LLVMValueRef inputs = pointer_array(e, f, first, e->n_inputs);
  LLVMValueRef outputs = pointer_array(e, f, first + e->n_inputs, e->n_outputs);
  LLVMValueRef expected = LLVMBuildAlloca(b, l->i64, ""), found = LLVMBuildAlloca(b, l->i64, "");
  LLVMValueRef failed = call_check(e, symbols, expected, found);
  LLVMBasicBlockRef right = unless(e, LLVMBuildICmp(b, LLVMIntEQ, failed, LLVMConstNull(l->i32), ""));
  refuse_sizes(e, ctx, failed, found);
  resume(e, right);
  LLVMValueRef bytes = plan_bytes(e, symbols);
  LLVMValueRef fits = LLVMBuildAnd(b, LLVMBuildICmp(b, LLVMIntSGE, bytes, number(e, 0), ""),
                                   LLVMBuildICmp(b, LLVMIntSLE, bytes, number(e, INT64_MAX - 64), ""), "");
  LLVMBasicBlockRef countable = unless(e, fits);
  set_message(e, ctx, tn_entry_text(l, "these sizes need more memory than can be addressed"), NULL);
  LLVMBuildRet(b, status(e, TNRT_BAD_SHAPE));
  resume(e, countable);
  reserve(e, ctx, bytes);
  LLVMValueRef call = build_call(e, ctx, symbols, inputs, outputs);
  LLVMTypeRef type = LLVMFunctionType(l->nothing, &l->ptr, 1, false);
  LLVMBuildCall2(b, type, e->run, &call, 1, "");
  LLVMValueRef result = tn_entry_load(l, call, offsetof(tnrt_call, status), l->i32);
  LLVMBasicBlockRef done = unless(e, LLVMBuildICmp(b, LLVMIntEQ, result, LLVMConstNull(l->i32), ""));
  set_message(e, ctx, tn_entry_text(l, "an index pointed outside its tensor"), NULL);
  LLVMBuildRet(b, result);
  resume(e, done);
  LLVMBuildStore(b, LLVMConstNull(l->i8), field(e, ctx, CTX_MESSAGE));
  LLVMBuildRet(b, result);
}

/* const char *message(const ctx *): of a context that could not be made, why. */
static void emit_message(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMValueRef f = tn_entry_function(e, "message", LLVMFunctionType(l->ptr, &l->ptr, 1, false), true);
  LLVMValueRef ctx = LLVMGetParam(f, 0);
  const char *why =
      "no context: the processor lacks what the code needs, memory gave out, or the arena is too small or "
      "not aligned to 64 bytes";
  LLVMValueRef text = tn_entry_text(l, why), is_there = LLVMBuildIsNotNull(l->builder, ctx, "");
  LLVMBuildRet(l->builder, tn_lower_select(l, is_there, field(e, ctx, CTX_MESSAGE), text));
}

/* The weights' mapping ends with the context. */
static void close_weights(tn_entry *e, LLVMValueRef ctx) {
  tn_lower *l = e->l;
  LLVMBuilderRef b = l->builder;
  if (e->external == NULL) return;
  LLVMValueRef weights = tn_entry_load(l, ctx, CTX_WEIGHTS, l->ptr);
  LLVMBasicBlockRef mapped = tn_lower_block(l, "mapped"), go_on = tn_lower_block(l, "closed");
  LLVMBuildCondBr(b, LLVMBuildIsNotNull(b, weights, ""), mapped, go_on);
  resume(e, mapped);
  LLVMTypeRef type = LLVMFunctionType(l->nothing, (LLVMTypeRef[]){l->ptr, l->ptr}, 2, false);
  LLVMValueRef args[2] = {e->model, weights};
  LLVMBuildCall2(b, type, LLVMGetNamedFunction(l->module, "tnrt_weights_close"), args, 2, "");
  LLVMBuildBr(b, go_on);
  resume(e, go_on);
}

/* void destroy(ctx *) */
static void emit_destroy(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMBuilderRef b = l->builder;
  LLVMValueRef f = tn_entry_function(e, "destroy", LLVMFunctionType(l->nothing, &l->ptr, 1, false), true);
  LLVMValueRef ctx = LLVMGetParam(f, 0);
  LLVMBasicBlockRef present = unless(e, LLVMBuildIsNotNull(b, ctx, ""));
  LLVMBuildRetVoid(b);
  resume(e, present);
  close_weights(e, ctx);
  if (e->options->no_heap) {
    LLVMBuildRetVoid(b);
    return;
  }
  LLVMValueRef owned = tn_entry_load(l, ctx, CTX_IS_OWNED, l->i64);
  LLVMBasicBlockRef ours = unless(e, LLVMBuildICmp(b, LLVMIntNE, owned, number(e, 0), ""));
  LLVMBuildRetVoid(b);
  resume(e, ours);
  LLVMValueRef block = tn_entry_load(l, ctx, CTX_BLOCK, l->ptr);
  library(e, "free", l->nothing, &block, 1);
  library(e, "free", l->nothing, &ctx, 1);
  LLVMBuildRetVoid(b);
}

void tn_entry_emit_c_level(tn_entry *e) {
  emit_arena_bytes(e);
  LLVMValueRef create = emit_create(e);
  if (e->external != NULL) emit_create_default(e, create);
  emit_run(e);
  emit_message(e);
  emit_destroy(e);
}
