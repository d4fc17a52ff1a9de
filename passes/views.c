/* Index arithmetic of views; see views.h. */
#include "passes/views.h"

#include <string.h>

/* Extends the side whose product so far divides the other's; false when neither is known to. */
static bool extend(tn_ctx *ctx, const tn_type *type, uint32_t *hi, const tn_dim **product) {
  if (*hi >= type->ndim) return false;
  *product = tn_dim_mul(ctx, *product, type->dims[(*hi)++]);
  return true;
}

static bool is_smaller(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  const tn_dim *quotient;
  if (tn_dim_is_const(p) && tn_dim_is_const(q)) return tn_dim_value(p) < tn_dim_value(q);
  return tn_dim_divide_exact(ctx, q, p, &quotient);
}

/* Grows one segment from (from_lo, to_lo) until both products agree; false when that cannot be proved. */
static bool grow_segment(tn_ctx *ctx, const tn_type *from, const tn_type *to, tn_segment *segment) {
  const tn_dim *one = tn_dim_const(ctx, 1), *p = one, *q = one;
  segment->from_hi = segment->from_lo;
  segment->to_hi = segment->to_lo;
  if (!extend(ctx, from, &segment->from_hi, &p)) return extend(ctx, to, &segment->to_hi, &q) && q == one;
  if (p == one) return true;
  if (!extend(ctx, to, &segment->to_hi, &q)) return false;
  if (q == one) { /* an axis of extent 1 on this side alone */
    segment->from_hi = segment->from_lo;
    return true;
  }
  while (p != q) {
    bool grown = is_smaller(ctx, p, q)   ? extend(ctx, from, &segment->from_hi, &p)
                 : is_smaller(ctx, q, p) ? extend(ctx, to, &segment->to_hi, &q)
                                         : false;
    if (!grown) return false;
  }
  return true;
}

uint32_t tn_reshape_segments(tn_ctx *ctx, const tn_type *from, const tn_type *to, tn_segment *out) {
  uint32_t n = 0, i = 0, j = 0;
  while (i < from->ndim || j < to->ndim) {
    tn_segment segment = {i, i, j, j};
    if (!grow_segment(ctx, from, to, &segment)) segment = (tn_segment){i, from->ndim, j, to->ndim};
    out[n++] = segment;
    i = segment.from_hi;
    j = segment.to_hi;
  }
  return n;
}

static void segment_index(tn_ctx *ctx, const tn_type *from, const tn_type *to, const tn_segment *segment,
                          const tn_dim *const *index, const tn_dim **out) {
  const tn_dim *flat = tn_dim_const(ctx, 0);
  for (uint32_t i = segment->from_lo; i < segment->from_hi; i++)
    flat = tn_dim_add(ctx, tn_dim_mul(ctx, flat, from->dims[i]), index[i]);
  for (uint32_t j = segment->to_hi; j-- > segment->to_lo;) {
    if (j == segment->to_lo) {
      out[j] = flat;
    } else if (tn_dim_is(to->dims[j], 1)) {
      out[j] = tn_dim_const(ctx, 0);
    } else {
      out[j] = tn_dim_mod(ctx, flat, to->dims[j]);
      flat = tn_dim_floordiv(ctx, flat, to->dims[j]);
    }
  }
}

void tn_reshape_index(tn_ctx *ctx, const tn_type *from, const tn_type *to, const tn_dim *const *index,
                      const tn_dim **out) {
  tn_segment segments[2 * TN_MAX_NDIM];
  uint32_t n = tn_reshape_segments(ctx, from, to, segments);
  for (uint32_t k = 0; k < n; k++) segment_index(ctx, from, to, &segments[k], index, out);
}

/* Position in memory order of each logical axis. */
static void invert_order(const tn_storage *storage, uint8_t *position) {
  for (uint32_t k = 0; k < storage->ndim; k++) position[storage->order[k]] = (uint8_t)k;
}

/* The axes of a segment that are longer than 1 stand next to each other in memory, in order; *out_first is where. */
static bool segment_is_contiguous(const tn_type *from, const uint8_t *position, const tn_segment *segment,
                                  uint8_t *out_first) {
  bool any = false;
  uint8_t last = 0;
  for (uint32_t i = segment->from_lo; i < segment->from_hi; i++) {
    if (tn_dim_is(from->dims[i], 1)) continue;
    if (any && position[i] != last + 1) return false;
    if (!any) *out_first = position[i];
    last = position[i];
    any = true;
  }
  if (!any) *out_first = 0;
  return true;
}

/* Memory positions without the axes of extent 1, so that these never stand between others. */
static void compact_positions(const tn_type *from, const tn_storage *storage, uint8_t *position) {
  uint8_t next = 0;
  invert_order(storage, position);
  for (uint32_t k = 0; k < storage->ndim; k++)
    if (!tn_dim_is(from->dims[storage->order[k]], 1)) position[storage->order[k]] = next++;
}

const tn_storage *tn_storage_reshape(tn_module *module, const tn_type *from, const tn_storage *storage,
                                     const tn_type *to) {
  if (storage->align_elements != 1 || storage->pad_elements != 0 || storage->format) return NULL;
  uint8_t position[TN_MAX_NDIM], first[2 * TN_MAX_NDIM];
  tn_segment segments[2 * TN_MAX_NDIM];
  compact_positions(from, storage, position);
  uint32_t n = tn_reshape_segments(module->ctx, from, to, segments);
  for (uint32_t k = 0; k < n; k++)
    if (!segment_is_contiguous(from, position, &segments[k], &first[k])) return NULL;
  tn_storage result = {.ndim = to->ndim, .align_elements = 1};
  uint32_t n_placed = 0;
  /* Segments in the order of their first axis in memory; equal positions (all ones) keep logical order. */
  bool done[2 * TN_MAX_NDIM] = {false};
  for (uint32_t round = 0; round < n; round++) {
    uint32_t best = n;
    for (uint32_t k = 0; k < n; k++)
      if (!done[k] && (best == n || first[k] < first[best])) best = k;
    done[best] = true;
    for (uint32_t j = segments[best].to_lo; j < segments[best].to_hi; j++) result.order[n_placed++] = (uint8_t)j;
  }
  TN_ASSERT(n_placed == to->ndim);
  return tn_storage_intern(module, &result);
}

const tn_storage *tn_storage_transpose(tn_module *module, const tn_storage *storage, const int64_t *perm) {
  tn_storage result = *storage;
  for (uint32_t k = 0; k < storage->ndim; k++)
    for (uint32_t i = 0; i < storage->ndim; i++)
      if ((uint8_t)perm[i] == storage->order[k]) result.order[k] = (uint8_t)i;
  return tn_storage_intern(module, &result);
}
