/* What onnxruntime's optimiser writes for a few nodes together (domain com.microsoft): products and convolutions with
 * their epilogues, Gelu and layer normalisation with additions. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

#include <math.h>
#include <string.h>

/* x with its last two axes swapped (when asked), after the first one went behind the other batch axes (when asked). */
static tn_value *transposed(tn_build *b, tn_value *x, bool matrix, bool batch) {
  int64_t perm[TN_MAX_NDIM];
  if (x == NULL || x->type->ndim < 2) return x; /* a vector is its own transpose */
  uint32_t n = x->type->ndim;
  for (uint32_t i = 0; i < n; i++) perm[i] = i;
  if (batch && n > 2) { /* [d0, d1 .. dr, k] as [d1 .. dr, d0, k] */
    for (uint32_t i = 0; i + 2 < n; i++) perm[i] = i + 1;
    perm[n - 2] = 0;
  }
  if (matrix) {
    int64_t last = perm[n - 1];
    perm[n - 1] = perm[n - 2];
    perm[n - 2] = last;
  }
  return tn_build_transpose(b, x, perm);
}

bool tn_import_fused_matmul(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *y = tn_foreign_need(node, 1);
  int64_t trans_x, trans_y, batch_x, batch_y;
  double alpha;
  if (x == NULL || y == NULL || !tn_foreign_int(node, "transA", 0, &trans_x) ||
      !tn_foreign_int(node, "transB", 0, &trans_y) || !tn_foreign_int(node, "transBatchA", 0, &batch_x) ||
      !tn_foreign_int(node, "transBatchB", 0, &batch_y) || !tn_foreign_float(node, "alpha", 1, &alpha))
    return false;
  x = transposed(b, x, trans_x != 0, batch_x != 0);
  y = transposed(b, y, trans_y != 0, batch_y != 0);
  tn_value *z = tn_build_numpy_matmul(b, x, y);
  return tn_foreign_set(node, 0, z == NULL || alpha == 1 ? z : tn_build_binary_f(b, TN_MUL, z, alpha));
}

/* Parameter `index` of an activation. */
static double parameter(const tn_foreign_node *node, uint32_t index, double fallback) {
  const tn_foreign_attr *attr = tn_foreign_find(node, "activation_params");
  return attr != NULL && attr->kind == TN_FOREIGN_FLOATS && index < attr->n ? attr->floats[index] : fallback;
}

static tn_value *activated(tn_foreign_node *node, tn_value *x) {
  tn_build *b = node->build;
  const char *name;
  if (x == NULL || !tn_foreign_string(node, "activation", "", &name)) return NULL;
  if (name[0] == '\0') return x;
  if (strcmp(name, "Relu") == 0) return tn_build_op(b, tn_op_find("relu"), &x, 1, NULL);
  if (strcmp(name, "Tanh") == 0) return tn_build_unary(b, TN_TANH, x);
  if (strcmp(name, "Sigmoid") == 0) return tn_build_op(b, tn_op_find("sigmoid"), &x, 1, NULL);
  if (strcmp(name, "Clip") == 0)
    return tn_build_binary_f(b, TN_MIN, tn_build_binary_f(b, TN_MAX, x, parameter(node, 0, -INFINITY)),
                             parameter(node, 1, INFINITY));
  tn_attr attrs[] = {tn_attr_float(parameter(node, 0, strcmp(name, "LeakyRelu") == 0 ? 0.01 : 0.2)),
                     tn_attr_float(parameter(node, 1, 0.5))};
  if (strcmp(name, "LeakyRelu") == 0) return tn_build_op(b, tn_op_find("leaky_relu"), &x, 1, attrs);
  if (strcmp(name, "HardSigmoid") == 0) return tn_build_op(b, tn_op_find("hard_sigmoid"), &x, 1, attrs);
  tn_foreign_unsupported(node, "activation '%s'", name);
  return NULL;
}

/* Conv, plus a tensor, then an activation. */
bool tn_import_fused_conv(tn_foreign_node *node) {
  tn_value *output = NULL, *added = tn_foreign_input(node, 3);
  tn_foreign_node inner = *node;
  inner.n_inputs = node->n_inputs < 3 ? node->n_inputs : 3;
  inner.outputs = &output;
  inner.n_outputs = 1;
  if (!tn_import_conv(&inner)) return false;
  if (added != NULL) output = tn_build_binary(node->build, TN_ADD, output, added);
  return tn_foreign_set(node, 0, activated(node, output));
}

/* x + bias, where there is one; it lies along the last axes. */
static tn_value *with_bias(tn_build *b, tn_value *x, tn_value *bias) {
  if (x == NULL || bias == NULL) return x;
  return tn_build_binary(b, TN_ADD, x, tn_build_broadcast_to(b, bias, x->type->dims, x->type->ndim));
}

