/* The lock of a folder of checkpoints: one training at a time. It ends with the process, however that ends. */
#ifndef TNRT_TRAIN_LOCK_H
#define TNRT_TRAIN_LOCK_H

#include "runtime/core/message.h"

/* A lock on the file at path, which is made and stays; *out_fd holds it until it is closed. TNRT_BAD_INPUT: another
 * process has it, named by its id and machine as the file says; who: what is locked, "the checkpoints in 'x'". */
tnrt_status tnrt_lock_take(tnrt_message *message, const char *path, const char *who, int *out_fd);

#endif
