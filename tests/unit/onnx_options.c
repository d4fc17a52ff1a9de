/* The text of --dim and --input-shape. */
#include "frontend/onnx/onnx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int set_up(void **state) { return (*state = tn_ctx_create((tn_oom){0})) == NULL; }
static int tear_down(void **state) {
  tn_ctx_destroy(*state);
  return 0;
}

static void dims(void **state) {
  static const struct { const char *text; bool ok; int64_t lo, hi; } table[] = {
      {"B=4", true, 4, 4},       {"seq=1..512", true, 1, 512}, {"seq=1..", true, 1, TN_DIM_INF},
      {"a=b=3", true, 3, 3},     {"B=0", true, 0, 0},          {"B", false, 0, 0},
      {"=4", false, 0, 0},       {"B=", false, 0, 0},          {"B=-1", false, 0, 0},
      {"B=4..2", false, 0, 0},   {"B=1..2..3", false, 0, 0},   {"B=9223372036854775808", false, 0, 0},
      {"B=..4", false, 0, 0},    {"B=4x", false, 0, 0},
  };
  for (size_t i = 0; i < TN_ARRAY_LEN(table); i++) {
    tn_onnx_dim dim = {0};
    bool ok = tn_onnx_parse_dim(*state, table[i].text, &dim);
    if (ok != table[i].ok) fail_msg("'%s' was %s", table[i].text, ok ? "accepted" : "refused");
    if (!ok) continue;
    assert_true(dim.lo == table[i].lo && dim.hi == table[i].hi);
  }
}

static void shapes(void **state) {
  static const struct { const char *text; bool ok; uint32_t ndim; } table[] = {
      {"x:1,3,224,224", true, 4}, {"x:", true, 0},      {"a:b:1", true, 1},   {"x:N,?,3", true, 3},
      {"x:1,", false, 0},         {"x:,1", false, 0},   {"x:1,,2", false, 0}, {":1", false, 0},
      {"x", false, 0},            {"x:-1", false, 0},   {"x:1e3", false, 0},  {"x:99999999999999999999", false, 0},
      {"x:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", false, 0},
  };
  for (size_t i = 0; i < TN_ARRAY_LEN(table); i++) {
    tn_onnx_shape shape = {0};
    bool ok = tn_onnx_parse_shape(*state, table[i].text, &shape);
    if (ok != table[i].ok) fail_msg("'%s' was %s", table[i].text, ok ? "accepted" : "refused");
    if (ok) assert_int_equal(shape.ndim, table[i].ndim);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(dims, set_up, tear_down),
      cmocka_unit_test_setup_teardown(shapes, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
