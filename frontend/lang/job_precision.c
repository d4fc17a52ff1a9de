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

bool tn_job_plan_precision(const tn_job *job, tnrt_training *head) {
  tn_block_call call, dynamic;
  if (!find_call(job, &call)) return true;
  const char *master = tn_block_call_word(&call, "master");
  if (strcmp(master, "f32") != 0)
    return tn_job_not_yet(job, tn_block_call_get(&call, "master")->loc, "weights kept as %s", master);
  if (!tn_block_call_has(&call, "loss_scale")) return true;
  const tn_ast_expr *scale = tn_block_call_get(&call, "loss_scale");
  bool is_fixed = scale && !tn_block_call_read(&job->c, "loss_scale", scale, 0, &dynamic);
  if (!scale) dynamic = tn_block_call_of(&job->c, "loss_scale", "dynamic", call.loc);
  head->is_scale_dynamic = !is_fixed;
  head->loss_scale = is_fixed ? tn_block_call_number(&call, "loss_scale") : tn_block_call_number(&dynamic, "start");
  return true;
}
