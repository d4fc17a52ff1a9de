/* Rematerialisation: what the forward pass of a training's step leaves for the backward pass is computed again there,
 * instead of being kept, until what is held at once falls to a target (Chen et al., Training deep nets with sublinear
 * memory cost, 2016; which values: by bytes times life over the work, as Kirisame et al., Dynamic tensor
 * rematerialization, 2021, weigh them).
 *
 * The plan is simulated over the groups that the group pass would make: what it keeps in memory is born with its group
 * and dies with the last group that reads it. A value that is dropped dies with its last reader of the forward pass;
 * before its first reader of the backward pass the nodes it comes from are made again, back to parameters and values
 * that are kept for the backward pass anyway. The copies compute what the originals compute, from the same operands and
 * in the same groups (what lay in memory does again), so all kernels are the same and results keep every bit. Runs
 * when the caller wants less memory only (tn_pass_context.remat), behind cse, which would undo it. Marks (a fence that
 * is `body`) tell what the bodies of loops go on from: it is dropped last, or (remat_keeps) alone kept among all that
 * the loops make. */
#include <stdlib.h>

#include "ir/build.h"
#include "passes/groups.h"
#include "passes/passes.h"

#define NEVER UINT32_MAX
#define MAX_CANDIDATES 4000

/* A value that lies in memory. */
typedef struct kept {
  tn_value *value;
  int64_t bytes;
  uint32_t def, forward_last; /* groups: where it is made, and read last by nodes of the forward pass */
  uint32_t backward_first, backward_last; /* read by nodes of the backward pass; NEVER, 0: not */
  double work;                /* of making it again; score */
  bool is_dropped, is_open;   /* is_open: may be dropped */
  bool is_body;               /* the body of a loop goes on from it */
  uint32_t held_to;           /* while simulating: read by copies until this group */
  uint32_t copy_to;           /* the last group that reads its copy */
} kept;

/* A node of the block; node->data points here. */
typedef struct entry {
  tn_node *node;
  uint32_t time;      /* the group it runs in; of a view the first that reads it */
  uint32_t copy_time; /* while simulating: the first group that needs its copy; NEVER: none does */
  uint32_t copy_at;   /* position of the node before which the copy stands */
  double work;
  kept **results;     /* NULL: not in memory */
} entry;

typedef struct demand {
  tn_value *value;
  uint32_t time, at;
} demand;

typedef struct remat {
  tn_pass_context *context;
  tn_block *block;
  tn_arena *scratch;
  tn_groups groups;
  entry *entries;
  uint32_t n, boundary; /* nodes; position of the last one of the forward pass */
  TN_VEC(kept *) values;
  TN_VEC(demand) demands;
  int64_t *held;        /* bytes at each group */
  int64_t target, peak;
  double excess;        /* sum over groups of what is above the target */
} remat;

static entry *entry_of(const tn_node *node) { return node ? node->data : NULL; }

static uint32_t position(const remat *r, const entry *e) { return (uint32_t)(e - r->entries); }

static kept *kept_of(const tn_value *value) {
  entry *e = entry_of(value->def);
  return e && e->results ? e->results[value->def_index] : NULL;
}

/* --- The block as it is --- */

static bool is_absorbed(const tn_node *node) {
  return node->group < 0 && node->n_operands > 0 && tn_node_is_view(node);
}

static int64_t bytes_of(const tn_type *type) {
  int64_t bytes = (int64_t)tn_dtype_bytes(type->dtype);
  for (uint32_t i = 0; i < type->ndim; i++)
    if (type->dims[i]->hi == TN_DIM_INF || !tn_mul_i64(bytes, type->dims[i]->hi, &bytes)) return 0;
  return bytes;
}

/* Operations, roughly: enough to tell a product from a sum. */
static double work_of(const tn_node *node) {
  double work = 0, inner = 0;
  for (uint32_t i = 0; i < node->n_results; i++) work += (double)bytes_of(node->results[i]->type);
  for (uint32_t i = 0; i < node->n_operands; i++)
    if (node->operands[i].value) inner += (double)bytes_of(node->operands[i].value->type);
  switch (tn_node_anchor(node)) {
    case TN_GROUP_CONTRACT: { /* sqrt(a b / out) products an element, of a matrix product exactly */
      double a = (double)bytes_of(node->operands[0].value->type), b = (double)bytes_of(node->operands[1].value->type);
      double ratio = work > 0 ? a * b / work : 0, root = 1;
      while (root * root * 4 < ratio) root *= 2;
      return work * root * 2;
    }
    case TN_GROUP_REGIONS: return 64 * (work + inner);
    default: return is_absorbed(node) ? 0 : work + inner;
  }
}

