/* Operators of ai.onnx.ml on numbers: Binarizer, ArrayFeatureExtractor, LabelEncoder and TreeEnsemble. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

#include <math.h>
#include <string.h>

static tn_value *table(tn_build *b, tn_dtype dtype, const void *data, int64_t n) {
  const tn_dim *dim = tn_dim_const(b->ctx, n);
  void *copy = tn_arena_copy(b->module->arena, data, tn_dtype_bytes(dtype) * (size_t)n);
  return tn_build_const(b, tn_const_data(b->module, "table", tn_type_tensor(b->ctx, dtype, 1, &dim), copy));
}

/* 1 above the threshold, else 0. */
bool tn_import_binarizer(tn_foreign_node *node) {
  tn_value *x = tn_foreign_need(node, 0);
  double threshold;
  if (x == NULL || !tn_foreign_float(node, "threshold", 0, &threshold)) return false;
  tn_value *above = tn_build_binary_f(node->build, TN_GT, x, threshold);
  return tn_foreign_set(node, 0, above == NULL ? NULL : tn_build_cast(node->build, above, x->type->dtype));
}

/* Elements of the last axis; of a vector as one row. */
bool tn_import_array_feature_extractor(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *index = tn_foreign_need(node, 1);
  if (x == NULL || index == NULL) return false;
  uint32_t n = x->type->ndim;
  if (n == 0) return tn_foreign_error(node, TN_E_RANK, "a scalar has no elements to choose");
  const tn_dim *count = tn_type_count(b->ctx, index->type);
  int64_t perm[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n; i++) perm[i] = i + 1 < n ? i + 1 : 0; /* the index' axis comes first */
  tn_value *y = tn_build_gather_axis(b, x, tn_build_reshape(b, index, &count, 1), n - 1);
  y = tn_build_transpose(b, y, perm);
  return tn_foreign_set(node, 0, n > 1 || y == NULL ? y : tn_build_insert_axis(b, y, 0));
}

/* ---- LabelEncoder */

/* The list `prefix`_int64s, `prefix`_floats or `prefix`_tensor as a value of one dimension; NULL and true when none of
 * these is there. */
static bool read_list(tn_foreign_node *node, const char *prefix, tn_value **out) {
  tn_build *b = node->build;
  static const char *const kinds[] = {"int64s", "floats", "tensor", "strings"};
  *out = NULL;
  for (uint32_t k = 0; k < TN_ARRAY_LEN(kinds); k++) {
    const tn_foreign_attr *attr = tn_foreign_find(node, tn_namef(b->ctx, "%s_%s", prefix, kinds[k]));
    if (attr == NULL) continue;
    if (k == 3 || (k == 2 && attr->tensor != NULL && attr->tensor->type->dtype == TN_STR))
      return tn_foreign_unsupported(node, "strings");
    if (attr->kind == TN_FOREIGN_INTS) *out = table(b, TN_I64, attr->ints, attr->n);
    if (attr->kind == TN_FOREIGN_FLOATS) {
      float *data = TN_NEW_N(b->module->arena, float, attr->n);
      for (uint32_t i = 0; i < attr->n; i++) data[i] = (float)attr->floats[i];
      *out = table(b, TN_F32, data, attr->n);
    }
    if (attr->kind == TN_FOREIGN_TENSOR && attr->tensor != NULL) {
      const tn_dim *count = tn_type_count(b->ctx, attr->tensor->type);
      *out = tn_build_reshape(b, tn_build_const(b, attr->tensor), &count, 1);
    }
    return *out != NULL || tn_foreign_error(node, TN_E_ATTR, "%s_%s: expected a list", prefix, kinds[k]);
  }
  return true;
}

/* What stands for keys that are not there: default_tensor, default_int64 (-1) or default_float (-0). */
static bool read_default(tn_foreign_node *node, tn_dtype dtype, tn_value **out) {
  tn_build *b = node->build;
  const tn_foreign_attr *attr = tn_foreign_find(node, "default_tensor");
  int64_t i;
  double f;
  if (!tn_foreign_int(node, "default_int64", -1, &i) || !tn_foreign_float(node, "default_float", -0.0, &f))
    return false;
  if (attr != NULL && attr->kind == TN_FOREIGN_TENSOR && attr->tensor != NULL)
    *out = tn_build_cast(b, tn_build_reshape(b, tn_build_const(b, attr->tensor), NULL, 0), dtype);
  else *out = tn_dtype_is_float(dtype) ? tn_build_splat_f(b, dtype, f) : tn_build_splat_i(b, dtype, i);
  return *out != NULL;
}

