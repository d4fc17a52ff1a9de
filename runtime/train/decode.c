/* Texts of tokens; see decode.h. */
#include "runtime/train/decode.h"

#include <string.h>

#include "runtime/train/memory.h"

enum { MOST_BYTES = 1 << 28, N_BYTES = 256 };

static tnrt_status no_memory(tnrt_message *message) {
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the texts of tokens");
}

static tnrt_status no_end(tnrt_message *message) {
  return tnrt_fail(message, TNRT_BAD_INPUT, "the texts of the tokens have no end");
}

static size_t begin_of(const tnrt_decoder *d, uint32_t token) { return token ? d->ends[token - 1] : 0; }

/* Room for n tokens of so many bytes in all. */
static tnrt_status open_room(tnrt_decoder *d, tnrt_message *message, const tnrt_alloc *alloc, uint64_t n,
                             uint64_t bytes) {
  *d = (tnrt_decoder){.alloc = alloc};
  if (n > INT32_MAX || bytes > MOST_BYTES) return no_end(message);
  d->texts = tnrt_take(alloc, (size_t)bytes + 1, 1);
  d->ends = tnrt_take(alloc, (size_t)n + 1, sizeof *d->ends);
  return d->texts && d->ends ? TNRT_OK : no_memory(message);
}

/* To the token that comes next, until it ends. */
static void append(tnrt_decoder *d, const char *text, size_t bytes) {
  memcpy(d->texts + d->text_bytes, text, bytes);
  d->text_bytes += (uint32_t)bytes;
}

static void end(tnrt_decoder *d) {
  uint32_t bytes = d->text_bytes - (uint32_t)begin_of(d, d->n);
  d->ends[d->n++] = d->text_bytes;
  if (bytes > d->longest) d->longest = bytes;
}

static void add(tnrt_decoder *d, const char *text, size_t bytes) {
  append(d, text, bytes);
  end(d);
}

void tnrt_decoder_close(tnrt_decoder *d) {
  if (d->texts) d->alloc->give(d->alloc->user, d->texts);
  if (d->ends) d->alloc->give(d->alloc->user, d->ends);
  *d = (tnrt_decoder){0};
}

tnrt_status tnrt_decoder_open_bytes(tnrt_decoder *d, tnrt_message *message, const tnrt_alloc *alloc) {
  tnrt_status status = open_room(d, message, alloc, N_BYTES, N_BYTES);
  for (int i = 0; i < N_BYTES && status == TNRT_OK; i++) add(d, &(char){(char)i}, 1);
  return status;
}

tnrt_status tnrt_decoder_open_words(tnrt_decoder *d, tnrt_message *message, const tnrt_alloc *alloc,
                                    const tnrt_dictionary *words) {
  static const char unknown[] = "[UNK]";
  tnrt_status status = open_room(d, message, alloc, (uint64_t)words->n + TNRT_TOKENS_OWN,
                                 words->text_bytes + sizeof unknown);
  if (status != TNRT_OK) return status;
  d->has_blanks = true;
  add(d, "", 0); /* padding */
  add(d, unknown, sizeof unknown - 1);
  for (uint32_t i = 0; i < words->n; i++) add(d, tnrt_dictionary_text(words, i), words->words[i].bytes);
  return TNRT_OK;
}

/* Each pair is of tokens before it: lengths first. */
tnrt_status tnrt_decoder_open_pairs(tnrt_decoder *d, tnrt_message *message, const tnrt_alloc *alloc,
                                    const tnrt_bpe *bpe) {
  uint64_t n = (uint64_t)bpe->n + N_BYTES, bytes = N_BYTES;
  uint32_t *lengths = tnrt_take(alloc, (size_t)n, sizeof *lengths);
  *d = (tnrt_decoder){0};
  if (!lengths) return no_memory(message);
  for (uint32_t i = 0; i < N_BYTES; i++) lengths[i] = 1;
  for (uint32_t i = 0; i < bpe->n && bytes <= MOST_BYTES; i++)
    bytes += lengths[N_BYTES + i] = lengths[bpe->merges[i].left] + lengths[bpe->merges[i].right];
  alloc->give(alloc->user, lengths);
  tnrt_status status = open_room(d, message, alloc, n, bytes);
  for (int i = 0; i < N_BYTES && status == TNRT_OK; i++) add(d, &(char){(char)i}, 1);
  for (uint32_t i = 0; i < bpe->n && status == TNRT_OK; i++) {
    const int32_t halves[] = {bpe->merges[i].left, bpe->merges[i].right};
    for (int k = 0; k < 2; k++)
      append(d, d->texts + begin_of(d, (uint32_t)halves[k]), d->ends[halves[k]] - begin_of(d, (uint32_t)halves[k]));
    end(d);
  }
  return status;
}

tnrt_status tnrt_decoder_open_file(tnrt_decoder *d, tnrt_message *message, const tnrt_alloc *alloc,
                                   const tnrt_tokenizer *t) {
  int32_t most = -1;
  for (uint32_t i = 0; i < t->words.n; i++) most = t->ids[i] > most ? t->ids[i] : most;
  *d = (tnrt_decoder){0};
  if (most > 1 << 26) return no_end(message);
  uint32_t n = (uint32_t)(most + 1);
  uint32_t *of_id = tnrt_take(alloc, (size_t)n + 1, sizeof *of_id); /* its word + 1 */
  if (!of_id) return no_memory(message);
  for (uint32_t i = 0; i < t->words.n; i++) of_id[t->ids[i]] = t->is_special && t->is_special[i] ? 0 : i + 1;
  tnrt_status status = open_room(d, message, alloc, n, t->words.text_bytes);
  for (uint32_t id = 0; id < n && status == TNRT_OK; id++) {
    uint32_t word = of_id[id];
    add(d, word ? tnrt_dictionary_text(&t->words, word - 1) : "", word ? t->words.words[word - 1].bytes : 0);
  }
  alloc->give(alloc->user, of_id);
  d->has_blanks = !t->is_bpe;
  d->cleans = d->has_blanks && t->decodes_clean;
  if (d->has_blanks) memcpy(d->prefix, t->prefix, sizeof d->prefix);
  return status;
}

/* ---- tokens ---- */

/* What English writes without a blank before it. */
static bool stands_behind(const char *text, size_t bytes) {
  static const char *const signs[] = {".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"};
  for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
    if (bytes >= strlen(signs[i]) && memcmp(text, signs[i], strlen(signs[i])) == 0) return true;
  return false;
}

size_t tnrt_decode(const tnrt_decoder *d, const int32_t *tokens, int64_t n, bool is_first, char *out) {
  size_t used = 0, prefix = strlen(d->prefix);
  for (int64_t i = 0; i < n; i++) {
    if (tokens[i] < 0 || (uint32_t)tokens[i] >= d->n) continue;
    const char *text = d->texts + begin_of(d, (uint32_t)tokens[i]);
    size_t bytes = d->ends[tokens[i]] - begin_of(d, (uint32_t)tokens[i]);
    if (!bytes) continue;
    bool goes_on = prefix && bytes >= prefix && memcmp(text, d->prefix, prefix) == 0 && !is_first;
    bool has_blank = d->has_blanks && !is_first && !goes_on && !(d->cleans && stands_behind(text, bytes));
    if (has_blank) out[used++] = ' ';
    memcpy(out + used, text + (goes_on ? prefix : 0), bytes - (goes_on ? prefix : 0));
    used += bytes - (goes_on ? prefix : 0);
    is_first = false;
  }
  return used;
}
