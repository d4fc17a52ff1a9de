/* What the quantisation operators share; see quantize.h. */
#include "ir/ops/quantize.h"

bool tn_infer_quant_parameter(const tn_infer *infer, uint32_t index, uint32_t axis, int64_t block) {
  const tn_type *x = infer->operands[0]->type, *p = infer->operands[index]->type;
  const char *op = infer->node->op->name, *name = infer->node->op->operands[index].name;
  if (p->ndim == 0) return true;
  if (!tn_infer_axis(infer, "axis", axis, x->ndim)) return false;
  if (block == 0 && p->ndim == 1)
    return tn_infer_spread(infer, name, 0, p->dims[0], x->dims[axis]);
  if (block == 0 || !tn_infer_rank(infer, index, x->ndim))
    return tn_infer_error(infer, TN_E_RANK, "%s must be one number, one an index of axis, or one a block", name);
  bool ok = true;
  for (uint32_t i = 0; i < x->ndim; i++) {
    const tn_dim *want = i == axis ? tn_dim_ceildiv(infer->ctx, x->dims[i], block) : x->dims[i];
    ok =
        tn_func_require_eq(infer->func, p->dims[i], want, infer->loc, "'%s': extent of %s, axis %u", op, name, i) && ok;
  }
  return ok;
}

/* [.., n, ..] to [.., n * block, ..], each element repeated, then cut to x's dims. */
static tn_value *spread_blocks(tn_build *b, tn_value *parameter, const tn_value *x, uint32_t axis, int64_t block) {
  const tn_type *type = x->type;
  const tn_dim *split[TN_MAX_NDIM + 1], *joined[TN_MAX_NDIM];
  int64_t map[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++) {
    map[i] = i <= axis ? i : i + 1;
    split[map[i]] = parameter->type->dims[i];
    joined[i] = i == axis ? tn_dim_mul_i(b->ctx, parameter->type->dims[i], block) : type->dims[i];
  }
  split[axis + 1] = tn_dim_const(b->ctx, block);
  parameter = tn_build_broadcast_map(b, parameter, split, type->ndim + 1, map);
  parameter = tn_build_reshape(b, parameter, joined, type->ndim);
  return tn_build_slice_axis(b, parameter, axis, tn_dim_const(b->ctx, 0), type->dims[axis], 1);
}

tn_value *tn_build_quant_spread(tn_build *b, tn_value *parameter, const tn_value *x, uint32_t axis, int64_t block) {
  if (parameter == NULL || x == NULL) return NULL;
  if (parameter->type->ndim == 0) return tn_compose_repeat(b, parameter, x);
  if (block == 0) return tn_compose_along(b, parameter, x, axis);
  return spread_blocks(b, parameter, x, axis, block);
}

static tn_value *one_number(tn_build *b, tn_value *parameter) {
  bool is_one = parameter != NULL && tn_type_static_count(parameter->type) == 1;
  return is_one ? tn_build_reshape(b, parameter, NULL, 0) : parameter;
}

bool tn_foreign_quant_axis(tn_foreign_node *node, const tn_value *x, tn_value **scale, tn_value **zero, int64_t *axis,
                           int64_t *block) {
  int64_t given;
  uint32_t at = 0;
  if (*scale == NULL || !tn_foreign_int(node, "axis", 1, &given) || !tn_foreign_int(node, "block_size", 0, block))
    return false;
  if (*block < 0) return tn_foreign_error(node, TN_E_ATTR, "block_size is negative");
  *scale = one_number(node->build, *scale);
  *zero = one_number(node->build, *zero);
  if ((*scale)->type->ndim > 0 && !tn_build_axis(node->build, given, x->type->ndim, "axis", &at)) return false;
  *axis = at;
  return true;
}
