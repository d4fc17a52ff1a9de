/* Graphs inside nodes (the branches of If, the bodies of Loop and Scan) as regions. A region sees nothing from outside
 * but its parameters, so what a body uses is found before and becomes parameters; constants are made again inside. */
#include <string.h>

#include "frontend/onnx/import.h"

/* The names that the body takes from the graphs around it and that are no constants there. */
static void captured_names(const tn_body *body, tn_map *out) {
  tn_scope *scope = body->scope;
  tn_map names = tn_map_create(scope->importer->scratch);
  *out = tn_map_create(scope->importer->scratch);
  tn_scope_free_names(scope->importer, body->graph, &names);
  for (size_t i = 0; i < names.n; i++) {
    const char *name = (const char *)names.entries[i].key;
    const tn_binding *binding = tn_scope_find(scope, name);
    if (binding != NULL && binding->constant == NULL) tn_map_set(out, name, (void *)binding);
  }
}

bool tn_body_describe(tn_foreign_node *node, void *graph, tn_foreign_graph *out) {
  const tn_body *body = graph;
  tn_map names;
  captured_names(body, &names);
  tn_value **captures = TN_NEW_N(body->scope->importer->scratch, tn_value *, names.n);
  for (size_t i = 0; i < names.n; i++) {
    bool poisoned = false;
    captures[i] = tn_scope_value(body->scope, (const char *)names.entries[i].key, node->loc, &poisoned);
    if (poisoned) return false;
  }
  *out = (tn_foreign_graph){.n_inputs = (uint32_t)body->graph->n_input, .n_outputs = (uint32_t)body->graph->n_output,
                            .captures = captures, .n_captures = (uint32_t)names.n};
  return true;
}

static void bind_param(tn_scope *inner, const char *name, tn_value *param, tn_loc loc) {
  tn_binding *binding = tn_scope_declare(inner, name, loc);
  if (binding == NULL) return;
  binding->from = TN_BOUND_INPUT;
  binding->state = TN_BINDING_READY;
  binding->value = param;
}

static bool yield_outputs(tn_scope *inner, const tn_onnx_graph *graph, tn_loc loc) {
  tn_value **outputs = TN_NEW_N(inner->importer->scratch, tn_value *, graph->n_output);
  bool ok = true;
  for (size_t i = 0; i < graph->n_output; i++) {
    bool poisoned = false;
    const char *name = graph->output[i]->name != NULL ? graph->output[i]->name : "";
    outputs[i] = tn_scope_value(inner, name, loc, &poisoned);
    ok = ok && !poisoned;
  }
  if (ok) tn_build_return(&inner->build, outputs, (uint32_t)graph->n_output);
  return ok;
}

bool tn_body_import(tn_foreign_node *node, void *graph, tn_block *into) {
  const tn_body *body = graph;
  tn_importer *importer = body->scope->importer;
  tn_scope inner = tn_scope_create(importer, into);
  size_t *order, n, n_inputs = body->graph->n_input;
  tn_map names;
  captured_names(body, &names);
  if (into->params.n != n_inputs + names.n)
    return tn_error(importer->ctx, node->loc, TN_E_ARITY, "a body of '%s' has %zu inputs, expected %zu", node->op,
                    n_inputs, into->params.n - (into->params.n < names.n ? into->params.n : names.n));
  inner.outer = body->scope;
  inner.call = body->scope->call;
  inner.opsets = body->scope->opsets;
  inner.n_opsets = body->scope->n_opsets;
  inner.label = tn_namef(importer->ctx, "%s%s%s", body->scope->label, body->scope->label[0] != '\0' ? "/" : "",
                         tn_onnx_display(importer->ctx, body->graph->name));
  for (size_t i = 0; i < n_inputs; i++) {
    const char *name = body->graph->input[i]->name;
    bind_param(&inner, name != NULL ? name : "", into->params.data[i], node->loc);
  }
  for (size_t i = 0; i < names.n; i++)
    bind_param(&inner, (const char *)names.entries[i].key, into->params.data[n_inputs + i], node->loc);
  tn_scope_declare_graph(&inner, body->graph);
  tn_scope_order(&inner, NULL, 0, &order, &n);
  tn_import_nodes(&inner, order, n);
  return yield_outputs(&inner, body->graph, node->loc);
}
