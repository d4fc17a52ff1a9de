/* onnxruntime's operators on quantised tensors (domain com.microsoft). The QLinear ones give what their operator on the
 * dequantised numbers gives, quantised again; the products sum integers. */
#include "ir/ops/onnx.h"
#include "ir/ops/quantize.h"
#include "ir/primitives.h"

#include <string.h>

static tn_value *as_scalar(tn_build *b, tn_value *x) {
  bool one = x != NULL && tn_type_static_count(x->type) == 1;
  return one ? tn_build_reshape(b, x, NULL, 0) : x;
}

/* (x - zero) * scale in f32, of inputs x, x + 1 and x + 2; scale and zero are one number. */
static tn_value *dequantised(tn_foreign_node *node, uint32_t x) {
  tn_build *b = node->build;
  tn_value *in[] = {tn_foreign_need(node, x), as_scalar(b, tn_foreign_need(node, x + 1)),
                    as_scalar(b, tn_foreign_input(node, x + 2))};
  if (in[0] == NULL || in[1] == NULL) return NULL;
  return tn_build_op(b, tn_op_find("dequantize_linear"), in, in[2] != NULL ? 3 : 2, NULL);
}

/* y quantised by inputs scale and zero as output 0. */
static tn_value *requantised(tn_foreign_node *node, tn_value *y, uint32_t scale, uint32_t zero, tn_dtype dtype) {
  tn_build *b = node->build;
  tn_value *in[] = {y, as_scalar(b, tn_foreign_need(node, scale)), as_scalar(b, tn_foreign_input(node, zero))};
  if (y == NULL || in[1] == NULL) return NULL;
  tn_attr attrs[] = {tn_attr_dtype(in[2] != NULL ? in[2]->type->dtype : dtype), tn_attr_int(0), tn_attr_int(0),
                     tn_attr_bool(true)};
  return tn_build_op(b, tn_op_find("quantize_linear"), in, in[2] != NULL ? 3 : 2, attrs);
}

static tn_dtype input_dtype(const tn_foreign_node *node, uint32_t index) {
  const tn_value *x = tn_foreign_input(node, index);
  return x != NULL ? x->type->dtype : TN_U8;
}

/* QLinearAdd, QLinearMul. */
bool tn_import_qlinear_binary(tn_foreign_node *node) {
  tn_value *pair[] = {dequantised(node, 0), dequantised(node, 3)};
  if (pair[0] == NULL || pair[1] == NULL || !tn_build_broadcast_all(node->build, pair, 2)) return false;
  tn_value *y = tn_build_binary(node->build, strcmp(node->op, "QLinearAdd") == 0 ? TN_ADD : TN_MUL, pair[0], pair[1]);
  return tn_foreign_set(node, 0, requantised(node, y, 6, 7, input_dtype(node, 0)));
}

/* QLinearSigmoid, QLinearLeakyRelu. */
bool tn_import_qlinear_unary(tn_foreign_node *node) {
  tn_value *x = dequantised(node, 0);
  double alpha;
  if (x == NULL || !tn_foreign_float(node, "alpha", 0.01f, &alpha)) return false;
  tn_attr attr = tn_attr_float(alpha);
  bool leaky = strcmp(node->op, "QLinearLeakyRelu") == 0;
  tn_value *y = tn_build_op(node->build, tn_op_find(leaky ? "leaky_relu" : "sigmoid"), &x, 1, leaky ? &attr : NULL);
  return tn_foreign_set(node, 0, requantised(node, y, 3, 4, input_dtype(node, 0)));
}

