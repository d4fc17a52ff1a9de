/* An export as the bytes of an ONNX file, by protobuf-c's packer. The packer is given tensors whose raw_data point at
 * the constant's record instead of bytes: when it hands such a pointer to the buffer, the constant is streamed there.
 */
#include "frontend/onnx/onnx.h"
#include "grammar/onnx.pb-c.h"

#include <inttypes.h>
#include <string.h>

enum { ATTR_FLOAT = 1, ATTR_INT, ATTR_STRING, ATTR_TENSOR, ATTR_GRAPH, ATTR_FLOATS, ATTR_INTS, ATTR_STRINGS };
enum { BLOCK_BYTES = 1 << 16, DATA_ALIGN = 64, MIN_DATA_BYTES = 1024, EXTERNAL = 1 };

typedef struct writer {
  ProtobufCBuffer base; /* first: the packer's callback gets this */
  tn_export *from;
  tn_arena *arena;
  tn_map streamed; /* tn_const* whose record stands for its bytes */
  tn_onnx_sink sink;
  uint8_t block[BLOCK_BYTES];
  size_t n_block;
  bool ok;
  const char *data_name;
  uint64_t data_bytes; /* so far */
} writer;

static char *text_of(const char *text) { return (char *)(uintptr_t)text; } /* the packer does not write it */

/* --- Bytes --- */

static uint64_t stored_bytes(const tn_const *constant) {
  uint64_t count = (uint64_t)tn_type_static_count(constant->type);
  return (count * tn_dtype_bits(constant->type->dtype) + 7) / 8;
}

/* Elements below 8 bits lie together, the first in the lowest bits. */
static const uint8_t *packed(tn_arena *arena, const tn_const *constant, const uint8_t *elements) {
  unsigned bits = tn_dtype_bits(constant->type->dtype), per_byte = 8 / bits, mask = (1u << bits) - 1;
  uint8_t *out = tn_arena_alloc(arena, (size_t)stored_bytes(constant));
  for (uint64_t i = 0; i < (uint64_t)tn_type_static_count(constant->type); i++)
    out[i / per_byte] = (uint8_t)(out[i / per_byte] | ((elements[i] & mask) << (bits * (i % per_byte))));
  return out;
}

static bool stream(const tn_const *constant, tn_arena *parent, tn_onnx_sink sink) {
  uint64_t bytes = stored_bytes(constant);
  if (bytes == 0) return true;
  tn_arena *scratch = tn_arena_create_scratch(parent);
  const uint8_t *data = tn_const_read(constant, scratch);
  if (tn_dtype_bits(constant->type->dtype) < 8) data = packed(scratch, constant, data);
  bool ok = sink.write(sink.user, data, (size_t)bytes);
  tn_arena_destroy(scratch);
  return ok;
}

static void flush(writer *w) {
  if (w->ok && w->n_block > 0) w->ok = w->sink.write(w->sink.user, w->block, w->n_block);
  w->n_block = 0;
}

static void append(ProtobufCBuffer *buffer, size_t n, const uint8_t *data) {
  writer *w = (writer *)buffer;
  const tn_const *constant = tn_map_get(&w->streamed, data);
  if (n == 0 || !w->ok) return;
  if (constant || n > BLOCK_BYTES - w->n_block) flush(w);
  if (constant) w->ok = w->ok && stream(constant, w->arena, w->sink);
  else if (n > BLOCK_BYTES) w->ok = w->ok && w->sink.write(w->sink.user, data, n);
  else {
    memcpy(w->block + w->n_block, data, n);
    w->n_block += n;
  }
}

/* --- Messages --- */

