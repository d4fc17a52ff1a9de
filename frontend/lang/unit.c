/* Source files: loading, imports, and the names of a file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/lang/builtin.h"

/* --- Finding files --- */

static const char *folder_of(tn_sema *s, const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? tn_namef(s->ctx, "%.*s/", (int)(slash - path), path) : "";
}

/* The file that an import means: beside the importing one, then in the folders of -I. NULL: none. */
static const char *find_import(tn_sema *s, const char *path, const tn_unit *importer) {
  if (path[0] == '/') return access(path, R_OK) == 0 ? path : NULL;
  const char *found = tn_namef(s->ctx, "%s%s", folder_of(s, importer->path), path);
  if (access(found, R_OK) == 0) return found;
  for (uint32_t i = 0; i < s->options->n_folders; i++) {
    found = tn_namef(s->ctx, "%s/%s", s->options->folders[i], path);
    if (access(found, R_OK) == 0) return found;
  }
  return NULL;
}

static bool is_std(const char *path) { return strncmp(path, "std/", 4) == 0; }

/* One key a file, however it is reached. */
static const char *key_of(tn_sema *s, const char *path) {
  char *real = is_std(path) ? NULL : realpath(path, NULL);
  const char *key = tn_name(s->ctx, real ? real : path);
  free(real);
  return key;
}

/* --- Names of a file --- */

tn_decl *tn_unit_find(const tn_unit *unit, const char *name) { return tn_map_get(&unit->names, name); }

static bool declare(tn_sema *s, tn_unit *unit, const char *name, tn_decl *decl, tn_loc loc) {
  const tn_decl *old = tn_unit_find(unit, name);
  if (old == decl) return true; /* imported twice, by way of two imports */
  if (old) {
    tn_error(s->ctx, loc, TN_E_LANG_DOUBLE, "'%s' is declared twice", name);
    tn_note(s->ctx, old->loc, "it is declared here already");
    if (decl->loc != loc) tn_note(s->ctx, decl->loc, "and the other one here");
    return false;
  }
  if (strcmp(name, "B") == 0)
    return tn_error(s->ctx, loc, TN_E_LANG_DOUBLE, "'B' is the batch dim everywhere and is not declared");
  if (decl->unit == unit && decl->kind == TN_DECL_ITEM && tn_builtin_find(name))
    return tn_error(s->ctx, loc, TN_E_LANG_DOUBLE, "'%s' is a built-in function; another name is needed", name);
  tn_map_set(&unit->names, name, decl);
  return true;
}

static tn_decl *new_decl(tn_sema *s, tn_decl_kind kind, const tn_ast_name *name, tn_unit *unit) {
  tn_decl *decl = TN_NEW(s->arena, tn_decl);
  *decl = (tn_decl){.kind = kind, .name = name->text, .loc = name->loc, .unit = unit};
  return decl;
}

static void declare_item(tn_sema *s, tn_unit *unit, const tn_ast_item *item) {
  if (item->kind == TN_AST_IMPORT || item->kind == TN_AST_TRAIN || item->kind == TN_AST_TEST) return;
  for (size_t i = 0; i < item->dims.n; i++) {
    tn_decl *decl = new_decl(s, TN_DECL_DIM, &item->dims.data[i].name, unit);
    decl->dim = &item->dims.data[i];
    declare(s, unit, decl->name, decl, decl->loc);
  }
  if (!item->name.text) return;
  tn_decl *decl = new_decl(s, TN_DECL_ITEM, &item->name, unit);
  decl->item = item;
  declare(s, unit, decl->name, decl, decl->loc);
}

/* --- Imports --- */

/* What others see of a file: its modules, models and lets. */
static bool is_exported(const tn_unit *unit, const tn_decl *decl) {
  return decl->unit == unit && (tn_decl_is_callable(decl) || tn_decl_is(decl, TN_AST_LET_ITEM));
}

static bool import_one(tn_sema *s, tn_unit *unit, const tn_unit *from, const tn_ast_item *item) {
  tn_decl *decl = tn_unit_find(from, item->name.text);
  if (decl && is_exported(from, decl)) return declare(s, unit, decl->name, decl, item->name.loc);
  TN_VEC(const char *) names = {0};
  for (size_t i = 0; i < from->names.n; i++)
    if (is_exported(from, from->names.entries[i].value))
      TN_VEC_PUSH(s->arena, &names, (const char *)from->names.entries[i].key);
  const char *near = tn_str_nearest(item->name.text, names.data, names.n);
  tn_error(s->ctx, item->name.loc, TN_E_LANG_NAME, "'%s' has no module '%s'", from->path, item->name.text);
  if (near) tn_help(s->ctx, "did you mean '%s'?", near);
  return false;
}

