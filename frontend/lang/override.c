/* --set KEY=VALUE: settings of the file's blocks set anew. VALUE is an expression of the language; it takes the place
 * of the one in the file, or is added, before anything is checked, so that the same rules hold for it. KEY is
 * KIND.SETTING, which means every block of the kind (train.batch), or NAME.SETTING (lenet_c.threads). */
#include <string.h>

#include "frontend/lang/blocks.h"

/* What one --set says. */
typedef struct override {
  const char *key, *head, *setting; /* "train.batch", "train", "batch" */
  tn_ast_expr *value;
} override;

static bool has_settings(const tn_ast_item *item) {
  return item->kind == TN_AST_DATA || item->kind == TN_AST_TRAIN || item->kind == TN_AST_COMPRESS ||
         item->kind == TN_AST_DEPLOY;
}

static bool is_meant(const override *o, const tn_ast_item *item) {
  if (!has_settings(item)) return false;
  return strcmp(o->head, tn_ast_item_kind_text(item->kind)) == 0 || strcmp(o->head, item->name.text) == 0;
}

/* The value as if it stood in a file of its own, whose name messages show. */
static bool parse_value(tn_sema *s, override *o, const char *text) {
  const char *line = tn_namef(s->ctx, "let %s = %s\n", o->setting, text);
  const tn_ast_file *file = tn_lang_parse_bytes(s->ctx, tn_namef(s->ctx, "--set %s", o->key), line, strlen(line));
  if (!file) return false;
  if (file->items.n != 1 || file->items.data[0]->kind != TN_AST_LET_ITEM)
    return tn_error(s->ctx, TN_LOC_NONE, TN_E_OPTION, "--set %s: expected one value, found '%s'", o->key, text);
  o->value = file->items.data[0]->value;
  return true;
}

static tn_ast_stmt *new_setting(tn_sema *s, const override *o) {
  tn_ast_stmt *stmt = TN_NEW(s->arena, tn_ast_stmt);
  *stmt = (tn_ast_stmt){.kind = TN_AST_SET, .loc = o->value->loc, .name = {o->setting, o->value->loc},
                        .value = o->value};
  return stmt;
}

/* The item with the setting in its body; the item itself stays as it was parsed. */
static tn_ast_item *with_setting(tn_sema *s, const override *o, const tn_ast_item *item) {
  tn_ast_item *copy = tn_arena_copy(s->arena, item, sizeof(*item));
  tn_ast_body *body = TN_NEW(s->arena, tn_ast_body);
  bool found = false;
  body->loc = item->body ? item->body->loc : item->loc;
  for (size_t i = 0; item->body && i < item->body->stmts.n; i++) {
    tn_ast_stmt *stmt = item->body->stmts.data[i];
    bool same = stmt->kind == TN_AST_SET && strcmp(stmt->name.text, o->setting) == 0;
    if (same && found) continue;
    TN_VEC_PUSH(s->arena, &body->stmts, same ? new_setting(s, o) : stmt);
    found |= same;
  }
  if (!found) TN_VEC_PUSH(s->arena, &body->stmts, new_setting(s, o));
  copy->body = body;
  return copy;
}

static bool no_such_setting(tn_sema *s, const override *o, const char *kind) {
  tn_error(s->ctx, TN_LOC_NONE, TN_E_OPTION, "--set: no setting is called '%s'", o->key);
  const char *names = tn_setting_names(s, kind), *near = tn_words_nearest(s, names, o->setting);
  if (near) tn_help(s->ctx, "did you mean '%s.%s'?", o->head, near);
  else tn_help(s->ctx, "of %s blocks there are: %s", kind, names);
  return false;
}

static bool no_such_block(tn_sema *s, const override *o, const tn_ast_file *ast) {
  const char *names[64];
  size_t n = 0;
  tn_error(s->ctx, TN_LOC_NONE, TN_E_OPTION, "--set %s: '%s' has no block '%s' with settings", o->key, ast->path,
           o->head);
  for (size_t i = 0; i < ast->items.n && n + 1 < TN_ARRAY_LEN(names); i++)
    if (has_settings(ast->items.data[i])) {
      names[n++] = tn_ast_item_kind_text(ast->items.data[i]->kind);
      names[n++] = ast->items.data[i]->name.text;
    }
  const char *near = tn_str_nearest(o->head, names, n);
  if (near) tn_help(s->ctx, "did you mean '%s.%s'?", near, o->setting);
  return false;
}

static bool apply(tn_sema *s, tn_ast_file *ast, const tn_lang_setting *given) {
  const char *dot = strchr(given->name, '.');
  override o = {.key = given->name};
  bool found = false;
  if (!dot || dot == given->name || !dot[1])
    return tn_error(s->ctx, TN_LOC_NONE, TN_E_OPTION, "--set: expected BLOCK.SETTING=VALUE, found '%s=%s'", given->name,
                    given->value);
  o.head = tn_namef(s->ctx, "%.*s", (int)(dot - given->name), given->name);
  o.setting = tn_name(s->ctx, dot + 1);
  for (size_t i = 0; i < ast->items.n; i++) {
    const tn_ast_item *item = ast->items.data[i];
    if (!is_meant(&o, item)) continue;
    const char *kind = tn_ast_item_kind_text(item->kind);
    if (!tn_setting_find(kind, o.setting)) return no_such_setting(s, &o, kind);
    if (!o.value && !parse_value(s, &o, given->value)) return false;
    ast->items.data[i] = with_setting(s, &o, item);
    found = true;
  }
  return found || no_such_block(s, &o, ast);
}

bool tn_sets_apply(tn_sema *s, tn_ast_file *ast) {
  bool ok = true;
  for (uint32_t i = 0; i < s->options->n_sets; i++) ok = apply(s, ast, &s->options->sets[i]) && ok;
  return ok;
}
