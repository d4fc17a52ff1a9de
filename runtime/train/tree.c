/* See tree.h. */
#include "runtime/train/tree.h"

#include <string.h>

#include "runtime/share.h"
#include "runtime/train/memory.h"
#include "runtime/train/vector.h"

void tnrt_tree_share(int64_t n_leaves, int rank, int size, int64_t *out_first, int64_t *out_end) {
  int64_t each = n_leaves / size, more = n_leaves % size; /* the first `more` processes have one more */
  *out_first = rank * each + (rank < more ? rank : more);
  *out_end = *out_first + each + (rank < more);
}

static bool are_siblings(const tnrt_tree_node *a, const tnrt_tree_node *b) {
  return a->level == b->level && a->index % 2 == 0 && b->index == a->index + 1;
}

/* A left child whose right sibling has no leaf; of the root neither has one. */
static bool is_alone(const tnrt_tree_node *node, int64_t n_leaves) {
  bool is_root = (INT64_C(1) << node->level) >= n_leaves;
  return !is_root && node->index % 2 == 0 && ((node->index + 1) << node->level) >= n_leaves;
}

static void promote(tnrt_tree_node *node) {
  node->level++;
  node->index /= 2;
}

enum { MOST = 128 }; /* subtrees of one row: two a level at most, 63 levels */

/* The subtrees of a row of leaves, from the left, grow by the leaf behind them, the last ones becoming one as they can.
 * Returns how many there are. */
static uint32_t grow(const tnrt_tree *t, tnrt_tree_node *nodes, uint32_t n, tnrt_tree_node leaf) {
  nodes[n++] = leaf;
  for (;;) {
    tnrt_tree_node *last = &nodes[n - 1];
    if (is_alone(last, t->n_leaves)) {
      promote(last);
    } else if (n > 1 && are_siblings(last - 1, last)) {
      n--;
      promote(last - 1);
    } else {
      return n;
    }
  }
}

tnrt_status tnrt_tree_open(tnrt_tree *t, tnrt_world *world, const tnrt_alloc *alloc, int64_t n_leaves, size_t count) {
  *t = (tnrt_tree){.world = world, .alloc = alloc, .count = count, .n_leaves = n_leaves};
  t->n_buffers = tnrt_share_buffers(n_leaves, world->size);
  t->own = tnrt_take(t->alloc, MOST, sizeof *t->own);
  t->all = tnrt_take(t->alloc, (size_t)world->size * MOST, sizeof *t->all);
  t->slots = tnrt_take(t->alloc, (size_t)world->size * MOST, sizeof *t->slots);
  t->actions = tnrt_take(t->alloc, (size_t)world->size * MOST, sizeof *t->actions);
  t->buffers = tnrt_take(t->alloc, t->n_buffers, sizeof *t->buffers);
  bool ok = t->own && t->all && t->slots && t->actions && t->buffers;
  for (uint32_t i = 0; i < t->n_buffers && ok; i++) {
    t->buffers[i] = tnrt_take(t->alloc, count, sizeof(float));
    ok = t->buffers[i] != NULL;
  }
  if (!ok) return tnrt_fail(world->message, TNRT_NO_MEMORY, "no memory for sums of gradients");
  t->n_leaves = 0;
  tnrt_tree_start(t, n_leaves);
  return TNRT_OK;
}

void tnrt_tree_close(tnrt_tree *t) {
  if (!t->alloc) return;
  for (uint32_t i = 0; t->buffers && i < t->n_buffers; i++)
    if (t->buffers[i]) t->alloc->give(t->alloc->user, t->buffers[i]);
  if (t->buffers) t->alloc->give(t->alloc->user, t->buffers);
  if (t->slots) t->alloc->give(t->alloc->user, t->slots);
  if (t->actions) t->alloc->give(t->alloc->user, t->actions);
  if (t->all) t->alloc->give(t->alloc->user, t->all);
  if (t->own) t->alloc->give(t->alloc->user, t->own);
  memset(t, 0, sizeof *t);
}

