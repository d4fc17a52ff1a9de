/* Operators of ai.onnx.ml that scale, fill and weigh features, as pipelines of scikit-learn have them: Scaler, Imputer,
 * Normalizer, LinearRegressor and LinearClassifier with numbers as labels. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

/* A list of floats as f32[n]; NULL when it is not there (an error when it is needed). */
static tn_value *list_of(tn_foreign_node *node, const char *name, bool needed) {
  tn_build *b = node->build;
  const tn_foreign_attr *attr = tn_foreign_find(node, name);
  if (attr == NULL || attr->kind != TN_FOREIGN_FLOATS || attr->n == 0) {
    if (attr != NULL || needed) tn_foreign_error(node, TN_E_ATTR, "%s: expected a list of floats", name);
    return NULL;
  }
  float *data = TN_NEW_N(b->module->arena, float, attr->n);
  for (uint32_t i = 0; i < attr->n; i++) data[i] = (float)attr->floats[i];
  const tn_dim *dim = tn_dim_const(b->ctx, attr->n);
  return tn_build_const(b, tn_const_data(b->module, "table", tn_type_tensor(b->ctx, TN_F32, 1, &dim), data));
}

static tn_value *whole_numbers(tn_build *b, const int64_t *ints, uint32_t n) {
  int64_t *data = TN_NEW_N(b->module->arena, int64_t, n);
  memcpy(data, ints, n * sizeof *data);
  const tn_dim *dim = tn_dim_const(b->ctx, n);
  return tn_build_const(b, tn_const_data(b->module, "table", tn_type_tensor(b->ctx, TN_I64, 1, &dim), data));
}

/* A list of integers as i64[n]; NULL when it is not there. */
static tn_value *whole_list_of(tn_foreign_node *node, const char *name) {
  tn_build *b = node->build;
  const int64_t *ints;
  uint32_t n;
  if (!tn_foreign_ints(node, name, &ints, &n)) return NULL;
  if (n == 0) {
    tn_foreign_error(node, TN_E_ATTR, "%s: expected a list of integers", name);
    return NULL;
  }
  return whole_numbers(b, ints, n);
}

/* One number a feature, or one for all, as x is. */
static tn_value *by_feature(tn_foreign_node *node, tn_value *list, tn_value *x) {
  tn_build *b = node->build;
  uint32_t n = x->type->ndim;
  if (list == NULL) return NULL;
  list = tn_build_cast(b, list, x->type->dtype);
  if (tn_dim_is(list->type->dims[0], 1)) return tn_compose_repeat(b, tn_build_reshape(b, list, NULL, 0), x);
  if (n == 0 || !tn_func_require_eq(b->func, x->type->dims[n - 1], list->type->dims[0], node->loc, "'%s': features",
                                    node->op))
    return NULL;
  return tn_compose_along(b, tn_build_reshape(b, list, &x->type->dims[n - 1], 1), x, n - 1);
}

bool tn_import_scaler(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  if (x == NULL) return false;
  x = tn_build_cast(b, x, TN_F32);
  tn_value *offset = by_feature(node, list_of(node, "offset", true), x);
  tn_value *scale = by_feature(node, list_of(node, "scale", true), x);
  return tn_foreign_set(node, 0, tn_build_binary(b, TN_MUL, tn_build_binary(b, TN_SUB, x, offset), scale));
}

static bool import_whole_imputer(tn_foreign_node *node, tn_value *x) {
  tn_build *b = node->build;
  int64_t replaced;
  if (!tn_foreign_int(node, "replaced_value_int64", 0, &replaced)) return false;
  tn_value *other = by_feature(node, whole_list_of(node, "imputed_value_int64s"), x);
  tn_value *wide = tn_build_cast(b, x, TN_I64), *wanted = by_feature(node, whole_numbers(b, &replaced, 1), wide);
  return tn_foreign_set(node, 0, tn_build_select(b, tn_build_binary(b, TN_EQ, wide, wanted), other, x));
}

/* Elements that are the replaced value, NaN like any other, become what the list has for their feature. */
bool tn_import_imputer(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  double replaced;
  if (x == NULL || !tn_foreign_float(node, "replaced_value_float", 0, &replaced)) return false;
  if (!tn_dtype_is_float(x->type->dtype)) return import_whole_imputer(node, x);
  tn_value *other = by_feature(node, list_of(node, "imputed_value_floats", true), x);
  tn_value *hit = replaced != replaced ? tn_build_unary(b, TN_IS_NAN, x) : tn_build_binary_f(b, TN_EQ, x, replaced);
  return tn_foreign_set(node, 0, tn_build_select(b, hit, other, x));
}

