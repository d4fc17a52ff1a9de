/* Expressions: names, literals, tuples, members, indices. Operators are in arith.c, calls in call.c. */
#include <math.h>
#include <string.h>

#include "frontend/lang/builtin.h"

static tn_datum *unknown_name(tn_frame *f, const char *name, tn_loc loc) {
  const char *near = tn_frame_nearest(f, name);
  tn_frame_error(f, loc, TN_E_LANG_NAME, "unknown name '%s'", name);
  if (near) tn_help(f->sema->ctx, "did you mean '%s'?", near);
  return NULL;
}

/* An integer that a label stands for, seen from inside the body or, on leaving it, from the caller. */
static tn_datum *local_value(tn_frame *f, const tn_name_binding *binding, tn_loc loc) {
  if (!binding->value || binding->value->kind == TN_DATUM_POISON) return NULL;
  tn_datum *value = tn_datum_at(f->sema, binding->value, loc);
  if (binding->kind == TN_NAME_LABEL && f->is_leaving) value->integer.label = binding->outer;
  if (value->kind == TN_DATUM_TENSOR) value->loc = binding->value->loc;
  return value;
}

static tn_datum *name_value(tn_frame *f, const char *name, tn_loc loc) {
  tn_sema *s = f->sema;
  const tn_name_binding *binding = tn_frame_find(f, name);
  if (binding) return local_value(f, binding, loc);
  tn_decl *decl = tn_unit_find(f->unit, name);
  if (decl && (decl->kind == TN_DECL_DIM || tn_decl_is(decl, TN_AST_LET_ITEM))) {
    tn_datum *value = tn_decl_value(s, decl, loc);
    return value ? tn_datum_at(s, value, loc) : NULL;
  }
  if (decl) {
    tn_frame_error(f, loc, TN_E_LANG_KIND, "'%s' is no value%s", name,
                  tn_decl_is_callable(decl) ? tn_namef(s->ctx, ": %s(...) calls it", name) : "");
    tn_note(s->ctx, decl->loc, "'%s' is declared here", name);
    return NULL;
  }
  if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0) return tn_datum_bool(s, name[0] == 't', loc);
  if (strcmp(name, "inf") == 0) return tn_datum_float(s, (double)INFINITY, loc);
  if (tn_builtin_find(name)) {
    tn_frame_error(f, loc, TN_E_LANG_KIND, "'%s' is a function: %s(...) calls it", name, name);
    return NULL;
  }
  return unknown_name(f, name, loc);
}

static tn_datum *tuple_value(tn_frame *f, const tn_ast_expr *expr) {
  tn_sema *s = f->sema;
  uint32_t n = (uint32_t)expr->tuple.n;
  tn_datum **parts = TN_NEW_N(s->arena, tn_datum *, n);
  const char **names = TN_NEW_N(s->arena, const char *, n);
  bool ok = true;
  for (uint32_t i = 0; i < n; i++) {
    parts[i] = tn_eval_expr(f, expr->tuple.data[i].value);
    names[i] = expr->tuple.data[i].name.text;
    ok = ok && parts[i];
  }
  if (!ok) return NULL;
  tn_datum *tuple = tn_datum_tuple(s, parts, n, expr->loc);
  tuple->tuple.names = names;
  return tuple;
}

static tn_datum *weight_member(tn_frame *f, const tn_instance *instance, const tn_ast_expr *expr) {
  const char *name = expr->member.name.text;
  const tn_weight *weight = tn_map_get(&instance->weights, name);
  if (weight) {
    tn_weight seen = *weight; /* from the caller's side */
    if (weight->outer) seen.axes = weight->outer;
    return tn_weight_value(f->sema, &seen);
  }
  tn_frame_error(f, expr->loc, TN_E_LANG_NAME, "'%s' has no weight '%s'%s", instance->path, name,
                instance->weights.n ? "" : " yet: its weights are made when it is first applied");
  for (size_t i = 0; i < instance->weights.n; i++)
    tn_note(f->sema->ctx, expr->loc, "it has '%s'", (const char *)instance->weights.entries[i].key);
  return NULL;
}

