/* ONNX' random operators, and Dropout in training. ONNX leaves the stream of numbers free: here they are those of
 * random_bits with a hash of the node's `seed`, or else of its place in the model, as seed. So a program gives the same
 * numbers at every run, and nodes without a seed give different ones. */
#include "ir/ops/onnx.h"
#include "ir/ops/random.h"

#include <string.h>

/* Another seed for each `seed` (an int of Dropout, a float elsewhere) or else each node. */
static bool random_of(const tn_foreign_node *node, tn_random *out) {
  const tn_foreign_attr *attr = tn_foreign_find(node, "seed");
  uint64_t key = tn_hash_bytes(0, node->op, strlen(node->op));
  if (attr != NULL && attr->kind != TN_FOREIGN_INT && attr->kind != TN_FOREIGN_FLOAT)
    return tn_foreign_error(node, TN_E_ATTR, "seed: expected a number");
  double seed = attr == NULL ? 0 : attr->kind == TN_FOREIGN_INT ? (double)attr->i : attr->f;
  key = attr != NULL ? tn_hash_bytes(key, &seed, sizeof seed) : tn_hash_bytes(key, &node->loc, sizeof node->loc);
  tn_build *b = node->build;
  uint64_t *state = TN_NEW_N(b->module->arena, uint64_t, TN_RANDOM_STATE);
  state[TN_RANDOM_SEED] = key;
  const tn_dim *n = tn_dim_const(b->ctx, TN_RANDOM_STATE);
  const tn_type *type = tn_type_tensor(b->ctx, TN_U64, 1, &n);
  *out = (tn_random){.state = tn_build_const(b, tn_const_data(b->module, "random", type, state))};
  return out->state != NULL;
}

static tn_value *uniform(tn_foreign_node *node, const tn_dim *const *dims, uint32_t n, tn_dtype dtype) {
  tn_random random;
  return random_of(node, &random) ? tn_random_uniform(node->build, &random, dims, n, dtype) : NULL;
}

static tn_value *normal(tn_foreign_node *node, const tn_dim *const *dims, uint32_t n, tn_dtype dtype) {
  tn_random random;
  return random_of(node, &random) ? tn_random_normal(node->build, &random, dims, n, dtype) : NULL;
}

/* The element type: attribute dtype, else the input's, else f32. */
static bool result_dtype(tn_foreign_node *node, const tn_value *like, tn_dtype *out) {
  int64_t number;
  if (!tn_foreign_int(node, "dtype", 0, &number)) return false;
  *out = number != 0 ? tn_dtype_of_onnx(number) : like != NULL ? like->type->dtype : TN_F32;
  return *out != TN_N_DTYPES && *out != TN_STR ? true
                                               : tn_foreign_error(node, TN_E_ATTR, "dtype: %lld", (long long)number);
}

/* Extents of the result: those of input 0 for the operators "..Like", else attribute shape. */
static bool result_dims(tn_foreign_node *node, const tn_dim **dims, uint32_t *out_n, tn_value **out_like) {
  const int64_t *shape;
  bool like = strstr(node->op, "Like") != NULL;
  *out_like = NULL;
  if (like) {
    if ((*out_like = tn_foreign_need(node, 0)) == NULL) return false;
    *out_n = (*out_like)->type->ndim;
    for (uint32_t i = 0; i < *out_n; i++) dims[i] = (*out_like)->type->dims[i];
    return true;
  }
  if (!tn_foreign_ints(node, "shape", &shape, out_n)) return false;
  if (*out_n > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "a result of rank %u", *out_n);
  for (uint32_t i = 0; i < *out_n; i++) {
    if (shape[i] < 0) return tn_foreign_error(node, TN_E_ATTR, "shape: %lld", (long long)shape[i]);
    dims[i] = tn_dim_const(node->build->ctx, shape[i]);
  }
  return true;
}

/* RandomUniform(Like): low + u (high - low); RandomNormal(Like): mean + scale n. */
bool tn_import_random(tn_foreign_node *node) {
  tn_build *b = node->build;
  const tn_dim *dims[TN_MAX_NDIM];
  tn_value *like, *y;
  tn_dtype dtype;
  uint32_t n;
  double low, high;
  bool is_normal = strncmp(node->op, "RandomNormal", 12) == 0;
  if (!result_dims(node, dims, &n, &like) || !result_dtype(node, like, &dtype) ||
      !tn_foreign_float(node, is_normal ? "mean" : "low", 0, &low) ||
      !tn_foreign_float(node, is_normal ? "scale" : "high", 1, &high))
    return false;
  if (!tn_dtype_is_float(dtype)) return tn_foreign_error(node, TN_E_ATTR, "dtype: %s is no float type",
                                                         tn_dtype_name(dtype));
  tn_dtype compute = dtype == TN_F64 ? TN_F64 : TN_F32;
  y = is_normal ? normal(node, dims, n, compute) : uniform(node, dims, n, compute);
  y = tn_build_binary_f(b, TN_ADD, tn_build_binary_f(b, TN_MUL, y, is_normal ? high : high - low), low);
  return tn_foreign_set(node, 0, y == NULL ? NULL : tn_build_cast(b, y, dtype));
}

