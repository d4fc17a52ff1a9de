/* Reverse mode: a walk backwards over the nodes of a block that carries the gradient of each value; see gradient.h. */
#include "ir/gradient.h"

/* Nodes first..last of one block are differentiated; new ones are made behind them. */
typedef struct reverse {
  tn_build *build;
  tn_arena *arena;
  tn_map active;    /* float values that depend on an x */
  tn_map gradients; /* value -> the gradient found so far */
  bool ok;
} reverse;

static bool through_range(tn_build *b, tn_node *first, const tn_node *last, tn_value *const *ys, tn_value *const *dys,
                          uint32_t n_ys, tn_value *const *xs, uint32_t n_xs, tn_value **out);

static bool is_active(const reverse *r, const tn_value *value) {
  return value != NULL && tn_map_get(&r->active, value) != NULL;
}

static void activate(reverse *r, tn_value *value) {
  if (tn_dtype_is_float(value->type->dtype)) tn_map_set(&r->active, value, value);
}

/* Forwards: which values the xs move. */
static void find_active(reverse *r, tn_node *first, const tn_node *last) {
  for (tn_node *node = first; node != NULL; node = node->next) {
    bool any = false, stops = (node->op->traits & TN_TRAIT_STOPS_GRADIENT) != 0;
    for (uint32_t i = 0; i < node->n_operands && !any && !stops; i++) any = is_active(r, node->operands[i].value);
    for (uint32_t i = 0; any && i < node->n_results; i++) activate(r, node->results[i]);
    if (node == last) break;
  }
}

static void add_gradient(reverse *r, tn_value *value, tn_value *gradient) {
  tn_value *before = tn_map_get(&r->gradients, value);
  if (before != NULL) gradient = tn_build_binary(r->build, TN_ADD, before, gradient);
  if (gradient == NULL) r->ok = false;
  else tn_map_set(&r->gradients, value, gradient);
}

/* A composite: its expansion is made here and walked in turn. */
static bool through_expansion(const tn_vjp *v, tn_arena *arena) {
  tn_build *b = v->build;
  const tn_node *node = v->node;
  tn_value **ys = TN_NEW_N(arena, tn_value *, node->n_results), **dys = TN_NEW_N(arena, tn_value *, node->n_results);
  tn_value **xs = TN_NEW_N(arena, tn_value *, node->n_operands), **dxs = TN_NEW_N(arena, tn_value *, node->n_operands);
  tn_node *behind = b->before == NULL ? b->block->last : b->before->previous;
  tn_value **results = tn_build_expansion(b, node);
  if (results == NULL) return false;
  tn_node *first = behind == NULL ? b->block->first : behind->next;
  const tn_node *last = b->before == NULL ? b->block->last : b->before->previous;
  uint32_t n_ys = 0, n_xs = 0;
  for (uint32_t i = 0; i < node->n_results; i++) {
    if (v->dy[i] == NULL || results[i] == NULL) continue;
    ys[n_ys] = results[i];
    dys[n_ys++] = v->dy[i];
  }
  for (uint32_t i = 0; i < node->n_operands; i++)
    if (v->needed[i]) xs[n_xs++] = v->operands[i];
  if (!through_range(b, first == b->before ? NULL : first, last, ys, dys, n_ys, xs, n_xs, dxs)) return false;
  for (uint32_t i = 0, k = 0; i < node->n_operands; i++) {
    if (!v->needed[i]) continue;
    v->dx[i] = dxs[k++];
    /* The same value in two places got the whole gradient at the first. */
    for (uint32_t j = 0; j < i; j++)
      if (v->needed[j] && v->operands[j] == v->operands[i]) v->dx[i] = NULL;
  }
  return true;
}

static bool call_vjp(reverse *r, tn_vjp *v) {
  const tn_node *node = v->node;
  const tn_opdef *op = node->op;
  if (op->no_gradient == NULL && op->vjp != NULL) return op->vjp(v);
  if (op->no_gradient == NULL && op->expand != NULL) return through_expansion(v, r->arena);
  return tn_error(r->build->ctx, node->loc, TN_E_GRADIENT, "'%s' has no gradient: %s", op->name,
                  op->no_gradient != NULL ? op->no_gradient : "none is known");
}

static void through_node(reverse *r, tn_node *node) {
  uint32_t n = node->n_operands;
  tn_value **operands = TN_NEW_N(r->arena, tn_value *, n), **dx = TN_NEW_N(r->arena, tn_value *, n);
  tn_value **dy = TN_NEW_N(r->arena, tn_value *, node->n_results);
  bool *needed = TN_NEW_N(r->arena, bool, n), any_needed = false, any_dy = false;
  for (uint32_t i = 0; i < node->n_results; i++) {
    dy[i] = is_active(r, node->results[i]) ? tn_map_get(&r->gradients, node->results[i]) : NULL;
    any_dy |= dy[i] != NULL;
  }
  for (uint32_t i = 0; any_dy && i < n; i++) {
    operands[i] = node->operands[i].value;
    needed[i] = is_active(r, operands[i]);
    any_needed |= needed[i];
  }
  if (!any_needed) return;
  tn_vjp v = {r->build, node, operands, node->results, dy, needed, dx};
  tn_loc_push(r->build->ctx, node->loc);
  if (call_vjp(r, &v)) {
    for (uint32_t i = 0; i < n; i++)
      if (needed[i] && dx[i] != NULL) add_gradient(r, operands[i], dx[i]);
  } else {
    r->ok = false;
  }
  tn_loc_pop(r->build->ctx);
}

/* Gradients that are not there are zero; NULL stands for them in out. */
static bool through_range(tn_build *b, tn_node *first, const tn_node *last, tn_value *const *ys, tn_value *const *dys,
                          uint32_t n_ys, tn_value *const *xs, uint32_t n_xs, tn_value **out) {
  tn_arena *arena = tn_arena_create_scratch(b->ctx->arena);
  reverse r = {b, arena, tn_map_create(arena), tn_map_create(arena), true};
  for (uint32_t i = 0; i < n_xs; i++) activate(&r, xs[i]);
  if (first != NULL) find_active(&r, first, last);
  for (uint32_t i = 0; i < n_ys; i++) {
    if (!is_active(&r, ys[i])) continue;
    add_gradient(&r, ys[i], dys[i] != NULL ? dys[i] : tn_build_fill_like(b, ys[i], 1));
  }
  /* New nodes come behind last, so this walk does not meet them. */
  for (tn_node *node = first == NULL ? NULL : (tn_node *)(uintptr_t)last; node != NULL; node = node->previous) {
    through_node(&r, node);
    if (node == first) break;
  }
  for (uint32_t i = 0; i < n_xs; i++) out[i] = tn_map_get(&r.gradients, xs[i]);
  bool ok = r.ok;
  tn_arena_destroy(arena);
  return ok;
}

bool tn_gradient(tn_build *b, tn_value *const *ys, tn_value *const *dys, uint32_t n_ys, tn_value *const *xs,
                 uint32_t n_xs, tn_value **out) {
  tn_node *first = b->block->first == b->before ? NULL : b->block->first;
  const tn_node *last = b->before == NULL ? b->block->last : b->before->previous;
  if (!through_range(b, first, last, ys, dys, n_ys, xs, n_xs, out)) return false;
  for (uint32_t i = 0; i < n_xs; i++) {
    if (out[i] == NULL) out[i] = tn_build_fill_like(b, xs[i], 0);
    if (out[i] == NULL) return false;
  }
  return true;
}
