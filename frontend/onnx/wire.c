/* The wire scan; wire.h says what it is for. The format is that of
 * https://protobuf.dev/programming-guides/encoding/: a message is a list of (field number, wire type, payload). */
#include "frontend/onnx/wire.h"

#include <string.h>

#include "grammar/onnx.pb-c.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { PADDED_LENGTH = 5 };  /* bytes of a message's length in the skeleton: patched when its end is known */
enum { STACK_MEMBERS = 16 }; /* protobuf-c keeps notes on this many fields of a message without allocating */

typedef struct frame {
  const ProtobufCMessageDescriptor *type;
  size_t end;    /* in the file */
  size_t patch;  /* where the skeleton holds this message's length */
  uint64_t seen; /* bit i: the singular message field i has occurred */
  uint32_t n_fields;
} frame;

typedef struct scan {
  tn_ctx *ctx;
  tn_loc loc;
  const uint8_t *data;
  size_t position;
  uint8_t *out; /* NULL while measuring */
  size_t n_out;
  uint64_t cost, n_fields;
  uint32_t depth;
  frame frames[TN_WIRE_MAX_DEPTH + 1];
} scan;

typedef struct field {
  uint32_t id;
  unsigned wire;
  const ProtobufCFieldDescriptor *known; /* NULL: not in the schema */
  size_t start, end;                     /* payload */
  uint64_t value;                        /* of a varint */
} field;

bool tn_wire_varint(const uint8_t *data, size_t end, size_t *position, uint64_t *out) {
  uint64_t value = 0;
  size_t at = *position;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at >= end) return false;
    uint8_t byte = data[at++];
    value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
    if (byte < 0x80) {
      *position = at;
      *out = value;
      return true;
    }
  }
  return false;
}

static void put(scan *s, const void *bytes, size_t n) {
  if (s->out != NULL && n > 0) memcpy(s->out + s->n_out, bytes, n);
  s->n_out += n;
}

static void put_varint(scan *s, uint64_t value) {
  uint8_t bytes[10];
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) bytes[n++] = (uint8_t)(value | 0x80);
  bytes[n++] = (uint8_t)value;
  put(s, bytes, n);
}

/* A length in exactly PADDED_LENGTH bytes, so that it can be written after what it counts. */
static void patch_length(scan *s, size_t at, uint64_t length) {
  if (s->out == NULL) return;
  for (size_t i = 0; i < PADDED_LENGTH; i++) {
    uint8_t more = i + 1 < PADDED_LENGTH ? 0x80 : 0;
    s->out[at + i] = (uint8_t)(((length >> (7 * i)) & 0x7f) | more);
  }
}

static bool malformed(scan *s, const char *what) {
  return tn_error(s->ctx, s->loc, TN_E_ONNX_WIRE, "malformed ONNX file: %s in %s at byte %zu", what,
                  s->frames[s->depth].type->short_name, s->position);
}

/* Reads tag and extent of the next field; the position is then past it. */
static bool read_field(scan *s, field *f) {
  const frame *top = &s->frames[s->depth];
  uint64_t tag, length = 0;
  if (!tn_wire_varint(s->data, top->end, &s->position, &tag)) return malformed(s, "a cut-off field tag");
  if (tag >> 3 == 0 || tag >> 32 != 0) return malformed(s, "an impossible field number");
  f->id = (uint32_t)(tag >> 3);
  f->wire = tag & 7;
  f->known = protobuf_c_message_descriptor_get_field(top->type, f->id);
  f->start = s->position;
  switch (f->wire) {
    case WIRE_VARINT:
      if (!tn_wire_varint(s->data, top->end, &s->position, &f->value)) return malformed(s, "a cut-off number");
      f->end = s->position;
      return true;
    case WIRE_32: length = 4; break;
    case WIRE_64: length = 8; break;
    case WIRE_BYTES:
      if (!tn_wire_varint(s->data, top->end, &s->position, &length)) return malformed(s, "a cut-off length");
      f->start = s->position;
      break;
    default: return malformed(s, "an unknown wire type");
  }
  if (length > top->end - s->position) return malformed(s, "a length that runs past the end");
  s->position += length;
  f->end = s->position;
  return true;
}

static bool is_numeric(ProtobufCType type) {
  return type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_FLOAT;
}

static bool is_payload(const ProtobufCMessageDescriptor *type, const field *f) {
  return type == &onnx__tensor_proto__descriptor && f->known->type == PROTOBUF_C_TYPE_BYTES;
}

static const ProtobufCFieldDescriptor *onnx_tensor_field(const char *name) {
  return protobuf_c_message_descriptor_get_field_by_name(&onnx__tensor_proto__descriptor, name);
}

