/* Times generated kernels: matrix products and convolutions of ResNet-50, depthwise and row kernels, as thread CPU
 * time of one thread, beside the processor's own multiply-add rate.
 *   kernel_bench [-march=CPU] [--show=tiles|object] [name...]   the table, or its rows whose names hold one of these
 *   kernel_bench --file=x.tnir [value of each symbol...]        every kernel of a file, as tenon --emit=kernels prints
 * Constants are those of the file and the arguments whose names begin with w. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/cpu/code.h"
#include "ir/kernel.h"
#include "ir/text.h"

typedef struct row {
  const char *name;
  int kind; /* 0 gemm: m n k; 1 conv: ic h oc kernel stride, 2 depthwise: c h kernel stride; 3 text */
  int64_t v[5];
  const char *text;
} row;

static const row rows[] = {
    {"gemm128x768x768", 0, {128, 768, 768}, NULL},
    {"gemm128x3072x768", 0, {128, 3072, 768}, NULL},
    {"gemm128x768x3072", 0, {128, 768, 3072}, NULL},
    {"gemm16x768x768", 0, {16, 768, 768}, NULL},
    {"gemm512x512x512", 0, {512, 512, 512}, NULL},
    {"gemm1x1000x2048", 0, {1, 1000, 2048}, NULL},
    {"gemm1x64x64", 0, {1, 64, 64}, NULL},
    {"stem7x7s2", 1, {3, 224, 64, 7, 2}, NULL},
    {"conv56_64_64_1", 1, {64, 56, 64, 1, 1}, NULL},
    {"conv56_64_64_3", 1, {64, 56, 64, 3, 1}, NULL},
    {"conv56_64_256_1", 1, {64, 56, 256, 1, 1}, NULL},
    {"conv56_256_64_1", 1, {256, 56, 64, 1, 1}, NULL},
    {"conv56_256_128_1", 1, {256, 56, 128, 1, 1}, NULL},
    {"conv56_128_128_3s2", 1, {128, 56, 128, 3, 2}, NULL},
    {"conv56_256_512_1s2", 1, {256, 56, 512, 1, 2}, NULL},
    {"conv28_128_512_1", 1, {128, 28, 512, 1, 1}, NULL},
    {"conv28_512_128_1", 1, {512, 28, 128, 1, 1}, NULL},
    {"conv28_128_128_3", 1, {128, 28, 128, 3, 1}, NULL},
    {"conv28_256_256_3s2", 1, {256, 28, 256, 3, 2}, NULL},
    {"conv28_512_1024_1s2", 1, {512, 28, 1024, 1, 2}, NULL},
    {"conv14_256_1024_1", 1, {256, 14, 1024, 1, 1}, NULL},
    {"conv14_1024_256_1", 1, {1024, 14, 256, 1, 1}, NULL},
    {"conv14_256_256_3", 1, {256, 14, 256, 3, 1}, NULL},
    {"conv14_512_512_3s2", 1, {512, 14, 512, 3, 2}, NULL},
    {"conv14_1024_2048_1s2", 1, {1024, 14, 2048, 1, 2}, NULL},
    {"conv7_512_2048_1", 1, {512, 7, 2048, 1, 1}, NULL},
    {"conv7_2048_512_1", 1, {2048, 7, 512, 1, 1}, NULL},
    {"conv7_512_512_3", 1, {512, 7, 512, 3, 1}, NULL},
    {"depthwise112_32_3", 2, {32, 112, 3, 1}, NULL},
    {"depthwise56_144_3", 2, {144, 56, 3, 1}, NULL},
    {"depthwise56_144_3s2", 2, {144, 56, 3, 2}, NULL},
    {"depthwise14_512_5", 2, {512, 14, 5, 1}, NULL},
};

static void no_memory(void *user, size_t bytes) {
  (void)user;
  fprintf(stderr, "no memory for %zu bytes\n", bytes);
  _exit(71);
}

/* Leading dimensions off multiples of 4 KB, as the layout pass chooses them. */
static const char *pad_of(int64_t channels) { return channels * 4 % 4096 < 64 ? " pad(16)" : ""; }

