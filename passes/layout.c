/* Layout: where the elements of each value kept in memory lie.
 *
 * Every kept value takes the order that its kernel makes naturally: convolutions write channels last (the vector axis
 * is the output channel), or row-major where channels are few and rows long (the vector axis is the row), matrix
 * products row-major, elementwise and pooling kernels the order of what they read, concat that of its parts or else of
 * its only reader. Entry arguments and results are row-major. So a CNN has no reorder between its input and its output:
 * the first convolution reads the caller's order, the last one is read channels last. What goes into, out of and around
 * regions is row-major, so that slices are contiguous and contents move from run to run as bytes.
 *
 * A channels-last tensor whose pixels lie a multiple of 4 KB apart is padded by one cache line: the rows of a register
 * tile would otherwise fall into one set of the first-level cache. So is what products read and others only element by
 * element. */
#include "passes/memory_view.h"
#include "passes/passes.h"

#define CACHE_ALIAS_BYTES 4096
#define CACHE_LINE_BYTES 64

typedef struct layout {
  tn_module *module;
  const tn_target *target;
  tn_groups groups;
} layout;

static bool known_storage(void *user, const tn_value *value, tn_memory_view *out) {
  layout *l = user;
  out->type = value->type;
  out->storage = value->storage ? value->storage : tn_storage_row_major(l->module, value->type->ndim);
  return true;
}

/* One cache line when extent is a multiple of 4 KB, else 0; in elements. */
static int64_t padding_for(const tn_type *type, const tn_dim *extent) {
  size_t element = tn_dtype_bytes(type->dtype);
  if (!tn_dim_is_const(extent) || tn_dim_value(extent) <= 0) return 0;
  return (uint64_t)tn_dim_value(extent) * element % CACHE_ALIAS_BYTES == 0 ? (int64_t)(CACHE_LINE_BYTES / element) : 0;
}

/* Row-major, padded where products read the value and no reader needs its rows to follow each other. */
static const tn_storage *rows_for_products(tn_module *module, const tn_value *value) {
  uint32_t ndim = value->type->ndim;
  tn_storage storage = *tn_storage_row_major(module, ndim);
  if (ndim < 2 || !tn_value_feeds_products(value)) return NULL;
  storage.pad_elements = padding_for(value->type, value->type->dims[ndim - 1]);
  return storage.pad_elements ? tn_storage_intern(module, &storage) : NULL;
}

static const tn_storage *channels_last(tn_module *module, const tn_type *type) {
  tn_storage storage = {.ndim = type->ndim, .align_elements = 1};
  for (uint32_t k = 0; k < type->ndim; k++) storage.order[k] = (uint8_t)(k == 0 ? 0 : k + 1 < type->ndim ? k + 1 : 1);
  storage.pad_elements = padding_for(type, type->dims[1]);
  return tn_storage_intern(module, &storage);
}

/* Channels last, so that lanes run over channels, unless they are so few that the pixels of a row fill more lanes. */
static const tn_storage *order_of_conv(layout *l, const tn_type *type) {
  return tn_fills_rows(l->target, type) ? NULL : channels_last(l->module, type);
}

static bool is_row_major(const tn_storage *storage) {
  for (uint32_t k = 0; k < storage->ndim; k++)
    if (storage->order[k] != k) return false;
  return true;
}

/* The order of storage without its padding. */
static const tn_storage *order_only(tn_module *module, const tn_storage *storage) {
  tn_storage plain = *storage;
  plain.pad_elements = 0;
  plain.align_elements = 1;
  return tn_storage_intern(module, &plain);
}

/* The order of the first operand with these dims, among the group's nodes, that is kept in an order of its own. */
static const tn_storage *order_of_inputs(layout *l, const tn_group *group, const tn_type *type) {
  for (uint32_t k = group->n_nodes; k-- > 0;) {
    const tn_node *node = group->nodes[k];
    for (uint32_t i = 0; i < node->n_operands; i++) {
      const tn_value *operand = node->operands[i].value;
      tn_memory_view view;
      if (!operand || !tn_type_same_dims(operand->type, type)) continue;
      if (!tn_memory_view_find(l->module, &l->groups, operand, known_storage, l, &view)) continue;
      if (!is_row_major(view.storage)) return order_only(l->module, view.storage);
    }
  }
  return NULL;
}

/* The order of a reduction's operand, less the axes that are folded away. */
static const tn_storage *order_of_reduce(layout *l, const tn_group *group) {
  const tn_node *reduce = group->anchor_node;
  const tn_storage *from = order_of_inputs(l, group, reduce->operands[0].value->type);
  if (!from) return NULL;
  const tn_attr *axes = tn_node_attr(reduce, "axes");
  tn_storage result = {.align_elements = 1};
  for (uint32_t k = 0; k < from->ndim; k++) {
    uint8_t axis = from->order[k], below = 0;
    bool folded = false;
    for (uint32_t i = 0; i < axes->u.list.n; i++) {
      folded |= axes->u.list.ints[i] == axis;
      below = (uint8_t)(below + (axes->u.list.ints[i] < axis));
    }
    if (!folded) result.order[result.ndim++] = (uint8_t)(axis - below);
  }
  return tn_storage_intern(l->module, &result);
}

