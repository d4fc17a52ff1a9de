/* Numbers that training measures (valid.acc, LeNet.test.loss) or that are known of a compiled model (static(flops)),
 * and conditions over them. */
#include <string.h>

#include "frontend/lang/blocks.h"

/* What an expression over measured numbers is. */
typedef enum measure { WRONG, NUMBER, TRUTH } measure;

/* --- Trainings --- */

static const tn_ast_item *train_block(const tn_unit *unit, const char *model) {
  for (size_t i = 0; i < unit->ast->items.n; i++) {
    const tn_ast_item *item = unit->ast->items.data[i];
    if (item->kind == TN_AST_TRAIN && item->name.text == model) return item;
  }
  return NULL;
}

tn_training tn_training_of(tn_unit *unit, const char *name) {
  tn_training training = {0};
  const tn_decl *decl = tn_unit_find(unit, name);
  /* As many steps as there are names: compress blocks may name each other in a circle. */
  for (size_t i = 0; i < unit->names.n && decl && tn_decl_is(decl, TN_AST_COMPRESS); i++)
    decl = tn_unit_find(unit, decl->item->source.text);
  if (!decl || !tn_decl_is(decl, TN_AST_MODEL)) return training;
  training.model = decl;
  training.train = train_block(unit, decl->name);
  const tn_decl *data = training.train ? tn_unit_find(unit, training.train->source.text) : NULL;
  if (data && tn_decl_is(data, TN_AST_DATA)) training.data = data->item;
  return training;
}

/* --- Splits --- */

static bool is_named(const tn_ast_args *args, const char *name) {
  for (size_t i = 0; i < args->n; i++)
    if (args->data[i].name.text && strcmp(args->data[i].name.text, name) == 0) return true;
  return false;
}

/* As a share of `split`, or as files of its own: test: "t.gz". */
bool tn_split_exists(const tn_ast_item *data, const char *name) {
  const tn_ast_stmt *set = data->body ? tn_setting_of(data->body, "split") : NULL;
  const tn_ast_args *args = data->value && data->value->kind == TN_AST_CALL ? &data->value->call.args : NULL;
  const tn_ast_expr *split = set ? set->value : args ? tn_block_argument(args, "split", SIZE_MAX) : NULL;
  if (strcmp(name, "train") == 0) return true;
  if (split && split->kind == TN_AST_TUPLE && is_named(&split->tuple, name)) return true;
  return args && tn_words_have("valid test", name) && is_named(args, name);
}

/* "train valid": for messages. */
static const char *split_names(const tn_block_check *c, const tn_ast_item *data) {
  const tn_ast_stmt *set = data->body ? tn_setting_of(data->body, "split") : NULL;
  const tn_ast_args *args = data->value->kind == TN_AST_CALL ? &data->value->call.args : NULL;
  const tn_ast_expr *split = set ? set->value : args ? tn_block_argument(args, "split", SIZE_MAX) : NULL;
  tn_buf names = tn_buf_create(c->s->arena);
  tn_buf_puts(&names, "train");
  for (size_t i = 0; split && split->kind == TN_AST_TUPLE && i < split->tuple.n; i++)
    if (split->tuple.data[i].name.text && !tn_words_have(names.data, split->tuple.data[i].name.text))
      tn_buf_printf(&names, " %s", split->tuple.data[i].name.text);
  return names.data;
}

bool tn_split_check(const tn_block_check *c, const tn_ast_item *data, const char *name, tn_loc loc) {
  if (!data || tn_split_exists(data, name)) return true;
  tn_words_unknown(c->s, loc, TN_E_LANG_SETTING, tn_namef(c->s->ctx, "'%s' has no split", data->name.text), name,
                   split_names(c, data));
  tn_note(c->s->ctx, data->name.loc, "'%s' is declared here", data->name.text);
  return false;
}

/* --- Monitors --- */