static void gemm_text(const row *r, tn_buf *out) {
  long long m = r->v[0], n = r->v[1], k = r->v[2];
  tn_buf_printf(
      out,
      "tnir 1\nkernel @k {\n space i=%lld:par, j=%lld:par, t=%lld:sum\n arg %%a: f32[%lld,%lld]%s\n"
      " arg %%w: f32[%lld,%lld]\n arg %%b: f32[%lld]\n out %%y: f32[%lld,%lld]%s\n %%0 = read %%a[%s, t] : f32\n"
      " %%1 = read %%w[t, j] : f32\n %%2 = contract %%0, %%1 over t : f32\n %%3 = read %%b[j] : f32\n"
      " %%4 = add %%2, %%3 : f32\n write %%4 -> %%y[%s, j]\n}\n",
      m, n, k, m, k, pad_of(k), k, n, n, m, n, pad_of(n), "i", "i");
}

static void conv_text(const row *r, tn_buf *out) {
  long long ic = r->v[0], h = r->v[1], oc = r->v[2], k = r->v[3], s = r->v[4], p = k / 2, o = (h + 2 * p - k) / s + 1;
  const char *order = ic == 3 ? "" : " order(0,2,3,1)";
  tn_buf_printf(out, "tnir 1\nkernel @k {\n space o=%lld:par, y=%lld:par, x=%lld:par, c=%lld:sum", oc, o, o, ic);
  if (k > 1) tn_buf_printf(out, ", r=%lld:sum, s=%lld:sum", k, k);
  tn_buf_printf(out, "\n arg %%x: f32[1,%lld,%lld,%lld]%s%s\n arg %%w: f32[%lld,%lld,%lld,%lld]\n arg %%b: f32[%lld]\n"
                " out %%out: f32[1,%lld,%lld,%lld] order(0,2,3,1)%s\n %%z = const 0 : f32\n",
                ic, h, h, order, ic == 3 ? "" : pad_of(ic), oc, ic, k, k, oc, oc, o, o, pad_of(oc));
  if (k > 1)
    tn_buf_printf(out, " %%0 = read %%x[0, c, %lld*y + r - %lld, %lld*x + s - %lld] outside %%z : f32\n"
                  " %%1 = read %%w[o, c, r, s] : f32\n %%2 = contract %%0, %%1 over c, r, s : f32\n", s, p, s, p);
  else
    tn_buf_printf(out, " %%0 = read %%x[0, c, %lld*y, %lld*x] : f32\n %%1 = read %%w[o, c, 0, 0] : f32\n"
                  " %%2 = contract %%0, %%1 over c : f32\n", s, s);
  tn_buf_printf(out, " %%3 = read %%b[o] : f32\n %%4 = add %%2, %%3 : f32\n %%5 = max %%4, %%z : f32\n"
                " write %%5 -> %%out[0, o, y, x]\n}\n");
}

static void depthwise_text(const row *r, tn_buf *out) {
  long long c = r->v[0], h = r->v[1], k = r->v[2], s = r->v[3], p = k / 2, o = (h + 2 * p - k) / s + 1;
  tn_buf_printf(
      out,
      "tnir 1\nkernel @k {\n space g=%lld:par, y=%lld:par, x=%lld:par, r=%lld:sum, s=%lld:sum\n"
      " arg %%x: f32[1,%lld,%lld,%lld] order(0,2,3,1)\n arg %%w: f32[%lld,1,%lld,%lld]\n arg %%b: f32[%lld]\n"
      " out %%out: f32[1,%lld,%lld,%lld] order(0,2,3,1)\n %%z = const 0 : f32\n"
      " %%0 = read %%x[0, g, %lld*y + r - %lld, %lld*x + s - %lld] outside %%z : f32\n"
      " %%1 = read %%w[g, 0, r, s] : f32\n %%2 = contract %%0, %%1 over r, s : f32\n %%3 = read %%b[g] : f32\n"
      " %%4 = add %%2, %%3 : f32\n write %%4 -> %%out[0, g, y, x]\n}\n",
      c, o, o, k, k, c, h, h, c, k, k, c, c, o, o, s, p, s, p);
}

