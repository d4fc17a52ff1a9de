/* The optimisers of ai.onnx.preview.training: Momentum, Adagrad and Adam. Inputs are the learning rate, the number of
 * updates so far, then all tensors, all gradients and all states of each kind; outputs the new tensors and states. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <string.h>

enum { MAX_STATES = 2 };

typedef struct update {
  tn_build *b;
  tn_value *rate, *count;              /* scalars of the tensor's type */
  tn_value *x, *g, *states[MAX_STATES]; /* x is replaced by its new value, as the states are */
} update;

static tn_value *times(tn_build *b, tn_value *x, double factor) { return tn_build_binary_f(b, TN_MUL, x, factor); }

/* a * x + b * y. */
static tn_value *mixed(tn_build *b, tn_value *x, double a, tn_value *y, double c) {
  return tn_build_binary(b, TN_ADD, times(b, x, a), times(b, y, c));
}

static tn_value *square(tn_build *b, tn_value *x) { return tn_build_binary(b, TN_MUL, x, x); }

/* x - rate * step; rate is a scalar. */
static tn_value *moved(const update *u, tn_value *rate, tn_value *step) {
  return tn_build_binary(u->b, TN_SUB, u->x,
                         tn_build_binary(u->b, TN_MUL, tn_compose_repeat(u->b, rate, u->x), step));
}

/* Each input group `group` (0 = x) of n tensors: number i; its first comes after rate and count. */
static tn_value *member(tn_foreign_node *node, uint32_t group, uint32_t n, uint32_t i) {
  return tn_foreign_need(node, 2 + group * n + i);
}

/* Runs `step` for each tensor. */
static bool import_optimiser(tn_foreign_node *node, uint32_t n_states, bool (*step)(tn_foreign_node *, update *)) {
  tn_build *b = node->build;
  uint32_t groups = 2 + n_states, n = node->n_inputs < 2 ? 0 : (node->n_inputs - 2) / groups;
  tn_value *rate = tn_foreign_need(node, 0), *count = tn_foreign_need(node, 1);
  if (n == 0 || node->n_inputs != 2 + n * groups)
    return tn_foreign_error(node, TN_E_ARITY, "expected 2 inputs and %u for each tensor, found %u", groups,
                            node->n_inputs);
  for (uint32_t i = 0; i < n; i++) {
    update u = {.b = b, .x = member(node, 0, n, i), .g = member(node, 1, n, i)};
    if (u.x == NULL || u.g == NULL || rate == NULL || count == NULL) return false;
    u.rate = tn_build_cast(b, tn_build_reshape(b, rate, NULL, 0), u.x->type->dtype);
    u.count = tn_build_cast(b, tn_build_reshape(b, count, NULL, 0), u.x->type->dtype);
    for (uint32_t k = 0; k < n_states; k++)
      if ((u.states[k] = member(node, 2 + k, n, i)) == NULL) return false;
    if (!step(node, &u) || u.x == NULL) return false;
    for (uint32_t k = 0; k <= n_states; k++) {
      uint32_t output = k * n + i;
      if (output < node->n_outputs && !tn_foreign_set(node, output, k == 0 ? u.x : u.states[k - 1])) return false;
    }
  }
  return true;
}

/* The gradient with that of a penalty on the size of x. */
static bool regularised(tn_foreign_node *node, update *u) {
  double norm;
  if (!tn_foreign_float(node, "norm_coefficient", 0, &norm)) return false;
  u->g = tn_build_binary(u->b, TN_ADD, times(u->b, u->x, norm), u->g);
  return u->g != NULL;
}

