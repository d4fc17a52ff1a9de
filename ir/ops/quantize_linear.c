/* quantize_linear: numbers to the nearest steps of a scale (ONNX QuantizeLinear). */
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"
#include "ir/ops/quantize.h"

extern const tn_opdef tn_op_quantize_linear;

enum { DTYPE, AXIS, BLOCK, SATURATE, N_ATTRS };

static bool infer_quantize_linear(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  tn_dtype dtype = (tn_dtype)infer->attrs[DTYPE].u.i;
  uint32_t axis = (uint32_t)infer->attrs[AXIS].u.i;
  int64_t block = infer->attrs[BLOCK].u.i;
  bool has_zero = infer->n_operands > 2 && infer->operands[2] != NULL;
  if ((TN_SET_QUANTIZED & TN_DTYPE_BIT(dtype)) == 0)
    return tn_infer_error(infer, TN_E_DTYPE, "%s is no type of quantised values", tn_dtype_name(dtype));
  if (has_zero && infer->operands[2]->type->dtype != dtype)
    return tn_infer_error(infer, TN_E_DTYPE, "expected a zero point of %s, found %s", tn_dtype_name(dtype),
                          tn_infer_operand(infer, 2));
  bool ok = tn_infer_quant_parameter(infer, 1, axis, block);
  ok = (!has_zero || tn_infer_quant_parameter(infer, 2, axis, block)) && ok;
  return ok && tn_infer_result(infer, 0, dtype, x->ndim, x->dims);
}

/* The quotient is rounded in the scale's type, as ONNX says; the zero point is added in f32, which holds every sum that
 * the saturating cast does not cut off anyway. */
static bool expand_quantize_linear(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_dtype dtype = node->results[0]->type->dtype;
  uint32_t axis = (uint32_t)node->attrs[AXIS].u.i;
  int64_t block = node->attrs[BLOCK].u.i;
  tn_value *x = tn_build_cast(b, operands[0], operands[1]->type->dtype);
  tn_value *q = tn_build_binary(b, TN_DIV, x, tn_build_quant_spread(b, operands[1], x, axis, block));
  if (tn_dtype_is_integer(dtype)) {
    q = tn_compose_wide(b, tn_build_unary(b, TN_ROUND, q));
    if (node->n_operands > 2 && operands[2] != NULL && q != NULL) {
      tn_value *zero = tn_build_cast(b, operands[2], q->type->dtype);
      q = tn_build_binary(b, TN_ADD, q, tn_build_quant_spread(b, zero, q, axis, block));
    }
  }
  tn_attr attrs[] = {tn_attr_dtype(dtype), tn_attr_bool(node->attrs[SATURATE].u.i != 0)};
  out[0] = tn_build_op(b, tn_op_of_scalar(TN_CAST), &q, 1, attrs);
  return out[0] != NULL;
}

static bool import_quantize_linear(tn_foreign_node *node) {
  tn_value *operands[] = {tn_foreign_need(node, 0), tn_foreign_need(node, 1), tn_foreign_input(node, 2)};
  int64_t axis, block, number, saturate;
  if (operands[0] == NULL || !tn_foreign_quant_axis(node, operands[0], &operands[1], &operands[2], &axis, &block) ||
      !tn_foreign_int(node, "output_dtype", 0, &number) || !tn_foreign_int(node, "saturate", 1, &saturate))
    return false;
  tn_dtype dtype = number != 0 ? tn_dtype_of_onnx(number) : operands[2] != NULL ? operands[2]->type->dtype : TN_U8;
  if (dtype == TN_N_DTYPES) return tn_foreign_error(node, TN_E_ATTR, "output_dtype: %lld", (long long)number);
  if (!tn_foreign_int(node, "precision", 0, &number)) return false;
  if (number != 0 && tn_dtype_of_onnx(number) != TN_N_DTYPES)
    operands[1] = tn_build_cast(node->build, operands[1], tn_dtype_of_onnx(number));
  tn_attr attrs[N_ATTRS] = {tn_attr_dtype(dtype), tn_attr_int(axis), tn_attr_int(block), tn_attr_bool(saturate != 0)};
  return tn_foreign_build(node, &tn_op_quantize_linear, operands, operands[2] != NULL ? 3 : 2, attrs);
}

