/* A model as part of another graph: its inputs are the arguments of a call. */
#include <string.h>

#include "frontend/onnx/import.h"

static tn_loc input_loc(const tn_importer *importer, const char *name) {
  return tn_loc_onnx(importer->ctx, importer->file, "", -1, tn_onnx_display(importer->ctx, name), "", 0);
}

static bool is_initialiser(const tn_onnx_graph *graph, const char *name) {
  for (size_t i = 0; i < graph->n_initializer; i++)
    if (graph->initializer[i]->name && strcmp(graph->initializer[i]->name, name) == 0) return true;
  return false;
}

/* The argument for the input that is the position-th; NULL: none. */
static const tn_onnx_argument *find_argument(const tn_onnx_part *part, const char *name, uint32_t position) {
  for (uint32_t i = 0; i < part->n_args; i++)
    if (part->args[i].name ? strcmp(part->args[i].name, name) == 0 : i == position) return &part->args[i];
  return NULL;
}

static void bind_input(tn_scope *scope, const Onnx__ValueInfoProto *input, const tn_onnx_argument *argument) {
  tn_importer *importer = scope->importer;
  tn_loc loc = input_loc(importer, input->name);
  tn_binding *binding = tn_scope_declare(scope, input->name, loc);
  if (binding == NULL) return;
  binding->from = TN_BOUND_INPUT;
  binding->state = TN_BINDING_POISONED;
  if (argument == NULL) {
    tn_error(importer->ctx, importer->part->loc, TN_E_LANG_ARGUMENT, "argument '%s' of %s is missing",
             tn_onnx_display(importer->ctx, input->name), importer->part->called);
    tn_note(importer->ctx, loc, "it is an input of this model");
  } else if (tn_dims_meet(importer, input, argument->value, argument->loc)) {
    binding->state = TN_BINDING_READY;
    binding->value = argument->value;
  }
}

static void unknown_argument(const tn_importer *importer, const tn_onnx_argument *argument,
                             const char *const *names, size_t n) {
  if (argument->name)
    tn_error(importer->ctx, argument->loc, TN_E_LANG_ARGUMENT, "%s has no argument '%s'", importer->part->called,
             argument->name);
  else
    tn_error(importer->ctx, argument->loc, TN_E_LANG_ARGUMENT, "%s takes %zu arguments, this is one more",
             importer->part->called, n);
  const char *near = argument->name ? tn_str_nearest(argument->name, names, n) : NULL;
  if (near) tn_help(importer->ctx, "did you mean '%s'?", near);
  for (size_t i = 0; i < n && i < 16; i++)
    tn_note(importer->ctx, input_loc(importer, names[i]), "it has the input '%s'",
            tn_onnx_display(importer->ctx, names[i]));
}

void tn_part_declare_inputs(tn_scope *scope, const tn_onnx_graph *graph) {
  tn_importer *importer = scope->importer;
  const tn_onnx_part *part = importer->part;
  const char **names = TN_NEW_N(importer->scratch, const char *, graph->n_input);
  bool *used = TN_NEW_N(importer->scratch, bool, part->n_args);
  uint32_t n = 0;
  for (size_t i = 0; i < graph->n_input; i++) {
    const char *name = graph->input[i]->name;
    if (name == NULL || name[0] == '\0') {
      tn_error(importer->ctx, tn_loc_file(importer->ctx, importer->file), TN_E_ONNX_MODEL,
               "graph input %zu has no name", i);
      continue;
    }
    if (is_initialiser(graph, name)) continue;
    const tn_onnx_argument *argument = find_argument(part, name, n);
    if (argument) used[argument - part->args] = true;
    bind_input(scope, graph->input[i], argument);
    names[n++] = name;
  }
  for (uint32_t i = 0; i < part->n_args; i++)
    if (!used[i]) unknown_argument(importer, &part->args[i], names, n);
}

static void add_weight(const tn_scope *scope, const char *name) {
  tn_ctx *ctx = scope->importer->ctx;
  const tn_binding *binding = name ? tn_scope_find(scope, name) : NULL;
  if (!binding || !binding->constant || !tn_dtype_is_float(binding->constant->type->dtype)) return;
  tn_onnx_weight weight = {tn_onnx_display(ctx, binding->name), binding->constant};
  TN_VEC_PUSH(ctx->arena, &scope->importer->part->weights, weight);
}

/* A Constant with more than one element: what PaddlePaddle's files have in the place of initialisers. */
static bool is_tensor_node(const tn_onnx_node *node) {
  bool is_constant = node->op_type && strcmp(node->op_type, "Constant") == 0 && !*tn_onnx_domain(node->domain);
  const Onnx__AttributeProto *attribute = is_constant && node->n_attribute == 1 && node->n_output == 1
                                              ? node->attribute[0] : NULL;
  const Onnx__TensorProto *tensor = attribute ? attribute->t : NULL;
  bool is_many = false;
  for (size_t i = 0; tensor && i < tensor->n_dims; i++) is_many |= tensor->dims[i] > 1;
  return is_many;
}

void tn_part_finish(tn_scope *scope, const tn_onnx_graph *graph) {
  tn_importer *importer = scope->importer;
  tn_ctx *ctx = importer->ctx;
  tn_onnx_part *part = importer->part;
  if (graph->n_output == 0)
    tn_error(ctx, tn_loc_file(ctx, importer->file), TN_E_ONNX_MODEL, "the graph has no outputs");
  for (size_t i = 0; i < graph->n_output; i++) {
    bool poisoned = false;
    const char *name = graph->output[i]->name ? graph->output[i]->name : "";
    tn_onnx_output output = {tn_onnx_display(ctx, name), NULL};
    output.value = tn_scope_value(scope, name, input_loc(importer, name), &poisoned);
    TN_VEC_PUSH(ctx->arena, &part->outputs, output);
  }
  for (size_t i = 0; i < graph->n_initializer; i++) add_weight(scope, graph->initializer[i]->name);
  bool has_initialisers = part->weights.n > 0;
  for (size_t i = 0; i < graph->n_node && !has_initialisers; i++)
    if (is_tensor_node(graph->node[i])) add_weight(scope, graph->node[i]->output[0]);
}
