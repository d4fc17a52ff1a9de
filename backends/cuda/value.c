/* Values of kernel nodes at the bound positions: reads with their addresses and bounds, scalar ops, indices, writes. */
#include "backends/cuda/cuda.h"

/* --- Addresses --- */

const tn_dim *tn_cuda_address(tn_ctx *ctx, const tn_kernel *kernel, const tn_knode *node) {
  const tn_karg *arg = &kernel->args.data[node->arg];
  const tn_dim *strides[TN_MAX_NDIM], *total, *address = tn_dim_const(ctx, 0);
  tn_storage_strides(ctx, arg->type, arg->storage, strides, &total);
  for (uint32_t i = 0; i < node->n_index; i++)
    if (!tn_cuda_is_clamped(node->index[i]))
      address = tn_dim_add(ctx, address, tn_dim_mul(ctx, node->index[i], strides[i]));
  return address;
}

void tn_cuda_need_values(tn_cuda_gen *gen, const tn_dim *dim) {
  if (!tn_dim_uses_kind(dim, TN_SYM_VALUE)) return;
  for (size_t i = 0; i < gen->kernel->nodes.n; i++) {
    const tn_knode *node = gen->kernel->nodes.data[i];
    if (node->value_symbol == NULL || !tn_dim_uses(dim, node->value_symbol)) continue;
    const char *value = tn_cuda_value(gen, node);
    if (tn_cuda_recall(gen, node) == NULL) tn_cuda_remember(gen, node, value);
  }
}

/* What a read's address needs besides tn_cuda_address: coordinates that values choose, clamped. */
static void put_clamped(tn_cuda_gen *gen, const tn_knode *node, tn_buf *address, tn_buf *condition) {
  const tn_karg *arg = &gen->kernel->args.data[node->arg];
  const tn_dim *strides[TN_MAX_NDIM], *total;
  const char *type = tn_cuda_index_type(gen->plan);
  tn_storage_strides(gen->ctx, arg->type, arg->storage, strides, &total);
  for (uint32_t i = 0; i < node->n_index; i++) {
    if (!tn_cuda_is_clamped(node->index[i])) continue;
    const char *extent = tn_cuda_index(gen, arg->type->dims[i]);
    tn_cuda_need_values(gen, node->index[i]);
    tn_buf_printf(address, " + (%s)tn_clamp(%s, %s, status)*(%s)", type, tn_cuda_index(gen, node->index[i]), extent,
                  tn_cuda_index(gen, strides[i]));
    if (arg->type->dims[i]->lo <= 0) tn_buf_printf(condition, "%s%s > 0", condition->n ? " && " : "", extent);
  }
}

static bool is_proved(tn_ctx *ctx, const tn_dim *index, const tn_dim *extent) {
  return index->lo >= 0 && tn_dim_proves_le(ctx, tn_dim_add_i(ctx, index, 1), extent);
}

/* Coordinates that may be outside, when the read says what is there. */
static void put_bounds(tn_cuda_gen *gen, const tn_knode *node, tn_buf *condition) {
  const tn_type *type = gen->kernel->args.data[node->arg].type;
  for (uint32_t i = 0; i < node->n_index; i++) {
    const tn_dim *index = node->index[i], *extent = type->dims[i];
    if (node->n_in == 0 || tn_cuda_is_clamped(index) || is_proved(gen->ctx, index, extent)) continue;
    const char *text = tn_cuda_index(gen, index);
    if (index->lo < 0) tn_buf_printf(condition, "%s%s >= 0", condition->n ? " && " : "", text);
    if (!tn_dim_proves_le(gen->ctx, tn_dim_add_i(gen->ctx, index, 1), extent))
      tn_buf_printf(condition, "%s%s < %s", condition->n ? " && " : "", text, tn_cuda_index(gen, extent));
  }
}

