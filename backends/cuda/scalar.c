/* The scalar ops in CUDA C, from ir/scalar.def: an op without its row here does not compile.
 *
 * In a row $0 $1 $2 are the operands, $T the C type computed in, $U the unsigned type that arithmetic wraps in, $W the
 * unsigned type of the same width, $F the end of the name of a function of math.h, $n that of a helper of the prelude,
 * $b the bits of the type. */
#include <string.h>

#include "backends/cuda/cuda.h"

typedef struct spelling {
  const char *of_float, *of_signed, *of_unsigned, *of_bool; /* NULL: not defined */
} spelling;

#define MATH(name) {name "$F($0)", NULL, NULL, NULL}
#define WRAPPED(op) "($T)(($U)$0 " op " ($U)$1)"
#define ARITHMETIC(op) {"$0 " op " $1", WRAPPED(op), WRAPPED(op), NULL}
#define DIVISION(op, name) {op, "($T)tn_" name "_s($0, $1)", "($T)tn_" name "_u($0, $1)", NULL}
#define PICK(op, name) {"tn_" name "_$n($0, $1)", "($T)($0 " op " $1 ? $0 : $1)", "($T)($0 " op " $1 ? $0 : $1)", NULL}
#define BITS(op) {NULL, "($T)($0 " op " $1)", "($T)($0 " op " $1)", "(bool)($0 " op " $1)"}
#define SAME(op) {"$0 " op " $1", "$0 " op " $1", "$0 " op " $1", "$0 " op " $1"}
#define ORDER(op) {"$0 " op " $1", "$0 " op " $1", "$0 " op " $1", NULL}
#define ANY(text) {text, text, text, text}

#define SPELL_TN_NEG {"-$0", "($T)(0 - ($U)$0)", "($T)(0 - ($U)$0)", NULL}
#define SPELL_TN_ABS {"fabs$F($0)", "($T)($0 < 0 ? 0 - ($U)$0 : ($U)$0)", "$0", NULL}
#define SPELL_TN_SIGN {"($0 > 0 ? ($T)1 : $0 < 0 ? ($T)-1 : $0)", "($T)(($0 > 0) - ($0 < 0))", "($T)($0 > 0)", NULL}
#define SPELL_TN_ADD ARITHMETIC("+")
#define SPELL_TN_SUB ARITHMETIC("-")
#define SPELL_TN_MUL ARITHMETIC("*")
#define SPELL_TN_DIV DIVISION("$0 / $1", "div")
#define SPELL_TN_REM DIVISION("fmod$F($0, $1)", "rem")
#define SPELL_TN_MOD DIVISION("tn_mod_$n($0, $1)", "mod")
#define SPELL_TN_MAX PICK(">", "max")
#define SPELL_TN_MIN PICK("<", "min")
#define SPELL_TN_FLOOR MATH("floor")
#define SPELL_TN_CEIL MATH("ceil")
#define SPELL_TN_TRUNC MATH("trunc")
#define SPELL_TN_ROUND MATH("rint")
#define SPELL_TN_SQRT MATH("sqrt")
#define SPELL_TN_RSQRT {"($T)1 / sqrt$F($0)", NULL, NULL, NULL}
#define SPELL_TN_EXP MATH("exp")
#define SPELL_TN_EXPM1 MATH("expm1")
#define SPELL_TN_LOG MATH("log")
#define SPELL_TN_LOG1P MATH("log1p")
#define SPELL_TN_SIN MATH("sin")
#define SPELL_TN_COS MATH("cos")
/* CUDA's tanf is off by up to 4 ulp, twice what is allowed. */
#define SPELL_TN_TAN {"($T)tan((double)$0)", NULL, NULL, NULL}
#define SPELL_TN_ASIN MATH("asin")
#define SPELL_TN_ACOS MATH("acos")
#define SPELL_TN_ATAN MATH("atan")
#define SPELL_TN_SINH MATH("sinh")
#define SPELL_TN_COSH MATH("cosh")
#define SPELL_TN_TANH MATH("tanh")
#define SPELL_TN_ASINH MATH("asinh")
#define SPELL_TN_ACOSH MATH("acosh")
#define SPELL_TN_ATANH MATH("atanh")
#define SPELL_TN_ERF MATH("erf")
#define SPELL_TN_POW {"pow$F($0, $1)", NULL, NULL, NULL}
#define SPELL_TN_FMA {"fma$F($0, $1, $2)", NULL, NULL, NULL}
#define SPELL_TN_NOT {NULL, "($T)~$0", "($T)~$0", "!$0"}
#define SPELL_TN_AND BITS("&")
#define SPELL_TN_OR BITS("|")
#define SPELL_TN_XOR BITS("^")
#define SPELL_TN_SHL {NULL, "($T)tn_shl($W$0, $1, $b)", "($T)tn_shl($0, (long long)$1, $b)", NULL}
#define SPELL_TN_SHR {NULL, "($T)tn_shr_s($0, $1, $b)", "($T)tn_shr_u($0, (long long)$1, $b)", NULL}
#define SPELL_TN_POPCOUNT {NULL, "($T)tn_popcount($W$0)", "($T)tn_popcount($0)", NULL}
#define SPELL_TN_EQ SAME("==")
#define SPELL_TN_NE SAME("!=")
#define SPELL_TN_LT ORDER("<")
#define SPELL_TN_LE ORDER("<=")
#define SPELL_TN_GT ORDER(">")
#define SPELL_TN_GE ORDER(">=")
#define SPELL_TN_IS_NAN {"$0 != $0", NULL, NULL, NULL}
#define SPELL_TN_IS_INF {"fabs$F($0) == tn_inf_$n()", NULL, NULL, NULL}
#define SPELL_TN_IS_FINITE {"fabs$F($0) < tn_inf_$n()", NULL, NULL, NULL}
#define SPELL_TN_SELECT ANY("$0 ? $1 : $2")
#define SPELL_TN_CAST {NULL, NULL, NULL, NULL} /* tn_cuda_cast */

