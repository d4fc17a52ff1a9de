/* The graphs of a training program: the model, its loss and metrics, and what train/train.h makes of them. */
#include <math.h>
#include <string.h>

#include "frontend/lang/builtin_loss.h"
#include "frontend/lang/job.h"

/* --- Weights --- */

static tn_train_weight *train_weights(const tn_job *job) {
  tn_train_weight *rows = TN_NEW_N(job->s->arena, tn_train_weight, job->weights.n);
  for (size_t i = 0; i < job->weights.n; i++) {
    const tn_job_weight *from = &job->weights.data[i];
    rows[i] = (tn_train_weight){.path = from->weight->path, .constant = from->weight->constant, .role = from->role,
                                .group = from->group, .decay = from->decay, .l1 = NAN,
                                .kept = tn_job_kept(job, from)};
  }
  return rows;
}

/* --- The end of the function: its results are made anew --- */

static void drop_results(tn_job *job) {
  tn_func *func = job->s->func;
  tn_node_remove(func->body->last);
  func->result_names.n = 0;
  job->s->build = tn_build_at_end(func->body);
}

typedef struct results {
  TN_VEC(tn_value *) values;
} results;

static void add_result(tn_job *job, results *r, tn_value *value, const char *name) {
  TN_VEC_PUSH(job->s->arena, &r->values, value);
  TN_VEC_PUSH(job->s->module->arena, &job->s->func->result_names, name);
}

static void put_results(tn_job *job, const results *r) {
  tn_loc_push(job->s->ctx, job->train->loc);
  tn_build_return(&job->s->build, r->values.data, (uint32_t)r->values.n);
  tn_loc_pop(job->s->ctx);
}

/* --- Loss and metrics --- */

/* The train block's names: out, and the fields; those that no input bears become inputs of the function. */
static bool declare_names(tn_job *job) {
  tn_sema *s = job->s;
  tn_frame *frame = tn_frame_create(s, s->main, NULL, job->train->loc);
  const tn_dim *batch = s->func->body->params.data[0]->type->dims[0];
  size_t before = s->ctx->n_errors;
  job->c.frame = frame;
  frame->sees_losses = true;
  tn_frame_declare(frame, tn_name(s->ctx, "out"), TN_NAME_LET, job->model->result, job->model->loc);
  for (size_t i = 0; i < job->fields.n; i++) {
    const tn_job_field *field = &job->fields.data[i];
    tn_value *input = i < job->n_inputs ? s->func->body->params.data[i] : NULL;
    if (!field->is_used || strcmp(field->name, "out") == 0) continue;
    tn_datum *value = input ? tn_field_datum(s, input, &field->shape, field->loc)
                            : tn_field_value(s, field->name, &field->shape, batch, field->loc);
    tn_frame_declare(frame, field->name, TN_NAME_LET, value, field->loc);
  }
  for (size_t i = 0; i < job->train->body->stmts.n; i++)
    if (job->train->body->stmts.data[i]->kind == TN_AST_LET) tn_let_run(frame, job->train->body->stmts.data[i]);
  return s->ctx->n_errors == before;
}

static tn_value *make_loss(tn_job *job) {
  const tn_ast_expr *e = tn_setting_of(job->train->body, "loss")->value;
  tn_loc_push(job->s->ctx, e->loc);
  const tn_datum *loss = tn_train_loss(&job->c, e);
  tn_value *value = tn_build_cast(&job->s->build, loss ? loss->tensor.value : NULL, TN_F32);
  tn_loc_pop(job->s->ctx);
  return value;
}

/* Another expression is a mean, which counts as often as the batch has samples: (value n, n). */
static tn_datum *as_mean(tn_job *job, const tn_datum *d) {
  tn_sema *s = job->s;
  tn_build *b = &s->build;
  const tn_dim *one = tn_dim_const(s->ctx, 1);
  const tn_value *first = s->func->body->params.data[0];
  tn_value *n = tn_build_cast(b, tn_build_dim_value(b, &first->type->dims[0], 1), TN_F64);
  tn_value *value = tn_build_cast(b, tn_build_reshape(b, d->tensor.value, &one, 1), TN_F64);
  tn_value *pair[] = {tn_build_binary(b, TN_MUL, value, n), n};
  tn_value *both = tn_build_concat(b, pair, 2, 0);
  return both ? tn_datum_metric(s, TNRT_METRIC_MEAN, TNRT_AVERAGE_MACRO, &both, 1, d->loc) : NULL;
}

