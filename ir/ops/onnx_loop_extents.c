/* Carried values of ONNX' Loop whose extents change between iterations. A loop carries values of one type, so such a
 * value lies in the first corner of one of extents that it never exceeds; its own extents are carried as a list, which
 * the body reads at its start.
 *
 * How an extent changes is seen by importing the body over symbols in its place: s + c in the body's result grows by c
 * with each run, a count of at most s never grows, and one without s is the same from the first run on. */
#include "ir/ops/compose.h"
#include "ir/ops/control.h"

#define MAX_AGAIN 2        /* loops in loops whose bodies are imported again, as that takes time to the power of them */
#define MAX_RUNS INT32_MAX /* more is a trip count that says nothing */

/* One carried value. */
typedef struct change {
  bool changes[TN_MAX_NDIM];
  uint32_t n;                       /* axes that change; 0: the value is carried as it is */
  uint32_t place;                   /* of the list among the carried values */
  const tn_dim *bound[TN_MAX_NDIM]; /* the extents it never exceeds */
  bool grows[TN_MAX_NDIM];          /* the last is at least the first */
} change;

struct tn_loop_growing {
  tn_loop_import *l;
  change *of; /* one a carried value */
  uint32_t n;             /* carried values before there are lists */
  uint32_t n_changing;
  size_t n_symbols; /* before the trial */
  const tn_dim *trial[TN_MAX_RESULTS][TN_MAX_NDIM];
};

typedef struct tn_loop_growing growing;

static tn_build *build_of(const growing *g) { return g->l->node->build; }

static const tn_symbol *symbol_of(const tn_dim *dim) { return dim->terms[0].atoms[0]->symbol; }

/* A count has a guard that says what it is at most. */
static const tn_dim *most_of(const growing *g, const tn_dim *p) {
  const tn_guard_list *guards = tn_func_guards_here(build_of(g)->func);
  for (size_t i = g->l->n_guards; i < guards->n; i++)
    if (guards->data[i].kind == TN_GUARD_LE && guards->data[i].p == p) return guards->data[i].q;
  return p;
}

/* And what grew in an inner loop one of what it is at least. */
static const tn_dim *least_of(const growing *g, const tn_dim *p) {
  const tn_guard_list *guards = tn_func_guards_here(build_of(g)->func);
  for (size_t i = g->l->n_guards; i < guards->n; i++)
    if (guards->data[i].kind == TN_GUARD_LE && guards->data[i].q == p) return guards->data[i].p;
  return p;
}

/* Whether an extent that was q is p after a run, and not only for want of a guard that makes them equal. */
static bool differs(const growing *g, const tn_dim *p, const tn_dim *q) {
  tn_ctx *ctx = build_of(g)->ctx;
  if (tn_func_dims_equal(build_of(g)->func, p, q)) return false;
  return tn_dim_compare(ctx, p, q) != TN_DIM_UNKNOWN || tn_dim_proves_le(ctx, most_of(g, p), q) ||
         tn_dim_proves_le(ctx, q, least_of(g, p));
}

/* Marks what body changes; true when that is more than was marked before. */
static bool mark(growing *g, const tn_block *body) {
  bool more = false;
  for (uint32_t i = 0; i < g->n; i++) {
    const tn_type *after = body->last->operands[1 + i].value->type, *before = body->params.data[2 + i]->type;
    if (after->ndim != before->ndim || after->dtype != before->dtype) continue; /* refused when the loop is built */
    for (uint32_t a = 0; a < after->ndim; a++) {
      change *own = &g->of[i];
      if (own->changes[a] || !differs(g, after->dims[a], before->dims[a])) continue;
      own->changes[a] = more = true;
      g->n_changing += own->n++ == 0;
    }
  }
  return more;
}

