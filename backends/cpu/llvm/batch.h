/* Units of code generation: the distinct kernels of a program in batches of a fixed size, and its entry. The division
 * depends on the program only, so the bytes do not depend on how many processes work on it. */
#ifndef TN_BACKENDS_CPU_LLVM_BATCH_H
#define TN_BACKENDS_CPU_LLVM_BATCH_H

#include "backends/cpu/llvm/debug.h"

#define TN_BATCH_KERNELS 8

typedef struct tn_batch_plan {
  const tn_program *program;
  const tn_emit_options *options;
  const tn_target *target;
  const tn_debug_lines *debug; /* NULL: no debugging information */
  const char *kernel_prefix;
  const char *const *names;    /* one a step (tn_program_all_steps): the symbol of its kernel; NULL for others */
  TN_VEC(const tn_step *) distinct; /* the first step of each kernel */
  uint32_t n_batches;          /* of kernels; unit n_batches is the entry */
} tn_batch_plan;

/* Kernels that several plans share: the first that has one makes it. */
typedef struct tn_batch_kernels {
  const char *prefix; /* of their symbols */
  tn_map known;       /* signature -> symbol */
} tn_batch_kernels;

/* kernels NULL: the program has all of its own. */
tn_batch_plan tn_batch_plan_of(tn_arena *arena, const tn_target *target, const tn_program *program,
                               const tn_emit_options *options, tn_batch_kernels *kernels);
/* "kernels conv1 .. fc of 'main'", for messages. */
const char *tn_batch_title(const tn_batch_plan *plan, uint32_t unit, tn_arena *arena);
/* A module for units of the plan; as tn_lower_open. */
bool tn_batch_open(tn_lower *l, tn_ctx *ctx, const tn_batch_plan *plan, tn_arena *arena);
/* Fills an opened module with unit's functions; false when reported. */
bool tn_batch_lower(tn_lower *l, const tn_batch_plan *plan, uint32_t unit);
/* The object of one unit, in arena. */
bool tn_batch_compile(tn_ctx *ctx, const tn_batch_plan *plan, uint32_t unit, tn_arena *arena, tn_object_part *out);
/* All units of n plans, one behind the other, with up to options->n_workers processes at a time; 0: in this process.
 * workers.c */
bool tn_batch_compile_all(tn_ctx *ctx, const tn_batch_plan *plans, uint32_t n_plans, tn_arena *arena,
                          tn_object_part *out);

#endif
