/* ONNX operators that fill a tensor by position: OneHot, Trilu, Range, EyeLike. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

static tn_value *scalar_of(tn_build *b, tn_value *value) { return tn_build_reshape(b, value, NULL, 0); }

bool tn_import_one_hot(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *index = tn_foreign_need(node, 0), *depth = tn_foreign_need(node, 1), *values = tn_foreign_need(node, 2);
  int64_t axis;
  const tn_dim *count[TN_MAX_INDEX], *dims[TN_MAX_NDIM];
  uint32_t n, at;
  if (index == NULL || depth == NULL || values == NULL || !tn_foreign_int(node, "axis", -1, &axis)) return false;
  depth = tn_build_cast(b, depth->index != NULL ? depth : scalar_of(b, depth), TN_I64);
  if (depth == NULL || !tn_build_read_dims(b, depth, 0, TN_DIM_INF, count, &n)) return false;
  if (n != 1) return tn_foreign_error(node, TN_E_SHAPE, "depth: expected one number, found %u", n);
  uint32_t ndim = index->type->ndim + 1;
  if (ndim > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "a result of rank %u", ndim);
  if (!tn_build_axis(b, axis, ndim, "axis", &at)) return false;
  int64_t map[TN_MAX_NDIM];
  for (uint32_t i = 0; i + 1 < ndim; i++) {
    map[i] = i < at ? i : i + 1;
    dims[map[i]] = index->type->dims[i];
  }
  dims[at] = count[0];
  index = tn_build_wrap_index(b, tn_build_cast(b, index, TN_I64), count[0]);
  tn_value *position = tn_build_iota(b, dims, ndim, at, TN_I64);
  tn_value *hit = tn_build_binary(b, TN_EQ, position, tn_build_broadcast_map(b, index, dims, ndim, map));
  tn_value *side[2];
  for (int i = 0; i < 2; i++) {
    side[i] = tn_build_slice_axis(b, values, 0, tn_dim_const(b->ctx, i), tn_dim_const(b->ctx, 1), 1);
    side[i] = tn_build_broadcast_map(b, scalar_of(b, side[i]), dims, ndim, NULL);
  }
  return tn_foreign_set(node, 0, tn_build_select(b, hit, side[1], side[0]));
}

bool tn_import_trilu(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *k = tn_foreign_input(node, 1);
  int64_t upper;
  if (x == NULL || !tn_foreign_int(node, "upper", 1, &upper)) return false;
  uint32_t ndim = x->type->ndim;
  if (ndim < 2) return tn_foreign_error(node, TN_E_RANK, "expected at least 2 dimensions, found %u", ndim);
  tn_value *row = tn_build_iota(b, x->type->dims, ndim, ndim - 2, TN_I64);
  tn_value *column = tn_build_iota(b, x->type->dims, ndim, ndim - 1, TN_I64);
  if (k != NULL) row = tn_build_binary(b, TN_ADD, row, tn_compose_repeat(b, scalar_of(b, k), x));
  tn_value *kept = tn_build_binary(b, upper != 0 ? TN_GE : TN_LE, column, row);
  tn_value *zero = tn_compose_repeat(b, tn_build_splat_i(b, x->type->dtype, 0), x);
  return tn_foreign_set(node, 0, tn_build_select(b, kept, x, zero));
}

/* The number of steps as an i64 scalar: max(ceil((limit - start) / delta), 0). */
static tn_value *range_count(tn_build *b, tn_value *start, tn_value *limit, tn_value *delta) {
  tn_value *span = tn_build_binary(b, TN_SUB, limit, start);
  if (span == NULL) return NULL;
  if (tn_dtype_is_float(span->type->dtype)) {
    tn_value *steps = tn_build_unary(b, TN_CEIL, tn_build_binary(b, TN_DIV, span, delta));
    return tn_build_binary_f(b, TN_MAX, tn_build_cast(b, steps, TN_I64), 0);
  }
  span = tn_build_cast(b, span, TN_I64);
  delta = tn_build_cast(b, delta, TN_I64);
  tn_value *sign = tn_build_unary(b, TN_SIGN, delta);
  /* (span + delta - sign) / delta truncates to the ceiling */
  tn_value *top = tn_build_binary(b, TN_SUB, tn_build_binary(b, TN_ADD, span, delta), sign);
  return tn_build_binary_f(b, TN_MAX, tn_build_binary(b, TN_DIV, top, delta), 0);
}

