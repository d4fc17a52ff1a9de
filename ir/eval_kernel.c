/* The reference of kernels: evaluates each write at each point of its axes by walking the nodes. A node's value is
 * remembered for each point of the axes it varies over, so shared values and row kernels cost one evaluation. */
#include "ir/eval.h"
#include "ir/kernel.h"

#define MAX_REMEMBERED ((int64_t)1 << 24)

typedef struct memo {
  tn_number *values;
  bool *known;
} memo;

typedef struct kernel_eval {
  const tn_kernel *kernel;
  tn_arena *arena;
  bool exact;
  const int64_t *symbols;
  tn_tensor *const *args;
  int64_t extents[TN_KERNEL_MAX_AXES];
  int64_t at[TN_KERNEL_MAX_AXES]; /* the current point */
  memo *memos;
  bool failed;
} kernel_eval;

static tn_number value_at(kernel_eval *e, const tn_knode *node);

static const tn_knode *node_of_symbol(const tn_kernel *kernel, const tn_symbol *symbol) {
  for (size_t i = 0; i < kernel->nodes.n; i++)
    if (kernel->nodes.data[i]->value_symbol == symbol) return kernel->nodes.data[i];
  return NULL;
}

static bool bind(const void *user, const tn_symbol *symbol, int64_t *out) {
  kernel_eval *e = (kernel_eval *)user; /* looking up a value symbol evaluates its node */
  if (symbol->kind == TN_SYM_AXIS) {
    *out = e->at[symbol->slot];
    return true;
  }
  if (symbol->kind == TN_SYM_VALUE) {
    const tn_knode *node = node_of_symbol(e->kernel, symbol);
    if (node) *out = value_at(e, node).i;
    return node != NULL;
  }
  for (size_t i = 0; i < e->kernel->symbols.n; i++)
    if (e->kernel->symbols.data[i] == symbol) {
      *out = e->symbols[i];
      return true;
    }
  return false;
}

static int64_t dim_at(kernel_eval *e, const tn_dim *dim) {
  int64_t value = 0;
  if (!tn_dim_evaluate(dim, bind, e, &value)) e->failed = true;
  return value;
}

/* The tensor's index from index expressions; false when outside. Coordinates that run-time values choose are clamped.
 */
static bool locate(kernel_eval *e, const tn_knode *node, int64_t *out) {
  const tn_tensor *tensor = e->args[node->arg];
  bool inside = true;
  for (uint32_t i = 0; i < node->n_index; i++) {
    int64_t extent = tensor->extents[i];
    out[i] = dim_at(e, node->index[i]);
    if (tn_dim_uses_kind(node->index[i], TN_SYM_VALUE)) {
      if (out[i] >= extent) out[i] = extent - 1;
      if (out[i] < 0) out[i] = 0;
    }
    inside &= out[i] >= 0 && out[i] < extent;
  }
  return inside;
}

static tn_number read_at(kernel_eval *e, const tn_knode *node) {
  int64_t index[TN_MAX_NDIM];
  tn_number zero = {.i = 0};
  if (locate(e, node, index)) return e->args[node->arg]->data[tn_tensor_ravel(e->args[node->arg], index)];
  if (node->n_in) return value_at(e, node->in[0]);
  e->failed |= e->args[node->arg]->count > 0;
  return zero;
}

static tn_number apply(const kernel_eval *e, tn_scalar scalar, tn_dtype dtype, tn_number a, tn_number b) {
  tn_number args[] = {a, b};
  return tn_scalar_apply(scalar, dtype, dtype, e->exact, args);
}

static tn_scalar scalar_of(tn_fold fold) {
  static const tn_scalar scalars[] = {TN_ADD, TN_MUL, TN_MAX, TN_MIN, TN_AND, TN_OR};
  return scalars[fold];
}

/* Steps to the next point of the axes in `over`, last axis fastest; false after the last. */
static bool advance(kernel_eval *e, uint32_t over) {
  for (uint32_t i = (uint32_t)e->kernel->space.n; i-- > 0;) {
    if (!(over >> i & 1)) continue;
    if (++e->at[i] < e->extents[i]) return true;
    e->at[i] = 0;
  }
  return false;
}

