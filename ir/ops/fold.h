/* Folds and sums of products as the reference computes them: in ascending order, in the accumulator's type, each
 * product entering its sum unrounded (ir/IR.md section 7). */
#ifndef TN_IR_OPS_FOLD_H
#define TN_IR_OPS_FOLD_H

#include "ir/ops/ops.h"
#include "ir/kernel.h"

typedef struct tn_accumulator {
  bool exact;
  tn_dtype from, acc, to;
} tn_accumulator;

/* The accumulator's type: the attribute, or the default for dtype. */
tn_dtype tn_acc_dtype(tn_dtype dtype, const tn_attr *acc);
/* Result type of a sum of products: integers keep the accumulator's. */
tn_dtype tn_product_dtype(tn_dtype dtype, const tn_attr *acc);
/* acc is of dtype's kind (float or integer), when given. */
bool tn_infer_acc(const tn_infer *infer, const tn_attr *acc, tn_dtype dtype);

tn_accumulator tn_accumulator_of(const tn_eval *eval, tn_dtype from, const tn_attr *acc, tn_dtype to);
/* totals[i] += p * q[i]. */
void tn_accumulate_row(const tn_accumulator *sum, tn_number *totals, tn_number p, const tn_number *q, int64_t n);
/* *total += p * q in the accumulator's type; tn_accumulate_end rounds it to the result's. */
void tn_accumulate_product(const tn_accumulator *sum, tn_number *total, tn_number p, tn_number q);
tn_number tn_accumulate_end(const tn_accumulator *sum, tn_number total);

/* Names of fold ops in the order of tn_fold. */
extern const char *const tn_fold_names[];
tn_number tn_fold_step(tn_fold fold, tn_dtype dtype, bool exact, tn_number total, tn_number v);
/* Bool and string operands where they make no sense are refused. */
bool tn_infer_fold(const tn_infer *infer, tn_fold fold, tn_dtype dtype);

#endif
