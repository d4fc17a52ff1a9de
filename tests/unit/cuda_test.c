/* CUDA C against the reference of kernels: each kernel of the samples is printed, compiled as C against the shim of
 * tests/cuda/shim by each compiler that is there, and run in up to three orders of its threads. Then one barrier at a
 * time is taken out, which must be seen; and NVRTC, where it is installed, compiles some. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h */
#include <cmocka.h>

#include "backends/cuda/cuda.h"
#include "ir/text.h"
#include "tests/support/kernel_samples.h"

static const sample samples[] = {
#include "tests/unit/cpu_tiles_samples.inc"
};
#define N_SAMPLES TN_ARRAY_LEN(samples)
#define N_SEEDS 3

typedef const char *(*run_fn)(void (*kernel)(void *const *, const long long *, int *), void *const *, const long long *,
                              int *, long long grid, int block, uint64_t seed);

/* A sample and its kernel as text. */
typedef struct entry {
  fixture f;
  tn_cuda_plan *plan;
  tn_buf text;
} entry;

typedef struct all_samples {
  tn_ctx *ctx;
  tn_arena *arena;
  entry entries[N_SAMPLES];
  char folder[64];
} all_samples;

static void no_memory(void *user, size_t bytes) {
  (void)user;
  fprintf(stderr, "no memory for %zu bytes\n", bytes);
  abort();
}

static void load_sample(all_samples *all, size_t i) {
  const sample *s = &samples[i];
  entry *e = &all->entries[i];
  tn_module *module = tn_text_parse(all->ctx, s->name, s->text, strlen(s->text));
  assert_non_null(module);
  e->f = (fixture){.ctx = all->ctx, .sample = s, .kernel = module->kernels.data[0]};
  fill_inputs(&e->f, all->arena);
  assert_true(tn_kernel_eval(e->f.kernel, all->arena, false, s->symbols, e->f.expected));
  e->plan = tn_cuda_plan_create(e->f.kernel, all->arena);
  e->text = tn_buf_create(all->arena);
  if (!tn_cuda_kernel_print(all->ctx, e->plan, "NAME", all->arena, &e->text)) fail_msg("%s: refused", s->name);
}

static int set_up(void **state) {
  all_samples *all = calloc(1, sizeof(*all));
  all->ctx = tn_ctx_create((tn_oom){no_memory, NULL});
  all->arena = tn_arena_create_scratch(all->ctx->arena);
  for (size_t i = 0; i < N_SAMPLES; i++) load_sample(all, i);
  strcpy(all->folder, "/tmp/tenon_cuda_XXXXXX");
  *state = all;
  return mkdtemp(all->folder) == NULL;
}

static int tear_down(void **state) {
  all_samples *all = *state;
  char command[128];
  snprintf(command, sizeof(command), "rm -rf %s", all->folder);
  for (size_t i = 0; i < N_SAMPLES; i++) tn_module_destroy(all->entries[i].f.kernel->module);
  tn_arena_destroy(all->arena);
  tn_ctx_destroy(all->ctx);
  free(all);
  return system(command);
}

/* text with `from` replaced by `to`: at its count-th place (from 0), or everywhere when count is -1. */
static char *replace(tn_arena *arena, const char *text, const char *from, const char *to, int count) {
  tn_buf out = tn_buf_create(arena);
  for (const char *at; (at = strstr(text, from)) != NULL; text = at + strlen(from), count--) {
    tn_buf_append(&out, text, (size_t)(at - text));
    tn_buf_puts(&out, count <= 0 ? to : from);
    if (count == 0) count = 1 << 30;
  }
  tn_buf_puts(&out, text);
  return out.data;
}

/* A kernel under a name of its own, and what calls it from outside. */
static void put_kernel(const entry *e, tn_arena *arena, const char *text, const char *name, bool host, tn_buf *out) {
  tn_buf_puts(out, replace(arena, text, "NAME", name, -1));
  if (!host) return;
  tn_cuda_call_print(e->plan, name, out);
  tn_buf_printf(out, "void run_%s(void *const *p, const long long *s, int *status) { call_%s(p, s, status); }\n", name,
                name);
}

static void write_file(const char *path, const tn_buf *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(text->data, 1, text->n, file), text->n);
  fclose(file);
}

