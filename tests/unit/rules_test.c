/* Each algebraic rule: both sides are built over arguments and run by the reference on random tensors with special values;
 * EXACT rows agree bit for bit, the others where their class says. Each structural rule: a graph it applies to gets
 * smaller and keeps its value. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ir/eval.h"
#include "ir/text.h"
#include "passes/passes.h"
#include "passes/rules/rules.h"

#define N_ELEMENTS 240
static const char variables[] = "xyzpq";
static const double specials[] = {0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, INFINITY, -INFINITY, NAN, 1e-40, 3e38};

typedef struct side {
  tn_func *func;
  tn_tensor *result;
} side;

static tn_tensor *random_argument(tn_arena *arena, tn_dtype dtype, uint64_t *seed) {
  int64_t extent = N_ELEMENTS;
  tn_tensor *tensor = tn_tensor_create(arena, dtype, 1, &extent);
  for (int64_t i = 0; i < N_ELEMENTS; i++) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t bits = *seed >> 33;
    if (dtype == TN_BOOL)
      tensor->data[i].i = (int64_t)(bits & 1);
    else if (tn_dtype_is_float(dtype))
      tensor->data[i].f = tn_number_round_float(dtype, bits & 1 ? specials[bits / 2 % TN_ARRAY_LEN(specials)]
                                                                : (double)(bits % 4001) / 1000 - 2);
    else
      tensor->data[i] = tn_number_cast(TN_I64, dtype, (tn_number){.i = bits & 1 ? (int64_t)(bits % 7) - 3 : INT32_MIN});
  }
  return tensor;
}

/* Builds a function of all variables whose result is the pattern. False when the ops do not take the type. */
static bool build_side(tn_ctx *ctx, tn_module *module, const char *name, const char *text, tn_dtype dtype, side *out) {
  int64_t extent = N_ELEMENTS;
  tn_bindings bindings = {{0}};
  out->func = tn_func_create(module, name, true);
  for (const char *v = variables; *v; v++) {
    const tn_type *type = tn_type_static(ctx, *v == 'p' || *v == 'q' ? TN_BOOL : dtype, 1, &extent);
    bindings.values[*v - 'a'] = tn_block_add_param(out->func->body, type, tn_namef(ctx, "%c", *v));
  }
  tn_build build = tn_build_at_end(out->func->body);
  bool is_bool = strpbrk(text, "xyz") == NULL;
  const tn_value *like = bindings.values[is_bool ? 'p' - 'a' : 'x' - 'a'];
  size_t n_errors = ctx->n_errors;
  tn_value *value = tn_pattern_build(&build, tn_pattern_parse(ctx->arena, text), &bindings, like);
  bool ok = value && ctx->n_errors == n_errors;
  ctx->n_errors = n_errors;
  if (!ok) return false;
  TN_VEC_PUSH(module->arena, &out->func->result_names, "r");
  tn_build_return(&build, &value, 1);
  return true;
}

static bool agree(const tn_rule *rule, tn_dtype dtype, tn_number a, tn_number b) {
  if (!tn_dtype_is_float(dtype)) return a.i == b.i;
  if (isnan(a.f) && isnan(b.f)) return true;
  if (rule->class == TN_RULE_SPECIAL && !(isfinite(a.f) && isfinite(b.f))) return true;
  if (rule->class == TN_RULE_EXACT) return a.f == b.f && signbit(a.f) == signbit(b.f);
  return a.f == b.f;
}

