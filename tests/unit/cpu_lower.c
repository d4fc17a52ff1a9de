/* Lowering of tile loops: every scalar op on every element type, in vectors and one at a time, against the reference.
 */
#include "tests/unit/tile_fixture.h"

#include <math.h>

#include "ir/eval.h"

static bool accepts(const char *class, tn_dtype dtype) {
  bool is_float = tn_dtype_is_float(dtype), is_int = tn_dtype_is_integer(dtype);
  switch (class[0]) {
    case 'F': return is_float;
    case 'I': return is_int;
    case 'N': return is_float || is_int;
    case 'B': return dtype == TN_BOOL;
    case 'L': return is_int || dtype == TN_BOOL;
    default: return dtype != TN_STR;
  }
}

static const char *class_of(tn_scalar scalar) {
  static const char *const classes[] = {
#define X(enumerator, name, arity, in, out) #in,
#include "ir/scalar.def"
#undef X
  };
  return classes[scalar];
}

static bool gives_bool(tn_scalar scalar) { return scalar >= TN_EQ && scalar <= TN_IS_FINITE; }

static bool is_math(tn_scalar scalar) { return scalar >= TN_RSQRT && scalar <= TN_POW; }

static void add_cases(fixture *f, tn_scalar scalar, tn_dtype_set dtypes) {
  for (tn_dtype dtype = 0; dtype < TN_STR; dtype++) {
    if (!(dtypes & TN_DTYPE_BIT(dtype))) continue;
    if (!accepts(class_of(scalar), dtype)) continue;
    /* Elementary functions of narrow types are those of f32. */
    if (is_math(scalar) && dtype > TN_F16) continue;
    uint32_t lanes = f->n_cases % 5 == 0 ? 1 : dtype == TN_F64 ? 8 : 16;
    if (scalar == TN_CAST)
      for (tn_dtype to = 0; to < TN_STR; to++) {
        if (dtypes & TN_DTYPE_BIT(to)) add_case(f, scalar, dtype, to, f->n_cases % 5 == 0 ? 1 : lanes);
      }
    else
      add_case(f, scalar, dtype, gives_bool(scalar) ? TN_BOOL : dtype, lanes);
  }
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static double special_float(uint64_t r) {
  static const double values[] = {0.0,    -0.0,    1,      -1,      0.5,    -0.5,         1.5,      2.5,       -2.5,
                                  3,      127,     128,    255.5,   -128.5, 448,          65504,    1e-3,      -1e-3,
                                  1e-40,  -1e-45,  3e38,   -3e38,   1e300,  5e-324,       INFINITY, -INFINITY, NAN,
                                  0x1p31, -0x1p31, 0x1p63, -0x1p63, 0x1p64, 4294967296.5, 0x1p24,   16777217.0};
  return values[r % TN_ARRAY_LEN(values)];
}

static void random_element(tn_dtype dtype, uint64_t *state, void *out) {
  uint64_t r = next_random(state), pick = next_random(state) % 4;
  tn_number v;
  if (tn_dtype_is_float(dtype)) {
    double uniform = (double)(int64_t)r / 0x1p63;
    v.f = pick == 0 ? special_float(r) : pick == 1 ? ldexp(uniform, (int)(r % 60) - 30) : 8 * uniform;
  } else {
    v.u = pick == 0 ? r % 5 - 2 : pick == 1 ? r : r >> (r % 64);
    if (pick == 3) v.u = r & 1 ? (uint64_t)tn_dtype_int_min(dtype) : tn_dtype_int_max(dtype);
    if (dtype == TN_BOOL) v.u &= 1;
    v = tn_number_cast(TN_I64, dtype, v);
  }
  tn_number_store(dtype, v, out);
}

/* How far got is from the reference, in units in the last place of dtype; 0 also for two NaN. */
static double ulps(tn_dtype dtype, double got, double wide) {
  if (isnan(got) || isnan(wide)) return isnan(got) && isnan(wide) ? 0 : INFINITY;
  double rounded = tn_number_round_float(dtype, wide);
  if (got == rounded) return 0;
  if (isinf(got) || isinf(rounded)) return INFINITY;
  int digits = dtype == TN_F64   ? 52
               : dtype == TN_F32 ? 23
                                 : 10,
      least = dtype == TN_F64   ? -1074
              : dtype == TN_F32 ? -149
                                : -24;
  int exponent = wide == 0 ? least : ilogb(wide) - digits;
  return fabs(got - wide) / ldexp(1, exponent < least ? least : exponent);
}

static double allowed_ulps(const test_case *c) {
  if (!is_math(c->scalar)) return 0;
  if (c->dtype == TN_F16) return 1;
  if (c->scalar >= TN_ASIN) return 5;
  return 2;
}

static bool same(const test_case *c, tn_number got, tn_number want, double wide) {
  if (!tn_dtype_is_float(c->to)) return got.u == want.u;
  if (isnan(want.f)) return isnan(got.f);
  bool any_zero = c->scalar == TN_MAX || c->scalar == TN_MIN;
  if (is_math(c->scalar)) return ulps(c->dtype, got.f, wide) <= allowed_ulps(c);
  return got.f == want.f && (any_zero || !signbit(got.f) == !signbit(want.f));
}

static bool check_case(fixture *f, const test_case *c, uint64_t seed) {
  static uint8_t in[3][N * 8], out[N * 8];
  uint32_t arity = tn_scalar_arity(c->scalar);
  for (uint32_t k = 0; k < arity; k++)
    for (size_t i = 0; i < N; i++)
      random_element(operand_type(c, k), &seed, in[k] + i * tn_dtype_bytes(operand_type(c, k)));
  assert_int_equal(call_case(c, (void *[]){in[0], in[1], in[2]}, out), 0);
  for (size_t i = 0; i < N; i++) {
    tn_number args[3];
    for (uint32_t k = 0; k < arity; k++)
      args[k] = tn_number_load(operand_type(c, k), in[k] + i * tn_dtype_bytes(operand_type(c, k)));
    tn_number want = tn_scalar_apply(c->scalar, c->dtype, c->to, true, args);
    tn_number wide = tn_scalar_apply(c->scalar, c->dtype, c->to, false, args);
    tn_number got = tn_number_load(c->to, out + i * tn_dtype_bytes(c->to));
    if (same(c, got, want, wide.f)) continue;
    bool is_float = tn_dtype_is_float(c->to), from_float = tn_dtype_is_float(c->dtype);
    print_error("%s %s -> %s, %u lanes, target %s: (%.9g, %.9g | %lld, %lld) gives %.9g | %lld, expected %.9g | %lld\n",
                tn_op_of_scalar(c->scalar)->name, tn_dtype_name(c->dtype), tn_dtype_name(c->to), c->lanes,
                f->target.cpu, from_float ? args[0].f : 0, from_float && arity > 1 ? args[1].f : 0,
                from_float ? 0LL : (long long)args[0].i, from_float || arity < 2 ? 0LL : (long long)args[1].i,
                is_float ? got.f : 0, is_float ? 0LL : (long long)got.i, is_float ? want.f : 0,
                is_float ? 0LL : (long long)want.i);
    return false;
  }
  return true;
}

static void run_all(const char *cpu, tn_dtype_set dtypes) {
  fixture f = open_fixture(cpu);
  for (tn_scalar scalar = 0; scalar < TN_N_SCALARS; scalar++) add_cases(&f, scalar, dtypes);
  link_and_load(&f);
  uint32_t n_wrong = 0;
  for (uint32_t i = 0; i < f.n_cases; i++) n_wrong += !check_case(&f, &f.cases[i], 0x9e3779b97f4a7c15u + i);
  assert_int_equal(n_wrong, 0);
  close_fixture(&f);
}

static void test_host(void **state) {
  (void)state;
  run_all("native", TN_SET_ANY);
}

/* Without fused products and conversions of half precision. */
static void test_baseline(void **state) {
  (void)state;
  run_all("x86-64", TN_DTYPE_BIT(TN_F32) | TN_DTYPE_BIT(TN_F16) | TN_DTYPE_BIT(TN_I64) | TN_DTYPE_BIT(TN_U8));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_host), cmocka_unit_test(test_baseline)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
