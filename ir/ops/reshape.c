/* reshape: the same elements in row-major order under other extents. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

#include <string.h>

enum { DIMS };

static bool infer_reshape(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  const tn_attr *dims = &infer->attrs[DIMS];
  tn_ctx *ctx = infer->ctx;
  bool ok = true;
  for (uint32_t i = 0; i < dims->u.list.n; i++) ok = tn_infer_extent(infer, "an extent", dims->u.list.dims[i]) && ok;
  if (!tn_infer_result(infer, 0, x->dtype, dims->u.list.n, dims->u.list.dims)) return false;
  const tn_dim *from = tn_type_count(ctx, x), *to = tn_type_count(ctx, infer->types[0]);
  return tn_func_require_eq(infer->func, to, from, infer->loc, "'reshape': number of elements of %s",
                            tn_infer_operand(infer, 0)) && ok;
}

static void reshape_index(tn_ctx *ctx, tn_node *node) {
  (void)ctx;
  const tn_dim *const *index = tn_index_of(node, 0), *traced[TN_MAX_INDEX];
  uint32_t n = 0;
  if (index != NULL) tn_index_set(node, index, node->operands[0].value->n_index);
  else if (node->results[0]->type->ndim == 1 && tn_index_trace(node->operands[0].value, traced, &n))
    tn_index_set(node, traced, n);
}

static bool eval_reshape(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  if (out->count != x->count)
    return tn_error(eval->ctx, node->loc, TN_E_SHAPE, "'reshape': %lld elements cannot become %lld",
                    (long long)x->count, (long long)out->count);
  memcpy(out->data, x->data, (size_t)x->count * sizeof *x->data);
  return true;
}

static bool vjp_reshape(tn_vjp *v) {
  const tn_type *type = v->operands[0]->type;
  return (v->dx[0] = tn_build_reshape(v->build, v->dy[0], type->dims, type->ndim)) != NULL;
}

static bool export_reshape(tn_export *x, const tn_node *node) {
  const tn_type *to = node->results[0]->type;
  return tn_export_reshape(x, tn_export_operand(x, node, 0), node->operands[0].value->type, to->dims, to->ndim,
                           tn_export_result(x, node, 0)) != NULL;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY | TN_DTYPE_BIT(TN_STR), TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "dims", .kind = TN_ATTR_DIMS, .required = true}};
static const tn_onnx_row onnx[] = {
    {"", "Reshape", 1, 0, tn_import_reshape},
    {"", "Flatten", 1, 0, tn_import_flatten},
    {"", "Squeeze", 1, 0, tn_import_squeeze},
    {"", "Unsqueeze", 1, 0, tn_import_unsqueeze},
    {"", "Identity", 1, 0, tn_import_identity},
    {"", "Dropout", 1, 0, tn_import_dropout},
    {"", "DepthToSpace", 1, 0, tn_import_depth_to_space},
    {"", "SpaceToDepth", 1, 0, tn_import_space_to_depth},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,4]"), "{dims=[4,6]}", 0, 0, "f32[4,6]"},
    {TN_TYPES("f32[B,3,4]"), "{dims=[B,12]}", 0, 0, "f32[B,12]"},
    {TN_TYPES("i32[]"), "{dims=[1,1]}", 0, 0, "i32[1,1]"},
    {TN_TYPES("f32[0,3]"), "{dims=[5,0]}", 0, 0, "f32[5,0]"},
    {TN_TYPES("f32[2,3]"), "{dims=[5]}", 0, 0, NULL},
};

const tn_opdef tn_op_reshape = {
    .name = "reshape",
    .kind = TN_OP_PRIMITIVE,
    .doc = "The same elements in row-major order; the numbers of elements must be equal.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_SHAPE_ONLY,
    .infer = infer_reshape,
    .index = reshape_index,
    .eval = eval_reshape,
    .vjp = vjp_reshape,
    TN_ONNX(onnx),
    .export = export_reshape,
    TN_SAMPLES(samples),
};
