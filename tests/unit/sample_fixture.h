/* For tests that walk the samples of the op table: a function with the node that a sample describes. */
#ifndef TN_TESTS_UNIT_SAMPLE_FIXTURE_H
#define TN_TESTS_UNIT_SAMPLE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/build.h"
#include "ir/eval.h"
#include "ir/text.h"

#define MAX_VALUES 16

/* One sample, built. */
typedef struct built {
  tn_ctx *ctx;
  tn_module *module;
  tn_func *func;
  tn_node *node;
} built;

static inline void fail_at(const tn_opdef *op, uint32_t sample, const char *what, const char *detail) {
  fail_msg("op '%s', sample %u: %s: %s", op->name, sample, what, detail);
}

static inline const char *first_error(const tn_ctx *ctx) {
  return ctx->diags.n > 0 ? ctx->diags.data[0].text : "no message";
}

static inline built build_sample(const tn_opdef *op, uint32_t index) {
  const tn_op_sample *sample = &op->samples[index];
  built it = {.ctx = tn_ctx_create((tn_oom){0})};
  it.module = tn_module_create(it.ctx);
  it.func = tn_func_create(it.module, "sample", true);
  tn_value *operands[MAX_VALUES] = {NULL};
  uint32_t n = 0;
  for (; sample->operands[n] != NULL; n++) {
    assert_true(n < MAX_VALUES);
    if (strcmp(sample->operands[n], "-") == 0) continue;
    const tn_type *type = tn_text_parse_type(it.ctx, sample->operands[n]);
    if (type == NULL) fail_at(op, index, "operand type", first_error(it.ctx));
    operands[n] = tn_block_add_param(it.func->body, type, "");
  }
  const tn_symbol *b = tn_symbol_find(it.ctx, "B");
  if (b != NULL) TN_VEC_PUSH(it.module->arena, &it.module->symbols, b);
  tn_attr *attrs = NULL;
  if (sample->attrs != NULL) {
    attrs = tn_text_parse_attrs(it.module, op, sample->attrs);
    if (attrs == NULL) {
      if (sample->expect != NULL) fail_at(op, index, "attributes", first_error(it.ctx));
      return it;
    }
  }
  it.node = tn_node_create(it.func->body, NULL, op, operands, n, attrs);
  return it;
}

static inline void destroy(built *it) {
  tn_module_destroy(it->module);
  tn_ctx_destroy(it->ctx);
}

/* 31 random bits. */
static inline uint64_t draw(uint64_t *seed) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return *seed >> 33;
}

static inline int64_t smallest_extent(const tn_tensor *x) {
  int64_t least = x->ndim == 0 ? 1 : x->extents[0];
  for (uint32_t i = 1; i < x->ndim; i++)
    if (x->extents[i] < least) least = x->extents[i];
  return least;
}

static inline bool is_index_operand(const tn_opdef *op, uint32_t i) {
  return op->n_operands > 0 && op->operands[i < op->n_operands ? i : op->n_operands - 1].role == TN_ROLE_INDEX;
}

#endif
