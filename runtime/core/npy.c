/* NumPy's .npy format, versions 1.0 to 3.0. Source: numpy.lib.format. The header is the text of a Python dictionary;
 * only the three keys of the specification are taken, and never an object (pickle is not read). */
#include <stdio.h>
#include <string.h>

#include "runtime/core/array.h"
#include "runtime/core/dtype.h"

/* ---- the header's text ---- */

typedef struct scanner {
  const char *at, *end;
} scanner;

static void skip_space(scanner *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r')) s->at++;
}

static bool accept(scanner *s, char c) {
  skip_space(s);
  if (s->at >= s->end || *s->at != c) return false;
  s->at++;
  return true;
}

static bool accept_word(scanner *s, const char *word) {
  size_t n = strlen(word);
  skip_space(s);
  if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0) return false;
  s->at += n;
  return true;
}

static bool scan_string(scanner *s, const char **out, size_t *out_bytes) {
  skip_space(s);
  if (s->at >= s->end || (*s->at != '\'' && *s->at != '"')) return false;
  char quote = *s->at++;
  *out = s->at;
  while (s->at < s->end && *s->at != quote && *s->at != '\\') s->at++;
  if (s->at >= s->end || *s->at != quote) return false;
  *out_bytes = (size_t)(s->at - *out);
  s->at++;
  return true;
}

static bool scan_integer(scanner *s, int64_t *out) {
  skip_space(s);
  const char *first = s->at;
  int64_t value = 0;
  for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
    if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
        __builtin_add_overflow(value, (int64_t)(*s->at - '0'), &value))
      return false;
  if (s->at == first) return false;
  if (s->at < s->end && *s->at == 'L') s->at++; /* written by Python 2 */
  *out = value;
  return true;
}

static tnrt_status scan_shape(tnrt_message *message, scanner *s, tnrt_npy *npy) {
  if (!accept(s, '(')) return tnrt_fail(message, TNRT_BAD_INPUT, "npy: 'shape' is not a tuple");
  npy->ndim = 0;
  while (!accept(s, ')')) {
    if (npy->ndim == TNRT_MAX_NDIM)
      return tnrt_fail(message, TNRT_BAD_INPUT, "npy: more than %d dimensions", TNRT_MAX_NDIM);
    if (!scan_integer(s, &npy->extents[npy->ndim]))
      return tnrt_fail(message, TNRT_BAD_INPUT, "npy: 'shape' holds something else than sizes");
    npy->ndim++;
    if (accept(s, ',')) continue;
    if (!accept(s, ')')) return tnrt_fail(message, TNRT_BAD_INPUT, "npy: 'shape' is not closed");
    break;
  }
  return TNRT_OK;
}

typedef struct descr_row {
  const char *descr; /* kind and bytes, behind the byte order */
  uint32_t dtype;
} descr_row;

/* V1 and V2 are what types unknown to numpy (bfloat16, float8) leave behind: their bits. */
static const descr_row descrs[] = {
    {"f8", TNRT_F64}, {"f4", TNRT_F32},  {"f2", TNRT_F16}, {"i8", TNRT_I64}, {"i4", TNRT_I32},
    {"i2", TNRT_I16}, {"i1", TNRT_I8},   {"u8", TNRT_U64}, {"u4", TNRT_U32}, {"u2", TNRT_U16},
    {"u1", TNRT_U8},  {"b1", TNRT_BOOL}, {"V1", TNRT_U8},  {"V2", TNRT_U16},
};

static tnrt_status scan_descr(tnrt_message *message, scanner *s, tnrt_npy *npy) {
  const char *text;
  size_t n;
  if (!scan_string(s, &text, &n))
    return tnrt_fail(message, TNRT_BAD_INPUT, "npy: structured arrays are not taken, only plain element types");
  if (n == 3 && strchr("<>|=", text[0]))
    for (size_t i = 0; i < sizeof descrs / sizeof descrs[0]; i++)
      if (memcmp(descrs[i].descr, text + 1, 2) == 0) {
        npy->dtype = descrs[i].dtype;
        npy->swapped = text[0] == '>';
        return TNRT_OK;
      }
  const char *what = n >= 2 && text[1] == 'O' ? " (Python objects are never read)" : "";
  return tnrt_fail(message, TNRT_BAD_INPUT, "npy: element type '%.*s' is not taken%s", n > 40 ? 40 : (int)n, text,
                   what);
}

