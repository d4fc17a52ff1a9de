/* Element types and tensor types. A type is interned: equal types are one pointer. It says nothing about
 * storage; dims are always in logical order (ir/IR.md section 1). */
#ifndef TN_IR_TYPE_H
#define TN_IR_TYPE_H

#include "ir/ctx.h"
#include "ir/dim.h"

#define TN_MAX_NDIM 16

typedef enum tn_dtype {
#define X(enumerator, name, bits, class) enumerator,
#include "ir/dtype.def"
#undef X
  TN_N_DTYPES
} tn_dtype;

typedef enum tn_dtype_class {
  TN_CLASS_FLOAT,
  TN_CLASS_SIGNED,
  TN_CLASS_UNSIGNED,
  TN_CLASS_BOOL,
  TN_CLASS_TEXT
} tn_dtype_class;

const char *tn_dtype_name(tn_dtype dtype);
/* TN_N_DTYPES when no type has this name. */
tn_dtype tn_dtype_find(const char *name);
unsigned tn_dtype_bits(tn_dtype dtype);
/* Size of one element in tenon's own storage: below 8 bits one byte. */
size_t tn_dtype_bytes(tn_dtype dtype);
tn_dtype_class tn_dtype_class_of(tn_dtype dtype);
static inline bool tn_dtype_is_float(tn_dtype d) { return d <= TN_F4E2M1; }
bool tn_dtype_is_integer(tn_dtype dtype); /* signed or unsigned */
bool tn_dtype_is_signed(tn_dtype dtype);  /* signed integer */
/* Range of an integer type; hi as the unsigned bit pattern for u64. */
int64_t tn_dtype_int_min(tn_dtype dtype);
uint64_t tn_dtype_int_max(tn_dtype dtype);
/* The default accumulation type of sums and products (IR.md section 7). */
tn_dtype tn_dtype_acc(tn_dtype dtype);

/* Sets of element types, for operand classes. */
typedef uint32_t tn_dtype_set;
#define TN_DTYPE_BIT(d) ((tn_dtype_set)1 << (d))
#define TN_SET_FLOAT ((tn_dtype_set)((1u << TN_I64) - 1))
#define TN_SET_SIGNED ((tn_dtype_set)((1u << TN_U64) - (1u << TN_I64)))
#define TN_SET_UNSIGNED ((tn_dtype_set)((1u << TN_BOOL) - (1u << TN_U64)))
#define TN_SET_INTEGER (TN_SET_SIGNED | TN_SET_UNSIGNED)
#define TN_SET_NUMBER (TN_SET_FLOAT | TN_SET_INTEGER)
#define TN_SET_BOOL TN_DTYPE_BIT(TN_BOOL)
#define TN_SET_ANY (TN_SET_NUMBER | TN_SET_BOOL)
#define TN_SET_INDEX (TN_DTYPE_BIT(TN_I32) | TN_DTYPE_BIT(TN_I64))

typedef struct tn_type {
  tn_dtype dtype;
  uint32_t ndim;
  const tn_dim *const *dims;
  uint64_t hash;
  const struct tn_type *next_same_hash;
} tn_type;

/* ndim at most TN_MAX_NDIM (asserted; importers refuse more). */
const tn_type *tn_type_tensor(tn_ctx *ctx, tn_dtype dtype, uint32_t ndim, const tn_dim *const *dims);
const tn_type *tn_type_scalar(tn_ctx *ctx, tn_dtype dtype);
/* All dims constant. */
const tn_type *tn_type_static(tn_ctx *ctx, tn_dtype dtype, uint32_t ndim, const int64_t *extents);
const tn_type *tn_type_with_dtype(tn_ctx *ctx, const tn_type *type, tn_dtype dtype);
bool tn_type_is_static(const tn_type *type);
/* The same dims in the same order, whatever the element types. */
bool tn_type_same_dims(const tn_type *a, const tn_type *b);
/* Element count as a dim; for static types also as a number. */
const tn_dim *tn_type_count(tn_ctx *ctx, const tn_type *type);
/* -1 when not static. Constants and types made from input are bounded so that this never overflows. */
int64_t tn_type_static_count(const tn_type *type);
void tn_type_print(const tn_type *type, tn_buf *out);

#endif
