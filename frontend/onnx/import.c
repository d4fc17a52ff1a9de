/* A model becomes a module: inputs, nodes, outputs of the main graph. */
#include "frontend/onnx/import.h"

#include <inttypes.h>
#include <string.h>

#include "frontend/onnx/wire.h"

enum { MAX_OPERATOR_SETS = 64 };

static tn_loc model_loc(const tn_importer *importer) { return tn_loc_file(importer->ctx, importer->file); }

static tn_loc tensor_loc(const tn_importer *importer, const char *name) {
  return tn_loc_onnx(importer->ctx, importer->file, "", -1, tn_onnx_display(importer->ctx, name), "", 0);
}

static bool check_opsets(tn_importer *importer) {
  const Onnx__ModelProto *model = importer->model;
  tn_ctx *ctx = importer->ctx;
  bool ok = true;
  if (model->n_opset_import == 0)
    return tn_error(ctx, model_loc(importer), TN_E_ONNX_OPSET, "the model declares no operator set");
  if (model->n_opset_import > MAX_OPERATOR_SETS)
    return tn_error(ctx, model_loc(importer), TN_E_LIMIT, "the model declares %zu operator sets, more than %d",
                    model->n_opset_import, MAX_OPERATOR_SETS);
  for (size_t i = 0; i < model->n_opset_import; i++) {
    const char *domain = tn_onnx_domain(model->opset_import[i]->domain);
    int64_t version = model->opset_import[i]->version;
    for (size_t k = 0; k < i; k++) {
      const Onnx__OperatorSetIdProto *other = model->opset_import[k];
      if (strcmp(tn_onnx_domain(other->domain), domain) == 0 && other->version != version)
        ok = tn_error(ctx, model_loc(importer), TN_E_ONNX_DUPLICATE,
                      "operator set '%s' is declared twice, as version %" PRId64 " and %" PRId64,
                      tn_onnx_display(ctx, domain), other->version, version);
    }
    if (domain[0] == '\0' && (version < TN_ONNX_MIN_OPSET || version > TN_ONNX_MAX_OPSET))
      ok = tn_error(ctx, model_loc(importer), TN_E_ONNX_OPSET,
                    "operator set version %" PRId64 ": expected %d to %d, this one is too %s", version,
                    TN_ONNX_MIN_OPSET, TN_ONNX_MAX_OPSET, version < TN_ONNX_MIN_OPSET ? "old" : "new");
  }
  return ok;
}

static bool is_initialiser(const tn_map *initialisers, const tn_importer *importer, const char *name) {
  return tn_map_has(initialisers, tn_name(importer->ctx, name)) && !tn_dims_has_shape_option(importer, name);
}

static void declare_input(tn_scope *scope, const Onnx__ValueInfoProto *input) {
  tn_importer *importer = scope->importer;
  tn_loc loc = tensor_loc(importer, input->name);
  tn_binding *binding = tn_scope_declare(scope, input->name, loc);
  if (binding == NULL) return;
  tn_loc_push(importer->ctx, loc);
  const tn_type *type = tn_dims_input_type(importer, input, loc);
  tn_loc_pop(importer->ctx);
  binding->from = TN_BOUND_INPUT;
  binding->state = type != NULL ? TN_BINDING_READY : TN_BINDING_POISONED;
  if (type != NULL)
    binding->value = tn_block_add_param(scope->build.block, type,
                                        tn_onnx_display(importer->ctx, input->name));
}

/* An initialiser that is listed among the inputs, as all are before IR version 4, is of the type listed there. */
static void check_initialiser(const tn_importer *importer, const Onnx__ValueInfoProto *input,
                              const Onnx__TensorProto *tensor) {
  const Onnx__TypeProto *type = input->type;
  if (type == NULL || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) return;
  const Onnx__TypeProto__Tensor *listed = type->tensor_type;
  const Onnx__TensorShapeProto *shape = listed->shape;
  tn_loc loc = tensor_loc(importer, input->name);
  if (listed->elem_type != 0 && listed->elem_type != tensor->data_type)
    tn_error(importer->ctx, loc, TN_E_ONNX_TYPE, "graph input '%s' is declared %s, its initialiser is %s",
             tn_onnx_display(importer->ctx, input->name), tn_onnx_dtype_name(listed->elem_type),
             tn_onnx_dtype_name(tensor->data_type));
  if (shape == NULL) return;
  if (shape->n_dim != tensor->n_dims) {
    tn_error(importer->ctx, loc, TN_E_ONNX_TYPE, "graph input '%s' is declared of rank %zu, its initialiser has %zu",
             tn_onnx_display(importer->ctx, input->name), shape->n_dim, tensor->n_dims);
    return;
  }
  for (size_t i = 0; i < shape->n_dim; i++) {
    const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
    if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value != tensor->dims[i])
      tn_error(importer->ctx, loc, TN_E_ONNX_TYPE,
               "graph input '%s' axis %zu is declared %lld, its initialiser has %lld",
               tn_onnx_display(importer->ctx, input->name), i, (long long)dim->dim_value, (long long)tensor->dims[i]);
  }
}

