/* Initialisers: what their expressions mean, and the elements they give (runtime/initial.h):
 *
 *   uniform(lo, hi), normal(std, mean), trunc_normal(std), orthogonal, zeros, ones, const(v)   as they say
 *   xavier              uniform(-a, a), a = sqrt(6 / (fan_in + fan_out))
 *   he_normal           normal(sqrt(2 / fan_in))
 *   he_uniform          uniform(-a, a), a = sqrt(6 / fan_in)
 *   lecun               normal(sqrt(1 / fan_in)) */
#include <math.h>
#include <string.h>

#include "frontend/lang/sema.h"

/* --- Expressions --- */

typedef struct initialiser {
  const char *name;
  tn_init_kind kind;
  uint32_t min_args, max_args;
  const char *args[2];
  double a; /* default of the first, or the constant itself */
} initialiser;

static const initialiser table[] = {
    {"zeros", TN_INIT_CONST, 0, 0, {NULL, NULL}, 0},
    {"ones", TN_INIT_CONST, 0, 0, {NULL, NULL}, 1},
    {"const", TN_INIT_CONST, 1, 1, {"v", NULL}, 0},
    {"normal", TN_INIT_NORMAL, 1, 2, {"std", "mean"}, 0},
    {"uniform", TN_INIT_UNIFORM, 2, 2, {"lo", "hi"}, 0},
    {"trunc_normal", TN_INIT_TRUNC_NORMAL, 1, 1, {"std", NULL}, 0},
    {"xavier", TN_INIT_XAVIER, 0, 0, {NULL, NULL}, 0},
    {"he_normal", TN_INIT_HE_NORMAL, 0, 0, {NULL, NULL}, 0},
    {"he_uniform", TN_INIT_HE_UNIFORM, 0, 0, {NULL, NULL}, 0},
    {"lecun", TN_INIT_LECUN, 0, 0, {NULL, NULL}, 0},
    {"orthogonal", TN_INIT_ORTHOGONAL, 0, 0, {NULL, NULL}, 0},
};

static const initialiser *find(const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(table); i++)
    if (strcmp(table[i].name, name) == 0) return &table[i];
  return NULL;
}

bool tn_init_is_name(const char *name) { return find(name) || strcmp(name, "from") == 0; }

static bool unknown(tn_frame *f, const char *name, tn_loc loc) {
  const char *names[TN_ARRAY_LEN(table) + 1];
  for (size_t i = 0; i < TN_ARRAY_LEN(table); i++) names[i] = table[i].name;
  names[TN_ARRAY_LEN(table)] = "from";
  const char *near = tn_str_nearest(name, names, TN_ARRAY_LEN(names));
  tn_frame_error(f, loc, TN_E_LANG_NAME, "unknown initialiser '%s'", name);
  if (near) tn_help(f->sema->ctx, "did you mean '%s'?", near);
  return false;
}

/* from("file"), from("file", "tensor"): paths are relative to the source file. */
static bool from_file(tn_frame *f, const tn_ast_expr *expr, tn_init *out) {
  const tn_ast_args *args = &expr->call.args;
  const char *texts[2] = {NULL, NULL};
  for (size_t i = 0; i < args->n && i < 2; i++)
    if (args->data[i].value->kind == TN_AST_STRING && !args->data[i].name.text)
      texts[i] = args->data[i].value->string.text;
  if (args->n < 1 || args->n > 2 || !texts[0] || (args->n == 2 && !texts[1]))
    return tn_frame_error(f, expr->loc, TN_E_LANG_ARGUMENT,
                          "from(\"file.npy\") or from(\"file.safetensors\", \"name\")");
  const char *slash = strrchr(f->unit->path, '/');
  bool absolute = texts[0][0] == '/' || !slash;
  *out = (tn_init){.kind = TN_INIT_FROM, .tensor = texts[1], .loc = expr->loc};
  out->path = absolute ? texts[0]
                       : tn_namef(f->sema->ctx, "%.*s/%s", (int)(slash - f->unit->path), f->unit->path, texts[0]);
  out->path = tn_name(f->sema->ctx, out->path);
  return true;
}

static bool number_of(tn_frame *f, const tn_ast_expr *expr, double *out) {
  const tn_datum *d = tn_eval_expr(f, expr);
  int64_t i;
  if (!d) return false;
  if (d->kind == TN_DATUM_FLOAT) return *out = d->number, true;
  if (d->kind == TN_DATUM_INT && tn_datum_static_int(f->sema, d, "an argument of an initialiser", &i))
    return *out = (double)i, true;
  return tn_frame_error(f, expr->loc, TN_E_LANG_KIND, "an initialiser takes numbers, found %s",
                       tn_datum_describe(f->sema, d));
}

static bool call_args(tn_frame *f, const initialiser *row, const tn_ast_expr *expr, tn_init *out) {
  const tn_ast_args *args = &expr->call.args;
  double values[2] = {row->a, 0};
  bool given[2] = {false, false};
  for (size_t i = 0; i < args->n; i++) {
    const tn_ast_arg *arg = &args->data[i];
    uint32_t at = (uint32_t)i;
    if (arg->name.text)
      for (at = 0; at < row->max_args && strcmp(row->args[at], arg->name.text) != 0;) at++;
    if (at >= row->max_args || given[at])
      return tn_frame_error(f, arg->loc, TN_E_LANG_ARGUMENT, "%s takes %u arguments", row->name, row->max_args);
    given[at] = true;
    if (!number_of(f, arg->value, &values[at])) return false;
  }
  for (uint32_t i = 0; i < row->min_args; i++)
    if (!given[i])
      return tn_frame_error(f, expr->loc, TN_E_LANG_ARGUMENT, "%s: '%s' is missing", row->name, row->args[i]);
  out->a = values[0];
  out->b = values[1];
  return true;
}

