/* Instantiating modules and models: arguments, body, result. */
#include <string.h>

#include "frontend/lang/sema.h"

static const char *argument_text(const tn_frame *f, const tn_ast_formal *formal) {
  return tn_namef(f->sema->ctx, "argument '%s' of %s", formal->name.text, f->decl->name);
}

/* --- Arguments --- */

static bool no_such_formal(tn_frame *f, const tn_given *given) {
  const tn_ast_item *item = f->decl->item;
  const char **names = TN_NEW_N(f->sema->arena, const char *, item->formals.n);
  for (size_t i = 0; i < item->formals.n; i++) names[i] = item->formals.data[i].name.text;
  const char *near = tn_str_nearest(given->name, names, item->formals.n);
  tn_frame_error(f->caller, given->loc, TN_E_LANG_ARGUMENT, "%s has no argument '%s'", f->decl->name, given->name);
  if (near) tn_help(f->sema->ctx, "did you mean '%s'?", near);
  tn_note(f->sema->ctx, f->decl->loc, "%s is declared here", f->decl->name);
  return false;
}

/* Which given argument each formal has; NULL: none. */
static bool assign(tn_frame *f, tn_given *given, size_t n, tn_given **of_formal) {
  const tn_ast_formals *formals = &f->decl->item->formals;
  size_t position = 0;
  for (size_t i = 0; i < n; i++) {
    size_t k = given[i].name ? 0 : position++;
    while (given[i].name && k < formals->n && formals->data[k].name.text != given[i].name) k++;
    if (k >= formals->n && given[i].name) return no_such_formal(f, &given[i]);
    if (k >= formals->n) {
      tn_frame_error(f->caller, given[i].loc, TN_E_LANG_ARGUMENT, "%s takes %zu arguments, this is one more",
                    f->decl->name, formals->n);
      tn_note(f->sema->ctx, f->decl->loc, "%s is declared here", f->decl->name);
      return false;
    }
    if (of_formal[k])
      return tn_frame_error(f->caller, given[i].loc, TN_E_LANG_ARGUMENT, "%s is given twice",
                           argument_text(f, &formals->data[k]));
    of_formal[k] = &given[i];
  }
  for (size_t k = 0; k < formals->n; k++)
    if (!of_formal[k] && !formals->data[k].value) {
      tn_frame_error(f->caller, f->call_loc, TN_E_LANG_ARGUMENT, "%s is missing", argument_text(f, &formals->data[k]));
      tn_note(f->sema->ctx, formals->data[k].loc, "it has no default");
      return false;
    }
  return true;
}

/* The tensors that are given; the dims in their types are bound to what they have. */
static bool bind_tensors(tn_frame *f, tn_given **of_formal, tn_datum **values) {
  const tn_ast_formals *formals = &f->decl->item->formals;
  bool ok = true;
  for (size_t i = 0; i < formals->n; i++) {
    const tn_ast_formal *formal = &formals->data[i];
    if (!of_formal[i] || !(tn_type_is_tensor(formal->type) || !formal->type->name.text)) continue;
    values[i] = of_formal[i]->datum ? of_formal[i]->datum : tn_eval_expr(of_formal[i]->frame, of_formal[i]->expr);
    if (values[i]) values[i] = tn_datum_at(f->sema, values[i], of_formal[i]->loc);
    ok = ok && values[i] && tn_type_bind(f, formal->type, values[i], argument_text(f, formal));
  }
  return ok;
}

/* Integers get a label of their own name; seen from the caller it is the label that the argument had. */
static bool declare_static(tn_frame *f, const tn_ast_formal *formal, tn_datum *value) {
  if (value->kind == TN_DATUM_INT) {
    tn_axis axis = value->integer;
    axis.loc = value->loc;
    return tn_type_bind_name(f, formal->name.text, axis, formal->loc);
  }
  return tn_frame_declare(f, formal->name.text, TN_NAME_FORMAL, value, formal->loc) != NULL;
}

static bool bind_statics(tn_frame *f, tn_given **of_formal) {
  const tn_ast_formals *formals = &f->decl->item->formals;
  bool ok = true;
  for (size_t i = 0; i < formals->n; i++) {
    const tn_ast_formal *formal = &formals->data[i];
    if (tn_type_is_tensor(formal->type) || !formal->type->name.text) continue;
    tn_given by_default = {formal->name.text, formal->value, NULL, formal->loc, f};
    tn_datum *value = tn_static_argument(f, formal->type, of_formal[i] ? of_formal[i] : &by_default,
                                     argument_text(f, formal));
    ok = ok && value && declare_static(f, formal, value);
  }
  return ok;
}

