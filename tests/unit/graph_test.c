/* Graphs: uses follow every change, guards are recorded once, constants read as their recipes say, storages give
 * strides, and the verifier sees what is broken by hand. */
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
  tn_value *x, *y;
} fixture;

static fixture setup(void) {
  fixture f = {.ctx = tn_ctx_create((tn_oom){0})};
  f.module = tn_module_create(f.ctx);
  f.func = tn_func_create(f.module, "run", false);
  f.b = tn_build_at_end(f.func->body);
  const tn_type *type = tn_type_static(f.ctx, TN_F32, 2, (int64_t[]){2, 3});
  f.x = tn_block_add_param(f.func->body, type, "x");
  f.y = tn_block_add_param(f.func->body, type, "y");
  return f;
}

static void teardown(fixture *f) {
  tn_module_destroy(f->module);
  tn_ctx_destroy(f->ctx);
}

static void uses_follow_changes(void **state) {
  (void)state;
  fixture f = setup();
  tn_value *sum = tn_build_binary(&f.b, TN_ADD, f.x, f.x), *out = tn_build_unary(&f.b, TN_NEG, sum);
  tn_build_return(&f.b, &out, 1);
  assert_int_equal(f.x->n_uses, 2);
  tn_node_set_operand(sum->def, 1, f.y);
  assert_int_equal(f.x->n_uses, 1);
  assert_int_equal(f.y->n_uses, 1);
  tn_value_replace(f.x, f.y);
  assert_int_equal(f.x->n_uses, 0);
  assert_int_equal(f.y->n_uses, 2);
  assert_true(tn_verify_func(f.func));
  tn_value_replace(out, sum);
  tn_node_remove(out->def);
  assert_int_equal(sum->n_uses, 1);
  assert_true(tn_verify_func(f.func));
  teardown(&f);
}

static void refused_nodes_leave_no_trace(void **state) {
  (void)state;
  fixture f = setup();
  tn_value *flat = tn_build_reshape(&f.b, f.x, (const tn_dim *[]){tn_dim_const(f.ctx, 6)}, 1);
  assert_non_null(flat);
  assert_null(tn_build_binary(&f.b, TN_ADD, f.x, flat)); /* ranks differ */
  assert_int_equal(f.x->n_uses, 1);
  assert_int_equal(flat->n_uses, 0);
  assert_int_equal(f.ctx->n_errors, 1);
  assert_null(tn_build_unary(&f.b, TN_NEG, NULL)); /* the trace of an earlier error is no new one */
  assert_int_equal(f.ctx->n_errors, 1);
  teardown(&f);
}

static bool breaks(fixture *f) {
  size_t before = f->ctx->n_errors;
  bool ok = tn_verify_func(f->func);
  return !ok && f->ctx->n_errors > before && f->ctx->diags.data[f->ctx->diags.n - 1].code == TN_E_VERIFY;
}

static void verifier_sees_broken_structure(void **state) {
  (void)state;
  fixture f = setup();
  tn_value *a = tn_build_unary(&f.b, TN_NEG, f.x), *c = tn_build_unary(&f.b, TN_EXP, a);
  tn_build_return(&f.b, &c, 1);
  assert_true(tn_verify_func(f.func));
  tn_node_move_before(c->def, a->def);
  assert_true(breaks(&f)); /* used before it is defined */
  tn_node_move_before(a->def, c->def);
  assert_true(tn_verify_func(f.func));
  a->n_uses++;
  assert_true(breaks(&f));
  a->n_uses--;
  const tn_type *type = c->type;
  c->type = tn_type_scalar(f.ctx, TN_F32);
  assert_true(breaks(&f)); /* not what infer says */
  c->type = type;
  c->storage = tn_storage_row_major(f.module, 3);
  assert_true(breaks(&f));
  c->storage = NULL;
  a->def_index = 1;
  assert_true(breaks(&f));
  a->def_index = 0;
  assert_true(tn_verify_func(f.func));
  teardown(&f);
}