/* FastGelu by tanh, BiasGelu exactly. */
bool tn_import_bias_gelu(tn_foreign_node *node) {
  tn_build *b = node->build;
  const tn_opdef *op = tn_op_find("gelu");
  tn_value *x = with_bias(b, tn_foreign_need(node, 0), tn_foreign_input(node, 1));
  tn_attr attr = tn_attr_name(op, "approximate", node->op[0] == 'F' ? "tanh" : "none");
  return tn_foreign_set(node, 0, x == NULL ? NULL : tn_build_op(b, op, &x, 1, &attr));
}

bool tn_import_quick_gelu(tn_foreign_node *node) {
  tn_value *x = tn_foreign_need(node, 0);
  double alpha;
  if (x == NULL || !tn_foreign_float(node, "alpha", 1.702f, &alpha)) return false;
  tn_attr attr = tn_attr_float(alpha);
  return tn_foreign_build(node, tn_op_find("swish"), &x, 1, &attr);
}

/* x normalised over its last axis; rms: without mean. */
static tn_value *normalised(tn_foreign_node *node, tn_value *x, tn_value *gamma, tn_value *beta, bool rms) {
  double epsilon;
  if (x == NULL || !tn_foreign_float(node, "epsilon", 1e-12f, &epsilon)) return NULL;
  if (x->type->ndim == 0) {
    tn_foreign_error(node, TN_E_RANK, "a scalar has no axis to normalise");
    return NULL;
  }
  tn_value *in[] = {x, gamma, beta};
  tn_attr attrs[] = {tn_attr_int(x->type->ndim - 1), tn_attr_float(epsilon)};
  return tn_build_op(node->build, tn_op_find(rms ? "rms_norm" : "layer_norm"), in, rms ? 2 : 3, attrs);
}

/* SkipLayerNormalization and SkipSimplifiedLayerNormalization, which has no beta. Output 3 is the sum. */
bool tn_import_skip_layer_norm(tn_foreign_node *node) {
  tn_build *b = node->build;
  bool rms = strstr(node->op, "Simplified") != NULL;
  tn_value *sum = with_bias(b, tn_foreign_need(node, 0), tn_foreign_need(node, 1));
  sum = with_bias(b, sum, tn_foreign_input(node, rms ? 3 : 4));
  tn_value *y = normalised(node, sum, tn_foreign_need(node, 2), rms ? NULL : tn_foreign_input(node, 3), rms);
  return tn_foreign_set(node, 0, y) && (node->n_outputs < 4 || tn_foreign_set(node, 3, sum));
}

/* Rows of a table [rows, n] at ids [B,S]. */
static tn_value *rows_of(tn_build *b, tn_value *table, tn_value *ids) {
  return table == NULL || ids == NULL ? NULL : tn_build_gather_axis(b, table, ids, 0);
}

/* How many elements of each row of the mask are 1; 0 without a mask. i32 [B]. */
static tn_value *mask_lengths(tn_build *b, tn_value *mask, const tn_dim *batch) {
  static const int64_t axis[] = {1};
  if (mask == NULL) return tn_build_broadcast_map(b, tn_build_splat_i(b, TN_I32, 0), &batch, 1, NULL);
  tn_value *one = tn_build_binary_f(b, TN_EQ, mask, 1);
  return one == NULL ? NULL : tn_build_reduce(b, "sum", tn_build_cast(b, one, TN_I32), axis, 1, false);
}

/* Embeddings of words, positions and segments, added and normalised. */
bool tn_import_embed_layer_norm(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *ids = tn_foreign_need(node, 0), *segments = tn_foreign_input(node, 1);
  tn_value *positions = tn_foreign_input(node, 8), *gamma = tn_foreign_need(node, 5), *beta = tn_foreign_need(node, 6);
  if (ids == NULL || gamma == NULL || beta == NULL) return false;
  if (ids->type->ndim != 2) return tn_foreign_error(node, TN_E_RANK, "expected ids of 2 dimensions, found %u",
                                                    ids->type->ndim);
  const tn_dim *const *d = ids->type->dims;
  positions = positions == NULL ? tn_build_iota(b, d, 2, 1, TN_I64) : tn_build_broadcast_to(b, positions, d, 2);
  tn_value *sum = rows_of(b, tn_foreign_need(node, 2), ids);
  sum = tn_build_binary(b, TN_ADD, sum, rows_of(b, tn_foreign_need(node, 3), positions));
  if (segments != NULL) sum = tn_build_binary(b, TN_ADD, sum, rows_of(b, tn_foreign_need(node, 4), segments));
  if (!tn_foreign_set(node, 0, normalised(node, sum, gamma, beta, false))) return false;
  if (node->n_outputs > 1 && !tn_foreign_set(node, 1, mask_lengths(b, tn_foreign_input(node, 7), d[0]))) return false;
  return node->n_outputs < 3 || tn_foreign_set(node, 2, sum);
}
