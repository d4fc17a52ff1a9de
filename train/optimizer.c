/* The table of optimisers, and the arithmetic they share. */
#include "train/optimizer.h"

#include <string.h>

typedef struct row {
  const char *name;
  const char *states[TN_MAX_STATES];
  uint32_t n_states;
  bool has_momentum; /* one more state, the last, where momentum is not 0 */
  tn_value *(*run)(tn_update *u);
} row;

static const row rows[TN_N_OPTIMIZERS] = {
    [TN_OPTIMIZER_SGD] = {"sgd", {"momentum"}, 0, true, tn_optimizer_sgd},
    [TN_OPTIMIZER_RMSPROP] = {"rmsprop", {"square", "momentum"}, 1, true, tn_optimizer_rmsprop},
    [TN_OPTIMIZER_ADAGRAD] = {"adagrad", {"sum"}, 1, false, tn_optimizer_adagrad},
    [TN_OPTIMIZER_ADAM] = {"adam", {"m", "v"}, 2, false, tn_optimizer_adam},
    [TN_OPTIMIZER_ADAMW] = {"adamw", {"m", "v"}, 2, false, tn_optimizer_adam},
    [TN_OPTIMIZER_LION] = {"lion", {"m"}, 1, false, tn_optimizer_lion},
    [TN_OPTIMIZER_LAMB] = {"lamb", {"m", "v"}, 2, false, tn_optimizer_lamb},
};

uint32_t tn_optimizer_states(const tn_optimizer *optimizer) {
  const row *r = &rows[optimizer->kind];
  return r->n_states + (r->has_momentum && optimizer->momentum != 0);
}

const char *tn_optimizer_state_name(const tn_optimizer *optimizer, uint32_t i) {
  TN_ASSERT(i < tn_optimizer_states(optimizer));
  return rows[optimizer->kind].states[i];
}

tn_optimizer_kind tn_optimizer_find(const char *name) {
  uint32_t kind = 0;
  while (kind < TN_N_OPTIMIZERS && strcmp(rows[kind].name, name) != 0) kind++;
  return (tn_optimizer_kind)kind;
}

tn_value *tn_optimizer_run(tn_update *u) { return rows[u->optimizer->kind].run(u); }

tn_value *tn_update_add(const tn_update *u, tn_value *x, tn_value *y) { return tn_build_binary(u->b, TN_ADD, x, y); }
tn_value *tn_update_sub(const tn_update *u, tn_value *x, tn_value *y) { return tn_build_binary(u->b, TN_SUB, x, y); }
tn_value *tn_update_mul(const tn_update *u, tn_value *x, tn_value *y) { return tn_build_binary(u->b, TN_MUL, x, y); }
tn_value *tn_update_scale(const tn_update *u, tn_value *x, double by) { return tn_build_binary_f(u->b, TN_MUL, x, by); }

tn_value *tn_update_times(const tn_update *u, tn_value *x, tn_value *scalar) {
  if (x == NULL) return NULL;
  return tn_update_mul(u, x, tn_build_broadcast_to(u->b, scalar, x->type->dims, x->type->ndim));
}

tn_value *tn_update_decayed(const tn_update *u, tn_value *x) {
  return u->decay_of == NULL ? tn_update_scale(u, x, u->decay) : tn_update_times(u, x, u->decay_of);
}

tn_value *tn_update_mean(const tn_update *u, tn_value *old, tn_value *now, double keep) {
  return tn_update_add(u, tn_update_scale(u, old, keep), tn_update_scale(u, now, 1 - keep));
}

tn_value *tn_update_over_root(const tn_update *u, tn_value *x, tn_value *of, tn_value *scale) {
  tn_value *root = tn_build_unary(u->b, TN_SQRT, of);
  if (scale != NULL) root = tn_update_times(u, root, scale);
  return tn_build_binary(u->b, TN_DIV, x, tn_build_binary_f(u->b, TN_ADD, root, u->optimizer->epsilon));
}

tn_value *tn_update_penalized(const tn_update *u, bool has_decay) {
  tn_value *g = u->g;
  if (has_decay && u->decay != 0) g = tn_update_add(u, g, tn_update_decayed(u, u->w));
  if (u->l1 == 0) return g;
  tn_value *sign = tn_build_unary(u->b, TN_SIGN, u->w);
  sign = u->l1_of == NULL ? tn_update_scale(u, sign, u->l1) : tn_update_times(u, sign, u->l1_of);
  return tn_update_add(u, g, sign);
}

tn_value *tn_update_shrunk(const tn_update *u) {
  return u->decay == 0 ? u->w : tn_update_step(u, u->w, tn_update_decayed(u, u->w));
}

tn_value *tn_update_step(const tn_update *u, tn_value *w, tn_value *move) {
  return tn_update_sub(u, w, tn_update_times(u, move, u->rate));
}
