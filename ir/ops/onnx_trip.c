/* How often a Loop runs, read off its condition: while loops over time steps (TensorFlow's) have no trip count; they
 * compare counters that grow by one with bounds that stay what they are. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

#define MAX_COMPARISONS 4

/* The condition holds as long as counter < bound. */
typedef struct comparison {
  tn_value *counter, *bound;
  bool or_equal;
} comparison;

/* What v says in another type or shape; numbers are taken to fit their types. */
static tn_value *peel(tn_value *v) {
  while (v->def && v->def->n_operands == 1) {
    tn_value *from = v->def->operands[0].value;
    bool moves = (v->def->op->traits & TN_TRAIT_SHAPE_ONLY) != 0;
    bool casts = v->def->op == tn_op_of_scalar(TN_CAST) && tn_dtype_is_integer(from->type->dtype);
    if ((!moves && !casts) || tn_type_static_count(from->type) != 1) break;
    v = from;
  }
  return v;
}

/* The comparisons all of which v asks for; false when it asks for anything else. */
static bool collect(tn_value *v, comparison *out, uint32_t *n) {
  const tn_node *node = (v = peel(v))->def;
  if (!node || tn_type_static_count(v->type) != 1) return false;
  if (node->op == tn_op_of_scalar(TN_AND))
    return collect(node->operands[0].value, out, n) && collect(node->operands[1].value, out, n);
  bool less = node->op == tn_op_of_scalar(TN_LT) || node->op == tn_op_of_scalar(TN_LE);
  bool greater = node->op == tn_op_of_scalar(TN_GT) || node->op == tn_op_of_scalar(TN_GE);
  if ((!less && !greater) || *n == MAX_COMPARISONS) return false;
  out[(*n)++] = (comparison){.counter = peel(node->operands[less ? 0 : 1].value),
                             .bound = peel(node->operands[less ? 1 : 0].value),
                             .or_equal = node->op == tn_op_of_scalar(TN_LE) || node->op == tn_op_of_scalar(TN_GE)};
  return true;
}

static bool is_one(const tn_value *v) { return v->n_index == 1 && tn_dim_is(v->index[0], 1); }

/* x of x + 1, else NULL. */
static tn_value *before_step(const tn_value *v) {
  if (!v->def || v->def->op != tn_op_of_scalar(TN_ADD)) return NULL;
  tn_value *x = peel(v->def->operands[0].value), *y = peel(v->def->operands[1].value);
  return is_one(y) ? x : is_one(x) ? y : NULL;
}

/* The number of the body's parameter that v is, or -1. */
static int64_t param_of(const tn_loop_count *l, const tn_value *v) {
  for (size_t i = 0; i < l->body->params.n; i++)
    if (l->body->params.data[i] == v) return (int64_t)i;
  return -1;
}

/* What the body gives for carried value k. */
static tn_value *given(const tn_loop_count *l, uint32_t k) { return peel(l->body->last->operands[1 + k].value); }

/* The first value of a counter that grows by one in each run: the number of the run, or a carried value; else NULL. */
static tn_value *counter_start(const tn_loop_count *l, const tn_value *counter) {
  int64_t param = param_of(l, counter);
  if (param == 0) return tn_build_splat_i(l->b, TN_I64, 0);
  if (param < 2 || param >= 2 + (int64_t)l->n_carried) return NULL;
  uint32_t k = (uint32_t)param - 2;
  return before_step(given(l, k)) == counter ? peel(l->carried[k]) : NULL;
}

static void note_late(void *user, const tn_symbol *symbol) {
  bool *is_late = user;
  if (tn_symbol_is_late(symbol)) *is_late = true;
}

/* What a bound is outside of the body: a number, something captured, or a carried value that stays; else NULL. */
static tn_value *bound_outside(const tn_loop_count *l, const tn_value *bound) {
  int64_t param = param_of(l, bound);
  if (param >= 2 + (int64_t)l->n_carried) return peel(l->captures[param - 2 - l->n_carried]);
  if (param >= 2) return given(l, (uint32_t)param - 2) == bound ? peel(l->carried[param - 2]) : NULL;
  bool is_late = false;
  if (bound->n_index != 1) return NULL;
  tn_dim_symbols(bound->index[0], note_late, &is_late);
  return is_late ? NULL : tn_compose_dim(l->b, bound->index[0], TN_I64);
}

