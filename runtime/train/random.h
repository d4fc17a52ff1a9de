/* Random numbers that are a pure function of where they are used: Philox4x32-10 (Salmon et al., Parallel random
 * numbers: as easy as 1, 2, 3, 2011) keyed by a seed and a stream. */
#ifndef TNRT_TRAIN_RANDOM_H
#define TNRT_TRAIN_RANDOM_H

#include <stdint.h>

/* 128 bits for a counter. */
void tnrt_philox(uint64_t key, uint64_t high, uint64_t low, uint32_t out[4]);

/* order[0 .. n-1] becomes a permutation of 0 .. n-1 (Fisher and Yates). */
void tnrt_shuffle(uint64_t seed, uint64_t stream, int64_t *order, int64_t n);

#endif
