/* Splits the text form into tokens. */
#include "ir/text/lex.h"

#include <string.h>

typedef struct lexer {
  tn_ctx *ctx;
  tn_arena *arena;
  const char *file;
  const char *at, *end, *line_start;
  uint32_t line;
  tn_tokens tokens;
  bool counting; /* the first time through: tokens.n only, so that their list is allocated once */
} lexer;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_name_byte(char c) { return is_letter(c) || is_digit(c); }
static bool is_plain_byte(char c) { return is_name_byte(c) || c == '.' || c == '$'; }

bool tn_lex_is_plain_name(const char *name) {
  if (!name[0] || strstr(name, "..")) return false;
  for (const char *at = name; *at; at++)
    if (!is_plain_byte(*at)) return false;
  return true;
}

static char peek(const lexer *lex, size_t ahead) {
  return (size_t)(lex->end - lex->at) > ahead ? lex->at[ahead] : '\0';
}

static uint32_t column_of(const lexer *lex, const char *at) { return (uint32_t)(at - lex->line_start) + 1; }

static void report(lexer *lex, const char *at, const char *what) {
  uint32_t column = column_of(lex, at);
  if (lex->counting) return;
  tn_error(lex->ctx, tn_loc_span(lex->ctx, lex->file, lex->line, column, lex->line, column), TN_E_TEXT, "%s", what);
}

static void push(lexer *lex, tn_token_kind kind, const char *start, const char *text, size_t length, bool quoted) {
  tn_token token = {.kind = kind, .quoted = quoted, .line = lex->line, .column = column_of(lex, start), .text = text,
                    .length = length};
  if (lex->counting) lex->tokens.n++;
  else lex->tokens.data[lex->tokens.n++] = token;
}

/* The text between quotes, lex->at being behind the first; false when the line ends before the second. */
static bool scan_quoted(lexer *lex, const char **out, size_t *out_length) {
  const char *start = lex->at;
  while (lex->at < lex->end && *lex->at != '"' && *lex->at != '\n')
    lex->at += *lex->at == '\\' && lex->end - lex->at > 1 && lex->at[1] != '\n' ? 2 : 1;
  *out = start;
  *out_length = (size_t)(lex->at - start);
  if (lex->at >= lex->end || *lex->at != '"') return false;
  lex->at++;
  return true;
}

static void lex_string(lexer *lex, tn_token_kind kind, const char *start) {
  const char *text;
  size_t length;
  lex->at++;
  if (!scan_quoted(lex, &text, &length)) report(lex, start, "a string without its closing quote");
  else push(lex, kind, start, text, length, true);
}

/* %name, @name. */
static void lex_sigil(lexer *lex, tn_token_kind kind) {
  const char *start = lex->at++;
  if (peek(lex, 0) == '"') {
    lex_string(lex, kind, start);
    return;
  }
  const char *text = lex->at;
  while (lex->at < lex->end && is_plain_byte(*lex->at) && !(*lex->at == '.' && peek(lex, 1) == '.')) lex->at++;
  if (lex->at == text) report(lex, start, "a name must follow '%' or '@'");
  else push(lex, kind, start, text, (size_t)(lex->at - text), false);
}

/* Digits, hexadecimal, fraction and exponent; `0..64` is three tokens. */
static void lex_number(lexer *lex) {
  const char *start = lex->at;
  bool hex = peek(lex, 0) == '0' && (peek(lex, 1) == 'x' || peek(lex, 1) == 'X');
  while (lex->at < lex->end) {
    char c = *lex->at, previous = lex->at > start ? lex->at[-1] : '\0';
    bool exponent = hex ? previous == 'p' || previous == 'P' : previous == 'e' || previous == 'E';
    bool sign = (c == '-' || c == '+') && exponent;
    bool point = c == '.' && peek(lex, 1) != '.';
    if (!is_name_byte(c) && !sign && !point) break;
    lex->at++;
  }
  push(lex, TN_TOKEN_NUMBER, start, start, (size_t)(lex->at - start), false);
}

static void lex_name(lexer *lex) {
  const char *start = lex->at++;
  while (lex->at < lex->end && is_name_byte(*lex->at)) lex->at++;
  push(lex, TN_TOKEN_NAME, start, start, (size_t)(lex->at - start), false);
}

static void skip_comment(lexer *lex) {
  while (lex->at < lex->end && *lex->at != '\n') lex->at++;
}