static const char *metric_names(const tn_block_check *c, const tn_ast_item *train) {
  tn_buf names = tn_buf_create(c->s->arena);
  const tn_ast_stmt *metrics = tn_setting_of(train->body, "metrics");
  tn_buf_puts(&names, "loss");
  for (size_t i = 0; metrics && metrics->value->kind == TN_AST_TUPLE && i < metrics->value->tuple.n; i++)
    if (metrics->value->tuple.data[i].name.text)
      tn_buf_printf(&names, " %s", metrics->value->tuple.data[i].name.text);
  return names.data;
}

/* Whether an event measures a split, which goes through all of it by eval or for the best checkpoint. */
static bool is_measured(const tn_ast_item *train, const char *split) {
  for (size_t i = 0; i < train->body->stmts.n; i++) {
    const tn_ast_stmt *event = train->body->stmts.data[i];
    for (size_t k = 0; event->kind == TN_AST_EVERY && k < event->body->stmts.n; k++) {
      const tn_ast_expr *call = event->body->stmts.data[k]->value;
      if (!call || call->kind != TN_AST_CALL || !tn_head_name(call)) continue;
      bool is_eval = strcmp(tn_head_name(call), "eval") == 0;
      const tn_ast_expr *what = tn_block_argument(&call->call.args, is_eval ? "split" : "best", is_eval ? 0 : 2);
      if (what && !is_eval && what->kind == TN_AST_MEMBER) what = what->member.object;
      if (what && what->kind == TN_AST_NAME && strcmp(what->name, split) == 0) return true;
    }
  }
  return false;
}

/* What is looked at while training goes on: the loss of training is known, all else an event has to measure. */
static bool check_watched(const tn_block_check *c, const tn_ast_item *train, const tn_ast_name *split, tn_loc loc,
                          const tn_ast_name *metric) {
  bool is_known = strcmp(split->text, "train") == 0 && strcmp(metric->text, "loss") == 0;
  if (!c->watches || train != c->training.train || is_known || is_measured(train, split->text)) return true;
  tn_error(c->s->ctx, loc, TN_E_LANG_SETTING, "nothing measures '%s' while training goes on", split->text);
  tn_help(c->s->ctx, "every 1 epochs { eval(%s) }", split->text);
  return false;
}

/* SPLIT.METRIC of a training. */
static bool check_metric(const tn_block_check *c, const tn_training *training, const tn_ast_name *split, tn_loc loc,
                         const tn_ast_name *metric) {
  if (!training->train || !training->data) return true; /* said where they are named */
  if (!tn_split_check(c, training->data, split->text, loc)) return false;
  const char *names = metric_names(c, training->train);
  if (tn_words_have(names, metric->text)) return check_watched(c, training->train, split, loc, metric);
  tn_words_unknown(c->s, metric->loc, TN_E_LANG_NAME, tn_namef(c->s->ctx, "training of %s measures no",
                   training->train->name.text), metric->text, names);
  return false;
}

/* The training of a model that is named: LeNet.test.acc. */
static bool find_training(const tn_block_check *c, const tn_ast_expr *name, tn_training *out) {
  const tn_decl *decl = tn_unit_find(c->unit, name->name);
  if (!decl || !(tn_decl_is(decl, TN_AST_MODEL) || tn_decl_is(decl, TN_AST_COMPRESS))) {
    tn_words_unknown(c->s, name->loc, decl ? TN_E_LANG_KIND : TN_E_LANG_NAME, "no model is called", name->name, "");
    if (decl) tn_note(c->s->ctx, decl->loc, "'%s' is declared here", name->name);
    return false;
  }
  *out = tn_training_of(c->unit, name->name);
  if (out->train || !out->model) return true;
  tn_error(c->s->ctx, name->loc, TN_E_LANG_SETTING, "'%s' is not trained, so nothing of it is measured", name->name);
  tn_note(c->s->ctx, decl->loc, "'%s' is declared here", name->name);
  return false;
}

