/* Arrays read from files: .npy, .npz, ONNX TensorProto. Readers take the file's bytes, check every length before using
 * it, never recurse, and allocate no more than the array they return. */
#ifndef TNRT_CORE_ARRAY_H
#define TNRT_CORE_ARRAY_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

/* Dense, row-major, little-endian, aligned to its element. */
typedef struct tnrt_array {
  uint32_t dtype;
  uint32_t ndim;
  int64_t extents[TNRT_MAX_NDIM];
  int64_t bytes;
  uint8_t *data;  /* inside the file's bytes or owned */
  uint8_t *owned; /* given back by tnrt_array_free; NULL when data lies in the file's bytes */
} tnrt_array;

void tnrt_array_free(const tnrt_alloc *alloc, tnrt_array *array);

/* Makes the array one of `dtype`: checks that the element types agree (bf16 arrives as u16, float8 as u8, 4- and 2-bit
 * integers as i8 or u8 in their range), sets booleans to 0 or 1. who: "input 'x'", for messages. */
tnrt_status tnrt_array_become(tnrt_message *message, const char *who, tnrt_array *array, uint32_t dtype);

/* ---- .npy, format versions 1.0 to 3.0 ---- */

typedef struct tnrt_npy {
  uint32_t dtype;
  bool swapped; /* big-endian */
  bool fortran; /* first axis runs fastest */
  uint32_t ndim;
  int64_t extents[TNRT_MAX_NDIM];
  int64_t bytes;  /* of the elements */
  size_t data_at; /* offset of the elements in the file */
} tnrt_npy;

enum { TNRT_NPY_HEADER_MAX = 65536 }; /* bytes of header that are read at most */

/* Reads the header from the first `bytes` of a file. */
tnrt_status tnrt_npy_open(tnrt_message *message, const uint8_t *data, size_t bytes, tnrt_npy *out);

/* Makes the array from npy->bytes of elements, which may be changed. owned: the block payload lies in when it is to
 * belong to the array (given back here when the result does not need it), else NULL. */
tnrt_status tnrt_npy_take(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npy *npy, uint8_t *payload,
                          uint8_t *owned, tnrt_array *out);

/* A whole file. */
tnrt_status tnrt_npy_read(tnrt_message *message, const tnrt_alloc *alloc, uint8_t *data, size_t bytes, tnrt_array *out);

/* Header of a .npy 1.0 for an array of this type; returns its length, a multiple of 64; 0 when it does not fit or the
 * type has no form in .npy. */
size_t tnrt_npy_header(char *text, size_t text_bytes, uint32_t dtype, uint32_t ndim, const int64_t *extents);

/* ---- .npz: a zip archive, members stored or deflated ---- */

typedef struct tnrt_npz {
  uint8_t *data;       /* the file's bytes from `first` on */
  uint64_t first, bytes;
  uint64_t at;         /* next entry of the central directory */
  uint64_t end;        /* where the directory ends */
  uint64_t remaining;  /* entries */
} tnrt_npz;

typedef struct tnrt_npz_member {
  const char *name; /* not ended by a zero; without ".npy" */
  size_t name_bytes;
  uint16_t method, flags;
  uint32_t crc;
  uint64_t packed_bytes, bytes, header_at;
} tnrt_npz_member;

enum { TNRT_NPZ_STORED = 0, TNRT_NPZ_DEFLATED = 8, TNRT_NPZ_LOCAL = 30 /* bytes of a member's own header */ };

tnrt_status tnrt_npz_open(tnrt_message *message, uint8_t *data, size_t bytes, tnrt_npz *out);
/* Of a file of so many bytes only those from `first` on are at hand, the last TNRT_NPZ_END at least: where out->at lies
 * before them, it is to be opened again with those from there on. Its members are not read by tnrt_npz_read. */
enum { TNRT_NPZ_END = 1 << 17 };
tnrt_status tnrt_npz_open_end(tnrt_message *message, uint8_t *data, uint64_t first, uint64_t bytes, tnrt_npz *out);
/* *out_found false: no more members. */
tnrt_status tnrt_npz_next(tnrt_message *message, tnrt_npz *npz, tnrt_npz_member *out, bool *out_found);
/* Whether a member can be read: its own header lies within the file, its method is known. */
tnrt_status tnrt_npz_check(tnrt_message *message, const tnrt_npz *npz, const tnrt_npz_member *member);
/* Where the packed bytes of a member that was checked begin; local: its own header. */
tnrt_status tnrt_npz_place(tnrt_message *message, const tnrt_npz *npz, const tnrt_npz_member *member,
                           const uint8_t *local, uint64_t *out_at);
/* The array's header in the first `have` bytes of an unpacked member; header and elements make up the member. */
tnrt_status tnrt_npz_member_open(tnrt_message *message, const tnrt_npz_member *member, const uint8_t *head,
                                 size_t have, tnrt_npy *out);
/* Refuses what unpacks to more than 48 MiB + 3 times the packed size. */
tnrt_status tnrt_npz_read(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_npz *npz,
                          const tnrt_npz_member *member, tnrt_array *out);

/* CRC-32 as zip has it; crc: of what stands before, 0 at the start. */
uint32_t tnrt_crc32(uint32_t crc, const uint8_t *data, uint64_t bytes);

/* ---- ONNX TensorProto ---- */

/* out_name points into data, not ended by a zero; may be NULL. */
tnrt_status tnrt_pb_read(tnrt_message *message, const tnrt_alloc *alloc, uint8_t *data, size_t bytes, tnrt_array *out,
                         const char **out_name, size_t *out_name_bytes);

#endif
