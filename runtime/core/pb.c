/* An ONNX TensorProto, read straight from the wire format: one flat message, so no recursion and no generated code.
 * Source: onnx.proto (TensorProto), protocol buffers encoding. Unknown fields are skipped, as the encoding asks. */
#include <string.h>

#include "runtime/core/array.h"
#include "runtime/core/dtype.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* wire types */

/* Field numbers of TensorProto. */
enum {
  DIMS = 1,
  DATA_TYPE = 2,
  FLOAT_DATA = 4,
  INT32_DATA = 5,
  STRING_DATA = 6,
  INT64_DATA = 7,
  NAME = 8,
  RAW_DATA = 9,
  DOUBLE_DATA = 10,
  UINT64_DATA = 11,
  DATA_LOCATION = 14
};

typedef struct wire {
  uint8_t *at, *end;
} wire;

typedef struct field {
  uint32_t number, type;
  uint64_t value; /* VARINT, FIXED32, FIXED64 */
  wire bytes;     /* BYTES */
} field;

static tnrt_status malformed(tnrt_message *message) {
  return tnrt_fail(message, TNRT_BAD_INPUT, "pb: not a well-formed TensorProto");
}

static bool get_varint(wire *w, uint64_t *out) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && w->at < w->end; shift += 7) {
    uint8_t byte = *w->at++;
    value |= (uint64_t)(byte & 127) << shift;
    if (!(byte & 128)) {
      *out = value;
      return true;
    }
  }
  return false;
}

static bool get_fixed(wire *w, size_t bytes, uint64_t *out) {
  if ((size_t)(w->end - w->at) < bytes) return false;
  *out = 0;
  memcpy(out, w->at, bytes);
  w->at += bytes;
  return true;
}

static bool get_field(wire *w, field *out) {
  uint64_t key, length;
  if (!get_varint(w, &key) || key >> 32 || key >> 3 == 0) return false;
  out->number = (uint32_t)(key >> 3);
  out->type = key & 7;
  switch (out->type) {
    case VARINT:
      return get_varint(w, &out->value);
    case FIXED64:
      return get_fixed(w, 8, &out->value);
    case FIXED32:
      return get_fixed(w, 4, &out->value);
    case BYTES:
      if (!get_varint(w, &length) || length > (uint64_t)(w->end - w->at)) return false;
      out->bytes = (wire){w->at, w->at + length};
      w->at += length;
      return true;
    default:
      return false; /* groups are not part of ONNX */
  }
}

typedef struct onnx_row {
  uint8_t dtype;
  uint8_t field;  /* repeated field that holds the elements when raw_data does not */
  uint8_t packed; /* elements a byte of raw_data and a value of int32_data, else 1 */
} onnx_row;

/* By TensorProto.DataType; field 0: not taken. */
static const onnx_row onnx_types[] = {
    [1] = {TNRT_F32, FLOAT_DATA, 1},     [2] = {TNRT_U8, INT32_DATA, 1},        [3] = {TNRT_I8, INT32_DATA, 1},
    [4] = {TNRT_U16, INT32_DATA, 1},     [5] = {TNRT_I16, INT32_DATA, 1},       [6] = {TNRT_I32, INT32_DATA, 1},
    [7] = {TNRT_I64, INT64_DATA, 1},     [9] = {TNRT_BOOL, INT32_DATA, 1},      [10] = {TNRT_F16, INT32_DATA, 1},
    [11] = {TNRT_F64, DOUBLE_DATA, 1},   [12] = {TNRT_U32, UINT64_DATA, 1},     [13] = {TNRT_U64, UINT64_DATA, 1},
    [16] = {TNRT_BF16, INT32_DATA, 1},   [17] = {TNRT_F8E4M3, INT32_DATA, 1},   [18] = {TNRT_F8E4M3UZ, INT32_DATA, 1},
    [19] = {TNRT_F8E5M2, INT32_DATA, 1}, [20] = {TNRT_F8E5M2UZ, INT32_DATA, 1}, [21] = {TNRT_U4, INT32_DATA, 2},
    [22] = {TNRT_I4, INT32_DATA, 2},     [23] = {TNRT_F4E2M1, INT32_DATA, 2},   [24] = {TNRT_F8E8M0, INT32_DATA, 1},
    [25] = {TNRT_U2, INT32_DATA, 4},     [26] = {TNRT_I2, INT32_DATA, 4},
};

