/* Numbers: rounding to every element type, conversions between them, and their stored form (ir/IR.md section 7).
 * The narrow float formats follow IEEE 754 (f16), the OCP 8-bit and microscaling specifications (f8*, f4, f8e8m0) and
 * the "finite, no negative zero" variants of ONNX (f8*uz). All are described by one table and rounded by one function.
 */
#include <math.h>
#include <string.h>

#include "ir/eval.h"

/* A float format below 32 bits. */
typedef struct format {
  int mantissa_bits;
  int exponent_bits;
  int bias;
  double max;          /* largest finite value */
  bool has_infinity;   /* else overflow gives NaN (or saturates) */
  bool negative_zero;  /* false: the pattern of -0 is the NaN */
  bool saturates;      /* by default */
} format;

static format format_of(tn_dtype dtype) {
  switch (dtype) {
    case TN_F16: return (format){10, 5, 15, 65504.0, true, true, false};
    case TN_BF16: return (format){7, 8, 127, 0x1.fep127, true, true, false};
    case TN_F8E4M3: return (format){3, 4, 7, 448.0, false, true, true};
    case TN_F8E5M2: return (format){2, 5, 15, 57344.0, true, true, true};
    case TN_F8E4M3UZ: return (format){3, 4, 8, 240.0, false, false, true};
    case TN_F8E5M2UZ: return (format){2, 5, 16, 57344.0, false, false, true};
    case TN_F4E2M1: return (format){1, 2, 1, 6.0, false, true, true};
    default: TN_ASSERT(false); return (format){0};
  }
}

/* f8e8m0 holds powers of two only, without sign or zero; the sign of v is dropped and 0 is the smallest power. */
static double round_e8m0(double v, bool saturate) {
  if (isnan(v)) return NAN;
  double magnitude = fabs(v);
  if (magnitude < 0x1p-127) return 0x1p-127;
  if (isinf(magnitude)) return saturate ? 0x1p127 : NAN;
  int exponent;
  double fraction = frexp(magnitude, &exponent); /* in [0.5, 1) */
  exponent -= 1;
  bool tie_up = fraction == 0.75 && (exponent & 1) == 0;
  if (fraction > 0.75 || tie_up) exponent += 1;
  if (exponent > 127) return saturate ? 0x1p127 : NAN;
  return ldexp(1.0, exponent);
}

static double overflow_of(const format *f, tn_dtype dtype, double v, bool saturate) {
  if (f->saturates && (saturate || dtype == TN_F4E2M1)) return copysign(f->max, v);
  return f->has_infinity ? copysign(INFINITY, v) : NAN;
}

static double round_narrow(tn_dtype dtype, double v, bool saturate) {
  const format f = format_of(dtype);
  if (isnan(v)) return dtype == TN_F4E2M1 ? f.max : v;
  if (isinf(v)) return overflow_of(&f, dtype, v, saturate);
  if (v == 0.0) return f.negative_zero ? v : 0.0;
  int exponent;
  frexp(v, &exponent);
  int emin = 1 - f.bias; /* exponent of the smallest normal number, for mantissas in [1, 2) */
  int unit = exponent - 1 < emin ? emin : exponent - 1;
  unit -= f.mantissa_bits;
  /* scaling by powers of two is exact here: v is a double and unit is far from its limits */
  double rounded = ldexp(nearbyint(ldexp(v, -unit)), unit);
  if (fabs(rounded) > f.max) return overflow_of(&f, dtype, v, saturate);
  if (rounded == 0.0 && !f.negative_zero) return 0.0;
  return rounded;
}

double tn_number_round_saturating(tn_dtype dtype, double v, bool saturate) {
  if (dtype == TN_F64) return v;
  if (dtype == TN_F32) return (double)(float)v;
  if (dtype == TN_F8E8M0) return round_e8m0(v, saturate);
  return round_narrow(dtype, v, saturate);
}

