/* Element types as the runtime sees them: names, sizes, and how they travel in DLPack and .npy. */
#ifndef TNRT_CORE_DTYPE_H
#define TNRT_CORE_DTYPE_H

#include <stdbool.h>

#include "runtime/abi.h"

typedef struct tnrt_dtype_info {
  const char *name;
  uint8_t bytes;    /* in memory; 4- and 2-bit types take a byte an element */
  uint8_t bits;     /* of the values */
  uint8_t dl_code;  /* DLPack's type code; 4- and 2-bit types travel as 8-bit integers */
  char npy_kind;    /* 'f', 'i', 'u', 'b' as in a descr of .npy; 0: does not travel */
  bool bits_travel; /* the unsigned integer of .npy holds the bits of a type that numpy lacks */
} tnrt_dtype_info;

/* NULL when dtype is no element type. */
const tnrt_dtype_info *tnrt_dtype_find(uint32_t dtype);
const char *tnrt_dtype_name(uint32_t dtype); /* "f32"; "?" when unknown */

/* Product of extents times the element's bytes; -1 when an extent is negative or the product leaves 63 bits. */
int64_t tnrt_bytes_of(uint32_t dtype, uint32_t ndim, const int64_t *extents);
int64_t tnrt_count_of(uint32_t ndim, const int64_t *extents);

/* The value of one element as a double (64-bit integers are rounded). */
double tnrt_element(uint32_t dtype, const void *data, int64_t index);

/* "[2,3]" into text, cut when it does not fit; returns text. */
const char *tnrt_shape_text(char *text, size_t text_bytes, uint32_t ndim, const int64_t *extents);

#endif
