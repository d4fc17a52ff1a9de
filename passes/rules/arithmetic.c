/* Rules of arithmetic and reductions that need more than a pattern. What they change is judged for IEEE floats (NaN
 * payloads aside) and for integers modulo 2^n. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/primitives.h"
#include "passes/rules/apply.h"

static tn_value *operand(const tn_node *node, uint32_t i) { return node->operands[i].value; }

/* A reciprocal that is exact: c is a power of two and 1/c a normal number. */
static bool exact_reciprocal(tn_dtype dtype, double c, double *out) {
  int exponent;
  if (c == 0 || !isfinite(c) || fabs(frexp(c, &exponent)) != 0.5) return false;
  *out = 1 / c;
  int limit = dtype == TN_F64 ? 1000 : dtype == TN_F32 || dtype == TN_BF16 ? 120 : 12;
  return abs(exponent) <= limit;
}

tn_value *tn_rule_divide_by_power(tn_build *b, tn_node *node) {
  double c, reciprocal;
  if (node->op != tn_op_of_scalar(TN_DIV)) return NULL;
  tn_value *x = operand(node, 0);
  if (x->type->dtype > TN_BF16 || !tn_value_is_splat(operand(node, 1), &c)) return NULL;
  if (!exact_reciprocal(x->type->dtype, c, &reciprocal)) return NULL;
  return tn_build_binary_f(b, TN_MUL, x, reciprocal);
}

#define MAX_NEGATED_ELEMENTS 65536

/* x - c as x + -c, where -c is folded: add has more rules. */
tn_value *tn_rule_subtract_constant(tn_build *b, tn_node *node) {
  const tn_node *broadcast;
  if (node->op != tn_op_of_scalar(TN_SUB)) return NULL;
  tn_value *c = operand(node, 1);
  const tn_const *constant = tn_rule_const(c, &broadcast);
  if (!constant || tn_type_static_count(constant->type) > MAX_NEGATED_ELEMENTS) return NULL;
  if (!(tn_pattern_dtypes('x') & TN_DTYPE_BIT(c->type->dtype))) return NULL;
  return tn_build_binary(b, TN_ADD, operand(node, 0), tn_build_unary(b, TN_NEG, c));
}

/* Both products are rounded, which is still within pow's error bound; in f16 the square could overflow. */
tn_value *tn_rule_cube(tn_build *b, tn_node *node) {
  double exponent;
  if (node->op != tn_op_of_scalar(TN_POW)) return NULL;
  if (!tn_value_is_splat(operand(node, 1), &exponent) || exponent != 3) return NULL;
  tn_value *x = operand(node, 0);
  if (x->type->dtype != TN_F32 && x->type->dtype != TN_F64) return NULL;
  return tn_build_binary(b, TN_MUL, tn_build_binary(b, TN_MUL, x, x), x);
}

/* Every value of from is a value of to. */
static bool holds_all(tn_dtype from, tn_dtype to) {
  static const struct { uint8_t precision, range; } floats[] = {
      [TN_F64] = {53, 11}, [TN_F32] = {24, 8}, [TN_F16] = {11, 5}, [TN_BF16] = {8, 8}};
  if (from == to) return true;
  if (from == TN_BOOL) return to != TN_STR && to != TN_F8E8M0; /* 0 has no code there */
  if (to == TN_BOOL || from == TN_STR || to == TN_STR) return false;
  bool to_float = tn_dtype_is_float(to);
  if (tn_dtype_is_float(from))
    return to_float && from <= TN_BF16 && to <= TN_BF16 && floats[from].precision <= floats[to].precision &&
           floats[from].range <= floats[to].range;
  unsigned bits = tn_dtype_bits(from);
  if (to_float) return to <= TN_F32 && bits <= floats[to].precision;
  if (tn_dtype_is_signed(from)) return tn_dtype_is_signed(to) && bits <= tn_dtype_bits(to);
  return bits < tn_dtype_bits(to) || (bits == tn_dtype_bits(to) && !tn_dtype_is_signed(to));
}

tn_value *tn_rule_merge_casts(tn_build *b, tn_node *node) {
  const tn_opdef *cast = tn_op_of_scalar(TN_CAST);
  const tn_node *inner = node->op == cast ? tn_rule_operand_def(node, 0, cast) : NULL;
  if (!inner) return NULL;
  tn_value *x = operand(inner, 0);
  tn_dtype from = x->type->dtype, to = node->results[0]->type->dtype;
  if (!holds_all(from, inner->results[0]->type->dtype)) return NULL;
  return from == to ? x : tn_rule_rebuild(b, node, &x);
}

/* The broadcasts' common form: those that are no splats agree in what they read and where it goes. */
static const tn_node *widest_broadcast(const tn_node *node) {
  const tn_node *widest = NULL;
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_node *broadcast;
    if (!tn_rule_const(node->operands[i].value, &broadcast) || !broadcast) return NULL;
    if (!widest || broadcast->operands[0].value->type->ndim > widest->operands[0].value->type->ndim) widest = broadcast;
  }
  for (uint32_t i = 0; widest && i < node->n_operands; i++) {
    const tn_node *broadcast = node->operands[i].value->def;
    const tn_type *type = broadcast->operands[0].value->type, *wide = widest->operands[0].value->type;
    if (type->ndim == 0) continue;
    if (type->ndim != wide->ndim) return NULL;
    for (uint32_t axis = 0; axis < type->ndim; axis++)
      if (type->dims[axis] != wide->dims[axis] || tn_node_attr(broadcast, "map")->u.list.ints[axis] !=
                                                      tn_node_attr(widest, "map")->u.list.ints[axis])
        return NULL;
  }
  return widest;
}

