/* Tile loops: what the CPU backend makes of a kernel before LLVM sees it. Already scheduled: blocked loops, explicit
 * vectors, affine addresses, unrolled register tiles. LLVM is the register allocator, scheduler and encoder, never the
 * vectoriser.
 *
 * A tile function is a tree of statements over SSA values. A value is a scalar or a vector of `lanes` elements of
 * `type`; bool values are lane masks. Addresses are (argument, element offset as an i64 value, constant displacement in
 * elements). Products are TN_T_FMA where one rounding is meant, TN_T_SCALAR mul and add where two are.
 *
 * backends/cpu/gen_*.c build these from kernels (pure C, no LLVM); backends/cpu/llvm/ lowers them. */
#ifndef TN_BACKENDS_CPU_TILE_H
#define TN_BACKENDS_CPU_TILE_H

#include "backends/backend.h"

typedef struct tn_tile_value tn_tile_value;
typedef struct tn_tile_stmt tn_tile_stmt;
typedef struct tn_tile_block tn_tile_block;

typedef enum tn_tile_op {
  /* sources */
  TN_T_CONST,   /* number; splat over lanes */
  TN_T_DIM,     /* i64 scalar: run-time value of kernel->symbols[index] */
  TN_T_PART_LO, /* i64 scalar: this call does parts lo .. hi-1 */
  TN_T_PART_HI,
  TN_T_LOOP_VAR, /* i64 scalar: induction variable of `loop` */
  TN_T_CARRIED,  /* phi: carried value `index` of `loop`, inside its body */
  TN_T_RESULT,   /* final value of carried value `index` of `loop`, after it */
  /* i64 scalars, for addresses and bounds; in[0], in[1] */
  TN_T_IADD,
  TN_T_ISUB,
  TN_T_IMUL,
  TN_T_IFLOORDIV,
  TN_T_IMOD,
  TN_T_IMIN,
  TN_T_IMAX, /* divisors > 0 */
  TN_T_ILT,
  TN_T_ILE,
  TN_T_IEQ,
  TN_T_IAND, /* -> bool scalar */
  /* memory */
  TN_T_LOAD, /* lanes consecutive elements at offset + displacement; mask (optional in[1]): inactive lanes give 0 and
                do not touch memory; lanes 1: a scalar, its mask a bool scalar */
  TN_T_LOAD_SPLAT,   /* one element, broadcast to lanes */
  TN_T_LOAD_STRIDED, /* lanes elements `stride` elements apart (in[1] = stride as i64 scalar); mask in[2] optional */
  TN_T_GATHER,       /* in[0] i64 scalar offset, in[1] vector of i32 or i64 element indices, in[2] mask optional */
  /* values */
  TN_T_SCALAR,     /* scalar op of ir/scalar.def, lanewise; cast converts to `type` with IR.md's rules */
  TN_T_FMA,        /* in[0] * in[1] + in[2], one rounding (integers: wrapping) */
  TN_T_SPLAT,      /* scalar in[0] to lanes */
  TN_T_LANES,      /* 0, 1, 2, ... as `type` */
  TN_T_FROM_I64,   /* i64 scalar in[0] converted to `type` (scalar), for index values */
  TN_T_EXTRACT,    /* lane `index` of in[0] */
  TN_T_TO_I64,     /* integer scalar or vector in[0], widened to i64 */
  TN_T_HFOLD,      /* in[0] folded over its lanes with `fold` to a scalar; order: halves, then quarters, ... */
  TN_T_MASK,       /* bool vector: lane < in[0] (i64 scalar) */
  TN_T_CLAMP_INDEX /* in[0] integer vector or scalar, in[1] i64 scalar extent: clamped to [0, extent-1]; when any
                      active lane (in[2] mask optional) was outside, the call's status becomes INDEX */
} tn_tile_op;

