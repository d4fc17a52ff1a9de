/* Readers of .npy and TensorProto on files written by hand, whole, cut at every length and with every byte changed.
 * (tests/rt/test_exe.py reads files that numpy wrote, .npz among them.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/core/array.h"

/* A .npy of `version` around header and elements; returns its length. */
static size_t make_npy(uint8_t *file, int version, const char *header, const void *elements, size_t bytes) {
  size_t length = strlen(header), prefix = version == 1 ? 10 : 12;
  memcpy(file, "\x93NUMPY", 6);
  file[6] = (uint8_t)version;
  file[7] = 0;
  file[8] = (uint8_t)length;
  file[9] = (uint8_t)(length >> 8);
  file[10] = file[11] = 0;
  memcpy(file + prefix, header, length);
  memcpy(file + prefix + length, elements, bytes);
  return prefix + length + bytes;
}

static void reads_npy(void **state) {
  (void)state;
  _Alignas(64) uint8_t file[512];
  tnrt_array a;
  tnrt_message m;
  const uint8_t big[] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6};
  for (int version = 1; version <= 3; version++) {
    size_t n = make_npy(file, version, "{'shape': (2, 3L), \"descr\": '>i2','fortran_order':True}\n", big, sizeof big);
    assert_int_equal(tnrt_npy_read(&m, &tnrt_alloc_libc, file, n, &a), TNRT_OK);
    const int16_t want[] = {1, 3, 5, 2, 4, 6};
    assert_int_equal(a.ndim, 2);
    assert_int_equal(a.extents[1], 3);
    assert_memory_equal(a.data, want, sizeof want);
    tnrt_array_free(&tnrt_alloc_libc, &a);
  }
}

static void refuse_npy(const char *header, const char *text) {
  _Alignas(64) uint8_t file[512];
  tnrt_array a;
  tnrt_message m;
  size_t n = make_npy(file, 1, header, "12345678", 8);
  assert_int_equal(tnrt_npy_read(&m, &tnrt_alloc_libc, file, n, &a), TNRT_BAD_INPUT);
  assert_string_equal(m.text, text);
}

static void refuses_npy(void **state) {
  (void)state;
  refuse_npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
             "npy: element type '|O' is not taken (Python objects are never read)");
  refuse_npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "npy: element type '<c8' is not taken");
  refuse_npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
             "npy: structured arrays are not taken, only plain element types");
  refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
             "npy: expected 12 bytes of elements, found 8");
  refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 2), }",
             "npy: the sizes multiply to more than 2^63 bytes");
  refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
             "npy: 'shape' holds something else than sizes");
  refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
             "npy: 'shape' holds something else than sizes");
  refuse_npy("{'descr': '<f4', 'shape': (2,), }", "npy: the header lacks 'descr', 'fortran_order' or 'shape'");
  refuse_npy("{'descr': '<f4', 'descr': '<f4'}", "npy: unexpected key 'descr' in the header");
  refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } import os", "npy: text behind the header's "
                                                                                     "dictionary");
  refuse_npy("{'descr': '<f4', 'fortran_order': 1, 'shape': (2,), }",
             "npy: 'fortran_order' is neither True nor False");
  refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1), }",
             "npy: more than 16 dimensions");
}

typedef tnrt_status (*reader)(uint8_t *data, size_t bytes, tnrt_array *out);

static tnrt_status npy(uint8_t *data, size_t bytes, tnrt_array *out) {
  tnrt_message m;
  return tnrt_npy_read(&m, &tnrt_alloc_libc, data, bytes, out);
}

static tnrt_status pb(uint8_t *data, size_t bytes, tnrt_array *out) {
  tnrt_message m;
  const char *name;
  size_t name_bytes;
  return tnrt_pb_read(&m, &tnrt_alloc_libc, data, bytes, out, &name, &name_bytes);
}

