/* Steps of training on the reference: weights inside regions, errors, steps by hand. tests/train runs them compiled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "train/train.h"

static tn_module *parse(tn_ctx *ctx, const char *text) {
  tn_module *module = tn_text_parse(ctx, "test", text, strlen(text));
  assert_non_null(module);
  return module;
}

static const tn_const *constant(const tn_module *module, const char *name) {
  for (size_t i = 0; i < module->consts.n; i++)
    if (strcmp(module->consts.data[i]->name, name) == 0) return module->consts.data[i];
  return NULL;
}

static tn_train_plan plan_of(const tn_train_weight *weights, uint32_t n) {
  tn_optimizer sgd = {.kind = TN_OPTIMIZER_SGD};
  return (tn_train_plan){.weights = weights, .n_weights = n, .n_groups = 1, .optimizer = sgd};
}

static tn_tensor *vector(tn_ctx *ctx, uint32_t n, const double *numbers) {
  int64_t extents[] = {n};
  tn_tensor *tensor = tn_tensor_create(ctx->arena, TN_F32, 1, extents);
  for (uint32_t i = 0; i < n; i++) tensor->data[i].f = numbers[i];
  return tensor;
}

/* h = h * w + x over the rows of x, the weight being a constant inside the scan, and inside a scan in it; the loss is
 * the sum of h: dl/dw = 2 h0 w + x0 for two rows where the inner loop runs once. */
static const char in_scan[] =
    "tnir 1\n"
    "const @w : f32[1] = splat 3\n"
    "func @loss entry (%h: f32[1] \"h\", %x: f32[2,1] \"x\") -> (f32[] \"loss\") {\n"
    "  %0 = scan %h, %x {n_carried=1, n_seq=1} { ^(%p: f32[1], %s: f32[1])\n"
    "    %i = reshape %s {dims=[1, 1]} : f32[1,1]\n"
    "    %j = scan %p, %i {n_carried=1, n_seq=1} { ^(%q: f32[1], %t: f32[1])\n"
    "      %a = mul %q, @w : f32[1]\n"
    "      %b = add %a, %t : f32[1]\n"
    "      yield %b\n"
    "    } : f32[1]\n"
    "    yield %j\n"
    "  } : f32[1]\n"
    "  %1 = reduce %0 {op=sum, axes=[0]} : f32[]\n"
    "  return %1\n"
    "}\n";

static void test_regions(void **state) {
  (void)state;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = parse(ctx, in_scan);
  tn_func *func = module->funcs.data[0];
  tn_train_weight weight = {.path = "w", .constant = constant(module, "w"), .decay = NAN, .l1 = NAN};
  tn_train_plan plan = plan_of(&weight, 1);
  assert_non_null(weight.constant);
  assert_true(tn_train_lift(func, &weight, 1));
  assert_true(tn_verify(module));
  assert_true(tn_train_step(func, &plan, NULL));
  assert_true(tn_verify(module));
  tn_tensor *x = tn_tensor_create(ctx->arena, TN_F32, 2, (int64_t[]){2, 1}), *out[3];
  x->data[0].f = 5;
  x->data[1].f = 7;
  const tn_tensor *inputs[] = {vector(ctx, 1, (double[]){2}), x, vector(ctx, 1, (double[]){3}),
                               vector(ctx, 4, (double[]){1, 1, 1, 0.5})};
  assert_true(tn_eval_func(ctx, ctx->arena, func, TN_EVAL_EXACT, inputs, 4, out));
  assert_float_equal(out[0]->data[0].f, (2 * 3 + 5) * 3 + 7, 1e-9);
  assert_float_equal(out[1]->data[0].f, 2 * 2 * 3 + 5, 1e-9);
  assert_float_equal(out[2]->data[0].f, 3 - 0.5 * (2 * 2 * 3 + 5), 1e-9);
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

/* decay and l1 of the weight itself, the rate of its group; a kept weight is no result. */
static void test_settings(void **state) {
  (void)state;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = parse(ctx, "tnir 1\nconst @a : f32[2] = splat 0\nconst @k : f32[2] = splat 0\n"
                                 "func @loss entry () -> (f32[] \"loss\") {\n  %0 = mul @a, @k : f32[2]\n"
                                 "  %1 = reduce %0 {op=sum, axes=[0]} : f32[]\n  return %1\n}\n");
  tn_func *func = module->funcs.data[0];
  tn_train_weight weights[] = {
      {.path = "k", .constant = constant(module, "k"), .role = TNRT_WEIGHT_KEPT},
      {.path = "a", .constant = constant(module, "a"), .group = 1, .decay = 0.25, .l1 = NAN}};
  tn_train_plan plan = plan_of(weights, 2);
  plan.n_groups = 2;
  plan.optimizer.decay = 100;
  plan.optimizer.l1 = 0.5;
  assert_true(tn_train_lift(func, weights, 2) && tn_train_step(func, &plan, NULL));
  tn_tensor *out[3];
  const tn_tensor *inputs[] = {vector(ctx, 2, (double[]){3, 4}), vector(ctx, 2, (double[]){8, -8}),
                               vector(ctx, 5, (double[]){1, 1, 1, 1000, 0.5})};
  assert_true(tn_eval_func(ctx, ctx->arena, func, TN_EVAL_EXACT, inputs, 3, out));
  assert_int_equal(func->body->last->n_operands, 3);
  assert_float_equal(out[0]->data[0].f, -8, 1e-9);
  assert_float_equal(out[1]->data[0].f, 5, 1e-9);
  assert_float_equal(out[2]->data[0].f, 8 - 0.5 * (3 + 0.25 * 8 + 0.5), 1e-9);
  assert_float_equal(out[2]->data[1].f, -8 - 0.5 * (4 - 0.25 * 8 - 0.5), 1e-9);
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

static void refused(const char *type, const char *body, tn_diag_code code, const char *text) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = parse(ctx, tn_namef(ctx, "tnir 1\nconst @w : f32[2] = splat 0\nfunc @loss entry () -> "
                                               "(%s \"loss\") {\n%s}\n", type, body));
  tn_func *func = module->funcs.data[0];
  tn_train_weight weight = {.path = "w", .constant = constant(module, "w")};
  tn_train_plan plan = plan_of(&weight, 1);
  assert_true(tn_train_lift(func, &weight, 1));
  assert_false(tn_train_step(func, &plan, NULL));
  assert_int_equal(ctx->diags.data[0].code, code);
  assert_string_equal(ctx->diags.data[0].text, text);
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

static void test_errors(void **state) {
  (void)state;
  refused("f32[2]", "%0 = add @w, @w : f32[2]\nreturn %0\n", TN_E_SHAPE, "a loss is a scalar f32, found f32[2]");
  refused("f32[]", "%0 = round @w : f32[2]\n%1 = reduce %0 {op=sum, axes=[0]} : f32[]\nreturn %1\n",
          TN_E_GRADIENT, "'round' has no gradient: it is constant between its jumps");
}

static void test_table(void **state) {
  (void)state;
  tn_optimizer o = {.kind = tn_optimizer_find("rmsprop")};
  assert_int_equal(tn_optimizer_states(&o), 1);
  o.momentum = 0.5;
  assert_int_equal(tn_optimizer_states(&o), 2);
  assert_string_equal(tn_optimizer_state_name(&o, 1), "momentum");
  assert_int_equal(tn_optimizer_find("adamax"), TN_N_OPTIMIZERS);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_regions), cmocka_unit_test(test_settings),
                                     cmocka_unit_test(test_errors), cmocka_unit_test(test_table)};
  return cmocka_run_group_tests_name("train", tests, NULL, NULL);
}
