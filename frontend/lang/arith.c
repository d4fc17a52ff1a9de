/* Operators: exact arithmetic of integers with their labels, numbers, and tensors by label. */
#include <math.h>

#include "frontend/lang/sema.h"

static const tn_scalar scalars[TN_AST_N_OPS] = {
    [TN_AST_NEG] = TN_NEG, [TN_AST_NOT] = TN_NOT, [TN_AST_OR] = TN_OR,   [TN_AST_AND] = TN_AND, [TN_AST_EQ] = TN_EQ,
    [TN_AST_NE] = TN_NE,   [TN_AST_LT] = TN_LT,   [TN_AST_GT] = TN_GT,   [TN_AST_LE] = TN_LE,   [TN_AST_GE] = TN_GE,
    [TN_AST_ADD] = TN_ADD, [TN_AST_SUB] = TN_SUB, [TN_AST_MUL] = TN_MUL, [TN_AST_DIV] = TN_DIV, [TN_AST_MOD] = TN_MOD,
    [TN_AST_POW] = TN_POW};

static bool is_compare(tn_ast_op op) { return op >= TN_AST_EQ && op <= TN_AST_GE; }
static bool is_logic(tn_ast_op op) { return op == TN_AST_AND || op == TN_AST_OR || op == TN_AST_NOT; }

static tn_datum *no_operands(tn_sema *s, tn_ast_op op, const tn_datum *x, const tn_datum *y, tn_loc loc) {
  if (y)
    tn_error(s->ctx, loc, TN_E_LANG_KIND, "'%s' has no meaning for %s and %s", tn_ast_op_text(op),
             tn_datum_describe(s, x), tn_datum_describe(s, y));
  else
    tn_error(s->ctx, loc, TN_E_LANG_KIND, "'%s' has no meaning for %s", tn_ast_op_text(op), tn_datum_describe(s, x));
  return NULL;
}

/* --- Integers --- */

tn_datum *tn_int_divide(tn_sema *s, const tn_datum *x, const tn_datum *y, tn_loc loc) {
  const tn_dim *p = x->integer.extent, *q = y->integer.extent, *label = NULL, *quotient;
  if (tn_dim_is(q, 0)) {
    tn_error(s->ctx, loc, TN_E_LANG_DIVIDE, "division of %s by 0", tn_dim_text(s, p));
    return NULL;
  }
  if (x->integer.label && y->integer.label)
    if (!tn_dim_divide_exact(s->ctx, x->integer.label, y->integer.label, &label))
      label = tn_dim_floordiv(s->ctx, x->integer.label, y->integer.label);
  if (tn_dim_divide_exact(s->ctx, p, q, &quotient)) return tn_datum_int(s, quotient, label, loc);
  const tn_dim *rest = tn_dim_mod(s->ctx, p, q);
  if (tn_dim_is_const(rest) || !s->func) {
    tn_error(s->ctx, loc, TN_E_LANG_DIVIDE, "%s / %s leaves the remainder %s", tn_dim_text(s, p), tn_dim_text(s, q),
             tn_dim_text(s, rest));
    if (x->integer.loc && x->integer.loc != loc && x->integer.loc != x->loc)
      tn_note(s->ctx, x->integer.loc, "%s comes from here", tn_axis_describe(s, &x->integer));
    else if (tn_axis_is_labelled(&x->integer)) tn_note(s->ctx, x->loc, "%s", tn_axis_describe(s, &x->integer));
    tn_help(s->ctx, "floor_div(a, b) and ceil_div(a, b) round");
    return NULL;
  }
  if (!tn_func_require_eq(s->func, rest, tn_dim_const(s->ctx, 0), loc, "%s must be a multiple of %s",
                          tn_dim_text(s, p), tn_dim_text(s, q)))
    return NULL;
  return tn_datum_int(s, tn_dim_floordiv(s->ctx, p, q), label, loc);
}