static tn_datum *member_value(tn_frame *f, const tn_ast_expr *expr) {
  const tn_ast_expr *object = expr->member.object;
  const char *name = expr->member.name.text;
  if (object->kind == TN_AST_NAME && !tn_frame_find(f, object->name)) {
    const tn_decl *alias = tn_unit_find(f->unit, object->name);
    tn_decl *decl = alias && alias->kind == TN_DECL_ALIAS ? tn_unit_find(alias->unit, name) : NULL;
    if (decl && tn_decl_is(decl, TN_AST_LET_ITEM)) return tn_decl_value(f->sema, decl, expr->loc);
    if (decl && tn_decl_is_callable(decl)) {
      tn_frame_error(f, expr->loc, TN_E_LANG_KIND, "'%s.%s' is no value: it is called with arguments", object->name,
                    name);
      return NULL;
    }
    if (alias && alias->kind == TN_DECL_ALIAS) {
      tn_frame_error(f, expr->loc, TN_E_LANG_NAME, "'%s' has no name '%s'", object->name, name);
      tn_note(f->sema->ctx, alias->loc, "'%s' is imported here", object->name);
      return NULL;
    }
  }
  tn_datum *value = tn_eval_expr(f, object);
  if (!value || value->kind == TN_DATUM_POISON) return NULL;
  if (value->kind == TN_DATUM_INSTANCE) return weight_member(f, value->instance, expr);
  for (uint32_t i = 0; value->kind == TN_DATUM_TUPLE && i < value->tuple.n; i++)
    if (value->tuple.names[i] == name) return value->tuple.parts[i];
  tn_frame_error(f, expr->loc, TN_E_LANG_NAME, "%s has no part '%s'", tn_datum_describe(f->sema, value), name);
  return NULL;
}

static bool is_of_parts(const tn_ast_expr *e) {
  return e->kind == TN_AST_TUPLE || e->kind == TN_AST_INDEX || e->kind == TN_AST_UNARY || e->kind == TN_AST_BINARY;
}

static tn_datum *eval(tn_frame *f, const tn_ast_expr *expr) {
  tn_sema *s = f->sema;
  if (f->is_dry && is_of_parts(expr)) return tn_names_expr(f, expr);
  switch (expr->kind) {
    case TN_AST_NAME: return name_value(f, expr->name, expr->loc);
    case TN_AST_INT: return tn_datum_int_const(s, expr->number.integer, expr->loc);
    case TN_AST_FLOAT: return tn_datum_float(s, expr->number.value, expr->loc);
    case TN_AST_STRING: return tn_datum_text(s, TN_DATUM_TEXT, expr->string.text, expr->loc);
    case TN_AST_TUPLE: return tuple_value(f, expr);
    case TN_AST_CALL: return tn_eval_call(f, expr, NULL);
    case TN_AST_MEMBER: return member_value(f, expr);
    case TN_AST_INDEX: return tn_eval_index(f, expr);
    case TN_AST_PIPE: return tn_eval_pipe(f, expr);
    case TN_AST_RANGE:
      tn_frame_error(f, expr->loc, TN_E_LANG_KIND, "a range stands in an index or behind 'in' only");
      return NULL;
    case TN_AST_UNARY: {
      tn_datum *x = tn_eval_expr(f, expr->op.right);
      return x ? tn_eval_unary(f, expr->op.op, x, expr->loc) : NULL;
    }
    case TN_AST_BINARY: {
      tn_datum *x = tn_eval_expr(f, expr->op.left), *y = tn_eval_expr(f, expr->op.right);
      return x && y ? tn_eval_binary(f, expr->op.op, x, y, expr->loc) : NULL;
    }
  }
  return NULL;
}

tn_datum *tn_eval_expr(tn_frame *f, const tn_ast_expr *expr) {
  tn_sema *s = f->sema;
  bool too_deep = s->expr_depth >= TN_LANG_MAX_DEPTH, too_long = s->n_steps >= TN_LANG_MAX_STEPS;
  bool too_large = s->func && s->func->next_value_id >= TN_LANG_MAX_VALUES;
  if (too_deep || too_long || too_large) {
    if (!s->is_over)
      tn_frame_error(f, expr->loc, TN_E_LIMIT, "the model is too large: %s",
                    too_deep ? "expressions and calls are nested too deeply"
                             : too_long ? "it evaluates more than 20 million expressions"
                                        : "its graph has more than 2 million values");
    s->is_over = true;
    return NULL;
  }
  s->expr_depth++;
  s->n_steps++;
  tn_loc_push(s->ctx, expr->loc);
  tn_datum *value = eval(f, expr);
  tn_loc_pop(s->ctx);
  s->expr_depth--;
  return value && value->kind != TN_DATUM_POISON ? value : NULL;
}

bool tn_eval_static_int(tn_frame *f, const tn_ast_expr *expr, const char *what, int64_t *out) {
  const tn_datum *value = tn_eval_expr(f, expr);
  return value && tn_datum_static_int(f->sema, value, what, out);
}
