/* .npz: members of a zip archive, found through its central directory. Source: PKWARE APPNOTE 6.3.9 (zip64 included);
 * inflation and CRC-32 are zlib's. Nothing is believed that was not compared with the file's length, and what unpacks
 * to far more than it weighs is refused before it is unpacked. Built with TNRT_NO_INFLATE, for machines whose zlib is
 * not at hand, it reads stored members only and says so of others. */
#include <string.h>
#ifndef TNRT_NO_INFLATE
#include <zlib.h>
#endif

#include "runtime/core/array.h"

enum { MEBIBYTE = 1 << 20, END_BYTES = 22, LOCATOR_BYTES = 20, END64_BYTES = 56, ENTRY_BYTES = 46 };

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16; }

static uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32; }

static tnrt_status damaged(tnrt_message *message, const char *what) {
  return tnrt_fail(message, TNRT_BAD_INPUT, "npz: damaged archive: %s", what);
}

/* ---- directory ---- */

static const uint8_t *bytes_at(const tnrt_npz *npz, uint64_t at) { return npz->data + (at - npz->first); }

tnrt_status tnrt_npz_open_end(tnrt_message *message, uint8_t *data, uint64_t first, uint64_t bytes, tnrt_npz *out) {
  *out = (tnrt_npz){.data = data, .first = first, .bytes = bytes};
  if (bytes - first < END_BYTES) return damaged(message, "too short");
  uint64_t lowest = bytes - first > END_BYTES + 65535 ? bytes - END_BYTES - 65535 : first, at = bytes - END_BYTES;
  while (get32(bytes_at(out, at)) != 0x06054b50 || at + END_BYTES + get16(bytes_at(out, at) + 20) != bytes) {
    if (at == lowest) return damaged(message, "no end of directory");
    at--;
  }
  const uint8_t *end = bytes_at(out, at);
  uint64_t entries = get16(end + 10), size = get32(end + 12), begin = get32(end + 16);
  if (at - first >= LOCATOR_BYTES && get32(end - LOCATOR_BYTES) == 0x07064b50) {
    uint64_t at64 = get64(end - LOCATOR_BYTES + 8);
    if (at64 < first || at64 > bytes || bytes - at64 < END64_BYTES || get32(bytes_at(out, at64)) != 0x06064b50)
      return damaged(message, "no zip64 end of directory");
    const uint8_t *end64 = bytes_at(out, at64);
    entries = get64(end64 + 32);
    size = get64(end64 + 40);
    begin = get64(end64 + 48);
  }
  if (begin > bytes || size > bytes - begin || entries > size / ENTRY_BYTES)
    return damaged(message, "the directory lies outside of the file");
  out->at = begin;
  out->end = begin + size;
  out->remaining = entries;
  return TNRT_OK;
}

tnrt_status tnrt_npz_open(tnrt_message *message, uint8_t *data, size_t bytes, tnrt_npz *out) {
  return tnrt_npz_open_end(message, data, 0, bytes, out);
}

/* Replaces fields of 0xffffffff by the 64-bit values of the zip64 extra field, in the order they are listed. */
static bool read_zip64(const uint8_t *extra, size_t bytes, tnrt_npz_member *m) {
  uint64_t *wanted[] = {&m->bytes, &m->packed_bytes, &m->header_at};
  while (bytes >= 4) {
    size_t length = get16(extra + 2);
    if (length > bytes - 4) return false;
    if (get16(extra) == 1) {
      const uint8_t *p = extra + 4, *end = p + length;
      for (size_t i = 0; i < 3; i++) {
        if (*wanted[i] != 0xffffffffu) continue;
        if (end - p < 8) return false;
        *wanted[i] = get64(p);
        p += 8;
      }
      return true;
    }
    extra += 4 + length;
    bytes -= 4 + length;
  }
  return true;
}

