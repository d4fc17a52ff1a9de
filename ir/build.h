/* The builder: makes nodes at a position, with the session's current location. Importers, expansions, rules and the
 * language's lowering all use it. Every function returns NULL (or false) when the node is wrong, which has been
 * reported; passing NULL operands in is allowed and gives NULL again, so callers may check once at the end. */
#ifndef TN_IR_BUILD_H
#define TN_IR_BUILD_H

#include "ir/op.h"

struct tn_build {
  tn_ctx *ctx;
  tn_module *module;
  tn_func *func;
  tn_block *block;
  tn_node *before; /* NULL = at the end of the block */
};

tn_build tn_build_at_end(tn_block *block);
tn_build tn_build_before(tn_node *node);

/* Any op. attrs: parallel to op->attrs or NULL; attributes with present = false take their default. The first result,
 * or all through the node. */
tn_node *tn_build_node(tn_build *b, const tn_opdef *op, tn_value *const *operands, uint32_t n_operands,
                       const tn_attr *attrs);
tn_value *tn_build_op(tn_build *b, const tn_opdef *op, tn_value *const *operands, uint32_t n_operands,
                      const tn_attr *attrs);

/* Attribute values. */
tn_attr tn_attr_int(int64_t i);
tn_attr tn_attr_float(double f);
tn_attr tn_attr_bool(bool b);
tn_attr tn_attr_dtype(tn_dtype dtype);
/* name must be one of the names of op's attribute (asserted). */
tn_attr tn_attr_name(const tn_opdef *op, const char *attr, const char *name);
tn_attr tn_attr_ints(tn_module *module, const int64_t *ints, uint32_t n);
tn_attr tn_attr_dims(tn_module *module, const tn_dim *const *dims, uint32_t n);
tn_attr tn_attr_pairs(tn_module *module, const int64_t *pairs, uint32_t n_pairs);
tn_attr tn_attr_const(tn_const *constant);

/* Constants as values. Splats convert v to dtype as cast does. */
tn_value *tn_build_const(tn_build *b, tn_const *constant);
tn_value *tn_build_splat_f(tn_build *b, tn_dtype dtype, double v);
tn_value *tn_build_splat_i(tn_build *b, tn_dtype dtype, int64_t v);
/* A scalar splat broadcast to like's dims, of like's dtype. */
tn_value *tn_build_fill_like(tn_build *b, const tn_value *like, double v);

/* Elementwise on equal dims. */
tn_value *tn_build_unary(tn_build *b, tn_scalar scalar, tn_value *x);
tn_value *tn_build_binary(tn_build *b, tn_scalar scalar, tn_value *x, tn_value *y);
/* Elementwise with a number: y = splat of x's dtype, broadcast to x's dims. */
tn_value *tn_build_binary_f(tn_build *b, tn_scalar scalar, tn_value *x, double y);
tn_value *tn_build_select(tn_build *b, tn_value *condition, tn_value *x, tn_value *y);
tn_value *tn_build_cast(tn_build *b, tn_value *x, tn_dtype dtype); /* x itself when it has that dtype */

/* NumPy-style broadcasting (ONNX, language): brings n values to their common dims, inserting reshape and broadcast
 * nodes only where needed. TN_E_SHAPE when extents can never agree; guards where unknown. */
bool tn_build_broadcast_all(tn_build *b, tn_value **values, uint32_t n);
/* x broadcast to exactly these dims (aligned at the right). */
tn_value *tn_build_broadcast_to(tn_build *b, tn_value *x, const tn_dim *const *dims, uint32_t n);
/* The general form: x axis i becomes axis map[i]. */
tn_value *tn_build_broadcast_map(tn_build *b, tn_value *x, const tn_dim *const *dims, uint32_t n,
                                 const int64_t *map);

/* Structure. */
tn_value *tn_build_reshape(tn_build *b, tn_value *x, const tn_dim *const *dims, uint32_t n);
tn_value *tn_build_transpose(tn_build *b, tn_value *x, const int64_t *perm); /* x itself for the identity */
tn_value *tn_build_insert_axis(tn_build *b, tn_value *x, uint32_t axis);
tn_value *tn_build_drop_axis(tn_build *b, tn_value *x, uint32_t axis); /* extent 1, guarded */
/* start, size: one dim an axis; step: one an axis or NULL = 1. */
tn_value *tn_build_slice(tn_build *b, tn_value *x, const tn_dim *const *start, const tn_dim *const *size,
                         const int64_t *step);
/* One axis only. */
tn_value *tn_build_slice_axis(tn_build *b, tn_value *x, uint32_t axis, const tn_dim *start, const tn_dim *size,
                              int64_t step);
