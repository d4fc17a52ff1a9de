/* The weights of a training: which are trained, which are statistics of a field, which learning rate and decay each
 * has. */
#include <math.h>
#include <string.h>

#include "frontend/lang/job.h"
#include "ir/primitives.h"

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

/* What a statistic is of: the elements of a field, or of a value that the model computes for each sample. */
static bool find_source(tn_job *job, const tn_weight *weight, uint32_t *out) {
  const tn_block *body = job->s->func->body;
  tn_value *of = weight->init.of;
  for (uint32_t i = 0; i < job->n_inputs; i++)
    if (body->params.data[i] == of) return *out = i, true;
  const tn_block *block = of->def ? of->def->block : of->block;
  const tn_dim *batch = body->params.data[0]->type->dims[0];
  if (block != body)
    return tn_error(job->s->ctx, weight->init.loc, TN_E_LANG_FIT, "standardize takes the statistics of the training "
                    "split before the training begins: it stands outside of a scan");
  if (of->type->dims[0] != batch)
    return tn_error(job->s->ctx, weight->init.loc, TN_E_LANG_FIT, "standardize takes the statistics over the samples: "
                    "the first dim of its operand is the batch");
  size_t k = 0;
  while (k < job->fits.n && job->fits.data[k] != of) k++;
  if (k == job->fits.n) TN_VEC_PUSH(job->s->arena, &job->fits, of);
  *out = (uint32_t)(job->fields.n + k);
  return true;
}

/* The number from 1 of a weight that training moves, where the node or one in its regions is it, or takes what depends
 * on it; 0: none. */
static uint32_t moved_by(const tn_job *job, const tn_node *node) {
  for (size_t i = 0; node->op == &tn_op_const && i < job->weights.n; i++) {
    tnrt_weight_role role = job->weights.data[i].role;
    if (job->weights.data[i].weight->constant == tn_value_const(node->results[0]) &&
        (role == TNRT_WEIGHT_TRAINED || role == TNRT_WEIGHT_RUNNING))
      return (uint32_t)i + 1;
  }
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_value *value = node->operands[i].value;
    if (value && value->def && value->def->mark) return value->def->mark;
  }
  for (uint32_t i = 0; i < node->n_regions; i++)
    for (const tn_node *inner = node->regions[i]->first; inner; inner = inner->next) {
      uint32_t found = moved_by(job, inner);
      if (found) return found;
    }
  return 0;
}

/* Statistics are taken once, so what they are of must stay what it is. */
static bool check_fits(const tn_job *job) {
  tn_block *body = job->s->func->body;
  bool ok = true;
  if (!job->fits.n) return true;
  for (tn_node *node = body->first; node; node = node->next) node->mark = moved_by(job, node);
  for (size_t i = 0; i < job->weights.n; i++) {
    const tn_job_weight *row = &job->weights.data[i];
    const tn_node *def = row->role == TNRT_WEIGHT_MEAN ? row->weight->init.of->def : NULL;
    if (!def || !def->mark) continue;
    const tn_weight *moved = job->weights.data[def->mark - 1].weight;
    ok = tn_error(job->s->ctx, row->weight->init.loc, TN_E_LANG_FIT, "standardize takes the statistics once, before "
                  "the training begins, and what it stands behind changes in training: by '%s'", moved->path);
    tn_note(job->s->ctx, moved->loc, "that weight is made here");
    tn_help(job->s->ctx, "batchnorm follows what changes; freeze \"%s\" keeps it", moved->path);
  }
  for (tn_node *node = body->first; node; node = node->next) node->mark = 0;
  return ok;
}

static bool find_role(tn_job *job, tn_job_weight *out) {
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
  ok = ok && check_fits(job);
  if (any || !ok) return ok;
  return tn_error(job->s->ctx, job->train->name.loc, TN_E_LANG_SETTING, "%s has no weight that is trained%s",
                  job->model->name, job->weights.n ? ": all are frozen" : "");
}

/* --- The plan --- */

static tnrt_weight row_of(const tn_job *job, tn_tables *plan, const tn_job_weight *from, const tn_optimizer *o) {
  const tn_weight *weight = from->weight;
  const tn_type *kept = tn_job_kept(job, from);
  tn_const *constant = kept ? tn_const_recipe_cast(job->s->module, weight->constant, kept->dtype) : weight->constant;
  tnrt_weight row = {.name = tn_tables_text(plan, tn_name(job->s->ctx, weight->path)),
                     .dtype = (uint32_t)constant->type->dtype, .ndim = weight->type->ndim, .role = (uint32_t)from->role,
                     .field = from->field, .group = from->group, .bytes = tn_const_bytes(constant),
                     .init = weight->initial.kind, .init_a = weight->initial.a, .init_b = weight->initial.b,
                     .line = tn_loc_get(job->s->ctx, weight->loc)->line,
                     .decay = isnan(from->decay) ? o->decay : from->decay, .l1 = o->l1};
  for (uint32_t i = 0; i < row.ndim; i++) row.extents[i] = tn_dim_value(weight->type->dims[i]);
  if (weight->init.kind == TN_INIT_FROM && row.bytes) {
    tn_arena *scratch = tn_arena_create_scratch(job->s->ctx->arena);
    row.data = tn_tables_add(plan, tn_const_read(constant, scratch), row.bytes, 1);
    tn_arena_destroy(scratch);
  }
  return row;
}

bool tn_job_plan_weights(const tn_job *job, tn_tables *plan, tnrt_training *head) {
  tn_train_plan train;
  tnrt_weight *rows = TN_NEW_N(job->s->arena, tnrt_weight, job->weights.n);
  if (!tn_job_train_plan(job, &train)) return false;
  for (size_t i = 0; i < job->weights.n; i++) rows[i] = row_of(job, plan, &job->weights.data[i], &train.optimizer);
  head->n_weights = (uint32_t)job->weights.n;
  head->weights = (uint32_t)tn_tables_add(plan, rows, job->weights.n, sizeof(*rows));
  return true;
}
