/* Text as data: functions of chains that make other texts of it, or tokens. */
#ifndef TNRT_TRAIN_WORDS_H
#define TNRT_TRAIN_WORDS_H

#include "runtime/train/chain.h"

/* Tokens that `words` gives besides words: padding, and words that are not in the vocabulary. */
enum { TNRT_TOKEN_PAD, TNRT_TOKEN_UNKNOWN, TNRT_TOKENS_OWN };

/* Functions on the value in place. TNRT_NO_MEMORY, or TNRT_BAD_INPUT where it is no text. */

/* Small letters of all characters in UTF-8 that have one; other bytes stay. */
tnrt_status tnrt_words_lower(tnrt_message *message, tnrt_value *value);
/* One text, with a blank between them. */
tnrt_status tnrt_words_join(tnrt_message *message, tnrt_value *value);
/* Words stand between blanks. Their tokens are their numbers in the vocabulary behind the own ones. */
tnrt_status tnrt_words_tokens(tnrt_message *message, const tnrt_dictionary *vocabulary, tnrt_value *value);
/* Counts the words of a text. */
tnrt_status tnrt_words_count(tnrt_message *message, tnrt_dictionary *vocabulary, const tnrt_value *value);
/* n tokens: longer rows are cut, shorter ones filled with pad. value->length: how many are true ones. */
tnrt_status tnrt_words_fit(tnrt_message *message, int64_t n, int64_t pad, tnrt_value *value);

/* The next run of bytes that are no blanks, from *at on; false: none. */
bool tnrt_words_next(const char **at, const char **out_word, size_t *out_bytes);

#endif
