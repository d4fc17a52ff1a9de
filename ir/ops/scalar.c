/* The elementwise primitives: one record a row of scalar.def, with its ONNX operators and samples. Types and equal dims
 * follow from scalar.def (ir/infer.c), values from ir/eval_scalar.c. ONNX broadcasting is made explicit on import; the
 * importers accept every element type the op has, which is a superset of what each opset version allows. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

#include <string.h>

#define SET_N TN_SET_NUMBER
#define SET_F TN_SET_FLOAT
#define SET_I TN_SET_INTEGER
#define SET_L (TN_SET_INTEGER | TN_SET_BOOL)
#define SET_A (TN_SET_ANY | TN_DTYPE_BIT(TN_STR))

#define X1(set) {{"x", TN_ONE, set, TN_ROLE_DATA, NULL, 0}}
#define X2(set) {{"x", TN_ONE, set, TN_ROLE_DATA, NULL, 0}, {"y", TN_ONE, set, TN_ROLE_DATA, "x", 0}}
static const tn_operand_def n1[] = X1(SET_N), n2[] = X2(SET_N), f1[] = X1(SET_F), f2[] = X2(SET_F), i1[] = X1(SET_I),
                            i2[] = X2(SET_I), l1[] = X1(SET_L), l2[] = X2(SET_L), a2[] = X2(SET_A);
static const tn_operand_def cast1[] = X1(TN_SET_ANY);
static const tn_operand_def f3[] = {{"x", TN_ONE, SET_F, TN_ROLE_DATA, NULL, 0},
                                    {"y", TN_ONE, SET_F, TN_ROLE_DATA, "x", 0},
                                    {"z", TN_ONE, SET_F, TN_ROLE_DATA, "x", 0}};
static const tn_operand_def select3[] = {{"condition", TN_ONE, TN_SET_BOOL, TN_ROLE_DATA, NULL, 0},
                                         {"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                         {"y", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def cast_attrs[] = {{.name = "dtype", .kind = TN_ATTR_DTYPE, .required = true},
                                         {.name = "saturate", .kind = TN_ATTR_BOOL, .default_i = 1}};
enum { CAST_DTYPE, CAST_SATURATE, N_CAST_ATTRS };

/* Index contents: only exact integer arithmetic on dims; a result that may leave its type is not known. */

static bool fits(tn_dtype dtype, const tn_dim *dim) {
  if (!tn_dim_is_const(dim)) return dtype == TN_I64 || dtype == TN_I32;
  int64_t v = tn_dim_value(dim);
  if (dtype == TN_BOOL) return v == 0 || v == 1;
  if (tn_dtype_is_signed(dtype)) return v >= tn_dtype_int_min(dtype) && v <= (int64_t)tn_dtype_int_max(dtype);
  return tn_dtype_is_integer(dtype) && v >= 0 && (uint64_t)v <= tn_dtype_int_max(dtype);
}

static const tn_dim *dim_divide(tn_ctx *ctx, const tn_dim *p, const tn_dim *q) {
  if (tn_dim_is_const(p) && tn_dim_is_const(q)) {
    tn_number args[2] = {{.i = tn_dim_value(p)}, {.i = tn_dim_value(q)}};
    return tn_dim_const(ctx, tn_scalar_apply(TN_DIV, TN_I64, TN_I64, true, args).i);
  }
  const tn_dim *exact;
  if (!tn_dim_is(q, 0) && tn_dim_divide_exact(ctx, p, q, &exact)) return exact;
  return p->lo >= 0 && q->lo >= 1 ? tn_dim_floordiv(ctx, p, q) : NULL;
}

static const tn_dim *dim_compare(tn_ctx *ctx, tn_scalar scalar, const tn_dim *p, const tn_dim *q) {
  tn_dim_order order = tn_dim_compare(ctx, p, q);
  int truth = -1;
  switch (order) {
    case TN_DIM_EQUAL: truth = scalar == TN_EQ || scalar == TN_LE || scalar == TN_GE; break;
    case TN_DIM_LESS: truth = scalar == TN_NE || scalar == TN_LT || scalar == TN_LE; break;
    case TN_DIM_GREATER: truth = scalar == TN_NE || scalar == TN_GT || scalar == TN_GE; break;
    case TN_DIM_DIFFERENT: truth = scalar == TN_EQ ? 0 : scalar == TN_NE ? 1 : -1; break;
    case TN_DIM_UNKNOWN: break;
  }
  return truth < 0 ? NULL : tn_dim_const(ctx, truth);
}

