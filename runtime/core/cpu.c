/* Does this processor, and the operating system on it, offer what the code was compiled for? Asked once at creation, so
 * that a program moved to an older machine says so instead of dying of an illegal instruction.
 * Source: Intel SDM volume 2, CPUID; volume 1, 13.3 (XCR0). */
#include "runtime/core/cpu.h"

/* No function of the C library is called here: libraries for use without one contain this. */
static bool is(const char *known, const char *name, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (!known[i] || known[i] != name[i]) return false;
  return !known[length];
}

#if defined(__x86_64__)
#include <cpuid.h>

enum { EBX, ECX, EDX, EAX };                     /* registers of one answer */
enum { XCR_NONE, XCR_AVX, XCR_AVX512, XCR_AMX }; /* state that the system must save */

typedef struct feature {
  char name[16]; /* LLVM's */
  uint32_t leaf, subleaf;
  uint8_t reg, bit, xcr;
} feature;

static const feature features[] = {
    {"sse2", 1, 0, EDX, 26, XCR_NONE},
    {"sse3", 1, 0, ECX, 0, XCR_NONE},
    {"pclmul", 1, 0, ECX, 1, XCR_NONE},
    {"ssse3", 1, 0, ECX, 9, XCR_NONE},
    {"fma", 1, 0, ECX, 12, XCR_AVX},
    {"cx16", 1, 0, ECX, 13, XCR_NONE},
    {"sse4.1", 1, 0, ECX, 19, XCR_NONE},
    {"sse4.2", 1, 0, ECX, 20, XCR_NONE},
    {"movbe", 1, 0, ECX, 22, XCR_NONE},
    {"popcnt", 1, 0, ECX, 23, XCR_NONE},
    {"aes", 1, 0, ECX, 25, XCR_NONE},
    {"avx", 1, 0, ECX, 28, XCR_AVX},
    {"f16c", 1, 0, ECX, 29, XCR_AVX},
    {"bmi", 7, 0, EBX, 3, XCR_NONE},
    {"avx2", 7, 0, EBX, 5, XCR_AVX},
    {"bmi2", 7, 0, EBX, 8, XCR_NONE},
    {"avx512f", 7, 0, EBX, 16, XCR_AVX512},
    {"avx512dq", 7, 0, EBX, 17, XCR_AVX512},
    {"adx", 7, 0, EBX, 19, XCR_NONE},
    {"avx512ifma", 7, 0, EBX, 21, XCR_AVX512},
    {"avx512cd", 7, 0, EBX, 28, XCR_AVX512},
    {"avx512bw", 7, 0, EBX, 30, XCR_AVX512},
    {"avx512vl", 7, 0, EBX, 31, XCR_AVX512},
    {"avx512vbmi", 7, 0, ECX, 1, XCR_AVX512},
    {"avx512vbmi2", 7, 0, ECX, 6, XCR_AVX512},
    {"gfni", 7, 0, ECX, 8, XCR_NONE},
    {"vaes", 7, 0, ECX, 9, XCR_AVX},
    {"vpclmulqdq", 7, 0, ECX, 10, XCR_AVX},
    {"avx512vnni", 7, 0, ECX, 11, XCR_AVX512},
    {"avx512bitalg", 7, 0, ECX, 12, XCR_AVX512},
    {"avx512vpopcntdq", 7, 0, ECX, 14, XCR_AVX512},
    {"avx512fp16", 7, 0, EDX, 23, XCR_AVX512},
    {"amx-bf16", 7, 0, EDX, 22, XCR_AMX},
    {"amx-tile", 7, 0, EDX, 24, XCR_AMX},
    {"amx-int8", 7, 0, EDX, 25, XCR_AMX},
    {"avxvnni", 7, 1, EAX, 4, XCR_AVX},
    {"avx512bf16", 7, 1, EAX, 5, XCR_AVX512},
    {"lzcnt", 0x80000001, 0, ECX, 5, XCR_NONE},
};

static uint64_t enabled_state(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0; /* no OSXSAVE */
  uint32_t lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (uint64_t)hi << 32 | lo;
}

static bool has(const feature *f, uint64_t state) {
  static const uint64_t masks[] = {0, 0x6, 0xe6, 0x60006};
  uint32_t r[4] = {0, 0, 0, 0};
  if (!__get_cpuid_count(f->leaf, f->subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX])) return false;
  return (r[f->reg] >> f->bit & 1) && (state & masks[f->xcr]) == masks[f->xcr];
}

static bool offered(const char *name, size_t length) {
  for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
    if (is(features[i].name, name, length))
      return has(&features[i], enabled_state());
  return false;
}
#else
/* Other architectures: the baseline of the platform is all the compiler asks for. */
static bool offered(const char *name, size_t length) { return is("neon", name, length); }
#endif

bool tnrt_cpu_offers(const char *needs, const char **out_missing, size_t *out_missing_bytes) {
  for (const char *at = needs ? needs : ""; *at;) {
    size_t length = 0;
    while (at[length] && at[length] != ',') length++;
    if (length && !offered(at, length)) {
      *out_missing = at;
      *out_missing_bytes = length;
      return false;
    }
    at += length + (at[length] == ',');
  }
  return true;
}
