/* The text of failures (message.h). */
#include "runtime/core/message.h"

#include <stdarg.h>
#include <stdio.h>

tnrt_status tnrt_fail(tnrt_message *message, tnrt_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(message->text, sizeof message->text, format, args);
  va_end(args);
  return status;
}
