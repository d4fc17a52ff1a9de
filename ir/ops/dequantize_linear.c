/* dequantize_linear: steps of a scale back to numbers (ONNX DequantizeLinear). */
#include "ir/ops/export.h"
#include "ir/ops/quantize.h"

extern const tn_opdef tn_op_dequantize_linear;

enum { DTYPE, AXIS, BLOCK, N_ATTRS };

static bool infer_dequantize_linear(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  uint32_t axis = (uint32_t)infer->attrs[AXIS].u.i;
  int64_t block = infer->attrs[BLOCK].u.i;
  bool has_zero = infer->n_operands > 2 && infer->operands[2] != NULL;
  bool ok = tn_infer_quant_parameter(infer, 1, axis, block);
  ok = (!has_zero || tn_infer_quant_parameter(infer, 2, axis, block)) && ok;
  return ok && tn_infer_result(infer, 0, (tn_dtype)infer->attrs[DTYPE].u.i, x->ndim, x->dims);
}

/* (x - zero) exactly, then times scale in f32 (or f64), rounded once to dtype. */
static bool expand_dequantize_linear(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  uint32_t axis = (uint32_t)node->attrs[AXIS].u.i;
  int64_t block = node->attrs[BLOCK].u.i;
  tn_value *x = operands[0], *scale = tn_compose_wide(b, operands[1]);
  if (scale == NULL) return false;
  if (tn_dtype_is_integer(x->type->dtype) && node->n_operands > 2 && operands[2] != NULL) {
    x = tn_build_cast(b, x, TN_I32);
    tn_value *zero = tn_build_cast(b, operands[2], TN_I32);
    x = tn_build_binary(b, TN_SUB, x, tn_build_quant_spread(b, zero, x, axis, block));
  }
  x = tn_build_cast(b, x, scale->type->dtype);
  x = tn_build_binary(b, TN_MUL, x, tn_build_quant_spread(b, scale, x, axis, block));
  out[0] = tn_build_cast(b, x, node->results[0]->type->dtype);
  return out[0] != NULL;
}

static bool import_dequantize_linear(tn_foreign_node *node) {
  tn_value *operands[] = {tn_foreign_need(node, 0), tn_foreign_need(node, 1), tn_foreign_input(node, 2)};
  int64_t axis, block, number;
  if (operands[0] == NULL || !tn_foreign_quant_axis(node, operands[0], &operands[1], &operands[2], &axis, &block) ||
      !tn_foreign_int(node, "output_dtype", 0, &number))
    return false;
  tn_dtype dtype = number != 0 ? tn_dtype_of_onnx(number) : operands[1]->type->dtype;
  if (!tn_dtype_is_float(dtype)) return tn_foreign_error(node, TN_E_ATTR, "output_dtype: %lld", (long long)number);
  tn_attr attrs[N_ATTRS] = {tn_attr_dtype(dtype), tn_attr_int(axis), tn_attr_int(block)};
  return tn_foreign_build(node, &tn_op_dequantize_linear, operands, operands[2] != NULL ? 3 : 2, attrs);
}

static bool export_dequantize_linear(tn_export *x, const tn_node *node) {
  tn_dtype from = node->operands[0].value->type->dtype;
  int64_t block = node->attrs[BLOCK].u.i;
  if (node->results[0]->type->dtype != node->operands[1].value->type->dtype) return false;
  tn_foreign_attr attrs[] = {tn_foreign_of_int("axis", node->attrs[AXIS].u.i), tn_foreign_of_int("block_size", block)};
  bool is_plain = from == TN_U8 || from == TN_I8 || from == TN_I32;
  int64_t since = block ? 21 : is_plain ? 0 : tn_dtype_bits(from) == 2 ? 25 : tn_dtype_bits(from) == 8 ? 19 : 21;
  tn_export_emit(x, "DequantizeLinear", since,
                 TN_NAMES(tn_export_operand(x, node, 0), tn_export_operand(x, node, 1), tn_export_operand(x, node, 2)),
                 attrs, block ? 2 : 1, tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_QUANTIZED, TN_ROLE_DATA, NULL, 0},
                                          {"scale", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                          {"zero", TN_OPTIONAL, TN_SET_QUANTIZED, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attrs[] = {{.name = "dtype", .kind = TN_ATTR_DTYPE, .default_i = TN_F32},
                                    {.name = "axis", .kind = TN_ATTR_INT, .min_i = 0, .max_i = TN_MAX_NDIM},
                                    {.name = "block", .kind = TN_ATTR_INT, .min_i = 0, .max_i = INT32_MAX}};
static const tn_onnx_row onnx[] = {{"", "DequantizeLinear", 10, 0, import_dequantize_linear},
                                   {"com.microsoft", "DequantizeLinear", 1, 0, import_dequantize_linear}};
static const tn_op_sample samples[] = {
    {TN_TYPES("u8[2,3]", "f32[]", "u8[]"), NULL, 0, 100, "f32[2,3]"},
    {TN_TYPES("i32[B,3]", "f32[3]"), "{axis=1}", 0, 0, "f32[B,3]"},
    {TN_TYPES("i4[2,5]", "f16[2,3]"), "{dtype=f16, axis=1, block=2}", 0, 0, "f16[2,5]"},
    {TN_TYPES("f8e5m2[0,3]", "f32[]"), NULL, 0, 0, "f32[0,3]"},
    {TN_TYPES("i8[2,3]", "f32[2]"), "{axis=1}", 0, 0, NULL},
    {TN_TYPES("u8[2,3]", "f32[]", "i8[]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_dequantize_linear = {
    .name = "dequantize_linear",
    .kind = TN_OP_COMPOSITE,
    .doc = "(x - zero) * scale as dtype. scale and zero are one number, one an index of axis, or one a block of its "
           "elements.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_dequantize_linear,
    .expand = expand_dequantize_linear,
    TN_ONNX(onnx),
    .export = export_dequantize_linear,
    TN_SAMPLES(samples),
};
