/* Broadcasting and contraction by label: equal labels meet wherever they stand; what is left meets by position from the
 * right where one of the two has no label; what is left then may be left in one operand only. */
#include <string.h>

#include "frontend/lang/sema.h"

typedef struct matched {
  uint32_t n;
  tn_axis axes[TN_MAX_NDIM];
} matched;

/* Where each axis of one operand goes in the result; UINT32_MAX: not placed yet. */
typedef uint32_t placing[TN_MAX_NDIM];

static const char *list_axes(tn_sema *s, const matched *m) {
  tn_buf out = tn_buf_create(s->arena);
  tn_buf_putc(&out, '[');
  for (uint32_t i = 0; i < m->n; i++) tn_buf_printf(&out, "%s%s", i ? ", " : "", tn_axis_label_text(s, &m->axes[i]));
  tn_buf_putc(&out, ']');
  return out.data;
}

static bool extents_differ(tn_sema *s, const char *what, const tn_axis *a, const tn_axis *b, tn_loc loc) {
  bool same = tn_axis_is_labelled(a) && a->label == b->label;
  if (same)
    tn_error(s->ctx, loc, TN_E_SHAPE, "%s: dim %s is %s here and %s there", what, tn_axis_label_text(s, a),
             tn_dim_text(s, a->extent), tn_dim_text(s, b->extent));
  else
    tn_error(s->ctx, loc, TN_E_SHAPE, "%s: dims %s and %s meet and differ", what, tn_axis_describe(s, a),
             tn_axis_describe(s, b));
  tn_axis_note(s, a);
  tn_axis_note(s, b);
  return false;
}

/* One axis of the result from the two that meet. */
static bool join(tn_sema *s, const char *what, const tn_axis *a, const tn_axis *b, tn_loc loc, tn_axis *out) {
  bool a_labelled = tn_axis_is_labelled(a), b_labelled = tn_axis_is_labelled(b);
  if (!a_labelled && tn_dim_is(a->extent, 1)) return *out = *b, true;
  if (!b_labelled && tn_dim_is(b->extent, 1)) return *out = *a, true;
  size_t before = tn_diag_n_errors(s->ctx);
  if (!tn_extents_agree(s, a->extent, b->extent, loc,
                        tn_namef(s->ctx, "dims %s and %s of %s", tn_axis_label_text(s, a), tn_axis_label_text(s, b),
                                 what)))
    return tn_diag_n_errors(s->ctx) > before ? false : extents_differ(s, what, a, b, loc);
  *out = b_labelled && !a_labelled ? *b : *a;
  return true;
}

static bool left_over(tn_sema *s, const char *what, const matched *a, const matched *b, uint32_t at_a, uint32_t at_b,
                      tn_loc loc) {
  const tn_axis *p = &a->axes[at_a], *q = &b->axes[at_b];
  tn_error(s->ctx, loc, TN_E_LANG_LABEL, "%s: dim %s of %s and dim %s of %s have no partner", what,
           tn_axis_label_text(s, p), list_axes(s, a), tn_axis_label_text(s, q), list_axes(s, b));
  tn_axis_note(s, p);
  tn_axis_note(s, q);
  if (p->extent == q->extent)
    tn_help(s->ctx, "both are %s: rename(x, %s: %s) makes them one dim", tn_dim_text(s, p->extent),
            tn_axis_label_text(s, q), tn_axis_label_text(s, p));
  else tn_help(s->ctx, "dims are never combined by accident: expand(x, dims...) says it where it is meant");
  return false;
}

/* Pairs the axes of a and b: to_b[i] is the axis of b that a's axis i meets, or UINT32_MAX. */
static bool pair(tn_sema *s, const char *what, const matched *a, const matched *b, tn_loc loc, placing to_b) {
  bool taken[TN_MAX_NDIM] = {false};
  for (uint32_t i = 0; i < a->n; i++) {
    to_b[i] = UINT32_MAX;
    for (uint32_t k = 0; k < b->n && tn_axis_is_labelled(&a->axes[i]); k++)
      if (b->axes[k].label == a->axes[i].label) taken[to_b[i] = k] = true;
  }
  uint32_t k = b->n;
  for (uint32_t i = a->n; i-- > 0;) {
    if (to_b[i] != UINT32_MAX) continue;
    while (k > 0 && taken[k - 1]) k--;
    if (k == 0) break;
    if (tn_axis_is_labelled(&a->axes[i]) && tn_axis_is_labelled(&b->axes[k - 1]))
      return left_over(s, what, a, b, i, k - 1, loc);
    to_b[i] = --k;
    taken[k] = true;
  }
  return true;
}

