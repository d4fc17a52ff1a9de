/* Initial elements of weights, for the compiler (--init) and for training programs, which make them when they run.
 *
 * Element i of the weight called PATH is a function of (seed, PATH, i) alone. Philox4x32-10 (Salmon et al., Parallel
 * random numbers: as easy as 1, 2, 3, 2011) with the 64-bit key  mix(seed ^ mix(FNV-1a of PATH)),  mix being the
 * finaliser of splitmix64, and the counter (i / 4 low, i / 4 high, 0, 0) gives four words; word i % 4 is u. Then
 * p = (u + 0.5) / 2^32, and
 *
 *   const               a
 *   uniform             a + (b - a) p
 *   normal              b + a Q(p), Q the quantile of the standard normal distribution (Wichura, AS 241)
 *   trunc_normal        a Q(P(-2) + (P(2) - P(-2)) p): a normal cut at two standard deviations
 *   orthogonal          the matrix [all dims but the last, the last] of normals, its rows (its columns where there are
 *                       more rows) made orthonormal in order, by modified Gram-Schmidt, twice
 *
 * in double, to be rounded once to the weight's type. Logarithms are computed here with plain arithmetic, so that the
 * bytes are the same everywhere. C99. */
#ifndef TNRT_INITIAL_H
#define TNRT_INITIAL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tnrt_initial_kind {
  TNRT_INITIAL_CONST, TNRT_INITIAL_UNIFORM, TNRT_INITIAL_NORMAL, TNRT_INITIAL_TRUNC_NORMAL, TNRT_INITIAL_ORTHOGONAL
} tnrt_initial_kind;

/* The elements of one weight in row-major order, one a call of tnrt_initial_next. */
typedef struct tnrt_initial {
  uint32_t kind; /* tnrt_initial_kind */
  double a, b;
  uint64_t key, next;
  uint32_t words[4];
} tnrt_initial;

static inline uint64_t tnrt_initial_mix(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static inline tnrt_initial tnrt_initial_start(uint32_t kind, double a, double b, uint64_t seed, const char *path) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  tnrt_initial r = {kind, a, b, 0, 0, {0, 0, 0, 0}};
  for (; *path; path++) hash = (hash ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
  r.key = tnrt_initial_mix(seed ^ tnrt_initial_mix(hash));
  return r;
}

/* Philox of the counter (counter, 0). */
static inline void tnrt_initial_philox(uint64_t key, uint64_t counter, uint32_t c[4]) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  c[0] = (uint32_t)counter;
  c[1] = (uint32_t)(counter >> 32);
  c[2] = c[3] = 0;
  for (int round = 0; round < 10; round++) {
    uint64_t p = (uint64_t)0xd2511f53u * c[0], q = (uint64_t)0xcd9e8d57u * c[2];
    c[0] = (uint32_t)(q >> 32) ^ c[1] ^ k0;
    c[1] = (uint32_t)q;
    c[2] = (uint32_t)(p >> 32) ^ c[3] ^ k1;
    c[3] = (uint32_t)p;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
}

/* Natural logarithm of a normal positive number: m 2^e with m near 1, then 2 atanh((m - 1) / (m + 1)) as a series. */
static inline double tnrt_initial_log(double x) {
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

static inline double tnrt_initial_ratio(const double *a, const double *b, double r) {
  double p = a[7], q = b[7];
  for (int i = 6; i >= 0; i--) {
    p = p * r + a[i];
    q = q * r + b[i];
  }
  return p / q;
}

/* Quantile of the standard normal distribution, 0 < p < 1: the rational approximations PPND16 of AS 241. */
static inline double tnrt_initial_quantile(double p) {
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
  if (fabs(q) <= 0.425) return q * tnrt_initial_ratio(a, b, 0.180625 - q * q);
  double r = sqrt(-tnrt_initial_log(q < 0 ? p : 1 - p));
  double z = r <= 5 ? tnrt_initial_ratio(c, d, r - 1.6) : tnrt_initial_ratio(e, f, r - 5);
  return q < 0 ? -z : z;
}

/* n vectors of `length` doubles, element k of vector i at m[i * vector + k * along]: made orthonormal in order. */
static inline void tnrt_initial_orthonormalise(double *m, size_t n, size_t length, size_t vector,
                                               size_t along) {
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

/* Of ORTHOGONAL: the normals that tnrt_initial_next gave, made orthonormal in place. columns: the last dim (1 of a
 * scalar). */
static inline void tnrt_initial_orthogonalise(double *m, size_t count, size_t columns) {
  size_t rows = columns ? count / columns : 0;
  if (rows <= columns) tnrt_initial_orthonormalise(m, rows, columns, columns, 1);
  else tnrt_initial_orthonormalise(m, columns, rows, 1, columns);
}

/* ORTHOGONAL: a normal, see tnrt_initial_orthogonalise. */
static inline double tnrt_initial_next(tnrt_initial *r) {
  static const double below_minus_two = 0.022750131948179207200; /* P(-2) */
  if (r->kind == TNRT_INITIAL_CONST) return r->a;
  if (r->next % 4 == 0) tnrt_initial_philox(r->key, r->next / 4, r->words);
  double p = ((double)r->words[r->next++ % 4] + 0.5) * (1.0 / 4294967296.0);
  switch (r->kind) {
    case TNRT_INITIAL_UNIFORM: return r->a + (r->b - r->a) * p;
    case TNRT_INITIAL_NORMAL: return r->b + r->a * tnrt_initial_quantile(p);
    case TNRT_INITIAL_TRUNC_NORMAL:
      return r->a * tnrt_initial_quantile(below_minus_two + (1 - 2 * below_minus_two) * p);
    default: return tnrt_initial_quantile(p);
  }
}

#endif