static tn_datum *int_power(tn_sema *s, const tn_datum *x, const tn_datum *y, tn_loc loc) {
  int64_t n;
  tn_datum *result = tn_datum_int_const(s, 1, loc);
  if (!tn_datum_static_int(s, y, "an exponent", &n)) return NULL;
  if (n < 0 || n > 63) {
    tn_error(s->ctx, loc, TN_E_LANG_KIND, "an integer exponent must be from 0 to 63, found %lld", (long long)n);
    return NULL;
  }
  for (; n > 0; n--) {
    result->integer.extent = tn_dim_mul(s->ctx, result->integer.extent, x->integer.extent);
    result->integer.label = x->integer.label ? tn_dim_mul(s->ctx, result->integer.label, x->integer.label) : NULL;
  }
  return result;
}

typedef const tn_dim *(*dim_op)(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);

static tn_datum *int_by(tn_sema *s, dim_op op, const tn_datum *x, const tn_datum *y, tn_loc loc) {
  const tn_dim *a = x->integer.label, *b = y->integer.label;
  size_t before = tn_diag_n_errors(s->ctx);
  const tn_dim *extent = op(s->ctx, x->integer.extent, y->integer.extent);
  tn_datum *d = tn_datum_int(s, extent, a && b ? op(s->ctx, a, b) : NULL, loc);
  return tn_diag_n_errors(s->ctx) == before ? d : NULL;
}

static tn_datum *int_compare(tn_sema *s, tn_ast_op op, const tn_datum *x, const tn_datum *y, tn_loc loc) {
  const tn_dim *p = x->integer.extent, *q = y->integer.extent;
  if (!tn_dim_is_const(p) || !tn_dim_is_const(q)) {
    tn_error(s->ctx, loc, TN_E_LANG_STATIC, "%s and %s are compared at compile time, when they are not known",
             tn_dim_text(s, p), tn_dim_text(s, q));
    return NULL;
  }
  int64_t a = tn_dim_value(p), b = tn_dim_value(q);
  bool truth = op == TN_AST_EQ   ? a == b
               : op == TN_AST_NE ? a != b
               : op == TN_AST_LT ? a < b
               : op == TN_AST_GT ? a > b
               : op == TN_AST_LE ? a <= b
                                 : a >= b;
  return tn_datum_bool(s, truth, loc);
}

static tn_datum *int_binary(tn_sema *s, tn_ast_op op, const tn_datum *x, const tn_datum *y, tn_loc loc) {
  if (is_compare(op)) return int_compare(s, op, x, y, loc);
  switch (op) {
    case TN_AST_ADD: return int_by(s, tn_dim_add, x, y, loc);
    case TN_AST_SUB: return int_by(s, tn_dim_sub, x, y, loc);
    case TN_AST_MUL: return int_by(s, tn_dim_mul, x, y, loc);
    case TN_AST_DIV: return tn_int_divide(s, x, y, loc);
    case TN_AST_POW: return int_power(s, x, y, loc);
    case TN_AST_MOD:
      if (!tn_dim_is(y->integer.extent, 0)) return int_by(s, tn_dim_mod, x, y, loc);
      tn_error(s->ctx, loc, TN_E_LANG_DIVIDE, "remainder of a division by 0");
      return NULL;
    default: return no_operands(s, op, x, y, loc);
  }
}

/* --- Numbers --- */

static bool float_of(tn_sema *s, const tn_datum *x, double *out) {
  if (x->kind == TN_DATUM_FLOAT) return *out = x->number, true;
  int64_t i;
  if (!tn_datum_static_int(s, x, "an integer in arithmetic with fractions", &i)) return false;
  *out = (double)i;
  return true;
}

