/* The verifier: checks a module against the rules of ir/IR.md and reports each breach (TN_E_VERIFY) with its place. */
#ifndef TN_IR_VERIFY_H
#define TN_IR_VERIFY_H

#include "ir/graph.h"

/* All levels present in the module. True when nothing was reported. */
bool tn_verify(const tn_module *module);
bool tn_verify_func(const tn_func *func);
struct tn_kernel;
/* Axes and dtypes of each node, index ranges of reads and writes, one write an output element. */
bool tn_verify_kernel(tn_ctx *ctx, const struct tn_kernel *kernel);
struct tn_program;
/* Recomputes liveness from the steps alone and proves that live buffers never overlap, for all symbol values in range.
 * */
bool tn_verify_program(tn_ctx *ctx, const struct tn_program *program);

#endif
