/* The state of one parse, shared by the scanner, the grammar and the messages: the tokens of a text, where the parser
 * stands in them, and which errors it has met.
 *
 * The way of a text: scan.c makes the list of tokens; feed.c hands them to the grammar (grammar/tenon.y) and decides
 * where statements end; tree.c makes nodes for the grammar's rules; expect.c words syntax errors; recover.c finds where
 * to go on after one. */
#ifndef TN_FRONTEND_LANG_PARSER_H
#define TN_FRONTEND_LANG_PARSER_H

#include "frontend/lang/ast.h"

/* What the grammar found a token to be, for the formatter. */
typedef enum tn_lang_role {
  TN_ROLE_PLAIN,
  TN_ROLE_SEPARATOR, /* ',' between statements (a ';' always is) */
  TN_ROLE_PREFIX,    /* '-' of one operand */
  TN_ROLE_TIGHT,     /* '(' or '[' that belongs to what stands before it: calls, formals, index, type */
  TN_ROLE_TYPED,     /* ':' of a field, param or buffer */
  TN_ROLE_ASSIGN     /* '=' of a setting, field, param or buffer */
} tn_lang_role;

typedef struct tn_lang_token {
  int kind;        /* of grammar/tenon.y; 0 at the end of the file */
  tn_lang_role role;
  bool first_of_line;
  bool faulty;     /* the scanner has reported it, or something right before it */
  uint32_t line, column, offset, length; /* line and column from 1, in bytes */
  const char *doc; /* of the ## lines right before it, or NULL */
} tn_lang_token;

typedef struct tn_lang_comment {
  uint32_t offset, length; /* from the first '#' to the end of the line, without spaces there */
  uint32_t line;
  uint32_t token;          /* that comes next */
  bool own_line;
} tn_lang_comment;

/* Tokens from first to last, both included; the location of the grammar's symbols. */
typedef struct tn_lang_range {
  uint32_t first, last;
} tn_lang_range;

/* An open block. */
typedef struct tn_lang_block {
  uint32_t open;   /* its '{' */
  uint32_t column; /* where the line of its '{' begins */
} tn_lang_block;

typedef struct tn_lang_parser {
  tn_ctx *ctx;
  tn_arena *arena; /* of tokens and the parser's own memory; nodes live in the session */
  const char *path, *text;
  size_t bytes;
  TN_VEC(tn_lang_token) tokens;
  TN_VEC(tn_lang_comment) comments;
  /* feed.c */
  uint32_t at;             /* the next token to hand over */
  bool has_pending;        /* a real token was handed over and is not yet known to be taken: tokens[at - 1] */
  uint32_t n_virtual;      /* tokens that do not stand in the text, handed over in a row */
  int found;               /* kind of the token handed over last */
  int last;                /* kind of the last one taken; virtual ones too */
  TN_VEC(uint32_t) parens; /* open '(' and '[' */
  TN_VEC(tn_lang_block) blocks;
  uint32_t statement;      /* the first token of the statement or item at hand */
  /* Where a block seems to have lost its '}': a statement that begins left of or below the line of the block's '{'. */
  bool has_suspect;
  tn_lang_block suspect_block;
  uint32_t suspect;
  /* recover.c */
  bool recovering;
  bool expects_block; /* a '{' could have stood at the error */
  bool opens_block, closes_blocks; /* a '{', or a '}' for each open block, is handed over next */
  uint32_t bad; /* the token of the last error; for a virtual one the token after it */
  /* Results. */
  bool failed, stopped; /* stopped: nothing more is handed over */
  size_t n_errors;
  bool too_deep;        /* reported once */
  tn_ast_file *file;
} tn_lang_parser;

/* Scans and parses text into parser->file; false when there was an error (reported). Everything else of parser is set
 * too, for the formatter. text must outlive ctx. */
bool tn_lang_parse_text(tn_ctx *ctx, const char *path, const char *text, size_t bytes, tn_lang_parser *parser);

/* The location of tokens; of one place between tokens for the other: right behind the token. */
tn_loc tn_lang_loc(const tn_lang_parser *parser, tn_lang_range range);
tn_loc tn_lang_loc_behind(const tn_lang_parser *parser, uint32_t token);
/* Records an error and counts it; past TN_LANG_MAX_ERRORS the parse stops. Returns false. */
bool tn_lang_error(tn_lang_parser *parser, tn_loc loc, tn_diag_code code, const char *format, ...) TN_PRINTF(4, 5);

/* feed.c: whether a token of this kind can end a statement. */
bool tn_lang_ends(int kind);
/* Whether the token begins an item (`module Name`, `import "..."`), or surely a statement, if it is the first of its
 * line. */
bool tn_lang_begins_item(const tn_lang_parser *parser, uint32_t token);
bool tn_lang_begins_statement(const tn_lang_parser *parser, uint32_t token);
bool tn_lang_is_name(int kind);

/* recover.c: sets parser->at to where parsing can go on after the error at parser->bad, and gives the kind of the token
 * that stands for what was left out: TOK_SKIPPED or TOK_SKIPPED_HEAD (a block follows). */
int tn_lang_recover(tn_lang_parser *parser);

/* expect.c: reports a syntax error at the token handed over last. expected: names of tokens as the grammar has them. */
void tn_lang_report_syntax(tn_lang_parser *parser, const char *const *expected, int n_expected);

#endif
