/* Mixed precision: what contractions compute on, and the loss scale that keeps gradients of f16 in its range. */
#include <string.h>

#include "frontend/lang/job.h"

static bool find_call(const tn_job *job, tn_block_call *out) {
  const tn_ast_stmt *stmt = tn_setting_of(job->train->body, "precision");
  return stmt && tn_block_call_read(&job->c, "precision", stmt->value, 0, out);
}

tn_dtype tn_job_precision(const tn_job *job) {
  tn_block_call call;
  if (!find_call(job, &call)) return TN_F32;
  return strcmp(call.function->name, "f16") == 0 ? TN_F16 : TN_BF16;
}

const tn_type *tn_job_kept(const tn_job *job, const tn_job_weight *weight) {
  tn_block_call call;
  const tn_type *type = weight->weight->type;
  if (!find_call(job, &call) || weight->role != TNRT_WEIGHT_TRAINED || type->dtype != TN_F32) return NULL;
  const char *master = tn_block_call_word(&call, "master");
  if (strcmp(master, "f32") == 0) return NULL;
  return tn_type_tensor(job->s->ctx, strcmp(master, "f16") == 0 ? TN_F16 : TN_BF16, type->ndim, type->dims);
}

bool tn_job_plan_precision(const tn_job *job, tnrt_training *head) {
  tn_block_call call, dynamic;
  if (!find_call(job, &call)) return true;
  if (!tn_block_call_has(&call, "loss_scale")) return true;
  const tn_ast_expr *scale = tn_block_call_get(&call, "loss_scale");
  bool is_fixed = scale && !tn_block_call_read(&job->c, "loss_scale", scale, 0, &dynamic);
  if (!scale) dynamic = tn_block_call_of(&job->c, "loss_scale", "dynamic", call.loc);
  head->is_scale_dynamic = !is_fixed;
  head->loss_scale = is_fixed ? tn_block_call_number(&call, "loss_scale") : tn_block_call_number(&dynamic, "start");
  return true;
}
