/* What a term of a condition makes of two numbers, for the compiler (static ones) and for training programs. C99. */
#ifndef TNRT_TERM_H
#define TNRT_TERM_H

#include <math.h>

#include "runtime/training.h"

/* kind: a tnrt_term_kind with two operands. Comparisons with NaN, a number that was not measured, are false, != too. */
static inline double tnrt_term_apply(uint32_t kind, double a, double b) {
  switch (kind) {
    case TNRT_TERM_ADD: return a + b;
    case TNRT_TERM_SUB: return a - b;
    case TNRT_TERM_MUL: return a * b;
    case TNRT_TERM_DIV: return a / b;
    case TNRT_TERM_LT: return a < b;
    case TNRT_TERM_LE: return a <= b;
    case TNRT_TERM_GT: return a > b;
    case TNRT_TERM_GE: return a >= b;
    case TNRT_TERM_EQ: return a == b;
    case TNRT_TERM_NE: return a < b || a > b;
    case TNRT_TERM_POW: return pow(a, b);
    case TNRT_TERM_MOD: return a - floor(a / b) * b;
    case TNRT_TERM_AND: return a != 0 && b != 0;
    default: return a != 0 || b != 0;
  }
}

#endif
