/* Values of settings and arguments of the blocks' functions, held against the kinds of settings.def. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/blocks.h"

/* One alternative of a kind: "float 0<..1" has the base "float" and the rest "0<..1". */
typedef struct alternative {
  const char *base, *rest;
} alternative;

/* An alternative fits, does not, or fits and was found wrong, which was reported. */
typedef enum verdict { NO, YES, REPORTED } verdict;

static verdict said(bool ok) { return ok ? YES : REPORTED; }

static const char *next_alternative(const tn_block_check *c, const char *kind, alternative *out) {
  if (!kind || !*kind) return NULL;
  size_t n = strcspn(kind, "|"), base = strcspn(kind, " |");
  out->base = tn_namef(c->s->ctx, "%.*s", (int)base, kind);
  out->rest = base < n ? tn_namef(c->s->ctx, "%.*s", (int)(n - base - 1), kind + base + 1) : "";
  return kind[n] ? kind + n + 1 : "";
}

const char *tn_expr_text(tn_sema *s, const tn_ast_expr *e) {
  enum { MAX_SHOWN = 60 };
  tn_buf text = tn_buf_create(s->arena);
  tn_ast_print_expr(e, &text);
  return text.n <= MAX_SHOWN ? text.data : tn_namef(s->ctx, "%.*s...", MAX_SHOWN, text.data);
}

const char *tn_head_name(const tn_ast_expr *e) {
  while (e->kind == TN_AST_CALL) e = e->call.callee;
  return e->kind == TN_AST_NAME ? e->name : NULL;
}

const tn_ast_expr *tn_block_argument(const tn_ast_args *args, const char *name, size_t position) {
  for (size_t i = 0; i < args->n; i++)
    if (args->data[i].name.text ? strcmp(args->data[i].name.text, name) == 0 : i == position)
      return args->data[i].value;
  return NULL;
}

/* --- Numbers --- */

/* Whether a name means something in the file that can be a number. */
static bool is_value_name(const tn_block_check *c, const char *name) {
  const tn_decl *decl = tn_unit_find(c->unit, name);
  if (decl) return decl->kind == TN_DECL_DIM || tn_decl_is(decl, TN_AST_LET_ITEM);
  return strcmp(name, "true") == 0 || strcmp(name, "false") == 0 || strcmp(name, "inf") == 0;
}

/* Expressions that are computed; words, strings and calls of the blocks' own functions are not. */
static bool is_computed(const tn_block_check *c, const tn_ast_expr *e) {
  switch (e->kind) {
    case TN_AST_NAME: return is_value_name(c, e->name);
    case TN_AST_INT:
    case TN_AST_FLOAT:
    case TN_AST_UNARY:
    case TN_AST_BINARY: return true;
    case TN_AST_CALL: return e->call.callee->kind == TN_AST_NAME && tn_builtin_find(e->call.callee->name);
    default: return false;
  }
}

bool tn_block_number(const tn_block_check *c, const tn_ast_expr *value, double *out) {
  size_t before = c->s->ctx->n_errors;
  const tn_datum *d = is_computed(c, value) ? tn_eval_expr(c->frame, value) : NULL;
  if (!d || c->s->ctx->n_errors != before) return false;
  if (d->kind == TN_DATUM_FLOAT) return *out = d->number, true;
  if (d->kind != TN_DATUM_INT || !tn_dim_is_const(d->integer.extent)) return false;
  *out = (double)tn_dim_value(d->integer.extent);
  return true;
}

/* "LO<..<HI": a '<' leaves the bound itself out, a bound that is left out is none. */
static bool in_range(const char *range, double value) {
  char *end;
  if (!*range) return true;
  double lo = strtod(range, &end);
  if (end != range && !(*end == '<' ? value > lo : value >= lo)) return false;
  const char *high = strstr(range, "..");
  if (!high || !high[2]) return !isnan(value);
  bool open = high[2] == '<';
  double hi = strtod(high + (open ? 3 : 2), NULL);
  return open ? value < hi : value <= hi;
}

static bool has_unit(const tn_ast_expr *e, tn_ast_unit unit) {
  return e->kind == TN_AST_INT || e->kind == TN_AST_FLOAT ? e->number.unit == unit : unit == TN_AST_UNIT_NONE;
}

