/* Inside lower: building one kernel by walking a group backward from its result at symbolic coordinates.
 *
 * emit(value, index) gives the kernel node that computes the element of value at index. Views change the index, kept
 * values become reads, elementwise nodes become scalar ops, reductions and contractions open axes. Results are
 * remembered by (value, index), so what two users need at the same place is computed once. */
#ifndef TN_PASSES_EMISSION_H
#define TN_PASSES_EMISSION_H

#include "ir/kernel.h"
#include "passes/memory_view.h"

typedef struct emission {
  tn_module *module;
  tn_ctx *ctx;
  tn_arena *scratch;
  const tn_groups *groups;
  tn_kernel *kernel;
  const tn_group *group; /* whose nodes are computed here, those kept in memory too; NULL for a copy */
  tn_map memo;
  TN_VEC(const tn_const *) constants; /* behind arguments that are constants */
  TN_VEC(const tn_value *) arg_values; /* one an argument: the kept value it reads, NULL for a constant's or output */
  TN_VEC(const void *) arg_keys;
  tn_memory_base base;
  void *base_user;
  bool failed;
} emission;

/* NULL when reported. index: one dim an axis of value. */
tn_knode *tn_emit(emission *e, const tn_value *value, const tn_dim *const *index);
/* As tn_emit for coordinates that may lie outside value, which then is `fill` (of value's dtype). */
tn_knode *tn_emit_padded(emission *e, const tn_value *value, const tn_dim *const *index, tn_number fill);
/* Where the integer that value has at index points in an axis of this extent: an index expression, clamped when it runs
 * where it may lie outside. NULL when reported. */
const tn_dim *tn_emit_position(emission *e, const tn_value *value, const tn_dim *const *index, const tn_dim *extent);
/* A node that opens axes; lower_fold.c. */
tn_knode *tn_emit_fold(emission *e, const tn_node *node, const tn_dim *const *index);
/* The axes that the group's result is computed over, and the result's coordinates in them. */
void tn_emit_space(emission *e, const tn_group *group, const tn_value *result, const tn_dim **out_index);

tn_knode *tn_emit_cast(emission *e, tn_knode *node, tn_dtype dtype);
tn_knode *tn_emit_scalar2(emission *e, tn_scalar scalar, tn_dtype dtype, tn_knode *a, tn_knode *b);
tn_knode *tn_emit_number(emission *e, tn_dtype dtype, double f, int64_t i);
/* A bool node: value is at least 0 and less than extent, leaving out what is proved; NULL when all is. */
tn_knode *tn_emit_in_range(emission *e, const tn_dim *const *index, const tn_type *type);

#endif
