/* GNU ar archives: taking from one what a merge needs, and writing one of a single member. Format: ar(5), with the
 * System V symbol index "/" (big-endian) and long names "//". */
#include <stdio.h>
#include <string.h>

#include "backends/object/merge.h"

#define MAGIC "!<arch>\n"
#define HEADER_BYTES 60u

/* --- Reading --- */

typedef struct archive {
  const uint8_t *data;
  uint64_t bytes;
  const char *name;
  const uint8_t *index; /* the symbol index: count, offsets, names */
  uint64_t index_bytes;
  const uint8_t *long_names;
  uint64_t long_names_bytes;
} archive;

typedef struct member {
  const uint8_t *data;
  uint64_t bytes, next;
  char name[17]; /* as in the header, blanks cut */
} member;

static bool bad(tn_ctx *ctx, const archive *a, const char *what) {
  return tn_error(ctx, TN_LOC_NONE, TN_E_OBJECT, "archive '%s': %s", a->name, what);
}

static bool read_member(const archive *a, uint64_t offset, member *out) {
  if (offset > a->bytes || a->bytes - offset < HEADER_BYTES) return false;
  const uint8_t *header = a->data + offset;
  if (header[58] != '`' || header[59] != '\n') return false;
  memcpy(out->name, header, 16);
  out->name[16] = 0;
  for (int i = 15; i >= 0 && out->name[i] == ' '; i--) out->name[i] = 0;
  out->bytes = 0;
  for (int i = 48; i < 58 && header[i] >= '0' && header[i] <= '9'; i++)
    out->bytes = out->bytes * 10 + (header[i] - '0');
  out->data = header + HEADER_BYTES;
  if (out->bytes > a->bytes - offset - HEADER_BYTES) return false;
  out->next = offset + HEADER_BYTES + out->bytes + (out->bytes & 1);
  return true;
}

