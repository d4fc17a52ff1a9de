/* The functions that one step of training is made of: gradients of the loss, and what the optimiser makes of them. */
#include <math.h>

#include "ir/gradient.h"
#include "ir/ops/compose.h"
#include "train/optimizer.h"

/* What is known while a function is made. trained, gradients: one each; states: n_states of each. */
typedef struct step {
  tn_build b;
  tn_func *func;
  const tn_train_plan *plan;
  uint32_t *of; /* the weight of each trained one */
  uint32_t n_trained, n_states;
  tn_value **trained, **used; /* as they are kept, and what the function computes with */
  tn_value **gradients, **states, *rates, *norm, *is_finite;
  tn_value **kept; /* of the function: the loss, then the next values of running weights */
  tn_value **running; /* the weights that those are of */
  uint32_t n_kept, n_running;
  bool is_shard; /* one row of elements stands for all trained weights, whose settings come with it */
  TN_VEC(tn_value *) results;
} step;

static step begin(tn_func *func, const tn_train_plan *plan) {
  step s = {.func = func, .plan = plan, .n_states = tn_optimizer_states(&plan->optimizer)};
  tn_arena *arena = func->module->arena;
  s.of = TN_NEW_N(arena, uint32_t, plan->n_weights);
  for (uint32_t i = 0; i < plan->n_weights; i++)
    if (plan->weights[i].role == TNRT_WEIGHT_TRAINED) s.of[s.n_trained++] = i;
  s.trained = TN_NEW_N(arena, tn_value *, s.n_trained);
  s.used = TN_NEW_N(arena, tn_value *, s.n_trained);
  s.gradients = TN_NEW_N(arena, tn_value *, s.n_trained);
  s.states = TN_NEW_N(arena, tn_value *, (size_t)s.n_trained * s.n_states);
  s.running = TN_NEW_N(arena, tn_value *, plan->n_weights);
  return s;
}

/* --- Parameters and results --- */

static const tn_type *kept_type(const tn_train_weight *weight) {
  return weight->kept != NULL ? weight->kept : weight->constant->type;
}

static void add_states(step *s) {
  for (uint32_t i = 0; i < s->n_trained; i++)
    for (uint32_t k = 0; k < s->n_states; k++)
      s->states[i * s->n_states + k] = tn_block_add_param(
          s->func->body, s->plan->weights[s->of[i]].constant->type,
          tn_namef(s->func->module->ctx, "optimizer.%s.%s", tn_optimizer_state_name(&s->plan->optimizer, k),
                   s->trained[i]->name));
}

static void add_gradients(step *s) {
  for (uint32_t i = 0; i < s->n_trained; i++) {
    const tn_train_weight *weight = &s->plan->weights[s->of[i]];
    s->gradients[i] = tn_block_add_param(s->func->body, weight->constant->type,
                                         tn_namef(s->func->module->ctx, "gradient.%s", weight->path));
  }
}

static void add_rates(step *s) {
  tn_ctx *ctx = s->func->module->ctx;
  const tn_dim *n = tn_dim_const(ctx, s->is_shard ? TNRT_SHARD_RATES : TNRT_RATES + (int64_t)s->plan->n_groups);
  s->rates = tn_block_add_param(s->func->body, tn_type_tensor(ctx, TN_F32, 1, &n), "rates");
}

static void move_last(tn_block *block, tn_value *param) {
  size_t n = block->params.n, at = param->def_index;
  for (size_t i = at; i + 1 < n; i++) {
    block->params.data[i] = block->params.data[i + 1];
    block->params.data[i]->def_index = (uint32_t)i;
  }
  block->params.data[n - 1] = param;
  param->def_index = (uint32_t)(n - 1);
}

/* The weights are the last parameters, but for noise. */
static void take_weights(step *s, tn_value *noise) {
  tn_block *body = s->func->body;
  if (noise != NULL) move_last(body, noise);
  size_t first = body->params.n - s->plan->n_weights - (noise != NULL);
  for (uint32_t i = 0; i < s->n_trained; i++) {
    tn_value *param = s->trained[i] = body->params.data[first + s->of[i]];
    /* of one that is kept narrower tn_train_lift made the only use */
    s->used[i] = s->plan->weights[s->of[i]].kept == NULL ? param : param->uses->user->results[0];
  }
  for (uint32_t i = 0; i < s->plan->n_weights; i++)
    if (s->plan->weights[i].role == TNRT_WEIGHT_RUNNING) s->running[s->n_running++] = body->params.data[first + i];
}

static void add_result(step *s, tn_value *value, const char *name) {
  TN_VEC_PUSH(s->func->module->arena, &s->results, value);
  TN_VEC_PUSH(s->func->module->arena, &s->func->result_names, name);
}