/* The value behind the first key that equals an element; NaN is found by a key that is NaN. */
bool tn_import_label_encoder(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *keys, *values, *other;
  if (x == NULL || !read_list(node, "keys", &keys) || !read_list(node, "values", &values)) return false;
  if (keys == NULL || values == NULL) return tn_foreign_unsupported(node, "no keys or values that are numbers");
  if (keys->type->dtype != x->type->dtype || keys->type->dims[0] != values->type->dims[0])
    return tn_foreign_error(node, TN_E_DTYPE, "the keys are not of the input's type, or not as many as values");
  if (!read_default(node, values->type->dtype, &other)) return false;
  uint32_t n = x->type->ndim;
  if (n + 1 > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "rank %u", n);
  const tn_dim *dims[TN_MAX_NDIM];
  int64_t last = n;
  for (uint32_t i = 0; i < n; i++) dims[i] = x->type->dims[i];
  dims[n] = keys->type->dims[0];
  int64_t map[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n; i++) map[i] = i;
  tn_value *each = tn_build_broadcast_map(b, x, dims, n + 1, map);
  tn_value *key = tn_build_broadcast_map(b, keys, dims, n + 1, &last);
  tn_value *hit = tn_build_binary(b, TN_EQ, each, key);
  if (tn_dtype_is_float(x->type->dtype))
    hit = tn_build_binary(b, TN_OR, hit, tn_build_binary(b, TN_AND, tn_build_unary(b, TN_IS_NAN, each),
                                                         tn_build_unary(b, TN_IS_NAN, key)));
  hit = hit == NULL ? NULL : tn_build_cast(b, hit, TN_I32);
  tn_attr attrs[] = {tn_attr_name(&tn_op_argreduce, "op", "max"), tn_attr_int(last), {0}};
  tn_value *at = hit == NULL ? NULL : tn_build_op(b, &tn_op_argreduce, &hit, 1, attrs);
  tn_value *any = hit == NULL ? NULL : tn_build_reduce(b, "max", hit, &last, 1, false);
  if (at == NULL || any == NULL) return false;
  tn_value *found = tn_build_gather_axis(b, values, at, 0);
  tn_value *y = tn_build_select(b, tn_build_binary_f(b, TN_GT, any, 0), found, tn_compose_repeat(b, other, x));
  return tn_foreign_set(node, 0, y);
}

/* ---- TreeEnsemble: all trees at once, a level at a time. Nodes and then leaves have one numbering; a leaf leads to
 * itself. */

enum { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, N_MODES };

typedef struct forest {
  tn_foreign_node *node;
  tn_value *x; /* [N,F] */
  uint32_t n_nodes, n_leaves, n_trees;
  const int64_t *features, *next[2], *is_leaf[2], *targets, *roots, *missing; /* [0]: when the test holds */
  const uint8_t *modes;
  tn_value *splits, *weights;
  int64_t n_targets, aggregate, transform;
  uint32_t depth, n_members; /* members of the largest set */
  double *members;           /* [n_nodes, n_members], NaN where there are fewer */
} forest;

static bool ints_of(tn_foreign_node *node, const char *name, uint32_t n, const int64_t **out) {
  uint32_t found;
  if (!tn_foreign_ints(node, name, out, &found)) return false;
  return found == n || tn_foreign_error(node, TN_E_ATTR, "%s: expected %u elements, found %u", name, n, found);
}

/* A tensor attribute of n elements (any number for n = UINT32_MAX). */
static const tn_foreign_attr *tensor_of(tn_foreign_node *node, const char *name, uint32_t n) {
  const tn_foreign_attr *attr = tn_foreign_find(node, name);
  if (attr == NULL || attr->kind != TN_FOREIGN_TENSOR || attr->tensor == NULL || attr->tensor->type->dtype == TN_STR ||
      (n != UINT32_MAX && tn_type_static_count(attr->tensor->type) != n)) {
    tn_foreign_error(node, TN_E_ATTR, "%s: expected a tensor of %u numbers", name, n);
    return NULL;
  }
  return attr;
}

static double element(tn_dtype dtype, const void *data, int64_t i) {
  const char *at = (const char *)data + (size_t)i * tn_dtype_bytes(dtype);
  return tn_number_cast(dtype, TN_F64, tn_number_load(dtype, at)).f;
}

