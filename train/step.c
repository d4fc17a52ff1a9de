/* One step of training: gradients of the loss, then what the optimiser makes of them. */
#include "ir/gradient.h"
#include "train/train.h"

uint32_t tn_optimizer_states(const tn_optimizer *optimizer) {
  if (optimizer->kind == TN_OPTIMIZER_SGD) return optimizer->momentum != 0;
  return 2;
}

typedef struct update {
  tn_build *b;
  const tn_optimizer *optimizer;
  tn_value *rate, *step_size, *scale; /* scalars: of tn_train.h's rates */
} update;

static tn_value *times(const update *u, tn_value *x, tn_value *scalar) {
  return tn_build_binary(u->b, TN_MUL, x,
                         x == NULL ? NULL : tn_build_broadcast_to(u->b, scalar, x->type->dims, x->type->ndim));
}

static tn_value *scaled(const update *u, tn_value *x, double by) { return tn_build_binary_f(u->b, TN_MUL, x, by); }

static tn_value *sum(const update *u, tn_value *x, tn_value *y) { return tn_build_binary(u->b, TN_ADD, x, y); }

/* A running mean: old * keep + now * (1 - keep). */
static tn_value *running(const update *u, tn_value *old, tn_value *now, double keep) {
  return sum(u, scaled(u, old, keep), scaled(u, now, 1 - keep));
}

static tn_value *sgd(const update *u, tn_value *w, tn_value *g, tn_value *const *old, tn_value **out) {
  const tn_optimizer *o = u->optimizer;
  if (o->decay != 0) g = sum(u, g, scaled(u, w, o->decay));
  tn_value *move = g;
  if (o->momentum != 0) {
    out[0] = sum(u, scaled(u, old[0], o->momentum), g);
    move = o->nesterov ? sum(u, g, scaled(u, out[0], o->momentum)) : out[0];
  }
  return tn_build_binary(u->b, TN_SUB, w, times(u, move, u->rate));
}

static tn_value *adam(const update *u, tn_value *w, tn_value *g, tn_value *const *old, tn_value **out) {
  const tn_optimizer *o = u->optimizer;
  bool decoupled = o->kind == TN_OPTIMIZER_ADAMW;
  if (o->decay != 0 && !decoupled) g = sum(u, g, scaled(u, w, o->decay));
  if (o->decay != 0 && decoupled)
    w = tn_build_binary(u->b, TN_SUB, w, times(u, scaled(u, w, o->decay), u->rate));
  out[0] = running(u, old[0], g, o->beta1);
  out[1] = running(u, old[1], tn_build_binary(u->b, TN_MUL, g, g), o->beta2);
  tn_value *root = times(u, tn_build_unary(u->b, TN_SQRT, out[1]), u->scale);
  tn_value *below = tn_build_binary_f(u->b, TN_ADD, root, o->epsilon);
  tn_value *move = tn_build_binary(u->b, TN_DIV, times(u, out[0], u->step_size), below);
  return tn_build_binary(u->b, TN_SUB, w, move);
}

static tn_value *rate_of(tn_build *b, tn_value *rates, int64_t position) {
  tn_value *one = tn_build_slice_axis(b, rates, 0, tn_dim_const(b->ctx, position), tn_dim_const(b->ctx, 1), 1);
  return tn_build_reshape(b, one, NULL, 0);
}

static bool check_loss(const tn_func *func, const tn_value *loss) {
  if (loss->type->ndim == 0 && loss->type->dtype == TN_F32) return true;
  tn_buf text = tn_buf_create(func->module->arena);
  tn_type_print(loss->type, &text);
  return tn_error(func->module->ctx, loss->def == NULL ? TN_LOC_NONE : loss->def->loc, TN_E_SHAPE,
                  "a loss is a scalar f32, found %s", text.data);
}

typedef struct parts {
  tn_value **trained, **gradients, **states, **results;
  uint32_t n_trained, n_states, n_results;
} parts;

static void take_params(tn_func *func, const tn_train_weight *weights, uint32_t n, const tn_optimizer *optimizer,
                        parts *p) {
  tn_arena *arena = func->module->arena;
  size_t first = func->body->params.n - n;
  p->trained = TN_NEW_N(arena, tn_value *, n);
  for (uint32_t i = 0; i < n; i++)
    if (weights[i].is_trained) p->trained[p->n_trained++] = func->body->params.data[first + i];
  uint32_t each = tn_optimizer_states(optimizer);
  p->gradients = TN_NEW_N(arena, tn_value *, p->n_trained);
  p->states = TN_NEW_N(arena, tn_value *, p->n_trained * each);
  for (uint32_t i = 0; i < p->n_trained; i++)
    for (uint32_t k = 0; k < each; k++)
      p->states[p->n_states++] = tn_block_add_param(
          func->body, p->trained[i]->type, tn_namef(func->module->ctx, "%s.state%u", p->trained[i]->name, k));
}

static void take_results(tn_func *func, parts *p) {
  tn_node *last = func->body->last;
  p->results = TN_NEW_N(func->module->arena, tn_value *, last->n_operands + p->n_trained + p->n_states);
  for (; p->n_results < last->n_operands; p->n_results++)
    p->results[p->n_results] = last->operands[p->n_results].value;
  tn_node_remove(last);
}

static void add_result(tn_func *func, parts *p, tn_value *value, const char *name) {
  p->results[p->n_results++] = value;
  TN_VEC_PUSH(func->module->arena, &func->result_names, name);
}

bool tn_train_step(tn_func *func, const tn_train_weight *weights, uint32_t n, const tn_optimizer *optimizer) {
  tn_ctx *ctx = func->module->ctx;
  parts p = {0};
  take_params(func, weights, n, optimizer, &p);
  const tn_dim *four = tn_dim_const(ctx, TN_TRAIN_RATES);
  tn_value *rates = tn_block_add_param(func->body, tn_type_tensor(ctx, TN_F32, 1, &four), "rates");
  take_results(func, &p);
  tn_value *loss = p.results[0], *ones = NULL;
  tn_build b = tn_build_at_end(func->body);
  if (!check_loss(func, loss) || !tn_gradient(&b, &loss, &ones, 1, p.trained, p.n_trained, p.gradients)) return false;
  update u = {&b, optimizer, rate_of(&b, rates, 0), rate_of(&b, rates, 1), rate_of(&b, rates, 2)};
  uint32_t each = tn_optimizer_states(optimizer);
  tn_value **made = TN_NEW_N(func->module->arena, tn_value *, p.n_states);
  for (uint32_t i = 0; i < p.n_trained; i++) {
    tn_value *const *old = p.states + i * each;
    tn_value *w = optimizer->kind == TN_OPTIMIZER_SGD ? sgd(&u, p.trained[i], p.gradients[i], old, made + i * each)
                                                      : adam(&u, p.trained[i], p.gradients[i], old, made + i * each);
    if (w == NULL) return false;
    add_result(func, &p, w, tn_namef(ctx, "%s.next", p.trained[i]->name));
  }
  for (uint32_t i = 0; i < p.n_states; i++)
    add_result(func, &p, made[i], tn_namef(ctx, "%s.next", p.states[i]->name));
  tn_build_return(&b, p.results, p.n_results);
  return true;
}