tn_value *tn_build_pad(tn_build *b, tn_value *x, tn_value *value, const tn_dim *const *lo, const tn_dim *const *hi);
tn_value *tn_build_concat(tn_build *b, tn_value *const *xs, uint32_t n, uint32_t axis);
tn_value *tn_build_gather_axis(tn_build *b, tn_value *x, tn_value *index, uint32_t axis);
tn_value *tn_build_iota(tn_build *b, const tn_dim *const *dims, uint32_t n, uint32_t axis, tn_dtype dtype);

/* Folds and products. op: "sum", "prod", "max", "min", "and", "or". keep leaves axes of extent 1. */
tn_value *tn_build_reduce(tn_build *b, const char *op, tn_value *x, const int64_t *axes, uint32_t n_axes, bool keep);
tn_value *tn_build_dot(tn_build *b, tn_value *x, tn_value *y, const int64_t *batch_pairs, uint32_t n_batch,
                       const int64_t *sum_pairs, uint32_t n_sum);
/* Matrix product of the last two axes, leading axes equal and batched. */
tn_value *tn_build_matmul(tn_build *b, tn_value *x, tn_value *y);

/* Shape values: i64[n] of dims, with index contents; and the way back: the contents of an integer vector as dims, from
 * its index value or, without one, through a dim_read node with range [lo, hi]. */
tn_value *tn_build_dim_value(tn_build *b, const tn_dim *const *dims, uint32_t n);
bool tn_build_read_dims(tn_build *b, tn_value *x, int64_t lo, int64_t hi, const tn_dim **out, uint32_t *out_n);
/* The same with a range for each element; x has a fixed length of at most 64 (asserted by the types it makes). An upper
 * end above 2^24 is taken as none. */
bool tn_build_read_dims_within(tn_build *b, tn_value *x, const int64_t *lo, const int64_t *hi, const tn_dim **out);

/* A number that is never above bound as a dim, through a dim_read node; bound is taken over symbols known at entry when
 * that can be. NULL when count is none or the node is wrong. */
const tn_dim *tn_build_read_count(tn_build *b, tn_value *count, const tn_dim *bound);

/* Normalises a possibly negative axis; TN_E_ATTR when outside [-ndim, ndim). */
bool tn_build_axis(tn_build *b, int64_t axis, uint32_t ndim, const char *what, uint32_t *out);

/* Nodes with regions (if, loop, scan): begin, fill each region, end.
 *
 *   tn_node *node = tn_build_begin(b, &tn_op_scan, operands, n, attrs);
 *   tn_build in = tn_build_region(node, 0);        // node->regions[0]->params are the region's parameters
 *   ... tn_value *h = node->regions[0]->params.data[0]; ... tn_build_return(&in, yields, n_yields);
 *   bool ok = tn_build_end(node);                  // node->results are there
 *
 * A region sees its parameters and what it makes itself, nothing else: what it uses from outside is an operand. begin
 * gives NULL when an operand is NULL or the node is wrong. */
tn_node *tn_build_begin(tn_build *b, const tn_opdef *op, tn_value *const *operands, uint32_t n_operands,
                        const tn_attr *attrs);
/* Regions are begun in order; the region's last node must be made by tn_build_return. */
tn_build tn_build_region(tn_node *node, uint32_t region);
bool tn_build_end(tn_node *node);

/* scan: carried values, sequences (each with its axis and direction), and values fixed for all iterations; the lists of
 * axes and directions go on with those of the stacked results. NULL lists are all 0: axis 0, forwards. */
typedef struct tn_build_scan {
  tn_value *const *carried, *const *sequences, *const *fixed;
  uint32_t n_carried, n_sequences, n_fixed, n_stacked;
  const int64_t *axes, *reverse; /* n_sequences + n_stacked entries, or NULL */
} tn_build_scan;
/* tn_build_begin with the operands and attributes in place. The region's parameters are the carried values, one slice
 * of each sequence, the fixed values; it yields the next carried values, then the values to stack. */
tn_node *tn_build_begin_scan(tn_build *b, const tn_build_scan *scan);
/* One more sequence, along its axis 0, for a scan whose region is being made; its slice, a parameter of the region. */
tn_value *tn_build_add_sequence(tn_node *scan, tn_value *sequence);

/* The results of a composite's expansion, made at b with node's location, in the module's arena; NULL when reported. An
 * entry may be NULL: a result that the expansion leaves out. */
tn_value **tn_build_expansion(tn_build *b, const tn_node *node);
/* node made again at b, operands that values (old to new) has replaced; what it gives is added to values. */
bool tn_build_clone_node(tn_build *b, const tn_node *node, tn_map *values);
/* The nodes of block made again at b, with args in the place of its parameters; out gets what its terminator's operands
 * become. False when a node is wrong at its new place (reported). */
bool tn_build_clone(tn_build *b, const tn_block *block, tn_value *const *args, tn_value **out);

/* Ends the block: op "return" of a function, "yield" of a region. */
void tn_build_return(tn_build *b, tn_value *const *values, uint32_t n);

#endif