/* The common dims of a and b, in the order of the one that has all of them; where the axes of each go. */
static bool combine(tn_sema *s, const char *what, const matched *a, const matched *b, tn_loc loc, matched *out,
                    placing a_to, placing b_to) {
  placing to_b;
  uint32_t n_paired = 0;
  if (!pair(s, what, a, b, loc, to_b)) return false;
  for (uint32_t i = 0; i < a->n; i++) n_paired += to_b[i] != UINT32_MAX;
  bool order_of_b = n_paired < b->n; /* then all of a is paired: pair() leaves axes over in one of the two */
  TN_ASSERT(!order_of_b || n_paired == a->n);
  *out = order_of_b ? *b : *a;
  for (uint32_t k = 0; k < b->n; k++) b_to[k] = k;
  for (uint32_t i = 0; i < a->n; i++) {
    a_to[i] = order_of_b ? to_b[i] : i;
    if (to_b[i] == UINT32_MAX) continue;
    b_to[to_b[i]] = a_to[i];
    if (!join(s, what, &a->axes[i], &b->axes[to_b[i]], loc, &out->axes[a_to[i]])) return false;
  }
  return true;
}

/* x with the dims of the result: axes reordered, then repeated. */
static tn_value *spread(tn_sema *s, const tn_datum *x, const matched *to, const placing at) {
  int64_t perm[TN_MAX_NDIM], map[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t k = 0; k < to->n; k++) {
    dims[k] = to->axes[k].extent;
    for (uint32_t i = 0; i < tn_datum_ndim(x); i++)
      if (at[i] == k) {
        perm[n] = i;
        map[n++] = k;
      }
  }
  TN_ASSERT(n == tn_datum_ndim(x));
  tn_value *y = tn_build_transpose(&s->build, x->tensor.value, perm);
  return tn_build_broadcast_map(&s->build, y, dims, to->n, map);
}

#define MAX_OPERANDS 3

bool tn_match_broadcast(tn_sema *s, const char *what, tn_datum **tensors, uint32_t n, tn_loc loc,
                        tn_axis **out_axes) {
  matched all = {0};
  placing at[MAX_OPERANDS];
  TN_ASSERT(n <= MAX_OPERANDS);
  for (uint32_t i = 0; i < n; i++) {
    matched one = {.n = tn_datum_ndim(tensors[i])}, both = {0};
    placing moved;
    if (!tn_labels_distinct(s, tensors[i], what, loc)) return false;
    if (one.n) memcpy(one.axes, tensors[i]->tensor.axes, one.n * sizeof(*one.axes));
    if (!combine(s, what, &all, &one, loc, &both, moved, at[i])) return false;
    for (uint32_t k = 0; k < i; k++)
      for (uint32_t axis = 0; axis < tn_datum_ndim(tensors[k]); axis++) at[k][axis] = moved[at[k][axis]];
    all = both;
  }
  for (uint32_t i = 0; i < n; i++) {
    tensors[i] = tn_datum_tensor(s, spread(s, tensors[i], &all, at[i]), all.axes, loc);
    if (!tensors[i]) return false;
  }
  *out_axes = tn_arena_copy(s->arena, all.axes, all.n * sizeof(*all.axes));
  return true;
}

/* --- Contraction --- */

static bool is_in(const int64_t *pairs, uint32_t n, uint32_t side, uint32_t axis) {
  for (uint32_t i = 0; i < n; i++)
    if (pairs[2 * i + side] == axis) return true;
  return false;
}

static bool pair_axes(tn_sema *s, const tn_datum *a, const tn_datum *b, uint32_t i, uint32_t k, tn_loc loc,
                      int64_t *pairs, uint32_t *n) {
  const tn_axis *p = &a->tensor.axes[i], *q = &b->tensor.axes[k];
  size_t before = tn_diag_n_errors(s->ctx);
  if (!tn_extents_agree(s, p->extent, q->extent, loc,
                        tn_namef(s->ctx, "dim %s of the two operands of dot", tn_axis_label_text(s, p))))
    return tn_diag_n_errors(s->ctx) > before ? false : extents_differ(s, "dot", p, q, loc);
  pairs[2 * *n] = i;
  pairs[2 * *n + 1] = k;
  ++*n;
  return true;
}

