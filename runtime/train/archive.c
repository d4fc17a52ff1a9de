/* The arrays of a .npz as columns. Members are found through the archive's directory, which alone is read at once. */
#include <string.h>

#include "runtime/train/arrays.h"
#include "runtime/train/memory.h"
#include "runtime/train/shards.h"
#include "runtime/train/unpack.h"

typedef struct archive {
  tnrt_message *message;
  const tnrt_alloc *alloc;
  const char *path;
  tnrt_bytes file;
  tnrt_npz npz;       /* of the end of the file, which is in `end` */
  uint8_t *end;
  uint64_t *room;
  bool stays;         /* stored members are left in the file whatever room there is */
} archive;

static tnrt_status no_memory(const archive *a) {
  return tnrt_fail(a->message, TNRT_NO_MEMORY, "no memory for %.200s", a->path);
}

/* What the reader of archives says, of this file. */
static tnrt_status in_file(const archive *a, tnrt_status status) {
  if (status == TNRT_OK) return status;
  tnrt_message said = *a->message;
  return tnrt_fail(a->message, status, "%.200s: %.250s", a->path, said.text);
}

/* The file's bytes from `first` on. */
static tnrt_status read_end(archive *a, uint64_t first) {
  if (a->end) a->alloc->give(a->alloc->user, a->end);
  a->end = tnrt_take(a->alloc, 1, (size_t)(a->file.n - first));
  if (!a->end) return no_memory(a);
  tnrt_status status = tnrt_bytes_read(a->message, &a->file, first, (size_t)(a->file.n - first), a->end);
  if (status != TNRT_OK) return status;
  return in_file(a, tnrt_npz_open_end(a->message, a->end, first, a->file.n, &a->npz));
}

static tnrt_status read_directory(archive *a) {
  uint64_t first = a->file.n > TNRT_NPZ_END ? a->file.n - TNRT_NPZ_END : 0;
  tnrt_status status = read_end(a, first);
  if (status != TNRT_OK || a->npz.at >= first) return status;
  first = a->npz.at;
  status = read_end(a, first);
  if (status != TNRT_OK || a->npz.at >= first) return status;
  return tnrt_fail(a->message, TNRT_IO, "%.200s changes while it is read", a->path);
}

/* ---- a member's bytes ---- */

/* Where its packed bytes begin. */
static tnrt_status find(const archive *a, const tnrt_npz_member *m, uint64_t *out_at) {
  uint8_t local[TNRT_NPZ_LOCAL];
  tnrt_status status = in_file(a, tnrt_npz_check(a->message, &a->npz, m));
  if (status == TNRT_OK) status = tnrt_bytes_read(a->message, &a->file, m->header_at, sizeof local, local);
  return status == TNRT_OK ? in_file(a, tnrt_npz_place(a->message, &a->npz, m, local, out_at)) : status;
}

static tnrt_status wrong_sum(const archive *a) {
  return tnrt_fail(a->message, TNRT_BAD_INPUT, "%.200s: npz: damaged archive: wrong checksum", a->path);
}

static tnrt_status hold(const archive *a, const tnrt_npz_member *m, uint64_t at, tnrt_bytes *out) {
  uint8_t *data = a->alloc->get(a->alloc->user, (size_t)m->bytes + 1, 64);
  if (!data) return no_memory(a);
  *out = (tnrt_bytes){.path = a->path, .data = data, .n = m->bytes, .fd = -1, .is_open = true};
  *a->room -= m->bytes < *a->room ? m->bytes : *a->room;
  tnrt_status status = tnrt_bytes_read(a->message, &a->file, at, (size_t)m->bytes, data);
  return status == TNRT_OK && tnrt_crc32(0, data, m->bytes) != m->crc ? wrong_sum(a) : status;
}

/* *at: where they begin in *out. The checksum of what is left in its file is not looked at. */
static tnrt_status open_stored(const archive *a, const tnrt_npz_member *m, uint64_t *at, tnrt_bytes *out) {
  uint64_t none = 0, begin = *at;
  if (!a->file.data && (a->stays || m->bytes > *a->room))
    return tnrt_bytes_open(a->message, a->alloc, a->path, &none, out);
  *at = 0;
  return hold(a, m, begin, out);
}

