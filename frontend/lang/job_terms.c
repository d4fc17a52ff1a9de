/* Conditions over measured numbers, in postfix order. */
#include <string.h>

#include "frontend/lang/job.h"

/* --- SPLIT.NAME --- */

static uint32_t find_metric(const tn_job *job, const char *name) {
  const tn_ast_stmt *metrics = tn_setting_of(job->train->body, "metrics");
  if (strcmp(name, "loss") == 0) return 0;
  for (size_t i = 0; metrics && i < metrics->value->tuple.n; i++)
    if (strcmp(metrics->value->tuple.data[i].name.text, name) == 0) return (uint32_t)i + 1;
  return UINT32_MAX;
}

bool tn_job_watch(const tn_job *job, const tn_ast_expr *e, tnrt_watch *out) {
  const tn_ast_expr *object = e->member.object;
  const char *split = object->kind == TN_AST_NAME ? object->name : object->member.name.text;
  bool is_other = object->kind != TN_AST_NAME && strcmp(object->member.object->name, job->model->name) != 0;
  if (is_other)
    return tn_error(job->s->ctx, e->loc, TN_E_LANG_VALUE, "a program trains one model: what the training of %s "
                    "measures is not known in that of %s", object->member.object->name, job->model->name);
  out->split = tn_job_split(split);
  out->metric = find_metric(job, e->member.name.text);
  if (out->split < TNRT_N_SPLITS && out->metric != UINT32_MAX) return true;
  return tn_error(job->s->ctx, e->loc, TN_E_LANG_NAME, "training measures no '%s'", tn_expr_text(job->s, e));
}

bool tn_job_is_max(const tn_block_call *call, const tn_ast_expr *monitor) {
  const char *mode = tn_block_call_word(call, "mode");
  return mode ? strcmp(mode, "max") == 0 : tn_monitor_direction(call->c, monitor) > 0;
}

/* --- Terms --- */

typedef struct terms {
  const tn_job *job;
  TN_VEC(tnrt_term) rows;
} terms;

static bool add(terms *t, tnrt_term term) {
  TN_VEC_PUSH(t->job->s->arena, &t->rows, term);
  return true;
}

static tnrt_term_kind kind_of(tn_ast_op op) {
  static const struct {
    tn_ast_op op;
    tnrt_term_kind kind;
  } rows[] = {{TN_AST_NEG, TNRT_TERM_NEG}, {TN_AST_NOT, TNRT_TERM_NOT}, {TN_AST_OR, TNRT_TERM_OR},
              {TN_AST_AND, TNRT_TERM_AND}, {TN_AST_EQ, TNRT_TERM_EQ},   {TN_AST_NE, TNRT_TERM_NE},
              {TN_AST_LT, TNRT_TERM_LT},   {TN_AST_GT, TNRT_TERM_GT},   {TN_AST_LE, TNRT_TERM_LE},
              {TN_AST_GE, TNRT_TERM_GE},   {TN_AST_ADD, TNRT_TERM_ADD}, {TN_AST_SUB, TNRT_TERM_SUB},
              {TN_AST_MUL, TNRT_TERM_MUL}, {TN_AST_DIV, TNRT_TERM_DIV},
              {TN_AST_POW, TNRT_TERM_POW}, {TN_AST_MOD, TNRT_TERM_MOD}};
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
    if (rows[i].op == op) return rows[i].kind;
  return TNRT_TERM_NUMBER; /* none */
}

static bool stalled(terms *t, const tn_ast_expr *e) {
  tn_block_call call;
  tnrt_term term = {.kind = TNRT_TERM_STALLED};
  if (!tn_block_call_read(&t->job->c, "condition", e, 0, &call)) return false;
  const tn_ast_expr *what = tn_block_call_get(&call, "what");
  term.patience = (uint32_t)tn_block_call_number(&call, "for");
  term.is_max = tn_job_is_max(&call, what);
  return tn_job_watch(t->job, what, &term.watch) && add(t, term);
}

