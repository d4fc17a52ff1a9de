/* What a file holds, told without importing it: operators and how often they occur, the signature, weights. */
#include <string.h>

#include "frontend/onnx/import.h"
#include "frontend/onnx/wire.h"

typedef struct looker {
  tn_ctx *ctx;
  const Onnx__ModelProto *model;
  tn_onnx_summary *out;
  tn_map rows; /* interned "domain:Name" -> tn_onnx_op_count */
  const char *file;
} looker;

static int64_t version_of(Onnx__OperatorSetIdProto *const *opsets, size_t n, const char *domain) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(tn_onnx_domain(opsets[i]->domain), domain) == 0) return opsets[i]->version;
  return -1;
}

static bool has_row(const char *domain, const char *name, int64_t version) {
  if (domain[0] == '\0' && strcmp(name, "Constant") == 0) return true;
  for (uint32_t i = 0; i < tn_op_count(); i++) {
    const tn_opdef *op = tn_op_at(i);
    for (uint32_t k = 0; k < op->n_onnx; k++) {
      const tn_onnx_row *row = &op->onnx[k];
      if (strcmp(row->name, name) == 0 && strcmp(row->domain, domain) == 0 && version >= row->since &&
          (row->until == 0 || version <= row->until))
        return true;
    }
  }
  return false;
}

static bool is_function(const looker *l, const char *domain, const char *name) {
  for (size_t i = 0; i < l->model->n_functions; i++) {
    const Onnx__FunctionProto *f = l->model->functions[i];
    if (f->name && strcmp(f->name, name) == 0 && strcmp(tn_onnx_domain(f->domain), domain) == 0) return true;
  }
  return false;
}

/* Its size as it states it; what is no size counts nothing. */
static void count_weight(looker *l, const Onnx__TensorProto *tensor) {
  tn_dtype dtype = tn_onnx_dtype(tensor->data_type);
  int64_t count = 1;
  bool ok = dtype != TN_N_DTYPES && dtype != TN_STR;
  for (size_t k = 0; k < tensor->n_dims && ok; k++)
    ok = tensor->dims[k] >= 0 && tn_mul_i64(count, tensor->dims[k], &count) && count < INT64_MAX / 64;
  l->out->n_weights++;
  if (ok) l->out->weights_bytes += ((uint64_t)count * tn_dtype_bits(dtype) + 7) / 8;
}

/* Nodes of a graph or a function, those of bodies with them. */
static void count_nodes(looker *l, tn_onnx_node *const *nodes, size_t n, const char *scope,
                        Onnx__OperatorSetIdProto *const *opsets, size_t n_opsets) {
  for (size_t i = 0; i < n; i++) {
    const char *domain = tn_onnx_domain(nodes[i]->domain), *name = nodes[i]->op_type ? nodes[i]->op_type : "";
    const char *key = tn_namef(l->ctx, "%s:%s", tn_onnx_display(l->ctx, domain), tn_onnx_display(l->ctx, name));
    tn_onnx_op_count *row = tn_map_get(&l->rows, key);
    if (!row) {
      row = TN_NEW(l->ctx->arena, tn_onnx_op_count);
      row->domain = tn_onnx_display(l->ctx, domain);
      row->name = tn_onnx_display(l->ctx, name);
      row->version = version_of(opsets, n_opsets, domain);
      row->is_function = is_function(l, domain, name);
      row->is_known = row->is_function || has_row(domain, name, row->version);
      row->first = tn_loc_onnx(l->ctx, l->file, scope, (int64_t)i, tn_onnx_display(l->ctx, nodes[i]->name), row->name,
                               row->version);
      tn_map_set(&l->rows, key, row);
      TN_VEC_PUSH(l->ctx->arena, &l->out->ops, row);
    }
    row->count++;
    l->out->n_nodes++;
    for (size_t k = 0; k < nodes[i]->n_attribute; k++) {
      const tn_onnx_graph *body = nodes[i]->attribute[k]->g;
      if (nodes[i]->attribute[k]->t) count_weight(l, nodes[i]->attribute[k]->t); /* Constant */
      if (body) count_nodes(l, body->node, body->n_node, tn_onnx_display(l->ctx, body->name), opsets, n_opsets);
    }
  }
}

