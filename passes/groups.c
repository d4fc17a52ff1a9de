/* What node->group says, read back; see groups.h. */
#include "passes/groups.h"

bool tn_node_is_view(const tn_node *node) {
  static const tn_opdef *const views[] = {&tn_op_reshape, &tn_op_transpose, &tn_op_broadcast, &tn_op_slice,
                                          &tn_op_pad,     &tn_op_iota,      &tn_op_const,     &tn_op_dim_value};
  for (size_t i = 0; i < TN_ARRAY_LEN(views); i++)
    if (node->op == views[i]) return true;
  return false;
}

tn_group_anchor tn_node_anchor(const tn_node *node) {
  const tn_opdef *op = node->op;
  if (op == &tn_op_dot || op == &tn_op_conv || op == &tn_op_conv_dx) return TN_GROUP_CONTRACT;
  if (op == &tn_op_window) return TN_GROUP_WINDOW;
  if (op == &tn_op_reduce) return TN_GROUP_REDUCE;
  if (op == &tn_op_concat) return TN_GROUP_CONCAT;
  if (op->n_regions > 0) return TN_GROUP_REGIONS;
  if (op == &tn_op_argreduce || op == &tn_op_argwindow || op == &tn_op_cumulate || op == &tn_op_argsort ||
      op == &tn_op_scatter || op == &tn_op_dim_read)
    return TN_GROUP_OTHER;
  return TN_GROUP_MAP;
}

bool tn_use_is_by_region(const tn_use *use) {
  const tn_node *user = use->user;
  if (user->n_regions == 0) return false;
  tn_region_param *params = TN_NEW_N(user->block->func->module->arena, tn_region_param, (size_t)user->n_operands + 1);
  uint32_t n = 0;
  user->op->params(user, 0, params, &n);
  for (uint32_t i = 0; i < n; i++)
    if (params[i].operand == use->index) return params[i].role == TN_PARAM_FIXED || params[i].role == TN_PARAM_SLICE;
  return true;
}

uint32_t tn_groups_first_use(const tn_value *value, int32_t but, bool *out_ends) {
  uint32_t first = UINT32_MAX;
  for (const tn_use *use = value->uses; use; use = use->next) {
    const tn_node *user = use->user;
    bool is_absorbed = user->group < 0 && tn_node_is_view(user);
    uint32_t at = is_absorbed ? tn_groups_first_use(user->results[0], but, out_ends) : UINT32_MAX;
    if (!is_absorbed && user->group < 0) *out_ends = true;
    if (user->group >= 0 && user->group != but) at = (uint32_t)user->group;
    if (at < first) first = at;
  }
  return first;
}

static bool is_kept(const tn_group *group, const tn_value *value) {
  bool ends = false;
  return value->def == group->root || tn_groups_first_use(value, value->def->group, &ends) != UINT32_MAX || ends;
}

void tn_group_find_kept(tn_group *group, tn_arena *arena) {
  uint32_t n = 0;
  group->n_kept = 0;
  for (uint32_t i = 0; i < group->n_nodes; i++) n += group->nodes[i]->n_results;
  group->kept = TN_NEW_N(arena, tn_value *, n);
  for (uint32_t i = 0; i < group->n_nodes; i++)
    for (uint32_t k = 0; k < group->nodes[i]->n_results; k++)
      if (is_kept(group, group->nodes[i]->results[k])) group->kept[group->n_kept++] = group->nodes[i]->results[k];
}

/* What is folded is used again: the root has the dims of the reduction's operand, not of its result. */
static bool folds_rows(const tn_group *group) {
  const tn_node *reduce = group->anchor_node;
  return group->root != reduce && tn_type_same_dims(reduce->operands[0].value->type, group->root->results[0]->type);
}

tn_groups tn_groups_of(const tn_block *block, tn_arena *arena) {
  tn_groups groups = {0};
  for (const tn_node *node = block->first; node; node = node->next)
    if (node->group >= 0 && (uint32_t)node->group >= groups.n) groups.n = (uint32_t)node->group + 1;
  groups.groups = TN_NEW_N(arena, tn_group, groups.n);
  for (const tn_node *node = block->first; node; node = node->next)
    if (node->group >= 0) groups.groups[node->group].n_nodes++;
  for (uint32_t i = 0; i < groups.n; i++) {
    groups.groups[i].nodes = TN_NEW_N(arena, tn_node *, groups.groups[i].n_nodes);
    groups.groups[i].n_nodes = 0;
  }
  for (tn_node *node = block->first; node; node = node->next) {
    if (node->group < 0) continue;
    tn_group *group = &groups.groups[node->group];
    group->root = node;
    group->nodes[group->n_nodes++] = node;
    tn_group_anchor anchor = tn_node_anchor(node);
    if (anchor == TN_GROUP_MAP) continue;
    group->anchor_node = node;
    group->anchor = anchor;
  }
  for (uint32_t i = 0; i < groups.n; i++) {
    tn_group *group = &groups.groups[i];
    if (group->n_nodes == 0) continue;
    if (group->anchor == TN_GROUP_REDUCE && folds_rows(group)) group->anchor = TN_GROUP_ROWS;
    tn_group_find_kept(group, arena);
  }
  return groups;
}

bool tn_groups_materialised(const tn_groups *groups, const tn_value *value) {
  const tn_node *def = value->def;
  if (!def) return true;
  if (def->op == &tn_op_const) return tn_type_static_count(value->type) != 1;
  if (def->group < 0) return false;
  const tn_group *group = &groups->groups[def->group];
  for (uint32_t i = group->n_kept; i-- > 0;)
    if (group->kept[i] == value) return true;
  return false;
}
