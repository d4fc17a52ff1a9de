/* The scalar ops of ir/scalar.def on registers, with the semantics of ir/IR.md section 7: wrapping integers, divisions
 * that never trap, shifts of any count, max and min that keep NaN. */
#include "backends/cpu/llvm/lower.h"

static LLVMValueRef zero_of(LLVMValueRef x) { return LLVMConstNull(LLVMTypeOf(x)); }

static bool is_number_constant(LLVMValueRef x) {
  /* A splat constant: element 0 stands for all; good enough to see that it is not NaN. */
  if (!LLVMIsConstant(x)) return false;
  LLVMValueRef element = x;
  if (LLVMGetTypeKind(LLVMTypeOf(x)) == LLVMVectorTypeKind) {
    if (LLVMIsNull(x)) return true;
    element = LLVMGetAggregateElement(x, 0);
  }
  if (element == NULL || LLVMIsAConstantFP(element) == NULL) return false;
  LLVMBool loses;
  double v = LLVMConstRealGetDouble(element, &loses);
  return v == v;
}

/* NaN when either is: the machine's max gives the second operand when one is NaN, so only a NaN in x needs more. */
static LLVMValueRef extreme_float(tn_lower *l, bool is_max, LLVMValueRef x, LLVMValueRef y) {
  LLVMBuilderRef b = l->builder;
  if (!is_number_constant(x) && is_number_constant(y)) {
    LLVMValueRef swap = x;
    x = y;
    y = swap;
  }
  LLVMValueRef better = LLVMBuildFCmp(b, is_max ? LLVMRealOGT : LLVMRealOLT, x, y, "");
  LLVMValueRef r = tn_lower_select(l, better, x, y);
  if (is_number_constant(x)) return r;
  return tn_lower_select(l, LLVMBuildFCmp(b, LLVMRealUNO, x, x, ""), x, r);
}

static LLVMValueRef extreme(tn_lower *l, bool is_max, tn_dtype dtype, LLVMValueRef x, LLVMValueRef y) {
  if (tn_dtype_is_float(dtype)) return extreme_float(l, is_max, x, y);
  if (dtype == TN_BOOL)
    return is_max ? LLVMBuildOr(l->builder, x, y, "") : LLVMBuildAnd(l->builder, x, y, "");
  bool is_signed = tn_dtype_is_signed(dtype);
  const char *name = is_max ? (is_signed ? "llvm.smax" : "llvm.umax") : (is_signed ? "llvm.smin" : "llvm.umin");
  return tn_lower_binary(l, name, x, y);
}

static LLVMValueRef sign_float(tn_lower *l, LLVMValueRef x) {
  LLVMValueRef keeps = LLVMBuildFCmp(l->builder, LLVMRealUEQ, x, zero_of(x), "");
  LLVMValueRef one = tn_lower_binary(l, "llvm.copysign", tn_lower_real(x, 1), x);
  return tn_lower_select(l, keeps, x, one);
}

static LLVMValueRef sign_int(tn_lower *l, bool is_signed, LLVMValueRef x) {
  LLVMBuilderRef b = l->builder;
  LLVMTypeRef type = LLVMTypeOf(x);
  if (!is_signed) return LLVMBuildZExt(b, LLVMBuildICmp(b, LLVMIntNE, x, zero_of(x), ""), type, "");
  LLVMValueRef positive = LLVMBuildZExt(b, LLVMBuildICmp(b, LLVMIntSGT, x, zero_of(x), ""), type, "");
  LLVMValueRef negative = LLVMBuildSExt(b, LLVMBuildICmp(b, LLVMIntSLT, x, zero_of(x), ""), type, "");
  return LLVMBuildOr(b, positive, negative, "");
}

