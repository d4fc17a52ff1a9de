/* Attributes of ONNX's sliding windows; see pooling.h. */
#include "ir/ops/pooling.h"

#include <string.h>

#include "ir/ops/compose.h"

static bool read_kernel(tn_foreign_node *node, const tn_dim *const *kernel, tn_pooling *p) {
  const int64_t *shape;
  uint32_t n;
  if (!tn_foreign_ints(node, "kernel_shape", &shape, &n)) return false;
  if (n == 0 && kernel == NULL) return tn_foreign_error(node, TN_E_ATTR, "kernel_shape is missing");
  if (n != 0 && n != p->n)
    return tn_foreign_error(node, TN_E_ATTR, "kernel_shape: expected %u elements, found %u", p->n, n);
  for (uint32_t i = 0; i < p->n; i++) {
    if (kernel != NULL) p->kernel[i] = tn_dim_is_const(kernel[i]) ? tn_dim_value(kernel[i]) : 0;
    else p->kernel[i] = shape[i];
    if (kernel == NULL && (shape[i] < 1 || shape[i] > INT32_MAX))
      return tn_foreign_error(node, TN_E_ATTR, "kernel_shape: %lld", (long long)shape[i]);
    if (n != 0 && kernel != NULL &&
        !tn_func_require_eq(node->build->func, kernel[i], tn_dim_const(node->build->ctx, shape[i]), node->loc,
                            "'%s': weights against kernel_shape, spatial axis %u", node->op, i))
      return false;
  }
  return true;
}

bool tn_pooling_list(tn_foreign_node *node, const char *name, uint32_t expected, int64_t fallback, int64_t *out) {
  const int64_t *ints;
  uint32_t n;
  if (!tn_foreign_ints(node, name, &ints, &n)) return false;
  if (n != 0 && n != expected)
    return tn_foreign_error(node, TN_E_ATTR, "%s: expected %u elements, found %u", name, expected, n);
  for (uint32_t i = 0; i < expected; i++) {
    out[i] = n == 0 ? fallback : ints[i];
    if (out[i] < fallback || out[i] > INT32_MAX)
      return tn_foreign_error(node, TN_E_ATTR, "%s: %lld", name, (long long)out[i]);
  }
  return true;
}

bool tn_pooling_read_explicit(tn_foreign_node *node, const tn_value *x, const tn_dim *const *kernel, tn_pooling *p) {
  memset(p, 0, sizeof *p);
  if (x->type->ndim < 3)
    return tn_foreign_error(node, TN_E_RANK, "expected at least 3 dimensions, found %u", x->type->ndim);
  p->n = x->type->ndim - 2;
  int64_t pads[2 * TN_MAX_NDIM];
  if (!read_kernel(node, kernel, p) || !tn_pooling_list(node, "strides", p->n, 1, p->stride) ||
      !tn_pooling_list(node, "dilations", p->n, 1, p->dilate) || !tn_pooling_list(node, "pads", 2 * p->n, 0, pads))
    return false;
  for (uint32_t i = 0; i < p->n; i++) {
    p->lo[i] = tn_dim_const(node->build->ctx, pads[i]);
    p->hi[i] = tn_dim_const(node->build->ctx, pads[p->n + i]);
  }
  return true;
}

/* SAME: the result has ceil(extent / stride); the padding that takes is split, the odd element at the end for UPPER. */
void tn_pooling_pad_same(tn_ctx *ctx, const tn_dim *extent, const tn_dim *kernel, bool upper, uint32_t i,
                         tn_pooling *p) {
  const tn_dim *out = tn_dim_ceildiv(ctx, extent, p->stride[i]);
  const tn_dim *need = tn_dim_mul_i(ctx, tn_dim_add_i(ctx, out, -1), p->stride[i]);
  need = tn_dim_add(ctx, need, tn_dim_add_i(ctx, tn_dim_mul_i(ctx, tn_dim_add_i(ctx, kernel, -1), p->dilate[i]), 1));
  need = tn_dim_max(ctx, tn_dim_sub(ctx, need, extent), tn_dim_const(ctx, 0));
  const tn_dim *half = tn_dim_floordiv(ctx, need, tn_dim_const(ctx, 2));
  p->lo[i] = upper ? half : tn_dim_sub(ctx, need, half);
  p->hi[i] = tn_dim_sub(ctx, need, p->lo[i]);
}

void tn_pooling_ceil(tn_ctx *ctx, const tn_value *x, tn_pooling *p) {
  for (uint32_t i = 0; i < p->n; i++) {
    const tn_dim *extent = x->type->dims[i + 2];
    int64_t reach = p->dilate[i] * (p->kernel[i] - 1) + 1;
    const tn_dim *room = tn_dim_add_i(ctx, tn_dim_add(ctx, tn_dim_add(ctx, extent, p->lo[i]), p->hi[i]), -reach);
    const tn_dim *last = tn_dim_ceildiv(ctx, room, p->stride[i]); /* index of the last window */
    /* a window that would start in the padding after the end is left out */
    const tn_dim *limit = tn_dim_add_i(ctx, tn_dim_add(ctx, extent, p->lo[i]), -1);
    last = tn_dim_min(ctx, last, tn_dim_floordiv(ctx, limit, tn_dim_const(ctx, p->stride[i])));
    const tn_dim *used = tn_dim_add_i(ctx, tn_dim_mul_i(ctx, last, p->stride[i]), reach);
    const tn_dim *hi = tn_dim_sub(ctx, tn_dim_sub(ctx, used, extent), p->lo[i]);
    p->hi[i] = hi;
  }
}

bool tn_pooling_read(tn_foreign_node *node, const tn_value *x, const tn_dim *const *kernel, tn_pooling *p) {
  const char *auto_pad;
  if (!tn_pooling_read_explicit(node, x, kernel, p)) return false;
  if (!tn_foreign_string(node, "auto_pad", "NOTSET", &auto_pad)) return false;
  if (strcmp(auto_pad, "NOTSET") == 0 || auto_pad[0] == '\0') return true;
  tn_ctx *ctx = node->build->ctx;
  bool upper = strcmp(auto_pad, "SAME_UPPER") == 0;
  bool valid = strcmp(auto_pad, "VALID") == 0;
  if (!upper && !valid && strcmp(auto_pad, "SAME_LOWER") != 0)
    return tn_foreign_error(node, TN_E_ATTR, "auto_pad: '%s' is no way of padding", auto_pad);
  for (uint32_t i = 0; i < p->n; i++) {
    if (valid) p->lo[i] = p->hi[i] = tn_dim_const(ctx, 0);
    else
      tn_pooling_pad_same(ctx, x->type->dims[i + 2], kernel != NULL ? kernel[i] : tn_dim_const(ctx, p->kernel[i]),
                          upper, i, p);
  }
  return true;
}

tn_value *tn_pooling_add_bias(tn_build *b, tn_value *y, tn_value *bias) {
  if (y == NULL || bias == NULL) return y;
  return tn_build_binary(b, TN_ADD, y, tn_compose_along(b, bias, y, 1));
}
