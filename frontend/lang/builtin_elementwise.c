/* Built-ins, group 1: element-wise. Numbers known at compile time stay numbers. */
#include <math.h>
#include <string.h>

#include "frontend/lang/builtin.h"
#include "ir/eval.h"

static tn_scalar scalar_named(const char *name) {
  for (int i = 0; i < TN_N_SCALARS; i++)
    if (strcmp(tn_op_of_scalar((tn_scalar)i)->name, name) == 0) return (tn_scalar)i;
  return TN_N_SCALARS;
}

/* One scalar op; numbers are computed in double. */
static tn_datum *make_unary(tn_call *call) {
  tn_scalar scalar = scalar_named(call->builtin->op);
  tn_datum *x = call->args[0];
  TN_ASSERT(scalar < TN_N_SCALARS);
  if (x->kind == TN_DATUM_FLOAT || (x->kind == TN_DATUM_INT && tn_dim_is_const(x->integer.extent))) {
    tn_number v = {.f = tn_call_float(call, 0)};
    v = tn_scalar_apply(scalar, TN_F64, TN_F64, true, &v);
    if (x->kind == TN_DATUM_INT && (scalar == TN_ABS || scalar == TN_SIGN))
      return tn_datum_int_const(call->s, (int64_t)v.f, call->loc);
    return tn_datum_float(call->s, v.f, call->loc);
  }
  x = tn_call_tensor(call, 0);
  return x ? tn_call_like(call, tn_build_unary(call->b, scalar, x->tensor.value), x) : NULL;
}

/* An operator of the graph that has x as its only operand; attributes are those of the signature after x. */
static tn_datum *make_op(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  return x ? tn_call_like(call, tn_call_op(call, call->builtin->op, &x->tensor.value, 1, NULL, 0), x) : NULL;
}

static tn_datum *make_with_alpha(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_named_attr alpha = {"alpha", tn_attr_float(tn_call_float(call, 1))};
  return x ? tn_call_like(call, tn_call_op(call, call->builtin->op, &x->tensor.value, 1, &alpha, 1), x) : NULL;
}

static tn_datum *make_gelu(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_named_attr how = {"approximate", tn_attr_name(tn_op_find("gelu"), "approximate", tn_call_word(call, 1))};
  return x ? tn_call_like(call, tn_call_op(call, "gelu", &x->tensor.value, 1, &how, 1), x) : NULL;
}

static tn_datum *make_hardsigmoid(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_named_attr attrs[] = {{"alpha", tn_attr_float(1.0 / 6)}, {"beta", tn_attr_float(0.5)}};
  return x ? tn_call_like(call, tn_call_op(call, "hard_sigmoid", &x->tensor.value, 1, attrs, 2), x) : NULL;
}

static tn_datum *make_square(tn_call *call) {
  return tn_eval_binary(call->frame, TN_AST_MUL, call->args[0], call->args[0], call->loc);
}

/* Tensors of the operands first..first+n, brought together; numbers take the type of the first tensor. */
static bool join(tn_call *call, uint32_t first, uint32_t n, tn_datum **out, tn_axis **axes) {
  tn_dtype dtype = TN_F32;
  bool found = false;
  for (uint32_t i = first; i < n && !found; i++)
    if (call->args[i]->kind == TN_DATUM_TENSOR) {
      dtype = tn_datum_dtype(call->args[i]);
      found = true;
    }
  for (uint32_t i = first; i < n && !found; i++)
    if (call->args[i]->kind == TN_DATUM_BOOL) dtype = TN_BOOL;
  for (uint32_t i = 0; i < n; i++) {
    out[i] = tn_datum_as_tensor(call->s, call->args[i], i < first ? TN_BOOL : dtype, call->args[i]->loc);
    if (!out[i]) return false;
    if (i >= first && tn_datum_dtype(out[i]) != dtype)
      return tn_call_error(call, TN_E_DTYPE, "expected %s, found %s; cast one", tn_dtype_name(dtype),
                           tn_datum_describe(call->s, out[i]));
  }
  if (tn_match_broadcast(call->s, call->builtin->name, out, n, call->loc, axes)) return true;
  tn_frame_note_calls(call->frame);
  return false;
}

static tn_datum *make_min_max(tn_call *call) {
  tn_scalar scalar = scalar_named(call->builtin->op);
  tn_datum *both[2];
  tn_axis *axes;
  const tn_datum *x = call->args[0], *y = call->args[1];
  if (x->kind == TN_DATUM_INT && y->kind == TN_DATUM_INT) {
    bool min = scalar == TN_MIN;
    const tn_dim *(*op)(tn_ctx *, const tn_dim *, const tn_dim *) = min ? tn_dim_min : tn_dim_max;
    const tn_dim *extent = op(call->s->ctx, x->integer.extent, y->integer.extent);
    return tn_datum_int(call->s, extent, extent == x->integer.extent ? x->integer.label : y->integer.label, call->loc);
  }
  if (x->kind != TN_DATUM_TENSOR && y->kind != TN_DATUM_TENSOR) {
    double a = tn_call_float(call, 0), b = tn_call_float(call, 1);
    return tn_datum_float(call->s, scalar == TN_MIN ? fmin(a, b) : fmax(a, b), call->loc);
  }
  if (!join(call, 0, 2, both, &axes)) return NULL;
  return tn_datum_tensor(call->s, tn_build_binary(call->b, scalar, both[0]->tensor.value, both[1]->tensor.value), axes,
                         call->loc);
}