/* int, float, bytes and bool. */
static verdict try_number(const tn_block_check *c, const alternative *a, const char *what, const tn_ast_expr *e) {
  bool bytes = strcmp(a->base, "bytes") == 0, whole = bytes || strcmp(a->base, "int") == 0;
  size_t before = c->s->ctx->n_errors;
  if (!is_computed(c, e)) return NO;
  if (!has_unit(e, TN_AST_UNIT_NONE) && !(bytes && has_unit(e, TN_AST_UNIT_BYTES))) return NO;
  const tn_datum *d = tn_eval_expr(c->frame, e);
  if (!d) return c->s->ctx->n_errors != before ? REPORTED : YES; /* a name whose value was wrong */
  if (strcmp(a->base, "bool") == 0) return d->kind == TN_DATUM_BOOL ? YES : NO;
  double value = 0;
  if (d->kind == TN_DATUM_INT && tn_dim_is_const(d->integer.extent)) value = (double)tn_dim_value(d->integer.extent);
  else if (d->kind == TN_DATUM_FLOAT && !whole) value = d->number;
  else return NO;
  if (in_range(bytes ? "0.." : a->rest, value)) return YES;
  tn_error(c->s->ctx, e->loc, TN_E_LANG_VALUE, "%s is %s %s, found %s", what, a->base, bytes ? "0.." : a->rest,
           tn_expr_text(c->s, e));
  return REPORTED;
}

/* --- Tuples --- */

/* ints, texts, words, names: one or a tuple of them. */
static verdict try_each(const tn_block_check *c, const alternative *a, const char *what, const tn_ast_expr *e) {
  if (e->kind == TN_AST_TUPLE) {
    for (size_t i = 0; i < e->tuple.n; i++) {
      const tn_ast_arg *arg = &e->tuple.data[i];
      verdict one = arg->name.text || arg->value->kind == TN_AST_TUPLE ? NO : try_each(c, a, what, arg->value);
      if (one != YES) return one;
    }
    return YES;
  }
  if (strcmp(a->base, "texts") == 0) return e->kind == TN_AST_STRING ? YES : NO;
  if (strcmp(a->base, "names") == 0) return e->kind == TN_AST_NAME ? YES : NO;
  if (strcmp(a->base, "words") == 0) {
    if (e->kind != TN_AST_NAME) return NO;
    if (tn_words_have(a->rest, e->name)) return YES;
    return said(tn_words_unknown(c->s, e->loc, TN_E_LANG_VALUE, tn_namef(c->s->ctx, "%s cannot be", what), e->name,
                                 a->rest));
  }
  alternative one = {"int", a->rest};
  return try_number(c, &one, what, e);
}

static verdict try_pair(const tn_block_check *c, const alternative *a, const char *what, const tn_ast_expr *e) {
  alternative one = {"float", a->rest};
  if (e->kind != TN_AST_TUPLE || e->tuple.n != 2) return NO;
  for (size_t i = 0; i < 2; i++) {
    verdict part = e->tuple.data[i].name.text ? NO : try_number(c, &one, what, e->tuple.data[i].value);
    if (part != YES) return part;
  }
  return YES;
}

/* (train: 0.8, valid: 0.2): named shares above 0 that make at most 1. */
static verdict try_splits(const tn_block_check *c, const char *what, const tn_ast_expr *e) {
  tn_ctx *ctx = c->s->ctx;
  double sum = 0;
  if (e->kind != TN_AST_TUPLE) return NO;
  for (size_t i = 0; i < e->tuple.n; i++) {
    const tn_ast_arg *arg = &e->tuple.data[i];
    double share = 0;
    alternative one = {"float", "0<..1"};
    if (!arg->name.text) {
      tn_error(ctx, arg->loc, TN_E_LANG_VALUE, "%s names its parts: (train: 0.8, valid: 0.2)", what);
      return REPORTED;
    }
    verdict number = try_number(c, &one, tn_namef(ctx, "the share '%s'", arg->name.text), arg->value);
    if (number != YES) return number;
    tn_block_number(c, arg->value, &share);
    sum += share;
    for (size_t k = 0; k < i; k++)
      if (e->tuple.data[k].name.text == arg->name.text) {
        tn_error(ctx, arg->loc, TN_E_LANG_DOUBLE, "the part '%s' stands twice", arg->name.text);
        tn_note(ctx, e->tuple.data[k].loc, "it stands here already");
        return REPORTED;
      }
  }
  if (sum <= 1 + 1e-9) return YES;
  tn_error(ctx, e->loc, TN_E_LANG_VALUE, "the shares of %s make %g, more than all", what, sum);
  return REPORTED;
}

