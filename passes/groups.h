/* Fused groups, shared by the passes that make and read them (group, layout, lower).
 *
 * A group is the set of nodes with one node->group number; its root is the last of them, and only the root's result is
 * kept in memory. Views (nodes that only say where elements come from) belong to no group unless they are a root: every
 * kernel that reads through them absorbs them into its index expressions. Each block has groups of its own: those of a
 * region are numbered apart from those of the block around it. A node with regions is a group by itself. */
#ifndef TN_PASSES_GROUPS_H
#define TN_PASSES_GROUPS_H

#include "ir/primitives.h"

typedef enum tn_group_anchor {
  TN_GROUP_MAP,      /* elementwise only */
  TN_GROUP_ROWS,     /* reductions whose operand has the root's dims: folded, then used again */
  TN_GROUP_REDUCE,   /* reductions whose results have the root's dims */
  TN_GROUP_CONTRACT, /* one dot, conv or conv_dx with its epilogue */
  TN_GROUP_WINDOW,   /* one pooling with its epilogue */
  TN_GROUP_CONCAT,   /* parts written by their producers */
  TN_GROUP_REGIONS,  /* a node with regions: steps inside a step */
  TN_GROUP_OTHER     /* argreduce, cumulate, sort, scatter, dim_read: alone, or with a prologue */
} tn_group_anchor;

typedef struct tn_group {
  tn_node *root;
  tn_node *anchor_node; /* the contraction, window, ...; the last reduction; NULL for MAP */
  tn_group_anchor anchor;
  uint32_t n_nodes;
  tn_node **nodes; /* in the order of the block; the last is the root */
} tn_group;

typedef struct tn_groups {
  uint32_t n;
  tn_group *groups; /* by number; numbers follow the order of the roots */
} tn_groups;

/* The groups that node->group says, of the block's own nodes. */
tn_groups tn_groups_of(const tn_block *block, tn_arena *arena);
tn_group_anchor tn_node_anchor(const tn_node *node);
/* True for ops that only say where elements come from. */
bool tn_node_is_view(const tn_node *node);
/* True when a region of the user reads the value where it lies (fixed for all runs, or a slice at a time), or it is a
 * condition. */
bool tn_use_is_by_region(const tn_use *use);
/* True when the value is kept in memory: a parameter, a constant that is not one number, or a root's result. */
bool tn_groups_materialised(const tn_groups *groups, const tn_value *value);

#endif
