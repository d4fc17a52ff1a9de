/* The elementwise primitives in ONNX. An operand that is a broadcast is given as it was before: ONNX's operators
 * broadcast themselves. What ONNX leaves undefined and tenon defines (integers divided by zero, shifts by the width)
 * is guarded, unless the divisor or count is a constant that needs none. */
#include "ir/ops/export.h"

#include <string.h>

/* ONNX operators that are the scalar, in the order of scalar.def; NULL: several, below. */
static const char *const plain[TN_N_SCALARS] = {
    [TN_NEG] = "Neg", [TN_ABS] = "Abs", [TN_SIGN] = "Sign", [TN_ADD] = "Add", [TN_SUB] = "Sub", [TN_MUL] = "Mul",
    [TN_DIV] = "Div", [TN_MAX] = "Max", [TN_MIN] = "Min", [TN_FLOOR] = "Floor", [TN_CEIL] = "Ceil",
    [TN_ROUND] = "Round", [TN_SQRT] = "Sqrt", [TN_EXP] = "Exp", [TN_LOG] = "Log", [TN_SIN] = "Sin", [TN_COS] = "Cos",
    [TN_TAN] = "Tan", [TN_ASIN] = "Asin", [TN_ACOS] = "Acos", [TN_ATAN] = "Atan", [TN_SINH] = "Sinh",
    [TN_COSH] = "Cosh", [TN_TANH] = "Tanh", [TN_ASINH] = "Asinh", [TN_ACOSH] = "Acosh", [TN_ATANH] = "Atanh",
    [TN_ERF] = "Erf", [TN_POW] = "Pow", [TN_EQ] = "Equal", [TN_LT] = "Less", [TN_LE] = "LessOrEqual",
    [TN_GT] = "Greater", [TN_GE] = "GreaterOrEqual", [TN_IS_NAN] = "IsNaN", [TN_IS_INF] = "IsInf",
    [TN_SELECT] = "Where"};

const char *tn_export_aligned(tn_export *x, const tn_node *broadcast) {
  const tn_value *from = broadcast->operands[0].value;
  const int64_t *map = tn_node_attr(broadcast, "map")->u.list.ints;
  uint32_t n = from->type->ndim, ndim = broadcast->results[0]->type->ndim, n_new = 0, at = n;
  int64_t axes[TN_MAX_NDIM];
  const char *name = tn_export_value(x, from);
  if (n == 0) return name;
  /* Axes in front are put there by broadcasting; those behind the first must be made. */
  for (uint32_t axis = ndim; axis-- > (uint32_t)map[0];) {
    if (at > 0 && map[at - 1] == (int64_t)axis) at--;
    else axes[n_new++] = (int64_t)axis - map[0];
  }
  if (n_new == 0) return name;
  for (uint32_t i = 0; i < n_new / 2; i++) {
    int64_t other = axes[i];
    axes[i] = axes[n_new - 1 - i];
    axes[n_new - 1 - i] = other;
  }
  tn_const *constant = tn_value_const(from);
  if (!constant || tn_const_bytes(constant) > 1 << 16) return tn_export_unsqueeze(x, name, axes, n_new, NULL);
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0, k = 0, next = 0; i < n + n_new; i++) {
    bool is_new = next < n_new && axes[next] == (int64_t)i;
    dims[i] = is_new ? tn_dim_const(x->ctx, 1) : from->type->dims[k++];
    next += is_new;
  }
  const tn_type *type = tn_type_tensor(x->ctx, constant->type->dtype, n + n_new, dims);
  return tn_export_const_value(x, tn_const_recipe_reshape(x->module, constant, type));
}

static const tn_node *broadcast_of(const tn_value *value) {
  return value->def && strcmp(value->def->op->name, "broadcast") == 0 ? value->def : NULL;
}

/* Whether some other operand has this axis' extent by itself. */
static bool is_covered(const tn_node *node, uint32_t axis) {
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_value *value = node->operands[i].value;
    const tn_node *broadcast = broadcast_of(value);
    if (!broadcast) return true;
    const tn_type *from = broadcast->operands[0].value->type;
    const int64_t *map = tn_node_attr(broadcast, "map")->u.list.ints;
    bool is_one = tn_dim_is(node->results[0]->type->dims[axis], 1);
    if (is_one && from->ndim > 0 && map[0] <= (int64_t)axis) return true;
    for (uint32_t k = 0; k < from->ndim; k++)
      if (map[k] == (int64_t)axis && from->dims[k] == value->type->dims[axis]) return true;
  }
  return false;
}

