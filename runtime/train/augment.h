/* Functions of chains that differ by split or draw random numbers: the last of a chain, done whenever a sample is
 * taken. What is drawn is a function of the run's seed, the epoch, the record, the field and the function. */
#ifndef TNRT_TRAIN_AUGMENT_H
#define TNRT_TRAIN_AUGMENT_H

#include "runtime/train/chain.h"

/* For whom a sample is taken. */
typedef struct tnrt_draw {
  uint64_t seed, epoch;
  uint32_t split; /* tnrt_split; TRAIN: for a step; the training split is measured as VALID */
} tnrt_draw;

/* Links n_links .. of the chain. random_crop takes the middle outside of training, flip does nothing there. */
tnrt_status tnrt_chain_augment(const tnrt_chain *chain, tnrt_message *message, const tnrt_draw *draw, uint64_t record,
                               tnrt_value *value);

/* n zeros more on each side of an image. */
tnrt_status tnrt_augment_pad(tnrt_message *message, int64_t n, tnrt_value *value);

#endif
