/* Rules of parts of tensors: slices, concats, gathers of constants, and pads that are one or belong to a window. */
#include <math.h>
#include <string.h>

#include "ir/primitives.h"
#include "passes/rules/apply.h"

static const tn_dim *const *dims_of(const tn_node *node, const char *name) {
  return tn_node_attr(node, name)->u.list.dims;
}
static tn_value *operand(const tn_node *node, uint32_t i) { return node->operands[i].value; }

/* Slice, concat, gather. */

static int64_t step_of(const tn_node *slice, uint32_t axis) {
  const tn_attr *step = tn_node_attr(slice, "step");
  return step->u.list.n ? step->u.list.ints[axis] : 1;
}

/* The slice lies within one operand of the concat. */
tn_value *tn_rule_slice_of_concat(tn_build *b, tn_node *slice) {
  const tn_node *concat = slice->op == &tn_op_slice ? tn_rule_operand_def(slice, 0, &tn_op_concat) : NULL;
  if (!concat) return NULL;
  uint32_t axis = (uint32_t)tn_node_attr(concat, "axis")->u.i;
  const tn_dim *start[TN_MAX_NDIM], *offset = tn_dim_const(b->ctx, 0);
  const tn_type *type = concat->results[0]->type;
  if (step_of(slice, axis) != 1) return NULL;
  memcpy(start, dims_of(slice, "start"), type->ndim * sizeof(*start));
  const tn_dim *from = start[axis], *end = tn_dim_add(b->ctx, from, dims_of(slice, "size")[axis]);
  for (uint32_t i = 0; i < concat->n_operands; i++) {
    tn_value *part = operand(concat, i);
    const tn_dim *next = tn_dim_add(b->ctx, offset, part->type->dims[axis]);
    if (tn_dim_proves_le(b->ctx, offset, from) && tn_dim_proves_le(b->ctx, end, next)) {
      for (uint32_t k = 0; k < type->ndim; k++)
        if (k != axis && part->type->dims[k] != type->dims[k]) return NULL;
      int64_t step[TN_MAX_NDIM];
      for (uint32_t k = 0; k < type->ndim; k++) step[k] = step_of(slice, k);
      start[axis] = tn_dim_sub(b->ctx, from, offset);
      return tn_build_slice(b, part, start, dims_of(slice, "size"), step);
    }
    offset = next;
  }
  return NULL;
}

#define MAX_CONCAT 256

/* Operands that are concats along the same axis give their parts. */
tn_value *tn_rule_merge_concats(tn_build *b, tn_node *root) {
  if (root->op != &tn_op_concat) return NULL;
  int64_t axis = tn_node_attr(root, "axis")->u.i;
  tn_value *parts[MAX_CONCAT];
  uint32_t n = 0;
  bool found = false;
  for (uint32_t i = 0; i < root->n_operands; i++) {
    const tn_value *x = operand(root, i);
    const tn_node *inner = x->def;
    bool joins = inner && inner->op == &tn_op_concat && x->n_uses == 1 && tn_node_attr(inner, "axis")->u.i == axis;
    uint32_t n_more = joins ? inner->n_operands : 1;
    if (n_more > MAX_CONCAT - n) return NULL;
    for (uint32_t k = 0; k < n_more; k++) parts[n++] = joins ? operand(inner, k) : operand(root, i);
    found |= joins;
  }
  return found ? tn_build_concat(b, parts, n, (uint32_t)axis) : NULL;
}

/* part is x from offset on along axis, whole on the others. */
static bool is_part_of(const tn_value *part, const tn_value *x, uint32_t axis, const tn_dim *offset) {
  const tn_node *slice = part->def;
  if (!slice || slice->op != &tn_op_slice || operand(slice, 0) != x) return false;
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    const tn_dim *start = dims_of(slice, "start")[i];
    if (step_of(slice, i) != 1 || (i == axis ? start != offset : !tn_dim_is(start, 0))) return false;
  }
  return true;
}

/* A tensor cut along an axis and put together again. */
tn_value *tn_rule_concat_of_slices(tn_build *b, tn_node *root) {
  if (root->op != &tn_op_concat) return NULL;
  const tn_node *first = operand(root, 0)->def;
  uint32_t axis = (uint32_t)tn_node_attr(root, "axis")->u.i;
  if (!first || first->op != &tn_op_slice) return NULL;
  tn_value *x = operand(first, 0);
  const tn_dim *offset = tn_dim_const(b->ctx, 0);
  for (uint32_t i = 0; i < root->n_operands; i++) {
    if (!is_part_of(operand(root, i), x, axis, offset)) return NULL;
    offset = tn_dim_add(b->ctx, offset, operand(root, i)->type->dims[axis]);
  }
  return x->type == root->results[0]->type ? x : NULL;
}