static bool make_metric(tn_job *job, tn_tables *plan, const tn_ast_arg *arg, results *r, tnrt_metric *out) {
  tn_loc_push(job->s->ctx, arg->value->loc);
  const tn_datum *d = tn_train_metric(&job->c, arg);
  if (d && d->kind == TN_DATUM_TENSOR) d = as_mean(job, d);
  tn_loc_pop(job->s->ctx);
  if (!d || d->kind != TN_DATUM_METRIC) return false;
  *out = (tnrt_metric){.name = tn_tables_text(plan, arg->name.text), .kind = (uint32_t)d->metric.kind,
                       .average = (uint32_t)d->metric.average};
  for (uint32_t i = 0; i < d->metric.n; i++) {
    const tn_value *value = d->metric.statistics[i];
    if (d->metric.kind != TNRT_METRIC_AUC) out->count = (uint32_t)tn_type_static_count(value->type);
    add_result(job, r, d->metric.statistics[i], tn_namef(job->s->ctx, i ? "%s.%u" : "%s", arg->name.text, i));
  }
  return true;
}

/* --- The models --- */

/* What the precision asks for, and weights as parameters. */
static bool finish(tn_job *job, const tn_train_weight *weights) {
  tn_dtype dtype = tn_job_precision(job);
  return (dtype == TN_F32 || tn_train_narrow(job->s->func, dtype)) &&
         tn_train_lift(job->s->func, weights, (uint32_t)job->weights.n);
}

bool tn_job_make_predict(tn_job *job) { return finish(job, train_weights(job)); }

bool tn_job_make_eval(tn_job *job, tn_tables *plan, tnrt_training *head) {
  results r = {0};
  const tn_ast_stmt *metrics = tn_setting_of(job->train->body, "metrics");
  size_t n = metrics ? metrics->value->tuple.n : 0;
  tnrt_metric *rows = TN_NEW_N(job->s->arena, tnrt_metric, n + 1);
  drop_results(job);
  if (!declare_names(job)) return false;
  tn_value *loss = make_loss(job);
  if (!loss) return false;
  add_result(job, &r, loss, "loss");
  for (size_t i = 0; i < n; i++)
    if (!make_metric(job, plan, &metrics->value->tuple.data[i], &r, &rows[i])) return false;
  put_results(job, &r);
  head->n_metrics = (uint32_t)n;
  head->metrics = (uint32_t)tn_tables_add(plan, rows, n, sizeof(*rows));
  return finish(job, train_weights(job));
}

bool tn_job_make_fit(tn_job *job) {
  results r = {0};
  drop_results(job);
  for (size_t i = 0; i < job->fits.n; i++)
    add_result(job, &r, job->fits.data[i], tn_namef(job->s->ctx, "fit.%zu", i));
  put_results(job, &r);
  return tn_train_lift(job->s->func, train_weights(job), (uint32_t)job->weights.n);
}

/* The next value of a running statistic. */
static tn_value *next_of(const tn_job *job, const tn_job_weight *weight) {
  for (size_t i = job->mode.running.n; i-- > 0;) /* of an instance that is applied twice the last, behind the first */
    if (job->mode.running.data[i].weight == weight->weight->constant) return job->mode.running.data[i].next;
  return NULL;
}

static bool keep_states(const tn_job *job) {
  uint32_t n;
  if (!tn_train_keep_every(job->s->func, job->remat.keep_every, &n)) return false;
  return n > 0 || job->mode.has_marks ||
         tn_error(job->s->ctx, job->remat.loc, TN_E_LANG_SETTING,
                  "keep_every keeps states of loops: %s has neither a for that sets a tensor nor a scan",
                  job->model->name);
}

bool tn_job_make_step(tn_job *job, bool only_gradients) {
  results r = {0};
  tn_train_plan plan = {0};
  drop_results(job);
  if (!declare_names(job)) return false;
  tn_value *loss = make_loss(job);
  if (!loss || !tn_job_train_plan(job, &plan)) return false;
  add_result(job, &r, loss, "loss");
  for (size_t i = 0; i < job->weights.n; i++)
    if (job->weights.data[i].role == TNRT_WEIGHT_RUNNING)
      add_result(job, &r, next_of(job, &job->weights.data[i]), job->weights.data[i].weight->path);
  put_results(job, &r);
  plan.weights = train_weights(job);
  plan.n_weights = (uint32_t)job->weights.n;
  if (job->remat.keep_every > 0 && !keep_states(job)) return false;
  return finish(job, plan.weights) &&
         (only_gradients ? tn_train_grad : tn_train_step)(job->s->func, &plan, job->mode.noise);
}

tn_module *tn_job_make_update(tn_job *job, tn_func *(*make)(tn_module *module, const tn_train_plan *plan)) {
  tn_train_plan plan = {0};
  if (!tn_job_train_plan(job, &plan)) return NULL;
  plan.weights = train_weights(job);
  plan.n_weights = (uint32_t)job->weights.n;
  tn_module *module = tn_module_create(job->s->ctx);
  if (make(module, &plan)) return module;
  tn_module_destroy(module);
  return NULL;
}