/* Along one axis, or before opset 13 (an attribute) over all axes from it on. */
bool tn_import_qlinear_softmax(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = dequantised(node, 0);
  int64_t opset, axis;
  uint32_t at;
  if (x == NULL || !tn_foreign_int(node, "opset", 13, &opset) || !tn_foreign_int(node, "axis", -1, &axis) ||
      !tn_build_axis(b, axis, x->type->ndim, "axis", &at))
    return false;
  const tn_type *type = x->type;
  const tn_dim *rows[TN_MAX_NDIM];
  for (uint32_t i = 0; i < at; i++) rows[i] = type->dims[i];
  rows[at] = tn_dim_product(b->ctx, type->dims + at, type->ndim - at);
  if (opset < 13) x = tn_build_reshape(b, x, rows, at + 1);
  tn_attr attr = tn_attr_int(at);
  tn_value *y = x == NULL ? NULL : tn_build_op(b, tn_op_find("softmax"), &x, 1, &attr);
  if (opset < 13 && y != NULL) y = tn_build_reshape(b, y, type->dims, type->ndim);
  return tn_foreign_set(node, 0, requantised(node, y, 3, 4, input_dtype(node, 0)));
}

/* The result's scale and zero point, then three inputs a tensor. */
bool tn_import_qlinear_concat(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *parts[TN_MAX_INDEX];
  int64_t axis;
  uint32_t at, n = node->n_inputs < 2 ? 0 : (node->n_inputs - 2) / 3;
  if (n == 0 || n > TN_MAX_INDEX || node->n_inputs != 2 + 3 * n)
    return tn_foreign_error(node, TN_E_ARITY, "expected 2 inputs and 3 for each tensor, found %u", node->n_inputs);
  for (uint32_t i = 0; i < n; i++) {
    tn_value *x = dequantised(node, 2 + 3 * i);
    parts[i] = requantised(node, x, 0, 1, input_dtype(node, 2 + 3 * i));
    if (parts[i] == NULL) return false;
  }
  if (!tn_foreign_int(node, "axis", 1, &axis) || !tn_build_axis(b, axis, parts[0]->type->ndim, "axis", &at))
    return false;
  return tn_foreign_set(node, 0, tn_build_concat(b, parts, n, at));
}

/* Channels behind the batch, or back at the end. */
static tn_value *channels_moved(tn_build *b, tn_value *x, bool to_end) {
  int64_t perm[TN_MAX_NDIM];
  if (x == NULL) return NULL;
  uint32_t n = x->type->ndim;
  for (uint32_t i = 0; i < n; i++) perm[i] = i == 0 ? 0 : to_end ? (i + 1 < n ? i + 1 : 1) : i == 1 ? n - 1 : i - 1;
  return tn_build_transpose(b, x, perm);
}

/* QLinearAveragePool, QLinearGlobalAveragePool. */
bool tn_import_qlinear_pool(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = dequantised(node, 0), *y = NULL;
  int64_t last;
  if (x == NULL || !tn_foreign_int(node, "channels_last", 0, &last)) return false;
  if (last != 0) x = channels_moved(b, x, false);
  bool global = strcmp(node->op, "QLinearGlobalAveragePool") == 0;
  tn_foreign_node inner = *node;
  inner.op = global ? "GlobalAveragePool" : "AveragePool";
  inner.version = 19;
  inner.inputs = &x;
  inner.n_inputs = 1;
  inner.outputs = &y;
  inner.n_outputs = 1;
  if (x == NULL || (global ? !tn_import_global_pool(&inner) : !tn_import_average_pool(&inner))) return false;
  if (last != 0) y = channels_moved(b, y, true);
  return tn_foreign_set(node, 0, requantised(node, y, 3, 4, input_dtype(node, 0)));
}

/* x - zero in i32; zero is one number, or one a column. */
static tn_value *centred(tn_build *b, tn_value *x, tn_value *zero) {
  x = tn_build_cast(b, x, TN_I32);
  zero = as_scalar(b, zero);
  if (zero == NULL || x == NULL) return x;
  return tn_build_binary(b, TN_SUB, x, tn_build_broadcast_to(b, tn_build_cast(b, zero, TN_I32), x->type->dims,
                                                             x->type->ndim));
}

/* y times a scale that is one number, or one a column of y. */
static tn_value *scaled(tn_build *b, tn_value *y, tn_value *scale) {
  scale = as_scalar(b, scale);
  if (y == NULL || scale == NULL) return NULL;
  scale = tn_build_cast(b, scale, TN_F32);
  return tn_build_binary(b, TN_MUL, y, tn_build_broadcast_to(b, scale, y->type->dims, y->type->ndim));
}

