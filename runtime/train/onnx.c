/* The model as ONNX (onnx.h): the plan's file is copied, and the weights become initializers at the end of its graph.
 * Sources: onnx.proto (numbers of fields and types), the encoding of protocol buffers. */
#include "runtime/train/onnx.h"

#include <string.h>

#include "runtime/train/plan.h"
#include "runtime/train/protobuf.h"
#include "runtime/train/whole.h"

enum { MODEL_GRAPH = 7, GRAPH_INITIALIZER = 5 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_DATA = 9 };
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5, MAX_VARINT = 10 };
enum { HEAD_BYTES = TNRT_MAX_NDIM * (MAX_VARINT + 1) + 4 * MAX_VARINT };

typedef struct type_row {
  uint32_t dtype, number; /* of TensorProto.DataType */
} type_row;

static const type_row types[] = {{TNRT_F32, 1},  {TNRT_U8, 2},   {TNRT_I8, 3},   {TNRT_U16, 4},  {TNRT_I16, 5},
                                 {TNRT_I32, 6},  {TNRT_I64, 7},  {TNRT_BOOL, 9}, {TNRT_F16, 10}, {TNRT_F64, 11},
                                 {TNRT_U32, 12}, {TNRT_U64, 13}, {TNRT_BF16, 16}};

static uint32_t type_number(uint32_t dtype) {
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (types[i].dtype == dtype) return types[i].number;
  return 0;
}

/* ---- the encoding ---- */

