/* Structural rules: the table; and views that do nothing, two views that are one, forms that later passes look for. */
#include <string.h>

#include "ir/primitives.h"
#include "passes/rules/apply.h"

static tn_value *operand(const tn_node *node, uint32_t i) { return node->operands[i].value; }

const tn_node *tn_rule_operand_def(const tn_node *node, uint32_t i, const tn_opdef *op) {
  const tn_node *def = i < node->n_operands && operand(node, i) ? operand(node, i)->def : NULL;
  return def && def->op == op ? def : NULL;
}

static const tn_node *operand_def(const tn_node *node, const tn_opdef *op) { return tn_rule_operand_def(node, 0, op); }

tn_value *tn_rule_rebuild(tn_build *b, const tn_node *node, tn_value *const *operands) {
  return tn_build_op(b, node->op, operands, node->n_operands, node->attrs);
}

const char *tn_rule_attr_name(const tn_node *node, const char *attr) {
  return node->op->attrs[tn_op_attr_index(node->op, attr)].names[tn_node_attr(node, attr)->u.i];
}

static bool all_zero(const tn_attr *dims) {
  for (uint32_t i = 0; i < dims->u.list.n; i++)
    if (!tn_dim_is(dims->u.list.dims[i], 0)) return false;
  return true;
}

static bool all_ints(const tn_attr *list, int64_t value) {
  for (uint32_t i = 0; i < list->u.list.n; i++)
    if (list->u.list.ints[i] != value) return false;
  return true;
}

static bool is_identity_permutation(const tn_attr *perm) {
  for (uint32_t i = 0; i < perm->u.list.n; i++)
    if (perm->u.list.ints[i] != i) return false;
  return true;
}

/* A view or cast whose result is its operand. */
static tn_value *drop_identity(tn_build *b, tn_node *node) {
  (void)b;
  if (node->n_operands == 0 || !operand(node, 0) || node->n_results != 1) return NULL;
  bool same_type = node->results[0]->type == operand(node, 0)->type;
  const tn_opdef *op = node->op;
  bool identity = false;
  if (op == &tn_op_reshape || op == &tn_op_broadcast)
    identity = same_type;
  else if (op == &tn_op_transpose)
    identity = is_identity_permutation(tn_node_attr(node, "perm"));
  else if (op == &tn_op_slice)
    identity = same_type && all_zero(tn_node_attr(node, "start")) && all_ints(tn_node_attr(node, "step"), 1);
  else if (op == &tn_op_pad)
    identity = same_type && all_zero(tn_node_attr(node, "lo")) && all_zero(tn_node_attr(node, "hi")) &&
               all_ints(tn_node_attr(node, "inner"), 0);
  else if (op == &tn_op_concat)
    identity = node->n_operands == 1;
  else if (op == tn_op_of_scalar(TN_CAST))
    identity = same_type;
  return identity ? operand(node, 0) : NULL;
}

static tn_value *merge_transposes(tn_build *b, tn_node *node) {
  const tn_node *inner = node->op == &tn_op_transpose ? operand_def(node, &tn_op_transpose) : NULL;
  if (!inner) return NULL;
  const int64_t *outer_perm = tn_node_attr(node, "perm")->u.list.ints;
  const int64_t *inner_perm = tn_node_attr(inner, "perm")->u.list.ints;
  int64_t perm[TN_MAX_NDIM];
  for (uint32_t i = 0; i < node->results[0]->type->ndim; i++) perm[i] = inner_perm[outer_perm[i]];
  return tn_build_transpose(b, operand(inner, 0), perm);
}

static tn_value *merge_reshapes(tn_build *b, tn_node *node) {
  const tn_node *inner = node->op == &tn_op_reshape ? operand_def(node, &tn_op_reshape) : NULL;
  if (!inner) return NULL;
  const tn_type *type = node->results[0]->type;
  return tn_build_reshape(b, operand(inner, 0), type->dims, type->ndim);
}

/* A transpose that only moves axes of extent 1 is a reshape. */
static tn_value *transpose_of_ones(tn_build *b, tn_node *node) {
  if (node->op != &tn_op_transpose) return NULL;
  const tn_attr *perm = tn_node_attr(node, "perm");
  const tn_type *from = operand(node, 0)->type, *to = node->results[0]->type;
  int64_t last = -1;
  for (uint32_t i = 0; i < perm->u.list.n; i++) {
    if (tn_dim_is(from->dims[perm->u.list.ints[i]], 1)) continue;
    if (perm->u.list.ints[i] < last) return NULL;
    last = perm->u.list.ints[i];
  }
  return tn_build_reshape(b, operand(node, 0), to->dims, to->ndim);
}

