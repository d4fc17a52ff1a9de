/* The session: names and locations; see ctx.h. */
#include "ir/ctx.h"

#include <stdarg.h>
#include <string.h>

#define MAX_ERRORS 100

tn_ctx *tn_ctx_create(tn_oom oom) {
  tn_arena *arena = tn_arena_create(oom, 0);
  tn_ctx *ctx = TN_NEW(arena, tn_ctx);
  ctx->arena = arena;
  ctx->strings = tn_interner_create(arena);
  ctx->max_errors = MAX_ERRORS;
  ctx->loc_index = tn_map_create(arena);
  ctx->dims = tn_map_create(arena);
  ctx->atoms = tn_map_create(arena);
  ctx->types = tn_map_create(arena);
  ctx->symbols = tn_map_create(arena);
  ctx->symbol_suffixes = tn_map_create(arena);
  ctx->memory_limit = (uint64_t)16 << 30;
  tn_loc_info none = {.file = "", .node_name = "", .node_op = "", .node_scope = ""};
  TN_VEC_PUSH(arena, &ctx->locs, none);
  return ctx;
}

void tn_ctx_destroy(tn_ctx *ctx) {
  if (ctx) tn_arena_destroy(ctx->arena);
}

void tn_progress_tell(const tn_ctx *ctx, const char *what, uint64_t done, uint64_t total) {
  if (ctx->progress.tell) ctx->progress.tell(what, done, total);
}

const char *tn_name(tn_ctx *ctx, const char *text) { return tn_intern_z(ctx->strings, text); }

const char *tn_namef(tn_ctx *ctx, const char *format, ...) {
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  tn_buf text = tn_buf_create(scratch);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&text, format, args);
  va_end(args);
  const char *name = tn_intern(ctx->strings, text.data ? text.data : "", text.n);
  tn_arena_destroy(scratch);
  return name;
}

const char *tn_name_fresh(tn_ctx *ctx, const tn_map *taken, tn_map *suffixes, const char *base) {
  const char *key = tn_name(ctx, base), *name = key;
  uintptr_t next = (uintptr_t)tn_map_get(suffixes, key);
  if (next < 2) next = 2;
  while (tn_map_has(taken, name)) name = tn_namef(ctx, "%s_%zu", base, (size_t)next++);
  if (name != key) tn_map_set(suffixes, key, (void *)next);
  return name;
}

/* Strings in locations are interned, so equal content is equal bytes up to padding: compare by field. */
static bool same_info(const tn_loc_info *a, const tn_loc_info *b) {
  return a->kind == b->kind && a->file == b->file && a->line == b->line && a->column == b->column &&
         a->end_line == b->end_line && a->end_column == b->end_column && a->node_index == b->node_index &&
         a->node_name == b->node_name && a->node_op == b->node_op && a->node_scope == b->node_scope &&
         a->node_version == b->node_version && a->n_origins == b->n_origins &&
         memcmp(a->origins, b->origins, a->n_origins * sizeof(tn_loc)) == 0;
}

static uint64_t hash_info(const tn_loc_info *info) {
  uint64_t numbers[] = {info->kind,          info->line,     info->column, info->end_line,
                        info->end_column,    (uint64_t)info->node_index, (uint64_t)info->node_version, info->n_origins};
  const char *names[] = {info->file, info->node_name, info->node_op, info->node_scope};
  uint64_t hash = tn_hash_bytes(0, numbers, sizeof(numbers));
  hash = tn_hash_bytes(hash, names, sizeof(names));
  return tn_hash_bytes(hash, info->origins, info->n_origins * sizeof(tn_loc));
}

/* Different places with one hash are rare: the later one then is a new entry each time, which is only larger. */
static tn_loc intern_info(tn_ctx *ctx, const tn_loc_info *info) {
  uint64_t hash = hash_info(info);
  uintptr_t known = (uintptr_t)tn_map_get_u64(&ctx->loc_index, hash);
  if (known && same_info(&ctx->locs.data[known], info)) return (tn_loc)known;
  TN_VEC_PUSH(ctx->arena, &ctx->locs, *info);
  tn_loc loc = (tn_loc)(ctx->locs.n - 1);
  tn_map_set_u64(&ctx->loc_index, hash, (void *)(uintptr_t)loc);
  return loc;
}

static tn_loc_info info_of_file(tn_ctx *ctx, tn_loc_kind kind, const char *file) {
  const char *empty = tn_name(ctx, "");
  return (tn_loc_info){.kind = kind, .file = tn_name(ctx, file), .node_name = empty, .node_op = empty,
                       .node_scope = empty};
}

tn_loc tn_loc_file(tn_ctx *ctx, const char *file) {
  tn_loc_info info = info_of_file(ctx, TN_LOC_KIND_FILE, file);
  return intern_info(ctx, &info);
}

tn_loc tn_loc_span(tn_ctx *ctx, const char *file, uint32_t line, uint32_t column, uint32_t end_line,
                   uint32_t end_column) {
  tn_loc_info info = info_of_file(ctx, TN_LOC_KIND_SPAN, file);
  info.line = line;
  info.column = column;
  info.end_line = end_line;
  info.end_column = end_column;
  return intern_info(ctx, &info);
}

tn_loc tn_loc_onnx(tn_ctx *ctx, const char *file, const char *scope, int64_t node_index, const char *node_name,
                   const char *node_op, int64_t version) {
  tn_loc_info info = info_of_file(ctx, TN_LOC_KIND_ONNX, file);
  info.node_index = node_index;
  info.node_name = tn_name(ctx, node_name);
  info.node_op = tn_name(ctx, node_op);
  info.node_scope = tn_name(ctx, scope);
  info.node_version = version;
  return intern_info(ctx, &info);
}