static tnrt_status scan_header(tnrt_message *message, scanner *s, tnrt_npy *npy) {
  enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
  unsigned seen = 0;
  if (!accept(s, '{')) return tnrt_fail(message, TNRT_BAD_INPUT, "npy: the header is not a dictionary");
  while (!accept(s, '}')) {
    const char *key;
    size_t n;
    if (!scan_string(s, &key, &n) || !accept(s, ':'))
      return tnrt_fail(message, TNRT_BAD_INPUT, "npy: the header is not well formed");
    unsigned which = n == 5 && memcmp(key, "descr", 5) == 0             ? DESCR
                     : n == 13 && memcmp(key, "fortran_order", 13) == 0 ? ORDER
                     : n == 5 && memcmp(key, "shape", 5) == 0           ? SHAPE
                                                                        : 0;
    if (!which || seen & which)
      return tnrt_fail(message, TNRT_BAD_INPUT, "npy: unexpected key '%.*s' in the header", n > 40 ? 40 : (int)n, key);
    seen |= which;
    tnrt_status status = TNRT_OK;
    if (which == DESCR)
      status = scan_descr(message, s, npy);
    else if (which == SHAPE)
      status = scan_shape(message, s, npy);
    else if (accept_word(s, "True"))
      npy->fortran = true;
    else if (!accept_word(s, "False"))
      status = tnrt_fail(message, TNRT_BAD_INPUT, "npy: 'fortran_order' is neither True nor False");
    if (status != TNRT_OK) return status;
    if (accept(s, ',')) continue;
    if (!accept(s, '}')) return tnrt_fail(message, TNRT_BAD_INPUT, "npy: the header is not closed");
    break;
  }
  skip_space(s);
  if (s->at != s->end) return tnrt_fail(message, TNRT_BAD_INPUT, "npy: text behind the header's dictionary");
  if (seen != (DESCR | ORDER | SHAPE))
    return tnrt_fail(message, TNRT_BAD_INPUT, "npy: the header lacks 'descr', 'fortran_order' or 'shape'");
  return TNRT_OK;
}

tnrt_status tnrt_npy_open(tnrt_message *message, const uint8_t *data, size_t bytes, tnrt_npy *out) {
  *out = (tnrt_npy){.dtype = TNRT_U8};
  if (bytes < 10 || memcmp(data, "\x93NUMPY", 6) != 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "npy: does not begin as a .npy file");
  unsigned version = data[6];
  size_t prefix = version == 1 ? 10 : 12, length = (size_t)data[8] | (size_t)data[9] << 8;
  if (version < 1 || version > 3 || data[7] != 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "npy: format version %u.%u is not known", version, data[7]);
  if (version > 1 && bytes >= 12) length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
  if (length > TNRT_NPY_HEADER_MAX - 12)
    return tnrt_fail(message, TNRT_BAD_INPUT, "npy: a header of %zu bytes is larger than the %d allowed", length,
                     TNRT_NPY_HEADER_MAX - 12);
  if (bytes < prefix || bytes - prefix < length)
    return tnrt_fail(message, TNRT_BAD_INPUT, "npy: ends within its header");
  scanner s = {(const char *)data + prefix, (const char *)data + prefix + length};
  tnrt_status status = scan_header(message, &s, out);
  if (status != TNRT_OK) return status;
  out->data_at = prefix + length;
  out->bytes = tnrt_bytes_of(out->dtype, out->ndim, out->extents);
  if (out->bytes < 0) return tnrt_fail(message, TNRT_BAD_INPUT, "npy: the sizes multiply to more than 2^63 bytes");
  return TNRT_OK;
}

/* ---- the elements ---- */

static void swap_bytes(uint8_t *data, int64_t bytes, int64_t width) {
  for (int64_t at = 0; width > 1 && at < bytes; at += width)
    for (int64_t i = 0; i < width / 2; i++) {
      uint8_t kept = data[at + i];
      data[at + i] = data[at + width - 1 - i];
      data[at + width - 1 - i] = kept;
    }
}