static bool adopt_tensors(tn_frame *f, tn_datum **values) {
  const tn_ast_formals *formals = &f->decl->item->formals;
  bool ok = true;
  for (size_t i = 0; i < formals->n; i++) {
    const tn_ast_formal *formal = &formals->data[i];
    if (!tn_type_is_tensor(formal->type) && formal->type->name.text) continue;
    if (!values[i] && formal->value) values[i] = tn_eval_expr(f, formal->value);
    tn_datum *value = values[i] ? tn_type_adopt(f, formal->type, values[i], argument_text(f, formal)) : NULL;
    ok = ok && value && tn_frame_declare(f, formal->name.text, TN_NAME_FORMAL, value, formal->loc);
  }
  return ok;
}

/* --- Body --- */

static tn_datum *run(tn_frame *f) {
  const tn_ast_item *item = f->decl->item;
  tn_datum *result = NULL;
  if (item->value) {
    result = tn_eval_expr(f, item->value);
    if (result) result = tn_datum_at(f->sema, result, item->value->loc);
  }
  else if (!tn_body_run(f, item->body, &result)) return NULL;
  else if (!result) {
    tn_frame_error(f, f->decl->loc, TN_E_LANG_RETURN, "'%s' returns nothing: its body needs a return", f->decl->name);
    return NULL;
  }
  return result ? tn_type_adopt(f, item->result, result, tn_namef(f->sema->ctx, "the result of %s", f->decl->name))
                : NULL;
}

static bool is_running(const tn_frame *f, const tn_decl *decl) {
  for (; f; f = f->caller)
    if (f->decl == decl) return true;
  return false;
}

static bool may_call(tn_frame *f, const tn_decl *decl, tn_loc loc) {
  if (is_running(f, decl)) {
    tn_error(f->sema->ctx, loc, TN_E_LANG_RECURSION, "%s calls itself: models are finite, a 'for' repeats", decl->name);
    tn_note(f->sema->ctx, decl->loc, "%s is declared here", decl->name);
    tn_frame_note_calls(f);
    return false;
  }
  if (f->depth < TN_LANG_MAX_CALLS) return true;
  return tn_frame_error(f, loc, TN_E_LIMIT, "more than %d calls inside each other", TN_LANG_MAX_CALLS);
}

/* Whether what was said last, since diagnostic `first`, tells which calls led to it. */
static bool tells_calls(const tn_ctx *ctx, size_t first) {
  for (size_t i = ctx->diags.n; i-- > first;) {
    const tn_diag *diag = &ctx->diags.data[i];
    if (diag->severity == TN_NOTE && strncmp(diag->text, "in the call of ", 15) == 0) return true;
    if (!tn_severity_is_remark(diag->severity)) return diag->severity != TN_ERROR;
  }
  return true;
}

/* A call in a body that is only looked at: the arguments fit the formals as far as they are known. */
static void check_call(tn_frame *f, tn_given *given, size_t n) {
  const tn_ast_formals *formals = &f->decl->item->formals;
  tn_given **of_formal = TN_NEW_N(f->sema->arena, tn_given *, formals->n);
  assign(f, given, n, of_formal);
  for (size_t i = 0; i < formals->n; i++) {
    const tn_ast_formal *formal = &formals->data[i];
    bool is_static = formal->type->name.text && !tn_type_is_tensor(formal->type);
    if (!of_formal[i]) continue;
    if (is_static) tn_names_static(f, formal->type, of_formal[i], argument_text(f, formal));
    else if (!of_formal[i]->datum) tn_eval_expr(of_formal[i]->frame, of_formal[i]->expr);
  }
}

