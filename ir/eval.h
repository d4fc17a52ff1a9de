/* The reference: runs any graph slowly and obviously (ir/IR.md section 7 "eval"). It is the oracle of tests, folds
 * constants, and computes error bounds.
 *
 * Every element is one tn_number (op.h): a double for float types, int64 or uint64 for integers and bool. In exact mode
 * each node rounds its float results to their dtype; in wide mode every float stays a double. */
#ifndef TN_IR_EVAL_H
#define TN_IR_EVAL_H

#include "ir/graph.h"
#include "ir/op.h"

typedef struct tn_tensor {
  tn_dtype dtype;
  uint32_t ndim;
  int64_t extents[TN_MAX_NDIM];
  int64_t count;
  tn_number *data; /* row-major */
  tn_arena *own;   /* large tensors: the arena of data alone, so that dead values can go; else NULL */
} tn_tensor;

typedef enum tn_eval_mode { TN_EVAL_EXACT, TN_EVAL_WIDE } tn_eval_mode;

typedef struct tn_eval {
  tn_ctx *ctx;
  tn_arena *arena;
  tn_eval_mode mode;
  tn_map values;  /* tn_value* -> tn_tensor* */
  tn_map symbols; /* tn_symbol* -> boxed int64 */
  uint64_t limit_elements; /* 0 = none; TN_E_LIMIT past it */
  uint64_t used_elements;
  tn_map remaining;        /* tn_value* -> boxed number of uses still to come; a large value is freed after its last */
  TN_VEC(tn_tensor *) owned; /* tensors with an arena of their own */
  const tn_func *func;     /* whose guards are checked as symbols become known, or NULL */
} tn_eval;

/* An evaluation of single nodes (tn_eval_node), for folding; limit_elements 0 = none. Ended by tn_eval_end, which frees
 * what does not lie in arena. */
tn_eval tn_eval_begin(tn_ctx *ctx, tn_arena *arena, tn_eval_mode mode, uint64_t limit_elements);
void tn_eval_end(tn_eval *eval);

/* Evaluates func. Input extents bind its symbols; guards are checked (TN_E_SHAPE naming the guard's text). outputs has
 * room for the function's results. False when reported. */
bool tn_eval_func(tn_ctx *ctx, tn_arena *arena, const tn_func *func, tn_eval_mode mode,
                  const tn_tensor *const *inputs, uint32_t n_inputs, tn_tensor **outputs);

/* For op eval functions. */
const tn_tensor *tn_eval_operand(tn_eval *eval, const tn_node *node, uint32_t index);
/* A new zeroed tensor of the result's type, its dims evaluated; registered as the result. */
tn_tensor *tn_eval_result(tn_eval *eval, const tn_node *node, uint32_t index);
bool tn_eval_dim(tn_eval *eval, const tn_dim *dim, int64_t *out);
void tn_eval_bind_symbol(tn_eval *eval, const tn_symbol *symbol, int64_t value);
/* Rounds v to dtype in exact mode; identity in wide mode for floats; wraps integers. */
tn_number tn_eval_round(const tn_eval *eval, tn_dtype dtype, tn_number v);
/* Evaluates a single node whose operands are constants or already known; used by folding. */
bool tn_eval_node(tn_eval *eval, const tn_node *node);
/* An evaluation of a region inside: the same symbols and limits, values of its own in arena. Ended by tn_eval_end. */
tn_eval tn_eval_inner(const tn_eval *eval, tn_arena *arena);
/* Runs a region's body on arguments; results in out. */
bool tn_eval_block(tn_eval *eval, const tn_block *block, const tn_tensor *const *args, uint32_t n_args,
                   const tn_tensor **out);

/* One scalar op on numbers of dtype; result dtype per scalar.def (cast: to). Semantics of IR.md section 7 exactly. */
tn_number tn_scalar_apply(tn_scalar scalar, tn_dtype dtype, tn_dtype to, bool exact, const tn_number *args);
/* Rounds a double to a float dtype (nearest even; overflow to inf, f8/f4 saturate; an infinity stays one where the type
 * has it) / converts between any two types with IR.md's cast rules. */
double tn_number_round_float(tn_dtype dtype, double v);
tn_number tn_number_cast(tn_dtype from, tn_dtype to, tn_number v);
/* Between stored bytes (little-endian, below 8 bits one element a byte) and numbers. */
/* Both with the choice of what overflow gives in f8 types: the largest finite value, or infinity or NaN. */
double tn_number_round_saturating(tn_dtype dtype, double v, bool saturate);
tn_number tn_number_cast_saturating(tn_dtype from, tn_dtype to, tn_number v, bool saturate);
/* The low bits of an integer, extended by sign or zero; bool: v != 0. */
tn_number tn_number_wrap(tn_dtype dtype, tn_number v);
tn_number tn_number_load(tn_dtype dtype, const void *bytes);
void tn_number_store(tn_dtype dtype, tn_number v, void *bytes);

tn_tensor *tn_tensor_create(tn_arena *arena, tn_dtype dtype, uint32_t ndim, const int64_t *extents);
tn_tensor *tn_tensor_of_const(tn_arena *arena, const tn_const *constant);
/* bytes: row-major storage of the dtype. */
tn_tensor *tn_tensor_from_bytes(tn_arena *arena, tn_dtype dtype, uint32_t ndim, const int64_t *extents,
                                const void *bytes);
/* The storage bytes of a tensor, rounding floats. */
void *tn_tensor_to_bytes(tn_arena *arena, const tn_tensor *tensor, size_t *out_bytes);
/* Row-major index helpers. */
void tn_tensor_unravel(const tn_tensor *tensor, int64_t flat, int64_t *out_index);
int64_t tn_tensor_ravel(const tn_tensor *tensor, const int64_t *index);
void tn_tensor_strides(const tn_tensor *tensor, int64_t *out_strides);
/* Product of extents, or -1 when one is negative or it overflows. */
int64_t tn_tensor_count_of(uint32_t ndim, const int64_t *extents);
/* The next index in row-major order; false (and all zero again) after the last. n = 0: false at once. */
bool tn_index_next(int64_t *index, const int64_t *extents, uint32_t n);
/* out[i..] = from->data[base + sum of i * strides], over all of out. */
void tn_tensor_view(tn_tensor *out, const tn_tensor *from, int64_t base, const int64_t *strides);

/* order[0 .. n-1]: positions in rising (descending: falling) order of key[position * stride], stably, NaN greatest.
 * scratch: n numbers. (ir/ops/argsort.c) */
void tn_sort_positions(int64_t *order, int64_t *scratch, int64_t n, const tn_number *key, int64_t stride,
                       tn_dtype dtype, bool descending);

#endif
