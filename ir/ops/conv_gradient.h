/* The gradient of a convolution's weights, which conv and conv_dx share. */
#ifndef TN_IR_OPS_CONV_GRADIENT_H
#define TN_IR_OPS_CONV_GRADIENT_H

#include "ir/gradient.h"

/* dw[o, c, k] = sum over n, p of x[n, c, p*stride - lo + k*dilate] * y[n, o, p], of w's type. attrs: conv's (stride,
 * dilate, lo, hi, groups, acc). */
tn_value *tn_conv_weight_gradient(tn_build *b, tn_value *x, tn_value *y, const tn_type *w, const tn_attr *attrs);

#endif
