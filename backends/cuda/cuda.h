/* Kernels as CUDA C: what a kernel becomes (plan), and the state of its printing. Private to backends/cuda.
 *
 * The text is a subset that is C and C++ at once: no templates, operators or cooperative groups, static __shared__, so
 * that one text compiles with NVRTC for a device and with a C compiler against a shim (tests/cuda/shim). It includes no
 * header of CUDA: conversions are instructions in inline PTX, so NVRTC needs no include path.
 *
 * A kernel runs in blocks of TN_CUDA_BLOCK threads, in one of two shapes:
 * - teams: each point of the par axes belongs to a team of 1, 32 (a warp) or TN_CUDA_BLOCK threads, which shares the
 *   positions of its folds and of its rows; values are combined by shuffles, and by shared memory between warps.
 * - tiles: the kernel is one contraction; a block makes TN_CUDA_TILE x TN_CUDA_TILE results from slices of both
 *   operands in shared memory, TN_CUDA_DEPTH positions of the sum at a time. */
#ifndef TN_BACKENDS_CUDA_CUDA_H
#define TN_BACKENDS_CUDA_CUDA_H

#include "backends/backend.h"

#define TN_CUDA_BLOCK 256
#define TN_CUDA_WARP 32
#define TN_CUDA_TILE 64
#define TN_CUDA_DEPTH 16

/* An element type in the text. compute NULL: not one this backend computes with. */
typedef struct tn_cuda_type {
  const char *compute;  /* type of a variable that holds a value */
  const char *stored;   /* type of an element in memory */
  const char *wide;     /* unsigned type that integer arithmetic wraps in; "" for floats */
  const char *unsigned_same; /* unsigned type of the same width; "" for floats */
  const char *load, *store;  /* functions from and to memory; "" = none needed */
  const char *suffix;   /* of the helper functions of its compute type: "f32" for the short floats */
} tn_cuda_type;

/* types.c */
const tn_cuda_type *tn_cuda_type_of(tn_dtype dtype);
/* The element type whose C type holds values of dtype: f32 for the short floats, else itself. */
tn_dtype tn_cuda_compute_type(tn_dtype dtype);
/* A number as an expression of dtype's compute type. */
const char *tn_cuda_number(tn_arena *arena, tn_dtype dtype, tn_number v);

/* scalar.c: op over operands that are names or literals. from: the type of the last operand, which select and cast
 * work on; to: the result's. NULL: the op is not defined for this type. */
const char *tn_cuda_scalar(tn_arena *arena, tn_scalar scalar, tn_dtype from, tn_dtype to, const char *const *in);
/* v, a value of type from, as one of type to; a cast to a short float rounds to it when round is set. */
const char *tn_cuda_cast(tn_arena *arena, tn_dtype from, tn_dtype to, bool round, const char *v);
/* in[0] * in[1] + in[2], floats fused. */
const char *tn_cuda_multiply_add(tn_arena *arena, tn_dtype dtype, const char *const *in);
/* The scalar op that combines two values of a fold. */
tn_scalar tn_cuda_fold_scalar(tn_fold fold);

/* A list of axes, outermost first. */
typedef struct tn_cuda_axes {
  uint32_t n;
  uint8_t at[TN_KERNEL_MAX_AXES];
} tn_cuda_axes;

/* plan.c: how a kernel is made. */
typedef struct tn_cuda_plan {
  const tn_kernel *kernel;
  const char *strategy;
  uint32_t par, folded;     /* axes: each point writes its own elements; folded somewhere */
  tn_cuda_axes order;       /* par axes; the last runs along memory where the first write does */
  uint32_t team;            /* threads that share one point of the par axes */
  const tn_knode *contract; /* tiles: the contraction; else NULL */
  uint32_t operand[2];      /* tiles: which operand of it gives the rows, which the columns */
  tn_cuda_axes batch, side[2], sum; /* tiles: axes of both operands, of rows and of columns only, and summed over */
  const tn_dim *points;     /* teams: extents of the par axes multiplied */
  const tn_dim *grid;       /* blocks */
  bool is_wide;             /* indices need 64 bits */
  bool has_update;          /* elements are updated in the order of the space: one thread does it all */
  bool has_status;          /* the last parameter is the call's status: an index may be wrong */
  double cost_seconds;
} tn_cuda_plan;

tn_cuda_plan *tn_cuda_plan_create(const tn_kernel *kernel, tn_arena *arena);
/* False when this backend cannot make the kernel (reported). */
bool tn_cuda_plan_check(tn_ctx *ctx, const tn_kernel *kernel);
static inline bool tn_cuda_is_fold(const tn_knode *node) {
  return node->kind == TN_K_FOLD || node->kind == TN_K_CONTRACT || node->kind == TN_K_ARGFOLD;
}

/* Values that have a name in a block of the text. */
typedef struct tn_cuda_scope {
  struct tn_cuda_scope *outer;
  tn_map names;   /* node -> name */
  uint32_t binds; /* axes whose position is this scope's own: what depends on them is not seen from outside */
} tn_cuda_scope;

/* gen.c: printing of one kernel. */
typedef struct tn_cuda_gen {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_cuda_plan *plan;
  const tn_kernel *kernel;
  tn_buf *out;
  uint32_t depth; /* of indentation */
  uint32_t n_names;
  tn_cuda_scope *scope;
  const char *position[TN_KERNEL_MAX_AXES]; /* expression, or NULL: not bound */
  uint32_t bound;                           /* axes with a position */
  bool is_shared; /* a team of several threads is here with one point: they share folds and rows */
} tn_cuda_gen;

