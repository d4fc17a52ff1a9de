/* scatter_elements: x with single elements replaced or combined, along one axis (ONNX Scatter, ScatterElements). */
#include "ir/ops/indexing.h"

extern const tn_opdef tn_op_scatter_elements;

enum { AXIS, REDUCTION };

static const char *const reductions[] = {"none", "add", "mul", "min", "max", NULL};
static const char *const modes[] = {"set", "add", "mul", "min", "max"};

static bool infer_scatter_elements(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type, *index = infer->operands[1]->type, *u = infer->operands[2]->type;
  bool ok = tn_infer_rank(infer, 1, x->ndim);
  ok = tn_infer_rank(infer, 2, x->ndim) && ok;
  if (!ok || !tn_infer_axis(infer, "axis", infer->attrs[AXIS].u.i, x->ndim)) return false;
  for (uint32_t i = 0; i < x->ndim; i++) {
    ok = tn_func_require_eq(infer->func, u->dims[i], index->dims[i], infer->loc, "'scatter_elements': updates, axis %u",
                            i) && ok;
    if (i != infer->attrs[AXIS].u.i)
      ok = tn_func_require_le(infer->func, index->dims[i], x->dims[i], infer->loc, "'scatter_elements': axis %u", i) &&
           ok;
  }
  infer->types[0] = x;
  return ok;
}

static bool expand_scatter_elements(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  uint32_t axis = (uint32_t)node->attrs[AXIS].u.i;
  tn_value *indices[TN_MAX_NDIM];
  int64_t axes[TN_MAX_NDIM];
  const tn_type *x = operands[0]->type;
  if (!tn_build_elements_index(b, operands[1], axis, x->dims[axis], indices, axes)) return false;
  out[0] = tn_build_scatter(b, operands[0], operands[2], indices, axes, x->ndim, modes[node->attrs[REDUCTION].u.i]);
  return out[0] != NULL;
}

static bool import_scatter_elements(tn_foreign_node *node) {
  tn_value *operands[] = {tn_foreign_need(node, 0), tn_foreign_need(node, 1), tn_foreign_need(node, 2)};
  int64_t axis, reduction;
  uint32_t at;
  if (operands[0] == NULL || operands[1] == NULL || operands[2] == NULL || !tn_foreign_int(node, "axis", 0, &axis) ||
      !tn_foreign_choice(node, "reduction", reductions, 0, &reduction) ||
      !tn_build_axis(node->build, axis, operands[0]->type->ndim, "axis", &at))
    return false;
  tn_attr attrs[] = {tn_attr_int(at), tn_attr_int(reduction)};
  return tn_foreign_build(node, &tn_op_scatter_elements, operands, 3, attrs);
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                          {"index", TN_ONE, TN_SET_INDEX, TN_ROLE_INDEX, NULL, 0},
                                          {"updates", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attrs[] = {{.name = "axis", .kind = TN_ATTR_INT, .required = true},
                                    {.name = "reduction", .kind = TN_ATTR_NAME, .names = reductions}};
static const tn_onnx_row onnx[] = {{"", "Scatter", 9, 10, import_scatter_elements},
                                   {"", "ScatterElements", 11, 0, import_scatter_elements}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3,4]", "i64[3,2]", "f32[3,2]"), "{axis=1, reduction=add}", 0, 0, "f32[3,4]"},
    {TN_TYPES("f32[5]", "i32[B]", "f32[B]"), "{axis=0, reduction=max}", 0, 0, "f32[5]"},
    {TN_TYPES("i64[3,4]", "i64[2,0]", "i64[2,0]"), "{axis=1}", 0, 0, "i64[3,4]"},
    {TN_TYPES("f32[3,4]", "i64[3,2]", "f32[3,1]"), "{axis=1}", 0, 0, NULL},
    {TN_TYPES("f32[3,4]", "i64[4,2]", "f32[4,2]"), "{axis=1}", 0, 0, NULL},
};

const tn_opdef tn_op_scatter_elements = {
    .name = "scatter_elements",
    .kind = TN_OP_COMPOSITE,
    .doc = "x with updates[i..] put (none) or combined in at coordinate i.. whose `axis` is replaced by index[i..], in "
           "row-major order of i; negative indices count from the end.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_scatter_elements,
    .expand = expand_scatter_elements,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