/* The type of the result is the zero point's, so there is always one. */
static bool export_quantize_linear(tn_export *x, const tn_node *node) {
  tn_dtype to = node->results[0]->type->dtype;
  const tn_type *scale = node->operands[1].value->type;
  const char *zero = tn_export_operand(x, node, 2);
  int64_t block = node->attrs[BLOCK].u.i;
  if (to == TN_I32) return false;
  if (!zero[0]) {
    const char *shape = scale->ndim ? tn_export_dims(x, scale->dims, scale->ndim) : "";
    if (!shape) return false;
    zero = tn_export_number(x, to, 0);
    if (scale->ndim) zero = tn_export_binary(x, "Expand", zero, shape, NULL);
  }
  tn_foreign_attr attrs[] = {tn_foreign_of_int("axis", node->attrs[AXIS].u.i),
                             tn_foreign_of_int("saturate", node->attrs[SATURATE].u.i),
                             tn_foreign_of_int("block_size", block)};
  uint32_t n_attrs = 1; /* the others came with later opsets */
  bool is_plain = to == TN_U8 || to == TN_I8;
  int64_t since = block ? 21 : is_plain ? 0 : tn_dtype_bits(to) == 2 ? 25 : tn_dtype_bits(to) == 8 ? 19 : 21;
  if (since) n_attrs = block ? 3 : 2;
  tn_export_emit(x, "QuantizeLinear", since,
                 TN_NAMES(tn_export_operand(x, node, 0), tn_export_operand(x, node, 1), zero), attrs, n_attrs,
                 tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_FLOAT | TN_DTYPE_BIT(TN_I32), TN_ROLE_DATA, NULL, 0},
                                          {"scale", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                          {"zero", TN_OPTIONAL, TN_SET_QUANTIZED, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "dtype", .kind = TN_ATTR_DTYPE, .default_i = TN_U8},
                                    {.name = "axis", .kind = TN_ATTR_INT, .min_i = 0, .max_i = TN_MAX_NDIM},
                                    {.name = "block", .kind = TN_ATTR_INT, .min_i = 0, .max_i = INT32_MAX},
                                    {.name = "saturate", .kind = TN_ATTR_BOOL, .default_i = 1}};
static const tn_onnx_row onnx[] = {
    {"", "QuantizeLinear", 10, 0, import_quantize_linear},
    {"com.microsoft", "QuantizeLinear", 1, 0, import_quantize_linear},
    {"", "ConvInteger", 10, 0, tn_import_conv_integer},
    {"", "QLinearConv", 10, 0, tn_import_qlinear_conv},
    {"", "QLinearMatMul", 10, 0, tn_import_qlinear_matmul},
    {"com.microsoft", "QLinearAdd", 1, 0, tn_import_qlinear_binary},
    {"com.microsoft", "QLinearMul", 1, 0, tn_import_qlinear_binary},
    {"com.microsoft", "QLinearSigmoid", 1, 0, tn_import_qlinear_unary},
    {"com.microsoft", "QLinearLeakyRelu", 1, 0, tn_import_qlinear_unary},
    {"com.microsoft", "QLinearSoftmax", 1, 0, tn_import_qlinear_softmax},
    {"com.microsoft", "QLinearConcat", 1, 0, tn_import_qlinear_concat},
    {"com.microsoft", "QLinearAveragePool", 1, 0, tn_import_qlinear_pool},
    {"com.microsoft", "QLinearGlobalAveragePool", 1, 0, tn_import_qlinear_pool},
    {"com.microsoft", "QGemm", 1, 0, tn_import_qgemm},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]", "f32[]", "u8[]"), NULL, 1, 100, "u8[2,3]"},
    {TN_TYPES("f32[B,3]", "f32[3]"), "{dtype=i8, axis=1}", 1, 100, "i8[B,3]"},
    {TN_TYPES("f32[2,5]", "f32[2,3]", "i4[2,3]"), "{dtype=i4, axis=1, block=2}", 1, 7, "i4[2,5]"},
    {TN_TYPES("f32[0,3]", "f32[]"), "{dtype=f8e4m3}", 1, 2, "f8e4m3[0,3]"},
    {TN_TYPES("f32[2,3]", "f32[2]"), "{axis=1}", 1, 2, NULL},
    {TN_TYPES("f32[2,3]", "f32[]", "i8[]"), NULL, 1, 2, NULL},
    {TN_TYPES("f32[2,3]", "f32[]"), "{dtype=f32}", 1, 2, NULL},
};

const tn_opdef tn_op_quantize_linear = {
    .name = "quantize_linear",
    .kind = TN_OP_COMPOSITE,
    .doc = "round(x / scale) + zero, to the nearest even step, saturated to dtype; float types are rounded by the "
           "cast and have no zero point. scale and zero are one number, one an index of axis, or one a block of its "
           "elements.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_quantize_linear,
    .expand = expand_quantize_linear,
    TN_ONNX(onnx),
    .export = export_quantize_linear,
    TN_SAMPLES(samples),
};