static tn_datum *float_binary(tn_sema *s, tn_ast_op op, const tn_datum *x, const tn_datum *y, tn_loc loc) {
  double a, b;
  if (!float_of(s, x, &a) || !float_of(s, y, &b)) return NULL;
  switch (op) {
    case TN_AST_ADD: return tn_datum_float(s, a + b, loc);
    case TN_AST_SUB: return tn_datum_float(s, a - b, loc);
    case TN_AST_MUL: return tn_datum_float(s, a * b, loc);
    case TN_AST_DIV: return tn_datum_float(s, a / b, loc);
    case TN_AST_MOD: return tn_datum_float(s, a - floor(a / b) * b, loc);
    case TN_AST_POW: return tn_datum_float(s, pow(a, b), loc);
    case TN_AST_EQ: return tn_datum_bool(s, a == b, loc);
    case TN_AST_NE: return tn_datum_bool(s, a != b, loc);
    case TN_AST_LT: return tn_datum_bool(s, a < b, loc);
    case TN_AST_GT: return tn_datum_bool(s, a > b, loc);
    case TN_AST_LE: return tn_datum_bool(s, a <= b, loc);
    case TN_AST_GE: return tn_datum_bool(s, a >= b, loc);
    default: return no_operands(s, op, x, y, loc);
  }
}

/* --- Tensors --- */

/* x to the power y where the type is an integer one: by squaring, the exponent a number. */
static tn_value *tensor_int_power(tn_sema *s, tn_value *x, const tn_datum *y) {
  int64_t n;
  if (!tn_datum_static_int(s, y, "the exponent of integers", &n)) return NULL;
  if (n < 0) {
    tn_error(s->ctx, y->loc, TN_E_LANG_KIND, "the exponent of integers must not be negative");
    return NULL;
  }
  tn_value *result = tn_build_fill_like(&s->build, x, 1);
  for (; n > 0; n >>= 1) {
    if (n & 1) result = tn_build_binary(&s->build, TN_MUL, result, x);
    if (n > 1) x = tn_build_binary(&s->build, TN_MUL, x, x);
  }
  return result;
}

static bool types_fit(tn_sema *s, tn_ast_op op, const tn_datum *x, const tn_datum *y, tn_loc loc) {
  tn_dtype a = tn_datum_dtype(x), b = tn_datum_dtype(y);
  if (a != b) {
    tn_error(s->ctx, loc, TN_E_DTYPE, "'%s' of %s and %s: the types differ", tn_ast_op_text(op),
             tn_datum_describe(s, x), tn_datum_describe(s, y));
    tn_note(s->ctx, x->loc, "%s comes from here", tn_datum_describe(s, x));
    tn_note(s->ctx, y->loc, "%s comes from here", tn_datum_describe(s, y));
    tn_help(s->ctx, "cast(x, to: %s) makes them equal", tn_dtype_name(a));
    return false;
  }
  bool truth = a == TN_BOOL;
  bool fits = is_logic(op) ? truth : op == TN_AST_EQ || op == TN_AST_NE ? true : !truth;
  return fits || tn_error(s->ctx, loc, TN_E_DTYPE, "'%s' has no meaning for %s", tn_ast_op_text(op),
                          tn_datum_describe(s, x));
}

static tn_datum *tensor_binary(tn_sema *s, tn_ast_op op, tn_datum *x, tn_datum *y, tn_loc loc) {
  tn_axis *axes = NULL;
  tn_dtype dtype = tn_datum_dtype(x->kind == TN_DATUM_TENSOR ? x : y);
  const char *what = tn_namef(s->ctx, "'%s'", tn_ast_op_text(op));
  if (op == TN_AST_POW && tn_dtype_is_integer(dtype) && x->kind == TN_DATUM_TENSOR && tn_datum_is_scalar(y))
    return tn_datum_tensor(s, tensor_int_power(s, x->tensor.value, y), x->tensor.axes, loc);
  tn_datum *both[] = {tn_datum_as_tensor(s, x, dtype, loc), tn_datum_as_tensor(s, y, dtype, loc)};
  if (!both[0] || !both[1] || !types_fit(s, op, both[0], both[1], loc)) return NULL;
  if (op == TN_AST_POW && !tn_dtype_is_float(dtype)) return no_operands(s, op, x, y, loc);
  if (!tn_match_broadcast(s, what, both, 2, loc, &axes)) return NULL;
  tn_value *a = both[0]->tensor.value, *b = both[1]->tensor.value;
  if (op == TN_AST_POW && y->kind != TN_DATUM_TENSOR) {
    double exponent = 0;
    if (y->kind == TN_DATUM_FLOAT) exponent = y->number;
    else if (tn_dim_is_const(y->integer.extent)) exponent = (double)tn_dim_value(y->integer.extent);
    if (exponent == 2) return tn_datum_tensor(s, tn_build_binary(&s->build, TN_MUL, a, a), axes, loc);
  }
  return tn_datum_tensor(s, tn_build_binary(&s->build, scalars[op], a, b), axes, loc);
}

