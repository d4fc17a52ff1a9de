/* ONNX' TfIdfVectorizer over integers: how often each n-gram of a pool occurs in a row, with gaps of up to
 * max_skip_count elements between neighbours. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

#include <string.h>

typedef struct tfidf {
  tn_foreign_node *node;
  tn_value *x; /* [N,C] i64 */
  int64_t min_length, max_length, max_skip;
  const int64_t *pool, *starts, *columns; /* the pool's grams of n elements start at starts[n - 1] */
  uint32_t n_pool, n_starts, n_grams;
  int64_t n_columns;
} tfidf;

static tn_value *constant(tn_build *b, tn_dtype dtype, const void *data, size_t element, int64_t n) {
  const tn_dim *dim = tn_dim_const(b->ctx, n);
  void *copy = tn_arena_copy(b->module->arena, data, element * (size_t)n);
  return tn_build_const(b, tn_const_data(b->module, "pool", tn_type_tensor(b->ctx, dtype, 1, &dim), copy));
}

static bool read_tfidf(tfidf *t) {
  tn_foreign_node *node = t->node;
  if (!tn_foreign_int(node, "min_gram_length", 0, &t->min_length) ||
      !tn_foreign_int(node, "max_gram_length", 0, &t->max_length) ||
      !tn_foreign_int(node, "max_skip_count", 0, &t->max_skip) ||
      !tn_foreign_ints(node, "ngram_counts", &t->starts, &t->n_starts) ||
      !tn_foreign_ints(node, "ngram_indexes", &t->columns, &t->n_grams) ||
      !tn_foreign_ints(node, "pool_int64s", &t->pool, &t->n_pool))
    return false;
  if (tn_foreign_find(node, "pool_strings") != NULL) return tn_foreign_unsupported(node, "strings");
  if (t->min_length < 1 || t->max_length < t->min_length || t->max_length > 64 || t->max_skip < 0 || t->max_skip > 64)
    return tn_foreign_error(node, TN_E_ATTR, "grams of %lld to %lld elements, %lld skipped", (long long)t->min_length,
                            (long long)t->max_length, (long long)t->max_skip);
  uint32_t n = 0;
  for (uint32_t i = 0; i < t->n_starts; i++) {
    int64_t end = i + 1 < t->n_starts ? t->starts[i + 1] : t->n_pool;
    if (t->starts[i] < 0 || end < t->starts[i] || end > t->n_pool || (end - t->starts[i]) % (i + 1) != 0)
      return tn_foreign_error(node, TN_E_ATTR, "ngram_counts: element %u does not fit the pool", i);
    n += (uint32_t)((end - t->starts[i]) / (i + 1));
  }
  if (n != t->n_grams || n == 0)
    return tn_foreign_error(node, TN_E_ATTR, "ngram_indexes: expected %u elements, found %u", n, t->n_grams);
  for (uint32_t i = 0; i < n; i++) {
    if (t->columns[i] < 0 || t->columns[i] > INT32_MAX)
      return tn_foreign_error(node, TN_E_ATTR, "ngram_indexes: %lld", (long long)t->columns[i]);
    if (t->columns[i] >= t->n_columns) t->n_columns = t->columns[i] + 1;
  }
  return true;
}

/* Occurrences of the `count` grams of n elements that start at `grams`, neighbours `step` apart: i64 [N, count]. */
static tn_value *count_grams(tfidf *t, const int64_t *grams, int64_t count, int64_t n, int64_t step) {
  tn_build *b = t->node->build;
  tn_ctx *ctx = b->ctx;
  const tn_dim *zero = tn_dim_const(ctx, 0), *const *x = t->x->type->dims, *reach = tn_dim_const(ctx, (n - 1) * step);
  const tn_dim *lo[] = {zero, zero}, *hi[] = {zero, reach}, *dims[] = {x[0], x[1], tn_dim_const(ctx, count)};
  tn_value *padded = tn_build_pad(b, t->x, tn_build_splat_i(b, TN_I64, 0), lo, hi);
  tn_value *at = tn_build_iota(b, dims, 3, 1, TN_I64);
  tn_value *end = at == NULL ? NULL : tn_compose_repeat(b, tn_compose_dim(b, tn_dim_sub(ctx, x[1], reach), TN_I64), at);
  tn_value *hit = tn_build_binary(b, TN_LT, at, end); /* the gram ends inside the row */
  for (int64_t k = 0; k < n; k++) {
    int64_t *column = TN_NEW_N(b->module->arena, int64_t, (size_t)count);
    for (int64_t g = 0; g < count; g++) column[g] = grams[g * n + k];
    tn_value *element = padded == NULL ? NULL : tn_build_slice_axis(b, padded, 1, tn_dim_const(ctx, k * step), x[1], 1);
    element = tn_build_broadcast_map(b, element, dims, 3, (int64_t[]){0, 1});
    tn_value *wanted = tn_build_broadcast_map(b, constant(b, TN_I64, column, sizeof *column, count), dims, 3,
                                              (int64_t[]){2});
    hit = tn_build_binary(b, TN_AND, hit, tn_build_binary(b, TN_EQ, element, wanted));
  }
  static const int64_t axis[] = {1};
  return hit == NULL ? NULL : tn_build_reduce(b, "sum", tn_build_cast(b, hit, TN_I64), axis, 1, false);
}

