/* Functions of a model: collected by domain, name and overload, checked for recursion and for how much they grow to,
 * and inlined where they are called. */
#include <string.h>

#include "frontend/onnx/import.h"

enum { MAX_CALL_DEPTH = 64 };
/* Functions may make a graph at most this much larger than the file that holds it. */
enum { FREE_NODES = 50000, GROWTH = 4 };

static const char *function_key(tn_ctx *ctx, const char *domain, const char *name, const char *overload) {
  return tn_namef(ctx, "%s:%s:%s", tn_onnx_domain(domain), name != NULL ? name : "",
                  overload != NULL ? overload : "");
}

static tn_loc function_loc(const tn_importer *importer, const Onnx__FunctionProto *proto) {
  return tn_loc_onnx(importer->ctx, importer->file, tn_onnx_display(importer->ctx, proto->name), -1, "", "", 0);
}

bool tn_functions_collect(tn_importer *importer) {
  tn_ctx *ctx = importer->ctx;
  bool ok = true;
  for (size_t i = 0; i < importer->model->n_functions; i++) {
    const Onnx__FunctionProto *proto = importer->model->functions[i];
    const char *key = function_key(ctx, proto->domain, proto->name, proto->overload);
    if (tn_map_has(&importer->functions, key)) {
      ok = tn_error(ctx, function_loc(importer, proto), TN_E_ONNX_DUPLICATE, "function '%s' is defined twice",
                    tn_onnx_display(ctx, key));
      continue;
    }
    tn_local_function *function = TN_NEW(importer->scratch, tn_local_function);
    function->proto = proto;
    tn_map_set(&importer->functions, key, function);
  }
  return ok;
}

tn_local_function *tn_function_find(const tn_importer *importer, const tn_onnx_node *node) {
  if (importer->functions.n == 0) return NULL;
  return tn_map_get(&importer->functions, function_key(importer->ctx, node->domain, node->op_type, node->overload));
}

static uint64_t add_capped(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

/* Nodes after inlining; false when a function calls itself, directly or through others, or calls go too deep. The
 * recursion here is bounded by that depth and by the nesting of graphs in the file. */
static bool count_nodes(tn_importer *importer, tn_onnx_node *const *nodes, size_t n, int depth, uint64_t *out);

static bool count_function(tn_importer *importer, tn_local_function *function, int depth) {
  tn_loc loc = function_loc(importer, function->proto);
  if (function->state == TN_FUNCTION_COUNTED) return true;
  if (function->state == TN_FUNCTION_COUNTING)
    return tn_error(importer->ctx, loc, TN_E_ONNX_FUNCTION, "the function calls itself");
  if (depth == MAX_CALL_DEPTH)
    return tn_error(importer->ctx, loc, TN_E_LIMIT, "functions call each other deeper than %d", MAX_CALL_DEPTH);
  function->state = TN_FUNCTION_COUNTING;
  if (!count_nodes(importer, function->proto->node, function->proto->n_node, depth + 1, &function->n_nodes))
    return false;
  function->state = TN_FUNCTION_COUNTED;
  return true;
}

static bool count_nodes(tn_importer *importer, tn_onnx_node *const *nodes, size_t n, int depth, uint64_t *out) {
  *out = add_capped(*out, n);
  for (size_t i = 0; i < n; i++) {
    tn_local_function *function = nodes[i]->op_type != NULL ? tn_function_find(importer, nodes[i]) : NULL;
    if (function != NULL && !count_function(importer, function, depth)) return false;
    if (function != NULL) *out = add_capped(*out, function->n_nodes);
    for (size_t k = 0; k < nodes[i]->n_attribute; k++) {
      const tn_onnx_graph *body = nodes[i]->attribute[k]->g;
      if (body != NULL && !count_nodes(importer, body->node, body->n_node, depth, out)) return false;
    }
  }
  return true;
}

bool tn_functions_check(tn_importer *importer) {
  const tn_onnx_graph *graph = importer->model->graph;
  uint64_t total = 0, in_file = graph->n_node;
  if (importer->functions.n == 0) return true;
  for (size_t i = 0; i < importer->model->n_functions; i++) in_file += importer->model->functions[i]->n_node;
  if (!count_nodes(importer, graph->node, graph->n_node, 0, &total)) return false;
  uint64_t limit = FREE_NODES + GROWTH * in_file;
  if (total <= limit) return true;
  return tn_error(importer->ctx, tn_loc_file(importer->ctx, importer->file), TN_E_LIMIT,
                  "inlining its functions makes %llu nodes of %llu, more than %llu", (unsigned long long)total,
                  (unsigned long long)in_file, (unsigned long long)limit);
}

/* Inputs of the function stand for the caller's values; those left out for none. */
static void bind_inputs(tn_scope *inner, const Onnx__FunctionProto *proto, const tn_foreign_node *call) {
  for (size_t i = 0; i < proto->n_input; i++) {
    tn_binding *binding = tn_scope_declare(inner, proto->input[i], call->loc);
    if (binding == NULL) continue;
    binding->from = TN_BOUND_INPUT;
    binding->state = TN_BINDING_READY;
    binding->value = i < call->n_inputs ? call->inputs[i] : NULL;
    binding->is_omitted = binding->value == NULL;
  }
}

bool tn_function_inline(tn_scope *scope, size_t node_index, tn_local_function *function, tn_foreign_node *call) {
  tn_importer *importer = scope->importer;
  const Onnx__FunctionProto *proto = function->proto;
  tn_call frame = {.function = function, .attrs = call->attrs, .n_attrs = call->n_attrs};
  tn_scope inner = tn_scope_create(importer, scope->build.block);
  size_t *order, n, before = importer->ctx->n_errors;
  if (call->n_inputs > proto->n_input || call->n_outputs > proto->n_output)
    return tn_error(importer->ctx, call->loc, TN_E_ARITY,
                    "function '%s' has %zu inputs and %zu outputs, the node has %u and %u",
                    tn_onnx_display(importer->ctx, proto->name), proto->n_input, proto->n_output, call->n_inputs,
                    call->n_outputs);
  inner.call = &frame;
  inner.label = tn_namef(importer->ctx, "%s%s%s@%zu", scope->label, scope->label[0] != '\0' ? "/" : "",
                         tn_onnx_display(importer->ctx, proto->name), node_index);
  inner.opsets = proto->opset_import;
  inner.n_opsets = proto->n_opset_import;
  inner.nodes = proto->node;
  inner.n_nodes = proto->n_node;
  bind_inputs(&inner, proto, call);
  tn_scope_declare_nodes(&inner);
  tn_scope_order(&inner, NULL, 0, &order, &n);
  tn_import_nodes(&inner, order, n);
  for (uint32_t i = 0; i < call->n_outputs; i++) {
    bool poisoned = false;
    if (!call->wanted[i]) continue;
    call->outputs[i] = tn_scope_value(&inner, proto->output[i], call->loc, &poisoned);
  }
  return importer->ctx->n_errors == before;
}
