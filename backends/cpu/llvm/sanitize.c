/* What -fsanitize asks of the code besides LLVM's passes. thread: the runtime is never instrumented, so its hand-overs
 * between threads are told to the sanitizer here; and GCC's library of it lacks the name for copies that the pass
 * would call. */
#include <string.h>

#include "backends/cpu/llvm/lower.h"

static bool watches_threads(const tn_lower *l) { return l->sanitize != NULL && strcmp(l->sanitize, "thread") == 0; }

static LLVMValueRef call(tn_lower *l, const char *name, LLVMTypeRef result, LLVMValueRef *args, unsigned n) {
  LLVMTypeRef types[3];
  for (unsigned i = 0; i < n; i++) types[i] = LLVMTypeOf(args[i]);
  LLVMTypeRef type = LLVMFunctionType(result, types, n, false);
  LLVMValueRef function = LLVMGetNamedFunction(l->module, name);
  if (function == NULL) function = LLVMAddFunction(l->module, name, type);
  return LLVMBuildCall2(l->builder, type, function, args, n, "");
}

void tn_lower_release(tn_lower *l, LLVMValueRef what) {
  if (watches_threads(l)) call(l, "__tsan_release", l->nothing, &what, 1);
}

void tn_lower_acquire(tn_lower *l, LLVMValueRef what) {
  if (watches_threads(l)) call(l, "__tsan_acquire", l->nothing, &what, 1);
}

void tn_lower_copy(tn_lower *l, LLVMValueRef to, LLVMValueRef from, LLVMValueRef bytes) {
  if (watches_threads(l)) call(l, "memcpy", l->ptr, (LLVMValueRef[]){to, from, bytes}, 3);
  else LLVMBuildMemCpy(l->builder, to, 1, from, 1, bytes);
}

/* address: what registers a program's variables, once for all objects, has a common symbol, which is local in ours; so
 * two models would register theirs twice. They are constants that no index reaches: those aligned to more than the
 * pass's red zone (32) it leaves alone (LLVM 19, AddressSanitizer.cpp, shouldInstrumentGlobal). */
void tn_lower_exempt_globals(tn_lower *l) {
  for (LLVMValueRef global = LLVMGetFirstGlobal(l->module); global != NULL; global = LLVMGetNextGlobal(global))
    if (LLVMGetInitializer(global) != NULL && LLVMGetAlignment(global) < 64) LLVMSetAlignment(global, 64);
}
