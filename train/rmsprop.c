/* RMSprop and Adagrad, as torch.optim has them: steps over the root of a mean, or of the sum, of squares. */
#include "train/optimizer.h"

tn_value *tn_optimizer_rmsprop(tn_update *u) {
  double momentum = u->optimizer->momentum;
  tn_value *g = tn_update_penalized(u, true);
  u->next[0] = tn_update_mean(u, u->old[0], tn_update_mul(u, g, g), u->optimizer->alpha);
  tn_value *move = tn_update_over_root(u, g, u->next[0], NULL);
  if (momentum != 0) move = u->next[1] = tn_update_add(u, tn_update_scale(u, u->old[1], momentum), move);
  return tn_update_step(u, u->w, move);
}

tn_value *tn_optimizer_adagrad(tn_update *u) {
  tn_value *g = tn_update_penalized(u, true);
  u->next[0] = tn_update_add(u, u->old[0], tn_update_mul(u, g, g));
  return tn_update_step(u, u->w, tn_update_over_root(u, g, u->next[0], NULL));
}
