/* The wire scan: checks the bytes of an ONNX file before protobuf-c sees them, and makes a skeleton of them.
 *
 * protobuf-c 1.4.1 recurses without limit, spends a hundred bytes on a two-byte message and copies all bytes fields, so
 * files are never given to it as they are. The scan is iterative and follows the schema (the descriptors protoc-c makes
 * from grammar/onnx.proto): it checks every length, wire type and nesting, drops what the schema does not name, and
 * replaces each numeric payload of a tensor (raw_data, float_data, ...) by a reference to its place in the file. What
 * is left is small and safe to unpack; what unpacking will cost is known before anything is allocated. */
#ifndef TN_FRONTEND_ONNX_WIRE_H
#define TN_FRONTEND_ONNX_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "ir/ctx.h"

#define TN_WIRE_MAX_DEPTH 100
#define TN_WIRE_MAX_FIELDS ((uint64_t)1 << 26)

/* What a payload field holds in the skeleton: bytes [offset, offset + bytes) of the file. */
typedef struct tn_wire_ref {
  uint64_t offset, bytes;
} tn_wire_ref;

/* Checks data as one message of type root; *out_bytes = the skeleton's size, *out_cost = an upper bound of the memory
 * that unpacking it takes. TN_E_ONNX_WIRE, TN_E_ONNX_STRING or TN_E_LIMIT at loc. */
bool tn_wire_measure(tn_ctx *ctx, tn_loc loc, const ProtobufCMessageDescriptor *root, const uint8_t *data,
                     size_t bytes, size_t *out_bytes, uint64_t *out_cost);
/* Writes the skeleton of data that was measured; out has room for the measured size. */
void tn_wire_write(tn_ctx *ctx, const ProtobufCMessageDescriptor *root, const uint8_t *data, size_t bytes,
                   uint8_t *out);
/* What unpacking a file of so many bytes may take: small files of trees hold numbers in a byte or two. */
#define TN_WIRE_BUDGET(bytes) (((uint64_t)32 << 20) + 3 * (uint64_t)(bytes))

/* Measures, writes and unpacks. Memory comes from scratch; cost + skeleton may be at most budget_bytes (TN_E_LIMIT).
 * NULL when reported. */
ProtobufCMessage *tn_wire_unpack(tn_ctx *ctx, tn_loc loc, const ProtobufCMessageDescriptor *root,
                                 const uint8_t *data, size_t bytes, uint64_t budget_bytes, tn_arena *scratch);
/* The reference in a payload field of an unpacked tensor. */
tn_wire_ref tn_wire_ref_of(const ProtobufCBinaryData *payload);

/* Reads one varint at *position, which moves past it; false when it is cut short or longer than ten bytes. */
bool tn_wire_varint(const uint8_t *data, size_t end, size_t *position, uint64_t *out);

#endif
