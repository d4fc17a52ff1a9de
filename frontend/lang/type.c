/* Types: evaluating their dims, binding the names in them, and crossing from a caller's labels to a body's and back. */
#include <string.h>

#include "frontend/lang/sema.h"

static bool is_word(const tn_ast_type *type, const char *word) {
  return type->name.text && strcmp(type->name.text, word) == 0;
}

bool tn_type_is_tensor(const tn_ast_type *type) {
  static const char *const plain[] = {"int", "float", "text", "init", "dtype"};
  if (!type->name.text) return false;
  if (type->has_dims) return true;
  for (size_t i = 0; i < TN_ARRAY_LEN(plain); i++)
    if (is_word(type, plain[i])) return false;
  return !is_word(type, "bool");
}

static tn_dtype dtype_of(tn_frame *f, const tn_ast_type *type) {
  static const char *const names[] = {"f64", "f32", "f16", "bf16", "f8e4m3", "f8e5m2", "i64", "i32", "i16", "i8", "i4",
                                      "u64", "u32", "u16", "u8", "u4", "bool", "class", "token", "int", "float", "text",
                                      "init", "dtype"};
  if (is_word(type, "class") || is_word(type, "token")) return TN_I32;
  tn_dtype dtype = type->name.text ? tn_dtype_find(type->name.text) : TN_N_DTYPES;
  if (dtype != TN_N_DTYPES && dtype != TN_STR) return dtype;
  tn_frame_error(f, type->loc, TN_E_LANG_NAME, "unknown type '%s'", type->name.text ? type->name.text : "(...)");
  const char *near = type->name.text ? tn_str_nearest(type->name.text, names, TN_ARRAY_LEN(names)) : NULL;
  if (near) tn_help(f->sema->ctx, "did you mean '%s'?", near);
  return TN_N_DTYPES;
}

static bool add_axis(tn_frame *f, tn_shape *out, tn_axis axis, tn_loc loc) {
  if (out->n == TN_MAX_NDIM)
    return tn_frame_error(f, loc, TN_E_LIMIT, "a type of more than %d dims", TN_MAX_NDIM);
  out->axes[out->n++] = axis;
  return true;
}

static bool add_dim(tn_frame *f, const tn_ast_dim *dim, tn_shape *out) {
  if (dim->extent) {
    const tn_datum *d = tn_eval_expr(f, dim->extent);
    if (!d) return false;
    if (d->kind != TN_DATUM_INT)
      return tn_frame_error(f, dim->loc, TN_E_LANG_KIND, "a dim must be an integer, found %s",
                           tn_datum_describe(f->sema, d));
    tn_axis axis = d->integer;
    if (axis.extent->hi < 0)
      return tn_frame_error(f, dim->loc, TN_E_SHAPE, "a dim of %s", tn_dim_text(f->sema, axis.extent));
    axis.loc = dim->loc;
    return add_axis(f, out, axis, dim->loc);
  }
  const tn_axis_list *rest = tn_map_get(&f->rests, dim->rest.text);
  if (!rest) return tn_frame_error(f, dim->loc, TN_E_LANG_NAME, "'..%s' is bound by no argument", dim->rest.text);
  for (uint32_t i = 0; i < rest->n; i++)
    if (!add_axis(f, out, rest->axes[i], dim->loc)) return false;
  return true;
}

bool tn_shape_of_type(tn_frame *f, const tn_ast_type *type, tn_shape *out) {
  *out = (tn_shape){.dtype = dtype_of(f, type)};
  bool ok = out->dtype != TN_N_DTYPES;
  for (size_t i = 0; i < type->dims.n; i++) ok = add_dim(f, &type->dims.data[i], out) && ok;
  if (!ok) return false;
  if (is_word(type, "class")) {
    if (out->n == 0) return tn_frame_error(f, type->loc, TN_E_RANK, "class[.., C] needs the number of classes");
    out->n--;
    out->classes = tn_arena_copy(f->sema->arena, &out->axes[out->n], sizeof(tn_axis));
  }
  return true;
}

/* --- Binding names --- */

static bool is_formal(const tn_frame *f, const char *name) {
  const tn_ast_item *item = f->decl ? f->decl->item : NULL;
  for (size_t i = 0; item && i < item->formals.n; i++)
    if (item->formals.data[i].name.text == name) return true;
  return false;
}

const char *tn_type_free_name(const tn_frame *f, const tn_ast_dim *dim) {
  if (!dim->extent || dim->extent->kind != TN_AST_NAME) return NULL;
  const char *name = dim->extent->name;
  bool known = tn_frame_find(f, name) || tn_unit_find(f->unit, name) || is_formal(f, name);
  return known ? NULL : name;
}