/* Truth values are the dims 0 and 1. */
static const tn_dim *dim_logic(tn_ctx *ctx, tn_scalar scalar, const tn_dim *p, const tn_dim *q) {
  switch (scalar) {
    case TN_NOT: return tn_dim_sub(ctx, tn_dim_const(ctx, 1), p);
    case TN_AND: return tn_dim_mul(ctx, p, q);
    case TN_OR: return tn_dim_max(ctx, p, q);
    default: return NULL;
  }
}

static const tn_dim *dim_scalar(tn_ctx *ctx, tn_scalar scalar, tn_dtype from, tn_dtype to, const tn_dim *const *args) {
  const tn_dim *p = args[0], *q = args[1];
  switch (scalar) {
    case TN_NEG: return tn_dim_mul_i(ctx, p, -1);
    case TN_ABS: return p->lo >= 0 ? p : NULL;
    case TN_ADD: return tn_dim_add(ctx, p, q);
    case TN_SUB: return tn_dim_sub(ctx, p, q);
    case TN_MUL: return tn_dim_mul(ctx, p, q);
    case TN_DIV: return dim_divide(ctx, p, q);
    case TN_REM: return p->lo >= 0 && q->lo >= 1 ? tn_dim_mod(ctx, p, q) : NULL;
    case TN_MOD: return q->lo >= 1 ? tn_dim_mod(ctx, p, q) : NULL;
    case TN_MAX: return tn_dim_max(ctx, p, q);
    case TN_MIN: return tn_dim_min(ctx, p, q);
    case TN_EQ:
    case TN_NE:
    case TN_LT:
    case TN_LE:
    case TN_GT:
    case TN_GE: return dim_compare(ctx, scalar, p, q);
    case TN_SELECT: return !tn_dim_is_const(p) ? NULL : tn_dim_is(p, 0) ? args[2] : q;
    case TN_CAST: return to == TN_BOOL ? dim_compare(ctx, TN_NE, p, tn_dim_const(ctx, 0)) : p;
    case TN_NOT:
    case TN_AND:
    case TN_OR: return from == TN_BOOL ? dim_logic(ctx, scalar, p, q) : NULL;
    default: return NULL;
  }
}

/* Constants in, constants out: the sum of two large numbers must wrap, not be an error of dim arithmetic. */
static bool may_overflow(const tn_dim *p, const tn_dim *q) {
  int64_t unused;
  if (!tn_dim_is_const(p) || q == NULL || !tn_dim_is_const(q)) return false;
  int64_t x = tn_dim_value(p), y = tn_dim_value(q);
  return !tn_add_i64(x, y, &unused) || !tn_sub_i64(x, y, &unused) || !tn_mul_i64(x, y, &unused);
}

static void scalar_index(tn_ctx *ctx, tn_node *node) {
  const tn_value *result = node->results[0];
  const tn_dim *out[TN_MAX_INDEX];
  uint32_t arity = node->n_operands, n = 0;
  for (uint32_t i = 0; i < arity; i++) {
    const tn_dim *const *index = tn_index_of(node, i);
    if (index == NULL) return;
    n = node->operands[i].value->n_index;
  }
  for (uint32_t k = 0; k < n; k++) {
    const tn_dim *args[3] = {NULL, NULL, NULL};
    for (uint32_t i = 0; i < arity; i++) args[i] = tn_index_of(node, i)[k];
    if (may_overflow(args[0], args[1])) return;
    out[k] = dim_scalar(ctx, node->op->scalar, node->operands[0].value->type->dtype, result->type->dtype, args);
    if (out[k] == NULL || !fits(result->type->dtype, out[k])) return;
  }
  tn_index_set(node, out, n);
}

/* ONNX. */

static bool has_row(const tn_opdef *op, const tn_foreign_node *node) {
  for (uint32_t i = 0; i < op->n_onnx; i++)
    if (strcmp(op->onnx[i].name, node->op) == 0 && strcmp(op->onnx[i].domain, node->domain) == 0) return true;
  return false;
}

static tn_scalar scalar_of(const tn_foreign_node *node) {
  for (uint32_t i = 0; i < TN_N_SCALARS; i++)
    if (has_row(&tn_scalar_ops[i], node)) return (tn_scalar)i;
  TN_ASSERT(false);
  return TN_N_SCALARS;
}

