/* Random choices; see random.h. An order is a Feistel network of eight rounds over the smallest range of a power of two
 * that holds n; what it takes out of 0 .. n-1 is taken once more until it falls inside (Black and Rogaway, Ciphers with
 * arbitrary finite domains, 2002). So an order needs no memory and each process reads its own part of it. */
#include "runtime/train/random.h"

#include <string.h>

#include "runtime/initial.h"

enum { ROUNDS = 8, SIDE_BY_SIDE = 8 };

uint64_t tnrt_random_bits(uint64_t seed, uint32_t stream, uint64_t number, uint64_t counter) {
  uint32_t words[4];
  tnrt_initial_philox(tnrt_initial_mix(seed ^ tnrt_initial_mix(number ^ (uint64_t)(stream + 1) << 56)), counter, words);
  return (uint64_t)words[1] << 32 | words[0];
}

double tnrt_random_even(uint64_t bits) { return ((double)(bits >> 11) + 0.5) * 0x1p-53; }
double tnrt_random_normal(uint64_t bits) { return tnrt_initial_quantile(tnrt_random_even(bits)); }

tnrt_order tnrt_order_start(uint64_t seed, uint32_t stream, uint64_t number, int64_t n) {
  tnrt_order order = {.n = n};
  uint32_t bits = 2; /* each half has one at least */
  while (bits < 62 && (int64_t)1 << bits < n) bits++;
  order.low_bits = bits / 2;
  order.high_bits = bits - bits / 2;
  for (uint64_t i = 0; i < 4; i++) order.keys[i] = tnrt_random_bits(seed, stream, number, i);
  return order;
}

/* Of n numbers side by side, since each round waits for the one before. The halves change places in each round, so
 * their widths do too. */
static void permute(const tnrt_order *order, uint64_t *x, int n) {
  uint32_t low_bits = order->low_bits, high_bits = order->high_bits;
  for (uint64_t round = 0; round < ROUNDS; round++) {
    uint64_t key = order->keys[round % 4] ^ round << 48, mask = (UINT64_C(1) << low_bits) - 1;
    for (int i = 0; i < n; i++) {
      uint64_t low = x[i] & mask, mixed = tnrt_initial_mix(low ^ key);
      x[i] = low << high_bits | (x[i] >> low_bits ^ mixed >> (64 - high_bits));
    }
    uint32_t kept = low_bits;
    low_bits = high_bits;
    high_bits = kept;
  }
}

void tnrt_order_span(const tnrt_order *order, int64_t first, int64_t n, int64_t *out) {
  for (int64_t done = 0; done < n; done += SIDE_BY_SIDE, out += SIDE_BY_SIDE) {
    uint64_t x[SIDE_BY_SIDE];
    int place[SIDE_BY_SIDE], left = n - done < SIDE_BY_SIDE ? (int)(n - done) : SIDE_BY_SIDE;
    for (int i = 0; i < left; i++) {
      x[i] = (uint64_t)(first + done + i);
      place[i] = i;
    }
    while (left > 0) { /* those that fall outside again */
      int count = left;
      permute(order, x, count);
      left = 0;
      for (int i = 0; i < count; i++) {
        if (x[i] < (uint64_t)order->n) {
          out[place[i]] = (int64_t)x[i];
        } else {
          x[left] = x[i];
          place[left++] = place[i];
        }
      }
    }
  }
}

int64_t tnrt_order_at(const tnrt_order *order, int64_t i) {
  int64_t position;
  tnrt_order_span(order, i, 1, &position);
  return position;
}
