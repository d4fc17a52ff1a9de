/* Index arithmetic of views: how the coordinates of a reshaped or transposed tensor relate to those below it, and when
 * a view is the same bytes read with another storage. Used by lower and layout. */
#ifndef TN_PASSES_VIEWS_H
#define TN_PASSES_VIEWS_H

#include "ir/graph.h"

/* A run of axes from[from_lo..from_hi) and to[to_lo..to_hi) with equal products: what a reshape splits or merges. */
typedef struct tn_segment {
  uint32_t from_lo, from_hi, to_lo, to_hi;
} tn_segment;

/* Cuts a reshape from one dims list to another into the smallest segments that can be proved; at most
 * 2 * TN_MAX_NDIM of them. Axes of extent 1 may stand in segments whose other side is empty. */
uint32_t tn_reshape_segments(tn_ctx *ctx, const tn_type *from, const tn_type *to, tn_segment *out);

/* The coordinates in `to` of the element at index in `from` (a reshape, row-major order of elements). */
void tn_reshape_index(tn_ctx *ctx, const tn_type *from, const tn_type *to, const tn_dim *const *index,
                      const tn_dim **out);

/* The storage with which type `to` reads the bytes of a tensor (from, storage), or NULL when no strides do. */
const tn_storage *tn_storage_reshape(tn_module *module, const tn_type *from, const tn_storage *storage,
                                     const tn_type *to);
/* Axis i of the result is axis perm[i] of the tensor. */
const tn_storage *tn_storage_transpose(tn_module *module, const tn_storage *storage, const int64_t *perm);

#endif
