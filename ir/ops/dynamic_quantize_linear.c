/* dynamic_quantize_linear: u8 with scale and zero point from the values themselves (ONNX DynamicQuantizeLinear). */
#include "ir/ops/quantize.h"

static bool infer_dynamic_quantize_linear(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  return tn_infer_result(infer, 0, TN_U8, x->ndim, x->dims) && tn_infer_result(infer, 1, TN_F32, 0, NULL) &&
         tn_infer_result(infer, 2, TN_U8, 0, NULL);
}

/* The range always holds zero; a range of nothing but zero gets scale 1. */
static bool expand_dynamic_quantize_linear(tn_build *b, const tn_node *node, tn_value *const *operands,
                                           tn_value **out) {
  tn_value *x = operands[0], *zero = tn_build_splat_f(b, TN_F32, 0), *one = tn_build_splat_f(b, TN_F32, 1);
  int64_t axes[TN_MAX_NDIM];
  (void)node;
  for (uint32_t i = 0; i < x->type->ndim; i++) axes[i] = i;
  tn_value *lo = tn_build_binary(b, TN_MIN, tn_build_reduce(b, "min", x, axes, x->type->ndim, false), zero);
  tn_value *hi = tn_build_binary(b, TN_MAX, tn_build_reduce(b, "max", x, axes, x->type->ndim, false), zero);
  tn_value *scale = tn_build_binary_f(b, TN_DIV, tn_build_binary(b, TN_SUB, hi, lo), 255);
  scale = tn_build_select(b, tn_build_binary(b, TN_EQ, scale, zero), one, scale);
  tn_value *offset = tn_build_binary(b, TN_DIV, tn_build_unary(b, TN_NEG, lo), scale);
  tn_value *point = tn_build_unary(b, TN_ROUND, offset); /* inside 0 .. 255, because lo <= 0 <= hi */
  tn_value *steps = tn_build_unary(b, TN_ROUND, tn_build_binary(b, TN_DIV, x, tn_compose_repeat(b, scale, x)));
  out[0] = tn_build_cast(b, tn_build_binary(b, TN_ADD, steps, tn_compose_repeat(b, point, x)), TN_U8);
  out[1] = scale;
  out[2] = tn_build_cast(b, point, TN_U8);
  return out[0] != NULL && out[1] != NULL && out[2] != NULL;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_DTYPE_BIT(TN_F32), TN_ROLE_DATA, NULL, 0}};
static const tn_onnx_row onnx[] = {{"", "DynamicQuantizeLinear", 11, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), NULL, 0, 0, "u8[2,3], f32[], u8[]"},
    {TN_TYPES("f32[B]"), NULL, 1, 5, "u8[B], f32[], u8[]"},
    {TN_TYPES("f64[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_dynamic_quantize_linear = {
    .name = "dynamic_quantize_linear",
    .kind = TN_OP_COMPOSITE,
    .doc = "y, scale, zero: x quantised to u8 so that the range of x with 0 takes all 256 steps.",
    TN_OPERANDS(operands),
    .n_results = 3,
    .infer = infer_dynamic_quantize_linear,
    .expand = expand_dynamic_quantize_linear,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