/* --- Names and paths --- */

static verdict try_decl(const tn_block_check *c, const alternative *a, const tn_ast_expr *e) {
  bool mesh = strcmp(a->base, "mesh") == 0;
  const tn_decl *decl = e->kind == TN_AST_NAME ? tn_unit_find(c->unit, e->name) : NULL;
  if (!decl) return NO;
  if (mesh ? tn_decl_is(decl, TN_AST_MESH) : tn_decl_is(decl, TN_AST_MODEL) || tn_decl_is(decl, TN_AST_COMPRESS))
    return YES;
  tn_error(c->s->ctx, e->loc, TN_E_LANG_KIND, "'%s' is no %s", e->name, a->base);
  tn_note(c->s->ctx, decl->loc, "'%s' is declared here", e->name);
  return REPORTED;
}

/* points.train(256) */
static verdict try_samples(const tn_block_check *c, const char *what, const tn_ast_expr *e) {
  const tn_ast_expr *path = e->kind == TN_AST_CALL ? e->call.callee : NULL;
  if (!path || path->kind != TN_AST_MEMBER || path->member.object->kind != TN_AST_NAME) return NO;
  const char *name = path->member.object->name;
  const tn_decl *decl = tn_unit_find(c->unit, name);
  if (!decl || !tn_decl_is(decl, TN_AST_DATA)) {
    tn_error(c->s->ctx, path->member.object->loc, decl ? TN_E_LANG_KIND : TN_E_LANG_NAME, "'%s' is no data", name);
    if (decl) tn_note(c->s->ctx, decl->loc, "'%s' is declared here", name);
    return REPORTED;
  }
  if (!tn_split_check(c, decl->item, path->member.name.text, path->member.name.loc)) return REPORTED;
  if (e->call.args.n != 1 || e->call.args.data[0].name.text) return NO;
  return said(tn_kind_check(c, tn_namef(c->s->ctx, "the number of samples of %s", what), "int 1..",
                            e->call.args.data[0].value));
}

static verdict try_text(const alternative *a, const tn_ast_expr *e) {
  if (e->kind != TN_AST_STRING) return NO;
  return !*a->rest || tn_words_have(a->rest, e->string.text) ? YES : NO;
}

static verdict try_function(const tn_block_check *c, const alternative *a, const char *what, const tn_ast_expr *e) {
  const tn_ast_expr *callee = e->kind == TN_AST_CALL ? e->call.callee : e; /* adam is adam() */
  if (callee->kind != TN_AST_NAME || !tn_block_function_find(a->base + 1, callee->name)) return NO;
  return said(tn_block_call_check(c, a->base + 1, what, e, 0));
}

/* (zero: 1, overlap: true): the arguments of the group's only function. */
static verdict try_arguments(const tn_block_check *c, const alternative *a, const tn_ast_expr *e) {
  const char *group = tn_namef(c->s->ctx, "%.*s", (int)strlen(a->base) - 2, a->base + 1);
  if (e->kind != TN_AST_TUPLE) return NO;
  const tn_block_function *function = tn_block_function_find(group, group);
  return function ? said(tn_block_args_check(c, function, &e->tuple, 0, e->loc)) : NO;
}

static verdict try_split(const tn_block_check *c, const tn_ast_expr *e) {
  if (e->kind != TN_AST_NAME) return NO;
  return said(tn_split_check(c, c->training.data, e->name, e->loc));
}

static verdict try_alternative(const tn_block_check *c, const alternative *a, const char *what, const tn_ast_expr *e) {
  const char *base = a->base;
  if (base[0] == '@') return try_function(c, a, what, e);
  if (base[0] == '(') return try_arguments(c, a, e);
  if (strcmp(base, "expression") == 0 || strcmp(base, "metrics") == 0 || strcmp(base, "field") == 0) return YES;
  if (tn_words_have("int float bool bytes", base)) return try_number(c, a, what, e);
  if (tn_words_have("ints texts words names", base)) return try_each(c, a, what, e);
  if (strcmp(base, "pair") == 0) return try_pair(c, a, what, e);
  if (strcmp(base, "text") == 0) return try_text(a, e);
  if (strcmp(base, "splits") == 0) return try_splits(c, what, e);
  if (strcmp(base, "split") == 0) return try_split(c, e);
  if (strcmp(base, "mesh") == 0 || strcmp(base, "model") == 0) return try_decl(c, a, e);
  if (strcmp(base, "samples") == 0) return try_samples(c, what, e);
  if (strcmp(base, "monitor") == 0) return e->kind == TN_AST_MEMBER ? said(tn_monitor_check(c, e)) : NO;
  if (strcmp(base, "glob") == 0)
    return e->kind == TN_AST_STRING ? said(tn_glob_check(c, e->string.text, e->loc)) : NO;
  return e->kind == TN_AST_NAME && strcmp(e->name, base) == 0 ? YES : NO;
}