static bool import_scalar(tn_foreign_node *node, tn_scalar scalar) {
  tn_value *values[3];
  uint32_t n = tn_scalar_arity(scalar);
  for (uint32_t i = 0; i < n; i++)
    if ((values[i] = tn_foreign_need(node, i)) == NULL) return false;
  if (node->version < 7 && n == 2 ? !tn_foreign_old_broadcast(node, values)
                                  : !tn_build_broadcast_all(node->build, values, n))
    return false;
  return tn_foreign_build(node, tn_op_of_scalar(scalar), values, n, NULL);
}

/* The row's op on operands brought to common dims: NumPy's way from opset 7 on, before as `broadcast` says. */
static bool import_broadcast(tn_foreign_node *node) { return import_scalar(node, scalar_of(node)); }

/* Max, Min: any number of operands. */
static bool import_variadic(tn_foreign_node *node) {
  tn_scalar scalar = scalar_of(node);
  tn_value *result = tn_foreign_need(node, 0);
  for (uint32_t i = 1; result != NULL && i < node->n_inputs; i++) {
    tn_value *pair[2] = {result, tn_foreign_need(node, i)};
    if (!tn_build_broadcast_all(node->build, pair, 2)) return false;
    result = tn_build_binary(node->build, scalar, pair[0], pair[1]);
  }
  return tn_foreign_set(node, 0, result);
}

static bool import_mod(tn_foreign_node *node) {
  int64_t fmod_like;
  if (!tn_foreign_int(node, "fmod", 0, &fmod_like)) return false;
  return import_scalar(node, fmod_like != 0 ? TN_REM : TN_MOD);
}

/* What a power is computed in: the base's type, unless the exponent's holds more; f64 for integers, whose results come
 * back truncated. */
static tn_dtype pow_dtype(tn_dtype base, tn_dtype exponent) {
  if (!tn_dtype_is_float(base)) return TN_F64;
  if (base == exponent) return base;
  if (tn_dtype_is_float(exponent) && tn_dtype_bits(exponent) > tn_dtype_bits(base)) return exponent;
  return tn_dtype_bits(base) < 32 ? TN_F32 : base;
}

static bool import_pow(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *pair[2] = {tn_foreign_need(node, 0), tn_foreign_need(node, 1)};
  if (pair[0] == NULL || pair[1] == NULL) return false;
  double exponent = 0;
  bool known = false;
  if (!tn_dtype_is_integer(pair[1]->type->dtype) && pair[1]->type->ndim == 0 &&
      !tn_foreign_const_float(node, 1, &exponent, &known))
    return false;
  if (known && exponent == 2.0 && tn_dtype_is_float(pair[0]->type->dtype)) /* x*x is pow(x, 2) rounded once */
    return tn_foreign_set(node, 0, tn_build_binary(b, TN_MUL, pair[0], pair[0]));
  tn_dtype dtype = pair[0]->type->dtype;
  tn_dtype compute = pow_dtype(dtype, pair[1]->type->dtype);
  if (node->version < 7 ? !tn_foreign_old_broadcast(node, pair) : !tn_build_broadcast_all(b, pair, 2)) return false;
  tn_value *power = tn_build_binary(b, TN_POW, tn_build_cast(b, pair[0], compute), tn_build_cast(b, pair[1], compute));
  return tn_foreign_set(node, 0, tn_build_cast(b, power, dtype));
}

static bool import_bit_shift(tn_foreign_node *node) {
  const char *direction;
  if (!tn_foreign_string(node, "direction", "", &direction)) return false;
  if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0)
    return tn_foreign_error(node, TN_E_ATTR, "direction: expected LEFT or RIGHT, found '%s'", direction);
  return import_scalar(node, direction[0] == 'L' ? TN_SHL : TN_SHR);
}

static bool import_is_inf(tn_foreign_node *node) {
  int64_t negative, positive;
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  if (x == NULL || !tn_foreign_int(node, "detect_negative", 1, &negative) ||
      !tn_foreign_int(node, "detect_positive", 1, &positive))
    return false;
  tn_value *infinite = tn_build_unary(b, TN_IS_INF, x);
  if (negative != 0 && positive != 0) return tn_foreign_set(node, 0, infinite);
  tn_value *side = negative != 0 ? tn_build_binary_f(b, TN_LT, x, 0) : tn_build_binary_f(b, TN_GT, x, 0);
  if (negative == 0 && positive == 0) side = tn_build_binary(b, TN_NE, x, x);
  return tn_foreign_set(node, 0, tn_build_binary(b, TN_AND, infinite, side));
}

