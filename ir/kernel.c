/* Kernels: axes, arguments and nodes. Equal nodes are made once. Finishing is in kernel_finish.c. */
#include "ir/kernel.h"

#include <string.h>

const char *tn_fold_name(tn_fold fold) {
  static const char *const names[] = {"sum", "prod", "max", "min", "and", "or"};
  return names[fold];
}

/* wanted as an identifier. */
static const char *identifier(tn_ctx *ctx, const char *wanted) {
  char text[128];
  size_t n = 0;
  for (const char *at = wanted; *at && n + 2 < sizeof(text); at++) {
    char c = *at;
    bool digit = c >= '0' && c <= '9';
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (digit && n == 0) text[n++] = '_';
    text[n++] = digit || letter ? c : '_';
  }
  if (n == 0) text[n++] = 'k';
  text[n] = '\0';
  return tn_name(ctx, text);
}

tn_kernel *tn_kernel_create(tn_module *module, const char *name) {
  tn_kernel *kernel = TN_NEW(module->arena, tn_kernel);
  kernel->module = module;
  kernel->name = tn_name_fresh(module->ctx, &module->kernel_names, &module->kernel_suffixes,
                               identifier(module->ctx, name));
  tn_map_set(&module->kernel_names, kernel->name, kernel);
  kernel->by_content = tn_map_create(module->arena);
  kernel->loc = tn_loc_current(module->ctx);
  TN_VEC_PUSH(module->arena, &module->kernels, kernel);
  return kernel;
}

/* An index expression names axes, node values and size symbols; no two may be spelled alike. */
static bool symbol_name_is_taken(const tn_kernel *kernel, const char *name) {
  for (size_t i = 0; i < kernel->space.n; i++)
    if (kernel->space.data[i].symbol->name == name) return true;
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_symbol *symbol = kernel->nodes.data[i]->value_symbol;
    if (symbol && symbol->name == name) return true;
  }
  return tn_symbol_find(kernel->module->ctx, name) != NULL;
}

static const char *free_symbol_name(const tn_kernel *kernel, const char *wanted) {
  tn_ctx *ctx = kernel->module->ctx;
  const char *base = identifier(ctx, wanted), *name = base;
  for (uint32_t i = 2; symbol_name_is_taken(kernel, name); i++) name = tn_namef(ctx, "%s_%u", base, i);
  return name;
}

const tn_symbol *tn_kernel_add_axis(tn_kernel *kernel, const char *name, const tn_dim *extent, tn_axis_kind kind) {
  TN_ASSERT(kernel->space.n < TN_KERNEL_MAX_AXES);
  tn_module *module = kernel->module;
  const tn_symbol *symbol =
      tn_symbol_axis(module->ctx, free_symbol_name(kernel, name), extent, (uint32_t)kernel->space.n);
  tn_axis axis = {.symbol = symbol, .extent = extent, .kind = kind};
  TN_VEC_PUSH(module->arena, &kernel->space, axis);
  return symbol;
}

uint32_t tn_kernel_add_arg(tn_kernel *kernel, const char *name, const tn_type *type, const tn_storage *storage,
                           bool is_output) {
  tn_module *module = kernel->module;
  const char *base = identifier(module->ctx, name), *unique = base;
  for (uint32_t i = 2;; i++) {
    size_t at = 0;
    while (at < kernel->args.n && kernel->args.data[at].name != unique) at++;
    if (at == kernel->args.n) break;
    unique = tn_namef(module->ctx, "%s_%u", base, i);
  }
  tn_karg arg = {.name = unique,
                 .type = type,
                 .storage = storage ? storage : tn_storage_row_major(module, type->ndim),
                 .is_output = is_output,
                 .part_axis = -1};
  TN_VEC_PUSH(module->arena, &kernel->args, arg);
  return (uint32_t)kernel->args.n - 1;
}

/* Equal nodes are made once. */