static bool import_into(tn_sema *s, tn_unit *unit, const tn_ast_item *item) {
  tn_unit *from = tn_unit_load(s, item->text.text, item->text.loc, unit);
  if (!from) return false;
  if (item->is_selected) return import_one(s, unit, from, item);
  if (item->name.text) {
    tn_decl *alias = new_decl(s, TN_DECL_ALIAS, &item->name, from);
    return declare(s, unit, alias->name, alias, alias->loc);
  }
  bool ok = true;
  for (size_t i = 0; i < from->names.n; i++) {
    tn_decl *decl = from->names.entries[i].value;
    if (is_exported(from, decl)) ok = declare(s, unit, decl->name, decl, item->loc) && ok;
  }
  return ok;
}

static tn_unit *no_import(tn_sema *s, const char *path, tn_loc from) {
  tn_error(s->ctx, from, TN_E_LANG_IMPORT, "no file '%s'", path);
  tn_note(s->ctx, TN_LOC_NONE, is_std(path) ? "the language's own files are std/nn and std/vision"
                                     : "it is looked for beside this file and in the folders of -I");
  return NULL;
}

static tn_unit *in_a_circle(tn_sema *s, const tn_unit *unit, tn_loc from) {
  tn_error(s->ctx, from, TN_E_LANG_IMPORT, "'%s' imports itself, directly or through others", unit->path);
  if (unit->import) tn_note(s->ctx, unit->import, "it is being imported because of this line");
  return NULL;
}

static tn_ast_file *parse(tn_sema *s, const char *path) {
  size_t bytes = 0;
  const tn_source_text *kept = s->is_again ? tn_ctx_text(s->ctx, path) : NULL;
  const char *text = is_std(path) ? tn_std_find(path, &bytes) : NULL;
  if (text) return tn_lang_parse_bytes(s->ctx, path, text, bytes);
  if (kept) return tn_lang_parse_bytes(s->ctx, path, kept->text, kept->bytes);
  if (s->options->add_file && strcmp(path, "-") != 0) s->options->add_file(s->options->user, path);
  return tn_lang_parse(s->ctx, path);
}

tn_unit *tn_unit_load(tn_sema *s, const char *path, tn_loc from, const tn_unit *importer) {
  size_t bytes;
  if (is_std(path) && importer) {
    if (!tn_std_find(path, &bytes)) return no_import(s, path, from);
  } else if (importer) {
    const char *found = s->options->no_files ? NULL : find_import(s, path, importer);
    if (!found) return no_import(s, path, from);
    path = found;
  }
  const char *key = key_of(s, path);
  tn_unit *unit = tn_map_get(&s->units, key);
  if (unit && unit->is_loading) return in_a_circle(s, unit, from);
  if (unit) return unit->ast ? unit : NULL;
  unit = TN_NEW(s->arena, tn_unit);
  *unit = (tn_unit){
      .path = tn_name(s->ctx, path), .names = tn_map_create(s->arena), .import = from, .is_loading = true};
  tn_map_set(&s->units, key, unit);
  unit->ast = parse(s, path);
  if (unit->ast && !importer && !tn_sets_apply(s, unit->ast)) unit->ast = NULL;
  for (size_t i = 0; unit->ast && i < unit->ast->items.n; i++)
    if (unit->ast->items.data[i]->kind == TN_AST_IMPORT) import_into(s, unit, unit->ast->items.data[i]);
  for (size_t i = 0; unit->ast && i < unit->ast->items.n; i++) declare_item(s, unit, unit->ast->items.data[i]);
  unit->is_loading = false;
  return unit->ast ? unit : NULL;
}

/* --- Values of a file --- */

