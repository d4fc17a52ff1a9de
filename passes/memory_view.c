/* Values seen as memory; see memory_view.h. */
#include "passes/memory_view.h"

#include <string.h>

#include "passes/views.h"

static bool transposed(tn_module *module, const tn_node *node, tn_memory_view *view) {
  const int64_t *perm = tn_node_attr(node, "perm")->u.list.ints;
  const tn_dim *dims[TN_MAX_NDIM], *shift[TN_MAX_NDIM];
  uint32_t ndim = view->type->ndim;
  for (uint32_t i = 0; i < ndim; i++) {
    dims[i] = view->type->dims[perm[i]];
    shift[i] = view->shift[perm[i]];
  }
  view->type = tn_type_tensor(module->ctx, view->type->dtype, ndim, dims);
  view->storage = tn_storage_transpose(module, view->storage, perm);
  memcpy(view->shift, shift, sizeof(shift[0]) * ndim);
  return true;
}

static bool reshaped(tn_module *module, const tn_node *node, tn_memory_view *view) {
  if (view->is_part) return false;
  const tn_storage *storage = tn_storage_reshape(module, view->type, view->storage, node->results[0]->type);
  if (!storage) return false;
  view->storage = storage;
  view->type = node->results[0]->type;
  return true;
}

bool tn_memory_view_find(tn_module *module, const tn_groups *groups, const tn_value *value, tn_memory_base base,
                         void *user, tn_memory_view *out) {
  if (tn_groups_materialised(groups, value)) {
    out->base = value;
    out->is_part = false;
    return base(user, value, out);
  }
  const tn_node *def = value->def;
  if (def->op != &tn_op_transpose && def->op != &tn_op_reshape) return false;
  if (!tn_memory_view_find(module, groups, def->operands[0].value, base, user, out)) return false;
  return def->op == &tn_op_transpose ? transposed(module, def, out) : reshaped(module, def, out);
}

bool tn_value_feeds_products(const tn_value *value) {
  bool any = false, is_copy = value->def && value->def->op == &tn_op_fence;
  for (const tn_use *use = value->uses; use; use = use->next) {
    const tn_node *user = use->user;
    bool is_product = user->op == &tn_op_dot;
    bool is_view = user->op == &tn_op_transpose || (is_copy && user->op == &tn_op_reshape);
    if (is_view) is_product = tn_value_feeds_products(user->results[0]);
    else if (!is_product && user->op != &tn_op_reduce && user->op->kind != TN_OP_SCALAR) return false;
    if (is_view && !is_product) return false;
    any |= is_product;
  }
  return any;
}

#define FILLED_BY_FEW 0.45
#define FILLED_BY_ROWS 0.75

/* Of the lanes of whole vectors, those that n elements fill. */
static double filled(const tn_target *target, const tn_dim *extent) {
  int64_t lanes = target->vector_bits / 32, n = tn_dim_is_const(extent) ? tn_dim_value(extent) : 64;
  return n <= 0 ? 1 : (double)n / (double)((n + lanes - 1) / lanes * lanes);
}

bool tn_fills_rows(const tn_target *target, const tn_type *type) {
  return target && type->ndim > 2 && filled(target, type->dims[1]) < FILLED_BY_FEW &&
         filled(target, type->dims[type->ndim - 1]) > FILLED_BY_ROWS;
}

const tn_storage *tn_storage_follow(tn_module *module, const tn_value *from, const tn_storage *storage,
                                    const tn_value *to) {
  while (from != to && storage) {
    if (!from->uses) return NULL;
    const tn_node *user = from->uses->user;
    if (user->n_results != 1) return NULL;
    if (user->op == &tn_op_transpose)
      storage = tn_storage_transpose(module, storage, tn_node_attr(user, "perm")->u.list.ints);
    else if (user->op == &tn_op_reshape)
      storage = tn_storage_reshape(module, from->type, storage, user->results[0]->type);
    else if (user->op->kind != TN_OP_SCALAR && user->op != &tn_op_fence)
      return NULL;
    from = user->results[0];
  }
  return storage;
}

bool tn_index_follow(tn_ctx *ctx, const tn_value *from, const tn_dim *const *index, const tn_value *to,
                     const tn_dim **out) {
  const tn_dim *next[TN_MAX_NDIM];
  memcpy(out, index, sizeof(*out) * from->type->ndim);
  while (from != to) {
    if (!from->uses) return false;
    const tn_node *user = from->uses->user;
    if (user->n_results != 1) return false;
    const tn_type *type = user->results[0]->type;
    if (user->op == &tn_op_transpose) {
      const int64_t *perm = tn_node_attr(user, "perm")->u.list.ints;
      for (uint32_t i = 0; i < type->ndim; i++) next[i] = out[perm[i]];
    } else if (user->op == &tn_op_reshape) {
      tn_reshape_index(ctx, from->type, type, out, next);
    } else if (user->op->kind == TN_OP_SCALAR || user->op == &tn_op_fence) {
      memcpy(next, out, sizeof(*out) * type->ndim);
    } else {
      return false;
    }
    memcpy(out, next, sizeof(*out) * type->ndim);
    from = user->results[0];
  }
  return true;
}