static bool start(kernel_eval *e, uint32_t over) {
  bool any = true;
  for (uint32_t i = 0; i < e->kernel->space.n; i++)
    if (over >> i & 1) {
      e->at[i] = 0;
      any &= e->extents[i] > 0;
    }
  return any;
}

static bool wins(const tn_knode *node, tn_number candidate, tn_number best) {
  tn_dtype dtype = node->in[0]->dtype;
  if (tn_dtype_is_float(dtype)) {
    bool candidate_nan = candidate.f != candidate.f, best_nan = best.f != best.f;
    if (best_nan || candidate_nan) return candidate_nan && (!best_nan || node->last);
    if (candidate.f == best.f) return node->last;
    return node->fold == TN_FOLD_MAX ? candidate.f > best.f : candidate.f < best.f;
  }
  if (candidate.i == best.i) return node->last;
  bool greater = tn_dtype_class_of(dtype) == TN_CLASS_UNSIGNED ? candidate.u > best.u : candidate.i > best.i;
  return greater == (node->fold == TN_FOLD_MAX);
}

static tn_number fold_at(kernel_eval *e, const tn_knode *node) {
  int64_t saved[TN_KERNEL_MAX_AXES];
  for (uint32_t i = 0; i < e->kernel->space.n; i++) saved[i] = e->at[i];
  bool is_contract = node->kind == TN_K_CONTRACT, is_arg = node->kind == TN_K_ARGFOLD, first = true;
  tn_fold fold = is_contract ? TN_FOLD_SUM : node->fold;
  tn_number result = is_arg ? (tn_number){.i = 0} : tn_fold_identity(fold, node->dtype), best = {.i = 0};
  uint32_t axis = is_arg ? (uint32_t)__builtin_ctz(node->over) : 0;
  for (bool go = start(e, node->over); go; go = advance(e, node->over)) {
    tn_number v = value_at(e, node->in[0]);
    if (is_contract) v = apply(e, TN_MUL, node->dtype, v, value_at(e, node->in[1]));
    if (!is_arg) {
      result = apply(e, scalar_of(fold), node->dtype, result, v);
    } else if (first || wins(node, v, best)) {
      best = v;
      result.i = e->at[axis];
    }
    first = false;
  }
  for (uint32_t i = 0; i < e->kernel->space.n; i++) e->at[i] = saved[i];
  return result;
}

/* Sorts the whole axis for each position that is asked for. */
static tn_number argsort_at(kernel_eval *e, const tn_knode *node) {
  uint32_t axis = (uint32_t)__builtin_ctz(node->over);
  int64_t saved = e->at[axis], n = e->extents[axis], position = dim_at(e, node->index[0]);
  tn_number result = {.i = 0};
  if (position < 0 || position >= n) {
    e->failed = true;
    return result;
  }
  tn_arena *scratch = tn_arena_create_scratch(e->arena);
  tn_number *keys = TN_NEW_N(scratch, tn_number, (size_t)n);
  int64_t *order = TN_NEW_N(scratch, int64_t, (size_t)n), *other = TN_NEW_N(scratch, int64_t, (size_t)n);
  for (e->at[axis] = 0; e->at[axis] < n; e->at[axis]++) keys[e->at[axis]] = value_at(e, node->in[0]);
  e->at[axis] = saved;
  tn_sort_positions(order, other, n, keys, 1, node->in[0]->dtype, node->descending);
  result.i = order[position];
  tn_arena_destroy(scratch);
  return result;
}

