/* Tokens of the text form. Newlines, semicolons and comments (# to the end of the line) only separate. */
#ifndef TN_IR_TEXT_LEX_H
#define TN_IR_TEXT_LEX_H

#include "ir/ctx.h"

typedef enum tn_token_kind {
  TN_TOKEN_END,
  TN_TOKEN_NAME,   /* identifier; symbols such as ?3 too */
  TN_TOKEN_NUMBER, /* without sign */
  TN_TOKEN_STRING, /* text is what stands between the quotes, still with escapes */
  TN_TOKEN_VALUE,  /* %name or %"name"; text is the name */
  TN_TOKEN_GLOBAL, /* @name or @"name"; text is the name */
  TN_TOKEN_ARROW,  /* -> */
  TN_TOKEN_DOTS,   /* .. */
  TN_TOKEN_CHAR    /* one byte of punctuation */
} tn_token_kind;

typedef struct tn_token {
  tn_token_kind kind;
  bool quoted;          /* VALUE, GLOBAL: text has escapes */
  uint32_t line, column; /* 1-based, column in bytes */
  const char *text;
  size_t length;
} tn_token;

typedef TN_VEC(tn_token) tn_tokens;

/* All tokens of text, the last one TN_TOKEN_END. What is no token is reported (TN_E_TEXT) and left out. */
tn_tokens tn_lex(tn_ctx *ctx, tn_arena *arena, const char *file, const char *text, size_t length);
/* text's escapes resolved, interned. False when an escape is wrong or gives NUL. */
bool tn_lex_unescape(tn_ctx *ctx, tn_arena *arena, const char *text, size_t length, const char **out);
/* True when name can stand behind % or @ without quotes. */
bool tn_lex_is_plain_name(const char *name);

#endif
