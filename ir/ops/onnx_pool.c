/* ONNX's average, Lp and global poolings, by sums over windows. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/ops/pooling.h"

#include <math.h>
#include <string.h>

/* Sum over windows of the last p->n axes of x, the first of which is `first`. */
static tn_value *window_sum(tn_build *b, tn_value *x, uint32_t first, const tn_pooling *p, const tn_dim *const *lo,
                            const tn_dim *const *hi) {
  const tn_opdef *op = tn_op_find("window");
  int64_t axes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < p->n; i++) axes[i] = first + i;
  tn_attr attrs[] = {tn_attr_name(op, "op", "sum"), tn_attr_ints(b->module, axes, p->n),
                     tn_attr_ints(b->module, p->kernel, p->n), tn_attr_ints(b->module, p->stride, p->n),
                     tn_attr_ints(b->module, p->dilate, p->n), tn_attr_dims(b->module, lo, p->n),
                     tn_attr_dims(b->module, hi, p->n)};
  return tn_build_op(b, op, &x, 1, attrs);
}

static bool is_zero(const tn_dim *const *dims, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (!tn_dim_is(dims[i], 0)) return false;
  return true;
}

/* How many elements each window counts: ones summed over the spatial axes alone. With padding counted, the ones cover
 * it too, but never what ceil_mode adds behind it. */
static tn_value *window_count(tn_build *b, const tn_value *x, const tn_pooling *p, const tn_pooling *plain,
                              bool count_pads, tn_dtype dtype) {
  tn_ctx *ctx = b->ctx;
  const tn_dim *dims[TN_MAX_NDIM], *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  for (uint32_t i = 0; i < p->n; i++) {
    dims[i] = x->type->dims[i + 2];
    lo[i] = p->lo[i];
    hi[i] = p->hi[i];
    if (!count_pads) continue;
    dims[i] = tn_dim_add(ctx, tn_dim_add(ctx, dims[i], plain->lo[i]), plain->hi[i]);
    lo[i] = tn_dim_const(ctx, 0);
    hi[i] = tn_dim_sub(ctx, p->hi[i], plain->hi[i]);
  }
  tn_value *ones = tn_build_broadcast_map(b, tn_build_splat_f(b, dtype, 1), dims, p->n, NULL);
  return window_sum(b, ones, 0, p, lo, hi);
}

/* y divided by its window's count. */
static tn_value *average(tn_build *b, tn_value *y, tn_value *x, const tn_pooling *p, const tn_pooling *plain,
                         bool count_pads) {
  if (y == NULL) return NULL;
  bool extended = false;
  for (uint32_t i = 0; i < p->n; i++) extended = extended || p->hi[i] != plain->hi[i];
  bool padded = !is_zero(p->lo, p->n) || !is_zero(p->hi, p->n);
  if (!extended && (count_pads || !padded)) {
    double count = 1;
    for (uint32_t i = 0; i < p->n; i++) count *= (double)p->kernel[i];
    return tn_build_binary_f(b, TN_DIV, y, count);
  }
  tn_value *count = window_count(b, x, p, plain, count_pads, y->type->dtype);
  int64_t map[TN_MAX_NDIM];
  for (uint32_t i = 0; i < p->n; i++) map[i] = i + 2;
  return tn_build_binary(b, TN_DIV, y, tn_build_broadcast_map(b, count, y->type->dims, y->type->ndim, map));
}

tn_value *tn_pooling_average(tn_build *b, tn_value *x, const tn_pooling *p, const tn_pooling *plain, bool count_pads) {
  return x == NULL ? NULL : average(b, window_sum(b, x, 2, p, p->lo, p->hi), x, p, plain, count_pads);
}

static bool read_pooling(tn_foreign_node *node, tn_value *x, tn_pooling *p, tn_pooling *plain) {
  int64_t ceil_mode;
  const char *auto_pad;
  if (x == NULL || !tn_foreign_int(node, "ceil_mode", 0, &ceil_mode) ||
      !tn_foreign_string(node, "auto_pad", "NOTSET", &auto_pad) || !tn_pooling_read(node, x, NULL, p))
    return false;
  *plain = *p;
  if (ceil_mode != 0 && auto_pad[0] != 'S') tn_pooling_ceil(node->build->ctx, x, p);
  return true;
}

bool tn_import_average_pool(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *input = tn_foreign_need(node, 0);
  int64_t count_pads;
  tn_pooling p, plain;
  if (!read_pooling(node, input, &p, &plain) || !tn_foreign_int(node, "count_include_pad", 0, &count_pads))
    return false;
  tn_value *x = tn_compose_wide(b, input);
  tn_value *y = tn_pooling_average(b, x, &p, &plain, count_pads != 0);
  return tn_foreign_set(node, 0, tn_compose_narrow(b, y, input));
}

/* (sum |x|^p) ^ (1/p). */
static tn_value *power(tn_build *b, tn_value *x, double p) {
  tn_value *magnitude = tn_build_unary(b, TN_ABS, x);
  if (p == 1) return magnitude;
  return p == 2 ? tn_build_binary(b, TN_MUL, x, x) : tn_build_binary_f(b, TN_POW, magnitude, p);
}

static tn_value *root(tn_build *b, tn_value *x, double p) {
  if (p == 1) return x;
  return p == 2 ? tn_build_unary(b, TN_SQRT, x) : tn_build_binary_f(b, TN_POW, x, 1 / p);
}

bool tn_import_lp_pool(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *input = tn_foreign_need(node, 0);
  int64_t exponent;
  tn_pooling p, plain;
  if (!read_pooling(node, input, &p, &plain) || !tn_foreign_int(node, "p", 2, &exponent)) return false;
  tn_value *x = power(b, tn_compose_wide(b, input), (double)exponent);
  tn_value *y = root(b, window_sum(b, x, 2, &p, p.lo, p.hi), (double)exponent);
  return tn_foreign_set(node, 0, tn_compose_narrow(b, y, input));
}

/* GlobalAveragePool, GlobalMaxPool, GlobalLpPool: over all axes from 2 on, kept with extent 1. */
bool tn_import_global_pool(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *input = tn_foreign_need(node, 0);
  int64_t axes[TN_MAX_NDIM], exponent;
  if (input == NULL || !tn_foreign_int(node, "p", 2, &exponent)) return false;
  uint32_t ndim = input->type->ndim, n = 0;
  if (ndim < 2) return tn_foreign_error(node, TN_E_RANK, "expected at least 2 dimensions, found %u", ndim);
  for (uint32_t i = 2; i < ndim; i++) axes[n++] = i;
  tn_value *x = tn_compose_wide(b, input), *y;
  if (strcmp(node->op, "GlobalAveragePool") == 0) y = tn_compose_mean(b, x, axes, n);
  else if (strcmp(node->op, "GlobalMaxPool") == 0) y = tn_build_reduce(b, "max", x, axes, n, false);
  else y = root(b, tn_build_reduce(b, "sum", power(b, x, (double)exponent), axes, n, false), (double)exponent);
  y = tn_compose_narrow(b, y, input);
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < ndim; i++) dims[i] = i < 2 ? input->type->dims[i] : tn_dim_const(b->ctx, 1);
  return tn_foreign_set(node, 0, tn_build_reshape(b, y, dims, ndim));
}
