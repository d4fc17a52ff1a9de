/* Tokens of pairs of bytes; see bpe.h. */
#include "runtime/train/bpe.h"

#include <string.h>

#include "runtime/train/unicode.h"

static tnrt_status no_memory(tnrt_message *message) {
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for tokens of bytes");
}

/* ---- pieces ---- */

/* A character's kind, of which three matter besides blanks. What is no character is a sign. */
static tnrt_char_kind kind_at(const char *at, size_t *out_bytes) {
  uint32_t code = TNRT_CHAR_OTHER;
  int n = tnrt_char_read(at, &code);
  tnrt_char_kind kind = n ? tnrt_char_kind_of(code) : TNRT_CHAR_OTHER;
  *out_bytes = n ? (size_t)n : 1;
  return kind == TNRT_CHAR_BLANK || kind == TNRT_CHAR_LETTER || kind == TNRT_CHAR_NUMBER ? kind : TNRT_CHAR_OTHER;
}

static size_t contraction(const char *at) {
  static const char *const ends[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
    if (strncmp(at, ends[i], strlen(ends[i])) == 0) return strlen(ends[i]);
  return 0;
}

/* GPT-2's  's|'t|'re|'ve|'m|'ll|'d| ?letters| ?digits| ?signs|blanks but the last before something else|blanks. */
bool tnrt_bpe_next(const char **at, const char **out_piece, size_t *out_bytes) {
  const char *first = *at, *end = first, *last_blank = first;
  if (!*first) return false;
  size_t n_blanks = 0, bytes, shortened = contraction(first);
  for (; *end && kind_at(end, &bytes) == TNRT_CHAR_BLANK; end += bytes, n_blanks++) last_blank = end;
  if (shortened) {
    end = first + shortened;
  } else if (n_blanks > 1 || (n_blanks == 1 && (*first != ' ' || !*end))) {
    if (*end && n_blanks > 1) end = last_blank;
  } else {
    tnrt_char_kind kind = kind_at(end, &bytes);
    while (*end && kind_at(end, &bytes) == kind) end += bytes;
  }
  *out_piece = first;
  *out_bytes = (size_t)(end - first);
  *at = end;
  return true;
}

/* ---- pairs ---- */

static size_t hash_pair(int32_t left, int32_t right) {
  uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9e3779b97f4a7c15);
  return (size_t)(h ^ h >> 29);
}

/* The slot of a pair, or the free one where it belongs. */
static size_t slot_of(const tnrt_bpe *bpe, int32_t left, int32_t right) {
  size_t slot = hash_pair(left, right) & bpe->slot_mask;
  for (; bpe->slots[slot]; slot = (slot + 1) & bpe->slot_mask) {
    const tnrt_merge *m = &bpe->merges[bpe->slots[slot] - 1];
    if (m->left == left && m->right == right) break;
  }
  return slot;
}

tnrt_status tnrt_bpe_open(tnrt_bpe *bpe, tnrt_message *message, const tnrt_alloc *alloc, tnrt_merge *merges,
                          uint32_t n) {
  size_t slots = 16;
  *bpe = (tnrt_bpe){.alloc = alloc, .merges = merges, .n = n};
  for (int i = 0; i < 256; i++) bpe->bytes[i] = i;
  while (slots < 2 * (size_t)n) slots *= 2;
  bpe->slots = alloc->get(alloc->user, slots * sizeof *bpe->slots, 64);
  bpe->slot_mask = slots - 1;
  if (!bpe->slots) return no_memory(message);
  memset(bpe->slots, 0, slots * sizeof *bpe->slots);
  for (uint32_t i = 0; i < n; i++) {
    size_t slot = slot_of(bpe, merges[i].left, merges[i].right);
    if (!bpe->slots[slot]) bpe->slots[slot] = i + 1;
  }
  return TNRT_OK;
}

tnrt_status tnrt_bpe_open_learned(tnrt_bpe *bpe, tnrt_message *message, const tnrt_alloc *alloc, const double *pairs,
                                  int64_t n) {
  *bpe = (tnrt_bpe){.alloc = alloc};
  if (n < 0 || n > INT32_MAX / 4) return tnrt_fail(message, TNRT_BAD_INPUT, "pairs of bytes without end");
  tnrt_merge *merges = alloc->get(alloc->user, (size_t)(n + 1) * sizeof *merges, 64);
  if (!merges) return no_memory(message);
  bpe->merges = merges;
  for (int64_t i = 0; i < n; i++) {
    if (!(pairs[2 * i] >= 0 && pairs[2 * i] < (double)(256 + i) && pairs[2 * i + 1] >= 0 &&
          pairs[2 * i + 1] < (double)(256 + i)))
      return tnrt_fail(message, TNRT_BAD_INPUT, "pair %lld of bytes is none", (long long)i);
    merges[i] = (tnrt_merge){(int32_t)pairs[2 * i], (int32_t)pairs[2 * i + 1], (int32_t)(256 + i)};
  }
  return tnrt_bpe_open(bpe, message, alloc, merges, (uint32_t)n);
}

void tnrt_bpe_free(tnrt_bpe *bpe) {
  if (bpe->merges) bpe->alloc->give(bpe->alloc->user, bpe->merges);
  if (bpe->slots) bpe->alloc->give(bpe->alloc->user, bpe->slots);
  *bpe = (tnrt_bpe){0};
}

/* ---- tokens of a text ---- */

/* Joins tokens[0 .. n-1] until no pair of theirs was learned; returns how many are left. */
static int64_t join_pairs(const tnrt_bpe *bpe, double *tokens, int64_t n) {
  while (n > 1) {
    uint32_t best = UINT32_MAX;
    int64_t kept = 0;
    for (int64_t i = 0; i + 1 < n; i++) {
      uint32_t found = bpe->slots[slot_of(bpe, (int32_t)tokens[i], (int32_t)tokens[i + 1])];
      if (found && found - 1 < best) best = found - 1;
    }
    if (best == UINT32_MAX) break;
    const tnrt_merge *m = &bpe->merges[best];
    for (int64_t i = 0; i < n; kept++) {
      bool joins = i + 1 < n && (int32_t)tokens[i] == m->left && (int32_t)tokens[i + 1] == m->right;
      tokens[kept] = joins ? (double)m->result : tokens[i];
      i += joins ? 2 : 1;
    }
    n = kept;
  }
  return n;
}

tnrt_status tnrt_bpe_tokens(const tnrt_bpe *bpe, tnrt_message *message, tnrt_value *value) {
  const char *piece;
  size_t bytes;
  int64_t n = 0;
  if (value->kind != TNRT_VALUE_TEXTS || value->count != 1)
    return tnrt_fail(message, TNRT_BAD_INPUT, "bpe takes one text");
  const char *at = value->texts[0];
  if (!tnrt_value_reserve(value, (int64_t)strlen(at))) return no_memory(message);
  while (tnrt_bpe_next(&at, &piece, &bytes)) {
    for (size_t i = 0; i < bytes; i++) value->numbers[n + (int64_t)i] = bpe->bytes[(unsigned char)piece[i]];
    n += join_pairs(bpe, value->numbers + n, (int64_t)bytes);
  }
  value->kind = TNRT_VALUE_NUMBERS;
  value->count = value->length = n;
  return TNRT_OK;
}