/* The sets of the nodes with mode MEMBER, one behind the other, each ended by a NaN. */
static bool read_members(forest *f) {
  tn_arena *arena = f->node->build->module->arena;
  uint32_t n_sets = 0, longest = 0, length = 0;
  for (uint32_t i = 0; i < f->n_nodes; i++) n_sets += f->modes[i] == MEMBER;
  if (n_sets == 0) return true;
  const tn_foreign_attr *attr = tensor_of(f->node, "membership_values", UINT32_MAX);
  if (attr == NULL) return false;
  tn_dtype dtype = attr->tensor->type->dtype;
  int64_t n = tn_type_static_count(attr->tensor->type), at = 0;
  const void *data = tn_const_read(attr->tensor, arena);
  for (int64_t i = 0; i < n; i++) {
    length = isnan(element(dtype, data, i)) ? 0 : length + 1;
    if (length > longest) longest = length;
  }
  if (longest > 4096) return tn_foreign_error(f->node, TN_E_LIMIT, "a set of %u members", longest);
  f->n_members = longest;
  f->members = TN_NEW_N(arena, double, (size_t)f->n_nodes * longest);
  for (uint32_t i = 0; i < f->n_nodes; i++) {
    for (uint32_t k = 0; k < longest; k++) f->members[(size_t)i * longest + k] = NAN;
    for (uint32_t k = 0; f->modes[i] == MEMBER && at < n; k++) {
      double v = element(dtype, data, at++);
      if (isnan(v)) break;
      f->members[(size_t)i * longest + k] = v;
    }
  }
  return true;
}

/* The longest way from a node, by the number of tests; UINT32_MAX for a circle. depth[i] is 0 before it is known. */
static uint32_t depth_of(const forest *f, uint32_t node, uint32_t *depth, uint32_t level) {
  uint32_t deepest = 0;
  if (level > f->n_nodes || level > 1000) return UINT32_MAX;
  if (depth[node] != 0) return depth[node];
  for (int side = 0; side < 2; side++) {
    if (f->is_leaf[side][node] != 0) continue;
    uint32_t d = depth_of(f, (uint32_t)f->next[side][node], depth, level + 1);
    if (d == UINT32_MAX) return d;
    if (d > deepest) deepest = d;
  }
  return depth[node] = deepest + 1;
}

static bool check_structure(forest *f) {
  for (uint32_t i = 0; i < f->n_nodes; i++) {
    bool ok = f->features[i] >= 0 && f->features[i] <= INT32_MAX && f->modes[i] < N_MODES;
    for (int side = 0; side < 2; side++)
      ok = ok && f->next[side][i] >= 0 && f->next[side][i] < (f->is_leaf[side][i] != 0 ? f->n_leaves : f->n_nodes);
    if (!ok) return tn_foreign_error(f->node, TN_E_ATTR, "node %u of the trees is wrong", i);
  }
  for (uint32_t i = 0; i < f->n_leaves; i++)
    if (f->targets[i] < 0 || f->targets[i] >= f->n_targets)
      return tn_foreign_error(f->node, TN_E_ATTR, "leaf_targetids: %lld", (long long)f->targets[i]);
  uint32_t *depth = TN_NEW_N(f->node->build->module->arena, uint32_t, f->n_nodes);
  for (uint32_t i = 0; i < f->n_trees; i++) {
    if (f->roots[i] < 0 || f->roots[i] >= f->n_nodes)
      return tn_foreign_error(f->node, TN_E_ATTR, "tree_roots: %lld", (long long)f->roots[i]);
    uint32_t d = depth_of(f, (uint32_t)f->roots[i], depth, 0);
    if (d == UINT32_MAX) return tn_foreign_error(f->node, TN_E_LIMIT, "the trees are deeper than 1000, or a circle");
    if (d > f->depth) f->depth = d;
  }
  return true;
}

