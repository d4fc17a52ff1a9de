/* Finishing a kernel: dead nodes, size symbols, anchor, signature; and its count of operations. */
#include <string.h>

#include "ir/kernel.h"

/* The value symbols that an index uses name nodes by their place. */
static void mark_value(void *user, const tn_symbol *symbol) {
  bool *live = user;
  if (symbol->kind == TN_SYM_VALUE) live[symbol->slot] = true;
}

/* Nodes come after what they use, so one walk from the end finds all that a write needs. */
static void mark_live(tn_kernel *kernel, bool *live) {
  for (size_t i = kernel->nodes.n; i-- > 0;) {
    const tn_knode *node = kernel->nodes.data[i];
    if (tn_knode_is_write(node)) live[i] = true;
    if (!live[i]) continue;
    for (uint32_t k = 0; k < node->n_in; k++) live[node->in[k]->id] = true;
    for (uint32_t k = 0; k < node->n_index; k++) tn_dim_symbols(node->index[k], mark_value, live);
  }
}

static void keep(tn_knode **nodes, size_t *n, tn_knode *node) {
  node->id = (uint32_t)*n;
  /* A value symbol names its node by its place, which has just changed; it belongs to this node alone. */
  if (node->value_symbol) ((tn_symbol *)node->value_symbol)->slot = node->id;
  nodes[(*n)++] = node;
}

/* Drops dead nodes, puts writes last, numbers anew. */
static void compact(tn_kernel *kernel) {
  tn_arena *arena = kernel->module->arena;
  bool *live = TN_NEW_N(arena, bool, kernel->nodes.n);
  tn_knode **nodes = TN_NEW_N(arena, tn_knode *, kernel->nodes.n);
  mark_live(kernel, live);
  size_t n = 0;
  for (int writes = 0; writes < 2; writes++)
    for (size_t i = 0; i < kernel->nodes.n; i++)
      if (live[i] && tn_knode_is_write(kernel->nodes.data[i]) == (writes == 1))
        keep(nodes, &n, kernel->nodes.data[i]);
  kernel->nodes.data = nodes;
  kernel->nodes.capacity = kernel->nodes.n;
  kernel->nodes.n = n;
  for (size_t i = 0; i < n; i++) nodes[i]->axes = tn_knode_axes(kernel, nodes[i]);
}

/* Size symbols, in order of id. */

static void add_size_symbol(void *user, const tn_symbol *symbol) {
  tn_kernel *kernel = user;
  if (symbol->kind == TN_SYM_AXIS || symbol->kind == TN_SYM_VALUE) return;
  size_t at = 0;
  while (at < kernel->symbols.n && kernel->symbols.data[at]->id < symbol->id) at++;
  if (at < kernel->symbols.n && kernel->symbols.data[at] == symbol) return;
  TN_VEC_PUSH(kernel->module->arena, &kernel->symbols, symbol);
  for (size_t i = kernel->symbols.n - 1; i > at; i--) kernel->symbols.data[i] = kernel->symbols.data[i - 1];
  kernel->symbols.data[at] = symbol;
}

static void collect_symbols(tn_kernel *kernel) {
  kernel->symbols.n = 0;
  for (size_t i = 0; i < kernel->space.n; i++) tn_dim_symbols(kernel->space.data[i].extent, add_size_symbol, kernel);
  for (size_t i = 0; i < kernel->args.n; i++) {
    const tn_karg *arg = &kernel->args.data[i];
    for (uint32_t k = 0; k < arg->type->ndim; k++) tn_dim_symbols(arg->type->dims[k], add_size_symbol, kernel);
    if (arg->part_axis < 0) continue;
    tn_dim_symbols(arg->part_lo, add_size_symbol, kernel);
    tn_dim_symbols(arg->part_hi, add_size_symbol, kernel);
  }
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    for (uint32_t k = 0; k < node->n_index; k++) tn_dim_symbols(node->index[k], add_size_symbol, kernel);
  }
}

/* Anchor. */

/* An index like y + r: one coordinate that moves with an axis folded away and with another one. */
static bool reads_window(const tn_kernel *kernel, uint32_t over) {
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    if (node->kind != TN_K_READ) continue;
    for (uint32_t k = 0; k < node->n_index; k++) {
      uint32_t axes = tn_kernel_index_axes(kernel, &node->index[k], 1);
      if ((axes & over) != 0 && (axes & ~over) != 0) return true;
    }
  }
  return false;
}

static tn_anchor find_anchor(const tn_kernel *kernel) {
  uint32_t over = 0;
  bool has_fold = false;
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    if (node->kind == TN_K_CONTRACT) return TN_ANCHOR_CONTRACT;
    has_fold = has_fold || node->kind == TN_K_FOLD || node->kind == TN_K_ARGFOLD ||
               node->kind == TN_K_ARGSORT;
    over |= node->over;
  }
  for (size_t i = 0; i < kernel->space.n; i++)
    if (kernel->space.data[i].kind == TN_AXIS_ROW) return TN_ANCHOR_ROWS;
  if (!has_fold) return TN_ANCHOR_MAP;
  return reads_window(kernel, over) ? TN_ANCHOR_WINDOW : TN_ANCHOR_REDUCE;
}

/* Signature. A dim is hashed by the places of its symbols, not by their names or ids; sums and products are combined
 * without regard to their order, which depends on ids. */

static uint64_t mix(uint64_t seed, uint64_t v) { return tn_hash_bytes(seed, &v, sizeof(v)); }

static uint64_t hash_dim(const tn_kernel *kernel, const tn_dim *dim);