static void number_nodes(remat *r) {
  for (const tn_node *node = r->block->first; node; node = node->next) r->n++;
  r->entries = TN_NEW_N(r->scratch, entry, r->n);
  uint32_t i = 0;
  for (tn_node *node = r->block->first; node; node = node->next, i++) {
    r->entries[i] = (entry){.node = node, .time = node->group >= 0 ? (uint32_t)node->group : NEVER};
    r->entries[i].work = work_of(node);
    node->data = &r->entries[i];
  }
  r->entries[r->n - 1].time = r->groups.n; /* the end */
  for (i = r->n; i-- > 0;) {
    entry *e = &r->entries[i];
    for (uint32_t k = 0; k < e->node->n_operands; k++) {
      entry *from = e->node->operands[k].value ? entry_of(e->node->operands[k].value->def) : NULL;
      if (from && is_absorbed(from->node) && e->time < from->time) from->time = e->time;
    }
  }
}

/* The value whose memory an operand reads, looking through views of the forward pass (all: through any). */
static tn_value *base_of(const remat *r, tn_value *value, bool all) {
  while (value->def && is_absorbed(value->def) && (all || position(r, entry_of(value->def)) <= r->boundary))
    value = value->def->operands[0].value;
  return value;
}

/* Lives. A reader of the backward pass may get a copy where it stands behind the boundary. */
static void note_read(remat *r, const entry *reader, tn_value *value) {
  kept *k = kept_of(base_of(r, value, false));
  if (!k) return;
  uint32_t time = reader->time == NEVER ? 0 : reader->time;
  bool is_end = reader->node->op == &tn_op_return;
  if (is_end) k->is_open = false;
  if (position(r, reader) <= r->boundary || is_end) {
    if (!is_absorbed(reader->node) && time > k->forward_last) k->forward_last = time;
    return;
  }
  if (time < k->backward_first) k->backward_first = time;
  if (time > k->backward_last) k->backward_last = time;
}

/* A view is read until its last reader. */
static void spread_reads(remat *r) {
  for (uint32_t i = 0; i < r->n; i++) {
    const entry *e = &r->entries[i];
    if (is_absorbed(e->node) && i <= r->boundary) continue;
    for (uint32_t k = 0; k < e->node->n_operands; k++) {
      tn_value *value = e->node->operands[k].value;
      if (!value) continue;
      note_read(r, e, value);
      kept *through = kept_of(base_of(r, value, true)); /* by views behind the boundary */
      if (through && i > r->boundary && e->time != NEVER && e->time > through->backward_last &&
          through->backward_first != NEVER)
        through->backward_last = e->time;
    }
  }
}

static void find_kept(remat *r) {
  for (uint32_t g = 0; g < r->groups.n; g++)
    for (uint32_t i = 0; i < r->groups.groups[g].n_kept; i++) {
      tn_value *value = r->groups.groups[g].kept[i];
      entry *e = entry_of(value->def);
      kept *k = TN_NEW(r->scratch, kept);
      *k = (kept){.value = value, .bytes = bytes_of(value->type), .def = g, .forward_last = g, .backward_first = NEVER};
      k->is_open = position(r, e) <= r->boundary && k->bytes > 0;
      if (!e->results) e->results = TN_NEW_N(r->scratch, kept *, value->def->n_results);
      e->results[value->def_index] = k;
      TN_VEC_PUSH(r->scratch, &r->values, k);
    }
  spread_reads(r);
  const tn_node *last = r->block->last;
  for (uint32_t i = 0; i < last->n_operands; i++) { /* results lie in the caller's memory */
    kept *k = kept_of(last->operands[i].value);
    if (k) k->bytes = 0;
  }
}

/* --- What dropping asks for --- */

static bool can_copy(const tn_node *node) {
  return (node->op->traits & TN_TRAIT_EFFECT) == 0 && node->op != &tn_op_dim_read;
}

static void ask(remat *r, tn_value *value, uint32_t time, uint32_t at) {
  demand d = {value, time, at};
  if (value && value->def) TN_VEC_PUSH(r->scratch, &r->demands, d);
}

/* Values that the copies of the backward pass need: copies themselves, or kept longer. False: one cannot be made. */
static bool serve_demands(remat *r) {
  while (r->demands.n > 0) {
    demand d = r->demands.data[--r->demands.n];
    entry *e = entry_of(d.value->def);
    kept *k = kept_of(d.value);
    if (e->node->op == &tn_op_const) continue;
    bool is_body = k && k->is_body && r->context->remat_keeps; /* kept for copies alone, too */
    bool stays = k && !k->is_dropped && (is_body || k->backward_first != NEVER || position(r, e) > r->boundary);
    if (stays) {
      if (d.time > k->held_to) k->held_to = d.time;
      continue;
    }
    if (!can_copy(e->node)) return false;
    if (k && d.time > k->copy_to) k->copy_to = d.time;
    if (e->copy_time <= d.time && e->copy_at <= d.at) continue;
    if (d.time < e->copy_time) e->copy_time = d.time;
    if (d.at < e->copy_at) e->copy_at = d.at;
    for (uint32_t i = 0; i < e->node->n_operands; i++)
      ask(r, e->node->operands[i].value, e->copy_time, e->copy_at);
  }
  return true;
}

