/* See vector.h. */
#include "runtime/train/vector.h"

void tnrt_vector_add(float *restrict to, const float *restrict from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}

void tnrt_vector_scale(float *to, float by, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] *= by;
}

void tnrt_vector_add_scaled(float *restrict to, const float *restrict from, float by, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] += by * from[i];
}
