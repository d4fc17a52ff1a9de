/* range: numbers at equal distances (ONNX Range). */
#include <math.h>

#include "ir/ops/indexing.h"

extern const tn_opdef tn_op_range;

enum { COUNT };

static bool infer_range(tn_infer *infer) {
  const tn_attr *count = &infer->attrs[COUNT];
  if (!tn_infer_length(infer, "count", count, 1) || !tn_infer_rank(infer, 0, 0) || !tn_infer_rank(infer, 1, 0))
    return false;
  return tn_infer_extent(infer, "count", count->u.list.dims[0]) &&
         tn_infer_result(infer, 0, infer->operands[0]->type->dtype, 1, count->u.list.dims);
}

static void range_index(tn_ctx *ctx, tn_node *node) {
  const tn_dim *const *start = tn_index_of(node, 0), *const *delta = tn_index_of(node, 1);
  const tn_dim *count = node->attrs[COUNT].u.list.dims[0], *out[TN_MAX_INDEX];
  if (start == NULL || delta == NULL || !tn_dim_is_const(count) || tn_dim_value(count) > TN_MAX_INDEX) return;
  uint32_t n = (uint32_t)tn_dim_value(count);
  for (uint32_t i = 0; i < n; i++) out[i] = tn_dim_add(ctx, start[0], tn_dim_mul_i(ctx, delta[0], i));
  tn_index_set(node, out, n);
}

static bool expand_range(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  const tn_type *type = node->results[0]->type;
  tn_value *steps = tn_build_iota(b, type->dims, 1, 0, TN_I64);
  steps = tn_build_binary(b, TN_MUL, tn_build_cast(b, steps, type->dtype),
                          tn_build_spread(b, operands[1], type->dims, 1));
  out[0] = tn_build_binary(b, TN_ADD, tn_build_spread(b, operands[0], type->dims, 1), steps);
  return out[0] != NULL;
}

/* How many: ceil((limit - start) / delta), at least 0. */

/* From values that are known when the node runs; f64 holds what 32-bit numbers need exactly. */
static bool count_at_run_time(tn_foreign_node *node, tn_value *const *values, const tn_dim **out) {
  tn_build *b = node->build;
  tn_value *wide[3];
  uint32_t n;
  for (uint32_t i = 0; i < 3; i++) wide[i] = tn_build_cast(b, values[i], TN_F64);
  tn_value *count = tn_build_binary(b, TN_DIV, tn_build_binary(b, TN_SUB, wide[1], wide[0]), wide[2]);
  count = tn_build_cast(b, tn_build_unary(b, TN_CEIL, count), TN_I64);
  count = tn_build_binary(b, TN_MAX, count, tn_build_splat_i(b, TN_I64, 0));
  return tn_build_read_dims(b, count, 0, INT32_MAX, out, &n);
}

static bool count_of_floats(tn_foreign_node *node, tn_value *const *values, const tn_dim **out) {
  double start, limit, delta;
  bool known[3];
  if (!tn_foreign_const_float(node, 0, &start, &known[0]) || !tn_foreign_const_float(node, 1, &limit, &known[1]) ||
      !tn_foreign_const_float(node, 2, &delta, &known[2]))
    return false;
  if (!known[0] || !known[1] || !known[2]) return count_at_run_time(node, values, out);
  double n = ceil((limit - start) / delta);
  if (!(n < 0x1p40)) return tn_foreign_error(node, TN_E_SHAPE, "a range of %g elements", n);
  *out = tn_dim_const(node->build->ctx, n > 0 ? (int64_t)n : 0);
  return true;
}

static bool count_of_ints(tn_foreign_node *node, tn_value *const *values, const tn_dim **out) {
  tn_ctx *ctx = node->build->ctx;
  const int64_t *delta;
  uint32_t n;
  bool known;
  if (!tn_foreign_const_ints(node, 2, &delta, &n, &known)) return false;
  if (!known || n != 1 || values[0]->index == NULL || values[1]->index == NULL)
    return count_at_run_time(node, values, out);
  if (*delta == 0 || *delta == INT64_MIN) return tn_foreign_error(node, TN_E_ATTR, "delta is %lld", (long long)*delta);
  const tn_dim *start = values[0]->index[0], *limit = values[1]->index[0];
  const tn_dim *length = *delta > 0 ? tn_dim_sub(ctx, limit, start) : tn_dim_sub(ctx, start, limit);
  *out = tn_dim_max(ctx, tn_dim_ceildiv(ctx, length, *delta > 0 ? *delta : -*delta), tn_dim_const(ctx, 0));
  return true;
}

static bool import_range(tn_foreign_node *node) {
  tn_value *values[3];
  for (uint32_t i = 0; i < 3; i++) {
    values[i] = tn_foreign_need(node, i);
    if (values[i] == NULL) return false;
    values[i] = tn_build_reshape(node->build, values[i], NULL, 0);
    if (values[i] == NULL) return false;
  }
  const tn_dim *count;
  bool is_float = tn_dtype_is_float(values[0]->type->dtype);
  if (is_float ? !count_of_floats(node, values, &count) : !count_of_ints(node, values, &count)) return false;
  tn_attr attr = tn_attr_dims(node->build->module, &count, 1);
  return tn_foreign_build(node, &tn_op_range, (tn_value *[]){values[0], values[2]}, 2, &attr);
}

static const tn_operand_def operands[] = {{"start", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0},
                                          {"delta", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, "start", 0}};
static const tn_attr_def attrs[] = {{.name = "count", .kind = TN_ATTR_DIMS, .required = true}};
static const tn_onnx_row onnx[] = {{"", "Range", 11, 0, import_range}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[]", "f32[]"), "{count=[5]}", 0, 0, "f32[5]"},
    {TN_TYPES("i64[]", "i64[]"), "{count=[0]}", 0, 0, "i64[0]"},
    {TN_TYPES("i32[1]", "i32[]"), "{count=[2]}", 0, 0, NULL},
    {TN_TYPES("i32[]", "i32[]"), "{count=[2,2]}", 0, 0, NULL},
};

const tn_opdef tn_op_range = {
    .name = "range",
    .kind = TN_OP_COMPOSITE,
    .doc = "y[i] = start + delta * i for i below count.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_range,
    .index = range_index,
    .expand = expand_range,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
