/* Headers of safetensors: what is written reads back; what is not sound is refused with a reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/train/safetensors.h"

enum { MOST = 8 };

typedef struct tables {
  tnrt_stored tensors[MOST];
  uint32_t by_name[MOST];
  tnrt_saved_text texts[MOST];
} tables;

static tnrt_status parse(tnrt_message *message, char *header, size_t bytes, uint64_t data, tables *t,
                         tnrt_safetensors *out) {
  *out = (tnrt_safetensors){t->tensors, t->by_name, t->texts, 0, 0, MOST, MOST};
  return tnrt_safetensors_parse(message, header, bytes, data, out);
}

static void round_trip(void **state) {
  (void)state;
  static const int64_t matrix[] = {2, 3}, empty[] = {0, 7};
  const tnrt_saved tensors[] = {{"z \"\xc3\xa9\"\\", TNRT_F32, 2, matrix, 24, NULL},
                                {"b", TNRT_BF16, 2, empty, 0, NULL},
                                {"a", TNRT_I64, 0, NULL, 8, NULL}};
  const tnrt_saved_text texts[] = {{"labels.y", "[\"a\",\"b\\\"\"]\n"},
                                   {"bytes",
                                    "\xff"
                                    "x\xc0\x80"}};
  char file[1024];
  tables t;
  tnrt_safetensors read;
  tnrt_message message;
  size_t n = tnrt_safetensors_header(file, sizeof file, tensors, 3, texts, 2);
  assert_true(n > 0 && n % 64 == 0 && n <= sizeof file);
  assert_int_equal(tnrt_safetensors_header(NULL, 0, tensors, 3, texts, 2), n);
  uint64_t bytes;
  assert_int_equal(tnrt_safetensors_header_bytes(&message, (uint8_t *)file, n + 32, &bytes), TNRT_OK);
  assert_int_equal(bytes, n - 8);
  assert_true(tnrt_safetensors_is_sound(file + 8, bytes));
  for (size_t i = 8; i < n; i++) {
    file[i] ^= 1;
    assert_false(tnrt_safetensors_is_sound(file + 8, bytes));
    file[i] ^= 1;
  }
  uint32_t n_tensors, n_texts;
  tnrt_safetensors_bound(file + 8, bytes, &n_tensors, &n_texts);
  assert_true(n_tensors >= 3 && n_texts >= 3);
  if (parse(&message, file + 8, bytes, 32, &t, &read) != TNRT_OK) fail_msg("%s", message.text);
  assert_int_equal(read.n_tensors, 3);
  const tnrt_stored *z = tnrt_safetensors_find(&read, tensors[0].name), *a = tnrt_safetensors_find(&read, "a");
  assert_true(z && z->ndim == 2 && z->extents[1] == 3 && z->begin == 0 && z->end == 24 && z->dtype == TNRT_F32);
  assert_true(a && a->ndim == 0 && a->begin == 24 && a->end == 32);
  assert_null(tnrt_safetensors_find(&read, "c"));
  assert_string_equal(tnrt_safetensors_text(&read, "labels.y"), texts[0].text);
  assert_string_equal(tnrt_safetensors_text(&read, "bytes"), "?x??");
}

#define T(name, dtype, shape, from, to) \
  "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

typedef struct refused {
  const char *header;
  uint64_t data;
  const char *why;
} refused;

static const refused cases[] = {
    {"[]", 0, "expected '{'"},
    {"{" T("a", "F32", "[2]", "0", "8") "}", 9, "the file 9 behind"},
    {"{" T("a", "F32", "[2]", "0", "8") "} x", 8, "behind the object"},
    {"{" T("a", "F32", "[2]", "0", "4") "}", 4, "disagree"},
    {"{" T("a", "F31", "[2]", "0", "8") "}", 8, "not known"},
    {"{" T("a", "F32", "[-2]", "0", "8") "}", 8, "something else than sizes"},
    {"{" T("a", "F32", "[2]", "8", "0") "}", 8, "in order"},
    {"{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "4", "12") "}", 12, "overlap"},
    {"{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "12", "20") "}", 20, "gap"},
    {"{" T("a", "F32", "[2]", "0", "8") "," T("a", "F32", "[2]", "8", "16") "}", 16, "stands twice"},
    {"{" T("a", "F32", "[9223372036854775807,2]", "0", "8") "}", 8, "disagree"},
    {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "16 dims"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "without dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "does not belong"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "expected a text"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "stands twice"},
    {"{\"__metadata__\":{\"a\":\"\\u0000\"}}", 0, "a zero"},
    {"{\"a\":[[[[", 0, "expected '{'"},
    {"{", 0, "expected a key"},
    {"", 0, "expected '{'"}};

static void refusals(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char header[512];
    tables t;
    tnrt_safetensors read;
    tnrt_message message = {""};
    snprintf(header, sizeof header, "%s", cases[i].header);
    tnrt_status status = parse(&message, header, strlen(header), cases[i].data, &t, &read);
    if (status != TNRT_BAD_INPUT || !strstr(message.text, cases[i].why))
      fail_msg("%s: %d '%s'", cases[i].header, (int)status, message.text);
  }
  uint8_t prefix[8] = {255, 255, 255, 255, 255, 255, 255, 255};
  uint64_t bytes;
  tnrt_message message;
  assert_int_equal(tnrt_safetensors_header_bytes(&message, prefix, 100, &bytes), TNRT_BAD_INPUT);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
