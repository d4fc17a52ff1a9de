/* Reverse mode at graph level (Griewank and Walther, Evaluating Derivatives, 2008, chapter 3): nodes are made that
 * compute the gradient of values of a block in others of the same block. Each op's record says what it adds to the
 * gradient of its operands (vjp), or why it has none (no_gradient); a composite without a vjp is differentiated
 * through its expansion, which is made beside it, so the forward nodes stay as they are and CSE later shares what is
 * equal.
 *
 * Only float values carry gradients: whatever goes through an integer, an index or a comparison adds nothing. */
#ifndef TN_IR_GRADIENT_H
#define TN_IR_GRADIENT_H

#include "ir/build.h"

/* What a vjp gets and gives: from dy, the gradient of each result (NULL = zero, at least one is there), dx, that of
 * each operand for which needed is true (preset to NULL, which means zero), of the operand's type. New nodes go to
 * build; operands and results of node may be used. */
struct tn_vjp {
  tn_build *build;
  const tn_node *node;
  tn_value *const *operands;
  tn_value *const *results;
  tn_value *const *dy;
  const bool *needed;
  tn_value **dx;
};

/* out[i] = the sum over k of the gradient of ys[k], weighted by dys[k] (of its type; NULL = ones), in xs[i], of
 * xs[i]'s type; zeros where no y depends on it. All ys and xs are of b's block, and b stands behind them. Every node
 * on a path from an x to a y that has no gradient is an error (TN_E_GRADIENT), all of them in one call. False when
 * reported. */
bool tn_gradient(tn_build *b, tn_value *const *ys, tn_value *const *dys, uint32_t n_ys, tn_value *const *xs,
                 uint32_t n_xs, tn_value **out);

/* The vjp of the elementwise primitives. */
bool tn_scalar_vjp(tn_vjp *v);

#endif