bool tn_init_of_datum(tn_sema *s, const tn_datum *datum, tn_init *out) {
  int64_t i;
  *out = (tn_init){.kind = TN_INIT_CONST, .loc = datum->loc};
  if (datum->kind == TN_DATUM_INIT) return *out = datum->init, true;
  if (datum->kind == TN_DATUM_FLOAT) return out->a = datum->number, true;
  if (datum->kind == TN_DATUM_INT && tn_datum_static_int(s, datum, "an initialiser", &i))
    return out->a = (double)i, true;
  return tn_error(s->ctx, datum->loc, TN_E_LANG_KIND, "expected an initialiser, found %s",
                  tn_datum_describe(s, datum));
}

bool tn_init_of_expr(tn_frame *f, const tn_ast_expr *expr, tn_init *out) {
  bool is_call = expr->kind == TN_AST_CALL && expr->call.callee->kind == TN_AST_NAME;
  const char *name = expr->kind == TN_AST_NAME ? expr->name : is_call ? expr->call.callee->name : NULL;
  const initialiser *row = name ? find(name) : NULL;
  bool known = name && !is_call && (tn_frame_find(f, name) || tn_unit_find(f->unit, name));
  if (name && is_call && strcmp(name, "from") == 0) return from_file(f, expr, out);
  if (row && !known) {
    *out = (tn_init){.kind = row->kind, .a = row->a, .loc = expr->loc};
    if (is_call) return call_args(f, row, expr, out);
    if (row->min_args)
      return tn_frame_error(f, expr->loc, TN_E_LANG_ARGUMENT, "%s: '%s' is missing", row->name, row->args[0]);
    return true;
  }
  if (name && !known && (!is_call || !tn_frame_find(f, name)) && expr->kind == TN_AST_NAME)
    return unknown(f, name, expr->loc);
  const tn_datum *d = tn_eval_expr(f, expr);
  return d && tn_init_of_datum(f->sema, d, out);
}

/* --- Elements --- */

/* The rule for a bare param: all dims but the last are summed over. */
static void default_fans(const tn_type *type, double *fan_in, double *fan_out) {
  *fan_in = *fan_out = 1;
  for (uint32_t i = 0; i < type->ndim; i++)
    *(i + 1 < type->ndim ? fan_in : fan_out) *= (double)tn_dim_value(type->dims[i]);
}

tnrt_initial tn_init_resolve(const tn_init *init, const tn_type *type, double fan_in, double fan_out) {
  tnrt_initial r = {.kind = TNRT_INITIAL_CONST};
  bool xavier = init->kind == TN_INIT_XAVIER;
  if (fan_in <= 0) default_fans(type, &fan_in, &fan_out);
  double bound = sqrt(6 / (xavier ? fan_in + fan_out : fan_in));
  switch (init->kind) {
    case TN_INIT_CONST: r.a = init->a; break;
    case TN_INIT_UNIFORM: r.kind = TNRT_INITIAL_UNIFORM, r.a = init->a, r.b = init->b; break;
    case TN_INIT_XAVIER:
    case TN_INIT_HE_UNIFORM: r.kind = TNRT_INITIAL_UNIFORM, r.a = -bound, r.b = bound; break;
    case TN_INIT_NORMAL: r.kind = TNRT_INITIAL_NORMAL, r.a = init->a, r.b = init->b; break;
    case TN_INIT_HE_NORMAL: r.kind = TNRT_INITIAL_NORMAL, r.a = sqrt(2 / fan_in); break;
    case TN_INIT_LECUN: r.kind = TNRT_INITIAL_NORMAL, r.a = sqrt(1 / fan_in); break;
    case TN_INIT_TRUNC_NORMAL: r.kind = TNRT_INITIAL_TRUNC_NORMAL, r.a = init->a; break;
    case TN_INIT_ORTHOGONAL: r.kind = TNRT_INITIAL_ORTHOGONAL, r.a = 1; break;
    default: break; /* FROM and FITTED have elements of another kind */
  }
  return r;
}

const void *tn_init_fill(tn_sema *s, const tnrt_initial *init, const tn_type *type, const char *path) {
  tnrt_initial r = tnrt_initial_start(init->kind, init->a, init->b, s->options->seed, path);
  size_t n = (size_t)tn_type_static_count(type), element_bytes = tn_dtype_bytes(type->dtype);
  char *out = tn_arena_alloc_n(s->module->arena, n, element_bytes);
  tn_arena *scratch = tn_arena_create_scratch(s->ctx->arena);
  double *wide = init->kind == TNRT_INITIAL_ORTHOGONAL ? TN_NEW_N(scratch, double, n) : NULL;
  for (size_t i = 0; i < n; i++) {
    double value = tnrt_initial_next(&r);
    if (wide) wide[i] = value;
    else tn_number_store(type->dtype, tn_number_cast(TN_F64, type->dtype, (tn_number){.f = value}),
                         out + i * element_bytes);
  }
  if (wide) tnrt_initial_orthogonalise(wide, n, type->ndim ? (size_t)tn_dim_value(type->dims[type->ndim - 1]) : 1);
  for (size_t i = 0; i < n && wide; i++)
    tn_number_store(type->dtype, tn_number_cast(TN_F64, type->dtype, (tn_number){.f = wide[i]}),
                    out + i * element_bytes);
  tn_arena_destroy(scratch);
  return out;
}
