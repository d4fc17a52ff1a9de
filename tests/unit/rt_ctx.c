/* Contexts of the runtime against a model written by hand. */
#include <setjmp.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"
#include "tests/rt/toy.h"

/* An allocator that counts, and fails on the call `fail_at`. */
typedef struct counter {
  int calls, live, fail_at;
} counter;

static void *counted_get(void *user, size_t bytes, size_t align) {
  counter *c = user;
  if (++c->calls == c->fail_at) return NULL;
  c->live++;
  return tnrt_alloc_libc.get(NULL, bytes, align);
}

static void counted_give(void *user, void *memory) {
  ((counter *)user)->live--;
  tnrt_alloc_libc.give(NULL, memory);
}

typedef struct setup {
  float x[6];
  int64_t pick[2], x_shape[2], pick_shape[1];
  tnrt_tensor in[2], out[3];
} setup;

static void prepare(setup *s) {
  *s = (setup){.x = {1, 2, 3, 4, 5, 6}, .pick = {2, 0}, .x_shape = {2, 3}, .pick_shape = {2}};
  s->in[0] = (tnrt_tensor){.data = s->x, .device_type = 1, .ndim = 2, .dtype_code = 2, .dtype_bits = 32,
                           .dtype_lanes = 1, .shape = s->x_shape};
  s->in[1] = (tnrt_tensor){.data = s->pick, .device_type = 1, .ndim = 1, .dtype_code = 0, .dtype_bits = 64,
                           .dtype_lanes = 1, .shape = s->pick_shape};
}

static void runs_and_returns_views(void **state) {
  (void)state;
  setup s;
  tnrt_ctx *ctx;
  prepare(&s);
  assert_int_equal(tnrt_ctx_create(&ctx, &toy_model, &tnrt_alloc_libc, NULL, 0), TNRT_OK);
  for (int threads = 1; threads <= 3; threads++) {
    memset(s.out, 0, sizeof s.out);
    assert_int_equal(tnrt_ctx_set_threads(ctx, threads), TNRT_OK);
    assert_int_equal(tnrt_ctx_run(ctx, s.in, s.out), TNRT_OK);
    const float want[] = {3, 5, 7, 9, 11, 13}, picked[] = {3, 4};
    assert_memory_equal(s.out[0].data, want, sizeof want);
    assert_memory_equal(s.out[1].data, picked, sizeof picked);
    assert_int_equal(*(int64_t *)s.out[2].data, 6);
    assert_int_equal(s.out[0].ndim, 2);
    assert_int_equal(s.out[0].shape[1], 3);
    assert_int_equal(s.out[1].shape[0], 2);
  }
  tnrt_ctx_destroy(ctx);
}

static void callers_buffers_and_arena(void **state) {
  (void)state;
  setup s;
  tnrt_ctx *ctx;
  float scaled[6], picked[2];
  int64_t n;
  const int64_t symbols[] = {2, 3};
  _Alignas(64) uint8_t arena[2048];
  prepare(&s);
  assert_int_equal(tnrt_model_arena_bytes(&toy_model, symbols), 64);
  assert_int_equal(tnrt_model_arena_bytes(&toy_model, (int64_t[]){65, 3}), 0);
  size_t bytes = tnrt_ctx_arena_bytes(&toy_model, symbols);
  assert_true(bytes + 192 <= sizeof arena);
  assert_int_equal(tnrt_ctx_arena_bytes(&toy_model, (int64_t[]){0, 3}), 0);
  assert_int_equal(tnrt_ctx_create(&ctx, &toy_model, NULL, arena, bytes - 65), TNRT_NO_MEMORY);
  assert_null(ctx);
  assert_int_equal(tnrt_ctx_create(&ctx, &toy_model, NULL, arena + 8, bytes), TNRT_NO_MEMORY);
  assert_null(ctx);
  assert_int_equal(tnrt_ctx_create(&ctx, &toy_model, NULL, arena, bytes), TNRT_OK);
  const void *in[] = {s.x, s.pick};
  void *out[] = {scaled, picked, &n};
  assert_int_equal(tnrt_ctx_run_sized(ctx, symbols, in, out), TNRT_OK);
  assert_true(scaled[5] == 13 && picked[1] == 4 && n == 6);
  int64_t large[] = {2, 100};
  assert_int_equal(tnrt_ctx_run_sized(ctx, large, in, out), TNRT_NO_MEMORY);
  char text[80];
  snprintf(text, sizeof text, "the arena has %zu bytes, these sizes need %zu", bytes, bytes - 64 + 800);
  assert_string_equal(tnrt_ctx_message(ctx), text);
  /* Views lie behind the working memory, each in whole multiples of 64 bytes. */
  assert_int_equal(tnrt_ctx_run(ctx, s.in, s.out), TNRT_NO_MEMORY);
  assert_int_equal(tnrt_ctx_create(&ctx, &toy_model, NULL, arena, bytes + 192), TNRT_OK);
  assert_int_equal(tnrt_ctx_run(ctx, s.in, s.out), TNRT_OK);
  assert_ptr_equal(s.out[0].data, arena + bytes);
  assert_ptr_equal(s.out[2].data, arena + bytes + 128);
  assert_memory_equal(s.out[0].data, scaled, sizeof scaled);
  tnrt_ctx_destroy(ctx);
}

