/* The tokens as the grammar gets them: ends of statements are put in, brackets and blocks are counted, and a bracket
 * that was never closed is noticed where the next item begins (CUT_OFF).
 *
 * The end of a line ends a statement when no '(' or '[' is open, the token before it is a name, number, string, ')',
 * ']' or '}', and the next token is not '|>'. */
#include <string.h>

#include "grammar/tenon.tab.h"

bool tn_lang_is_name(int kind) {
  switch (kind) {
    case TOK_ID: return true;
#define HARD(token)
#define LABEL(token)
#define SOFT(token) case TOK_##token: return true;
#define X(token, text, kind) kind(token)
#include "frontend/lang/keywords.def"
#undef X
#undef HARD
#undef LABEL
#undef SOFT
    default: return false;
  }
}

bool tn_lang_ends(int kind) {
  return tn_lang_is_name(kind) || kind == TOK_NUM || kind == TOK_STR || kind == ')' || kind == ']' || kind == '}' ||
         kind == TOK_SKIPPED;
}

/* The kind of the token behind the given one in its line; 0: there is none. */
static int next_in_line(const tn_lang_parser *parser, uint32_t token) {
  const tn_lang_token *at = &parser->tokens.data[token];
  if (at->kind == 0 || at[1].first_of_line) return 0;
  return at[1].kind;
}

bool tn_lang_begins_item(const tn_lang_parser *parser, uint32_t token) {
  int next = next_in_line(parser, token);
  switch (parser->tokens.data[token].kind) {
    case TOK_IMPORT:
    case TOK_TEST: return next == TOK_STR || (parser->tokens.data[token].kind == TOK_IMPORT && next == TOK_ID);
    case TOK_DATA:
    case TOK_TRAIN:
    case TOK_MODEL:
    case TOK_MODULE:
    case TOK_COMPRESS:
    case TOK_DEPLOY:
    case TOK_MESH:
    case TOK_DIM: return tn_lang_is_name(next);
    default: return false;
  }
}

bool tn_lang_begins_statement(const tn_lang_parser *parser, uint32_t token) {
  int next = next_in_line(parser, token);
  switch (parser->tokens.data[token].kind) {
    case TOK_LET:
    case TOK_RETURN:
    case TOK_PARAM:
    case TOK_BUFFER:
    case TOK_SUB:
    case TOK_SCAN:
    case TOK_YIELD:
    case TOK_REQUIRE:
    case TOK_FREEZE:
    case TOK_UNFREEZE:
    case TOK_PARAMS: return true;
    case TOK_FOR:
    case TOK_EVERY:
    case TOK_STOP:
    case TOK_ON: return next != ':';
    default: break;
  }
  bool assigned = next == '=' || next == TOK_ADDTO;
  return (tn_lang_is_name(parser->tokens.data[token].kind) && assigned) || tn_lang_begins_item(parser, token);
}

/* Column of the first token in the line of token. */
static uint32_t line_column(const tn_lang_parser *parser, uint32_t token) {
  while (token > 0 && !parser->tokens.data[token].first_of_line) token--;
  return parser->tokens.data[token].column;
}

static void open_nest(tn_lang_parser *parser, uint32_t token) {
  if (parser->parens.n + parser->blocks.n < TN_AST_MAX_NEST) return;
  tn_lang_error(parser, tn_lang_loc(parser, (tn_lang_range){token, token}), TN_E_LIMIT,
                "brackets and blocks are more than %d levels deep", TN_AST_MAX_NEST);
  parser->stopped = true;
}

/* The token handed over last was taken by the grammar. */
static void take_pending(tn_lang_parser *parser) {
  uint32_t token = parser->at - 1;
  int kind = parser->tokens.data[token].kind;
  parser->has_pending = false;
  parser->last = kind;
  if (kind == '(' || kind == '[') {
    open_nest(parser, token);
    TN_VEC_PUSH(parser->arena, &parser->parens, token);
  } else if (kind == ')' || kind == ']') {
    parser->parens.n -= parser->parens.n > 0;
  } else if (kind == '{') {
    tn_lang_block block = {token, line_column(parser, token)};
    open_nest(parser, token);
    TN_VEC_PUSH(parser->arena, &parser->blocks, block);
  } else if (kind == '}') {
    parser->blocks.n -= parser->blocks.n > 0;
    if (parser->blocks.n == 0) parser->has_suspect = false;
  }
  bool begins = kind == TOK_SEP || kind == '{' || kind == '}' || (kind == ',' && parser->parens.n == 0);
  if (begins) parser->statement = parser->at;
}