static void *compile(const all_samples *all, const char *compiler, const char *name, const tn_buf *text) {
  char path[128], command[1024];
  snprintf(path, sizeof(path), "%s/%s.c", all->folder, name);
  write_file(path, text);
  snprintf(command, sizeof(command),
           "%s -std=gnu17 -O1 -Wall -Wextra -Wno-unused-variable -Werror -ffp-contract=off -fPIC -shared "
           "-I%s/tests/cuda/shim %s %s/tests/cuda/shim/shim.c -o %s/%s.so -lm",
           compiler, TN_SOURCE_DIR, path, TN_SOURCE_DIR, all->folder, name);
  assert_int_equal(system(command), 0);
  snprintf(path, sizeof(path), "%s/%s.so", all->folder, name);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) print_error("%s\n", dlerror());
  assert_non_null(library);
  return library;
}

/* Runs the kernel of that name on the sample's arguments; NULL or what went wrong. */
static const char *run(entry *e, tn_arena *arena, void *library, const char *name, uint64_t seed, int *status) {
  fixture *f = &e->f;
  void *pointers[16];
  char symbol[64];
  long long sizes[4];
  run_fn run_blocks;
  void (*kernel)(void *const *, const long long *, int *);
  snprintf(symbol, sizeof(symbol), "run_%s", name);
  void *addresses[] = {dlsym(library, "shim_run"), dlsym(library, symbol)};
  assert_true(addresses[0] && addresses[1]);
  memcpy(&run_blocks, &addresses[0], sizeof(run_blocks));
  memcpy(&kernel, &addresses[1], sizeof(kernel));
  for (size_t i = 0; i < f->kernel->args.n; i++) {
    const tn_karg *arg = &f->kernel->args.data[i];
    store_tensor(f, arena, arg, f->args[i], &f->memory[i]);
    if (arg->is_output) memset(f->memory[i].data, 0x5a, (size_t)f->memory[i].n * tn_dtype_bytes(arg->type->dtype));
    pointers[i] = f->memory[i].data;
  }
  for (size_t i = 0; i < 4; i++) sizes[i] = f->sample->symbols[i];
  return run_blocks(kernel, pointers, sizes, status, value_of(f, e->plan->grid), TN_CUDA_BLOCK, seed);
}

static void run_all(all_samples *all, const char *compiler, uint64_t n_seeds) {
  tn_buf text = tn_buf_create(all->arena);
  char name[32];
  tn_cuda_prelude_print(&text);
  for (size_t i = 0; i < N_SAMPLES; i++) {
    snprintf(name, sizeof(name), "k%zu", i);
    put_kernel(&all->entries[i], all->arena, all->entries[i].text.data, name, true, &text);
  }
  void *library = compile(all, compiler, compiler, &text);
  for (size_t i = 0; i < N_SAMPLES; i++)
    for (uint64_t seed = 0; seed < n_seeds; seed++) {
      entry *e = &all->entries[i];
      int status = 0;
      snprintf(name, sizeof(name), "k%zu", i);
      const char *wrong = run(e, all->arena, library, name, seed, &status);
      if (wrong) fail_msg("%s: %s", samples[i].name, wrong);
      for (uint32_t k = 0; k < e->f.kernel->args.n; k++)
        if (e->f.kernel->args.data[k].is_output) check_output(&e->f, compiler, k);
    }
  dlclose(library);
}

static void test_gcc(void **state) { run_all(*state, "gcc", N_SEEDS); }

static void test_clang(void **state) {
  if (system("clang-19 --version >/dev/null 2>&1") != 0) skip();
  run_all(*state, "clang-19", 1);
}

static bool equals_expected(const entry *e) {
  const fixture *f = &e->f;
  for (uint32_t i = 0; i < f->kernel->args.n; i++) {
    const tn_karg *arg = &f->kernel->args.data[i];
    for (int64_t k = 0; arg->is_output && k < f->expected[i]->count; k++) {
      const uint8_t *at = f->memory[i].data + (size_t)storage_position(f, arg, f->expected[i], k) * 4;
      double found = tn_number_load(TN_F32, at).f;
      if (!(fabs(found - f->expected[i]->data[k].f) < 1e-3)) return false;
    }
  }
  return true;
}

