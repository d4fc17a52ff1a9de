/* The functions of a field's chain as operators, in the order and the precision (f64) in which runtime/train/chain.c
 * computes them, so that both give the same bits. Where that refuses a record, a graph has no words: a number that is
 * none (the logarithm of -1) becomes NaN and stays it. */
#include <math.h>
#include <string.h>

#include "frontend/lang/serve.h"

typedef struct chain {
  tn_sema *s;
  tn_build *b;
  const tn_serve_field *field;
} chain;

bool tn_serve_acts(const tnrt_link *link) {
  return link->kind != TNRT_LINK_FLIP && (link->splits >> TNRT_SPLIT_VALID & 1);
}

static bool refuse(const chain *h, const char *what) {
  const tn_job_field *field = h->field->field;
  tn_error(h->s->ctx, field->stmt->value->loc, TN_E_LANG_NOT_YET, "field '%s': %s, in a model with its weights, is not "
           "there yet", field->name, what);
  tn_help(h->s->ctx, "the training program does it: run --data=FILE");
  return false;
}

/* --- Constants --- */

/* Numbers of each element of a sample, `each` of them as a last axis where that is more than one. */
static tn_value *constant(const chain *h, const tn_value *x, const double *numbers, int64_t each, const char *name) {
  tn_ctx *ctx = h->s->ctx;
  const tn_dim *dims[TN_MAX_NDIM + 1];
  uint32_t n = x->type->ndim - 1;
  memcpy(dims, x->type->dims + 1, n * sizeof(*dims));
  if (each > 1) dims[n++] = tn_dim_const(ctx, each);
  const tn_type *type = tn_type_tensor(ctx, TN_F64, n, dims);
  size_t bytes = (size_t)tn_type_static_count(type) * sizeof(double);
  const char *path = tn_namef(ctx, "%s.%s", h->field->field->name, name);
  return tn_build_const(h->b, tn_const_data(h->s->module, path, type,
                                            tn_arena_copy(h->s->module->arena, numbers, bytes)));
}

static tn_value *like(const chain *h, tn_value *c, const tn_value *x) {
  return c ? tn_build_broadcast_to(h->b, c, x->type->dims, x->type->ndim) : NULL;
}

/* Every stride-th number from `first` on. */
static tn_value *column(const chain *h, const tn_value *x, const tn_fitted_numbers *from, size_t first, size_t stride,
                        const char *name) {
  size_t n = from->n / stride;
  double *numbers = TN_NEW_N(h->s->arena, double, n + 1);
  for (size_t i = 0; i < n; i++) numbers[i] = from->data[i * stride + first];
  return like(h, constant(h, x, numbers, 1, name), x);
}

/* What link k learned: `each` numbers of each element. */
static bool take_numbers(const chain *h, uint32_t k, const tn_value *x, int64_t each, tn_fitted_numbers *out) {
  const tn_job_field *field = h->field->field;
  int64_t count = 1;
  if (!tn_fitted_numbers_of(h->s, field->name, k, out)) return false;
  for (uint32_t i = 1; i < x->type->ndim; i++) {
    if (!tn_dim_is_const(x->type->dims[i])) return refuse(h, "something fitted to pictures of any size");
    count *= tn_dim_value(x->type->dims[i]);
  }
  if (out->data && (int64_t)out->n == each * count) return true;
  return tn_error(h->s->ctx, field->loc, TN_E_WEIGHTS,
                  out->data ? "field '%s' is fitted on another number of values in '%s'"
                            : "what field '%s' is fitted by is not in '%s'", field->name, tn_store_path(h->s->store));
}

/* --- Functions --- */

