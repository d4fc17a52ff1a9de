/* Grouping, layout and lowering keep the meaning of a graph: each model below is run by the reference as a graph and
 * again as the kernels that it was lowered to, step by step; and the number of kernels is what fusion promises. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ir/eval_program.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "passes/passes.h"

typedef struct model_case {
  const char *name, *text;
  int64_t symbol;     /* value of every input symbol */
  uint32_t max_steps; /* kernels at most */
} model_case;

static const model_case cases[] = {
    {"chain",
     "tnir 1\n"
     "func @run entry (%x: f32[2,5] \"x\", %y: f32[2,5] \"y\") -> (f32[2,5] \"z\") {\n"
     "  %0 = add %x, %y : f32[2,5]\n  %1 = exp %0 : f32[2,5]\n  %2 = mul %1, %x : f32[2,5]\n  return %2\n}\n",
     0, 1},
    {"conv with epilogue",
     "tnir 1\nconst @w : f32[4,3,3,3] = splat 0.5\nconst @b : f32[4] = dense [1, 2, 3, 4]\nconst @z : f32[] = splat 0\n"
     "func @run entry (%x: f32[2,3,6,5] \"x\") -> (f32[2,4,3,3] \"y\") {\n"
     "  %0 = conv %x, @w {stride=[2,2], dilate=[1,1], lo=[1,1], hi=[1,1], groups=1} : f32[2,4,3,3]\n"
     "  %1 = broadcast @b {dims=[2,4,3,3], map=[1]} : f32[2,4,3,3]\n  %2 = add %0, %1 : f32[2,4,3,3]\n"
     "  %3 = broadcast @z {dims=[2,4,3,3], map=[]} : f32[2,4,3,3]\n  %4 = max %2, %3 : f32[2,4,3,3]\n  return %4\n}\n",
     0, 1},
    {"two convolutions keep one order",
     "tnir 1\nconst @w : f32[4,3,1,1] = splat 0.5\nconst @v : f32[2,4,3,3] = splat 0.25\n"
     "func @run entry (%x: f32[1,3,4,4] \"x\") -> (f32[1,2,2,2] \"y\") {\n"
     "  %0 = conv %x, @w {stride=[1,1], dilate=[1,1], lo=[0,0], hi=[0,0], groups=1} : f32[1,4,4,4]\n"
     "  %1 = tanh %0 : f32[1,4,4,4]\n"
     "  %2 = conv %1, @v {stride=[1,1], dilate=[1,1], lo=[0,0], hi=[0,0], groups=1} : f32[1,2,2,2]\n  return %2\n}\n",
     0, 2},
    {"grouped and depthwise",
     "tnir 1\nconst @w : f32[6,2,3] = splat 0.5\nconst @v : f32[6,1,3] = splat 0.25\n"
     "func @run entry (%x: f32[1,4,8] \"x\") -> (f32[1,6,6] \"y\") {\n"
     "  %0 = conv %x, @w {stride=[1], dilate=[1], lo=[1], hi=[1], groups=2} : f32[1,6,8]\n"
     "  %1 = conv %0, @v {stride=[1], dilate=[1], lo=[0], hi=[0], groups=6} : f32[1,6,6]\n  return %1\n}\n",
     0, 2},
    {"transposed convolution",
     "tnir 1\nconst @w : f32[3,2,3,3] = splat 0.5\n"
     "func @run entry (%x: f32[1,3,4,4] \"x\") -> (f32[1,2,7,7] \"y\") {\n"
     "  %0 = conv_dx %x, @w {stride=[2,2], dilate=[1,1], lo=[1,1], hi=[1,1], groups=1, in=[7,7]} : f32[1,2,7,7]\n"
     "  return %0\n}\n",
     0, 1},
    {"softmax",
     "tnir 1\nsym B in [1,64]\n"
     "func @run entry (%x: f32[B,7] \"x\") -> (f32[B,7] \"y\") {\n"
     "  %0 = reduce %x {op=max, axes=[1]} : f32[B]\n  %1 = broadcast %0 {dims=[B,7], map=[0]} : f32[B,7]\n"
     "  %2 = sub %x, %1 : f32[B,7]\n  %3 = exp %2 : f32[B,7]\n  %4 = reduce %3 {op=sum, axes=[1]} : f32[B]\n"
     "  %5 = broadcast %4 {dims=[B,7], map=[0]} : f32[B,7]\n  %6 = div %3, %5 : f32[B,7]\n  return %6\n}\n",
     3, 1},
    {"matrix product then softmax",
     "tnir 1\nsym B in [1,64]\n"
     "func @run entry (%x: f32[B,7] \"x\", %w: f32[7,5] \"w\") -> (f32[B,5] \"y\") {\n"
     "  %d = dot %x, %w {batch=[], sum=[(1,0)]} : f32[B,5]\n"
     "  %0 = reduce %d {op=max, axes=[1]} : f32[B]\n  %1 = broadcast %0 {dims=[B,5], map=[0]} : f32[B,5]\n"
     "  %2 = sub %d, %1 : f32[B,5]\n  %3 = exp %2 : f32[B,5]\n  %4 = reduce %3 {op=sum, axes=[1]} : f32[B]\n"
     "  %5 = broadcast %4 {dims=[B,5], map=[0]} : f32[B,5]\n  %6 = div %3, %5 : f32[B,5]\n  return %6\n}\n",
     3, 2},
    {"attention heads: transposes are views",
     "tnir 1\nsym S in [1,64]\n"
     "func @run entry (%q: f32[S,6] \"q\", %k: f32[S,6] \"k\") -> (f32[2,S,S] \"y\") {\n"
     "  %0 = reshape %q {dims=[S,2,3]} : f32[S,2,3]\n  %1 = transpose %0 {perm=[1,0,2]} : f32[2,S,3]\n"
     "  %2 = reshape %k {dims=[S,2,3]} : f32[S,2,3]\n  %3 = transpose %2 {perm=[1,2,0]} : f32[2,3,S]\n"
     "  %4 = dot %1, %3 {batch=[(0,0)], sum=[(2,1)]} : f32[2,S,S]\n  return %4\n}\n",
     4, 1},
    {"concat of two kernels and an argument",
     "tnir 1\n"
     "func @run entry (%x: f32[2,3] \"x\", %y: f32[2,2] \"y\") -> (f32[2,8] \"z\") {\n"
     "  %0 = neg %x : f32[2,3]\n  %1 = exp %x : f32[2,3]\n"
     "  %2 = concat %0, %y, %1 {axis=1} : f32[2,8]\n  return %2\n}\n",
     0, 3},
    {"concat read by others",
     "tnir 1\n"
     "func @run entry (%x: f32[2,3] \"x\") -> (f32[2,6] \"z\", f32[3,2] \"t\") {\n"
     "  %0 = neg %x : f32[2,3]\n  %1 = exp %x : f32[2,3]\n  %2 = concat %0, %1 {axis=1} : f32[2,6]\n"
     "  %3 = abs %2 : f32[2,6]\n  %4 = transpose %1 {perm=[1,0]} : f32[3,2]\n  return %3, %4\n}\n",
     0, 4},
    {"pad, slice and stride",
     "tnir 1\nconst @z : f32[] = splat 9\n"
     "func @run entry (%x: f32[4,5] \"x\") -> (f32[3,4] \"z\") {\n"
     "  %0 = pad %x, @z {lo=[1,-1], hi=[0,3], inner=[0,0]} : f32[5,7]\n"
     "  %1 = slice %0 {start=[0,6], size=[3,4], step=[2,-2]} : f32[3,4]\n  %2 = neg %1 : f32[3,4]\n  return %2\n}\n",
     0, 1},
    {"pad of a computed value",
     "tnir 1\nconst @z : f32[] = splat 9\n"
     "func @run entry (%x: f32[4,5] \"x\") -> (f32[9,7] \"z\") {\n  %e = exp %x : f32[4,5]\n"
     "  %0 = pad %e, @z {lo=[1,1], hi=[1,1], inner=[1,0]} : f32[9,7]\n  return %0\n}\n",
     0, 1},
    {"pooling",
     "tnir 1\nsym H in [2,64]\n"
     "func @run entry (%x: f32[1,2,H,6] \"x\") -> (f32[1,2,floordiv(H - 1, 2) + 1,3] \"z\") {\n"
     "  %0 = window %x {op=max, axes=[2,3], size=[3,3], stride=[2,2], dilate=[1,1], lo=[1,1], hi=[1,1]} "
     ": f32[1,2,floordiv(H - 1, 2) + 1,3]\n  return %0\n}\n",
     5, 1},
    {"mean over an image and a gate",
     "tnir 1\nconst @n : f32[] = splat 12\n"
     "func @run entry (%x: f32[1,2,3,4] \"x\") -> (f32[1,2,3,4] \"z\") {\n"
     "  %0 = reduce %x {op=sum, axes=[2,3]} : f32[1,2]\n  %1 = broadcast @n {dims=[1,2], map=[]} : f32[1,2]\n"
     "  %2 = div %0, %1 : f32[1,2]\n  %3 = broadcast %2 {dims=[1,2,3,4], map=[0,1]} : f32[1,2,3,4]\n"
     "  %4 = mul %x, %3 : f32[1,2,3,4]\n  return %4\n}\n",
     0, 1},
    {"layer norm",
     "tnir 1\nsym B in [1,64]\nconst @n : f32[] = splat 6\nconst @e : f32[] = splat 0.001\n"
     "func @run entry (%x: f32[B,6] \"x\") -> (f32[B,6] \"z\") {\n"
     "  %0 = reduce %x {op=sum, axes=[1]} : f32[B]\n  %1 = broadcast @n {dims=[B], map=[]} : f32[B]\n"
     "  %2 = div %0, %1 : f32[B]\n  %3 = broadcast %2 {dims=[B,6], map=[0]} : f32[B,6]\n  %4 = sub %x, %3 : f32[B,6]\n"
     "  %5 = mul %4, %4 : f32[B,6]\n  %6 = reduce %5 {op=sum, axes=[1]} : f32[B]\n  %7 = div %6, %1 : f32[B]\n"
     "  %8 = broadcast @e {dims=[B], map=[]} : f32[B]\n  %9 = add %7, %8 : f32[B]\n  %10 = rsqrt %9 : f32[B]\n"
     "  %11 = broadcast %10 {dims=[B,6], map=[0]} : f32[B,6]\n  %12 = mul %4, %11 : f32[B,6]\n  return %12\n}\n",
     3, 1},
    {"gather of rows",
     "tnir 1\n"
     "func @run entry (%x: f32[5,3] \"x\", %i: i64[2,2] \"i\") -> (f32[2,2,3] \"z\") {\n"
     "  %0 = gather %x, %i {axes=[0]} : f32[2,2,3]\n  %1 = neg %0 : f32[2,2,3]\n  return %1\n}\n",
     0, 1},
    {"argmax and running sum",
     "tnir 1\n"
     "func @run entry (%x: f32[3,4] \"x\") -> (i64[3] \"i\", f32[3,4] \"c\") {\n"
     "  %0 = argreduce %x {op=max, axis=1, last=false} : i64[3]\n"
     "  %1 = cumulate %x {op=sum, axis=1, reverse=true, exclusive=false} : f32[3,4]\n  return %0, %1\n}\n",
     0, 2},
    {"a broadcast that may be one",
     "tnir 1\nsym A in [1,64]\nsym B in [1,64]\n"
     "func @run entry (%x: f32[A,2] \"x\", %y: f32[B,2] \"y\") -> (f32[bcast(A, B),2] \"z\") {\n"
     "  %0 = broadcast %x {dims=[bcast(A, B),2], map=[0,1]} : f32[bcast(A, B),2]\n"
     "  %1 = broadcast %y {dims=[bcast(A, B),2], map=[0,1]} : f32[bcast(A, B),2]\n"
     "  %2 = add %0, %1 : f32[bcast(A, B),2]\n  return %2\n}\n",
     3, 1},
    {"results that are arguments and constants",
     "tnir 1\nconst @c : f32[2] = dense [1, 2]\n"
     "func @run entry (%x: f32[2] \"x\") -> (f32[2] \"a\", f32[2] \"b\", f32[2,1] \"r\") {\n"
     "  %r = reshape %x {dims=[2,1]} : f32[2,1]\n  return %x, @c, %r\n}\n",
     0, 3},
};

