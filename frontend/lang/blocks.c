/* The blocks of a file, each held against its own rules: what they name exists, their settings are known and have
 * values of the right kind, their statements belong there. */
#include <string.h>

#include "frontend/lang/blocks.h"

static const char events[] = "nan lost_rank interrupt";
static const char units[] = "steps epochs step epoch";

/* --- Bodies --- */

const tn_ast_stmt *tn_setting_of(const tn_ast_body *body, const char *name) {
  for (size_t i = 0; i < body->stmts.n; i++)
    if (body->stmts.data[i]->kind == TN_AST_SET && strcmp(body->stmts.data[i]->name.text, name) == 0)
      return body->stmts.data[i];
  return NULL;
}

static void check_setting(const tn_block_check *c, const tn_ast_body *body, const tn_ast_stmt *stmt) {
  const tn_setting *row = tn_setting_find(c->block, stmt->name.text);
  const tn_ast_stmt *first = tn_setting_of(body, stmt->name.text);
  if (!row) {
    tn_words_unknown(c->s, stmt->name.loc, TN_E_LANG_SETTING, "unknown setting", stmt->name.text,
                     tn_setting_names(c->s, c->block));
    return;
  }
  if (first != stmt) {
    tn_error(c->s->ctx, stmt->name.loc, TN_E_LANG_DOUBLE, "'%s' is set twice", stmt->name.text);
    tn_note(c->s->ctx, first->name.loc, "it is set here already");
    return;
  }
  tn_kind_check(c, tn_namef(c->s->ctx, "'%s'", row->name), row->kind, stmt->value);
}

static bool may_hold(const char *block, tn_ast_stmt_kind kind) {
  static const struct {
    const char *block;
    uint32_t kinds;
  } rows[] = {
#define BIT(kind) (1u << TN_AST_##kind)
      {"data", BIT(FIELD) | BIT(SET)},
      {"train", BIT(SET) | BIT(LET) | BIT(EVERY) | BIT(STOP) | BIT(ON) | BIT(PARAMS) | BIT(FREEZE) | BIT(UNFREEZE) |
                    BIT(REQUIRE)},
      {"params", BIT(SET)},
      {"every", BIT(DO)},
      {"on", BIT(DO)},
      {"compress", BIT(SET) | BIT(REQUIRE)},
      {"deploy", BIT(SET)},
      {"test", BIT(REQUIRE) | BIT(LET)},
#undef BIT
  };
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
    if (strcmp(rows[i].block, block) == 0) return rows[i].kinds & (1u << kind);
  return false;
}

static void check_inner(const tn_block_check *c, const char *block, const tn_ast_body *body) {
  tn_block_check inner = *c;
  inner.block = block;
  tn_body_check(&inner, body);
}

static void check_log(const tn_block_check *c, const tn_ast_expr *call) {
  const char *name = tn_head_name(call);
  if (!name || strcmp(name, "log") != 0 || (call->kind == TN_AST_CALL && call->call.args.n)) return;
  tn_error(c->s->ctx, call->loc, TN_E_LANG_ARGUMENT, "log() says nowhere to write to");
  tn_help(c->s->ctx, "log(json: \"run.jsonl\"), or csv, tensorboard, prometheus");
}

/* What some processes cannot do without the others. */
static void check_alone(const tn_block_check *c, const tn_ast_stmt *on, const tn_ast_expr *call, const char *name) {
  if (strcmp(on->name.text, "lost_rank") != 0 || !tn_words_have("eval sample", name)) return;
  tn_error(c->s->ctx, call->loc, TN_E_LANG_VALUE, "%s() does not answer 'on lost_rank'", name);
  tn_help(c->s->ctx, "it is answered by resume, checkpoint and log: a process is missing, and the others end");
}

/* Reactions belong to the event that they answer; actions to any. */
static void check_reactions(const tn_block_check *c, const tn_ast_stmt *on) {
  static const struct {
    const char *event, *reactions;
  } rows[] = {{"nan", "rollback scale_lr skip_batch"}, {"lost_rank", "resume"}, {"interrupt", ""}};
  for (size_t i = 0; i < on->body->stmts.n; i++) {
    const tn_ast_stmt *stmt = on->body->stmts.data[i];
    const char *name = stmt->kind == TN_AST_DO ? tn_head_name(stmt->value) : NULL;
    if (name) check_alone(c, on, stmt->value, name);
    if (!name || !tn_block_function_find("reaction", name)) continue;
    for (size_t k = 0; k < TN_ARRAY_LEN(rows); k++)
      if (strcmp(rows[k].event, on->name.text) == 0 && !tn_words_have(rows[k].reactions, name)) {
        tn_error(c->s->ctx, stmt->value->loc, TN_E_LANG_VALUE, "%s() does not answer 'on %s'", name, on->name.text);
        tn_help(c->s->ctx, *rows[k].reactions ? "it is answered by %s, and by actions"
                                              : "it is answered by actions: the training ends behind them",
                rows[k].reactions);
      }
  }
}

