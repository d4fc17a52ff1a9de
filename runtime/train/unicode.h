/* Characters of texts in UTF-8: reading and writing them, and what they are, as tokenizers ask for it. */
#ifndef TNRT_TRAIN_UNICODE_H
#define TNRT_TRAIN_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum tnrt_char_kind {
  TNRT_CHAR_OTHER, /* signs that are no punctuation, what is not assigned */
  TNRT_CHAR_BLANK,
  TNRT_CHAR_LETTER,
  TNRT_CHAR_NUMBER,
  TNRT_CHAR_PUNCTUATION,
  TNRT_CHAR_MARK,   /* accents and the like that stand on the letter before (Mn) */
  TNRT_CHAR_CONTROL
} tnrt_char_kind;

/* The character at text, which ends in a zero somewhere, and its bytes; 0 bytes: it is none (RFC 3629: shortest forms,
 * no surrogates). */
int tnrt_char_read(const char *text, uint32_t *out_code);
/* At most 4 bytes; returns how many. */
int tnrt_char_write(uint32_t code, char *out);

tnrt_char_kind tnrt_char_kind_of(uint32_t code);
/* The small letter of a capital that has one; else the character itself. */
uint32_t tnrt_char_small(uint32_t code);
/* Without its accents. */
uint32_t tnrt_char_base(uint32_t code);
/* Of Chinese, as BERT has it: each is a word. */
bool tnrt_char_is_ideograph(uint32_t code);

#endif
