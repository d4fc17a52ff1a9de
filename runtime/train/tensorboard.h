/* Event files that TensorBoard reads: scalars by step. */
#ifndef TNRT_TRAIN_TENSORBOARD_H
#define TNRT_TRAIN_TENSORBOARD_H

#include <stdbool.h>

#include "runtime/core/message.h"

typedef struct tnrt_tensorboard {
  const char *path; /* of the folder */
  int fd;
  bool must_start; /* a resumed training tells from which step on older files no longer count */
  double time;     /* of the record that is being put together, in seconds of the epoch */
  int64_t step;
  size_t n; /* bytes of it */
  uint8_t record[16384];
} tnrt_tensorboard;

/* Makes the folder where there is none (not those above it) and a file in it; path stays the caller's. */
tnrt_status tnrt_tensorboard_open(tnrt_tensorboard *board, tnrt_message *message, const char *path, bool appends);
/* A record of scalars: begun, filled, written. What does not fit into 16 KiB goes into another one. */
void tnrt_tensorboard_begin(tnrt_tensorboard *board, double time, int64_t step);
tnrt_status tnrt_tensorboard_add(tnrt_tensorboard *board, tnrt_message *message, const char *tag, double value);
tnrt_status tnrt_tensorboard_end(tnrt_tensorboard *board, tnrt_message *message);
void tnrt_tensorboard_close(tnrt_tensorboard *board);

/* CRC-32C (Castagnoli). */
uint32_t tnrt_crc32c(const void *data, size_t bytes);

#endif
