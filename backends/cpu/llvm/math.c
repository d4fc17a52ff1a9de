/* Elementary functions. f32: polynomials inline, at most 2 ulp (5 for erf, pow, inverse and hyperbolic functions), with
 * the special cases of C Annex F; exp, expm1, log, tanh and erf work in f32, the others in f64 (math_wide.c). f64: the
 * C library's function for each lane.
 *
 * Coefficients: tests/tools/fit_math.py. Argument reduction: exp by multiples of ln 2 in two parts (Cody and Waite,
 * "Software Manual for the Elementary Functions", 1980, ch. 6). */
#include <math.h>

#include "backends/cpu/llvm/lower.h"

static const char *libm_name(tn_scalar scalar) {
  switch (scalar) {
    case TN_EXP: return "exp";
    case TN_EXPM1: return "expm1";
    case TN_LOG: return "log";
    case TN_LOG1P: return "log1p";
    case TN_SIN: return "sin";
    case TN_COS: return "cos";
    case TN_TAN: return "tan";
    case TN_ASIN: return "asin";
    case TN_ACOS: return "acos";
    case TN_ATAN: return "atan";
    case TN_SINH: return "sinh";
    case TN_COSH: return "cosh";
    case TN_TANH: return "tanh";
    case TN_ASINH: return "asinh";
    case TN_ACOSH: return "acosh";
    case TN_ATANH: return "atanh";
    case TN_ERF: return "erf";
    case TN_POW: return "pow";
    default: TN_ASSERT(false); return "exp";
  }
}

LLVMValueRef tn_lower_libm(tn_lower *l, const char *name, LLVMValueRef x, LLVMValueRef y) {
  LLVMBuilderRef b = l->builder;
  unsigned n_args = y == NULL ? 1 : 2;
  LLVMTypeRef type = LLVMFunctionType(l->f64, (LLVMTypeRef[]){l->f64, l->f64}, n_args, false);
  LLVMValueRef function = LLVMGetNamedFunction(l->module, name);
  if (function == NULL) function = LLVMAddFunction(l->module, name, type);
  uint32_t lanes = tn_lower_lanes(x);
  LLVMValueRef r = LLVMGetPoison(LLVMTypeOf(x));
  for (uint32_t i = 0; i < lanes; i++) {
    LLVMValueRef args[2] = {tn_lower_lanes_of(l, x, i, 1), y == NULL ? NULL : tn_lower_lanes_of(l, y, i, 1)};
    LLVMValueRef one = LLVMBuildCall2(b, type, function, args, n_args, "");
    r = lanes == 1 ? one : LLVMBuildInsertElement(b, r, one, LLVMConstInt(l->i64, i, false), "");
  }
  return r;
}

LLVMValueRef tn_lower_horner(tn_lower *l, LLVMValueRef x, const double *c, unsigned n) {
  LLVMValueRef r = tn_lower_real(x, c[n - 1]);
  for (unsigned i = n - 1; i-- > 0;) r = tn_lower_muladd(l, r, x, tn_lower_real(x, c[i]));
  return r;
}

static LLVMValueRef bits_of(tn_lower *l, LLVMValueRef x) {
  return LLVMBuildBitCast(l->builder, x, tn_lower_like(x, l->i32), "");
}

static LLVMValueRef float_of(tn_lower *l, LLVMValueRef bits) {
  return LLVMBuildBitCast(l->builder, bits, tn_lower_like(bits, l->f32), "");
}

/* x within [low, high]; NaN stays. */
static LLVMValueRef clamp(tn_lower *l, LLVMValueRef x, double low, double high) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef lo = tn_lower_real(x, low), hi = tn_lower_real(x, high);
  x = tn_lower_select(l, LLVMBuildFCmp(b, LLVMRealOLT, hi, x, ""), hi, x);
  return tn_lower_select(l, LLVMBuildFCmp(b, LLVMRealOGT, lo, x, ""), lo, x);
}

/* x = n ln 2 + r with |r| <= ln 2 / 2, for |x| < 2^15: n as i32. A NaN gives r = NaN and some n. */
static LLVMValueRef reduce_exp(tn_lower *l, LLVMValueRef x, LLVMValueRef *out_n) {
  LLVMBuilderRef b = l->builder;
  /* Adding 1.5 * 2^23 leaves the nearest integer in the low bits; a conversion of NaN would be undefined. */
  LLVMValueRef magic = tn_lower_real(x, 0x1.8p23);
  LLVMValueRef t = tn_lower_muladd(l, x, tn_lower_real(x, 0x1.715476p0), magic);
  *out_n = LLVMBuildSub(b, bits_of(l, t), bits_of(l, magic), "");
  LLVMValueRef n = LLVMBuildFSub(b, t, magic, "");
  LLVMValueRef r = tn_lower_muladd(l, n, tn_lower_real(x, -0x1.63p-1), x); /* 9 bits: exact */
  return tn_lower_muladd(l, n, tn_lower_real(x, 0x1.bd0106p-13), r);
}