/* Rows by their largest element, the sum of magnitudes or the root of the sum of squares; of zeros nothing changes. */
bool tn_import_normalizer(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *whole;
  const char *norm;
  if (x == NULL || !tn_foreign_string(node, "norm", "MAX", &norm)) return false;
  if (x->type->ndim == 0) return tn_foreign_error(node, TN_E_RANK, "a scalar has no features");
  x = tn_build_cast(b, x, TN_F32);
  const int64_t last = (int64_t)x->type->ndim - 1;
  if (strcmp(norm, "MAX") == 0) whole = tn_build_reduce(b, "max", x, &last, 1, true);
  else if (strcmp(norm, "L1") == 0)
    whole = tn_build_reduce(b, "sum", tn_build_unary(b, TN_ABS, x), &last, 1, true);
  else if (strcmp(norm, "L2") == 0)
    whole = tn_build_unary(b, TN_SQRT, tn_build_reduce(b, "sum", tn_build_binary(b, TN_MUL, x, x), &last, 1, true));
  else return tn_foreign_error(node, TN_E_ATTR, "norm: expected MAX, L1 or L2, found '%s'", norm);
  if (whole == NULL) return false;
  whole = tn_build_select(b, tn_build_binary_f(b, TN_EQ, whole, 0), tn_build_fill_like(b, whole, 1), whole);
  tn_value *sides[2] = {x, whole};
  if (!tn_build_broadcast_all(b, sides, 2)) return false;
  return tn_foreign_set(node, 0, tn_build_binary(b, TN_DIV, sides[0], sides[1]));
}

/* x [N,F] times the coefficients [rows,F], and the intercepts; [N,rows] of f32. */
static tn_value *weigh(tn_foreign_node *node, int64_t rows) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *w = list_of(node, "coefficients", true);
  if (x == NULL || w == NULL) return NULL;
  if (x->type->ndim == 1) x = tn_build_insert_axis(b, x, 0);
  int64_t n = tn_type_static_count(w->type);
  if (x == NULL || x->type->ndim != 2 || rows < 1 || n % rows != 0) {
    tn_foreign_error(node, TN_E_SHAPE, "%lld coefficients for %lld results of rank %u", (long long)n, (long long)rows,
                     x == NULL ? 0 : x->type->ndim);
    return NULL;
  }
  const tn_dim *dims[2] = {tn_dim_const(b->ctx, rows), tn_dim_const(b->ctx, n / rows)};
  if (!tn_func_require_eq(b->func, x->type->dims[1], dims[1], node->loc, "'%s': features", node->op)) return NULL;
  const int64_t turned[2] = {1, 0};
  w = tn_build_transpose(b, tn_build_reshape(b, w, dims, 2), turned);
  tn_value *y = tn_build_matmul(b, tn_build_cast(b, x, TN_F32), w), *intercepts = list_of(node, "intercepts", false);
  if (y == NULL || tn_foreign_find(node, "intercepts") == NULL) return y;
  return tn_build_binary(b, TN_ADD, y, by_feature(node, intercepts, y));
}

/* Scores as the attribute post_transform says. */
static tn_value *transformed(tn_foreign_node *node, tn_value *scores) {
  const char *transform;
  if (scores == NULL || !tn_foreign_string(node, "post_transform", "NONE", &transform)) return NULL;
  if (strcmp(transform, "NONE") == 0) return scores;
  tn_attr axis = tn_attr_int(1);
  if (strcmp(transform, "LOGISTIC") == 0) return tn_build_op(node->build, tn_op_find("sigmoid"), &scores, 1, NULL);
  if (strcmp(transform, "SOFTMAX") == 0) return tn_build_op(node->build, tn_op_find("softmax"), &scores, 1, &axis);
  tn_foreign_unsupported(node, "post_transform %s", transform);
  return NULL;
}

bool tn_import_linear_regressor(tn_foreign_node *node) {
  int64_t targets;
  if (!tn_foreign_int(node, "targets", 1, &targets)) return false;
  return tn_foreign_set(node, 0, transformed(node, weigh(node, targets)));
}

/* The label of the largest score (the first of equal ones), and the scores. */
bool tn_import_linear_classifier(tn_foreign_node *node) {
  tn_build *b = node->build;
  const int64_t *labels;
  uint32_t n;
  if (!tn_foreign_ints(node, "classlabels_ints", &labels, &n)) return false;
  if (tn_foreign_find(node, "classlabels_strings") != NULL) return tn_foreign_unsupported(node, "strings as labels");
  const tn_foreign_attr *intercepts = tn_foreign_find(node, "intercepts");
  if (n < 2 || (intercepts != NULL && intercepts->n != n))
    return tn_foreign_unsupported(node, "other than one row of coefficients a label");
  tn_value *scores = weigh(node, n);
  tn_attr attrs[] = {tn_attr_name(&tn_op_argreduce, "op", "max"), tn_attr_int(1), {0}};
  tn_value *at = scores == NULL ? NULL : tn_build_op(b, &tn_op_argreduce, &scores, 1, attrs);
  const tn_dim *dim = tn_dim_const(b->ctx, n);
  void *copy = tn_arena_copy(b->module->arena, labels, sizeof(*labels) * n);
  tn_const *table = tn_const_data(b->module, "labels", tn_type_tensor(b->ctx, TN_I64, 1, &dim), copy);
  if (at == NULL) return false;
  return tn_foreign_set(node, 0, tn_build_gather_axis(b, tn_build_const(b, table), at, 0)) &&
         (node->n_outputs < 2 || tn_foreign_set(node, 1, transformed(node, scores)));
}