static void declare_inputs(tn_scope *scope, const tn_onnx_graph *graph) {
  tn_importer *importer = scope->importer;
  if (importer->part && importer->part->args) {
    tn_part_declare_inputs(scope, graph);
    return;
  }
  tn_map initialisers = tn_map_create(importer->scratch);
  for (size_t i = 0; i < graph->n_initializer; i++)
    if (graph->initializer[i]->name != NULL)
      tn_map_set(&initialisers, tn_name(importer->ctx, graph->initializer[i]->name), graph->initializer[i]);
  for (size_t i = 0; i < graph->n_input; i++) {
    const char *name = graph->input[i]->name;
    if (name == NULL || name[0] == '\0')
      tn_error(importer->ctx, model_loc(importer), TN_E_ONNX_MODEL, "graph input %zu has no name", i);
    else if (!is_initialiser(&initialisers, importer, name))
      declare_input(scope, graph->input[i]);
    else
      check_initialiser(importer, graph->input[i], tn_map_get(&initialisers, tn_name(importer->ctx, name)));
  }
}

/* The names to compute: those asked for, else the graph's outputs. */
static const char **wanted_outputs(const tn_importer *importer, size_t *out_n) {
  const tn_onnx_graph *graph = importer->model->graph;
  size_t n = importer->options->n_outputs > 0 ? importer->options->n_outputs : graph->n_output;
  const char **names = TN_NEW_N(importer->scratch, const char *, n);
  for (size_t i = 0; i < n; i++)
    names[i] = importer->options->n_outputs > 0   ? importer->options->outputs[i]
               : graph->output[i]->name != NULL ? graph->output[i]->name
                                                : "";
  *out_n = n;
  return names;
}

/* The element type that the model declares for a graph output must be the one its nodes compute. */
static bool check_output_type(const tn_importer *importer, const char *name, const tn_value *value) {
  const tn_onnx_graph *graph = importer->model->graph;
  for (size_t i = 0; i < graph->n_output && importer->options->n_outputs == 0; i++) {
    const Onnx__TypeProto *type = graph->output[i]->type;
    if (graph->output[i]->name == NULL || strcmp(graph->output[i]->name, name) != 0 || type == NULL) continue;
    if (type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type->has_elem_type) continue;
    int32_t declared = type->tensor_type->elem_type;
    if (declared != 0 && tn_onnx_dtype(declared) != value->type->dtype)
      return tn_error(importer->ctx, tensor_loc(importer, name), TN_E_ONNX_TYPE,
                      "graph output '%s' is declared %s, its node computes %s", tn_onnx_display(importer->ctx, name),
                      tn_onnx_dtype_name(declared), tn_dtype_name(value->type->dtype));
  }
  return true;
}