/* Whether a node of the backward pass reads the memory of a dropped value. */
static bool is_redirected(const remat *r, const entry *reader, tn_value *value) {
  if (!value || position(r, reader) <= r->boundary || reader->node->op == &tn_op_return) return false;
  const kept *k = kept_of(base_of(r, value, false));
  return k && k->is_dropped;
}

static bool find_copies(remat *r) {
  for (uint32_t i = 0; i < r->n; i++) r->entries[i].copy_time = r->entries[i].copy_at = NEVER;
  for (size_t i = 0; i < r->values.n; i++) r->values.data[i]->held_to = r->values.data[i]->copy_to = 0;
  r->demands.n = 0;
  for (uint32_t i = r->boundary + 1; i < r->n; i++) {
    const entry *e = &r->entries[i];
    for (uint32_t k = 0; k < e->node->n_operands; k++)
      if (is_redirected(r, e, e->node->operands[k].value)) ask(r, e->node->operands[k].value, e->time, i);
  }
  return serve_demands(r);
}

/* --- The simulated plan --- */

static void hold(remat *r, int64_t bytes, uint32_t first, uint32_t last) {
  r->held[first] += bytes;
  r->held[(last < r->groups.n ? last : r->groups.n) + 1] -= bytes;
}

static uint32_t latest(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* False: what is dropped cannot be made again. */
static bool simulate(remat *r) {
  if (!find_copies(r)) return false;
  for (uint32_t g = 0; g <= r->groups.n + 1; g++) r->held[g] = 0;
  for (size_t i = 0; i < r->values.n; i++) {
    const kept *k = r->values.data[i];
    uint32_t copied = entry_of(k->value->def)->copy_time, last = k->forward_last;
    if (!k->is_dropped) last = latest(latest(last, k->backward_last), k->held_to);
    hold(r, k->bytes, k->def, last);
    if (copied == NEVER) continue;
    last = latest(copied, k->copy_to);
    hold(r, k->bytes, copied, k->is_dropped ? latest(last, k->backward_last) : last);
  }
  int64_t now = 0;
  r->peak = 0;
  r->excess = 0;
  for (uint32_t g = 0; g <= r->groups.n; g++) {
    now += r->held[g];
    if (now > r->peak) r->peak = now;
    if (now > r->target) r->excess += (double)(now - r->target);
  }
  return true;
}

/* --- The choice --- */

/* What the bodies of loops go on from is dropped last. */
static int by_score(const void *x, const void *y) {
  const kept *a = *(kept *const *)x, *b = *(kept *const *)y;
  if (a->is_body != b->is_body) return a->is_body ? 1 : -1;
  double p = (double)a->bytes * (double)(a->backward_first - a->forward_last) * (b->work + 1);
  double q = (double)b->bytes * (double)(b->backward_first - b->forward_last) * (a->work + 1);
  return p != q ? (p > q ? -1 : 1) : a->def != b->def ? (a->def < b->def ? -1 : 1) : 0;
}

/* What may be dropped, the best first, with the work of making each again alone. */
static size_t find_candidates(remat *r, kept **out) {
  size_t n = 0;
  for (size_t i = 0; i < r->values.n; i++) {
    kept *k = r->values.data[i];
    if (!k->is_open || k->bytes == 0 || k->backward_first == NEVER || k->backward_first <= k->forward_last) continue;
    k->is_dropped = true;
    bool ok = find_copies(r);
    k->is_dropped = false;
    for (uint32_t j = 0; j < r->n && ok; j++)
      if (r->entries[j].copy_time != NEVER) k->work += r->entries[j].work;
    if (ok) out[n++] = k;
  }
  if (n > 0) qsort(out, n, sizeof(*out), by_score);
  return n < MAX_CANDIDATES ? n : MAX_CANDIDATES;
}

/* Drops what lowers the excess over the target, as long as there is some. True when anything was dropped. */
static bool drop_for_target(remat *r, kept **candidates, size_t n) {
  bool any = false;
  simulate(r);
  for (size_t i = 0; i < n && r->excess > 0; i++) {
    double before = r->excess;
    if (candidates[i]->is_dropped) continue;
    candidates[i]->is_dropped = true;
    if (simulate(r) && r->excess < before) {
      any = true;
      continue;
    }
    candidates[i]->is_dropped = false;
    simulate(r);
  }
  return any;
}

/* The target comes down in steps, so that work is spent where the most is held. */
static bool choose(remat *r, int64_t wanted) {
  kept **candidates = TN_NEW_N(r->scratch, kept *, r->values.n);
  size_t n = find_candidates(r, candidates);
  bool any = false;
  r->target = INT64_MAX;
  if (n == 0 || !simulate(r)) return false;
  for (int64_t best = r->peak; best > wanted;) {
    r->target = best - best / 16 > wanted ? best - best / 16 : wanted;
    any |= drop_for_target(r, candidates, n);
    if (r->peak >= best) break;
    best = r->peak;
  }
  return any;
}

/* All that is made behind the first mark and read before the last one, but what is marked. */
static bool choose_between(remat *r) {
  kept **candidates = TN_NEW_N(r->scratch, kept *, r->values.n);
  uint32_t first = NEVER, last = 0;
  for (size_t i = 0; i < r->values.n; i++) {
    const kept *k = r->values.data[i];
    uint32_t at = position(r, entry_of(k->value->def));
    if (k->is_body && at < first) first = at;
    if (k->is_body && at > last) last = at;
  }
  size_t n = find_candidates(r, candidates);
  bool any = false;
  for (size_t i = 0; i < n; i++) {
    uint32_t at = position(r, entry_of(candidates[i]->value->def));
    candidates[i]->is_dropped = !candidates[i]->is_body && at > first && at < last;
    any |= candidates[i]->is_dropped;
  }
  return any && find_copies(r);
}

/* --- The change --- */

static bool make_copies(remat *r, tn_map *copies) {
  for (uint32_t i = 0; i < r->n; i++) {
    const entry *e = &r->entries[i];
    if (e->copy_time == NEVER) continue;
    tn_build b = tn_build_before(r->entries[e->copy_at].node);
    if (!tn_build_clone_node(&b, e->node, copies)) return false;
    const tn_value *copy = tn_map_get(copies, e->node->results[0]);
    copy->def->is_kept = e->results != NULL;
  }
  return true;
}

static bool apply(remat *r) {
  tn_map copies = tn_map_create(r->scratch);
  if (!simulate(r) || !make_copies(r, &copies)) return false;
  for (uint32_t i = r->boundary + 1; i < r->n; i++) {
    const entry *e = &r->entries[i];
    for (uint32_t k = 0; k < e->node->n_operands; k++) {
      tn_value *value = e->node->operands[k].value;
      tn_value *copy = is_redirected(r, e, value) ? tn_map_get(&copies, value) : NULL;
      if (copy) tn_node_set_operand(e->node, k, copy);
    }
  }
  return true;
}

/* Marks go; marked: what they stood behind. */
static void take_marks(tn_block *block, tn_map *marked) {
  for (tn_node *node = block->first, *next; node; node = next) {
    next = node->next;
    if (node->op != &tn_op_fence || !node->attrs[0].present || node->attrs[0].u.i == 0) continue;
    for (uint32_t i = 0; i < node->n_results; i++) {
      tn_map_set(marked, node->operands[i].value, node->operands[i].value);
      tn_value_replace(node->results[i], node->operands[i].value);
    }
    tn_node_remove(node);
  }
}

static void find_bodies(const remat *r, const tn_map *marked) {
  for (uint32_t i = 0; i < r->n; i++)
    for (uint32_t k = 0; k < r->entries[i].node->n_results; k++) {
      tn_value *value = r->entries[i].node->results[k];
      kept *of = tn_map_has(marked, value) ? kept_of(base_of(r, value, true)) : NULL;
      if (of) of->is_body = true;
    }
}

static void forget_groups(tn_block *block) {
  for (tn_node *node = block->first; node; node = node->next) {
    node->group = -1;
    node->data = NULL;
    for (uint32_t i = 0; i < node->n_regions; i++) forget_groups(node->regions[i]);
  }
}

bool tn_pass_remat(tn_pass_context *context) {
  remat r = {.context = context, .block = context->entry->body,
             .scratch = tn_arena_create_scratch(context->ctx->arena)};
  tn_map marked = tn_map_create(r.scratch);
  take_marks(r.block, &marked);
  if (!context->remat) return tn_arena_destroy(r.scratch), true;
  bool ok = tn_pass_group(context);
  r.groups = tn_groups_of(r.block, r.scratch);
  r.held = TN_NEW_N(r.scratch, int64_t, (size_t)r.groups.n + 2);
  number_nodes(&r);
  const tn_value *loss = base_of(&r, r.block->last->operands[0].value, true);
  r.boundary = loss->def ? position(&r, entry_of(loss->def)) : 0;
  find_kept(&r);
  find_bodies(&r, &marked);
  bool any = ok && loss->def;
  if (any) any = context->remat_keeps ? choose_between(&r) : choose(&r, (int64_t)context->remat_target);
  if (any) ok = apply(&r);
  forget_groups(r.block);
  tn_dce_block(r.block);
  tn_arena_destroy(r.scratch);
  return ok;
}
