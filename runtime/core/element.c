/* Values of elements of every type as doubles. Formats: IEEE 754, OCP 8-bit floating point, OCP microscaling (E8M0,
 * E2M1). Apart from dtype.c, so that libraries, which print no values, do not need libm. */
#include <math.h>
#include <string.h>

#include "runtime/core/dtype.h"

/* A small float of exponent and mantissa bits. special: 0 = IEEE infinities and NaN, 1 = only all ones is NaN,
 * 2 = only minus zero is NaN (UZ), 3 = neither. */
static double small_float(uint32_t bits, int e_bits, int m_bits, int bias, int special) {
  uint32_t mantissa = bits & ((1u << m_bits) - 1), top = (1u << e_bits) - 1;
  uint32_t exponent = bits >> m_bits & top, sign = bits >> (e_bits + m_bits) & 1;
  double value;
  if (special == 0 && exponent == top)
    value = mantissa ? NAN : INFINITY;
  else if (special == 1 && exponent == top && mantissa == (1u << m_bits) - 1)
    value = NAN;
  else if (special == 2 && sign && !exponent && !mantissa)
    value = NAN;
  else if (exponent)
    value = ldexp(1.0 + ldexp(mantissa, -m_bits), (int)exponent - bias);
  else
    value = ldexp(mantissa, 1 - bias - m_bits);
  return sign ? -value : value;
}

static double float_element(uint32_t dtype, const uint8_t *p) {
  uint16_t half;
  uint32_t word;
  float f;
  double d;
  memcpy(&half, p, dtype == TNRT_F16 || dtype == TNRT_BF16 ? 2 : 1);
  switch (dtype) {
    case TNRT_F64:
      memcpy(&d, p, 8);
      return d;
    case TNRT_F32:
      memcpy(&f, p, 4);
      return (double)f;
    case TNRT_F16:
      return small_float(half, 5, 10, 15, 0);
    case TNRT_BF16:
      word = (uint32_t)half << 16;
      memcpy(&f, &word, 4);
      return (double)f;
    case TNRT_F8E4M3:
      return small_float(*p, 4, 3, 7, 1);
    case TNRT_F8E5M2:
      return small_float(*p, 5, 2, 15, 0);
    case TNRT_F8E4M3UZ:
      return small_float(*p, 4, 3, 8, 2);
    case TNRT_F8E5M2UZ:
      return small_float(*p, 5, 2, 16, 2);
    case TNRT_F8E8M0:
      return *p == 255 ? (double)NAN : ldexp(1.0, (int)*p - 127);
    case TNRT_F4E2M1:
      return small_float(*p & 15u, 2, 1, 1, 3);
    default:
      return 0;
  }
}

double tnrt_element(uint32_t dtype, const void *data, int64_t index) {
  const tnrt_dtype_info *info = tnrt_dtype_find(dtype);
  if (!info) return 0;
  const uint8_t *p = (const uint8_t *)data + index * info->bytes;
  if (dtype <= TNRT_F4E2M1) return float_element(dtype, p);
  uint64_t bits = 0;
  memcpy(&bits, p, info->bytes); /* little-endian, as every target of the compiler */
  if (info->npy_kind != 'i') return (double)bits;
  int shift = 64 - 8 * info->bytes;
  return (double)((int64_t)(bits << shift) >> shift);
}
