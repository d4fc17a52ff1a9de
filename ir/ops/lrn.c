/* lrn: local response normalisation across channels (Krizhevsky et al., 2012). */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"

enum { SIZE, ALPHA, BETA, BIAS };

static bool infer_lrn(tn_infer *infer) {
  infer->types[0] = infer->operands[0]->type;
  return tn_infer_min_rank(infer, 0, 2);
}

static bool expand_lrn(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *x = tn_compose_wide(b, operands[0]), *square = tn_build_binary(b, TN_MUL, x, x);
  int64_t axis = 1, size = node->attrs[SIZE].u.i, one = 1;
  const tn_dim *lo = tn_dim_const(b->ctx, (size - 1) / 2), *hi = tn_dim_const(b->ctx, size - 1 - (size - 1) / 2);
  const tn_opdef *op = tn_op_find("window");
  tn_attr attrs[] = {tn_attr_name(op, "op", "sum"), tn_attr_ints(b->module, &axis, 1),
                     tn_attr_ints(b->module, &size, 1), tn_attr_ints(b->module, &one, 1),
                     tn_attr_ints(b->module, &one, 1), tn_attr_dims(b->module, &lo, 1),
                     tn_attr_dims(b->module, &hi, 1)};
  tn_value *sum = tn_build_op(b, op, &square, 1, attrs);
  tn_value *base = tn_build_binary_f(b, TN_MUL, sum, tn_attr_f(node, ALPHA) / (double)size);
  base = tn_build_binary_f(b, TN_ADD, base, tn_attr_f(node, BIAS));
  tn_value *y = tn_build_binary(b, TN_DIV, x, tn_build_binary_f(b, TN_POW, base, tn_attr_f(node, BETA)));
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

static bool export_lrn(tn_export *x, const tn_node *node) {
  if (node->results[0]->type->ndim != 4) return false; /* programs that read ONNX know images only */
  tn_export_emit(x, "LRN", 0, TN_NAMES(tn_export_operand(x, node, 0)),
                 TN_FOREIGN(tn_foreign_of_int("size", node->attrs[SIZE].u.i),
                            tn_foreign_of_float("alpha", node->attrs[ALPHA].u.f),
                            tn_foreign_of_float("beta", node->attrs[BETA].u.f),
                            tn_foreign_of_float("bias", node->attrs[BIAS].u.f)), tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {
    {.name = "size", .kind = TN_ATTR_INT, .required = true, .min_i = 1, .max_i = INT32_MAX},
    {.name = "alpha", .kind = TN_ATTR_FLOAT, .default_f = 1e-4},
    {.name = "beta", .kind = TN_ATTR_FLOAT, .default_f = 0.75},
    {.name = "bias", .kind = TN_ATTR_FLOAT, .default_f = 1.0}};
static const tn_onnx_row onnx[] = {{"", "LRN", 1, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,5,3]"), "{size=3}", 0, 0, "f32[2,5,3]"},
    {TN_TYPES("f64[B,4]"), "{size=2, alpha=0.5, beta=0.5, bias=2}", 0, 0, "f64[B,4]"},
    {TN_TYPES("f16[0,1,2]"), "{size=1}", 0, 0, "f16[0,1,2]"},
    {TN_TYPES("f32[5]"), "{size=3}", 0, 0, NULL},
    {TN_TYPES("f32[2,5]"), "{size=0}", 0, 0, NULL},
};

const tn_opdef tn_op_lrn = {
    .name = "lrn",
    .kind = TN_OP_COMPOSITE,
    .doc = "x / (bias + alpha / size * sum of x^2 over `size` channels around each)^beta; the channels are axis 1.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_lrn,
    .expand = expand_lrn,
    TN_ONNX(onnx),
    .export = export_lrn,
    TN_SAMPLES(samples),
};
