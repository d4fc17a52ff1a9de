/* What the patterns of grammar/tenon.l do: positions, comments, documentation, the list of tokens. */
#include "frontend/lang/scan.h"

#include <string.h>

void tn_lang_scan_advance(tn_lang_scan *scan, size_t bytes) {
  scan->start = scan->offset;
  scan->offset += (uint32_t)bytes;
}

void tn_lang_scan_newline(tn_lang_scan *scan) {
  scan->line++;
  scan->line_offset = scan->offset;
  scan->first_of_line = true;
}

/* Lines of "## text" right after each other, alone in their lines. */
static void add_doc(tn_lang_scan *scan, const char *text, size_t bytes) {
  if (scan->doc_line + 1 != scan->line) scan->doc.n = 0;
  text += 2;
  bytes -= 2;
  if (bytes && *text == ' ') text++, bytes--;
  if (scan->doc.n) tn_buf_putc(&scan->doc, '\n');
  tn_buf_append(&scan->doc, text, bytes);
  scan->doc_line = scan->line;
}

void tn_lang_scan_comment(tn_lang_scan *scan, const char *text, size_t bytes) {
  while (bytes && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t' || text[bytes - 1] == '\r')) bytes--;
  tn_lang_parser *parser = scan->parser;
  tn_lang_comment comment = {.offset = scan->start, .length = (uint32_t)bytes, .line = scan->line,
                             .token = (uint32_t)parser->tokens.n, .own_line = scan->first_of_line};
  TN_VEC_PUSH(scan->arena, &parser->comments, comment);
  bool doc = bytes >= 2 && text[1] == '#' && (bytes == 2 || text[2] != '#');
  if (doc && scan->first_of_line) add_doc(scan, text, bytes);
}

int tn_lang_scan_word(const char *text, size_t bytes) {
  static const struct {
    int kind;
    const char *text;
  } keywords[] = {
#define X(token, text, kind) {TOK_##token, text},
#include "frontend/lang/keywords.def"
#undef X
  };
  for (size_t i = 0; i < TN_ARRAY_LEN(keywords); i++)
    if (strlen(keywords[i].text) == bytes && memcmp(keywords[i].text, text, bytes) == 0) return keywords[i].kind;
  return TOK_ID;
}

void tn_lang_scan_error(tn_lang_scan *scan, const char *format, ...) {
  tn_lang_parser *parser = scan->parser;
  tn_buf text = tn_buf_create(scan->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&text, format, args);
  va_end(args);
  uint32_t first = scan->start - scan->line_offset + 1, last = scan->offset - scan->line_offset;
  tn_lang_error(parser, tn_loc_span(parser->ctx, parser->path, scan->line, first, scan->line, last), TN_E_LANG_TOKEN,
                "%s", text.data);
  scan->faulty = true;
}

/* One report for a run of them. */
void tn_lang_scan_stray(tn_lang_scan *scan, const char *character) {
  unsigned char byte = (unsigned char)character[0];
  if (scan->start == 0 && strcmp(character, "\xef\xbb\xbf") == 0) return; /* a byte order mark */
  bool again = scan->stray_end && scan->stray_end == scan->start;
  if (!again && byte >= ' ')
    tn_lang_scan_error(scan, "'%s' stands for nothing outside strings and comments", character);
  if (!again && byte < ' ') tn_lang_scan_error(scan, "the byte 0x%02x is no text", byte);
  scan->stray_end = scan->offset;
}

static const char *take_doc(tn_lang_scan *scan, int kind) {
  if (kind == TOK_SEP) return NULL;
  bool before_this = scan->doc.n && scan->first_of_line && scan->doc_line + 1 == scan->line;
  const char *doc = before_this ? tn_arena_strndup(scan->parser->ctx->arena, scan->doc.data, scan->doc.n) : NULL;
  scan->doc.n = 0;
  return doc;
}

void tn_lang_scan_add(tn_lang_scan *scan, int kind) {
  if (kind == 0) tn_lang_scan_advance(scan, 0);
  tn_lang_token token = {.kind = kind, .first_of_line = scan->first_of_line, .faulty = scan->faulty,
                         .line = scan->line, .column = scan->start - scan->line_offset + 1, .offset = scan->start,
                         .length = scan->offset - scan->start, .doc = take_doc(scan, kind)};
  TN_VEC_PUSH(scan->arena, &scan->parser->tokens, token);
  scan->faulty = false;
  scan->first_of_line = scan->first_of_line && kind == TOK_SEP; /* a ';' takes nothing from what follows it */
}
