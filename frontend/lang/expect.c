/* The words of syntax errors: what could have stood there, in groups a reader knows, what stands there, and where to
 * look for the cause. */
#include <string.h>

#include "grammar/tenon.tab.h"

#define MAX_SHOWN 40 /* bytes of a token in a message */

typedef struct expected {
  const char **names; /* those still to be told */
  int n;
} expected;

static bool has(const expected *e, const char *name) {
  for (int i = 0; i < e->n; i++)
    if (strcmp(e->names[i], name) == 0) return true;
  return false;
}

static void drop(expected *e, const char *const *names) {
  int kept = 0;
  for (int i = 0; i < e->n; i++) {
    bool dropped = false;
    for (const char *const *name = names; *name && !dropped; name++) dropped = strcmp(*name, e->names[i]) == 0;
    if (!dropped) e->names[kept++] = e->names[i];
  }
  e->n = kept;
}

/* A group: told as one when all of keys are there (none of not), then all of its members are left out. */
typedef struct group {
  const char *text;
  const char *keys[4], *not[2];
  const char *const *members;
} group;

#define NAMES "ID", "data", "train", "model", "module", "compress", "deploy", "test", "mesh", "dim", "from", "along", \
              "carry", "as"
static const char *const name_members[] = {NAMES, NULL};
static const char *const statement_members[] = {
    NAMES,     "return", "let", "param",  "buffer",   "sub",    "for",   "scan",   "yield", "every", "stop", "on",
    "require", "freeze", "unfreeze", "params", "'('", "NUM", "STR", "SEP", NULL};
static const char *const item_members[] = {"import", "dim",   "let",      "mesh",   "data", "module",
                                           "model",  "train", "compress", "deploy", "test", "SEP", "tenon", NULL};
static const char *const expression_members[] = {NAMES, "NUM", "STR", "'('", "'-'", "not", "on", "for", "in", "every",
                                                 "stop", "when", NULL};
static const char *const operator_members[] = {"|>", "..", "or", "and", "==", "!=", "'<'", "'>'", "<=", ">=", "'+'",
                                               "'-'", "'*'", "'/'", "'%'", "'^'", "'.'", "'['", "'('", NULL};
static const char *const setting_members[] = {"+=", "'='", "':'", "'('", "'['", "'.'", NULL};
static const char *const end_members[] = {"SEP", "','", "'}'", NULL};
static const char *const line_members[] = {"SEP", NULL};
static const char *const type_members[] = {"ID", "'('", NULL};
static const char *const number_members[] = {"NUM", NULL};
static const char *const string_members[] = {"STR", NULL};
static const char *const file_members[] = {"end of file", NULL};

static const group groups[] = {
    {"a statement", {"return"}, {0}, statement_members},
    {"an item (import, dim, let, data, module, model, ...)", {"import"}, {0}, item_members},
    {"an expression", {"NUM", "STR", "'-'"}, {0}, expression_members},
    {"a type", {"ID", "'('"}, {"data", "'*'"}, type_members},
    {"a name", {"ID"}, {0}, name_members},
    {"'=' or a call", {"+=", "'='"}, {0}, setting_members},
    {"a number", {"NUM"}, {0}, number_members},
    {"a string", {"STR"}, {0}, string_members},
    {"an operator", {"'*'"}, {0}, operator_members},
    {"the end of the statement", {"SEP", "'}'"}, {0}, end_members},
    {"the end of the line", {"SEP"}, {0}, line_members},
    {"the end of the file", {"end of file"}, {"SEP"}, file_members},
};

static bool applies(const group *g, const expected *e) {
  for (size_t i = 0; i < TN_ARRAY_LEN(g->keys) && g->keys[i]; i++)
    if (!has(e, g->keys[i])) return false;
  for (size_t i = 0; i < TN_ARRAY_LEN(g->not) && g->not[i]; i++)
    if (has(e, g->not[i])) return false;
  return true;
}

/* "a name, ',' or ')'" */
static void put_expected(tn_lang_parser *parser, const char *const *names, int n, tn_buf *out) {
  expected e = {TN_NEW_N(parser->arena, const char *, (size_t)n + 1), n};
  const char **parts = TN_NEW_N(parser->arena, const char *, (size_t)n + 1);
  int n_parts = 0;
  memcpy(e.names, names, (size_t)n * sizeof(*names));
  for (size_t i = 0; i < TN_ARRAY_LEN(groups); i++) {
    if (!applies(&groups[i], &e)) continue;
    parts[n_parts++] = groups[i].text;
    drop(&e, groups[i].members);
  }
  for (int i = 0; i < e.n; i++) {
    bool quoted = e.names[i][0] == '\'';
    parts[n_parts++] = tn_arena_printf(parser->arena, quoted ? "%s" : "'%s'", e.names[i]);
  }
  for (int i = 0; i < n_parts; i++)
    tn_buf_printf(out, "%s%s", i == 0 ? "" : i + 1 == n_parts ? " or " : ", ", parts[i]);
}

static void put_found(const tn_lang_parser *parser, tn_buf *out) {
  const tn_lang_token *token = &parser->tokens.data[parser->bad];
  if (!parser->has_pending && parser->found == TOK_SEP) tn_buf_puts(out, "the end of the line");
  else if (token->kind == 0) tn_buf_puts(out, "the end of the file");
  else {
    bool keyword = token->kind >= TOK_IMPORT && token->kind <= TOK_NOT;
    int shown = token->length < MAX_SHOWN ? (int)token->length : MAX_SHOWN;
    bool quoted = token->kind == TOK_STR;
    tn_buf_printf(out, "%s%s%.*s%s%s", keyword ? "the keyword " : "", quoted ? "" : "'", shown,
                  parser->text + token->offset, token->length > MAX_SHOWN ? "..." : "", quoted ? "" : "'");
  }
}

