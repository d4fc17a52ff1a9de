/* The scalar ops of the reference: one element of each row of scalar.def, as ir/IR.md section 7 defines it. Floats are
 * computed in double; for f32 and narrower, rounding that once equals IEEE arithmetic in the type (double has more than
 * twice its digits plus two), but for fma, which is done in its own type. */
#include <math.h>

#include "ir/eval.h"

static bool is_compare(tn_scalar scalar) { return scalar >= TN_EQ && scalar <= TN_IS_FINITE; }

static double sign_of(double x) {
  if (isnan(x) || x == 0.0) return x;
  return x < 0 ? -1.0 : 1.0;
}

static double mod_float(double x, double y) {
  double rest = fmod(x, y);
  return rest != 0.0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

static double fused(tn_dtype dtype, bool exact, double x, double y, double z) {
  if (exact && dtype != TN_F64) return (double)fmaf((float)x, (float)y, (float)z);
  return fma(x, y, z);
}

static double apply_float(tn_scalar scalar, tn_dtype dtype, bool exact, const tn_number *args) {
  double x = args[0].f;
  switch (scalar) {
    case TN_NEG: return -x;
    case TN_ABS: return fabs(x);
    case TN_SIGN: return sign_of(x);
    case TN_ADD: return x + args[1].f;
    case TN_SUB: return x - args[1].f;
    case TN_MUL: return x * args[1].f;
    case TN_DIV: return x / args[1].f;
    case TN_REM: return fmod(x, args[1].f);
    case TN_MOD: return mod_float(x, args[1].f);
    case TN_MAX: return isnan(x) || isnan(args[1].f) ? NAN : (x > args[1].f ? x : args[1].f);
    case TN_MIN: return isnan(x) || isnan(args[1].f) ? NAN : (x < args[1].f ? x : args[1].f);
    case TN_FLOOR: return floor(x);
    case TN_CEIL: return ceil(x);
    case TN_TRUNC: return trunc(x);
    case TN_ROUND: return nearbyint(x);
    case TN_SQRT: return sqrt(x);
    case TN_RSQRT: return 1.0 / sqrt(x);
    case TN_EXP: return exp(x);
    case TN_EXPM1: return expm1(x);
    case TN_LOG: return log(x);
    case TN_LOG1P: return log1p(x);
    case TN_SIN: return sin(x);
    case TN_COS: return cos(x);
    case TN_TAN: return tan(x);
    case TN_ASIN: return asin(x);
    case TN_ACOS: return acos(x);
    case TN_ATAN: return atan(x);
    case TN_SINH: return sinh(x);
    case TN_COSH: return cosh(x);
    case TN_TANH: return tanh(x);
    case TN_ASINH: return asinh(x);
    case TN_ACOSH: return acosh(x);
    case TN_ATANH: return atanh(x);
    case TN_ERF: return erf(x);
    case TN_POW: return pow(x, args[1].f);
    case TN_FMA: return fused(dtype, exact, x, args[1].f, args[2].f);
    default: TN_ASSERT(false); return x;
  }
}

static bool compare_float(tn_scalar scalar, const tn_number *args) {
  double x = args[0].f;
  switch (scalar) {
    case TN_EQ: return x == args[1].f;
    case TN_NE: return x != args[1].f;
    case TN_LT: return x < args[1].f;
    case TN_LE: return x <= args[1].f;
    case TN_GT: return x > args[1].f;
    case TN_GE: return x >= args[1].f;
    case TN_IS_NAN: return isnan(x);
    case TN_IS_INF: return isinf(x);
    case TN_IS_FINITE: return isfinite(x);
    default: TN_ASSERT(false); return false;
  }
}

static bool less_integer(bool is_signed, tn_number x, tn_number y) { return is_signed ? x.i < y.i : x.u < y.u; }

static bool compare_integer(tn_scalar scalar, bool is_signed, tn_number x, tn_number y) {
  switch (scalar) {
    case TN_EQ: return x.u == y.u;
    case TN_NE: return x.u != y.u;
    case TN_LT: return less_integer(is_signed, x, y);
    case TN_LE: return !less_integer(is_signed, y, x);
    case TN_GT: return less_integer(is_signed, y, x);
    case TN_GE: return !less_integer(is_signed, x, y);
    default: TN_ASSERT(false); return false;
  }
}

/* Quotient toward zero and its rest; by zero both are 0, MIN / -1 is MIN with rest 0. */
static void divide(bool is_signed, tn_number x, tn_number y, tn_number *out_quotient, tn_number *out_rest) {
  out_quotient->u = out_rest->u = 0;
  if (y.u == 0) return;
  if (!is_signed) {
    out_quotient->u = x.u / y.u;
    out_rest->u = x.u % y.u;
  } else if (y.i == -1) {
    out_quotient->u = 0 - x.u;
  } else {
    out_quotient->i = x.i / y.i;
    out_rest->i = x.i % y.i;
  }
}

static tn_number shift(tn_scalar scalar, tn_dtype dtype, tn_number x, tn_number y) {
  unsigned bits = tn_dtype_bits(dtype);
  bool is_signed = tn_dtype_is_signed(dtype);
  bool too_far = is_signed ? y.i < 0 || y.i >= (int64_t)bits : y.u >= bits;
  if (scalar == TN_SHL) return (tn_number){.u = too_far ? 0 : x.u << y.u};
  if (is_signed) return (tn_number){.i = x.i >> (too_far ? 63 : y.i)};
  return (tn_number){.u = too_far ? 0 : x.u >> y.u};
}

static tn_number popcount(tn_dtype dtype, tn_number x) {
  unsigned bits = tn_dtype_bits(dtype);
  uint64_t mask = bits >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << bits) - 1;
  return (tn_number){.i = __builtin_popcountll(x.u & mask)};
}

