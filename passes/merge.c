/* Merging: kernels of several results.
 *
 * A group is elementwise and another one reads its result element by element, or both read a tensor of their dims: as
 * one kernel they read it once, and need one step. The earlier of the two then runs when the later one did, so nothing
 * else may need its results before. An optimiser's update of a weight and its states becomes one pass over memory this
 * way, and so do the gates of a recurrent cell. */
#include "passes/groups.h"

#define MAX_MERGED_NODES 200
#define MAX_MERGED_KEPT 8
/* Groups between the two: what the earlier one reads stays alive as long. */
#define MAX_DISTANCE 16

typedef struct merging {
  tn_arena *scratch;
  tn_groups groups;
} merging;

static bool feeds_concat(const tn_value *value) {
  for (const tn_use *use = value->uses; use; use = use->next)
    if (use->user->op == &tn_op_concat || (tn_node_is_view(use->user) && feeds_concat(use->user->results[0])))
      return true;
  return false;
}

/* Parts of a concat stay kernels of their own: no step writes two parts of one buffer. */
static bool may_merge(const tn_group *group) {
  if (group->n_nodes == 0 || group->anchor != TN_GROUP_MAP || group->root->op->kind != TN_OP_SCALAR) return false;
  for (uint32_t i = 0; i < group->n_kept; i++)
    if (feeds_concat(group->kept[i])) return false;
  return true;
}

static const tn_type *dims_of(const tn_group *group) { return group->root->results[0]->type; }

static bool fit(const tn_group *a, const tn_group *b) {
  return may_merge(b) && a->n_nodes + b->n_nodes <= MAX_MERGED_NODES && a->n_kept + b->n_kept <= MAX_MERGED_KEPT &&
         tn_type_same_dims(dims_of(a), dims_of(b));
}

/* Whether the group uses value otherwise than element by element, through a view. */
static bool uses_through_view(const tn_value *value, int32_t group, bool is_view) {
  for (const tn_use *use = value->uses; use; use = use->next) {
    if (use->user->group == group && is_view) return true;
    if (use->user->group < 0 && tn_node_is_view(use->user) && uses_through_view(use->user->results[0], group, true))
      return true;
  }
  return false;
}

/* The first group that needs a result of this one, or the next number when none does: it may run as late as that. */
static uint32_t latest(const merging *m, uint32_t number) {
  const tn_group *group = &m->groups.groups[number];
  uint32_t last = number + MAX_DISTANCE < m->groups.n ? number + MAX_DISTANCE : m->groups.n - 1;
  for (uint32_t i = 0; i < group->n_kept; i++) {
    bool ends = false;
    uint32_t first = tn_groups_first_use(group->kept[i], (int32_t)number, &ends);
    if (first < last) last = first;
  }
  return last;
}

static void consider(const merging *m, uint32_t number, const tn_value *value, uint32_t last, uint32_t *best) {
  const tn_group *a = &m->groups.groups[number];
  if (!tn_type_same_dims(value->type, dims_of(a))) return;
  for (const tn_use *use = value->uses; use; use = use->next) {
    uint32_t at = use->user->group < 0 ? UINT32_MAX : (uint32_t)use->user->group;
    if (at > number && at <= last && at < *best && fit(a, &m->groups.groups[at])) *best = at;
  }
}

/* The group that this one is to be part of; UINT32_MAX: none. */
static uint32_t partner(const merging *m, uint32_t number) {
  const tn_group *group = &m->groups.groups[number];
  uint32_t last = latest(m, number), best = UINT32_MAX;
  for (uint32_t i = 0; i < group->n_kept; i++) consider(m, number, group->kept[i], last, &best);
  for (uint32_t i = 0; i < group->n_nodes; i++)
    for (uint32_t k = 0; k < group->nodes[i]->n_operands; k++) {
      const tn_value *operand = group->nodes[i]->operands[k].value;
      bool is_own = operand->def && operand->def->group == (int32_t)number;
      bool is_memory = !is_own && tn_groups_materialised(&m->groups, operand);
      if (is_memory && operand->type->ndim > 0) consider(m, number, operand, last, &best);
    }
  for (uint32_t i = 0; i < group->n_kept && best != UINT32_MAX; i++)
    if (uses_through_view(group->kept[i], (int32_t)best, false)) return UINT32_MAX;
  return best;
}

/* Both are in the order of the block, and so is what they become: marks number the nodes. */
static void merge(merging *m, uint32_t from, uint32_t into) {
  tn_group *a = &m->groups.groups[from], *b = &m->groups.groups[into];
  uint32_t n = a->n_nodes + b->n_nodes;
  tn_node **nodes = TN_NEW_N(m->scratch, tn_node *, n);
  for (uint32_t i = 0, j = 0; i + j < n;) {
    bool is_a = j == b->n_nodes || (i < a->n_nodes && a->nodes[i]->mark < b->nodes[j]->mark);
    nodes[i + j] = is_a ? a->nodes[i] : b->nodes[j];
    i += is_a;
    j += !is_a;
  }
  for (uint32_t i = 0; i < a->n_nodes; i++) a->nodes[i]->group = (int32_t)into;
  b->nodes = nodes;
  b->n_nodes = n;
  a->n_nodes = a->n_kept = 0;
  tn_group_find_kept(b, m->scratch);
}

void tn_groups_merge(tn_block *block, tn_arena *scratch) {
  merging m = {scratch, tn_groups_of(block, scratch)};
  uint32_t mark = 0, next = 0;
  for (tn_node *node = block->first; node; node = node->next) node->mark = ++mark;
  for (uint32_t i = 0; i < m.groups.n; i++) {
    uint32_t into = may_merge(&m.groups.groups[i]) ? partner(&m, i) : UINT32_MAX;
    if (into != UINT32_MAX) merge(&m, i, into);
  }
  for (tn_node *node = block->first; node; node = node->next) node->mark = 0;
  for (uint32_t i = 0; i < m.groups.n; i++) {
    const tn_group *group = &m.groups.groups[i];
    for (uint32_t k = 0; k < group->n_nodes; k++) group->nodes[k]->group = (int32_t)next;
    next += group->n_nodes > 0;
  }
}
