/* argwindow: where the largest or smallest element of each sliding window lies. */
#include "ir/ops/export.h"
#include "ir/ops/sliding.h"
#include "ir/ops/spatial.h"

static const char *const ops[] = {"max", "min", NULL};

static bool infer_argwindow(tn_infer *infer) { return tn_sliding_infer(infer, TN_I64); }

static bool eval_argwindow(tn_eval *eval, const tn_node *node) {
  tn_tensor *out = tn_eval_result(eval, node, 0);
  tn_sliding sliding;
  if (out == NULL || !tn_sliding_start(eval, node, &sliding)) return false;
  if (out->count == 0) return true;
  int64_t index[TN_MAX_NDIM] = {0}, at = 0, winner;
  do {
    tn_sliding_fold(&sliding, index, &winner);
    out->data[at++].i = winner < 0 ? 0 : winner;
  } while (tn_index_next(index, out->extents, out->ndim));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attr_defs[] = {TN_SLIDING_ATTRS(ops)};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[1,2,5,5]"), "{op=max, axes=[2,3], size=[3,2], stride=[2,1], dilate=[1,2], lo=[1,0], hi=[1,1]}", 0, 0,
     "i64[1,2,3,4]"},
    {TN_TYPES("i8[2,4]"), "{op=min, axes=[1], size=[2], stride=[1], dilate=[1], lo=[0], hi=[0]}", -1, 1, "i64[2,3]"},
    {TN_TYPES("f32[B,6]"), "{op=max, axes=[1], size=[1], stride=[2], dilate=[1], lo=[0], hi=[0]}", 0, 0, "i64[B,3]"},
    {TN_TYPES("f32[0,4]"), "{op=max, axes=[1], size=[4], stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, "i64[0,1]"},
    {TN_TYPES("f32[4]"), "{op=max, axes=[0], size=[9], stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, NULL},
};

const tn_opdef tn_op_argwindow = {
    .name = "argwindow",
    .kind = TN_OP_PRIMITIVE,
    .doc = "The flat row-major position over the axes of the winner in each sliding window of `window`: the first of "
           "equal elements, a NaN before all numbers; padding never wins. A window without elements gives 0.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attr_defs),
    .infer = infer_argwindow,
    .eval = eval_argwindow,
    .export = tn_export_window,
    TN_SAMPLES(samples),
};