/* Quotient (rest) toward zero with a divisor that cannot trap: x / 0 = x % 0 = 0, MIN / -1 = MIN, MIN % -1 = 0. */
static LLVMValueRef divide_int(tn_lower *l, bool is_signed, bool wants_rest, LLVMValueRef x, LLVMValueRef y) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef one = tn_lower_whole(y, 1), by_zero = LLVMBuildICmp(b, LLVMIntEQ, y, zero_of(y), "");
  LLVMValueRef divisor = tn_lower_select(l, by_zero, one, y);
  LLVMValueRef r;
  if (is_signed) {
    LLVMValueRef by_minus_one = LLVMBuildICmp(b, LLVMIntEQ, y, LLVMConstAllOnes(LLVMTypeOf(y)), "");
    divisor = tn_lower_select(l, by_minus_one, one, divisor);
    r = wants_rest ? LLVMBuildSRem(b, x, divisor, "") : LLVMBuildSDiv(b, x, divisor, "");
    if (!wants_rest) r = tn_lower_select(l, by_minus_one, LLVMBuildNeg(b, x, ""), r);
  } else {
    r = wants_rest ? LLVMBuildURem(b, x, divisor, "") : LLVMBuildUDiv(b, x, divisor, "");
  }
  return tn_lower_select(l, by_zero, zero_of(r), r);
}

static LLVMValueRef modulo(tn_lower *l, tn_dtype dtype, LLVMValueRef x, LLVMValueRef y) {
  LLVMBuilderRef b = l->builder;
  if (tn_dtype_is_float(dtype)) {
    LLVMValueRef r = LLVMBuildFRem(b, x, y, "");
    LLVMValueRef differ = LLVMBuildXor(b, LLVMBuildFCmp(b, LLVMRealOLT, r, zero_of(r), ""),
                                       LLVMBuildFCmp(b, LLVMRealOLT, y, zero_of(r), ""), "");
    LLVMValueRef adds = LLVMBuildAnd(b, differ, LLVMBuildFCmp(b, LLVMRealUNE, r, zero_of(r), ""), "");
    return tn_lower_select(l, adds, LLVMBuildFAdd(b, r, y, ""), r);
  }
  bool is_signed = tn_dtype_is_signed(dtype);
  LLVMValueRef r = divide_int(l, is_signed, true, x, y);
  if (!is_signed) return r;
  LLVMValueRef differ = LLVMBuildICmp(b, LLVMIntSLT, LLVMBuildXor(b, r, y, ""), zero_of(r), "");
  LLVMValueRef adds = LLVMBuildAnd(b, differ, LLVMBuildICmp(b, LLVMIntNE, r, zero_of(r), ""), "");
  return tn_lower_select(l, adds, LLVMBuildAdd(b, r, y, ""), r);
}

/* A count of the width or more (negative ones too) gives 0, or the sign fill. */
static LLVMValueRef shift(tn_lower *l, bool is_left, tn_dtype dtype, LLVMValueRef x, LLVMValueRef count) {
  LLVMBuilderRef b = l->builder;
  unsigned bits = tn_dtype_bits(dtype);
  LLVMValueRef in_range = LLVMBuildICmp(b, LLVMIntULT, count, tn_lower_whole(count, bits), "");
  if (!is_left && tn_dtype_is_signed(dtype)) {
    LLVMValueRef most = tn_lower_select(l, in_range, count, tn_lower_whole(count, bits - 1));
    return LLVMBuildAShr(b, x, most, "");
  }
  LLVMValueRef safe = tn_lower_select(l, in_range, count, zero_of(count));
  LLVMValueRef r = is_left ? LLVMBuildShl(b, x, safe, "") : LLVMBuildLShr(b, x, safe, "");
  return tn_lower_select(l, in_range, r, zero_of(r));
}

static LLVMValueRef popcount(tn_lower *l, tn_dtype dtype, LLVMValueRef x) {
  unsigned bits = tn_dtype_bits(dtype);
  if (bits < 8) x = LLVMBuildAnd(l->builder, x, tn_lower_whole(x, (1u << bits) - 1), "");
  return tn_lower_unary(l, "llvm.ctpop", x);
}