/* The runtime's own way of writing texts against the C library's. */
static void texts_are_as_printf_writes_them(void **state) {
  (void)state;
  static const char format[] = "%d %u %lld %llu %zu '%s' %.3s %.*s %%";
  char want[128], have[128];
  const long long least = LLONG_MIN;
  snprintf(want, sizeof want, "%d %u %lld %llu %zu '%s' %.3s %.*s %%", -7, 7u, least, ULLONG_MAX, sizeof want, "abc",
           "abcdef", 2, "xyz");
  for (size_t capacity = sizeof want; capacity > 0; capacity -= capacity > 9 ? 9 : 1) {
    size_t n = tnrt_text(have, capacity, format, -7, 7u, least, ULLONG_MAX, sizeof want, "abc", "abcdef", 2, "xyz");
    if (strlen(want) >= capacity) want[capacity - 1] = 0;
    assert_string_equal(have, want);
    assert_int_equal(n, strlen(want));
  }
}

static void refused(setup *s, tnrt_status status, const char *text) {
  tnrt_ctx *ctx;
  tnrt_ctx_create(&ctx, &toy_model, &tnrt_alloc_libc, NULL, 0);
  assert_int_equal(tnrt_ctx_run(ctx, s->in, s->out), status);
  assert_string_equal(tnrt_ctx_message(ctx), text);
  tnrt_ctx_destroy(ctx);
}

static void wrong_inputs_are_named(void **state) {
  (void)state;
  setup s;
  int64_t strides[] = {1, 2}, three[] = {1, 2, 3};
  prepare(&s);
  s.x_shape[0] = 65;
  refused(&s, TNRT_BAD_SHAPE, "input 'x' axis 0: expected at most 64, found 65; needed by toy.onnx: input 'x'");
  prepare(&s);
  s.pick_shape[0] = 5;
  refused(&s, TNRT_BAD_SHAPE,
          "input 'pick' axis 0: expected B = 2, found 5; "
          "needed by toy.onnx: node 1 'gather' (GatherElements, opset 13)");
  prepare(&s);
  s.in[0].ndim = 3;
  s.in[0].shape = three;
  refused(&s, TNRT_BAD_SHAPE, "input 'x': expected [B,N], found [1,2,3]");
  prepare(&s);
  s.in[0].dtype_bits = 64;
  refused(&s, TNRT_BAD_INPUT, "input 'x': expected f32, found float64");
  prepare(&s);
  s.in[0].strides = strides;
  refused(&s, TNRT_BAD_INPUT, "input 'x': must be dense and row-major, found strides [1,2]");
  prepare(&s);
  s.in[0].dtype_code = 40;
  s.in[0].dtype_lanes = 4;
  refused(&s, TNRT_BAD_INPUT, "input 'x': expected f32, found type code 40 of 32 bits of 4 lanes");
  prepare(&s);
  s.in[1].device_type = 2;
  refused(&s, TNRT_BAD_INPUT,
          "input 'pick': must be in the memory of the CPU (device type 1), found device type 2");
  prepare(&s);
  s.in[0].byte_offset = 1;
  refused(&s, TNRT_BAD_INPUT, "input 'x': must be aligned to 4 bytes");
  prepare(&s);
  s.in[1].data = NULL;
  refused(&s, TNRT_BAD_INPUT, "input 'pick': has no data");
  prepare(&s);
  s.x_shape[1] = INT64_MAX;
  refused(&s, TNRT_BAD_SHAPE, "input 'x': an extent is negative or their product too large");
  prepare(&s);
  s.pick[1] = 3;
  refused(&s, TNRT_INDEX, "toy.onnx: node 1 'gather': an index points outside its tensor");
}

