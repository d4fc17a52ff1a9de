/* The formatter: the same tokens and comments, each line where the author broke it, with one way of spacing, indenting
 * and aligning. Lines are never joined, so ends of statements stay where they are.
 *
 *   - blocks and brackets indent by two, and so does the rest of a statement that goes on;
 *   - a block that takes several lines has its braces at the end and at the beginning of lines;
 *   - ',' and ';' between statements go when a line ends there;
 *   - '=' and types of settings, fields and parameters in lines that follow each other are aligned, and so are comments
 *     behind code;
 *   - at most one empty line, none at the ends of blocks and of the file. */
#include <string.h>

#include "frontend/lang/lang.h"
#include "grammar/tenon.tab.h"

#define INDENT 2
#define COMMENT_GAP 2

typedef struct line {
  uint32_t indent;
  bool blank_before;
  tn_buf text;
  size_t colon, assign; /* offsets in text: behind the ':' before a type, and of the '='; 0: not to be aligned */
  const tn_lang_comment *comment;
} line;

/* An open bracket or block. */
typedef struct nest {
  uint32_t indent;   /* of the line it belongs to */
  bool has_lines;    /* a block of several lines */
} nest;

typedef struct layout {
  const tn_lang_parser *parser;
  tn_arena *arena;
  TN_VEC(line) lines;
  TN_VEC(nest) nests;
  TN_VEC(bool) several_lines; /* of each token that is the '{' of a block: it takes several lines */
  uint32_t statement_indent;  /* of the statement at hand */
  uint32_t n_parens;          /* open '(' and '[' */
  uint32_t n_comments;        /* laid out */
  uint32_t source_line;       /* of what was laid out last */
  const tn_lang_token *before; /* the token printed last; NULL: none */
  bool several_statements;    /* in the line at hand */
} layout;

static const tn_lang_token *token_at(const layout *l, uint32_t i) { return &l->parser->tokens.data[i]; }
static bool opens(const tn_lang_token *t) { return t->kind == '(' || t->kind == '[' || t->kind == '{'; }
static bool closes(const tn_lang_token *t) { return t->kind == ')' || t->kind == ']' || t->kind == '}'; }

/* --- Blocks --- */

/* Marks the blocks that hold the beginning of a line or a comment. */
static void find_blocks(layout *l) {
  TN_VEC(uint32_t) open = {0};
  for (size_t i = 0; i < l->parser->tokens.n; i++) {
    const tn_lang_token *token = token_at(l, (uint32_t)i);
    TN_VEC_PUSH(l->arena, &l->several_lines, false);
    if (token->first_of_line)
      for (size_t k = 0; k < open.n; k++) l->several_lines.data[open.data[k]] = true;
    if (token->kind == '{') TN_VEC_PUSH(l->arena, &open, (uint32_t)i);
    if (token->kind == '}' && open.n > 0) open.n--;
  }
}

/* --- Lines --- */

static line *last_line(layout *l) { return &l->lines.data[l->lines.n - 1]; }

static void new_line(layout *l, uint32_t indent, uint32_t source_line, bool may_be_blank) {
  line made = {.indent = indent, .text = tn_buf_create(l->arena)};
  made.blank_before = may_be_blank && l->lines.n > 0 && source_line > l->source_line + 1;
  TN_VEC_PUSH(l->arena, &l->lines, made);
  l->several_statements = false;
}

/* The newline rule of feed.c, for a token that is the first of its line. */
static bool begins_statement(const layout *l, const tn_lang_token *token) {
  const tn_lang_token *before = l->before;
  if (l->n_parens > 0) return false;
  if (!before || before->kind == '{' || before->role == TN_ROLE_SEPARATOR || before->kind == TOK_SEP) return true;
  return tn_lang_ends(before->kind) && token->kind != TOK_PIPE;
}

/* The indent of a line that begins with token, and what stands inside what token closes. */
static uint32_t indent_of(const layout *l, const tn_lang_token *token, bool inside) {
  const nest *inner = l->nests.n ? &l->nests.data[l->nests.n - 1] : NULL;
  if (closes(token) && inner) return inner->indent + (inside ? INDENT : 0);
  uint32_t base = inner ? inner->indent + INDENT : 0;
  return l->n_parens > 0 || token->kind == 0 || begins_statement(l, token) ? base : l->statement_indent + INDENT;
}