static tnrt_status open_deflated(const archive *a, const tnrt_npz_member *m, uint64_t *at, tnrt_bytes *out) {
  const tnrt_packed packed = {.file = &a->file, .at = *at, .n = m->packed_bytes, .bytes = m->bytes};
  uint32_t crc;
  *at = 0;
  tnrt_status status = tnrt_unpack(a->message, a->alloc, &packed, a->room, &crc, out);
  return status == TNRT_OK && crc != m->crc ? wrong_sum(a) : status;
}

/* ---- columns ---- */

/* One that is stored by columns is held where there is room for it. */
static tnrt_status open_array(const archive *a, const tnrt_npz_member *m, uint64_t at, tnrt_column *c) {
  tnrt_npy npy;
  size_t n = m->bytes < TNRT_NPY_HEADER_MAX ? (size_t)m->bytes : TNRT_NPY_HEADER_MAX;
  uint8_t *head = tnrt_take(a->alloc, 1, n);
  if (!head) return no_memory(a);
  tnrt_status status = tnrt_bytes_read(a->message, &c->bytes, at, n, head);
  if (status == TNRT_OK) status = in_file(a, tnrt_npz_member_open(a->message, m, head, n, &npy));
  a->alloc->give(a->alloc->user, head);
  if (status == TNRT_OK && !c->bytes.data && npy.fortran && npy.ndim > 1 && m->bytes <= *a->room) {
    tnrt_bytes_close(a->alloc, &c->bytes);
    status = hold(a, m, at, &c->bytes);
    at = 0;
  }
  return status == TNRT_OK ? tnrt_column_take(a->message, a->alloc, &npy, at, c) : status;
}

static tnrt_status read_member(const archive *a, const tnrt_npz_member *m, tnrt_column *c) {
  uint64_t at = 0;
  c->name = c->name_owned = tnrt_take(a->alloc, m->name_bytes + 1, 1);
  if (!c->name) return no_memory(a);
  memcpy(c->name_owned, m->name, m->name_bytes);
  tnrt_status status = find(a, m, &at);
  if (status == TNRT_OK)
    status = (m->method == TNRT_NPZ_STORED ? open_stored : open_deflated)(a, m, &at, &c->bytes);
  if (status == TNRT_OK) status = open_array(a, m, at, c);
  return status == TNRT_OK ? tnrt_column_count(a->message, a->path, c) : status;
}

static tnrt_status read_members(const archive *a, tnrt_columns *out) {
  tnrt_npz counted = a->npz, npz = a->npz;
  tnrt_npz_member member;
  tnrt_status status = TNRT_OK;
  uint32_t n = 0;
  for (bool found = true; found && status == TNRT_OK; n += status == TNRT_OK && found)
    status = in_file(a, tnrt_npz_next(a->message, &counted, &member, &found));
  if (status == TNRT_OK && n == 0) return tnrt_fail(a->message, TNRT_BAD_INPUT, "%.200s holds no array", a->path);
  if (status == TNRT_OK) out->columns = tnrt_take(a->alloc, n, sizeof *out->columns);
  if (status == TNRT_OK && !out->columns) return no_memory(a);
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++) {
    bool found;
    status = tnrt_npz_next(a->message, &npz, &member, &found);
    if (status == TNRT_OK) status = read_member(a, &member, &out->columns[out->n++]);
  }
  return status;
}

tnrt_status tnrt_archive_read(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, const char *path,
                              uint64_t *room, tnrt_columns *out) {
  uint64_t none = 0;
  archive a = {.message = message, .alloc = alloc, .path = path, .room = room, .stays = tnrt_shards_many(world)};
  tnrt_status status = tnrt_bytes_open(message, alloc, path, &none, &a.file);
  if (status == TNRT_OK) status = read_directory(&a);
  if (status == TNRT_OK) status = read_members(&a, out);
  if (a.end) alloc->give(alloc->user, a.end);
  tnrt_bytes_close(alloc, &a.file);
  return status;
}
