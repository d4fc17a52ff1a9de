/* The derivatives of the elementwise primitives. Those that are constant between jumps (floor, sign, ...) have none
 * that training could use and say so in scalar.c. Where a function has a corner, the value is that of the
 * subgradient which frameworks agree on: 0 for |x| at 0, halves for max and min of equal operands. */
#include "ir/gradient.h"
#include "ir/ops/compose.h"

#include <math.h>

typedef struct sides {
  tn_build *b;
  tn_value *x, *y, *out, *dy;
} sides;

static tn_value *times(const sides *s, tn_value *p, tn_value *q) { return tn_build_binary(s->b, TN_MUL, p, q); }
static tn_value *unary(const sides *s, tn_scalar scalar, tn_value *p) { return tn_build_unary(s->b, scalar, p); }
static tn_value *with(const sides *s, tn_scalar scalar, tn_value *p, double v) {
  return tn_build_binary_f(s->b, scalar, p, v);
}
static tn_value *square(const sides *s, tn_value *p) { return times(s, p, p); }
static tn_value *from_one(const sides *s, tn_value *p) {
  return tn_build_binary(s->b, TN_SUB, tn_build_fill_like(s->b, p, 1), p);
}
static tn_value *over(const sides *s, tn_value *p, tn_value *q) { return tn_build_binary(s->b, TN_DIV, p, q); }
static tn_value *minus(const sides *s, tn_value *p) { return tn_build_unary(s->b, TN_NEG, p); }
static tn_value *zero(const sides *s) { return tn_build_fill_like(s->b, s->dy, 0); }

/* dy times the derivative of a function of one operand. */
static tn_value *of_one(const sides *s, tn_scalar scalar) {
  tn_value *x = s->x, *y = s->out, *dy = s->dy;
  switch (scalar) {
    case TN_NEG: return minus(s, dy);
    case TN_ABS: return times(s, dy, unary(s, TN_SIGN, x));
    case TN_SQRT: return over(s, with(s, TN_MUL, dy, 0.5), y);
    case TN_RSQRT: return times(s, with(s, TN_MUL, dy, -0.5), times(s, y, square(s, y)));
    case TN_EXP: return times(s, dy, y);
    case TN_EXPM1: return times(s, dy, with(s, TN_ADD, y, 1));
    case TN_LOG: return over(s, dy, x);
    case TN_LOG1P: return over(s, dy, with(s, TN_ADD, x, 1));
    case TN_SIN: return times(s, dy, unary(s, TN_COS, x));
    case TN_COS: return minus(s, times(s, dy, unary(s, TN_SIN, x)));
    case TN_TAN: return times(s, dy, with(s, TN_ADD, square(s, y), 1));
    case TN_ASIN: return times(s, dy, unary(s, TN_RSQRT, from_one(s, square(s, x))));
    case TN_ACOS: return minus(s, times(s, dy, unary(s, TN_RSQRT, from_one(s, square(s, x)))));
    case TN_ATAN: return over(s, dy, with(s, TN_ADD, square(s, x), 1));
    case TN_SINH: return times(s, dy, unary(s, TN_COSH, x));
    case TN_COSH: return times(s, dy, unary(s, TN_SINH, x));
    case TN_TANH: return times(s, dy, from_one(s, square(s, y)));
    case TN_ASINH: return times(s, dy, unary(s, TN_RSQRT, with(s, TN_ADD, square(s, x), 1)));
    case TN_ACOSH: return times(s, dy, unary(s, TN_RSQRT, with(s, TN_SUB, square(s, x), 1)));
    case TN_ATANH: return over(s, dy, from_one(s, square(s, x)));
    case TN_ERF:
      return times(s, with(s, TN_MUL, dy, 2 / sqrt(acos(-1.0))), unary(s, TN_EXP, minus(s, square(s, x))));
    default: return NULL;
  }
}

/* Half of dy to each where the operands are equal. */
static tn_value *to_winner(const sides *s, tn_scalar wins, tn_value *p, tn_value *q) {
  tn_value *tie = tn_build_select(s->b, tn_build_binary(s->b, TN_EQ, p, q), with(s, TN_MUL, s->dy, 0.5), zero(s));
  return tn_build_select(s->b, tn_build_binary(s->b, wins, p, q), s->dy, tie);
}

static void of_extreme(const sides *s, tn_scalar scalar, tn_vjp *v) {
  tn_scalar wins = scalar == TN_MAX ? TN_GT : TN_LT;
  if (v->needed[0]) v->dx[0] = to_winner(s, wins, s->x, s->y);
  if (v->needed[1]) v->dx[1] = to_winner(s, wins, s->y, s->x);
}