/* First pass: everything but the elements. */
typedef struct tensor {
  uint64_t type;
  uint32_t ndim;
  int64_t extents[TNRT_MAX_NDIM];
  bool external, has_raw;
  wire raw;
  const char *name;
  size_t name_bytes;
} tensor;

static bool add_dim(tensor *t, uint64_t value) {
  if (t->ndim == TNRT_MAX_NDIM) return false;
  t->extents[t->ndim++] = (int64_t)value;
  return true;
}

static bool take_head(tensor *t, field *f) {
  if (f->number == DIMS && f->type == VARINT) return add_dim(t, f->value);
  if (f->number == DIMS && f->type == BYTES) {
    for (uint64_t value; f->bytes.at < f->bytes.end;)
      if (!get_varint(&f->bytes, &value) || !add_dim(t, value)) return false;
  } else if (f->number == DATA_TYPE && f->type == VARINT) {
    t->type = f->value;
  } else if (f->number == DATA_LOCATION && f->type == VARINT) {
    t->external = f->value != 0;
  } else if (f->number == NAME && f->type == BYTES) {
    t->name = (const char *)f->bytes.at;
    t->name_bytes = (size_t)(f->bytes.end - f->bytes.at);
  } else if (f->number == RAW_DATA && f->type == BYTES) {
    t->has_raw = true;
    t->raw = f->bytes;
  }
  return true;
}

/* Elements of fewer than 8 bits: the first one stands in the lowest bits. */
static void unpack(uint8_t *to, int64_t first, int64_t count, uint32_t dtype, int packed, uint8_t byte) {
  int bits = 8 / packed;
  bool is_signed = dtype == TNRT_I4 || dtype == TNRT_I2;
  for (int k = 0; k < packed && first + k < count; k++) {
    unsigned value = byte >> (k * bits) & ((1u << bits) - 1);
    if (is_signed && value >> (bits - 1)) value |= ~0u << bits;
    to[first + k] = (uint8_t)value;
  }
}

/* Puts the next value of a repeated field. *at counts elements. */
static bool put(tnrt_array *a, int64_t count, int64_t *at, const onnx_row *row, int64_t width, uint64_t value) {
  if (*at >= count) return false;
  if (row->packed > 1)
    unpack(a->data, *at, count, a->dtype, row->packed, (uint8_t)value);
  else
    memcpy(a->data + *at * width, &value, (size_t)width);
  *at += row->packed;
  return true;
}

/* Second pass, for elements in a repeated field, packed or one by one. */
static bool read_repeated(wire w, tnrt_array *a, int64_t count, const onnx_row *row) {
  uint32_t type = row->field == FLOAT_DATA ? FIXED32 : row->field == DOUBLE_DATA ? FIXED64 : VARINT;
  int64_t width = tnrt_dtype_find(a->dtype)->bytes, at = 0;
  field f;
  while (w.at < w.end) {
    if (!get_field(&w, &f)) return false;
    if (f.number != row->field) continue;
    if (f.type == type) {
      if (!put(a, count, &at, row, width, f.value)) return false;
      continue;
    }
    if (f.type != BYTES) return false;
    while (f.bytes.at < f.bytes.end) {
      uint64_t value;
      bool ok = type == VARINT ? get_varint(&f.bytes, &value) : get_fixed(&f.bytes, type == FIXED32 ? 4 : 8, &value);
      if (!ok || !put(a, count, &at, row, width, value)) return false;
    }
  }
  return at >= count;
}

