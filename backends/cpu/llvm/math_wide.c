/* Elementary functions of f32 that are computed in f64 and rounded once: short polynomials suffice, and nothing needs
 * compensation. Relative errors below stay under 2^-30. Coefficients: tests/tools/fit_math.py. */
#include <math.h>

#include "backends/cpu/llvm/lower.h"

static LLVMValueRef constant(LLVMValueRef x, double v) { return tn_lower_real(x, v); }
static LLVMValueRef add(tn_lower *l, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildFAdd(l->builder, x, y, ""); }
static LLVMValueRef sub(tn_lower *l, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildFSub(l->builder, x, y, ""); }
static LLVMValueRef mul(tn_lower *l, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildFMul(l->builder, x, y, ""); }
static LLVMValueRef divided(tn_lower *l, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildFDiv(l->builder, x, y, ""); }
static LLVMValueRef magnitude_of(tn_lower *l, LLVMValueRef x) { return tn_lower_unary(l, "llvm.fabs", x); }
static LLVMValueRef root(tn_lower *l, LLVMValueRef x) { return tn_lower_unary(l, "llvm.sqrt", x); }
static LLVMValueRef with_sign(tn_lower *l, LLVMValueRef x, LLVMValueRef sign) {
  return tn_lower_binary(l, "llvm.copysign", x, sign);
}
static LLVMValueRef is(tn_lower *l, LLVMRealPredicate how, LLVMValueRef x, double v) {
  return LLVMBuildFCmp(l->builder, how, x, constant(x, v), "");
}
static LLVMValueRef bits_of(tn_lower *l, LLVMValueRef x) {
  return LLVMBuildBitCast(l->builder, x, tn_lower_like(x, l->i64), "");
}
static LLVMValueRef double_of(tn_lower *l, LLVMValueRef bits) {
  return LLVMBuildBitCast(l->builder, bits, tn_lower_like(bits, l->f64), "");
}

/* exp(x): what is beyond f32's range ends up beyond it. NaN stays. */
static LLVMValueRef wide_exp(tn_lower *l, LLVMValueRef x) {
  static const double q[] = {0x1.ffffffffea89dp-2, 0x1.5555557f078a0p-3,  0x1.5555558b37dd2p-5, 0x1.1110a066c0291p-7,
                             0x1.6c162154a0fbbp-10, 0x1.a18857e6c6153p-13, 0x1.a18ce98d476d7p-16};
  LLVMBuilderRef b = l->builder;
  x = tn_lower_select(l, is(l, LLVMRealOGT, x, 200), constant(x, 200), x);
  x = tn_lower_select(l, is(l, LLVMRealOLT, x, -200), constant(x, -200), x);
  LLVMValueRef magic = constant(x, 0x1.8p52);
  LLVMValueRef t = tn_lower_muladd(l, x, constant(x, 0x1.71547652b82fep0), magic);
  LLVMValueRef n = LLVMBuildSub(b, bits_of(l, t), bits_of(l, magic), "");
  LLVMValueRef steps = sub(l, t, magic);
  LLVMValueRef r = tn_lower_muladd(l, steps, constant(x, -0x1.62e42feep-1), x); /* 31 bits: exact */
  r = tn_lower_muladd(l, steps, constant(x, -0x1.a39ef35793c76p-33), r);
  LLVMValueRef tail = mul(l, mul(l, r, r), tn_lower_horner(l, r, q, TN_ARRAY_LEN(q)));
  LLVMValueRef p = add(l, constant(x, 1), add(l, r, tail));
  LLVMValueRef biased = LLVMBuildAdd(b, n, tn_lower_whole(n, 1023), "");
  return mul(l, p, double_of(l, LLVMBuildShl(b, biased, tn_lower_whole(n, 52), "")));
}

