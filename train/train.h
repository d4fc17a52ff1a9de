/* Training at graph level: from a function whose first result is a loss to the function that makes one step of an
 * optimiser. Front ends make the loss; the runtime (runtime/train) calls the steps. */
#ifndef TN_TRAIN_TRAIN_H
#define TN_TRAIN_TRAIN_H

#include "ir/build.h"

typedef enum tn_optimizer_kind { TN_OPTIMIZER_SGD, TN_OPTIMIZER_ADAM, TN_OPTIMIZER_ADAMW } tn_optimizer_kind;

/* As PyTorch defines them (torch.optim): decay of sgd and adam is added to the gradient, that of adamw shrinks the
 * weight. Kingma and Ba, Adam, 2015; Loshchilov and Hutter, Decoupled weight decay, 2019. */
typedef struct tn_optimizer {
  tn_optimizer_kind kind;
  double lr, momentum, beta1, beta2, epsilon, decay;
  bool nesterov;
} tn_optimizer;

/* What a step gets besides its data, as one f32[TN_TRAIN_RATES]: the learning rate, the learning rate over
 * 1 - beta1^t, and 1 / sqrt(1 - beta2^t), at step t = 1, 2, ... */
enum { TN_TRAIN_RATES = 4 };

/* A weight of the model, as a constant of the function's module. */
typedef struct tn_train_weight {
  const char *path;
  const tn_const *constant;
  bool is_trained; /* else it keeps its value: statistics that were fitted, what is frozen */
} tn_train_weight;

/* Weights become parameters of func, behind those it has, in order; those that func does not use too. */
bool tn_train_lift(tn_func *func, const tn_train_weight *weights, uint32_t n);

/* func(data.., weights..) -> (loss, metrics..), as lift leaves it, becomes
 * func(data.., weights.., states.., rates) -> (loss, metrics.., weights.., states..), with the trained weights in order
 * and tn_optimizer_states tensors of its type for each. The loss is a scalar (TN_E_SHAPE). False when reported:
 * TN_E_GRADIENT for each node without a derivative between a trained weight and the loss. */
bool tn_train_step(tn_func *func, const tn_train_weight *weights, uint32_t n, const tn_optimizer *optimizer);
uint32_t tn_optimizer_states(const tn_optimizer *optimizer);

#endif
