/* Columns that are arrays; see arrays.h. */
#include "runtime/train/arrays.h"

#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/memory.h"
#include "runtime/train/shards.h"
#include "runtime/train/unpack.h"

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

tnrt_status tnrt_column_count(tnrt_message *message, const char *path, tnrt_column *c) {
  if (c->array.ndim == 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: '%.100s' is one number, not one a record", path, c->name);
  c->n = c->array.extents[0];
  return TNRT_OK;
}

/* ---- .npy, IDX ---- */

static tnrt_status leave_in_file(tnrt_message *message, const tnrt_npy *head, uint64_t at, tnrt_column *c) {
  if (head->fortran && head->ndim > 1)
    return tnrt_fail(message, TNRT_BAD_INPUT,
                     "%.200s: an array that is stored by columns and larger than what is held in memory",
                     c->bytes.path);
  c->array = (tnrt_array){.dtype = head->dtype, .ndim = head->ndim, .bytes = head->bytes};
  memcpy(c->array.extents, head->extents, sizeof c->array.extents);
  c->first = at + head->data_at;
  c->record = (tnrt_npy){.dtype = head->dtype, .swapped = head->swapped, .ndim = head->ndim ? head->ndim - 1 : 0};
  memcpy(c->record.extents, head->extents + 1, c->record.ndim * sizeof *head->extents);
  c->record.bytes = head->ndim && head->extents[0] ? head->bytes / head->extents[0] : 0;
  return TNRT_OK;
}

tnrt_status tnrt_column_take(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npy *head, uint64_t at,
                             tnrt_column *c) {
  if (at + head->data_at + (uint64_t)head->bytes > c->bytes.n)
    return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: the array is cut short", c->bytes.path);
  if (!c->bytes.data) return leave_in_file(message, head, at, c);
  c->file = c->bytes.data; /* its block is the column's now */
  c->bytes = (tnrt_bytes){.fd = -1};
  return tnrt_npy_take(message, alloc, head, c->file + at + head->data_at, NULL, &c->array);
}

/* An IDX file may be packed by gzip. */
static tnrt_status unpack(tnrt_message *message, const tnrt_alloc *alloc, uint64_t *room, tnrt_bytes *bytes) {
  tnrt_bytes packed = *bytes;
  tnrt_packed gzip;
  uint32_t crc;
  *bytes = (tnrt_bytes){.fd = -1};
  tnrt_status status = tnrt_gzip_packed(message, &packed, &gzip);
  if (status == TNRT_OK) status = tnrt_unpack(message, alloc, &gzip, room, &crc, bytes);
  if (packed.data) *room += packed.n;
  tnrt_bytes_close(alloc, &packed);
  return status;
}

/* The first bytes of a file. */
static tnrt_status read_head(tnrt_message *message, const tnrt_bytes *bytes, uint8_t *head, size_t most,
                             size_t *out_bytes) {
  *out_bytes = bytes->n < most ? (size_t)bytes->n : most;
  return tnrt_bytes_read(message, bytes, 0, *out_bytes, head);
}

static tnrt_status read_idx(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint64_t *room,
                            tnrt_column *c) {
  uint8_t head[TNRT_IDX_HEAD];
  size_t n;
  tnrt_npy npy;
  tnrt_status status = read_head(message, &c->bytes, head, sizeof head, &n);
  if (status == TNRT_OK && tnrt_gzip_is(head, n)) {
    status = unpack(message, alloc, room, &c->bytes);
    if (status == TNRT_OK) status = read_head(message, &c->bytes, head, sizeof head, &n);
  }
  if (status == TNRT_OK) status = tnrt_idx_open(message, path, head, c->bytes.n, &npy);
  return status == TNRT_OK ? tnrt_column_take(message, alloc, &npy, 0, c) : status;
}

/* Stored by columns it is held where there is room for it, whatever is to be done with others. */
static tnrt_status read_npy(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint64_t *room,
                            tnrt_column *c) {
  size_t n;
  tnrt_npy npy;
  uint8_t *head = tnrt_take(alloc, 1, TNRT_NPY_HEADER_MAX);
  if (!head) return no_memory(message, path);
  tnrt_status status = read_head(message, &c->bytes, head, TNRT_NPY_HEADER_MAX, &n);
  if (status == TNRT_OK) status = tnrt_npy_open(message, head, n, &npy);
  alloc->give(alloc->user, head);
  if (status == TNRT_OK && !c->bytes.data && npy.fortran && npy.ndim > 1 && c->bytes.n <= *room) {
    tnrt_bytes_close(alloc, &c->bytes);
    status = tnrt_bytes_open(message, alloc, path, room, &c->bytes);
  }
  return status == TNRT_OK ? tnrt_column_take(message, alloc, &npy, 0, c) : status;
}

/* One file of an array, which stays where it is if there is no room for it or several processes read it. */
static tnrt_status read_array(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, bool is_idx,
                              const char *path, uint64_t *room, tnrt_column *c) {
  uint64_t none = 0;
  tnrt_status status = tnrt_bytes_open(message, alloc, path, tnrt_shards_many(world) ? &none : room, &c->bytes);
  return status == TNRT_OK ? (is_idx ? read_idx : read_npy)(message, alloc, path, room, c) : status;
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
    if (status == TNRT_OK) status = tnrt_column_count(message, paths[i], c);
  }
  return status;
}

/* ---- all ---- */

tnrt_status tnrt_columns_read(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, uint32_t kind,
                              const char *const *paths, uint32_t n, uint64_t *room, tnrt_columns *out) {
  *out = (tnrt_columns){0};
  if (n == 0) return tnrt_fail(message, TNRT_BAD_INPUT, "the data names no file");
  tnrt_status status = kind == TNRT_SOURCE_NPZ      ? tnrt_archive_read(message, alloc, world, paths[0], room, out)
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
