/* Arithmetic on long rows of numbers: what is done to every gradient of every step. Compiled for speed. */
#ifndef TNRT_TRAIN_VECTOR_H
#define TNRT_TRAIN_VECTOR_H

#include <stddef.h>

void tnrt_vector_add(float *to, const float *from, size_t n);
void tnrt_vector_scale(float *to, float by, size_t n);
void tnrt_vector_add_scaled(float *to, const float *from, float by, size_t n);
double tnrt_vector_squares(const float *of, size_t n); /* their sum */

#endif
