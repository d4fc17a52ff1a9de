/* Enough of CUDA to run tenon's CUDA C on a CPU, for tests: one block after the other, each thread a fiber, barriers
 * and shuffles where fibers meet, shared memory that every block finds poisoned. Threads run in an order drawn from
 * a seed, up to the next barrier or shuffle, so that what one needs of another without waiting for it goes wrong. */
#ifndef TN_CUDA_SHIM_H
#define TN_CUDA_SHIM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TN_KERNEL void
#define TN_DEVICE static inline __attribute__((unused))
#define TN_UNROLL
#define __launch_bounds__(n)
#define __shared__ static __attribute__((section("shim_shared")))

typedef struct shim_place {
  unsigned int x, y, z;
} shim_place;
extern shim_place threadIdx, blockIdx;

#define __syncthreads() shim_barrier(__LINE__)
#define __shfl_xor_sync(mask, value, distance)                                      \
  ({                                                                                \
    __typeof__(value) shim_value = (value);                                         \
    shim_exchange(__LINE__, (mask), &shim_value, sizeof(shim_value), (distance));   \
    shim_value;                                                                     \
  })

void shim_barrier(int line);
/* value becomes that of the thread of the warp whose place differs by distance. */
void shim_exchange(int line, unsigned int mask, void *value, size_t bytes, int distance);

/* Runs blocks 0 .. grid - 1 of block threads, each calling kernel(p, s, status). NULL, or what went wrong: threads that
 * wait for each other at different places. The text lives until the next call. */
typedef void (*shim_kernel)(void *const *p, const long long *s, int *status);
const char *shim_run(shim_kernel kernel, void *const *p, const long long *s, int *status, long long grid, int block,
                     uint64_t seed);

/* What the device has instructions for. */
static inline float tn_f32_of(unsigned int bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}
static inline unsigned int tn_bits_of(float x) {
  unsigned int bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}
static inline double tn_f64_of(unsigned long long bits) {
  double x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}
static inline int tn_popcount(unsigned long long x) { return __builtin_popcountll(x); }

static inline float tn_from_f16(unsigned short x) {
  int exponent = x >> 10 & 31, fraction = x & 1023;
  float size = exponent == 31 ? (fraction ? NAN : INFINITY)
               : exponent == 0 ? ldexpf((float)fraction, -24) : ldexpf((float)(fraction + 1024), exponent - 25);
  return x >> 15 ? -size : size;
}
/* To the nearest, ties to even: the unit of the result's last place is a power of two, by which scaling is exact. */
static inline unsigned short tn_to_f16(float x) {
  unsigned int sign = tn_bits_of(x) >> 16 & 0x8000;
  float size = fabsf(x);
  if (size != size) return (unsigned short)(sign | 0x7e00);
  if (size >= 65520.0f) return (unsigned short)(sign | 0x7c00);
  int exponent = size < 0x1p-14f ? -14 : ilogbf(size);
  unsigned int units = (unsigned int)rintf(ldexpf(size, 10 - exponent)); /* a carry moves into the exponent */
  return (unsigned short)(sign | (((unsigned int)(exponent + 14) << 10) + units));
}
static inline unsigned short tn_to_bf16(float x) {
  unsigned int bits = tn_bits_of(x);
  if (x != x) return (unsigned short)(bits >> 16 | 0x40);
  return (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