/* log(x) for x >= 0 that is zero, infinite, NaN or a normal f64. */
static LLVMValueRef wide_log(tn_lower *l, LLVMValueRef x) {
  static const double a[] = {0x1.555555555384cp-2, 0x1.999999a2be3e8p-3, 0x1.2492415ee2048p-3,
                             0x1.c72285ab74ff4p-4, 0x1.732a766775cfcp-4, 0x1.588b0fc7c3e42p-4};
  LLVMBuilderRef b = l->builder;
  LLVMValueRef bits = bits_of(l, x), shift = tn_lower_whole(bits, 52);
  LLVMValueRef from_root = LLVMBuildSub(b, bits, tn_lower_whole(bits, 0x3fe6a09e667f3bcd), ""); /* sqrt 1/2 */
  LLVMValueRef e = LLVMBuildAShr(b, from_root, shift, "");
  LLVMValueRef mantissa = double_of(l, LLVMBuildSub(b, bits, LLVMBuildShl(b, e, shift, ""), ""));
  LLVMValueRef small = LLVMBuildTrunc(b, e, tn_lower_like(x, l->i32), "");
  LLVMValueRef power = LLVMBuildSIToFP(b, small, LLVMTypeOf(x), "");
  LLVMValueRef f = sub(l, mantissa, constant(x, 1));
  LLVMValueRef s = divided(l, f, add(l, f, constant(x, 2))), square = mul(l, s, s);
  LLVMValueRef twice = add(l, s, s);
  LLVMValueRef y = mul(l, mul(l, twice, square), tn_lower_horner(l, square, a, TN_ARRAY_LEN(a)));
  y = add(l, twice, y);
  y = tn_lower_muladd(l, power, constant(x, 0x1.62e42fefa39efp-1), y);
  y = tn_lower_select(l, is(l, LLVMRealOLT, x, INFINITY), y, x);
  return tn_lower_select(l, is(l, LLVMRealOEQ, x, 0), constant(x, -INFINITY), y);
}

/* Odd series near zero, where the logarithm of 1 + something small has lost its digits. */
static LLVMValueRef near_zero(tn_lower *l, LLVMValueRef x, double cubic, LLVMValueRef otherwise) {
  LLVMValueRef series = tn_lower_muladd(l, mul(l, mul(l, x, x), x), constant(x, cubic), x);
  return tn_lower_select(l, is(l, LLVMRealOLT, magnitude_of(l, x), 0x1p-10), series, otherwise);
}

static LLVMValueRef wide_log1p(tn_lower *l, LLVMValueRef x) {
  static const double series[] = {1, -1.0 / 2, 1.0 / 3, -1.0 / 4};
  LLVMValueRef small = mul(l, x, tn_lower_horner(l, x, series, TN_ARRAY_LEN(series)));
  LLVMValueRef y = wide_log(l, add(l, x, constant(x, 1)));
  y = tn_lower_select(l, is(l, LLVMRealOLT, magnitude_of(l, x), 0x1p-10), small, y);
  return tn_lower_select(l, is(l, LLVMRealOLT, x, -1), constant(x, NAN), y);
}

static LLVMValueRef wide_asinh(tn_lower *l, LLVMValueRef x) {
  LLVMValueRef a = magnitude_of(l, x);
  LLVMValueRef hypotenuse = root(l, add(l, mul(l, a, a), constant(x, 1)));
  LLVMValueRef y = with_sign(l, wide_log(l, add(l, a, hypotenuse)), x);
  return near_zero(l, x, -1.0 / 6, y);
}

static LLVMValueRef wide_acosh(tn_lower *l, LLVMValueRef x) {
  LLVMValueRef one = constant(x, 1);
  LLVMValueRef leg = root(l, mul(l, sub(l, x, one), add(l, x, one)));
  LLVMValueRef y = wide_log(l, add(l, x, leg));
  return tn_lower_select(l, is(l, LLVMRealOLT, x, 1), constant(x, NAN), y);
}

