/* Walks the op table: each sample of each op is inferred, printed and read back, and evaluated in both modes; wrong
 * samples are refused with a diagnostic. Composites are expanded, and their expansion verifies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/verify.h"
#include "tests/unit/sample_fixture.h"

/* The next type of a list "f32[2,3], i64[2]". */
static const tn_type *next_type(tn_ctx *ctx, const char **at) {
  char text[256];
  const char *end = strchr(*at, ']');
  assert_non_null(end);
  size_t n = (size_t)(end + 1 - *at);
  assert_true(n < sizeof text);
  memcpy(text, *at, n);
  text[n] = '\0';
  *at = end + 1;
  while (**at == ',' || **at == ' ') ++*at;
  return tn_text_parse_type(ctx, text);
}

static void check_types(const tn_opdef *op, uint32_t index, const built *it) {
  const char *at = op->samples[index].expect;
  uint32_t n = 0;
  for (; *at != '\0'; n++) {
    const tn_type *expected = next_type(it->ctx, &at);
    if (n >= it->node->n_results) fail_at(op, index, "results", "too few");
    tn_buf found = tn_buf_create(it->ctx->arena);
    tn_type_print(it->node->results[n]->type, &found);
    if (it->node->results[n]->type != expected) fail_at(op, index, "result type", found.data);
  }
  if (n != it->node->n_results) fail_at(op, index, "results", "too many");
}

static void finish(built *it) {
  tn_build build = tn_build_at_end(it->func->body);
  tn_build_return(&build, it->node->results, it->node->n_results);
  for (uint32_t i = 0; i < it->node->n_results; i++)
    TN_VEC_PUSH(it->module->arena, &it->func->result_names, tn_namef(it->ctx, "y%u", i));
}

static void check_round_trip(const tn_opdef *op, uint32_t index, const built *it) {
  tn_buf first = tn_buf_create(it->ctx->arena), second = first;
  tn_text_print(it->module, TN_TEXT_GRAPH, &first);
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *again = tn_text_parse(ctx, "sample.tnir", first.data, first.n);
  if (again == NULL) {
    printf("%s", first.data);
    fail_at(op, index, "reading back", first_error(ctx));
  }
  tn_text_print(again, TN_TEXT_GRAPH, &second);
  if (strcmp(first.data, second.data) != 0) fail_at(op, index, "printed again", second.data);
  tn_module_destroy(again);
  tn_ctx_destroy(ctx);
}

/* Data: floats and integers in the sample's range, indices inside operand 0's smallest extent. */
static void fill(tn_tensor *tensor, const tn_op_sample *sample, bool is_index, const tn_tensor *first, uint64_t *seed) {
  double lo = sample->lo, hi = sample->hi;
  if (lo == 0 && hi == 0) lo = -2, hi = 2;
  if (is_index) lo = 0, hi = (double)(smallest_extent(first) - 1);
  if (tensor->dtype == TN_BOOL) lo = 0, hi = 1;
  for (int64_t k = 0; k < tensor->count; k++) {
    double u = (double)draw(seed) / 0x1p31;
    if (tn_dtype_is_float(tensor->dtype)) {
      tensor->data[k].f = tn_number_round_float(tensor->dtype, lo + u * (hi - lo));
    } else {
      int64_t v = (int64_t)floor(lo + u * (hi - lo + 1));
      tensor->data[k] = tn_number_cast(TN_F64, tensor->dtype, (tn_number){.f = (double)v});
    }
  }
}

static uint32_t make_inputs(const tn_opdef *op, uint32_t index, const built *it, int64_t b, const tn_tensor **out) {
  uint64_t seed = 17 + index;
  uint32_t n = 0;
  for (uint32_t i = 0; i < it->node->n_operands; i++) {
    const tn_value *value = it->node->operands[i].value;
    if (value == NULL) continue;
    int64_t extents[TN_MAX_NDIM];
    for (uint32_t k = 0; k < value->type->ndim; k++)
      extents[k] = tn_dim_is_const(value->type->dims[k]) ? tn_dim_value(value->type->dims[k]) : b;
    tn_tensor *tensor = tn_tensor_create(it->ctx->arena, value->type->dtype, value->type->ndim, extents);
    fill(tensor, &op->samples[index], is_index_operand(op, i), n > 0 ? out[0] : tensor, &seed);
    out[n++] = tensor;
  }
  return n;
}

