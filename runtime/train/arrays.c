/* Columns that are arrays; see arrays.h. */
#include "runtime/train/arrays.h"

#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/core/file.h"
#include "runtime/train/memory.h"
#include "runtime/train/shards.h"

static tnrt_status no_memory(tnrt_message *message, const char *path) {
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for %.200s", path);
}

void tnrt_columns_free(const tnrt_alloc *alloc, tnrt_columns *columns) {
  for (uint32_t i = 0; i < columns->n; i++) {
    tnrt_column *c = &columns->columns[i];
    tnrt_array_free(alloc, &c->array);
    for (int64_t k = 0; c->images && k < c->n; k++) tnrt_array_free(alloc, &c->images[k]);
    tnrt_bytes_close(alloc, &c->bytes);
    void *const blocks[] = {c->name_owned, c->file, c->images, c->labels, c->texts};
    for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++)
      if (blocks[k]) alloc->give(alloc->user, blocks[k]);
  }
  if (columns->columns) alloc->give(alloc->user, columns->columns);
  *columns = (tnrt_columns){0};
}

/* ---- records ---- */

uint8_t *tnrt_piece_reserve(tnrt_piece *piece, size_t bytes) {
  if (bytes <= piece->room) return piece->raw;
  if (piece->raw) piece->alloc->give(piece->alloc->user, piece->raw);
  piece->raw = piece->alloc->get(piece->alloc->user, bytes, 64);
  piece->room = piece->raw ? bytes : 0;
  return piece->raw;
}

void tnrt_piece_free(tnrt_piece *piece) {
  if (piece->raw) piece->alloc->give(piece->alloc->user, piece->raw);
  tnrt_array_free(piece->alloc, &piece->picture);
  *piece = (tnrt_piece){.alloc = piece->alloc};
}

/* Of one that stays in its file. */
static tnrt_status read_record(tnrt_message *message, const tnrt_column *c, int64_t record, tnrt_piece *piece,
                               tnrt_array *out) {
  size_t bytes = (size_t)c->record.bytes;
  uint8_t *raw = tnrt_piece_reserve(piece, bytes);
  if (!raw) return no_memory(message, c->bytes.path);
  tnrt_status status = tnrt_bytes_read(message, &c->bytes, c->first + (uint64_t)record * bytes, bytes, raw);
  return status == TNRT_OK ? tnrt_npy_take(message, piece->alloc, &c->record, raw, NULL, out) : status;
}

tnrt_status tnrt_column_record(tnrt_message *message, const tnrt_column *c, const char *const *labels, int64_t record,
                               tnrt_piece *piece, tnrt_array *out) {
  if (c->images) return *out = c->images[record], TNRT_OK;
  if (c->folder) {
    tnrt_array_free(piece->alloc, &piece->picture);
    tnrt_status status = tnrt_picture_read(message, piece->alloc, c->folder, labels[record], &piece->picture);
    return *out = piece->picture, status;
  }
  if (c->bytes.is_open) return read_record(message, c, record, piece, out);
  const tnrt_array *a = &c->array;
  *out = (tnrt_array){.dtype = a->dtype, .ndim = a->ndim - 1, .bytes = a->bytes / a->extents[0]};
  memcpy(out->extents, a->extents + 1, out->ndim * sizeof *out->extents);
  out->data = a->data + record * out->bytes;
  return TNRT_OK;
}

