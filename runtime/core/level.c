/* What the typed C functions of a library call that needs nothing of the C library but memcpy and its kin. */
#include "runtime/core/runtime.h"

static size_t put(char *out, size_t capacity, size_t at, const char *text) {
  for (; *text && at + 1 < capacity; text++) out[at++] = *text;
  return at;
}

void tnrt_level_text(char *out, size_t capacity, const char *text, const int64_t *found) {
  size_t at = put(out, capacity, 0, text);
  if (found) {
    char digits[24];
    size_t first = sizeof digits;
    uint64_t left = *found < 0 ? 0 - (uint64_t)*found : (uint64_t)*found;
    digits[--first] = 0;
    do digits[--first] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (*found < 0) digits[--first] = '-';
    at = put(out, capacity, at, ", found ");
    at = put(out, capacity, at, digits + first);
  }
  out[at] = 0;
}
