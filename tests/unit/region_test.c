/* Nodes with regions through all passes: each model is run by the reference as a graph, again after the passes over the
 * graph, and as the program it became, for several sizes; and the checker of plans finds what a planner might get wrong
 * about loops. */
#include <math.h>

#include "ir/eval_program.h"
#include "ir/verify.h"
#include "tests/unit/pass_fixture.h"

#define MAX_TENSORS 8

static const char recurrence[] =
    "tnir 1\nsym T in [0, 50]\nconst @w : f32[3,3] = dense [1, 2, 3, 4, 5, -6, -7, 8, 9]\n"
    "func @run entry (%h: f32[2,3] \"h\", %x: f32[T,2,3] \"x\", %k: f32[2,3] \"k\") -> "
    "(f32[2,3] \"hn\", f32[T,2,3] \"y\") {\n"
    "  %0, %1 = scan %h, %x, %k, @w {n_carried=1, n_seq=1, reverse=[1, 0]} "
    "{ ^(%p: f32[2,3], %s: f32[2,3], %q: f32[2,3], %w: f32[3,3])\n"
    "    %a = dot %p, %w {sum=[(1, 0)]} : f32[2,3]\n    %b = add %a, %s : f32[2,3]\n    %c = tanh %b : f32[2,3]\n"
    "    %d = mul %c, %q : f32[2,3]\n    yield %c, %d\n  } : f32[2,3], f32[T,2,3]\n  return %0, %1\n}\n";

/* Carried values that change places, one that stays, one yielded as it was and stacked, and axes that are not first. */
static const char swapping[] =
    "tnir 1\nsym T in [0, 50]\n"
    "func @run entry (%a: f32[4] \"a\", %b: f32[4] \"b\", %x: f32[4,T] \"x\") -> "
    "(f32[4] \"p\", f32[4] \"q\", f32[4] \"r\", f32[4,T] \"y\") {\n"
    "  %0, %1, %2, %3 = scan %a, %b, %b, %x {n_carried=3, n_seq=1, axis=[1, 1]} "
    "{ ^(%i: f32[4], %j: f32[4], %k: f32[4], %s: f32[4])\n    %n = add %i, %s : f32[4]\n"
    "    yield %j, %n, %k, %i\n  } : f32[4], f32[4], f32[4], f32[4,T]\n  return %0, %1, %2, %3\n}\n";

/* A scan over rows in a scan over planes, whose inner sequence is a slice. */
static const char nested[] =
    "tnir 1\nsym T in [0, 50]\n"
    "func @run entry (%x: f32[T,3,4] \"x\", %h: f32[4] \"h\") -> (f32[4] \"n\", f32[T,3,4] \"y\") {\n"
    "  %0, %1 = scan %h, %x {n_carried=1, n_seq=1} { ^(%p: f32[4], %s: f32[3,4])\n"
    "    %2, %3 = scan %p, %s {n_carried=1, n_seq=1, reverse=[0, 1]} { ^(%q: f32[4], %t: f32[4])\n"
    "      %4 = mul %q, %t : f32[4]\n      %5 = sin %4 : f32[4]\n      yield %5, %4\n    } : f32[4], f32[3,4]\n"
    "    yield %2, %3\n  } : f32[4], f32[T,3,4]\n  return %0, %1\n}\n";

/* Newton's square root until it is near enough, at most 20 times; the condition and the values differ by input. */
static const char newton[] =
    "tnir 1\nsym T in [0, 50]\nconst @half : f32[] = splat 0.5\nconst @near : f32[] = splat 1e-3\n"
    "const @one : i64[] = splat 1\nconst @many : i64[] = splat 20\nconst @zero : i64[] = splat 0\n"
    "const @yes : bool[] = splat true\n"
    "func @run entry (%x: f32[T] \"x\", %s: f32[] \"s\", %a: f32[] \"a\") -> (f32[] \"y\") {\n"
    "  %m = abs %a : f32[]\n"
    "  %y, %n = loop @yes, %s, @zero, %m {n_carried=2} { ^(%p: f32[], %i: i64[], %q: f32[])\n"
    "    %d = div %q, %p : f32[]\n    %e = add %p, %d : f32[]\n    %h = mul %e, @half : f32[]\n"
    "    %j = add %i, @one : i64[]\n    %f = sub %h, %p : f32[]\n    %g = abs %f : f32[]\n"
    "    %c = gt %g, @near : bool[]\n    %k = lt %j, @many : bool[]\n    %b = and %c, %k : bool[]\n"
    "    yield %b, %h, %j\n  } : f32[], i64[]\n  return %y\n}\n";