/* The body over symbols in the place of the extents that change. It is only looked at. */
static tn_block *try_body(growing *g) {
  tn_loop_import *l = g->l;
  tn_build *b = build_of(g), in = tn_build_at_end(tn_block_create(b->func, NULL));
  tn_value **inputs = TN_NEW_N(b->module->arena, tn_value *, 2 + g->n);
  inputs[0] = l->body->params.data[0];
  inputs[1] = l->body->params.data[1];
  for (uint32_t i = 0; i < g->n; i++) {
    const tn_type *type = l->carried[i]->type;
    const tn_dim *dims[TN_MAX_NDIM];
    uint32_t one;
    for (uint32_t a = 0; a < type->ndim; a++) {
      dims[a] = type->dims[a];
      if (!g->of[i].changes[a]) continue;
      tn_value *extent = tn_block_add_param(in.block, tn_type_tensor(b->ctx, TN_I64, 0, NULL), "");
      if (!tn_build_read_dims(&in, extent, 0, TN_DIM_INF, &dims[a], &one)) return NULL;
      g->trial[i][a] = dims[a];
    }
    inputs[2 + i] = tn_block_add_param(in.block, tn_type_tensor(b->ctx, type->dtype, type->ndim, dims), "");
  }
  return tn_control_body(l->node, l->graph, &l->about, NULL, inputs);
}

/* Whether p depends on what is found in the body. */
static bool is_inside(const growing *g, const tn_dim *p) {
  tn_build *b = build_of(g);
  const tn_dim *zero = tn_dim_const(b->ctx, 0);
  for (size_t i = g->n_symbols; i < b->module->symbols.n; i++)
    if (tn_dim_substitute(b->ctx, p, b->module->symbols.data[i], zero) != p) return true;
  return false;
}

/* p with the bounds of other carried extents in their place, where it grows with them. */
static const tn_dim *with_bounds(const growing *g, const tn_dim *p) {
  tn_ctx *ctx = build_of(g)->ctx;
  const tn_dim *factor, *rest;
  for (uint32_t i = 0; i < g->n; i++) {
    for (uint32_t a = 0; a < g->l->carried[i]->type->ndim; a++) {
      if (!g->of[i].changes[a] || !g->of[i].bound[a]) continue;
      const tn_symbol *symbol = symbol_of(g->trial[i][a]);
      if (tn_dim_linear(ctx, p, symbol, &factor, &rest) && factor->lo >= 0)
        p = tn_dim_substitute(ctx, p, symbol, g->of[i].bound[a]);
    }
  }
  return p;
}

/* What p is at most, over what is known before the loop; NULL when nothing says. */
static const tn_dim *bound_before(const growing *g, const tn_dim *p) {
  p = with_bounds(g, p);
  return is_inside(g, p) ? tn_dim_bound(build_of(g)->ctx, p) : p;
}

/* What an extent never exceeds that is first at the beginning and becomes next of own. */
static const tn_dim *find_bound(const growing *g, const tn_dim *first, const tn_dim *own, const tn_dim *next,
                                bool *out_grows) {
  tn_ctx *ctx = build_of(g)->ctx;
  const tn_dim *factor, *rest, *zero = tn_dim_const(ctx, 0);
  *out_grows = tn_dim_proves_le(ctx, own, least_of(g, next));
  if (!tn_dim_linear(ctx, most_of(g, next), symbol_of(own), &factor, &rest)) return NULL;
  rest = bound_before(g, rest);
  if (!rest) return NULL;
  if (tn_dim_is(factor, 0)) return tn_dim_max(ctx, first, rest);
  if (!tn_dim_is(factor, 1)) return NULL;
  if (rest->hi <= 0) return first;
  const tn_dim *runs = tn_loop_trip(g->l);
  if (!runs || runs->lo > MAX_RUNS) return NULL;
  return tn_dim_add(ctx, first, tn_dim_mul(ctx, runs, tn_dim_max(ctx, rest, zero)));
}

/* Bounds that need no other one first, then those that need these. */
static bool find_bounds(growing *g, const tn_block *body) {
  for (bool more = true; more;) {
    more = false;
    for (uint32_t i = 0; i < g->n; i++) {
      const tn_type *first = g->l->carried[i]->type, *next = body->last->operands[1 + i].value->type;
      for (uint32_t a = 0; a < first->ndim; a++) {
        const tn_dim **bound = &g->of[i].bound[a];
        if (*bound) continue;
        *bound = first->dims[a];
        if (g->of[i].changes[a])
          *bound = find_bound(g, first->dims[a], g->trial[i][a], next->dims[a], &g->of[i].grows[a]);
        more |= *bound != NULL;
      }
    }
  }
  for (uint32_t i = 0; i < g->n; i++)
    for (uint32_t a = 0; a < g->l->carried[i]->type->ndim; a++)
      if (!g->of[i].bound[a])
        return tn_foreign_unsupported(g->l->node, "carried value %u, whose extent on axis %u changes with each run and "
                                      "has no bound that is known before the loop", i, a);
  return true;
}