static void guards_are_recorded_once(void **state) {
  (void)state;
  fixture f = setup();
  const tn_symbol *s = tn_symbol_create(f.ctx, TN_SYM_INPUT, "S", NULL, 0, TN_DIM_INF);
  const tn_symbol *t = tn_symbol_create(f.ctx, TN_SYM_INPUT, "T", NULL, 5, 9);
  const tn_dim *p = tn_dim_symbol(f.ctx, s), *q = tn_dim_symbol(f.ctx, t), *nine = tn_dim_const(f.ctx, 9);
  assert_false(tn_func_dims_equal(f.func, p, q));
  for (int i = 0; i < 2; i++) assert_true(tn_func_require_eq(f.func, p, q, TN_LOC_NONE, "axis %d", 0));
  assert_int_equal(f.func->guards.n, 1);
  assert_true(tn_func_dims_equal(f.func, tn_dim_mul_i(f.ctx, p, 2), tn_dim_add(f.ctx, p, q)));
  for (int i = 0; i < 2; i++)
    assert_true(tn_func_require_eq(f.func, tn_dim_min(f.ctx, p, tn_dim_const(f.ctx, 7)), q, TN_LOC_NONE, "cut"));
  assert_int_equal(f.func->guards.n, 2);
  assert_true(tn_func_require_le(f.func, q, nine, TN_LOC_NONE, "proved"));
  assert_int_equal(f.func->guards.n, 2);
  assert_false(tn_func_require_eq(f.func, q, tn_dim_const(f.ctx, 4), TN_LOC_NONE, "never"));
  assert_false(tn_func_require_le(f.func, q, tn_dim_const(f.ctx, 4), TN_LOC_NONE, "never"));
  teardown(&f);
}

/* 8 == 2*S says that S is 4, 2*S == 3*T nothing of either, 2*S + 6*T == 4 that S is 2 - 3*T. */
static void guards_are_solved(void **state) {
  (void)state;
  fixture f = setup();
  const tn_dim *s = tn_dim_symbol(f.ctx, tn_symbol_create(f.ctx, TN_SYM_INPUT, "S", NULL, 0, TN_DIM_INF));
  const tn_dim *t = tn_dim_symbol(f.ctx, tn_symbol_create(f.ctx, TN_SYM_INPUT, "T", NULL, 0, TN_DIM_INF));
  const tn_dim *twice = tn_dim_mul_i(f.ctx, s, 2), *sum = tn_dim_add(f.ctx, twice, tn_dim_mul_i(f.ctx, t, 6));
  const tn_guard guards[] = {{.kind = TN_GUARD_EQ, .p = tn_dim_const(f.ctx, 8), .q = twice},
                             {.kind = TN_GUARD_EQ, .p = twice, .q = tn_dim_mul_i(f.ctx, t, 3)},
                             {.kind = TN_GUARD_EQ, .p = sum, .q = tn_dim_const(f.ctx, 4)}};
  assert_ptr_equal(tn_guards_reduce(f.ctx, &guards[0], 1, tn_dim_mul(f.ctx, s, t)), tn_dim_mul_i(f.ctx, t, 4));
  assert_ptr_equal(tn_guards_reduce(f.ctx, &guards[1], 1, s), s);
  const tn_dim *left = tn_dim_sub(f.ctx, tn_dim_const(f.ctx, 2), tn_dim_mul_i(f.ctx, t, 3));
  assert_ptr_equal(tn_guards_reduce(f.ctx, &guards[2], 1, s), left);
  teardown(&f);
}