tnrt_status tnrt_npz_next(tnrt_message *message, tnrt_npz *npz, tnrt_npz_member *out, bool *out_found) {
  *out_found = npz->remaining > 0;
  if (!*out_found) return TNRT_OK;
  const uint8_t *p = bytes_at(npz, npz->at);
  if (npz->end - npz->at < ENTRY_BYTES || get32(p) != 0x02014b50) return damaged(message, "bad directory entry");
  size_t name = get16(p + 28), extra = get16(p + 30), comment = get16(p + 32);
  if (npz->end - npz->at - ENTRY_BYTES < name + extra + comment) return damaged(message, "directory entry cut short");
  *out = (tnrt_npz_member){.name = (const char *)p + ENTRY_BYTES,
                           .name_bytes = name,
                           .flags = get16(p + 8),
                           .method = get16(p + 10),
                           .crc = get32(p + 16),
                           .packed_bytes = get32(p + 20),
                           .bytes = get32(p + 24),
                           .header_at = get32(p + 42)};
  if (!read_zip64(p + ENTRY_BYTES + name, extra, out)) return damaged(message, "bad zip64 field");
  if (name >= 4 && memcmp(out->name + name - 4, ".npy", 4) == 0) out->name_bytes -= 4;
  npz->at += ENTRY_BYTES + name + extra + comment;
  npz->remaining--;
  return TNRT_OK;
}

/* ---- members ---- */

tnrt_status tnrt_npz_check(tnrt_message *message, const tnrt_npz *npz, const tnrt_npz_member *m) {
  if (m->flags & 1) return tnrt_fail(message, TNRT_BAD_INPUT, "npz: encrypted members are not read");
  if (m->header_at > npz->bytes || npz->bytes - m->header_at < TNRT_NPZ_LOCAL)
    return damaged(message, "member outside");
  if (m->method != TNRT_NPZ_STORED && m->method != TNRT_NPZ_DEFLATED)
    return tnrt_fail(message, TNRT_BAD_INPUT, "npz: compression method %u is not known, only stored and deflate",
                     m->method);
  return m->method == TNRT_NPZ_STORED && m->packed_bytes != m->bytes
             ? damaged(message, "a stored member has two sizes") : TNRT_OK;
}

tnrt_status tnrt_npz_place(tnrt_message *message, const tnrt_npz *npz, const tnrt_npz_member *m, const uint8_t *local,
                           uint64_t *out_at) {
  if (get32(local) != 0x04034b50) return damaged(message, "no member where the directory says");
  uint64_t at = m->header_at + TNRT_NPZ_LOCAL + get16(local + 26) + get16(local + 28);
  if (at > npz->bytes || npz->bytes - at < m->packed_bytes) return damaged(message, "member longer than the file");
  *out_at = at;
  return TNRT_OK;
}

