/* The text of failures (message.h). Libraries for use without a C library contain this. */
#include "runtime/core/message.h"

#include <stdarg.h>
#include <stdbool.h>

typedef struct writer {
  char *out;
  size_t capacity, n;
} writer;

static void put(writer *w, char c) {
  if (w->n + 1 < w->capacity) w->out[w->n++] = c;
}

static void put_number(writer *w, uint64_t value, bool is_negative) {
  char digits[20];
  size_t n = 0;
  do digits[n++] = (char)('0' + value % 10);
  while ((value /= 10) > 0);
  if (is_negative) put(w, '-');
  while (n > 0) put(w, digits[--n]);
}

static void put_signed(writer *w, int64_t value) {
  put_number(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

/* A precision behind '%', or the largest when there is none. */
static size_t precision(const char **at, int given) {
  if (**at != '.') return SIZE_MAX;
  size_t n = 0;
  (*at)++;
  if (**at == '*') {
    (*at)++;
    return given < 0 ? SIZE_MAX : (size_t)given;
  }
  for (; **at >= '0' && **at <= '9'; (*at)++) n = 10 * n + (size_t)(**at - '0');
  return n;
}

static size_t format_text(char *out, size_t capacity, const char *format, va_list args) {
  writer w = {out, capacity, 0};
  for (const char *at = format; *at; at++) {
    if (*at != '%') {
      put(&w, *at);
      continue;
    }
    at++;
    bool asks = at[0] == '.' && at[1] == '*';
    size_t most = precision(&at, asks ? va_arg(args, int) : 0);
    bool is_long = at[0] == 'l' && at[1] == 'l', is_size = *at == 'z';
    at += is_long ? 2 : is_size;
    if (*at == 's') {
      const char *text = va_arg(args, const char *);
      for (size_t i = 0; i < most && text[i]; i++) put(&w, text[i]);
    } else if (*at == 'd') {
      put_signed(&w, is_long ? (int64_t)va_arg(args, long long) : va_arg(args, int));
    } else if (*at == 'u') {
      put_number(&w, is_long ? va_arg(args, unsigned long long) : is_size ? va_arg(args, size_t)
                                                                          : va_arg(args, unsigned), false);
    } else {
      put(&w, *at); /* %% */
    }
  }
  out[w.n] = 0;
  return w.n;
}

size_t tnrt_text(char *out, size_t capacity, const char *format, ...) {
  va_list args;
  va_start(args, format);
  size_t n = format_text(out, capacity, format, args);
  va_end(args);
  return n;
}

tnrt_status tnrt_fail(tnrt_message *message, tnrt_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  format_text(message->text, sizeof message->text, format, args);
  va_end(args);
  return status;
}