struct tn_tile_value {
  tn_tile_op op;
  tn_dtype type;     /* TN_BOOL: a mask */
  uint32_t lanes;    /* 1 = scalar */
  uint32_t id;
  uint32_t n_in;
  tn_tile_value *in[3];
  tn_scalar scalar;
  tn_fold fold;
  tn_number constant;
  uint32_t arg;      /* LOAD*, GATHER: kernel argument, or TN_TILE_SCRATCH */
  int64_t displacement; /* elements */
  uint32_t align_bytes; /* LOAD, of the access; 0 = the element's */
  uint32_t index;    /* DIM, CARRIED, RESULT, EXTRACT */
  tn_tile_stmt *loop;
  uint32_t origin;     /* 1 + id of the kernel node it was first made for; 0: of none */
  tn_tile_block *home; /* the block whose DEF computes it; for loop variables and carried values the loop's body */
};

#define TN_TILE_SCRATCH UINT32_MAX

typedef enum tn_tile_stmt_kind {
  TN_TS_DEF,   /* computes `value` here */
  TN_TS_STORE, /* value to (arg, offset, displacement); mask optional; lanes consecutive */
  TN_TS_STORE_STRIDED, /* lanes `stride` elements apart */
  TN_TS_LOOP,  /* for (var = lo; var < hi; var += step) body; step a constant > 0 */
  TN_TS_IF,    /* condition: bool scalar */
  TN_TS_ARGSORT, /* positions of one row of arg in their order to out_arg: a call of tnrt_argsort (runtime/abi.h) */
  TN_TS_COMMENT
} tn_tile_stmt_kind;

struct tn_tile_block {
  TN_VEC(tn_tile_stmt *) stmts;
  tn_tile_block *parent; /* NULL: the function's body */
  uint32_t depth;
  bool conditional;      /* of an IF: loads are not moved out of it */
};

struct tn_tile_stmt {
  tn_tile_stmt_kind kind;
  uint32_t origin;            /* as a value's */
  tn_tile_value *value;       /* DEF, STORE */
  /* STORE */
  uint32_t arg;
  tn_tile_value *offset, *mask, *stride;
  int64_t displacement;
  uint32_t align_bytes;
  tn_dtype store_type;        /* element type in memory; value is converted when it differs (round, saturate) */
  /* LOOP */
  tn_tile_value *var, *lo, *hi;
  int64_t step;
  uint32_t n_carried;
  tn_tile_value **initial, **carried, **next, **results;
  bool innermost_hot;         /* the loop that the register budget and tests/lint/kernels look at */
  tn_tile_block body, otherwise; /* LOOP, IF: body; IF: otherwise */
  tn_tile_value *condition;   /* IF */
  /* ARGSORT: n = hi elements from offset + displacement, stride apart; top = lo results */
  uint32_t out_arg;
  tn_tile_value *out_offset, *out_stride;
  bool descending;
  const char *comment;
};

/* The code of one kernel. Function in the object: tnrt_part_fn (runtime/abi.h) over a frame
 * {const void *args[n_args]; int64_t dims[n_symbols]; void *scratch; int64_t scratch_stride_bytes; int32_t *status;},
 * worker w's scratch being scratch + w * stride. */
typedef struct tn_tile_func {
  const tn_kernel *kernel;
  const tn_target *target;
  const char *strategy;
  tn_arena *arena;
  tn_tile_block body;
  /* Offsets into scratch count f32 elements. */
  const char *const *formats;   /* one an argument, as in tn_schedule */
  uint32_t n_values;
  uint32_t max_live_vectors;    /* of the hot loop: the register rule, checked before LLVM */
  tn_map known;                 /* builder: content hash -> pure value */
} tn_tile_func;

/* Builds the tile loops of a kernel with the strategy that tn_cpu_schedule chooses. False when reported. */
bool tn_tile_generate(tn_ctx *ctx, const tn_target *target, const tn_kernel *kernel, tn_arena *arena,
                      tn_tile_func **out);
void tn_tile_print(const tn_tile_func *func, tn_buf *out);
/* Largest number of vector values live at once in each hot loop (a MR x NR tile needs MR*NV + NV + 1). */
uint32_t tn_tile_count_live(const tn_tile_func *func);

/* schedule and packing of the CPU backend (no LLVM). */
bool tn_cpu_schedule(const tn_target *target, const tn_kernel *kernel, tn_arena *arena, tn_schedule *out);
uint64_t tn_cpu_packed_bytes(const tn_target *target, const tn_buffer *buffer);
bool tn_cpu_pack(const tn_target *target, const tn_buffer *buffer, tn_arena *scratch, tn_sink sink);