static const spelling spellings[TN_N_SCALARS] = {
#define X(enumerator, name, arity, in, out) [enumerator] = SPELL_##enumerator,
#include "ir/scalar.def"
#undef X
};

static const char *row_of(tn_scalar scalar, tn_dtype dtype) {
  const spelling *row = &spellings[scalar];
  switch (tn_dtype_class_of(dtype)) {
    case TN_CLASS_FLOAT: return row->of_float;
    case TN_CLASS_SIGNED: return row->of_signed;
    case TN_CLASS_UNSIGNED: return row->of_unsigned;
    case TN_CLASS_BOOL: return row->of_bool;
    case TN_CLASS_TEXT: break;
  }
  return NULL;
}

static void put_part(tn_buf *out, char what, tn_dtype dtype, const char *const *in) {
  const tn_cuda_type *type = tn_cuda_type_of(dtype);
  switch (what) {
    case 'T': tn_buf_puts(out, type->compute); break;
    case 'U': tn_buf_puts(out, type->wide); break;
    case 'W': tn_buf_printf(out, "(%s)", type->unsigned_same); break;
    case 'F': tn_buf_puts(out, dtype == TN_F64 ? "" : "f"); break;
    case 'n': tn_buf_puts(out, type->suffix); break;
    case 'b': tn_buf_printf(out, "%u", tn_dtype_bits(dtype)); break;
    default: tn_buf_puts(out, in[what - '0']);
  }
}

const char *tn_cuda_scalar(tn_arena *arena, tn_scalar scalar, tn_dtype from, tn_dtype to, const char *const *in) {
  if (scalar == TN_CAST) return tn_cuda_cast(arena, from, to, true, in[0]);
  const char *row = row_of(scalar, from);
  if (row == NULL) return NULL;
  tn_buf out = tn_buf_create(arena);
  for (; *row; row++) {
    if (*row == '$') put_part(&out, *++row, from, in);
    else tn_buf_putc(&out, *row);
  }
  return out.data;
}

/* Rounding once: from double or a 64-bit integer to a short float by way of float would round twice, so the way there
 * rounds to odd. */
static const char *to_float(tn_arena *arena, tn_dtype from, tn_dtype to, bool round, const char *v) {
  if (to == TN_F64) return from == TN_F64 ? v : tn_arena_printf(arena, "(double)%s", v);
  bool is_short = to != TN_F32 && round;
  const char *f = v;
  if (is_short && (from == TN_F64 || from == TN_I64 || from == TN_U64))
    f = tn_arena_printf(arena, "tn_odd_%s(%s)", tn_dtype_name(from), v);
  else if (is_short && (from == TN_I32 || from == TN_U32))
    f = tn_arena_printf(arena, "tn_odd_f64((double)%s)", v);
  else if (!tn_dtype_is_float(from) || from == TN_F64)
    f = tn_arena_printf(arena, "(float)%s", v);
  if (!is_short || from == to) return f;
  const tn_cuda_type *type = tn_cuda_type_of(to);
  return tn_arena_printf(arena, "%s(%s(%s))", type->load, type->store, f);
}

const char *tn_cuda_cast(tn_arena *arena, tn_dtype from, tn_dtype to, bool round, const char *v) {
  const tn_cuda_type *type = tn_cuda_type_of(to);
  if (tn_dtype_is_float(to)) return to_float(arena, from, to, round, v);
  if (from == to) return v;
  if (to == TN_BOOL) return tn_arena_printf(arena, "%s != 0", v);
  if (tn_dtype_is_float(from)) return tn_arena_printf(arena, "tn_%s_of_float(%s)", type->suffix, v);
  return tn_arena_printf(arena, "(%s)%s", type->compute, v);
}

const char *tn_cuda_multiply_add(tn_arena *arena, tn_dtype dtype, const char *const *in) {
  if (tn_dtype_is_float(dtype)) return tn_cuda_scalar(arena, TN_FMA, dtype, dtype, in);
  const char *product = tn_cuda_scalar(arena, TN_MUL, dtype, dtype, in);
  const char *sum[] = {in[2], product};
  return tn_cuda_scalar(arena, TN_ADD, dtype, dtype, sum);
}

tn_scalar tn_cuda_fold_scalar(tn_fold fold) {
  static const tn_scalar scalars[] = {
      [TN_FOLD_SUM] = TN_ADD, [TN_FOLD_PROD] = TN_MUL, [TN_FOLD_MAX] = TN_MAX,
      [TN_FOLD_MIN] = TN_MIN, [TN_FOLD_AND] = TN_AND,  [TN_FOLD_OR] = TN_OR};
  return scalars[fold];
}
