/* Small things every part of the compiler uses: the assertion, checked arithmetic, array length.
 *
 * Assertions state invariants of tenon itself; they never check input. Arithmetic on numbers that
 * come from input goes through the checked forms, which return false on overflow. */
#ifndef TN_IR_SUPPORT_BASE_H
#define TN_IR_SUPPORT_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TN_ASSERT(condition) assert(condition)
#define TN_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__GNUC__)
#define TN_PRINTF(format_index, first_index) \
  __attribute__((format(printf, format_index, first_index)))
#else
#define TN_PRINTF(format_index, first_index)
#endif

/* Each returns false, leaving *out unspecified, when the exact result does not fit. */
static inline bool tn_add_i64(int64_t a, int64_t b, int64_t *out) {
  return !__builtin_add_overflow(a, b, out);
}
static inline bool tn_sub_i64(int64_t a, int64_t b, int64_t *out) {
  return !__builtin_sub_overflow(a, b, out);
}
static inline bool tn_mul_i64(int64_t a, int64_t b, int64_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
static inline bool tn_mul_size(size_t a, size_t b, size_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}

/* Rounded toward minus infinity; b != 0 and not (INT64_MIN, -1). */
static inline int64_t tn_floordiv_i64(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)));
}
/* Sign of the divisor; b != 0 and not (INT64_MIN, -1). */
static inline int64_t tn_mod_i64(int64_t a, int64_t b) {
  int64_t rest = a % b;
  return rest != 0 && ((rest < 0) != (b < 0)) ? rest + b : rest;
}

#endif
