/* Writing the wire format of protocol buffers: numbers of seven bits a byte, and keys of fields. */
#ifndef TNRT_TRAIN_PROTOBUF_H
#define TNRT_TRAIN_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

/* Bytes written, at most 10. */
size_t tnrt_put_varint(uint8_t *out, uint64_t value);
/* kind: 0 a varint, 1 eight bytes, 2 bytes with their number in front, 5 four bytes. */
size_t tnrt_put_key(uint8_t *out, unsigned field, unsigned kind);

#endif