static void check_stmt(const tn_block_check *c, const tn_ast_body *body, const tn_ast_stmt *stmt) {
  switch (stmt->kind) {
    case TN_AST_SET: check_setting(c, body, stmt); break;
    case TN_AST_DO:
      if (strcmp(c->block, "on") == 0) tn_block_call_check(c, "reaction action", "action", stmt->value, 0);
      else tn_block_call_check(c, "action", "action", stmt->value, 0);
      check_log(c, stmt->value);
      break;
    case TN_AST_EVERY:
      tn_kind_check(c, "'every'", "int 1..", stmt->value);
      if (!tn_words_have(units, stmt->name.text))
        tn_words_unknown(c->s, stmt->name.loc, TN_E_LANG_SETTING, "unknown unit", stmt->name.text, units);
      check_inner(c, "every", stmt->body);
      break;
    case TN_AST_ON:
      if (!tn_words_have(events, stmt->name.text))
        tn_words_unknown(c->s, stmt->name.loc, TN_E_LANG_SETTING, "unknown event", stmt->name.text, events);
      check_inner(c, "on", stmt->body);
      check_reactions(c, stmt);
      break;
    case TN_AST_PARAMS:
      tn_glob_check(c, stmt->glob.text, stmt->glob.loc);
      check_inner(c, "params", stmt->body);
      break;
    case TN_AST_FREEZE:
    case TN_AST_UNFREEZE: tn_glob_check(c, stmt->glob.text, stmt->glob.loc); break;
    case TN_AST_STOP: {
      tn_block_check watching = *c;
      watching.watches = true;
      tn_condition_check(&watching, stmt->value, true);
      break;
    }
    case TN_AST_REQUIRE:
      if (strcmp(c->block, "test") != 0) tn_condition_check(c, stmt->value, false);
      break;
    default: break; /* fields, lets and what tests require are the block's own matter */
  }
}

void tn_body_check(const tn_block_check *c, const tn_ast_body *body) {
  for (size_t i = 0; i < body->stmts.n; i++) {
    const tn_ast_stmt *stmt = body->stmts.data[i];
    if (may_hold(c->block, stmt->kind)) check_stmt(c, body, stmt);
    else
      tn_error(c->s->ctx, stmt->loc, TN_E_LANG_PLACE, "'%s' does not belong in %s %s block",
               tn_ast_stmt_kind_text(stmt->kind), strchr("aeiou", c->block[0]) ? "an" : "a", c->block);
  }
}

/* --- Items --- */

/* What a block is made from; kinds that fit. */
static tn_decl *target(const tn_block_check *c, const tn_ast_name *name, tn_ast_item_kind a, tn_ast_item_kind b) {
  tn_sema *s = c->s;
  tn_decl *decl = tn_unit_find(c->unit, name->text);
  if (decl && (tn_decl_is(decl, a) || tn_decl_is(decl, b))) return decl;
  if (decl) {
    tn_error(s->ctx, name->loc, TN_E_LANG_KIND, "'%s' is no %s", name->text, tn_ast_item_kind_text(a));
    tn_note(s->ctx, decl->loc, "'%s' is declared here", name->text);
    return NULL;
  }
  TN_VEC(const char *) names = {0};
  for (size_t i = 0; i < c->unit->names.n; i++)
    TN_VEC_PUSH(s->arena, &names, (const char *)c->unit->names.entries[i].key);
  const char *near = tn_str_nearest(name->text, names.data, names.n);
  tn_error(s->ctx, name->loc, TN_E_LANG_NAME, "unknown %s '%s'", tn_ast_item_kind_text(a), name->text);
  if (near) tn_help(s->ctx, "did you mean '%s'?", near);
  return NULL;
}

/* One block says how a model is trained. */
static void check_once(const tn_block_check *c, const tn_ast_item *item) {
  for (size_t i = 0; i < c->unit->ast->items.n && c->unit->ast->items.data[i] != item; i++) {
    const tn_ast_item *other = c->unit->ast->items.data[i];
    if (other->kind != TN_AST_TRAIN || other->name.text != item->name.text) continue;
    tn_error(c->s->ctx, item->name.loc, TN_E_LANG_DOUBLE, "%s has a second train block", item->name.text);
    tn_note(c->s->ctx, other->name.loc, "the first one stands here");
    return;
  }
}

static void check_train(tn_block_check *c, const tn_ast_item *item) {
  check_once(c, item);
  const tn_decl *data = target(c, &item->source, TN_AST_DATA, TN_AST_DATA);
  c->training.model = target(c, &item->name, TN_AST_MODEL, TN_AST_MODEL);
  c->training.train = item;
  c->training.data = data ? data->item : NULL;
  c->weights = c->training.model;
  tn_train_check(c, item);
}