static LLVMValueRef wide_atanh(tn_lower *l, LLVMValueRef x) {
  LLVMValueRef a = magnitude_of(l, x), one = constant(x, 1);
  LLVMValueRef y = wide_log(l, divided(l, add(l, one, a), sub(l, one, a)));
  y = with_sign(l, mul(l, y, constant(x, 0.5)), x);
  y = tn_lower_select(l, is(l, LLVMRealOGT, a, 1), constant(x, NAN), y);
  return near_zero(l, x, 1.0 / 3, y);
}

static LLVMValueRef wide_sinh(tn_lower *l, LLVMValueRef x) {
  static const double h[] = {0x1.555555550eb9fp-3, 0x1.111111b5e70d7p-7, 0x1.a0182338364f3p-13, 0x1.74013492fdbe0p-19};
  LLVMValueRef a = magnitude_of(l, x), square = mul(l, x, x), e = wide_exp(l, a);
  LLVMValueRef small = tn_lower_muladd(l, mul(l, x, square), tn_lower_horner(l, square, h, TN_ARRAY_LEN(h)), x);
  LLVMValueRef large = mul(l, sub(l, e, divided(l, constant(x, 1), e)), constant(x, 0.5));
  return tn_lower_select(l, is(l, LLVMRealOLT, a, 0.5), small, with_sign(l, large, x));
}

static LLVMValueRef wide_cosh(tn_lower *l, LLVMValueRef x) {
  LLVMValueRef e = wide_exp(l, magnitude_of(l, x));
  return mul(l, add(l, e, divided(l, constant(x, 1), e)), constant(x, 0.5));
}

/* Magnitudes above tan(pi/8) are turned by pi/4 or pi/2, with one division in all. */
static LLVMValueRef wide_atan(tn_lower *l, LLVMValueRef x) {
  static const double c[] = {-0x1.555555550ccfap-2, 0x1.9999992ce0b2fp-3,  -0x1.24922d394e473p-3, 0x1.c7157b57d649ap-4,
                             -0x1.73e13e1c4948dp-4, 0x1.35fec4f10c0c2p-4, -0x1.e2802dde4f484p-5, 0x1.f9e1b824885bap-6};
  LLVMValueRef a = magnitude_of(l, x), one = constant(x, 1);
  LLVMValueRef is_large = is(l, LLVMRealOGT, a, 0x1.3504f333f9de6p1); /* tan(3 pi / 8) */
  LLVMValueRef is_middle = is(l, LLVMRealOGT, a, 0x1.a827999fcef32p-2);
  LLVMValueRef num = tn_lower_select(l, is_middle, sub(l, a, one), a);
  LLVMValueRef den = tn_lower_select(l, is_middle, add(l, a, one), one);
  LLVMValueRef base = tn_lower_select(l, is_middle, constant(x, 0x1.921fb54442d18p-1), constant(x, 0));
  num = tn_lower_select(l, is_large, constant(x, -1), num);
  den = tn_lower_select(l, is_large, a, den);
  base = tn_lower_select(l, is_large, constant(x, 0x1.921fb54442d18p0), base);
  LLVMValueRef t = divided(l, num, den), square = mul(l, t, t);
  LLVMValueRef y = tn_lower_muladd(l, mul(l, t, square), tn_lower_horner(l, square, c, TN_ARRAY_LEN(c)), t);
  return with_sign(l, add(l, base, y), x);
}

static LLVMValueRef wide_asin(tn_lower *l, LLVMValueRef x) {
  LLVMValueRef one = constant(x, 1);
  return wide_atan(l, divided(l, x, root(l, mul(l, sub(l, one, x), add(l, one, x)))));
}

static LLVMValueRef wide_acos(tn_lower *l, LLVMValueRef x) {
  LLVMValueRef one = constant(x, 1);
  LLVMValueRef half = wide_atan(l, root(l, divided(l, sub(l, one, x), add(l, one, x))));
  return add(l, half, half);
}