/* A branch with a matrix product and one that gives back what it takes; a result that goes on into a concat. */
static const char branches[] =
    "tnir 1\nsym T in [0, 50]\nconst @w : f32[3,3] = dense [1, 2, 3, 4, 5, -6, -7, 8, 9]\nconst @z : f32[] = splat 0\n"
    "func @run entry (%x: f32[T,3] \"x\", %s: f32[] \"s\") -> (f32[T,6] \"y\", f32[T,3] \"z\") {\n"
    "  %c = gt %s, @z : bool[]\n  %e = exp %x : f32[T,3]\n"
    "  %0, %1 = if %c, %x, %e { ^(%p: f32[T,3], %q: f32[T,3])\n"
    "    %a = dot %p, @w {sum=[(1, 0)]} : f32[T,3]\n    %b = tanh %a : f32[T,3]\n    yield %b, %b\n"
    "  } else { ^(%p: f32[T,3], %q: f32[T,3])\n    %a = neg %q : f32[T,3]\n    yield %p, %a\n"
    "  } : f32[T,3], f32[T,3]\n  %2 = concat %0, %e {axis=1} : f32[T,6]\n  return %2, %1\n}\n";

static const char *const models[] = {recurrence, swapping, nested, newton, branches};

static bool bind(const void *user, const tn_symbol *symbol, int64_t *out) {
  *out = *(const int64_t *)user;
  return symbol->kind == TN_SYM_INPUT;
}

static tn_tensor *make_input(tn_arena *arena, const tn_type *type, int64_t symbol, uint64_t *seed) {
  int64_t extents[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++) assert_true(tn_dim_evaluate(type->dims[i], bind, &symbol, &extents[i]));
  tn_tensor *tensor = tn_tensor_create(arena, type->dtype, type->ndim, extents);
  for (int64_t i = 0; i < tensor->count; i++) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    int64_t number = (int64_t)(*seed >> 33) % 2001;
    if (tn_dtype_is_float(type->dtype)) tensor->data[i].f = (double)number / 1000 - 1;
    else tensor->data[i].i = number % 2;
  }
  return tensor;
}

static void compare(tn_tensor *const *expected, tn_tensor *const *found, size_t n) {
  for (size_t i = 0; i < n; i++) {
    assert_int_equal(expected[i]->count, found[i]->count);
    for (int64_t k = 0; k < expected[i]->count; k++)
      assert_true(fabs(expected[i]->data[k].f - found[i]->data[k].f) <= 1e-9);
  }
}

static void check_model(const char *text, int64_t size) {
  fixture f;
  begin(&f, text, strlen(text));
  tn_arena *arena = f.ctx->arena;
  const tn_func *func = f.context.entry;
  tn_tensor *inputs[MAX_TENSORS], *expected[MAX_TENSORS], *found[MAX_TENSORS];
  uint64_t seed = 3;
  uint32_t n = (uint32_t)func->body->params.n;
  for (uint32_t i = 0; i < n; i++) inputs[i] = make_input(arena, func->body->params.data[i]->type, size, &seed);
  const tn_tensor *const *given = (const tn_tensor *const *)inputs;
  assert_true(tn_eval_func(f.ctx, arena, func, TN_EVAL_WIDE, given, n, expected));
  run_passes(&f);
  assert_true(tn_eval_func(f.ctx, arena, func, TN_EVAL_WIDE, given, n, found));
  compare(expected, found, func->result_names.n);
  assert_true(tn_eval_program(f.ctx, arena, f.context.program, true, given, found));
  compare(expected, found, func->result_names.n);
  end(&f);
}

static void test_programs_compute_what_the_graph_does(void **state) {
  static const int64_t sizes[] = {0, 1, 2, 7};
  (void)state;
  for (size_t i = 0; i < TN_ARRAY_LEN(models); i++)
    for (size_t k = 0; k < TN_ARRAY_LEN(sizes); k++) check_model(models[i], sizes[k]);
}

/* The reference against plain arithmetic: h = tanh(h w + x[t]) from the last t to the first. */
static void test_the_reference_is_right(void **state) {
  static const double w[9] = {1, 2, 3, 4, 5, -6, -7, 8, 9};
  double h[6];
  fixture f;
  (void)state;
  begin(&f, recurrence, strlen(recurrence));
  tn_tensor *inputs[3], *found[2];
  uint64_t seed = 11;
  for (uint32_t i = 0; i < 3; i++)
    inputs[i] = make_input(f.ctx->arena, f.context.entry->body->params.data[i]->type, 4, &seed);
  assert_true(tn_eval_func(f.ctx, f.ctx->arena, f.context.entry, TN_EVAL_WIDE, (const tn_tensor *const *)inputs, 3,
                           found));
  for (int i = 0; i < 6; i++) h[i] = inputs[0]->data[i].f;
  for (int t = 0; t < 4; t++) {
    double next[6];
    for (int i = 0; i < 6; i++) {
      next[i] = inputs[1]->data[(3 - t) * 6 + i].f;
      for (int k = 0; k < 3; k++) next[i] += h[i / 3 * 3 + k] * w[k * 3 + i % 3];
      next[i] = tanh(next[i]);
      assert_true(fabs(found[1]->data[t * 6 + i].f - next[i] * inputs[2]->data[i].f) <= 1e-9);
    }
    memcpy(h, next, sizeof(h));
  }
  for (int i = 0; i < 6; i++) assert_true(fabs(found[0]->data[i].f - h[i]) <= 1e-9);
  end(&f);
}

