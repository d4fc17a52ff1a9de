/* What the files of ir/ops share; see ops.h. */
#include "ir/ops/ops.h"

#include <stdarg.h>

#include "ir/primitives.h"

bool tn_infer_error(const tn_infer *infer, tn_diag_code code, const char *format, ...) {
  tn_buf buf = tn_buf_create(infer->ctx->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&buf, format, args);
  va_end(args);
  return tn_error(infer->ctx, infer->loc, code, "'%s': %s", infer->node->op->name, buf.data);
}

const char *tn_infer_operand(const tn_infer *infer, uint32_t index) {
  const tn_opdef *op = infer->node->op;
  const tn_value *value = infer->operands[index];
  tn_buf buf = tn_buf_create(infer->ctx->arena);
  uint32_t def = index < op->n_operands ? index : op->n_operands - 1;
  tn_buf_printf(&buf, "%s ", op->operands[def].name);
  if (value->name != NULL && value->name[0] != '\0') tn_buf_printf(&buf, "'%s' ", value->name);
  tn_type_print(value->type, &buf);
  return buf.data;
}

bool tn_infer_rank(const tn_infer *infer, uint32_t operand, uint32_t ndim) {
  if (infer->operands[operand]->type->ndim == ndim) return true;
  return tn_infer_error(infer, TN_E_RANK, "expected %u dimensions, found %s", ndim, tn_infer_operand(infer, operand));
}

bool tn_infer_min_rank(const tn_infer *infer, uint32_t operand, uint32_t ndim) {
  if (infer->operands[operand]->type->ndim >= ndim) return true;
  return tn_infer_error(infer, TN_E_RANK, "expected at least %u dimensions, found %s", ndim,
                        tn_infer_operand(infer, operand));
}

bool tn_infer_axis(const tn_infer *infer, const char *what, int64_t axis, uint32_t ndim) {
  if (axis >= 0 && axis < (int64_t)ndim) return true;
  return tn_infer_error(infer, TN_E_ATTR, "%s: expected 0 to %d, found %lld", what, (int)ndim - 1, (long long)axis);
}

bool tn_infer_axes(const tn_infer *infer, const char *what, const tn_attr *axes, uint32_t ndim) {
  uint32_t seen = 0;
  bool ok = true;
  for (uint32_t i = 0; i < axes->u.list.n; i++) {
    int64_t axis = axes->u.list.ints[i];
    if (!tn_infer_axis(infer, what, axis, ndim)) {
      ok = false;
      continue;
    }
    if ((seen >> axis & 1) != 0) ok = tn_infer_error(infer, TN_E_ATTR, "%s: %lld occurs twice", what, (long long)axis);
    seen |= (uint32_t)1 << axis;
  }
  return ok;
}

bool tn_ints_have(const tn_attr *list, int64_t v) {
  for (uint32_t i = 0; i < list->u.list.n; i++)
    if (list->u.list.ints[i] == v) return true;
  return false;
}

bool tn_infer_length(const tn_infer *infer, const char *what, const tn_attr *list, uint32_t n) {
  if (list->u.list.n == n) return true;
  return tn_infer_error(infer, TN_E_ATTR, "%s: expected %u elements, found %u", what, n, list->u.list.n);
}

bool tn_infer_same_type(const tn_infer *infer, const tn_type *type, const tn_type *expected, const char *what,
                        uint32_t number) {
  if (type == expected) return true;
  if (type->dtype != expected->dtype || type->ndim != expected->ndim) {
    tn_buf text = tn_buf_create(infer->ctx->arena);
    tn_type_print(expected, &text);
    tn_buf_puts(&text, ", found ");
    tn_type_print(type, &text);
    return tn_infer_error(infer, type->dtype != expected->dtype ? TN_E_DTYPE : TN_E_RANK, "%s %u: expected %s", what,
                          number, text.data);
  }
  bool ok = true;
  for (uint32_t i = 0; i < type->ndim; i++)
    ok &= tn_func_require_eq(infer->func, type->dims[i], expected->dims[i], infer->loc, "'%s': %s %u, axis %u",
                             infer->node->op->name, what, number, i);
  return ok;
}

static bool infer_params(const tn_infer *infer, uint32_t region) {
  const tn_block *block = infer->node->regions[region];
  tn_region_param *params = TN_NEW_N(infer->func->module->arena, tn_region_param, (size_t)infer->n_operands + 1);
  uint32_t n = 0;
  bool ok = true;
  infer->node->op->params(infer->node, region, params, &n);
  if (block->params.n != n)
    return tn_infer_error(infer, TN_E_ARITY, "region %u has %zu parameters, expected %u", region, block->params.n, n);
  for (uint32_t i = 0; i < n; i++)
    ok &= tn_infer_same_type(infer, block->params.data[i]->type, params[i].type, "parameter", i);
  return ok;
}

