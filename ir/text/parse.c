/* Reads the text form: tokens, recovery and the top level. */
#include "ir/text/parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_BYTES ((size_t)UINT32_MAX)

/* Tokens. */

const tn_token *tn_parse_peek_at(const tn_parser *p, size_t ahead) {
  size_t last = p->tokens.n - 1;
  return &p->tokens.data[last - p->at < ahead ? last : p->at + ahead];
}

const tn_token *tn_parse_peek(const tn_parser *p) { return &p->tokens.data[p->at]; }

const tn_token *tn_parse_next(tn_parser *p) {
  const tn_token *token = tn_parse_peek(p);
  if (token->kind != TN_TOKEN_END) p->at++;
  return token;
}

tn_loc tn_parse_loc_of(const tn_parser *p, const tn_token *token) {
  uint32_t end = token->column + (token->length > 0 ? (uint32_t)token->length - 1 : 0);
  return tn_loc_span(p->ctx, p->file, token->line, token->column, token->line, end);
}

bool tn_parse_fail(tn_parser *p, const tn_token *token, const char *format, ...) {
  tn_buf buf = tn_buf_create(p->ctx->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&buf, format, args);
  va_end(args);
  return tn_error(p->ctx, tn_parse_loc_of(p, token), TN_E_TEXT, "%s", buf.data ? buf.data : "");
}

bool tn_parse_expected(tn_parser *p, const char *what) {
  const tn_token *token = tn_parse_peek(p);
  if (token->kind == TN_TOKEN_END) return tn_parse_fail(p, token, "expected %s, found the end of the text", what);
  tn_buf buf = tn_buf_create(p->ctx->arena);
  tn_buf_escape(&buf, token->text, token->length < 40 ? token->length : 40);
  return tn_parse_fail(p, token, "expected %s, found '%s'", what, buf.data ? buf.data : "");
}

bool tn_token_is(const tn_token *token, const char *name) {
  return token->kind == TN_TOKEN_NAME && strlen(name) == token->length &&
         memcmp(name, token->text, token->length) == 0;
}

bool tn_parse_at_char(const tn_parser *p, char c) {
  const tn_token *token = tn_parse_peek(p);
  return token->kind == TN_TOKEN_CHAR && token->text[0] == c;
}

bool tn_parse_take_char(tn_parser *p, char c) {
  if (!tn_parse_at_char(p, c)) return false;
  tn_parse_next(p);
  return true;
}

bool tn_parse_take_name(tn_parser *p, const char *name) {
  if (!tn_token_is(tn_parse_peek(p), name)) return false;
  tn_parse_next(p);
  return true;
}

bool tn_parse_need_char(tn_parser *p, char c) {
  char what[] = {'\'', c, '\'', '\0'};
  return tn_parse_take_char(p, c) || tn_parse_expected(p, what);
}

bool tn_parse_need_name(tn_parser *p, const char *name) {
  if (tn_parse_take_name(p, name)) return true;
  tn_buf buf = tn_buf_create(p->scratch);
  tn_buf_printf(&buf, "'%s'", name);
  return tn_parse_expected(p, buf.data);
}

bool tn_parse_identifier(tn_parser *p, const char *what, const char **out) {
  const tn_token *token = tn_parse_peek(p);
  if (token->kind != TN_TOKEN_NAME) return tn_parse_expected(p, what);
  *out = tn_intern(p->ctx->strings, token->text, token->length);
  tn_parse_next(p);
  return true;
}

bool tn_parse_named(tn_parser *p, tn_token_kind kind, const char *what, const char **out) {
  const tn_token *token = tn_parse_peek(p);
  if (token->kind != kind) return tn_parse_expected(p, what);
  tn_parse_next(p);
  if (!token->quoted) {
    *out = tn_intern(p->ctx->strings, token->text, token->length);
    return true;
  }
  return tn_lex_unescape(p->ctx, p->scratch, token->text, token->length, out) ||
         tn_parse_fail(p, token, "a string with a wrong escape or a zero byte");
}

/* Numbers. Tokens do not end with NUL, so they are copied before the library converts them. */

static const char *number_text(tn_parser *p, const tn_token *token) {
  return tn_arena_strndup(p->scratch, token->text, token->length);
}