/* True when the rule could be built for this type, and then it was checked. */
static bool check_rule(const tn_rule *rule, tn_dtype dtype) {
  /* No constant of an unsigned type is negative: such a row never matches there. */
  if (tn_dtype_class_of(dtype) == TN_CLASS_UNSIGNED && strstr(rule->pattern, "-1")) return false;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_module_create(ctx);
  side sides[2];
  bool built = build_side(ctx, module, "left", rule->pattern, dtype, &sides[0]) &&
               build_side(ctx, module, "right", rule->replacement, dtype, &sides[1]);
  if (built) {
    tn_tensor *arguments[5];
    uint64_t seed = 11;
    for (size_t i = 0; i < 5; i++)
      arguments[i] = random_argument(ctx->arena, strchr("pq", variables[i]) ? TN_BOOL : dtype, &seed);
    for (int k = 0; k < 2; k++)
      assert_true(tn_eval_func(ctx, ctx->arena, sides[k].func, TN_EVAL_EXACT, (const tn_tensor *const *)arguments, 5,
                               &sides[k].result));
    for (int64_t i = 0; i < N_ELEMENTS; i++) {
      bool equal = agree(rule, sides[0].result->dtype, sides[0].result->data[i], sides[1].result->data[i]);
      if (!equal) print_message("rule %s, %s, element %d\n", rule->name, tn_dtype_name(dtype), (int)i);
      assert_true(equal);
    }
  }
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return built;
}

static void test_both_sides_of_each_rule(void **state) {
  static const tn_dtype dtypes[] = {TN_F32, TN_F64, TN_F16, TN_I32, TN_I8, TN_U8};
  (void)state;
  for (uint32_t i = 0; i < tn_n_rules; i++) {
    unsigned n_checked = 0;
    for (size_t d = 0; d < TN_ARRAY_LEN(dtypes); d++) n_checked += check_rule(&tn_rules[i], dtypes[d]);
    if (!n_checked) print_message("rule %s fits no type\n", tn_rules[i].name);
    assert_true(n_checked > 0);
  }
}

typedef struct structural_case {
  const char *rule, *text;
  uint32_t max_nodes; /* after simplify and dce, without the return */
} structural_case;

#define ENTRY(type_in, type_out) "tnir 1\nconst @z : f32[] = splat 0\nconst @c : f32[1,3,1] = dense [1, 2, 3]\n" \
  "const @w : f32[2,3,3] = splat 0.5\nfunc @run entry (%x: " type_in " \"x\") -> (" type_out " \"y\") {\n"

static const structural_case structural_cases[] = {
    {"drop-identity", ENTRY("f32[2,3]", "f32[2,3]") "  %0 = reshape %x {dims=[2,3]} : f32[2,3]\n"
     "  %1 = slice %0 {start=[0,0], size=[2,3], step=[1,1]} : f32[2,3]\n  %2 = neg %1 : f32[2,3]\n  return %2\n}\n", 1},
    {"merge-transposes", ENTRY("f32[2,3,4]", "f32[4,3,2]") "  %0 = transpose %x {perm=[1,0,2]} : f32[3,2,4]\n"
     "  %1 = transpose %0 {perm=[2,0,1]} : f32[4,3,2]\n  return %1\n}\n", 1},
    {"merge-reshapes", ENTRY("f32[2,6]", "f32[4,3]") "  %0 = reshape %x {dims=[12]} : f32[12]\n"
     "  %1 = reshape %0 {dims=[4,3]} : f32[4,3]\n  return %1\n}\n", 1},
    {"transpose-of-ones", ENTRY("f32[1,6]", "f32[6]") "  %0 = transpose %x {perm=[1,0]} : f32[6,1]\n"
     "  %1 = reshape %0 {dims=[6]} : f32[6]\n  return %1\n}\n", 1},
    {"merge-broadcasts", ENTRY("f32[3]", "f32[2,3,4]") "  %0 = broadcast %x {dims=[2,3], map=[1]} : f32[2,3]\n"
     "  %1 = broadcast %0 {dims=[2,3,4], map=[0,1]} : f32[2,3,4]\n  return %1\n}\n", 1},
    {"drop-ones-below-broadcast", ENTRY("f32[1,3,1]", "f32[2,3,4]")
     "  %0 = broadcast %x {dims=[2,3,4], map=[0,1,2]} : f32[2,3,4]\n  return %0\n}\n", 2},
    {"view-of-splat", ENTRY("f32[6]", "f32[2,3]") "  %a = reshape %x {dims=[2,3]} : f32[2,3]\n"
     "  %0 = broadcast @z {dims=[6], map=[]} : f32[6]\n  %1 = reshape %0 {dims=[2,3]} : f32[2,3]\n"
     "  %2 = max %a, %1 : f32[2,3]\n  return %2\n}\n", 4},
    {"merge-slices", ENTRY("f32[9]", "f32[2]") "  %0 = slice %x {start=[1], size=[4], step=[2]} : f32[4]\n"
     "  %1 = slice %0 {start=[3], size=[2], step=[-2]} : f32[2]\n  return %1\n}\n", 1},
    {"reduce-of-ones", ENTRY("f32[2,1]", "f32[2]") "  %0 = reduce %x {op=sum, axes=[1]} : f32[2]\n  return %0\n}\n", 1},
    {"pad-into-conv", ENTRY("f32[1,3,5]", "f32[1,2,5]")
     "  %0 = pad %x, @z {lo=[0,0,1], hi=[0,0,1], inner=[0,0,0]} : f32[1,3,7]\n"
     "  %1 = conv %0, @w {stride=[1], dilate=[1], lo=[0], hi=[0], groups=1} : f32[1,2,5]\n  return %1\n}\n", 2},
};