/* A line that begins left of the block it should stand in, or of the '}' that should close the block, tells that a '}'
 * was left out before it. */
static void watch_indent(tn_lang_parser *parser) {
  const tn_lang_token *token = &parser->tokens.data[parser->at];
  if (parser->has_suspect || parser->blocks.n == 0 || !token->first_of_line || parser->parens.n > 0) return;
  const tn_lang_block *block = &parser->blocks.data[parser->blocks.n - 1];
  bool closes = token->kind == '}';
  if (closes ? token->column >= block->column : token->column > block->column || !tn_lang_ends(parser->last)) return;
  parser->has_suspect = true;
  parser->suspect_block = *block;
  parser->suspect = parser->at;
}

static bool ends_here(const tn_lang_parser *parser) {
  const tn_lang_token *token = &parser->tokens.data[parser->at];
  bool line_ends = token->first_of_line || token->kind == 0;
  return line_ends && parser->parens.n == 0 && tn_lang_ends(parser->last) && token->kind != TOK_PIPE;
}

static bool wants_operand(int kind) {
  switch (kind) {
    case TOK_PIPE: case TOK_DOTDOT: case TOK_OR: case TOK_AND: case TOK_NOT: case TOK_EQ: case TOK_NE: case TOK_LE:
    case TOK_GE: case TOK_ADDTO: case TOK_ARROW: case '<': case '>': case '+': case '-': case '*': case '/': case '%':
    case '^': case '=': return true;
    default: return false;
  }
}

/* Whether the line at hand begins something although what stands before it is not complete. */
static bool is_cut_off(const tn_lang_parser *parser) {
  bool complete = parser->last == 0 || parser->last == TOK_SEP || parser->last == TOK_SKIPPED;
  if (tn_lang_begins_item(parser, parser->at)) return !complete || parser->blocks.n + parser->parens.n > 0;
  return wants_operand(parser->last) && tn_lang_begins_statement(parser, parser->at);
}

static int hand_virtual(tn_lang_parser *parser, int kind, tn_lang_range *where) {
  uint32_t before = parser->at > 0 ? parser->at - 1 : 0;
  tn_lang_block block = {before, line_column(parser, before)};
  *where = (tn_lang_range){before, before};
  parser->last = kind;
  if (kind == '{') TN_VEC_PUSH(parser->arena, &parser->blocks, block);
  if (kind == '}') parser->blocks.n -= parser->blocks.n > 0;
  if (kind == TOK_SEP) parser->statement = parser->at;
  return kind;
}

/* After an error the end of the file closes what is open. */
static int hand_end(tn_lang_parser *parser, tn_lang_range *where) {
  return hand_virtual(parser, parser->failed && parser->blocks.n > 0 ? '}' : 0, where);
}

static int next_token(tn_lang_parser *parser, tn_lang_range *where) {
  if (parser->has_pending && !parser->recovering) take_pending(parser);
  if (parser->stopped) return hand_virtual(parser, 0, where);
  if (parser->recovering) return hand_virtual(parser, tn_lang_recover(parser), where);
  if (parser->opens_block) {
    parser->opens_block = false;
    return hand_virtual(parser, '{', where);
  }
  if (parser->closes_blocks && parser->blocks.n > 0) return hand_virtual(parser, '}', where);
  parser->closes_blocks = false;
  watch_indent(parser);
  const tn_lang_token *token = &parser->tokens.data[parser->at];
  if (ends_here(parser)) return hand_virtual(parser, TOK_SEP, where);
  if (token->first_of_line && is_cut_off(parser)) return hand_virtual(parser, TOK_CUT_OFF, where);
  if (token->kind == 0) return hand_end(parser, where);
  *where = (tn_lang_range){parser->at, parser->at};
  bool version = parser->at == 0 && token->kind == TOK_ID && token->length == 5 &&
                 next_in_line(parser, 0) == TOK_NUM && memcmp(parser->text + token->offset, "tenon", 5) == 0;
  parser->at++;
  parser->has_pending = true;
  return version ? TOK_VERSION : token->kind;
}

int tn_lang_yylex(TN_LANG_YYSTYPE *value, tn_lang_range *where, tn_lang_parser *parser) {
  (void)value;
  parser->found = next_token(parser, where);
  parser->n_virtual = parser->has_pending ? 0 : parser->n_virtual + 1;
  parser->stopped |= parser->n_virtual > 2 * TN_AST_MAX_NEST; /* more than there can be to close: no way to go on */
  parser->bad = parser->has_pending ? parser->at - 1 : parser->at;
  return parser->found;
}