static tn_value *plus(tn_build *b, tn_value *y, tn_value *bias) {
  if (y == NULL || bias == NULL) return y;
  return tn_build_binary(b, TN_ADD, y, tn_build_broadcast_to(b, bias, y->type->dims, y->type->ndim));
}

/* alpha * a_scale * b_scale * (A' B' + C), quantised when there is a scale for it. */
bool tn_import_qgemm(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *w = tn_foreign_need(node, 3), *c = tn_foreign_input(node, 6);
  int64_t trans_x, trans_w;
  double alpha;
  if (x == NULL || w == NULL || !tn_foreign_int(node, "transA", 0, &trans_x) ||
      !tn_foreign_int(node, "transB", 0, &trans_w) || !tn_foreign_float(node, "alpha", 1, &alpha))
    return false;
  if (x->type->ndim != 2 || w->type->ndim != 2)
    return tn_foreign_error(node, TN_E_RANK, "expected matrices, found %u and %u dimensions", x->type->ndim,
                            w->type->ndim);
  static const int64_t swap[] = {1, 0}, sum[] = {1, 0};
  if (trans_x != 0) x = tn_build_transpose(b, x, swap);
  if (trans_w != 0) w = tn_build_transpose(b, w, swap);
  x = centred(b, x, tn_foreign_input(node, 2));
  w = centred(b, w, tn_foreign_input(node, 5));
  tn_value *total = plus(b, tn_build_dot(b, x, w, NULL, 0, sum, 1), c);
  if (total == NULL) return false;
  tn_value *y = scaled(b, tn_build_cast(b, total, TN_F32), tn_foreign_need(node, 1));
  y = scaled(b, y, tn_foreign_need(node, 4));
  if (alpha != 1 && y != NULL) y = tn_build_binary_f(b, TN_MUL, y, alpha);
  if (tn_foreign_input(node, 7) == NULL) return tn_foreign_set(node, 0, y);
  return tn_foreign_set(node, 0, requantised(node, y, 7, 8, input_dtype(node, 0)));
}

/* a_scale * b_scale * (A - a_zero)(B - b_zero) + bias. */
bool tn_import_matmul_integer_to_float(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *w = tn_foreign_need(node, 1);
  if (x == NULL || w == NULL) return false;
  tn_value *y = tn_build_numpy_matmul(b, centred(b, x, tn_foreign_input(node, 4)),
                                      centred(b, w, tn_foreign_input(node, 5)));
  if (y == NULL) return false;
  y = scaled(b, scaled(b, tn_build_cast(b, y, TN_F32), tn_foreign_need(node, 2)), tn_foreign_need(node, 3));
  return tn_foreign_set(node, 0, plus(b, y, tn_foreign_input(node, 6)));
}

/* A is quantised by its own range first. */
bool tn_import_dynamic_quantize_matmul(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *w = tn_foreign_need(node, 1);
  if (x == NULL || w == NULL) return false;
  tn_node *quantised = tn_build_node(b, tn_op_find("dynamic_quantize_linear"), &x, 1, NULL);
  if (quantised == NULL) return false;
  tn_value *const *q = quantised->results; /* values, scale, zero point */
  tn_value *y = tn_build_numpy_matmul(b, centred(b, q[0], q[2]), centred(b, w, tn_foreign_input(node, 3)));
  if (y == NULL) return false;
  y = scaled(b, scaled(b, tn_build_cast(b, y, TN_F32), q[1]), tn_foreign_need(node, 2));
  return tn_foreign_set(node, 0, plus(b, y, tn_foreign_input(node, 4)));
}

/* ---- MatMulNBits: weights of 2, 4 or 8 bits, the lowest bits of a byte first, in blocks along K with scales. */

