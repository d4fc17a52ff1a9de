/* Grouping: which nodes form one kernel.
 *
 * Nodes are visited consumers first. A node joins the group of its consumers when all of them are in one group, no
 * element would be computed twice, and the group's anchor allows it; else it becomes the root of a new group, and its
 * result is kept in memory. This gives: elementwise chains in one loop, epilogues on contractions and pooling, softmax
 * and norms in one kernel (their reductions are over the group's own space), concat as parts that producers write.
 * Views stay outside groups and are absorbed by every reader. Then elementwise groups become kernels of several results
 * where that saves reads (merge.c). The classes follow Chen et al., "TVM" (OSDI 2018),
 * section 3. */
#include "passes/groups.h"
#include "passes/passes.h"

/* How elements of a value reach a consumer through views. */
typedef enum path { PATH_ONE_TO_ONE, PATH_PART, PATH_EXPAND } path;

typedef struct consumer {
  tn_node *node;
  uint32_t operand;
  path path;
} consumer;

typedef struct grouping {
  tn_block *block;
  tn_arena *scratch;
  TN_VEC(tn_group) groups; /* by node->group while the pass runs: numbered in reverse */
  TN_VEC(consumer) consumers;
} grouping;

static path worse(path a, path b) { return a > b ? a : b; }

static path path_of_view(const tn_node *view) {
  if (view->op == &tn_op_broadcast) {
    const tn_type *from = view->operands[0].value->type, *to = view->results[0]->type;
    return from->ndim == to->ndim && from == to ? PATH_ONE_TO_ONE : PATH_EXPAND;
  }
  return view->op == &tn_op_slice || view->op == &tn_op_pad ? PATH_PART : PATH_ONE_TO_ONE;
}

/* The nodes that compute with value, looking through views that are not roots. */
static void collect_consumers(grouping *g, const tn_value *value, path so_far) {
  for (const tn_use *use = value->uses; use; use = use->next) {
    tn_node *user = use->user;
    if (tn_node_is_view(user) && user->group < 0) {
      collect_consumers(g, user->results[0], worse(so_far, path_of_view(user)));
    } else {
      path here = tn_node_is_view(user) ? worse(so_far, path_of_view(user)) : so_far;
      TN_VEC_PUSH(g->scratch, &g->consumers, ((consumer){user, use->index, here}));
    }
  }
}

/* Limits on what one kernel absorbs: they bound the depth of recursion below, and the code of one kernel. */
#define MAX_GROUP_NODES 200
#define MAX_VIEW_DEPTH 64

static int32_t new_group(grouping *g, tn_node *root) {
  tn_group_anchor anchor = tn_node_anchor(root);
  tn_group group = {.root = root, .anchor_node = anchor == TN_GROUP_MAP ? NULL : root, .anchor = anchor, .n_nodes = 1};
  TN_VEC_PUSH(g->scratch, &g->groups, group);
  root->group = (int32_t)g->groups.n - 1;
  return root->group;
}

/* The operand is read from memory whoever made it: computing it inside would compute its elements many times. */
static bool needs_memory(const consumer *use) {
  const tn_opdef *op = use->node->op;
  if (op == &tn_op_gather) return use->operand == 0;
  return op == &tn_op_dot || op == &tn_op_conv || op == &tn_op_conv_dx || op == &tn_op_window || op == &tn_op_concat ||
         op == &tn_op_cumulate || op == &tn_op_argsort || op == &tn_op_scatter || op->kind == TN_OP_TERMINATOR ||
         op == &tn_op_bitcast || op == &tn_op_dim_read || op->n_regions > 0;
}

/* The type in whose dims the group computes: the root's, or below the views that make up a returned root. */
static const tn_type *space_of(const tn_group *group) {
  const tn_node *node = group->root;
  while (tn_node_is_view(node) && node->n_operands == 1 && path_of_view(node) == PATH_ONE_TO_ONE &&
         node->operands[0].value->def)
    node = node->operands[0].value->def;
  return node->results[0]->type;
}

static bool same_axes(const tn_node *a, const tn_node *b) {
  const tn_attr *x = tn_node_attr(a, "axes"), *y = tn_node_attr(b, "axes");
  if (x->u.list.n != y->u.list.n) return false;
  for (uint32_t i = 0; i < x->u.list.n; i++)
    if (x->u.list.ints[i] != y->u.list.ints[i]) return false;
  return true;
}

