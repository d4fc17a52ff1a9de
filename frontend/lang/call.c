/* Calls: what the callee is and what it is given. */
#include <string.h>

#include "frontend/lang/builtin.h"

typedef struct callee {
  const char *name;
  tn_instance *instance; /* a sub */
  tn_decl *decl;         /* a module or model */
  const tn_builtin *builtin;
} callee;

static bool not_callable(tn_frame *f, const char *name, tn_loc loc, tn_loc declared) {
  tn_frame_error(f, loc, TN_E_LANG_KIND, "'%s' is no function or module", name);
  if (declared) tn_note(f->sema->ctx, declared, "'%s' is declared here", name);
  return false;
}

static bool find_name(tn_frame *f, const char *name, tn_loc loc, callee *out) {
  const tn_name_binding *binding = tn_frame_find(f, name);
  *out = (callee){.name = name};
  if (binding && binding->value && binding->value->kind == TN_DATUM_INSTANCE) {
    out->instance = binding->value->instance;
    out->decl = out->instance->decl;
    out->builtin = out->instance->builtin;
    return true;
  }
  tn_decl *decl = tn_unit_find(f->unit, name);
  if (decl && tn_decl_is_callable(decl)) return out->decl = decl, true;
  out->builtin = tn_builtin_find(name);
  if (f->sees_losses && !out->builtin) out->builtin = tn_loss_find(name);
  if (out->builtin) return true;
  if (binding && (!binding->value || binding->value->kind == TN_DATUM_POISON)) return false; /* said before */
  if (binding || decl) return not_callable(f, name, loc, binding ? binding->loc : decl->loc);
  const char *near = tn_frame_nearest(f, name);
  tn_frame_error(f, loc, TN_E_LANG_NAME, "unknown function or module '%s'", name);
  if (near) tn_help(f->sema->ctx, "did you mean '%s'?", near);
  return false;
}

/* M, or b.M of an import. */
static bool find_callee(tn_frame *f, const tn_ast_expr *expr, callee *out) {
  if (expr->kind == TN_AST_NAME) return find_name(f, expr->name, expr->loc, out);
  const tn_ast_expr *object = expr->kind == TN_AST_MEMBER ? expr->member.object : NULL;
  const tn_decl *alias = object && object->kind == TN_AST_NAME ? tn_unit_find(f->unit, object->name) : NULL;
  if (!alias || alias->kind != TN_DECL_ALIAS)
    return tn_frame_error(f, expr->loc, TN_E_LANG_KIND, "this cannot be called");
  *out = (callee){.name = expr->member.name.text, .decl = tn_unit_find(alias->unit, expr->member.name.text)};
  if (out->decl && tn_decl_is_callable(out->decl)) return true;
  tn_frame_error(f, expr->loc, TN_E_LANG_NAME, "'%s' has no module '%s'", object->name, out->name);
  tn_note(f->sema->ctx, alias->loc, "'%s' is imported here", object->name);
  return false;
}

/* Adds the arguments of a call as they are written: those by position first, as the parser saw to. */
static void add_args(tn_frame *f, const tn_ast_args *args, tn_given *out, size_t *n) {
  for (size_t i = 0; i < args->n; i++) {
    const tn_ast_arg *arg = &args->data[i];
    out[(*n)++] = (tn_given){arg->name.text, arg->value, NULL, arg->loc, f};
  }
}

/* The arguments that `sub` was given, under their names, behind those of the application. */
static bool add_sub_args(const tn_instance *sub, const char *const *params, size_t n_params, tn_given *out, size_t *n) {
  size_t first = *n, position = 0;
  if (!sub->call || sub->call->kind != TN_AST_CALL) return true;
  add_args(sub->frame, &sub->call->call.args, out, n);
  for (size_t i = first; i < *n; i++) {
    if (out[i].name) continue;
    if (position == n_params)
      return tn_frame_error(sub->frame, out[i].loc, TN_E_LANG_ARGUMENT,
                           "'%s' takes %zu arguments that are no tensors", sub->path, n_params);
    out[i].name = params[position++];
  }
  return true;
}

static tn_datum *apply(tn_frame *f, const callee *c, tn_given *given, size_t n, tn_loc loc) {
  if (c->builtin) return tn_builtin_call(f, c->builtin, c->instance, given, n, loc);
  return tn_module_call(f, c->decl, c->instance, given, n, loc);
}