/* 2^n, for n in [-126, 127]. */
static LLVMValueRef power_of_two(tn_lower *l, LLVMValueRef n) {
  LLVMValueRef biased = LLVMBuildAdd(l->builder, n, tn_lower_whole(n, 127), "");
  return float_of(l, LLVMBuildShl(l->builder, biased, tn_lower_whole(n, 23), ""));
}

/* exp(r) - 1 - r = r^2 Q(r). */
static LLVMValueRef exp_tail(tn_lower *l, LLVMValueRef r) {
  static const double q[] = {0x1p-1, 0x1.55548ep-3, 0x1.55545cp-5, 0x1.123c78p-7, 0x1.6db5bcp-10};
  return LLVMBuildFMul(l->builder, LLVMBuildFMul(l->builder, r, r, ""), tn_lower_horner(l, r, q, TN_ARRAY_LEN(q)), "");
}

static LLVMValueRef exp_reduced(tn_lower *l, LLVMValueRef r) {
  LLVMValueRef p = LLVMBuildFAdd(l->builder, r, exp_tail(l, r), "");
  return LLVMBuildFAdd(l->builder, tn_lower_real(r, 1), p, "");
}

/* The power is applied in two halves, so that subnormal results are rounded once. */
static LLVMValueRef lower_exp(tn_lower *l, LLVMValueRef x) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef n;
  LLVMValueRef r = reduce_exp(l, clamp(l, x, -105, 89), &n);
  LLVMValueRef p = exp_reduced(l, r);
  LLVMValueRef half = LLVMBuildAShr(b, n, tn_lower_whole(n, 1), "");
  LLVMValueRef rest = LLVMBuildSub(b, n, half, "");
  p = LLVMBuildFMul(b, p, power_of_two(l, half), "");
  return LLVMBuildFMul(b, p, power_of_two(l, rest), "");
}

/* 2^n (exp(r) - 1) + (2^n - 1); x in [-20, 89]. */
static LLVMValueRef expm1_clamped(tn_lower *l, LLVMValueRef x) {
  static const double q[] = {0x1p-1, 0x1.5554aep-3, 0x1.555486p-5, 0x1.12290ep-7, 0x1.6d9a84p-10};
  LLVMBuilderRef b = l->builder;
  LLVMValueRef n;
  LLVMValueRef r = reduce_exp(l, x, &n);
  LLVMValueRef tail = LLVMBuildFMul(b, r, tn_lower_horner(l, r, q, TN_ARRAY_LEN(q)), "");
  LLVMValueRef p = tn_lower_muladd(l, r, tail, r);
  /* 2^128 does not fit, 2^127 twice does. */
  LLVMValueRef most = tn_lower_whole(n, 127);
  LLVMValueRef capped = tn_lower_binary(l, "llvm.smin", n, most);
  LLVMValueRef scale = power_of_two(l, capped);
  LLVMValueRef y = tn_lower_muladd(l, p, scale, LLVMBuildFSub(b, scale, tn_lower_real(x, 1), ""));
  LLVMValueRef is_last = LLVMBuildICmp(b, LLVMIntSGT, n, most, "");
  return tn_lower_select(l, is_last, LLVMBuildFMul(b, LLVMBuildFAdd(b, y, tn_lower_real(x, 1), ""),
                                                    tn_lower_real(x, 2), ""), y);
}

/* The sign of -0 is lost in the sums above. */
static LLVMValueRef keep_zero(tn_lower *l, LLVMValueRef x, LLVMValueRef y) {
  LLVMValueRef is_zero = LLVMBuildFCmp(l->builder, LLVMRealOEQ, x, tn_lower_real(x, 0), "");
  return tn_lower_select(l, is_zero, x, y);
}

static LLVMValueRef lower_expm1(tn_lower *l, LLVMValueRef x) {
  return keep_zero(l, x, expm1_clamped(l, clamp(l, x, -20, 89)));
}

/* -t / (t + 2) with t = exp(-2|x|) - 1, under the sign of x. */
static LLVMValueRef lower_tanh(tn_lower *l, LLVMValueRef x) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef magnitude = tn_lower_unary(l, "llvm.fabs", x);
  LLVMValueRef t = expm1_clamped(l, clamp(l, LLVMBuildFMul(b, magnitude, tn_lower_real(x, -2), ""), -20, 0));
  LLVMValueRef y = LLVMBuildFDiv(b, t, LLVMBuildFAdd(b, t, tn_lower_real(x, 2), ""), "");
  return tn_lower_binary(l, "llvm.copysign", y, x);
}

