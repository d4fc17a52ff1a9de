/* Arrays as .npz: a zip archive of stored members (PKWARE APPNOTE 6.3.9, zip64 where sizes ask for it). */
#ifndef TNRT_TRAIN_ZIP_H
#define TNRT_TRAIN_ZIP_H

#include "runtime/train/checkpoint.h"

/* Writes path beside and renamed; members are the tensors' names and ".npy". TNRT_BAD_INPUT: an element type has no
 * form in .npy, or a name is too long. */
tnrt_status tnrt_npz_write(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const tnrt_saved *tensors,
                           uint32_t n);

#endif