void tn_export_broadcast_operands(tn_export *x, const tn_node *node, const char **out) {
  bool covered = true;
  for (uint32_t axis = 0; axis < node->results[0]->type->ndim; axis++) covered = covered && is_covered(node, axis);
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_node *broadcast = broadcast_of(node->operands[i].value);
    out[i] = broadcast && covered ? tn_export_aligned(x, broadcast) : tn_export_operand(x, node, i);
  }
}

static const char *equals(tn_export *x, const char *a, tn_dtype dtype, double v) {
  return tn_export_binary(x, "Equal", a, tn_export_number(x, dtype, v), NULL);
}

/* A constant without the elements v and w, also behind a broadcast. */
static bool is_const_without(const tn_export *x, const tn_value *value, int64_t v, int64_t w) {
  const tn_node *broadcast = broadcast_of(value);
  tn_const *constant = tn_value_const(broadcast ? broadcast->operands[0].value : value);
  if (!constant || tn_const_bytes(constant) > 1 << 12) return false;
  tn_arena *scratch = tn_arena_create_scratch(x->arena);
  const unsigned char *data = tn_const_read(constant, scratch);
  size_t width = tn_dtype_bytes(constant->type->dtype), n = tn_const_bytes(constant) / width;
  bool ok = true;
  for (size_t i = 0; i < n; i++) {
    int64_t element = tn_number_load(constant->type->dtype, data + i * width).i;
    ok = ok && element != v && element != w;
  }
  tn_arena_destroy(scratch);
  return ok;
}

/* x / y truncated, by zero 0, by -1 -x; rem and mod with 0 for both. */
static const char *divide(tn_export *x, const tn_node *node, const char *const *in, const tn_foreign_attr *attrs,
                          uint32_t n_attrs, const char *op, const char *result) {
  tn_dtype dtype = node->results[0]->type->dtype;
  bool is_signed = tn_dtype_is_signed(dtype);
  if (!tn_dtype_is_integer(dtype) || is_const_without(x, node->operands[1].value, 0, is_signed ? -1 : 0))
    return tn_export_emit(x, op, 0, in, 2, attrs, n_attrs, result);
  const char *zero = tn_export_number(x, dtype, 0), *one = tn_export_number(x, dtype, 1);
  const char *by_zero = equals(x, in[1], dtype, 0);
  const char *divisor = tn_export_where(x, by_zero, one, in[1], NULL), *by_minus = NULL;
  if (is_signed) {
    by_minus = equals(x, in[1], dtype, -1);
    divisor = tn_export_where(x, by_minus, one, divisor, NULL);
  }
  const char *y = tn_export_emit(x, op, 0, TN_NAMES(in[0], divisor), attrs, n_attrs, NULL);
  if (is_signed && strcmp(op, "Div") == 0)
    y = tn_export_where(x, by_minus, tn_export_binary(x, "Sub", zero, in[0], NULL), y, NULL);
  return tn_export_where(x, by_zero, zero, y, result);
}

static void export_rem(tn_export *x, const tn_node *node, const char *const *in, const char *result) {
  divide(x, node, in, TN_FOREIGN(tn_foreign_of_int("fmod", 1)), "Mod", result);
}

/* ONNX has it for integers only; of floats the rest with y added where the signs differ. */
static void export_mod(tn_export *x, const tn_node *node, const char *const *in, const char *result) {
  tn_dtype dtype = node->results[0]->type->dtype;
  if (tn_dtype_is_integer(dtype)) {
    divide(x, node, in, TN_NO_FOREIGN, "Mod", result);
    return;
  }
  const char *zero = tn_export_number(x, dtype, 0);
  const char *rest = tn_export_emit(x, "Mod", 0, in, 2, TN_FOREIGN(tn_foreign_of_int("fmod", 1)), NULL);
  const char *is_zero = tn_export_binary(x, "Equal", rest, zero, NULL);
  const char *differ = tn_export_binary(x, "Xor", tn_export_binary(x, "Less", rest, zero, NULL),
                                        tn_export_binary(x, "Less", in[1], zero, NULL), NULL);
  const char *is_added = tn_export_binary(x, "And", tn_export_unary(x, "Not", is_zero, NULL), differ, NULL);
  tn_export_where(x, is_added, tn_export_binary(x, "Add", rest, in[1], NULL), rest, result);
}