static tn_number apply_integer(tn_scalar scalar, tn_dtype dtype, const tn_number *args) {
  bool is_signed = tn_dtype_is_signed(dtype);
  tn_number x = args[0], quotient, rest;
  switch (scalar) {
    case TN_NEG: return (tn_number){.u = 0 - x.u};
    case TN_ABS: return is_signed && x.i < 0 ? (tn_number){.u = 0 - x.u} : x;
    case TN_SIGN: return is_signed ? (tn_number){.i = (x.i > 0) - (x.i < 0)} : (tn_number){.u = x.u > 0};
    case TN_ADD: return (tn_number){.u = x.u + args[1].u};
    case TN_SUB: return (tn_number){.u = x.u - args[1].u};
    case TN_MUL: return (tn_number){.u = x.u * args[1].u};
    case TN_DIV: divide(is_signed, x, args[1], &quotient, &rest); return quotient;
    case TN_REM: divide(is_signed, x, args[1], &quotient, &rest); return rest;
    case TN_MOD:
      divide(is_signed, x, args[1], &quotient, &rest);
      if (is_signed && rest.i != 0 && (rest.i < 0) != (args[1].i < 0)) rest.i += args[1].i;
      return rest;
    case TN_MAX: return less_integer(is_signed, x, args[1]) ? args[1] : x;
    case TN_MIN: return less_integer(is_signed, x, args[1]) ? x : args[1];
    case TN_NOT: return (tn_number){.u = dtype == TN_BOOL ? x.u == 0 : ~x.u};
    case TN_AND: return (tn_number){.u = x.u & args[1].u};
    case TN_OR: return (tn_number){.u = x.u | args[1].u};
    case TN_XOR: return (tn_number){.u = x.u ^ args[1].u};
    case TN_SHL:
    case TN_SHR: return shift(scalar, dtype, x, args[1]);
    case TN_POPCOUNT: return popcount(dtype, x);
    default: TN_ASSERT(false); return x;
  }
}

tn_number tn_scalar_apply(tn_scalar scalar, tn_dtype dtype, tn_dtype to, bool exact, const tn_number *args) {
  bool is_float = tn_dtype_is_float(dtype);
  if (scalar == TN_SELECT) return args[0].i != 0 ? args[1] : args[2];
  if (scalar == TN_CAST) {
    if (!exact && tn_dtype_is_float(to)) {
      if (is_float) return args[0];
      to = TN_F64; /* wide: a float value stays a double */
    }
    return tn_number_cast(dtype, to, args[0]);
  }
  if (is_compare(scalar)) {
    bool is_signed = tn_dtype_is_signed(dtype) || dtype == TN_BOOL;
    bool truth = is_float ? compare_float(scalar, args) : compare_integer(scalar, is_signed, args[0], args[1]);
    return (tn_number){.i = truth};
  }
  if (is_float) {
    double v = apply_float(scalar, dtype, exact, args);
    return (tn_number){.f = exact ? tn_number_round_float(dtype, v) : v};
  }
  return tn_number_wrap(dtype, apply_integer(scalar, dtype, args));
}
