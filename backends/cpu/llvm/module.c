/* An LLVM module for one target, and the code made from it. */
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "backends/cpu/llvm/debug.h"

static bool has_feature(const tn_target *target, const char *name) {
  const char *at = target->features == NULL ? NULL : strstr(target->features, name);
  return at != NULL && (at[strlen(name)] == ',' || at[strlen(name)] == 0);
}

static LLVMTargetMachineRef create_machine(tn_ctx *ctx, const tn_target *target) {
  static const LLVMCodeGenOptLevel levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess, LLVMCodeGenLevelAggressive,
                                               LLVMCodeGenLevelAggressive};
  LLVMTargetRef llvm_target;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(target->triple, &llvm_target, &message)) {
    tn_error(ctx, TN_LOC_NONE, TN_E_TARGET, "LLVM has no code generator for '%s': %s", target->triple, message);
    LLVMDisposeMessage(message);
    return NULL;
  }
  return LLVMCreateTargetMachine(llvm_target, target->triple, target->cpu_resolved,
                                 target->features == NULL ? "" : target->features,
                                 levels[target->opt_level > 3 ? 3 : target->opt_level], LLVMRelocPIC,
                                 LLVMCodeModelDefault);
}

bool tn_lower_open(tn_lower *l, tn_ctx *ctx, tn_arena *arena, const tn_target *target, const char *name) {
  *l = (tn_lower){.ctx = ctx, .arena = arena, .target = target};
  l->machine = create_machine(ctx, target);
  if (l->machine == NULL) return false;
  l->llvm = LLVMContextCreate();
  l->module = LLVMModuleCreateWithNameInContext(name, l->llvm);
  l->builder = LLVMCreateBuilderInContext(l->llvm);
  LLVMSetTarget(l->module, target->triple);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(l->machine);
  LLVMSetModuleDataLayout(l->module, layout);
  LLVMDisposeTargetData(layout);
  l->i1 = LLVMInt1TypeInContext(l->llvm);
  l->i8 = LLVMInt8TypeInContext(l->llvm);
  l->i16 = LLVMInt16TypeInContext(l->llvm);
  l->i32 = LLVMInt32TypeInContext(l->llvm);
  l->i64 = LLVMInt64TypeInContext(l->llvm);
  l->f32 = LLVMFloatTypeInContext(l->llvm);
  l->f64 = LLVMDoubleTypeInContext(l->llvm);
  l->ptr = LLVMPointerTypeInContext(l->llvm, 0);
  l->nothing = LLVMVoidTypeInContext(l->llvm);
  tn_lower_count_stack(l);
  bool is_arm = strncmp(target->triple, "aarch64", 7) == 0;
  l->has_f16c = is_arm || has_feature(target, "+f16c");
  l->has_wide_masks = has_feature(target, "+avx2") && !has_feature(target, "+avx512vl");
  return true;
}

void tn_lower_close(tn_lower *l) {
  tn_debug_close(l);
  LLVMDisposeBuilder(l->builder);
  LLVMDisposeModule(l->module);
  LLVMContextDispose(l->llvm);
  LLVMDisposeTargetMachine(l->machine);
}

static bool verify(tn_lower *l, const char *what) {
  char *message = NULL;
  bool is_broken = LLVMVerifyModule(l->module, LLVMReturnStatusAction, &message);
  if (is_broken)
    tn_error(l->ctx, TN_LOC_NONE, TN_E_BACKEND, "%s: LLVM refuses the code made for it: %s", what, message);
  LLVMDisposeMessage(message);
  return !is_broken;
}

/* Clean-up of addresses only: vectors, tiles and unrolling are decided before LLVM (design: the generator knows). */
static bool run_passes(tn_lower *l, const char *what) {
  const char *passes = "function(early-cse,instcombine<no-verify-fixpoint>,loop-mssa(licm),early-cse)";
  if (l->sanitize != NULL && strcmp(l->sanitize, "address") == 0) passes = "asan";
  if (l->sanitize != NULL && strcmp(l->sanitize, "thread") == 0) passes = "tsan-module,function(tsan)";
  if (l->sanitize == NULL && l->target->opt_level == 0) return true;
  if (l->sanitize != NULL) tn_lower_exempt_globals(l);
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(l->module, passes, l->machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (error == NULL) return true;
  char *message = LLVMGetErrorMessage(error);
  tn_error(l->ctx, TN_LOC_NONE, TN_E_BACKEND, "%s: LLVM's passes failed: %s", what, message);
  LLVMDisposeErrorMessage(message);
  return false;
}

static bool generate(tn_lower *l, tn_code_kind kind, const char *what, tn_object_part *out) {
  char *message = NULL;
  LLVMMemoryBufferRef buffer = NULL;
  LLVMCodeGenFileType type = kind == TN_CODE_OBJECT ? LLVMObjectFile : LLVMAssemblyFile;
  if (LLVMTargetMachineEmitToMemoryBuffer(l->machine, l->module, type, &message, &buffer)) {
    tn_error(l->ctx, TN_LOC_NONE, TN_E_BACKEND, "%s: LLVM cannot generate code: %s", what, message);
    LLVMDisposeMessage(message);
    return false;
  }
  out->bytes = LLVMGetBufferSize(buffer);
  out->data = tn_arena_copy(l->arena, LLVMGetBufferStart(buffer), out->bytes);
  out->stack_bytes = tn_lower_stack_bytes(l);
  LLVMDisposeMemoryBuffer(buffer);
  return true;
}

bool tn_lower_finish(tn_lower *l, tn_code_kind kind, const char *what, tn_object_part *out) {
  tn_debug_close(l);
  return verify(l, what) && run_passes(l, what) && generate(l, kind, what, out);
}
