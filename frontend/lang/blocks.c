/* data, train, compress, deploy and test blocks, held against their own rules: what they name exists, their settings
 * are known, words that are enumerated are among those. Nothing of them is built yet. */
#include <string.h>

#include "frontend/lang/sema.h"

/* A setting of a block. words: the names and functions that may stand as its value, parted by blanks; "" any. */
typedef struct setting {
  const char *block, *name, *words;
} setting;

static const setting settings[] = {
    {"train", "loss", ""},
    {"train", "metrics", ""},
    {"train", "optimizer", "sgd adam adamw rmsprop adagrad lion"},
    {"train", "batch", ""},
    {"train", "micro", ""},
    {"train", "steps", ""},
    {"train", "epochs", ""},
    {"train", "seed", ""},
    {"train", "precision", "f32 f16 bf16 f8e4m3"},
    {"train", "clip", "global_norm value none"},
    {"train", "mesh", ""},
    {"train", "parallel", ""},
    {"train", "remat", "none all auto keep_every"},
    {"train", "reproducible", "none run world"},
    {"train", "last", "keep drop"},
    {"compress", "prune", "channels magnitude nm none"},
    {"compress", "distill", "kd none"},
    {"compress", "quantize", "int8 int4 f8e4m3 none"},
    {"deploy", "target", "cpu cuda"},
    {"deploy", "batch", ""},
    {"deploy", "emit", "executable object shared archive header onnx"},
    {"deploy", "alloc", "static arena"},
    {"deploy", "serve", "http none"},
    {"deploy", "metrics", "prometheus json none"},
    {"deploy", "explain", "integrated_gradients saliency none"},
    {"deploy", "threads", ""},
    {"params", "decay", ""},
    {"params", "lr", ""},
};

static const char sources[] = "csv tsv npy npz idx jsonl images text tokens";
static const char events[] = "nan lost_rank interrupt";
static const char units[] = "steps epochs step epoch";

/* --- Words --- */

static bool has_word(const char *words, const char *word) {
  size_t n = strlen(word);
  for (const char *at = words; (at = strstr(at, word)) != NULL; at += n)
    if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
  return false;
}

static const char *nearest_word(tn_sema *s, const char *words, const char *word) {
  TN_VEC(const char *) list = {0};
  for (const char *at = words; *at; at += strspn(at, " ")) {
    size_t n = strcspn(at, " ");
    TN_VEC_PUSH(s->arena, &list, tn_namef(s->ctx, "%.*s", (int)n, at));
    at += n;
  }
  return tn_str_nearest(word, list.data, list.n);
}

static bool unknown(tn_sema *s, tn_loc loc, const char *what, const char *word, const char *words) {
  const char *near = nearest_word(s, words, word);
  tn_error(s->ctx, loc, TN_E_LANG_SETTING, "%s '%s'", what, word);
  if (near) tn_help(s->ctx, "did you mean '%s'?", near);
  else tn_help(s->ctx, "expected one of: %s", words);
  return false;
}

/* The name that a value begins with: x, x(...), x.y; NULL for others. */
static const char *head_of(const tn_ast_expr *e) {
  while (e->kind == TN_AST_CALL) e = e->call.callee;
  return e->kind == TN_AST_NAME ? e->name : NULL;
}

static void check_words(tn_sema *s, const setting *row, const tn_ast_expr *value) {
  if (!row->words[0]) return;
  if (value->kind == TN_AST_TUPLE) {
    for (size_t i = 0; i < value->tuple.n; i++) check_words(s, row, value->tuple.data[i].value);
    return;
  }
  const char *word = head_of(value);
  const char *what = tn_namef(s->ctx, "'%s' cannot be", row->name);
  if (!word) tn_error(s->ctx, value->loc, TN_E_LANG_SETTING, "'%s' is one of: %s", row->name, row->words);
  else if (!has_word(row->words, word)) unknown(s, value->loc, what, word, row->words);
}

/* --- Settings --- */

static const char *names_of(tn_sema *s, const char *block) {
  tn_buf names = tn_buf_create(s->arena);
  for (size_t i = 0; i < TN_ARRAY_LEN(settings); i++)
    if (strcmp(settings[i].block, block) == 0) tn_buf_printf(&names, "%s%s", names.n ? " " : "", settings[i].name);
  return names.n ? names.data : "";
}

static const setting *find_setting(const char *block, const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(settings); i++)
    if (strcmp(settings[i].block, block) == 0 && strcmp(settings[i].name, name) == 0) return &settings[i];
  return NULL;
}

static void check_setting(tn_sema *s, const char *block, const tn_ast_body *body, size_t at) {
  const tn_ast_stmt *stmt = body->stmts.data[at];
  const setting *row = find_setting(block, stmt->name.text);
  if (!row) {
    unknown(s, stmt->name.loc, "unknown setting", stmt->name.text, names_of(s, block));
    return;
  }
  for (size_t i = 0; i < at; i++) {
    const tn_ast_stmt *other = body->stmts.data[i];
    if (other->kind != TN_AST_SET || other->name.text != stmt->name.text) continue;
    tn_error(s->ctx, stmt->name.loc, TN_E_LANG_DOUBLE, "'%s' is set twice", stmt->name.text);
    tn_note(s->ctx, other->name.loc, "it is set here already");
    return;
  }
  check_words(s, row, stmt->value);
}

