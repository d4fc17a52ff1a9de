/* Adam (Kingma and Ba, 2015), AdamW (Loshchilov and Hutter, 2019), LAMB (You et al., 2020): steps by two running means,
 * of the gradient and of its square, each over what it lacks in the first steps. */
#include "train/optimizer.h"

static tn_value *moments(tn_update *u, tn_value *g) {
  const tn_optimizer *o = u->optimizer;
  u->next[0] = tn_update_mean(u, u->old[0], g, o->beta1);
  u->next[1] = tn_update_mean(u, u->old[1], tn_update_mul(u, g, g), o->beta2);
  return tn_update_over_root(u, u->next[0], u->next[1], u->bias2);
}

tn_value *tn_optimizer_adam(tn_update *u) {
  bool is_apart = u->optimizer->kind == TN_OPTIMIZER_ADAMW;
  tn_value *move = moments(u, tn_update_penalized(u, !is_apart));
  tn_value *rate = tn_update_mul(u, u->rate, u->bias1); /* one product of scalars instead of one an element */
  return tn_update_sub(u, is_apart ? tn_update_shrunk(u) : u->w, tn_update_times(u, move, rate));
}

static tn_value *norm(const tn_update *u, tn_value *x) {
  int64_t axes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < TN_MAX_NDIM; i++) axes[i] = i;
  tn_value *square = tn_update_mul(u, x, x);
  if (square == NULL) return NULL;
  return tn_build_unary(u->b, TN_SQRT, tn_build_reduce(u->b, "sum", square, axes, x->type->ndim, false));
}

/* The move with its decay, as long as the weight is; as it is where one of the two is all zero. */
tn_value *tn_optimizer_lamb(tn_update *u) {
  tn_build *b = u->b;
  tn_value *move = tn_update_times(u, moments(u, tn_update_penalized(u, false)), u->bias1);
  if (u->decay != 0) move = tn_update_add(u, move, tn_update_decayed(u, u->w));
  tn_value *w = norm(u, u->w), *m = norm(u, move);
  tn_value *both = tn_build_binary(b, TN_AND, tn_build_binary_f(b, TN_GT, w, 0), tn_build_binary_f(b, TN_GT, m, 0));
  tn_value *trust = w == NULL ? NULL
                              : tn_build_select(b, both, tn_build_binary(b, TN_DIV, w, m), tn_build_fill_like(b, w, 1));
  return tn_update_step(u, u->w, tn_update_times(u, move, trust));
}