static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *out) {
  *out = 0;
  for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
    uint8_t byte = *(*at)++;
    *out |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

/* The graph of a model: *out_key where its field begins, *out the message. */
static bool find_graph(const uint8_t *model, uint64_t bytes, const uint8_t **out_key, const uint8_t **out,
                       uint64_t *out_bytes) {
  const uint8_t *end = model + bytes;
  for (const uint8_t *at = model; at < end;) {
    uint64_t key, n = 0;
    *out_key = at;
    if (!take_varint(&at, end, &key)) return false;
    unsigned kind = key & 7;
    if ((kind == VARINT || kind == BYTES) && !take_varint(&at, end, &n)) return false;
    n = kind == VARINT ? 0 : kind == FIXED64 ? 8 : kind == FIXED32 ? 4 : n;
    if (n > (uint64_t)(end - at)) return false;
    if (key >> 3 == MODEL_GRAPH) return *out = at, *out_bytes = n, kind == BYTES;
    at += n;
  }
  return false;
}

/* ---- a weight ---- */

/* A TensorProto up to its name's text: `text`; and from behind that up to its elements: `data`. */
typedef struct tensor {
  uint8_t text[HEAD_BYTES], data[2 * MAX_VARINT];
  size_t text_bytes, data_bytes;
  uint64_t bytes; /* of the whole message */
} tensor;

static void make_tensor(const tnrt_saved *weight, const char *name, tensor *out) {
  size_t n = 0;
  for (uint32_t i = 0; i < weight->ndim; i++) {
    n += tnrt_put_key(out->text + n, TENSOR_DIMS, VARINT);
    n += tnrt_put_varint(out->text + n, (uint64_t)weight->extents[i]);
  }
  n += tnrt_put_key(out->text + n, TENSOR_TYPE, VARINT);
  n += tnrt_put_varint(out->text + n, type_number(weight->dtype));
  n += tnrt_put_key(out->text + n, TENSOR_NAME, BYTES);
  n += tnrt_put_varint(out->text + n, strlen(name));
  out->text_bytes = n;
  out->data_bytes = tnrt_put_key(out->data, TENSOR_DATA, BYTES);
  out->data_bytes += tnrt_put_varint(out->data + out->data_bytes, weight->bytes);
  out->bytes = n + strlen(name) + out->data_bytes + weight->bytes;
}

/* The field of the graph that holds it. */
static size_t put_initializer(uint8_t *out, const tensor *t) {
  size_t n = tnrt_put_key(out, GRAPH_INITIALIZER, BYTES);
  return n + tnrt_put_varint(out + n, t->bytes);
}

static tnrt_status put_weight(tnrt_whole *file, tnrt_message *message, const tnrt_saved *weight, const char *name) {
  tensor t;
  uint8_t head[2 * MAX_VARINT];
  make_tensor(weight, name, &t);
  tnrt_status status = tnrt_whole_put(file, message, head, put_initializer(head, &t));
  if (status == TNRT_OK) status = tnrt_whole_put(file, message, t.text, t.text_bytes);
  if (status == TNRT_OK) status = tnrt_whole_put(file, message, name, strlen(name));
  if (status == TNRT_OK) status = tnrt_whole_put(file, message, t.data, t.data_bytes);
  return status == TNRT_OK ? tnrt_whole_put(file, message, weight->data, weight->bytes) : status;
}

/* ---- the file ---- */

/* Bytes that the initializers add to the graph. */
static tnrt_status measure(tnrt_message *message, const tnrt_training *plan, const tnrt_saved *weights, uint64_t *out) {
  *out = 0;
  for (uint32_t i = 0; i < plan->n_weights; i++) {
    tensor t;
    uint8_t head[2 * MAX_VARINT];
    if (!type_number(weights[i].dtype))
      return tnrt_fail(message, TNRT_BAD_INPUT, "the element type of '%.200s' has no form in ONNX", weights[i].name);
    make_tensor(&weights[i], tnrt_plan_item(plan, plan->onnx_names, i), &t);
    *out += put_initializer(head, &t) + t.bytes;
  }
  return TNRT_OK;
}

tnrt_status tnrt_onnx_write(tnrt_message *message, const tnrt_training *plan, const tnrt_saved *weights,
                            const char *path) {
  const uint8_t *model = tnrt_plan_table(plan, plan->onnx), *key, *graph;
  uint64_t graph_bytes, added;
  uint8_t head[2 * MAX_VARINT];
  tnrt_whole file;
  if (!plan->onnx)
    return tnrt_fail(message, TNRT_BAD_INPUT, "--onnx: %.400s",
                     plan->onnx_names ? tnrt_plan_text(plan, plan->onnx_names) : "the program has no such model");
  if (!find_graph(model, plan->onnx_bytes, &key, &graph, &graph_bytes))
    return tnrt_fail(message, TNRT_BAD_INPUT, "--onnx: the model in this program is damaged");
  tnrt_status status = measure(message, plan, weights, &added);
  if (status != TNRT_OK) return status;
  size_t n = tnrt_put_key(head, MODEL_GRAPH, BYTES);
  n += tnrt_put_varint(head + n, graph_bytes + added);
  const uint8_t *behind = graph + graph_bytes;
  uint64_t before_bytes = (uint64_t)(key - model), behind_bytes = plan->onnx_bytes - (uint64_t)(behind - model);
  uint64_t bytes = before_bytes + n + graph_bytes + added + behind_bytes;
  if (bytes > INT32_MAX)
    return tnrt_fail(message, TNRT_BAD_INPUT, "--onnx: the file would have %llu bytes, the format allows %d",
                     (unsigned long long)bytes, INT32_MAX);
  status = tnrt_whole_open(&file, message, path, bytes);
  if (status == TNRT_OK) status = tnrt_whole_put(&file, message, model, before_bytes);
  if (status == TNRT_OK) status = tnrt_whole_put(&file, message, head, n);
  if (status == TNRT_OK) status = tnrt_whole_put(&file, message, graph, graph_bytes);
  for (uint32_t i = 0; i < plan->n_weights && status == TNRT_OK; i++)
    status = put_weight(&file, message, &weights[i], tnrt_plan_item(plan, plan->onnx_names, i));
  if (status == TNRT_OK) status = tnrt_whole_put(&file, message, behind, behind_bytes);
  if (status == TNRT_OK) status = tnrt_whole_sync(&file, message);
  return status == TNRT_OK ? tnrt_whole_end(&file, message) : status;
}