static const tn_ast_stmt *find_set(const tn_ast_body *body, const char *name) {
  for (size_t i = 0; i < body->stmts.n; i++)
    if (body->stmts.data[i]->kind == TN_AST_SET && strcmp(body->stmts.data[i]->name.text, name) == 0)
      return body->stmts.data[i];
  return NULL;
}

static bool is_int(const tn_ast_stmt *stmt) { return stmt && stmt->value->kind == TN_AST_INT; }

/* --- Splits --- */

/* The value of `split`, as an argument of the source or a setting of the body. */
static const tn_ast_expr *split_of(const tn_ast_item *data) {
  const tn_ast_stmt *set = data->body ? find_set(data->body, "split") : NULL;
  if (set) return set->value;
  for (size_t i = 0; data->value && data->value->kind == TN_AST_CALL && i < data->value->call.args.n; i++) {
    const tn_ast_arg *arg = &data->value->call.args.data[i];
    if (arg->name.text && strcmp(arg->name.text, "split") == 0) return arg->value;
  }
  return NULL;
}

static bool has_split(const tn_ast_item *data, const char *name) {
  const tn_ast_expr *split = split_of(data);
  if (strcmp(name, "train") == 0) return true;
  for (size_t i = 0; split && split->kind == TN_AST_TUPLE && i < split->tuple.n; i++)
    if (split->tuple.data[i].name.text && strcmp(split->tuple.data[i].name.text, name) == 0) return true;
  for (size_t i = 0; data->value && data->value->kind == TN_AST_CALL && i < data->value->call.args.n; i++) {
    const tn_ast_arg *arg = &data->value->call.args.data[i]; /* test: ("file", "file") */
    if (arg->name.text && strcmp(arg->name.text, name) == 0) return true;
  }
  return false;
}

/* eval(valid) */
static void check_eval(tn_sema *s, const tn_ast_item *data, const tn_ast_expr *call) {
  const char *head = head_of(call);
  if (!data || !head || strcmp(head, "eval") != 0 || call->call.args.n == 0) return;
  const tn_ast_expr *split = call->call.args.data[0].value;
  if (split->kind != TN_AST_NAME || has_split(data, split->name)) return;
  tn_error(s->ctx, split->loc, TN_E_LANG_SETTING, "'%s' has no split '%s'", data->name.text, split->name);
  tn_note(s->ctx, data->name.loc, "'%s' is declared here", data->name.text);
}

/* --- Bodies --- */

static bool matches(const char *glob, const char *text) {
  if (*glob == '*') return matches(glob + 1, text) || (*text && matches(glob, text + 1));
  return *glob == *text && (!*glob || matches(glob + 1, text + 1));
}

/* A glob over the paths of the model's weights: one that matches nothing is an error. */
static void check_glob(tn_sema *s, const tn_ast_string *glob, const tn_decl *model) {
  if (!model || !model->n_weights) return;
  size_t n_stars = 0;
  for (const char *c = glob->text; *c; c++) n_stars += *c == '*';
  if (n_stars > 8) { /* matching is exponential in them */
    tn_error(s->ctx, glob->loc, TN_E_LIMIT, "a pattern with more than 8 '*'");
    return;
  }
  for (size_t i = 0; i < model->n_weights; i++)
    if (matches(glob->text, s->weights.data[model->first_weight + i]->path)) return;
  tn_error(s->ctx, glob->loc, TN_E_LANG_SETTING, "no weight of %s is called '%s'", model->name, glob->text);
  tn_note(s->ctx, s->weights.data[model->first_weight]->loc, "a weight is '%s', made here",
          s->weights.data[model->first_weight]->path);
}

static void check_body(tn_sema *s, const char *block, const tn_ast_body *body, const tn_ast_item *data,
                       const tn_decl *model) {
  for (size_t i = 0; i < body->stmts.n; i++) {
    const tn_ast_stmt *stmt = body->stmts.data[i];
    switch (stmt->kind) {
      case TN_AST_SET: check_setting(s, block, body, i); break;
      case TN_AST_DO: check_eval(s, data, stmt->value); break;
      case TN_AST_EVERY:
        if (!has_word(units, stmt->name.text)) unknown(s, stmt->name.loc, "unknown unit", stmt->name.text, units);
        check_body(s, "", stmt->body, data, model);
        break;
      case TN_AST_ON:
        if (!has_word(events, stmt->name.text)) unknown(s, stmt->name.loc, "unknown event", stmt->name.text, events);
        check_body(s, "", stmt->body, data, model);
        break;
      case TN_AST_PARAMS:
        check_glob(s, &stmt->glob, model);
        check_body(s, "params", stmt->body, data, model);
        break;
      case TN_AST_FREEZE:
      case TN_AST_UNFREEZE: check_glob(s, &stmt->glob, model); break;
      case TN_AST_LET:
      case TN_AST_STOP:
      case TN_AST_REQUIRE: break;
      default:
        tn_error(s->ctx, stmt->loc, TN_E_LANG_PLACE, "'%s' does not belong in this block",
                 tn_ast_stmt_kind_text(stmt->kind));
    }
  }
}

