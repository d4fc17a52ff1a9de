/* Headers of .safetensors files (safetensors.h). Every number of a file is checked before it is used. */
#include "runtime/train/safetensors.h"

#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/json.h"
#include "runtime/train/text.h"

static const char checksum_head[] = "{\"__metadata__\":{\"checksum\":\"";
enum { CHECKSUM_AT = sizeof checksum_head - 1, CHECKSUM_DIGITS = 16, MIN_TENSOR_TEXT = 50, MIN_TEXT_TEXT = 5 };

typedef struct dtype_row {
  const char *name;
  uint32_t dtype;
} dtype_row;

static const dtype_row dtypes[] = {
    {"F64", TNRT_F64},        {"F32", TNRT_F32},        {"F16", TNRT_F16},        {"BF16", TNRT_BF16},
    {"F8_E4M3", TNRT_F8E4M3}, {"F8_E5M2", TNRT_F8E5M2}, {"F8_E8M0", TNRT_F8E8M0}, {"I64", TNRT_I64},
    {"I32", TNRT_I32},        {"I16", TNRT_I16},        {"I8", TNRT_I8},          {"U64", TNRT_U64},
    {"U32", TNRT_U32},        {"U16", TNRT_U16},        {"U8", TNRT_U8},          {"BOOL", TNRT_BOOL}};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

const char *tnrt_safetensors_dtype(uint32_t dtype) {
  for (int i = 0; i < N_DTYPES; i++)
    if (dtypes[i].dtype == dtype) return dtypes[i].name;
  return NULL;
}

/* ---- checksums ---- */

uint64_t tnrt_digest_of(const void *data, uint64_t bytes) {
  const uint8_t *from = data;
  tnrt_digest digest = tnrt_digest_start();
  uint64_t at = 0;
  for (; bytes - at >= 32; at += 32) tnrt_digest_add(&digest, from + at);
  if (at < bytes) {
    uint8_t last[32] = {0};
    memcpy(last, from + at, bytes - at);
    tnrt_digest_add(&digest, last);
  }
  return tnrt_digest_end(&digest, bytes);
}

void tnrt_digest_text(char out[TNRT_DIGEST_TEXT], uint64_t digest) {
  for (int i = 0; i < CHECKSUM_DIGITS; i++) out[i] = "0123456789abcdef"[digest >> (60 - 4 * i) & 15];
  out[CHECKSUM_DIGITS] = 0;
}

bool tnrt_safetensors_has_checksum(const char *header, size_t bytes) {
  return bytes > CHECKSUM_AT + CHECKSUM_DIGITS && memcmp(header, checksum_head, CHECKSUM_AT) == 0;
}

/* Of a header's bytes behind the digits; what stands before them is always the same. */
static uint64_t header_checksum(const char *header, size_t bytes) {
  size_t from = CHECKSUM_AT + CHECKSUM_DIGITS;
  return tnrt_digest_of(header + from, bytes - from);
}

bool tnrt_safetensors_is_sound(const char *header, size_t bytes) {
  char digits[TNRT_DIGEST_TEXT];
  if (!tnrt_safetensors_has_checksum(header, bytes)) return false;
  tnrt_digest_text(digits, header_checksum(header, bytes));
  return memcmp(header + CHECKSUM_AT, digits, CHECKSUM_DIGITS) == 0;
}

/* ---- reading ---- */

tnrt_status tnrt_safetensors_header_bytes(tnrt_message *message, const uint8_t prefix[8], uint64_t file_bytes,
                                          uint64_t *out) {
  uint64_t bytes = 0;
  for (int i = 0; i < TNRT_SAFETENSORS_PREFIX; i++) bytes |= (uint64_t)prefix[i] << (8 * i);
  if (file_bytes < TNRT_SAFETENSORS_PREFIX || bytes > file_bytes - TNRT_SAFETENSORS_PREFIX ||
      bytes > TNRT_SAFETENSORS_MAX_HEADER)
    return tnrt_fail(message, TNRT_BAD_INPUT, "it is no safetensors file: a header of %llu bytes in a file of %llu",
                     (unsigned long long)bytes, (unsigned long long)file_bytes);
  *out = bytes;
  return TNRT_OK;
}