/* The parameters that a sub is given: those that are no tensors. */
static size_t static_params(tn_sema *s, const tn_instance *sub, const char ***out) {
  if (sub->builtin) return tn_builtin_static_params(s, sub->builtin, out);
  const tn_ast_formals *formals = &sub->decl->item->formals;
  size_t n = 0;
  *out = TN_NEW_N(s->arena, const char *, formals->n);
  for (size_t i = 0; i < formals->n; i++)
    if (!tn_type_is_tensor(formals->data[i].type)) (*out)[n++] = formals->data[i].name.text;
  return n;
}

static tn_datum *call_with(tn_frame *f, const tn_ast_expr *target, const tn_ast_args *args, tn_datum *piped,
                           tn_loc loc) {
  callee c = {0};
  size_t n = 0, n_sub = 0;
  if (!find_callee(f, target, &c)) return NULL;
  if (c.instance && c.instance->call && c.instance->call->kind == TN_AST_CALL) n_sub = c.instance->call->call.args.n;
  tn_given *given = TN_NEW_N(f->sema->arena, tn_given, (args ? args->n : 0) + n_sub + 1);
  if (piped) given[n++] = (tn_given){NULL, NULL, piped, piped->loc, f};
  if (args) add_args(f, args, given, &n);
  if (c.instance) {
    const char **params;
    size_t n_params = static_params(f->sema, c.instance, &params);
    if (!add_sub_args(c.instance, params, n_params, given, &n)) return NULL;
  }
  return apply(f, &c, given, n, loc);
}

tn_datum *tn_eval_call(tn_frame *f, const tn_ast_expr *call, tn_datum *piped) {
  return call_with(f, call->call.callee, &call->call.args, piped, call->loc);
}

tn_datum *tn_eval_pipe(tn_frame *f, const tn_ast_expr *pipe) {
  const tn_ast_expr *right = pipe->pipe.right;
  tn_datum *left = tn_eval_expr(f, pipe->pipe.left);
  if (!left && f->is_dry) left = tn_datum_poison(f->sema, pipe->pipe.left->loc);
  if (!left) return NULL;
  left = tn_datum_at(f->sema, left, pipe->pipe.left->loc);
  tn_loc_push(f->sema->ctx, right->loc);
  tn_datum *result = right->kind == TN_AST_CALL ? tn_eval_call(f, right, left)
                                                : call_with(f, right, NULL, left, right->loc);
  tn_loc_pop(f->sema->ctx);
  return result;
}

/* What a sub is given fits what it applies; the values are checked when it is applied. */
static bool check_sub_args(tn_frame *f, const callee *c, const tn_instance *instance, const tn_ast_expr *call) {
  const char **params;
  size_t n = static_params(f->sema, instance, &params), position = 0;
  const tn_ast_args *args = &call->call.args;
  for (size_t i = 0; i < args->n; i++) {
    const tn_ast_arg *arg = &args->data[i];
    size_t k = 0;
    while (arg->name.text && k < n && strcmp(params[k], arg->name.text) != 0) k++;
    if (arg->name.text ? k < n : position++ < n) continue;
    if (!arg->name.text)
      return tn_frame_error(f, arg->loc, TN_E_LANG_ARGUMENT, "a sub gives %s its %zu arguments that are no tensors, "
                            "this is one more", c->name, n);
    const char *near = tn_str_nearest(arg->name.text, params, n);
    tn_frame_error(f, arg->loc, TN_E_LANG_ARGUMENT, "%s has no argument '%s' that is no tensor", c->name,
                   arg->name.text);
    if (near) tn_help(f->sema->ctx, "did you mean '%s'?", near);
    if (c->decl) tn_note(f->sema->ctx, c->decl->loc, "%s is declared here", c->name);
    return false;
  }
  return true;
}

tn_datum *tn_eval_sub(tn_frame *f, const char *name, const tn_ast_expr *expr) {
  tn_sema *s = f->sema;
  callee c = {0};
  if (!find_callee(f, expr->kind == TN_AST_CALL ? expr->call.callee : expr, &c)) return NULL;
  if (c.instance) {
    tn_frame_error(f, expr->loc, TN_E_LANG_KIND, "'%s' is an instance already", c.name);
    return NULL;
  }
  tn_instance *instance = tn_instance_child(s, f->instance, name);
  instance->decl = c.decl;
  instance->builtin = c.builtin;
  instance->call = expr;
  if (expr->kind == TN_AST_CALL && !check_sub_args(f, &c, instance, expr)) return NULL;
  instance->frame = f;
  tn_datum *datum = tn_datum_poison(s, expr->loc);
  datum->kind = TN_DATUM_INSTANCE;
  datum->instance = instance;
  return datum;
}
