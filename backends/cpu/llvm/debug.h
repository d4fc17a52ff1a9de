/* Debugging information (-g): each kernel's function and each line of its text, for debuggers and profilers. Kernels
 * are lines "kernel @name" and those below, steps lines "step N" (ir/text/print_kernel.c, print_program.c). All of it
 * does nothing while l->debug is NULL. */
#ifndef TN_BACKENDS_CPU_LLVM_DEBUG_H
#define TN_BACKENDS_CPU_LLVM_DEBUG_H

#include "backends/cpu/llvm/lower.h"

/* Where things stand in the text; lines count from 1, 0 is unknown. */
typedef struct tn_debug_lines {
  const tn_debug_source *source;
  tn_map kernels;       /* tn_kernel -> line */
  uint32_t program_line;
  TN_VEC(uint32_t) steps; /* lines, in the order of tn_program_all_steps */
} tn_debug_lines;

/* NULL when source is. */
const tn_debug_lines *tn_debug_lines_of(tn_arena *arena, const tn_program *program, const tn_debug_source *source);

/* The compile unit of l's module. lines NULL: nothing. */
void tn_debug_open(tn_lower *l, const tn_debug_lines *lines);
/* Must come before the module is verified. */
void tn_debug_close(tn_lower *l);
/* The function gets a name and a line; what the builder makes from here on has that line. */
void tn_debug_function(tn_lower *l, LLVMValueRef function, const char *name, uint32_t line);
/* What the builder makes from here on belongs to a node of the kernel (origin: tn_tile_value), or to a step. */
void tn_debug_at_origin(tn_lower *l, uint32_t origin);
void tn_debug_at_step(tn_lower *l, uint32_t step);
uint32_t tn_debug_kernel_line(const tn_lower *l, const tn_kernel *kernel);
uint32_t tn_debug_program_line(const tn_lower *l);

#endif