/* To a power of two, by round_mode: the nearest one, then one step where that lies on the wrong side. */
static bool import_cast_e8m0(tn_foreign_node *node, tn_value *x) {
  tn_build *b = node->build;
  const char *mode;
  if (!tn_foreign_string(node, "round_mode", "up", &mode)) return false;
  tn_value *size = tn_build_unary(b, TN_ABS, tn_build_cast(b, x, TN_F64));
  tn_value *y = tn_build_cast(b, tn_build_cast(b, size, TN_F8E8M0), TN_F64);
  if (strcmp(mode, "up") == 0)
    y = tn_build_select(b, tn_build_binary(b, TN_LT, y, size), tn_build_binary_f(b, TN_MUL, y, 2), y);
  else if (strcmp(mode, "down") == 0)
    y = tn_build_select(b, tn_build_binary(b, TN_GT, y, size), tn_build_binary_f(b, TN_MUL, y, 0.5), y);
  else if (strcmp(mode, "nearest") != 0)
    return tn_foreign_error(node, TN_E_ATTR, "round_mode: '%s'", mode);
  return tn_foreign_set(node, 0, y == NULL ? NULL : tn_build_cast(b, y, TN_F8E8M0));
}

static bool import_cast_to(tn_foreign_node *node, tn_dtype dtype) {
  int64_t saturate;
  tn_value *x = tn_foreign_need(node, 0);
  if (x == NULL || !tn_foreign_int(node, "saturate", 1, &saturate)) return false;
  if (dtype == TN_STR || x->type->dtype == TN_STR) {
    if (dtype == x->type->dtype) return tn_foreign_set(node, 0, x);
    return tn_foreign_unsupported(node, "strings");
  }
  if (dtype == x->type->dtype) return tn_foreign_set(node, 0, x);
  /* ONNX keeps the low bits of a float that is outside a 4- or 2-bit integer; our cast would saturate. */
  bool is_tiny = tn_dtype_is_integer(dtype) && tn_dtype_bits(dtype) < 8;
  if (is_tiny && tn_dtype_is_float(x->type->dtype)) x = tn_build_cast(node->build, x, TN_I32);
  if (dtype == TN_F8E8M0 && saturate != 0) return import_cast_e8m0(node, x);
  tn_attr attrs[N_CAST_ATTRS] = {tn_attr_dtype(dtype), tn_attr_bool(saturate != 0)};
  return tn_foreign_build(node, tn_op_of_scalar(TN_CAST), &x, 1, attrs);
}

/* Before opset 6 the type's name: "FLOAT". */
static bool cast_target(tn_foreign_node *node, int64_t *out) {
  static const char *const names[] = {"UNDEFINED", "FLOAT", "UINT8", "INT8",    "UINT16", "INT16",  "INT32",
                                      "INT64",     "STRING", "BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64"};
  const char *text;
  if (node->version >= 6) return tn_foreign_int(node, "to", 0, out);
  if (!tn_foreign_string(node, "to", "", &text)) return false;
  for (*out = 0; *out < (int64_t)TN_ARRAY_LEN(names); ++*out)
    if (strcmp(names[*out], text) == 0) return true;
  return tn_foreign_error(node, TN_E_ATTR, "to: '%s' is no element type", text);
}

static bool import_cast(tn_foreign_node *node) {
  int64_t to;
  if (!cast_target(node, &to)) return false;
  tn_dtype dtype = tn_dtype_of_onnx(to);
  if (dtype == TN_N_DTYPES) return tn_foreign_error(node, TN_E_ATTR, "to: %lld is no element type", (long long)to);
  return import_cast_to(node, dtype);
}

static bool import_cast_like(tn_foreign_node *node) {
  tn_value *like = tn_foreign_need(node, 1);
  return like != NULL && import_cast_to(node, like->type->dtype);
}

/* Of integers (opsets 9 and later allow them): in double, cut to an integer. */
static bool import_erf(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  if (x == NULL) return false;
  tn_dtype dtype = x->type->dtype;
  bool whole = tn_dtype_is_integer(dtype);
  tn_value *y = tn_build_unary(b, TN_ERF, whole ? tn_build_cast(b, x, TN_F64) : x);
  return tn_foreign_set(node, 0, whole && y != NULL ? tn_build_cast(b, y, dtype) : y);
}

/* Two operands: NumPy-style from opset 7, before that by attributes; else versions change element types only. */
#define ROW(name, op, since, import_function) \
  static const tn_onnx_row name[] = {{"", op, since, 0, import_function}}
