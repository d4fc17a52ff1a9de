/* The safetensors format: 8 bytes, the little-endian length of a header; the header, a JSON object {"__metadata__":
 * {"key": "text", ..}, "name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ..}; the bytes of the
 * tensors, one after the other, row-major and little-endian. Our own headers begin with a checksum of themselves. */
#ifndef TNRT_TRAIN_SAFETENSORS_H
#define TNRT_TRAIN_SAFETENSORS_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"
#include "runtime/train/checkpoint.h"

enum { TNRT_SAFETENSORS_PREFIX = 8, TNRT_SAFETENSORS_MAX_HEADER = 100000000 };

/* ---- reading ---- */

typedef struct tnrt_stored {
  const char *name; /* in the header's bytes, ended by a zero */
  uint32_t dtype, ndim;
  int64_t extents[TNRT_MAX_NDIM];
  uint64_t begin, end; /* of its bytes, from the end of the header */
} tnrt_stored;

typedef struct tnrt_safetensors {
  tnrt_stored *tensors;   /* by their place in the file */
  uint32_t *by_name;      /* positions in tensors */
  tnrt_saved_text *texts; /* of __metadata__ */
  uint32_t n_tensors, n_texts;
  uint32_t max_tensors, max_texts; /* room in the tables */
} tnrt_safetensors;

/* Length of the header, behind the first 8 bytes of a file of file_bytes. */
tnrt_status tnrt_safetensors_header_bytes(tnrt_message *message, const uint8_t prefix[8], uint64_t file_bytes,
                                          uint64_t *out);
/* How many tensors and texts a header has at most: room that is enough for it. */
void tnrt_safetensors_bound(const char *header, size_t bytes, uint32_t *out_tensors, uint32_t *out_texts);
/* Parses a header into the tables of out, which have room for max_tensors and max_texts; more is refused. Names and
 * texts are unescaped in place: it is parsed once. data_bytes: what stands behind it, which the tensors must make up
 * without gaps and overlaps. Names may not stand twice. TNRT_BAD_INPUT; nothing is allocated. */
tnrt_status tnrt_safetensors_parse(tnrt_message *message, char *header, size_t bytes, uint64_t data_bytes,
                                   tnrt_safetensors *out);
const tnrt_stored *tnrt_safetensors_find(const tnrt_safetensors *file, const char *name); /* or NULL */
const char *tnrt_safetensors_text(const tnrt_safetensors *file, const char *key);         /* or NULL */

/* ---- writing ---- */

/* The prefix and the header, padded with spaces to a multiple of 64, of tensors in order; the first text is "checksum",
 * which is filled in. Returns its length, also where that is more than capacity (then nothing useful is there); 0 when
 * a dtype has no form in safetensors. */
size_t tnrt_safetensors_header(char *out, size_t capacity, const tnrt_saved *tensors, uint32_t n_tensors,
                               const tnrt_saved_text *texts, uint32_t n_texts);
/* "F32", or NULL. */
const char *tnrt_safetensors_dtype(uint32_t dtype);

/* ---- checksums ---- */

enum { TNRT_DIGEST_TEXT = 17 }; /* 16 hexadecimal digits and a zero */

uint64_t tnrt_digest_of(const void *data, uint64_t bytes);
void tnrt_digest_text(char out[TNRT_DIGEST_TEXT], uint64_t digest);
/* Whether a header (its JSON, not parsed yet) has a checksum in its first place; and whether it is right. */
bool tnrt_safetensors_has_checksum(const char *header, size_t bytes);
bool tnrt_safetensors_is_sound(const char *header, size_t bytes);

#endif
