/* Stochastic gradient descent with momentum, as torch.optim.SGD (without dampening). */
#include "train/optimizer.h"

tn_value *tn_optimizer_sgd(tn_update *u) {
  double momentum = u->optimizer->momentum;
  tn_value *g = tn_update_penalized(u, true);
  if (momentum == 0) return tn_update_step(u, u->w, g);
  u->next[0] = tn_update_add(u, tn_update_scale(u, u->old[0], momentum), g);
  tn_value *ahead = tn_update_add(u, g, tn_update_scale(u, u->next[0], momentum));
  return tn_update_step(u, u->w, u->optimizer->nesterov ? ahead : u->next[0]);
}
