/* Strings: interned names (equal text is one pointer) and a growable text buffer. */
#ifndef TN_IR_SUPPORT_STR_H
#define TN_IR_SUPPORT_STR_H

#include <stdarg.h>

#include "ir/support/arena.h"

typedef struct tn_interner tn_interner;

tn_interner *tn_interner_create(tn_arena *arena);
/* The one NUL-terminated copy of these bytes; text must not contain NUL. */
const char *tn_intern(tn_interner *interner, const char *text, size_t length);
const char *tn_intern_z(tn_interner *interner, const char *text);

/* A text buffer; data is always NUL-terminated once anything was appended. */
typedef struct tn_buf {
  tn_arena *arena;
  char *data;
  size_t n;
  size_t capacity;
} tn_buf;

tn_buf tn_buf_create(tn_arena *arena);
void tn_buf_append(tn_buf *buf, const char *text, size_t length);
void tn_buf_puts(tn_buf *buf, const char *text);
void tn_buf_putc(tn_buf *buf, char c);
void tn_buf_printf(tn_buf *buf, const char *format, ...) TN_PRINTF(2, 3);
void tn_buf_vprintf(tn_buf *buf, const char *format, va_list args);
/* Appends text with C escapes for quotes, backslash and control bytes, without the quotes. */
void tn_buf_escape(tn_buf *buf, const char *text, size_t length);
/* Appends v so that it reads back to the same bits: shortest decimal if exact, else hexadecimal;
 * "inf", "-inf", "nan" (a NaN with a payload prints as nan(0x...)). */
void tn_buf_double(tn_buf *buf, double v);

/* Bytes of the UTF-8 character at the start of text, which ends with NUL; 0 at the end and where it is not well formed
 * (RFC 3629: no surrogates, no long forms). */
size_t tn_utf8_bytes(const char *text);

/* Edit distance for "did you mean"; returns the nearest of names within distance 2, or NULL. */
const char *tn_str_nearest(const char *text, const char *const *names, size_t n_names);

#endif