/* Exact results lie near the wide ones: a few roundings of the narrowest type at work. */
static double tolerance(tn_dtype dtype) {
  switch (dtype) {
    case TN_F64: return 1e-13;
    case TN_F32: return 1e-4;
    case TN_F16: return 1e-2;
    case TN_BF16: return 1e-1;
    default: return 0.5;
  }
}

static void compare(const tn_opdef *op, uint32_t index, const tn_tensor *exact, const tn_tensor *wide) {
  double largest = 1;
  assert_int_equal(exact->count, wide->count);
  if (!tn_dtype_is_float(exact->dtype)) return;
  for (int64_t k = 0; k < wide->count; k++)
    if (isfinite(wide->data[k].f) && fabs(wide->data[k].f) > largest) largest = fabs(wide->data[k].f);
  for (int64_t k = 0; k < wide->count; k++) {
    double p = exact->data[k].f, q = wide->data[k].f;
    if (isnan(p) && (isnan(q) || tn_dtype_bits(exact->dtype) <= 8)) continue; /* an 8-bit float may overflow */
    if (p != q && !(fabs(p - q) <= tolerance(exact->dtype) * largest) && tn_dtype_bits(exact->dtype) > 8)
      fail_at(op, index, "exact and wide mode", "far apart");
    if (p != tn_number_round_float(exact->dtype, p)) fail_at(op, index, "exact mode", "a result is not rounded");
  }
}

static void check_eval(const tn_opdef *op, uint32_t index, const built *it) {
  for (int64_t b = 1; b <= 3; b += 2) {
    const tn_tensor *inputs[MAX_VALUES];
    tn_tensor *outputs[2][MAX_VALUES];
    uint32_t n = make_inputs(op, index, it, b, inputs);
    for (int mode = 0; mode < 2; mode++)
      if (!tn_eval_func(it->ctx, it->ctx->arena, it->func, mode == 0 ? TN_EVAL_EXACT : TN_EVAL_WIDE, inputs, n,
                        outputs[mode]))
        fail_at(op, index, "evaluation", first_error(it->ctx));
    for (uint32_t i = 0; i < it->node->n_results; i++) compare(op, index, outputs[0][i], outputs[1][i]);
  }
}

/* The expansion has the same types, verifies, and evaluates to the same values. */
static void check_expansion(const tn_opdef *op, uint32_t index, const built *it) {
  tn_func *func = tn_func_create(it->module, "expansion", true);
  tn_value *operands[MAX_VALUES] = {NULL}, *results[MAX_VALUES] = {NULL};
  for (uint32_t i = 0; i < it->node->n_operands; i++)
    if (it->node->operands[i].value != NULL)
      operands[i] = tn_block_add_param(func->body, it->node->operands[i].value->type, "");
  tn_build build = tn_build_at_end(func->body);
  if (!op->expand(&build, it->node, operands, results)) fail_at(op, index, "expansion", first_error(it->ctx));
  tn_build_return(&build, results, it->node->n_results);
  for (uint32_t i = 0; i < it->node->n_results; i++) {
    TN_VEC_PUSH(it->module->arena, &func->result_names, tn_namef(it->ctx, "y%u", i));
    if (results[i]->type->dtype != it->node->results[i]->type->dtype ||
        results[i]->type->ndim != it->node->results[i]->type->ndim)
      fail_at(op, index, "expansion", "another type");
  }
  if (!tn_verify_func(func)) fail_at(op, index, "expansion", first_error(it->ctx));
  const tn_tensor *inputs[MAX_VALUES];
  tn_tensor *direct[MAX_VALUES], *expanded[MAX_VALUES];
  uint32_t n = make_inputs(op, index, it, 3, inputs);
  assert_true(tn_eval_func(it->ctx, it->ctx->arena, it->func, TN_EVAL_EXACT, inputs, n, direct));
  if (!tn_eval_func(it->ctx, it->ctx->arena, func, TN_EVAL_EXACT, inputs, n, expanded))
    fail_at(op, index, "evaluation of the expansion", first_error(it->ctx));
  for (uint32_t i = 0; i < it->node->n_results; i++) {
    assert_int_equal(direct[i]->count, expanded[i]->count);
    for (int64_t k = 0; k < direct[i]->count; k++)
      if (direct[i]->data[k].u != expanded[i]->data[k].u) fail_at(op, index, "expansion", "another value");
  }
}

