/* What a plan keeps in scratch between passes over a row or tiles of rows, and how constants are packed. */
#include "backends/cpu/plan.h"

/* --- Constants that can be packed --- */

bool tn_plan_is_packable(const tn_nest *nest, const tn_access *access) {
  const tn_karg *arg = &nest->kernel->args.data[access->node->arg];
  if (!arg->constant || access->n_bounds || access->nonlinear || access->node->kind != TN_K_READ) return false;
  if (!tn_type_is_static(arg->type)) return false;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++)
    if (node_at(nest, i)->kind == TN_K_READ && node_at(nest, i) != access->node &&
        node_at(nest, i)->arg == access->node->arg)
      return false;
  const tn_dim *rest = access->address;
  for (uint32_t i = 0; i < nest->n_axes; i++) {
    if (!has_axis(access->axes, i)) continue;
    if (nest->axes[i].count < 0 || tn_access_stride(access, i) == INT64_MIN) return false;
    rest = tn_dim_substitute(nest->ctx, rest, nest->axes[i].symbol, tn_dim_const(nest->ctx, 0));
  }
  return tn_dim_is(rest, 0);
}

const tn_access *tn_plan_operand(const tn_nest *nest, const tn_knode *node) {
  for (;;) {
    if (node->kind == TN_K_READ) return nest->accesses[node->id];
    if (node->kind != TN_K_SCALAR) return NULL;
    const tn_knode *next = NULL;
    for (uint32_t i = 0; i < node->n_in; i++)
      if (!next || nest->node_axes[node->in[i]->id] & ~nest->node_axes[next->id]) next = node->in[i];
    node = next;
  }
}

/* --- Values kept in scratch --- */

static bool is_costly(const tn_knode *node) {
  if (node->kind == TN_K_CONTRACT || node->kind == TN_K_FOLD || node->kind == TN_K_ARGFOLD) return true;
  return node->kind == TN_K_SCALAR && node->scalar >= TN_EXP && node->scalar <= TN_POW;
}

/* Counts, for each node over row axes, the passes over the row that evaluate it. */
static void count_passes(const tn_nest *nest, const tn_knode *node, uint32_t rows, uint32_t pass, uint32_t *last,
                         uint32_t *count) {
  if (last[node->id] == pass + 1) return;
  last[node->id] = pass + 1;
  count[node->id]++;
  if (nest->node_over[node->id] & rows) return; /* a pass of its own */
  for (uint32_t i = 0; i < node->n_in; i++) count_passes(nest, node->in[i], rows, pass, last, count);
}

/* Of one panel: its vectors for all positions of the sum. */
static int64_t staged_elements(const tn_plan *plan) {
  int64_t elements = (int64_t)plan->tile[plan->vector] * plan->lanes;
  for (uint32_t i = 0; i < plan->n_fold_order; i++)
    if (has_axis(plan->nest->node_axes[plan->staged], plan->fold_order[i]))
      elements *= plan->nest->axes[plan->fold_order[i]].count;
  return elements;
}

