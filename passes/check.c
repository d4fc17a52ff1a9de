/* --check-each; see check.h. */
#include "passes/check.h"

#include <math.h>

#include "ir/eval_program.h"
#include "ir/primitives.h"

#define BUDGET_ELEMENTS ((int64_t)1 << 25) /* of all values together */
#define BUDGET_FLOPS ((int64_t)1 << 28)    /* of kernels, which are interpreted point by point */
/* Of the largest value of a result. Both sides are computed in double precision, but constants that passes fold are
 * rounded to their type, and deep models and sigmoids near zero magnify that. */
#define TOLERANCE 1e-4

typedef struct sizes {
  int64_t all; /* every symbol has this value, moved into its range */
} sizes;

struct tn_check {
  uint32_t n_inputs, n_results;
  tn_tensor **inputs, **expected;
  sizes sizes;
  bool kernels_are_too_large; /* has been said */
};

static bool size_of(const void *user, const tn_symbol *symbol, int64_t *out) {
  int64_t wanted = ((const sizes *)user)->all;
  *out = wanted < symbol->lo ? symbol->lo : wanted > symbol->hi ? symbol->hi : wanted;
  return symbol->kind == TN_SYM_INPUT;
}

static bool guards_hold(const tn_guard_list *guards, const sizes *s) {
  for (size_t i = 0; i < guards->n; i++) {
    const tn_guard *guard = &guards->data[i];
    int64_t p, q;
    if (!tn_dim_evaluate(guard->p, size_of, s, &p) || !tn_dim_evaluate(guard->q, size_of, s, &q)) return false;
    if (guard->kind == TN_GUARD_EQ ? p != q : p > q) return false;
  }
  return true;
}

/* Those of all branches: which one runs is not known. */
static bool inner_guards_hold(const tn_block *block, const sizes *s) {
  if (!guards_hold(&block->guards, s)) return false;
  for (const tn_node *node = block->first; node; node = node->next)
    for (uint32_t i = 0; i < node->n_regions; i++)
      if (!inner_guards_hold(node->regions[i], s)) return false;
  return true;
}

static bool count_type(const tn_type *type, const sizes *s, int64_t *total) {
  int64_t count = 1, extent;
  for (uint32_t i = 0; i < type->ndim; i++)
    if (!tn_dim_evaluate(type->dims[i], size_of, s, &extent) || extent < 0 || !tn_mul_i64(count, extent, &count))
      return false;
  return tn_add_i64(*total, count, total) && *total <= BUDGET_ELEMENTS;
}

/* The elements of all values of block, once; what a region runs again and again is bounded by what it takes. */
static bool count_block(const tn_block *block, const sizes *s, int64_t *total) {
  for (size_t i = 0; i < block->params.n; i++)
    if (!count_type(block->params.data[i]->type, s, total)) return false;
  for (const tn_node *node = block->first; node; node = node->next) {
    for (uint32_t k = 0; k < node->n_results; k++)
      if (!count_type(node->results[k]->type, s, total)) return false;
    for (uint32_t i = 0; i < node->n_regions; i++)
      if (!count_block(node->regions[i], s, total)) return false;
  }
  return true;
}

/* Everything fits the budget, broadcasts included: the reference computes them whole. */
static bool fits_budget(const tn_func *func, const sizes *s) {
  int64_t total = 0;
  return count_block(func->body, s, &total);
}

static bool choose_sizes(const tn_func *func, sizes *out) {
  static const int64_t candidates[] = {3, 2, 4, 5, 8, 1, 16, 32, 48, 64, 96, 128, 224, 7, 6};
  for (size_t i = 0; i < TN_ARRAY_LEN(candidates); i++) {
    *out = (sizes){candidates[i]};
    if (guards_hold(&func->guards, out) && inner_guards_hold(func->body, out) && fits_budget(func, out)) return true;
  }
  return false;
}

static tn_tensor *random_tensor(tn_arena *arena, const tn_type *type, const sizes *s, uint64_t *seed) {
  int64_t extents[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++)
    if (!tn_dim_evaluate(type->dims[i], size_of, s, &extents[i])) return NULL;
  tn_tensor *tensor = tn_tensor_create(arena, type->dtype, type->ndim, extents);
  for (int64_t i = 0; i < tensor->count; i++) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t bits = *seed >> 33;
    if (tn_dtype_is_float(type->dtype))
      tensor->data[i].f = tn_number_round_float(type->dtype, (double)(bits % 4001) / 1000 - 2);
    else
      tensor->data[i].i = (int64_t)(bits % 2);
  }
  return tensor;
}

static bool run_func(const tn_check *check, const tn_pass_context *context, tn_arena *arena, tn_tensor **out) {
  return tn_eval_func(context->ctx, arena, context->entry, TN_EVAL_WIDE, (const tn_tensor *const *)check->inputs,
                      check->n_inputs, out);
}