/* Tries bodies until one changes nothing else. */
static bool find_changes(growing *g) {
  tn_build *b = build_of(g);
  g->n_symbols = b->module->symbols.n;
  for (bool more = true; more;) {
    tn_func_guards_here(b->func)->n = g->l->n_guards;
    tn_block *body = try_body(g);
    if (!body) return false;
    more = mark(g, body);
    if (!more && !find_bounds(g, body)) return false;
  }
  tn_func_guards_here(b->func)->n = g->l->n_guards;
  return true;
}

/* The changing extents of type as a list. */
static tn_value *list_of(tn_build *b, const tn_type *type, const change *own) {
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t a = 0; a < type->ndim; a++)
    if (own->changes[a]) dims[n++] = type->dims[a];
  return tn_build_dim_value(b, dims, n);
}

/* x filled up with zeros to the bounds. */
static tn_value *fill_up(tn_build *b, tn_value *x, const change *own) {
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  for (uint32_t a = 0; a < x->type->ndim; a++) {
    lo[a] = tn_dim_const(b->ctx, 0);
    hi[a] = tn_dim_sub(b->ctx, own->bound[a], x->type->dims[a]);
    if (own->changes[a] && !tn_func_require_le(b->func, x->type->dims[a], own->bound[a], tn_loc_current(b->ctx),
                                                  "'Loop': a carried value, axis %u", a))
      return NULL;
  }
  return tn_build_pad(b, x, tn_build_splat_i(b, x->type->dtype, 0), lo, hi);
}

/* What fill_up was given: the first corner of whole, of the extents in list. */
static tn_value *corner(tn_build *b, tn_value *whole, tn_value *list, const change *own) {
  const tn_dim *start[TN_MAX_NDIM], *size[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t a = 0; whole && a < whole->type->ndim; a++) {
    start[a] = tn_dim_const(b->ctx, 0);
    size[a] = own->bound[a];
    if (!own->changes[a]) continue;
    size[a] = tn_build_read_count(b, tn_compose_entry(b, list, n++), own->bound[a]);
    if (!size[a]) return NULL;
  }
  return tn_build_slice(b, whole, start, size, NULL);
}

/* The parameters of a body whose carried values keep their extents: number, condition, carried values, lists of
 * extents, captures. */
static void add_params(const growing *g, tn_block *block) {
  const tn_loop_import *l = g->l;
  tn_build *b = build_of(g);
  tn_block_add_param(block, tn_type_tensor(b->ctx, TN_I64, 0, NULL), "");
  tn_block_add_param(block, tn_type_tensor(b->ctx, TN_BOOL, 0, NULL), "");
  for (uint32_t i = 0; i < l->n_carried; i++) tn_block_add_param(block, l->carried[i]->type, "");
  for (uint32_t i = 0; i < l->about.n_captures; i++) {
    tn_value *param = tn_block_add_param(block, l->about.captures[i]->type, "");
    param->index = l->about.captures[i]->index;
    param->n_index = l->about.captures[i]->n_index;
  }
}

/* What the body yields, filled up, and the lists behind what is carried. */
static bool end_body(const growing *g, tn_build *b, tn_node *last) {
  uint32_t n_yields = last->n_operands, n_all = n_yields + g->n_changing, n_carried = g->l->n_carried;
  tn_value **yields = TN_NEW_N(b->module->arena, tn_value *, n_all);
  for (uint32_t i = 0; i < n_yields; i++)
    yields[i <= g->n ? i : i + g->n_changing] = last->operands[i].value;
  tn_node_remove(last);
  for (uint32_t i = 0; i < g->n; i++) {
    const change *own = &g->of[i];
    tn_value *value = yields[1 + i];
    if (own->n == 0) continue;
    yields[1 + own->place] = list_of(b, value->type, own);
    yields[1 + i] = fill_up(b, value, own);
    for (uint32_t k = 1 + n_carried; k < n_all; k++)
      if (yields[k] == value || is_inside(g, tn_type_count(b->ctx, yields[k]->type)))
        return tn_foreign_unsupported(g->l->node, "a stacked output whose extents change with each run");
  }
  for (uint32_t i = 0; i < n_all; i++)
    if (!yields[i]) return false;
  tn_build_return(b, yields, n_all);
  return true;
}