void tnrt_safetensors_bound(const char *header, size_t bytes, uint32_t *out_tensors, uint32_t *out_texts) {
  size_t braces = 0, quotes = 0;
  for (size_t i = 0; i < bytes; i++) {
    braces += header[i] == '{';
    quotes += header[i] == '"';
  }
  size_t tensors = bytes / MIN_TENSOR_TEXT, texts = bytes / MIN_TEXT_TEXT;
  *out_tensors = (uint32_t)(braces < tensors ? braces : tensors);
  *out_texts = (uint32_t)(quotes / 4 < texts ? quotes / 4 : texts);
}

typedef struct parser {
  tnrt_message *message;
  tnrt_json json;
  tnrt_safetensors *out;
} parser;

static tnrt_status wrong(const parser *p, const char *what, const char *name) {
  return tnrt_fail(p->message, TNRT_BAD_INPUT, "no sound safetensors header: %s%s%s%s",
                   p->json.error ? p->json.error : what, name ? " ('" : "", name ? name : "", name ? "')" : "");
}

/* A text unescaped where it stands; NULL: there is none, or it holds a zero. */
static const char *take_text(parser *p) {
  tnrt_json ahead = p->json;
  const char *raw;
  size_t raw_bytes, bytes;
  if (!tnrt_json_raw(&ahead, &raw, &raw_bytes)) return p->json.error = ahead.error, NULL;
  char *out = (char *)(uintptr_t)raw;
  if (!tnrt_json_text(&p->json, out, raw_bytes + 1, &bytes)) return NULL;
  if (strlen(out) == bytes) return out;
  p->json.error = "a text with a zero in it";
  return NULL;
}

static tnrt_status parse_shape(parser *p, tnrt_stored *t) {
  tnrt_json_enter(&p->json, '[');
  while (tnrt_json_more(&p->json)) {
    if (t->ndim == TNRT_MAX_NDIM) return wrong(p, "more than 16 dims", t->name);
    if (!tnrt_json_integer(&p->json, &t->extents[t->ndim]) || t->extents[t->ndim] < 0)
      return wrong(p, "a shape holds something else than sizes", t->name);
    t->ndim++;
  }
  return p->json.error ? wrong(p, NULL, t->name) : TNRT_OK;
}

static tnrt_status parse_offsets(parser *p, tnrt_stored *t) {
  int64_t ends[2] = {0};
  int n = 0;
  tnrt_json_enter(&p->json, '[');
  while (tnrt_json_more(&p->json) && n < 2) {
    if (!tnrt_json_integer(&p->json, &ends[n]) || ends[n] < 0) return wrong(p, "a place is no size", t->name);
    n++;
  }
  if (p->json.error || n != 2 || tnrt_json_peek(&p->json) == '0' || ends[0] > ends[1])
    return wrong(p, "data_offsets are not two places in order", t->name);
  t->begin = (uint64_t)ends[0];
  t->end = (uint64_t)ends[1];
  return TNRT_OK;
}

static tnrt_status parse_dtype(parser *p, tnrt_stored *t) {
  const char *name = take_text(p);
  if (!name) return wrong(p, "dtype is no text", t->name);
  for (int i = 0; i < N_DTYPES; i++)
    if (strcmp(dtypes[i].name, name) == 0) return t->dtype = dtypes[i].dtype, TNRT_OK;
  return wrong(p, "a dtype that is not known", t->name);
}

