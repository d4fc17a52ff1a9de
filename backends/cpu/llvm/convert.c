/* Conversions between element types, and between registers and memory. The narrow float formats are made with integer
 * code, so every target has them: IEEE 754 (f16), bfloat16, the OCP 8-bit and microscaling formats, and the 8-bit
 * formats without infinities and negative zero. */
#include <math.h>

#include "backends/cpu/llvm/lower.h"

/* A float format that is rounded to by adding and subtracting a power of two (all but bf16 and f8e8m0). */
typedef struct narrow_format {
  unsigned mantissa_bits, exponent_bits;
  int bias;
  double max;         /* largest finite value */
  bool has_infinity;  /* the top exponent holds infinities and NaN */
  bool saturates;     /* overflow gives max, else infinity */
  bool unsigned_zero; /* the pattern of -0 is the NaN */
  unsigned nan;       /* its pattern without sign; 0 when there is none */
} narrow_format;

static const narrow_format *format_of(tn_dtype dtype) {
  static const narrow_format f16 = {10, 5, 15, 65504, true, false, false, 0x7e00};
  static const narrow_format e4m3 = {3, 4, 7, 448, false, true, false, 0x7f};
  static const narrow_format e5m2 = {2, 5, 15, 57344, true, true, false, 0x7e};
  static const narrow_format e4m3uz = {3, 4, 8, 240, false, true, true, 0x80};
  static const narrow_format e5m2uz = {2, 5, 16, 57344, false, true, true, 0x80};
  static const narrow_format e2m1 = {1, 2, 1, 6, false, true, false, 0};
  switch (dtype) {
    case TN_F16: return &f16;
    case TN_F8E4M3: return &e4m3;
    case TN_F8E5M2: return &e5m2;
    case TN_F8E4M3UZ: return &e4m3uz;
    case TN_F8E5M2UZ: return &e5m2uz;
    case TN_F4E2M1: return &e2m1;
    default: TN_ASSERT(false); return &f16;
  }
}

static LLVMValueRef bits_of(tn_lower *l, LLVMValueRef x) {
  return LLVMBuildBitCast(l->builder, x, tn_lower_like(x, l->i32), "");
}

static LLVMValueRef float_of(tn_lower *l, LLVMValueRef bits) {
  return LLVMBuildBitCast(l->builder, bits, tn_lower_like(bits, l->f32), "");
}

static LLVMValueRef is_nan(tn_lower *l, LLVMValueRef x) { return LLVMBuildFCmp(l->builder, LLVMRealUNO, x, x, ""); }

static LLVMValueRef to_width(tn_lower *l, LLVMValueRef bits, LLVMTypeRef element) {
  return LLVMBuildIntCast2(l->builder, bits, tn_lower_like(bits, element), false, "");
}

/* |x| (not NaN) rounded to the nearest even value of the format, still as f32. */
static LLVMValueRef round_magnitude(tn_lower *l, const narrow_format *f, LLVMValueRef x) {
  LLVMBuilderRef b = l->builder;
  /* 2^(e + 23 - m): its unit in the last place, and that of its sum with x, is the format's unit at x. */
  LLVMValueRef exponent = LLVMBuildAnd(b, bits_of(l, x), tn_lower_whole(bits_of(l, x), 0x7f800000), "");
  LLVMValueRef least = tn_lower_whole(exponent, (uint64_t)(1 - f->bias + 127) << 23);
  exponent = tn_lower_binary(l, "llvm.umax", exponent, least);
  LLVMValueRef step = tn_lower_whole(exponent, (uint64_t)(23 - f->mantissa_bits) << 23);
  LLVMValueRef magic = float_of(l, LLVMBuildAdd(b, exponent, step, ""));
  return LLVMBuildFSub(b, LLVMBuildFAdd(b, x, magic, ""), magic, "");
}