void tn_plan_keep(tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  size_t n = nest->kernel->nodes.n;
  uint32_t rows = 0, *last = TN_NEW_N(nest->arena, uint32_t, n), *count = TN_NEW_N(nest->arena, uint32_t, n);
  plan->keep = TN_NEW_N(nest->arena, bool, n);
  plan->keep_offset = TN_NEW_N(nest->arena, int64_t, n);
  plan->scratch_row = plan->scratch_elements = tn_dim_const(nest->ctx, 0);
  for (uint32_t i = 0; i < nest->n_axes; i++)
    if (nest->axes[i].is_live && nest->axes[i].kind == TN_AXIS_ROW) rows |= 1u << i;
  if (plan->staged >= 0) plan->scratch_elements = tn_dim_const(nest->ctx, staged_elements(plan));
  if (!rows) return;
  for (uint32_t i = 0; i < n; i++) {
    const tn_knode *node = node_at(nest, i);
    if (tn_knode_is_write(node) || (nest->node_over[i] & rows))
      for (uint32_t k = 0; k < node->n_in; k++) count_passes(nest, node->in[k], rows, i, last, count);
  }
  int64_t instances = 1;
  for (uint32_t i = 0; i < plan->n_order; i++) instances *= plan->tile[plan->order[i]];
  const tn_dim *row = tn_dim_const(nest->ctx, 1);
  for (uint32_t i = 0; i < nest->n_axes; i++)
    if (has_axis(rows, i)) row = tn_dim_mul(nest->ctx, row, nest->axes[i].extent);
  /* the last vector of a row may begin at its last element: what is stored of it lies behind */
  row = tn_dim_add_i(nest->ctx, row, (int64_t)plan->lanes - 1);
  row = tn_dim_mul_i(nest->ctx, tn_dim_ceildiv(nest->ctx, row, 16), 16);
  bool by_lane = plan->vector >= 0 && !has_axis(rows, (uint32_t)plan->vector);
  plan->scratch_row = tn_dim_mul_i(nest->ctx, row, by_lane ? plan->lanes : 1);
  for (uint32_t i = 0; i < n; i++) {
    const tn_knode *node = node_at(nest, i);
    if (count[i] < 2 || !(nest->node_axes[i] & rows) || !is_costly(node)) continue;
    if (tn_nest_compute_type(node->dtype) != TN_F32) continue;
    plan->keep[i] = true;
    plan->keep_offset[i] = instances * plan->kept++;
  }
  plan->scratch_elements = tn_dim_mul_i(nest->ctx, plan->scratch_row, instances * plan->kept);
}

/* --- Packing --- */

/* Batch runs outermost, then the panels of the vector axis, then the fold axes in loop order. */
static void pack_access(tn_plan *plan, tn_access *access) {
  tn_nest *nest = plan->nest;
  uint32_t v = (uint32_t)plan->vector, axes[TN_KERNEL_MAX_AXES], n = 0;
  for (uint32_t i = 0; i < plan->n_order; i++)
    if (plan->order[i] != v && has_axis(access->axes, plan->order[i])) axes[n++] = plan->order[i];
  axes[n++] = v;
  for (uint32_t i = 0; i < plan->n_fold_order; i++)
    if (plan->fold_order[i] != v && has_axis(access->axes, plan->fold_order[i])) axes[n++] = plan->fold_order[i];
  tn_panel panel = {.width = (int64_t)plan->tile[v] * plan->lanes, .n_runs = n};
  if (n > TN_PANEL_MAX_RUNS) return;
  int64_t inner = panel.width;
  const tn_dim *address = tn_dim_const(nest->ctx, 0);
  for (uint32_t i = n; i-- > 0;) {
    int64_t count = nest->axes[axes[i]].count;
    panel.runs[i].count = count;
    panel.runs[i].stride = tn_access_stride(access, axes[i]);
    if (axes[i] == v) panel.vector_run = i;
    /* Positions of the vector axis are multiples of the width, so that one stands for inner / width elements. */
    int64_t step = axes[i] == v ? inner / panel.width : inner;
    address = tn_dim_add(nest->ctx, address,
                         tn_dim_mul_i(nest->ctx, tn_dim_symbol(nest->ctx, nest->axes[axes[i]].symbol), step));
    inner *= axes[i] == v ? ceil_div(count, panel.width) : count;
  }
  if (tn_panel_elements(&panel) < 0) return;
  plan->formats[access->node->arg] = tn_panel_format(nest->arena, &panel);
  access->address = address;
  access->is_packed = true;
  tn_access_analyse(nest, access);
}

static bool feeds_contract(const tn_plan *plan, const tn_access *access) {
  if (plan->contract < 0) return false;
  const tn_knode *contract = node_at(plan->nest, (size_t)plan->contract);
  return tn_plan_operand(plan->nest, contract->in[0]) == access ||
         tn_plan_operand(plan->nest, contract->in[1]) == access;
}

void tn_plan_pack(tn_plan *plan) {
  tn_nest *nest = plan->nest;
  plan->formats = TN_NEW_N(nest->arena, const char *, nest->kernel->args.n);
  for (size_t i = 0; i < nest->kernel->nodes.n && plan->vector >= 0; i++) {
    tn_access *access = nest->accesses[i];
    uint32_t v = (uint32_t)plan->vector;
    if (!access || !has_axis(access->axes, v) || !tn_plan_is_packable(nest, access)) continue;
    if (tn_access_stride(access, v) != 1 || feeds_contract(plan, access)) pack_access(plan, access);
  }
}
