/* Kernels: equal nodes are made once, axes follow folds, finishing drops what no write needs, and the signature sees
 * structure, not names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ir/kernel.h"
#include "ir/text.h"
#include "ir/verify.h"

/* softmax over rows of `width`, with a node that nothing needs. */
static tn_kernel *make_softmax(tn_module *module, const char *name, const char *axis, int64_t width) {
  tn_ctx *ctx = module->ctx;
  const tn_dim *rows = tn_text_parse_type(ctx, "f32[B]")->dims[0], *columns = tn_dim_const(ctx, width);
  const tn_type *type = tn_type_tensor(ctx, TN_F32, 2, (const tn_dim *[]){rows, columns});
  tn_kernel *kernel = tn_kernel_create(module, name);
  const tn_dim *i = tn_dim_symbol(ctx, tn_kernel_add_axis(kernel, axis, rows, TN_AXIS_PAR));
  const tn_dim *j = tn_dim_symbol(ctx, tn_kernel_add_axis(kernel, axis, columns, TN_AXIS_ROW));
  uint32_t in = tn_kernel_add_arg(kernel, "x", type, NULL, false);
  uint32_t out = tn_kernel_add_arg(kernel, "x", type, NULL, true);
  tn_knode *x = tn_kernel_read(kernel, in, (const tn_dim *[]){i, j}, NULL);
  assert_ptr_equal(x, tn_kernel_read(kernel, in, (const tn_dim *[]){i, j}, NULL));
  tn_kernel_scalar(kernel, TN_NEG, TN_F32, &x, 1);
  tn_knode *max = tn_kernel_fold(kernel, TN_FOLD_MAX, TN_F32, x, 2);
  assert_int_equal(max->axes, 1);
  tn_knode *shifted = tn_kernel_scalar(kernel, TN_SUB, TN_F32, (tn_knode *[]){x, max}, 2);
  assert_int_equal(shifted->axes, 3);
  tn_knode *e = tn_kernel_scalar(kernel, TN_EXP, TN_F32, &shifted, 1);
  tn_knode *sum = tn_kernel_fold(kernel, TN_FOLD_SUM, TN_F32, e, 2);
  tn_knode *y = tn_kernel_scalar(kernel, TN_DIV, TN_F32, (tn_knode *[]){e, sum}, 2);
  tn_kernel_write(kernel, out, (const tn_dim *[]){i, j}, y);
  return kernel;
}

static void finishing(void **state) {
  (void)state;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_module_create(ctx);
  tn_kernel *kernel = make_softmax(module, "soft max/1", "i", 8);
  size_t before = kernel->nodes.n;
  tn_kernel_finish(kernel);
  assert_int_equal(kernel->nodes.n, before - 1); /* neg */
  assert_int_equal(kernel->nodes.data[kernel->nodes.n - 1]->kind, TN_K_WRITE);
  assert_int_equal(kernel->anchor, TN_ANCHOR_ROWS);
  assert_int_equal(kernel->symbols.n, 1);
  assert_string_equal(kernel->name, "soft_max_1");
  assert_string_equal(kernel->args.data[1].name, "x_2");
  assert_string_equal(kernel->space.data[1].symbol->name, "i_2");
  assert_true(tn_verify_kernel(ctx, kernel));
  /* sub, exp, div and two folds over B*8 points. */
  assert_ptr_equal(tn_kernel_flops(kernel), tn_dim_mul_i(ctx, kernel->space.data[0].extent, 5 * 8));
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

static void signatures(void **state) {
  (void)state;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_module_create(ctx);
  tn_kernel *a = make_softmax(module, "a", "i", 8), *b = make_softmax(module, "a", "row", 8);
  tn_kernel *c = make_softmax(module, "c", "i", 16), *d = make_softmax(module, "d", "i", 8);
  d->args.data[1].storage = tn_storage_intern(
      module, &(tn_storage){.ndim = 2, .order = {1, 0}, .align_elements = 1});
  tn_kernel *all[] = {a, b, c, d};
  for (size_t i = 0; i < TN_ARRAY_LEN(all); i++) tn_kernel_finish(all[i]);
  assert_string_equal(b->name, "a_2");
  assert_true(a->signature == b->signature);
  assert_true(a->signature != c->signature);
  assert_true(a->signature != d->signature);
  uint64_t signature = a->signature;
  tn_kernel_finish(a);
  assert_true(a->signature == signature);
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

static void verifier_sees_broken_kernels(void **state) {
  (void)state;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_module_create(ctx);
  tn_kernel *kernel = make_softmax(module, "k", "i", 8);
  tn_kernel_finish(kernel);
  assert_true(tn_verify_kernel(ctx, kernel));
  tn_knode *max = kernel->nodes.data[1];
  max->axes = 3;
  assert_false(tn_verify_kernel(ctx, kernel));
  max->axes = 1;
  max->id = 0;
  assert_false(tn_verify_kernel(ctx, kernel));
  max->id = 1;
  kernel->symbols.n = 0;
  assert_false(tn_verify_kernel(ctx, kernel));
  kernel->symbols.n = 1;
  assert_true(tn_verify_kernel(ctx, kernel));
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finishing),
      cmocka_unit_test(signatures),
      cmocka_unit_test(verifier_sees_broken_kernels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