static const char *read_value(tn_cuda_gen *gen, const tn_knode *node) {
  const tn_cuda_type *type = tn_cuda_type_of(node->dtype);
  tn_buf address = tn_buf_create(gen->arena), condition = tn_buf_create(gen->arena);
  const char *outside = tn_cuda_number(gen->arena, tn_cuda_compute_type(node->dtype), (tn_number){.u = 0});
  if (node->n_in > 0) outside = tn_cuda_value(gen, node->in[0]);
  tn_buf_puts(&address, tn_cuda_index(gen, tn_cuda_address(gen->ctx, gen->kernel, node)));
  put_clamped(gen, node, &address, &condition);
  put_bounds(gen, node, &condition);
  const char *load = tn_arena_printf(gen->arena, "%s(a%u[%s])", type->load, node->arg, address.data);
  return condition.n == 0 ? load : tn_arena_printf(gen->arena, "%s ? %s : %s", condition.data, load, outside);
}

/* --- Other nodes --- */

static const char *index_value(tn_cuda_gen *gen, const tn_knode *node) {
  tn_cuda_need_values(gen, node->index[0]);
  return tn_arena_printf(gen->arena, "(%s)(%s)", tn_cuda_type_of(node->dtype)->compute,
                         tn_cuda_index(gen, node->index[0]));
}

static const char *scalar_value(tn_cuda_gen *gen, const tn_knode *node) {
  const char *in[3] = {NULL};
  for (uint32_t i = 0; i < node->n_in; i++) in[i] = tn_cuda_value(gen, node->in[i]);
  const char *text = tn_cuda_scalar(gen->arena, node->scalar, node->in[node->n_in - 1]->dtype, node->dtype, in);
  TN_ASSERT(text != NULL);
  return text;
}

const char *tn_cuda_value(tn_cuda_gen *gen, const tn_knode *node) {
  const char *known = tn_cuda_recall(gen, node), *text = NULL;
  if (known != NULL) return known;
  switch (node->kind) {
    case TN_K_CONST: return tn_cuda_number(gen->arena, tn_cuda_compute_type(node->dtype), node->constant);
    case TN_K_READ: text = read_value(gen, node); break;
    case TN_K_INDEX: text = index_value(gen, node); break;
    case TN_K_SCALAR: text = scalar_value(gen, node); break;
    case TN_K_FOLD:
    case TN_K_CONTRACT:
    case TN_K_ARGFOLD:
    case TN_K_WRITE:
    case TN_K_ARGSORT:
    case TN_K_UPDATE: TN_ASSERT(!"folds are made by tn_cuda_prepare, writes have no value"); return "0";
  }
  const char *name = tn_cuda_name(gen, 'v');
  tn_cuda_line(gen, "const %s %s = %s;", tn_cuda_type_of(node->dtype)->compute, name, text);
  tn_cuda_remember(gen, node, name);
  return name;
}

void tn_cuda_write(tn_cuda_gen *gen, const tn_knode *write) {
  const tn_cuda_type *type = tn_cuda_type_of(gen->kernel->args.data[write->arg].type->dtype);
  const char *value = tn_cuda_value(gen, write->in[0]);
  tn_buf address = tn_buf_create(gen->arena), condition = tn_buf_create(gen->arena);
  tn_buf_puts(&address, tn_cuda_index(gen, tn_cuda_address(gen->ctx, gen->kernel, write)));
  put_clamped(gen, write, &address, &condition);
  if (write->kind == TN_K_WRITE) {
    tn_cuda_line(gen, "a%u[%s] = %s(%s);", write->arg, address.data, type->store, value);
    return;
  }
  tn_dtype dtype = tn_cuda_compute_type(gen->kernel->args.data[write->arg].type->dtype);
  const char *place = tn_cuda_name(gen, 'e');
  const char *in[] = {tn_arena_printf(gen->arena, "%s(a%u[%s])", type->load, write->arg, place), value};
  if (write->scalar != TN_K_SET) value = tn_cuda_scalar(gen->arena, write->scalar, dtype, dtype, in);
  if (condition.n > 0) tn_cuda_open(gen, "if (%s)", condition.data); /* an empty tensor takes no update */
  tn_cuda_line(gen, "const %s %s = %s;", tn_cuda_index_type(gen->plan), place, address.data);
  tn_cuda_line(gen, "a%u[%s] = %s(%s);", write->arg, place, type->store, value);
  if (condition.n > 0) tn_cuda_close(gen);
}
