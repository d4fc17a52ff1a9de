/* Folds: loops of one thread, or of a team whose threads take turns over the positions and combine what they have. */
#include <string.h>

#include "backends/cuda/cuda.h"

#define MAX_SIBLINGS 16

/* Folds over the same axes that share one loop. */
typedef struct group {
  const tn_knode *folds[MAX_SIBLINGS];
  const char *sum[MAX_SIBLINGS];   /* the accumulator; of an argfold the best value */
  const char *place[MAX_SIBLINGS]; /* argfold: position of the best, -1 before the first */
  uint32_t n;
} group;

static bool is_bound(const tn_cuda_gen *gen, const tn_knode *node) { return (node->axes & ~gen->bound) == 0; }

static void mark_needed(const tn_cuda_gen *gen, const tn_knode *node, bool *needed);

static void mark_index(const tn_cuda_gen *gen, const tn_dim *index, bool *needed) {
  if (!tn_dim_uses_kind(index, TN_SYM_VALUE)) return;
  for (size_t i = 0; i < gen->kernel->nodes.n; i++) {
    const tn_knode *node = gen->kernel->nodes.data[i];
    if (node->value_symbol != NULL && tn_dim_uses(index, node->value_symbol)) mark_needed(gen, node, needed);
  }
}

static void mark_needed(const tn_cuda_gen *gen, const tn_knode *node, bool *needed) {
  if (needed[node->id]) return;
  needed[node->id] = true;
  if (tn_cuda_recall(gen, node) != NULL) return;
  for (uint32_t i = 0; i < node->n_in; i++) mark_needed(gen, node->in[i], needed);
  for (uint32_t i = 0; i < node->n_index; i++) mark_index(gen, node->index[i], needed);
}

/* --- Accumulators --- */

static tn_dtype sum_type(const tn_knode *fold) {
  return tn_cuda_compute_type(fold->kind == TN_K_ARGFOLD ? fold->in[0]->dtype : fold->dtype);
}

static tn_fold fold_of(const tn_knode *fold) { return fold->kind == TN_K_CONTRACT ? TN_FOLD_SUM : fold->fold; }

static void start(tn_cuda_gen *gen, group *g) {
  for (uint32_t i = 0; i < g->n; i++) {
    tn_dtype type = sum_type(g->folds[i]);
    tn_number identity = tn_fold_identity(fold_of(g->folds[i]), type);
    g->sum[i] = tn_cuda_name(gen, 'f');
    tn_cuda_line(gen, "%s %s = %s;", tn_cuda_type_of(type)->compute, g->sum[i],
                 tn_cuda_number(gen->arena, type, identity));
    if (g->folds[i]->kind != TN_K_ARGFOLD) continue;
    g->place[i] = tn_cuda_name(gen, 'f');
    tn_cuda_line(gen, "long long %s = -1;", g->place[i]);
  }
}

static void combine(tn_cuda_gen *gen, const tn_knode *fold, const char *sum, const char *v) {
  tn_dtype type = sum_type(fold);
  const char *in[] = {sum, v};
  tn_cuda_line(gen, "%s = %s;", sum,
               tn_cuda_scalar(gen->arena, tn_cuda_fold_scalar(fold_of(fold)), type, type, in));
}

/* A NaN wins over all else; ties go to the lowest position, or to the highest when asked. */
static void keep_winner(tn_cuda_gen *gen, const tn_knode *fold, const char *sum, const char *place, const char *v,
                        const char *at) {
  const char *better = fold->fold == TN_FOLD_MAX ? ">" : "<", *nearer = fold->last ? ">" : "<";
  bool is_float = tn_dtype_is_float(fold->in[0]->dtype);
  tn_buf wins = tn_buf_create(gen->arena);
  tn_buf_printf(&wins, "%s >= 0 && (%s < 0 || %s %s %s || (%s == %s && %s %s %s)", at, place, v, better, sum, v, sum,
                at, nearer, place);
  if (is_float)
    tn_buf_printf(&wins, " || (%s != %s && (%s == %s || %s %s %s))", v, v, sum, sum, at, nearer, place);
  tn_cuda_line(gen, "if (%s)) %s = %s, %s = %s;", wins.data, sum, v, place, at);
}