/* Copies column-major `from` to row-major `to`, walking `to` in order. */
static void transpose(uint8_t *to, const uint8_t *from, const tnrt_npy *npy, int64_t width) {
  int64_t index[TNRT_MAX_NDIM] = {0}, stride[TNRT_MAX_NDIM], offset = 0, step = width;
  for (uint32_t i = 0; i < npy->ndim; i++) {
    stride[i] = step;
    step *= npy->extents[i];
  }
  for (int64_t at = 0; at < npy->bytes; at += width) {
    memcpy(to + at, from + offset, (size_t)width);
    for (uint32_t i = npy->ndim; i-- > 0;) {
      offset += stride[i];
      if (++index[i] < npy->extents[i]) break;
      offset -= stride[i] * npy->extents[i];
      index[i] = 0;
    }
  }
}

tnrt_status tnrt_npy_take(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npy *npy, uint8_t *payload,
                          uint8_t *owned, tnrt_array *out) {
  int64_t width = tnrt_dtype_find(npy->dtype)->bytes;
  *out = (tnrt_array){.dtype = npy->dtype, .ndim = npy->ndim, .bytes = npy->bytes, .data = payload, .owned = owned};
  memcpy(out->extents, npy->extents, sizeof out->extents);
  if (npy->swapped) swap_bytes(payload, npy->bytes, width);
  bool turn = npy->fortran && npy->ndim > 1 && npy->bytes > 0;
  if (!turn && (uintptr_t)payload % (uintptr_t)width == 0) return TNRT_OK;
  uint8_t *copy = alloc->get(alloc->user, (size_t)npy->bytes, 64);
  if (copy && turn) transpose(copy, payload, npy, width);
  if (copy && !turn) memcpy(copy, payload, (size_t)npy->bytes);
  tnrt_array_free(alloc, out);
  out->data = out->owned = copy;
  return copy ? TNRT_OK : tnrt_fail(message, TNRT_NO_MEMORY, "no memory for %lld bytes", (long long)npy->bytes);
}

tnrt_status tnrt_npy_read(tnrt_message *message, const tnrt_alloc *alloc, uint8_t *data, size_t bytes,
                          tnrt_array *out) {
  tnrt_npy npy;
  *out = (tnrt_array){0};
  tnrt_status status = tnrt_npy_open(message, data, bytes, &npy);
  if (status != TNRT_OK) return status;
  if (bytes - npy.data_at != (uint64_t)npy.bytes)
    return tnrt_fail(message, TNRT_BAD_INPUT, "npy: expected %lld bytes of elements, found %zu", (long long)npy.bytes,
                     bytes - npy.data_at);
  return tnrt_npy_take(message, alloc, &npy, data + npy.data_at, NULL, out);
}

/* ---- writing ---- */

size_t tnrt_npy_header(char *text, size_t text_bytes, uint32_t dtype, uint32_t ndim, const int64_t *extents) {
  const tnrt_dtype_info *info = tnrt_dtype_find(dtype);
  if (!info || !info->npy_kind || text_bytes < 128) return 0;
  size_t used =
      10 + (size_t)snprintf(text + 10, text_bytes - 10, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (",
                            info->bytes == 1 ? '|' : '<', info->npy_kind, info->bytes);
  for (uint32_t i = 0; i < ndim && used < text_bytes; i++)
    used += (size_t)snprintf(text + used, text_bytes - used, i ? ", %lld" : "%lld", (long long)extents[i]);
  if (used < text_bytes) used += (size_t)snprintf(text + used, text_bytes - used, ndim == 1 ? ",), }" : "), }");
  size_t total = (used + 1 + 63) / 64 * 64;
  if (total > text_bytes) return 0;
  memset(text + used, ' ', total - used);
  text[total - 1] = '\n';
  memcpy(text, "\x93NUMPY\x01\x00", 8);
  text[8] = (char)((total - 10) & 255);
  text[9] = (char)((total - 10) >> 8);
  return total;
}
