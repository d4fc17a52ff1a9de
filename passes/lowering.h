/* Inside lower: the state that lower.c (values, concats, results) and lower_region.c (nodes with regions) share. */
#ifndef TN_PASSES_LOWERING_H
#define TN_PASSES_LOWERING_H

#include "ir/program.h"
#include "passes/groups.h"

/* Where a kept value lies: in a buffer, whole or at shift inside it. */
typedef struct tn_placement {
  tn_buffer *buffer;
  bool is_part;
  uint32_t part_axis; /* of the innermost concat */
  const tn_dim *shift[TN_MAX_NDIM];
} tn_placement;

typedef struct tn_lowering {
  tn_module *module;
  tn_ctx *ctx;
  tn_func *func;
  tn_program *program;
  tn_arena *scratch;
  const tn_block *block; /* being lowered: the function's body or a region */
  tn_groups groups;      /* of block */
  tn_steps *steps;       /* where its steps go */
  bool is_apart;         /* of the context: parts of concats are not made in place */
  tn_map placements;       /* tn_value -> tn_placement */
  tn_map constant_buffers; /* tn_const -> tn_buffer */
} tn_lowering;

tn_placement *tn_lower_place(tn_lowering *l, const tn_value *value, tn_buffer *buffer);
/* The buffer of a constant; the same for all its uses. */
tn_buffer *tn_lower_constant(tn_lowering *l, const tn_const *constant);
/* A buffer that value alone fills, whole: its own, or one that a step here copies it to. *ok becomes false when an
 * error was reported. */
tn_buffer *tn_lower_whole_buffer(tn_lowering *l, const tn_value *value, bool *ok);
/* One kernel that computes value (the group's result; without a group a copy of what lies elsewhere) into its place.
 * False when reported. */
bool tn_lower_value(tn_lowering *l, const tn_group *group, const tn_value *value, const tn_placement *to);
/* Gives a buffer to each kept value of the block that has no place yet, and parts of concats to their producers. */
void tn_lower_place_roots(tn_lowering *l);
/* The steps of all groups of the block, in order. */
bool tn_lower_groups(tn_lowering *l);
/* True for a result that regions carry from run to run, which lies where no result of the entry may. */
bool tn_lower_is_carried(const tn_value *value);
/* A node with regions: its steps and those inside. Its results have places. */
bool tn_lower_regions(tn_lowering *l, const tn_node *node);

#endif