/* --- Items --- */

/* What a block is made from; kinds that fit. */
static tn_decl *target(tn_sema *s, tn_unit *unit, const tn_ast_name *name, tn_ast_item_kind a, tn_ast_item_kind b) {
  tn_decl *decl = tn_unit_find(unit, name->text);
  if (decl && (tn_decl_is(decl, a) || tn_decl_is(decl, b))) return decl;
  if (decl) {
    tn_error(s->ctx, name->loc, TN_E_LANG_KIND, "'%s' is no %s", name->text, tn_ast_item_kind_text(a));
    tn_note(s->ctx, decl->loc, "'%s' is declared here", name->text);
    return NULL;
  }
  TN_VEC(const char *) names = {0};
  for (size_t i = 0; i < unit->names.n; i++) TN_VEC_PUSH(s->arena, &names, (const char *)unit->names.entries[i].key);
  const char *near = tn_str_nearest(name->text, names.data, names.n);
  tn_error(s->ctx, name->loc, TN_E_LANG_NAME, "unknown %s '%s'", tn_ast_item_kind_text(a), name->text);
  if (near) tn_help(s->ctx, "did you mean '%s'?", near);
  return NULL;
}

static void check_train(tn_sema *s, tn_unit *unit, const tn_ast_item *item) {
  const tn_decl *model = target(s, unit, &item->name, TN_AST_MODEL, TN_AST_MODEL);
  const tn_decl *data = target(s, unit, &item->source, TN_AST_DATA, TN_AST_DATA);
  const tn_ast_stmt *batch = find_set(item->body, "batch"), *micro = find_set(item->body, "micro");
  check_body(s, "train", item->body, data ? data->item : NULL, model);
  if (!find_set(item->body, "loss"))
    tn_error(s->ctx, item->name.loc, TN_E_LANG_SETTING, "training of %s has no loss", item->name.text);
  if (is_int(batch) && is_int(micro) && micro->value->number.integer > 0 &&
      batch->value->number.integer % micro->value->number.integer != 0) {
    tn_error(s->ctx, batch->value->loc, TN_E_LANG_SETTING, "batch is no multiple of micro");
    tn_note(s->ctx, micro->value->loc, "micro is set here");
  }
}

static void check_data(tn_sema *s, const tn_ast_item *item) {
  const char *source = item->value ? head_of(item->value) : NULL;
  if (!source || !has_word(sources, source))
    unknown(s, item->value ? item->value->loc : item->loc, "unknown source of data", source ? source : "", sources);
  for (size_t i = 0; item->body && i < item->body->stmts.n; i++) {
    const tn_ast_stmt *stmt = item->body->stmts.data[i];
    if (stmt->kind == TN_AST_FIELD) continue;
    if (stmt->kind == TN_AST_SET && strcmp(stmt->name.text, "split") == 0) continue;
    if (stmt->kind == TN_AST_SET) unknown(s, stmt->name.loc, "unknown setting", stmt->name.text, "split");
    else
      tn_error(s->ctx, stmt->loc, TN_E_LANG_PLACE, "'%s' does not belong in a data block",
               tn_ast_stmt_kind_text(stmt->kind));
  }
}

void tn_blocks_check(tn_sema *s, tn_unit *unit) {
  for (size_t i = 0; i < unit->ast->items.n; i++) {
    const tn_ast_item *item = unit->ast->items.data[i];
    switch (item->kind) {
      case TN_AST_DATA: check_data(s, item); break;
      case TN_AST_TRAIN: check_train(s, unit, item); break;
      case TN_AST_COMPRESS:
      case TN_AST_DEPLOY:
        target(s, unit, &item->source, TN_AST_MODEL, TN_AST_COMPRESS);
        check_body(s, tn_ast_item_kind_text(item->kind), item->body, NULL, NULL);
        break;
      default: break;
    }
  }
}

/* --set BLOCK.SETTING=VALUE */
bool tn_sets_check(tn_sema *s) {
  bool ok = true;
  for (uint32_t i = 0; i < s->options->n_sets; i++) {
    const char *key = s->options->sets[i].name, *dot = strchr(key, '.');
    bool found = false;
    for (size_t k = 0; k < TN_ARRAY_LEN(settings) && dot; k++) {
      const char *block = settings[k].block;
      found |= strlen(block) == (size_t)(dot - key) && strncmp(block, key, (size_t)(dot - key)) == 0 &&
               strcmp(settings[k].name, dot + 1) == 0;
    }
    if (found) continue;
    ok = tn_error(s->ctx, TN_LOC_NONE, TN_E_OPTION, "--set: no setting is called '%s'", key);
    tn_help(s->ctx, "of train blocks there are: %s", names_of(s, "train"));
  }
  return ok;
}