/* What a name could be here: the words of the kind and the functions of its groups. */
static const char *names_of_kind(const tn_block_check *c, const char *kind) {
  tn_buf names = tn_buf_create(c->s->arena);
  alternative a;
  tn_buf_puts(&names, "");
  while ((kind = next_alternative(c, kind, &a)) != NULL) {
    const char *some = a.base;
    if (some[0] == '@') some = tn_block_function_names(c->s, some + 1);
    else if (strcmp(some, "words") == 0) some = a.rest;
    else if (some[0] == '(' || tn_words_have("int float bool bytes ints texts names pair text splits split mesh model "
                                             "samples monitor glob", some))
      continue;
    tn_buf_printf(&names, "%s%s", names.n ? " " : "", some);
  }
  return names.data;
}

/* Kinds that a newcomer may not have met: how they look. */
static void help_with(const tn_block_check *c, const char *kind) {
  static const char *const rows[][2] = {{"monitor", "a measured number is SPLIT.NAME, such as valid.loss"},
                                        {"splits", "parts have names and shares: (train: 0.8, valid: 0.2)"},
                                        {"pair", "two numbers: (0.9, 0.999)"},
                                        {"text", "texts stand in double quotes"},
                                        {"texts", "texts stand in double quotes"},
                                        {"glob", "patterns stand in double quotes: \"*.bias\""}};
  alternative a;
  while ((kind = next_alternative(c, kind, &a)) != NULL)
    for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
      if (strcmp(rows[i][0], a.base) == 0 && !(*a.rest && strncmp(a.base, "text", 4) == 0))
        tn_help(c->s->ctx, "%s", rows[i][1]);
}

bool tn_kind_check(const tn_block_check *c, const char *what, const char *kind, const tn_ast_expr *value) {
  alternative a;
  for (const char *at = kind; (at = next_alternative(c, at, &a)) != NULL;) {
    verdict v = try_alternative(c, &a, what, value);
    if (v != NO) return v == YES;
  }
  const char *names = names_of_kind(c, kind), *head = tn_head_name(value);
  bool is_name = head && !is_value_name(c, head) && (value->kind == TN_AST_NAME || value->kind == TN_AST_CALL);
  if (is_name && names[0])
    return tn_words_unknown(c->s, value->loc, TN_E_LANG_VALUE, tn_namef(c->s->ctx, "%s cannot be", what), head, names);
  tn_error(c->s->ctx, value->loc, TN_E_LANG_VALUE, "%s is %s, found %s", what, kind, tn_expr_text(c->s, value));
  if (names[0]) tn_help(c->s->ctx, "expected one of: %s", names);
  help_with(c, kind);
  return false;
}

/* --- Calls --- */

static bool no_such_argument(const tn_block_check *c, const tn_block_function *function, const tn_param *params,
                             uint32_t n, const tn_ast_arg *arg) {
  const char *names[TN_MAX_PARAMS];
  tn_ctx *ctx = c->s->ctx;
  for (uint32_t i = 0; i < n; i++) names[i] = tn_namef(ctx, "%.*s", (int)params[i].name_length, params[i].name);
  if (!arg->name.text)
    tn_error(ctx, arg->loc, TN_E_LANG_ARGUMENT, "%s takes %u arguments, this is one more", function->name, n);
  else tn_error(ctx, arg->loc, TN_E_LANG_ARGUMENT, "%s has no argument '%s'", function->name, arg->name.text);
  const char *near = arg->name.text ? tn_str_nearest(arg->name.text, names, n) : NULL;
  if (near) tn_help(ctx, "did you mean '%s'?", near);
  tn_note(ctx, TN_LOC_NONE, "%s(%s)", function->name, function->signature);
  return false;
}

/* `none` and `all` where they are the default. */
static bool is_default_word(const tn_param *p, const tn_ast_expr *e) {
  return e->kind == TN_AST_NAME && (strcmp(e->name, "none") == 0 || strcmp(e->name, "all") == 0) &&
         tn_part_is(p->fallback ? p->fallback : "", p->fallback_length, e->name);
}

