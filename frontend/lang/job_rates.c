/* The optimiser and the learning rates. */
#include <string.h>

#include "frontend/lang/job.h"

static tn_block_call optimizer_call(const tn_job *job) {
  const tn_ast_stmt *stmt = tn_setting_of(job->train->body, "optimizer");
  tn_block_call call = tn_block_call_of(&job->c, "optimizer", "adamw", job->train->name.loc);
  if (stmt) tn_block_call_read(&job->c, "optimizer", stmt->value, 0, &call);
  return call;
}

static void read_clip(const tn_job *job, tn_train_plan *out) {
  const tn_ast_stmt *stmt = tn_setting_of(job->train->body, "clip");
  tn_block_call call;
  if (!stmt || !tn_block_call_read(&job->c, "clip", stmt->value, 0, &call)) return;
  out->clip = strcmp(call.function->name, "value") == 0 ? TN_CLIP_VALUE : TN_CLIP_NORM;
  out->limit = tn_block_call_number(&call, "limit");
}

bool tn_job_train_plan(const tn_job *job, tn_train_plan *out) {
  tn_block_call call = optimizer_call(job);
  double betas[2] = {0, 0};
  *out = (tn_train_plan){.n_groups = (uint32_t)job->groups.n};
  tn_optimizer *o = &out->optimizer;
  o->kind = tn_optimizer_find(call.function->name);
  if (o->kind == TN_N_OPTIMIZERS)
    return tn_job_not_yet(job, call.loc, "the optimiser '%s'", call.function->name);
  tn_block_call_pair(&call, "betas", betas);
  o->momentum = tn_block_call_number(&call, "momentum");
  o->nesterov = tn_block_call_has(&call, "nesterov") && tn_block_call_bool(&call, "nesterov");
  o->alpha = tn_block_call_number(&call, "alpha");
  o->beta1 = betas[0];
  o->beta2 = betas[1];
  o->epsilon = tn_block_call_number(&call, "eps");
  o->decay = tn_block_call_number(&call, "decay");
  o->l1 = tn_block_call_number(&call, "l1");
  read_clip(job, out);
  out->has_loss_scale = tn_job_precision(job) == TN_F16;
  return true;
}

/* --- Schedules --- */

static const struct {
  const char *name;
  tnrt_schedule_kind kind;
} kinds[] = {{"constant", TNRT_SCHEDULE_CONSTANT},       {"step", TNRT_SCHEDULE_STEP},
             {"exponential", TNRT_SCHEDULE_EXPONENTIAL}, {"cosine", TNRT_SCHEDULE_COSINE},
             {"one_cycle", TNRT_SCHEDULE_ONE_CYCLE},     {"plateau", TNRT_SCHEDULE_PLATEAU}};

/* The ends of these are steps and epochs. */
static bool needs_end(const tn_job *job, const tn_block_call *call, tnrt_schedule_kind kind) {
  const tn_ast_body *body = job->train->body;
  if (kind != TNRT_SCHEDULE_COSINE && kind != TNRT_SCHEDULE_ONE_CYCLE) return true;
  if (tn_setting_of(body, "steps") || tn_setting_of(body, "epochs")) return true;
  tn_error(job->s->ctx, call->loc, TN_E_LANG_SETTING, "%s needs to know the last step: steps or epochs",
           call->function->name);
  return false;
}

static bool read_schedule(const tn_job *job, const tn_block_call *call, tnrt_schedule *out) {
  *out = (tnrt_schedule){0};
  for (size_t i = 0; i < TN_ARRAY_LEN(kinds); i++)
    if (strcmp(kinds[i].name, call->function->name) == 0) out->kind = kinds[i].kind;
  const tn_ast_expr *watch = tn_block_call_has(call, "watch") ? tn_block_call_get(call, "watch") : NULL;
  out->is_max = watch && tn_job_is_max(call, watch);
  out->lr = tn_block_call_number(call, "lr");
  out->to = tn_block_call_number(call, "to");
  out->factor = tn_block_call_number(call, "factor");
  out->peak = tn_block_call_number(call, "peak");
  out->start = tn_block_call_number(call, "start");
  out->warmup = (int64_t)tn_block_call_number(call, "warmup");
  out->every = (int64_t)tn_block_call_number(call, "every");
  out->patience = (int64_t)tn_block_call_number(call, "patience");
  return needs_end(job, call, out->kind) && (!watch || tn_job_watch(job, watch, &out->watch));
}

static bool read_rate(const tn_job *job, const tn_ast_expr *lr, double fallback, tnrt_schedule *out) {
  tn_block_call call;
  *out = (tnrt_schedule){.kind = TNRT_SCHEDULE_CONSTANT, .lr = fallback};
  if (!lr) return true;
  if (tn_block_call_read(&job->c, "schedule", lr, 0, &call)) return read_schedule(job, &call, out);
  return tn_block_number(&job->c, lr, &out->lr);
}

static void put_states(const tn_job *job, tn_tables *plan, const tn_optimizer *optimizer, tnrt_training *head) {
  uint32_t n = tn_optimizer_states(optimizer), *names = TN_NEW_N(job->s->arena, uint32_t, n + 1);
  for (uint32_t i = 0; i < n; i++)
    names[i] = tn_tables_text(plan, tn_name(job->s->ctx, tn_optimizer_state_name(optimizer, i)));
  head->n_states = n;
  head->state_names = (uint32_t)tn_tables_add(plan, names, n, sizeof(*names));
}

bool tn_job_plan_rates(const tn_job *job, tn_tables *plan, tnrt_training *head) {
  tn_block_call call = optimizer_call(job);
  tn_train_plan train;
  tnrt_schedule *rows = TN_NEW_N(job->s->arena, tnrt_schedule, job->groups.n);
  if (!tn_job_train_plan(job, &train)) return false;
  for (size_t i = 0; i < job->groups.n; i++) {
    const tn_ast_expr *own = job->groups.data[i].lr;
    const tn_ast_expr *lr = own ? own : tn_block_call_get(&call, "lr");
    double otherwise = lr ? 0 : tn_block_call_number(&call, "lr");
    if (!read_rate(job, lr, otherwise, &rows[i])) return false;
  }
  head->n_groups = (uint32_t)job->groups.n;
  head->schedules = (uint32_t)tn_tables_add(plan, rows, job->groups.n, sizeof(*rows));
  bool is_corrected = train.optimizer.kind == TN_OPTIMIZER_ADAM || train.optimizer.kind == TN_OPTIMIZER_ADAMW ||
                      train.optimizer.kind == TN_OPTIMIZER_LAMB;
  head->beta1 = is_corrected ? train.optimizer.beta1 : 0;
  head->beta2 = is_corrected ? train.optimizer.beta2 : 0;
  put_states(job, plan, &train.optimizer, head);
  return true;
}