bool tn_type_bind_name(tn_frame *f, const char *name, tn_axis axis, tn_loc loc) {
  tn_sema *s = f->sema;
  const tn_dim *label = strcmp(name, "B") == 0 ? s->batch : tn_label_create(s, name);
  tn_name_binding *binding =
      tn_frame_declare(f, name, TN_NAME_LABEL, tn_datum_int(s, axis.extent, label, axis.loc), loc);
  if (binding) binding->outer = axis.label;
  if (binding) binding->value->integer.trace = axis.trace;
  return binding != NULL;
}

static bool bind_rest(tn_frame *f, const tn_ast_dim *dim, const tn_axis *axes, uint32_t n) {
  if (tn_map_get(&f->rests, dim->rest.text)) return true;
  tn_axis_list *list = TN_NEW(f->sema->arena, tn_axis_list);
  *list = (tn_axis_list){n, axes};
  tn_map_set(&f->rests, dim->rest.text, list);
  return true;
}

static bool rank_differs(tn_frame *f, const tn_ast_type *type, const tn_datum *value, const char *what) {
  tn_buf text = tn_buf_create(f->sema->arena);
  tn_ast_print_type(type, &text);
  tn_frame_error(f, value->loc, TN_E_RANK, "%s: expected %s, found %s", what, text.data,
                tn_datum_describe(f->sema, value));
  tn_note(f->sema->ctx, type->loc, "the type stands here");
  return false;
}

bool tn_type_bind(tn_frame *f, const tn_ast_type *type, const tn_datum *value, const char *what) {
  if (!type->name.text) { /* a tuple: tn_type_adopt says it when it is none */
    bool ok = true, tuple = value->kind == TN_DATUM_TUPLE && value->tuple.n == type->parts.n;
    for (uint32_t i = 0; tuple && i < value->tuple.n; i++)
      ok = tn_type_bind(f, type->parts.data[i], value->tuple.parts[i], what) && ok;
    return ok;
  }
  if (tn_datum_is_scalar(value) && type->dims.n == 0) return true;
  if (value->kind != TN_DATUM_TENSOR) {
    tn_frame_error(f, value->loc, TN_E_LANG_KIND, "%s: expected a tensor, found %s", what,
                   tn_datum_describe(f->sema, value));
    tn_note(f->sema->ctx, type->loc, "the type stands here");
    return false;
  }
  uint32_t ndim = tn_datum_ndim(value), n_rest = 0, at = 0;
  uint32_t n_dims = (uint32_t)type->dims.n - (is_word(type, "class") && type->dims.n > 0);
  for (uint32_t i = 0; i < n_dims; i++) n_rest += !type->dims.data[i].extent;
  if (n_rest > 1) return tn_frame_error(f, type->loc, TN_E_RANK, "a type may hold one '..NAME'");
  if (n_rest ? ndim + 1 < n_dims : ndim != n_dims) return rank_differs(f, type, value, what);
  for (uint32_t i = 0; i < n_dims; i++) {
    const tn_ast_dim *dim = &type->dims.data[i];
    const tn_axis *axes = &value->tensor.axes[at];
    if (!dim->extent) {
      if (!bind_rest(f, dim, axes, ndim + 1 - n_dims)) return false;
      at += ndim + 1 - n_dims;
      continue;
    }
    const char *name = tn_type_free_name(f, dim);
    if (name && !tn_type_bind_name(f, name, *axes, dim->loc)) return false;
    at++;
  }
  const char *name = n_dims < type->dims.n ? tn_type_free_name(f, &type->dims.data[n_dims]) : NULL;
  return !name || !value->tensor.classes || tn_type_bind_name(f, name, *value->tensor.classes, type->loc);
}

/* --- Crossing --- */

/* "where H = 28, k = 5", for a dim that is computed. */
static void note_names(tn_frame *f, const tn_ast_expr *expr, tn_buf *out) {
  if (expr->kind == TN_AST_NAME) {
    const tn_name_binding *binding = tn_frame_find(f, expr->name);
    if (binding && binding->value && binding->value->kind == TN_DATUM_INT)
      tn_buf_printf(out, "%s%s = %s", out->n ? ", " : "", expr->name,
                    tn_dim_text(f->sema, binding->value->integer.extent));
  } else if (expr->kind == TN_AST_BINARY || expr->kind == TN_AST_UNARY) {
    if (expr->op.left) note_names(f, expr->op.left, out);
    note_names(f, expr->op.right, out);
  }
}