static tn_datum *make_clamp(tn_call *call) {
  tn_datum *all[3];
  tn_axis *axes;
  if (!join(call, 0, 3, all, &axes)) return NULL;
  tn_value *y = tn_build_binary(call->b, TN_MAX, all[0]->tensor.value, all[1]->tensor.value);
  return tn_datum_tensor(call->s, tn_build_binary(call->b, TN_MIN, y, all[2]->tensor.value), axes, call->loc);
}

static tn_datum *make_where(tn_call *call) {
  tn_datum *all[3];
  tn_axis *axes;
  if (!join(call, 1, 3, all, &axes)) return NULL;
  return tn_datum_tensor(
      call->s, tn_build_select(call->b, all[0]->tensor.value, all[1]->tensor.value, all[2]->tensor.value), axes,
      call->loc);
}

static tn_datum *make_cast(tn_call *call) {
  tn_dtype to = call->args[1]->dtype;
  tn_datum *x = call->args[0]->kind == TN_DATUM_TENSOR ? call->args[0]
                                                       : tn_datum_as_tensor(call->s, call->args[0], to, call->loc);
  return x ? tn_call_like(call, tn_build_cast(call->b, x->tensor.value, to), x) : NULL;
}

static tn_datum *make_int_division(tn_call *call) {
  const tn_datum *x = call->args[0], *y = call->args[1];
  tn_ctx *ctx = call->s->ctx;
  bool up = strcmp(call->builtin->name, "ceil_div") == 0;
  const tn_dim *p = x->integer.extent, *q = y->integer.extent, *a = x->integer.label, *b = y->integer.label;
  if (q->lo < 1) return tn_call_error(call, TN_E_LANG_DIVIDE, "the divisor must be positive"), NULL;
  if (up) p = tn_dim_add_i(ctx, tn_dim_add(ctx, p, q), -1);
  if (up && a && b) a = tn_dim_add_i(ctx, tn_dim_add(ctx, a, b), -1);
  return tn_datum_int(call->s, tn_dim_floordiv(ctx, p, q), a && b ? tn_dim_floordiv(ctx, a, b) : NULL, call->loc);
}

static const tn_builtin rows[] = {
    {"abs", "x: n[]", "|x|", make_unary, "abs"},
    {"sign", "x: n[]", "-1, 0 or 1", make_unary, "sign"},
    {"sqrt", "x: f[]", "square root; NaN of a negative", make_unary, "sqrt"},
    {"rsqrt", "x: f[]", "1 / sqrt(x)", make_unary, "rsqrt"},
    {"square", "x: n[]", "x * x", make_square, NULL},
    {"exp", "x: f[]", "e to the power x", make_unary, "exp"},
    {"log", "x: f[]", "natural logarithm", make_unary, "log"},
    {"log1p", "x: f[]", "log(1 + x)", make_unary, "log1p"},
    {"expm1", "x: f[]", "exp(x) - 1", make_unary, "expm1"},
    {"sin", "x: f[]", "sine", make_unary, "sin"},
    {"cos", "x: f[]", "cosine", make_unary, "cos"},
    {"tanh", "x: f[]", "hyperbolic tangent", make_unary, "tanh"},
    {"erf", "x: f[]", "error function", make_unary, "erf"},
    {"floor", "x: f[]", "down to a whole number", make_unary, "floor"},
    {"ceil", "x: f[]", "up to a whole number", make_unary, "ceil"},
    {"round", "x: f[]", "to the nearest whole number, halves to even", make_unary, "round"},
    {"min", "a: n[], b: n[]", "the smaller; NaN where one is NaN", make_min_max, "min"},
    {"max", "a: n[], b: n[]", "the greater; NaN where one is NaN", make_min_max, "max"},
    {"clamp", "x: n[], lo: n[], hi: n[]", "min(max(x, lo), hi)", make_clamp, NULL},
    {"where", "c: bool[], a: *[], b: *[]", "a where c, else b", make_where, NULL},
    {"cast", "x: *[], to: dtype", "another type; float to integer truncates and saturates, NaN gives 0", make_cast,
     NULL},
    {"is_nan", "x: f[]", "whether x is NaN", make_unary, "is_nan"},
    {"is_inf", "x: f[]", "whether x is an infinity", make_unary, "is_inf"},
    {"relu", "x: f[]", "max(x, 0)", make_op, "relu"},
    {"sigmoid", "x: f[]", "1 / (1 + exp(-x))", make_op, "sigmoid"},
    {"silu", "x: f[]", "x * sigmoid(x)", make_op, "swish"},
    {"softplus", "x: f[]", "log(1 + exp(x))", make_op, "softplus"},
    {"leaky_relu", "x: f[], alpha: float = 0.01", "x where positive, else alpha * x", make_with_alpha, "leaky_relu"},
    {"elu", "x: f[], alpha: float = 1.0", "x where positive, else alpha * (exp(x) - 1)", make_with_alpha, "elu"},
    {"gelu", "x: f[], approx: none|tanh = none", "x times the normal distribution function of x", make_gelu, NULL},
    {"hardsigmoid", "x: f[]", "clamp(x / 6 + 1 / 2, 0, 1)", make_hardsigmoid, NULL},
    {"hardswish", "x: f[]", "x * hardsigmoid(x)", make_op, "hard_swish"},
    {"floor_div", "a: int, b: int", "a / b rounded down", make_int_division, NULL},
    {"ceil_div", "a: int, b: int", "a / b rounded up", make_int_division, NULL},
};

const tn_builtin_group tn_builtins_elementwise = TN_BUILTINS("Element-wise", rows);
