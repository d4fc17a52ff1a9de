/* Reverse mode: a walk backwards over the nodes of a block that carries the gradient of each value; see gradient.h. */
#include "ir/gradient.h"

#include "ir/primitives.h"

/* Nodes first..last of one block are differentiated; new ones are made behind them. */
typedef struct reverse {
  tn_build *build;
  tn_arena *arena;
  tn_map active;    /* float values that depend on an x */
  tn_map gradients; /* value -> the gradient found so far */
  tn_map parts;     /* value -> gradients of its slices, to be added */
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

enum { PAD_LO, PAD_HI, PAD_INNER };

/* The node when value is something within zeros: the gradient of a slice. */
static const tn_node *as_part(const tn_value *value) {
  const tn_node *node = value->def;
  if (node == NULL || node->op != &tn_op_pad) return NULL;
  const tn_node *fill = node->operands[1].value->def;
  tn_const *zero = fill == NULL ? NULL : tn_value_const(node->operands[1].value);
  if (zero == NULL || zero->kind != TN_CONST_SPLAT) return NULL;
  for (size_t i = 0; i < tn_dtype_bytes(zero->type->dtype); i++)
    if (((const char *)zero->data)[i] != 0) return NULL;
  for (uint32_t i = 0; i < node->attrs[PAD_INNER].u.list.n; i++)
    if (node->attrs[PAD_INNER].u.list.ints[i] != 0) return NULL;
  return node;
}

/* The sum of the gradients of two slices of one value that lie next to each other: one part. NULL when they do not. */
static tn_value *join_parts(tn_build *b, const tn_value *p, const tn_value *q) {
  const tn_node *parts[2] = {as_part(p), as_part(q)};
  if (parts[0] == NULL || parts[1] == NULL) return NULL;
  uint32_t axis = UINT32_MAX, ndim = p->type->ndim;
  const tn_dim *lo[2][TN_MAX_NDIM], *hi[2][TN_MAX_NDIM];
  for (int k = 0; k < 2; k++)
    for (uint32_t i = 0; i < ndim; i++) {
      lo[k][i] = parts[k]->attrs[PAD_LO].u.list.dims[i];
      hi[k][i] = parts[k]->attrs[PAD_HI].u.list.dims[i];
    }
  for (uint32_t i = 0; i < ndim; i++) {
    if (lo[0][i] == lo[1][i] && hi[0][i] == hi[1][i]) continue;
    if (axis != UINT32_MAX) return NULL;
    axis = i;
  }
  if (axis == UINT32_MAX) return NULL;
  tn_value *in[2] = {parts[0]->operands[0].value, parts[1]->operands[0].value};
  bool is_first = tn_dim_add(b->ctx, lo[0][axis], in[0]->type->dims[axis]) == lo[1][axis];
  if (!is_first && tn_dim_add(b->ctx, lo[1][axis], in[1]->type->dims[axis]) != lo[0][axis]) return NULL;
  tn_value *both = tn_build_concat(b, (tn_value *[]){in[!is_first], in[is_first]}, 2, axis);
  lo[0][axis] = lo[!is_first][axis];
  hi[0][axis] = hi[is_first][axis];
  bool is_whole = true;
  for (uint32_t i = 0; i < ndim; i++) is_whole &= tn_dim_is(lo[0][i], 0) && tn_dim_is(hi[0][i], 0);
  return is_whole ? both : tn_build_pad(b, both, parts[0]->operands[1].value, lo[0], hi[0]);
}

/* Slices of one value that wait for each other, since neighbours join whatever order they come in. */
#define MAX_PARTS 64
typedef struct parts {
  tn_value *values[MAX_PARTS];
  uint32_t n;
} parts;

static void add_up(reverse *r, const tn_value *value, tn_value *gradient) {
  tn_value *before = tn_map_get(&r->gradients, value);
  if (before != NULL) gradient = tn_build_binary(r->build, TN_ADD, before, gradient);
  if (gradient == NULL) r->ok = false;
  else tn_map_set(&r->gradients, value, gradient);
}

static void add_gradient(reverse *r, tn_value *value, tn_value *gradient) {
  parts *waiting = tn_map_get(&r->parts, value);
  if (as_part(gradient) == NULL || (waiting != NULL && waiting->n == MAX_PARTS)) {
    add_up(r, value, gradient);
    return;
  }
  if (waiting == NULL) tn_map_set(&r->parts, value, waiting = TN_NEW(r->arena, parts));
  waiting->values[waiting->n++] = gradient;
}

/* Joins one pair of neighbours; false when there is none. */
static bool join_pair(reverse *r, parts *waiting) {
  for (uint32_t i = 0; i < waiting->n; i++)
    for (uint32_t k = i + 1; k < waiting->n; k++) {
      tn_value *joined = join_parts(r->build, waiting->values[i], waiting->values[k]);
      if (joined == NULL) continue;
      waiting->values[i] = joined;
      waiting->values[k] = waiting->values[--waiting->n];
      return true;
    }
  return false;
}

/* All that was added, or NULL. */
static tn_value *gradient_of(reverse *r, const tn_value *value) {
  parts *waiting = tn_map_get(&r->parts, value);
  if (waiting != NULL) {
    while (join_pair(r, waiting)) {}
    for (uint32_t i = 0; i < waiting->n; i++) add_up(r, value, waiting->values[i]);
    waiting->n = 0;
  }
  return tn_map_get(&r->gradients, value);
}

/* A composite: its expansion is made beside it and walked in turn. One with regions, which CSE does not share, takes
 * its place: the regions' derivatives add to what these yield. */
static bool through_expansion(const tn_vjp *v, tn_node *node, tn_arena *arena) {
  tn_build beside = tn_build_before(node), *b = v->build;
  tn_value **ys = TN_NEW_N(arena, tn_value *, node->n_results), **dys = TN_NEW_N(arena, tn_value *, node->n_results);
  tn_value **xs = TN_NEW_N(arena, tn_value *, node->n_operands), **dxs = TN_NEW_N(arena, tn_value *, node->n_operands);
  tn_node *behind = node->previous;
  tn_value **results = tn_build_expansion(&beside, node);
  if (results == NULL) return false;
  tn_node *first = behind == NULL ? node->block->first : behind->next;
  const tn_node *last = node->previous;
  uint32_t n_ys = 0, n_xs = 0;
  bool has_regions = false;
  for (const tn_node *made = first; made != node; made = made->next) has_regions |= made->n_regions > 0;
  for (uint32_t i = 0; i < node->n_results && has_regions; i++)
    if (results[i] != NULL) tn_value_replace(node->results[i], results[i]);
  for (uint32_t i = 0; i < node->n_results; i++) {
    if (v->dy[i] == NULL || results[i] == NULL) continue;
    ys[n_ys] = results[i];
    dys[n_ys++] = v->dy[i];
  }
  for (uint32_t i = 0; i < node->n_operands; i++)
    if (v->needed[i]) xs[n_xs++] = v->operands[i];
  if (!through_range(b, first == node ? NULL : first, last, ys, dys, n_ys, xs, n_xs, dxs)) return false;
  for (uint32_t i = 0, k = 0; i < node->n_operands; i++) {
    if (!v->needed[i]) continue;
    v->dx[i] = dxs[k++];
    /* The same value in two places got the whole gradient at the first. */
    for (uint32_t j = 0; j < i; j++)
      if (v->needed[j] && v->operands[j] == v->operands[i]) v->dx[i] = NULL;
  }
  return true;
}

static bool call_vjp(reverse *r, tn_vjp *v, tn_node *node) {
  const tn_opdef *op = node->op;
  if (op->no_gradient == NULL && op->vjp != NULL) return op->vjp(v);
  if (op->no_gradient == NULL && op->expand != NULL) return through_expansion(v, node, r->arena);
  return tn_error(r->build->ctx, node->loc, TN_E_GRADIENT, "'%s' has no gradient: %s", op->name,
                  op->no_gradient != NULL ? op->no_gradient : "none is known");
}

/* So that what lies behind an operator without a gradient is reached, and told in the same run. */
static void add_nothing(reverse *r, tn_value *value) {
  const tn_type *type = value->type;
  tn_value *zero = tn_build_splat_f(r->build, type->dtype, 0);
  zero = tn_build_broadcast_to(r->build, zero, type->dims, type->ndim);
  if (zero != NULL) add_up(r, value, zero);
}

static void through_node(reverse *r, tn_node *node) {
  uint32_t n = node->n_operands;
  tn_value **operands = TN_NEW_N(r->arena, tn_value *, n), **dx = TN_NEW_N(r->arena, tn_value *, n);
  tn_value **dy = TN_NEW_N(r->arena, tn_value *, node->n_results);
  bool *needed = TN_NEW_N(r->arena, bool, n), any_needed = false, any_dy = false;
  for (uint32_t i = 0; i < node->n_results; i++) {
    dy[i] = is_active(r, node->results[i]) ? gradient_of(r, node->results[i]) : NULL;
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
  if (call_vjp(r, &v, node)) {
    for (uint32_t i = 0; i < n; i++)
      if (needed[i] && dx[i] != NULL) add_gradient(r, operands[i], dx[i]);
  } else {
    r->ok = false;
    for (uint32_t i = 0; i < n; i++)
      if (needed[i]) add_nothing(r, operands[i]);
  }
  tn_loc_pop(r->build->ctx);
}

/* Gradients that are not there are zero; NULL stands for them in out. */
static bool through_range(tn_build *b, tn_node *first, const tn_node *last, tn_value *const *ys, tn_value *const *dys,
                          uint32_t n_ys, tn_value *const *xs, uint32_t n_xs, tn_value **out) {
  tn_arena *arena = tn_arena_create_scratch(b->ctx->arena);
  reverse r = {b, arena, tn_map_create(arena), tn_map_create(arena), tn_map_create(arena), true};
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
  for (uint32_t i = 0; i < n_xs; i++) out[i] = gradient_of(&r, xs[i]);
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
