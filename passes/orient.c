/* Orientation of products: where both operands lie along the summed axis, the second is copied so that it lies along
 * its own axes, when there are rows enough to pay for it. A kernel then multiplies vectors of columns, as it does with
 * packed constants; where rows are few it forms dot products of the operands as they lie. Gradients of matrix products
 * are of this kind: dx = dy w^T. */
#include "ir/build.h"
#include "ir/primitives.h"
#include "passes/groups.h"
#include "passes/passes.h"

#define LEAST_ROWS 128
#define SHORT_SUM 512 /* shorter dot products spend much of their time on adding up lanes: fewer rows pay */
#define LEAST_ROWS_OF_SHORT 48
#define LEAST_COLUMNS 16

/* The axis of value along which neighbours are neighbours in memory, if the value below all views is row-major; -1 when
 * that is not known. */
static int64_t inner_axis(const tn_value *value) {
  const tn_node *node = value->def;
  uint32_t n = value->type->ndim;
  if (n == 0) return -1;
  if (!node || !tn_node_is_view(node) || node->n_operands == 0) return (int64_t)n - 1;
  const tn_value *from = node->operands[0].value;
  int64_t inner = inner_axis(from);
  if (inner < 0) return -1;
  if (node->op == &tn_op_transpose) {
    const int64_t *perm = tn_node_attr(node, "perm")->u.list.ints;
    for (uint32_t i = 0; i < n; i++)
      if (perm[i] == inner) return i;
  } else if (node->op == &tn_op_slice) {
    const tn_attr *step = tn_node_attr(node, "step");
    return step->u.list.n == 0 || step->u.list.ints[inner] == 1 ? inner : -1;
  } else if (node->op == &tn_op_reshape) {
    bool is_last = inner + 1 == (int64_t)from->type->ndim;
    return is_last && from->type->dims[inner] == value->type->dims[n - 1] ? (int64_t)n - 1 : -1;
  }
  return -1;
}

static bool is_constant(const tn_value *value) {
  while (value->def && tn_node_is_view(value->def) && value->def->n_operands > 0) value = value->def->operands[0].value;
  return tn_value_const(value) != NULL;
}

static bool is_summed(const tn_node *dot, int side, int64_t axis) {
  const tn_attr *sum = tn_node_attr(dot, "sum");
  for (uint32_t i = 0; i < sum->u.list.n; i++)
    if (sum->u.list.ints[2 * i + side] == axis) return true;
  return false;
}

static bool is_batch(const tn_node *dot, int side, int64_t axis) {
  const tn_attr *batch = tn_node_attr(dot, "batch");
  for (uint32_t i = 0; i < batch->u.list.n; i++)
    if (batch->u.list.ints[2 * i + side] == axis) return true;
  return false;
}

/* Positions of the operand's summed axes, or of its own; run-time extents count as 64. */
static double points(const tn_node *dot, int side, bool summed) {
  const tn_type *type = dot->operands[side].value->type;
  double n = 1;
  for (uint32_t i = 0; i < type->ndim; i++)
    if (is_summed(dot, side, i) == summed && !is_batch(dot, side, i))
      n *= tn_dim_is_const(type->dims[i]) ? (double)tn_dim_value(type->dims[i]) : 64;
  return n;
}

static bool wants_copy(const tn_node *dot) {
  for (int side = 0; side < 2; side++) {
    const tn_value *value = dot->operands[side].value;
    int64_t inner = inner_axis(value);
    if (inner < 0 || !is_summed(dot, side, inner)) return false;
  }
  const tn_value *y = dot->operands[1].value;
  if (is_constant(y) || tn_dtype_bits(y->type->dtype) < 32) return false;
  double least = points(dot, 1, true) < SHORT_SUM ? LEAST_ROWS_OF_SHORT : LEAST_ROWS;
  return points(dot, 0, false) >= least && points(dot, 1, false) >= LEAST_COLUMNS;
}

/* y's elements with its own axes innermost, seen as y. */
static tn_value *copy_oriented(tn_node *dot) {
  tn_build b = tn_build_before(dot);
  tn_value *y = dot->operands[1].value;
  int64_t perm[TN_MAX_NDIM], back[TN_MAX_NDIM];
  uint32_t n = 0;
  for (int stage = 0; stage < 3; stage++)
    for (uint32_t i = 0; i < y->type->ndim; i++) {
      int own = is_batch(dot, 1, i) ? 0 : is_summed(dot, 1, i) ? 1 : 2;
      if (own == stage) perm[n++] = i;
    }
  for (uint32_t i = 0; i < n; i++) back[perm[i]] = i;
  tn_value *moved = tn_build_transpose(&b, y, perm);
  return tn_build_transpose(&b, tn_build_op(&b, &tn_op_fence, &moved, 1, NULL), back);
}

static bool visit(tn_block *block, tn_arena *scratch) {
  tn_map copies = tn_map_create(scratch);
  bool ok = true;
  for (tn_node *node = block->first; node; node = node->next) {
    for (uint32_t i = 0; i < node->n_regions; i++) ok &= visit(node->regions[i], scratch);
    if (node->op != &tn_op_dot || !wants_copy(node)) continue;
    tn_value *y = node->operands[1].value, *copy = tn_map_get(&copies, y);
    tn_loc_push(block->func->module->ctx, node->loc);
    if (!copy) tn_map_set(&copies, y, copy = copy_oriented(node));
    tn_loc_pop(block->func->module->ctx);
    if (copy) tn_node_set_operand(node, 1, copy);
    ok &= copy != NULL;
  }
  return ok;
}

bool tn_pass_orient(tn_pass_context *context) {
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  bool ok = visit(context->entry->body, scratch);
  tn_arena_destroy(scratch);
  return ok;
}
