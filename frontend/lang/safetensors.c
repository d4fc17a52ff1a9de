/* The safetensors format: 8 bytes, the little-endian length of a JSON header; the header, {"name": {"dtype": "F32",
 * "shape": [..], "data_offsets": [begin, end]}, "__metadata__": {..}}; the bytes of the tensors, row-major and
 * little-endian. Every number of a file is checked before it is used; tensors may not overlap. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/store.h"

enum { PREFIX_BYTES = 8, MAX_HEADER_BYTES = 100000000 };

typedef struct reader {
  tn_sema *s;
  tn_store *store;
  const uint8_t *data; /* of the tensors */
  uint64_t bytes, file_offset;
  tn_loc loc;
} reader;

static bool wrong(const reader *r, const char *format, ...) TN_PRINTF(2, 3);
static bool wrong(const reader *r, const char *format, ...) {
  tn_buf text = tn_buf_create(r->s->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&text, format, args);
  va_end(args);
  return tn_error(r->s->ctx, r->loc, TN_E_WEIGHTS_FILE, "'%s' is no sound .safetensors file: %s", r->store->path,
                  text.data);
}

static tn_dtype dtype_of(const char *name) {
  static const struct {
    const char *name;
    tn_dtype dtype;
  } rows[] = {{"F64", TN_F64},   {"F32", TN_F32}, {"F16", TN_F16}, {"BF16", TN_BF16}, {"F8_E4M3", TN_F8E4M3},
              {"F8_E5M2", TN_F8E5M2}, {"I64", TN_I64}, {"I32", TN_I32}, {"I16", TN_I16}, {"I8", TN_I8},
              {"U64", TN_U64},   {"U32", TN_U32}, {"U16", TN_U16}, {"U8", TN_U8},     {"BOOL", TN_BOOL}};
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
    if (name && strcmp(rows[i].name, name) == 0) return rows[i].dtype;
  return TN_N_DTYPES;
}

/* A whole number that is not negative. */
static bool number(const json_t *json, uint64_t *out) {
  if (!json_is_integer(json) || json_integer_value(json) < 0) return false;
  *out = (uint64_t)json_integer_value(json);
  return true;
}

static bool read_shape(const reader *r, const char *name, const json_t *shape, tn_stored *out, uint64_t *out_bytes) {
  size_t bytes = tn_dtype_bytes(out->dtype);
  if (!json_is_array(shape) || json_array_size(shape) > TN_MAX_NDIM)
    return wrong(r, "'%s' has no shape of at most %d dims", name, TN_MAX_NDIM);
  out->ndim = (uint32_t)json_array_size(shape);
  for (uint32_t i = 0; i < out->ndim; i++) {
    uint64_t extent;
    if (!number(json_array_get(shape, i), &extent) || extent > INT64_MAX / 16 || !tn_mul_size(bytes, extent, &bytes))
      return wrong(r, "dim %u of '%s'", i, name);
    out->extents[i] = (int64_t)extent;
  }
  *out_bytes = bytes;
  return true;
}

/* A checkpoint of a training program holds the optimiser's states too (runtime/train/checkpoint.h), and among them what
 * the data's functions learned. */
static bool is_state(const reader *r, const char *name) {
  return r->store->is_trained && strncmp(name, "optimizer.", 10) == 0;
}

static bool is_fitted(const reader *r, const char *name) {
  return is_state(r, name) && strncmp(name, "optimizer.fitted.", 17) == 0;
}

/* What a training says of itself beside its weights. */
static void read_texts(const reader *r, json_t *metadata) {
  const char *format = json_string_value(json_object_get(metadata, "format")), *key;
  json_t *value;
  r->store->is_trained = format && strcmp(format, "tenon") == 0;
  if (!r->store->is_trained) return;
  json_object_foreach(metadata, key, value)
    if (json_is_string(value)) {
      const char *text = tn_name(r->s->ctx, json_string_value(value));
      tn_map_set(&r->store->texts, tn_name(r->s->ctx, key), (void *)(uintptr_t)text);
    }
}

