/* batch_norm: normalisation with given statistics, one a channel (axis 1). */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"

enum { EPSILON };

static bool infer_batch_norm(tn_infer *infer) {
  infer->types[0] = infer->operands[0]->type;
  return tn_infer_channels(infer, 5);
}

/* The factor is made per channel, so it folds when the statistics are constants. */
static bool expand_batch_norm(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *v[5];
  for (int i = 0; i < 5; i++) v[i] = tn_compose_wide(b, operands[i]);
  if (v[0]->type->dtype != v[3]->type->dtype) v[0] = tn_build_cast(b, v[0], v[3]->type->dtype);
  for (int i = 1; i < 3; i++) v[i] = tn_build_cast(b, v[i], v[3]->type->dtype);
  tn_value *deviation = tn_build_unary(b, TN_SQRT, tn_build_binary_f(b, TN_ADD, v[4], tn_attr_f(node, EPSILON)));
  tn_value *factor = tn_build_binary(b, TN_DIV, v[1], deviation);
  tn_value *y = tn_build_binary(b, TN_SUB, v[0], tn_compose_along(b, v[3], v[0], 1));
  y = tn_build_binary(b, TN_MUL, y, tn_compose_along(b, factor, v[0], 1));
  y = tn_build_binary(b, TN_ADD, y, tn_compose_along(b, v[2], v[0], 1));
  *out = tn_compose_narrow(b, y, operands[0]);
  return *out != NULL;
}

/* ONNX' momentum is what the running statistics keep. */
static bool import_training(tn_foreign_node *node, double epsilon, double momentum) {
  const tn_opdef *op = tn_op_find("batch_norm_training");
  tn_attr attrs[3] = {tn_attr_float(epsilon), tn_attr_float(1 - momentum), tn_attr_bool(false)};
  tn_value *in[5];
  for (uint32_t i = 0; i < 5; i++) in[i] = node->inputs[i];
  for (uint32_t i = 2; i < 5; i += 2) /* the record wants one type for each pair */
    in[i] = tn_build_cast(node->build, in[i], in[i - 1]->type->dtype);
  tn_node *made = tn_build_node(node->build, op, in, 5, attrs);
  bool ok = made != NULL;
  for (uint32_t i = 0; ok && i < 3 && i < node->n_outputs; i++) ok = tn_foreign_set(node, i, made->results[i]);
  return ok;
}

static bool import_batch_norm(tn_foreign_node *node) {
  int64_t training, spatial;
  double epsilon, momentum;
  for (uint32_t i = 0; i < 5; i++)
    if (tn_foreign_need(node, i) == NULL) return false;
  if (!tn_foreign_float(node, "epsilon", 1e-5, &epsilon) || !tn_foreign_float(node, "momentum", 0.9, &momentum) ||
      !tn_foreign_int(node, "training_mode", 0, &training) || !tn_foreign_int(node, "spatial", 1, &spatial))
    return false;
  if (node->version < 7) { /* inference must be asked for */
    int64_t is_test;
    if (!tn_foreign_int(node, "is_test", 0, &is_test)) return false;
    training = is_test == 0;
  }
  if (spatial == 0) return tn_foreign_unsupported(node, "spatial=0");
  if (training != 0) return import_training(node, epsilon, momentum);
  tn_attr attr = tn_attr_float(epsilon);
  tn_value *in[5] = {node->inputs[0], node->inputs[1], node->inputs[2], node->inputs[3], node->inputs[4]};
  return tn_foreign_set(node, 0, tn_build_op(node->build, tn_op_find("batch_norm"), in, 5, &attr));
}

static bool export_batch_norm(tn_export *x, const tn_node *node) {
  const char *inputs[5];
  for (uint32_t i = 0; i < 5; i++) inputs[i] = tn_export_operand(x, node, i);
  tn_export_emit(x, "BatchNormalization", 0, inputs, 5,
                 TN_FOREIGN(tn_foreign_of_float("epsilon", node->attrs[EPSILON].u.f)), tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                              {"scale", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                              {"bias", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "scale", 0},
                                              {"mean", TN_ONE, TN_SET_FLOAT, TN_ROLE_STATE, NULL, 0},
                                              {"variance", TN_ONE, TN_SET_FLOAT, TN_ROLE_STATE, "mean", 0}};
static const tn_attr_def attrs[] = {{.name = "epsilon", .kind = TN_ATTR_FLOAT, .default_f = 1e-5}};
static const tn_onnx_row onnx[] = {{"", "BatchNormalization", 1, 0, import_batch_norm}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,4]", "f32[3]", "f32[3]", "f32[3]", "f32[3]"), NULL, 0.5, 2, "f32[2,3,4]"},
    {TN_TYPES("f16[B,3]", "f32[3]", "f32[3]", "f32[3]", "f32[3]"), "{epsilon=0.001}", 0.5, 2, "f16[B,3]"},
    {TN_TYPES("f64[0,1,2]", "f64[1]", "f64[1]", "f64[1]", "f64[1]"), NULL, 0.5, 2, "f64[0,1,2]"},
    {TN_TYPES("f32[2,3]", "f32[3]", "f32[3]", "f32[4]", "f32[3]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[3]", "f32[3]", "f32[3]", "f32[3]", "f32[3]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_batch_norm = {
    .name = "batch_norm",
    .kind = TN_OP_COMPOSITE,
    .doc = "(x - mean) * (scale / sqrt(variance + epsilon)) + bias, each a vector along axis 1.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_batch_norm,
    .expand = expand_batch_norm,
    TN_ONNX(onnx),
    .export = export_batch_norm,
    TN_SAMPLES(samples),
};
