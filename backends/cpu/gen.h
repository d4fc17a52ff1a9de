/* Generation of tile loops from a plan: state shared by gen*.c. Private to backends/cpu.
 *
 * Every live axis is bound to a dim over loop symbols (axis symbols of the generator's own, each with a tile value);
 * in a register tile an axis stands for several positions at once, and an instance says which one. Values made under
 * a set of bindings live in a frame; a frame inside another sees what the outer one made. */
#ifndef TN_BACKENDS_CPU_GEN_H
#define TN_BACKENDS_CPU_GEN_H

#include "backends/cpu/nest.h"

typedef struct tn_gen_frame {
  struct tn_gen_frame *outer;
  tn_map values; /* see tn_gen_recall */
} tn_gen_frame;

typedef struct tn_instance {
  uint16_t at[TN_KERNEL_MAX_AXES]; /* position inside the register tile; vector axis: which vector */
} tn_instance;

typedef struct tn_gen {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_plan *plan;
  tn_nest *nest;
  tn_tile_build b;
  TN_VEC(tn_tile_value *) locals;         /* by slot: values of value symbols' nodes, then of loop symbols */
  const tn_dim *bind[TN_KERNEL_MAX_AXES]; /* position of instance 0; NULL = not bound */
  uint32_t count[TN_KERNEL_MAX_AXES];     /* instances along the axis at present */
  tn_tile_value *mask[TN_PLAN_MAX_VECTORS]; /* active lanes of each vector of the vector axis; NULL = all */
  const tn_dim *mask_end; /* with masks: the position past the last active lane, or NULL */
  bool is_staged; /* the plan's staged operand lies in scratch */
  uint32_t past_lo, before_hi; /* bit sets of par axes whose present positions are at or past the lo, before the hi, of
                                  their interior */
  uint8_t fold_order[TN_KERNEL_MAX_AXES]; /* the plan's, as the present walk has it */
  tn_gen_frame *frame;
  uint32_t pass;      /* number of the present pass over row axes; 0 = in none */
  uint32_t n_passes;
  uint32_t *kept_by;  /* by node id: the pass that stored it to scratch, 0 = none yet */
  tn_tile_value *part_lo, *part_hi; /* units of this call, inside a tile of a part axis those of that tile; or NULL */
  bool is_inside_unit;              /* of the part axes inside: an outer one has set them */
  const tn_dim *block_lo, *block_hi; /* positions of the plan's block axis that are summed now; NULL = in no block */
  tn_tile_value *block_sums;         /* mask: lanes with sums of earlier blocks, all or none */
  tn_tile_value *is_last_block;
} tn_gen;

static inline bool tn_gen_has(uint32_t axes, int32_t axis) { return axis >= 0 && (axes >> axis & 1); }

/* Frames. */
void tn_gen_push(tn_gen *gen, tn_gen_frame *frame);
void tn_gen_pop(tn_gen *gen);
/* What was made for (kind, id, the instance's positions along axes), or NULL. Kinds: 0 node values, 1 addresses,
 * 2 clamped coordinates. */
void *tn_gen_recall(tn_gen *gen, uint32_t kind, uint32_t id, uint32_t axes, const tn_instance *at);
void tn_gen_remember(tn_gen *gen, uint32_t kind, uint32_t id, uint32_t axes, const tn_instance *at, void *what);
/* The next instance over axes in use, the vector axis fastest; false after the last one. Start from all zeros. */
bool tn_gen_next(const tn_gen *gen, uint32_t axes, tn_instance *at);
uint32_t tn_gen_n_instances(const tn_gen *gen, uint32_t axes);

/* A loop symbol of positions 0 .. extent - 1 whose value is v. */
const tn_dim *tn_gen_symbol(tn_gen *gen, const char *name, const tn_dim *extent, tn_tile_value *v);
/* dim with axes replaced by their positions (instance 0 when at is NULL). */
const tn_dim *tn_gen_place(tn_gen *gen, const tn_dim *dim, const tn_instance *at);
tn_tile_value *tn_gen_int(tn_gen *gen, const tn_dim *placed);

/* Values. */
tn_tile_value *tn_gen_value(tn_gen *gen, const tn_knode *node, const tn_instance *at);
/* v on `lanes` lanes. */
tn_tile_value *tn_gen_widen(tn_gen *gen, tn_tile_value *v, uint32_t lanes);
tn_tile_value *tn_gen_cast(tn_gen *gen, tn_tile_value *v, tn_dtype type);
/* The sort of one row, whose result `write` takes. */
void tn_gen_argsort(tn_gen *gen, const tn_knode *argsort, const tn_knode *write);
void tn_gen_write(tn_gen *gen, const tn_knode *write, const tn_instance *at);
/* Stores a kept value, when its pass has not done so. */
void tn_gen_keep(tn_gen *gen, const tn_knode *node, const tn_instance *at, tn_tile_value *v);
/* True when the value lies in scratch since an earlier pass. */
bool tn_gen_is_kept(const tn_gen *gen, const tn_knode *node);

/* The staged operand's vectors of the present panel, for all positions of the fold axes, to scratch. */
void tn_gen_stage(tn_gen *gen);

/* Sums of a block, gen_block.c. begin opens the loop over blocks of the plan's block axis; load and store take the sums
 * of the register tile from and to scratch, one after the other as tn_gen_next gives the contraction's instances. */
tn_tile_stmt *tn_gen_blocks_begin(tn_gen *gen, tn_tile_block **saved);
void tn_gen_blocks_end(tn_gen *gen, tn_tile_stmt *loop, tn_tile_block *saved);
void tn_gen_load_sums(tn_gen *gen, tn_tile_value **sums);
void tn_gen_store_sums(tn_gen *gen, tn_tile_value *const *sums);

/* Bounds of a read. */
typedef enum tn_bound_state { TN_BOUND_IN, TN_BOUND_OUT, TN_BOUND_OPEN } tn_bound_state;
tn_bound_state tn_gen_bound(tn_gen *gen, const tn_bound *bound, const tn_instance *at);

/* Folds. Makes all folds that nodes need and whose axes are bound. */
void tn_gen_prepare(tn_gen *gen, tn_knode *const *nodes, uint32_t n);
/* Runs body for every position of the fold axes in `axes`, with accumulators carried through; fold_group NULL for
 * writes. */
typedef struct tn_walk {
  uint32_t axes;
  tn_knode **goals; /* what body will ask for */
  uint32_t n_goals;
  const tn_knode *const *folds; /* NULL: writes */
  uint32_t n_folds;
  void (*body)(tn_gen *gen, void *user, tn_tile_value **accumulators);
  void *user;
  uint32_t n_accumulators;
} tn_walk;
void tn_gen_walk(tn_gen *gen, const tn_walk *walk, tn_tile_value **accumulators);

/* The par loops and the register tile inside them. */
void tn_gen_loops(tn_gen *gen, void (*body)(tn_gen *gen));

#endif