/* A gather of one constant place, or of a constant run of neighbours, is a slice. */
tn_value *tn_rule_gather_of_constant(tn_build *b, tn_node *node) {
  if (node->op != &tn_op_gather || node->n_operands != 2) return NULL;
  tn_value *x = operand(node, 0), *index = operand(node, 1);
  uint32_t axis = (uint32_t)tn_node_attr(node, "axes")->u.list.ints[0];
  const tn_type *to = node->results[0]->type;
  if (!index->index || index->n_index == 0) return NULL;
  const tn_dim *start = index->index[0], *end = tn_dim_add_i(b->ctx, start, index->n_index);
  for (uint32_t i = 1; i < index->n_index; i++)
    if (index->index[i] != tn_dim_add_i(b->ctx, start, i)) return NULL;
  if (!tn_dim_proves_le(b->ctx, tn_dim_const(b->ctx, 0), start) || !tn_dim_proves_le(b->ctx, end, x->type->dims[axis]))
    return NULL;
  if (index->type->ndim == 1 && axis != 0) return NULL; /* the index axes come first */
  tn_value *part = tn_build_slice_axis(b, x, axis, start, tn_dim_const(b->ctx, index->n_index), 1);
  return tn_build_reshape(b, part, to->dims, to->ndim);
}

/* Pad. */

static bool has_gaps(const tn_node *pad) {
  const tn_attr *inner = tn_node_attr(pad, "inner");
  for (uint32_t i = 0; i < inner->u.list.n; i++)
    if (inner->u.list.ints[i] != 0) return true;
  return false;
}

static bool only_adds(tn_build *b, const tn_node *pad) {
  if (has_gaps(pad)) return false;
  const tn_dim *zero = tn_dim_const(b->ctx, 0);
  for (uint32_t i = 0; i < operand(pad, 0)->type->ndim; i++)
    if (!tn_dim_proves_le(b->ctx, zero, dims_of(pad, "lo")[i]) ||
        !tn_dim_proves_le(b->ctx, zero, dims_of(pad, "hi")[i]))
      return false;
  return true;
}

static bool same_scalar(const tn_value *x, const tn_value *y) {
  double p, q;
  return x == y || (tn_value_is_splat(x, &p) && tn_value_is_splat(y, &q) && memcmp(&p, &q, sizeof(p)) == 0);
}

tn_value *tn_rule_merge_pads(tn_build *b, tn_node *outer) {
  const tn_node *inner = outer->op == &tn_op_pad ? tn_rule_operand_def(outer, 0, &tn_op_pad) : NULL;
  if (!inner || !same_scalar(operand(outer, 1), operand(inner, 1))) return NULL;
  if (!only_adds(b, outer) || !only_adds(b, inner)) return NULL;
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  for (uint32_t i = 0; i < operand(inner, 0)->type->ndim; i++) {
    lo[i] = tn_dim_add(b->ctx, dims_of(outer, "lo")[i], dims_of(inner, "lo")[i]);
    hi[i] = tn_dim_add(b->ctx, dims_of(outer, "hi")[i], dims_of(inner, "hi")[i]);
  }
  return tn_build_pad(b, operand(inner, 0), operand(inner, 1), lo, hi);
}

/* user with pad's amounts added to its own lo and hi; spatial axis k is axis_of[k] of the padded tensor. */
static tn_value *absorb_pad(tn_build *b, const tn_node *user, const tn_node *pad, const int64_t *axis_of, uint32_t n) {
  uint32_t at_lo = tn_op_attr_index(user->op, "lo"), at_hi = tn_op_attr_index(user->op, "hi");
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  bool used[TN_MAX_NDIM] = {false};
  if (!only_adds(b, pad)) return NULL;
  for (uint32_t k = 0; k < n; k++) {
    used[axis_of[k]] = true;
    lo[k] = tn_dim_add(b->ctx, user->attrs[at_lo].u.list.dims[k], dims_of(pad, "lo")[axis_of[k]]);
    hi[k] = tn_dim_add(b->ctx, user->attrs[at_hi].u.list.dims[k], dims_of(pad, "hi")[axis_of[k]]);
  }
  for (uint32_t i = 0; i < operand(pad, 0)->type->ndim; i++)
    if (!used[i] && (!tn_dim_is(dims_of(pad, "lo")[i], 0) || !tn_dim_is(dims_of(pad, "hi")[i], 0))) return NULL;
  tn_attr attrs[16];
  TN_ASSERT(user->op->n_attrs <= TN_ARRAY_LEN(attrs));
  memcpy(attrs, user->attrs, user->op->n_attrs * sizeof(*attrs));
  attrs[at_lo] = tn_attr_dims(b->module, lo, n);
  attrs[at_hi] = tn_attr_dims(b->module, hi, n);
  tn_value *operands[2] = {operand(pad, 0), user->n_operands > 1 ? operand(user, 1) : NULL};
  return tn_build_op(b, user->op, operands, user->n_operands, attrs);
}

/* Padding with the identity of the fold is what the window's own padding does. */
tn_value *tn_rule_pad_into_window(tn_build *b, tn_node *window) {
  const tn_node *pad = window->op == &tn_op_window ? tn_rule_operand_def(window, 0, &tn_op_pad) : NULL;
  double value;
  if (!pad || !tn_value_is_splat(operand(pad, 1), &value)) return NULL;
  if (!tn_dtype_is_float(operand(pad, 0)->type->dtype)) return NULL;
  const char *fold = tn_rule_attr_name(window, "op");
  double identity = strcmp(fold, "max") == 0 ? -INFINITY : strcmp(fold, "min") == 0 ? INFINITY : 0;
  if (value != identity) return NULL;
  const tn_attr *axes = tn_node_attr(window, "axes");
  return absorb_pad(b, window, pad, axes->u.list.ints, axes->u.list.n);
}
