/* One weight's update: what the optimisers are given. Each is one function, a row of the table in optimizer.c. */
#ifndef TN_TRAIN_OPTIMIZER_H
#define TN_TRAIN_OPTIMIZER_H

#include "train/train.h"

#define TN_MAX_STATES 2

typedef struct tn_update {
  tn_build *b;
  const tn_optimizer *optimizer;
  double decay, l1;                /* this weight's */
  tn_value *decay_of, *l1_of;      /* the same as scalars in the type of w; NULL: the numbers */
  tn_value *rate, *bias1, *bias2;  /* scalars of runtime/training.h's rates, in the type of w */
  tn_value *w, *g;                 /* the weight and its gradient, clipped */
  tn_value *old[TN_MAX_STATES], *next[TN_MAX_STATES]; /* its states before and after */
} tn_update;

/* The next weight, and u->next; NULL when reported. */
tn_value *tn_optimizer_sgd(tn_update *u);
tn_value *tn_optimizer_rmsprop(tn_update *u);
tn_value *tn_optimizer_adagrad(tn_update *u);
tn_value *tn_optimizer_adam(tn_update *u);
tn_value *tn_optimizer_lion(tn_update *u);
tn_value *tn_optimizer_lamb(tn_update *u);

/* --- optimizer.c: arithmetic that they share --- */
tn_value *tn_optimizer_run(tn_update *u);
tn_value *tn_update_add(const tn_update *u, tn_value *x, tn_value *y);
tn_value *tn_update_sub(const tn_update *u, tn_value *x, tn_value *y);
tn_value *tn_update_mul(const tn_update *u, tn_value *x, tn_value *y);
/* x times a number; times a scalar value; times the weight's decay. */
tn_value *tn_update_scale(const tn_update *u, tn_value *x, double by);
tn_value *tn_update_times(const tn_update *u, tn_value *x, tn_value *scalar);
tn_value *tn_update_decayed(const tn_update *u, tn_value *x);
/* old * keep + now * (1 - keep) */
tn_value *tn_update_mean(const tn_update *u, tn_value *old, tn_value *now, double keep);
/* x / (root(of) + epsilon), root(of) times scale where that is given. */
tn_value *tn_update_over_root(const tn_update *u, tn_value *x, tn_value *of, tn_value *scale);
/* The gradient with the penalties that are added to it: l1 and, has_decay, the decay. */
tn_value *tn_update_penalized(const tn_update *u, bool has_decay);
/* The weight after a decay apart from the gradient: w - rate * decay * w. */
tn_value *tn_update_shrunk(const tn_update *u);
/* w - rate * move */
tn_value *tn_update_step(const tn_update *u, tn_value *w, tn_value *move);

#endif
