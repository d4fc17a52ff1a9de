/* What this machine can do at best (Williams, Waterman, Patterson 2009): a loop of fused multiply-adds in registers,
 * and copies within caches and within memory, 20 ms each. Written for each width of vectors that generated code may
 * use. */
#include "runtime/core/roofline.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  CACHED_BYTES = 1 << 18,
  MEMORY_BYTES = 1 << 25,
  SHORTEST_NS = 1000000,
  ROUNDS = 20
}; /* the best of many short ones: neighbours disturb */

static int64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- arithmetic: n rounds of ten independent chains, as many as hide the latency of two units ---- */

#define CHAINS 10
/* One round; FMA(x) is x times almost 1 and a little more. The names are the caller's; all start from different values,
 * else compilers would make fewer chains of them. */
#define TEN(FMA) \
  a = FMA(a), b = FMA(b), c = FMA(c), d = FMA(d), e = FMA(e), f = FMA(f), g = FMA(g), h = FMA(h), i = FMA(i), j = FMA(j)

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static float spin_512(int64_t n) {
  __m512 m = _mm512_set1_ps(0.9999f), k = _mm512_set1_ps(0.0001f);
  __m512 a = k, b = a + k, c = b + k, d = c + k, e = d + k, f = e + k, g = f + k, h = g + k, i = h + k, j = i + k;
#define FMA_512(x) _mm512_fmadd_ps(x, m, k)
  while (n-- > 0) TEN(FMA_512);
  return _mm512_cvtss_f32(a + b + c + d + e + f + g + h + i + j);
}

__attribute__((target("avx2,fma"))) static float spin_256(int64_t n) {
  __m256 m = _mm256_set1_ps(0.9999f), k = _mm256_set1_ps(0.0001f);
  __m256 a = k, b = a + k, c = b + k, d = c + k, e = d + k, f = e + k, g = f + k, h = g + k, i = h + k, j = i + k;
#define FMA_256(x) _mm256_fmadd_ps(x, m, k)
  while (n-- > 0) TEN(FMA_256);
  return _mm256_cvtss_f32(a + b + c + d + e + f + g + h + i + j);
}

static float spin_128(int64_t n) {
  __m128 m = _mm_set1_ps(0.9999f), k = _mm_set1_ps(0.0001f);
  __m128 a = k, b = a + k, c = b + k, d = c + k, e = d + k, f = e + k, g = f + k, h = g + k, i = h + k, j = i + k;
#define FMA_128(x) _mm_add_ps(_mm_mul_ps(x, m), k)
  while (n-- > 0) TEN(FMA_128);
  return _mm_cvtss_f32(a + b + c + d + e + f + g + h + i + j);
}
#elif defined(__aarch64__)
#include <arm_neon.h>

static float spin_128(int64_t n) {
  float32x4_t m = vdupq_n_f32(0.9999f), k = vdupq_n_f32(0.0001f);
  float32x4_t a = k, b = a + k, c = b + k, d = c + k, e = d + k, f = e + k, g = f + k, h = g + k, i = h + k, j = i + k;
#define FMA_128(x) vfmaq_f32(k, x, m)
  while (n-- > 0) TEN(FMA_128);
  return vgetq_lane_f32(a + b + c + d + e + f + g + h + i + j, 0);
}
#endif

/* Operations a second of the widest vectors that the code needs. */
static double arithmetic(const char *needs) {
  float (*spin)(int64_t n) = spin_128;
  int64_t lanes = 4, n = 1 << 16;
  volatile float sink;
#if defined(__x86_64__)
  if (strstr(needs, "avx512f")) spin = spin_512, lanes = 16;
  else if (strstr(needs, "fma")) spin = spin_256, lanes = 8;
#else
  (void)needs;
#endif
  double best = 0;
  for (int round = 0; round < ROUNDS;) {
    int64_t start = clock_ns();
    sink = spin(n);
    int64_t ns = clock_ns() - start;
    if (ns < SHORTEST_NS) {
      n *= 2;
      continue;
    }
    double rate = 2.0 * CHAINS * (double)lanes * (double)n / ((double)ns * 1e-9);
    if (rate > best) best = rate;
    round++;
  }
  (void)sink;
  return best;
}

/* ---- memory ---- */

/* Bytes read and written a second by copies of `bytes`. */
static double copies(char *from, char *to, size_t bytes) {
  int64_t n = 1;
  double best = 0;
  for (int round = 0; round < ROUNDS;) {
    int64_t start = clock_ns();
    for (int64_t i = 0; i < n; i++) {
      memcpy(to, from, bytes);
      __asm__ volatile("" ::"r"(to) : "memory"); /* each copy is made */
    }
    int64_t ns = clock_ns() - start;
    if (ns < SHORTEST_NS) {
      n *= 2;
      continue;
    }
    double rate = 2.0 * (double)bytes * (double)n / ((double)ns * 1e-9);
    if (rate > best) best = rate;
    round++;
  }
  return best;
}

bool tnrt_roofline_measure(const tnrt_alloc *alloc, const char *needs, tnrt_roofline *out) {
  char *from = alloc->get(alloc->user, MEMORY_BYTES, 64), *to = alloc->get(alloc->user, MEMORY_BYTES, 64);
  if (from && to) {
    memset(from, 1, MEMORY_BYTES);
    memset(to, 1, MEMORY_BYTES);
    out->flops = arithmetic(needs ? needs : "");
    out->cache_bytes = copies(from, to, CACHED_BYTES);
    out->memory_bytes = copies(from, to, MEMORY_BYTES);
  }
  long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  out->cache_size = cache > 0 ? cache : 8 << 20;
  if (from) alloc->give(alloc->user, from);
  if (to) alloc->give(alloc->user, to);
  return from && to;
}

double tnrt_roofline_seconds(const tnrt_roofline *r, double n_threads, double flops, double bytes) {
  double compute = flops / (r->flops * n_threads);
  double move = bytes / (bytes <= (double)r->cache_size ? r->cache_bytes : r->memory_bytes);
  return compute > move ? compute : move;
}
