/* Growth of arena arrays; see vec.h. */
#include "ir/support/vec.h"

#include <string.h>

void *tn_vec_grow(tn_arena *arena, const void *data, size_t n, size_t *capacity, size_t element_bytes) {
  size_t grown = *capacity ? *capacity * 2 : 8;
  void *copy = tn_arena_alloc_n(arena, grown, element_bytes);
  if (n) memcpy(copy, data, n * element_bytes);
  *capacity = grown;
  return copy;
}