static tnrt_status parse_tensor(parser *p, const char *name) {
  enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
  unsigned seen = 0;
  if (p->out->n_tensors == p->out->max_tensors) return wrong(p, "more tensors than expected", NULL);
  tnrt_stored *t = &p->out->tensors[p->out->n_tensors++];
  *t = (tnrt_stored){.name = name};
  tnrt_json_enter(&p->json, '{');
  while (tnrt_json_more(&p->json)) {
    char key[16];
    if (!tnrt_json_key(&p->json, key, sizeof key)) break;
    unsigned which = strcmp(key, "dtype") == 0          ? DTYPE
                     : strcmp(key, "shape") == 0        ? SHAPE
                     : strcmp(key, "data_offsets") == 0 ? OFFSETS
                                                        : 0;
    if (!which || seen & which) return wrong(p, "a key that does not belong there", name);
    seen |= which;
    tnrt_status status = which == DTYPE ? parse_dtype(p, t) : which == SHAPE ? parse_shape(p, t) : parse_offsets(p, t);
    if (status != TNRT_OK) return status;
  }
  if (p->json.error || seen != (DTYPE | SHAPE | OFFSETS))
    return wrong(p, "a tensor without dtype, shape or place", name);
  int64_t bytes = tnrt_bytes_of(t->dtype, t->ndim, t->extents);
  return bytes >= 0 && (uint64_t)bytes == t->end - t->begin ? TNRT_OK : wrong(p, "bytes and shape disagree", name);
}

static tnrt_status parse_metadata(parser *p) {
  tnrt_json_enter(&p->json, '{');
  while (tnrt_json_more(&p->json)) {
    if (p->out->n_texts == p->out->max_texts) return wrong(p, "more texts than expected", NULL);
    tnrt_saved_text *text = &p->out->texts[p->out->n_texts];
    if (!(text->key = take_text(p)) || !(text->text = take_text(p))) break;
    p->out->n_texts++;
  }
  return p->json.error ? wrong(p, NULL, "__metadata__") : TNRT_OK;
}

/* ---- order ---- */

typedef bool (*before_fn)(const tnrt_safetensors *file, uint32_t a, uint32_t b);

static bool name_before(const tnrt_safetensors *file, uint32_t a, uint32_t b) {
  return strcmp(file->tensors[a].name, file->tensors[b].name) < 0;
}

static bool place_before(const tnrt_safetensors *file, uint32_t a, uint32_t b) {
  const tnrt_stored *p = &file->tensors[a], *q = &file->tensors[b];
  return p->begin != q->begin ? p->begin < q->begin : p->end < q->end;
}

static void sink(const tnrt_safetensors *file, before_fn before, uint32_t at, uint32_t n) {
  uint32_t *heap = file->by_name, moved = heap[at];
  for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && before(file, heap[child], heap[child + 1])) child++;
    if (!before(file, moved, heap[child])) break;
    heap[at] = heap[child];
  }
  heap[at] = moved;
}

/* Heap sort of file->by_name: the C library's sort may allocate. */
static void sort(const tnrt_safetensors *file, before_fn before) {
  uint32_t *heap = file->by_name;
  for (uint32_t i = 0; i < file->n_tensors; i++) heap[i] = i;
  for (uint32_t i = file->n_tensors / 2; i-- > 0;) sink(file, before, i, file->n_tensors);
  for (uint32_t n = file->n_tensors; n-- > 1;) {
    uint32_t last = heap[0];
    heap[0] = heap[n];
    heap[n] = last;
    sink(file, before, 0, n);
  }
}

static tnrt_status check_places(parser *p, uint64_t data_bytes) {
  tnrt_safetensors *file = p->out;
  uint64_t at = 0;
  sort(file, place_before);
  for (uint32_t i = 0; i < file->n_tensors; i++) {
    const tnrt_stored *t = &file->tensors[file->by_name[i]];
    if (t->begin != at) return wrong(p, "tensors overlap or leave a gap", t->name);
    at = t->end;
  }
  if (at != data_bytes)
    return tnrt_fail(p->message, TNRT_BAD_INPUT, "the tensors have %llu bytes, the file %llu behind its header",
                     (unsigned long long)at, (unsigned long long)data_bytes);
  sort(file, name_before);
  for (uint32_t i = 0; i + 1 < file->n_tensors; i++)
    if (!name_before(file, file->by_name[i], file->by_name[i + 1]))
      return wrong(p, "a tensor stands twice", file->tensors[file->by_name[i]].name);
  return TNRT_OK;
}