static LLVMValueRef compare(tn_lower *l, tn_scalar scalar, tn_dtype dtype, LLVMValueRef x, LLVMValueRef y) {
  static const LLVMRealPredicate real[] = {LLVMRealOEQ, LLVMRealUNE, LLVMRealOLT,
                                           LLVMRealOLE, LLVMRealOGT, LLVMRealOGE};
  static const LLVMIntPredicate plus[] = {LLVMIntEQ, LLVMIntNE, LLVMIntULT, LLVMIntULE, LLVMIntUGT, LLVMIntUGE};
  static const LLVMIntPredicate both[] = {LLVMIntEQ, LLVMIntNE, LLVMIntSLT, LLVMIntSLE, LLVMIntSGT, LLVMIntSGE};
  unsigned row = (unsigned)(scalar - TN_EQ);
  if (tn_dtype_is_float(dtype)) return LLVMBuildFCmp(l->builder, real[row], x, y, "");
  return LLVMBuildICmp(l->builder, tn_dtype_is_signed(dtype) ? both[row] : plus[row], x, y, "");
}

static LLVMValueRef classify(tn_lower *l, tn_scalar scalar, LLVMValueRef x) {
  if (scalar == TN_IS_NAN) return LLVMBuildFCmp(l->builder, LLVMRealUNO, x, x, "");
  LLVMValueRef magnitude = tn_lower_unary(l, "llvm.fabs", x);
  LLVMValueRef infinity = tn_lower_real(x, (double)__builtin_inff());
  return LLVMBuildFCmp(l->builder, scalar == TN_IS_INF ? LLVMRealOEQ : LLVMRealOLT, magnitude, infinity, "");
}

static LLVMValueRef float_op(tn_lower *l, tn_scalar scalar, LLVMValueRef *in) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef x = in[0];
  switch (scalar) {
    case TN_NEG: return LLVMBuildFNeg(b, x, "");
    case TN_ABS: return tn_lower_unary(l, "llvm.fabs", x);
    case TN_SIGN: return sign_float(l, x);
    case TN_ADD: return LLVMBuildFAdd(b, x, in[1], "");
    case TN_SUB: return LLVMBuildFSub(b, x, in[1], "");
    case TN_MUL: return LLVMBuildFMul(b, x, in[1], "");
    case TN_DIV: return LLVMBuildFDiv(b, x, in[1], "");
    case TN_REM: return LLVMBuildFRem(b, x, in[1], "");
    case TN_FLOOR: return tn_lower_unary(l, "llvm.floor", x);
    case TN_CEIL: return tn_lower_unary(l, "llvm.ceil", x);
    case TN_TRUNC: return tn_lower_unary(l, "llvm.trunc", x);
    case TN_ROUND: return tn_lower_unary(l, "llvm.roundeven", x);
    case TN_SQRT: return tn_lower_unary(l, "llvm.sqrt", x);
    case TN_RSQRT: return LLVMBuildFDiv(b, tn_lower_real(x, 1), tn_lower_unary(l, "llvm.sqrt", x), "");
    case TN_FMA: return tn_lower_intrinsic(l, "llvm.fma", in, 3, 1);
    default: return tn_lower_math(l, scalar, x, scalar == TN_POW ? in[1] : NULL);
  }
}