tn_datum *tn_module_call(tn_frame *caller, tn_decl *decl, tn_instance *instance, tn_given *given, size_t n,
                         tn_loc loc) {
  tn_sema *s = caller->sema;
  if (!may_call(caller, decl, loc)) return NULL;
  if (!decl->item->result && caller->is_dry) return NULL;
  if (!decl->item->result) return tn_outer_model_call(caller, decl, instance, given, n, loc);
  tn_frame *f = tn_frame_create(s, decl->unit, caller, loc);
  f->decl = decl;
  if (caller->is_dry) {
    check_call(f, given, n);
    return NULL;
  }
  decl->is_instantiated = true;
  f->instance = instance ? instance : tn_frame_next_instance(caller, decl->name);
  size_t n_formals = decl->item->formals.n;
  tn_given **of_formal = TN_NEW_N(s->arena, tn_given *, n_formals);
  tn_datum **values = TN_NEW_N(s->arena, tn_datum *, n_formals);
  uint32_t loop_depth = s->loop_depth;
  if (!assign(f, given, n, of_formal) || !bind_tensors(f, of_formal, values) || !bind_statics(f, of_formal) ||
      !adopt_tensors(f, values))
    return NULL;
  size_t before = s->ctx->diags.n;
  tn_datum *result = run(f);
  if (s->ctx->diags.n != before && !tells_calls(s->ctx, before)) tn_frame_note_calls(f);
  s->loop_depth = loop_depth;
  return result ? tn_type_leave(f, decl->item->result, result) : NULL;
}

/* --- Models --- */

static const tn_lang_setting *dim_option(const tn_sema *s, const char *name) {
  for (uint32_t i = 0; i < s->options->n_defines; i++)
    if (strcmp(s->options->defines[i].name, name) == 0) return &s->options->defines[i];
  return NULL;
}

static const tn_lang_bounds *bounds_option(const tn_sema *s, const char *name) {
  for (uint32_t i = 0; i < s->options->n_bounds; i++)
    if (strcmp(s->options->bounds[i].name, name) == 0) return &s->options->bounds[i];
  return NULL;
}

/* The extent of a dim that the inputs bring: a symbol, or the number that an option gives it. */
static bool input_extent(tn_sema *s, const char *name, tn_loc loc, const tn_dim **out) {
  const tn_lang_setting *define = dim_option(s, name);
  const tn_lang_bounds *range = bounds_option(s, name);
  const tn_dim *fixed_dim = s->input_dims ? tn_map_get(s->input_dims, tn_name(s->ctx, name)) : NULL;
  if (fixed_dim) return *out = fixed_dim, true;
  if (define) {
    tn_datum *value = tn_define_value(s, define);
    int64_t fixed;
    if (!value || !tn_datum_static_int(s, value, tn_namef(s->ctx, "-D %s", name), &fixed)) return false;
    if (fixed < 0) return tn_error(s->ctx, loc, TN_E_OPTION, "-D %s: a dim of %lld", name, (long long)fixed);
    *out = tn_dim_const(s->ctx, fixed);
    return true;
  }
  if (range && range->lo == range->hi) return *out = tn_dim_const(s->ctx, range->lo), true;
  const tn_symbol *symbol =
      tn_symbol_create(s->ctx, TN_SYM_INPUT, tn_symbol_fresh_name(s->ctx, name), name, range ? range->lo : 0,
                       range ? range->hi : TN_LANG_MAX_EXTENT);
  TN_VEC_PUSH(s->module->arena, &s->module->symbols, symbol);
  *out = tn_dim_symbol(s->ctx, symbol);
  return true;
}

/* The names in the types of a model's arguments are the dims that its inputs bring. */
static bool bind_inputs(tn_frame *f) {
  const tn_ast_formals *formals = &f->decl->item->formals;
  for (size_t i = 0; i < formals->n; i++)
    for (size_t k = 0; k < formals->data[i].type->dims.n; k++) {
      const tn_ast_dim *dim = &formals->data[i].type->dims.data[k];
      if (!dim->extent)
        return tn_frame_error(f, dim->loc, TN_E_RANK, "a model's input has a known number of dims: '..%s' cannot stand "
                             "here", dim->rest.text);
      const char *name = tn_type_free_name(f, dim);
      tn_axis axis = {.loc = dim->loc};
      if (!name) continue;
      if (!input_extent(f->sema, name, dim->loc, &axis.extent)) return false;
      if (!tn_type_bind_name(f, name, axis, dim->loc)) return false;
    }
  return true;
}