/* Bytes [rows, .., n] as numbers [rows, .., n * 8 / bits], i32. */
static tn_value *unpacked(tn_build *b, tn_value *bytes, int64_t bits) {
  tn_value *parts[4];
  uint32_t n = (uint32_t)(8 / bits), ndim = bytes->type->ndim;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n; i++) {
    tn_value *part = tn_build_binary_f(b, TN_SHR, bytes, (double)(i * bits));
    part = tn_build_binary_f(b, TN_AND, part, (double)((1 << bits) - 1));
    parts[i] = part == NULL ? NULL : tn_build_insert_axis(b, part, ndim);
    if (parts[i] == NULL) return NULL;
  }
  for (uint32_t i = 0; i < ndim; i++) dims[i] = bytes->type->dims[i];
  dims[ndim - 1] = tn_dim_mul_i(b->ctx, dims[ndim - 1], n);
  tn_value *all = tn_build_concat(b, parts, n, ndim);
  return all == NULL ? NULL : tn_build_cast(b, tn_build_reshape(b, all, dims, ndim), TN_I32);
}

typedef struct nbits {
  tn_foreign_node *node;
  int64_t n, k, bits, block, blocks;
} nbits;

/* [N, blocks] f32 of the zero points: packed bytes, numbers of A's type, or the middle of the range. */
static tn_value *block_zeros(const nbits *m, tn_value *zeros) {
  tn_build *b = m->node->build;
  const tn_dim *dims[] = {tn_dim_const(b->ctx, m->n), tn_dim_const(b->ctx, m->blocks)};
  if (zeros == NULL) return tn_build_broadcast_map(b, tn_build_splat_f(b, TN_F32, 1 << (m->bits - 1)), dims, 2, NULL);
  if (tn_dtype_is_float(zeros->type->dtype)) return tn_build_cast(b, tn_build_reshape(b, zeros, dims, 2), TN_F32);
  const tn_dim *bytes[] = {dims[0], tn_dim_const(b->ctx, (m->blocks * m->bits + 7) / 8)};
  tn_value *flat = tn_build_reshape(b, zeros, bytes, 2);
  tn_value *all = flat == NULL ? NULL : unpacked(b, flat, m->bits);
  return all == NULL ? NULL
                     : tn_build_cast(b, tn_build_slice_axis(b, all, 1, tn_dim_const(b->ctx, 0), dims[1], 1), TN_F32);
}

/* The weights [N, K] in f32. */
static tn_value *nbits_weights(const nbits *m, tn_value *packed, tn_value *scales, tn_value *zeros) {
  tn_build *b = m->node->build;
  tn_ctx *ctx = b->ctx;
  const tn_dim *n = tn_dim_const(ctx, m->n), *blocks = tn_dim_const(ctx, m->blocks);
  const tn_dim *size = tn_dim_const(ctx, m->block);
  const tn_dim *bytes[] = {n, blocks, tn_dim_const(ctx, m->block * m->bits / 8)}, *per_block[] = {n, blocks};
  const tn_dim *flat[] = {n, tn_dim_mul(ctx, blocks, size)};
  tn_value *q = tn_build_reshape(b, packed, bytes, 3), *zero = block_zeros(m, zeros);
  q = q == NULL ? NULL : unpacked(b, q, m->bits);
  scales = tn_build_cast(b, tn_build_reshape(b, scales, per_block, 2), TN_F32);
  if (q == NULL || zero == NULL || scales == NULL) return NULL;
  static const int64_t map[] = {0, 1};
  tn_value *v = tn_build_cast(b, q, TN_F32);
  v = tn_build_binary(b, TN_SUB, v, tn_build_broadcast_map(b, zero, v->type->dims, 3, map));
  v = tn_build_binary(b, TN_MUL, v, v == NULL ? NULL : tn_build_broadcast_map(b, scales, v->type->dims, 3, map));
  return tn_build_slice_axis(b, tn_build_reshape(b, v, flat, 2), 1, tn_dim_const(ctx, 0), tn_dim_const(ctx, m->k), 1);
}

