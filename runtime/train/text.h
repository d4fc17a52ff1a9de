/* Text put together in memory of a fixed size: what does not fit is counted and not written. */
#ifndef TNRT_TRAIN_TEXT_H
#define TNRT_TRAIN_TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct tnrt_writer {
  char *out;
  size_t capacity, n; /* n may be beyond capacity; there is no zero at the end */
} tnrt_writer;

void tnrt_put(tnrt_writer *writer, char c);
void tnrt_put_text(tnrt_writer *writer, const char *text);
void tnrt_put_integer(tnrt_writer *writer, int64_t number);
/* Nine digits, which give back every f32. Not finite: `otherwise`. */
void tnrt_put_real(tnrt_writer *writer, double number, const char *otherwise);
/* A string of JSON; bytes that are no UTF-8 become '?'. */
void tnrt_put_string(tnrt_writer *writer, const char *text);

#endif
