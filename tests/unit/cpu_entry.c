/* The entry of a program: binding, checks, memory, running and the typed C level, of a program made of copies, linked
 * into a shared library and called through runtime/abi.h. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "ir/program.h"
#include "ir/text.h"
#include "backends/backend.h"
#include "runtime/abi.h"

static const char text[] =
    "tnir 1\n"
    "sym B in [1,1000]\n"
    "sym N in [0,inf]\n"
    "func @main entry (%a: f32[B,4] \"a\", %b: f32[4,B] \"b\", %c: i64[N] \"c\") -> (f32[B,4] \"y\", i64[N] \"z\") {\n"
    "  guard N <= 2*B \"rows of 'c'\"\n"
    "  return %a, %c\n"
    "}\n"
    "program @main of @main {\n"
    "  bind B = extent(in 0, 0)\n"
    "  bind N = extent(in 2, 0)\n"
    "  guard N <= 2*B \"rows of 'c'\"\n"
    "  buf %a: f32[B,4] in 0\n"
    "  buf %c: i64[N] in 2\n"
    "  buf %t: f32[B,4] arena live 0..2 bytes 64*B offset 64*N\n"
    "  buf %y: f32[B,4] out 0\n"
    "  buf %z: i64[N] out 1\n"
    "  memory weights 0 arena 64*B + 64*N\n"
    "  step 0 copy (%a, %t) parts 1\n"
    "  step 1 copy (%c, %z) parts 1\n"
    "  step 2 copy (%t, %y) parts 1\n"
    "}\n";

typedef struct model_ctx model_ctx;

typedef struct fixture {
  tn_ctx *ctx;
  tn_arena *arena;
  tn_module *module;
  const tn_program *program;
  tn_target target;
  void *library;
} fixture;

static tn_object_part *emit(fixture *f, uint32_t n_workers, uint32_t *out_n) {
  tn_emit_options options = {.prefix = "model", .n_threads = 2, .n_workers = n_workers, .with_main = true};
  tn_object_part *parts;
  assert_true(tn_backend_find("cpu")->emit(f->ctx, &f->target, f->program, &options, f->arena, &parts, out_n));
  return parts;
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  f->ctx = tn_ctx_create((tn_oom){0});
  f->arena = tn_arena_create_scratch(f->ctx->arena);
  assert_true(tn_backend_find("cpu")->probe(f->ctx, "native", NULL, &f->target));
  tn_module *module = tn_text_parse(f->ctx, "entry.tnir", text, strlen(text));
  if (module == NULL) print_error("%s\n", f->ctx->diags.data[0].text);
  assert_non_null(module);
  f->module = module;
  f->program = module->programs.data[0];
  uint32_t n;
  tn_object_part *parts = emit(f, 2, &n);
  char folder[] = "/tmp/tenon_entry_XXXXXX", command[512];
  assert_non_null(mkdtemp(folder));
  for (uint32_t i = 0; i < n; i++) {
    snprintf(command, sizeof(command), "%s/%u.o", folder, i);
    FILE *file = fopen(command, "wb");
    assert_int_equal(fwrite(parts[i].data, 1, parts[i].bytes, file), parts[i].bytes);
    fclose(file);
  }
  snprintf(command, sizeof(command), "cc -shared -o %s/m.so %s/*.o " TENON_RUNTIME, folder, folder);
  assert_int_equal(system(command), 0);
  snprintf(command, sizeof(command), "%s/m.so", folder);
  f->library = dlopen(command, RTLD_NOW | RTLD_LOCAL);
  assert_non_null(f->library);
  snprintf(command, sizeof(command), "rm -r %s", folder);
  assert_int_equal(system(command), 0);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  dlclose(f->library);
  tn_arena_destroy(f->arena);
  tn_module_destroy(f->module);
  tn_ctx_destroy(f->ctx);
  free(f);
  return 0;
}

static const tnrt_model *model_of(void **state) {
  const tnrt_model *model = dlsym(((fixture *)*state)->library, "model_descriptor");
  assert_non_null(model);
  return model;
}

static void test_descriptor(void **state) {
  const tnrt_model *m = model_of(state);
  assert_int_equal(m->abi, TNRT_ABI);
  assert_int_equal(m->size, sizeof(*m));
  assert_int_equal(m->n_symbols, 2);
  assert_string_equal(m->symbols[0].name, "B");
  assert_int_equal(m->symbols[0].hi, 1000);
  assert_int_equal(m->symbols[1].input, 2);
  assert_int_equal(m->n_inputs, 3);
  assert_string_equal(m->inputs[1].shape, "[4,B]");
  assert_int_equal(m->inputs[2].dtype, TNRT_I64);
  assert_string_equal(m->outputs[0].name, "y");
  assert_int_equal(m->n_steps, 3);
  assert_int_equal(m->max_workers, 2);
  assert_null(m->weights);
  assert_ptr_equal(dlsym(((fixture *)*state)->library, "tnrt_main_model"), m);
}

static int32_t bind(const tnrt_model *m, int64_t b, int64_t four, int64_t b2, int64_t n, int64_t *symbols,
                    int64_t *expected, int64_t *found) {
  const int64_t x0[] = {b, four}, x1[] = {4, b2}, x2[] = {n};
  const int64_t *const extents[] = {x0, x1, x2};
  return m->bind(extents, symbols, expected, found);
}

static void refuses(const tnrt_model *m, int32_t failed, int64_t expected, int64_t found, const char *guard,
                    const int64_t *got) {
  assert_true(failed > 0);
  assert_string_equal(m->guards[failed - 1].text, guard);
  assert_int_equal(got[0], expected);
  assert_int_equal(got[1], found);
}

static void test_bind(void **state) {
  const tnrt_model *m = model_of(state);
  int64_t symbols[2], got[2];
  assert_int_equal(bind(m, 5, 4, 5, 10, symbols, &got[0], &got[1]), 0);
  assert_int_equal(symbols[0], 5);
  assert_int_equal(symbols[1], 10);
  refuses(m, bind(m, 0, 4, 0, 0, symbols, &got[0], &got[1]), 1, 0, "input 'a' axis 0 (B): expected at least 1", got);
  refuses(m, bind(m, 1001, 4, 5, 0, symbols, &got[0], &got[1]), 1000, 1001,
          "input 'a' axis 0 (B): expected at most 1000", got);
  refuses(m, bind(m, 5, 3, 5, 0, symbols, &got[0], &got[1]), 4, 3, "input 'a' axis 1: expected 4", got);
  refuses(m, bind(m, 5, 4, 6, 0, symbols, &got[0], &got[1]), 5, 6, "input 'b' axis 1: expected B", got);
  refuses(m, bind(m, 5, 4, 5, 11, symbols, &got[0], &got[1]), 10, 11, "rows of 'c': N, expected at most 2*B", got);
}

static void test_sizes(void **state) {
  const tnrt_model *m = model_of(state);
  int64_t out[3];
  m->out_extents((int64_t[]){7, 3}, out);
  assert_int_equal(out[0], 7);
  assert_int_equal(out[1], 4);
  assert_int_equal(out[2], 3);
  assert_int_equal(m->arena_bytes((int64_t[]){7, 3}), 640);
  assert_int_equal(m->arena_bytes((int64_t[]){7, INT64_MAX / 64}), -1);
  assert_int_equal(m->arena_bytes((int64_t[]){7, INT64_MAX / 2}), -1);
}

typedef struct seen {
  int64_t steps[8];
  size_t n;
} seen;

static void watch(tnrt_call *call, int64_t step) {
  seen *s = call->watcher;
  assert_true(s->n < 8);
  s->steps[s->n++] = step;
}

static void test_run(void **state) {
  const tnrt_model *m = model_of(state);
  float a[8], b[8], y[8];
  int64_t c[3] = {1, 2, 3}, z[3];
  seen watched = {.n = 0};
  for (int i = 0; i < 8; i++) a[i] = (float)i, y[i] = -1;
  uint8_t *arena = aligned_alloc(64, 64 * 5);
  tnrt_call call = {.symbols = (int64_t[]){2, 3}, .inputs = (const void *[]){a, b, c}, .outputs = (void *[]){y, z},
                    .arena = arena, .status = 9, .after = watch, .watcher = &watched};
  m->run(&call);
  assert_memory_equal(a, y, sizeof(a));
  assert_memory_equal(c, z, sizeof(c));
  assert_int_equal(call.status, TNRT_OK);
  assert_int_equal(watched.n, 4);
  assert_memory_equal(watched.steps, ((int64_t[]){3, 0, 1, 2}), 4 * sizeof(int64_t));
  assert_int_equal(m->last_uses[0], 2);
  assert_int_equal(m->last_uses[1], 1);
  free(arena);
}

static void *symbol(void **state, const char *name, void *out) {
  void *address = dlsym(((fixture *)*state)->library, name);
  assert_non_null(address);
  memcpy(out, &address, sizeof(address));
  return address;
}

static void test_c_level(void **state) {
  size_t (*arena_bytes)(int64_t, int64_t);
  int (*create)(model_ctx **, void *, size_t, int);
  int (*run)(model_ctx *, int64_t, int64_t, const float *, const float *, const int64_t *, float *, int64_t *);
  const char *(*message)(const model_ctx *);
  void (*destroy)(model_ctx *);
  symbol(state, "model_arena_bytes", &arena_bytes);
  symbol(state, "model_create", &create);
  symbol(state, "model_run", &run);
  symbol(state, "model_message", &message);
  symbol(state, "model_destroy", &destroy);
  size_t bytes = 320 + tnrt_ctx_bytes(2, 0, 3, 2, 8);
  assert_int_equal(arena_bytes(2, 3), bytes);
  assert_int_equal(arena_bytes(0, 3), 0);
  float a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, b[8], y[8] = {0};
  int64_t c[3] = {1, 2, 3}, z[3];
  for (int given = 0; given < 2; given++) {
    void *arena = given ? aligned_alloc(64, bytes) : NULL;
    model_ctx *ctx;
    assert_int_equal(create(&ctx, arena, given ? bytes : 0, 1), TNRT_OK);
    assert_int_equal(run(ctx, 2, 3, a, b, c, y, z), TNRT_OK);
    assert_memory_equal(a, y, sizeof(a));
    assert_int_equal(z[2], 3);
    assert_string_equal(message(ctx), "");
    assert_int_equal(run(ctx, 1001, 3, a, b, c, y, z), TNRT_BAD_SHAPE);
    assert_string_equal(message(ctx), "input 'a' axis 0 (B): expected at most 1000, found 1001");
    if (given) assert_int_equal(run(ctx, 3, 3, a, b, c, y, z), TNRT_NO_MEMORY);
    destroy(ctx);
    free(arena);
  }
  model_ctx *ctx;
  assert_int_equal(create(&ctx, a, 64, 1), TNRT_NO_MEMORY);
  assert_null(ctx);
  assert_non_null(strstr(message(NULL), "arena"));
  destroy(NULL);
}

/* The bytes do not depend on how many processes make them. */
static void test_workers(void **state) {
  fixture *f = *state;
  uint32_t n, n2;
  tn_object_part *here = emit(f, 0, &n), *forked = emit(f, 3, &n2);
  assert_int_equal(n, n2);
  for (uint32_t i = 0; i < n; i++) {
    assert_int_equal(here[i].bytes, forked[i].bytes);
    assert_memory_equal(here[i].data, forked[i].data, here[i].bytes);
  }
}