#define MAX_SCATTERED_ROW 4096

/* A row of many elements that lie apart, as those of a channel in a batch of images: it is out of the near cache when
 * it is read again, and is better folded for all rows at once. */
static bool is_scattered(const tn_node *reduce) {
  const tn_attr *axes = tn_node_attr(reduce, "axes");
  const tn_type *type = reduce->operands[0].value->type;
  double count = 1;
  bool is_last = true;
  for (uint32_t i = 0; i < axes->u.list.n; i++) {
    const tn_dim *dim = type->dims[axes->u.list.ints[i]];
    is_last &= axes->u.list.ints[i] + axes->u.list.n >= (int64_t)type->ndim;
    count *= tn_dim_is_const(dim) ? (double)tn_dim_value(dim) : 64;
  }
  return !is_last && count > MAX_SCATTERED_ROW;
}

/* A reduction over the group's own space, together with those already there. */
static bool fits_rows(const tn_group *group, const tn_node *reduce) {
  if (is_scattered(reduce) || !tn_type_same_dims(reduce->operands[0].value->type, space_of(group))) return false;
  if (group->anchor == TN_GROUP_MAP) return true;
  return group->anchor == TN_GROUP_ROWS && same_axes(reduce, group->anchor_node);
}

static bool fits_reduce(const tn_group *group, const tn_node *reduce) {
  if (group->anchor == TN_GROUP_MAP) return true;
  return group->anchor == TN_GROUP_REDUCE && same_axes(reduce, group->anchor_node) &&
         tn_type_same_dims(reduce->operands[0].value->type, group->anchor_node->operands[0].value->type);
}

#define MAX_ROW_SCALAR_DEPTH 32

/* node computes on results of reductions that belong into this group's rows, e.g. rsqrt(variance + epsilon). */
static bool is_row_scalar(const tn_group *group, const tn_node *node, int depth) {
  if (!node || depth > MAX_ROW_SCALAR_DEPTH) return false;
  if (node->op == &tn_op_reduce) return fits_rows(group, node);
  if (node->op->kind != TN_OP_SCALAR && !(tn_node_is_view(node) && node->op != &tn_op_broadcast)) return false;
  for (uint32_t i = 0; i < node->n_operands; i++)
    if (is_row_scalar(group, node->operands[i].value->def, depth + 1)) return true;
  return false;
}

/* Elements that only some consumers use are computed once when there is one consumer. */
static bool scalar_joins(const grouping *g, const tn_group *group, const tn_node *node, path worst) {
  if (worst == PATH_EXPAND) return is_row_scalar(group, node, 0);
  return worst == PATH_ONE_TO_ONE || g->consumers.n == 1;
}

static bool reduce_joins(tn_group *group, tn_node *node, path worst) {
  if (fits_rows(group, node)) {
    group->anchor = TN_GROUP_ROWS;
    group->anchor_node = node;
    return true;
  }
  if (worst != PATH_ONE_TO_ONE || !fits_reduce(group, node)) return false;
  group->anchor = TN_GROUP_REDUCE;
  group->anchor_node = node;
  return true;
}

/* A contraction, pooling or argreduce takes the elementwise group of its only consumers as its epilogue. */
static bool anchor_joins(tn_group *group, tn_node *node, path worst) {
  if (worst != PATH_ONE_TO_ONE || group->anchor != TN_GROUP_MAP || node->n_results != 1) return false;
  group->anchor = tn_node_anchor(node);
  group->anchor_node = node;
  return true;
}