/* sin, cos or tan for |x| < 2^22: x = q pi/2 + r with pi/2 in three parts, the first two of which have few enough bits
 * for exact products. */
static LLVMValueRef circular_small(tn_lower *l, tn_scalar scalar, LLVMValueRef x) {
  static const double s[] = {-0x1.555555555237fp-3, 0x1.1111110c99ecdp-7, -0x1.a019f94ebb9edp-13, 0x1.71d7769ff3287p-19,
                             -0x1.a9648ed2c04f4p-26};
  static const double c[] = {0x1.5555554f427c4p-5, -0x1.6c16b88bdfaaap-10, 0x1.a0111781584a1p-16,
                             -0x1.242906f639492p-22};
  LLVMBuilderRef b = l->builder;
  LLVMValueRef magic = constant(x, 0x1.8p52);
  LLVMValueRef t = tn_lower_muladd(l, x, constant(x, 0x1.45f306dc9c883p-1), magic);
  LLVMValueRef turns = sub(l, t, magic), quadrant = bits_of(l, t);
  LLVMValueRef r = tn_lower_muladd(l, turns, constant(x, -0x1.921fb54p0), x);
  r = tn_lower_muladd(l, turns, constant(x, -0x1.10b4610p-30), r);
  r = tn_lower_muladd(l, turns, constant(x, -0x1.a62633145c06ep-58), r);
  LLVMValueRef square = mul(l, r, r);
  LLVMValueRef sine = tn_lower_muladd(l, mul(l, r, square), tn_lower_horner(l, square, s, TN_ARRAY_LEN(s)), r);
  LLVMValueRef cosine = mul(l, mul(l, square, square), tn_lower_horner(l, square, c, TN_ARRAY_LEN(c)));
  cosine = add(l, tn_lower_muladd(l, square, constant(x, -0.5), constant(x, 1)), cosine);
  if (scalar == TN_COS) quadrant = LLVMBuildAdd(b, quadrant, tn_lower_whole(quadrant, 1), "");
  LLVMValueRef odd = LLVMBuildAnd(b, quadrant, tn_lower_whole(quadrant, 1), "");
  LLVMValueRef is_odd = LLVMBuildICmp(b, LLVMIntNE, odd, tn_lower_whole(quadrant, 0), "");
  LLVMValueRef first = tn_lower_select(l, is_odd, cosine, sine);
  if (scalar == TN_TAN) {
    LLVMValueRef negated = LLVMBuildFNeg(b, sine, "");
    return divided(l, first, tn_lower_select(l, is_odd, negated, cosine));
  }
  LLVMValueRef sign = LLVMBuildAnd(b, quadrant, tn_lower_whole(quadrant, 2), "");
  sign = LLVMBuildShl(b, sign, tn_lower_whole(quadrant, 62), "");
  return double_of(l, LLVMBuildXor(b, bits_of(l, first), sign, ""));
}

/* Beyond 2^22, which is rare, the reduction needs more of pi than fits: the C library does it, a lane at a time. */
static LLVMValueRef circular(tn_lower *l, tn_scalar scalar, LLVMValueRef x) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef small = circular_small(l, scalar, x);
  LLVMValueRef is_huge = is(l, LLVMRealOGE, magnitude_of(l, x), 0x1p22);
  LLVMBasicBlockRef from = LLVMGetInsertBlock(b);
  LLVMBasicBlockRef huge = tn_lower_block(l, "huge"), go_on = tn_lower_block(l, "reduced");
  LLVMBuildCondBr(b, tn_lower_any(l, is_huge), huge, go_on);
  LLVMPositionBuilderAtEnd(b, huge);
  const char *name = scalar == TN_SIN ? "sin" : scalar == TN_COS ? "cos" : "tan";
  LLVMValueRef slow = tn_lower_libm(l, name, x, NULL);
  LLVMBasicBlockRef end = LLVMGetInsertBlock(b);
  LLVMBuildBr(b, go_on);
  LLVMPositionBuilderAtEnd(b, go_on);
  LLVMValueRef y = LLVMBuildPhi(b, LLVMTypeOf(x), "");
  LLVMAddIncoming(y, (LLVMValueRef[]){small, slow}, (LLVMBasicBlockRef[]){from, end}, 2);
  return y;
}

