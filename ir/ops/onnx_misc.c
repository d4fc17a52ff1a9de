/* ONNX operators that are a few elementwise nodes or folds: Clip, PRelu, LpNormalization, MeanVarianceNormalization. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <math.h>
#include <string.h>

/* min(max(x, lo), hi); the bounds are attributes before opset 11, then optional inputs. */
bool tn_import_clip(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *lo, *hi;
  if (x == NULL) return false;
  if (node->version < 11) {
    double low, high;
    if (!tn_foreign_float(node, "min", -INFINITY, &low) || !tn_foreign_float(node, "max", INFINITY, &high))
      return false;
    lo = low == -INFINITY ? NULL : tn_build_splat_f(b, x->type->dtype, low);
    hi = high == INFINITY ? NULL : tn_build_splat_f(b, x->type->dtype, high);
  } else {
    lo = tn_foreign_input(node, 1);
    hi = tn_foreign_input(node, 2);
    if (lo != NULL && (lo = tn_build_reshape(b, lo, NULL, 0)) == NULL) return false;
    if (hi != NULL && (hi = tn_build_reshape(b, hi, NULL, 0)) == NULL) return false;
  }
  tn_value *y = x;
  if (lo != NULL) y = tn_build_binary(b, TN_MAX, y, tn_compose_repeat(b, lo, x));
  if (hi != NULL) y = tn_build_binary(b, TN_MIN, y, tn_compose_repeat(b, hi, x));
  return tn_foreign_set(node, 0, y);
}

/* x where x >= 0, else slope * x; slope broadcasts to x, and before opset 7 is one number or one a channel. */
bool tn_import_prelu(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *slope = tn_foreign_need(node, 1);
  if (x == NULL || slope == NULL) return false;
  bool channels = node->version < 7 && slope->type->ndim == 1 && !tn_dim_is(slope->type->dims[0], 1);
  if (channels && x->type->ndim < 2) return tn_foreign_error(node, TN_E_RANK, "expected channels, found a vector");
  slope = channels ? tn_compose_along(b, slope, x, 1) : tn_build_broadcast_to(b, slope, x->type->dims, x->type->ndim);
  tn_value *below = tn_build_binary(b, TN_MUL, x, slope);
  return tn_foreign_set(node, 0, tn_build_select(b, tn_build_binary_f(b, TN_GE, x, 0), x, below));
}

/* x / (sum |x|^p)^(1/p) along one axis; 0 where the norm is 0. */
bool tn_import_lp_normalization(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *input = tn_foreign_need(node, 0), *norm;
  int64_t axis, p;
  uint32_t at;
  if (input == NULL || !tn_foreign_int(node, "axis", -1, &axis) || !tn_foreign_int(node, "p", 2, &p) ||
      !tn_build_axis(b, axis, input->type->ndim, "axis", &at))
    return false;
  if (p != 1 && p != 2) return tn_foreign_error(node, TN_E_ATTR, "p: expected 1 or 2, found %lld", (long long)p);
  tn_value *x = tn_compose_wide(b, input);
  axis = at;
  if (p == 1) norm = tn_build_reduce(b, "sum", tn_build_unary(b, TN_ABS, x), &axis, 1, false);
  else norm = tn_build_unary(b, TN_SQRT, tn_build_reduce(b, "sum", tn_build_binary(b, TN_MUL, x, x), &axis, 1, false));
  tn_value *below = tn_compose_spread(b, norm, x, &axis, 1);
  tn_value *zero = tn_build_fill_like(b, x, 0);
  tn_value *y = tn_build_select(b, tn_build_binary(b, TN_EQ, below, zero), zero, tn_build_binary(b, TN_DIV, x, below));
  return tn_foreign_set(node, 0, tn_compose_narrow(b, y, input));
}

/* (x - mean) / (sqrt(mean of squares of that) + 1e-9), as the operator's function body. */
bool tn_import_mvn(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *input = tn_foreign_need(node, 0);
  const int64_t *list;
  static const int64_t usual[] = {0, 2, 3};
  int64_t axes[TN_MAX_NDIM];
  uint32_t n, n_axes = 0, seen = 0;
  if (input == NULL || !tn_foreign_ints(node, "axes", &list, &n)) return false;
  if (n == 0) {
    list = usual;
    n = 3;
  }
  for (uint32_t i = 0; i < n; i++) {
    uint32_t axis;
    if (!tn_build_axis(b, list[i], input->type->ndim, "axes", &axis)) return false;
    seen |= (uint32_t)1 << axis;
  }
  for (uint32_t i = 0; i < input->type->ndim; i++)
    if ((seen >> i & 1) != 0) axes[n_axes++] = i;
  tn_value *x = tn_compose_wide(b, input);
  tn_value *mean = tn_compose_mean(b, x, axes, n_axes);
  tn_value *centred = tn_build_binary(b, TN_SUB, x, tn_compose_spread(b, mean, x, axes, n_axes));
  tn_value *variance = tn_compose_mean(b, tn_build_binary(b, TN_MUL, centred, centred), axes, n_axes);
  tn_value *deviation = tn_build_binary_f(b, TN_ADD, tn_build_unary(b, TN_SQRT, variance), 1e-9);
  tn_value *y = tn_build_binary(b, TN_DIV, centred, tn_compose_spread(b, deviation, x, axes, n_axes));
  return tn_foreign_set(node, 0, tn_compose_narrow(b, y, input));
}
