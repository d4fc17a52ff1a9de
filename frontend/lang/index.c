/* x[0..4, T: 2, ..]: slices and picks of tensors, parts of tuples. */
#include "frontend/lang/sema.h"

typedef struct cut {
  tn_sema *s;
  const tn_datum *x;
  const tn_dim *start[TN_MAX_NDIM], *size[TN_MAX_NDIM];
  int64_t step[TN_MAX_NDIM];
  tn_axis axes[TN_MAX_NDIM];
  bool is_given[TN_MAX_NDIM], is_dropped[TN_MAX_NDIM];
} cut;

/* A bound inside an axis; a negative number counts from the end. */
static bool bound_of(tn_frame *f, const tn_ast_expr *expr, const tn_axis *axis, tn_axis *out) {
  const tn_datum *d = tn_eval_expr(f, expr);
  if (!d) return false;
  if (d->kind != TN_DATUM_INT)
    return tn_frame_error(f, expr->loc, TN_E_LANG_KIND, "an index: expected an integer or a range, found %s%s",
                         tn_datum_describe(f->sema, d),
                         d->kind == TN_DATUM_TENSOR ? "; gather(x, i, axis) picks by tensors" : "");
  *out = d->integer;
  if (tn_dim_is_const(out->extent) && tn_dim_value(out->extent) < 0) {
    out->extent = tn_dim_add(f->sema->ctx, axis->extent, out->extent);
    out->label = NULL;
  }
  return true;
}

/* lo <= p <= hi as far as it is known now; the rest the graph guards. */
static bool in_range(tn_frame *f, const tn_dim *p, const tn_dim *hi, tn_loc loc, const tn_axis *axis) {
  tn_sema *s = f->sema;
  tn_dim_order low = tn_dim_compare(s->ctx, p, tn_dim_const(s->ctx, 0)), high = tn_dim_compare(s->ctx, p, hi);
  if (low != TN_DIM_LESS && high != TN_DIM_GREATER) return true;
  tn_frame_error(f, loc, TN_E_SHAPE, "index %s is outside dim %s", tn_dim_text(s, p), tn_axis_describe(s, axis));
  tn_axis_note(s, axis);
  return false;
}

static bool cut_range(tn_frame *f, cut *c, uint32_t axis, const tn_ast_expr *range) {
  tn_ctx *ctx = f->sema->ctx;
  const tn_axis *whole = &c->x->tensor.axes[axis];
  tn_axis first, end;
  int64_t step = 1;
  if (!bound_of(f, range->range.first, whole, &first) || !bound_of(f, range->range.end, whole, &end)) return false;
  if (range->range.step && !tn_eval_static_int(f, range->range.step, "a step", &step)) return false;
  if (step < 1) return tn_frame_error(f, range->range.step->loc, TN_E_SHAPE, "a step must be positive; flip(x, axis) "
                                     "turns an axis round");
  if (!in_range(f, first.extent, whole->extent, range->loc, whole) ||
      !in_range(f, end.extent, whole->extent, range->loc, whole))
    return false;
  const tn_dim *length = tn_dim_sub(ctx, end.extent, first.extent);
  if (tn_dim_compare(ctx, length, tn_dim_const(ctx, 0)) == TN_DIM_LESS)
    return tn_frame_error(f, range->loc, TN_E_SHAPE, "a range from %s to %s", tn_dim_text(f->sema, first.extent),
                         tn_dim_text(f->sema, end.extent));
  c->start[axis] = first.extent;
  c->size[axis] = step == 1 ? length : tn_dim_ceildiv(ctx, length, step);
  c->step[axis] = step;
  if (c->size[axis] == whole->extent && step == 1) return true;
  bool labels = first.label && end.label && step == 1;
  c->axes[axis] = (tn_axis){.extent = c->size[axis], .loc = range->loc};
  if (labels) c->axes[axis].label = tn_dim_sub(ctx, end.label, first.label);
  return true;
}