static void add_origins(const tn_ctx *ctx, tn_loc loc, tn_loc_info *out) {
  const tn_loc_info *info = tn_loc_get(ctx, loc);
  uint32_t n = info->kind == TN_LOC_KIND_FROM ? info->n_origins : 1;
  const tn_loc *origins = info->kind == TN_LOC_KIND_FROM ? info->origins : &loc;
  for (uint32_t i = 0; i < n && out->n_origins < TN_LOC_MAX_ORIGINS; i++) {
    bool known = origins[i] == TN_LOC_NONE;
    for (uint32_t k = 0; k < out->n_origins; k++) known |= out->origins[k] == origins[i];
    if (!known) out->origins[out->n_origins++] = origins[i];
  }
}

tn_loc tn_loc_join(tn_ctx *ctx, tn_loc a, tn_loc b) {
  tn_loc_info info = info_of_file(ctx, TN_LOC_KIND_FROM, "");
  add_origins(ctx, a, &info);
  add_origins(ctx, b, &info);
  if (info.n_origins == 0) return TN_LOC_NONE;
  return info.n_origins == 1 ? info.origins[0] : intern_info(ctx, &info);
}

const tn_loc_info *tn_loc_get(const tn_ctx *ctx, tn_loc loc) {
  TN_ASSERT(loc < ctx->locs.n);
  return &ctx->locs.data[loc];
}

static void print_onnx(const tn_loc_info *info, const char *file, tn_buf *out) {
  tn_buf_puts(out, file);
  if (*info->node_scope) tn_buf_printf(out, ": in '%s'", info->node_scope);
  if (info->node_index < 0) {
    tn_buf_printf(out, ": '%s'", info->node_name);
    return;
  }
  tn_buf_printf(out, ": node %lld", (long long)info->node_index);
  if (*info->node_name) tn_buf_printf(out, " '%s'", info->node_name);
  tn_buf_printf(out, " (%s, opset %lld)", info->node_op, (long long)info->node_version);
}

static void print_loc(const tn_ctx *ctx, tn_loc loc, bool with_folder, tn_buf *out) {
  const tn_loc_info *info = tn_loc_get(ctx, loc);
  while (info->kind == TN_LOC_KIND_FROM) info = tn_loc_get(ctx, info->origins[0]);
  if (info->kind == TN_LOC_KIND_NONE) return;
  const char *slash = with_folder ? NULL : strrchr(info->file, '/'), *file = slash ? slash + 1 : info->file;
  if (info->kind == TN_LOC_KIND_FILE) tn_buf_puts(out, file);
  if (info->kind == TN_LOC_KIND_SPAN) tn_buf_printf(out, "%s:%u:%u", file, info->line, info->column);
  if (info->kind == TN_LOC_KIND_ONNX) print_onnx(info, file, out);
}

void tn_loc_print(const tn_ctx *ctx, tn_loc loc, tn_buf *out) { print_loc(ctx, loc, true, out); }
void tn_loc_print_name(const tn_ctx *ctx, tn_loc loc, tn_buf *out) { print_loc(ctx, loc, false, out); }

void tn_loc_print_text(const tn_ctx *ctx, tn_loc loc, tn_buf *out) {
  enum { MOST = 40 };
  const tn_loc_info *info = tn_loc_get(ctx, loc);
  while (info->kind == TN_LOC_KIND_FROM) info = tn_loc_get(ctx, info->origins[0]);
  const tn_source_text *source = info->kind == TN_LOC_KIND_SPAN ? tn_ctx_text(ctx, info->file) : NULL;
  if (!source) return;
  const char *at = source->text, *end = source->text + source->bytes;
  for (uint32_t line = 1; line < info->line && at < end; at++) line += *at == '\n';
  at = (size_t)(end - at) > info->column ? at + info->column - 1 : end;
  size_t n = info->end_line > info->line || info->end_column < info->column ? MOST + 1
                                                                           : info->end_column - info->column + 1;
  size_t k = 0;
  while (k < n && k < MOST && at + k < end && at[k] != '\n') k++;
  while (k && at + k < end && ((unsigned char)at[k] & 0xc0) == 0x80) k--; /* whole characters */
  if (k) tn_buf_printf(out, ": '%.*s%s'", (int)k, at, k < n && k == MOST ? "..." : "");
}

void tn_ctx_keep_text(tn_ctx *ctx, const char *file, const char *text, size_t bytes) {
  tn_source_text source = {tn_name(ctx, file), text, bytes};
  TN_VEC_PUSH(ctx->arena, &ctx->sources, source);
}

const tn_source_text *tn_ctx_text(const tn_ctx *ctx, const char *file) {
  for (size_t i = ctx->sources.n; i-- > 0;)
    if (strcmp(ctx->sources.data[i].file, file) == 0) return &ctx->sources.data[i];
  return NULL;
}

void tn_loc_push(tn_ctx *ctx, tn_loc loc) { TN_VEC_PUSH(ctx->arena, &ctx->loc_stack, loc); }

void tn_loc_pop(tn_ctx *ctx) {
  TN_ASSERT(ctx->loc_stack.n > 0);
  ctx->loc_stack.n--;
}

tn_loc tn_loc_current(const tn_ctx *ctx) {
  return ctx->loc_stack.n ? ctx->loc_stack.data[ctx->loc_stack.n - 1] : TN_LOC_NONE;
}