/* Counts of all grams in the order of the pool, [N, grams]. */
static tn_value *count_all(tfidf *t) {
  tn_build *b = t->node->build;
  tn_value *parts[64];
  uint32_t n_parts = 0;
  for (uint32_t i = 0; i < t->n_starts && n_parts < 64; i++) {
    int64_t n = i + 1, end = i + 1 < t->n_starts ? t->starts[i + 1] : t->n_pool, count = (end - t->starts[i]) / n;
    if (count == 0) continue;
    tn_value *sum = NULL;
    bool counted = n >= t->min_length && n <= t->max_length;
    for (int64_t skip = 0; counted && skip <= (n == 1 ? 0 : t->max_skip); skip++) {
      tn_value *c = count_grams(t, t->pool + t->starts[i], count, n, skip + 1);
      sum = skip == 0 ? c : tn_build_binary(b, TN_ADD, sum, c);
    }
    const tn_dim *dims[] = {t->x->type->dims[0], tn_dim_const(b->ctx, count)};
    if (!counted) sum = tn_build_broadcast_map(b, tn_build_splat_i(b, TN_I64, 0), dims, 2, NULL);
    if (sum == NULL) return NULL;
    parts[n_parts++] = sum;
  }
  return tn_build_concat(b, parts, n_parts, 1);
}

/* [N, grams] as [N, columns]: grams that name one column are added. */
static tn_value *by_column(tfidf *t, tn_value *counts) {
  tn_build *b = t->node->build;
  const tn_dim *dims[] = {tn_dim_const(b->ctx, t->n_columns), t->x->type->dims[0]};
  static const int64_t swap[] = {1, 0}, axis[] = {0};
  tn_value *operands[] = {tn_build_broadcast_map(b, tn_build_splat_i(b, TN_I64, 0), dims, 2, NULL),
                          tn_build_transpose(b, counts, swap),
                          constant(b, TN_I64, t->columns, sizeof *t->columns, t->n_grams)};
  tn_attr attrs[] = {tn_attr_ints(b->module, axis, 1), tn_attr_name(&tn_op_scatter, "mode", "add"), {0}};
  for (int i = 0; i < 3; i++)
    if (operands[i] == NULL) return NULL;
  return tn_build_transpose(b, tn_build_op(b, &tn_op_scatter, operands, 3, attrs), swap);
}

/* TF: the count; IDF: the weight where there is one; TFIDF: count times weight. */
static tn_value *weighted(tfidf *t, tn_value *counts) {
  tn_build *b = t->node->build;
  const char *mode;
  const tn_foreign_attr *weights = tn_foreign_find(t->node, "weights");
  if (!tn_foreign_string(t->node, "mode", "", &mode) || counts == NULL) return NULL;
  bool idf = strcmp(mode, "IDF") == 0;
  if (!idf && strcmp(mode, "TF") != 0 && strcmp(mode, "TFIDF") != 0) {
    tn_foreign_error(t->node, TN_E_ATTR, "mode: '%s'", mode);
    return NULL;
  }
  tn_value *y = idf ? tn_build_binary_f(b, TN_GT, counts, 0) : counts;
  y = y == NULL ? NULL : tn_build_cast(b, y, TN_F32);
  if (weights == NULL || strcmp(mode, "TF") == 0 || y == NULL) return y;
  if (weights->kind != TN_FOREIGN_FLOATS || weights->n < t->n_columns) {
    tn_foreign_error(t->node, TN_E_ATTR, "weights: expected %lld numbers", (long long)t->n_columns);
    return NULL;
  }
  float *data = TN_NEW_N(b->module->arena, float, (size_t)t->n_columns);
  for (int64_t i = 0; i < t->n_columns; i++) data[i] = (float)weights->floats[i];
  tn_value *w = constant(b, TN_F32, data, sizeof *data, t->n_columns);
  return tn_build_binary(b, TN_MUL, y, tn_compose_along(b, w, y, 1));
}

bool tn_import_tfidf(tn_foreign_node *node) {
  tn_build *b = node->build;
  tfidf t = {.node = node, .x = tn_foreign_need(node, 0)};
  if (t.x == NULL || !read_tfidf(&t)) return false;
  uint32_t ndim = t.x->type->ndim;
  if (ndim < 1 || ndim > 2 || !tn_dtype_is_integer(t.x->type->dtype))
    return tn_foreign_error(node, TN_E_RANK, "expected integers of 1 or 2 dimensions");
  t.x = tn_build_cast(b, t.x, TN_I64);
  if (ndim == 1) t.x = tn_build_insert_axis(b, t.x, 0);
  tn_value *counts = t.x == NULL ? NULL : count_all(&t);
  tn_value *y = counts == NULL ? NULL : weighted(&t, by_column(&t, counts));
  return tn_foreign_set(node, 0, y == NULL || ndim == 2 ? y : tn_build_drop_axis(b, y, 0));
}
