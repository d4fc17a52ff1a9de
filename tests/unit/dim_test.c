/* Dims: random expressions built through the API agree with naive evaluation, and the simplifications that kernels rely
 * on happen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ir/dim.h"

#define N_SYMBOLS 4
#define N_ROUNDS 4000

typedef struct fixture {
  tn_ctx *ctx;
  const tn_symbol *symbols[N_SYMBOLS];
  int64_t values[N_SYMBOLS];
  uint64_t seed;
} fixture;

static uint64_t draw(fixture *f, uint64_t below) {
  f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
  return (f->seed >> 33) % below;
}

static bool bind(const void *user, const tn_symbol *symbol, int64_t *out) {
  const fixture *f = user;
  for (int i = 0; i < N_SYMBOLS; i++)
    if (f->symbols[i] == symbol) {
      *out = f->values[i];
      return true;
    }
  return false;
}

static const tn_dim *combine(fixture *f, const tn_dim *p, int64_t a, const tn_dim *q, int64_t b, int64_t *out) {
  switch (draw(f, 8)) {
    case 0: *out = a - b; return tn_dim_sub(f->ctx, p, q);
    case 1: *out = a * b; return tn_dim_mul(f->ctx, p, q);
    case 2: *out = b > 0 ? tn_floordiv_i64(a, b) : a; return b > 0 ? tn_dim_floordiv(f->ctx, p, q) : p;
    case 3: *out = b > 0 ? tn_mod_i64(a, b) : a; return b > 0 ? tn_dim_mod(f->ctx, p, q) : p;
    case 4: *out = a < b ? a : b; return tn_dim_min(f->ctx, p, q);
    case 5: *out = a > b ? a : b; return tn_dim_max(f->ctx, p, q);
    default: *out = a + b; return tn_dim_add(f->ctx, p, q);
  }
}

static const tn_dim *random_dim(fixture *f, int depth, int64_t *out) {
  if (depth == 0 || draw(f, 4) == 0) {
    if (draw(f, 3) == 0) {
      *out = (int64_t)draw(f, 9) - 2;
      return tn_dim_const(f->ctx, *out);
    }
    uint64_t i = draw(f, N_SYMBOLS);
    *out = f->values[i];
    return tn_dim_symbol(f->ctx, f->symbols[i]);
  }
  int64_t a, b;
  const tn_dim *p = random_dim(f, depth - 1, &a), *q = random_dim(f, depth - 1, &b);
  return combine(f, p, a, q, b, out);
}

static int setup(void **state) {
  static fixture f;
  f = (fixture){.ctx = tn_ctx_create((tn_oom){0}), .seed = 7};
  const char *names[N_SYMBOLS] = {"A", "B", "C", "D"};
  for (int i = 0; i < N_SYMBOLS; i++)
    f.symbols[i] = tn_symbol_create(f.ctx, TN_SYM_INPUT, names[i], NULL, i < 2 ? 1 : 0, i == 3 ? 7 : TN_DIM_INF);
  *state = &f;
  return 0;
}

static int teardown(void **state) {
  tn_ctx_destroy(((fixture *)*state)->ctx);
  return 0;
}

static void draw_values(fixture *f) {
  for (int i = 0; i < N_SYMBOLS; i++) f->values[i] = f->symbols[i]->lo + (int64_t)draw(f, 7);
}

static void test_normal_form_keeps_the_value(void **state) {
  fixture *f = *state;
  for (int round = 0; round < N_ROUNDS; round++) {
    int64_t expected, found;
    draw_values(f);
    const tn_dim *p = random_dim(f, 4, &expected);
    assert_true(tn_dim_evaluate(p, bind, f, &found));
    assert_int_equal(found, expected);
    assert_true(p->lo <= found && found <= p->hi);
  }
  assert_int_equal(tn_diag_n_errors(f->ctx), 0);
}

static void test_proofs_hold(void **state) {
  fixture *f = *state;
  int n_proved = 0;
  for (int round = 0; round < N_ROUNDS; round++) {
    int64_t a, b;
    draw_values(f);
    const tn_dim *p = random_dim(f, 3, &a), *q = random_dim(f, 3, &b);
    if (tn_dim_proves_le(f->ctx, p, q)) {
      assert_true(a <= b);
      n_proved++;
    }
    tn_dim_order order = tn_dim_compare(f->ctx, p, q);
    if (order == TN_DIM_EQUAL) assert_true(a == b);
    if (order == TN_DIM_LESS) assert_true(a < b);
    if (order == TN_DIM_GREATER) assert_true(a > b);
    if (order == TN_DIM_DIFFERENT) assert_true(a != b);
  }
  assert_true(n_proved > N_ROUNDS / 10);
}

static void test_linear_part_and_substitution(void **state) {
  fixture *f = *state;
  for (int round = 0; round < N_ROUNDS; round++) {
    int64_t value, c = 0, r = 0, after;
    const tn_dim *coefficient, *rest;
    draw_values(f);
    const tn_dim *p = random_dim(f, 3, &value);
    if (tn_dim_linear(f->ctx, p, f->symbols[0], &coefficient, &rest)) {
      assert_true(tn_dim_evaluate(coefficient, bind, f, &c) && tn_dim_evaluate(rest, bind, f, &r));
      assert_int_equal(c * f->values[0] + r, value);
    }
    const tn_dim *q = tn_dim_substitute(f->ctx, p, f->symbols[0], tn_dim_const(f->ctx, f->values[0]));
    assert_true(!tn_dim_uses(q, f->symbols[0]));
    if (tn_dim_evaluate(q, bind, f, &after)) assert_int_equal(after, value);
  }
}

static void expect(fixture *f, const tn_dim *p, const char *text) {
  tn_buf out = tn_buf_create(f->ctx->arena);
  tn_dim_print(p, &out);
  assert_string_equal(out.data, text);
}

static void test_index_arithmetic_of_kernels(void **state) {
  fixture *f = *state;
  tn_ctx *ctx = f->ctx;
  const tn_dim *seven = tn_dim_const(ctx, 7), *b = tn_dim_symbol(ctx, f->symbols[1]);
  const tn_dim *i = tn_dim_symbol(ctx, tn_symbol_axis(ctx, "i", tn_dim_const(ctx, 5), 0));
  const tn_dim *j = tn_dim_symbol(ctx, tn_symbol_axis(ctx, "j", seven, 1));
  const tn_dim *k = tn_dim_symbol(ctx, tn_symbol_axis(ctx, "k", b, 2));
  const tn_dim *flat = tn_dim_add(ctx, tn_dim_mul(ctx, i, seven), j);
  assert_ptr_equal(tn_dim_floordiv(ctx, flat, seven), i);
  assert_ptr_equal(tn_dim_mod(ctx, flat, seven), j);
  const tn_dim *symbolic = tn_dim_add(ctx, tn_dim_mul(ctx, b, i), k);
  assert_ptr_equal(tn_dim_floordiv(ctx, symbolic, b), i);
  assert_ptr_equal(tn_dim_mod(ctx, symbolic, b), k);
  const tn_dim *half = tn_dim_floordiv(ctx, b, tn_dim_const(ctx, 2));
  expect(f, tn_dim_floordiv(ctx, half, tn_dim_const(ctx, 3)), "floordiv(B, 6)");
  expect(f, tn_dim_floordiv(ctx, tn_dim_add_i(ctx, tn_dim_mul_i(ctx, b, 4), 6), tn_dim_const(ctx, 4)), "B + 1");
  expect(f, tn_dim_sub(ctx, tn_dim_const(ctx, 1), tn_dim_mul_i(ctx, b, 2)), "-2*B + 1");
}

static void test_bounds_of_windows(void **state) {
  fixture *f = *state;
  tn_ctx *ctx = f->ctx;
  /* Pooling 2 by 2 without padding never leaves its input: 2*y + r <= H - 1 for y < floordiv(H - 2, 2) + 1. */
  const tn_dim *h = tn_dim_symbol(ctx, f->symbols[0]), *two = tn_dim_const(ctx, 2);
  const tn_dim *out = tn_dim_add_i(ctx, tn_dim_floordiv(ctx, tn_dim_add_i(ctx, h, -2), two), 1);
  const tn_dim *y = tn_dim_symbol(ctx, tn_symbol_axis(ctx, "y", out, 0));
  const tn_dim *r = tn_dim_symbol(ctx, tn_symbol_axis(ctx, "r", two, 1));
  const tn_dim *at = tn_dim_add(ctx, tn_dim_mul_i(ctx, y, 2), r);
  assert_true(tn_dim_proves_le(ctx, at, tn_dim_add_i(ctx, h, -1)));
  assert_true(!tn_dim_proves_le(ctx, tn_dim_add_i(ctx, at, 2), tn_dim_add_i(ctx, h, -1)));
}

