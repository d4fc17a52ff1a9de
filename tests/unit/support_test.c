/* The containers and the session: arenas, vectors, maps, strings, text buffers, diagnostics, locations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ir/ctx.h"

typedef struct limit {
  jmp_buf back;
  size_t wanted;
} limit;

static void out_of_memory(void *user, size_t wanted) {
  limit *l = user;
  l->wanted = wanted;
  longjmp(l->back, 1);
}

static void test_arena_gives_aligned_zeroed_memory(void **state) {
  (void)state;
  tn_arena *arena = tn_arena_create((tn_oom){0}, 0);
  for (size_t bytes = 0; bytes < 70000; bytes = bytes * 3 + 1) {
    unsigned char *data = tn_arena_alloc(arena, bytes);
    assert_int_equal((uintptr_t)data % 16, 0);
    for (size_t i = 0; i < bytes; i++) assert_int_equal(data[i], 0);
    memset(data, 0xff, bytes);
  }
  tn_arena_destroy(arena);
}

static void test_arena_reports_its_limit_and_overflow(void **state) {
  (void)state;
  limit l = {.wanted = 0};
  tn_arena *volatile arena = tn_arena_create((tn_oom){out_of_memory, &l}, 1 << 20);
  if (setjmp(l.back) == 0) {
    for (;;) tn_arena_alloc(arena, 4096);
  }
  assert_int_equal(l.wanted, 4096);
  assert_in_range(tn_arena_bytes(arena), 1, 1 << 20);
  if (setjmp(l.back) == 0) {
    tn_arena_alloc_n(arena, SIZE_MAX / 2, 4);
    fail();
  }
  assert_true(l.wanted == SIZE_MAX);
  tn_arena_destroy(arena);
}

static void count_call(void *user) { ++*(int *)user; }

static void test_arena_calls_what_waits_for_its_end(void **state) {
  (void)state;
  int n_calls = 0;
  tn_arena *arena = tn_arena_create((tn_oom){0}, 0);
  tn_arena_on_destroy(arena, count_call, &n_calls);
  tn_arena_on_destroy(arena, count_call, &n_calls);
  assert_int_equal(n_calls, 0);
  tn_arena_destroy(arena);
  assert_int_equal(n_calls, 2);
}

static void test_vector_keeps_what_was_pushed(void **state) {
  (void)state;
  tn_arena *arena = tn_arena_create((tn_oom){0}, 0);
  TN_VEC(int) vec = {0};
  for (int i = 0; i < 1000; i++) TN_VEC_PUSH(arena, &vec, i * i);
  assert_int_equal(vec.n, 1000);
  for (int i = 0; i < 1000; i++) assert_int_equal(vec.data[i], i * i);
  tn_arena_destroy(arena);
}

static void test_map_keeps_values_and_order(void **state) {
  (void)state;
  tn_arena *arena = tn_arena_create((tn_oom){0}, 0);
  tn_map map = tn_map_create(arena);
  static int values[2000];
  assert_null(tn_map_get_u64(&map, 0));
  for (uint64_t i = 0; i < 2000; i++) tn_map_set_u64(&map, i * 0x9e3779b97f4a7c15u, &values[i]);
  tn_map_set_u64(&map, 0, &values[7]); /* replaces, at its place */
  assert_int_equal(map.n, 2000);
  assert_ptr_equal(tn_map_get_u64(&map, 0), &values[7]);
  for (uint64_t i = 1; i < 2000; i++) {
    assert_ptr_equal(tn_map_get_u64(&map, i * 0x9e3779b97f4a7c15u), &values[i]);
    assert_true(map.entries[i].key == (uintptr_t)(i * 0x9e3779b97f4a7c15u));
  }
  assert_null(tn_map_get_u64(&map, 3));
  tn_map_set(&map, values, NULL);
  assert_true(tn_map_has(&map, values) && !tn_map_get(&map, values) && !tn_map_has(&map, values + 1));
  tn_arena_destroy(arena);
}

static void test_equal_strings_are_one(void **state) {
  (void)state;
  tn_arena *arena = tn_arena_create((tn_oom){0}, 0);
  tn_interner *strings = tn_interner_create(arena);
  const char *abc = tn_intern_z(strings, "abc");
  assert_string_equal(abc, "abc");
  assert_ptr_equal(tn_intern(strings, "abcd", 3), abc);
  assert_ptr_not_equal(tn_intern_z(strings, "abcd"), abc);
  assert_string_equal(tn_intern(strings, "", 0), "");
  tn_arena_destroy(arena);
}

static const char *double_text(tn_arena *arena, double v) {
  tn_buf buf = tn_buf_create(arena);
  tn_buf_double(&buf, v);
  return buf.data;
}

static void test_doubles_read_back_to_the_same_bits(void **state) {
  (void)state;
  tn_arena *arena = tn_arena_create((tn_oom){0}, 0);
  static const double values[] = {0, 1, -1.5, 0.1, 1.0 / 3, 1e300, 4.9e-324, 123456789, (double)(0.1f), 6.02214076e23};
  for (size_t i = 0; i < TN_ARRAY_LEN(values); i++) {
    double read = strtod(double_text(arena, values[i]), NULL);
    assert_memory_equal(&read, &values[i], sizeof(read));
  }
  assert_string_equal(double_text(arena, 0.1), "0.1");
  assert_string_equal(double_text(arena, -0.0), "-0");
  assert_string_equal(double_text(arena, -INFINITY), "-inf");
  tn_arena_destroy(arena);
}