ROW(onnx_neg, "Neg", 1, NULL);
ROW(onnx_abs, "Abs", 1, NULL);
ROW(onnx_sign, "Sign", 9, NULL);
ROW(onnx_add, "Add", 1, import_broadcast);
static const tn_onnx_row onnx_sub[] = {{"", "Sub", 1, 0, import_broadcast},
                                       {"ai.onnx.preview.training", "Momentum", 1, 0, tn_import_momentum},
                                       {"ai.onnx.preview.training", "Adagrad", 1, 0, tn_import_adagrad},
                                       {"ai.onnx.preview.training", "Adam", 1, 0, tn_import_adam}};
ROW(onnx_mul, "Mul", 1, import_broadcast);
static const tn_onnx_row onnx_div[] = {{"", "Div", 1, 0, import_broadcast},
                                       {"", "LpNormalization", 1, 0, tn_import_lp_normalization},
                                       {"", "MeanVarianceNormalization", 9, 0, tn_import_mvn}};
ROW(onnx_mod, "Mod", 10, import_mod);
ROW(onnx_max, "Max", 1, import_variadic);
static const tn_onnx_row onnx_min[] = {{"", "Min", 1, 0, import_variadic}, {"", "Clip", 1, 0, tn_import_clip}};
ROW(onnx_floor, "Floor", 1, NULL);
ROW(onnx_ceil, "Ceil", 1, NULL);
ROW(onnx_round, "Round", 11, NULL);
ROW(onnx_sqrt, "Sqrt", 1, NULL);
ROW(onnx_exp, "Exp", 1, NULL);
ROW(onnx_log, "Log", 1, NULL);
ROW(onnx_sin, "Sin", 7, NULL);
ROW(onnx_cos, "Cos", 7, NULL);
ROW(onnx_tan, "Tan", 7, NULL);
ROW(onnx_asin, "Asin", 7, NULL);
ROW(onnx_acos, "Acos", 7, NULL);
ROW(onnx_atan, "Atan", 7, NULL);
ROW(onnx_sinh, "Sinh", 9, NULL);
ROW(onnx_cosh, "Cosh", 9, NULL);
ROW(onnx_tanh, "Tanh", 1, NULL);
ROW(onnx_asinh, "Asinh", 9, NULL);
ROW(onnx_acosh, "Acosh", 9, NULL);
ROW(onnx_atanh, "Atanh", 9, NULL);
ROW(onnx_erf, "Erf", 9, import_erf);
ROW(onnx_pow, "Pow", 1, import_pow);
static const tn_onnx_row onnx_not[] = {{"", "Not", 1, 0, NULL}, {"", "BitwiseNot", 18, 0, NULL}};
static const tn_onnx_row onnx_and[] = {{"", "And", 1, 0, import_broadcast},
                                       {"", "BitwiseAnd", 18, 0, import_broadcast}};
static const tn_onnx_row onnx_or[] = {{"", "Or", 1, 0, import_broadcast}, {"", "BitwiseOr", 18, 0, import_broadcast}};
static const tn_onnx_row onnx_xor[] = {{"", "Xor", 1, 0, import_broadcast},
                                       {"", "BitwiseXor", 18, 0, import_broadcast}};
ROW(onnx_shl, "BitShift", 11, import_bit_shift);
ROW(onnx_eq, "Equal", 1, import_broadcast);
ROW(onnx_lt, "Less", 1, import_broadcast);
ROW(onnx_le, "LessOrEqual", 12, import_broadcast);
static const tn_onnx_row onnx_gt[] = {{"", "Greater", 1, 0, import_broadcast},
                                      {"ai.onnx.ml", "Binarizer", 1, 0, tn_import_binarizer}};
ROW(onnx_ge, "GreaterOrEqual", 12, import_broadcast);
ROW(onnx_is_nan, "IsNaN", 9, NULL);
ROW(onnx_is_inf, "IsInf", 10, import_is_inf);
static const tn_onnx_row onnx_select[] = {{"", "Where", 9, 0, import_broadcast}, {"", "PRelu", 1, 0, tn_import_prelu}};
static const tn_onnx_row onnx_cast[] = {{"", "Cast", 1, 0, import_cast}, {"", "CastLike", 15, 0, import_cast_like}};
#undef ROW

