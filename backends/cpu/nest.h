/* A kernel as the CPU backend plans it: addresses instead of coordinates, neighbouring axes merged, and the plan, which
 * is all that distinguishes a matrix product from a softmax. Private to backends/cpu. */
#ifndef TN_BACKENDS_CPU_NEST_H
#define TN_BACKENDS_CPU_NEST_H

#include "backends/cpu/tile.h"

/* A coordinate that may leave its extent: a read's with `outside`, or one that uses a value symbol. */
typedef struct tn_bound {
  const tn_dim *index, *extent;
  bool is_clamped; /* a gathered coordinate of a read without outside: clamped, and its part is not in the address */
  const tn_dim *stride; /* clamped: elements from one position to the next */
  int64_t coefficient[TN_KERNEL_MAX_AXES]; /* of each axis in index; only where its bit in `nonlinear` is 0 */
  uint32_t axes, nonlinear;
  uint32_t assumed; /* while generating: > 0 inside a loop whose range keeps this in bounds */
} tn_bound;

/* A read or write with its address in elements. */
typedef struct tn_access {
  const tn_knode *node;
  const tn_dim *address; /* over the nest's axes, size symbols and value symbols */
  const tn_dim *coefficient[TN_KERNEL_MAX_AXES]; /* of each axis; NULL = 0 or nonlinear */
  uint32_t axes, nonlinear; /* axes in the address, and those it is not linear in */
  tn_bound *bounds;
  uint32_t n_bounds;
  bool is_packed; /* reads a constant in the plan's format: address is the packed one */
} tn_access;

typedef struct tn_nest_axis {
  const tn_symbol *symbol;
  const tn_dim *extent;
  tn_axis_kind kind;
  bool is_live;  /* extent not known to be 1, not merged into another */
  int64_t count; /* static extent, or -1 */
} tn_nest_axis;

typedef struct tn_nest {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_kernel *kernel;
  const tn_target *target;
  uint32_t n_axes; /* the kernel's numbering, then axes split off; merged and unit axes are not live */
  tn_nest_axis axes[TN_KERNEL_MAX_AXES];
  uint32_t *node_axes, *node_over; /* by node id, over live axes */
  tn_access **accesses;            /* by node id; NULL for other nodes */
  const tn_dim ***index;           /* by node id: its index over the nest's axes */
} tn_nest;

tn_nest *tn_nest_create(const tn_kernel *kernel, const tn_target *target, tn_arena *arena);
/* The element type that values of dtype are computed in: f32 for the short floats, else dtype. */
tn_dtype tn_nest_compute_type(tn_dtype dtype);
/* Coefficients of the access's address again, after it was changed. */
void tn_access_analyse(tn_nest *nest, tn_access *access);
/* The access's stride along axis when constant, else INT64_MIN. */
int64_t tn_access_stride(const tn_access *access, uint32_t axis);

/* Positions [lo, hi) of an axis where every padded read is inside for all positions of the other axes. */
typedef struct tn_interior {
  bool exists, any_bound; /* any_bound: some read is padded along the axis */
  int64_t lo;
  const tn_dim *hi;
} tn_interior;
tn_interior tn_nest_interior(const tn_nest *nest, uint32_t axis);

#define TN_PLAN_MAX_VECTORS 8

typedef struct tn_plan {
  tn_nest *nest;
  const char *strategy;
  int32_t vector;     /* the axis of the lanes; -1 = none */
  uint32_t lanes;
  uint32_t n_order;
  uint8_t order[TN_KERNEL_MAX_AXES];      /* par axes, outermost first */
  uint32_t tile[TN_KERNEL_MAX_AXES];      /* register tile: positions of each par axis done at once; for the vector axis
                                             vectors */
  uint32_t n_fold_order;
  uint8_t fold_order[TN_KERNEL_MAX_AXES]; /* sum and row axes, outermost first */
  uint32_t static_folds;                  /* axes unrolled completely */
  uint32_t kept;                          /* bit sets in `keep`: nodes whose values over row axes stay in scratch */
  bool *keep;                             /* by node id */
  int64_t *keep_offset;                   /* by node id, in units of scratch_row */
  const tn_dim *scratch_row;              /* f32 elements of one kept row */
  const tn_dim *scratch_elements;         /* f32, a part */
  uint32_t part_axes;                     /* par axes whose tiles are divided among parts, counted like digits of one
                                             number, the outermost first; several have static extents; 0 = none */
  uint32_t parts;
  const char **formats;                   /* by argument */
  int32_t contract;                       /* id of the main contraction, or -1 */
  int32_t staged;                         /* id of the vector operand, whose panel is copied to scratch before the loops
                                             over rows that read it; -1 = none */
  uint32_t staged_level;                  /* of those loops in `order`, all behind it being rows */
  int32_t block_axis;                     /* the outermost fold axis, summed a block at a time by all tiles inside of
                                             block_level before any takes the next, their sums lying in scratch; -1 =
                                             every tile sums all of it at once */
  int64_t block;                          /* positions */
  uint32_t block_level;                   /* in `order`; from there on extents are static */
  bool splits_taps;                       /* walks of border tiles give each tap a loop of its own over the channels */
  bool has_panels;                        /* it is an outer product: vectors of one operand times splats of the other */
} tn_plan;

tn_plan *tn_plan_create(const tn_kernel *kernel, const tn_target *target, tn_arena *arena);
/* Tiles of a par axis whose extent is static. */
int64_t tn_plan_tiles(const tn_plan *plan, uint32_t axis);
/* Whether tiles of vectors at the borders of padded reads are generated apart from those inside: where masks take
 * vector registers. `in` is the vector axis's interior. */
bool tn_plan_cuts_vectors(const tn_plan *plan, const tn_interior *in);

/* Packed formats of constants: "panel32:64v2304,3x3,3x1,64x9" = vectors of 32 along the run marked v, innermost; the
 * other runs are count x stride in elements of the row-major source, outermost first, the v run in its place as the
 * number of panels. Elements past the v run's count are zero. */
#define TN_PANEL_MAX_RUNS 16
typedef struct tn_panel {
  int64_t width;
  uint32_t n_runs, vector_run;
  struct {
    int64_t count, stride;
  } runs[TN_PANEL_MAX_RUNS];
} tn_panel;

const char *tn_panel_format(tn_arena *arena, const tn_panel *panel);
/* False when the text is no such format. */
bool tn_panel_parse(const char *text, tn_panel *out);
/* Elements of the packed constant. */
int64_t tn_panel_elements(const tn_panel *panel);

#endif
