/* The derivatives of the ops with regions. */
#ifndef TN_IR_OPS_REGION_GRADIENT_H
#define TN_IR_OPS_REGION_GRADIENT_H

#include "ir/gradient.h"

/* block made anew at in, over args, and the gradients of its float results, of which dys are given (NULL = zero), in
 * those of args for which wanted holds; in order, in out. results: what block yields, made anew. */
bool tn_region_gradient(tn_build *in, const tn_block *block, tn_value *const *args, const bool *wanted,
                        uint32_t n_args, tn_value *const *dys, tn_value **results, tn_value **out);

bool tn_if_vjp(tn_vjp *v);
bool tn_scan_vjp(tn_vjp *v);

#endif
