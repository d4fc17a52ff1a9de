/* Text of a fixed size (text.h). */
#include "runtime/train/text.h"

#include <math.h>
#include <stdio.h>

#include "runtime/core/message.h"

void tnrt_put(tnrt_writer *w, char c) {
  if (w->n < w->capacity) w->out[w->n] = c;
  w->n++;
}

void tnrt_put_text(tnrt_writer *w, const char *text) {
  for (; *text; text++) tnrt_put(w, *text);
}

void tnrt_put_integer(tnrt_writer *w, int64_t number) {
  char digits[24];
  tnrt_text(digits, sizeof digits, "%lld", (long long)number);
  tnrt_put_text(w, digits);
}

void tnrt_put_real(tnrt_writer *w, double number, const char *otherwise) {
  char digits[32];
  snprintf(digits, sizeof digits, "%.9g", number);
  tnrt_put_text(w, isfinite(number) ? digits : otherwise);
}

/* Bytes of the UTF-8 character at text, 0 when it is none (RFC 3629: shortest forms, no surrogates). */
static int utf8_bytes(const uint8_t *text) {
  uint32_t code = text[0];
  int n = code < 0x80                   ? 1
          : code >= 0xc2 && code < 0xe0 ? 2
          : (code & 0xf0) == 0xe0       ? 3
          : code >= 0xf0 && code < 0xf5 ? 4
                                        : 0;
  if (n > 1) code &= 0x7fu >> n;
  for (int i = 1; i < n; i++) {
    if ((text[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (text[i] & 0x3f);
  }
  if ((n == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
      (n == 4 && (code < 0x10000 || code > 0x10ffff)))
    return 0;
  return n;
}

/* As a JSON string; bytes that are no UTF-8 become '?'. */
void tnrt_put_string(tnrt_writer *w, const char *text) {
  tnrt_put(w, '"');
  for (int n; *text; text += n ? n : 1) {
    uint8_t c = (uint8_t)*text;
    n = utf8_bytes((const uint8_t *)text);
    if (n == 0) {
      tnrt_put(w, '?');
    } else if (c < 0x20) {
      tnrt_put_text(w, "\\u00");
      tnrt_put(w, "0123456789abcdef"[c >> 4]);
      tnrt_put(w, "0123456789abcdef"[c & 15]);
    } else {
      if (c == '"' || c == '\\') tnrt_put(w, '\\');
      for (int i = 0; i < n; i++) tnrt_put(w, text[i]);
    }
  }
  tnrt_put(w, '"');
}
