/* runtime/tenon.h, which users see, against runtime/abi.h, which the code is made by, and against DLPack 1.0
 * ("DLTensor" of dlpack.h on machines of 64 bits). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/abi.h"
#include "runtime/tenon.h"
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#endif

#define SAME(a, x, b, y) assert_true(offsetof(a, x) == offsetof(b, y) && sizeof(((a *)0)->x) == sizeof(((b *)0)->y))

static void test_tables_are_the_descriptors(void **state) {
  (void)state;
  assert_int_equal(sizeof(tn_extent), sizeof(tnrt_extent));
  SAME(tn_extent, text, tnrt_extent, text);
  SAME(tn_extent, value, tnrt_extent, value);
  assert_int_equal(sizeof(tn_symbol), sizeof(tnrt_symbol));
  SAME(tn_symbol, name, tnrt_symbol, name);
  SAME(tn_symbol, lo, tnrt_symbol, lo);
  SAME(tn_symbol, hi, tnrt_symbol, hi);
  SAME(tn_symbol, input, tnrt_symbol, input);
  SAME(tn_symbol, axis, tnrt_symbol, axis);
  assert_int_equal(sizeof(tn_port), sizeof(tnrt_port));
  SAME(tn_port, name, tnrt_port, name);
  SAME(tn_port, shape, tnrt_port, shape);
  SAME(tn_port, number, tnrt_port, dtype);
  SAME(tn_port, ndim, tnrt_port, ndim);
  SAME(tn_port, type, tnrt_port, type);
  SAME(tn_port, extents, tnrt_port, extents);
  SAME(tn_port, dtype.code, tnrt_port, dl_code);
  SAME(tn_port, dtype.bits, tnrt_port, dl_bits);
  SAME(tn_port, dtype.lanes, tnrt_port, dl_lanes);
}

static void test_tensors_are_dlpacks(void **state) {
  (void)state;
  assert_int_equal(sizeof(tn_tensor), 48);
  assert_int_equal(offsetof(tn_tensor, data), 0);
  assert_int_equal(offsetof(tn_tensor, device.device_type), 8);
  assert_int_equal(offsetof(tn_tensor, device.device_id), 12);
  assert_int_equal(offsetof(tn_tensor, ndim), 16);
  assert_int_equal(offsetof(tn_tensor, dtype.code), 20);
  assert_int_equal(offsetof(tn_tensor, dtype.bits), 21);
  assert_int_equal(offsetof(tn_tensor, dtype.lanes), 22);
  assert_int_equal(offsetof(tn_tensor, shape), 24);
  assert_int_equal(offsetof(tn_tensor, strides), 32);
  assert_int_equal(offsetof(tn_tensor, byte_offset), 40);
  assert_int_equal(sizeof(tn_tensor), sizeof(tnrt_tensor));
  SAME(tn_tensor, device.device_type, tnrt_tensor, device_type);
  SAME(tn_tensor, ndim, tnrt_tensor, ndim);
  SAME(tn_tensor, dtype.code, tnrt_tensor, dtype_code);
  SAME(tn_tensor, dtype.bits, tnrt_tensor, dtype_bits);
  SAME(tn_tensor, dtype.lanes, tnrt_tensor, dtype_lanes);
  SAME(tn_tensor, shape, tnrt_tensor, shape);
  SAME(tn_tensor, strides, tnrt_tensor, strides);
  SAME(tn_tensor, byte_offset, tnrt_tensor, byte_offset);
}

#ifdef DLPACK_VERSION
static void test_the_header_of_dlpack_agrees(void **state) {
  (void)state;
  assert_int_equal(sizeof(tn_tensor), sizeof(DLTensor));
  SAME(tn_tensor, data, DLTensor, data);
  SAME(tn_tensor, ndim, DLTensor, ndim);
  SAME(tn_tensor, dtype.code, DLTensor, dtype.code);
  SAME(tn_tensor, dtype.bits, DLTensor, dtype.bits);
  SAME(tn_tensor, dtype.lanes, DLTensor, dtype.lanes);
  SAME(tn_tensor, shape, DLTensor, shape);
  SAME(tn_tensor, strides, DLTensor, strides);
  SAME(tn_tensor, byte_offset, DLTensor, byte_offset);
  assert_int_equal(kDLCPU, 1); /* the device's field has had two names */
}
#else
static void test_the_header_of_dlpack_agrees(void **state) {
  (void)state;
  skip(); /* Debian: libdlpack-dev */
}
#endif

/* What backends/cpu/llvm/c_level.c writes. */
static void test_the_record(void **state) {
  (void)state;
  assert_int_equal(TN_MODEL_VERSION, 1);
  assert_int_equal(sizeof(tn_model), 112);
  assert_int_equal(offsetof(tn_model, name), 8);
  assert_int_equal(offsetof(tn_model, n_symbols), 32);
  assert_int_equal(offsetof(tn_model, symbols), 48);
  assert_int_equal(offsetof(tn_model, arena_bytes), 72);
  assert_int_equal(offsetof(tn_model, destroy), 104);
}

static void test_statuses(void **state) {
  (void)state;
  assert_int_equal(TN_STATUS_OK, TNRT_OK);
  assert_int_equal(TN_STATUS_BAD_SHAPE, TNRT_BAD_SHAPE);
  assert_int_equal(TN_STATUS_BAD_INPUT, TNRT_BAD_INPUT);
  assert_int_equal(TN_STATUS_INDEX, TNRT_INDEX);
  assert_int_equal(TN_STATUS_NO_MEMORY, TNRT_NO_MEMORY);
  assert_int_equal(TN_STATUS_IO, TNRT_IO);
  assert_int_equal(TN_STATUS_CPU, TNRT_CPU);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tables_are_the_descriptors),  cmocka_unit_test(test_tensors_are_dlpacks),
      cmocka_unit_test(test_the_header_of_dlpack_agrees), cmocka_unit_test(test_the_record),
      cmocka_unit_test(test_statuses)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
