/* Initialisers: what their expressions mean, and the elements they give.
 *
 * Element i of the weight called PATH is a function of (seed, PATH, i) alone. Philox4x32-10 (Salmon et al., Parallel
 * random numbers: as easy as 1, 2, 3, 2011) with the 64-bit key  mix(seed ^ mix(FNV-1a of PATH)),  mix being the
 * finaliser of splitmix64, and the counter (i / 4 low, i / 4 high, 0, 0) gives four words; word i % 4 is u. Then
 * p = (u + 0.5) / 2^32, and
 *
 *   uniform(lo, hi)     lo + (hi - lo) p
 *   normal(std, mean)   mean + std Q(p), Q the quantile of the standard normal distribution (Wichura, AS 241)
 *   trunc_normal(std)   std Q(P(-2) + (P(2) - P(-2)) p): a normal cut at two standard deviations
 *   xavier              uniform(-a, a), a = sqrt(6 / (fan_in + fan_out))
 *   he_normal           normal(sqrt(2 / fan_in))
 *   he_uniform          uniform(-a, a), a = sqrt(6 / fan_in)
 *   lecun               normal(sqrt(1 / fan_in))
 *   orthogonal          the matrix [all dims but the last, the last] of normals, its rows (its columns where there are
 *                       more rows) made orthonormal in order, by modified Gram-Schmidt, twice
 *
 * in double, rounded once to the weight's type. Logarithms are computed here with plain arithmetic, so that the bytes
 * are the same everywhere. */
#include <math.h>
#include <string.h>

#include "frontend/lang/sema.h"

/* --- Expressions --- */

typedef struct initialiser {
  const char *name;
  tn_init_kind kind;
  uint32_t min_args, max_args;
  const char *args[2];
  double a; /* default of the first, or the constant itself */
} initialiser;

static const initialiser table[] = {
    {"zeros", TN_INIT_CONST, 0, 0, {NULL, NULL}, 0},
    {"ones", TN_INIT_CONST, 0, 0, {NULL, NULL}, 1},
    {"const", TN_INIT_CONST, 1, 1, {"v", NULL}, 0},
    {"normal", TN_INIT_NORMAL, 1, 2, {"std", "mean"}, 0},
    {"uniform", TN_INIT_UNIFORM, 2, 2, {"lo", "hi"}, 0},
    {"trunc_normal", TN_INIT_TRUNC_NORMAL, 1, 1, {"std", NULL}, 0},
    {"xavier", TN_INIT_XAVIER, 0, 0, {NULL, NULL}, 0},
    {"he_normal", TN_INIT_HE_NORMAL, 0, 0, {NULL, NULL}, 0},
    {"he_uniform", TN_INIT_HE_UNIFORM, 0, 0, {NULL, NULL}, 0},
    {"lecun", TN_INIT_LECUN, 0, 0, {NULL, NULL}, 0},
    {"orthogonal", TN_INIT_ORTHOGONAL, 0, 0, {NULL, NULL}, 0},
};

static const initialiser *find(const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(table); i++)
    if (strcmp(table[i].name, name) == 0) return &table[i];
  return NULL;
}

bool tn_init_is_name(const char *name) { return find(name) || strcmp(name, "from") == 0; }

static bool unknown(tn_frame *f, const char *name, tn_loc loc) {
  const char *names[TN_ARRAY_LEN(table) + 1];
  for (size_t i = 0; i < TN_ARRAY_LEN(table); i++) names[i] = table[i].name;
  names[TN_ARRAY_LEN(table)] = "from";
  const char *near = tn_str_nearest(name, names, TN_ARRAY_LEN(names));
  tn_frame_error(f, loc, TN_E_LANG_NAME, "unknown initialiser '%s'", name);
  if (near) tn_help(f->sema->ctx, "did you mean '%s'?", near);
  return false;
}

/* from("file"), from("file", "tensor"): paths are relative to the source file. */
static bool from_file(tn_frame *f, const tn_ast_expr *expr, tn_init *out) {
  const tn_ast_args *args = &expr->call.args;
  const char *texts[2] = {NULL, NULL};
  for (size_t i = 0; i < args->n && i < 2; i++)
    if (args->data[i].value->kind == TN_AST_STRING && !args->data[i].name.text)
      texts[i] = args->data[i].value->string.text;
  if (args->n < 1 || args->n > 2 || !texts[0] || (args->n == 2 && !texts[1]))
    return tn_frame_error(f, expr->loc, TN_E_LANG_ARGUMENT,
                          "from(\"file.npy\") or from(\"file.safetensors\", \"name\")");
  const char *slash = strrchr(f->unit->path, '/');
  bool absolute = texts[0][0] == '/' || !slash;
  *out = (tn_init){.kind = TN_INIT_FROM, .tensor = texts[1], .loc = expr->loc};
  out->path = absolute ? texts[0]
                       : tn_namef(f->sema->ctx, "%.*s/%s", (int)(slash - f->unit->path), f->unit->path, texts[0]);
  out->path = tn_name(f->sema->ctx, out->path);
  return true;
}

