/* --check-each notices a pass that changes results (TN0403), accepts one that does not, and says when it cannot check
 * (TN0404). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ir/build.h"
#include "ir/text.h"
#include "passes/check.h"
#include "passes/passes.h"

static const char model[] =
    "tnir 1\nsym B in [1,64]\n"
    "func @run entry (%x: f32[B,5] \"x\") -> (f32[B,5] \"y\") {\n"
    "  %0 = exp %x : f32[B,5]\n  %1 = mul %0, %x : f32[B,5]\n  return %1\n}\n";
static const char huge[] =
    "tnir 1\nsym B in [1000000000,inf]\n"
    "func @run entry (%x: f32[B] \"x\") -> (f32[B] \"y\") {\n  %0 = exp %x : f32[B]\n  return %0\n}\n";

typedef struct fixture {
  tn_ctx *ctx;
  tn_pass_context context;
} fixture;

static fixture begin(const char *text) {
  fixture f = {tn_ctx_create((tn_oom){0}), {0}};
  tn_module *module = tn_text_parse(f.ctx, "check", text, strlen(text));
  assert_non_null(module);
  f.context = (tn_pass_context){.ctx = f.ctx, .module = module, .entry = tn_func_find(module, "run"), .max_workers = 1};
  return f;
}

static void end(fixture *f) {
  tn_module_destroy(f->context.module);
  tn_ctx_destroy(f->ctx);
}

static void test_sound_passes_are_accepted(void **state) {
  (void)state;
  fixture f = begin(model);
  tn_check *check = tn_check_begin(&f.context, f.ctx->arena);
  assert_non_null(check);
  assert_true(tn_pass_simplify(&f.context) && tn_check_after(check, &f.context, "simplify"));
  assert_true(tn_pass_group(&f.context) && tn_pass_layout(&f.context) && tn_pass_lower(&f.context));
  assert_true(tn_check_after(check, &f.context, "lower"));
  assert_int_equal(tn_diag_n_errors(f.ctx), 0);
  end(&f);
}

static void test_a_changed_graph_is_noticed(void **state) {
  (void)state;
  fixture f = begin(model);
  tn_check *check = tn_check_begin(&f.context, f.ctx->arena);
  tn_node *product = f.context.entry->body->last->previous;
  tn_build build = tn_build_before(f.context.entry->body->last);
  tn_value *wrong = tn_build_unary(&build, TN_NEG, product->results[0]);
  tn_node_set_operand(f.context.entry->body->last, 0, wrong);
  assert_false(tn_check_after(check, &f.context, "wrong"));
  assert_int_equal(f.ctx->diags.data[0].code, TN_E_CHECK);
  assert_non_null(strstr(f.ctx->diags.data[0].text, "'wrong'"));
  end(&f);
}

static void test_a_changed_kernel_is_noticed(void **state) {
  (void)state;
  fixture f = begin(model);
  tn_check *check = tn_check_begin(&f.context, f.ctx->arena);
  assert_true(tn_pass_group(&f.context) && tn_pass_layout(&f.context) && tn_pass_lower(&f.context));
  tn_kernel *kernel = f.context.program->steps.data[0]->kernel;
  for (size_t i = 0; i < kernel->nodes.n; i++)
    if (kernel->nodes.data[i]->kind == TN_K_SCALAR && kernel->nodes.data[i]->scalar == TN_MUL)
      kernel->nodes.data[i]->scalar = TN_ADD;
  assert_false(tn_check_after(check, &f.context, "lower"));
  assert_int_equal(f.ctx->diags.data[0].code, TN_E_CHECK);
  end(&f);
}

static void test_too_large_is_said(void **state) {
  (void)state;
  fixture f = begin(huge);
  assert_null(tn_check_begin(&f.context, f.ctx->arena));
  assert_int_equal(f.ctx->diags.data[0].code, TN_W_CHECK);
  assert_int_equal(tn_diag_n_errors(f.ctx), 0);
  end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sound_passes_are_accepted), cmocka_unit_test(test_a_changed_graph_is_noticed),
      cmocka_unit_test(test_a_changed_kernel_is_noticed), cmocka_unit_test(test_too_large_is_said)};
  return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