static void check_sample(const tn_opdef *op, uint32_t index) {
  built it = build_sample(op, index);
  if (op->samples[index].expect == NULL) {
    if (it.node != NULL) fail_at(op, index, "a wrong sample", "was accepted");
    if (tn_diag_n_errors(it.ctx) == 0) fail_at(op, index, "a wrong sample", "was refused without a message");
  } else {
    if (it.node == NULL) fail_at(op, index, "refused", first_error(it.ctx));
    check_types(op, index, &it);
    finish(&it);
    if (!tn_verify_func(it.func)) fail_at(op, index, "verifier", first_error(it.ctx));
    check_round_trip(op, index, &it);
    check_eval(op, index, &it);
    if (op->expand != NULL) check_expansion(op, index, &it);
  }
  destroy(&it);
}

static void test_samples(void **state) {
  (void)state;
  for (uint32_t i = 0; i < tn_op_count(); i++)
    for (uint32_t k = 0; k < tn_op_at(i)->n_samples; k++) check_sample(tn_op_at(i), k);
}

/* What every record must have. */
static void test_records(void **state) {
  (void)state;
  for (uint32_t i = 0; i < tn_op_count(); i++) {
    const tn_opdef *op = tn_op_at(i);
    bool has_good = false, has_bad = false;
    assert_ptr_equal(tn_op_find(op->name), op);
    assert_non_null(op->doc);
    if (op->kind == TN_OP_TERMINATOR || strcmp(op->name, "const") == 0) continue;
    for (uint32_t k = 0; k < op->n_samples; k++)
      *(op->samples[k].expect != NULL ? &has_good : &has_bad) = true;
    /* dim_read needs symbols that no sample can make, other ops regions; dim_value takes any dims */
    bool has_none = strcmp(op->name, "dim_read") == 0 || op->n_regions > 0;
    if (!has_good && !has_none) fail_msg("op '%s' has no sample that holds", op->name);
    if (!has_bad && strcmp(op->name, "dim_value") != 0) fail_msg("op '%s' has no sample that is refused", op->name);
    if (op->kind == TN_OP_COMPOSITE) assert_non_null(op->expand);
    if (op->kind == TN_OP_PRIMITIVE) assert_non_null(op->eval);
    if (op->kind == TN_OP_SCALAR) {
      assert_int_equal(op->n_operands, tn_scalar_arity(op->scalar));
      assert_ptr_equal(tn_op_of_scalar(op->scalar), op);
    }
  }
}

/* One ONNX name and version means one op. */
static void test_onnx_rows(void **state) {
  (void)state;
  for (uint32_t i = 0; i < tn_op_count(); i++)
    for (uint32_t j = 0; j <= i; j++)
      for (uint32_t p = 0; p < tn_op_at(i)->n_onnx; p++)
        for (uint32_t q = 0; q < tn_op_at(j)->n_onnx; q++) {
          const tn_onnx_row *a = &tn_op_at(i)->onnx[p], *b = &tn_op_at(j)->onnx[q];
          if (a == b || strcmp(a->name, b->name) != 0 || strcmp(a->domain, b->domain) != 0) continue;
          bool apart = (a->until != 0 && a->until < b->since) || (b->until != 0 && b->until < a->since);
          if (!apart) fail_msg("ONNX '%s' is in '%s' and '%s'", a->name, tn_op_at(i)->name, tn_op_at(j)->name);
        }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_records), cmocka_unit_test(test_onnx_rows),
                                     cmocka_unit_test(test_samples)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