/* Teacher and student give the same. */
static void check_teacher(const tn_block_check *c, const tn_ast_body *body) {
  const tn_ast_stmt *distill = tn_setting_of(body, "distill");
  if (!distill || distill->value->kind != TN_AST_CALL) return;
  const tn_ast_expr *name = tn_block_argument(&distill->value->call.args, "teacher", 0);
  const tn_decl *teacher = name && name->kind == TN_AST_NAME ? tn_training_of(c->unit, name->name).model : NULL;
  const tn_decl *student = c->training.model;
  if (!teacher || !student || !teacher->result || !student->result) return;
  const tn_datum *a = teacher->result, *b = student->result;
  bool same = a->kind == TN_DATUM_TENSOR && b->kind == TN_DATUM_TENSOR
                  ? tn_datum_dtype(a) == tn_datum_dtype(b) && tn_datum_ndim(a) == tn_datum_ndim(b)
                  : a->kind == b->kind && a->tuple.n == b->tuple.n;
  for (uint32_t i = 0; same && a->kind == TN_DATUM_TENSOR && i < tn_datum_ndim(a); i++) {
    tn_dim_order order = tn_dim_compare(c->s->ctx, a->tensor.axes[i].extent, b->tensor.axes[i].extent);
    same = order == TN_DIM_EQUAL || order == TN_DIM_UNKNOWN;
  }
  if (same) return;
  tn_error(c->s->ctx, name->loc, TN_E_LANG_FIELD, "the teacher %s gives %s, the student %s gives %s", teacher->name,
           tn_datum_describe(c->s, a), student->name, tn_datum_describe(c->s, b));
  tn_note(c->s->ctx, teacher->loc, "%s is declared here", teacher->name);
  tn_note(c->s->ctx, student->loc, "%s is declared here", student->name);
}

static void check_derived(tn_block_check *c, const tn_ast_item *item) {
  const tn_decl *from = target(c, &item->source, TN_AST_MODEL, TN_AST_COMPRESS);
  if (from) c->training = tn_training_of(c->unit, item->source.text);
  if (from && tn_decl_is(from, TN_AST_COMPRESS) && !c->training.model) {
    const tn_decl *last = from;
    for (size_t i = 0; i < c->unit->names.n && last && tn_decl_is(last, TN_AST_COMPRESS); i++)
      last = tn_unit_find(c->unit, last->item->source.text);
    if (last && tn_decl_is(last, TN_AST_COMPRESS)) {
      tn_error(c->s->ctx, item->source.loc, TN_E_LANG_RECURSION, "'%s' is made from itself", item->source.text);
      tn_note(c->s->ctx, from->item->source.loc, "it is made from what stands here");
    }
  }
  c->weights = c->training.model;
  tn_body_check(c, item->body);
  if (item->kind == TN_AST_COMPRESS) check_teacher(c, item->body);
}

/* A field that nothing reads is a mistake, once something is trained on the data. */
static void check_unused(const tn_block_check *c, const tn_ast_item *item) {
  const tn_data_fields *fields = tn_map_get(c->fields, item);
  bool is_trained = false;
  for (size_t i = 0; i < c->unit->ast->items.n; i++) {
    const tn_ast_item *other = c->unit->ast->items.data[i];
    const tn_decl *model = other->kind == TN_AST_TRAIN ? tn_unit_find(c->unit, other->name.text) : NULL;
    if (other->kind != TN_AST_TRAIN || other->source.text != item->name.text) continue;
    if (!model || !model->func || !tn_setting_of(other->body, "loss")) return; /* what it reads is not known */
    is_trained = true;
  }
  for (size_t i = 0; is_trained && fields && i < fields->rows.n; i++) {
    const tn_data_field *field = &fields->rows.data[i];
    if (field->is_used) continue;
    tn_error(c->s->ctx, field->name.loc, TN_E_LANG_FIELD, "field '%s' is used by no model that is trained on '%s'",
             field->name.text, item->name.text);
    tn_help(c->s->ctx, "a field reaches a model by the name of an input, or stands in the loss or a metric");
  }
}

static void check_item(tn_block_check *c, const tn_ast_item *item) {
  c->block = tn_ast_item_kind_text(item->kind);
  switch (item->kind) {
    case TN_AST_DATA: tn_data_check(c, item); break;
    case TN_AST_TRAIN: check_train(c, item); break;
    case TN_AST_COMPRESS:
    case TN_AST_DEPLOY: check_derived(c, item); break;
    case TN_AST_TEST: tn_test_check(c, item); break;
    default: break;
  }
}

void tn_blocks_check(tn_sema *s, tn_unit *unit) {
  tn_map fields = tn_map_create(s->arena);
  s->func = tn_func_create(s->module, "blocks", false);
  s->build = tn_build_at_end(s->func->body);
  for (int pass = 0; pass < 2; pass++) /* data first: what is trained on them may stand before */
    for (size_t i = 0; i < unit->ast->items.n; i++) {
      const tn_ast_item *item = unit->ast->items.data[i];
      tn_block_check c = {.s = s, .unit = unit, .fields = &fields};
      if ((item->kind == TN_AST_DATA) != (pass == 0)) continue;
      c.frame = tn_frame_create(s, unit, NULL, item->loc);
      check_item(&c, item);
    }
  for (size_t i = 0; i < unit->ast->items.n; i++) {
    tn_block_check c = {.s = s, .unit = unit, .fields = &fields};
    if (unit->ast->items.data[i]->kind == TN_AST_DATA) check_unused(&c, unit->ast->items.data[i]);
  }
}