static bool draw_inputs(const tn_func *func, tn_arena *arena, sizes *out_sizes, tn_tensor **out) {
  uint64_t seed = 1;
  if (!choose_sizes(func, out_sizes)) return false;
  for (size_t i = 0; i < func->body->params.n; i++)
    out[i] = random_tensor(arena, func->body->params.data[i]->type, out_sizes, &seed);
  return true;
}

bool tn_check_inputs(const tn_func *func, tn_arena *arena, tn_tensor **out) {
  sizes s;
  return draw_inputs(func, arena, &s, out);
}

tn_check *tn_check_begin(const tn_pass_context *context, tn_arena *arena) {
  const tn_func *func = context->entry;
  tn_check *check = TN_NEW(arena, tn_check);
  check->n_inputs = (uint32_t)func->body->params.n;
  check->n_results = (uint32_t)func->result_names.n;
  check->inputs = TN_NEW_N(arena, tn_tensor *, check->n_inputs);
  check->expected = TN_NEW_N(arena, tn_tensor *, check->n_results);
  if (!draw_inputs(func, arena, &check->sizes, check->inputs)) {
    tn_warning(context->ctx, TN_LOC_NONE, TN_W_CHECK,
               "--check-each: no sizes were found that the model allows and that fit the budget of the reference");
    return NULL;
  }
  return run_func(check, context, arena, check->expected) ? check : NULL;
}

/* The largest difference as a part of the largest value; 0 where both are the same infinity or NaN. */
static double difference(const tn_tensor *a, const tn_tensor *b) {
  double largest = 0, most = 0;
  if (a->count != b->count || a->dtype != b->dtype) return INFINITY;
  for (int64_t i = 0; i < a->count; i++) {
    if (!tn_dtype_is_float(a->dtype)) {
      if (a->data[i].i != b->data[i].i) return INFINITY;
      continue;
    }
    double x = a->data[i].f, y = b->data[i].f;
    if (x == y || (isnan(x) && isnan(y))) continue;
    if (!isfinite(x) || !isfinite(y)) return INFINITY;
    most = fmax(most, fabs(x - y));
  }
  for (int64_t i = 0; i < a->count && tn_dtype_is_float(a->dtype); i++)
    if (isfinite(a->data[i].f)) largest = fmax(largest, fabs(a->data[i].f));
  return most == 0 ? 0 : most / largest;
}

/* Adds the operations of steps, run `times` times. */
static bool count_steps(const tn_check *check, const tn_steps *steps, int64_t times, int64_t *total) {
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    int64_t n = 0, trip = 1;
    if (step->kind == TN_STEP_LOOP && !tn_dim_evaluate(step->symbol->extent, size_of, &check->sizes, &trip))
      return false;
    if (step->kind == TN_STEP_KERNEL &&
        !tn_dim_evaluate(tn_kernel_flops(step->kernel), size_of, &check->sizes, &n))
      return false;
    if (!tn_mul_i64(n, times, &n) || !tn_add_i64(*total, n, total) || !tn_mul_i64(times, trip, &trip)) return false;
    if (*total > BUDGET_FLOPS || !count_steps(check, &step->body, trip, total) ||
        !count_steps(check, &step->otherwise, times, total))
      return false;
  }
  return true;
}

static bool kernels_fit_budget(tn_check *check, const tn_pass_context *context) {
  int64_t total = 0;
  if (count_steps(check, &context->program->steps, 1, &total)) return true;
  if (!check->kernels_are_too_large)
    tn_warning(context->ctx, TN_LOC_NONE, TN_W_CHECK,
               "--check-each: the kernels are beyond the budget of the reference; passes over the graph were checked");
  check->kernels_are_too_large = true;
  return false;
}

bool tn_check_after(tn_check *check, const tn_pass_context *context, const char *pass) {
  if (context->program && !kernels_fit_budget(check, context)) return true;
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  tn_tensor **found = TN_NEW_N(scratch, tn_tensor *, check->n_results);
  bool ok = context->program ? tn_eval_program(context->ctx, scratch, context->program, true,
                                               (const tn_tensor *const *)check->inputs, found)
                             : run_func(check, context, scratch, found);
  if (!ok) tn_error(context->ctx, TN_LOC_NONE, TN_E_CHECK, "after pass '%s' the reference cannot run the model", pass);
  for (uint32_t i = 0; i < check->n_results && ok; i++) {
    double by = difference(check->expected[i], found[i]);
    if (by <= TOLERANCE) continue;
    ok = tn_error(context->ctx, TN_LOC_NONE, TN_E_CHECK, "pass '%s' changed result '%s' by %.3g of its largest value",
                  pass, context->entry->result_names.data[i], by);
  }
  tn_arena_destroy(scratch);
  return ok;
}
