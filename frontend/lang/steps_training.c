/* What training needs inside of a scan: random numbers that differ from step to step, and running statistics that all
 * steps move. */
#include <math.h>

#include "frontend/lang/steps.h"
#include "ir/ops/compose.h"
#include "ir/ops/random.h"

/* --- Random numbers --- */

/* u64[length, 3]: the state for each step. Only the seed differs, by a product with an odd number, so that steps of
 * scans inside of scans differ too. */
static tn_value *states_of_steps(tn_build *b, tn_value *state, const tn_dim *length) {
  const tn_dim *dims[] = {length, tn_dim_const(b->ctx, TN_RANDOM_STATE)};
  const int64_t map[] = {1};
  tn_value *all = tn_build_broadcast_map(b, state, dims, 2, map);
  tn_value *step = tn_build_iota(b, dims, 2, 0, TN_U64), *entry = tn_build_iota(b, dims, 2, 1, TN_U64);
  if (!all || !step || !entry) return NULL;
  tn_value *one = tn_compose_repeat(b, tn_build_splat_i(b, TN_U64, 1), all);
  tn_value *factor = tn_compose_repeat(b, tn_build_splat_i(b, TN_U64, (int64_t)0x9fb21c651e98df25), all);
  tn_value *seed = tn_compose_repeat(b, tn_build_splat_i(b, TN_U64, TN_RANDOM_SEED), entry);
  tn_value *mixed = tn_build_binary(b, TN_ADD, all, tn_build_binary(b, TN_ADD, step, one));
  mixed = tn_build_binary(b, TN_MUL, mixed, factor);
  return tn_build_select(b, tn_build_binary(b, TN_EQ, entry, seed), mixed, all);
}

static tn_value *noise_of(tn_sema *s, tn_scan *scan) {
  const tn_dim *three = tn_dim_const(s->ctx, TN_RANDOM_STATE);
  if (!scan) {
    if (!s->training->noise)
      s->training->noise = tn_block_add_param(s->func->body, tn_type_tensor(s->ctx, TN_U64, 1, &three), "noise");
    return s->training->noise;
  }
  if (scan->noise) return scan->noise;
  tn_value *outer = noise_of(s, scan->outer);
  tn_build before = tn_build_before(scan->node);
  tn_value *states = outer ? states_of_steps(&before, outer, scan->x->tensor.axes[scan->axis].extent) : NULL;
  return scan->noise = states ? tn_build_add_sequence(scan->node, states) : NULL;
}

tn_value *tn_training_noise(tn_sema *s) { return noise_of(s, s->scan); }

/* --- Running statistics --- */

tn_value *tn_training_running(tn_sema *s, tn_value *weight) {
  for (size_t i = s->training->running.n; i-- > 0;)
    if (s->training->running.data[i].weight == tn_value_const(weight)) return s->training->running.data[i].next;
  return weight;
}

void tn_training_move(tn_sema *s, tn_const *weight, tn_value *value, double keep) {
  tn_moved row = {weight, value, keep};
  if (s->scan) {
    TN_VEC_PUSH(s->arena, &s->scan->moved, row);
    return;
  }
  tn_value *old = tn_training_running(s, tn_build_const(&s->build, weight));
  old = tn_build_binary_f(&s->build, TN_MUL, old, keep);
  tn_running running = {weight, tn_build_binary(&s->build, TN_ADD, old, value)};
  TN_VEC_PUSH(s->arena, &s->training->running, running);
}

/* The sum over the steps of what each adds, times keep for each step behind it. */
static tn_value *sum_of_steps(tn_sema *s, tn_value *all, int64_t n, double keep) {
  tn_build *b = &s->build;
  const tn_dim *length = tn_dim_const(s->ctx, n);
  float *counts = TN_NEW_N(s->module->arena, float, (size_t)n + 1);
  const int64_t axis[] = {0};
  for (int64_t i = 0; i < n; i++) counts[i] = (float)pow(keep, (double)(n - 1 - i));
  const tn_type *type = tn_type_tensor(s->ctx, TN_F32, 1, &length);
  tn_value *factor = tn_build_const(b, tn_const_data(s->module, "", type, counts));
  factor = tn_build_cast(b, factor, all->type->dtype);
  factor = factor ? tn_build_broadcast_map(b, factor, all->type->dims, all->type->ndim, axis) : NULL;
  return tn_build_reduce(b, "sum", tn_build_binary(b, TN_MUL, all, factor), axis, 1, false);
}

bool tn_scan_finish_moved(const tn_scan *scan, uint32_t first) {
  tn_sema *s = scan->f->sema;
  const tn_dim *length = scan->x->tensor.axes[scan->axis].extent;
  if (scan->moved.n && !tn_dim_is_const(length))
    return tn_frame_error(scan->f, scan->stmt->loc, TN_E_LANG_STATIC, "running statistics inside a scan ask for a "
                          "number of steps that is known");
  for (size_t i = 0; i < scan->moved.n; i++) {
    const tn_moved *row = &scan->moved.data[i];
    int64_t n = tn_dim_value(length);
    tn_value *sum = sum_of_steps(s, scan->node->results[first + i], n, row->keep);
    if (!sum) return false;
    tn_training_move(s, row->weight, sum, pow(row->keep, (double)n));
  }
  return true;
}