/* Blocks of exact length, so that a sanitizer sees a byte too many; whatever is read must be whole. */
static void damage(reader read, const uint8_t *file, size_t n) {
  for (size_t i = 0; i <= 3 * n; i++) {
    size_t bytes = i < n ? i : n;
    uint8_t *copy = malloc(bytes + 1);
    tnrt_array a = {0};
    memcpy(copy, file, bytes);
    if (i >= n && i < 3 * n) copy[(i - n) / 2] ^= i % 2 ? 0xff : 0x01;
    uint8_t *exact = realloc(copy, bytes ? bytes : 1);
    if (read(exact, bytes, &a) == TNRT_OK) {
      volatile uint8_t sum = 0;
      for (int64_t k = 0; k < a.bytes; k++) sum = (uint8_t)(sum + a.data[k]);
    }
    tnrt_array_free(&tnrt_alloc_libc, &a);
    free(exact);
  }
}

static void damaged_files_do_no_harm(void **state) {
  (void)state;
  uint8_t file[512];
  size_t n = make_npy(file, 1, "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 1), }", "12345678", 8);
  damage(npy, file, n);
  const uint8_t floats[] = {0x08, 2, 0x08, 1, 0x10, 1, 0x22, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0x42, 1, 'x'};
  damage(pb, floats, sizeof floats);
  const uint8_t raw[] = {0x0a, 2, 3, 1, 0x10, 22, 0x4a, 2, 0xf1, 0x08};
  damage(pb, raw, sizeof raw);
}

static void reads_pb(void **state) {
  (void)state;
  tnrt_array a;
  /* int4 [3] packed in raw_data: 1, -1, -8 */
  uint8_t raw[] = {0x0a, 1, 3, 0x10, 22, 0x4a, 2, 0xf1, 0x08};
  assert_int_equal(pb(raw, sizeof raw, &a), TNRT_OK);
  const int8_t want[] = {1, -1, -8};
  assert_int_equal(a.dtype, TNRT_I4);
  assert_memory_equal(a.data, want, 3);
  tnrt_array_free(&tnrt_alloc_libc, &a);
  /* float [2], one float_data packed and one not, and a field that is unknown */
  uint8_t mixed[] = {0x08, 2, 0x10, 1, 0x22, 4, 0, 0, 0x80, 0x3f, 0x25, 0, 0, 0, 0x40, 0xfa, 1, 1, 'z'};
  assert_int_equal(pb(mixed, sizeof mixed, &a), TNRT_OK);
  const float floats[] = {1, 2};
  assert_memory_equal(a.data, floats, sizeof floats);
  tnrt_array_free(&tnrt_alloc_libc, &a);
  uint8_t one_too_few[] = {0x08, 3, 0x10, 1, 0x22, 4, 0, 0, 0x80, 0x3f};
  assert_int_equal(pb(one_too_few, sizeof one_too_few, &a), TNRT_BAD_INPUT);
  uint8_t huge[] = {0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0x10, 2, 0x2a, 1, 1};
  assert_int_equal(pb(huge, sizeof huge, &a), TNRT_BAD_INPUT);
  uint8_t external[] = {0x08, 1, 0x10, 1, 0x70, 1};
  assert_int_equal(pb(external, sizeof external, &a), TNRT_BAD_INPUT);
}

static void arrays_become_what_the_model_wants(void **state) {
  (void)state;
  tnrt_message m;
  uint8_t bytes[] = {0, 7, 8};
  tnrt_array a = {.dtype = TNRT_I8, .ndim = 1, .extents = {3}, .bytes = 3, .data = bytes};
  assert_int_equal(tnrt_array_become(&m, "input 'x'", &a, TNRT_I4), TNRT_BAD_INPUT);
  assert_string_equal(m.text, "input 'x': element 2 is 8, outside of i4 (-8 to 7)");
  assert_int_equal(tnrt_array_become(&m, "input 'x'", &a, TNRT_BF16), TNRT_BAD_INPUT);
  assert_string_equal(m.text, "input 'x': expected bf16, which travels as u16, found i8");
  a.dtype = TNRT_BOOL;
  assert_int_equal(tnrt_array_become(&m, "input 'x'", &a, TNRT_BOOL), TNRT_OK);
  assert_int_equal(bytes[2], 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_npy), cmocka_unit_test(refuses_npy), cmocka_unit_test(damaged_files_do_no_harm),
      cmocka_unit_test(reads_pb),  cmocka_unit_test(arrays_become_what_the_model_wants),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