static bool parse_magnitude(tn_parser *p, uint64_t *out) {
  const tn_token *token = tn_parse_peek(p);
  if (token->kind != TN_TOKEN_NUMBER) return tn_parse_expected(p, "an integer");
  const char *text = number_text(p, token);
  char *end;
  errno = 0;
  *out = strtoull(text, &end, text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10);
  if (*end != '\0') return tn_parse_expected(p, "an integer");
  if (errno != 0) return tn_parse_fail(p, token, "an integer of more than 64 bits");
  tn_parse_next(p);
  return true;
}

bool tn_parse_int(tn_parser *p, int64_t *out) {
  const tn_token *start = tn_parse_peek(p);
  bool negative = tn_parse_take_char(p, '-');
  uint64_t magnitude = 0, limit = (uint64_t)INT64_MAX + negative;
  if (!parse_magnitude(p, &magnitude)) return false;
  if (magnitude > limit) return tn_parse_fail(p, start, "an integer of more than 64 bits");
  *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return true;
}

bool tn_parse_uint(tn_parser *p, uint64_t max, uint64_t *out) {
  const tn_token *start = tn_parse_peek(p);
  if (!parse_magnitude(p, out)) return false;
  return *out <= max || tn_parse_fail(p, start, "expected at most %llu, found %llu", (unsigned long long)max,
                                      (unsigned long long)*out);
}

bool tn_parse_double(tn_parser *p, double *out) {
  double sign = tn_parse_take_char(p, '-') ? -1 : 1;
  if (tn_parse_take_name(p, "inf")) {
    *out = sign * (double)INFINITY;
    return true;
  }
  if (tn_parse_take_name(p, "nan")) {
    *out = (double)NAN;
    uint64_t bits = 0;
    if (!tn_parse_take_char(p, '(')) return true;
    if (!tn_parse_uint(p, UINT64_MAX, &bits) || !tn_parse_need_char(p, ')')) return false;
    memcpy(out, &bits, sizeof(bits));
    return isnan(*out) || tn_parse_expected(p, "the bits of a NaN");
  }
  const tn_token *token = tn_parse_peek(p);
  if (token->kind != TN_TOKEN_NUMBER) return tn_parse_expected(p, "a number");
  char *end;
  const char *text = number_text(p, token);
  *out = sign * strtod(text, &end);
  if (*end != '\0') return tn_parse_expected(p, "a number");
  tn_parse_next(p);
  return true;
}

/* Recovery and depth. */

void tn_parse_recover(tn_parser *p, size_t start) {
  int open = 0;
  if (p->ctx->n_errors >= p->ctx->max_errors) { /* no more of them are shown */
    p->at = p->tokens.n - 1;
    return;
  }
  if (p->at == start) tn_parse_next(p);
  uint32_t line = p->tokens.data[p->at - 1].line;
  for (size_t i = start; i < p->at; i++) {
    const tn_token *token = &p->tokens.data[i];
    if (token->kind == TN_TOKEN_CHAR) open += (token->text[0] == '{') - (token->text[0] == '}');
  }
  while (tn_parse_peek(p)->kind != TN_TOKEN_END && tn_parse_peek(p)->line <= line) {
    if (tn_parse_at_char(p, '}') && open-- <= 0) return;
    if (tn_parse_at_char(p, '{')) open++;
    tn_parse_next(p);
  }
}

bool tn_parse_enter(tn_parser *p) {
  if (p->depth >= TN_TEXT_MAX_DEPTH)
    return tn_error(p->ctx, tn_parse_loc_of(p, tn_parse_peek(p)), TN_E_LIMIT, "nested more than %d deep",
                    TN_TEXT_MAX_DEPTH);
  p->depth++;
  return true;
}

void tn_parse_leave(tn_parser *p) { p->depth--; }

/* The top level. */

static bool parse_source(tn_parser *p, const tn_token *start) {
  (void)start;
  return tn_parse_named(p, TN_TOKEN_STRING, "the path of the model", &p->module->source);
}

/* Already read by tn_parse_loc_table. */
static bool skip_loc(tn_parser *p, const tn_token *start) {
  while (tn_parse_peek(p)->kind != TN_TOKEN_END && tn_parse_peek(p)->line == start->line) tn_parse_next(p);
  return true;
}

