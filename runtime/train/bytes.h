/* The bytes of a file: held in memory where there is room for them, else read whenever they are asked for. Reading is a
 * call to the file, no mapping: one that shrinks meanwhile is an error and no signal, and address space is not used up.
 */
#ifndef TNRT_TRAIN_BYTES_H
#define TNRT_TRAIN_BYTES_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

typedef struct tnrt_bytes {
  const char *path;
  uint8_t *data; /* n bytes and room for one more; NULL: they are in the file */
  uint64_t n;
  int fd;        /* where data is NULL */
  bool is_open;
} tnrt_bytes;

/* *room: what files may still take, less by n where they are held. What is no regular file (a pipe, "-") is held. */
tnrt_status tnrt_bytes_open(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint64_t *room,
                            tnrt_bytes *out);
void tnrt_bytes_close(const tnrt_alloc *alloc, tnrt_bytes *bytes);

/* n bytes from `at` on, all within the file. TNRT_IO: they cannot be read. */
tnrt_status tnrt_bytes_read(tnrt_message *message, const tnrt_bytes *bytes, uint64_t at, size_t n, void *to);

#endif
