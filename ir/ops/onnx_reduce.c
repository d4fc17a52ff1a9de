/* ONNX's reductions, and the variadic sums. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <string.h>

static tn_value *squared(tn_build *b, tn_value *x) { return tn_build_binary(b, TN_MUL, x, x); }

/* log(sum(exp(x))), with the maximum taken out; an infinite maximum stays in, as inf - inf is no number. */
static tn_value *log_sum_exp(tn_build *b, tn_value *x, const int64_t *axes, uint32_t n) {
  tn_value *max = tn_build_reduce(b, "max", x, axes, n, false);
  max = tn_build_select(b, tn_build_unary(b, TN_IS_FINITE, max), max, tn_build_fill_like(b, max, 0));
  tn_value *shifted = tn_build_binary(b, TN_SUB, x, tn_compose_spread(b, max, x, axes, n));
  tn_value *sum = tn_build_reduce(b, "sum", tn_build_unary(b, TN_EXP, shifted), axes, n, false);
  return tn_build_binary(b, TN_ADD, tn_build_unary(b, TN_LOG, sum), max);
}

static tn_value *reduce(tn_build *b, const char *kind, tn_value *x, const int64_t *axes, uint32_t n) {
  bool is_bool = x->type->dtype == TN_BOOL;
  if (strcmp(kind, "Sum") == 0) return tn_build_reduce(b, "sum", x, axes, n, false);
  if (strcmp(kind, "Mean") == 0) return tn_compose_mean(b, x, axes, n);
  if (strcmp(kind, "Max") == 0) return tn_build_reduce(b, is_bool ? "or" : "max", x, axes, n, false);
  if (strcmp(kind, "Min") == 0) return tn_build_reduce(b, is_bool ? "and" : "min", x, axes, n, false);
  if (strcmp(kind, "Prod") == 0) return tn_build_reduce(b, "prod", x, axes, n, false);
  if (strcmp(kind, "L1") == 0) return tn_build_reduce(b, "sum", tn_build_unary(b, TN_ABS, x), axes, n, false);
  if (strcmp(kind, "SumSquare") == 0) return tn_build_reduce(b, "sum", squared(b, x), axes, n, false);
  bool is_float = tn_dtype_is_float(x->type->dtype);
  tn_value *f = is_float ? x : tn_build_cast(b, x, TN_F64), *y;
  if (strcmp(kind, "L2") == 0)
    y = tn_build_unary(b, TN_SQRT, tn_build_reduce(b, "sum", squared(b, f), axes, n, false));
  else if (strcmp(kind, "LogSum") == 0)
    y = tn_build_unary(b, TN_LOG, tn_build_reduce(b, "sum", f, axes, n, false));
  else y = log_sum_exp(b, f, axes, n);
  return y == NULL ? NULL : tn_build_cast(b, y, x->type->dtype);
}

/* Axes known only at run time: every axis is one of two, of which the second, n or 1 long, is folded. */
static tn_value *reduce_read(tn_foreign_node *node, const char *kind, tn_value *x, bool keep, bool noop) {
  tn_build *b = node->build;
  tn_value *axes = tn_foreign_input(node, 1);
  uint32_t ndim = x->type->ndim;
  int64_t n = tn_type_static_count(axes->type), folded[TN_MAX_NDIM];
  const tn_dim *flags[TN_MAX_NDIM], *dims[TN_MAX_NDIM];
  if (ndim == 0 || n > ndim) {
    tn_foreign_error(node, TN_E_ATTR, "axes: %lld axes of at most %u", (long long)n, ndim);
    return NULL;
  }
  if (2 * ndim > TN_MAX_NDIM || (n < 0 && !keep)) {
    tn_foreign_unsupported(node, n < 0 ? "axes of unknown number, which decide the rank of the result,"
                                       : "axes computed at run time and this rank");
    return NULL;
  }
  const tn_dim *count = tn_type_count(b->ctx, axes->type);
  tn_value *counts = tn_axes_counts(b, tn_axes_hits(node, axes, count, ndim));
  if (n < 0 && !noop && counts != NULL) { /* no axis means all of them */
    const tn_dim *some = tn_dim_min(b->ctx, count, tn_dim_const(b->ctx, 1));
    tn_value *all = tn_compose_dim(b, tn_dim_sub(b->ctx, tn_dim_const(b->ctx, 1), some), TN_I64);
    counts = tn_build_binary(b, TN_ADD, counts, tn_compose_repeat(b, all, counts));
  }
  if (counts == NULL || !tn_axes_read_flags(b, counts, flags)) return NULL;
  for (uint32_t i = 0; i < ndim; i++) folded[i] = 2 * i + 1;
  tn_value *parts = tn_axes_split(b, tn_compose_wide(b, x), counts, flags);
  tn_value *y = parts == NULL ? NULL : tn_compose_narrow(b, reduce(b, kind, parts, folded, ndim), x);
  if (y == NULL || keep) return y;
  if (!tn_axes_read_kept(node, x, counts, (uint32_t)n, dims)) return NULL;
  return tn_build_reshape(b, y, dims, ndim - (uint32_t)n);
}

/* Axes are an attribute before opset 13 (ReduceSum) or 18 (the others), then an input; without any all axes are
 * reduced, or none with noop_with_empty_axes. */
bool tn_import_reduce(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t keep, noop, axes[TN_MAX_NDIM];
  uint32_t n;
  bool given;
  const char *kind = node->op + strlen("Reduce");
  if (x == NULL || !tn_foreign_int(node, "keepdims", 1, &keep) ||
      !tn_foreign_int(node, "noop_with_empty_axes", 0, &noop))
    return false;
  int64_t since = strcmp(kind, "Sum") == 0 ? 13 : 18;
  if (node->version >= since && tn_foreign_is_data(node, 1))
    return tn_foreign_set(node, 0, reduce_read(node, kind, x, keep != 0, noop != 0));
  if (!tn_foreign_axes(node, 1, since, x->type->ndim, axes, &n, &given)) return false;
  if (n == 0 && noop == 0)
    for (n = 0; n < x->type->ndim; n++) axes[n] = n;
  tn_value *y = tn_compose_narrow(b, reduce(b, kind, tn_compose_wide(b, x), axes, n), x);
  if (keep != 0 && y != NULL) {
    const tn_dim *dims[TN_MAX_NDIM];
    for (uint32_t i = 0; i < x->type->ndim; i++) dims[i] = x->type->dims[i];
    for (uint32_t i = 0; i < n; i++) dims[axes[i]] = tn_dim_const(b->ctx, 1);
    y = tn_build_reshape(b, y, dims, x->type->ndim);
  }
  return tn_foreign_set(node, 0, y);
}

/* Sum and Mean of any number of operands. */
bool tn_import_sum(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *sum = tn_foreign_need(node, 0);
  for (uint32_t i = 1; sum != NULL && i < node->n_inputs; i++) {
    tn_value *pair[2] = {sum, tn_foreign_need(node, i)};
    if (!tn_build_broadcast_all(b, pair, 2)) return false;
    sum = tn_build_binary(b, TN_ADD, pair[0], pair[1]);
  }
  if (node->op[0] == 'M' && sum != NULL) sum = tn_build_binary_f(b, TN_DIV, sum, node->n_inputs);
  return tn_foreign_set(node, 0, sum);
}
