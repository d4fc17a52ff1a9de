/* Sums over numbered leaves whose order, and so each bit of them, depends on the number of leaves alone, whoever has
 * them. The order is that of the left-complete binary tree: node (level, index) is the sum of its children
 * (level - 1, 2 index) and (level - 1, 2 index + 1), or the left one where the right has no leaf. Each process has a
 * row of leaves, which is a few whole subtrees; those that are left of a node's two children keep the sum. Here stands
 * what is added to what; exchange.h sends and receives. */
#ifndef TNRT_TRAIN_TREE_H
#define TNRT_TRAIN_TREE_H

#include "runtime/core/runtime.h"
#include "runtime/train/world.h"

typedef struct tnrt_tree_node {
  uint32_t level;
  int owner;
  int64_t index;
} tnrt_tree_node;

/* What a process does once it has all its subtrees. */
typedef enum tnrt_tree_deed {
  TNRT_TREE_JOIN, /* buffers[from] is added to buffers[to] */
  TNRT_TREE_SEND, /* buffers[from] goes to peer */
  TNRT_TREE_TAKE  /* what peer sends comes to buffers[from] and is added to buffers[to] */
} tnrt_tree_deed;

typedef struct tnrt_tree_action {
  uint32_t deed; /* tnrt_tree_deed */
  int peer;
  uint32_t to, from;
} tnrt_tree_action;

typedef struct tnrt_tree {
  tnrt_world *world;
  const tnrt_alloc *alloc;
  int64_t n_leaves, first, end; /* the leaves first .. end - 1 are this process's */
  size_t count;                 /* elements of a leaf */
  int64_t next;                 /* the leaf that comes next */
  tnrt_tree_node *own;          /* n_own subtrees, from the left */
  uint32_t n_own, n_buffers;
  float **buffers;              /* own[i]'s sum is buffers[i]; one more is for what comes from others */
  tnrt_tree_action *actions;    /* in their order; every process goes through the same nodes, so that no two wait for
                                   each other */
  uint32_t n_actions;
  tnrt_tree_node *all;          /* of all processes, to find the actions, */
  uint32_t *slots;              /* and which of this one's buffers each is in */
} tnrt_tree;

/* The leaves of one process: n_leaves shared out in rows as equal as can be. */
void tnrt_tree_share(int64_t n_leaves, int rank, int size, int64_t *out_first, int64_t *out_end);

/* How many sums of one leaf's size a process keeps at most. */
uint32_t tnrt_tree_buffers(int64_t n_leaves, int size);
/* TNRT_NO_MEMORY. Takes log2(n_leaves) + 2 times count elements at most twice. n_leaves is at least 1. */
tnrt_status tnrt_tree_open(tnrt_tree *tree, tnrt_world *world, const tnrt_alloc *alloc, int64_t n_leaves,
                           size_t count);
void tnrt_tree_close(tnrt_tree *tree);

/* Begins a new sum, of as many leaves as open said or fewer. */
void tnrt_tree_start(tnrt_tree *tree, int64_t n_leaves);
/* Where the next leaf of this process is to be written, count elements; then add takes it, each element times scale. */
float *tnrt_tree_leaf(tnrt_tree *tree);
void tnrt_tree_add(tnrt_tree *tree, float scale);
/* The same by parts: each element once, then added. A part of the last leaf is a part of all this process's subtrees as
 * soon as it is taken. */
void tnrt_tree_add_part(tnrt_tree *tree, float scale, size_t place, size_t count);
void tnrt_tree_added(tnrt_tree *tree);
/* Where the process that has the first leaf finds the sum when all actions are done. */
static inline float *tnrt_tree_sum(const tnrt_tree *tree) { return tree->buffers[0]; }

#endif
