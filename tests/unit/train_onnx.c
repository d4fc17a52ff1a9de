/* A model with weights as ONNX: why there is none, and one that is damaged. That it is right is seen by
 * tests/train/test_export.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>


#include <cmocka.h>

#include "runtime/train/onnx.h"

typedef struct made_up {
  tnrt_training plan;
  uint32_t names[2];
  char texts[32];
  uint8_t model[8];
} made_up;

static const int64_t two[] = {2};
static float elements[] = {1, 2};

static tnrt_status write_it(made_up *m, uint32_t dtype, tnrt_message *message, char *path) {
  tnrt_saved weight = {"w", dtype, 1, two, 8, elements};
  m->plan.n_weights = 1;
  m->names[0] = offsetof(made_up, texts);
  snprintf(path, 64, "/tmp/tenon-onnx-%ld", (long)getpid());
  return tnrt_onnx_write(message, &m->plan, &weight, path);
}

static void refused(void **state) {
  (void)state;
  made_up m = {.texts = "why not"};
  tnrt_message message;
  char path[64];
  assert_int_equal(write_it(&m, TNRT_F32, &message, path), TNRT_BAD_INPUT);
  assert_string_equal(message.text, "--onnx: the program has no such model");
  m.plan.onnx_names = offsetof(made_up, texts);
  assert_int_equal(write_it(&m, TNRT_F32, &message, path), TNRT_BAD_INPUT);
  assert_string_equal(message.text, "--onnx: why not");
  m.plan.onnx = offsetof(made_up, model);
  m.plan.onnx_names = offsetof(made_up, names);
  static const uint8_t damaged[][4] = {{0x08, 0x80}, {0x3a, 0x05, 1, 2}, {0x3a}, {0x12, 0x01}, {0x38, 0x01}, {0x80}};
  for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
    memcpy(m.model, damaged[i], 4);
    m.plan.onnx_bytes = damaged[i][1] ? damaged[i][2] ? 4 : 2 : 1;
    assert_int_equal(write_it(&m, TNRT_F32, &message, path), TNRT_BAD_INPUT);
    assert_non_null(strstr(message.text, "damaged"));
  }
  assert_int_equal(access(path, F_OK), -1);
}

/* ir_version 8, a graph with a name, a field behind it. */
static void written(void **state) {
  (void)state;
  static const uint8_t wanted[] = {0x08,   8,    0x3a, 27,   0x12, 1,    'g', /* the initializer: */ 0x2a,
                                   22 - 1, 0x08, 2,    0x10, 1,    0x42, 6,   'w',
                                   'e',    'i',  'g',  'h',  't',  0x4a, 8};
  made_up m = {.texts = "weight", .model = {0x08, 8, 0x3a, 3, 0x12, 1, 'g', 0}};
  tnrt_message message;
  char path[64];
  uint8_t found[64] = {0};
  m.plan.onnx = offsetof(made_up, model);
  m.plan.onnx_bytes = 7;
  m.plan.onnx_names = offsetof(made_up, names);
  assert_int_equal(write_it(&m, TNRT_F8E4M3UZ, &message, path), TNRT_BAD_INPUT);
  if (write_it(&m, TNRT_F32, &message, path) != TNRT_OK) fail_msg("%s", message.text);
  FILE *file = fopen(path, "rb");
  size_t n = fread(found, 1, sizeof found, file);
  fclose(file);
  unlink(path);
  assert_int_equal(n, sizeof wanted + 8);
  assert_int_equal(found[3], n - 4);
  assert_int_equal(found[8], n - 9);
  assert_memory_equal(found + 9, wanted + 9, sizeof wanted - 9);
  assert_memory_equal(found + sizeof wanted, elements, 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(refused), cmocka_unit_test(written)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
