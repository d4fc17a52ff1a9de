/* fence: an identity that CSE, folding and fusion do not cross. One that is `body` marks what the body of a loop goes
 * on from, for the remat pass, which removes it. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/ops.h"

#include <string.h>

static bool infer_fence(tn_infer *infer) {
  if (infer->n_operands > TN_MAX_RESULTS)
    return tn_infer_error(infer, TN_E_ARITY, "at most %d operands", TN_MAX_RESULTS);
  for (uint32_t i = 0; i < infer->n_operands; i++) infer->types[i] = infer->operands[i]->type;
  infer->n_results = infer->n_operands;
  return true;
}

static bool eval_fence(tn_eval *eval, const tn_node *node) {
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_tensor *x = tn_eval_operand(eval, node, i);
    tn_tensor *out = tn_eval_result(eval, node, i);
    if (out == NULL) return false;
    memcpy(out->data, x->data, (size_t)x->count * sizeof *x->data);
  }
  return true;
}

static bool vjp_fence(tn_vjp *v) {
  for (uint32_t i = 0; i < v->node->n_operands; i++) v->dx[i] = v->dy[i];
  return true;
}

static bool export_fence(tn_export *x, const tn_node *node) {
  for (uint32_t i = 0; i < node->n_operands; i++)
    tn_export_unary(x, "Identity", tn_export_operand(x, node, i), tn_export_result(x, node, i));
  return true;
}

static const tn_operand_def operands[] = {
    {"x", TN_VARIADIC, TN_SET_ANY | TN_DTYPE_BIT(TN_STR), TN_ROLE_DATA, NULL, 1}};
static const tn_attr_def attrs[] = {{.name = "body", .kind = TN_ATTR_BOOL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]"), NULL, 0, 0, "f32[2,3]"},
    {TN_TYPES("f32[B,0]", "i8[]"), NULL, 0, 0, "f32[B,0], i8[]"},
    {TN_TYPES("f32[3]"), "{body=true}", 0, 0, "f32[3]"},
    {TN_NO_TYPES, NULL, 0, 0, NULL},
};

const tn_opdef tn_op_fence = {
    .name = "fence",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Its operands, unchanged; CSE, folding and fusion do not cross it. body: what a loop's body goes on from.",
    TN_OPERANDS(operands),
    TN_ATTRS(attrs),
    .n_results = 0,
    .traits = TN_TRAIT_FENCE,
    .infer = infer_fence,
    .eval = eval_fence,
    .vjp = vjp_fence,
    .export = export_fence,
    TN_SAMPLES(samples),
};