static void put_external(writer *w, Onnx__TensorProto *tensor, uint64_t bytes) {
  static const char *const keys[] = {"location", "offset", "length"};
  const char *values[] = {w->data_name, tn_namef(w->from->ctx, "%" PRIu64, w->data_bytes),
                          tn_namef(w->from->ctx, "%" PRIu64, bytes)};
  tensor->external_data = TN_NEW_N(w->arena, Onnx__StringStringEntryProto *, 3);
  tensor->n_external_data = 3;
  for (int i = 0; i < 3; i++) {
    Onnx__StringStringEntryProto *entry = TN_NEW(w->arena, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(entry);
    entry->key = text_of(keys[i]);
    entry->value = text_of(values[i]);
    tensor->external_data[i] = entry;
  }
  tensor->has_data_location = 1;
  tensor->data_location = EXTERNAL;
  w->data_bytes = (w->data_bytes + bytes + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
}

static Onnx__TensorProto *tensor_of(writer *w, const char *name, tn_const *constant, bool may_be_external) {
  Onnx__TensorProto *tensor = TN_NEW(w->arena, Onnx__TensorProto);
  const tn_type *type = constant->type;
  uint64_t bytes = stored_bytes(constant);
  onnx__tensor_proto__init(tensor);
  tensor->name = text_of(name);
  tensor->has_data_type = 1;
  tensor->data_type = (int32_t)tn_dtype_to_onnx(type->dtype);
  tensor->n_dims = type->ndim;
  tensor->dims = TN_NEW_N(w->arena, int64_t, type->ndim);
  for (uint32_t i = 0; i < type->ndim; i++) tensor->dims[i] = tn_dim_value(type->dims[i]);
  if (may_be_external && w->data_name && bytes >= MIN_DATA_BYTES) {
    put_external(w, tensor, bytes);
    return tensor;
  }
  tensor->has_raw_data = 1;
  tensor->raw_data.len = (size_t)bytes;
  tensor->raw_data.data = (uint8_t *)constant;
  tn_map_set(&w->streamed, constant, constant);
  return tensor;
}

static Onnx__GraphProto *graph_of(writer *w, const tn_export_graph *graph, const tn_export_graph *head);

static void put_bytes(ProtobufCBinaryData *out, const char *text) {
  out->data = (uint8_t *)text_of(text);
  out->len = strlen(text);
}

static void put_lists(writer *w, const tn_foreign_attr *attr, Onnx__AttributeProto *out) {
  if (attr->kind == TN_FOREIGN_INTS) {
    out->type = ATTR_INTS;
    out->n_ints = attr->n;
    out->ints = (int64_t *)(uintptr_t)attr->ints;
  } else if (attr->kind == TN_FOREIGN_STRINGS) {
    out->type = ATTR_STRINGS;
    out->n_strings = attr->n;
    out->strings = TN_NEW_N(w->arena, ProtobufCBinaryData, attr->n);
    for (uint32_t i = 0; i < attr->n; i++) put_bytes(&out->strings[i], attr->strings[i]);
  } else {
    TN_ASSERT(attr->kind == TN_FOREIGN_FLOATS);
    out->type = ATTR_FLOATS;
    out->n_floats = attr->n;
    out->floats = TN_NEW_N(w->arena, float, attr->n);
    for (uint32_t i = 0; i < attr->n; i++) out->floats[i] = (float)attr->floats[i];
  }
}

static Onnx__AttributeProto *attribute_of(writer *w, const tn_foreign_attr *attr) {
  Onnx__AttributeProto *out = TN_NEW(w->arena, Onnx__AttributeProto);
  onnx__attribute_proto__init(out);
  out->name = text_of(attr->name);
  out->has_type = 1;
  switch (attr->kind) {
    case TN_FOREIGN_INT:
      out->type = ATTR_INT;
      out->has_i = 1;
      out->i = attr->i;
      break;
    case TN_FOREIGN_FLOAT:
      out->type = ATTR_FLOAT;
      out->has_f = 1;
      out->f = (float)attr->f;
      break;
    case TN_FOREIGN_STRING:
      out->type = ATTR_STRING;
      out->has_s = 1;
      put_bytes(&out->s, attr->s);
      break;
    case TN_FOREIGN_TENSOR:
      out->type = ATTR_TENSOR;
      out->t = tensor_of(w, attr->tensor->name, attr->tensor, false);
      break;
    case TN_FOREIGN_GRAPH:
      out->type = ATTR_GRAPH;
      out->g = graph_of(w, attr->graph, NULL);
      break;
    default: put_lists(w, attr, out);
  }
  return out;
}

static Onnx__NodeProto *node_of(writer *w, const tn_export_node *node) {
  Onnx__NodeProto *out = TN_NEW(w->arena, Onnx__NodeProto);
  onnx__node_proto__init(out);
  out->name = text_of(node->name);
  out->op_type = text_of(node->op);
  out->n_input = node->n_inputs;
  out->input = (char **)(uintptr_t)node->inputs;
  out->n_output = node->n_outputs;
  out->output = (char **)(uintptr_t)node->outputs;
  out->n_attribute = node->n_attrs;
  out->attribute = TN_NEW_N(w->arena, Onnx__AttributeProto *, node->n_attrs);
  for (uint32_t i = 0; i < node->n_attrs; i++) out->attribute[i] = attribute_of(w, &node->attrs[i]);
  return out;
}

/* A symbol keeps the model's own spelling; what is computed from symbols is written as text. */
static Onnx__TensorShapeProto__Dimension *dimension_of(writer *w, const tn_dim *dim) {
  Onnx__TensorShapeProto__Dimension *out = TN_NEW(w->arena, Onnx__TensorShapeProto__Dimension);
  onnx__tensor_shape_proto__dimension__init(out);
  if (tn_dim_is_const(dim)) {
    out->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    out->dim_value = tn_dim_value(dim);
    return out;
  }
  const tn_symbol *symbol = tn_dim_lone_symbol(dim);
  tn_buf text = tn_buf_create(w->arena);
  if (symbol) tn_buf_puts(&text, symbol->label ? symbol->label : symbol->name);
  else tn_dim_print(dim, &text);
  out->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
  out->dim_param = text.data;
  return out;
}

static Onnx__ValueInfoProto **ports_of(writer *w, const tn_export_port *ports, size_t n) {
  Onnx__ValueInfoProto **out = TN_NEW_N(w->arena, Onnx__ValueInfoProto *, n);
  for (size_t i = 0; i < n; i++) {
    const tn_type *from = ports[i].type;
    Onnx__ValueInfoProto *port = TN_NEW(w->arena, Onnx__ValueInfoProto);
    Onnx__TypeProto *type = TN_NEW(w->arena, Onnx__TypeProto);
    Onnx__TypeProto__Tensor *tensor = TN_NEW(w->arena, Onnx__TypeProto__Tensor);
    Onnx__TensorShapeProto *shape = TN_NEW(w->arena, Onnx__TensorShapeProto);
    onnx__value_info_proto__init(port);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    shape->n_dim = from->ndim;
    shape->dim = TN_NEW_N(w->arena, Onnx__TensorShapeProto__Dimension *, from->ndim);
    for (uint32_t k = 0; k < from->ndim; k++) shape->dim[k] = dimension_of(w, from->dims[k]);
    tensor->has_elem_type = 1;
    tensor->elem_type = (int32_t)tn_dtype_to_onnx(from->dtype);
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    port->name = text_of(ports[i].name);
    port->type = type;
    out[i] = port;
  }
  return out;
}

static size_t put_nodes(writer *w, const tn_export_graph *graph, Onnx__NodeProto **out, size_t n) {
  for (size_t i = 0; graph && i < graph->nodes.n; i++)
    if (graph->nodes.data[i]->is_used) out[n++] = node_of(w, graph->nodes.data[i]);
  return n;
}

/* head: a graph whose nodes stand in front, or NULL. */
static Onnx__GraphProto *graph_of(writer *w, const tn_export_graph *graph, const tn_export_graph *head) {
  Onnx__GraphProto *out = TN_NEW(w->arena, Onnx__GraphProto);
  onnx__graph_proto__init(out);
  out->name = text_of(graph->name);
  out->node = TN_NEW_N(w->arena, Onnx__NodeProto *, graph->nodes.n + (head ? head->nodes.n : 0));
  out->n_node = put_nodes(w, graph, out->node, put_nodes(w, head, out->node, 0));
  out->n_input = graph->inputs.n;
  out->input = ports_of(w, graph->inputs.data, graph->inputs.n);
  out->n_output = graph->outputs.n;
  out->output = ports_of(w, graph->outputs.data, graph->outputs.n);
  return out;
}

static void put_constants(writer *w, Onnx__GraphProto *graph) {
  const tn_map *constants = &w->from->constants;
  graph->initializer = TN_NEW_N(w->arena, Onnx__TensorProto *, constants->n);
  for (size_t i = 0; i < constants->n; i++) {
    const tn_export_const *row = constants->entries[i].value;
    const char *name = (const char *)constants->entries[i].key;
    if (row->is_used) graph->initializer[graph->n_initializer++] = tensor_of(w, name, row->constant, true);
  }
}

/* Versions of the format by opset, from 18 on. */
static int64_t format_version(int64_t opset) {
  static const uint8_t versions[] = {8, 9, 9, 10, 10, 11, 12, 13, 13, 13, 14};
  TN_ASSERT(opset >= TN_EXPORT_OPSET && opset < TN_EXPORT_OPSET + (int64_t)sizeof versions);
  return versions[opset - TN_EXPORT_OPSET];
}

static bool write_data(writer *w, tn_onnx_sink sink) {
  static const uint8_t zeros[DATA_ALIGN];
  const tn_map *constants = &w->from->constants;
  uint64_t at = 0;
  for (size_t i = 0; i < constants->n; i++) {
    const tn_export_const *row = constants->entries[i].value;
    uint64_t bytes = stored_bytes(row->constant);
    if (!row->is_used || bytes < MIN_DATA_BYTES) continue;
    if (at % DATA_ALIGN && !sink.write(sink.user, zeros, (size_t)(DATA_ALIGN - at % DATA_ALIGN))) return false;
    if (!stream(row->constant, w->arena, sink)) return false;
    at = (at + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN + bytes;
  }
  return true;
}

uint64_t tn_onnx_weights_bytes(const tn_export *from) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < from->constants.n; i++) {
    const tn_export_const *row = from->constants.entries[i].value;
    if (row->is_used) bytes += stored_bytes(row->constant);
  }
  return bytes;
}

static bool pack(writer *w, const char *producer, const char *version) {
  Onnx__ModelProto model;
  Onnx__OperatorSetIdProto opset, *opsets = &opset;
  onnx__model_proto__init(&model);
  onnx__operator_set_id_proto__init(&opset);
  opset.domain = text_of("");
  opset.has_version = 1;
  opset.version = w->from->opset;
  model.has_ir_version = 1;
  model.ir_version = format_version(w->from->opset);
  model.producer_name = text_of(producer);
  model.producer_version = text_of(version);
  model.n_opset_import = 1;
  model.opset_import = &opsets;
  model.graph = graph_of(w, w->from->main, w->from->head);
  put_constants(w, model.graph);
  size_t bytes = protobuf_c_message_get_packed_size(&model.base);
  if (bytes > TN_ONNX_MAX_BYTES)
    return tn_error(w->from->ctx, tn_loc_file(w->from->ctx, w->from->module->source), TN_E_LIMIT,
                    "the ONNX file would have %zu bytes, the format allows %d", bytes, TN_ONNX_MAX_BYTES);
  protobuf_c_message_pack_to_buffer(&model.base, &w->base);
  flush(w);
  return w->ok;
}

bool tn_onnx_write(tn_export *from, const char *producer, const char *version, const char *data_name,
                   tn_onnx_sink model, tn_onnx_sink data) {
  tn_arena *arena = tn_arena_create_scratch(from->arena);
  writer *w = TN_NEW(arena, writer);
  w->base.append = append;
  w->from = from;
  w->arena = arena;
  w->streamed = tn_map_create(arena);
  w->sink = model;
  w->ok = true;
  w->data_name = data_name;
  bool ok = pack(w, producer, version) && (!data_name || write_data(w, data));
  tn_arena_destroy(arena);
  return ok;
}
