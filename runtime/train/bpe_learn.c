/* Learning pairs of bytes. Each piece is a row of tokens; each pair knows how often it stands somewhere and in which
 * pieces it may stand; a heap gives the most frequent one. Each pair has an entry of the heap whose count is not below
 * its own: where a count has risen a new one is made, where it has fallen when the old one is met. */
#include <string.h>

#include "runtime/train/bpe.h"

typedef struct row {
  int32_t *tokens;
  int64_t n, count;
} row;

typedef struct place { /* of a list */
  uint32_t piece, next; /* next: number + 1, 0 end */
} place;

typedef struct pair {
  int32_t left, right;
  int64_t count;
  uint32_t places; /* number + 1 */
} pair;

typedef struct entry {
  int64_t count;
  uint32_t pair;
} entry;

/* A block that doubles. */
typedef struct block {
  void *data;
  size_t n, room;
} block;

typedef struct learner {
  const tnrt_alloc *alloc;
  int32_t *tokens; /* of all pieces */
  row *rows;
  uint32_t n_rows;
  block pairs, places, heap;
  uint32_t *slots; /* of pairs: number + 1 */
  size_t slot_mask;
  bool failed; /* no memory */
} learner;

static void *push(learner *l, block *b, size_t size) {
  if (b->n == b->room) {
    size_t room = b->room ? 2 * b->room : 1024;
    void *data = l->alloc->get(l->alloc->user, room * size, 64);
    l->failed = l->failed || !data || room > UINT32_MAX / 2;
    if (l->failed) {
      if (data) l->alloc->give(l->alloc->user, data);
      return NULL;
    }
    if (b->n) memcpy(data, b->data, b->n * size);
    if (b->data) l->alloc->give(l->alloc->user, b->data);
    b->data = data;
    b->room = room;
  }
  return (uint8_t *)b->data + size * b->n++;
}

static pair *pair_at(const learner *l, uint32_t i) { return (pair *)l->pairs.data + i; }
static place *place_at(const learner *l, uint32_t i) { return (place *)l->places.data + i; }

/* ---- heap ---- */

static bool is_before(const learner *l, const entry *a, const entry *b) {
  const pair *p = pair_at(l, a->pair), *q = pair_at(l, b->pair);
  if (a->count != b->count) return a->count > b->count;
  return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static void swap(entry *a, entry *b) {
  entry kept = *a;
  *a = *b;
  *b = kept;
}

static void heap_add(learner *l, uint32_t number) {
  entry *added = push(l, &l->heap, sizeof *added);
  if (!added) return;
  *added = (entry){pair_at(l, number)->count, number};
  entry *h = l->heap.data;
  for (size_t i = l->heap.n - 1; i > 0 && is_before(l, &h[i], &h[(i - 1) / 2]); i = (i - 1) / 2)
    swap(&h[i], &h[(i - 1) / 2]);
}

static entry heap_take(learner *l) {
  entry *h = l->heap.data, first = h[0];
  h[0] = h[--l->heap.n];
  for (size_t i = 0;;) {
    size_t best = i;
    for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < l->heap.n; k++)
      if (is_before(l, &h[k], &h[best])) best = k;
    if (best == i) return first;
    swap(&h[i], &h[best]);
    i = best;
  }
}

/* ---- pairs ---- */

static size_t slot_of(const learner *l, int32_t left, int32_t right) {
  uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9e3779b97f4a7c15);
  size_t slot = (size_t)(h ^ h >> 29) & l->slot_mask;
  for (; l->slots[slot]; slot = (slot + 1) & l->slot_mask) {
    const pair *p = pair_at(l, l->slots[slot] - 1);
    if (p->left == left && p->right == right) break;
  }
  return slot;
}

static bool grow_slots(learner *l) {
  size_t slots = l->slots ? 2 * (l->slot_mask + 1) : 4096;
  if (l->slots && 2 * l->pairs.n <= l->slot_mask) return true;
  uint32_t *larger = l->alloc->get(l->alloc->user, slots * sizeof *larger, 64);
  l->failed = l->failed || !larger;
  if (!larger) return false;
  if (l->slots) l->alloc->give(l->alloc->user, l->slots);
  memset(larger, 0, slots * sizeof *larger);
  l->slots = larger;
  l->slot_mask = slots - 1;
  for (uint32_t i = 0; i < l->pairs.n; i++) l->slots[slot_of(l, pair_at(l, i)->left, pair_at(l, i)->right)] = i + 1;
  return true;
}

