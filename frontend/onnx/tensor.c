/* TensorProto to constants. Which field holds which element type, and how, is said in onnx.proto at TensorProto. */
#include "frontend/onnx/tensor.h"

#include <inttypes.h>
#include <string.h>

#include "frontend/onnx/wire.h"

typedef enum field_of { IN_FLOAT, IN_DOUBLE, IN_INT32, IN_INT64, IN_UINT64, IN_NONE } field_of;

typedef struct element_type {
  const char *name; /* as ONNX spells it */
  tn_dtype dtype;   /* TN_N_DTYPES: not in tenon */
  field_of field;   /* where elements are when not in raw_data */
} element_type;

/* By TensorProto.DataType. */
static const element_type element_types[] = {
    {"UNDEFINED", TN_N_DTYPES, IN_NONE},    {"FLOAT", TN_F32, IN_FLOAT},
    {"UINT8", TN_U8, IN_INT32},             {"INT8", TN_I8, IN_INT32},
    {"UINT16", TN_U16, IN_INT32},           {"INT16", TN_I16, IN_INT32},
    {"INT32", TN_I32, IN_INT32},            {"INT64", TN_I64, IN_INT64},
    {"STRING", TN_STR, IN_NONE},            {"BOOL", TN_BOOL, IN_INT32},
    {"FLOAT16", TN_F16, IN_INT32},          {"DOUBLE", TN_F64, IN_DOUBLE},
    {"UINT32", TN_U32, IN_UINT64},          {"UINT64", TN_U64, IN_UINT64},
    {"COMPLEX64", TN_N_DTYPES, IN_NONE},    {"COMPLEX128", TN_N_DTYPES, IN_NONE},
    {"BFLOAT16", TN_BF16, IN_INT32},        {"FLOAT8E4M3FN", TN_F8E4M3, IN_INT32},
    {"FLOAT8E4M3FNUZ", TN_F8E4M3UZ, IN_INT32}, {"FLOAT8E5M2", TN_F8E5M2, IN_INT32},
    {"FLOAT8E5M2FNUZ", TN_F8E5M2UZ, IN_INT32}, {"UINT4", TN_U4, IN_INT32},
    {"INT4", TN_I4, IN_INT32},              {"FLOAT4E2M1", TN_F4E2M1, IN_INT32},
    {"FLOAT8E8M0", TN_F8E8M0, IN_INT32},    {"UINT2", TN_U2, IN_INT32},
    {"INT2", TN_I2, IN_INT32},              {"FLOAT6E2M3", TN_N_DTYPES, IN_NONE},
    {"FLOAT6E3M2", TN_N_DTYPES, IN_NONE},
};

static const element_type *type_of(int32_t data_type) {
  bool known = data_type >= 0 && data_type < (int32_t)TN_ARRAY_LEN(element_types);
  return &element_types[known ? data_type : 0];
}

tn_dtype tn_onnx_dtype(int32_t data_type) { return type_of(data_type)->dtype; }
const char *tn_onnx_dtype_name(int32_t data_type) { return type_of(data_type)->name; }

/* One tensor being read. */
typedef struct reading {
  const tn_tensor_reader *reader;
  const Onnx__TensorProto *tensor;
  tn_ctx *ctx;
  tn_loc loc;
  tn_dtype dtype;
  uint64_t count, bytes; /* elements; their bytes as ONNX packs them */
  const tn_type *type;
} reading;

static bool bad(const reading *r, const char *what) {
  tn_buf text = tn_buf_create(r->ctx->arena);
  if (r->type != NULL) tn_type_print(r->type, &text);
  return tn_error(r->ctx, r->loc, TN_E_ONNX_TENSOR, "tensor%s%s: %s", r->type != NULL ? " " : "",
                  r->type != NULL ? text.data : "", what);
}

