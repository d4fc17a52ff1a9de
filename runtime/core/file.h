/* Files of an executable: reading whole ones, writing atomically. */
#ifndef TNRT_CORE_FILE_H
#define TNRT_CORE_FILE_H

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

/* A file in memory, aligned to 64, in a block of `alloc`. path "-" is standard input. */
tnrt_status tnrt_file_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint8_t **out,
                           size_t *out_bytes);

/* DIR/NAME.npy with NAME percent-encoded: every byte outside [A-Za-z0-9_.-], and a leading dot, as %XX. False when it
 * does not fit. */
int tnrt_file_name(char *path, size_t path_bytes, const char *dir, const char *name);

/* One array as .npy: written beside, synced, renamed, so that path is whole or what it was. */
tnrt_status tnrt_file_write_npy(tnrt_message *message, const char *path, uint32_t dtype, uint32_t ndim,
                                const int64_t *extents, const void *data);

/* The same to an open descriptor, as it comes. what: for messages. */
tnrt_status tnrt_file_put_npy(tnrt_message *message, int fd, const char *what, uint32_t dtype, uint32_t ndim,
                              const int64_t *extents, const void *data);

#endif