/* Kernels of all shapes that have barriers, each of them needed at the sample's sizes. */
static void test_barriers(void **state) {
  static const char *const names[] = {"gemm columns", "conv 3x3 nhwc", "softmax dynamic", "gemm all dynamic"};
  all_samples *all = *state;
  tn_buf text = tn_buf_create(all->arena);
  char name[32];
  struct {
    entry *e;
    int barrier;
  } variants[32];
  size_t n = 0;
  tn_cuda_prelude_print(&text);
  for (size_t i = 0; i < N_SAMPLES; i++)
    for (size_t k = 0; k < TN_ARRAY_LEN(names); k++) {
      const char *at = strcmp(samples[i].name, names[k]) == 0 ? all->entries[i].text.data : "";
      for (int barrier = 0; (at = strstr(at, "__syncthreads();")) != NULL; at++, barrier++) {
        snprintf(name, sizeof(name), "without%zu", n);
        variants[n].e = &all->entries[i];
        variants[n++].barrier = barrier;
        put_kernel(&all->entries[i], all->arena,
                   replace(all->arena, all->entries[i].text.data, "__syncthreads();", ";", barrier), name, true, &text);
      }
    }
  assert_true(n >= 2 * TN_ARRAY_LEN(names));
  void *library = compile(all, "gcc", "without", &text);
  for (size_t i = 0; i < n; i++)
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
      int status = 0;
      snprintf(name, sizeof(name), "without%zu", i);
      if (run(variants[i].e, all->arena, library, name, seed, &status) == NULL && equals_expected(variants[i].e))
        fail_msg("%s without barrier %d: nothing is seen", variants[i].e->f.sample->name, variants[i].barrier);
    }
  dlclose(library);
}

/* A barrier that some threads never reach is named. */
static void test_divergence(void **state) {
  all_samples *all = *state;
  tn_buf text = tn_buf_create(all->arena);
  int status = 0;
  for (size_t i = 0; i < N_SAMPLES; i++) {
    if (strcmp(samples[i].name, "gemm columns") != 0) continue;
    tn_cuda_prelude_print(&text);
    put_kernel(&all->entries[i], all->arena,
               replace(all->arena, all->entries[i].text.data, "__syncthreads();", "if (row) __syncthreads();", 0),
               "diverges", true, &text);
    void *library = compile(all, "gcc", "diverges", &text);
    const char *wrong = run(&all->entries[i], all->arena, library, "diverges", 1, &status);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "240 wait at the barrier"));
    dlclose(library);
  }
}

/* An index out of range reads the clamped element and sets the status. */
static void test_status(void **state) {
  all_samples *all = *state;
  tn_buf text = tn_buf_create(all->arena);
  for (size_t i = 0; i < N_SAMPLES; i++) {
    entry *e = &all->entries[i];
    if (strcmp(samples[i].name, "gather rows") != 0) continue;
    int status = 0;
    tn_cuda_prelude_print(&text);
    put_kernel(e, all->arena, e->text.data, "gathers", true, &text);
    void *library = compile(all, "gcc", "gathers", &text);
    e->f.args[1]->data[2].i = (int64_t)1 << 40;
    e->f.args[1]->data[3].i = -1;
    assert_true(tn_kernel_eval(e->f.kernel, all->arena, false, samples[i].symbols, e->f.expected));
    assert_null(run(e, all->arena, library, "gathers", 1, &status));
    assert_int_equal(status, 3);
    check_output(&e->f, "an index outside", 2);
    dlclose(library);
  }
}

/* Every step-th sample. */
static void compile_for(all_samples *all, size_t step, const char *arch, tn_cuda_code code, tn_buf *out) {
  tn_buf text = tn_buf_create(all->arena);
  char name[32];
  size_t n_errors = all->ctx->n_errors;
  tn_cuda_prelude_print(&text);
  for (size_t i = 0; i < N_SAMPLES; i += step) {
    snprintf(name, sizeof(name), "k%zu", i);
    put_kernel(&all->entries[i], all->arena, all->entries[i].text.data, name, false, &text);
  }
  bool ok = tn_cuda_compile(all->ctx, "samples.cu", text.data, arch, code, NULL, out);
  if (!ok && all->ctx->diags.data[n_errors].code == TN_E_RESOURCE) skip();
  for (size_t i = n_errors; !ok && i < all->ctx->diags.n; i++) print_error("%s\n", all->ctx->diags.data[i].text);
  assert_true(ok);
}

static void test_nvrtc(void **state) {
  all_samples *all = *state;
  tn_buf ptx = tn_buf_create(all->arena), code = tn_buf_create(all->arena), again = tn_buf_create(all->arena);
  compile_for(all, 4, "sm_90", TN_CUDA_CUBIN, &code);
  assert_memory_equal(code.data, "\177ELF", 4);
  code.n = 0;
  compile_for(all, 24, "sm_80", TN_CUDA_CUBIN, &code);
  compile_for(all, 24, "sm_80", TN_CUDA_CUBIN, &again);
  assert_int_equal(code.n, again.n);
  assert_memory_equal(code.data, again.data, code.n);
  compile_for(all, 24, "sm_90", TN_CUDA_PTX, &ptx);
  assert_non_null(strstr(ptx.data, ".visible .entry k0("));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gcc),    cmocka_unit_test(test_clang),  cmocka_unit_test(test_barriers),
      cmocka_unit_test(test_divergence), cmocka_unit_test(test_status), cmocka_unit_test(test_nvrtc),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
