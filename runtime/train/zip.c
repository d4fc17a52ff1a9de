/* Writing .npz (zip.h). Checksums are made before anything is written: sizes and sums stand before the data. */
#include "runtime/train/zip.h"

#include <string.h>

#include "runtime/core/array.h"
#include "runtime/core/dtype.h"
#include "runtime/train/whole.h"

enum { NPY_HEADER = 1024, MAX_NAME = 4096, RECORD = 128, ENTRY = 46, LOCAL = 30 };
enum { VERSION = 45, UTF8 = 0x0800, DATE = 0x21 /* 1980-01-01: the same weights make the same bytes */ };
static const uint64_t limit = 0xffffffffu;

typedef struct member {
  uint64_t at, bytes; /* of its header in the file; of header and elements */
  uint32_t crc;
  size_t header_bytes;
  char header[NPY_HEADER];
} member;

typedef struct record {
  uint8_t bytes[RECORD];
  size_t n;
} record;

static void put(record *r, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) r->bytes[r->n++] = (uint8_t)(value >> (8 * i));
}

static uint64_t capped(uint64_t value) { return value < limit ? value : limit; }

/* Behind signature and versions, what both headers of a member have in common. extra: bytes of its zip64 field. */
static void put_common(record *r, const member *m, size_t name_bytes, size_t extra) {
  put(r, UTF8, 2);
  put(r, 0, 2); /* stored */
  put(r, 0, 2);
  put(r, DATE, 2);
  put(r, m->crc, 4);
  put(r, capped(m->bytes), 4);
  put(r, capped(m->bytes), 4);
  put(r, name_bytes, 2);
  put(r, extra, 2);
}

static void put_extra(record *r, size_t extra, const member *m, bool has_place) {
  if (!extra) return;
  put(r, 1, 2);
  put(r, extra - 4, 2);
  if (m->bytes >= limit) put(r, m->bytes, 8), put(r, m->bytes, 8);
  if (has_place && m->at >= limit) put(r, m->at, 8);
}

static record local_header(const member *m, size_t name_bytes) {
  record r = {.n = 0};
  put(&r, 0x04034b50, 4);
  put(&r, VERSION, 2);
  put_common(&r, m, name_bytes, m->bytes >= limit ? 20 : 0);
  return r;
}

static size_t entry_extra(const member *m) {
  size_t fields = (m->bytes >= limit ? 2u : 0) + (m->at >= limit ? 1u : 0);
  return fields ? 4 + 8 * fields : 0;
}

static record entry(const member *m, size_t name_bytes) {
  record r = {.n = 0};
  put(&r, 0x02014b50, 4);
  put(&r, VERSION | 3 << 8, 2); /* made on Unix */
  put(&r, VERSION, 2);
  put_common(&r, m, name_bytes, entry_extra(m));
  put(&r, 0, 2);           /* comment */
  put(&r, 0, 2);           /* disk */
  put(&r, 0, 2);           /* attributes inside, */
  put(&r, 0644u << 16, 4); /* and outside */
  put(&r, capped(m->at), 4);
  return r;
}

static record directory_end(uint64_t at, uint64_t bytes, uint64_t n) {
  record r = {.n = 0};
  if (at >= limit || bytes >= limit || n >= 0xffff) {
    put(&r, 0x06064b50, 4), put(&r, 44, 8), put(&r, VERSION, 2), put(&r, VERSION, 2), put(&r, 0, 4), put(&r, 0, 4);
    put(&r, n, 8), put(&r, n, 8), put(&r, bytes, 8), put(&r, at, 8);
    put(&r, 0x07064b50, 4), put(&r, 0, 4), put(&r, at + bytes, 8), put(&r, 1, 4);
  }
  uint64_t counted = n < 0xffff ? n : 0xffff;
  put(&r, 0x06054b50, 4), put(&r, 0, 2), put(&r, 0, 2), put(&r, counted, 2), put(&r, counted, 2);
  put(&r, capped(bytes), 4), put(&r, capped(at), 4), put(&r, 0, 2);
  return r;
}