static void put_comment(layout *l, const tn_lang_comment *comment, const tn_lang_token *next) {
  bool first_in_block = l->before && l->before->kind == '{' && last_line(l)->text.n > 0;
  if (comment->own_line || l->lines.n == 0) {
    new_line(l, indent_of(l, next, true), comment->line, !first_in_block);
    last_line(l)->comment = comment;
  } else {
    last_line(l)->comment = comment;
  }
  l->source_line = comment->line;
}

static void put_comments(layout *l, uint32_t token) {
  for (; l->n_comments < l->parser->comments.n; l->n_comments++) {
    const tn_lang_comment *comment = &l->parser->comments.data[l->n_comments];
    if (comment->token > token) return;
    put_comment(l, comment, token_at(l, token));
  }
}

/* --- Tokens --- */

/* Separators go at ends of lines, at ends of blocks and next to another one. */
static bool is_dropped(const layout *l, uint32_t i) {
  const tn_lang_token *token = token_at(l, i), *next = token_at(l, i + 1);
  bool comma = token->role == TN_ROLE_SEPARATOR;
  if (!comma && token->kind != TOK_SEP) return false;
  if (!comma && next->kind == TOK_SEP) return true;
  if (comma)
    while (next->kind == TOK_SEP) next++;
  if (next->kind == 0 || next->kind == '}' || next->first_of_line) return true;
  bool first = !l->before || l->before->kind == '{' || l->before->role == TN_ROLE_SEPARATOR;
  return !comma && (first || token->first_of_line);
}

static bool is_spaced(const tn_lang_token *before, const tn_lang_token *token) {
  switch (before->kind) {
    case '(': case '[': case '.': case '@': return false;
    case TOK_DOTDOT: return false;
    case '-':
      if (before->role == TN_ROLE_PREFIX) return false;
      break;
    case '{': return token->kind != '}';
    default: break;
  }
  switch (token->kind) {
    case ',': case TOK_SEP: case ')': case ']': case ':': case '.': case '@': return false;
    case TOK_DOTDOT: return before->kind == ',' || before->kind == ':';
    default: return token->role != TN_ROLE_TIGHT;
  }
}

/* Remembers where a line could be aligned: only when one statement is all that stands in it. */
static void mark_columns(layout *l, const tn_lang_token *token) {
  line *at = last_line(l);
  if (token->kind == ',' && token->role == TN_ROLE_SEPARATOR) l->several_statements = true;
  if (token->kind == TOK_SEP || token->kind == '{') l->several_statements = true;
  if (l->several_statements) at->colon = at->assign = 0;
  else if (token->role == TN_ROLE_TYPED) at->colon = at->text.n;
  else if (token->role == TN_ROLE_ASSIGN) at->assign = at->text.n - token->length;
}

static void put_token(layout *l, uint32_t i) {
  const tn_lang_token *token = token_at(l, i);
  bool block_line = l->before && l->before->kind == '{' && l->nests.data[l->nests.n - 1].has_lines;
  bool closes_lines = token->kind == '}' && l->nests.n > 0 && l->nests.data[l->nests.n - 1].has_lines;
  if (l->lines.n == 0 || token->first_of_line || block_line || closes_lines) {
    uint32_t indent = indent_of(l, token, false);
    bool first_of_block = l->before && l->before->kind == '{' && last_line(l)->text.n > 0;
    bool ends_of_block = token->kind == '}' || first_of_block;
    if (begins_statement(l, token) && token->kind != '}') l->statement_indent = indent;
    new_line(l, indent, token->line, !ends_of_block);
  } else if (is_spaced(l->before, token)) {
    tn_buf_putc(&last_line(l)->text, ' ');
  }
  tn_buf_append(&last_line(l)->text, l->parser->text + token->offset, token->length);
  mark_columns(l, token);
  if (opens(token)) {
    nest made = {token->kind == '{' ? l->statement_indent : last_line(l)->indent, l->several_lines.data[i]};
    TN_VEC_PUSH(l->arena, &l->nests, made);
  } else if (closes(token)) {
    if (token->kind == '}') l->statement_indent = l->nests.data[l->nests.n - 1].indent;
    l->nests.n--;
  }
  if (token->kind == '(' || token->kind == '[') l->n_parens++;
  if (token->kind == ')' || token->kind == ']') l->n_parens--;
  l->before = token;
  l->source_line = token->line;
}