double tn_number_round_float(tn_dtype dtype, double v) {
  bool narrow = tn_dtype_bits(dtype) < 32 && dtype != TN_F8E8M0;
  return isinf(v) && narrow && format_of(dtype).has_infinity ? v : tn_number_round_saturating(dtype, v, true);
}

static uint32_t encode_narrow(tn_dtype dtype, double v) {
  const format f = format_of(dtype);
  uint32_t sign = (uint32_t)(signbit(v) != 0) << (f.mantissa_bits + f.exponent_bits);
  uint32_t top = (1u << f.exponent_bits) - 1;
  if (isnan(v)) {
    if (!f.negative_zero) return 1u << (f.mantissa_bits + f.exponent_bits);
    uint32_t quiet = f.has_infinity ? 1u << (f.mantissa_bits - 1) : (1u << f.mantissa_bits) - 1;
    return sign | top << f.mantissa_bits | quiet;
  }
  if (isinf(v)) return sign | top << f.mantissa_bits;
  if (v == 0.0) return f.negative_zero ? sign : 0;
  int exponent;
  frexp(v, &exponent);
  int emin = 1 - f.bias;
  bool subnormal = exponent - 1 < emin;
  int unit = (subnormal ? emin : exponent - 1) - f.mantissa_bits;
  uint32_t digits = (uint32_t)ldexp(fabs(v), -unit);
  if (subnormal) return sign | digits;
  return sign | (uint32_t)(exponent - 1 + f.bias) << f.mantissa_bits | (digits & ((1u << f.mantissa_bits) - 1));
}

static double decode_narrow(tn_dtype dtype, uint32_t bits) {
  const format f = format_of(dtype);
  uint32_t top = (1u << f.exponent_bits) - 1;
  uint32_t mantissa = bits & ((1u << f.mantissa_bits) - 1);
  uint32_t exponent = bits >> f.mantissa_bits & top;
  bool negative = (bits >> (f.mantissa_bits + f.exponent_bits) & 1) != 0;
  if (!f.negative_zero && negative && mantissa == 0 && exponent == 0) return NAN;
  if (f.has_infinity && exponent == top) {
    double special = mantissa == 0 ? INFINITY : NAN;
    return negative ? -special : special;
  }
  if (dtype == TN_F8E4M3 && exponent == top && mantissa == 7) return negative ? -NAN : NAN;
  double value = exponent == 0 ? ldexp(mantissa, 1 - f.bias - f.mantissa_bits)
                               : ldexp(mantissa + (1u << f.mantissa_bits), (int)exponent - f.bias - f.mantissa_bits);
  return negative ? -value : value;
}

tn_number tn_number_wrap(tn_dtype dtype, tn_number v) {
  unsigned bits = tn_dtype_bits(dtype);
  if (dtype == TN_BOOL) return (tn_number){.i = v.u != 0};
  if (bits >= 64) return v;
  uint64_t low = v.u & (((uint64_t)1 << bits) - 1);
  if (tn_dtype_is_signed(dtype) && low >> (bits - 1) != 0) low |= ~(uint64_t)0 << bits;
  return (tn_number){.u = low};
}

/* The double nearest to a 64-bit integer with ties broken to odd, so that rounding it again to at most 24 bits is as
 * rounding the integer once. */
static double widen_odd(bool negative, uint64_t magnitude) {
  double v;
  if (magnitude < (uint64_t)1 << 53) {
    v = (double)magnitude;
  } else {
    uint64_t sticky = (magnitude & 0x7ff) != 0;
    v = ldexp((double)(magnitude >> 11 | sticky), 11);
  }
  return negative ? -v : v;
}

static double integer_to_float(tn_dtype from, tn_dtype to, tn_number v, bool saturate) {
  bool is_signed = tn_dtype_is_signed(from) || from == TN_BOOL;
  if (to == TN_F64) return is_signed ? (double)v.i : (double)v.u;
  bool negative = is_signed && v.i < 0;
  return tn_number_round_saturating(to, widen_odd(negative, negative ? 0 - v.u : v.u), saturate);
}

