/* The weights of a training: which are trained, which are statistics of a field, which learning rate and decay each
 * has. */
#include <math.h>
#include <string.h>

#include "frontend/lang/job.h"

/* freeze and unfreeze in the order of the file: the last one that means the weight. */
static bool is_frozen(const tn_job *job, const char *path) {
  bool frozen = false;
  for (size_t i = 0; i < job->train->body->stmts.n; i++) {
    const tn_ast_stmt *stmt = job->train->body->stmts.data[i];
    bool freezes = stmt->kind == TN_AST_FREEZE;
    if ((freezes || stmt->kind == TN_AST_UNFREEZE) && tn_glob_means(&job->c, stmt->glob.text, path)) frozen = freezes;
  }
  return frozen;
}

static bool is_running(const tn_job *job, const tn_weight *weight) {
  for (size_t i = 0; i < job->mode.running.n; i++)
    if (job->mode.running.data[i].weight == weight->constant) return true;
  return false;
}

/* The field whose elements a statistic is of. */
static bool find_source(const tn_job *job, const tn_weight *weight, uint32_t *out) {
  for (uint32_t i = 0; i < job->n_inputs; i++)
    if (job->s->func->body->params.data[i] == weight->init.of) return *out = i, true;
  tn_error(job->s->ctx, weight->init.loc, TN_E_LANG_NOT_YET,
           "standardize takes the statistics of a field, so it stands right behind an input; elsewhere it is not there "
           "yet");
  return false;
}

static bool find_role(const tn_job *job, tn_job_weight *out) {
  const tn_weight *weight = out->weight;
  out->role = TNRT_WEIGHT_TRAINED;
  if (weight->init.kind == TN_INIT_FITTED) {
    out->role = weight->init.is_variance ? TNRT_WEIGHT_VARIANCE : TNRT_WEIGHT_MEAN;
    return find_source(job, weight, &out->field);
  }
  if (weight->is_buffer) out->role = is_running(job, weight) ? TNRT_WEIGHT_RUNNING : TNRT_WEIGHT_KEPT;
  else if (!tn_dtype_is_float(weight->type->dtype) || is_frozen(job, weight->path)) out->role = TNRT_WEIGHT_KEPT;
  return true;
}

/* Of several params blocks that mean a weight the last one that says a setting. */
static void find_group(tn_job *job, tn_job_weight *out) {
  uint32_t group = 0;
  for (size_t i = 0; i < job->train->body->stmts.n; i++) {
    const tn_ast_stmt *stmt = job->train->body->stmts.data[i];
    if (stmt->kind != TN_AST_PARAMS) continue;
    bool has_rate = tn_setting_of(stmt->body, "lr") != NULL;
    group += has_rate;
    if (!tn_glob_means(&job->c, stmt->glob.text, out->weight->path)) continue;
    if (has_rate) out->group = group;
    out->decay = tn_setting_number(&job->c, stmt->body, "decay", out->decay);
  }
}

static void find_groups(tn_job *job) {
  tn_job_group all = {NULL};
  TN_VEC_PUSH(job->s->arena, &job->groups, all);
  for (size_t i = 0; i < job->train->body->stmts.n; i++) {
    const tn_ast_stmt *stmt = job->train->body->stmts.data[i];
    const tn_ast_stmt *lr = stmt->kind == TN_AST_PARAMS ? tn_setting_of(stmt->body, "lr") : NULL;
    tn_job_group group = {lr ? lr->value : NULL};
    if (lr) TN_VEC_PUSH(job->s->arena, &job->groups, group);
  }
}

bool tn_job_find_weights(tn_job *job) {
  bool ok = true, any = false;
  find_groups(job);
  for (size_t i = 0; i < job->model->n_weights; i++) {
    tn_job_weight row = {.weight = job->s->weights.data[job->model->first_weight + i], .decay = NAN};
    ok = find_role(job, &row) && ok;
    find_group(job, &row);
    any |= row.role == TNRT_WEIGHT_TRAINED;
    TN_VEC_PUSH(job->s->arena, &job->weights, row);
  }
  if (any || !ok) return ok;
  return tn_error(job->s->ctx, job->train->name.loc, TN_E_LANG_SETTING, "%s has no weight that is trained%s",
                  job->model->name, job->weights.n ? ": all are frozen" : "");
}

/* --- The plan --- */

static tnrt_weight row_of(const tn_job *job, tn_tables *plan, const tn_job_weight *from) {
  const tn_weight *weight = from->weight;
  const tn_type *kept = tn_job_kept(job, from);
  tn_const *constant = kept ? tn_const_recipe_cast(job->s->module, weight->constant, kept->dtype) : weight->constant;
  tnrt_weight row = {.name = tn_tables_text(plan, tn_name(job->s->ctx, weight->path)),
                     .dtype = (uint32_t)constant->type->dtype, .ndim = weight->type->ndim, .role = (uint32_t)from->role,
                     .field = from->field, .group = from->group, .bytes = tn_const_bytes(constant),
                     .init = weight->initial.kind, .init_a = weight->initial.a, .init_b = weight->initial.b,
                     .line = tn_loc_get(job->s->ctx, weight->loc)->line};
  for (uint32_t i = 0; i < row.ndim; i++) row.extents[i] = tn_dim_value(weight->type->dims[i]);
  if (weight->init.kind == TN_INIT_FROM && row.bytes) {
    tn_arena *scratch = tn_arena_create_scratch(job->s->ctx->arena);
    row.data = tn_tables_add(plan, tn_const_read(constant, scratch), row.bytes, 1);
    tn_arena_destroy(scratch);
  }
  return row;
}

void tn_job_plan_weights(const tn_job *job, tn_tables *plan, tnrt_training *head) {
  tnrt_weight *rows = TN_NEW_N(job->s->arena, tnrt_weight, job->weights.n);
  for (size_t i = 0; i < job->weights.n; i++) rows[i] = row_of(job, plan, &job->weights.data[i]);
  head->n_weights = (uint32_t)job->weights.n;
  head->weights = (uint32_t)tn_tables_add(plan, rows, job->weights.n, sizeof(*rows));
}
