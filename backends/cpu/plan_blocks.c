/* Long sums of contractions, block by block, so that what all tiles of a panel read again lies in a near cache. A
 * gradient of a convolution's weights reads its images for every tap and every tile of channels. */
#include "backends/cpu/plan.h"

#define LEAST_POSITIONS 1024 /* of a block, so that loads and stores of the sums do not count */

/* Whether the positions of an axis read what those of `wide` do, which walks the same way, farther, in steps that are
 * shorter than all of them. */
static bool is_inside_of(const tn_nest *nest, const tn_access *access, uint32_t axis, uint32_t wide) {
  int64_t stride = tn_access_stride(access, axis), step = tn_access_stride(access, wide);
  int64_t count = nest->axes[axis].count;
  return stride > 0 && step > 0 && step % stride == 0 && step / stride < count && nest->axes[wide].count > count;
}

bool tn_plan_reads_again(const tn_nest *nest, const tn_access *access, uint32_t axis) {
  if (!access || !has_axis(access->axes, axis)) return false;
  for (uint32_t i = 0; i < nest->n_axes; i++)
    if (has_axis(access->axes, i) && nest->axes[i].kind == TN_AXIS_SUM && is_inside_of(nest, access, axis, i))
      return true;
  return false;
}

/* The kernel's only fold, in f32 and of whole vectors, whose tiles neither overlap nor keep anything in scratch. */
static bool allows_blocks(const tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  if (plan->contract < 0 || !plan->has_panels || plan->staged >= 0 || plan->kept || plan->n_fold_order == 0)
    return false;
  if (node_at(nest, (size_t)plan->contract)->dtype != TN_F32) return false;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++) {
    const tn_knode *node = node_at(nest, i);
    bool is_fold = node->kind == TN_K_CONTRACT || node->kind == TN_K_FOLD || node->kind == TN_K_ARGFOLD;
    if ((is_fold && (int32_t)i != plan->contract) || node->kind == TN_K_UPDATE) return false;
  }
  for (uint32_t i = plan->block_level; i < plan->n_order; i++)
    if (nest->axes[plan->order[i]].count <= 0) return false;
  return true;
}

/* Every position of the axis counts the same. */
static bool can_cut(const tn_plan *plan, uint32_t axis) {
  const tn_nest *nest = plan->nest;
  if (nest->axes[axis].kind != TN_AXIS_SUM || has_axis(plan->static_folds, axis)) return false;
  for (size_t i = 0; i < nest->kernel->nodes.n; i++)
    for (uint32_t k = 0; nest->accesses[i] && k < nest->accesses[i]->n_bounds; k++)
      if (has_axis(nest->accesses[i]->bounds[k].axes, axis)) return false;
  return true;
}

/* Elements of an operand along the fold axes but one: those of a window's taps are its neighbours' own. */
static double elements_of_folds(const tn_plan *plan, const tn_access *access, uint32_t but) {
  const tn_nest *nest = plan->nest;
  double elements = 1;
  for (uint32_t i = 0; i < plan->n_fold_order; i++) {
    uint32_t axis = plan->fold_order[i];
    bool is_tap = false;
    if (axis == but || !has_axis(access->axes, axis)) continue;
    for (uint32_t k = plan->block_level; k < plan->n_order; k++)
      is_tap |= has_axis(access->axes, plan->order[k]) && is_inside_of(nest, access, axis, plan->order[k]);
    if (!is_tap) elements *= (double)nest->axes[axis].count;
  }
  return elements;
}

/* What the tiles inside of block_level read of an operand for one position of `axis`; 0 when each of them reads
 * something else. */
static double bytes_read_again(const tn_plan *plan, const tn_access *access, uint32_t axis) {
  const tn_nest *nest = plan->nest;
  bool is_again = false;
  double elements = 1;
  if (!access) return 0;
  for (uint32_t i = 0; i < plan->n_order; i++) {
    uint32_t at = plan->order[i];
    bool is_inside = i >= plan->block_level, has = has_axis(access->axes, at);
    bool again = is_inside && (!has || tn_plan_reads_again(nest, access, at));
    is_again |= again && tn_plan_tiles(plan, at) > 1;
    if (!has || again) continue;
    if (is_inside) elements *= (double)nest->axes[at].count;
    else if ((int32_t)at == plan->vector) elements *= (double)plan->tile[at] * plan->lanes;
  }
  elements *= elements_of_folds(plan, access, axis);
  return is_again ? elements * (double)tn_dtype_bytes(access->node->dtype) : 0;
}

/* Sums of all tiles inside of block_level, as gen_block.c places them. */
static int64_t count_sums(const tn_plan *plan) {
  int64_t n = ceil_div(plan->nest->axes[plan->vector].count, plan->lanes) * plan->lanes;
  bool is_inside = false;
  for (uint32_t i = plan->block_level; i < plan->n_order; i++) is_inside |= plan->order[i] == plan->vector;
  if (!is_inside) n = (int64_t)plan->tile[plan->vector] * plan->lanes;
  for (uint32_t i = plan->block_level; i < plan->n_order; i++)
    if (plan->order[i] != plan->vector) n *= plan->nest->axes[plan->order[i]].count;
  return n;
}

void tn_plan_block(tn_plan *plan) {
  const tn_nest *nest = plan->nest;
  if (!allows_blocks(plan) || !can_cut(plan, plan->fold_order[0])) return;
  uint32_t axis = plan->fold_order[0];
  const tn_knode *contract = node_at(nest, (size_t)plan->contract);
  double bytes = 0, inside = 1, near = (double)nest->target->l2_bytes / 2;
  for (int i = 0; i < 2; i++) bytes += bytes_read_again(plan, tn_plan_operand(nest, contract->in[i]), axis);
  for (uint32_t i = 1; i < plan->n_fold_order; i++) {
    if (nest->axes[plan->fold_order[i]].count <= 0) return;
    inside *= (double)nest->axes[plan->fold_order[i]].count;
  }
  int64_t most = nest->axes[axis].extent->hi;
  if (bytes * (double)most <= near) return;
  int64_t block = near > bytes ? (int64_t)(near / bytes) : 1;
  if ((double)block * inside < LEAST_POSITIONS) return;
  plan->block_axis = (int32_t)axis;
  plan->block = ceil_div(most, ceil_div(most, block));
  plan->scratch_elements = tn_dim_const(nest->ctx, count_sums(plan));
}