/* The fold's operand in the accumulator's type, as a name or a literal. */
static const char *operand(tn_cuda_gen *gen, const tn_knode *node, tn_dtype type) {
  const char *value = tn_cuda_value(gen, node);
  const char *v = tn_cuda_cast(gen->arena, tn_cuda_compute_type(node->dtype), type, false, value);
  if (v == value) return v;
  const char *name = tn_cuda_name(gen, 'v');
  tn_cuda_line(gen, "const %s %s = %s;", tn_cuda_type_of(type)->compute, name, v);
  return name;
}

static const char *position_over(const tn_cuda_gen *gen, const tn_knode *fold) {
  for (uint32_t i = 0; i < gen->kernel->space.n; i++)
    if (fold->over >> i & 1) return tn_arena_printf(gen->arena, "(long long)%s", gen->position[i]);
  return "0ll";
}

static void accumulate(tn_cuda_gen *gen, const group *g, uint32_t i) {
  const tn_knode *fold = g->folds[i];
  tn_dtype type = sum_type(fold);
  const char *v[2] = {NULL};
  for (uint32_t k = 0; k < fold->n_in; k++) v[k] = operand(gen, fold->in[k], type);
  if (fold->kind == TN_K_ARGFOLD) {
    keep_winner(gen, fold, g->sum[i], g->place[i], v[0], position_over(gen, fold));
  } else if (fold->kind == TN_K_CONTRACT) {
    const char *in[] = {v[0], v[1], g->sum[i]};
    tn_cuda_line(gen, "%s = %s;", g->sum[i], tn_cuda_multiply_add(gen->arena, type, in));
  } else {
    combine(gen, fold, g->sum[i], v[0]);
  }
}

/* --- Among the threads of a team --- */

static void shuffle(tn_cuda_gen *gen, const group *g, uint32_t i) {
  const tn_knode *fold = g->folds[i];
  const char *type = tn_cuda_type_of(sum_type(fold))->compute, *other = tn_cuda_name(gen, 'o');
  tn_cuda_line(gen, "const %s %s = tn_shuffle_%s(%s, distance);", type, other,
               tn_cuda_type_of(sum_type(fold))->suffix, g->sum[i]);
  if (fold->kind != TN_K_ARGFOLD) {
    combine(gen, fold, g->sum[i], other);
    return;
  }
  const char *place = tn_cuda_name(gen, 'o');
  tn_cuda_line(gen, "const long long %s = tn_shuffle_i64(%s, distance);", place, g->place[i]);
  keep_winner(gen, fold, g->sum[i], g->place[i], other, place);
}

/* Each warp leaves its value in shared memory; then every thread combines them in the same order. */
static void across_warps(tn_cuda_gen *gen, const group *g) {
  const char *all[MAX_SIBLINGS], *places[MAX_SIBLINGS];
  uint32_t n_warps = TN_CUDA_BLOCK / TN_CUDA_WARP;
  for (uint32_t i = 0; i < g->n; i++) {
    all[i] = tn_cuda_name(gen, 'w');
    places[i] = tn_cuda_name(gen, 'w');
    tn_cuda_line(gen, "__shared__ %s %s[%u];", tn_cuda_type_of(sum_type(g->folds[i]))->compute, all[i], n_warps);
    if (g->place[i] != NULL) tn_cuda_line(gen, "__shared__ long long %s[%u];", places[i], n_warps);
  }
  tn_cuda_open(gen, "if (lane %% %d == 0)", TN_CUDA_WARP);
  for (uint32_t i = 0; i < g->n; i++) {
    tn_cuda_line(gen, "%s[lane / %d] = %s;", all[i], TN_CUDA_WARP, g->sum[i]);
    if (g->place[i] != NULL) tn_cuda_line(gen, "%s[lane / %d] = %s;", places[i], TN_CUDA_WARP, g->place[i]);
  }
  tn_cuda_close(gen);
  tn_cuda_line(gen, "__syncthreads();");
  for (uint32_t i = 0; i < g->n; i++) {
    tn_cuda_line(gen, "%s = %s[0];", g->sum[i], all[i]);
    if (g->place[i] != NULL) tn_cuda_line(gen, "%s = %s[0];", g->place[i], places[i]);
  }
  tn_cuda_open(gen, "for (int warp = 1; warp < %u; warp++)", n_warps);
  for (uint32_t i = 0; i < g->n; i++) {
    const char *v = tn_arena_printf(gen->arena, "%s[warp]", all[i]);
    if (g->place[i] == NULL) combine(gen, g->folds[i], g->sum[i], v);
    else keep_winner(gen, g->folds[i], g->sum[i], g->place[i], v, tn_arena_printf(gen->arena, "%s[warp]", places[i]));
  }
  tn_cuda_close(gen);
}