/* A child that dies: the address space is limited to what is in use, so its first allocations fail. */
static void test_dead_worker(void **state) {
  fixture *f = *state;
#if defined(__SANITIZE_ADDRESS__)
  skip(); /* its allocator ends the child in its own way */
#endif
  tn_emit_options options = {.prefix = "model", .n_threads = 1, .n_workers = 1};
  tn_object_part *parts;
  uint32_t n;
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  assert_int_equal(fscanf(file, "%lu", &pages), 1);
  fclose(file);
  struct rlimit old, tight;
  getrlimit(RLIMIT_AS, &old);
  tight = (struct rlimit){(pages << 12) + (1 << 16), old.rlim_max};
  setrlimit(RLIMIT_AS, &tight);
  bool ok = tn_backend_find("cpu")->emit(f->ctx, &f->target, f->program, &options, f->arena, &parts, &n);
  setrlimit(RLIMIT_AS, &old);
  assert_false(ok);
  const tn_diag *last = &f->ctx->diags.data[f->ctx->diags.n - 1];
  assert_int_equal(last->code, TN_E_RESOURCE);
  assert_non_null(strstr(last->text, "the entry of 'main'"));
}

static void test_unbound_size(void **state) {
  fixture *f = *state;
  tn_program broken = *f->program;
  broken.bindings.n = 1; /* N is no longer bound */
  size_t before = f->ctx->diags.n;
  tn_emit_options options = {.prefix = "model", .n_threads = 1, .n_workers = 1};
  tn_object_part *parts;
  uint32_t n;
  assert_false(tn_backend_find("cpu")->emit(f->ctx, &f->target, &broken, &options, f->arena, &parts, &n));
  const tn_diag *last = &f->ctx->diags.data[f->ctx->diags.n - 1];
  assert_int_equal(last->code, TN_E_BACKEND);
  assert_string_equal(last->text, "size 'N' is not bound by any input of 'main'");
  assert_int_equal(f->ctx->diags.n, before + 1);
}