static uint32_t big_endian(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool open_archive(tn_ctx *ctx, const tn_object_part *part, archive *out) {
  out->data = part->data;
  out->bytes = part->bytes;
  if (out->bytes < strlen(MAGIC) || memcmp(out->data, MAGIC, strlen(MAGIC)) != 0)
    return bad(ctx, out, "not an archive");
  member m;
  for (uint64_t at = strlen(MAGIC); read_member(out, at, &m); at = m.next) {
    if (strcmp(m.name, "/") == 0) {
      out->index = m.data;
      out->index_bytes = m.bytes;
    } else if (strcmp(m.name, "//") == 0) {
      out->long_names = m.data;
      out->long_names_bytes = m.bytes;
    } else {
      break;
    }
  }
  if (!out->index || out->index_bytes < 4 || big_endian(out->index) > (out->index_bytes - 4) / 5)
    return bad(ctx, out, "no symbol index, or a wrong one");
  return true;
}

static const char *member_name(tn_object *object, const archive *a, const member *m) {
  const char *text = m->name;
  uint64_t length = strlen(text);
  if (text[0] == '/' && text[1] >= '0' && text[1] <= '9') {
    uint64_t at = 0;
    for (const char *c = text + 1; *c >= '0' && *c <= '9'; c++) at = at * 10 + (uint64_t)(*c - '0');
    if (at >= a->long_names_bytes) return "?";
    text = (const char *)a->long_names + at;
    length = a->long_names_bytes - at;
  }
  const char *slash = memchr(text, '/', length);
  return tn_arena_strndup(object->arena, text, slash ? (size_t)(slash - text) : length);
}

static bool is_wanted(const tn_object *object, const char *symbol) {
  const tn_elf_global *global = tn_map_get(&object->names, tn_name(object->ctx, symbol));
  return global && global->state == TN_ELF_UNDEFINED && !global->weak_reference;
}

/* One walk over the index; *out_added tells whether a member was taken. A member that was taken defines its symbols, so
 * that it is not taken again. */
static bool pull(tn_object *object, const archive *a, bool *out_added) {
  uint32_t n = big_endian(a->index);
  const char *names = (const char *)a->index + 4 + (uint64_t)n * 4;
  uint64_t left = a->index_bytes - 4 - (uint64_t)n * 4;
  for (uint32_t i = 0; i < n; i++) {
    const char *end = memchr(names, 0, left);
    if (!end) return bad(object->ctx, a, "the symbol index is cut short");
    const char *symbol = names;
    left -= (uint64_t)(end + 1 - names);
    names = end + 1;
    if (!is_wanted(object, symbol)) continue;
    member m;
    if (!read_member(a, big_endian(a->index + 4 + (uint64_t)i * 4), &m))
      return bad(object->ctx, a, "the symbol index points at no member");
    if (!tn_elf_add_part(object, member_name(object, a, &m), m.data, m.bytes)) return false;
    if (is_wanted(object, symbol)) return bad(object->ctx, a, "the symbol index names a symbol its member lacks");
    *out_added = true;
  }
  return true;
}

bool tn_elf_pull_archives(tn_object *object) {
  const tn_object_request *request = object->request;
  archive *archives = TN_NEW_N(object->arena, archive, request->n_archives);
  for (uint32_t i = 0; i < request->n_archives; i++) {
    archives[i].name = tn_arena_printf(object->arena, "%u", i);
    if (!open_archive(object->ctx, &request->archives[i], &archives[i])) return false;
  }
  for (bool added = true; added;) {
    added = false;
    for (uint32_t i = 0; i < request->n_archives; i++)
      if (!pull(object, &archives[i], &added)) return false;
  }
  return true;
}

/* --- Writing --- */

static bool put(tn_sink sink, const void *data, size_t bytes) { return sink.write(sink.user, data, bytes); }

/* name is at most 16 characters, checked by the callers. */
static bool put_header(tn_ctx *ctx, const char *name, uint64_t bytes, tn_sink sink) {
  char header[HEADER_BYTES + 1];
  if (bytes > 9999999999u)
    return tn_error(ctx, TN_LOC_NONE, TN_E_LIMIT, "a member of an archive has at most 9999999999 bytes, this one %llu",
                    (unsigned long long)bytes);
  snprintf(header, sizeof(header), "%-16s%-12d%-6d%-6d%-8s%-10llu`\n", name, 0, 0, 0, "644", (unsigned long long)bytes);
  return put(sink, header, HEADER_BYTES);
}

static void put_big_endian(tn_buf *buf, uint64_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) tn_buf_putc(buf, (char)(v >> shift));
}

bool tn_archive_write(tn_ctx *ctx, const char *name, const tn_object *object, const char *const *symbols,
                      uint32_t n_symbols, tn_sink sink) {
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  bool is_long = strlen(name) > 15;
  tn_buf names = tn_buf_create(arena);
  if (is_long) tn_buf_printf(&names, "%s/\n", name);
  if (names.n & 1) tn_buf_putc(&names, '\n');
  uint64_t index_bytes = 4 + 4 * (uint64_t)n_symbols;
  for (uint32_t i = 0; i < n_symbols; i++) index_bytes += strlen(symbols[i]) + 1;
  index_bytes += index_bytes & 1;
  uint64_t at = strlen(MAGIC) + HEADER_BYTES + index_bytes + (is_long ? HEADER_BYTES + names.n : 0);

  tn_buf index = tn_buf_create(arena);
  put_big_endian(&index, n_symbols);
  for (uint32_t i = 0; i < n_symbols; i++) put_big_endian(&index, at);
  for (uint32_t i = 0; i < n_symbols; i++) tn_buf_append(&index, symbols[i], strlen(symbols[i]) + 1);
  if (index.n & 1) tn_buf_putc(&index, 0);

  bool ok = put(sink, MAGIC, strlen(MAGIC)) && put_header(ctx, "/", index.n, sink) && put(sink, index.data, index.n);
  if (ok && is_long) ok = put_header(ctx, "//", names.n, sink) && put(sink, names.data, names.n);
  ok = ok && put_header(ctx, is_long ? "/0" : tn_arena_printf(arena, "%s/", name), tn_object_bytes(object), sink) &&
       tn_object_stream(object, sink);
  if (ok && tn_object_bytes(object) & 1) ok = put(sink, "\n", 1);
  tn_arena_destroy(arena);
  return ok;
}