static bool dim_differs(tn_frame *f, const tn_ast_type *type, const tn_datum *value, uint32_t i, const tn_axis *want,
                        const char *what) {
  tn_sema *s = f->sema;
  const tn_axis *have = &value->tensor.axes[i];
  const char *wanted = tn_axis_is_labelled(want) ? tn_namef(s->ctx, "dim %s is %s", tn_axis_label_text(s, want),
                                                            tn_dim_text(s, want->extent))
                                                 : tn_namef(s->ctx, "expected dim %s", tn_dim_text(s, want->extent));
  tn_frame_error(f, value->loc, TN_E_SHAPE, "%s: %s, found %s in %s", what, wanted, tn_axis_describe(s, have),
                 tn_datum_describe(s, value));
  tn_note(s->ctx, want->loc, "expected because of the type here");
  tn_axis_note(s, have);
  tn_buf names = tn_buf_create(s->arena);
  if (type->dims.n == tn_datum_ndim(value) && type->dims.data[i].extent) {
    const tn_ast_expr *extent = type->dims.data[i].extent;
    note_names(f, extent, &names);
    tn_buf text = tn_buf_create(s->arena);
    tn_ast_print_expr(extent, &text);
    if (names.n && extent->kind != TN_AST_NAME)
      tn_note(s->ctx, want->loc, "%s = %s where %s", text.data, tn_dim_text(s, want->extent), names.data);
  }
  return false;
}

static tn_datum *adopt_tensor(tn_frame *f, const tn_ast_type *type, tn_datum *value, const char *what) {
  tn_sema *s = f->sema;
  tn_shape shape;
  if (!tn_shape_of_type(f, type, &shape)) return NULL;
  if (tn_datum_is_scalar(value) && shape.n == 0) value = tn_datum_as_tensor(s, value, shape.dtype, value->loc);
  if (!value) return NULL;
  if (value->kind != TN_DATUM_TENSOR) {
    tn_frame_error(f, value->loc, TN_E_LANG_KIND, "%s: expected a tensor, found %s", what, tn_datum_describe(s, value));
    return NULL;
  }
  if (tn_datum_dtype(value) != shape.dtype) {
    tn_frame_error(f, value->loc, TN_E_DTYPE, "%s: expected %s, found %s", what, tn_dtype_name(shape.dtype),
                  tn_datum_describe(s, value));
    tn_note(s->ctx, type->loc, "the type stands here");
    return NULL;
  }
  if (tn_datum_ndim(value) != shape.n) return rank_differs(f, type, value, what), NULL;
  tn_datum *result = tn_datum_tensor(s, value->tensor.value, shape.axes, value->loc);
  for (uint32_t i = 0; i < shape.n; i++) {
    size_t before = tn_diag_n_errors(s->ctx);
    if (!tn_extents_agree(s, value->tensor.axes[i].extent, shape.axes[i].extent, value->loc,
                          tn_namef(s->ctx, "dim %s of %s", tn_axis_label_text(s, &shape.axes[i]), what))) {
      if (tn_diag_n_errors(s->ctx) == before) dim_differs(f, type, value, i, &shape.axes[i], what);
      return NULL;
    }
    result->tensor.axes[i].loc = value->tensor.axes[i].loc;
  }
  result->tensor.classes = shape.classes;
  return result;
}

tn_datum *tn_type_adopt(tn_frame *f, const tn_ast_type *type, tn_datum *value, const char *what) {
  tn_sema *s = f->sema;
  if (value->kind == TN_DATUM_POISON) return NULL;
  if (type->name.text) return adopt_tensor(f, type, value, what);
  if (value->kind != TN_DATUM_TUPLE || value->tuple.n != type->parts.n) {
    tn_frame_error(f, value->loc, TN_E_LANG_KIND, "%s: expected a tuple of %zu, found %s", what, type->parts.n,
                  tn_datum_describe(s, value));
    tn_note(s->ctx, type->loc, "the type stands here");
    return NULL;
  }
  tn_datum *result = tn_datum_tuple(s, value->tuple.parts, value->tuple.n, value->loc);
  result->tuple.names = value->tuple.names;
  bool ok = true;
  for (uint32_t i = 0; i < value->tuple.n; i++) {
    result->tuple.parts[i] = tn_type_adopt(f, type->parts.data[i], value->tuple.parts[i],
                                           tn_namef(s->ctx, "part %u of %s", i + 1, what));
    ok = ok && result->tuple.parts[i];
  }
  return ok ? result : NULL;
}

