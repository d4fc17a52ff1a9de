/* Tokens of pairs of bytes (Sennrich, Haddow and Birch, 2016, on bytes as GPT-2 does): a text is cut into pieces (a
 * word with the blank before it, digits, signs), whose bytes are joined pair by pair, the pair that was learned first
 * before the others. */
#ifndef TNRT_TRAIN_BPE_H
#define TNRT_TRAIN_BPE_H

#include "runtime/train/chain.h"

typedef struct tnrt_merge {
  int32_t left, right, result; /* tokens */
} tnrt_merge;

typedef struct tnrt_bpe {
  const tnrt_alloc *alloc;
  int32_t bytes[256]; /* the token of each byte */
  tnrt_merge *merges; /* in the order they were learned */
  uint32_t *slots;    /* hash table of the pairs: number + 1, 0 free */
  size_t slot_mask;
  uint32_t n;
} tnrt_bpe;

/* The next piece of a text, from *at on; false: none. The pieces in a row are the text. */
bool tnrt_bpe_next(const char **at, const char **out_piece, size_t *out_bytes);

/* Learns n pairs from pieces with their counts: out[2 i], out[2 i + 1], tokens 0 .. 255 being bytes and 256 + i the
 * i-th pair. Of equally frequent pairs the one of smaller tokens. Fewer where there are no more pairs: *out_n. */
tnrt_status tnrt_bpe_learn(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_dictionary *pieces, int64_t n,
                           double *out, int64_t *out_n);

/* merges: taken, given back by tnrt_bpe_free, which is for what failed too. */
tnrt_status tnrt_bpe_open(tnrt_bpe *bpe, tnrt_message *message, const tnrt_alloc *alloc, tnrt_merge *merges,
                          uint32_t n);
/* Of pairs as tnrt_bpe_learn gives them; TNRT_BAD_INPUT: they are none. */
tnrt_status tnrt_bpe_open_learned(tnrt_bpe *bpe, tnrt_message *message, const tnrt_alloc *alloc, const double *pairs,
                                  int64_t n);
void tnrt_bpe_free(tnrt_bpe *bpe);

/* The tokens of a text. */
tnrt_status tnrt_bpe_tokens(const tnrt_bpe *bpe, tnrt_message *message, tnrt_value *value);

#endif
