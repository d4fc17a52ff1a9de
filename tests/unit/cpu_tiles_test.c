/* Tile functions against the reference of kernels: each kernel of the table is planned, generated and interpreted for
 * three targets, its parts in two calls, on random data; arguments named w... are constants that the plan may pack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
/* after setjmp.h and stdarg.h */
#include <cmocka.h>

#include "ir/kernel.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "tests/support/tile_eval.h"

typedef struct sample {
  const char *name;
  const char *text;
  int64_t symbols[4];
  double tolerance; /* relative to the largest result */
} sample;

static const sample samples[] = {
#include "tests/unit/cpu_tiles_samples.inc"
};

static const tn_target targets[] = {
    {.backend = "cpu", .cpu = "x86-64-v4", .vector_bits = 512, .n_vector_registers = 32, .has_fma = true,
     .l1_bytes = 32768, .l2_bytes = 1 << 20},
    {.backend = "cpu", .cpu = "haswell", .vector_bits = 256, .n_vector_registers = 16, .has_fma = true,
     .l1_bytes = 32768, .l2_bytes = 1 << 18},
    {.backend = "cpu", .cpu = "x86-64", .vector_bits = 128, .n_vector_registers = 16, .l1_bytes = 32768,
     .l2_bytes = 1 << 18},
};

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

static tn_number random_number(tn_dtype dtype, uint64_t *state) {
  uint64_t r = next_random(state);
  if (dtype == TN_F64 || dtype == TN_F32)
    return (tn_number){.f = tn_number_round_float(TN_F32, (double)(r % 4001) / 1000.0 - 2.0)};
  if (tn_dtype_is_float(dtype)) return (tn_number){.f = tn_number_round_float(dtype, (double)(r % 65) / 16.0 - 2.0)};
  if (dtype == TN_BOOL) return (tn_number){.i = (int64_t)(r & 1)};
  if (tn_dtype_is_signed(dtype)) return (tn_number){.i = (int64_t)(r % 9) - 3};
  return (tn_number){.u = r % 7};
}

typedef struct fixture {
  tn_ctx *ctx;
  tn_kernel *kernel;
  const sample *sample;
  tn_tensor *args[16], *expected[16];
  tile_memory memory[16];
} fixture;

static bool bind_symbol(const void *user, const tn_symbol *symbol, int64_t *out) {
  const fixture *f = user;
  for (size_t i = 0; i < f->kernel->symbols.n; i++)
    if (f->kernel->symbols.data[i] == symbol) return *out = f->sample->symbols[i], true;
  return false;
}

static int64_t value_of(const fixture *f, const tn_dim *dim) {
  int64_t v = -1;
  assert_true(tn_dim_evaluate(dim, bind_symbol, f, &v));
  return v;
}

/* Where each element of argument `arg` lies, through its storage; calls visit(element, position). */
static int64_t storage_position(const fixture *f, const tn_karg *arg, const tn_tensor *tensor, int64_t flat) {
  const tn_dim *strides[TN_MAX_NDIM], *total;
  int64_t index[TN_MAX_NDIM], at = 0;
  tn_storage_strides(f->ctx, arg->type, arg->storage, strides, &total);
  tn_tensor_unravel(tensor, flat, index);
  for (uint32_t i = 0; i < tensor->ndim; i++) at += index[i] * value_of(f, strides[i]);
  return at;
}

static int64_t storage_total(const fixture *f, const tn_karg *arg) {
  const tn_dim *strides[TN_MAX_NDIM], *total;
  tn_storage_strides(f->ctx, arg->type, arg->storage, strides, &total);
  return value_of(f, total);
}

static tn_tensor *new_tensor(const fixture *f, tn_arena *arena, const tn_karg *arg) {
  int64_t extents[TN_MAX_NDIM];
  for (uint32_t i = 0; i < arg->type->ndim; i++) extents[i] = value_of(f, arg->type->dims[i]);
  return tn_tensor_create(arena, arg->type->dtype, arg->type->ndim, extents);
}