/* Builder, used by gen*.c. A pure value goes to the outermost open block where its operands exist, and equal ones are
 * made once; loads of arguments likewise, but not out of an IF and no further out than load_floor. Statements that a
 * loop or IF opens enter the surrounding block when it is closed, so what was moved out stands before them. Loads of
 * scratch and stores stay in the current block, in order. */
typedef struct tn_tile_build {
  tn_tile_func *func;
  tn_tile_block *block;
  tn_tile_block *load_floor; /* NULL: the function's body */
  uint32_t origin;           /* of what is built now, for debugging information */
} tn_tile_build;
tn_tile_func *tn_tile_func_create(tn_arena *arena, const tn_kernel *kernel, const tn_target *target);
/* The value with these fields (op, type, lanes, in, ...), made or found; proto is copied. */
tn_tile_value *tn_tile_value_of(tn_tile_build *b, const tn_tile_value *proto);
tn_tile_value *tn_tile_unary(tn_tile_build *b, tn_tile_op op, tn_dtype type, uint32_t lanes, tn_tile_value *x);
/* Removes definitions that nothing uses; numbers values anew in order of definition. */
void tn_tile_remove_dead(tn_tile_func *func);
tn_tile_value *tn_tile_const_i(tn_tile_build *b, int64_t v);
tn_tile_value *tn_tile_number(tn_tile_build *b, tn_dtype type, uint32_t lanes, tn_number v);
/* Integer arithmetic with constant folding. */
tn_tile_value *tn_tile_int(tn_tile_build *b, tn_tile_op op, tn_tile_value *x, tn_tile_value *y);
/* A dim over size symbols, axes and values; a symbol of kind AXIS or VALUE with slot i has the value axes[i] (i64
 * scalar). */
tn_tile_value *tn_tile_dim(tn_tile_build *b, const tn_dim *dim, tn_tile_value *const *axes);
tn_tile_value *tn_tile_load(tn_tile_build *b, tn_tile_op op, tn_dtype type, uint32_t lanes, uint32_t arg,
                            tn_tile_value *offset, int64_t displacement, tn_tile_value *mask);
void tn_tile_store(tn_tile_build *b, uint32_t arg, tn_tile_value *offset, int64_t displacement, tn_tile_value *value,
                   tn_dtype store_type, tn_tile_value *mask);
tn_tile_value *tn_tile_scalar(tn_tile_build *b, tn_scalar scalar, tn_dtype type, uint32_t lanes,
                              tn_tile_value *const *in, uint32_t n_in);
tn_tile_value *tn_tile_fma(tn_tile_build *b, tn_tile_value *x, tn_tile_value *y, tn_tile_value *z);
void tn_tile_store_strided(tn_tile_build *b, uint32_t arg, tn_tile_value *offset, int64_t displacement,
                           tn_tile_value *stride, tn_tile_value *value, tn_dtype store_type, tn_tile_value *mask);
/* Opens a loop; the body's values go between begin and end. carried[i] inside starts as initial[i]; end gets the next
 * values and fills results. */
tn_tile_stmt *tn_tile_loop_begin(tn_tile_build *b, tn_tile_value *lo, tn_tile_value *hi, int64_t step,
                                 tn_tile_value *const *initial, uint32_t n_carried, tn_tile_block **saved);
void tn_tile_loop_end(tn_tile_build *b, tn_tile_stmt *loop, tn_tile_value *const *next, tn_tile_block *saved);
/* A statement to be filled by the caller, at the builder's place. */
tn_tile_stmt *tn_tile_stmt_add(tn_tile_build *b, tn_tile_stmt_kind kind);
tn_tile_stmt *tn_tile_if_begin(tn_tile_build *b, tn_tile_value *condition, tn_tile_block **saved);
void tn_tile_if_else(tn_tile_build *b, tn_tile_stmt *stmt);
void tn_tile_if_end(tn_tile_build *b, tn_tile_stmt *stmt, tn_tile_block *saved);

#endif