/* Type and sizes; everything that is computed from the extents later fits an int64. */
static bool read_type(reading *r) {
  const Onnx__TensorProto *t = r->tensor;
  int64_t positive = 1;
  bool empty = false;
  r->dtype = tn_onnx_dtype(t->data_type);
  if (r->dtype == TN_N_DTYPES || r->dtype == TN_STR)
    return bad(r, tn_namef(r->ctx, "element type %s (%d) is not supported", tn_onnx_dtype_name(t->data_type),
                           t->data_type));
  if (t->n_dims > TN_MAX_NDIM)
    return tn_error(r->ctx, r->loc, TN_E_LIMIT, "tensor of rank %zu, at most %d is supported", t->n_dims, TN_MAX_NDIM);
  for (size_t i = 0; i < t->n_dims; i++) {
    if (t->dims[i] < 0) return bad(r, tn_namef(r->ctx, "extent %zu is negative: %" PRId64, i, t->dims[i]));
    if (t->dims[i] == 0) empty = true;
    else if (!tn_mul_i64(positive, t->dims[i], &positive) || positive > INT64_MAX / 16)
      return bad(r, "its extents multiply to more than 2^59 elements");
  }
  r->type = tn_type_static(r->ctx, r->dtype, (uint32_t)t->n_dims, t->dims);
  r->count = empty ? 0 : (uint64_t)positive;
  r->bytes = (r->count * tn_dtype_bits(r->dtype) + 7) / 8;
  return true;
}

static tn_const *in_place(const reading *r, const char *name, const uint8_t *data, const char *file, uint64_t offset) {
  tn_const *constant = tn_const_data(r->reader->module, name, r->type, data);
  constant->file = file;
  constant->file_offset = offset;
  return constant;
}

/* n elements of 2 or 4 bits, lowest bits first, to one a byte; signed ones with their sign. */
static uint8_t *spread(const reading *r, const uint8_t *packed) {
  unsigned bits = tn_dtype_bits(r->dtype), per_byte = 8 / bits, mask = (1u << bits) - 1, top = 1u << (bits - 1);
  bool is_signed = tn_dtype_is_signed(r->dtype);
  uint8_t *out = tn_arena_alloc(r->reader->module->arena, (size_t)r->count);
  for (uint64_t i = 0; i < r->count; i++) {
    unsigned v = ((unsigned)packed[i / per_byte] >> (bits * (i % per_byte))) & mask;
    out[i] = (uint8_t)(is_signed ? (v ^ top) - top : v);
  }
  return out;
}

/* Truth as 0 or 1, whatever bytes stand for it. */
static const uint8_t *normal_bools(const reading *r, const uint8_t *data) {
  uint64_t i = 0;
  while (i < r->count && data[i] <= 1) i++;
  if (i == r->count) return data;
  uint8_t *out = tn_arena_copy(r->reader->module->arena, data, (size_t)r->count);
  for (; i < r->count; i++) out[i] = out[i] != 0;
  return out;
}

/* Bytes laid out as raw_data is. file NULL: they lie in no file. */
static tn_const *of_raw(const reading *r, const char *name, const uint8_t *data, const char *file, uint64_t offset) {
  const uint8_t *own = data;
  if (tn_dtype_bits(r->dtype) < 8) own = spread(r, data);
  if (r->dtype == TN_BOOL) own = normal_bools(r, data);
  return own == data ? in_place(r, name, data, file, offset) : tn_const_data(r->reader->module, name, r->type, own);
}

/* The chunks of the field that holds this type's elements. */
static const ProtobufCBinaryData *chunks_of(const reading *r, field_of field, size_t *out_n) {
  const Onnx__TensorProto *t = r->tensor;
  const ProtobufCBinaryData *const lists[] = {t->float_data, t->double_data, t->int32_data, t->int64_data,
                                              t->uint64_data};
  const size_t counts[] = {t->n_float_data, t->n_double_data, t->n_int32_data, t->n_int64_data, t->n_uint64_data};
  *out_n = field == IN_NONE ? 0 : counts[field];
  return field == IN_NONE ? NULL : lists[field];
}

/* float_data and double_data: their packed form is little-endian and so is tenon's; one chunk stays in place. */
static tn_const *of_floats(const reading *r, const char *name, const ProtobufCBinaryData *chunks, size_t n) {
  const tn_source *source = r->reader->source;
  uint64_t total = 0, at = 0;
  for (size_t i = 0; i < n; i++) total += tn_wire_ref_of(&chunks[i]).bytes;
  if (total != r->bytes) {
    bad(r, tn_namef(r->ctx, "expected %" PRIu64 " bytes of data, found %" PRIu64, r->bytes, total));
    return NULL;
  }
  if (n == 1) {
    tn_wire_ref ref = tn_wire_ref_of(&chunks[0]);
    return in_place(r, name, source->data + ref.offset, source->path, ref.offset);
  }
  uint8_t *data = tn_arena_alloc(r->reader->module->arena, (size_t)total);
  for (size_t i = 0; i < n; i++) {
    tn_wire_ref ref = tn_wire_ref_of(&chunks[i]);
    memcpy(data + at, source->data + ref.offset, (size_t)ref.bytes);
    at += ref.bytes;
  }
  return tn_const_data(r->reader->module, name, r->type, data);
}

