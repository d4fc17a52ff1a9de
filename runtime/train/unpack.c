/* Unpacking by zlib; see unpack.h. */
#include "runtime/train/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifndef TNRT_NO_INFLATE
#include <zlib.h>
#endif

#include "runtime/core/array.h"
#include "runtime/train/memory.h"
#include "runtime/train/whole.h"

bool tnrt_gzip_is(const uint8_t *data, uint64_t bytes) { return bytes >= 2 && data[0] == 0x1f && data[1] == 0x8b; }

/* RFC 1952: the last four bytes are the length of what was packed. */
tnrt_status tnrt_gzip_packed(tnrt_message *message, const tnrt_bytes *file, tnrt_packed *out) {
  uint8_t last[4] = {0};
  *out = (tnrt_packed){.file = file, .n = file->n, .is_gzip = true};
  tnrt_status status = file->n < sizeof last ? TNRT_OK
                                             : tnrt_bytes_read(message, file, file->n - sizeof last, sizeof last, last);
  out->bytes = last[0] | (uint64_t)last[1] << 8 | (uint64_t)last[2] << 16 | (uint64_t)last[3] << 24;
  return status;
}

#ifdef TNRT_NO_INFLATE

tnrt_status tnrt_unpack(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_packed *packed, uint64_t *room,
                        uint32_t *out_crc, tnrt_bytes *out) {
  (void)alloc, (void)room, (void)out_crc;
  *out = (tnrt_bytes){.fd = -1};
  return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s is packed, and this program cannot unpack: save it as it is",
                   packed->file->path);
}

#else

enum { CHUNK = 1 << 17 };

typedef struct unpacking {
  tnrt_message *message;
  const tnrt_alloc *alloc;
  const tnrt_packed *packed;
  tnrt_bytes *out;     /* data: the room is for packed->bytes; else fd is the file */
  uint8_t *in, *piece; /* CHUNK each; what came last is in piece where there is no data */
  uint32_t crc;
  z_stream z;
} unpacking;

/* ---- the file without a name ---- */

static const char *folder_for_files(void) {
  const char *folder = getenv("TMPDIR");
  return folder && folder[0] ? folder : "/tmp";
}

static tnrt_status fail_file(const unpacking *u, const char *what, int code) {
  return tnrt_fail(u->message, TNRT_IO, "%.200s is larger than what is held in memory, and %s '%.200s', where it is to "
                   "be unpacked: %s (TMPDIR names another folder)", u->packed->file->path, what, folder_for_files(),
                   strerror(code));
}

static tnrt_status open_file(unpacking *u) {
  char path[TNRT_PATH_BYTES];
  tnrt_status status = tnrt_path_join(u->message, path, sizeof path, folder_for_files(), "tenon-unpacked-XXXXXX");
  if (status != TNRT_OK) return status;
  u->out->fd = mkstemp(path);
  if (u->out->fd < 0) return fail_file(u, "no file can be made in", errno);
  unlink(path);
  return fcntl(u->out->fd, F_SETFD, FD_CLOEXEC) == 0 ? TNRT_OK : fail_file(u, "no file can be made in", errno);
}

static tnrt_status put(const unpacking *u, const uint8_t *data, size_t n) {
  while (n > 0) {
    ssize_t wrote = write(u->out->fd, data, n);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return fail_file(u, "there is no room in", wrote ? errno : ENOSPC);
    data += wrote;
    n -= (size_t)wrote;
  }
  return TNRT_OK;
}

/* ---- unpacking ---- */

static tnrt_status damaged(const unpacking *u) {
  return tnrt_fail(u->message, TNRT_BAD_INPUT, "%.200s: damaged %s", u->packed->file->path,
                   u->packed->is_gzip ? "gzip" : "archive: a member cannot be unpacked");
}