/* The first dim in an expression of which more is told. */
static const tn_axis *traced_name(const tn_frame *f, const tn_ast_expr *e) {
  if (e->kind == TN_AST_NAME) {
    const tn_name_binding *binding = tn_frame_find(f, e->name);
    bool traced = binding && binding->value && binding->value->kind == TN_DATUM_INT && binding->value->integer.trace;
    return traced ? &binding->value->integer : NULL;
  }
  if (e->kind != TN_AST_BINARY && e->kind != TN_AST_UNARY) return NULL;
  const tn_axis *left = e->op.left ? traced_name(f, e->op.left) : NULL;
  return left ? left : traced_name(f, e->op.right);
}

/* "4 = (H - k + 1) / 2 where H = 12, k = 5", for a dim of a result that is computed. */
static void trace_dim(tn_frame *f, const tn_ast_expr *extent, tn_axis *axis) {
  tn_sema *s = f->sema;
  tn_buf text = tn_buf_create(s->arena), names = tn_buf_create(s->arena);
  if (extent->kind != TN_AST_BINARY) return;
  note_names(f, extent, &names);
  tn_ast_print_expr(extent, &text);
  if (names.n)
    tn_axis_trace(s, axis, traced_name(f, extent), f->call_loc, "%s = %s where %s", tn_dim_text(s, axis->extent),
                  text.data, names.data);
}

tn_datum *tn_type_leave(tn_frame *f, const tn_ast_type *type, tn_datum *value) {
  tn_sema *s = f->sema;
  if (value->kind == TN_DATUM_TUPLE) {
    tn_datum *result = tn_datum_tuple(s, value->tuple.parts, value->tuple.n, value->loc);
    for (uint32_t i = 0; i < value->tuple.n; i++)
      if (!(result->tuple.parts[i] = tn_type_leave(f, type->parts.data[i], value->tuple.parts[i]))) return NULL;
    return result;
  }
  tn_shape shape;
  f->is_leaving = true;
  bool ok = tn_shape_of_type(f, type, &shape);
  f->is_leaving = false;
  if (!ok) return NULL;
  for (uint32_t i = 0; i < shape.n; i++) {
    shape.axes[i].loc = f->call_loc;
    if (shape.n == type->dims.n && type->dims.data[i].extent) trace_dim(f, type->dims.data[i].extent, &shape.axes[i]);
  }
  tn_datum *result = tn_datum_tensor(s, value->tensor.value, shape.axes, f->call_loc);
  result->tensor.classes = shape.classes;
  return result;
}

const tn_dim *tn_label_leave(const tn_frame *f, const tn_dim *label) {
  const tn_scope_names *scope = f->scope;
  while (scope->outer) scope = scope->outer;
  for (size_t i = 0; i < scope->names.n && label; i++) {
    const tn_name_binding *binding = scope->names.entries[i].value;
    if (binding->kind != TN_NAME_LABEL) continue;
    const tn_symbol *own = tn_dim_lone_symbol(binding->value->integer.label);
    if (!own || !tn_dim_uses(label, own)) continue;
    label = binding->outer ? tn_dim_substitute(f->sema->ctx, label, own, binding->outer) : NULL;
  }
  return label;
}

/* --- Static arguments --- */

tn_datum *tn_static_argument(tn_frame *f, const tn_ast_type *type, const tn_given *given, const char *what) {
  tn_sema *s = f->sema;
  tn_datum *d = given->datum;
  if (is_word(type, "init")) {
    tn_init init;
    if (d ? !tn_init_of_datum(s, d, &init) : !tn_init_of_expr(given->frame, given->expr, &init)) return NULL;
    return tn_datum_of_init(s, &init, given->loc);
  }
  if (is_word(type, "dtype") && !d && given->expr->kind == TN_AST_NAME) {
    tn_dtype dtype = tn_dtype_find(given->expr->name);
    if (dtype != TN_N_DTYPES) return tn_datum_of_dtype(s, dtype, given->loc);
  }
  if (!d) d = tn_eval_expr(given->frame, given->expr);
  if (!d) return NULL;
  bool ok = (is_word(type, "int") && d->kind == TN_DATUM_INT) || (is_word(type, "bool") && d->kind == TN_DATUM_BOOL) ||
            (is_word(type, "text") && d->kind == TN_DATUM_TEXT) ||
            (is_word(type, "dtype") && d->kind == TN_DATUM_DTYPE) ||
            (is_word(type, "float") && (d->kind == TN_DATUM_FLOAT || d->kind == TN_DATUM_INT));
  if (ok) return d;
  tn_frame_error(f, given->loc, TN_E_LANG_KIND, "%s: expected %s, found %s", what,
                type->name.text ? type->name.text : "a value", tn_datum_describe(s, d));
  tn_note(s->ctx, type->loc, "the type stands here");
  return NULL;
}