/* The number of varints in all chunks; false when one is cut short. */
static bool count_varints(const reading *r, const ProtobufCBinaryData *chunks, size_t n, uint64_t *out) {
  *out = 0;
  for (size_t i = 0; i < n; i++) {
    tn_wire_ref ref = tn_wire_ref_of(&chunks[i]);
    const uint8_t *data = r->reader->source->data + ref.offset;
    for (uint64_t b = 0; b < ref.bytes; b++) *out += data[b] < 0x80;
    if (ref.bytes > 0 && data[ref.bytes - 1] >= 0x80) return false;
  }
  return true;
}

/* int32_data, int64_data, uint64_data: varints, each an element's bits (or a byte of packed small elements). */
static tn_const *of_varints(const reading *r, const char *name, const ProtobufCBinaryData *chunks, size_t n) {
  size_t width = tn_dtype_bytes(r->dtype);
  uint64_t want = tn_dtype_bits(r->dtype) < 8 ? r->bytes : r->count, found = 0;
  bool whole = count_varints(r, chunks, n, &found);
  if (!whole || found != want) {
    bad(r, tn_namef(r->ctx, "expected %" PRIu64 " numbers of data, found %" PRIu64 "%s", want, found,
                    whole ? "" : ", one of them cut off"));
    return NULL;
  }
  uint8_t *data = tn_arena_alloc_n(r->reader->module->arena, (size_t)want, width), *to = data;
  for (size_t i = 0; i < n; i++) {
    tn_wire_ref ref = tn_wire_ref_of(&chunks[i]);
    for (size_t at = 0; at < ref.bytes; to += width) {
      uint64_t value;
      if (!tn_wire_varint(r->reader->source->data + ref.offset, (size_t)ref.bytes, &at, &value)) {
        bad(r, "a number of its data is longer than ten bytes");
        return NULL;
      }
      memcpy(to, &value, width); /* the low bytes: tenon runs on little-endian hosts */
    }
  }
  return of_raw(r, name, data, NULL, 0);
}

tn_const *tn_onnx_tensor(const tn_tensor_reader *reader, const Onnx__TensorProto *tensor, const char *name,
                         tn_loc loc) {
  reading r = {.reader = reader, .tensor = tensor, .ctx = reader->module->ctx, .loc = loc};
  field_of field = type_of(tensor->data_type)->field;
  size_t n;
  if (!read_type(&r)) return NULL;
  if (tensor->has_segment) {
    bad(&r, "it is a segment of a larger one, which is not supported");
    return NULL;
  }
  if (tensor->data_location == 1) { /* EXTERNAL */
    const uint8_t *data;
    const char *file;
    uint64_t offset;
    if (!tn_external_read(reader->external, tensor, loc, r.bytes, &data, &file, &offset)) return NULL;
    return of_raw(&r, name, data, file, offset);
  }
  const ProtobufCBinaryData *chunks = chunks_of(&r, field, &n);
  if (tensor->has_raw_data && n > 0) {
    bad(&r, "its elements are there twice, as raw_data and as numbers");
    return NULL;
  }
  if (tensor->has_raw_data) {
    tn_wire_ref ref = tn_wire_ref_of(&tensor->raw_data);
    if (ref.bytes == r.bytes)
      return of_raw(&r, name, reader->source->data + ref.offset, reader->source->path, ref.offset);
    bad(&r, tn_namef(r.ctx, "expected %" PRIu64 " bytes of data, found %" PRIu64, r.bytes, ref.bytes));
    return NULL;
  }
  return field == IN_FLOAT || field == IN_DOUBLE ? of_floats(&r, name, chunks, n) : of_varints(&r, name, chunks, n);
}