static tn_tensor *run(tn_ctx *ctx, const tn_func *func, const tn_tensor *input) {
  tn_tensor *out;
  assert_true(tn_eval_func(ctx, ctx->arena, func, TN_EVAL_EXACT, &input, 1, &out));
  return out;
}

static void check_structural(const structural_case *c) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_text_parse(ctx, c->rule, c->text, strlen(c->text));
  for (size_t i = 0; i < ctx->diags.n; i++) print_message("%s: %s\n", c->rule, ctx->diags.data[i].text);
  assert_non_null(module);
  tn_func *func = tn_func_find(module, "run");
  const tn_type *type = func->body->params.data[0]->type;
  int64_t extents[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++) extents[i] = tn_dim_value(type->dims[i]);
  tn_tensor *input = tn_tensor_create(ctx->arena, type->dtype, type->ndim, extents);
  for (int64_t i = 0; i < input->count; i++) input->data[i].f = (double)(i % 5) - 1.5;
  tn_tensor *before = run(ctx, func, input);
  tn_pass_context context = {.ctx = ctx, .module = module, .entry = func};
  assert_true(tn_pass_simplify(&context) && tn_pass_dce(&context));
  uint32_t n_nodes = 0;
  for (const tn_node *node = func->body->first; node != func->body->last; node = node->next) n_nodes++;
  if (n_nodes > c->max_nodes) print_message("%s: %u nodes are left\n", c->rule, n_nodes);
  assert_in_range(n_nodes, 0, c->max_nodes);
  tn_tensor *after = run(ctx, func, input);
  assert_int_equal(before->count, after->count);
  assert_memory_equal(before->data, after->data, (size_t)before->count * sizeof(tn_number));
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

static void test_structural_rules(void **state) {
  (void)state;
  for (uint32_t i = 0; i < tn_n_structural_rules; i++) {
    const structural_case *found = NULL;
    for (size_t k = 0; k < TN_ARRAY_LEN(structural_cases); k++)
      if (strcmp(structural_cases[k].rule, tn_structural_rules[i].name) == 0) found = &structural_cases[k];
    if (!found) print_message("rule %s has no case\n", tn_structural_rules[i].name);
    assert_non_null(found);
    check_structural(found);
  }
}

static void test_pass_order_rows_hold(void **state) {
  (void)state;
  for (uint32_t i = 0; i < tn_n_pass_orders; i++) {
    uint32_t first = UINT32_MAX, then = UINT32_MAX;
    for (uint32_t k = 0; k < tn_n_passes; k++) {
      if (strcmp(tn_passes[k].name, tn_pass_orders[i].first) == 0) first = k;
      if (strcmp(tn_passes[k].name, tn_pass_orders[i].then) == 0) then = k;
    }
    assert_true(first != UINT32_MAX && then != UINT32_MAX && first < then);
    assert_true(strlen(tn_pass_orders[i].reason) > 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_sides_of_each_rule),
                                     cmocka_unit_test(test_structural_rules),
                                     cmocka_unit_test(test_pass_order_rows_hold)};
  return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
