/* Binding the arguments of a built-in by the text of its signature (builtin.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/builtin.h"
#include "frontend/lang/params.h"

static bool is_tensor_kind(const tn_param *p) {
  return p->kind_length > 2 && memcmp(p->kind + p->kind_length - 2, "[]", 2) == 0;
}

static bool is_type_word(const char *text, size_t n) {
  static const char *const kinds[] = {"int",   "ints",  "float", "bool", "text", "axis", "axes", "init",
                                      "dtype", "tuple", "any",   "label", "*[]", "n[]", "f[]", "i[]", "bool[]"};
  for (size_t i = 0; i < TN_ARRAY_LEN(kinds); i++)
    if (tn_part_is(text, n, kinds[i])) return true;
  return false;
}

/* The words among the kinds. */
static uint32_t words_of(tn_sema *s, const tn_param *p, const char **out, uint32_t max) {
  uint32_t n = 0;
  for (const char *at = p->kind, *end = p->kind + p->kind_length; p->kind_length && at <= end && n < max;) {
    const char *bar = memchr(at, '|', (size_t)(end - at));
    size_t length = (size_t)((bar ? bar : end) - at);
    if (!is_type_word(at, length)) out[n++] = tn_namef(s->ctx, "%.*s", (int)length, at);
    at += length + 1;
  }
  return n;
}

/* --- Errors --- */

static bool with_signature(const tn_call *call) {
  tn_note(call->s->ctx, TN_LOC_NONE, "%s(%s)", call->builtin->name, call->builtin->signature);
  return false;
}

static bool mismatch(const tn_call *call, const tn_param *p, const tn_datum *d, tn_loc loc) {
  tn_frame_error(call->frame, loc, TN_E_LANG_KIND, "%s: '%.*s' is %.*s, found %s", call->builtin->name,
                (int)p->name_length, p->name, (int)p->kind_length, p->kind, tn_datum_describe(call->s, d));
  return with_signature(call);
}

/* --- One argument --- */

static bool tensor_fits(const char *kind, size_t n, const tn_datum *d) {
  if (d->kind != TN_DATUM_TENSOR) return tn_datum_is_scalar(d);
  tn_dtype dtype = tn_datum_dtype(d);
  if (tn_part_is(kind, n, "f[]")) return tn_dtype_is_float(dtype);
  if (tn_part_is(kind, n, "i[]")) return tn_dtype_is_integer(dtype);
  if (tn_part_is(kind, n, "n[]")) return tn_dtype_is_float(dtype) || tn_dtype_is_integer(dtype);
  return tn_part_is(kind, n, "*[]") || dtype == TN_BOOL;
}

static bool part_fits(const char *kind, size_t n, const tn_datum *d) {
  if (n > 2 && memcmp(kind + n - 2, "[]", 2) == 0) return tensor_fits(kind, n, d);
  if (tn_part_is(kind, n, "any")) return true;
  if (tn_part_is(kind, n, "int") || tn_part_is(kind, n, "axis") || tn_part_is(kind, n, "label"))
    return d->kind == TN_DATUM_INT;
  if (tn_part_is(kind, n, "float")) return d->kind == TN_DATUM_FLOAT || d->kind == TN_DATUM_INT;
  if (tn_part_is(kind, n, "bool")) return d->kind == TN_DATUM_BOOL;
  if (tn_part_is(kind, n, "text")) return d->kind == TN_DATUM_TEXT;
  if (tn_part_is(kind, n, "tuple")) return d->kind == TN_DATUM_TUPLE;
  if (tn_part_is(kind, n, "dtype")) return d->kind == TN_DATUM_DTYPE;
  if (tn_part_is(kind, n, "init")) return d->kind == TN_DATUM_INIT;
  if (!tn_part_is(kind, n, "ints") && !tn_part_is(kind, n, "axes")) return false;
  if (d->kind != TN_DATUM_TUPLE) return d->kind == TN_DATUM_INT;
  for (uint32_t i = 0; i < d->tuple.n; i++)
    if (d->tuple.parts[i]->kind != TN_DATUM_INT && d->tuple.parts[i]->kind != TN_DATUM_TUPLE) return false;
  return true;
}

static bool fits(const tn_param *p, const tn_datum *d) {
  if (!p->kind_length) return true;
  for (const char *at = p->kind, *end = p->kind + p->kind_length; at <= end;) {
    const char *bar = memchr(at, '|', (size_t)(end - at));
    size_t n = (size_t)((bar ? bar : end) - at);
    if (part_fits(at, n, d)) return true;
    at += n + 1;
  }
  return false;
}

static tn_datum *unknown_word(const tn_call *call, const tn_param *p, const tn_given *given) {
  const char *words[16], *name = given->expr->name;
  uint32_t n = words_of(call->s, p, words, TN_ARRAY_LEN(words));
  const char *near = tn_str_nearest(name, words, n);
  tn_frame_error(call->frame, given->loc, TN_E_LANG_NAME, "%s: '%.*s' is one of %.*s, found '%s'", call->builtin->name,
                (int)p->name_length, p->name, (int)p->kind_length, p->kind, name);
  if (near) tn_help(call->s->ctx, "did you mean '%s'?", near);
  return NULL;
}