void tn_cuda_line(tn_cuda_gen *gen, const char *format, ...) TN_PRINTF(2, 3);
/* A line that ends in '{' and what follows deeper; and the end of it. */
void tn_cuda_open(tn_cuda_gen *gen, const char *format, ...) TN_PRINTF(2, 3);
void tn_cuda_close(tn_cuda_gen *gen);
void tn_cuda_push(tn_cuda_gen *gen, tn_cuda_scope *scope);
void tn_cuda_pop(tn_cuda_gen *gen);
/* A new name that begins with letter. */
const char *tn_cuda_name(tn_cuda_gen *gen, char letter);
/* The name node has here, or NULL. */
const char *tn_cuda_recall(const tn_cuda_gen *gen, const tn_knode *node);
void tn_cuda_remember(tn_cuda_gen *gen, const tn_knode *node, const char *name);
void tn_cuda_bind(tn_cuda_gen *gen, uint32_t axis, const char *position);
static inline const char *tn_cuda_index_type(const tn_cuda_plan *plan) { return plan->is_wide ? "long long" : "int"; }
/* Positions of axes from one number that counts all their points, the last fastest. */
void tn_cuda_unflatten(tn_cuda_gen *gen, const tn_cuda_axes *axes, const char *flat);
/* The whole kernel, a function of that name. False when reported. */
bool tn_cuda_kernel_print(tn_ctx *ctx, const tn_cuda_plan *plan, const char *name, tn_arena *arena, tn_buf *out);

/* index.c: dims as expressions. */
const char *tn_cuda_index(tn_cuda_gen *gen, const tn_dim *dim);
/* Over the program's size symbols as host code with checked arithmetic: symbol i is s[i]. */
const char *tn_cuda_host_dim(tn_arena *arena, const tn_program *program, const tn_dim *dim);
const tn_dim *tn_cuda_extent_product(tn_ctx *ctx, const tn_kernel *kernel, const tn_cuda_axes *axes);

/* value.c: an expression for node's value here, a name or a literal; what it needs is printed before. */
const char *tn_cuda_value(tn_cuda_gen *gen, const tn_knode *node);
void tn_cuda_write(tn_cuda_gen *gen, const tn_knode *write); /* or an update */
/* Names the nodes whose values dim uses. */
void tn_cuda_need_values(tn_cuda_gen *gen, const tn_dim *dim);
/* The elements from the start of its argument at which a read or write lies, without clamped coordinates. */
const tn_dim *tn_cuda_address(tn_ctx *ctx, const tn_kernel *kernel, const tn_knode *node);
/* Whether a coordinate of a read is one that a run-time value chooses. */
static inline bool tn_cuda_is_clamped(const tn_dim *index) { return tn_dim_uses_kind(index, TN_SYM_VALUE); }

/* fold.c: prints everything that goals need and whose axes are bound, folds first of all. */
void tn_cuda_prepare(tn_cuda_gen *gen, const tn_knode *const *goals, uint32_t n);

/* Prints body for every position of the axes in over, after what goals need. Where the team is together its threads
 * take turns over the positions. */
void tn_cuda_walk(tn_cuda_gen *gen, uint32_t over, const tn_knode *const *goals, uint32_t n,
                  void (*body)(tn_cuda_gen *gen, void *user), void *user);

/* team.c, tile.c: the body of a kernel. */
/* Opens a block for a write that does not vary over all par axes: one point of those it lacks does it. False: none is
 * needed. */
bool tn_cuda_open_lone(tn_cuda_gen *gen, const tn_knode *write);
void tn_cuda_team_body(tn_cuda_gen *gen);
void tn_cuda_tile_body(tn_cuda_gen *gen);

/* prelude.c: what stands at the head of each text: functions that kernels call. */
void tn_cuda_prelude_print(tn_buf *out);

/* unit.c: a program as one text: prelude, kernels, and, for the host alone, the table of buffers and launches. */
bool tn_cuda_unit_print(tn_ctx *ctx, const tn_program *program, const tn_emit_options *options, tn_buf *out);
/* call_NAME(pointers, sizes, status): what calls a kernel of this name with arguments in arrays, for the host. */
void tn_cuda_call_print(const tn_cuda_plan *plan, const char *name, tn_buf *out);

/* table.c: the table of a program. kernels: by step, NULL for copies. */
typedef struct tn_cuda_launch {
  const char *name;
  const tn_cuda_plan *plan; /* of the text, which steps with equal kernels share */
  const tn_dim *grid;       /* blocks, over the step's own symbols */
} tn_cuda_launch;
void tn_cuda_table_print(tn_ctx *ctx, const tn_program *program, const char *prefix, const tn_cuda_launch *launches,
                         tn_arena *arena, tn_buf *out);

/* nvrtc.c: text to PTX or device code by the run-time compiler of CUDA, which is loaded here. arch: "sm_90". */
typedef enum tn_cuda_code { TN_CUDA_PTX, TN_CUDA_CUBIN } tn_cuda_code;
bool tn_cuda_compile(tn_ctx *ctx, const char *name, const char *text, const char *arch, tn_cuda_code code,
                     tn_buf *remarks, tn_buf *out);

#endif