static tn_dtype unsigned_of(tn_dtype dtype) {
  switch (tn_dtype_bits(dtype)) {
    case 8: return TN_U8;
    case 16: return TN_U16;
    case 32: return TN_U32;
    default: return TN_U64;
  }
}

/* On unsigned numbers, as ONNX wants; a shift right of a negative number is ~(~x >> y). */
static bool export_shift(tn_export *x, const tn_node *node, const char *const *in, const char *result) {
  tn_dtype dtype = node->results[0]->type->dtype, to = unsigned_of(dtype);
  if (tn_dtype_bits(dtype) < 8) return false;
  bool left = node->op->scalar == TN_SHL, is_signed = tn_dtype_is_signed(dtype);
  const char *a = is_signed ? tn_export_cast(x, in[0], to, NULL) : in[0], *b = in[1], *is_negative = NULL;
  if (is_signed) b = tn_export_cast(x, b, to, NULL);
  if (is_signed && !left) {
    is_negative = tn_export_binary(x, "Less", in[0], tn_export_number(x, dtype, 0), NULL);
    a = tn_export_where(x, is_negative, tn_export_unary(x, "BitwiseNot", a, NULL), a, NULL);
  }
  const char *most = tn_export_number(x, to, tn_dtype_bits(dtype) - 1);
  const char *too_far = tn_export_binary(x, "Greater", b, most, NULL);
  const char *y = tn_export_emit(x, "BitShift", 0, TN_NAMES(a, tn_export_where(x, too_far, most, b, NULL)),
                                 TN_FOREIGN(tn_foreign_of_string("direction", left ? "LEFT" : "RIGHT")), NULL);
  y = tn_export_where(x, too_far, tn_export_number(x, to, 0), y, is_signed ? NULL : result);
  if (is_negative) y = tn_export_where(x, is_negative, tn_export_unary(x, "BitwiseNot", y, NULL), y, NULL);
  if (is_signed) tn_export_cast(x, y, dtype, result);
  return true;
}

/* (exp(x) + 1) * tanh(x / 2), which does not cancel. */
static void export_expm1(tn_export *x, tn_dtype dtype, const char *a, const char *result) {
  const char *half = tn_export_binary(x, "Mul", a, tn_export_number(x, dtype, 0.5), NULL);
  const char *sum = tn_export_binary(x, "Add", tn_export_unary(x, "Exp", a, NULL), tn_export_number(x, dtype, 1), NULL);
  tn_export_binary(x, "Mul", sum, tn_export_unary(x, "Tanh", half, NULL), result);
}

/* With u = 1 + x rounded, log(u) * (x / (u - 1)) (Goldberg 1991, theorem 4); x itself where u is 1. */
static void export_log1p(tn_export *x, tn_dtype dtype, const char *a, const char *result) {
  const char *one = tn_export_number(x, dtype, 1), *u = tn_export_binary(x, "Add", a, one, NULL);
  const char *log = tn_export_unary(x, "Log", u, NULL);
  const char *ratio = tn_export_binary(x, "Div", a, tn_export_binary(x, "Sub", u, one, NULL), NULL);
  const char *y = tn_export_where(x, tn_export_binary(x, "Equal", u, a, NULL), log,
                                  tn_export_binary(x, "Mul", log, ratio, NULL), NULL);
  tn_export_where(x, tn_export_binary(x, "Equal", u, one, NULL), a, y, result);
}

/* In the type with twice the bits, where there is one. */
static void export_fma(tn_export *x, tn_dtype dtype, const char *const *in, const char *result) {
  const char *wide[3] = {in[0], in[1], in[2]};
  bool is_narrow = dtype != TN_F64;
  for (int i = 0; i < 3 && is_narrow; i++) wide[i] = tn_export_cast(x, in[i], TN_F64, NULL);
  const char *product = tn_export_binary(x, "Mul", wide[0], wide[1], NULL);
  const char *sum = tn_export_binary(x, "Add", product, wide[2], is_narrow ? NULL : result);
  if (is_narrow) tn_export_cast(x, sum, dtype, result);
}