static uint64_t content_hash(const tn_knode *node) {
  uint64_t hash = 0;
  uint32_t numbers[] = {(uint32_t)node->kind, (uint32_t)node->dtype, node->n_in, (uint32_t)node->scalar,
                        (uint32_t)node->fold, node->over, node->last, node->descending, node->arg, node->n_index};
  hash = tn_hash_bytes(hash, numbers, sizeof(numbers));
  hash = tn_hash_bytes(hash, &node->constant.u, sizeof(node->constant.u));
  for (uint32_t i = 0; i < node->n_in; i++) hash = tn_hash_bytes(hash, &node->in[i]->id, sizeof(node->in[i]->id));
  for (uint32_t i = 0; i < node->n_index; i++)
    hash = tn_hash_bytes(hash, &node->index[i]->hash, sizeof(node->index[i]->hash));
  return hash;
}

static bool content_equal(const tn_knode *a, const tn_knode *b) {
  if (a->kind != b->kind || a->dtype != b->dtype || a->n_in != b->n_in || a->scalar != b->scalar ||
      a->fold != b->fold || a->over != b->over || a->last != b->last || a->descending != b->descending ||
      a->arg != b->arg ||
      a->n_index != b->n_index || a->constant.u != b->constant.u)
    return false;
  for (uint32_t i = 0; i < a->n_in; i++)
    if (a->in[i] != b->in[i]) return false;
  for (uint32_t i = 0; i < a->n_index; i++)
    if (a->index[i] != b->index[i]) return false;
  return true;
}

tn_knode *tn_kernel_append(tn_kernel *kernel, const tn_knode *node) {
  tn_arena *arena = kernel->module->arena;
  tn_knode *added = tn_arena_copy(arena, node, sizeof(*node));
  if (node->n_index > 0) added->index = tn_arena_copy(arena, node->index, node->n_index * sizeof(*node->index));
  added->id = (uint32_t)kernel->nodes.n;
  added->loc = tn_loc_current(kernel->module->ctx);
  added->axes = tn_knode_axes(kernel, added);
  TN_VEC_PUSH(arena, &kernel->nodes, added);
  return added;
}

/* The node equal to this one, which is appended when there is none yet. */
static tn_knode *add(tn_kernel *kernel, tn_knode node) {
  uint64_t hash = content_hash(&node);
  tn_knode *first = tn_map_get_u64(&kernel->by_content, hash);
  for (tn_knode *same = first; same && !tn_knode_is_write(&node); same = same->next_same_hash)
    if (content_equal(same, &node)) return same;
  tn_knode *added = tn_kernel_append(kernel, &node);
  added->next_same_hash = first;
  tn_map_set_u64(&kernel->by_content, hash, added);
  return added;
}

tn_knode *tn_kernel_read(tn_kernel *kernel, uint32_t arg, const tn_dim *const *index, tn_knode *outside) {
  const tn_type *type = kernel->args.data[arg].type;
  tn_knode node = {.kind = TN_K_READ, .dtype = type->dtype, .arg = arg, .index = index, .n_index = type->ndim,
                   .n_in = outside ? 1 : 0, .in = {outside}};
  return add(kernel, node);
}

tn_knode *tn_kernel_const(tn_kernel *kernel, tn_dtype dtype, tn_number v) {
  return add(kernel, (tn_knode){.kind = TN_K_CONST, .dtype = dtype, .constant = v});
}

tn_knode *tn_kernel_index(tn_kernel *kernel, tn_dtype dtype, const tn_dim *value) {
  return add(kernel, (tn_knode){.kind = TN_K_INDEX, .dtype = dtype, .index = &value, .n_index = 1});
}

tn_knode *tn_kernel_scalar(tn_kernel *kernel, tn_scalar scalar, tn_dtype dtype, tn_knode *const *in, uint32_t n_in) {
  TN_ASSERT(n_in == tn_scalar_arity(scalar));
  tn_knode node = {.kind = TN_K_SCALAR, .dtype = dtype, .scalar = scalar, .n_in = n_in};
  for (uint32_t i = 0; i < n_in; i++) node.in[i] = in[i];
  return add(kernel, node);
}