static bool check_argument(const tn_block_check *c, const tn_block_function *function, const tn_param *p,
                           const tn_ast_expr *value) {
  tn_ctx *ctx = c->s->ctx;
  if (is_default_word(p, value)) return true;
  const char *what = tn_namef(ctx, "'%.*s' of %s", (int)p->name_length, p->name, function->name);
  tn_block_check watching = *c;
  watching.watches |= tn_part_is(p->name, p->name_length, "watch");
  return tn_kind_check(&watching, what, tn_namef(ctx, "%.*s", (int)p->kind_length, p->kind), value);
}

/* stalled, plateau and checkpoint: what is better, where no mode is given. */
static bool check_mode(const tn_block_check *c, const tn_block_function *function, const tn_ast_args *args) {
  static const char monitors[] = "what watch best";
  const tn_ast_expr *mode = tn_block_argument(args, "mode", SIZE_MAX);
  if (!strstr(function->signature, "mode: min|max") || (mode && !(mode->kind == TN_AST_NAME &&
                                                                 strcmp(mode->name, "none") == 0)))
    return true;
  for (size_t i = 0; i < args->n; i++) {
    const tn_ast_arg *arg = &args->data[i];
    bool is_monitor = arg->name.text ? tn_words_have(monitors, arg->name.text) : true;
    if (is_monitor && arg->value->kind == TN_AST_MEMBER)
      return tn_monitor_mode_check(c, arg->value, function->name);
  }
  return true;
}

bool tn_block_args_check(const tn_block_check *c, const tn_block_function *function, const tn_ast_args *args,
                         uint32_t n_piped, tn_loc loc) {
  tn_param params[TN_MAX_PARAMS + 1];
  uint32_t n = tn_signature_read(function->signature, params), position = 0;
  bool ok = true, seen[TN_MAX_PARAMS + 1] = {false};
  for (; position < n_piped && position < n && !params[position].is_rest; position++) seen[position] = true;
  if (n_piped > 0 && n == 0)
    return tn_error(c->s->ctx, loc, TN_E_LANG_ARGUMENT, "%s takes nothing from a pipe", function->name);
  for (size_t i = 0; i < args->n; i++) {
    const tn_ast_arg *arg = &args->data[i];
    uint32_t k = arg->name.text ? 0 : position;
    while (arg->name.text && k < n && !tn_part_is(params[k].name, params[k].name_length, arg->name.text)) k++;
    if (k >= n) return no_such_argument(c, function, params, n, arg);
    if (seen[k] && !params[k].is_rest)
      return tn_error(c->s->ctx, arg->loc, TN_E_LANG_ARGUMENT, "%s: '%.*s' is given twice", function->name,
                      (int)params[k].name_length, params[k].name);
    seen[k] = true;
    position += !arg->name.text && !params[k].is_rest;
    ok = check_argument(c, function, &params[k], arg->value) && ok;
  }
  for (uint32_t k = 0; k < n; k++) {
    if (seen[k] || params[k].fallback_length || params[k].is_rest) continue;
    tn_error(c->s->ctx, loc, TN_E_LANG_ARGUMENT, "%s: '%.*s' is missing", function->name, (int)params[k].name_length,
             params[k].name);
    tn_note(c->s->ctx, TN_LOC_NONE, "%s(%s)", function->name, function->signature);
    return false;
  }
  return ok && check_mode(c, function, args);
}

bool tn_block_call_check(const tn_block_check *c, const char *groups, const char *what, const tn_ast_expr *call,
                         uint32_t n_piped) {
  static const tn_ast_args none = {0};
  const tn_ast_expr *callee = call->kind == TN_AST_CALL ? call->call.callee : call;
  const char *name = callee->kind == TN_AST_NAME ? callee->name : tn_expr_text(c->s, callee);
  const tn_block_function *function = callee->kind == TN_AST_NAME ? tn_block_function_find(groups, name) : NULL;
  if (!function) {
    tn_words_unknown(c->s, callee->loc, TN_E_LANG_NAME, tn_namef(c->s->ctx, "unknown %s", what), name,
                     tn_block_function_names(c->s, groups));
    if (tn_builtin_find(name)) tn_help(c->s->ctx, "'%s' is a function of models", name);
    return false;
  }
  return tn_block_args_check(c, function, call->kind == TN_AST_CALL ? &call->call.args : &none, n_piped, call->loc);
}