static bool read_forest(forest *f) {
  tn_foreign_node *node = f->node;
  tn_build *b = node->build;
  if (!tn_foreign_ints(node, "nodes_featureids", &f->features, &f->n_nodes) ||
      !tn_foreign_ints(node, "leaf_targetids", &f->targets, &f->n_leaves) ||
      !tn_foreign_ints(node, "tree_roots", &f->roots, &f->n_trees) ||
      !tn_foreign_int(node, "n_targets", 1, &f->n_targets) ||
      !tn_foreign_int(node, "aggregate_function", 1, &f->aggregate) ||
      !tn_foreign_int(node, "post_transform", 0, &f->transform) ||
      !ints_of(node, "nodes_truenodeids", f->n_nodes, &f->next[0]) ||
      !ints_of(node, "nodes_falsenodeids", f->n_nodes, &f->next[1]) ||
      !ints_of(node, "nodes_trueleafs", f->n_nodes, &f->is_leaf[0]) ||
      !ints_of(node, "nodes_falseleafs", f->n_nodes, &f->is_leaf[1]))
    return false;
  if (tn_foreign_find(node, "nodes_missing_value_tracks_true") != NULL &&
      !ints_of(node, "nodes_missing_value_tracks_true", f->n_nodes, &f->missing))
    return false;
  const tn_foreign_attr *modes = tensor_of(node, "nodes_modes", f->n_nodes);
  const tn_foreign_attr *splits = tensor_of(node, "nodes_splits", f->n_nodes);
  const tn_foreign_attr *weights = tensor_of(node, "leaf_weights", f->n_leaves);
  if (modes == NULL || splits == NULL || weights == NULL) return false;
  if (f->n_nodes == 0 || f->n_leaves == 0 || f->n_trees == 0 || modes->tensor->type->dtype != TN_U8 ||
      f->n_targets < 1 || f->n_targets > INT32_MAX || f->aggregate < 0 || f->aggregate > 3)
    return tn_foreign_error(node, TN_E_ATTR, "%u nodes, %u leaves, %u trees, %lld targets", f->n_nodes, f->n_leaves,
                            f->n_trees, (long long)f->n_targets);
  if (f->transform != 0 && f->transform != 1 && f->transform != 2)
    return tn_foreign_unsupported(node, "post_transform %lld", (long long)f->transform);
  f->modes = tn_const_read(modes->tensor, b->module->arena);
  f->splits = tn_build_cast(b, tn_build_const(b, splits->tensor), f->x->type->dtype);
  f->weights = tn_build_cast(b, tn_build_const(b, weights->tensor), f->x->type->dtype);
  return f->splits != NULL && f->weights != NULL && read_members(f) && check_structure(f);
}

/* Where node i of [N,T] is of a mode that the forest has, the test that goes with it. */
static tn_value *tests(const forest *f, tn_value *at, tn_value *v, tn_value *split) {
  static const tn_scalar scalars[] = {TN_LE, TN_LT, TN_GE, TN_GT, TN_EQ, TN_NE};
  tn_build *b = f->node->build;
  uint32_t seen = 0;
  for (uint32_t i = 0; i < f->n_nodes; i++) seen |= 1u << f->modes[i];
  tn_value *modes = table(b, TN_U8, f->modes, f->n_nodes), *result = NULL;
  tn_value *mode = (seen & (seen - 1)) != 0 ? tn_build_gather_axis(b, modes, at, 0) : NULL; /* NULL: all are alike */
  for (uint32_t m = 0; m < N_MODES; m++) {
    if ((seen >> m & 1) == 0) continue;
    tn_value *test;
    if (m == MEMBER) {
      const tn_dim *d[] = {at->type->dims[0], at->type->dims[1], tn_dim_const(b->ctx, f->n_members)};
      const tn_dim *rows[] = {tn_dim_const(b->ctx, f->n_nodes), d[2]};
      static const int64_t last[] = {2};
      tn_value *sets = tn_build_reshape(b, table(b, TN_F64, f->members, (int64_t)f->n_nodes * f->n_members), rows, 2);
      sets = tn_build_cast(b, tn_build_gather_axis(b, sets, at, 0), v->type->dtype);
      test = tn_build_binary(b, TN_EQ, sets, tn_build_broadcast_map(b, v, d, 3, (int64_t[]){0, 1}));
      test = test == NULL ? NULL : tn_build_reduce(b, "or", test, last, 1, false);
    } else {
      test = tn_build_binary(b, scalars[m], v, split);
    }
    if (result == NULL) result = test;
    else result = tn_build_select(b, tn_build_binary_f(b, TN_EQ, mode, m), test, result);
  }
  return result;
}

