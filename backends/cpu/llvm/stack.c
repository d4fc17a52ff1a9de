/* How much stack the code takes. LLVM's C interface has no way to ask, but a function with the attribute
 * "warn-stack-size"="0" has its frame, saved registers and spills included, reported as a diagnostic: "stack frame size
 * (N) exceeds limit (0) in function 'F'" (LLVM 19, PrologEpilogInserter.cpp). */
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/llvm/lower.h"

/* What a report leaves out: the return address, and what aligning the frame to a vector may skip. */
#define CALL_BYTES 72
/* Functions without a frame are not reported: as many may be active at once, and the last has a red zone. */
#define UNREPORTED_BYTES (8 * 8 + 128)

typedef struct tn_stack_use {
  tn_ctx *ctx;
  const char *prefix;
  uint64_t largest_of_some; /* of functions of which one at a time runs */
  uint64_t sum_of_others;
} tn_stack_use;

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* Kernels (batch.c), and the parts of run (run.c). name is followed by a quote. */
static bool is_one_of_some(const tn_stack_use *use, const char *name) {
  if (!starts_with(name, use->prefix)) return false;
  name += strlen(use->prefix);
  if (starts_with(name, "_kernel_")) return true;
  return starts_with(name, "_run_") && name[5 + strspn(name + 5, "0123456789")] == '\'';
}

static void take_report(tn_stack_use *use, const char *text) {
  static const char start[] = "stack frame size (", middle[] = "in function '";
  const char *number = strstr(text, start), *name = strstr(text, middle);
  if (number == NULL || name == NULL) return;
  uint64_t bytes = strtoull(number + strlen(start), NULL, 10) + CALL_BYTES;
  if (!is_one_of_some(use, name + strlen(middle))) use->sum_of_others += bytes;
  else if (bytes > use->largest_of_some) use->largest_of_some = bytes;
}

/* All of LLVM's diagnostics come here. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *user) {
  tn_stack_use *use = user;
  char *text = LLVMGetDiagInfoDescription(info);
  if (LLVMGetDiagInfoSeverity(info) == LLVMDSError) tn_error(use->ctx, TN_LOC_NONE, TN_E_BACKEND, "LLVM: %s", text);
  else take_report(use, text);
  LLVMDisposeMessage(text);
}

void tn_lower_count_stack(tn_lower *l) {
  l->stack = TN_NEW(l->arena, tn_stack_use);
  size_t length;
  l->stack->ctx = l->ctx;
  l->stack->prefix = LLVMGetModuleIdentifier(l->module, &length);
  LLVMContextSetDiagnosticHandler(l->llvm, on_diagnostic, l->stack);
}

uint64_t tn_lower_stack_bytes(const tn_lower *l) {
  return l->stack->sum_of_others + l->stack->largest_of_some + UNREPORTED_BYTES;
}