static uint64_t round_up(uint64_t n) { return (n + 15) & ~(uint64_t)15; }

/* What protobuf-c will allocate for this occurrence: its value, its place in a repeated field's array, its note. */
static uint64_t cost_of(const frame *top, const field *f, size_t length) {
  uint64_t cost = top->n_fields > STACK_MEMBERS ? 64 : 0;
  if (f->known->label == PROTOBUF_C_LABEL_REPEATED) cost += 16;
  switch (f->known->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
      return cost + round_up(((const ProtobufCMessageDescriptor *)f->known->descriptor)->sizeof_message);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES: return cost + round_up(length + 1);
    default: return cost + (f->wire == WIRE_BYTES ? round_up(8 * (uint64_t)length) : 0);
  }
}

/* raw_data is one string of bytes; the others come packed or element by element. */
static bool payload_fits(const field *f) {
  if (f->wire == WIRE_BYTES) return true;
  if (f->known->label != PROTOBUF_C_LABEL_REPEATED) return false;
  if (f->known == onnx_tensor_field("float_data")) return f->wire == WIRE_32;
  if (f->known == onnx_tensor_field("double_data")) return f->wire == WIRE_64;
  return f->wire == WIRE_VARINT;
}

static void put_payload(scan *s, const field *f) {
  tn_wire_ref ref = {f->start, f->end - f->start};
  put_varint(s, (uint64_t)f->id << 3 | WIRE_BYTES);
  put_varint(s, sizeof(ref));
  put(s, &ref, sizeof(ref));
  s->cost += cost_of(&s->frames[s->depth], f, sizeof(ref));
}

static bool enter(scan *s, const field *f) {
  frame *top = &s->frames[s->depth];
  if (f->known->label != PROTOBUF_C_LABEL_REPEATED) {
    uint64_t bit = (uint64_t)1 << (f->known - top->type->fields); /* no message of the schema has 64 fields */
    if (top->seen & bit) return malformed(s, "a repeated field that may occur once");
    top->seen |= bit;
  }
  if (s->depth == TN_WIRE_MAX_DEPTH)
    return tn_error(s->ctx, s->loc, TN_E_LIMIT, "messages nested deeper than %d at byte %zu", TN_WIRE_MAX_DEPTH,
                    f->start);
  s->cost += cost_of(top, f, 0);
  put_varint(s, (uint64_t)f->id << 3 | WIRE_BYTES);
  s->depth++;
  s->frames[s->depth] = (frame){.type = f->known->descriptor, .end = f->end, .patch = s->n_out};
  s->n_out += PADDED_LENGTH;
  s->position = f->start;
  return true;
}

static void leave(scan *s) {
  size_t patch = s->frames[s->depth].patch;
  patch_length(s, patch, s->n_out - patch - PADDED_LENGTH);
  s->depth--;
}

/* A field of the schema that holds no message. */
static bool keep(scan *s, const field *f) {
  frame *top = &s->frames[s->depth];
  bool is_text = f->known->type == PROTOBUF_C_TYPE_STRING;
  size_t length = f->end - f->start;
  if (is_text && length > 0 && memchr(s->data + f->start, 0, length) != NULL)
    return tn_error(s->ctx, s->loc, TN_E_ONNX_STRING, "%s of %s at byte %zu contains a NUL byte", f->known->name,
                    top->type->short_name, f->start);
  s->cost += cost_of(top, f, length);
  put_varint(s, (uint64_t)f->id << 3 | f->wire);
  if (f->wire == WIRE_VARINT) {
    put_varint(s, f->value);
    return true;
  }
  if (f->wire == WIRE_BYTES) put_varint(s, length);
  put(s, s->data + f->start, length);
  return true;
}

/* The wire type that a field must have; numbers that repeat may also come packed. */
static bool wire_fits(const field *f) {
  unsigned single = f->known->type == PROTOBUF_C_TYPE_FLOAT ? WIRE_32
                    : is_numeric(f->known->type)            ? WIRE_VARINT
                                                            : WIRE_BYTES;
  bool packed = is_numeric(f->known->type) && f->known->label == PROTOBUF_C_LABEL_REPEATED && f->wire == WIRE_BYTES;
  return f->wire == single || packed;
}

/* The elements of a packed list must fill it; protobuf-c would only find out while unpacking. */
static bool packed_fits(scan *s, const field *f) {
  if (f->wire != WIRE_BYTES || !is_numeric(f->known->type)) return true;
  if (f->known->type == PROTOBUF_C_TYPE_FLOAT) return (f->end - f->start) % 4 == 0;
  size_t at = f->start;
  uint64_t value;
  while (at < f->end)
    if (!tn_wire_varint(s->data, f->end, &at, &value)) return false;
  return true;
}

