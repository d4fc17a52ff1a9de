/* Training at graph level: from a function whose first result is a loss to the functions of runtime/training.h. Front
 * ends make the loss; the runtime (runtime/train) calls the steps.
 *
 *   tn_train_narrow  mixed precision
 *   tn_train_keep_every  states of loops that are computed again
 *   tn_train_lift    weights, constants until then, become parameters
 *   tn_train_step    loss, gradients and update in one function
 *   tn_train_grad    loss and gradients; tn_train_update: what the optimiser makes of gradients; tn_train_shard: of
 *                    some elements' gradients, with tn_train_norm
 *
 * Functions return false when they reported an error. */
#ifndef TN_TRAIN_TRAIN_H
#define TN_TRAIN_TRAIN_H

#include "ir/build.h"
#include "runtime/training.h"

/* As PyTorch defines them (torch.optim); lion: Chen et al., Symbolic discovery of optimization algorithms, 2023; lamb:
 * You et al., Large batch optimization for deep learning, 2020, whose norms are those of one weight. decay of sgd,
 * rmsprop, adagrad and adam is added to the gradient, that of the others shrinks the weight by the learning rate times
 * it; l1 times the sign of the weight is added to the gradient by all. */
typedef enum tn_optimizer_kind {
  TN_OPTIMIZER_SGD, TN_OPTIMIZER_RMSPROP, TN_OPTIMIZER_ADAGRAD, TN_OPTIMIZER_ADAM, TN_OPTIMIZER_ADAMW,
  TN_OPTIMIZER_LION, TN_OPTIMIZER_LAMB, TN_N_OPTIMIZERS
} tn_optimizer_kind;

typedef struct tn_optimizer {
  tn_optimizer_kind kind;
  double momentum;            /* sgd, rmsprop; 0: none, and no state for it */
  bool nesterov;              /* sgd */
  double alpha;               /* rmsprop */
  double beta1, beta2;        /* adam, adamw, lion, lamb */
  double epsilon;             /* all but sgd and lion */
  double decay, l1;           /* of the weights that say nothing else */
} tn_optimizer;

/* Tensors that are kept from step to step for each trained weight, zeros at first, of its constant's type; their
 * names. */
uint32_t tn_optimizer_states(const tn_optimizer *optimizer);
const char *tn_optimizer_state_name(const tn_optimizer *optimizer, uint32_t i);
/* "sgd", ..., as the language calls it; TN_N_OPTIMIZERS when there is none. */
tn_optimizer_kind tn_optimizer_find(const char *name);

/* A weight of the model, a constant of the function's module. */
typedef struct tn_train_weight {
  const char *path;
  const tn_const *constant;
  tnrt_weight_role role;
  uint32_t group;   /* whose learning rate it takes */
  double decay, l1; /* NAN: the optimiser's */
  const tn_type *kept; /* the type that it is kept in, of the same dims; NULL: the constant's */
} tn_train_weight;

typedef enum tn_clip_kind {
  TN_CLIP_NONE,
  TN_CLIP_VALUE, /* each element between -limit and limit */
  TN_CLIP_NORM   /* all gradients together times limit / (norm + 1e-6), where that is below 1 */
} tn_clip_kind;

typedef struct tn_train_plan {
  const tn_train_weight *weights;
  uint32_t n_weights, n_groups;
  tn_optimizer optimizer;
  tn_clip_kind clip;
  double limit;
  bool has_loss_scale; /* gradients are made of the loss times the scale of rates */
} tn_train_plan;

/* Mixed precision: contractions of func compute on dtype (bf16 or f16, sums in f32), and what only passes their results
 * on keeps it: element by element, moved, pooled. Norms, softmax, losses and sums stay f32, weights too; parameters and
 * results of func stay what they are. Before tn_train_lift. */
bool tn_train_narrow(tn_func *func, tn_dtype dtype);

/* Of each scan's states every d-th is kept, and the iterations between are done again on the way back: d is the
 * largest number up to n that divides the extent, where that is known; with d = 1 all are kept. Results and gradients
 * keep every bit. Before tn_train_step and tn_train_grad. out_n: scans whose extent is known. */
bool tn_train_keep_every(tn_func *func, int64_t n, uint32_t *out_n);

/* Weights become parameters of func behind those it has, in order; those that func does not use too. Those that are
 * kept in another type are cast from it. */
bool tn_train_lift(tn_func *func, const tn_train_weight *weights, uint32_t n);

/* func(fields.., weights..) -> (loss, running..), as lift leaves it, running being the next values of the weights of
 * that role in order, becomes the step or grad of runtime/training.h. noise: a parameter of func that comes last in the
 * result, or NULL. The loss is a scalar f32 (TN_E_SHAPE). TN_E_GRADIENT for each node without a derivative between a
 * trained weight and the loss. */
bool tn_train_step(tn_func *func, const tn_train_plan *plan, tn_value *noise);
bool tn_train_grad(tn_func *func, const tn_train_plan *plan, tn_value *noise);
/* The update of runtime/training.h as an entry of module, which needs no other; NULL when reported. The constants of
 * the plan's weights, of which only types are read, may be another module's. */
tn_func *tn_train_update(tn_module *module, const tn_train_plan *plan);
/* The shard of runtime/training.h, the same way. tn_train_is_elementwise must hold of the plan's optimiser, and the
 * trained weights must be of one type and kept in one (both asserted). */
tn_func *tn_train_shard(tn_module *module, const tn_train_plan *plan);
tn_func *tn_train_norm(tn_module *module, const tn_train_plan *plan); /* its norm */
/* Whether each element of a weight is updated by its own gradient and states alone, but for the norm of all. */
bool tn_train_is_elementwise(const tn_optimizer *optimizer);

#endif
