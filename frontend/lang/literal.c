/* Literals: numbers with their units, and strings. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/tree.h"
#include "ir/text/lex.h"

#define MAX_NUMBER_BYTES 64

static const struct {
  const char *text;
  tn_ast_unit unit;
  double factor;
} units[] = {
    {"B", TN_AST_UNIT_BYTES, 1},          {"KiB", TN_AST_UNIT_BYTES, 1024.0},
    {"MiB", TN_AST_UNIT_BYTES, 1048576.0}, {"GiB", TN_AST_UNIT_BYTES, 1073741824.0},
    {"TiB", TN_AST_UNIT_BYTES, 1099511627776.0}, {"kB", TN_AST_UNIT_BYTES, 1e3},
    {"MB", TN_AST_UNIT_BYTES, 1e6},       {"GB", TN_AST_UNIT_BYTES, 1e9},
    {"TB", TN_AST_UNIT_BYTES, 1e12},      {"us", TN_AST_UNIT_SECONDS, 1e-6},
    {"ms", TN_AST_UNIT_SECONDS, 1e-3},    {"s", TN_AST_UNIT_SECONDS, 1},
    {"min", TN_AST_UNIT_SECONDS, 60},     {"h", TN_AST_UNIT_SECONDS, 3600}};

/* Length of the number that text begins with; *out_real: it has a point or an exponent. */
static size_t number_length(const char *text, bool *out_real) {
  const char *at = text;
  *out_real = false;
  if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X') && isxdigit((unsigned char)at[2])) {
    for (at += 2; isxdigit((unsigned char)*at) || (*at == '_' && isxdigit((unsigned char)at[1])); at++) {
    }
    return (size_t)(at - text);
  }
  while (isdigit((unsigned char)*at) || (*at == '_' && isdigit((unsigned char)at[1]))) at++;
  if (*at == '.') {
    *out_real = true;
    for (at++; isdigit((unsigned char)*at) || (*at == '_' && isdigit((unsigned char)at[1])); at++) {
    }
  }
  if (*at != 'e' && *at != 'E') return (size_t)(at - text);
  const char *digits = at + 1 + (at[1] == '+' || at[1] == '-');
  if (!isdigit((unsigned char)*digits)) return (size_t)(at - text);
  *out_real = true;
  while (isdigit((unsigned char)*digits) || (*digits == '_' && isdigit((unsigned char)digits[1]))) digits++;
  return (size_t)(digits - text);
}

double tn_unit_factor(const char *unit, tn_ast_unit *out) {
  for (size_t i = 0; i < TN_ARRAY_LEN(units); i++)
    if (strcmp(units[i].text, unit) == 0) return *out = units[i].unit, units[i].factor;
  return 0;
}

static bool set_unit(tn_lang_parser *parser, tn_ast_expr *expr, const char *unit, double *out_factor) {
  *out_factor = 1;
  if (*unit == 0) return true;
  if (*unit == '_')
    return tn_lang_error(parser, expr->loc, TN_E_LANG_TOKEN, "'_' in a number stands between two digits");
  if ((*out_factor = tn_unit_factor(unit, &expr->number.unit)) > 0) return true;
  const char *names[TN_ARRAY_LEN(units)];
  for (size_t i = 0; i < TN_ARRAY_LEN(units); i++) names[i] = units[i].text;
  const char *near = tn_str_nearest(unit, names, TN_ARRAY_LEN(units));
  tn_lang_error(parser, expr->loc, TN_E_LANG_TOKEN, "'%s' is no unit", unit);
  tn_help(parser->ctx, "sizes have B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; times us, ms, s, min, h%s%s%s",
          near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  return false;
}

/* A real number, or a whole one with a unit. Bytes are whole. */
static void set_value(tn_lang_parser *parser, tn_ast_expr *expr, double value) {
  expr->number.value = value;
  bool whole = expr->number.unit == TN_AST_UNIT_BYTES;
  expr->kind = whole ? TN_AST_INT : TN_AST_FLOAT;
  if (!isfinite(value) || (whole && value >= 0x1p63))
    tn_lang_error(parser, expr->loc, TN_E_LANG_TOKEN, "the number '%s' is too large", expr->number.text);
  else if (whole && value != floor(value))
    tn_lang_error(parser, expr->loc, TN_E_LANG_TOKEN, "'%s' is no whole number of bytes", expr->number.text);
  else if (whole)
    expr->number.integer = (int64_t)value;
}

static void set_whole(tn_lang_parser *parser, tn_ast_expr *expr, const char *digits, double factor) {
  errno = 0;
  bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
  unsigned long long v = strtoull(digits, NULL, hex ? 16 : 10);
  int64_t product;
  if (errno || v > INT64_MAX || !tn_mul_i64((int64_t)v, (int64_t)factor, &product)) {
    tn_lang_error(parser, expr->loc, TN_E_LANG_TOKEN, "the number '%s' is too large", expr->number.text);
    return;
  }
  expr->number.integer = product;
  expr->number.value = (double)product;
}

tn_ast_expr *tn_tree_number(tn_lang_parser *parser, tn_lang_range at) {
  const tn_lang_token *token = &parser->tokens.data[at.first];
  tn_ast_expr *expr = TN_NEW(parser->ctx->arena, tn_ast_expr);
  *expr = (tn_ast_expr){.kind = TN_AST_INT, .loc = tn_lang_loc(parser, at), .depth = 1};
  expr->number.text = tn_intern(parser->ctx->strings, parser->text + token->offset, token->length);
  if (token->faulty) return expr;
  if (token->length > MAX_NUMBER_BYTES) {
    tn_lang_error(parser, expr->loc, TN_E_LIMIT, "a number has at most %d characters", MAX_NUMBER_BYTES);
    return expr;
  }
  bool real;
  size_t length = number_length(expr->number.text, &real), n = 0;
  char digits[MAX_NUMBER_BYTES + 1];
  for (size_t i = 0; i < length; i++)
    if (expr->number.text[i] != '_') digits[n++] = expr->number.text[i];
  digits[n] = 0;
  double factor;
  if (!set_unit(parser, expr, expr->number.text + length, &factor)) return expr;
  if (real || expr->number.unit == TN_AST_UNIT_SECONDS) set_value(parser, expr, strtod(digits, NULL) * factor);
  else set_whole(parser, expr, digits, factor);
  return expr;
}

tn_ast_string tn_tree_string(tn_lang_parser *parser, tn_lang_range at) {
  const tn_lang_token *token = &parser->tokens.data[at.first];
  tn_ast_string string = {tn_name(parser->ctx, ""), tn_lang_loc(parser, at)};
  if (token->faulty) return string;
  if (!tn_lex_unescape(parser->ctx, parser->arena, parser->text + token->offset + 1, token->length - 2, &string.text)) {
    string.text = tn_name(parser->ctx, "");
    tn_lang_error(parser, string.loc, TN_E_LANG_TOKEN, "the string has an escape that is none");
    tn_help(parser->ctx, "there are \\n, \\t, \\\", \\\\ and \\xHH (not \\x00)");
  }
  return string;
}

tn_ast_expr *tn_tree_string_expr(tn_lang_parser *parser, tn_lang_range at) {
  tn_ast_expr *expr = TN_NEW(parser->ctx->arena, tn_ast_expr);
  *expr = (tn_ast_expr){.kind = TN_AST_STRING, .loc = tn_lang_loc(parser, at), .depth = 1,
                        .string = tn_tree_string(parser, at)};
  return expr;
}