/* f32 to the i32 pattern of the format. */
static LLVMValueRef encode_narrow(tn_lower *l, const narrow_format *f, LLVMValueRef x) {
  LLVMBuilderRef b = l->builder;
  unsigned width = 1 + f->exponent_bits + f->mantissa_bits;
  LLVMValueRef all = bits_of(l, x);
  LLVMValueRef sign = LLVMBuildAnd(b, LLVMBuildLShr(b, all, tn_lower_whole(all, 32 - width), ""),
                                   tn_lower_whole(all, 1u << (width - 1)), "");
  LLVMValueRef magnitude = tn_lower_unary(l, "llvm.fabs", x);
  /* Keeps the sum below in f32's range, yet far beyond max. NaN becomes a number, replaced at the end. */
  LLVMValueRef limit = tn_lower_real(magnitude, 4 * f->max);
  magnitude = tn_lower_select(l, LLVMBuildFCmp(b, LLVMRealOLT, magnitude, limit, ""), magnitude, limit);
  LLVMValueRef rounded = round_magnitude(l, f, magnitude);
  LLVMValueRef top = tn_lower_real(rounded, f->saturates ? f->max : ldexp(1.0, (1 << f->exponent_bits) - 1 - f->bias));
  LLVMValueRef over = LLVMBuildFCmp(b, LLVMRealOGT, rounded, tn_lower_real(rounded, f->max), "");
  rounded = tn_lower_select(l, over, top, rounded);
  if (f->saturates && f->has_infinity) { /* an infinity stays one; conversions keep them out */
    LLVMValueRef infinite = tn_lower_unary(l, "llvm.fabs", x), infinity = tn_lower_real(x, INFINITY);
    infinite = LLVMBuildFCmp(b, LLVMRealOEQ, infinite, infinity, "");
    LLVMValueRef beyond = tn_lower_real(rounded, ldexp(1.0, (1 << f->exponent_bits) - 1 - f->bias));
    rounded = tn_lower_select(l, infinite, beyond, rounded);
  }
  LLVMValueRef normal = LLVMBuildLShr(b, bits_of(l, rounded), tn_lower_whole(all, 23 - f->mantissa_bits), "");
  normal = LLVMBuildSub(b, normal, tn_lower_whole(all, (uint64_t)(127 - f->bias) << f->mantissa_bits), "");
  LLVMValueRef scale = tn_lower_real(rounded, ldexp(1.0, (int)f->mantissa_bits - 1 + f->bias));
  LLVMValueRef least = tn_lower_real(rounded, ldexp(1.0, 1 - f->bias));
  LLVMValueRef is_small = LLVMBuildFCmp(b, LLVMRealOLT, rounded, least, "");
  LLVMValueRef digits = tn_lower_select(l, is_small, rounded, tn_lower_real(rounded, 0));
  digits = LLVMBuildFPToSI(b, LLVMBuildFMul(b, digits, scale, ""), LLVMTypeOf(all), "");
  LLVMValueRef pattern = tn_lower_select(l, is_small, digits, normal);
  LLVMValueRef zero = tn_lower_whole(all, 0);
  if (f->unsigned_zero) sign = tn_lower_select(l, LLVMBuildICmp(b, LLVMIntEQ, pattern, zero, ""), zero, sign);
  /* A format without NaN gives its largest value. */
  uint64_t nan = f->nan != 0 ? f->nan : (1u << (width - 1)) - 1;
  if (f->unsigned_zero || f->nan == 0) sign = tn_lower_select(l, is_nan(l, x), zero, sign);
  pattern = tn_lower_select(l, is_nan(l, x), tn_lower_whole(all, nan), pattern);
  return LLVMBuildOr(b, pattern, sign, "");
}

/* i32 pattern of the format to f32. */
static LLVMValueRef decode_narrow(tn_lower *l, const narrow_format *f, LLVMValueRef pattern) {
  LLVMBuilderRef b = l->builder;
  unsigned width = 1 + f->exponent_bits + f->mantissa_bits;
  uint64_t sign_bit = (uint64_t)1 << (width - 1);
  LLVMValueRef sign = LLVMBuildAnd(b, pattern, tn_lower_whole(pattern, sign_bit), "");
  sign = LLVMBuildShl(b, sign, tn_lower_whole(pattern, 32 - width), "");
  LLVMValueRef rest = LLVMBuildAnd(b, pattern, tn_lower_whole(pattern, sign_bit - 1), "");
  /* Read as an f32 of the same exponent field, subnormals too, then scaled by the difference of the biases. */
  LLVMValueRef value = float_of(l, LLVMBuildShl(b, rest, tn_lower_whole(rest, 23 - f->mantissa_bits), ""));
  value = LLVMBuildFMul(b, value, tn_lower_real(value, ldexp(1.0, 127 - f->bias)), "");
  LLVMValueRef bits = bits_of(l, value);
  LLVMValueRef quiet = tn_lower_whole(bits, 0x7fc00000);
  if (f->has_infinity) {
    LLVMValueRef infinity = tn_lower_whole(rest, (((uint64_t)1 << f->exponent_bits) - 1) << f->mantissa_bits);
    bits = tn_lower_select(l, LLVMBuildICmp(b, LLVMIntEQ, rest, infinity, ""), tn_lower_whole(bits, 0x7f800000), bits);
    bits = tn_lower_select(l, LLVMBuildICmp(b, LLVMIntUGT, rest, infinity, ""), quiet, bits);
  } else if (f->nan != 0) {
    LLVMValueRef subject = f->unsigned_zero ? pattern : rest;
    LLVMValueRef is_it = LLVMBuildICmp(b, LLVMIntEQ, subject, tn_lower_whole(rest, f->nan), "");
    bits = tn_lower_select(l, is_it, quiet, bits);
  }
  return float_of(l, LLVMBuildOr(b, bits, sign, ""));
}

