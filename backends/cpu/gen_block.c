/* Contractions whose sums are made block by block (plan_blocks.c): the loop over blocks, and the sums in scratch
 * between them. See gen.h. */
#include "backends/cpu/gen.h"

tn_tile_stmt *tn_gen_blocks_begin(tn_gen *gen, tn_tile_block **saved) {
  const tn_plan *plan = gen->plan;
  const tn_dim *extent = gen->nest->axes[plan->block_axis].extent, *one = tn_dim_const(gen->ctx, 1);
  tn_tile_value *end = tn_gen_int(gen, extent), *lanes = tn_tile_const_i(&gen->b, plan->lanes);
  /* one block of no positions, too, has sums */
  tn_tile_value *zero = tn_tile_const_i(&gen->b, 0), *some = tn_gen_int(gen, tn_dim_max(gen->ctx, extent, one));
  tn_tile_stmt *loop = tn_tile_loop_begin(&gen->b, zero, some, plan->block, NULL, 0, saved);
  tn_tile_value *next = tn_tile_int(&gen->b, TN_T_IADD, loop->var, tn_tile_const_i(&gen->b, plan->block));
  tn_tile_value *hi = tn_tile_int(&gen->b, TN_T_IMIN, next, end);
  gen->block_lo = tn_gen_symbol(gen, "from", tn_dim_add_i(gen->ctx, extent, 1), loop->var);
  gen->block_hi = tn_gen_symbol(gen, "to", tn_dim_add_i(gen->ctx, extent, 1), hi);
  gen->is_last_block = tn_tile_int(&gen->b, TN_T_IEQ, hi, end);
  tn_tile_value *active = tn_tile_int(&gen->b, TN_T_IMIN, tn_tile_int(&gen->b, TN_T_IMUL, loop->var, lanes), lanes);
  tn_tile_value proto = {.op = TN_T_MASK, .type = TN_BOOL, .lanes = plan->lanes, .n_in = 1, .in = {active}};
  gen->block_sums = tn_tile_value_of(&gen->b, &proto);
  return loop;
}

void tn_gen_blocks_end(tn_gen *gen, tn_tile_stmt *loop, tn_tile_block *saved) {
  tn_tile_loop_end(&gen->b, loop, NULL, saved);
  gen->block_lo = gen->block_hi = NULL;
  gen->block_sums = gen->is_last_block = NULL;
}

/* Where the sums of an instance lie: the extents inside of block_level are like digits of one number, the vector axis
 * last and filled up to whole vectors. */
static const tn_dim *place_of_sums(tn_gen *gen, const tn_instance *at) {
  const tn_plan *plan = gen->plan;
  uint32_t v = (uint32_t)plan->vector;
  int64_t lanes = plan->lanes, width = (int64_t)plan->tile[v] * lanes;
  const tn_dim *flat = tn_dim_const(gen->ctx, 0), *vector = tn_dim_const(gen->ctx, at->at[v] * lanes);
  for (uint32_t i = plan->block_level; i < plan->n_order; i++) {
    const tn_nest_axis *axis = &gen->nest->axes[plan->order[i]];
    const tn_dim *position = tn_dim_symbol(gen->ctx, axis->symbol);
    if (plan->order[i] != v) {
      flat = tn_dim_add(gen->ctx, tn_dim_mul(gen->ctx, flat, axis->extent), position);
      continue;
    }
    vector = position;
    width = (axis->count + lanes - 1) / lanes * lanes;
  }
  flat = tn_dim_add(gen->ctx, tn_dim_mul_i(gen->ctx, flat, width), vector);
  return tn_gen_place(gen, flat, at);
}

/* Elements from the sums of the first instance, which lie at the same distance in every tile. */
static int64_t displacement_of(tn_gen *gen, const tn_instance *at) {
  static const tn_instance first;
  return tn_dim_value(tn_dim_sub(gen->ctx, place_of_sums(gen, at), place_of_sums(gen, &first)));
}

void tn_gen_load_sums(tn_gen *gen, tn_tile_value **sums) {
  const tn_knode *contract = gen->nest->kernel->nodes.data[gen->plan->contract];
  tn_instance at = {0};
  tn_tile_value *offset = tn_gen_int(gen, place_of_sums(gen, &at));
  do *sums++ = tn_tile_load(&gen->b, TN_T_LOAD, TN_F32, gen->plan->lanes, TN_TILE_SCRATCH, offset,
                            displacement_of(gen, &at), gen->block_sums);
  while (tn_gen_next(gen, gen->nest->node_axes[contract->id], &at));
}

void tn_gen_store_sums(tn_gen *gen, tn_tile_value *const *sums) {
  const tn_knode *contract = gen->nest->kernel->nodes.data[gen->plan->contract];
  tn_instance at = {0};
  tn_tile_value *offset = tn_gen_int(gen, place_of_sums(gen, &at));
  do tn_tile_store(&gen->b, TN_TILE_SCRATCH, offset, displacement_of(gen, &at), *sums++, TN_F32, NULL);
  while (tn_gen_next(gen, gen->nest->node_axes[contract->id], &at));
}