/* The numbers of the leaves that the rows reach in the trees, [N,T]. */
static tn_value *reached(const forest *f) {
  tn_build *b = f->node->build;
  tn_arena *arena = b->module->arena;
  const tn_dim *dims[] = {f->x->type->dims[0], tn_dim_const(b->ctx, f->n_trees)};
  int64_t total = (int64_t)f->n_nodes + f->n_leaves, *next[2];
  for (int side = 0; side < 2; side++) { /* leaves follow the nodes and lead to themselves */
    next[side] = TN_NEW_N(arena, int64_t, (size_t)total);
    for (int64_t i = 0; i < total; i++)
      next[side][i] = i >= f->n_nodes ? i : f->next[side][i] + (f->is_leaf[side][i] != 0 ? f->n_nodes : 0);
  }
  tn_value *to[] = {table(b, TN_I64, next[0], total), table(b, TN_I64, next[1], total)};
  tn_value *features = table(b, TN_I64, f->features, f->n_nodes), *row = tn_build_iota(b, dims, 2, 0, TN_I64);
  tn_value *missing = f->missing == NULL ? NULL : table(b, TN_I64, f->missing, f->n_nodes);
  tn_value *at = tn_build_broadcast_map(b, table(b, TN_I64, f->roots, f->n_trees), dims, 2, (int64_t[]){1});
  for (uint32_t level = 0; level < f->depth && at != NULL; level++) {
    tn_value *node = tn_build_binary_f(b, TN_MIN, at, f->n_nodes - 1.0); /* what a leaf is asked does not matter */
    tn_value *index[] = {row, tn_build_gather_axis(b, features, node, 0)};
    tn_value *v = index[1] == NULL ? NULL : tn_build_gather_axes(b, f->x, index, (int64_t[]){0, 1}, 2);
    if (v == NULL) return NULL;
    tn_value *holds = tests(f, node, v, tn_build_gather_axis(b, f->splits, node, 0));
    if (missing != NULL) {
      tn_value *counts = tn_build_binary_f(b, TN_NE, tn_build_gather_axis(b, missing, node, 0), 0);
      counts = tn_build_binary(b, TN_AND, tn_build_unary(b, TN_IS_NAN, v), counts);
      holds = tn_build_binary(b, TN_OR, holds, counts);
    }
    at = tn_build_select(b, holds, tn_build_gather_axis(b, to[0], at, 0), tn_build_gather_axis(b, to[1], at, 0));
  }
  return tn_build_binary_f(b, TN_SUB, at, f->n_nodes);
}

/* The weights of the leaves [N,T], by target: [N, targets]. */
static tn_value *aggregated(const forest *f, tn_value *leaves) {
  tn_build *b = f->node->build;
  static const int64_t axis[] = {1}, map[] = {0, 1};
  if (leaves == NULL) return NULL;
  const tn_dim *const *d = leaves->type->dims, *dims[] = {d[0], d[1], tn_dim_const(b->ctx, f->n_targets)};
  tn_value *weight = tn_build_broadcast_map(b, tn_build_gather_axis(b, f->weights, leaves, 0), dims, 3, map);
  tn_value *target = tn_build_gather_axis(b, table(b, TN_I64, f->targets, f->n_leaves), leaves, 0);
  target = tn_build_broadcast_map(b, target, dims, 3, map);
  tn_value *mine = tn_build_binary(b, TN_EQ, target, tn_build_iota(b, dims, 3, 2, TN_I64));
  static const char *const folds[] = {"sum", "sum", "min", "max"};
  double none = f->aggregate == 2 ? INFINITY : f->aggregate == 3 ? -INFINITY : 0;
  if (weight == NULL || mine == NULL) return NULL;
  tn_value *y = tn_build_select(b, mine, weight, tn_build_fill_like(b, weight, none));
  y = tn_build_reduce(b, folds[f->aggregate], y, axis, 1, false);
  if (f->aggregate == 0) return tn_build_binary_f(b, TN_DIV, y, f->n_trees);
  if (f->aggregate == 1) return y;
  tn_value *any = tn_build_reduce(b, "or", mine, axis, 1, false);
  return y == NULL ? NULL : tn_build_select(b, any, y, tn_build_fill_like(b, y, 0));
}

bool tn_import_tree_ensemble(tn_foreign_node *node) {
  tn_build *b = node->build;
  forest f = {.node = node, .x = tn_compose_wide(b, tn_foreign_need(node, 0))};
  if (f.x == NULL || !read_forest(&f)) return false;
  if (f.x->type->ndim != 2)
    return tn_foreign_error(node, TN_E_RANK, "expected 2 dimensions, found %u", f.x->type->ndim);
  tn_value *y = aggregated(&f, reached(&f));
  tn_attr axis = tn_attr_int(1);
  if (f.transform != 0 && y != NULL)
    y = tn_build_op(b, tn_op_find(f.transform == 1 ? "softmax" : "sigmoid"), &y, 1, f.transform == 1 ? &axis : NULL);
  return tn_foreign_set(node, 0, tn_compose_narrow(b, y, node->inputs[0]));
}