static void store_tensor(const fixture *f, tn_arena *arena, const tn_karg *arg, const tn_tensor *tensor,
                         tile_memory *out) {
  size_t bytes = tn_dtype_bytes(arg->type->dtype);
  *out = (tile_memory){.n = storage_total(f, arg), .dtype = arg->type->dtype};
  out->data = tn_arena_alloc(arena, (size_t)out->n * bytes);
  memset(out->data, 0x5a, (size_t)out->n * bytes);
  for (int64_t i = 0; i < tensor->count; i++)
    tn_number_store(tensor->dtype, tensor->data[i], out->data + (size_t)storage_position(f, arg, tensor, i) * bytes);
}

static bool append_bytes(void *user, const void *data, size_t bytes) {
  tn_buf_append(user, data, bytes);
  return true;
}

static void pack_constant(tn_arena *arena, const tn_target *target, const tn_karg *arg, const char *format,
                          tile_memory *out) {
  tn_buffer buffer = {.kind = TN_BUFFER_CONST, .type = arg->type, .storage = arg->storage, .constant = arg->constant,
                      .format = format};
  tn_buf bytes = tn_buf_create(arena);
  assert_true(tn_cpu_pack(target, &buffer, arena, (tn_sink){append_bytes, &bytes}));
  assert_int_equal(bytes.n, tn_cpu_packed_bytes(target, &buffer));
  out->data = (uint8_t *)bytes.data;
  out->n = (int64_t)(bytes.n / tn_dtype_bytes(arg->type->dtype));
}

static void fill_inputs(fixture *f, tn_arena *arena) {
  uint64_t state = 12345;
  for (size_t i = 0; i < f->kernel->args.n; i++) {
    tn_karg *arg = &f->kernel->args.data[i];
    f->args[i] = new_tensor(f, arena, arg);
    f->expected[i] = f->args[i];
    for (int64_t k = 0; k < f->args[i]->count; k++)
      if (!arg->is_output) f->args[i]->data[k] = random_number(arg->type->dtype, &state);
    if (arg->name[0] == 'w') {
      size_t bytes;
      arg->constant =
          tn_const_data(f->kernel->module, arg->name, arg->type, tn_tensor_to_bytes(arena, f->args[i], &bytes));
    }
  }
}

/* Elements outside of the argument's part belong to other kernels. */
static bool is_written(const fixture *f, const tn_karg *arg, const tn_tensor *tensor, int64_t flat) {
  int64_t index[TN_MAX_NDIM];
  if (arg->part_axis < 0) return true;
  tn_tensor_unravel(tensor, flat, index);
  int64_t at = index[arg->part_axis];
  return at >= value_of(f, arg->part_lo) && at < value_of(f, arg->part_hi);
}

static void check_output(const fixture *f, const tn_target *target, uint32_t i) {
  const tn_karg *arg = &f->kernel->args.data[i];
  const tn_tensor *expected = f->expected[i];
  bool is_float = tn_dtype_is_float(expected->dtype);
  double scale = 1e-30;
  for (int64_t k = 0; k < expected->count; k++)
    if (is_float && isfinite(expected->data[k].f)) scale = fmax(scale, fabs(expected->data[k].f));
  for (int64_t k = 0; k < expected->count; k++) {
    if (!is_written(f, arg, expected, k)) continue;
    const uint8_t *at =
        f->memory[i].data + (size_t)storage_position(f, arg, expected, k) * tn_dtype_bytes(expected->dtype);
    tn_number found = tn_number_load(expected->dtype, at), want = expected->data[k];
    bool same = is_float ? found.f == want.f || (isnan(found.f) && isnan(want.f)) ||
                               fabs(found.f - want.f) <= f->sample->tolerance * scale
                         : found.u == want.u;
    if (!same)
      fail_msg("%s on %s: output %u element %lld: expected %g (%lld), found %g (%lld)", f->sample->name, target->cpu, i,
               (long long)k, want.f, (long long)want.i, found.f, (long long)found.i);
  }
}