static void test_targets(void **state) {
  fixture *f = *state;
  const tn_backend *cpu = tn_backend_find("cpu");
  tn_target t;
  assert_true(cpu->probe(f->ctx, "haswell", NULL, &t));
  assert_int_equal(t.vector_bits, 256);
  assert_int_equal(t.n_vector_registers, 16);
  assert_true(t.has_fma);
  assert_true(cpu->probe(f->ctx, "x86-64-v4", "x86_64-pc-linux-gnu", &t));
  assert_int_equal(t.vector_bits, 512);
  assert_true(cpu->probe(f->ctx, "cortex-a72", "aarch64-linux-gnu", &t));
  assert_int_equal(t.vector_bits, 128);
  assert_false(cpu->probe(f->ctx, "haswel", NULL, &t));
  const tn_diag *last = &f->ctx->diags.data[f->ctx->diags.n - 1];
  assert_int_equal(last->code, TN_E_TARGET);
  assert_non_null(strstr(last->text, "did you mean 'haswell'?"));
  assert_false(cpu->probe(f->ctx, "", "mips-elf", &t));
  assert_null(tn_backend_find("gpu"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_descriptor), cmocka_unit_test(test_bind),
                                     cmocka_unit_test(test_sizes),      cmocka_unit_test(test_run),
                                     cmocka_unit_test(test_c_level),    cmocka_unit_test(test_workers),
                                     cmocka_unit_test(test_dead_worker), cmocka_unit_test(test_unbound_size),
                                     cmocka_unit_test(test_targets)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
