/* The builder: broadcasting of fixed, symbolic and undecided extents, shapes of products and folds, shape values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ir/build.h"
#include "ir/text.h"
#include "ir/verify.h"

typedef struct fixture {
  tn_ctx *ctx;
  tn_module *module;
  tn_func *func;
  tn_build b;
} fixture;

static fixture setup(void) {
  fixture f = {.ctx = tn_ctx_create((tn_oom){0})};
  f.module = tn_module_create(f.ctx);
  f.func = tn_func_create(f.module, "run", false);
  f.b = tn_build_at_end(f.func->body);
  return f;
}

static void teardown(fixture *f) {
  tn_module_destroy(f->module);
  tn_ctx_destroy(f->ctx);
}

static tn_value *param(fixture *f, const char *type) {
  return tn_block_add_param(f->func->body, tn_text_parse_type(f->ctx, type), "");
}

static const char *type_of(fixture *f, const tn_value *value) {
  if (!value) return "nothing";
  tn_buf buf = tn_buf_create(f->ctx->arena);
  tn_type_print(value->type, &buf);
  return buf.data;
}

static void broadcasting(void **state) {
  (void)state;
  static const struct { const char *x, *y, *result; size_t guards, nodes; } cases[] = {
      {"f32[3,1]", "f32[1,4]", "f32[3,4]", 0, 2}, {"f32[4]", "f32[2,3,4]", "f32[2,3,4]", 0, 1},
      {"f32[2,3]", "f32[2,3]", "f32[2,3]", 0, 0}, {"f32[]", "f32[B]", "f32[B]", 0, 1},
      {"f32[B]", "f32[B]", "f32[B]", 0, 0},       {"f32[B]", "f32[7]", "f32[7]", 1, 1},
      {"f32[A]", "f32[B]", "f32[bcast(A, B)]", 1, 2}, {"f32[3]", "f32[4]", NULL, 0, 0},
  };
  for (size_t i = 0; i < TN_ARRAY_LEN(cases); i++) {
    fixture f = setup();
    tn_value *values[] = {param(&f, cases[i].x), param(&f, cases[i].y)};
    bool ok = tn_build_broadcast_all(&f.b, values, 2);
    assert_int_equal(ok, cases[i].result != NULL);
    if (ok) {
      size_t nodes = 0;
      for (tn_node *node = f.func->body->first; node; node = node->next) nodes++;
      assert_string_equal(type_of(&f, values[0]), cases[i].result);
      assert_string_equal(type_of(&f, values[1]), cases[i].result);
      assert_int_equal(nodes, cases[i].nodes);
      assert_true(f.func->guards.n >= cases[i].guards);
      assert_non_null(tn_build_binary(&f.b, TN_ADD, values[0], values[1]));
    } else {
      assert_int_equal(f.ctx->diags.data[0].code, TN_E_SHAPE);
    }
    teardown(&f);
  }
}

static void shapes(void **state) {
  (void)state;
  fixture f = setup();
  tn_value *x = param(&f, "f32[B,2,3]"), *y = param(&f, "f32[B,3,4]");
  assert_string_equal(type_of(&f, tn_build_matmul(&f.b, x, y)), "f32[B,2,4]");
  assert_string_equal(type_of(&f, tn_build_reduce(&f.b, "sum", x, (int64_t[]){1}, 1, true)), "f32[B,1,3]");
  assert_string_equal(type_of(&f, tn_build_reduce(&f.b, "max", x, (int64_t[]){0, 2}, 2, false)), "f32[2]");
  assert_string_equal(type_of(&f, tn_build_insert_axis(&f.b, x, 3)), "f32[B,2,3,1]");
  assert_string_equal(type_of(&f, tn_build_drop_axis(&f.b, tn_build_insert_axis(&f.b, x, 0), 0)), "f32[B,2,3]");
  assert_string_equal(type_of(&f, tn_build_transpose(&f.b, x, (int64_t[]){2, 0, 1})), "f32[3,B,2]");
  assert_ptr_equal(tn_build_transpose(&f.b, x, (int64_t[]){0, 1, 2}), x);
  assert_ptr_equal(tn_build_cast(&f.b, x, TN_F32), x);
  assert_string_equal(type_of(&f, tn_build_binary_f(&f.b, TN_MUL, x, 0.5)), "f32[B,2,3]");
  const tn_dim *one = tn_dim_const(f.ctx, 1);
  assert_string_equal(type_of(&f, tn_build_slice_axis(&f.b, x, 2, one, one, 1)), "f32[B,2,1]");
  assert_string_equal(type_of(&f, tn_build_concat(&f.b, (tn_value *[]){x, x}, 2, 1)), "f32[B,4,3]");
  assert_null(tn_build_drop_axis(&f.b, x, 1));
  uint32_t axis;
  assert_true(tn_build_axis(&f.b, -1, 3, "axis", &axis) && axis == 2);
  assert_false(tn_build_axis(&f.b, 3, 3, "axis", &axis));
  teardown(&f);
}

static void equal_splats_are_one_constant(void **state) {
  (void)state;
  fixture f = setup();
  tn_const *half = tn_value_const(tn_build_splat_f(&f.b, TN_F32, 0.5));
  assert_ptr_equal(half, tn_value_const(tn_build_splat_f(&f.b, TN_F32, 0.5)));
  assert_ptr_not_equal(half, tn_value_const(tn_build_splat_f(&f.b, TN_F64, 0.5)));
  assert_ptr_not_equal(tn_value_const(tn_build_splat_f(&f.b, TN_F32, 0.0)),
                       tn_value_const(tn_build_splat_f(&f.b, TN_F32, -0.0)));
  teardown(&f);
}

static void shape_values(void **state) {
  (void)state;
  fixture f = setup();
  tn_value *x = param(&f, "f32[B,5]"), *list = param(&f, "i64[2]");
  const tn_dim *dims[64];
  uint32_t n = 0;
  tn_value *shape = tn_build_dim_value(&f.b, x->type->dims, 2);
  assert_true(tn_build_read_dims(&f.b, shape, 0, TN_DIM_INF, dims, &n));
  assert_int_equal(n, 2);
  assert_ptr_equal(dims[0], x->type->dims[0]);
  assert_true(tn_build_read_dims(&f.b, list, 0, 100, dims, &n)); /* known only when it runs */
  assert_int_equal(n, 2);
  assert_true(tn_dim_uses_kind(dims[0], TN_SYM_READ) && dims[0]->hi == 100 && dims[0] != dims[1]);
  tn_value *long_list = param(&f, "i64[65]");
  assert_false(tn_build_read_dims(&f.b, long_list, 0, 100, dims, &n));
  teardown(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broadcasting),
      cmocka_unit_test(shapes),
      cmocka_unit_test(equal_splats_are_one_constant),
      cmocka_unit_test(shape_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
