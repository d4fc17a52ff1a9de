/* A file of the language becomes a module: which entry is built, and everything that is checked besides. */
#include <string.h>

#include "frontend/lang/serve.h"

tn_sema *tn_sema_create(tn_ctx *ctx, const tn_lang_options *options) {
  static const tn_lang_options no_options;
  tn_module *module = tn_module_create(ctx);
  tn_sema *s = TN_NEW(module->arena, tn_sema);
  *s = (tn_sema){.ctx = ctx, .arena = module->arena, .options = options ? options : &no_options, .module = module,
                 .units = tn_map_create(module->arena), .stores = tn_map_create(module->arena),
                 .used_defines = tn_map_create(module->arena)};
  s->batch = tn_label_create(s, "B");
  return s;
}

static bool is_model(const tn_decl *decl, const tn_unit *unit) {
  return decl->unit == unit && tn_decl_is(decl, TN_AST_MODEL);
}

static void no_such_entry(tn_sema *s, const char *wanted) {
  tn_error(s->ctx, TN_LOC_NONE, TN_E_OPTION, "--entry: '%s' has no entry called '%s'", s->main->path, wanted);
  for (size_t i = 0; i < s->main->names.n; i++) {
    const tn_decl *decl = s->main->names.entries[i].value;
    if (is_model(decl, s->main)) tn_note(s->ctx, TN_LOC_NONE, "it has '%s'", decl->name);
  }
}

static bool has_train_block(const tn_unit *unit, const tn_decl *model) {
  for (size_t i = 0; i < unit->ast->items.n; i++) {
    const tn_ast_item *item = unit->ast->items.data[i];
    if (item->kind == TN_AST_TRAIN && item->name.text == model->name) return true;
  }
  return false;
}

/* The last model that is trained, the last one where none is. */
tn_decl *tn_entry_find(tn_sema *s, bool warns) {
  const char *wanted = s->options->entry;
  tn_decl *found = NULL;
  size_t n = 0;
  bool is_trained = false;
  for (size_t i = 0; i < s->main->names.n; i++) {
    tn_decl *decl = s->main->names.entries[i].value;
    if (!is_model(decl, s->main)) continue;
    if (wanted && strcmp(decl->name, wanted) != 0) continue;
    bool trained = has_train_block(s->main, decl);
    if (is_trained && !trained) continue;
    n = trained == is_trained ? n + 1 : 1;
    is_trained = trained;
    found = decl;
  }
  if (found && !wanted && n > 1 && warns)
    tn_warning(s->ctx, found->loc, TN_W_LANG_ENTRY, "'%s' is built, the last of %zu models%s; --entry=NAME chooses",
               found->name, n, is_trained ? " that are trained" : "");
  if (found) return found;
  const tn_decl *block = wanted ? tn_unit_find(s->main, tn_name(s->ctx, wanted)) : NULL;
  if (block && (tn_decl_is(block, TN_AST_COMPRESS) || tn_decl_is(block, TN_AST_DEPLOY)))
    tn_error(s->ctx, block->loc, TN_E_LANG_NOT_YET, "building '%s', a %s block, is not there yet", wanted,
             tn_ast_item_kind_text(block->item->kind));
  else if (wanted) no_such_entry(s, wanted);
  else tn_error(s->ctx, s->main->ast->loc, TN_E_LANG_NOT_YET, "'%s' has no model to build", s->main->path);
  return NULL;
}

bool tn_sema_load(tn_sema *s, const char *path) {
  s->main = tn_unit_load(s, path, TN_LOC_NONE, NULL);
  if (s->main) s->main->is_main = true;
  return s->main != NULL;
}

static void build_entry(tn_sema *s) {
  tn_decl *entry = tn_entry_find(s, true);
  s->weights_needed = true;
  if (!entry) return;
  if (s->options->weights && !(s->store = tn_store_open(s, s->options->weights, TN_LOC_NONE))) return;
  s->has_entry = tn_model_build(s, entry) && tn_defines_check(s) && tn_serve_inputs(s, entry);
}

