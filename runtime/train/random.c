/* Counter-based random numbers; see random.h. */
#include "runtime/train/random.h"

void tnrt_philox(uint64_t key, uint64_t high, uint64_t low, uint32_t out[4]) {
  uint32_t c[4] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)};
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p = UINT64_C(0xD2511F53) * c[0], q = UINT64_C(0xCD9E8D57) * c[2];
    uint32_t next[4] = {(uint32_t)(q >> 32) ^ c[1] ^ k0, (uint32_t)q, (uint32_t)(p >> 32) ^ c[3] ^ k1, (uint32_t)p};
    for (int i = 0; i < 4; i++) c[i] = next[i];
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < 4; i++) out[i] = c[i];
}

/* Evenly below n, from 64 random bits: the high half of the product (Lemire, 2019, without the correction, whose bias
 * is below 2^-32 for tables that fit memory). */
static int64_t below(uint64_t seed, uint64_t stream, uint64_t counter, int64_t n) {
  uint32_t bits[4];
  tnrt_philox(seed, stream, counter, bits);
  uint64_t word = (uint64_t)bits[1] << 32 | bits[0];
  return (int64_t)(((unsigned __int128)word * (uint64_t)n) >> 64);
}

void tnrt_shuffle(uint64_t seed, uint64_t stream, int64_t *order, int64_t n) {
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = below(seed, stream, (uint64_t)i, i + 1), kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}
