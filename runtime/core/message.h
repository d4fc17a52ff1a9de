/* A failure: its status and its text. Functions return the status and leave the text with the caller. */
#ifndef TNRT_CORE_MESSAGE_H
#define TNRT_CORE_MESSAGE_H

#include "runtime/abi.h"

typedef struct tnrt_message {
  char text[512]; /* always ended by a zero; longer messages are cut */
} tnrt_message;

/* Writes text as snprintf does, cut to capacity (at least 1) and always ended by a zero, without the C library: of the
 * conversions %d %u %lld %llu %zu %s %.Ns %.*s and %%. Returns the bytes that are there now, without the zero. */
size_t tnrt_text(char *out, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Writes the text in the same way and returns status, so that failing is one line. */
tnrt_status tnrt_fail(tnrt_message *message, tnrt_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