/* Whether a block of the file is about the model, which another file may declare. */
static bool is_trained(const tn_unit *unit, const tn_decl *model) {
  for (size_t i = 0; i < unit->ast->items.n; i++) {
    const tn_ast_item *item = unit->ast->items.data[i];
    if (item->kind == TN_AST_TRAIN && item->name.text == model->name) return true;
    if (item->kind >= TN_AST_COMPRESS && item->source.text == model->name) return true;
  }
  return false;
}

/* is_again: the texts are those that the session keeps. */
static bool check(tn_ctx *ctx, const char *path, const tn_lang_options *options, bool is_again) {
  size_t before = ctx->n_errors;
  tn_sema *s = tn_sema_create(ctx, options);
  s->is_again = is_again;
  s->func = tn_func_create(s->module, "values", false); /* of the file's dims and lets */
  s->build = tn_build_at_end(s->func->body);
  if (tn_sema_load(s, path)) {
    for (size_t i = 0; i < s->main->names.n; i++) {
      tn_decl *decl = s->main->names.entries[i].value;
      if (decl->unit == s->main && (decl->kind == TN_DECL_DIM || tn_decl_is(decl, TN_AST_LET_ITEM)))
        tn_decl_value(s, decl, decl->loc);
      if (!tn_decl_is(decl, TN_AST_MODEL) || !(decl->unit == s->main || is_trained(s->main, decl))) continue;
      decl->first_weight = s->weights.n;
      tn_model_build(s, decl);
      decl->n_weights = s->weights.n - decl->first_weight;
    }
    tn_names_check(s, s->main);
    tn_blocks_check(s, s->main);
    tn_places_check(s, s->main);
    if (ctx->n_errors == before) tn_defines_check(s);
  }
  tn_module_destroy(s->module);
  return ctx->n_errors == before;
}

static bool has_blocks(const tn_unit *unit) {
  for (size_t i = 0; i < unit->ast->items.n; i++)
    if (unit->ast->items.data[i]->kind >= TN_AST_TRAIN || unit->ast->items.data[i]->kind == TN_AST_DATA) return true;
  return false;
}

/* What the entry does not need is checked too. That makes all models, so it is done on a module of its own, from the
 * texts that were read already. */
static void check_rest(tn_sema *s, const char *path) {
  if (has_blocks(s->main)) tn_lang_check_again(s->ctx, path, s->options);
}

tn_module *tn_lang_load(tn_ctx *ctx, const char *path, const tn_lang_options *options, tn_lang_weights *out_weights,
                        tn_lang_serving *out_serving) {
  size_t before = ctx->n_errors;
  tn_sema *s = tn_sema_create(ctx, options);
  s->serving = out_serving;
  if (tn_sema_load(s, path) && ctx->n_errors == before) build_entry(s);
  if (ctx->n_errors == before) check_rest(s, path);
  if (ctx->n_errors == before && s->has_entry) tn_weights_check(s);
  for (size_t i = 0; i < s->weights.n && out_weights; i++) {
    tn_lang_weight weight = {s->weights.data[i]->path, s->weights.data[i]->constant};
    TN_VEC_PUSH(ctx->arena, out_weights, weight);
  }
  s->module->source = path;
  if (ctx->n_errors == before) return s->module;
  tn_module_destroy(s->module);
  return NULL;
}

bool tn_lang_check_again(tn_ctx *ctx, const char *path, const tn_lang_options *options) {
  tn_lang_options same = *options;
  same.add_file = NULL;
  return check(ctx, path, &same, true);
}

bool tn_lang_check(tn_ctx *ctx, const char *path, const tn_lang_options *options) {
  return check(ctx, path, options, false);
}

bool tn_lang_check_bytes(tn_ctx *ctx, const char *name, const char *text, size_t bytes,
                         const tn_lang_options *options) {
  name = tn_name(ctx, name);
  tn_ctx_keep_text(ctx, name, text, bytes);
  return check(ctx, name, options, true);
}