static tn_number float_to_integer(tn_dtype to, double v) {
  if (isnan(v)) return (tn_number){.i = 0};
  double t = trunc(v);
  if (tn_dtype_is_signed(to)) {
    int64_t lo = tn_dtype_int_min(to), hi = (int64_t)tn_dtype_int_max(to);
    if (t <= (double)lo) return (tn_number){.i = lo};
    if (t >= (double)hi) return (tn_number){.i = hi};
    return (tn_number){.i = (int64_t)t};
  }
  uint64_t hi = tn_dtype_int_max(to);
  if (t <= 0) return (tn_number){.u = 0};
  if (t >= (double)hi) return (tn_number){.u = hi};
  return (tn_number){.u = (uint64_t)t};
}

tn_number tn_number_cast_saturating(tn_dtype from, tn_dtype to, tn_number v, bool saturate) {
  bool from_float = tn_dtype_is_float(from);
  if (to == TN_BOOL) return (tn_number){.i = from_float ? !(v.f == 0.0) : v.u != 0};
  if (to == TN_STR || from == TN_STR) return v;
  if (from_float && tn_dtype_is_float(to)) return (tn_number){.f = tn_number_round_saturating(to, v.f, saturate)};
  if (from_float) return float_to_integer(to, v.f);
  if (tn_dtype_is_float(to)) return (tn_number){.f = integer_to_float(from, to, v, saturate)};
  return tn_number_wrap(to, v);
}

tn_number tn_number_cast(tn_dtype from, tn_dtype to, tn_number v) {
  return tn_number_cast_saturating(from, to, v, true);
}

static double load_float(tn_dtype dtype, const void *bytes) {
  if (dtype == TN_F64) {
    double d;
    memcpy(&d, bytes, sizeof d);
    return d;
  }
  if (dtype == TN_F32) {
    float f;
    memcpy(&f, bytes, sizeof f);
    return f;
  }
  const uint8_t *b = bytes;
  if (dtype == TN_F8E8M0) return *b == 0xff ? NAN : ldexp(1.0, *b - 127);
  uint32_t bits = b[0];
  if (tn_dtype_bits(dtype) == 16) bits |= (uint32_t)b[1] << 8;
  return decode_narrow(dtype, bits);
}

static void store_float(tn_dtype dtype, double v, void *bytes) {
  if (dtype == TN_F64) {
    memcpy(bytes, &v, sizeof v);
    return;
  }
  if (dtype == TN_F32) {
    float f = (float)v;
    memcpy(bytes, &f, sizeof f);
    return;
  }
  uint8_t *b = bytes;
  v = tn_number_round_float(dtype, v);
  if (dtype == TN_F8E8M0) {
    b[0] = isnan(v) ? 0xff : (uint8_t)(ilogb(v) + 127);
    return;
  }
  uint32_t bits = encode_narrow(dtype, v);
  b[0] = (uint8_t)bits;
  if (tn_dtype_bits(dtype) == 16) b[1] = (uint8_t)(bits >> 8);
}

tn_number tn_number_load(tn_dtype dtype, const void *bytes) {
  if (tn_dtype_is_float(dtype)) return (tn_number){.f = load_float(dtype, bytes)};
  uint64_t u = 0;
  const uint8_t *b = bytes;
  for (size_t i = 0; i < tn_dtype_bytes(dtype); i++) u |= (uint64_t)b[i] << (8 * i);
  return tn_number_wrap(dtype, (tn_number){.u = u});
}

void tn_number_store(tn_dtype dtype, tn_number v, void *bytes) {
  if (tn_dtype_is_float(dtype)) {
    store_float(dtype, v.f, bytes);
    return;
  }
  uint8_t *b = bytes;
  for (size_t i = 0; i < tn_dtype_bytes(dtype); i++) b[i] = (uint8_t)(v.u >> (8 * i));
}
