/* Shared state of the parser of the text form: recursive descent over a list of tokens. A function that returns false
 * has reported; its caller goes on at the next line, so that many errors of a file are found in one run. */
#ifndef TN_IR_TEXT_PARSE_H
#define TN_IR_TEXT_PARSE_H

#include "ir/kernel.h"
#include "ir/program.h"
#include "ir/text.h"
#include "ir/text/lex.h"

#define TN_TEXT_MAX_DEPTH 100
#define TN_TEXT_MAX_TERMS 256

typedef struct tn_parser {
  tn_ctx *ctx;
  tn_module *module; /* NULL when a type alone is read */
  tn_arena *scratch;
  const char *file;
  tn_tokens tokens;
  size_t at;
  uint32_t depth;     /* of nested brackets and regions */
  bool create_symbols; /* unknown names become input symbols */
  tn_map symbols;     /* interned name -> tn_symbol of this module, and of the kernel being read */
  tn_map locs;        /* number in the text -> tn_loc */
  tn_map funcs;       /* interned name -> tn_func */
} tn_parser;

/* Tokens. */
const tn_token *tn_parse_peek(const tn_parser *p);
const tn_token *tn_parse_peek_at(const tn_parser *p, size_t ahead);
const tn_token *tn_parse_next(tn_parser *p);
/* Place of a token. */
tn_loc tn_parse_loc_of(const tn_parser *p, const tn_token *token);
/* "expected WHAT, found 'x'" at the next token; always false. */
bool tn_parse_expected(tn_parser *p, const char *what);
bool tn_parse_fail(tn_parser *p, const tn_token *token, const char *format, ...) TN_PRINTF(3, 4);
bool tn_token_is(const tn_token *token, const char *name); /* this identifier */
bool tn_parse_at_char(const tn_parser *p, char c);
/* Takes the next token when it is this one. */
bool tn_parse_take_char(tn_parser *p, char c);
bool tn_parse_take_name(tn_parser *p, const char *name);
bool tn_parse_need_char(tn_parser *p, char c);
bool tn_parse_need_name(tn_parser *p, const char *name);
/* An identifier, interned. */
bool tn_parse_identifier(tn_parser *p, const char *what, const char **out);
/* A name behind % or @ or a string: interned, escapes resolved. */
bool tn_parse_named(tn_parser *p, tn_token_kind kind, const char *what, const char **out);
bool tn_parse_int(tn_parser *p, int64_t *out); /* with sign */
bool tn_parse_uint(tn_parser *p, uint64_t max, uint64_t *out);
bool tn_parse_double(tn_parser *p, double *out);
/* After a statement that began at token `start` and is wrong: skips to the first token of a later line, or to the brace
 * that closes the block around it. */
void tn_parse_recover(tn_parser *p, size_t start);
bool tn_parse_enter(tn_parser *p); /* one level deeper; TN_E_LIMIT past TN_TEXT_MAX_DEPTH */
void tn_parse_leave(tn_parser *p);

/* Shared pieces. */
bool tn_parse_dim(tn_parser *p, const tn_dim **out);
/* "[a, b]" in the module's arena (or the session's). */
bool tn_parse_dim_list(tn_parser *p, const tn_dim *const **out, uint32_t *out_n);
bool tn_parse_int_list(tn_parser *p, const int64_t **out, uint32_t *out_n);
bool tn_parse_dtype(tn_parser *p, tn_dtype *out);
bool tn_parse_type(tn_parser *p, const tn_type **out);
/* Storage words behind a type; NULL when there are none. */
bool tn_parse_storage(tn_parser *p, uint32_t ndim, const tn_storage **out);
/* "in [lo, hi]". */
bool tn_parse_range(tn_parser *p, int64_t *out_lo, int64_t *out_hi);
/* " loc(n)" when there; else the place of `start` in the text. */
bool tn_parse_loc_ref(tn_parser *p, const tn_token *start, tn_loc *out);
/* "guard p == q "text" loc(n)", the word guard already taken. */
bool tn_parse_guard(tn_parser *p, const tn_token *start, tn_guard *out);
/* One element of dtype in tenon's own storage. */
bool tn_parse_element(tn_parser *p, tn_dtype dtype, unsigned char *out);
/* "{a=1}" when there; *out has room for op's attributes. */
bool tn_parse_attrs(tn_parser *p, const tn_opdef *op, tn_attr *out);
/* The list of locations, wherever it stands, before all else. */
void tn_parse_loc_table(tn_parser *p);

/* Top-level definitions; the keyword is already taken, start is its token. */
bool tn_parse_symbol(tn_parser *p, const tn_token *start);
bool tn_parse_const(tn_parser *p, const tn_token *start);
bool tn_parse_func(tn_parser *p, const tn_token *start);
bool tn_parse_kernel(tn_parser *p, const tn_token *start);
bool tn_parse_program(tn_parser *p, const tn_token *start);

#endif
