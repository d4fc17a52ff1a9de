/* Fused groups, shared by the passes that make and read them (group, layout, lower).
 *
 * A group is the set of nodes with one node->group number; its root is the last of them. What the root gives is kept in
 * memory, and what other groups or the block's end use of the rest, which has the root's dims (merge.c). Views (nodes
 * that only say where elements come from) belong to no group unless they are a root: every kernel that reads through
 * them absorbs them into its index expressions. Each block has groups of its own: those of a region are numbered apart
 * from those of the block around it. A node with regions is a group by itself. */
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
  uint32_t n_kept;
  tn_value **kept; /* what lies in memory, in the order of the block; the root's results are the last */
} tn_group;

typedef struct tn_groups {
  uint32_t n;
  tn_group *groups; /* by number, which is the order in which they run */
} tn_groups;

/* The groups that node->group says, of the block's own nodes. */
tn_groups tn_groups_of(const tn_block *block, tn_arena *arena);
/* Sets kept from the nodes and their uses. */
void tn_group_find_kept(tn_group *group, tn_arena *arena);
tn_group_anchor tn_node_anchor(const tn_node *node);
/* True for ops that only say where elements come from. */
bool tn_node_is_view(const tn_node *node);
/* True when a region of the user reads the value where it lies (fixed for all runs, or a slice at a time), or it is a
 * condition. */
bool tn_use_is_by_region(const tn_use *use);
/* True when the value is kept in memory: a parameter, a constant that is not one number, or among a group's kept. */
bool tn_groups_materialised(const tn_groups *groups, const tn_value *value);
/* The lowest number of a group that uses value, `but` left out, views looked through; UINT32_MAX when it is the block's
 * end alone or nothing. *out_ends: the block's end uses it. */
uint32_t tn_groups_first_use(const tn_value *value, int32_t but, bool *out_ends);

/* merge.c: groups that are elementwise over the same dims and share what they read become one, of several results. */
void tn_groups_merge(tn_block *block, tn_arena *scratch);

#endif