/* The next value of a parameter, which may take its place. */
static void add_next(step *s, tn_value *value, const tn_value *of) {
  tn_donation donation = {of->def_index, (uint32_t)s->results.n};
  TN_VEC_PUSH(s->func->module->arena, &s->func->donations, donation);
  add_result(s, value, tn_namef(s->func->module->ctx, "%s.next", of->name));
}

static bool finish(step *s) {
  for (size_t i = 0; i < s->results.n; i++)
    if (s->results.data[i] == NULL) return false;
  tn_build_return(&s->b, s->results.data, (uint32_t)s->results.n);
  return true;
}

/* --- Gradients --- */

static tn_value *rate(step *s, uint32_t i) { return tn_compose_entry(&s->b, s->rates, i); }

static bool check_loss(const tn_func *func, const tn_value *loss) {
  if (loss->type->ndim == 0 && loss->type->dtype == TN_F32) return true;
  tn_buf text = tn_buf_create(func->module->arena);
  tn_type_print(loss->type, &text);
  return tn_error(func->module->ctx, loss->def == NULL ? TN_LOC_NONE : loss->def->loc, TN_E_SHAPE,
                  "a loss is a scalar f32, found %s", text.data);
}

/* The function's terminator goes, its operands are kept. */
static bool differentiate(step *s) {
  tn_node *last = s->func->body->last;
  tn_value *seed = NULL;
  s->n_kept = last->n_operands;
  s->kept = TN_NEW_N(s->func->module->arena, tn_value *, s->n_kept);
  for (uint32_t i = 0; i < s->n_kept; i++) s->kept[i] = last->operands[i].value;
  TN_ASSERT(s->n_kept == 1 + s->n_running);
  tn_node_remove(last);
  s->func->result_names.n = 0;
  s->b = tn_build_at_end(s->func->body);
  if (!check_loss(s->func, s->kept[0])) return false;
  if (s->plan->has_loss_scale && (seed = rate(s, TNRT_RATE_LOSS_SCALE)) == NULL) return false;
  return tn_gradient(&s->b, s->kept, &seed, 1, s->used, s->n_trained, s->gradients);
}

/* --- Norm and clipping --- */

/* Of sizes, so that these squares are not those of an optimiser, which memory would hold from here to there. */
static tn_value *square_sum(tn_build *b, tn_value *x) {
  int64_t axes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < TN_MAX_NDIM; i++) axes[i] = i;
  x = tn_build_unary(b, TN_ABS, tn_compose_wide(b, x));
  x = tn_build_binary(b, TN_MUL, x, x);
  return x == NULL ? NULL : tn_build_cast(b, tn_build_reduce(b, "sum", x, axes, x->type->ndim, false), TN_F32);
}

/* Of all gradients of the loss itself; inverse: of the loss' scale, or NULL. */
static bool make_norm(step *s, tn_value *inverse) {
  tn_build *b = &s->b;
  tn_value *sum = tn_build_splat_f(b, TN_F32, 0);
  for (uint32_t i = 0; i < s->n_trained; i++) sum = tn_build_binary(b, TN_ADD, sum, square_sum(b, s->gradients[i]));
  s->norm = tn_build_unary(b, TN_SQRT, sum);
  if (inverse != NULL) s->norm = tn_build_binary(b, TN_MUL, s->norm, inverse);
  return s->norm != NULL;
}

/* Where this does not hold nothing changes: the loss (which the update does not have) and the norm are finite. */
static bool make_guard(step *s) {
  tn_value *const numbers[] = {s->kept != NULL ? s->kept[0] : NULL, s->norm};
  for (size_t i = 0; i < TN_ARRAY_LEN(numbers); i++) {
    if (numbers[i] == NULL) continue;
    tn_value *is_finite = tn_build_unary(&s->b, TN_IS_FINITE, numbers[i]);
    if (s->is_finite != NULL) is_finite = tn_build_binary(&s->b, TN_AND, s->is_finite, is_finite);
    if ((s->is_finite = is_finite) == NULL) return false;
  }
  return true;
}

/* Of the loss' scale. */
static tn_value *make_inverse(step *s) {
  return tn_build_binary(&s->b, TN_DIV, tn_build_splat_f(&s->b, TN_F32, 1), rate(s, TNRT_RATE_LOSS_SCALE));
}

/* What all gradients are multiplied by, a scalar f32, or NULL for 1. */
static bool make_factor(step *s, tn_value **out) {
  tn_build *b = &s->b;
  tn_value *inverse = NULL;
  *out = NULL;
  if (s->plan->has_loss_scale && (inverse = *out = make_inverse(s)) == NULL) return false;
  if (s->norm == NULL && !make_norm(s, inverse)) return false;
  if (s->plan->clip != TN_CLIP_NORM) return true;
  tn_value *most = tn_build_splat_f(b, TN_F32, s->plan->limit);
  tn_value *factor = tn_build_binary(b, TN_DIV, most, tn_build_binary_f(b, TN_ADD, s->norm, 1e-6));
  factor = tn_build_binary_f(b, TN_MIN, factor, 1);
  return (*out = inverse == NULL ? factor : tn_build_binary(b, TN_MUL, factor, inverse)) != NULL;
}