static const struct {
  const char *keyword;
  bool (*parse)(tn_parser *p, const tn_token *start);
} definitions[] = {
    {"source", parse_source},      {"sym", tn_parse_symbol},     {"const", tn_parse_const}, {"func", tn_parse_func},
    {"kernel", tn_parse_kernel},   {"program", tn_parse_program}, {"loc", skip_loc},
};

/* A definition that failed may leave its body's rest behind: skip to a line that begins with a
 * keyword of this level. */
static void recover_at_top(tn_parser *p) {
  while (tn_parse_peek(p)->kind != TN_TOKEN_END) {
    const tn_token *token = tn_parse_peek(p);
    for (size_t i = 0; i < TN_ARRAY_LEN(definitions) && token->column == 1; i++)
      if (tn_token_is(token, definitions[i].keyword)) return;
    tn_parse_next(p);
  }
}

static void parse_definitions(tn_parser *p) {
  while (tn_parse_peek(p)->kind != TN_TOKEN_END) {
    const tn_token *start = tn_parse_peek(p);
    size_t i = 0;
    while (i < TN_ARRAY_LEN(definitions) && !tn_token_is(start, definitions[i].keyword)) i++;
    bool known = i < TN_ARRAY_LEN(definitions);
    if (known) tn_parse_next(p);
    p->depth = 0;
    bool ok = known ? definitions[i].parse(p, start)
                    : tn_parse_expected(p, "'source', 'sym', 'const', 'func', 'kernel', 'program' or 'loc'");
    if (!known) tn_parse_next(p);
    if (!ok) recover_at_top(p);
  }
}

static tn_parser parser_create(tn_ctx *ctx, tn_module *module, const char *file, const char *text, size_t length) {
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  return (tn_parser){.ctx = ctx, .module = module, .scratch = scratch, .file = tn_name(ctx, file),
                     .tokens = tn_lex(ctx, scratch, file, text, length), .symbols = tn_map_create(scratch),
                     .locs = tn_map_create(scratch), .funcs = tn_map_create(scratch)};
}

tn_module *tn_text_parse(tn_ctx *ctx, const char *file, const char *text, size_t length) {
  size_t n_errors = tn_diag_n_errors(ctx);
  if (length > MAX_TEXT_BYTES) {
    tn_error(ctx, tn_loc_file(ctx, file), TN_E_LIMIT, "a text of more than 4 GB");
    return NULL;
  }
  tn_module *module = tn_module_create(ctx);
  tn_parser p = parser_create(ctx, module, file, text, length);
  uint64_t version = 0;
  if (tn_parse_need_name(&p, "tnir") && tn_parse_uint(&p, UINT64_MAX, &version)) {
    if (version == 1) {
      tn_parse_loc_table(&p);
      parse_definitions(&p);
    } else {
      tn_parse_fail(&p, &p.tokens.data[1], "version %llu of the text form; this tenon reads version 1",
                    (unsigned long long)version);
    }
  }
  tn_arena_destroy(p.scratch);
  if (tn_diag_n_errors(ctx) == n_errors) return module;
  tn_module_destroy(module);
  return NULL;
}

const tn_type *tn_text_parse_type(tn_ctx *ctx, const char *text) {
  size_t n_errors = tn_diag_n_errors(ctx);
  tn_parser p = parser_create(ctx, NULL, text, text, strlen(text));
  p.create_symbols = true;
  const tn_type *type = NULL;
  if (tn_parse_type(&p, &type) && tn_parse_peek(&p)->kind != TN_TOKEN_END) tn_parse_expected(&p, "nothing more");
  tn_arena_destroy(p.scratch);
  return tn_diag_n_errors(ctx) == n_errors ? type : NULL;
}

tn_attr *tn_text_parse_attrs(tn_module *module, const tn_opdef *op, const char *text) {
  tn_ctx *ctx = module->ctx;
  size_t n_errors = tn_diag_n_errors(ctx);
  tn_parser p = parser_create(ctx, module, text, text, strlen(text));
  p.create_symbols = true;
  tn_attr *attrs = TN_NEW_N(module->arena, tn_attr, op->n_attrs);
  if (tn_parse_attrs(&p, op, attrs) && tn_parse_peek(&p)->kind != TN_TOKEN_END) tn_parse_expected(&p, "nothing more");
  tn_arena_destroy(p.scratch);
  return tn_diag_n_errors(ctx) == n_errors ? attrs : NULL;
}