static tn_value *merge_broadcasts(tn_build *b, tn_node *node) {
  const tn_node *inner = node->op == &tn_op_broadcast ? operand_def(node, &tn_op_broadcast) : NULL;
  if (!inner) return NULL;
  const tn_attr *outer_map = tn_node_attr(node, "map"), *inner_map = tn_node_attr(inner, "map");
  const tn_type *type = node->results[0]->type;
  int64_t map[TN_MAX_NDIM];
  for (uint32_t i = 0; i < inner_map->u.list.n; i++) map[i] = outer_map->u.list.ints[inner_map->u.list.ints[i]];
  return tn_build_broadcast_map(b, operand(inner, 0), type->dims, type->ndim, map);
}

/* The operand of a broadcast has no axis of extent 1: broadcast(x[1,C,1,1]) is that of x reshaped to [C]. */
static tn_value *drop_ones_below_broadcast(tn_build *b, tn_node *node) {
  if (node->op != &tn_op_broadcast) return NULL;
  tn_value *x = operand(node, 0);
  const tn_attr *map = tn_node_attr(node, "map");
  const tn_type *type = node->results[0]->type;
  const tn_dim *dims[TN_MAX_NDIM];
  int64_t kept_map[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    if (tn_dim_is(x->type->dims[i], 1)) continue;
    dims[n] = x->type->dims[i];
    kept_map[n++] = map->u.list.ints[i];
  }
  if (n == x->type->ndim) return NULL;
  x = tn_build_reshape(b, x, dims, n);
  return tn_build_broadcast_map(b, x, type->dims, type->ndim, kept_map);
}

/* A reshape or transpose of a broadcast number is a broadcast of it. */
static tn_value *view_of_splat(tn_build *b, tn_node *node) {
  bool is_view = node->op == &tn_op_reshape || node->op == &tn_op_transpose;
  const tn_node *inner = is_view ? operand_def(node, &tn_op_broadcast) : NULL;
  if (!inner || operand(inner, 0)->type->ndim != 0) return NULL;
  const tn_type *type = node->results[0]->type;
  return tn_build_broadcast_map(b, operand(inner, 0), type->dims, type->ndim, NULL);
}

static tn_value *merge_slices(tn_build *b, tn_node *node) {
  const tn_node *inner = node->op == &tn_op_slice ? operand_def(node, &tn_op_slice) : NULL;
  if (!inner) return NULL;
  const tn_attr *start = tn_node_attr(node, "start"), *step = tn_node_attr(node, "step");
  const tn_attr *inner_start = tn_node_attr(inner, "start"), *inner_step = tn_node_attr(inner, "step");
  const tn_dim *starts[TN_MAX_NDIM];
  int64_t steps[TN_MAX_NDIM];
  for (uint32_t i = 0; i < node->results[0]->type->ndim; i++) {
    int64_t below = inner_step->u.list.n ? inner_step->u.list.ints[i] : 1;
    int64_t above = step->u.list.n ? step->u.list.ints[i] : 1;
    if (!tn_mul_i64(below, above, &steps[i])) return NULL;
    starts[i] = tn_dim_add(b->ctx, inner_start->u.list.dims[i], tn_dim_mul_i(b->ctx, start->u.list.dims[i], below));
  }
  return tn_build_slice(b, operand(inner, 0), starts, node->results[0]->type->dims, steps);
}

/* A reduction over axes of extent 1 only moves elements; but a sum starts from +0, which makes +0 of a lone -0. */
static tn_value *reduce_of_ones(tn_build *b, tn_node *node) {
  if (node->op != &tn_op_reduce) return NULL;
  const tn_attr *axes = tn_node_attr(node, "axes");
  tn_value *x = operand(node, 0);
  if (node->results[0]->type->dtype != x->type->dtype) return NULL;
  for (uint32_t i = 0; i < axes->u.list.n; i++)
    if (!tn_dim_is(x->type->dims[axes->u.list.ints[i]], 1)) return NULL;
  const tn_attr *acc = tn_node_attr(node, "acc");
  if (acc->present && (tn_dtype)acc->u.i != x->type->dtype) return NULL;
  tn_value *y = tn_build_reshape(b, x, node->results[0]->type->dims, node->results[0]->type->ndim);
  bool is_float_sum = tn_dtype_is_float(x->type->dtype) && strcmp(tn_rule_attr_name(node, "op"), "sum") == 0;
  return is_float_sum ? tn_build_binary_f(b, TN_ADD, y, 0) : y;
}

/* The pad's amounts added to the convolution's on one side; false when it pads batch or channels, or crops. */
static bool added_padding(tn_build *b, const tn_attr *pad, const tn_attr *own, uint32_t ndim, tn_attr *out) {
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < ndim; i++) {
    const tn_dim *added = pad->u.list.dims[i];
    if (i < 2 ? !tn_dim_is(added, 0) : added->lo < 0) return false;
    if (i >= 2) dims[i - 2] = tn_dim_add(b->ctx, own->u.list.dims[i - 2], added);
  }
  *out = tn_attr_dims(b->module, dims, ndim - 2);
  return true;
}

