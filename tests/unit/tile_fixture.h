/* For tests of lowering: tile functions that apply one scalar op to arrays, compiled to objects, linked into one shared
 * library and loaded. */
#ifndef TN_TESTS_UNIT_TILE_FIXTURE_H
#define TN_TESTS_UNIT_TILE_FIXTURE_H

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/cpu/code.h"
#include "runtime/abi.h"

#define N 512 /* elements a call */
#define MAX_CASES 2048

typedef struct test_case {
  tn_scalar scalar;
  tn_dtype dtype, to;
  uint32_t lanes;
  tnrt_part_fn function;
} test_case;

typedef struct fixture {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_cpu_code *code;
  tn_target target;
  char folder[64];
  tn_buf objects; /* names, for the linker */
  test_case *cases;
  uint32_t n_cases;
} fixture;

static inline tn_dtype operand_type(const test_case *c, uint32_t i) {
  return c->scalar == TN_SELECT && i == 0 ? TN_BOOL : c->dtype;
}

static inline fixture open_fixture(const char *cpu) {
  fixture f = {0};
  f.ctx = tn_ctx_create((tn_oom){0});
  f.arena = tn_arena_create_scratch(f.ctx->arena);
  f.code = tn_cpu_code_load(f.ctx);
  assert_non_null(f.code);
  assert_true(tn_backend_find("cpu")->probe(f.ctx, cpu, NULL, &f.target));
  f.target.opt_level = 1;
  f.objects = tn_buf_create(f.arena);
  f.cases = TN_NEW_N(f.arena, test_case, MAX_CASES);
  strcpy(f.folder, "/tmp/tenon_lower_XXXXXX");
  assert_non_null(mkdtemp(f.folder));
  return f;
}

static inline void close_fixture(fixture *f) {
  tn_arena_destroy(f->arena);
  tn_ctx_destroy(f->ctx);
}

static inline tn_kernel *plain_kernel(fixture *f, uint32_t n_args) {
  tn_kernel *kernel = TN_NEW(f->arena, tn_kernel);
  for (uint32_t i = 0; i < n_args; i++) TN_VEC_PUSH(f->arena, &kernel->args, ((tn_karg){.name = "a"}));
  return kernel;
}

/* for (i = 0; i < N; i += lanes) out[i..] = op(in0[i..], ...) */
static inline tn_tile_func *build(fixture *f, const test_case *c) {
  uint32_t arity = tn_scalar_arity(c->scalar);
  tn_tile_func *tile = tn_tile_func_create(f->arena, plain_kernel(f, arity + 1), &f->target);
  tn_tile_build b = {.func = tile, .block = &tile->body};
  tn_tile_block *saved;
  tn_tile_stmt *loop =
      tn_tile_loop_begin(&b, tn_tile_const_i(&b, 0), tn_tile_const_i(&b, N), c->lanes, NULL, 0, &saved);
  tn_tile_value *in[3];
  for (uint32_t i = 0; i < arity; i++)
    in[i] = tn_tile_load(&b, TN_T_LOAD, operand_type(c, i), c->lanes, i, loop->var, 0, NULL);
  tn_tile_value *r = tn_tile_scalar(&b, c->scalar, c->to, c->lanes, in, arity);
  tn_tile_store(&b, arity, loop->var, 0, r, c->to, NULL);
  tn_tile_loop_end(&b, loop, NULL, saved);
  tn_tile_remove_dead(tile);
  return tile;
}

static inline void write_object(fixture *f, const char *symbol, const tn_object_part *part) {
  char path[128];
  snprintf(path, sizeof(path), "%s/%s.o", f->folder, symbol);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(part->data, 1, part->bytes, file), part->bytes);
  fclose(file);
  tn_buf_printf(&f->objects, "%s\n", path);
}

static inline void add_case(fixture *f, tn_scalar scalar, tn_dtype dtype, tn_dtype to, uint32_t lanes) {
  char symbol[32];
  assert_true(f->n_cases < MAX_CASES);
  test_case *c = &f->cases[f->n_cases];
  *c = (test_case){.scalar = scalar, .dtype = dtype, .to = to, .lanes = lanes};
  tn_object_part part;
  snprintf(symbol, sizeof(symbol), "case_%u", f->n_cases++);
  assert_true(f->code->compile_tile(f->ctx, &f->target, build(f, c), symbol, f->arena, &part));
  write_object(f, symbol, &part);
}

static inline void link_and_load(fixture *f) {
  char path[128], command[512];
  snprintf(path, sizeof(path), "%s/objects", f->folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(f->objects.data, file);
  fclose(file);
  snprintf(command, sizeof(command), "cc -shared -o %s/all.so @%s/objects -lm", f->folder, f->folder);
  assert_int_equal(system(command), 0);
  snprintf(path, sizeof(path), "%s/all.so", f->folder);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) print_error("%s\n", dlerror());
  assert_non_null(library);
  for (uint32_t i = 0; i < f->n_cases; i++) {
    char symbol[32];
    snprintf(symbol, sizeof(symbol), "case_%u", i);
    void *address = dlsym(library, symbol);
    memcpy(&f->cases[i].function, &address, sizeof(address));
    assert_non_null(address);
  }
  snprintf(command, sizeof(command), "rm -rf %s", f->folder);
  assert_int_equal(system(command), 0);
}

/* Calls a case on its operands. The frame: as many pointers as the kernel has arguments, then scratch, its stride and
 * the status. */
static inline int32_t call_case(const test_case *c, void *const *in, void *out) {
  uint32_t arity = tn_scalar_arity(c->scalar);
  int32_t status = 0;
  const void *frame[8] = {0};
  for (uint32_t k = 0; k < arity; k++) frame[k] = in[k];
  frame[arity] = out;
  frame[arity + 3] = &status;
  c->function(frame, 0, 1, 0);
  return status;
}

#endif