static tn_value *minmax(const chain *h, uint32_t k, tn_value *x) {
  tn_fitted_numbers pairs;
  bool is_flat = false;
  if (!take_numbers(h, k, x, 2, &pairs)) return NULL;
  double *ranges = tn_arena_copy(h->s->arena, pairs.data, pairs.n * sizeof(double));
  for (size_t i = 1; i < pairs.n; i += 2)
    if (!(ranges[i] > 0)) is_flat = true, ranges[i] = 1;
  tn_fitted_numbers safe = {ranges, pairs.n};
  tn_value *low = column(h, x, &pairs, 0, 2, "low"), *range = column(h, x, &safe, 1, 2, "range");
  tn_value *y = tn_build_binary(h->b, TN_DIV, tn_build_binary(h->b, TN_SUB, x, low), range);
  if (!is_flat) return y;
  tn_value *spread = column(h, x, &pairs, 1, 2, "spread");
  tn_value *varies = tn_build_binary(h->b, TN_GT, spread, tn_build_fill_like(h->b, spread, 0));
  return tn_build_select(h->b, varies, y, tn_build_binary_f(h->b, TN_MUL, x, 0));
}

static tn_value *clip(const chain *h, uint32_t k, tn_value *x) {
  tn_fitted_numbers pairs;
  if (!take_numbers(h, k, x, 2, &pairs)) return NULL;
  tn_value *low = column(h, x, &pairs, 0, 2, "least"), *high = column(h, x, &pairs, 1, 2, "most");
  tn_value *y = tn_build_select(h->b, tn_build_binary(h->b, TN_GT, x, high), high, x);
  return tn_build_select(h->b, tn_build_binary(h->b, TN_LT, x, low), low, y);
}

static tn_value *standardize(const chain *h, uint32_t k, tn_value *x) {
  tn_fitted_numbers pairs;
  if (!take_numbers(h, k, x, 2, &pairs)) return NULL;
  double *deviations = tn_arena_copy(h->s->arena, pairs.data, pairs.n * sizeof(double));
  for (size_t i = 1; i < pairs.n; i += 2)
    if (!(deviations[i] > 0)) deviations[i] = 1;
  tn_fitted_numbers safe = {deviations, pairs.n};
  tn_value *shifted = tn_build_binary(h->b, TN_SUB, x, column(h, x, &pairs, 0, 2, "mean"));
  return tn_build_binary(h->b, TN_DIV, shifted, column(h, x, &safe, 1, 2, "deviation"));
}

/* Within lo and hi; NaN stays it. */
static tn_value *clamp(const chain *h, const tnrt_link *link, tn_value *x) {
  tn_value *low = tn_build_fill_like(h->b, x, link->numbers[0]), *high = tn_build_fill_like(h->b, x, link->numbers[1]);
  tn_value *y = tn_build_select(h->b, tn_build_binary(h->b, TN_GT, x, high), high, x);
  return tn_build_select(h->b, tn_build_binary(h->b, TN_LT, x, low), low, y);
}

static tn_value *impute(const chain *h, uint32_t k, tn_value *x) {
  tn_fitted_numbers values;
  if (!take_numbers(h, k, x, 1, &values)) return NULL;
  tn_value *value = column(h, x, &values, 0, 1, "missing");
  return tn_build_select(h->b, tn_build_unary(h->b, TN_IS_NAN, x), value, x);
}

/* How many limits are not above it. */
static tn_value *bins(const chain *h, uint32_t k, tn_value *x) {
  tn_fitted_numbers limits;
  int64_t n = h->field->links[k].integers[0] - 1, last = x->type->ndim;
  const tn_dim *dims[TN_MAX_NDIM + 1];
  if (x->type->ndim == TN_MAX_NDIM) return refuse(h, "bins of so many axes"), NULL;
  if (!take_numbers(h, k, x, n, &limits)) return NULL;
  memcpy(dims, x->type->dims, x->type->ndim * sizeof(*dims));
  dims[last] = tn_dim_const(h->s->ctx, n);
  tn_value *all = constant(h, x, limits.data, n, "limits");
  if (n == 1) all = tn_build_insert_axis(h->b, all, (uint32_t)last - 1);
  all = tn_build_broadcast_to(h->b, all, dims, (uint32_t)last + 1);
  tn_value *wide = tn_build_broadcast_to(h->b, tn_build_insert_axis(h->b, x, (uint32_t)last), dims,
                                         (uint32_t)last + 1);
  tn_value *passed = tn_build_cast(h->b, tn_build_binary(h->b, TN_LE, all, wide), TN_F64);
  tn_value *count = tn_build_reduce(h->b, "sum", passed, &last, 1, false);
  return tn_build_select(h->b, tn_build_unary(h->b, TN_IS_NAN, x), x, count);
}