static void combine_team(tn_cuda_gen *gen, const group *g) {
  tn_cuda_open(gen, "for (int distance = %d; distance > 0; distance /= 2)", TN_CUDA_WARP / 2);
  for (uint32_t i = 0; i < g->n; i++) shuffle(gen, g, i);
  tn_cuda_close(gen);
  if (gen->plan->team > TN_CUDA_WARP) across_warps(gen, g);
}

/* --- Loops --- */

typedef struct bindings {
  const char *position[TN_KERNEL_MAX_AXES];
  uint32_t bound;
  bool is_shared;
} bindings;

static bindings save(const tn_cuda_gen *gen) {
  bindings b = {.bound = gen->bound, .is_shared = gen->is_shared};
  memcpy(b.position, gen->position, sizeof(b.position));
  return b;
}

static void restore(tn_cuda_gen *gen, const bindings *b) {
  gen->bound = b->bound;
  gen->is_shared = b->is_shared;
  memcpy(gen->position, b->position, sizeof(b->position));
}

static tn_cuda_axes list(const tn_cuda_gen *gen, uint32_t mask) {
  tn_cuda_axes axes = {0};
  for (uint32_t i = 0; i < gen->kernel->space.n; i++)
    if (mask >> i & 1) axes.at[axes.n++] = (uint8_t)i;
  return axes;
}

/* One loop over all positions, of which each thread of the team takes every team-th. */
static void open_shared(tn_cuda_gen *gen, const tn_cuda_axes *axes, const tn_knode *const *goals, uint32_t n) {
  const char *count = tn_cuda_index(gen, tn_cuda_extent_product(gen->ctx, gen->kernel, axes));
  const char *flat = tn_cuda_name(gen, 'i');
  tn_cuda_open(gen, "for (%s %s = lane; %s < %s; %s += %u)", tn_cuda_index_type(gen->plan), flat, flat, count, flat,
               gen->plan->team);
  tn_cuda_push(gen, TN_NEW(gen->arena, tn_cuda_scope));
  tn_cuda_unflatten(gen, axes, flat);
  gen->is_shared = false;
  tn_cuda_prepare(gen, goals, n);
}

static void open_alone(tn_cuda_gen *gen, const tn_cuda_axes *axes, const tn_knode *const *goals, uint32_t n) {
  for (uint32_t i = 0; i < axes->n; i++) {
    const char *position = tn_cuda_name(gen, 'i');
    tn_cuda_open(gen, "for (%s %s = 0; %s < %s; %s++)", tn_cuda_index_type(gen->plan), position, position,
                 tn_cuda_index(gen, gen->kernel->space.data[axes->at[i]].extent), position);
    tn_cuda_push(gen, TN_NEW(gen->arena, tn_cuda_scope));
    tn_cuda_bind(gen, axes->at[i], position);
    tn_cuda_prepare(gen, goals, n);
  }
}