static uint64_t hash_symbol(const tn_kernel *kernel, const tn_symbol *symbol) {
  uint64_t place = symbol->slot;
  if (symbol->kind != TN_SYM_AXIS && symbol->kind != TN_SYM_VALUE)
    for (place = 0; place < kernel->symbols.n && kernel->symbols.data[place] != symbol;) place++;
  uint64_t kind = symbol->kind == TN_SYM_AXIS ? 1 : symbol->kind == TN_SYM_VALUE ? 2 : 3;
  return mix(mix(0, kind), place);
}

static uint64_t hash_atom(const tn_kernel *kernel, const tn_atom *atom) {
  if (atom->kind == TN_ATOM_SYMBOL) return hash_symbol(kernel, atom->symbol);
  uint64_t p = hash_dim(kernel, atom->p), q = hash_dim(kernel, atom->q);
  bool ordered = atom->kind == TN_ATOM_FLOORDIV || atom->kind == TN_ATOM_MOD;
  uint64_t both = ordered ? mix(mix(0, p), q) : p + q;
  return mix(mix(0, (uint64_t)atom->kind + 16), both);
}

static uint64_t hash_dim(const tn_kernel *kernel, const tn_dim *dim) {
  uint64_t sum = dim->n_terms;
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    const tn_term *term = &dim->terms[i];
    uint64_t product = term->n_atoms;
    for (uint32_t k = 0; k < term->n_atoms; k++) product += hash_atom(kernel, term->atoms[k]);
    sum += mix(mix(0, (uint64_t)term->coefficient), product);
  }
  return mix(0, sum);
}

static uint64_t hash_storage(uint64_t hash, const tn_storage *storage) {
  hash = tn_hash_bytes(hash, storage->order, storage->ndim);
  hash = mix(mix(hash, (uint64_t)storage->align_elements), (uint64_t)storage->pad_elements);
  return storage->format ? tn_hash_bytes(hash, storage->format, strlen(storage->format)) : mix(hash, 0);
}

static uint64_t hash_arg(const tn_kernel *kernel, uint64_t hash, const tn_karg *arg) {
  hash = mix(mix(hash, (uint64_t)arg->type->dtype), arg->type->ndim);
  for (uint32_t i = 0; i < arg->type->ndim; i++) hash = mix(hash, hash_dim(kernel, arg->type->dims[i]));
  hash = hash_storage(hash, arg->storage);
  hash = mix(mix(hash, arg->is_output), arg->constant != NULL);
  hash = mix(hash, (uint64_t)arg->part_axis);
  if (arg->part_axis < 0) return hash;
  return mix(mix(hash, hash_dim(kernel, arg->part_lo)), hash_dim(kernel, arg->part_hi));
}

static uint64_t hash_node(const tn_kernel *kernel, uint64_t hash, const tn_knode *node) {
  uint64_t numbers[] = {(uint64_t)node->kind, (uint64_t)node->dtype, node->n_in, (uint64_t)node->scalar,
                        (uint64_t)node->fold, node->over, node->last, node->descending, node->arg, node->n_index,
                        node->constant.u};
  hash = tn_hash_bytes(hash, numbers, sizeof(numbers));
  for (uint32_t i = 0; i < node->n_in; i++) hash = mix(hash, node->in[i]->id);
  for (uint32_t i = 0; i < node->n_index; i++) hash = mix(hash, hash_dim(kernel, node->index[i]));
  if (!node->value_symbol) return hash;
  return mix(mix(hash, (uint64_t)node->value_symbol->lo), (uint64_t)node->value_symbol->hi);
}

static uint64_t find_signature(const tn_kernel *kernel) {
  uint64_t hash = mix(0, kernel->space.n);
  for (size_t i = 0; i < kernel->symbols.n; i++)
    hash = mix(mix(hash, (uint64_t)kernel->symbols.data[i]->lo), (uint64_t)kernel->symbols.data[i]->hi);
  for (size_t i = 0; i < kernel->space.n; i++)
    hash = mix(mix(hash, (uint64_t)kernel->space.data[i].kind), hash_dim(kernel, kernel->space.data[i].extent));
  for (size_t i = 0; i < kernel->args.n; i++) hash = hash_arg(kernel, hash, &kernel->args.data[i]);
  for (size_t i = 0; i < kernel->nodes.n; i++) hash = hash_node(kernel, hash, kernel->nodes.data[i]);
  return hash;
}

void tn_kernel_finish(tn_kernel *kernel) {
  compact(kernel);
  collect_symbols(kernel);
  kernel->anchor = find_anchor(kernel);
  kernel->signature = find_signature(kernel);
}

/* Operations. */

static int64_t operations(const tn_knode *node) {
  switch (node->kind) {
    case TN_K_CONTRACT: return 2;
    case TN_K_FOLD:
    case TN_K_ARGFOLD: return 1;
    case TN_K_SCALAR: break;
    default: return 0;
  }
  if (node->scalar == TN_FMA) return 2;
  return node->scalar < TN_NOT ? 1 : 0; /* the table lists arithmetic first */
}

const tn_dim *tn_kernel_flops(const tn_kernel *kernel) {
  tn_ctx *ctx = kernel->module->ctx;
  const tn_dim *sum = tn_dim_const(ctx, 0);
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    int64_t each = operations(node);
    if (each == 0) continue;
    const tn_dim *points = tn_dim_const(ctx, each);
    for (size_t axis = 0; axis < kernel->space.n; axis++)
      if ((node->axes | node->over) >> axis & 1) points = tn_dim_mul(ctx, points, kernel->space.data[axis].extent);
    sum = tn_dim_add(ctx, sum, points);
  }
  return sum;
}
