/* Elementary functions of compiled code: the largest error over the whole range of f32, in units in the last place,
 * against the C library in double; and the special cases of C Annex F. */
#include "tests/unit/tile_fixture.h"

#include <math.h>

#define STEP 2311 /* every so many of the 2^32 patterns */

typedef struct row {
  tn_scalar scalar;
  double (*reference)(double);
  double limit; /* ir/IR.md section 7 */
} row;

static double rsqrt_of(double x) { return 1 / sqrt(x); }

static const row rows[] = {
    {TN_RSQRT, rsqrt_of, 2}, {TN_EXP, exp, 2},     {TN_EXPM1, expm1, 2}, {TN_LOG, log, 2},     {TN_LOG1P, log1p, 2},
    {TN_SIN, sin, 2},        {TN_COS, cos, 2},     {TN_TAN, tan, 2},     {TN_ASIN, asin, 5},   {TN_ACOS, acos, 5},
    {TN_ATAN, atan, 5},      {TN_SINH, sinh, 5},   {TN_COSH, cosh, 5},   {TN_TANH, tanh, 5},   {TN_ASINH, asinh, 5},
    {TN_ACOSH, acosh, 5},    {TN_ATANH, atanh, 5}, {TN_ERF, erf, 5},
};

static double ulps(float got, double want) {
  if (isnan(got) || isnan(want)) return isnan(got) && isnan(want) ? 0 : INFINITY;
  if (got == (float)want) return want == 0 && !signbit(got) != !signbit(want) ? INFINITY : 0;
  if (isinf(got) || isinf((float)want)) return INFINITY;
  int exponent = want == 0 ? -149 : ilogb(want) - 23;
  return fabs(got - want) / ldexp(1, exponent < -149 ? -149 : exponent);
}

static float float_of(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof(f));
  return f;
}

/* The worst of one call's elements. */
static double worst_of(const test_case *c, const row *r, float *x, float *out_at) {
  static float y[N];
  double worst = -1;
  assert_int_equal(call_case(c, (void *[]){x}, y), 0);
  for (size_t i = 0; i < N; i++) {
    double error = ulps(y[i], r->reference(x[i]));
    if (error <= worst) continue;
    worst = error;
    *out_at = x[i];
  }
  return worst;
}

static bool check_range(const test_case *c, const row *r) {
  static float x[N];
  double worst = -1;
  float at = 0, here = 0;
  size_t n = 0;
  for (uint64_t bits = 0; bits <= UINT32_MAX; bits += STEP) {
    x[n++] = float_of((uint32_t)bits);
    if (n < N) continue;
    n = 0;
    double error = worst_of(c, r, x, &here);
    if (error > worst) worst = error, at = here;
  }
  print_message("%-6s %.2f ulp at %a\n", tn_op_of_scalar(r->scalar)->name, worst, at);
  return worst <= r->limit;
}

static void check_target(const char *cpu) {
  fixture f = open_fixture(cpu);
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++) add_case(&f, rows[i].scalar, TN_F32, TN_F32, 16);
  link_and_load(&f);
  size_t n_wrong = 0;
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++) n_wrong += !check_range(&f.cases[i], &rows[i]);
  assert_int_equal(n_wrong, 0);
  close_fixture(&f);
}

static void test_host(void **state) {
  (void)state;
  check_target("native");
}

static void test_without_fma(void **state) {
  (void)state;
  check_target("x86-64-v2");
}

/* All pairs of these, which hold every row of Annex F.10.4.5, then random ones. */
static void test_pow(void **state) {
  (void)state;
  static const float special[] = {0.0f, -0.0f, 1, -1, 2, -2, 3, -3, 0.5f, -0.5f, 1.5f, -1.5f, INFINITY, -INFINITY, NAN,
                                  0x1p24f, 0x1.000002p24f, -0x1p23f - 1, 1e-45f, -1e-45f, 3e38f, -3e38f, 1e-20f, 88.7f};
  static float x[N], y[N], z[N];
  fixture f = open_fixture("native");
  add_case(&f, TN_POW, TN_F32, TN_F32, 16);
  link_and_load(&f);
  uint32_t random = 1, n_special = TN_ARRAY_LEN(special);
  double worst = -1;
  for (uint32_t round = 0; round < 2000; round++) {
    for (uint32_t i = 0; i < N; i++) {
      random = random * 1664525u + 1013904223u;
      uint32_t pair = round * N + i;
      bool is_special = pair < n_special * n_special;
      x[i] = is_special ? special[pair / n_special] : float_of((random >> 1) ^ (round << 31));
      random = random * 1664525u + 1013904223u;
      y[i] = is_special ? special[pair % n_special] : (float)((int32_t)random / 0x1p26) * (round % 3 ? 1.0f : 0.01f);
    }
    assert_int_equal(call_case(&f.cases[0], (void *[]){x, y}, z), 0);
    for (uint32_t i = 0; i < N; i++) {
      double error = ulps(z[i], pow(x[i], y[i]));
      if (error > 5) print_error("pow(%a, %a) gives %a, expected %a\n", x[i], y[i], z[i], pow(x[i], y[i]));
      worst = error > worst ? error : worst;
    }
  }
  print_message("pow    %.2f ulp\n", worst);
  assert_true(worst <= 5);
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_host), cmocka_unit_test(test_without_fma),
                                     cmocka_unit_test(test_pow)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