static LLVMValueRef encode_bf16(tn_lower *l, LLVMValueRef x) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef bits = bits_of(l, x), sixteen = tn_lower_whole(bits, 16);
  LLVMValueRef odd = LLVMBuildAnd(b, LLVMBuildLShr(b, bits, sixteen, ""), tn_lower_whole(bits, 1), "");
  LLVMValueRef half = LLVMBuildAdd(b, odd, tn_lower_whole(bits, 0x7fff), "");
  LLVMValueRef rounded = LLVMBuildLShr(b, LLVMBuildAdd(b, bits, half, ""), sixteen, "");
  LLVMValueRef quiet = LLVMBuildOr(b, LLVMBuildLShr(b, bits, sixteen, ""), tn_lower_whole(bits, 0x40), "");
  return tn_lower_select(l, is_nan(l, x), quiet, rounded);
}

/* The power of two nearest in ratio steps of the format: the sign is dropped, zero is the smallest power. */
static LLVMValueRef encode_e8m0(tn_lower *l, LLVMValueRef x) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef magnitude = tn_lower_unary(l, "llvm.fabs", x);
  /* Numbers in [2^-127, 2^-126) are subnormal; scaled by 2^23 their exponent field counts like the others'. */
  LLVMValueRef is_small = LLVMBuildFCmp(b, LLVMRealOLT, magnitude, tn_lower_real(x, 0x1p-126), "");
  LLVMValueRef scaled = LLVMBuildFMul(b, magnitude, tn_lower_real(x, 0x1p23), "");
  LLVMValueRef bits = bits_of(l, tn_lower_select(l, is_small, scaled, magnitude));
  LLVMValueRef field = LLVMBuildLShr(b, bits, tn_lower_whole(bits, 23), "");
  LLVMValueRef odd = LLVMBuildAnd(b, field, tn_lower_whole(bits, 1), "");
  /* The field less 23 has the other parity, so the tie of small numbers goes the other way. */
  odd = LLVMBuildXor(b, odd, LLVMBuildZExt(b, is_small, LLVMTypeOf(bits), ""), "");
  LLVMValueRef half = LLVMBuildAdd(b, odd, tn_lower_whole(bits, 0x3fffff), "");
  LLVMValueRef rounded = LLVMBuildLShr(b, LLVMBuildAdd(b, bits, half, ""), tn_lower_whole(bits, 23), "");
  LLVMValueRef shifted = LLVMBuildSub(b, rounded, tn_lower_whole(bits, 23), "");
  LLVMValueRef zero = tn_lower_whole(bits, 0);
  shifted = tn_lower_binary(l, "llvm.smax", shifted, zero);
  rounded = tn_lower_select(l, is_small, shifted, rounded);
  rounded = tn_lower_binary(l, "llvm.umin", rounded, tn_lower_whole(bits, 0xfe));
  return tn_lower_select(l, is_nan(l, x), tn_lower_whole(bits, 0xff), rounded);
}

static LLVMValueRef decode_e8m0(tn_lower *l, LLVMValueRef pattern) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef bits = LLVMBuildShl(b, pattern, tn_lower_whole(pattern, 23), "");
  LLVMValueRef is_least = LLVMBuildICmp(b, LLVMIntEQ, pattern, tn_lower_whole(pattern, 0), "");
  bits = tn_lower_select(l, is_least, tn_lower_whole(pattern, 0x00400000), bits);
  LLVMValueRef is_it = LLVMBuildICmp(b, LLVMIntEQ, pattern, tn_lower_whole(pattern, 0xff), "");
  return float_of(l, tn_lower_select(l, is_it, tn_lower_whole(pattern, 0x7fc00000), bits));
}

/* f64 to f32 so that rounding again to a narrower format equals rounding once: an inexact result is toward zero with
 * its last bit set. */