static void test_exact_division(void **state) {
  fixture *f = *state;
  const tn_dim *a = tn_dim_symbol(f->ctx, f->symbols[0]), *b = tn_dim_symbol(f->ctx, f->symbols[1]), *quotient;
  const tn_dim *sum = tn_dim_add_i(f->ctx, a, 2), *product = tn_dim_mul(f->ctx, sum, b);
  assert_true(tn_dim_divide_exact(f->ctx, product, sum, &quotient));
  assert_ptr_equal(quotient, b);
  assert_true(!tn_dim_divide_exact(f->ctx, tn_dim_add_i(f->ctx, product, 1), sum, &quotient));
}

/* A comparison whose difference 64 bits do not hold is no error. */
static void test_large_contents_compare(void **state) {
  fixture *f = *state;
  const tn_dim *least = tn_dim_const(f->ctx, INT64_MIN), *most = tn_dim_const(f->ctx, INT64_MAX);
  assert_ptr_equal(tn_dim_max(f->ctx, least, most), most);
  assert_ptr_equal(tn_dim_min(f->ctx, most, least), least);
  assert_false(tn_dim_proves_le(f->ctx, tn_dim_symbol(f->ctx, f->symbols[0]), least));
  assert_int_equal(tn_diag_n_errors(f->ctx), 0);
}

