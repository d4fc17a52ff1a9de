/* Modules and models that nothing instantiates: their bodies are walked with arguments of which nothing is known, so
 * that names, arguments of calls and what is known of types are checked all the same. Frames with is_dry make no graph:
 * expressions that depend on an argument have no value, which says nothing more. */
#include <string.h>

#include "frontend/lang/builtin.h"

static tn_datum *tuple_value(tn_frame *f, const tn_ast_expr *e) {
  uint32_t n = (uint32_t)e->tuple.n;
  tn_datum **parts = TN_NEW_N(f->sema->arena, tn_datum *, n);
  bool known = true;
  for (uint32_t i = 0; i < n; i++) {
    parts[i] = tn_eval_expr(f, e->tuple.data[i].value);
    known = known && parts[i];
  }
  return known ? tn_datum_tuple(f->sema, parts, n, e->loc) : NULL;
}

static void index_names(tn_frame *f, const tn_ast_expr *e) {
  tn_eval_expr(f, e->index.object);
  for (size_t i = 0; i < e->index.entries.n; i++) {
    const tn_ast_idx *entry = &e->index.entries.data[i];
    tn_ast_expr dim = {.kind = TN_AST_NAME, .loc = entry->dim.loc, .depth = 1, .name = entry->dim.text};
    if (entry->dim.text) tn_eval_expr(f, &dim);
    if (!entry->value) continue;
    if (entry->value->kind != TN_AST_RANGE) tn_eval_expr(f, entry->value);
    else tn_names_range(f, entry->value);
  }
}

void tn_names_range(tn_frame *f, const tn_ast_expr *range) {
  tn_eval_expr(f, range->range.first);
  tn_eval_expr(f, range->range.end);
  if (range->range.step) tn_eval_expr(f, range->range.step);
}

tn_datum *tn_names_expr(tn_frame *f, const tn_ast_expr *e) {
  switch (e->kind) {
    case TN_AST_TUPLE: return tuple_value(f, e);
    case TN_AST_INDEX: index_names(f, e); return NULL;
    case TN_AST_UNARY: {
      tn_datum *x = tn_eval_expr(f, e->op.right);
      return x && tn_datum_is_scalar(x) ? tn_eval_unary(f, e->op.op, x, e->loc) : NULL;
    }
    case TN_AST_BINARY: {
      tn_datum *x = tn_eval_expr(f, e->op.left), *y = tn_eval_expr(f, e->op.right);
      bool known = x && y && tn_datum_is_scalar(x) && tn_datum_is_scalar(y);
      return known ? tn_eval_binary(f, e->op.op, x, y, e->loc) : NULL;
    }
    default: return NULL; /* names, literals, members and calls are evaluated as everywhere */
  }
}

/* --- Statements --- */

static void declare(tn_frame *f, const tn_ast_name *name, tn_name_kind kind) {
  tn_frame_declare(f, name->text, kind, tn_datum_poison(f->sema, name->loc), name->loc);
}

static void weight_names(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_shape shape;
  tn_init init;
  tn_shape_of_type(f, stmt->type, &shape);
  if (stmt->value) tn_init_of_expr(f, stmt->value, &init);
  declare(f, &stmt->name, TN_NAME_WEIGHT);
}

static void body_names(tn_frame *f, const tn_ast_body *body);

static void for_names(tn_frame *f, const tn_ast_stmt *stmt) {
  if (stmt->value->kind == TN_AST_RANGE) tn_names_range(f, stmt->value);
  else tn_frame_error(f, stmt->value->loc, TN_E_LANG_KIND, "for %s in: expected a range a..b", stmt->name.text);
  f->sema->loop_depth++;
  tn_frame_push(f);
  declare(f, &stmt->name, TN_NAME_LET);
  body_names(f, stmt->body);
  tn_frame_pop(f);
  f->sema->loop_depth--;
}

