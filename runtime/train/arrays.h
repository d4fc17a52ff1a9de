/* Columns that are arrays: of .npy and .npz, of IDX files as MNIST has them, of folders of images. */
#ifndef TNRT_TRAIN_ARRAYS_H
#define TNRT_TRAIN_ARRAYS_H

#include "runtime/core/array.h"
#include "runtime/train/bytes.h"
#include "runtime/train/plan.h"
#include "runtime/train/world.h"

/* One column of a file: an array whose first axis counts the records, or an array (text) for each record. */
typedef struct tnrt_column {
  const char *name;     /* in a block of its own where name_owned */
  char *name_owned;
  uint8_t *file;        /* what data points into, or NULL */
  tnrt_array array;     /* extents[0] records; of images one a record */
  /* An array whose elements stay in the file: records from `first` on, each as `record` says. */
  tnrt_bytes bytes;
  tnrt_npy record;
  uint64_t first;
  tnrt_array *images;   /* n, or */
  const char *folder;   /* pictures that are read when they are asked for */
  const char **labels;  /* n texts, the folders of images, each with the file's name behind it; NULL: of the others */
  char *texts;          /* what labels point into */
  int64_t n;
} tnrt_column;

typedef struct tnrt_columns {
  tnrt_column *columns;
  uint32_t n;
} tnrt_columns;

/* The columns of one split's files. paths: n of them (npy: x [and y]; idx: images [and labels]; npz, images: one).
 * *room: what may be held in memory (bytes.h); what is more stays in its files, or in files that it is unpacked into
 * (unpack.h). Of several processes (world) each unpacks a part of the pictures, and all other files that can do so stay
 * where they are. After a failure the columns are freed all the same. */
tnrt_status tnrt_columns_read(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, uint32_t source_kind,
                              const char *const *paths, uint32_t n, uint64_t *room, tnrt_columns *out);
void tnrt_columns_free(const tnrt_alloc *alloc, tnrt_columns *columns);

/* A record that was read out of a file: one a thread. All zeros but alloc at first. */
typedef struct tnrt_piece {
  const tnrt_alloc *alloc;
  uint8_t *raw;
  size_t room;
  tnrt_array picture;
} tnrt_piece;
/* At least so many bytes of raw, what was in them is lost; NULL: no memory. */
uint8_t *tnrt_piece_reserve(tnrt_piece *piece, size_t bytes);
void tnrt_piece_free(tnrt_piece *piece);

/* The array of a record, which lies in the column, or in piece until the next one is read. labels: of the same file. */
tnrt_status tnrt_column_record(tnrt_message *message, const tnrt_column *column, const char *const *labels,
                               int64_t record, tnrt_piece *piece, tnrt_array *out);

/* An array whose elements are in column->bytes, behind its head, which begins at `at`: they stay there where that is a
 * file, else become the column's. TNRT_BAD_INPUT: the file is too short, or the array is stored by columns, whose
 * records would have to be gathered, and larger than what is held. */
tnrt_status tnrt_column_take(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npy *head, uint64_t at,
                             tnrt_column *column);
/* The array's first axis counts records: column->n. */
tnrt_status tnrt_column_count(tnrt_message *message, const char *path, tnrt_column *column);
/* Members of a .npz: stored ones stay where they are if there is no room for them, deflated ones are unpacked. */
tnrt_status tnrt_archive_read(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, const char *path,
                              uint64_t *room, tnrt_columns *out);
/* IDX: big-endian numbers behind a head of types and extents. `bytes` of a whole file, of which the first
 * TNRT_IDX_HEAD, or all, are at hand. */
enum { TNRT_IDX_HEAD = 4 + 4 * TNRT_MAX_NDIM };
tnrt_status tnrt_idx_open(tnrt_message *message, const char *path, const uint8_t *data, uint64_t bytes, tnrt_npy *out);
/* A picture as u8 [channels, height, width]: PNG without interlacing, JPEG, PGM and PPM. Damaged ones are
 * TNRT_BAD_INPUT. After a failure the array is freed all the same. */
tnrt_status tnrt_image_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                            size_t bytes, tnrt_array *out);
tnrt_status tnrt_jpeg_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                           size_t bytes, tnrt_array *out);
/* Room for one; TNRT_BAD_INPUT where a side is none or too long. */
tnrt_status tnrt_image_make(tnrt_message *message, const tnrt_alloc *alloc, const char *path, int64_t channels,
                            int64_t height, int64_t width, tnrt_array *out);
/* FOLDER/LABEL/FILE, label being "LABEL" with "FILE" behind its zero. */
tnrt_status tnrt_picture_read(tnrt_message *message, const tnrt_alloc *alloc, const char *folder, const char *label,
                              tnrt_array *out);
/* FOLDER/LABEL/FILE: columns image and label, by label and name. */
tnrt_status tnrt_images_read(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, const char *folder,
                             uint64_t *room, tnrt_columns *out);

#endif
