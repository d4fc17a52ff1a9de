/* What the functions of a chain learn from the training split. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/train/chain.h"
#include "runtime/train/bpe.h"
#include "runtime/train/place.h"
#include "runtime/train/words.h"

static tnrt_status no_memory(tnrt_message *message) {
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to fit the data");
}

bool tnrt_link_fits(const tnrt_link *link) {
  uint32_t kind = link->kind;
  return kind == TNRT_LINK_MINMAX || kind == TNRT_LINK_IMPUTE || kind == TNRT_LINK_CLIP_OUTLIERS ||
         kind == TNRT_LINK_BINS || kind == TNRT_LINK_STANDARDIZE || kind == TNRT_LINK_ONE_HOT ||
         kind == TNRT_LINK_WORDS || kind == TNRT_LINK_BPE || kind == TNRT_LINK_CODE;
}

bool tnrt_chain_fits(const tnrt_chain *chain, uint32_t k) {
  return k == chain->n_links ? chain->field->n_classes != 0 : tnrt_link_fits(&chain->links[k]);
}

bool tnrt_chain_learns_words(const tnrt_chain *chain, uint32_t k) {
  uint32_t kind = k < chain->n_links ? chain->links[k].kind : TNRT_LINK_BPE;
  return kind == TNRT_LINK_ONE_HOT || kind == TNRT_LINK_WORDS || kind == TNRT_LINK_CODE;
}

/* ---- records ---- */

static tnrt_status add_texts(tnrt_dictionary *words, tnrt_message *message, const tnrt_value *value) {
  for (int64_t i = 0; i < value->count; i++) {
    char room[32];
    const char *at = tnrt_value_text(value, i, room);
    if (tnrt_dictionary_add(words, at, strlen(at)) < 0) return no_memory(message);
  }
  return TNRT_OK;
}

static bool is_median(const tnrt_chain *chain, uint32_t k) {
  const tnrt_link *link = &chain->links[k];
  return link->kind == TNRT_LINK_IMPUTE && link->text &&
         strcmp(tnrt_plan_text(chain->plan, link->text), "median") == 0;
}

static bool is_zero(const tnrt_chain *chain, uint32_t k) {
  const tnrt_link *link = &chain->links[k];
  return link->kind == TNRT_LINK_IMPUTE && link->text && strcmp(tnrt_plan_text(chain->plan, link->text), "zero") == 0;
}

/* All values are needed; else sums of each element (sums.h). */
bool tnrt_chain_keeps_all(const tnrt_chain *chain, uint32_t k) {
  return k < chain->n_links && (chain->links[k].kind == TNRT_LINK_BINS || is_median(chain, k));
}

static bool make_room(const tnrt_chain *chain, tnrt_fitted *fitted, int64_t count) {
  if (fitted->n_seen + count <= fitted->seen_room) return true;
  int64_t room = 2 * fitted->seen_room + count;
  double *seen = chain->alloc->get(chain->alloc->user, (size_t)room * sizeof *seen, 64);
  if (!seen) return false;
  if (fitted->n_seen) memcpy(seen, fitted->seen, (size_t)fitted->n_seen * sizeof *seen);
  if (fitted->seen) chain->alloc->give(chain->alloc->user, fitted->seen);
  fitted->seen = seen;
  fitted->seen_room = room;
  return true;
}

static tnrt_status count_pieces(tnrt_message *message, tnrt_dictionary *words, const tnrt_value *value) {
  const char *piece;
  size_t bytes;
  if (value->kind != TNRT_VALUE_TEXTS || value->count != 1)
    return tnrt_fail(message, TNRT_BAD_INPUT, "bpe takes one text");
  for (const char *at = value->texts[0]; tnrt_bpe_next(&at, &piece, &bytes);)
    if (tnrt_dictionary_add(words, piece, bytes) < 0) return no_memory(message);
  return TNRT_OK;
}

