/* The derivatives of the ops with regions. */
#ifndef TN_IR_OPS_REGION_GRADIENT_H
#define TN_IR_OPS_REGION_GRADIENT_H

#include "ir/gradient.h"

bool tn_if_vjp(tn_vjp *v);
bool tn_scan_vjp(tn_vjp *v);

#endif
