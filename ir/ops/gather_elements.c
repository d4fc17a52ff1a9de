/* gather_elements: one element for each index, along one axis (ONNX GatherElements). */
#include "ir/ops/indexing.h"

extern const tn_opdef tn_op_gather_elements;

enum { AXIS };

static bool infer_gather_elements(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type, *index = infer->operands[1]->type;
  if (!tn_infer_rank(infer, 1, x->ndim) || !tn_infer_axis(infer, "axis", infer->attrs[AXIS].u.i, x->ndim))
    return false;
  bool ok = true;
  for (uint32_t i = 0; i < x->ndim; i++)
    if (i != infer->attrs[AXIS].u.i)
      ok = tn_func_require_le(infer->func, index->dims[i], x->dims[i], infer->loc, "'gather_elements': axis %u", i) &&
           ok;
  return ok && tn_infer_result(infer, 0, x->dtype, index->ndim, index->dims);
}

static bool expand_gather_elements(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  uint32_t axis = (uint32_t)node->attrs[AXIS].u.i;
  tn_value *indices[TN_MAX_NDIM];
  int64_t axes[TN_MAX_NDIM];
  const tn_type *x = operands[0]->type;
  if (!tn_build_elements_index(b, operands[1], axis, x->dims[axis], indices, axes)) return false;
  out[0] = tn_build_gather(b, operands[0], indices, axes, x->ndim);
  return out[0] != NULL;
}

static bool import_gather_elements(tn_foreign_node *node) {
  tn_value *operands[] = {tn_foreign_need(node, 0), tn_foreign_need(node, 1)};
  int64_t axis;
  uint32_t at;
  if (operands[0] == NULL || operands[1] == NULL || !tn_foreign_int(node, "axis", 0, &axis) ||
      !tn_build_axis(node->build, axis, operands[0]->type->ndim, "axis", &at))
    return false;
  return tn_foreign_build(node, &tn_op_gather_elements, operands, 2, &(tn_attr){.present = true, .u.i = at});
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                          {"index", TN_ONE, TN_SET_INDEX, TN_ROLE_INDEX, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "axis", .kind = TN_ATTR_INT, .required = true}};
static const tn_onnx_row onnx[] = {{"", "GatherElements", 11, 0, import_gather_elements}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3,4]", "i64[3,2]"), "{axis=1}", 0, 0, "f32[3,2]"},
    {TN_TYPES("i32[5]", "i32[B]"), "{axis=0}", 0, 0, "i32[B]"},
    {TN_TYPES("f32[3,4]", "i64[2,0]"), "{axis=1}", 0, 0, "f32[2,0]"},
    {TN_TYPES("f32[3,4]", "i64[4,2]"), "{axis=1}", 0, 0, NULL},
    {TN_TYPES("f32[3,4]", "i64[3]"), "{axis=0}", 0, 0, NULL},
};

const tn_opdef tn_op_gather_elements = {
    .name = "gather_elements",
    .kind = TN_OP_COMPOSITE,
    .doc = "y[i..] = x[i..] with coordinate `axis` replaced by index[i..]; negative indices count from the end.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_gather_elements,
    .expand = expand_gather_elements,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