/* The body again, in one that takes carried values apart and puts them together. */
static tn_block *wrap_body(const growing *g) {
  tn_loop_import *l = g->l;
  tn_block *block = tn_block_create(build_of(g)->func, NULL);
  tn_build b = tn_build_at_end(block);
  tn_value **args = TN_NEW_N(b.module->arena, tn_value *, 2 + g->n + l->about.n_captures);
  add_params(g, block);
  tn_value **params = block->params.data;
  args[0] = params[0];
  args[1] = params[1];
  for (uint32_t i = 0; i < g->n; i++) {
    const change *own = &g->of[i];
    args[2 + i] = params[2 + i];
    if (own->n > 0) args[2 + i] = corner(&b, params[2 + i], params[2 + own->place], own);
    if (!args[2 + i]) return NULL;
  }
  for (uint32_t i = 0; i < l->about.n_captures; i++) args[2 + g->n + i] = params[2 + l->n_carried + i];
  tn_block *body = tn_control_body(l->node, l->graph, &l->about, NULL, args);
  if (!body) return NULL;
  tn_node *last = tn_block_splice(block, NULL, body, args);
  return end_body(g, &b, last) ? block : NULL;
}

/* First contents, filled up, and the lists of their extents. */
static bool carry_lists(growing *g) {
  tn_loop_import *l = g->l;
  tn_build *b = build_of(g);
  tn_value **carried = TN_NEW_N(b->module->arena, tn_value *, g->n + g->n_changing);
  for (uint32_t i = 0, place = g->n; i < g->n; i++) {
    change *own = &g->of[i];
    carried[i] = l->carried[i];
    if (own->n == 0) continue;
    own->place = place++;
    carried[own->place] = list_of(b, l->carried[i]->type, own);
    carried[i] = fill_up(b, l->carried[i], own);
    if (!carried[i] || !carried[own->place]) return false;
  }
  l->carried = carried;
  l->n_carried = g->n + g->n_changing;
  return true;
}

/* Whether bodies may be imported once more here. */
static bool may_repeat(const tn_loop_import *l) {
  return *l->node->again < MAX_AGAIN ||
         tn_foreign_unsupported(l->node, "carried values whose extents change, or with stacked outputs and no small "
                                "trip count, within %u other such loops", MAX_AGAIN);
}

bool tn_loop_grow(tn_loop_import *l) {
  tn_arena *arena = l->node->build->module->arena;
  if (l->n_carried == 0 || l->n_carried > TN_MAX_RESULTS) return true;
  growing *g = TN_NEW(arena, growing);
  *g = (growing){.l = l, .of = TN_NEW_N(arena, change, l->n_carried), .n = l->n_carried};
  if (!mark(g, l->body)) return true;
  if (!may_repeat(l)) return false;
  l->growing = g;
  ++*l->node->again;
  bool ok = find_changes(g) && carry_lists(g) && (l->body = wrap_body(g)) != NULL;
  --*l->node->again;
  return ok;
}

bool tn_loop_body_again(tn_loop_import *l) {
  if (!may_repeat(l)) return false;
  ++*l->node->again;
  l->body = l->growing ? wrap_body(l->growing) : tn_control_body(l->node, l->graph, &l->about, NULL, l->inputs);
  --*l->node->again;
  return l->body != NULL;
}

bool tn_loop_cut(tn_loop_import *l) {
  if (!l->growing) return true;
  tn_build *b = l->node->build;
  const change *of = l->growing->of;
  uint32_t n_before = l->growing->n, n_stacked = l->about.n_outputs - 1 - n_before;
  tn_value **results = TN_NEW_N(b->module->arena, tn_value *, n_before + n_stacked);
  for (uint32_t i = 0; i < n_before; i++) {
    results[i] = l->results[i];
    if (of[i].n > 0) results[i] = corner(b, l->results[i], l->results[of[i].place], &of[i]);
    if (!results[i]) return false;
    const tn_type *first = l->inputs[2 + i]->type;
    for (uint32_t a = 0; a < first->ndim; a++)
      if (of[i].grows[a] && !tn_func_require_le(b->func, first->dims[a], results[i]->type->dims[a], l->node->loc,
                                                "'Loop': what carried value %u grew from, axis %u", i, a))
        return false;
  }
  for (uint32_t i = 0; i < n_stacked; i++) results[n_before + i] = l->results[l->n_carried + i];
  l->results = results;
  return true;
}