static LLVMValueRef int_op(tn_lower *l, tn_scalar scalar, tn_dtype dtype, LLVMValueRef *in) {
  LLVMBuilderRef b = l->builder;
  bool is_signed = tn_dtype_is_signed(dtype);
  LLVMValueRef x = in[0];
  switch (scalar) {
    case TN_NEG: return LLVMBuildNeg(b, x, "");
    case TN_ABS:
      if (!is_signed) return x;
      return tn_lower_intrinsic(l, "llvm.abs", (LLVMValueRef[]){x, LLVMConstInt(l->i1, 0, false)}, 2, 1);
    case TN_SIGN: return sign_int(l, is_signed, x);
    case TN_ADD: return LLVMBuildAdd(b, x, in[1], "");
    case TN_SUB: return LLVMBuildSub(b, x, in[1], "");
    case TN_MUL: return LLVMBuildMul(b, x, in[1], "");
    case TN_DIV: return divide_int(l, is_signed, false, x, in[1]);
    case TN_REM: return divide_int(l, is_signed, true, x, in[1]);
    case TN_NOT: return LLVMBuildNot(b, x, "");
    case TN_AND: return LLVMBuildAnd(b, x, in[1], "");
    case TN_OR: return LLVMBuildOr(b, x, in[1], "");
    case TN_XOR: return LLVMBuildXor(b, x, in[1], "");
    case TN_SHL: return shift(l, true, dtype, x, in[1]);
    case TN_SHR: return shift(l, false, dtype, x, in[1]);
    case TN_POPCOUNT: return popcount(l, dtype, x);
    default: TN_ASSERT(false); return x;
  }
}

LLVMValueRef tn_lower_scalar(tn_lower *l, tn_scalar scalar, tn_dtype dtype, tn_dtype to, LLVMValueRef *in) {
  switch (scalar) {
    case TN_CAST: return tn_lower_cast(l, dtype, to, in[0]);
    case TN_SELECT: return tn_lower_select(l, in[0], in[1], in[2]);
    case TN_EQ:
    case TN_NE:
    case TN_LT:
    case TN_LE:
    case TN_GT:
    case TN_GE: return compare(l, scalar, dtype, in[0], in[1]);
    case TN_IS_NAN:
    case TN_IS_INF:
    case TN_IS_FINITE: return classify(l, scalar, in[0]);
    case TN_MAX: return extreme(l, true, dtype, in[0], in[1]);
    case TN_MIN: return extreme(l, false, dtype, in[0], in[1]);
    case TN_MOD: return modulo(l, dtype, in[0], in[1]);
    default: break;
  }
  if (tn_dtype_is_float(dtype)) return float_op(l, scalar, in);
  return tn_lower_wrap(l, dtype, int_op(l, scalar, dtype, in));
}

LLVMValueRef tn_lower_fold_pair(tn_lower *l, tn_fold fold, tn_dtype dtype, LLVMValueRef x, LLVMValueRef y) {
  LLVMValueRef in[2] = {x, y};
  switch (fold) {
    case TN_FOLD_SUM: return tn_lower_scalar(l, TN_ADD, dtype, dtype, in);
    case TN_FOLD_PROD: return tn_lower_scalar(l, TN_MUL, dtype, dtype, in);
    case TN_FOLD_MAX: return tn_lower_scalar(l, TN_MAX, dtype, dtype, in);
    case TN_FOLD_MIN: return tn_lower_scalar(l, TN_MIN, dtype, dtype, in);
    case TN_FOLD_AND: return LLVMBuildAnd(l->builder, x, y, "");
    case TN_FOLD_OR: return LLVMBuildOr(l->builder, x, y, "");
  }
  TN_ASSERT(false);
  return x;
}

LLVMValueRef tn_lower_hfold(tn_lower *l, tn_fold fold, tn_dtype dtype, LLVMValueRef v) {
  uint32_t lanes = tn_lower_lanes(v);
  TN_ASSERT((lanes & (lanes - 1)) == 0);
  if (dtype == TN_BOOL && (fold == TN_FOLD_AND || fold == TN_FOLD_MIN)) return tn_lower_all(l, v);
  if (dtype == TN_BOOL) return tn_lower_any(l, v);
  for (uint32_t half = lanes / 2; half >= 1; half /= 2) {
    LLVMValueRef low = tn_lower_lanes_of(l, v, 0, half), high = tn_lower_lanes_of(l, v, half, half);
    v = tn_lower_fold_pair(l, fold, dtype, low, high);
  }
  return v;
}