/* x = 2^e (1 + f) with 1 + f in [sqrt 1/2, sqrt 2); log = e ln 2 + f - f^2/2 + f^3 P(f). */
static LLVMValueRef lower_log(tn_lower *l, LLVMValueRef x) {
  static const double coefficients[] = {0x1.555546p-2,  -0x1.ffffeep-3, 0x1.99a546p-3,  -0x1.5562e0p-3, 0x1.2332b4p-3,
                                        -0x1.fb4384p-4, 0x1.e65190p-4,  -0x1.e2e804p-4, 0x1.1b3ec4p-4};
  LLVMBuilderRef b = l->builder;
  LLVMValueRef is_small = LLVMBuildFCmp(b, LLVMRealOLT, x, tn_lower_real(x, 0x1p-126), "");
  LLVMValueRef scaled = tn_lower_select(l, is_small, LLVMBuildFMul(b, x, tn_lower_real(x, 0x1p23), ""), x);
  LLVMValueRef bits = bits_of(l, scaled), shift = tn_lower_whole(bits, 23);
  LLVMValueRef from_root = LLVMBuildSub(b, bits, tn_lower_whole(bits, 0x3f3504f3), ""); /* sqrt 1/2 */
  LLVMValueRef e = LLVMBuildAShr(b, from_root, shift, "");
  LLVMValueRef mantissa = float_of(l, LLVMBuildSub(b, bits, LLVMBuildShl(b, e, shift, ""), ""));
  e = LLVMBuildSub(b, e, tn_lower_select(l, is_small, shift, tn_lower_whole(bits, 0)), "");
  LLVMValueRef power = LLVMBuildSIToFP(b, e, LLVMTypeOf(x), "");
  LLVMValueRef f = LLVMBuildFSub(b, mantissa, tn_lower_real(x, 1), "");
  LLVMValueRef square = LLVMBuildFMul(b, f, f, "");
  LLVMValueRef p = tn_lower_horner(l, f, coefficients, TN_ARRAY_LEN(coefficients));
  LLVMValueRef y = LLVMBuildFMul(b, LLVMBuildFMul(b, f, square, ""), p, "");
  y = tn_lower_muladd(l, power, tn_lower_real(x, -0x1.bd0106p-13), y);
  y = tn_lower_muladd(l, square, tn_lower_real(x, -0.5), y);
  y = LLVMBuildFAdd(b, f, y, "");
  y = tn_lower_muladd(l, power, tn_lower_real(x, 0x1.63p-1), y);
  LLVMValueRef infinity = tn_lower_real(x, INFINITY), zero = tn_lower_real(x, 0);
  y = tn_lower_select(l, LLVMBuildFCmp(b, LLVMRealOLT, x, infinity, ""), y, x); /* infinity and NaN */
  y = tn_lower_select(l, LLVMBuildFCmp(b, LLVMRealOEQ, x, zero, ""), tn_lower_real(x, -INFINITY), y);
  return tn_lower_select(l, LLVMBuildFCmp(b, LLVMRealOLT, x, zero, ""), tn_lower_real(x, NAN), y);
}

/* x + x E(x^2) near zero; 1 - exp(-G(|x|)) beyond, which is 1 from 4 on. */
static LLVMValueRef lower_erf(tn_lower *l, LLVMValueRef x) {
  static const double near[] = {0x1.06eba8p-3, -0x1.812744p-2, 0x1.ce2e2ep-4, -0x1.b811a8p-6,
                                0x1.54e54ep-8, -0x1.ab3f8ap-11, 0x1.601abcp-14};
  static const double far[] = {0x1.b225b4p-13, 0x1.20ac30p+0, 0x1.4647b4p-1, 0x1.a9653cp-4,
                               -0x1.6b8e86p-6, 0x1.8da186p-9, -0x1.98d4b6p-13};
  LLVMBuilderRef b = l->builder;
  LLVMValueRef square = LLVMBuildFMul(b, x, x, "");
  LLVMValueRef small = tn_lower_muladd(l, x, tn_lower_horner(l, square, near, TN_ARRAY_LEN(near)), x);
  LLVMValueRef magnitude = clamp(l, tn_lower_unary(l, "llvm.fabs", x), 0, 4);
  LLVMValueRef n;
  LLVMValueRef g = tn_lower_horner(l, magnitude, far, TN_ARRAY_LEN(far));
  LLVMValueRef r = reduce_exp(l, LLVMBuildFNeg(b, g, ""), &n);
  LLVMValueRef complement = LLVMBuildFMul(b, exp_reduced(l, r), power_of_two(l, n), "");
  LLVMValueRef large = LLVMBuildFSub(b, tn_lower_real(x, 1), complement, "");
  large = tn_lower_binary(l, "llvm.copysign", large, x);
  LLVMValueRef is_near = LLVMBuildFCmp(b, LLVMRealOLT, magnitude, tn_lower_real(x, 0.921875), "");
  return tn_lower_select(l, is_near, small, large);
}

LLVMValueRef tn_lower_math(tn_lower *l, tn_scalar scalar, LLVMValueRef x, LLVMValueRef y) {
  if (tn_lower_element(x) == l->f64) return tn_lower_libm(l, libm_name(scalar), x, y);
  switch (scalar) {
    case TN_EXP: return lower_exp(l, x);
    case TN_EXPM1: return lower_expm1(l, x);
    case TN_LOG: return lower_log(l, x);
    case TN_TANH: return lower_tanh(l, x);
    case TN_ERF: return lower_erf(l, x);
    default: return tn_lower_math_wide(l, scalar, x, y);
  }
}