/* What the kernel of the group writes with vectors of neighbours, or NULL for row-major. */
static const tn_storage *natural_order(layout *l, const tn_group *group) {
  const tn_node *anchor = group->anchor_node;
  const tn_value *result = group->root->results[0];
  if (group->root->op == &tn_op_fence) return NULL; /* a copy made for its order */
  switch (group->anchor) {
    case TN_GROUP_CONTRACT:
      if (anchor->op == &tn_op_dot) return NULL;
      return tn_storage_follow(l->module, anchor->results[0], order_of_conv(l, anchor->results[0]->type), result);
    case TN_GROUP_WINDOW: {
      tn_memory_view view;
      if (!tn_memory_view_find(l->module, &l->groups, anchor->operands[0].value, known_storage, l, &view)) return NULL;
      return tn_storage_follow(l->module, anchor->results[0], order_only(l->module, view.storage), result);
    }
    case TN_GROUP_REDUCE: {
      const tn_storage *order = order_of_reduce(l, group);
      return order ? tn_storage_follow(l->module, anchor->results[0], order, result) : NULL;
    }
    case TN_GROUP_MAP:
    case TN_GROUP_ROWS:
    case TN_GROUP_CONCAT: return order_of_inputs(l, group, result->type);
    case TN_GROUP_REGIONS:
    case TN_GROUP_OTHER: return NULL;
  }
  return NULL;
}

/* Concat reads operands whose dims differ along its axis: the order most of them have. */
static const tn_storage *order_of_parts(layout *l, const tn_node *concat) {
  const tn_storage *found = NULL;
  for (uint32_t i = 0; i < concat->n_operands && !found; i++) {
    tn_memory_view view;
    if (!tn_memory_view_find(l->module, &l->groups, concat->operands[i].value, known_storage, l, &view)) continue;
    if (!is_row_major(view.storage)) found = order_only(l->module, view.storage);
  }
  return found;
}

/* Joined parts that are read through one transpose only, which leaves neighbours neighbours, lie as it reads them: its
 * axes then follow each other in memory and merge (the two directions of a recurrent layer, the heads of attention). */
static const tn_storage *order_of_reader(layout *l, const tn_value *value) {
  const tn_node *reader = value->uses ? value->uses->user : NULL;
  if (!reader || value->uses->next || reader->op != &tn_op_transpose) return NULL;
  const tn_attr *perm = tn_node_attr(reader, "perm");
  uint32_t n = perm->u.list.n;
  if (n == 0 || n > TN_MAX_NDIM || perm->u.list.ints[n - 1] != n - 1) return NULL;
  tn_storage storage = {.ndim = n, .align_elements = 1};
  for (uint32_t k = 0; k < n; k++) storage.order[k] = (uint8_t)perm->u.list.ints[k];
  return tn_storage_intern(l->module, &storage);
}

static bool feeds_region(const tn_value *value) {
  for (const tn_use *use = value->uses; use; use = use->next)
    if (use->user->n_regions > 0) return true;
  return false;
}

static void lay_out_block(tn_module *module, const tn_target *target, tn_block *block, tn_arena *scratch) {
  layout l = {module, target, tn_groups_of(block, scratch)};
  for (uint32_t i = 0; i < l.groups.n; i++) {
    tn_group *group = &l.groups.groups[i];
    for (uint32_t k = 0; k < group->n_kept; k++)
      group->kept[k]->storage = tn_storage_row_major(module, group->kept[k]->type->ndim);
    const tn_storage *natural =
        group->anchor == TN_GROUP_CONCAT ? order_of_parts(&l, group->root) : natural_order(&l, group);
    if (group->anchor == TN_GROUP_CONCAT && !natural) natural = order_of_reader(&l, group->root->results[0]);
    bool has_rows = group->anchor != TN_GROUP_REGIONS && group->anchor != TN_GROUP_OTHER;
    for (uint32_t k = 0; k < group->n_kept; k++) {
      tn_value *kept = group->kept[k];
      if (kept->def_index > 0 || feeds_region(kept)) continue;
      const tn_storage *storage = natural ? natural : has_rows ? rows_for_products(module, kept) : NULL;
      if (storage) kept->storage = storage;
    }
    for (uint32_t k = 0; k < group->root->n_regions; k++)
      lay_out_block(module, target, group->root->regions[k], scratch);
  }
  const tn_node *end = block->last;
  for (uint32_t i = 0; i < end->n_operands; i++) {
    tn_value *value = end->operands[i].value;
    if (value->def) value->storage = tn_storage_row_major(module, value->type->ndim);
  }
}

bool tn_pass_layout(tn_pass_context *context) {
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  lay_out_block(context->module, context->target, context->entry->body, scratch);
  tn_arena_destroy(scratch);
  return true;
}