static LLVMValueRef narrow_odd(tn_lower *l, LLVMValueRef x) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef nearest = LLVMBuildFPTrunc(b, x, tn_lower_like(x, l->f32), "");
  LLVMValueRef back = LLVMBuildFPExt(b, nearest, LLVMTypeOf(x), "");
  LLVMValueRef bits = bits_of(l, nearest);
  LLVMValueRef too_far = LLVMBuildFCmp(b, LLVMRealOGT, tn_lower_unary(l, "llvm.fabs", back),
                                       tn_lower_unary(l, "llvm.fabs", x), "");
  LLVMValueRef inexact = LLVMBuildFCmp(b, LLVMRealONE, back, x, "");
  bits = LLVMBuildSub(b, bits, LLVMBuildZExt(b, too_far, LLVMTypeOf(bits), ""), "");
  bits = LLVMBuildOr(b, bits, LLVMBuildZExt(b, inexact, LLVMTypeOf(bits), ""), "");
  return float_of(l, bits);
}

static bool is_f32_register(tn_dtype dtype) { return tn_dtype_is_float(dtype) && dtype != TN_F64; }

LLVMValueRef tn_lower_encode(tn_lower *l, tn_dtype dtype, LLVMValueRef v) {
  LLVMBuilderRef b = l->builder;
  LLVMTypeRef memory = tn_lower_memory_type(l, dtype);
  if (dtype == TN_BOOL) return LLVMBuildZExt(b, v, tn_lower_like(v, l->i8), "");
  if (!tn_dtype_is_float(dtype) || dtype == TN_F64 || dtype == TN_F32) return v;
  if (dtype == TN_BF16) return to_width(l, encode_bf16(l, v), memory);
  if (dtype == TN_F8E8M0) return to_width(l, encode_e8m0(l, v), memory);
  if (dtype == TN_F16 && l->has_f16c) {
    LLVMTypeRef half = LLVMHalfTypeInContext(l->llvm);
    LLVMValueRef narrow = LLVMBuildFPTrunc(b, v, tn_lower_like(v, half), "");
    return LLVMBuildBitCast(b, narrow, tn_lower_like(v, memory), "");
  }
  return to_width(l, encode_narrow(l, format_of(dtype), v), memory);
}

LLVMValueRef tn_lower_decode(tn_lower *l, tn_dtype dtype, LLVMValueRef bits) {
  LLVMBuilderRef b = l->builder;
  if (dtype == TN_BOOL) return LLVMBuildICmp(b, LLVMIntNE, bits, tn_lower_whole(bits, 0), "");
  if (!tn_dtype_is_float(dtype)) return tn_lower_wrap(l, dtype, bits);
  if (dtype == TN_F64 || dtype == TN_F32) return bits;
  if (dtype == TN_F16 && l->has_f16c) {
    LLVMValueRef half = LLVMBuildBitCast(b, bits, tn_lower_like(bits, LLVMHalfTypeInContext(l->llvm)), "");
    return LLVMBuildFPExt(b, half, tn_lower_like(bits, l->f32), "");
  }
  LLVMValueRef wide = to_width(l, bits, l->i32);
  if (dtype == TN_BF16) return float_of(l, LLVMBuildShl(b, wide, tn_lower_whole(wide, 16), ""));
  if (dtype == TN_F8E8M0) return decode_e8m0(l, wide);
  return decode_narrow(l, format_of(dtype), wide);
}

LLVMValueRef tn_lower_wrap(tn_lower *l, tn_dtype dtype, LLVMValueRef v) {
  unsigned bits = tn_dtype_bits(dtype);
  if (bits >= 8 || tn_dtype_is_float(dtype)) return v;
  LLVMValueRef distance = tn_lower_whole(v, 8 - bits);
  LLVMValueRef up = LLVMBuildShl(l->builder, v, distance, "");
  if (tn_dtype_is_signed(dtype)) return LLVMBuildAShr(l->builder, up, distance, "");
  return LLVMBuildLShr(l->builder, up, distance, "");
}

static LLVMValueRef float_to_float(tn_lower *l, tn_dtype from, tn_dtype to, LLVMValueRef v) {
  if (to == TN_F64) return from == TN_F64 ? v : LLVMBuildFPExt(l->builder, v, tn_lower_like(v, l->f64), "");
  if (to == TN_F32) return from == TN_F64 ? LLVMBuildFPTrunc(l->builder, v, tn_lower_like(v, l->f32), "") : v;
  LLVMValueRef single = from == TN_F64 ? narrow_odd(l, v) : v;
  if (to == TN_F8E5M2) { /* a NaN stays one */
    single = tn_lower_select(l, LLVMBuildFCmp(l->builder, LLVMRealOGT, single, tn_lower_real(single, 0x1p16), ""),
                             tn_lower_real(single, 0x1p16), single);
    single = tn_lower_select(l, LLVMBuildFCmp(l->builder, LLVMRealOLT, single, tn_lower_real(single, -0x1p16), ""),
                             tn_lower_real(single, -0x1p16), single);
  }
  return tn_lower_decode(l, to, tn_lower_encode(l, to, single));
}