/* Lengths of slices of slices: what is limited by a larger constant is no less, whatever else is in the sum. */
static void test_pairs_of_limits(void **state) {
  fixture *f = *state;
  const tn_dim *n = tn_dim_mul(f->ctx, tn_dim_symbol(f->ctx, f->symbols[0]), tn_dim_symbol(f->ctx, f->symbols[1]));
  const tn_dim *least = tn_dim_min(f->ctx, n, tn_dim_const(f->ctx, 66)), *rest, *more;
  rest = tn_dim_sub(f->ctx, tn_dim_min(f->ctx, n, tn_dim_const(f->ctx, 99)), least);
  more = tn_dim_sub(f->ctx, tn_dim_min(f->ctx, rest, tn_dim_const(f->ctx, 28)),
                    tn_dim_min(f->ctx, rest, tn_dim_const(f->ctx, 19)));
  const tn_dim *end = tn_dim_add(f->ctx, least, tn_dim_min(f->ctx, rest, tn_dim_const(f->ctx, 2)));
  assert_true(tn_dim_proves_le(f->ctx, end, tn_dim_add(f->ctx, tn_dim_add(f->ctx, n, rest), more)));
  assert_false(tn_dim_proves_le(f->ctx, tn_dim_const(f->ctx, 1), more));
  assert_int_equal(tn_diag_n_errors(f->ctx), 0);
}

static void test_overflow_is_reported(void **state) {
  fixture *f = *state;
  const tn_dim *large = tn_dim_const(f->ctx, INT64_MAX);
  tn_dim_mul(f->ctx, large, tn_dim_mul_i(f->ctx, tn_dim_symbol(f->ctx, f->symbols[0]), 2));
  assert_int_equal(tn_diag_n_errors(f->ctx), 1); /* TN0004 */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_normal_form_keeps_the_value, setup, teardown),
      cmocka_unit_test_setup_teardown(test_proofs_hold, setup, teardown),
      cmocka_unit_test_setup_teardown(test_linear_part_and_substitution, setup, teardown),
      cmocka_unit_test_setup_teardown(test_index_arithmetic_of_kernels, setup, teardown),
      cmocka_unit_test_setup_teardown(test_bounds_of_windows, setup, teardown),
      cmocka_unit_test_setup_teardown(test_exact_division, setup, teardown),
      cmocka_unit_test_setup_teardown(test_large_contents_compare, setup, teardown),
      cmocka_unit_test_setup_teardown(test_pairs_of_limits, setup, teardown),
      cmocka_unit_test_setup_teardown(test_overflow_is_reported, setup, teardown),
  };
  return cmocka_run_group_tests_name("dim", tests, NULL, NULL);
}
