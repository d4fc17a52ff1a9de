/* Terminators: `return` ends a function, `yield` a region. Their operands are the block's results. */
#include "ir/op.h"

static const tn_operand_def values[] = {
    {.name = "values", .arity = TN_VARIADIC, .dtypes = TN_SET_ANY | TN_DTYPE_BIT(TN_STR)},
};

static bool infer_nothing(tn_infer *infer) {
  infer->n_results = 0;
  return true;
}

const tn_opdef tn_op_return = {
    .name = "return",
    .kind = TN_OP_TERMINATOR,
    .doc = "Ends a function: its operands are the function's results.",
    .operands = values,
    .n_operands = TN_ARRAY_LEN(values),
    .traits = TN_TRAIT_EFFECT,
    .infer = infer_nothing,
};

const tn_opdef tn_op_yield = {
    .name = "yield",
    .kind = TN_OP_TERMINATOR,
    .doc = "Ends a region: its operands are the results of one run of the region.",
    .operands = values,
    .n_operands = TN_ARRAY_LEN(values),
    .traits = TN_TRAIT_EFFECT,
    .infer = infer_nothing,
};