/* ---- between processes ---- */

static void act(tnrt_tree *t, tnrt_tree_deed deed, int peer, uint32_t to, uint32_t from) {
  t->actions[t->n_actions++] = (tnrt_tree_action){(uint32_t)deed, peer, to, from};
}

/* The sum of b, which is the right sibling, comes to a's. slot: where the own subtrees' sums stand. */
static void merge(tnrt_tree *t, const tnrt_tree_node *a, const tnrt_tree_node *b, uint32_t a_slot, uint32_t b_slot) {
  int self = t->world->rank;
  if (a->owner == self && b->owner == self) act(t, TNRT_TREE_JOIN, self, a_slot, b_slot);
  else if (b->owner == self) act(t, TNRT_TREE_SEND, a->owner, 0, b_slot);
  else if (a->owner == self) act(t, TNRT_TREE_TAKE, b->owner, a_slot, t->n_buffers - 1);
}

static void merge_all(tnrt_tree *t, uint32_t n) {
  uint32_t *slots = t->slots;
  while (n > 1 || is_alone(&t->all[0], t->n_leaves)) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++, kept++) {
      t->all[kept] = t->all[i];
      slots[kept] = slots[i];
      if (is_alone(&t->all[kept], t->n_leaves)) {
        promote(&t->all[kept]);
      } else if (i + 1 < n && are_siblings(&t->all[i], &t->all[i + 1])) {
        merge(t, &t->all[i], &t->all[i + 1], slots[i], slots[i + 1]);
        promote(&t->all[kept]);
        i++;
      }
    }
    n = kept;
  }
}

static void find_actions(tnrt_tree *t) {
  uint32_t n = 0, slot = 0;
  t->n_actions = 0;
  for (int r = 0; r < t->world->size; r++) {
    int64_t first, end;
    uint32_t n_of_r = 0;
    tnrt_tree_share(t->n_leaves, r, t->world->size, &first, &end);
    for (int64_t i = first; i < end; i++) n_of_r = grow(t, t->all + n, n_of_r, (tnrt_tree_node){0, r, i});
    n += n_of_r;
  }
  for (uint32_t i = 0; i < n; i++) t->slots[i] = t->all[i].owner == t->world->rank ? slot++ : 0;
  merge_all(t, n);
}

/* ---- a sum ---- */

void tnrt_tree_start(tnrt_tree *t, int64_t n_leaves) {
  bool is_same = n_leaves == t->n_leaves;
  t->n_leaves = n_leaves;
  t->n_own = 0;
  tnrt_tree_share(n_leaves, t->world->rank, t->world->size, &t->first, &t->end);
  t->next = t->first;
  if (!is_same) find_actions(t);
}

float *tnrt_tree_leaf(tnrt_tree *t) { return t->buffers[t->n_own]; }

static tnrt_tree_node next_leaf(const tnrt_tree *t) { return (tnrt_tree_node){0, t->world->rank, t->next}; }

void tnrt_tree_add_part(tnrt_tree *t, float scale, size_t place, size_t count) {
  tnrt_tree_node grown[MOST];
  memcpy(grown, t->own, t->n_own * sizeof *grown);
  uint32_t left = grow(t, grown, t->n_own, next_leaf(t));
  if (scale != 1) tnrt_vector_scale(t->buffers[t->n_own] + place, scale, count);
  for (uint32_t i = t->n_own; i >= left; i--) tnrt_vector_add(t->buffers[i - 1] + place, t->buffers[i] + place, count);
}

void tnrt_tree_added(tnrt_tree *t) {
  t->n_own = grow(t, t->own, t->n_own, next_leaf(t));
  t->next++;
}

void tnrt_tree_add(tnrt_tree *t, float scale) {
  tnrt_tree_add_part(t, scale, 0, t->count);
  tnrt_tree_added(t);
}