static uint64_t next_random(uint64_t *seed) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return *seed >> 33;
}

static bool bind_symbol(const void *user, const tn_symbol *symbol, int64_t *out) {
  *out = *(const int64_t *)user;
  return symbol->kind == TN_SYM_INPUT;
}

static tn_tensor *make_tensor(tn_arena *arena, const tn_type *type, int64_t symbol) {
  int64_t extents[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++)
    assert_true(tn_dim_evaluate(type->dims[i], bind_symbol, &symbol, &extents[i]));
  return tn_tensor_create(arena, type->dtype, type->ndim, extents);
}

static void fill(tn_tensor *tensor, uint64_t *seed) {
  for (int64_t i = 0; i < tensor->count; i++) {
    uint64_t bits = next_random(seed);
    if (tn_dtype_is_float(tensor->dtype))
      tensor->data[i].f = (double)(float)((double)(bits % 2001) / 500 - 2);
    else
      tensor->data[i].i = (int64_t)(bits % 4);
  }
}

static bool close_enough(double a, double b) {
  return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 1e-12 * (1 + fabs(a) + fabs(b));
}

static void check_case(const model_case *c) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_text_parse(ctx, c->name, c->text, strlen(c->text));
  for (size_t i = 0; i < ctx->diags.n; i++) print_message("%s: %s\n", c->name, ctx->diags.data[i].text);
  assert_non_null(module);
  tn_func *func = tn_func_find(module, "run");
  tn_tensor *inputs[4], *expected[4];
  uint64_t seed = 5;
  for (size_t i = 0; i < func->body->params.n; i++) {
    inputs[i] = make_tensor(ctx->arena, func->body->params.data[i]->type, c->symbol);
    fill(inputs[i], &seed);
  }
  assert_true(tn_eval_func(ctx, ctx->arena, func, TN_EVAL_WIDE, (const tn_tensor *const *)inputs,
                           (uint32_t)func->body->params.n, expected));
  tn_pass_context context = {.ctx = ctx, .module = module, .entry = func, .max_workers = 1};
  assert_true(tn_pass_group(&context) && tn_pass_layout(&context) && tn_pass_lower(&context));
  assert_in_range(context.program->steps.n, 1, c->max_steps);
  for (size_t i = 0; i < context.program->steps.n; i++)
    assert_true(tn_verify_kernel(ctx, context.program->steps.data[i]->kernel));
  tn_tensor *found[4];
  assert_true(tn_eval_program(ctx, ctx->arena, context.program, true, (const tn_tensor *const *)inputs, found));
  for (size_t i = 0; i < func->result_names.n; i++) {
    const tn_tensor *want = expected[i];
    for (int64_t k = 0; k < want->count; k++) {
      bool equal = tn_dtype_is_float(want->dtype) ? close_enough(want->data[k].f, found[i]->data[k].f)
                                                  : want->data[k].i == found[i]->data[k].i;
      if (!equal) print_message("%s: result %u element %lld\n", c->name, (unsigned)i, (long long)k);
      assert_true(equal);
    }
  }
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

static void test_kernels_compute_what_the_graph_does(void **state) {
  (void)state;
  for (size_t i = 0; i < TN_ARRAY_LEN(cases); i++) check_case(&cases[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_kernels_compute_what_the_graph_does)};
  return cmocka_run_group_tests_name("lower", tests, NULL, NULL);
}
