/* dim_value: extents as an integer vector. */
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

enum { DIMS };

static bool infer_dim_value(tn_infer *infer) {
  const tn_dim *n = tn_dim_const(infer->ctx, infer->attrs[DIMS].u.list.n);
  return tn_infer_result(infer, 0, TN_I64, 1, &n);
}

static void dim_value_index(tn_ctx *ctx, tn_node *node) {
  (void)ctx;
  tn_index_set(node, node->attrs[DIMS].u.list.dims, node->attrs[DIMS].u.list.n);
}

static bool eval_dim_value(tn_eval *eval, const tn_node *node) {
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  for (uint32_t i = 0; i < node->attrs[DIMS].u.list.n; i++)
    if (!tn_eval_dim(eval, node->attrs[DIMS].u.list.dims[i], &out->data[i].i)) return false;
  return true;
}

static bool export_dim_value(tn_export *x, const tn_node *node) {
  const tn_attr *dims = &node->attrs[DIMS];
  const char *name = tn_export_dims(x, dims->u.list.dims, dims->u.list.n);
  if (name) tn_export_unary(x, "Identity", name, tn_export_result(x, node, 0));
  return name != NULL;
}

static const tn_attr_def attrs[] = {{.name = "dims", .kind = TN_ATTR_DIMS, .required = true}};
static const tn_onnx_row onnx[] = {
    {"", "Shape", 1, 0, tn_import_shape},
    {"", "Size", 1, 0, tn_import_size},
};
static const tn_op_sample samples[] = {
    {TN_NO_TYPES, "{dims=[2,7]}", 0, 0, "i64[2]"},
    {TN_NO_TYPES, "{dims=[]}", 0, 0, "i64[0]"},
};

const tn_opdef tn_op_dim_value = {
    .name = "dim_value",
    .kind = TN_OP_PRIMITIVE,
    .doc = "An i64 vector of these extents.",
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_dim_value,
    .index = dim_value_index,
    .eval = eval_dim_value,
    TN_ONNX(onnx),
    .export = export_dim_value,
    TN_SAMPLES(samples),
};