#ifdef TNRT_NO_INFLATE
/* A bit at a time. */
uint32_t tnrt_crc32(uint32_t crc, const uint8_t *data, uint64_t bytes) {
  crc = ~crc;
  for (uint64_t i = 0; i < bytes; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}
#else
uint32_t tnrt_crc32(uint32_t crc, const uint8_t *data, uint64_t bytes) {
  while (bytes > 0) {
    unsigned n = (unsigned)(bytes < 1u << 30 ? bytes : 1u << 30);
    crc = (uint32_t)crc32(crc, data, n);
    data += n;
    bytes -= n;
  }
  return crc;
}
#endif

tnrt_status tnrt_npz_member_open(tnrt_message *message, const tnrt_npz_member *m, const uint8_t *head, size_t have,
                                 tnrt_npy *npy) {
  tnrt_status status = tnrt_npy_open(message, head, have, npy);
  if (status != TNRT_OK) return status;
  if (m->bytes - npy->data_at != (uint64_t)npy->bytes)
    return tnrt_fail(message, TNRT_BAD_INPUT, "npz: expected %lld bytes of elements, found %llu", (long long)npy->bytes,
                     (unsigned long long)(m->bytes - npy->data_at));
  return TNRT_OK;
}

static tnrt_status read_stored(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npz_member *m,
                               uint8_t *packed, tnrt_array *out) {
  tnrt_npy npy;
  if (tnrt_crc32(0, packed, m->bytes) != m->crc) return damaged(message, "wrong checksum");
  tnrt_status status = tnrt_npz_member_open(message, m, packed, (size_t)m->bytes, &npy);
  return status == TNRT_OK ? tnrt_npy_take(message, alloc, &npy, packed + npy.data_at, NULL, out) : status;
}

#ifdef TNRT_NO_INFLATE
static tnrt_status read_deflated(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npz_member *m,
                                 uint8_t *packed, tnrt_array *out) {
  (void)alloc, (void)m, (void)packed, (void)out;
  return tnrt_fail(message, TNRT_BAD_INPUT, "npz: this program cannot unpack members; save them uncompressed");
}
#else
static void *zlib_get(void *user, unsigned count, unsigned size) {
  const tnrt_alloc *alloc = user;
  size_t bytes;
  if (__builtin_mul_overflow((size_t)count, (size_t)size, &bytes)) return NULL;
  return alloc->get(alloc->user, bytes, 16);
}

static void zlib_give(void *user, void *memory) {
  const tnrt_alloc *alloc = user;
  alloc->give(alloc->user, memory);
}

/* Inflates until `bytes` are there; zlib counts in 32 bits, hence the rounds. False when the stream ends early. */
static bool inflate_some(z_stream *z, uint64_t *packed_left, uint8_t *to, size_t bytes) {
  enum { ROUND = 1 << 30 };
  int code = Z_OK;
  while (bytes > 0 && code == Z_OK) {
    if (z->avail_in == 0 && *packed_left) {
      z->avail_in = (unsigned)(*packed_left < ROUND ? *packed_left : ROUND);
      *packed_left -= z->avail_in;
    }
    unsigned room = (unsigned)(bytes < ROUND ? bytes : ROUND);
    z->next_out = to;
    z->avail_out = room;
    code = inflate(z, Z_NO_FLUSH);
    to += room - z->avail_out;
    bytes -= room - z->avail_out;
  }
  return bytes == 0;
}

/* Between inflateInit and inflateEnd. head: TNRT_NPY_HEADER_MAX bytes. */
static tnrt_status inflate_member(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npz_member *m, z_stream *z,
                                  uint8_t *head, tnrt_array *out) {
  uint64_t packed_left = m->packed_bytes;
  size_t first = m->bytes < TNRT_NPY_HEADER_MAX ? (size_t)m->bytes : TNRT_NPY_HEADER_MAX;
  tnrt_npy npy;
  if (!inflate_some(z, &packed_left, head, first)) return damaged(message, "a member cannot be unpacked");
  tnrt_status status = tnrt_npz_member_open(message, m, head, first, &npy);
  if (status != TNRT_OK) return status;
  uint8_t *data = alloc->get(alloc->user, (size_t)npy.bytes, 64);
  if (!data) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for %lld bytes", (long long)npy.bytes);
  size_t have = first - npy.data_at;
  memcpy(data, head + npy.data_at, have);
  uint32_t crc = tnrt_crc32(0, head, npy.data_at);
  if (!inflate_some(z, &packed_left, data + have, (size_t)npy.bytes - have) ||
      tnrt_crc32(crc, data, (uint64_t)npy.bytes) != m->crc) {
    alloc->give(alloc->user, data);
    return damaged(message, "a member cannot be unpacked or has a wrong checksum");
  }
  return tnrt_npy_take(message, alloc, &npy, data, data, out);
}

static tnrt_status read_deflated(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npz_member *m,
                                 uint8_t *packed, tnrt_array *out) {
  z_stream z = {.zalloc = zlib_get, .zfree = zlib_give, .opaque = (void *)(uintptr_t)alloc, .next_in = packed};
  uint8_t *head = alloc->get(alloc->user, TNRT_NPY_HEADER_MAX, 64);
  tnrt_status status = TNRT_NO_MEMORY;
  if (head && inflateInit2(&z, -MAX_WBITS) == Z_OK) {
    status = inflate_member(message, alloc, m, &z, head, out);
    inflateEnd(&z);
  } else {
    tnrt_fail(message, status, "no memory to unpack");
  }
  if (head) alloc->give(alloc->user, head);
  return status;
}
#endif

tnrt_status tnrt_npz_read(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npz *npz, const tnrt_npz_member *m,
                          tnrt_array *out) {
  uint64_t at = 0;
  *out = (tnrt_array){0};
  tnrt_status status = tnrt_npz_check(message, npz, m);
  if (status == TNRT_OK) status = tnrt_npz_place(message, npz, m, npz->data + m->header_at, &at);
  if (status != TNRT_OK) return status;
  uint8_t *packed = npz->data + at;
  if (m->method == TNRT_NPZ_STORED) return read_stored(message, alloc, m, packed, out);
  uint64_t limit = 48ull * MEBIBYTE + 3 * m->packed_bytes;
  if (m->bytes > limit)
    return tnrt_fail(
        message, TNRT_BAD_INPUT,
        "npz: a member would unpack from %llu to %llu bytes, more than the %llu allowed; save it uncompressed",
        (unsigned long long)m->packed_bytes, (unsigned long long)m->bytes, (unsigned long long)limit);
  return read_deflated(message, alloc, m, packed, out);
}
