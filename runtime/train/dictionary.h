/* Texts by number: classes of labels, categories, vocabularies. */
#ifndef TNRT_TRAIN_DICTIONARY_H
#define TNRT_TRAIN_DICTIONARY_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"
#include "runtime/train/world.h"

typedef struct tnrt_word {
  size_t at, bytes; /* in the dictionary's texts, with a zero behind */
  int64_t count;    /* how often it was added */
} tnrt_word;

typedef struct tnrt_dictionary {
  const tnrt_alloc *alloc;
  char *texts;
  tnrt_word *words;
  uint32_t *slots; /* hash table: number + 1, 0 free */
  size_t text_bytes, text_room, slot_mask;
  uint32_t n, room;
} tnrt_dictionary;

static inline tnrt_dictionary tnrt_dictionary_start(const tnrt_alloc *alloc) {
  return (tnrt_dictionary){.alloc = alloc};
}
void tnrt_dictionary_free(tnrt_dictionary *d);

/* The number of a text that is there already or now is, one use counted; -1: no memory. */
int64_t tnrt_dictionary_add(tnrt_dictionary *d, const char *text, size_t bytes);
/* The number of a text, -1: it is not there. */
int64_t tnrt_dictionary_find(const tnrt_dictionary *d, const char *text, size_t bytes);
static inline const char *tnrt_dictionary_text(const tnrt_dictionary *d, uint32_t i) {
  return d->texts + d->words[i].at;
}

/* The texts of all processes, with the sums of their counts, as one would have added them that added what the processes
 * did, in their order. */
tnrt_status tnrt_dictionary_share(tnrt_dictionary *d, tnrt_message *message, tnrt_world *world);

typedef enum tnrt_sorting {
  TNRT_SORT_CLASSES, /* by value where all are whole numbers, else by bytes */
  TNRT_SORT_FREQUENT /* most frequent first, equals by bytes */
} tnrt_sorting;

/* Numbers the texts anew and keeps the first `most` of them. */
void tnrt_dictionary_sort(tnrt_dictionary *d, tnrt_sorting sorting, uint32_t most);

/* "["a","b"]", in a block of the allocator; NULL: no memory. And back, into an empty dictionary. */
char *tnrt_dictionary_json(const tnrt_dictionary *d);
tnrt_status tnrt_dictionary_read(tnrt_message *message, tnrt_dictionary *d, const char *json, const char *who);

/* Whether a text is a decimal whole number of 63 bits. */
bool tnrt_integer_read(const char *text, int64_t *out);

#endif