static bool joins(grouping *g, tn_node *node) {
  g->consumers.n = 0;
  for (uint32_t i = 0; i < node->n_results; i++) collect_consumers(g, node->results[i], PATH_ONE_TO_ONE);
  if (!g->consumers.n || node->n_results != 1 || node->is_kept) return false;
  int32_t number = g->consumers.data[0].node->group;
  path worst = PATH_ONE_TO_ONE;
  for (size_t i = 0; i < g->consumers.n; i++) {
    const consumer *use = &g->consumers.data[i];
    if (use->node->group != number || number < 0 || needs_memory(use)) return false;
    worst = worse(worst, use->path);
  }
  tn_group *group = &g->groups.data[number];
  if (group->n_nodes >= MAX_GROUP_NODES) return false;
  bool joined;
  if (node->op->kind == TN_OP_SCALAR || node->op == &tn_op_gather || node->op == &tn_op_fence)
    joined = scalar_joins(g, group, node, worst);
  else if (node->op == &tn_op_reduce)
    joined = reduce_joins(group, node, worst);
  else if (node->op == &tn_op_dot || node->op == &tn_op_conv || node->op == &tn_op_conv_dx ||
           node->op == &tn_op_window || node->op == &tn_op_argreduce || node->op == &tn_op_argwindow)
    joined = anchor_joins(group, node, worst);
  else
    joined = false;
  if (joined) {
    node->group = number;
    group->n_nodes++;
  }
  return joined;
}

/* Every MAX_VIEW_DEPTH-th view of a chain is kept in memory. */
static void cut_view_chains(grouping *g) {
  for (tn_node *node = g->block->first; node; node = node->next) {
    if (!tn_node_is_view(node) || !node->n_operands) continue;
    const tn_node *def = node->operands[0].value->def;
    node->mark = def ? def->mark + 1 : 1;
    if (node->mark <= MAX_VIEW_DEPTH) continue;
    node->mark = 0;
    if (node->group < 0) new_group(g, node);
  }
  for (tn_node *node = g->block->first; node; node = node->next) node->mark = 0;
}

/* Numbers groups in the order of their roots. */
static void renumber(grouping *g) {
  int32_t *numbers = TN_NEW_N(g->scratch, int32_t, g->groups.n);
  int32_t next = 0;
  for (tn_node *node = g->block->first; node; node = node->next)
    if (node->group >= 0 && g->groups.data[node->group].root == node) numbers[node->group] = next++;
  for (tn_node *node = g->block->first; node; node = node->next)
    if (node->group >= 0) node->group = numbers[node->group];
}

/* A view of which memory has no rows, elements at one distance: a border, positions, extents, a constant seen larger,
 * axes that are repeated, split or joined. */
static bool lacks_rows(const tn_value *value) {
  for (; value->def && tn_node_is_view(value->def); value = value->def->operands[0].value)
    if (value->def->op != &tn_op_transpose && value->def->op != &tn_op_slice) return true;
  return false;
}

/* What the block's end, a region, a bit cast, a dim_read or a sort takes from memory is a root, also when it is a
 * view. */
static void keep_operand(grouping *g, const tn_use *use) {
  tn_node *def = use->value ? use->value->def : NULL;
  if (def && def->op != &tn_op_const && def->group < 0) new_group(g, def);
}

static void group_block(tn_block *block, const tn_arena *memory, bool is_apart) {
  grouping g = {.block = block, .scratch = tn_arena_create_scratch(memory)};
  for (tn_node *node = block->first; node; node = node->next) node->group = -1;
  tn_node *end = block->last;
  for (uint32_t i = 0; i < end->n_operands; i++) keep_operand(&g, &end->operands[i]);
  for (tn_node *node = block->first; node; node = node->next) {
    for (uint32_t i = 0; i < node->n_regions; i++) group_block(node->regions[i], memory, is_apart);
    for (uint32_t i = 0; i < node->n_operands && node->n_regions > 0; i++)
      if (tn_use_is_by_region(&node->operands[i])) keep_operand(&g, &node->operands[i]);
    bool from_memory = node->op == &tn_op_bitcast || node->op == &tn_op_dim_read ||
                       (node->op == &tn_op_argsort && lacks_rows(node->operands[0].value));
    if (from_memory) keep_operand(&g, &node->operands[0]);
  }
  cut_view_chains(&g);
  for (tn_node *node = end->previous; node; node = node->previous) {
    if (node->group >= 0 || tn_node_is_view(node)) continue;
    if (is_apart || !joins(&g, node)) new_group(&g, node);
  }
  renumber(&g);
  if (!is_apart) tn_groups_merge(block, g.scratch);
  tn_arena_destroy(g.scratch);
}

bool tn_pass_group(tn_pass_context *context) {
  group_block(context->entry->body, context->ctx->arena, context->is_apart);
  return true;
}