/* Computing on constants before they are broadcast, where folding can do it. */
tn_value *tn_rule_compute_before_broadcast(tn_build *b, tn_node *node) {
  const tn_node *widest = node->op->kind == TN_OP_SCALAR ? widest_broadcast(node) : NULL;
  if (!widest) return NULL;
  const tn_type *small = widest->operands[0].value->type, *large = node->results[0]->type;
  tn_value *operands[3];
  TN_ASSERT(node->n_operands <= TN_ARRAY_LEN(operands));
  for (uint32_t i = 0; i < node->n_operands; i++)
    operands[i] = tn_build_broadcast_to(b, operand(node, i)->def->operands[0].value, small->dims,
                                        small->ndim);
  tn_value *result = tn_rule_rebuild(b, node, operands);
  return tn_build_broadcast_map(b, result, large->dims, large->ndim, tn_node_attr(widest, "map")->u.list.ints);
}

/* Reductions. */

static tn_value *rebuild_reduce(tn_build *b, const tn_node *like, tn_value *x, const int64_t *axes, uint32_t n) {
  tn_attr attrs[8];
  TN_ASSERT(like->op->n_attrs <= TN_ARRAY_LEN(attrs));
  memcpy(attrs, like->attrs, like->op->n_attrs * sizeof(*attrs));
  attrs[tn_op_attr_index(like->op, "axes")] = tn_attr_ints(b->module, axes, n);
  return tn_build_op(b, like->op, &x, 1, attrs);
}

/* reduce(transpose(x)) reads x itself; what stays is transposed when its order differs. */
tn_value *tn_rule_reduce_of_transpose(tn_build *b, tn_node *root) {
  const tn_node *inner = root->op == &tn_op_reduce ? tn_rule_operand_def(root, 0, &tn_op_transpose) : NULL;
  if (!inner) return NULL;
  const tn_attr *folded = tn_node_attr(root, "axes"), *order = tn_node_attr(root, "order");
  const int64_t *perm = tn_node_attr(inner, "perm")->u.list.ints;
  if (order->u.i != 0) return NULL; /* a fixed order counts positions along the transposed axes */
  uint32_t ndim = operand(inner, 0)->type->ndim, gone = 0, n = 0;
  int64_t axes[TN_MAX_NDIM], left[TN_MAX_NDIM], rank[TN_MAX_NDIM];
  for (uint32_t i = 0; i < folded->u.list.n; i++) {
    axes[i] = perm[folded->u.list.ints[i]];
    gone |= 1u << folded->u.list.ints[i];
  }
  for (uint32_t i = 0; i < ndim; i++)
    if (!(gone >> i & 1)) left[n++] = perm[i];
  for (uint32_t i = 0; i < n; i++) {
    rank[i] = 0;
    for (uint32_t k = 0; k < n; k++) rank[i] += left[k] < left[i];
  }
  tn_value *y = rebuild_reduce(b, root, operand(inner, 0), axes, folded->u.list.n);
  return y ? tn_build_transpose(b, y, rank) : NULL;
}

/* The same fold twice: once over both sets of axes. Sums and products of floats would be rounded elsewhere. */
tn_value *tn_rule_merge_reduces(tn_build *b, tn_node *outer) {
  const tn_node *inner = outer->op == &tn_op_reduce ? tn_rule_operand_def(outer, 0, &tn_op_reduce) : NULL;
  if (!inner) return NULL;
  const char *fold = tn_rule_attr_name(outer, "op");
  tn_value *x = operand(inner, 0);
  if (tn_dtype_is_float(x->type->dtype) && (strcmp(fold, "sum") == 0 || strcmp(fold, "prod") == 0)) return NULL;
  static const char *const same[] = {"op", "acc", "order"};
  for (size_t i = 0; i < TN_ARRAY_LEN(same); i++) {
    const tn_attr *p = tn_node_attr(outer, same[i]), *q = tn_node_attr(inner, same[i]);
    if (p->present != q->present || (p->present && p->u.i != q->u.i)) return NULL;
  }
  if (tn_node_attr(outer, "order")->u.i != 0) return NULL;
  const tn_attr *second = tn_node_attr(outer, "axes"), *first = tn_node_attr(inner, "axes");
  int64_t axes[TN_MAX_NDIM], left[TN_MAX_NDIM];
  uint32_t n = first->u.list.n, gone = 0, n_left = 0;
  for (uint32_t i = 0; i < n; i++) {
    axes[i] = first->u.list.ints[i];
    gone |= 1u << axes[i];
  }
  for (uint32_t i = 0; i < x->type->ndim; i++)
    if (!(gone >> i & 1)) left[n_left++] = i;
  for (uint32_t i = 0; i < second->u.list.n; i++) axes[n++] = left[second->u.list.ints[i]];
  for (uint32_t i = 1; i < n; i++)
    for (uint32_t k = i; k > 0 && axes[k] < axes[k - 1]; k--) {
      int64_t swapped = axes[k];
      axes[k] = axes[k - 1];
      axes[k - 1] = swapped;
    }
  return rebuild_reduce(b, outer, x, axes, n);
}
