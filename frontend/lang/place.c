/* Placement: dims on axes of a mesh (H@tensor). An axis exists, stands once in a type, and its size divides the dims
 * that are placed on it, as far as those are dims of the file. */
#include <string.h>

#include "frontend/lang/sema.h"

typedef struct mesh_axis {
  const char *name;
  int64_t size;
  tn_loc loc;
} mesh_axis;

typedef struct meshes {
  tn_sema *s;
  tn_unit *unit;
  TN_VEC(mesh_axis) axes;
} meshes;

int64_t tn_mesh_size(const tn_ast_expr *e) {
  bool is_negative = e->kind == TN_AST_UNARY && e->op.op == TN_AST_NEG;
  const tn_ast_expr *number = is_negative ? e->op.right : e;
  if (number->kind != TN_AST_INT || number->number.unit != TN_AST_UNIT_NONE) return 0;
  if (is_negative) return number->number.integer == 1 ? -1 : 0;
  return number->number.integer <= INT32_MAX ? number->number.integer : 0;
}

static void add_mesh(meshes *m, const tn_ast_item *item) {
  const tn_ast_expr *value = item->value;
  const tn_ast_arg *any = NULL;
  for (size_t i = 0; value->kind == TN_AST_TUPLE && i < value->tuple.n; i++) {
    const tn_ast_arg *arg = &value->tuple.data[i];
    mesh_axis axis = {arg->name.text, tn_mesh_size(arg->value), arg->loc};
    if (!axis.name || axis.size == 0) {
      tn_error(m->s->ctx, arg->loc, TN_E_LANG_SETTING, "a mesh lists its axes with their sizes: (data: 4, tensor: 2)");
      continue;
    }
    if (axis.size < 0 && any) {
      tn_error(m->s->ctx, arg->loc, TN_E_LANG_SETTING, "one axis of a mesh takes the processes that are left");
      tn_note(m->s->ctx, any->loc, "'%s' does already", any->name.text);
    }
    if (axis.size < 0) any = arg;
    TN_VEC_PUSH(m->s->arena, &m->axes, axis);
  }
}

static const mesh_axis *find(const meshes *m, const char *name) {
  for (size_t i = 0; i < m->axes.n; i++)
    if (m->axes.data[i].name == name) return &m->axes.data[i];
  return NULL;
}

static void unknown_axis(const meshes *m, const tn_ast_name *name) {
  const char **names = TN_NEW_N(m->s->arena, const char *, m->axes.n);
  for (size_t i = 0; i < m->axes.n; i++) names[i] = m->axes.data[i].name;
  const char *near = tn_str_nearest(name->text, names, m->axes.n);
  tn_error(m->s->ctx, name->loc, TN_E_LANG_SETTING, "no mesh has an axis '%s'", name->text);
  if (near) tn_help(m->s->ctx, "did you mean '%s'?", near);
}

/* The extent of a dim that the file declares, or -1. */
static int64_t extent_of(const meshes *m, const tn_ast_expr *e) {
  if (e->kind == TN_AST_INT) return e->number.integer;
  tn_decl *decl = e->kind == TN_AST_NAME ? tn_unit_find(m->unit, e->name) : NULL;
  const tn_datum *value = decl && decl->kind == TN_DECL_DIM ? tn_decl_value(m->s, decl, e->loc) : NULL;
  return value && tn_dim_is_const(value->integer.extent) ? tn_dim_value(value->integer.extent) : -1;
}

static void check_axis(const meshes *m, const tn_ast_dim *dim, const tn_ast_name *name) {
  const mesh_axis *axis = find(m, name->text);
  if (!axis) {
    unknown_axis(m, name);
    return;
  }
  int64_t extent = dim->extent ? extent_of(m, dim->extent) : -1;
  if (extent < 0 || axis->size < 0 || extent % axis->size == 0) return;
  tn_buf text = tn_buf_create(m->s->arena);
  tn_ast_print_expr(dim->extent, &text);
  tn_error(m->s->ctx, dim->loc, TN_E_LANG_SETTING,
           "dim %s = %lld is placed on mesh axis '%s' of size %lld, %lld is not a multiple of %lld", text.data,
           (long long)extent, axis->name, (long long)axis->size, (long long)extent, (long long)axis->size);
  tn_note(m->s->ctx, axis->loc, "'%s' is declared here", axis->name);
}

static void check_type(const meshes *m, const tn_ast_type *type) {
  TN_VEC(const tn_ast_name *) seen = {0};
  for (size_t i = 0; type && i < type->parts.n; i++) check_type(m, type->parts.data[i]);
  for (size_t i = 0; type && i < type->dims.n; i++) {
    const tn_ast_dim *dim = &type->dims.data[i];
    for (size_t k = 0; k < dim->axes.n; k++) {
      const tn_ast_name *name = &dim->axes.data[k];
      check_axis(m, dim, name);
      for (size_t j = 0; j < seen.n; j++)
        if (seen.data[j]->text == name->text) {
          tn_error(m->s->ctx, name->loc, TN_E_LANG_SETTING, "mesh axis '%s' stands twice in one type", name->text);
          tn_note(m->s->ctx, seen.data[j]->loc, "it stands here already");
        }
      TN_VEC_PUSH(m->s->arena, &seen, name);
    }
  }
}

static void check_body(const meshes *m, const tn_ast_body *body) {
  for (size_t i = 0; body && i < body->stmts.n; i++) {
    check_type(m, body->stmts.data[i]->type);
    check_body(m, body->stmts.data[i]->body);
  }
}

void tn_places_check(tn_sema *s, tn_unit *unit) {
  meshes m = {.s = s, .unit = unit};
  for (size_t i = 0; i < unit->ast->items.n; i++)
    if (unit->ast->items.data[i]->kind == TN_AST_MESH) add_mesh(&m, unit->ast->items.data[i]);
  for (size_t i = 0; i < unit->ast->items.n; i++) {
    const tn_ast_item *item = unit->ast->items.data[i];
    for (size_t k = 0; k < item->formals.n; k++) check_type(&m, item->formals.data[k].type);
    check_type(&m, item->result);
    check_body(&m, item->body);
  }
}
