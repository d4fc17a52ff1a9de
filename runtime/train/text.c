/* Text of a fixed size (text.h). */
#include "runtime/train/text.h"

#include <math.h>
#include <stdio.h>

#include "runtime/core/message.h"
#include "runtime/train/unicode.h"

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

/* As a JSON string; bytes that are no UTF-8 become '?'. */
void tnrt_put_string(tnrt_writer *w, const char *text) {
  tnrt_put(w, '"');
  for (int n; *text; text += n ? n : 1) {
    uint8_t c = (uint8_t)*text;
    uint32_t code;
    n = tnrt_char_read(text, &code);
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
