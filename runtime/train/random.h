/* Random choices that are a pure function of where they are used: the order of samples by position, and uniform and
 * normal numbers by counter. */
#ifndef TNRT_TRAIN_RANDOM_H
#define TNRT_TRAIN_RANDOM_H

#include <stdint.h>

/* A permutation of 0 .. n-1. */
typedef struct tnrt_order {
  uint64_t keys[4];
  int64_t n;
  uint32_t low_bits, high_bits;
} tnrt_order;

/* What a stream of random numbers is for; with an epoch, say, in the low bits. */
enum { TNRT_STREAM_SPLIT, TNRT_STREAM_EPOCH, TNRT_STREAM_AUGMENT, TNRT_STREAM_FIT, TNRT_STREAM_SAMPLE };

tnrt_order tnrt_order_start(uint64_t seed, uint32_t stream, uint64_t number, int64_t n);
/* The element at position i, 0 <= i < n. */
int64_t tnrt_order_at(const tnrt_order *order, int64_t i);
/* Those of first .. first + n - 1, faster than one by one. */
void tnrt_order_span(const tnrt_order *order, int64_t first, int64_t n, int64_t *out);

/* 64 even random bits of (seed, stream, number, counter). */
uint64_t tnrt_random_bits(uint64_t seed, uint32_t stream, uint64_t number, uint64_t counter);
/* The same in (0, 1), and as a standard normal number. */
double tnrt_random_even(uint64_t bits);
double tnrt_random_normal(uint64_t bits);

#endif
