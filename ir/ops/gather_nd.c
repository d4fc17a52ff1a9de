/* gather_nd: slices of x at points whose coordinates lie along the last axis of index (ONNX GatherND). */
#include "ir/ops/indexing.h"

enum { BATCH };

static bool infer_gather_nd(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type, *index = infer->operands[1]->type;
  uint32_t n_batch = (uint32_t)infer->attrs[BATCH].u.i, n = 0;
  if (!tn_infer_min_rank(infer, 1, n_batch + 1) || !tn_infer_min_rank(infer, 0, n_batch)) return false;
  const tn_dim *k = index->dims[index->ndim - 1], *dims[2 * TN_MAX_NDIM];
  if (!tn_dim_is_const(k) || tn_dim_value(k) < 1 || tn_dim_value(k) > (int64_t)x->ndim - (int64_t)n_batch)
    return tn_infer_error(infer, TN_E_SHAPE, "the last axis of index must hold 1 to %u coordinates, found %s",
                          x->ndim - n_batch, tn_infer_operand(infer, 1));
  bool ok = true;
  for (uint32_t i = 0; i < n_batch; i++)
    ok = tn_func_require_eq(infer->func, index->dims[i], x->dims[i], infer->loc, "'gather_nd': batch axis %u", i) && ok;
  for (uint32_t i = 0; i + 1 < index->ndim; i++) dims[n++] = index->dims[i];
  for (uint32_t i = n_batch + (uint32_t)tn_dim_value(k); i < x->ndim; i++) dims[n++] = x->dims[i];
  return ok && tn_infer_result(infer, 0, x->dtype, n, dims);
}

static bool expand_gather_nd(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *indices[TN_MAX_NDIM];
  int64_t axes[TN_MAX_NDIM];
  uint32_t n;
  if (!tn_build_nd_index(b, operands[0], operands[1], (uint32_t)node->attrs[BATCH].u.i, indices, axes, &n))
    return false;
  out[0] = tn_build_gather(b, operands[0], indices, axes, n);
  return out[0] != NULL;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                          {"index", TN_ONE, TN_SET_INDEX, TN_ROLE_INDEX, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "batch_dims", .kind = TN_ATTR_INT, .min_i = 0, .max_i = TN_MAX_NDIM}};
static const tn_onnx_row onnx[] = {{"", "GatherND", 11, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3,4]", "i64[5,2]"), NULL, 0, 0, "f32[5]"},
    {TN_TYPES("f32[3,4]", "i64[B,1]"), NULL, 0, 0, "f32[B,4]"},
    {TN_TYPES("i8[2,3,4]", "i64[2,1]"), "{batch_dims=1}", 0, 0, "i8[2,4]"},
    {TN_TYPES("f32[3,4]", "i64[3]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[3,4]", "i64[2,B]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[3,4]", "i64[2,1]"), "{batch_dims=1}", 0, 0, NULL},
};

const tn_opdef tn_op_gather_nd = {
    .name = "gather_nd",
    .kind = TN_OP_COMPOSITE,
    .doc = "index's last axis holds coordinates in x's axes after batch_dims; result: index's other axes, then x's axes "
           "that no coordinate names. Negative coordinates count from the end.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_gather_nd,
    .expand = expand_gather_nd,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