/* An array whose first axis counts records. */
static tnrt_status check_records(tnrt_message *message, const char *path, tnrt_column *c) {
  if (c->array.ndim == 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: '%.100s' is one number, not one a record", path, c->name);
  c->n = c->array.extents[0];
  return TNRT_OK;
}

/* ---- .npy, IDX ---- */

/* The file stays open. Elements whose first axis runs fastest would have to be gathered for each record. */
static tnrt_status leave_in_file(tnrt_message *message, const tnrt_npy *head, tnrt_column *c) {
  if ((head->fortran && head->ndim > 1) || head->data_at + (uint64_t)head->bytes > c->bytes.n)
    return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: %s", c->bytes.path, head->fortran
                     ? "an array that is stored by columns and larger than what is held in memory"
                     : "the array is cut short");
  c->array = (tnrt_array){.dtype = head->dtype, .ndim = head->ndim, .bytes = head->bytes};
  memcpy(c->array.extents, head->extents, sizeof c->array.extents);
  c->first = head->data_at;
  c->record = (tnrt_npy){.dtype = head->dtype, .swapped = head->swapped, .ndim = head->ndim ? head->ndim - 1 : 0};
  memcpy(c->record.extents, head->extents + 1, c->record.ndim * sizeof *head->extents);
  c->record.bytes = head->ndim && head->extents[0] ? head->bytes / head->extents[0] : 0;
  return TNRT_OK;
}

/* Its head tells all that is needed of a file that is not packed, nor stored by columns where there is room for it:
 * those are to be held. */
static tnrt_status open_in_file(tnrt_message *message, const tnrt_alloc *alloc, bool is_idx, uint64_t room,
                                tnrt_column *c, bool *out_packed) {
  uint64_t bytes = is_idx ? TNRT_IDX_HEAD : TNRT_NPY_HEADER_MAX;
  tnrt_npy npy;
  if (c->bytes.n < bytes) bytes = c->bytes.n;
  uint8_t *head = tnrt_take(alloc, 1, (size_t)bytes);
  if (!head) return no_memory(message, c->bytes.path);
  tnrt_status status = tnrt_bytes_read(message, &c->bytes, 0, (size_t)bytes, head);
  *out_packed = status == TNRT_OK && is_idx && tnrt_gzip_is(head, bytes);
  if (status == TNRT_OK && !*out_packed) {
    status = is_idx ? tnrt_idx_open(message, c->bytes.path, head, c->bytes.n, &npy)
                    : tnrt_npy_open(message, head, (size_t)bytes, &npy);
    *out_packed = status == TNRT_OK && npy.fortran && npy.ndim > 1 && c->bytes.n <= room;
    if (status == TNRT_OK && !*out_packed) status = leave_in_file(message, &npy, c);
  }
  alloc->give(alloc->user, head);
  return status;
}

static tnrt_status read_idx(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint64_t *room,
                            tnrt_column *c) {
  size_t bytes;
  tnrt_npy npy;
  tnrt_status status = tnrt_gzip_read(message, alloc, path, &c->file, &bytes);
  if (status == TNRT_OK) status = tnrt_idx_open(message, path, c->file, bytes, &npy);
  if (status != TNRT_OK) return status;
  *room -= bytes < *room ? bytes : *room;
  return tnrt_npy_take(message, alloc, &npy, c->file + npy.data_at, NULL, &c->array);
}

/* One file of an array, which stays where it is if there is no room for it or several processes read it, unless it is
 * packed. */
static tnrt_status read_array(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, bool is_idx,
                              const char *path, uint64_t *room, tnrt_column *c) {
  uint64_t before = *room, none = 0;
  bool is_packed = true;
  tnrt_status status = tnrt_bytes_open(message, alloc, path, tnrt_shards_many(world) ? &none : room, &c->bytes);
  if (status == TNRT_OK && !c->bytes.data) {
    status = open_in_file(message, alloc, is_idx, before, c, &is_packed);
    if (status != TNRT_OK || !is_packed) return status;
    tnrt_bytes_close(alloc, &c->bytes);
    if (!is_idx) status = tnrt_bytes_open(message, alloc, path, room, &c->bytes);
  }
  if (status != TNRT_OK) return status;
  if (is_idx) {
    tnrt_bytes_close(alloc, &c->bytes);
    *room = before;
    return read_idx(message, alloc, path, room, c);
  }
  c->file = c->bytes.data; /* its block is the column's now */
  size_t bytes = (size_t)c->bytes.n;
  c->bytes = (tnrt_bytes){.fd = -1};
  return tnrt_npy_read(message, alloc, c->file, bytes, &c->array);
}