/* static(weights) and static(weight_bytes) are known now; the others when the models are compiled. */
static bool fixed(terms *t, const tn_ast_expr *e) {
  const tn_job *job = t->job;
  const tn_ast_expr *callee = e->call.callee;
  const char *name = tn_head_name(e->call.args.data[0].value);
  bool is_other = callee->kind == TN_AST_MEMBER && strcmp(callee->member.object->name, job->model->name) != 0;
  bool bytes = strcmp(name, "weight_bytes") == 0;
  double sum = 0;
  if (is_other)
    return tn_job_not_yet(job, e->loc, "%s in a training", tn_expr_text(job->s, e));
  if (strcmp(name, "flops") == 0) return add(t, (tnrt_term){.kind = TN_TERM_FLOPS});
  if (strcmp(name, "peak_memory") == 0) return add(t, (tnrt_term){.kind = TN_TERM_PEAK_MEMORY});
  for (size_t i = 0; i < job->weights.n; i++) {
    const tn_type *type = job->weights.data[i].weight->type, *kept = tn_job_kept(job, &job->weights.data[i]);
    sum += (double)tn_type_static_count(type) * (bytes ? (double)tn_dtype_bytes(kept ? kept->dtype : type->dtype) : 1);
  }
  return add(t, (tnrt_term){.kind = TNRT_TERM_NUMBER, .number = sum});
}

static bool walk(terms *t, const tn_ast_expr *e) {
  const tn_job *job = t->job;
  double number;
  tnrt_term term = {.kind = TNRT_TERM_MEASURE};
  if (e->kind == TN_AST_MEMBER) return tn_job_watch(job, e, &term.watch) && add(t, term);
  if (e->kind == TN_AST_CALL) {
    const char *name = tn_head_name(e);
    if (!name || strcmp(name, "static") == 0) return fixed(t, e);
    if (tn_block_function_find("condition", name)) return stalled(t, e);
  }
  bool is_operator = e->kind == TN_AST_UNARY || e->kind == TN_AST_BINARY;
  if (!is_operator && tn_block_number(&job->c, e, &number))
    return add(t, (tnrt_term){.kind = TNRT_TERM_NUMBER, .number = number});
  if (e->kind == TN_AST_NAME) {
    const tn_datum *d = tn_eval_expr(job->c.frame, e);
    bool known = d && d->kind == TN_DATUM_BOOL;
    return known && add(t, (tnrt_term){.kind = TNRT_TERM_NUMBER, .number = d->truth});
  }
  if (!is_operator) return false;
  term.kind = kind_of(e->op.op);
  if (term.kind == TNRT_TERM_NUMBER)
    return tn_job_not_yet(job, e->loc, "'%s' in a condition", tn_ast_op_text(e->op.op));
  return (!e->op.left || walk(t, e->op.left)) && walk(t, e->op.right) && add(t, term);
}

/* What waits for the compiled models, and what is known without a training. */
static void put_static(const terms *t, tn_tables *plan, const tn_ast_expr *e, const tnrt_condition *c) {
  tn_ctx *ctx = t->job->s->ctx;
  tn_table_static row = {c->terms, c->n_terms, e->loc, tn_name(ctx, tn_expr_text(t->job->s, e)), true};
  bool waits = false;
  for (size_t i = 0; i < t->rows.n; i++) {
    waits |= t->rows.data[i].kind >= TN_TERM_FLOPS;
    row.is_required &= t->rows.data[i].kind != TNRT_TERM_MEASURE && t->rows.data[i].kind != TNRT_TERM_STALLED;
  }
  if (waits || row.is_required) TN_VEC_PUSH(ctx->arena, &plan->statics, row);
}

bool tn_job_plan_condition(const tn_job *job, tn_tables *plan, const tn_ast_expr *e, tnrt_condition *out) {
  terms t = {.job = job};
  if (!walk(&t, e)) return false;
  const tn_loc_info *place = tn_loc_get(job->s->ctx, e->loc);
  const char *text = tn_name(job->s->ctx, tn_expr_text(job->s, e));
  *out = (tnrt_condition){.n_terms = (uint32_t)t.rows.n, .text = tn_tables_text(plan, text), .line = place->line};
  out->terms = (uint32_t)tn_tables_add(plan, t.rows.data, t.rows.n, sizeof(*t.rows.data));
  put_static(&t, plan, e, out);
  return true;
}