static void scan_names(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_ast_expr along = {.kind = TN_AST_NAME, .loc = stmt->along.loc, .depth = 1, .name = stmt->along.text};
  tn_eval_expr(f, stmt->value);
  tn_eval_expr(f, &along);
  for (size_t i = 0; i < stmt->carries.n; i++) tn_eval_expr(f, stmt->carries.data[i].value);
  f->sema->scan_depth++;
  tn_frame_push(f);
  for (size_t i = 0; i < stmt->carries.n; i++) declare(f, &stmt->carries.data[i].name, TN_NAME_LOOP);
  for (size_t i = 0; i < stmt->names.n; i++) declare(f, &stmt->names.data[i], TN_NAME_LET);
  body_names(f, stmt->body);
  tn_frame_pop(f);
  f->sema->scan_depth--;
  for (size_t i = 0; i < stmt->carries.n; i++) declare(f, &stmt->carries.data[i].name, TN_NAME_LET);
  for (size_t i = 0; i < stmt->body->stmts.n; i++)
    if (stmt->body->stmts.data[i]->kind == TN_AST_YIELD) declare(f, &stmt->body->stmts.data[i]->name, TN_NAME_LET);
}

static void body_names(tn_frame *f, const tn_ast_body *body) {
  for (size_t i = 0; i < body->stmts.n; i++) {
    const tn_ast_stmt *stmt = body->stmts.data[i];
    tn_datum *none = NULL;
    switch (stmt->kind) {
      case TN_AST_PARAM:
      case TN_AST_BUFFER: weight_names(f, stmt); break;
      case TN_AST_FOR: for_names(f, stmt); break;
      case TN_AST_SCAN: scan_names(f, stmt); break;
      case TN_AST_YIELD: tn_eval_expr(f, stmt->value); break;
      default: {
        tn_ast_body one = {.loc = stmt->loc};
        TN_VEC_PUSH(f->sema->arena, &one.stmts, body->stmts.data[i]);
        tn_body_run(f, &one, &none);
      }
    }
  }
}

/* --- Declarations --- */

static void formal_names(tn_frame *f, const tn_ast_type *type) {
  for (size_t i = 0; i < type->parts.n; i++) formal_names(f, type->parts.data[i]);
  for (size_t i = 0; i < type->dims.n; i++) {
    const tn_ast_dim *dim = &type->dims.data[i];
    const char *name = tn_type_free_name(f, dim);
    tn_ast_name one = {name, dim->loc};
    if (name) declare(f, &one, TN_NAME_LABEL);
    if (!dim->extent && !tn_map_get(&f->rests, dim->rest.text)) {
      tn_axis_list *list = TN_NEW(f->sema->arena, tn_axis_list);
      *list = (tn_axis_list){0, NULL};
      tn_map_set(&f->rests, dim->rest.text, list);
    }
  }
}

static void type_names(tn_frame *f, const tn_ast_type *type) {
  tn_shape shape;
  for (size_t i = 0; i < type->parts.n; i++) type_names(f, type->parts.data[i]);
  if (type->name.text && tn_type_is_tensor(type)) tn_shape_of_type(f, type, &shape);
}

static void decl_names(tn_sema *s, tn_decl *decl) {
  const tn_ast_item *item = decl->item;
  tn_frame *f = tn_frame_create(s, decl->unit, NULL, decl->loc);
  f->decl = decl;
  f->is_dry = true;
  for (size_t i = 0; i < item->formals.n; i++) formal_names(f, item->formals.data[i].type);
  for (size_t i = 0; i < item->formals.n; i++) {
    const tn_ast_formal *formal = &item->formals.data[i];
    tn_given fallback = {formal->name.text, formal->value, NULL, formal->loc, f};
    bool is_static = formal->type->name.text && !tn_type_is_tensor(formal->type);
    type_names(f, formal->type);
    if (formal->value && is_static) tn_names_static(f, formal->type, &fallback, formal->name.text);
    declare(f, &formal->name, TN_NAME_FORMAL);
  }
  if (item->value) tn_eval_expr(f, item->value);
  else body_names(f, item->body);
  type_names(f, item->result);
}

void tn_names_static(tn_frame *f, const tn_ast_type *type, tn_given *given, const char *what) {
  bool is_init = strcmp(type->name.text, "init") == 0;
  bool is_word = given->expr && given->expr->kind == TN_AST_NAME && strcmp(type->name.text, "dtype") == 0;
  if (!is_init && !is_word && !given->datum) given->datum = tn_eval_expr(given->frame, given->expr);
  if (is_init || is_word || given->datum) tn_static_argument(f, type, given, what);
}

void tn_names_check(tn_sema *s, tn_unit *unit) {
  for (size_t i = 0; i < unit->names.n; i++) {
    tn_decl *decl = unit->names.entries[i].value;
    if (decl->unit != unit || !tn_decl_is_callable(decl) || !decl->item->result) continue;
    if (!decl->is_instantiated) decl_names(s, decl);
  }
}
