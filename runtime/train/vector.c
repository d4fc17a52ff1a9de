/* See vector.h. */
#include "runtime/train/vector.h"

void tnrt_vector_add(float *restrict to, const float *restrict from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}

void tnrt_vector_scale(float *to, float by, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] *= by;
}

double tnrt_vector_squares(const float *of, size_t n) {
  enum { LANES = 8 }; /* sums side by side: one alone would wait for each of its additions */
  double sums[LANES] = {0}, all = 0;
  for (size_t i = 0; i + LANES <= n; i += LANES)
    for (size_t k = 0; k < LANES; k++) sums[k] += (double)of[i + k] * (double)of[i + k];
  for (size_t i = n / LANES * LANES; i < n; i++) sums[0] += (double)of[i] * (double)of[i];
  for (size_t k = 0; k < LANES; k++) all += sums[k];
  return all;
}

void tnrt_vector_add_scaled(float *restrict to, const float *restrict from, float by, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] += by * from[i];
}
