/* Constants: names, and the elements of recipes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ir/graph.h"

static tn_module *module;

static int setup(void **state) {
  (void)state;
  module = tn_module_create(tn_ctx_create((tn_oom){0}));
  return 0;
}

static int teardown(void **state) {
  (void)state;
  tn_ctx *ctx = module->ctx;
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return 0;
}

static tn_const *make(const char *name, int64_t rows, int64_t columns, const void *data) {
  return tn_const_data(module, name, tn_type_static(module->ctx, TN_F32, 2, (int64_t[]){rows, columns}), data);
}

static void expect(const tn_const *constant, const float *elements) {
  assert_memory_equal(tn_const_read(constant, module->arena), elements, tn_const_bytes(constant));
}

static const float six[] = {1, 2, 3, 4, 5, 6};
static const float factors[] = {2, -1, 0.5};

/* Quadratic time would show: 100000 names of one wish. */
static void test_names_are_unique_and_cheap(void **state) {
  (void)state;
  make("w_3", 2, 3, six);
  static const char *const first[] = {"w", "w_2", "w_4", "w_5"};
  for (size_t i = 0; i < TN_ARRAY_LEN(first); i++) assert_string_equal(make("w", 2, 3, six)->name, first[i]);
  for (int i = 0; i < 100000; i++) make("w", 2, 3, six);
  assert_int_equal(module->const_names.n, module->consts.n);
  assert_string_equal(make("", 2, 3, six)->name, "c");
}

static void test_scale_along_each_axis(void **state) {
  (void)state;
  tn_const *base = make("w", 2, 3, six);
  const tn_type *three = tn_type_static(module->ctx, TN_F32, 1, (int64_t[]){3});
  const tn_type *two = tn_type_static(module->ctx, TN_F32, 1, (int64_t[]){2});
  const float half = 0.5f;
  tn_const *columns = tn_const_recipe_scale(module, base, tn_const_data(module, "f", three, factors), 1);
  expect(columns, (const float[]){2, -2, 1.5, 8, -5, 3});
  expect(tn_const_recipe_scale(module, base, tn_const_data(module, "f", two, factors), 0),
         (const float[]){2, 4, 6, -4, -5, -6});
  tn_const *one = tn_const_splat(module, "h", tn_type_scalar(module->ctx, TN_F32), &half);
  expect(tn_const_recipe_scale(module, base, one, 0), (const float[]){0.5, 1, 1.5, 2, 2.5, 3});
  expect(tn_const_recipe_transpose(module, columns, (const uint8_t[]){1, 0}), (const float[]){2, 8, -2, -5, 1.5, 3});
}

static void test_scale_refuses_what_does_not_fit(void **state) {
  (void)state;
  tn_const *base = make("w", 2, 3, six);
  const float infinite[] = {1, INFINITY, 1};
  const tn_type *three = tn_type_static(module->ctx, TN_F32, 1, (int64_t[]){3});
  assert_null(tn_const_recipe_scale(module, base, tn_const_data(module, "f", three, infinite), 1));
  assert_null(tn_const_recipe_scale(module, base, tn_const_data(module, "f", three, factors), 0));
  assert_null(tn_const_recipe_scale(module, base, tn_const_data(module, "f", three, factors), 2));
}

/* Elements of a mapped file may lie anywhere. */
static void test_scale_reads_unaligned_elements(void **state) {
  (void)state;
  static char bytes[sizeof(six) + 1];
  memcpy(bytes + 1, six, sizeof(six));
  tn_const *base = make("w", 2, 3, bytes + 1);
  const float two = 2;
  tn_const *one = tn_const_splat(module, "t", tn_type_scalar(module->ctx, TN_F32), &two);
  expect(tn_const_recipe_scale(module, base, one, 0), (const float[]){2, 4, 6, 8, 10, 12});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_names_are_unique_and_cheap, setup, teardown),
      cmocka_unit_test_setup_teardown(test_scale_along_each_axis, setup, teardown),
      cmocka_unit_test_setup_teardown(test_scale_refuses_what_does_not_fit, setup, teardown),
      cmocka_unit_test_setup_teardown(test_scale_reads_unaligned_elements, setup, teardown),
  };
  return cmocka_run_group_tests_name("const", tests, NULL, NULL);
}