static tnrt_status own(tnrt_message *message, const tnrt_alloc *alloc, tnrt_array *out) {
  out->data = out->owned = alloc->get(alloc->user, (size_t)out->bytes, 64);
  return out->owned ? TNRT_OK : tnrt_fail(message, TNRT_NO_MEMORY, "no memory for %lld bytes", (long long)out->bytes);
}

static tnrt_status read_raw(tnrt_message *message, const tnrt_alloc *alloc, const tensor *t, const onnx_row *row,
                            int64_t count, tnrt_array *out) {
  int64_t have = t->raw.end - t->raw.at,
          want = row->packed > 1 ? count / row->packed + (count % row->packed != 0) : out->bytes;
  if (have != want)
    return tnrt_fail(message, TNRT_BAD_INPUT, "pb: expected %lld bytes of raw data, found %lld", (long long)want,
                     (long long)have);
  if (row->packed == 1 && (uintptr_t)t->raw.at % tnrt_dtype_find(out->dtype)->bytes == 0) {
    out->data = t->raw.at;
    return TNRT_OK;
  }
  tnrt_status status = own(message, alloc, out);
  if (status != TNRT_OK) return status;
  if (row->packed == 1) memcpy(out->data, t->raw.at, (size_t)have);
  for (int64_t i = 0; row->packed > 1 && i < have; i++)
    unpack(out->data, i * row->packed, count, out->dtype, row->packed, t->raw.at[i]);
  return TNRT_OK;
}

static tnrt_status read_elements(tnrt_message *message, const tnrt_alloc *alloc, wire whole, const tensor *t,
                                 const onnx_row *row, tnrt_array *out) {
  int64_t count = tnrt_count_of(t->ndim, t->extents);
  if (t->has_raw) return read_raw(message, alloc, t, row, count, out);
  /* A varint takes a byte at least, so a file cannot make us allocate more than 16 times its size. */
  if (count / row->packed > whole.end - whole.at)
    return tnrt_fail(message, TNRT_BAD_INPUT, "pb: expected %lld elements, the file is too short for them",
                     (long long)count);
  tnrt_status status = own(message, alloc, out);
  if (status != TNRT_OK) return status;
  if (read_repeated(whole, out, count, row)) return TNRT_OK;
  tnrt_array_free(alloc, out);
  return tnrt_fail(message, TNRT_BAD_INPUT, "pb: the number of elements is not the product of the sizes");
}

tnrt_status tnrt_pb_read(tnrt_message *message, const tnrt_alloc *alloc, uint8_t *data, size_t bytes, tnrt_array *out,
                         const char **out_name, size_t *out_name_bytes) {
  wire whole = {data, data + bytes}, w = whole;
  tensor t = {0};
  field f;
  *out = (tnrt_array){0};
  while (w.at < w.end)
    if (!get_field(&w, &f) || !take_head(&t, &f)) return malformed(message);
  *out_name = t.name;
  *out_name_bytes = t.name_bytes;
  if (t.type >= sizeof onnx_types / sizeof onnx_types[0] || !onnx_types[t.type].field)
    return tnrt_fail(message, TNRT_BAD_INPUT, "pb: element type %llu is not taken", (unsigned long long)t.type);
  if (t.external) return tnrt_fail(message, TNRT_BAD_INPUT, "pb: elements in another file are not read here");
  const onnx_row *row = &onnx_types[t.type];
  *out = (tnrt_array){.dtype = row->dtype, .ndim = t.ndim};
  memcpy(out->extents, t.extents, sizeof out->extents);
  out->bytes = tnrt_bytes_of(row->dtype, t.ndim, t.extents);
  if (out->bytes < 0) return tnrt_fail(message, TNRT_BAD_INPUT, "pb: a size is negative or their product too large");
  return read_elements(message, alloc, whole, &t, row, out);
}
