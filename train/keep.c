/* Loops that keep few of their states: a scan over T becomes a scan over T / d scans over d. The way back over the
 * outer one reads the carried values at the start of each inner scan, which it does once more to walk back over it, so
 * what d iterations need is held at a time (Chen et al., Training deep nets with sublinear memory cost, 2016). Each
 * iteration computes what it computed before, and sums over all iterations run over the same elements in the same
 * order. */
#include "ir/ops/scan.h"
#include "ir/primitives.h"
#include "train/train.h"

/* The largest number up to most that divides extent. */
static int64_t divisor_of(int64_t extent, int64_t most) {
  int64_t d = most < extent ? most : extent;
  while (extent % d != 0) d--;
  return d;
}

/* How often the scan runs, where that is known and its values have room for one more axis; else 0. */
static int64_t iterations_of(const tn_node *node) {
  uint32_t n_carried = (uint32_t)node->attrs[TN_SCAN_N_CARRIED].u.i, n_seq = (uint32_t)node->attrs[TN_SCAN_N_SEQ].u.i;
  if (n_seq == 0 || n_carried == 0) return 0;
  for (uint32_t i = 0; i < n_seq; i++)
    if (node->operands[n_carried + i].value->type->ndim == TN_MAX_NDIM) return 0;
  for (uint32_t i = n_carried; i < node->n_results; i++)
    if (node->results[i]->type->ndim == TN_MAX_NDIM) return 0;
  const tn_dim *trip = node->operands[n_carried].value->type->dims[tn_scan_entry(&node->attrs[TN_SCAN_AXIS], 0)];
  return trip->lo == trip->hi ? trip->lo : 0;
}

/* Axis `axis` of x comes first, or back: the first becomes axis `axis`. */
static tn_value *move_axis(tn_build *b, tn_value *x, int64_t axis, bool back) {
  int64_t perm[TN_MAX_NDIM];
  if (x == NULL || axis == 0) return x;
  for (int64_t i = 0; i < (int64_t)x->type->ndim; i++)
    perm[i] = back ? (i == axis ? 0 : i < axis ? i + 1 : i) : (i == 0 ? axis : i <= axis ? i - 1 : i);
  return tn_build_transpose(b, x, perm);
}

/* A sequence over T along `axis` as [T / d, d, ..]: as lowering brings sequences to the front, so that what reads or
 * sums them finds them where they would lie. */
static tn_value *split(tn_build *b, tn_value *x, int64_t axis, int64_t d) {
  const tn_dim *dims[TN_MAX_NDIM];
  if ((x = move_axis(b, x, axis, false)) == NULL) return NULL;
  dims[0] = tn_dim_const(b->ctx, x->type->dims[0]->lo / d);
  dims[1] = tn_dim_const(b->ctx, d);
  for (uint32_t i = 1; i < x->type->ndim; i++) dims[i + 1] = x->type->dims[i];
  return tn_build_reshape(b, x, dims, x->type->ndim + 1);
}

/* What split made, as it was. */
static tn_value *join(tn_build *b, tn_value *x, int64_t axis, int64_t d) {
  const tn_dim *dims[TN_MAX_NDIM];
  dims[0] = tn_dim_mul_i(b->ctx, x->type->dims[0], d);
  for (uint32_t i = 2; i < x->type->ndim; i++) dims[i - 1] = x->type->dims[i];
  return move_axis(b, tn_build_reshape(b, x, dims, x->type->ndim - 1), axis, true);
}

/* A scan like `from` over operands, along the first axis of each; its region is still to be made. */
static tn_node *begin_like(tn_build *b, const tn_node *from, tn_value *const *operands, const int64_t *reverse) {
  uint32_t n_carried = (uint32_t)from->attrs[TN_SCAN_N_CARRIED].u.i, n_seq = (uint32_t)from->attrs[TN_SCAN_N_SEQ].u.i;
  tn_build_scan scan = {.carried = operands, .sequences = operands + n_carried, .fixed = operands + n_carried + n_seq,
                        .n_carried = n_carried, .n_sequences = n_seq, .n_fixed = from->n_operands - n_carried - n_seq,
                        .n_stacked = from->n_results - n_carried, .reverse = reverse};
  return tn_build_begin_scan(b, &scan);
}

static bool split_scan(tn_node *node, int64_t d) {
  tn_build b = tn_build_before(node);
  tn_arena *arena = node->block->func->module->arena;
  uint32_t n_carried = (uint32_t)node->attrs[TN_SCAN_N_CARRIED].u.i, n_seq = (uint32_t)node->attrs[TN_SCAN_N_SEQ].u.i;
  const tn_attr *axes = &node->attrs[TN_SCAN_AXIS];
  int64_t *reverse = TN_NEW_N(arena, int64_t, n_seq + node->n_results);
  for (uint32_t i = 0; i < n_seq + node->n_results - n_carried; i++)
    reverse[i] = tn_scan_entry(&node->attrs[TN_SCAN_REVERSE], i);
  tn_value **operands = TN_NEW_N(arena, tn_value *, node->n_operands);
  tn_value **yields = TN_NEW_N(arena, tn_value *, node->n_results);
  for (uint32_t i = 0; i < node->n_operands; i++) {
    operands[i] = node->operands[i].value;
    if (i >= n_carried && i < n_carried + n_seq)
      operands[i] = split(&b, operands[i], tn_scan_entry(axes, i - n_carried), d);
  }
  tn_node *outer = begin_like(&b, node, operands, reverse);
  if (outer == NULL) return false;
  tn_build in = tn_build_region(outer, 0);
  tn_node *inner = begin_like(&in, node, outer->regions[0]->params.data, reverse);
  if (inner == NULL) return false;
  tn_build body = tn_build_region(inner, 0);
  if (!tn_build_clone(&body, node->regions[0], inner->regions[0]->params.data, yields)) return false;
  tn_build_return(&body, yields, node->n_results);
  if (!tn_build_end(inner)) return false;
  tn_build_return(&in, inner->results, node->n_results);
  if (!tn_build_end(outer)) return false;
  for (uint32_t i = 0; i < node->n_results; i++) {
    tn_value *made = outer->results[i];
    if (i >= n_carried) made = join(&b, made, tn_scan_entry(axes, n_seq + i - n_carried), d);
    if (made == NULL) return false;
    tn_value_replace(node->results[i], made);
  }
  tn_node_remove(node);
  return true;
}

bool tn_train_keep_every(tn_func *func, int64_t n, uint32_t *out_n) {
  bool ok = true;
  *out_n = 0;
  for (tn_node *node = func->body->first, *next; node != NULL && ok; node = next) {
    next = node->next;
    int64_t iterations = node->op == &tn_op_scan ? iterations_of(node) : 0;
    *out_n += iterations > 0;
    int64_t d = iterations > 0 ? divisor_of(iterations, n) : 0;
    if (d <= 1 || d == iterations) continue;
    tn_loc_push(func->module->ctx, node->loc);
    ok = split_scan(node, d);
    tn_loc_pop(func->module->ctx);
  }
  return ok;
}