bool tn_monitor_check(const tn_block_check *c, const tn_ast_expr *e) {
  const tn_ast_expr *object = e->member.object;
  tn_training training = c->training;
  if (object->kind == TN_AST_NAME) {
    tn_ast_name split = {object->name, object->loc};
    if (!training.train && !training.model)
      return tn_error(c->s->ctx, e->loc, TN_E_LANG_SETTING, "of which model? MODEL.%s.%s names it", object->name,
                      e->member.name.text);
    return check_metric(c, &training, &split, object->loc, &e->member.name);
  }
  if (object->kind == TN_AST_MEMBER && object->member.object->kind == TN_AST_NAME) {
    if (!find_training(c, object->member.object, &training)) return false;
    return check_metric(c, &training, &object->member.name, object->member.name.loc, &e->member.name);
  }
  return tn_error(c->s->ctx, e->loc, TN_E_LANG_VALUE, "expected a measured number such as valid.loss, found %s",
                  tn_expr_text(c->s, e));
}

/* --- What is better --- */

/* The expression that a metric of a training is, NULL: the loss, or none. */
static const tn_ast_expr *metric_of(const tn_ast_item *train, const char *name) {
  const tn_ast_stmt *metrics = train ? tn_setting_of(train->body, "metrics") : NULL;
  for (size_t i = 0; metrics && metrics->value->kind == TN_AST_TUPLE && i < metrics->value->tuple.n; i++) {
    const tn_ast_arg *arg = &metrics->value->tuple.data[i];
    if (arg->name.text && strcmp(arg->name.text, name) == 0) return arg->value;
  }
  return NULL;
}

int tn_monitor_direction(const tn_block_check *c, const tn_ast_expr *e) {
  static const char less[] = "cross_entropy bce mse mae huber hinge kl rmse perplexity";
  static const char more[] = "accuracy topk precision recall f1 macro_f1 auc r2";
  tn_training training = c->training;
  if (strcmp(e->member.name.text, "loss") == 0) return -1;
  const tn_ast_expr *object = e->member.object;
  if (object->kind == TN_AST_MEMBER && !find_training(c, object->member.object, &training)) return 0;
  const tn_ast_expr *metric = metric_of(training.train, e->member.name.text);
  if (metric && metric->kind == TN_AST_PIPE) metric = metric->pipe.right;
  const char *head = metric ? tn_head_name(metric) : NULL;
  return head && tn_words_have(less, head) ? -1 : head && tn_words_have(more, head) ? 1 : 0;
}

bool tn_monitor_mode_check(const tn_block_check *c, const tn_ast_expr *e, const char *function) {
  if (tn_monitor_direction(c, e) != 0) return true;
  tn_error(c->s->ctx, e->loc, TN_E_LANG_SETTING, "%s: is more or less of %s better?", function, tn_expr_text(c->s, e));
  tn_help(c->s->ctx, "mode: min or mode: max says so");
  return false;
}

/* --- Conditions --- */

/* static(flops), M.static(flops) */
static measure check_static(const tn_block_check *c, const tn_ast_expr *call) {
  const tn_ast_expr *callee = call->call.callee;
  const tn_ast_args *args = &call->call.args;
  const char *name = args->n == 1 ? tn_head_name(args->data[0].value) : NULL;
  if (callee->kind == TN_AST_MEMBER) {
    const tn_ast_expr *object = callee->member.object;
    const tn_decl *decl = object->kind == TN_AST_NAME ? tn_unit_find(c->unit, object->name) : NULL;
    if (!decl || !(tn_decl_is(decl, TN_AST_MODEL) || tn_decl_is(decl, TN_AST_COMPRESS))) {
      tn_error(c->s->ctx, object->loc, TN_E_LANG_NAME, "no model is called '%s'", tn_expr_text(c->s, object));
      return WRONG;
    }
  } else if (!c->training.model) {
    tn_error(c->s->ctx, call->loc, TN_E_LANG_SETTING, "of which model? MODEL.static(...) names it");
    return WRONG;
  }
  if (name && args->data[0].value->kind == TN_AST_NAME && tn_block_function_find("static", name)) return NUMBER;
  tn_words_unknown(c->s, args->n ? args->data[0].value->loc : call->loc, TN_E_LANG_NAME, "static knows no",
                   name ? name : "", tn_block_function_names(c->s, "static"));
  return WRONG;
}

