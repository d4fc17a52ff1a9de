/* A growable array in an arena: TN_VEC(T) is a struct type {T *data; size_t n, capacity;}, zero = empty. */
#ifndef TN_IR_SUPPORT_VEC_H
#define TN_IR_SUPPORT_VEC_H

#include "ir/support/arena.h"

#define TN_VEC(T)      \
  struct {             \
    T *data;           \
    size_t n;          \
    size_t capacity;   \
  }

/* Appends value; the array may move. */
#define TN_VEC_PUSH(arena, vec, value)                                                             \
  do {                                                                                             \
    if ((vec)->n == (vec)->capacity)                                                               \
      (vec)->data = tn_vec_grow((arena), (vec)->data, (vec)->n, &(vec)->capacity,                  \
                                sizeof(*(vec)->data));                                             \
    (vec)->data[(vec)->n++] = (value);                                                             \
  } while (0)

/* Returns a larger copy of data (n elements of element_bytes) and its new capacity. */
void *tn_vec_grow(tn_arena *arena, const void *data, size_t n, size_t *capacity,
                  size_t element_bytes);

#endif