bool tn_import_matmul_nbits(tn_foreign_node *node) {
  tn_build *b = node->build;
  nbits m = {.node = node};
  int64_t prepacked;
  tn_value *x = tn_foreign_need(node, 0), *w = tn_foreign_need(node, 1), *scales = tn_foreign_need(node, 2);
  if (x == NULL || w == NULL || scales == NULL || !tn_foreign_int(node, "N", 0, &m.n) ||
      !tn_foreign_int(node, "K", 0, &m.k) || !tn_foreign_int(node, "bits", 4, &m.bits) ||
      !tn_foreign_int(node, "block_size", 0, &m.block) || !tn_foreign_int(node, "weight_prepacked", 0, &prepacked))
    return false;
  if (tn_foreign_input(node, 4) != NULL || prepacked != 0)
    return tn_foreign_unsupported(node, "g_idx or prepacked weights");
  if (m.n < 1 || m.k < 1 || m.n > INT32_MAX || m.k > INT32_MAX || (m.bits != 2 && m.bits != 4 && m.bits != 8) ||
      m.block < 16 || m.block > INT32_MAX || (m.block & (m.block - 1)) != 0 || w->type->dtype != TN_U8)
    return tn_foreign_error(node, TN_E_ATTR, "N %lld, K %lld, bits %lld, block_size %lld", (long long)m.n,
                            (long long)m.k, (long long)m.bits, (long long)m.block);
  if (x->type->ndim == 0) return tn_foreign_error(node, TN_E_RANK, "a matrix product of a scalar");
  m.blocks = (m.k + m.block - 1) / m.block;
  tn_value *weights = nbits_weights(&m, w, scales, tn_foreign_input(node, 3));
  if (weights == NULL) return false;
  int64_t sum[] = {x->type->ndim - 1, 1};
  tn_value *y = tn_build_dot(b, tn_compose_wide(b, x), weights, NULL, 0, sum, 1);
  tn_value *bias = tn_foreign_input(node, 5);
  return tn_foreign_set(node, 0, tn_compose_narrow(b, plus(b, y, tn_compose_wide(b, bias)), x));
}

/* ---- DynamicQuantizeLSTM: the LSTM of the dequantised weights. onnxruntime also rounds the activations to 8 bits at
 * every product, which this leaves out: the results are those that it approaches. */

/* Weights [D, in, 4H] as [D, 4H, in] in f32; scale and zero point are one a direction, or one a column. */
static tn_value *lstm_weights(tn_foreign_node *node, uint32_t weights, uint32_t scale) {
  tn_build *b = node->build;
  tn_value *w = tn_foreign_need(node, weights);
  if (w == NULL) return NULL;
  if (w->type->ndim != 3) {
    tn_foreign_error(node, TN_E_RANK, "input %u: expected 3 dimensions, found %u", weights, w->type->ndim);
    return NULL;
  }
  tn_value *part[2], *y = tn_build_cast(b, w, TN_F32);
  for (uint32_t i = 0; i < 2; i++) {
    part[i] = tn_build_cast(b, tn_foreign_need(node, scale + i), TN_F32);
    if (part[i] == NULL) return NULL;
    bool columns = part[i]->type->ndim == 2;
    if (!columns && part[i]->type->ndim != 1) {
      tn_foreign_error(node, TN_E_RANK, "input %u: expected 1 or 2 dimensions, found %u", scale + i,
                       part[i]->type->ndim);
      return NULL;
    }
    part[i] = tn_build_broadcast_map(b, part[i], w->type->dims, 3, columns ? (int64_t[]){0, 2} : (int64_t[]){0});
  }
  y = tn_build_binary(b, TN_MUL, tn_build_binary(b, TN_SUB, y, part[1]), part[0]);
  return tn_build_transpose(b, y, (int64_t[]){0, 2, 1});
}

bool tn_import_dynamic_quantize_lstm(tn_foreign_node *node) {
  tn_value *inputs[8] = {NULL};
  for (uint32_t i = 0; i < 8; i++) inputs[i] = tn_foreign_input(node, i);
  inputs[1] = lstm_weights(node, 1, 8);
  inputs[2] = lstm_weights(node, 2, 10);
  if (inputs[1] == NULL || inputs[2] == NULL) return false;
  tn_foreign_node inner = *node;
  inner.inputs = inputs;
  inner.n_inputs = 8;
  return tn_import_lstm(&inner);
}
