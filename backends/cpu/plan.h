/* Parts of planning (nest.h), among its own files. */
#ifndef TN_BACKENDS_CPU_PLAN_H
#define TN_BACKENDS_CPU_PLAN_H

#include "backends/cpu/nest.h"

static inline bool has_axis(uint32_t axes, uint32_t axis) { return axes >> axis & 1; }
static inline const tn_knode *node_at(const tn_nest *nest, size_t i) { return nest->kernel->nodes.data[i]; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* plan_memory.c */
/* A constant read once in the kernel, at an address that strides describe. */
bool tn_plan_is_packable(const tn_nest *nest, const tn_access *access);
/* The read behind an operand of a contraction, through scalar ops; NULL where there is none. */
const tn_access *tn_plan_operand(const tn_nest *nest, const tn_knode *node);
/* Decide what is kept in scratch, then, with the loops' order, how constants lie. */
void tn_plan_keep(tn_plan *plan);
void tn_plan_pack(tn_plan *plan);

/* plan_blocks.c */
/* Whether the positions of a par axis all read nearly the same: a fold axis walks the same way, farther, in steps that
 * are shorter than all of them (the taps of a gradient of a convolution's weights). */
bool tn_plan_reads_again(const tn_nest *nest, const tn_access *access, uint32_t axis);
/* Decides whether the sums of a contraction are made block by block; behind tn_plan_keep. */
void tn_plan_block(tn_plan *plan);

#endif
