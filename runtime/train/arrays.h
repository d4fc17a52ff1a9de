/* Columns that are arrays: of .npy and .npz, of IDX files as MNIST has them, of folders of images. */
#ifndef TNRT_TRAIN_ARRAYS_H
#define TNRT_TRAIN_ARRAYS_H

#include "runtime/core/array.h"
#include "runtime/train/plan.h"

/* One column of a file: an array whose first axis counts the records, or an array (text) for each record. */
typedef struct tnrt_column {
  const char *name;     /* in a block of its own where name_owned */
  char *name_owned;
  uint8_t *file;        /* what data points into, or NULL */
  tnrt_array array;     /* extents[0] records; of images one a record */
  tnrt_array *images;   /* n */
  const char **labels;  /* n texts, the folders of images; NULL: array or images hold */
  char *texts;          /* what labels point into */
  int64_t n;
} tnrt_column;

typedef struct tnrt_columns {
  tnrt_column *columns;
  uint32_t n;
} tnrt_columns;

/* The columns of one split's files. paths: n of them (npy: x [and y]; idx: images and labels; npz, images: one). After
 * a failure the columns are freed all the same. */
tnrt_status tnrt_columns_read(tnrt_message *message, const tnrt_alloc *alloc, uint32_t source_kind,
                              const char *const *paths, uint32_t n, tnrt_columns *out);
void tnrt_columns_free(const tnrt_alloc *alloc, tnrt_columns *columns);

/* An array of a record: its elements' type, its axes without the records', and where it begins. */
void tnrt_column_record(const tnrt_column *column, int64_t record, uint32_t *out_dtype, uint32_t *out_ndim,
                        const int64_t **out_extents, const uint8_t **out_data);

/* A file that may be packed by gzip. */
tnrt_status tnrt_gzip_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint8_t **out,
                           size_t *out_bytes);
/* IDX: big-endian numbers behind a head of types and extents. */
tnrt_status tnrt_idx_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, uint8_t *data,
                          size_t bytes, tnrt_array *out);
/* A picture as u8 [channels, height, width]: PNG without interlacing, JPEG, PGM and PPM. Damaged ones are
 * TNRT_BAD_INPUT. After a failure the array is freed all the same. */
tnrt_status tnrt_image_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                            size_t bytes, tnrt_array *out);
tnrt_status tnrt_jpeg_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                           size_t bytes, tnrt_array *out);
/* Room for one; TNRT_BAD_INPUT where a side is none or too long. */
tnrt_status tnrt_image_make(tnrt_message *message, const tnrt_alloc *alloc, const char *path, int64_t channels,
                            int64_t height, int64_t width, tnrt_array *out);
/* FOLDER/LABEL/FILE: columns image and label, by label and name. */
tnrt_status tnrt_images_read(tnrt_message *message, const tnrt_alloc *alloc, const char *folder, tnrt_columns *out);

#endif