void tn_cuda_walk(tn_cuda_gen *gen, uint32_t over, const tn_knode *const *goals, uint32_t n,
                  void (*body)(tn_cuda_gen *gen, void *user), void *user) {
  bindings saved = save(gen);
  tn_cuda_axes axes = list(gen, over);
  bool is_shared = gen->is_shared && axes.n > 0;
  tn_cuda_prepare(gen, goals, n);
  if (is_shared) open_shared(gen, &axes, goals, n);
  else open_alone(gen, &axes, goals, n);
  body(gen, user);
  for (uint32_t i = 0; i < (is_shared ? 1 : axes.n); i++) {
    tn_cuda_close(gen);
    tn_cuda_pop(gen);
  }
  restore(gen, &saved);
}

static void accumulate_all(tn_cuda_gen *gen, void *user) {
  for (uint32_t i = 0; i < ((group *)user)->n; i++) accumulate(gen, user, i);
}

static void make_group(tn_cuda_gen *gen, group *g) {
  const tn_knode *goals[2 * MAX_SIBLINGS];
  uint32_t n = 0, over = g->folds[0]->over;
  for (uint32_t i = 0; i < g->n; i++)
    for (uint32_t k = 0; k < g->folds[i]->n_in; k++) goals[n++] = g->folds[i]->in[k];
  start(gen, g);
  tn_cuda_walk(gen, over, goals, n, accumulate_all, g);
  if (gen->is_shared && over != 0) combine_team(gen, g);
  for (uint32_t i = 0; i < g->n; i++) {
    const char *name = g->sum[i];
    if (g->place[i] != NULL) { /* of no element: position 0 */
      name = tn_cuda_name(gen, 'v');
      tn_cuda_line(gen, "const long long %s = %s < 0 ? 0 : %s;", name, g->place[i], g->place[i]);
    }
    tn_cuda_remember(gen, g->folds[i], name);
  }
}

/* True when node needs a fold that is not made yet. */
static bool waits(const tn_cuda_gen *gen, const tn_knode *node) {
  bool *needed = TN_NEW_N(gen->arena, bool, gen->kernel->nodes.n);
  for (uint32_t i = 0; i < node->n_in; i++) mark_needed(gen, node->in[i], needed);
  for (size_t i = 0; i < gen->kernel->nodes.n; i++) {
    const tn_knode *other = gen->kernel->nodes.data[i];
    if (needed[i] && tn_cuda_is_fold(other) && is_bound(gen, other) && tn_cuda_recall(gen, other) == NULL) return true;
  }
  return false;
}

/* Folds over the same axes that wait for nothing share the loop of the first. */
static void add_siblings(const tn_cuda_gen *gen, group *g, const bool *needed) {
  const tn_knode *first = g->folds[0];
  for (size_t i = first->id + 1; i < gen->kernel->nodes.n && g->n < MAX_SIBLINGS; i++) {
    const tn_knode *node = gen->kernel->nodes.data[i];
    bool fits = needed[i] && tn_cuda_is_fold(node) && node->over == first->over && is_bound(gen, node);
    if (fits && tn_cuda_recall(gen, node) == NULL && !waits(gen, node)) g->folds[g->n++] = node;
  }
}

void tn_cuda_prepare(tn_cuda_gen *gen, const tn_knode *const *goals, uint32_t n) {
  bool *needed = TN_NEW_N(gen->arena, bool, gen->kernel->nodes.n);
  for (uint32_t i = 0; i < n; i++) mark_needed(gen, goals[i], needed);
  for (size_t i = 0; i < gen->kernel->nodes.n; i++) {
    const tn_knode *node = gen->kernel->nodes.data[i];
    if (!needed[i] || !is_bound(gen, node) || tn_cuda_recall(gen, node) != NULL) continue;
    if (tn_cuda_is_fold(node)) {
      group g = {.folds = {node}, .n = 1};
      add_siblings(gen, &g, needed);
      make_group(gen, &g);
    } else if (node->kind != TN_K_CONST && node->kind != TN_K_WRITE) {
      tn_cuda_value(gen, node);
    }
  }
}