/* 1 with the probability that the input says. */
bool tn_import_bernoulli(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *p = tn_foreign_need(node, 0);
  tn_dtype dtype;
  if (p == NULL || !result_dtype(node, p, &dtype)) return false;
  if (!tn_dtype_is_float(p->type->dtype)) return tn_foreign_error(node, TN_E_DTYPE, "expected floats");
  tn_value *chance = tn_compose_wide(b, p);
  tn_value *u = uniform(node, p->type->dims, p->type->ndim, chance->type->dtype);
  tn_value *hit = tn_build_binary(b, TN_LT, u, chance);
  return tn_foreign_set(node, 0, hit == NULL ? NULL : tn_build_cast(b, hit, dtype));
}

/* Classes drawn by their logarithmic weights [B,C]: [B, sample_size]. */
bool tn_import_multinomial(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_compose_wide(b, tn_foreign_need(node, 0));
  int64_t samples, number;
  static const int64_t axis[] = {2};
  if (x == NULL || !tn_foreign_int(node, "sample_size", 1, &samples) || !tn_foreign_int(node, "dtype", 6, &number))
    return false;
  tn_dtype dtype = tn_dtype_of_onnx(number);
  if (x->type->ndim != 2 || samples < 1 || samples > INT32_MAX || (dtype != TN_I32 && dtype != TN_I64))
    return tn_foreign_error(node, TN_E_ATTR, "%u dimensions, sample_size %lld, dtype %lld", x->type->ndim,
                            (long long)samples, (long long)number);
  const tn_dim *dims[] = {x->type->dims[0], tn_dim_const(b->ctx, samples), x->type->dims[1]};
  const tn_opdef *cumulate = tn_op_find("cumulate");
  tn_attr along = tn_attr_int(1), sums[] = {tn_attr_name(cumulate, "op", "sum"), tn_attr_int(1), {0}, {0}};
  tn_value *p = tn_build_op(b, tn_op_find("softmax"), &x, 1, &along);
  tn_value *below = p == NULL ? NULL : tn_build_op(b, cumulate, &p, 1, sums);
  tn_value *u = uniform(node, dims, 2, x->type->dtype);
  if (below == NULL || u == NULL) return false;
  /* how many classes lie wholly below the number; the last one takes what rounding leaves */
  tn_value *passed = tn_build_binary(b, TN_GE, tn_build_broadcast_map(b, u, dims, 3, (int64_t[]){0, 1}),
                                     tn_build_broadcast_map(b, below, dims, 3, (int64_t[]){0, 2}));
  passed = passed == NULL ? NULL : tn_build_reduce(b, "sum", tn_build_cast(b, passed, TN_I64), axis, 1, false);
  if (passed == NULL) return false;
  tn_value *last = tn_compose_repeat(b, tn_compose_dim(b, tn_dim_add_i(b->ctx, dims[2], -1), TN_I64), passed);
  tn_value *y = tn_build_binary(b, TN_MIN, passed, last);
  return tn_foreign_set(node, 0, y == NULL ? NULL : tn_build_cast(b, y, dtype));
}

/* Elements dropped with the probability ratio, the others divided by what is left of 1; while `training` is false x
 * itself. Both are scalars. */
bool tn_import_dropout_training(tn_foreign_node *node, tn_value *ratio, tn_value *training) {
  tn_build *b = node->build;
  tn_value *input = tn_foreign_need(node, 0), *x = tn_compose_wide(b, input);
  if (x == NULL || ratio == NULL) return false;
  ratio = tn_build_cast(b, ratio, x->type->dtype);
  if (training != NULL)
    ratio = tn_build_select(b, training, ratio, tn_build_splat_f(b, x->type->dtype, 0));
  tn_value *u = uniform(node, x->type->dims, x->type->ndim, x->type->dtype);
  tn_value *kept = tn_build_binary(b, TN_GE, u, tn_compose_repeat(b, ratio, x));
  if (kept == NULL) return false;
  tn_value *left = tn_build_binary(b, TN_SUB, tn_build_fill_like(b, ratio, 1), ratio);
  tn_value *y = tn_build_binary(b, TN_DIV, x, tn_compose_repeat(b, left, x));
  y = tn_build_select(b, kept, y, tn_build_fill_like(b, x, 0));
  if (node->n_outputs > 1 && node->wanted[1] &&
      !tn_foreign_set(node, 1, node->version < 10 ? tn_build_cast(b, kept, input->type->dtype) : kept))
    return false;
  return tn_foreign_set(node, 0, tn_compose_narrow(b, y, input));
}