tnrt_status tnrt_chain_fit(tnrt_chain *chain, tnrt_message *message, uint32_t k, int64_t number,
                           const tnrt_value *whole) {
  if (k == chain->n_links) return add_texts(&chain->labels, message, whole);
  tnrt_value part = *whole;
  const tnrt_value *value = &part;
  tnrt_status status = tnrt_chain_part(chain, message, k, &part);
  if (status != TNRT_OK) return status;
  tnrt_fitted *fitted = &chain->fitted[k];
  if (chain->links[k].kind == TNRT_LINK_BPE) return count_pieces(message, &fitted->words, value);
  if (chain->links[k].kind == TNRT_LINK_WORDS) return tnrt_words_count(message, &fitted->words, value);
  if (chain->links[k].kind == TNRT_LINK_ONE_HOT) {
    if (value->count == 1) return add_texts(&fitted->words, message, value);
    return tnrt_fail(message, TNRT_BAD_INPUT, "one_hot takes one value, found %lld", (long long)value->count);
  }
  if (!tnrt_chain_keeps_all(chain, k)) {
    fitted->sums.alloc = chain->alloc;
    return tnrt_sums_add(&fitted->sums, message, number, value->numbers, value->count);
  }
  if (!make_room(chain, fitted, value->count)) return no_memory(message);
  memcpy(fitted->seen + fitted->n_seen, value->numbers, (size_t)value->count * sizeof *fitted->seen);
  fitted->n_seen += value->count;
  fitted->n_records++;
  return TNRT_OK;
}

/* ---- what was learned ---- */

static int by_value(const void *p, const void *q) {
  double a = *(const double *)p, b = *(const double *)q;
  return (a > b) - (a < b);
}

/* The values of element i of `count`, sorted, into the front of out; those that are none are left out. */
static int64_t sorted_values(const tnrt_fitted *fitted, int64_t i, int64_t count, double *out) {
  int64_t n = 0;
  for (int64_t r = 0; r < fitted->n_records; r++)
    if (!isnan(fitted->seen[r * count + i])) out[n++] = fitted->seen[r * count + i];
  qsort(out, (size_t)n, sizeof *out, by_value);
  return n;
}

static double median(const double *sorted, int64_t n) {
  if (n == 0) return 0;
  return n % 2 ? sorted[n / 2] : sorted[n / 2 - 1] + (sorted[n / 2] - sorted[n / 2 - 1]) / 2;
}

/* Limits k / n of the way through the sorted values. */
static void learn_sorted(const tnrt_chain *chain, uint32_t k, int64_t count, double *sorted) {
  tnrt_fitted *fitted = &chain->fitted[k];
  int64_t limits = chain->links[k].integers[0] - 1;
  for (int64_t i = 0; i < count; i++) {
    int64_t n = sorted_values(fitted, i, count, sorted);
    if (is_median(chain, k)) fitted->numbers[i] = median(sorted, n);
    else
      for (int64_t at = 0; at < limits; at++)
        fitted->numbers[i * limits + at] = n ? sorted[(at + 1) * n / (limits + 1)] : 0;
  }
}

static void learn_sums(const tnrt_chain *chain, uint32_t k, int64_t i) {
  tnrt_fitted *fitted = &chain->fitted[k];
  const double *sums = fitted->sums.nodes[0].sums + TNRT_N_SUMS * i;
  double *pair = fitted->numbers + 2 * i;
  double deviation = sqrt(sums[TNRT_SUM_COUNT] > 0 ? sums[TNRT_SUM_SQUARES] / sums[TNRT_SUM_COUNT] : 0);
  double away = chain->links[k].numbers[0] * deviation;
  switch (chain->links[k].kind) {
    case TNRT_LINK_MINMAX:
      pair[0] = sums[TNRT_SUM_LEAST], pair[1] = sums[TNRT_SUM_GREATEST] - sums[TNRT_SUM_LEAST];
      break;
    case TNRT_LINK_STANDARDIZE: pair[0] = sums[TNRT_SUM_MEAN], pair[1] = deviation; break;
    case TNRT_LINK_CLIP_OUTLIERS: pair[0] = sums[TNRT_SUM_MEAN] - away, pair[1] = sums[TNRT_SUM_MEAN] + away; break;
    default: fitted->numbers[i] = is_zero(chain, k) ? 0 : sums[TNRT_SUM_MEAN];
  }
}

static tnrt_status end_classes(tnrt_chain *chain, tnrt_message *message) {
  tnrt_dictionary_sort(&chain->labels, TNRT_SORT_CLASSES, UINT32_MAX);
  if (chain->labels.n == chain->field->n_classes) return TNRT_OK;
  tnrt_fail(message, TNRT_BAD_INPUT, "field '%.100s' has %u classes in the training split, the program was made for %u",
            tnrt_plan_text(chain->plan, chain->field->name), chain->labels.n, chain->field->n_classes);
  return tnrt_place_add(message, TNRT_BAD_INPUT, chain->plan, chain->field->place);
}

static tnrt_status end_one_hot(tnrt_chain *chain, tnrt_message *message, uint32_t k) {
  tnrt_dictionary *words = &chain->fitted[k].words;
  tnrt_dictionary_sort(words, TNRT_SORT_CLASSES, UINT32_MAX);
  if ((int64_t)words->n <= chain->links[k].integers[0]) return TNRT_OK;
  tnrt_fail(message, TNRT_BAD_INPUT, "field '%.100s': one_hot has %lld places, the training split %u values",
            tnrt_plan_text(chain->plan, chain->field->name), (long long)chain->links[k].integers[0], words->n);
  return tnrt_place_add(message, TNRT_BAD_INPUT, chain->plan, chain->field->place);
}

