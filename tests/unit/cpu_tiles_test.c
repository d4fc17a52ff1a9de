/* Tile functions against the reference of kernels: each kernel of the table is planned, generated and interpreted for
 * three targets, its parts in several calls, on random data; no element may be written by two of them. Arguments named
 * w... are constants that the plan may pack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
/* after setjmp.h and stdarg.h */
#include <cmocka.h>

#include "ir/kernel.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "tests/support/kernel_samples.h"
#include "tests/support/tile_eval.h"

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

static bool append_bytes(void *user, const void *data, size_t bytes) {
  tn_buf_append(user, data, bytes);
  return true;
}

static void pack_constant(tn_arena *arena, const tn_target *target, const tn_karg *arg, const char *format,
                          arg_memory *out) {
  tn_buffer buffer = {.kind = TN_BUFFER_CONST, .type = arg->type, .storage = arg->storage, .constant = arg->constant,
                      .format = format};
  tn_buf bytes = tn_buf_create(arena);
  assert_true(tn_cpu_pack(target, &buffer, arena, (tn_sink){append_bytes, &bytes}));
  assert_int_equal(bytes.n, tn_cpu_packed_bytes(target, &buffer));
  out->data = (uint8_t *)bytes.data;
  out->n = (int64_t)(bytes.n / tn_dtype_bytes(arg->type->dtype));
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
  tile_memory memory[16];
  for (size_t i = 0; i < f->kernel->args.n; i++)
    memory[i] = (tile_memory){f->memory[i].data, f->memory[i].n, f->memory[i].dtype,
                              TN_NEW_N(arena, int32_t, f->memory[i].n)};
  int64_t scratch = value_of(f, schedule.scratch_bytes);
  tile_machine m = {.func = func, .arena = arena, .args = memory, .symbols = f->sample->symbols,
                    .scratch = {.n = scratch / 4, .dtype = TN_F32, .data = tn_arena_alloc(arena, (size_t)scratch)}};
  for (int64_t lo = 0; lo < schedule.parts && !m.fault[0]; lo = m.part_hi) {
    m.part_lo = lo;
    m.part_hi = lo + 1 + lo % 3; /* single parts, and several in one call */
    if (m.part_hi > schedule.parts) m.part_hi = schedule.parts;
    tile_run(&m);
  }
  if (m.fault[0]) fail_msg("%s on %s: %s", f->sample->name, target->cpu, m.fault);
  for (uint32_t i = 0; i < f->kernel->args.n; i++)
    if (f->kernel->args.data[i].is_output) check_output(f, target->cpu, i);
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