static void run_target(fixture *f, const tn_target *target) {
  tn_arena *arena = tn_arena_create_scratch(f->ctx->arena);
  tn_tile_func *func;
  tn_schedule schedule;
  assert_true(tn_cpu_schedule(target, f->kernel, arena, &schedule));
  if (!tn_tile_generate(f->ctx, target, f->kernel, arena, &func)) fail_msg("%s: not generated", f->sample->name);
  if (getenv("TN_SHOW_TILES")) {
    tn_buf text = tn_buf_create(arena);
    tn_tile_print(func, &text);
    fprintf(stderr, "%s\n", text.data);
  }
  if (func->max_live_vectors > target->n_vector_registers)
    fail_msg("%s on %s: %u live vectors", f->sample->name, target->cpu, func->max_live_vectors);
  for (size_t i = 0; i < f->kernel->args.n; i++) {
    const tn_karg *arg = &f->kernel->args.data[i];
    store_tensor(f, arena, arg, f->args[i], &f->memory[i]);
    if (schedule.formats[i]) pack_constant(arena, target, arg, schedule.formats[i], &f->memory[i]);
    if (arg->is_output) memset(f->memory[i].data, 0x5a, (size_t)f->memory[i].n * tn_dtype_bytes(arg->type->dtype));
  }
  int64_t scratch = value_of(f, schedule.scratch_bytes);
  tile_machine m = {.func = func, .arena = arena, .args = f->memory, .symbols = f->sample->symbols,
                    .scratch = {.n = scratch / 4, .dtype = TN_F32, .data = tn_arena_alloc(arena, (size_t)scratch)}};
  for (int64_t lo = 0; lo < schedule.parts && !m.fault[0]; lo = m.part_hi) {
    m.part_lo = lo;
    m.part_hi = lo == 0 ? (schedule.parts + 1) / 2 : schedule.parts;
    tile_run(&m);
  }
  if (m.fault[0]) fail_msg("%s on %s: %s", f->sample->name, target->cpu, m.fault);
  for (uint32_t i = 0; i < f->kernel->args.n; i++)
    if (f->kernel->args.data[i].is_output) check_output(f, target, i);
  tn_arena_destroy(arena);
}

static void no_memory(void *user, size_t bytes) {
  (void)user;
  fprintf(stderr, "no memory for %zu bytes\n", bytes);
  abort();
}

static void run_sample(const sample *s) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){no_memory, NULL});
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  tn_module *module = tn_text_parse(ctx, s->name, s->text, strlen(s->text));
  for (size_t i = 0; !module && i < ctx->diags.n; i++) fprintf(stderr, "%s\n", ctx->diags.data[i].text);
  assert_non_null(module);
  fixture f = {.ctx = ctx, .sample = s, .kernel = module->kernels.data[0]};
  fill_inputs(&f, arena);
  assert_true(tn_kernel_eval(f.kernel, arena, false, s->symbols, f.expected));
  for (size_t i = 0; i < TN_ARRAY_LEN(targets); i++) run_target(&f, &targets[i]);
  tn_arena_destroy(arena);
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

static void test_sample(void **state) { run_sample(*state); }

static long long pick(uint64_t *state, int lo, int hi) {
  return lo + (long long)(next_random(state) % (uint64_t)(hi - lo + 1));
}

typedef struct window {
  long long h, w, kh, kw, stride, dilation, pad, ic, oc;
  int kind; /* 0 convolution, 1 sum of products by channel, 2 greatest sum by channel */
  bool dynamic, last;
} window;

static void window_extent(char *out, size_t bytes, const window *x, const char *symbol, long long size,
                          long long taps) {
  long long room = 2 * x->pad - x->dilation * (taps - 1) - 1;
  if (x->dynamic)
    snprintf(out, bytes, "floordiv(%s %c %lld, %lld) + 1", symbol, room < 0 ? '-' : '+', llabs(room), x->stride);
  else
    snprintf(out, bytes, "%lld", (size + room) / x->stride + 1);
}