/* A 64-bit integer as the f64 whose rounding to at most 24 bits equals the integer's: bits that f64 cannot hold are
 * gathered in one that it can. */
static LLVMValueRef sticky_bits(tn_lower *l, LLVMValueRef v, bool is_signed) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef low = LLVMBuildAnd(b, v, tn_lower_whole(v, 0x7ff), "");
  LLVMValueRef lost = LLVMBuildICmp(b, LLVMIntNE, low, tn_lower_whole(v, 0), "");
  LLVMValueRef high = LLVMBuildAnd(b, v, tn_lower_whole(v, ~(uint64_t)0x7ff), "");
  LLVMValueRef sticky = LLVMBuildShl(b, LLVMBuildZExt(b, lost, LLVMTypeOf(v), ""), tn_lower_whole(v, 11), "");
  LLVMValueRef magnitude = is_signed ? LLVMBuildXor(b, v, LLVMBuildAShr(b, v, tn_lower_whole(v, 63), ""), "") : v;
  LLVMValueRef is_large = LLVMBuildICmp(b, LLVMIntUGT, magnitude, tn_lower_whole(v, (uint64_t)1 << 52), "");
  return tn_lower_select(l, is_large, LLVMBuildOr(b, high, sticky, ""), v);
}

static LLVMValueRef int_to_float(tn_lower *l, tn_dtype from, tn_dtype to, LLVMValueRef v) {
  bool is_signed = tn_dtype_is_signed(from), is_narrow = to != TN_F64 && to != TN_F32;
  /* f32 holds 24 bits: from there on a narrow type would be rounded to twice. */
  bool through_f64 = is_narrow && tn_dtype_bits(from) > 16;
  if (through_f64 && tn_dtype_bits(from) == 64) v = sticky_bits(l, v, is_signed);
  LLVMTypeRef type = tn_lower_like(v, to == TN_F64 || through_f64 ? l->f64 : l->f32);
  LLVMValueRef r = is_signed ? LLVMBuildSIToFP(l->builder, v, type, "") : LLVMBuildUIToFP(l->builder, v, type, "");
  return is_narrow ? float_to_float(l, through_f64 ? TN_F64 : TN_F32, to, r) : r;
}

static LLVMValueRef float_to_int(tn_lower *l, tn_dtype to, LLVMValueRef v) {
  bool is_signed = tn_dtype_is_signed(to);
  LLVMTypeRef types[2] = {tn_lower_like(v, tn_lower_memory_type(l, to)), LLVMTypeOf(v)};
  const char *name = is_signed ? "llvm.fptosi.sat" : "llvm.fptoui.sat";
  LLVMValueRef r = tn_lower_intrinsic_of(l, name, types, 2, &v, 1);
  if (tn_dtype_bits(to) >= 8) return r;
  LLVMValueRef hi = tn_lower_whole(r, tn_dtype_int_max(to));
  if (!is_signed) return tn_lower_binary(l, "llvm.umin", r, hi);
  r = tn_lower_binary(l, "llvm.smin", r, hi);
  return tn_lower_binary(l, "llvm.smax", r, tn_lower_whole(r, (uint64_t)tn_dtype_int_min(to)));
}

LLVMValueRef tn_lower_cast(tn_lower *l, tn_dtype from, tn_dtype to, LLVMValueRef v) {
  LLVMBuilderRef b = l->builder;
  if (from == to && !(is_f32_register(to) && to != TN_F32)) return v;
  bool from_float = tn_dtype_is_float(from), to_float = tn_dtype_is_float(to);
  if (to == TN_BOOL) {
    if (from_float) return LLVMBuildFCmp(b, LLVMRealUNE, v, tn_lower_real(v, 0), "");
    return LLVMBuildICmp(b, LLVMIntNE, v, tn_lower_whole(v, 0), "");
  }
  if (from_float && to_float) return float_to_float(l, from, to, v);
  if (from_float) return float_to_int(l, to, v);
  if (to_float) return from == TN_BOOL ? int_to_float(l, TN_U8, to, LLVMBuildZExt(b, v, tn_lower_like(v, l->i8), ""))
                                       : int_to_float(l, from, to, v);
  LLVMTypeRef type = tn_lower_like(v, tn_lower_memory_type(l, to));
  return tn_lower_wrap(l, to, LLVMBuildIntCast2(b, v, type, tn_dtype_is_signed(from), ""));
}