static void make_outputs(tn_scope *scope, tn_func *func, const char *const *names, size_t n) {
  tn_importer *importer = scope->importer;
  tn_ctx *ctx = importer->ctx;
  tn_map seen = tn_map_create(importer->scratch);
  tn_value **values = TN_NEW_N(importer->scratch, tn_value *, n);
  bool ok = true;
  if (n == 0) tn_error(ctx, model_loc(importer), TN_E_ONNX_MODEL, "the graph has no outputs");
  for (size_t i = 0; i < n; i++) {
    bool poisoned = false;
    tn_loc loc = tensor_loc(importer, names[i]);
    if (tn_map_has(&seen, tn_name(ctx, names[i])))
      ok = tn_error(ctx, loc, TN_E_ONNX_DUPLICATE, "graph output '%s' is listed twice", tn_onnx_display(ctx, names[i]));
    tn_map_set(&seen, tn_name(ctx, names[i]), importer);
    values[i] = tn_scope_value(scope, names[i], loc, &poisoned);
    if (poisoned && ctx->n_errors == 0 && importer->n_missing == 0)
      tn_error(ctx, loc, TN_E_ONNX_UNDEFINED, "graph output '%s' is not made by its node",
               tn_onnx_display(ctx, names[i]));
    ok = ok && !poisoned && check_output_type(importer, names[i], values[i]);
    TN_VEC_PUSH(importer->module->arena, &func->result_names, tn_onnx_display(ctx, names[i]));
  }
  if (ok && n > 0) tn_build_return(&scope->build, values, (uint32_t)n);
}

static void import_main(tn_importer *importer, const tn_build *build) {
  const tn_onnx_graph *graph = importer->model->graph;
  tn_scope scope = tn_scope_create(importer, build->block);
  size_t n_outputs, n, *order;
  scope.build = *build;
  scope.opsets = importer->model->opset_import;
  scope.n_opsets = importer->model->n_opset_import;
  const char **outputs = wanted_outputs(importer, &n_outputs);
  bool all = importer->options->n_outputs == 0;
  declare_inputs(&scope, graph);
  tn_scope_declare_graph(&scope, graph);
  tn_scope_order(&scope, all ? NULL : outputs, all ? 0 : n_outputs, &order, &n);
  tn_import_nodes(&scope, order, n);
  if (importer->part) tn_part_finish(&scope, graph);
  else make_outputs(&scope, build->func, outputs, n_outputs);
  tn_report_missing(importer);
}

static bool unpack(tn_importer *importer, const tn_source *source) {
  uint64_t budget = TN_WIRE_BUDGET(source->bytes);
  importer->model = (const Onnx__ModelProto *)tn_wire_unpack(importer->ctx, model_loc(importer),
                                                             &onnx__model_proto__descriptor, source->data,
                                                             source->bytes, budget, importer->scratch);
  if (importer->model == NULL) return false;
  if (importer->model->graph == NULL)
    return tn_error(importer->ctx, model_loc(importer), TN_E_ONNX_MODEL, "the file holds no graph: it is empty or not "
                    "an ONNX model");
  return true;
}

/* Imports the model at build, into its module. */
static bool import_at(tn_ctx *ctx, const tn_source *source, const char *name, const tn_onnx_options *options,
                      const tn_build *build, tn_onnx_part *part) {
  size_t before = ctx->n_errors;
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  tn_external external = tn_external_create(ctx, scratch, source->path, options->data_root, options->files);
  tn_importer importer = {.ctx = ctx, .scratch = scratch, .module = build->module, .options = options,
                          .file = tn_onnx_display(ctx, name), .rows = tn_map_create(scratch),
                          .functions = tn_map_create(scratch), .dims = tn_map_create(scratch),
                          .missing = tn_map_create(scratch), .part = part};
  importer.tensors = (tn_tensor_reader){importer.module, source, &external};
  if (unpack(&importer, source) && check_opsets(&importer) && tn_dims_prepare(&importer) &&
      tn_functions_collect(&importer) && tn_functions_check(&importer)) {
    tn_rows_collect(&importer);
    import_main(&importer, build);
  }
  tn_external_close(&external);
  tn_arena_destroy(scratch);
  return ctx->n_errors == before;
}

tn_module *tn_import_model(tn_ctx *ctx, const tn_source *source, const char *name, const tn_onnx_options *options) {
  static const tn_onnx_options no_options;
  if (options == NULL) options = &no_options;
  tn_module *module = tn_module_create(ctx);
  tn_build build = tn_build_at_end(tn_func_create(module, options->entry ? options->entry : "run", true)->body);
  module->source = tn_onnx_display(ctx, name);
  if (import_at(ctx, source, name, options, &build, NULL)) return module;
  tn_module_destroy(module);
  return NULL;
}

bool tn_import_part(tn_ctx *ctx, const tn_source *source, const char *name, const tn_onnx_options *options,
                    tn_onnx_part *part) {
  static const tn_onnx_options no_options;
  return import_at(ctx, source, name, options ? options : &no_options, part->build, part);
}
