/* A value seen as bytes of memory: a kept value under a chain of reshapes and transposes, with the storage that makes
 * the chain free. Used by layout (storages so far) and lower (buffers). */
#ifndef TN_PASSES_MEMORY_VIEW_H
#define TN_PASSES_MEMORY_VIEW_H

#include "backends/backend.h"
#include "passes/groups.h"

typedef struct tn_memory_view {
  const tn_value *base;      /* the kept value */
  const tn_type *type;       /* of the view: of the whole buffer when the value is a part of it */
  const tn_storage *storage; /* of the view */
  bool is_part;              /* the value starts at `shift` inside the buffer */
  const tn_dim *shift[TN_MAX_NDIM];
} tn_memory_view;

/* What is known of a kept value; fills type, storage, is_part and shift. False when it has no place. */
typedef bool (*tn_memory_base)(void *user, const tn_value *value, tn_memory_view *out);

/* False when value is not kept or some view on the way cannot be a storage. */
bool tn_memory_view_find(tn_module *module, const tn_groups *groups, const tn_value *value, tn_memory_base base,
                         void *user, tn_memory_view *out);

/* The storage that `storage` of from's result has at `to`, following reshapes and transposes between them (each used
 * by the next), or NULL. */
const tn_storage *tn_storage_follow(tn_module *module, const tn_value *from, const tn_storage *storage,
                                    const tn_value *to);
/* The same for an index: coordinates at `to` of the element at index of from, through views and elementwise nodes.
 * False when the way holds something else. */
bool tn_index_follow(tn_ctx *ctx, const tn_value *from, const tn_dim *const *index, const tn_value *to,
                     const tn_dim **out);

/* Whether a convolution's result has channels so few, and rows so long, that the lanes of its kernel run over a row: it
 * lies row-major then. Never where no target is given. */
bool tn_fills_rows(const tn_target *target, const tn_type *type);

/* Whether products read value, as it is or transposed (a fence's copy also reshaped: passes/orient.c splits its rows),
 * and all else reads it element by element: then its rows need not follow each other in memory. */
bool tn_value_feeds_products(const tn_value *value);

#endif