/* A bare name may be a word, an element type or an initialiser, before it is looked up. */
static bool bare_name(const tn_call *call, const tn_param *p, const tn_given *given, tn_datum **out) {
  const char *name = given->expr->name, *words[16];
  tn_sema *s = call->s;
  bool known = tn_frame_find(given->frame, name) || tn_unit_find(given->frame->unit, name);
  *out = NULL;
  if (!is_type_word(name, strlen(name)) && tn_param_has(p, name)) {
    *out = tn_datum_text(s, TN_DATUM_WORD, name, given->loc);
    return true;
  }
  if (tn_part_is(p->fallback ? p->fallback : "", p->fallback_length, name) && (strcmp(name, "none") == 0 ||
                                                                        strcmp(name, "all") == 0)) {
    *out = tn_datum_poison(s, given->loc); /* as if it were not given */
    return true;
  }
  if (tn_param_has(p, "label") && !known) {
    *out = tn_datum_text(s, TN_DATUM_WORD, name, given->loc);
    return true;
  }
  if (tn_param_has(p, "dtype") && !known) {
    tn_dtype dtype = tn_dtype_find(name);
    if (dtype != TN_N_DTYPES && dtype != TN_STR) *out = tn_datum_of_dtype(s, dtype, given->loc);
    else
      tn_frame_error(call->frame, given->loc, TN_E_LANG_NAME, "%s: unknown type '%s'", call->builtin->name, name);
    return true;
  }
  uint32_t n = words_of(s, p, words, TN_ARRAY_LEN(words));
  if (!known && n && !tn_builtin_find(name) && !is_tensor_kind(p) && strcmp(name, "true") && strcmp(name, "false")) {
    *out = unknown_word(call, p, given);
    return true;
  }
  return false;
}

/* NULL: reported; poison: as if not given. */
static tn_datum *argument(const tn_call *call, const tn_param *p, const tn_given *given) {
  tn_sema *s = call->s;
  tn_datum *d = given->datum;
  if (!d && given->expr->kind == TN_AST_NAME && bare_name(call, p, given, &d)) return d;
  if (tn_param_has(p, "init")) {
    tn_init init;
    size_t n_errors = s->ctx->n_errors;
    bool ok = d ? tn_init_of_datum(s, d, &init) : tn_init_of_expr(given->frame, given->expr, &init);
    if (!ok && call->frame->is_dry && s->ctx->n_errors == n_errors) return tn_datum_poison(s, given->loc);
    return ok ? tn_datum_of_init(s, &init, given->loc) : NULL;
  }
  size_t before = s->ctx->n_errors;
  if (!d) d = tn_eval_expr(given->frame, given->expr);
  if ((!d || d->kind == TN_DATUM_POISON) && call->frame->is_dry && s->ctx->n_errors == before)
    return tn_datum_poison(s, given->loc);
  if (!d || d->kind == TN_DATUM_POISON) return NULL;
  if (d->kind != TN_DATUM_TENSOR) d = tn_datum_at(s, d, given->loc);
  return fits(p, d) ? d : (mismatch(call, p, d, given->loc), NULL);
}

static tn_datum *fallback(const tn_call *call, const tn_param *p) {
  tn_sema *s = call->s;
  const char *text = tn_namef(s->ctx, "%.*s", (int)p->fallback_length, p->fallback);
  if (strcmp(text, "none") == 0 && !tn_param_has(p, "none")) return NULL;
  if (strcmp(text, "all") == 0) return NULL;
  if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) return tn_datum_bool(s, text[0] == 't', call->loc);
  char *end;
  long long integer = strtoll(text, &end, 10);
  if (!*end) return tn_datum_int_const(s, integer, call->loc);
  double number = strtod(text, &end);
  if (!*end) return tn_datum_float(s, number, call->loc);
  tn_ast_expr name = {.kind = TN_AST_NAME, .loc = call->loc, .depth = 1, .name = tn_name(s->ctx, text)};
  tn_init init;
  if (tn_param_has(p, "init")) {
    tn_ast_arg arg = {0};
    tn_ast_expr value = {.kind = TN_AST_FLOAT, .loc = call->loc, .depth = 1};
    tn_ast_expr made = {.kind = TN_AST_CALL, .loc = call->loc, .depth = 2};
    const char *open = strchr(text, '('); /* normal(0.02) */
    if (open) {
      name.name = tn_namef(s->ctx, "%.*s", (int)(open - text), text);
      value.number.value = strtod(open + 1, NULL);
      arg.value = &value;
      made.call.callee = &name;
      made.call.args.data = &arg;
      made.call.args.n = 1;
    }
    return tn_init_of_expr(call->frame, open ? &made : &name, &init) ? tn_datum_of_init(s, &init, call->loc) : NULL;
  }
  tn_dtype dtype = tn_param_has(p, "dtype") ? tn_dtype_find(text) : TN_N_DTYPES;
  if (dtype != TN_N_DTYPES) return tn_datum_of_dtype(s, dtype, call->loc);
  return tn_datum_text(s, TN_DATUM_WORD, tn_name(s->ctx, text), call->loc);
}