/* --- Columns --- */

static size_t width_of(const char *text, size_t n) {
  size_t width = 0;
  for (size_t i = 0; i < n; i++) width += ((unsigned char)text[i] & 0xC0) != 0x80;
  return width;
}

/* Puts blanks into text before offset. */
static void pad_at(layout *l, tn_buf *text, size_t offset, size_t n) {
  tn_buf padded = tn_buf_create(l->arena);
  tn_buf_append(&padded, text->data, offset);
  for (size_t i = 0; i < n; i++) tn_buf_putc(&padded, ' ');
  tn_buf_append(&padded, text->data + offset, text->n - offset);
  *text = padded;
}

/* One column of the lines first to end: the given one of the two offsets of each line that has it. */
static void align_column(layout *l, size_t first, size_t end, bool colons) {
  size_t widest = 0;
  for (size_t i = first; i < end; i++) {
    const line *at = &l->lines.data[i];
    size_t offset = colons ? at->colon : at->assign, width = width_of(at->text.data, offset);
    if (offset && width > widest) widest = width;
  }
  for (size_t i = first; i < end; i++) {
    line *at = &l->lines.data[i];
    size_t offset = colons ? at->colon : at->assign, n = widest - width_of(at->text.data, offset);
    if (!offset || n == 0) continue;
    pad_at(l, &at->text, offset, n);
    if (colons && at->assign) at->assign += n;
  }
}

static bool joins(const line *a, const line *b) { return !b->blank_before && a->indent == b->indent; }

static bool has_column(const line *at) { return at->colon || at->assign; }

static void align_assignments(layout *l) {
  for (size_t first = 0, end; first < l->lines.n; first = end) {
    end = first + 1;
    if (!has_column(&l->lines.data[first])) continue;
    while (end < l->lines.n && has_column(&l->lines.data[end]) && joins(&l->lines.data[end - 1], &l->lines.data[end]))
      end++;
    align_column(l, first, end, true);
    align_column(l, first, end, false);
  }
}

static size_t code_width(const line *at) { return at->indent + width_of(at->text.data, at->text.n); }
static bool has_side_comment(const line *at) { return at->comment && at->text.n > 0; }

static void align_comments(layout *l) {
  for (size_t first = 0, end; first < l->lines.n; first = end) {
    end = first + 1;
    if (!has_side_comment(&l->lines.data[first])) continue;
    size_t widest = code_width(&l->lines.data[first]);
    for (; end < l->lines.n && has_side_comment(&l->lines.data[end]) && !l->lines.data[end].blank_before; end++)
      if (code_width(&l->lines.data[end]) > widest) widest = code_width(&l->lines.data[end]);
    for (size_t i = first; i < end; i++) {
      line *at = &l->lines.data[i];
      pad_at(l, &at->text, at->text.n, widest + COMMENT_GAP - code_width(at));
    }
  }
}

static void write_lines(const layout *l, tn_buf *out) {
  for (size_t i = 0; i < l->lines.n; i++) {
    const line *at = &l->lines.data[i];
    if (at->blank_before) tn_buf_putc(out, '\n');
    for (uint32_t k = 0; k < at->indent; k++) tn_buf_putc(out, ' ');
    if (at->text.n) tn_buf_append(out, at->text.data, at->text.n);
    if (at->comment) tn_buf_append(out, l->parser->text + at->comment->offset, at->comment->length);
    tn_buf_putc(out, '\n');
  }
}

bool tn_lang_format(tn_ctx *ctx, const char *name, const char *text, size_t bytes, tn_buf *out) {
  tn_lang_parser parser;
  if (!tn_lang_parse_text(ctx, name, text, bytes, &parser)) return false;
  layout l = {.parser = &parser, .arena = tn_arena_create_scratch(ctx->arena)};
  find_blocks(&l);
  for (uint32_t i = 0; i < parser.tokens.n; i++) {
    put_comments(&l, i);
    if (token_at(&l, i)->kind == 0) break;
    if (is_dropped(&l, i)) l.source_line = token_at(&l, i)->line;
    else put_token(&l, i);
  }
  align_assignments(&l);
  align_comments(&l);
  tn_buf_puts(out, "");
  write_lines(&l, out);
  tn_arena_destroy(l.arena);
  return true;
}
