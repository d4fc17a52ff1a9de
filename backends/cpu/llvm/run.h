/* Inside of the emission of run(call): one function of steps under construction. */
#ifndef TN_BACKENDS_CPU_LLVM_RUN_H
#define TN_BACKENDS_CPU_LLVM_RUN_H

#include "backends/cpu/llvm/entry.h"

typedef struct tn_run_part {
  tn_entry *e;
  tn_lower *l;
  tn_dim_code code;
  LLVMValueRef call, symbols, inputs, outputs, arena, weights, pool, parallel, frame, slots;
  LLVMValueRef is_parallel, is_watched; /* i1 */
  LLVMValueRef tick;                  /* void tick(call, step) */
  LLVMValueRef see;                   /* of code that traces: void see(call, step, what, data, n, dtype); else NULL */
  uint32_t next;                      /* number of the next step */
} tn_run_part;

/* Where a buffer's first byte lies. */
LLVMValueRef tn_run_buffer_address(tn_run_part *p, const tn_buffer *buffer);
/* trace.c: that function; its calls around the kernel of a step. */
LLVMValueRef tn_run_emit_see(tn_entry *e);
void tn_run_see_before(tn_run_part *p, const tn_step *step, uint32_t number);
void tn_run_see_behind(tn_run_part *p, const tn_step *step, uint32_t number);
/* A READ step (reads.c): stores its symbols, unless a range or a guard fails; grows slots. When it fails the call says
 * why, and the function returns true. */
void tn_run_read_step(tn_run_part *p, const tn_step *step, uint32_t number);
/* A CHECK step, which fails in the same way. */
void tn_run_check_step(tn_run_part *p, const tn_step *step, uint32_t number);
/* Sets call->outputs where the memory is the model's; symbols are those of `code`. */
void tn_run_late_outputs(tn_run_part *p);

#endif