static tnrt_status read_pair(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, bool is_idx,
                             const char *const *paths, uint32_t n, uint64_t *room, tnrt_columns *out) {
  static const char *const names[2][2] = {{"x", "y"}, {"image", "label"}};
  tnrt_status status = TNRT_OK;
  if (n > 2) return tnrt_fail(message, TNRT_BAD_INPUT, "two files a split at most: here are %u", n);
  out->columns = tnrt_take(alloc, n, sizeof *out->columns);
  if (!out->columns) return no_memory(message, paths[0]);
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++) {
    tnrt_column *c = &out->columns[out->n++];
    c->name = names[is_idx][i];
    status = read_array(message, alloc, world, is_idx, paths[i], room, c);
    if (status == TNRT_OK) status = check_records(message, paths[i], c);
  }
  return status;
}

/* ---- .npz ---- */

/* What the reader of archives says, of this file. */
static tnrt_status in_file(tnrt_message *message, tnrt_status status, const char *path) {
  if (status == TNRT_OK) return status;
  tnrt_message said = *message;
  return tnrt_fail(message, status, "%.200s: %.250s", path, said.text);
}

static tnrt_status read_member(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const tnrt_npz *npz,
                               const tnrt_npz_member *member, tnrt_column *c) {
  c->name = c->name_owned = tnrt_take(alloc, member->name_bytes + 1, 1);
  if (!c->name) return no_memory(message, path);
  memcpy(c->name_owned, member->name, member->name_bytes);
  tnrt_status status = in_file(message, tnrt_npz_read(message, alloc, npz, member, &c->array), path);
  return status == TNRT_OK ? check_records(message, path, c) : status;
}

static tnrt_status read_npz(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint64_t *room,
                            tnrt_columns *out) {
  tnrt_npz npz, first;
  tnrt_npz_member member;
  uint8_t *data;
  size_t bytes;
  bool found = true;
  uint32_t n = 0;
  tnrt_status status = tnrt_file_read(message, alloc, path, &data, &bytes);
  if (status != TNRT_OK) return status;
  *room -= bytes < *room ? bytes : *room;
  status = in_file(message, tnrt_npz_open(message, data, bytes, &npz), path);
  first = npz;
  while (status == TNRT_OK && found) {
    status = in_file(message, tnrt_npz_next(message, &npz, &member, &found), path);
    n += status == TNRT_OK && found;
  }
  out->columns = tnrt_take(alloc, n + 1, sizeof *out->columns);
  if (!out->columns && status == TNRT_OK) status = no_memory(message, path);
  if (status == TNRT_OK) out->columns[0].file = data; /* stored members lie in it */
  if (status == TNRT_OK && n) out->n = 1;
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++) {
    out->n = i + 1;
    status = tnrt_npz_next(message, &first, &member, &found);
    if (status == TNRT_OK) status = read_member(message, alloc, path, &first, &member, &out->columns[i]);
  }
  if (!out->n) alloc->give(alloc->user, data);
  if (status == TNRT_OK && n == 0) status = tnrt_fail(message, TNRT_BAD_INPUT, "%.200s holds no array", path);
  return status;
}

/* ---- all ---- */

tnrt_status tnrt_columns_read(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, uint32_t kind,
                              const char *const *paths, uint32_t n, uint64_t *room, tnrt_columns *out) {
  *out = (tnrt_columns){0};
  if (n == 0) return tnrt_fail(message, TNRT_BAD_INPUT, "the data names no file");
  tnrt_status status = kind == TNRT_SOURCE_NPZ      ? read_npz(message, alloc, paths[0], room, out)
                       : kind == TNRT_SOURCE_IMAGES ? tnrt_images_read(message, alloc, world, paths[0], room, out)
                                                    : read_pair(message, alloc, world, kind == TNRT_SOURCE_IDX, paths,
                                                                n, room, out);
  for (uint32_t i = 1; i < out->n && status == TNRT_OK; i++)
    if (out->columns[i].n != out->columns[0].n)
      status = tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: '%.50s' has %lld records, '%.50s' has %lld", paths[0],
                         out->columns[0].name, (long long)out->columns[0].n, out->columns[i].name,
                         (long long)out->columns[i].n);
  return status;
}
