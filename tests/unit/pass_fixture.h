/* For tests of programs: a text of the IR, taken through all passes with the null backend. */
#ifndef TN_TESTS_UNIT_PASS_FIXTURE_H
#define TN_TESTS_UNIT_PASS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backends/backend.h"
#include "ir/text.h"
#include "passes/passes.h"

typedef struct fixture {
  tn_ctx *ctx;
  tn_pass_context context;
  tn_target target;
} fixture;

static inline void tell_diags(const fixture *f) {
  for (size_t i = 0; i < f->ctx->diags.n; i++) print_message("%s\n", f->ctx->diags.data[i].text);
}

static inline void begin(fixture *f, const char *text, size_t bytes) {
  *f = (fixture){.ctx = tn_ctx_create((tn_oom){0})};
  tn_module *module = tn_text_parse(f->ctx, "model", text, bytes);
  tell_diags(f);
  assert_non_null(module);
  f->context = (tn_pass_context){.ctx = f->ctx, .module = module, .entry = tn_func_find(module, "run"),
                                 .backend = tn_backend_find("null"), .target = &f->target, .max_workers = 1};
  assert_true(f->context.backend->probe(f->ctx, NULL, NULL, &f->target));
}

static inline void run_passes(fixture *f) {
  tn_pipeline_options options = {.verify_each = true};
  const char *failed;
  bool is_fault, ok = tn_pipeline_run(&f->context, &options, &failed, &is_fault);
  tell_diags(f);
  assert_true(ok);
}

static inline void end(fixture *f) {
  tn_module_destroy(f->context.module);
  tn_ctx_destroy(f->ctx);
}

#endif
