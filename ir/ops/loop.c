/* loop: a region again and again while a condition holds. What goes over a known number of positions is a scan. */
#include <string.h>

#include "ir/ops/export.h"
#include "ir/ops/onnx.h"
#include "ir/primitives.h"

enum { N_CARRIED };

static uint32_t n_carried(const tn_node *node) { return (uint32_t)node->attrs[N_CARRIED].u.i; }

static bool infer_loop(tn_infer *infer) {
  uint32_t n = n_carried(infer->node);
  if (infer->operands[0]->type->ndim != 0) return tn_infer_rank(infer, 0, 0);
  if (n >= infer->n_operands)
    return tn_infer_error(infer, TN_E_ARITY, "a condition and %u carried values, %u operands", n, infer->n_operands);
  if (infer->node->n_regions == 0) {
    infer->n_results = 0; /* the region is not there yet */
    return true;
  }
  if (!tn_infer_regions(infer)) return false;
  const tn_node *yield = infer->node->regions[0]->last;
  if (yield->n_operands != n + 1)
    return tn_infer_error(infer, TN_E_ARITY, "the region yields %u values: expected the condition and %u",
                          yield->n_operands, n);
  bool ok = tn_infer_same_type(infer, yield->operands[0].value->type, infer->operands[0]->type, "condition", 0);
  for (uint32_t i = 0; i < n; i++) {
    infer->types[i] = infer->operands[1 + i]->type;
    ok &= tn_infer_same_type(infer, yield->operands[1 + i].value->type, infer->types[i], "carried value", i);
  }
  infer->n_results = n;
  return ok;
}

static void loop_params(const tn_node *node, uint32_t region, tn_region_param *out, uint32_t *out_n) {
  (void)region;
  for (uint32_t i = 1; i < node->n_operands; i++)
    out[i - 1] = (tn_region_param){node->operands[i].value->type,
                                   i <= n_carried(node) ? TN_PARAM_CARRIED : TN_PARAM_FIXED, i};
  *out_n = node->n_operands - 1;
}

/* One run of the region: *condition and the results are what it yields. */
static bool run_once(tn_eval *eval, const tn_node *node, tn_tensor **results, bool *condition) {
  uint32_t n = n_carried(node);
  tn_arena *arena = tn_arena_create_scratch(eval->arena);
  tn_eval inner = tn_eval_inner(eval, arena);
  const tn_tensor **args = TN_NEW_N(arena, const tn_tensor *, node->n_operands), *yields[TN_MAX_RESULTS + 1];
  tn_number **next = TN_NEW_N(arena, tn_number *, n);
  for (uint32_t i = 1; i < node->n_operands; i++)
    args[i - 1] = i <= n ? results[i - 1] : tn_eval_operand(eval, node, i);
  bool ok = tn_eval_block(&inner, node->regions[0], args, node->n_operands - 1, yields);
  for (uint32_t i = 0; i < n && ok; i++)
    next[i] = tn_arena_copy(arena, yields[1 + i]->data, (size_t)results[i]->count * sizeof **next);
  for (uint32_t i = 0; i < n && ok; i++)
    memcpy(results[i]->data, next[i], (size_t)results[i]->count * sizeof **next);
  *condition = ok && yields[0]->data[0].i != 0;
  tn_eval_end(&inner);
  tn_arena_destroy(arena);
  return ok;
}

static bool eval_loop(tn_eval *eval, const tn_node *node) {
  tn_tensor *results[TN_MAX_RESULTS];
  for (uint32_t i = 0; i < node->n_results; i++) {
    if ((results[i] = tn_eval_result(eval, node, i)) == NULL) return false;
    memcpy(results[i]->data, tn_eval_operand(eval, node, 1 + i)->data,
           (size_t)results[i]->count * sizeof *results[i]->data);
  }
  bool condition = tn_eval_operand(eval, node, 0)->data[0].i != 0;
  while (condition)
    if (!run_once(eval, node, results, &condition)) return false;
  return true;
}

/* Without a number of iterations. The body of ONNX is given their count and the condition, which are not used. */
static bool export_loop(tn_export *x, const tn_node *node) {
  const tn_block *block = node->regions[0];
  uint32_t n = n_carried(node);
  const char *inputs[TN_MAX_RESULTS + 2] = {"", tn_export_operand(x, node, 0)}, *outputs[TN_MAX_RESULTS];
  tn_export_graph *body = tn_export_begin_body(x, "body");
  tn_export_input(x, "iteration", tn_type_scalar(x->ctx, TN_I64));
  tn_export_input(x, "condition", tn_type_scalar(x->ctx, TN_BOOL));
  for (size_t i = n; i < block->params.n; i++)
    tn_export_alias(x, block->params.data[i], tn_export_operand(x, node, (uint32_t)i + 1));
  tn_export_block(x, block);
  tn_export_end_body(x);
  for (uint32_t i = 0; i < n; i++) {
    inputs[i + 2] = tn_export_operand(x, node, i + 1);
    outputs[i] = tn_export_result(x, node, i);
  }
  tn_export_emit_many(x, "Loop", 0, inputs, n + 2, TN_FOREIGN(tn_foreign_of_graph("body", body)), outputs, n);
  return true;
}

static const tn_operand_def operands[] = {{"condition", TN_ONE, TN_SET_BOOL, TN_ROLE_DATA, NULL, 0},
                                          {"x", TN_VARIADIC, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {
    {.name = "n_carried", .kind = TN_ATTR_INT, .required = true, .min_i = 0, .max_i = TN_MAX_RESULTS - 1}};
static const tn_onnx_row onnx[] = {{"", "Loop", 1, 0, tn_import_loop}};
static const tn_op_sample samples[] = {
    {TN_TYPES("bool[]", "f32[2]"), "{n_carried=2}", 0, 0, NULL},
    {TN_TYPES("i64[]", "f32[2]"), "{n_carried=1}", 0, 0, NULL},
};

const tn_opdef tn_op_loop = {
    .name = "loop",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Runs its region while a condition holds, first the operand, then what the region yields first. n_carried "
           "values of fixed types go from run to run, the operands behind them stay the same; the results are the last "
           "carried values.",
    TN_OPERANDS(operands),
    .n_results = 0,
    TN_ATTRS(attrs),
    .n_regions = 1,
    .infer = infer_loop,
    .params = loop_params,
    .eval = eval_loop,
    .no_gradient = "how often it runs is known only afterwards (a scan has one)",
    TN_ONNX(onnx),
    .export = export_loop,
    TN_SAMPLES(samples),
};