tnrt_status tnrt_safetensors_parse(tnrt_message *message, char *header, size_t bytes, uint64_t data_bytes,
                                   tnrt_safetensors *out) {
  parser p = {message, tnrt_json_over(header, bytes), out};
  tnrt_status status = TNRT_OK;
  bool has_metadata = false;
  out->n_tensors = out->n_texts = 0;
  tnrt_json_enter(&p.json, '{');
  while (status == TNRT_OK && tnrt_json_more(&p.json)) {
    const char *name = take_text(&p);
    if (!name) return wrong(&p, NULL, NULL);
    bool is_metadata = strcmp(name, "__metadata__") == 0;
    if (is_metadata && has_metadata) return wrong(&p, "__metadata__ stands twice", NULL);
    has_metadata |= is_metadata;
    status = is_metadata ? parse_metadata(&p) : parse_tensor(&p, name);
  }
  if (status != TNRT_OK) return status;
  if (tnrt_json_peek(&p.json) || p.json.error) return wrong(&p, "text behind the object", NULL);
  return check_places(&p, data_bytes);
}

const tnrt_stored *tnrt_safetensors_find(const tnrt_safetensors *file, const char *name) {
  for (uint32_t lo = 0, hi = file->n_tensors; lo < hi;) {
    uint32_t middle = lo + (hi - lo) / 2;
    const tnrt_stored *t = &file->tensors[file->by_name[middle]];
    int order = strcmp(name, t->name);
    if (order == 0) return t;
    if (order < 0)
      hi = middle;
    else
      lo = middle + 1;
  }
  return NULL;
}

const char *tnrt_safetensors_text(const tnrt_safetensors *file, const char *key) {
  for (uint32_t i = 0; i < file->n_texts; i++)
    if (strcmp(file->texts[i].key, key) == 0) return file->texts[i].text;
  return NULL;
}

/* ---- writing ---- */

static bool put_tensor(tnrt_writer *w, const tnrt_saved *t, uint64_t *at) {
  const char *dtype = tnrt_safetensors_dtype(t->dtype);
  if (!dtype) return false;
  tnrt_put(w, ',');
  tnrt_put_string(w, t->name);
  tnrt_put_text(w, ":{\"dtype\":\"");
  tnrt_put_text(w, dtype);
  tnrt_put_text(w, "\",\"shape\":[");
  for (uint32_t i = 0; i < t->ndim; i++) {
    if (i) tnrt_put(w, ',');
    tnrt_put_integer(w, t->extents[i]);
  }
  tnrt_put_text(w, "],\"data_offsets\":[");
  tnrt_put_integer(w, (int64_t)*at);
  tnrt_put(w, ',');
  tnrt_put_integer(w, (int64_t)(*at += t->bytes));
  tnrt_put_text(w, "]}");
  return true;
}

size_t tnrt_safetensors_header(char *out, size_t capacity, const tnrt_saved *tensors, uint32_t n_tensors,
                               const tnrt_saved_text *texts, uint32_t n_texts) {
  tnrt_writer w = {out, capacity, 0};
  uint64_t at = 0;
  for (int i = 0; i < TNRT_SAFETENSORS_PREFIX; i++) tnrt_put(&w, 0);
  tnrt_put_text(&w, checksum_head);
  for (int i = 0; i < CHECKSUM_DIGITS; i++) tnrt_put(&w, '0');
  tnrt_put(&w, '"');
  for (uint32_t i = 0; i < n_texts; i++) {
    tnrt_put(&w, ',');
    tnrt_put_string(&w, texts[i].key);
    tnrt_put(&w, ':');
    tnrt_put_string(&w, texts[i].text);
  }
  tnrt_put(&w, '}');
  for (uint32_t i = 0; i < n_tensors; i++)
    if (!put_tensor(&w, &tensors[i], &at)) return 0;
  tnrt_put(&w, '}');
  while (w.n % 64 != 0) tnrt_put(&w, ' ');
  if (w.n > capacity) return w.n;
  uint64_t bytes = w.n - TNRT_SAFETENSORS_PREFIX;
  char *header = out + TNRT_SAFETENSORS_PREFIX, digits[TNRT_DIGEST_TEXT];
  for (int i = 0; i < TNRT_SAFETENSORS_PREFIX; i++) out[i] = (char)(bytes >> (8 * i));
  tnrt_digest_text(digits, header_checksum(header, bytes));
  memcpy(header + CHECKSUM_AT, digits, CHECKSUM_DIGITS);
  return w.n;
}
