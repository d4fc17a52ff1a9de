/* The chain of functions from what stands in a record to a field of a sample: fitted on the training split, then the
 * same for every record, while training, while evaluating, and when a trained program is given new records. */
#ifndef TNRT_TRAIN_CHAIN_H
#define TNRT_TRAIN_CHAIN_H

#include "runtime/train/dictionary.h"
#include "runtime/train/plan.h"
#include "runtime/train/sums.h"

typedef enum tnrt_value_kind { TNRT_VALUE_TEXTS, TNRT_VALUE_NUMBERS } tnrt_value_kind;

/* What a chain hands on, of one record: texts, or numbers (tokens and pixels too; NaN: there is none). */
typedef struct tnrt_value {
  tnrt_value_kind kind;
  const tnrt_alloc *alloc;
  const char **texts;       /* zero-ended, of the records */
  double *numbers, *others; /* others: where a function writes that changes the count */
  size_t room;              /* of texts, numbers and others */
  char *text;               /* a text that a function made */
  size_t text_room;
  int64_t count;            /* of texts or numbers */
  int64_t length;           /* of tokens: true ones */
  char unknown[64];         /* a category that training did not see, as far as there is room; "": none */
  uint32_t ndim;            /* of numbers: 1, or an image's [channels,] height, width */
  int64_t extents[4];
} tnrt_value;

void tnrt_value_free(tnrt_value *value);
/* Room for count numbers in both buffers; what is in numbers stays. */
bool tnrt_value_reserve(tnrt_value *value, int64_t count);

/* A value as the text that classes and categories are told apart by; one that is a number is written into room. */
const char *tnrt_value_text(const tnrt_value *value, int64_t i, char room[static 32]);

/* What a function learned from the training split. */
typedef struct tnrt_fitted {
  double *numbers; /* of each element: minmax (low, range), impute (value), clip_outliers (low, high), standardize
                      (mean, deviation), bins (n - 1 limits) */
  int64_t n_numbers;
  tnrt_dictionary words; /* one_hot, words; while fitting also bpe */
  struct tnrt_bpe *bpe;  /* of bpe, whose numbers are pairs */
  struct tnrt_tokenizer *tokenizer; /* of wordpiece: from its file */
  /* While fitting: all values (median, bins), or sums of them. */
  double *seen;
  int64_t n_seen, seen_room, n_records;
  tnrt_sums sums;
} tnrt_fitted;

typedef struct tnrt_chain {
  const tnrt_training *plan;
  const tnrt_field *field;
  const tnrt_link *links;
  const tnrt_alloc *alloc;
  tnrt_fitted *fitted;    /* n_links */
  tnrt_dictionary labels; /* of a field with classes */
  tnrt_dictionary columns; /* of a field that takes the columns which are left: those that it took in the training */
  uint32_t n_links;       /* the whole chain, but for what is done whenever a sample is taken (augment.h) */
  bool takes_texts;       /* the first function, or the label, wants texts; else they are read as numbers */
  bool takes_missing;     /* impute stands in it */
} tnrt_chain;

tnrt_status tnrt_chain_open(tnrt_chain *chain, tnrt_message *message, const tnrt_alloc *alloc,
                            const tnrt_training *plan, const tnrt_field *field);
void tnrt_chain_close(tnrt_chain *chain);

bool tnrt_link_fits(const tnrt_link *link);
/* Whether link k learns from the data; k = n_links: the labels. */
bool tnrt_chain_fits(const tnrt_chain *chain, uint32_t k);
bool tnrt_chain_learns_words(const tnrt_chain *chain, uint32_t k); /* texts, not numbers */
/* Whether it learns from all values at once (bins, medians), so that their number is limited. */
bool tnrt_chain_keeps_all(const tnrt_chain *chain, uint32_t k);
/* Record `number` of the training split in the files' order, after links 0 .. k-1; each process adds those of its share
 * (tnrt_sums_share). Then what all processes saw becomes what each of them saw; then what was learned. */
tnrt_status tnrt_chain_fit(tnrt_chain *chain, tnrt_message *message, uint32_t k, int64_t number,
                           const tnrt_value *value);
tnrt_status tnrt_chain_fit_share(tnrt_chain *chain, tnrt_message *message, tnrt_world *world, uint32_t k);
tnrt_status tnrt_chain_fit_end(tnrt_chain *chain, tnrt_message *message, uint32_t k);

/* The numbers of link k came from a checkpoint. TNRT_BAD_INPUT: they make no sense. */
tnrt_status tnrt_chain_restored(tnrt_chain *chain, tnrt_message *message, uint32_t k);

/* Links 0 .. n-1 in turn. TNRT_BAD_INPUT: a value that a function does not take ("log of -1"). */
tnrt_status tnrt_chain_apply(const tnrt_chain *chain, tnrt_message *message, uint32_t n, tnrt_value *value);
/* What link k is done to becomes the value's numbers, which may be changed in place. */
tnrt_status tnrt_chain_part(const tnrt_chain *chain, tnrt_message *message, uint32_t k, tnrt_value *value);
/* Link k alone. */
tnrt_status tnrt_chain_link(const tnrt_chain *chain, tnrt_message *message, uint32_t k, tnrt_value *value);
/* The value as the field's elements. TNRT_BAD_INPUT: another count, no class, a number that the type does not hold. */
tnrt_status tnrt_chain_store(const tnrt_chain *chain, tnrt_message *message, const tnrt_value *value, void *out);

/* n elements from `first` on as doubles. */
void tnrt_elements_read(uint32_t dtype, const void *data, int64_t first, int64_t n, double *out);
/* One element of a dtype that fields may have; false: it does not hold the value. */
bool tnrt_element_store(uint32_t dtype, double value, void *out);

#endif
