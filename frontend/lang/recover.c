/* Going on after a syntax error, so that one mistake is one message: what is left of the statement is left out. When
 * its block follows, the block is parsed; when an item begins, all blocks before it are closed. */
#include "grammar/tenon.tab.h"

/* The body of a statement whose '{' was forgotten: lines that stand further in than it. */
static bool body_follows(const tn_lang_parser *parser) {
  const tn_lang_token *next = &parser->tokens.data[parser->bad];
  return parser->expects_block && parser->found == TOK_SEP && !parser->has_pending && next->kind != 0 &&
         next->kind != '=' && next->kind != '{' && next->kind != '}' &&
         next->column > parser->tokens.data[parser->statement].column;
}

/* Whether parsing can go on at token i, the first of its line. */
static bool resumes(const tn_lang_parser *parser, uint32_t i, size_t depth) {
  if (!parser->tokens.data[i].first_of_line || i <= parser->statement) return false;
  if (tn_lang_begins_item(parser, i)) return true;
  if (parser->blocks.n > 0) return depth == 0 || tn_lang_begins_statement(parser, i);
  /* Between items: not at the lines of a body that was not seen as one. */
  const tn_lang_token *token = &parser->tokens.data[i];
  return token->kind == TOK_LET && token->column <= parser->tokens.data[parser->statement].column;
}

/* Where to go on. *out_block: the block of the statement follows there. */
static uint32_t find(const tn_lang_parser *parser, bool *out_block) {
  size_t depth = parser->parens.n;
  bool same_line = true;
  *out_block = false;
  for (uint32_t i = parser->bad;; i++) {
    const tn_lang_token *token = &parser->tokens.data[i];
    if (token->kind == 0 || resumes(parser, i, depth)) return i;
    if (token->first_of_line && i > parser->bad && depth == 0) same_line = false;
    *out_block = token->kind == '{' && (same_line || parser->blocks.n > 0);
    if (*out_block || (token->kind == '}' && parser->blocks.n > 0)) return i;
    if (token->kind == TOK_SEP && depth == 0 && i > parser->statement) return i;
    if (token->kind == '(' || token->kind == '[') depth++;
    if (token->kind == ')' || token->kind == ']') depth -= depth > 0;
  }
}

int tn_lang_recover(tn_lang_parser *parser) {
  bool block = body_follows(parser);
  parser->at = parser->bad;
  parser->opens_block = block;
  if (!block && parser->found != TOK_CUT_OFF) parser->at = find(parser, &block);
  parser->closes_blocks = !block && parser->tokens.data[parser->at].first_of_line &&
                          tn_lang_begins_item(parser, parser->at);
  parser->recovering = false;
  parser->has_pending = false;
  parser->parens.n = 0;
  return block ? TOK_SKIPPED_HEAD : TOK_SKIPPED;
}
