/* Reading .tn files into syntax trees; see lang.h and parser.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "frontend/lang/scan.h"

tn_loc tn_lang_loc(const tn_lang_parser *parser, tn_lang_range range) {
  const tn_lang_token *first = &parser->tokens.data[range.first], *last = &parser->tokens.data[range.last];
  uint32_t width = last->length ? last->length - 1 : 0;
  return tn_loc_span(parser->ctx, parser->path, first->line, first->column, last->line, last->column + width);
}

tn_loc tn_lang_loc_behind(const tn_lang_parser *parser, uint32_t token) {
  const tn_lang_token *t = &parser->tokens.data[token];
  return tn_loc_span(parser->ctx, parser->path, t->line, t->column + t->length, t->line, t->column + t->length);
}

bool tn_lang_error(tn_lang_parser *parser, tn_loc loc, tn_diag_code code, const char *format, ...) {
  parser->failed = true;
  if (parser->stopped) return false;
  tn_buf text = tn_buf_create(parser->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&text, format, args);
  va_end(args);
  tn_error(parser->ctx, loc, code, "%s", text.data);
  if (++parser->n_errors == TN_LANG_MAX_ERRORS) parser->stopped = true;
  return false;
}

void tn_lang_yyerror(const tn_lang_range *where, tn_lang_parser *parser, const char *text) {
  (void)text; /* bison's stack is at its bound */
  tn_lang_error(parser, tn_lang_loc(parser, *where), TN_E_LIMIT, "this is nested too deeply");
  parser->stopped = true;
}

/* Length of the UTF-8 character at text; 0: there is none. */
static size_t character_length(const unsigned char *text, size_t bytes) {
  size_t n = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;
  if (n == 0 || n > bytes || text[0] == 0) return 0;
  for (size_t i = 1; i < n; i++)
    if ((text[i] & 0xc0) != 0x80) return 0;
  return n;
}

static bool check_characters(tn_lang_parser *parser) {
  uint32_t line = 1;
  size_t line_start = 0;
  for (size_t i = 0; i < parser->bytes;) {
    size_t n = character_length((const unsigned char *)parser->text + i, parser->bytes - i);
    if (n == 0) {
      uint32_t column = (uint32_t)(i - line_start) + 1;
      return tn_lang_error(parser, tn_loc_span(parser->ctx, parser->path, line, column, line, column), TN_E_LANG_TOKEN,
                           "the byte 0x%02x is no UTF-8 text", (unsigned char)parser->text[i]);
    }
    i += n;
    if (parser->text[i - 1] != '\n') continue;
    line++;
    line_start = i;
  }
  return true;
}

static bool stands_before(const tn_ctx *ctx, const tn_diag *a, const tn_diag *b) {
  const tn_loc_info *x = tn_loc_get(ctx, a->loc), *y = tn_loc_get(ctx, b->loc);
  return x->line != y->line ? x->line < y->line : x->column < y->column;
}

/* The scanner's errors and the parser's were found one after the other; they are told in the order of their places,
 * each with its notes. */
static void sort_errors(tn_lang_parser *parser, size_t first) {
  const tn_ctx *ctx = parser->ctx;
  size_t n = ctx->diags.n - first, n_errors = 0, done = 0;
  if (n == 0) return;
  tn_diag *diags = ctx->diags.data + first;
  tn_diag *old = tn_arena_copy(parser->arena, diags, n * sizeof(*diags));
  size_t *errors = TN_NEW_N(parser->arena, size_t, n);
  for (size_t i = 0; i < n; i++) {
    if (old[i].severity != TN_ERROR) continue;
    size_t k = n_errors++;
    for (; k > 0 && stands_before(ctx, &old[i], &old[errors[k - 1]]); k--) errors[k] = errors[k - 1];
    errors[k] = i;
  }
  for (size_t i = 0; i < n_errors; i++)
    for (size_t k = errors[i]; k == errors[i] || (k < n && old[k].severity != TN_ERROR); k++) diags[done++] = old[k];
}

bool tn_lang_parse_text(tn_ctx *ctx, const char *path, const char *text, size_t bytes, tn_lang_parser *parser) {
  *parser = (tn_lang_parser){.ctx = ctx, .arena = ctx->arena, .path = tn_name(ctx, path), .text = text,
                             .bytes = bytes};
  tn_ctx_keep_text(ctx, parser->path, text, bytes);
  parser->file = TN_NEW(ctx->arena, tn_ast_file);
  parser->file->path = parser->path;
  parser->file->loc = tn_loc_file(ctx, path);
  if (bytes > TN_LANG_MAX_BYTES)
    return tn_lang_error(parser, parser->file->loc, TN_E_LIMIT, "a file has at most %u bytes, this one has %zu",
                         TN_LANG_MAX_BYTES, bytes);
  if (!check_characters(parser)) return false;
  size_t first_diag = ctx->diags.n;
  tn_lang_scan scan = {.parser = parser, .arena = parser->arena, .line = 1, .first_of_line = true,
                       .doc = tn_buf_create(parser->arena)};
  tn_lang_scan_text(&scan, text, bytes);
  if (!parser->stopped) tn_lang_yyparse(parser);
  sort_errors(parser, first_diag);
  if (parser->n_errors == TN_LANG_MAX_ERRORS)
    tn_note(ctx, TN_LOC_NONE, "these are %d errors; more are not looked for", TN_LANG_MAX_ERRORS);
  return !parser->failed;
}

/* Everything that fd gives, into text. False with errno set; errno 0: it is too long. */
static bool read_all(int fd, tn_buf *text) {
  char block[1 << 14];
  for (;;) {
    ssize_t n = read(fd, block, sizeof(block));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n == 0;
    tn_buf_append(text, block, (size_t)n);
    if (text->n <= TN_LANG_MAX_BYTES) continue;
    errno = 0;
    return false;
  }
}

bool tn_lang_read(tn_ctx *ctx, const char *path, const char **out_text, size_t *out_bytes) {
  bool standard = strcmp(path, "-") == 0;
  tn_buf text = tn_buf_create(ctx->arena);
  tn_buf_puts(&text, "");
  int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  bool ok = fd >= 0 && read_all(fd, &text);
  int reason = errno;
  if (!standard && fd >= 0) close(fd);
  if (!ok && fd >= 0 && reason == 0)
    return tn_error(ctx, tn_loc_file(ctx, path), TN_E_LIMIT, "a file has at most %u bytes", TN_LANG_MAX_BYTES);
  if (!ok) return tn_error(ctx, tn_loc_file(ctx, path), TN_E_FILE, "cannot read '%s': %s", path, strerror(reason));
  *out_text = text.data;
  *out_bytes = text.n;
  return true;
}

static tn_ast_file *parse(tn_ctx *ctx, const char *name, const char *text, size_t bytes) {
  tn_lang_parser parser;
  return tn_lang_parse_text(ctx, name, text, bytes, &parser) ? parser.file : NULL;
}

tn_ast_file *tn_lang_parse(tn_ctx *ctx, const char *path) {
  const char *text;
  size_t bytes;
  return tn_lang_read(ctx, path, &text, &bytes) ? parse(ctx, path, text, bytes) : NULL;
}

tn_ast_file *tn_lang_parse_bytes(tn_ctx *ctx, const char *name, const char *text, size_t bytes) {
  return parse(ctx, name, tn_arena_strndup(ctx->arena, text, bytes), bytes);
}
