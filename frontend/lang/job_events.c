/* What happens while training goes on, and what it must come to: every, on, stop when, require. */
#include <string.h>

#include "frontend/lang/job.h"

typedef TN_VEC(tnrt_condition) conditions;

/* --- Actions --- */

static bool put_checkpoint(const tn_job *job, tn_tables *plan, const tn_block_call *call, tnrt_action *out) {
  const tn_ast_expr *best = tn_block_call_get(call, "best");
  out->text = tn_tables_text(plan, tn_block_call_text(call, "dir"));
  out->n = (int64_t)tn_block_call_number(call, "keep");
  out->is_async = tn_block_call_bool(call, "async");
  out->has_best = best != NULL;
  if (!best) return true;
  if (!tn_job_watch(job, best, &out->best)) return false;
  out->is_max = tn_job_is_max(call, best);
  return true;
}

static void put_log(tn_tables *plan, const tn_block_call *call, tnrt_action *out) {
  out->text = tn_tables_text(plan, tn_block_call_text(call, "json"));
  out->csv = tn_tables_text(plan, tn_block_call_text(call, "csv"));
  out->tensorboard = tn_tables_text(plan, tn_block_call_text(call, "tensorboard"));
  out->port = (uint32_t)tn_block_call_number(call, "prometheus");
}

static bool put_action(const tn_job *job, tn_tables *plan, const tn_ast_expr *e, tnrt_action *out) {
  static const struct {
    const char *name;
    tnrt_action_kind kind;
  } rows[] = {{"eval", TNRT_ACTION_EVAL},         {"checkpoint", TNRT_ACTION_CHECKPOINT},
              {"log", TNRT_ACTION_LOG},           {"sample", TNRT_ACTION_SAMPLE},
              {"rollback", TNRT_ACTION_ROLLBACK}, {"scale_lr", TNRT_ACTION_SCALE_LR},
              {"skip_batch", TNRT_ACTION_SKIP_BATCH}, {"resume", TNRT_ACTION_RESUME}};
  tn_block_call call;
  *out = (tnrt_action){0};
  if (!tn_block_call_read(&job->c, "action reaction", e, 0, &call)) return false;
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
    if (strcmp(rows[i].name, call.function->name) == 0) out->kind = rows[i].kind;
  switch ((tnrt_action_kind)out->kind) {
    case TNRT_ACTION_EVAL:
      out->split = tn_job_split(tn_block_call_word(&call, "split"));
      out->n = (int64_t)tn_block_call_number(&call, "batches");
      return true;
    case TNRT_ACTION_CHECKPOINT: return put_checkpoint(job, plan, &call, out);
    case TNRT_ACTION_LOG: put_log(plan, &call, out); return true;
    case TNRT_ACTION_SAMPLE:
      out->text = tn_tables_text(plan, tn_block_call_text(&call, "prompt"));
      out->n = (int64_t)tn_block_call_number(&call, "n");
      return true;
    case TNRT_ACTION_RESUME: out->has_best = strcmp(tn_block_call_word(&call, "from"), "best") == 0; return true;
    case TNRT_ACTION_SCALE_LR: out->factor = tn_block_call_number(&call, "factor"); return true;
    default: return true;
  }
}

static bool put_actions(const tn_job *job, tn_tables *plan, const tn_ast_body *body, uint32_t *out, uint32_t *out_n) {
  tnrt_action *rows = TN_NEW_N(job->s->arena, tnrt_action, body->stmts.n + 1);
  for (size_t i = 0; i < body->stmts.n; i++)
    if (!put_action(job, plan, body->stmts.data[i]->value, &rows[i])) return false;
  *out_n = (uint32_t)body->stmts.n;
  *out = (uint32_t)tn_tables_add(plan, rows, body->stmts.n, sizeof(*rows));
  return true;
}

/* --- Statements --- */

static bool put_event(const tn_job *job, tn_tables *plan, const tn_ast_stmt *stmt, tnrt_event *out) {
  *out = (tnrt_event){.unit = strncmp(stmt->name.text, "step", 4) == 0 ? TNRT_EVERY_STEPS : TNRT_EVERY_EPOCHS};
  return tn_eval_static_int(job->c.frame, stmt->value, "'every'", &out->every) &&
         put_actions(job, plan, stmt->body, &out->actions, &out->n_actions);
}

static bool put_reaction(const tn_job *job, tn_tables *plan, const tn_ast_stmt *stmt, tnrt_training *head) {
  if (strcmp(stmt->name.text, "nan") == 0) return put_actions(job, plan, stmt->body, &head->on_nan, &head->n_on_nan);
  if (strcmp(stmt->name.text, "lost_rank") == 0)
    return put_actions(job, plan, stmt->body, &head->on_lost, &head->n_on_lost);
  return put_actions(job, plan, stmt->body, &head->on_interrupt, &head->n_on_interrupt);
}

static bool put_condition(const tn_job *job, tn_tables *plan, const tn_ast_expr *e, conditions *out, bool required) {
  tnrt_condition condition;
  size_t n = plan->statics.n;
  if (!tn_job_plan_condition(job, plan, e, &condition)) return false;
  if (plan->statics.n > n) plan->statics.data[n].is_required &= required;
  TN_VEC_PUSH(job->s->arena, out, condition);
  return true;
}

bool tn_job_plan_events(const tn_job *job, tn_tables *plan, tnrt_training *head) {
  const tn_ast_body *body = job->train->body;
  tnrt_event *events = TN_NEW_N(job->s->arena, tnrt_event, body->stmts.n + 1);
  conditions stops = {0}, requires = {0};
  bool ok = true;
  for (size_t i = 0; i < body->stmts.n; i++) {
    const tn_ast_stmt *stmt = body->stmts.data[i];
    switch (stmt->kind) {
      case TN_AST_EVERY: ok = put_event(job, plan, stmt, &events[head->n_events]) && ok; head->n_events++; break;
      case TN_AST_ON: ok = put_reaction(job, plan, stmt, head) && ok; break;
      case TN_AST_STOP: ok = put_condition(job, plan, stmt->value, &stops, false) && ok; break;
      case TN_AST_REQUIRE: ok = put_condition(job, plan, stmt->value, &requires, true) && ok; break;
      default: break;
    }
  }
  head->events = (uint32_t)tn_tables_add(plan, events, head->n_events, sizeof(*events));
  head->n_stops = (uint32_t)stops.n;
  head->stops = (uint32_t)tn_tables_add(plan, stops.data, stops.n, sizeof(*stops.data));
  head->n_requires = (uint32_t)requires.n;
  head->requires = (uint32_t)tn_tables_add(plan, requires.data, requires.n, sizeof(*requires.data));
  return ok;
}