/* exp(y log |x|), then the cases of C Annex F (F.10.4.5) that this does not give. */
static LLVMValueRef wide_pow(tn_lower *l, LLVMValueRef x, LLVMValueRef y) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef a = magnitude_of(l, x), one = constant(x, 1);
  LLVMValueRef r = wide_exp(l, mul(l, y, wide_log(l, a)));
  LLVMValueRef half = mul(l, y, constant(x, 0.5));
  LLVMValueRef is_whole = LLVMBuildFCmp(b, LLVMRealOEQ, tn_lower_unary(l, "llvm.floor", y), y, "");
  LLVMValueRef is_odd = LLVMBuildFCmp(b, LLVMRealONE, tn_lower_unary(l, "llvm.floor", half), half, "");
  is_odd = LLVMBuildAnd(b, is_odd, is_whole, "");
  LLVMValueRef negative = LLVMBuildICmp(b, LLVMIntSLT, bits_of(l, x), tn_lower_whole(bits_of(l, x), 0), "");
  r = tn_lower_select(l, LLVMBuildAnd(b, negative, is_odd, ""), LLVMBuildFNeg(b, r, ""), r);
  LLVMValueRef is_below = LLVMBuildAnd(b, is(l, LLVMRealOLT, x, 0), is(l, LLVMRealOGT, x, -INFINITY), "");
  LLVMValueRef has_no_value = LLVMBuildAnd(b, is_below, LLVMBuildNot(b, is_whole, ""), "");
  r = tn_lower_select(l, has_no_value, constant(x, NAN), r);
  LLVMValueRef is_endless = is(l, LLVMRealOEQ, magnitude_of(l, y), INFINITY);
  LLVMValueRef gives_one = LLVMBuildAnd(b, is(l, LLVMRealOEQ, a, 1), is_endless, "");
  gives_one = LLVMBuildOr(b, gives_one, is(l, LLVMRealOEQ, x, 1), "");
  gives_one = LLVMBuildOr(b, gives_one, is(l, LLVMRealOEQ, y, 0), "");
  return tn_lower_select(l, gives_one, one, r);
}

static LLVMValueRef wide(tn_lower *l, tn_scalar scalar, LLVMValueRef x, LLVMValueRef y) {
  switch (scalar) {
    case TN_LOG1P: return wide_log1p(l, x);
    case TN_SIN:
    case TN_COS:
    case TN_TAN: return circular(l, scalar, x);
    case TN_ASIN: return wide_asin(l, x);
    case TN_ACOS: return wide_acos(l, x);
    case TN_ATAN: return wide_atan(l, x);
    case TN_SINH: return wide_sinh(l, x);
    case TN_COSH: return wide_cosh(l, x);
    case TN_ASINH: return wide_asinh(l, x);
    case TN_ACOSH: return wide_acosh(l, x);
    case TN_ATANH: return wide_atanh(l, x);
    case TN_POW: return wide_pow(l, x, y);
    default: TN_ASSERT(false); return x;
  }
}

LLVMValueRef tn_lower_math_wide(tn_lower *l, tn_scalar scalar, LLVMValueRef x, LLVMValueRef y) {
  LLVMTypeRef type = tn_lower_like(x, l->f64);
  LLVMValueRef wide_x = LLVMBuildFPExt(l->builder, x, type, "");
  LLVMValueRef wide_y = y == NULL ? NULL : LLVMBuildFPExt(l->builder, y, type, "");
  return LLVMBuildFPTrunc(l->builder, wide(l, scalar, wide_x, wide_y), LLVMTypeOf(x), "");
}