tn_datum *tn_define_value(tn_sema *s, const tn_lang_setting *define) {
  char *end;
  const char *text = define->value;
  tn_map_set(&s->used_defines, tn_name(s->ctx, define->name), s);
  errno = 0;
  long long integer = strtoll(text, &end, 10);
  if (text[0] && !*end && errno == 0) return tn_datum_int_const(s, integer, TN_LOC_NONE);
  double number = strtod(text, &end);
  if (text[0] && !*end) return tn_datum_float(s, number, TN_LOC_NONE);
  if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) return tn_datum_bool(s, text[0] == 't', TN_LOC_NONE);
  tn_error(s->ctx, TN_LOC_NONE, TN_E_OPTION, "-D %s: expected a number, true or false, found '%s'", define->name, text);
  return NULL;
}

bool tn_defines_check(tn_sema *s) {
  bool ok = true;
  for (uint32_t i = 0; i < s->options->n_defines; i++) {
    const char *name = tn_name(s->ctx, s->options->defines[i].name);
    const tn_decl *decl = tn_unit_find(s->main, name);
    if (tn_map_has(&s->used_defines, name) || (decl && decl->kind == TN_DECL_DIM)) continue;
    TN_VEC(const char *) names = {0};
    for (size_t k = 0; k < s->main->names.n; k++) {
      const tn_decl *other = s->main->names.entries[k].value;
      if (other->kind == TN_DECL_DIM) TN_VEC_PUSH(s->arena, &names, other->name);
    }
    for (size_t k = 0; k < s->module->symbols.n; k++)
      if (s->module->symbols.data[k]->label) TN_VEC_PUSH(s->arena, &names, s->module->symbols.data[k]->label);
    const char *near = tn_str_nearest(name, names.data, names.n);
    ok = tn_error(s->ctx, TN_LOC_NONE, TN_E_OPTION, "-D %s: no dim or argument has this name", name);
    if (near) tn_help(s->ctx, "did you mean '%s'?", near);
  }
  return ok;
}

static const tn_lang_setting *override_of(const tn_sema *s, const tn_decl *decl) {
  for (uint32_t i = 0; decl->unit == s->main && i < s->options->n_defines; i++)
    if (strcmp(s->options->defines[i].name, decl->name) == 0) return &s->options->defines[i];
  return NULL;
}

static tn_datum *compute_dim(tn_sema *s, tn_frame *f, const tn_decl *decl) {
  const tn_lang_setting *define = override_of(s, decl);
  tn_datum *value = define ? tn_define_value(s, define) : tn_eval_expr(f, decl->dim->value);
  int64_t extent;
  if (!value || !tn_datum_static_int(s, value, tn_namef(s->ctx, "dim %s", decl->name), &extent)) return NULL;
  if (extent < 0) {
    tn_error(s->ctx, decl->loc, TN_E_SHAPE, "dim %s is %lld", decl->name, (long long)extent);
    return NULL;
  }
  return tn_datum_int(s, value->integer.extent, tn_label_create(s, decl->name), decl->loc);
}

static tn_datum *compute_let(tn_sema *s, tn_frame *f, const tn_decl *decl) {
  tn_init init;
  if (decl->item->value->kind == TN_AST_CALL && decl->item->value->call.callee->kind == TN_AST_NAME &&
      tn_init_is_name(decl->item->value->call.callee->name) && !tn_builtin_find(decl->item->value->call.callee->name))
    return tn_init_of_expr(f, decl->item->value, &init) ? tn_datum_of_init(s, &init, decl->loc) : NULL;
  tn_datum *value = tn_eval_expr(f, decl->item->value);
  if (!value || value->kind != TN_DATUM_TENSOR) return value;
  tn_error(s->ctx, decl->item->value->loc, TN_E_LANG_KIND, "a let of a file holds numbers and strings; tensors are "
           "made in modules and models");
  return NULL;
}

tn_datum *tn_decl_value(tn_sema *s, tn_decl *decl, tn_loc use) {
  if (decl->state == TN_DECL_COMPUTED) return decl->value;
  if (decl->state == TN_DECL_COMPUTING) {
    tn_error(s->ctx, use, TN_E_LANG_RECURSION, "'%s' is computed from itself", decl->name);
    tn_note(s->ctx, decl->loc, "'%s' is declared here", decl->name);
    return NULL;
  }
  decl->state = TN_DECL_COMPUTING;
  tn_frame *f = tn_frame_create(s, decl->unit, NULL, decl->loc);
  decl->value = decl->kind == TN_DECL_DIM ? compute_dim(s, f, decl) : compute_let(s, f, decl);
  decl->state = TN_DECL_COMPUTED;
  return decl->value;
}
