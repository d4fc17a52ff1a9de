/* What is packed in files (gzip, members of archives): unpacked once, into memory where there is room for it, else into
 * a file without a name in TMPDIR (or /tmp), which goes when it is closed and from which records are read. */
#ifndef TNRT_TRAIN_UNPACK_H
#define TNRT_TRAIN_UNPACK_H

#include "runtime/train/bytes.h"

typedef struct tnrt_packed {
  const tnrt_bytes *file;
  uint64_t at, n; /* the packed bytes */
  uint64_t bytes; /* that come of them; of gzip, which counts them itself, modulo 2^32 */
  bool is_gzip;   /* else deflated alone (RFC 1951), as in a .npz */
} tnrt_packed;

/* *room as in tnrt_bytes_open. *out_crc: CRC-32 of what came, which of gzip is compared here. TNRT_BAD_INPUT: damaged,
 * or not of the said length; TNRT_IO: no such file can be made, or the disk is full. out->path is the packed file's. */
tnrt_status tnrt_unpack(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_packed *packed, uint64_t *room,
                        uint32_t *out_crc, tnrt_bytes *out);

/* Whether a file is packed by gzip, by its first bytes; and all of it as what tnrt_unpack takes. */
bool tnrt_gzip_is(const uint8_t *data, uint64_t bytes);
tnrt_status tnrt_gzip_packed(tnrt_message *message, const tnrt_bytes *file, tnrt_packed *out);

#endif