bool tn_infer_regions(const tn_infer *infer) {
  bool ok = true;
  for (uint32_t i = 0; i < infer->node->n_regions; i++) {
    const tn_node *last = infer->node->regions[i]->last;
    if (!last || last->op != &tn_op_yield) ok = tn_infer_error(infer, TN_E_VERIFY, "region %u lacks its yield", i);
    ok &= infer_params(infer, i);
  }
  return ok;
}

bool tn_infer_channels(const tn_infer *infer, uint32_t n) {
  bool ok = tn_infer_min_rank(infer, 0, 2);
  for (uint32_t i = 1; i < n; i++) {
    if (!tn_infer_rank(infer, i, 1)) ok = false;
    else if (ok)
      ok = tn_func_require_eq(infer->func, infer->operands[i]->type->dims[0], infer->operands[0]->type->dims[1],
                              infer->loc, "'%s': %s against the channels of %s", infer->node->op->name,
                              tn_infer_operand(infer, i), tn_infer_operand(infer, 0));
  }
  return ok;
}

bool tn_infer_extent(const tn_infer *infer, const char *what, const tn_dim *dim) {
  return tn_func_require_le(infer->func, tn_dim_const(infer->ctx, 0), dim, infer->loc, "'%s': %s is not negative",
                            infer->node->op->name, what);
}

bool tn_infer_spread(const tn_infer *infer, const char *what, uint32_t axis, const tn_dim *extent, const tn_dim *dim) {
  const tn_dim *p = extent, *q = dim;
  if (!tn_func_dims_equal(infer->func, extent, dim) && extent->lo <= 1 && extent->hi > 1) {
    p = tn_dim_mul(infer->ctx, tn_dim_sub(infer->ctx, extent, dim), tn_dim_add_i(infer->ctx, extent, -1));
    q = tn_dim_const(infer->ctx, 0);
  }
  return tn_func_require_eq(infer->func, p, q, infer->loc, "'%s': extent of %s, axis %u", infer->node->op->name, what,
                            axis);
}

bool tn_infer_result(tn_infer *infer, uint32_t index, tn_dtype dtype, uint32_t ndim, const tn_dim *const *dims) {
  if (ndim > TN_MAX_NDIM)
    return tn_infer_error(infer, TN_E_LIMIT, "a result of rank %u is above the limit of %d", ndim, TN_MAX_NDIM);
  infer->types[index] = tn_type_tensor(infer->ctx, dtype, ndim, dims);
  return true;
}

void tn_index_set(tn_node *node, const tn_dim *const *index, uint32_t n) {
  tn_value *result = node->results[0];
  if (n > TN_MAX_INDEX || result->type->ndim > 1) return;
  for (uint32_t i = 0; i < n; i++)
    if (index[i] == NULL) return;
  tn_arena *arena = node->block->func->module->arena;
  result->index = tn_arena_copy(arena, index, n * sizeof *index);
  result->n_index = n;
}

const tn_dim *const *tn_index_of(const tn_node *node, uint32_t operand) {
  const tn_value *value = operand < node->n_operands ? node->operands[operand].value : NULL;
  return value == NULL ? NULL : value->index;
}

tn_dtype tn_dtype_of_onnx(int64_t number) {
  static const tn_dtype of[] = {
      TN_N_DTYPES, TN_F32, TN_U8, TN_I8, TN_U16, TN_I16, TN_I32, TN_I64, TN_STR, TN_BOOL, TN_F16, TN_F64, TN_U32,
      TN_U64, TN_N_DTYPES, TN_N_DTYPES, TN_BF16, TN_F8E4M3, TN_F8E4M3UZ, TN_F8E5M2, TN_F8E5M2UZ, TN_U4, TN_I4,
      TN_F4E2M1, TN_F8E8M0, TN_U2, TN_I2};
  return number >= 0 && number < (int64_t)TN_ARRAY_LEN(of) ? of[number] : TN_N_DTYPES;
}

int64_t tn_dtype_to_onnx(tn_dtype dtype) {
  int64_t number = 1;
  while (tn_dtype_of_onnx(number) != dtype) number++;
  return number;
}

bool tn_foreign_set(tn_foreign_node *node, uint32_t output, tn_value *value) {
  if (value == NULL) return false;
  if (output < node->n_outputs) node->outputs[output] = value;
  return true;
}

bool tn_foreign_build(tn_foreign_node *node, const tn_opdef *op, tn_value *const *operands, uint32_t n_operands,
                      const tn_attr *attrs) {
  for (uint32_t i = 0; i < n_operands; i++)
    if (operands[i] == NULL && (i >= op->n_operands || op->operands[i].arity != TN_OPTIONAL)) return false;
  tn_node *made = tn_build_node(node->build, op, operands, n_operands, attrs);
  if (made == NULL) return false;
  for (uint32_t i = 0; i < made->n_results && i < node->n_outputs; i++) node->outputs[i] = made->results[i];
  return true;
}

bool tn_foreign_error(const tn_foreign_node *node, tn_diag_code code, const char *format, ...) {
  tn_buf buf = tn_buf_create(node->build->ctx->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&buf, format, args);
  va_end(args);
  return tn_error(node->build->ctx, node->loc, code, "'%s': %s", node->op, buf.data);
}