/* The batch axes: equal labels that are not summed over. */
static bool batch_axes(tn_sema *s, const tn_datum *a, const tn_datum *b, const int64_t *sums, uint32_t n_sums,
                       tn_loc loc, int64_t *pairs, uint32_t *n) {
  for (uint32_t i = 0; i < tn_datum_ndim(a); i++) {
    const tn_axis *p = &a->tensor.axes[i];
    if (!tn_axis_is_labelled(p) || is_in(sums, n_sums, 0, i)) continue;
    for (uint32_t k = 0; k < tn_datum_ndim(b); k++)
      if (b->tensor.axes[k].label == p->label && !is_in(sums, n_sums, 1, k) &&
          !pair_axes(s, a, b, i, k, loc, pairs, n))
        return false;
  }
  return true;
}

/* The graph's dot gives batch ++ free of a ++ free of b; the language's has a's axes in their own order. */
static tn_datum *order_result(tn_sema *s, tn_value *y, const tn_datum *a, const tn_datum *b, const int64_t *batch,
                              uint32_t n_batch, const int64_t *sums, uint32_t n_sums, tn_loc loc) {
  int64_t perm[TN_MAX_NDIM];
  tn_axis axes[TN_MAX_NDIM];
  uint32_t n = 0, free_a = n_batch;
  if (!y) return NULL;
  for (uint32_t i = 0; i < tn_datum_ndim(a); i++) {
    if (is_in(sums, n_sums, 0, i)) continue;
    axes[n] = a->tensor.axes[i];
    perm[n] = -1;
    for (uint32_t k = 0; k < n_batch; k++)
      if (batch[2 * k] == i) perm[n] = k;
    if (perm[n] < 0) perm[n] = free_a++;
    n++;
  }
  for (uint32_t i = 0; i < tn_datum_ndim(b); i++) {
    if (is_in(sums, n_sums, 1, i) || is_in(batch, n_batch, 1, i)) continue;
    axes[n] = b->tensor.axes[i];
    perm[n] = n;
    n++;
  }
  return tn_datum_tensor(s, tn_build_transpose(&s->build, y, perm), axes, loc);
}

tn_datum *tn_match_dot(tn_sema *s, const tn_datum *a, const tn_datum *b, tn_datum *const *over, uint32_t n_over,
                       tn_loc loc) {
  int64_t sums[2 * TN_MAX_NDIM], batch[2 * TN_MAX_NDIM];
  uint32_t n_sums = 0, n_batch = 0;
  if (!tn_labels_distinct(s, a, "dot", loc) || !tn_labels_distinct(s, b, "dot", loc)) return NULL;
  if (tn_datum_dtype(a) != tn_datum_dtype(b)) {
    tn_error(s->ctx, loc, TN_E_DTYPE, "dot: %s and %s differ in type; cast one", tn_datum_describe(s, a),
             tn_datum_describe(s, b));
    return NULL;
  }
  for (uint32_t i = 0; i < n_over; i++) {
    if (over[i]->kind == TN_DATUM_INT && !tn_axis_is_labelled(&over[i]->integer)) {
      tn_error(s->ctx, over[i]->loc, TN_E_LANG_LABEL, "dot: over takes labels, found %s",
               tn_datum_describe(s, over[i]));
      return NULL;
    }
    uint32_t p = tn_axis_find(s, a, over[i], "dot"), q = p == UINT32_MAX ? p : tn_axis_find(s, b, over[i], "dot");
    if (q == UINT32_MAX || !pair_axes(s, a, b, p, q, loc, sums, &n_sums)) return NULL;
    for (uint32_t k = 0; k + 1 < n_sums; k++)
      if (sums[2 * k] == p) {
        tn_error(s->ctx, over[i]->loc, TN_E_LANG_LABEL, "dot: over has dim %s twice",
                 tn_axis_label_text(s, &over[i]->integer));
        return NULL;
      }
  }
  if (!batch_axes(s, a, b, sums, n_sums, loc, batch, &n_batch)) return NULL;
  tn_value *y = tn_build_dot(&s->build, a->tensor.value, b->tensor.value, batch, n_batch, sums, n_sums);
  return order_result(s, y, a, b, batch, n_batch, sums, n_sums, loc);
}
