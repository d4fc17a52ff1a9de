/* Tokens as a text again: of bytes, of `words` and `bpe` as a chain has learned them, and of tokenizers from files, as
 * the `tokenizers` package decodes those. */
#ifndef TNRT_TRAIN_DECODE_H
#define TNRT_TRAIN_DECODE_H

#include "runtime/train/tokenizer.h"
#include "runtime/train/words.h"

typedef struct tnrt_decoder {
  const tnrt_alloc *alloc;
  char *texts;            /* of all tokens, one after the other; of those that stand for no text nothing */
  uint32_t *ends;         /* n: where each one's ends */
  uint32_t n, text_bytes;
  uint32_t longest;       /* bytes of a token */
  bool has_blanks;        /* between tokens, but before those that go on with a word: */
  char prefix[16];        /* how these begin, which is left out; "": no token does */
  bool cleans;            /* no blank before signs that stand behind a word, as English has them */
} tnrt_decoder;

/* The 256 bytes. This and the following: TNRT_NO_MEMORY, TNRT_BAD_INPUT (texts without end); after a failure closed all
 * the same. */
tnrt_status tnrt_decoder_open_bytes(tnrt_decoder *decoder, tnrt_message *message, const tnrt_alloc *alloc);
/* words: the vocabulary of `words`. */
tnrt_status tnrt_decoder_open_words(tnrt_decoder *decoder, tnrt_message *message, const tnrt_alloc *alloc,
                                    const tnrt_dictionary *words);
/* bpe: as tnrt_bpe_open_learned opened it. */
tnrt_status tnrt_decoder_open_pairs(tnrt_decoder *decoder, tnrt_message *message, const tnrt_alloc *alloc,
                                    const tnrt_bpe *bpe);
tnrt_status tnrt_decoder_open_file(tnrt_decoder *decoder, tnrt_message *message, const tnrt_alloc *alloc,
                                   const tnrt_tokenizer *tokenizer);
void tnrt_decoder_close(tnrt_decoder *decoder);

/* Room for the text of any n tokens. */
static inline size_t tnrt_decoder_room(const tnrt_decoder *decoder, int64_t n) {
  return (size_t)n * ((size_t)decoder->longest + 1);
}
/* The text of n tokens into out, where there is room for it; is_first: none stands before them. How many bytes. */
size_t tnrt_decode(const tnrt_decoder *decoder, const int32_t *tokens, int64_t n, bool is_first, char *out);

#endif
