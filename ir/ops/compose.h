/* What the expansions of composites share. */
#ifndef TN_IR_OPS_COMPOSE_H
#define TN_IR_OPS_COMPOSE_H

#include "ir/ops/ops.h"

extern const tn_opdef tn_op_sigmoid;

/* x in the type its composite computes in: f32 for narrower floats, so that only the result is rounded to them. */
tn_value *tn_compose_wide(tn_build *b, tn_value *x);
/* y in the type of like. */
tn_value *tn_compose_narrow(tn_build *b, tn_value *y, const tn_value *like);
/* A fold over axes, repeated along them again: x's dims. axes ascend. */
tn_value *tn_compose_fold(tn_build *b, const char *op, tn_value *x, const int64_t *axes, uint32_t n_axes);
/* y, which lacks the axes of like that are listed (ascending), repeated along them. */
tn_value *tn_compose_spread(tn_build *b, tn_value *y, const tn_value *like, const int64_t *axes, uint32_t n_axes);
/* v of one dim along axis of like, repeated along the others. */
tn_value *tn_compose_along(tn_build *b, tn_value *v, const tn_value *like, uint32_t axis);
/* The number of elements on axes as a scalar of like's type, repeated to y's dims. */
tn_value *tn_compose_count(tn_build *b, const tn_value *x, const int64_t *axes, uint32_t n_axes, const tn_value *y);
/* Mean over axes, which are dropped. */
tn_value *tn_compose_mean(tn_build *b, tn_value *x, const int64_t *axes, uint32_t n_axes);
/* The elements of x at positions along axis, which vary as positions do: NumPy's take_along_axis. positions: the rank
 * of x; its extents on other axes are at most x's. */
tn_value *tn_compose_take_along(tn_build *b, tn_value *x, tn_value *positions, uint32_t axis);
/* x along axis at positions, an index vector. */
tn_value *tn_compose_take_axis(tn_build *b, tn_value *x, tn_value *positions, uint32_t axis);
/* Element i of a vector, as a scalar. */
tn_value *tn_compose_entry(tn_build *b, tn_value *vector, uint32_t i);
/* A dim as a scalar value of dtype. */
tn_value *tn_compose_dim(tn_build *b, const tn_dim *dim, tn_dtype dtype);
/* A scalar repeated to like's dims. */
tn_value *tn_compose_repeat(tn_build *b, tn_value *scalar, const tn_value *like);
/* x as differentiation sees a constant, for cells and the like whose choice has no derivative. */
tn_value *tn_compose_constant(tn_build *b, tn_value *x);
/* The float attribute at position i of node. */
double tn_attr_f(const tn_node *node, uint32_t i);

/* x normalised over axes: (x - mean) / sqrt(variance + epsilon), variance as the mean of squared differences. What goes
 * out (each may be NULL) lacks the axes; *out_inverse is 1 / sqrt(variance + epsilon). */
tn_value *tn_compose_normalize(tn_build *b, tn_value *x, const int64_t *axes, uint32_t n_axes, double epsilon,
                               tn_value **out_mean, tn_value **out_variance, tn_value **out_inverse);
/* The gradient of x from that of the normalised y: factor (dy - sum / n - y slope / n), n the number of elements on
 * axes. sum and slope are those of dy and of dy y over axes; factor, which lacks the axes, is the inverse, times what
 * is taken out of dy, sum and slope. */
tn_value *tn_compose_normalize_vjp(tn_build *b, tn_value *dy, tn_value *y, tn_value *factor, tn_value *sum,
                                   tn_value *slope, const int64_t *axes, uint32_t n_axes);

#endif