static bool declare_input(tn_frame *f, const tn_ast_formal *formal) {
  tn_sema *s = f->sema;
  tn_shape shape;
  const tn_dim *dims[TN_MAX_NDIM];
  if (!formal->type->name.text)
    return tn_frame_error(f, formal->loc, TN_E_LANG_KIND, "a model's input is a tensor, not a tuple");
  if (!tn_shape_of_type(f, formal->type, &shape)) return false;
  for (uint32_t i = 0; i < shape.n; i++) dims[i] = shape.axes[i].extent;
  const tn_type *type = tn_type_tensor(s->ctx, shape.dtype, shape.n, dims);
  size_t before = s->ctx->n_errors;
  tn_loc_push(s->ctx, formal->type->loc); /* of a count that leaves 63 bits */
  const tn_dim *count = tn_type_count(s->ctx, type);
  tn_loc_pop(s->ctx);
  if (s->ctx->n_errors != before) return false;
  if (count->lo > INT64_MAX / 16)
    return tn_frame_error(f, formal->loc, TN_E_LIMIT, "input '%s' has more than 2^59 elements", formal->name.text);
  tn_value *param = tn_block_add_param(s->func->body, type, formal->name.text);
  TN_VEC_PUSH(s->module->arena, &s->func->param_docs, formal->doc);
  tn_datum *value = tn_datum_tensor(s, param, shape.axes, formal->loc);
  value->tensor.classes = shape.classes;
  return tn_frame_declare(f, formal->name.text, TN_NAME_FORMAL, value, formal->loc) != NULL;
}

/* Static arguments of a model: -D, or their default. */
static bool declare_option(tn_frame *f, const tn_ast_formal *formal) {
  tn_sema *s = f->sema;
  const tn_lang_setting *define = dim_option(s, formal->name.text);
  tn_given given = {formal->name.text, formal->value, NULL, formal->loc, f};
  if (define && !(given.datum = tn_define_value(s, define))) return false;
  if (!given.datum && !formal->value)
    return tn_frame_error(f, formal->loc, TN_E_LANG_ARGUMENT, "argument '%s' of the model has no value: -D %s=VALUE "
                         "gives it one", formal->name.text, formal->name.text);
  tn_datum *value = tn_static_argument(f, formal->type, &given, argument_text(f, formal));
  return value && declare_static(f, formal, value);
}

static bool declare_arguments(tn_frame *f) {
  const tn_ast_formals *formals = &f->decl->item->formals;
  bool ok = bind_inputs(f);
  for (size_t i = 0; i < formals->n && ok; i++) {
    const tn_ast_formal *formal = &formals->data[i];
    bool tensor = tn_type_is_tensor(formal->type) || !formal->type->name.text;
    if (!tensor) ok = declare_option(f, formal);
  }
  for (size_t i = 0; i < formals->n && ok; i++) {
    const tn_ast_formal *formal = &formals->data[i];
    bool tensor = tn_type_is_tensor(formal->type) || !formal->type->name.text;
    if (tensor) ok = declare_input(f, formal);
  }
  return ok;
}

/* The results in order, flattened; named after the tuple's parts, else "out" or "out_0", "out_1", ... */
static bool add_results(tn_sema *s, const tn_datum *result, tn_value **values, uint32_t *n) {
  if (result->kind == TN_DATUM_TENSOR) {
    TN_VEC_PUSH(s->module->arena, &s->func->result_names, "out");
    values[(*n)++] = result->tensor.value;
    return true;
  }
  for (uint32_t i = 0; i < result->tuple.n; i++) {
    const tn_datum *part = result->tuple.parts[i];
    if (part->kind != TN_DATUM_TENSOR)
      return tn_error(s->ctx, part->loc, TN_E_LANG_KIND, "a model's result is a tensor or a tuple of tensors");
    const char *name = result->tuple.names[i];
    TN_VEC_PUSH(s->module->arena, &s->func->result_names, name ? name : tn_namef(s->ctx, "out_%u", i));
    values[(*n)++] = part->tensor.value;
  }
  return true;
}

bool tn_model_build(tn_sema *s, tn_decl *decl) {
  if (!decl->item->result) return tn_outer_model_build(s, decl);
  s->func = tn_func_create(s->module, decl->name, true);
  s->func->doc = decl->item->doc;
  s->build = tn_build_at_end(s->func->body);
  tn_frame *f = tn_frame_create(s, decl->unit, NULL, decl->loc);
  f->decl = decl;
  decl->is_instantiated = true;
  if (!declare_arguments(f)) return false;
  tn_datum *result = run(f);
  if (!result) return false;
  uint32_t n = 0;
  tn_value **values = TN_NEW_N(s->arena, tn_value *, result->kind == TN_DATUM_TUPLE ? result->tuple.n : 1);
  if (!add_results(s, result, values, &n)) return false;
  decl->func = s->func;
  decl->result = result;
  tn_loc_push(s->ctx, decl->loc);
  tn_build_return(&s->build, values, n);
  tn_loc_pop(s->ctx);
  return true;
}
