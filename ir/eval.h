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
} tn_eval;

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
/* Runs a region's body on arguments; results in out. */
bool tn_eval_block(tn_eval *eval, const tn_block *block, const tn_tensor *const *args, uint32_t n_args,
                   const tn_tensor **out);

/* One scalar op on numbers of dtype; result dtype per scalar.def (cast: to). Semantics of IR.md section 7 exactly. */
tn_number tn_scalar_apply(tn_scalar scalar, tn_dtype dtype, tn_dtype to, bool exact, const tn_number *args);
/* Rounds a double to a float dtype (nearest even; overflow to inf, f8/f4 saturate) / converts between any two types
 * with IR.md's cast rules. */
double tn_number_round_float(tn_dtype dtype, double v);
tn_number tn_number_cast(tn_dtype from, tn_dtype to, tn_number v);
/* Between stored bytes (little-endian, below 8 bits one element a byte) and numbers. */
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

#endif