/* Adds `by` to the count of a pair; is_new: it may not be known of this piece. */
static void count_pair(learner *l, int32_t left, int32_t right, int64_t by, uint32_t piece, bool is_new) {
  if (!grow_slots(l)) return;
  size_t slot = slot_of(l, left, right);
  if (!l->slots[slot]) {
    pair *added = push(l, &l->pairs, sizeof *added);
    if (!added) return;
    *added = (pair){.left = left, .right = right};
    l->slots[slot] = (uint32_t)l->pairs.n;
  }
  pair *p = pair_at(l, l->slots[slot] - 1);
  p->count += by;
  if (!is_new) return;
  place *where = push(l, &l->places, sizeof *where);
  if (!where) return;
  *where = (place){piece, p->places};
  p->places = (uint32_t)l->places.n;
}

static void count_row(learner *l, uint32_t piece, int64_t by, int32_t new_token) {
  const row *r = &l->rows[piece];
  for (int64_t i = 0; i + 1 < r->n && !l->failed; i++) {
    bool is_new = new_token < 0 || (by > 0 && (r->tokens[i] == new_token || r->tokens[i + 1] == new_token));
    count_pair(l, r->tokens[i], r->tokens[i + 1], by, piece, is_new);
  }
}

/* Every pair of a row whose count changed gets an entry. */
static void enter_row(learner *l, uint32_t piece) {
  const row *r = &l->rows[piece];
  for (int64_t i = 0; i + 1 < r->n && !l->failed; i++) {
    uint32_t found = l->slots[slot_of(l, r->tokens[i], r->tokens[i + 1])];
    if (found && pair_at(l, found - 1)->count > 0) heap_add(l, found - 1);
  }
}

/* ---- learning ---- */

static bool start(learner *l, const tnrt_dictionary *pieces) {
  size_t at = 0;
  l->n_rows = pieces->n;
  l->tokens = l->alloc->get(l->alloc->user, (pieces->text_bytes + 1) * sizeof *l->tokens, 64);
  l->rows = l->alloc->get(l->alloc->user, ((size_t)pieces->n + 1) * sizeof *l->rows, 64);
  if (!l->tokens || !l->rows) return false;
  for (uint32_t i = 0; i < pieces->n; i++) {
    const unsigned char *text = (const unsigned char *)tnrt_dictionary_text(pieces, i);
    l->rows[i] = (row){l->tokens + at, (int64_t)pieces->words[i].bytes, pieces->words[i].count};
    for (size_t k = 0; k < pieces->words[i].bytes; k++) l->tokens[at++] = text[k];
    count_row(l, i, l->rows[i].count, -1);
  }
  for (uint32_t i = 0; i < l->pairs.n && !l->failed; i++) heap_add(l, i);
  return !l->failed;
}

/* Joins the pair in a row; false: it does not stand there any more. */
static bool join(row *r, int32_t left, int32_t right, int32_t result) {
  int64_t kept = 0, before = r->n;
  for (int64_t i = 0; i < before; kept++) {
    bool joins = i + 1 < before && r->tokens[i] == left && r->tokens[i + 1] == right;
    r->tokens[kept] = joins ? result : r->tokens[i];
    i += joins ? 2 : 1;
  }
  r->n = kept;
  return kept < before;
}

static bool stands_in(const row *r, int32_t left, int32_t right) {
  for (int64_t i = 0; i + 1 < r->n; i++)
    if (r->tokens[i] == left && r->tokens[i + 1] == right) return true;
  return false;
}

static void merge(learner *l, uint32_t number, int32_t result) {
  pair p = *pair_at(l, number);
  for (uint32_t at = p.places; at && !l->failed; at = place_at(l, at - 1)->next) {
    uint32_t piece = place_at(l, at - 1)->piece;
    row *r = &l->rows[piece];
    if (!stands_in(r, p.left, p.right)) continue;
    count_row(l, piece, -r->count, result);
    join(r, p.left, p.right, result);
    count_row(l, piece, r->count, result);
    enter_row(l, piece);
  }
}

static void stop(learner *l) {
  void *const blocks[] = {l->tokens, l->rows, l->pairs.data, l->places.data, l->heap.data, l->slots};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) l->alloc->give(l->alloc->user, blocks[i]);
}

tnrt_status tnrt_bpe_learn(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_dictionary *pieces, int64_t n,
                           double *out, int64_t *out_n) {
  learner l = {.alloc = alloc};
  bool ok = start(&l, pieces);
  *out_n = 0;
  while (ok && *out_n < n && l.heap.n) {
    entry best = heap_take(&l);
    const pair *p = pair_at(&l, best.pair);
    if (best.count > p->count && p->count > 0) heap_add(&l, best.pair);
    if (best.count != p->count || p->count <= 0) continue;
    out[2 * *out_n] = p->left;
    out[2 * *out_n + 1] = p->right;
    merge(&l, best.pair, (int32_t)(256 + (*out_n)++));
    ok = !l.failed;
  }
  stop(&l);
  return ok ? TNRT_OK : tnrt_fail(message, TNRT_NO_MEMORY, "no memory to learn pairs of bytes");
}