static bool number_of(tn_frame *f, const tn_ast_expr *expr, double *out) {
  const tn_datum *d = tn_eval_expr(f, expr);
  int64_t i;
  if (!d) return false;
  if (d->kind == TN_DATUM_FLOAT) return *out = d->number, true;
  if (d->kind == TN_DATUM_INT && tn_datum_static_int(f->sema, d, "an argument of an initialiser", &i))
    return *out = (double)i, true;
  return tn_frame_error(f, expr->loc, TN_E_LANG_KIND, "an initialiser takes numbers, found %s",
                       tn_datum_describe(f->sema, d));
}

static bool call_args(tn_frame *f, const initialiser *row, const tn_ast_expr *expr, tn_init *out) {
  const tn_ast_args *args = &expr->call.args;
  double values[2] = {row->a, 0};
  bool given[2] = {false, false};
  for (size_t i = 0; i < args->n; i++) {
    const tn_ast_arg *arg = &args->data[i];
    uint32_t at = (uint32_t)i;
    if (arg->name.text)
      for (at = 0; at < row->max_args && strcmp(row->args[at], arg->name.text) != 0;) at++;
    if (at >= row->max_args || given[at])
      return tn_frame_error(f, arg->loc, TN_E_LANG_ARGUMENT, "%s takes %u arguments", row->name, row->max_args);
    given[at] = true;
    if (!number_of(f, arg->value, &values[at])) return false;
  }
  for (uint32_t i = 0; i < row->min_args; i++)
    if (!given[i])
      return tn_frame_error(f, expr->loc, TN_E_LANG_ARGUMENT, "%s: '%s' is missing", row->name, row->args[i]);
  out->a = values[0];
  out->b = values[1];
  return true;
}

bool tn_init_of_datum(tn_sema *s, const tn_datum *datum, tn_init *out) {
  int64_t i;
  *out = (tn_init){.kind = TN_INIT_CONST, .loc = datum->loc};
  if (datum->kind == TN_DATUM_INIT) return *out = datum->init, true;
  if (datum->kind == TN_DATUM_FLOAT) return out->a = datum->number, true;
  if (datum->kind == TN_DATUM_INT && tn_datum_static_int(s, datum, "an initialiser", &i))
    return out->a = (double)i, true;
  return tn_error(s->ctx, datum->loc, TN_E_LANG_KIND, "expected an initialiser, found %s",
                  tn_datum_describe(s, datum));
}

bool tn_init_of_expr(tn_frame *f, const tn_ast_expr *expr, tn_init *out) {
  bool is_call = expr->kind == TN_AST_CALL && expr->call.callee->kind == TN_AST_NAME;
  const char *name = expr->kind == TN_AST_NAME ? expr->name : is_call ? expr->call.callee->name : NULL;
  const initialiser *row = name ? find(name) : NULL;
  bool known = name && !is_call && (tn_frame_find(f, name) || tn_unit_find(f->unit, name));
  if (name && is_call && strcmp(name, "from") == 0) return from_file(f, expr, out);
  if (row && !known) {
    *out = (tn_init){.kind = row->kind, .a = row->a, .loc = expr->loc};
    if (is_call) return call_args(f, row, expr, out);
    if (row->min_args)
      return tn_frame_error(f, expr->loc, TN_E_LANG_ARGUMENT, "%s: '%s' is missing", row->name, row->args[0]);
    return true;
  }
  if (name && !known && (!is_call || !tn_frame_find(f, name)) && expr->kind == TN_AST_NAME)
    return unknown(f, name, expr->loc);
  const tn_datum *d = tn_eval_expr(f, expr);
  return d && tn_init_of_datum(f->sema, d, out);
}

/* --- Random numbers --- */

static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

void tn_philox(uint64_t key, uint64_t counter, uint32_t out[4]) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0};
  for (int round = 0; round < 10; round++) {
    uint64_t p = (uint64_t)0xd2511f53u * c[0], q = (uint64_t)0xcd9e8d57u * c[2];
    uint32_t n[4] = {(uint32_t)(q >> 32) ^ c[1] ^ k0, (uint32_t)q, (uint32_t)(p >> 32) ^ c[3] ^ k1, (uint32_t)p};
    memcpy(c, n, sizeof(n));
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  memcpy(out, c, sizeof(c));
}

