/* The reference of programs: runs the steps in order on memory laid out as the buffers' storages say, each kernel by
 * tn_kernel_eval. It checks what lowering made, independent of any backend. */
#ifndef TN_IR_EVAL_PROGRAM_H
#define TN_IR_EVAL_PROGRAM_H

#include "ir/eval.h"
#include "ir/program.h"

/* inputs: in the order of the entry's arguments, logical tensors; outputs: room for its results. wide: floats stay
 * double. False when a kernel reads or writes outside its arguments, or a size cannot be evaluated (not reported). */
bool tn_eval_program(tn_ctx *ctx, tn_arena *arena, const tn_program *program, bool wide,
                     const tn_tensor *const *inputs, tn_tensor **outputs);

#endif