static tn_value *clipped(step *s, tn_value *g, tn_value *factor) {
  tn_build *b = &s->b;
  if (factor != NULL) g = tn_build_binary(b, TN_MUL, g, tn_compose_repeat(b, tn_compose_narrow(b, factor, g), g));
  if (s->plan->clip != TN_CLIP_VALUE) return g;
  return tn_build_binary_f(b, TN_MAX, tn_build_binary_f(b, TN_MIN, g, s->plan->limit), -s->plan->limit);
}

/* --- Update --- */

static tn_value *guarded(step *s, tn_value *next, tn_value *old) {
  if (s->is_finite == NULL) return next;
  return tn_build_select(&s->b, tn_compose_repeat(&s->b, s->is_finite, old), next, old);
}

static double decay_of(const tn_train_plan *plan, const tn_train_weight *weight) {
  return isnan(weight->decay) ? plan->optimizer.decay : weight->decay;
}

static double l1_of(const tn_train_plan *plan, const tn_train_weight *weight) {
  return isnan(weight->l1) ? plan->optimizer.l1 : weight->l1;
}

/* The number's scalar in the type that the weight is computed in. */
static tn_value *rate_like(step *s, uint32_t i, const tn_value *like) {
  return tn_compose_narrow(&s->b, rate(s, i), like);
}

/* The settings of a weight that are its own. */
static void set_own(step *s, const tn_train_weight *weight, tn_update *u) {
  u->decay = decay_of(s->plan, weight);
  u->l1 = l1_of(s->plan, weight);
  u->rate = rate_like(s, s->is_shard ? TNRT_SHARD_LR : TNRT_RATES + weight->group, u->w);
  if (!s->is_shard) return;
  for (uint32_t i = 0; i < s->plan->n_weights; i++) { /* 0 where no weight has one */
    const tn_train_weight *other = &s->plan->weights[i];
    if (other->role != TNRT_WEIGHT_TRAINED) continue;
    if (u->decay == 0) u->decay = decay_of(s->plan, other);
    if (u->l1 == 0) u->l1 = l1_of(s->plan, other);
  }
  u->decay_of = rate_like(s, TNRT_SHARD_DECAY, u->w);
  u->l1_of = rate_like(s, TNRT_SHARD_L1, u->w);
}

/* next: room for the weight and its states. Weights below f32 are computed in f32. */
static bool update_one(step *s, uint32_t i, tn_value *factor, tn_value **next) {
  const tn_train_weight *weight = &s->plan->weights[s->of[i]];
  tn_build *b = &s->b;
  tn_value *old = s->trained[i], *const *states = s->states + (size_t)i * s->n_states;
  tn_update u = {.b = b, .optimizer = &s->plan->optimizer, .w = tn_compose_wide(b, old)};
  if (u.w == NULL) return false;
  u.g = clipped(s, tn_compose_wide(b, s->gradients[i]), factor);
  set_own(s, weight, &u);
  u.bias1 = rate_like(s, TNRT_RATE_BIAS1, u.w);
  u.bias2 = rate_like(s, TNRT_RATE_BIAS2, u.w);
  for (uint32_t k = 0; k < s->n_states; k++) u.old[k] = tn_compose_wide(b, states[k]);
  next[0] = guarded(s, tn_compose_narrow(b, tn_optimizer_run(&u), old), old);
  for (uint32_t k = 0; k < s->n_states; k++)
    next[1 + k] = guarded(s, tn_compose_narrow(b, u.next[k], states[k]), states[k]);
  for (uint32_t k = 0; k <= s->n_states; k++)
    if (next[k] == NULL) return false;
  return true;
}

/* norm, running.., trained.., states.. as results. */
static bool update_all(step *s) {
  uint32_t n = s->n_states + 1;
  tn_value *factor, **next = TN_NEW_N(s->func->module->arena, tn_value *, (size_t)s->n_trained * n);
  if (!make_factor(s, &factor) || (!s->is_shard && !make_guard(s))) return false;
  if (!s->is_shard) add_result(s, s->norm, "norm");
  for (uint32_t i = 0; i < s->n_running; i++) add_next(s, guarded(s, s->kept[1 + i], s->running[i]), s->running[i]);
  for (uint32_t i = 0; i < s->n_trained; i++) {
    if (!update_one(s, i, factor, next + (size_t)i * n)) return false;
    add_next(s, next[(size_t)i * n], s->trained[i]);
  }
  for (uint32_t i = 0; i < s->n_trained; i++)
    for (uint32_t k = 0; k < s->n_states; k++)
      add_next(s, next[(size_t)i * n + 1 + k], s->states[(size_t)i * s->n_states + k]);
  return true;
}