/* Sizes, sums and places of the members. *out_bytes: where the directory begins; *out_directory: its length. */
static tnrt_status measure(tnrt_message *message, const tnrt_saved *tensors, uint32_t n, member *members,
                           uint64_t *out_bytes, uint64_t *out_directory) {
  *out_bytes = *out_directory = 0;
  for (uint32_t i = 0; i < n; i++) {
    const tnrt_saved *t = &tensors[i];
    member *m = &members[i];
    size_t name = strlen(t->name) + 4;
    m->header_bytes = tnrt_npy_header(m->header, NPY_HEADER, t->dtype, t->ndim, t->extents);
    if (!m->header_bytes || name > MAX_NAME)
      return tnrt_fail(message, TNRT_BAD_INPUT, "'%.200s' of type %s has no form in .npz", t->name,
                       tnrt_dtype_name(t->dtype));
    m->at = *out_bytes;
    m->bytes = m->header_bytes + t->bytes;
    m->crc = tnrt_crc32(tnrt_crc32(0, (const uint8_t *)m->header, m->header_bytes), t->data, t->bytes);
    *out_bytes += LOCAL + name + (m->bytes >= limit ? 20 : 0) + m->bytes;
    *out_directory += ENTRY + name + entry_extra(m);
  }
  return TNRT_OK;
}

static tnrt_status put_name(tnrt_whole *file, tnrt_message *message, const char *name) {
  tnrt_status status = tnrt_whole_put(file, message, name, strlen(name));
  return status == TNRT_OK ? tnrt_whole_put(file, message, ".npy", 4) : status;
}

/* The record, the name, the zip64 field. */
static tnrt_status put_head(tnrt_whole *file, tnrt_message *message, const record *head, const char *name, size_t extra,
                            const member *m, bool has_place) {
  record field = {.n = 0};
  put_extra(&field, extra, m, has_place);
  tnrt_status status = tnrt_whole_put(file, message, head->bytes, head->n);
  if (status == TNRT_OK) status = put_name(file, message, name);
  return status == TNRT_OK ? tnrt_whole_put(file, message, field.bytes, field.n) : status;
}

static tnrt_status put_members(tnrt_whole *file, tnrt_message *message, const tnrt_saved *tensors, uint32_t n,
                               const member *members) {
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++) {
    const member *m = &members[i];
    record head = local_header(m, strlen(tensors[i].name) + 4);
    status = put_head(file, message, &head, tensors[i].name, m->bytes >= limit ? 20 : 0, m, false);
    if (status == TNRT_OK) status = tnrt_whole_put(file, message, m->header, m->header_bytes);
    if (status == TNRT_OK) status = tnrt_whole_put(file, message, tensors[i].data, tensors[i].bytes);
  }
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++) {
    record head = entry(&members[i], strlen(tensors[i].name) + 4);
    status = put_head(file, message, &head, tensors[i].name, entry_extra(&members[i]), &members[i], true);
  }
  return status;
}

tnrt_status tnrt_npz_write(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const tnrt_saved *tensors,
                           uint32_t n) {
  tnrt_whole file;
  uint64_t at, directory;
  member *members = alloc->get(alloc->user, (n + 1) * sizeof *members, 64);
  if (!members) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to write '%.300s'", path);
  tnrt_status status = measure(message, tensors, n, members, &at, &directory);
  if (status == TNRT_OK) {
    record end = directory_end(at, directory, n);
    status = tnrt_whole_open(&file, message, path, at + directory + end.n);
    if (status == TNRT_OK) status = put_members(&file, message, tensors, n, members);
    if (status == TNRT_OK) status = tnrt_whole_put(&file, message, end.bytes, end.n);
    if (status == TNRT_OK) status = tnrt_whole_sync(&file, message);
    if (status == TNRT_OK) status = tnrt_whole_end(&file, message);
  }
  alloc->give(alloc->user, members);
  return status;
}
