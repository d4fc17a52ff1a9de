/* Sizes that are found while running: the program computes what the graph does, where they are read by the entry, in a
 * branch and in an iteration; a value out of its range is refused; and bounds of dims are bounds. */
#include <stdio.h>

#include "ir/eval_program.h"
#include "tests/unit/pass_fixture.h"

#define MAX_TENSORS 4

/* y = s[0] rows of x, twice; the second size only in a guard. */
static const char rows[] =
    "tnir 1\nsym N in [1, 50]\nsym ?0 in [0, 1000] read\nsym ?1 in [0, inf] read\n"
    "func @run entry (%x: f32[N] \"x\", %s: i32[2] \"s\") -> (f32[?0,N] \"y\", i64[2] \"z\") {\n"
    "  guard ?1 <= ?0 + N \"rows\"\n"
    "  %0 = dim_read %s {dims=[?0, ?1]} : i64[2]\n  %1 = broadcast %x {dims=[?0, N], map=[1]} : f32[?0,N]\n"
    "  %2 = exp %1 : f32[?0,N]\n  %3 = add %2, %1 : f32[?0,N]\n  return %3, %0\n}\n";

/* The sum of sin over as many copies of x as a branch or each iteration finds. */
static const char inner[] =
    "tnir 1\nsym N in [1, 50]\nsym ?0 in [0, 1000] read\nsym ?1 in [0, inf] read\n"
    "func @run entry (%x: f32[N] \"x\", %s: i64[2] \"s\") -> (f32[N] \"y\", f32[2] \"z\") {\n"
    "  %a = slice %s {start=[0], size=[1], step=[1]} : i64[1]\n  %b = reshape %a {dims=[]} : i64[]\n"
    "  %c = gt %b, @three : bool[]\n"
    "  %0 = if %c, %x, %b { ^(%p: f32[N], %k: i64[])\n    %r = dim_read %k {dims=[?0]} : i64[]\n"
    "    %e = broadcast %p {dims=[?0, N], map=[1]} : f32[?0,N]\n    %f = sin %e : f32[?0,N]\n"
    "    %g = transpose %f {perm=[1, 0]} : f32[N,?0]\n    %h = reduce %g {op=sum, axes=[1]} : f32[N]\n    yield %h\n"
    "  } else { ^(%p: f32[N], %k: i64[])\n    %h = neg %p : f32[N]\n    yield %h\n  } : f32[N]\n"
    "  %1 = scan %s, @half {n_carried=0, n_seq=1} { ^(%k: i64[], %v: f32[])\n    %r = dim_read %k {dims=[?1]} : i64[]\n"
    "    %e = broadcast %v {dims=[?1], map=[]} : f32[?1]\n    %i = iota {dims=[?1], axis=0, dtype=f32} : f32[?1]\n"
    "    %f = mul %e, %i : f32[?1]\n    %g = sin %f : f32[?1]\n    %m = argsort %g {axis=0} : i64[?1]\n"
    "    %n = gather %g, %m {axes=[0]} : f32[?1]\n    %h = reduce %n {op=sum, axes=[0]} : f32[]\n"
    "    yield %h\n  } : f32[2]\n  return %0, %1\n}\n";

static const char consts[] = "const @three : i64[] = splat 3\nconst @half : f32[] = splat 0.5\n";

/* The model with the constants that all of them may use. */
static void begin_with_consts(fixture *f, const char *text) {
  const char *body = strstr(text, "func");
  char whole[4096];
  int n = snprintf(whole, sizeof whole, "%.*s%s%s", (int)(body - text), text, consts, body);
  assert_in_range(n, 1, sizeof whole - 1);
  begin(f, whole, (size_t)n);
}

/* Runs on x = 0.25, 0.5, ... and s; the graph and the program refuse the same. */
static void check_model(const char *text, int64_t n, int64_t a, int64_t b, bool is_right) {
  fixture f;
  begin_with_consts(&f, text);
  tn_arena *arena = f.ctx->arena;
  run_passes(&f);
  tn_tensor *x = tn_tensor_create(arena, TN_F32, 1, &n), *expected[MAX_TENSORS], *found[MAX_TENSORS];
  tn_tensor *s = tn_tensor_create(arena, f.context.entry->body->params.data[1]->type->dtype, 1, (int64_t[]){2});
  for (int64_t i = 0; i < n; i++) x->data[i].f = 0.25 * (double)(i + 1);
  s->data[0].i = a;
  s->data[1].i = b;
  const tn_tensor *inputs[2] = {x, s};
  assert_int_equal(tn_eval_func(f.ctx, arena, f.context.entry, TN_EVAL_WIDE, inputs, 2, expected), is_right);
  assert_int_equal(tn_eval_program(f.ctx, arena, f.context.program, true, inputs, found), is_right);
  for (size_t i = 0; is_right && i < f.context.entry->result_names.n; i++) {
    assert_int_equal(expected[i]->count, found[i]->count);
    assert_memory_equal(expected[i]->extents, found[i]->extents, expected[i]->ndim * sizeof(int64_t));
    for (int64_t k = 0; k < expected[i]->count; k++)
      assert_true(expected[i]->dtype == TN_I64 ? expected[i]->data[k].i == found[i]->data[k].i
                                               : expected[i]->data[k].f - found[i]->data[k].f < 1e-9 &&
                                                     found[i]->data[k].f - expected[i]->data[k].f < 1e-9);
  }
  end(&f);
}

