/* Checkpoints: a folder of step-00000123.safetensors, each written beside, synced, verified and renamed, with LATEST
 * (the name of the newest) and BEST (the name of the best, where one is kept) made the same way, and LOCK, which one
 * training at a time holds. A file has the weights by their paths, everything else as "optimizer.*" (what
 * --weights=FILE leaves out), and in __metadata__: "checksum" of the header, "sequence" (of files of the folder, in
 * decimal), "format" "tenon", "digest" (the plan's, 16 hexadecimal digits), "model", "producer", "step", "epoch",
 * "cursor", "seed" in decimal, "value" that decides which is the best, one "digest:NAME" (tnrt_digest of its bytes) a
 * tensor, and the texts that the caller gives. Newest is the file of the greatest sequence, whatever its step. */
#ifndef TNRT_TRAIN_CHECKPOINT_H
#define TNRT_TRAIN_CHECKPOINT_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"
#include "runtime/training.h"

/* A tensor of a checkpoint: dense, row-major. data may change between writes (buffers change places). */
typedef struct tnrt_saved {
  const char *name;
  uint32_t dtype, ndim;
  const int64_t *extents;
  uint64_t bytes;
  void *data;
} tnrt_saved;

/* An entry of __metadata__: "labels.y": "[\"setosa\",\"virginica\"]". Both are UTF-8 or bytes that are replaced. */
typedef struct tnrt_saved_text {
  const char *key, *text;
} tnrt_saved_text;

/* All that a checkpoint holds. The names, types and extents of tensors and the texts stay as they are after
 * tnrt_store_open, which makes room for writing them; step, epoch, cursor and the data change. */
typedef struct tnrt_checkpoint {
  const tnrt_training *plan;
  int64_t step, epoch, cursor; /* steps and epochs done; samples done of the epoch that was begun */
  uint64_t seed;
  uint32_t n_tensors, n_texts;
  tnrt_saved *tensors;
  const tnrt_saved_text *texts;
} tnrt_checkpoint;

/* A folder that a training writes to. */
typedef struct tnrt_store tnrt_store;

/* Makes the folder where there is none (not those above it) and takes its lock; TNRT_BAD_INPUT when another process
 * holds it (named by its id where known). Allocates all that writing `contents` needs. contents->step 0: the training
 * begins, and what is in the folder is of another one: it goes as files of this one come; else it is resumed, and the
 * best so far counts. *out is NULL after a failure. */
tnrt_status tnrt_store_open(tnrt_store **out, tnrt_message *message, const tnrt_alloc *alloc, const char *folder,
                            const tnrt_checkpoint *contents);
void tnrt_store_close(tnrt_store *store); /* waits as tnrt_store_wait; gives the lock back; NULL is fine */
/* From here on a thread writes, from a copy of the data for which memory is taken here. */
tnrt_status tnrt_store_set_async(tnrt_store *store, tnrt_message *message, const tnrt_checkpoint *contents);

/* What writing is to keep. */
typedef struct tnrt_keep {
  int64_t last;   /* how many of the newest stay, at least 1 */
  bool has_value; /* value was measured at this step, and is to decide which is the best; the best one stays too */
  bool is_max;
  double value;
} tnrt_keep;

/* Writes one and removes what is not to be kept. Allocates nothing. TNRT_IO (disk full, say): what was there stays, the
 * message has path, bytes needed and bytes free; the caller tells it and goes on. With a thread: waits until the one
 * before is written, whose status this is, then copies and returns. */
tnrt_status tnrt_store_write(tnrt_store *store, tnrt_message *message, const tnrt_checkpoint *contents,
                             const tnrt_keep *keep);
/* Until all is written; the status of the last one that a thread wrote, if it was not told yet. */
tnrt_status tnrt_store_wait(tnrt_store *store, tnrt_message *message);
/* Waits, and says whether the checkpoint of this step is the last that this store has written. */
bool tnrt_store_has(tnrt_store *store, int64_t step);
/* The step of the newest checkpoint that was there when the store was opened, before it writes; -1: none. */
int64_t tnrt_store_newest(const tnrt_store *store);

/* Back to the newest valid checkpoint that this store has written or found: fills the tensors of contents, and step,
 * epoch and cursor. Allocates nothing. TNRT_BAD_INPUT when there is none; then the tensors are as they were. */
tnrt_status tnrt_store_restore(tnrt_store *store, tnrt_message *message, tnrt_checkpoint *contents);

typedef enum tnrt_which { TNRT_WHICH_LAST, TNRT_WHICH_BEST } tnrt_which;

/* Path of the newest valid checkpoint of a folder, or of its best (the newest where none was kept as best): damaged
 * ones are passed over, each named in *out_notes (texts one a line; may be NULL). TNRT_BAD_INPUT: there is no folder,
 * or none that is valid. */
tnrt_status tnrt_checkpoint_find(tnrt_message *message, const tnrt_alloc *alloc, const char *folder, tnrt_which which,
                                 char *out_path, size_t path_bytes, tnrt_message *out_notes);

/* An open checkpoint file, all checks done: header, sizes, digests of the tensors. */
typedef struct tnrt_reading tnrt_reading;
tnrt_status tnrt_reading_open(tnrt_reading **out, tnrt_message *message, const tnrt_alloc *alloc, const char *path);
void tnrt_reading_close(tnrt_reading *reading); /* NULL is fine */

/* tnrt_checkpoint_find, and the file it found, opened; once more where a training that goes on removed it meanwhile. */
tnrt_status tnrt_reading_find(tnrt_reading **out, tnrt_message *message, const tnrt_alloc *alloc, const char *folder,
                              tnrt_which which, char *out_path, size_t path_bytes, tnrt_message *out_notes);

const char *tnrt_reading_path(const tnrt_reading *reading);
/* Text of a key of __metadata__, NULL where there is none; and its number. */
const char *tnrt_reading_text(const tnrt_reading *reading, const char *key);
int64_t tnrt_reading_integer(const tnrt_reading *reading, const char *key, int64_t otherwise);
/* The tensor of this name as the file has it (data inside of the reading), or NULL. */
const tnrt_saved *tnrt_reading_tensor(const tnrt_reading *reading, const char *name);
/* Copies the tensors called as those of `tensors` into their data. Where one is missing or has another type or shape,
 * none is copied, and TNRT_BAD_INPUT lists the differences, a line each, as far as a message goes. */
tnrt_status tnrt_reading_fill(tnrt_message *message, const tnrt_reading *reading, tnrt_saved *tensors, uint32_t n);

#endif