static void window_text(const window *x, tn_buf *out) {
  char h[16] = "P", w[16] = "Q", oh[64], ow[64];
  window_extent(oh, sizeof(oh), x, h, x->h, x->kh);
  window_extent(ow, sizeof(ow), x, w, x->w, x->kw);
  if (!x->dynamic) snprintf(h, sizeof(h), "%lld", x->h), snprintf(w, sizeof(w), "%lld", x->w);
  const char *order = x->last ? " order(0,2,3,1)" : "", *channel = x->kind == 0 ? "c" : "o";
  long long in = x->kind == 0 ? x->ic : x->oc, depth = x->kind == 0 ? x->ic : 1;
  tn_buf_printf(out, "tnir 1\nsym P in [1, 64]\nsym Q in [1, 64]\nkernel @k {\n space o=%lld:par, y=%s:par, x=%s:par",
                x->oc, oh, ow);
  if (x->kind == 0) tn_buf_printf(out, ", c=%lld:sum", x->ic);
  tn_buf_printf(out, ", r=%lld:sum, s=%lld:sum\n arg %%x: f32[1,%lld,%s,%s]%s\n arg %%w: f32[%lld,%lld,%lld,%lld]\n",
                x->kh, x->kw, in, h, w, order, x->oc, depth, x->kh, x->kw);
  tn_buf_printf(out, " out %%out: f32[1,%lld,%s,%s]%s\n %%z = const %s : f32\n", x->oc, oh, ow, order,
                x->kind == 2 ? "-inf" : "0");
  tn_buf_printf(out, " %%0 = read %%x[0, %s, %lld*y + %lld*r - %lld, %lld*x + %lld*s - %lld] outside %%z : f32\n",
                channel, x->stride, x->dilation, x->pad, x->stride, x->dilation, x->pad);
  if (x->kind == 0)
    tn_buf_puts(out, " %1 = read %w[o, c, r, s] : f32\n %2 = contract %0, %1 over c, r, s : f32\n");
  else
    tn_buf_printf(out,
                  " %%1 = read %%w[o, 0, r, s] : f32\n %%3 = %s %%0, %%1 : f32\n %%2 = fold %s %%3 over r, s : f32\n",
                  x->kind == 1 ? "mul" : "add", x->kind == 1 ? "sum" : "max");
  tn_buf_puts(out, " write %2 -> %out[0, o, y, x]\n}\n");
}

/* Windows of any stride, dilation and padding, over channels last or first, with extents static or not. */
static void test_random_windows(void **state) {
  uint64_t r = 7;
  (void)state;
  tn_arena *arena = tn_arena_create((tn_oom){no_memory, NULL}, 0);
  for (int i = 0; i < 60; i++) {
    window x = {pick(&r, 1, 12), pick(&r, 1, 40), pick(&r, 1, 4), pick(&r, 1, 5), pick(&r, 1, 3), pick(&r, 1, 3),
                pick(&r, 0, 4), pick(&r, 1, 6), pick(&r, 1, 40), (int)pick(&r, 0, 2), pick(&r, 0, 1), pick(&r, 0, 1)};
    if (x.h + 2 * x.pad <= x.dilation * (x.kh - 1) || x.w + 2 * x.pad <= x.dilation * (x.kw - 1)) continue;
    tn_buf text = tn_buf_create(arena);
    window_text(&x, &text);
    char *name = tn_arena_printf(arena, "window %d", i);
    sample one = {.name = name, .text = text.data, .symbols = {x.h, x.w}, .tolerance = 4e-6};
    if (getenv("TN_SHOW_TILES")) fprintf(stderr, "%s\n", text.data);
    run_sample(&one);
  }
  tn_arena_destroy(arena);
}

static void test_panel_format(void **state) {
  (void)state;
  tn_buffer buffer = {.format = "panel16:2x12,20v3,3x1"};
  const tn_type type = {.dtype = TN_F32};
  buffer.type = &type;
  assert_int_equal(tn_cpu_packed_bytes(&targets[0], &buffer), 2 * 2 * 3 * 16 * 4);
}

int main(int argc, char **argv) {
  struct CMUnitTest tests[TN_ARRAY_LEN(samples) + 2];
  size_t n = 0;
  for (size_t i = 0; i < TN_ARRAY_LEN(samples); i++)
    if (argc < 2 || strcmp(argv[1], samples[i].name) == 0)
      tests[n++] = (struct CMUnitTest){samples[i].name, test_sample, NULL, NULL, (void *)&samples[i]};
  tests[n++] = (struct CMUnitTest){"random windows", test_random_windows, NULL, NULL, NULL};
  tests[n++] = (struct CMUnitTest){"panel format", test_panel_format, NULL, NULL, NULL};
  return _cmocka_run_group_tests("cpu_tiles", tests, n, NULL, NULL);
}