static void test_programs_compute_what_the_graph_does(void **state) {
  (void)state;
  check_model(rows, 3, 4, 7, true);
  check_model(rows, 1, 0, 1, true);
  check_model(inner, 3, 2, 9, true); /* the branch that reads nothing */
  check_model(inner, 3, 5, 0, true);
  check_model(inner, 2, 31, 64, true);
}

static void test_ranges_and_guards_are_checked(void **state) {
  (void)state;
  check_model(rows, 3, 4, 8, false); /* the guard */
  check_model(rows, 3, 1001, 1, false);
  check_model(rows, 3, -1, 1, false);
  check_model(inner, 3, 2, -1, false); /* an iteration's */
  check_model(inner, 3, 1001, 1, false);
}

static bool bind(const void *user, const tn_symbol *symbol, int64_t *out) {
  *out = ((const int64_t *)user)[symbol->kind == TN_SYM_READ];
  return true;
}

/* 100 - n, 3 n + N, n N, min(n, N), n / 7, max(n, 2) n for n in [0, 10]. */
static void test_bounds_are_bounds(void **state) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  const tn_dim *known = tn_dim_symbol(ctx, tn_symbol_create(ctx, TN_SYM_INPUT, "N", NULL, 0, TN_DIM_INF));
  const tn_dim *n = tn_dim_symbol(ctx, tn_symbol_create(ctx, TN_SYM_READ, "?0", NULL, 0, 10));
  const tn_dim *any = tn_dim_symbol(ctx, tn_symbol_create(ctx, TN_SYM_READ, "?1", NULL, 0, TN_DIM_INF));
  const tn_dim *dims[] = {tn_dim_sub(ctx, tn_dim_const(ctx, 100), n),
                          tn_dim_add(ctx, tn_dim_mul_i(ctx, n, 3), known),
                          tn_dim_mul(ctx, n, known),
                          tn_dim_min(ctx, n, known),
                          tn_dim_floordiv(ctx, n, tn_dim_const(ctx, 7)),
                          tn_dim_mul(ctx, n, tn_dim_max(ctx, n, tn_dim_const(ctx, 2)))};
  (void)state;
  for (size_t i = 0; i < TN_ARRAY_LEN(dims); i++) {
    const tn_dim *bound = tn_dim_bound(ctx, dims[i]);
    assert_true(bound && !tn_dim_is_late(bound) && tn_dim_proves_le(ctx, dims[i], bound));
    for (int64_t value = 0; value <= 10; value++) {
      int64_t p, q, values[2] = {4, value};
      assert_true(tn_dim_evaluate(dims[i], bind, values, &p) && tn_dim_evaluate(bound, bind, values, &q) && p <= q);
    }
  }
  assert_ptr_equal(tn_dim_bound(ctx, known), known);
  assert_null(tn_dim_bound(ctx, any));
  assert_ptr_equal(tn_dim_bound(ctx, tn_dim_min(ctx, any, known)), known);
  /* the extent of a slice whose ends are data: max(0, -max(0, min(any, known)) + max(0, min(any, known))) */
  const tn_symbol *signed_symbol = tn_symbol_create(ctx, TN_SYM_READ, "?2", NULL, -1000, TN_DIM_INF);
  const tn_dim *zero = tn_dim_const(ctx, 0), *last = tn_dim_min(ctx, tn_dim_symbol(ctx, signed_symbol), known);
  const tn_dim *start = tn_dim_max(ctx, zero, tn_dim_min(ctx, any, known)), *end = tn_dim_max(ctx, zero, last);
  assert_ptr_equal(tn_dim_bound(ctx, end), known);
  assert_ptr_equal(tn_dim_bound(ctx, tn_dim_sub(ctx, end, start)), known);
  assert_ptr_equal(tn_dim_bound(ctx, tn_dim_max(ctx, zero, tn_dim_sub(ctx, end, start))), known);
  tn_ctx_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_programs_compute_what_the_graph_does),
      cmocka_unit_test(test_ranges_and_guards_are_checked),
      cmocka_unit_test(test_bounds_are_bounds),
  };
  return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