/* x^y: y x^(y-1) in x, 0 where y is 0; x^y log x in y, 0 where x is 0 (as a limit for y > 0). */
static void of_pow(const sides *s, tn_vjp *v) {
  if (v->needed[0]) {
    tn_value *slope = times(s, s->y, tn_build_binary(s->b, TN_POW, s->x, with(s, TN_SUB, s->y, 1)));
    tn_value *flat = with(s, TN_EQ, s->y, 0);
    v->dx[0] = tn_build_select(s->b, flat, zero(s), times(s, s->dy, slope));
  }
  if (v->needed[1]) {
    tn_value *slope = times(s, s->out, unary(s, TN_LOG, s->x));
    tn_value *flat = with(s, TN_EQ, s->x, 0);
    v->dx[1] = tn_build_select(s->b, flat, zero(s), times(s, s->dy, slope));
  }
}

/* rem = x - y trunc(x / y), mod = x - y floor(x / y): between the jumps of the quotient. */
static void of_remainder(const sides *s, tn_vjp *v) {
  if (v->needed[0]) v->dx[0] = s->dy;
  if (v->needed[1]) {
    tn_value *quotient = over(s, tn_build_binary(s->b, TN_SUB, s->x, s->out), s->y);
    v->dx[1] = minus(s, times(s, s->dy, unary(s, TN_ROUND, quotient)));
  }
}

static void of_two(const sides *s, tn_scalar scalar, tn_vjp *v) {
  const bool *needed = v->needed;
  tn_value *dy = s->dy;
  switch (scalar) {
    case TN_ADD:
    case TN_SUB:
      if (needed[0]) v->dx[0] = dy;
      if (needed[1]) v->dx[1] = scalar == TN_ADD ? dy : minus(s, dy);
      return;
    case TN_MUL:
      if (needed[0]) v->dx[0] = times(s, dy, s->y);
      if (needed[1]) v->dx[1] = times(s, dy, s->x);
      return;
    case TN_DIV:
      if (needed[0]) v->dx[0] = over(s, dy, s->y);
      if (needed[1]) v->dx[1] = minus(s, over(s, times(s, dy, s->out), s->y));
      return;
    case TN_REM:
    case TN_MOD: of_remainder(s, v); return;
    case TN_MAX:
    case TN_MIN: of_extreme(s, scalar, v); return;
    case TN_POW: of_pow(s, v); return;
    default: return;
  }
}

/* The operand that was taken gets dy, the other nothing; the condition is no float. */
static void of_select(const sides *s, tn_vjp *v) {
  if (v->needed[1]) v->dx[1] = tn_build_select(s->b, v->operands[0], s->dy, zero(s));
  if (v->needed[2]) v->dx[2] = tn_build_select(s->b, v->operands[0], zero(s), s->dy);
}

/* Formulas of several steps compute in f32 where the type is narrower, as expansions do, and round their result
 * once. */
static sides widen(const sides *s) {
  tn_build *b = s->b;
  return (sides){b, tn_compose_wide(b, s->x), tn_compose_wide(b, s->y), tn_compose_wide(b, s->out),
                 tn_compose_wide(b, s->dy)};
}

bool tn_scalar_vjp(tn_vjp *v) {
  tn_scalar scalar = v->node->op->scalar;
  uint32_t n = v->node->n_operands;
  sides s = {v->build, v->operands[0], n > 1 ? v->operands[1] : NULL, v->results[0], v->dy[0]};
  if (scalar == TN_SELECT) {
    of_select(&s, v);
  } else if (scalar == TN_CAST) {
    v->dx[0] = tn_build_cast(s.b, s.dy, s.x->type->dtype);
  } else if (scalar == TN_FMA) {
    if (v->needed[0]) v->dx[0] = times(&s, s.dy, s.y);
    if (v->needed[1]) v->dx[1] = times(&s, s.dy, s.x);
    if (v->needed[2]) v->dx[2] = s.dy;
  } else {
    sides wide = widen(&s);
    if (n == 1) v->dx[0] = of_one(&wide, scalar);
    else of_two(&wide, scalar, v);
  }
  for (uint32_t i = 0; i < n; i++)
    if (v->needed[i] && (v->dx[i] = tn_compose_narrow(s.b, v->dx[i], v->operands[i])) == NULL) return false;
  return true;
}