static void unusable_models_say_why(void **state) {
  (void)state;
  setup s;
  tnrt_ctx *ctx;
  tnrt_model odd = toy_model;
  prepare(&s);
  odd.cpu_needs = "sse2,imaginary";
  assert_int_equal(tnrt_ctx_create(&ctx, &odd, &tnrt_alloc_libc, NULL, 0), TNRT_CPU);
  assert_string_equal(tnrt_ctx_message(ctx), "this processor lacks 'imaginary'; the model was compiled for "
                                             "x86_64-pc-linux-gnu x86-64 (compile it with another -march)");
  assert_int_equal(tnrt_ctx_run(ctx, s.in, s.out), TNRT_CPU);
  tnrt_ctx_destroy(ctx);
  odd.abi = TNRT_ABI + 1;
  assert_int_equal(tnrt_ctx_create(&ctx, &odd, &tnrt_alloc_libc, NULL, 0), TNRT_BAD_INPUT);
  tnrt_ctx_destroy(ctx);
  assert_non_null(strstr(tnrt_ctx_message(NULL), "out of memory"));
}

static void empty_tensors_run(void **state) {
  (void)state;
  setup s;
  tnrt_ctx *ctx;
  prepare(&s);
  s.x_shape[1] = 0;
  s.in[0].data = NULL;
  s.pick[0] = s.pick[1] = -1;
  tnrt_ctx_create(&ctx, &toy_model, &tnrt_alloc_libc, NULL, 0);
  assert_int_equal(tnrt_ctx_run(ctx, s.in, s.out), TNRT_OK);
  assert_int_equal(s.out[0].shape[1], 0);
  tnrt_ctx_destroy(ctx);
}

/* Every allocation fails once: a status and a message, no crash, nothing kept. Afterwards runs allocate nothing. */
static void memory_may_give_out(void **state) {
  (void)state;
  setup s;
  prepare(&s);
  for (int fail_at = 1; fail_at < 8; fail_at++) {
    counter c = {0, 0, fail_at};
    tnrt_alloc alloc = {counted_get, counted_give, &c};
    tnrt_ctx *ctx;
    memset(s.out, 0, sizeof s.out);
    tnrt_status status = tnrt_ctx_create(&ctx, &toy_model, &alloc, NULL, 0);
    if (status == TNRT_OK) status = tnrt_ctx_set_threads(ctx, 2);
    if (status == TNRT_OK) status = tnrt_ctx_run(ctx, s.in, s.out);
    assert_int_equal(status, fail_at <= 6 ? TNRT_NO_MEMORY : TNRT_OK);
    int calls = c.calls;
    memset(s.out, 0, sizeof s.out);
    if (status == TNRT_OK) assert_int_equal(tnrt_ctx_run(ctx, s.in, s.out), TNRT_OK);
    assert_int_equal(c.calls, calls);
    tnrt_ctx_destroy(ctx);
    assert_int_equal(c.live, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(runs_and_returns_views),  cmocka_unit_test(callers_buffers_and_arena),
      cmocka_unit_test(wrong_inputs_are_named),  cmocka_unit_test(unusable_models_say_why),
      cmocka_unit_test(empty_tensors_run),       cmocka_unit_test(memory_may_give_out),
      cmocka_unit_test(texts_are_as_printf_writes_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
