/* if: one of two regions over the same operands. */
#include <string.h>

#include "ir/ops/export.h"
#include "ir/ops/onnx.h"
#include "ir/ops/region_gradient.h"
#include "ir/primitives.h"

/* The branches' results must agree; sizes that differ would be known only while running. */
static bool same_extents(const tn_infer *infer, uint32_t result, const tn_type *type, const tn_type *other) {
  if (type->ndim != other->ndim || type->dtype != other->dtype)
    return tn_infer_same_type(infer, other, type, "result", result);
  for (uint32_t i = 0; i < type->ndim; i++) {
    if (tn_func_dims_equal(infer->func, type->dims[i], other->dims[i])) continue;
    tn_buf text = tn_buf_create(infer->ctx->arena);
    tn_dim_print(type->dims[i], &text);
    tn_buf_puts(&text, " and ");
    tn_dim_print(other->dims[i], &text);
    return tn_infer_error(infer, TN_E_SHAPE, "result %u, axis %u: the branches give %s, not known to be equal",
                          result, i, text.data);
  }
  return true;
}

static bool infer_if(tn_infer *infer) {
  if (infer->operands[0]->type->ndim != 0) return tn_infer_rank(infer, 0, 0);
  if (infer->node->n_regions < 2) {
    infer->n_results = 0; /* the regions are not there yet */
    return true;
  }
  if (!tn_infer_regions(infer)) return false;
  const tn_node *yes = infer->node->regions[0]->last, *no = infer->node->regions[1]->last;
  if (yes->n_operands != no->n_operands || yes->n_operands > TN_MAX_RESULTS)
    return tn_infer_error(infer, TN_E_ARITY, "the branches yield %u and %u values: expected as many, at most %d",
                          yes->n_operands, no->n_operands, TN_MAX_RESULTS);
  bool ok = true;
  for (uint32_t i = 0; i < yes->n_operands; i++) {
    infer->types[i] = yes->operands[i].value->type;
    ok &= same_extents(infer, i, infer->types[i], no->operands[i].value->type);
  }
  infer->n_results = yes->n_operands;
  return ok;
}

static void if_params(const tn_node *node, uint32_t region, tn_region_param *out, uint32_t *out_n) {
  (void)region;
  for (uint32_t i = 1; i < node->n_operands; i++)
    out[i - 1] = (tn_region_param){node->operands[i].value->type, TN_PARAM_FIXED, i};
  *out_n = node->n_operands - 1;
}

static bool eval_if(tn_eval *eval, const tn_node *node) {
  const tn_block *chosen = node->regions[tn_eval_operand(eval, node, 0)->data[0].i != 0 ? 0 : 1];
  tn_arena *arena = tn_arena_create_scratch(eval->arena);
  tn_eval inner = tn_eval_inner(eval, arena);
  const tn_tensor **args = TN_NEW_N(arena, const tn_tensor *, node->n_operands), *yields[TN_MAX_RESULTS];
  for (uint32_t i = 1; i < node->n_operands; i++) args[i - 1] = tn_eval_operand(eval, node, i);
  bool ok = tn_eval_block(&inner, chosen, args, node->n_operands - 1, yields);
  for (uint32_t i = 0; i < node->n_results && ok; i++) {
    tn_tensor *out = tn_eval_result(eval, node, i);
    ok = out != NULL;
    if (ok) memcpy(out->data, yields[i]->data, (size_t)out->count * sizeof *out->data);
  }
  tn_eval_end(&inner);
  tn_arena_destroy(arena);
  return ok;
}

static bool export_if(tn_export *x, const tn_node *node) {
  static const char *const branches[] = {"then_branch", "else_branch"};
  tn_foreign_attr attrs[2];
  const char *outputs[TN_MAX_RESULTS];
  for (uint32_t k = 0; k < 2; k++) {
    const tn_block *block = node->regions[k];
    attrs[k] = tn_foreign_of_graph(branches[k], tn_export_begin_body(x, branches[k]));
    for (size_t i = 0; i < block->params.n; i++)
      tn_export_alias(x, block->params.data[i], tn_export_operand(x, node, (uint32_t)i + 1));
    tn_export_block(x, block);
    tn_export_end_body(x);
  }
  for (uint32_t i = 0; i < node->n_results; i++) outputs[i] = tn_export_result(x, node, i);
  tn_export_emit_many(x, "If", 0, TN_NAMES(tn_export_operand(x, node, 0)), attrs, 2, outputs, node->n_results);
  return true;
}

static const tn_operand_def operands[] = {{"condition", TN_ONE, TN_SET_BOOL, TN_ROLE_DATA, NULL, 0},
                                          {"x", TN_VARIADIC, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_onnx_row onnx[] = {{"", "If", 1, 0, tn_import_if}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[]", "f32[2]"), NULL, 0, 0, NULL},
    {TN_TYPES("bool[1]", "f32[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_if = {
    .name = "if",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Runs its first region when the condition holds, else the second; both take the operands behind the "
           "condition and yield values of equal types.",
    TN_OPERANDS(operands),
    .n_results = 0,
    .n_regions = 2,
    .infer = infer_if,
    .params = if_params,
    .eval = eval_if,
    .vjp = tn_if_vjp,
    TN_ONNX(onnx),
    .export = export_if,
    TN_SAMPLES(samples),
};
