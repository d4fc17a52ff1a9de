/* What stands in a folder of checkpoints; shared by checkpoint.c, which reads, and store.c, which writes. */
#ifndef TNRT_TRAIN_FOLDER_H
#define TNRT_TRAIN_FOLDER_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

enum { TNRT_CHECKPOINT_NAME = 48, TNRT_SEQUENCE_TEXT = 24 };

typedef struct tnrt_row {
  int64_t step;      /* as its name says */
  uint64_t sequence; /* as its header says, before anything is checked; 0: it has none */
} tnrt_row;

/* "step-00000123.safetensors" */
void tnrt_checkpoint_name(char out[TNRT_CHECKPOINT_NAME], int64_t step);

/* The checkpoints of a folder, the newest first, in memory of alloc, with room for `more` rows behind them. */
tnrt_status tnrt_folder_list(tnrt_message *message, const tnrt_alloc *alloc, const char *folder, uint32_t more,
                             tnrt_row **out_rows, uint32_t *out_n);
/* Removes what killed processes have left; only for the one that has the lock. */
void tnrt_folder_sweep(const char *folder);

/* The step of the checkpoint that LATEST or BEST names, -1 when it names none. */
int64_t tnrt_folder_named(const char *folder, const char *pointer);

#endif