static void lex_one(lexer *lex) {
  char c = *lex->at;
  if (c == '\n') {
    lex->at++;
    lex->line++;
    lex->line_start = lex->at;
  } else if (c == ' ' || c == '\t' || c == '\r' || c == ';') {
    lex->at++;
  } else if (c == '#') {
    skip_comment(lex);
  } else if (is_letter(c) || c == '?') {
    lex_name(lex);
  } else if (is_digit(c)) {
    lex_number(lex);
  } else if (c == '"') {
    lex_string(lex, TN_TOKEN_STRING, lex->at);
  } else if (c == '%' || c == '@') {
    lex_sigil(lex, c == '%' ? TN_TOKEN_VALUE : TN_TOKEN_GLOBAL);
  } else if ((c == '-' && peek(lex, 1) == '>') || (c == '.' && peek(lex, 1) == '.')) {
    push(lex, c == '-' ? TN_TOKEN_ARROW : TN_TOKEN_DOTS, lex->at, lex->at, 2, false);
    lex->at += 2;
  } else if (memchr("()[]{}=,:+-*^<", c, 14)) {
    push(lex, TN_TOKEN_CHAR, lex->at, lex->at, 1, false);
    lex->at++;
  } else {
    report(lex, lex->at, "a byte that begins no word of the text form");
    lex->at++;
  }
}

/* A token takes 32 bytes: texts of little else may not take many times their size. */
static bool are_too_many(tn_ctx *ctx, const char *file, size_t n_tokens, size_t length) {
  if (n_tokens <= 1250000 + length / 16) return false;
  tn_error(ctx, tn_loc_file(ctx, file), TN_E_LIMIT, "%zu words in %zu bytes: more than 1250000 and one in 16 bytes",
           n_tokens, length);
  return true;
}

tn_tokens tn_lex(tn_ctx *ctx, tn_arena *arena, const char *file, const char *text, size_t length) {
  tn_tokens tokens = {0};
  for (int counting = 1; counting >= 0; counting--) {
    lexer lex = {.ctx = ctx, .arena = arena, .file = file, .at = text, .end = text + length, .line_start = text,
                 .line = 1, .tokens = {.data = tokens.data, .capacity = tokens.capacity}, .counting = counting};
    /* A text of nothing but errors is left as soon as no more of them are shown. */
    while (lex.at < lex.end && ctx->n_errors < ctx->max_errors) lex_one(&lex);
    push(&lex, TN_TOKEN_END, lex.at, "", 0, false);
    tokens = lex.tokens;
    tokens.capacity = tokens.n;
    if (!counting) break;
    if (are_too_many(ctx, file, tokens.n, length)) length = 0;
    tokens.data = TN_NEW_N(arena, tn_token, tokens.n);
  }
  return tokens;
}

static int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The byte an escape stands for, *at being behind the backslash; -1 when there is no such escape. */
static int escape_byte(const char **at, const char *end) {
  static const char from[] = "ntrabfv\\\"'?", to[] = "\n\t\r\a\b\f\v\\\"'?";
  if (*at >= end) return -1;
  char c = *(*at)++;
  const char *found = c ? strchr(from, c) : NULL;
  if (found) return (unsigned char)to[found - from];
  if (c == 'x') {
    int high = end - *at >= 2 ? hex_digit((*at)[0]) : -1, low = high >= 0 ? hex_digit((*at)[1]) : -1;
    *at += low >= 0 ? 2 : 0;
    return low >= 0 ? high * 16 + low : -1;
  }
  int value = 0, digits = 0;
  for ((*at)--; digits < 3 && *at < end && **at >= '0' && **at <= '7'; digits++) value = value * 8 + (*(*at)++ - '0');
  return digits > 0 && value < 256 ? value : -1;
}

bool tn_lex_unescape(tn_ctx *ctx, tn_arena *arena, const char *text, size_t length, const char **out) {
  char *bytes = tn_arena_alloc(arena, length + 1);
  size_t n = 0;
  for (const char *at = text, *end = text + length; at < end;) {
    int byte = (unsigned char)*at++;
    if (byte == '\\') byte = escape_byte(&at, end);
    if (byte <= 0) return false;
    bytes[n++] = (char)byte;
  }
  *out = tn_intern(ctx->strings, bytes, n);
  return true;
}