tn_datum *tn_eval_binary(tn_frame *f, tn_ast_op op, tn_datum *x, tn_datum *y, tn_loc loc) {
  tn_sema *s = f->sema;
  if (x->kind == TN_DATUM_POISON || y->kind == TN_DATUM_POISON) return NULL;
  bool tensor = x->kind == TN_DATUM_TENSOR || y->kind == TN_DATUM_TENSOR;
  if (tensor) {
    bool fit = (x->kind == TN_DATUM_TENSOR || tn_datum_is_scalar(x)) &&
               (y->kind == TN_DATUM_TENSOR || tn_datum_is_scalar(y));
    tn_datum *result = fit ? tensor_binary(s, op, x, y, loc) : no_operands(s, op, x, y, loc);
    if (!result) tn_frame_note_calls(f);
    return result;
  }
  if (x->kind == TN_DATUM_BOOL && y->kind == TN_DATUM_BOOL) {
    bool a = x->truth, b = y->truth;
    if (op == TN_AST_AND || op == TN_AST_OR) return tn_datum_bool(s, op == TN_AST_AND ? a && b : a || b, loc);
    if (op == TN_AST_EQ || op == TN_AST_NE) return tn_datum_bool(s, (a == b) == (op == TN_AST_EQ), loc);
    return no_operands(s, op, x, y, loc);
  }
  if (x->kind == TN_DATUM_INT && y->kind == TN_DATUM_INT) return int_binary(s, op, x, y, loc);
  bool numbers = (x->kind == TN_DATUM_INT || x->kind == TN_DATUM_FLOAT) &&
                 (y->kind == TN_DATUM_INT || y->kind == TN_DATUM_FLOAT);
  return numbers ? float_binary(s, op, x, y, loc) : no_operands(s, op, x, y, loc);
}

tn_datum *tn_eval_unary(tn_frame *f, tn_ast_op op, tn_datum *x, tn_loc loc) {
  tn_sema *s = f->sema;
  if (x->kind == TN_DATUM_POISON) return NULL;
  if (x->kind == TN_DATUM_BOOL && op == TN_AST_NOT) return tn_datum_bool(s, !x->truth, loc);
  if (x->kind == TN_DATUM_FLOAT && op == TN_AST_NEG) return tn_datum_float(s, -x->number, loc);
  if (x->kind == TN_DATUM_INT && op == TN_AST_NEG) return int_by(s, tn_dim_sub, tn_datum_int_const(s, 0, loc), x, loc);
  if (x->kind != TN_DATUM_TENSOR || (op == TN_AST_NOT) != (tn_datum_dtype(x) == TN_BOOL))
    return no_operands(s, op, x, NULL, loc);
  return tn_datum_tensor(s, tn_build_unary(&s->build, scalars[op], x->tensor.value), x->tensor.axes, loc);
}

bool tn_datum_static_int(tn_sema *s, const tn_datum *datum, const char *what, int64_t *out) {
  if (datum->kind == TN_DATUM_POISON) return false;
  if (datum->kind != TN_DATUM_INT)
    return tn_error(s->ctx, datum->loc, TN_E_LANG_KIND, "%s: expected an integer, found %s", what,
                    tn_datum_describe(s, datum));
  if (!tn_dim_is_const(datum->integer.extent)) {
    tn_error(s->ctx, datum->loc, TN_E_LANG_STATIC, "%s must be known at compile time; %s is bound by the input", what,
             tn_dim_text(s, datum->integer.extent));
    if (datum->integer.loc && datum->integer.loc != datum->loc)
      tn_note(s->ctx, datum->integer.loc, "%s stands in an input's type here", tn_dim_text(s, datum->integer.extent));
    return false;
  }
  *out = tn_dim_value(datum->integer.extent);
  return true;
}