/* --- The functions --- */

bool tn_train_step(tn_func *func, const tn_train_plan *plan, tn_value *noise) {
  step s = begin(func, plan);
  take_weights(&s, noise);
  add_states(&s);
  add_rates(&s);
  if (noise != NULL) move_last(func->body, noise);
  if (!differentiate(&s)) return false;
  add_result(&s, s.kept[0], "loss");
  return update_all(&s) && finish(&s);
}

bool tn_train_grad(tn_func *func, const tn_train_plan *plan, tn_value *noise) {
  step s = begin(func, plan);
  take_weights(&s, noise);
  add_rates(&s);
  if (noise != NULL) move_last(func->body, noise);
  if (!differentiate(&s)) return false;
  add_result(&s, s.kept[0], "loss");
  for (uint32_t i = 0; i < s.n_running; i++) add_next(&s, s.kept[1 + i], s.running[i]);
  for (uint32_t i = 0; i < s.n_trained; i++)
    add_result(&s, s.gradients[i], tn_namef(func->module->ctx, "gradient.%s", s.trained[i]->name));
  return finish(&s);
}

tn_func *tn_train_update(tn_module *module, const tn_train_plan *plan) {
  tn_func *func = tn_func_create(module, "update", true);
  step s = begin(func, plan);
  for (uint32_t i = 0; i < s.n_trained; i++) {
    const tn_train_weight *weight = &plan->weights[s.of[i]];
    s.trained[i] = tn_block_add_param(func->body, kept_type(weight), weight->path);
  }
  add_states(&s);
  add_gradients(&s);
  add_rates(&s);
  s.b = tn_build_at_end(func->body);
  return update_all(&s) && finish(&s) ? func : NULL;
}

/* --- Shards --- */

bool tn_train_is_elementwise(const tn_optimizer *optimizer) { return optimizer->kind != TN_OPTIMIZER_LAMB; }

static const tn_dim *piece_dim(const step *s) {
  tn_ctx *ctx = s->func->module->ctx;
  const tn_symbol *n = tn_symbol_create(ctx, TN_SYM_INPUT, tn_symbol_fresh_name(ctx, "N"), "N", 1, TNRT_SHARD_MOST);
  TN_VEC_PUSH(s->func->module->arena, &s->func->module->symbols, n);
  return tn_dim_symbol(ctx, n);
}

tn_func *tn_train_shard(tn_module *module, const tn_train_plan *plan) {
  tn_ctx *ctx = module->ctx;
  tn_func *func = tn_func_create(module, "shard", true);
  step s = begin(func, plan);
  TN_ASSERT(tn_train_is_elementwise(&plan->optimizer) && s.n_trained > 0);
  const tn_dim *n = piece_dim(&s);
  const tn_train_weight *weight = &plan->weights[s.of[0]];
  const tn_type *type = tn_type_tensor(ctx, weight->constant->type->dtype, 1, &n);
  for (uint32_t i = 0; i < s.n_trained; i++)
    TN_ASSERT(plan->weights[s.of[i]].constant->type->dtype == type->dtype &&
              kept_type(&plan->weights[s.of[i]])->dtype == kept_type(weight)->dtype);
  s.is_shard = true;
  s.n_trained = 1;
  s.trained[0] = tn_block_add_param(func->body, tn_type_tensor(ctx, kept_type(weight)->dtype, 1, &n), "weights");
  for (uint32_t k = 0; k < s.n_states; k++)
    s.states[k] = tn_block_add_param(func->body, type, tn_optimizer_state_name(&plan->optimizer, k));
  s.gradients[0] = tn_block_add_param(func->body, type, "gradient");
  add_rates(&s);
  s.norm = tn_block_add_param(func->body, tn_type_tensor(ctx, TN_F32, 0, NULL), "norm");
  s.b = tn_build_at_end(func->body);
  return update_all(&s) && finish(&s) ? func : NULL;
}

tn_func *tn_train_norm(tn_module *module, const tn_train_plan *plan) {
  tn_func *func = tn_func_create(module, "norm", true);
  step s = begin(func, plan);
  add_gradients(&s);
  add_rates(&s);
  s.b = tn_build_at_end(func->body);
  tn_value *inverse = NULL;
  if ((plan->has_loss_scale && (inverse = make_inverse(&s)) == NULL) || !make_norm(&s, inverse)) return NULL;
  add_result(&s, s.norm, "norm");
  return finish(&s) ? func : NULL;
}
