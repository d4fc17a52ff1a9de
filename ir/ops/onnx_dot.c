/* ONNX's matrix products. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

/* All extents before the last two are 1. */
static bool is_flat(const tn_value *y) {
  for (uint32_t i = 0; i + 2 < y->type->ndim; i++)
    if (!tn_dim_is(y->type->dims[i], 1)) return false;
  return true;
}

/* The common batch dims of x and y, by way of two values that nothing uses. */
static bool common_batch(tn_build *b, const tn_value *x, const tn_value *y, const tn_dim **out, uint32_t *out_n) {
  tn_value *zero = tn_build_splat_i(b, TN_BOOL, 0), *pair[2];
  pair[0] = tn_build_broadcast_map(b, zero, x->type->dims, x->type->ndim - 2, NULL);
  pair[1] = tn_build_broadcast_map(b, zero, y->type->dims, y->type->ndim - 2, NULL);
  if (pair[0] == NULL || pair[1] == NULL || !tn_build_broadcast_all(b, pair, 2)) return false;
  *out_n = pair[0]->type->ndim;
  for (uint32_t i = 0; i < *out_n; i++) out[i] = pair[0]->type->dims[i];
  return true;
}

/* x with its batch dims replaced by these. */
static tn_value *with_batch(tn_build *b, tn_value *x, const tn_dim *const *batch, uint32_t n) {
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n; i++) dims[i] = batch[i];
  for (uint32_t i = 0; i < 2; i++) dims[n + i] = x->type->dims[x->type->ndim - 2 + i];
  return tn_build_broadcast_to(b, x, dims, n + 2);
}

/* NumPy's rule: vectors have no free axis, batch axes broadcast. A right side without batch (weights) leaves all of x's
 * axes free, so it is one product. */
tn_value *tn_build_numpy_matmul(tn_build *b, tn_value *x, tn_value *y) {
  if (x == NULL || y == NULL) return NULL;
  uint32_t nx = x->type->ndim, ny = y->type->ndim;
  if (nx == 0 || ny == 0) {
    tn_error(b->ctx, tn_loc_current(b->ctx), TN_E_RANK, "a matrix product of a scalar");
    return NULL;
  }
  if (ny > 2 && nx >= ny && is_flat(y)) {
    y = tn_build_reshape(b, y, y->type->dims + ny - 2, 2);
    ny = 2;
  }
  int64_t sum[2] = {nx - 1, ny == 1 ? 0 : ny - 2};
  if (ny <= 2 || nx == 1) return tn_build_dot(b, x, y, NULL, 0, sum, 1);
  if (nx == 2) { /* the batch axes of y come after x's rows */
    tn_value *z = tn_build_dot(b, x, y, NULL, 0, sum, 1);
    int64_t perm[TN_MAX_NDIM];
    for (uint32_t i = 0; i < ny; i++) perm[i] = i + 2 < ny ? i + 1 : i + 2 == ny ? 0 : i;
    return tn_build_transpose(b, z, perm);
  }
  const tn_dim *batch[TN_MAX_NDIM];
  uint32_t n;
  if (!common_batch(b, x, y, batch, &n)) return NULL;
  return tn_build_matmul(b, with_batch(b, x, batch, n), with_batch(b, y, batch, n));
}

bool tn_import_matmul(tn_foreign_node *node) {
  return tn_foreign_set(node, 0,
                        tn_build_numpy_matmul(node->build, tn_foreign_need(node, 0), tn_foreign_need(node, 1)));
}

/* alpha * A' * B' + beta * C, C broadcast to the result. */
bool tn_import_gemm(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *y = tn_foreign_need(node, 1), *c = tn_foreign_input(node, 2);
  double alpha, beta;
  int64_t trans_x, trans_y;
  if (x == NULL || y == NULL || !tn_foreign_float(node, "alpha", 1, &alpha) ||
      !tn_foreign_float(node, "beta", 1, &beta) || !tn_foreign_int(node, "transA", 0, &trans_x) ||
      !tn_foreign_int(node, "transB", 0, &trans_y))
    return false;
  if (x->type->ndim != 2 || y->type->ndim != 2)
    return tn_foreign_error(node, TN_E_RANK, "expected matrices, found %u and %u dimensions", x->type->ndim,
                            y->type->ndim);
  int64_t sum[2] = {trans_x != 0 ? 0 : 1, trans_y != 0 ? 1 : 0};
  tn_value *z = tn_build_dot(b, x, y, NULL, 0, sum, 1);
  z = z == NULL ? NULL : tn_build_cast(b, z, x->type->dtype);
  if (alpha != 1 && z != NULL) z = tn_build_binary_f(b, TN_MUL, z, alpha);
  if (c != NULL && z != NULL && beta != 0) {
    if (beta != 1) c = tn_build_binary_f(b, TN_MUL, c, beta);
    c = c == NULL ? NULL : tn_build_broadcast_to(b, c, z->type->dims, 2);
    z = tn_build_binary(b, TN_ADD, z, c);
  }
  return tn_foreign_set(node, 0, z);
}

/* x - zero in i32; the zero point is one number, or one a row of A or column of B. */
static tn_value *centred(tn_build *b, tn_value *x, tn_value *zero, bool rows) {
  if (x == NULL) return NULL;
  x = tn_build_cast(b, x, TN_I32);
  if (zero == NULL || x == NULL) return x;
  zero = tn_build_cast(b, zero, TN_I32);
  if (zero != NULL && zero->type->ndim == 1 && !tn_dim_is(zero->type->dims[0], 1))
    zero = tn_compose_along(b, zero, x, x->type->ndim - (rows ? 2 : 1));
  else if (zero != NULL && zero->type->ndim <= 1)
    zero = tn_compose_repeat(b, tn_build_reshape(b, zero, NULL, 0), x);
  else zero = tn_build_broadcast_to(b, zero, x->type->dims, x->type->ndim);
  return tn_build_binary(b, TN_SUB, x, zero);
}

bool tn_import_matmul_integer(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *y = tn_foreign_need(node, 1);
  if (x == NULL || y == NULL) return false;
  x = centred(b, x, tn_foreign_input(node, 2), true);
  y = centred(b, y, tn_foreign_input(node, 3), false);
  return tn_foreign_set(node, 0, tn_build_numpy_matmul(b, x, y));
}
