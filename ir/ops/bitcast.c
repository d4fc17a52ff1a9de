/* bitcast: the same bits as another element type. */
#include "ir/ops/export.h"
#include "ir/ops/ops.h"

enum { DTYPE };

static bool infer_bitcast(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  tn_dtype to = (tn_dtype)infer->attrs[DTYPE].u.i;
  unsigned from_bits = tn_dtype_bits(x->dtype), to_bits = tn_dtype_bits(to);
  if (to == TN_STR || from_bits < 8 || to_bits < 8)
    return tn_infer_error(infer, TN_E_DTYPE, "%s cannot become %s", tn_infer_operand(infer, 0), tn_dtype_name(to));
  const tn_dim *dims[TN_MAX_NDIM + 1];
  uint32_t n = x->ndim;
  for (uint32_t i = 0; i < n; i++) dims[i] = x->dims[i];
  if (to_bits < from_bits) dims[n++] = tn_dim_const(infer->ctx, from_bits / to_bits);
  if (to_bits > from_bits) {
    if (n == 0) return tn_infer_error(infer, TN_E_RANK, "a scalar cannot be joined to %s", tn_dtype_name(to));
    n--;
    if (!tn_func_require_eq(infer->func, dims[n], tn_dim_const(infer->ctx, to_bits / from_bits), infer->loc,
                            "'bitcast': last axis of %s", tn_infer_operand(infer, 0)))
      return false;
  }
  return tn_infer_result(infer, 0, to, n, dims);
}

static bool eval_bitcast(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  tn_arena *scratch = tn_arena_create_scratch(eval->arena);
  size_t bytes, step = tn_dtype_bytes(out->dtype);
  const char *data = tn_tensor_to_bytes(scratch, x, &bytes);
  bool fits = bytes == (size_t)out->count * step;
  for (int64_t k = 0; fits && k < out->count; k++) out->data[k] = tn_number_load(out->dtype, data + (size_t)k * step);
  tn_arena_destroy(scratch);
  return fits || tn_error(eval->ctx, node->loc, TN_E_SHAPE, "'bitcast': the last axis does not fit");
}

static bool import_bit_cast(tn_foreign_node *node) {
  tn_value *x = tn_foreign_need(node, 0);
  int64_t to;
  if (x == NULL || !tn_foreign_int(node, "to", 0, &to)) return false;
  tn_dtype dtype = tn_dtype_of_onnx(to);
  if (dtype == TN_N_DTYPES) return tn_foreign_error(node, TN_E_ATTR, "to: %lld is no element type", (long long)to);
  if (tn_dtype_bits(dtype) != tn_dtype_bits(x->type->dtype))
    return tn_foreign_error(node, TN_E_DTYPE, "%s and %s have different widths", tn_dtype_name(x->type->dtype),
                            tn_dtype_name(dtype));
  tn_attr attr = tn_attr_dtype(dtype);
  if (dtype == x->type->dtype) return tn_foreign_set(node, 0, x);
  return tn_foreign_build(node, tn_op_find("bitcast"), &x, 1, &attr);
}

/* ONNX keeps the width. */
static bool export_bitcast(tn_export *x, const tn_node *node) {
  tn_dtype from = node->operands[0].value->type->dtype, to = node->results[0]->type->dtype;
  if (tn_dtype_bits(from) != tn_dtype_bits(to)) return false;
  tn_export_emit(x, "BitCast", 26, TN_NAMES(tn_export_operand(x, node, 0)), TN_FOREIGN(tn_foreign_of_dtype("to", to)),
                 tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "dtype", .kind = TN_ATTR_DTYPE, .required = true}};
static const tn_onnx_row onnx[] = {{"", "BitCast", 26, 0, import_bit_cast}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), "{dtype=u32}", 0, 0, "u32[2,3]"},  {TN_TYPES("f32[B]"), "{dtype=u8}", 0, 0, "u8[B,4]"},
    {TN_TYPES("u8[3,2]"), "{dtype=u16}", 0, 9, "u16[3]"},     {TN_TYPES("f64[0]"), "{dtype=i64}", 0, 0, "i64[0]"},
    {TN_TYPES("u8[3,3]"), "{dtype=u16}", 0, 9, NULL},         {TN_TYPES("u8[2]"), "{dtype=bool}", 0, 1, "bool[2]"},
    {TN_TYPES("f32[2]"), "{dtype=i4}", 0, 0, NULL},
};

const tn_opdef tn_op_bitcast = {
    .name = "bitcast",
    .kind = TN_OP_PRIMITIVE,
    .doc = "The same bits as another element type; unequal widths split the last element or join the last axis, low "
           "bytes first.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_bitcast,
    .eval = eval_bitcast,
    .no_gradient = "bits are no numbers",
    TN_ONNX(onnx),
    .export = export_bitcast,
    TN_SAMPLES(samples),
};