static bool add_tensor(const reader *r, const char *name, const json_t *entry) {
  tn_stored t = {0};
  uint64_t begin, end, bytes = 0;
  const json_t *offsets = json_object_get(entry, "data_offsets");
  const char *dtype = json_string_value(json_object_get(entry, "dtype"));
  t.dtype = dtype_of(dtype);
  if (t.dtype == TN_N_DTYPES) return wrong(r, "'%s' has the unknown type '%s'", name, dtype ? dtype : "");
  if (!read_shape(r, name, json_object_get(entry, "shape"), &t, &bytes)) return false;
  if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !number(json_array_get(offsets, 0), &begin) ||
      !number(json_array_get(offsets, 1), &end) || begin > end || end > r->bytes)
    return wrong(r, "the data of '%s' lie outside the file", name);
  if (end - begin != bytes)
    return wrong(r, "'%s' has %" PRIu64 " bytes, its shape needs %" PRIu64, name, end - begin, bytes);
  if (tn_store_find(r->store, name)) return wrong(r, "'%s' stands twice", name);
  tn_stored *stored = is_fitted(r, name) ? tn_store_add_fitted(r->s, r->store, name)
                                         : tn_store_add(r->s, r->store, name);
  t.name = stored->name;
  t.data = r->data + begin;
  t.file = r->store->path;
  t.file_offset = r->file_offset + begin;
  *stored = t;
  return true;
}

static int by_offset(const void *a, const void *b) {
  const tn_stored *p = *(tn_stored *const *)a, *q = *(tn_stored *const *)b;
  return p->file_offset < q->file_offset ? -1 : p->file_offset > q->file_offset;
}

static uint64_t bytes_of(const tn_stored *t) {
  uint64_t bytes = tn_dtype_bytes(t->dtype);
  for (uint32_t i = 0; i < t->ndim; i++) bytes *= (uint64_t)t->extents[i];
  return bytes;
}

static bool check_overlaps(const reader *r) {
  size_t n = r->store->tensors.n;
  tn_stored **sorted = tn_arena_copy(r->s->arena, r->store->tensors.data, n * sizeof(*sorted));
  if (n) qsort(sorted, n, sizeof(*sorted), by_offset);
  for (size_t i = 0; i + 1 < n; i++)
    if (bytes_of(sorted[i]) && sorted[i]->file_offset + bytes_of(sorted[i]) > sorted[i + 1]->file_offset)
      return wrong(r, "'%s' and '%s' overlap", sorted[i]->name, sorted[i + 1]->name);
  return true;
}

bool tn_safetensors_read(tn_sema *s, tn_store *store, const uint8_t *data, size_t bytes, tn_loc loc) {
  reader r = {.s = s, .store = store, .loc = loc};
  uint64_t header = 0;
  if (bytes < PREFIX_BYTES) return wrong(&r, "it is shorter than a header");
  for (int i = 0; i < PREFIX_BYTES; i++) header |= (uint64_t)data[i] << (8 * i);
  if (header > bytes - PREFIX_BYTES || header > MAX_HEADER_BYTES)
    return wrong(&r, "a header of %" PRIu64 " bytes in a file of %zu", header, bytes);
  r.file_offset = PREFIX_BYTES + header;
  r.data = data + r.file_offset;
  r.bytes = bytes - r.file_offset;
  json_error_t error;
  json_t *root = json_loadb((const char *)data + PREFIX_BYTES, (size_t)header, JSON_REJECT_DUPLICATES, &error);
  bool ok = json_is_object(root);
  if (!ok) wrong(&r, "%s", root ? "the header is no object" : error.text);
  const char *name;
  json_t *entry;
  if (ok) read_texts(&r, json_object_get(root, "__metadata__"));
  json_object_foreach(root, name, entry) {
    if (!ok) break;
    if (strcmp(name, "__metadata__") != 0 && (!is_state(&r, name) || is_fitted(&r, name)))
      ok = add_tensor(&r, name, entry);
  }
  json_decref(root);
  return ok && check_overlaps(&r);
}