static bool take(scan *s, const field *f) {
  const ProtobufCMessageDescriptor *type = s->frames[s->depth].type;
  if (f->known == NULL) return true;
  if (is_payload(type, f) ? !payload_fits(f) : !wire_fits(f))
    return malformed(s, tn_namef(s->ctx, "field '%s' with wire type %u", f->known->name, f->wire));
  if (is_payload(type, f)) {
    put_payload(s, f);
    return true;
  }
  if (f->known->type == PROTOBUF_C_TYPE_MESSAGE) return enter(s, f);
  if (!packed_fits(s, f)) return malformed(s, tn_namef(s->ctx, "a cut-off element of field '%s'", f->known->name));
  return keep(s, f);
}

static bool walk(scan *s) {
  for (;;) {
    frame *top = &s->frames[s->depth];
    if (s->position == top->end) {
      if (s->depth == 0) return true;
      leave(s);
      continue;
    }
    field f = {0};
    top->n_fields++;
    if (++s->n_fields > TN_WIRE_MAX_FIELDS)
      return tn_error(s->ctx, s->loc, TN_E_LIMIT, "more than %llu fields", (unsigned long long)TN_WIRE_MAX_FIELDS);
    if (!read_field(s, &f) || !take(s, &f)) return false;
  }
}

bool tn_wire_measure(tn_ctx *ctx, tn_loc loc, const ProtobufCMessageDescriptor *root, const uint8_t *data,
                     size_t bytes, size_t *out_bytes, uint64_t *out_cost) {
  scan s = {.ctx = ctx, .loc = loc, .data = data};
  s.frames[0] = (frame){.type = root, .end = bytes};
  if (!walk(&s)) return false;
  *out_bytes = s.n_out;
  *out_cost = s.cost + round_up(root->sizeof_message);
  return true;
}

void tn_wire_write(tn_ctx *ctx, const ProtobufCMessageDescriptor *root, const uint8_t *data, size_t bytes,
                   uint8_t *out) {
  scan s = {.ctx = ctx, .data = data, .out = out};
  s.frames[0] = (frame){.type = root, .end = bytes};
  bool ok = walk(&s);
  TN_ASSERT(ok);
  (void)ok;
}

tn_wire_ref tn_wire_ref_of(const ProtobufCBinaryData *payload) {
  tn_wire_ref ref;
  TN_ASSERT(payload->len == sizeof(ref));
  memcpy(&ref, payload->data, sizeof(ref));
  return ref;
}

/* protobuf-c's memory: from an arena, and never more than was promised. */
typedef struct budget {
  tn_arena *arena;
  uint64_t left;
} budget;

static void *budget_alloc(void *user, size_t bytes) {
  budget *b = user;
  uint64_t taken = round_up(bytes);
  if (taken > b->left) return NULL;
  b->left -= taken;
  return tn_arena_alloc(b->arena, bytes);
}

static void budget_free(void *user, void *pointer) {
  (void)user;
  (void)pointer;
}

ProtobufCMessage *tn_wire_unpack(tn_ctx *ctx, tn_loc loc, const ProtobufCMessageDescriptor *root,
                                 const uint8_t *data, size_t bytes, uint64_t budget_bytes, tn_arena *scratch) {
  size_t skeleton_bytes;
  uint64_t cost;
  if (!tn_wire_measure(ctx, loc, root, data, bytes, &skeleton_bytes, &cost)) return NULL;
  if (skeleton_bytes > INT32_MAX || cost + skeleton_bytes > budget_bytes) {
    tn_error(ctx, loc, TN_E_LIMIT, "reading this file of %zu bytes would take %llu bytes of memory, more than the %llu "
             "allowed for its size", bytes, (unsigned long long)(cost + skeleton_bytes),
             (unsigned long long)budget_bytes);
    return NULL;
  }
  /* The slack covers protobuf-c's notes, whose slabs double in size. */
  budget b = {.arena = scratch, .left = cost + cost / 2 + 4096};
  ProtobufCAllocator allocator = {.alloc = budget_alloc, .free = budget_free, .allocator_data = &b};
  uint8_t *skeleton = tn_arena_alloc(scratch, skeleton_bytes);
  tn_wire_write(ctx, root, data, bytes, skeleton);
  ProtobufCMessage *message = protobuf_c_message_unpack(root, &allocator, skeleton_bytes, skeleton);
  if (message == NULL) tn_error(ctx, loc, TN_E_ONNX_WIRE, "malformed ONNX file: the message cannot be unpacked");
  return message;
}