static void recipes_move_elements(void **state) {
  (void)state;
  fixture f = setup();
  const uint8_t data[24] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
  tn_const *base = tn_const_data(f.module, "w", tn_type_static(f.ctx, TN_U8, 3, (int64_t[]){2, 3, 4}), data);
  tn_const *turned = tn_const_recipe_transpose(f.module, base, (const uint8_t[]){2, 0, 1});
  const tn_type *flat = tn_type_static(f.ctx, TN_U8, 1, (int64_t[]){24});
  tn_const *line = tn_const_recipe_reshape(f.module, turned, flat);
  tn_const *wide = tn_const_recipe_cast(f.module, line, TN_I32);
  const uint8_t *bytes = tn_const_read(line, f.module->arena);
  const int32_t *ints = tn_const_read(wide, f.module->arena);
  for (int k = 0; k < 4; k++)
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 3; j++) {
        assert_int_equal(bytes[(k * 2 + i) * 3 + j], data[(i * 3 + j) * 4 + k]);
        assert_int_equal(ints[(k * 2 + i) * 3 + j], data[(i * 3 + j) * 4 + k]);
      }
  assert_string_equal(tn_const_data(f.module, "w", flat, data)->name, "w_2");
  assert_int_equal(tn_const_bytes(wide), 96);
  teardown(&f);
}

static void storages_give_strides(void **state) {
  (void)state;
  fixture f = setup();
  const tn_type *type = tn_type_static(f.ctx, TN_F32, 3, (int64_t[]){5, 10, 7});
  tn_storage storage = {.ndim = 3, .order = {0, 2, 1}, .align_elements = 8, .pad_elements = 3};
  const tn_dim *strides[3], *total;
  tn_storage_strides(f.ctx, type, tn_storage_intern(f.module, &storage), strides, &total);
  assert_ptr_equal(tn_storage_intern(f.module, &storage), tn_storage_intern(f.module, &storage));
  assert_int_equal(tn_dim_value(strides[1]), 1);
  assert_int_equal(tn_dim_value(strides[2]), 19);
  assert_int_equal(tn_dim_value(strides[0]), 7 * 19);
  assert_int_equal(tn_dim_value(total), 5 * 7 * 19);
  teardown(&f);
}

/* An operator of the test's own shows that blocks, printing and the verifier carry them. */
static bool infer_body(tn_infer *infer) {
  infer->n_results = infer->node->n_regions;
  infer->types[0] = infer->operands[0]->type;
  return true;
}

static void regions_print_and_verify(void **state) {
  (void)state;
  static const tn_operand_def operands[] = {{.name = "x", .dtypes = TN_SET_ANY}};
  static const tn_opdef body_op = {.name = "body", .kind = TN_OP_PRIMITIVE, .operands = operands, .n_operands = 1,
                                   .n_regions = 1, .infer = infer_body};
  fixture f = setup();
  tn_node *node = tn_build_node(&f.b, &body_op, &f.x, 1, NULL);
  tn_block *region = tn_node_add_region(node);
  tn_value *param = tn_block_add_param(region, f.x->type, "");
  tn_build inner = tn_build_at_end(region);
  tn_value *inside = tn_build_unary(&inner, TN_NEG, param);
  tn_build_return(&inner, &inside, 1);
  assert_true(tn_node_infer(node));
  tn_build_return(&f.b, node->results, node->n_results);
  assert_true(tn_verify_func(f.func));
  tn_buf out = tn_buf_create(f.ctx->arena);
  tn_text_print(f.module, TN_TEXT_ALL, &out);
  assert_non_null(strstr(out.data, "= body %0 { ^(%3: f32[2,3])\n    %4 = neg %3 : f32[2,3] loc(0)\n    yield %4"));
  tn_node_set_operand(inside->def, 0, f.x);
  assert_true(breaks(&f)); /* regions are isolated */
  teardown(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(uses_follow_changes),       cmocka_unit_test(refused_nodes_leave_no_trace),
      cmocka_unit_test(guards_are_solved),
      cmocka_unit_test(guards_are_recorded_once),  cmocka_unit_test(verifier_sees_broken_structure),
      cmocka_unit_test(recipes_move_elements),     cmocka_unit_test(storages_give_strides),
      cmocka_unit_test(regions_print_and_verify),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
