/* Over which processes a training is spread, and how: the settings mesh and parallel. Processes share the batch; what
 * asks for another way of sharing is refused by name. */
#include <string.h>

#include "frontend/lang/job.h"

static const char data_axis[] = "data";

static const tn_ast_expr *setting(const tn_job *job, const char *name) {
  const tn_ast_stmt *stmt = tn_setting_of(job->train->body, name);
  bool is_none = stmt && stmt->value->kind == TN_AST_NAME && strcmp(stmt->value->name, "none") == 0;
  return stmt && !is_none ? stmt->value : NULL;
}

/* --- Placed dims --- */

static int64_t axis_size(const tn_ast_item *mesh, const char *axis) {
  const tn_ast_expr *size = tn_block_argument(&mesh->value->tuple, axis, SIZE_MAX);
  return size ? tn_mesh_size(size) : 1;
}

/* The batch on `data` is what processes do; a dim on an axis of one process is whole. */
static bool check_type(const tn_job *job, const tn_ast_item *mesh, const tn_ast_type *type) {
  bool ok = true;
  for (size_t i = 0; type && i < type->parts.n; i++) ok = check_type(job, mesh, type->parts.data[i]) && ok;
  for (size_t i = 0; type && i < type->dims.n; i++) {
    const tn_ast_dim *dim = &type->dims.data[i];
    bool is_batch = dim->extent && dim->extent->kind == TN_AST_NAME && strcmp(dim->extent->name, "B") == 0;
    for (size_t k = 0; k < dim->axes.n; k++) {
      const tn_ast_name *axis = &dim->axes.data[k];
      if (axis_size(mesh, axis->text) == 1 || (is_batch && strcmp(axis->text, data_axis) == 0)) continue;
      ok = tn_job_not_yet(job, axis->loc, "another dim than the batch on axis '%s'", axis->text);
    }
  }
  return ok;
}

static bool check_body(const tn_job *job, const tn_ast_item *mesh, const tn_ast_body *body) {
  bool ok = true;
  for (size_t i = 0; body && i < body->stmts.n; i++) {
    ok = check_type(job, mesh, body->stmts.data[i]->type) && ok;
    ok = check_body(job, mesh, body->stmts.data[i]->body) && ok;
  }
  return ok;
}

static bool check_placed(const tn_job *job, const tn_ast_item *mesh) {
  const tn_ast_file *file = job->s->main->ast;
  bool ok = true;
  for (size_t i = 0; i < file->items.n; i++) {
    const tn_ast_item *item = file->items.data[i];
    for (size_t k = 0; k < item->formals.n; k++) ok = check_type(job, mesh, item->formals.data[k].type) && ok;
    ok = check_type(job, mesh, item->result) && ok;
    ok = check_body(job, mesh, item->body) && ok;
  }
  return ok;
}

/* --- The settings --- */

static bool plan_mesh(const tn_job *job, tn_tables *plan, tnrt_training *head) {
  const tn_ast_expr *e = setting(job, "mesh");
  const tn_decl *decl = e && e->kind == TN_AST_NAME ? tn_unit_find(job->s->main, e->name) : NULL;
  bool ok = true;
  if (!decl || !tn_decl_is(decl, TN_AST_MESH)) return true;
  const tn_ast_args *axes = &decl->item->value->tuple;
  for (size_t i = 0; i < axes->n; i++) {
    const tn_ast_arg *axis = &axes->data[i];
    if (strcmp(axis->name.text, data_axis) != 0 && tn_mesh_size(axis->value) != 1)
      ok = tn_job_not_yet(job, axis->loc, "an axis '%s' of more than one process", axis->name.text);
  }
  int64_t size = axis_size(decl->item, data_axis);
  head->mesh = tn_tables_text(plan, decl->name);
  head->mesh_line = tn_loc_get(job->s->ctx, decl->loc)->line;
  head->mesh_data = size < 0 ? 0 : (uint32_t)size;
  return check_placed(job, decl->item) && ok;
}

/* A process updates pieces of weights, of one type. */
static bool check_zero(const tn_job *job, tn_loc loc) {
  tn_train_plan plan;
  if (!tn_job_train_plan(job, &plan)) return false;
  if (!tn_train_is_elementwise(&plan.optimizer))
    return tn_job_not_yet(job, loc, "'zero: 1' with lamb, whose steps take the norms of whole weights");
  for (size_t i = 0; i < job->weights.n; i++) {
    const tn_job_weight *row = &job->weights.data[i];
    if (row->role == TNRT_WEIGHT_TRAINED && row->weight->type->dtype != TN_F32)
      return tn_job_not_yet(job, loc, "'zero: 1' with the weight '%s' of type %s", row->weight->path,
                            tn_dtype_name(row->weight->type->dtype));
  }
  return true;
}

bool tn_job_plan_parallel(const tn_job *job, tn_tables *plan, tnrt_training *head) {
  const tn_ast_expr *e = setting(job, "parallel");
  tn_block_call call = tn_block_call_of(&job->c, "parallel", "parallel", job->train->loc);
  if (e && e->kind == TN_AST_TUPLE) call.args = &e->tuple;
  bool ok = plan_mesh(job, plan, head);
  const tn_ast_expr *pipeline = tn_block_call_get(&call, "pipeline");
  if (pipeline) ok = tn_job_not_yet(job, pipeline->loc, "a pipeline");
  head->zero = (uint32_t)tn_block_call_number(&call, "zero");
  if (head->zero) ok = check_zero(job, tn_block_call_get(&call, "zero")->loc) && ok;
  head->bucket_bytes = (uint64_t)tn_block_call_number(&call, "bucket");
  head->has_overlap = tn_block_call_bool(&call, "overlap");
  return ok;
}