static tn_value *as_number(tn_build *b, tn_value *v) {
  if (!v || !tn_dtype_is_integer(v->type->dtype) || tn_type_static_count(v->type) != 1) return NULL;
  return tn_build_cast(b, tn_build_reshape(b, v, NULL, 0), TN_I64);
}

/* Both are the same number: known alike, or constants of any type. */
static bool same_number(const tn_value *x, const tn_value *y) {
  if (x == y) return true;
  return x->n_index == 1 && y->n_index == 1 && x->index[0] == y->index[0];
}

static bool is_zero(tn_build *b, const tn_value *v) {
  tn_const *constant = tn_value_const(v);
  if (!constant || tn_type_static_count(v->type) != 1) return v->n_index == 1 && tn_dim_is(v->index[0], 0);
  const unsigned char *bytes = tn_const_read(constant, b->module->arena);
  for (uint32_t i = 0; i < tn_dtype_bytes(v->type->dtype); i++)
    if (bytes[i] != 0) return false;
  return true;
}

/* Whether the first condition is that start < bound for each comparison, and nothing else. */
static bool starts_so(const tn_loop_count *l, const comparison *outside, uint32_t n) {
  comparison first[MAX_COMPARISONS];
  uint32_t n_first = 0;
  if (!l->condition || !collect(l->condition, first, &n_first) || n_first != n) return false;
  for (uint32_t i = 0; i < n; i++) {
    bool found = false;
    for (uint32_t k = 0; k < n && !found; k++) {
      bool same_start = same_number(first[k].counter, outside[i].counter) ||
                        (is_zero(l->b, first[k].counter) && is_zero(l->b, outside[i].counter));
      found = same_start && same_number(first[k].bound, outside[i].bound) &&
              first[k].or_equal == outside[i].or_equal;
    }
    if (!found) return false;
  }
  return true;
}

static bool holds_always(const tn_loop_count *l) {
  tn_const *constant = l->condition ? tn_value_const(peel(l->condition)) : NULL;
  return !l->condition || (constant && *(const unsigned char *)tn_const_read(constant, l->b->module->arena) != 0);
}

/* How often: behind run j, from 0 on, the counter is start + j + steps, and the loop goes on while that is below. */
static tn_value *runs_of(tn_build *b, const comparison *outside, uint32_t steps) {
  tn_value *bound = as_number(b, outside->bound), *start = as_number(b, outside->counter);
  tn_value *more = tn_build_splat_i(b, TN_I64, (outside->or_equal ? 1 : 0) + 1 - (int64_t)steps);
  return tn_build_binary(b, TN_ADD, tn_build_binary(b, TN_SUB, bound, start), more);
}

tn_value *tn_loop_count_runs(const tn_loop_count *l) {
  comparison inside[MAX_COMPARISONS], outside[MAX_COMPARISONS];
  uint32_t n = 0;
  tn_value *least = NULL;
  bool all_step = true;
  if (!collect(l->body->last->operands[0].value, inside, &n) || n == 0) return NULL;
  for (uint32_t i = 0; i < n; i++) {
    tn_value *stepped = before_step(inside[i].counter), *counter = stepped ? stepped : inside[i].counter;
    outside[i] = (comparison){counter_start(l, counter), bound_outside(l, inside[i].bound), inside[i].or_equal};
    if (!as_number(l->b, outside[i].counter) || !as_number(l->b, outside[i].bound)) return NULL;
    all_step = all_step && stepped;
    tn_value *runs = runs_of(l->b, &outside[i], stepped ? 1 : 0);
    least = least ? tn_build_binary(l->b, TN_MIN, least, runs) : runs;
  }
  if (all_step && starts_so(l, outside, n)) return tn_build_binary_f(l->b, TN_MAX, least, 0);
  least = tn_build_binary_f(l->b, TN_MAX, least, 1);
  if (holds_always(l)) return least;
  tn_value *none = tn_build_splat_i(l->b, TN_I64, 0);
  return tn_build_select(l->b, tn_build_reshape(l->b, l->condition, NULL, 0), least, none);
}