/* Zeros padded around the image are the convolution's own padding. */
static tn_value *pad_into_conv(tn_build *b, tn_node *node) {
  const tn_node *pad = node->op == &tn_op_conv ? operand_def(node, &tn_op_pad) : NULL;
  double fill;
  if (!pad || !tn_value_is_splat(operand(pad, 1), &fill) || fill != 0) return NULL;
  if (!all_ints(tn_node_attr(pad, "inner"), 0)) return NULL;
  uint32_t ndim = operand(node, 0)->type->ndim;
  uint32_t lo = tn_op_attr_index(node->op, "lo"), hi = tn_op_attr_index(node->op, "hi");
  tn_attr *attrs = tn_arena_copy(b->module->arena, node->attrs, node->op->n_attrs * sizeof(*attrs));
  if (!added_padding(b, tn_node_attr(pad, "lo"), &node->attrs[lo], ndim, &attrs[lo])) return NULL;
  if (!added_padding(b, tn_node_attr(pad, "hi"), &node->attrs[hi], ndim, &attrs[hi])) return NULL;
  tn_value *operands[] = {operand(pad, 0), operand(node, 1)};
  return tn_build_op(b, node->op, operands, 2, attrs);
}

#define EXACT TN_RULE_EXACT
#define FOLD_SCALE TN_RULE_FOLD_SCALE

const tn_structural_rule tn_structural_rules[] = {
    {"drop-identity", "views and casts whose result is their operand", drop_identity, EXACT},
    {"merge-transposes", "two transposes are one", merge_transposes, EXACT},
    {"merge-reshapes", "two reshapes are one", merge_reshapes, EXACT},
    {"transpose-of-ones", "a transpose that moves axes of extent 1 only is a reshape", transpose_of_ones, EXACT},
    {"merge-broadcasts", "two broadcasts are one", merge_broadcasts, EXACT},
    {"drop-ones-below-broadcast", "the operand of a broadcast has no axis of extent 1", drop_ones_below_broadcast,
     EXACT},
    {"view-of-splat", "a reshaped or transposed broadcast number is a broadcast", view_of_splat, EXACT},
    {"merge-slices", "two slices are one", merge_slices, EXACT},
    {"reduce-of-ones", "a reduction over axes of extent 1 is a reshape", reduce_of_ones, EXACT},
    {"pad-into-conv", "zeros around an image are the convolution's padding", pad_into_conv, EXACT},
    {"slice-of-concat", "a slice that lies in one operand of a concat", tn_rule_slice_of_concat, EXACT},
    {"concat-of-slices", "a tensor cut and put together again", tn_rule_concat_of_slices, EXACT},
    {"merge-concats", "a concat of concats along one axis is one", tn_rule_merge_concats, EXACT},
    {"gather-of-constant", "a gather of constant neighbours is a slice", tn_rule_gather_of_constant, EXACT},
    {"merge-pads", "two pads with one value are one", tn_rule_merge_pads, EXACT},
    {"pad-into-window", "padding with the fold's identity is the window's own", tn_rule_pad_into_window, EXACT},
    {"merge-casts", "a cast to a type that holds every value does nothing for the next", tn_rule_merge_casts, EXACT},
    {"divide-by-power", "division by a power of two is a product", tn_rule_divide_by_power, EXACT},
    {"subtract-constant", "x - c is x + -c, which has more rules", tn_rule_subtract_constant, EXACT},
    {"cube", "pow(x, 3) in f32 and f64 is two products", tn_rule_cube, EXACT},
    {"compute-before-broadcast", "what is computed of broadcast constants is computed of the constants",
     tn_rule_compute_before_broadcast, EXACT},
    {"reduce-of-transpose", "a reduction reads its operand in any order", tn_rule_reduce_of_transpose, EXACT},
    {"merge-reduces", "the same fold twice is once over both sets of axes", tn_rule_merge_reduces, EXACT},
    {"cancel-transposes", "transposes that undo each other around elementwise nodes", tn_rule_cancel_transposes, EXACT},
    {"cancel-reshapes", "reshapes that undo each other around elementwise nodes", tn_rule_cancel_reshapes, EXACT},
    {"one-hot-product", "a product with a one-hot matrix is a gather", tn_rule_one_hot_product, EXACT},
    {"compute-before-gather", "what is computed of gathered constant rows is computed of the rows",
     tn_rule_compute_before_gather, EXACT},
    {"scale-weights", "a constant scale moves into the weights before it", tn_rule_scale_weights, FOLD_SCALE},
    {"scale-offset", "(product + c) * d is product * d + c * d", tn_rule_scale_offset, FOLD_SCALE},
    {"join-offsets", "(product + c) + d is product + (c + d)", tn_rule_join_offsets, FOLD_SCALE},
    {"invert-scale", "product / c is product * (1 / c)", tn_rule_invert_scale, FOLD_SCALE},
};
const uint32_t tn_n_structural_rules = TN_ARRAY_LEN(tn_structural_rules);