/* Natural logarithm of a normal positive number: m 2^e with m near 1, then 2 atanh((m - 1) / (m + 1)) as a series. */
static double logarithm(double x) {
  int e;
  double m = frexp(x, &e);
  if (m < 0.70710678118654752440) {
    m *= 2;
    e--;
  }
  double t = (m - 1) / (m + 1), square = t * t, sum = 0;
  for (int k = 25; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return 2 * t * sum + e * 0.69314718055994530942;
}

static double ratio(const double *a, const double *b, double r) {
  double p = a[7], q = b[7];
  for (int i = 6; i >= 0; i--) {
    p = p * r + a[i];
    q = q * r + b[i];
  }
  return p / q;
}

/* Quantile of the standard normal distribution, 0 < p < 1: the rational approximations PPND16 of AS 241. */
static double quantile(double p) {
  static const double a[] = {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
                             1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                             3.3430575583588128105e+4, 2.5090809287301226727e+3};
  static const double b[] = {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
                             2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
                             5.2264952788528545610e+3};
  static const double c[] = {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
                             3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
                             2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static const double d[] = {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
                             1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                             1.05075007164441684324e-9};
  static const double e[] = {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
                             2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                             2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static const double f[] = {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
                             7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
                             2.04426310338993978564e-15};
  double q = p - 0.5;
  if (fabs(q) <= 0.425) return q * ratio(a, b, 0.180625 - q * q);
  double r = sqrt(-logarithm(q < 0 ? p : 1 - p));
  double z = r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
  return q < 0 ? -z : z;
}

static double element(const tn_init *init, double p) {
  static const double below_minus_two = 0.022750131948179207200; /* P(-2) */
  switch (init->kind) {
    case TN_INIT_UNIFORM: return init->a + (init->b - init->a) * p;
    case TN_INIT_NORMAL: return init->b + init->a * quantile(p);
    default: return init->a * quantile(below_minus_two + (1 - 2 * below_minus_two) * p); /* TRUNC_NORMAL */
  }
}

/* The same in terms of uniform and normal. */
static tn_init resolve(const tn_init *init, double fan_in, double fan_out) {
  tn_init r = *init;
  double bound = sqrt(6 / (init->kind == TN_INIT_XAVIER ? fan_in + fan_out : fan_in));
  switch (init->kind) {
    case TN_INIT_XAVIER:
    case TN_INIT_HE_UNIFORM: r.kind = TN_INIT_UNIFORM, r.a = -bound, r.b = bound; break;
    case TN_INIT_HE_NORMAL: r.kind = TN_INIT_NORMAL, r.a = sqrt(2 / fan_in), r.b = 0; break;
    case TN_INIT_LECUN: r.kind = TN_INIT_NORMAL, r.a = sqrt(1 / fan_in), r.b = 0; break;
    case TN_INIT_ORTHOGONAL: r.kind = TN_INIT_NORMAL, r.a = 1, r.b = 0; break;
    default: break;
  }
  return r;
}

/* n vectors of `length` doubles, element k of vector i at m[i * vector + k * along]: made orthonormal in order. */
static void orthonormalise(double *m, size_t n, size_t length, size_t vector, size_t along) {
  for (size_t i = 0; i < n; i++) {
    double *v = m + i * vector, norm = 0;
    for (size_t pass = 0; pass < 2; pass++) /* the second pass removes what rounding left of the first */
      for (size_t j = 0; j < i; j++) {
        const double *u = m + j * vector;
        double product = 0;
        for (size_t k = 0; k < length; k++) product += u[k * along] * v[k * along];
        for (size_t k = 0; k < length; k++) v[k * along] -= product * u[k * along];
      }
    for (size_t k = 0; k < length; k++) norm += v[k * along] * v[k * along];
    norm = sqrt(norm);
    for (size_t k = 0; k < length && norm > 0; k++) v[k * along] /= norm;
  }
}

static void make_orthogonal(double *m, size_t count, const tn_type *type) {
  size_t columns = type->ndim ? (size_t)tn_dim_value(type->dims[type->ndim - 1]) : 1;
  size_t rows = columns ? count / columns : 0;
  if (rows <= columns) orthonormalise(m, rows, columns, columns, 1);
  else orthonormalise(m, columns, rows, 1, columns);
}

const void *tn_init_fill(tn_sema *s, const tn_init *init, const tn_type *type, const char *path, double fan_in,
                         double fan_out) {
  tn_init plain = resolve(init, fan_in, fan_out);
  uint64_t key = mix(s->options->seed ^ mix(tn_hash_bytes(0, path, strlen(path))));
  size_t n = (size_t)tn_type_static_count(type), element_bytes = tn_dtype_bytes(type->dtype);
  char *out = tn_arena_alloc_n(s->module->arena, n, element_bytes);
  tn_arena *scratch = tn_arena_create_scratch(s->ctx->arena);
  double *wide = init->kind == TN_INIT_ORTHOGONAL ? TN_NEW_N(scratch, double, n) : NULL;
  uint32_t words[4] = {0};
  for (size_t i = 0; i < n; i++) {
    if (i % 4 == 0) tn_philox(key, i / 4, words);
    double value = element(&plain, ((double)words[i % 4] + 0.5) * 0x1p-32);
    if (wide) wide[i] = value;
    else tn_number_store(type->dtype, tn_number_cast(TN_F64, type->dtype, (tn_number){.f = value}),
                         out + i * element_bytes);
  }
  if (wide) make_orthogonal(wide, n, type);
  for (size_t i = 0; i < n && wide; i++)
    tn_number_store(type->dtype, tn_number_cast(TN_F64, type->dtype, (tn_number){.f = wide[i]}),
                    out + i * element_bytes);
  tn_arena_destroy(scratch);
  return out;
}
