/* Element types of the runtime: sizes, values, and that its numbers are those of the compiler's table. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/type.h"
#include "runtime/core/dtype.h"

static void same_order_as_the_compiler(void **state) {
  (void)state;
  static const char *const names[] = {
#define X(enumerator, name, bits, class) name,
#include "ir/dtype.def"
#undef X
  };
  static const int bits_of[] = {
#define X(enumerator, name, bits, class) bits,
#include "ir/dtype.def"
#undef X
  };
  for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    assert_non_null(tnrt_dtype_find(i));
    assert_string_equal(tnrt_dtype_name(i), names[i]);
    assert_int_equal(tnrt_dtype_find(i)->bits, bits_of[i]);
  }
  assert_null(tnrt_dtype_find(sizeof names / sizeof names[0]));
}

static void check(uint32_t dtype, uint16_t bits, double want) {
  double got = tnrt_element(dtype, &bits, 0);
  if (isnan(want))
    assert_true(isnan(got));
  else
    assert_true(got == want && signbit(got) == signbit(want));
}

static void small_floats(void **state) {
  (void)state;
  check(TNRT_F16, 0x3c00, 1);
  check(TNRT_F16, 0x0001, 0x1p-24);
  check(TNRT_F16, 0xfc00, -(double)INFINITY);
  check(TNRT_BF16, 0x4049, 3.140625);
  check(TNRT_F8E4M3, 0x7e, 448);
  check(TNRT_F8E4M3, 0x7f, (double)NAN);
  check(TNRT_F8E5M2, 0x7b, 57344);
  check(TNRT_F8E5M2, 0x7c, (double)INFINITY);
  check(TNRT_F8E4M3UZ, 0x80, (double)NAN);
  check(TNRT_F8E4M3UZ, 0x7f, 240);
  check(TNRT_F8E5M2UZ, 0x7f, 57344);
  check(TNRT_F8E8M0, 0, 0x1p-127);
  check(TNRT_F8E8M0, 255, (double)NAN);
  check(TNRT_F4E2M1, 7, 6);
  check(TNRT_F4E2M1, 9, -0.5);
  check(TNRT_I8, 0xff, -1);
  check(TNRT_U16, 0xffff, 65535);
  check(TNRT_BOOL, 1, 1);
}

static void sizes_do_not_wrap(void **state) {
  (void)state;
  const int64_t huge[] = {INT64_MAX, 2}, empty[] = {INT64_MAX, INT64_MAX, 0}, negative[] = {0, -1}, fine[] = {2, 3};
  assert_int_equal(tnrt_bytes_of(TNRT_F32, 2, huge), -1);
  assert_int_equal(tnrt_bytes_of(TNRT_F32, 1, huge), -1);
  assert_int_equal(tnrt_bytes_of(TNRT_F32, 3, empty), 0);
  assert_int_equal(tnrt_bytes_of(TNRT_F32, 2, negative), -1);
  assert_int_equal(tnrt_bytes_of(TNRT_F16, 2, fine), 12);
  assert_int_equal(tnrt_bytes_of(TNRT_I4, 2, fine), 6);
  char text[8];
  assert_string_equal(tnrt_shape_text(text, sizeof text, 2, fine), "[2,3]");
  assert_int_equal(strlen(tnrt_shape_text(text, sizeof text, 2, huge)), 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_order_as_the_compiler), cmocka_unit_test(small_floats),
                                     cmocka_unit_test(sizes_do_not_wrap)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
