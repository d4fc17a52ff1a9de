/* A model written by hand against runtime/abi.h, as the compiler would emit it, so that the runtime is tested alone.
 * Inputs x f32 [B,N] and pick i64 [B]; outputs "scaled/x" = 2x + 1 [B,N], picked[b] = x[b, pick[b]], and n = B N. */
#include "tests/rt/toy.h"

#include <string.h>

static const tnrt_symbol symbols[] = {{"B", 1, 64, 0, 0}, {"N", 0, INT64_MAX, 0, 1}};
static const tnrt_extent b_n[] = {{"B", -1}, {"N", -1}};
static const tnrt_port inputs[] = {{"x", "[B,N]", TNRT_F32, 2, "f32", b_n, 2, 32, 1, 0},
                                   {"pick", "[B]", TNRT_I64, 1, "i64", b_n, 0, 64, 1, 0}};
static const tnrt_port outputs[] = {{"scaled/x", "[B,N]", TNRT_F32, 2, "f32", b_n, 2, 32, 1, 0},
                                    {"picked", "[B]", TNRT_F32, 1, "f32", b_n, 2, 32, 1, 0},
                                    {"n", "[]", TNRT_I64, 0, "i64", NULL, 0, 64, 1, 0}};
static const tnrt_guard guards[] = {
    {"input 'x' axis 0: expected at least 1", "toy.onnx: input 'x'"},
    {"input 'x' axis 0: expected at most 64", "toy.onnx: input 'x'"},
    {"input 'pick' axis 0: expected B", "toy.onnx: node 1 'gather' (GatherElements, opset 13)"},
};
static const tnrt_step steps[] = {{"scale", "toy.onnx: node 0 'scale'", "map", 0, 0},
                                  {"loop", "", "loop", 1, 0},
                                  {"pick", "toy.onnx: node 1 'gather'", "map", 0, 0}};
enum { N_STEPS = sizeof steps / sizeof steps[0] };
static const _Alignas(64) float weights[2] = {2, 1};

static int32_t refuse(int32_t guard, int64_t expected, int64_t found, int64_t *out_expected, int64_t *out_found) {
  *out_expected = expected;
  *out_found = found;
  return guard + 1;
}

static int32_t check(const int64_t *s, int64_t *expected, int64_t *found) {
  if (s[0] < 1) return refuse(0, 1, s[0], expected, found);
  return s[0] > 64 ? refuse(1, 64, s[0], expected, found) : 0;
}

static int32_t bind(const int64_t *const *in, int64_t *out, int64_t *expected, int64_t *found) {
  out[0] = in[0][0];
  out[1] = in[0][1];
  int32_t failed = check(out, expected, found);
  if (failed) return failed;
  if (in[1][0] != out[0]) return refuse(2, out[0], in[1][0], expected, found);
  return 0;
}

static void out_extents(const int64_t *s, int64_t *out) {
  out[0] = s[0];
  out[1] = s[1];
  out[2] = s[0];
}

static int64_t arena_bytes(const int64_t *s) {
  int64_t bytes;
  return __builtin_mul_overflow(s[0] * 4, s[1], &bytes) ? -1 : bytes;
}

typedef struct frame {
  const float *x, *weights;
  float *to;
  int64_t n;
} frame;

static void scale_rows(const void *arg, int64_t lo, int64_t hi, int64_t worker) {
  const frame *f = arg;
  (void)worker;
  for (int64_t i = lo * f->n; i < hi * f->n; i++) f->to[i] = f->weights[0] * f->x[i] + f->weights[1];
}

static void tell(tnrt_call *call, int step) {
  if (call->after) call->after(call, step);
}

static void costs(const int64_t *s, tnrt_cost *out) {
  out[0] = (tnrt_cost){2 * s[0] * s[1], 8 * s[0] * s[1] + 8};
  out[1] = (tnrt_cost){0, 0};
  out[2] = (tnrt_cost){-1, -1};
}

static void run(tnrt_call *call) {
  const int64_t b = call->symbols[0], n = call->symbols[1], *pick = call->inputs[1];
  const float *x = call->inputs[0];
  frame f = {x, (const float *)(const void *)call->weights, (float *)(void *)call->arena, n};
  tell(call, N_STEPS);
  if (call->parallel)
    call->parallel(call->pool, scale_rows, &f, b);
  else
    scale_rows(&f, 0, b, 0);
  if (n) memcpy(call->outputs[0], call->arena, (size_t)(b * n) * sizeof(float));
  tell(call, 0);
  for (int64_t i = 0; i < b; i++) {
    int64_t k = pick[i] < 0 ? 0 : pick[i] >= n ? n - 1 : pick[i];
    if (n && k != pick[i]) {
      call->status = TNRT_INDEX;
      call->status_step = 2;
    }
    ((float *)call->outputs[1])[i] = n ? x[i * n + k] : 0;
  }
  *(int64_t *)call->outputs[2] = b * n;
  tell(call, 2);
  tell(call, 1);
}

const tnrt_model toy_model = {
    .abi = TNRT_ABI,
    .size = sizeof(tnrt_model),
    .name = "toy",
    .producer = "by hand",
    .target = "x86_64-pc-linux-gnu x86-64",
    .cpu_needs = "sse2",
    .n_symbols = 2,
    .n_inputs = 2,
    .n_outputs = 3,
    .n_guards = 3,
    .n_steps = N_STEPS,
    .max_workers = 64,
    .symbols = symbols,
    .inputs = inputs,
    .outputs = outputs,
    .guards = guards,
    .steps = steps,
    .weights = (const uint8_t *)weights,
    .weights_bytes = sizeof weights,
    .bind = bind,
    .check = check,
    .out_extents = out_extents,
    .arena_bytes = arena_bytes,
    .run = run,
    .costs = costs,
};