static bool count_of_dims(tn_ctx *ctx, tn_value *const *v, const tn_dim **out) {
  for (int i = 0; i < 3; i++)
    if (v[i]->index == NULL || v[i]->n_index != 1) return false;
  const tn_dim *delta = v[2]->index[0], *zero = tn_dim_const(ctx, 0);
  if (!tn_dim_is_const(delta) || tn_dim_is(delta, 0)) return false;
  int64_t d = tn_dim_value(delta);
  const tn_dim *span = tn_dim_sub(ctx, v[1]->index[0], v[0]->index[0]);
  *out = tn_dim_max(ctx, tn_dim_ceildiv(ctx, d > 0 ? span : tn_dim_mul_i(ctx, span, -1), d > 0 ? d : -d), zero);
  return true;
}

static tn_const *make_count(tn_build *b, int64_t n) {
  int64_t *data = tn_arena_copy(b->module->arena, &n, sizeof n);
  return tn_const_data(b->module, "range.count", tn_type_scalar(b->ctx, TN_I64), data);
}

/* Three float constants: counted now, as the operator's definition does, in double. */
static bool fold_count(tn_foreign_node *node, tn_value **out) {
  double v[3];
  bool known = true;
  for (uint32_t i = 0; i < 3; i++) {
    bool one = false;
    if (tn_value_const(node->inputs[i]) == NULL) return true;
    if (!tn_foreign_const_float(node, i, &v[i], &one)) return false;
    known = known && one;
  }
  if (!known || v[2] == 0) return true;
  double steps = (v[1] - v[0]) / v[2];
  if (!(steps < 1e15)) return tn_foreign_error(node, TN_E_LIMIT, "too many elements");
  int64_t n = steps <= 0 ? 0 : (int64_t)steps;
  if (steps > 0 && (double)n < steps) n++;
  *out = tn_build_const(node->build, make_count(node->build, n));
  return *out != NULL;
}

bool tn_import_range(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *v[3], *count = NULL;
  const tn_dim *n, *dims[TN_MAX_INDEX];
  uint32_t n_dims = 1;
  for (uint32_t i = 0; i < 3; i++)
    if (tn_foreign_need(node, i) == NULL || (v[i] = scalar_of(b, node->inputs[i])) == NULL) return false;
  tn_dtype dtype = v[0]->type->dtype;
  const tn_dim *step = v[2]->index != NULL ? v[2]->index[0] : NULL;
  if (step != NULL && tn_dim_is(step, 0)) return tn_foreign_error(node, TN_E_SHAPE, "delta is 0");
  if (!count_of_dims(b->ctx, v, &n)) {
    if (tn_dtype_is_float(dtype) && !fold_count(node, &count)) return false;
    if (count == NULL) count = range_count(b, v[0], v[1], v[2]);
    if (count == NULL || !tn_build_read_dims(b, count, 0, TN_DIM_INF, dims, &n_dims)) return false;
    n = dims[0];
  }
  tn_value *i = tn_build_iota(b, &n, 1, 0, dtype);
  tn_value *scaled = tn_build_binary(b, TN_MUL, i, tn_compose_repeat(b, v[2], i));
  return tn_foreign_set(node, 0, tn_build_binary(b, TN_ADD, scaled, tn_compose_repeat(b, v[0], i)));
}

bool tn_import_eye_like(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t to, k;
  if (x == NULL || !tn_foreign_int(node, "dtype", -1, &to) || !tn_foreign_int(node, "k", 0, &k)) return false;
  tn_dtype dtype = to < 0 ? x->type->dtype : tn_dtype_of_onnx(to);
  if (dtype == TN_N_DTYPES || dtype == TN_STR) return tn_foreign_error(node, TN_E_ATTR, "dtype: %lld", (long long)to);
  if (x->type->ndim != 2) return tn_foreign_error(node, TN_E_RANK, "expected 2 dimensions, found %u", x->type->ndim);
  tn_value *row = tn_build_iota(b, x->type->dims, 2, 0, TN_I64),
           *column = tn_build_iota(b, x->type->dims, 2, 1, TN_I64);
  tn_value *shift = tn_compose_repeat(b, tn_build_splat_i(b, TN_I64, k), row);
  tn_value *hit = tn_build_binary(b, TN_EQ, column, tn_build_binary(b, TN_ADD, row, shift));
  return tn_foreign_set(node, 0, tn_build_cast(b, hit, dtype));
}