/* Numbers outside the range of a short integer go to its ends; the ranges of the long ones are left to ONNX. */
static void export_cast(tn_export *x, const tn_node *node, const char *a, const char *result) {
  tn_dtype from = node->operands[0].value->type->dtype, to = node->results[0]->type->dtype;
  bool is_short = tn_dtype_is_float(from) && tn_dtype_is_integer(to) && tn_dtype_bits(to) <= 16;
  if (is_short) {
    const char *low = tn_export_number(x, from, (double)tn_dtype_int_min(to));
    const char *high = tn_export_number(x, from, (double)tn_dtype_int_max(to));
    a = tn_export_emit(x, "Clip", 0, TN_NAMES(a, low, high), TN_NO_FOREIGN, NULL);
  }
  bool is_small = to == TN_F8E4M3 || to == TN_F8E5M2 || to == TN_F8E4M3UZ || to == TN_F8E5M2UZ;
  tn_foreign_attr attrs[] = {tn_foreign_of_dtype("to", to),
                             tn_foreign_of_int("saturate", tn_node_attr(node, "saturate")->u.i)};
  tn_export_emit(x, "Cast", is_small ? 19 : 0, &a, 1, attrs, is_small ? 2 : 1, result);
}

static void export_logic(tn_export *x, const tn_node *node, const char *const *in, const char *result) {
  bool is_bool = node->results[0]->type->dtype == TN_BOOL;
  const char *op = node->op->scalar == TN_NOT   ? (is_bool ? "Not" : "BitwiseNot")
                   : node->op->scalar == TN_AND ? (is_bool ? "And" : "BitwiseAnd")
                   : node->op->scalar == TN_OR  ? (is_bool ? "Or" : "BitwiseOr")
                                                : (is_bool ? "Xor" : "BitwiseXor");
  tn_export_emit(x, op, 0, in, node->n_operands, TN_NO_FOREIGN, result);
}

static void export_trunc(tn_export *x, tn_dtype dtype, const char *a, const char *result) {
  const char *is_negative = tn_export_binary(x, "Less", a, tn_export_number(x, dtype, 0), NULL);
  tn_export_where(x, is_negative, tn_export_unary(x, "Ceil", a, NULL), tn_export_unary(x, "Floor", a, NULL), result);
}

bool tn_export_scalar(tn_export *x, const tn_node *node) {
  const char *in[3], *result = tn_export_result(x, node, 0);
  tn_dtype dtype = node->operands[0].value->type->dtype;
  tn_export_broadcast_operands(x, node, in);
  switch (node->op->scalar) {
    case TN_DIV: divide(x, node, in, TN_NO_FOREIGN, "Div", result); return true;
    case TN_REM: export_rem(x, node, in, result); return true;
    case TN_MOD: export_mod(x, node, in, result); return true;
    case TN_NEG:
      if (!tn_dtype_is_integer(dtype) || tn_dtype_is_signed(dtype)) break;
      tn_export_binary(x, "Sub", tn_export_number(x, dtype, 0), in[0], result);
      return true;
    case TN_SHL:
    case TN_SHR: return export_shift(x, node, in, result);
    case TN_TRUNC: export_trunc(x, dtype, in[0], result); return true;
    case TN_RSQRT:
      tn_export_unary(x, "Reciprocal", tn_export_unary(x, "Sqrt", in[0], NULL), result);
      return true;
    case TN_EXPM1: export_expm1(x, dtype, in[0], result); return true;
    case TN_LOG1P: export_log1p(x, dtype, in[0], result); return true;
    case TN_FMA: export_fma(x, dtype, in, result); return true;
    case TN_NOT:
    case TN_AND:
    case TN_OR:
    case TN_XOR: export_logic(x, node, in, result); return true;
    case TN_NE: tn_export_unary(x, "Not", tn_export_binary(x, "Equal", in[0], in[1], NULL), result); return true;
    case TN_IS_FINITE: {
      int64_t since = dtype != TN_F32 && dtype != TN_F64 ? 20 : 0;
      const char *nan = tn_export_unary(x, "IsNaN", in[0], NULL);
      const char *inf = tn_export_emit(x, "IsInf", since, in, 1, TN_NO_FOREIGN, NULL);
      tn_export_unary(x, "Not", tn_export_binary(x, "Or", nan, inf, NULL), result);
      return true;
    }
    case TN_CAST: export_cast(x, node, in[0], result); return true;
    default: break;
  }
  const char *op = plain[node->op->scalar];
  if (!op) return false;
  int64_t since = node->op->scalar == TN_IS_INF && dtype != TN_F32 && dtype != TN_F64 ? 20 : 0;
  tn_export_emit(x, op, since, in, node->n_operands, TN_NO_FOREIGN, result);
  return true;
}