static bool is_comparison(int kind) {
  return kind == TOK_EQ || kind == TOK_NE || kind == '<' || kind == '>' || kind == TOK_LE || kind == TOK_GE;
}

static bool is_operator(int kind) {
  bool arithmetic = kind == '+' || kind == '-' || kind == '*' || kind == '/' || kind == '%' || kind == '^';
  return arithmetic || is_comparison(kind) || kind == TOK_AND || kind == TOK_OR || kind == '=' || kind == TOK_DOTDOT;
}

/* A statement of a block that begins with NAME ':' and breaks off at its first value. */
static bool is_labelled(const tn_lang_parser *parser) {
  const tn_lang_token *first = &parser->tokens.data[parser->statement];
  return parser->blocks.n == 1 && parser->parens.n == 0 && parser->bad >= parser->statement + 2 &&
         parser->bad <= parser->statement + 3 && tn_lang_is_name(first[0].kind) && first[1].kind == ':';
}

static void put_help(tn_lang_parser *parser, const expected *e) {
  const tn_lang_token *token = &parser->tokens.data[parser->bad];
  if (parser->found == TOK_SEP && token->kind == '{')
    tn_help(parser->ctx, "the '{' of a block stands in the line of what it belongs to");
  else if (parser->has_pending && token->first_of_line && is_operator(token->kind))
    tn_help(parser->ctx, "a statement ends with its line: end the line before with the '%.*s', or open a bracket",
            (int)token->length, parser->text + token->offset);
  else if (is_comparison(parser->found) && has(e, "'+'"))
    tn_help(parser->ctx, "comparisons do not chain: write 'a < b and b < c'");
  else if (parser->found == '=' && parser->parens.n > 0)
    tn_help(parser->ctx, "arguments are named with ':', as in 'conv(6, k: 5)'");
  else if (parser->found == '{' && parser->tokens.data[parser->statement].kind == TOK_EVERY)
    tn_help(parser->ctx, "every N steps { ... }, every N epochs { ... }");
  else if (is_labelled(parser))
    tn_help(parser->ctx, "a setting is NAME = VALUE; NAME: TYPE = VALUE is a field");
}

/* The file ends, or an item begins, inside a block or bracket. */
static bool lacks_close(const tn_lang_parser *parser) {
  bool item = parser->found == TOK_CUT_OFF && tn_lang_begins_item(parser, parser->bad);
  return (item || parser->found == 0) && parser->blocks.n + parser->parens.n > 0;
}

/* Something was left open, and the reader should see where it began. */
static void put_opening(tn_lang_parser *parser, bool line_over) {
  if (line_over && parser->parens.n > 0) {
    uint32_t open = parser->parens.data[parser->parens.n - 1];
    tn_note(parser->ctx, tn_lang_loc(parser, (tn_lang_range){open, open}), "this '%c' is not closed",
            parser->tokens.data[open].kind);
  } else if (parser->blocks.n > 0 && lacks_close(parser)) {
    uint32_t open = parser->has_suspect ? parser->suspect_block.open : parser->blocks.data[parser->blocks.n - 1].open;
    tn_note(parser->ctx, tn_lang_loc(parser, (tn_lang_range){open, open}), "this block is not closed");
  }
}

/* Behind the token before when that is where something is missing, else at the token. */
static tn_loc place(const tn_lang_parser *parser, bool line_over, bool block_open) {
  if (block_open && parser->has_suspect) return tn_lang_loc_behind(parser, parser->suspect - 1);
  if (line_over && parser->bad > 0) return tn_lang_loc_behind(parser, parser->bad - 1);
  return tn_lang_loc(parser, (tn_lang_range){parser->bad, parser->bad});
}

/* What closes the innermost thing that is open. */
static char closing(const tn_lang_parser *parser) {
  if (parser->parens.n == 0) return '}';
  return parser->tokens.data[parser->parens.data[parser->parens.n - 1]].kind == '(' ? ')' : ']';
}

static bool scanner_reported(const tn_lang_parser *parser) {
  for (uint32_t i = parser->statement; i <= parser->bad; i++)
    if (parser->tokens.data[i].faulty) return true;
  return false;
}

void tn_lang_report_syntax(tn_lang_parser *parser, const char *const *names, int n) {
  const tn_lang_token *token = &parser->tokens.data[parser->bad];
  const expected e = {(const char **)names, n};
  parser->recovering = true;
  parser->expects_block = has(&e, "'{'");
  if (parser->stopped || scanner_reported(parser)) return;
  bool fresh = parser->last == TOK_SEP || parser->last == '{' || parser->last == '}' || parser->last == 0;
  bool line_over = !parser->has_pending || (token->first_of_line && !fresh);
  tn_buf text = tn_buf_create(parser->arena);
  if (lacks_close(parser)) tn_buf_printf(&text, "'%c'", closing(parser));
  else put_expected(parser, names, n, &text);
  tn_buf_puts(&text, ", found ");
  put_found(parser, &text);
  bool block_open = lacks_close(parser) && parser->parens.n == 0;
  tn_lang_error(parser, place(parser, line_over, block_open), TN_E_LANG_SYNTAX, "expected %s", text.data);
  put_opening(parser, line_over);
  put_help(parser, &e);
}
