/* transpose: result axis i is x's axis perm[i]. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/ops.h"
#include "ir/primitives.h"

enum { PERM };

static bool infer_transpose(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  const tn_attr *perm = &infer->attrs[PERM];
  if (!tn_infer_length(infer, "perm", perm, x->ndim) || !tn_infer_axes(infer, "perm", perm, x->ndim)) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) dims[i] = x->dims[perm->u.list.ints[i]];
  return tn_infer_result(infer, 0, x->dtype, x->ndim, dims);
}

static void transpose_index(tn_ctx *ctx, tn_node *node) {
  (void)ctx;
  const tn_dim *const *index = tn_index_of(node, 0);
  if (index != NULL) tn_index_set(node, index, node->operands[0].value->n_index);
}

static bool eval_transpose(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  int64_t from[TN_MAX_NDIM], strides[TN_MAX_NDIM];
  tn_tensor_strides(x, from);
  for (uint32_t i = 0; i < x->ndim; i++) strides[i] = from[node->attrs[PERM].u.list.ints[i]];
  tn_tensor_view(out, x, 0, strides);
  return true;
}

/* perm defaults to the reverse. */
static bool import_transpose(tn_foreign_node *node) {
  tn_value *x = tn_foreign_need(node, 0);
  const int64_t *perm;
  uint32_t n;
  if (x == NULL || !tn_foreign_ints(node, "perm", &perm, &n)) return false;
  uint32_t ndim = x->type->ndim;
  int64_t reverse[TN_MAX_NDIM];
  if (n == 0) {
    for (uint32_t i = 0; i < ndim; i++) reverse[i] = ndim - 1 - i;
    perm = reverse;
    n = ndim;
  }
  tn_attr attr = tn_attr_ints(node->build->module, perm, n);
  return tn_foreign_build(node, tn_op_find("transpose"), &x, 1, &attr);
}

static bool vjp_transpose(tn_vjp *v) {
  const int64_t *perm = v->node->attrs[PERM].u.list.ints;
  int64_t back[TN_MAX_NDIM];
  for (uint32_t i = 0; i < v->operands[0]->type->ndim; i++) back[perm[i]] = i;
  return (v->dx[0] = tn_build_transpose(v->build, v->dy[0], back)) != NULL;
}

/* A gather along one axis has the index' axes in front, ONNX' Gather has them in the axis' place: when this puts them
 * there, the two are one operator. */
static bool export_gathered(tn_export *x, const tn_node *node) {
  const tn_node *gather = node->operands[0].value->def;
  if (!gather || gather->op != &tn_op_gather || gather->n_operands != 2) return false;
  int64_t axis = tn_node_attr(gather, "axes")->u.list.ints[0];
  uint32_t n_index = gather->operands[1].value->type->ndim;
  const int64_t *perm = node->attrs[PERM].u.list.ints;
  for (uint32_t i = 0; i < node->results[0]->type->ndim; i++) {
    int64_t from = (int64_t)i < axis ? n_index + i : (int64_t)i < axis + n_index ? (int64_t)i - axis : (int64_t)i;
    if (perm[i] != from) return false;
  }
  tn_export_emit(x, "Gather", 0, TN_NAMES(tn_export_operand(x, gather, 0), tn_export_operand(x, gather, 1)),
                 TN_FOREIGN(tn_foreign_of_int("axis", axis)), tn_export_result(x, node, 0));
  return true;
}

static bool export_transpose(tn_export *x, const tn_node *node) {
  const tn_attr *perm = &node->attrs[PERM];
  if (!export_gathered(x, node))
    tn_export_transpose(x, tn_export_operand(x, node, 0), perm->u.list.ints, perm->u.list.n,
                        tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY | TN_DTYPE_BIT(TN_STR), TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "perm", .kind = TN_ATTR_INTS, .required = true}};
static const tn_onnx_row onnx[] = {{"", "Transpose", 1, 0, import_transpose}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,4]"), "{perm=[2,0,1]}", 0, 0, "f32[4,2,3]"},
    {TN_TYPES("f32[B,1]"), "{perm=[1,0]}", 0, 0, "f32[1,B]"},
    {TN_TYPES("i8[0,3]"), "{perm=[1,0]}", 0, 0, "i8[3,0]"},
    {TN_TYPES("f32[2,3]"), "{perm=[0,0]}", 0, 0, NULL},
    {TN_TYPES("f32[2,3]"), "{perm=[0]}", 0, 0, NULL},
};

const tn_opdef tn_op_transpose = {
    .name = "transpose",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Result axis i is x's axis perm[i].",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_SHAPE_ONLY,
    .infer = infer_transpose,
    .index = transpose_index,
    .eval = eval_transpose,
    .vjp = vjp_transpose,
    TN_ONNX(onnx),
    .export = export_transpose,
    TN_SAMPLES(samples),
};