static measure check_call(const tn_block_check *c, const tn_ast_expr *e, bool allow_condition) {
  const tn_ast_expr *callee = e->call.callee;
  double number;
  const char *name = callee->kind == TN_AST_NAME ? callee->name : NULL;
  if (callee->kind == TN_AST_MEMBER && strcmp(callee->member.name.text, "static") == 0) return check_static(c, e);
  if (name && strcmp(name, "static") == 0) return check_static(c, e);
  if (name && tn_block_function_find("condition", name)) {
    if (allow_condition) return tn_block_call_check(c, "condition", "condition", e, 0) ? TRUTH : WRONG;
    tn_error(c->s->ctx, e->loc, TN_E_LANG_PLACE, "%s stands behind 'stop when' only", name);
    return WRONG;
  }
  size_t before = c->s->ctx->n_errors;
  if (tn_block_number(c, e, &number)) return NUMBER;
  if (c->s->ctx->n_errors == before)
    tn_words_unknown(c->s, callee->loc, TN_E_LANG_NAME, "no measured number or condition is called",
                     tn_expr_text(c->s, callee), "static stalled");
  return WRONG;
}

static measure check(const tn_block_check *c, const tn_ast_expr *e, bool allow_condition);

static measure check_operator(const tn_block_check *c, const tn_ast_expr *e, bool allow_condition) {
  tn_ast_op op = e->op.op;
  bool logic = op == TN_AST_NOT || op == TN_AST_AND || op == TN_AST_OR;
  bool compares = op >= TN_AST_EQ && op <= TN_AST_GE;
  const tn_ast_expr *sides[] = {e->op.left, e->op.right};
  measure wanted = logic ? TRUTH : NUMBER, result = logic || compares ? TRUTH : NUMBER;
  for (int i = 0; i < 2; i++) {
    measure side = sides[i] ? check(c, sides[i], allow_condition) : wanted;
    if (side == WRONG) result = WRONG;
    if (side == WRONG || side == wanted) continue;
    tn_error(c->s->ctx, sides[i]->loc, TN_E_LANG_KIND, "'%s' takes %s, found %s", tn_ast_op_text(op),
             logic ? "conditions" : "numbers", tn_expr_text(c->s, sides[i]));
    result = WRONG;
  }
  return result;
}

static measure check(const tn_block_check *c, const tn_ast_expr *e, bool allow_condition) {
  double number;
  size_t before = c->s->ctx->n_errors;
  switch (e->kind) {
    case TN_AST_MEMBER: return tn_monitor_check(c, e) ? NUMBER : WRONG;
    case TN_AST_UNARY:
    case TN_AST_BINARY: return check_operator(c, e, allow_condition);
    case TN_AST_CALL: return check_call(c, e, allow_condition);
    default: break;
  }
  if (tn_block_number(c, e, &number)) return NUMBER;
  if (c->s->ctx->n_errors == before && e->kind == TN_AST_NAME) {
    const tn_datum *d = tn_eval_expr(c->frame, e);
    if (d && d->kind == TN_DATUM_BOOL) return TRUTH;
  }
  if (c->s->ctx->n_errors == before)
    tn_error(c->s->ctx, e->loc, TN_E_LANG_KIND, "expected a number or a condition, found %s", tn_expr_text(c->s, e));
  return WRONG;
}

bool tn_condition_check(const tn_block_check *c, const tn_ast_expr *e, bool allow_condition) {
  measure m = check(c, e, allow_condition);
  if (m == NUMBER)
    tn_error(c->s->ctx, e->loc, TN_E_LANG_KIND, "expected a condition such as valid.loss <= 0.1, found the number %s",
             tn_expr_text(c->s, e));
  return m == TRUTH;
}