/* --- Categories --- */

/* The numbers that stand for the n places; a NaN is equal to nothing. False: a word is no number. */
static bool places_of(const tn_fitted_words *words, bool has_codes, int64_t n, double *out) {
  for (int64_t i = 0; i < n; i++) out[i] = NAN;
  for (size_t i = 0; i < words->n; i++) {
    if (has_codes) out[i] = (double)i;
    else if (!tn_serve_number(words->data[i], &out[i])) return false;
  }
  return true;
}

static tn_value *one_hot(const chain *h, uint32_t k, tn_value *x) {
  tn_fitted_words words = h->field->words;
  int64_t n = h->field->links[k].integers[0];
  bool has_codes = k == h->field->first && h->field->has_codes;
  double *places = TN_NEW_N(h->s->arena, double, (size_t)n);
  if (k != h->field->first && !tn_fitted_words_of(h->s, h->field->field->name, k, &words)) return NULL;
  if (!words.data || (int64_t)words.n > n) {
    tn_error(h->s->ctx, h->field->field->loc, TN_E_WEIGHTS, "the categories of field '%s' are not in '%s'",
             h->field->field->name, tn_store_path(h->s->store));
    return NULL;
  }
  if (!places_of(&words, has_codes, n, places)) return refuse(h, "a category that is no number"), NULL;
  if (x->type->ndim != 1) return refuse(h, "one_hot of several values"), NULL;
  const tn_dim *dims[] = {x->type->dims[0], tn_dim_const(h->s->ctx, n)};
  const tn_type *type = tn_type_tensor(h->s->ctx, TN_F64, 1, &dims[1]);
  tn_const *table = tn_const_data(h->s->module, tn_namef(h->s->ctx, "%s.categories", h->field->field->name), type,
                                  tn_arena_copy(h->s->module->arena, places, (size_t)n * sizeof(double)));
  tn_value *all = tn_build_broadcast_to(h->b, tn_build_const(h->b, table), dims, 2);
  tn_value *wide = tn_build_broadcast_to(h->b, tn_build_insert_axis(h->b, x, 1), dims, 2);
  return tn_build_cast(h->b, tn_build_binary(h->b, TN_EQ, wide, all), TN_F64);
}

/* --- Pictures --- */

static tn_value *pad(const chain *h, int64_t by, tn_value *x) {
  const tn_dim *lo[TN_MAX_NDIM];
  uint32_t n = x->type->ndim;
  for (uint32_t i = 0; i < n; i++) lo[i] = tn_dim_const(h->s->ctx, i + 2 >= n ? by : 0);
  return tn_build_pad(h->b, x, tn_build_splat_f(h->b, TN_F64, 0), lo, lo);
}

/* The middle. */
static tn_value *crop(const chain *h, const int64_t size[2], tn_value *x) {
  tn_ctx *ctx = h->s->ctx;
  for (uint32_t i = 0; i < 2 && x; i++) {
    uint32_t axis = x->type->ndim - 2 + i;
    const tn_dim *part = tn_dim_const(ctx, size[i]);
    const tn_dim *rest = tn_dim_sub(ctx, x->type->dims[axis], part);
    x = tn_build_slice_axis(h->b, x, axis, tn_dim_floordiv(ctx, rest, tn_dim_const(ctx, 2)), part, 1);
  }
  return x;
}

/* --- The chain --- */

