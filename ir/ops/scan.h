/* The attributes of scan, for the files that read them by position. */
#ifndef TN_IR_OPS_SCAN_H
#define TN_IR_OPS_SCAN_H

#include "ir/graph.h"

enum { TN_SCAN_N_CARRIED, TN_SCAN_N_SEQ, TN_SCAN_AXIS, TN_SCAN_REVERSE };

/* Entry k of a list (AXIS, REVERSE) that goes over the sequences and then the stacked results; what it lacks is 0. */
static inline int64_t tn_scan_entry(const tn_attr *list, uint32_t k) {
  return k < list->u.list.n ? list->u.list.ints[k] : 0;
}

#endif
