/* Characters; see unicode.h. */
#include "runtime/train/unicode.h"

#include <stddef.h>

enum { B = TNRT_CHAR_BLANK, L = TNRT_CHAR_LETTER, N = TNRT_CHAR_NUMBER, P = TNRT_CHAR_PUNCTUATION, M = TNRT_CHAR_MARK,
       C = TNRT_CHAR_CONTROL };

int tnrt_char_read(const char *text, uint32_t *out_code) {
  const uint8_t *at = (const uint8_t *)text;
  uint32_t code = at[0];
  int n = code < 0x80                   ? 1
          : code >= 0xc2 && code < 0xe0 ? 2
          : (code & 0xf0) == 0xe0       ? 3
          : code >= 0xf0 && code < 0xf5 ? 4
                                        : 0;
  if (n > 1) code &= 0x7fu >> n;
  for (int i = 1; i < n; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (at[i] & 0x3f);
  }
  if ((n == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
      (n == 4 && (code < 0x10000 || code > 0x10ffff)))
    return 0;
  *out_code = code;
  return n;
}

int tnrt_char_write(uint32_t code, char *out) {
  int n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (int i = n - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
  out[0] = (char)(leads[n] | code);
  return n;
}

/* ---- kinds ---- */

typedef struct range {
  uint32_t first, last; /* the kind stands in the upper bits of last */
} range;

enum { KIND_AT = 24 };
static const range ranges[] = {
#define K(first, last, kind) {first, last | (uint32_t)kind << KIND_AT},
#define A(accented, base)
#define S(first, last, step, added)
#include "runtime/train/unicode.inc"
#undef K
#undef A
#undef S
};

/* Capitals: every step-th from first to last. */
static const struct {
  uint32_t first, last;
  int32_t step, added;
} capitals[] = {
#define K(first, last, kind)
#define A(accented, base)
#define S(first, last, step, added) {first, last, step, added},
#include "runtime/train/unicode.inc"
#undef K
#undef A
#undef S
};

static const uint16_t bases[][2] = {
#define K(first, last, kind)
#define A(accented, base) {accented, base},
#define S(first, last, step, added)
#include "runtime/train/unicode.inc"
#undef K
#undef A
#undef S
};

static tnrt_char_kind ascii_kind(uint32_t c) {
  if (c == ' ' || (c >= '\t' && c <= '\r')) return TNRT_CHAR_BLANK;
  if (c >= '0' && c <= '9') return TNRT_CHAR_NUMBER;
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return TNRT_CHAR_LETTER;
  return c < ' ' || c == 0x7f ? TNRT_CHAR_CONTROL : TNRT_CHAR_PUNCTUATION;
}

tnrt_char_kind tnrt_char_kind_of(uint32_t code) {
  size_t low = 0, high = sizeof ranges / sizeof ranges[0];
  if (code < 0x80) return ascii_kind(code);
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (ranges[middle].first <= code) low = middle;
    else high = middle;
  }
  uint32_t last = ranges[low].last & ((UINT32_C(1) << KIND_AT) - 1);
  return code >= ranges[low].first && code <= last ? (tnrt_char_kind)(ranges[low].last >> KIND_AT) : TNRT_CHAR_OTHER;
}

uint32_t tnrt_char_small(uint32_t code) {
  size_t low = 0, high = sizeof capitals / sizeof capitals[0];
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (capitals[middle].first <= code) low = middle;
    else high = middle;
  }
  bool is_one = code >= capitals[low].first && code <= capitals[low].last &&
                (code - capitals[low].first) % (uint32_t)capitals[low].step == 0;
  return is_one ? (uint32_t)((int32_t)code + capitals[low].added) : code;
}

uint32_t tnrt_char_base(uint32_t code) {
  size_t low = 0, high = sizeof bases / sizeof bases[0];
  if (code < bases[0][0] || code > 0xffff) return code;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (bases[middle][0] <= code) low = middle;
    else high = middle;
  }
  return bases[low][0] == code ? bases[low][1] : code;
}

bool tnrt_char_is_ideograph(uint32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
         (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}