static tn_value *arithmetic(const chain *h, const tnrt_link *link, tn_value *x) {
  double y = link->numbers[0];
  switch (link->kind) {
    case TNRT_LINK_ADD: return tn_build_binary_f(h->b, TN_ADD, x, y);
    case TNRT_LINK_SUB: return tn_build_binary_f(h->b, TN_SUB, x, y);
    case TNRT_LINK_RSUB: return tn_build_binary(h->b, TN_SUB, tn_build_fill_like(h->b, x, y), x);
    case TNRT_LINK_MUL: return tn_build_binary_f(h->b, TN_MUL, x, y);
    case TNRT_LINK_DIV: return tn_build_binary_f(h->b, TN_DIV, x, y);
    case TNRT_LINK_RDIV: return tn_build_binary(h->b, TN_DIV, tn_build_fill_like(h->b, x, y), x);
    case TNRT_LINK_LOG: return tn_build_unary(h->b, TN_LOG, x);
    case TNRT_LINK_LOG1P: return tn_build_unary(h->b, TN_LOG1P, x);
    case TNRT_LINK_SQRT: return tn_build_unary(h->b, TN_SQRT, x);
    default: return tn_build_unary(h->b, TN_ABS, x);
  }
}

static tn_value *apply(const chain *h, uint32_t k, tn_value *x) {
  const tnrt_link *link = &h->field->links[k];
  switch (link->kind) {
    case TNRT_LINK_MINMAX: return minmax(h, k, x);
    case TNRT_LINK_CLIP_OUTLIERS: return clip(h, k, x);
    case TNRT_LINK_STANDARDIZE: return standardize(h, k, x);
    case TNRT_LINK_CLAMP: return clamp(h, link, x);
    case TNRT_LINK_IMPUTE: return impute(h, k, x);
    case TNRT_LINK_BINS: return bins(h, k, x);
    case TNRT_LINK_ONE_HOT: return one_hot(h, k, x);
    case TNRT_LINK_PAD: return pad(h, link->integers[0], x);
    case TNRT_LINK_RANDOM_CROP: return crop(h, link->integers, x);
    case TNRT_LINK_NOISE: refuse(h, "noise that is not for training alone (on: train)"); return NULL;
    default: return link->kind <= TNRT_LINK_WINDOW ? (refuse(h, "texts behind numbers"), NULL) : arithmetic(h, link, x);
  }
}

/* Of some columns what link k makes, the others as they are. */
static tn_value *apply_part(const chain *h, uint32_t k, tn_value *x) {
  tn_ctx *ctx = h->s->ctx;
  const tnrt_link *link = &h->field->links[k];
  int64_t ends[] = {0, link->first, link->first + link->n, 0};
  tn_value *parts[3];
  uint32_t n = 0;
  if (x->type->ndim != 2 || !tn_dim_is_const(x->type->dims[1]) || tn_dim_value(x->type->dims[1]) < ends[2])
    return refuse(h, "functions of parts that have not one number each"), NULL;
  ends[3] = tn_dim_value(x->type->dims[1]);
  for (int i = 0; i < 3; i++) {
    if (ends[i] == ends[i + 1]) continue;
    tn_value *part = tn_build_slice_axis(h->b, x, 1, tn_dim_const(ctx, ends[i]),
                                         tn_dim_const(ctx, ends[i + 1] - ends[i]), 1);
    parts[n] = i == 1 && part ? apply(h, k, part) : part;
    if (!parts[n++]) return NULL;
  }
  return n == 1 ? parts[0] : tn_build_concat(h->b, parts, n, 1);
}

tn_value *tn_serve_chain(tn_sema *s, tn_build *b, const tn_serve_field *field, tn_value *raw, tn_dtype dtype) {
  chain h = {s, b, field};
  tn_value *x = tn_build_cast(b, raw, TN_F64);
  for (uint32_t k = field->first; k < field->n_links && x; k++)
    if (tn_serve_acts(&field->links[k])) x = (field->links[k].n ? apply_part : apply)(&h, k, x);
  return x ? tn_build_cast(b, x, dtype) : NULL;
}