/* Some more, behind out->n: to memory, as long as there is room, or to the file. *code: zlib's. */
static tnrt_status unpack_some(unpacking *u, int *code) {
  tnrt_bytes *out = u->out;
  uint64_t left = u->packed->bytes - out->n;
  size_t room = out->data && left < CHUNK ? (size_t)left : CHUNK;
  u->z.next_out = out->data ? out->data + out->n : u->piece;
  u->z.avail_out = (uInt)room;
  const uint8_t *made = u->z.next_out;
  *code = inflate(&u->z, Z_NO_FLUSH);
  size_t n = room - u->z.avail_out;
  u->crc = tnrt_crc32(u->crc, made, n);
  out->n += n;
  return out->data ? TNRT_OK : put(u, made, n);
}

/* More comes than there is room for: gzip counts modulo 2^32. */
static tnrt_status leave_memory(unpacking *u) {
  uint8_t *data = u->out->data;
  if (!u->packed->is_gzip) return damaged(u);
  tnrt_status status = open_file(u);
  if (status == TNRT_OK) status = put(u, data, (size_t)u->out->n);
  u->out->data = NULL;
  u->alloc->give(u->alloc->user, data);
  return status;
}

static tnrt_status unpack(unpacking *u) {
  const tnrt_packed *p = u->packed;
  uint64_t taken = 0;
  int code = Z_OK;
  tnrt_status status = TNRT_OK;
  while (status == TNRT_OK && code != Z_STREAM_END) {
    if (u->z.avail_in == 0 && taken < p->n) {
      size_t n = p->n - taken < CHUNK ? (size_t)(p->n - taken) : CHUNK;
      status = tnrt_bytes_read(u->message, p->file, p->at + taken, n, u->in);
      u->z.next_in = u->in;
      u->z.avail_in = (uInt)n;
      taken += n;
    }
    bool is_full = u->out->data && u->out->n == p->bytes;
    if (status == TNRT_OK) status = unpack_some(u, &code);
    if (status == TNRT_OK && code == Z_BUF_ERROR && is_full) status = leave_memory(u), code = Z_OK;
    else if (status == TNRT_OK && code != Z_OK && code != Z_STREAM_END) status = damaged(u);
    if (status == TNRT_OK && !p->is_gzip && u->out->n > p->bytes) status = damaged(u);
  }
  return status == TNRT_OK && !p->is_gzip && u->out->n != p->bytes ? damaged(u) : status;
}

static tnrt_status open_sink(unpacking *u, uint64_t room) {
  u->in = tnrt_take(u->alloc, 2, CHUNK);
  if (u->in) u->piece = u->in + CHUNK;
  bool fits = u->packed->bytes <= room;
  if (fits) u->out->data = u->alloc->get(u->alloc->user, (size_t)u->packed->bytes + 1, 64);
  if (!u->in || (fits && !u->out->data))
    return tnrt_fail(u->message, TNRT_NO_MEMORY, "no memory to unpack %.200s", u->packed->file->path);
  return fits ? TNRT_OK : open_file(u);
}

tnrt_status tnrt_unpack(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_packed *packed, uint64_t *room,
                        uint32_t *out_crc, tnrt_bytes *out) {
  unpacking u = {.message = message, .alloc = alloc, .packed = packed, .out = out};
  *out = (tnrt_bytes){.path = packed->file->path, .fd = -1};
  tnrt_status status = open_sink(&u, *room);
  bool is_open = status == TNRT_OK && inflateInit2(&u.z, packed->is_gzip ? 16 + MAX_WBITS : -MAX_WBITS) == Z_OK;
  if (is_open) status = unpack(&u);
  else if (status == TNRT_OK) status = tnrt_fail(message, TNRT_NO_MEMORY, "no memory to unpack %.200s", out->path);
  if (is_open) inflateEnd(&u.z);
  if (u.in) alloc->give(alloc->user, u.in);
  out->is_open = out->data || out->fd >= 0;
  if (status != TNRT_OK) tnrt_bytes_close(alloc, out);
  else if (out->data) *room -= out->n < *room ? out->n : *room;
  *out_crc = u.crc;
  return status;
}

#endif