/* Samples by operand class; empty and size-1 axes, a symbolic one, and one that is refused. */
static const tn_op_sample samples_f1[] = {{TN_TYPES("f32[2,3]"), NULL, 0, 0, "f32[2,3]"},
                                          {TN_TYPES("f64[0,3]"), NULL, 0, 0, "f64[0,3]"},
                                          {TN_TYPES("f16[]"), NULL, 0, 0, "f16[]"},
                                          {TN_TYPES("bf16[B,1]"), NULL, 0, 0, "bf16[B,1]"},
                                          {TN_TYPES("i32[2]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_n1[] = {{TN_TYPES("f32[2,3]"), NULL, 0, 0, "f32[2,3]"},
                                          {TN_TYPES("i8[5]"), NULL, -128, 127, "i8[5]"},
                                          {TN_TYPES("u64[B]"), NULL, 0, 9, "u64[B]"},
                                          {TN_TYPES("bool[2]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_n2[] = {{TN_TYPES("f32[2,3]", "f32[2,3]"), NULL, 0, 0, "f32[2,3]"},
                                          {TN_TYPES("i16[B]", "i16[B]"), NULL, -9, 9, "i16[B]"},
                                          {TN_TYPES("u8[1,0]", "u8[1,0]"), NULL, 0, 0, "u8[1,0]"},
                                          {TN_TYPES("f32[2]", "f32[3]"), NULL, 0, 0, NULL},
                                          {TN_TYPES("f32[2]", "f64[2]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_f2[] = {{TN_TYPES("f32[2,3]", "f32[2,3]"), NULL, 0, 3, "f32[2,3]"},
                                          {TN_TYPES("f64[0]", "f64[0]"), NULL, 0, 3, "f64[0]"},
                                          {TN_TYPES("i32[2]", "i32[2]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_f3[] = {{TN_TYPES("f32[4]", "f32[4]", "f32[4]"), NULL, 0, 0, "f32[4]"},
                                          {TN_TYPES("f32[4]", "f32[4]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_l1[] = {{TN_TYPES("bool[3]"), NULL, 0, 1, "bool[3]"},
                                          {TN_TYPES("u16[3]"), NULL, 0, 9, "u16[3]"},
                                          {TN_TYPES("f32[3]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_l2[] = {{TN_TYPES("bool[3]", "bool[3]"), NULL, 0, 1, "bool[3]"},
                                          {TN_TYPES("i32[B,1]", "i32[B,1]"), NULL, -9, 9, "i32[B,1]"},
                                          {TN_TYPES("f32[3]", "f32[3]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_i1[] = {{TN_TYPES("u32[3]"), NULL, 0, 99, "u32[3]"},
                                          {TN_TYPES("bool[3]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_i2[] = {{TN_TYPES("u8[3]", "u8[3]"), NULL, 0, 9, "u8[3]"},
                                          {TN_TYPES("i32[3]", "i32[3]"), NULL, -9, 33, "i32[3]"},
                                          {TN_TYPES("bool[3]", "bool[3]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_c2[] = {{TN_TYPES("f32[2,3]", "f32[2,3]"), NULL, 0, 0, "bool[2,3]"},
                                          {TN_TYPES("i64[B]", "i64[B]"), NULL, 0, 3, "bool[B]"},
                                          {TN_TYPES("f32[2]", "f32[2,1]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_b1[] = {{TN_TYPES("f32[2,3]"), NULL, 0, 0, "bool[2,3]"},
                                          {TN_TYPES("i32[2]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_select[] = {
    {TN_TYPES("bool[2,3]", "f32[2,3]", "f32[2,3]"), NULL, 0, 0, "f32[2,3]"},
    {TN_TYPES("bool[B]", "bool[B]", "bool[B]"), NULL, 0, 1, "bool[B]"},
    {TN_TYPES("f32[2]", "f32[2]", "f32[2]"), NULL, 0, 0, NULL}};
static const tn_op_sample samples_cast[] = {
    {TN_TYPES("f32[2,3]"), "{dtype=i8}", -300, 300, "i8[2,3]"},
    {TN_TYPES("i64[B]"), "{dtype=f16}", -9, 9, "f16[B]"},
    {TN_TYPES("f32[4]"), "{dtype=bool}", -1, 1, "bool[4]"},
    {TN_TYPES("f32[4]"), "{dtype=f8e4m3, saturate=false}", -600, 600, "f8e4m3[4]"},
    {TN_TYPES("f32[4]"), NULL, 0, 0, NULL}};

#define BASE(enumerator, text, defs, set, doc_text)                                                       \
  .name = text, .kind = TN_OP_SCALAR, .doc = doc_text, .scalar = enumerator, TN_OPERANDS(defs), .n_results = 1, \
  .index = scalar_index, .vjp = tn_scalar_vjp, .export = tn_export_scalar, TN_SAMPLES(set)
#define PLAIN(enumerator, text, defs, set, traits_value, doc_text) \
  [enumerator] = {BASE(enumerator, text, defs, set, doc_text), .traits = TN_TRAIT_ELEMENTWISE | (traits_value)}
#define WITH(enumerator, text, defs, set, rows, traits_value, doc_text)                                           \
  [enumerator] = {BASE(enumerator, text, defs, set, doc_text), .traits = TN_TRAIT_ELEMENTWISE | (traits_value), \
                  TN_ONNX(rows)}
/* Of float operands, a derivative of 0 almost everywhere, which training cannot use. */
#define JUMPS(enumerator, text, defs, set, rows, traits_value, doc_text)                                          \
  [enumerator] = {BASE(enumerator, text, defs, set, doc_text), .traits = TN_TRAIT_ELEMENTWISE | (traits_value), \
                  TN_ONNX(rows), .no_gradient = "it is constant between its jumps"}
#define BOTH TN_TRAIT_COMMUTATIVE
#define SELF (TN_TRAIT_COMMUTATIVE | TN_TRAIT_IDEMPOTENT)

const tn_opdef tn_scalar_ops[TN_N_SCALARS] = {
    WITH(TN_NEG, "neg", n1, samples_n1, onnx_neg, 0, "-x; integers wrap."),
    WITH(TN_ABS, "abs", n1, samples_n1, onnx_abs, TN_TRAIT_IDEMPOTENT, "|x|; the smallest integer stays itself."),
    JUMPS(TN_SIGN, "sign", n1, samples_n1, onnx_sign, TN_TRAIT_IDEMPOTENT, "-1, 0 or 1; NaN and zeros stay."),
    WITH(TN_ADD, "add", n2, samples_n2, onnx_add, BOTH, "x + y; integers wrap."),
    WITH(TN_SUB, "sub", n2, samples_n2, onnx_sub, 0, "x - y; integers wrap."),
    WITH(TN_MUL, "mul", n2, samples_n2, onnx_mul, BOTH, "x * y; integers wrap."),
    WITH(TN_DIV, "div", n2, samples_n2, onnx_div, 0, "x / y; integers truncate, by zero 0, MIN / -1 is MIN."),
    PLAIN(TN_REM, "rem", n2, samples_n2, 0, "The rest of x / y with x's sign (C fmod); integers by zero 0."),
    WITH(TN_MOD, "mod", n2, samples_n2, onnx_mod, 0, "The rest of x / y with y's sign; integers by zero 0."),
    WITH(TN_MAX, "max", n2, samples_n2, onnx_max, SELF, "The larger; NaN if any operand is NaN."),
    WITH(TN_MIN, "min", n2, samples_n2, onnx_min, SELF, "The smaller; NaN if any operand is NaN."),
    JUMPS(TN_FLOOR, "floor", f1, samples_f1, onnx_floor, TN_TRAIT_IDEMPOTENT, "Rounds toward minus infinity."),
    JUMPS(TN_CEIL, "ceil", f1, samples_f1, onnx_ceil, TN_TRAIT_IDEMPOTENT, "Rounds toward plus infinity."),
    [TN_TRUNC] = {BASE(TN_TRUNC, "trunc", f1, samples_f1, "Rounds toward zero."),
                  .traits = TN_TRAIT_ELEMENTWISE | TN_TRAIT_IDEMPOTENT,
                  .no_gradient = "it is constant between its jumps"},
    JUMPS(TN_ROUND, "round", f1, samples_f1, onnx_round, TN_TRAIT_IDEMPOTENT, "To the nearest integer, ties to even."),
    WITH(TN_SQRT, "sqrt", f1, samples_f1, onnx_sqrt, 0, "The square root; NaN below zero."),
    PLAIN(TN_RSQRT, "rsqrt", f1, samples_f1, 0, "1 / sqrt(x)."),
    WITH(TN_EXP, "exp", f1, samples_f1, onnx_exp, 0, "e to the x."),
    PLAIN(TN_EXPM1, "expm1", f1, samples_f1, 0, "exp(x) - 1 without cancellation."),
    WITH(TN_LOG, "log", f1, samples_f1, onnx_log, 0, "The natural logarithm."),
    PLAIN(TN_LOG1P, "log1p", f1, samples_f1, 0, "log(1 + x) without cancellation."),
    WITH(TN_SIN, "sin", f1, samples_f1, onnx_sin, 0, "The sine, x in radians."),
    WITH(TN_COS, "cos", f1, samples_f1, onnx_cos, 0, "The cosine, x in radians."),
    WITH(TN_TAN, "tan", f1, samples_f1, onnx_tan, 0, "The tangent, x in radians."),
    WITH(TN_ASIN, "asin", f1, samples_f1, onnx_asin, 0, "The inverse sine."),
    WITH(TN_ACOS, "acos", f1, samples_f1, onnx_acos, 0, "The inverse cosine."),
    WITH(TN_ATAN, "atan", f1, samples_f1, onnx_atan, 0, "The inverse tangent."),
    WITH(TN_SINH, "sinh", f1, samples_f1, onnx_sinh, 0, "The hyperbolic sine."),
    WITH(TN_COSH, "cosh", f1, samples_f1, onnx_cosh, 0, "The hyperbolic cosine."),
    WITH(TN_TANH, "tanh", f1, samples_f1, onnx_tanh, 0, "The hyperbolic tangent."),
    WITH(TN_ASINH, "asinh", f1, samples_f1, onnx_asinh, 0, "The inverse hyperbolic sine."),
    WITH(TN_ACOSH, "acosh", f1, samples_f1, onnx_acosh, 0, "The inverse hyperbolic cosine."),
    WITH(TN_ATANH, "atanh", f1, samples_f1, onnx_atanh, 0, "The inverse hyperbolic tangent."),
    WITH(TN_ERF, "erf", f1, samples_f1, onnx_erf, 0, "The error function."),
    WITH(TN_POW, "pow", f2, samples_f2, onnx_pow, 0, "x to the y, as C Annex F."),
    PLAIN(TN_FMA, "fma", f3, samples_f3, 0, "x * y + z, rounded once."),
    WITH(TN_NOT, "not", l1, samples_l1, onnx_not, 0, "Each bit inverted; of bool, its negation."),
    WITH(TN_AND, "and", l2, samples_l2, onnx_and, SELF, "Bitwise and."),
    WITH(TN_OR, "or", l2, samples_l2, onnx_or, SELF, "Bitwise or."),
    WITH(TN_XOR, "xor", l2, samples_l2, onnx_xor, BOTH, "Bitwise exclusive or."),
    WITH(TN_SHL, "shl", i2, samples_i2, onnx_shl, 0, "x shifted up by y bits; 0 from the width on."),
    PLAIN(TN_SHR, "shr", i2, samples_i2, 0,
          "x shifted down by y bits, filled with the sign; all sign from the width on."),
    PLAIN(TN_POPCOUNT, "popcount", i1, samples_i1, 0, "The number of bits set."),
    WITH(TN_EQ, "eq", a2, samples_c2, onnx_eq, BOTH, "x == y; false with a NaN."),
    PLAIN(TN_NE, "ne", a2, samples_c2, BOTH, "x != y; true with a NaN."),
    WITH(TN_LT, "lt", n2, samples_c2, onnx_lt, 0, "x < y; false with a NaN."),
    WITH(TN_LE, "le", n2, samples_c2, onnx_le, 0, "x <= y; false with a NaN."),
    WITH(TN_GT, "gt", n2, samples_c2, onnx_gt, 0, "x > y; false with a NaN."),
    WITH(TN_GE, "ge", n2, samples_c2, onnx_ge, 0, "x >= y; false with a NaN."),
    WITH(TN_IS_NAN, "is_nan", f1, samples_b1, onnx_is_nan, 0, "Whether x is a NaN."),
    WITH(TN_IS_INF, "is_inf", f1, samples_b1, onnx_is_inf, 0, "Whether x is plus or minus infinity."),
    PLAIN(TN_IS_FINITE, "is_finite", f1, samples_b1, 0, "Whether x is neither infinite nor a NaN."),
    WITH(TN_SELECT, "select", select3, samples_select, onnx_select, 0, "x where condition is true, else y."),
    [TN_CAST] =
        {BASE(TN_CAST, "cast", cast1, samples_cast,
              "x in another element type: to integers toward zero and saturating (NaN gives 0), between integers "
              "the low bits, to floats to the nearest, halves to even. saturate=false: overflow to an 8-bit float "
              "gives infinity or NaN instead of the largest finite value."),
         .traits = TN_TRAIT_ELEMENTWISE, TN_ATTRS(cast_attrs), TN_ONNX(onnx_cast)},
};
