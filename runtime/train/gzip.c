/* Files packed by gzip, and IDX files. */
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/core/file.h"
#include "runtime/train/arrays.h"
#ifndef TNRT_NO_INFLATE
#include <zlib.h>
#endif

/* ---- gzip ---- */

#ifndef TNRT_NO_INFLATE

/* Into a block that doubles. */
static tnrt_status unpack(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *packed,
                          size_t packed_bytes, uint8_t **out, size_t *out_bytes) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)packed};
  size_t room = packed_bytes * 4 + 1024, have = 0, left = packed_bytes;
  uint8_t *data = alloc->get(alloc->user, room, 64);
  int code = data && inflateInit2(&z, 16 + MAX_WBITS) == Z_OK ? Z_OK : Z_MEM_ERROR;
  bool is_open = code == Z_OK;
  while (code == Z_OK) {
    if (have == room) {
      uint8_t *larger = alloc->get(alloc->user, 2 * room, 64);
      if (!larger) break;
      memcpy(larger, data, have);
      alloc->give(alloc->user, data);
      data = larger;
      room *= 2;
    }
    size_t in = left < UINT32_MAX ? left : UINT32_MAX, to = room - have < UINT32_MAX ? room - have : UINT32_MAX;
    z.avail_in = (uInt)in;
    z.next_out = data + have;
    z.avail_out = (uInt)to;
    code = inflate(&z, Z_NO_FLUSH);
    left -= in - z.avail_in;
    have += to - z.avail_out;
  }
  if (is_open) inflateEnd(&z);
  if (code == Z_STREAM_END) return *out = data, *out_bytes = have, TNRT_OK;
  if (data) alloc->give(alloc->user, data);
  return code == Z_OK || code == Z_MEM_ERROR ? tnrt_fail(message, TNRT_NO_MEMORY, "no memory to unpack %.200s", path)
                                             : tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: damaged gzip", path);
}

#else

static tnrt_status unpack(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *packed,
                          size_t packed_bytes, uint8_t **out, size_t *out_bytes) {
  (void)alloc, (void)packed, (void)packed_bytes, (void)out, (void)out_bytes;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s is packed; this program cannot unpack", path);
}

#endif

bool tnrt_gzip_is(const uint8_t *data, uint64_t bytes) { return bytes >= 2 && data[0] == 0x1f && data[1] == 0x8b; }

tnrt_status tnrt_gzip_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint8_t **out,
                           size_t *out_bytes) {
  uint8_t *data;
  size_t bytes;
  tnrt_status status = tnrt_file_read(message, alloc, path, &data, &bytes);
  if (status != TNRT_OK) return status;
  if (!tnrt_gzip_is(data, bytes)) return *out = data, *out_bytes = bytes, TNRT_OK;
  status = unpack(message, alloc, path, data, bytes, out, out_bytes);
  alloc->give(alloc->user, data);
  return status;
}

/* ---- IDX ---- */

static uint32_t idx_dtype(uint8_t type) {
  switch (type) {
    case 0x08: return TNRT_U8;
    case 0x09: return TNRT_I8;
    case 0x0b: return TNRT_I16;
    case 0x0c: return TNRT_I32;
    case 0x0d: return TNRT_F32;
    case 0x0e: return TNRT_F64;
    default: return TNRT_STR;
  }
}

tnrt_status tnrt_idx_open(tnrt_message *message, const char *path, const uint8_t *data, uint64_t bytes, tnrt_npy *out) {
  *out = (tnrt_npy){.swapped = true};
  bool ok = bytes >= 4 && !data[0] && !data[1] && data[3] > 0 && data[3] <= TNRT_MAX_NDIM;
  size_t head = ok ? 4 + 4 * (size_t)data[3] : 0;
  if (!ok || idx_dtype(data[2]) == TNRT_STR || bytes < head)
    return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s is no IDX file", path);
  out->dtype = idx_dtype(data[2]);
  out->ndim = data[3];
  out->data_at = head;
  for (uint32_t i = 0; i < out->ndim; i++) {
    const uint8_t *at = data + 4 + 4 * i;
    out->extents[i] = (int64_t)at[0] << 24 | (int64_t)at[1] << 16 | (int64_t)at[2] << 8 | at[3];
  }
  out->bytes = tnrt_bytes_of(out->dtype, out->ndim, out->extents);
  if (out->bytes >= 0 && (uint64_t)out->bytes == bytes - head) return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: an IDX file of %lld bytes of elements is said, there are %llu",
                   path, (long long)out->bytes, (unsigned long long)(bytes - head));
}
