/* Lion (Chen et al., 2023, algorithm 2): the sign of one mean of gradients, while another is kept. */
#include "train/optimizer.h"

tn_value *tn_optimizer_lion(tn_update *u) {
  const tn_optimizer *o = u->optimizer;
  tn_value *g = tn_update_penalized(u, false);
  tn_value *sign = tn_build_unary(u->b, TN_SIGN, tn_update_mean(u, u->old[0], g, o->beta1));
  u->next[0] = tn_update_mean(u, u->old[0], g, o->beta2);
  return tn_update_step(u, tn_update_shrunk(u), sign);
}