static bool momentum_step(tn_foreign_node *node, update *u) {
  tn_build *b = u->b;
  double alpha, beta;
  const char *mode;
  if (!tn_foreign_float(node, "alpha", 0, &alpha) || !tn_foreign_float(node, "beta", 0, &beta) ||
      !tn_foreign_string(node, "mode", "standard", &mode) || !regularised(node, u))
    return false;
  bool nesterov = strcmp(mode, "nesterov") == 0;
  if (!nesterov && strcmp(mode, "standard") != 0) return tn_foreign_error(node, TN_E_ATTR, "mode: '%s'", mode);
  /* the first gradient counts fully */
  tn_value *first = tn_build_binary_f(b, TN_LE, u->count, 0), *one = tn_build_fill_like(b, u->count, 1);
  tn_value *part = tn_build_select(b, first, one, tn_build_fill_like(b, u->count, beta));
  tn_value *added = tn_build_binary(b, TN_MUL, tn_compose_repeat(b, part, u->g), u->g);
  u->states[0] = tn_build_binary(b, TN_ADD, times(b, u->states[0], alpha), added);
  tn_value *step = nesterov ? tn_build_binary(b, TN_ADD, u->g, times(b, u->states[0], alpha)) : u->states[0];
  u->x = moved(u, u->rate, step);
  return true;
}

bool tn_import_momentum(tn_foreign_node *node) { return import_optimiser(node, 1, momentum_step); }

static bool adagrad_step(tn_foreign_node *node, update *u) {
  tn_build *b = u->b;
  double decay, epsilon;
  if (!tn_foreign_float(node, "decay_factor", 0, &decay) || !tn_foreign_float(node, "epsilon", 1e-6, &epsilon) ||
      !regularised(node, u))
    return false;
  tn_value *rate = tn_build_binary(b, TN_DIV, u->rate, tn_build_binary_f(b, TN_ADD, times(b, u->count, decay), 1));
  u->states[0] = tn_build_binary(b, TN_ADD, u->states[0], square(b, u->g));
  tn_value *size = tn_build_binary_f(b, TN_ADD, tn_build_unary(b, TN_SQRT, u->states[0]), epsilon);
  u->x = moved(u, rate, tn_build_binary(b, TN_DIV, u->g, size));
  return true;
}

bool tn_import_adagrad(tn_foreign_node *node) { return import_optimiser(node, 1, adagrad_step); }

/* 1 - base ^ count. */
static tn_value *bias(const update *u, double base) {
  tn_value *power = tn_build_binary(u->b, TN_POW, tn_build_fill_like(u->b, u->count, base), u->count);
  return tn_build_binary(u->b, TN_SUB, tn_build_fill_like(u->b, u->count, 1), power);
}

static bool adam_step(tn_foreign_node *node, update *u) {
  tn_build *b = u->b;
  double alpha, beta, epsilon, after;
  if (!tn_foreign_float(node, "alpha", 0.9f, &alpha) || !tn_foreign_float(node, "beta", 0.999f, &beta) ||
      !tn_foreign_float(node, "epsilon", 1e-6f, &epsilon) ||
      !tn_foreign_float(node, "norm_coefficient_post", 0, &after) || !regularised(node, u))
    return false;
  u->states[0] = mixed(b, u->states[0], alpha, u->g, 1 - alpha);
  u->states[1] = mixed(b, u->states[1], beta, square(b, u->g), 1 - beta);
  tn_value *size = tn_build_binary_f(b, TN_ADD, tn_build_unary(b, TN_SQRT, u->states[1]), epsilon);
  tn_value *corrected = tn_build_binary(b, TN_DIV, tn_build_unary(b, TN_SQRT, bias(u, beta)), bias(u, alpha));
  corrected = tn_build_binary(b, TN_MUL, u->rate, corrected);
  tn_value *rate = tn_build_select(b, tn_build_binary_f(b, TN_GT, u->count, 0), corrected, u->rate);
  u->x = times(b, moved(u, rate, tn_build_binary(b, TN_DIV, u->states[0], size)), 1 - after);
  return true;
}

bool tn_import_adam(tn_foreign_node *node) { return import_optimiser(node, 2, adam_step); }