static tnrt_status end_words(tnrt_chain *chain, tnrt_message *message, uint32_t k) {
  int64_t room = chain->links[k].integers[0] - TNRT_TOKENS_OWN;
  if (room < 1) return tnrt_fail(message, TNRT_BAD_INPUT, "a vocabulary of %lld has no room for words: padding and "
                                 "unknown ones take two", (long long)chain->links[k].integers[0]);
  tnrt_dictionary_sort(&chain->fitted[k].words, TNRT_SORT_FREQUENT, room < UINT32_MAX ? (uint32_t)room : UINT32_MAX);
  return TNRT_OK;
}

tnrt_status tnrt_chain_restored(tnrt_chain *chain, tnrt_message *message, uint32_t k) {
  tnrt_fitted *fitted = &chain->fitted[k];
  if (chain->links[k].kind != TNRT_LINK_BPE) return TNRT_OK;
  fitted->bpe = chain->alloc->get(chain->alloc->user, sizeof *fitted->bpe, 64);
  if (!fitted->bpe) return no_memory(message);
  *fitted->bpe = (tnrt_bpe){0};
  if (fitted->n_numbers / 2 > chain->links[k].integers[0] - 256)
    return tnrt_fail(message, TNRT_BAD_INPUT, "more pairs of bytes than the vocabulary has");
  return tnrt_bpe_open_learned(fitted->bpe, message, chain->alloc, fitted->numbers, fitted->n_numbers / 2);
}

static tnrt_status end_bpe(tnrt_chain *chain, tnrt_message *message, uint32_t k) {
  tnrt_fitted *fitted = &chain->fitted[k];
  int64_t room = chain->links[k].integers[0] - 256, n = 0;
  if (room < 0 || room > INT32_MAX / 4)
    return tnrt_fail(message, TNRT_BAD_INPUT, "a vocabulary of %lld: bpe has the 256 bytes and pairs of them",
                     (long long)chain->links[k].integers[0]);
  fitted->numbers = chain->alloc->get(chain->alloc->user, (size_t)(2 * room + 1) * sizeof *fitted->numbers, 64);
  if (!fitted->numbers) return no_memory(message);
  tnrt_status status = tnrt_bpe_learn(message, chain->alloc, &fitted->words, room, fitted->numbers, &n);
  fitted->n_numbers = 2 * n;
  tnrt_dictionary_free(&fitted->words);
  return status == TNRT_OK ? tnrt_chain_restored(chain, message, k) : status;
}

tnrt_status tnrt_chain_fit_end(tnrt_chain *chain, tnrt_message *message, uint32_t k) {
  if (k == chain->n_links) return end_classes(chain, message);
  if (chain->links[k].kind == TNRT_LINK_ONE_HOT) return end_one_hot(chain, message, k);
  if (chain->links[k].kind == TNRT_LINK_WORDS) return end_words(chain, message, k);
  if (chain->links[k].kind == TNRT_LINK_BPE) return end_bpe(chain, message, k);
  tnrt_fitted *fitted = &chain->fitted[k];
  bool all = tnrt_chain_keeps_all(chain, k);
  int64_t count = all ? (fitted->n_records ? fitted->n_seen / fitted->n_records : 0) : fitted->sums.count;
  uint32_t kind = chain->links[k].kind;
  fitted->n_numbers = count * (kind == TNRT_LINK_BINS ? chain->links[k].integers[0] - 1
                                                      : kind == TNRT_LINK_IMPUTE ? 1 : 2);
  fitted->numbers = chain->alloc->get(chain->alloc->user, (size_t)fitted->n_numbers * sizeof(double), 64);
  double *sorted = all ? chain->alloc->get(chain->alloc->user, (size_t)fitted->n_records * sizeof(double), 64) : NULL;
  if (!fitted->numbers || (all && !sorted)) return no_memory(message);
  if (all) learn_sorted(chain, k, count, sorted);
  for (int64_t i = 0; i < count && !all; i++) learn_sums(chain, k, i);
  if (sorted) chain->alloc->give(chain->alloc->user, sorted);
  if (fitted->seen) chain->alloc->give(chain->alloc->user, fitted->seen);
  fitted->seen = NULL;
  if (!all) tnrt_sums_free(&fitted->sums);
  return TNRT_OK;
}