static void test_text_is_escaped(void **state) {
  (void)state;
  tn_arena *arena = tn_arena_create((tn_oom){0}, 0);
  tn_buf buf = tn_buf_create(arena);
  tn_buf_escape(&buf, "a\"b\\\n\x01\xc3\xa9", 8);
  assert_string_equal(buf.data, "a\\\"b\\\\\\n\\x01\xc3\xa9");
  for (int i = 0; i < 300; i++) tn_buf_printf(&buf, "%d,", i); /* grows */
  assert_int_equal(strlen(buf.data), buf.n);
  tn_arena_destroy(arena);
}

static void test_utf8(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t bytes;
  } rows[] = {{"", 0},         {"a", 1},            {"\xc3\xa9", 2},     {"\xe2\x82\xac", 3},
              {"\x80", 0},     {"\xc0\xaf", 0},     {"\xc3", 0},         {"\xf0\x9f\x98\x80", 4},
              {"\xff", 0},     {"\xe0\x9f\xbf", 0}, {"\xe2\x82", 0},     {"\xf0\x8f\xbf\xbf", 0},
              {"\xed\xa0", 0}, {"\xed\xa0\x80", 0}, {"\xf5\x80\x80", 0}, {"\xf4\x90\x80\x80", 0}};
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++) assert_int_equal(tn_utf8_bytes(rows[i].text), rows[i].bytes);
}

static void test_nearest_name(void **state) {
  (void)state;
  static const char *const names[] = {"reshape", "reduce", "resize"};
  assert_string_equal(tn_str_nearest("reshap", names, 3), "reshape");
  assert_string_equal(tn_str_nearest("reduse", names, 3), "reduce");
  assert_null(tn_str_nearest("softmax", names, 3));
}

static void test_errors_are_counted_past_the_limit(void **state) {
  (void)state;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  ctx->max_errors = 2;
  for (int i = 0; i < 5; i++) assert_false(tn_error(ctx, TN_LOC_NONE, TN_E_SHAPE, "number %d", i));
  tn_note(ctx, TN_LOC_NONE, "too late");
  assert_int_equal(tn_diag_n_errors(ctx), 5);
  assert_int_equal(ctx->diags.n, 2);
  assert_string_equal(ctx->diags.data[1].text, "number 1");
  tn_ctx_destroy(ctx);
}

static void test_codes_have_unique_names(void **state) {
  (void)state;
  for (tn_diag_code code = 0; code < TN_N_DIAG_CODES; code++) {
    assert_int_equal(tn_diag_code_find(tn_diag_code_name(code)), code);
    assert_true(strlen(tn_diag_code_text(code)) > 20);
  }
  assert_int_equal(tn_diag_code_find("tn0101"), TN_E_TEXT);
  assert_int_equal(tn_diag_code_find("TN9999"), TN_N_DIAG_CODES);
}

static const char *loc_text(tn_ctx *ctx, tn_loc loc) {
  tn_buf buf = tn_buf_create(ctx->arena);
  tn_loc_print(ctx, loc, &buf);
  return buf.data ? buf.data : "";
}

static void test_locations(void **state) {
  (void)state;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_loc span = tn_loc_span(ctx, "mlp.tn", 7, 12, 7, 30);
  tn_loc node = tn_loc_onnx(ctx, "m.onnx", "", 17, "fc1", "MatMul", 13);
  assert_int_equal(tn_loc_span(ctx, "mlp.tn", 7, 12, 7, 30), span);
  assert_string_equal(loc_text(ctx, span), "mlp.tn:7:12");
  assert_string_equal(loc_text(ctx, node), "m.onnx: node 17 'fc1' (MatMul, opset 13)");
  tn_loc both = tn_loc_join(ctx, span, node);
  assert_string_equal(loc_text(ctx, both), "mlp.tn:7:12");
  assert_int_equal(tn_loc_join(ctx, both, span), both); /* no repeats */
  assert_int_equal(tn_loc_join(ctx, TN_LOC_NONE, node), node);
  for (uint32_t i = 1; i < 40; i++) both = tn_loc_join(ctx, both, tn_loc_span(ctx, "f", i, 1, i, 2));
  assert_int_equal(tn_loc_get(ctx, both)->n_origins, TN_LOC_MAX_ORIGINS);
  tn_loc_push(ctx, span);
  tn_loc_push(ctx, node);
  assert_int_equal(tn_loc_current(ctx), node);
  tn_loc_pop(ctx);
  assert_int_equal(tn_loc_current(ctx), span);
  tn_ctx_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_arena_gives_aligned_zeroed_memory),
      cmocka_unit_test(test_arena_reports_its_limit_and_overflow),
      cmocka_unit_test(test_arena_calls_what_waits_for_its_end),
      cmocka_unit_test(test_vector_keeps_what_was_pushed),
      cmocka_unit_test(test_map_keeps_values_and_order),
      cmocka_unit_test(test_equal_strings_are_one),
      cmocka_unit_test(test_doubles_read_back_to_the_same_bits),
      cmocka_unit_test(test_text_is_escaped),
      cmocka_unit_test(test_utf8),
      cmocka_unit_test(test_nearest_name),
      cmocka_unit_test(test_errors_are_counted_past_the_limit),
      cmocka_unit_test(test_codes_have_unique_names),
      cmocka_unit_test(test_locations),
  };
  return cmocka_run_group_tests_name("support", tests, NULL, NULL);
}