static tn_number compute(kernel_eval *e, const tn_knode *node) {
  tn_number args[3], index = {.i = 0};
  switch (node->kind) {
    case TN_K_READ: return read_at(e, node);
    case TN_K_CONST: return node->constant;
    case TN_K_INDEX: index.i = dim_at(e, node->index[0]); return index;
    case TN_K_SCALAR:
      for (uint32_t i = 0; i < node->n_in; i++) args[i] = value_at(e, node->in[i]);
      /* select and cast are told the type they work on by their last operand. */
      return tn_scalar_apply(node->scalar, node->in[node->n_in - 1]->dtype, node->dtype, e->exact, args);
    case TN_K_FOLD:
    case TN_K_CONTRACT:
    case TN_K_ARGFOLD: return fold_at(e, node);
    case TN_K_ARGSORT: return argsort_at(e, node);
    case TN_K_WRITE:
    case TN_K_UPDATE: return value_at(e, node->in[0]);
  }
  return index;
}

static int64_t points(const kernel_eval *e, uint32_t axes) {
  int64_t n = 1;
  for (uint32_t i = 0; i < e->kernel->space.n; i++)
    if ((axes >> i & 1) && !tn_mul_i64(n, e->extents[i], &n)) return INT64_MAX;
  return n;
}

static tn_number value_at(kernel_eval *e, const tn_knode *node) {
  memo *m = &e->memos[node->id];
  int64_t flat = 0;
  if (!m->known) return compute(e, node);
  for (uint32_t i = 0; i < e->kernel->space.n; i++)
    if (node->axes >> i & 1) flat = flat * e->extents[i] + e->at[i];
  if (!m->known[flat]) {
    m->values[flat] = compute(e, node);
    m->known[flat] = true;
  }
  return m->values[flat];
}

/* Only what is dear is remembered: folds, and scalars that folds share. */
static void prepare(kernel_eval *e) {
  e->memos = TN_NEW_N(e->arena, memo, e->kernel->nodes.n);
  for (size_t i = 0; i < e->kernel->space.n; i++) e->extents[i] = dim_at(e, e->kernel->space.data[i].extent);
  for (size_t i = 0; i < e->kernel->nodes.n; i++) {
    const tn_knode *node = e->kernel->nodes.data[i];
    int64_t n = points(e, node->axes);
    bool dear = node->kind == TN_K_FOLD || node->kind == TN_K_CONTRACT || node->kind == TN_K_ARGFOLD ||
                node->kind == TN_K_SCALAR;
    if (!dear || n > MAX_REMEMBERED) continue;
    e->memos[i].values = TN_NEW_N(e->arena, tn_number, (size_t)n);
    e->memos[i].known = TN_NEW_N(e->arena, bool, (size_t)n);
  }
}

static void write_all(kernel_eval *e, const tn_knode *node) {
  tn_tensor *tensor = e->args[node->arg];
  uint32_t axes = node->kind == TN_K_UPDATE ? (uint32_t)(((uint64_t)1 << e->kernel->space.n) - 1) : node->axes;
  for (bool go = start(e, axes); go && !e->failed; go = advance(e, axes)) {
    int64_t index[TN_MAX_NDIM];
    if (!locate(e, node, index)) {
      e->failed |= node->kind != TN_K_UPDATE || tensor->count > 0; /* an empty tensor takes no update */
      continue;
    }
    tn_number v = value_at(e, node->in[0]);
    if (node->kind == TN_K_UPDATE && node->scalar != TN_K_SET)
      v = apply(e, node->scalar, tensor->dtype, tensor->data[tn_tensor_ravel(tensor, index)], v);
    if (e->exact && tn_dtype_is_float(tensor->dtype)) v.f = tn_number_round_float(tensor->dtype, v.f);
    tensor->data[tn_tensor_ravel(tensor, index)] = v;
  }
}

bool tn_kernel_eval(const tn_kernel *kernel, tn_arena *arena, bool wide, const int64_t *symbols,
                    struct tn_tensor *const *args) {
  kernel_eval e = {.kernel = kernel, .arena = arena, .exact = !wide, .symbols = symbols, .args = args};
  prepare(&e);
  for (size_t i = 0; i < kernel->nodes.n && !e.failed; i++)
    if (tn_knode_is_write(kernel->nodes.data[i])) write_all(&e, kernel->nodes.data[i]);
  return !e.failed;
}
