/* Tokenizers from files: a vocabulary of WordPiece (a token a line), or tokenizer.json of Hugging Face's tokenizers
 * with a model of WordPiece or of pairs of bytes. Texts are cut into pieces as GPT-2 (pairs of bytes) and BERT
 * (WordPiece) do it; a tokenizer.json that says otherwise is refused. Tokens that stand for begin, end and the like are
 * not added. */
#ifndef TNRT_TRAIN_TOKENIZER_H
#define TNRT_TRAIN_TOKENIZER_H

#include "runtime/train/bpe.h"

typedef struct tnrt_tokenizer {
  const tnrt_alloc *alloc;
  bool is_bpe;
  tnrt_bpe bpe;
  tnrt_dictionary words; /* tokens of WordPiece */
  int32_t *ids;          /* of words */
  uint32_t room;         /* of ids */
  uint8_t *is_special;   /* of words: what stands for begin, end and the like; NULL: none was told */
  int32_t unknown;       /* -1: none */
  char prefix[16];       /* of tokens inside of a word */
  bool adds_blank;       /* of pairs of bytes: before a text that does not begin with one */
  bool decodes_clean;    /* of WordPiece: tokens become a text without blanks before signs */
  /* Of WordPiece, before a text is cut: no control characters, each ideograph a word, no accents, small letters. */
  bool cleans, parts_ideographs, strips, lowers;
} tnrt_tokenizer;

/* After a failure the tokenizer is closed all the same. */
tnrt_status tnrt_tokenizer_open(tnrt_tokenizer *tokenizer, tnrt_message *message, const tnrt_alloc *alloc,
                                const char *path);
/* The same of bytes that path once held. */
tnrt_status tnrt_tokenizer_open_text(tnrt_tokenizer *tokenizer, tnrt_message *message, const tnrt_alloc *alloc,
                                     const char *path, const char *text, size_t bytes);
void tnrt_tokenizer_close(tnrt_tokenizer *tokenizer);

tnrt_status tnrt_tokenizer_tokens(const tnrt_tokenizer *tokenizer, tnrt_message *message, tnrt_value *value);

#endif