tn_knode *tn_kernel_fold(tn_kernel *kernel, tn_fold fold, tn_dtype dtype, tn_knode *in, uint32_t over) {
  return add(kernel,
             (tn_knode){.kind = TN_K_FOLD, .dtype = dtype, .fold = fold, .over = over, .n_in = 1, .in = {in}});
}

tn_knode *tn_kernel_contract(tn_kernel *kernel, tn_dtype dtype, tn_knode *a, tn_knode *b, uint32_t over) {
  return add(kernel, (tn_knode){.kind = TN_K_CONTRACT, .dtype = dtype, .over = over, .n_in = 2, .in = {a, b}});
}

tn_knode *tn_kernel_argfold(tn_kernel *kernel, tn_fold fold, tn_knode *in, uint32_t over, bool last) {
  return add(kernel, (tn_knode){.kind = TN_K_ARGFOLD, .dtype = TN_I64, .fold = fold, .over = over, .last = last,
                                .n_in = 1, .in = {in}});
}

tn_knode *tn_kernel_argsort(tn_kernel *kernel, tn_knode *in, uint32_t over, const tn_dim *position, bool descending) {
  return add(kernel, (tn_knode){.kind = TN_K_ARGSORT, .dtype = TN_I64, .over = over, .descending = descending,
                                .n_in = 1, .in = {in}, .index = &position, .n_index = 1});
}

tn_knode *tn_kernel_write(tn_kernel *kernel, uint32_t arg, const tn_dim *const *index, tn_knode *value) {
  const tn_type *type = kernel->args.data[arg].type;
  return add(kernel, (tn_knode){.kind = TN_K_WRITE, .dtype = type->dtype, .arg = arg, .index = index,
                                .n_index = type->ndim, .n_in = 1, .in = {value}});
}

tn_knode *tn_kernel_update(tn_kernel *kernel, tn_scalar combine, uint32_t arg, const tn_dim *const *index,
                           tn_knode *value) {
  const tn_type *type = kernel->args.data[arg].type;
  return add(kernel, (tn_knode){.kind = TN_K_UPDATE, .dtype = type->dtype, .scalar = combine, .arg = arg,
                                .index = index, .n_index = type->ndim, .n_in = 1, .in = {value}});
}

const tn_symbol *tn_kernel_value_symbol(tn_kernel *kernel, tn_knode *node, int64_t lo, int64_t hi) {
  TN_ASSERT(tn_dtype_is_integer(node->dtype));
  if (!node->value_symbol) {
    tn_ctx *ctx = kernel->module->ctx;
    const char *name = free_symbol_name(kernel, tn_namef(ctx, "v%u", node->id));
    node->value_symbol = tn_symbol_value(ctx, name, lo, hi, node->id);
  }
  return node->value_symbol;
}

/* Axes. */

typedef struct axes_of {
  const tn_kernel *kernel;
  uint32_t axes;
} axes_of;

static void add_symbol_axes(void *user, const tn_symbol *symbol) {
  axes_of *of = user;
  if (symbol->kind == TN_SYM_AXIS) of->axes |= (uint32_t)1 << symbol->slot;
  if (symbol->kind == TN_SYM_VALUE) of->axes |= of->kernel->nodes.data[symbol->slot]->axes;
}

uint32_t tn_kernel_index_axes(const tn_kernel *kernel, const tn_dim *const *index, uint32_t n) {
  axes_of of = {.kernel = kernel};
  for (uint32_t i = 0; i < n; i++) tn_dim_symbols(index[i], add_symbol_axes, &of);
  return of.axes;
}

uint32_t tn_knode_axes(const tn_kernel *kernel, const tn_knode *node) {
  uint32_t axes = tn_kernel_index_axes(kernel, node->index, node->n_index);
  for (uint32_t i = 0; i < node->n_in; i++) axes |= node->in[i]->axes;
  return axes & ~node->over;
}
