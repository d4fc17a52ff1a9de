/* JSON by a cursor: what is taken, what is refused, where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/train/json.h"

static tnrt_json over(const char *text) { return tnrt_json_over(text, strlen(text)); }

static bool is_json(const char *text) {
  tnrt_json json = over(text);
  return tnrt_json_skip(&json) && tnrt_json_peek(&json) == 0 && !json.error;
}

static void grammar(void **state) {
  (void)state;
  static const char *const good[] = {"0",
                                     "-1.5e+3",
                                     "\"\"",
                                     "[]",
                                     "{}",
                                     "[1,[2,{\"a\":[]}],null]",
                                     "{\"a\":1,\"b\":{\"c\":true}}",
                                     " [ 1 , 2 ] ",
                                     "\"\\u00e9\\n\"",
                                     "\"\\ud83d\\ude00\"",
                                     "false"};
  static const char *const bad[] = {
      "",           "[",       "]",         "{",           "[1,]",        "[,1]",   "{\"a\"}", "{\"a\":}",
      "{\"a\":1,}", "{1:2}",   "01",        "-",           "1.",          "1e",     ".5",      "+1",
      "\"",         "\"\\x\"", "\"\\u12\"", "\"\\ud83d\"", "\"\\udc00\"", "\"\n\"", "[1 2]",   "{\"a\":\"b\":1}",
      "nul",        "[1}",     "{\"a\":1]", "1 2",         "[] []",       "tru",    "NaN"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    if (!is_json(good[i])) fail_msg("refused: %s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (is_json(bad[i])) fail_msg("taken: %s", bad[i]);
}

static void depth(void **state) {
  (void)state;
  char text[140];
  memset(text, '[', 64);
  memset(text + 64, ']', 64);
  text[128] = 0;
  assert_true(is_json(text));
  memset(text, '[', 65);
  memset(text + 65, ']', 65);
  text[130] = 0;
  assert_false(is_json(text));
}

static void values(void **state) {
  (void)state;
  char text[16];
  int64_t whole = 0;
  double real = 0;
  size_t bytes = 0;
  tnrt_json json = over(
      "{\"n\": -9223372036854775808, \"x\": 2.5, \"s\": \"a\\u20ac\\ud83d\\ude00b\", \"t\": \"0123456789abcdefgh\"}");
  assert_true(tnrt_json_enter(&json, '{') && tnrt_json_more(&json) && tnrt_json_key(&json, text, sizeof text));
  assert_string_equal(text, "n");
  assert_true(tnrt_json_integer(&json, &whole) && whole == INT64_MIN);
  assert_true(tnrt_json_more(&json) && tnrt_json_key(&json, text, sizeof text) && tnrt_json_number(&json, &real));
  assert_true(real == 2.5);
  assert_true(tnrt_json_more(&json) && tnrt_json_key(&json, text, sizeof text));
  assert_true(tnrt_json_text(&json, text, sizeof text, &bytes) && bytes == 9);
  assert_string_equal(text,
                      "a\xe2\x82\xac\xf0\x9f\x98\x80"
                      "b");
  assert_true(tnrt_json_more(&json) && tnrt_json_key(&json, text, sizeof text));
  assert_true(tnrt_json_text(&json, text, sizeof text, &bytes) && bytes == 18);
  assert_string_equal(text, "0123456789abcde");
  assert_false(tnrt_json_more(&json));
  assert_true(tnrt_json_peek(&json) == 0 && !json.error);
  json = over("9223372036854775808");
  assert_false(tnrt_json_integer(&json, &whole));
  json = over("1.0");
  assert_false(tnrt_json_integer(&json, &whole));
  assert_string_equal(json.error, "expected a whole number");
}

/* A text may be unescaped where it stands. */
static void in_place(void **state) {
  (void)state;
  char text[] = "\"\\u0041\\n\\\\x\\ud83d\\ude00\"";
  tnrt_json json = over(text);
  assert_true(tnrt_json_text(&json, text + 1, strlen(text) - 1, NULL));
  assert_string_equal(text + 1, "A\n\\x\xf0\x9f\x98\x80");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(grammar), cmocka_unit_test(depth), cmocka_unit_test(values),
                                     cmocka_unit_test(in_place)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