static const char *text_of(const row *r, tn_arena *arena) {
  tn_buf text = tn_buf_create(arena);
  if (r->text) return r->text;
  if (r->kind == 0) gemm_text(r, &text);
  if (r->kind == 1) conv_text(r, &text);
  if (r->kind == 2) depthwise_text(r, &text);
  return text.data;
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- The machine's rate --- */

#if defined(__x86_64__)
#include <immintrin.h>

/* Twelve chains of multiply-adds that stay in registers. */
#define RATE(name, vec, set, fma, lanes, features)                                                          \
  __attribute__((target(features), noinline)) static double name(void) {                                    \
    vec a = set(0.999f), c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a;     \
    double best = 1e9;                                                                                      \
    for (int round = 0; round < 20; round++) {                                                              \
      double start = seconds();                                                                             \
      for (int n = 0; n < 500000; n++) {                                                                    \
        c0 = fma(c0, a, a), c1 = fma(c1, a, a), c2 = fma(c2, a, a), c3 = fma(c3, a, a), c4 = fma(c4, a, a); \
        c5 = fma(c5, a, a), c6 = fma(c6, a, a), c7 = fma(c7, a, a), c8 = fma(c8, a, a), c9 = fma(c9, a, a); \
        __asm__ volatile("" : "+v"(c0), "+v"(c1), "+v"(c2), "+v"(c3), "+v"(c4), "+v"(c5), "+v"(c6),         \
                         "+v"(c7), "+v"(c8), "+v"(c9));                                                     \
      }                                                                                                     \
      double t = seconds() - start;                                                                         \
      if (t < best) best = t;                                                                               \
    }                                                                                                       \
    return 500000.0 * 10 * 2 * lanes / best * 1e-9;                                                         \
  }
RATE(rate_512, __m512, _mm512_set1_ps, _mm512_fmadd_ps, 16, "avx512f")
RATE(rate_256, __m256, _mm256_set1_ps, _mm256_fmadd_ps, 8, "avx2,fma")
static double rate_of(const tn_target *target) { return target->vector_bits >= 512 ? rate_512() : rate_256(); }
#else
static double rate_of(const tn_target *target) { return target->vector_bits > 0 ? 100 : 0; }
#endif

/* --- Compiling and running --- */

typedef void (*part_fn)(const void *frame, int64_t lo, int64_t hi, int64_t worker);

static part_fn link_object(const tn_object_part *object, const char *symbol, void **out_handle) {
  char base[] = "/tmp/kernel_bench_XXXXXX", command[256], path[64];
  int fd = mkstemp(base);
  if (fd < 0 || write(fd, object->data, object->bytes) != (ssize_t)object->bytes) return NULL;
  close(fd);
  snprintf(path, sizeof(path), "%s.so", base);
  snprintf(command, sizeof(command), "ld.lld-19 -shared -o %s %s 2>/dev/null || ld -shared -o %s %s", path, base,
           path, base);
  int status = system(command);
  *out_handle = status == 0 ? dlopen(path, RTLD_NOW) : NULL;
  unlink(base);
  unlink(path);
  if (!*out_handle) fprintf(stderr, "%s\n", status == 0 ? dlerror() : "linking failed");
  return *out_handle ? (part_fn)dlsym(*out_handle, symbol) : NULL;
}

typedef struct frame {
  uint64_t words[64];
} frame;

static bool bind_symbol(const void *user, const tn_symbol *symbol, int64_t *out) {
  const int64_t *values = ((const void *const *)user)[1];
  const tn_kernel *kernel = ((const void *const *)user)[0];
  for (size_t i = 0; i < kernel->symbols.n; i++)
    if (kernel->symbols.data[i] == symbol) return *out = values[i], true;
  return false;
}

static int64_t value_of(const tn_kernel *kernel, const int64_t *symbols, const tn_dim *dim) {
  const void *user[] = {kernel, symbols};
  int64_t v = 0;
  return tn_dim_evaluate(dim, bind_symbol, user, &v) ? v : 0;
}

static bool append_bytes(void *user, const void *data, size_t bytes) {
  uint8_t **at = user;
  memcpy(*at, data, bytes);
  *at += bytes;
  return true;
}

static void *argument(tn_kernel *kernel, const tn_target *target, const tn_schedule *schedule, size_t i,
                      const int64_t *symbols, tn_arena *arena) {
  tn_karg *arg = &kernel->args.data[i];
  const tn_dim *strides[TN_MAX_NDIM], *total;
  tn_ctx *ctx = kernel->module->ctx;
  tn_storage_strides(ctx, arg->type, arg->storage, strides, &total);
  size_t n = (size_t)value_of(kernel, symbols, total), bytes = n * tn_dtype_bytes(arg->type->dtype);
  tn_buffer buffer = {
      .kind = TN_BUFFER_CONST, .type = arg->type, .constant = arg->constant, .format = schedule->formats[i]};
  size_t room = arg->constant ? tn_cpu_packed_bytes(target, &buffer) : bytes;
  uint8_t *data = tn_arena_alloc(arena, room + 4096 + 64);
  data += -(uintptr_t)data & 63;
  if (arg->constant) {
    uint8_t *at = data;
    tn_cpu_pack(target, &buffer, arena, (tn_sink){append_bytes, &at});
  } else if (arg->type->dtype == TN_F32) {
    for (size_t k = 0; k < n; k++) ((float *)(void *)data)[k] = (float)(k * 7919 % 1000) * 0.001f - 0.5f;
  }
  return data;
}

static void make_constants(tn_kernel *kernel, tn_arena *arena) {
  for (size_t i = 0; i < kernel->args.n; i++) {
    tn_karg *arg = &kernel->args.data[i];
    if (arg->constant || arg->name[0] != 'w' || !tn_type_is_static(arg->type)) continue;
    int64_t n = tn_type_static_count(arg->type);
    float *data = tn_arena_alloc(arena, (size_t)n * 8);
    for (int64_t k = 0; arg->type->dtype == TN_F32 && k < n; k++) data[k] = (float)(k * 104729 % 1000) * 0.001f - 0.5f;
    arg->constant = tn_const_data(kernel->module, arg->name, arg->type, data);
  }
}

static double time_kernel(part_fn fn, const frame *f, int64_t parts) {
  double best = 1e9, once;
  fn(f, 0, parts, 0);
  double start = seconds();
  fn(f, 0, parts, 0);
  once = seconds() - start;
  int repeats = once > 1e-3 ? 1 : (int)(1e-3 / (once > 1e-8 ? once : 1e-8)) + 1;
  for (int round = 0; round < 15; round++) {
    start = seconds();
    for (int i = 0; i < repeats; i++) fn(f, 0, parts, 0);
    double t = (seconds() - start) / repeats;
    if (t < best) best = t;
  }
  return best;
}

static bool show(const tn_cpu_code *code, const tn_tile_func *func, const char *what, tn_arena *arena) {
  (void)code;
  tn_buf text = tn_buf_create(arena);
  if (strcmp(what, "tiles") == 0) tn_tile_print(func, &text);
  if (text.n) fwrite(text.data, 1, text.n, stdout);
  return true;
}

static int bench(tn_ctx *ctx, const tn_cpu_code *code, const tn_target *target, const char *name, tn_kernel *kernel,
                 const int64_t *values, double peak, const char *shown) {
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  tn_tile_func *func;
  tn_object_part object;
  tn_schedule schedule;
  frame f = {{0}};
  int64_t symbols[64] = {0}; /* of the kernel, from those of the module */
  static int32_t status;
  void *handle = NULL;
  for (size_t i = 0; i < kernel->symbols.n && i < 64; i++)
    for (size_t k = 0; k < kernel->module->symbols.n && k < 16; k++)
      if (kernel->module->symbols.data[k] == kernel->symbols.data[i]) symbols[i] = values[k];
  make_constants(kernel, arena);
  double start = seconds();
  if (!tn_cpu_schedule(target, kernel, arena, &schedule) || !tn_tile_generate(ctx, target, kernel, arena, &func))
    return 1;
  double generated = seconds();
  if (shown) show(code, func, shown, arena);
  if (!code->compile_tile(ctx, target, func, "bench_kernel", arena, &object)) return 1;
  double compiled = seconds();
  if (shown && strcmp(shown, "object") == 0) {
    FILE *out = fopen("/tmp/kernel_bench.o", "wb");
    if (out) fwrite(object.data, 1, object.bytes, out), fclose(out);
  }
  part_fn fn = link_object(&object, "bench_kernel", &handle);
  if (!fn) return 1;
  uint32_t n = 0;
  for (size_t i = 0; i < kernel->args.n; i++)
    f.words[n++] = (uint64_t)(uintptr_t)argument(kernel, target, &schedule, i, symbols, arena);
  for (size_t i = 0; i < kernel->symbols.n; i++) f.words[n++] = (uint64_t)symbols[i];
  size_t scratch = (size_t)value_of(kernel, symbols, schedule.scratch_bytes);
  uint8_t *space = tn_arena_alloc(arena, scratch + 128);
  f.words[n++] = (uint64_t)(uintptr_t)(space + (-(uintptr_t)space & 63));
  f.words[n++] = scratch;
  f.words[n] = (uint64_t)(uintptr_t)&status;
  double t = time_kernel(fn, &f, schedule.parts), flops = (double)value_of(kernel, symbols, tn_kernel_flops(kernel));
  printf("%-22.22s %-14s %10.1f us %8.1f GF/s %6.1f %% live %u; %.1f + %.1f ms, %zu bytes\n", name, schedule.strategy,
         t * 1e6, flops / t * 1e-9, flops / t * 1e-9 / peak * 100, func->max_live_vectors, (generated - start) * 1e3,
         (compiled - generated) * 1e3, object.bytes);
  fflush(stdout);
  dlclose(handle);
  tn_arena_destroy(arena);
  return 0;
}

static int report(const tn_ctx *ctx) {
  for (size_t i = 0; i < ctx->diags.n; i++) fprintf(stderr, "kernel_bench: %s\n", ctx->diags.data[i].text);
  return 1;
}

static bool is_wanted(const char *name, int argc, char **argv) {
  bool any = false;
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-') continue;
    any = true;
    if (strstr(name, argv[i])) return true;
  }
  return !any;
}