static bool cut_axis(tn_frame *f, cut *c, uint32_t axis, const tn_ast_idx *entry) {
  tn_axis at;
  if (c->is_given[axis])
    return tn_frame_error(f, entry->loc, TN_E_LANG_LABEL, "dim %s is indexed twice",
                         tn_axis_label_text(c->s, &c->x->tensor.axes[axis]));
  c->is_given[axis] = true;
  if (entry->value->kind == TN_AST_RANGE) return cut_range(f, c, axis, entry->value);
  const tn_axis *whole = &c->x->tensor.axes[axis];
  if (!bound_of(f, entry->value, whole, &at) ||
      !in_range(f, at.extent, tn_dim_add_i(c->s->ctx, whole->extent, -1), entry->loc, whole))
    return false;
  c->start[axis] = at.extent;
  c->size[axis] = tn_dim_const(c->s->ctx, 1);
  c->is_dropped[axis] = true;
  return true;
}

/* The axis that each entry means: names first, then positions from the left, and from the right behind `..`. */
static bool cut_entries(tn_frame *f, cut *c, const tn_ast_idxs *entries) {
  uint32_t ndim = tn_datum_ndim(c->x), at = 0;
  size_t n_positional = 0, n_dots = 0;
  for (size_t i = 0; i < entries->n; i++) {
    n_dots += entries->data[i].value == NULL;
    n_positional += entries->data[i].value && !entries->data[i].dim.text;
  }
  if (n_dots > 1) return tn_frame_error(f, entries->data[0].loc, TN_E_LANG_LABEL, "'..' may stand once in an index");
  if (n_positional > ndim)
    return tn_frame_error(f, entries->data[0].loc, TN_E_RANK, "%zu indices for %s", n_positional,
                         tn_datum_describe(c->s, c->x));
  for (size_t i = 0; i < entries->n; i++) {
    const tn_ast_idx *entry = &entries->data[i];
    uint32_t axis = at;
    if (!entry->value) {
      size_t behind = 0;
      for (size_t k = i + 1; k < entries->n; k++) behind += !entries->data[k].dim.text;
      at = ndim - (uint32_t)behind;
      continue;
    }
    if (entry->dim.text) {
      tn_ast_expr name = {.kind = TN_AST_NAME, .loc = entry->dim.loc, .depth = 1, .name = entry->dim.text};
      const tn_datum *label = tn_eval_expr(f, &name);
      axis = label ? tn_axis_find(c->s, c->x, label, "an index") : UINT32_MAX;
      if (axis == UINT32_MAX) return false;
    } else {
      at++;
    }
    if (!cut_axis(f, c, axis, entry)) return false;
  }
  return true;
}

static tn_datum *cut_tensor(tn_frame *f, const tn_datum *x, const tn_ast_expr *expr) {
  tn_sema *s = f->sema;
  cut c = {.s = s, .x = x};
  uint32_t ndim = tn_datum_ndim(x), n = 0;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < ndim; i++) {
    c.start[i] = tn_dim_const(s->ctx, 0);
    c.size[i] = x->tensor.axes[i].extent;
    c.step[i] = 1;
    c.axes[i] = x->tensor.axes[i];
  }
  if (!cut_entries(f, &c, &expr->index.entries)) return NULL;
  tn_value *y = tn_build_slice(&s->build, x->tensor.value, c.start, c.size, c.step);
  for (uint32_t i = 0; i < ndim; i++) {
    if (c.is_dropped[i]) continue;
    dims[n] = c.size[i];
    c.axes[n++] = c.axes[i];
  }
  return tn_datum_tensor(s, tn_build_reshape(&s->build, y, dims, n), c.axes, expr->loc);
}

tn_datum *tn_eval_index(tn_frame *f, const tn_ast_expr *expr) {
  const tn_datum *x = tn_eval_expr(f, expr->index.object);
  const tn_ast_idxs *entries = &expr->index.entries;
  if (!x) return NULL;
  if (x->kind == TN_DATUM_TENSOR) return cut_tensor(f, x, expr);
  if (x->kind != TN_DATUM_TUPLE || entries->n != 1 || !entries->data[0].value || entries->data[0].dim.text) {
    tn_frame_error(f, expr->loc, TN_E_LANG_KIND, "%s cannot be indexed so", tn_datum_describe(f->sema, x));
    return NULL;
  }
  int64_t at;
  if (!tn_eval_static_int(f, entries->data[0].value, "a tuple's index", &at)) return NULL;
  if (at < -(int64_t)x->tuple.n || at >= (int64_t)x->tuple.n) {
    tn_frame_error(f, expr->loc, TN_E_SHAPE, "index %lld of %s", (long long)at, tn_datum_describe(f->sema, x));
    return NULL;
  }
  return x->tuple.parts[at < 0 ? at + x->tuple.n : at];
}