static tn_step *find_loop(const tn_steps *steps) {
  for (size_t i = 0; i < steps->n; i++)
    if (steps->data[i]->kind == TN_STEP_LOOP) return steps->data[i];
  return NULL;
}

/* The buffer that the last step of the loop moves into: it lives from iteration to iteration. */
static tn_buffer *carried_buffer(const tn_program *program) {
  const tn_step *loop = find_loop(&program->steps);
  const tn_step *move = loop->body.data[loop->body.n - 1];
  assert_int_equal(move->kind, TN_STEP_COPY);
  return move->args.data[1];
}

static void test_a_shared_carried_buffer_is_found(void **state) {
  fixture f;
  (void)state;
  begin(&f, recurrence, strlen(recurrence));
  run_passes(&f);
  tn_buffer *carried = carried_buffer(f.context.program);
  const tn_step *loop = find_loop(&f.context.program->steps);
  tn_buffer *next = loop->body.data[loop->body.n - 1]->args.data[0];
  const tn_dim *offset = next->offset;
  next->offset = carried->offset;
  assert_false(tn_verify_program(f.ctx, f.context.program));
  assert_non_null(strstr(f.ctx->diags.data[0].text, "alive together"));
  next->offset = offset;
  assert_true(tn_verify_program(f.ctx, f.context.program));
  end(&f);
}

/* A life that ends with the carried buffer's last step inside the loop lets another buffer of the next iteration in. */
static void test_a_life_cut_at_the_back_edge_is_found(void **state) {
  fixture f;
  (void)state;
  begin(&f, nested, strlen(nested));
  run_passes(&f);
  tn_buffer *carried = carried_buffer(f.context.program);
  uint32_t last = carried->live_last;
  carried->live_last = carried->live_first + 1;
  assert_false(tn_verify_program(f.ctx, f.context.program));
  assert_non_null(strstr(f.ctx->diags.data[0].text, "says it lives"));
  carried->live_last = last;
  end(&f);
}

static void test_a_view_beyond_its_owner_is_found(void **state) {
  fixture f;
  (void)state;
  begin(&f, recurrence, strlen(recurrence));
  run_passes(&f);
  for (size_t i = 0; i < f.context.program->buffers.n; i++) {
    tn_buffer *buffer = f.context.program->buffers.data[i];
    if (buffer->kind != TN_BUFFER_VIEW) continue;
    const tn_dim *at = buffer->at;
    buffer->at = tn_dim_add_i(f.ctx, at, 1);
    assert_false(tn_verify_program(f.ctx, f.context.program));
    buffer->at = at;
  }
  assert_true(tn_verify_program(f.ctx, f.context.program));
  end(&f);
}

/* The checker knows that only what both branches fill is filled. */
static void test_a_result_of_one_branch_alone_is_found(void **state) {
  fixture f;
  (void)state;
  begin(&f, branches, strlen(branches));
  run_passes(&f);
  tn_steps *steps = &f.context.program->steps;
  for (size_t i = 0; i < steps->n; i++) {
    if (steps->data[i]->kind != TN_STEP_IF) continue;
    size_t n = steps->data[i]->otherwise.n;
    steps->data[i]->otherwise.n = 0;
    assert_false(tn_verify_program(f.ctx, f.context.program));
    steps->data[i]->otherwise.n = n;
  }
  assert_true(tn_verify_program(f.ctx, f.context.program));
  end(&f);
}

/* A buffer of the body that takes the place of what a loop with a condition carries. */
static void test_a_shared_condition_is_found(void **state) {
  fixture f;
  (void)state;
  begin(&f, newton, strlen(newton));
  run_passes(&f);
  tn_program *program = f.context.program;
  for (size_t i = 0; i < program->steps.n; i++) {
    const tn_step *step = program->steps.data[i];
    if (step->kind != TN_STEP_WHILE) continue;
    tn_buffer *inner = step->body.data[0]->args.data[step->body.data[0]->args.n - 1];
    const tn_dim *offset = inner->offset;
    assert_int_equal(inner->kind, TN_BUFFER_ARENA);
    inner->offset = step->args.data[0]->offset;
    assert_false(tn_verify_program(f.ctx, program));
    inner->offset = offset;
  }
  assert_true(tn_verify_program(f.ctx, program));
  end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_reference_is_right),
      cmocka_unit_test(test_programs_compute_what_the_graph_does),
      cmocka_unit_test(test_a_shared_carried_buffer_is_found),
      cmocka_unit_test(test_a_life_cut_at_the_back_edge_is_found),
      cmocka_unit_test(test_a_view_beyond_its_owner_is_found),
      cmocka_unit_test(test_a_result_of_one_branch_alone_is_found),
      cmocka_unit_test(test_a_shared_condition_is_found),
  };
  return cmocka_run_group_tests_name("region", tests, NULL, NULL);
}
