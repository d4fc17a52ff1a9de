/* ONNX's operators on quantised tensors: integer products of centred values, and their way back to a scale. They are
 * rows of quantize_linear, which ends the QLinear ones. */
#include "ir/ops/onnx.h"
#include "ir/ops/quantize.h"

extern const tn_opdef tn_op_quantize_linear;

/* x - zero in i32; zero is NULL, one number, or one an index of axis. */
static tn_value *centred(tn_build *b, tn_value *x, tn_value *zero, uint32_t axis) {
  x = tn_build_cast(b, x, TN_I32);
  if (zero == NULL || x == NULL) return x;
  zero = tn_build_cast(b, zero, TN_I32);
  if (zero != NULL && tn_type_static_count(zero->type) == 1) zero = tn_build_reshape(b, zero, NULL, 0);
  if (zero != NULL && zero->type->ndim > 1) zero = tn_build_broadcast_to(b, zero, x->type->dims, x->type->ndim);
  else zero = tn_build_quant_spread(b, zero, x, axis, 0);
  return tn_build_binary(b, TN_SUB, x, zero);
}

/* The convolution that node describes, of other inputs. */
static tn_value *convolve(tn_foreign_node *node, tn_value *x, tn_value *w, tn_value *bias) {
  tn_value *inputs[] = {x, w, bias}, *output = NULL;
  tn_foreign_node inner = *node;
  if (x == NULL || w == NULL) return NULL;
  inner.inputs = inputs;
  inner.n_inputs = 3;
  inner.outputs = &output;
  inner.n_outputs = 1;
  return tn_import_conv(&inner) ? output : NULL;
}

/* x is centred before it is padded, so padding adds nothing, as ONNX has it. */
bool tn_import_conv_integer(tn_foreign_node *node) {
  tn_value *x = tn_foreign_need(node, 0), *w = tn_foreign_need(node, 1);
  if (x == NULL || w == NULL) return false;
  x = centred(node->build, x, tn_foreign_input(node, 2), 1);
  w = centred(node->build, w, tn_foreign_input(node, 3), 0);
  return tn_foreign_set(node, 0, convolve(node, x, w, NULL));
}

/* scale repeated along axis of like; one number anywhere. */
static tn_value *times_scale(tn_build *b, tn_value *y, tn_value *scale, uint32_t axis) {
  scale = tn_build_cast(b, scale, TN_F32);
  if (scale == NULL || y == NULL) return NULL;
  if (tn_type_static_count(scale->type) == 1) scale = tn_build_reshape(b, scale, NULL, 0);
  if (scale->type->ndim > 1) scale = tn_build_broadcast_to(b, scale, y->type->dims, y->type->ndim);
  else scale = tn_build_quant_spread(b, scale, y, axis, 0);
  return tn_build_binary(b, TN_MUL, y, scale);
}

/* Inputs 6 and 7 are the result's scale and zero point. */
static bool quantize(tn_foreign_node *node, tn_value *y) {
  tn_build *b = node->build;
  tn_value *operands[] = {y, tn_foreign_need(node, 6), tn_foreign_need(node, 7)};
  if (y == NULL || operands[1] == NULL || operands[2] == NULL) return false;
  operands[1] = tn_build_cast(b, operands[1], TN_F32);
  for (int i = 1; i < 3; i++)
    if (operands[i] != NULL && tn_type_static_count(operands[i]->type) == 1)
      operands[i] = tn_build_reshape(b, operands[i], NULL, 0);
  tn_attr attrs[] = {tn_attr_dtype(operands[2]->type->dtype), tn_attr_int(0), tn_attr_int(0), tn_attr_bool(true)};
  return tn_foreign_build(node, &tn_op_quantize_linear, operands, 3, attrs);
}

static bool need_all(const tn_foreign_node *node, uint32_t n, tn_value **out) {
  for (uint32_t i = 0; i < n; i++) {
    out[i] = tn_foreign_need(node, i);
    if (out[i] == NULL) return false;
  }
  return true;
}

/* a, its scale and zero point, w with its own (one an output channel), y's, bias. */
bool tn_import_qlinear_conv(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *in[8];
  if (!need_all(node, 8, in)) return false;
  tn_value *x = centred(b, in[0], in[2], 1), *w = centred(b, in[3], in[5], 0);
  tn_value *y = tn_build_cast(b, convolve(node, x, w, tn_foreign_input(node, 8)), TN_F32);
  return quantize(node, times_scale(b, times_scale(b, y, in[1], 1), in[4], 1));
}

/* Scales of a are one a row, those of b one a column. */
bool tn_import_qlinear_matmul(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *in[8];
  if (!need_all(node, 8, in)) return false;
  uint32_t na = in[0]->type->ndim, nb = in[3]->type->ndim;
  if (na == 0 || nb == 0) return tn_foreign_error(node, TN_E_RANK, "a matrix product of a scalar");
  tn_value *x = centred(b, in[0], in[2], na > 1 ? na - 2 : 0), *w = centred(b, in[3], in[5], nb - 1);
  tn_value *y = tn_build_cast(b, tn_build_numpy_matmul(b, x, w), TN_F32);
  if (y == NULL) return false;
  uint32_t n = y->type->ndim;
  y = times_scale(b, y, in[1], n > 1 ? n - 2 : 0);
  return quantize(node, times_scale(b, y, in[4], n > 0 ? n - 1 : 0));
}