/* --- All arguments --- */

static bool no_such_param(const tn_call *call, const tn_param *params, uint32_t n, const tn_given *given) {
  const char *names[TN_MAX_PARAMS];
  for (uint32_t i = 0; i < n; i++)
    names[i] = tn_namef(call->s->ctx, "%.*s", (int)params[i].name_length, params[i].name);
  const char *near = tn_str_nearest(given->name, names, n);
  tn_frame_error(call->frame, given->loc, TN_E_LANG_ARGUMENT, "%s has no argument '%s'", call->builtin->name,
                given->name);
  if (near) tn_help(call->s->ctx, "did you mean '%s'?", near);
  return with_signature(call);
}

/* An argument of "name...". */
static bool add_rest(tn_call *call, const tn_param *p, const tn_given *given) {
  tn_given one = *given;
  one.datum = argument(call, p, given);
  if (!one.datum) return false;
  TN_VEC_PUSH(call->s->arena, &call->rest, one);
  return true;
}

static bool bind(tn_call *call, const tn_param *params, uint32_t n, const tn_given *given, size_t n_given) {
  uint32_t position = 0;
  bool ok = true, seen[TN_MAX_PARAMS] = {false};
  for (size_t i = 0; i < n_given; i++) {
    uint32_t k = given[i].name ? 0 : position;
    while (given[i].name && k < n &&
           (params[k].is_rest || !tn_part_is(params[k].name, params[k].name_length, given[i].name)))
      k++;
    bool rest = n && params[n - 1].is_rest && (k >= n || params[k].is_rest);
    for (uint32_t r = 0; given[i].name && k >= n && r < n; r++) /* named ones may belong to a rest anywhere */
      if (params[r].is_rest) rest = true, k = r;
    if (rest || (k < n && params[k].is_rest)) {
      ok = add_rest(call, &params[k < n ? k : n - 1], &given[i]) && ok;
      continue;
    }
    if (k >= n && given[i].name) return no_such_param(call, params, n, &given[i]);
    if (k >= n) {
      tn_frame_error(call->frame, given[i].loc, TN_E_LANG_ARGUMENT, "%s takes %u arguments, this is one more",
                    call->builtin->name, n);
      return with_signature(call);
    }
    if (!given[i].name) position++;
    if (seen[k])
      return tn_frame_error(call->frame, given[i].loc, TN_E_LANG_ARGUMENT, "%s: '%.*s' is given twice",
                           call->builtin->name, (int)params[k].name_length, params[k].name);
    seen[k] = true;
    call->args[k] = argument(call, &params[k], &given[i]);
    ok = ok && call->args[k];
    if (call->args[k] && call->args[k]->kind == TN_DATUM_POISON) call->args[k] = NULL;
  }
  for (uint32_t k = 0; k < n && ok; k++) {
    if (seen[k] || params[k].is_rest) continue;
    if (!params[k].fallback_length) {
      tn_frame_error(call->frame, call->loc, TN_E_LANG_ARGUMENT, "%s: '%.*s' is missing", call->builtin->name,
                    (int)params[k].name_length, params[k].name);
      return with_signature(call);
    }
    call->args[k] = fallback(call, &params[k]);
  }
  return ok;
}

tn_datum *tn_builtin_call(tn_frame *f, const tn_builtin *builtin, tn_instance *instance, tn_given *given, size_t n,
                          tn_loc loc) {
  tn_param params[TN_MAX_PARAMS + 1];
  tn_call call = {.frame = f, .s = f->sema, .b = &f->sema->build, .builtin = builtin, .loc = loc, .instance = instance};
  uint32_t n_params = tn_signature_read(builtin->signature, params);
  if (!bind(&call, params, n_params, given, n) || f->is_dry) return NULL;
  return builtin->make(&call);
}

size_t tn_builtin_static_params(tn_sema *s, const tn_builtin *builtin, const char ***out) {
  tn_param params[TN_MAX_PARAMS + 1];
  uint32_t n_params = tn_signature_read(builtin->signature, params);
  size_t n = 0;
  *out = TN_NEW_N(s->arena, const char *, n_params);
  for (uint32_t i = 0; i < n_params; i++)
    if (!is_tensor_kind(&params[i]) && !tn_param_has(&params[i], "tuple"))
      (*out)[n++] = tn_namef(s->ctx, "%.*s", (int)params[i].name_length, params[i].name);
  return n;
}