static char *read_file(const char *path, tn_arena *arena, size_t *out_n) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  tn_buf text = tn_buf_create(arena);
  char piece[4096];
  for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0;) tn_buf_append(&text, piece, n);
  fclose(file);
  *out_n = text.n;
  return text.data;
}

int main(int argc, char **argv) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){no_memory, NULL});
  const char *march = "native", *shown = NULL, *path = NULL;
  int64_t symbols[16] = {0};
  int n_symbols = 0, failed = 0;
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "-march=", 7) == 0) march = argv[i] + 7;
    if (strncmp(argv[i], "--show=", 7) == 0) shown = argv[i] + 7;
    if (strncmp(argv[i], "--file=", 7) == 0) path = argv[i] + 7;
    if (argv[i][0] != '-' && n_symbols < 16) symbols[n_symbols++] = strtoll(argv[i], NULL, 10);
  }
  const tn_backend *backend = tn_backend_find("cpu");
  const tn_cpu_code *code = tn_cpu_code_load(ctx);
  tn_target target;
  if (!code || !backend->probe(ctx, march, "", &target)) return report(ctx);
  double peak = rate_of(&target);
  printf("%s, %u bits: %.1f GF/s\n", target.cpu_resolved, target.vector_bits, peak);
  if (path) {
    size_t n;
    char *text = read_file(path, ctx->arena, &n);
    tn_module *module = text ? tn_text_parse(ctx, path, text, n) : NULL;
    if (!module) return report(ctx);
    for (size_t i = 0; i < module->kernels.n; i++)
      failed |= bench(ctx, code, &target, module->kernels.data[i]->name, module->kernels.data[i], symbols, peak, shown);
  }
  for (size_t i = 0; !path && i < sizeof(rows) / sizeof(rows[0]); i++) {
    if (!is_wanted(rows[i].name, argc, argv)) continue;
    const char *text = text_of(&rows[i], ctx->arena);
    tn_module *module = tn_text_parse(ctx, rows[i].name, text, strlen(text));
    if (!module) return report(ctx);
    failed |= bench(ctx, code, &target, rows[i].name, module->kernels.data[0], symbols, peak, shown);
  }
  if (failed) report(ctx);
  tn_ctx_destroy(ctx);
  return failed;
}