static const char *type_text(const looker *l, const Onnx__TypeProto *type) {
  tn_buf out = tn_buf_create(l->ctx->arena);
  if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
    return type && type->value_case != ONNX__TYPE_PROTO__VALUE__NOT_SET ? "no tensor" : "";
  tn_buf_puts(&out, tn_onnx_dtype_name(type->tensor_type->elem_type));
  const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
  if (!shape) return out.data;
  tn_buf_putc(&out, '[');
  for (size_t i = 0; i < shape->n_dim; i++) {
    const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
    if (i > 0) tn_buf_putc(&out, ',');
    if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
      tn_buf_printf(&out, "%lld", (long long)dim->dim_value);
    else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && dim->dim_param[0])
      tn_buf_puts(&out, tn_onnx_display(l->ctx, dim->dim_param));
    else
      tn_buf_putc(&out, '?');
  }
  tn_buf_putc(&out, ']');
  return out.data;
}

static void read_ports(looker *l, const tn_onnx_graph *graph) {
  tn_map weights = tn_map_create(l->ctx->arena);
  for (size_t i = 0; i < graph->n_initializer; i++)
    if (graph->initializer[i]->name) tn_map_set(&weights, tn_name(l->ctx, graph->initializer[i]->name), l);
  for (size_t i = 0; i < graph->n_input; i++) {
    const char *name = graph->input[i]->name ? graph->input[i]->name : "";
    tn_onnx_port port = {tn_onnx_display(l->ctx, name), type_text(l, graph->input[i]->type)};
    if (!tn_map_has(&weights, tn_name(l->ctx, name))) TN_VEC_PUSH(l->ctx->arena, &l->out->inputs, port);
  }
  for (size_t i = 0; i < graph->n_output; i++) {
    const char *name = graph->output[i]->name ? graph->output[i]->name : "";
    tn_onnx_port port = {tn_onnx_display(l->ctx, name), type_text(l, graph->output[i]->type)};
    TN_VEC_PUSH(l->ctx->arena, &l->out->outputs, port);
  }
}

bool tn_onnx_inspect(tn_ctx *ctx, const char *path, tn_onnx_summary *out) {
  tn_source source;
  *out = (tn_onnx_summary){0};
  path = tn_name(ctx, path);
  if (!tn_source_open(ctx, path, &source)) return false;
  tn_loc loc = tn_loc_file(ctx, path);
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  uint64_t budget = TN_WIRE_BUDGET(source.bytes);
  looker l = {.ctx = ctx, .out = out, .rows = tn_map_create(ctx->arena), .file = path};
  l.model = (const Onnx__ModelProto *)tn_wire_unpack(ctx, loc, &onnx__model_proto__descriptor, source.data,
                                                     source.bytes, budget, scratch);
  bool ok = l.model && (l.model->graph || tn_error(ctx, loc, TN_E_ONNX_MODEL, "the file holds no graph: it is empty or "
                                                   "not an ONNX model"));
  if (ok) {
    const Onnx__ModelProto *model = l.model;
    out->ir_version = model->ir_version;
    out->producer = tn_onnx_display(ctx, model->producer_name ? model->producer_name : "");
    out->producer_version = tn_onnx_display(ctx, model->producer_version ? model->producer_version : "");
    for (size_t i = 0; i < model->n_opset_import; i++) {
      const char *domain = tn_onnx_display(ctx, tn_onnx_domain(model->opset_import[i]->domain));
      tn_onnx_opset opset = {domain, model->opset_import[i]->version};
      TN_VEC_PUSH(ctx->arena, &out->opsets, opset);
    }
    count_nodes(&l, model->graph->node, model->graph->n_node, "", model->opset_import, model->n_opset_import);
    for (size_t i = 0; i < model->n_functions; i++)
      count_nodes(&l, model->functions[i]->node, model->functions[i]->n_node,
                  tn_onnx_display(ctx, model->functions[i]->name ? model->functions[i]->name : ""),
                  model->functions[i]->opset_import, model->functions[i]->n_opset_import);
    read_ports(&l, model->graph);
    for (size_t i = 0; i < model->graph->n_initializer; i++) count_weight(&l, model->graph->initializer[i]);
  }
  tn_arena_destroy(scratch);
  return ok;
}
