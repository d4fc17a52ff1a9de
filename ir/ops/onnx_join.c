/* ONNX' If whose branches give results of other extents: each pads its own to a bound of both and tells its extents,
 * which are read behind the If, where the rest is cut off. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

/* One result: what both branches give fits into these dims. */
typedef struct join {
  bool differs;
  uint32_t ndim, place; /* place: of the list of extents among the node's results */
  const tn_dim *bound[TN_MAX_NDIM];
} join;

static bool find_join(tn_foreign_node *node, uint32_t number, const tn_type *p, const tn_type *q, join *out) {
  tn_build *b = node->build;
  if (p->ndim != q->ndim || p->dtype != q->dtype) return true; /* refused when the node is complete */
  out->ndim = p->ndim;
  for (uint32_t i = 0; i < p->ndim; i++) out->differs |= !tn_func_dims_equal(b->func, p->dims[i], q->dims[i]);
  for (uint32_t i = 0; i < p->ndim && out->differs; i++) {
    const tn_dim *x = tn_dim_bound(b->ctx, p->dims[i]), *y = tn_dim_bound(b->ctx, q->dims[i]);
    if (!x || !y)
      return tn_foreign_unsupported(node, "output %u of extents without a bound, other ones in each branch", number);
    out->bound[i] = tn_dim_max(b->ctx, x, y);
  }
  return true;
}

/* x filled up with zeros to the bound. */
static tn_value *pad_to(tn_build *b, tn_value *x, const join *j) {
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  for (uint32_t i = 0; i < j->ndim; i++) {
    lo[i] = tn_dim_const(b->ctx, 0);
    hi[i] = tn_dim_sub(b->ctx, j->bound[i], x->type->dims[i]);
  }
  return tn_build_pad(b, x, tn_build_splat_i(b, x->type->dtype, 0), lo, hi);
}

static bool end_branch(tn_block *region, const join *joins, uint32_t n, uint32_t n_all) {
  tn_node *last = region->last;
  tn_build b = tn_build_at_end(region);
  tn_value **values = TN_NEW_N(b.module->arena, tn_value *, n_all);
  for (uint32_t i = 0; i < n; i++) values[i] = last->operands[i].value;
  tn_node_remove(last);
  bool ok = true;
  for (uint32_t i = 0; i < n; i++) {
    if (!joins[i].differs) continue;
    values[joins[i].place] = tn_build_dim_value(&b, values[i]->type->dims, joins[i].ndim);
    values[i] = pad_to(&b, values[i], &joins[i]);
    ok = ok && values[i] && values[joins[i].place];
  }
  if (ok) tn_build_return(&b, values, n_all);
  return ok;
}

static tn_value *cut_to(tn_build *b, tn_value *x, tn_value *extents, const join *j) {
  const tn_dim *start[TN_MAX_NDIM], *size[TN_MAX_NDIM];
  for (uint32_t i = 0; i < j->ndim; i++) {
    start[i] = tn_dim_const(b->ctx, 0);
    size[i] = tn_build_read_count(b, tn_compose_entry(b, extents, i), j->bound[i]);
    if (!size[i]) return NULL;
  }
  return tn_build_slice(b, x, start, size, NULL);
}

bool tn_join_branches(tn_foreign_node *node, tn_node *made, tn_value **out) {
  tn_build *b = node->build;
  uint32_t n = made->regions[0]->last->n_operands, n_all = n;
  if (made->regions[1]->last->n_operands != n)
    return tn_foreign_error(node, TN_E_ARITY, "the branches have %u and %u outputs", n,
                            made->regions[1]->last->n_operands);
  join *joins = TN_NEW_N(b->module->arena, join, n);
  for (uint32_t i = 0; i < n; i++) {
    const tn_value *x = made->regions[0]->last->operands[i].value, *y = made->regions[1]->last->operands[i].value;
    if (!find_join(node, i, x->type, y->type, &joins[i])) return false;
    if (joins[i].differs) joins[i].place = n_all++;
  }
  for (uint32_t r = 0; r < 2 && n_all > n; r++)
    if (!end_branch(made->regions[r], joins, n, n_all)) return false;
  if (!tn_build_end(made)) return false;
  for (uint32_t i = 0; i < n; i++) {
    out[i] = made->results[i];
    if (joins[i].differs) out[i] = cut_to(b, out[i], made->results[joins[i].place], &joins[i]);
    if (!out[i]) return false;
  }
  return true;
}
